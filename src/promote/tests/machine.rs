//! One promotion from its beginning to its end; and the promises that hold whatever happens.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::super::gate::{self, Answer};
use super::super::machine::{Action, Decision, Deployed, Facts, Outcome, Proposal, Pull, after, decide, noted};
use super::super::window::Gateway;
use super::{at, commit};
use crate::api::leeboard::promotion::{
    AfterFailure, Fallback, GateState, GateStatus, Lock, PlanSummary, Promotion, PromotionKind, PromotionPhase,
    PromotionPolicy, PromotionSpec, PromotionStatus, WriteMode, WritePolicy,
};

fn promotion(phase: PromotionPhase) -> Promotion {
    let spec = PromotionSpec {
        environment: "prod".into(),
        commit: commit('a'),
        from: Some("int".into()),
        ..PromotionSpec::default()
    };
    let mut promotion = Promotion::new("prod-aaaaaaaaaaaa", "leeboard", spec);
    promotion.status = Some(PromotionStatus { phase, started_at: Some(Time(at(0))), ..PromotionStatus::default() });
    promotion
}

fn gate(name: &str, state: GateState) -> GateStatus {
    let answer = Answer { state, ..Answer::wait(format!("it is {state:?}")) };
    gate::noted(name, name, false, answer, &[], at(0))
}

/// All is green.
fn facts() -> Facts {
    Facts {
        now: at(10),
        behind: None,
        superseded_by: None,
        rejected: None,
        proposal: Proposal::Ready(PlanSummary { hash: "p1".into(), changed: 1, ..PlanSummary::default() }),
        gates: vec![gate("soak", GateState::Pass)],
        waits_for_people: false,
        gateway: Gateway::Open,
        written: None,
        pull: Pull::None,
        deployed: Deployed::Not("not there".into()),
        after: vec![],
        unhealthy: None,
    }
}

type Bend = fn(&mut Facts);

#[test]
fn each_state_goes_where_the_facts_lead() {
    use PromotionPhase as P;
    let asks = |mode| PromotionPolicy {
        write: Some(WritePolicy { mode, ..WritePolicy::default() }),
        ..PromotionPolicy::default()
    };
    let plain = PromotionPolicy::default();
    let pulls = asks(WriteMode::PullRequest);
    let merges = PromotionPolicy {
        write: Some(WritePolicy { mode: WriteMode::PullRequest, auto_merge: true, ..WritePolicy::default() }),
        ..PromotionPolicy::default()
    };
    let reverts = PromotionPolicy { rollback: AfterFailure::Revert, ..PromotionPolicy::default() };
    let red: Bend = |facts| facts.gates.push(gate("load", GateState::Fail));
    let waiting: Bend = |facts| facts.gates.push(gate("load", GateState::Wait));
    let open: Bend = |facts| facts.pull = Pull::Open { number: 7, is_current: true, is_foreign: false };
    let cases: Vec<(P, &PromotionPolicy, Bend, P, &str, Action)> = vec![
        (P::Pending, &plain, |_| {}, P::Writing, "all gates have passed", Action::Write),
        (
            P::Pending,
            &plain,
            |f| f.behind = Some("waits for prod-b, which is Deploying".into()),
            P::Pending,
            "waits for prod-b, which is Deploying",
            Action::None,
        ),
        (
            P::Gated,
            &plain,
            |f| f.superseded_by = Some("prod-b".into()),
            P::Superseded,
            "prod-b has taken its place",
            Action::None,
        ),
        (
            P::Gated,
            &plain,
            |f| f.rejected = Some("it leaks".into()),
            P::Failed,
            "aaaaaaa is rejected: it leaks",
            Action::None,
        ),
        (
            P::Gated,
            &plain,
            |f| f.proposal = Proposal::Needless("env/prod has aaaaaaa".into()),
            P::Succeeded,
            "nothing to do: env/prod has aaaaaaa",
            Action::None,
        ),
        (
            P::Gated,
            &plain,
            |f| f.proposal = Proposal::Conflict("both have changed a.yaml".into()),
            P::Gated,
            "conflict: both have changed a.yaml",
            Action::None,
        ),
        (
            P::Gated,
            &plain,
            |f| f.proposal = Proposal::Broken("web would not render".into()),
            P::Failed,
            "web would not render",
            Action::None,
        ),
        (P::Gated, &plain, red, P::Failed, "load: it is Fail", Action::None),
        (P::Gated, &plain, waiting, P::Gated, "load: it is Wait", Action::None),
        (
            P::Gated,
            &plain,
            |f| f.gates.push(gate("load", GateState::Error)),
            P::Gated,
            "load: it is Error",
            Action::None,
        ),
        (
            P::Gated,
            &plain,
            |f| f.gates.push(gate("load", GateState::Overridden)),
            P::Writing,
            "all gates have passed",
            Action::Write,
        ),
        (
            P::Gated,
            &plain,
            |f| f.gateway = Gateway::Closed { why: "prod is locked: audit".into(), opens: Some(at(600)) },
            P::Gated,
            "prod is locked: audit, opens at 2026-11-22 10:10:00Z",
            Action::None,
        ),
        (
            P::Gated,
            &plain,
            |f| f.unhealthy = Some("web is Degraded".into()),
            P::Gated,
            "prod is not healthy: web is Degraded",
            Action::None,
        ),
        (
            P::Gated,
            &plain,
            |f| {
                f.gates.push(gate("load", GateState::Wait));
                f.now = at(25 * 3600)
            },
            P::Failed,
            "not within 24h: load: it is Wait",
            Action::None,
        ),
        (
            P::Gated,
            &plain,
            |f| {
                f.gates.push(gate("approval", GateState::Wait));
                f.waits_for_people = true;
                f.now = at(25 * 3600)
            },
            P::Gated,
            "approval: it is Wait",
            Action::None,
        ),
        // What was written before a crash is found, and not written again.
        (P::Writing, &plain, |_| {}, P::Writing, "being written", Action::Write),
        (P::Writing, &plain, |f| f.written = Some(commit('b')), P::Deploying, "not there", Action::None),
        (P::Gated, &plain, |f| f.written = Some(commit('b')), P::Deploying, "not there", Action::None),
        // A lock, or a red gate, right before the write.
        (
            P::Writing,
            &plain,
            |f| f.gateway = Gateway::Closed { why: "closed".into(), opens: None },
            P::Gated,
            "closed",
            Action::None,
        ),
        (P::Writing, &plain, red, P::Failed, "load: it is Fail", Action::None),
        // A pull request.
        (P::Gated, &pulls, |_| {}, P::PullRequest, "a pull request is opened", Action::Propose),
        (
            P::Gated,
            &pulls,
            |f| f.gates.push(gate("approval", GateState::Wait)),
            P::PullRequest,
            "a pull request is opened",
            Action::Propose,
        ),
        (P::Gated, &pulls, waiting, P::Gated, "load: it is Wait", Action::None),
        (
            P::PullRequest,
            &pulls,
            open,
            P::PullRequest,
            "all gates have passed: pull request #7 waits for a merge",
            Action::None,
        ),
        (P::PullRequest, &merges, open, P::PullRequest, "pull request #7 is merged", Action::Merge),
        (
            P::PullRequest,
            &merges,
            |f| {
                f.pull = Pull::Open { number: 7, is_current: true, is_foreign: false };
                f.gates.push(gate("approval", GateState::Wait))
            },
            P::PullRequest,
            "pull request #7: approval: it is Wait",
            Action::None,
        ),
        (
            P::PullRequest,
            &merges,
            |f| {
                f.pull = Pull::Open { number: 7, is_current: true, is_foreign: false };
                f.gates.push(gate("job", GateState::Fail))
            },
            P::Failed,
            "job: it is Fail",
            Action::Close,
        ),
        // What is asked again may turn green: nobody merges meanwhile.
        (
            P::PullRequest,
            &merges,
            |f| {
                f.pull = Pull::Open { number: 7, is_current: true, is_foreign: false };
                f.gates.push(GateStatus { next_check: Some(Time(at(20))), ..gate("checks", GateState::Fail) })
            },
            P::PullRequest,
            "pull request #7: checks: it is Fail",
            Action::None,
        ),
        (
            P::PullRequest,
            &merges,
            |f| f.pull = Pull::Open { number: 7, is_current: false, is_foreign: false },
            P::PullRequest,
            "pull request #7 is brought up to date",
            Action::Propose,
        ),
        (
            P::PullRequest,
            &pulls,
            |f| f.pull = Pull::Open { number: 7, is_current: false, is_foreign: true },
            P::PullRequest,
            "all gates have passed: pull request #7 waits for a merge",
            Action::None,
        ),
        (P::PullRequest, &pulls, |f| f.pull = Pull::Closed, P::Aborted, "its pull request was closed", Action::None),
        (
            P::PullRequest,
            &pulls,
            |f| {
                f.pull = Pull::Merged(Some(commit('c')));
                f.written = Some(commit('c'))
            },
            P::Deploying,
            "not there",
            Action::None,
        ),
        // What the cluster makes of it.
        (
            P::Deploying,
            &plain,
            |f| {
                f.written = Some(commit('b'));
                f.deployed = Deployed::Held(None)
            },
            P::Succeeded,
            "verified in prod",
            Action::None,
        ),
        (
            P::Deploying,
            &plain,
            |f| {
                f.written = Some(commit('b'));
                f.deployed = Deployed::Held(Some("web is Progressing".into()))
            },
            P::Verifying,
            "web is Progressing",
            Action::None,
        ),
        (
            P::Deploying,
            &plain,
            |f| f.deployed = Deployed::Failed("sync of web failed".into()),
            P::Failed,
            "sync of web failed",
            Action::None,
        ),
        (
            P::Deploying,
            &reverts,
            |f| f.deployed = Deployed::Failed("sync of web failed".into()),
            P::Deploying,
            "sync of web failed",
            Action::TakeBack,
        ),
        (
            P::Verifying,
            &reverts,
            |f| {
                f.deployed = Deployed::Held(None);
                f.after = vec![gate("acceptance", GateState::Fail)]
            },
            P::Verifying,
            "acceptance: it is Fail",
            Action::TakeBack,
        ),
        (
            P::Verifying,
            &plain,
            |f| {
                f.deployed = Deployed::Held(None);
                f.after = vec![gate("acceptance", GateState::Wait)]
            },
            P::Verifying,
            "acceptance: it is Wait",
            Action::None,
        ),
        (
            P::Verifying,
            &reverts,
            |f| f.deployed = Deployed::Degraded("web is Degraded".into()),
            P::Verifying,
            "web is Degraded",
            Action::TakeBack,
        ),
        (P::Failed, &plain, |_| {}, P::Failed, "", Action::None),
    ];
    for (phase, policy, bend, then, message, action) in cases {
        let mut facts = facts();
        bend(&mut facts);
        let found = decide(&promotion(phase), policy, &facts);
        assert_eq!(found, Decision { phase: then, message: message.into(), action }, "{phase:?} {facts:?}");
    }
}

#[test]
fn a_person_ends_it_where_it_stands() {
    use PromotionPhase as P;
    let cases: [(P, Pull, &str, Action); 4] = [
        (P::Gated, Pull::None, "aborted by ann: too late", Action::None),
        (
            P::PullRequest,
            Pull::Open { number: 7, is_current: true, is_foreign: false },
            "aborted by ann: too late",
            Action::Close,
        ),
        (
            P::Deploying,
            Pull::None,
            "aborted by ann: too late; what is deployed stays, `leeboard rollback` takes it back",
            Action::None,
        ),
        (
            P::Verifying,
            Pull::None,
            "aborted by ann: too late; what is deployed stays, `leeboard rollback` takes it back",
            Action::None,
        ),
    ];
    for (phase, pull, message, action) in cases {
        let mut promotion = promotion(phase);
        promotion.spec.abort = Some(Lock { reason: "too late".into(), by: "ann".into(), ..Lock::default() });
        let found = decide(&promotion, &PromotionPolicy::default(), &Facts { pull, ..facts() });
        assert_eq!(found, Decision { phase: P::Aborted, message: message.into(), action });
    }
}

#[test]
fn what_comes_of_an_action_is_told() {
    use PromotionPhase as P;
    let fallback = PromotionPolicy {
        write: Some(WritePolicy { fallback: Fallback::PullRequest, ..WritePolicy::default() }),
        ..PromotionPolicy::default()
    };
    let plain = PromotionPolicy::default();
    let refused = || Outcome::Refused("protected branch".into());
    let cases = [
        (
            P::Writing,
            Action::Write,
            &plain,
            Outcome::Written(commit('b')),
            P::Deploying,
            "written as bbbbbbb, not applied yet",
            Action::None,
        ),
        (
            P::Writing,
            Action::Write,
            &plain,
            Outcome::Moved,
            P::Gated,
            "the branch has moved: its gates are asked again",
            Action::None,
        ),
        (P::Writing, Action::Write, &plain, refused(), P::Failed, "protected branch", Action::None),
        (
            P::Writing,
            Action::Write,
            &fallback,
            refused(),
            P::PullRequest,
            "the branch may not be pushed to: protected branch",
            Action::Propose,
        ),
        (P::Writing, Action::Write, &plain, Outcome::Again("no route".into()), P::Writing, "no route", Action::None),
        (
            P::PullRequest,
            Action::Merge,
            &plain,
            refused(),
            P::PullRequest,
            "the forge does not merge it: protected branch",
            Action::None,
        ),
        (
            P::PullRequest,
            Action::Propose,
            &plain,
            Outcome::Proposed(7),
            P::PullRequest,
            "pull request #7 asks for it",
            Action::None,
        ),
        (
            P::Verifying,
            Action::TakeBack,
            &plain,
            Outcome::TakenBack("taken back by c".into()),
            P::RolledBack,
            "it broke; taken back by c",
            Action::None,
        ),
        (
            P::Verifying,
            Action::TakeBack,
            &plain,
            refused(),
            P::Failed,
            "it broke; not taken back: protected branch",
            Action::None,
        ),
    ];
    for (phase, action, policy, outcome, then, message, next) in cases {
        let decision = Decision { phase, message: "it broke".into(), action };
        let found = after(&decision, policy, &outcome);
        assert_eq!(found, Decision { phase: then, message: message.into(), action: next }, "{outcome:?}");
    }
}

/// What can happen to a promotion while nobody looks.
#[derive(Clone, Debug)]
enum Event {
    Gate(usize, GateState),
    After(GateState),
    Lock(bool),
    Conflict(bool),
    /// Another one pushes to the branch: another base.
    Push,
    Deploy(u8),
    Crash,
    Abort,
    Wait(i64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let state = prop_oneof![
        3 => Just(GateState::Pass), 2 => Just(GateState::Wait), 1 => Just(GateState::Fail), 1 => Just(GateState::Error)
    ];
    let event = prop_oneof![
        4 => (0..2usize, state.clone()).prop_map(|(at, state)| Event::Gate(at, state)),
        2 => state.prop_map(Event::After),
        1 => any::<bool>().prop_map(Event::Lock),
        1 => any::<bool>().prop_map(Event::Conflict),
        1 => Just(Event::Push),
        2 => (0..4u8).prop_map(Event::Deploy),
        2 => Just(Event::Crash),
        1 => Just(Event::Abort),
        2 => (1..100_000i64).prop_map(Event::Wait),
    ];
    proptest::collection::vec(event, 0..60)
}

/// A world in which a branch is pushed to, and a cluster follows.
struct World {
    facts: Facts,
    /// Where the branch stands: it grows with each push.
    head: u32,
    /// Where it stood when the daemon last looked.
    seen: u32,
    /// How often our commit was put on it.
    writes: u32,
    is_taken_back: bool,
    promotion: Promotion,
    policy: PromotionPolicy,
}

impl World {
    /// One step of the daemon; `dies` right after the push, before anything is remembered.
    fn step(&mut self, dies: bool) {
        let may_write = self.may_write();
        let decision = decide(&self.promotion, &self.policy, &self.facts);
        let before = self.promotion.status.clone().unwrap_or_default();
        let status = noted(&before, &decision, &self.facts);
        self.promotion.status = Some(status.clone());
        let outcome = match decision.action {
            Action::Write => {
                assert!(may_write, "written although {:?}", self.facts);
                if self.seen == self.head {
                    self.writes += 1;
                    self.facts.written = Some(commit('b'));
                    Outcome::Written(commit('b'))
                } else {
                    Outcome::Moved
                }
            }
            Action::TakeBack => {
                // Git is the memory: what was taken back is not taken back again.
                self.is_taken_back = true;
                Outcome::TakenBack("taken back".into())
            }
            _ => {
                self.seen = self.head;
                return;
            }
        };
        if dies {
            self.seen = self.head;
            return;
        }
        let next = after(&decision, &self.policy, &outcome);
        self.promotion.status = Some(noted(&status, &next, &self.facts));
        self.seen = self.head;
    }

    fn may_write(&self) -> bool {
        let green = |gate: &GateStatus| matches!(gate.state, GateState::Pass | GateState::Overridden);
        self.facts.gates.iter().all(green)
            && self.facts.gateway == Gateway::Open
            && matches!(self.facts.proposal, Proposal::Ready(_))
            && self.facts.written.is_none()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_is_written_past_a_gate_nor_twice(events in events(), reverts in any::<bool>()) {
        let rollback = if reverts { AfterFailure::Revert } else { AfterFailure::None };
        let mut world = World {
            facts: Facts { gates: vec![gate("a", GateState::Wait), gate("b", GateState::Wait)], ..facts() },
            head: 0,
            seen: 0,
            writes: 0,
            is_taken_back: false,
            promotion: promotion(PromotionPhase::Pending),
            policy: PromotionPolicy { rollback, ..PromotionPolicy::default() },
        };
        let mut ended: Option<PromotionStatus> = None;
        for event in events {
            let mut dies = false;
            match event {
                Event::Gate(at, state) => world.facts.gates[at] = gate(["a", "b"][at], state),
                Event::After(state) => world.facts.after = vec![gate("after", state)],
                Event::Lock(closed) => {
                    let why = "locked".to_owned();
                    world.facts.gateway = if closed { Gateway::Closed { why, opens: None } } else { Gateway::Open };
                }
                Event::Conflict(true) => world.facts.proposal = Proposal::Conflict("a.yaml".into()),
                Event::Conflict(false) => world.facts.proposal = facts().proposal,
                Event::Push => world.head += 1,
                Event::Deploy(how) => if world.facts.written.is_some() {
                    world.facts.deployed = match how {
                        0 => Deployed::Held(None),
                        1 => Deployed::Held(Some("it progresses".into())),
                        2 => Deployed::Failed("it failed".into()),
                        _ => Deployed::Degraded("it is degraded".into()),
                    };
                },
                Event::Crash => dies = true,
                Event::Abort => world.promotion.spec.abort = Some(Lock::default()),
                Event::Wait(seconds) => world.facts.now = at(world.facts.now.as_second() - at(0).as_second() + seconds),
            }
            world.step(dies);
            prop_assert!(world.writes <= 1 && (!world.is_taken_back || world.writes == 1));
            let status = world.promotion.status.clone().unwrap();
            if status.phase == PromotionPhase::Succeeded {
                prop_assert!(world.writes == 1);
            }
            if let Some(ended) = &ended {
                prop_assert_eq!((ended.phase, &ended.finished_at), (status.phase, &status.finished_at));
            } else if status.phase.is_final() {
                ended = Some(status);
            }
        }
    }
}

#[test]
fn what_a_person_pushed_is_only_looked_at() {
    let mut pushed = promotion(PromotionPhase::Pending);
    pushed.spec.kind = PromotionKind::Push;
    let facts = Facts { gates: vec![gate("soak", GateState::Fail)], deployed: Deployed::Held(None), ..facts() };
    let found = decide(&pushed, &PromotionPolicy::default(), &facts);
    assert_eq!((found.phase, found.action), (PromotionPhase::Succeeded, Action::None));
}
