//! Bases: accumulated once, then the same for every overlay that uses them, in this build and in later ones.
//!
//! What a base gives does not depend on who uses it, but for the schema in force, the directory from which origins are
//! shown, and the directories that are being built: [`Build`](super::accumulate::Build) asks here only where these
//! can make no difference.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;

use super::accumulate::Layer;
use super::load::LoadRestrictor;
use crate::error::Diagnostic;
use crate::source::{Identified, ReadSet, TreePath};

/// What building came across beside objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Met {
    /// Each is told once, however often its file is used.
    pub(super) warnings: Vec<Diagnostic>,
    /// The directories that were built.
    pub(super) directories: HashSet<TreePath>,
    /// How many times one of them was built.
    pub(super) layers: usize,
    /// How many of them were open at once.
    pub(super) depth: usize,
    /// Some kustomization brings a schema.
    pub(super) brings_schema: bool,
    /// The built-in schema was asked for, by an object of a kind that is not in it or by a patch: it stays known beside
    /// one that comes later.
    pub(super) keeps_built_in: bool,
}

/// What the kustomization of a directory makes for whoever lists it.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) layer: Layer,
    pub(super) met: Met,
    /// What was read for it, where that is recorded.
    pub(super) read_set: Option<ReadSet>,
}

/// The bases that were asked for more than once, for the builds to come.
///
/// What is asked for a second time is kept: most bases have one overlay, and would only take room.
#[derive(Debug)]
pub struct Bases {
    /// How many values may be kept; one takes about 150 bytes.
    limit: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    asked: HashSet<Key>,
    kept: HashMap<Key, Vec<Kept>>,
    /// Of all that is kept.
    values: usize,
    clock: u64,
}

type Key = (TreePath, LoadRestrictor);

#[derive(Debug)]
struct Kept {
    base: Arc<Base>,
    used: u64,
}

/// Versions of one base: as many branches as are likely to differ in it.
const MAX_VERSIONS: usize = 4;

/// How many directories are remembered as asked for.
const MAX_ASKED: usize = 20_000;

impl Default for Bases {
    /// Room for some two thousand objects: 15 MB.
    fn default() -> Self {
        Bases::within(100_000)
    }
}

impl Bases {
    /// Keeps at most so many values.
    pub fn within(limit: usize) -> Self {
        Bases { limit, known: Mutex::default() }
    }

    /// For a single build: one tree, and gone when it ends.
    pub(super) fn of_one_build() -> Self {
        Bases::within(usize::MAX)
    }

    /// How many bases are kept.
    pub fn len(&self) -> usize {
        self.known.lock().kept.values().map(Vec::len).sum()
    }

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The base of a directory as it is in this tree; without a tree, in the only one that there is.
    pub(super) fn find(
        &self,
        directory: &TreePath,
        restrictor: LoadRestrictor,
        tree: Option<&dyn Identified>,
    ) -> Option<Arc<Base>> {
        let mut known = self.known.lock();
        known.clock += 1;
        let now = known.clock;
        let versions = known.kept.get_mut(&(directory.clone(), restrictor))?;
        let found = versions.iter_mut().find(|kept| match (tree, &kept.base.read_set) {
            (Some(tree), Some(read_set)) => read_set.is_valid_for(tree),
            (None, None) => true,
            _ => false,
        })?;
        found.used = now;
        Some(Arc::clone(&found.base))
    }

    /// Keeps a base, if it is asked for the second time.
    pub(super) fn built(&self, directory: &TreePath, restrictor: LoadRestrictor, base: &Arc<Base>) {
        let key = (directory.clone(), restrictor);
        let mut known = self.known.lock();
        if known.asked.len() >= MAX_ASKED {
            known.asked.clear();
        }
        let values = base.values();
        if known.asked.insert(key.clone()) || values > self.limit {
            return;
        }
        known.clock += 1;
        let used = known.clock;
        known.values += values;
        let versions = known.kept.entry(key).or_default();
        versions.insert(0, Kept { base: Arc::clone(base), used });
        let surplus = if versions.len() > MAX_VERSIONS { versions.pop() } else { None };
        known.values -= surplus.map_or(0, |kept| kept.base.values());
        while known.values > self.limit && known.forget_oldest() {}
    }
}

impl Known {
    /// False when nothing is left.
    fn forget_oldest(&mut self) -> bool {
        let all = self.kept.iter().flat_map(|(key, versions)| versions.iter().map(move |kept| (kept.used, key)));
        let Some((used, key)) = all.min_by_key(|(used, _)| *used).map(|(used, key)| (used, key.clone())) else {
            return false;
        };
        if let Some(versions) = self.kept.get_mut(&key) {
            let freed: usize = versions.extract_if(.., |kept| kept.used == used).map(|kept| kept.base.values()).sum();
            self.values -= freed;
            if versions.is_empty() {
                self.kept.remove(&key);
            }
        }
        true
    }
}

impl Base {
    /// What it costs to keep.
    fn values(&self) -> usize {
        self.layer.set.values() + self.met.directories.len()
    }
}
