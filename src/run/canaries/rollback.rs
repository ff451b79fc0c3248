//! A version that failed, taken back in git: where the Environment asks for it, the commit that brought the version is
//! reverted on the environment branch.
//!
//! **In:** a canary at rest after a failure, the commit that its run began with. **Out:** one commit. **May not:** decide
//! that something has failed, or take back the same commit twice: git says whether that was done (`Mirror::revert`).

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::super::Daemon;
use super::super::look::now;
use super::see::Seen;
use super::tell;
use crate::api::argo::{Application, OperationPhase};
use crate::api::flagger::Canary;
use crate::api::leeboard::{Environment, Rollback};
use crate::canary::Revision;
use crate::canary::record::{Outcome, Record, State, Why};
use crate::git::{Oid, RepoUrl, Reverted};
use crate::object::ObjectKey;
use crate::object::event::{About, Event, Severity};

/// On a Canary: the commit that brought the version that is tried, or was tried last.
pub(super) const COMMIT: &str = "canary.leeboard.dev/commit";

/// Between two tries when a repository cannot be reached.
const PAUSE: Duration = Duration::from_secs(30);

/// What is left to do after a look at a failed canary.
pub(super) enum Left {
    Nothing,
    /// To try again after a while.
    Again(Duration),
}

/// The commit that brings the version which a decision begins to try, if it is one that may have to be taken back.
pub(super) fn brought_by(daemon: &Daemon, target: &ObjectKey, before: &Record, after: &Record) -> Option<String> {
    if tried(after).is_none() || tried(before) == tried(after) {
        return None;
    }
    let (application, _, source) = environment_of(daemon, target)?;
    let operation = application.status.as_ref()?.operation_state.as_ref()?;
    let result = operation.sync_result.as_ref().filter(|_| operation.phase == OperationPhase::Running)?;
    Some(result.revisions.get(source).unwrap_or(&result.revision).clone())
}

fn tried(record: &Record) -> Option<&Revision> {
    match &record.state {
        State::Waiting(candidate) => Some(&candidate.revision),
        State::Analysing(run) => Some(&run.versions.applied),
        _ => None,
    }
}

/// The Application that applies an object, the Environment whose branch it follows and whose failures are taken back, and
/// by which of its sources it follows it.
fn environment_of(daemon: &Daemon, target: &ObjectKey) -> Option<(Arc<Application>, Arc<Environment>, usize)> {
    let record = daemon.destinations.own().store.get(target)?;
    let application = daemon.application_of(record.part_of.as_deref()?)?;
    let application = daemon.written.application(&application)?;
    let environments = daemon.written.environments();
    let sources = application.spec.sources();
    let found = sources.iter().enumerate().find_map(|(number, source)| {
        let follows = |environment: &&Arc<Environment>| {
            let spec = &environment.spec;
            let takes_back = spec.canary.as_ref().is_some_and(|canary| canary.rollback == Rollback::Revert);
            takes_back && is_same(&spec.repo_url, &source.repo_url) && spec.branch() == source.revision()
        };
        Some((environments.iter().find(follows)?.clone(), number))
    });
    let (environment, source) = found?;
    Some((application, environment, source))
}

fn is_same(one: &str, other: &str) -> bool {
    match (RepoUrl::parse(one), RepoUrl::parse(other)) {
        (Ok(one), Ok(other)) => one.is_same_repository(&other),
        _ => false,
    }
}

/// Why the newest version has failed, while git still wants it.
fn failure(record: &Record, revision: Option<&Revision>) -> Option<String> {
    let State::Resting(rest) = &record.state else { return None };
    if revision != Some(&rest.versions.applied) {
        return None;
    }
    match &rest.outcome {
        Outcome::Initialized | Outcome::Succeeded | Outcome::RolledBack | Outcome::Failed(Why::WentBack) => None,
        Outcome::Failed(why) => Some(why.to_string()),
        Outcome::Stranded(missing) => Some(format!("the primary did not come up with it: {missing}")),
    }
}

/// Takes the commit back that brought a failed version.
pub(super) async fn take_back(daemon: &Daemon, canary: &Canary, seen: &Seen, record: &Record) -> Left {
    let commit = canary.metadata.annotations.as_ref().and_then(|annotations| annotations.get(COMMIT));
    let (Some(target), Some(why)) = (&seen.target, failure(record, seen.revision.as_ref())) else {
        return Left::Nothing;
    };
    let Some(commit) = commit.and_then(|commit| commit.parse::<Oid>().ok()) else { return Left::Nothing };
    let Some((_, environment, _)) = environment_of(daemon, &target.key) else { return Left::Nothing };
    let Ok(url) = RepoUrl::parse(&environment.spec.repo_url) else { return Left::Nothing };
    if !daemon.canaries.taken_back.lock().insert((target.key.clone(), commit)) {
        return Left::Nothing;
    }
    let branch = environment.spec.branch();
    let (name, namespace) = (&canary.metadata.name, &canary.metadata.namespace);
    let (name, namespace) = (name.as_deref().unwrap_or_default(), namespace.as_deref().unwrap_or_default());
    let reason = format!("Canary {namespace}/{name} failed: {why}\nEnvironment: {}", environment.name());
    let (severity, words) =
        match daemon.repositories.mirrors().mirror(&url).revert(branch, commit, &reason, now()).await {
            Ok(Reverted::By(by)) => {
                daemon.repositories.hint(|other| other.is_same_repository(&url));
                (Severity::Normal, format!("commit {} taken back on {branch} by {}: {why}", commit.short(), by.short()))
            }
            Ok(Reverted::Already | Reverted::Gone) => {
                info!(canary = name, namespace, %commit, "Commit was taken back already");
                return Left::Nothing;
            }
            Err(error) if error.is_transient() => {
                warn!(canary = name, namespace, %commit, %error, "Commit not taken back yet");
                daemon.canaries.taken_back.lock().remove(&(target.key.clone(), commit));
                return Left::Again(PAUSE);
            }
            Err(error) => {
                let hint = error.hint().unwrap_or_default();
                (Severity::Warning, format!("commit {} not taken back on {branch}: {error}. {hint}", commit.short()))
            }
        };
    info!(canary = name, namespace, "{words}");
    tell::write(daemon, canary, "RolledBackInGit", severity, &words).await;
    tell_environment(daemon, &environment, severity, &words).await;
    Left::Nothing
}

async fn tell_environment(daemon: &Daemon, environment: &Environment, severity: Severity, message: &str) {
    let about = About {
        api_version: &environment.api_version,
        kind: &environment.kind,
        name: environment.name(),
        namespace: environment.namespace(),
        uid: environment.metadata.uid.as_deref().unwrap_or_default(),
    };
    let event = Event { about, reason: "RolledBackInGit", action: None, severity, message };
    if let Err(error) = daemon.cluster.create(&event.at(now())).await {
        warn!(%error, "Event not written");
    }
}
