//! What is left of a folded block (`>`) once go-yaml v3 has written it and read it again, as kustomize does.
//!
//! Its writer doubles the first line break after every line that is not indented, and looks at the start of the whole
//! text, not at the next line, to see whether it may. So lines that are indented deeper lose touch with the one before,
//! empty lines at the end multiply, and text that starts with a blank loses the breaks between its lines.

use std::borrow::Cow;

/// The text as it is after one round.
pub(super) fn written_and_read(text: &str) -> Cow<'_, str> {
    let has_one_line = !text.trim_end_matches('\n').contains('\n') && !text.ends_with("\n\n");
    if has_one_line || !fits_a_block(text) {
        return text.into();
    }
    read(&written_folded(text), text).into()
}

/// True for text that can be written as a block; other text is written in quotes.
pub(super) fn fits_a_block(text: &str) -> bool {
    let is_special = |character: char| character == '\u{feff}' || character.is_control() && !"\n\t".contains(character);
    !text.contains(" \n") && !text.ends_with(' ') && !text.contains(is_special)
}

fn starts_blank(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

/// The lines of a folded block as go-yaml v3 writes them.
pub fn written_folded(text: &str) -> String {
    let start = text.trim_start_matches('\n');
    let doubles = !start.is_empty() && !starts_blank(start);
    let mut written = String::with_capacity(text.len() * 2);
    for line in text.split_inclusive('\n') {
        written.push_str(line);
        if doubles && line.ends_with('\n') && line != "\n" && !starts_blank(line) {
            written.push('\n');
        }
    }
    written
}

/// Folds the written lines; how many breaks the end keeps depends on those of the text before.
fn read(written: &str, text: &str) -> String {
    let mut folded = String::with_capacity(written.len());
    let mut empty_lines = 0;
    let mut previous: Option<&str> = None;
    for line in written.split('\n') {
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        let breaks = match previous {
            None => empty_lines,
            Some(previous) if starts_blank(previous) || starts_blank(line) => empty_lines + 1,
            Some(_) if empty_lines == 0 => {
                folded.push(' ');
                0
            }
            Some(_) => empty_lines,
        };
        folded.extend(std::iter::repeat_n('\n', breaks));
        folded.push_str(line);
        (previous, empty_lines) = (Some(line), 0);
    }
    let end = |text: &str| text.len() - text.trim_end_matches('\n').len();
    let kept = if end(text) > 1 { end(written) } else { end(text) };
    folded.extend(std::iter::repeat_n('\n', kept));
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_lines_and_ends_get_more_breaks() {
        let cases = [
            // text, what is left of it
            ("a b\n", "a b\n"),
            ("a\nb", "a\nb"),
            ("a b\n\n", "a b\n\n\n"),
            ("a\n  b\nc\n\n  d\n\ne\n", "a\n\n  b\nc\n\n\n  d\n\ne\n"),
            ("a\n\tb\nc\n", "a\n\n\tb\nc\n"),
            ("\na\n\n", "\na\n\n\n"),
            ("   a\n\n  b\n", "   a\n\n  b\n"),
            ("\n  a\n\n b\nc\nd\n", "\n  a\n\n b\nc d\n"),
            ("a\u{feff}\n  b", "a\u{feff}\n  b"),
            ("a\n  b\n\n\n", "a\n\n  b\n\n\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(written_and_read(text), expected, "{text:?}");
        }
    }
}
