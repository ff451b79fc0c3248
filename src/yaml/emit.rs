//! From plain values to the text that kustomize prints (go-yaml v2's emitter).
//!
//! Output depends on values only: no comment, style or order of keys survives kustomize. The order of keys is
//! go-yaml's natural one; how a string is written is decided by [`Traits`] and by what a YAML 1.1 reader would take it for.
//! Everything is written once, into one string.

mod form;

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::borrowed::Borrowed;
use super::number::push_number;
use super::order::in_natural_order;
use form::is_misread;
pub use form::{Traits, is_break, is_special, push_escape};

/// Lines are folded at the first space beyond this column.
const WIDTH: usize = 80;
/// A longer key is written with `?`.
const LONGEST_SIMPLE_KEY: usize = 128;
/// Spaces a level.
const INDENT: usize = 2;

/// What can be written.
pub trait Tree: Sized {
    /// What it is.
    fn view(&self) -> View<'_, Self>;
}

/// What a tree is, one level deep.
#[derive(Debug)]
pub enum View<'t, T> {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(&'t Number),
    /// A text.
    Text(&'t str),
    /// Items.
    List(&'t [T]),
    /// Entries, in the order in which they are written.
    Map(Vec<(&'t str, &'t T)>),
}

impl Tree for Value {
    fn view(&self) -> View<'_, Self> {
        match self {
            Value::Null => View::Null,
            Value::Bool(value) => View::Bool(*value),
            Value::Number(number) => View::Number(number),
            Value::String(text) => View::Text(text),
            Value::Array(items) => View::List(items),
            Value::Object(map) => View::Map(in_natural_order(map.iter().map(|(key, value)| (key.as_str(), value)))),
        }
    }
}

impl Tree for Borrowed<'_> {
    fn view(&self) -> View<'_, Self> {
        match self {
            Borrowed::Null => View::Null,
            Borrowed::Bool(value) => View::Bool(*value),
            Borrowed::Number(number) => View::Number(number),
            Borrowed::Text(text) => View::Text(text),
            Borrowed::List(items) => View::List(items),
            Borrowed::Map(entries) => View::Map(in_natural_order(entries.iter().map(|(key, value)| (&**key, value)))),
        }
    }
}

/// One document, with its final line break.
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    push(&mut out, value);
    out
}

/// Appends one document, with its final line break: documents are joined by `---\n`.
pub fn push<T: Tree>(out: &mut String, value: &T) {
    let mut emitter = Emitter { line_start: out.len(), out };
    match value.view() {
        View::Map(entries) if !entries.is_empty() => emitter.mapping(&entries, 0),
        View::List(items) if !items.is_empty() => emitter.sequence(items, 0),
        view => emitter.inline(&view, INDENT),
    }
}

struct Emitter<'a> {
    out: &'a mut String,
    /// Where the current line begins: columns are counted only for text that may be folded.
    line_start: usize,
}

impl Emitter<'_> {
    /// Entries, each on lines indented by `indent`; the first one's indentation is already there.
    fn mapping<T: Tree>(&mut self, entries: &[(&str, &T)], indent: usize) {
        for (at, (key, value)) in entries.iter().enumerate() {
            if at > 0 {
                self.indent(indent);
            }
            if self.key(key, indent) {
                self.value_of_simple_key(*value, indent);
            } else {
                self.value(*value, indent + INDENT);
            }
        }
    }

    /// Writes a key with its colon. False when it needed the form with `?`: its value then begins where an item's does.
    fn key(&mut self, key: &str, indent: usize) -> bool {
        let key = &*without_next_line(key);
        let traits = Traits::of(key);
        if key.len() <= LONGEST_SIMPLE_KEY && !traits.has_break {
            self.scalar(key, traits, None);
            self.out.push(':');
            return true;
        }
        self.out.push_str("? ");
        self.scalar(key, traits, Some(indent + INDENT));
        self.end_line();
        self.indent(indent);
        self.out.push_str(": ");
        false
    }

    fn value_of_simple_key<T: Tree>(&mut self, value: &T, indent: usize) {
        match value.view() {
            View::Map(entries) if !entries.is_empty() => {
                self.line_break();
                self.indent(indent + INDENT);
                self.mapping(&entries, indent + INDENT);
            }
            // Not indented: kustomize's output is full of `key:` over `- item` in the same column.
            View::List(items) if !items.is_empty() => {
                self.line_break();
                self.indent(indent);
                self.sequence(items, indent);
            }
            view => {
                self.out.push(' ');
                self.inline(&view, indent + INDENT);
            }
        }
    }

    /// Items, each behind its dash; the first one's indentation is already there.
    fn sequence<T: Tree>(&mut self, items: &[T], indent: usize) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.indent(indent);
            }
            self.out.push_str("- ");
            self.value(item, indent + INDENT);
        }
    }

    /// A value that begins on the line of its dash or colon, in column `indent`.
    fn value<T: Tree>(&mut self, value: &T, indent: usize) {
        match value.view() {
            View::Map(entries) if !entries.is_empty() => self.mapping(&entries, indent),
            View::List(items) if !items.is_empty() => self.sequence(items, indent),
            view => self.inline(&view, indent),
        }
    }

    /// A scalar or an empty collection, to the end of its line; text that goes on below is indented by `indent`.
    fn inline<T>(&mut self, value: &View<'_, T>, indent: usize) {
        match value {
            View::Null => self.out.push_str("null"),
            View::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            View::Number(number) => push_number(self.out, number),
            View::Text(text) => {
                let text = without_next_line(text);
                self.scalar(&text, Traits::of(&text), Some(indent));
            }
            View::List(_) => self.out.push_str("[]"),
            View::Map(_) => self.out.push_str("{}"),
        }
        self.end_line();
    }

    /// Text in the first form that can hold it. `fold`: the indentation of further lines; `None` in a simple key.
    fn scalar(&mut self, text: &str, traits: Traits, fold: Option<usize>) {
        let indent = fold.unwrap_or_default();
        if text.contains('\n') {
            return if traits.literal { self.literal(text, indent) } else { self.double_quoted(text, fold) };
        }
        if is_misread(text) {
            self.double_quoted(text, fold);
        } else if traits.plain {
            self.plain(text, fold);
        } else if traits.single_quoted {
            self.single_quoted(text, fold);
        } else {
            self.double_quoted(text, fold);
        }
    }

    fn plain(&mut self, text: &str, fold: Option<usize>) {
        let Some(indent) = fold.filter(|_| self.may_fold(text)) else { return self.out.push_str(text) };
        let mut column = self.column();
        let mut after_space = false;
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            let is_space = character == ' ';
            if is_space && !after_space && column > WIDTH && rest.peek() != Some(&' ') {
                column = self.fold(indent);
            } else {
                self.out.push(character);
                column += 1;
            }
            after_space = is_space;
        }
    }

    fn single_quoted(&mut self, text: &str, fold: Option<usize>) {
        self.out.push('\'');
        let mut column = self.column();
        let mut after_space = false;
        let mut after_break = false;
        let mut is_first = true;
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            let may_fold = character == ' ' && !after_space && !is_first && column > WIDTH;
            match fold {
                Some(indent) if may_fold && rest.peek().is_some_and(|next| *next != ' ') => {
                    column = self.fold(indent);
                }
                // The separators of lines and paragraphs end a line without a line feed.
                Some(_) if is_break(character) => {
                    self.out.push(character);
                    self.line_start = self.out.len();
                    column = 0;
                }
                _ => {
                    if let (true, Some(indent)) = (after_break, fold) {
                        self.indent(indent);
                        column = indent;
                    }
                    if character == '\'' {
                        self.out.push('\'');
                        column += 1;
                    }
                    self.out.push(character);
                    column += 1;
                }
            }
            after_space = character == ' ';
            after_break = is_break(character);
            is_first = false;
        }
        self.out.push('\'');
    }

    fn double_quoted(&mut self, text: &str, fold: Option<usize>) {
        self.out.push('"');
        let mut column = self.column();
        let mut after_space = false;
        let mut is_first = true;
        // go-yaml looks for a byte order mark at the start of the text whichever character it writes.
        let is_marked = text.starts_with('\u{feff}');
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            let may_fold = character == ' ' && !after_space && !is_first && column > WIDTH;
            match (fold, rest.peek()) {
                (Some(indent), Some(next)) if may_fold => {
                    column = self.fold(indent);
                    if *next == ' ' {
                        self.out.push('\\');
                        column += 1;
                    }
                }
                _ if is_marked || is_special(character) || is_break(character) || matches!(character, '"' | '\\') => {
                    let start = self.out.len();
                    push_escape(self.out, character);
                    column += self.out.len() - start;
                }
                _ => {
                    self.out.push(character);
                    column += 1;
                }
            }
            after_space = character == ' ';
            is_first = false;
        }
        self.out.push('"');
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.out.push('|');
        if text.starts_with(|first| first == ' ' || is_break(first)) {
            self.out.push('2');
        }
        let mut from_end = text.chars().rev();
        match (from_end.next().is_some_and(is_break), from_end.next()) {
            (false, _) => self.out.push('-'),
            (true, before) if before.is_none_or(is_break) => self.out.push('+'),
            (true, _) => {}
        }
        self.line_break();
        let mut after_break = true;
        for line in text.split_inclusive(is_break) {
            if after_break && !line.starts_with(is_break) {
                self.indent(indent);
            }
            self.out.push_str(line);
            after_break = line.ends_with(is_break);
            if after_break {
                self.line_start = self.out.len();
            }
        }
    }

    /// Text without spaces, and text that ends before the border, is copied as it is.
    fn may_fold(&self, text: &str) -> bool {
        self.out.len() - self.line_start + text.len() > WIDTH && text.contains(' ')
    }

    fn column(&self) -> usize {
        self.out.get(self.line_start..).map_or(0, |line| line.chars().count())
    }

    fn fold(&mut self, indent: usize) -> usize {
        self.line_break();
        self.indent(indent);
        indent
    }

    fn indent(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.line_start = self.out.len();
    }

    /// A literal may have ended its line already.
    fn end_line(&mut self) {
        if self.out.len() > self.line_start {
            self.line_break();
        }
    }
}

/// kustomize reads each value back from JSON, where a raw next-line character is a line break: with the spaces around
/// it, one becomes a space, and several one line feed less.
pub fn without_next_line(text: &str) -> Cow<'_, str> {
    const NEXT_LINE: char = '\u{85}';
    if text.is_ascii() || !text.contains(NEXT_LINE) {
        return text.into();
    }
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(NEXT_LINE) {
        folded.push_str(before.trim_end_matches(' '));
        rest = after.trim_start_matches([' ', NEXT_LINE]);
        let gap = after.get(..after.len() - rest.len()).unwrap_or_default();
        match gap.matches(NEXT_LINE).count() {
            0 => folded.push(' '),
            further => folded.extend(std::iter::repeat_n('\n', further)),
        }
    }
    folded.push_str(rest);
    folded.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: &Value, expected: &str) {
        assert_eq!(to_string(value), expected, "{value}");
    }

    #[test]
    fn collections_are_laid_out_as_kustomize_prints_them() {
        check(
            &json!({"a": {"b": [1, {"c": null, "d": []}], "e": {}}}),
            "a:\n  b:\n  - 1\n  - c: null\n    d: []\n  e: {}\n",
        );
        check(&json!([["a", "b"], ["c"]]), "- - a\n  - b\n- - c\n");
        check(&json!({}), "{}\n");
        check(&json!([]), "[]\n");
        check(&json!("x"), "x\n");
    }

    #[test]
    fn strings_take_the_first_form_that_holds_them() {
        let cases = [
            // text, as the value of `k`
            ("", "\"\""),
            ("a b", "a b"),
            ("yes", "\"yes\""),
            ("nO", "nO"),
            ("~", "\"~\""),
            ("08", "\"08\""),
            ("1e3", "\"1e3\""),
            ("0o8", "0o8"),
            ("12:30", "\"12:30\""),
            ("1:60", "1:60"),
            ("190:20:30.5", "\"190:20:30.5\""),
            ("2020-1-1", "\"2020-1-1\""),
            ("2020-01-01T10:00:00", "2020-01-01T10:00:00"),
            ("2020-01-01x", "2020-01-01x"),
            ("0xFFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFF"),
            (".inf", "\".inf\""),
            ("=", "="),
            ("<<", "<<"),
            ("1_000", "\"1_000\""),
            ("_1", "_1"),
            (":a", ":a"),
            ("-a", "-a"),
            ("?a", "?a"),
            ("- a", "'- a'"),
            ("-", "'-'"),
            ("a: b", "'a: b'"),
            ("a:", "'a:'"),
            ("a #b", "'a #b'"),
            ("a#b", "a#b"),
            ("---a", "'---a'"),
            ("it's", "it's"),
            ("'it's", "'''it''s'"),
            ("a\"b", "a\"b"),
            ("a\\b", "a\\b"),
            (" a", "' a'"),
            ("a ", "'a '"),
            ("@a", "'@a'"),
            ("a\tb", "\"a\\tb\""),
            ("a\rb", "\"a\\rb\""),
            ("😀", "\"\\U0001F600\""),
            ("\u{feff}", "\"\\uFEFF\""),
            ("\u{feff}a é", "\"\\uFEFF\\x61\\x20\\xE9\""),
            ("é\u{feff}a", "\"é\\uFEFFa\""),
            ("a\u{1}", "\"a\\x01\""),
            ("é中", "é中"),
            ("a\u{2028}b", "'a\u{2028}    b'"),
            ("a\nb", "|-\n    a\n    b"),
            ("a\n", "|\n    a"),
            ("a\n\n", "|+\n    a\n"),
            ("\n", "|2+\n"),
            ("\na", "|2-\n\n    a"),
            (" a\nb", "|2-\n     a\n    b"),
            ("a\n b", "|-\n    a\n     b"),
            ("a \nb", "\"a \\nb\""),
            ("a\nb ", "\"a\\nb \""),
            ("x\u{85}y", "x y"),
            ("\u{85}", "' '"),
            ("x \u{85} y", "x y"),
            ("x\u{85}\u{85}y", "|-\n    x\n    y"),
            ("x\u{85}\n\u{85}y", "\"x \\n y\""),
        ];
        for (text, expected) in cases {
            check(&json!({"m": {"k": text}}), &format!("m:\n  k: {expected}\n"));
        }
    }

    #[test]
    fn long_text_is_folded_beyond_column_80() {
        let words = |count: usize| vec!["word5"; count].join(" ");
        // `k: ` and 13 words end in column 80; the 14th still starts on the line, as the border has to be passed.
        check(&json!({"k": words(13)}), &format!("k: {}\n", words(13)));
        check(&json!({"k": words(15)}), &format!("k: {}\n  {}\n", words(14), words(1)));
        check(&json!([words(16)]), &format!("- {}\n  {}\n", words(14), words(2)));
        check(&json!({"k": format!("'{}", words(15))}), &format!("k: '''{}\n  {}'\n", words(13), words(2)));
        check(&json!({"k": format!("\t{}", words(15))}), &format!("k: \"\\t{}\n  {}\"\n", words(13), words(2)));
        check(&json!({"k": "x".repeat(200)}), &format!("k: {}\n", "x".repeat(200)));
        check(&json!({"k": format!("{}  y", "x".repeat(90))}), &format!("k: {}  y\n", "x".repeat(90)));
    }

    #[test]
    fn long_keys_are_written_apart() {
        let key = "k".repeat(129);
        let value = json!({"a": 1, "b": 2});
        check(&json!({ key.clone(): value }), &format!("? {key}\n: a: 1\n  b: 2\n"));
        check(&json!({ key.clone(): ["x", "z"] }), &format!("? {key}\n: - x\n  - z\n"));
        check(&json!({"a\nb": 1}), "? |-\n  a\n  b\n: 1\n");
        check(&json!({ "k".repeat(128): 1 }), &format!("{}: 1\n", "k".repeat(128)));
    }

    #[test]
    fn numbers_are_printed_as_go_prints_them() {
        let cases = [
            (json!(1.0), "1"),
            (json!(1e15), "1000000000000000"),
            (json!(1e19), "10000000000000000000"),
            (json!(1e20), "1e+20"),
            (json!(12_345_678_901_234_567_890.0), "12345678901234567000"),
            (json!(999_999.5), "999999.5"),
            (json!(1_000_000.5), "1.0000005e+06"),
            (json!(100_000_000.5), "1.000000005e+08"),
            (json!(0.0001), "0.0001"),
            (json!(0.00001), "1e-05"),
            (json!(-0.0), "0"),
            (json!(1e300), "1e+300"),
            (json!(18_446_744_073_709_551_616.0), "1.8446744073709552e+19"),
            (json!(-1e19), "-1e+19"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(9_007_199_254_740_993_i64), "9007199254740993"),
        ];
        for (number, expected) in cases {
            check(&number, &format!("{expected}\n"));
        }
    }
}
