//! The `images` of a kustomization.

use std::sync::Arc;

use super::error::{Error, Problem};
use super::text::{Lines, Replacement, is_text, written};
use super::{Found, Image};
use crate::registry::{Digest, Tag, Version};
use crate::yaml::{Content, Document, Entry, Node, ScalarStyle};

const IMAGES: &str = "images";
const NEW_NAME: &str = "newName";
const NEW_TAG: &str = "newTag";
const DIGEST: &str = "digest";

/// The one document of a kustomization file.
pub(super) fn root<'a>(file: &Arc<str>, documents: &'a [Document]) -> Result<&'a Node, Error> {
    match documents {
        [] => Err(Error::of_file(Problem::Nothing, file)),
        [document] if document.root.is_mapping() => Ok(&document.root),
        [document] => Err(wrong_type(&document.root, "a kustomization", "a mapping")),
        [_, second, ..] => Err(Error::at(Problem::ManyDocuments { documents: documents.len() }, &second.root)),
    }
}

/// What the kustomization says of an image.
pub(super) fn found(root: &Node, name: &str) -> Result<Option<Found>, Error> {
    let Some(entry) = list(root)? else { return Ok(None) };
    let Some(item) = item(&entry.value, name)? else { return Ok(None) };
    let text = |key: &str| item.get(key).filter(|node| !node.is_null()).and_then(Node::as_str);
    let filled = |key: &str| text(key).filter(|text| !text.is_empty());
    Ok(Some(Found {
        new_name: filled(NEW_NAME).map(Into::into),
        tag: filled(NEW_TAG).and_then(|tag| Tag::new(tag).ok()),
        digest: filled(DIGEST).and_then(|digest| Digest::new(digest).ok()),
    }))
}

/// What is to be replaced for the kustomization to say this version.
pub(super) fn replacements(text: &Lines<'_>, root: &Node, image: &Image) -> Result<Vec<Replacement>, Error> {
    refuse_image_tags(root, &image.name)?;
    let Some(entry) = list(root)? else { return Ok(vec![new_list(*text, root, image)]) };
    let Some(items) = entry.value.as_sequence().filter(|items| !items.is_empty()) else {
        return Ok(fill(*text, root, entry, image));
    };
    match item(&entry.value, &image.name)? {
        Some(item) => change(*text, item, image),
        None => Ok(append(*text, &entry.value, items, image)),
    }
}

/// Takes out what a kustomization says of an image, so that the rest can be compared.
pub(super) fn forget(root: &mut Node, image: &Image) {
    let Some(list) = root.get_mut(IMAGES) else { return };
    let is_named = |item: &Node| item.get("name").and_then(Node::as_str) == Some(image.name());
    if let Some(items) = list.as_sequence_mut() {
        for item in items.iter_mut().filter(|item| is_named(item)) {
            let new_name = image.new_name.as_ref().map(|_| NEW_NAME);
            [NEW_TAG, DIGEST].into_iter().chain(new_name).for_each(|key| drop(item.remove(key)));
        }
        items.retain(|item| !is_named(item) || item.as_mapping().is_some_and(|entries| entries.len() > 1));
    }
    if list.is_null() || list.as_sequence().is_some_and(<[Node]>::is_empty) {
        root.remove(IMAGES);
    }
}

/// `images`, if it is there.
fn list(root: &Node) -> Result<Option<&Entry>, Error> {
    let Some(entry) = root.entry(IMAGES) else { return Ok(None) };
    refuse_alias(root, entry, IMAGES)?;
    match entry.value.is_sequence() || entry.value.is_null() {
        true => Ok(Some(entry)),
        false => Err(wrong_type(&entry.value, IMAGES, "a list")),
    }
}

/// The one entry of this name.
fn item<'a>(list: &'a Node, name: &str) -> Result<Option<&'a Node>, Error> {
    let items = list.as_sequence().unwrap_or_default();
    if let Some(other) = items.iter().find(|item| !item.is_mapping()) {
        return Err(wrong_type(other, "an entry of `images`", "a mapping"));
    }
    let mut of_name = items.iter().filter(|item| item.get("name").and_then(Node::as_str) == Some(name));
    let (first, second) = (of_name.next(), of_name.next());
    match (first, second) {
        (_, Some(second)) => Err(Error::at(Problem::Twice { name: name.to_owned() }, second)),
        (Some(item), None) if item.span().start < list.span().start => {
            Err(Error::at(Problem::Alias { field: IMAGES.into() }, item))
        }
        (found, None) => Ok(found),
    }
}

/// kustomize applies the entries of the deprecated field after those of `images`.
fn refuse_image_tags(root: &Node, name: &str) -> Result<(), Error> {
    let old = root.get("imageTags").and_then(Node::as_sequence).unwrap_or_default();
    match old.iter().find(|item| item.get("name").and_then(Node::as_str) == Some(name)) {
        Some(item) => Err(Error::at(Problem::Deprecated { name: name.to_owned() }, item)),
        None => Ok(()),
    }
}

/// An alias, or what a merge key brings, is written above the place where it is read.
fn refuse_alias(parent: &Node, entry: &Entry, field: &str) -> Result<(), Error> {
    let is_merged = entry.key.span().start < parent.span().start;
    match is_merged || entry.value.span().start < entry.key.span().end {
        true => Err(Error::at(Problem::Alias { field: field.to_owned() }, &entry.key)),
        false => Ok(()),
    }
}

fn wrong_type(node: &Node, field: &str, expected: &'static str) -> Error {
    Error::at(Problem::WrongType { field: field.to_owned(), expected, found: node.describe() }, node)
}

/// The entry gets the version, in the place of the one that it has.
fn change(text: Lines<'_>, item: &Node, image: &Image) -> Result<Vec<Replacement>, Error> {
    let (wanted, other) = keys(&image.version);
    let mut replacements = Vec::new();
    if let Some(new_name) = &image.new_name {
        match item.entry(NEW_NAME) {
            Some(entry) => replacements.extend(value(text, item, entry, NEW_NAME, new_name)?),
            None if *new_name == image.name => {}
            None => replacements.push(insert(text, item, "name", NEW_NAME, new_name)),
        }
    }
    let version = image.version.as_str();
    let (first, second) = in_order(item.entry(wanted), item.entry(other));
    match first {
        Some(entry) => {
            if entry.is_under(other) {
                replacements.push(Replacement::of(entry.key.span(), quoted_like(&entry.key, wanted)));
            }
            replacements.extend(value(text, item, entry, wanted, version)?);
        }
        None => {
            let behind = if item.entry(NEW_NAME).is_some() { NEW_NAME } else { "name" };
            replacements.push(insert(text, item, behind, wanted, version));
        }
    }
    if let Some(entry) = second {
        replacements.push(remove(text, item, entry)?);
    }
    Ok(replacements)
}

/// The key for a version, and the one that may not stand beside it.
fn keys(version: &Version) -> (&'static str, &'static str) {
    match version {
        Version::Tag(_) => (NEW_TAG, DIGEST),
        Version::Digest(_) => (DIGEST, NEW_TAG),
    }
}

/// Which of two entries stands first.
fn in_order<'a>(one: Option<&'a Entry>, other: Option<&'a Entry>) -> (Option<&'a Entry>, Option<&'a Entry>) {
    match (one, other) {
        (Some(a), Some(b)) if b.key.span().start < a.key.span().start => (other, one),
        (None, _) => (other, None),
        _ => (one, other),
    }
}

/// Another value under a key, in the style of the one that it has; nothing when it is the same.
fn value(text: Lines<'_>, item: &Node, entry: &Entry, field: &str, wanted: &str) -> Result<Option<Replacement>, Error> {
    refuse_alias(item, entry, field)?;
    scalar(text, &entry.key, &entry.value, field, wanted)
}

/// The same for any scalar under a key.
pub(super) fn scalar(
    text: Lines<'_>,
    key: &Node,
    node: &Node,
    field: &str,
    wanted: &str,
) -> Result<Option<Replacement>, Error> {
    let Some(scalar) = node.as_scalar() else { return Err(wrong_type(node, field, "a scalar")) };
    if matches!(scalar.style, ScalarStyle::Literal | ScalarStyle::Folded) {
        return Err(Error::at(Problem::OwnLines { field: field.to_owned() }, node));
    }
    if node.is_unwritten() {
        // Behind the colon, which nothing but blanks can part from its key.
        let end = key.span().end as usize;
        let colon = text.behind(end).find(':').map_or(end, |at| end + at + 1);
        return Ok(Some(Replacement::at(colon, format!(" {}", written(wanted, ScalarStyle::Plain)))));
    }
    let is_same =
        scalar.text == wanted && (scalar.style != ScalarStyle::Plain || node.tag().is_some() || is_text(wanted));
    Ok((!is_same).then(|| Replacement::of(node.span(), written(wanted, scalar.style))))
}

/// A new key behind one that is there.
fn insert(text: Lines<'_>, item: &Node, behind: &str, key: &str, value: &str) -> Replacement {
    let entry = item.entry(behind).or_else(|| item.as_mapping().and_then(<[Entry]>::last));
    // An item that has a name has an entry.
    let Some(entry) = entry else { return Replacement::at(item.span().end as usize, "") };
    let style = style(&entry.value);
    let line = format!("{}: {}", quoted_like(&entry.key, key), written(value, style));
    if item.is_in_braces() {
        return Replacement::at(end(entry), format!(", {line}"));
    }
    let first = item.as_mapping().and_then(<[Entry]>::first).map_or(0, |entry| entry.key.span().start as usize);
    text.lines_below(end(entry), &[format!("{}{line}", " ".repeat(text.column(first)))])
}

/// Takes out an entry that is not the first one.
fn remove(text: Lines<'_>, item: &Node, entry: &Entry) -> Result<Replacement, Error> {
    let entries = item.as_mapping().unwrap_or_default();
    let at = entries.iter().position(|other| std::ptr::eq(other, entry)).unwrap_or_default();
    let start = entry.key.span().start as usize;
    if item.is_in_braces() {
        let before = at.checked_sub(1).and_then(|before| entries.get(before)).map_or(start, end);
        return Ok(Replacement::without(before..end(entry)));
    }
    match entry.value.as_scalar().map(|scalar| scalar.style) {
        Some(ScalarStyle::Literal | ScalarStyle::Folded) => {
            let field = entry.name().unwrap_or_default().to_owned();
            Err(Error::at(Problem::OwnLines { field }, &entry.value))
        }
        _ => Ok(text.without_lines(start, end(entry))),
    }
}

/// Where an entry ends; the value of an alias is elsewhere.
fn end(entry: &Entry) -> usize {
    entry.value.span().end.max(entry.key.span().end) as usize
}

/// A new item behind the last one, written as that one is.
fn append(text: Lines<'_>, list: &Node, items: &[Node], image: &Image) -> Vec<Replacement> {
    // The list is not empty.
    let Some(last) = items.last() else { return Vec::new() };
    let end = last.span().end as usize;
    if list.is_in_braces() {
        return append_in_braces(text, list, end, &braces(image, last));
    }
    let (dash, gap) = match dash(text, last.span().start as usize) {
        Some(dash) if !text.slice(dash..last.span().start as usize).contains('\n') => {
            (dash, last.span().start as usize - dash - 1)
        }
        Some(dash) => (dash, 1),
        None => (list.span().start as usize, 1),
    };
    let indent = " ".repeat(text.column(dash));
    if last.is_in_braces() {
        let line = format!("{indent}-{}{}", " ".repeat(gap), braces(image, last));
        return vec![text.lines_below(end, &[line])];
    }
    vec![text.lines_below(end, &item_lines(&indent, gap, image, Some(last)))]
}

/// The dash in front of an item.
pub(super) fn dash(text: Lines<'_>, item: usize) -> Option<usize> {
    let before = text.before(item).trim_end();
    before.ends_with('-').then(|| before.len() - 1)
}

/// A new item in brackets, on a line of its own when the last one has one.
pub(super) fn append_in_braces(text: Lines<'_>, list: &Node, end: usize, item: &str) -> Vec<Replacement> {
    let close = list.span().end as usize;
    let between = text.slice(end..close);
    let comma = between.split('#').next().and_then(|before| before.find(','));
    let start_of_line = text.line_start(end);
    let has_own_line = text.line_start(list.span().start as usize) < start_of_line && between.contains('\n');
    if !has_own_line {
        let at = comma.map_or(end, |comma| end + comma);
        return vec![Replacement::at(at, format!(", {item}"))];
    }
    let line = text.behind(start_of_line);
    let indent: String = line.chars().take_while(|character| *character == ' ').collect();
    // A list whose last item has a comma behind it goes on to have one.
    let (comma_here, comma_there) = if comma.is_some() { ("", ",") } else { (",", "") };
    let mut replacements = Vec::new();
    if !comma_here.is_empty() {
        replacements.push(Replacement::at(end, comma_here));
    }
    replacements.push(text.lines_below(end, &[format!("{indent}{item}{comma_there}")]));
    replacements
}

/// The first item of a list that is empty or null.
fn fill(text: Lines<'_>, root: &Node, entry: &Entry, image: &Image) -> Vec<Replacement> {
    if root.is_in_braces() {
        return vec![Replacement::of(entry.value.span(), format!("[{}]", braces(image, &entry.key)))];
    }
    let mut replacements = Vec::new();
    let (start, end) = (entry.value.span().start as usize, end(entry));
    if !entry.value.is_unwritten() {
        let blanks = text.before(start).len() - text.before(start).trim_end_matches([' ', '\t']).len();
        replacements.push(Replacement::without(start - blanks..end));
    }
    let indent = " ".repeat(text.column(entry.key.span().start as usize) + siblings_indent(text, root));
    replacements.push(text.lines_below(end, &item_lines(&indent, 1, image, None)));
    replacements
}

/// `images` with one item behind all other fields.
fn new_list(text: Lines<'_>, root: &Node, image: &Image) -> Replacement {
    let entries = root.as_mapping().unwrap_or_default();
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        // What is empty is written in braces.
        let item = braces(image, &Node::plain(""));
        return Replacement::at(root.span().start as usize + 1, format!("{IMAGES}: [{item}]"));
    };
    if root.is_in_braces() {
        let line = format!(", {}: [{}]", quoted_like(&last.key, IMAGES), braces(image, &last.key));
        return Replacement::at(end(last), line);
    }
    let column = " ".repeat(text.column(first.key.span().start as usize));
    let indent = format!("{column}{}", " ".repeat(siblings_indent(text, root)));
    let mut lines = vec![format!("{column}{}:", quoted_like(&first.key, IMAGES))];
    lines.extend(item_lines(&indent, 1, image, None));
    text.lines_below(end(last), &lines)
}

/// How much further the dashes of the file's other lists are indented than their keys.
fn siblings_indent(text: Lines<'_>, root: &Node) -> usize {
    let entries = root.as_mapping().unwrap_or_default();
    let lists = entries.iter().filter(|entry| entry.value.is_sequence() && !entry.value.is_in_braces());
    let mut indents = lists.filter_map(|entry| {
        let first = entry.value.as_sequence()?.first()?;
        let dash = dash(text, first.span().start as usize)?;
        text.column(dash).checked_sub(text.column(entry.key.span().start as usize))
    });
    indents.next().unwrap_or(0)
}

/// The fields of a new entry.
fn fields(image: &Image) -> Vec<(&'static str, &str)> {
    let new_name = image.new_name.as_deref().filter(|new_name| *new_name != image.name);
    let mut fields = vec![("name", image.name())];
    fields.extend(new_name.map(|new_name| (NEW_NAME, new_name)));
    fields.push((keys(&image.version).0, image.version.as_str()));
    fields
}

/// An entry on lines of its own, its values quoted as those of `like` are.
fn item_lines(indent: &str, gap: usize, image: &Image, like: Option<&Node>) -> Vec<String> {
    let style_of = |key: &str| {
        let tag = || like.and_then(|like| like.get(NEW_TAG).or_else(|| like.get(DIGEST)));
        let node = if key == "name" { like.and_then(|like| like.get(key)) } else { tag() };
        node.map_or(ScalarStyle::Plain, style)
    };
    let line = |(key, value): (&str, &str)| format!("{key}: {}", written(value, style_of(key)));
    let mut lines = fields(image).into_iter().map(line);
    let first = lines.next().map(|line| format!("{indent}-{}{line}", " ".repeat(gap)));
    let others: Vec<String> = lines.map(|line| format!("{indent} {}{line}", " ".repeat(gap))).collect();
    first.into_iter().chain(others).collect()
}

/// An entry in braces; `like` is another one, or a key: in JSON everything is quoted.
fn braces(image: &Image, like: &Node) -> String {
    let entry = like.as_mapping().and_then(<[Entry]>::first);
    let key = entry.map_or(like, |entry| &entry.key);
    let style = entry.map_or_else(|| style(like), |entry| style(&entry.value));
    let field = |(name, value): (&str, &str)| format!("{}: {}", quoted_like(key, name), written(value, style));
    let all: Vec<String> = fields(image).into_iter().map(field).collect();
    format!("{{{}}}", all.join(", "))
}

/// A key in the quotes of another one.
fn quoted_like(key: &Node, name: &str) -> String {
    written(name, style(key))
}

fn style(node: &Node) -> ScalarStyle {
    match &node.content {
        Content::Scalar(scalar) if matches!(scalar.style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) => {
            scalar.style
        }
        _ => ScalarStyle::Plain,
    }
}
