//! A short way through the YAML that nearly all manifests are made of: block mappings and sequences, words as keys,
//! values that fit on their line, literals.
//!
//! The parser spends most of its time on what a character might still turn out to be. Here anything that is not obvious
//! ends the attempt, and the parser reads the part from its start: this may give up, but never differ
//! (`tests::the_short_way_gives_the_same_tree`).

use std::cell::Cell;

use super::node::{CollectionStyle, Content, Mapping, Scalar, ScalarStyle, Sequence};
use super::text::{Span, to_u32};

/// What builds the tree from what is found here. An error ends the attempt: the parser will find it again.
pub(super) trait Receiver {
    /// A scalar.
    fn scalar(&mut self, scalar: Scalar, span: Span) -> Option<()>;
    /// The start of a collection.
    fn start(&mut self, content: Content, span: Span) -> Option<()>;
    /// The end of the innermost one.
    fn end(&mut self, span: Span) -> Option<()>;
    /// A comment, `#` included; `is_right`: behind something on its line.
    fn comment(&mut self, span: Span, is_right: bool);
}

/// Reads a part of a file; `None` when it takes a parser.
pub(super) fn read(part: &str, receiver: &mut impl Receiver) -> Option<()> {
    if !part.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) {
        return None;
    }
    let mut reader =
        Reader { text: part, at: 0, line_end: Cell::default(), open: Vec::new(), is_waiting: false, receiver };
    reader.lines()
}

/// A collection that is not complete yet.
struct Open {
    is_sequence: bool,
    /// The column of its keys or dashes.
    column: usize,
}

struct Reader<'a, R> {
    text: &'a str,
    at: usize,
    /// Where the line ends that was looked at last: each is asked for several times.
    line_end: Cell<Option<usize>>,
    open: Vec<Open>,
    /// A key or a dash was read, and its value comes on a line below.
    is_waiting: bool,
    receiver: &'a mut R,
}

impl<'a, R: Receiver> Reader<'a, R> {
    fn lines(&mut self) -> Option<()> {
        if self.text.starts_with("---\n") {
            self.at = "---\n".len();
        }
        let mut is_begun = false;
        while self.at < self.text.len() {
            let line = self.line();
            let content = line.trim_start_matches(' ');
            let column = line.len() - content.len();
            if content.is_empty() {
                self.at += line.len() + 1;
            } else if content.starts_with('#') {
                self.comment(self.at + column, self.at + line.len(), false);
                self.at += line.len() + 1;
            } else if line.starts_with("---") || line.starts_with("...") {
                return None;
            } else {
                if is_begun {
                    self.close(column, is_dash(content))?;
                } else {
                    self.is_waiting = true;
                    is_begun = true;
                }
                self.at += column;
                self.content(column)?;
            }
        }
        if !is_begun || self.is_waiting {
            return None;
        }
        while !self.open.is_empty() {
            self.pop()?;
        }
        Some(())
    }

    /// Ends the collections that a line in this column is not part of.
    fn close(&mut self, column: usize, is_dash: bool) -> Option<()> {
        if self.is_waiting {
            let open = self.open.last()?;
            let is_below_its_key = !open.is_sequence && open.column == column && is_dash;
            return (open.column < column || is_below_its_key).then_some(());
        }
        while self.open.last()?.column > column
            || (self.open.last()?.column == column && self.open.last()?.is_sequence && !is_dash)
        {
            self.pop()?;
        }
        let open = self.open.last()?;
        (open.column == column && open.is_sequence == is_dash).then_some(())
    }

    fn pop(&mut self) -> Option<()> {
        self.open.pop()?;
        let at = to_u32(self.at.min(self.text.len()));
        self.receiver.end(Span { start: at, end: at })
    }

    /// Dashes and a key with its value, or an item, from here to the end of the line.
    fn content(&mut self, mut column: usize) -> Option<()> {
        loop {
            let line = self.line();
            if is_dash(line) {
                let item = line.get(1..)?.trim_start_matches(' ');
                // The parser has a sequence in its key's column begin behind the dash.
                let in_column_of_key = self.is_waiting && self.open.last().is_some_and(|open| open.column == column);
                if in_column_of_key && item.is_empty() {
                    return None;
                }
                let start = if in_column_of_key { self.at + line.len() - item.len() } else { self.at };
                self.open_at(column, true, start)?;
                if item.is_empty() {
                    self.is_waiting = true;
                    self.at += line.len() + 1;
                    return Some(());
                }
                let indent = line.len() - item.len();
                column += indent;
                self.at += indent;
                self.is_waiting = true;
                if !is_dash(item) && key_length(item).is_none() {
                    return self.value(column.checked_sub(indent)?);
                }
            } else {
                let length = key_length(line)?;
                self.open_at(column, false, self.at)?;
                self.word(line.get(..length)?, ScalarStyle::Plain, self.at, self.at + length)?;
                let rest = line.get(length + 1..)?;
                let value = rest.trim_start_matches(' ');
                self.at += line.len() - value.len();
                self.is_waiting = true;
                if value.is_empty() {
                    self.at += 1;
                    return Some(());
                }
                return self.value(column);
            }
        }
    }

    /// The collection in this column: the innermost one, or one that begins here.
    fn open_at(&mut self, column: usize, is_sequence: bool, start: usize) -> Option<()> {
        if !std::mem::take(&mut self.is_waiting) {
            return Some(());
        }
        let content = if is_sequence {
            Content::Sequence(Sequence { items: Vec::new(), style: CollectionStyle::Block })
        } else {
            Content::Mapping(Mapping { entries: Vec::new(), style: CollectionStyle::Block })
        };
        self.open.push(Open { is_sequence, column });
        let at = to_u32(start);
        self.receiver.start(content, Span { start: at, end: at })
    }

    /// A value that begins here, under a key or dash in the column `parent`.
    fn value(&mut self, parent: usize) -> Option<()> {
        let line = self.line();
        let first = *line.as_bytes().first()?;
        match first {
            b'#' => {
                self.comment(self.at, self.at + line.len(), true);
                self.at += line.len() + 1;
                // A dash with a comment: whose comment it is, the parser knows.
                (!self.open.last()?.is_sequence).then_some(())
            }
            b'\'' | b'"' => {
                let end = 1 + line.get(1..)?.find(char::from(first))?;
                let text = line.get(1..end)?;
                let rest = line.get(end + 1..)?;
                if text.contains('\\') || rest.starts_with('\'') {
                    return None;
                }
                let style = if first == b'\'' { ScalarStyle::SingleQuoted } else { ScalarStyle::DoubleQuoted };
                self.word(text, style, self.at, self.at + end + 1)?;
                self.rest_of_line(end + 1)
            }
            b'{' | b'[' => {
                let length = self.flow(line, self.at)?;
                self.is_waiting = false;
                self.rest_of_line(length)
            }
            b'|' => self.literal(parent),
            b'-' if is_dash(line) => None,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'_' | b'.' | b'-' | b'$' | b'(' | b'+' | b'=' => {
                let end = line.find(" #").unwrap_or(line.len());
                let text = line.get(..end)?.trim_end_matches(' ');
                if text.contains(": ") || text.ends_with(':') {
                    return None;
                }
                self.word(text, ScalarStyle::Plain, self.at, self.at + text.len())?;
                self.rest_of_line(text.len())
            }
            _ => None,
        }
    }

    /// A collection in brackets or braces that ends on its line; gives its length.
    fn flow(&mut self, text: &str, at: usize) -> Option<usize> {
        let is_mapping = text.starts_with('{');
        let content = if is_mapping {
            Content::Mapping(Mapping { entries: Vec::new(), style: CollectionStyle::Flow })
        } else {
            Content::Sequence(Sequence { items: Vec::new(), style: CollectionStyle::Flow })
        };
        let place = |from: usize, to: usize| Span { start: to_u32(at + from), end: to_u32(at + to) };
        self.receiver.start(content, place(0, 1))?;
        let last = if is_mapping { '}' } else { ']' };
        let mut next = 1;
        if !text.get(next..)?.starts_with(last) {
            loop {
                if is_mapping {
                    let key = key_length(text.get(next..)?)?;
                    self.word(text.get(next..next + key)?, ScalarStyle::Plain, at + next, at + next + key)?;
                    next += key + ": ".len();
                }
                next += self.flow_item(text.get(next..)?, at + next)?;
                let rest = text.get(next..)?;
                if rest.starts_with(last) {
                    break;
                }
                next += rest.starts_with(", ").then_some(", ".len())?;
            }
        }
        self.receiver.end(place(next, next + 1))?;
        Some(next + 1)
    }

    /// A word, a quoted text, or one more collection.
    fn flow_item(&mut self, text: &str, at: usize) -> Option<usize> {
        let first = *text.as_bytes().first()?;
        let (word, length, style) = match first {
            b'[' | b'{' => return self.flow(text, at),
            b'\'' | b'"' => {
                let end = 1 + text.get(1..)?.find(char::from(first))?;
                let word = text.get(1..end)?;
                if word.contains('\\') || text.get(end + 1..)?.starts_with('\'') {
                    return None;
                }
                let style = if first == b'\'' { ScalarStyle::SingleQuoted } else { ScalarStyle::DoubleQuoted };
                (word, end + 1, style)
            }
            _ => {
                let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-');
                let length = text.bytes().take_while(|byte| is_letter(*byte)).count();
                (text.get(..length)?, length, ScalarStyle::Plain)
            }
        };
        if style == ScalarStyle::Plain && !first.is_ascii_alphanumeric() {
            return None;
        }
        self.word(word, style, at, at + length)?;
        Some(length)
    }

    /// Nothing but a comment may stand behind a value.
    fn rest_of_line(&mut self, from: usize) -> Option<()> {
        let line = self.line();
        let rest = line.get(from..)?;
        let comment = rest.trim_start_matches(' ');
        if comment.starts_with('#') && comment.len() < rest.len() {
            self.comment(self.at + line.len() - comment.len(), self.at + line.len(), true);
        } else if !comment.is_empty() {
            return None;
        }
        self.at += line.len() + 1;
        Some(())
    }

    /// `|` or `|-` and its lines.
    fn literal(&mut self, parent: usize) -> Option<()> {
        let header = self.line();
        let strips = match header {
            "|" => false,
            "|-" => true,
            _ => return None,
        };
        self.at += header.len() + 1;
        let first = self.line();
        let indent = first.len() - first.trim_start_matches(' ').len();
        if indent <= parent || indent == first.len() {
            return None;
        }
        // To the parser, a literal begins where its text does.
        let start = self.at + indent;
        let mut text = String::new();
        // Where the text ends that is no empty line; and where the scalar ends.
        let (mut kept, mut end) = (0, self.at);
        while self.at < self.text.len() {
            let line = self.line();
            let blanks = line.len() - line.trim_start_matches(' ').len();
            let is_empty = blanks == line.len();
            if !is_empty && blanks < indent {
                break;
            }
            // A file that ends without a line break is the parser's.
            self.text.as_bytes().get(self.at + line.len())?;
            if is_empty && blanks > indent {
                return None;
            }
            text.push_str(line.get(indent..).unwrap_or_default());
            text.push('\n');
            self.at += line.len() + 1;
            if !is_empty {
                kept = text.len();
            }
            end = self.at;
        }
        text.truncate(if strips { kept - 1 } else { kept });
        self.word(&text, ScalarStyle::Literal, start, end)
    }

    fn word(&mut self, text: &str, style: ScalarStyle, start: usize, end: usize) -> Option<()> {
        self.is_waiting = false;
        self.receiver.scalar(Scalar { text: text.into(), style }, Span { start: to_u32(start), end: to_u32(end) })
    }

    fn comment(&mut self, start: usize, end: usize, is_right: bool) {
        self.receiver.comment(Span { start: to_u32(start), end: to_u32(end) }, is_right);
    }

    /// From here to the end of the line.
    fn line(&self) -> &'a str {
        let end = self.line_end.get().filter(|end| self.at <= *end).unwrap_or_else(|| {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
        });
        self.line_end.set(Some(end));
        self.text.get(self.at..end).unwrap_or_default()
    }
}

fn is_dash(line: &str) -> bool {
    line == "-" || line.starts_with("- ")
}

/// The length of a key that is one word and has its colon.
fn key_length(line: &str) -> Option<usize> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-');
    let length = line.bytes().take_while(|byte| is_letter(*byte)).count();
    let is_key = line.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && line.as_bytes().get(length) == Some(&b':')
        && line.as_bytes().get(length + 1).is_none_or(|next| *next == b' ');
    // The parser's limit is 1,024; nobody writes such keys.
    (is_key && length < 200).then_some(length)
}
