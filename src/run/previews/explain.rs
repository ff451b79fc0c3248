//! `/leeboard explain OBJECT`: how an object of the merge result came to be what it is.
//!
//! **In:** a pull request and a name. **Out:** the answer. **May not:** render more than what the pull request reaches.

use std::sync::Arc;

use smol_str::SmolStr;

use super::super::Daemon;
use super::super::memory::Trial;
use super::affected::Merge;
use super::followed::Followed;
use super::one;
use crate::api::argo::{Application, Source};
use crate::error::Diagnostic;
use crate::forge::{self, Pull};
use crate::git::Snapshot;
use crate::kustomize::Explained;
use crate::kustomize::explained::find;
use crate::preview::explain::{Found, answer};
use crate::render::{self, Limits, Request};
use crate::source::snapshot::SnapshotFiles;
use crate::source::{Mounted, Remote};

/// What there is to say of `wanted`; `None` when the pull request is not looked at.
///
/// # Errors
/// What keeps it from being answered, in one sentence: it is asked again.
pub(super) async fn explain(
    daemon: &Arc<Daemon>,
    followed: &Followed,
    forge: &forge::Repository,
    pull: &Pull,
    wanted: &str,
) -> Result<Option<String>, String> {
    let Ok((trial, head)) = one::admitted(followed, forge, pull).await? else { return Ok(None) };
    let (_, merged) = one::merged(daemon, followed, pull, head).await?;
    let Ok(merge) = merged else {
        return Ok(Some("It conflicts with the target branch: nothing is rendered.\n".into()));
    };
    let mut explained: Vec<(SmolStr, Told)> = Vec::new();
    for name in followed.reached(pull.number).await {
        // One that the pull request brings is none of the cluster's yet.
        let Some(application) = daemon.written.application(&name) else { continue };
        let commits = merge.commits(daemon, &application).await.map_err(|trouble| trouble.message)?;
        let sources: Vec<Source> = application.spec.sources().into_iter().cloned().collect();
        for (source, commit) in sources.into_iter().zip(commits.after) {
            if commit.id != merge.merged.commit().id {
                continue;
            }
            if let Some(found) = of_source(daemon, &merge, &application, source, trial).await? {
                explained.push((name.clone(), found));
            }
        }
    }
    let found: Vec<(SmolStr, Found<'_>)> = explained
        .iter()
        .map(|(name, explained)| {
            let found = explained.as_ref().map(|explained| find(explained, wanted)).map_err(Clone::clone);
            (name.clone(), found)
        })
        .collect();
    Ok(Some(answer(wanted, &found)))
}

/// What the objects of a kustomization are told to be made of, or why they are not.
type Told = Result<Vec<Explained>, Vec<Diagnostic>>;

async fn of_source(
    daemon: &Arc<Daemon>,
    merge: &Merge,
    application: &Arc<Application>,
    source: Source,
    trial: Trial,
) -> Result<Option<Told>, String> {
    let remotes: Vec<(Remote, Snapshot)> =
        daemon.memory_of(application, trial).remotes.snapshots(daemon).map_err(|trouble| trouble.message)?;
    let (snapshot, application) = (merge.merged.clone(), application.clone());
    let work = move || {
        let own = SnapshotFiles::new(snapshot.clone());
        let others = remotes.iter().map(|(remote, snapshot)| (remote, SnapshotFiles::new(snapshot.clone())));
        let files = Mounted::new(&own, others);
        let commit = snapshot.commit().id.to_string();
        let request = Request {
            application: application.name(),
            namespace: application.destination_namespace(),
            project: application.spec.project(),
            source: &source,
            commit: &commit,
            cluster_directory: None,
            limits: Limits::default(),
        };
        render::explained(&files, &request).transpose()
    };
    Ok(daemon.renders.run(work).await)
}
