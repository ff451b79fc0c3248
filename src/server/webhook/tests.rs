use std::fmt::Write as _;

use axum::http::HeaderValue;
use axum::http::header::HeaderName;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::*;

const AFTER: &str = "3f9a1c2b7d5e4f60718293a4b5c6d7e8f9012345";

const NOW: i64 = 1_795_168_800;

fn receive(headers: &HeaderMap, body: &[u8], secrets: &Secrets) -> Result<Received, Rejection> {
    super::receive(headers, body, secrets, Timestamp::from_second(NOW).unwrap())
}

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
        let hint = &hints.pushes[0];
        assert_eq!((hint.provider, &*hint.reference), (provider, "refs/heads/env/dev"), "{name}");
        assert_eq!(hint.after.as_deref(), Some(AFTER), "{name}");
        assert!(hint.concerns(&RepoUrl::parse(url).unwrap()), "{name}: {url} is none of {:?}", hint.repositories);
        assert!(!hint.concerns(&other), "{name}");
    }
}

#[test]
fn tags_and_deletions_are_hints_too() {
    let hints = |name: &str, sent| receive(&headers(sent), &payload(name), &Secrets::default()).unwrap().pushes;
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
        ("bitbucket-cloud-push", &[("X-Hook-UUID", "{7f2a}"), ("X-Event-Key", "issue:created")]),
    ];
    for (name, sent) in cases {
        let found = receive(&headers(sent), &payload(name), &Secrets::default());
        assert_eq!(found, Ok(Received::default()), "{name} {sent:?}");
    }
}

/// Payload, headers, who sends it, the comment.
const PULLS: [(&str, Headers, Provider, Option<u64>); 14] = [
    ("github-pull", &[("X-GitHub-Event", "pull_request")], Provider::GitHub, None),
    ("github-comment", &[("X-GitHub-Event", "issue_comment")], Provider::GitHub, Some(5001)),
    ("github-review", &[("X-GitHub-Event", "pull_request_review")], Provider::GitHub, None),
    ("gitea-pull", &[("X-Gitea-Event", "pull_request"), ("X-GitHub-Event", "pull_request")], Provider::Gitea, None),
    ("gitea-pull", &[("X-Forgejo-Event", "pull_request_approved")], Provider::Gitea, None),
    ("gitea-comment", &[("X-Gitea-Event", "issue_comment")], Provider::Gitea, Some(5001)),
    ("gitlab-merge-request", &[("X-Gitlab-Event", "Merge Request Hook")], Provider::GitLab, None),
    ("gitlab-note", &[("X-Gitlab-Event", "Note Hook")], Provider::GitLab, Some(5001)),
    ("gitlab-note", GITLAB_SYSTEM, Provider::GitLab, Some(5001)),
    ("bitbucket-cloud-pull", CLOUD_PULL, Provider::BitbucketCloud, None),
    ("bitbucket-cloud-comment", CLOUD_COMMENT, Provider::BitbucketCloud, Some(5001)),
    ("bitbucket-cloud-comment", CLOUD_PULL, Provider::BitbucketCloud, None),
    ("bitbucket-server-pull", &[("X-Event-Key", "pr:from_ref_updated")], Provider::BitbucketServer, None),
    ("bitbucket-server-comment", &[("X-Event-Key", "pr:comment:added")], Provider::BitbucketServer, Some(5001)),
];
const CLOUD_PULL: Headers = &[("X-Hook-UUID", "s3cret"), ("X-Event-Key", "pullrequest:updated")];
const CLOUD_COMMENT: Headers = &[("X-Hook-UUID", "s3cret"), ("X-Event-Key", "pullrequest:comment_created")];

/// The headers with the signature of a body.
fn signed(sent: Headers, provider: Provider, body: &[u8]) -> HeaderMap {
    let mut all = headers(sent);
    let (header, value) = match provider {
        Provider::Gitea => ("x-gitea-signature", sign(body, "s3cret")),
        Provider::Gogs => ("x-gogs-signature", sign(body, "s3cret")),
        Provider::GitHub => ("x-hub-signature-256", format!("sha256={}", sign(body, "s3cret"))),
        Provider::GitLab => ("x-gitlab-token", "s3cret".to_owned()),
        Provider::BitbucketCloud => ("x-hook-uuid", "s3cret".to_owned()),
        Provider::BitbucketServer => ("x-hub-signature", format!("sha256={}", sign(body, "s3cret"))),
    };
    all.insert(header, HeaderValue::from_str(&value).unwrap());
    all
}

#[test]
fn what_is_new_about_a_pull_request_is_read_from_every_forge() {
    for (name, sent, provider, comment) in PULLS {
        let body = payload(name);
        let received = receive(&signed(sent, provider, &body), &body, &all_secrets()).unwrap();
        assert!(received.pushes.is_empty(), "{name}");
        let [hint] = received.pulls.as_slice() else { panic!("{name}: {received:?}") };
        assert_eq!((hint.provider, hint.number, hint.comment), (provider, 482, comment), "{name} {sent:?}");
        let (.., url) = PUSHES.into_iter().find(|(.., from, _)| *from == provider).unwrap();
        assert!(hint.concerns(&RepoUrl::parse(url).unwrap()), "{name}: {url} is none of {:?}", hint.repositories);
        assert!(!hint.concerns(&RepoUrl::parse("https://github.com/platform/other").unwrap()), "{name}");
    }
}

#[test]
fn pull_requests_take_a_secret() {
    for (name, sent, provider, _) in PULLS {
        let body = payload(name);
        let found = receive(&headers(sent), &body, &Secrets::default());
        assert_eq!(found, Err(Rejection::SecretWanted { provider }), "{name}");
    }
}

#[test]
fn comments_on_issues_and_changed_comments_are_no_commands() {
    let cases: [(&str, Headers, Provider, Option<u64>); 2] = [
        ("github-issue-comment", &[("X-GitHub-Event", "issue_comment")], Provider::GitHub, None),
        ("gitlab-issue-note", &[("X-Gitlab-Event", "Note Hook")], Provider::GitLab, None),
    ];
    for (name, sent, provider, _) in cases {
        let body = payload(name);
        let found = receive(&signed(sent, provider, &body), &body, &all_secrets());
        assert_eq!(found, Ok(Received::default()), "{name}");
    }
    let changes = [
        ("github-comment", PULLS[1].1, Provider::GitHub, r#""action": "created""#, r#""action": "edited""#),
        ("gitea-comment", PULLS[5].1, Provider::Gitea, r#""action": "created""#, r#""action": "deleted""#),
        ("gitlab-note", PULLS[7].1, Provider::GitLab, r#""action": "create""#, r#""action": "update""#),
        ("gitlab-note", PULLS[7].1, Provider::GitLab, r#""system": false"#, r#""system": true"#),
    ];
    for (name, sent, provider, from, to) in changes {
        let body = String::from_utf8(payload(name)).unwrap().replace(from, to).into_bytes();
        assert_ne!(body, payload(name), "{name}");
        let received = receive(&signed(sent, provider, &body), &body, &all_secrets()).unwrap();
        assert_eq!((received.pulls[0].number, received.pulls[0].comment), (482, None), "{name} {to}");
    }
}

#[test]
fn bitbuckets_signature_is_wanted_as_soon_as_it_has_a_secret() {
    let body = payload("bitbucket-cloud-pull");
    let secrets = Secrets { bitbucket: Some(Secret::new(b"k3y")), ..all_secrets() };
    let with = |signature: &str, secrets: &Secrets| {
        let mut all = headers(CLOUD_PULL);
        all.insert("x-hub-signature", HeaderValue::from_str(signature).unwrap());
        receive(&all, &body, secrets).map(|received| received.pulls.len())
    };
    let right = format!("sha256={}", sign(&body, "k3y"));
    assert_eq!(with(&right, &secrets), Ok(1));
    assert_eq!(with("", &secrets), Err(Rejection::Unauthenticated { what: "signature" }));
    let other = Secrets { bitbucket_uuid: Some(Secret::new(b"other")), ..secrets };
    assert_eq!(with(&right, &other), Err(Rejection::Unauthenticated { what: "hook's UUID" }));
}

#[test]
fn gitlabs_signature_is_good_for_five_minutes() {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    let body = payload("gitlab-merge-request");
    let secret = format!("old\nwhsec_{}\n", BASE64_STANDARD.encode("k3y"));
    let secrets = Secrets { gitlab: Some(Secret::new(secret.as_bytes())), ..Secrets::default() };
    let signature = |key: &str, id: &str, at: i64| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(&body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    };
    let with = |id: &str, at: i64, signature: &str| {
        let (at, mut all) = (at.to_string(), headers(&[("X-Gitlab-Event", "Merge Request Hook")]));
        for (name, value) in [("webhook-id", id), ("webhook-timestamp", &at), ("webhook-signature", signature)] {
            all.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        receive(&all, &body, &secrets).is_ok()
    };
    let cases = [
        // what, id, time, signature, good
        ("right", "a", NOW, signature("k3y", "a", NOW), true),
        ("one of two", "a", NOW, format!("v1,AAAA {}", signature("k3y", "a", NOW)), true),
        ("almost too old", "a", NOW - 300, signature("k3y", "a", NOW - 300), true),
        ("too old", "a", NOW - 301, signature("k3y", "a", NOW - 301), false),
        ("from the future", "a", NOW + 301, signature("k3y", "a", NOW + 301), false),
        ("another time", "a", NOW + 1, signature("k3y", "a", NOW), false),
        ("another id", "b", NOW, signature("k3y", "a", NOW), false),
        ("another key", "a", NOW, signature("guess", "a", NOW), false),
        ("no key", "a", NOW, signature("", "a", NOW), false),
        ("the other secret", "a", NOW, signature("old", "a", NOW), false),
        ("another version", "a", NOW, signature("k3y", "a", NOW).replace("v1", "v2"), false),
        ("nothing", "", 0, String::new(), false),
    ];
    for (what, id, at, signature, good) in cases {
        assert_eq!(with(id, at, &signature), good, "{what}");
    }
}

#[test]
fn while_a_secret_is_changed_the_old_one_and_the_new_one_are_right() {
    let body = payload("github-push");
    let secrets = Secrets { github: Some(Secret::new(b"new\r\nold\n\n")), ..Secrets::default() };
    for (key, good) in [("new", true), ("old", true), ("", false), ("new\r\nold", false)] {
        let mut all = headers(GITHUB);
        let signature = format!("sha256={}", sign(&body, key));
        all.insert("x-hub-signature-256", HeaderValue::from_str(&signature).unwrap());
        assert_eq!(receive(&all, &body, &secrets).is_ok(), good, "{key:?}");
    }
}

#[test]
fn every_truncation_of_every_payload_is_refused() {
    for (name, sent, provider, _) in PULLS {
        let whole = payload(name);
        let whole = whole.trim_ascii_end();
        for length in 0..whole.len() {
            let cut = &whole[..length];
            let found = receive(&signed(sent, provider, cut), cut, &all_secrets());
            assert!(matches!(found, Err(Rejection::Malformed { .. })), "{name} cut at {length}: {found:?}");
        }
    }
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
            receive(&all, body, &secrets).map(|hints| hints.pushes.len())
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

/// Events that others have recorded of the real forges, in the folder `forge` of the one that `LEEBOARD_CORPUS` names.
#[test]
fn recorded_events_are_read() {
    let corpus = std::env::var_os("LEEBOARD_CORPUS").map(|corpus| std::path::Path::new(&corpus).join("forge"));
    let Some(corpus) = corpus.filter(|folder| folder.is_dir()) else {
        println!("skipped: LEEBOARD_CORPUS names no folder with recorded events of forges");
        return;
    };
    let merge_request: Headers = &[("X-Gitlab-Event", "Merge Request Hook")];
    let issue_comment: Headers = &[("X-Gitea-Event", "issue_comment"), ("X-GitHub-Event", "issue_comment")];
    let changed: Headers = &[("X-Event-Key", "pr:from_ref_updated")];
    // file, headers, sender, number, comment, a URL that it is about
    type Case = (&'static str, Headers, Provider, u64, Option<u64>, &'static str);
    let cases: [Case; 7] = [
        (
            "github/octokit/pull_request/synchronize.payload.json",
            &[("X-GitHub-Event", "pull_request")],
            Provider::GitHub,
            2,
            None,
            "https://github.com/Codertocat/Hello-World",
        ),
        (
            "github/octokit/pull_request_review/submitted.payload.json",
            &[("X-GitHub-Event", "pull_request_review")],
            Provider::GitHub,
            2,
            None,
            "git@github.com:Codertocat/Hello-World.git",
        ),
        (
            "gitea/webhooks/pull_request_comment_created.json",
            issue_comment,
            Provider::Gitea,
            2,
            Some(45),
            "http://try.gitea.io/gogits/hello-world",
        ),
        (
            "gitlab/webhooks/pull_request_create.json",
            merge_request,
            Provider::GitLab,
            1,
            None,
            "https://gitlab.com/gitlab-org/hello-world.git",
        ),
        (
            "gitlab/webhooks/merge_request_comment_create.json",
            &[("X-Gitlab-Event", "Note Hook")],
            Provider::GitLab,
            1,
            Some(50_772_616),
            "git@gitlab.com:gitlab-org/hello-world.git",
        ),
        (
            "bitbucket/webhooks/pr_comment_created.json",
            CLOUD_COMMENT,
            Provider::BitbucketCloud,
            1,
            Some(311_512_047),
            "https://bitbucket.org/rutvijmehta-harness/spring-cloud-alibaba",
        ),
        (
            "stash/webhooks/pr_from_ref_updated.json",
            changed,
            Provider::BitbucketServer,
            2,
            None,
            "http://example.com:7990/scm/prj/my-repo.git",
        ),
    ];
    for (file, sent, provider, number, comment, url) in cases {
        let body = std::fs::read(corpus.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let received = receive(&signed(sent, provider, &body), &body, &all_secrets());
        let received = received.unwrap_or_else(|rejection| panic!("{file}: {rejection}"));
        let [hint] = received.pulls.as_slice() else { panic!("{file}: {received:?}") };
        assert_eq!((hint.number, hint.comment), (number, comment), "{file}");
        assert!(hint.concerns(&RepoUrl::parse(url).unwrap()), "{file}: {:?}", hint.repositories);
    }
    // Comments of GitHub's own examples are on an issue.
    let body = std::fs::read(corpus.join("github/octokit/issue_comment/created.payload.json")).unwrap();
    let sent = signed(&[("X-GitHub-Event", "issue_comment")], Provider::GitHub, &body);
    assert_eq!(receive(&sent, &body, &all_secrets()), Ok(Received::default()));
}
