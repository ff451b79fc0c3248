//! Names of anchors and aliases.
//!
//! In YAML 1.2 nearly every character may be part of one; go-yaml ends them at the first one that is no letter, digit, `_`
//! or `-`, so that `*a: b` has the key `*a`, and refuses most of what may follow then. The parser is given a copy with a
//! blank in front of such a colon.

use super::rough::{self, NameEnd};
use super::shifts::Shifts;

/// Names that go-yaml ends before the parser does.
pub(super) struct Names {
    /// With a blank behind each name that a colon follows.
    pub(super) copy: String,
    pub(super) shifts: Shifts,
    /// Where one is followed by what go-yaml refuses, in the text.
    pub(super) refused: Option<usize>,
}

/// `None` when there are no such names.
pub(super) fn separate(text: &str) -> Option<Names> {
    if !text.contains(['&', '*']) {
        return None;
    }
    let names = rough::read(text).names;
    if names.is_empty() {
        return None;
    }
    let refused = names.iter().find(|name| name.next != b':').map(|name| name.at);
    let colons = names.iter().filter(|name| name.next == b':');
    let (copy, shifts) = Shifts::add(text, colons.map(|NameEnd { at, .. }| (*at, 1)))?;
    Some(Names { copy, shifts, refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_where_go_yaml_ends_them() {
        let cases = [
            // text, copy, where go-yaml refuses it
            ("a: &b c\n*b: d\n", Some(("a: &b c\n*b : d\n", None))),
            ("- &a:\n    b: c\n", Some(("- &a :\n    b: c\n", None))),
            ("{a: &b c, *b: d}\n", Some(("{a: &b c, *b : d}\n", None))),
            ("a: &b.c d\n", Some(("a: &b.c d\n", Some(5)))),
            ("a: &* d\n", Some(("a: &* d\n", Some(4)))),
            ("a: &b-1_ c\nd: [*b-1_, *b-1_]\ne: b & c\nf: 'x\n  &:'\ng: |\n  *a: b\n", None),
        ];
        for (text, expected) in cases {
            let found = separate(text);
            let found = found.as_ref().map(|names| (names.copy.as_str(), names.refused));
            assert_eq!(found, expected, "{text}");
        }
    }
}
