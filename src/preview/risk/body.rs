//! Where things are in the bodies of well-known kinds.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::object::quantity::Quantity;

/// The value at a JSON pointer; null counts as absent.
pub(super) fn at<'a>(body: &'a Value, pointer: &str) -> Option<&'a Value> {
    body.pointer(pointer).filter(|value| !value.is_null())
}

/// The text at a JSON pointer.
pub(super) fn text<'a>(body: &'a Value, pointer: &str) -> Option<&'a str> {
    at(body, pointer)?.as_str()
}

/// The whole number at a JSON pointer.
pub(super) fn number(body: &Value, pointer: &str) -> Option<i64> {
    at(body, pointer)?.as_i64()
}

/// True when the value at a JSON pointer is true.
pub(super) fn is_set(body: &Value, pointer: &str) -> bool {
    at(body, pointer) == Some(&Value::Bool(true))
}

/// The items of the list at a JSON pointer.
pub(super) fn items<'a>(body: &'a Value, pointer: &str) -> &'a [Value] {
    at(body, pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The texts of the list at a JSON pointer.
pub(super) fn texts<'a>(body: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> {
    items(body, pointer).iter().filter_map(Value::as_str)
}

/// The entries of the mapping at a JSON pointer.
pub(super) fn entries<'a>(body: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    at(body, pointer)?.as_object()
}

/// The quantity at a JSON pointer.
pub(super) fn quantity(body: &Value, pointer: &str) -> Option<Quantity> {
    Quantity::from_value(at(body, pointer)?)
}

/// An annotation.
pub(super) fn annotation<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get("metadata")?.get("annotations")?.get(name)?.as_str()
}

/// The template of the pods that an object makes; a Pod is its own.
pub(super) fn template(body: &Value) -> Option<&Value> {
    match body.get("kind")?.as_str()? {
        "Pod" => Some(body),
        "CronJob" => at(body, "/spec/jobTemplate/spec/template"),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" | "ReplicationController" => {
            at(body, "/spec/template")
        }
        _ => None,
    }
}

/// The containers of a pod's template, those that run first included.
pub(super) fn containers(template: &Value) -> impl Iterator<Item = &Value> {
    items(template, "/spec/initContainers").iter().chain(items(template, "/spec/containers"))
}

/// The name of a container, volume …
pub(super) fn name(item: &Value) -> &str {
    text(item, "/name").unwrap_or_default()
}

/// The labels of a body or a template.
pub(super) fn labels(body: &Value) -> BTreeMap<&str, &str> {
    let labels = entries(body, "/metadata/labels").into_iter().flatten();
    labels.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
}

/// True when a label selector (`matchLabels`, `matchExpressions`) selects these labels. An empty one selects all.
pub(super) fn selects(selector: &Value, labels: &BTreeMap<&str, &str>) -> bool {
    let equal = entries(selector, "/matchLabels").is_none_or(|wanted| has_all(wanted, labels));
    equal
        && items(selector, "/matchExpressions").iter().all(|expression| {
            let value = text(expression, "/key").and_then(|key| labels.get(key));
            let is_listed = || texts(expression, "/values").any(|wanted| Some(&wanted) == value);
            match text(expression, "/operator") {
                Some("In") => is_listed(),
                Some("NotIn") => !is_listed(),
                Some("Exists") => value.is_some(),
                Some("DoesNotExist") => value.is_none(),
                _ => false,
            }
        })
}

/// True when the labels have all of these.
pub(super) fn has_all(wanted: &Map<String, Value>, labels: &BTreeMap<&str, &str>) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name.as_str()).copied() == value.as_str())
}

/// How many pods it asks for; one, when it says nothing.
pub(super) fn replicas(body: &Value) -> u64 {
    number(body, "/spec/replicas").map_or(1, |count| u64::try_from(count).unwrap_or_default())
}
