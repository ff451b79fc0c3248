//! A tree in which the trees of other repositories stand: what a kustomization with remote bases is rendered from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::remote::Remote;
use super::snapshot::SnapshotFiles;
use super::{Entry, Error, Files, Identified, Located, TreePath};

/// A tree, and others below their [mount points](Remote::mount_point).
pub struct Mounted<'a> {
    tree: &'a dyn Identified,
    others: BTreeMap<TreePath, SnapshotFiles>,
    missed: Mutex<BTreeSet<Remote>>,
}

impl<'a> Mounted<'a> {
    /// The tree with these repositories in it, each at the commit that its revision means.
    pub fn new<'r>(tree: &'a dyn Identified, others: impl IntoIterator<Item = (&'r Remote, SnapshotFiles)>) -> Self {
        let others = others.into_iter().map(|(remote, files)| (remote.mount_point(), files)).collect();
        Mounted { tree, others, missed: Mutex::default() }
    }

    /// The repositories that were asked for and are not there.
    pub fn missed(&self) -> BTreeSet<Remote> {
        self.missed.lock().clone()
    }

    /// Which tree a path is in, and where.
    fn place(&self, path: &TreePath) -> (&dyn Identified, TreePath) {
        let other = self.others.iter().find_map(|(point, files)| Some((files, path.below(point)?)));
        other.map_or((self.tree, path.clone()), |(files, inside)| (files as &dyn Identified, inside))
    }

    fn is_mounted(&self, path: &TreePath) -> bool {
        self.others.keys().any(|point| path.is_within(point))
    }
}

impl Files for Mounted<'_> {
    fn entry(&self, path: &TreePath) -> Result<Option<Entry>, Error> {
        let (tree, path) = self.place(path);
        tree.entry(&path)
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, Error> {
        let (tree, path) = self.place(path);
        tree.read(&path)
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(String, Entry)>, Error> {
        let (tree, path) = self.place(path);
        tree.list(&path)
    }

    fn mount_point(&self, remote: &Remote) -> Option<TreePath> {
        let point = remote.mount_point();
        if self.others.contains_key(&point) {
            return Some(point);
        }
        self.missed.lock().insert(remote.clone());
        None
    }

    fn root_of(&self, path: &TreePath) -> TreePath {
        self.others.keys().find(|point| path.is_within(point)).cloned().unwrap_or_default()
    }
}

impl Identified for Mounted<'_> {
    fn locate(&self, path: &TreePath) -> Result<Located, Error> {
        let (tree, inside) = self.place(path);
        let located = tree.locate(&inside)?;
        // The directories above a mount point are of another tree: their ids say nothing of what is below it.
        Ok(Located { through_link: located.through_link || self.is_mounted(path), ..located })
    }

    fn is_link(&self, path: &TreePath) -> Result<bool, Error> {
        let (tree, path) = self.place(path);
        tree.is_link(&path)
    }

    fn holds_links(&self, path: &TreePath) -> bool {
        let (tree, path) = self.place(path);
        tree.holds_links(&path)
    }
}
