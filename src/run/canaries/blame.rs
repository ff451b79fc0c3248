//! Which commit brought a version that is tried: it is noted on the canary when the run begins, and named when it fails.
//!
//! **In:** the applications that are being synced. **Out:** a commit. **May not:** guess: a version that no sync brought
//! has none.

use std::sync::Arc;

use super::super::Daemon;
use super::super::look::Look;
use crate::api::argo::{Application, OperationPhase};
use crate::api::flagger::Canary;
use crate::api::leeboard::{Environment, Rollback};
use crate::canary::Revision;
use crate::canary::record::{Record, State};
use crate::git::{Oid, RepoUrl};
use crate::object::ObjectKey;

/// On a Canary: the commit that brought the version that is tried, or was tried last.
pub(super) const COMMIT: &str = "canary.leeboard.dev/commit";
/// On a Canary: a commit whose version failed, and the pull request that asks to take it back.
pub(super) const PULL: &str = "canary.leeboard.dev/revert";

/// The commit that is noted on a canary.
pub(super) fn noted(canary: &Canary) -> Option<Oid> {
    canary.metadata.annotations.as_ref()?.get(COMMIT)?.parse().ok()
}

/// The pull request that asks to take a commit back.
pub(super) fn pull(canary: &Canary, commit: Oid) -> Option<&str> {
    let (taken_back, pull) = canary.metadata.annotations.as_ref()?.get(PULL)?.split_once(' ')?;
    (taken_back.parse() == Ok(commit)).then_some(pull)
}

/// A sentence about a failed sync, with the pull request that asks to take one of its commits back.
pub fn answered(daemon: &Daemon, look: &Look, message: String) -> String {
    let commits = look.commits.iter().map(|commit| commit.id).collect();
    match daemon.canaries.guards.lock().pull(&commits) {
        Some(pull) => format!("{message}; {pull} asks to take it back"),
        None => message,
    }
}

/// True when a decision begins to try a version.
pub(super) fn begins(before: &Record, after: &Record) -> bool {
    tried(after).is_some() && tried(before) != tried(after)
}

/// The commit that brings an object's newest version: the one that is being synced.
pub(super) fn brought_by(daemon: &Daemon, target: &ObjectKey) -> Option<Oid> {
    let application = application_of(daemon, target)?;
    let operation = application.status.as_ref()?.operation_state.as_ref()?;
    let result = operation.sync_result.as_ref().filter(|_| operation.phase == OperationPhase::Running)?;
    let source = match environment_of(daemon, &application) {
        Some((_, source)) => source,
        // Of several sources nobody knows which one it came by.
        None if result.revisions.len() > 1 => return None,
        None => 0,
    };
    result.revisions.get(source).unwrap_or(&result.revision).parse().ok()
}

fn tried(record: &Record) -> Option<&Revision> {
    match &record.state {
        State::Waiting(candidate) => Some(&candidate.revision),
        State::Analysing(run) => Some(&run.versions.applied),
        _ => None,
    }
}

/// The Application that applies an object.
pub(super) fn application_of(daemon: &Daemon, object: &ObjectKey) -> Option<Arc<Application>> {
    let record = daemon.destinations.own().store.get(object)?;
    let application = daemon.application_of(record.part_of.as_deref()?)?;
    daemon.written.application(&application)
}

/// The Environment whose branch an application follows and whose failures are taken back, and by which of its sources it
/// follows it.
pub(super) fn environment_of(daemon: &Daemon, application: &Application) -> Option<(Arc<Environment>, usize)> {
    let environments = daemon.written.environments();
    application.spec.sources().iter().enumerate().find_map(|(number, source)| {
        let follows = |environment: &&Arc<Environment>| {
            let spec = &environment.spec;
            let takes_back = spec.canary.as_ref().is_some_and(|canary| canary.rollback != Rollback::None);
            takes_back && is_same(&spec.repo_url, &source.repo_url) && spec.branch() == source.revision()
        };
        Some((environments.iter().find(follows)?.clone(), number))
    })
}

fn is_same(one: &str, other: &str) -> bool {
    match (RepoUrl::parse(one), RepoUrl::parse(other)) {
        (Ok(one), Ok(other)) => one.is_same_repository(&other),
        _ => false,
    }
}

/// A version was tried on users and taken back: whoever reads of it wants to know whose it was. A later commit may only
/// have met what an earlier one left behind.
pub fn blamed(daemon: &Daemon, look: &Look, tried: &[&ObjectKey], message: &str) -> String {
    let Some(head) = look.commits.first() else { return message.to_owned() };
    let message = format!("sync of {head} by {} failed: {message}", head.author);
    let earlier = tried.iter().flat_map(|object| daemon.canaries.commits(object));
    let earlier = earlier.filter(|id| look.commits.iter().all(|commit| commit.id != *id));
    let read = |id: Oid| {
        look.application.spec.sources().iter().find_map(|source| {
            let url = RepoUrl::parse(&source.repo_url).ok()?;
            daemon.repositories.mirrors().mirror(&url).resolve(&id.to_string()).ok()
        })
    };
    match earlier.filter_map(read).next() {
        Some(commit) => format!("{message}; that version came with {commit} by {}", commit.author),
        None => message,
    }
}
