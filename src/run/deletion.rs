//! The end of an Application: its objects go with it when its finalizer says so, the highest wave first.
//!
//! **In:** an Application that is being deleted. **Out:** deletions, one wave at a time, then its finalizers removed.
//! **May not:** delete what its inventory does not prove (G4), or anything while the view is not complete (G3).
//! Semantics: SEMANTICS a.8.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::{info, warn};

use super::look::now;
use super::memory::Memory;
use super::queue::Priority;
use super::{Daemon, destinations, reconcile};
use crate::api::argo::{AppProject, Application, Condition};
use crate::live::client::{self, DeleteOptions, Propagation};
use crate::live::record::KindVersion;
use crate::object::{GroupKind, annotation};
use crate::plan::{Owner, Project, prune};

/// How long to wait for the live view, or before trying again what failed.
const AGAIN: Duration = Duration::from_secs(5);

/// Takes the next step of a deletion; the end of each object brings the next.
pub async fn delete(daemon: &Arc<Daemon>, application: &Arc<Application>, memory: &mut Memory) {
    if application.cascade().is_none() {
        return;
    }
    match step(daemon, application, memory).await {
        Ok(Step::Done) => {
            info!(application = application.name(), "All its objects are gone");
            remove_finalizers(daemon, application).await;
        }
        Ok(Step::Waits) => {}
        Err(message) => {
            warn!(application = application.name(), message, "Deletion does not get on");
            let mut status = application.status.clone().unwrap_or_default();
            status.conditions.retain(|condition| condition.kind != Condition::DELETION);
            status.conditions.push(Condition {
                kind: Condition::DELETION.into(),
                message,
                last_transition_time: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now())),
            });
            daemon.write_status(application, status, reconcile::Clear::default(), memory).await;
            daemon.queue.push_after(application.name(), Priority::Timer, AGAIN);
        }
    }
}

enum Step {
    /// Nothing is left.
    Done,
    /// Objects are on their way out.
    Waits,
}

async fn step(daemon: &Daemon, application: &Application, memory: &mut Memory) -> Result<Step, String> {
    let resources = || application.status.iter().flat_map(|status| &status.resources);
    let target = match daemon.target(application, resources().map(|resource| &*resource.group)) {
        Ok(target) => target,
        // A destination that nobody knows can't be cleaned up: the finalizers go, the objects stay.
        Err(destinations::Error::Unknown(_) | destinations::Error::Missing) => return Ok(Step::Done),
        Err(error) => return Err(error.to_string()),
    };
    let owner = Owner::new(
        application.name(),
        application.namespace(),
        &application.tracking_name(&daemon.options.namespace),
        target.destination(&application.spec.destination),
    );
    let project = match daemon.written.project(application.spec.project()) {
        Some(Ok(project)) => Project::new(&project),
        _ if application.spec.project() == "default" => {
            Project::new(&AppProject::permissive(&daemon.options.namespace))
        }
        _ => return Err(format!("project `{}` does not exist", application.spec.project())),
    };
    let project = project.with_clusters(daemon.destinations.of_project(application.spec.project()));
    let kinds: BTreeSet<KindVersion> = resources()
        .filter(|resource| !resource.kind.is_empty())
        .map(|resource| KindVersion::new(GroupKind::new(&*resource.group, &*resource.kind), &*resource.version))
        .collect();
    target.store.watch(&kinds);
    target.store.settled(&kinds, AGAIN).await;
    let live = target.store.view(&owner.part_of, [], &kinds);
    let is_approved = reconcile::deletion_approved(application).is_some();
    let options = application.spec.sync_options();
    let deletion = prune::deletion(&live, &owner, &memory.inventory, &project, &options, is_approved)
        .map_err(|reasons| reasons.join("; "))?;
    let Some((_, victims)) = deletion.waves.first() else { return Ok(Step::Done) };
    let mut failed = Vec::new();
    for victim in victims {
        let is_going = live.records.get(victim.key()).is_some_and(|record| record.deleting);
        if is_going || victim.confirmation() == prune::Confirmation::Awaited {
            continue;
        }
        let options =
            DeleteOptions { uid: Some(victim.uid().clone()), propagation: propagation(application), dry_run: false };
        match target.cluster.delete(victim.key(), victim.version(), &options).await {
            Ok(client::Deleted::Gone) | Err(client::Error::NotFound(_) | client::Error::Conflict(_)) => {
                target.store.deleted(victim.key(), victim.uid());
                memory.inventory.remove(victim.key());
            }
            Ok(client::Deleted::Terminating) => {}
            Err(error) => failed.push(crate::sync::execute::failure(&error, victim.key(), None).message),
        }
    }
    if !failed.is_empty() {
        return Err(failed.join("; "));
    }
    // What is gone is told by the watch; what needed no waiting is looked at again at once.
    daemon.queue.push_after(application.name(), Priority::Drift, Duration::from_millis(200));
    Ok(Step::Waits)
}

fn propagation(application: &Application) -> Propagation {
    match application.cascade() {
        Some(crate::api::argo::Propagation::Background) => Propagation::Background,
        _ => Propagation::Foreground,
    }
}

async fn remove_finalizers(daemon: &Daemon, application: &Application) {
    let finalizers = application.metadata.finalizers.clone().unwrap_or_default();
    let others: Vec<_> =
        finalizers.into_iter().filter(|finalizer| !finalizer.starts_with(annotation::RESOURCES_FINALIZER)).collect();
    let finalizers = if others.is_empty() { Value::Null } else { json!(others) };
    daemon.patch_application(application, &json!({"metadata": {"finalizers": finalizers}})).await;
}
