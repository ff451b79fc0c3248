//! Files of a branch are changed: one commit on top of it, made in the mirror and pushed.
//!
//! **In:** a branch, and what becomes of its files. **Out:** a commit on the server. **May not:** rewrite history, or move a
//! branch that another one has moved meanwhile: what becomes of its files is asked again then, of the newer ones.

use std::sync::Arc;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Repository, Signature, Time};
use jiff::Timestamp;

use super::error::Error;
use super::mirror::Mirror;
use super::oid::{Commit, Oid};
use super::push::Update;
use super::remote::{self, blocking};
use super::snapshot::Snapshot;

/// How often a branch may move away under our hands.
const TRIES: usize = 5;

/// A commit that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Paths from the root, with what the files hold then.
    pub files: Vec<(String, Vec<u8>)>,
    /// The message, whole.
    pub message: String,
    /// Who makes it.
    pub author: Author,
    /// When. The same proposal on the same commit gives the same commit, so that one that is pushed twice is one.
    pub at: Timestamp,
}

/// Who makes a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

impl Default for Author {
    fn default() -> Self {
        Author { name: "Leeboard".into(), email: "leeboard@localhost".into() }
    }
}

impl Author {
    /// As git would call the person who runs this: the environment of the process is for the caller to read.
    pub fn of_this_machine() -> Option<Self> {
        let config = git2::Config::open_default().ok()?;
        let (name, email) = (config.get_string("user.name").ok()?, config.get_string("user.email").ok()?);
        (!name.trim().is_empty() && !email.trim().is_empty()).then_some(Author { name, email })
    }
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// This commit makes it, and the branch stands on it.
    By(Oid),
    /// The files are so already.
    Already,
}

/// One commit that changed a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The commit.
    pub commit: Commit,
    /// Its message.
    pub message: String,
}

impl Mirror {
    /// Makes a commit on a branch of what `propose` makes of its files; `None` is that nothing needs to be changed. It is asked
    /// again when the branch has moved meanwhile.
    ///
    /// # Errors
    /// What `propose` says; [`Error::PushRefused`] when the server does not take it; all that can keep a repository from
    /// being asked.
    pub async fn change<E: From<Error> + Send + 'static>(
        &self,
        branch: &str,
        propose: impl Fn(&Snapshot) -> Result<Option<Proposal>, E> + Send + Sync + 'static,
    ) -> Result<Changed, E> {
        let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
        let propose = Arc::new(propose);
        let mut refused = None;
        for _ in 0..TRIES {
            let refreshed = self.refresh(&[branch.to_owned()]).await?;
            let missing = || Error::NoRevision { url: self.url().clone(), revision: branch.to_owned() };
            let head = refreshed.commit(branch).cloned().ok_or_else(missing)??.id;
            if let Some((_, error)) = refused.take_if(|(seen, _)| *seen == head) {
                return Err(E::from(error));
            }
            let (store, url, snapshot) = (self.store()?, self.url().clone(), self.snapshot_at(head)?);
            let propose = Arc::clone(&propose);
            let made = blocking(&url, move || {
                let proposal = match propose(&snapshot) {
                    Ok(Some(proposal)) => proposal,
                    Ok(None) => return Ok(Ok(None)),
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let repository = store.repository()?;
                commit(&repository, head, &proposal).map(Ok).map_err(|error| store.fault(&error))
            });
            let Some((id, pack)) = made.await?? else { return Ok(Changed::Already) };
            let update = Update { name: format!("refs/heads/{branch}"), old: head, new: id };
            match remote::push(&url, &self.access(), self.clients(), update, pack).await {
                Ok(()) => return Ok(Changed::By(id)),
                // Somebody may have been faster: then it is made anew, on top of that.
                Err(error @ Error::PushRefused { .. }) => refused = Some((head, error)),
                Err(error) => return Err(error.into()),
            }
        }
        let stopped = || Error::Stopped { url: self.url().clone() };
        Err(refused.map_or_else(stopped, |(_, error)| error).into())
    }
}

impl Snapshot {
    /// The commits up to this one, itself included, that changed a file, the newest first; of at most `far` commits, along
    /// first parents: what a merge brought to the branch is the merge's.
    ///
    /// # Errors
    /// When the mirror is damaged.
    pub fn touches(&self, path: &str, far: usize) -> Result<Vec<Touch>, Error> {
        let store = self.store();
        let repository = store.repository()?;
        let ids = touching(&repository, self.commit().id, path, far).map_err(|error| store.fault(&error))?;
        let touch = |(id, message): (Oid, String)| {
            let (commit, _) = store.commit_and_root(id, &id.to_string())?;
            Ok(Touch { commit, message })
        };
        ids.into_iter().map(touch).collect()
    }

    /// What a file held at another commit of the same mirror, if it was there.
    ///
    /// # Errors
    /// When the commit is not here, or the mirror is damaged.
    pub fn read_at(&self, commit: &Commit, path: &str) -> Result<Option<Arc<[u8]>>, Error> {
        let (commit, root) = self.store().commit_and_root(commit.id, &commit.id.to_string())?;
        Snapshot::new(Arc::clone(self.store()), self.repository().clone(), commit, root).read(path)
    }
}

/// The commit, with the pack that brings it to a server; `None` when it would change nothing.
fn commit(repository: &Repository, head: Oid, proposal: &Proposal) -> Result<Option<(Oid, Vec<u8>)>, git2::Error> {
    let head = repository.find_commit(head.libgit2())?;
    let tree = head.tree()?;
    let mut update = TreeUpdateBuilder::new();
    for (path, bytes) in &proposal.files {
        let mode = match tree.get_path(std::path::Path::new(path)) {
            Ok(entry) if entry.filemode() == i32::from(FileMode::BlobExecutable) => FileMode::BlobExecutable,
            _ => FileMode::Blob,
        };
        update.upsert(path.as_str(), repository.blob(bytes)?, mode);
    }
    let id = update.create_updated(repository, &tree)?;
    if id == tree.id() {
        return Ok(None);
    }
    let tree = repository.find_tree(id)?;
    let Author { name, email } = &proposal.author;
    let signature = Signature::new(name, email, &Time::new(proposal.at.as_second(), 0))?;
    let id = repository.commit(None, &signature, &signature, &proposal.message, &tree, &[&head])?;
    Ok(Some((id.into(), pack(repository, id, &[head.id()])?)))
}

/// What a server that has `there` lacks of `id`.
pub(super) fn pack(repository: &Repository, id: git2::Oid, there: &[git2::Oid]) -> Result<Vec<u8>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.push(id)?;
    for known in there {
        walk.hide(*known)?;
    }
    let mut builder = repository.packbuilder()?;
    builder.insert_walk(&mut walk)?;
    let mut pack = git2::Buf::new();
    builder.write_buf(&mut pack)?;
    Ok(pack.to_vec())
}

fn touching(repository: &Repository, from: Oid, path: &str, far: usize) -> Result<Vec<(Oid, String)>, git2::Error> {
    let blob = |commit: &git2::Commit<'_>| -> Result<Option<git2::Oid>, git2::Error> {
        let entry = commit.tree()?.get_path(std::path::Path::new(path));
        Ok(entry.ok().filter(|entry| entry.kind() == Some(ObjectType::Blob)).map(|entry| entry.id()))
    };
    let mut found = Vec::new();
    let mut commit = repository.find_commit(from.libgit2())?;
    let mut here = blob(&commit)?;
    for _ in 0..far {
        let parent = match commit.parent_count() {
            0 => None,
            _ => Some(commit.parent(0)?),
        };
        let before = parent.as_ref().map(blob).transpose()?.flatten();
        if here != before {
            found.push((commit.id().into(), String::from_utf8_lossy(commit.message_bytes()).into_owned()));
        }
        let Some(parent) = parent else { break };
        (commit, here) = (parent, before);
    }
    Ok(found)
}
