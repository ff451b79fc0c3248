//! Who leads: one daemon at a time writes, told by a Kubernetes Lease for each [`Seat`].
//!
//! **In:** the Lease as it stands, the time. **Out:** what to write next, and whether we lead.
//! **May not:** trust its own clock over another's: a foreign lease counts as expired only after *we* have seen it
//! unchanged for its whole duration (as client-go's leader election does; clocks of two machines differ).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::Daemon;
use crate::live::client::{Error, Part};
use crate::object::{Object, ObjectKey};

/// How long a lease is valid after its last renewal.
pub const DURATION: Duration = Duration::from_secs(15);
/// How often the holder renews it: three chances before it expires.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);

/// How long one try to renew it may take.
const RENEW_WITHIN: Duration = Duration::from_secs(3);
/// Without a renewal for this long nothing is written any more: well before another daemon may take the lease.
const HOLD_AFTER: Duration = Duration::from_secs(9);

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
    /// A daemon under the name that its data directory keeps.
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

/// What one daemon at a time has, told by a Lease of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seat {
    /// The objects in a daemon's own namespace.
    Namespace,
    /// The cluster's canaries, whichever namespace a daemon is in.
    Canaries,
}

impl Seat {
    fn lease(self, daemon: &Daemon) -> ObjectKey {
        let (namespace, name) = match self {
            Seat::Namespace => (daemon.options.namespace.as_str(), "leeboard"),
            Seat::Canaries => ("kube-system", "leeboard-canaries"),
        };
        let (group, kind) = ("coordination.k8s.io".into(), "Lease".into());
        ObjectKey { group, kind, namespace: Some(namespace.into()), name: name.into() }
    }

    /// Who has no sign that it is still its own does nothing with it.
    fn hold(self, daemon: &Daemon, is_held: bool) {
        match self {
            Seat::Namespace => daemon.cluster.hold_writes(is_held),
            Seat::Canaries => daemon.canaries.are_ours(!is_held),
        }
    }

    fn leads(self) -> &'static str {
        match self {
            Seat::Namespace => "leads",
            Seat::Canaries => "acts on canaries",
        }
    }
}

/// Waits until we lead, and goes on renewing; false when a shutdown came first. `lost` is told who leads when it is
/// not us any more.
pub(super) async fn acquire(daemon: &Arc<Daemon>, seat: Seat, lost: mpsc::Sender<String>) -> bool {
    let mut candidate = Candidate::new(&daemon.data_dir.identity);
    let mut told: Option<String> = None;
    loop {
        let turn = tokio::select! {
            () = daemon.shutdown.cancelled() => return false,
            turn = turn(daemon, seat, &mut candidate) => turn,
        };
        match turn {
            Ok(None) => break,
            Ok(Some(holder)) if told.as_ref() != Some(&holder) => {
                info!(holder, "Another daemon {}; waiting for its lease", seat.leads());
                told = Some(holder);
            }
            Ok(Some(_)) => {}
            Err(error) => {
                let reason = error.to_string();
                if told.as_ref() != Some(&reason) {
                    warn!(reason, "Not known who {}: lease not read or written", seat.leads());
                    told = Some(reason);
                }
            }
        }
        tokio::select! {
            () = daemon.shutdown.cancelled() => return false,
            () = sleep(RENEW_EVERY / 5) => {}
        }
    }
    info!(identity = candidate.identity, "This daemon {}", seat.leads());
    seat.hold(daemon, false);
    let daemon = daemon.clone();
    daemon.tasks.clone().spawn(async move { renew(&daemon, seat, candidate, lost).await });
    true
}

async fn renew(daemon: &Daemon, seat: Seat, mut candidate: Candidate, lost: mpsc::Sender<String>) {
    let mut renewed = Instant::now();
    let mut pause = RENEW_EVERY;
    // Why it is not renewed, as it was told last: each reason is told once.
    let mut told: Option<String> = None;
    loop {
        tokio::select! {
            () = daemon.shutdown.cancelled() => return,
            () = sleep(pause) => {}
        }
        pause = RENEW_EVERY / 5;
        let holder = match timeout(RENEW_WITHIN, turn(daemon, seat, &mut candidate)).await {
            Ok(Ok(None)) => {
                (renewed, pause) = (Instant::now(), RENEW_EVERY);
                if told.take().is_some() {
                    info!("Lease renewed again");
                }
                seat.hold(daemon, false);
                continue;
            }
            Ok(Ok(Some(holder))) => holder,
            Ok(Err(error)) if !error.is_outage() && renewed.elapsed() >= DURATION => {
                warn!(%error, "Lease not renewed");
                "nobody we know of".into()
            }
            answer => {
                let reason = match answer {
                    Ok(Err(error)) => error.to_string(),
                    _ => "no answer".to_owned(),
                };
                if told.as_ref() != Some(&reason) {
                    warn!(reason, "Lease not renewed");
                    told = Some(reason);
                }
                // An outage that concerns everybody lets nobody take the lease; one that concerns only us does.
                if renewed.elapsed() >= HOLD_AFTER {
                    seat.hold(daemon, true);
                }
                continue;
            }
        };
        seat.hold(daemon, true);
        // Whoever waits for this ends; when nobody does any more, all is ending anyway.
        let _ = lost.send(holder).await;
        return;
    }
}

/// `None` when we lead, else who does.
async fn turn(daemon: &Daemon, seat: Seat, candidate: &mut Candidate) -> Result<Option<String>, Error> {
    match look_and_write(daemon, seat, candidate).await {
        // Somebody was faster; maybe ourselves, by a write whose answer never came.
        Err(Error::Conflict(_) | Error::AlreadyExists(_)) => {}
        answer => return answer,
    }
    match look_and_write(daemon, seat, candidate).await {
        Err(Error::Conflict(_) | Error::AlreadyExists(_)) => Ok(Some("another daemon".into())),
        answer => answer,
    }
}

/// One look and one write.
async fn look_and_write(daemon: &Daemon, seat: Seat, candidate: &mut Candidate) -> Result<Option<String>, Error> {
    let key = seat.lease(daemon);
    let found = daemon.cluster.find(&key, "v1").await?;
    let lease: Option<Lease> = found.as_ref().and_then(|body| serde_json::from_value(body.clone()).ok());
    match candidate.look(lease.as_ref(), Timestamp::now(), Instant::now()) {
        Turn::Follow { holder } => Ok(Some(holder)),
        Turn::Create(spec) => daemon.cluster.create(&object(&key, None, &spec)).await.map(|_| None),
        Turn::Update(spec) => {
            let version = lease.and_then(|lease| lease.metadata.resource_version);
            daemon.cluster.replace(&object(&key, version, &spec), Part::Whole).await.map(|_| None)
        }
    }
}

/// Gives the lease away at a clean shutdown, so that the next daemon need not wait for it to expire.
pub(super) async fn release(daemon: &Daemon, seat: Seat) {
    let candidate = Candidate::new(&daemon.data_dir.identity);
    let key = seat.lease(daemon);
    let Ok(Some(body)) = daemon.cluster.find(&key, "v1").await else { return };
    let Ok(lease) = serde_json::from_value::<Lease>(body) else { return };
    let Some(spec) = lease.spec.as_ref().and_then(|spec| candidate.released(spec)) else { return };
    if let Err(error) = daemon.cluster.replace(&object(&key, lease.metadata.resource_version, &spec), Part::Whole).await
    {
        warn!(%error, "Lease not given away");
    }
}

fn object(key: &ObjectKey, resource_version: Option<String>, spec: &LeaseSpec) -> Object {
    let mut metadata = json!({"name": key.name, "namespace": key.namespace});
    if let Some(version) = resource_version {
        metadata["resourceVersion"] = version.into();
    }
    let body = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec});
    Object { key: key.clone(), version: "v1".into(), body, origin: None }
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
