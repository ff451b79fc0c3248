//! The other repositories that an application's bases are in.
//!
//! **In:** what a render asked for and did not find, the project's rules. **Out:** a commit for each, followed like that of
//! a source: a push there is a reason to look again. **May not:** read a repository that the project does not name.

use std::collections::{BTreeMap, BTreeSet};

use super::Daemon;
use super::look::Trouble;
use super::memory::Trial;
use crate::api::argo::Application;
use crate::git::{Commit, RepoUrl, Snapshot};
use crate::plan::Project;
use crate::source::Remote;

/// More than any application has; one that names new ones without end is stopped.
const MAX_REMOTES: usize = 32;

/// Each repository with the commit that its revision means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remotes(BTreeMap<Remote, Commit>);

impl Remotes {
    /// What has to be followed for them.
    pub fn followed(&self) -> impl Iterator<Item = (RepoUrl, String)> {
        self.0.keys().map(|remote| (remote.url.clone(), remote.revision.clone()))
    }

    /// The same repositories at the commits that their revisions mean now. One that can't be had is left out: a render
    /// that still needs it will ask for it, and the commit that does without it gets in.
    pub async fn now(&self, daemon: &Daemon) -> Remotes {
        let mut now = BTreeMap::new();
        for remote in self.0.keys() {
            if let Ok(commit) = commit(daemon, remote).await {
                now.insert(remote.clone(), commit);
            }
        }
        Remotes(now)
    }

    /// Keeps those that this is true of.
    pub fn retain(&mut self, is_used: impl Fn(&Remote) -> bool) {
        self.0.retain(|remote, _| is_used(remote));
    }

    /// Adds what a render has asked for.
    ///
    /// # Errors
    /// When the project does not permit one of them, there are too many, one can't be had, or a stranger names a new one.
    pub async fn add(
        &mut self,
        daemon: &Daemon,
        application: &Application,
        project: &Project,
        missed: BTreeSet<Remote>,
        trial: Option<Trial>,
    ) -> Result<(), Trouble> {
        for remote in missed {
            if trial == Some(Trial::Strangers) {
                return Err(Trouble::comparison(format!(
                    "a base is in {remote}, which application {} does not use yet: not fetched for a pull request from a fork",
                    application.name()
                )));
            }
            if !project.permits_source(&remote.url.to_string()) {
                let project = application.spec.project();
                let message = format!(
                    "a base is in `{}`, which is not among the `sourceRepos` of project `{project}`",
                    remote.url
                );
                return Err(Trouble::comparison(message));
            }
            if self.0.len() >= MAX_REMOTES {
                return Err(Trouble::comparison(format!(
                    "the bases are in more than {MAX_REMOTES} other repositories"
                )));
            }
            if trial.is_none() {
                let wanted = [(remote.url.clone(), remote.revision.clone())];
                daemon.repositories.follow_also(application.name(), &wanted, daemon.interval(application));
            }
            let commit = commit(daemon, &remote).await?;
            self.0.insert(remote, commit);
        }
        Ok(())
    }

    /// The files of each.
    ///
    /// # Errors
    /// When a mirror can't be read.
    pub fn snapshots(&self, daemon: &Daemon) -> Result<Vec<(Remote, Snapshot)>, Trouble> {
        let snapshot = |(remote, commit): (&Remote, &Commit)| {
            let snapshot = daemon.repositories.mirrors().mirror(&remote.url).snapshot(commit);
            Ok((remote.clone(), snapshot.map_err(|error| Trouble::passing(error.to_string()))?))
        };
        self.0.iter().map(snapshot).collect()
    }
}

async fn commit(daemon: &Daemon, remote: &Remote) -> Result<Commit, Trouble> {
    daemon.repositories.commit(&remote.url, &remote.revision).await.map_err(|error| {
        let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        Trouble::comparison(format!("a base is in {remote}: {error}{hint}"))
    })
}
