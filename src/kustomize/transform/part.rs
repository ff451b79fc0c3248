//! What a replacement reads and writes: the whole value of a field, or a part of its text.

use smol_str::SmolStr;

use crate::kustomize::entry::FieldOptions;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::patch::json::MERGE;
use crate::kustomize::place::{is_quoted, is_untyped, settle_quoted, stay_quoted};
use crate::yaml::{Content, Node, Plain, Resolve, Scalar, ScalarStyle};

/// The value of a field, or the part of its text that the options ask for.
///
/// # Errors
/// When a part is asked for of what is no scalar, or there is no such part.
pub(super) fn read(node: &Node, options: &FieldOptions, at: &Node) -> Result<Node, Error> {
    if options.delimiter.is_empty() {
        return Ok(node.clone());
    }
    let Some(scalar) = node.as_scalar() else {
        return Err(Error::at(at, not_a_scalar(node)));
    };
    let place = usize::try_from(options.index).ok();
    let part = place.and_then(|place| scalar.text.split(options.delimiter.as_str()).nth(place));
    let Some(part) = part else {
        return Err(Error::at(at, Problem::Index { index: options.index, value: scalar.text.to_string() }));
    };
    let mut node = pinned(node);
    set_text(&mut node, part.into());
    Ok(node)
}

fn not_a_scalar(node: &Node) -> Problem {
    Problem::FieldKind {
        field: "delimiter".into(),
        of: "a replacement".into(),
        found: node.describe(),
        expected: "a scalar",
    }
}

/// Writes a value into a field, or into the part of its text that the options ask for. A scalar keeps its type: text that is none of that type is refused when the build
/// ends.
pub(super) fn write(node: &mut Node, value: &Node, options: &FieldOptions, at: &Node) -> Result<(), Error> {
    let mut value = value.clone();
    if !options.delimiter.is_empty() {
        let Some(scalar) = node.as_scalar() else { return Err(Error::at(at, not_a_scalar(node))) };
        let text: SmolStr = value.as_str().unwrap_or_default().into();
        let mut parts: Vec<&str> = scalar.text.split(options.delimiter.as_str()).collect();
        match usize::try_from(options.index) {
            Err(_) => parts.insert(0, &text),
            Ok(place) => match parts.get_mut(place) {
                Some(part) => *part = &text,
                None => parts.push(&text),
            },
        }
        let joined = parts.join(&options.delimiter);
        set_text(&mut value, joined.into());
    }
    match (node.is_scalar(), value.as_scalar()) {
        (true, text) => {
            let text = text.map(|scalar| scalar.text.clone()).unwrap_or_default();
            let mut kept = pinned(node);
            set_text(&mut kept, text);
            *node = kept;
        }
        (false, _) => *node = value,
    }
    Ok(())
}

/// The same scalar with the type that it has now written down, so that other text does not change it.
fn pinned(node: &Node) -> Node {
    let mut node = node.clone();
    let tag = match node.resolve(Resolve::V3) {
        Ok(Some(Plain::Text)) if node.as_scalar().is_some_and(is_merge) => MERGE,
        Ok(Some(Plain::Text)) if node.as_scalar().is_some_and(|scalar| scalar.style == ScalarStyle::Plain) => "!!str",
        Ok(Some(Plain::Int(_) | Plain::Uint(_))) => "!!int",
        Ok(Some(Plain::Float(_))) => "!!float",
        Ok(Some(Plain::Bool(_))) => "!!bool",
        Ok(Some(Plain::Null)) => "!!null",
        _ => return node,
    };
    // What nobody has given a type takes the type of its text.
    if !is_untyped(&node) && (node.text().is_some() || node.tag().is_some()) {
        node.set_tag(Some(SmolStr::new_static(tag)));
    }
    node
}

fn is_merge(scalar: &Scalar) -> bool {
    scalar.style == ScalarStyle::Plain && scalar.text == "<<"
}

/// Puts other text in place of a scalar's. What was made in quotes stays in them, and what was made without stays without,
/// whatever the text is.
pub(super) fn set_text(node: &mut Node, text: SmolStr) {
    let was_quoted = is_quoted(node);
    let is_made_bare = node.text().is_none() && node.tag().is_none() && !was_quoted;
    let Content::Scalar(scalar) = &mut node.content else { return };
    scalar.text = text;
    if is_made_bare && scalar.style != ScalarStyle::Plain {
        scalar.style = ScalarStyle::Plain;
        node.set_tag(Some(SmolStr::new_static("!!str")));
    }
    settle_quoted(node);
    if was_quoted {
        stay_quoted(node);
    }
}
