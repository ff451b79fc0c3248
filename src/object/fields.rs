//! Which of an object's fields are ours, and what they hold: the drift decision.
//!
//! **In:** an object as the API server returned it, `metadata.managedFields` included. **Out:** the [`projection`], one
//! hash over exactly the fields that a manager owns by apply, and their values; who owns a field ([`owners`]); an
//! ownership that moves ([`adopt`]). **May not:** know a schema; the sets themselves show which lists are keyed.
//!
//! Semantics: Kubernetes' server-side apply. A set is written as `fieldsV1`: `f:<name>` a field, `k:<keys>` the list
//! item with these keys, `v:<value>` a member of a set, `i:<n>` a list index, `.` the thing itself. A path without
//! anything below it is owned whole.
//!
//! What the projection counts: the set (a field lost to another manager changes it), the values, and the order of
//! keyed list items among each other (an apply restores it). What it does not: the order of mappings and of set
//! members, fields of others, and what others own inside a mapping that we applied empty.
//!
//! Read [`Ownership`], then [`walk`], which follows the set through the object's text without building a value.

mod adopt;
mod hash;
mod owner;
mod set;
#[cfg(test)]
mod tests;
mod walk;

use std::borrow::Cow;
use std::hash::Hasher as _;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeSeed as _, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use smol_str::SmolStr;
use xxhash_rust::xxh3::Xxh3Default;

pub use self::adopt::{adopt, owned_part};
pub use self::owner::{Owner, Step, owners};
use self::set::Set;
use self::walk::Walk;

/// Hash of the values at exactly the fields that a manager owns by apply; `None` when it owns none.
///
/// The hash says nothing else: two objects with the same projection need no apply of the same manifest.
pub fn projection(body: &Value, manager: &str) -> Option<u64> {
    let entries: Vec<ManagedFields<'_>> =
        body.get("metadata")?.get("managedFields")?.as_array()?.iter().filter_map(ManagedFields::of_value).collect();
    Ownership::of(&entries, manager)?.project(body).ok()
}

/// One entry of `metadata.managedFields`, borrowed from the object's text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedFields<'a> {
    /// Who wrote.
    #[serde(borrow, default)]
    pub manager: Cow<'a, str>,
    /// `Apply` or `Update`.
    #[serde(borrow, default)]
    pub operation: Cow<'a, str>,
    /// The version in which the paths are meant.
    #[serde(borrow, default)]
    pub api_version: Cow<'a, str>,
    /// `status`, `scale`; absent for the object itself.
    #[serde(borrow, default)]
    pub subresource: Option<Cow<'a, str>>,
    /// When this manager last changed something.
    #[serde(default)]
    pub time: Option<Timestamp>,
    #[serde(borrow, default)]
    fields_v1: Fields<'a>,
}

/// A set of fields, in one of the forms it comes in.
#[derive(Debug, Default)]
enum Fields<'a> {
    #[default]
    None,
    Text(&'a RawValue),
    Value(&'a Value),
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Option<&'a RawValue>>::deserialize(deserializer).map(|text| text.map_or(Fields::None, Fields::Text))
    }
}

impl<'a> ManagedFields<'a> {
    fn of_value(entry: &'a Value) -> Option<Self> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        Some(ManagedFields {
            manager: text("manager")?.into(),
            operation: text("operation")?.into(),
            api_version: text("apiVersion").unwrap_or_default().into(),
            subresource: text("subresource").map(Into::into),
            time: text("time").and_then(|time| time.parse().ok()),
            fields_v1: entry.get("fieldsV1").map_or(Fields::None, Fields::Value),
        })
    }

    /// True when it says what `manager` applied to the object itself.
    fn is_applied_by(&self, manager: &str) -> bool {
        self.manager == manager && self.operation == "Apply" && self.subresource.is_none()
    }

    fn set(&self) -> Option<Set> {
        match self.fields_v1 {
            Fields::None => None,
            Fields::Text(text) => serde_json::from_str(text.get()).ok(),
            Fields::Value(value) => Set::deserialize(value).ok(),
        }
    }
}

/// The fields that one manager owns by apply.
#[derive(Debug)]
pub struct Ownership {
    set: Set,
    /// Of the set alone, so that a field that is lost shows even where it holds no value.
    shape: u64,
    /// The API version in which the paths are meant; an object read in another one may not have them.
    pub api_version: SmolStr,
}

impl Ownership {
    /// Finds the manager's entry; `None` when it owns nothing, or its set can't be read.
    pub fn of(entries: &[ManagedFields<'_>], manager: &str) -> Option<Self> {
        let ours = entries.iter().find(|entry| entry.is_applied_by(manager))?;
        let mut set = ours.set().filter(|set| !set.is_empty())?;
        let others = entries.iter().filter(|entry| !entry.is_applied_by(manager) && entry.subresource.is_none());
        if set.has_leaf() {
            for other in others.filter_map(ManagedFields::set) {
                set.share_with(&other);
            }
        }
        let shape = set.shape();
        Some(Ownership { set, shape, api_version: SmolStr::new(&ours.api_version) })
    }

    /// Hashes the owned fields of a body, given as text (a `serde_json::Deserializer`) or as `&Value`.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn project<'de, D: Deserializer<'de>>(&self, body: D) -> Result<u64, D::Error> {
        let values = Walk(&self.set).deserialize(body)?;
        let mut hasher = Xxh3Default::new();
        hasher.write_u64(self.shape);
        hasher.write_u64(values);
        Ok(hasher.digest())
    }
}
