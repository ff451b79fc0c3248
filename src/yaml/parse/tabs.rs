//! Tabs where go-yaml looks for indentation: it refuses them, and the parser does not.

use super::Builder;
use crate::yaml::error::{Error, Problem};
use crate::yaml::text::{Span, Text, to_u32};

impl Builder<'_> {
    /// go-yaml takes the blanks behind plain text, of all lines up to the next one with something on it, for indentation of
    /// more text, and refuses tabs that stand not further in than its key or dash.
    pub(super) fn refuse_tab_in_indentation(&self, part: &str, span: Span) -> Result<(), Error> {
        let Some(around) = self.open.iter().rposition(|open| !open.node.is_in_braces()) else { return Ok(()) };
        let below = self.open.get(around + 1).map_or_else(|| self.place(span.start), |below| below.node.span().start);
        let indicator = match self.open.get(around).and_then(|open| open.key.as_ref()) {
            Some(key) => key.span().start,
            None => {
                let before = self.text.slice(Span { start: 0, end: below }).trim_end();
                to_u32(before.strip_suffix('-').map_or(before.len(), str::len))
            }
        };
        let before = self.text.slice(Span { start: 0, end: indicator });
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        match tab_in_indentation(part, span, column) {
            Some(at) => Err(self.tab(self.place(at))),
            None => Ok(()),
        }
    }

    pub(super) fn tab(&self, byte: u32) -> Error {
        self.error(Problem::Syntax { reason: "a tab can't be part of the indentation".into() }, byte)
    }
}

/// Where a tab stands in front of a line of plain text, or of what follows it, no further in than this column.
fn tab_in_indentation(part: &str, span: Span, column: usize) -> Option<u32> {
    let mut in_front = None;
    for (at, byte) in (span.start..).zip(part.bytes().skip(span.start as usize)) {
        in_front = match (byte, in_front) {
            (b'\n', _) => Some(0),
            (b'\t', Some(blanks)) if blanks <= column => return Some(at),
            (b' ' | b'\t', blanks) => blanks.map(|blanks| blanks + 1),
            _ if at >= span.end => return None,
            _ => None,
        };
    }
    None
}

/// A tab where go-yaml waits for a key: in front of anything on its line, or behind the indicator of an item. `inside`: what
/// tabs may be part of, in order.
pub(super) fn refused_tab(text: &Text, part: Span, inside: &[Span]) -> Option<u32> {
    let is_inside = |at: u32| {
        let next = inside.partition_point(|span| span.start <= at);
        next.checked_sub(1).and_then(|last| inside.get(last)).is_some_and(|span| at < span.end)
    };
    let tabs = (part.start..).zip(text.slice(part).bytes()).filter(|(_, byte)| *byte == b'\t').map(|(at, _)| at);
    tabs.filter(|at| !is_inside(*at)).find(|at| {
        let before = text.slice(Span { start: part.start, end: *at });
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        match line.rsplit([' ', '\t']).next() {
            Some("-" | "?") => !is_inside(part.start + to_u32(before.trim_end().len()) - 1),
            Some("") => true,
            _ => line == ":",
        }
    })
}

/// True for a block scalar that has a tab in front of its first line of text, where go-yaml still looks how far it is
/// indented; a digit behind its `|` says that. `before`: what stands in front of the text.
pub(super) fn begins_with_tab(before: &str, block: &str) -> bool {
    let mut has_tab = block.trim_start_matches([' ', '\n']).starts_with('\t');
    for line in before.rsplit('\n') {
        if !line.trim().is_empty() {
            let header = line.rfind(['|', '>']).and_then(|at| line.get(at..)).unwrap_or_default();
            let is_told =
                header.trim_start_matches(['|', '>', '+', '-']).starts_with(|next: char| next.is_ascii_digit());
            return has_tab && !is_told;
        }
        has_tab |= line.contains('\t');
    }
    has_tab
}

/// True for a block scalar that ends because the next line has a tab in its indentation: go-yaml takes that for a mistake,
/// even where nothing else is on the line.
pub(super) fn ends_before_tab(part: &str, span: Span) -> bool {
    part.as_bytes().get(span.end as usize) == Some(&b'\t')
}
