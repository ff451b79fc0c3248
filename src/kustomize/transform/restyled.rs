//! YAML text of a tree that was read from YAML text: comments and quotes stay, indentation and blank lines become those
//! of go-yaml v3.
//!
//! What go-yaml's ideas of comments, anchors and folding would have to be known for is not written at all.

use crate::kustomize::place::is_untyped;
use crate::kustomize::resource::written_text;
use crate::yaml::{CollectionStyle, Content, Entry, Node, Plain, Resolve, Scalar, ScalarStyle, plain};

const INDENT: usize = 2;

/// The text; `None` when it holds something that is not written here.
pub(super) fn to_string(document: &Node, original: &str) -> Option<String> {
    let header = header(original)?;
    let mut writer = Writer { out: String::new(), header };
    match &document.content {
        Content::Mapping(mapping) => writer.mapping(&mapping.entries, 0, Place::OwnLine)?,
        Content::Sequence(sequence) => writer.sequence(&sequence.items, 0, Place::OwnLine)?,
        Content::Scalar(_) => return None,
    }
    Some(writer.out)
}

/// Looks at what the tree does not say. Gives the comment that stands apart, above everything; `None` when there are
/// comments that belong to no line below them, or anything but plain mappings and lists.
fn header(original: &str) -> Option<Option<&str>> {
    if original.contains('\r') {
        return None;
    }
    let lines: Vec<&str> = original.lines().collect();
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let is_comment = |line: &str| line.trim_start().starts_with('#');
    let mut header = None;
    let mut has_content = false;
    let mut start = 0;
    for (at, line) in lines.iter().enumerate() {
        let odd = |word: &str| word.starts_with(['&', '*', '!', '?', '<', '>', '%']) || word == "---" || word == "...";
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

struct Writer<'a> {
    out: String,
    header: Option<&'a str>,
}

impl Writer<'_> {
    fn mapping(&mut self, entries: &[Entry], indent: usize, place: Place) -> Option<()> {
        for (at, entry) in entries.iter().enumerate() {
            self.begin(&entry.key, indent, at == 0 && place == Place::AfterDash)?;
            self.scalar(entry.key.as_scalar()?, &entry.key, indent)?;
            self.out.push(':');
            if entry.value.head_comment().is_some() {
                return None;
            }
            let below = is_block(&entry.value);
            let is_text = |node: &Node| node.as_scalar().is_some_and(is_of_lines);
            match entry.key.line_comment() {
                Some(_) if !below && !is_unwritten(&entry.value) => return None,
                comment => self.line_comment(comment),
            }
            if is_text(&entry.value) && entry.value.line_comment().is_some() {
                return None;
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
                self.inline(&entry.value, indent)?;
            }
        }
        Some(())
    }

    fn sequence(&mut self, items: &[Node], indent: usize, place: Place) -> Option<()> {
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
                _ => self.inline(item, indent)?,
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

    fn line_comment(&mut self, comment: Option<&str>) {
        if let Some(comment) = comment {
            self.out.push(' ');
            self.out.push_str(comment);
        }
    }

    /// What stands on one line, or begins there, with the comment behind it.
    fn inline(&mut self, node: &Node, indent: usize) -> Option<()> {
        match node.as_scalar() {
            Some(scalar) => self.scalar(scalar, node, indent)?,
            None => self.flow(node)?,
        }
        self.line_comment(node.line_comment());
        if !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        Some(())
    }

    fn flow(&mut self, node: &Node) -> Option<()> {
        let has_comment = |node: &Node| node.head_comment().is_some() || node.line_comment().is_some();
        let part = |writer: &mut Self, node: &Node| {
            if is_unwritten(node) || has_comment(node) {
                return None;
            }
            match node.as_scalar() {
                // There are no lines inside of braces.
                Some(scalar) if is_of_lines(scalar) => {
                    let is_text = node.tag().is_none_or(|tag| is_untyped(node) || tag == "!!str");
                    let is_written = |letter: char| is_printable(letter) || matches!(letter, '\n' | '\t');
                    (is_text && scalar.text.chars().all(is_written)).then(|| writer.double_quoted(&scalar.text))
                }
                Some(scalar) => writer.scalar(scalar, node, 0),
                None => writer.flow(node),
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

    fn scalar(&mut self, scalar: &Scalar, node: &Node, indent: usize) -> Option<()> {
        let text = scalar.text.as_str();
        match scalar.style {
            ScalarStyle::Plain if is_unwritten(node) => {}
            // A key that was made.
            ScalarStyle::DoubleQuoted if node.text().is_none() && is_safe(text) => self.out.push_str(text),
            ScalarStyle::Plain => {
                let is_read = node.text().is_some() && node.tag().is_none();
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
                if text.contains('\n') {
                    return self.lines(text, indent);
                }
                if is_read || is_safe(text) {
                    self.out.push_str(text);
                } else if needs_quotes(text) && text.chars().all(is_printable) {
                    self.single_quoted(text);
                } else {
                    return None;
                }
            }
            ScalarStyle::SingleQuoted if text.chars().all(is_printable) => self.single_quoted(text),
            ScalarStyle::DoubleQuoted
                if text.chars().all(|letter| is_printable(letter) || matches!(letter, '\n' | '\t')) =>
            {
                self.double_quoted(text);
            }
            ScalarStyle::Literal => self.lines(text, indent)?,
            _ => return None,
        }
        Some(())
    }

    /// Text on lines of its own; in quotes where these would lose some of it.
    fn lines(&mut self, text: &str, indent: usize) -> Option<()> {
        if !text.chars().all(|letter| is_printable(letter) || matches!(letter, '\n' | '\t')) {
            return None;
        }
        if text.contains(" \n") || text.ends_with(' ') || text.is_empty() {
            self.double_quoted(text);
            return Some(());
        }
        self.out.push('|');
        if text.starts_with([' ', '\n']) {
            self.out.push('2');
        }
        let keeps_all = text == "\n" || text.ends_with("\n\n");
        self.out.push_str(match text.ends_with('\n') {
            true if keeps_all => "+",
            true => "",
            false => "-",
        });
        for line in text.lines() {
            self.out.push('\n');
            if !line.is_empty() {
                self.out.push_str(&" ".repeat(indent + INDENT));
                self.out.push_str(line);
            }
        }
        if keeps_all {
            self.out.push('\n');
        }
        Some(())
    }

    fn single_quoted(&mut self, text: &str) {
        self.out.push('\'');
        self.out.push_str(&text.replace('\'', "''"));
        self.out.push('\'');
    }

    fn double_quoted(&mut self, text: &str) {
        self.out.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\t' => self.out.push_str("\\t"),
                '\n' => self.out.push_str("\\n"),
                letter => self.out.push(letter),
            }
        }
        self.out.push('"');
    }
}

fn is_printable(letter: char) -> bool {
    matches!(letter, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}')
}

/// True for what is written on lines of its own: text that was, and several lines in the place of one.
fn is_of_lines(scalar: &Scalar) -> bool {
    scalar.style == ScalarStyle::Literal || (scalar.style == ScalarStyle::Plain && scalar.text.contains('\n'))
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

/// True for text that needs no quotes, whatever it means; there is more of that than is known here.
fn is_safe(text: &str) -> bool {
    let is_plain =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '/' | '-' | ':' | ' ' | '+');
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
        && text.chars().all(is_plain)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
}

/// True for text that can't be written without quotes.
fn needs_quotes(text: &str) -> bool {
    text.starts_with(['#', ',', '[', ']', '{', '}', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', ' '])
        || text.contains(": ")
        || text.contains(" #")
        || text.ends_with([':', ' '])
}
