//! Which of YAML's forms can hold a text, and what a YAML 1.1 reader would take it for.

use std::fmt::Write as _;

use crate::yaml::resolve::{self, Plain, Resolve};

/// Which forms can hold a text.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// No quotes.
    pub plain: bool,
    /// No quotes, inside of braces.
    pub plain_in_flow: bool,
    /// `'…'`
    pub single_quoted: bool,
    /// `|`, as go-yaml v2 writes it.
    pub literal: bool,
    /// The same with tabs, as go-yaml v3 writes it.
    pub literal_with_tabs: bool,
    /// True for more than one line.
    pub has_break: bool,
}

impl Traits {
    /// The forms that can hold this text.
    pub fn of(text: &str) -> Self {
        if is_simple_word(text) {
            return Traits {
                plain: true,
                plain_in_flow: true,
                single_quoted: true,
                literal: true,
                literal_with_tabs: true,
                has_break: false,
            };
        }
        let starts_like_a_document = text.starts_with("---") || text.starts_with("...");
        let mut is_indicator = starts_like_a_document;
        let (mut special, mut has_break, mut break_space, mut space_break) = (false, false, false, false);
        let mut is_flow_indicator = false;
        let mut before = None;
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            let before_blank = rest.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            is_indicator |= match (character, before) {
                (
                    '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`',
                    None,
                ) => true,
                ('?' | '-', None) | (':', _) => before_blank,
                ('#', Some(before)) => matches!(before, ' ' | '\t' | '\0') || is_break(before),
                _ => false,
            };
            is_flow_indicator |= matches!(character, ',' | '?' | '[' | ']' | '{' | '}' | ':');
            special |= is_special(character) && character != '\t';
            let after_break = before.is_some_and(is_break);
            if is_break(character) {
                has_break = true;
                space_break |= before == Some(' ');
            } else if character == ' ' {
                break_space |= after_break;
            }
            before = Some(character);
        }
        let ends_with_space = text.ends_with(' ');
        let has_tab = text.contains('\t');
        let no_single = break_space || space_break || special || has_tab;
        let plain = !(is_indicator || has_break || text.starts_with(' ') || ends_with_space || no_single);
        let literal_with_tabs = !(ends_with_space || space_break || special);
        Traits {
            plain,
            plain_in_flow: plain && !is_flow_indicator,
            single_quoted: !no_single,
            literal: literal_with_tabs && !has_tab,
            literal_with_tabs,
            has_break,
        }
    }
}

/// Most texts in manifests: letters, digits and what stands between them without a meaning.
fn is_simple_word(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
}

/// True when a reader of YAML 1.1 would take plain text for something else than a string.
pub(super) fn is_misread(text: &str) -> bool {
    resolve::plain(text, Resolve::V2) != Plain::Text || resolve::is_time(text) || is_base_60(text)
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`: `12:30`, `190:20:30.5`.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|first: char| first.is_ascii_digit()) || !unsigned.contains(':') {
        return false;
    }
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut parts = whole.split(':');
    let first_fits = parts.next().is_some_and(digits);
    let is_sixtieth = |part: &str| match part.as_bytes() {
        [unit] => unit.is_ascii_digit(),
        [b'0'..=b'5', unit] => unit.is_ascii_digit(),
        _ => false,
    };
    first_fits && parts.all(is_sixtieth) && digits(fraction)
}

/// What forces double quotes.
pub fn is_special(character: char) -> bool {
    !matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// What ends a line.
pub fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Appends a character as it is written in double quotes when it is not written as itself.
pub fn push_escape(out: &mut String, character: char) {
    out.push('\\');
    let short = match character {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let number = u32::from(character);
            // Writing to a string cannot fail.
            let _ = match number {
                ..=0xff => write!(out, "x{number:02X}"),
                0x100..=0xffff => write!(out, "u{number:04X}"),
                _ => write!(out, "U{number:08X}"),
            };
            return;
        }
    };
    out.push(short);
}
