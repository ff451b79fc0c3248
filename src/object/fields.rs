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
//! Read [`Ownership`], then [`Walk`], which follows the set through the object's text without building a value.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher as _;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use smol_str::SmolStr;
use xxhash_rust::xxh3::Xxh3Default;

use super::content_hash;

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

/// A set of fields: what is owned at one place, and below it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Set {
    /// `.`: the thing itself, beside what is below it.
    itself: bool,
    /// Another manager owns something below this leaf: then the leaf is a mapping or list that was applied empty.
    shared: bool,
    /// By name.
    fields: Vec<(Box<str>, Set)>,
    items: Vec<(Item, Set)>,
}

/// Which item of a list.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    /// The one whose fields hold these values.
    Key(Map<String, Value>),
    /// The one that is this value.
    Value(Value),
    Index(usize),
}

impl Set {
    fn is_empty(&self) -> bool {
        self.is_leaf() && !self.itself
    }

    fn is_leaf(&self) -> bool {
        self.fields.is_empty() && self.items.is_empty()
    }

    fn has_leaf(&self) -> bool {
        self.is_leaf()
            || self.fields.iter().any(|(_, set)| set.has_leaf())
            || self.items.iter().any(|(_, set)| set.has_leaf())
    }

    fn field(&self, name: &str) -> Option<&Set> {
        let at = self.fields.binary_search_by(|(field, _)| (**field).cmp(name)).ok()?;
        Some(&self.fields[at].1)
    }

    fn item(&self, item: &Item) -> Option<&Set> {
        self.items.iter().find(|(other, _)| other == item).map(|(_, set)| set)
    }

    /// Marks the leaves below which the other manager owns something.
    fn share_with(&mut self, other: &Set) {
        if self.is_leaf() {
            self.shared |= !other.is_leaf();
            return;
        }
        for (name, set) in &mut self.fields {
            if let Some(theirs) = other.field(name) {
                set.share_with(theirs);
            }
        }
        for (item, set) in &mut self.items {
            if let Some(theirs) = other.item(item) {
                set.share_with(theirs);
            }
        }
    }

    /// A hash of which fields these are; not of `shared`, which is the others' doing.
    fn shape(&self) -> u64 {
        let mut sum = u64::from(self.itself);
        for (name, set) in &self.fields {
            sum = sum.wrapping_add(pair(b'f', text_hash(name), set.shape()));
        }
        for (item, set) in &self.items {
            sum = sum.wrapping_add(pair(b'k', item.hash(), set.shape()));
        }
        pair(b'.', 0, sum)
    }

    /// The same fields and those of the other, as one set.
    fn merge(&mut self, other: Set) {
        self.itself |= other.itself;
        for (name, set) in other.fields {
            match self.fields.binary_search_by(|(field, _)| field.cmp(&name)) {
                Ok(at) => self.fields[at].1.join(set),
                Err(at) => self.fields.insert(at, (name, set)),
            }
        }
        for (item, set) in other.items {
            match self.items.iter_mut().find(|(known, _)| *known == item) {
                Some((_, known)) => known.join(set),
                None => self.items.push((item, set)),
            }
        }
    }

    /// Merges below the root, where a leaf means that the place itself is owned.
    fn join(&mut self, other: Set) {
        if self.is_leaf() != other.is_leaf() {
            self.itself = true;
        }
        self.merge(other);
    }

    /// Writes it as `fieldsV1`.
    fn to_value(&self) -> Value {
        let mut map = Map::new();
        if self.itself && !self.is_leaf() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (name, set) in &self.fields {
            map.insert(format!("f:{name}"), set.to_value());
        }
        for (item, set) in &self.items {
            map.insert(item.to_string(), set.to_value());
        }
        Value::Object(map)
    }
}

impl Item {
    fn parse(element: &str) -> Option<Self> {
        match element.split_at_checked(2)? {
            ("k:", keys) => serde_json::from_str(keys).ok().map(Item::Key),
            ("v:", value) => serde_json::from_str(value).ok().map(Item::Value),
            ("i:", index) => index.parse().ok().map(Item::Index),
            _ => None,
        }
    }

    fn hash(&self) -> u64 {
        match self {
            Item::Key(keys) => keys
                .iter()
                .fold(0u64, |sum, (name, value)| sum.wrapping_add(pair(b'k', text_hash(name), content_hash(value)))),
            Item::Value(value) => content_hash(value),
            Item::Index(index) => *index as u64,
        }
    }

    fn is(&self, index: usize, item: &Value) -> bool {
        match self {
            Item::Key(keys) => keys.iter().all(|(name, value)| item.get(name) == Some(value)),
            Item::Value(value) => item == value,
            Item::Index(wanted) => *wanted == index,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Key(keys) => {
                // The API server sorts the names.
                let mut sorted: Vec<_> = keys.iter().collect();
                sorted.sort_unstable_by_key(|(name, _)| *name);
                f.write_str("k:{")?;
                for (index, (name, value)) in sorted.into_iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{value}", Value::from(name.as_str()))?;
                }
                f.write_str("}")
            }
            Item::Value(value) => write!(f, "v:{value}"),
            Item::Index(index) => write!(f, "i:{index}"),
        }
    }
}

impl<'de> Deserialize<'de> for Set {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Set;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a set of fields")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Set, A::Error> {
                let mut set = Set::default();
                while let Some(element) = map.next_key::<Cow<'de, str>>()? {
                    if element == "." {
                        set.itself = true;
                        map.next_value::<IgnoredAny>()?;
                    } else if let Some(name) = element.strip_prefix("f:") {
                        set.fields.push((name.into(), map.next_value()?));
                    } else if let Some(item) = Item::parse(&element) {
                        set.items.push((item, map.next_value()?));
                    } else {
                        return Err(serde::de::Error::custom("unknown element in a set of fields"));
                    }
                }
                set.fields.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                Ok(set)
            }
        }
        deserializer.deserialize_map(Elements)
    }
}

/// Follows a set through an object and hashes what it finds; all other fields are skipped unread.
#[derive(Clone, Copy)]
struct Walk<'s>(&'s Set);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = u64;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        if self.0.is_leaf() && !self.0.shared {
            Whole.deserialize(deserializer)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let mut sum = 0u64;
        while let Some((name, below)) = map.next_key_seed(Name(self.0))? {
            match below {
                Some(below) => sum = sum.wrapping_add(pair(b'e', name, map.next_value_seed(Walk(below))?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(pair(b'{', 0, sum))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<u64, A::Error> {
        if self.0.items.is_empty() {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(pair(b'[', 0, 0));
        }
        let mut members = 0u64;
        let mut keyed = Xxh3Default::new();
        let mut index = 0;
        while let Some(item) = seq.next_element::<Value>()? {
            if let Some((element, below)) = self.0.items.iter().find(|(element, _)| element.is(index, &item)) {
                // Inside an item a leaf is never shared with its own keys: walk it as it stands.
                let hash = Walk(below).deserialize(&item).unwrap_or_default();
                let hash = pair(b'e', element.hash(), hash);
                match element {
                    Item::Value(_) => members = members.wrapping_add(hash),
                    Item::Key(_) | Item::Index(_) => keyed.write_u64(hash),
                }
            }
            index += 1;
        }
        Ok(pair(b'[', members, keyed.digest()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u64, E> {
        Whole.visit_str(text)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<u64, E> {
        Whole.visit_bool(value)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<u64, E> {
        Whole.visit_u64(number)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<u64, E> {
        Whole.visit_i64(number)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<u64, E> {
        Whole.visit_f64(number)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<u64, E> {
        Whole.visit_unit()
    }
}

/// Reads the name of a field: its hash, and what the set says below it.
struct Name<'s>(&'s Set);

impl<'de, 's> DeserializeSeed<'de> for Name<'s> {
    type Value = (u64, Option<&'s Set>);
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'s> Visitor<'_> for Name<'s> {
    type Value = (u64, Option<&'s Set>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok((text_hash(name), self.0.field(name)))
    }
}

/// Hashes a value as it streams by. An empty mapping or list hashes as [`Walk`] hashes one of which all is others'.
#[derive(Clone, Copy)]
struct Whole;

impl<'de> DeserializeSeed<'de> for Whole {
    type Value = u64;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let mut sum = 0u64;
        while let Some((name, _)) = map.next_key_seed(Name(&Set::default()))? {
            sum = sum.wrapping_add(pair(b'e', name, map.next_value_seed(Whole)?));
        }
        Ok(pair(b'{', 0, sum))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<u64, A::Error> {
        let mut items: Option<Xxh3Default> = None;
        while let Some(hash) = seq.next_element_seed(Whole)? {
            items.get_or_insert_with(Xxh3Default::new).write_u64(hash);
        }
        Ok(pair(b'[', 0, items.map_or(0, |items| items.digest())))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u64, E> {
        Ok(pair(b's', 0, text_hash(text)))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<u64, E> {
        Ok(pair(b'b', 0, u64::from(value)))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(pair(b'n', 0, number))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<u64, E> {
        Ok(pair(if number < 0 { b'm' } else { b'n' }, 0, number.cast_unsigned()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<u64, E> {
        Ok(pair(b'd', 0, number.to_bits()))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<u64, E> {
        Ok(pair(b'0', 0, 0))
    }
}

fn text_hash(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

fn pair(tag: u8, first: u64, second: u64) -> u64 {
    let mut bytes = [0; 17];
    bytes[0] = tag;
    bytes[1..9].copy_from_slice(&first.to_le_bytes());
    bytes[9..].copy_from_slice(&second.to_le_bytes());
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

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

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "cases are written as `json!(…)`")]
mod tests {
    use super::*;
    use serde_json::json;

    const US: &str = "leeboard";

    fn entry(manager: &str, operation: &str, set: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": "2026-11-21T07:16:29Z",
               "fieldsType": "FieldsV1", "fieldsV1": set})
    }

    /// An object with this content, of which we own `set`.
    fn object(content: Value, set: Value) -> Value {
        shared_object(content, vec![entry(US, "Apply", set)])
    }

    fn shared_object(content: Value, managed: Vec<Value>) -> Value {
        let mut body = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "managedFields": managed}});
        for (name, value) in content.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    /// The projection, read from the value and from text with other order and spacing: they must agree.
    fn projected(body: &Value) -> Option<u64> {
        let of_value = projection(body, US);
        let text = serde_json::to_string_pretty(&reversed(body)).unwrap();
        assert_eq!(of_value, of_text(&text), "{body}");
        of_value
    }

    fn of_text(text: &str) -> Option<u64> {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            #[serde(borrow)]
            metadata: Metadata<'a>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata<'a> {
            #[serde(borrow)]
            managed_fields: Vec<ManagedFields<'a>>,
        }
        let envelope: Envelope<'_> = serde_json::from_str(text).unwrap();
        let ownership = Ownership::of(&envelope.metadata.managed_fields, US)?;
        Some(ownership.project(&mut serde_json::Deserializer::from_str(text)).unwrap())
    }

    fn reversed(value: &Value) -> Value {
        match value {
            Value::Object(map) => map.iter().rev().map(|(k, v)| (k.clone(), reversed(v))).collect::<Map<_, _>>().into(),
            Value::Array(items) => items.iter().map(reversed).collect::<Vec<_>>().into(),
            scalar => scalar.clone(),
        }
    }

    #[test]
    fn only_what_we_own_counts() {
        let set = json!({"f:spec": {
            "f:size": {},
            "f:selector": {},
            "f:labels": {".": {}, "f:app": {}},
            "f:parts": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:qty": {}},
                        "k:{\"name\":\"b\"}": {".": {}, "f:name": {}}},
            "f:ports": {"k:{\"port\":53,\"protocol\":\"UDP\"}": {".": {}, "f:port": {}, "f:protocol": {}}},
            "f:hosts": {"v:\"x\"": {}, "v:\"y\"": {}, "v:3": {}},
            "f:rows": {"i:1": {"f:n": {}}},
        }});
        let spec = json!({
            "size": 3,
            "selector": {"app": "web", "tier": null},
            "labels": {"app": "web"},
            "parts": [{"name": "a", "qty": 1}, {"name": "b", "qty": 1}],
            "ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP", "node": 7}],
            "hosts": ["x", "y", 3],
            "rows": [{"n": 0}, {"n": 1}],
        });
        let before = projected(&object(json!({"spec": spec}), set.clone()));
        assert!(before.is_some());
        // pointer          new value                             counts
        let cases = [
            ("/size", json!(4), true),
            ("/size", json!("3"), true),
            ("/size", json!(3.0), true),
            ("/size", json!(null), true),
            ("/other", json!(1), false),
            ("/selector", json!({"tier": null, "app": "web"}), false),
            ("/selector/app", json!("api"), true),
            ("/selector/more", json!("x"), true),
            ("/labels/app", json!("api"), true),
            ("/labels/other", json!("x"), false),
            ("/labels", json!({}), true),
            ("/parts/0/qty", json!(2), true),
            ("/parts/1/qty", json!(2), false),
            ("/parts", json!([{"name": "b"}, {"name": "a", "qty": 1}]), true),
            ("/parts", json!([{"name": "c"}, {"qty": 1, "name": "a"}, {"name": "d"}, {"name": "b"}]), false),
            ("/parts", json!([{"name": "a", "qty": 1}]), true),
            ("/parts", json!({}), true),
            ("/parts", json!(null), true),
            ("/ports/0/port", json!(54), false),
            ("/ports/1/node", json!(8), false),
            ("/ports", json!([{"port": 53, "protocol": "UDP"}]), false),
            ("/ports/1/protocol", json!("SCTP"), true),
            ("/hosts", json!(["y", 3, "z", "x"]), false),
            ("/hosts", json!(["x", "y"]), true),
            ("/rows/1/n", json!(2), true),
            ("/rows/0/n", json!(2), false),
        ];
        for (pointer, value, counts) in cases {
            let mut changed = spec.clone();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            match changed.pointer_mut(pointer) {
                Some(place) => *place = value.clone(),
                None => changed.pointer_mut(parent).unwrap()[name] = value.clone(),
            }
            let after = projected(&object(json!({"spec": changed}), set.clone()));
            assert_eq!(after != before, counts, "{pointer} = {value}");
        }
        let with_status = projected(&object(json!({"spec": spec, "status": {"ready": 1}}), set));
        assert_eq!(with_status, before, "status is not ours");
    }

    #[test]
    fn a_lost_field_counts_even_if_its_value_stays() {
        let content = json!({"data": {"a": "1"}});
        let all = projected(&object(content.clone(), json!({"f:data": {".": {}, "f:a": {}, "f:gone": {}}})));
        for less in [
            json!({"f:data": {".": {}, "f:a": {}}}),
            json!({"f:data": {"f:a": {}, "f:gone": {}}}),
            json!({"f:data": {".": {}, "f:gone": {}}}),
        ] {
            assert_ne!(projected(&object(content.clone(), less.clone())), all, "{less}");
        }
    }

    #[test]
    fn we_own_nothing_without_an_entry_of_our_own_apply() {
        let set = json!({"f:data": {"f:a": {}}});
        let mut of_status = entry(US, "Apply", set.clone());
        of_status["subresource"] = json!("status");
        let cases = [
            vec![],
            vec![entry("kubectl-edit", "Apply", set.clone())],
            vec![entry(US, "Update", set.clone())],
            vec![of_status],
            vec![entry(US, "Apply", json!({}))],
            vec![json!({"manager": US, "operation": "Apply"})],
            vec![entry(US, "Apply", json!({"x:unknown": {}}))],
        ];
        for managed in cases {
            let body = shared_object(json!({"data": {"a": "1"}}), managed.clone());
            assert_eq!(projected(&body), None, "{managed:?}");
        }
        assert_eq!(projection(&json!({"apiVersion": "v1"}), US), None);
    }

    #[test]
    fn what_others_put_into_a_mapping_that_we_applied_empty_is_theirs() {
        let ours = entry(US, "Apply", json!({"f:spec": {"f:resources": {}}}));
        let before = shared_object(json!({"spec": {"resources": {}}}), vec![ours.clone()]);
        let theirs = entry("vpa", "Update", json!({"f:spec": {"f:resources": {"f:limits": {"f:cpu": {}}}}}));
        let content = json!({"spec": {"resources": {"limits": {"cpu": "1"}}}});
        assert_eq!(projected(&shared_object(content.clone(), vec![ours.clone(), theirs])), projected(&before));

        // An atomic mapping has no owners below it: all of its content is ours.
        assert_ne!(projected(&shared_object(content, vec![ours])), projected(&before));
    }

    #[test]
    fn big_and_odd_scalars_keep_their_difference() {
        let set = json!({"f:a": {}});
        let cases = [
            json!(9_007_199_254_740_993_u64),
            json!(9_007_199_254_740_992_u64),
            json!(-1),
            json!(u64::MAX),
            json!(1),
            json!(1.0),
            json!("1"),
            json!(true),
            json!("true"),
            json!(null),
            json!(""),
            json!([]),
            json!({}),
            json!([null]),
            json!([[]]),
        ];
        let hashes: std::collections::BTreeSet<_> =
            cases.iter().map(|value| projected(&object(json!({"a": value}), set.clone()))).collect();
        assert_eq!(hashes.len(), cases.len());
    }

    #[test]
    fn the_owner_of_a_field_is_named() {
        let live = shared_object(
            json!({"spec": {"replicas": 3, "resources": {"limits": {"cpu": "1"}}, "c": [{"name": "a", "image": "x"}]}}),
            vec![
                entry(
                    US,
                    "Apply",
                    json!({"f:spec": {"f:resources": {}, "f:c": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}}}}}),
                ),
                entry(
                    "kubectl-edit",
                    "Update",
                    json!({"f:spec": {"f:replicas": {}, "f:c": {"k:{\"name\":\"a\"}": {"f:image": {}}}}}),
                ),
                entry("vpa", "Update", json!({"f:spec": {"f:resources": {"f:limits": {"f:cpu": {}}}}})),
            ],
        );
        use Step::{Field, Index};
        let cases: [(&[Step<'_>], &[&str]); 7] = [
            (&[Field("spec"), Field("replicas")], &["kubectl-edit"]),
            (&[Field("spec"), Field("resources")], &[US, "vpa"]),
            (&[Field("spec"), Field("resources"), Field("limits"), Field("cpu")], &["vpa"]),
            (&[Field("spec"), Field("c"), Index(0), Field("image")], &["kubectl-edit"]),
            (&[Field("spec"), Field("c"), Index(0), Field("name")], &[US]),
            (&[Field("spec"), Field("c"), Index(1)], &[]),
            (&[Field("data")], &[]),
        ];
        for (path, expected) in cases {
            let names: Vec<_> = owners(&live, path).into_iter().map(|owner| owner.manager).collect();
            assert_eq!(names, expected, "{path:?}");
        }
        let owner = owners(&live, &[Field("spec"), Field("replicas")]).remove(0);
        assert_eq!((owner.applies, owner.time), (false, Some("2026-11-21T07:16:29Z".parse().unwrap())));
    }

    #[test]
    fn the_owned_part_is_what_an_apply_would_write() {
        let mut live = object(
            json!({"spec": {"replicas": 3, "c": [{"name": "a", "image": "x", "ports": []}, {"name": "b"}]}, "status": {}}),
            json!({"f:metadata": {"f:labels": {"f:app": {}}},
                   "f:spec": {"f:c": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:image": {}}}}}),
        );
        live["metadata"]["labels"] = json!({"app": "web", "other": "x"});
        live["metadata"]["namespace"] = json!("shop");
        assert_eq!(
            owned_part(&live, US).unwrap(),
            json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "namespace": "shop", "labels": {"app": "web"}},
                   "spec": {"c": [{"name": "a", "image": "x"}]}})
        );
    }

    #[test]
    fn an_earlier_tools_fields_become_ours() {
        let theirs = json!({"f:spec": {"f:replicas": {}, "f:c": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}, "f:name": {}}}}});
        let ours = json!({"f:spec": {"f:c": {"k:{\"name\":\"a\"}": {"f:name": {}, "f:tty": {}}}}});
        let status = json!({"manager": "kubectl-client-side-apply", "operation": "Update", "subresource": "status",
                            "fieldsV1": {"f:status": {}}});
        let live = shared_object(
            json!({}),
            vec![entry("kubectl-client-side-apply", "Update", theirs), entry(US, "Apply", ours), status.clone()],
        );
        let adopted = adopt(&live, &["kubectl-client-side-apply", "argocd-controller"], US, "v1").unwrap();
        assert_eq!(
            adopted,
            json!([
                entry(
                    US,
                    "Apply",
                    json!({"f:spec": {"f:c": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}, "f:name": {}, "f:tty": {}}},
                                                     "f:replicas": {}}})
                ),
                status,
            ])
        );
        assert_eq!(adopt(&live, &["argocd-controller"], US, "v1"), None);
    }
}
