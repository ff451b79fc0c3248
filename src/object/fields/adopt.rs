//! What a manager owns by apply, as an apply would write it; and what another tool owned, made ours.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::ManagedFields;
use super::set::Set;

/// The part of a live object that a manager owns by apply, as an apply would write it; `None` when it owns nothing.
///
/// Identity is always in it.
pub fn owned_part(live: &Value, manager: &str) -> Option<Value> {
    let entries = live.get("metadata")?.get("managedFields")?.as_array()?;
    let set = entries.iter().filter_map(ManagedFields::of_value).find(|entry| entry.is_applied_by(manager))?.set()?;
    let mut part = extract(&set, live);
    part["apiVersion"] = live.get("apiVersion")?.clone();
    part["kind"] = live.get("kind")?.clone();
    if !part.get("metadata").is_some_and(Value::is_object) {
        part["metadata"] = Value::Object(Map::new());
    }
    for field in ["name", "namespace"] {
        if let Some(value) = live["metadata"].get(field) {
            part["metadata"][field] = value.clone();
        }
    }
    Some(part)
}

fn extract(set: &Set, live: &Value) -> Value {
    if set.is_leaf() {
        return live.clone();
    }
    match live {
        Value::Object(map) => map
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), extract(set.field(name)?, value))))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| {
                let (_, below) = set.items.iter().find(|(element, _)| element.is(index, item))?;
                Some(extract(below, item))
            })
            .collect::<Vec<_>>()
            .into(),
        scalar => scalar.clone(),
    }
}

/// `managedFields` in which what these managers own has become ours, so that the next apply removes what git dropped.
///
/// Objects that were made by `kubectl apply` or by another engine need it once (Kubernetes' own tools call it
/// the upgrade from client-side to server-side apply). `None` when there is nothing to move.
pub fn adopt(live: &Value, from: &[&str], manager: &str, api_version: &str) -> Option<Value> {
    let entries = live.get("metadata")?.get("managedFields")?.as_array()?;
    // Also what we ourselves wrote other than by apply, if it is asked for.
    let is_source = |entry: &ManagedFields<'_>| {
        entry.subresource.is_none() && !entry.is_applied_by(manager) && from.contains(&entry.manager.as_ref())
    };
    let mut ours = Set::default();
    let mut kept = Vec::new();
    let mut moved = false;
    let mut newest: Option<(Option<Timestamp>, &Value)> = None;
    for value in entries {
        let entry = ManagedFields::of_value(value)?;
        let source = is_source(&entry);
        if !source && !entry.is_applied_by(manager) {
            kept.push(value.clone());
            continue;
        }
        moved |= source;
        ours.merge(entry.set()?);
        if let Some(time) = value.get("time")
            && newest.is_none_or(|(newest, _)| newest < entry.time)
        {
            newest = Some((entry.time, time));
        }
    }
    if !moved {
        return None;
    }
    // What kubectl keeps of its last apply is not content; owned by us, our next apply would remove it. That is meant.
    let mut entry = serde_json::json!({
        "manager": manager,
        "operation": "Apply",
        "apiVersion": api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": ours.to_value(),
    });
    if let Some((_, time)) = newest {
        entry["time"] = time.clone();
    }
    kept.insert(0, entry);
    Some(Value::Array(kept))
}
