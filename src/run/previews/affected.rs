//! Which applications a pull request reaches: those whose last render has read something that it changes.
//!
//! **In:** a repository, its branch, the branch's commit and the merge result. **Out:** the applications to compare. **May
//! not:** render what the pull request does not reach; or take an application for untouched whose reads are not known.

use std::sync::Arc;

use futures::StreamExt as _;

use super::super::Daemon;
use super::super::look::{self, Trouble};
use super::super::memory::{Memory, Reads, Trial};
use crate::api::argo::Application;
use crate::git::{Commit, RepoUrl, Snapshot};
use crate::source::snapshot::SnapshotFiles;
use crate::source::{Files as _, Mounted, Remote, TreePath};

/// Applications that are looked at at once.
const AT_ONCE: usize = 8;

/// What a pull request is compared by.
#[derive(Clone)]
pub(in crate::run) struct Merge {
    /// The repository.
    pub(in crate::run) url: RepoUrl,
    /// The target branch.
    pub(in crate::run) branch: String,
    /// Where that branch stands.
    pub(in crate::run) base: Snapshot,
    /// What it would hold once the pull request was merged.
    pub(in crate::run) merged: Snapshot,
}

impl Merge {
    /// Where each source of an application stands.
    pub(super) async fn commits(&self, daemon: &Daemon, application: &Application) -> Result<Commits, Trouble> {
        let Commits { mut before, mut after } = Commits::default();
        for source in application.spec.sources() {
            let url = RepoUrl::parse(&source.repo_url).map_err(|error| Trouble::spec(error.to_string()))?;
            if url.is_same_repository(&self.url) && self.is_branch(daemon, source.revision()) {
                before.push(self.base.commit().clone());
                after.push(self.merged.commit().clone());
                continue;
            }
            let commit = daemon.repositories.commit(&url, source.revision()).await;
            let commit = commit.map_err(|error| match error.is_transient() {
                true => Trouble::passing(error.to_string()),
                false => Trouble::comparison(error.to_string()),
            })?;
            before.push(commit.clone());
            after.push(commit);
        }
        Ok(Commits { before, after })
    }

    /// True when one of the sources of an application is the target branch.
    fn is_followed_by(&self, daemon: &Daemon, application: &Application) -> bool {
        application.spec.sources().into_iter().any(|source| {
            let is_here = RepoUrl::parse(&source.repo_url).is_ok_and(|url| url.is_same_repository(&self.url));
            is_here && self.is_branch(daemon, source.revision())
        })
    }

    /// True when a revision means the target branch, whatever it is called.
    fn is_branch(&self, daemon: &Daemon, revision: &str) -> bool {
        let name = revision.strip_prefix("refs/heads/").unwrap_or(revision);
        if name == self.branch {
            return true;
        }
        // `HEAD` means a branch too; which one shows in where it stands.
        name == "HEAD" && {
            let head = daemon.repositories.known_commit(&self.url, "HEAD");
            head.is_some_and(|head| head.id == self.base.commit().id)
        }
    }
}

/// Where the sources of an application stand, one for each.
#[derive(Clone, Default)]
pub(super) struct Commits {
    /// Before the merge.
    pub(super) before: Vec<Commit>,
    /// After the merge.
    pub(super) after: Vec<Commit>,
}

/// An application to compare.
pub(super) struct Candidate {
    /// As it would be.
    pub(super) application: Arc<Application>,
    /// As it is; `None` when it would be new.
    pub(super) was: Option<Arc<Application>>,
    /// Where its sources stand.
    pub(super) commits: Commits,
    /// For looks at it; of nothing that is done with it anything follows.
    pub(super) memory: Memory,
}

/// The applications that a merge reaches, with what stands in the way of comparing some of them.
pub(super) async fn affected(
    daemon: &Daemon,
    merge: &Merge,
    trial: Trial,
) -> (Vec<Candidate>, Vec<(Arc<Application>, Trouble)>) {
    // What else may be wrong with one that does not follow the branch is no business of this pull request.
    let concerned = daemon.written.applications();
    let concerned = concerned.into_iter().filter(|one| !one.is_deleting() && merge.is_followed_by(daemon, one));
    let mut looked: Vec<_> = futures::stream::iter(concerned)
        .map(|application| async move {
            let found = candidate(daemon, merge, &application, trial).await;
            (application, found)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    looked.sort_by(|(a, _), (b, _)| a.name().cmp(b.name()));
    let (mut reached, mut troubled) = (Vec::new(), Vec::new());
    for (application, found) in looked {
        match found {
            Ok(Some(candidate)) => reached.push(candidate),
            Ok(None) => {}
            Err(trouble) => troubled.push((application, trouble)),
        }
    }
    (reached, troubled)
}

async fn candidate(
    daemon: &Daemon,
    merge: &Merge,
    application: &Arc<Application>,
    trial: Trial,
) -> Result<Option<Candidate>, Trouble> {
    let commits = merge.commits(daemon, application).await?;
    let reads = daemon.reads_of(application);
    let is_reached = if reads.are_of(application) && merge.leaves(daemon, application, &reads, &commits.before)? {
        !merge.leaves(daemon, application, &reads, &commits.after)?
    } else {
        // What is remembered is of other commits.
        let mut memory = daemon.memory_of(application, trial);
        match look::trial(daemon, application, &mut memory, commits.before.clone()).await {
            Ok(_) => !merge.leaves(daemon, application, &memory.reads(), &commits.after)?,
            // What does not render as it is may render as it would be.
            Err(_) => true,
        }
    };
    if !is_reached {
        return Ok(None);
    }
    let memory = daemon.memory_of(application, trial);
    Ok(Some(Candidate { application: application.clone(), was: Some(application.clone()), commits, memory }))
}

impl Reads {
    /// True when each source that renders anything is known.
    fn are_of(&self, application: &Application) -> bool {
        let sources = application.spec.sources();
        sources
            .iter()
            .enumerate()
            .all(|(at, source)| source.is_reference_only() || self.sets.get(at).is_some_and(Option::is_some))
    }
}

impl Merge {
    /// True when every source of an application, which has read this, renders the same at these commits.
    fn leaves(
        &self,
        daemon: &Daemon,
        application: &Application,
        reads: &Reads,
        commits: &[Commit],
    ) -> Result<bool, Trouble> {
        let remotes: Vec<(Remote, Snapshot)> = reads.remotes.snapshots(daemon)?;
        for (at, source) in application.spec.sources().into_iter().enumerate() {
            let (Some(Some(set)), Some(commit)) = (reads.sets.get(at), commits.get(at)) else { continue };
            let own = SnapshotFiles::new(self.snapshot(daemon, &source.repo_url, commit)?);
            let others = remotes.iter().map(|(remote, snapshot)| (remote, SnapshotFiles::new(snapshot.clone())));
            if !set.is_valid_for(&Mounted::new(&own, others)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn snapshot(&self, daemon: &Daemon, repository: &str, commit: &Commit) -> Result<Snapshot, Trouble> {
        // Equal ids are equal files, whichever repository they are in.
        if let Some(known) = [&self.base, &self.merged].into_iter().find(|known| known.commit().id == commit.id) {
            return Ok(known.clone());
        }
        let url = RepoUrl::parse(repository).map_err(|error| Trouble::spec(error.to_string()))?;
        let snapshot = daemon.repositories.mirrors().mirror(&url).snapshot(commit);
        snapshot.map_err(|error| Trouble::passing(error.to_string()))
    }

    /// True when the merge takes away what a source of an application is rendered from.
    pub(super) fn removes_source_of(&self, application: &Application) -> bool {
        let holds = |files: &Snapshot, path: &TreePath| {
            SnapshotFiles::new(files.clone()).entry(path).is_ok_and(|entry| entry.is_some())
        };
        application.spec.sources().into_iter().any(|source| {
            let is_here = RepoUrl::parse(&source.repo_url).is_ok_and(|url| url.is_same_repository(&self.url));
            let path = source.path().filter(|_| is_here).and_then(|path| TreePath::new(path).ok());
            path.is_some_and(|path| holds(&self.base, &path) && !holds(&self.merged, &path))
        })
    }
}
