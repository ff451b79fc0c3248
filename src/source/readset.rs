//! What a render looked at: valid until something of it changes.
//!
//! A render asks its [`Files`] for entries, contents and listings; [`Recording`] notes each question with the identity
//! of its answer. Two trees that give the same answers give the same manifest, so a later commit is checked by asking
//! the same questions again, without reading a file: a directory of git whose tree has kept its id answers for all
//! below it at once, so the work follows what a commit changed and not what the render read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use super::{Entry, Error, Files, Remote, TreePath};

/// The identity of a file's content or of a whole directory: equal ids mean equal bytes.
pub type Id = [u8; 20];

/// What stands at a path, with its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// File or directory, links followed; `None` when nothing is there.
    pub entry: Option<Entry>,
    /// Of a file's content, or of all that is below a directory; `None` when it has no cheap identity.
    pub id: Option<Id>,
    /// True when a symbolic link was followed on the way: the directories in the path do not tell its identity then.
    pub through_link: bool,
}

/// A tree whose parts have identities.
pub trait Identified: Files {
    /// What stands at `path`.
    ///
    /// # Errors
    /// Those of [`Files::entry`].
    fn locate(&self, path: &TreePath) -> Result<Located, Error>;

    /// True when `path` itself is a symbolic link; the links in the directories above it do not count.
    ///
    /// # Errors
    /// Those of [`Files::entry`].
    fn is_link(&self, path: &TreePath) -> Result<bool, Error>;

    /// True when the directory at `path` may hold symbolic links, so that its listing hangs on what is elsewhere.
    fn holds_links(&self, path: &TreePath) -> bool;
}

/// What was seen at one path. A question that was not asked stays `None` and can't invalidate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// What stood there; `Some(None)` when nothing did.
    entry: Option<Option<Entry>>,
    /// The content of the file.
    content: Option<Id>,
    /// The names and entries of the directory.
    listing: Option<Id>,
    /// Whether the path itself is a symbolic link.
    is_link: Option<bool>,
    /// The answer hung on a symbolic link: the id of the directory around it says nothing.
    through_link: bool,
    /// The answer was an error, or had no identity: never valid again.
    unknown: bool,
}

/// What a render looked at, absences and listings included, with the identity of each answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSet {
    seen: BTreeMap<TreePath, Seen>,
    /// The result says which commit it was made of: no other one gives the same.
    names_commit: bool,
    /// The ids of the directories that were read from and of those above them; `None` when nothing was there.
    directories: BTreeMap<TreePath, Option<Id>>,
}

impl ReadSet {
    /// True when every question that the render asked has the same answer in `tree`, another commit than that of the
    /// render.
    ///
    /// An error counts as a change: the new render will tell it.
    pub fn is_valid_for(&self, tree: &dyn Identified) -> bool {
        let mut unchanged = Unchanged::default();
        // Every render reads something; one that did not has nothing to be known by.
        !self.names_commit
            && !self.seen.is_empty()
            && self.seen.iter().all(|(path, seen)| {
                if seen.unknown {
                    return false;
                }
                let covered = !seen.through_link && self.is_unchanged_above(path, tree, &mut unchanged);
                covered || seen.still_holds(path, tree)
            })
    }

    /// The paths that were asked for.
    pub fn paths(&self) -> impl Iterator<Item = &TreePath> {
        self.seen.keys()
    }

    /// True when the directory that holds `path`, or one above it, is the same tree as it was.
    fn is_unchanged_above(&self, path: &TreePath, tree: &dyn Identified, unchanged: &mut Unchanged) -> bool {
        let directory = path.parent().unwrap_or_default();
        self.is_unchanged(&directory, tree, unchanged)
    }

    fn is_unchanged(&self, directory: &TreePath, tree: &dyn Identified, unchanged: &mut Unchanged) -> bool {
        let Some(before) = self.directories.get(directory) else { return false };
        let known = (directory.clone(), *before);
        if let Some(known) = unchanged.0.get(&known) {
            return *known;
        }
        let same = directory.parent().is_some_and(|parent| self.is_unchanged(&parent, tree, unchanged))
            || match (before, tree.locate(directory)) {
                (Some(before), Ok(now)) => now.id == Some(*before) && !now.through_link,
                _ => false,
            };
        unchanged.0.insert(known, same);
        same
    }
}

/// Which directories of one tree were found to be what they were.
#[derive(Debug, Default)]
struct Unchanged(HashMap<(TreePath, Option<Id>), bool>);

impl Seen {
    /// Takes over what another saw of the same.
    fn absorb(&mut self, other: &Seen) {
        self.entry = self.entry.or(other.entry);
        self.content = self.content.or(other.content);
        self.listing = self.listing.or(other.listing);
        self.is_link = self.is_link.or(other.is_link);
        self.through_link |= other.through_link;
        self.unknown |= other.unknown;
    }

    fn still_holds(&self, path: &TreePath, tree: &dyn Identified) -> bool {
        let Ok(now) = tree.locate(path) else { return false };
        self.entry.is_none_or(|entry| now.entry == entry)
            && self.content.is_none_or(|before| content_of(path, now, tree) == Some(before))
            && self.is_link.is_none_or(|before| tree.is_link(path) == Ok(before))
            && self.listing.is_none_or(|before| tree.list(path).is_ok_and(|names| listing_id(&names) == before))
    }
}

/// The identity of a file's content, computed when the tree does not know it.
fn content_of(path: &TreePath, located: Located, tree: &dyn Identified) -> Option<Id> {
    located.id.or_else(|| tree.read(path).ok().map(|bytes| content_id(&bytes)))
}

/// The identity of a listing: names and what they are, not what is in them.
fn listing_id(names: &[(String, Entry)]) -> Id {
    let mut hash = Xxh3Default::new();
    for (name, entry) in names {
        hash.update(&(name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update(match entry {
            Entry::File => b"f",
            Entry::Directory => b"d",
        });
    }
    widened(hash.digest128())
}

fn content_id(bytes: &[u8]) -> Id {
    widened(xxh3_128(bytes))
}

/// A fast hash is enough: it is compared with hashes of the same author's files, in memory only.
fn widened(hash: u128) -> Id {
    let mut id = [0; 20];
    id[..16].copy_from_slice(&hash.to_le_bytes());
    id
}

/// A [`Files`] that notes every question that is asked of another, with the identity of its answer.
pub struct Recording<'a> {
    tree: &'a dyn Identified,
    read_set: Mutex<ReadSet>,
}

impl<'a> Recording<'a> {
    /// Records what is asked of `tree`.
    pub fn new(tree: &'a dyn Identified) -> Self {
        Recording { tree, read_set: Mutex::default() }
    }

    /// True when `path` itself is a symbolic link.
    ///
    /// # Errors
    /// Those of [`Files::entry`].
    pub fn is_link(&self, path: &TreePath) -> Result<bool, Error> {
        let located = self.tree.locate(path);
        let is_link = self.tree.is_link(path);
        self.note(path, &located, |seen| match is_link {
            Ok(is_link) => seen.is_link = Some(is_link),
            Err(_) => seen.unknown = true,
        });
        is_link
    }

    /// Notes that the result depends on the commit itself, not only on the files in it.
    pub fn note_commit(&self) {
        self.read_set.lock().names_commit = true;
    }

    /// What is recorded.
    pub fn tree(&self) -> &'a dyn Identified {
        self.tree
    }

    /// A recording of its own for a part of the work on the same tree.
    pub fn part(&self) -> Recording<'a> {
        Recording::new(self.tree)
    }

    /// Notes all that a part of the work has read, now or at an earlier time at which the answers were the same.
    pub fn absorb(&self, part: &ReadSet) {
        let mut read_set = self.read_set.lock();
        read_set.names_commit |= part.names_commit;
        for (path, seen) in &part.seen {
            read_set.seen.entry(path.clone()).or_default().absorb(seen);
        }
        for path in part.directories.keys() {
            // What is beside the answers may have changed since: its id is that of this tree.
            if !read_set.directories.contains_key(path) {
                read_set.directories.insert(path.clone(), self.id_of_directory(path));
            }
        }
    }

    /// A directory behind a link has no identity of its own path; nor has one that can't be read.
    fn id_of_directory(&self, path: &TreePath) -> Option<Id> {
        self.tree.locate(path).ok().filter(|located| !located.through_link).and_then(|located| located.id)
    }

    /// What was asked so far.
    pub fn into_read_set(self) -> ReadSet {
        self.read_set.into_inner()
    }

    /// Asks where `path` leads and notes the answer; `add` tells what else was learnt.
    fn note(&self, path: &TreePath, located: &Result<Located, Error>, add: impl FnOnce(&mut Seen)) {
        let mut read_set = self.read_set.lock();
        let seen = read_set.seen.entry(path.clone()).or_default();
        match located {
            Ok(located) => {
                seen.entry = Some(located.entry);
                seen.through_link |= located.through_link;
                add(seen);
            }
            Err(_) => seen.unknown = true,
        }
        let mut directory = path.parent();
        while let Some(at) = directory {
            if read_set.directories.contains_key(&at) {
                break;
            }
            directory = at.parent();
            let id = self.id_of_directory(&at);
            read_set.directories.insert(at, id);
        }
    }
}

impl Files for Recording<'_> {
    fn entry(&self, path: &TreePath) -> Result<Option<Entry>, Error> {
        let located = self.tree.locate(path);
        self.note(path, &located, |_| {});
        located.map(|located| located.entry)
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, Error> {
        let located = self.tree.locate(path);
        let read = self.tree.read(path);
        self.note(path, &located, |seen| match &read {
            Ok(bytes) => {
                let known = located.as_ref().ok().and_then(|located| located.id);
                seen.content = Some(known.unwrap_or_else(|| content_id(bytes)));
            }
            // What stands there tells it.
            Err(Error::NotFound { .. } | Error::NotAFile { .. }) => {}
            Err(_) => seen.unknown = true,
        });
        read
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(String, Entry)>, Error> {
        let located = self.tree.locate(path);
        let names = self.tree.list(path);
        let holds_links = self.tree.holds_links(path);
        self.note(path, &located, |seen| match &names {
            Ok(names) => {
                seen.listing = Some(listing_id(names));
                seen.through_link |= holds_links;
            }
            Err(Error::NotFound { .. } | Error::NotADirectory { .. }) => {}
            Err(_) => seen.unknown = true,
        });
        names
    }

    fn mount_point(&self, remote: &Remote) -> Option<TreePath> {
        self.tree.mount_point(remote)
    }

    fn root_of(&self, path: &TreePath) -> TreePath {
        self.tree.root_of(path)
    }
}
