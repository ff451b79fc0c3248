//! Work on several threads whose results come in the order of what they were made of.
//!
//! **In:** items, and what to do with each. **Out:** the results, as one thread would have made them. **May not:** go on
//! after it has returned; be called with a lock held: a thread that waits takes other work meanwhile.

use rayon::prelude::*;

/// As many threads as work side by side on this machine.
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Does work of which parts will be given to [`map`] and its like: with more than one worker on a thread of the pool that
/// they use, which lives as long as the process, while the caller's waits.
///
/// A short run wins most by this: Linux lets a new thread begin on the processor of a parent that goes on, and moves it a
/// millisecond later; a thread that sleeps is woken on a free one. It also leaves the caller's thread no memory of its own.
///
/// # Panics
/// When the work does.
pub fn enter<R: Send>(workers: usize, work: impl FnOnce() -> R + Send) -> R {
    if workers < 2 { work() } else { rayon::scope(|_| work()) }
}

/// What `work` makes of each item: with one worker on the caller's thread, with more on all of the pool.
///
/// # Panics
/// When the work on an item does.
pub fn map<T: Sync, R: Send>(workers: usize, items: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
    if workers < 2 || items.len() < 2 {
        return items.iter().map(work).collect();
    }
    items.par_iter().with_max_len(1).map(work).collect()
}

/// How many items a thread takes at a time of those on which there is little to do.
const PIECE: usize = 16;

/// The same for work so small that a thread is worth it for dozens of items.
///
/// # Panics
/// When the work on an item does.
pub fn map_small<T: Sync, R: Send>(workers: usize, items: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
    if workers < 2 || items.len() < 2 * PIECE {
        return items.iter().map(work).collect();
    }
    items.par_iter().with_min_len(PIECE).map(work).collect()
}

/// What `work` gives for each item that it changes, when there is as little to do.
///
/// # Panics
/// When the work on an item does.
pub fn map_mut<T: Send, R: Send>(workers: usize, items: &mut [T], work: impl Fn(&mut T) -> R + Send + Sync) -> Vec<R> {
    if workers < 2 || items.len() < 2 * PIECE {
        return items.iter_mut().map(work).collect();
    }
    items.par_iter_mut().with_min_len(PIECE).map(work).collect()
}
