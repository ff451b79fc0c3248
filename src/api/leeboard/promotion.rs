//! `Environment.spec.promotion`, how commits arrive in an environment; and [`Promotion`], one run of carrying one there:
//! its record.

mod gates;
mod record;

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::gates::{
    AlarmsGate, AlertmanagerAlarms, Approval, Checks, Gate, JobGate, MetricGate, PagerDutyAlarms, Soak,
    TemplateReference, WebhookGate,
};
pub use self::record::{
    GateState, GateStatus, Place, PlanSummary, PromotionStatus, PromotionTrack, Step, Tenure, Written,
};
use super::Environment;
use crate::api::{LEEBOARD_GROUP, api_version, duration, impl_resource, is_false, kind, lenient, named};

/// How commits arrive in an environment, and what they have to have proved before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionPolicy {
    /// Where commits come from; none: people push to the branch, and what they push is only verified.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<PromotionSource>,
    /// In how many of the source environments a commit has to be verified; `any` when absent.
    pub require: Require,
    /// Which of several commits that wait is taken; `latest` when absent.
    pub select: Select,
    /// Begin without a person. Only where the AppProject has the annotation `leeboard.dev/auto-promotion: allow`.
    #[serde(skip_serializing_if = "is_false")]
    pub auto: bool,
    /// How it is written to the branch; a merge commit when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<WritePolicy>,
    /// What has to be so before it is written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// What has to be so, once it is deployed, before it is verified here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Gate>,
    /// When it may be written; at any time when there is none. Outside of every `allow`, and within any `deny`, it waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// While this is here, nothing enters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<Lock>,
    /// While this is here, nothing begins without a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Lock>,
    /// Commits that do not enter, wherever they come from; nor any environment that takes its commits from this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<Rejected>,
    /// What is done about one that failed after it was written; `none` when absent.
    pub rollback: AfterFailure,
    /// How long one may take, without the time that it waits for people and windows; 24h when absent, `0` is for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// How many ended ones are kept; 50 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_limit: Option<u32>,
    /// Do not write while the environment is not healthy.
    #[serde(skip_serializing_if = "is_false")]
    pub require_healthy_target: bool,
}

impl PromotionPolicy {
    /// The default of [`PromotionPolicy::timeout`].
    pub const TIMEOUT: Duration = Duration::from_secs(24 * 3600);

    /// How long one may take; `None`: for ever.
    pub fn timeout(&self) -> Option<Duration> {
        let asked = self.timeout.as_deref().and_then(duration::parse).unwrap_or(Self::TIMEOUT);
        (!asked.is_zero()).then_some(asked)
    }

    /// How many ended ones are kept.
    pub fn history_limit(&self) -> usize {
        usize::try_from(self.history_limit.unwrap_or(50)).unwrap_or(usize::MAX)
    }
}

/// Where commits come from: another environment, or a branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionSource {
    /// An Environment of the same namespace and repository: what is verified there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// A branch of the same repository: whatever it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// In how many source environments a commit has to be verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Require {
    /// In one of them.
    #[default]
    Any,
    /// In each of them.
    All,
}

/// Which of several commits that wait is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Select {
    /// The newest; those between are left out.
    #[default]
    Latest,
    /// One after another.
    Queue,
}

/// How a promotion is written to the environment branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WritePolicy {
    /// In which way; `merge` when absent.
    pub mode: WriteMode,
    /// The first line of the commit; when absent: `Promote 3f9a1c2 from dev to prod`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who the commit is by; Leeboard when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// With `pullRequest`: merge it once all gates have passed. Else a person does.
    #[serde(skip_serializing_if = "is_false")]
    pub auto_merge: bool,
    /// With `autoMerge`: how the forge merges; `merge` when absent.
    pub merge_method: MergeMethod,
    /// What is done when the branch may not be pushed to; `none` when absent.
    pub fallback: Fallback,
}

/// In which way a promotion is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WriteMode {
    /// A merge commit on the branch.
    #[default]
    Merge,
    /// The branch is moved to the commit; only where it holds nothing of its own.
    FastForward,
    /// A pull request from a branch of its own.
    PullRequest,
}

/// How a forge merges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MergeMethod {
    /// With a merge commit.
    #[default]
    Merge,
    /// As one commit.
    Squash,
    /// Each commit anew.
    Rebase,
}

/// What is done when the branch may not be pushed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Fallback {
    /// The promotion has failed.
    #[default]
    None,
    /// A pull request asks for it.
    PullRequest,
}

/// What is done about a promotion that failed after it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AfterFailure {
    /// Nothing: it is reported.
    #[default]
    None,
    /// Another commit takes it back.
    Revert,
    /// A pull request asks to take it back.
    PullRequest,
}

/// Who a commit is by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Author {
    /// As people read it.
    pub name: String,
    /// Its address.
    pub email: String,
}

/// A time in which an environment takes, or does not take, promotions: as a sync window of Argo CD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Window {
    /// Whether promotions may, or may not, be written in it.
    pub kind: WindowKind,
    /// When it begins: five fields as cron has them.
    pub schedule: String,
    /// How long it lasts.
    pub duration: String,
    /// Where its clock is: `Europe/Berlin`; UTC when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What a person began may pass it.
    #[serde(skip_serializing_if = "is_false")]
    pub manual: bool,
    /// What people are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a window is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WindowKind {
    /// Promotions are written in it, and at no other time.
    #[default]
    Allow,
    /// No promotion is written in it.
    Deny,
}

/// Why something does not go on, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Lock {
    /// What people are told.
    pub reason: String,
    /// Who wants it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When it ends by itself; when absent, it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

impl Lock {
    /// False once it has ended by itself.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.as_ref().is_none_or(|until| now < until.0)
    }
}

/// A commit that does not enter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rejected {
    /// In full.
    pub commit: String,
    /// Why.
    pub reason: String,
    /// Who wants it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// One run of carrying one commit into one environment: who, what, why, and what proved it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// Always `leeboard.dev/v1alpha1`.
    #[serde(default = "api_version::<Promotion>")]
    pub api_version: String,
    /// Always `Promotion`.
    #[serde(default = "kind::<Promotion>")]
    pub kind: String,
    /// Name, namespace.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: PromotionSpec,
    /// What was done; a subresource.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub status: Option<PromotionStatus>,
}

impl_resource!(Promotion, LEEBOARD_GROUP, "Promotion", "promotions");

impl Promotion {
    /// The promotion with this name.
    pub fn new(name: &str, namespace: &str, spec: PromotionSpec) -> Self {
        Promotion {
            api_version: api_version::<Self>(),
            kind: kind::<Self>(),
            metadata: named(name, namespace),
            spec,
            status: None,
        }
    }

    /// The promotion with this name into an environment, with which it goes.
    pub fn owned_by(environment: &Environment, name: &str, spec: PromotionSpec) -> Self {
        let mut promotion = Promotion::new(name, environment.namespace(), spec);
        let owner = environment.metadata.uid.clone().map(|uid| OwnerReference {
            api_version: environment.api_version.clone(),
            kind: environment.kind.clone(),
            name: environment.name().into(),
            uid,
            ..OwnerReference::default()
        });
        promotion.metadata.owner_references = owner.map(|owner| vec![owner]);
        promotion
    }

    /// Where it stands.
    pub fn phase(&self) -> PromotionPhase {
        self.status.as_ref().map(|status| status.phase).unwrap_or_default()
    }

    /// When it was made.
    pub fn created(&self) -> Option<&Time> {
        self.metadata.creation_timestamp.as_ref()
    }
}

/// What a [`Promotion`] is to do. Only `approvals` and `abort` change after it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionSpec {
    /// The Environment, of the same namespace, that it leads to.
    pub environment: String,
    /// The commit, in full.
    pub commit: String,
    /// The Environment, or `branch NAME`, that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it is; `promote` when absent.
    #[serde(rename = "type")]
    pub kind: PromotionKind,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Gates that are not waited for, and why. Who writes this needs the right to `override` promotions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Who wants it; the API server lets nobody write another's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// The comment in which they asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// What people said to it; the API server lets nobody speak for another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Word>,
    /// To be ended where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<Lock>,
}

/// What a promotion is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PromotionKind {
    /// On its way from one environment to the next.
    #[default]
    Promote,
    /// Back to what an environment had before.
    Rollback,
    /// By the shortest way, with gates left out.
    Hotfix,
    /// Pushed by a person: only what comes after it is looked at.
    Push,
}

impl PromotionKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            PromotionKind::Promote => "promote",
            PromotionKind::Rollback => "rollback",
            PromotionKind::Hotfix => "hotfix",
            PromotionKind::Push => "push",
        }
    }
}

/// A gate that is not waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Override {
    /// Its name.
    pub gate: String,
    /// Why.
    pub reason: String,
}

/// What somebody said to a promotion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Word {
    /// Who: the API server's name for them.
    pub user: String,
    /// Of which groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Yes or no.
    pub verdict: WordVerdict,
    /// What they saw: the plan's hash.
    pub plan_hash: String,
    /// What they had to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// Their account on the forge, where they said it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The comment in which they said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WordVerdict {
    /// It may enter.
    #[default]
    Approve,
    /// It may not.
    Reject,
}

/// Where a promotion stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PromotionPhase {
    /// Another one has its turn.
    #[default]
    Pending,
    /// Its gates are asked.
    Gated,
    /// It is being written.
    Writing,
    /// A pull request waits to be merged.
    PullRequest,
    /// It is written, and not applied yet.
    Deploying,
    /// It is applied, and what comes after is looked at.
    Verifying,
    /// It is verified.
    Succeeded,
    /// It did not get in, or did not prove itself there.
    Failed,
    /// A person has ended it.
    Aborted,
    /// A newer one has taken its place.
    Superseded,
    /// It did not prove itself, and was taken back.
    RolledBack,
}

impl PromotionPhase {
    /// Nothing more will happen.
    pub fn is_final(self) -> bool {
        use PromotionPhase as P;
        matches!(self, P::Succeeded | P::Failed | P::Aborted | P::Superseded | P::RolledBack)
    }

    /// It holds the environment: no other one is written meanwhile.
    pub fn holds_environment(self) -> bool {
        use PromotionPhase as P;
        matches!(self, P::Writing | P::PullRequest | P::Deploying | P::Verifying)
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        use PromotionPhase as P;
        match self {
            P::Pending => "Pending",
            P::Gated => "Gated",
            P::Writing => "Writing",
            P::PullRequest => "PullRequest",
            P::Deploying => "Deploying",
            P::Verifying => "Verifying",
            P::Succeeded => "Succeeded",
            P::Failed => "Failed",
            P::Aborted => "Aborted",
            P::Superseded => "Superseded",
            P::RolledBack => "RolledBack",
        }
    }
}
