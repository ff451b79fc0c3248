//! How far a workload's roll-out is, read from its status. What that means, [`Rollout::missing`] says.
//!
//! [`Rollout::missing`]: crate::canary::world::Rollout::missing

use serde_json::Value;

use crate::canary::settings::TargetKind;
use crate::canary::world::Rollout;
use crate::object::Object;

/// Reads it. A Service has no roll-out: it is always complete; Knative's counts as one pod.
pub fn of(kind: TargetKind, object: &Object) -> Rollout {
    let (spec, status) = (&object.body["spec"], &object.body["status"]);
    let count = |value: &Value| value.as_u64().and_then(|count| u32::try_from(count).ok());
    let counted = |field: &str| count(&status[field]).unwrap_or(0);
    let condition = |name: &str| {
        let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        conditions.iter().find(|condition| condition["type"] == name)
    };
    let generation = object.body["metadata"]["generation"].as_i64().unwrap_or(0);
    let is_observed = status["observedGeneration"].as_i64().unwrap_or(0) >= generation;
    match kind {
        TargetKind::Deployment => Rollout {
            is_observed,
            desired: count(&spec["replicas"]).unwrap_or(1),
            updated: counted("updatedReplicas"),
            total: counted("replicas"),
            available: counted("availableReplicas"),
            is_overdue: is_observed
                && condition("Progressing").is_some_and(|it| it["reason"] == "ProgressDeadlineExceeded"),
        },
        TargetKind::DaemonSet => Rollout {
            is_observed,
            desired: counted("desiredNumberScheduled"),
            updated: counted("updatedNumberScheduled"),
            total: counted("currentNumberScheduled"),
            available: counted("numberAvailable"),
            is_overdue: false,
        },
        TargetKind::Service => Rollout::complete(0),
        TargetKind::KnativeService => {
            let is_ready = condition("Ready").is_some_and(|ready| ready["status"] == "True");
            Rollout { is_observed, available: u32::from(is_ready), ..Rollout::complete(1) }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canary::Weight;

    #[test]
    fn what_is_missing_is_said_in_flaggers_words() {
        let half = Weight::new(50).unwrap();
        let cases = [
            // kind, replicas, status, threshold, overdue, what is missing
            (
                "Deployment",
                3,
                json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
                Weight::ALL,
                false,
                "",
            ),
            ("Deployment", 0, json!({"observedGeneration": 2}), Weight::ALL, false, ""),
            (
                "Deployment",
                3,
                json!({"observedGeneration": 1}),
                Weight::ALL,
                false,
                "observed deployment generation less than desired generation",
            ),
            (
                "Deployment",
                3,
                json!({"observedGeneration": 2, "updatedReplicas": 1}),
                Weight::ALL,
                false,
                "1 out of 3 new replicas have been updated",
            ),
            (
                "Deployment",
                3,
                json!({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 4}),
                Weight::ALL,
                false,
                "1 old replicas are pending termination",
            ),
            (
                "Deployment",
                4,
                json!({"observedGeneration": 2, "updatedReplicas": 4, "replicas": 4, "availableReplicas": 2}),
                Weight::ALL,
                false,
                "2 of 4 (readyThreshold 100%) updated replicas are available",
            ),
            (
                "Deployment",
                4,
                json!({"observedGeneration": 2, "updatedReplicas": 4, "replicas": 4, "availableReplicas": 2}),
                half,
                false,
                "",
            ),
            (
                "Deployment",
                1,
                json!({"observedGeneration": 2, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}),
                half,
                true,
                "0 out of 1 new replicas have been updated",
            ),
            (
                "DaemonSet",
                0,
                json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}),
                Weight::ALL,
                false,
                "",
            ),
            (
                "DaemonSet",
                0,
                json!({}),
                Weight::ALL,
                false,
                "observed daemonset generation less than desired generation",
            ),
            (
                "DaemonSet",
                0,
                json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1}),
                Weight::ALL,
                false,
                "1 out of 2 new replicas have been updated",
            ),
        ];
        for (name, replicas, status, threshold, overdue, missing) in cases {
            let object = json!({"apiVersion": "apps/v1", "kind": name, "metadata": {"name": "web", "generation": 2},
                                "spec": {"replicas": replicas}, "status": status});
            let kind = if name == "DaemonSet" { TargetKind::DaemonSet } else { TargetKind::Deployment };
            let rollout = of(kind, &Object::from_value(object.clone(), None).unwrap());
            let found = rollout.missing(kind, threshold).unwrap_or_default();
            assert_eq!(found.trim_start_matches("waiting for rollout to finish: "), missing, "{object}");
            assert_eq!(rollout.is_overdue, overdue, "{object}");
        }
    }
}
