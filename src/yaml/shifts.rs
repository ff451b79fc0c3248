//! Blanks that are added to a text before the parser reads it, and the way back to the places of the original.

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
    /// A copy of a text with blanks added at these places, which are in order.
    pub(super) fn add(text: &str, blanks: impl Iterator<Item = (usize, usize)>) -> Option<(String, Self)> {
        let mut copy = String::with_capacity(text.len() + 64);
        let mut shifts = Vec::new();
        let (mut from, mut by) = (0, 0);
        for (at, blanks) in blanks {
            copy.push_str(text.get(from..at)?);
            copy.extend(std::iter::repeat_n(' ', blanks));
            by += blanks;
            shifts.push(Shift { at: to_u32(copy.len()), by: to_u32(by) });
            from = at;
        }
        copy.push_str(text.get(from..)?);
        Some((copy, Shifts(shifts)))
    }

    /// Where a byte of the copy was in the original.
    pub(super) fn original(&self, byte: u32) -> u32 {
        let before = self.0.partition_point(|shift| shift.at <= byte);
        byte - before.checked_sub(1).and_then(|last| self.0.get(last)).map_or(0, |shift| shift.by)
    }

    /// True when no added blank lies inside of these spans of the copy, which are in order.
    pub(super) fn are_outside(&self, spans: &[Span]) -> bool {
        self.0.iter().all(|shift| {
            let next = spans.partition_point(|span| span.end < shift.at);
            spans.get(next).is_none_or(|span| span.start >= shift.at)
        })
    }

    /// True when all added blanks lie inside of these spans of the copy, which are in order.
    pub(super) fn are_inside(&self, quoted: &[Span]) -> bool {
        self.0.iter().all(|shift| {
            let next = quoted.partition_point(|span| span.end < shift.at);
            quoted.get(next).is_some_and(|span| span.start < shift.at)
        })
    }
}
