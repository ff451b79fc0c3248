//! Nothing is tried: the primary is made, what was generated is kept as it should be, the canary goes away.

use super::*;

impl Course<'_> {
    /// Makes everything that stands beside the target. The target serves until the primary does.
    pub(super) fn initialize(&mut self, target: &Target, unready: Option<Timestamp>) {
        self.stand(Part::Services, Action::EnsureServices);
        let is_serving = self.world.standing.contains(&Part::Apex);
        let primary = self.world.primary.as_ref();
        // Until traffic goes to it, the primary follows the target.
        let Some(primary) = primary.filter(|it| is_serving || it.revision.as_ref() == Some(&target.revision)) else {
            self.actions.push(Action::MakePrimary(target.revision.clone()));
            self.waits_for = Some("the primary to be made".into());
            return;
        };
        if !self.settings.skip_analysis
            && let Some(missing) = self.primary_missing(primary)
        {
            let since = unready.unwrap_or(self.now);
            self.record.state = State::Initializing { unready: Some(since) };
            self.tell_once(Event::PrimaryNotReady(missing.clone()));
            self.waits_for = Some("the primary to be ready".into());
            if self.is_past(since, primary) {
                let why = short(&missing);
                self.alert(Severity::Error, &Event::InitializationFailed(missing.clone()));
                self.tell(Event::InitializationFailed(missing));
                self.record.state = State::Stillborn { revision: target.revision.clone(), why };
            }
            return;
        }
        self.record.state = State::Initializing { unready: None };
        if self.settings.has_scaler {
            self.stand(Part::PrimaryScaler, Action::EnsurePrimaryScaler);
        }
        if primary.endpoints == 0 && self.settings.subject.kind.is_scaled() {
            self.waits_for = Some("an endpoint of the primary".into());
            return;
        }
        if !self.stand(Part::Apex, Action::LeadApexToPrimary) || !self.route_stands() {
            self.waits_for.get_or_insert_with(|| "the apex Service to lead to the primary".into());
            return;
        }
        if self.settings.subject.kind.is_scaled() && target.workload.replicas > 0 {
            self.actions.push(Action::ScaleTarget(0));
            self.waits_for = Some("the target to be scaled down".into());
            return;
        }
        // What is promoted is what the primary was made from, also when the target has moved on meanwhile.
        let serving = primary.revision.clone().unwrap_or_else(|| target.revision.clone());
        self.record.configs = target.configs.clone();
        self.alert(Severity::Info, &Event::Initialized);
        self.tell(Event::Initialized);
        self.come_to_rest(Versions { applied: serving.clone(), promoted: serving }, Outcome::Initialized);
    }

    /// The target serves as before; another version is another try.
    pub(super) fn stay_unborn(&mut self, target: &Target, revision: &Revision) {
        let is_ready = self.world.primary.as_ref().is_some_and(|primary| self.primary_missing(primary).is_none());
        if target.revision != *revision || is_ready {
            self.record.state = State::Initializing { unready: None };
            self.record.told.clear();
            return self.initialize(target, None);
        }
        self.waits_for = Some("a new version: the primary could not be made".into());
    }

    /// Nothing is tried: drift of what is generated is repaired, and a new version starts a run.
    pub(super) fn rest(&mut self, target: &Target, rest: Rest) -> Step {
        let rest = self.say_farewell(rest)?;
        let primary = self.world.primary.as_ref();
        self.stand(Part::Services, Action::EnsureServices);
        if primary.is_none() {
            // Only the target has a template to make it from, and it may be one that was never promoted.
            let promoted = rest.versions.promoted;
            let is_there = target.revision == promoted;
            self.actions.push(if is_there { Action::MakePrimary(promoted) } else { Action::RestorePrimary(promoted) });
            self.waits_for = Some("the primary, which was deleted, to be made again".into());
            return Ok(());
        }
        if target.revision != rest.versions.applied {
            if matches!(rest.outcome, Outcome::Stranded(_)) {
                // First the primary gets back what it could run.
                self.turn_back(rest.versions, Why::WentBack);
                return Ok(());
            }
            if target.revision != rest.versions.promoted {
                return self.consider(target, rest);
            }
            // Git went back to what the primary has: nothing to try, and nothing that has failed.
            self.record.configs = target.configs.clone();
            let promoted = rest.versions.promoted;
            self.come_to_rest(Versions { applied: promoted.clone(), promoted }, Outcome::Succeeded);
            return Ok(());
        }
        if rest.unready.is_some() {
            self.record.state = State::Resting(Rest { unready: None, ..rest.clone() });
        }
        if self.settings.has_scaler {
            self.stand(Part::PrimaryScaler, Action::EnsurePrimaryScaler);
        }
        self.stand(Part::Apex, Action::LeadApexToPrimary);
        let follows_git = self.settings.subject.kind.is_scaled() && !self.settings.has_scaler;
        let wanted = target.wanted_replicas;
        if follows_git && wanted > 0 && primary.is_some_and(|primary| primary.replicas != wanted) {
            self.actions.push(Action::ScalePrimary(wanted));
        }
        if self.route_stands()
            && self.settings.subject.kind.is_scaled()
            && target.workload.replicas > 0
            && !matches!(rest.outcome, Outcome::Stranded(_))
        {
            self.actions.push(Action::ScaleTarget(0));
        }
        Ok(())
    }

    /// The hooks that are told how a run ended: once, also when it takes several tries to get there.
    fn say_farewell(&mut self, rest: Rest) -> Step<Rest> {
        let Farewell::Owed { skipped } = rest.farewell else { return Ok(rest) };
        let hooks: Vec<_> = self.settings.hooks(HookType::PostRollout).cloned().collect();
        for hook in hooks {
            match self.answer(HookType::PostRollout, &hook.name, 0)? {
                HookAnswer::Passed => self.tell(Event::HookPassed(HookType::PostRollout, hook.name)),
                HookAnswer::Refused(body) => {
                    self.tell(Event::HookRefused { moment: HookType::PostRollout, name: hook.name, body });
                    break;
                }
            }
        }
        if rest.outcome == Outcome::Succeeded {
            let event = if skipped { Event::PromotedUnchecked } else { Event::Promoted };
            self.alert(Severity::Info, &event);
            self.tell(event);
        }
        if rest.outcome == Outcome::RolledBack {
            let event = Event::IsBack(rest.versions.promoted.clone());
            self.alert(Severity::Info, &event);
            self.tell(event);
        }
        let rest = Rest { farewell: Farewell::Told, ..rest };
        self.record.state = State::Resting(rest.clone());
        Ok(rest)
    }

    /// Going away: the target serves again before anything that leads to it is changed.
    pub(super) fn terminate(&mut self) {
        if !self.settings.revert_on_deletion {
            self.waits_for = Some("the garbage collector to take what was generated".into());
            return;
        }
        if self.record.state != State::Terminating {
            self.record.state = State::Terminating;
            self.tell(Event::Terminating);
        }
        let Sighting::Seen(target) = &self.world.target else {
            // Nothing is left that traffic could go back to.
            self.tell(Event::Terminated);
            self.actions.push(Action::RemoveFinalizer);
            return;
        };
        if self.settings.subject.kind.is_scaled() {
            let replicas = self.world.primary.as_ref().map_or(target.wanted_replicas, |it| it.replicas).max(1);
            if target.workload.replicas == 0 {
                self.actions.push(Action::ScaleTarget(replicas));
            }
            if target.workload.replicas == 0 || target.workload.endpoints == 0 || self.canary_missing(target).is_some()
            {
                self.waits_for = Some("the target to be ready to serve again".into());
                return;
            }
        }
        self.tell(Event::Terminated);
        self.actions.extend([Action::LeadBackToTarget, Action::RemoveFinalizer]);
    }
}
