//! Lists that merge by key: which element of a patch goes to which one of the object, and in what order they stand then.
//!
//! kustomize takes the values of the merge keys one after the other, those of the patch first, and changes its list while
//! it looks through it; an element without its merge key sweeps others away.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::{DIRECTIVE, Directive, Outcome, Patch, mapping_directive, walk};
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::patch::schema::Schema;
use crate::kustomize::place::{settle_untyped, untyped};
use crate::kustomize::resource::written_text;
use crate::yaml::Node;

/// Merging by key compares each element with each.
const MAX_ELEMENTS: usize = 4_000;

/// Whether the list to merge in was written in the patch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementsOf {
    FromPatch,
    Absent,
}

/// An element of a list that is being merged.
#[derive(Clone)]
enum Item {
    /// The element of the object with this number.
    Of(usize),
    /// The same while its list is renumbered: with its new number.
    Kept(usize),
    /// An element of the patch.
    New(Node),
}

/// Merges the elements of a list. Without a list to merge in, the list came from the patch itself.
pub(super) fn merge_elements(
    dest: &mut Node,
    patch: Option<(&Node, ElementsOf)>,
    keys: &[SmolStr],
    schema: Schema<'_>,
) -> Result<(), Error> {
    let too_many = dest.as_sequence().is_some_and(|items| items.len() > MAX_ELEMENTS)
        || patch.is_some_and(|(patch, _)| patch.as_sequence().is_some_and(|items| items.len() > MAX_ELEMENTS));
    if too_many {
        return Err(Error::at(dest, Problem::ListTooLong { limit: MAX_ELEMENTS }));
    }
    let Some(elements) = dest.as_sequence_mut() else { return Ok(()) };
    let said = patch.and_then(|(patch, _)| patch.as_sequence());
    if keys.is_empty() {
        unite_scalars(elements, said.unwrap_or_default());
        return Ok(());
    }
    let mut values: Vec<Vec<SmolStr>> = Vec::new();
    for element in said.unwrap_or_default().iter().chain(elements.iter()) {
        let value = values_of(element, keys);
        if !values.contains(&value) {
            values.push(value);
        }
    }
    if keys.len() > 1 {
        fill_gaps(&mut values);
    }
    let used: Vec<usize> = (0..keys.len())
        .filter(|key| values.iter().any(|value| value.get(*key).is_some_and(|v| !v.is_empty())))
        .collect();
    let used: Vec<usize> = if used.is_empty() { (0..keys.len()).collect() } else { used };
    let valid_keys: Vec<&SmolStr> = used.iter().filter_map(|key| keys.get(*key)).collect();

    let mut items: Vec<Item> = Vec::new();
    let mut read: Vec<(usize, Option<Node>)> = Vec::new();
    for value in &values {
        let valid: Vec<&SmolStr> = used.iter().filter_map(|key| value.get(*key)).collect();
        let found = find(elements, &valid_keys, &valid);
        let (mut first_read, mut left) = (None, None::<Node>);
        let said = match (patch, said) {
            (None, _) => {
                if found.is_some() {
                    Patch::Same
                } else {
                    Patch::Silent
                }
            }
            (Some(_), Some(said)) => match find(said, &valid_keys, &valid).map(|at| (at, said.get(at))) {
                // Where two elements come to the same keys kustomize reads the first one twice, the second time
                // without its directive, and without what that has taken from it.
                Some((at, Some(element))) => match read.iter().find(|(known, _)| *known == at) {
                    Some((_, replaced)) => {
                        let node = left.insert(replaced.clone().unwrap_or_else(|| element.clone()));
                        node.remove(DIRECTIVE);
                        Patch::Says(node)
                    }
                    None => {
                        first_read = Some((at, element));
                        Patch::Says(element)
                    }
                },
                _ => Patch::Silent,
            },
            (Some(_), None) => Patch::Silent,
        };
        let dest = found.and_then(|at| elements.get_mut(at));
        let outcome = walk(dest, said, schema.elements())?;
        if let Some((at, element)) = first_read {
            let replaced = match (&outcome, mapping_directive(element)) {
                (Outcome::Set(merged), Ok(Some(Directive::Replace))) => Some(merged.clone()),
                _ => None,
            };
            read.push((at, replaced));
        }
        let mut item = match (outcome, found) {
            (Outcome::Keep, Some(at)) => Item::Of(at),
            (Outcome::Set(node), _) => Item::New(node),
            (Outcome::Keep, None) | (Outcome::Clear, _) => {
                remove_matching(elements, &mut items, &valid_keys, &valid);
                continue;
            }
        };
        let node = match &mut item {
            Item::Of(at) | Item::Kept(at) => elements.get_mut(*at),
            Item::New(node) => Some(node),
        };
        let Some(node) = node else { continue };
        if is_empty(node) {
            remove_matching(elements, &mut items, &valid_keys, &valid);
            continue;
        }
        for (key, value) in valid_keys.iter().zip(&valid) {
            if !value.is_empty() && node.get(key).is_none() {
                let mut made = untyped((*value).clone());
                settle_untyped(&mut made);
                node.insert((*key).clone(), made);
            }
        }
        put(&mut items, item, elements, &valid_keys, &valid);
    }
    if values.is_empty() {
        return Ok(());
    }
    append_rest(&mut items, elements, &valid_keys);
    let mut left = vec![0_usize; elements.len()];
    let number = |item: &Item| if let Item::Of(at) | Item::Kept(at) = item { Some(*at) } else { None };
    for at in items.iter().filter_map(number) {
        if let Some(left) = left.get_mut(at) {
            *left += 1;
        }
    }
    let mut taken: Vec<Option<Node>> = std::mem::take(elements).into_iter().map(Some).collect();
    *elements = items
        .into_iter()
        .filter_map(|item| match item {
            Item::Of(at) | Item::Kept(at) => {
                let left = left.get_mut(at)?;
                *left -= 1;
                if *left == 0 { taken.get_mut(at)?.take() } else { taken.get(at)?.clone() }
            }
            Item::New(node) => Some(node),
        })
        .collect();
    Ok(())
}

/// The patch's scalars first, then those of the object that it does not name.
fn unite_scalars(elements: &mut Vec<Node>, said: &[Node]) {
    let mut seen = BTreeSet::new();
    let old = std::mem::take(elements);
    for node in said.iter().cloned().chain(old) {
        if seen.insert(SmolStr::new(node.as_str().unwrap_or_default())) {
            elements.push(node);
        }
    }
}

/// The values of an element's merge keys; empty for those that are absent.
fn values_of(element: &Node, keys: &[SmolStr]) -> Vec<SmolStr> {
    keys.iter()
        .map(|key| match element.get(key) {
            Some(value) if !value.is_null() => value.as_str().map(SmolStr::new).unwrap_or_default(),
            _ => SmolStr::default(),
        })
        .collect()
}

/// Of two elements that agree in one key, one that lacks another key takes it from the other one.
fn fill_gaps(values: &mut [Vec<SmolStr>]) {
    for one in 0..values.len() {
        let Some(first) = values.get(one).cloned() else { continue };
        for other in 0..values.len() {
            let Some(filled) = values.get(other).and_then(|second| united(&first, second)) else { continue };
            if let Some(place) = values.get_mut(one) {
                place.clone_from(&filled);
            }
            if let Some(place) = values.get_mut(other) {
                *place = filled;
            }
        }
    }
}

fn united(one: &[SmolStr], other: &[SmolStr]) -> Option<Vec<SmolStr>> {
    let mut agree = false;
    let mut filled = Vec::with_capacity(one.len());
    for (one, other) in one.iter().zip(other) {
        if one == other {
            agree = true;
            filled.push(one.clone());
        } else if one.is_empty() || other.is_empty() {
            filled.push(if one.is_empty() { other.clone() } else { one.clone() });
        } else {
            return None;
        }
    }
    agree.then_some(filled)
}

/// The first element in which the keys that have values have exactly these.
fn find(elements: &[Node], keys: &[&SmolStr], values: &[&SmolStr]) -> Option<usize> {
    let none_given = values.iter().all(|value| value.is_empty());
    let holds = |element: &Node, key: &str, value: &str| {
        // What nothing is written for, and what is no scalar, is empty text here.
        element.get(key).is_some_and(|node| written_text(node) == value)
    };
    elements.iter().position(|element| {
        let mut pairs = keys.iter().zip(values).filter(|(_, value)| none_given || !value.is_empty());
        element.is_mapping() && pairs.all(|(key, value)| holds(element, key, value))
    })
}

/// True when the element has the key with this value; with any value if none is asked for.
fn matches(element: &Node, key: &str, value: &str) -> bool {
    match element.get(key) {
        None => false,
        Some(node) => value.is_empty() || (!node.is_null() && node.as_str() == Some(value)),
    }
}

pub(super) fn is_empty(node: &Node) -> bool {
    node.is_null() || node.as_mapping().is_some_and(|entries| entries.is_empty())
}

/// Takes the elements with these keys out of the object's list. Those that are merged already live on in `items`.
fn remove_matching(elements: &mut Vec<Node>, items: &mut [Item], keys: &[&SmolStr], values: &[&SmolStr]) {
    let wants_mapping = values.first().is_some_and(|value| !value.is_empty());
    let stays = |element: &Node| {
        !is_empty(element)
            && ((!element.is_mapping() && wants_mapping)
                || !keys.iter().zip(values).all(|(key, value)| matches(element, key, value)))
    };
    let mut kept = Vec::with_capacity(elements.len());
    for (at, element) in std::mem::take(elements).into_iter().enumerate() {
        let of_this = items.iter_mut().find(|item| matches!(item, Item::Of(known) if *known == at));
        match (stays(&element), of_this) {
            (true, item) => {
                if let Some(item) = item {
                    *item = Item::Kept(kept.len());
                }
                kept.push(element);
            }
            (false, Some(item)) => *item = Item::New(element),
            (false, None) => {}
        }
    }
    for item in items {
        if let Item::Kept(at) = item {
            *item = Item::Of(*at);
        }
    }
    *elements = kept;
}

fn node_of<'a>(item: &'a Item, elements: &'a [Node]) -> Option<&'a Node> {
    match item {
        Item::Of(at) | Item::Kept(at) => elements.get(*at),
        Item::New(node) => Some(node),
    }
}

/// Puts a merged element in the place of each of those with its keys, or at the end.
fn put(items: &mut Vec<Item>, item: Item, elements: &[Node], keys: &[&SmolStr], values: &[&SmolStr]) {
    let same = |known: &Item| {
        node_of(known, elements)
            .is_some_and(|node| keys.iter().zip(values).all(|(key, value)| matches(node, key, value)))
    };
    let places: Vec<usize> = items.iter().enumerate().filter(|(_, known)| same(known)).map(|(at, _)| at).collect();
    let Some((last, others)) = places.split_last() else { return items.push(item) };
    for at in others {
        if let Some(place) = items.get_mut(*at) {
            place.clone_from(&item);
        }
    }
    if let Some(place) = items.get_mut(*last) {
        *place = item;
    }
}

/// Adds the object's own elements: in the place of a merged one with the same keys, else at the end.
fn append_rest(items: &mut Vec<Item>, elements: &[Node], keys: &[&SmolStr]) {
    for (at, element) in elements.iter().enumerate() {
        let values: Vec<SmolStr> = keys
            .iter()
            .filter_map(|key| element.get(key))
            .map(|v| v.as_str().map(SmolStr::new).unwrap_or_default())
            .collect();
        let values: Vec<&SmolStr> = values.iter().collect();
        if values.len() < keys.len() && values.is_empty() {
            // An element without any of its keys sweeps all others away.
            items.clear();
            items.push(Item::Of(at));
            continue;
        }
        if keys.len() > 1 {
            let keep = |item: &Item| {
                node_of(item, elements)
                    .is_some_and(|node| !(keys.iter().zip(&values).all(|(key, value)| matches(node, key, value))))
            };
            items.retain(keep);
        }
        put(items, Item::Of(at), elements, keys, &values);
    }
}
