//! A sync on its way: [`Operation`] says what goes, this executes it and tells it what came of it.
//!
//! **In:** the machine, the cluster and its live view, what git wants. **Out:** the machine's answers; what was applied
//! goes into the [`Books`]. **May not:** wait for the cluster, record, or decide: the daemon and `leeboard sync` drive it
//! in loops of their own, since one writes statuses and the other a screen.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::error;

use super::execute::{self, Executed, Manner};
use super::machine::{Chore, Event, Failure, Next, Operation, Outcome};
use crate::live::LiveView;
use crate::live::client::{Cluster, Error};
use crate::live::watch::LiveStore;
use crate::object::{GroupKind, ObjectKey};
use crate::plan::desired::defines;
use crate::plan::{Action, Baseline, Desired, Hook, Inventory, Step};

/// How many objects of one sync are written at once; the pace of the cluster bounds all syncs together.
const AT_ONCE: usize = 32;
/// How long a CRD may take until it is served, before the sync goes on without it.
const ESTABLISHED: Duration = Duration::from_secs(10);

/// Where a sync takes place, and what git wants there.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// How requests reach it.
    pub cluster: &'a Cluster,
    /// What is known of it; answers of writes go in at once.
    pub store: &'a LiveStore,
    /// What git wants.
    pub desired: &'a Desired,
}

/// What is kept about applied objects when the sync has ended.
pub struct Books<'a> {
    /// What was applied, for later prunes.
    pub inventory: &'a mut Inventory,
    /// Of each object its last apply.
    pub baselines: &'a mut BTreeMap<ObjectKey, Baseline>,
}

/// Who looks on while steps are executed.
pub trait Onlooker {
    /// A step's request is about to leave.
    fn begins(&mut self, step: &Step);
    /// All that may go at once is on its way.
    fn is_under_way(&mut self);
    /// A step has ended, after this time.
    fn ended(&mut self, step: &Step, result: &Result<Outcome, Failure>, took: Duration);
}

/// A sync that is under way.
pub struct Course {
    machine: Operation,
    manner: Manner,
    /// What the machine has been told of the cluster.
    told: LiveView,
    /// What it has not been told yet.
    events: Vec<Event>,
    /// When waiting for an object gets too long.
    deadlines: BTreeMap<ObjectKey, Instant>,
}

impl Course {
    /// A sync that has not begun.
    pub fn new(machine: Operation, manner: Manner) -> Self {
        Course { machine, manner, told: LiveView::default(), events: Vec::new(), deadlines: BTreeMap::new() }
    }

    /// The machine, to be read.
    pub fn machine(&self) -> &Operation {
        &self.machine
    }

    /// How steps are executed.
    pub fn manner(&self) -> Manner {
        self.manner
    }

    /// The first answer. What is there now is told before the first step: what goes while that is executed would be
    /// waited for in vain.
    pub fn begin(&mut self, live: LiveView) -> Next {
        let first = self.machine.start();
        self.answer(Some(first), live)
    }

    /// Keeps an event until the machine is told.
    pub fn heed(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Tells the machine all that happened until now.
    pub fn tell(&mut self, live: LiveView) -> Next {
        self.answer(None, live)
    }

    /// The first answer that is not a wait counts: what follows one are waits for the steps it gave.
    fn answer(&mut self, first: Option<Next>, live: LiveView) -> Next {
        let mut next = first;
        let mut events = std::mem::take(&mut self.events);
        events.extend(self.news(live));
        for event in events {
            let answer = self.machine.on(event);
            if !matches!(next, Some(Next::Run(_) | Next::Done(_))) {
                next = Some(answer);
            }
        }
        next.unwrap_or_else(|| self.machine.start())
    }

    /// What the live view has seen since the machine was told last.
    fn news(&mut self, live: LiveView) -> Vec<Event> {
        let is_told =
            |key: &ObjectKey, record| self.told.records.get(key).is_some_and(|told| Arc::ptr_eq(told, record));
        let seen = live.records.iter().filter(|(key, record)| !is_told(key, record));
        let mut events: Vec<Event> = seen.map(|(_, record)| Event::Seen(record.clone())).collect();
        for (key, told) in &self.told.records {
            if live.records.get(key).is_none_or(|record| record.uid != told.uid) {
                events.push(Event::Gone { key: key.clone(), uid: told.uid.clone() });
            }
        }
        self.told = live;
        events
    }

    /// Executes the steps of one answer, bounded, to their ends.
    pub async fn execute(
        &mut self,
        steps: Vec<Step>,
        site: Site<'_>,
        books: &mut Books<'_>,
        onlooker: &mut impl Onlooker,
    ) {
        let hashes: HashMap<&ObjectKey, u64> =
            site.desired.objects.iter().map(|wanted| (&wanted.object.key, wanted.hash)).collect();
        let defined: Arc<BTreeSet<GroupKind>> =
            Arc::new(site.desired.objects.iter().filter_map(|wanted| defines(&wanted.object)).collect());
        let mut waiting = steps.into_iter();
        let mut running: JoinSet<(Step, Executed, Duration)> = JoinSet::new();
        let mut keys = HashMap::new();
        loop {
            while running.len() < AT_ONCE
                && let Some(step) = waiting.next()
            {
                onlooker.begins(&step);
                if matches!(step.action, Action::Hook(_)) {
                    self.deadlines.insert(step.key.clone(), Instant::now() + Hook::LIMIT);
                }
                let key = step.key.clone();
                let task = run(site.cluster.clone(), step, self.manner, defined.clone());
                keys.insert(running.spawn(task).id(), key);
            }
            onlooker.is_under_way();
            match running.join_next().await {
                Some(Ok((step, executed, took))) => {
                    onlooker.ended(&step, &executed.result, took);
                    self.book(&step, executed, &hashes, site.store, books);
                }
                // The runtime has caught a panic: this step has failed, the others go on.
                Some(Err(error)) => {
                    error!(%error, "Internal error in a step");
                    let failure = Failure { message: format!("internal error: {error}"), is_transient: false };
                    let key = keys.remove(&error.id());
                    self.events.extend(key.map(|key| Event::Finished { key, result: Err(failure) }));
                }
                None => return,
            }
        }
    }

    fn book(
        &mut self,
        step: &Step,
        executed: Executed,
        hashes: &HashMap<&ObjectKey, u64>,
        store: &LiveStore,
        books: &mut Books<'_>,
    ) {
        let Executed { mut result, record } = executed;
        if let (Some(record), Some(object)) = (record, step.action.object()) {
            if !step.action.is_hook() {
                books.inventory.insert(&step.key, &record.uid);
                if let Some(projection) = record.projection {
                    let desired = hashes.get(&step.key).copied().unwrap_or_else(|| object.content_hash());
                    books.baselines.insert(step.key.clone(), Baseline::Applied { desired, projection });
                }
            }
            if defines(object).is_some() {
                self.deadlines.insert(step.key.clone(), Instant::now() + ESTABLISHED);
            }
            let uid = record.uid.clone();
            store.written(record);
            // A controller of ours may know more of it than the API server's answer.
            if let (Ok(Outcome::Applied { health, .. }), Some(known)) = (&mut result, store.get(&step.key))
                && known.uid == uid
            {
                health.clone_from(&known.health);
            }
        }
        if let (Action::Prune(_), Ok(_), false) = (&step.action, &result, self.manner.dry_run) {
            books.inventory.remove(&step.key);
            books.baselines.remove(&step.key);
        }
        self.events.push(Event::Finished { key: step.key.clone(), result });
    }

    /// When the first of the things that are waited for gets too late.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.values().min().copied()
    }

    /// Takes note of all that is too late by now.
    pub fn pass_deadlines(&mut self) {
        let now = Instant::now();
        let due = self.deadlines.extract_if(.., |_, at| *at <= now);
        self.events.extend(due.map(|(key, _)| Event::Overdue(key)));
    }

    /// Does what is left to do for hooks when the sync has ended; what could not be done, with its hook.
    pub async fn tidy(&self, cluster: &Cluster) -> Vec<(ObjectKey, Error)> {
        let mut failed = Vec::new();
        if self.manner.dry_run {
            return failed;
        }
        for chore in self.machine.chores() {
            if let Err(error) = do_chore(cluster, &chore).await {
                let (Chore::Delete(hook) | Chore::Release(hook)) = chore;
                failed.push((hook.object.key.clone(), error));
            }
        }
        failed
    }
}

async fn do_chore(cluster: &Cluster, chore: &Chore) -> Result<(), Error> {
    let (Chore::Delete(hook) | Chore::Release(hook)) = chore;
    let (key, version) = (&hook.object.key, &hook.object.version);
    let Some(live) = cluster.find(key, version).await? else { return Ok(()) };
    match chore {
        Chore::Delete(_) => execute::delete_hook(cluster, key, version, &live).await.map(drop),
        Chore::Release(_) => execute::release_hook(cluster, key, version, &live).await,
    }
}

async fn run(
    cluster: Cluster,
    step: Step,
    manner: Manner,
    defined: Arc<BTreeSet<GroupKind>>,
) -> (Step, Executed, Duration) {
    let started = Instant::now();
    if defined.contains(&step.key.group_kind()) && !manner.dry_run {
        served(&cluster, &step).await;
    }
    let executed = execute::execute(&cluster, &step, &manner).await;
    (step, executed, started.elapsed())
}

/// Waits until a kind is served that this sync may have defined a moment ago: a little later than its definition says.
async fn served(cluster: &Cluster, step: &Step) {
    const AGAIN: Duration = Duration::from_millis(200);
    let deadline = Instant::now() + ESTABLISHED;
    while cluster.resource(&step.key.group_kind(), &step.version).await.is_err() && Instant::now() < deadline {
        sleep(AGAIN).await;
    }
}
