//! Definitions of custom resources, and what their schemas say of instances.

use serde_json::Value;

use crate::object::ObjectKey;

use super::super::super::Facts;
use super::super::body::{at, entries, is_set, items, text, texts};
use super::Refused;

/// Deeper schemas do not exist; values that deep are hostile.
const DEEPEST: usize = 64;

pub(super) fn definition(was: &Value, will: &Value) -> Vec<Refused> {
    let mut found = Vec::new();
    let is_kept = |version: &str| items(will, "/spec/versions").iter().any(|kept| text(kept, "/name") == Some(version));
    if texts(was, "/status/storedVersions").any(|version| !is_kept(version)) {
        found.push(Refused::new("spec.versions", "have to hold the version in which objects are stored"));
    }
    if is_set(will, "/spec/preserveUnknownFields") {
        found.push(Refused::new("spec.preserveUnknownFields", "cannot be set"));
    }
    found
}

/// What the schema of its definition says against an object.
pub(super) fn instance(key: &ObjectKey, was: Option<&Value>, will: &Value, facts: &Facts) -> Vec<Refused> {
    let Some(schema) = schema_of(key, will, facts) else { return vec![] };
    let mut found = Vec::new();
    for field in ["spec", "data"] {
        if let (Some(schema), Some(value)) = (at(schema, &format!("/properties/{field}")), will.get(field)) {
            let was = was.and_then(|was| was.get(field));
            check(schema, was, value, field, 0, &mut found);
        }
    }
    found
}

fn schema_of<'a>(key: &ObjectKey, body: &Value, facts: &'a Facts) -> Option<&'a Value> {
    let (_, version) = crate::object::split_api_version(body.get("apiVersion")?.as_str()?);
    let is_of = |body: &&Value| {
        text(body, "/spec/group") == Some(&key.group) && text(body, "/spec/names/kind") == Some(&key.kind)
    };
    let rendered = facts.merged.iter().filter(|object| object.key.kind == "CustomResourceDefinition");
    let live = facts.cluster.iter().filter(|(key, _)| key.kind == "CustomResourceDefinition");
    let definition = rendered.map(|object| &object.body).chain(live.map(|(_, body)| body)).find(is_of)?;
    let version = items(definition, "/spec/versions").iter().find(|one| text(one, "/name") == Some(version))?;
    at(version, "/schema/openAPIV3Schema")
}

fn check(schema: &Value, was: Option<&Value>, will: &Value, path: &str, depth: usize, found: &mut Vec<Refused>) {
    if depth > DEEPEST || (will.is_null() && is_set(schema, "/nullable")) {
        return;
    }
    if !has_type(schema, will) {
        found.push(Refused::new(path, "has the wrong type"));
        return;
    }
    let is_fixed = items(schema, "/x-kubernetes-validations").iter().any(|rule| {
        let rule: String = text(rule, "/rule").unwrap_or_default().split_whitespace().collect();
        rule == "self==oldSelf" || rule == "oldSelf==self"
    });
    if is_fixed && was.is_some_and(|was| was != will) {
        found.push(Refused::new(path, super::IMMUTABLE));
    }
    match will {
        Value::Object(map) => {
            let properties = entries(schema, "/properties");
            let others = at(schema, "/additionalProperties");
            let is_open = is_set(schema, "/x-kubernetes-preserve-unknown-fields")
                || is_set(schema, "/x-kubernetes-embedded-resource")
                || (properties.is_none() && others.is_none());
            for (name, value) in map {
                let path = format!("{path}.{name}");
                let was = was.and_then(|was| was.get(name));
                match (properties.and_then(|known| known.get(name)), others) {
                    (Some(schema), _) | (None, Some(schema)) => check(schema, was, value, &path, depth + 1, found),
                    (None, None) if is_open => {}
                    (None, None) => found.push(Refused::new(path, "is not in the schema")),
                }
            }
            for name in texts(schema, "/required").filter(|name| !map.contains_key(*name)) {
                let has_default = properties.and_then(|known| known.get(name)?.get("default")).is_some();
                if !has_default {
                    found.push(Refused::new(format!("{path}.{name}"), "is required"));
                }
            }
        }
        Value::Array(values) => {
            let Some(schema) = at(schema, "/items") else { return };
            for (at, value) in values.iter().enumerate() {
                check(schema, None, value, &format!("{path}[{at}]"), depth + 1, found);
            }
        }
        value => {
            let allowed = items(schema, "/enum");
            if !allowed.is_empty() && !allowed.contains(value) {
                found.push(Refused::new(path, "is none of the values that are allowed"));
            }
        }
    }
}

fn has_type(schema: &Value, value: &Value) -> bool {
    if is_set(schema, "/x-kubernetes-int-or-string") {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match (text(schema, "/type"), value) {
        (None, _) => true,
        (Some("object"), value) => value.is_object(),
        (Some("array"), value) => value.is_array(),
        (Some("string"), value) => value.is_string(),
        (Some("boolean"), value) => value.is_boolean(),
        (Some("integer"), value) => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        (Some("number"), value) => value.is_number(),
        (Some(_), _) => true,
    }
}
