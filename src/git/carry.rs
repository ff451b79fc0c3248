//! Carrying a commit to another branch: by a merge, by moving the branch, or back to what the branch held before.
//!
//! **In:** a branch and where it was seen to stand, a commit, the message. **Out:** a commit on the server. **May not:** rewrite
//! history, move a branch that another one has moved meanwhile, or settle a conflict.
//!
//! A commit that is made is a function of what it is made of: made again, it is the same one, and pushed again, it is nothing
//! new.

use std::collections::BTreeSet;

use git2::{MergeOptions, Repository, Signature, Time, Tree};
use jiff::Timestamp;

use super::change::{Author, pack};
use super::error::Error;
use super::merge::Merged;
use super::mirror::Mirror;
use super::oid::Oid;
use super::push::Update;
use super::remote::{self, blocking};

/// How far back a branch is searched for what was written to it.
const FAR: usize = 200;

/// What the message of a commit says that reverts another one; git's own words.
const REVERTS: &str = "This reverts commit ";

/// The trailer of a commit that brings back what a branch held at another one.
pub const RESTORES: &str = "Leeboard-Restores";

/// At most so many commits are told of.
const TOLD: usize = 100;

/// How git writes that a branch stands nowhere.
pub(super) const NOT_THERE: Oid = Oid::from_bytes([0; 20]);

/// In which way a branch gets a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A merge commit.
    Merge,
    /// The branch is moved to it.
    FastForward,
    /// A commit with the files that it had.
    Restore,
}

/// What is to be carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carry {
    /// The branch that gets it.
    pub branch: String,
    /// Where that has to stand.
    pub base: Oid,
    /// The commit.
    pub commit: Oid,
    /// In which way.
    pub way: Way,
    /// The message of the commit that is made.
    pub message: String,
    /// Who makes it.
    pub author: Author,
    /// When it is made.
    pub at: Timestamp,
    /// A branch of our own that is to stand on it instead, wherever that stands.
    pub aside: Option<String>,
    /// What the branch is known to hold, where its history does not tell.
    pub held: Vec<Holding>,
}

/// A commit of a branch that holds all of another one, although history does not say so: a forge has squashed it, or made
/// its commits anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The commit of the branch.
    pub by: Oid,
    /// What it holds.
    pub commit: Oid,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// The branch stands on this commit.
    By(Oid),
    /// The branch does not stand where it was seen.
    Moved,
    /// The branch holds commits that the other one does not: their first lines.
    Diverged(Vec<String>),
    /// Both have changed these files; sorted.
    Conflict(Vec<String>),
}

/// What comes with a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// The first lines of their messages, the newest first.
    pub subjects: Vec<String>,
    /// Who made them: `Name <address>`; sorted.
    pub authors: Vec<String>,
}

impl Mirror {
    /// Carries a commit. Both it and the base were brought here by a refresh.
    ///
    /// # Errors
    /// [`Error::PushRefused`] when the server does not take it; all that can keep a repository from being asked.
    pub async fn carry(&self, carry: Carry) -> Result<Carried, Error> {
        let onto = carry.aside.clone().unwrap_or_else(|| carry.branch.clone());
        let asked = BTreeSet::from([carry.branch.clone(), onto.clone()]);
        let refreshed = self.refresh(&asked.into_iter().collect::<Vec<_>>()).await?;
        let stands = |branch: &str| match refreshed.commit(branch) {
            Some(Err(Error::NoRevision { .. })) | None => Ok(NOT_THERE),
            Some(found) => found.clone().map(|commit| commit.id),
        };
        let (head, old) = (stands(&carry.branch)?, stands(&onto)?);
        if head != carry.base {
            return Ok(Carried::Moved);
        }
        let (store, url) = (self.store()?, self.url().clone());
        let made = blocking(&url, move || {
            let repository = store.repository()?;
            make(&repository, &carry, old).map_err(|error| store.fault(&error))
        });
        let (id, pack) = match made.await? {
            Made::Commit { id, pack } => (id, pack),
            Made::Diverged(subjects) => return Ok(Carried::Diverged(subjects)),
            Made::Conflict(paths) => return Ok(Carried::Conflict(paths)),
        };
        if id == old {
            return Ok(Carried::By(id));
        }
        let update = Update { name: format!("refs/heads/{onto}"), old, new: id };
        match remote::push(&url, &self.access(), self.clients(), update, pack).await {
            Ok(()) => Ok(Carried::By(id)),
            Err(error @ Error::PushRefused { .. }) => {
                // Somebody may have been faster: the server's words do not say so on every forge.
                let again = self.refresh(std::slice::from_ref(&onto)).await?;
                match again.commit(&onto) {
                    Some(Ok(now)) if now.id == id => Ok(Carried::By(id)),
                    Some(Ok(now)) if now.id != old => Ok(Carried::Moved),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The commit whose content a branch holds: where it stands; or where it stood before what was taken back since.
    ///
    /// # Errors
    /// When the commit is not here.
    pub async fn effective(&self, head: Oid) -> Result<Oid, Error> {
        let (store, url) = (self.store()?, self.url().clone());
        blocking(&url, move || {
            let repository = store.repository()?;
            let found = effective(&repository, head.libgit2()).map_err(|error| store.fault(&error))?;
            Ok(found.into())
        })
        .await
    }

    /// What a branch would hold once a commit was carried to it. Other than a merge of git's own, it brings back what
    /// was taken back on the branch, when the commit has it: what proved itself elsewhere is what arrives.
    ///
    /// # Errors
    /// When a commit is not here.
    pub async fn joined(&self, base: Oid, commit: Oid, held: &[Holding]) -> Result<Merged, Error> {
        let (store, url, held) = (self.store()?, self.url().clone(), held.to_vec());
        let made = blocking(&url, move || {
            let repository = store.repository()?;
            let make = || -> Result<Result<Oid, Vec<String>>, git2::Error> {
                let (base, commit) =
                    (repository.find_commit(base.libgit2())?, repository.find_commit(commit.libgit2())?);
                let tree = match join(&repository, &base, &commit, &held)? {
                    Ok(tree) => tree,
                    Err(paths) => return Ok(Err(paths)),
                };
                let signature = Signature::new("Leeboard", "leeboard@localhost", &Time::new(0, 0))?;
                let id = repository.commit(None, &signature, &signature, "merge", &tree, &[&base, &commit])?;
                Ok(Ok(id.into()))
            };
            make().map_err(|error| store.fault(&error))
        });
        match made.await? {
            Ok(commit) => self.snapshot_at(commit).map(Merged::Clean),
            Err(paths) => Ok(Merged::Conflict { paths }),
        }
    }

    /// The newest of a commit's last ancestors, itself among them, whose message has this line.
    ///
    /// # Errors
    /// When the commit is not here.
    pub async fn with_line(&self, head: Oid, line: &str) -> Result<Option<Oid>, Error> {
        let (store, url, line) = (self.store()?, self.url().clone(), line.to_owned());
        blocking(&url, move || {
            let repository = store.repository()?;
            let find = || -> Result<Option<Oid>, git2::Error> {
                let mut walk = repository.revwalk()?;
                walk.push(head.libgit2())?;
                for id in walk.take(FAR) {
                    let commit = repository.find_commit(id?)?;
                    if commit.message().is_ok_and(|message| message.lines().any(|known| known.trim_end() == line)) {
                        return Ok(Some(commit.id().into()));
                    }
                }
                Ok(None)
            };
            find().map_err(|error| store.fault(&error))
        })
        .await
    }

    /// A commit's whole message.
    ///
    /// # Errors
    /// When it is not here.
    pub async fn message(&self, commit: Oid) -> Result<String, Error> {
        let (store, url) = (self.store()?, self.url().clone());
        blocking(&url, move || {
            let repository = store.repository()?;
            let found = repository.find_commit(commit.libgit2()).map_err(|error| store.fault(&error))?;
            Ok(found.message().unwrap_or_default().to_owned())
        })
        .await
    }

    /// What a commit brings to another one; merges are not told.
    ///
    /// # Errors
    /// When one of them is not here.
    pub async fn brought(&self, base: Oid, commit: Oid) -> Result<Brought, Error> {
        let (store, url) = (self.store()?, self.url().clone());
        blocking(&url, move || {
            let repository = store.repository()?;
            brought(&repository, base, commit).map_err(|error| store.fault(&error))
        })
        .await
    }
}

impl Mirror {
    /// Who last changed one of these files before a commit: `3f9a1c2 by Jane`; `None` where it is too long ago.
    ///
    /// # Errors
    /// When the commit is not here.
    pub async fn last_to_change(&self, commit: Oid, paths: &[String]) -> Result<Option<String>, Error> {
        let (store, url, paths) = (self.store()?, self.url().clone(), paths.to_vec());
        blocking(&url, move || {
            let repository = store.repository()?;
            last_to_change(&repository, commit, &paths).map_err(|error| store.fault(&error))
        })
        .await
    }
}

fn last_to_change(repository: &Repository, commit: Oid, paths: &[String]) -> Result<Option<String>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.push(commit.libgit2())?;
    let at = |tree: &Tree<'_>| -> Vec<Option<git2::Oid>> {
        paths.iter().map(|path| tree.get_path(std::path::Path::new(path)).ok().map(|entry| entry.id())).collect()
    };
    for id in walk.take(FAR) {
        let commit = repository.find_commit(id?)?;
        if commit.parent_count() > 1 {
            continue;
        }
        let before = match commit.parents().next() {
            Some(parent) => at(&parent.tree()?),
            None => vec![None; paths.len()],
        };
        if before != at(&commit.tree()?) {
            let short = Oid::from(commit.id()).short();
            let author = commit.author();
            return Ok(Some(format!("{short} by {}", author.name().unwrap_or_default())));
        }
    }
    Ok(None)
}

/// What came of making the commit in the mirror, where nothing points to it.
enum Made {
    Commit { id: Oid, pack: Vec<u8> },
    Diverged(Vec<String>),
    Conflict(Vec<String>),
}

fn make(repository: &Repository, carry: &Carry, old: Oid) -> Result<Made, git2::Error> {
    let base = repository.find_commit(carry.base.libgit2())?;
    let commit = repository.find_commit(carry.commit.libgit2())?;
    let id = match carry.way {
        Way::FastForward => {
            if base.id() != commit.id() && !repository.graph_descendant_of(commit.id(), base.id())? {
                return brought(repository, carry.commit, carry.base).map(|own| Made::Diverged(own.subjects));
            }
            commit.id()
        }
        Way::Merge => match join(repository, &base, &commit, &carry.held)? {
            Ok(tree) => written(repository, carry, &tree, &[&base, &commit])?,
            Err(paths) => return Ok(Made::Conflict(paths)),
        },
        Way::Restore => written(repository, carry, &commit.tree()?, &[&base])?,
    };
    // What the branch of our own stood on may not be here.
    let there = [carry.base, old].map(Oid::libgit2);
    let there: Vec<git2::Oid> = there.into_iter().filter(|known| repository.find_commit(*known).is_ok()).collect();
    Ok(Made::Commit { id: id.into(), pack: pack(repository, id, &there)? })
}

/// The files of both; or those in conflict.
fn join<'a>(
    repository: &'a Repository,
    base: &git2::Commit<'a>,
    commit: &git2::Commit<'a>,
    held: &[Holding],
) -> Result<Result<Tree<'a>, Vec<String>>, git2::Error> {
    let holds = effective(repository, base.id())?;
    let mut common = repository.merge_base(holds, commit.id())?;
    let is_in =
        |commit: git2::Oid, of: git2::Oid| commit == of || repository.graph_descendant_of(of, commit).unwrap_or(false);
    for known in held.iter().filter(|known| is_in(known.by.libgit2(), holds)) {
        let nearer = repository.merge_base(known.commit.libgit2(), commit.id());
        if let Ok(nearer) = nearer
            && is_in(common, nearer)
        {
            common = nearer;
        }
    }
    let mut options = MergeOptions::new();
    options.find_renames(false);
    let common = repository.find_commit(common)?.tree()?;
    let mut index = repository.merge_trees(&common, &base.tree()?, &commit.tree()?, Some(&options))?;
    if index.has_conflicts() {
        return conflicts(&index).map(Err);
    }
    Ok(Ok(repository.find_tree(index.write_tree_to(repository)?)?))
}

fn effective(repository: &Repository, head: git2::Oid) -> Result<git2::Oid, git2::Error> {
    let mut at = repository.find_commit(head)?;
    let mut reverted: BTreeSet<git2::Oid> = BTreeSet::new();
    for _ in 0..FAR {
        let message = at.message().unwrap_or_default().to_owned();
        let named = |line: &str, mark: &str| -> Option<git2::Oid> {
            let rest = line.trim().strip_prefix(mark)?.trim_start_matches([':', ' ']);
            git2::Oid::from_str(rest.get(..40)?).ok()
        };
        if let Some(to) = message.lines().find_map(|line| named(line, RESTORES))
            && let Ok(back) = repository.find_commit(to)
        {
            at = back;
            continue;
        }
        let takes_back: Vec<git2::Oid> = message.lines().filter_map(|line| named(line, REVERTS)).collect();
        let is_off = reverted.contains(&at.id());
        reverted.extend(takes_back.iter().filter(|_| !is_off));
        if !is_off && takes_back.is_empty() {
            return Ok(at.id());
        }
        match at.parent(0) {
            Ok(before) => at = before,
            Err(_) => return Ok(head),
        }
    }
    Ok(head)
}

fn written(
    repository: &Repository,
    carry: &Carry,
    tree: &Tree<'_>,
    parents: &[&git2::Commit<'_>],
) -> Result<git2::Oid, git2::Error> {
    let Author { name, email } = &carry.author;
    let signature = Signature::new(name, email, &Time::new(carry.at.as_second(), 0))?;
    repository.commit(None, &signature, &signature, &carry.message, tree, parents)
}

/// The files in conflict; sorted.
pub(super) fn conflicts(index: &git2::Index) -> Result<Vec<String>, git2::Error> {
    let mut paths = BTreeSet::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        let entry = [conflict.our, conflict.their, conflict.ancestor].into_iter().flatten().next();
        paths.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
    }
    Ok(paths.into_iter().collect())
}

fn brought(repository: &Repository, base: Oid, commit: Oid) -> Result<Brought, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.push(commit.libgit2())?;
    walk.hide(base.libgit2())?;
    let mut brought = Brought::default();
    let mut authors = BTreeSet::new();
    for id in walk.take(TOLD) {
        let commit = repository.find_commit(id?)?;
        if commit.parent_count() > 1 {
            continue;
        }
        brought.subjects.push(commit.summary().ok().flatten().unwrap_or_default().to_owned());
        let author = commit.author();
        let (name, mail) = (author.name().unwrap_or_default(), author.email().unwrap_or_default());
        authors.insert(format!("{name} <{mail}>"));
    }
    brought.authors = authors.into_iter().collect();
    Ok(brought)
}
