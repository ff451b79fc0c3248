//! What a Canary asks for, checked: what cannot work is refused here, before anything is touched.
//!
//! **In:** a [`Canary`]. **Out:** [`Settings`], or a [`Refusal`] that says which field and what to do.
//! **May not:** look at a cluster. Defaults and meanings: docs/canary.md.

mod metric;
mod refusal;
mod strategy;

use std::time::Duration;

use smol_str::SmolStr;

use super::Weight;
use super::alarm::Alarms;
use crate::api::duration;
use crate::api::flagger::{Alert, Analysis, Canary, HookType, Provider, SessionAffinity};
use strategy::{mirrors, share, strategy};

pub use metric::{MetricCheck, MetricSource, NoData};
pub use refusal::Refusal;
pub use strategy::{Scale, Step, Strategy, WeightSteps, Weights};

/// Annotation: seconds that the target stays up after the last route to it is gone.
pub const SCALE_DOWN_DELAY: &str = "canary.leeboard.dev/scale-down-delay";
/// Annotation: between checks, where ten seconds are too long.
pub const INTERVAL: &str = "canary.leeboard.dev/interval";
/// Annotation: what a check without data counts as; `fail`, `hold` or `inconclusive`.
pub const NO_DATA: &str = "canary.leeboard.dev/no-data";
/// Annotation: how many versions that the primary had before this one are taken back without analysis.
pub const ROLLBACK_WINDOW: &str = "canary.leeboard.dev/rollback-window";
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
    /// Inconclusive checks in a row after which a person decides.
    pub inconclusive_limit: u32,
    /// How long what was promoted is measured on.
    pub verify_after: Option<Duration>,
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
    pub alarms: Vec<Alarms>,
    /// What a check without data counts as.
    pub no_data: NoData,
    /// How many versions that the primary had before this one are taken back without analysis.
    pub rollback_window: usize,
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
        let alarms = Alarms::of(canary)?;
        let metrics = metric::checks(analysis, &alarms)?;
        let strategy = if spec.skip_analysis {
            // It is never asked for a step.
            strategy(analysis, provider).unwrap_or(Strategy::BlueGreen { iterations: 1, mirrors: false })
        } else {
            strategy(analysis, provider)?
        };
        if matches!(&strategy, Strategy::Steps(steps) if steps.iter().any(|step| matches!(step, Step::Scale(_)))) {
            match subject.kind {
                TargetKind::Deployment if spec.autoscaler_ref.is_none() => {}
                TargetKind::Deployment => return Err(Refusal::ScaleUnsupported("what `spec.autoscalerRef` scales")),
                _ => return Err(Refusal::ScaleUnsupported("anything but a Deployment")),
            }
        }
        let is_http = !spec.service.app_protocol.as_deref().unwrap_or_default().eq_ignore_ascii_case("tcp");
        if strategy.needs_http() && !is_http {
            return Err(Refusal::NotHttp);
        }
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
            inconclusive_limit: metric::limit("inconclusiveLimit", analysis.inconclusive_limit)?.unwrap_or(3),
            deadline: spec.progress_deadline(),
            scale_down_delay: scale_down_delay(canary, provider)?,
            ready: ReadyThresholds {
                primary: percent("primaryReadyThreshold", analysis.primary_ready_threshold)?,
                canary: percent("canaryReadyThreshold", analysis.canary_ready_threshold)?,
            },
            promotion_step,
            verify_after: verify_after(analysis, &subject, provider, &metrics)?,
            metrics,
            alarms,
            no_data: metric::no_data(canary)?,
            rollback_window: rollback_window(canary)?,
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

/// When a hook is asked: a Job without another moment, at each check.
pub fn moment(moment: HookType) -> HookType {
    if moment == HookType::Job { HookType::Rollout } else { moment }
}

fn hooks(analysis: &Analysis) -> Vec<Hook> {
    let is_step = |hook: &crate::api::flagger::Webhook| {
        hook.moment == HookType::Job && analysis.steps.iter().any(|step| step.job.as_ref() == Some(&hook.name))
    };
    let hook = |hook: &crate::api::flagger::Webhook| Hook {
        // What is a step is not asked at each check.
        moment: if is_step(hook) { hook.moment } else { moment(hook.moment) },
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

/// Only of a Deployment is the former template still to be had, and only some routers count the primary's requests.
fn verify_after(
    analysis: &Analysis,
    subject: &Subject,
    provider: Provider,
    metrics: &[MetricCheck],
) -> Result<Option<Duration>, Refusal> {
    use Provider as P;
    let Some(text) = &analysis.verify_after else { return Ok(None) };
    let field = || "spec.analysis.verifyAfter".to_owned();
    let length = duration::parse(text).ok_or_else(|| Refusal::NoDuration { field: field(), text: text.clone() })?;
    let counts_by_route = matches!(
        provider,
        P::Nginx | P::Traefik | P::Contour | P::Gloo | P::Kuma | P::Knative | P::Apisix | P::Skipper
    );
    if subject.kind != TargetKind::Deployment {
        return Err(Refusal::VerifyUnsupported(subject.kind.as_str()));
    }
    if counts_by_route && metrics.iter().any(|metric| metric.source == MetricSource::BuiltIn) {
        return Err(Refusal::VerifyBuiltIn(provider));
    }
    Ok((!length.is_zero()).then_some(length))
}

/// More than that do not fit into a record.
fn rollback_window(canary: &Canary) -> Result<usize, Refusal> {
    const MOST: usize = 10;
    let Some(text) = annotation(canary, ROLLBACK_WINDOW) else { return Ok(1) };
    text.parse().ok().filter(|window| *window <= MOST).ok_or_else(|| Refusal::Annotation {
        name: ROLLBACK_WINDOW,
        value: text.to_owned(),
        expected: "a number from 0 to 10",
    })
}

#[cfg(test)]
mod tests;
