//! Quoted text whose further lines are indented too little.
//!
//! YAML 1.2 and its parser refuse such lines; go-yaml accepts them, and older versions of it wrote them, so that the
//! CustomResourceDefinitions of years are full of them. Blanks at the start of a continued line are no part of its text:
//! the parser is given a copy with enough of them. Finding the lines is a rough reading of the file, good enough because
//! it is checked afterwards that the parser saw each added blank inside of quoted text ([`Shifts::are_inside`]).

use super::text::{Span, to_u32};

/// Where blanks were added.
#[derive(Default)]
pub(super) struct Shifts(Vec<Shift>);

#[derive(Clone, Copy)]
struct Shift {
    /// Byte in the copy from which on everything is shifted.
    at: u32,
    /// By how much, those before included.
    by: u32,
}

impl Shifts {
    /// Where a byte of the copy was in the original.
    pub(super) fn original(&self, byte: u32) -> u32 {
        let before = self.0.partition_point(|shift| shift.at <= byte);
        byte - before.checked_sub(1).and_then(|last| self.0.get(last)).map_or(0, |shift| shift.by)
    }

    /// True when all added blanks lie inside of these spans of the copy, which are in order.
    pub(super) fn are_inside(&self, quoted: &[Span]) -> bool {
        self.0.iter().all(|shift| {
            let next = quoted.partition_point(|span| span.end < shift.at);
            quoted.get(next).is_some_and(|span| span.start < shift.at)
        })
    }
}

/// A copy in which quoted text is indented as YAML 1.2 demands; `None` when no line seems to need it.
pub(super) fn indent(text: &str) -> Option<(String, Shifts)> {
    let mut lexer = Lexer { text: text.as_bytes(), at: 0, line: 0, hanging: Vec::new() };
    lexer.read();
    if lexer.hanging.is_empty() {
        return None;
    }
    let mut copy = String::with_capacity(text.len() + lexer.hanging.len() * 16);
    let mut shifts = Vec::with_capacity(lexer.hanging.len());
    let (mut from, mut by) = (0, 0);
    for Hanging { line, blanks } in lexer.hanging {
        copy.push_str(text.get(from..line)?);
        copy.extend(std::iter::repeat_n(' ', blanks));
        by += blanks;
        shifts.push(Shift { at: to_u32(copy.len()), by: to_u32(by) });
        from = line;
    }
    copy.push_str(text.get(from..)?);
    Some((copy, Shifts(shifts)))
}

/// A line that needs more blanks in front.
struct Hanging {
    line: usize,
    blanks: usize,
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// Where the current line begins.
    line: usize,
    hanging: Vec<Hanging>,
}

impl Lexer<'_> {
    fn read(&mut self) {
        // Plain text goes on below when it is indented more than its key.
        let mut plain_under = None;
        while self.at < self.text.len() {
            self.blanks();
            let indent = self.column();
            let is_empty = matches!(self.peek(), Some(b'\n' | b'\r' | b'#') | None);
            if is_empty || plain_under.is_some_and(|parent| indent > parent) {
                self.skip_line();
            } else {
                plain_under = self.line_of_tokens();
            }
        }
    }

    /// One line, and what begins on it and goes on below. Gives the parent's column when it ends in plain text.
    fn line_of_tokens(&mut self) -> Option<usize> {
        let mut parent = self.column();
        loop {
            self.blanks();
            let start = self.column();
            match self.peek() {
                None | Some(b'\n' | b'\r' | b'#') => {
                    self.skip_line();
                    return None;
                }
                Some(b'-' | b'?' | b':') if self.is_blank_at(1) => {
                    parent = start;
                    self.at += 1;
                }
                Some(b'&' | b'!' | b'*') => self.word(),
                Some(b'|' | b'>') => {
                    self.skip_line();
                    self.block(parent);
                    return None;
                }
                Some(b'[' | b'{') => self.flow(parent),
                Some(quote @ (b'\'' | b'"')) => {
                    self.quoted(quote, parent);
                    if self.peek() == Some(b':') {
                        parent = start;
                        self.at += 1;
                    }
                }
                Some(_) => {
                    if !self.plain() {
                        return Some(parent);
                    }
                    parent = start;
                }
            }
        }
    }

    /// Plain text; true when it is a key, whose colon is then consumed.
    fn plain(&mut self) -> bool {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' | b'\r' => break,
                b':' if self.is_blank_at(1) => {
                    self.at += 1;
                    return true;
                }
                b' ' | b'\t' if self.text.get(self.at + 1) == Some(&b'#') => break,
                _ => self.at += 1,
            }
        }
        self.skip_line();
        false
    }

    /// The lines of a block scalar.
    fn block(&mut self, parent: usize) {
        while self.at < self.text.len() {
            self.blanks();
            let is_empty = matches!(self.peek(), Some(b'\n' | b'\r') | None);
            if !is_empty && self.column() <= parent {
                self.at = self.line;
                return;
            }
            self.skip_line();
        }
    }

    fn flow(&mut self, parent: usize) {
        let mut depth = 0usize;
        let mut before = b' ';
        while let Some(byte) = self.peek() {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                b'\'' | b'"' if matches!(before, b' ' | b'\t' | b'\n' | b'[' | b'{' | b',' | b':') => {
                    self.quoted(byte, parent);
                    before = byte;
                    continue;
                }
                b'#' if matches!(before, b' ' | b'\t' | b'\n') => {
                    self.skip_line();
                    before = b'\n';
                    continue;
                }
                _ => {}
            }
            before = byte;
            self.step();
            if depth == 0 {
                return;
            }
        }
    }

    /// Quoted text; its further lines must be indented more than `parent`.
    fn quoted(&mut self, quote: u8, parent: usize) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' if quote == b'"' => {
                    self.at += 1;
                    self.step_over_line(parent);
                }
                _ if byte == quote && quote == b'\'' && self.text.get(self.at + 1) == Some(&b'\'') => self.at += 2,
                _ if byte == quote => {
                    self.at += 1;
                    return;
                }
                _ => self.step_over_line(parent),
            }
        }
    }

    /// One byte of quoted text; behind a line break, the next line is looked at.
    fn step_over_line(&mut self, parent: usize) {
        let is_break = self.peek() == Some(b'\n');
        self.step();
        if !is_break {
            return;
        }
        let line = self.line;
        let blanks = self.text.get(line..).unwrap_or_default().iter().take_while(|byte| **byte == b' ').count();
        let first = self.text.get(line + blanks);
        if blanks <= parent && !matches!(first, Some(b'\n' | b'\r') | None) {
            self.hanging.push(Hanging { line, blanks: parent + 1 - blanks });
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn is_blank_at(&self, ahead: usize) -> bool {
        matches!(self.text.get(self.at + ahead), Some(b' ' | b'\t' | b'\n' | b'\r') | None)
    }

    fn step(&mut self) {
        let is_break = self.peek() == Some(b'\n');
        self.at += 1;
        if is_break {
            self.line = self.at;
        }
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn word(&mut self) {
        while !self.is_blank_at(0) {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
        self.step();
    }

    /// In bytes: compared with indentation only.
    fn column(&self) -> usize {
        self.at - self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_quoted_text_are_indented_behind_their_key() {
        let cases = [
            ("a: 'x\ny'\n", Some("a: 'x\n y'\n")),
            ("a:\n  b: \"x \\\"\n\n  c' #\n\td\"\n  e: 1\n", Some("a:\n  b: \"x \\\"\n\n   c' #\n   \td\"\n  e: 1\n")),
            ("- - k: 'it''s\n    x'\n", Some("- - k: 'it''s\n     x'\n")),
            ("a: it's\n# don't\nb: |\n  'x\n y\nc: x\n 'y\nd: [ 'x\n  y' ]\n", None),
            ("a: 'x\n  y'\n", None),
        ];
        for (text, expected) in cases {
            assert_eq!(indent(text).map(|(copy, _)| copy).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn places_in_the_copy_are_those_of_the_original() {
        let (copy, shifts) = indent("a: 'x\ny\nz'\nb: 1\n").unwrap();
        assert_eq!(copy, "a: 'x\n y\n z'\nb: 1\n");
        assert_eq!([3, 7, 10, 13].map(|byte| shifts.original(byte)), [3, 6, 8, 11]);
        assert!(shifts.are_inside(&[Span { start: 3, end: 12 }]));
        assert!(!shifts.are_inside(&[Span { start: 3, end: 8 }]));
    }
}
