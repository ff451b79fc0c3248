//! A canary that Flagger has left behind: going on from there without a run that nobody asked for.
//!
//! Flagger's hashes of a version can be made by nobody else, so what the primary was made from is compared instead: the
//! shell gives the primary's revision in the terms of the target, its own changes undone. The checksums of configs are
//! kept as they are.

use jiff::Timestamp;

use super::Revision;
use super::record::{
    Candidate, Drain, Farewell, Hold, Outcome, Promotion, Record, Rest, Run, State, Versions, WantedRoute, Why,
};
use super::world::{Route, Sighting, World};
use crate::api::flagger::{CanaryStatus, Phase};

/// The record of a canary whose status someone else wrote. Nothing is known before the target is seen.
pub fn adopt(status: &CanaryStatus, world: &World, now: Timestamp) -> Option<Record> {
    let Sighting::Seen(target) = &world.target else { return None };
    let mut record = Record::new(now);
    record.configs = status.tracked_configs.clone().unwrap_or_default();
    record.changed = status.last_transition_time.as_ref().map_or(now, |time| time.0);
    record.cookies.canary = status.session_affinity_cookie.clone();
    record.cookies.primary = status.primary_session_affinity_cookie.clone();
    record.cookies.previous = status.previous_session_affinity_cookie.clone();
    if let Route::Set(split) = world.route {
        record.route = WantedRoute { split, is_confirmed: true };
    }
    // A primary whose origin cannot be told is taken for the target's: a run that is not needed harms, one that waits
    // for the next commit does not.
    let primary = world.primary.as_ref()?.revision.clone().unwrap_or_else(|| target.revision.clone());
    record.state = state(status, &target.revision, primary, now)?;
    Some(record)
}

fn state(status: &CanaryStatus, target: &Revision, primary: Revision, now: Timestamp) -> Option<State> {
    let tried = Versions { applied: target.clone(), promoted: primary.clone() };
    let rest = |versions, outcome| State::Resting(Rest { versions, outcome, farewell: Farewell::Told, unready: None });
    let serving = Versions { applied: primary.clone(), promoted: primary };
    let count = |number: i32| u32::try_from(number).unwrap_or_default();
    let promotion = |versions| Promotion {
        versions,
        since: now,
        iterations: count(status.iterations),
        skipped: false,
        returns: false,
        drain: Drain::Due,
        unready: None,
    };
    Some(match status.phase? {
        // It is made from the start; all that is there already is found.
        Phase::Initializing | Phase::Terminated => return None,
        Phase::Initialized => rest(serving, Outcome::Initialized),
        Phase::Succeeded => rest(serving, Outcome::Succeeded),
        Phase::Failed if status.canary_weight == 100 => rest(tried, Outcome::Stranded("the promotion failed".into())),
        Phase::Failed => rest(tried, Outcome::Failed(Why::Checks("it had failed before Leeboard took over".into()))),
        Phase::Waiting => {
            State::Waiting(Candidate { revision: target.clone(), versions: serving, since: now, check: 0 })
        }
        phase @ (Phase::Progressing | Phase::WaitingPromotion) => State::Analysing(Run {
            failed_checks: count(status.failed_checks),
            iterations: count(status.iterations),
            hold: if phase == Phase::WaitingPromotion { Hold::Promotion } else { Hold::Free },
            ..Run::new(tried, now)
        }),
        Phase::Promoting => State::Promoting(promotion(tried)),
        Phase::Finalising => State::Finalising(promotion(tried)),
        Phase::Terminating => State::Terminating,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::world::{Answers, Rollout, Target, Workload};
    use super::super::{Split, Weight, status};
    use super::*;

    fn revision(name: &str) -> Revision {
        Revision { template: name.into(), configs: "".into() }
    }

    fn world(target: &str, primary: Option<&str>, weight: i64) -> World {
        let workload = |name: Option<&str>| Workload {
            revision: name.map(revision),
            replicas: 2,
            rollout: Rollout::complete(2),
            endpoints: 2,
        };
        World {
            target: Sighting::Seen(Target {
                revision: revision(target),
                configs: BTreeMap::new(),
                wanted_replicas: 2,
                workload: workload(Some(target)),
            }),
            primary: Some(workload(primary)),
            standing: BTreeSet::new(),
            route: Route::Set(Split::to_canary(Weight::new(weight).unwrap())),
            answers: Answers::default(),
            wish: None,
            is_deleted: false,
            claimed_by: None,
            scaler_minimum: None,
        }
    }

    #[test]
    fn every_phase_is_gone_on_with() {
        let cases = [
            // phase,                   primary,   applied, promoted
            (Phase::Initialized, Some("B"), "B", "B"),
            (Phase::Succeeded, Some("B"), "B", "B"),
            (Phase::Succeeded, Some("A"), "A", "A"), // B was never promoted: it is a new version
            (Phase::Succeeded, None, "B", "B"),
            (Phase::Failed, Some("A"), "B", "A"),
            (Phase::Waiting, Some("A"), "A", "A"),
            (Phase::Progressing, Some("A"), "B", "A"),
            (Phase::WaitingPromotion, Some("A"), "B", "A"),
            (Phase::Promoting, Some("A"), "B", "A"),
            (Phase::Finalising, Some("B"), "B", "B"),
        ];
        for (phase, primary, applied, promoted) in cases {
            let status = CanaryStatus { phase: Some(phase), failed_checks: 1, ..CanaryStatus::default() };
            let record = adopt(&status, &world("B", primary, 30), Timestamp::UNIX_EPOCH).unwrap();
            let versions = Versions { applied: revision(applied), promoted: revision(promoted) };
            assert_eq!(record.versions(), Some(&versions), "{phase}");
            assert_eq!(status::phase(&record), phase);
            assert_eq!(record.route.split.canary.percent(), 30, "{phase}");
        }
    }

    #[test]
    fn what_was_not_seen_is_not_adopted() {
        let status = CanaryStatus { phase: Some(Phase::Succeeded), ..CanaryStatus::default() };
        assert_eq!(adopt(&status, &World::unseen("gone"), Timestamp::UNIX_EPOCH), None);
        let nobodys = CanaryStatus::default();
        assert_eq!(adopt(&nobodys, &world("A", Some("A"), 0), Timestamp::UNIX_EPOCH), None);
    }
}
