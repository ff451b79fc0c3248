//! One check: hooks are asked, failures are counted.

use super::super::settings::{self, Strategy};
use super::*;

/// What is waited for when inconclusive checks bring a person.
pub(super) const UNDECIDED: &str = "a person to resume or abort it: its metrics are inconclusive";

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
    /// What is known says neither, and that counts neither way.
    Inconclusive(Event),
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

    pub(super) fn verdict(&mut self, run: &mut Run) -> Step<Checked> {
        let has_traffic = self.has_traffic(run);
        let is_first = !has_traffic && run.step == 0 && !matches!(run.hold, Hold::Step(_));
        if is_first && !self.was_halted_before_traffic() {
            self.tell(Event::Starting);
        }
        if is_first || has_traffic {
            let moment = if is_first { HookType::PreRollout } else { HookType::Rollout };
            if let Said::No { name, body, .. } = self.ask_all(moment, run.check)? {
                return Ok(Checked::Failed(Event::HookRefused { moment, name, body }));
            }
        }
        if has_traffic || self.counts_checks(run) { self.measure(run) } else { Ok(Checked::Passed) }
    }

    /// True when the last check got as far as the gate before the first traffic: it is told no more how that began.
    fn was_halted_before_traffic(&self) -> bool {
        let moment = HookType::ConfirmTrafficIncrease;
        self.settings.hooks(moment).any(|hook| {
            let event = Event::HookRefused { moment, name: hook.name.clone(), body: String::new() };
            self.record.told == short(&event.message(&self.settings.subject))
        })
    }

    /// True at a step that is there to be measured, with traffic or without.
    fn counts_checks(&self, run: &Run) -> bool {
        let Strategy::Steps(steps) = &self.settings.strategy else { return false };
        let step = usize::try_from(run.step).ok().and_then(|at| steps.get(at));
        matches!(step, Some(settings::Step::Analysis(_)))
    }

    /// True when the canary has answered, or could have.
    pub(super) fn has_traffic(&self, run: &Run) -> bool {
        matches!(self.record.state, State::Verifying(_))
            || run.iterations > 0
            || self.record.route.split != Split::PRIMARY_ONLY
    }

    pub(super) fn fail_check(&mut self, mut run: Run, event: Event) {
        (run.since, run.check, run.inconclusive) = (self.now, run.check + 1, 0);
        self.record.told.clear();
        self.count_failure(run, event);
        if self.record.run().is_some() {
            self.wake_at(after(self.now, self.settings.interval));
        }
    }

    /// One more has failed; too many end the run.
    pub(super) fn count_failure(&mut self, mut run: Run, event: Event) {
        let what = match &event {
            Event::OutOfBounds(breach) => breach.to_string(),
            other => other.message(&self.settings.subject),
        };
        let last = match self.record.state {
            State::Verifying(_) => format!("{} after the promotion", short(&what)),
            _ => format!("{} at weight {}", short(&what), self.record.route.split.canary),
        };
        run.unanswered |= matches!(event, Event::QueryFailed { .. });
        self.tell(event);
        run.failed_checks += 1;
        self.keep(run.clone());
        if run.failed_checks >= self.settings.threshold {
            let event = Event::ThresholdReached(run.failed_checks);
            self.alert(Severity::Error, &event);
            self.tell(event);
            self.turn_back(run.versions, Why::Checks(last));
        }
    }

    /// No data, and the user wants that to count as nothing: the weight is held for as long as a workload may be
    /// unready, then a person decides.
    pub(super) fn hold_silent(&mut self, mut run: Run, event: Event) {
        let since = *run.silent.get_or_insert(self.now);
        run.unanswered |= matches!(event, Event::QueryFailed { .. });
        (run.since, run.check, run.inconclusive) = (self.now, run.check + 1, 0);
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

    /// Neither good nor bad: the weight is held, for so many checks in a row; then a person decides.
    pub(super) fn hold_inconclusive(&mut self, mut run: Run, event: Event) {
        (run.since, run.check, run.inconclusive) = (self.now, run.check + 1, run.inconclusive + 1);
        self.waits_for = Some("a metric to be good or bad".into());
        self.tell_once(event);
        if run.inconclusive >= self.settings.inconclusive_limit {
            self.waits_for = Some(UNDECIDED.into());
            if run.hold != Hold::Paused {
                run.hold = Hold::Paused;
                let event = Event::Undecided(run.inconclusive, self.record.route.split.canary);
                self.alert(Severity::Warn, &event);
                self.tell(event);
            }
        }
        self.wake_at(after(self.now, self.settings.interval));
        self.record.state = State::Analysing(run);
    }
}
