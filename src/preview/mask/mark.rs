//! Marks: what stands for a hidden value until a text is finished.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use super::super::escape;

/// Begins a mark of a value: its number follows.
pub(super) const VALUE: char = '\u{e000}';
/// Begins a mark of a text of which only is said whether it changes.
pub(super) const VEILED: char = '\u{e002}';
/// Ends both.
pub(super) const END: char = '\u{e001}';

/// Makes the marks of one text after another readable; the same value has the same number in all of them.
#[derive(Debug, Default)]
pub(in super::super) struct Finishing {
    numbers: HashMap<String, usize>,
}

impl Finishing {
    /// Each mark becomes `••• n`.
    pub(in super::super) fn finish(&mut self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(VALUE) {
            shown.push_str(&rest[..at]);
            let mark = &rest[at + VALUE.len_utf8()..];
            let Some((id, after)) = mark.split_once(END).filter(|(id, _)| is_number(id)) else {
                rest = mark;
                continue;
            };
            let next = self.numbers.len() + 1;
            shown.push_str(&format!("••• {}", self.numbers.entry(id.to_owned()).or_insert(next)));
            rest = after;
        }
        shown.push_str(rest);
        shown
    }
}

/// Takes out what looks like a mark and is none of ours.
pub(super) fn unmark(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.keys().any(|name| matches!(escape::unmarked(name), Cow::Owned(_))) {
                let entries = std::mem::take(map).into_iter();
                *map = entries.map(|(name, value)| (escape::unmarked(&name).into_owned(), value)).collect();
            }
            map.values_mut().for_each(unmark);
        }
        Value::Array(items) => items.iter_mut().for_each(unmark),
        Value::String(text) => {
            if let Cow::Owned(shown) = escape::unmarked(text) {
                *text = shown;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text that is a mark and nothing else.
pub(super) fn is_marked(text: &str) -> bool {
    let inner = text.strip_prefix([VALUE, VEILED]).and_then(|rest| rest.strip_suffix(END));
    inner.is_some_and(is_number)
}

pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
