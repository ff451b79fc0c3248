//! A version that failed, taken back in git: where the Environment asks for it, the commit that brought the version is
//! reverted on the environment branch, or a pull request asks to do so.
//!
//! **In:** a canary at rest after a failure, the commit that its run began with. **Out:** one commit, or one pull request.
//! **May not:** decide that something has failed, or take back the same commit twice: git says whether that was done
//! (`Mirror::revert`), the Canary which pull request was opened, also one that people have closed since.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use smol_str::SmolStr;
use tracing::{info, warn};

use super::super::Daemon;
use super::super::look::now;
use super::blame::{self, application_of, environment_of};
use super::see::Seen;
use super::tell;
use crate::api::FLAGGER_GROUP;
use crate::api::flagger::{Canary, VERSION};
use crate::api::leeboard::{Environment, Rollback};
use crate::canary::Revision;
use crate::canary::record::{Outcome, Record, State, Why};
use crate::forge::Opening;
use crate::git::{Oid, RepoUrl, Reverted};
use crate::live::client::Part;
use crate::object::ObjectKey;
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
    if blame::pull(canary, commit).is_some() {
        *handled = Some(commit);
        return Ok(());
    }
    let branch = environment.spec.branch();
    let (name, namespace) = (&canary.metadata.name, &canary.metadata.namespace);
    let (name, namespace) = (name.as_deref().unwrap_or_default(), namespace.as_deref().unwrap_or_default());
    let reason = format!("Canary {namespace}/{name} failed: {why}\nEnvironment: {}", environment.name());
    let asks = environment.spec.canary.as_ref().is_some_and(|canary| canary.rollback == Rollback::PullRequest);
    let mirror = daemon.repositories.mirrors().mirror(&url);
    let aside = format!("leeboard/revert-{}", commit.short());
    let reverted = if asks {
        mirror.propose_revert(branch, &aside, commit, &reason, now()).await
    } else {
        mirror.revert(branch, commit, &reason, now()).await
    };
    let (severity, words) = match reverted {
        Ok(Reverted::By(_)) if asks => {
            let asked =
                Asked { name, namespace, commit, why: &why, environment: &environment, url: &url, branch: &aside };
            match asked.open(daemon).await {
                Ok(pull) => {
                    (Severity::Normal, format!("{pull} asks to take back commit {} on {branch}: {why}", commit.short()))
                }
                Err(Unasked::ForNow(error)) => {
                    warn!(canary = name, namespace, %commit, error, "No pull request yet");
                    return Err(TooEarly);
                }
                Err(Unasked::ForGood(error)) => {
                    let words = format!(
                        "branch {aside} takes back commit {}, and no pull request asks for it: {error}",
                        commit.short()
                    );
                    (Severity::Warning, words)
                }
            }
        }
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

/// A pull request that is to be opened.
struct Asked<'a> {
    /// The Canary's.
    name: &'a str,
    namespace: &'a str,
    commit: Oid,
    why: &'a str,
    environment: &'a Environment,
    url: &'a RepoUrl,
    /// The branch with the commit that takes it back.
    branch: &'a str,
}

/// Why there is no pull request.
enum Unasked {
    /// The forge or the API server cannot be asked now.
    ForNow(String),
    /// Somebody has to change something.
    ForGood(String),
}

impl Asked<'_> {
    /// Opens it, or finds it where one was opened before a crash, and notes it: what people call it.
    async fn open(&self, daemon: &Daemon) -> Result<SmolStr, Unasked> {
        let Asked { name, namespace, commit, why, environment, url, branch } = *self;
        let reference = environment.spec.previews.as_ref().and_then(|previews| previews.forge.as_ref());
        let forge = daemon.previews.forges.repository(url, reference).await;
        let forge = forge.map_err(|error| Unasked::ForGood(error.to_string()))?;
        let opening = Opening {
            head: branch.to_owned(),
            base: environment.spec.branch().to_owned(),
            title: format!("Take back {}: canary {namespace}/{name} failed", commit.short()),
            description: format!(
                "The version that came with {commit} failed in the environment `{}`:\n\n> {why}\n\nIt is off the traffic. \
                 Git still wants it until this is merged, or another commit mends it.",
                environment.name()
            ),
        };
        let pull = forge.open_pull(&opening).await.map_err(|error| match error.is_transient() {
            true => Unasked::ForNow(error.to_string()),
            false => Unasked::ForGood(format!("{error}. {}", error.hint().unwrap_or_default())),
        })?;
        let pull = match &pull.page {
            Some(page) => format!("pull request #{} ({page})", pull.number),
            None => format!("pull request #{}", pull.number),
        };
        let key = ObjectKey {
            group: FLAGGER_GROUP.into(),
            kind: "Canary".into(),
            namespace: Some(namespace.into()),
            name: name.into(),
        };
        let patch = json!({"metadata": {"annotations": {blame::PULL: format!("{commit} {pull}")}}});
        let write = daemon.cluster.merge_patch(&key, VERSION, Part::Whole, &patch);
        let written = daemon.canaries.sights.write(&key, write).await;
        // Found again, not opened again, at the next try.
        written.map_err(|error| Unasked::ForNow(error.to_string()))?;
        Ok(pull.into())
    }
}
