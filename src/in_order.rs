//! Work on several threads whose results come in the order of what they were made of.
//!
//! **In:** items, and what to do with each. **Out:** the results, as one thread would have made them. **May not:** go on
//! after it has returned.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// As many threads as work side by side on this machine.
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What `work` makes of each item; at most so many threads work on them, of which the caller's is one.
///
/// # Panics
/// When the work on an item does.
pub fn map<T: Sync, R: Send>(workers: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if workers < 2 || items.len() < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let one_worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            match items.get(at) {
                Some(item) => done.push((at, work(item))),
                None => return done,
            }
        }
    };
    let mut all: Vec<(usize, R)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers.min(items.len())).map(|_| scope.spawn(one_worker)).collect();
        let mut all = one_worker();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, result)| result).collect()
}

/// How many items a thread takes at a time of those on which there is little to do.
const PIECE: usize = 64;

/// The same for work so small that a thread is worth it for hundreds of items.
///
/// # Panics
/// When the work on an item does.
pub fn map_small<T: Sync, R: Send>(workers: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if workers < 2 || items.len() < 4 * PIECE {
        return items.iter().map(work).collect();
    }
    let pieces: Vec<&[T]> = items.chunks(PIECE).collect();
    let done = map(workers, &pieces, |piece| piece.iter().map(&work).collect::<Vec<R>>());
    done.into_iter().flatten().collect()
}

/// What `work` gives for each item that it changes, when there is as little to do.
///
/// # Panics
/// When the work on an item does.
pub fn map_mut<T: Send, R: Send>(workers: usize, items: &mut [T], work: impl Fn(&mut T) -> R + Sync) -> Vec<R> {
    if workers < 2 || items.len() < 4 * PIECE {
        return items.iter_mut().map(work).collect();
    }
    let pieces: Vec<Mutex<&mut [T]>> = items.chunks_mut(PIECE).map(Mutex::new).collect();
    let done = map(workers, &pieces, |piece| piece.lock().iter_mut().map(&work).collect::<Vec<R>>());
    done.into_iter().flatten().collect()
}
