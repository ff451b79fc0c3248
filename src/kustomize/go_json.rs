//! JSON as Go's `encoding/json` writes it: keys sorted by their bytes, what HTML could trip over escaped.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// Appends a value without white space.
pub(super) fn push(out: &mut String, value: &Value) {
    push_value(out, value, None);
}

/// A value with its items on lines of their own, indented by two spaces a level.
pub(super) fn indented(value: &Value) -> String {
    let mut out = String::new();
    push_value(&mut out, value, Some(0));
    out
}

/// `level` is how deep the value is indented, if it is.
fn push_value(out: &mut String, value: &Value, level: Option<usize>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            push_items(out, '{', '}', level, entries, |out, (key, value), level| {
                push_string(out, key);
                out.push_str(if level.is_some() { ": " } else { ":" });
                push_value(out, value, level);
            });
        }
        Value::Array(items) if !items.is_empty() => {
            push_items(out, '[', ']', level, items, push_value);
        }
        Value::String(text) => push_string(out, text),
        Value::Number(number) => push_number(out, number),
        // `null`, `true`, `{}` and their like.
        other => out.push_str(&other.to_string()),
    }
}

fn push_items<T>(
    out: &mut String,
    open: char,
    close: char,
    level: Option<usize>,
    items: impl IntoIterator<Item = T>,
    push_item: impl Fn(&mut String, T, Option<usize>),
) {
    let inside = level.map(|level| level + 1);
    out.push(open);
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        break_line(out, inside);
        push_item(out, item, inside);
    }
    break_line(out, level);
    out.push(close);
}

fn break_line(out: &mut String, level: Option<usize>) {
    if let Some(level) = level {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", level));
    }
}

/// Exponents below -6 and from 21 on are written.
fn push_number(out: &mut String, number: &Number) {
    let float = number.as_f64().filter(|_| number.is_f64());
    // Writing to a string can't fail.
    let _ = match float {
        Some(float) if float != 0.0 && !(1e-6..1e21).contains(&float.abs()) => {
            write!(out, "{}", format!("{float:e}").replace('e', if float.abs() < 1.0 { "e" } else { "e+" }))
        }
        Some(float) => write!(out, "{float}"),
        None => write!(out, "{number}"),
    };
}

/// Appends a string in its quotes.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing to a string can't fail.
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_go_writes_them() {
        let cases = [
            // value, without and with lines
            (json!({}), "{}", "{}"),
            (json!([[]]), "[[]]", "[\n  []\n]"),
            (
                json!({"b": 1, "a": [true, null]}),
                r#"{"a":[true,null],"b":1}"#,
                "{\n  \"a\": [\n    true,\n    null\n  ],\n  \"b\": 1\n}",
            ),
            (
                json!("<é>&\u{2028}\u{1}\"\n"),
                r#""\u003cé\u003e\u0026\u2028\u0001\"\n""#,
                r#""\u003cé\u003e\u0026\u2028\u0001\"\n""#,
            ),
            (json!(1.5), "1.5", "1.5"),
            (json!(1e20), "100000000000000000000", "100000000000000000000"),
            (json!(1e25), "1e+25", "1e+25"),
            (json!(-1.5e-7), "-1.5e-7", "-1.5e-7"),
            (json!(0.000001), "0.000001", "0.000001"),
        ];
        for (value, compact, lines) in cases {
            let mut out = String::new();
            push(&mut out, &value);
            assert_eq!(out, compact, "{value}");
            assert_eq!(indented(&value), lines, "{value}");
        }
    }
}
