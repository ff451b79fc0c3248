//! Whether a workload has rolled out, in Flagger's words, and whether waiting still makes sense.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::TargetKind;
use crate::object::Object;

/// How far a rollout is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It may still come.
    #[error("waiting for rollout to finish: {0}")]
    Waiting(Waiting),
    /// Its time is over.
    #[error("{kind} {name:?} exceeded its progress deadline")]
    DeadlineExceeded {
        /// In lower case.
        kind: &'static str,
        /// Which.
        name: String,
    },
}

/// What a rollout waits for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Waiting {
    /// Its controller has not seen the newest version yet.
    #[error("observed {kind} generation less than desired generation")]
    Observation {
        /// In lower case.
        kind: &'static str,
    },
    /// Not all pods are of the newest version.
    #[error("{updated} out of {wanted} new replicas have been updated")]
    Update {
        /// Those that are.
        updated: i64,
        /// All.
        wanted: i64,
    },
    /// Pods of an older version are still there.
    #[error("{old} old replicas are pending termination")]
    Termination {
        /// How many.
        old: i64,
    },
    /// Not enough of the new pods are available.
    #[error("{available} of {updated} (readyThreshold {threshold}%) updated replicas are available")]
    Availability {
        /// Those that are.
        available: i64,
        /// All new ones.
        updated: i64,
        /// Percent of them that is enough.
        threshold: i64,
    },
}

/// What readiness is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Percent of the updated pods that must be available.
    pub threshold: i64,
    /// How long it may take.
    pub deadline: Duration,
    /// Since when the canary is in its phase: a DaemonSet has no conditions of its own.
    pub since: Option<Timestamp>,
    /// When it is asked.
    pub now: Timestamp,
}

/// Judges a workload.
///
/// # Errors
/// What it waits for, or that its time is over.
pub fn check(kind: TargetKind, object: &Object, measure: &Measure) -> Result<(), NotReady> {
    match kind {
        TargetKind::Deployment => deployment(object, measure),
        TargetKind::DaemonSet => daemon_set(object, measure),
        TargetKind::Service => Ok(()),
        TargetKind::Knative => knative(object),
    }
}

fn deployment(object: &Object, measure: &Measure) -> Result<(), NotReady> {
    let status = Status(&object.body["status"]);
    let kind = "deployment";
    observed(object, kind)?;
    let condition = |name: &str| status.condition(name);
    let is_late = |time: &Value| {
        let since = time.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        since.is_some_and(|since| measure.is_past(since))
    };
    let is_stuck = condition("Progressing").is_some_and(|it| it["reason"] == "ProgressDeadlineExceeded")
        || condition("Available").is_some_and(|it| {
            it["status"] == "False" && it["reason"] == "MinimumReplicasUnavailable" && is_late(&it["lastUpdateTime"])
        });
    if is_stuck {
        return Err(NotReady::DeadlineExceeded { kind, name: object.key.name.to_string() });
    }
    let wanted = object.body["spec"]["replicas"].as_i64().unwrap_or(1);
    let (updated, all, available) =
        (status.count("updatedReplicas"), status.count("replicas"), status.count("availableReplicas"));
    let waiting = if updated < wanted {
        Waiting::Update { updated, wanted }
    } else if all > updated {
        Waiting::Termination { old: all - updated }
    } else if available < enough(updated, measure.threshold) {
        Waiting::Availability { available, updated, threshold: measure.threshold }
    } else {
        return Ok(());
    };
    Err(NotReady::Waiting(waiting))
}

fn daemon_set(object: &Object, measure: &Measure) -> Result<(), NotReady> {
    let status = Status(&object.body["status"]);
    let kind = "daemonset";
    let wanted = status.count("desiredNumberScheduled");
    let (updated, available) = (status.count("updatedNumberScheduled"), status.count("numberAvailable"));
    let waiting = if let Err(NotReady::Waiting(waiting)) = observed(object, kind) {
        waiting
    } else if updated < wanted {
        Waiting::Update { updated, wanted }
    } else if available < enough(wanted, measure.threshold) {
        Waiting::Availability { available, updated: wanted, threshold: measure.threshold }
    } else {
        return Ok(());
    };
    if measure.since.is_some_and(|since| measure.is_past(since)) {
        return Err(NotReady::DeadlineExceeded { kind, name: object.key.name.to_string() });
    }
    Err(NotReady::Waiting(waiting))
}

/// Of Knative: its condition `Ready`; a deadline has never been part of it.
fn knative(object: &Object) -> Result<(), NotReady> {
    observed(object, "service")?;
    let is_ready = Status(&object.body["status"]).condition("Ready").is_some_and(|ready| ready["status"] == "True");
    if is_ready {
        return Ok(());
    }
    Err(NotReady::Waiting(Waiting::Availability { available: 0, updated: 1, threshold: 100 }))
}

fn observed(object: &Object, kind: &'static str) -> Result<(), NotReady> {
    let wanted = object.body["metadata"]["generation"].as_i64().unwrap_or(0);
    let seen = object.body["status"]["observedGeneration"].as_i64().unwrap_or(0);
    if seen < wanted { Err(NotReady::Waiting(Waiting::Observation { kind })) } else { Ok(()) }
}

/// So many of these, rounded down.
fn enough(count: i64, percent: i64) -> i64 {
    count.saturating_mul(percent) / 100
}

impl Measure {
    fn is_past(&self, since: Timestamp) -> bool {
        self.now.duration_since(since).unsigned_abs() > self.deadline && self.now > since
    }
}

struct Status<'a>(&'a Value);

impl<'a> Status<'a> {
    fn count(&self, field: &str) -> i64 {
        self.0[field].as_i64().unwrap_or(0)
    }

    fn condition(&self, name: &str) -> Option<&'a Value> {
        self.0["conditions"].as_array()?.iter().find(|condition| condition["type"] == name)
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "tables of JSON read better without ampersands")]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(kind: TargetKind, body: Value, threshold: i64) -> String {
        let now = "2026-01-02T03:05:00Z".parse().unwrap();
        let since = Some("2026-01-02T03:04:30Z".parse().unwrap());
        let measure = Measure { threshold, deadline: Duration::from_secs(60), since, now };
        let object = Object::from_value(body, None).unwrap();
        check(kind, &object, &measure).map_or_else(|error| error.to_string(), |()| "ready".to_owned())
    }

    #[test]
    fn a_deployment_is_ready_when_its_new_pods_are() {
        let web = |replicas: i64, status: Value| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "generation": 2},
                   "spec": {"replicas": replicas}, "status": status})
        };
        let late = json!([{"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable",
                           "lastUpdateTime": "2026-01-02T03:03:59Z"}]);
        let in_time = json!([{"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable",
                              "lastUpdateTime": "2026-01-02T03:04:00Z"}]);
        let cases = [
            // replicas, status, threshold, what is said
            (
                3,
                json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
                100,
                "ready",
            ),
            (0, json!({"observedGeneration": 2}), 100, "ready"),
            (
                3,
                json!({"observedGeneration": 1}),
                100,
                "waiting for rollout to finish: observed deployment generation less than desired generation",
            ),
            (
                3,
                json!({"observedGeneration": 2, "updatedReplicas": 1}),
                100,
                "waiting for rollout to finish: 1 out of 3 new replicas have been updated",
            ),
            (
                3,
                json!({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 4}),
                100,
                "waiting for rollout to finish: 1 old replicas are pending termination",
            ),
            (
                4,
                json!({"observedGeneration": 2, "updatedReplicas": 4, "replicas": 4, "availableReplicas": 2}),
                100,
                "waiting for rollout to finish: 2 of 4 (readyThreshold 100%) updated replicas are available",
            ),
            (
                4,
                json!({"observedGeneration": 2, "updatedReplicas": 4, "replicas": 4, "availableReplicas": 2}),
                50,
                "ready",
            ),
            (
                3,
                json!({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 1}),
                50,
                "ready",
            ),
            (
                3,
                json!({"observedGeneration": 2, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}),
                100,
                "deployment \"web\" exceeded its progress deadline",
            ),
            (
                3,
                json!({"observedGeneration": 2, "conditions": late}),
                100,
                "deployment \"web\" exceeded its progress deadline",
            ),
            (
                3,
                json!({"observedGeneration": 2, "conditions": in_time}),
                100,
                "waiting for rollout to finish: 0 out of 3 new replicas have been updated",
            ),
        ];
        for (replicas, status, threshold, expected) in cases {
            let case = status.to_string();
            assert_eq!(said(TargetKind::Deployment, web(replicas, status), threshold), expected, "{case}");
        }
    }

    #[test]
    fn a_daemon_set_is_ready_when_its_nodes_are() {
        let web = |status: Value| json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "web", "generation": 1}, "status": status});
        let cases = [
            (
                json!({"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}),
                "ready",
            ),
            (json!({"observedGeneration": 1}), "ready"),
            (json!({}), "waiting for rollout to finish: observed daemonset generation less than desired generation"),
            (
                json!({"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1}),
                "waiting for rollout to finish: 1 out of 2 new replicas have been updated",
            ),
        ];
        for (status, expected) in cases {
            assert_eq!(said(TargetKind::DaemonSet, web(status.clone()), 100), expected, "{status}");
        }
    }
}
