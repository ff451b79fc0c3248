//! Notices changes of files on disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Editors write a file in several steps: this long must be quiet.
const QUIET: Duration = Duration::from_millis(100);

/// The files of a directory, and those elsewhere that it is made of.
pub(super) struct Changes {
    watcher: RecommendedWatcher,
    changed: Arc<Notify>,
    watched: BTreeSet<PathBuf>,
}

impl Changes {
    /// Watches a directory with all below it.
    pub(super) fn new(directory: &Path) -> notify::Result<Self> {
        let changed = Arc::new(Notify::new());
        let notice = changed.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
                notice.notify_one();
            }
        })?;
        watcher.watch(directory, RecursiveMode::Recursive)?;
        let watched = directory.canonicalize().into_iter().collect();
        Ok(Changes { watcher, changed, watched })
    }

    /// Watches what these files lie in, too: bases are wherever they are.
    pub(super) fn also(&mut self, files: &BTreeSet<PathBuf>) {
        let directories: BTreeSet<PathBuf> = files.iter().filter_map(|file| Some(file.parent()?.to_owned())).collect();
        for directory in directories {
            let is_known = self.watched.iter().any(|known| directory.starts_with(known));
            // One that has gone meanwhile shows when it is rendered.
            if !is_known && self.watcher.watch(&directory, RecursiveMode::NonRecursive).is_ok() {
                self.watched.insert(directory);
            }
        }
    }

    /// Waits for a change, and then until all is quiet.
    pub(super) async fn next(&self) {
        self.changed.notified().await;
        while tokio::time::timeout(QUIET, self.changed.notified()).await.is_ok() {}
    }
}
