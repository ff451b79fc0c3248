//! A sync that is under way: the machine, and the hands that do what it says.
//!
//! **In:** a [`Course`] that has not begun. **Out:** its [`End`]; the operation's state in the Application's status at each
//! wave. **May not:** begin what is not on record.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::super::Daemon;
use super::super::look::Look;
use super::super::memory::Memory;
use super::super::queue::Job;
use super::super::reconcile::{self, Clear};
use super::found;
use crate::api::argo::{Application, OperationPhase, OperationState};
use crate::plan::{Phase, Plan, PlanHash, Step, Wave};
use crate::sync::course::{Books, Course, Onlooker, Site};
use crate::sync::machine::{self, Chore, End, Event, Failure, Next, Terminator};
use crate::telemetry::{Metrics, Outcome};

/// Where a sync stands, in an annotation of the Application: `<plan> <phase> <wave>`, then `over` when all has gone
/// well and only the hooks have to be cleaned up. Without that word a hook that was cleaned up already would be taken
/// for one that has not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) plan: PlanHash,
    pub(super) at: (Phase, Wave),
    pub(super) is_over: bool,
}

/// After the last wave of a sync that has gone well.
pub(super) const AFTER_ALL: (Phase, Wave) = (Phase::PostSync, Wave(i32::MAX));

impl Progress {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let plan = words.next()?.parse().ok()?;
        let phase = Phase::parse(words.next()?)?;
        let wave = Wave(words.next()?.parse().ok()?);
        Some(Progress { plan, at: (phase, wave), is_over: words.next() == Some("over") })
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}{}", self.plan, self.at.0, self.at.1, if self.is_over { " over" } else { "" })
    }
}

/// On what occasion a sync is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// Steps are about to be executed.
    Begins,
    /// Nothing can be done before something happens in the cluster.
    Waits,
}

/// A sync under way: the machine, and the hands that do what it says.
pub(super) struct Sync<'a> {
    pub(super) daemon: &'a Arc<Daemon>,
    pub(super) application: &'a Arc<Application>,
    pub(super) memory: &'a mut Memory,
    pub(super) look: &'a Look,
    pub(super) course: Course,
    pub(super) state: &'a mut OperationState,
    pub(super) plan: &'a Plan,
    pub(super) plan_hash: PlanHash,
    /// Only applies, of one wave, that nobody asked for by hand.
    pub(super) is_repeatable: bool,
    /// The wave that the Application's status names.
    pub(super) recorded: Option<(Phase, Wave)>,
    /// A person's approval of guarded prunes was told.
    pub(super) is_confirmed: bool,
    pub(super) job: &'a Job,
}

impl Sync<'_> {
    /// To its end; `None` when a shutdown came first, or when nothing can be recorded: what is not on record is not
    /// begun.
    pub(super) async fn drive(&mut self) -> Option<End> {
        let mut next = self.course.begin(self.look.live());
        loop {
            match next {
                Next::Done(end) => {
                    self.tidy(&end).await?;
                    return Some(end);
                }
                Next::Run(_) if self.daemon.shutdown.is_cancelled() => return None,
                Next::Run(steps) => {
                    self.record(Said::Begins).await?;
                    let Look { cluster, store, content, .. } = self.look;
                    let site = Site { cluster, store, desired: &content.desired };
                    let Memory { inventory, baselines, .. } = &mut *self.memory;
                    let mut counted = Counted(&self.daemon.metrics);
                    self.course.execute(steps, site, &mut Books { inventory, baselines }, &mut counted).await;
                }
                Next::Wait(_) => {
                    self.record(Said::Waits).await?;
                    self.await_event().await?;
                }
            }
            next = self.course.tell(self.look.live());
        }
    }

    /// Waits until something happened that the machine may care about.
    async fn await_event(&mut self) -> Option<()> {
        let far = Instant::now() + Duration::from_secs(3600);
        tokio::select! {
            () = self.job.pushed() => {}
            () = self.daemon.shutdown.cancelled() => return None,
            () = sleep_until(self.course.deadline().unwrap_or(far)) => {}
        }
        self.job.resume().await;
        self.course.pass_deadlines();
        if let Some(event) = self.word().await {
            self.course.heed(event);
        }
        Some(())
    }

    /// What a person, or a newer commit, wants of this sync by now.
    async fn word(&mut self) -> Option<Event> {
        let newest = self.daemon.written.application(self.application.name())?;
        let state = newest.status.as_ref().and_then(|status| status.operation_state.as_ref());
        if newest.is_deleting() || state.is_some_and(|state| state.phase == OperationPhase::Terminating) {
            return Some(Event::Terminated(Terminator::Person));
        }
        let begun = self.state.started_at.as_ref().map_or(i64::MAX, |started| started.0.as_second());
        if !self.is_confirmed && reconcile::deletion_approved(&newest).is_some_and(|time| time >= begun) {
            self.is_confirmed = true;
            return Some(Event::Confirmed);
        }
        // An operation of a person stands for the revision that it names.
        if self.state.operation.initiated_by.automated
            || self.state.operation.sync.as_ref().is_none_or(|s| s.revision.is_empty())
        {
            let revisions = self.daemon.revisions_now(&newest).await?;
            let sources = newest.spec.sources() != self.application.spec.sources();
            if sources || revisions != self.look.revisions() {
                return Some(Event::Superseded);
            }
        }
        None
    }

    /// Writes where the sync stands, when that is another wave than the one on record.
    async fn record(&mut self, said: Said) -> Option<()> {
        let machine = self.course.machine();
        let at = machine.at();
        let is_new_wave = at != self.recorded;
        match said {
            // What can simply be done again needs no record before: who finds half of it done does the other half.
            Said::Begins if self.is_repeatable || !is_new_wave => return Some(()),
            Said::Waits if !is_new_wave && self.state.message == machine.message() => return Some(()),
            Said::Begins | Said::Waits => {}
        }
        self.recorded = at;
        self.say();
        if let Some(at) = at.filter(|_| !self.course.manner().dry_run) {
            self.memory.progress = Some(Progress { plan: self.plan_hash, at, is_over: false }.to_string());
        }
        self.write(said).await
    }

    /// Takes over the machine's words.
    fn say(&mut self) {
        let machine = self.course.machine();
        self.state.message = machine.message().to_owned();
        if let Some(result) = &mut self.state.sync_result {
            result.resources = machine.results().to_vec();
        }
    }

    /// Writes the state and the progress; where it waits also how the objects stand, for whoever looks meanwhile.
    async fn write(&mut self, said: Said) -> Option<()> {
        let newest = self.daemon.written.application(self.application.name());
        let application = newest.as_ref().unwrap_or(self.application);
        let mut status = match said {
            Said::Begins => application.status.clone().unwrap_or_default(),
            Said::Waits => found(application, self.look, self.plan, self.memory),
        };
        status.operation_state = Some(self.state.clone());
        let clear = Clear::refresh(application);
        self.daemon.write_status(application, status, clear, self.memory).await.then_some(())
    }

    /// What is left to do for hooks.
    async fn tidy(&mut self, end: &End) -> Option<()> {
        self.say();
        let deletes = self.course.machine().chores().iter().any(|chore| matches!(chore, Chore::Delete(_)));
        if *end == End::Succeeded && deletes && !self.course.manner().dry_run {
            self.memory.progress = Some(Progress { plan: self.plan_hash, at: AFTER_ALL, is_over: true }.to_string());
            self.write(Said::Begins).await?;
        }
        for (hook, error) in self.course.tidy(&self.look.cluster).await {
            warn!(application = self.application.name(), %hook, %error, "Hook not cleaned up");
        }
        Some(())
    }
}

/// Counts what is applied.
struct Counted<'a>(&'a Metrics);

impl Onlooker for Counted<'_> {
    fn begins(&mut self, _: &Step) {}

    fn is_under_way(&mut self) {}

    fn ended(&mut self, _: &Step, result: &Result<machine::Outcome, Failure>, took: Duration) {
        self.0.applied(Outcome::from(result), took);
    }
}
