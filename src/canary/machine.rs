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
//! Semantics: docs/canary.md. Read [`decide`], then `rest` (nothing is tried), `analysis`, `check` and `measure` (a version is tried),
//! `promotion` (it is taken over, or rolled back), `verify` (it is measured on), `traffic` (what may be routed where), `wish` (what people want); and
//! `promise`, what no decision may do.

mod analysis;
mod check;
mod measure;
mod promise;
mod promotion;
mod rest;
mod traffic;
mod verify;
mod wish;

use jiff::Timestamp;

pub use promise::broken_promise;

use super::event::{Alert, Event};
use super::record::{
    Drain, Farewell, Hold, Outcome, Promotion, Record, Rest, RollBack, Run, State, Versions, Why, short,
};
use super::settings::Settings;
use super::status::{self, Problem};
use super::world::{
    HookAnswer, Part, Question, Reading, Route, RouterProblem, Side, Sighting, Target, WishKind, Workload, World, after,
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
        // Who is asked may think for long: what is to be measured meanwhile does not wait for the answer.
        if let Some(run) = record.run() {
            course.wake_for_background(run);
        }
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
        self.forget_lost_steps();
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
            State::Verifying(run) => return self.verify(target, run),
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
            State::Analysing(run) | State::Verifying(run) => {
                earliest(&mut run.started);
                earliest(&mut run.since);
                run.unready.iter_mut().for_each(earliest);
                run.silent.iter_mut().for_each(earliest);
                run.metrics.values_mut().filter_map(|it| it.at.as_mut()).for_each(earliest);
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
                State::Analysing(run) | State::Verifying(run) => {
                    (run.since, run.unready, run.silent) = (self.now, None, None);
                    run.metrics.values_mut().filter_map(|it| it.at.as_mut()).for_each(|at| *at = self.now);
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

    fn readings(&self, check: u32, which: Vec<usize>) -> Step<Vec<Reading>> {
        let is_promoted = matches!(self.record.state, State::Verifying(_));
        let of = if is_promoted { Side::Primary } else { Side::Canary };
        let question = Question::Metrics { of, check, which };
        self.world.answers.metrics.get(&question).cloned().ok_or(Pending(question))
    }

    /// What became of the analysis under way.
    fn keep(&mut self, run: Run) {
        let is_promoted = matches!(self.record.state, State::Verifying(_));
        self.record.state = if is_promoted { State::Verifying(run) } else { State::Analysing(run) };
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

#[cfg(test)]
mod tests;
