//! From bytes to text, and the parts of it that are parsed one by one.
//!
//! A file is split at its `---` lines before any parser sees it, as kustomize and kubectl do: what follows a `...` inside
//! of one part is never read.

use std::sync::Arc;

use super::error::{Error, Problem};
use super::text::{Span, Text, to_u32};
use crate::error::Origin;

/// go-yaml recognises UTF-16 by its byte order mark.
pub(super) fn decode(file: &Arc<str>, bytes: &[u8]) -> Result<String, Error> {
    let not_text = |valid_up_to: usize| {
        let before = bytes.get(..valid_up_to).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Error { problem: Problem::NotText, origin: Origin::new(Arc::clone(file), to_u32(line), 0), line: None }
    };
    let from_unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => {
            let text = std::str::from_utf8(bytes).map_err(|error| not_text(error.valid_up_to()))?;
            return Ok(text.to_owned());
        }
    };
    let units = bytes.chunks(2).map(|unit| match *unit {
        [first, second] => from_unit([first, second]),
        // Half a unit: a lone surrogate is no text either.
        _ => 0xd800,
    });
    char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| not_text(0))
}

/// YAML's printable characters, as go-yaml's reader has them.
pub(super) fn refuse_control_characters(text: &Text) -> Result<(), Error> {
    let plain = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
    if text.as_str().as_bytes().iter().all(plain) {
        return Ok(());
    }
    let refused = text.as_str().char_indices().find(|(_, character)| is_control(*character));
    refused.map_or(Ok(()), |(at, character)| {
        Err(Error::at(Problem::ControlCharacter { character: character.into() }, text, to_u32(at)))
    })
}

/// True for what go-yaml refuses to read.
pub(super) fn is_control(character: char) -> bool {
    !matches!(character,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// True when no line parts the text: what is found in it is all that there is, without so much as an empty document.
pub fn is_one_part(bytes: &[u8]) -> bool {
    let marker = b"\n---";
    let lines = bytes.windows(marker.len()).enumerate().filter(|(_, window)| window == marker);
    !lines.into_iter().any(|(at, _)| bytes.get(at + marker.len()..).is_some_and(|rest| rest.contains(&b'\n')))
}

/// Where a `...` stands that ends a part before anything has begun; go-yaml takes it for a document without content.
pub(super) fn end_before_content(part: &str) -> Option<usize> {
    let mut at = 0;
    for line in part.split_inclusive('\n') {
        let content = line.trim();
        if !content.is_empty() && !content.starts_with('#') {
            let is_end =
                line.strip_prefix("...").is_some_and(|rest| rest.trim_start().len() < rest.len() || rest.is_empty());
            return is_end.then_some(at);
        }
        at += line.len();
    }
    None
}

/// The first document of a file as go-yaml finds it when it reads no other one: it begins with a `---` or with anything but
/// comments, and ends in front of the next `---`.
pub(super) fn first(text: &Text) -> Span {
    /// The one directive that says nothing new; it stands in front of a `---`.
    const VERSION: &str = "%YAML 1.1";
    let all = text.as_str();
    let start = if all.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let (mut has_begun, mut has_version) = (false, false);
    let mut span = Span { start: to_u32(start), end: to_u32(all.len()) };
    let mut at = start;
    for line in all.get(start..).unwrap_or_default().split_inclusive('\n') {
        let is_separator =
            line.strip_prefix("---").is_some_and(|rest| rest.trim_start().len() < rest.len() || rest.is_empty());
        if is_separator && has_begun {
            span.end = to_u32(at);
            break;
        }
        if is_separator {
            span.start = to_u32(at);
        }
        let content = line.trim();
        let is_version = !has_version && line.trim_end() == VERSION;
        has_version |= is_version;
        has_begun |= !content.is_empty() && !content.starts_with('#') && !is_version;
        at += line.len();
    }
    span
}

/// The parts between the lines that start with `---`. The file's first line is none of these: its `---` is the parser's.
pub(super) fn split(text: &Text) -> Result<Vec<Span>, Error> {
    let all = text.as_str();
    let mut parts = Vec::new();
    let mut start = if all.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut from = start;
    while let Some(at) = all.get(from..).and_then(|rest| rest.find("\n---")).map(|at| from + at + 1) {
        let Some(end) = all.get(at..).and_then(|rest| rest.find('\n')).map(|end| at + end + 1) else { break };
        let after = all.get(at + "---".len()..end).unwrap_or_default().trim();
        if !after.is_empty() && !after.starts_with('#') {
            return Err(Error::at(Problem::Separator, text, to_u32(at)));
        }
        parts.push(Span { start: to_u32(start), end: to_u32(at) });
        (start, from) = (end, end);
    }
    parts.push(Span { start: to_u32(start), end: to_u32(all.len()) });
    Ok(parts)
}
