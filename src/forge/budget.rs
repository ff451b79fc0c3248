//! [`Budget`]: when a request may leave, by what a forge has said of its limits and how it has been doing. Pure: the
//! clock and the dice are the caller's.

use std::time::Duration;

use jiff::Timestamp;

use super::limits::{Limits, Window, later};

/// Which requests go when few are left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Answers to people, and commit statuses, for which others wait.
    Urgent,
    /// What can wait for the next window.
    #[default]
    Routine,
}

/// What is known of one credential's limits at one forge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Budget {
    window: Option<Window>,
    closed_until: Option<Timestamp>,
    /// In a row.
    failures: u32,
    resting_until: Option<Timestamp>,
}

/// Whether a request may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Now,
    /// The limit is reached until then, or what is left is not for this.
    Limited(Timestamp),
    /// The forge was in trouble.
    Resting(Timestamp),
}

/// Of five parts one is kept for what is urgent.
const KEPT: u64 = 5;

/// How long a forge in trouble is left in peace: the first time, and at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// The wait after so many failures in a row: twice as long each time, between half of it and all, by `dice` (0..1).
    pub(super) fn wait(self, failures: u32, dice: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.longest).mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0)
    }
}

impl Budget {
    /// Whether a request may leave now; if so it is counted.
    pub(super) fn leave(&mut self, urgency: Urgency, now: Timestamp) -> Leave {
        if let Some(until) = self.closed_until.filter(|until| *until > now) {
            return Leave::Limited(until);
        }
        if let Some(until) = self.resting_until.filter(|until| *until > now) {
            return Leave::Resting(until);
        }
        let Some(window) = self.window.as_mut().filter(|window| window.resets > now) else { return Leave::Now };
        let kept = if urgency == Urgency::Urgent { 0 } else { window.limit / KEPT };
        if window.remaining <= kept {
            return Leave::Limited(window.resets);
        }
        // The answers of requests that are under way will not say so before they are there.
        window.remaining -= 1;
        Leave::Now
    }

    /// What an answer says of the limits.
    pub(super) fn heard(&mut self, limits: Limits) {
        if let Some(heard) = limits.window {
            self.window = Some(match self.window {
                // Answers overtake each other: within one window the least is the newest.
                Some(known) if known.resets == heard.resets => {
                    Window { remaining: known.remaining.min(heard.remaining), ..heard }
                }
                _ => heard,
            });
        }
        if limits.closed_until.is_some() {
            self.closed_until = self.closed_until.max(limits.closed_until);
        }
    }

    /// The forge answers.
    pub(super) fn well(&mut self) {
        self.failures = 0;
        self.resting_until = None;
    }

    /// The forge is in trouble, and may have said for how long. Returns when it is asked again.
    pub(super) fn failed(&mut self, told: Option<Timestamp>, backoff: Backoff, dice: f64, now: Timestamp) -> Timestamp {
        // Requests that failed together have seen one and the same trouble.
        if self.resting_until.is_none_or(|until| until <= now) {
            self.failures += 1;
        }
        let until = told.unwrap_or_else(|| later(now, backoff.wait(self.failures, dice)));
        let until = until.max(self.resting_until.unwrap_or(until));
        self.resting_until = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    fn window(limit: u64, remaining: u64, resets: i64) -> Limits {
        Limits { window: Some(Window { limit, remaining, resets: at(resets) }), closed_until: None }
    }

    #[test]
    fn the_last_fifth_is_for_what_is_urgent() {
        let cases = [
            // left    routine                       urgent
            (5000, Leave::Now, Leave::Now),
            (1001, Leave::Now, Leave::Now),
            (1000, Leave::Limited(at(60)), Leave::Now),
            (1, Leave::Limited(at(60)), Leave::Now),
            (0, Leave::Limited(at(60)), Leave::Limited(at(60))),
        ];
        for (remaining, routine, urgent) in cases {
            let mut budget = Budget::default();
            budget.heard(window(5000, remaining, 60));
            assert_eq!(budget.clone().leave(Urgency::Routine, at(0)), routine, "{remaining}");
            assert_eq!(budget.clone().leave(Urgency::Urgent, at(0)), urgent, "{remaining}");
            assert_eq!(budget.leave(Urgency::Routine, at(60)), Leave::Now, "{remaining}, a new window");
        }
    }

    #[test]
    fn requests_under_way_are_counted() {
        let mut budget = Budget::default();
        budget.heard(window(10, 4, 60));
        assert_eq!(budget.leave(Urgency::Routine, at(0)), Leave::Now);
        assert_eq!(budget.leave(Urgency::Routine, at(0)), Leave::Now);
        assert_eq!(budget.leave(Urgency::Routine, at(0)), Leave::Limited(at(60)));
        // An older answer that comes late.
        budget.heard(window(10, 4, 60));
        assert_eq!(budget.leave(Urgency::Routine, at(0)), Leave::Limited(at(60)));
        budget.heard(window(10, 9, 120));
        assert_eq!(budget.leave(Urgency::Routine, at(61)), Leave::Now);
    }

    #[test]
    fn too_many_closes_for_all() {
        let mut budget = Budget::default();
        budget.heard(Limits { window: None, closed_until: Some(at(30)) });
        assert_eq!(budget.leave(Urgency::Urgent, at(29)), Leave::Limited(at(30)));
        assert_eq!(budget.leave(Urgency::Routine, at(30)), Leave::Now);
    }

    #[test]
    fn trouble_is_asked_after_less_and_less_often() {
        let backoff = Backoff::default();
        let waits: Vec<u64> = (1..12).map(|failures| backoff.wait(failures, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff.wait(2, 0.0), Duration::from_secs(1));
        assert!(backoff.wait(u32::MAX, 0.5) <= backoff.longest);
    }

    #[test]
    fn trouble_that_many_see_at_once_is_one() {
        let mut budget = Budget::default();
        let backoff = Backoff::default();
        for _ in 0..8 {
            assert_eq!(budget.failed(None, backoff, 1.0, at(0)), at(1));
        }
        assert_eq!(budget.leave(Urgency::Urgent, at(0)), Leave::Resting(at(1)));
        assert_eq!(budget.failed(None, backoff, 1.0, at(1)), at(3));
        assert_eq!(budget.failed(Some(at(100)), backoff, 1.0, at(3)), at(100));
        budget.well();
        assert_eq!(budget.leave(Urgency::Routine, at(4)), Leave::Now);
        assert_eq!(budget.failed(None, backoff, 1.0, at(4)), at(5));
    }
}
