//! A rough reading of a file, for what the parser reads otherwise than go-yaml does: quoted text whose further lines are
//! indented too little, apostrophes behind a backslash, and names of anchors.
//!
//! It may take text for something else; who uses it checks that with what the parser finds.

/// A line that needs more blanks in front.
pub(super) struct Hanging {
    pub(super) line: usize,
    pub(super) blanks: usize,
}

/// The end of an anchor's or an alias's name behind which something else follows than a blank.
pub(super) struct NameEnd {
    pub(super) at: usize,
    pub(super) next: u8,
}

/// What a text holds that the parser reads otherwise than go-yaml does.
#[derive(Default)]
pub(super) struct Found {
    pub(super) hanging: Vec<Hanging>,
    /// The backslash of each `\'` in double quotes.
    pub(super) apostrophes: Vec<usize>,
    pub(super) names: Vec<NameEnd>,
}

/// Reads a part of a file.
pub(super) fn read(text: &str) -> Found {
    let mut lexer = Lexer { text: text.as_bytes(), at: 0, line: 0, found: Found::default() };
    lexer.read();
    lexer.found
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// Where the current line begins.
    line: usize,
    found: Found,
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
                Some(b'&' | b'*') => self.name(),
                Some(b'!') => self.word(),
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
                b'&' | b'*' if matches!(before, b' ' | b'\t' | b'\n' | b'[' | b'{' | b',' | b':') => {
                    self.name();
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
                    if self.text.get(self.at + 1) == Some(&b'\'') {
                        self.found.apostrophes.push(self.at);
                    }
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
        let is_break = self.is_at_break();
        self.step();
        if !is_break {
            return;
        }
        let line = self.line;
        let blanks = self.text.get(line..).unwrap_or_default().iter().take_while(|byte| **byte == b' ').count();
        let rest = self.text.get(line + blanks..).unwrap_or_default();
        // These are no part of quoted text to go-yaml either.
        let is_indicator = blanks == 0 && (rest.starts_with(b"---") || rest.starts_with(b"...")) && self.is_blank_at(3);
        if blanks <= parent && !matches!(rest.first(), Some(b'\n' | b'\r') | None) && !is_indicator {
            self.found.hanging.push(Hanging { line, blanks: parent + 1 - blanks });
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn is_blank_at(&self, ahead: usize) -> bool {
        matches!(self.text.get(self.at + ahead), Some(b' ' | b'\t' | b'\n' | b'\r') | None)
    }

    fn step(&mut self) {
        let is_break = self.is_at_break();
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

    /// An anchor or an alias: go-yaml's names have fewer characters than those of YAML 1.2.
    fn name(&mut self) {
        self.at += 1;
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            self.at += 1;
        }
        let Some(next) = self.peek().filter(|_| !self.is_blank_at(0)) else { return };
        let is_end = self.at > start && matches!(next, b',' | b']' | b'}');
        if !is_end {
            self.found.names.push(NameEnd { at: self.at, next: if self.at > start { next } else { 0 } });
        }
        if next != b':' && !is_end {
            self.word();
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some() && !self.is_at_break() {
            self.at += 1;
        }
        self.step();
    }

    /// A carriage return ends a line, too.
    fn is_at_break(&self) -> bool {
        match self.peek() {
            Some(b'\r') => self.text.get(self.at + 1) != Some(&b'\n'),
            next => next == Some(b'\n'),
        }
    }

    /// In bytes: compared with indentation only.
    fn column(&self) -> usize {
        self.at - self.line
    }
}
