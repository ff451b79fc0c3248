//! The primary's autoscaler: a copy of the target's that looks at the primary.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{CANARY_SUFFIX, Error, Flags, Metadata, PRIMARY_SUFFIX, Target, included, new_object, owned, texts};
use crate::api::flagger::{AutoscalerReference, Canary};
use crate::object::Object;

/// The primary's scaler; nothing without `autoscalerRef`.
///
/// # Errors
/// When it is of a kind that nobody knows here.
pub fn primary(
    canary: &Canary,
    target: &Target<'_>,
    scaler: Option<&Object>,
    flags: &Flags,
) -> Result<Option<Object>, Error> {
    let Some(reference) = &canary.spec.autoscaler_ref else { return Ok(None) };
    let kind = reference.kind.as_str();
    if !matches!(kind, "HorizontalPodAutoscaler" | "ScaledObject") {
        return Err(Error::ScalerKind { kind: kind.to_owned() });
    }
    let Some(scaler) = scaler else {
        let name = reference.name.clone();
        let plural =
            if kind == "ScaledObject" { "scaledobjects.keda.sh" } else { "horizontalpodautoscalers.autoscaling" };
        return Err(Error::Unreadable {
            cause: format!("{plural} \"{name}\" not found"),
            kind: kind.to_owned(),
            name,
            namespace: super::namespace_of(canary).to_owned(),
        });
    };
    let name = format!("{}{PRIMARY_SUFFIX}", reference.name);
    let labels = included(texts(&scaler.body, "labels"), flags);
    let (api_version, annotations, spec) = if kind == "ScaledObject" {
        let annotations = included(texts(&scaler.body, "annotations"), flags);
        ("keda.sh/v1alpha1", annotations, scaled_object(reference, target, &scaler.body["spec"]))
    } else {
        ("autoscaling/v2", BTreeMap::new(), hpa(reference, target, &scaler.body["spec"]))
    };
    let content = [("spec".to_owned(), Value::Object(spec))].into_iter().collect();
    Ok(Some(owned(canary, new_object(canary, api_version, kind, &name, Metadata { labels, annotations }, content))))
}

fn hpa(reference: &AutoscalerReference, target: &Target<'_>, of: &Value) -> Map<String, Value> {
    let mut spec = Map::new();
    spec.insert(
        "scaleTargetRef".into(),
        json!({"apiVersion": "apps/v1", "kind": target.object.key.kind.as_str(), "name": target.primary_name()}),
    );
    for field in ["minReplicas", "maxReplicas", "metrics", "behavior"] {
        if let Some(value) = of.get(field).filter(|value| !value.is_null()) {
            spec.insert(field.into(), value.clone());
        }
    }
    replicas(&mut spec, reference, "minReplicas", "maxReplicas");
    spec
}

fn scaled_object(reference: &AutoscalerReference, target: &Target<'_>, of: &Value) -> Map<String, Value> {
    let mut spec = of.as_object().cloned().unwrap_or_default();
    let scaled = spec.entry("scaleTargetRef").or_insert_with(|| json!({}));
    scaled["name"] = target.primary_name().into();
    replicas(&mut spec, reference, "minReplicaCount", "maxReplicaCount");
    let triggers = spec.get_mut("triggers").and_then(Value::as_array_mut);
    for trigger in triggers.into_iter().flatten() {
        let own = trigger["name"].as_str().and_then(|name| reference.primary_scaler_queries.get(name)).cloned();
        let Some(Value::String(query)) = trigger.pointer_mut("/metadata/query") else { continue };
        if let Some(own) = own {
            *query = own;
        } else if reference.primary_scaler_queries.is_empty() {
            *query = of_primary(query, &target.object.key.name);
        }
    }
    if let Some(Value::String(name)) =
        spec.get_mut("advanced").and_then(|advanced| advanced.pointer_mut("/horizontalPodAutoscalerConfig/name"))
        && !name.is_empty()
    {
        name.push_str(PRIMARY_SUFFIX);
    }
    spec
}

fn replicas(spec: &mut Map<String, Value>, reference: &AutoscalerReference, min: &str, max: &str) {
    let Some(own) = reference.primary_scaler_replicas else { return };
    for (field, value) in [(min, own.min_replicas), (max, own.max_replicas)] {
        if let Some(value) = value {
            spec.insert(field.to_owned(), value.into());
        }
    }
}

/// `web-canary` and `web` become `web-primary`, where they stand as whole names.
fn of_primary(query: &str, name: &str) -> String {
    if name.is_empty() {
        return query.to_owned();
    }
    let primary = format!("{name}{PRIMARY_SUFFIX}");
    let mut out = String::with_capacity(query.len());
    let mut rest = query;
    while let Some(at) = rest.find(name) {
        let after = &rest[at + name.len()..];
        let before = rest[..at].chars().next_back().or_else(|| out.chars().next_back());
        let tail = after.strip_prefix(CANARY_SUFFIX).unwrap_or(after);
        let is_part = before.is_some_and(|before| before == '-' || is_of_name(before)) || tail.starts_with(is_of_name);
        let is_whole = !is_part && !after.starts_with(PRIMARY_SUFFIX);
        out.push_str(&rest[..at]);
        if is_whole {
            out.push_str(&primary);
            rest = tail;
        } else {
            out.push_str(name);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_about_the_canary_becomes_one_about_the_primary() {
        let cases = [
            // query, of the primary
            (r#"sum(rate(x{app="web"}[1m]))"#, r#"sum(rate(x{app="web-primary"}[1m]))"#),
            (r#"x{app="web-canary"}"#, r#"x{app="web-primary"}"#),
            (r#"x{app=~"web-[0-9a-z]+"}"#, r#"x{app=~"web-primary-[0-9a-z]+"}"#),
            (r#"x{app="web-primary"}"#, r#"x{app="web-primary"}"#),
            (r#"website_total{a="web"} / web_total"#, r#"website_total{a="web-primary"} / web_total"#),
            ("web", "web-primary"),
            ("my-web web", "my-web web-primary"),
            ("", ""),
        ];
        for (query, expected) in cases {
            assert_eq!(of_primary(query, "web"), expected, "{query}");
        }
    }
}
