//! The daemon's directory: caches, and what tells this daemon from others.
//!
//! **In:** a path. **Out:** a [`DataDir`], locked for as long as it lives. **May not:** hold anything that can't be
//! lost: a deleted directory costs a fetch, confirmations, and the wait for a lease to expire.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// A directory that is ours alone.
#[derive(Debug)]
pub struct DataDir {
    /// Host and directory: the same after a crash, so that a daemon that is started again need not wait for its own
    /// lease to expire. The lock keeps two daemons from having one identity.
    pub identity: String,
    /// The key of plans' hashes.
    pub plan_key: [u8; 32],
    _lock: File,
}

/// How long a predecessor that is just ending may hold the lock.
const PREDECESSOR: Duration = Duration::from_secs(5);

impl DataDir {
    /// Makes it when it is not there, and locks it.
    ///
    /// # Errors
    /// When it can't be written, or another daemon uses it.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let lock = lock(&path.join("lock"))?;
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let id: [u8; 8] = kept(&path.join("identity"))?;
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(DataDir { identity: format!("{}_{id}", host.trim()), plan_key: kept(&path.join("plan.key"))?, _lock: lock })
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    let deadline = Instant::now() + PREDECESSOR;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another daemon uses it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Random bytes, made at the first start.
fn kept<const N: usize>(path: &Path) -> io::Result<[u8; N]> {
    if let Ok(bytes) = fs::read(path)
        && let Ok(known) = <[u8; N]>::try_from(bytes)
    {
        return Ok(known);
    }
    let mut bytes = [0; N];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    fs::write(path, bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_the_same_after_a_restart_and_another_one_elsewhere() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = DataDir::open(here.path()).unwrap();
        let (identity, plan_key) = (first.identity.clone(), first.plan_key);
        drop(first);
        let again = DataDir::open(here.path()).unwrap();
        assert_eq!((&again.identity, again.plan_key), (&identity, plan_key));
        assert_ne!(DataDir::open(there.path()).unwrap().identity, identity);
    }
}
