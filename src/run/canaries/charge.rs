//! Who acts on the cluster's canaries: one daemon of it, and none while a Flagger does.
//!
//! **In:** what runs of Flagger, the Lease of canaries. **Out:** that they are ours, from then on. **May not:** take them
//! from anyone who is alive; who is not in charge only looks on, so that its syncs wait for canaries and leave them their
//! fields.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::super::Daemon;
use super::super::lease::{self, Seat};
use super::super::look::now;
use super::tell;
use crate::live::client::{Error, ListOptions};
use crate::live::record::KindVersion;
use crate::live::watch::{Target, pulse};
use crate::object::GroupKind;
use crate::object::event::{About, Event, Severity};

/// Between two looks whether Flagger is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a lease of Flagger's is believed after its last renewal: it renews every few seconds, and clocks differ.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// Waits until nobody else acts on canaries, then makes them ours. `lost` is told who has them when we have not any more.
pub(super) async fn take(daemon: &Arc<Daemon>, lost: mpsc::Sender<String>) {
    let waits_for_flagger = !daemon.options.adopt;
    if waits_for_flagger {
        flagger_is_gone(daemon).await;
    }
    if lease::acquire(daemon, Seat::Canaries, lost).await && waits_for_flagger {
        stand_back_for_flagger(daemon).await;
    }
}

/// One that is installed later has the canaries too, for as long as it runs: both at once would take turns at the weights.
async fn stand_back_for_flagger(daemon: &Daemon) {
    let kind = KindVersion::new(GroupKind::new("apps", "Deployment"), "v1");
    let (pulse, watch) = pulse(daemon.cluster.clone(), Target { kind, options: labelled() }, daemon.shutdown.clone());
    daemon.tasks.spawn(watch);
    loop {
        pulse.beat().await;
        let flagger = match flagger(daemon).await {
            Ok(None) => continue,
            Ok(Some(flagger)) => flagger,
            Err(error) => {
                warn!(%error, "Whether a Flagger runs is not known");
                continue;
            }
        };
        daemon.canaries.are_left(true);
        let words = "Leeboard leaves canaries to it; scale it to 0 and Leeboard goes on with them";
        let event = Event {
            about: flagger.about(),
            reason: "CanariesLeft",
            action: None,
            severity: Severity::Warning,
            message: words,
        };
        tell::write(daemon, &event).await;
        flagger_is_gone(daemon).await;
        daemon.canaries.are_left(false);
        info!("Flagger is gone: this daemon acts on canaries again");
    }
}

async fn flagger_is_gone(daemon: &Daemon) {
    let mut told = String::new();
    loop {
        let reason = match flagger(daemon).await {
            Ok(None) => return,
            Ok(Some(whose)) => {
                format!("Flagger acts on them: {whose}. Scale it to 0, or start with --adopt if it is about to go")
            }
            Err(error) => format!("whether a Flagger runs is not known: {error}"),
        };
        if reason != told {
            warn!(reason, "Canaries are only looked at");
            told = reason;
        }
        tokio::time::sleep(PATIENCE).await;
    }
}

/// What shows that a Flagger is alive.
struct Alive {
    api_version: &'static str,
    kind: &'static str,
    metadata: ObjectMeta,
}

impl Alive {
    fn about(&self) -> About<'_> {
        About {
            api_version: self.api_version,
            kind: self.kind,
            name: self.metadata.name.as_deref().unwrap_or_default(),
            namespace: self.metadata.namespace.as_deref().unwrap_or_default(),
            uid: self.metadata.uid.as_deref().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Alive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let About { kind, name, namespace, .. } = self.about();
        write!(f, "{kind} {namespace}/{name}")
    }
}

/// Deployments of Flagger: they may have any name.
fn labelled() -> ListOptions {
    ListOptions { labels: Some("app.kubernetes.io/name=flagger".to_owned()), ..ListOptions::default() }
}

/// What of Flagger is alive. Its lease is there only where it runs more than once.
async fn flagger(daemon: &Daemon) -> Result<Option<Alive>, Error> {
    for deployment in list::<Deployment>(daemon, GroupKind::new("apps", "Deployment"), &labelled()).await? {
        if deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0) > 0 {
            let metadata = deployment.metadata;
            return Ok(Some(Alive { api_version: "apps/v1", kind: "Deployment", metadata }));
        }
    }
    let fields = Some("metadata.name=flagger-leader-election".to_owned());
    let leases = ListOptions { fields, ..ListOptions::default() };
    let leases = list::<Lease>(daemon, GroupKind::new("coordination.k8s.io", "Lease"), &leases).await?;
    let held = leases.into_iter().find(|lease| is_held(lease, now()));
    Ok(held.map(|Lease { metadata, .. }| Alive { api_version: "coordination.k8s.io/v1", kind: "Lease", metadata }))
}

fn is_held(lease: &Lease, now: Timestamp) -> bool {
    let Some(spec) = &lease.spec else { return false };
    let is_fresh = spec.renew_time.as_ref().is_some_and(|renewed| now.duration_since(renewed.0) < FRESH);
    is_fresh && spec.holder_identity.as_ref().is_some_and(|holder| !holder.is_empty())
}

async fn list<T: DeserializeOwned>(daemon: &Daemon, kind: GroupKind, options: &ListOptions) -> Result<Vec<T>, Error> {
    let found = daemon.cluster.list(&kind, "v1", options).await?;
    Ok(found.into_iter().filter_map(|body| serde_json::from_value(body).ok()).collect())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;

    #[test]
    fn a_lease_is_held_while_it_is_renewed() {
        let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
        let cases = [
            // holder, when it was renewed, whether it is held a minute later
            (Some("flagger-1"), Some(10), true),
            (Some("flagger-1"), Some(-10), false),
            (Some(""), Some(10), false),
            (None, Some(10), false),
            (Some("flagger-1"), None, false),
        ];
        for (holder, renewed, expected) in cases {
            let spec = LeaseSpec {
                holder_identity: holder.map(str::to_owned),
                renew_time: renewed.map(|second| MicroTime(at(second))),
                ..LeaseSpec::default()
            };
            let lease = Lease { spec: Some(spec), ..Lease::default() };
            assert_eq!(is_held(&lease, at(60)), expected, "{holder:?} {renewed:?}");
        }
        assert!(!is_held(&Lease::default(), at(60)));
    }
}
