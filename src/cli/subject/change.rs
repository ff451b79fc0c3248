//! What becomes of one object, as a dry run foretells it; fit to be shown.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::View;
use crate::live::client::{ApplyOptions, Error, FIELD_MANAGER};
use crate::object::fields::{self, Step as Path};
use crate::object::secret::MaskKey;
use crate::object::{Object, ObjectKey};
use crate::plan::diff::Change;
use crate::sync::{apply, execute};

/// One object, before and after.
pub(in super::super) struct Foretold {
    pub(in super::super) change: Change,
    /// Who else has changed what would be put back, newest first.
    pub(in super::super) by: Option<Hand>,
    /// Why the API server would refuse it; no secret in it.
    pub(in super::super) refused: Option<String>,
    /// Fields that would be left out because no schema knows them.
    pub(in super::super) dropped: Vec<String>,
}

/// A manager other than we, and when it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Hand {
    pub(in super::super) manager: String,
    pub(in super::super) at: Option<Timestamp>,
}

/// Asks what an apply of an object would do.
pub(in super::super) async fn applied(view: &View, object: &Arc<Object>, key: &MaskKey) -> Foretold {
    let options = ApplyOptions { dry_run: true, force: true, want_body: true, ..ApplyOptions::default() };
    let (live, answer) =
        futures::join!(view.cluster.find(&object.key, &object.version), apply::apply(&view.cluster, object, &options));
    let live = live.ok().flatten().and_then(|body| Object::from_value(body, None).ok());
    let mut foretold = Foretold { change: Change::created(object, key), by: None, refused: None, dropped: Vec::new() };
    match (live, answer) {
        (live, Ok(done)) => {
            foretold.dropped = done.dropped.iter().map(ToString::to_string).collect();
            let after = done.applied.body.and_then(|body| Object::from_value(body, None).ok());
            if let (Some(live), Some(after)) = (live, after) {
                foretold.by = other_hand(&live.body, &after.body);
                foretold.change = Change::foretold(&live, &after, key);
            }
        }
        // Its namespace or its kind comes with the same sync.
        (None, Err(Error::NamespaceMissing { .. } | Error::NoKind { .. } | Error::KindUnknown { .. })) => {}
        (live, Err(error)) => {
            foretold.refused = Some(execute::failure(&error, &object.key, Some(object)).message);
            if let Some(live) = live {
                foretold.change = Change::rendered(&live, object, FIELD_MANAGER, key);
            }
        }
    }
    foretold
}

/// What is lost with an object that is deleted; `None` when it has gone meanwhile.
pub(in super::super) async fn deleted(view: &View, key: &ObjectKey, version: &str, mask: &MaskKey) -> Option<Change> {
    let live = view.cluster.find(key, version).await.ok()??;
    Object::from_value(live, None).ok().map(|live| Change::deleted(&live, mask))
}

/// The newest writer, other than we, of anything that would change.
fn other_hand<'a>(live: &'a Value, after: &'a Value) -> Option<Hand> {
    let mut found: Vec<fields::Owner> = Vec::new();
    let mut path: Vec<Path<'a>> = Vec::new();
    for part in ["spec", "data", "binaryData", "stringData", "rules", "subjects", "roleRef", "type"] {
        path.push(Path::Field(part));
        changed(live, live.get(part), after.get(part), &mut path, &mut found);
        path.pop();
    }
    for part in ["labels", "annotations"] {
        path.extend([Path::Field("metadata"), Path::Field(part)]);
        fn entries<'a>(body: &'a Value, part: &str) -> Option<&'a serde_json::Map<String, Value>> {
            body.get("metadata")?.get(part)?.as_object()
        }
        // What comes anew is nobody's change.
        for (name, value) in entries(live, part).into_iter().flatten() {
            if entries(after, part).is_none_or(|after| after.get(name) != Some(value)) {
                path.push(Path::Field(name));
                found.extend(fields::owners(live, &path));
                path.pop();
            }
        }
        path.truncate(path.len() - 2);
    }
    let other = found.into_iter().filter(|owner| owner.manager != FIELD_MANAGER).max_by_key(|owner| owner.time)?;
    let at = other.time.and_then(|time| Timestamp::from_second(time.as_second()).ok());
    Some(Hand { manager: other.manager.to_string(), at })
}

/// Collects the owners of all places at which two values differ.
fn changed<'a>(
    live: &Value,
    before: Option<&'a Value>,
    after: Option<&'a Value>,
    path: &mut Vec<Path<'a>>,
    found: &mut Vec<fields::Owner>,
) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
            for name in names {
                path.push(Path::Field(name));
                changed(live, old.get(name), new.get(name), path, found);
                path.pop();
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                path.push(Path::Index(index));
                changed(live, Some(old), Some(new), path, found);
                path.pop();
            }
        }
        _ => found.extend(fields::owners(live, path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_changed_a_field_is_named() {
        let live = json!({
            "metadata": {"managedFields": [
                {"manager": "leeboard", "operation": "Apply", "time": "2026-11-21T07:00:00Z", "fieldsV1": {"f:spec": {"f:image": {}}}},
                {"manager": "kubectl-scale", "operation": "Update", "time": "2026-11-21T08:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ]},
            "spec": {"replicas": 5, "image": "a"},
        });
        let mut scaled = live.clone();
        scaled["spec"]["replicas"] = json!(2);
        assert_eq!(other_hand(&live, &scaled).map(|hand| hand.manager).as_deref(), Some("kubectl-scale"));
        let mut raised = live.clone();
        raised["spec"]["image"] = json!("b");
        assert_eq!(other_hand(&live, &raised), None, "it is our own field");
    }
}
