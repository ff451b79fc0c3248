//! The gates that look for a while: `metric` and `alarms`. What was seen so far is in the evidence of the last answer.
//!
//! **In:** one reading, the evidence so far. **Out:** an [`Answer`] with the evidence then. **May not:** count what could not be
//! read as good.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Answer, minute, text};
use crate::api::leeboard::promotion::{AlarmsGate, MetricGate};
use crate::canary::world::Reading;

/// Evidence: measurements within the bounds, and outside of them.
const WITHIN: &str = "within";
const OUTSIDE: &str = "outside";
/// Evidence: since when no alarm is on.
const QUIET: &str = "quietSince";
/// How often alarms are looked at.
const LOOK: SignedDuration = SignedDuration::from_secs(15);

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// One more measurement of a metric.
pub fn metric(gate: &MetricGate, reading: &Reading, before: &BTreeMap<String, String>, now: Timestamp) -> Answer {
    let known = |name: &str| before.get(name).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    let (mut within, mut outside) = (known(WITHIN), known(OUTSIDE));
    let name = &gate.template_ref.name;
    let again = later(now, SignedDuration::try_from(gate.interval()).unwrap_or(LOOK));
    let said = match reading {
        Reading::Value(value) => {
            let range = gate.threshold_range;
            let is_within = range.min.is_none_or(|min| *value >= min) && range.max.is_none_or(|max| *value <= max);
            if is_within {
                within += 1;
            } else {
                outside += 1;
            }
            format!("{name} is {value}")
        }
        Reading::NoData(why) => {
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            format!("{name} has no data{why}")
        }
        Reading::Error(why) | Reading::Firing(why) => format!("{name} cannot be measured: {why}"),
    };
    let counted = |answer: Answer| answer.with(WITHIN, within.to_string()).with(OUTSIDE, outside.to_string());
    let limit = gate.failure_limit.unwrap_or(0);
    if outside > limit {
        return counted(Answer::fail(format!(
            "{said}: {outside} of {} measurements outside of its bounds",
            within + outside
        )));
    }
    if within >= gate.count() {
        return counted(Answer::pass(format!("{said}: {within} measurements within its bounds")));
    }
    counted(Answer::wait(format!("{said}: {within} of {} measurements", gate.count())).again(again))
}

/// One more look for alarms; `after` the deployment one that is on is a no.
pub fn alarms(
    gate: &AlarmsGate,
    readings: &[Reading],
    before: &BTreeMap<String, String>,
    after: bool,
    now: Timestamp,
) -> Answer {
    let again = later(now, LOOK);
    for reading in readings {
        match reading {
            Reading::Firing(name) if after => return Answer::fail(format!("an alarm is on: {name}")),
            Reading::Firing(name) => return Answer::wait(format!("an alarm is on: {name}")).again(again),
            Reading::Error(why) | Reading::NoData(why) => {
                return Answer::error(format!("alarms are not known: {why}")).again(again);
            }
            Reading::Value(_) => {}
        }
    }
    if readings.is_empty() {
        return Answer::fail("no alarms are named: write `alertmanager` or `pagerduty`");
    }
    let since = before.get(QUIET).and_then(|text| text.parse::<Timestamp>().ok()).unwrap_or(now);
    let lasts = SignedDuration::try_from(gate.lasts()).unwrap_or(SignedDuration::MAX);
    let ends = later(since, lasts);
    let answer = if now >= ends {
        Answer::pass(format!("no alarm for {}", text(now.duration_since(since))))
    } else {
        Answer::wait(format!("no alarm since {}: until {}", minute(since), minute(ends))).again(ends.min(again))
    };
    answer.with(QUIET, since.to_string())
}
