//! When an application is synced without a person, and how often a failed sync is tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{duration, is_false};

/// When and how to sync. Without [`SyncPolicy::automated`] only a person starts a sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncPolicy {
    /// A difference starts a sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automated: Option<Automated>,
    /// `Name=value`, exactly as documented: other spellings count as unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// How often a failed sync is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Put on the destination namespace, with the sync option `CreateNamespace=true` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_namespace_metadata: Option<ManagedNamespaceMetadata>,
}

/// A difference between git and cluster starts a sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Automated {
    /// Delete what git no longer has.
    #[serde(skip_serializing_if = "is_false")]
    pub prune: bool,
    /// Undo changes made in the cluster.
    #[serde(skip_serializing_if = "is_false")]
    pub self_heal: bool,
    /// Prune also when git has no objects left at all.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_empty: bool,
    /// `false` keeps the settings and stops the automation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

impl Automated {
    /// True unless `enabled` is `false`.
    pub fn is_on(&self) -> bool {
        self.enabled != Some(false)
    }
}

/// How often a failed sync is tried again, and after which waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retry {
    /// 0 is never, less is for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// The waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Resolve the revision anew at each try instead of repeating the same commit.
    #[serde(skip_serializing_if = "is_false")]
    pub refresh: bool,
}

impl Retry {
    const DURATION: Duration = Duration::from_secs(5);
    const FACTOR: i64 = 2;
    const MAX_DURATION: Duration = Duration::from_secs(180);

    /// That of an automated sync whose spec says nothing.
    pub fn of_automation() -> Self {
        Retry { limit: Some(5), ..Retry::default() }
    }

    /// True when another try may follow `attempts` that failed after the first.
    pub fn allows(&self, attempts: u32) -> bool {
        match self.limit.unwrap_or(0) {
            limit if limit < 0 => true,
            limit => i64::from(attempts) < limit,
        }
    }

    /// The wait before a further try, `attempt` counted from 0; what cannot be read counts as its default.
    pub fn backoff(&self, attempt: u32) -> Duration {
        let backoff = self.backoff.as_ref();
        let read = |text: Option<&String>, default| text.and_then(|text| duration::parse(text)).unwrap_or(default);
        let first = read(backoff.and_then(|b| b.duration.as_ref()), Self::DURATION);
        let longest = read(backoff.and_then(|b| b.max_duration.as_ref()), Self::MAX_DURATION);
        let factor = backoff.and_then(|b| b.factor).filter(|factor| *factor > 0).unwrap_or(Self::FACTOR);
        // Zero means no longest wait, to Argo CD; a day bounds it here so that the product stays finite.
        let longest = if longest.is_zero() { Duration::from_secs(86_400) } else { longest };
        let factor = u32::try_from(factor).unwrap_or(u32::MAX);
        factor.checked_pow(attempt).and_then(|times| first.checked_mul(times)).map_or(longest, |wait| wait.min(longest))
    }

    pub(super) fn is_unset(&self) -> bool {
        *self == Retry::default()
    }
}

/// Waits between tries: `duration · factor^n`, at most `maxDuration`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Backoff {
    /// The first wait; 5s when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// 2 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<i64>,
    /// 3m when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<String>,
}

/// Labels and annotations of the destination namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedNamespaceMetadata {
    /// Added to the namespace's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Added to the namespace's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn waits_grow_to_their_cap() {
        let custom = |backoff| -> Retry { serde_json::from_value(json!({"limit": 3, "backoff": backoff})).unwrap() };
        let cases = [
            // retry, seconds of the first five waits
            (Retry::default(), [5, 10, 20, 40, 80]),
            (custom(json!({"duration": "30s"})), [30, 60, 120, 180, 180]),
            (custom(json!({"duration": "10", "factor": 3, "maxDuration": "1m"})), [10, 30, 60, 60, 60]),
            (custom(json!({"duration": "1s", "factor": 10, "maxDuration": "0"})), [1, 10, 100, 1000, 10_000]),
            (custom(json!({"duration": "soon", "factor": -1})), [5, 10, 20, 40, 80]),
        ];
        for (retry, expected) in cases {
            let waits: Vec<u64> = (0..5).map(|attempt| retry.backoff(attempt).as_secs()).collect();
            assert_eq!(waits, expected, "{retry:?}");
        }
        assert_eq!(Retry::default().backoff(4_000_000_000), Duration::from_secs(180), "no overflow");
    }

    #[test]
    fn the_limit_counts_tries_after_the_first() {
        let cases = [
            // limit, attempts, another?
            (None, 0, false),
            (Some(0), 0, false),
            (Some(2), 1, true),
            (Some(2), 2, false),
            (Some(-1), 1_000_000, true),
        ];
        for (limit, attempts, expected) in cases {
            let retry = Retry { limit, ..Retry::default() };
            assert_eq!(retry.allows(attempts), expected, "limit {limit:?}, {attempts} attempts");
        }
    }

    #[test]
    fn automation_is_on_unless_it_says_otherwise() {
        for (enabled, expected) in [(None, true), (Some(true), true), (Some(false), false)] {
            assert_eq!(Automated { enabled, ..Automated::default() }.is_on(), expected, "{enabled:?}");
        }
    }
}
