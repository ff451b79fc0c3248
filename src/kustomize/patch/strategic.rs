//! Strategic merge: a patch that looks like the object, merged into it.
//!
//! Maps merge, null removes, lists merge by key where the schema of the kind says so and are replaced elsewhere, and
//! `$patch` directives delete or replace. What looks odd here is what kustomize does, and outputs depend on it: the
//! patch's elements come first in a merged list, fields with nothing written behind them vanish from any object that
//! is patched, and an element without its merge key takes part in strange ways.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::schema::Schema;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{is_quoted, is_untyped, settle_untyped, typed, untyped};
use crate::kustomize::resource::written_text;
use crate::yaml::{CollectionStyle, Content, Entry, Node, ScalarStyle};

/// Merging by key compares each element with each.
const MAX_ELEMENTS: usize = 4_000;

const DIRECTIVE: &str = "$patch";

/// What becomes of a place in the object.
enum Outcome {
    /// What stands there stays, and may have been changed inside.
    Keep,
    /// Nothing is there any more.
    Clear,
    /// This stands there now.
    Set(Node),
}

/// What a patch says at one place of an object.
#[derive(Clone, Copy)]
enum Patch<'a> {
    /// Nothing.
    Silent,
    /// The patch has this there.
    Says(&'a Node),
    /// What stands in the object came from the patch itself, a level above.
    Same,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Merges a patch into an object; `false` when nothing is left of it. A patch that wants to replace the whole object
/// does nothing.
///
/// # Errors
/// When patch and object have different kinds of value at the same place, or a directive is not known.
pub(in crate::kustomize) fn merge(object: &mut Node, patch: &Node, schema: Schema<'_>) -> Result<bool, Error> {
    match walk(Some(object), Patch::Says(patch), schema)? {
        Outcome::Keep | Outcome::Set(_) => Ok(true),
        Outcome::Clear => Ok(false),
    }
}

fn walk(dest: Option<&mut Node>, patch: Patch<'_>, schema: Schema<'_>) -> Result<Outcome, Error> {
    let said = if let Patch::Says(patch) = &patch { Some(*patch) } else { None };
    let schema = schema.or_of_object([dest.as_deref(), said]);
    match (dest, patch) {
        (None, Patch::Silent | Patch::Same) => Ok(Outcome::Clear),
        (None, Patch::Says(patch)) => add(patch, schema),
        (Some(dest), Patch::Says(patch)) if is_no_value(dest) => add(patch, schema),
        // A null that was written stays; a field with nothing behind it goes.
        (Some(dest), Patch::Silent) if is_no_value(dest) => {
            Ok(if written_text(dest).is_empty() { Outcome::Clear } else { Outcome::Keep })
        }
        (Some(dest), Patch::Same) if is_no_value(dest) => Ok(Outcome::Clear),
        (Some(_), Patch::Says(patch)) if patch.is_null() => Ok(Outcome::Clear),
        (Some(dest), patch) => {
            if let Patch::Says(patch) = &patch {
                let alike = (dest.is_mapping() && patch.is_mapping())
                    || (dest.is_sequence() && patch.is_sequence())
                    || (dest.is_scalar() && patch.is_scalar());
                if !alike {
                    let problem = Problem::PatchKind { patch: patch.describe(), object: dest.describe() };
                    return Err(Error::at(patch, problem));
                }
            }
            if dest.is_mapping() {
                merge_mapping(dest, patch, schema)
            } else if let (Some(keys), true) = (schema.merge_keys(), dest.is_sequence()) {
                merge_sequence(dest, patch, keys, schema)
            } else {
                Ok(match patch {
                    Patch::Says(patch) => Outcome::Set(in_style_of(dest, patch)),
                    Patch::Silent | Patch::Same => Outcome::Keep,
                })
            }
        }
    }
}

/// True for a null, but not for the empty text that a transformer has written, which is one only when it is read.
fn is_no_value(node: &Node) -> bool {
    node.is_null() && !is_untyped(node)
}

/// The patch's value as it is written in the place of the object's: in quotes where that is in quotes, which makes a
/// string of any number or bool, in braces where that is in braces.
fn in_style_of(dest: &Node, patch: &Node) -> Node {
    match (dest.as_scalar(), patch.as_scalar()) {
        // Where a type is written the patch's own one takes its place, quotes or not.
        (Some(old), Some(new)) if is_quoted(dest) && dest.tag().is_none_or(|tag| tag == "!!str") => {
            Node::scalar(new.text.clone(), old.style).at_place_of(patch)
        }
        // It is a string all the same, but the next one is none because of it.
        (Some(_), Some(new)) if new.style != ScalarStyle::Plain && patch.tag().is_none() => {
            typed(new.text.clone(), "!!str").at_place_of(patch)
        }
        _ => {
            let mut node = patch.clone();
            if let (Content::Sequence(old), Content::Sequence(new)) = (&dest.content, &mut node.content) {
                new.style = old.style;
            }
            node
        }
    }
}

/// What the patch says where the object has nothing.
fn add(patch: &Node, schema: Schema<'_>) -> Result<Outcome, Error> {
    if patch.is_null() {
        return Ok(Outcome::Clear);
    }
    let schema = schema.or_of_object([Some(patch), None]);
    let mut node = patch.clone();
    if node.is_mapping() {
        // Here a directive that is not known is an ordinary field.
        match mapping_directive(&node) {
            Ok(Some(Directive::Delete)) => return Ok(Outcome::Clear),
            Ok(Some(_)) => drop(node.remove(DIRECTIVE)),
            Ok(None) | Err(_) => {}
        }
        merge_fields(&mut node, &Patch::Same, schema)?;
    } else if let (Some(keys), true) = (schema.merge_keys(), node.is_sequence()) {
        merge_elements(&mut node, None, keys, schema)?;
    }
    Ok(Outcome::Set(node))
}

fn merge_mapping(dest: &mut Node, patch: Patch<'_>, schema: Schema<'_>) -> Result<Outcome, Error> {
    let directive = match &patch {
        Patch::Silent => None,
        Patch::Says(patch) => mapping_directive(patch)?,
        Patch::Same => mapping_directive(dest)?,
    };
    match (directive, &patch) {
        (Some(Directive::Delete), _) => return Ok(Outcome::Clear),
        (Some(Directive::Replace), Patch::Says(patch)) => {
            let mut node = Node::clone(patch);
            node.remove(DIRECTIVE);
            merge_fields(&mut node, &Patch::Same, schema)?;
            return Ok(Outcome::Set(node));
        }
        (Some(_), Patch::Same) => drop(dest.remove(DIRECTIVE)),
        _ => {}
    }
    merge_fields(dest, &patch, schema)?;
    Ok(Outcome::Keep)
}

fn merge_fields(dest: &mut Node, patch: &Patch<'_>, schema: Schema<'_>) -> Result<(), Error> {
    let said = if let Patch::Says(patch) = patch { patch.as_mapping().unwrap_or_default() } else { &[] };
    let added: Vec<&Entry> =
        said.iter().filter(|entry| entry.name().is_some_and(|name| dest.get(name).is_none())).collect();
    let mut failure = None;
    if let Some(entries) = dest.as_mapping_mut() {
        entries.retain_mut(|entry| {
            if failure.is_some() {
                return true;
            }
            let Some(name) = entry.name() else { return true };
            let said = match patch {
                Patch::Silent => Patch::Silent,
                Patch::Same => Patch::Same,
                Patch::Says(patch) => patch.get(name).map_or(Patch::Silent, Patch::Says),
            };
            let field = schema.field(name);
            match walk(Some(&mut entry.value), said, field) {
                Ok(Outcome::Keep) => {
                    settle_untyped(&mut entry.value);
                    true
                }
                Ok(Outcome::Clear) => false,
                Ok(Outcome::Set(mut node)) => {
                    take_style(&mut node, &entry.value);
                    entry.value = node;
                    true
                }
                Err(error) => {
                    failure = Some(error);
                    true
                }
            }
        });
    }
    if let Some(error) = failure {
        return Err(error);
    }
    for entry in added {
        let Some(name) = entry.name() else { continue };
        if name == DIRECTIVE && directive(&entry.value).is_ok() {
            continue;
        }
        if let Outcome::Set(value) = add(&entry.value, schema.field(name))?
            && let Some(entries) = dest.as_mapping_mut()
        {
            // The comment behind a key stays behind where the key is new.
            let mut key = entry.key.clone();
            key.forget_comments();
            entries.push(Entry { key, value });
        }
    }
    Ok(())
}

/// A collection takes the style of what it replaces; in the place of nothing it is in no braces.
fn take_style(node: &mut Node, old: &Node) {
    let style = match &old.content {
        Content::Mapping(mapping) => mapping.style,
        Content::Sequence(sequence) => sequence.style,
        Content::Scalar(_) => CollectionStyle::Block,
    };
    match &mut node.content {
        Content::Mapping(mapping) => mapping.style = style,
        Content::Sequence(sequence) => sequence.style = style,
        Content::Scalar(_) => {}
    }
}

fn merge_sequence(dest: &mut Node, patch: Patch<'_>, keys: &[SmolStr], schema: Schema<'_>) -> Result<Outcome, Error> {
    let directive = match &patch {
        Patch::Silent => None,
        Patch::Says(patch) => sequence_directive(patch)?,
        Patch::Same => sequence_directive(dest)?,
    };
    match (directive, patch) {
        (Some(Directive::Delete), _) => Ok(Outcome::Clear),
        (Some(Directive::Replace), Patch::Says(patch)) => {
            let mut node = Node::clone(patch);
            remove_directive(&mut node, Directive::Replace);
            merge_elements(&mut node, None, keys, schema)?;
            Ok(Outcome::Set(node))
        }
        (Some(Directive::Merge), Patch::Says(patch)) => {
            let mut patch = Node::clone(patch);
            remove_directive(&mut patch, Directive::Merge);
            merge_elements(dest, Some((&patch, FromPatch)), keys, schema)?;
            Ok(Outcome::Keep)
        }
        (None, Patch::Says(patch)) => {
            merge_elements(dest, Some((patch, FromPatch)), keys, schema)?;
            Ok(Outcome::Keep)
        }
        (directive, Patch::Same) => {
            if let Some(directive) = directive {
                remove_directive(dest, directive);
            }
            merge_elements(dest, None, keys, schema)?;
            Ok(Outcome::Keep)
        }
        (_, Patch::Silent) => {
            let silent = Node::sequence(Vec::new());
            merge_elements(dest, Some((&silent, Absent)), keys, schema)?;
            Ok(Outcome::Keep)
        }
    }
}

use ElementsOf::{Absent, FromPatch};

/// Whether the list to merge in was written in the patch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ElementsOf {
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
fn merge_elements(
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

fn is_empty(node: &Node) -> bool {
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

/// True for what leaves nothing of the map that it is merged into.
pub(in crate::kustomize) fn wipes(patch: &Node) -> bool {
    patch.is_null() || matches!(mapping_directive(patch), Ok(Some(Directive::Delete | Directive::Replace)))
}

fn mapping_directive(node: &Node) -> Result<Option<Directive>, Error> {
    node.get(DIRECTIVE).map(directive).transpose()
}

fn directive(node: &Node) -> Result<Directive, Error> {
    match node.as_str() {
        Some("merge") => Ok(Directive::Merge),
        Some("replace") => Ok(Directive::Replace),
        Some("delete") => Ok(Directive::Delete),
        other => {
            let problem = Problem::Directive { directive: other.unwrap_or_default().into() };
            Err(Error::at(node, problem))
        }
    }
}

/// The directive of a list: an element that holds nothing else.
fn sequence_directive(node: &Node) -> Result<Option<Directive>, Error> {
    let items = node.as_sequence().unwrap_or_default();
    let Some(found) = items.iter().find(|item| item.get(DIRECTIVE).is_some()) else { return Ok(None) };
    if found.as_mapping().is_some_and(|entries| entries.len() > 1) {
        return Ok(None);
    }
    mapping_directive(found)
}

fn remove_directive(node: &mut Node, wanted: Directive) {
    if let Some(items) = node.as_sequence_mut() {
        items.retain(|item| !is_empty(item) && mapping_directive(item).ok().flatten() != Some(wanted));
    }
}
