//! How a new version is tried, and which of it a provider can do.

use std::time::Duration;

use smol_str::SmolStr;

use super::Refusal;
use crate::api::duration;
use crate::api::flagger::{self, Analysis, HookType, Provider, Webhook};
use crate::canary::Weight;

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

impl Strategy {
    /// True when single requests matter to it.
    pub(super) fn needs_http(&self) -> bool {
        match self {
            Strategy::AbTest { .. } => true,
            Strategy::Steps(steps) => steps.iter().any(Step::needs_http),
            Strategy::Weights(_) | Strategy::BlueGreen { .. } => false,
        }
    }
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

/// How many pods the canary has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// So many.
    Replicas(u32),
    /// As many as that share of the primary's, rounded up.
    OfPrimary(Weight),
}

impl Scale {
    /// The number, beside a primary of so many pods.
    pub fn beside(self, primary: u32) -> u32 {
        match self {
            Scale::Replicas(replicas) => replicas,
            Scale::OfPrimary(share) => primary.saturating_mul(share.percent().into()).div_ceil(100).max(1),
        }
    }
}

/// One of Leeboard's steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Hold the weight until so many checks have passed.
    Analysis(u32),
    /// Give the canary another number of pods.
    Scale(Scale),
    /// Run the hook of this name, of type `job`.
    Job(SmolStr),
    /// Send copies of that share of the requests to the canary.
    Mirror(Weight),
    /// Send the requests that match this step to the canary; the first one that says the same. Those of none any more.
    Header(Option<usize>),
    /// Give the canary this weight.
    Weight(Weight),
    /// Hold the weight for that long; until a person says so when there is no time.
    Pause(Option<Duration>),
}

impl Step {
    fn needs_http(&self) -> bool {
        matches!(self, Step::Mirror(_) | Step::Header(_))
    }
}

pub(super) fn strategy(analysis: &Analysis, provider: Provider) -> Result<Strategy, Refusal> {
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
        (Some("steps"), None) => Strategy::Steps(steps(analysis, provider)?),
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

pub(super) fn mirrors(provider: Provider) -> bool {
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

fn steps(analysis: &Analysis, provider: Provider) -> Result<Vec<Step>, Refusal> {
    let read = analysis.steps.iter().enumerate().map(|(at, step)| read(analysis, provider, at, step));
    let steps = read.collect::<Result<Vec<_>, _>>()?;
    let weights: Vec<Weight> =
        steps.iter().filter_map(|step| if let Step::Weight(weight) = step { Some(*weight) } else { None }).collect();
    rising("steps", &weights)?;
    let leads = |step: &Step| match step {
        Step::Weight(_) | Step::Header(Some(_)) => true,
        Step::Mirror(share) => *share > Weight::NONE,
        _ => false,
    };
    if steps.iter().any(leads) { Ok(steps) } else { Err(Refusal::NoStrategy) }
}

fn read(analysis: &Analysis, provider: Provider, at: usize, step: &flagger::Step) -> Result<Step, Refusal> {
    let flagger::Step { weight, pause, analysis: checks, scale, job, mirror, header } = step;
    let given = [
        weight.map(|weight| Ok(Step::Weight(share("steps[].weight", weight.into(), 1)?))),
        pause.as_ref().map(|pause| pause_of(at, pause)),
        checks.as_ref().map(|checks| Ok(Step::Analysis(count(at, "analysis.checks", checks.checks)?))),
        scale.as_ref().map(|scale| scale_of(at, scale)),
        job.as_ref().map(|name| job_of(analysis, at, name)),
        mirror.as_ref().map(|mirror| mirror_of(provider, mirror)),
        header.as_ref().map(|header| header_of(analysis, provider, header)),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(step), None) => step,
        _ => Err(Refusal::EmptyStep(at)),
    }
}

fn pause_of(at: usize, pause: &flagger::Pause) -> Result<Step, Refusal> {
    let Some(text) = &pause.duration else { return Ok(Step::Pause(None)) };
    let field = format!("spec.analysis.steps[{at}].pause.duration");
    let read = duration::parse(text).ok_or(Refusal::NoDuration { field, text: text.clone() })?;
    Ok(Step::Pause(Some(read)))
}

fn scale_of(at: usize, scale: &flagger::StepScale) -> Result<Step, Refusal> {
    Ok(Step::Scale(match (scale.replicas, scale.percent) {
        (Some(replicas), None) => Scale::Replicas(count(at, "scale.replicas", replicas)?),
        (None, Some(percent)) => Scale::OfPrimary(share("steps[].scale.percent", percent.into(), 1)?),
        _ => return Err(Refusal::EmptyScale(at)),
    }))
}

fn job_of(analysis: &Analysis, at: usize, name: &str) -> Result<Step, Refusal> {
    let is_it = |hook: &Webhook| hook.moment == HookType::Job && hook.name == *name;
    if analysis.webhooks.iter().any(is_it) {
        Ok(Step::Job(name.into()))
    } else {
        Err(Refusal::NoJob { step: at, name: name.to_owned() })
    }
}

fn mirror_of(provider: Provider, mirror: &flagger::StepMirror) -> Result<Step, Refusal> {
    if !mirrors(provider) {
        return Err(Refusal::MirrorUnsupported(provider));
    }
    Ok(Step::Mirror(share("steps[].mirror.percentage", mirror.percentage.unwrap_or(100).into(), 0)?))
}

fn header_of(analysis: &Analysis, provider: Provider, header: &flagger::StepHeader) -> Result<Step, Refusal> {
    if !leads_by_header(provider) {
        return Err(Refusal::HeaderUnsupported(provider));
    }
    if header.matches.is_empty() {
        return Ok(Step::Header(None));
    }
    // A route says whom it leads, not which step has wanted that.
    Ok(Step::Header(analysis.steps.iter().position(|step| step.header.as_ref() == Some(header))))
}

/// True when some requests can be told apart while the others go by weight.
fn leads_by_header(provider: Provider) -> bool {
    matches!(provider, Provider::Istio | Provider::GatewayApiV1 | Provider::GatewayApiV1Beta1)
}

fn count(at: usize, field: &str, value: i32) -> Result<u32, Refusal> {
    let count = u32::try_from(value).ok().filter(|count| *count > 0);
    count.ok_or_else(|| Refusal::NoCount { field: format!("steps[{at}].{field}"), value })
}

/// A number that stands below `spec.analysis`, as a share of traffic.
pub(super) fn share(field: &'static str, value: i64, least: u8) -> Result<Weight, Refusal> {
    Weight::new(value).filter(|weight| weight.percent() >= least).ok_or(Refusal::NotPercent { field, value, least })
}
