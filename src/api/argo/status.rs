//! What an Application reports: exactly the fields and words that Argo CD's clients read.
//!
//! A field that cannot be read counts as absent: a status is only a report, and it is written anew.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Destination, IgnoreDifference, Initiator, ManagedNamespaceMetadata, Operation, Source};
use crate::api::{is_false, lenient};

/// What was found and done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationStatus {
    /// Every managed object.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub resources: Vec<ResourceStatus>,
    /// Does the cluster hold what git wants.
    #[serde(skip_serializing_if = "SyncState::is_unset", deserialize_with = "lenient")]
    pub sync: SyncState,
    /// The worst of its objects.
    #[serde(skip_serializing_if = "HealthStatus::is_unset", deserialize_with = "lenient")]
    pub health: HealthStatus,
    /// Full, successful syncs, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub history: Vec<HistoryEntry>,
    /// What a person should know.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub conditions: Vec<Condition>,
    /// Last comparison with freshly resolved git.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub reconciled_at: Option<Time>,
    /// The operation under way, or the last one.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub operation_state: Option<OperationState>,
    /// Deprecated by Argo CD; kept as it was.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub observed_at: Option<Time>,
    /// `Helm`, `Kustomize`, `Directory` or `Plugin`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub source_type: Option<String>,
    /// Images and links of all its objects.
    #[serde(skip_serializing_if = "Summary::is_unset", deserialize_with = "lenient")]
    pub summary: Summary,
    /// Empty: each object's health stands in `resources`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub resource_health_source: Option<String>,
    /// One for each of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub source_types: Vec<String>,
    /// The namespace of the daemon that wrote this.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub controller_namespace: Option<String>,
    /// State of the hydrator, as written.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub source_hydrator: Option<Map<String, Value>>,
}

impl ApplicationStatus {
    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }
}

/// Does the cluster hold what git wants, and which inputs that was judged by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncState {
    /// The answer.
    #[serde(deserialize_with = "lenient")]
    pub status: SyncStatus,
    /// The spec at the time of the comparison.
    #[serde(skip_serializing_if = "ComparedTo::is_unset", deserialize_with = "lenient")]
    pub compared_to: ComparedTo,
    /// The commit compared to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The same, one for each of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
}

impl SyncState {
    fn is_unset(&self) -> bool {
        *self == SyncState::default()
    }
}

/// Does the cluster hold what git wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SyncStatus {
    /// It does.
    Synced,
    /// It does not.
    OutOfSync,
    /// Git or the cluster could not be read.
    #[default]
    Unknown,
}

impl SyncStatus {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            SyncStatus::Synced => "Synced",
            SyncStatus::OutOfSync => "OutOfSync",
            SyncStatus::Unknown => "Unknown",
        }
    }
}

/// The inputs of a comparison; a difference to the spec calls for a new one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ComparedTo {
    /// The one source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The destination.
    pub destination: Destination,
    /// Several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Fields that did not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<IgnoreDifference>,
}

impl ComparedTo {
    fn is_unset(&self) -> bool {
        *self == ComparedTo::default()
    }
}

/// Health of an application or of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthStatus {
    /// `Healthy`, `Suspended`, `Progressing`, `Missing`, `Degraded` or `Unknown`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub status: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "lenient")]
    pub message: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub last_transition_time: Option<Time>,
}

impl HealthStatus {
    fn is_unset(&self) -> bool {
        *self == HealthStatus::default()
    }
}

/// The operation under way, or the last one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationState {
    /// What was asked for.
    pub operation: Operation,
    /// Where it stands.
    pub phase: OperationPhase,
    /// One sentence for a person.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What was done so far.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub sync_result: Option<SyncResult>,
    /// When it began; Argo CD's own definition refuses a state without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended; with phase `Running` it waits for its next try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Tries after the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_count: Option<i64>,
}

/// Where an operation, or a hook, stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OperationPhase {
    /// Under way.
    #[default]
    Running,
    /// A person asked to end it.
    Terminating,
    /// Done.
    Succeeded,
    /// An object could not be applied, or did not become healthy.
    Failed,
    /// It could not be carried out at all.
    Error,
}

impl OperationPhase {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            OperationPhase::Running => "Running",
            OperationPhase::Terminating => "Terminating",
            OperationPhase::Succeeded => "Succeeded",
            OperationPhase::Failed => "Failed",
            OperationPhase::Error => "Error",
        }
    }

    /// True when nothing more will happen.
    pub fn is_completed(self) -> bool {
        matches!(self, OperationPhase::Succeeded | OperationPhase::Failed | OperationPhase::Error)
    }
}

/// What a sync did, object by object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncResult {
    /// In the order of first execution.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceResult>,
    /// The commit.
    pub revision: String,
    /// The source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// The commit of each of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// What was put on the destination namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_namespace_metadata: Option<ManagedNamespaceMetadata>,
}

/// What a sync did to one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceResult {
    /// Empty is the core group.
    pub group: String,
    /// `v1`.
    pub version: String,
    /// In CamelCase.
    pub kind: String,
    /// Empty when cluster-scoped.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`; empty for a hook that has not run.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// The API server's word, or the error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The hook's phase, for hooks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hook_type: String,
    /// Where it stands, also for objects that are no hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_phase: Option<OperationPhase>,
    /// `PreSync`, `Sync`, `PostSync` or `SyncFail`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sync_phase: String,
    /// Images of the object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

/// One managed object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceStatus {
    /// Empty is the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// `v1`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// In CamelCase.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Empty when cluster-scoped.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// `metadata.name`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Does the cluster hold what git wants; absent for hooks.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub status: Option<SyncStatus>,
    /// Absent for kinds that have none.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub health: Option<HealthStatus>,
    /// It is a hook.
    #[serde(skip_serializing_if = "is_false")]
    pub hook: bool,
    /// Git no longer has it.
    #[serde(skip_serializing_if = "is_false")]
    pub requires_pruning: bool,
    /// Its wave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_wave: Option<i64>,
    /// It waits for a person's approval to be deleted.
    #[serde(skip_serializing_if = "is_false")]
    pub requires_deletion_confirmation: bool,
}

/// One full, successful sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HistoryEntry {
    /// The commit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// When it ended; Argo CD's own definition refuses an entry without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<Time>,
    /// Counts up.
    pub id: i64,
    /// The source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_started_at: Option<Time>,
    /// Several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// The commit of each of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiated_by: Option<Initiator>,
}

/// Something that a person should know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// In CamelCase; its suffix `Error`, `Warning` or `Info` is the severity.
    #[serde(rename = "type")]
    pub kind: String,
    /// One sentence.
    pub message: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
}

impl Condition {
    /// The spec cannot be right; nothing is synced.
    pub const INVALID_SPEC: &str = "InvalidSpecError";
    /// Git or the cluster could not be read, or the files not rendered; nothing is synced.
    pub const COMPARISON: &str = "ComparisonError";
    /// The last sync failed, or was not even tried.
    pub const SYNC: &str = "SyncError";
    /// Its objects could not be deleted.
    pub const DELETION: &str = "DeletionError";
    /// An object belongs to another application too.
    pub const SHARED_RESOURCE: &str = "SharedResourceWarning";
    /// An object appears several times.
    pub const REPEATED_RESOURCE: &str = "RepeatedResourceWarning";

    /// True when it keeps the application from being synced.
    pub fn is_error(&self) -> bool {
        self.kind.ends_with("Error")
    }
}

/// Images and links of all objects, also those that controllers made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Summary {
    /// Links for people.
    #[serde(rename = "externalURLs", skip_serializing_if = "Vec::is_empty")]
    pub external_urls: Vec<String>,
    /// Sorted, unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// It holds Applications.
    #[serde(skip_serializing_if = "is_false")]
    pub is_app_of_apps: bool,
}

impl Summary {
    fn is_unset(&self) -> bool {
        *self == Summary::default()
    }
}
