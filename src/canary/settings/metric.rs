//! What is measured, and what it may be.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use super::{NO_DATA, Refusal, annotation};
use crate::api::duration;
use crate::api::flagger::{Analysis, Canary, Metric, MetricMode, ThresholdRange};
use crate::canary::alarm::Alarms;

/// What is measured, and what it may be.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricCheck {
    /// What records know it by: short, and its own also where two have one name.
    pub id: SmolStr,
    /// `request-success-rate`, `request-duration`, or the user's.
    pub name: SmolStr,
    /// Whether it is a template's.
    pub source: MetricSource,
    /// A value within passes.
    pub bounds: ThresholdRange,
    /// A value out of the bounds and within this is inconclusive. No bound here: as without it.
    pub failure: ThresholdRange,
    /// Measured at this interval over the whole run, and not at its checks.
    pub background: Option<Duration>,
    /// How long after the beginning of a run it is measured first.
    pub delay: Duration,
    /// It is told, and counts for nothing.
    pub is_dry: bool,
    /// Errors in a row that are one failed check; without it each is.
    pub error_limit: Option<u32>,
}

/// More metrics than that of which something is remembered do not fit into a record.
const MOST_REMEMBERED: usize = 20;

impl MetricCheck {
    /// True when a record keeps something of it between two measurements.
    fn is_remembered(&self) -> bool {
        self.background.is_some() || self.error_limit.is_some()
    }

    /// Eight digits that stay the same when other metrics come and go.
    fn identify(checks: &mut [MetricCheck]) {
        let mut known = BTreeMap::<_, u32>::new();
        for check in checks {
            let count = known.entry((check.name.clone(), check.source)).or_default();
            let mut hash = Sha256::new();
            hash.update(format!("{}\n{:?}\n{count}", check.name, check.source));
            check.id = hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            *count += 1;
        }
    }
}

/// Where a metric's query comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricSource {
    /// Built in.
    BuiltIn,
    /// Written into the Canary.
    Inline,
    /// A MetricTemplate.
    Template,
    /// None: alarms, by their place in [`Settings::alarms`](super::Settings::alarms).
    Alarms(usize),
}

/// What a check without data counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoData {
    /// As a failed check, as Flagger counts it.
    #[default]
    Fail,
    /// As none: the weight is held, at most for the progress deadline; then a person decides.
    Hold,
    /// As one whose value is between its bounds.
    Inconclusive,
}

pub(super) fn checks(analysis: &Analysis, alarms: &[Alarms]) -> Result<Vec<MetricCheck>, Refusal> {
    let mut checks = Vec::new();
    for (at, metric) in analysis.metrics.iter().enumerate() {
        let is_built_in = metric.name == "request-success-rate" || metric.name == "request-duration";
        let bounds = bounds(metric);
        let check = MetricCheck {
            id: SmolStr::default(),
            name: metric.name.as_str().into(),
            source: MetricSource::BuiltIn,
            bounds,
            failure: failure(at, metric, bounds)?,
            background: match metric.mode {
                MetricMode::Step => None,
                MetricMode::Background => {
                    let period = read(at, "interval", metric.interval())?;
                    Some(period.max(Analysis::SHORTEST_INTERVAL))
                }
            },
            delay: metric.initial_delay.as_deref().map_or(Ok(Duration::ZERO), |text| read(at, "initialDelay", text))?,
            is_dry: metric.dry_run,
            error_limit: limit(&format!("metrics[{at}].consecutiveErrorLimit"), metric.consecutive_error_limit)?,
        };
        if is_built_in {
            checks.push(check.clone());
        } else if metric.template_ref.is_none() {
            checks.push(MetricCheck { source: MetricSource::Inline, ..check.clone() });
        }
        if metric.template_ref.is_some() {
            checks.push(MetricCheck { source: MetricSource::Template, ..check });
        }
    }
    // Those of templates come last; within both the order is the user's.
    checks.sort_by_key(|check| check.source == MetricSource::Template);
    for (at, alarms) in alarms.iter().enumerate() {
        let check = MetricCheck {
            id: SmolStr::default(),
            name: alarms.check().into(),
            source: MetricSource::Alarms(at),
            bounds: ThresholdRange::default(),
            failure: ThresholdRange::default(),
            background: None,
            delay: Duration::ZERO,
            is_dry: false,
            error_limit: None,
        };
        checks.insert(at, check);
    }
    MetricCheck::identify(&mut checks);
    match checks.iter().filter(|check| check.is_remembered()).count() {
        count if count > MOST_REMEMBERED => Err(Refusal::TooManyMetrics { count, most: MOST_REMEMBERED }),
        _ => Ok(checks),
    }
}

fn read(at: usize, field: &str, text: &str) -> Result<Duration, Refusal> {
    duration::parse(text).ok_or_else(|| Refusal::NoDuration {
        field: format!("spec.analysis.metrics[{at}].{field}"),
        text: text.to_owned(),
    })
}

fn bounds(metric: &Metric) -> ThresholdRange {
    let is_rate = metric.name == "request-success-rate";
    match (metric.threshold_range, metric.threshold) {
        (Some(range), _) => range,
        (None, threshold) if is_rate => ThresholdRange { min: threshold, max: None },
        (None, threshold) => ThresholdRange { min: None, max: threshold },
    }
}

/// The range beyond which a value fails: never narrower than the one within which it passes.
fn failure(at: usize, metric: &Metric, bounds: ThresholdRange) -> Result<ThresholdRange, Refusal> {
    let Some(failure) = metric.failure_range else { return Ok(ThresholdRange::default()) };
    let refusal = |why: &'static str| Refusal::FailureRange { metric: at, why };
    match (failure.min, bounds.min) {
        (None, _) if failure.max.is_none() => return Err(refusal("has neither `min` nor `max`")),
        (Some(_), None) => return Err(refusal("has a `min`, and `thresholdRange` has none")),
        (Some(fails), Some(passes)) if fails > passes => {
            return Err(refusal("has a `min` above that of `thresholdRange`"));
        }
        _ => {}
    }
    match (failure.max, bounds.max) {
        (Some(_), None) => Err(refusal("has a `max`, and `thresholdRange` has none")),
        (Some(fails), Some(passes)) if fails < passes => Err(refusal("has a `max` below that of `thresholdRange`")),
        _ => Ok(failure),
    }
}

/// A number that says how often something may be; nothing when it is absent.
pub(super) fn limit(field: &str, value: i32) -> Result<Option<u32>, Refusal> {
    match u32::try_from(value) {
        Ok(0) => Ok(None),
        Ok(limit) => Ok(Some(limit)),
        Err(_) => Err(Refusal::NoCount { field: field.to_owned(), value }),
    }
}

pub(super) fn no_data(canary: &Canary) -> Result<NoData, Refusal> {
    match annotation(canary, NO_DATA) {
        None | Some("fail") => Ok(NoData::Fail),
        Some("hold") => Ok(NoData::Hold),
        Some("inconclusive") => Ok(NoData::Inconclusive),
        Some(value) => Err(Refusal::Annotation {
            name: NO_DATA,
            value: value.to_owned(),
            expected: "`fail`, `hold` or `inconclusive`",
        }),
    }
}
