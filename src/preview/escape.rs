//! Text from git and from clusters is hostile: what makes it harmless inside a forge's Markdown.
//!
//! **In:** any text. **Out:** the same to the eye, and without power: names are code spans, whose delimiter is longer
//! than any run inside; what cannot be seen is spelled out; no line begins with a slash, for GitLab executes such lines
//! with the rights of whoever wrote the comment, and finds them by regular expression, also where Markdown would not.

use std::borrow::Cow;
use std::fmt::Write as _;

/// No name that Kubernetes or git takes is longer.
const LONGEST_NAME: usize = 253;
/// A longer line of a diff says nothing more to a reader.
pub(super) const LONGEST_LINE: usize = 300;
/// What begins and ends the mark of a masked value.
const MARKS: [char; 2] = ['\u{e000}', '\u{e002}'];
const MARK_END: char = '\u{e001}';
/// Put before a slash that would begin a line.
const GUARD: &str = "· ";

/// True for characters that change how others look, or that nobody sees.
fn is_unseen(c: char) -> bool {
    let is_control = c.is_control() && c != '\n' && c != '\t';
    is_control
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// What cannot be seen, spelled out: `\u{202e}`.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    spelled_out(text, is_unseen)
}

/// The same, and without the characters that stand for masked values until a comment is finished.
pub(super) fn unmarked(text: &str) -> Cow<'_, str> {
    spelled_out(text, is_reserved)
}

/// True for characters of Unicode's private use area: marks are made of them.
pub(super) fn is_reserved(c: char) -> bool {
    ('\u{e000}'..='\u{f8ff}').contains(&c)
}

fn spelled_out(text: &str, is_odd: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_odd) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_odd(c) {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// At most so many characters; what is cut is counted.
pub(super) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => {
            // Not inside a mark, which would be none any more.
            let open = text[..end].rfind(MARKS).filter(|at| !text[*at..end].contains(MARK_END));
            let end = open.unwrap_or(end);
            Cow::Owned(format!("{}… (+{})", &text[..end], text[end..].chars().count()))
        }
    }
}

/// On one line, and of a length that can be read.
fn one_line(text: &str) -> String {
    let shown = visible(text).replace('\n', "\\n").replace('\t', " ");
    cut(&shown, LONGEST_NAME).into_owned()
}

/// The longest run of a character.
pub(super) fn longest_run(text: &str, of: char) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == of { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// A code span. No forge looks for mentions, issues or commits in one.
pub(super) fn code(text: &str) -> String {
    let text = one_line(text);
    if text.trim().is_empty() {
        return "` `".into();
    }
    let delimiter = "`".repeat(longest_run(&text, '`') + 1);
    // A space is taken off each end again, so that a span may begin and end with a backtick.
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{delimiter}{pad}{text}{pad}{delimiter}")
}

/// A code span inside a table, where a bar ends the cell.
pub(super) fn code_in_cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// A code span where HTML is not looked through for Markdown.
pub(super) fn html_code(text: &str) -> String {
    format!("<code>{}</code>", entities(&one_line(text)))
}

fn entities(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A name that is a DNS label and that no forge takes for a commit or an issue may stand without code.
pub(super) fn is_plain(name: &str) -> bool {
    let is_label = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let is_hexadecimal = |part: &str| part.len() >= 7 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = name.split('-').collect();
    let is_commit = parts.iter().any(|part| is_hexadecimal(part));
    let is_issue = parts.windows(2).any(|pair| pair[0].ends_with("gh") && is_number(pair[1]));
    let is_framed = name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.ends_with('-');
    is_framed && is_label && !is_commit && !is_issue && name.len() <= 63
}

/// Words of our own. What a forge would make a link or a mention of becomes code.
pub(super) fn prose(words: &str) -> String {
    let is_link = |word: &str| word.contains(['@', '#', '`', '[', '\\', '|']) || word.contains("://");
    let mut shown = String::with_capacity(words.len());
    for (at, word) in words.split(' ').enumerate() {
        if at > 0 {
            shown.push(' ');
        }
        if is_link(word) {
            shown.push_str(&code(word));
        } else {
            shown.push_str(&entities(&visible(word)).replace("&quot;", "\""));
        }
    }
    shown.replace('*', "\\*").replace('_', "\\_")
}

/// A line that a forge's quick actions cannot be in: nothing but marks stands before a slash.
pub(super) fn guarded(line: &str) -> Cow<'_, str> {
    let is_mark = |c: char| c.is_whitespace() || ">-+*.)".contains(c) || c.is_ascii_digit();
    let rest = line.trim_start_matches(is_mark);
    if !rest.starts_with('/') {
        return Cow::Borrowed(line);
    }
    let (marks, rest) = line.split_at(line.len() - rest.len());
    Cow::Owned(format!("{marks}{GUARD}{rest}"))
}

/// Lines inside a fence that nothing inside can end.
pub(super) fn fence(language: &str, lines: &str) -> String {
    let mark = "~".repeat(longest_run(lines, '~').max(longest_run(lines, '`')).max(2) + 1);
    let line_break = if lines.ends_with('\n') || lines.is_empty() { "" } else { "\n" };
    format!("{mark}{language}\n{lines}{line_break}{mark}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_inside_its_code_span() {
        let cases = [
            // name                 shown
            ("web", "`web`"),
            ("", "` `"),
            ("a`b", "``a`b``"),
            ("`` `", "``` `` ` ```"),
            ("@org/team", "`@org/team`"),
            ("a\nb", "`a\\nb`"),
            ("a\u{202e}b", "`a\\u{202e}b`"),
            ("a\rb\u{0}", "`a\\u{d}b\\u{0}`"),
        ];
        for (name, shown) in cases {
            assert_eq!(code(name), shown, "{name:?}");
        }
        assert_eq!(code_in_cell("a|b"), "`a\\|b`");
        assert_eq!(html_code("<b>&\""), "<code>&lt;b&gt;&amp;&quot;</code>");
        assert_eq!(code(&"x".repeat(300)), format!("`{}… (+47)`", "x".repeat(253)));
    }

    #[test]
    fn a_cut_falls_beside_a_mark() {
        assert_eq!(cut("ab\u{e000}12\u{e001}c", 4), "ab… (+5)");
        assert_eq!(cut("ab\u{e000}12\u{e001}cd", 6), "ab\u{e000}12\u{e001}… (+2)");
    }

    #[test]
    fn only_a_label_needs_no_code() {
        for name in ["web", "eu-1", "web-config"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "",
            "Web",
            "a@b",
            "#1",
            "gh-1",
            "a-gh-12",
            "deadbeef",
            "web-deadbeef-1",
            "1234567",
            "-x",
            "x-",
            "a b",
            "a_b",
            "a.b",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }

    #[test]
    fn words_become_no_link() {
        assert_eq!(prose("1 < 2 & see @me or #12"), "1 &lt; 2 &amp; see `@me` or `#12`");
        assert_eq!(prose("a *b* _c_"), "a \\*b\\* \\_c\\_");
    }

    #[test]
    fn no_line_begins_with_a_slash() {
        let cases = [
            // line              guarded
            ("/merge", "· /merge"),
            ("  /merge", "  · /merge"),
            ("+  - /bin/sh", "+  - · /bin/sh"),
            ("> 1. /approve", "> 1. · /approve"),
            ("\u{a0}/merge", "\u{a0}· /merge"),
            ("a /merge", "a /merge"),
            ("", ""),
        ];
        for (line, expected) in cases {
            assert_eq!(guarded(line), expected, "{line:?}");
            assert_eq!(guarded(expected), expected, "{line:?}");
        }
    }

    #[test]
    fn nothing_inside_ends_a_fence() {
        assert_eq!(fence("diff", "+a\n"), "~~~diff\n+a\n~~~\n");
        assert_eq!(fence("", " `````\n ~~~"), "~~~~~~\n `````\n ~~~\n~~~~~~\n");
    }
}
