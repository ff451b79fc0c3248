//! `Application`: a set of objects with one destination, and the operation that a client asks for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApplicationStatus, Propagation, Retry, Source, SourceHydrator, SyncOptions, SyncPolicy};
use crate::api::{ARGO_GROUP, api_version, impl_resource, is_false, kind, lenient, named};
use crate::object::annotation;

/// A set of objects from one or several sources, and the cluster and namespace in which they belong.
///
/// Unlike most kinds it has no status subresource, and a third top-level field: `operation`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Always `argoproj.io/v1alpha1`.
    #[serde(default = "api_version::<Application>")]
    pub api_version: String,
    /// Always `Application`.
    #[serde(default = "kind::<Application>")]
    pub kind: String,
    /// Name, namespace, annotations, finalizers.
    pub metadata: ObjectMeta,
    /// What a user wrote.
    pub spec: ApplicationSpec,
    /// What was found and done.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub status: Option<ApplicationStatus>,
    /// What a client asks for; removed when it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
}

impl_resource!(Application, ARGO_GROUP, "Application", "applications");

impl Application {
    /// An Application with this name, without a status.
    pub fn new(name: &str, namespace: &str, spec: ApplicationSpec) -> Self {
        Application {
            api_version: api_version::<Self>(),
            kind: kind::<Self>(),
            metadata: named(name, namespace),
            spec,
            status: None,
            operation: None,
        }
    }

    /// The name that its objects' tracking annotation carries: `<name>`, or `<namespace>_<name>` outside the
    /// control-plane namespace.
    pub fn tracking_name(&self, control_plane_namespace: &str) -> String {
        match self.namespace() {
            namespace if namespace.is_empty() || namespace == control_plane_namespace => self.name().to_owned(),
            namespace => format!("{namespace}_{}", self.name()),
        }
    }

    /// The namespace of objects that name none themselves.
    pub fn destination_namespace(&self) -> Option<&str> {
        self.spec.destination.namespace.as_deref().filter(|namespace| !namespace.is_empty())
    }

    /// The value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// What a client asks for with the refresh annotation; any word but `hard` means a normal one.
    pub fn refresh(&self) -> Option<Refresh> {
        self.annotation(annotation::REFRESH).map(|word| if word == "hard" { Refresh::Hard } else { Refresh::Normal })
    }

    /// True when the daemon must leave it alone: not even its status is written.
    pub fn is_skipped(&self) -> bool {
        // The words that Go's strconv.ParseBool takes for true.
        matches!(self.annotation(annotation::SKIP_RECONCILE), Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// How its objects are deleted with it; `None`: they stay.
    pub fn cascade(&self) -> Option<Propagation> {
        self.metadata.finalizers.iter().flatten().find_map(|finalizer| {
            match finalizer.strip_prefix(annotation::RESOURCES_FINALIZER)? {
                "" | "/foreground" => Some(Propagation::Foreground),
                "/background" => Some(Propagation::Background),
                _ => None,
            }
        })
    }

    /// True once a person has asked for its deletion.
    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

/// How much of what is known is looked up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// Resolve the revision and compare.
    Normal,
    /// The same, and render anew even if nothing changed.
    Hard,
}

/// What a user wrote about an [`Application`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSpec {
    /// The one source; ignored when `sources` is not empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Several sources; their objects are put together in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// The cluster, and the namespace of objects that name none.
    pub destination: Destination,
    /// The AppProject whose rules hold; empty means `default`.
    pub project: String,
    /// When and how to sync; without it only a person starts a sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_policy: Option<SyncPolicy>,
    /// Fields that do not count as a difference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<IgnoreDifference>,
    /// Shown to people, nothing else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<Info>,
    /// How many entries `status.history` keeps; 10 when absent, 0 keeps none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i64>,
    /// Renders one branch into another; wins over `source` and `sources`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_hydrator: Option<SourceHydrator>,
}

impl ApplicationSpec {
    /// The sources in force, in order: `sources` when there are any, else `source`.
    pub fn sources(&self) -> Vec<&Source> {
        if self.sources.is_empty() { self.source.iter().collect() } else { self.sources.iter().collect() }
    }

    /// True when `sources` is in force: then revisions are reported as lists.
    pub fn has_several_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// The AppProject's name.
    pub fn project(&self) -> &str {
        if self.project.is_empty() { "default" } else { &self.project }
    }

    /// How many past syncs are kept for a rollback.
    pub fn history_limit(&self) -> usize {
        self.revision_history_limit.map_or(10, |limit| usize::try_from(limit).unwrap_or(0))
    }

    /// True when a difference starts a sync without a person.
    pub fn is_automated(&self) -> bool {
        self.automated().is_some()
    }

    /// The automation in force; `None` when absent or switched off.
    pub fn automated(&self) -> Option<&super::Automated> {
        self.sync_policy.as_ref()?.automated.as_ref().filter(|automated| automated.is_on())
    }

    /// The retry of an automated sync: five times unless the spec says otherwise.
    pub fn automated_retry(&self) -> Retry {
        self.sync_policy.as_ref().and_then(|policy| policy.retry.clone()).unwrap_or_else(Retry::of_automation)
    }

    /// The sync options of automated syncs; an operation that a client writes states its own.
    pub fn sync_options(&self) -> SyncOptions {
        self.sync_policy.as_ref().map(|policy| SyncOptions::parse(&policy.sync_options)).unwrap_or_default()
    }
}

/// The cluster, by URL or by name, and the namespace of objects that name none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Destination {
    /// URL of the API server; `https://kubernetes.default.svc` is the cluster that Leeboard runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Where objects without a namespace go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the cluster; `in-cluster` is the one that Leeboard runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Destination {
    /// The URL by which Argo CD's users know the cluster that the control plane runs in.
    pub const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
    /// The name of the same.
    pub const IN_CLUSTER_NAME: &str = "in-cluster";

    /// True when it is the cluster that Leeboard runs in.
    pub fn is_in_cluster(&self) -> bool {
        self.server.as_deref().map(|server| server.trim_end_matches('/')) == Some(Self::IN_CLUSTER_SERVER)
            || self.name.as_deref() == Some(Self::IN_CLUSTER_NAME)
    }
}

/// Fields of some objects that do not count as a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IgnoreDifference {
    /// A glob; empty is the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// A glob.
    pub kind: String,
    /// Exact; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// RFC 6901.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub json_pointers: Vec<String>,
    /// jq paths, each as in `del(<path>)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jq_path_expressions: Vec<String>,
    /// Fields that these managers own and that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub managed_fields_managers: Vec<String>,
}

/// A name and a value, shown to people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Info {
    /// What it is.
    pub name: String,
    /// Text or a URL.
    pub value: String,
}

/// What a client asks for: a sync. Nothing of `spec.syncPolicy` applies to it but what it states itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation {
    /// The sync; an operation without one does nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncOperation>,
    /// Who asked.
    #[serde(skip_serializing_if = "Initiator::is_nobody")]
    pub initiated_by: Initiator,
    /// Shown to people, nothing else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<Info>,
    /// Absent: not tried again.
    #[serde(skip_serializing_if = "Retry::is_unset")]
    pub retry: Retry,
}

/// Who asked for an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Initiator {
    /// A person's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// True when the daemon itself did.
    #[serde(skip_serializing_if = "is_false")]
    pub automated: bool,
}

impl Initiator {
    fn is_nobody(&self) -> bool {
        *self == Initiator::default()
    }
}

/// The parameters of one sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncOperation {
    /// Branch, tag or commit; the spec's when absent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The same, one for each source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// Delete what git no longer has.
    #[serde(skip_serializing_if = "is_false")]
    pub prune: bool,
    /// Ask the API server what it would do, change nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// With or without hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_strategy: Option<SyncStrategy>,
    /// Only these objects; then no hooks run and no history is written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<SelectedResource>,
    /// Instead of the spec's: a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Instead of the spec's: a rollback.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Objects to apply instead of those in git, as JSON texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<String>,
    /// Not merged with the spec's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// How often self-heal has tried this commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_heal_attempts_count: Option<i64>,
}

impl SyncOperation {
    /// The options it states.
    pub fn options(&self) -> SyncOptions {
        SyncOptions::parse(&self.sync_options)
    }

    /// True when it is about some objects only.
    pub fn is_selective(&self) -> bool {
        !self.resources.is_empty()
    }

    /// True when hooks run: the strategy is not `apply`, and it is about all objects.
    pub fn runs_hooks(&self) -> bool {
        let applies_only = self.sync_strategy.as_ref().is_some_and(|strategy| strategy.apply.is_some());
        !applies_only && !self.is_selective()
    }

    /// True when the strategy asks to delete and recreate what cannot be changed in place.
    pub fn is_forced(&self) -> bool {
        self.sync_strategy
            .as_ref()
            .and_then(|strategy| strategy.apply.as_ref().or(strategy.hook.as_ref()))
            .is_some_and(|strategy| strategy.force)
    }
}

/// With hooks (`hook`, also when both are absent) or without (`apply`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncStrategy {
    /// Apply only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apply: Option<Strategy>,
    /// Apply, and run hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<Strategy>,
}

/// The one setting that both strategies have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Strategy {
    /// Delete and recreate what cannot be changed in place.
    #[serde(skip_serializing_if = "is_false")]
    pub force: bool,
}

/// One object of a selective sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SelectedResource {
    /// Empty is the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// In CamelCase.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// Empty when cluster-scoped, or when it is the destination's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}
