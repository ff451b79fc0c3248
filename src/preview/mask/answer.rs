//! What an API server says of an object that it refuses, without the values that it repeats.
//!
//! Servers repeat whole objects after `Invalid value:`, mistyped values after `got`, pieces of both versions after `@@`,
//! and keys of a Secret in brackets. Of an answer about a Secret only the places remain.

use std::sync::LazyLock;

use regex::Regex;

use crate::object::ObjectKey;
use crate::object::secret::{end_of_value, is_secret};

/// Where an answer says the mistake is.
static PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:^|[\s\[:])\.?((?:data|stringData|type|immutable|metadata)(?:\.[A-Za-z]+|\.[-._A-Za-z0-9]+|\[[^\]]*\])*)(?::|$)").ok()
});

/// The answer as a reader may see it.
pub(in super::super) fn without_values(about: &ObjectKey, text: &str) -> String {
    if is_secret(about) { of_secret(text) } else { of_other(text) }
}

fn of_secret(text: &str) -> String {
    let mut places: Vec<String> = Vec::new();
    // What stands behind the first value is not looked at: it may be a text that looks like a place.
    let end = [": Invalid value:", ", got "].iter().filter_map(|mark| text.find(mark)).min();
    let head = match end {
        Some(end) => &text[..text.len().min(end + 1)],
        None => text,
    };
    for found in PLACE.iter().flat_map(|place| place.captures_iter(head)) {
        let place = &found[1];
        let shown = match place.split_once('[') {
            Some((field, key)) if !is_key(key.trim_end_matches(']')) => format!("{field}[…]"),
            _ => place.to_owned(),
        };
        if !places.contains(&shown) {
            places.push(shown);
        }
    }
    match places.as_slice() {
        [] => "the API server refuses this Secret".into(),
        places => format!("the API server refuses this Secret at {}", places.join(", ")),
    }
}

fn is_key(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn of_other(text: &str) -> String {
    const INVALID: &str = "Invalid value: ";
    const GOT: &str = ", got ";
    let mut shown = String::with_capacity(text.len().min(1_000));
    let mut rest = text;
    while let Some(at) = rest.find(INVALID) {
        let (before, value) = rest.split_at(at + INVALID.len());
        shown.push_str(before);
        let end = end_of_value(value);
        shown.push_str(&described(&value[..end]));
        rest = &value[end..];
    }
    shown.push_str(rest);
    for mark in [GOT, " @@ "] {
        if let Some(at) = shown.find(mark) {
            let value = &shown[at + mark.len()..];
            let said = if mark == GOT { format!("{GOT}{}", described(value)) } else { String::new() };
            shown.truncate(at);
            shown.push_str(&said);
        }
    }
    shown
}

/// Its kind and length.
fn described(value: &str) -> String {
    let kind = match value.as_bytes().first() {
        Some(b'"') => "a text",
        Some(b'{' | b'&') => "a mapping",
        Some(b'[') => "a list",
        Some(b'0'..=b'9' | b'-') => "a number",
        _ => "a value",
    };
    match value.chars().count() {
        0 => "nothing".into(),
        length => format!("({kind} of {length} characters)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(group: &str, kind: &str) -> ObjectKey {
        ObjectKey { group: group.into(), kind: kind.into(), namespace: None, name: "s".into() }
    }

    #[test]
    fn values_are_told_by_kind_and_length() {
        let cases = [
            // answer, shown
            (
                r#"Job "j" is invalid: spec.template: Invalid value: {"Env":[{"Value":"p:,]w"}]}: field is immutable"#,
                r#"Job "j" is invalid: spec.template: Invalid value: (a mapping of 27 characters): field is immutable"#,
            ),
            (
                r#"Job "j" is invalid: spec.parallelism: Invalid value: -1: must be >= 0"#,
                r#"Job "j" is invalid: spec.parallelism: Invalid value: (a number of 2 characters): must be >= 0"#,
            ),
            (
                "failed to create typed patch object (a/j; batch/v1, Kind=Job): .spec.x: expected list, got &{pw}",
                "failed to create typed patch object (a/j; batch/v1, Kind=Job): .spec.x: expected list, got (a mapping of 5 characters)",
            ),
            (
                "Pod \"p\" is invalid: spec: Forbidden: pod updates may not change fields @@ -1 +1 @@ - \"Value\": \"1\"",
                "Pod \"p\" is invalid: spec: Forbidden: pod updates may not change fields",
            ),
        ];
        for (answer, shown) in cases {
            assert_eq!(without_values(&about("batch", "Job"), answer), shown);
        }
    }

    #[test]
    fn of_a_secret_only_the_place_is_told() {
        let cases = [
            // answer, shown
            (
                r#"Secret "s" is invalid: data[tls.key]: Required value"#,
                "the API server refuses this Secret at data[tls.key]",
            ),
            (
                r#"Secret "s" is invalid: data[p w]: Invalid value: "p w": a valid"#,
                "the API server refuses this Secret at data[…]",
            ),
            (
                r#"Secret "s" is invalid: type: Invalid value: "a.b/c": field is immutable"#,
                "the API server refuses this Secret at type",
            ),
            (
                r#""" is invalid: patch: Invalid value: "{\"data\":{\"k\":\"pw\"}}": illegal"#,
                "the API server refuses this Secret",
            ),
            (
                "failed to create typed patch object (echo/s; /v1, Kind=Secret): .stringData.k: expected string, got &value{pw}",
                "the API server refuses this Secret at stringData.k",
            ),
        ];
        for (answer, shown) in cases {
            assert_eq!(without_values(&about("", "Secret"), answer), shown, "{answer}");
        }
    }
}
