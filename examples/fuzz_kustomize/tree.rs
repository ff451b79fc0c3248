//! A tree of files in memory, and what was put into it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use leeboard::source::{Entry, Error, Files, TreePath};

/// What both engines are asked to build.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    /// By path from the tree's root.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The directory of the kustomization that is built.
    pub(crate) root: String,
    /// `--load-restrictor LoadRestrictionsNone`.
    pub(crate) is_unrestricted: bool,
    /// `--reorder none`.
    pub(crate) is_unordered: bool,
    /// Which features were used.
    pub(crate) features: BTreeSet<&'static str>,
}

impl Tree {
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        for (path, bytes) in &self.files {
            let path = directory.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, bytes)?;
        }
        Ok(())
    }

    /// Where `to` is, seen from `from`; both are directories of the tree.
    pub(crate) fn relative(from: &str, to: &str) -> String {
        let (from, to): (Vec<&str>, Vec<&str>) = (from.split('/').collect(), to.split('/').collect());
        let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
        let up = std::iter::repeat_n("..", from.len() - common);
        up.chain(to.into_iter().skip(common)).collect::<Vec<&str>>().join("/")
    }
}

/// A tree as the engine reads it.
pub(crate) struct InMemory<'a>(pub(crate) &'a Tree);

impl Files for InMemory<'_> {
    fn entry(&self, path: &TreePath) -> Result<Option<Entry>, Error> {
        if self.0.files.contains_key(path.as_str()) {
            return Ok(Some(Entry::File));
        }
        let below = format!("{}/", path.as_str());
        let is_directory = path.as_str().is_empty() || self.0.files.keys().any(|known| known.starts_with(&below));
        Ok(is_directory.then_some(Entry::Directory))
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, Error> {
        match self.0.files.get(path.as_str()) {
            Some(bytes) => Ok(bytes.as_slice().into()),
            None if self.entry(path)? == Some(Entry::Directory) => Err(Error::NotAFile { path: path.clone() }),
            None => Err(Error::NotFound { path: path.clone() }),
        }
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(String, Entry)>, Error> {
        let prefix = if path.as_str().is_empty() { String::new() } else { format!("{}/", path.as_str()) };
        let mut entries = BTreeMap::new();
        for rest in self.0.files.keys().filter_map(|known| known.strip_prefix(&prefix)) {
            match rest.split_once('/') {
                Some((directory, _)) => entries.insert(directory.to_owned(), Entry::Directory),
                None => entries.insert(rest.to_owned(), Entry::File),
            };
        }
        Ok(entries.into_iter().collect())
    }
}
