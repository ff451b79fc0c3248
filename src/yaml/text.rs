//! The text of a file, shared by all nodes that were read from it, and places in it.

use std::sync::{Arc, OnceLock};

use crate::error::Origin;

/// A range of bytes in a [`Text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub start: u32,
    /// Where it ends, exclusive.
    pub end: u32,
}

/// A file's text under the name by which a person knows it.
#[derive(Debug)]
pub struct Text {
    file: Arc<str>,
    text: Box<str>,
    /// Where every [`STRIDE`]th line begins, the first one included; made when the first line number is asked for.
    lines: OnceLock<Box<[u32]>>,
}

/// Most files are asked for the place of each object in them, and of nothing else: the lines between two of these are
/// counted each time.
const STRIDE: usize = 32;

impl Text {
    /// The text of this file.
    pub(super) fn new(file: &Arc<str>, text: impl Into<Box<str>>) -> Self {
        Text { file: Arc::clone(file), text: text.into(), lines: OnceLock::new() }
    }

    /// The name of the file.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The whole text; [`Span`]s index it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands at a span.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Line and column of a byte.
    pub fn origin(&self, byte: u32) -> Origin {
        let lines = self.lines();
        let known = lines.partition_point(|start| *start <= byte).saturating_sub(1);
        let start = lines.get(known).copied().unwrap_or_default() as usize;
        let before = self.text.get(start..byte as usize).unwrap_or_default();
        let further = before.bytes().filter(|byte| *byte == b'\n').count();
        let line = before.rsplit_once('\n').map_or(before, |(_, line)| line);
        let column = line.trim_start_matches('\u{feff}').chars().count() + 1;
        Origin::new(Arc::clone(&self.file), to_u32(known * STRIDE + further + 1), to_u32(column))
    }

    /// The text of a line, counted from 1, without its line break.
    pub fn line(&self, line: u32) -> Option<&str> {
        let index = (line as usize).checked_sub(1)?;
        let start = *self.lines().get(index / STRIDE)? as usize;
        let found = self.text.get(start..)?.split('\n').nth(index % STRIDE)?;
        Some(found.trim_end_matches('\r').trim_start_matches('\u{feff}'))
    }

    fn lines(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            let starts = std::iter::once(0).chain(breaks.map(|(at, _)| to_u32(at + 1)));
            starts.step_by(STRIDE).collect()
        })
    }
}

/// Files are refused long before 4 GiB; a number beyond is no place in any of them.
pub(super) fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_people_count() {
        let text = Text::new(&"a.yaml".into(), "\u{feff}é: 1\r\nb: 2\n\nc");
        let cases = [
            // byte, place,         line
            (3, "a.yaml:1:1", "é: 1"),
            (5, "a.yaml:1:2", "é: 1"),
            (10, "a.yaml:2:1", "b: 2"),
            (15, "a.yaml:3:1", ""),
            (16, "a.yaml:4:1", "c"),
        ];
        for (byte, place, line) in cases {
            let origin = text.origin(byte);
            assert_eq!(origin.to_string(), place, "byte {byte}");
            assert_eq!(text.line(origin.line), Some(line), "byte {byte}");
        }
        assert_eq!(text.line(5), None);
    }
}
