//! How one object changes, as a person reads it: two texts of YAML and their unified diff.
//!
//! **In:** the object as it is, and as it will be: best as a dry run foretells it, for then both sides have the API
//! server's own defaults and quantities. **Out:** a [`Change`], secret values masked (G7). **May not:** decide whether
//! an object differs: that is [`super::compare`]'s word.

use serde_json::Value;
use similar::TextDiff;

use crate::object::fields::owned_part;
use crate::object::secret::{self, MaskKey};
use crate::object::{Object, ObjectKey, annotation};
use crate::yaml::emit;

/// What of `metadata` only the API server writes.
const SERVER_FIELDS: [&str; 7] =
    ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "deletionTimestamp", "selfLink"];
/// Annotations that say how an object came to be, not what it is.
const BOOKKEEPING: [&str; 3] =
    ["kubectl.kubernetes.io/last-applied-configuration", annotation::TRACKING_ID, annotation::PLAN];

/// How one object changes. Both sides are masked.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which object.
    pub key: ObjectKey,
    /// As it is; `None` when it is created.
    pub before: Option<Value>,
    /// As it will be; `None` when it is deleted.
    pub after: Option<Value>,
}

impl Change {
    /// An object that is not in the cluster.
    pub fn created(desired: &Object, key: &MaskKey) -> Self {
        Change { key: desired.key.clone(), before: None, after: Some(readable(desired, key)) }
    }

    /// An object that will go.
    pub fn deleted(live: &Object, key: &MaskKey) -> Self {
        Change { key: live.key.clone(), before: Some(readable(live, key)), after: None }
    }

    /// An object that changes as a dry run foretold.
    pub fn foretold(live: &Object, foretold: &Object, key: &MaskKey) -> Self {
        let (before, after) = (readable(live, key), readable(foretold, key));
        Change { key: live.key.clone(), before: Some(before), after: Some(after) }
    }

    /// The same without a dry run: what `manager` owns in the live object against what it would apply. Where it owns
    /// nothing yet, what git says nothing about is left out.
    pub fn rendered(live: &Object, desired: &Object, manager: &str, key: &MaskKey) -> Self {
        let body = owned_part(&live.body, manager).unwrap_or_else(|| shaped_like(&live.body, &desired.body));
        let ours = Object { body, ..live.clone() };
        Change::foretold(&ours, desired, key)
    }

    /// True when a person would see no difference.
    pub fn is_empty(&self) -> bool {
        self.before == self.after
    }

    /// Lines that go and lines that come.
    pub fn counts(&self) -> (usize, usize) {
        let (before, after) = self.texts();
        let diff = TextDiff::from_lines(&before, &after);
        diff.iter_all_changes().fold((0, 0), |(removed, added), change| match change.tag() {
            similar::ChangeTag::Delete => (removed + 1, added),
            similar::ChangeTag::Insert => (removed, added + 1),
            similar::ChangeTag::Equal => (removed, added),
        })
    }

    /// The hunks of a unified diff, each change with so many lines around it; no file names.
    pub fn unified(&self, context: usize) -> String {
        let (before, after) = self.texts();
        TextDiff::from_lines(&before, &after).unified_diff().context_radius(context).to_string()
    }

    fn texts(&self) -> (String, String) {
        let text = |side: &Option<Value>| side.as_ref().map(emit::to_string).unwrap_or_default();
        (text(&self.before), text(&self.after))
    }
}

/// Without what is not git's to say, and without secrets. The emitter orders the keys.
fn readable(object: &Object, key: &MaskKey) -> Value {
    let mut body = secret::mask(object, key);
    if let Value::Object(map) = &mut body {
        map.shift_remove("status");
    }
    if let Some(Value::Object(metadata)) = body.get_mut("metadata") {
        for field in SERVER_FIELDS {
            metadata.shift_remove(field);
        }
        prune_map(metadata, "annotations", &BOOKKEEPING);
        prune_map(metadata, "labels", &[annotation::PART_OF]);
    }
    body
}

/// Removes entries, and the mapping itself when nothing is left of it.
fn prune_map(metadata: &mut serde_json::Map<String, Value>, field: &str, names: &[&str]) {
    let Some(Value::Object(map)) = metadata.get_mut(field) else { return };
    for name in names {
        map.shift_remove(*name);
    }
    if map.is_empty() {
        metadata.shift_remove(field);
    }
}

/// What of a value the other one speaks about. Items of lists are paired by `name` where all have one, else by place.
fn shaped_like(live: &Value, desired: &Value) -> Value {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => live
            .iter()
            .filter_map(|(field, value)| Some((field.clone(), shaped_like(value, desired.get(field)?))))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        (Value::Array(live), Value::Array(desired)) => {
            let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
            let are_named = !live.is_empty() && live.iter().chain(desired).all(|item| name(item).is_some());
            let pair = |(at, item): (usize, &Value)| {
                let partner = match are_named {
                    true => desired.iter().find(|other| name(other) == name(item)),
                    false => desired.get(at),
                };
                match partner {
                    Some(partner) => Some(shaped_like(item, partner)),
                    // Named items may be another manager's; others make up one value with the rest.
                    None => (!are_named).then(|| item.clone()),
                }
            };
            Value::Array(live.iter().enumerate().filter_map(pair).collect())
        }
        (live, _) => live.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(body: Value) -> Object {
        Object::from_value(body, None).unwrap()
    }

    fn deployment(image: &str, replicas: i64) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "annotations": {annotation::TRACKING_ID: "web:…"}},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}}})
    }

    fn mask() -> MaskKey {
        MaskKey::new([3; 32])
    }

    #[test]
    fn a_change_is_the_lines_that_differ() {
        let mut live = deployment("web:1.4", 3);
        live["metadata"]["resourceVersion"] = "17".into();
        live["metadata"]["managedFields"] = json!([]);
        live["status"] = json!({"replicas": 3});
        let change = Change::foretold(&object(live), &object(deployment("web:1.5", 3)), &mask());
        assert_eq!(
            change.unified(1),
            "@@ -10,3 +10,3 @@\n       containers:\n-      - image: web:1.4\n+      - image: web:1.5\n         name: web\n"
        );
        assert_eq!(change.counts(), (1, 1));
    }

    #[test]
    fn what_git_says_nothing_about_is_no_change() {
        let mut live = deployment("web:1.4", 3);
        live["spec"]["progressDeadlineSeconds"] = 600.into();
        live["spec"]["template"]["spec"]["containers"] = json!([
            {"name": "sidecar", "image": "proxy:1"},
            {"name": "web", "image": "web:1.4", "imagePullPolicy": "IfNotPresent"},
        ]);
        let change = Change::rendered(&object(live.clone()), &object(deployment("web:1.4", 3)), "leeboard", &mask());
        assert!(change.is_empty(), "{}", change.unified(3));
        let change = Change::rendered(&object(live), &object(deployment("web:1.4", 2)), "leeboard", &mask());
        assert_eq!(change.counts(), (1, 1), "{}", change.unified(3));
    }

    #[test]
    fn a_secret_shows_only_that_it_differs() {
        let secret = |value: &str| {
            object(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": value}}))
        };
        let change = Change::foretold(&secret("canary-one"), &secret("canary-two"), &mask());
        assert_eq!(change.counts(), (1, 1));
        for shown in
            [change.unified(9), format!("{change:?}"), Change::created(&secret("canary-one"), &mask()).unified(9)]
        {
            assert!(!shown.contains("canary"), "{shown}");
        }
        assert!(Change::foretold(&secret("same"), &secret("same"), &mask()).is_empty());
    }

    #[test]
    fn creation_and_deletion_have_one_side() {
        let config = object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}));
        assert_eq!(Change::created(&config, &mask()).counts(), (0, 4));
        assert_eq!(Change::deleted(&config, &mask()).counts(), (4, 0));
    }
}
