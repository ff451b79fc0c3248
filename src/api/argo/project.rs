//! `AppProject`: what applications may take from where, and put where. The rules are enforced by `plan`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::{ARGO_GROUP, api_version, impl_resource, is_false, kind, lenient, named};
use crate::object::annotation;

/// What a group of applications may do. Objects of this kind count in the control-plane namespace only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppProject {
    /// Always `argoproj.io/v1alpha1`.
    #[serde(default = "api_version::<AppProject>")]
    pub api_version: String,
    /// Always `AppProject`.
    #[serde(default = "kind::<AppProject>")]
    pub kind: String,
    /// Name, namespace, finalizers.
    pub metadata: ObjectMeta,
    /// The rules.
    pub spec: AppProjectSpec,
    /// Tokens that Argo CD's server has issued.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub status: Option<AppProjectStatus>,
}

impl_resource!(AppProject, ARGO_GROUP, "AppProject", "appprojects");

impl AppProject {
    /// True when an annotation of it permits what it is about: who edits an Environment cannot grant that.
    pub fn permits(&self, what: &str) -> bool {
        let word = self.metadata.annotations.as_ref().and_then(|annotations| annotations.get(what));
        word.is_some_and(|word| word == annotation::ALLOW)
    }

    /// The project with this name and these rules.
    pub fn new(name: &str, namespace: &str, spec: AppProjectSpec) -> Self {
        AppProject {
            api_version: api_version::<Self>(),
            kind: kind::<Self>(),
            metadata: named(name, namespace),
            spec,
            status: None,
        }
    }

    /// The project `default` as it is created when absent: it permits everything.
    pub fn permissive(namespace: &str) -> Self {
        let any = || "*".to_owned();
        let spec = AppProjectSpec {
            source_repos: vec![any()],
            destinations: vec![ProjectDestination {
                server: Some(any()),
                namespace: Some(any()),
                ..ProjectDestination::default()
            }],
            cluster_resource_whitelist: vec![ClusterResource {
                group: any(),
                kind: any(),
                ..ClusterResource::default()
            }],
            ..AppProjectSpec::default()
        };
        AppProject::new("default", namespace, spec)
    }
}

/// The rules of an [`AppProject`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AppProjectSpec {
    /// Globs over repository URLs; `!` denies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_repos: Vec<String>,
    /// Clusters and namespaces; `!` denies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<ProjectDestination>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Roles of Argo CD's server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<ProjectRole>,
    /// Cluster-scoped kinds that are allowed; none when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_whitelist: Vec<ClusterResource>,
    /// Namespaced kinds that are denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespace_resource_blacklist: Vec<NamespacedResource>,
    /// Report objects of a destination namespace that belong to nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphaned_resources: Option<OrphanedResources>,
    /// When syncs are allowed or denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_windows: Vec<SyncWindow>,
    /// Namespaced kinds that are allowed; all when absent, none when present and empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_resource_whitelist: Option<Vec<NamespacedResource>>,
    /// Keys that a commit must be signed with; deprecated for `sourceIntegrity`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signature_keys: Vec<SignatureKey>,
    /// Cluster-scoped kinds that are denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_blacklist: Vec<ClusterResource>,
    /// Namespaces whose Applications may use the project; globs, or `/regex/`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_namespaces: Vec<String>,
    /// Destinations must be clusters of this project.
    #[serde(skip_serializing_if = "is_false")]
    pub permit_only_project_scoped_clusters: bool,
    /// Accounts that are impersonated, by destination; the first that matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destination_service_accounts: Vec<DestinationServiceAccount>,
    /// How commits are verified, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_integrity: Option<Map<String, Value>>,
    /// What pull requests are told; of no meaning to Argo CD.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub previews: Option<ProjectPreviews>,
}

/// What pull requests are told about applications of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectPreviews {
    /// Risks that only people of this place know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<PreviewRule>,
}

/// A risk that somebody of this place knows, found by an expression.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PreviewRule {
    /// For people.
    pub name: String,
    /// CEL over `old`, `new`, `live` and `plan`: true where there is a risk, or `{"severity": …, "message": …}`, or null.
    pub expression: String,
    /// `red`, `yellow` or `info`; `yellow` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What goes on, when the expression does not say it; its name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Clusters, by URL or by name, and namespaces in them. Globs; `!` denies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectDestination {
    /// URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Cluster-scoped kinds, by path match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterResource {
    /// Empty is the core group.
    pub group: String,
    /// In CamelCase.
    pub kind: String,
    /// All when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Namespaced kinds, by path match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespacedResource {
    /// Empty is the core group.
    pub group: String,
    /// In CamelCase.
    pub kind: String,
}

/// What to do about objects that belong to nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OrphanedResources {
    /// Put a condition on the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn: Option<bool>,
    /// Not counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<OrphanedResource>,
}

/// Objects that are not counted as orphans. Globs; absent is all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OrphanedResource {
    /// Of the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// In CamelCase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `metadata.name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A time in which syncs are allowed or denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncWindow {
    /// `allow` or `deny`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Cron, five fields.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub schedule: String,
    /// As Go writes it: `1h30m`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub duration: String,
    /// Names of applications; globs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// Destination namespaces; globs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Names or URLs of clusters; globs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// A person may sync all the same.
    #[serde(skip_serializing_if = "is_false")]
    pub manual_sync: bool,
    /// IANA name; UTC when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// All set lists must match, not just one.
    #[serde(skip_serializing_if = "is_false")]
    pub and_operator: bool,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A sync that began in time may end.
    #[serde(skip_serializing_if = "is_false")]
    pub sync_overrun: bool,
}

/// The account that is impersonated at a destination. Globs for server and namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DestinationServiceAccount {
    /// URL.
    pub server: String,
    /// The destination namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `<name>`, or `<namespace>:<name>`.
    pub default_service_account: String,
}

/// A key that a commit may be signed with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SignatureKey {
    /// In hexadecimal.
    #[serde(rename = "keyID")]
    pub key_id: String,
}

/// Who may do what through Argo CD's server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectRole {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `p, proj:…`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// Tokens issued for it, as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jwt_tokens: Vec<Map<String, Value>>,
    /// Groups of people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// Tokens that Argo CD's server has issued, as written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AppProjectStatus {
    /// By role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt_tokens_by_role: Option<Map<String, Value>>,
}
