//! From bytes to documents.
//!
//! A file is split into `parts` before any parser sees it. Most parts then take the short way of `plain_blocks`, the
//! others that of the parser. The tree is built with a stack of its own, so that no input can exhaust the thread's.

mod merge;
mod tabs;
mod wording;

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Placement};
use smol_str::SmolStr;

use super::error::{Error, Problem};
use super::foot;
use super::hanging;
use super::names::{self, Names};
use super::node::{CollectionStyle, Content, Document, Entry, Mapping, Node, Scalar, ScalarStyle, Sequence};
use super::parts::{self, decode, refuse_control_characters, split};
use super::plain_blocks;
use super::resolve::Resolve;
use super::shifts::Shifts;
use super::text::{Span, Text, to_u32};
use crate::error::Origin;
use tabs::{begins_with_tab, ends_before_tab, refused_tab};
use wording::{
    blanks_behind, byte_span, collection_style, is_block, is_cut_off, is_quoted, scalar_style, short_tag,
    without_blanks_around_separators,
};

/// How much a file may ask for. Files come from anybody who can open a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Values in the file, keys included.
    pub nodes: usize,
    /// Values that aliases add in one document; 64 bytes of a text count as one.
    pub expanded: usize,
    /// Levels of nesting, aliases expanded.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 32 << 20, nodes: 2_000_000, expanded: 200_000, depth: 250 }
    }
}

/// The documents of a file, empty ones left out, aliases and merge keys expanded as kustomize does.
///
/// # Errors
/// The first problem of the file.
pub fn parse(file: &Arc<str>, bytes: &[u8]) -> Result<Vec<Document>, Error> {
    parse_as(file, bytes, Resolve::V3)
}

/// The same with the merge keys of this reading.
///
/// # Errors
/// The first problem of the file.
pub fn parse_as(file: &Arc<str>, bytes: &[u8], mode: Resolve) -> Result<Vec<Document>, Error> {
    parse_within(Limits::default(), file, bytes, mode)
}

/// The same within other limits.
///
/// # Errors
/// The first problem of the file.
pub fn parse_within(limits: Limits, file: &Arc<str>, bytes: &[u8], mode: Resolve) -> Result<Vec<Document>, Error> {
    let text = open(limits, file, bytes)?;
    let mut nodes = 0;
    let mut documents = Vec::new();
    for part in split(&text)? {
        documents.extend(document(&text, part, limits, mode, &mut nodes)?);
    }
    Ok(documents)
}

/// The first document of a file, of which nothing else is read; `None` when it is empty.
///
/// # Errors
/// The first problem of that document.
pub fn parse_first(file: &Arc<str>, bytes: &[u8], mode: Resolve) -> Result<Option<Document>, Error> {
    let text = open(Limits::default(), file, bytes)?;
    document(&text, parts::first(&text), Limits::default(), mode, &mut 0)
}

/// The text of a file that is not too large.
fn open(limits: Limits, file: &Arc<str>, bytes: &[u8]) -> Result<Arc<Text>, Error> {
    if bytes.len() > limits.bytes {
        let problem = Problem::TooLarge { bytes: bytes.len(), limit: limits.bytes };
        return Err(Error { problem, origin: Origin::file(Arc::clone(file)), line: None });
    }
    let text = Arc::new(Text::new(file, decode(file, bytes)?));
    refuse_control_characters(&text)?;
    Ok(text)
}

/// The document of a part, unless it is empty; `nodes`: how many the file has had by then.
fn document(
    text: &Arc<Text>,
    part: Span,
    limits: Limits,
    mode: Resolve,
    nodes: &mut usize,
) -> Result<Option<Document>, Error> {
    let mut builder = Builder::new(text, part.start, limits, mode, *nodes);
    if let Some(root) = builder.short_way(text.slice(part)) {
        *nodes = builder.nodes;
        return Ok(Some(Document { root }));
    }
    let new = || Builder::new(text, part.start, limits, mode, *nodes);
    let (read, root) = long_way(text.slice(part), new);
    *nodes = read;
    Ok(root?.filter(|root| !root.is_null()).map(|root| Document { root }))
}

/// What the parser makes of a part, or of a copy in which it finds what go-yaml finds in the part; and how many nodes there
/// are by then.
fn long_way<'a>(part: &str, new: impl Fn() -> Builder<'a>) -> (usize, Result<Option<Node>, Error>) {
    if let Some(Names { copy, shifts, refused }) = names::separate(part) {
        let mut builder = new();
        builder.shifts = Some(shifts);
        let root = builder.document(&copy);
        if let Some(refused) = builder.are_outside_of_text(refused) {
            let error = refused.map(|at| {
                let reason = "a name of letters, digits, `_` and `-` is followed by something else".to_owned();
                builder.error(Problem::Syntax { reason }, builder.base + to_u32(at))
            });
            return (builder.nodes, root.and_then(|root| error.map_or(Ok(root), Err)));
        }
    }
    let mut builder = new();
    let root = builder.document(part);
    if root.is_err()
        && builder.hangs
        && let Some((copy, shifts)) = hanging::mend(part)
    {
        let mut again = new();
        again.shifts = Some(shifts);
        let root = again.document(&copy);
        if again.are_inside_of_quotes() {
            return (again.nodes, root);
        }
    }
    (builder.nodes, root)
}

/// What an anchor stands for, once its node is complete.
struct Anchored {
    node: Node,
    weight: usize,
    depth: usize,
}

/// A collection that is not complete yet.
struct Open {
    node: Node,
    /// In a mapping: the key whose value comes next.
    key: Option<Node>,
    anchor: usize,
    has_merge: bool,
}

/// Builds the tree of one document from the parser's events.
struct Builder<'a> {
    text: &'a Arc<Text>,
    /// Where the part begins in the file.
    base: u32,
    limits: Limits,
    mode: Resolve,
    nodes: usize,
    expanded: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    /// Comment lines that wait for the node below them; a file may hold hundreds of thousands.
    comments: String,
    /// Where these stand, from the first to the last.
    comments_at: Span,
    /// A comment behind an anchor, a type or a `|`: the next scalar's, however deep that is inside of what begins there.
    comment_of_next: Option<Span>,
    root: Option<Node>,
    /// Set when the parser refused quoted text for its indentation, or for what stands behind a backslash.
    hangs: bool,
    /// When the parser reads a copy in which it accepts such text.
    shifts: Option<Shifts>,
    /// Then: the scalars in the copy, and those of them that are quoted.
    scalars: Vec<Span>,
    quoted: Vec<Span>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a Arc<Text>, base: u32, limits: Limits, mode: Resolve, nodes: usize) -> Self {
        Builder {
            text,
            base,
            limits,
            mode,
            nodes,
            expanded: 0,
            open: Vec::new(),
            anchors: HashMap::new(),
            comments: String::new(),
            comments_at: Span { start: 0, end: 0 },
            comment_of_next: None,
            root: None,
            hangs: false,
            shifts: None,
            scalars: Vec::new(),
            quoted: Vec::new(),
        }
    }

    /// The document of a part that needs no parser.
    fn short_way(&mut self, part: &str) -> Option<Node> {
        plain_blocks::read(part, self)?;
        self.finish()
    }

    /// The tree, with the comments below it that are not those of its last node.
    fn finish(&mut self) -> Option<Node> {
        let comments = std::mem::take(&mut self.comments);
        let mut root = self.root.take();
        let is_of_document = !comments.is_empty() && foot::is_of_document(self.text, self.comments_at);
        if let Some(root) = root.as_mut().filter(|_| is_of_document) {
            root.set_foot_comment(comments);
        }
        root
    }

    /// The first document of a part; `None` when it has only comments.
    fn document(&mut self, part: &str) -> Result<Option<Node>, Error> {
        if let Some(at) = parts::end_before_content(part) {
            let problem = Problem::Syntax { reason: "`...` ends a document that has not begun".into() };
            return Err(self.error(problem, self.base + to_u32(at)));
        }
        let options = granit_parser::options! {
            flow_nesting_limit: self.limits.depth,
            block_nesting_limit: self.limits.depth,
            // Licence headers are longer than the default of 96 lines; the file's size bounds them.
            max_buffered_comment_events: usize::MAX,
            emit_unresolved_aliases: true,
            // Splitting takes them from their document; kustomize and kubectl fail on them.
            disallow_directives: true,
        };
        let has_tabs = part.contains('\t');
        // What tabs may be part of.
        let mut with_tabs: Vec<Span> = Vec::new();
        let mut parser = granit_parser::Parser::new_from_str_with_options(part, options);
        while let Some(event) = parser.next_event() {
            let (event, place) = event.map_err(|error| self.syntax(&error))?;
            let span = self.span(place);
            match event {
                Event::Scalar(text, style, anchor, tag) => {
                    if self.shifts.is_some() {
                        self.scalars.push(byte_span(place));
                        self.quoted.extend(is_quoted(style).then(|| byte_span(place)));
                    }
                    let style = scalar_style(style);
                    if has_tabs && style == ScalarStyle::Plain {
                        self.refuse_tab_in_indentation(part, byte_span(place))?;
                    }
                    if has_tabs && !self.is_in_braces() {
                        let blanks = if style == ScalarStyle::Plain { blanks_behind(self.text, span) } else { 0 };
                        with_tabs.push(Span { start: span.start, end: span.end + blanks });
                    }
                    let span = if is_block(style) { self.without_indentation(span) } else { span };
                    if is_block(style)
                        && begins_with_tab(self.text.slice(Span { start: 0, end: span.start }), self.text.slice(span))
                    {
                        return Err(self.error(Problem::LeadingTab, span.start));
                    }
                    if is_block(style) && ends_before_tab(part, byte_span(place)) {
                        return Err(self.error(Problem::LeadingTab, span.end));
                    }
                    let text =
                        if is_cut_off(part, byte_span(place), style) { text.trim_end_matches('\n') } else { &text };
                    let text = without_blanks_around_separators(text, style, self.text.slice(span));
                    let scalar = Scalar { text: SmolStr::new(text), style };
                    self.scalar(scalar, anchor, tag.as_deref(), span)?;
                }
                Event::SequenceStart(style, anchor, tag) => {
                    let content = Content::Sequence(Sequence { items: Vec::new(), style: collection_style(style) });
                    self.start(content, anchor, tag.as_deref(), span)?;
                }
                Event::MappingStart(style, anchor, tag) => {
                    let content = Content::Mapping(Mapping { entries: Vec::new(), style: collection_style(style) });
                    self.start(content, anchor, tag.as_deref(), span)?;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let start = self.open.last().map_or(span.start, |open| open.node.span().start);
                    let was_in_braces = self.is_in_braces();
                    self.end(span)?;
                    if has_tabs && was_in_braces && !self.is_in_braces() {
                        with_tabs.push(Span { start, end: span.end });
                    }
                }
                Event::Alias(anchor) => self.alias(anchor, span)?,
                Event::UnresolvedAlias(name) => {
                    return Err(self.error(Problem::UnknownAnchor { name: name.into_owned() }, span.start));
                }
                Event::Comment(_, placement) => {
                    if has_tabs && !self.is_in_braces() {
                        with_tabs.push(span);
                    }
                    self.comment(placement, span);
                }
                Event::DocumentEnd => break,
                _ => {}
            }
        }
        if has_tabs {
            with_tabs.sort_by_key(|span| span.start);
            let end = self.place(to_u32(part.len()));
            if let Some(at) = refused_tab(self.text, Span { start: self.base, end }, &with_tabs) {
                return Err(self.tab(at));
            }
        }
        Ok(self.finish())
    }

    fn scalar(
        &mut self,
        scalar: Scalar,
        anchor: usize,
        tag: Option<&granit_parser::Tag>,
        span: Span,
    ) -> Result<(), Error> {
        self.count(span)?;
        if anchor == 0 && tag.is_none() {
            self.refuse_colon_without_key(&scalar, span)?;
        }
        // To go-yaml, an anchor or a type without anything behind it is no scalar that takes a comment.
        let comment = if scalar.text.is_empty() && scalar.style == ScalarStyle::Plain {
            None
        } else {
            self.comment_of_next.take()
        };
        let mut node = Node::read(Content::Scalar(scalar), span, self.text);
        node.set_tag(tag.map(short_tag));
        if let Some(comment) = comment {
            node.set_line_comment(self.text.slice(comment));
        }
        self.take_comments(&mut node);
        self.remember(anchor, &node, span)?;
        self.add(node)
    }

    fn start(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&granit_parser::Tag>,
        span: Span,
    ) -> Result<(), Error> {
        self.count(span)?;
        if self.open.len() >= self.limits.depth {
            return Err(self.error(Problem::TooDeep { limit: self.limits.depth }, span.start));
        }
        let mut node = Node::read(content, span, self.text);
        node.set_tag(tag.map(short_tag));
        if node.is_in_braces() {
            // go-yaml gives it to the braces, and forgets it where they end.
            self.comment_of_next = None;
        }
        // A comment above a list's item is the item's; one above a mapping's first key is the key's.
        if self.open.last().is_some_and(|parent| parent.node.is_sequence()) {
            self.take_comments(&mut node);
        }
        self.open.push(Open { node, key: None, anchor, has_merge: false });
        Ok(())
    }

    fn end(&mut self, span: Span) -> Result<(), Error> {
        let Some(Open { mut node, has_merge, anchor, .. }) = self.open.pop() else { return Ok(()) };
        let end = match &node.content {
            Content::Sequence(Sequence { items, style: CollectionStyle::Block }) => {
                items.last().map(|item| item.span().end)
            }
            Content::Mapping(Mapping { entries, style: CollectionStyle::Block }) => {
                entries.last().map(|entry| entry.value.span().end.max(entry.key.span().end))
            }
            _ => None,
        };
        node.set_end(end.unwrap_or(span.end));
        // Most collections hold one to three things, and a list that grows takes room for four from the start.
        match &mut node.content {
            Content::Sequence(sequence) => sequence.items.shrink_to_fit(),
            Content::Mapping(mapping) => mapping.entries.shrink_to_fit(),
            Content::Scalar(_) => {}
        }
        if has_merge && let Content::Mapping(mapping) = &mut node.content {
            let entries = std::mem::take(&mut mapping.entries);
            mapping.entries = merge::expand(entries, self.mode, self.text)?;
        }
        self.remember(anchor, &node, span)?;
        self.add(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Error> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            let name = self.text.slice(span).trim_start_matches('*').to_owned();
            return Err(self.error(Problem::AnchorContainsItself { name }, span.start));
        };
        self.comment_of_next = None;
        if self.open.len() + anchored.depth > self.limits.depth {
            return Err(self.error(Problem::TooDeep { limit: self.limits.depth }, span.start));
        }
        let weight = anchored.weight;
        self.expand(weight, span)?;
        // Looked up again: counting borrows the builder.
        let Some(node) = self.anchors.get(&anchor).map(|anchored| anchored.node.clone()) else { return Ok(()) };
        self.add(node)
    }

    /// Puts a complete node where it belongs.
    fn add(&mut self, node: Node) -> Result<(), Error> {
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.node.content {
            Content::Sequence(sequence) => sequence.items.push(node),
            Content::Mapping(mapping) => match parent.key.take() {
                None => {
                    parent.has_merge |= merge::is_merge(&node);
                    parent.key = Some(node);
                }
                Some(key) => mapping.entries.push(Entry { key, value: node }),
            },
            Content::Scalar(_) => {}
        }
        Ok(())
    }

    /// Keeps a copy for the aliases to come. Copies count: anchors may be nested, and each would copy the whole.
    fn remember(&mut self, anchor: usize, node: &Node, span: Span) -> Result<(), Error> {
        if anchor == 0 {
            return Ok(());
        }
        let (weight, depth) = measure(node);
        if node.is_scalar() {
            self.count(span)?;
        } else {
            self.expand(weight, span)?;
        }
        self.anchors.insert(anchor, Anchored { node: node.clone(), weight, depth });
        Ok(())
    }

    /// `span` has the `#`, which the event's text has not.
    fn comment(&mut self, placement: Placement, span: Span) {
        let comment = self.text.slice(span);
        if placement == Placement::Right
            && let Some(open) = self.open.last_mut()
        {
            // Where nothing but the colon stands between them a comment is the key's.
            let follows = |key: &Node| {
                let between = Span { start: key.span().end.min(span.start), end: span.start };
                self.text.slice(between).trim() == ":"
            };
            let is_before_value = open.key.is_some();
            let word = self.text.slice(Span { start: 0, end: span.start }).trim_end();
            let begun = word.len() - word.rsplit([' ', '\n', '\t']).next().map_or(0, str::len);
            let is_of_next = match word.as_bytes().get(begun) {
                Some(b'&' | b'!' | b'|' | b'>') => {
                    open.read_last().is_none_or(|node| !(node.span().start..node.span().end).contains(&to_u32(begun)))
                }
                _ => is_before_value && open.node.is_in_braces() && word.ends_with(':'),
            };
            if is_of_next {
                // The parser may have said already what the lines below are.
                match open.read_last().filter(|node| node.span().start > span.start) {
                    Some(node) => node.set_line_comment(comment),
                    None => self.comment_of_next = Some(span),
                }
                return;
            }
            if let Some(node) = open.latest(follows) {
                node.set_line_comment(comment);
                return;
            }
            if is_before_value {
                return;
            }
        }
        if self.comments.is_empty() {
            self.comments_at = span;
        } else {
            self.comments.push('\n');
            self.comments_at.end = span.end;
        }
        self.comments.push_str(comment);
    }

    /// YAML 1.2 takes nothing in front of a `:` for a key, go-yaml only where a `?` says so.
    fn refuse_colon_without_key(&self, scalar: &Scalar, span: Span) -> Result<(), Error> {
        let is_key = || self.open.last().is_some_and(|parent| parent.node.is_mapping() && parent.key.is_none());
        if span.start < span.end || scalar.style != ScalarStyle::Plain || !is_key() {
            return Ok(());
        }
        let before = self.text.slice(Span { start: 0, end: span.start }).trim_end();
        if before.ends_with('?') || !self.text.slice(Span { start: span.start, end: span.start + 1 }).starts_with(':') {
            return Ok(());
        }
        Err(self.error(Problem::Syntax { reason: "there is no key in front of this `:`".into() }, span.start))
    }

    fn is_in_braces(&self) -> bool {
        self.open.iter().any(|open| open.node.is_in_braces())
    }

    fn take_comments(&mut self, node: &mut Node) {
        if !self.comments.is_empty() {
            node.set_head_comment(std::mem::take(&mut self.comments));
        }
    }

    fn count(&mut self, span: Span) -> Result<(), Error> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            let problem = Problem::TooMany { limit: self.limits.nodes, by_alias: false };
            return Err(self.error(problem, span.start));
        }
        Ok(())
    }

    fn expand(&mut self, weight: usize, span: Span) -> Result<(), Error> {
        self.expanded = self.expanded.saturating_add(weight);
        if self.expanded > self.limits.expanded {
            let problem = Problem::TooMany { limit: self.limits.expanded, by_alias: true };
            return Err(self.error(problem, span.start));
        }
        Ok(())
    }

    fn span(&self, span: granit_parser::Span) -> Span {
        self.absolute(byte_span(span))
    }

    /// To the parser, a block scalar ends behind the indentation of what follows.
    fn without_indentation(&self, span: Span) -> Span {
        let length = self.text.slice(span).trim_end_matches(' ').len();
        Span { start: span.start, end: span.start + to_u32(length) }
    }

    /// Where a span of what is read stands in the file.
    fn absolute(&self, span: Span) -> Span {
        Span { start: self.place(span.start), end: self.place(span.end) }
    }

    /// The byte of the file that a byte of what the parser reads stands for.
    fn place(&self, byte: u32) -> u32 {
        self.base + self.shifts.as_ref().map_or(byte, |shifts| shifts.original(byte))
    }

    /// True when all differences of the copy are part of quoted text.
    fn are_inside_of_quotes(&self) -> bool {
        self.shifts.as_ref().is_some_and(|shifts| shifts.are_inside(&self.quoted))
    }

    /// `refused`, a byte of the part, unless it or one of the added blanks is part of a text.
    #[expect(clippy::option_option, reason = "nothing is refused, or it is not known")]
    fn are_outside_of_text(&self, refused: Option<usize>) -> Option<Option<usize>> {
        let shifts = self.shifts.as_ref()?;
        let is_text = |byte: u32| {
            self.scalars.iter().any(|span| shifts.original(span.start) < byte && byte < shifts.original(span.end))
        };
        let is_outside = shifts.are_outside(&self.scalars) && !refused.is_some_and(|at| is_text(to_u32(at)));
        is_outside.then_some(refused)
    }

    fn error(&self, problem: Problem, byte: u32) -> Error {
        Error::at(problem, self.text, byte)
    }

    fn syntax(&mut self, error: &granit_parser::ScanError) -> Error {
        use granit_parser::ErrorKind;
        self.hangs = matches!(
            error.kind(),
            ErrorKind::InvalidQuotedScalarIndent | ErrorKind::TabInIndentation | ErrorKind::UnknownQuotedScalarEscape
        );
        let problem = match error.kind() {
            ErrorKind::RecursionLimitExceeded => Problem::TooDeep { limit: self.limits.depth },
            ErrorKind::DirectiveDisallowed => Problem::Directive,
            kind => Problem::Syntax { reason: kind.to_string() },
        };
        let byte = error.marker().byte_offset().unwrap_or_default();
        self.error(problem, self.place(to_u32(byte)))
    }
}

impl plain_blocks::Receiver for Builder<'_> {
    fn scalar(&mut self, scalar: Scalar, span: Span) -> Option<()> {
        let span = self.absolute(span);
        Builder::scalar(self, scalar, 0, None, span).ok()
    }

    fn start(&mut self, content: Content, span: Span) -> Option<()> {
        let span = self.absolute(span);
        Builder::start(self, content, 0, None, span).ok()
    }

    fn end(&mut self, span: Span) -> Option<()> {
        let span = self.absolute(span);
        Builder::end(self, span).ok()
    }

    fn comment(&mut self, span: Span, is_right: bool) {
        let span = self.absolute(span);
        Builder::comment(self, if is_right { Placement::Right } else { Placement::Above }, span);
    }
}

impl Open {
    /// What is complete and was read last.
    fn read_last(&mut self) -> Option<&mut Node> {
        match (&mut self.key, &mut self.node.content) {
            (Some(key), _) => Some(key),
            (None, Content::Sequence(sequence)) => sequence.items.last_mut(),
            (None, Content::Mapping(mapping)) => mapping.entries.last_mut().map(|entry| &mut entry.value),
            (None, Content::Scalar(_)) => None,
        }
    }

    /// The node that a comment to the right belongs to; `follows`: whether it follows a key without a value.
    fn latest(&mut self, follows: impl Fn(&Node) -> bool) -> Option<&mut Node> {
        if self.key.is_some() {
            // Behind an anchor or a type it is that of a value that is still to come.
            return self.key.as_mut().filter(|key| follows(key));
        }
        match &mut self.node.content {
            Content::Sequence(sequence) => sequence.items.last_mut(),
            Content::Mapping(mapping) => mapping.entries.last_mut().map(|entry| match entry.value.is_null() {
                true if follows(&entry.key) => &mut entry.key,
                _ => &mut entry.value,
            }),
            Content::Scalar(_) => None,
        }
    }
}

/// How much a copy costs, and how deep it is.
fn measure(node: &Node) -> (usize, usize) {
    /// A text this long costs as much as one more node.
    const TEXT: usize = 64;
    match &node.content {
        Content::Scalar(scalar) => (1 + scalar.text.len() / TEXT, 0),
        Content::Sequence(sequence) => deeper(sequence.items.iter()),
        Content::Mapping(mapping) => deeper(mapping.entries.iter().flat_map(|entry| [&entry.key, &entry.value])),
    }
}

fn deeper<'a>(children: impl Iterator<Item = &'a Node>) -> (usize, usize) {
    children.map(measure).fold((1, 1), |(weight, depth), child| (weight + child.0, depth.max(child.1 + 1)))
}

#[cfg(test)]
pub(super) mod ways {
    //! Both ways through one part, for comparison.
    use super::*;

    fn read(text: &str, way: impl FnOnce(&mut Builder<'_>, &str) -> Option<Node>) -> Option<Node> {
        let text = Arc::new(Text::new(&"a.yaml".into(), text));
        let mut builder = Builder::new(&text, 0, Limits::default(), Resolve::V3, 0);
        way(&mut builder, text.as_str())
    }

    pub(in super::super) fn short(text: &str) -> Option<Node> {
        read(text, |builder, text| builder.short_way(text))
    }

    pub(in super::super) fn long(text: &str) -> Option<Node> {
        read(text, |builder, text| builder.document(text).ok().flatten())
    }
}
