//! From a reading and its bounds to a verdict, and the words for it.

use std::fmt;

use super::{Problem, Reading, builtin};
use crate::api::flagger::Metric;

/// What a check measures: it decides how the deprecated `threshold` is meant and how numbers are compared and told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The built-in `request-success-rate`, in percent: more is better.
    SuccessRate,
    /// The built-in `request-duration`, in milliseconds, compared as whole ones.
    Duration,
    /// Any other metric, with its name.
    Named(String),
}

/// Whether a check asks the built-in query of its name: a metric may have that and a template's besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsBuiltin {
    /// The built-in query.
    Yes,
    /// A query of the user's.
    No,
}

/// What a value must keep within.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// What is measured.
    pub measure: Measure,
    /// A value below it fails.
    pub min: Option<f64>,
    /// A value above it fails.
    pub max: Option<f64>,
}

impl Bounds {
    /// The bounds of a check: `thresholdRange` where it is given, else the deprecated `threshold`, which is the least
    /// for a success rate and the most for everything else.
    pub fn new(measure: Measure, range: Option<(Option<f64>, Option<f64>)>, threshold: f64) -> Self {
        let (min, max) = match (range, &measure) {
            (Some(range), _) => range,
            (None, Measure::SuccessRate) => (Some(threshold), None),
            (None, _) => (None, Some(threshold)),
        };
        Bounds { measure, min, max }
    }

    /// The bounds of a check on a built-in metric, by its name; of any other one with `query` or `templateRef`.
    pub fn of(metric: &Metric, is_builtin: IsBuiltin) -> Self {
        let measure = match (is_builtin, metric.name.as_str()) {
            (IsBuiltin::Yes, builtin::SUCCESS_RATE) => Measure::SuccessRate,
            (IsBuiltin::Yes, builtin::DURATION) => Measure::Duration,
            (_, name) => Measure::Named(name.to_owned()),
        };
        let range = metric.threshold_range.map(|range| (range.min, range.max));
        Bounds::new(measure, range, metric.threshold.unwrap_or_default())
    }

    /// Judges a reading.
    pub fn judge(&self, reading: &Reading) -> Verdict {
        let value = match reading {
            Reading::Value(value) => *value,
            Reading::NoData => return Verdict::NoData,
            Reading::Error(problem) => return Verdict::Error(problem.clone()),
        };
        let compared = |number: f64| if self.measure == Measure::Duration { number.trunc() } else { number };
        let breach = |bound, side| Verdict::Fail(Breach { measure: self.measure.clone(), value, bound, side });
        match (self.min, self.max) {
            (Some(min), _) if compared(value) < compared(min) => breach(min, Side::Below),
            (_, Some(max)) if compared(value) > compared(max) => breach(max, Side::Above),
            _ => Verdict::Pass,
        }
    }
}

/// What a measurement means for the canary. Only [`Verdict::Pass`] is a success.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Within its bounds.
    Pass,
    /// Out of them.
    Fail(Breach),
    /// Nothing was measured.
    NoData,
    /// It could not be asked.
    Error(Problem),
}

/// On which side of its bounds a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Less than the least.
    Below,
    /// More than the most.
    Above,
}

/// A value out of its bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Breach {
    /// What was measured.
    pub measure: Measure,
    /// What it was.
    pub value: f64,
    /// The bound it broke.
    pub bound: f64,
    /// On which side.
    pub side: Side,
}

/// `success rate 50.00% < 99%`, `request duration 750ms > 500ms`, `errors 3.00 > 1`: Flagger's words.
impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.side {
            Side::Below => '<',
            Side::Above => '>',
        };
        let (value, bound) = (self.value, self.bound);
        match &self.measure {
            Measure::SuccessRate => write!(f, "success rate {value:.2}% {sign} {bound}%"),
            Measure::Duration => {
                write!(f, "request duration {} {sign} {}", GoDuration(value), GoDuration(bound))
            }
            Measure::Named(name) => write!(f, "{name} {value:.2} {sign} {bound}"),
        }
    }
}

/// Whole milliseconds as Go prints a duration: `50ms`, `1.5s`, `1m0.5s`.
struct GoDuration(f64);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.trunc();
        if milliseconds == 0.0 {
            return f.write_str("0s");
        }
        if milliseconds.abs() < 1000.0 {
            return write!(f, "{milliseconds}ms");
        }
        if milliseconds < 0.0 {
            f.write_str("-")?;
        }
        let milliseconds = milliseconds.abs();
        let (hours, rest) = ((milliseconds / 3_600_000.0).trunc(), milliseconds % 3_600_000.0);
        let (minutes, rest) = ((rest / 60_000.0).trunc(), rest % 60_000.0);
        if hours > 0.0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0.0 || minutes > 0.0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", rest / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_judged_by_its_bounds() {
        use Measure::{Duration, SuccessRate};
        let named = || Measure::Named("errors".into());
        // measure, range, threshold, value, what is said (nothing when it passes)
        let cases = [
            (SuccessRate, Some((Some(99.0), None)), 0.0, 99.0, ""),
            (SuccessRate, Some((Some(99.0), None)), 0.0, 50.0, "success rate 50.00% < 99%"),
            (SuccessRate, Some((None, Some(99.5))), 0.0, 100.0, "success rate 100.00% > 99.5%"),
            (SuccessRate, None, 99.0, 98.999, "success rate 99.00% < 99%"),
            (SuccessRate, None, 99.0, 100.0, ""),
            (Duration, Some((None, Some(500.0))), 0.0, 500.9, ""),
            (Duration, Some((None, Some(500.9))), 0.0, 501.2, "request duration 501ms > 500ms"),
            (Duration, None, 500.0, 1500.0, "request duration 1.5s > 500ms"),
            (Duration, Some((Some(10.0), None)), 0.0, 0.5, "request duration 0s < 10ms"),
            (Duration, None, 500.0, 3_660_000.0, "request duration 1h1m0s > 500ms"),
            (named(), Some((Some(1.0), Some(2.0))), 0.0, 2.0, ""),
            (named(), Some((Some(1.0), Some(2.0))), 0.0, 2.01, "errors 2.01 > 2"),
            (named(), Some((Some(1.0), Some(2.0))), 0.0, 0.99, "errors 0.99 < 1"),
            (named(), None, 0.0, 0.5, "errors 0.50 > 0"),
            (named(), Some((None, None)), 0.0, 1e9, ""),
            (named(), None, 5.0, f64::INFINITY, "errors inf > 5"),
        ];
        for (measure, range, threshold, value, said) in cases {
            let case = format!("{measure:?} {range:?} {threshold} {value}");
            let verdict = Bounds::new(measure, range, threshold).judge(&Reading::Value(value));
            let found = match verdict {
                Verdict::Pass => String::new(),
                Verdict::Fail(breach) => breach.to_string(),
                other => panic!("{case}: {other:?}"),
            };
            assert_eq!(found, said, "{case}");
        }
    }

    #[test]
    fn silence_and_errors_never_pass() {
        let bounds = Bounds::new(Measure::Named("errors".into()), Some((None, None)), 0.0);
        assert_eq!(bounds.judge(&Reading::NoData), Verdict::NoData);
        let problem = Problem::Refused { message: "parse error".into() };
        assert_eq!(bounds.judge(&Reading::Error(problem.clone())), Verdict::Error(problem));
    }
}
