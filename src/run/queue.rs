//! What to look at next: a queue keyed by application, ordered by who asked.
//!
//! **In:** keys with a [`Priority`], at once or later. **Out:** [`Job`]s, one at a time for each key.
//! **May not:** know what a job does.
//!
//! A key that is pushed while its job runs is handed out again when the job ends; the job itself can wait for that
//! moment ([`Job::pushed`]), so that a sync which can't progress lets a newer commit in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, sleep_until};

/// Who asked; later ones go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A poll, a retry, a self-heal back-off.
    Timer,
    /// Something in the cluster changed.
    Drift,
    /// A push was announced or noticed.
    Push,
    /// Somebody edited the Application, asked for a refresh or a sync.
    Person,
}

impl Priority {
    /// All of them.
    pub const ALL: [Priority; 4] = [Priority::Timer, Priority::Drift, Priority::Push, Priority::Person];

    /// The word, as metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Timer => "timer",
            Priority::Drift => "drift",
            Priority::Push => "push",
            Priority::Person => "person",
        }
    }
}

/// The queue; clones share it.
#[derive(Clone, Default)]
pub struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Highest priority first, then first come, first served.
    waiting: BTreeSet<(std::cmp::Reverse<Priority>, u64, SmolStr)>,
    /// Where each waiting key stands in `waiting`.
    place: HashMap<SmolStr, (Priority, u64)>,
    running: HashMap<SmolStr, Running>,
    /// One alarm a key: the earliest.
    alarms: BTreeMap<(Instant, SmolStr), Priority>,
    alarm_of: HashMap<SmolStr, Instant>,
    arrivals: u64,
}

struct Running {
    again: Option<Priority>,
    pushed: Arc<Notify>,
}

impl State {
    fn push(&mut self, key: SmolStr, priority: Priority) {
        if let Some(running) = self.running.get_mut(&key) {
            running.again = running.again.max(Some(priority));
            running.pushed.notify_one();
            return;
        }
        if let Some(&(known, arrival)) = self.place.get(&key) {
            if known >= priority {
                return;
            }
            self.waiting.remove(&(std::cmp::Reverse(known), arrival, key.clone()));
        }
        self.arrivals += 1;
        self.place.insert(key.clone(), (priority, self.arrivals));
        self.waiting.insert((std::cmp::Reverse(priority), self.arrivals, key));
    }

    fn ring(&mut self, now: Instant) {
        while let Some(entry) = self.alarms.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let ((_, key), priority) = entry.remove_entry();
            self.alarm_of.remove(&key);
            self.push(key, priority);
        }
    }
}

impl Queue {
    /// Puts a key into the queue, or raises its priority when it is there already.
    pub fn push(&self, key: &str, priority: Priority) {
        self.0.state.lock().push(key.into(), priority);
        self.0.changed.notify_one();
    }

    /// The same after a delay; of several alarms for one key the earliest counts.
    pub fn push_after(&self, key: &str, priority: Priority, delay: Duration) {
        let at = Instant::now() + delay;
        let mut state = self.0.state.lock();
        match state.alarm_of.get(key) {
            Some(&known) if known <= at => return,
            Some(&known) => drop(state.alarms.remove(&(known, key.into()))),
            None => {}
        }
        state.alarm_of.insert(key.into(), at);
        state.alarms.insert((at, key.into()), priority);
        drop(state);
        self.0.changed.notify_one();
    }

    /// Keys that wait now; alarms that have not rung are not counted.
    pub fn len(&self) -> usize {
        self.0.state.lock().waiting.len()
    }

    /// The same by who asked.
    pub fn depths(&self) -> [(Priority, usize); 4] {
        let state = self.0.state.lock();
        Priority::ALL.map(|priority| (priority, state.place.values().filter(|(known, _)| *known == priority).count()))
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next job, once a slot is free; waits until there is one. A single caller takes jobs.
    pub async fn pop(&self, slots: &Arc<Semaphore>) -> Job {
        // A semaphore that is never closed always gives a permit.
        let mut slot = slots.clone().acquire_owned().await.ok();
        loop {
            let next_alarm = {
                let mut state = self.0.state.lock();
                state.ring(Instant::now());
                if let Some((std::cmp::Reverse(priority), _, key)) = state.waiting.pop_first() {
                    state.place.remove(&key);
                    let pushed = Arc::new(Notify::new());
                    state.running.insert(key.clone(), Running { again: None, pushed: pushed.clone() });
                    let slot = tokio::sync::Mutex::new(slot.take());
                    return Job { key, priority, pushed, queue: self.clone(), slots: slots.clone(), slot };
                }
                state.alarms.first_key_value().map(|((at, _), _)| *at)
            };
            match next_alarm {
                Some(at) => {
                    tokio::select! {
                        () = sleep_until(at) => {}
                        () = self.0.changed.notified() => {}
                    }
                }
                None => self.0.changed.notified().await,
            }
        }
    }
}

/// The right to work on one key; no second one is handed out before it is dropped.
pub struct Job {
    /// What to work on.
    pub key: SmolStr,
    /// Who asked for it.
    pub priority: Priority,
    pushed: Arc<Notify>,
    queue: Queue,
    slots: Arc<Semaphore>,
    slot: tokio::sync::Mutex<Option<OwnedSemaphorePermit>>,
}

impl Job {
    /// Resolves when the key was pushed since the job began or since the last call resolved. Other jobs have the
    /// slot meanwhile: whoever only waits must not keep others from working.
    pub async fn pushed(&self) {
        let mut slot = self.slot.lock().await;
        drop(slot.take());
        self.pushed.notified().await;
        *slot = self.slots.clone().acquire_owned().await.ok();
    }

    /// Waits for something that no push is about, without the slot.
    pub async fn aside(&self, wait: impl Future<Output = ()>) {
        drop(self.slot.lock().await.take());
        wait.await;
        self.resume().await;
    }

    /// Works again after a wait that ended otherwise.
    pub async fn resume(&self) {
        let mut slot = self.slot.lock().await;
        if slot.is_none() {
            *slot = self.slots.clone().acquire_owned().await.ok();
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let mut state = self.queue.0.state.lock();
        if let Some(Running { again: Some(priority), .. }) = state.running.remove(&self.key) {
            state.push(self.key.clone(), priority);
        }
        drop(state);
        self.queue.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn next(queue: &Queue) -> Option<Job> {
        queue.pop(&Arc::new(Semaphore::new(1))).now_or_never()
    }

    #[test]
    fn a_person_goes_before_a_push_before_drift_before_a_timer() {
        let queue = Queue::default();
        for (key, priority) in [
            ("a", Priority::Timer),
            ("b", Priority::Drift),
            ("c", Priority::Person),
            ("d", Priority::Push),
            ("e", Priority::Push),
        ] {
            queue.push(key, priority);
        }
        let order: Vec<_> = std::iter::from_fn(|| next(&queue).map(|job| job.key.clone())).collect();
        assert_eq!(order, ["c", "d", "e", "b", "a"]);
    }

    #[test]
    fn pushing_again_raises_and_never_lowers() {
        let queue = Queue::default();
        queue.push("a", Priority::Timer);
        queue.push("b", Priority::Drift);
        queue.push("a", Priority::Person);
        queue.push("a", Priority::Timer);
        assert_eq!(next(&queue).unwrap().key, "a");
        assert_eq!(next(&queue).unwrap().key, "b");
        assert!(next(&queue).is_none());
    }

    #[test]
    fn a_key_runs_once_at_a_time_and_again_after_a_push() {
        let queue = Queue::default();
        queue.push("a", Priority::Timer);
        let job = next(&queue).unwrap();
        queue.push("a", Priority::Push);
        assert!(next(&queue).is_none(), "not while the first job runs");
        assert!(job.pushed().now_or_never().is_some(), "but the job is told");
        drop(job);
        assert_eq!(next(&queue).unwrap().priority, Priority::Push);
        assert!(next(&queue).is_none());
    }

    #[tokio::test]
    async fn who_waits_gives_its_slot_to_others() {
        let queue = Queue::default();
        let slots = Arc::new(Semaphore::new(1));
        queue.push("a", Priority::Timer);
        queue.push("b", Priority::Timer);
        let first = queue.pop(&slots).await;
        assert!(queue.pop(&slots).now_or_never().is_none(), "the only slot is taken");
        assert!(first.pushed().now_or_never().is_none());
        let second = queue.pop(&slots).await;
        assert_eq!(second.key, "b");
    }

    #[tokio::test]
    async fn the_earliest_alarm_of_a_key_counts() {
        let queue = Queue::default();
        queue.push_after("a", Priority::Timer, Duration::from_secs(3600));
        queue.push_after("a", Priority::Timer, Duration::from_millis(1));
        queue.push_after("a", Priority::Timer, Duration::from_secs(7200));
        let job = queue.pop(&Arc::new(Semaphore::new(1))).await;
        assert_eq!(job.key, "a");
        drop(job);
        assert!(next(&queue).is_none());
    }
}
