//! How a single value is written in a diff: as YAML, and in quotes where a reader could take it for something else.

use serde_json::Value;

/// A value without parts, or an empty one.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if is_safe(text) => text.clone(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "[]".into(),
        Value::Object(_) => "{}".into(),
        other => other.to_string(),
    }
}

/// A mapping's key.
pub(super) fn key(name: &str) -> String {
    if is_safe(name) { name.to_owned() } else { quoted(name) }
}

/// What stands behind the key of a text of several lines.
pub(super) fn block_mark(text: &str) -> &'static str {
    match text.strip_suffix('\n') {
        None => "|-",
        Some(rest) if rest.ends_with('\n') => "|+",
        Some(_) => "|",
    }
}

fn quoted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 2);
    shown.push('"');
    for c in text.chars() {
        match c {
            '"' => shown.push_str("\\\""),
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            c => shown.push(c),
        }
    }
    shown.push('"');
    shown
}

/// True when the text without quotes is taken for itself. A slash in front is quoted: no line may begin with one.
fn is_safe(text: &str) -> bool {
    let is_word =
        |c: char| c.is_alphanumeric() || c == '_' || c == '\u{2022}' || ('\u{e000}'..='\u{e00f}').contains(&c);
    let is_inner = |c: char| is_word(c) || " ./:@+=,~%()-*…".contains(c);
    let first = text.chars().next().is_some_and(|c| is_word(c) || c == '.' || c == '(');
    first
        && text.chars().all(is_inner)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !is_other_type(text)
}

/// What YAML 1.1 or 1.2 reads as no text.
fn is_other_type(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let is_word = matches!(word.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null" | "~");
    let is_number = text.replace('_', "").parse::<f64>().is_ok()
        || ["0x", "0o", "0b"].iter().any(|prefix| word.starts_with(prefix));
    is_word || is_number || matches!(word.as_str(), ".inf" | ".nan")
}
