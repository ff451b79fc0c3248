//! What holds for all mirrors: where they are kept, how servers are reached, how much may be fetched.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::Semaphore;

use super::credentials::{Access, CredentialStore};
use super::egress;
use super::error::Error;
use super::http::Clients;
use super::url::{RepoUrl, Scheme};

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
    max_fetch_bytes: AtomicU64,
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

impl Settings {
    pub(super) fn new(data: PathBuf, local: LocalRepositories) -> Self {
        Settings {
            data,
            local,
            max_fetch_bytes: AtomicU64::new(MAX_FETCH_BYTES),
            credentials: RwLock::default(),
            clients: Clients::default(),
            fetches: Semaphore::new(MAX_FETCHES),
        }
    }

    pub(super) fn set_credentials(&self, credentials: CredentialStore) {
        *self.credentials.write() = Arc::new(credentials);
    }

    pub(super) fn set_max_fetch_bytes(&self, limit: u64) {
        self.max_fetch_bytes.store(limit, Ordering::Relaxed);
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.data.join("repositories")
    }

    pub(super) fn max_fetch_bytes(&self) -> u64 {
        self.max_fetch_bytes.load(Ordering::Relaxed)
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
