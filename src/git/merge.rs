//! What a branch would hold once another was merged into it.
//!
//! **In:** two commits of a mirror. **Out:** the files of their merge, or where they conflict. **May not:** move a branch,
//! or send anything anywhere: nothing points to what is made here.

use git2::{MergeOptions, Repository, Signature, Time};

use super::carry::conflicts;
use super::error::Error;
use super::mirror::Mirror;
use super::oid::Oid;
use super::remote::blocking;
use super::snapshot::Snapshot;

/// What came of a merge.
#[derive(Clone, Debug)]
pub enum Merged {
    /// The files that the branch would hold.
    Clean(Snapshot),
    /// Both sides have changed the same lines of these files; sorted.
    Conflict {
        /// From the root.
        paths: Vec<String>,
    },
}

impl Mirror {
    /// Merges one commit into another, both brought here by a refresh. Renames are not looked for, as in a preview a moved
    /// file is just another path. Every method of a forge (merge, squash, rebase) leads to the same files.
    ///
    /// # Errors
    /// When a commit is not here, or the mirror is damaged.
    pub async fn merged(&self, base: Oid, head: Oid) -> Result<Merged, Error> {
        for commit in [base, head] {
            self.snapshot_at(commit)?;
        }
        let (store, url) = (self.store()?, self.url().clone());
        let made = blocking(&url, move || {
            let repository = store.repository()?;
            merge(&repository, base, head).map_err(|error| store.fault(&error))
        });
        match made.await? {
            Ok(commit) => self.snapshot_at(commit).map(Merged::Clean),
            Err(paths) => Ok(Merged::Conflict { paths }),
        }
    }

    /// The files in which two trees differ, by their paths.
    ///
    /// # Errors
    /// When one of them is not here.
    pub async fn differing(&self, one: Oid, other: Oid) -> Result<Vec<String>, Error> {
        let (store, url) = (self.store()?, self.url().clone());
        blocking(&url, move || {
            let repository = store.repository()?;
            differing(&repository, one, other).map_err(|error| store.fault(&error))
        })
        .await
    }

    /// True when a commit has another one in its history, or is that one.
    ///
    /// # Errors
    /// When one of them is not here.
    pub fn holds(&self, commit: Oid, ancestor: Oid) -> Result<bool, Error> {
        Ok(commit == ancestor || self.store()?.descends(commit, ancestor)?)
    }
}

fn differing(repository: &Repository, one: Oid, other: Oid) -> Result<Vec<String>, git2::Error> {
    let tree = |id: Oid| repository.find_tree(id.libgit2());
    let diff = repository.diff_tree_to_tree(Some(&tree(one)?), Some(&tree(other)?), None)?;
    let path = |delta: git2::DiffDelta<'_>| {
        let (new, old) = (delta.new_file(), delta.old_file());
        Some(String::from_utf8_lossy(new.path_bytes().or(old.path_bytes())?).into_owned())
    };
    Ok(diff.deltas().filter_map(path).collect())
}

/// The merge's commit, or the paths in conflict. The same two give the same commit, whenever they are merged.
fn merge(repository: &Repository, base: Oid, head: Oid) -> Result<Result<Oid, Vec<String>>, git2::Error> {
    let (base, head) = (repository.find_commit(base.libgit2())?, repository.find_commit(head.libgit2())?);
    match repository.merge_base(base.id(), head.id()) {
        Ok(common) if common == base.id() => return Ok(Ok(head.id().into())),
        Ok(common) if common == head.id() => return Ok(Ok(base.id().into())),
        _ => {}
    }
    let mut options = MergeOptions::new();
    options.find_renames(false);
    let mut index = repository.merge_commits(&base, &head, Some(&options))?;
    if index.has_conflicts() {
        return conflicts(&index).map(Err);
    }
    let tree = repository.find_tree(index.write_tree_to(repository)?)?;
    let signature = Signature::new("Leeboard", "leeboard@localhost", &Time::new(0, 0))?;
    let id = repository.commit(None, &signature, &signature, "merge", &tree, &[&base, &head])?;
    Ok(Ok(id.into()))
}
