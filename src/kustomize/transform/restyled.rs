//! YAML text of a tree that was read from YAML text: comments and quotes stay, indentation and blank lines become those
//! of go-yaml v3.
//!
//! What go-yaml's ideas of comments and anchors would have to be known for is not written at all.

use crate::kustomize::place::is_untyped;
use crate::kustomize::resource::written_text;
use crate::yaml::emit::{Traits, is_break, is_special, push_escape};
use crate::yaml::{CollectionStyle, Content, Entry, Node, Plain, Resolve, Scalar, ScalarStyle, plain, written_folded};

const INDENT: usize = 2;

/// The text; `None` when it holds something that is not written here.
pub(super) fn to_string(document: &Node, original: &str) -> Option<String> {
    let masked = masked(document, original)?;
    let header = header(&masked, original)?;
    let mut writer = Writer { out: String::new(), header, line_comment: None };
    match &document.content {
        Content::Mapping(mapping) => writer.mapping(&mapping.entries, 0, Place::OwnLine)?,
        Content::Sequence(sequence) => writer.sequence(&sequence.items, 0, Place::OwnLine)?,
        Content::Scalar(_) => return None,
    }
    Some(writer.out)
}

/// A text as it is written on lines of its own, with what stands behind the place where it begins: how go-yaml v3 writes it as
/// a value that stands in this column, or under a key or dash in it.
pub(super) fn block(text: &str, column: usize, behind: &str) -> String {
    let behind = Some(behind.trim()).filter(|behind| !behind.is_empty());
    let mut writer = Writer { out: String::new(), header: None, line_comment: behind };
    writer.lines(text, Traits::of(text), Around::Block(column));
    let comment = writer.line_comment.take();
    writer.comment(comment);
    writer.out.trim_end_matches('\n').to_owned()
}

/// The text with a letter in the place of each byte of a scalar, line breaks left out: what looks odd in there is not.
fn masked(document: &Node, original: &str) -> Option<String> {
    fn mask(node: &Node, bytes: &mut [u8]) {
        match &node.content {
            Content::Scalar(_) if node.text().is_some() => {
                let span = node.span();
                let scalar = bytes.get_mut(span.start as usize..span.end as usize).unwrap_or_default();
                scalar.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'x');
            }
            Content::Scalar(_) => {}
            Content::Sequence(sequence) => sequence.items.iter().for_each(|item| mask(item, bytes)),
            Content::Mapping(mapping) => mapping.entries.iter().for_each(|entry| {
                mask(&entry.key, bytes);
                mask(&entry.value, bytes);
            }),
        }
    }
    let mut bytes = original.as_bytes().to_vec();
    mask(document, &mut bytes);
    String::from_utf8(bytes).ok()
}

/// Looks at what the tree does not say. Gives the comment that stands apart, above everything; `None` when there are
/// comments that belong to no line below them, or anything but plain mappings and lists.
fn header<'a>(masked: &str, original: &'a str) -> Option<Option<&'a str>> {
    if original.contains('\r') {
        return None;
    }
    let lines: Vec<&str> = masked.lines().collect();
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let is_comment = |line: &str| line.trim_start().starts_with('#');
    let mut header = None;
    let mut has_content = false;
    let mut start = 0;
    for (at, line) in lines.iter().enumerate() {
        let odd = |word: &str| word.starts_with(['&', '*', '!', '?', '<', '%']) || word == "---" || word == "...";
        let mut words = line.split_whitespace();
        let is_bare_dash = words.next() == Some("-") && words.next().is_some_and(|next| next.starts_with('#'));
        if line.split([' ', '[', ',', '{']).any(odd) || is_bare_dash {
            return None;
        }
        if !is_comment(line) {
            has_content |= !line.trim().is_empty();
            continue;
        }
        let next = lines.get(at + 1)?;
        if next.trim().is_empty() {
            // Two such comments would be one in the tree.
            let more = lines.iter().skip(at + 1).find(|line| !line.trim().is_empty())?;
            if is_comment(more) || start > 0 {
                return None;
            }
            if has_content {
                let above = lines.iter().take(at).rev().find(|line| !is_comment(line));
                if indentation(more) != indentation(line) || above.is_none_or(|line| !line.trim().is_empty()) {
                    return None;
                }
                continue;
            }
            start = original.find(line).map(|from| from + line.len())?;
            header = original.get(..start);
        } else if indentation(next) != indentation(line) {
            return None;
        }
    }
    Some(header.map(str::trim))
}

/// Where a collection begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    OwnLine,
    /// Behind a dash.
    AfterDash,
}

/// In what a scalar stands, and how far the collection around it is indented.
#[derive(Clone, Copy)]
enum Around {
    Block(usize),
    /// Braces; there are no lines of text inside of these.
    Flow(usize),
}

struct Writer<'a> {
    out: String,
    header: Option<&'a str>,
    /// The comment behind the scalar that is being written.
    line_comment: Option<&'a str>,
}

impl<'a> Writer<'a> {
    fn mapping(&mut self, entries: &'a [Entry], indent: usize, place: Place) -> Option<()> {
        for (at, entry) in entries.iter().enumerate() {
            self.begin(&entry.key, indent, at == 0 && place == Place::AfterDash)?;
            self.scalar(entry.key.as_scalar()?, &entry.key, Around::Block(indent))?;
            self.out.push(':');
            if entry.value.head_comment().is_some() {
                return None;
            }
            let below = is_block(&entry.value);
            // In front of a scalar it comes to stand behind that, unless that has one.
            let comment = entry.key.line_comment();
            match comment {
                Some(_) if !below && !entry.value.is_scalar() => return None,
                comment if below || is_unwritten(&entry.value) => self.comment(comment),
                _ => {}
            }
            if below {
                self.out.push('\n');
                match &entry.value.content {
                    Content::Mapping(mapping) => self.mapping(&mapping.entries, indent + INDENT, Place::OwnLine)?,
                    Content::Sequence(sequence) => self.sequence(&sequence.items, indent, Place::OwnLine)?,
                    Content::Scalar(_) => {}
                }
            } else {
                if !is_unwritten(&entry.value) {
                    self.out.push(' ');
                }
                self.inline(&entry.value, indent, comment.filter(|_| !is_unwritten(&entry.value)))?;
            }
        }
        Some(())
    }

    fn sequence(&mut self, items: &'a [Node], indent: usize, place: Place) -> Option<()> {
        for (at, item) in items.iter().enumerate() {
            self.begin(item, indent, at == 0 && place == Place::AfterDash)?;
            self.out.push_str("- ");
            match &item.content {
                Content::Mapping(mapping) if is_block(item) => {
                    self.mapping(&mapping.entries, indent + INDENT, Place::AfterDash)?;
                }
                Content::Sequence(sequence) if is_block(item) => {
                    self.sequence(&sequence.items, indent + INDENT, Place::AfterDash)?;
                }
                Content::Scalar(_) if is_unwritten(item) => return None,
                _ => self.inline(item, indent, None)?,
            }
        }
        Some(())
    }

    /// The comment above a key or an item, and its indentation.
    fn begin(&mut self, node: &Node, indent: usize, is_behind_dash: bool) -> Option<()> {
        let blanks = " ".repeat(indent);
        match node.head_comment() {
            Some(_) if is_behind_dash => return None,
            Some(comment) => {
                for line in comment.lines() {
                    self.out.push_str(&blanks);
                    self.out.push_str(line.trim_start());
                    self.out.push('\n');
                }
                if self.header.take().is_some() {
                    self.out.push('\n');
                }
            }
            None => {}
        }
        if !is_behind_dash {
            self.out.push_str(&blanks);
        }
        Some(())
    }

    fn comment(&mut self, comment: Option<&str>) {
        if let Some(comment) = comment {
            self.out.push(' ');
            self.out.push_str(comment);
        }
    }

    /// What stands on one line, or begins there, with the comment behind it; `before`: the one behind its key.
    fn inline(&mut self, node: &'a Node, indent: usize, before: Option<&'a str>) -> Option<()> {
        self.line_comment = node.line_comment().or(before);
        match node.as_scalar() {
            Some(scalar) => self.scalar(scalar, node, Around::Block(indent))?,
            None => self.flow(node, indent + INDENT)?,
        }
        let comment = self.line_comment.take();
        self.comment(comment);
        if !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        Some(())
    }

    fn flow(&mut self, node: &Node, indent: usize) -> Option<()> {
        let has_comment = |node: &Node| node.head_comment().is_some() || node.line_comment().is_some();
        let part = |writer: &mut Self, node: &Node| {
            if is_unwritten(node) || has_comment(node) {
                return None;
            }
            match node.as_scalar() {
                Some(scalar) => writer.scalar(scalar, node, Around::Flow(indent)),
                None => writer.flow(node, indent + INDENT),
            }
        };
        match &node.content {
            Content::Sequence(sequence) => {
                self.out.push('[');
                for (at, item) in sequence.items.iter().enumerate() {
                    self.out.push_str(if at > 0 { ", " } else { "" });
                    part(self, item)?;
                }
                self.out.push(']');
            }
            Content::Mapping(mapping) => {
                self.out.push('{');
                for (at, entry) in mapping.entries.iter().enumerate() {
                    self.out.push_str(if at > 0 { ", " } else { "" });
                    part(self, &entry.key)?;
                    self.out.push_str(": ");
                    part(self, &entry.value)?;
                }
                self.out.push('}');
            }
            Content::Scalar(_) => {}
        }
        Some(())
    }

    fn scalar(&mut self, scalar: &Scalar, node: &Node, around: Around) -> Option<()> {
        let text = scalar.text.as_str();
        let traits = Traits::of(text);
        match scalar.style {
            ScalarStyle::Plain if is_unwritten(node) => {}
            // A key that was made.
            ScalarStyle::DoubleQuoted if node.text().is_none() && traits.plain => self.out.push_str(text),
            ScalarStyle::Plain => {
                match node.tag().filter(|_| !is_untyped(node)) {
                    Some(tag) if tag == type_of(text) => {}
                    Some("!!str") => {
                        self.double_quoted(text);
                        return Some(());
                    }
                    // Text has been put in place of a number, which keeps its type.
                    Some(tag) => {
                        self.out.push_str(tag);
                        self.out.push(' ');
                    }
                    None => {}
                }
                match around {
                    _ if text.contains('\n') => self.lines(text, traits, around),
                    Around::Block(_) if traits.plain => self.out.push_str(text),
                    Around::Flow(_) if traits.plain_in_flow => self.out.push_str(text),
                    _ => self.single_quoted(text, traits, around),
                }
            }
            ScalarStyle::SingleQuoted => self.single_quoted(text, traits, around),
            ScalarStyle::DoubleQuoted => self.double_quoted(text),
            ScalarStyle::Literal => self.lines(text, traits, around),
            ScalarStyle::Folded => self.folded(text, traits, around)?,
        }
        Some(())
    }

    /// Text on lines of its own; in quotes where these would lose some of it.
    fn lines(&mut self, text: &str, traits: Traits, around: Around) {
        self.block('|', text, text, traits, around);
    }

    /// The same with lines that are joined when they are read; `None` for separators of lines, which are not.
    fn folded(&mut self, text: &str, traits: Traits, around: Around) -> Option<()> {
        if text.contains(|letter| letter != '\n' && is_break(letter)) {
            return None;
        }
        self.block('>', text, &written_folded(text), traits, around);
        Some(())
    }

    /// A text behind this indicator, and the lines that stand for it.
    fn block(&mut self, indicator: char, text: &str, lines: &str, traits: Traits, around: Around) {
        let Around::Block(indent) = around else { return self.double_quoted(text) };
        if !traits.literal_with_tabs || text.is_empty() {
            return self.double_quoted(text);
        }
        self.out.push(indicator);
        if text.starts_with(|first| first == ' ' || is_break(first)) {
            self.out.push('2');
        }
        let mut from_end = text.chars().rev().map(is_break);
        self.out.push_str(match (from_end.next(), from_end.next()) {
            (Some(true), Some(true) | None) => "+",
            (Some(true), _) => "",
            _ => "-",
        });
        let comment = self.line_comment.take();
        self.comment(comment);
        self.out.push('\n');
        let mut after_break = true;
        for line in lines.split_inclusive(is_break) {
            if after_break && !line.starts_with(is_break) {
                self.out.push_str(&" ".repeat(indent + INDENT));
            }
            self.out.push_str(line);
            after_break = line.ends_with(is_break);
        }
    }

    /// Where such quotes can't hold the text it is in double ones.
    fn single_quoted(&mut self, text: &str, traits: Traits, around: Around) {
        if !traits.single_quoted {
            return self.double_quoted(text);
        }
        let (Around::Block(indent) | Around::Flow(indent)) = around;
        self.out.push('\'');
        let mut after_break = false;
        for letter in text.chars() {
            if is_break(letter) {
                // Only the second one of two is read as a line break.
                if !after_break && letter == '\n' {
                    self.out.push('\n');
                }
            } else if after_break {
                self.out.push_str(&" ".repeat(indent + INDENT));
            }
            if letter == '\'' {
                self.out.push('\'');
            }
            self.out.push(letter);
            after_break = is_break(letter);
        }
        self.out.push('\'');
    }

    fn double_quoted(&mut self, text: &str) {
        self.out.push('"');
        for letter in text.chars() {
            if is_special(letter) || is_break(letter) || matches!(letter, '"' | '\\') {
                push_escape(&mut self.out, letter);
            } else {
                self.out.push(letter);
            }
        }
        self.out.push('"');
    }
}

/// The type of text without quotes.
fn type_of(text: &str) -> &'static str {
    match plain(text, Resolve::V3) {
        Plain::Null => "!!null",
        Plain::Bool(_) => "!!bool",
        Plain::Int(_) | Plain::Uint(_) => "!!int",
        Plain::Float(_) => "!!float",
        Plain::Time(_) => "!!timestamp",
        _ => "!!str",
    }
}

/// True for what stands on lines of its own.
fn is_block(node: &Node) -> bool {
    match &node.content {
        Content::Scalar(_) => false,
        Content::Sequence(sequence) => sequence.style == CollectionStyle::Block && !sequence.items.is_empty(),
        Content::Mapping(mapping) => mapping.style == CollectionStyle::Block && !mapping.entries.is_empty(),
    }
}

/// True for a null that is written by writing nothing.
fn is_unwritten(node: &Node) -> bool {
    match node.tag() {
        None => node.is_null() && written_text(node).is_empty(),
        // Text has been put in place of the null, which keeps its type.
        tag => tag == Some("!!null") && node.as_scalar().is_some_and(|scalar| scalar.text.is_empty()),
    }
}
