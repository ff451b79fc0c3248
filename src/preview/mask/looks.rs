//! What is a secret by its look: fields called `password`, credentials in a URL, private keys.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use smol_str::SmolStr;

use crate::object::ObjectKey;

/// A field of a custom resource that holds a secret: `previews.mask` of an AppProject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRule {
    /// Its API group.
    pub group: SmolStr,
    /// Its kind.
    pub kind: SmolStr,
    /// Field by field; `*` stands for each item of a list or each entry of a mapping.
    pub path: Vec<SmolStr>,
}

impl FieldRule {
    /// The rule for a path as people write it: `spec.users[*].hash`, also with `$.` in front.
    pub fn new(group: &str, kind: &str, path: &str) -> Self {
        let path = path.trim_start_matches('$').replace("[*]", ".*");
        let steps = path.split('.').filter(|step| !step.is_empty()).map(SmolStr::new);
        FieldRule { group: group.into(), kind: kind.into(), path: steps.collect() }
    }

    /// True for the field itself and for all below it.
    pub(super) fn covers(&self, key: &ObjectKey, path: &[SmolStr]) -> bool {
        let is_below = path.len() >= self.path.len()
            && self.path.iter().zip(path).all(|(wanted, step)| wanted == "*" || wanted == step);
        is_below && self.group == key.group && self.kind == key.kind
    }
}

/// How the names of fields end that hold a secret.
const NAMES: [&str; 8] =
    ["password", "passwd", "token", "secret", "apikey", "clientsecret", "privatekey", "connectionstring"];

/// True when a field or an environment variable of this name holds a secret, not a reference to one.
pub(super) fn is_secret_name(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.iter().any(|ending| letters.ends_with(ending))
}

pub(super) fn is_secret_path(path: &[SmolStr]) -> bool {
    path.last().is_some_and(|name| is_secret_name(name))
}

static USERINFO: LazyLock<Regex> = LazyLock::new(|| compiled(r"([A-Za-z][A-Za-z0-9+.-]*://)([^\s/@'\x22]+)(@)"));
static QUERY: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"(?i)([?&](?:[\w-]*(?:sig|signature|token|password|secret|api_?key))=)([^&\s'\x22]+)()")
});
static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?s)(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)(.*?)(-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|$)",
    )
});

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test uses each")]
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern")
}

/// A text without credentials in URLs and without private keys.
pub(super) fn masked<'t>(text: &'t str, mark: &dyn Fn(&[u8]) -> String) -> Cow<'t, str> {
    let mut shown = Cow::Borrowed(text);
    let looks = [
        (text.contains("-----BEGIN"), &PRIVATE_KEY),
        (text.contains("://") && text.contains('@'), &USERINFO),
        (text.contains('='), &QUERY),
    ];
    for (_, pattern) in looks.into_iter().filter(|(may_be, _)| *may_be) {
        let hidden = |found: &Captures<'_>| format!("{}{}{}", &found[1], mark(found[2].as_bytes()), &found[3]);
        let replaced = pattern.replace_all(&shown, hidden).into_owned();
        shown = Cow::Owned(replaced);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_seen_by_their_look() {
        let cases = [
            // text, shown
            ("postgres://app:hunter2@db:5432/shop", "postgres://<app:hunter2>@db:5432/shop"),
            ("https://x.example/a?sig=abc&b=1", "https://x.example/a?sig=<abc>&b=1"),
            ("https://x.example/a?access_token=abc", "https://x.example/a?access_token=<abc>"),
            (
                "a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b",
                "a -----BEGIN RSA PRIVATE KEY-----<\nMII\n>-----END RSA PRIVATE KEY----- b",
            ),
            ("-----BEGIN PRIVATE KEY-----\nMII", "-----BEGIN PRIVATE KEY-----<\nMII>"),
            ("-----BEGIN CERTIFICATE-----\nMII", "-----BEGIN CERTIFICATE-----\nMII"),
            ("https://x.example/a?b=1", "https://x.example/a?b=1"),
            ("mail me@example.com", "mail me@example.com"),
        ];
        for (text, shown) in cases {
            let mark = |value: &[u8]| format!("<{}>", String::from_utf8_lossy(value));
            assert_eq!(masked(text, &mark), shown, "{text}");
        }
    }

    #[test]
    fn fields_are_secret_by_name_unless_they_refer() {
        for name in ["password", "adminPassword", "DB_PASSWORD", "apiKey", "client-secret", "token"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["passwordRef", "secretName", "tokenSecretRef", "tokens", "name", ""] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_rule_covers_its_field_and_what_is_below() {
        let rule = FieldRule::new("db.example", "Database", "$.spec.users[*].hash");
        let key =
            |kind: &str| ObjectKey { group: "db.example".into(), kind: kind.into(), namespace: None, name: "x".into() };
        let path = |text: &str| text.split('.').map(SmolStr::new).collect::<Vec<_>>();
        for (kind, at, covered) in [
            ("Database", "spec.users.*.hash", true),
            ("Database", "spec.users.*.hash.deep", true),
            ("Database", "spec.users.*.name", false),
            ("Database", "spec.users", false),
            ("Other", "spec.users.*.hash", false),
        ] {
            assert_eq!(rule.covers(&key(kind), &path(at)), covered, "{kind} {at}");
        }
    }
}
