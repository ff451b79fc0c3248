//! Where an application's files are, and how they are rendered.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::is_false;

/// A directory of a repository at a revision, or a chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// A git repository (https, ssh or scp form), a Helm repository, or `oci://`.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Directory in the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Branch, tag, commit or a range over tags; empty is `HEAD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_revision: Option<String>,
    /// Only tags with this prefix take part in a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_prefix: Option<String>,
    /// Settings of a chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helm: Option<Helm>,
    /// Changes to a kustomization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<Kustomize>,
    /// How a plain directory is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<Directory>,
    /// A config-management plugin; Leeboard runs none and says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Plugin>,
    /// Name of a chart in a Helm or OCI repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// By this name other sources use this one's files: `$ref/path`.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Shown to people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Source {
    /// Branch, tag, commit or range; `HEAD` when none is written.
    pub fn revision(&self) -> &str {
        self.target_revision.as_deref().filter(|revision| !revision.is_empty()).unwrap_or("HEAD")
    }

    /// The directory, when one is written.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref().filter(|path| !path.is_empty())
    }

    /// True when it only lends its files to others.
    pub fn is_reference_only(&self) -> bool {
        self.reference.is_some() && self.path().is_none() && self.chart.is_none()
    }
}

/// Changes to a kustomization, made before it is built.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Kustomize {
    /// Replaces the file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_prefix: Option<String>,
    /// Replaces the file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_suffix: Option<String>,
    /// `[old=]name[:tag][@digest]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Added to labels and selectors.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub common_labels: BTreeMap<String, String>,
    /// Selects a kustomize version in Argo CD; there is one here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Added.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub common_annotations: BTreeMap<String, String>,
    /// Labels of the same name in the file are replaced instead of being an error.
    #[serde(skip_serializing_if = "is_false")]
    pub force_common_labels: bool,
    /// Annotations of the same name in the file are replaced instead of being an error.
    #[serde(skip_serializing_if = "is_false")]
    pub force_common_annotations: bool,
    /// Replaces the file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Substitute the build environment in annotations.
    #[serde(skip_serializing_if = "is_false")]
    pub common_annotations_envsubst: bool,
    /// Replica counts by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<KustomizeReplica>,
    /// Appended to the file's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<KustomizePatch>,
    /// Appended to the file's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Drop components whose directory is missing.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_missing_components: bool,
    /// Labels only, selectors stay.
    #[serde(skip_serializing_if = "is_false")]
    pub label_without_selector: bool,
    /// Labels also of pod templates.
    #[serde(skip_serializing_if = "is_false")]
    pub label_include_templates: bool,
    /// What a chart inside sees as the cluster's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_version: Option<String>,
    /// What a chart inside sees as the cluster's API versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
}

/// A replica count by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KustomizeReplica {
    /// Of the workload.
    pub name: String,
    /// An integer, or a text that is one.
    pub count: IntOrString,
}

/// A patch and what it is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KustomizePatch {
    /// A file, relative to the source's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The patch itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// The objects to patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<KustomizeSelector>,
    /// `allowNameChange`, `allowKindChange`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, bool>,
}

/// Objects by what they are called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KustomizeSelector {
    /// All when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// All when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// All when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A regular expression, anchored; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A regular expression, anchored; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// As kubectl takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
    /// As kubectl takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation_selector: Option<String>,
}

/// How a plain directory is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Directory {
    /// Sub-directories too.
    #[serde(skip_serializing_if = "is_false")]
    pub recurse: bool,
    /// Settings of jsonnet files, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsonnet: Option<Map<String, Value>>,
    /// One glob on the path; wins over `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<String>,
    /// One glob on the path; all files when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<String>,
    /// Read files of any extension.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_extension_filter: bool,
}

/// Settings of a chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Helm {
    /// Relative to the chart, `/…` from the repository's root, `$ref/…` in another source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub value_files: Vec<String>,
    /// Single values; they win over all others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<HelmParameter>,
    /// The application's name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_name: Option<String>,
    /// Values as YAML text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// Single values from files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_parameters: Vec<HelmFileParameter>,
    /// `v3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Send credentials to all hosts.
    #[serde(skip_serializing_if = "is_false")]
    pub pass_credentials: bool,
    /// Skip value files that do not exist.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_missing_value_files: bool,
    /// Leave out the chart's CRDs.
    #[serde(skip_serializing_if = "is_false")]
    pub skip_crds: bool,
    /// Values as a mapping; wins over `values`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_object: Option<Map<String, Value>>,
    /// What the chart sees as its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What the chart sees as the cluster's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_version: Option<String>,
    /// What the chart sees as the cluster's API versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
    /// Leave out the chart's tests.
    #[serde(skip_serializing_if = "is_false")]
    pub skip_tests: bool,
    /// Do not check values against the chart's schema.
    #[serde(skip_serializing_if = "is_false")]
    pub skip_schema_validation: bool,
}

/// One value of a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmParameter {
    /// Dotted path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As `--set` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Take the value as text.
    #[serde(skip_serializing_if = "is_false")]
    pub force_string: bool,
}

/// One value of a chart, from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmFileParameter {
    /// Dotted path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A config-management plugin, as written: none runs here, the application says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Plugin {
    /// Of the plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Environment variables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvironmentVariable>,
    /// `{name, string|map|array}`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Map<String, Value>>,
}

/// A name and a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Renders one branch into another, from which the application is synced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceHydrator {
    /// What is rendered.
    pub dry_source: Source,
    /// Where the result is committed, and synced from.
    pub sync_source: HydratedSource,
    /// Commit to this branch instead; someone promotes from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hydrate_to: Option<HydrateTo>,
}

/// Where rendered manifests are committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HydratedSource {
    /// The dry source's when absent.
    #[serde(rename = "repoURL", skip_serializing_if = "Option::is_none")]
    pub repo_url: Option<String>,
    /// The branch.
    pub target_branch: String,
    /// Not the repository's root.
    pub path: String,
}

/// A branch that someone promotes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HydrateTo {
    /// The branch.
    pub target_branch: String,
}
