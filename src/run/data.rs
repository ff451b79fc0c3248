//! The data directory: caches, and what makes this daemon the same one after a restart.
//!
//! **In:** a path. **Out:** the keys of plans' hashes and of pages' names, and the daemon's identity, made at the first start.
//! **May not:** be shared: a lock on it tells that no other process has this identity.
//!
//! A daemon that was killed holds a lease that nobody renews. Because it comes back under the same name it need not
//! wait for its own lease to expire. Losing the directory costs that wait, fetches, and confirmations of plans.

use std::fs::{self, File, TryLockError};
use std::io::{Error, ErrorKind};
use std::path::Path;

use crate::plan::PlanKey;
use crate::server::pages::NameKey;

/// The directory, locked for as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    /// The key of plans' hashes.
    pub plan_key: PlanKey,
    /// What names of pages are made with.
    pub page_key: NameKey,
    /// The name in the lease: the host's, and something random of this directory's own.
    pub identity: String,
    _lock: File,
}

impl DataDir {
    /// Opens it, and makes it when it is not there.
    ///
    /// # Errors
    /// When it cannot be written, or another process has it.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(path)?;
        let lock = File::create(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(ErrorKind::ResourceBusy, "another Leeboard runs with it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let secret: [u8; 32] = kept(&path.join("plan.key"))?;
        let page_key = NameKey::new(kept(&path.join("page.key"))?);
        let own: [u8; 4] = kept(&path.join("instance"))?;
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let identity = format!("{}_{:08x}", host.trim(), u32::from_be_bytes(own));
        Ok(DataDir { plan_key: PlanKey::new(secret), page_key, identity, _lock: lock })
    }
}

/// The random bytes that a file keeps; drawn when it is not there, or not whole.
fn kept<const N: usize>(path: &Path) -> std::io::Result<[u8; N]> {
    if let Ok(bytes) = fs::read(path)
        && let Ok(known) = <[u8; N]>::try_from(bytes)
    {
        return Ok(known);
    }
    let mut bytes = [0; N];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| Error::other("the system gives no random bytes"))?;
    fs::write(path, bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_keeps_its_name_and_shares_it_with_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(folder.path()).unwrap();
        let second = DataDir::open(folder.path()).unwrap_err();
        assert_eq!(second.to_string(), "another Leeboard runs with it");
        let name = first.identity.clone();
        drop(first);
        assert_eq!(DataDir::open(folder.path()).unwrap().identity, name);
        fs::remove_file(folder.path().join("instance")).unwrap();
        assert_ne!(DataDir::open(folder.path()).unwrap().identity, name);
    }
}
