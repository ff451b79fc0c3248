use std::fmt::Write as _;

use axum::http::HeaderValue;
use axum::http::header::HeaderName;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::*;

const AFTER: &str = "3f9a1c2b7d5e4f60718293a4b5c6d7e8f9012345";

fn payload(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/webhook/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let header =
        |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    pairs.iter().map(header).collect()
}

fn sign(body: &[u8], key: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

type Headers = &'static [(&'static str, &'static str)];

const GITHUB: Headers = &[("X-GitHub-Event", "push")];
const GITLAB: Headers = &[("X-Gitlab-Event", "Push Hook")];
const GITLAB_TAG: Headers = &[("X-Gitlab-Event", "Tag Push Hook")];
const GITLAB_SYSTEM: Headers = &[("X-Gitlab-Event", "System Hook")];
/// Gitea sends its forerunners' headers too.
const GITEA: Headers = &[("X-Gitea-Event", "push"), ("X-Gogs-Event", "push"), ("X-GitHub-Event", "push")];
const FORGEJO: Headers = &[("X-Forgejo-Event", "push"), ("X-GitHub-Event", "push")];
const GOGS: Headers = &[("X-Gogs-Event", "push")];
const CLOUD: Headers = &[("X-Hook-UUID", "{7f2a}"), ("X-Event-Key", "repo:push")];
const SERVER: Headers = &[("X-Event-Key", "repo:refs_changed")];

/// Payload, headers, who sends it, a configured URL that it is about.
const PUSHES: [(&str, Headers, Provider, &str); 9] = [
    ("github-push", GITHUB, Provider::GitHub, "git@github.com:platform/shop"),
    ("gitlab-push", GITLAB, Provider::GitLab, "https://gitlab.example.com/platform/shop.git"),
    ("gitlab-push", GITLAB_SYSTEM, Provider::GitLab, "ssh://git@gitlab.example.com:2222/platform/shop"),
    ("gitea-push", GITEA, Provider::Gitea, "http://gitea.example.com:3000/platform/shop.git"),
    ("gitea-push", FORGEJO, Provider::Gitea, "https://gitea.example.com/platform/shop"),
    ("gogs-push", GOGS, Provider::Gogs, "https://gogs.example.com/Platform/Shop.git/"),
    ("bitbucket-cloud-push", CLOUD, Provider::BitbucketCloud, "git@bitbucket.org:platform/shop.git"),
    ("bitbucket-server-push", SERVER, Provider::BitbucketServer, "ssh://git@bitbucket.example.com:7999/plat/shop.git"),
    ("bitbucket-server-push", SERVER, Provider::BitbucketServer, "https://person@bitbucket.example.com/scm/plat/shop"),
];

#[test]
fn a_push_is_read_from_every_forge() {
    let other = RepoUrl::parse("https://github.com/platform/other").unwrap();
    for (name, sent, provider, url) in PUSHES {
        let hints = receive(&headers(sent), &payload(name), &Secrets::default()).unwrap();
        let hint = &hints[0];
        assert_eq!((hint.provider, &*hint.reference), (provider, "refs/heads/env/dev"), "{name}");
        assert_eq!(hint.after.as_deref(), Some(AFTER), "{name}");
        assert!(hint.concerns(&RepoUrl::parse(url).unwrap()), "{name}: {url} is none of {:?}", hint.repositories);
        assert!(!hint.concerns(&other), "{name}");
    }
}

#[test]
fn tags_and_deletions_are_hints_too() {
    let hints = |name: &str, sent| receive(&headers(sent), &payload(name), &Secrets::default()).unwrap();
    assert_eq!(hints("gitlab-tag", GITLAB_TAG)[0].reference, "refs/tags/v1.5.0");
    assert_eq!(hints("github-deleted", GITHUB)[0].after, None);
    let cloud = hints("bitbucket-cloud-push", CLOUD);
    assert_eq!((cloud.len(), &*cloud[1].reference, &cloud[1].after), (2, "refs/tags/v1.4.0", &None));
}

#[test]
fn other_events_are_ignored() {
    let cases: [(&str, Headers); 5] = [
        ("github-ping", &[("X-GitHub-Event", "ping")]),
        ("github-ping", &[("X-Gitea-Event", "create"), ("X-GitHub-Event", "push")]),
        ("gitlab-system-project", GITLAB_SYSTEM),
        ("bitbucket-server-ping", &[("X-Event-Key", "diagnostics:ping")]),
        ("bitbucket-cloud-push", &[("X-Hook-UUID", "{7f2a}"), ("X-Event-Key", "pullrequest:created")]),
    ];
    for (name, sent) in cases {
        assert_eq!(receive(&headers(sent), &payload(name), &Secrets::default()), Ok(Vec::new()), "{name} {sent:?}");
    }
}

#[test]
fn every_truncation_of_every_payload_is_refused() {
    for (name, sent, ..) in PUSHES {
        let whole = payload(name);
        let (sent, whole) = (headers(sent), whole.trim_ascii_end());
        for length in 0..whole.len() {
            let found = receive(&sent, &whole[..length], &Secrets::default());
            assert!(matches!(found, Err(Rejection::Malformed { .. })), "{name} cut at {length}: {found:?}");
        }
    }
}

#[test]
fn a_form_holds_the_same_as_json() {
    let json = payload("github-push");
    let encoded = json.iter().fold(String::from("payload="), |mut text, byte| {
        match byte {
            b' ' => text.push('+'),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(*byte)),
            byte => write!(text, "%{byte:02X}").unwrap(),
        }
        text
    });
    let read = |body: &[u8]| receive(&headers(GITHUB), body, &Secrets::default()).unwrap();
    assert_eq!(read(encoded.as_bytes()), read(&json));
}

fn all_secrets() -> Secrets {
    let keys = ["github.secret", "gitlab.secret", "gogs.secret", "bitbucket.uuid", "bitbucketserver.secret"];
    Secrets::from_data(&keys.into_iter().map(|key| (format!("webhook.{key}"), b"s3cret\n".to_vec())).collect())
}

#[test]
fn only_the_right_signature_is_let_in() {
    let secrets = all_secrets();
    let hmac = |body: &[u8], key: &str| sign(body, key);
    let prefixed = |body: &[u8], key: &str| format!("sha256={}", sign(body, key));
    let itself = |_: &[u8], key: &str| key.to_owned();
    type Sign<'a> = &'a dyn Fn(&[u8], &str) -> String;
    let cases: [(&str, Headers, &str, Sign<'_>); 8] = [
        ("github-push", GITHUB, "X-Hub-Signature-256", &prefixed),
        ("gitlab-push", GITLAB, "X-Gitlab-Token", &itself),
        ("gitea-push", GITEA, "X-Gitea-Signature", &hmac),
        ("gitea-push", FORGEJO, "X-Forgejo-Signature", &hmac),
        ("gitea-push", GITEA, "X-Gogs-Signature", &hmac),
        ("gogs-push", GOGS, "X-Gogs-Signature", &hmac),
        ("bitbucket-cloud-push", &[("X-Event-Key", "repo:push")], "X-Hook-UUID", &itself),
        ("bitbucket-server-push", SERVER, "X-Hub-Signature", &prefixed),
    ];
    for (name, sent, header, sign) in cases {
        let body = payload(name);
        let with = |value: &str, body: &[u8]| {
            let mut all = headers(sent);
            all.insert(header.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
            receive(&all, body, &secrets).map(|hints| hints.len())
        };
        let right = sign(&body, "s3cret");
        assert!(with(&right, &body).is_ok(), "{name} {header}");
        let mut changed = body.clone();
        changed.push(b' ');
        let wrong = [
            sign(&body, "other"),
            right[..right.len() - 1].to_owned(),
            format!("{right}0"),
            "".into(),
            "sha256=".into(),
        ];
        for value in wrong {
            let found = with(&value, &body);
            assert!(matches!(found, Err(Rejection::Unauthenticated { .. })), "{name} {header}: {value}: {found:?}");
        }
        // A token says nothing of the body.
        if right != "s3cret" {
            assert!(with(&right, &changed).is_err(), "{name} {header}: a changed body");
        }
    }
}

#[test]
fn a_signature_is_looked_at_before_the_body() {
    let found = receive(&headers(GITHUB), b"not json", &all_secrets());
    assert_eq!(found, Err(Rejection::Unauthenticated { what: "signature" }));
}

#[test]
fn a_provider_without_a_secret_is_no_way_around_the_others() {
    let secrets = Secrets { github: Some(Secret::new(b"s3cret")), ..Secrets::default() };
    let found = receive(&headers(GITLAB), &payload("gitlab-push"), &secrets);
    assert_eq!(found, Err(Rejection::NoSecret { provider: Provider::GitLab }));
}

#[test]
fn odd_names_are_refused() {
    let body = |reference: &str, url: &str| {
        serde_json::json!({"ref": reference, "repository": {"clone_url": url}}).to_string().into_bytes()
    };
    let url = "https://git.example.com/a/b";
    let cases = [
        // ref                           url            a word of the answer
        ("main", url, "full name"),
        ("--upload-pack=touch /tmp/x", url, "full name"),
        ("refs/heads/a\nb", url, "full name"),
        ("refs/heads/main", "", "names no repository"),
        ("refs/heads/main", "https://x\u{0}y", "URL"),
    ];
    for (reference, url, word) in cases {
        let error = receive(&headers(GITHUB), &body(reference, url), &Secrets::default()).unwrap_err();
        assert!(error.to_string().contains(word), "{reference} {url}: {error}");
    }
    let long = body(&format!("refs/heads/{}", "x".repeat(MAX_NAME_BYTES)), url);
    assert!(receive(&headers(GITHUB), &long, &Secrets::default()).is_err());
    assert_eq!(receive(&HeaderMap::new(), b"{}", &Secrets::default()), Err(Rejection::UnknownProvider));
}

#[test]
fn a_secret_is_not_printed() {
    assert!(!format!("{:?}", all_secrets()).contains("s3cret"));
}
