//! Canaries: every `Canary` of the control plane's cluster is looked at whenever something of it changes, and when its
//! machine wants to be asked again.
//!
//! **In:** watches on Canaries and on the kinds they are made of. **Out:** what [`canary::decide`] decides, done. **May
//! not:** decide; or ask anything of the API server while nothing changes.
//!
//! One task each: a hook that hangs holds up nobody else's canary. Read [`attendant`] (one look after
//! the other) and [`attending`], then [`see`] (what is there), [`act`] (what is done), [`ask`] (metrics, hooks, with [`aws`]'s
//! keys), [`tell`] (Events, alerts), [`blame`] and [`rollback`] (git).

mod act;
mod ask;
mod attendant;
mod attending;
mod blame;
mod charge;
mod claim;
mod google;
mod guard;
mod lane;
mod mark;
mod rollback;
mod see;
mod sights;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tracing::info;

use super::Daemon;
use crate::api::FLAGGER_GROUP;
use crate::api::flagger::VERSION;
use crate::canary::generated::Flags;
use crate::git::Oid;
use crate::live::client::ListOptions;
use crate::live::record::KindVersion;
use crate::live::watch::{Item, Target, brief, pulse};
use crate::object::{GroupKind, ObjectKey};
use attending::{Attending, Brief};
use guard::{Guard, Guards};
use sights::Sights;

pub(super) use ask::{by_template, find_secret, look_for_alarms};
pub use blame::{answered, blamed};
pub use claim::{Claim, Fields, yielded};

/// Kinds of which a change may concern a canary, with the version in which they are watched.
const WATCHED: [(&str, &str, &str); 7] = [
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "DaemonSet"),
    ("", "v1", "Service"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Secret"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("discovery.k8s.io", "v1", "EndpointSlice"),
];

/// So many canaries are looked at once: the room for a thousand looks would be memory that is never given back.
const EYES: usize = 16;

/// What is known of all canaries.
pub struct Canaries {
    /// Who looks. A look that has to ask somebody else gives its place away: hooks may hang.
    eyes: Arc<Semaphore>,
    attending: Mutex<Attending>,
    /// Of each object of which a canary owns fields.
    claims: Mutex<BTreeMap<ObjectKey, Claim>>,
    guards: Mutex<Guards>,
    sights: Sights,
    /// Kinds of routes that are watched since a canary uses them.
    routes: Mutex<BTreeSet<KindVersion>>,
    /// Of Google, for metrics.
    tokens: google::Tokens,
    /// All that are there have a task.
    are_listed: AtomicBool,
    /// We act on them, nobody else does; until then they are only looked at.
    are_ours: AtomicBool,
    /// A Flagger has come, and has them for as long as it runs.
    are_left: AtomicBool,
}

impl Default for Canaries {
    fn default() -> Self {
        Canaries {
            eyes: Arc::new(Semaphore::new(EYES)),
            attending: Mutex::default(),
            claims: Mutex::default(),
            guards: Mutex::default(),
            sights: Sights::default(),
            routes: Mutex::default(),
            tokens: google::Tokens::default(),
            are_listed: AtomicBool::default(),
            are_ours: AtomicBool::default(),
            are_left: AtomicBool::default(),
        }
    }
}

impl Canaries {
    /// Notes what a canary owns of an object. True when that is something else than before.
    fn note(&self, object: ObjectKey, claim: Claim) -> bool {
        let owns = claim.owns.clone();
        self.claims.lock().insert(object, claim).is_none_or(|before| before.owns != owns)
    }

    /// Notes whether a Flagger has them.
    fn are_left(&self, are_left: bool) {
        if self.are_left.swap(are_left, Ordering::Relaxed) != are_left && !are_left {
            self.attending.lock().ring_all();
        }
    }

    fn may_be_acted_on(&self) -> bool {
        self.are_ours.load(Ordering::Relaxed) && !self.are_left.load(Ordering::Relaxed)
    }

    /// Notes whether we may act on them.
    pub(super) fn are_ours(&self, are_ours: bool) {
        if self.are_ours.swap(are_ours, Ordering::Relaxed) != are_ours && are_ours {
            self.attending.lock().ring_all();
        }
    }

    /// Waits until every canary has been looked at once, for so long at most: who starts has heard no word of them yet.
    pub async fn settled(&self, within: Duration) {
        let begun = tokio::time::Instant::now();
        let is_settled = || self.are_listed.load(Ordering::Relaxed) && self.attending.lock().knows_all();
        while !is_settled() && begun.elapsed() < within {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What a canary owns of an object that git wants, if it does.
    pub fn claim(&self, object: &ObjectKey) -> Option<Claim> {
        self.claims.lock().get(object).cloned()
    }

    /// The canaries whose word ends a sync that brings this object.
    pub fn guards(&self, object: &ObjectKey) -> BTreeSet<ObjectKey> {
        self.guards.lock().of(object)
    }

    /// The commits that brought what they try.
    pub fn commits(&self, object: &ObjectKey) -> BTreeSet<Oid> {
        self.guards.lock().commits(object)
    }
}

/// Watches and works until shutdown. `lost` is told when another daemon has taken the canaries from us.
pub(super) async fn work(daemon: Arc<Daemon>, lost: mpsc::Sender<String>) {
    daemon.metrics.canaries().serves(Flags::default().provider.as_str());
    let kind = GroupKind::new(FLAGGER_GROUP, "Canary");
    let kind = KindVersion::new(kind, VERSION);
    let target = Target { kind: kind.clone(), options: ListOptions::default() };
    let (canaries, watch) = brief::<Brief>(daemon.cluster.clone(), target, daemon.shutdown.clone());
    daemon.tasks.spawn(watch);
    let (mut watches_workloads, mut was_complete) = (false, false);
    loop {
        let changed = tokio::select! {
            () = daemon.shutdown.cancelled() => return,
            changed = canaries.changed() => changed,
            () = tokio::time::sleep(sights::LONGEST) => {
                daemon.canaries.sights.forget_old();
                continue;
            }
        };
        if !changed.is_empty() && !std::mem::replace(&mut watches_workloads, true) {
            for (group, version, kind) in WATCHED {
                heed(&daemon, KindVersion::new(GroupKind::new(group, kind), version));
            }
            let (daemon, lost) = (daemon.clone(), lost.clone());
            daemon.tasks.clone().spawn(async move {
                tokio::select! {
                    () = daemon.shutdown.cancelled() => {}
                    () = charge::take(&daemon, lost) => {}
                }
            });
        }
        changed.iter().for_each(|key| daemon.canaries.sights.changed(key));
        let (there, gone): (Vec<_>, Vec<_>) =
            changed.into_iter().map(|key| (canaries.get(&key), key)).partition(|(item, _)| item.is_some());
        for (_, key) in gone {
            forget(&daemon, &key);
        }
        // All are known before the first is looked at: the oldest of a target has it.
        let new: Vec<_> = {
            let mut attending = daemon.canaries.attending.lock();
            let saw = |(item, key)| {
                let brief = match item {
                    Some(Item::Decoded(brief)) => brief,
                    Some(Item::Undecodable { .. }) | None => Brief::default(),
                };
                attending.saw(&key, brief, &daemon.shutdown).map(|signals| (key, signals))
            };
            there.into_iter().filter_map(saw).collect()
        };
        for (key, signals) in new {
            attendant::spawn(&daemon, key, signals);
        }
        let is_complete = canaries.is_complete();
        if is_complete && !std::mem::replace(&mut was_complete, true) {
            daemon.canaries.sights.listed(&kind);
        }
        daemon.canaries.are_listed.store(is_complete || canaries.trouble().is_some(), Ordering::Relaxed);
    }
}

fn forget(daemon: &Daemon, key: &ObjectKey) {
    daemon.canaries.attending.lock().forget(key);
    let left = daemon.canaries.claims.lock().extract_if(.., |_, claim| claim.canary == *key).collect::<Vec<_>>();
    let guard = daemon.canaries.guards.lock().remove(key);
    if let Some(Guard { target, configs, .. }) = guard {
        for object in configs.iter().chain([&target]) {
            daemon.destinations.own().store.judge(object, key, None);
        }
        daemon.metrics.canaries().gone(&target.name, target.namespace.as_deref().unwrap_or_default());
    }
    for (object, _) in left {
        claim::look_again(daemon, &object);
    }
    info!(canary = %key.name, namespace = key.namespace.as_deref().unwrap_or_default(), "Canary gone");
}

/// Rings when an object of a kind changes.
fn heed(daemon: &Arc<Daemon>, kind: KindVersion) {
    let target = Target { kind: kind.clone(), options: ListOptions::default() };
    let (pulse, watch) = pulse(daemon.cluster.clone(), target, daemon.shutdown.clone());
    daemon.tasks.spawn(watch);
    let this = daemon.clone();
    daemon.tasks.spawn(async move {
        loop {
            let beat = tokio::select! {
                () = this.shutdown.cancelled() => return,
                beat = pulse.beat() => beat,
            };
            // Before anyone looks, who would find what is held of them.
            if beat.is_listed {
                this.canaries.sights.listed(&kind);
            }
            beat.changed.iter().for_each(|key| this.canaries.sights.changed(key));
            let attending = this.canaries.attending.lock();
            for key in &beat.changed {
                attending.ring(key);
            }
        }
    });
}
