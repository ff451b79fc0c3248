//! What a Canary asks for, checked: what cannot work is refused here, before anything is touched.
//!
//! **In:** a [`Canary`]. **Out:** [`Settings`], or a [`Refusal`] that says which field and what to do.
//! **May not:** look at a cluster. Defaults and meanings: docs/canary.md.

mod refusal;
mod strategy;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Weight;
use super::alarm::{self, Alarms};
use crate::api::duration;
use crate::api::flagger::{Alert, Analysis, Canary, HookType, Provider, SessionAffinity};
use strategy::{mirrors, share, strategy};

pub use refusal::Refusal;
pub use strategy::{Step, Strategy, WeightSteps, Weights};

/// Annotation: seconds that the target stays up after the last route to it is gone.
pub const SCALE_DOWN_DELAY: &str = "canary.leeboard.dev/scale-down-delay";
/// Annotation: between checks, where ten seconds are too long.
pub const INTERVAL: &str = "canary.leeboard.dev/interval";
/// Annotation: what a check without data counts as; `fail` or `hold`.
pub const NO_DATA: &str = "canary.leeboard.dev/no-data";
/// Annotation: why it is suspended.
pub const REASON: &str = "canary.leeboard.dev/reason";

/// What a Canary asks for; everything in it can be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which target.
    pub subject: Subject,
    /// What splits the traffic.
    pub provider: Provider,
    /// How the new version is tried.
    pub strategy: Strategy,
    /// Time between two checks.
    pub interval: Duration,
    /// Failed checks that end a run.
    pub threshold: u32,
    /// How long a workload may be unready.
    pub deadline: Duration,
    /// How long the target stays up after the last route to it is gone.
    pub scale_down_delay: Duration,
    /// Percent of the updated pods that must be available.
    pub ready: ReadyThresholds,
    /// What the primary's weight grows by in a promotion; `None` is all at once.
    pub promotion_step: Option<Weight>,
    /// What is measured.
    pub metrics: Vec<MetricCheck>,
    /// Alerts that must not fire; they are one of [`Settings::metrics`].
    pub alarms: Option<Alarms>,
    /// What a check without data counts as.
    pub no_data: NoData,
    /// Who is asked and told.
    pub hooks: Vec<Hook>,
    /// Who is alerted.
    pub alerts: Vec<Alert>,
    /// Clients keep to a version.
    pub affinity: Option<SessionAffinity>,
    /// Something else scales the target.
    pub has_scaler: bool,
    /// Promote at once.
    pub skip_analysis: bool,
    /// Lead back to the target at deletion.
    pub revert_on_deletion: bool,
    /// Do nothing; the reason, perhaps empty.
    pub suspended: Option<String>,
}

/// Which target a canary is about, as its Events call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Deployment, DaemonSet or Service.
    pub kind: TargetKind,
    /// The target's name.
    pub name: SmolStr,
    /// The canary's namespace.
    pub namespace: SmolStr,
}

/// The kinds that can have two versions side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// `apps/v1`.
    Deployment,
    /// `apps/v1`.
    DaemonSet,
    /// Core: the pods behind it are someone else's.
    Service,
    /// `serving.knative.dev/v1`.
    KnativeService,
}

impl TargetKind {
    /// As a manifest says it.
    pub fn as_str(self) -> &'static str {
        match self {
            TargetKind::Deployment => "Deployment",
            TargetKind::DaemonSet => "DaemonSet",
            TargetKind::Service | TargetKind::KnativeService => "Service",
        }
    }

    /// True when it has replicas that are scaled.
    pub fn is_scaled(self) -> bool {
        matches!(self, TargetKind::Deployment | TargetKind::DaemonSet)
    }
}

/// Percent of the updated pods that must be available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyThresholds {
    /// Of the primary.
    pub primary: Weight,
    /// Of the canary.
    pub canary: Weight,
}

/// What is measured, and what it may be.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricCheck {
    /// `request-success-rate`, `request-duration`, or the user's.
    pub name: SmolStr,
    /// Whether it is a template's.
    pub source: MetricSource,
    /// The value must not be less.
    pub min: Option<f64>,
    /// The value must not be more.
    pub max: Option<f64>,
}

/// Where a metric's query comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricSource {
    /// Built in.
    BuiltIn,
    /// Written into the Canary.
    Inline,
    /// A MetricTemplate.
    Template,
    /// None: the alerts of an Alertmanager.
    Alarms,
}

/// What a check without data counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoData {
    /// As a failed check, as Flagger counts it.
    #[default]
    Fail,
    /// As none: the weight is held, at most for the progress deadline; then a person decides.
    Hold,
}

/// A question or a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// When.
    pub moment: HookType,
    /// Its name.
    pub name: SmolStr,
    /// Whether a refusal is alerted.
    pub is_muted: bool,
}

impl Settings {
    /// What a canary asks for, or why it cannot be done. `default_provider` is the daemon's.
    ///
    /// # Errors
    /// When a field makes no sense by itself or together with others.
    pub fn new(canary: &Canary, default_provider: Provider) -> Result<Self, Refusal> {
        let spec = &canary.spec;
        let analysis = &*spec.analysis();
        let provider = spec.provider.unwrap_or(default_provider);
        let subject = subject(canary)?;
        if subject.kind.is_scaled() && !(1..=65_535).contains(&spec.service.port) {
            return Err(Refusal::Port(spec.service.port));
        }
        let strategy = if spec.skip_analysis {
            // It is never asked for a step.
            strategy(analysis, provider).unwrap_or(Strategy::BlueGreen { iterations: 1, mirrors: false })
        } else {
            strategy(analysis, provider)?
        };
        let alarms = Alarms::of(canary)?;
        let percent = |field, value: Option<i32>| -> Result<Weight, Refusal> {
            value.map_or(Ok(Weight::ALL), |value| share(field, value.into(), 0))
        };
        let promotion_step = match analysis.step_weight_promotion {
            0 | 100 => None,
            step => Some(share("stepWeightPromotion", step.into(), 1)?),
        };
        Ok(Settings {
            strategy,
            interval: interval(canary)?,
            threshold: u32::try_from(analysis.threshold).unwrap_or(1).max(1),
            deadline: spec.progress_deadline(),
            scale_down_delay: scale_down_delay(canary, provider)?,
            ready: ReadyThresholds {
                primary: percent("primaryReadyThreshold", analysis.primary_ready_threshold)?,
                canary: percent("canaryReadyThreshold", analysis.canary_ready_threshold)?,
            },
            promotion_step,
            metrics: metrics(analysis, alarms.is_some()),
            alarms,
            no_data: no_data(canary)?,
            hooks: hooks(analysis),
            alerts: analysis.alerts.clone(),
            affinity: affinity(analysis, provider)?,
            has_scaler: spec.autoscaler_ref.is_some(),
            skip_analysis: spec.skip_analysis,
            revert_on_deletion: spec.revert_on_deletion,
            suspended: spec.suspend.then(|| annotation(canary, REASON).unwrap_or_default().to_owned()),
            provider,
            subject,
        })
    }

    /// The hooks of one moment, in their order.
    pub fn hooks(&self, moment: HookType) -> impl Iterator<Item = &Hook> {
        self.hooks.iter().filter(move |hook| hook.moment == moment)
    }

    /// True when there is a route whose weights can be set.
    pub fn has_route(&self) -> bool {
        self.provider != Provider::Kubernetes
    }
}

fn subject(canary: &Canary) -> Result<Subject, Refusal> {
    let target = &canary.spec.target_ref;
    if target.name.is_empty() {
        return Err(Refusal::NoTarget);
    }
    let kind = match (&*target.kind, target.group()) {
        ("Deployment", _) => TargetKind::Deployment,
        ("DaemonSet", _) => TargetKind::DaemonSet,
        ("Service", "serving.knative.dev") => TargetKind::KnativeService,
        ("Service", _) => TargetKind::Service,
        (other, _) => return Err(Refusal::TargetKind(other.to_owned())),
    };
    Ok(Subject { kind, name: target.name.as_str().into(), namespace: canary.namespace().into() })
}

fn metrics(analysis: &Analysis, has_alarms: bool) -> Vec<MetricCheck> {
    let mut metrics = Vec::new();
    for metric in &analysis.metrics {
        let is_rate = metric.name == "request-success-rate";
        let is_built_in = is_rate || metric.name == "request-duration";
        let bounds = metric.threshold_range.unwrap_or_default();
        let (min, max) = match (metric.threshold_range, metric.threshold) {
            (Some(_), _) => (bounds.min, bounds.max),
            (None, threshold) if is_rate => (threshold, None),
            (None, threshold) => (None, threshold),
        };
        let mut add = |source| metrics.push(MetricCheck { name: metric.name.as_str().into(), source, min, max });
        if is_built_in {
            add(MetricSource::BuiltIn);
        } else if metric.template_ref.is_none() {
            add(MetricSource::Inline);
        }
        if metric.template_ref.is_some() {
            add(MetricSource::Template);
        }
    }
    // Those of templates come last; within both the order is the user's.
    metrics.sort_by_key(|metric| metric.source == MetricSource::Template);
    if has_alarms {
        let source = MetricSource::Alarms;
        metrics.insert(0, MetricCheck { name: alarm::CHECK.into(), source, min: None, max: None });
    }
    metrics
}

/// When a hook is asked: a Job without another moment, at each check.
pub fn moment(moment: HookType) -> HookType {
    if moment == HookType::Job { HookType::Rollout } else { moment }
}

fn hooks(analysis: &Analysis) -> Vec<Hook> {
    let hook = |hook: &crate::api::flagger::Webhook| Hook {
        moment: moment(hook.moment),
        name: hook.name.as_str().into(),
        is_muted: hook.mute_alert,
    };
    analysis.webhooks.iter().map(hook).collect()
}

fn affinity(analysis: &Analysis, provider: Provider) -> Result<Option<SessionAffinity>, Refusal> {
    let Some(affinity) = &analysis.session_affinity else { return Ok(None) };
    if !mirrors(provider) {
        return Err(Refusal::AffinityUnsupported(provider));
    }
    if affinity.primary_cookie_name.as_ref() == Some(&affinity.cookie_name) {
        return Err(Refusal::SameCookies(affinity.cookie_name.clone()));
    }
    Ok(Some(affinity.clone()))
}

fn annotation<'a>(canary: &'a Canary, name: &str) -> Option<&'a str> {
    canary.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// Flagger makes `analysis.interval` ten seconds at least; whoever says it here means it.
fn interval(canary: &Canary) -> Result<Duration, Refusal> {
    const LEAST: Duration = Duration::from_secs(1);
    let Some(text) = annotation(canary, INTERVAL) else { return Ok(canary.spec.analysis().interval()) };
    let read = duration::parse(text).filter(|interval| *interval >= LEAST);
    read.ok_or_else(|| Refusal::Annotation { name: INTERVAL, value: text.into(), expected: "a duration from 1s" })
}

/// The default is what a router and its data plane need at most to hear of a change.
fn scale_down_delay(canary: &Canary, provider: Provider) -> Result<Duration, Refusal> {
    const DEFAULT: Duration = Duration::from_secs(30);
    match annotation(canary, SCALE_DOWN_DELAY) {
        // No route ever led to it.
        None if provider == Provider::Kubernetes => Ok(Duration::ZERO),
        None => Ok(DEFAULT),
        Some(text) => duration::parse(text).ok_or_else(|| Refusal::NoDuration {
            field: format!("metadata.annotations[{SCALE_DOWN_DELAY}]"),
            text: text.to_owned(),
        }),
    }
}

fn no_data(canary: &Canary) -> Result<NoData, Refusal> {
    match annotation(canary, NO_DATA) {
        None | Some("fail") => Ok(NoData::Fail),
        Some("hold") => Ok(NoData::Hold),
        Some(value) => {
            Err(Refusal::Annotation { name: NO_DATA, value: value.to_owned(), expected: "`fail` or `hold`" })
        }
    }
}

#[cfg(test)]
mod tests;
