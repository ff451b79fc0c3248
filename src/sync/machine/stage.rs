//! One wave under way: its batches one after another, then its gate.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use smol_str::SmolStr;

use crate::health::{Health, Verdict};
use crate::live::Record;
use crate::object::ObjectKey;
use crate::plan::prune::Confirmation;
use crate::plan::{Action, Hook, Permitted, Phase, Stage, Step, Wave, Why};

use super::report::{Results, Waiting, WaitsFor, name};
use super::{Failed, FailedBy, Failure, HookState, Outcome, keys};

/// Where a wave stands.
pub(super) enum Progress {
    /// These steps go now.
    Run(Vec<Step>),
    /// Steps are being executed.
    InFlight(Waiting),
    /// Nothing of it can be done before something happens in the cluster, or a person speaks.
    Blocked(Waiting),
    /// It is over, one way or the other.
    Ended,
}

/// A wave that has been begun.
#[derive(Debug)]
pub(super) struct Underway {
    pub(super) at: (Phase, Wave),
    /// What made it fail, since this was last taken.
    pub(super) failed: Vec<Failed>,
    batches: VecDeque<Vec<Step>>,
    in_flight: BTreeMap<ObjectKey, Step>,
    /// What the live view saw of objects whose step has not ended: the watch may be faster than the answer.
    early: BTreeMap<ObjectKey, Arc<Record>>,
    /// The same of what it saw go.
    early_gone: BTreeSet<(ObjectKey, SmolStr)>,
    /// Prunes that a person has to approve.
    to_confirm: BTreeSet<ObjectKey>,
    /// Old hooks that have to be gone before anything is created.
    clearing: BTreeMap<ObjectKey, SmolStr>,
    /// Hooks whose old instance could not be deleted: they don't run.
    blocked_hooks: BTreeSet<ObjectKey>,
    /// CRDs that have to be served before anything of their kinds is created.
    establishing: BTreeSet<ObjectKey>,
    /// Pruned objects that are not gone.
    going: BTreeMap<ObjectKey, SmolStr>,
    members: BTreeMap<ObjectKey, Member>,
    /// Objects that are waited for, whatever comes after.
    guarded: Guarded,
    waits_for_objects: bool,
    waits_for_deletions: bool,
    has_hooks: bool,
    has_failed: bool,
}

/// An object of the wave that is in the cluster.
#[derive(Debug)]
struct Member {
    uid: SmolStr,
    generation: i64,
    /// As it was applied; empty where it was not.
    resource_version: SmolStr,
    stands: Stands,
    /// What its health says; may be empty.
    message: Box<str>,
    hook: Option<Permitted<Hook>>,
}

impl Member {
    /// One that is in sync, as it was last seen, else as it was when the plan was made.
    fn kept(step: &Step, seen: Option<&Record>, expects: impl FnOnce(Stands) -> Stands) -> Self {
        let health = seen.map_or(step.health, |record| record.health.as_ref().map(|verdict| verdict.status));
        Member {
            uid: seen.map(|record| record.uid.clone()).unwrap_or_default(),
            generation: 0,
            resource_version: SmolStr::default(),
            stands: expects(stands(health, false)),
            message: seen
                .and_then(|record| record.health.as_ref())
                .map(|verdict| verdict.message.clone())
                .unwrap_or_default(),
            hook: None,
        }
    }
}

/// Objects that another of our controllers brings into service, step by step: a sync has not ended before that has, also
/// where nothing comes after them.
#[derive(Clone, Debug, Default)]
pub(super) struct Guarded {
    pub(super) keys: Arc<BTreeSet<ObjectKey>>,
    /// What stands for the controller: how it ends, they say.
    pub(super) guards: Arc<BTreeSet<ObjectKey>>,
    /// The sync had begun before: what has failed since then is its own failure.
    pub(super) is_resumed: bool,
}

impl Guarded {
    fn has(&self, key: &ObjectKey) -> bool {
        self.keys.contains(key)
    }

    fn is_new(&self, key: &ObjectKey) -> bool {
        self.has(key) && !self.is_resumed
    }
}

/// What an object's health means to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Passed,
    Waiting,
    Failed,
    /// Its failure has been counted: nothing is expected of it any more.
    Ended,
}

impl Underway {
    pub(super) fn new(
        at: (Phase, Wave),
        stage: Stage,
        guarded: Guarded,
        waits_for_objects: bool,
        waits_for_deletions: bool,
    ) -> Self {
        let awaits = |step: &&Step| matches!(&step.action, Action::Prune(victim) if victim.confirmation() == Confirmation::Awaited);
        let has_hooks = stage.has_hooks();
        let to_confirm = keys(stage.prunes.iter().filter(awaits));
        let batches = [stage.prunes, stage.clears].into_iter().chain(stage.groups);
        Underway {
            at,
            failed: Vec::new(),
            batches: batches.filter(|batch| !batch.is_empty()).collect(),
            in_flight: BTreeMap::new(),
            early: BTreeMap::new(),
            early_gone: BTreeSet::new(),
            to_confirm,
            clearing: BTreeMap::new(),
            blocked_hooks: BTreeSet::new(),
            establishing: BTreeSet::new(),
            going: BTreeMap::new(),
            members: BTreeMap::new(),
            guarded,
            waits_for_objects,
            waits_for_deletions,
            has_hooks,
            has_failed: false,
        }
    }

    /// A wave of hooks that run because something has failed: they are waited for, whatever comes after.
    pub(super) fn after_failure(at: (Phase, Wave), stage: Stage) -> Self {
        Underway::new(at, stage, Guarded::default(), false, false)
    }

    /// Steps are being executed.
    pub(super) fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    pub(super) fn has_hooks(&self) -> bool {
        self.has_hooks
    }

    /// It has objects that were waited for, whatever comes after.
    pub(super) fn has_guarded(&self) -> bool {
        self.members.keys().any(|key| self.guarded.has(key))
    }

    /// The hooks it has started.
    pub(super) fn hooks(&self) -> Vec<(Permitted<Hook>, HookState)> {
        let state = |member: &Member| match member.stands {
            Stands::Waiting => HookState::Running,
            Stands::Passed | Stands::Failed | Stands::Ended => HookState::Ended,
        };
        self.members.values().filter_map(|member| Some((member.hook.clone()?, state(member)))).collect()
    }

    pub(super) fn progress(
        &mut self,
        is_confirmed: bool,
        seen: &BTreeMap<ObjectKey, Arc<Record>>,
        results: &mut Results,
    ) -> Progress {
        if !self.in_flight.is_empty() {
            return Progress::InFlight(Waiting::new(WaitsFor::Answer, self.in_flight.keys().cloned().collect()));
        }
        if !is_confirmed && !self.to_confirm.is_empty() {
            return Progress::Blocked(Waiting::new(WaitsFor::Confirmation, self.to_confirm.clone()));
        }
        if !self.clearing.is_empty() {
            return Progress::Blocked(Waiting::new(WaitsFor::Deletion, self.clearing.keys().cloned().collect()));
        }
        if !self.batches.is_empty() && !self.establishing.is_empty() {
            return Progress::Blocked(Waiting::new(WaitsFor::Health, self.establishing.clone()));
        }
        while let Some(batch) = self.batches.pop_front() {
            let steps = self.begin(batch, seen, results);
            if !steps.is_empty() {
                return Progress::Run(steps);
            }
        }
        self.gate(results)
    }

    /// Takes note of a batch; what is in sync needs no execution.
    fn begin(&mut self, batch: Vec<Step>, seen: &BTreeMap<ObjectKey, Arc<Record>>, results: &mut Results) -> Vec<Step> {
        let mut steps = Vec::with_capacity(batch.len());
        for step in batch {
            match &step.action {
                Action::Keep => {
                    results.kept(&step, self.at.0);
                    // What had failed before this sync is no failure of it; unless it is a wave that waits for all.
                    let had_failed = self.guarded.is_new(&step.key) && !self.waits_for_objects;
                    let expects = |stands| if had_failed && stands == Stands::Failed { Stands::Ended } else { stands };
                    let member = Member::kept(&step, seen.get(&step.key).map(AsRef::as_ref), expects);
                    self.members.insert(step.key, member);
                }
                Action::Hook(_) if self.blocked_hooks.contains(&step.key) => {}
                _ => {
                    if !matches!(step.action, Action::ClearHook(_)) {
                        results.begun(&step, self.at.0);
                    }
                    self.in_flight.insert(step.key.clone(), step.clone());
                    steps.push(step);
                }
            }
        }
        steps
    }

    /// All of the wave has been tried: what has to be waited for before the next.
    fn gate(&mut self, results: &mut Results) -> Progress {
        self.fail_what_degraded(results);
        let waiting = |is_hook: bool| -> BTreeSet<ObjectKey> {
            let waiting = self.members.iter().filter(|(_, member)| member.stands == Stands::Waiting);
            waiting.filter(|(_, member)| member.hook.is_some() == is_hook).map(|(key, _)| key.clone()).collect()
        };
        let hooks = waiting(true);
        if !hooks.is_empty() {
            return Progress::Blocked(Waiting::new(WaitsFor::Hook, hooks));
        }
        for (key, _) in self.members.iter().filter(|(_, member)| member.stands == Stands::Passed) {
            results.passed(key, self.at.0);
        }
        if self.has_failed {
            return Progress::Ended;
        }
        let mut objects = waiting(false);
        objects.retain(|key| (self.waits_for_objects || self.guarded.has(key)) && !self.guarded.guards.contains(key));
        if !objects.is_empty() {
            return Progress::Blocked(Waiting::new(WaitsFor::Health, objects));
        }
        if self.waits_for_deletions && !self.going.is_empty() {
            return Progress::Blocked(Waiting::new(WaitsFor::Deletion, self.going.keys().cloned().collect()));
        }
        Progress::Ended
    }

    fn fail_what_degraded(&mut self, results: &mut Results) {
        let mut newly = Vec::new();
        for (key, member) in &mut self.members {
            let is_guarded = self.guarded.has(key);
            if self.guarded.guards.contains(key) {
                continue;
            }
            if member.stands == Stands::Failed && (member.hook.is_some() || self.waits_for_objects || is_guarded) {
                let message = match (&*member.message, &member.hook) {
                    ("", Some(_)) => format!("hook {} failed", name(key)),
                    ("", None) => format!("{} is degraded", name(key)),
                    (message, _) => message.to_owned(),
                };
                results.degraded(key, self.at.0, &message);
                // Failed once, it is not counted again.
                member.stands = Stands::Ended;
                // Who guards it has tried it: trying the same again is for a person to ask.
                newly.push((key.clone(), Failure { message, is_transient: !is_guarded }));
            }
        }
        for (key, failure) in newly {
            self.fail(key, failure, FailedBy::Completion);
        }
    }

    fn fail(&mut self, key: ObjectKey, failure: Failure, by: FailedBy) {
        let by = if self.at.0 == Phase::SyncFail { FailedBy::SyncFail } else { by };
        self.has_failed = true;
        self.failed.push(Failed { key, failure, by });
    }

    pub(super) fn finished(&mut self, key: &ObjectKey, result: Result<Outcome, Failure>, results: &mut Results) {
        let Some(step) = self.in_flight.remove(key) else { return };
        let early = self.early.remove(key);
        match result {
            Err(failure) => {
                results.failed(&step, self.at.0, &failure.message);
                if matches!(step.action, Action::ClearHook(_)) {
                    self.blocked_hooks.insert(key.clone());
                }
                let by = if step.why == Why::NamespaceWanted { FailedBy::Namespace } else { FailedBy::Apply };
                if by == FailedBy::Namespace {
                    // All that is left would fail for the same reason.
                    self.batches.clear();
                }
                self.fail(step.key, failure, by);
            }
            Ok(Outcome::Applied { uid, generation, resource_version, health, message }) => {
                results.applied(&step, self.at.0, &message);
                self.applied(step, uid, generation, resource_version, health.as_ref());
                if let Some(record) = early {
                    self.seen(&record);
                }
            }
            Ok(Outcome::Deleting { uid }) => {
                let gone = early.is_some_and(|record| record.uid != uid)
                    || self.early_gone.contains(&(step.key.clone(), uid.clone()));
                results.deleted(&step, self.at.0);
                match step.action {
                    _ if gone => {}
                    Action::ClearHook(_) => drop(self.clearing.insert(step.key, uid)),
                    _ => drop(self.going.insert(step.key, uid)),
                }
            }
            Ok(Outcome::Gone) => results.deleted(&step, self.at.0),
        }
    }

    fn applied(
        &mut self,
        step: Step,
        uid: SmolStr,
        generation: i64,
        resource_version: SmolStr,
        health: Option<&Verdict>,
    ) {
        let is_crd = step.key.kind == "CustomResourceDefinition" && step.key.group == "apiextensions.k8s.io";
        let hook = match step.action {
            Action::Hook(hook) => Some(hook),
            _ => None,
        };
        let stands = stands(health.map(|verdict| verdict.status), hook.is_some());
        if is_crd && stands == Stands::Waiting {
            self.establishing.insert(step.key.clone());
        }
        let message = health.map(|verdict| verdict.message.clone()).unwrap_or_default();
        self.members.insert(step.key, Member { uid, generation, resource_version, stands, message, hook });
    }

    /// A record of the live view. One from before the apply says nothing of what was applied, and is passed over.
    pub(super) fn seen(&mut self, record: &Arc<Record>) {
        if self.in_flight.contains_key(&record.key) {
            self.early.insert(record.key.clone(), record.clone());
            return;
        }
        let Some(member) = self.members.get_mut(&record.key) else { return };
        let is_other = !member.uid.is_empty() && member.uid != record.uid;
        // Not every kind has a generation.
        let is_early = record.generation < member.generation || record.is_before(&member.resource_version);
        if is_other || is_early || member.stands == Stands::Ended {
            return;
        }
        member.stands = stands(record.health.as_ref().map(|verdict| verdict.status), member.hook.is_some());
        member.message = record.health.as_ref().map(|verdict| verdict.message.clone()).unwrap_or_default();
        // Our finalizer holds a hook that somebody deletes while it runs: it would neither end nor go.
        if record.deleting && member.hook.is_some() && member.stands == Stands::Waiting {
            member.stands = Stands::Failed;
            member.message = format!("hook {} was deleted before it ended", name(&record.key)).into();
        }
        if member.stands == Stands::Passed {
            self.establishing.remove(&record.key);
        }
    }

    pub(super) fn gone(&mut self, key: &ObjectKey, uid: &SmolStr) {
        if self.in_flight.contains_key(key) {
            self.early_gone.insert((key.clone(), uid.clone()));
        }
        self.clearing.retain(|going, going_uid| going != key || going_uid != uid);
        self.going.retain(|going, going_uid| going != key || going_uid != uid);
        let Some(member) = self.members.get_mut(key) else { return };
        if !member.uid.is_empty() && member.uid != *uid {
            return;
        }
        // Argo CD waits for an object that is gone, and in vain; failing lets a retry bring it back.
        if member.stands == Stands::Waiting {
            member.stands = Stands::Failed;
            member.message = format!("Resource {} is missing, it might have been deleted", name(key)).into();
        }
    }

    pub(super) fn overdue(&mut self, key: &ObjectKey) {
        // Argo CD only logs that a CRD takes long: what needs it fails, and says so.
        self.establishing.remove(key);
        let Some(member) = self.members.get_mut(key) else { return };
        if member.hook.is_some() && member.stands == Stands::Waiting {
            member.stands = Stands::Ended;
            let message = format!("hook {} did not end in its time", name(key));
            self.fail(key.clone(), Failure { message, is_transient: true }, FailedBy::Completion);
        }
    }
}

/// What health means to the gate (SEMANTICS b.2, b.4).
fn stands(health: Option<Health>, is_hook: bool) -> Stands {
    match health {
        None | Some(Health::Healthy) => Stands::Passed,
        Some(Health::Degraded) => Stands::Failed,
        Some(Health::Unknown) if is_hook => Stands::Failed,
        Some(Health::Suspended | Health::Progressing | Health::Missing | Health::Unknown) => Stands::Waiting,
    }
}
