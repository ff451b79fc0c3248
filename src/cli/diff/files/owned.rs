//! Who owns what of a live object: `managedFields`, walked along with a comparison.

use serde_json::{Map, Value};

use crate::live::client::FIELD_MANAGER;

/// Who applied on the client's side; what they own becomes ours with our first apply.
const CLIENT_SIDE: [&str; 2] = ["kubectl-client-side-apply", "argocd-controller"];

/// The sets of fields of all managers at one place of an object.
#[derive(Clone, Default)]
pub(super) struct Owned<'a> {
    /// Ours.
    ours: Vec<&'a Value>,
    /// Everybody else's.
    others: Vec<&'a Value>,
    /// Of those, the managers whose changes do not count.
    trusted: Vec<&'a Value>,
}

/// How a list is owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Item by item, told apart by these fields.
    Keyed(Vec<String>),
    /// Value by value.
    Set,
    /// As one.
    Atomic,
}

impl<'a> Owned<'a> {
    /// At the root of a live object.
    pub(super) fn of(live: &'a Value, trusted: &[String]) -> Self {
        let mut owned = Owned::default();
        let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            let (Some(manager), Some(set)) = (entry.get("manager").and_then(Value::as_str), entry.get("fieldsV1"))
            else {
                continue;
            };
            let applies = entry.get("operation").and_then(Value::as_str) == Some("Apply");
            let is_whole = entry.get("subresource").is_none();
            if is_whole && (manager == FIELD_MANAGER && applies || CLIENT_SIDE.contains(&manager)) {
                owned.ours.push(set);
            } else {
                owned.others.push(set);
            }
            if trusted.iter().any(|trusted| trusted == manager) {
                owned.trusted.push(set);
            }
        }
        owned
    }

    /// One step further.
    pub(super) fn field(&self, name: &str) -> Self {
        let key = format!("f:{name}");
        self.step(|set| set.get(&key))
    }

    /// The item of a list.
    pub(super) fn item(&self, item: &Value) -> Self {
        self.step(|set| entries(set).find(|(key, _)| is_item(key, item)).map(|(_, below)| below))
    }

    fn step(&self, next: impl Fn(&'a Value) -> Option<&'a Value>) -> Self {
        let all = |sets: &[&'a Value]| sets.iter().filter_map(|set| next(set)).collect();
        Owned { ours: all(&self.ours), others: all(&self.others), trusted: all(&self.trusted) }
    }

    /// True when something here is ours.
    pub(super) fn is_ours(&self) -> bool {
        !self.ours.is_empty()
    }

    /// True when somebody else owns it too.
    pub(super) fn is_shared(&self) -> bool {
        !self.others.is_empty()
    }

    /// True when what differs here does not count.
    pub(super) fn is_trusted(&self) -> bool {
        !self.trusted.is_empty()
    }

    /// True when the whole of it is owned as one.
    pub(super) fn is_leaf(&self) -> bool {
        let sets = || self.ours.iter().chain(&self.others);
        sets().next().is_some() && sets().all(|set| set.as_object().is_some_and(Map::is_empty))
    }

    /// The names of fields below that are ours.
    pub(super) fn our_fields(&self) -> Vec<&'a str> {
        let keys = self.ours.iter().flat_map(|set| entries(set).map(|(key, _)| key));
        keys.filter_map(|key| key.strip_prefix("f:")).collect()
    }

    /// How the list here is owned.
    pub(super) fn shape(&self) -> Shape {
        for (key, _) in self.ours.iter().chain(&self.others).flat_map(|set| entries(set)) {
            if let Some(keys) =
                key.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Map<String, Value>>(keys).ok())
            {
                return Shape::Keyed(keys.keys().cloned().collect());
            }
            if key.starts_with("v:") {
                return Shape::Set;
            }
        }
        Shape::Atomic
    }
}

fn entries(set: &Value) -> impl Iterator<Item = (&str, &Value)> {
    set.as_object().into_iter().flatten().map(|(key, below)| (key.as_str(), below))
}

fn is_item(key: &str, item: &Value) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    if let Some(keys) = key.strip_prefix("k:").and_then(parse) {
        let keys = keys.as_object().cloned().unwrap_or_default();
        return keys.iter().all(|(name, value)| item.get(name) == Some(value));
    }
    key.strip_prefix("v:").and_then(parse).is_some_and(|value| value == *item)
}
