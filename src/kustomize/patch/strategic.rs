//! Strategic merge: a patch that looks like the object, merged into it.
//!
//! Maps merge, null removes, lists merge by key where the schema of the kind says so and are replaced elsewhere, and
//! `$patch` directives delete or replace. What looks odd here is what kustomize does, and outputs depend on it: the
//! patch's elements come first in a merged list, fields with nothing written behind them vanish from any object that
//! is patched, and an element without its merge key takes part in strange ways (`elements`).

mod elements;

use std::collections::HashSet;

use smol_str::SmolStr;

use elements::{ElementsOf, is_empty, merge_elements};

use super::schema::Schema;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{
    is_quoted, is_quoted_by_type, is_tag_written, is_untyped, quoted_as, settle_untyped, typed,
};
use crate::kustomize::resource::written_text;
use crate::yaml::{CollectionStyle, Content, Entry, Node, Plain, Resolve, ScalarStyle};

const DIRECTIVE: &str = "$patch";

/// What becomes of a place in the object.
enum Outcome {
    /// What stands there stays, and may have been changed inside.
    Keep,
    /// Nothing is there any more.
    Clear,
    /// What the patch has there stands there now, as it is after it was read.
    Take,
    /// This stands there now.
    Set(Node),
}

/// What a patch says at one place of an object. Who reads a directive takes it away, and an element of a list may be
/// read twice.
enum Patch<'a> {
    /// Nothing.
    Silent,
    /// The patch has this there.
    Says(&'a mut Node),
    /// What stands in the object came from the patch itself, a level above.
    Same,
}

impl Patch<'_> {
    fn node(&self) -> Option<&Node> {
        if let Patch::Says(node) = self { Some(node) } else { None }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Merges a patch into an object; `false` when nothing is left of it. A patch that wants to replace the whole object
/// does nothing. Of the patch there is left what was not used up.
///
/// # Errors
/// When patch and object have different kinds of value at the same place, or a directive is not known.
pub(in crate::kustomize) fn merge(object: &mut Node, patch: &mut Node, schema: Schema<'_>) -> Result<bool, Error> {
    match walk(Some(object), Patch::Says(patch), schema)? {
        Outcome::Keep | Outcome::Take | Outcome::Set(_) => Ok(true),
        Outcome::Clear => Ok(false),
    }
}

fn walk(dest: Option<&mut Node>, patch: Patch<'_>, schema: Schema<'_>) -> Result<Outcome, Error> {
    let schema = schema.or_of_object([dest.as_deref(), patch.node()]);
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
            if let Some(patch) = patch.node() {
                let alike = (dest.is_mapping() && patch.is_mapping())
                    || (dest.is_sequence() && patch.is_sequence())
                    || (dest.is_scalar() && patch.is_scalar());
                if !alike {
                    let problem = Problem::PatchKind { patch: patch.describe(), object: dest.describe() };
                    return Err(Error::at(patch, problem));
                }
                take_style_if_empty(dest, patch);
                dest.take_line_comment(patch);
            }
            if dest.is_mapping() {
                merge_mapping(dest, patch, schema)
            } else if let (Some(keys), true) = (schema.merge_keys(), dest.is_sequence()) {
                merge_sequence(dest, patch, keys, schema)
            } else {
                Ok(match patch {
                    Patch::Says(patch) => Outcome::Set(in_style_of(dest, patch)?),
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
fn in_style_of(dest: &Node, patch: &Node) -> Result<Node, Error> {
    match (dest.as_scalar(), patch.as_scalar()) {
        // Where a type is written the patch's own one takes its place, quotes or not.
        (Some(old), Some(_)) if is_quoted(dest) && !is_quoted_by_type(dest) => {
            let mut node = quoted_as(patch, old.style)?;
            node.take_line_comment(patch);
            Ok(node)
        }
        // It is a string all the same, but the next one is none because of it.
        (Some(_), Some(new)) if new.style != ScalarStyle::Plain && patch.tag().is_none() => {
            let mut node = typed(new.text.clone(), "!!str").at_place_of(patch);
            node.take_line_comment(patch);
            Ok(node)
        }
        // Whether a type is written is the place's affair, too.
        (Some(_), Some(_)) if is_tag_written(dest) != is_tag_written(patch) => {
            let mut node = patch.clone().at_place_of(dest);
            if matches!(patch.resolve(Resolve::V3)?, Some(Plain::Text)) {
                node.set_tag(Some("!!str".into()));
            }
            Ok(node)
        }
        _ => {
            let mut node = patch.clone();
            if let (Content::Sequence(old), Content::Sequence(new)) = (&dest.content, &mut node.content) {
                new.style = old.style;
            }
            Ok(node)
        }
    }
}

/// What the patch says where the object has nothing.
fn add(patch: &mut Node, schema: Schema<'_>) -> Result<Outcome, Error> {
    if patch.is_null() {
        return Ok(Outcome::Clear);
    }
    let schema = schema.or_of_object([Some(patch), None]);
    if patch.is_mapping() {
        // Here a directive that is not known is an ordinary field.
        if let Ok(Some(Directive::Delete)) = take_directive(patch) {
            return Ok(Outcome::Clear);
        }
        merge_fields(patch, &mut Patch::Same, schema)?;
    } else if let (Some(keys), true) = (schema.merge_keys(), patch.is_sequence()) {
        merge_elements(patch, ElementsOf::Same, keys, schema)?;
    }
    Ok(Outcome::Take)
}

fn merge_mapping(dest: &mut Node, mut patch: Patch<'_>, schema: Schema<'_>) -> Result<Outcome, Error> {
    let directive = match &mut patch {
        Patch::Silent => None,
        Patch::Says(patch) => take_directive(patch)?,
        Patch::Same => take_directive(dest)?,
    };
    match (directive, &mut patch) {
        (Some(Directive::Delete), _) => Ok(Outcome::Clear),
        (Some(Directive::Replace), Patch::Says(patch)) => {
            merge_fields(patch, &mut Patch::Same, schema)?;
            Ok(Outcome::Take)
        }
        (_, patch) => {
            merge_fields(dest, patch, schema)?;
            Ok(Outcome::Keep)
        }
    }
}

fn merge_fields(dest: &mut Node, patch: &mut Patch<'_>, schema: Schema<'_>) -> Result<(), Error> {
    // To kustomize, a field without a name is the value itself.
    let fields = [Some(&*dest), patch.node()].into_iter().flatten().filter_map(Node::as_mapping).flatten();
    if let Some(nameless) = fields.into_iter().find(|entry| entry.is_nameless()) {
        return Err(Error::at(&nameless.key, Problem::NamelessField));
    }
    // Of a field that is there twice the first one is read.
    let mut seen = HashSet::new();
    let said = patch.node().and_then(Node::as_mapping).unwrap_or_default();
    let mut is_new =
        |entry: &Entry| entry.name().is_some_and(|name| dest.get(name).is_none() && seen.insert(SmolStr::from(name)));
    let added: Vec<usize> = (0..).zip(said).filter(|(_, entry)| is_new(entry)).map(|(at, _)| at).collect();
    let mut failure = None;
    let mut cleared: Vec<SmolStr> = Vec::new();
    if let Some(entries) = dest.as_mapping_mut() {
        entries.retain_mut(|entry| {
            if failure.is_some() {
                return true;
            }
            let Some(name) = entry.key.as_str() else { return true };
            // Of a field that is there twice one is taken away.
            if cleared.iter().any(|cleared| cleared == name) {
                return true;
            }
            let field = schema.field(name);
            let (mut said, silence) = match &mut *patch {
                Patch::Says(patch) => (patch.get_mut(name), Patch::Silent),
                Patch::Silent => (None, Patch::Silent),
                Patch::Same => (None, Patch::Same),
            };
            let says = said.as_deref_mut().map_or(silence, Patch::Says);
            let set = match walk(Some(&mut entry.value), says, field) {
                Ok(Outcome::Keep) => {
                    settle_untyped(&mut entry.value);
                    return true;
                }
                Ok(Outcome::Clear) => {
                    cleared.push(name.into());
                    return false;
                }
                Ok(Outcome::Take) => said.map(|said| said.clone()),
                Ok(Outcome::Set(node)) => Some(node),
                Err(error) => {
                    failure = Some(error);
                    return true;
                }
            };
            if let Some(mut node) = set {
                take_style(&mut node, &entry.value);
                entry.value = node;
            }
            true
        });
    }
    if let Some(error) = failure {
        return Err(error);
    }
    let (Patch::Says(patch), Some(entries)) = (patch, dest.as_mapping_mut()) else { return Ok(()) };
    for at in added {
        let Some(entry) = patch.as_mapping_mut().and_then(|said| said.get_mut(at)) else { continue };
        let Some(field) = entry.name().map(|name| schema.field(name)) else { continue };
        let mut value = match add(&mut entry.value, field)? {
            Outcome::Take => entry.value.clone(),
            Outcome::Set(node) => node,
            Outcome::Keep | Outcome::Clear => continue,
        };
        settle_untyped(&mut value);
        // The comment behind a key stays behind where the key is new, and so does its type.
        let mut key = entry.key.clone();
        key.forget_comments();
        key.set_tag(None);
        entries.push(Entry { key, value });
    }
    Ok(())
}

/// What is empty has no style of its own: it is in braces when the patch is.
fn take_style_if_empty(dest: &mut Node, patch: &Node) {
    match (&mut dest.content, &patch.content) {
        (Content::Mapping(old), Content::Mapping(new)) if old.entries.is_empty() => old.style = new.style,
        (Content::Sequence(old), Content::Sequence(new)) if old.items.is_empty() => old.style = new.style,
        _ => {}
    }
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

fn merge_sequence(
    dest: &mut Node,
    mut patch: Patch<'_>,
    keys: &[SmolStr],
    schema: Schema<'_>,
) -> Result<Outcome, Error> {
    let directive = match &mut patch {
        Patch::Silent => None,
        Patch::Says(patch) => take_directive_of_list(patch)?,
        Patch::Same => take_directive_of_list(dest)?,
    };
    match (directive, patch) {
        (Some(Directive::Delete), _) => Ok(Outcome::Clear),
        (Some(Directive::Replace), Patch::Says(patch)) => {
            merge_elements(patch, ElementsOf::Same, keys, schema)?;
            Ok(Outcome::Take)
        }
        (_, patch) => {
            let elements = match patch {
                Patch::Says(patch) => ElementsOf::Patch(patch),
                Patch::Same => ElementsOf::Same,
                Patch::Silent => ElementsOf::Nothing,
            };
            merge_elements(dest, elements, keys, schema)?;
            Ok(Outcome::Keep)
        }
    }
}

/// True when a patch puts something else in the place of the object, or of a map on the way to this field.
pub(in crate::kustomize) fn wipes_above(patch: &Node, path: &[SmolStr]) -> bool {
    let mut node = Some(patch);
    path.iter().any(|part| match node {
        Some(map) => {
            node = map.get(part);
            wipes(map)
        }
        None => false,
    })
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

/// The directive of a map, which is not in it any more then.
fn take_directive(node: &mut Node) -> Result<Option<Directive>, Error> {
    let directive = mapping_directive(node)?;
    if directive.is_some() {
        node.remove(DIRECTIVE);
    }
    Ok(directive)
}

/// The directive of a list: an element that holds nothing else. Each element with this directive goes then, and each
/// empty one.
fn take_directive_of_list(node: &mut Node) -> Result<Option<Directive>, Error> {
    let Some(items) = node.as_sequence_mut() else { return Ok(None) };
    let Some(found) = items.iter().find(|item| item.get(DIRECTIVE).is_some()) else { return Ok(None) };
    if found.as_mapping().is_some_and(|entries| entries.len() > 1) {
        return Ok(None);
    }
    let directive = mapping_directive(found)?;
    items.retain(|item| !is_empty(item) && mapping_directive(item).ok().flatten() != directive);
    Ok(directive)
}
