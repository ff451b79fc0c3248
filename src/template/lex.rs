//! Text and actions cut into tokens, as text/template's scanner cuts them.

use super::Flaw;

/// A piece of a template with the byte where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) what: Lexeme,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lexeme {
    /// Outside of actions, already trimmed.
    Text(String),
    /// `{{`.
    Open,
    /// `}}`.
    Close,
    /// Blanks inside an action: they part operands.
    Space,
    /// A name: of a function, or a keyword.
    Name(String),
    /// `.name`.
    Field(String),
    /// `$name`; `$` alone has an empty name.
    Variable(String),
    Dot,
    Int(i64),
    Float(f64),
    /// `"…"` or `` `…` ``, without quotes and escapes.
    Quoted(String),
    Pipe,
    LeftParen,
    RightParen,
    Comma,
    /// `:=`.
    Declare,
    /// `=`.
    Assign,
}

/// Cuts a whole template.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Flaw> {
    let mut tokens = Vec::new();
    let mut at = 0;
    // Set by a `-}}`: what follows begins without its blanks.
    let mut trims = false;
    loop {
        let (plain, action) = match text[at..].find("{{") {
            Some(open) => (&text[at..at + open], Some(at + open)),
            None => (&text[at..], None),
        };
        let plain_at = at;
        let plain = if trims { plain.trim_start_matches(is_blank) } else { plain };
        let Some(open) = action else {
            push_text(&mut tokens, plain_at, plain);
            return Ok(tokens);
        };
        let inside = open + 2;
        let trims_left = text[inside..].starts_with('-') && text[inside + 1..].starts_with(is_blank);
        push_text(&mut tokens, plain_at, if trims_left { plain.trim_end_matches(is_blank) } else { plain });
        let inside = if trims_left { inside + 1 } else { inside };
        let comment_at = if trims_left { inside + blanks(&text[inside..]) } else { inside };
        let mut cutter = Cutter { text, at: inside, parens: Vec::new() };
        trims = if text[comment_at..].starts_with("/*") {
            let end = text[comment_at..].find("*/").ok_or_else(|| Flaw::new(open, "unclosed comment"))?;
            cutter.at = comment_at + end + 2;
            cutter.close().ok_or_else(|| Flaw::new(open, "comment ends before closing delimiter"))?
        } else {
            tokens.push(Token { at: open, what: Lexeme::Open });
            cutter.action(&mut tokens)?
        };
        at = cutter.at;
    }
}

fn push_text(tokens: &mut Vec<Token>, at: usize, text: &str) {
    if !text.is_empty() {
        tokens.push(Token { at, what: Lexeme::Text(text.to_owned()) });
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_blank).len()
}

fn is_of_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

struct Cutter<'a> {
    text: &'a str,
    at: usize,
    parens: Vec<usize>,
}

impl Cutter<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Takes the end of an action if it stands here: whether it trims what follows.
    fn close(&mut self) -> Option<bool> {
        let rest = self.rest();
        let (length, trims) = if rest.starts_with("}}") {
            (2, false)
        } else {
            let dash = blanks(rest);
            if dash == 0 || !rest[dash..].starts_with("-}}") {
                return None;
            }
            (dash + 3, true)
        };
        self.at += length;
        Some(trims)
    }

    /// All of an action, its end included: whether it trims what follows.
    fn action(&mut self, tokens: &mut Vec<Token>) -> Result<bool, Flaw> {
        loop {
            let start = self.at;
            if let Some(trims) = self.close() {
                if let Some(open) = self.parens.pop() {
                    return Err(Flaw::new(open, "unclosed left paren"));
                }
                tokens.push(Token { at: start, what: Lexeme::Close });
                return Ok(trims);
            }
            let what = self.next(start)?;
            tokens.push(Token { at: start, what });
        }
    }

    fn next(&mut self, start: usize) -> Result<Lexeme, Flaw> {
        let Some(first) = self.rest().chars().next() else { return Err(Flaw::new(start, "unclosed action")) };
        let second = self.rest()[first.len_utf8()..].chars().next();
        let simple = match first {
            '|' => Some(Lexeme::Pipe),
            ',' => Some(Lexeme::Comma),
            '=' => Some(Lexeme::Assign),
            '(' => {
                self.parens.push(start);
                Some(Lexeme::LeftParen)
            }
            ')' => {
                self.parens.pop().ok_or_else(|| Flaw::new(start, "unexpected right paren"))?;
                Some(Lexeme::RightParen)
            }
            _ => None,
        };
        if let Some(simple) = simple {
            self.at += 1;
            return Ok(simple);
        }
        match first {
            c if is_blank(c) => {
                self.at += blanks(self.rest());
                Ok(Lexeme::Space)
            }
            ':' if second == Some('=') => {
                self.at += 2;
                Ok(Lexeme::Declare)
            }
            '"' => self.quoted(start),
            '`' => {
                let inner = &self.text[start + 1..];
                let end = inner.find('`').ok_or_else(|| Flaw::new(start, "unterminated raw quoted string"))?;
                self.at = start + end + 2;
                Ok(Lexeme::Quoted(inner[..end].to_owned()))
            }
            '\'' => self.character(start),
            '.' if !second.is_some_and(|c| c.is_ascii_digit()) => {
                self.at += 1;
                let name = self.name();
                if name.is_empty() {
                    return Ok(Lexeme::Dot);
                }
                self.ends(start)?;
                Ok(Lexeme::Field(name))
            }
            '$' => {
                self.at += 1;
                let name = self.name();
                self.ends(start)?;
                Ok(Lexeme::Variable(name))
            }
            '+' | '-' | '.' | '0'..='9' => self.number(start),
            c if is_of_name(c) => {
                let name = self.name();
                self.ends(start)?;
                Ok(Lexeme::Name(name))
            }
            c => Err(Flaw::new(start, format!("unexpected {c:?} in an action"))),
        }
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        self.at += end;
        name
    }

    /// What may stand directly behind a name.
    fn ends(&self, start: usize) -> Result<(), Flaw> {
        match self.rest().chars().next() {
            None => Ok(()),
            Some(c) if is_blank(c) || ".,|:()=".contains(c) || self.rest().starts_with("}}") => Ok(()),
            Some(c) => Err(Flaw::new(start, format!("bad character {c:?}"))),
        }
    }

    fn quoted(&mut self, start: usize) -> Result<Lexeme, Flaw> {
        let unterminated = || Flaw::new(start, "unterminated quoted string");
        let mut is_escaped = false;
        for (index, c) in self.text[start + 1..].char_indices() {
            match c {
                '\n' => return Err(unterminated()),
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => {
                    self.at = start + index + 2;
                    let inner = &self.text[start + 1..start + 1 + index];
                    return unescaped(inner, '"').map(Lexeme::Quoted).ok_or_else(|| Flaw::new(start, "bad escape"));
                }
                _ => {}
            }
        }
        Err(unterminated())
    }

    fn character(&mut self, start: usize) -> Result<Lexeme, Flaw> {
        let wrong = || Flaw::new(start, "malformed character constant");
        let inner = &self.text[start + 1..];
        let from = if inner.starts_with('\\') { 2 } else { 1 };
        let end = inner.char_indices().skip(from).find(|(_, c)| *c == '\'').ok_or_else(wrong)?.0;
        let text = unescaped(&inner[..end], '\'').ok_or_else(wrong)?;
        let mut characters = text.chars();
        let (Some(only), None) = (characters.next(), characters.next()) else { return Err(wrong()) };
        self.at = start + end + 2;
        Ok(Lexeme::Int(i64::from(u32::from(only))))
    }

    fn number(&mut self, start: usize) -> Result<Lexeme, Flaw> {
        let rest = self.rest();
        let mut end = usize::from(rest.starts_with(['+', '-']));
        let is_hexadecimal = rest[end..].starts_with("0x") || rest[end..].starts_with("0X");
        while let Some(c) = rest[end..].chars().next() {
            let is_sign = "+-".contains(c) && !is_hexadecimal && rest[..end].ends_with(['e', 'E']);
            if !(c == '.' || is_sign || is_of_name(c)) {
                break;
            }
            end += c.len_utf8();
        }
        let word = rest[..end].to_owned();
        self.at += end;
        number(&word).ok_or_else(|| Flaw::new(start, format!("bad number syntax: {word:?}")))
    }
}

/// A Go number: decimal, `0x`, `0o`, `0b`, with `_` between digits; or a float.
fn number(word: &str) -> Option<Lexeme> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let plain = digits.replace('_', "");
    let lower = plain.to_ascii_lowercase();
    let (radix, body) = match lower.get(..2) {
        Some("0x") => (16, &plain[2..]),
        Some("0o") => (8, &plain[2..]),
        Some("0b") => (2, &plain[2..]),
        _ if plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|b| b.is_ascii_digit()) => (8, &plain[1..]),
        _ => (10, &*plain),
    };
    if !body.starts_with(['+', '-'])
        && let Ok(int) = i64::from_str_radix(&format!("{sign}{body}"), radix)
    {
        return Some(Lexeme::Int(int));
    }
    let is_float = radix == 10 && plain.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let float = if is_float { format!("{sign}{plain}").parse::<f64>().ok()? } else { return None };
    // As Go: a float without a fraction is a whole number too.
    let is_whole = float.fract() == 0.0 && float.abs() < 9e15 && !plain.contains(['.', 'e', 'E']);
    Some(if is_whole { Lexeme::Int(float as i64) } else { Lexeme::Float(float) })
}

/// Go's escapes of a quoted text, taken out.
fn unescaped(text: &str, quote: char) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let mut characters = rest[at + 1..].chars();
        let c = characters.next()?;
        let mut after = characters.as_str();
        let code = |digits: usize, radix: u32| {
            let code = u32::from_str_radix(after.get(..digits)?, radix).ok()?;
            Some((char::from_u32(code)?, &after[digits..]))
        };
        out.push(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '\\' => '\\',
            c if c == quote => c,
            'x' | 'u' | 'U' => {
                let (found, behind) = code(
                    if c == 'x' {
                        2
                    } else if c == 'u' {
                        4
                    } else {
                        8
                    },
                    16,
                )?;
                after = behind;
                found
            }
            _ => return None,
        });
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}
