//! What gates say: each verdict is one line that a person understands, and none passes for want of data.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::super::gate::{self, Answer, Asker, Kind, approval, checks};
use super::{at, commit};
use crate::api::flagger::ThresholdRange;
use crate::api::leeboard::promotion::{
    AlarmsGate, Approval, Checks, Gate, GateState, GateStatus, JobGate, MetricGate, Override, PromotionTrack, Soak,
    TemplateReference, Tenure, Word, WordVerdict,
};
use crate::canary::world::Reading;
use crate::forge::{Account, Check, State};

fn word(user: &str, verdict: WordVerdict, plan: &str, seconds: i64) -> Word {
    Word { user: user.into(), verdict, plan_hash: plan.into(), at: Some(Time(at(seconds))), ..Word::default() }
}

#[test]
fn approvals_count_for_the_plan_that_was_seen() {
    use WordVerdict::{Approve, Reject};
    let two = Approval { min: Some(2), ..Approval::default() };
    let listed = Approval { users: vec!["ann".into()], groups: vec!["ops".into()], ..Approval::default() };
    let own = Approval { not_author: Some(false), ..Approval::default() };
    let one = Approval::default();
    let grouped = Word { groups: vec!["ops".into()], ..word("zoe", Approve, "p1", 0) };
    let cases: Vec<(&str, &Approval, Vec<Word>, GateState, &str)> = vec![
        ("nobody yet", &one, vec![], GateState::Wait, "waits for 1 approval"),
        ("one of one", &one, vec![word("ann", Approve, "p1", 0)], GateState::Pass, "approved by ann"),
        (
            "twice is once",
            &two,
            vec![word("ann", Approve, "p1", 0), word("ann", Approve, "p1", 1)],
            GateState::Wait,
            "waits for 2 approvals, so far by ann",
        ),
        (
            "two of two",
            &two,
            vec![word("ann", Approve, "p1", 0), word("bob", Approve, "p1", 1)],
            GateState::Pass,
            "approved by ann, bob",
        ),
        (
            "one no of two",
            &two,
            vec![word("ann", Approve, "p1", 0), word("bob", Reject, "p1", 1)],
            GateState::Fail,
            "rejected by bob",
        ),
        (
            "the last word counts",
            &one,
            vec![word("ann", Reject, "p1", 0), word("ann", Approve, "p1", 1)],
            GateState::Pass,
            "approved by ann",
        ),
        (
            "another plan",
            &one,
            vec![word("ann", Approve, "p0", 0)],
            GateState::Wait,
            "waits for 1 approval (ann approved another plan)",
        ),
        (
            "expired",
            &one,
            vec![word("ann", Approve, "p1", -73 * 3600)],
            GateState::Wait,
            "waits for 1 approval (the approval by ann has expired)",
        ),
        (
            "from the future",
            &one,
            vec![word("ann", Approve, "p1", 3600)],
            GateState::Wait,
            "waits for 1 approval (the approval by ann is of a time to come)",
        ),
        (
            "who wrote it",
            &one,
            vec![word("jane@example.com", Approve, "p1", 0)],
            GateState::Wait,
            "waits for 1 approval (jane@example.com does not count: it is their own)",
        ),
        (
            "by their login too",
            &one,
            vec![word("jane", Approve, "p1", 0)],
            GateState::Wait,
            "waits for 1 approval (jane does not count: it is their own)",
        ),
        (
            "who asked for it",
            &one,
            vec![word("tom", Approve, "p1", 0)],
            GateState::Wait,
            "waits for 1 approval (tom does not count: it is their own)",
        ),
        ("where that may be", &own, vec![word("tom", Approve, "p1", 0)], GateState::Pass, "approved by tom"),
        (
            "who is not listed",
            &listed,
            vec![word("bob", Approve, "p1", 0)],
            GateState::Wait,
            "waits for 1 approval of ann, ops (bob is not one of those who decide)",
        ),
        (
            "nor may they say no",
            &listed,
            vec![word("bob", Reject, "p1", 0)],
            GateState::Wait,
            "waits for 1 approval of ann, ops (bob is not one of those who decide)",
        ),
        ("of a group", &listed, vec![grouped], GateState::Pass, "approved by zoe"),
    ];
    let asker = Asker { requested_by: Some("tom".into()), authors: vec!["Jane Doe <jane@example.com>".into()] };
    for (what, gate, words, state, message) in cases {
        let answer = approval(gate, &words, "p1", true, &asker, at(10));
        assert_eq!((answer.state, answer.message.as_str()), (state, message), "{what}");
    }
    let nothing = approval(&Approval::default(), &[], "p1", false, &asker, at(10));
    assert_eq!(nothing.message, "nothing to approve: no object changes");
}

fn check(context: &str, state: State, by: &str) -> Check {
    let author = Some(Account { id: by.into(), login: by.into(), is_bot: true });
    Check { context: context.into(), state, description: "said so".into(), author, updated: None }
}

#[test]
fn a_status_that_is_missing_never_passes() {
    let named = Checks { names: vec!["test".into(), "build".into()], ..Checks::default() };
    let all = Checks { all: true, ..Checks::default() };
    let skipped = Checks { names: vec!["test".into()], allow_skipped: true, ..Checks::default() };
    let trusted = Checks { names: vec!["test".into()], from: vec!["ci".into()], ..Checks::default() };
    let (green, red, runs) = (State::Success, State::Failure, State::Pending);
    let cases = [
        (&all, vec![], GateState::Wait, "the forge knows no status of this commit"),
        (
            &all,
            vec![check("leeboard/preview", green, "us")],
            GateState::Wait,
            "the forge knows no status of this commit",
        ),
        (&all, vec![check("test", green, "ci")], GateState::Pass, "green: `test` by ci"),
        (&named, vec![check("test", green, "ci")], GateState::Wait, "`build` is missing"),
        (&named, vec![check("test", runs, "ci"), check("build", green, "ci")], GateState::Wait, "`test` runs"),
        (&named, vec![check("test", red, "ci")], GateState::Fail, "`test` is red: said so"),
        (&skipped, vec![check("test", State::Neutral, "ci")], GateState::Pass, "green: `test` by ci"),
        (&all, vec![check("test", State::Neutral, "ci")], GateState::Wait, "`test` was skipped"),
        (&trusted, vec![check("test", green, "mallory")], GateState::Wait, "`test` is missing"),
        (&trusted, vec![check("test", green, "ci")], GateState::Pass, "green: `test` by ci"),
    ];
    for (gate, found, state, message) in cases {
        let answer = checks(gate, &found);
        assert_eq!((answer.state, answer.message.as_str()), (state, message), "{found:?}");
    }
}

fn tenure(verified: Option<i64>, healthy: Option<i64>, unhealthy: Option<i64>, soaked: i64) -> PromotionTrack {
    let time = |seconds: Option<i64>| seconds.map(|seconds| Time(at(seconds)));
    let current = Tenure {
        commit: commit('a'),
        origin: commit('a'),
        verified_at: time(verified),
        healthy_since: time(healthy),
        unhealthy_since: time(unhealthy),
        soaked,
        ..Tenure::default()
    };
    PromotionTrack { current: Some(current), ..PromotionTrack::default() }
}

#[test]
fn soaking_says_exactly_when_it_ends() {
    let gate = Soak { duration: "10m".into(), tolerance: None };
    let cases = [
        // track, asked at, what it says, when it is asked again
        (PromotionTrack::default(), 0, GateState::Wait, "aaaaaaa is not verified in any source environment", None),
        (
            tenure(Some(0), Some(0), None, 0),
            60,
            GateState::Wait,
            "healthy in int for 1m of 10m: until 2026-11-22 10:10:00Z",
            Some(600),
        ),
        (tenure(Some(0), Some(0), None, 0), 600, GateState::Pass, "healthy in int for 10m, 10m asked", None),
        (
            tenure(Some(0), Some(0), Some(540), 0),
            700,
            GateState::Wait,
            "int is not healthy since 2026-11-22 10:09:00Z: the 10m begin anew then",
            None,
        ),
        (tenure(Some(0), None, None, 600), 9999, GateState::Pass, "healthy in int for 10m, 10m asked", None),
    ];
    for (track, when, state, message, again) in cases {
        let answer = gate::soak(&gate, &commit('a'), &commit('a'), &[("int", &track)], at(when));
        assert_eq!((answer.state, answer.message.as_str()), (state, message));
        assert_eq!(answer.next_check, again.map(at), "{message}");
    }
    let odd = gate::soak(&Soak { duration: "soon".into(), tolerance: None }, "", "", &[], at(0));
    assert_eq!((odd.state, odd.message.as_str()), (GateState::Fail, "`soon` is no duration"));
}

#[test]
fn a_gate_has_a_name_a_kind_and_an_end() {
    let soak = Gate { soak: Some(Soak::default()), ..Gate::default() };
    let job = Gate { job: Some(JobGate::default()), ..Gate::default() };
    let named = Gate { name: Some("load".into()), ..job.clone() };
    let both = Gate { job: Some(JobGate::default()), ..soak.clone() };
    assert_eq!(gate::names(&[soak.clone(), job.clone(), named, job.clone()]), ["soak", "job", "load", "job-2"]);
    assert_eq!([Kind::of(&soak), Kind::of(&both), Kind::of(&Gate::default())], [Some(Kind::Soak), None, None]);

    let late = Gate { timeout: Some("1m".into()), ..job };
    let known = |state| GateStatus { state, since: Some(Time(at(0))), ..GateStatus::default() };
    let waits = || Answer::wait("Job x runs");
    let cases = [
        (None, 500, GateState::Wait, "Job x runs"),
        (Some(known(GateState::Wait)), 59, GateState::Wait, "Job x runs"),
        (Some(known(GateState::Wait)), 60, GateState::Fail, "not within 1m: Job x runs"),
        (Some(known(GateState::Pass)), 60, GateState::Wait, "Job x runs"),
    ];
    for (before, when, state, message) in cases {
        let answer = gate::timed_out(&late, before.as_ref(), waits(), at(when));
        assert_eq!((answer.state, answer.message.as_str()), (state, message));
    }

    let skip = [Override { gate: "load".into(), reason: "it burns".into() }];
    let answer = gate::overridden("load", &skip, Answer::fail("too slow"));
    assert_eq!(answer.state, GateState::Overridden);
    assert_eq!(answer.message, "overridden: it burns (it said: too slow)");
    assert_eq!(gate::overridden("soak", &skip, Answer::fail("too short")).state, GateState::Fail);
    assert_eq!(gate::overridden("load", &skip, Answer::pass("fine")).state, GateState::Pass);
}

#[test]
fn a_metric_is_measured_several_times() {
    let bounds = ThresholdRange { min: Some(99.0), max: None };
    let reference = TemplateReference { name: "success".into(), namespace: None };
    let gate = MetricGate { template_ref: reference, threshold_range: bounds, count: Some(2), ..MetricGate::default() };
    let forgiving = MetricGate { failure_limit: Some(1), ..gate.clone() };
    let value = Reading::Value;
    let silent = || Reading::NoData(String::new());
    let cases = [
        // gate, measurements, what it says at last
        (&gate, vec![value(100.0)], GateState::Wait, "success is 100: 1 of 2 measurements"),
        (&gate, vec![value(100.0), value(99.5)], GateState::Pass, "success is 99.5: 2 measurements within its bounds"),
        (
            &gate,
            vec![value(100.0), value(98.0)],
            GateState::Fail,
            "success is 98: 1 of 2 measurements outside of its bounds",
        ),
        (
            &forgiving,
            vec![value(98.0), value(100.0), value(100.0)],
            GateState::Pass,
            "success is 100: 2 measurements within its bounds",
        ),
        (&gate, vec![silent(), silent()], GateState::Wait, "success has no data: 0 of 2 measurements"),
        (
            &gate,
            vec![Reading::Error("refused".into())],
            GateState::Wait,
            "success cannot be measured: refused: 0 of 2 measurements",
        ),
    ];
    for (gate, readings, state, message) in cases {
        let mut answer = Answer::wait("");
        for reading in &readings {
            answer = gate::metric(gate, reading, &answer.evidence, at(0));
        }
        assert_eq!((answer.state, answer.message.as_str()), (state, message), "{readings:?}");
        assert_eq!(answer.next_check, (state == GateState::Wait).then(|| at(60)), "{readings:?}");
    }
}

#[test]
fn it_has_to_be_quiet_for_a_while() {
    let gate = AlarmsGate { lasts: Some("1m".into()), ..AlarmsGate::default() };
    let (quiet, loud) = (|| vec![Reading::Value(0.0)], || vec![Reading::Firing("Checkout".into())]);
    let first = gate::alarms(&gate, &quiet(), &Answer::wait("").evidence, false, at(0));
    assert_eq!(first.message, "no alarm since 2026-11-22 10:00:00Z: until 2026-11-22 10:01:00Z");
    let second = gate::alarms(&gate, &quiet(), &first.evidence, false, at(61));
    assert_eq!((second.state, second.message.as_str()), (GateState::Pass, "no alarm for 1m1s"));
    let broken = gate::alarms(&gate, &loud(), &first.evidence, false, at(30));
    assert_eq!((broken.state, broken.message.as_str()), (GateState::Wait, "an alarm is on: Checkout"));
    let anew = gate::alarms(&gate, &quiet(), &broken.evidence, false, at(61));
    assert_eq!(anew.state, GateState::Wait, "the time begins anew");
    assert_eq!(gate::alarms(&gate, &loud(), &first.evidence, true, at(30)).state, GateState::Fail);
    let unknown = gate::alarms(&gate, &[Reading::Error("no route".into())], &first.evidence, false, at(61));
    assert_eq!((unknown.state, unknown.message.as_str()), (GateState::Error, "alarms are not known: no route"));
    assert_eq!(gate::alarms(&gate, &[], &first.evidence, false, at(61)).state, GateState::Fail);
}
