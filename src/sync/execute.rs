//! Executes the steps of a plan against a cluster, one call each.
//!
//! **In:** a [`Step`], which carries the project's permit. **Out:** what became of it, and the record for the live
//! view. **May not:** choose steps or order: `sync::machine` does.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::apply::{self, Done};
use super::machine::{Failure, Outcome};
use super::repair::FieldPath;
use crate::live::Record;
use crate::live::client::{ApplyOptions, Cluster, DeleteOptions, Deleted, Error, Part, Propagation};
use crate::object::{Object, ObjectKey, annotation, secret};
use crate::plan::{Action, Hook, Step};

/// What a step has led to.
#[derive(Debug)]
pub struct Executed {
    /// For the machine.
    pub result: Result<Outcome, Failure>,
    /// The object as the API server's answer shows it, when something was written.
    pub record: Option<Record>,
}

impl Executed {
    fn outcome(outcome: Outcome) -> Self {
        Executed { result: Ok(outcome), record: None }
    }
}

/// How an operation executes its steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Ask, change nothing.
    pub dry_run: bool,
    /// Delete and create what cannot be changed in place, all of it.
    pub force: bool,
}

/// Executes one step.
pub async fn execute(cluster: &Cluster, step: &Step, manner: &Manner) -> Executed {
    let executed = match &step.action {
        Action::Keep => return Executed::outcome(Outcome::Gone),
        Action::Create(object) => write(cluster, object, step, manner, Adopt::Yes).await,
        Action::Apply(object) => write(cluster, object, step, manner, Adopt::No).await,
        Action::Replace(object) => replace(cluster, object, manner).await,
        Action::Recreate(object) => recreate(cluster, object, manner).await,
        Action::Hook(hook) => write(cluster, &hook.object, step, manner, Adopt::No).await,
        Action::ClearHook(hook) => return deleted(clear_hook(cluster, hook, step, manner).await, step),
        Action::Prune(victim) => {
            let propagation = match victim.propagation() {
                crate::api::argo::Propagation::Foreground => Propagation::Foreground,
                crate::api::argo::Propagation::Background => Propagation::Background,
                crate::api::argo::Propagation::Orphan => Propagation::Orphan,
            };
            let options = DeleteOptions { uid: Some(victim.uid().clone()), propagation, dry_run: manner.dry_run };
            let answer = cluster.delete(victim.key(), victim.version(), &options).await;
            return deleted(answer.map(|deleted| (deleted, victim.uid().to_string())), step);
        }
    };
    match executed {
        Ok(done) => {
            let record = done.applied.record;
            let outcome = Outcome::Applied {
                uid: record.uid.clone(),
                resource_version: record.resource_version.clone(),
                generation: record.generation,
                health: record.health.clone(),
                message: message(&step.key, &done.dropped, &done.applied.warnings),
            };
            Executed { result: Ok(outcome), record: (!manner.dry_run).then_some(record) }
        }
        Err(error) => {
            let object = step.action.object().map(AsRef::as_ref);
            Executed { result: Err(failure(&error, &step.key, object)), record: None }
        }
    }
}

/// Whether an object that is not in the live view may be there all the same, made by somebody else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Adopt {
    Yes,
    No,
}

async fn write(cluster: &Cluster, object: &Object, step: &Step, manner: &Manner, adopt: Adopt) -> Result<Done, Error> {
    let options = ApplyOptions {
        dry_run: manner.dry_run,
        force: true,
        manager: None,
        want_body: adopt == Adopt::Yes && !manner.dry_run,
    };
    let answer = apply::apply(cluster, object, &options).await;
    let done = match answer {
        // Only what cannot be changed: after any other mistake there would be nothing in the old one's place.
        Err(Error::Invalid { immutable: true, .. }) if manner.force || step.options.force => {
            return recreate(cluster, object, manner).await;
        }
        other => other?,
    };
    let is_theirs = |live: &Value| apply::migration(live, &object.api_version()).is_some();
    if step.options.client_side_apply_migration == Some(false) || !done.applied.body.as_ref().is_some_and(is_theirs) {
        return Ok(done);
    }
    // Its fields were client-side apply's. Once they are ours, what git does not have goes with the next apply.
    migrate(cluster, object, done.applied.body).await?;
    apply::apply(cluster, object, &ApplyOptions { want_body: false, ..options }).await
}

/// How often a migration begins anew because somebody else was faster: controllers write to what was just applied.
const MIGRATIONS: usize = 8;

async fn migrate(cluster: &Cluster, object: &Object, mut live: Option<Value>) -> Result<(), Error> {
    for attempt in 1.. {
        let patch = live.as_ref().and_then(|live| apply::migration(live, &object.api_version()));
        let Some(patch) = patch else { break };
        match cluster.json_patch(&object.key, &object.version, Part::Whole, &patch).await {
            Ok(_) => break,
            Err(Error::Invalid { .. } | Error::Conflict(_)) if attempt < MIGRATIONS => {
                live = cluster.find(&object.key, &object.version).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// PUT, then apply: what git does not have goes, and what it has is ours.
async fn replace(cluster: &Cluster, object: &Object, manner: &Manner) -> Result<Done, Error> {
    let options = ApplyOptions { dry_run: manner.dry_run, force: true, ..ApplyOptions::default() };
    if !manner.dry_run
        && let Some(live) = cluster.find(&object.key, &object.version).await?
    {
        let mut whole = object.clone();
        let version = live.pointer("/metadata/resourceVersion").cloned().unwrap_or(Value::Null);
        whole.metadata_mut().insert("resourceVersion".into(), version);
        cluster.replace(&whole, Part::Whole).await?;
    }
    apply::apply(cluster, object, &options).await
}

/// How long a recreated object's predecessor may take to go.
const GOING: Duration = Duration::from_secs(60);

async fn recreate(cluster: &Cluster, object: &Object, manner: &Manner) -> Result<Done, Error> {
    let options = ApplyOptions { dry_run: manner.dry_run, force: true, ..ApplyOptions::default() };
    // A CRD's objects and a namespace's content would go with it.
    let is_precious = matches!(object.key.kind.as_str(), "CustomResourceDefinition" | "Namespace");
    if manner.dry_run || is_precious {
        return apply::apply(cluster, object, &options).await;
    }
    let deletion = DeleteOptions { propagation: Propagation::Foreground, ..DeleteOptions::default() };
    match cluster.delete(&object.key, &object.version, &deletion).await {
        Ok(Deleted::Terminating) => {
            let deadline = Instant::now() + GOING;
            while cluster.find(&object.key, &object.version).await?.is_some() && Instant::now() < deadline {
                sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(Deleted::Gone) | Err(Error::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    apply::apply(cluster, object, &options).await
}

/// Deletes what an earlier sync has left of a hook; its own instance, after a restart, is spared.
async fn clear_hook(cluster: &Cluster, hook: &Hook, step: &Step, manner: &Manner) -> Result<(Deleted, String), Error> {
    let Some(live) = cluster.find(&step.key, &step.version).await? else { return Ok((Deleted::Gone, String::new())) };
    let mark = live.pointer("/metadata/annotations").and_then(|annotations| annotations.get(annotation::PLAN));
    if mark.and_then(Value::as_str) == Some(hook.mark.as_str()) || manner.dry_run {
        return Ok((Deleted::Gone, String::new()));
    }
    delete_hook(cluster, &step.key, &step.version, &live).await
}

/// Deletes a hook in the foreground, without the finalizer that kept it until its result was seen.
///
/// # Errors
/// The API server's refusal.
pub async fn delete_hook(
    cluster: &Cluster,
    key: &ObjectKey,
    version: &str,
    live: &Value,
) -> Result<(Deleted, String), Error> {
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
    release_hook(cluster, key, version, live).await?;
    let options =
        DeleteOptions { uid: Some(uid.as_str().into()), propagation: Propagation::Foreground, dry_run: false };
    match cluster.delete(key, version, &options).await {
        Ok(deleted) => Ok((deleted, uid)),
        Err(Error::NotFound(_)) => Ok((Deleted::Gone, uid)),
        Err(error) => Err(error),
    }
}

/// Removes the finalizer that kept a hook until its result was seen.
///
/// # Errors
/// The API server's refusal.
pub async fn release_hook(cluster: &Cluster, key: &ObjectKey, version: &str, live: &Value) -> Result<(), Error> {
    let Some(finalizers) = live.pointer("/metadata/finalizers").and_then(Value::as_array) else { return Ok(()) };
    let kept: Vec<&Value> = finalizers.iter().filter(|finalizer| *finalizer != annotation::HOOK_FINALIZER).collect();
    if kept.len() == finalizers.len() {
        return Ok(());
    }
    let patch = json!({"metadata": {
        "finalizers": if kept.is_empty() { Value::Null } else { json!(kept) },
        "uid": live.pointer("/metadata/uid"),
    }});
    match cluster.merge_patch(key, version, Part::Whole, &patch).await {
        Ok(_) | Err(Error::NotFound(_) | Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn deleted(answer: Result<(Deleted, String), Error>, step: &Step) -> Executed {
    match answer {
        Ok((Deleted::Terminating, uid)) => Executed::outcome(Outcome::Deleting { uid: uid.into() }),
        // Another object of that name is there by now: ours is gone.
        Ok((Deleted::Gone, _)) | Err(Error::NotFound(_) | Error::Conflict(_)) => Executed::outcome(Outcome::Gone),
        Err(error) => Executed { result: Err(failure(&error, &step.key, None)), record: None },
    }
}

/// `deployment.apps/web serverside-applied`, as kubectl says it, and what a person should know.
fn message(key: &ObjectKey, dropped: &[FieldPath], warnings: &[String]) -> String {
    let kind = key.kind.to_lowercase();
    let group = if key.group.is_empty() { String::new() } else { format!(".{}", key.group) };
    let mut message = format!("{kind}{group}/{} serverside-applied", key.name);
    for path in dropped {
        message.push_str(&format!("; {path}: field not declared in schema, left out"));
    }
    for warning in warnings {
        message.push_str(&format!("; warning: {warning}"));
    }
    message
}

/// A refusal as a person may read it: the object, what is wrong, where the object was written; no secret.
pub fn failure(error: &Error, key: &ObjectKey, object: Option<&Object>) -> Failure {
    let secrets = object.map(secret::values).unwrap_or_default();
    let words = error.message().map(|message| secret::redact_answer(message, key, &secrets)).filter(|w| !w.is_empty());
    let place =
        object.and_then(|object| object.origin.as_ref()).map(|origin| format!(" ({origin})")).unwrap_or_default();
    let message = match words {
        Some(words) => format!("{key}: {error}: {words}{place}"),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{key}: {error}: {source}{place}"),
            None => format!("{key}: {error}{place}"),
        },
    };
    // Rights and policies are given by people, or by another object of the same sync: no commit need follow.
    let may_be_granted = matches!(error, Error::Forbidden(_) | Error::Unauthorized(_) | Error::AdmissionRefused { .. });
    Failure { message, is_transient: error.is_transient() || may_be_granted }
}
