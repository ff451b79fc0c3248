//! An Environment's one Application, and what the Environment says of itself.
//!
//! **In:** an [`Environment`], the Application that was made of it. **Out:** the Application, applied; the
//! Environment's status. **May not:** look at repositories or objects: the Application does.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use super::Daemon;
use super::queue::Priority;
use crate::api::argo::{Application, ApplicationStatus, OperationPhase, SyncStatus};
use crate::api::leeboard::{Environment, EnvironmentStatus};
use crate::git::RepoUrl;
use crate::live::client::{ApplyOptions, Error, Part};
use crate::object::{Object, ObjectKey};
use crate::sync::status::merge_patch;

/// Works on Environments, one after another, until it is dropped.
pub(super) async fn work(daemon: Arc<Daemon>) {
    let slots = Arc::new(Semaphore::new(1));
    loop {
        let job = daemon.environments.pop(&slots).await;
        let Some(environment) = daemon.written.environment(&job.key) else { continue };
        if let Err(error) = reconcile(&daemon, &environment).await {
            warn!(environment = environment.name(), %error, "Environment not looked at");
            daemon.environments.push_after(&job.key, Priority::Timer, Duration::from_secs(5));
        }
    }
}

async fn reconcile(daemon: &Daemon, environment: &Environment) -> Result<(), Error> {
    let known = daemon.written.application(environment.name());
    let wanted = environment.root_application();
    let owner = environment.metadata.uid.as_deref();
    let is_applied = known.as_ref().is_some_and(|known| {
        let owned = known.metadata.owner_references.iter().flatten().any(|reference| Some(&*reference.uid) == owner);
        owned && known.spec == wanted.spec && !known.is_deleting()
    });
    if !is_applied && let Ok(object) = Object::from_value(application(environment), None) {
        info!(environment = environment.name(), "Application of the environment applied");
        let options = ApplyOptions { force: true, ..ApplyOptions::default() };
        daemon.cluster.apply(&object, &options).await?;
    }
    let subject = match RepoUrl::parse(&environment.spec.repo_url) {
        Ok(url) => {
            daemon.repositories.known_commit(&url, environment.spec.branch()).map(|commit| commit.subject.to_string())
        }
        Err(_) => None,
    };
    let previews = daemon.previews.trouble(environment);
    let images = daemon.images.trouble(environment.name());
    let after = status(environment, known.as_deref(), subject, Blocked { previews, images }, Timestamp::now());
    let as_value = |status: &EnvironmentStatus| serde_json::to_value(status).unwrap_or(Value::Null);
    let before = environment.status.as_ref().map_or_else(|| json!({}), as_value);
    let Some(change) = merge_patch(&before, &as_value(&after)) else { return Ok(()) };
    let key = ObjectKey {
        group: crate::api::LEEBOARD_GROUP.into(),
        kind: "Environment".into(),
        namespace: Some(environment.namespace().into()),
        name: environment.name().into(),
    };
    match daemon.cluster.merge_patch(&key, crate::api::VERSION, Part::Status, &json!({"status": change})).await {
        Ok(_) | Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The Application of an Environment, owned by it.
///
/// It has no finalizer: who deletes an Environment stops Leeboard from looking after the cluster directory, and
/// deletes nothing of what runs.
fn application(environment: &Environment) -> Value {
    let mut body = serde_json::to_value(environment.root_application()).unwrap_or(Value::Null);
    body["metadata"]["ownerReferences"] = json!([{
        "apiVersion": environment.api_version,
        "kind": environment.kind,
        "name": environment.name(),
        "uid": environment.metadata.uid.as_deref().unwrap_or_default(),
        "controller": true,
        "blockOwnerDeletion": false,
    }]);
    body
}

/// What is in the way of what an Environment does beside its Application.
#[derive(Clone, Debug, Default)]
pub struct Blocked {
    /// Of pull requests being told what they would change.
    pub previews: Option<String>,
    /// Of images following their registries.
    pub images: Option<String>,
}

/// What an Environment reports, from its Application; `subject` is the first line of the commit's message.
pub fn status(
    environment: &Environment,
    application: Option<&Application>,
    subject: Option<String>,
    blocked: Blocked,
    now: Timestamp,
) -> EnvironmentStatus {
    let found = application.and_then(|application| application.status.as_ref());
    let commit = found.map(|status| status.sync.revision.clone()).filter(|commit| !commit.is_empty());
    let (ready, reason, message) = readiness(environment, application);
    let condition = |kind: &str, status: &str, reason: &str, message: String| {
        let before = environment.status.as_ref().and_then(|status| status.conditions.iter().find(|c| c.type_ == kind));
        Condition {
            type_: kind.into(),
            status: status.into(),
            reason: reason.into(),
            message,
            observed_generation: environment.metadata.generation,
            last_transition_time: before
                .filter(|c| c.status == status)
                .map_or(Time(now), |c| c.last_transition_time.clone()),
        }
    };
    let blocked = [("PreviewBlocked", "NotTold", blocked.previews), ("ImagesBlocked", "NotSet", blocked.images)];
    let blocked = blocked.into_iter().filter_map(|(kind, reason, why)| Some(condition(kind, "True", reason, why?)));
    EnvironmentStatus {
        observed_generation: environment.metadata.generation,
        subject: subject.filter(|_| commit.is_some()),
        commit,
        sync: found.map(|status| status.sync.status),
        health: found.map(|status| status.health.clone()),
        conditions: std::iter::once(condition("Ready", ready, reason, message)).chain(blocked).collect(),
        application: Some(environment.name().to_owned()),
        // Others write it.
        promotion: environment.status.as_ref().and_then(|status| status.promotion.clone()),
    }
}

/// `Ready`'s status, reason and message.
fn readiness(environment: &Environment, application: Option<&Application>) -> (&'static str, &'static str, String) {
    if environment.spec.suspend {
        return ("False", "Suspended", "suspended: the cluster is left as it is".into());
    }
    let Some(status) = application.and_then(|application| application.status.as_ref()) else {
        return ("Unknown", "Pending", "not looked at yet".into());
    };
    if let Some(error) = status.conditions.iter().find(|condition| condition.is_error()) {
        return ("False", "Error", error.message.clone());
    }
    if let Some(operation) = &status.operation_state
        && operation.phase == OperationPhase::Running
    {
        return ("False", "Syncing", operation.message.clone());
    }
    match (status.sync.status, status.health.status.as_deref()) {
        (SyncStatus::Synced, Some("Healthy")) => ("True", "Synced", format!("at {}", short(&status.sync.revision))),
        (SyncStatus::Synced, Some(health)) => ("False", "NotHealthy", format!("{health}: {}", why(status, health))),
        (SyncStatus::OutOfSync, _) => ("False", "OutOfSync", "the cluster differs from git".into()),
        _ => ("Unknown", "Unknown", "git or the cluster could not be read".into()),
    }
}

/// The first of its objects that has this health and says why; else what the Application says of itself.
fn why(status: &ApplicationStatus, health: &str) -> String {
    let words = status.resources.iter().find_map(|resource| {
        let own = resource.health.as_ref().filter(|own| own.status.as_deref() == Some(health))?;
        (!own.message.is_empty()).then(|| format!("{}/{}: {}", resource.kind, resource.name, own.message))
    });
    words.unwrap_or_else(|| status.health.message.clone())
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
