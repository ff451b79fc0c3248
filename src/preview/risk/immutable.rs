//! What an API server refuses to change, and other mistakes that it refuses: R4, R5, R20.
//!
//! **In:** an object as it is and as it would be. **Out:** [`Refused`] fields. Facts: Kubernetes 1.36, asked of a running
//! API server field by field; of custom resources, what their definition's schema says, and its rules of the form
//! `self == oldSelf`. Anything else only a dry run tells.

mod custom;
mod foretold;
mod service;
mod storage;

use serde_json::{Map, Value};

use crate::object::{Object, ObjectKey, quantity};

pub use self::foretold::foretold;
use super::super::phrase::{listed, say};
use super::super::{ChangeKind, Facts};
use super::body::{at, entries, has_all, is_set, items, labels, text};
use super::{Case, Finding, Severity};

/// A field that the API server would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `spec.selector`.
    pub field: String,
    /// `cannot be changed`.
    pub why: &'static str,
}

const IMMUTABLE: &str = "cannot be changed";

impl Refused {
    fn new(field: impl Into<String>, why: &'static str) -> Self {
        Refused { field: field.into(), why }
    }
}

/// Group, kind, the fields that never change, and what stands for an absent one.
type Fields = (&'static str, &'static str, &'static [(&'static str, Option<&'static str>)]);

const FIELDS: &[Fields] = &[
    ("apps", "Deployment", &[("/spec/selector", None)]),
    ("apps", "ReplicaSet", &[("/spec/selector", None)]),
    ("apps", "DaemonSet", &[("/spec/selector", None)]),
    ("apps", "ControllerRevision", &[("/data", None), ("/revision", None)]),
    (
        "batch",
        "Job",
        &[
            ("/spec/selector", None),
            ("/spec/completionMode", Some("NonIndexed")),
            ("/spec/podFailurePolicy", None),
            ("/spec/backoffLimitPerIndex", None),
            ("/spec/managedBy", None),
            ("/spec/successPolicy", None),
        ],
    ),
    ("", "Secret", &[("/type", Some("Opaque"))]),
    ("", "ResourceQuota", &[("/spec/scopes", None)]),
    (
        "storage.k8s.io",
        "StorageClass",
        &[
            ("/provisioner", None),
            ("/parameters", None),
            ("/reclaimPolicy", Some("Delete")),
            ("/volumeBindingMode", Some("Immediate")),
        ],
    ),
    ("storage.k8s.io", "VolumeAttributesClass", &[("/driverName", None), ("/parameters", None)]),
    ("storage.k8s.io", "VolumeAttachment", &[("/spec", None)]),
    ("storage.k8s.io", "CSIDriver", &[("/spec/attachRequired", None), ("/spec/volumeLifecycleModes", None)]),
    ("rbac.authorization.k8s.io", "RoleBinding", &[("/roleRef", None)]),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", &[("/roleRef", None)]),
    ("networking.k8s.io", "IngressClass", &[("/spec/controller", None)]),
    ("networking.k8s.io", "ServiceCIDR", &[("/spec/cidrs", None)]),
    ("node.k8s.io", "RuntimeClass", &[("/handler", None)]),
    ("scheduling.k8s.io", "PriorityClass", &[("/value", None), ("/preemptionPolicy", Some("PreemptLowerPriority"))]),
    ("discovery.k8s.io", "EndpointSlice", &[("/addressType", None)]),
    ("resource.k8s.io", "ResourceClaim", &[("/spec", None)]),
    ("resource.k8s.io", "ResourceClaimTemplate", &[("/spec", None)]),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &[("/spec/group", None), ("/spec/names/plural", None), ("/spec/scope", None), ("/spec/names/kind", None)],
    ),
];

/// What an API server would say to this change of an object.
pub fn refused(key: &ObjectKey, was: &Value, will: &Value, facts: &Facts) -> Vec<Refused> {
    let kind = (&*key.group, &*key.kind);
    let mut found = Vec::new();
    for (_, _, fields) in FIELDS.iter().filter(|(group, kind, _)| (*group, *kind) == (&*key.group, &*key.kind)) {
        for (pointer, default) in *fields {
            let value = |body| at(body, pointer).cloned().or_else(|| default.map(Value::from));
            let (before, after) = (value(was), value(will));
            if !is_same(before.as_ref(), after.as_ref()) {
                found.push(Refused::new(dotted(pointer), IMMUTABLE));
            }
        }
    }
    match kind {
        ("apps", "StatefulSet") => found.extend(stateful_set(was, will)),
        ("batch", "Job") => found.extend(job(was, will)),
        ("", "Pod") => found.extend(pod(was, will)),
        ("", "Service") => found.extend(service::refused(was, will)),
        ("", "ConfigMap" | "Secret") => found.extend(frozen(was, will)),
        ("", "PersistentVolumeClaim") => found.extend(storage::claim(was, will, facts)),
        ("", "PersistentVolume") => found.extend(storage::volume(was, will)),
        ("policy", "PodDisruptionBudget") => {
            if at(will, "/spec/minAvailable").is_some() && at(will, "/spec/maxUnavailable").is_some() {
                found.push(Refused::new("spec.maxUnavailable", "cannot stand beside minAvailable"));
            }
        }
        ("autoscaling", "HorizontalPodAutoscaler") => {
            let is_outside = |metric: &Value| matches!(text(metric, "/type"), Some("Object" | "External"));
            if at(will, "/spec/minReplicas") == Some(&Value::from(0))
                && !items(will, "/spec/metrics").iter().any(is_outside)
            {
                found.push(Refused::new("spec.minReplicas", "must be at least 1"));
            }
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => found.extend(custom::definition(was, will)),
        _ => found.extend(custom::instance(key, Some(was), will, facts)),
    }
    if matches!(kind, ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet")) {
        found.extend(unselected(will));
    }
    if kind == ("apps", "Deployment")
        && text(will, "/spec/strategy/type") == Some("Recreate")
        && at(will, "/spec/strategy/rollingUpdate").is_some()
    {
        found.push(Refused::new("spec.strategy.rollingUpdate", "is not allowed when the strategy is Recreate"));
    }
    found
}

/// R4, R5, R20: fields that cannot be changed, and what follows.
pub(super) fn fields(case: &Case<'_>) -> Vec<Finding> {
    let Some(new) = case.new else { return vec![] };
    let is_renamed = case.change.generated_name().is_some();
    let (Some(was), false) = (case.was(), is_renamed) else { return created(case, new) };
    let will = case.live.map_or_else(|| new.clone(), |live| foretold(case.old, new, live));
    let mut refused = refused(case.key, was, &will, case.scene.facts());
    if case.is("", "PersistentVolumeClaim") {
        // R19 has its own words.
        refused.retain(|field| field.field != "spec.resources.requests.storage");
    }
    if refused.is_empty() || is_hook(case) {
        return vec![];
    }
    let is_selector = |field: &Refused| field.field == "spec.selector" && case.key.group == "apps";
    let is_selector = refused.iter().any(is_selector);
    let is_job = case.is("batch", "Job");
    let holds = matches!(
        (&*case.key.group, &*case.key.kind),
        ("apps", "StatefulSet") | ("", "PersistentVolumeClaim" | "PersistentVolume" | "Service")
    );
    let kind = case.kind();
    let names: Vec<String> = refused.iter().map(|field| field.field.clone()).collect();
    let why = refused.first().map_or(IMMUTABLE, |field| field.why);
    let is_replaced = case.change.kind == ChangeKind::Replace;
    let says = match (is_selector, is_replaced) {
        (true, false) => say(
            &format!(
                "changes the selector of {kind} {{}}: the API server refuses it, and made anew its pods would be orphaned"
            ),
            &[&case.place()],
        ),
        (true, true) => say(
            &format!("changes the selector of {kind} {{}}: it is deleted and made anew, and no pod runs in between"),
            &[&case.place()],
        ),
        (false, true) => say(&format!("deletes {kind} {{}} and makes it anew: "), &[&case.place()])
            .then(listed(&names, 4))
            .then(say(&format!(" {why}{}", cost(case)), &[])),
        (false, false) => say(&format!("changes {kind} {{}}, which the API server refuses: "), &[&case.place()])
            .then(listed(&names, 4))
            .then(say(&format!(" {why}"), &[]))
            .then(say(if is_job { "; give it a new name, or make it a hook with a delete policy" } else { "" }, &[])),
    };
    let (rule, severity) = match () {
        () if is_selector => (5, Severity::Red),
        () if is_job => (20, Severity::Yellow),
        () if holds => (4, Severity::Red),
        () => (4, Severity::Yellow),
    };
    vec![Finding::new(rule, severity, says)]
}

/// What is wrong with an object whatever it was before.
fn created(case: &Case<'_>, new: &Value) -> Vec<Finding> {
    let wrong = custom::instance(case.key, None, new, case.scene.facts());
    let at = case.change.source().map(ToString::to_string);
    let findings = wrong.into_iter().map(|field| {
        let template = format!("{} {{}} would be refused: {{}} {}", case.kind(), field.why);
        let says = say(&template, &[&case.place(), &field.field]);
        match &at {
            Some(at) => Finding::red(25, says.then(say(" ({})", &[at]))),
            None => Finding::red(25, says),
        }
    });
    findings.collect()
}

fn is_hook(case: &Case<'_>) -> bool {
    use crate::plan::hook::Role;
    let after: Option<&Object> = case.change.after.as_deref();
    after.is_some_and(|object| Role::of(object) != Role::Kept)
}

/// What it costs to make a thing anew.
fn cost(case: &Case<'_>) -> &'static str {
    match (&*case.key.group, &*case.key.kind) {
        ("apps", "StatefulSet") => "; no pod of it runs in between, its claims stay",
        ("", "PersistentVolumeClaim") => "; its data goes with it",
        ("", "Service") => "; its addresses change",
        _ => "",
    }
}

/// `/spec/selector` as people write it.
fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

/// Equal to an API server: the same amount in other words is the same.
fn is_same(before: Option<&Value>, after: Option<&Value>) -> bool {
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
            names.into_iter().all(|name| is_same(before.get(name), after.get(name)))
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            before.len() == after.len() && before.iter().zip(after).all(|(b, a)| is_same(Some(b), Some(a)))
        }
        (Some(before), Some(after)) => before == after || quantity::same(before, after),
        (None, Some(value)) | (Some(value), None) => is_nothing(value),
        (None, None) => true,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A mapping without some of its entries.
fn without(body: &Value, pointer: &str, names: &[&str]) -> Map<String, Value> {
    let mut map = entries(body, pointer).cloned().unwrap_or_default();
    map.retain(|name, _| !names.contains(&name.as_str()));
    map
}

/// The entries of two mappings that differ.
fn differing(before: &Map<String, Value>, after: &Map<String, Value>, under: &str) -> Vec<String> {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let differs = |name: &&String| !is_same(before.get(*name), after.get(*name));
    names.filter(differs).map(|name| format!("{under}.{name}")).collect()
}

fn stateful_set(was: &Value, will: &Value) -> Vec<Refused> {
    const FREE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let (was, will) = (without(was, "/spec", &FREE), without(will, "/spec", &FREE));
    differing(&was, &will, "spec").into_iter().map(|field| Refused::new(field, IMMUTABLE)).collect()
}

fn job(was: &Value, will: &Value) -> Vec<Refused> {
    const FREE: [&str; 3] = ["nodeSelector", "tolerations", "affinity"];
    let mut found = Vec::new();
    let template = |body: &Value| -> Value {
        let mut template = at(body, "/spec/template").cloned().unwrap_or_default();
        if is_set(was, "/spec/suspend") {
            if let Some(template) = template.as_object_mut() {
                template.remove("metadata");
            }
            if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
                spec.retain(|name, _| !FREE.contains(&name.as_str()));
            }
            for list in ["containers", "initContainers"] {
                let containers = template.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
                let containers = containers.into_iter().flatten().filter_map(Value::as_object_mut);
                containers.for_each(|container| drop(container.remove("resources")));
            }
        }
        template
    };
    if !is_same(Some(&template(was)), Some(&template(will))) {
        found.push(Refused::new("spec.template", IMMUTABLE));
    }
    let completions = |body| at(body, "/spec/completions");
    if !is_same(completions(was), completions(will)) {
        let is_indexed = text(was, "/spec/completionMode") == Some("Indexed");
        if !is_indexed {
            found.push(Refused::new("spec.completions", IMMUTABLE));
        } else if completions(will) != at(will, "/spec/parallelism") {
            found.push(Refused::new("spec.completions", "changes only together with spec.parallelism"));
        }
    }
    found
}

fn pod(was: &Value, will: &Value) -> Vec<Refused> {
    const FREE: [&str; 5] = [
        "activeDeadlineSeconds",
        "tolerations",
        "terminationGracePeriodSeconds",
        "schedulingGates",
        "ephemeralContainers",
    ];
    let spec = |body: &Value| {
        let mut spec = without(body, "/spec", &FREE);
        for list in ["containers", "initContainers"] {
            let containers = spec.get_mut(list).and_then(Value::as_array_mut);
            let containers = containers.into_iter().flatten().filter_map(Value::as_object_mut);
            containers.for_each(|container| drop(container.remove("image")));
        }
        spec
    };
    let mut found = differing(&spec(was), &spec(will), "spec");
    let lost = items(was, "/spec/tolerations").iter().any(|old| !items(will, "/spec/tolerations").contains(old));
    found.extend(lost.then(|| "spec.tolerations".to_owned()));
    let added =
        items(will, "/spec/schedulingGates").iter().any(|new| !items(was, "/spec/schedulingGates").contains(new));
    found.extend(added.then(|| "spec.schedulingGates".to_owned()));
    found.into_iter().map(|field| Refused::new(field, IMMUTABLE)).collect()
}

/// A ConfigMap or Secret with `immutable: true`.
fn frozen(was: &Value, will: &Value) -> Vec<Refused> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    const WHY: &str = "cannot be changed while `immutable` is set";
    if !is_set(was, "/immutable") {
        return vec![];
    }
    let mut found: Vec<Refused> = ["data", "binaryData"]
        .into_iter()
        .filter(|field| !is_same(at(was, &format!("/{field}")), at(will, &format!("/{field}"))))
        .map(|field| Refused::new(field, WHY))
        .collect();
    let differs = |(name, value): (&String, &Value)| {
        let there = was.get("data").and_then(|data| data.get(name)).and_then(Value::as_str);
        let encoded = value.as_str().map(|text| STANDARD.encode(text));
        let plain = was.get("stringData").and_then(|data| data.get(name));
        there != encoded.as_deref() && plain != Some(value)
    };
    if entries(will, "/stringData").into_iter().flatten().any(differs) {
        found.push(Refused::new("data", WHY));
    }
    if !is_set(will, "/immutable") {
        found.push(Refused::new("immutable", WHY));
    }
    found
}

/// The selector has to select the pods that the template makes.
fn unselected(will: &Value) -> Option<Refused> {
    let wanted = entries(will, "/spec/selector/matchLabels")?;
    let template = at(will, "/spec/template")?;
    (!has_all(wanted, &labels(template)))
        .then(|| Refused::new("spec.template.metadata.labels", "are not what the selector selects"))
}
