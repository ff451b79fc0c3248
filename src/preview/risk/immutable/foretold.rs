//! What an apply leaves: the live object with what git changes of it.

use serde_json::{Map, Value};

/// The live object as an apply of `after` leaves it, where `before` was applied last: fields that git no longer has go,
/// those that only the cluster has stay.
pub fn foretold(before: Option<&Value>, after: &Value, live: &Value) -> Value {
    match (after, live) {
        (Value::Object(after), Value::Object(live)) => {
            let before = before.and_then(Value::as_object);
            let mut merged: Map<String, Value> = Map::new();
            for (name, value) in live {
                let was_ours = before.is_some_and(|before| before.contains_key(name));
                match after.get(name) {
                    Some(wanted) => {
                        let ours = before.and_then(|before| before.get(name));
                        merged.insert(name.clone(), foretold(ours, wanted, value));
                    }
                    None if was_ours => {}
                    None => drop(merged.insert(name.clone(), value.clone())),
                }
            }
            for (name, value) in after.iter().filter(|(name, _)| !live.contains_key(*name)) {
                merged.insert(name.clone(), value.clone());
            }
            merged.into()
        }
        (Value::Array(after), Value::Array(live)) => {
            let name = |item: &Value| item.get("name").cloned();
            // Looked for one by one: a list this long is compared by place.
            const MOST: usize = 1_000;
            if after.len() + live.len() > MOST || after.iter().chain(live).any(|item| name(item).is_none()) {
                return paired_by_place(before, after, live);
            }
            let before = before.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let find = |items: &[Value], item: &Value| items.iter().find(|other| name(other) == name(item)).cloned();
            let ours = after.iter().map(|item| match find(live, item) {
                Some(there) => foretold(find(before, item).as_ref(), item, &there),
                None => item.clone(),
            });
            let others = live.iter().filter(|item| find(after, item).is_none() && find(before, item).is_none());
            Value::Array(ours.chain(others.cloned()).collect())
        }
        _ => after.clone(),
    }
}

/// A list without names is one value; where its length stays, what the server added to an item stays too.
fn paired_by_place(before: Option<&Value>, after: &[Value], live: &[Value]) -> Value {
    if after.len() != live.len() {
        return Value::Array(after.to_vec());
    }
    let before = before.and_then(Value::as_array);
    let pairs = after.iter().zip(live).enumerate();
    Value::Array(pairs.map(|(at, (item, there))| foretold(before.and_then(|b| b.get(at)), item, there)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_git_drops_goes_and_what_only_the_cluster_has_stays() {
        let before =
            json!({"spec": {"a": 1, "dropped": 1, "containers": [{"name": "web", "image": "web:1", "old": 1}]}});
        let after = json!({"spec": {"a": 2, "containers": [{"name": "web", "image": "web:2"}]}});
        let live = json!({"spec": {"a": 1, "dropped": 1, "default": true, "containers": [
            {"name": "proxy", "image": "proxy:1"},
            {"name": "web", "image": "web:1", "old": 1, "default": true}]}});
        let expected = json!({"spec": {"a": 2, "default": true, "containers": [
            {"name": "web", "image": "web:2", "default": true},
            {"name": "proxy", "image": "proxy:1"}]}});
        assert_eq!(foretold(Some(&before), &after, &live), expected);
    }
}
