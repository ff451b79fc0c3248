//! [`Watch`]: a push to a repository on this machine is noticed at once, without polling.
//!
//! It is a hint to refresh, like a webhook: when one is missed, the next poll finds the push.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::EventKind;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::error::Error;
use super::local;
use super::url::RepoUrl;

/// A push moves several files one after the other; they are told as one.
const QUIET: Duration = Duration::from_millis(10);

/// Watches the refs of local repositories.
pub struct Watch {
    watcher: RecommendedWatcher,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    /// By the folder that holds `HEAD`, `packed-refs` and `refs`.
    repositories: Mutex<BTreeMap<PathBuf, RepoUrl>>,
    /// Never more than there are repositories, however much happens to them.
    changed: Mutex<BTreeSet<RepoUrl>>,
    wake: Notify,
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the system has no more watches to give; polling must do then.
    pub fn new() -> Result<Self, WatchError> {
        let seen = Arc::new(Seen::default());
        let shared = seen.clone();
        let watcher = notify::recommended_watcher(move |event| shared.take(event)).map_err(WatchError::new)?;
        Ok(Watch { watcher, seen })
    }

    /// Watches one more repository. A second time does no harm; what is not local is passed over.
    ///
    /// # Errors
    /// When there is no repository, or the system has no more watches to give.
    pub fn add(&mut self, url: &RepoUrl) -> Result<(), WatchError> {
        let Some(path) = url.local_path() else { return Ok(()) };
        let folder = local::folder(url, path)?;
        if self.seen.repositories.lock().contains_key(&folder) {
            return Ok(());
        }
        // The objects are none of our business; that they moved shows in the refs.
        self.watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(WatchError::new)?;
        self.watcher.watch(&folder.join("refs"), RecursiveMode::Recursive).map_err(WatchError::new)?;
        self.seen.repositories.lock().insert(folder, url.clone());
        Ok(())
    }

    /// Stops watching a repository.
    pub fn remove(&mut self, url: &RepoUrl) {
        let folder = {
            let mut repositories = self.seen.repositories.lock();
            let folder = repositories.iter().find(|(_, watched)| *watched == url).map(|(folder, _)| folder.clone());
            folder.inspect(|folder| drop(repositories.remove(folder)))
        };
        if let Some(folder) = folder {
            // It fails only when the folder is gone, and the watch with it.
            let _ = self.watcher.unwatch(&folder.join("refs"));
            let _ = self.watcher.unwatch(&folder);
        }
    }

    /// Waits until a ref has moved in some of the repositories, and says in which.
    ///
    /// Nothing is lost when the wait is given up and taken up again.
    pub async fn changed(&self) -> BTreeSet<RepoUrl> {
        loop {
            if !self.seen.changed.lock().is_empty() {
                tokio::time::sleep(QUIET).await;
                return std::mem::take(&mut *self.seen.changed.lock());
            }
            self.seen.wake.notified().await;
        }
    }
}

impl Seen {
    fn take(&self, event: notify::Result<notify::Event>) {
        let repositories = self.repositories.lock();
        let changed: Vec<&RepoUrl> = match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
            // The queue of the system overflowed: anything may have happened.
            Ok(event) if event.need_rescan() => repositories.values().collect(),
            Ok(event) => event
                .paths
                .iter()
                .flat_map(|path| repositories.iter().filter(|(folder, _)| is_ref(folder, path)).map(|(_, url)| url))
                .collect(),
            Err(_) => repositories.values().collect(),
        };
        if !changed.is_empty() {
            self.changed.lock().extend(changed.into_iter().cloned());
            self.wake.notify_one();
        }
    }
}

/// Is this a file in which git keeps where refs stand?
fn is_ref(folder: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(folder) else { return false };
    // git writes `x.lock` and then renames it to `x`.
    if inside.extension().is_some_and(|extension| extension == "lock") {
        return false;
    }
    inside == Path::new("HEAD") || inside == Path::new("packed-refs") || inside.starts_with("refs")
}

/// Why a repository can't be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no repository to watch.
    #[error(transparent)]
    Repository(#[from] Error),
    /// The system refuses.
    #[error("cannot watch for changes: {reason}")]
    System {
        /// What it said.
        reason: String,
    },
}

impl WatchError {
    #[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
    fn new(error: notify::Error) -> Self {
        // Without the paths, which notify appends.
        let reason = match &error.kind {
            notify::ErrorKind::Io(error) => error.to_string(),
            notify::ErrorKind::MaxFilesWatch => "the limit of watched files is reached".into(),
            kind => format!("{kind:?}"),
        };
        WatchError::System { reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refs_count() {
        let cases = [
            ("/r/HEAD", true),
            ("/r/packed-refs", true),
            ("/r/refs/heads/env/dev", true),
            ("/r/refs/heads/env", true),
            ("/r/refs/heads/env/dev.lock", false),
            ("/r/HEAD.lock", false),
            ("/r/index", false),
            ("/r/objects/aa/bb", false),
            ("/other/refs/heads/x", false),
        ];
        for (path, counts) in cases {
            assert_eq!(is_ref(Path::new("/r"), Path::new(path)), counts, "{path}");
        }
    }
}
