//! [`Mirrors`]: all repositories that the daemon reads, one mirror each.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;

use super::credentials::{Access, CredentialStore};
use super::egress;
use super::error::Error;
use super::http::Clients;
use super::mirror::Mirror;
use super::url::{RepoUrl, Scheme};

/// The mirrors below one data directory. They are caches: deleting the directory costs a fetch.
pub struct Mirrors {
    settings: Arc<Settings>,
    mirrors: Mutex<HashMap<RepoUrl, Arc<Mirror>>>,
}

/// May repositories on this machine be read?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalRepositories {
    /// Yes: the command line and the demo do.
    Allowed,
    /// No: in a cluster nobody's address may reach the file system.
    Refused,
}

/// What holds for all mirrors.
pub(super) struct Settings {
    data: PathBuf,
    local: LocalRepositories,
    max_fetch_bytes: Mutex<u64>,
    credentials: RwLock<Arc<CredentialStore>>,
    pub(super) clients: Clients,
    /// Taken while a pack is being received. Asking for refs is not bounded: a server that does not answer must not
    /// keep others waiting.
    pub(super) fetches: Semaphore,
}

/// So many packs are received at a time; each keeps a core busy and holds its index in memory.
const MAX_FETCHES: usize = 4;

/// A pack above this size is not taken, unless configured otherwise.
const MAX_FETCH_BYTES: u64 = 4 << 30;

impl Mirrors {
    /// Keeps mirrors in `<data>/repositories`. Nothing is read or written before a repository is used.
    pub fn new(data: PathBuf, local: LocalRepositories) -> Self {
        let settings = Settings {
            data,
            local,
            max_fetch_bytes: Mutex::new(MAX_FETCH_BYTES),
            credentials: RwLock::default(),
            clients: Clients::default(),
            fetches: Semaphore::new(MAX_FETCHES),
        };
        Mirrors { settings: Arc::new(settings), mirrors: Mutex::default() }
    }

    /// Uses these credentials from the next refresh on, in place of all earlier ones.
    pub fn set_credentials(&self, credentials: CredentialStore) {
        *self.settings.credentials.write() = Arc::new(credentials);
    }

    /// Takes no more than this of a single fetch.
    pub fn set_max_fetch_bytes(&self, limit: u64) {
        *self.settings.max_fetch_bytes.lock() = limit;
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

impl Settings {
    pub(super) fn folder(&self) -> PathBuf {
        self.data.join("repositories")
    }

    pub(super) fn max_fetch_bytes(&self) -> u64 {
        *self.max_fetch_bytes.lock()
    }

    pub(super) fn access(&self, url: &RepoUrl) -> Access {
        self.credentials.read().access(url)
    }

    pub(super) fn permit(&self, url: &RepoUrl) -> Result<(), Error> {
        match (url.scheme(), self.local) {
            (Scheme::File, LocalRepositories::Refused) => Err(Error::LocalRefused { url: url.clone() }),
            _ => egress::permit(url),
        }
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
        shared::<Error>();
    }
}
