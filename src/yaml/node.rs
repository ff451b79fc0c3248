//! The tree: scalars, sequences and mappings that know where they were written.
//!
//! Nodes own their children, so that a patch can take one from a file and put it into another's tree; each keeps its
//! own place, and that is how a field of a rendered object knows which file gave it. Aliases and merge keys are
//! expanded by the parser: a copied node has the place of what it copies.

use std::sync::Arc;

use smol_str::SmolStr;

use super::text::{Span, Text};
use crate::error::Origin;

/// One document of a file; never empty.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it holds.
    pub root: Node,
}

impl Document {
    /// Where its first key, item or scalar stands.
    pub fn origin(&self) -> Option<Origin> {
        self.root.origin()
    }

    /// Where a field stands: the key of a mapping's entry, the item of a sequence. When a step of the path is absent,
    /// the deepest one that is there; `None` only for a document that was not read from a file.
    pub fn line_of(&self, path: &[Step<'_>]) -> Option<Origin> {
        self.root.origin_of(path)
    }
}

/// One step into a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The value under a key.
    Key(&'a str),
    /// The item with this number, counted from 0.
    Item(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Self {
        Step::Key(key)
    }
}

impl From<usize> for Step<'_> {
    fn from(item: usize) -> Self {
        Step::Item(item)
    }
}

/// A value with its place, tag and comments. 64 bytes: rendering thousands of objects copies millions of them.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub content: Content,
    span: Span,
    /// `None` for what no file says: fields that a transformer adds.
    text: Option<Arc<Text>>,
    notes: Option<Box<Notes>>,
}

/// What few nodes have.
#[derive(Clone, Debug, Default)]
struct Notes {
    tag: Option<SmolStr>,
    head: Option<Box<str>>,
    line: Option<Box<str>>,
    foot: Option<Box<str>>,
}

/// The three kinds of node.
#[derive(Clone, Debug)]
pub enum Content {
    /// Text; what it means depends on its style, its tag and who reads it ([`super::Resolve`]).
    Scalar(Scalar),
    /// A list.
    Sequence(Sequence),
    /// Keys and values in the order of the file.
    Mapping(Mapping),
}

/// The text of a scalar, escapes and folding undone.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// The text.
    pub text: SmolStr,
    /// How it was written.
    pub style: ScalarStyle,
}

/// A list.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    /// In order.
    pub items: Vec<Node>,
    /// How it was written.
    pub style: CollectionStyle,
}

/// Keys and values. A key may occur twice: the parser keeps both, readers decide
/// ([`Node::duplicate_keys`](super::Node::duplicate_keys)).
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// How it was written.
    pub style: CollectionStyle,
}

/// One key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Nearly always a scalar.
    pub key: Node,
    /// What is under it.
    pub value: Node,
}

/// How a scalar is written. Only plain ones can mean anything but a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScalarStyle {
    /// Without quotes.
    #[default]
    Plain,
    /// `'…'`
    SingleQuoted,
    /// `"…"`
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// How a sequence or a mapping is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CollectionStyle {
    /// On lines of its own.
    #[default]
    Block,
    /// In brackets or braces.
    Flow,
}

impl Node {
    /// A node that no file says.
    pub fn new(content: Content) -> Self {
        Node { content, span: Span::default(), text: None, notes: None }
    }

    /// A node as a file says it.
    pub(super) fn read(content: Content, span: Span, text: &Arc<Text>) -> Self {
        Node { content, span, text: Some(Arc::clone(text)), notes: None }
    }

    /// A string, whatever a reader would take the bare text for.
    pub fn string(text: impl Into<SmolStr>) -> Self {
        Node::scalar(text, ScalarStyle::DoubleQuoted)
    }

    /// Plain text, which means what the reader takes it for: `3`, `true`, `null`.
    pub fn plain(text: impl Into<SmolStr>) -> Self {
        Node::scalar(text, ScalarStyle::Plain)
    }

    /// A scalar in this style.
    pub fn scalar(text: impl Into<SmolStr>, style: ScalarStyle) -> Self {
        Node::new(Content::Scalar(Scalar { text: text.into(), style }))
    }

    /// `null`
    pub fn null() -> Self {
        Node::plain("null")
    }

    /// `true` or `false`
    pub fn bool(value: bool) -> Self {
        Node::plain(if value { "true" } else { "false" })
    }

    /// An integer.
    pub fn int(value: i64) -> Self {
        Node::plain(smol_str::format_smolstr!("{value}"))
    }

    /// A mapping without entries.
    pub fn mapping() -> Self {
        Node::new(Content::Mapping(Mapping::default()))
    }

    /// A mapping of these entries.
    pub fn mapping_of(entries: Vec<Entry>) -> Self {
        Node::new(Content::Mapping(Mapping { entries, ..Mapping::default() }))
    }

    /// A sequence of these items.
    pub fn sequence(items: Vec<Node>) -> Self {
        Node::new(Content::Sequence(Sequence { items, style: CollectionStyle::Block }))
    }

    /// The same node, said to stand where another one stands.
    #[must_use]
    pub fn at_place_of(mut self, other: &Node) -> Self {
        self.move_to(other);
        self
    }

    pub(super) fn move_to(&mut self, other: &Node) {
        self.span = other.span;
        self.text.clone_from(&other.text);
    }

    /// A node without content that stands where this one stands: for messages about it.
    pub fn place(&self) -> Self {
        Node::string("").at_place_of(self)
    }

    /// Where it begins; `None` when no file says it.
    pub fn origin(&self) -> Option<Origin> {
        self.text.as_ref().map(|text| text.origin(self.span.start))
    }

    /// The text of the line on which it begins.
    pub fn line_text(&self) -> Option<&str> {
        let text = self.text.as_ref()?;
        text.line(text.origin(self.span.start).line)
    }

    /// The name of the file that says it; cheaper than [`Node::origin`].
    pub fn file(&self) -> Option<&Arc<str>> {
        self.text.as_ref().map(|text| text.file())
    }

    /// The bytes that it covers in [`Node::text`]; of a block collection, up to the start of what follows.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The file's text.
    pub fn text(&self) -> Option<&Arc<Text>> {
        self.text.as_ref()
    }

    /// The tag as written in short form (`!!str`, `!custom`), when there is one.
    pub fn tag(&self) -> Option<&str> {
        self.notes.as_ref()?.tag.as_deref()
    }

    /// Sets or removes the tag.
    pub fn set_tag(&mut self, tag: Option<SmolStr>) {
        if tag.is_some() || self.notes.is_some() {
            self.notes_mut().tag = tag;
        }
    }

    /// The comment lines above it, `#` included. Comments of an entry belong to its key.
    pub fn head_comment(&self) -> Option<&str> {
        self.notes.as_ref()?.head.as_deref()
    }

    /// The comment to the right of it, `#` included.
    pub fn line_comment(&self) -> Option<&str> {
        self.notes.as_ref()?.line.as_deref()
    }

    /// Of a document: the comment lines below it, `#` included, when an empty line stands between them and its last node.
    pub fn foot_comment(&self) -> Option<&str> {
        self.notes.as_ref()?.foot.as_deref()
    }

    /// Gives it the comment to the right of the other one, if that has any.
    pub fn take_line_comment(&mut self, other: &Node) {
        if let Some(comment) = other.line_comment() {
            self.set_line_comment(comment);
        }
    }

    /// Takes all comments away.
    pub fn forget_comments(&mut self) {
        if let Some(notes) = &mut self.notes {
            (notes.head, notes.line, notes.foot) = (None, None, None);
        }
    }

    pub(super) fn set_head_comment(&mut self, text: String) {
        self.notes_mut().head = Some(text.into());
    }

    pub(super) fn set_line_comment(&mut self, text: &str) {
        self.notes_mut().line = Some(text.into());
    }

    pub(super) fn set_foot_comment(&mut self, text: String) {
        self.notes_mut().foot = Some(text.into());
    }

    pub(super) fn set_end(&mut self, end: u32) {
        self.span.end = end.max(self.span.start);
    }

    fn notes_mut(&mut self) -> &mut Notes {
        self.notes.get_or_insert_default()
    }

    /// The text of a scalar, whatever it means.
    pub fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The scalar, if it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The items, if it is a sequence.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.content {
            Content::Sequence(sequence) => Some(&sequence.items),
            _ => None,
        }
    }

    /// The items to change, if it is a sequence.
    pub fn as_sequence_mut(&mut self) -> Option<&mut Vec<Node>> {
        match &mut self.content {
            Content::Sequence(sequence) => Some(&mut sequence.items),
            _ => None,
        }
    }

    /// The entries, if it is a mapping.
    pub fn as_mapping(&self) -> Option<&[Entry]> {
        match &self.content {
            Content::Mapping(mapping) => Some(&mapping.entries),
            _ => None,
        }
    }

    /// The entries to change, if it is a mapping.
    pub fn as_mapping_mut(&mut self) -> Option<&mut Vec<Entry>> {
        match &mut self.content {
            Content::Mapping(mapping) => Some(&mut mapping.entries),
            _ => None,
        }
    }

    /// True for scalars.
    pub fn is_scalar(&self) -> bool {
        matches!(self.content, Content::Scalar(_))
    }

    /// True for sequences.
    pub fn is_sequence(&self) -> bool {
        matches!(self.content, Content::Sequence(_))
    }

    /// True for mappings.
    pub fn is_mapping(&self) -> bool {
        matches!(self.content, Content::Mapping(_))
    }

    /// True for a collection that is written in brackets or braces.
    pub fn is_in_braces(&self) -> bool {
        match &self.content {
            Content::Scalar(_) => false,
            Content::Sequence(sequence) => sequence.style == CollectionStyle::Flow,
            Content::Mapping(mapping) => mapping.style == CollectionStyle::Flow,
        }
    }

    /// True for a list or a mapping in which nothing is.
    pub fn is_empty_collection(&self) -> bool {
        match &self.content {
            Content::Scalar(_) => false,
            Content::Sequence(sequence) => sequence.items.is_empty(),
            Content::Mapping(mapping) => mapping.entries.is_empty(),
        }
    }

    /// True for a scalar that every reader takes for null.
    pub fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar(scalar) => match self.tag() {
                None => scalar.style == ScalarStyle::Plain && is_null_text(&scalar.text),
                Some(tag) => tag == "!!null",
            },
            _ => false,
        }
    }

    /// What it is, in a word with its article: for messages.
    pub fn describe(&self) -> &'static str {
        match &self.content {
            Content::Scalar(_) if self.is_null() => "null",
            Content::Scalar(_) => "a scalar",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }

    /// The entry with this key; the first one when the key occurs twice.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_mapping()?.iter().find(|entry| entry.is_under(key))
    }

    /// The value under a key; `None` also when this is no mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value under a key, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let entry = self.as_mapping_mut()?.iter_mut().find(|entry| entry.is_under(key))?;
        Some(&mut entry.value)
    }

    /// Puts a value under a key, in the old value's place or at the end; gives the old value back.
    /// Does nothing but return the value when this is no mapping.
    pub fn insert(&mut self, key: impl Into<SmolStr>, value: Node) -> Option<Node> {
        let key = key.into();
        let Some(entries) = self.as_mapping_mut() else { return Some(value) };
        match entries.iter_mut().find(|entry| entry.is_under(&key)) {
            Some(entry) => Some(std::mem::replace(&mut entry.value, value)),
            None => {
                let key = Node::key(key).at_place_of(&value);
                push_entry(entries, Entry { key, value });
                None
            }
        }
    }

    /// The value under a key, made by `default` and put at the end when there is none; `None` when this is no mapping.
    pub fn get_or_insert_with(&mut self, key: impl Into<SmolStr>, default: impl FnOnce() -> Node) -> Option<&mut Node> {
        let key = key.into();
        let entries = self.as_mapping_mut()?;
        let at = match entries.iter().position(|entry| entry.is_under(&key)) {
            Some(at) => at,
            None => {
                push_entry(entries, Entry { key: Node::key(key), value: default() });
                entries.len() - 1
            }
        };
        entries.get_mut(at).map(|entry| &mut entry.value)
    }

    /// Takes the value under a key out; the order of the others stays.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let entries = self.as_mapping_mut()?;
        let at = entries.iter().position(|entry| entry.is_under(key))?;
        Some(entries.remove(at).value)
    }

    /// The node at the end of a path.
    pub fn at(&self, path: &[Step<'_>]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| match *step {
            Step::Key(key) => node.get(key),
            Step::Item(item) => node.as_sequence()?.get(item),
        })
    }

    /// Where the field at the end of a path stands (its key, in a mapping), or the deepest step of it that is there.
    pub fn origin_of(&self, path: &[Step<'_>]) -> Option<Origin> {
        self.nearest(path).origin()
    }

    /// The key or item that a path leads to, or the deepest one on the way: what an error about the field shows.
    pub fn nearest(&self, path: &[Step<'_>]) -> &Node {
        let mut node = self;
        let mut shown = self;
        for step in path {
            match *step {
                Step::Key(key) => {
                    let Some(entry) = node.entry(key) else { break };
                    shown = if entry.key.text.is_some() { &entry.key } else { &entry.value };
                    node = &entry.value;
                }
                Step::Item(item) => {
                    let Some(found) = node.as_sequence().and_then(|items| items.get(item)) else { break };
                    (shown, node) = (found, found);
                }
            }
        }
        shown
    }

    fn key(text: SmolStr) -> Self {
        Node::string(text)
    }
}

impl Entry {
    /// An entry that no file says.
    pub fn new(key: impl Into<SmolStr>, value: Node) -> Self {
        Entry { key: Node::key(key.into()), value }
    }

    /// The same with a key without quotes, which means what the reader takes it for.
    pub fn plain(key: impl Into<SmolStr>, value: Node) -> Self {
        Entry { key: Node::plain(key), value }
    }

    /// True when the key is this scalar.
    pub fn is_under(&self, key: &str) -> bool {
        matches!(&self.key.content, Content::Scalar(scalar) if scalar.text == key)
    }

    /// The key's text, if it is a scalar.
    pub fn name(&self) -> Option<&str> {
        self.key.as_str()
    }
}

/// Adds an entry to a mapping of any size. A small one takes room for it alone: most objects get one or two more marks
/// and keep them, and a list that grows by itself doubles.
pub fn push_entry(entries: &mut Vec<Entry>, entry: Entry) {
    const SMALL: usize = 16;
    if entries.len() < SMALL {
        entries.reserve_exact(1);
    }
    entries.push(entry);
}

/// The plain scalars that every reader takes for null.
pub(super) fn is_null_text(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
