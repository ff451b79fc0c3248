//! The state machine of a sync: which steps go now, what is waited for, how it ended.
//!
//! **In:** a [`Plan`], then [`Event`]s: what became of the steps, what the live view saw, what a person or a newer
//! commit wants. **Out:** [`Next`] after each event. **May not:** wait, read a clock, do I/O: deadlines are events
//! too.
//!
//! The contract: call [`Operation::start`] once, then [`Operation::on`] for every event until it answers
//! [`Next::Done`]. No event may be dropped, also when the one before it was answered by [`Next::Run`]: the answers
//! while steps are being executed are [`Next::Wait`]. Of a [`Next::Run`] each step is executed, and ends in exactly one
//! [`Event::Finished`]; the steps of one answer may go in parallel. Record [`Operation::at`] when it changes: [`Operation::resume`] goes on there after a
//! restart. When it is done, do the [`Operation::chores`] before recording the end.
//!
//! Waves, gates and sentences are Argo CD's (SEMANTICS b.4, b.5), with two deviations on purpose: a newer commit gets
//! in (G2), and a hook keeps its finalizer until the sync ends, so that none is taken for not yet run after a restart
//! (G5). Read [`stage`], the wave under way, then [`report`], the words.

pub mod report;
mod stage;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use smol_str::SmolStr;

use crate::health::Verdict;
use crate::live::Record;
use crate::object::ObjectKey;
use crate::plan::{Action, Hook, Permitted, Phase, Plan, Stage, Step, Wave};

use report::Results;
pub use report::{Waiting, WaitsFor};
use stage::{Guarded, Progress, Underway};

/// All that can happen to a sync; a closed list, so that the loop that drives it is one `select!`.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step has ended.
    Finished {
        /// The step's object.
        key: ObjectKey,
        /// What became of it.
        result: Result<Outcome, Failure>,
    },
    /// The live view has a new record. All of the application's may be fed; what does not matter is ignored.
    Seen(Arc<Record>),
    /// The object with this uid is not there any more.
    Gone {
        /// Which object.
        key: ObjectKey,
        /// Its successor of the same name is another object.
        uid: SmolStr,
    },
    /// A person has approved what `Prune=confirm` guards.
    Confirmed,
    /// A hook did not end in its time, or a CRD was not established in its time.
    Overdue(ObjectKey),
    /// A newer commit is there.
    Superseded,
    /// The sync shall end.
    Terminated(Terminator),
}

/// Who ends a sync before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminator {
    /// `operationState.phase: Terminating`.
    Person,
    /// The time that a sync may take.
    Timeout,
}

/// What a step that went well has left.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The object is there, as the API server's answer shows it.
    Applied {
        /// `metadata.uid`.
        uid: SmolStr,
        /// `metadata.generation`; 0 when the kind has none.
        generation: i64,
        /// `metadata.resourceVersion`.
        resource_version: SmolStr,
        /// Judged on the answer; `None` where the kind has no health.
        health: Option<Verdict>,
        /// What `syncResult` says of it: `deployment.apps/web serverside-applied`.
        message: String,
    },
    /// Its deletion is under way: finalizers, or dependents that go first.
    Deleting {
        /// `metadata.uid`.
        uid: SmolStr,
    },
    /// There is nothing (any more) to be deleted; to an old hook also: what is there is this sync's own.
    Gone,
}

/// Why a step did not go well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What a person reads; no secret in it.
    pub message: String,
    /// False when trying the same again cannot help.
    pub is_transient: bool,
}

/// An object that made a sync fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Which object.
    pub key: ObjectKey,
    /// Why.
    pub failure: Failure,
    /// In what.
    pub by: FailedBy,
}

/// In what an object has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedBy {
    /// It could not be applied or deleted.
    Apply,
    /// The destination namespace could not be made.
    Namespace,
    /// It degraded, or its hook failed.
    Completion,
    /// A hook of the phase that runs after a failure.
    SyncFail,
}

/// What to do now.
#[derive(Debug)]
pub enum Next {
    /// Execute these steps; they may go in parallel.
    Run(Vec<Step>),
    /// Nothing to do until an event.
    Wait(Waiting),
    /// It has ended.
    Done(End),
}

/// How a sync ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All is applied, and what was waited for is healthy.
    Succeeded,
    /// A newer commit takes over.
    Superseded,
    /// Something failed; all of it is listed.
    Failed(Vec<Failed>),
    /// It was asked to end.
    Terminated(Terminator),
    /// The plan refuses to be executed ([`Plan::refusals`]): nothing was written.
    Refused {
        /// Planning again later can help.
        is_transient: bool,
    },
}

/// What is left to do for a hook when its sync has ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Chore {
    /// Delete it in the foreground, its finalizer removed.
    Delete(Permitted<Hook>),
    /// Remove its finalizer: its result has been seen.
    Release(Permitted<Hook>),
}

/// A sync that is under way. Pure: it never waits itself.
#[derive(Debug)]
pub struct Operation {
    coming: VecDeque<((Phase, Wave), Stage)>,
    after_failure: VecDeque<((Phase, Wave), Stage)>,
    under_way: Option<Underway>,
    /// There is more than one wave, so objects are waited for between them.
    has_several_waves: bool,
    /// The last wave was waited for, for its hooks.
    waited_to_the_end: bool,
    /// Objects that are waited for, whatever comes after.
    guarded: Guarded,
    is_confirmed: bool,
    stop: Option<Stop>,
    failed: Vec<Failed>,
    hooks: Vec<(Permitted<Hook>, HookState)>,
    /// The newest records that were seen: what a wave finds when it begins may be older than its plan.
    seen: BTreeMap<ObjectKey, Arc<Record>>,
    at: Option<(Phase, Wave)>,
    results: Results,
    end: Option<End>,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Superseded,
    Terminated(Terminator),
}

/// Where a hook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HookState {
    Running,
    Ended,
}

impl Operation {
    /// A sync that executes the plan from its first wave.
    pub fn new(plan: Plan) -> Self {
        Self::with_stages(plan, |_, stage| (stage, Vec::new()))
    }

    /// The same after a restart. The plan was made anew; of the waves before the recorded one only what still differs
    /// is done: their hooks have run.
    pub fn resume(plan: Plan, from: (Phase, Wave)) -> Self {
        let mut operation =
            Self::with_stages(plan, |at, stage| if at < from { without_what_ran(stage) } else { (stage, Vec::new()) });
        operation.guarded.is_resumed = true;
        if from.0 == Phase::SyncFail {
            // What had failed is on record; here only the hooks that follow it are left to run.
            operation.coming.clear();
            if let Some(step) = operation.after_failure.front().and_then(|(_, stage)| stage.steps().next()) {
                let failure = Failure { message: "failed before a restart".into(), is_transient: true };
                operation.failed.push(Failed { key: step.key.clone(), failure, by: FailedBy::Completion });
            }
        }
        operation
    }

    /// The same where another of our controllers brings these objects into service, step by step: the sync ends as they do,
    /// also where nothing comes after them. What stands for that controller among the objects, `guards`, is not waited for:
    /// it may still say how an earlier version ended.
    #[must_use]
    pub fn guarded(mut self, keys: BTreeSet<ObjectKey>, guards: BTreeSet<ObjectKey>) -> Self {
        self.guarded.keys = Arc::new(keys);
        self.guarded.guards = Arc::new(guards);
        self
    }

    fn with_stages(plan: Plan, mut select: impl FnMut((Phase, Wave), Stage) -> (Stage, Vec<Step>)) -> Self {
        let mut operation = Operation {
            coming: VecDeque::new(),
            after_failure: VecDeque::new(),
            under_way: None,
            has_several_waves: false,
            waited_to_the_end: true,
            guarded: Guarded::default(),
            is_confirmed: false,
            stop: None,
            failed: Vec::new(),
            hooks: Vec::new(),
            seen: BTreeMap::new(),
            at: None,
            results: Results::new(&plan),
            end: None,
            message: String::new(),
        };
        if !plan.refusals.is_empty() {
            operation.message = report::refused(&plan.refusals);
            let is_transient = plan.refusals.iter().all(crate::plan::Refusal::is_transient);
            operation.end = Some(End::Refused { is_transient });
            return operation;
        }
        operation.has_several_waves = plan.stages.keys().filter(|(phase, _)| *phase != Phase::SyncFail).count() > 1;
        for (at, stage) in plan.stages {
            let (stage, ran) = select(at, stage);
            for step in ran {
                operation.results.ran(&step, at.0);
                if let Action::Hook(hook) = step.action {
                    operation.hooks.push((hook, HookState::Ended));
                }
            }
            if stage.steps().next().is_some() {
                let stages = if at.0 == Phase::SyncFail { &mut operation.after_failure } else { &mut operation.coming };
                stages.push_back((at, stage));
            }
        }
        operation
    }

    /// The first answer.
    pub fn start(&mut self) -> Next {
        self.next()
    }

    /// The answer to an event.
    pub fn on(&mut self, event: Event) -> Next {
        match event {
            Event::Confirmed => self.is_confirmed = true,
            Event::Superseded => drop(self.stop.get_or_insert(Stop::Superseded)),
            Event::Terminated(by) => self.stop = Some(Stop::Terminated(by)),
            Event::Finished { key, result } => {
                if let Some(stage) = &mut self.under_way {
                    stage.finished(&key, result, &mut self.results);
                }
            }
            Event::Seen(record) => {
                if let Some(stage) = &mut self.under_way {
                    stage.seen(&record);
                }
                self.seen.insert(record.key.clone(), record);
            }
            Event::Gone { key, uid } => {
                if let Some(stage) = &mut self.under_way {
                    stage.gone(&key, &uid);
                }
            }
            Event::Overdue(key) => {
                if let Some(stage) = &mut self.under_way {
                    stage.overdue(&key);
                }
            }
        }
        self.next()
    }

    /// The wave under way, or the last one: where to go on after a restart. `None` before the first.
    pub fn at(&self) -> Option<(Phase, Wave)> {
        self.at
    }

    /// What `operationState.message` says now.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What `operationState.syncResult.resources` lists, in the order of first execution.
    pub fn results(&self) -> &[crate::api::argo::ResourceResult] {
        self.results.as_slice()
    }

    /// What is left to do for the hooks, once it is done.
    pub fn chores(&self) -> Vec<Chore> {
        let Some(end) = &self.end else { return Vec::new() };
        let deletes = |hook: &Hook, state: HookState| match end {
            End::Succeeded => hook.delete.on_success,
            End::Failed(_) => hook.delete.on_failure,
            End::Terminated(_) => state == HookState::Running,
            // It may be what the newer commit waits for; if not, the newer plan clears it away.
            End::Superseded | End::Refused { .. } => false,
        };
        let hooks = self.hooks.iter().cloned();
        hooks
            .map(|(hook, state)| if deletes(&hook, state) { Chore::Delete(hook) } else { Chore::Release(hook) })
            .collect()
    }

    fn next(&mut self) -> Next {
        loop {
            if let Some(end) = &self.end {
                return Next::Done(end.clone());
            }
            let Some(stage) = &mut self.under_way else {
                self.under_way = self.next_stage();
                match &self.under_way {
                    Some(stage) => self.at = Some(stage.at),
                    None => self.finish(),
                }
                continue;
            };
            // Nothing new is begun for a sync that shall end; what is being executed is awaited.
            if matches!(self.stop, Some(Stop::Terminated(_))) && !stage.is_busy() {
                self.leave();
                self.finish();
                continue;
            }
            let progress = stage.progress(self.is_confirmed, &self.seen, &mut self.results);
            match progress {
                Progress::Run(steps) => {
                    self.message = report::running(&steps);
                    return Next::Run(steps);
                }
                Progress::InFlight(waiting) => return self.wait(waiting),
                Progress::Blocked(waiting) => {
                    if self.stop.is_none() {
                        return self.wait(waiting);
                    }
                    self.leave();
                    self.finish();
                }
                Progress::Ended => self.leave(),
            }
        }
    }

    /// Takes from the stage under way what outlives it.
    fn leave(&mut self) {
        let Some(mut stage) = self.under_way.take() else { return };
        self.failed.append(&mut stage.failed);
        self.hooks.append(&mut stage.hooks());
        self.waited_to_the_end = stage.has_hooks() || stage.has_guarded();
    }

    fn wait(&mut self, waiting: Waiting) -> Next {
        self.message = waiting.to_string();
        Next::Wait(waiting)
    }

    /// The stage after the one that has ended; none when the sync ends here.
    fn next_stage(&mut self) -> Option<Underway> {
        if self.stop.is_some() {
            return None;
        }
        if !self.failed.is_empty() {
            self.coming.clear();
            let (at, stage) = self.after_failure.pop_front()?;
            return Some(Underway::after_failure(at, stage));
        }
        let (at, stage) = self.coming.pop_front()?;
        let waits_for_objects = self.has_several_waves && (!self.coming.is_empty() || stage.has_hooks());
        Some(Underway::new(at, stage, self.guarded.clone(), waits_for_objects, !self.coming.is_empty()))
    }

    fn finish(&mut self) {
        let end = match self.stop {
            Some(Stop::Terminated(by)) => End::Terminated(by),
            _ if !self.failed.is_empty() => End::Failed(std::mem::take(&mut self.failed)),
            Some(Stop::Superseded) => End::Superseded,
            None => End::Succeeded,
        };
        self.message = match &end {
            End::Failed(failed) => report::failed(failed),
            End::Terminated(Terminator::Person) => "Operation terminated".into(),
            End::Terminated(Terminator::Timeout) => "Operation terminated, triggered by controller sync timeout".into(),
            End::Superseded => "superseded by a newer commit".into(),
            End::Succeeded if self.waited_to_the_end => "successfully synced (no more tasks)".into(),
            End::Succeeded => "successfully synced (all tasks run)".into(),
            End::Refused { .. } => return,
        };
        self.end = Some(end);
    }
}

/// What of a wave that was executed before a restart is done again: what differs, no hook and nothing that is in sync.
fn without_what_ran(stage: Stage) -> (Stage, Vec<Step>) {
    let mut ran = Vec::new();
    let mut groups = Vec::new();
    for group in stage.groups {
        let (past, left): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|step| step.action.is_hook() || step.action == Action::Keep);
        ran.extend(past);
        if !left.is_empty() {
            groups.push(left);
        }
    }
    (Stage { prunes: stage.prunes, clears: Vec::new(), groups }, ran)
}

/// Keys of steps, for the sentences.
fn keys<'a>(steps: impl IntoIterator<Item = &'a Step>) -> BTreeSet<ObjectKey> {
    steps.into_iter().map(|step| step.key.clone()).collect()
}

#[cfg(test)]
mod tests;
