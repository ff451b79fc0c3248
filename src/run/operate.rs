//! One sync, from its first record to its last: drives `sync::machine` with what happens in the cluster.
//!
//! **In:** a [`Look`], what is to be done ([`Start`]). **Out:** a changed cluster; the operation's state in the
//! Application's status, written at its start, at each wave and at its end. **May not:** decide what goes when.
//!
//! The state is recorded before anything is written to the destination, so that a daemon that dies finds it and goes
//! on at the wave it names.

mod drive;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use smol_str::SmolStr;
use tracing::info;

use self::drive::{AFTER_ALL, Progress, Sync};
use super::Daemon;
use super::canaries;
use super::look::{self, Asked, Look, now};
use super::memory::Memory;
use super::queue::{Job, Priority};
use super::reconcile::{self, Clear, plan_conditions};
use crate::api::argo::{Application, ApplicationStatus, OperationPhase, OperationState, SyncOperation, SyncResult};
use crate::object::ObjectKey;
use crate::plan::{Action, Plan, Policy, Run, ShrinkGuard, Step};
use crate::sync::course::Course;
use crate::sync::decide::{Start, Trigger};
use crate::sync::event::Reason;
use crate::sync::execute::Manner;
use crate::sync::machine::{End, Operation};
use crate::sync::status::{self, Found};

/// How long the report of a plain sync may wait for others' applies.
const REPORT_WITHIN: Duration = Duration::from_secs(1);
/// Before a sync is resumed: until canaries are known, when their kind cannot be listed.
const CANARIES_WITHIN: Duration = Duration::from_secs(5);

/// Carries out an operation; when to look again.
pub async fn run(
    daemon: &Arc<Daemon>,
    application: &Arc<Application>,
    memory: &mut Memory,
    look: Look,
    start: Start,
    job: &Job,
) -> Option<Duration> {
    let sync = start.operation.sync.clone().unwrap_or_default();
    let look = match look_asked(daemon, application, memory, look, &sync).await {
        Ok(look) => look,
        Err(message) => {
            let mut status = application.status.clone().unwrap_or_default();
            refuse(&mut status, application, &message, now());
            daemon.write_status(application, status, Clear::refresh(application).with_operation(), memory).await;
            return None;
        }
    };
    let begun = application.status.as_ref().and_then(|status| status.operation_state.as_ref());
    let resumed = begun.filter(|_| start.trigger == Trigger::Resume);
    let started = resumed.and_then(|state| state.started_at.clone()).unwrap_or(Time(now()));
    let policy = policy(application, &sync, started.0);
    let mut state = OperationState {
        operation: start.operation.clone(),
        phase: OperationPhase::Running,
        message: String::new(),
        sync_result: Some(sync_result(application, &look)),
        started_at: Some(started),
        finished_at: None,
        retry_count: (start.retry > 0).then_some(start.retry.into()),
    };
    let order = Order { daemon, application, look: &look, policy: &policy, start: &start, job };
    // At shutdown, or when it can't be recorded, the record stays as it is: who comes next goes on there. In boxes:
    // what is only needed while steps are executed must not be held by all who wait to report.
    let (end, is_repeatable) = Box::pin(order.carry_out(memory, &mut state)).await?;
    if end == End::Succeeded
        && let Some(noticed) = daemon.repositories.answered(application.name())
    {
        daemon.metrics.push_applied(noticed.elapsed());
    }
    // What changes clusters goes before what reports it; who dies meanwhile does the same sync again, without effect.
    if is_repeatable {
        job.aside(daemon.cluster.pace().lull(REPORT_WITHIN)).await;
    }
    Box::pin(order.finish(memory, state, end)).await
}

/// An operation that is to be carried out.
struct Order<'a> {
    daemon: &'a Arc<Daemon>,
    application: &'a Arc<Application>,
    look: &'a Look,
    policy: &'a Policy,
    start: &'a Start,
    job: &'a Job,
}

impl Order<'_> {
    /// To the end of the last step; true beside it when the sync can simply be done again.
    async fn carry_out(&self, memory: &mut Memory, state: &mut OperationState) -> Option<(End, bool)> {
        let Order { daemon, application, look, start, .. } = *self;
        let is_resumed = start.trigger == Trigger::Resume;
        let progress = memory.progress.as_deref().and_then(Progress::parse).filter(|_| is_resumed);
        let run = Run {
            revision: look.revisions().first().cloned().unwrap_or_default().into(),
            started: state.started_at.as_ref().map_or(0, |started| started.0.as_second()),
            attempt: start.retry,
            resumed: progress.as_ref().map(|progress| progress.plan),
        };
        let plan = look.proved_plan(daemon, memory, self.policy, &run).await;
        let plan_hash = progress.as_ref().map_or(plan.hash, |progress| progress.plan);
        let sync = start.operation.sync.as_ref();
        let manner = Manner {
            dry_run: sync.is_some_and(|sync| sync.dry_run),
            force: sync.is_some_and(SyncOperation::is_forced),
        };
        let machine = match &progress {
            Some(progress) if progress.is_over => Operation::resume(plan.clone(), AFTER_ALL),
            Some(progress) => Operation::resume(plan.clone(), progress.at),
            None => Operation::new(plan.clone()),
        };
        if is_resumed {
            daemon.canaries.settled(CANARIES_WITHIN).await;
        }
        let guarded = if manner.dry_run { BTreeSet::new() } else { guarded(daemon, look, &plan) };
        let is_repeatable = guarded.is_empty() && is_repeatable(&plan);
        let guards = guarded.iter().flat_map(|key| daemon.canaries.guards(key)).collect();
        let machine = machine.guarded(guarded, guards);
        announce_start(daemon, application, start, &plan, look).await;
        let is_repeatable = is_repeatable && matches!(start.trigger, Trigger::Commit | Trigger::SelfHeal);
        let mut sync = Sync {
            daemon,
            application,
            memory,
            look,
            course: Course::new(machine, manner),
            state,
            plan: &plan,
            plan_hash,
            is_repeatable,
            recorded: None,
            is_confirmed: false,
            job: self.job,
        };
        let end = sync.drive().await?;
        if end == End::Succeeded && !manner.dry_run {
            daemon.previews.note_executed(application.name(), look.revisions(), plan_hash);
        }
        Some((end, is_repeatable))
    }

    /// Records the end, and whether and when there is another try.
    async fn finish(&self, memory: &mut Memory, mut state: OperationState, end: End) -> Option<Duration> {
        let Order { daemon, application, look, policy, start, .. } = *self;
        let now = now();
        let is_dry_run = state.operation.sync.as_ref().is_some_and(|sync| sync.dry_run);
        let is_selective = state.operation.sync.as_ref().is_some_and(SyncOperation::is_selective);
        let progress = memory.progress.take();
        let mut again = None;
        state.finished_at = Some(Time(now));
        let (phase, reason) = match &end {
            End::Succeeded => (OperationPhase::Succeeded, Reason::OperationCompleted),
            End::Superseded => (OperationPhase::Failed, Reason::OperationSuperseded),
            End::Failed(_) | End::Terminated(_) => (OperationPhase::Failed, Reason::OperationFailed),
            End::Refused { .. } => (OperationPhase::Failed, Reason::OperationFailed),
        };
        state.phase = phase;
        let may_retry = match &end {
            End::Failed(failed) => failed.iter().any(|failed| failed.failure.is_transient),
            End::Refused { is_transient } => *is_transient,
            _ => false,
        };
        if may_retry && state.operation.retry.allows(start.retry) && !is_dry_run {
            let wait = state.operation.retry.backoff(start.retry);
            let at =
                now.checked_add(k8s_openapi::jiff::SignedDuration::try_from(wait).unwrap_or_default()).unwrap_or(now);
            state.phase = OperationPhase::Running;
            state.retry_count = Some(i64::from(start.retry) + 1);
            let clock = at.strftime("%-I:%M%p");
            state.message = format!("{}. Retrying attempt #{} at {clock}.", state.message, start.retry + 1);
            again = Some(wait);
        } else if start.retry > 0 && phase != OperationPhase::Succeeded {
            state.message = format!("{} (retried {} times).", state.message, start.retry);
        }
        if let End::Failed(failed) = &end {
            let tried: Vec<_> = failed.iter().map(|failed| &failed.key).filter(|key| is_tried(daemon, key)).collect();
            if !tried.is_empty() {
                state.message = canaries::blamed(daemon, look, &tried, &state.message);
            }
        }
        let newest = daemon.written.application(application.name());
        let application = newest.as_ref().unwrap_or(application);
        let run = Run { revision: SmolStr::default(), started: 0, attempt: 0, resumed: None };
        let whole = Policy { selection: Vec::new(), ..policy.clone() };
        let plan = look.plan(daemon, memory, &look.live(), &whole, &run);
        let mut status = found(application, look, &plan, memory);
        if end == End::Succeeded && !is_dry_run && !is_selective {
            status::remember(&mut status, application, &state);
        }
        daemon.metrics.synced(if end == End::Superseded { "Superseded" } else { state.phase.as_str() });
        info!(application = application.name(), phase = state.phase.as_str(), message = %state.message, "Sync ended");
        daemon.event(application, reason, &state.message).await;
        let waits_for_retry = state.phase == OperationPhase::Running;
        status.operation_state = Some(state);
        let clear = Clear::refresh(application);
        let clear = if waits_for_retry { clear } else { clear.with_operation() };
        if !daemon.write_status(application, status, clear, memory).await {
            // To the cluster's knowledge it still runs: it is resumed where it ended, and recorded then.
            memory.progress = progress;
            return None;
        }
        // What was seen of the cluster meanwhile has pushed the queue already. A newer commit goes before it; of a failure
        // the next look says whether there is another attempt.
        match end {
            End::Succeeded => {}
            End::Superseded => daemon.queue.push(application.name(), Priority::Push),
            _ if again.is_none() => daemon.queue.push(application.name(), Priority::Timer),
            _ => {}
        }
        again
    }
}

/// What of a plan a canary stands before: its word is the end of the sync.
fn guarded(daemon: &Daemon, look: &Look, plan: &Plan) -> BTreeSet<ObjectKey> {
    if look.cluster.server() != daemon.cluster.server() {
        return BTreeSet::new();
    }
    let steps = plan.stages.values().flat_map(crate::plan::Stage::steps);
    let keys = steps.map(|step| &step.key).filter(|key| is_tried(daemon, key));
    keys.cloned().collect()
}

/// A canary tries new versions of it.
fn is_tried(daemon: &Daemon, object: &ObjectKey) -> bool {
    !daemon.canaries.guards(object).is_empty()
}

/// True when a sync leaves nothing to be remembered but what the objects themselves show.
fn is_repeatable(plan: &Plan) -> bool {
    let is_apply = |step: &Step| matches!(step.action, Action::Create(_) | Action::Apply(_) | Action::Keep);
    plan.stages.len() <= 1 && plan.steps().all(|(_, _, step)| is_apply(step))
}

/// The look that the operation asks for: the one at hand, unless it names revisions or sources of its own.
async fn look_asked(
    daemon: &Arc<Daemon>,
    application: &Arc<Application>,
    memory: &mut Memory,
    look: Look,
    sync: &SyncOperation,
) -> Result<Look, String> {
    let revisions = if sync.revisions.is_empty() { vec![sync.revision.clone()] } else { sync.revisions.clone() };
    let sources = if sync.sources.is_empty() { sync.source.iter().cloned().collect() } else { sync.sources.clone() };
    let known = look.revisions();
    let same = revisions.iter().enumerate().all(|(i, revision)| {
        revision.is_empty() || known.get(i) == Some(revision) || {
            let source = look.application.spec.sources().get(i).copied();
            source.is_some_and(|source| source.revision() == revision)
        }
    });
    let options = sync.options();
    if same && sources.is_empty() && options.create_namespace == application.spec.sync_options().create_namespace {
        return Ok(look);
    }
    let asked = Asked { sources, revisions, refresh: None, create_namespace: Some(options.create_namespace) };
    look::look(daemon, application, memory, &asked).await.map_err(|trouble| trouble.message)
}

fn policy(application: &Application, sync: &SyncOperation, started: Timestamp) -> Policy {
    let spec = &application.spec;
    let is_automated = |automated: &crate::api::argo::Automated| automated.allow_empty;
    Policy {
        prune: sync.prune,
        allow_empty: spec.automated().is_none_or(is_automated),
        options: sync.options(),
        selection: sync.resources.clone(),
        hooks: sync.runs_hooks(),
        force: sync.is_forced(),
        shrink: Some(ShrinkGuard::default()),
        confirmed: reconcile::confirmed(application),
        deletion_approved: reconcile::deletion_approved(application).filter(|time| *time >= started.as_second()),
        namespace_metadata: spec.sync_policy.as_ref().and_then(|policy| policy.managed_namespace_metadata.clone()),
        ..Policy::default()
    }
}

fn sync_result(application: &Application, look: &Look) -> SyncResult {
    let several = application.spec.has_several_sources();
    let revisions = look.revisions();
    SyncResult {
        revision: if several { String::new() } else { revisions.first().cloned().unwrap_or_default() },
        revisions: if several { revisions } else { Vec::new() },
        source: if several { None } else { application.spec.source.clone() },
        sources: if several { application.spec.sources.clone() } else { Vec::new() },
        ..SyncResult::default()
    }
}

/// An operation that can't even begin.
pub fn refuse(status: &mut ApplicationStatus, application: &Application, message: &str, now: Timestamp) {
    let Some(operation) = application.operation.clone() else { return };
    status.operation_state = Some(OperationState {
        operation,
        phase: OperationPhase::Error,
        message: message.into(),
        started_at: Some(Time(now)),
        finished_at: Some(Time(now)),
        ..OperationState::default()
    });
}

fn found(application: &Application, look: &Look, plan: &Plan, memory: &Memory) -> ApplicationStatus {
    let mut conditions = look.content.warnings.clone();
    conditions.extend(plan_conditions(plan, memory));
    status::compared(
        application,
        &Found {
            revisions: &look.revisions(),
            plan: Some(plan),
            conditions,
            source_types: look.content.source_types.clone(),
            images: look.content.images.clone(),
            is_app_of_apps: look.content.is_app_of_apps(),
            resolved: true,
            now: now(),
        },
    )
}

async fn announce_start(daemon: &Daemon, application: &Application, start: &Start, plan: &Plan, look: &Look) {
    let counts = plan.counts();
    let commit = look.commits.first().map(crate::git::Commit::short).unwrap_or_default();
    info!(application = application.name(), %commit, apply = counts.apply, prune = counts.prune, trigger = ?start.trigger, "Sync begins");
    let message = match start.trigger {
        Trigger::SelfHeal => format!("repairing {} objects that differ from {commit}", counts.apply + counts.prune),
        _ => format!("sync to {commit}: {} to apply, {} to prune", counts.apply, counts.prune),
    };
    // The beginning of a sync that git asked for is told by its end, milliseconds later as a rule.
    match start.trigger {
        Trigger::SelfHeal => daemon.event(application, Reason::DriftRepaired, &message).await,
        Trigger::Person => daemon.event(application, Reason::OperationStarted, &message).await,
        Trigger::Commit | Trigger::Retry | Trigger::Resume => {}
    }
}
