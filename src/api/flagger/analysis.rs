//! `spec.analysis`: how a new version is tried, measured and asked about.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{HttpMatch, ObjectReference};
use crate::api::{duration, is_false};

/// How a new version is tried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Analysis {
    /// The time between two looks; 60s when absent, at least 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// How many failed checks of a run end it; 1 when absent.
    #[serde(skip_serializing_if = "is_zero")]
    pub threshold: i32,
    /// The weight at which the promotion begins; 100 when absent.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_weight: i32,
    /// What the canary's weight grows by.
    #[serde(skip_serializing_if = "is_zero")]
    pub step_weight: i32,
    /// The canary's weights one by one; `stepWeight` wins over it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub step_weights: Vec<i32>,
    /// What the primary's weight grows by in a promotion; all at once when absent.
    #[serde(skip_serializing_if = "is_zero")]
    pub step_weight_promotion: i32,
    /// How many checks a run has, instead of weights: A/B with `match`, else blue/green.
    #[serde(skip_serializing_if = "is_zero")]
    pub iterations: i32,
    /// Whose requests reach the canary in an A/B run.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<HttpMatch>,
    /// Copy the requests to the canary before it answers any.
    #[serde(skip_serializing_if = "is_false")]
    pub mirror: bool,
    /// Istio: percent of the requests that are copied.
    #[serde(skip_serializing_if = "is_zero")]
    pub mirror_weight: i32,
    /// Percent of the primary's updated pods that must be available; 100 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_ready_threshold: Option<i32>,
    /// Percent of the canary's updated pods that must be available; 100 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_ready_threshold: Option<i32>,
    /// What is measured at each check.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// What is asked and told over HTTP.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Webhook>,
    /// Who is told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// Clients that have seen a version keep to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_affinity: Option<SessionAffinity>,
    /// Weights and pauses in their order, instead of `stepWeight` and `stepWeights` (Leeboard's).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// How many inconclusive checks in a row make it wait for a person; 3 when absent (Leeboard's).
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive_limit: i32,
    /// How long the metrics go on after the promotion, of the primary: a failure gives it back what it had (Leeboard's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_after: Option<String>,
}

impl Analysis {
    /// The default of [`Analysis::interval`].
    pub const INTERVAL: Duration = Duration::from_secs(60);
    /// What [`Analysis::interval`] may not go below.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(10);

    /// The time between two looks.
    pub fn interval(&self) -> Duration {
        let read = self.interval.as_deref().and_then(duration::parse);
        read.map_or(Self::INTERVAL, |interval| interval.max(Self::SHORTEST_INTERVAL))
    }
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// One of Leeboard's steps; one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Step {
    /// Give the canary this weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
    /// Wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Hold the weight for a number of checks that pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<StepAnalysis>,
    /// Give the canary another number of pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<StepScale>,
    /// Run the hook of type `job` that has this name, here and not at each check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Send copies of requests to the canary; its answers are dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<StepMirror>,
    /// Send the requests that match to the canary, whatever its weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<StepHeader>,
}

/// Copies of requests until another step says otherwise, or the steps end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StepMirror {
    /// Of how many of them; of all when absent, of none with 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentage: Option<i32>,
}

/// Which requests go to the canary until another step says otherwise, or the steps end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StepHeader {
    /// Those that match one of these; none when there is none.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<HttpMatch>,
}

/// Checks at one weight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StepAnalysis {
    /// How many have to pass.
    pub checks: i32,
}

/// How many pods the canary has until another step, or the end of the steps, says otherwise; one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StepScale {
    /// So many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Percent of the primary's, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<i32>,
}

/// A wait in a run; the checks go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Pause {
    /// How long; until a person says `promote` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
}

/// What is measured, and what it may be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    /// `request-success-rate` and `request-duration` are built in.
    pub name: String,
    /// The window; 1m when absent. In the background also the time between two measurements, then at least 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// When it is measured; at each check when absent (Leeboard's).
    #[serde(skip_serializing_if = "MetricMode::is_step")]
    pub mode: MetricMode,
    /// How long after the beginning of a run it is measured first (Leeboard's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_delay: Option<String>,
    /// What it says is told and counts for nothing (Leeboard's).
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// How many errors of its provider in a row are a failed check, fewer hold the weight; each one is when absent
    /// (Leeboard's).
    #[serde(skip_serializing_if = "is_zero")]
    pub consecutive_error_limit: i32,
    /// The former form of [`Metric::threshold_range`]: the least success rate, the most of everything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// What the value may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_range: Option<ThresholdRange>,
    /// Wider than `thresholdRange`: a value beyond it fails, one between the two is inconclusive (Leeboard's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_range: Option<ThresholdRange>,
    /// PromQL, asked of the canary's Prometheus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A MetricTemplate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_ref: Option<ObjectReference>,
    /// What `variables` holds in the template's query.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub template_variables: BTreeMap<String, String>,
}

impl Metric {
    /// The default of [`Metric::interval`].
    pub const INTERVAL: &'static str = "1m";

    /// The window, as the query gets it.
    pub fn interval(&self) -> &str {
        self.interval.as_deref().filter(|interval| !interval.is_empty()).unwrap_or(Self::INTERVAL)
    }
}

/// When a metric is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricMode {
    /// At each check.
    #[default]
    Step,
    /// At its own `interval` over the whole run, also in pauses and before gates.
    Background,
}

impl MetricMode {
    fn is_step(&self) -> bool {
        *self == MetricMode::Step
    }
}

/// Bounds that a value may not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ThresholdRange {
    /// The value must not be less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The value must not be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// When a hook is called, and what its answer means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HookType {
    /// At each check with traffic; a failure is a failed check.
    #[default]
    #[serde(alias = "")]
    Rollout,
    /// Before the canary is scaled up; a refusal makes it wait.
    ConfirmRollout,
    /// Before the canary gets traffic; a failure is a failed check.
    PreRollout,
    /// Before each weight; a refusal holds the weight.
    ConfirmTrafficIncrease,
    /// Before the promotion; a refusal makes it wait.
    ConfirmPromotion,
    /// After the end of the run.
    PostRollout,
    /// While it runs; success rolls back.
    Rollback,
    /// At each Event.
    Event,
    /// At each check with traffic, as a Job (Leeboard's).
    Job,
}

impl HookType {
    /// As a manifest says it.
    pub fn as_str(self) -> &'static str {
        match self {
            HookType::Rollout => "rollout",
            HookType::ConfirmRollout => "confirm-rollout",
            HookType::PreRollout => "pre-rollout",
            HookType::ConfirmTrafficIncrease => "confirm-traffic-increase",
            HookType::ConfirmPromotion => "confirm-promotion",
            HookType::PostRollout => "post-rollout",
            HookType::Rollback => "rollback",
            HookType::Event => "event",
            HookType::Job => "job",
        }
    }
}

/// A question or a message over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Webhook {
    /// When it is called, and what its answer means.
    #[serde(rename = "type")]
    pub moment: HookType,
    /// What Events and alerts call it.
    pub name: String,
    /// Where it is posted to.
    pub url: String,
    /// Send no alert while it refuses.
    #[serde(skip_serializing_if = "is_false")]
    pub mute_alert: bool,
    /// How long one try may take; 10s when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Sent along.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Tries after the first.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i32,
    /// Do not look at the server's certificate.
    #[serde(rename = "disableTLS", skip_serializing_if = "is_false")]
    pub disable_tls: bool,
    /// The Job that is run instead of a call (Leeboard's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Map<String, Value>>,
}

impl Webhook {
    /// The default of [`Webhook::timeout`].
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// How long one try may take.
    pub fn timeout(&self) -> Duration {
        let read = self.timeout.as_deref().and_then(duration::parse);
        read.filter(|timeout| !timeout.is_zero()).unwrap_or(Self::TIMEOUT)
    }
}

/// How much an alert matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know. Also what an absent severity means, which Flagger never sends.
    #[default]
    #[serde(alias = "")]
    Info,
    /// Someone is waited for, or has intervened.
    Warn,
    /// It failed.
    Error,
}

/// Whom to tell, from which severity on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Alert {
    /// A name.
    pub name: String,
    /// The least severity that is sent.
    pub severity: Severity,
    /// An AlertProvider; in the canary's namespace when it names none.
    pub provider_ref: ObjectReference,
}

/// Clients that have seen a version keep to it, by a cookie. Istio and Gateway API only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionAffinity {
    /// The cookie of clients that have seen the canary; required.
    pub cookie_name: String,
    /// The cookie of clients that have seen the primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_cookie_name: Option<String>,
    /// `Domain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// `HttpOnly`.
    #[serde(skip_serializing_if = "is_false")]
    pub http_only: bool,
    /// `Max-Age` in seconds; 86400 when absent.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_age: i32,
    /// `Partitioned`.
    #[serde(skip_serializing_if = "is_false")]
    pub partitioned: bool,
    /// `Path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `SameSite`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_site: Option<SameSite>,
    /// `Secure`.
    #[serde(skip_serializing_if = "is_false")]
    pub secure: bool,
}

impl SessionAffinity {
    /// `Max-Age` in seconds.
    pub fn max_age(&self) -> i32 {
        if self.max_age == 0 { 86_400 } else { self.max_age }
    }
}

/// Which sites' requests carry a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SameSite {
    /// Its own only.
    Strict,
    /// Its own, and links to it.
    Lax,
    /// All.
    None,
}

impl SameSite {
    /// As a cookie says it.
    pub fn as_str(self) -> &'static str {
        match self {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn intervals_are_at_least_ten_seconds() {
        let cases = [
            // interval, seconds
            (None, 60),
            (Some("10s"), 10),
            (Some("1m30s"), 90),
            (Some("2s"), 10),
            (Some("soon"), 60),
        ];
        for (interval, seconds) in cases {
            let analysis = Analysis { interval: interval.map(str::to_owned), ..Analysis::default() };
            assert_eq!(analysis.interval().as_secs(), seconds, "{interval:?}");
        }
    }

    #[test]
    fn an_analysis_is_written_as_it_was_read() {
        let value = json!({
            "interval": "10s",
            "threshold": 2,
            "maxWeight": 50,
            "stepWeight": 25,
            "match": [{"headers": {"x-canary": {"exact": "insider"}}}],
            "metrics": [
                {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99.0}},
                {"name": "errors", "templateRef": {"name": "errors"}, "templateVariables": {"a": "b"}},
                {"name": "slow", "mode": "background", "initialDelay": "1m", "dryRun": true, "consecutiveErrorLimit": 4,
                 "query": "x", "thresholdRange": {"max": 1.0}, "failureRange": {"max": 2.0}},
            ],
            "webhooks": [{"type": "confirm-rollout", "name": "gate", "url": "http://gate", "timeout": "5s", "metadata": {"k": "v"}}],
            "alerts": [{"name": "on-call", "severity": "error", "providerRef": {"name": "on-call"}}],
            "sessionAffinity": {"cookieName": "c", "maxAge": 21600, "sameSite": "Lax"},
            "steps": [{"weight": 5}, {"pause": {"duration": "10m"}}, {"pause": {}}, {"analysis": {"checks": 3}},
                      {"scale": {"replicas": 2}}, {"scale": {"percent": 50}}, {"job": "smoke"}],
        });
        let analysis: Analysis = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(analysis).unwrap(), value);
    }

    #[test]
    fn empty_words_have_their_defaults() {
        let hook: Webhook = serde_json::from_value(json!({"name": "load", "type": "", "url": "http://load"})).unwrap();
        assert_eq!((hook.moment, hook.timeout().as_secs()), (HookType::Rollout, 10));
        let alert: Alert = serde_json::from_value(json!({"name": "a", "severity": ""})).unwrap();
        assert_eq!(alert.severity, Severity::Info);
        assert_eq!(Metric::default().interval(), "1m");
        assert_eq!(SessionAffinity::default().max_age(), 86_400);
    }
}
