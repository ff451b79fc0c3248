//! What Flagger's clients read of a canary: `status`, made from the record.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Revision;
use super::record::{Hold, Outcome, Record, State};
use super::settings::{Refusal, Settings, Strategy};
use crate::api::flagger::{CanaryCondition, CanaryStatus, Phase};

/// What keeps a canary from working; a condition of its own beside Flagger's `Promoted`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The condition's type; its status is `False`.
    pub condition: &'static str,
    /// One word.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

impl Problem {
    pub(super) fn claimed(other: &str) -> Self {
        let message = format!("the older canary {other} has this target");
        Problem { condition: "TargetClaimed", reason: "ClaimedByAnother".into(), message }
    }

    /// What a person should know before they delete the Canary.
    fn stays_at_zero() -> Self {
        let message = "without `spec.revertOnDeletion` the target is left at 0 replicas when this canary is deleted";
        Problem { condition: "RevertsOnDeletion", reason: "TargetStaysAtZero".into(), message: message.into() }
    }

    /// Why nothing goes on although nothing has failed.
    fn inconclusive(checks: u32, limit: u32, last: &str) -> Self {
        let message = format!("inconclusive checks in a row: {checks} of {limit}: {last}");
        Problem { condition: "Conclusive", reason: "Inconclusive".into(), message }
    }

    pub(super) fn router(reason: &str, why: &str) -> Self {
        Problem { condition: "Ready", reason: reason.into(), message: why.into() }
    }
}

/// The word for where it stands.
pub fn phase(record: &Record) -> Phase {
    match &record.state {
        State::Initializing { .. } => Phase::Initializing,
        State::Stillborn { .. } => Phase::Failed,
        State::Resting(rest) => match rest.outcome {
            Outcome::Initialized => Phase::Initialized,
            Outcome::Succeeded | Outcome::RolledBack => Phase::Succeeded,
            Outcome::Failed(_) | Outcome::Stranded(_) => Phase::Failed,
        },
        State::Waiting(_) => Phase::Waiting,
        State::Analysing(run) if run.hold == Hold::Promotion => Phase::WaitingPromotion,
        // Until traffic is back and the target is gone it has not failed, it is failing.
        State::Analysing(_) | State::RollingBack(_) => Phase::Progressing,
        State::Promoting(_) => Phase::Promoting,
        State::Finalising(_) | State::Verifying(_) => Phase::Finalising,
        State::Terminating => Phase::Terminating,
    }
}

/// The status, with Flagger's condition and, where something is wrong, one of ours.
pub fn of(settings: &Settings, record: &Record, problem: Option<&Problem>) -> CanaryStatus {
    let phase = phase(record);
    let (applied, promoted) = versions(record);
    let mut status = CanaryStatus {
        phase: Some(phase),
        last_applied_spec: applied,
        last_promoted_spec: promoted,
        tracked_configs: Some(record.configs.clone()),
        last_transition_time: Some(Time(record.changed)),
        session_affinity_cookie: record.cookies.canary.clone(),
        primary_session_affinity_cookie: record.cookies.primary.clone(),
        previous_session_affinity_cookie: record.cookies.previous.clone(),
        conditions: vec![promoted_condition(record, settings.subject.kind.as_str())],
        ..CanaryStatus::default()
    };
    status.conditions.extend(problem.map(|problem| condition(problem, record.changed)));
    if settings.subject.kind.is_scaled() && !settings.revert_on_deletion {
        status.conditions.push(condition(&Problem::stays_at_zero(), record.changed));
    }
    let by_weights = matches!(settings.strategy, Strategy::Weights(_) | Strategy::Steps(_));
    let weight = if by_weights { i32::from(record.route.split.canary.percent()) } else { 0 };
    match &record.state {
        State::Analysing(run) => {
            if run.inconclusive > 0 {
                let problem = Problem::inconclusive(run.inconclusive, settings.inconclusive_limit, &record.told);
                status.conditions.push(condition(&problem, record.changed));
            }
            status.failed_checks = i32::try_from(run.failed_checks).unwrap_or(i32::MAX);
            (status.canary_weight, status.iterations) = (weight, i32::try_from(run.iterations).unwrap_or(i32::MAX));
            if run.hold == Hold::Promotion {
                // Flagger's clients see one less than what was asked for; -1 in a run by weights.
                (status.canary_weight, status.iterations) = (0, iterations(&settings.strategy) - 1);
            }
        }
        State::Verifying(run) => status.failed_checks = i32::try_from(run.failed_checks).unwrap_or(i32::MAX),
        State::Promoting(promotion) => {
            (status.canary_weight, status.iterations) =
                (weight, i32::try_from(promotion.iterations).unwrap_or(i32::MAX));
        }
        State::RollingBack(back) => {
            status.failed_checks = i32::try_from(back.failed_checks).unwrap_or(i32::MAX);
            status.iterations = i32::try_from(back.iterations).unwrap_or(i32::MAX);
        }
        State::Resting(rest) if matches!(rest.outcome, Outcome::Stranded(_)) => status.canary_weight = 100,
        _ => {}
    }
    status
}

/// The status of a Canary that cannot be acted on: what it had, and why not.
pub fn refused(before: &CanaryStatus, refusal: &Refusal, now: Timestamp) -> CanaryStatus {
    let problem = Problem { condition: "Ready", reason: refusal.reason().into(), message: refusal.to_string() };
    let mut status = before.clone();
    let same = |known: &CanaryCondition| known.name == problem.condition && known.message == problem.message;
    if !status.conditions.iter().any(same) {
        status.conditions.retain(|known| known.name == "Promoted");
        status.conditions.push(condition(&problem, now));
    }
    status
}

fn iterations(strategy: &Strategy) -> i32 {
    match strategy {
        Strategy::AbTest { iterations } | Strategy::BlueGreen { iterations, .. } => {
            i32::try_from(*iterations).unwrap_or(i32::MAX)
        }
        Strategy::Weights(_) | Strategy::Steps(_) => 0,
    }
}

fn versions(record: &Record) -> (String, String) {
    let text = |revision: &Revision| revision.template.to_string();
    match (record.versions(), &record.state) {
        (_, State::Waiting(candidate)) => (text(&candidate.versions.applied), text(&candidate.versions.promoted)),
        (Some(versions), _) => (text(&versions.applied), text(&versions.promoted)),
        (None, State::Stillborn { revision, .. }) => (text(revision), String::new()),
        (None, _) => (String::new(), String::new()),
    }
}

/// True when the primary becomes, or is, what it was before.
fn returns(record: &Record) -> bool {
    match &record.state {
        State::Promoting(promotion) | State::Finalising(promotion) => promotion.returns,
        State::Resting(rest) => rest.outcome == Outcome::RolledBack,
        _ => false,
    }
}

fn promoted_condition(record: &Record, kind: &str) -> CanaryCondition {
    let (phase, changed) = (phase(record), record.changed);
    let is_stranded = matches!(&record.state, State::Resting(rest) if matches!(rest.outcome, Outcome::Stranded(_)));
    let (status, message) = match phase {
        // Flagger says the same of every failure; here the target was not scaled to zero.
        Phase::Failed if matches!(record.state, State::Stillborn { .. }) => {
            ("False", format!("{kind} initialization failed, it still serves by itself."))
        }
        Phase::Finalising if matches!(record.state, State::Verifying(_)) => {
            ("Unknown", "Promotion finished, verifying the primary.".into())
        }
        Phase::Promoting | Phase::Finalising if returns(record) => {
            ("Unknown", "Rolling back to a revision that was promoted before, without analysis.".into())
        }
        Phase::Succeeded if returns(record) => {
            ("True", "Rolled back to a revision that was promoted before, without analysis.".into())
        }
        Phase::Failed if is_stranded => ("False", format!("Promotion failed, {kind} serves all traffic.")),
        Phase::Initialized => ("True", format!("{kind} initialization completed.")),
        Phase::Waiting | Phase::WaitingPromotion => ("Unknown", "Waiting for approval.".into()),
        Phase::Progressing => ("Unknown", "New revision detected, progressing canary analysis.".into()),
        Phase::Promoting => ("Unknown", "Canary analysis completed, starting primary rolling update.".into()),
        Phase::Finalising => ("Unknown", "Canary analysis completed, routing all traffic to primary.".into()),
        Phase::Succeeded => ("True", "Canary analysis completed successfully, promotion finished.".into()),
        Phase::Failed => ("False", format!("Canary analysis failed, {kind} scaled to zero.")),
        Phase::Initializing | Phase::Terminating | Phase::Terminated => {
            ("Unknown", format!("New {kind} detected, starting initialization."))
        }
    };
    CanaryCondition {
        name: "Promoted".into(),
        status: status.into(),
        last_update_time: Some(Time(changed)),
        last_transition_time: Some(Time(changed)),
        reason: phase.as_str().into(),
        message,
    }
}

fn condition(problem: &Problem, changed: Timestamp) -> CanaryCondition {
    CanaryCondition {
        name: problem.condition.into(),
        status: "False".into(),
        last_update_time: Some(Time(changed)),
        last_transition_time: Some(Time(changed)),
        reason: problem.reason.clone(),
        message: problem.message.clone(),
    }
}
