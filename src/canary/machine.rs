//! The state machine of a canary: what is done now, and where it stands then.
//!
//! **In:** [`Settings`], [`Record`], [`World`], the time. **Out:** a [`Decision`]. **May not:** wait, read a clock, do
//! I/O: equal inputs give equal decisions.
//!
//! The contract with the shell: decide; save the decision's record; then do its actions in their order, and decide again
//! as soon as the world has changed, or at [`Decision::wake`]. A record that was saved is never taken back: what is done
//! follows from where it stands and what is seen, so that each action can be done twice, and a crash between any two of
//! them loses nothing. [`Action::Ask`] is answered in [`World::answers`], which are dropped with the first decision that
//! asks nothing; until then the record stays as it was.
//!
//! Semantics: docs/canary.md. Read [`decide`], then [`analysis`] (a version is tried), [`promotion`] (it is taken over, or
//! rolled back) and [`traffic`] (what may be routed where).

mod analysis;
mod promotion;
mod traffic;

use jiff::Timestamp;

use super::event::{Alert, Event};
use super::record::{
    Drain, Farewell, Hold, Outcome, Promotion, Record, Rest, RollBack, Run, State, Versions, Why, short,
};
use super::settings::Settings;
use super::status::{self, Problem};
use super::world::{
    HookAnswer, Part, Question, Reading, Route, RouterProblem, Sighting, Target, WishKind, Workload, World, after,
};
use super::{Revision, Split, Weight};
use crate::api::flagger::{CanaryStatus, HookType, Severity};

/// What is done; each can be done twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make or repair the Services of canary and primary.
    EnsureServices,
    /// Make the primary from the target, with copies of its configs; in place of one that never served.
    MakePrimary(Revision),
    /// Make or repair the primary's scaler.
    EnsurePrimaryScaler,
    /// Lead the apex Service to the primary.
    LeadApexToPrimary,
    /// Make the route, or change it.
    SetRoute(Split),
    /// Scale the target; 0 pauses its KEDA scaler first, more resumes it.
    ScaleTarget(u32),
    /// Scale the primary as git says.
    ScalePrimary(u32),
    /// Copy the configs, then the target's template, to the primary. Only when the target has this version.
    Promote(Revision),
    /// Give the primary back the template of this version.
    RestorePrimary(Revision),
    /// Ask, and answer in the world.
    Ask(Question),
    /// Take the annotation of a person's wish away.
    ClearWish,
    /// Lead the apex Service and the route back to the target.
    LeadBackToTarget,
    /// Let the Canary go.
    RemoveFinalizer,
}

/// What is done now, and where the canary stands then.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// To be saved first.
    pub record: Record,
    /// What Flagger's clients read; saved with the record.
    pub status: CanaryStatus,
    /// Then, in this order.
    pub actions: Vec<Action>,
    /// To be told when the record is saved.
    pub events: Vec<Event>,
    /// To be sent then.
    pub alerts: Vec<Alert>,
    /// When to decide again although nothing has changed.
    pub wake: Option<Timestamp>,
    /// What it waits for, for a person.
    pub waits_for: Option<String>,
}

/// The machine wants to know something before it goes on: nothing of this decision counts but the question.
struct Pending(Question);

/// Where a step ends early.
type Step<T = ()> = Result<T, Pending>;

/// Decides. Nothing that was not validated gets here: for a Canary that is refused, see [`status::refused`].
pub fn decide(settings: &Settings, record: &Record, world: &World, now: Timestamp) -> Decision {
    let mut course = Course::new(settings, record, world, now);
    if let Err(Pending(question)) = course.take() {
        course = Course::new(settings, record, world, now);
        course.waits_for = Some(match &question {
            Question::Hook { moment, name, .. } => format!("{} hook {name}", moment.as_str()),
            Question::Metrics { .. } => "metrics".to_owned(),
        });
        course.actions.push(Action::Ask(question));
    }
    course.finish(record)
}

/// One decision being made.
struct Course<'a> {
    settings: &'a Settings,
    world: &'a World,
    now: Timestamp,
    record: Record,
    actions: Vec<Action>,
    events: Vec<Event>,
    alerts: Vec<Alert>,
    wake: Option<Timestamp>,
    waits_for: Option<String>,
    problem: Option<Problem>,
}

impl<'a> Course<'a> {
    fn new(settings: &'a Settings, record: &Record, world: &'a World, now: Timestamp) -> Self {
        Course {
            settings,
            world,
            now,
            record: record.clone(),
            actions: Vec::new(),
            events: Vec::new(),
            alerts: Vec::new(),
            wake: None,
            waits_for: None,
            problem: None,
        }
    }

    fn take(&mut self) -> Step {
        if let Some(other) = &self.world.claimed_by {
            self.problem = Some(Problem::claimed(other));
            self.tell_once(Event::Claimed(other.clone()));
            self.waits_for = Some(format!("the older canary {other} to go"));
            return Ok(());
        }
        self.keep_time();
        if self.world.is_deleted {
            self.terminate();
            return Ok(());
        }
        if !self.is_awake() {
            return Ok(());
        }
        let target = match &self.world.target {
            Sighting::Unseen(why) => {
                self.tell_once(Event::Unseen(why.clone()));
                self.waits_for = Some(format!("the target: {why}"));
                return Ok(());
            }
            Sighting::Seen(target) => target,
        };
        if self.obey(target) {
            return Ok(());
        }
        match self.record.state.clone() {
            State::Initializing { unready } => self.initialize(target, unready),
            State::Stillborn { revision, .. } => self.stay_unborn(target, &revision),
            State::Resting(rest) => return self.rest(target, rest),
            State::Waiting(candidate) => return self.wait_for_approval(target, candidate),
            State::Analysing(run) => return self.analyse(target, run),
            State::RollingBack(back) => self.roll_back(target, back),
            State::Promoting(promotion) => self.promote(target, promotion),
            State::Finalising(promotion) => self.finalise(target, promotion),
            // The deletion was not seen this time; it is never taken back.
            State::Terminating => {}
        }
        Ok(())
    }

    fn finish(mut self, before: &Record) -> Decision {
        let phase = status::phase(&self.record);
        if phase != status::phase(before) {
            self.record.changed = self.now;
        }
        let status = status::of(self.settings, &self.record, self.problem.as_ref());
        Decision {
            status,
            record: self.record,
            actions: self.actions,
            events: self.events,
            alerts: self.alerts,
            wake: self.wake,
            waits_for: self.waits_for,
        }
    }

    /// A clock that was set back would make a wait longer by as much; one more whole wait is what nobody notices.
    fn keep_time(&mut self) {
        let now = self.now;
        let earliest = |time: &mut Timestamp| *time = (*time).min(now);
        match &mut self.record.state {
            State::Analysing(run) => {
                earliest(&mut run.since);
                run.unready.iter_mut().for_each(earliest);
                run.silent.iter_mut().for_each(earliest);
                if let Hold::Step(since) = &mut run.hold {
                    earliest(since);
                }
            }
            State::Waiting(candidate) => earliest(&mut candidate.since),
            State::Promoting(promotion) | State::Finalising(promotion) => {
                earliest(&mut promotion.since);
                promotion.unready.iter_mut().for_each(earliest);
                if let Drain::Since(since) = &mut promotion.drain {
                    earliest(since);
                }
            }
            State::RollingBack(RollBack { drain: Drain::Since(since), .. }) => earliest(since),
            State::RollingBack(_) => {}
            State::Initializing { unready } => unready.iter_mut().for_each(earliest),
            State::Resting(rest) => rest.unready.iter_mut().for_each(earliest),
            State::Stillborn { .. } | State::Terminating => {}
        }
    }

    /// False while it is suspended. Time that was slept counts neither as an interval nor towards a deadline.
    fn is_awake(&mut self) -> bool {
        if let Some(reason) = &self.settings.suspended {
            self.record.was_suspended = true;
            self.tell_once(Event::Suspended);
            self.waits_for = Some(match &**reason {
                "" => "`spec.suspend` to be false".to_owned(),
                reason => format!("`spec.suspend` to be false: {reason}"),
            });
            return false;
        }
        if std::mem::take(&mut self.record.was_suspended) {
            self.record.told.clear();
            match &mut self.record.state {
                State::Analysing(run) => {
                    (run.since, run.unready, run.silent) = (self.now, None, None);
                    if let Hold::Step(since) = &mut run.hold {
                        *since = self.now;
                    }
                }
                State::Promoting(promotion) => (promotion.since, promotion.unready) = (self.now, None),
                State::Initializing { unready } => *unready = None,
                _ => {}
            }
        }
        true
    }

    /// Does what a person wants. True when that is all for now.
    fn obey(&mut self, target: &Target) -> bool {
        let Some(wish) = &self.world.wish else { return false };
        self.actions.push(Action::ClearWish);
        let by = wish.by.clone();
        match (wish.what, self.record.state.clone()) {
            (WishKind::Abort, State::Waiting(candidate)) => {
                self.tell(Event::Aborted(by.clone()));
                let versions = Versions { applied: candidate.revision, promoted: candidate.versions.promoted };
                self.fail(versions, Why::Aborted(by));
                return true;
            }
            (WishKind::Abort, State::Analysing(Run { versions, .. }))
            | (WishKind::Abort, State::Promoting(Promotion { versions, .. }))
            | (WishKind::Abort, State::Finalising(Promotion { versions, .. }))
            | (WishKind::Abort, State::Resting(Rest { versions, outcome: Outcome::Stranded(_), .. })) => {
                self.tell(Event::Aborted(by.clone()));
                self.turn_back(versions, Why::Aborted(by));
                return true;
            }
            (WishKind::Promote, State::Resting(Rest { versions, outcome: Outcome::Stranded(_), .. })) => {
                self.tell(Event::Resumed);
                self.record.state = State::Promoting(Promotion {
                    versions,
                    since: self.now,
                    iterations: 0,
                    skipped: false,
                    drain: Drain::Due,
                    unready: None,
                });
                return true;
            }
            (WishKind::Retry, State::Resting(Rest { versions, outcome: Outcome::Failed(_), .. }))
                if target.revision == versions.applied =>
            {
                self.tell(Event::Retried(by, versions.applied.clone()));
                self.start(target, versions.promoted);
                return true;
            }
            (WishKind::Pause, State::Analysing(run)) if run.hold != Hold::Paused => {
                self.tell(Event::Paused(self.record.route.split.canary));
                self.record.state = State::Analysing(Run { hold: Hold::Paused, ..run });
            }
            (WishKind::Resume | WishKind::Promote, State::Analysing(run)) if run.hold == Hold::Paused => {
                self.tell(Event::Resumed);
                self.record.state = State::Analysing(Run { hold: Hold::Free, ..run });
            }
            (WishKind::Promote, State::Analysing(run)) => match run.hold {
                Hold::Step(_) => {
                    self.tell(Event::Resumed);
                    self.record.state = State::Analysing(Run { hold: Hold::Free, step: run.step + 1, ..run });
                }
                Hold::Promotion => {
                    self.begin_promotion(run, false);
                    return true;
                }
                Hold::Free | Hold::Paused => self.tell(Event::Ignored("promote")),
            },
            (WishKind::Promote | WishKind::PromoteFully, State::Waiting(candidate)) => {
                self.start(target, candidate.versions.promoted);
                return true;
            }
            (WishKind::PromoteFully, State::Analysing(run)) if run.versions.applied == target.revision => {
                if self.canary_missing(target).is_none() {
                    self.begin_promotion(run, true);
                    return true;
                }
                self.tell(Event::Ignored("promote: the canary is not ready"));
            }
            (what, _) => self.tell(Event::Ignored(what.as_str())),
        }
        false
    }

    /// Makes everything that stands beside the target. The target serves until the primary does.
    fn initialize(&mut self, target: &Target, unready: Option<Timestamp>) {
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
    fn stay_unborn(&mut self, target: &Target, revision: &Revision) {
        let is_ready = self.world.primary.as_ref().is_some_and(|primary| self.primary_missing(primary).is_none());
        if target.revision != *revision || is_ready {
            self.record.state = State::Initializing { unready: None };
            self.record.told.clear();
            return self.initialize(target, None);
        }
        self.waits_for = Some("a new version: the primary could not be made".into());
    }

    /// Nothing is tried: drift of what is generated is repaired, and a new version starts a run.
    fn rest(&mut self, target: &Target, rest: Rest) -> Step {
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
        let rest = Rest { farewell: Farewell::Told, ..rest };
        self.record.state = State::Resting(rest.clone());
        Ok(rest)
    }

    /// Going away: the target serves again before anything that leads to it is changed.
    fn terminate(&mut self) {
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

    // What every step needs.

    /// True when a generated object is as it should be; else it is made so.
    fn stand(&mut self, part: Part, action: Action) -> bool {
        let stands = self.world.standing.contains(&part);
        if !stands {
            self.actions.push(action);
        }
        stands
    }

    fn canary_missing(&self, target: &Target) -> Option<String> {
        target.workload.rollout.missing(self.settings.subject.kind, self.settings.ready.canary)
    }

    fn primary_missing(&self, primary: &Workload) -> Option<String> {
        primary.rollout.missing(self.settings.subject.kind, self.settings.ready.primary)
    }

    /// True when a workload has been unready for as long as it may be.
    fn is_past(&mut self, since: Timestamp, workload: &Workload) -> bool {
        let deadline = after(since, self.settings.deadline);
        self.wake_at(deadline);
        self.now >= deadline || workload.rollout.is_overdue
    }

    fn answer(&self, moment: HookType, name: &str, check: u32) -> Step<HookAnswer> {
        let question = Question::Hook { moment, name: name.into(), check };
        self.world.answers.hooks.get(&question).cloned().ok_or(Pending(question))
    }

    fn readings(&self, check: u32) -> Step<Vec<Reading>> {
        let question = Question::Metrics { check };
        self.world.answers.metrics.get(&question).cloned().ok_or(Pending(question))
    }

    fn come_to_rest(&mut self, versions: Versions, outcome: Outcome) {
        self.record.told.clear();
        self.record.state = State::Resting(Rest { versions, outcome, farewell: Farewell::Told, unready: None });
    }

    fn wake_at(&mut self, time: Timestamp) {
        if time > self.now {
            self.wake = Some(self.wake.map_or(time, |wake| wake.min(time)));
        }
    }

    fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Tells of a wait when it begins, and when its reason changes. True when it was told.
    fn tell_once(&mut self, event: Event) -> bool {
        let message = short(&event.message(&self.settings.subject));
        let is_new = self.record.told != message;
        if is_new {
            self.record.told = message;
            self.events.push(event);
        }
        is_new
    }

    fn alert(&mut self, severity: Severity, event: &Event) {
        let has_details = matches!(event, Event::NewRevision);
        self.alerts.push(Alert { severity, message: event.message(&self.settings.subject), has_details });
    }
}

/// What a decision must never do, if it does; tests and simulations look at each one.
pub fn broken_promise(settings: &Settings, world: &World, before: &Record, decision: &Decision) -> Option<String> {
    let endpoints = |side: Option<&Workload>| side.map_or(0, |workload| workload.endpoints);
    let target = match &world.target {
        Sighting::Seen(target) => Some(target),
        Sighting::Unseen(_) => None,
    };
    let live = if let Route::Set(split) = world.route { split } else { Split::PRIMARY_ONLY };
    let known = decision.record.versions().or(before.versions());
    for action in &decision.actions {
        match action {
            Action::SetRoute(split) if settings.subject.kind.is_scaled() => {
                let canary = endpoints(target.map(|target| &target.workload));
                if split.canary > live.canary && canary == 0 {
                    return Some(format!("routes {split} to a canary without a ready endpoint"));
                }
                if split.canary < live.canary && endpoints(world.primary.as_ref()) == 0 && canary > 0 {
                    return Some(format!("routes {split} to a primary without a ready endpoint"));
                }
            }
            Action::Promote(revision) => {
                if target.is_none_or(|target| target.revision != *revision) {
                    return Some("promotes a version that the target does not have".into());
                }
                let is_run = known.is_some_and(|versions| versions.applied == *revision);
                if !is_run || !matches!(decision.record.state, State::Promoting(_)) {
                    return Some("promotes a version that was not tried".into());
                }
            }
            Action::RestorePrimary(revision) if known.is_none_or(|versions| versions.promoted != *revision) => {
                return Some("restores a version that was never promoted".into());
            }
            Action::MakePrimary(revision) => {
                if known.is_some_and(|versions| versions.promoted != *revision) {
                    return Some("makes a primary of a version that was never promoted".into());
                }
            }
            Action::ScaleTarget(0) if live.canary > Weight::NONE && settings.has_route() => {
                return Some("scales down a canary that has traffic".into());
            }
            _ => {}
        }
    }
    let starts = matches!(decision.record.state, State::Analysing(_)) && matches!(before.state, State::Resting(_));
    let is_asked_for = world.wish.as_ref().is_some_and(|wish| wish.what == WishKind::Retry);
    if let (State::Resting(rest), State::Analysing(run)) = (&before.state, &decision.record.state)
        && starts
        && run.versions.applied == rest.versions.applied
        && !is_asked_for
    {
        return Some("runs a version again that has failed".into());
    }
    let is_rested = decision.actions.is_empty() && decision.record == *before && decision.waits_for.is_none();
    let ends = matches!(decision.record.state, State::Resting(_) | State::Terminating);
    (is_rested && !ends && decision.wake.is_none()).then(|| "waits for nothing".into())
}

#[cfg(test)]
mod tests;
