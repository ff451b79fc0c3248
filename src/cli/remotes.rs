//! Bases in other repositories, for commands that render a directory: fetched into the cache when a render asks for
//! them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use super::subject::state_directory;
use crate::error::Diagnostic;
use crate::git::{self, Commit, LocalRepositories, Mirror, Mirrors, RepoUrl, Snapshot};
use crate::source::snapshot::SnapshotFiles;
use crate::source::{Identified, Mounted, Remote};

/// How deep bases in other repositories may lead to further ones.
const MAX_ROUNDS: usize = 16;

/// What `work` makes of the tree together with the repositories that it turns out to need.
///
/// # Errors
/// Those of the work, or why a repository can't be had.
pub(super) fn with_remotes<T>(
    files: &dyn Identified,
    work: impl Fn(&Mounted<'_>) -> Result<T, Vec<Diagnostic>>,
) -> Result<T, Vec<Diagnostic>> {
    let mut known: Vec<(Remote, Snapshot)> = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let others = known.iter().map(|(remote, snapshot)| (remote, SnapshotFiles::new(snapshot.clone())));
        let tree = Mounted::new(files, others);
        let result = work(&tree);
        let missed = tree.missed();
        if result.is_ok() || missed.is_empty() {
            return result;
        }
        for remote in missed {
            let snapshot = fetch(&remote).map_err(|problem| vec![problem])?;
            known.push((remote, snapshot));
        }
    }
    Err(vec![Diagnostic::new(format!("bases in other repositories lead to others more than {MAX_ROUNDS} times"))])
}

/// Fetches on a thread of its own: some commands render while they run a reactor.
fn fetch(remote: &Remote) -> Result<Snapshot, Diagnostic> {
    let fetched = std::thread::scope(|scope| scope.spawn(|| fetch_here(remote)).join());
    fetched.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn fetch_here(remote: &Remote) -> Result<Snapshot, Diagnostic> {
    let failed = |error: git::Error| Diagnostic::from(&error).with_note(format!("a base is in {remote}"));
    let runtime = super::diff::runtime().context("cannot start a reactor");
    let runtime = runtime.map_err(|error| Diagnostic::new(format!("{error:#}")))?;
    runtime.block_on(async {
        let mirror = Mirrors::new(state_directory(), LocalRepositories::Allowed).mirror(&remote.url);
        let commit = newest(&mirror, &remote.revision).await.map_err(failed)?;
        mirror.snapshot(&commit).map_err(failed)
    })
}

/// What mirrors a repository of this machine.
///
/// # Errors
/// When there is no such directory.
pub(super) fn mirror_of(directory: &Path) -> anyhow::Result<Arc<Mirror>> {
    let path = std::fs::canonicalize(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let url = RepoUrl::parse(&format!("file://{}", path.display())).map_err(|error| anyhow!(error))?;
    Ok(Mirrors::new(state_directory(), LocalRepositories::Allowed).mirror(&url))
}

/// The commit that a revision means on the server now; it is in the mirror then.
///
/// # Errors
/// When the server can't be asked, or knows no such revision.
pub(super) async fn newest(mirror: &Mirror, revision: &str) -> Result<Commit, git::Error> {
    let refreshed = mirror.refresh(&[revision.to_owned()]).await?;
    refreshed.commit(revision).cloned().unwrap_or_else(|| mirror.resolve(revision))
}
