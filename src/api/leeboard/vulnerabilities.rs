//! The gate `vulnerabilities`: what may be in the images of a promotion.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may be in the images of a promotion. All fields have the defaults of a careful platform team but
/// [`VulnerabilityGate::sources`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VulnerabilityGate {
    /// Where reports are. A report from any of them will do; what several have found counts together.
    pub sources: Vec<ReportSource>,
    /// Score 9.0 to 10. `waiver` holds only where the AppProject allows it.
    pub critical: CriticalRule,
    /// Score 7.0 to 8.9; `waiver` when absent.
    pub high: Rule,
    /// Score 4.0 to 6.9; `pass` when absent.
    pub medium: Rule,
    /// Score 0.1 to 3.9; `pass` when absent.
    pub low: Rule,
    /// Neither a score nor a word for it; `waiver` when absent.
    pub unknown: Rule,
    /// Whose score counts; `max` when absent.
    pub score: ScoreChoice,
    /// How old a report may be; 168h when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// Let pass what there is no fixed version for; never what is critical.
    pub ignore_unfixed: bool,
    /// Let pass what the deployed version of the image has, too; never what is critical.
    pub only_new: bool,
    /// What becomes of an image without a report; `refuse` when absent.
    pub missing: MissingRule,
    /// The file of waivers, relative to the environment's path; `waivers.yaml` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waivers: Option<String>,
    /// How far ahead a waiver may end; 90d when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_waiver: Option<String>,
}

impl Default for VulnerabilityGate {
    fn default() -> Self {
        VulnerabilityGate {
            sources: Vec::new(),
            critical: CriticalRule::Refuse,
            high: Rule::Waiver,
            medium: Rule::Pass,
            low: Rule::Pass,
            unknown: Rule::Waiver,
            score: ScoreChoice::Max,
            max_age: None,
            ignore_unfixed: false,
            only_new: false,
            missing: MissingRule::Refuse,
            waivers: None,
            max_waiver: None,
        }
    }
}

/// What becomes of a class of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Rule {
    /// It is not deployed.
    Refuse,
    /// It is deployed with a waiver.
    Waiver,
    /// It is counted.
    Pass,
}

/// What becomes of critical findings: they never just pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CriticalRule {
    /// They are not deployed.
    Refuse,
    /// They are deployed with a waiver where the AppProject allows it.
    Waiver,
}

/// Whose score counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ScoreChoice {
    /// The highest by CVSS 3 or 4 that the report has from anybody.
    Max,
    /// That of the source which the scanner has its own word from, else that word.
    Vendor,
}

/// What becomes of an image without a report that is fresh enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MissingRule {
    /// It is not deployed.
    Refuse,
    /// A scanner may still be at work: it is not deployed before there is one.
    Wait,
}

/// Where reports are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReportSource {
    /// Who writes them; when absent their content says it.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub scanner: Option<Scanner>,
    /// What kind of place it is.
    pub from: ReportPlace,
    /// With `file`: a file, or a directory of files, of the repository; relative to its root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// With `oci`: which of the artifacts that refer to the image; all that can be read when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// With `url`: the address; `{digest}` in it is the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What kind of place reports come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReportPlace {
    /// Files in the repository.
    #[default]
    File,
    /// Artifacts in the registry that refer to the image.
    Oci,
    /// A server such as Clair.
    Url,
    /// The `VulnerabilityReport`s of the trivy-operator in the environment's cluster.
    Cluster,
}

/// Who writes a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scanner {
    /// `trivy image --format json`.
    Trivy,
    /// `grype -o json`.
    Grype,
    /// Clair 4.
    Clair,
    /// The trivy-operator's `VulnerabilityReport`.
    TrivyOperator,
    /// The exchange format that Trivy and Grype write, too.
    Sarif,
}

impl Scanner {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Scanner::Trivy => "trivy",
            Scanner::Grype => "grype",
            Scanner::Clair => "clair",
            Scanner::TrivyOperator => "trivy-operator",
            Scanner::Sarif => "sarif",
        }
    }
}

impl fmt::Display for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
