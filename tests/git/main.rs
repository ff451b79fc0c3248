//! Mirrors against real repositories: on disk, behind `git http-backend`, and behind servers that misbehave.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../harness/authority.rs"]
#[allow(unreachable_pub, reason = "shared with tests/harness")]
mod authority;
mod change;
mod figures;
mod merge;
mod mirror;
mod misbehaving;
mod repository;
mod revert;
mod revision;
mod server;
mod snapshot;
mod ssh;
mod sshd;
mod trust;

use std::sync::Arc;

use leeboard::git::{Error, LocalRepositories, Mirror, Mirrors, Refreshed, RepoUrl};

use crate::repository::Repository;
use crate::server::{Fault, GitServer};

struct Bench {
    data: tempfile::TempDir,
    mirrors: Mirrors,
    mirror: Arc<Mirror>,
}

impl Bench {
    fn new(url: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(data.path().to_owned(), LocalRepositories::Allowed);
        let mirror = mirrors.mirror(&RepoUrl::parse(url).unwrap());
        Bench { data, mirrors, mirror }
    }

    async fn refresh(&self, revisions: &[&str]) -> Result<Arc<Refreshed>, Error> {
        let revisions: Vec<String> = revisions.iter().map(|revision| (*revision).to_owned()).collect();
        self.mirror.refresh(&revisions).await
    }

    /// The commit that one revision means after a refresh, as text.
    async fn follow(&self, revision: &str) -> Result<String, Error> {
        let refreshed = self.refresh(&[revision]).await?;
        let commit = refreshed.commit(revision).unwrap().clone()?;
        assert_eq!(self.mirror.resolve(revision), Ok(commit.clone()), "{revision}");
        Ok(commit.id.to_string())
    }
}

/// Each way to the same repository; the server must be kept alive.
async fn ways(repository: &Repository) -> Vec<(&'static str, String, Option<GitServer>)> {
    let http = GitServer::start(repository.root()).await;
    let old = GitServer::start(repository.root()).await;
    old.set_fault(Some(Fault::Version0));
    vec![
        ("file", repository.bare().to_str().unwrap().into(), None),
        ("http", http.url("shop.git"), Some(http)),
        ("http, version 0", old.url("shop.git"), Some(old)),
    ]
}
