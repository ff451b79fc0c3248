//! A condition cut into tokens.

use super::Flaw;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) what: Lexeme,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lexeme {
    Name(String),
    Text(String),
    Int(i64),
    Float(f64),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// The longer ones stand before those that they begin with.
const SIGNS: [&str; 31] = [
    "?.", "??", "..", "**", "&&", "||", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "^", "!", "<", ">", "?", ":",
    ",", ".", "|", "(", ")", "[", "]", "{", "}", "#",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Flaw> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (what, length) = match first {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '\'' | '"' => quoted(rest, first, at)?,
            '`' => {
                let end = rest[1..].find('`').ok_or_else(|| Flaw::new(at, "a text without an end"))?;
                (Lexeme::Text(rest[1..=end].to_owned()), end + 2)
            }
            c if c.is_ascii_digit() => number(rest, at)?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest, at)?,
            c if c == '_' || c == '$' || c.is_alphabetic() => {
                let end = rest.find(|c: char| !(c == '_' || c == '$' || c.is_alphanumeric())).unwrap_or(rest.len());
                (Lexeme::Name(rest[..end].to_owned()), end)
            }
            c => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| Flaw::new(at, format!("unexpected {c:?}")))?;
                // `a ?.5 : 1` is a choice and no chain.
                let is_choice = *sign == "?." && rest[2..].starts_with(|c: char| c.is_ascii_digit());
                let sign = if is_choice { "?" } else { sign };
                (Lexeme::Sign(sign), sign.len())
            }
        };
        tokens.push(Token { at, what });
        at += length;
    }
    Ok(tokens)
}

fn quoted(rest: &str, quote: char, at: usize) -> Result<(Lexeme, usize), Flaw> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((index, c)) = characters.next() {
        let c = match c {
            c if c == quote => return Ok((Lexeme::Text(text), index + 1)),
            '\n' => break,
            '\\' => match characters.next().map(|(_, c)| c) {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('u') => {
                    let digits: String = characters.by_ref().take(4).map(|(_, c)| c).collect();
                    let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                    code.ok_or_else(|| Flaw::new(at + index, "no such character"))?
                }
                Some(c @ ('\\' | '\'' | '"')) => c,
                _ => return Err(Flaw::new(at + index, "no such escape")),
            },
            c => c,
        };
        text.push(c);
    }
    Err(Flaw::new(at, "a text without an end"))
}

fn number(rest: &str, at: usize) -> Result<(Lexeme, usize), Flaw> {
    let mut end = 0;
    while let Some(c) = rest[end..].chars().next() {
        let is_sign = "+-".contains(c) && rest[..end].ends_with(['e', 'E']) && !rest.starts_with("0x");
        // `1..3` is a range and no float.
        let is_point = c == '.' && !rest[end + 1..].starts_with('.');
        if !(is_sign || is_point || c == '_' || c.is_alphanumeric()) {
            break;
        }
        end += c.len_utf8();
    }
    let word = rest[..end].replace('_', "").to_ascii_lowercase();
    let int = match word.get(..2) {
        Some("0x") => i64::from_str_radix(&word[2..], 16).ok(),
        Some("0o") => i64::from_str_radix(&word[2..], 8).ok(),
        Some("0b") => i64::from_str_radix(&word[2..], 2).ok(),
        _ => word.parse().ok(),
    };
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit() || b".e+-".contains(&byte));
    let float = || word.parse().ok().filter(|_| is_plain).map(Lexeme::Float);
    let what = int.map(Lexeme::Int).or_else(float);
    Ok((what.ok_or_else(|| Flaw::new(at, format!("`{}` is no number", &rest[..end])))?, end))
}
