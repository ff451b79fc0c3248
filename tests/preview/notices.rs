//! Comments and statuses without a plan, and those of ours that a person has changed.

use leeboard::preview::Pull;
use leeboard::preview::comment::{Data, Flavour, Notice, Options, find, is_same, notice, write};
use leeboard::preview::full::full;
use leeboard::preview::mask::{FieldRule, Masks};
use leeboard::preview::risk::{Standards, assess};
use leeboard::preview::status::{Judgement, State, Status};
use serde_json::json;

use super::scene;

fn pull() -> Pull {
    Pull { number: 482, head: "3f9a1c2d".into(), base: "77c0de1f".into() }
}

#[test]
fn a_comment_without_a_plan_says_why() {
    let files: Vec<String> = (0..23).map(|at| format!("apps/{at}/@a.yaml")).collect();
    let cases = [
        // why, what is said
        (Notice::Nothing, vec!["No deployed manifest changes."]),
        (Notice::Conflict { files }, vec!["Cannot be merged: conflicts in", "- `apps/19/@a.yaml`\n- and 3 more\n"]),
        (Notice::TooLarge { objects: 25_000 }, vec!["Too large to preview: 25,000 objects."]),
    ];
    for (why, said) in cases {
        for flavour in Flavour::ALL {
            let text = notice(flavour, "hub-eu", &pull(), &why).body;
            assert!(said.iter().all(|said| text.contains(said)), "{text}");
            let found = find(&text).unwrap();
            assert_eq!((found.instance.as_str(), found.pull), ("hub-eu", 482), "{text}");
            assert_eq!(found.data.unwrap().head, "3f9a1c2d", "{text}");
        }
    }
}

#[test]
fn a_status_has_one_line_of_140_characters() {
    let cases = [
        // status, word, line
        (Status::no_changes(), State::Success, "no changes"),
        (Status::conflict(1), State::Error, "cannot be merged: conflicts in 1 file"),
        (
            Status::fork(None),
            State::Neutral,
            "not previewed: from a fork; `spec.previews.forks` of the Environment may allow it",
        ),
        (Status::too_large(25_000), State::Error, "too large to preview: 25,000 objects"),
        (Status::new(State::Error, "a\nb\u{202e}"), State::Error, "a b\\u{202e}"),
    ];
    for (status, state, description) in cases {
        assert_eq!((status.state, status.description.as_str()), (state, description));
    }
    let long = Status::new(State::Success, &"é".repeat(300));
    assert_eq!(long.description.chars().count(), 140);
}

/// A writer may edit our comment: what it says then is nothing to go by, and it is written again.
#[test]
fn an_edited_comment_is_seen_to_be_another() {
    let side = |value: &str| json!([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}, "data": {"a": value}}]);
    let preview = scene::preview(vec![scene::environment(&json!({"base": side("1"), "merged": side("2")}))]);
    let masks = Masks::of(&preview, vec![]);
    let written = |took: u64| {
        let mut options = Options::new(Flavour::Gitea);
        options.took = Some(std::time::Duration::from_millis(took));
        write(&preview, &[], &masks, &options).body
    };
    assert!(is_same(&written(410), &written(90).replace('\n', "\r\n")));
    assert!(written(410).contains(" · 0.41 s · "));
    let edited = written(410).replace("\"plan\":\"", "\"plan\":\"0");
    assert!(!is_same(&written(410), &edited));
    assert_ne!(find(&edited).unwrap().data, find(&written(410)).unwrap().data);
}

#[test]
fn all_of_a_preview_is_there_for_programs() {
    let side = |value: &str| json!([{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "shop"}, "stringData": {"a": value}}]);
    let preview = scene::preview(vec![scene::environment(
        &json!({"base": side("old-secret"), "merged": side("new-secret"), "pending": ["api"]}),
    )]);
    let masks = Masks::of(&preview, vec![]);
    let all = serde_json::to_value(full(&preview, &assess(&preview, &Standards::default()), &masks)).unwrap();
    let application = &all["environments"][0]["applications"][0];
    assert_eq!(application["changes"][0]["object"], "shop/a");
    assert_eq!(application["changes"][0]["what"], "changed");
    assert_eq!(application["changes"][0]["source"], "apps/web/secret.yaml:14:1");
    assert!(application["changes"][0]["diff"].as_str().unwrap().contains("-  a: ••• 1\n+  a: ••• 2\n"), "{all}");
    assert_eq!(application["pending"], json!(["shop/Deployment/api: changed in the cluster"]));
    assert_eq!(all["risks"][0]["says"], "plain Secret in git: `shop/a` with 1 value");
}

#[test]
fn nothing_is_said_of_nothing() {
    let same = json!([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}}]);
    let written = |reach: &str| {
        let preview = scene::preview(vec![scene::environment(&json!({"base": same, "merged": same, "reach": reach}))]);
        let masks = Masks::of(&preview, vec![]);
        let status = Status::of(&preview, &[], &masks, &Judgement::default());
        (write(&preview, &[], &masks, &Options::new(Flavour::GitHub)).body, status)
    };
    let (body, status) = written("compared");
    assert!(body.contains("\nNo deployed manifest changes.\n") && status == Status::no_changes(), "{body} {status:?}");
    let (body, status) = written("unreachable");
    assert!(body.contains("cluster eu-1 not reachable") && status.state == State::Neutral, "{body} {status:?}");
}

/// A person accepts the risks of one plan: the next push has another.
#[test]
fn only_the_accepted_plan_is_accepted() {
    let side = |replicas: u64| json!([{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "shop"}, "spec": {"replicas": replicas}}]);
    let preview = scene::preview(vec![scene::environment(&json!({"base": side(3), "merged": side(0)}))]);
    let (risks, masks) = (assess(&preview, &Standards::default()), Masks::of(&preview, vec![]));
    let plan = Data::of(&preview).plan;
    let cases = [
        // what makes it fail, the plan that was accepted, word
        (vec![], None, State::Success),
        (vec!["red"], None, State::Failure),
        (vec!["R7"], None, State::Failure),
        (vec!["R1"], None, State::Success),
        (vec!["red"], plan, State::Success),
        (vec!["red"], Some("another".to_owned()), State::Failure),
    ];
    for (fail, accepted, state) in cases {
        let words = fail.iter().map(|word| word.parse().unwrap()).collect();
        let judgement = Judgement { fail: words, accepted: accepted.clone(), ..Judgement::default() };
        assert_eq!(Status::of(&preview, &risks, &masks, &judgement).state, state, "{fail:?} {accepted:?}");
    }
}

#[test]
fn fields_that_a_project_names_are_masked() {
    let side = |hash: &str| {
        json!([{"apiVersion": "db.example/v1", "kind": "Database", "metadata": {"name": "a", "namespace": "shop"},
        "spec": {"users": [{"name": "app", "hash": hash}], "adminPassword": hash, "passwordRef": "open"}}])
    };
    let preview =
        scene::preview(vec![scene::environment(&json!({"base": side("planted-1"), "merged": side("planted-2")}))]);
    let rules = vec![FieldRule::new("db.example", "Database", "spec.users[*].hash")];
    let body = write(&preview, &[], &Masks::of(&preview, rules), &Options::new(Flavour::GitHub)).body;
    assert!(!body.contains("planted") && body.contains("passwordRef: open"), "{body}");
    assert!(body.contains("-  adminPassword: ••• 1\n+  adminPassword: ••• 2\n"), "{body}");
    assert!(body.contains("-    hash: ••• 1\n+    hash: ••• 2\n"), "{body}");
}
