//! [`Snapshot`]: a repository at a commit, read straight from the object store. Nothing is ever checked out.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use git2::ObjectType;
use parking_lot::Mutex;

use super::error::Error;
use super::oid::{Commit, Oid};
use super::store::Store;
use super::url::RepoUrl;

/// A repository at a commit. Cheap to clone; all clones share what was read of the tree.
///
/// It stays readable while the mirror moves on, also when its commit is no longer on any branch.
#[derive(Clone)]
pub struct Snapshot {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<Store>,
    url: RepoUrl,
    commit: Commit,
    root: Oid,
    trees: Mutex<HashMap<Oid, Arc<[TreeEntry]>>>,
}

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file, executable or not.
    Blob,
    /// A directory.
    Tree,
    /// A symbolic link; its content is its target. Never followed here.
    Link,
    /// A submodule: a commit of another repository, of which nothing is here.
    Submodule,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its name; bytes that are not UTF-8 are replaced, and such an entry can only be listed.
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// The object that it is.
    pub id: Oid,
}

impl Snapshot {
    pub(super) fn new(store: Arc<Store>, url: RepoUrl, commit: Commit, root: Oid) -> Self {
        Snapshot { shared: Arc::new(Shared { store, url, commit, root, trees: Mutex::default() }) }
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.shared.store
    }

    /// The repository.
    pub fn repository(&self) -> &RepoUrl {
        &self.shared.url
    }

    /// The commit.
    pub fn commit(&self) -> &Commit {
        &self.shared.commit
    }

    /// The id of the tree at the root: two commits with the same have the same files.
    pub fn root(&self) -> Oid {
        self.shared.root
    }

    /// What stands at `path` (slash-separated, from the root; the root is empty). No link is followed, neither at the
    /// end nor on the way: below a link there is nothing.
    ///
    /// # Errors
    /// When the mirror is damaged.
    pub fn entry(&self, path: &str) -> Result<Option<(Kind, Oid)>, Error> {
        let mut found = (Kind::Tree, self.shared.root);
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if found.0 != Kind::Tree {
                return Ok(None);
            }
            let tree = self.tree(found.1)?;
            match tree.binary_search_by(|entry| entry.name.as_bytes().cmp(part.as_bytes())) {
                Ok(place) => found = (tree[place].kind, tree[place].id),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// The id of the object at `path`: it changes exactly when content at or below `path` does. What kind of entry it
    /// is does not show in it: a link and a file with the same bytes have the same id.
    ///
    /// # Errors
    /// When the mirror is damaged.
    pub fn id(&self, path: &str) -> Result<Option<Oid>, Error> {
        Ok(self.entry(path)?.map(|(_, id)| id))
    }

    /// What is in the directory at `path`, sorted bytewise by name; `None` when there is no directory.
    ///
    /// # Errors
    /// When the mirror is damaged.
    pub fn list(&self, path: &str) -> Result<Option<Arc<[TreeEntry]>>, Error> {
        match self.entry(path)? {
            Some((Kind::Tree, id)) => self.tree(id).map(Some),
            _ => Ok(None),
        }
    }

    /// How many bytes [`Snapshot::read`] would give, without reading them.
    ///
    /// # Errors
    /// When the mirror is damaged.
    pub fn size(&self, path: &str) -> Result<Option<u64>, Error> {
        match self.entry(path)? {
            Some((Kind::Blob | Kind::Link, id)) => {
                match self.shared.store.header(id)? {
                    Some((_, bytes)) => Ok(Some(bytes)),
                    // Reading it says what is wrong.
                    None => self.blob(id).map(|content| Some(content.len() as u64)),
                }
            }
            _ => Ok(None),
        }
    }

    /// The content of the file at `path`, of a link its target; `None` when there is neither.
    ///
    /// # Errors
    /// When it is larger than what is read into memory, or the mirror is damaged.
    pub fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, Error> {
        match self.entry(path)? {
            Some((Kind::Blob | Kind::Link, id)) => self.blob(id).map(Some),
            _ => Ok(None),
        }
    }

    /// The content of a blob by its id, as [`Snapshot::entry`] and [`Snapshot::list`] give it.
    ///
    /// # Errors
    /// When it is larger than what is read into memory, or the mirror is damaged.
    pub fn blob(&self, id: Oid) -> Result<Arc<[u8]>, Error> {
        match self.shared.store.expected(id)? {
            (ObjectType::Blob, content) => Ok(content),
            _ => Err(self.shared.store.malformed(id)),
        }
    }

    fn tree(&self, id: Oid) -> Result<Arc<[TreeEntry]>, Error> {
        if let Some(tree) = self.shared.trees.lock().get(&id) {
            return Ok(tree.clone());
        }
        let (kind, content) = self.shared.store.expected(id)?;
        let entries = (kind == ObjectType::Tree).then(|| parse_tree(&content)).flatten();
        let mut entries = entries.ok_or_else(|| self.shared.store.malformed(id))?;
        // git sorts directories as if their names ended in a slash.
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        let tree: Arc<[TreeEntry]> = entries.into();
        self.shared.trees.lock().insert(id, tree.clone());
        Ok(tree)
    }
}

/// `<mode> <name>\0<20 bytes>`, one after the other. A name that could lead elsewhere makes the tree malformed.
fn parse_tree(content: &[u8]) -> Option<Vec<TreeEntry>> {
    let mut entries = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let blank = rest.iter().position(|byte| *byte == b' ')?;
        let end = blank + 1 + rest[blank + 1..].iter().position(|byte| *byte == 0)?;
        let (mode, name) = (&rest[..blank], &rest[blank + 1..end]);
        let id: [u8; 20] = rest.get(end + 1..end + 21)?.try_into().ok()?;
        let kind = match mode {
            b"40000" | b"040000" => Kind::Tree,
            b"120000" => Kind::Link,
            b"160000" => Kind::Submodule,
            mode if mode.starts_with(b"100") => Kind::Blob,
            _ => return None,
        };
        if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
            return None;
        }
        let name = String::from_utf8_lossy(name);
        entries.push(TreeEntry { name: name.as_ref().into(), kind, id: Oid::from_bytes(id) });
        rest = &rest[end + 21..];
    }
    Some(entries)
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} at {})", self.shared.url, self.shared.commit.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_whole_or_not_at_all() {
        let id = [7; 20];
        let entry = |mode: &str, name: &str| [mode.as_bytes(), b" ", name.as_bytes(), b"\0", &id].concat();
        let whole = [
            entry("100644", "a"),
            entry("100755", "b"),
            entry("40000", "c"),
            entry("120000", "d"),
            entry("160000", "e"),
        ];
        let kinds: Vec<Kind> = parse_tree(&whole.concat()).unwrap().iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [Kind::Blob, Kind::Blob, Kind::Tree, Kind::Link, Kind::Submodule]);
        let bytes = whole.concat();
        let borders: Vec<usize> = whole
            .iter()
            .scan(0, |at, entry| {
                *at += entry.len();
                Some(*at)
            })
            .collect();
        for cut in 1..bytes.len() {
            assert_eq!(parse_tree(&bytes[..cut]).is_some(), borders.contains(&cut), "cut at {cut}");
        }
        assert!(parse_tree(&entry("777", "a")).is_none());
        for name in ["..", ".", "", "a/b", "../etc"] {
            assert!(parse_tree(&entry("100644", name)).is_none(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_of_a_stranger_are_a_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = parse_tree(&bytes);
            let _ = parse_tree(&[b"100644 a\0", &bytes[..]].concat());
        }
    }
}
