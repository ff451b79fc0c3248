//! How a forge is talked to: lists, errors, renamed repositories, merges. The forge is a script on loopback.

mod comments;
mod reach;
mod trouble;

use parking_lot::Mutex;

use super::super::played::{Played, Reply, say, with};
use super::super::{Access, Error, Kind, Merged, Method, State, Status};
use super::{HEAD, fixture};

fn text(kind: Kind, name: &str) -> String {
    String::from_utf8(fixture(kind, name)).unwrap()
}

fn token() -> Access {
    Access::token("planted-token")
}

#[tokio::test]
async fn a_list_has_all_its_pages_or_is_an_error() {
    let next = r#"<http://other.example/?page=2&limit=50>; rel="next""#;
    let second = |status: u16| {
        move |line: &str, _: &str| match line.contains("page=2") {
            false => with(200, &[("link", next)], &text(Kind::Gitea, "pulls")),
            true if status == 200 => {
                say(200, &text(Kind::Gitea, "pulls").replace("\"number\": 482", "\"number\": 999"))
            }
            true => say(status, "{}"),
        }
    };
    let forge = Played::start(second(200)).await;
    let pulls = forge.repository(Kind::Gitea, &token()).open_pulls("main").await.unwrap();
    assert_eq!(pulls.iter().map(|pull| pull.number).collect::<Vec<_>>(), [482, 483, 484, 999]);

    // Nothing is concluded of a pull request that is not in the half that came.
    let forge = Played::start(second(500)).await;
    let error = forge.repository(Kind::Gitea, &token()).open_pulls("main").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { status: 500, .. }) && error.is_transient(), "{error}");
    assert!(error.retry_at().is_some());

    // The last page may be empty, and another list shorter than it was counted.
    let counted = |line: &str, _: &str| match line.contains("page=1") {
        true => with(200, &[("x-total-count", "9")], &text(Kind::Gitea, "pulls")),
        false => with(200, &[("x-total-count", "9")], "[]"),
    };
    let forge = Played::start(counted).await;
    let pulls = forge.repository(Kind::Gitea, &token()).open_pulls("main").await.unwrap();
    assert_eq!((pulls.len(), forge.seen().len()), (3, 2));

    let forge = Played::start(move |_, _| with(200, &[("link", next)], "[]")).await;
    let error = forge.repository(Kind::Gitea, &token()).open_pulls("main").await.unwrap_err();
    assert!(error.to_string().contains("the list does not end"), "{error}");
}

fn status() -> Status {
    Status {
        commit: HEAD.parse().unwrap(),
        branch: None,
        context: "leeboard/preview".into(),
        state: State::Success,
        description: "3 apps".into(),
        page: None,
    }
}

#[tokio::test]
async fn errors_say_what_is_missing_and_nothing_secret() {
    let scope =
        r#"{"message": "token planted-token does not have at least one of required scope(s), required=[write:issue]"}"#;
    let cases = [
        // status, body, what a person reads, hint
        (401, "{}", "it refuses the configured credential", "Replace the token"),
        (403, scope, "the credential may not: token •••••", "Give the token the right `write:issue`"),
        (404, "{}", "there is no such thing, or the credential may not see it", "member of the repository"),
        (200, "<html>planted-token", "a page for people", "Check which forge it is"),
        (200, r#"{"number": "planted-token"}"#, "is not what its API gives: number", "Check which forge it is"),
        (418, r#"{"message": "tea"}"#, "it answers 418: tea", ""),
    ];
    for (status, body, expected, hint) in cases {
        let forge = Played::start(move |_, _| say(status, body)).await;
        let error = forge.repository(Kind::Gitea, &token()).pull(482).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("cannot read pull request 482 of platform/shop at http://127"), "{text}");
        assert!(text.contains(expected), "{status}: {text}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{status}: {:?}", error.hint());
        let shown = format!("{text} {error:?} {:?}", error.hint());
        assert!(!shown.contains("planted"), "{shown}");
        assert_eq!(forge.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_status_that_the_forge_cannot_have_is_tried_once() {
    let forge = Played::start(|_, _| say(404, r#"{"message": "404 Commit Not Found"}"#)).await;
    let error = forge.repository(Kind::GitLab, &token()).put_status(&status()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }) && !error.is_transient(), "{error}");
    assert_eq!(forge.seen().len(), 1);
}

#[tokio::test]
async fn a_renamed_repository_is_followed_and_told() {
    let script = |line: &str, _: &str| {
        let path = line.split(' ').nth(1).unwrap().replace("/platform/shop", "/team/store");
        match line {
            // As Gitea does it, with reads and writes alike.
            line if line.contains("/platform/shop") => with(301, &[("location", &path)], ""),
            "GET /api/v1/repos/team/store" => say(200, r#"{"full_name": "team/store"}"#),
            line if line.starts_with("GET") => say(200, &text(Kind::Gitea, "pull-closed")),
            _ => say(201, "{}"),
        }
    };
    let forge = Played::start(script).await;
    let repository = forge.repository(Kind::Gitea, &token());
    repository.put_status(&status()).await.unwrap();
    let writes: Vec<String> = forge.seen().into_iter().filter(|line| line.starts_with("POST")).collect();
    let path = |name: &str| format!("POST /api/v1/repos/{name}/statuses/{HEAD}");
    assert_eq!(writes, [path("platform/shop"), path("team/store")]);
    assert_eq!(repository.moved_to().unwrap().to_string(), "team/store");
    // From now on it is asked by its name.
    let before = forge.seen().len();
    repository.pull(482).await.unwrap();
    assert_eq!(forge.seen()[before..], ["GET /api/v1/repos/team/store/pulls/482"]);

    let forge = Played::start(script).await;
    let repository = forge.repository(Kind::Gitea, &token());
    repository.pull(482).await.unwrap();
    assert_eq!(repository.moved_to().unwrap().to_string(), "team/store");
    assert_eq!(forge.repository(Kind::Gitea, &token()).moved_to(), None);
}

#[tokio::test]
async fn a_head_that_is_cut_short_is_looked_up_once() {
    let script = |line: &str, _: &str| match line {
        line if line.contains("/commits") => say(200, &text(Kind::BitbucketCloud, "commits")),
        _ => say(200, &text(Kind::BitbucketCloud, "pull-closed")),
    };
    let forge = Played::start(script).await;
    let repository = forge.repository(Kind::BitbucketCloud, &token());
    for _ in 0..2 {
        assert_eq!(repository.pull(482).await.unwrap().head, HEAD.parse().unwrap());
    }
    assert_eq!(forge.seen().iter().filter(|line| line.contains("/commits")).count(), 1);

    // Two commits may begin alike: as soon as anything of the pull request is new, it is another head.
    let moved = |line: &str, _: &str| match line {
        line if line.contains("/commits") => say(200, &text(Kind::BitbucketCloud, "commits").replace("3f9a", "4f9a")),
        _ => say(200, &text(Kind::BitbucketCloud, "pull-closed")),
    };
    let forge = Played::start(moved).await;
    let error = forge.repository(Kind::BitbucketCloud, &token()).pull(482).await.unwrap_err();
    assert!(error.to_string().contains("moved while it was read") && error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_merge_waits_for_the_forge_and_never_for_another_head() {
    let open = || text(Kind::Gitea, "pull-closed").replace("\"closed\"", "\"open\"");
    let head = HEAD.parse().unwrap();
    let later = r#"{"message": "Please try again later"}"#;
    let asked = Mutex::new(0);
    let script = move |line: &str, _: &str| {
        let mut asked = asked.lock();
        match line.starts_with("POST") {
            true if *asked < 2 => {
                *asked += 1;
                say(405, later)
            }
            true => {
                *asked += 1;
                say(200, "")
            }
            false if *asked > 2 => say(200, &text(Kind::Gitea, "pull-merged")),
            false => say(200, &open()),
        }
    };
    let forge = Played::start(script).await;
    let merged = forge.repository(Kind::Gitea, &token()).merge(482, head, Method::Squash).await.unwrap();
    assert_eq!(merged, Merged::Done { commit: Some(super::MERGE.parse().unwrap()) });

    let forge =
        Played::start(move |line, _| if line.starts_with("POST") { say(405, later) } else { say(200, &open()) });
    let forge = forge.await;
    let repository = forge.repository(Kind::Gitea, &token());
    let merged = repository.merge(482, head, Method::Merge).await.unwrap();
    assert_eq!(merged, Merged::NotYet { said: "Please try again later".into() });
    let before = forge.seen().len();
    let other = super::BASE.parse().unwrap();
    assert_eq!(repository.merge(482, other, Method::Merge).await.unwrap(), Merged::HeadMoved);
    assert_eq!(forge.seen().len(), before + 1, "nothing is asked to be merged");

    // The answer was lost, and it was merged.
    let lost = Mutex::new(false);
    let script = move |line: &str, _: &str| match line.starts_with("POST") {
        true => {
            *lost.lock() = true;
            Reply::HangUp
        }
        false if *lost.lock() => say(200, &text(Kind::Gitea, "pull-merged")),
        false => say(200, &open()),
    };
    let forge = Played::start(script).await;
    let merged = forge.repository(Kind::Gitea, &token()).merge(482, head, Method::Merge).await.unwrap();
    assert_eq!(merged, Merged::Done { commit: Some(super::MERGE.parse().unwrap()) });
    assert_eq!(forge.seen().iter().filter(|line| line.starts_with("POST")).count(), 1);
}
