use serde_json::json;

use super::super::super::terminal::ColorChoice;
use super::*;

const NOW: &str = "2026-11-21T10:00:30Z";

fn view(state: &Value, status: &Value, analysis: &Value) -> View {
    let record = json!({
        "state": state, "changed": "2026-11-21T10:00:00Z",
        "route": {"split": {"canary": status["canaryWeight"].as_u64().unwrap_or(0), "mirrored": false}, "is_confirmed": true},
    });
    let object = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {"name": "web", "namespace": "shop", "annotations": {record::ANNOTATION: record.to_string()}},
        "spec": {
            "provider": "istio", "targetRef": {"kind": "Deployment", "name": "web"}, "service": {"port": 80},
            "analysis": analysis,
        },
        "status": status,
    });
    View::new(&crate::api::decode(&object).unwrap(), NOW.parse().unwrap())
}

fn versions() -> Value {
    json!({"applied": {"template": "lb1:b"}, "promoted": {"template": "lb1:a"}})
}

fn running(hold: &Value) -> View {
    let run = json!({"analysing": {
        "versions": versions(), "started": "2026-11-21T10:00:00Z", "since": "2026-11-21T10:00:20Z",
        "check": 4, "failedChecks": 1, "iterations": 0, "hold": hold,
    }});
    let analysis = json!({"interval": "30s", "threshold": 5, "stepWeight": 10, "maxWeight": 60,
        "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]});
    let status = json!({"phase": "Progressing", "canaryWeight": 30, "failedChecks": 1,
        "lastTransitionTime": "2026-11-21T10:00:00Z"});
    view(&run, &status, &analysis)
}

fn resting(outcome: &Value, phase: &str) -> View {
    let rest = json!({"resting": {"versions": versions(), "outcome": outcome}});
    let status = json!({"phase": phase, "lastTransitionTime": "2026-11-21T09:58:30Z"});
    view(&rest, &status, &json!({"stepWeight": 10}))
}

fn plain(view: &View) -> String {
    let drawn = view.screen(&Terminal::new(ColorChoice::Never)).join("\n");
    anstream::adapter::strip_str(&drawn).to_string()
}

#[test]
fn a_run_is_drawn_with_its_weights() {
    let images = |tag: &str| [("web".to_owned(), format!("registry.example:5000/web:{tag}"))].into();
    let happened = Happened::of(&json!({"metadata": {"name": "web.1"}, "lastTimestamp": "2026-11-21T10:00:20Z",
        "action": "CanaryAdvanced", "message": "Advance web.shop canary weight 30", "type": "Normal"}));
    let view = running(&json!("free")).with_images(&images("1.5.0"), &images("1.4.1"));
    let view = view.with_events(happened.into_iter().collect());
    assert_eq!(
        plain(&view),
        "shop/web  Progressing  1.4.1 → 1.5.0  step 3 of 6  next in 20 s\n\
         \x20 primary  █████████████████████████████░░░░░░░░░░░░░  70 %\n\
         \x20 canary   ████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  30 %\n\
         \x20 checks   3 passed, 1 of 5 failed   request-success-rate ≥ 99\n\
         \x20 ◐ waits for the analysis, at weight 30\n\
         \n\
         \x20   10 s   Advance web.shop canary weight 30",
    );
    assert_eq!(view.line(), "Progressing  70/30  step 3 of 6  1 of 5 failed  waits for the analysis, at weight 30");
}

#[test]
fn what_a_person_can_do_is_said_last() {
    let failed = json!({"failed": {"checks": "success rate 98.00% < 99%"}});
    let cases = [
        // canary, what ended how, the last line
        (running(&json!("paused")), Ended::NotYet, "next: leeboard canary resume shop/web"),
        (running(&json!("promotion")), Ended::NotYet, "next: leeboard canary promote shop/web"),
        (resting(&failed, "Failed"), Ended::Badly, "next: leeboard canary retry shop/web"),
        (resting(&json!({"stranded": "no"}), "Failed"), Ended::Badly, "next: leeboard canary promote shop/web"),
        (resting(&json!("succeeded"), "Succeeded"), Ended::Well, "shop/web  Succeeded  since 2 min"),
    ];
    for (view, ended, last) in cases {
        assert_eq!((view.ended(), plain(&view).lines().last()), (ended, Some(last)), "{}", plain(&view));
    }
}

#[test]
fn a_wish_that_means_nothing_is_not_written() {
    use world::WishKind as W;
    let failed = || resting(&json!({"failed": "wentBack"}), "Failed");
    let done = || resting(&json!("succeeded"), "Succeeded");
    let so = |text: &str| Some(Needless::IsSo(text.into()));
    let cannot = |text: &str| Some(Needless::Cannot(text.into()));
    let cases = [
        // canary, wish, why it is not written
        (running(&json!("free")), W::Pause, None),
        (running(&json!("paused")), W::Pause, so("shop/web is paused already")),
        (running(&json!("free")), W::Resume, so("shop/web is not paused")),
        (running(&json!("free")), W::Abort, None),
        (running(&json!("free")), W::PromoteFully, None),
        (running(&json!("promotion")), W::Promote, None),
        (
            running(&json!("free")),
            W::Promote,
            cannot(
                "nothing to promote of shop/web: it waits for nobody; `--full` promotes it now, whatever is left to be checked",
            ),
        ),
        (running(&json!("free")), W::Retry, cannot("nothing to retry of shop/web: its last version has not failed")),
        (failed(), W::Retry, None),
        (
            failed(),
            W::Abort,
            cannot(
                "nothing to abort of shop/web: the last version was rolled back: git went back to the promoted version",
            ),
        ),
        (done(), W::Pause, cannot("nothing to pause of shop/web: no version is being checked")),
        (
            done(),
            W::Promote,
            cannot("nothing to promote of shop/web: the last version was promoted, and no other one is being tried"),
        ),
    ];
    for (view, wish, expected) in cases {
        assert_eq!(needless(&view, wish), expected, "{wish:?} of {}", view.line());
    }
}

#[test]
fn images_are_versions_when_only_tags_differ() {
    let cases = [
        ("web:1", "web:2", ("1", "2")),
        ("r:5000/web:1", "r:5000/web:2", ("1", "2")),
        ("r:5000/web", "r:5000/web:2", ("r:5000/web", "r:5000/web:2")),
        ("web:1", "shop:1", ("web:1", "shop:1")),
        ("web@sha256:a", "web@sha256:b", ("web@sha256:a", "web@sha256:b")),
    ];
    for (before, after, (old, new)) in cases {
        assert_eq!(super::versions(before, after), (old.into(), new.into()), "{before} {after}");
    }
}
