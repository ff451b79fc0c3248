//! What is asked of a forge for a pull request that has changed, or not. The forge is a script on loopback, whose answers
//! are those of `tests/fixtures/forge`.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::forge::played::{BOT, Played, Reply, app, say, signs_in};
use crate::forge::{Access, Kind};

const MARKER: &str = "<!-- leeboard:preview v1 instance=hub pr=482 -->";

fn head(digit: &str) -> Oid {
    digit.repeat(40).parse().unwrap()
}

fn text(head: &str, said: &str) -> Text {
    let pull = Pull { number: 482, head: head.repeat(40).into(), base: "0".repeat(40).into() };
    let said = format!("{said}\n");
    let comment = Comment { body: format!("{MARKER}\n\n{said}"), changes: said.len(), said, shown: 0, of: 0 };
    Text::of(comment, &pull, true)
}

fn verdicts(description: &str) -> Verdicts {
    BTreeMap::from([("leeboard/preview".to_owned(), Status::new(status::State::Success, description).into())])
}

/// A Gitea that keeps one comment of ours, if any, and takes all statuses.
fn gitea(comment: &Arc<Mutex<Option<String>>>) -> impl Fn(&str, &str) -> Reply + Send + Sync + 'static {
    let comment = comment.clone();
    move |line: &str, request: &str| {
        let mut comment = comment.lock();
        let sent: Value = serde_json::from_str(request.split_once("\n\n").unwrap().1).unwrap_or_default();
        let shown = |body: &str| {
            json!({
                "id": 5, "user": {"id": 7, "login": "leeboard"}, "body": body, "html_url": "x",
                "created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:00Z",
            })
        };
        match (line.split(' ').next().unwrap(), line.rsplit('/').next().unwrap()) {
            ("GET", "user") => say(200, r#"{"id": 7, "login": "leeboard"}"#),
            ("GET", "comments") => {
                say(200, &json!(comment.iter().map(|body| shown(body)).collect::<Vec<_>>()).to_string())
            }
            ("GET", "5") if comment.is_none() => say(404, "{}"),
            ("POST", "comments") | ("PATCH", "5") => {
                let body = sent["body"].as_str().unwrap().to_owned();
                let answer = shown(&body).to_string();
                *comment = Some(body);
                say(if line.starts_with("POST") { 201 } else { 200 }, &answer)
            }
            ("GET", "5") => say(200, &shown(comment.as_deref().unwrap()).to_string()),
            _ => say(201, "{}"),
        }
    }
}

/// The methods of the writes since the last look.
fn writes(forge: &Played, seen: &mut usize) -> String {
    let all = forge.seen();
    let new: Vec<String> = all[*seen..].iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    *seen = all.len();
    new.into_iter().filter(|method| method != "GET").collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn only_what_is_new_is_written() {
    type Step<'a> = (&'a str, Option<&'a str>, (&'a str, &'a str, &'a str), &'a str);
    let edited = format!("{MARKER}\n\nApproved! plan 0000\n");
    let same = "as it was written";
    let steps: [Step<'_>; 9] = [
        // what happens, the comment as a person leaves it, head, text, status; writes
        ("a pull request is opened", None, ("a", "web:2", "~1"), "POST POST"),
        ("the same event comes again", Some(same), ("a", "web:2", "~1"), ""),
        ("the branch moves, and nothing is new", Some(same), ("a", "web:2", "~1"), ""),
        ("the branch moves, and more changes", Some(same), ("a", "web:2, api:2", "~2"), "PATCH POST"),
        ("somebody deletes it, same head", None, ("a", "web:2, api:2", "~2"), ""),
        ("another head is pushed", None, ("b", "web:3", "~1"), "POST POST"),
        ("a writer edits its data", Some(&edited), ("b", "web:3", "~1"), ""),
        ("another push: what was edited is no evidence", Some(&edited), ("c", "web:3", "~1"), "PATCH POST"),
        ("it says so already, in another life", Some(same), ("c", "web:3", "~1"), "POST"),
    ];
    let comment: Arc<Mutex<Option<String>>> = Arc::default();
    let forge = Played::start(gitea(&comment)).await;
    let repository = forge.repository(Kind::Gitea, &Access::token("token"));
    let (mut told, mut seen) = (Told::default(), 0);
    for (what, left, (digit, said, description), expected) in steps {
        match left {
            Some(text) if text == same => {}
            left => *comment.lock() = left.map(str::to_owned),
        }
        if what.ends_with("in another life") {
            told = Told::default();
        }
        told.say(&repository, 482, text(digit, said)).await.unwrap();
        told.judge(&repository, head(digit), verdicts(description), None).await.unwrap();
        assert_eq!(writes(&forge, &mut seen), expected, "{what}");
    }
    assert_eq!(comment.lock().as_deref(), Some(text("c", "web:3").body.as_str()));
}

#[tokio::test]
async fn what_a_forge_does_not_take_is_told_from_what_passes() {
    let cases = [
        // the forge's, what it answers to a write, whether that is the end of it
        (Kind::GitLab, 404, r#"{"message": "404 Commit Not Found"}"#, true),
        (Kind::GitHub, 403, r#"{"message": "Unable to create comment because issue is locked."}"#, true),
        (Kind::GitHub, 422, r#"{"message": "Validation Failed"}"#, true),
        (Kind::GitHub, 401, r#"{"message": "Bad credentials"}"#, false),
        (Kind::GitHub, 503, "<html>", false),
    ];
    for (kind, status, body, is_final) in cases {
        let forge = Played::start(move |_, _| say(status, body)).await;
        let repository = forge.repository(kind, &Access::token("token"));
        let attempt = Told::default().judge(&repository, head("a"), verdicts("~1"), None).await;
        let found = taken(attempt);
        assert_eq!(found.is_ok(), is_final, "{status}: {found:?}");
        assert!(found.unwrap_or_else(Some).is_some_and(|why| why.contains("cannot set the status")), "{status}");
    }
}

fn words() -> Words {
    let annotation = Annotation { path: "web.yaml".into(), line: 7, level: Level::Failure, message: "no pod".into() };
    Words { summary: "1 risk".into(), changes: "~~~diff\n".into(), annotations: vec![annotation] }
}

/// GitHub, with the check runs that are recorded; what was sent to it is kept.
fn github(
    checks: u16,
    sent: &Arc<Mutex<Vec<(String, Value)>>>,
) -> impl Fn(&str, &str) -> Reply + Send + Sync + 'static {
    let sent = sent.clone();
    let runs = include_str!("../../../../tests/fixtures/forge/github/check-runs.json");
    move |line: &str, request: &str| {
        if let Some(reply) = signs_in(line, request, "ghs_1") {
            return reply;
        }
        let body = request.split_once("\n\n").unwrap().1;
        if !line.starts_with("GET") {
            let path = line.split_once("/shop/").map_or(line, |(_, path)| path);
            sent.lock().push((path.to_owned(), serde_json::from_str(body).unwrap_or_default()));
        }
        match line {
            line if line.contains("/users/") => say(200, BOT),
            line if line.starts_with("GET") && line.contains("/check-runs") => say(200, runs),
            line if line.contains("/check-runs") => say(checks, "{}"),
            _ => say(201, "{}"),
        }
    }
}

#[tokio::test]
async fn a_github_app_makes_a_check_run_and_others_a_status() {
    let cases = [
        // who asks, what GitHub answers to a check run, what is sent for the pending status and for the verdict
        ("a token", 201, ["statuses", "statuses"]),
        ("an App", 201, ["check-runs", "check-runs"]),
        ("an App without the right to checks", 403, ["check-runs statuses", "check-runs statuses"]),
    ];
    for (who, checks, expected) in cases {
        let sent: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let forge = Played::start(github(checks, &sent)).await;
        let access = if who == "a token" { Access::token("token") } else { app() };
        let repository = forge.repository(Kind::GitHub, &access);
        let mut told = Told::default();
        let verdict = Verdict { status: Status::new(status::State::Failure, "R6: no pod"), words: Some(words()) };
        let verdict: Verdicts = [("leeboard/preview".to_owned(), verdict)].into();
        let pending: Verdicts = [("leeboard/preview".to_owned(), Status::pending().into())].into();
        for (verdicts, expected) in [pending, verdict.clone()].into_iter().zip(expected) {
            told.judge(&repository, head("a"), verdicts, None).await.unwrap();
            let sent: Vec<(String, Value)> = std::mem::take(&mut *sent.lock());
            let paths: Vec<&str> = sent.iter().map(|(path, _)| path.split('/').next().unwrap()).collect();
            assert_eq!(paths.join(" "), expected, "{who}");
            for (path, body) in sent.iter().filter(|(path, _)| path.starts_with("check-runs")) {
                let output = &body["output"];
                match body["status"].as_str() {
                    Some("in_progress") => assert_eq!(output["summary"], output["title"], "{path}"),
                    _ => {
                        assert_eq!((&body["conclusion"], &output["title"]), (&json!("failure"), &json!("R6: no pod")));
                        assert_eq!((&output["summary"], &output["text"]), (&json!("1 risk"), &json!("~~~diff\n")));
                        assert_eq!(output["annotations"][0]["path"], "web.yaml", "{output}");
                    }
                }
            }
        }
        // What was said is not said again.
        told.judge(&repository, head("a"), verdict, None).await.unwrap();
        assert_eq!(sent.lock().len(), 0, "{who}");
    }
}
