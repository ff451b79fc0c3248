//! Quoted text whose further lines are indented too little.
//!
//! YAML 1.2 and its parser refuse such lines; go-yaml accepts them, and older versions of it wrote them, so that the
//! CustomResourceDefinitions of years are full of them. Blanks at the start of a continued line are no part of its text:
//! the parser is given a copy with enough of them. Finding the lines is a rough reading of the file, good enough because
//! it is checked afterwards that the parser saw each added blank inside of quoted text ([`Shifts::are_inside`]).

use super::rough::{self, Hanging};
use super::shifts::Shifts;

/// A copy in which quoted text is indented as YAML 1.2 demands; `None` when no line seems to need it.
pub(super) fn indent(text: &str) -> Option<(String, Shifts)> {
    let hanging = rough::read(text).hanging;
    if hanging.is_empty() {
        return None;
    }
    Shifts::add(text, hanging.into_iter().map(|Hanging { line, blanks }| (line, blanks)))
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
        ];
        for (text, expected) in cases {
            assert_eq!(indent(text).map(|(copy, _)| copy).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn places_in_the_copy_are_those_of_the_original() {
        let (copy, shifts) = indent("a: 'x\ny\nz'\nb: 1\n").unwrap();
        assert_eq!(copy, "a: 'x\n y\n z'\nb: 1\n");
        assert_eq!([3, 7, 10, 13].map(|byte| shifts.original(byte)), [3, 6, 8, 11]);
        assert!(shifts.are_inside(&[Span { start: 3, end: 12 }]));
        assert!(!shifts.are_inside(&[Span { start: 3, end: 8 }]));
    }
}
