//! What a Canary asks for, checked: what cannot work is refused here, before anything is touched.
//!
//! **In:** a [`Canary`]. **Out:** [`Settings`], or a [`Refusal`] that says which field and what to do.
//! **May not:** look at a cluster. Defaults and meanings: docs/canary.md.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Weight;
use super::alarm::{self, Alarms};
use crate::api::duration;
use crate::api::flagger::{Alert, Analysis, Canary, HookType, Provider, SessionAffinity};

/// Annotation: seconds that the target stays up after the last route to it is gone.
pub const SCALE_DOWN_DELAY: &str = "canary.leeboard.dev/scale-down-delay";
/// Annotation: between checks, where ten seconds are too long.
pub const INTERVAL: &str = "canary.leeboard.dev/interval";
/// Annotation: what a check without data counts as; `fail` or `hold`.
pub const NO_DATA: &str = "canary.leeboard.dev/no-data";
/// Annotation: why it is suspended.
pub const REASON: &str = "canary.leeboard.dev/reason";

/// Why a Canary is not acted on: its condition `Ready=False` with the reason [`Refusal::reason`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `spec.targetRef` names nothing.
    #[error("`spec.targetRef.name` is empty")]
    NoTarget,
    /// A kind that cannot have two versions side by side.
    #[error("`spec.targetRef.kind` is `{0}`: a Deployment, a DaemonSet or a Service is needed")]
    TargetKind(String),
    /// A Service needs a port.
    #[error("`spec.service.port` is {0}: a port from 1 to 65535 is needed")]
    Port(i32),
    /// Neither weights nor iterations.
    #[error(
        "`spec.analysis` has no `stepWeight`, `stepWeights`, `iterations` or `steps`: the canary would never get traffic"
    )]
    NoStrategy,
    /// Two ways at once.
    #[error("`spec.analysis` has both `{0}` and `{1}`")]
    TwoStrategies(&'static str, &'static str),
    /// A number that is no share of traffic.
    #[error("`spec.analysis.{field}` is {value}: percent from {least} to 100 are needed")]
    NotPercent {
        /// Below `spec.analysis`.
        field: &'static str,
        /// What stands there.
        value: i64,
        /// The smallest that can be.
        least: u8,
    },
    /// The weights would go down, or not at all.
    #[error("`spec.analysis.{field}` goes from {before} to {after}: each weight must be more than the one before it")]
    NotRising {
        /// Below `spec.analysis`.
        field: &'static str,
        /// A weight.
        before: Weight,
        /// The one after it.
        after: Weight,
    },
    /// A step that says nothing, or two things.
    #[error("`spec.analysis.steps[{0}]` needs either `weight` or `pause`")]
    EmptyStep(usize),
    /// What cannot be read as a duration.
    #[error("`{field}` is `{text}`: a duration as 30s, 5m or 1h is needed")]
    NoDuration {
        /// Below the Canary.
        field: String,
        /// What stands there.
        text: String,
    },
    /// The router cannot copy requests in this strategy.
    #[error("provider {0} cannot mirror requests in this strategy")]
    MirrorUnsupported(Provider),
    /// The router cannot tell requests apart.
    #[error("provider {0} cannot send the requests of `spec.analysis.match` elsewhere")]
    MatchUnsupported(Provider),
    /// The router knows no cookies.
    #[error("provider {0} has no session affinity")]
    AffinityUnsupported(Provider),
    /// Nothing splits traffic.
    #[error("provider {0} has no weights: use `iterations`")]
    WeightsUnsupported(Provider),
    /// One cookie for two meanings.
    #[error("`spec.analysis.sessionAffinity` has the same `cookieName` and `primaryCookieName`, `{0}`")]
    SameCookies(String),
    /// An annotation with an unknown word.
    #[error("annotation `{name}` is `{value}`: {expected} is needed")]
    Annotation {
        /// Its name.
        name: &'static str,
        /// What stands there.
        value: String,
        /// What can stand there.
        expected: &'static str,
    },
}

impl Refusal {
    /// The one word of the condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::MirrorUnsupported(_) => "MirrorUnsupported",
            _ => "InvalidSpec",
        }
    }
}

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

/// How a new version is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// More and more of the traffic.
    Weights(Weights),
    /// The requests that match, for a number of checks.
    AbTest {
        /// How many.
        iterations: u32,
    },
    /// No traffic for a number of checks, then all of it.
    BlueGreen {
        /// How many.
        iterations: u32,
        /// Copies of requests meanwhile.
        mirrors: bool,
    },
    /// Weights and pauses in their order.
    Steps(Vec<Step>),
}

/// How the canary's weight grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// By which steps.
    pub steps: WeightSteps,
    /// Where the promotion begins.
    pub max: Weight,
    /// A check with copies of requests comes first.
    pub mirrors: bool,
}

/// The steps of [`Weights`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightSteps {
    /// Always by as much.
    By(Weight),
    /// One after the other.
    List(Vec<Weight>),
}

impl Weights {
    /// The weight after this one. One that is not in the list, or its last, is followed by all.
    pub fn after(&self, weight: Weight) -> Weight {
        match &self.steps {
            WeightSteps::By(step) => weight.raised_by(*step),
            WeightSteps::List(list) if weight == Weight::NONE => list.first().copied().unwrap_or(Weight::ALL),
            WeightSteps::List(list) => {
                let at = list.iter().position(|known| *known == weight);
                at.and_then(|at| list.get(at + 1)).copied().unwrap_or(Weight::ALL)
            }
        }
    }
}

/// One of Leeboard's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Give the canary this weight.
    Weight(Weight),
    /// Hold the weight for that long; until a person says so when there is no time.
    Pause(Option<Duration>),
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

fn share(field: &'static str, value: i64, least: u8) -> Result<Weight, Refusal> {
    Weight::new(value).filter(|weight| weight.percent() >= least).ok_or(Refusal::NotPercent { field, value, least })
}

fn strategy(analysis: &Analysis, provider: Provider) -> Result<Strategy, Refusal> {
    let given = [
        ("steps", !analysis.steps.is_empty()),
        ("iterations", analysis.iterations > 0),
        ("stepWeight", analysis.step_weight > 0 || !analysis.step_weights.is_empty()),
    ];
    let mut given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name);
    let strategy = match (given.next(), given.next()) {
        (Some(one), Some(other)) => return Err(Refusal::TwoStrategies(one, other)),
        (Some("iterations"), None) => iterations(analysis, provider, analysis.iterations.unsigned_abs())?,
        // Flagger tries ten times where nothing splits traffic.
        (None, None) if provider == Provider::Kubernetes => iterations(analysis, provider, 10)?,
        (None, None) if analysis.step_weight < 0 => {
            return Err(Refusal::NotPercent { field: "stepWeight", value: analysis.step_weight.into(), least: 1 });
        }
        (None, None) => return Err(Refusal::NoStrategy),
        (Some("steps"), None) => Strategy::Steps(steps(analysis)?),
        (Some(_), None) => Strategy::Weights(weights(analysis)?),
        (None, Some(_)) => unreachable!("an iterator that has ended"),
    };
    match &strategy {
        Strategy::Weights(_) | Strategy::Steps(_) if provider == Provider::Kubernetes => {
            Err(Refusal::WeightsUnsupported(provider))
        }
        Strategy::Weights(weights) if weights.mirrors && provider != Provider::Istio => {
            Err(Refusal::MirrorUnsupported(provider))
        }
        Strategy::BlueGreen { mirrors: true, .. } if !mirrors(provider) => Err(Refusal::MirrorUnsupported(provider)),
        _ => Ok(strategy),
    }
}

fn iterations(analysis: &Analysis, provider: Provider, iterations: u32) -> Result<Strategy, Refusal> {
    if analysis.matches.is_empty() {
        return Ok(Strategy::BlueGreen { iterations, mirrors: analysis.mirror });
    }
    if tells_requests_apart(provider) {
        Ok(Strategy::AbTest { iterations })
    } else {
        Err(Refusal::MatchUnsupported(provider))
    }
}

fn tells_requests_apart(provider: Provider) -> bool {
    use Provider as P;
    matches!(
        provider,
        P::Istio
            | P::GatewayApiV1
            | P::GatewayApiV1Beta1
            | P::Nginx
            | P::Contour
            | P::Gloo
            | P::AppMesh
            | P::AppMeshV1Beta2
    )
}

fn mirrors(provider: Provider) -> bool {
    matches!(provider, Provider::Istio | Provider::GatewayApiV1 | Provider::GatewayApiV1Beta1)
}

fn weights(analysis: &Analysis) -> Result<Weights, Refusal> {
    let max = match analysis.max_weight {
        0 => Weight::ALL,
        max => share("maxWeight", max.into(), 1)?,
    };
    if analysis.step_weight > 0 {
        let step = share("stepWeight", analysis.step_weight.into(), 1)?;
        return Ok(Weights { steps: WeightSteps::By(step), max, mirrors: analysis.mirror });
    }
    let list = analysis.step_weights.iter().map(|weight| share("stepWeights", (*weight).into(), 1));
    let list = list.collect::<Result<Vec<_>, _>>()?;
    rising("stepWeights", &list)?;
    let max = list.last().copied().unwrap_or(Weight::ALL);
    Ok(Weights { steps: WeightSteps::List(list), max, mirrors: analysis.mirror })
}

fn rising(field: &'static str, weights: &[Weight]) -> Result<(), Refusal> {
    match weights.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(Refusal::NotRising { field, before: pair[0], after: pair[1] }),
        None => Ok(()),
    }
}

fn steps(analysis: &Analysis) -> Result<Vec<Step>, Refusal> {
    let read = analysis.steps.iter().enumerate().map(|(at, step)| match (step.weight, &step.pause) {
        (Some(weight), None) => Ok(Step::Weight(share("steps[].weight", weight.into(), 1)?)),
        (None, Some(pause)) => match &pause.duration {
            None => Ok(Step::Pause(None)),
            Some(text) => {
                let field = format!("spec.analysis.steps[{at}].pause.duration");
                let read = duration::parse(text).ok_or(Refusal::NoDuration { field, text: text.clone() })?;
                Ok(Step::Pause(Some(read)))
            }
        },
        _ => Err(Refusal::EmptyStep(at)),
    });
    let steps = read.collect::<Result<Vec<_>, _>>()?;
    let weights: Vec<Weight> =
        steps.iter().filter_map(|step| if let Step::Weight(weight) = step { Some(*weight) } else { None }).collect();
    rising("steps", &weights)?;
    if weights.is_empty() { Err(Refusal::NoStrategy) } else { Ok(steps) }
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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn canary(analysis: &Value, provider: &str) -> Canary {
        let object = json!({
            "kind": "Canary", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"provider": provider, "targetRef": {"kind": "Deployment", "name": "web"},
                     "service": {"port": 80}, "analysis": analysis}});
        crate::api::decode(&object).unwrap()
    }

    fn refusal(analysis: &Value, provider: &str) -> String {
        match Settings::new(&canary(analysis, provider), Provider::Istio) {
            Ok(settings) => format!("{:?}", settings.strategy),
            Err(refusal) => format!("{}: {refusal}", refusal.reason()),
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let matching = json!([{"headers": {"x": {"exact": "y"}}}]);
        let cases = [
            // analysis, provider, refusal
            (
                json!({}),
                "istio",
                "InvalidSpec: `spec.analysis` has no `stepWeight`, `stepWeights`, `iterations` or `steps`: the canary would never get traffic",
            ),
            (
                json!({"stepWeight": 10, "iterations": 2}),
                "istio",
                "InvalidSpec: `spec.analysis` has both `iterations` and `stepWeight`",
            ),
            (
                json!({"stepWeight": 10, "maxWeight": 150}),
                "istio",
                "InvalidSpec: `spec.analysis.maxWeight` is 150: percent from 1 to 100 are needed",
            ),
            (
                json!({"stepWeight": -5}),
                "istio",
                "InvalidSpec: `spec.analysis.stepWeight` is -5: percent from 1 to 100 are needed",
            ),
            (
                json!({"stepWeights": [10, 5]}),
                "istio",
                "InvalidSpec: `spec.analysis.stepWeights` goes from 10 to 5: each weight must be more than the one before it",
            ),
            (
                json!({"stepWeight": 10}),
                "kubernetes",
                "InvalidSpec: provider kubernetes has no weights: use `iterations`",
            ),
            (
                json!({"stepWeight": 10, "mirror": true}),
                "nginx",
                "MirrorUnsupported: provider nginx cannot mirror requests in this strategy",
            ),
            (
                json!({"stepWeight": 10, "mirror": true}),
                "gatewayapi:v1",
                "MirrorUnsupported: provider gatewayapi:v1 cannot mirror requests in this strategy",
            ),
            (
                json!({"iterations": 2, "match": matching}),
                "traefik",
                "InvalidSpec: provider traefik cannot send the requests of `spec.analysis.match` elsewhere",
            ),
            (
                json!({"stepWeight": 10, "sessionAffinity": {"cookieName": "a", "primaryCookieName": "a"}}),
                "istio",
                "InvalidSpec: `spec.analysis.sessionAffinity` has the same `cookieName` and `primaryCookieName`, `a`",
            ),
            (
                json!({"stepWeight": 10, "sessionAffinity": {"cookieName": "a"}}),
                "nginx",
                "InvalidSpec: provider nginx has no session affinity",
            ),
            (
                json!({"steps": [{"weight": 10}, {}]}),
                "istio",
                "InvalidSpec: `spec.analysis.steps[1]` needs either `weight` or `pause`",
            ),
            (
                json!({"steps": [{"pause": {"duration": "soon"}}]}),
                "istio",
                "InvalidSpec: `spec.analysis.steps[0].pause.duration` is `soon`: a duration as 30s, 5m or 1h is needed",
            ),
        ];
        for (analysis, provider, expected) in cases {
            assert_eq!(refusal(&analysis, provider), expected, "{analysis}");
        }
    }

    #[test]
    fn a_port_and_a_known_kind_are_needed() {
        let mut canary = canary(&json!({"stepWeight": 10}), "istio");
        canary.spec.service.port = 0;
        assert_eq!(Settings::new(&canary, Provider::Istio), Err(Refusal::Port(0)));
        canary.spec.target_ref.kind = "StatefulSet".into();
        assert_eq!(Settings::new(&canary, Provider::Istio), Err(Refusal::TargetKind("StatefulSet".into())));
    }

    #[test]
    fn weights_grow_until_the_promotion() {
        let weight = |percent| Weight::new(percent).unwrap();
        let cases: [(Value, &[i64]); 4] = [
            // analysis, weights one after the other
            (json!({"stepWeight": 20, "maxWeight": 60}), &[20, 40, 60]),
            (json!({"stepWeight": 30, "maxWeight": 50}), &[30, 60]),
            (json!({"stepWeights": [1, 5, 50]}), &[1, 5, 50]),
            (json!({"stepWeight": 40}), &[40, 80, 100]),
        ];
        for (analysis, expected) in cases {
            let settings = Settings::new(&canary(&analysis, "istio"), Provider::Istio).unwrap();
            let Strategy::Weights(weights) = settings.strategy else { panic!("{analysis}") };
            let mut found = vec![];
            let mut at = Weight::NONE;
            while at < weights.max {
                at = weights.after(at);
                found.push(at);
            }
            assert_eq!(found, expected.iter().map(|percent| weight(*percent)).collect::<Vec<_>>(), "{analysis}");
        }
    }

    #[test]
    fn a_weight_that_was_never_a_step_is_followed_by_all() {
        let list = Weights {
            steps: WeightSteps::List(vec![Weight::new(10).unwrap(), Weight::new(80).unwrap()]),
            max: Weight::ALL,
            mirrors: false,
        };
        assert_eq!(list.after(Weight::new(33).unwrap()), Weight::ALL);
    }

    #[test]
    fn nothing_said_means_flaggers_defaults() {
        let settings = Settings::new(&canary(&json!({}), "kubernetes"), Provider::Istio).unwrap();
        assert_eq!(settings.strategy, Strategy::BlueGreen { iterations: 10, mirrors: false });
        assert_eq!((settings.threshold, settings.interval.as_secs(), settings.deadline.as_secs()), (1, 60, 600));
    }

    #[test]
    fn an_annotation_may_ask_for_a_shorter_interval() {
        let with = |text: &str| {
            let mut canary = canary(&json!({"interval": "5s", "iterations": 1}), "kubernetes");
            canary.metadata.annotations = Some([(INTERVAL.to_owned(), text.to_owned())].into());
            Settings::new(&canary, Provider::Istio).map(|settings| settings.interval).map_err(|error| error.to_string())
        };
        assert_eq!(with("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(
            with("0s"),
            Err("annotation `canary.leeboard.dev/interval` is `0s`: a duration from 1s is needed".into())
        );
    }

    #[test]
    fn a_threshold_is_the_least_rate_and_the_most_of_all_else() {
        let analysis = json!({"iterations": 1, "metrics": [
            {"name": "mine", "threshold": 5.0, "templateRef": {"name": "mine"}},
            {"name": "request-success-rate", "threshold": 99.0},
            {"name": "request-duration", "thresholdRange": {"max": 500.0}},
        ]});
        let settings = Settings::new(&canary(&analysis, "istio"), Provider::Istio).unwrap();
        let found: Vec<_> = settings.metrics.iter().map(|metric| (&*metric.name, metric.min, metric.max)).collect();
        assert_eq!(
            found,
            [
                ("request-success-rate", Some(99.0), None),
                ("request-duration", None, Some(500.0)),
                ("mine", None, Some(5.0))
            ]
        );
    }
}
