//! What is asked: method, path, query, body.

use reqwest::Url;

use super::super::call::{Call, Repeat};
use super::super::comment::Reaction;
use super::super::dialect;
use super::super::kind::Kind;
use super::super::merge::Method;
use super::super::pull::Opening;
use super::super::status::{Annotation, Level, Report, State, Status};
use super::{HEAD, comment, given, jane, shop};

fn shown<T>(call: &Call<T>) -> String {
    let url = call.url(&Url::parse("https://h/").unwrap());
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let body = call.body.as_ref().map(|body| format!(" {body}")).unwrap_or_default();
    let again = if call.is_write() && call.repeat == Repeat::Safe { " ↻" } else { "" };
    format!("{} {}{query}{body}{again}", call.method, url.path())
}

fn status(state: State) -> Status {
    Status {
        commit: HEAD.parse().unwrap(),
        branch: Some("raise-web".into()),
        context: "leeboard/preview".into(),
        state,
        description: "3 apps".into(),
        page: Some("https://leeboard.example.com/previews/482".into()),
    }
}

/// Every request of a forge, one a line.
fn requests(kind: Kind) -> String {
    let (dialect, repo, comment) = (dialect::of(kind), shop(kind), comment(kind));
    let pull = given(kind, &dialect.pull(&repo, 482), "pull-closed");
    let pull = pull.with_head(HEAD.parse().unwrap()).unwrap();
    let mut lines = vec![
        shown(&dialect.myself()),
        shown(&dialect.name(&repo)),
        shown(&dialect.open_pulls(&repo, Some("env/dev"))),
        shown(&dialect.pull(&repo, 482)),
    ];
    let opening =
        Opening { head: "raise-web".into(), base: "main".into(), title: "Raise web".into(), description: "why".into() };
    lines.push(shown(&dialect.open_pull(&repo, &opening)));
    lines.extend(dialect.whole_head(&repo, 482).as_ref().map(shown));
    lines.extend([
        shown(&dialect.comments(&repo, 482)),
        shown(&dialect.comment(&repo, 482, 5001)),
        shown(&dialect.create_comment(&repo, 482, "text")),
        shown(&dialect.edit_comment(&repo, &comment, "text")),
        shown(&dialect.delete_comment(&repo, &comment)),
    ]);
    lines.extend(dialect.react(&repo, &comment, Reaction::Up).as_ref().map(shown));
    for state in [State::Neutral, State::Error] {
        lines.push(shown(&dialect.put_status(&repo, &status(state))));
    }
    let report = |state| {
        let at = |line, level| Annotation { path: "web.yaml".into(), line, level, message: "look".into() };
        let annotations = match state {
            State::Pending => vec![],
            _ => vec![at(1, Level::Failure), at(2, Level::Warning), at(3, Level::Notice)],
        };
        Report { status: status(state), summary: "short".into(), text: "long".into(), annotations }
    };
    let commit = HEAD.parse().unwrap();
    lines.extend(dialect.report(&repo, commit, "leeboard/preview", &jane(kind)).as_ref().map(shown));
    lines.extend(dialect.put_report(&repo, &report(State::Pending), None).as_ref().map(shown));
    lines.extend(dialect.put_report(&repo, &report(State::Neutral), Some(4)).as_ref().map(shown));
    lines.extend(dialect.checks(&repo, HEAD.parse().unwrap()).iter().map(shown));
    lines.push(shown(&dialect.reviews(&repo, 482)));
    lines.extend(dialect.permission(&repo, &jane(kind)).iter().map(shown));
    for method in [Method::Merge, Method::Squash, Method::Rebase, Method::FastForward] {
        lines.extend(dialect.merge(&repo, &pull, method).as_ref().map(shown));
    }
    lines.join("\n").replace(HEAD, "HEAD") + "\n"
}

#[test]
fn every_forge_is_asked_in_its_own_words() {
    for kind in Kind::ALL {
        let path = format!("{}/tests/fixtures/forge/requests/{}.txt", env!("CARGO_MANIFEST_DIR"), kind.as_str());
        let found = requests(kind);
        if std::env::var_os("LEEBOARD_BLESS").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == expected, "{path}: bless it with LEEBOARD_BLESS=1 if this is right:\n{found}");
    }
}
