//! Values that are only looked at: their texts are those of the tree that they were read from.

use std::borrow::Cow;

use hashbrown::HashMap;
use serde_json::{Map, Number, Value};

/// What the value of a node can be read as.
pub(super) trait Form<'n>: Sized {
    /// A mapping that is being read.
    type Entries;

    fn null() -> Self;
    fn bool(value: bool) -> Self;
    fn number(number: Number) -> Self;
    fn text(text: Cow<'n, str>) -> Self;
    fn list(items: Vec<Self>) -> Self;
    fn map(entries: usize) -> Self::Entries;
    /// Adds an entry, in the place of one of that name; true when there was one.
    fn put(map: &mut Self::Entries, name: Cow<'n, str>, value: Self) -> bool;
    fn end(map: Self::Entries) -> Self;
}

impl Form<'_> for Value {
    type Entries = Map<String, Value>;

    fn null() -> Self {
        Value::Null
    }

    fn bool(value: bool) -> Self {
        Value::Bool(value)
    }

    fn number(number: Number) -> Self {
        Value::Number(number)
    }

    fn text(text: Cow<'_, str>) -> Self {
        Value::String(text.into_owned())
    }

    fn list(items: Vec<Self>) -> Self {
        Value::Array(items)
    }

    fn map(entries: usize) -> Self::Entries {
        Map::with_capacity(entries)
    }

    fn put(map: &mut Self::Entries, name: Cow<'_, str>, value: Self) -> bool {
        map.insert(name.into_owned(), value).is_some()
    }

    fn end(map: Self::Entries) -> Self {
        Value::Object(map)
    }
}

/// A value that nobody keeps.
#[derive(Clone, Debug, PartialEq)]
pub enum Borrowed<'n> {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Cow<'n, str>),
    /// Items.
    List(Vec<Borrowed<'n>>),
    /// Entries, no two of one name.
    Map(Vec<(Cow<'n, str>, Borrowed<'n>)>),
}

/// The entries of a mapping so far.
pub(super) struct Entries<'n> {
    entries: Vec<(Cow<'n, str>, Borrowed<'n>)>,
    /// Where each name stands, as soon as there are many.
    places: HashMap<Cow<'n, str>, usize>,
}

/// Up to so many entries one looks through them.
const FEW: usize = 16;

impl<'n> Entries<'n> {
    fn place(&self, name: &str) -> Option<usize> {
        match self.entries.len() {
            ..=FEW => self.entries.iter().position(|(known, _)| known == name),
            _ => self.places.get(name).copied(),
        }
    }
}

impl<'n> Form<'n> for Borrowed<'n> {
    type Entries = Entries<'n>;

    fn null() -> Self {
        Borrowed::Null
    }

    fn bool(value: bool) -> Self {
        Borrowed::Bool(value)
    }

    fn number(number: Number) -> Self {
        Borrowed::Number(number)
    }

    fn text(text: Cow<'n, str>) -> Self {
        Borrowed::Text(text)
    }

    fn list(items: Vec<Self>) -> Self {
        Borrowed::List(items)
    }

    fn map(entries: usize) -> Self::Entries {
        Entries { entries: Vec::with_capacity(entries), places: HashMap::new() }
    }

    fn put(map: &mut Self::Entries, name: Cow<'n, str>, value: Self) -> bool {
        if let Some((_, known)) = map.place(&name).and_then(|place| map.entries.get_mut(place)) {
            *known = value;
            return true;
        }
        map.entries.push((name, value));
        let all = map.entries.len();
        if all > FEW {
            let new = if all == FEW + 1 { 0 } else { all - 1 };
            let names = map.entries.iter().enumerate().skip(new).map(|(place, (name, _))| (name.clone(), place));
            map.places.extend(names);
        }
        false
    }

    fn end(map: Self::Entries) -> Self {
        Borrowed::Map(map.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_entries_of_a_name_the_later_stands_in_the_place_of_the_earlier() {
        for entries in [2, FEW, FEW + 1, FEW + 2, 3 * FEW] {
            let mut map = Borrowed::map(0);
            for at in 0..entries {
                let is_known = Borrowed::put(&mut map, format!("name-{at}").into(), Borrowed::Null);
                assert!(!is_known, "{at} of {entries}");
            }
            for at in [0, entries / 2, entries - 1] {
                assert!(
                    Borrowed::put(&mut map, format!("name-{at}").into(), Borrowed::Bool(true)),
                    "{at} of {entries}"
                );
            }
            let Borrowed::Map(all) = Borrowed::end(map) else { panic!("no map") };
            assert_eq!(all.len(), entries);
            let changed: Vec<usize> = all
                .iter()
                .enumerate()
                .filter(|(_, (_, value))| *value == Borrowed::Bool(true))
                .map(|(at, _)| at)
                .collect();
            let mut expected = vec![0, entries / 2, entries - 1];
            expected.dedup();
            assert_eq!(changed, expected);
        }
    }
}
