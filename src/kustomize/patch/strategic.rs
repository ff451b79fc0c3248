//! Strategic merge: a patch that looks like the object, merged into it.
//!
//! Maps merge, null removes, lists merge by key where the schema of the kind says so and are replaced elsewhere, and
//! `$patch` directives delete or replace. What looks odd here is what kustomize does, and outputs depend on it: the
//! patch's elements come first in a merged list, fields with nothing written behind them vanish from any object that
//! is patched, and an element without its merge key takes part in strange ways (`elements`).

mod elements;

use std::collections::HashSet;

use smol_str::SmolStr;

use elements::ElementsOf::{Absent, FromPatch};
use elements::{is_empty, merge_elements};

use super::schema::Schema;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{is_quoted, is_untyped, settle_untyped, typed};
use crate::kustomize::resource::written_text;
use crate::yaml::{CollectionStyle, Content, Entry, Node, ScalarStyle};

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
    // Of a field that is there twice the first one is read.
    let mut seen = HashSet::new();
    let is_new = |name: &str| dest.get(name).is_none();
    let added: Vec<&Entry> =
        said.iter().filter(|entry| entry.name().is_some_and(|name| is_new(name) && seen.insert(name))).collect();
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
