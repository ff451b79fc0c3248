//! One sync of a directory, from its first step to its last: `sync::machine` decides, this has the hands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::super::subject::View;
use super::super::terminal::Terminal;
use super::directory::remember;
use super::progress::Progress;
use crate::health::Health;
use crate::live::client::{Cluster, Error};
use crate::live::{LiveView, Record};
use crate::object::{GroupKind, ObjectKey};
use crate::plan::{Action, Baseline, Hook, Plan, Step};
use crate::sync::execute::{self, Executed, Manner};
use crate::sync::machine::{Chore, End, Event, Next, Operation, Terminator, Waiting};

/// Requests under way at once.
const AT_ONCE: usize = 32;
/// How long a CRD may take until it is served.
const ESTABLISHED: Duration = Duration::from_secs(10);
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
    machine: Operation,
    manner: Manner,
    /// What the machine has been told of the cluster.
    told: LiveView,
    events: Vec<Event>,
    /// When waiting for an object gets too long.
    deadlines: BTreeMap<ObjectKey, Instant>,
    /// When all of it gets too long.
    deadline: Instant,
    is_stopped: bool,
    /// Kinds whose definition is among what is applied.
    defined: BTreeSet<GroupKind>,
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
        let defined = plan.steps().filter_map(|(_, _, step)| defined_kind(step)).collect();
        Drive {
            defined,
            view,
            progress,
            machine: Operation::new(plan),
            manner: Manner { dry_run, force: false },
            told: LiveView::default(),
            events: Vec::new(),
            deadlines: BTreeMap::new(),
            deadline,
            is_stopped: false,
        }
    }

    pub(super) async fn run(&mut self, terminal: &mut Terminal) -> Done {
        let changes = self.view.store.changes();
        self.adopt();
        // What is there now is told before the first step: what goes while that is executed would be waited for in vain.
        let mut next = match self.machine.start() {
            Next::Wait(_) => self.tell(),
            first => {
                for event in self.news() {
                    self.machine.on(event);
                }
                first
            }
        };
        let end = loop {
            match next {
                Next::Done(end) => break end,
                Next::Run(steps) => {
                    self.execute(steps, terminal).await;
                    self.keep_record().await;
                    next = self.tell();
                }
                Next::Wait(waiting) => {
                    self.progress.waits(&waiting, &self.view.live(), terminal);
                    self.pause(&changes, Some(&waiting), terminal).await;
                    next = self.tell();
                }
            }
        };
        self.tidy().await;
        self.keep_record().await;
        let mut unhealthy = Vec::new();
        if end == End::Succeeded && !self.manner.dry_run {
            unhealthy = self.healthy(&changes, terminal).await;
        }
        Done { end, unhealthy }
    }

    /// What is live, ours and wanted was applied by us, whatever became of the record of it.
    fn adopt(&mut self) {
        let live = self.view.live();
        for wanted in &self.view.subject.desired.objects {
            let Some(record) = live.records.get(&wanted.object.key) else { continue };
            let is_ours = self.view.subject.owner.owns(record.tracking.as_ref(), &record.key);
            if is_ours && record.projection.is_some() {
                self.view.subject.inventory.insert(&record.key, &record.uid);
            }
        }
    }

    /// Tells the machine what happened; its first answer that is not a wait counts.
    fn tell(&mut self) -> Next {
        let mut events = std::mem::take(&mut self.events);
        events.extend(self.news());
        let mut next: Option<Next> = None;
        for event in events {
            let answer = self.machine.on(event);
            if !matches!(next, Some(Next::Run(_) | Next::Done(_))) {
                next = Some(answer);
            }
        }
        next.unwrap_or_else(|| self.machine.start())
    }

    async fn execute(&mut self, steps: Vec<Step>, terminal: &mut Terminal) {
        for step in steps.iter().filter(|step| matches!(step.action, Action::Hook(_))) {
            self.deadlines.insert(step.key.clone(), Instant::now() + Hook::LIMIT);
        }
        let mut waiting = steps.into_iter();
        let mut running: JoinSet<(Step, Executed)> = JoinSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some(step) = waiting.next()
            {
                self.progress.begins(&step);
                let (cluster, manner) = (self.view.cluster.clone(), self.manner.clone());
                let is_new = self.defined.contains(&step.key.group_kind()) && !manner.dry_run;
                running.spawn(async move {
                    if is_new {
                        served(&cluster, &step).await;
                    }
                    let executed = execute::execute(&cluster, &step, &manner).await;
                    (step, executed)
                });
            }
            self.progress.paint(terminal);
            match running.join_next().await {
                Some(Ok((step, executed))) => self.finished(&step, executed, terminal),
                Some(Err(error)) => terminal.say(&format!("a step did not end: {error}\n")),
                None => return,
            }
        }
    }

    fn finished(&mut self, step: &Step, executed: Executed, terminal: &mut Terminal) {
        let Executed { result, record } = executed;
        self.progress.finished(step, &result, terminal);
        if let (Some(record), Some(object)) = (record, step.action.object()) {
            if !step.action.is_hook() {
                self.view.subject.inventory.insert(&step.key, &record.uid);
                if let Some(projection) = record.projection {
                    let desired =
                        self.view.wanted(&step.key).map_or_else(|| object.content_hash(), |wanted| wanted.hash);
                    self.view.baselines.insert(step.key.clone(), Baseline::Applied { desired, projection });
                }
            }
            if step.key.kind == "CustomResourceDefinition" {
                self.deadlines.insert(step.key.clone(), Instant::now() + ESTABLISHED);
            }
            self.view.store.written(record);
        }
        if let (Action::Prune(_), Ok(_), false) = (&step.action, &result, self.manner.dry_run) {
            self.view.subject.inventory.remove(&step.key);
        }
        self.events.push(Event::Finished { key: step.key.clone(), result });
    }

    /// Waits until something happened that the machine may care about.
    async fn pause(
        &mut self,
        changes: &crate::live::watch::Changes,
        waiting: Option<&Waiting>,
        terminal: &mut Terminal,
    ) {
        loop {
            match self.woken(changes).await {
                Woken::Changed => break,
                Woken::Tick => {
                    if let Some(waiting) = waiting {
                        self.progress.waits(waiting, &self.view.live(), terminal);
                    }
                    self.progress.paint(terminal);
                    if self.deadlines.values().any(|at| *at <= Instant::now()) {
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
        let now = Instant::now();
        let due: Vec<ObjectKey> =
            self.deadlines.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            self.deadlines.remove(&key);
            self.events.push(Event::Overdue(key));
        }
    }

    fn stop(&mut self, by: Terminator) {
        self.is_stopped = true;
        self.events.push(Event::Terminated(by));
    }

    async fn woken(&self, changes: &crate::live::watch::Changes) -> Woken {
        // Told once is enough.
        let deadline = if self.is_stopped { Instant::now() + Hook::LIMIT } else { self.deadline };
        tokio::select! {
            _ = changes.next() => Woken::Changed,
            () = tokio::time::sleep(TICK) => Woken::Tick,
            () = sleep_until(deadline.into()) => Woken::TimedOut,
            _ = tokio::signal::ctrl_c() => Woken::Interrupted,
        }
    }

    /// What the live view has seen since the machine was told last.
    fn news(&mut self) -> Vec<Event> {
        let live = self.view.live();
        let mut events = Vec::new();
        for (key, record) in &live.records {
            if self.told.records.get(key).is_none_or(|told| !Arc::ptr_eq(told, record)) {
                events.push(Event::Seen(record.clone()));
            }
        }
        for (key, told) in &self.told.records {
            if live.records.get(key).is_none_or(|record| record.uid != told.uid) {
                events.push(Event::Gone { key: key.clone(), uid: told.uid.clone() });
            }
        }
        self.told = live;
        events
    }

    /// What is left to do for hooks.
    async fn tidy(&mut self) {
        if self.manner.dry_run {
            return;
        }
        let cluster = &self.view.cluster;
        for chore in self.machine.chores() {
            let (hook, deletes) = match &chore {
                Chore::Delete(hook) => (hook, true),
                Chore::Release(hook) => (hook, false),
            };
            let (key, version) = (&hook.object.key, &hook.object.version);
            let Ok(Some(live)) = cluster.find(key, version).await else { continue };
            let done = match deletes {
                true => execute::delete_hook(cluster, key, version, &live).await.map(drop),
                false => execute::release_hook(cluster, key, version, &live).await,
            };
            if let Err(error) = done {
                self.progress.note(execute::failure(&error, key, None).message);
            }
        }
    }

    async fn keep_record(&mut self) {
        if self.manner.dry_run {
            return;
        }
        match remember(&self.view).await {
            Ok(()) | Err(Error::NamespaceMissing { .. }) => {}
            Err(error) => self.progress.note(format!("what was applied is not on record: {error}")),
        }
    }

    /// Waits until all that is wanted is healthy; what is not, when the time is up.
    async fn healthy(&mut self, changes: &crate::live::watch::Changes, terminal: &mut Terminal) -> Vec<String> {
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

/// The kind that a step's object defines.
fn defined_kind(step: &Step) -> Option<GroupKind> {
    let object = step.action.object().filter(|_| step.key.kind == "CustomResourceDefinition")?;
    let text = |pointer| object.body.pointer(pointer).and_then(serde_json::Value::as_str);
    Some(GroupKind::new(text("/spec/group")?, text("/spec/names/kind")?))
}

/// Waits until a kind is served that was defined a moment ago: a little later than its definition says.
async fn served(cluster: &Cluster, step: &Step) {
    const AGAIN: Duration = Duration::from_millis(200);
    let began = Instant::now();
    while began.elapsed() < ESTABLISHED && cluster.resource(&step.key.group_kind(), &step.version).await.is_err() {
        tokio::time::sleep(AGAIN).await;
    }
}
