//! Taking a commit back: another commit, on top of the branch, that undoes what it changed; or on a branch of its own, for
//! those who want to be asked.
//!
//! **In:** a branch, the commit, why. **Out:** a commit on the server. **May not:** rewrite history, move a branch that
//! another one has moved meanwhile, or take back the same commit twice.

use git2::{Repository, Signature, Time};
use jiff::Timestamp;

use super::carry::NOT_THERE;
use super::change::pack;
use super::error::Error;
use super::mirror::Mirror;
use super::oid::Oid;
use super::push::Update;
use super::remote::{self, blocking};

/// How often a branch may move away under our hands.
const TRIES: usize = 3;

/// How far back it is looked whether a commit was taken back already.
const FAR: usize = 1000;

/// Who takes a commit back.
const NAME: &str = "Leeboard";
const MAIL: &str = "leeboard@localhost";

/// What became of a wish to take a commit back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reverted {
    /// This commit does it, and a branch stands on it.
    By(Oid),
    /// Another one has done it before, or what it changed is no longer so.
    Already,
    /// The branch does not hold it any more.
    Gone,
}

/// What came of making the commit in the mirror, where nothing points to it.
enum Undone {
    /// It is made; the pack brings it to the server.
    Made { id: Oid, pack: Vec<u8> },
    /// There is nothing to take back.
    Needless(Reverted),
    /// This file was changed since.
    Conflict { path: String },
}

impl Mirror {
    /// Takes a commit back on a branch, in a commit of its own with this reason below its subject.
    ///
    /// Done once: git itself is the memory, a later commit that says `This reverts commit …` counts, whoever made it.
    ///
    /// # Errors
    /// [`Error::Conflicting`] when later commits changed the same lines, [`Error::PushRefused`] when the server does not
    /// take it; all that can keep a repository from being asked.
    pub async fn revert(&self, branch: &str, commit: Oid, reason: &str, now: Timestamp) -> Result<Reverted, Error> {
        self.revert_onto(branch, branch, commit, reason, now).await
    }

    /// Takes a commit back as [`Mirror::revert`] does, but leaves the branch alone: the commit is on a branch `aside`, which
    /// starts where the branch stands. One of that name that is there already is taken for it.
    ///
    /// # Errors
    /// As those of [`Mirror::revert`].
    pub async fn propose_revert(
        &self,
        branch: &str,
        aside: &str,
        commit: Oid,
        reason: &str,
        now: Timestamp,
    ) -> Result<Reverted, Error> {
        self.revert_onto(branch, aside, commit, reason, now).await
    }

    async fn revert_onto(
        &self,
        branch: &str,
        onto: &str,
        commit: Oid,
        reason: &str,
        now: Timestamp,
    ) -> Result<Reverted, Error> {
        let mut refused = None;
        for _ in 0..TRIES {
            let asked = [branch.to_owned(), onto.to_owned()];
            let refreshed = self.refresh(if branch == onto { &asked[..1] } else { &asked }).await?;
            let head = match refreshed.commit(branch) {
                Some(found) => found.clone()?.id,
                None => return Ok(Reverted::Gone),
            };
            let stands = match refreshed.commit(onto) {
                Some(Err(Error::NoRevision { .. })) | None => NOT_THERE,
                Some(found) => found.clone()?.id,
            };
            if let Some((seen, error)) = refused.take_if(|(seen, _)| *seen == head) {
                tracing::debug!(repository = %self.url(), head = %seen, "Branch has not moved, and is not moved");
                return Err(error);
            }
            let (store, url, reason) = (self.store()?, self.url().clone(), reason.to_owned());
            let undone = blocking(&url, move || {
                let repository = store.repository()?;
                undo(&repository, head, commit, &reason, now).map_err(|error| store.fault(&error))
            });
            let (id, pack) = match undone.await? {
                Undone::Made { id, pack } => (id, pack),
                Undone::Needless(reverted) => return Ok(reverted),
                Undone::Conflict { path } => return Err(Error::Conflicting { url, commit, path }),
            };
            if branch != onto && stands != NOT_THERE {
                return Ok(Reverted::By(stands));
            }
            let update = Update { name: format!("refs/heads/{onto}"), old: stands, new: id };
            match remote::push(&url, &self.access(), self.clients(), update, pack).await {
                Ok(()) => return Ok(Reverted::By(id)),
                // Somebody may have been faster: then it is made anew, on top of that.
                Err(error @ Error::PushRefused { .. }) => refused = Some((head, error)),
                Err(error) => return Err(error),
            }
        }
        Err(refused.map_or_else(|| Error::Stopped { url: self.url().clone() }, |(_, error)| error))
    }
}

fn undo(repository: &Repository, head: Oid, commit: Oid, reason: &str, now: Timestamp) -> Result<Undone, git2::Error> {
    let head = repository.find_commit(head.libgit2())?;
    let is_there =
        head.id() == commit.libgit2() || repository.graph_descendant_of(head.id(), commit.libgit2()).unwrap_or(false);
    if !is_there {
        return Ok(Undone::Needless(Reverted::Gone));
    }
    let mut later = repository.revwalk()?;
    later.push(head.id())?;
    later.hide(commit.libgit2())?;
    let mark = format!("This reverts commit {commit}");
    for id in later.take(FAR) {
        if repository.find_commit(id?)?.message().is_ok_and(|message| message.contains(&mark)) {
            return Ok(Undone::Needless(Reverted::Already));
        }
    }
    let culprit = repository.find_commit(commit.libgit2())?;
    // Of a merge, what it brought to the branch.
    let mainline = u32::from(culprit.parent_count() > 1);
    let mut index = repository.revert_commit(&culprit, &head, mainline, None)?;
    if let Some(conflict) = index.conflicts()?.next() {
        let conflict = conflict?;
        let entry = [conflict.our, conflict.their, conflict.ancestor].into_iter().flatten().next();
        let path = entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned());
        return Ok(Undone::Conflict { path: path.unwrap_or_default() });
    }
    let tree = repository.find_tree(index.write_tree_to(repository)?)?;
    if tree.id() == head.tree_id() {
        return Ok(Undone::Needless(Reverted::Already));
    }
    let subject = culprit.summary().ok().flatten().unwrap_or_default();
    let message = format!("Revert \"{subject}\"\n\n{reason}\n\n{mark}.\n");
    let signature = Signature::new(NAME, MAIL, &Time::new(now.as_second(), 0))?;
    let id = repository.commit(None, &signature, &signature, &message, &tree, &[&head])?;
    Ok(Undone::Made { id: id.into(), pack: pack(repository, id, &[head.id()])? })
}
