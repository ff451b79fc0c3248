//! A forge in trouble, at its limit, or too talkative.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::super::super::played::{HURRY, Played, Reply, in_turn, say, with};
use super::super::super::{Error, Forge, Kind};
use super::{status, text, token};
use crate::git::RepoUrl;

#[tokio::test]
async fn trouble_that_passes_is_not_seen() {
    let pull = || say(200, &text(Kind::Gitea, "pull-closed"));
    let troubles: [fn() -> Reply; 5] = [
        || say(502, "<html>"),
        || say(503, ""),
        || say(408, ""),
        || Reply::HangUp,
        || with(429, &[("retry-after", "0")], ""),
    ];
    for trouble in troubles {
        let forge = Played::start(in_turn(vec![trouble, trouble, pull])).await;
        let read = forge.repository(Kind::Gitea, &token()).pull(482).await;
        assert_eq!(read.unwrap().number, 482);
        assert_eq!(forge.seen().len(), 3);
    }
}

#[tokio::test]
async fn a_forge_that_is_down_costs_less_and_less() {
    let forge = Played::start(|_, _| say(500, "")).await;
    let repository = forge.repository(Kind::Gitea, &token());
    let mut errors = Vec::new();
    for _ in 0..2 {
        errors.push(repository.pull(482).await.unwrap_err());
    }
    // 5 s at 5 to 40 ms between two: without a rest there would be thousands.
    let asked = forge.seen().len();
    assert!((5..=300).contains(&asked), "{asked}");
    assert!(errors.iter().all(Error::is_transient), "{errors:?}");

    let nobody = Forge::with_timing(Kind::Gitea, "http://127.0.0.1:9", &token(), HURRY).unwrap();
    let error = Arc::new(nobody).repository(&RepoUrl::parse("http://127.0.0.1:9/a/b").unwrap()).unwrap();
    let error = error.pull(1).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. } | Error::Resting { .. }) && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn limits_are_kept() {
    // A fifth of the window is left: only what is urgent goes.
    let headers = |remaining: u64| {
        let resets = Timestamp::now().as_second() + 600;
        vec![
            ("x-ratelimit-limit", "100".to_owned()),
            ("x-ratelimit-remaining", remaining.to_string()),
            ("x-ratelimit-reset", resets.to_string()),
        ]
    };
    let forge = Played::start(move |_, _| Reply::Say(200, headers(20), text(Kind::GitHub, "pull-closed"))).await;
    let repository = forge.repository(Kind::GitHub, &token());
    repository.pull(482).await.unwrap();
    let error = repository.pull(482).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { .. }), "{error}");
    assert!(error.retry_at().is_some_and(|at| at > Timestamp::now() + Duration::from_secs(500)));
    repository.urgent().pull(482).await.unwrap();
    assert_eq!(forge.seen().len(), 2);

    // What is said to be too much is waited for, if it is short.
    let limited = || with(403, &[("retry-after", "1")], r#"{"message": "You have exceeded a secondary rate limit"}"#);
    let forge = Played::start(in_turn(vec![limited, || say(200, &text(Kind::GitHub, "pull-closed"))])).await;
    let start = std::time::Instant::now();
    forge.repository(Kind::GitHub, &token()).pull(482).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));

    let long = || with(429, &[("retry-after", "300")], "");
    let forge = Played::start(in_turn(vec![long])).await;
    let repository = forge.repository(Kind::GitLab, &token());
    for _ in 0..3 {
        assert!(matches!(repository.pull(482).await.unwrap_err(), Error::RateLimited { .. }));
    }
    assert_eq!(forge.seen().len(), 1, "it is not asked again before its time");
}

#[tokio::test]
async fn what_is_not_new_is_not_sent_again() {
    let script = |_: &str, request: &str| match request.contains("if-none-match: \"one\"") {
        true => with(304, &[("x-ratelimit-remaining", "10")], ""),
        false => with(200, &[("etag", "\"one\"")], &text(Kind::GitHub, "pull-closed")),
    };
    let forge = Played::start(script).await;
    let repository = forge.repository(Kind::GitHub, &token());
    let first = repository.pull(482).await.unwrap();
    assert_eq!(repository.pull(482).await.unwrap(), first);
    assert_eq!(forge.seen().len(), 2);
}

#[tokio::test]
async fn githubs_writes_go_one_after_the_other() {
    let forge = Played::start(|_, _| say(201, "{}")).await;
    let repository = forge.repository(Kind::GitHub, &token());
    let status = status();
    let start = std::time::Instant::now();
    let (one, two, three) =
        tokio::join!(repository.put_status(&status), repository.put_status(&status), repository.put_status(&status));
    one.and(two).and(three).unwrap();
    assert!(start.elapsed() >= 2 * HURRY.between_writes, "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_answer_without_end_costs_no_memory() {
    let forge = Played::start(|_, _| say(200, &" ".repeat(17 << 20))).await;
    let error = forge.repository(Kind::Gitea, &token()).pull(482).await.unwrap_err();
    assert!(error.to_string().ends_with("the answer is larger than 16 MiB"), "{error}");
}
