//! Whether to sync now, and what exactly to ask for.
//!
//! **In:** the Application, whether the cluster differs from git and why. **Out:** a [`Decision`].
//! **May not:** do I/O or read a clock. Semantics: Argo CD 3.x (SEMANTICS a.6, b.8, b.9); what differs is said here.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::api::argo::{
    Application, Automated, Condition, Initiator, Operation, OperationPhase, OperationState, SelectedResource, Source,
    SyncOperation, SyncStatus,
};

/// What is known when it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// As it was last read.
    pub application: &'a Application,
    /// The commits that its sources resolve to now.
    pub revisions: &'a [String],
    /// Does the cluster hold what git wants.
    pub status: SyncStatus,
    /// Nothing differs but objects that git no longer has.
    pub only_prunes: bool,
    /// Git has nothing left, and `allowEmpty` is not set.
    pub would_empty: bool,
    /// What has to come first without anybody's commit, a kind for instance: a sync begun now would only fail.
    pub waits_for: Option<&'a str>,
    /// A sync would change nothing: what differs is left as it is.
    pub is_noop: bool,
    /// An Environment that it belongs to is suspended: nothing begins by itself, nor goes on.
    pub is_suspended: bool,
    /// What differs: self-heal syncs these only.
    pub out_of_sync: &'a [SelectedResource],
    /// The time.
    pub now: Timestamp,
}

/// What to do about an application.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing.
    Rest,
    /// Nothing, and a person should know why: the message of a `SyncError` condition.
    Blocked(String),
    /// The same, but it is worth looking again after this time.
    Later(Duration),
    /// Begin, or go on with, this operation.
    Start(Box<Start>),
}

/// An operation that begins now.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// What is asked for.
    pub operation: Operation,
    /// Who or what asked.
    pub trigger: Trigger,
    /// Tries before this one.
    pub retry: u32,
}

/// Who or what began an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Somebody wrote the Application's `operation`.
    Person,
    /// Git changed.
    Commit,
    /// The cluster changed.
    SelfHeal,
    /// The last try failed.
    Retry,
    /// The daemon died in the middle of it.
    Resume,
}

/// The first wait between two repairs of the same commit; the very first repair does not wait.
const SELF_HEAL_FIRST: Duration = Duration::from_secs(2);
/// Each further wait is so many times longer.
const SELF_HEAL_FACTOR: u32 = 3;
/// No wait is longer.
const SELF_HEAL_LONGEST: Duration = Duration::from_secs(300);

/// One application, one decision.
pub fn decide(situation: &Situation<'_>) -> Decision {
    let application = situation.application;
    let last = application.status.as_ref().and_then(|status| status.operation_state.as_ref());

    // An operation that somebody wrote is carried out whatever the policy says.
    if let Some(operation) = &application.operation {
        let retry = last.filter(|last| waits_for_retry(last) && last.operation == *operation);
        return match retry {
            Some(last) => retry_of(last, situation.now),
            None => start(operation.clone(), Trigger::Person, 0),
        };
    }
    if situation.is_suspended {
        return Decision::Rest;
    }
    match last {
        Some(last) if waits_for_retry(last) && asks_for_these(last, situation) && !is_outdated(last, situation) => {
            return retry_of(last, situation.now);
        }
        // A newer commit, or what a person has changed of the policy, gets in instead of the retry.
        Some(last) if waits_for_retry(last) => {}
        Some(last) if last.phase == OperationPhase::Running && asks_for_these(last, situation) => {
            return start(last.operation.clone(), Trigger::Resume, retries(last));
        }
        _ => {}
    }
    automatic(situation, last)
}

fn automatic(situation: &Situation<'_>, last: Option<&OperationState>) -> Decision {
    let spec = &situation.application.spec;
    let Some(automated) = spec.automated() else { return Decision::Rest };
    if situation.status != SyncStatus::OutOfSync || (situation.only_prunes && !automated.prune) {
        return Decision::Rest;
    }
    if let Some(what) = situation.waits_for {
        return Decision::Blocked(what.to_owned());
    }
    let revision = situation.revisions.join(", ");
    if automated.prune && !automated.allow_empty && situation.would_empty {
        return Decision::Blocked(format!(
            "Skipping sync attempt to [{revision}]: auto-sync will wipe out all resources"
        ));
    }
    let mut sync = automated_sync(situation.application, automated);
    match situation.revisions {
        [revision] if !spec.has_several_sources() => sync.revision = revision.clone(),
        revisions => sync.revisions = revisions.to_vec(),
    }
    let mut trigger = Trigger::Commit;
    if let Some(last) = last.filter(|last| last.phase.is_completed() && asks_for_these(last, situation)) {
        if last.phase != OperationPhase::Succeeded {
            // Other options than those that have failed, `CreateNamespace=true` for instance, are worth an attempt.
            if last.operation.sync.as_ref().is_some_and(|before| asks_alike(before, &sync)) {
                return Decision::Blocked(format!("Failed last sync attempt to [{revision}]: {}", last.message));
            }
        } else {
            if !automated.self_heal || situation.is_noop {
                return Decision::Rest;
            }
            match self_heal_wait(last, situation.now) {
                Some(wait) => return Decision::Later(wait),
                None => trigger = Trigger::SelfHeal,
            }
            sync.resources = situation.out_of_sync.to_vec();
            sync.auto_heal_attempts_count = Some(attempts(last, situation.now) + 1);
        }
    }
    let operation = Operation {
        sync: Some(sync),
        initiated_by: Initiator { automated: true, ..Initiator::default() },
        retry: spec.automated_retry(),
        ..Operation::default()
    };
    start(operation, trigger, 0)
}

fn automated_sync(application: &Application, automated: &Automated) -> SyncOperation {
    let policy = application.spec.sync_policy.as_ref();
    SyncOperation {
        prune: automated.prune,
        sync_options: policy.map(|policy| policy.sync_options.clone()).unwrap_or_default(),
        ..SyncOperation::default()
    }
}

/// True when an automated sync would be done otherwise by now.
fn is_outdated(last: &OperationState, situation: &Situation<'_>) -> bool {
    let Some(automated) = situation.application.spec.automated() else { return false };
    let now = automated_sync(situation.application, automated);
    let was = last.operation.sync.as_ref();
    last.operation.initiated_by.automated && was.is_some_and(|was| !asks_alike(was, &now))
}

fn start(operation: Operation, trigger: Trigger, retry: u32) -> Decision {
    Decision::Start(Box::new(Start { operation, trigger, retry }))
}

/// `Running` with an end: it waits for its next try.
fn waits_for_retry(last: &OperationState) -> bool {
    last.phase == OperationPhase::Running && last.finished_at.is_some()
}

fn retries(last: &OperationState) -> u32 {
    u32::try_from(last.retry_count.unwrap_or(0)).unwrap_or(0)
}

fn retry_of(last: &OperationState, now: Timestamp) -> Decision {
    let tried = retries(last);
    let wait = last.operation.retry.backoff(tried.saturating_sub(1));
    match remaining(last, wait, now) {
        Some(wait) => Decision::Later(wait),
        None => start(last.operation.clone(), Trigger::Retry, tried),
    }
}

/// True when one sync is done as the other is.
fn asks_alike(one: &SyncOperation, other: &SyncOperation) -> bool {
    one.prune == other.prune && one.sync_options == other.sync_options
}

/// True when the operation was about the commits and sources that are wanted now.
fn asks_for_these(last: &OperationState, situation: &Situation<'_>) -> bool {
    let Some(result) = &last.sync_result else { return false };
    let revisions: Vec<&str> = if result.revisions.is_empty() {
        vec![result.revision.as_str()]
    } else {
        result.revisions.iter().map(String::as_str).collect()
    };
    let sources: Vec<&Source> =
        if result.sources.is_empty() { result.source.iter().collect() } else { result.sources.iter().collect() };
    revisions == situation.revisions && sources == situation.application.spec.sources()
}

/// How often this commit was repaired in a row. Hours later it is a new story.
fn attempts(last: &OperationState, now: Timestamp) -> i64 {
    let count = last.operation.sync.as_ref().and_then(|sync| sync.auto_heal_attempts_count).unwrap_or(0);
    let quiet = remaining(last, SELF_HEAL_LONGEST * 2, now).is_none();
    if quiet { 0 } else { count }
}

fn self_heal_wait(last: &OperationState, now: Timestamp) -> Option<Duration> {
    let attempts = u32::try_from(attempts(last, now)).unwrap_or(u32::MAX);
    let exponent = attempts.checked_sub(1)?;
    let wait = SELF_HEAL_FACTOR
        .checked_pow(exponent)
        .and_then(|times| SELF_HEAL_FIRST.checked_mul(times))
        .map_or(SELF_HEAL_LONGEST, |wait| wait.min(SELF_HEAL_LONGEST));
    remaining(last, wait, now)
}

/// What is left of a wait that began when the operation ended.
fn remaining(last: &OperationState, wait: Duration, now: Timestamp) -> Option<Duration> {
    let ended = last.finished_at.as_ref()?.0;
    let passed = Duration::try_from(now.duration_since(ended)).unwrap_or_default();
    wait.checked_sub(passed).filter(|left| !left.is_zero())
}

/// The condition of a decision that a person should know of.
pub fn condition(message: &str, now: Timestamp) -> Condition {
    Condition {
        kind: Condition::SYNC.into(),
        message: message.into(),
        last_transition_time: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(NOW + seconds).unwrap()
    }

    /// An automated Application whose last operation was about commit `a1`.
    fn application(automated: &Value, last: &Value) -> Application {
        let source = json!({"repoURL": "https://git.example.com/a.git", "path": "."});
        let mut state = last.clone();
        if let Some(state) = state.as_object_mut() {
            state.insert("syncResult".into(), json!({"revision": "a1", "source": source}));
        }
        serde_json::from_value(json!({
            "metadata": {"name": "a"},
            "spec": {"source": source, "destination": {"name": "in-cluster"}, "syncPolicy": {"automated": automated}},
            "status": {"operationState": state},
        }))
        .unwrap()
    }

    fn ended(phase: &str, seconds_ago: i64, attempts: i64) -> Value {
        json!({"operation": {"sync": {"autoHealAttemptsCount": attempts}}, "phase": phase, "message": "boom", "finishedAt": at(-seconds_ago).to_string()})
    }

    fn decision(application: &Application, revision: &str, status: SyncStatus) -> String {
        let situation = Situation {
            application,
            revisions: &[revision.to_owned()],
            status,
            only_prunes: false,
            would_empty: false,
            waits_for: None,
            is_noop: false,
            is_suspended: false,
            out_of_sync: &[],
            now: at(0),
        };
        match decide(&situation) {
            Decision::Rest => "rest".into(),
            Decision::Blocked(message) => message,
            Decision::Later(wait) => format!("in {} s", wait.as_secs()),
            Decision::Start(start) => format!("{:?} {}", start.trigger, start.retry),
        }
    }

    #[test]
    fn one_attempt_a_commit_and_repairs_with_pauses() {
        let on = json!({"selfHeal": true});
        let no_heal = json!({});
        let off = json!({"enabled": false});
        let cases = [
            // automated  last operation                    wanted  sync status             decision
            (&on, Value::Null, "a1", SyncStatus::OutOfSync, "Commit 0"),
            (&on, Value::Null, "a1", SyncStatus::Synced, "rest"),
            (&on, Value::Null, "a1", SyncStatus::Unknown, "rest"),
            (&off, Value::Null, "a1", SyncStatus::OutOfSync, "rest"),
            (&on, ended("Failed", 1, 0), "a1", SyncStatus::OutOfSync, "Failed last sync attempt to [a1]: boom"),
            (&on, ended("Failed", 1, 0), "b2", SyncStatus::OutOfSync, "Commit 0"),
            (&no_heal, ended("Succeeded", 1, 0), "a1", SyncStatus::OutOfSync, "rest"),
            (&on, ended("Succeeded", 1, 0), "a1", SyncStatus::OutOfSync, "SelfHeal 0"),
            (&on, ended("Succeeded", 1, 1), "a1", SyncStatus::OutOfSync, "in 1 s"),
            (&on, ended("Succeeded", 2, 1), "a1", SyncStatus::OutOfSync, "SelfHeal 0"),
            (&on, ended("Succeeded", 0, 9), "a1", SyncStatus::OutOfSync, "in 300 s"),
            (&on, ended("Succeeded", 3600, 9), "a1", SyncStatus::OutOfSync, "SelfHeal 0"),
        ];
        for (automated, last, revision, status, expected) in cases {
            let application = application(automated, &last);
            assert_eq!(decision(&application, revision, status), expected, "{automated} {last} {revision} {status:?}");
        }
    }

    #[test]
    fn a_retry_waits_its_time_and_gives_way_to_a_newer_commit() {
        let waiting = |seconds_ago: i64| {
            json!({"operation": {"retry": {"limit": 5, "backoff": {"duration": "10s"}}}, "phase": "Running",
                "retryCount": 1, "finishedAt": at(-seconds_ago).to_string()})
        };
        let on = json!({});
        assert_eq!(decision(&application(&on, &waiting(4)), "a1", SyncStatus::OutOfSync), "in 6 s");
        assert_eq!(decision(&application(&on, &waiting(10)), "a1", SyncStatus::OutOfSync), "Retry 1");
        assert_eq!(decision(&application(&on, &waiting(4)), "b2", SyncStatus::OutOfSync), "Commit 0");
    }

    #[test]
    fn an_interrupted_operation_is_resumed() {
        let running = json!({"operation": {"sync": {"revision": "a1"}}, "phase": "Running"});
        assert_eq!(decision(&application(&json!({}), &running), "a1", SyncStatus::Unknown), "Resume 0");
        assert_eq!(decision(&application(&json!({}), &running), "b2", SyncStatus::OutOfSync), "Commit 0");
    }

    #[test]
    fn what_would_only_fail_or_change_nothing_is_not_begun() {
        let on = json!({"selfHeal": true});
        let decided = |last: &Value, waits_for: Option<&str>, is_noop: bool| {
            let application = application(&on, last);
            let situation = Situation {
                application: &application,
                revisions: &["a1".to_owned()],
                status: SyncStatus::OutOfSync,
                only_prunes: false,
                would_empty: false,
                waits_for,
                is_noop,
                is_suspended: false,
                out_of_sync: &[],
                now: at(0),
            };
            decide(&situation)
        };
        assert_eq!(decided(&Value::Null, Some("no kind X"), false), Decision::Blocked("no kind X".into()));
        assert!(matches!(decided(&Value::Null, None, true), Decision::Start(_)), "hooks may have to run");
        assert_eq!(decided(&ended("Succeeded", 1, 0), None, true), Decision::Rest);
    }

    #[test]
    fn below_a_suspended_environment_only_a_person_starts_a_sync() {
        let decided = |application: &Application| {
            decide(&Situation {
                application,
                revisions: &["a1".to_owned()],
                status: SyncStatus::OutOfSync,
                only_prunes: false,
                would_empty: false,
                waits_for: None,
                is_noop: false,
                is_suspended: true,
                out_of_sync: &[],
                now: at(0),
            })
        };
        let running = json!({"operation": {"sync": {"revision": "a1"}}, "phase": "Running"});
        for last in [Value::Null, running, ended("Failed", 60, 0)] {
            assert_eq!(decided(&application(&json!({}), &last)), Decision::Rest, "{last}");
        }
        let mut asked = application(&json!({}), &Value::Null);
        asked.operation = Some(Operation::default());
        assert!(matches!(decided(&asked), Decision::Start(start) if start.trigger == Trigger::Person));
    }

    #[test]
    fn other_options_than_those_that_failed_are_worth_an_attempt() {
        let options = json!(["CreateNamespace=true"]);
        let state = |phase: &str, options: &Value| {
            json!({"phase": phase, "message": "boom", "finishedAt": at(-1).to_string(), "retryCount": 1,
                "operation": {"initiatedBy": {"automated": true}, "sync": {"syncOptions": options},
                    "retry": {"limit": 5, "backoff": {"duration": "10s"}}}})
        };
        for (phase, with_same, with_other) in
            [("Failed", "Failed last sync attempt to [a1]: boom", "Commit 0"), ("Running", "in 9 s", "Commit 0")]
        {
            let mut application = application(&json!({}), &state(phase, &options));
            assert_eq!(decision(&application, "a1", SyncStatus::OutOfSync), with_other, "{phase}");
            application = self::application(&json!({}), &state(phase, &json!([])));
            assert_eq!(decision(&application, "a1", SyncStatus::OutOfSync), with_same, "{phase}");
        }
    }

    #[test]
    fn what_a_person_wrote_goes_first() {
        let mut application = application(&json!({"enabled": false}), &ended("Failed", 1, 0));
        application.operation = Some(Operation { sync: Some(SyncOperation::default()), ..Operation::default() });
        assert_eq!(decision(&application, "a1", SyncStatus::Synced), "Person 0");
    }
}
