//! Why a Canary is not acted on.

use crate::api::flagger::Provider;
use crate::canary::Weight;

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
    #[error(
        "`spec.analysis.steps[{0}]` needs one of `weight`, `pause`, `analysis`, `scale`, `job`, `mirror` and `header`"
    )]
    EmptyStep(usize),
    /// A step that scales to nothing, or to two numbers.
    #[error("`spec.analysis.steps[{0}].scale` needs either `replicas` or `percent`")]
    EmptyScale(usize),
    /// Something else says how many pods there are.
    #[error("`spec.analysis.steps` cannot `scale` {0}")]
    ScaleUnsupported(&'static str),
    /// A step that runs what is not there.
    #[error("`spec.analysis.steps[{step}].job` is `{name}`: no hook of type `job` has this name")]
    NoJob {
        /// Which step.
        step: usize,
        /// What stands there.
        name: String,
    },
    /// What fails and what passes cannot be told apart.
    #[error("`spec.analysis.metrics[{metric}].failureRange` {why}: values that fail must be out of `thresholdRange`")]
    FailureRange {
        /// Which metric.
        metric: usize,
        /// What does not fit.
        why: &'static str,
    },
    /// A record has no room for all of them.
    #[error("{count} metrics are measured in the background or have a `consecutiveErrorLimit`: {most} can be")]
    TooManyMetrics {
        /// How many there are.
        count: usize,
        /// How many can be.
        most: usize,
    },
    /// What the primary had cannot be given back to it.
    #[error("`spec.analysis.verifyAfter` needs a Deployment: the former template of a {0} is not kept")]
    VerifyUnsupported(&'static str),
    /// The metrics say nothing of the primary.
    #[error(
        "the built-in metrics of provider {0} are not measured of the primary, as `spec.analysis.verifyAfter` needs: use a MetricTemplate with `{{{{ target }}}}`"
    )]
    VerifyBuiltIn(Provider),
    /// A number that counts nothing.
    #[error("`spec.analysis.{field}` is {value}: a number of 1 or more is needed")]
    NoCount {
        /// Below `spec.analysis`.
        field: String,
        /// What stands there.
        value: i32,
    },
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
    /// The router cannot do both at a time.
    #[error(
        "provider {0} cannot send the requests of a step's `header` elsewhere while the others go by weight; `istio` and \
         `gatewayapi:v1` can"
    )]
    HeaderUnsupported(Provider),
    /// There is nothing in it to be told apart or copied.
    #[error("`spec.service.appProtocol` is `tcp`: `spec.analysis.match` and the steps `mirror` and `header` need HTTP")]
    NotHttp,
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
