//! Blanks that are added to a text before the parser reads it, bytes that are left out, and the way back to the places of
//! the original.

use super::text::{Span, to_u32};

/// A place where the copy differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// So many blanks stand there.
    Blanks(usize),
    /// The byte that stands there is left out.
    Omit,
}

/// Where the copy differs.
#[derive(Default)]
pub(super) struct Shifts(Vec<Shift>);

#[derive(Clone, Copy)]
struct Shift {
    /// Byte in the copy from which on everything is shifted.
    at: u32,
    /// By how much, those before included; less than nothing where more is left out than added.
    by: i64,
}

impl Shifts {
    /// A copy of a text with blanks added at these places, which are in order.
    pub(super) fn add(text: &str, blanks: impl Iterator<Item = (usize, usize)>) -> Option<(String, Self)> {
        Shifts::edit(text, blanks.map(|(at, blanks)| (at, Edit::Blanks(blanks))))
    }

    /// A copy of a text that differs at these places, which are in order.
    pub(super) fn edit(text: &str, edits: impl Iterator<Item = (usize, Edit)>) -> Option<(String, Self)> {
        let mut copy = String::with_capacity(text.len() + 64);
        let mut shifts = Vec::new();
        let (mut from, mut by) = (0, 0);
        for (at, edit) in edits {
            copy.push_str(text.get(from..at)?);
            from = match edit {
                Edit::Blanks(blanks) => {
                    copy.extend(std::iter::repeat_n(' ', blanks));
                    by += i64::from(to_u32(blanks));
                    at
                }
                Edit::Omit => {
                    by -= 1;
                    at + 1
                }
            };
            shifts.push(Shift { at: to_u32(copy.len()), by });
        }
        copy.push_str(text.get(from..)?);
        Some((copy, Shifts(shifts)))
    }

    /// Where a byte of the copy was in the original.
    pub(super) fn original(&self, byte: u32) -> u32 {
        let before = self.0.partition_point(|shift| shift.at <= byte);
        let by = before.checked_sub(1).and_then(|last| self.0.get(last)).map_or(0, |shift| shift.by);
        u32::try_from(i64::from(byte) - by).unwrap_or(byte)
    }

    /// True when no difference lies inside of these spans of the copy, which are in order.
    pub(super) fn are_outside(&self, spans: &[Span]) -> bool {
        self.0.iter().all(|shift| {
            let next = spans.partition_point(|span| span.end < shift.at);
            spans.get(next).is_none_or(|span| span.start >= shift.at)
        })
    }

    /// True when all differences lie inside of these spans of the copy, which are in order.
    pub(super) fn are_inside(&self, quoted: &[Span]) -> bool {
        self.0.iter().all(|shift| {
            let next = quoted.partition_point(|span| span.end < shift.at);
            quoted.get(next).is_some_and(|span| span.start < shift.at)
        })
    }
}
