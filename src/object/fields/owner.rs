//! Who owns a field of a live object: what a person asks when something has changed it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use smol_str::SmolStr;

use super::ManagedFields;
use super::set::Set;

/// Who owns a field, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The field manager's name: `kubectl-edit`.
    pub manager: SmolStr,
    /// True when it owns by apply, false by other writes.
    pub applies: bool,
    /// When it last changed something in this object; not always this field.
    pub time: Option<Timestamp>,
}

/// One step from an object's root to a field, as a diff walks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The field of a mapping.
    Field(&'a str),
    /// The item of a list, as it stands in the live object.
    Index(usize),
}

/// Who owns the field at a path in a live object, newest first.
///
/// Those who own that path or something below it; only if there are none, those who own a mapping or list around it whole.
pub fn owners(live: &Value, path: &[Step<'_>]) -> Vec<Owner> {
    let entries = live.get("metadata").and_then(|metadata| metadata.get("managedFields")).and_then(Value::as_array);
    let mut owners: Vec<(Claim, Owner)> = entries
        .into_iter()
        .flatten()
        .filter_map(ManagedFields::of_value)
        .filter_map(|entry| {
            let claim = claim(&entry.set()?, live, path)?;
            let manager = SmolStr::new(&entry.manager);
            Some((claim, Owner { manager, applies: entry.operation == "Apply", time: entry.time }))
        })
        .collect();
    let closest = owners.iter().map(|(claim, _)| *claim).min();
    owners.retain(|(claim, _)| Some(*claim) == closest);
    owners.sort_by_key(|(_, owner)| std::cmp::Reverse(owner.time));
    owners.into_iter().map(|(_, owner)| owner).collect()
}

/// How a set holds a path; the closest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Itself,
    Around,
}

fn claim(set: &Set, live: &Value, path: &[Step<'_>]) -> Option<Claim> {
    let Some((step, rest)) = path.split_first() else { return Some(Claim::Itself) };
    let (below, value) = match *step {
        Step::Field(name) => (set.field(name)?, live.get(name)),
        Step::Index(index) => {
            let item = live.get(index)?;
            (&set.items.iter().find(|(element, _)| element.is(index, item))?.1, Some(item))
        }
    };
    if below.is_leaf() && !rest.is_empty() {
        return Some(Claim::Around);
    }
    claim(below, value.unwrap_or(&Value::Null), rest)
}
