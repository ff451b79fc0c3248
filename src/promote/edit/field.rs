//! A field of any file: a tag, a digest, a whole reference, or a list of references.
//!
//! What is written follows what is there: where a tag stands comes a tag. In a list references are written as an Application's
//! `kustomize.images` has them, `web:1.4.2` or `web=ghcr.io/org/web:1.4.2`.

use std::sync::Arc;

use super::error::{Error, Problem};
use super::kustomization::{append_in_braces, dash, scalar};
use super::path::FieldPath;
use super::text::{Lines, Replacement, written};
use super::{Found, Image};
use crate::registry::{Digest, Reference, Tag, Version};
use crate::yaml::{CollectionStyle, Content, Document, Node, ScalarStyle};

/// A field, and the key that it stands under.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    key: Option<&'a Node>,
    value: &'a Node,
}

/// The field of the one document that has it.
pub(super) fn find<'a>(file: &Arc<str>, documents: &'a [Document], path: &FieldPath) -> Result<Field<'a>, Error> {
    let field = || path.to_string();
    let mut of_documents = documents.iter().filter_map(|document| lookup(&document.root, path).transpose());
    let found = of_documents.next();
    let more = of_documents.count();
    match found {
        Some(Ok(found)) if more > 0 => {
            Err(Error::at(Problem::Ambiguous { field: field(), documents: more + 1 }, found.value))
        }
        Some(found) => found,
        None => match documents.first() {
            Some(document) => Err(Error::at(Problem::Missing { field: field() }, deepest(&document.root, path))),
            None => Err(Error::of_file(Problem::Nothing, file)),
        },
    }
}

fn lookup<'a>(root: &'a Node, path: &FieldPath) -> Result<Option<Field<'a>>, Error> {
    let mut field = Field { key: None, value: root };
    for step in path.steps() {
        let parent = field.value;
        let Some((key, value)) = step.take(parent) else { return Ok(None) };
        // An alias, or what a merge key brings, is written above the place where it is read.
        let is_alias = value.span().start < key.map_or(parent.span().start, |key| key.span().end);
        let is_merged = key.is_some_and(|key| key.span().start < parent.span().start);
        if is_alias || is_merged {
            return Err(Error::at(Problem::Alias { field: path.to_string() }, key.unwrap_or(value)));
        }
        field = Field { key, value };
    }
    Ok(Some(field))
}

/// How far a path leads.
fn deepest<'a>(root: &'a Node, path: &FieldPath) -> &'a Node {
    let (mut node, mut shown) = (root, root);
    for step in path.steps() {
        let Some((key, value)) = step.take(node) else { break };
        (node, shown) = (value, key.unwrap_or(value));
    }
    shown
}

/// What the field says of an image.
pub(super) fn found(field: Field<'_>, path: &FieldPath, name: &str) -> Result<Option<Found>, Error> {
    match &field.value.content {
        Content::Sequence(sequence) => {
            let found = sequence.items.iter().filter_map(|item| Listed::read(item, name)).next();
            Ok(found.map(|listed| listed.found(name)))
        }
        Content::Scalar(_) => Ok(Held::read(field.value, path, name)?.found(name)),
        Content::Mapping(_) => Err(wrong_type(field.value, path)),
    }
}

/// What is to be replaced for the field to say this version.
pub(super) fn replacements(
    text: &Lines<'_>,
    field: Field<'_>,
    path: &FieldPath,
    image: &Image,
) -> Result<Vec<Replacement>, Error> {
    if let Some(items) = field.value.as_sequence() {
        return in_list(*text, field.value, items, path, image);
    }
    let wanted = Held::read(field.value, path, &image.name)?.with(image, path, field.value)?;
    // A document that is a scalar stands under no key, and is written.
    let key = field.key.unwrap_or(field.value);
    Ok(scalar(*text, key, field.value, &path.to_string(), &wanted)?.into_iter().collect())
}

fn in_list(
    text: Lines<'_>,
    list: &Node,
    items: &[Node],
    path: &FieldPath,
    image: &Image,
) -> Result<Vec<Replacement>, Error> {
    let mut of_name = items.iter().filter_map(|item| Some((item, Listed::read(item, &image.name)?)));
    if let Some((item, listed)) = of_name.next() {
        if item.span().start < list.span().start {
            return Err(Error::at(Problem::Alias { field: path.to_string() }, item));
        }
        return Ok(scalar(text, item, item, &path.to_string(), &listed.with(image))?.into_iter().collect());
    }
    let new_name = image.new_name.as_deref().unwrap_or(&image.name);
    let listed = Listed { is_renamed: new_name != image.name, reference: bare(new_name) };
    let style = items.last().and_then(Node::as_scalar).map_or(ScalarStyle::Plain, |scalar| scalar.style);
    let item = written(&listed.with(image), style);
    let Some(last) = items.last() else {
        return Ok(vec![Replacement::of(list.span(), format!("[{item}]"))]);
    };
    let end = last.span().end as usize;
    if matches!(&list.content, Content::Sequence(sequence) if sequence.style == CollectionStyle::Flow) {
        return Ok(append_in_braces(text, list, end, &item));
    }
    let start = last.span().start as usize;
    let dash = dash(text, start).unwrap_or(list.span().start as usize);
    let gap = text.slice(dash + 1..start);
    let gap = if gap.is_empty() || gap.contains('\n') { " " } else { gap };
    Ok(vec![text.lines_below(end, &[format!("{}-{gap}{item}", " ".repeat(text.column(dash)))])])
}

/// True for an item of a list that is about this image.
pub(super) fn lists(item: &Node, name: &str) -> bool {
    Listed::read(item, name).is_some()
}

fn wrong_type(node: &Node, path: &FieldPath) -> Error {
    let expected = "a tag, a digest, an image or a list of images";
    Error::at(Problem::WrongType { field: path.to_string(), expected, found: node.describe() }, node)
}

fn bare(name: &str) -> Reference {
    Reference { name: name.into(), tag: None, digest: None }
}

/// The reference with this version and no other.
fn at_version(reference: &Reference, image: &Image) -> Reference {
    let name = image.new_name.clone().unwrap_or_else(|| reference.name.clone());
    let (tag, digest) = match &image.version {
        Version::Tag(tag) => (Some(tag.clone()), None),
        Version::Digest(digest) => (None, Some(digest.clone())),
    };
    Reference { name, tag, digest }
}

fn said(reference: Reference, name: &str) -> Found {
    let new_name = (reference.name != name).then_some(reference.name);
    Found { new_name, tag: reference.tag, digest: reference.digest }
}

/// An item of a list of images.
struct Listed {
    /// Whether the image's own name stands in front, with `=`.
    is_renamed: bool,
    reference: Reference,
}

impl Listed {
    /// `None` when it is about another image, or about none.
    fn read(item: &Node, name: &str) -> Option<Self> {
        let text = item.as_str()?;
        let (own, reference) = match text.split_once('=') {
            Some((own, reference)) => (Some(own), Reference::parse(reference).ok()?),
            None => (None, Reference::parse(text).ok()?),
        };
        (own.unwrap_or(&reference.name) == name).then_some(Listed { is_renamed: own.is_some(), reference })
    }

    fn found(self, name: &str) -> Found {
        said(self.reference, name)
    }

    fn with(&self, image: &Image) -> String {
        let reference = at_version(&self.reference, image);
        match self.is_renamed || reference.name != image.name {
            true => format!("{}={reference}", image.name),
            false => reference.to_string(),
        }
    }
}

/// What a scalar holds.
enum Held {
    Nothing,
    Tag(Tag),
    Digest(Digest),
    Reference(Reference),
}

impl Held {
    fn read(node: &Node, path: &FieldPath, name: &str) -> Result<Self, Error> {
        let Some(text) = node.as_str() else { return Err(wrong_type(node, path)) };
        if text.is_empty() || node.is_null() {
            return Ok(Held::Nothing);
        }
        if let Ok(digest) = Digest::new(text) {
            return Ok(Held::Digest(digest));
        }
        match Reference::parse(text) {
            Ok(reference) if is_same_image(&reference.name, name) => Ok(Held::Reference(reference)),
            // A word alone may be a name as well; that of another image would stand with its version.
            Ok(reference) if reference.tag.is_some() || reference.digest.is_some() || reference.name.contains('/') => {
                let (field, found) = (path.to_string(), reference.to_string());
                Err(Error::at(Problem::OtherImage { field, found }, node))
            }
            _ => Tag::new(text).map(Held::Tag).map_err(|_| wrong_type(node, path)),
        }
    }

    fn found(self, name: &str) -> Option<Found> {
        match self {
            Held::Nothing => None,
            Held::Tag(tag) => Some(Found { tag: Some(tag), ..Found::default() }),
            Held::Digest(digest) => Some(Found { digest: Some(digest), ..Found::default() }),
            Held::Reference(reference) => Some(said(reference, name)),
        }
    }

    /// The text that takes its place.
    fn with(&self, image: &Image, path: &FieldPath, node: &Node) -> Result<String, Error> {
        let other = |found, wanted| Err(Error::at(Problem::OtherKind { field: path.to_string(), found, wanted }, node));
        match (self, &image.version) {
            (Held::Reference(reference), _) => Ok(at_version(reference, image).to_string()),
            (Held::Tag(_), Version::Digest(_)) => other("a tag", "a digest"),
            (Held::Digest(_), Version::Tag(_)) => other("a digest", "a tag"),
            _ => Ok(image.version.to_string()),
        }
    }
}

/// A reference is of an image also when it names another registry for it: `ghcr.io/org/web` is `web`.
fn is_same_image(found: &str, name: &str) -> bool {
    found == name || found.strip_suffix(name).is_some_and(|before| before.ends_with('/'))
}
