//! An Environment's one Application, and what the Environment says of itself.
//!
//! **In:** an [`Environment`], the Application that was made of it. **Out:** the Application as it is applied, the
//! Environment's status. **May not:** do I/O: `run::controller` applies and patches what comes out of here.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::argo::{Application, ApplicationSpec, Automated, OperationPhase, Source, SyncPolicy, SyncStatus};
use crate::api::leeboard::{Environment, EnvironmentStatus};
use crate::object::annotation;

/// The Application of an Environment: same name, same namespace, owned by it.
///
/// It has no finalizer: who deletes an Environment stops Leeboard from looking after the cluster directory, and
/// deletes nothing of what runs.
pub fn application(environment: &Environment) -> Value {
    let spec = &environment.spec;
    let sync_policy = spec.sync_policy.clone().unwrap_or_else(default_policy);
    let application = ApplicationSpec {
        source: Some(Source {
            repo_url: spec.repo_url.clone(),
            path: Some(spec.path().to_owned()),
            target_revision: Some(spec.branch().to_owned()),
            ..Source::default()
        }),
        destination: spec.destination(),
        project: spec.project().to_owned(),
        sync_policy: Some(if spec.suspend { suspended(sync_policy) } else { sync_policy }),
        ..ApplicationSpec::default()
    };
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": environment.name(),
            "namespace": environment.namespace(),
            "annotations": { annotation::ENVIRONMENT: environment.name() },
            "ownerReferences": [{
                "apiVersion": environment.api_version,
                "kind": environment.kind,
                "name": environment.name(),
                "uid": environment.metadata.uid.as_deref().unwrap_or_default(),
                "controller": true,
                "blockOwnerDeletion": false,
            }],
        },
        "spec": application,
    })
}

/// An Environment that says nothing keeps its cluster as git has it, deletions included.
fn default_policy() -> SyncPolicy {
    let automated = Automated { prune: true, self_heal: true, ..Automated::default() };
    SyncPolicy { automated: Some(automated), ..SyncPolicy::default() }
}

fn suspended(policy: SyncPolicy) -> SyncPolicy {
    let automated = policy.automated.map(|automated| Automated { enabled: Some(false), ..automated });
    SyncPolicy { automated, ..policy }
}

/// What an Environment reports, from its Application; `subject` is the first line of the commit's message.
pub fn status(
    environment: &Environment,
    application: Option<&Application>,
    subject: Option<String>,
    now: Timestamp,
) -> EnvironmentStatus {
    let found = application.and_then(|application| application.status.as_ref());
    let commit = found.map(|status| status.sync.revision.clone()).filter(|commit| !commit.is_empty());
    let (ready, reason, message) = readiness(environment, application);
    let before = environment.status.as_ref().and_then(|status| status.conditions.iter().find(|c| c.type_ == "Ready"));
    let last_transition_time =
        before.filter(|c| c.status == ready).map_or(Time(now), |c| c.last_transition_time.clone());
    EnvironmentStatus {
        observed_generation: environment.metadata.generation,
        subject: subject.filter(|_| commit.is_some()),
        commit,
        sync: found.map(|status| status.sync.status),
        health: found.map(|status| status.health.clone()),
        conditions: vec![Condition {
            type_: "Ready".into(),
            status: ready.into(),
            reason: reason.into(),
            message,
            observed_generation: environment.metadata.generation,
            last_transition_time,
        }],
        application: Some(environment.name().to_owned()),
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
        (SyncStatus::Synced, Some(health)) => ("False", "NotHealthy", format!("{health}: {}", status.health.message)),
        (SyncStatus::OutOfSync, _) => ("False", "OutOfSync", "the cluster differs from git".into()),
        _ => ("Unknown", "Unknown", "git or the cluster could not be read".into()),
    }
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
