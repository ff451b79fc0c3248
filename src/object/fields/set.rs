//! A set of fields as a tree: read from `fieldsV1`, merged, and written as `fieldsV1` again.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::hash::{pair, text_hash};
use crate::object::content_hash;

/// A set of fields: what is owned at one place, and below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Set {
    /// `.`: the thing itself, beside what is below it.
    pub(super) itself: bool,
    /// Another manager owns something below this leaf: then the leaf is a mapping or list that was applied empty.
    pub(super) shared: bool,
    /// By name.
    pub(super) fields: Vec<(Box<str>, Set)>,
    pub(super) items: Vec<(Item, Set)>,
}

/// Which item of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    /// The one whose fields hold these values.
    Key(Map<String, Value>),
    /// The one that is this value.
    Value(Value),
    Index(usize),
}

impl Set {
    pub(super) fn is_empty(&self) -> bool {
        self.is_leaf() && !self.itself
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.fields.is_empty() && self.items.is_empty()
    }

    pub(super) fn has_leaf(&self) -> bool {
        self.is_leaf()
            || self.fields.iter().any(|(_, set)| set.has_leaf())
            || self.items.iter().any(|(_, set)| set.has_leaf())
    }

    pub(super) fn field(&self, name: &str) -> Option<&Set> {
        let at = self.fields.binary_search_by(|(field, _)| (**field).cmp(name)).ok()?;
        Some(&self.fields[at].1)
    }

    fn item(&self, item: &Item) -> Option<&Set> {
        self.items.iter().find(|(other, _)| other == item).map(|(_, set)| set)
    }

    /// Marks the leaves below which the other manager owns something.
    pub(super) fn share_with(&mut self, other: &Set) {
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
    pub(super) fn shape(&self) -> u64 {
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
    pub(super) fn merge(&mut self, other: Set) {
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
    pub(super) fn to_value(&self) -> Value {
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

    pub(super) fn hash(&self) -> u64 {
        match self {
            Item::Key(keys) => keys
                .iter()
                .fold(0u64, |sum, (name, value)| sum.wrapping_add(pair(b'k', text_hash(name), content_hash(value)))),
            Item::Value(value) => content_hash(value),
            Item::Index(index) => *index as u64,
        }
    }

    pub(super) fn is(&self, index: usize, item: &Value) -> bool {
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
