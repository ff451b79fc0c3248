//! A version is tried: asked about, scaled up, given traffic step by step, measured at each.

use sha2::{Digest as _, Sha256};

use super::super::Copies;
use super::super::record::{Candidate, Cookies};
use super::super::settings::{self, Strategy};
use super::check::{Checked, Said, UNDECIDED};
use super::*;

impl Course<'_> {
    /// A new version while nothing is tried.
    pub(super) fn consider(&mut self, target: &Target, rest: Rest) -> Step {
        if self.was_promoted(&target.revision) {
            self.go_back(target, rest.versions.promoted);
            return Ok(());
        }
        // A primary that only rolls is waited for; one that stays broken must not keep its cure away.
        if !self.settings.skip_analysis
            && let Some(primary) = &self.world.primary
            && let Some(missing) = self.primary_missing(primary)
        {
            let since = rest.unready.unwrap_or(self.now);
            let deadline = after(since, self.settings.deadline);
            if self.now < deadline {
                self.tell_once(Event::PrimaryNotReady(missing));
                self.waits_for = Some("the primary to be ready".into());
                self.wake_at(deadline);
                self.record.state = State::Resting(Rest { unready: Some(since), ..rest });
                return Ok(());
            }
        }
        match self.ask_all(HookType::ConfirmRollout, 0)? {
            Said::Yes => self.start(target, rest.versions.promoted),
            Said::No { name, body, is_muted } => {
                self.halt(HookType::ConfirmRollout, name, body, is_muted);
                self.wake_at(after(self.now, self.settings.interval));
                let revision = target.revision.clone();
                self.record.state =
                    State::Waiting(Candidate { revision, versions: rest.versions, since: self.now, check: 1 });
                self.want(Split::PRIMARY_ONLY);
            }
        }
        Ok(())
    }

    /// A version waits for approval; a newer one takes its place.
    pub(super) fn wait_for_approval(&mut self, target: &Target, mut candidate: Candidate) -> Step {
        if self.went_back(target, &candidate.versions) {
            return Ok(());
        }
        if self.was_promoted(&target.revision) {
            self.go_back(target, candidate.versions.promoted);
            return Ok(());
        }
        if target.revision != candidate.revision {
            candidate.revision = target.revision.clone();
            self.record.state = State::Waiting(candidate.clone());
        }
        self.replace_lost_primary(&candidate.versions.promoted);
        self.route_stands();
        let due = after(candidate.since, self.settings.interval);
        self.wake_at(due);
        self.waits_for = Some("approval of the roll-out".into());
        if self.now < due {
            return Ok(());
        }
        if let Some(why) = self.rollback_wanted(candidate.check)? {
            let versions = Versions { applied: candidate.revision, promoted: candidate.versions.promoted };
            self.fail(versions, why);
            return Ok(());
        }
        match self.ask_all(HookType::ConfirmRollout, candidate.check)? {
            Said::Yes => self.start(target, candidate.versions.promoted),
            Said::No { name, body, is_muted } => {
                self.halt(HookType::ConfirmRollout, name, body, is_muted);
                self.wake_at(after(self.now, self.settings.interval));
                let check = candidate.check + 1;
                self.record.state = State::Waiting(Candidate { since: self.now, check, ..candidate });
            }
        }
        Ok(())
    }

    /// A run begins.
    pub(super) fn start(&mut self, target: &Target, promoted: Revision) {
        self.alert(Severity::Info, &Event::NewRevision);
        self.tell(Event::NewRevision);
        self.record.told.clear();
        self.begin_run(target, promoted);
        self.want(Split::PRIMARY_ONLY);
    }

    fn begin_run(&mut self, target: &Target, promoted: Revision) {
        self.record.configs = target.configs.clone();
        let versions = Versions { applied: target.revision.clone(), promoted };
        let replicas = match &self.settings.strategy {
            // The first thing that is wanted need not be undone first.
            Strategy::Steps(steps) => match steps.first() {
                Some(settings::Step::Scale(scale)) => Some(scale.beside(self.primary_replicas())),
                _ => None,
            },
            _ => None,
        };
        self.record.state = State::Analysing(Run { replicas, ..Run::new(versions, self.now) });
        self.wake_at(after(self.now, self.settings.interval));
    }

    /// A primary that somebody deleted serves nobody: it is made again as it was, whatever is tried beside it.
    fn replace_lost_primary(&mut self, promoted: &Revision) {
        if self.world.primary.is_none() {
            self.actions.push(Action::RestorePrimary(promoted.clone()));
        }
    }

    /// One look at a run.
    pub(super) fn analyse(&mut self, target: &Target, mut run: Run) -> Step {
        if self.went_back(target, &run.versions) {
            return Ok(());
        }
        if target.revision != run.versions.applied {
            return self.restart(target, run);
        }
        let wanted = run.replicas.unwrap_or_else(|| self.replicas_for(target));
        if self.settings.subject.kind.is_scaled() && target.workload.replicas != wanted {
            // A workload that shall have no pods is complete, and not ready to be tried.
            self.actions.push(Action::ScaleTarget(wanted));
            self.waits_for = Some("the canary to be scaled".into());
            return Ok(());
        }
        self.replace_lost_primary(&run.versions.promoted);
        if self.measure_background(&run)? {
            return Ok(());
        }
        let due = after(run.since, self.settings.interval);
        if let Some(missing) = self.canary_missing(target) {
            return self.endure(target, run, missing, due);
        }
        if run.unready.take().is_some() {
            self.record.told.clear();
        }
        self.record.state = State::Analysing(run.clone());
        if !self.route_stands() {
            return Ok(());
        }
        if self.settings.skip_analysis {
            self.begin_promotion(run, true);
            return Ok(());
        }
        if self.now < due {
            self.wake_at(due);
            self.waits_for = Some(match (run.hold, &*self.record.told) {
                (Hold::Paused, _) if run.inconclusive > 0 => UNDECIDED.into(),
                (Hold::Paused, _) => "a person to resume it".into(),
                (_, "") => "the next check".into(),
                (_, told) => format!("the next check: {told}"),
            });
            return Ok(());
        }
        self.check(run)
    }

    /// The canary is not ready: no check is made, and none counts; only the deadline does.
    fn endure(&mut self, target: &Target, mut run: Run, missing: String, due: Timestamp) -> Step {
        let since = *run.unready.get_or_insert(self.now);
        if self.is_past(since, &target.workload) {
            let event = Event::DeadlineExceeded(missing.clone());
            self.alert(Severity::Error, &event);
            self.tell(event);
            self.turn_back(run.versions, Why::Deadline(short(&missing)));
            return Ok(());
        }
        if self.now >= due {
            if let Some(why) = self.rollback_wanted(run.check)? {
                self.turn_back(run.versions, why);
                return Ok(());
            }
            self.tell_once(Event::CanaryNotReady(missing));
            (run.since, run.check) = (self.now, run.check + 1);
        }
        self.wake_at(after(run.since, self.settings.interval));
        self.waits_for = Some("the canary to be ready".into());
        self.record.state = State::Analysing(run);
        self.route_stands();
        Ok(())
    }

    /// Another version amid a run: traffic goes back, as slowly as a promotion would, then it begins anew.
    fn restart(&mut self, target: &Target, mut run: Run) -> Step {
        self.replace_lost_primary(&run.versions.promoted);
        let weight = self.record.route.split.canary;
        let by_weights = matches!(self.settings.strategy, Strategy::Weights(_) | Strategy::Steps(_));
        if let Some(step) = self.settings.promotion_step.filter(|_| by_weights && weight > Weight::NONE) {
            let due = after(run.since, self.settings.interval);
            if self.route_stands() && self.now >= due {
                let split = Split::to_canary(weight.lowered_by(step));
                self.want(split);
                self.tell(Event::PrimaryAdvanced(split.primary()));
                run.since = self.now;
                self.route_stands();
            }
            self.wake_at(after(run.since, self.settings.interval));
            self.waits_for = Some("traffic to be back on the primary, for a newer version".into());
            self.record.state = State::Analysing(run);
            return Ok(());
        }
        self.want(Split::PRIMARY_ONLY);
        if !self.route_stands() {
            self.record.state = State::Analysing(run);
            return Ok(());
        }
        self.record.told.clear();
        if self.was_promoted(&target.revision) {
            self.go_back(target, run.versions.promoted);
            return Ok(());
        }
        match self.ask_all(HookType::ConfirmRollout, run.check)? {
            Said::Yes => {
                self.tell(Event::Restarted);
                self.begin_run(target, run.versions.promoted);
            }
            Said::No { name, body, is_muted } => {
                self.halt(HookType::ConfirmRollout, name, body, is_muted);
                let revision = target.revision.clone();
                let check = run.check + 1;
                self.wake_at(after(self.now, self.settings.interval));
                self.record.state =
                    State::Waiting(Candidate { revision, versions: run.versions, since: self.now, check });
            }
        }
        Ok(())
    }

    /// An interval has passed and the canary is ready: ask, measure, then go a step.
    fn check(&mut self, mut run: Run) -> Step {
        if let Some(why) = self.rollback_wanted(run.check)? {
            self.turn_back(run.versions, why);
            return Ok(());
        }
        match self.verdict(&mut run)? {
            Checked::Failed(event) => {
                self.fail_check(run, event);
                return Ok(());
            }
            Checked::Silent(event) => {
                self.hold_silent(run, event);
                return Ok(());
            }
            Checked::Inconclusive(event) => {
                self.hold_inconclusive(run, event);
                return Ok(());
            }
            Checked::Passed => {
                if std::mem::take(&mut run.unanswered) {
                    self.tell(Event::MeasuredAgain);
                }
                if run.silent.take().is_some() || std::mem::take(&mut run.inconclusive) > 0 {
                    self.record.told.clear();
                }
            }
        }
        let check = run.check;
        (run.since, run.check) = (self.now, run.check + 1);
        self.wake_at(after(self.now, self.settings.interval));
        if run.hold == Hold::Paused {
            self.waits_for = Some("a person to resume it".into());
            self.record.state = State::Analysing(run);
            return Ok(());
        }
        match self.settings.strategy.clone() {
            Strategy::Weights(weights) => self.step_weights(&weights, run, check),
            Strategy::AbTest { iterations } => self.step_ab(iterations, run, check),
            Strategy::BlueGreen { iterations, mirrors } => self.step_blue_green(iterations, mirrors, run, check),
            Strategy::Steps(steps) => self.step_steps(&steps, run, check),
        }
    }

    fn step_weights(&mut self, weights: &settings::Weights, run: Run, check: u32) -> Step {
        let split = self.record.route.split;
        if weights.mirrors && split == Split::PRIMARY_ONLY {
            self.lead(run, Split { mirrored: Copies::Configured, ..Split::PRIMARY_ONLY });
            return Ok(());
        }
        if split.mirrored == Copies::None && run.hold != Hold::Promotion && self.holds_traffic(&run, check)? {
            return Ok(());
        }
        if split.canary >= weights.max {
            return self.finish_run(run, check);
        }
        self.lead(run, Split::to_canary(weights.after(split.canary)));
        Ok(())
    }

    fn step_steps(&mut self, steps: &[settings::Step], mut run: Run, check: u32) -> Step {
        let at = usize::try_from(run.step).unwrap_or(usize::MAX);
        match steps.get(at) {
            None => {
                let full = self.primary_replicas();
                if run.replicas.is_some_and(|replicas| replicas != full) {
                    // From here on it may have to serve alone.
                    self.scale(run, full);
                    return Ok(());
                }
                return self.finish_run(run, check);
            }
            Some(settings::Step::Analysis(of)) => {
                run.passed += 1;
                self.tell(Event::Iterated { done: run.passed, of: *of });
                if run.passed >= *of {
                    (run.passed, run.step) = (0, run.step + 1);
                    self.record.state = State::Analysing(run.clone());
                    return self.step_steps(steps, run, check);
                }
                self.record.state = State::Analysing(run);
            }
            Some(settings::Step::Scale(scale)) => {
                run.step += 1;
                let wanted = scale.beside(self.primary_replicas());
                if run.replicas == Some(wanted) {
                    self.record.state = State::Analysing(run.clone());
                    return self.step_steps(steps, run, check);
                }
                self.scale(run, wanted);
            }
            Some(settings::Step::Job(name)) => match self.answer(HookType::Job, name, check)? {
                HookAnswer::Passed => {
                    self.tell(Event::HookPassed(HookType::Job, name.clone()));
                    run.step += 1;
                    self.record.state = State::Analysing(run.clone());
                    return self.step_steps(steps, run, check);
                }
                HookAnswer::Refused(body) => {
                    let event = Event::HookRefused { moment: HookType::Job, name: name.clone(), body: short(&body) };
                    self.fail_check(Run { check, ..run }, event);
                }
            },
            Some(settings::Step::Weight(weight)) => {
                if self.holds_traffic(&run, check)? {
                    return Ok(());
                }
                run.step += 1;
                self.lead(run, Split { canary: *weight, ..self.record.route.split });
            }
            Some(settings::Step::Mirror(share)) => {
                run.step += 1;
                self.tell(Event::Mirrored(*share));
                self.record.state = State::Analysing(run);
                self.lead_on(Split { mirrored: Copies::share(*share), ..self.record.route.split });
            }
            Some(settings::Step::Header(header)) => {
                if header.is_some() && self.holds_traffic(&run, check)? {
                    return Ok(());
                }
                run.step += 1;
                self.tell(Event::Led(*header));
                self.record.state = State::Analysing(run);
                self.lead_on(Split { header: *header, ..self.record.route.split });
            }
            Some(settings::Step::Pause(length)) => {
                let since = if let Hold::Step(since) = run.hold { since } else { self.now };
                run.hold = Hold::Step(since);
                let end = length.map(|length| after(since, length));
                if end.is_some_and(|end| self.now >= end) {
                    (run.hold, run.step) = (Hold::Free, run.step + 1);
                    self.record.state = State::Analysing(run.clone());
                    return self.step_steps(steps, run, check);
                }
                if let Some(end) = end {
                    self.wake_at(end);
                }
                self.tell_once(Event::Paused(self.record.route.split.canary));
                self.waits_for = Some(if end.is_some() { "a pause to end" } else { "a person to promote it" }.into());
                self.record.state = State::Analysing(run);
            }
        }
        Ok(())
    }

    fn step_ab(&mut self, iterations: u32, mut run: Run, check: u32) -> Step {
        if run.iterations >= iterations {
            return self.finish_run(run, check);
        }
        run.iterations += 1;
        self.tell(Event::Iterated { done: run.iterations, of: iterations });
        self.record.state = State::Analysing(run);
        self.lead_on(Split::CANARY_ONLY);
        Ok(())
    }

    fn step_blue_green(&mut self, iterations: u32, mirrors: bool, mut run: Run, check: u32) -> Step {
        if run.iterations < iterations {
            run.iterations += 1;
            self.tell(Event::Iterated { done: run.iterations, of: iterations });
            self.record.state = State::Analysing(run);
            let mirrored = if mirrors { Copies::Configured } else { Copies::None };
            self.lead_on(Split { mirrored, ..Split::PRIMARY_ONLY });
            return Ok(());
        }
        if run.iterations == iterations {
            if self.holds_promotion(&run, check)? {
                return Ok(());
            }
            if self.settings.has_route() {
                self.tell(Event::RoutingToCanary);
            }
            (run.iterations, run.hold) = (run.iterations + 1, Hold::Free);
            self.record.state = State::Analysing(run);
            if self.settings.has_route() {
                self.lead_on(Split::CANARY_ONLY);
            }
            return Ok(());
        }
        self.finish_run(run, check)
    }

    /// The canary gets this share from now on.
    fn lead(&mut self, run: Run, split: Split) {
        self.tell(Event::Advanced(split.canary));
        self.record.state = State::Analysing(run);
        self.lead_on(split);
    }

    fn lead_on(&mut self, split: Split) {
        self.record.told.clear();
        self.want(split);
        if split.canary > Weight::NONE {
            self.bake_cookies();
        }
        self.route_stands();
    }

    /// All steps are done: what is left is the approval.
    fn finish_run(&mut self, run: Run, check: u32) -> Step {
        if !self.holds_promotion(&run, check)? {
            self.begin_promotion(run, false);
        }
        Ok(())
    }

    fn holds_promotion(&mut self, run: &Run, check: u32) -> Step<bool> {
        let Said::No { name, body, is_muted } = self.ask_all(HookType::ConfirmPromotion, check)? else {
            return Ok(false);
        };
        self.halt(HookType::ConfirmPromotion, name, body, is_muted);
        self.record.state = State::Analysing(Run { hold: Hold::Promotion, ..run.clone() });
        Ok(true)
    }

    fn holds_traffic(&mut self, run: &Run, check: u32) -> Step<bool> {
        let said = self.ask_all(HookType::ConfirmTrafficIncrease, check)?;
        let Said::No { name, body, is_muted } = said else { return Ok(false) };
        self.halt(HookType::ConfirmTrafficIncrease, name, body, is_muted);
        self.record.state = State::Analysing(run.clone());
        Ok(true)
    }

    /// A gate is shut: told and alerted once, not at each look.
    fn halt(&mut self, moment: HookType, name: smol_str::SmolStr, body: String, is_muted: bool) {
        let event = Event::HookRefused { moment, name, body };
        self.waits_for = Some(event.message(&self.settings.subject));
        if self.tell_once(event.clone()) && !is_muted {
            self.alert(Severity::Warn, &event);
        }
    }

    /// The canary gets so many pods; the next check waits until they are ready.
    fn scale(&mut self, run: Run, replicas: u32) {
        self.tell(Event::Scaled(replicas));
        self.record.told.clear();
        self.actions.push(Action::ScaleTarget(replicas));
        self.waits_for = Some("the canary to be scaled".into());
        self.record.state = State::Analysing(Run { replicas: Some(replicas), ..run });
    }

    fn primary_replicas(&self) -> u32 {
        self.world.primary.as_ref().map_or(1, |primary| primary.replicas).max(1)
    }

    /// What the target is scaled up to: its own number, else the primary's, else its scaler's least, else one.
    fn replicas_for(&self, target: &Target) -> u32 {
        if target.workload.replicas > 0 {
            return target.workload.replicas;
        }
        let known = match (&self.world.primary, self.settings.has_scaler) {
            (Some(primary), false) => Some(primary.replicas),
            (_, true) => self.world.scaler_minimum.filter(|least| *least > 1),
            (None, false) => None,
        };
        known.unwrap_or(1).max(1)
    }

    /// Values of the run's cookies. They need not be secret, only new: so they are made of what makes the run.
    fn bake_cookies(&mut self) {
        let Some(affinity) = &self.settings.affinity else { return };
        let State::Analysing(run) = &self.record.state else { return };
        if !self.record.cookies.canary.is_empty() {
            return;
        }
        let value = |of: &str| -> String {
            let mut hash = Sha256::new();
            let subject = &self.settings.subject;
            let (name, namespace) = (&subject.name, &subject.namespace);
            hash.update(format!("{of}\n{namespace}/{name}\n{}\n{}", run.versions.applied, run.started));
            hash.finalize().iter().take(10).map(|byte| char::from(b'a' + byte % 26)).collect()
        };
        let primary = affinity.primary_cookie_name.as_deref();
        self.record.cookies = Cookies {
            canary: format!("{}={}", affinity.cookie_name, value("canary")),
            primary: primary.map(|name| format!("{name}={}", value("primary"))).unwrap_or_default(),
            previous: std::mem::take(&mut self.record.cookies.previous),
        };
    }
}
