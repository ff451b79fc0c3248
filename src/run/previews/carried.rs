//! Where a pull request's commits are carried to after its merge.
//!
//! **In:** the Environments of its repository, what their applications have read. **Out:** the steps of
//! [`crate::preview::carried`]. **May not:** render for it: nothing is deployed from the target branch there.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::super::Daemon;
use super::affected::Merge;
use crate::api::argo::Application;
use crate::api::leeboard::Environment;
use crate::git::RepoUrl;
use crate::preview::carried::{Station, carried};
use crate::source::snapshot::SnapshotFiles;
use crate::source::{Entry, Files as _, Identified as _, TreePath};

/// The branches that an environment takes commits from.
pub(super) fn branches(environment: &Environment) -> impl Iterator<Item = &str> {
    let sources = environment.spec.promotion.iter().flat_map(|policy| &policy.from);
    sources.filter_map(|source| source.branch.as_deref()).map(short)
}

fn short(branch: &str) -> &str {
    branch.strip_prefix("refs/heads/").unwrap_or(branch)
}

/// The environments that a merge is carried to, if one of them deploys something that it changes.
pub(super) fn steps(daemon: &Daemon, merge: &Merge) -> Vec<Vec<SmolStr>> {
    let environments = daemon.written.environments();
    let of_repository = environments.iter().filter(|environment| {
        RepoUrl::parse(&environment.spec.repo_url).is_ok_and(|url| url.is_same_repository(&merge.url))
    });
    let stations: Vec<Station> = of_repository.map(|environment| station(environment)).collect();
    let steps = carried(&stations, &merge.branch);
    let names: BTreeSet<&str> = steps.iter().flatten().map(SmolStr::as_str).collect();
    let is_there = |application: &Application| {
        daemon.environment_above(application).is_some_and(|environment| names.contains(environment.name()))
    };
    let applications = daemon.written.applications();
    let is_concerned = !names.is_empty() && applications.iter().any(|one| is_there(one) && touches(daemon, merge, one));
    if is_concerned { steps } else { Vec::new() }
}

fn station(environment: &Environment) -> Station {
    let sources = environment.spec.promotion.iter().flat_map(|policy| &policy.from);
    Station {
        name: environment.name().into(),
        branch: short(environment.spec.branch()).into(),
        environments: sources.filter_map(|source| source.environment.as_deref()).map(Into::into).collect(),
        branches: branches(environment).map(Into::into).collect(),
    }
}

/// True when a merge changes something that an application's renders have read; also when nobody knows what they have read.
fn touches(daemon: &Daemon, merge: &Merge, application: &Application) -> bool {
    let reads = daemon.reads_of(application);
    let (base, merged) = (SnapshotFiles::new(merge.base.clone()), SnapshotFiles::new(merge.merged.clone()));
    application.spec.sources().into_iter().enumerate().any(|(at, source)| {
        let is_here = RepoUrl::parse(&source.repo_url).is_ok_and(|url| url.is_same_repository(&merge.url));
        let differs = |path: &TreePath| seen(&base, path) != seen(&merged, path);
        match reads.sets.get(at) {
            _ if !is_here || source.is_reference_only() => false,
            Some(Some(set)) => set.paths().any(differs),
            _ => true,
        }
    })
}

/// What is at a path: a file's identity, or the names in a directory.
fn seen(files: &SnapshotFiles, path: &TreePath) -> (Option<[u8; 20]>, Vec<(String, Entry)>) {
    let located = files.locate(path).ok();
    match located.as_ref().and_then(|located| located.entry) {
        Some(Entry::Directory) => (None, files.list(path).unwrap_or_default()),
        _ => (located.and_then(|located| located.id), Vec::new()),
    }
}
