//! Secret values: a type that cannot be printed, placeholders for diffs, and error texts without them.
//!
//! **In:** objects and texts. **Out:** the same with `•••••` in place of values. **May not:** let a value, its length
//! or a hash that someone could test guesses against reach a person or a log (G7).
//!
//! An object is a Secret by its own group and kind, never by what an annotation or a caller says of it.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::{Object, ObjectKey};

const MASK: &str = "•••••";
/// Where `kubectl apply` keeps a copy of the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Shorter texts are found everywhere: replacing them would tell more than it hides.
const SHORTEST: usize = 4;

/// A secret value. It compares and hashes; it has no `Display`, no `Serialize`, and a `Debug` that says nothing.
///
/// ```compile_fail
/// println!("{}", leeboard::object::secret::Masked::new("hunter2"));
/// ```
///
/// ```compile_fail
/// serde_json::to_string(&leeboard::object::secret::Masked::new("hunter2"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Masked(Box<[u8]>);

impl Masked {
    /// Takes a value out of sight.
    pub fn new(value: impl AsRef<[u8]>) -> Self {
        Masked(value.as_ref().into())
    }

    /// The value, for the one place that must send it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The same as text; `None` when it is none.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masked(…)")
    }
}

/// What keys the hashes in placeholders: within one run equal values show as equal, and nobody can test guesses.
#[derive(Clone)]
pub struct MaskKey([u8; 32]);

impl MaskKey {
    /// From random bytes: drawn once per process, or an installation's own.
    pub fn new(random: [u8; 32]) -> Self {
        MaskKey(random)
    }

    /// `••••• (hash ab12cd)`
    fn placeholder(&self, value: &[u8]) -> String {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut hmac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of 32 bytes");
        hmac.update(value);
        let hash = hmac.finalize().into_bytes();
        format!("{MASK} (hash {:02x}{:02x}{:02x})", hash[0], hash[1], hash[2])
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(…)")
    }
}

/// True for Secrets of the core group.
pub fn is_secret(key: &ObjectKey) -> bool {
    key.group.is_empty() && key.kind == "Secret"
}

/// The body as a person may see it: of a Secret, each value is a placeholder; other objects are as they are.
pub fn mask(object: &Object, key: &MaskKey) -> Value {
    let mut body = object.body.clone();
    if is_secret(&object.key) {
        mask_fields(&mut body, key);
        if let Some(Value::String(copy)) =
            body.pointer_mut("/metadata/annotations").and_then(|a| a.get_mut(LAST_APPLIED))
        {
            *copy = match serde_json::from_str::<Value>(copy) {
                Ok(mut applied) => {
                    mask_fields(&mut applied, key);
                    applied.to_string()
                }
                Err(_) => key.placeholder(copy.as_bytes()),
            };
        }
    }
    body
}

fn mask_fields(secret: &mut Value, key: &MaskKey) {
    for (field, encoding) in FIELDS {
        match secret.get_mut(field) {
            None | Some(Value::Null) => {}
            Some(Value::Object(values)) => {
                for value in values.values_mut().filter(|value| !value.is_null()) {
                    *value = key.placeholder(&decoded(value, *encoding)).into();
                }
                if !values.keys().all(|name| is_key(name)) {
                    let shown = |name: String| if is_key(&name) { name } else { key.placeholder(name.as_bytes()) };
                    *values = std::mem::take(values).into_iter().map(|(name, value)| (shown(name), value)).collect();
                }
            }
            // No mapping: whatever it is, it may hold a value.
            Some(other) => *other = key.placeholder(other.to_string().as_bytes()).into(),
        }
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Base64,
    Plain,
}

/// The same value hashes the same in both fields.
const FIELDS: &[(&str, Encoding)] = &[("data", Encoding::Base64), ("stringData", Encoding::Plain)];

fn decoded(value: &Value, encoding: Encoding) -> Cow<'_, [u8]> {
    match (value, encoding) {
        (Value::String(text), Encoding::Base64) => {
            // The API server takes line breaks inside, as YAML block scalars have them.
            let compact: String = text.split_ascii_whitespace().collect();
            STANDARD.decode(compact).map_or_else(|_| text.as_bytes().into(), Cow::Owned)
        }
        (Value::String(text), Encoding::Plain) => text.as_bytes().into(),
        (other, _) => Cow::Owned(other.to_string().into_bytes()),
    }
}

/// All values that a Secret holds, for [`redact`]; none of other objects.
pub fn values(object: &Object) -> Vec<Masked> {
    if !is_secret(&object.key) {
        return Vec::new();
    }
    let mut values = Vec::new();
    for (field, encoding) in FIELDS {
        let entries = object.body.get(field).and_then(Value::as_object).into_iter().flat_map(Map::values);
        for value in entries.filter(|value| !value.is_null()) {
            collect(value, *encoding, &mut values);
        }
    }
    values
}

/// Also what is nested by mistake: an API server repeats it.
fn collect(value: &Value, encoding: Encoding, into: &mut Vec<Masked>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| collect(value, Encoding::Plain, into)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, Encoding::Plain, into)),
        other => {
            let decoded = decoded(other, encoding);
            // Undecodable, or written in another base64 than we would: the text as it stands.
            if let Value::String(text) = other
                && text.as_bytes() != decoded.as_ref()
            {
                into.push(Masked::new(text));
            }
            into.push(Masked::new(decoded));
        }
    }
}

/// A text without any of these values: plain, in base64, quoted once or twice, or line by line.
pub fn redact(text: &str, secrets: &[Masked]) -> String {
    let mut forms: Vec<String> = secrets.iter().filter(|secret| secret.0.len() >= SHORTEST).flat_map(forms).collect();
    // The longest first: a value may be part of another.
    forms.sort_unstable_by_key(|form| std::cmp::Reverse(form.len()));
    forms.dedup();
    let mut text = text.to_owned();
    for form in forms {
        if text.contains(&form) {
            text = text.replace(&form, MASK);
        }
    }
    text
}

/// How a value may be written in a text.
fn forms(secret: &Masked) -> Vec<String> {
    let mut forms: Vec<String> =
        [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].iter().map(|base64| base64.encode(&secret.0)).collect();
    if let Some(plain) = secret.expose_text() {
        let once = quoted(plain);
        forms.push(quoted(&once));
        forms.push(once);
        let lines = plain.lines().map(str::trim).filter(|line| line.len() >= 2 * SHORTEST);
        forms.extend(lines.map(str::to_owned));
        forms.push(plain.to_owned());
    }
    forms
}

/// As it stands between the quotes of a JSON text.
fn quoted(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// An API server's error text about an object, fit to be shown and logged.
///
/// Servers repeat what they refuse: whole objects after `Invalid value:`, mistyped values after `got`, keys of a
/// Secret in brackets. Dumps of structures are cut for every kind, and for a Secret each repeated value.
pub fn redact_answer(text: &str, about: &ObjectKey, secrets: &[Masked]) -> String {
    const INVALID: &str = "Invalid value: ";
    let is_secret = is_secret(about);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(INVALID) {
        let (before, value) = rest.split_at(at + INVALID.len());
        shown.push_str(before);
        let end = end_of_value(value);
        let is_dump = value.starts_with(['{', '[']) || value.starts_with("\"{") || value.starts_with("\"[");
        shown.push_str(if is_secret || is_dump { MASK } else { &value[..end] });
        rest = &value[end..];
    }
    shown.push_str(rest);
    if let Some(at) = shown.find(", got ") {
        shown.truncate(at + ", got ".len());
        shown.push_str(MASK);
    }
    if is_secret {
        shown = without_odd_keys(&shown);
    }
    redact(&shown, secrets)
}

/// The length of the value at the start of a text: a quoted one, one in brackets, or a word.
pub(crate) fn end_of_value(text: &str) -> usize {
    let mut depth = 0usize;
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' if depth > 0 => depth -= 1,
            ':' | ',' | ']' if depth == 0 => return index,
            _ => {}
        }
    }
    text.len()
}

/// What the API server takes as a key of `data`; anything else may be a value that slipped.
fn is_key(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// `data[…]` of a Secret: what cannot be a key may be a value that slipped.
fn without_odd_keys(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("ata[") {
        let (before, key) = rest.split_at(at + "ata[".len());
        shown.push_str(before);
        let end = key.find(']').unwrap_or(key.len());
        shown.push_str(if is_key(&key[..end]) { &key[..end] } else { MASK });
        rest = &key[end..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(body: &Value) -> Object {
        let mut whole = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}});
        for (field, value) in body.as_object().unwrap() {
            whole[field] = value.clone();
        }
        Object::from_value(whole, None).unwrap()
    }

    fn key() -> MaskKey {
        MaskKey::new([7; 32])
    }

    #[test]
    fn a_value_cannot_be_printed() {
        assert_eq!(format!("{:?} {:?}", Masked::new("hunter2"), key()), "Masked(…) MaskKey(…)");
    }

    #[test]
    fn equal_values_show_as_equal_and_nothing_else_shows() {
        let applied = json!({"kind": "Secret", "stringData": {"password": "hunter2"}}).to_string();
        let object = secret(&json!({
            "data": {"password": STANDARD.encode("hunter2"), "user": STANDARD.encode("admin"), "bad": "not base64!"},
            "stringData": {"password": "hunter2", "port": 5432, "none": null},
            "metadata": {"name": "db", "annotations": {LAST_APPLIED: applied}},
        }));
        let shown = mask(&object, &key());
        let text = shown.to_string();
        for value in ["hunter2", &STANDARD.encode("hunter2"), "admin", "not base64!", "5432"] {
            assert!(!text.contains(value), "{value} in {text}");
        }
        assert_eq!(shown["data"]["password"], shown["stringData"]["password"]);
        assert_ne!(shown["data"]["password"], shown["data"]["user"]);
        let password = shown["data"]["password"].as_str().unwrap();
        assert!(shown["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap().contains(password));
        assert!(password.starts_with("••••• (hash ") && password.len() == "••••• (hash 123456)".len());
        assert_ne!(mask(&object, &MaskKey::new([8; 32])), shown, "the hash depends on the key");
    }

    #[test]
    fn a_secret_of_any_shape_is_masked() {
        for body in [
            json!({"data": "hunter2"}),
            json!({"data": ["hunter2"]}),
            json!({"stringData": {"a": {"b": "hunter2"}}}),
            json!({"data": {"password: hunter2": ""}}),
            json!({"metadata": {"name": "db", "annotations": {LAST_APPLIED: "{cut hunter2"}}}),
        ] {
            let shown = mask(&secret(&body), &key()).to_string();
            assert!(!shown.contains("hunter2"), "{body} shows as {shown}");
        }
    }

    #[test]
    fn other_kinds_are_shown_as_they_are() {
        for (api_version, kind) in [("v1", "ConfigMap"), ("example.com/v1", "Secret")] {
            let body = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "data": {"a": "b"}});
            let object = Object::from_value(body.clone(), None).unwrap();
            assert_eq!(mask(&object, &key()), body);
            assert_eq!(values(&object), []);
        }
    }

    #[test]
    fn values_are_taken_out_of_texts() {
        let object = secret(&json!({
            "data": {"password": STANDARD.encode("hunter2"), "pem": STANDARD.encode("-----BEGIN-----\nMIIEowIBAAKC\n")},
            "stringData": {"quote": "say \"hi\"", "pin": "123", "nested": {"x": "slipped-in"}},
        }));
        let cases = [
            // text, shown
            ("no hunter2 here".to_owned(), "no ••••• here"),
            (format!("k: {}", STANDARD.encode("hunter2")), "k: •••••"),
            (r#"got "say \"hi\"""#.to_owned(), r#"got "•••••""#),
            ("line MIIEowIBAAKC of it".to_owned(), "line ••••• of it"),
            ("map{x: slipped-in}".to_owned(), "map{x: •••••}"),
            ("port 123".to_owned(), "port 123"),
        ];
        for (text, shown) in cases {
            assert_eq!(redact(&text, &values(&object)), shown, "{text}");
        }
    }

    #[test]
    fn what_a_server_repeats_is_cut() {
        let secret = ObjectKey { group: "".into(), kind: "Secret".into(), namespace: None, name: "s".into() };
        let job = ObjectKey { group: "batch".into(), kind: "Job".into(), namespace: None, name: "j".into() };
        let cases = [
            // about, answer, shown
            (
                &job,
                r#"Job.batch "j" is invalid: spec.template: Invalid value: {"Env":[{"Value":"p:,]w"}]}: field is immutable"#,
                r#"Job.batch "j" is invalid: spec.template: Invalid value: •••••: field is immutable"#,
            ),
            (
                &job,
                r#"Job "j" is invalid: spec.parallelism: Invalid value: -1: must be >= 0, spec.x: Invalid value: "a b": no"#,
                r#"Job "j" is invalid: spec.parallelism: Invalid value: -1: must be >= 0, spec.x: Invalid value: "a b": no"#,
            ),
            (
                &job,
                r#"failed to create typed patch object (a/j; batch/v1, Kind=Job): .spec.x: expected list, got &{pw}"#,
                "failed to create typed patch object (a/j; batch/v1, Kind=Job): .spec.x: expected list, got •••••",
            ),
            (
                &secret,
                r#""" is invalid: patch: Invalid value: "{\"data\":{\"k\":\"pw!\"}}": illegal base64"#,
                r#""" is invalid: patch: Invalid value: •••••: illegal base64"#,
            ),
            (
                &secret,
                r#"Secret "s" is invalid: data[p w ]: Invalid value: "p w ": a valid config key must consist of"#,
                r#"Secret "s" is invalid: data[•••••]: Invalid value: •••••: a valid config key must consist of"#,
            ),
            (
                &secret,
                r#"Secret "s" is invalid: data[tls.key]: Required value"#,
                r#"Secret "s" is invalid: data[tls.key]: Required value"#,
            ),
        ];
        for (about, answer, shown) in cases {
            assert_eq!(redact_answer(answer, about, &[]), shown);
        }
    }

    /// Each row of the corpus is an answer of a real API server about an object with a planted value.
    #[test]
    fn no_answer_of_a_real_server_shows_a_value() {
        let Some(corpus) = std::env::var_os("LEEBOARD_CORPUS") else {
            println!("skipped: set LEEBOARD_CORPUS to the folder of the corpora");
            return;
        };
        let file = std::path::PathBuf::from(corpus).join("immutable/ECHO.tsv");
        let table = std::fs::read_to_string(file).unwrap();
        let mut echoes = 0;
        for row in table.lines().skip(1).filter(|row| row.contains("<value>") || row.contains("<base64>")) {
            let (kind, _) = row.split_once(':').unwrap();
            let answer =
                row.rsplit('\t').next().unwrap().replace("<value>", "pl4nted").replace("<base64>", "cGw0bnRlZA==");
            let about = ObjectKey { group: "".into(), kind: kind.into(), namespace: None, name: "s".into() };
            let shown = redact_answer(&answer, &about, &[]);
            assert!(!shown.contains("pl4nted") && !shown.contains("cGw0bnRlZA"), "{answer}\n{shown}");
            echoes += 1;
        }
        assert!(echoes > 10, "{echoes} rows hold a value");
    }
}
