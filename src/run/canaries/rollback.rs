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
use super::blame::{self, application_of, environment_of};
use super::see::Seen;
use super::tell;
use crate::api::flagger::Canary;
use crate::api::leeboard::Environment;
use crate::canary::Revision;
use crate::canary::record::{Outcome, Record, State, Why};
use crate::git::{Oid, RepoUrl, Reverted};
use crate::object::event::{About, Event, Severity};

/// Between two tries when a repository cannot be reached.
pub(super) const PAUSE: Duration = Duration::from_secs(30);

/// The repository cannot be reached: to be tried again after [`PAUSE`].
pub(super) struct TooEarly;

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

/// A failed version that is to be taken back.
struct Failed {
    commit: Oid,
    why: String,
    environment: Arc<Environment>,
    url: RepoUrl,
}

impl Failed {
    fn of(daemon: &Daemon, canary: &Canary, seen: &Seen, record: &Record) -> Option<Self> {
        let why = failure(record, seen.revision.as_ref())?;
        let commit = blame::noted(canary)?;
        let application = application_of(daemon, &seen.target.as_ref()?.key)?;
        let (environment, _) = environment_of(daemon, &application)?;
        let url = RepoUrl::parse(&environment.spec.repo_url).ok()?;
        Some(Failed { commit, why, environment, url })
    }
}

/// Takes the commit back that brought a failed version, and notes in `handled` that this one needs no second look: it is
/// told once.
pub(super) async fn take_back(
    daemon: &Daemon,
    canary: &Canary,
    seen: &Seen,
    record: &Record,
    handled: &mut Option<Oid>,
) -> Result<(), TooEarly> {
    let Some(Failed { commit, why, environment, url }) = Failed::of(daemon, canary, seen, record) else {
        return Ok(());
    };
    if *handled == Some(commit) {
        return Ok(());
    }
    let branch = environment.spec.branch();
    let (name, namespace) = (&canary.metadata.name, &canary.metadata.namespace);
    let (name, namespace) = (name.as_deref().unwrap_or_default(), namespace.as_deref().unwrap_or_default());
    let reason = format!("Canary {namespace}/{name} failed: {why}\nEnvironment: {}", environment.name());
    let reverted = daemon.repositories.mirrors().mirror(&url).revert(branch, commit, &reason, now()).await;
    let (severity, words) = match reverted {
        Ok(Reverted::By(by)) => {
            daemon.repositories.hint(|other| other.is_same_repository(&url));
            (Severity::Normal, format!("commit {} taken back on {branch} by {}: {why}", commit.short(), by.short()))
        }
        Ok(Reverted::Already | Reverted::Gone) => {
            info!(canary = name, namespace, %commit, "Commit was taken back already");
            *handled = Some(commit);
            return Ok(());
        }
        Err(error) if error.is_transient() => {
            warn!(canary = name, namespace, %commit, %error, "Commit not taken back yet");
            return Err(TooEarly);
        }
        Err(error) => {
            let hint = error.hint().unwrap_or_default();
            (Severity::Warning, format!("commit {} not taken back on {branch}: {error}. {hint}", commit.short()))
        }
    };
    *handled = Some(commit);
    info!(canary = name, namespace, "{words}");
    tell::write(daemon, &tell::synced(canary, "RolledBackInGit", severity, &words)).await;
    let about = About {
        api_version: &environment.api_version,
        kind: &environment.kind,
        name: environment.name(),
        namespace: environment.namespace(),
        uid: environment.metadata.uid.as_deref().unwrap_or_default(),
    };
    tell::write(daemon, &Event { about, reason: "RolledBackInGit", action: None, severity, message: &words }).await;
    Ok(())
}
