//! Trees of files to build, and what a build of one says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use leeboard::error::Diagnostic;
use leeboard::kustomize::{Options, Rendered, build};
use leeboard::source::{Entry, Error, Files, TreePath};
use leeboard::yaml::emit;

/// A directory of the disk.
pub(crate) struct Disk(pub(crate) PathBuf);

impl Disk {
    fn at(&self, path: &TreePath) -> PathBuf {
        self.0.join(path.as_str())
    }
}

impl Files for Disk {
    fn entry(&self, path: &TreePath) -> Result<Option<Entry>, Error> {
        Ok(match std::fs::metadata(self.at(path)) {
            Ok(found) if found.is_dir() => Some(Entry::Directory),
            Ok(_) => Some(Entry::File),
            Err(_) => None,
        })
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, Error> {
        std::fs::read(self.at(path)).map(Into::into).map_err(|_| Error::NotFound { path: path.clone() })
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(String, Entry)>, Error> {
        let entries = std::fs::read_dir(self.at(path)).map_err(|_| Error::NotFound { path: path.clone() })?;
        let mut names: Vec<(String, Entry)> = entries
            .flatten()
            .map(|entry| {
                let kind = if entry.path().is_dir() { Entry::Directory } else { Entry::File };
                (entry.file_name().to_string_lossy().into_owned(), kind)
            })
            .collect();
        names.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(names)
    }
}

/// A tree in memory.
#[derive(Clone, Debug)]
pub(crate) struct Tree(pub(crate) BTreeMap<TreePath, Arc<[u8]>>);

impl Tree {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Tree(files.iter().map(|(path, text)| (TreePath::new(path).unwrap(), text.as_bytes().into())).collect())
    }
}

impl Files for Tree {
    fn entry(&self, path: &TreePath) -> Result<Option<Entry>, Error> {
        let below = |known: &TreePath| known != path && known.is_within(path);
        Ok(match self.0.contains_key(path) {
            true => Some(Entry::File),
            false => self.0.keys().any(below).then_some(Entry::Directory),
        })
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, Error> {
        self.0.get(path).cloned().ok_or_else(|| Error::NotFound { path: path.clone() })
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(String, Entry)>, Error> {
        let files = self.0.keys().filter(|known| known.parent().as_ref() == Some(path));
        Ok(files.map(|file| (file.file_name().to_owned(), Entry::File)).collect())
    }
}

/// What a build of the tree's root says: its text, or its problems.
pub(crate) fn outcome(files: &[(&str, &str)], options: &Options) -> String {
    match build(&Tree::new(files), &TreePath::root(), options) {
        Ok(rendered) => printed(&rendered),
        Err(problems) => said(&problems),
    }
}

/// The objects as `kustomize build` prints them.
pub(crate) fn printed(rendered: &Rendered) -> String {
    let texts: Vec<String> = rendered.objects.iter().map(|object| emit::to_string(&object.body)).collect();
    texts.join("---\n")
}

/// Problems or warnings one a line, each followed by its notes.
pub(crate) fn said(diagnostics: &[Diagnostic]) -> String {
    let lines = diagnostics.iter().flat_map(|diagnostic| {
        std::iter::once(diagnostic.to_string()).chain(diagnostic.notes.iter().map(|note| format!("  {note}")))
    });
    lines.collect::<Vec<String>>().join("\n")
}

/// Where two texts differ, for a person who has to find out why.
pub(crate) fn difference(expected: &str, found: &str) -> String {
    similar::TextDiff::from_lines(expected, found).unified_diff().header("expected", "found").to_string()
}
