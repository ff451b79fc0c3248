//! Who leads: one daemon at a time writes, told by a Kubernetes Lease.
//!
//! **In:** the Lease as it stands, the time. **Out:** what to write next, and whether we lead.
//! **May not:** trust its own clock over another's: a foreign lease counts as expired only after *we* have seen it
//! unchanged for its whole duration (as client-go's leader election does; clocks of two machines differ).

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

/// How long a lease is valid after its last renewal.
pub const DURATION: Duration = Duration::from_secs(15);
/// How often the holder renews it: three chances before it expires.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);

/// What one daemon remembers of the lease between two looks.
#[derive(Debug)]
pub struct Candidate {
    identity: String,
    /// The holder's last sign of life and when we first saw it.
    seen: Option<(String, Instant)>,
}

/// What to do about the lease.
#[derive(Debug, PartialEq)]
pub enum Turn {
    /// Nobody has it: create it as given.
    Create(LeaseSpec),
    /// Ours, or expired: write it as given, with the resourceVersion that was read as the fence.
    Update(LeaseSpec),
    /// Somebody else leads.
    Follow {
        /// Who.
        holder: String,
    },
}

impl Candidate {
    /// A daemon with a name of its own: pod name, or host and process.
    pub fn new(identity: impl Into<String>) -> Self {
        Candidate { identity: identity.into(), seen: None }
    }

    /// Looks at the lease as it was just read.
    pub fn look(&mut self, lease: Option<&Lease>, now: Timestamp, clock: Instant) -> Turn {
        let Some(spec) = lease.map(|lease| lease.spec.clone().unwrap_or_default()) else {
            return Turn::Create(self.taken(&LeaseSpec::default(), now));
        };
        match spec.holder_identity.as_deref() {
            Some(holder) if holder == self.identity => {
                let renewed = LeaseSpec { renew_time: Some(MicroTime(now)), ..spec };
                Turn::Update(renewed)
            }
            // A clean shutdown gives the lease away by emptying the holder.
            None | Some("") => Turn::Update(self.taken(&spec, now)),
            Some(holder) => {
                let sign = format!("{holder} {:?} {:?}", spec.renew_time, spec.lease_transitions);
                let duration =
                    Duration::from_secs(spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(15));
                match &self.seen {
                    Some((known, since)) if *known == sign => {
                        if clock.duration_since(*since) >= duration {
                            return Turn::Update(self.taken(&spec, now));
                        }
                    }
                    _ => self.seen = Some((sign, clock)),
                }
                Turn::Follow { holder: holder.to_owned() }
            }
        }
    }

    /// The lease as a clean shutdown leaves it: free at once.
    pub fn released(&self, spec: &LeaseSpec) -> Option<LeaseSpec> {
        (spec.holder_identity.as_deref() == Some(&self.identity)).then(|| LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            ..spec.clone()
        })
    }

    fn taken(&self, before: &LeaseSpec, now: Timestamp) -> LeaseSpec {
        let first = before.holder_identity.is_none();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(MicroTime(now)),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!first)),
            ..LeaseSpec::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, renewed: i64) -> Lease {
        let spec = LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(at(renewed))),
            lease_transitions: Some(3),
            ..LeaseSpec::default()
        };
        Lease { spec: Some(spec), ..Lease::default() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn a_free_lease_is_taken_and_an_own_one_renewed() {
        let clock = Instant::now();
        let mut me = Candidate::new("me");
        let Turn::Create(spec) = me.look(None, at(0), clock) else { panic!("expected to create it") };
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("me"), Some(0)));
        let Turn::Update(spec) = me.look(Some(&lease("me", 0)), at(5), clock) else { panic!("expected to renew it") };
        assert_eq!((spec.renew_time, spec.lease_transitions), (Some(MicroTime(at(5))), Some(3)));
        assert!(matches!(me.look(Some(&lease("", 0)), at(5), clock), Turn::Update(_)), "given away");
    }

    #[test]
    fn a_foreign_lease_is_respected_until_we_saw_it_stand_still() {
        let clock = Instant::now();
        let mut me = Candidate::new("me");
        let follow = Turn::Follow { holder: "other".into() };
        // Its renew time lies an hour back by our clock: that alone proves nothing.
        assert_eq!(me.look(Some(&lease("other", -3600)), at(0), clock), follow);
        assert_eq!(me.look(Some(&lease("other", -3595)), at(5), clock + DURATION), follow, "it was renewed meanwhile");
        let Turn::Update(spec) = me.look(Some(&lease("other", -3595)), at(20), clock + DURATION * 2) else {
            panic!("expected to take it")
        };
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("me"), Some(4)));
    }

    #[test]
    fn only_the_holder_gives_it_away() {
        let me = Candidate::new("me");
        assert_eq!(me.released(&lease("other", 0).spec.unwrap()), None);
        assert_eq!(me.released(&lease("me", 0).spec.unwrap()).unwrap().holder_identity.as_deref(), Some(""));
    }
}
