//! One application, from the queue to its status: look, decide, sync, report.
//!
//! **In:** a job of the queue. **Out:** requests to the destination, the Application's status, Events, and when to
//! look again. **May not:** decide by itself: `plan`, `sync::decide` and `sync::machine` do.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::{debug, info, warn};

use super::Daemon;
use super::canaries;
use super::look::{self, Asked, Look, Trouble, now};
use super::memory::Memory;
use super::operate;
use super::promotions::Unapproved;
use super::queue::{Job, Priority};
use crate::api::argo::{Application, ApplicationStatus, Condition, SelectedResource, SyncStatus};
use crate::object::annotation;
use crate::plan::prune::Stays;
use crate::plan::{Plan, Policy, Run, ShrinkGuard};
use crate::sync::decide::{self, Decision, Situation};
use crate::sync::event::Reason;
use crate::sync::status::{self, Found};

/// Works on one application.
pub async fn reconcile(daemon: &Arc<Daemon>, job: &Job) {
    let name = job.key.as_str();
    let Some(application) = daemon.written.application(name) else {
        daemon.forget(name);
        return;
    };
    // A person's word: hands off, not even the status is written.
    if application.is_skipped() || daemon.destinations.is_paused(&application.spec.destination) {
        daemon.claims.looked(name, daemon.claims.now());
        return;
    }
    let application_environment = application.annotation(annotation::ENVIRONMENT).map(str::to_owned);
    let mut memory = daemon.take_memory(&application);
    if application.is_deleting() {
        daemon.claims.looked(name, daemon.claims.now());
        super::deletion::delete(daemon, &application, &mut memory).await;
    } else {
        let again = Reconciliation { daemon, application, memory: &mut memory, job }.run().await;
        daemon.claims.has_made(name);
        if let Some(delay) = again {
            daemon.queue.push_after(name, Priority::Timer, delay);
        }
    }
    daemon.put_memory(name, memory);
    // A branch that only promotions are about has moved, perhaps.
    if let Some(environment) = application_environment {
        daemon.promotions.look_at(&environment);
    }
}

/// How long a commit waits that a promotion may have brought, before it is asked again whether it is what was approved.
const APPROVAL_SETTLES: Duration = Duration::from_secs(1);
/// How long a sync that prunes waits for others to be looked at, before it asks again whether they were.
const CLAIMS_SETTLE: Duration = Duration::from_millis(50);

struct Reconciliation<'a> {
    daemon: &'a Arc<Daemon>,
    application: Arc<Application>,
    memory: &'a mut Memory,
    job: &'a Job,
}

impl Reconciliation<'_> {
    /// When to look again, when there is a reason to.
    async fn run(mut self) -> Option<Duration> {
        let asked = Asked { refresh: self.application.refresh(), ..Asked::default() };
        let look = match Box::pin(look::look(self.daemon, &self.application, self.memory, &asked)).await {
            Ok(look) => look,
            Err(trouble) => return self.report_trouble(&trouble).await,
        };
        let policy = automated_policy(&self.application);
        let run = idle_run(&look);
        self.memory.inventory.take_stock(&look.content.desired, &look.owner, &look.live());
        let plan = look.proved_plan(self.daemon, self.memory, &policy, &run).await;
        let revisions = look.revisions();
        let unapproved = match self.daemon.not_as_approved(&self.application, &look.commits) {
            Some(Unapproved::NotKnown) => return Some(APPROVAL_SETTLES),
            Some(Unapproved::Changed(why)) => Some(why),
            None => None,
        };
        let decision = self.decide(&plan, &revisions, unapproved);
        debug!(application = self.application.name(), ?decision, "Decided");
        match decision {
            // Another application may want by now what this one would prune: a moment later it is known.
            Decision::Start(_) if plan.counts().prune > 0 && !self.daemon.claims.are_known(self.application.name()) => {
                Some(CLAIMS_SETTLE)
            }
            Decision::Start(start) => {
                // In boxes both: what only waits would carry the state of the largest else.
                let sync = operate::run(self.daemon, &self.application, self.memory, look, *start, self.job);
                let again = Box::pin(sync).await;
                self.application = self.daemon.written.application(self.application.name())?;
                again
            }
            decision => self.report(&look, &plan, decision).await,
        }
    }

    fn decide(&self, plan: &Plan, revisions: &[String], unapproved: Option<String>) -> Decision {
        let differing = || plan.resources.iter().filter(|r| r.counts && r.status == SyncStatus::OutOfSync);
        let out_of_sync: Vec<_> = differing()
            .map(|resource| SelectedResource {
                group: resource.key.group.to_string(),
                kind: resource.key.kind.to_string(),
                name: resource.key.name.to_string(),
                namespace: resource.key.namespace.as_deref().unwrap_or_default().to_owned(),
            })
            .collect();
        let transient = plan.refusals.iter().filter(|refusal| refusal.is_transient()).map(ToString::to_string);
        let waits_for: Vec<_> = transient.chain(unapproved).collect();
        let waits_for = (!waits_for.is_empty()).then(|| waits_for.join("; "));
        decide::decide(&Situation {
            application: &self.application,
            revisions,
            status: plan.sync_status(),
            only_prunes: differing().all(|resource| resource.requires_pruning),
            waits_for: waits_for.as_deref(),
            is_noop: plan.is_noop(),
            is_suspended: self.daemon.environment_above(&self.application).is_some_and(|above| above.spec.suspend),
            would_empty: plan.refusals.iter().any(|refusal| matches!(refusal, crate::plan::Refusal::WouldEmpty)),
            out_of_sync: &out_of_sync,
            now: now(),
        })
    }

    /// Nothing is synced now: says how things stand.
    async fn report(&mut self, look: &Look, plan: &Plan, decision: Decision) -> Option<Duration> {
        let mut conditions = look.content.warnings.clone();
        conditions.extend(plan_conditions(plan, self.memory));
        let mut again = None;
        match decision {
            Decision::Blocked(message) => {
                let message = canaries::answered(self.daemon, look, message);
                conditions.push(decide::condition(&message, now()));
            }
            Decision::Later(wait) => again = Some(wait),
            Decision::Rest | Decision::Start(_) => {}
        }
        if plan.refusals.iter().any(crate::plan::Refusal::is_transient) {
            again = Some(Duration::from_secs(5));
        }
        let status = self.compared(look, Some(plan), conditions);
        self.announce(&status).await;
        // Whatever was pushed, nothing is applied for it now.
        self.daemon.repositories.answered(self.application.name());
        self.daemon.write_status(&self.application, status, Clear::refresh(&self.application), self.memory).await;
        again
    }

    fn compared(&self, look: &Look, plan: Option<&Plan>, conditions: Vec<Condition>) -> ApplicationStatus {
        status::compared(
            &self.application,
            &Found {
                revisions: &look.revisions(),
                plan,
                conditions,
                source_types: look.content.source_types.clone(),
                images: look.content.images.clone(),
                is_app_of_apps: look.content.is_app_of_apps(),
                resolved: self.application.refresh().is_some(),
                now: now(),
            },
        )
    }

    /// Git or the cluster can't be read: what is applied stays, and the condition says why.
    async fn report_trouble(&mut self, trouble: &Trouble) -> Option<Duration> {
        let known = self.application.status.as_ref().and_then(|status| status.condition(trouble.kind));
        if known.is_none_or(|known| known.message != trouble.message) {
            warn!(application = self.application.name(), message = %trouble.message, "Not compared");
            self.daemon.event(&self.application, Reason::ComparisonFailed, &trouble.message).await;
        }
        let mut status = status::compared(
            &self.application,
            &Found {
                revisions: &[],
                plan: None,
                conditions: vec![trouble.condition()],
                source_types: Vec::new(),
                images: Vec::new(),
                is_app_of_apps: false,
                resolved: self.application.refresh().is_some(),
                now: now(),
            },
        );
        // An operation that was asked for can't be carried out: that is its end.
        let clear = Clear::refresh(&self.application);
        let clear = if self.application.operation.is_some() {
            operate::refuse(&mut status, &self.application, &trouble.message, now());
            clear.with_operation()
        } else {
            clear
        };
        self.daemon.write_status(&self.application, status, clear, self.memory).await;
        trouble.again
    }

    /// Events on what changed between two looks without a sync.
    async fn announce(&self, status: &ApplicationStatus) {
        let before = self.application.status.as_ref();
        let health = |status: Option<&ApplicationStatus>| status.and_then(|status| status.health.status.clone());
        let (was, is) = (health(before), health(Some(status)));
        if let (Some(was), Some(is)) = (was, is)
            && was != is
        {
            let message = format!("{was} → {is} {}", status.health.message);
            info!(application = self.application.name(), was, is, "Health changed");
            self.daemon.event(&self.application, Reason::HealthChanged, message.trim()).await;
        }
        let was_synced = before.is_some_and(|status| status.sync.status == SyncStatus::Synced);
        if was_synced && status.sync.status == SyncStatus::OutOfSync {
            self.daemon.event(&self.application, Reason::DriftSeen, "the cluster differs from git").await;
        }
    }
}

/// How an application is synced when it is so by itself.
pub fn automated_policy(application: &Application) -> Policy {
    let spec = &application.spec;
    let automated = spec.automated();
    Policy {
        prune: automated.is_some_and(|automated| automated.prune),
        allow_empty: automated.is_none_or(|automated| automated.allow_empty),
        options: spec.sync_options(),
        hooks: true,
        shrink: Some(ShrinkGuard::default()),
        confirmed: confirmed(application),
        deletion_approved: deletion_approved(application),
        namespace_metadata: spec.sync_policy.as_ref().and_then(|policy| policy.managed_namespace_metadata.clone()),
        ..Policy::default()
    }
}

/// The plan that a person confirmed by an annotation.
pub fn confirmed(application: &Application) -> Option<crate::plan::PlanHash> {
    application.annotation(annotation::CONFIRM_PRUNE)?.parse().ok()
}

/// When a person approved deletions, in seconds since 1970.
pub fn deletion_approved(application: &Application) -> Option<i64> {
    let time: k8s_openapi::jiff::Timestamp = application.annotation(annotation::DELETION_APPROVED)?.parse().ok()?;
    Some(time.as_second())
}

/// The run of a plan that is only looked at.
pub fn idle_run(look: &Look) -> Run {
    let revision = look.commits.first().map(|commit| commit.id.to_string()).unwrap_or_default();
    Run { revision: revision.into(), started: 0, attempt: 0, resumed: None }
}

/// What a plan lets a person know.
pub fn plan_conditions(plan: &Plan, memory: &Memory) -> Vec<Condition> {
    let condition = |kind: &str, message: String| Condition { kind: kind.into(), message, last_transition_time: None };
    let mut conditions = Vec::new();
    for (key, other) in &plan.shared {
        let message = format!("{}/{} is part of applications {other} too", key.kind, key.name);
        conditions.push(condition(Condition::SHARED_RESOURCE, message));
    }
    let alarm = plan.withheld.iter().find_map(|withheld| match &withheld.reason {
        Stays::Guarded(alarm) => Some(alarm.to_string()),
        _ => None,
    });
    conditions.extend(alarm.map(|message| condition(Condition::SYNC, message)));
    if let Some(why) = &memory.damaged_inventory {
        let message =
            format!("nothing is pruned: {why}; remove the annotation {} to begin anew", annotation::INVENTORY);
        conditions.push(condition(Condition::SYNC, message));
    }
    conditions
}

/// What is removed from an Application together with a status.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clear {
    refresh: bool,
    operation: bool,
}

impl Clear {
    /// The refresh annotation, when it was there: its absence tells who asked that it is done.
    pub fn refresh(application: &Application) -> Self {
        Clear { refresh: application.refresh().is_some(), operation: false }
    }

    /// Also the operation.
    pub fn with_operation(self) -> Self {
        Clear { operation: true, ..self }
    }
}

impl Daemon {
    /// Writes what changed of an Application's status, and what else is durable about it, in one patch; nothing when
    /// nothing did. False when it could not be written.
    pub async fn write_status(
        &self,
        application: &Application,
        status: ApplicationStatus,
        clear: Clear,
        memory: &Memory,
    ) -> bool {
        let newest = self.written.application(application.name());
        let application = newest.as_deref().unwrap_or(application);
        let as_value = |status: &ApplicationStatus| serde_json::to_value(status).unwrap_or(Value::Null);
        let before = application.status.as_ref().map_or_else(|| json!({}), as_value);
        let mut patch = json!({});
        if let Some(change) = status::merge_patch(&before, &as_value(&status)) {
            patch["status"] = change;
        }
        let inventory = memory.inventory.encode();
        if memory.damaged_inventory.is_none() && application.annotation(annotation::INVENTORY) != Some(&inventory) {
            let is_first = application.annotation(annotation::INVENTORY).is_none();
            if !(is_first && memory.inventory.is_empty()) {
                patch["metadata"]["annotations"][annotation::INVENTORY] = inventory.into();
            }
        }
        let progress = memory.progress.as_deref();
        if application.annotation(annotation::PROGRESS) != progress {
            patch["metadata"]["annotations"][annotation::PROGRESS] = progress.map_or(Value::Null, Value::from);
        }
        if clear.refresh {
            patch["metadata"]["annotations"][annotation::REFRESH] = Value::Null;
        }
        if clear.operation && application.operation.is_some() {
            patch["operation"] = Value::Null;
        }
        if patch == json!({}) {
            return true;
        }
        self.patch_application(application, &patch).await
    }
}
