//! How many requests are in flight, and what happens when the API server asks for patience.
//!
//! **In:** an attempt that can be made again. **Out:** its result, or the last error when patience has run out.
//! **May not:** try again what is not idempotent, or what no waiting can repair. A caller that gives up drops the future.
//!
//! API Priority & Fairness says with 429 and `Retry-After` that fewer requests would be better: the number in flight is
//! halved then, and grows again by one for each round of successes.

use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout};

use super::client::Error;

/// Requests in flight at the start: more make an API server on a few cores slower, not faster.
const START: u32 = 24;
const MOST: u32 = 32;
const FEWEST: u32 = 2;
/// Beside those: the lease, status and single reads never queue behind a wave of five hundred applies.
const RESERVED: usize = 8;

/// How long things take; tests are in more of a hurry.
#[derive(Clone, Copy, Debug)]
struct Timing {
    first_wait: Duration,
    longest_wait: Duration,
    /// Two 429 within this time are one answer.
    burst: Duration,
}

const TIMING: Timing = Timing {
    first_wait: Duration::from_millis(100),
    longest_wait: Duration::from_secs(10),
    burst: Duration::from_secs(1),
};

/// Which queue a request waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Applies, deletions and dry runs: as many as there are objects.
    Bulk,
    /// Everything else.
    Single,
}

/// Whether making the same request twice is as good as once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Safe,
    /// Only what the API server refused to begin with is tried again.
    Unsafe,
}

/// The right to make requests, and the memory of how the API server copes.
#[derive(Debug)]
pub struct Pace {
    bulk: Semaphore,
    single: Semaphore,
    limit: Mutex<Limit>,
    /// Applies whose turn has not come.
    queued: AtomicU32,
    /// Rung when there are none any more.
    served: Notify,
    /// Seconds since the epoch; 0: not waiting.
    waiting_since: AtomicU64,
    waiting: AtomicU32,
    /// How often a request was made again.
    retries: AtomicU64,
    timing: Timing,
}

#[derive(Debug)]
struct Limit {
    allowed: u32,
    /// Permits that are to be taken away when they come back.
    surplus: u32,
    successes: u32,
    lowered: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Pace::with(TIMING)
    }
}

impl Pace {
    fn with(timing: Timing) -> Self {
        Pace {
            bulk: Semaphore::new(START as usize),
            single: Semaphore::new(RESERVED),
            queued: AtomicU32::new(0),
            served: Notify::new(),
            limit: Mutex::new(Limit { allowed: START, surplus: 0, successes: 0, lowered: None }),
            waiting_since: AtomicU64::new(0),
            waiting: AtomicU32::new(0),
            retries: AtomicU64::new(0),
            timing,
        }
    }

    /// Since when the API server has answered nobody as it should, while somebody waits for it.
    pub fn waiting_since(&self) -> Option<Timestamp> {
        match self.waiting_since.load(Ordering::Relaxed) {
            0 => None,
            second => Timestamp::from_second(second.cast_signed()).ok(),
        }
    }

    /// How many requests wait to be made again.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How often a request was made again.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// How many applies may be in flight now.
    pub fn limit(&self) -> u32 {
        self.limit.lock().allowed
    }

    /// Waits until no apply waits for its turn, but no longer than this.
    pub async fn lull(&self, within: Duration) {
        let nobody_queues = async {
            loop {
                let next = self.served.notified();
                if self.queued.load(Ordering::Acquire) == 0 {
                    return;
                }
                next.await;
            }
        };
        // Late is as good as calm: whoever waits here goes on in any case.
        let _ = timeout(within, nobody_queues).await;
    }

    /// Makes attempts until one succeeds, fails for good, or patience has run out.
    pub(crate) async fn run<T, F>(
        &self,
        queue: Queue,
        repeat: Repeat,
        patience: Duration,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + patience;
        let mut backoff = self.timing.first_wait;
        loop {
            let permit = self.permit(queue).await;
            let result = attempt().await;
            self.learn(queue, &result);
            drop(permit);
            let Err(error) = result else { return result };
            let wait = error.retry_after().unwrap_or_else(|| jittered(backoff));
            if !may_help(&error, repeat) || Instant::now() + wait > deadline {
                return Err(error);
            }
            let waiting = Waiting::begin(self);
            sleep(wait).await;
            drop(waiting);
            self.retries.fetch_add(1, Ordering::Relaxed);
            backoff = (backoff * 2).min(self.timing.longest_wait);
        }
    }

    async fn permit(&self, queue: Queue) -> Option<Permit<'_>> {
        let semaphore = match queue {
            Queue::Bulk => &self.bulk,
            Queue::Single => &self.single,
        };
        let queued = (queue == Queue::Bulk).then(|| Queued::begin(self));
        // Neither is ever closed.
        let permit = semaphore.acquire().await.ok()?;
        drop(queued);
        Some(Permit { permit: Some(permit), pace: self, queue })
    }

    fn learn<T>(&self, queue: Queue, result: &Result<T, Error>) {
        match result {
            Err(Error::TooManyRequests { .. }) => self.lower(),
            Err(error) if error.is_outage() => {}
            _ => {
                self.waiting_since.store(0, Ordering::Relaxed);
                if queue == Queue::Bulk {
                    self.raise();
                }
            }
        }
    }

    /// Halves the number in flight; one burst of 429 is one answer.
    fn lower(&self) {
        let mut limit = self.limit.lock();
        limit.successes = 0;
        if limit.lowered.is_some_and(|lowered| lowered.elapsed() < self.timing.burst) {
            return;
        }
        limit.lowered = Some(Instant::now());
        let lower = (limit.allowed / 2).max(FEWEST);
        let surplus = limit.allowed - lower;
        let forgotten = u32::try_from(self.bulk.forget_permits(surplus as usize)).unwrap_or(surplus);
        limit.surplus += surplus - forgotten;
        limit.allowed = lower;
    }

    fn raise(&self) {
        let mut limit = self.limit.lock();
        limit.successes += 1;
        if limit.successes >= limit.allowed && limit.allowed < MOST {
            limit.successes = 0;
            limit.allowed += 1;
            match limit.surplus {
                0 => self.bulk.add_permits(1),
                _ => limit.surplus -= 1,
            }
        }
    }
}

/// One request in flight.
struct Permit<'a> {
    permit: Option<SemaphorePermit<'a>>,
    pace: &'a Pace,
    queue: Queue,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.queue == Queue::Bulk {
            let mut limit = self.pace.limit.lock();
            if limit.surplus > 0 {
                limit.surplus -= 1;
                if let Some(permit) = self.permit.take() {
                    permit.forget();
                }
            }
        }
    }
}

/// Counts whose turn has not come, also of those who give up.
struct Queued<'a>(&'a Pace);

impl<'a> Queued<'a> {
    fn begin(pace: &'a Pace) -> Self {
        pace.queued.fetch_add(1, Ordering::AcqRel);
        Queued(pace)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if self.0.queued.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.served.notify_waiters();
        }
    }
}

/// Counts who waits, also when the wait is cancelled.
struct Waiting<'a>(&'a Pace);

impl<'a> Waiting<'a> {
    fn begin(pace: &'a Pace) -> Self {
        pace.waiting.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::now().as_second().cast_unsigned();
        // Only the first who waits sets it.
        let _ = pace.waiting_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        Waiting(pace)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn may_help(error: &Error, repeat: Repeat) -> bool {
    match error {
        // Refused before anything was done.
        Error::TooManyRequests { .. } => true,
        Error::Unavailable(_) | Error::Transport(_) | Error::Timeout { .. } => repeat == Repeat::Safe,
        _ => false,
    }
}

/// Between half of it and all of it, so that those who failed together do not come back together.
pub(crate) fn jittered(duration: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let share = 0.5 + (random % 1024) as f64 / 2048.0;
    duration.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::join_all;

    use super::*;
    use std::sync::atomic::AtomicUsize;

    const HURRY: Timing = Timing {
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(5),
        burst: Duration::from_millis(50),
    };

    fn busy(milliseconds: u64) -> Error {
        let after = Some(Duration::from_millis(milliseconds));
        Error::from_answer(429, br#"{"code":429,"reason":"TooManyRequests"}"#, after, "x")
    }

    fn gone() -> Error {
        Error::from_answer(503, br#"{"code":503,"reason":"ServiceUnavailable"}"#, None, "x")
    }

    /// How often something was tried that fails `failures` times, and whether it succeeded in the end.
    async fn tries(repeat: Repeat, patience: u64, failures: usize, error: fn() -> Error) -> (usize, bool) {
        let pace = Pace::with(HURRY);
        let count = AtomicUsize::new(0);
        let result = pace
            .run(Queue::Bulk, repeat, Duration::from_millis(patience), || {
                let tried = count.fetch_add(1, Ordering::Relaxed);
                async move { if tried < failures { Err(error()) } else { Ok(()) } }
            })
            .await;
        assert_eq!(pace.waiting(), 0);
        assert_eq!(pace.retries() as usize + 1, count.load(Ordering::Relaxed));
        (count.into_inner(), result.is_ok())
    }

    #[tokio::test]
    async fn what_waiting_can_repair_is_tried_again() {
        let invalid = || Error::from_answer(422, br#"{"code":422,"reason":"Invalid"}"#, None, "x");
        let storage = || Error::from_answer(500, br#"{"code":500,"message":"etcdserver: no space"}"#, None, "x");
        assert_eq!(tries(Repeat::Safe, 60, 3, || busy(2)).await, (4, true));
        assert_eq!(tries(Repeat::Unsafe, 60, 3, || busy(2)).await, (4, true));
        assert_eq!(tries(Repeat::Safe, 60, 3, gone).await, (4, true));
        assert_eq!(tries(Repeat::Unsafe, 60, 3, gone).await, (1, false));
        assert_eq!(tries(Repeat::Safe, 60, 3, invalid).await, (1, false));
        assert_eq!(tries(Repeat::Safe, 60, 3, storage).await, (1, false));
        assert_eq!(tries(Repeat::Safe, 5, 3, || busy(10)).await, (1, false), "asked to wait for longer than we can");
    }

    #[tokio::test]
    async fn patience_ends() {
        let began = Instant::now();
        let (count, succeeded) = tries(Repeat::Safe, 60, usize::MAX, gone).await;
        assert!(!succeeded && count > 1, "{count} tries");
        assert!(began.elapsed() >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn fewer_requests_are_in_flight_after_429_and_more_after_successes() {
        let pace = Pace::with(HURRY);
        let one = async |error: Option<Error>| {
            let mut error = error;
            let _ = pace
                .run(Queue::Bulk, Repeat::Safe, Duration::ZERO, || {
                    let error = error.take();
                    async { error.map_or(Ok(()), Err) }
                })
                .await;
        };
        assert_eq!(pace.limit(), 24);
        one(Some(busy(1))).await;
        one(Some(busy(1))).await;
        assert_eq!((pace.limit(), pace.bulk.available_permits()), (12, 12), "a burst counts once");
        for _ in 0..12 {
            one(None).await;
        }
        assert_eq!((pace.limit(), pace.bulk.available_permits()), (13, 13));
        for _ in 0..5 {
            sleep(HURRY.burst).await;
            one(Some(busy(1))).await;
        }
        assert_eq!((pace.limit(), pace.bulk.available_permits()), (2, 2));
        for _ in 0..5000 {
            one(None).await;
        }
        assert_eq!((pace.limit(), pace.bulk.available_permits()), (32, 32));
    }

    #[tokio::test]
    async fn permits_that_are_out_are_taken_away_when_they_come_back() {
        let pace = Pace::with(HURRY);
        let mut held = Vec::new();
        for _ in 0..24 {
            held.push(pace.permit(Queue::Bulk).await);
        }
        pace.lower();
        held.clear();
        assert_eq!((pace.limit(), pace.bulk.available_permits()), (12, 12));
    }

    #[tokio::test]
    async fn a_lull_comes_when_no_apply_waits_any_more() {
        let pace = Pace::with(HURRY);
        let mut held: Vec<_> = join_all((0..24).map(|_| pace.permit(Queue::Bulk))).await;
        assert!(pace.lull(Duration::from_secs(600)).now_or_never().is_some(), "nobody waits for a permit");
        let (first, second) = (pace.permit(Queue::Bulk), pace.permit(Queue::Bulk));
        tokio::pin!(first, second);
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        let (one, other) = (pace.lull(Duration::from_secs(600)), pace.lull(Duration::from_secs(600)));
        tokio::pin!(one, other);
        assert!(one.as_mut().now_or_never().is_none() && other.as_mut().now_or_never().is_none());
        held.pop();
        held.push(first.await);
        assert!(one.as_mut().now_or_never().is_none() && other.as_mut().now_or_never().is_none(), "one is left");
        held.pop();
        held.push(second.await);
        assert!(one.now_or_never().is_some() && other.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_lull_is_not_waited_for_for_ever() {
        let pace = Pace::with(HURRY);
        let _held: Vec<_> = join_all((0..24).map(|_| pace.permit(Queue::Bulk))).await;
        let waits = pace.permit(Queue::Bulk);
        tokio::pin!(waits);
        assert!(waits.as_mut().now_or_never().is_none());
        let began = Instant::now();
        pace.lull(Duration::from_millis(5)).await;
        assert!(began.elapsed() >= Duration::from_millis(5));
    }

    #[tokio::test]
    async fn waiting_shows_and_ends_with_the_next_success() {
        let pace = Pace::with(HURRY);
        let forever =
            pace.run(Queue::Single, Repeat::Safe, Duration::from_secs(600), || async { Err::<(), _>(gone()) });
        assert!(tokio::time::timeout(Duration::from_millis(30), forever).await.is_err());
        assert!(pace.waiting_since().is_some());
        assert_eq!(pace.waiting(), 0, "the wait was cancelled");
        pace.run(Queue::Single, Repeat::Safe, Duration::ZERO, || async { Ok(()) }).await.unwrap();
        assert_eq!(pace.waiting_since(), None);
    }

    #[test]
    fn jitter_stays_between_half_and_all() {
        for _ in 0..1000 {
            let wait = jittered(Duration::from_secs(2));
            assert!((Duration::from_secs(1)..=Duration::from_secs(2)).contains(&wait), "{wait:?}");
        }
    }
}
