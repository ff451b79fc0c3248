//! Metrics are measured, at checks and in the background, and judged.

use super::super::event::{Bound, Breach};
use super::super::record::{Doubt, Measured};
use super::super::settings::{MetricCheck, MetricSource, NoData};
use super::check::Checked;
use super::*;

impl Course<'_> {
    /// What all metrics of a check say together; those of the background have said it before.
    pub(super) fn measure(&mut self, run: &mut Run) -> Step<Checked> {
        let is_due = |metric: &MetricCheck| metric.background.is_none() && self.now >= after(run.started, metric.delay);
        let metrics = self.settings.metrics.iter().enumerate();
        let which: Vec<usize> = metrics.filter(|(_, metric)| is_due(metric)).map(|(at, _)| at).collect();
        let mut worst = self.doubted(run);
        if which.is_empty() {
            return Ok(worst);
        }
        let readings = self.readings(run.check, which.clone())?;
        for (at, which) in which.into_iter().enumerate() {
            let checked = self.weigh(which, readings.get(at), run);
            // The first failure is told; of those that hold the weight, the one that brings a person sooner.
            worst = match (worst, checked) {
                (failed @ Checked::Failed(_), _) => failed,
                (_, failed @ Checked::Failed(_)) => failed,
                (unclear @ Checked::Inconclusive(_), _) => unclear,
                (_, unclear @ Checked::Inconclusive(_)) => unclear,
                (silent @ Checked::Silent(_), _) => silent,
                (Checked::Passed, checked) => checked,
            };
        }
        Ok(worst)
    }

    /// What the background has left open.
    fn doubted(&self, run: &Run) -> Checked {
        let doubt = |metric: &&MetricCheck| run.metrics.get(&metric.id).and_then(|measured| measured.doubt);
        let mut metrics = self.settings.metrics.iter().filter(|metric| metric.background.is_some());
        let unclear = metrics.clone().find(|metric| doubt(metric) == Some(Doubt::Inconclusive));
        if let Some(metric) = unclear {
            return Checked::Inconclusive(Event::Doubted(metric.name.clone(), Doubt::Inconclusive));
        }
        match metrics.find(|metric| doubt(metric).is_some()) {
            Some(metric) => Checked::Silent(Event::Doubted(metric.name.clone(), Doubt::Silent)),
            None => Checked::Passed,
        }
    }

    /// Measures what is due beside the checks. True when something was: that is kept before anything else is asked, so
    /// that nobody who thinks for long makes it late.
    pub(super) fn measure_background(&mut self, run: &Run) -> Step<bool> {
        if !self.has_traffic(run) {
            return Ok(false);
        }
        let mut run = run.clone();
        let mut which = Vec::new();
        let mut begins = false;
        for (at, metric) in self.settings.metrics.iter().enumerate() {
            let Some(period) = metric.background else { continue };
            let measured = run.metrics.entry(metric.id.clone()).or_default();
            match measured.at {
                Some(before) if self.now >= due(&run.started, metric, before, period) => which.push(at),
                Some(_) => {}
                // Its first window begins with the traffic.
                None => (measured.at, begins) = (Some(self.now), true),
            }
        }
        if which.is_empty() {
            if begins {
                self.keep(run.clone());
            }
            self.wake_for_background(&run);
            return Ok(begins);
        }
        let readings = self.readings(run.check, which.clone())?;
        let mut failures = Vec::new();
        for (at, which) in which.into_iter().enumerate() {
            let checked = self.weigh(which, readings.get(at), &mut run);
            let measured = run.metrics.entry(self.settings.metrics[which].id.clone()).or_default();
            let before = measured.doubt;
            (measured.at, measured.doubt) = (Some(self.now), None);
            match checked {
                Checked::Passed => {}
                Checked::Failed(event) => failures.push(event),
                Checked::Silent(event) => {
                    measured.doubt = Some(Doubt::Silent);
                    self.events.extend((measured.doubt != before).then_some(event));
                }
                Checked::Inconclusive(event) => {
                    measured.doubt = Some(Doubt::Inconclusive);
                    self.events.extend((measured.doubt != before).then_some(event));
                }
            }
        }
        self.keep(run);
        for event in failures {
            if let Some(run) = self.record.run().cloned() {
                self.count_failure(run, event);
            }
        }
        Ok(true)
    }

    /// Wants to be asked again when the next metric is due.
    pub(super) fn wake_for_background(&mut self, run: &Run) {
        for metric in &self.settings.metrics {
            let measured = run.metrics.get(&metric.id).and_then(|measured| measured.at);
            if let (Some(period), Some(before)) = (metric.background, measured) {
                self.wake_at(due(&run.started, metric, before, period));
            }
        }
    }

    /// Judges one reading, and keeps what is to be known of it the next time.
    fn weigh(&mut self, which: usize, reading: Option<&Reading>, run: &mut Run) -> Checked {
        let Some(metric) = self.settings.metrics.get(which) else { return Checked::Passed };
        let mut measured = run.metrics.remove(&metric.id).unwrap_or_default();
        // A reading that is not there is no success.
        let missing = Reading::NoData("not measured".into());
        let checked = self.judge(metric, reading.unwrap_or(&missing), &mut measured.errors);
        if measured != Measured::default() {
            run.metrics.insert(metric.id.clone(), measured);
        }
        let (would, event) = match &checked {
            Checked::Failed(event) if metric.is_dry => ("failed", event),
            Checked::Silent(event) | Checked::Inconclusive(event) if metric.is_dry => ("held the weight", event),
            _ => return checked,
        };
        let what = match event {
            Event::OutOfBounds(breach) | Event::Inconclusive(breach) => breach.to_string(),
            other => other.message(&self.settings.subject),
        };
        let metric = metric.name.clone();
        self.tell(Event::DryRun { metric, would, what });
        Checked::Passed
    }

    fn judge(&self, metric: &MetricCheck, reading: &Reading, errors: &mut u32) -> Checked {
        let name = metric.name.clone();
        if !matches!(reading, Reading::Error(_)) {
            *errors = 0;
        }
        let value = match reading {
            Reading::Error(why) => {
                let told = (metric.source != MetricSource::BuiltIn).then_some(name);
                let event = Event::QueryFailed { metric: told, why: short(why) };
                *errors += 1;
                if metric.error_limit.is_some_and(|limit| *errors < limit) {
                    return Checked::Silent(event);
                }
                *errors = 0;
                return Checked::Failed(event);
            }
            Reading::Firing(alert) => return Checked::Failed(Event::AlarmFires(short(alert))),
            Reading::Value(value) if !value.is_nan() => *value,
            nothing => {
                let why = if let Reading::NoData(why) = nothing { short(why) } else { "the value is NaN".into() };
                let provider = (metric.source == MetricSource::BuiltIn).then(|| self.settings.provider.to_string());
                let event = Event::NoData { metric: name, provider, why };
                return match self.settings.no_data {
                    NoData::Fail => Checked::Failed(event),
                    NoData::Hold => Checked::Silent(event),
                    NoData::Inconclusive => Checked::Inconclusive(event),
                };
            }
        };
        let compared = |number: f64| {
            let in_milliseconds = metric.source == MetricSource::BuiltIn && metric.name == "request-duration";
            if in_milliseconds { number.trunc() } else { number }
        };
        let is_below = |bound: f64| compared(value) < compared(bound);
        let is_above = |bound: f64| compared(value) > compared(bound);
        let breach = |bound| Breach { metric: name.clone(), value, bound };
        let judged = |breach, fails| {
            if fails {
                Checked::Failed(Event::OutOfBounds(breach))
            } else {
                Checked::Inconclusive(Event::Inconclusive(breach))
            }
        };
        match (metric.bounds.min, metric.bounds.max) {
            (Some(min), _) if is_below(min) => judged(breach(Bound::Min(min)), metric.failure.min.is_none_or(is_below)),
            (_, Some(max)) if is_above(max) => judged(breach(Bound::Max(max)), metric.failure.max.is_none_or(is_above)),
            _ => Checked::Passed,
        }
    }
}

/// When a metric of the background is to be measured next.
fn due(began: &Timestamp, metric: &MetricCheck, before: Timestamp, period: std::time::Duration) -> Timestamp {
    after(before, period).max(after(*began, metric.delay))
}
