//! [`Mirrors`]: all repositories that the daemon reads, one mirror each.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::credentials::CredentialStore;
use super::mirror::Mirror;
use super::settings::{LocalRepositories, Settings};
use super::url::RepoUrl;

/// The mirrors below one data directory. They are caches: deleting the directory costs a fetch.
pub struct Mirrors {
    settings: Arc<Settings>,
    mirrors: Mutex<HashMap<RepoUrl, Arc<Mirror>>>,
}

impl Mirrors {
    /// Keeps mirrors in `<data>/repositories`. Nothing is read or written before a repository is used.
    pub fn new(data: PathBuf, local: LocalRepositories) -> Self {
        Mirrors { settings: Arc::new(Settings::new(data, local)), mirrors: Mutex::default() }
    }

    /// Uses these credentials from the next refresh on, in place of all earlier ones.
    pub fn set_credentials(&self, credentials: CredentialStore) {
        self.settings.set_credentials(credentials);
    }

    /// Takes no more than this of a single fetch.
    pub fn set_max_fetch_bytes(&self, limit: u64) {
        self.settings.set_max_fetch_bytes(limit);
    }

    /// The mirror of a repository, the same for all spellings of its address.
    pub fn mirror(&self, url: &RepoUrl) -> Arc<Mirror> {
        let mut mirrors = self.mirrors.lock();
        let make = || Arc::new(Mirror::new(url.clone(), self.settings.clone()));
        mirrors.entry(url.clone()).or_insert_with(make).clone()
    }

    /// Drops the mirrors of all repositories but these, and what they have on disk. Snapshots that are still held can
    /// then no longer be read.
    ///
    /// # Errors
    /// When the disk refuses; what is left is dropped the next time.
    pub fn keep_only(&self, in_use: &BTreeSet<RepoUrl>) -> std::io::Result<()> {
        let mut mirrors = self.mirrors.lock();
        mirrors.retain(|url, _| in_use.contains(url));
        let kept: BTreeSet<PathBuf> = in_use.iter().map(RepoUrl::directory).collect();
        let folder = self.settings.folder();
        let listed = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            listed => listed?,
        };
        for entry in listed {
            let name = PathBuf::from(entry?.file_name());
            // `.new` and `.old` stand beside a mirror that is being made anew.
            if !kept.contains(&name.with_extension("")) {
                std::fs::remove_dir_all(folder.join(name))?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Mirrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.mirrors.lock().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Mirrors>();
        shared::<Mirror>();
        shared::<crate::git::Snapshot>();
        shared::<crate::git::Watch>();
        shared::<crate::git::Error>();
    }
}
