//! The hash of what a set owns, taken as the object's text streams by: no value of it is built.

use std::fmt;
use std::hash::Hasher as _;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3Default;

use super::hash::{pair, text_hash};
use super::set::{Item, Set};

/// Follows a set through an object and hashes what it finds; all other fields are skipped unread.
#[derive(Clone, Copy)]
pub(super) struct Walk<'s>(pub(super) &'s Set);

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
