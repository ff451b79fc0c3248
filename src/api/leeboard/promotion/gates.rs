//! Conditions on a way into an environment, as users write them.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::signatures::SignatureGate;
use super::super::vulnerabilities::VulnerabilityGate;
use crate::api::flagger::ThresholdRange;
use crate::api::{duration, is_false};

/// A condition on a way into an environment. Exactly one of its kinds is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gate {
    /// What people call it; its kind when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long it is waited for; for ever when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// It is shown, and holds nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub optional: bool,
    /// The commit has been verified, and its environment healthy, for a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soak: Option<Soak>,
    /// People have approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// A Job has completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobGate>,
    /// The forge's statuses on the commit are green.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Checks>,
    /// An HTTP endpoint says yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookGate>,
    /// A metric stays within its bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricGate>,
    /// No alarm is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarms: Option<AlarmsGate>,
    /// What scanners have found in the images may be deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vulnerabilities: Option<VulnerabilityGate>,
    /// The images are signed with a key that is named here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureGate>,
}

/// Of [`Gate::soak`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Soak {
    /// How long.
    pub duration: String,
    /// How long it may be unhealthy without the clock beginning anew; 0s when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<String>,
}

/// Of [`Gate::approval`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Approval {
    /// How many people; 1 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// Only these; whoever has the right when absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Only members of these groups; whoever has the right when absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Who wrote or asked for the commit does not count; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_author: Option<bool>,
    /// How long an approval counts; 72h when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl Approval {
    /// The default of [`Approval::expires`].
    pub const EXPIRES: Duration = Duration::from_secs(72 * 3600);

    /// How many people.
    pub fn min(&self) -> usize {
        usize::try_from(self.min.unwrap_or(1)).unwrap_or(usize::MAX).max(1)
    }

    /// Who wrote or asked for the commit does not count.
    pub fn not_author(&self) -> bool {
        self.not_author.unwrap_or(true)
    }

    /// How long an approval counts.
    pub fn expires(&self) -> Duration {
        self.expires.as_deref().and_then(duration::parse).unwrap_or(Self::EXPIRES)
    }
}

/// Of [`Gate::job`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JobGate {
    /// A Job, or its pods: `{spec: {template: {spec: {containers: …}}}}` or `{spec: {containers: …}}`.
    pub template: Map<String, Value>,
    /// The namespace that it runs in; that of the Environment when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How often its pods are tried again; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<u32>,
}

impl JobGate {
    /// How long a Job may take where the gate does not say it.
    pub const TIMEOUT: Duration = Duration::from_secs(30 * 60);
}

/// Of [`Gate::checks`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Checks {
    /// These; each has to be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// All that are there, and at least one: the same as no names, for readers.
    #[serde(skip_serializing_if = "is_false")]
    pub all: bool,
    /// One that was skipped passes.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_skipped: bool,
    /// Only words of these accounts count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
}

/// Of [`Gate::webhook`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WebhookGate {
    /// Where: 2xx passes, 202 asks again, 4xx refuses.
    pub url: String,
    /// Name of a Secret of the same namespace with `key`: the request's body is signed with it, in
    /// `X-Leeboard-Signature-256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
}

/// Of [`Gate::metric`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricGate {
    /// The MetricTemplate, as canaries have it; its `{{ name }}` and `{{ target }}` are the Environment.
    pub template_ref: TemplateReference,
    /// What the value may be.
    pub threshold_range: ThresholdRange,
    /// Between two measurements; 1m when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// How many have to be within; 3 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// How many may be outside; none when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<u32>,
    /// What the template's `{{ variables.… }}` are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub template_variables: BTreeMap<String, String>,
}

impl MetricGate {
    /// The default of [`MetricGate::interval`].
    pub const INTERVAL: Duration = Duration::from_secs(60);

    /// Between two measurements; never shorter than a second.
    pub fn interval(&self) -> Duration {
        let asked = self.interval.as_deref().and_then(duration::parse);
        asked.map_or(Self::INTERVAL, |interval| interval.max(Duration::from_secs(1)))
    }

    /// How many have to be within.
    pub fn count(&self) -> u32 {
        self.count.unwrap_or(3).max(1)
    }
}

/// Of [`Gate::alarms`]. At least one kind is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AlarmsGate {
    /// Alerts of an Alertmanager; what is silenced does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<AlertmanagerAlarms>,
    /// Open incidents of PagerDuty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagerduty: Option<PagerDutyAlarms>,
    /// How long it has to have been quiet; 5m when absent.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<String>,
}

impl AlarmsGate {
    /// The default of [`AlarmsGate::lasts`].
    pub const LASTS: Duration = Duration::from_secs(300);

    /// How long it has to have been quiet.
    pub fn lasts(&self) -> Duration {
        self.lasts.as_deref().and_then(duration::parse).unwrap_or(Self::LASTS)
    }
}

/// Which alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AlertmanagerAlarms {
    /// Its address.
    pub url: String,
    /// Labels as `app=web,severity=~"page|critical"`.
    pub matchers: String,
}

/// Which incidents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PagerDutyAlarms {
    /// Ids of services.
    #[serde(rename = "serviceIDs")]
    pub service_ids: Vec<String>,
    /// Name of a Secret of the same namespace with an API key under `token`.
    pub secret_name: String,
    /// Where its API is, when it is not PagerDuty's own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Names a MetricTemplate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateReference {
    /// Its name.
    pub name: String,
    /// Its namespace; that of the Environment when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}
