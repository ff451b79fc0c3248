//! Quoted text that YAML 1.2 and its parser refuse, and go-yaml accepts.
//!
//! Its further lines may be indented too little: older versions of go-yaml wrote them so, and the
//! CustomResourceDefinitions of years are full of them. Blanks at the start of a continued line are no part of its text:
//! the parser is given a copy with enough of them. And in double quotes an apostrophe may have a backslash in front: the
//! copy has none. Finding the places is a rough reading of the file, good enough because it is checked afterwards that the
//! parser saw each difference inside of quoted text ([`Shifts::are_inside`]).

use super::rough::{self, Hanging};
use super::shifts::{Edit, Shifts};

/// A copy in which quoted text is as YAML 1.2 demands; `None` when none seems to need it.
pub(super) fn mend(text: &str) -> Option<(String, Shifts)> {
    let found = rough::read(text);
    let lines = found.hanging.into_iter().map(|Hanging { line, blanks }| (line, Edit::Blanks(blanks)));
    let mut edits: Vec<(usize, Edit)> = lines.chain(found.apostrophes.into_iter().map(|at| (at, Edit::Omit))).collect();
    if edits.is_empty() {
        return None;
    }
    edits.sort_by_key(|(at, _)| *at);
    Shifts::edit(text, edits.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::text::Span;

    #[test]
    fn lines_of_quoted_text_are_indented_behind_their_key() {
        let cases = [
            ("a: 'x\ny'\n", Some("a: 'x\n y'\n")),
            ("a:\n  b: \"x \\\"\n\n  c' #\n\td\"\n  e: 1\n", Some("a:\n  b: \"x \\\"\n\n   c' #\n   \td\"\n  e: 1\n")),
            ("- - k: 'it''s\n    x'\n", Some("- - k: 'it''s\n     x'\n")),
            ("a: it's\n# don't\nb: |\n  'x\n y\nc: x\n 'y\nd: [ 'x\n  y' ]\n", None),
            ("a: 'x\n  y'\n", None),
            ("a: \"b\\'\nc\\\\'\"\nd: '\\'\n", Some("a: \"b'\n c\\\\'\"\nd: '\\'\n")),
        ];
        for (text, expected) in cases {
            assert_eq!(mend(text).map(|(copy, _)| copy).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn places_in_the_copy_are_those_of_the_original() {
        let (copy, shifts) = mend("a: 'x\ny\nz'\nb: 1\n").unwrap();
        assert_eq!(copy, "a: 'x\n y\n z'\nb: 1\n");
        assert_eq!([3, 7, 10, 13].map(|byte| shifts.original(byte)), [3, 6, 8, 11]);
        assert!(shifts.are_inside(&[Span { start: 3, end: 12 }]));
        assert!(!shifts.are_inside(&[Span { start: 3, end: 8 }]));
    }
}
