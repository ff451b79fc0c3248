//! One check: hooks are asked, metrics are judged, failures are counted.

use super::super::event::{Bound, Breach};
use super::super::settings::{MetricCheck, MetricSource, NoData};
use super::*;

/// What the hooks of one moment said together.
pub(super) enum Said {
    Yes,
    No { name: smol_str::SmolStr, body: String, is_muted: bool },
}

/// How a check ended.
pub(super) enum Checked {
    Passed,
    Failed(Event),
    /// Nothing is known, and that counts neither way.
    Silent(Event),
}

impl Course<'_> {
    /// Any yes of a rollback hook is a yes.
    pub(super) fn rollback_wanted(&mut self, check: u32) -> Step<Option<Why>> {
        let hooks: Vec<_> = self.settings.hooks(HookType::Rollback).cloned().collect();
        for hook in hooks {
            if self.answer(HookType::Rollback, &hook.name, check)? == HookAnswer::Passed {
                self.tell(Event::HookPassed(HookType::Rollback, hook.name.clone()));
                self.alert(Severity::Warn, &Event::RollbackAsked);
                self.tell(Event::RollbackAsked);
                return Ok(Some(Why::Hook(hook.name)));
            }
        }
        Ok(None)
    }

    /// One after the other, as Flagger does: after a no the others are not asked.
    pub(super) fn ask_all(&mut self, moment: HookType, check: u32) -> Step<Said> {
        let hooks: Vec<_> = self.settings.hooks(moment).cloned().collect();
        let mut passed = Vec::new();
        for hook in hooks {
            match self.answer(moment, &hook.name, check)? {
                HookAnswer::Passed => passed.push(hook.name),
                HookAnswer::Refused(body) => {
                    return Ok(Said::No { name: hook.name, body: short(&body), is_muted: hook.is_muted });
                }
            }
        }
        if moment != HookType::Rollout {
            self.events.extend(passed.into_iter().map(|name| Event::HookPassed(moment, name)));
        }
        Ok(Said::Yes)
    }

    pub(super) fn verdict(&mut self, run: &Run) -> Step<Checked> {
        let is_first = run.iterations == 0 && self.record.route.split == Split::PRIMARY_ONLY;
        let moment = if is_first { HookType::PreRollout } else { HookType::Rollout };
        if is_first {
            self.tell(Event::Starting);
        }
        if let Said::No { name, body, .. } = self.ask_all(moment, run.check)? {
            return Ok(Checked::Failed(Event::HookRefused { moment, name, body }));
        }
        if is_first || self.settings.metrics.is_empty() {
            return Ok(Checked::Passed);
        }
        let readings = self.readings(run.check)?;
        let mut silent = None;
        for (at, metric) in self.settings.metrics.iter().enumerate() {
            // A reading that is not there is no success.
            let missing = Reading::NoData("not measured".into());
            match self.judge(metric, readings.get(at).unwrap_or(&missing)) {
                Checked::Passed => {}
                Checked::Silent(event) => drop(silent.get_or_insert(event)),
                failed @ Checked::Failed(_) => return Ok(failed),
            }
        }
        Ok(silent.map_or(Checked::Passed, Checked::Silent))
    }

    fn judge(&self, metric: &MetricCheck, reading: &Reading) -> Checked {
        let name = metric.name.clone();
        let value = match reading {
            Reading::Error(why) => {
                let metric = (metric.source != MetricSource::BuiltIn).then_some(name);
                return Checked::Failed(Event::QueryFailed { metric, why: short(why) });
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
                };
            }
        };
        let compared = |number: f64| {
            let in_milliseconds = metric.source == MetricSource::BuiltIn && metric.name == "request-duration";
            if in_milliseconds { number.trunc() } else { number }
        };
        let breach = |bound| Checked::Failed(Event::OutOfBounds(Breach { metric: name.clone(), value, bound }));
        match (metric.min, metric.max) {
            (Some(min), _) if compared(value) < compared(min) => breach(Bound::Min(min)),
            (_, Some(max)) if compared(value) > compared(max) => breach(Bound::Max(max)),
            _ => Checked::Passed,
        }
    }

    pub(super) fn fail_check(&mut self, mut run: Run, event: Event) {
        let what = match &event {
            Event::OutOfBounds(breach) => breach.to_string(),
            other => other.message(&self.settings.subject),
        };
        let last = format!("{} at weight {}", short(&what), self.record.route.split.canary);
        self.tell(event);
        self.record.told.clear();
        (run.since, run.check, run.failed_checks) = (self.now, run.check + 1, run.failed_checks + 1);
        self.record.state = State::Analysing(run.clone());
        if run.failed_checks >= self.settings.threshold {
            let event = Event::ThresholdReached(run.failed_checks);
            self.alert(Severity::Error, &event);
            self.tell(event);
            self.turn_back(run.versions, Why::Checks(last));
            return;
        }
        self.wake_at(after(self.now, self.settings.interval));
    }

    /// No data, and the user wants that to count as nothing: the weight is held for as long as a workload may be
    /// unready, then a person decides.
    pub(super) fn hold_silent(&mut self, mut run: Run, event: Event) {
        let since = *run.silent.get_or_insert(self.now);
        (run.since, run.check) = (self.now, run.check + 1);
        self.waits_for = Some("data of a metric".into());
        self.tell_once(event);
        if self.now >= after(since, self.settings.deadline) && run.hold != Hold::Paused {
            (run.hold, run.silent) = (Hold::Paused, None);
            let event = Event::Paused(self.record.route.split.canary);
            self.alert(Severity::Warn, &event);
            self.tell(event);
            self.waits_for = Some("a person to resume or abort it: its metrics have no data".into());
        }
        self.wake_at(after(self.now, self.settings.interval));
        self.record.state = State::Analysing(run);
    }
}
