//! One sync of a directory, from its first step to its last: drives a [`Course`] with what happens in the cluster, and
//! shows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::super::subject::View;
use super::super::terminal::Terminal;
use super::directory::remember;
use super::progress::Progress;
use crate::health::Health;
use crate::live::Record;
use crate::live::client::Error;
use crate::live::watch::Changes;
use crate::plan::{Hook, Plan, Step};
use crate::sync::course::{Books, Course, Onlooker, Site};
use crate::sync::execute::{self, Manner};
use crate::sync::machine::{End, Event, Failure, Next, Operation, Outcome, Terminator, Waiting};

/// How often what is drawn is drawn anew: times go by.
const TICK: Duration = Duration::from_millis(200);
/// What is degraded for so long is not on its way any more.
const DEGRADED: Duration = Duration::from_secs(5);

/// How a sync ended.
pub(super) struct Done {
    pub(super) end: End,
    /// What is not healthy although all is applied: `Deployment/web: 1 of 2 pods ready`.
    pub(super) unhealthy: Vec<String>,
}

/// A sync under way.
pub(super) struct Drive {
    pub(super) view: View,
    pub(super) progress: Progress,
    course: Course,
    /// When all of it gets too long.
    deadline: Instant,
    is_stopped: bool,
}

/// Shows what is executed.
struct Screen<'a> {
    progress: &'a mut Progress,
    terminal: &'a mut Terminal,
}

impl Onlooker for Screen<'_> {
    fn begins(&mut self, step: &Step) {
        self.progress.begins(step);
    }

    fn is_under_way(&mut self) {
        self.progress.paint(self.terminal);
    }

    fn ended(&mut self, step: &Step, result: &Result<Outcome, Failure>, _: Duration) {
        self.progress.finished(step, result, self.terminal);
    }
}

/// Why waiting ended.
enum Woken {
    Changed,
    Tick,
    TimedOut,
    Interrupted,
}

impl Drive {
    pub(super) fn new(view: View, plan: Plan, progress: Progress, dry_run: bool, deadline: Instant) -> Self {
        let course = Course::new(Operation::new(plan), Manner { dry_run, force: false });
        Drive { view, progress, course, deadline, is_stopped: false }
    }

    pub(super) async fn run(&mut self, terminal: &mut Terminal) -> Done {
        let changes = self.view.store.changes();
        let live = self.view.live();
        let subject = &mut self.view.subject;
        subject.inventory.take_stock(&subject.desired, &subject.owner, &live);
        let mut next = self.course.begin(live);
        let end = loop {
            match next {
                Next::Done(end) => break end,
                Next::Run(steps) => {
                    self.execute(steps, terminal).await;
                    self.keep_record().await;
                }
                Next::Wait(waiting) => {
                    self.progress.waits(&waiting, &self.view.live(), terminal);
                    self.pause(&changes, &waiting, terminal).await;
                }
            }
            next = self.course.tell(self.view.live());
        };
        self.tidy().await;
        self.keep_record().await;
        let mut unhealthy = Vec::new();
        if end == End::Succeeded && !self.course.manner().dry_run {
            unhealthy = self.healthy(&changes, terminal).await;
        }
        Done { end, unhealthy }
    }

    async fn execute(&mut self, steps: Vec<Step>, terminal: &mut Terminal) {
        let View { cluster, store, subject, baselines, .. } = &mut self.view;
        let site = Site { cluster, store, desired: &subject.desired };
        let mut books = Books { inventory: &mut subject.inventory, baselines };
        let mut screen = Screen { progress: &mut self.progress, terminal };
        self.course.execute(steps, site, &mut books, &mut screen).await;
    }

    /// Waits until something happened that the machine may care about.
    async fn pause(&mut self, changes: &Changes, waiting: &Waiting, terminal: &mut Terminal) {
        loop {
            match self.woken(changes).await {
                Woken::Changed => break,
                Woken::Tick => {
                    self.progress.waits(waiting, &self.view.live(), terminal);
                    self.progress.paint(terminal);
                    if self.course.deadline().is_some_and(|at| at <= tokio::time::Instant::now()) {
                        break;
                    }
                }
                Woken::TimedOut => {
                    self.stop(Terminator::Timeout);
                    break;
                }
                Woken::Interrupted => {
                    self.stop(Terminator::Person);
                    break;
                }
            }
        }
        self.course.pass_deadlines();
    }

    fn stop(&mut self, by: Terminator) {
        self.is_stopped = true;
        self.course.heed(Event::Terminated(by));
    }

    async fn woken(&self, changes: &Changes) -> Woken {
        // Told once is enough.
        let deadline = if self.is_stopped { Instant::now() + Hook::LIMIT } else { self.deadline };
        tokio::select! {
            _ = changes.next() => Woken::Changed,
            () = tokio::time::sleep(TICK) => Woken::Tick,
            () = sleep_until(deadline.into()) => Woken::TimedOut,
            _ = tokio::signal::ctrl_c() => Woken::Interrupted,
        }
    }

    /// What is left to do for hooks.
    async fn tidy(&mut self) {
        for (hook, error) in self.course.tidy(&self.view.cluster).await {
            self.progress.note(execute::failure(&error, &hook, None).message);
        }
    }

    async fn keep_record(&mut self) {
        if self.course.manner().dry_run {
            return;
        }
        match remember(&self.view).await {
            Ok(()) | Err(Error::NamespaceMissing { .. }) => {}
            Err(error) => self.progress.note(format!("what was applied is not on record: {error}")),
        }
    }

    /// Waits until all that is wanted is healthy; what is not, when the time is up.
    async fn healthy(&mut self, changes: &Changes, terminal: &mut Terminal) -> Vec<String> {
        let mut degraded_since: Option<Instant> = None;
        loop {
            let live = self.view.live();
            let wanted = self.view.subject.desired.objects.iter().map(|wanted| &wanted.object.key);
            let records: Vec<Arc<Record>> = wanted.filter_map(|key| live.records.get(key).cloned()).collect();
            let unhealthy = |record: &&Arc<Record>| {
                let is_counted = !record.ignore_health && !record.is_hook;
                is_counted
                    && record.health.as_ref().is_some_and(|v| !matches!(v.status, Health::Healthy | Health::Suspended))
            };
            let waiting: Vec<Arc<Record>> = records.iter().filter(unhealthy).cloned().collect();
            self.progress.settles(&records, terminal);
            let is_degraded =
                waiting.iter().any(|record| record.health.as_ref().is_some_and(|v| v.status == Health::Degraded));
            degraded_since = if is_degraded { degraded_since.or(Some(Instant::now())) } else { None };
            let is_lost = degraded_since.is_some_and(|since| since.elapsed() > DEGRADED);
            if waiting.is_empty() || is_lost || Instant::now() >= self.deadline {
                return waiting.iter().map(|record| self.progress.unhealthy(record)).collect();
            }
            self.progress.paint(terminal);
            if let Woken::Interrupted = self.woken(changes).await {
                return waiting.iter().map(|record| self.progress.unhealthy(record)).collect();
            }
        }
    }
}
