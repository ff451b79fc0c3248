//! What was done of a promotion, and which commits an environment has had: what the daemon writes.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PromotionPhase, WriteMode};
use crate::api::{is_false, lenient};

/// What was done of a [`Promotion`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionStatus {
    /// Where it stands.
    pub phase: PromotionPhase,
    /// One sentence for a person.
    pub message: String,
    /// The branch, and where it stood when this was planned.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub base: Option<Place>,
    /// What would be, or was, changed.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub plan: Option<PlanSummary>,
    /// Each gate's last answer.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub gates: Vec<GateStatus>,
    /// How it was written.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub write: Option<Written>,
    /// What happened, one after another; the last 200.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub steps: Vec<Step>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub started_at: Option<Time>,
    /// When it was on the branch.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub written_at: Option<Time>,
    /// When the cluster held it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub deployed_at: Option<Time>,
    /// When it was verified.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub verified_at: Option<Time>,
    /// When nothing more happened.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub finished_at: Option<Time>,
}

/// A branch, and where it stood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Place {
    /// Its name.
    pub branch: String,
    /// The commit, in full.
    pub commit: String,
}

/// What a promotion would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanSummary {
    /// Of what git would want then, keyed: who approves it approves this.
    pub hash: String,
    /// Since when it is this one.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub since: Option<Time>,
    /// Objects that come.
    pub added: u32,
    /// Objects that change.
    pub changed: u32,
    /// Objects that go.
    pub removed: u32,
    /// Objects that are made anew.
    pub replaced: u32,
    /// The images that come with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

/// A gate's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GateStatus {
    /// What people call it.
    pub name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Asked after it was deployed.
    #[serde(skip_serializing_if = "is_false")]
    pub after: bool,
    /// What it says.
    pub state: GateState,
    /// The same in one sentence.
    pub message: String,
    /// Since when it says so.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub since: Option<Time>,
    /// When it is asked again, where a time is known.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub next_check: Option<Time>,
    /// Where it can be seen.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "lenient")]
    pub evidence: BTreeMap<String, String>,
}

/// What a gate says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GateState {
    /// Not yet.
    #[default]
    Wait,
    /// Yes.
    Pass,
    /// No.
    Fail,
    /// It could not be asked.
    Error,
    /// A person has said that it is not waited for.
    Overridden,
}

/// How a promotion was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Written {
    /// In which way.
    pub mode: WriteMode,
    /// The commit on the branch, in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The pull request's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u64>,
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The commit that took it back, in full; or the pull request that asks to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Step {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// From where.
    pub from: PromotionPhase,
    /// To where.
    pub to: PromotionPhase,
    /// Why.
    pub why: String,
}

/// Which commits an environment has and had, and what it takes next: `Environment.status.promotion`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionTrack {
    /// What it has.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub current: Option<Tenure>,
    /// What it had, the newest first; ten.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub previous: Vec<Tenure>,
    /// What would come next: a commit, in full.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub candidate: Option<String>,
    /// What is waited for, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub next: Option<String>,
    /// Commits that do not enter by themselves, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "lenient")]
    pub rejected: BTreeMap<String, String>,
}

/// A commit's time in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Tenure {
    /// The commit on the branch, in full.
    pub commit: String,
    /// The first line of its message.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The commit of the first environment that came here as this one, in full.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// Since when the cluster holds it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub since: Option<Time>,
    /// Until when it did.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub until: Option<Time>,
    /// When it was verified.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub verified_at: Option<Time>,
    /// Since when it has been verified and healthy without a break.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub healthy_since: Option<Time>,
    /// Since when it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub unhealthy_since: Option<Time>,
    /// The longest time without a break that has ended, in seconds.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "lenient")]
    pub soaked: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}
