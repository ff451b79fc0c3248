//! What a Canary reports: exactly the fields and words that Flagger's clients read.
//!
//! A field that cannot be read counts as absent: a status is only a report.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::lenient;

/// Where a canary stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryStatus {
    /// Absent before the canary was first looked at.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub phase: Option<Phase>,
    /// Failed checks of the run under way, or of the last one.
    #[serde(deserialize_with = "lenient")]
    pub failed_checks: i32,
    /// Percent of the traffic that reaches the canary.
    #[serde(deserialize_with = "lenient")]
    pub canary_weight: i32,
    /// Passed checks of an A/B or blue/green run.
    #[serde(deserialize_with = "lenient")]
    pub iterations: i32,
    /// Identity of the target's version that was tried last.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "lenient")]
    pub last_applied_spec: String,
    /// Identity of the target's version that the primary has.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "lenient")]
    pub last_promoted_spec: String,
    /// Checksums of ConfigMaps and Secrets, by `configmap/NAME` and `secret/NAME`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub tracked_configs: Option<BTreeMap<String, String>>,
    /// When the phase last changed.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(with = "Option<Time>")]
    pub last_transition_time: Option<Time>,
    /// `name=value` of the cookie that leads to the canary.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "lenient")]
    pub session_affinity_cookie: String,
    /// `name=value` of the cookie that leads to the primary.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "lenient")]
    pub primary_session_affinity_cookie: String,
    /// `name=value` of the last run's cookie: clients that still have it lose it.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "lenient")]
    pub previous_session_affinity_cookie: String,
    /// `Promoted`, and Leeboard's own.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub conditions: Vec<CanaryCondition>,
}

/// Where a canary stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// The primary is being made.
    Initializing,
    /// The primary serves; no new version was ever tried.
    Initialized,
    /// A new version waits for approval before it is tried.
    Waiting,
    /// A new version is being tried.
    Progressing,
    /// A new version has passed, and waits for approval.
    WaitingPromotion,
    /// The primary is rolled to the new version.
    Promoting,
    /// The target is scaled down.
    Finalising,
    /// The primary has the new version.
    Succeeded,
    /// The new version was rolled back.
    Failed,
    /// The canary is being deleted.
    Terminating,
    /// Known to Flagger's schema, never written.
    Terminated,
}

impl Phase {
    /// Every phase, in the order in which a canary goes through them.
    pub const ALL: [Phase; 11] = [
        Phase::Initializing,
        Phase::Initialized,
        Phase::Waiting,
        Phase::Progressing,
        Phase::WaitingPromotion,
        Phase::Promoting,
        Phase::Finalising,
        Phase::Succeeded,
        Phase::Failed,
        Phase::Terminating,
        Phase::Terminated,
    ];

    /// As a status says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Initializing => "Initializing",
            Phase::Initialized => "Initialized",
            Phase::Waiting => "Waiting",
            Phase::Progressing => "Progressing",
            Phase::WaitingPromotion => "WaitingPromotion",
            Phase::Promoting => "Promoting",
            Phase::Finalising => "Finalising",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
            Phase::Terminating => "Terminating",
            Phase::Terminated => "Terminated",
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A condition as Flagger has it: a [`Time`] more than the usual ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryCondition {
    /// `Promoted`, or one of Leeboard's.
    #[serde(rename = "type")]
    pub name: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When it was last written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Time>,
    /// When `status` last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// One word.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// One sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_of_flagger_is_written_as_it_was_read() {
        let value = json!({
            "phase": "Progressing",
            "failedChecks": 1,
            "canaryWeight": 25,
            "iterations": 0,
            "lastAppliedSpec": "bdc885759",
            "lastPromotedSpec": "66c44fbdd4",
            "trackedConfigs": {"configmap/web": "0123456789abcdef"},
            "lastTransitionTime": "2026-01-02T03:04:05Z",
            "sessionAffinityCookie": "flagger-cookie=GZBYqiYsul",
            "conditions": [{"type": "Promoted", "status": "Unknown", "lastUpdateTime": "2026-01-02T03:04:05Z",
                            "lastTransitionTime": "2026-01-02T03:04:05Z", "reason": "Progressing",
                            "message": "New revision detected, progressing canary analysis."}],
        });
        let status: CanaryStatus = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(status).unwrap(), value);
    }

    #[test]
    fn a_bad_field_is_dropped() {
        let value = json!({"phase": "Dancing", "failedChecks": "many", "canaryWeight": 30, "newerField": 1});
        let status: CanaryStatus = serde_json::from_value(value).unwrap();
        assert_eq!((status.phase, status.failed_checks, status.canary_weight), (None, 0, 30));
    }

    #[test]
    fn every_phase_is_written_as_it_is_read() {
        for phase in Phase::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), json!(phase.as_str()));
        }
    }
}
