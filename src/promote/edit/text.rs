//! [`Lines`]: the text of a file, and bytes of it that are replaced.

use std::ops::Range;

use crate::yaml::{Plain, Resolve, ScalarStyle, Span, plain};

/// The text of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a> {
    text: &'a str,
}

/// What takes the place of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replacement {
    pub(super) bytes: Range<usize>,
    pub(super) by: String,
}

impl Replacement {
    pub(super) fn of(span: Span, by: impl Into<String>) -> Self {
        Replacement { bytes: span.start as usize..span.end as usize, by: by.into() }
    }

    pub(super) fn at(byte: usize, by: impl Into<String>) -> Self {
        Replacement { bytes: byte..byte, by: by.into() }
    }

    pub(super) fn without(bytes: Range<usize>) -> Self {
        Replacement { bytes, by: String::new() }
    }
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Lines { text }
    }

    /// The text with other bytes in these places, which don't overlap; of two at one place the first comes first.
    pub(super) fn with(self, mut replacements: Vec<Replacement>) -> String {
        replacements.sort_by_key(|replacement| replacement.bytes.start);
        let mut edited = String::with_capacity(self.text.len() + 128);
        let mut done = 0;
        for Replacement { bytes, by } in replacements {
            edited.push_str(self.slice(done..bytes.start));
            edited.push_str(&by);
            done = bytes.end.max(done);
        }
        edited.push_str(self.slice(done..self.text.len()));
        edited
    }

    pub(super) fn slice(self, bytes: Range<usize>) -> &'a str {
        self.text.get(bytes).unwrap_or_default()
    }

    pub(super) fn before(self, byte: usize) -> &'a str {
        self.slice(0..byte)
    }

    pub(super) fn behind(self, byte: usize) -> &'a str {
        self.slice(byte..self.text.len())
    }

    /// Where the line of a byte begins.
    pub(super) fn line_start(self, byte: usize) -> usize {
        let start = self.before(byte).rfind('\n').map_or(0, |at| at + 1);
        // A byte order mark is no part of the first line.
        if start == 0 && self.text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { start }
    }

    /// Where the line of a byte ends, its line break excluded.
    pub(super) fn line_end(self, byte: usize) -> usize {
        let rest = self.behind(byte);
        let line = rest.split('\n').next().unwrap_or_default();
        let has_break = line.len() < rest.len();
        byte + if has_break { line.strip_suffix('\r').unwrap_or(line).len() } else { line.len() }
    }

    /// How far from the start of its line a byte stands.
    pub(super) fn column(self, byte: usize) -> usize {
        byte - self.line_start(byte)
    }

    /// The line break that is used at a byte.
    fn line_break(self, byte: usize) -> &'static str {
        let near = self.behind(byte).find('\n').map(|at| byte + at).or_else(|| self.before(byte).rfind('\n'));
        if near.is_some_and(|at| self.before(at).ends_with('\r')) { "\r\n" } else { "\n" }
    }

    /// Lines below the one in which something ends; of lines of text the end is the start of the next line.
    pub(super) fn lines_below(self, end: usize, lines: &[String]) -> Replacement {
        let end_of_line = self.line_end(end);
        let line_break = self.line_break(end);
        if self.before(end).ends_with('\n') {
            let lines: Vec<String> = lines.iter().map(|line| format!("{line}{line_break}")).collect();
            return Replacement::at(end, lines.concat());
        }
        let lines: Vec<String> = lines.iter().map(|line| format!("{line_break}{line}")).collect();
        Replacement::at(end_of_line, lines.concat())
    }

    /// The lines from the one of `start` to the one of `end` are left out.
    pub(super) fn without_lines(self, start: usize, end: usize) -> Replacement {
        let (first, last) = (self.line_start(start), self.line_end(end));
        match self.behind(last).find('\n') {
            Some(at) => Replacement::without(first..last + at + 1),
            // Of a file that ends without a line break the line before it becomes the last one.
            None => Replacement::without(self.before(first).trim_end_matches(['\r', '\n']).len()..last),
        }
    }
}

/// A text of letters, digits and few signs, so that every reader takes it for a string.
pub(super) fn written(text: &str, style: ScalarStyle) -> String {
    match style {
        ScalarStyle::SingleQuoted => format!("'{text}'"),
        ScalarStyle::Plain if is_text(text) => text.to_owned(),
        _ => format!("\"{text}\""),
    }
}

/// True when both readings take the bare text for a string.
pub(super) fn is_text(text: &str) -> bool {
    [Resolve::V3, Resolve::V2].iter().all(|mode| plain(text, *mode) == Plain::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_would_take_for_something_else_is_quoted() {
        let cases = [
            ("v1.4.2", ScalarStyle::Plain, "v1.4.2"),
            ("1.4.2", ScalarStyle::Plain, "1.4.2"),
            ("1.4", ScalarStyle::Plain, "\"1.4\""),
            ("7", ScalarStyle::Plain, "\"7\""),
            ("1e3", ScalarStyle::Plain, "\"1e3\""),
            ("0x1f", ScalarStyle::Plain, "\"0x1f\""),
            ("on", ScalarStyle::Plain, "\"on\""),
            ("null", ScalarStyle::Plain, "\"null\""),
            ("2026-11-22", ScalarStyle::Plain, "\"2026-11-22\""),
            ("1.4", ScalarStyle::SingleQuoted, "'1.4'"),
            ("v1", ScalarStyle::DoubleQuoted, "\"v1\""),
        ];
        for (text, style, expected) in cases {
            assert_eq!(written(text, style), expected);
        }
    }

    #[test]
    fn lines_come_and_go_with_the_line_breaks_around_them() {
        let cases = [
            // text, what ends in the first line, below it, without the last line
            ("a\nb\n", "a\nx\nb\n", "a\n"),
            ("a\r\nb\r\n", "a\r\nx\r\nb\r\n", "a\r\n"),
            ("a\nb", "a\nx\nb", "a"),
            ("a\r\nb", "a\r\nx\r\nb", "a"),
        ];
        for (text, below, without) in cases {
            let lines = Lines::new(text);
            assert_eq!(lines.with(vec![lines.lines_below(1, &["x".into()])]), below, "{text:?}");
            let last = text.find('b').unwrap();
            assert_eq!(lines.with(vec![lines.without_lines(last, last + 1)]), without, "{text:?}");
        }
        let lines = Lines::new("a");
        assert_eq!(lines.with(vec![lines.lines_below(1, &["x".into(), "y".into()])]), "a\nx\ny");
    }
}
