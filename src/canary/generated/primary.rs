//! The primary: a copy of the target that users reach while a new version is tried.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::configs::{Tracked, redirect, restore};
use super::{
    Flags, Metadata, PRIMARY_SUFFIX, Patch, Target, TargetKind, copied, included, new_object, owned, scale, target,
    texts,
};
use crate::api::flagger::Canary;
use crate::object::Object;

/// On the primary's pods: renewed at each promotion, so that they are replaced.
pub const ROLLOUT_ID: &str = "flagger-id";

/// On a Knative Service: the revision that has proved itself.
pub const PRIMARY_REVISION: &str = "flagger.app/primary-revision";

/// The primary as it is made first. `id` is new to this rollout (Flagger: a random UUID).
pub fn created(canary: &Canary, target: &Target<'_>, tracked: &Tracked, flags: &Flags, id: &str) -> Object {
    let mut spec = base(canary, target, tracked, flags, id);
    if target.kind == TargetKind::Deployment {
        let replicas = target.object.body["spec"]["replicas"].as_i64().unwrap_or(1).max(1);
        spec.insert("replicas".into(), replicas.into());
    }
    let annotations = copied(texts(&target.object.body, "annotations"));
    object(canary, target, flags, annotations, spec)
}

/// The primary with the target's version. Its pods keep their id, and so run on, when nothing of them changes.
pub fn promoted(
    canary: &Canary,
    target: &Target<'_>,
    tracked: &Tracked,
    flags: &Flags,
    live: &Object,
    id: &str,
) -> Object {
    let kept =
        rollout_id(live).filter(|kept| template(canary, target, tracked, flags, kept) == *target::template(live));
    let mut spec = base(canary, target, tracked, flags, kept.unwrap_or(id));
    if target.kind == TargetKind::Deployment {
        let own = target.object.body["spec"]["replicas"].as_i64().filter(|replicas| *replicas > 0);
        // A scaler's number is written as it is found: a field that is left out would fall back to its default.
        let own = own.filter(|_| canary.spec.autoscaler_ref.is_none());
        let replicas = own.or_else(|| live.body["spec"]["replicas"].as_i64()).unwrap_or(1);
        spec.insert("replicas".into(), replicas.into());
    }
    let annotations = included(texts(&target.object.body, "annotations"), flags);
    object(canary, target, flags, annotations, spec)
}

/// Of a Knative Service, whose revisions are the two versions: makes the newest one the primary.
pub fn promoted_revision(target: &Target<'_>) -> Option<Patch> {
    let newest = target.object.body["status"]["latestCreatedRevisionName"].as_str()?;
    let body = json!({"metadata": {"annotations": {PRIMARY_REVISION: newest}}});
    (target.kind == TargetKind::KnativeService).then(|| Patch::of(target.object, body))
}

/// The target's template that a live primary was made from: all that [`created`] changes is undone. `configs` are the keys
/// of `status.trackedConfigs`. So the two have one [`version_subject`] when they are of one version, whoever made the
/// primary.
///
/// [`version_subject`]: super::target::version_subject
pub fn origin<'k>(
    live: &Object,
    canary: &Canary,
    target: &Target<'_>,
    configs: impl IntoIterator<Item = &'k str>,
    flags: &Flags,
) -> Value {
    let mut template = target::template(live).clone();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.insert(target.label.clone(), target.value.as_str().into());
        }
        let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
        let is_empty = annotations.is_some_and(|annotations| {
            annotations.shift_remove(ROLLOUT_ID);
            annotations.is_empty()
        });
        if is_empty {
            metadata.shift_remove("annotations");
        }
    }
    restore(&mut template, &configs.into_iter().collect());
    let name = canary.spec.target_ref.name.as_str();
    let primary = format!("{name}{PRIMARY_SUFFIX}");
    for selector in selectors(&mut template["spec"]) {
        rename(selector, &primary, name, flags);
    }
    template
}

fn rollout_id(live: &Object) -> Option<&str> {
    target::template(live)["metadata"]["annotations"][ROLLOUT_ID].as_str()
}

fn object(
    canary: &Canary,
    target: &Target<'_>,
    flags: &Flags,
    annotations: BTreeMap<String, String>,
    spec: Map<String, Value>,
) -> Object {
    let mut labels = included(texts(&target.object.body, "labels"), flags);
    labels.insert(target.label.clone(), target.primary_value());
    let kind = if target.kind == TargetKind::DaemonSet { "DaemonSet" } else { "Deployment" };
    let content = [("spec".to_owned(), Value::Object(spec))].into_iter().collect();
    owned(
        canary,
        new_object(canary, "apps/v1", kind, &target.primary_name(), Metadata { labels, annotations }, content),
    )
}

fn base(canary: &Canary, target: &Target<'_>, tracked: &Tracked, flags: &Flags, id: &str) -> Map<String, Value> {
    let mut spec = Map::new();
    let fields: &[&str] = match target.kind {
        TargetKind::DaemonSet => &["minReadySeconds", "revisionHistoryLimit", "updateStrategy"],
        _ => &["progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy"],
    };
    for field in fields {
        if let Some(value) = target.object.body["spec"].get(field).filter(|value| !value.is_null()) {
            spec.insert((*field).to_owned(), value.clone());
        }
    }
    spec.insert("selector".into(), json!({"matchLabels": {&target.label: target.primary_value()}}));
    spec.insert("template".into(), template(canary, target, tracked, flags, id));
    spec
}

/// The target's pods, made the primary's.
fn template(canary: &Canary, target: &Target<'_>, tracked: &Tracked, flags: &Flags, id: &str) -> Value {
    let mut template = scale::without_zero(target::template(target.object));
    if !template["metadata"].is_object() {
        template["metadata"] = json!({});
    }
    for field in ["labels", "annotations"] {
        if !template["metadata"][field].is_object() {
            template["metadata"][field] = json!({});
        }
    }
    template["metadata"]["labels"][&target.label] = target.primary_value().into();
    template["metadata"]["annotations"][ROLLOUT_ID] = id.into();
    redirect(&mut template, tracked);
    let name = canary.spec.target_ref.name.as_str();
    let primary = format!("{name}{PRIMARY_SUFFIX}");
    for selector in selectors(&mut template["spec"]) {
        rename(selector, name, &primary, flags);
    }
    template
}

/// The selectors that keep pods apart: of anti-affinity and of spreading. A primary must not be kept from the canary's
/// places, only from its own.
fn selectors(spec: &mut Value) -> Vec<&mut Value> {
    let mut found = Vec::new();
    let Some(spec) = spec.as_object_mut() else { return found };
    for (field, value) in spec {
        match field.as_str() {
            "topologySpreadConstraints" => {
                let constraints = value.as_array_mut().into_iter().flatten();
                found.extend(constraints.filter_map(|constraint| constraint.get_mut("labelSelector")));
            }
            "affinity" => {
                let rules = value.get_mut("podAntiAffinity").and_then(Value::as_object_mut);
                for (when, terms) in rules.into_iter().flatten() {
                    for term in terms.as_array_mut().into_iter().flatten() {
                        let term = match when.as_str() {
                            "preferredDuringSchedulingIgnoredDuringExecution" => term.get_mut("podAffinityTerm"),
                            _ => Some(term),
                        };
                        found.extend(term.and_then(|term| term.get_mut("labelSelector")));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// Values that are one name, under a key that can be the selector label, become another.
fn rename(selector: &mut Value, from: &str, to: &str, flags: &Flags) {
    let is_key = |key: &str| flags.selector_labels.iter().any(|label| label == key);
    let change = |value: &mut Value| {
        if value == from {
            *value = to.into();
        }
    };
    for (key, value) in selector.get_mut("matchLabels").and_then(Value::as_object_mut).into_iter().flatten() {
        if is_key(key) {
            change(value);
        }
    }
    for expression in selector.get_mut("matchExpressions").and_then(Value::as_array_mut).into_iter().flatten() {
        if expression["key"].as_str().is_some_and(is_key)
            && let Some(values) = expression.get_mut("values").and_then(Value::as_array_mut)
        {
            values.iter_mut().for_each(change);
        }
    }
}
