//! Free ports on loopback that stay ours until a server has bound them, and over its restarts.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process;

use super::error::Error;

/// Below the range from which the kernel takes ports for outgoing connections.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// `N` ports, reserved against other sandboxes of this user while the value lives.
#[derive(Debug)]
pub(super) struct Ports<const N: usize> {
    pub(super) numbers: [u16; N],
    /// A lock on a file per port. The kernel gives a lock back however its process ends.
    _locks: Vec<File>,
}

impl<const N: usize> Ports<N> {
    /// Reserves ports by locks on files in `directory`.
    pub(super) fn reserve(directory: &Path) -> Result<Self, Error> {
        fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
        let mut numbers = [0; N];
        let mut locks = Vec::with_capacity(N);
        // Processes that start together look in different places first.
        let start = (process::id() % u32::from(RANGE.end - RANGE.start)) as u16;
        for port in RANGE.cycle().skip(usize::from(start)).take(RANGE.len()) {
            if locks.len() == N {
                break;
            }
            let path = directory.join(port.to_string());
            let file = File::create(&path).map_err(Error::io("write", &path))?;
            // A port that something else than a sandbox uses is found by trying to listen on it.
            if file.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                numbers[locks.len()] = port;
                locks.push(file);
            }
        }
        if locks.len() < N {
            return Err(Error::NoPorts { count: N });
        }
        Ok(Ports { numbers, _locks: locks })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_nor_while_something_listens_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Ports::<3>::reserve(folder.path()).unwrap();
        let _stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, first.numbers[0])).unwrap();
        let second = Ports::<3>::reserve(folder.path()).unwrap();
        let both: BTreeSet<u16> = first.numbers.into_iter().chain(second.numbers).collect();
        assert_eq!(both.len(), 6, "{first:?} {second:?}");

        let free_again = first.numbers[1];
        let taken = first.numbers[0];
        drop(first);
        let third = Ports::<3>::reserve(folder.path()).unwrap();
        assert!(third.numbers.contains(&free_again), "{third:?}");
        assert!(!third.numbers.contains(&taken), "{third:?}");
    }
}
