//! Which commits an environment has and had, and for how long each was verified and healthy there: the memory that outlives
//! the daemon, kept in the Environment's status.
//!
//! **In:** what was known, and what is seen now. **Out:** what is known then. **May not:** forget a time that was completed.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::leeboard::promotion::{PromotionTrack, Tenure};

/// How many commits that were replaced are remembered.
const REMEMBERED: usize = 10;

/// What is seen of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The commit that the cluster holds, in full; `None` while one is being applied.
    pub commit: Option<Held>,
    /// Why it is not healthy; `None` when all of it is.
    pub unhealthy: Option<String>,
    /// All that has to be looked at after a deployment was, for this commit.
    pub is_verified: bool,
    /// How long it may be unhealthy without the clock beginning anew.
    pub tolerance: SignedDuration,
}

/// A commit that the cluster holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// In full.
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    /// The commit of the first environment that came here as this one; itself when it was pushed here.
    pub origin: String,
}

/// What is known of an environment once this was seen.
#[must_use]
pub fn seen(before: &PromotionTrack, sight: &Sight, now: Timestamp) -> PromotionTrack {
    let mut track = before.clone();
    if let Some(held) = &sight.commit
        && track.current.as_ref().is_none_or(|current| current.commit != held.commit)
    {
        if let Some(mut old) = track.current.take() {
            old.soaked = soaked(&old, now).as_secs();
            (old.until, old.healthy_since, old.unhealthy_since) = (Some(Time(now)), None, None);
            // One that comes back goes on where it was.
            track.previous.retain(|known| known.commit != old.commit);
            track.previous.insert(0, old);
            track.previous.truncate(REMEMBERED);
        }
        let known = track.previous.iter().position(|known| known.commit == held.commit);
        let known = known.map(|at| track.previous.remove(at)).unwrap_or_default();
        track.current = Some(Tenure {
            commit: held.commit.clone(),
            subject: held.subject.clone(),
            origin: held.origin.clone(),
            since: Some(Time(now)),
            verified_at: known.verified_at,
            soaked: known.soaked,
            ..Tenure::default()
        });
    }
    if let Some(current) = track.current.as_mut() {
        let is_healthy = sight.unhealthy.is_none() && sight.commit.is_some();
        if is_healthy && sight.is_verified && current.verified_at.is_none() {
            current.verified_at = Some(Time(now));
        }
        health(current, is_healthy, sight.tolerance, now);
    }
    track
}

/// Runs the clock of a commit that is there.
fn health(current: &mut Tenure, is_healthy: bool, tolerance: SignedDuration, now: Timestamp) {
    if !is_healthy {
        if current.healthy_since.is_some() && current.unhealthy_since.is_none() {
            current.unhealthy_since = Some(Time(now));
        }
        return;
    }
    if let Some(Time(since)) = &current.unhealthy_since
        && now.duration_since(*since) > tolerance
    {
        current.soaked = soaked(current, now).as_secs();
        current.healthy_since = None;
    }
    current.unhealthy_since = None;
    if current.verified_at.is_some() && current.healthy_since.is_none() {
        current.healthy_since = Some(Time(now));
    }
}

/// The longest time that a commit has been verified and healthy in an environment, without a break.
pub fn soaked(tenure: &Tenure, now: Timestamp) -> SignedDuration {
    let ended = SignedDuration::from_secs(tenure.soaked);
    let Some(Time(began)) = &tenure.healthy_since else { return ended };
    let until = tenure.unhealthy_since.as_ref().map_or(now, |Time(since)| *since);
    ended.max(until.duration_since(*began))
}

/// A commit's time in an environment; of the commit itself, or of one that came of the same origin.
pub fn tenure<'a>(track: &'a PromotionTrack, commit: &str, origin: &str) -> Option<&'a Tenure> {
    let all = || track.current.iter().chain(&track.previous);
    all().find(|tenure| tenure.commit == commit).or_else(|| all().find(|tenure| tenure.origin == origin))
}
