//! Flagger's kinds: whatever its own definitions take is taken, and Leeboard's additions besides.

use serde_json::{Value, json};

use super::{Column, Kind, definition, open, require, schema};
use crate::api::FLAGGER_GROUP;
use crate::api::flagger::{AlertProviderSpec, CanarySpec, CanaryStatus, MetricTemplateSpec, VERSION};

/// Canary, MetricTemplate, AlertProvider.
pub(super) fn definitions() -> [Value; 3] {
    [canary(), metric_template(), alert_provider()]
}

fn canary() -> Value {
    let mut spec = schema::<CanarySpec>();
    let mut status = schema::<CanaryStatus>();
    require(&mut spec, "", &["targetRef"]);
    require(&mut spec, "targetRef", &["kind", "name"]);
    require(&mut spec, "service", &["port"]);
    for schema in [&mut spec, &mut status] {
        open(schema);
        type_anything(schema);
    }
    definition(&Kind {
        group: FLAGGER_GROUP,
        version: VERSION,
        name: "Canary",
        plural: "canaries",
        short_names: &[],
        categories: &["all"],
        columns: vec![
            Column::new("Status", "string", ".status.phase"),
            Column::new("Weight", "string", ".status.canaryWeight"),
            Column::new("Suspended", "boolean", ".spec.suspend").wide(),
            Column::new("FailedChecks", "string", ".status.failedChecks").wide(),
            Column::new("Interval", "string", ".spec.analysis.interval").wide(),
            Column::new("Mirror", "boolean", ".spec.analysis.mirror").wide(),
            Column::new("StepWeight", "string", ".spec.analysis.stepWeight").wide(),
            Column::new("StepWeights", "string", ".spec.analysis.stepWeights").wide(),
            Column::new("MaxWeight", "string", ".spec.analysis.maxWeight").wide(),
            Column::new("LastTransitionTime", "string", ".status.lastTransitionTime"),
        ],
        subresources: Some(json!({"status": {}})),
        fields: vec![("spec", spec), ("status", status)],
        description: "A workload of which new versions are tried on part of the traffic first.",
    })
}

fn metric_template() -> Value {
    let mut spec = schema::<MetricTemplateSpec>();
    require(&mut spec, "", &["provider", "query"]);
    open(&mut spec);
    definition(&Kind {
        group: FLAGGER_GROUP,
        version: VERSION,
        name: "MetricTemplate",
        plural: "metrictemplates",
        short_names: &[],
        categories: &["all"],
        columns: vec![Column::new("Provider", "string", ".spec.provider.type")],
        subresources: Some(json!({"status": {}})),
        fields: vec![("spec", spec), ("status", anything())],
        description: "A query, and whom to ask.",
    })
}

fn alert_provider() -> Value {
    let mut spec = schema::<AlertProviderSpec>();
    require(&mut spec, "", &["type"]);
    open(&mut spec);
    definition(&Kind {
        group: FLAGGER_GROUP,
        version: VERSION,
        name: "AlertProvider",
        plural: "alertproviders",
        short_names: &[],
        categories: &["all"],
        columns: vec![Column::new("Type", "string", ".spec.type")],
        subresources: Some(json!({"status": {}})),
        fields: vec![("spec", spec), ("status", anything())],
        description: "Where alerts are sent.",
    })
}

/// What may hold anything says so: a structural schema has no empty part.
fn type_anything(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    if !map.contains_key("type") && !map.contains_key("x-kubernetes-int-or-string") {
        map.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            type_anything(inner);
        }
    }
    for inner in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(|map| map.values_mut()) {
        type_anything(inner);
    }
}

fn anything() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}
