//! What the cluster has otherwise than git in an object that changes anyway.

use serde_json::Value;

use crate::object::quantity;

use super::{scalar, step};

/// Longer lists have no names that a person knows.
const MOST_NAMED: usize = 1_000;

/// Fields that the cluster has otherwise than the base renders them, and that are in git as they were: an apply puts
/// them back. What git says nothing about is not looked at; amounts in other words are equal.
pub fn drifted(before: &Value, live: &Value, after: Option<&Value>) -> Vec<String> {
    let mut paths = Vec::new();
    drifted_below(before, live, after, "", &mut paths);
    paths
}

fn drifted_below(before: &Value, live: &Value, after: Option<&Value>, path: &str, paths: &mut Vec<String>) {
    match (before, live) {
        (Value::Object(before), Value::Object(live)) => {
            for (name, value) in before {
                if let Some(there) = live.get(name) {
                    let after = after.and_then(|after| after.get(name));
                    let path = format!("{path}{}", step(name));
                    drifted_below(value, there, after, path.trim_start_matches('.'), paths);
                }
            }
        }
        (Value::Array(items), Value::Array(there)) if items.len() + there.len() < MOST_NAMED => {
            let name = |item: &Value| item.get("name").cloned();
            let find = |items: &[Value], item: &Value| items.iter().find(|other| name(other) == name(item)).cloned();
            for item in items.iter().filter(|item| name(item).is_some()) {
                if let Some(there) = find(there, item) {
                    let after = after.and_then(Value::as_array).and_then(|after| find(after, item));
                    let label = item.get("name").map(scalar::plain).unwrap_or_default();
                    drifted_below(item, &there, after.as_ref(), &format!("{path}[{label}]"), paths);
                }
            }
        }
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => {}
        (before, live) => {
            if before != live && after == Some(before) && !quantity::same(before, live) {
                paths.push(path.to_owned());
            }
        }
    }
}
