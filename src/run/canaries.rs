//! Canaries: every `Canary` of the control plane's cluster is looked at whenever something of it changes, and when its
//! machine wants to be asked again.
//!
//! **In:** watches on Canaries and on the kinds they are made of. **Out:** what [`canary::decide`] decides, done. **May
//! not:** decide; or ask anything of the API server while nothing changes.
//!
//! One task each: a hook that hangs holds up nobody else's canary. Read [`attend`] and [`attending`], then [`see`] (what is there),
//! [`act`] (what is done), [`ask`] (metrics, hooks, with [`aws`]'s keys), [`tell`] (Events, alerts), [`blame`] and
//! [`rollback`] (git).

mod act;
mod ask;
mod attending;
mod aws;
mod blame;
mod charge;
mod claim;
mod google;
mod guard;
mod lane;
mod mail;
mod rollback;
mod see;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use smol_str::SmolStr;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Daemon;
use super::look::now;
use crate::api::FLAGGER_GROUP;
use crate::api::flagger::{Canary, CanaryStatus, VERSION};
use crate::canary::generated::Flags;
use crate::canary::record::{self, Record};
use crate::canary::world::Answers;
use crate::canary::{Action, Decision, Refusal, Settings, decide, status};
use crate::git::Oid;
use crate::live::client::{self, ListOptions, Part};
use crate::live::record::KindVersion;
use crate::live::watch::{Item, Pulse, Target, pulse, typed};
use crate::object::{GroupKind, ObjectKey};
use attending::{Attending, Brief, Signals};
use claim::Looked;
use guard::{Guard, Guards};
use tell::Teller;

pub use blame::blamed;
pub use claim::{Claim, Fields, yielded};

/// After a failed request, and while it fails again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Between a change and the look at it.
const QUIET: Duration = Duration::from_millis(50);

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

/// So many canaries are read at once: a thousand answers side by side would be memory that is never given back.
const EYES: usize = 16;

/// How old what was seen may be when the next question about it is decided.
const FRESH: Duration = Duration::from_secs(1);

/// What is known of all canaries.
pub struct Canaries {
    /// Who reads what a canary is made of.
    eyes: Semaphore,
    attending: Mutex<Attending>,
    /// Of each object of which a canary owns fields.
    claims: Mutex<BTreeMap<ObjectKey, Claim>>,
    guards: Mutex<Guards>,
    /// Kinds of routes that are watched since a canary uses them.
    routes: Mutex<BTreeSet<KindVersion>>,
    /// Of Google, for metrics.
    tokens: google::Tokens,
    /// All that are there have a task.
    are_listed: AtomicBool,
    /// We act on them, nobody else does; until then they are only looked at.
    are_ours: AtomicBool,
}

impl Default for Canaries {
    fn default() -> Self {
        Canaries {
            eyes: Semaphore::new(EYES),
            attending: Mutex::default(),
            claims: Mutex::default(),
            guards: Mutex::default(),
            routes: Mutex::default(),
            tokens: google::Tokens::default(),
            are_listed: AtomicBool::default(),
            are_ours: AtomicBool::default(),
        }
    }
}

impl Canaries {
    /// Notes what a canary owns of an object. True when that is something else than before.
    fn note(&self, object: ObjectKey, claim: Claim) -> bool {
        let owns = claim.owns.clone();
        self.claims.lock().insert(object, claim).is_none_or(|before| before.owns != owns)
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
    let target = Target { kind: KindVersion::new(kind, VERSION), options: ListOptions::default() };
    let (canaries, watch) = typed::<Brief>(daemon.cluster.clone(), target, daemon.shutdown.clone());
    daemon.tasks.spawn(watch);
    let mut watches_workloads = false;
    loop {
        let changed = tokio::select! {
            () = daemon.shutdown.cancelled() => return,
            changed = canaries.changed() => changed,
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
            attend(&daemon, key, signals);
        }
        daemon.canaries.are_listed.store(canaries.is_complete() || canaries.trouble().is_some(), Ordering::Relaxed);
    }
}

fn attend(daemon: &Arc<Daemon>, key: ObjectKey, Signals { bell, gone }: Signals) {
    let attendant = Attendant {
        daemon: daemon.clone(),
        key,
        answers: Answers::default(),
        teller: Teller::default(),
        taken_back: None,
    };
    daemon.tasks.spawn(async move {
        tokio::select! {
            () = gone.cancelled() => {}
            () = attendant.attend(&bell) => {}
        }
    });
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
    let target = Target { kind, options: ListOptions::default() };
    let (changes, watch): (Pulse, _) = pulse(daemon.cluster.clone(), target, daemon.shutdown.clone());
    daemon.tasks.spawn(watch);
    let this = daemon.clone();
    daemon.tasks.spawn(async move {
        loop {
            let changed = tokio::select! {
                () = this.shutdown.cancelled() => return,
                changed = changes.changed() => changed,
            };
            let attending = this.canaries.attending.lock();
            for key in changed {
                attending.ring(&key);
            }
        }
    });
}

/// Who looks after one canary.
struct Attendant {
    daemon: Arc<Daemon>,
    key: ObjectKey,
    /// To the questions of the record that is in force.
    answers: Answers,
    teller: Teller,
    /// The commit that was taken back last, or cannot be: that is told once.
    taken_back: Option<Oid>,
}

/// When a canary is looked at again although nothing has changed.
enum Again {
    Now,
    At(Timestamp),
    WhenItChanges,
}

impl Again {
    fn after(wait: Duration) -> Self {
        Again::At(now() + SignedDuration::try_from(wait).unwrap_or_default())
    }
}

impl Attendant {
    async fn attend(mut self, bell: &Notify) {
        let mut pause = FIRST_PAUSE;
        loop {
            // On the heap, and only while it looks: of a thousand that wait each would hold the room for a look.
            let looked = Box::pin(self.look(bell)).await;
            self.daemon.canaries.attending.lock().know(&self.key);
            let again = match looked {
                Ok(again) => {
                    pause = FIRST_PAUSE;
                    again
                }
                Err(error) => {
                    let namespace = self.key.namespace.as_deref().unwrap_or_default();
                    warn!(canary = %self.key.name, namespace, %error, "Canary not looked at");
                    let again = Again::after(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    again
                }
            };
            match again {
                Again::Now => continue,
                Again::WhenItChanges => bell.notified().await,
                Again::At(time) => {
                    let wait = Duration::try_from(time.duration_since(now())).unwrap_or_default();
                    tokio::select! {
                        () = bell.notified() => {}
                        () = tokio::time::sleep(wait) => continue,
                    }
                }
            }
            // A roll-out changes many objects at once: one look sees them all.
            tokio::time::sleep(QUIET).await;
        }
    }

    /// Looks once: sees, decides, saves, acts, tells.
    async fn look(&mut self, bell: &Notify) -> Result<Again, client::Error> {
        let begun = Instant::now();
        let Some(canary) = self.canary().await? else { return Ok(Again::WhenItChanges) };
        let flags = Flags::default();
        let are_ours = self.daemon.canaries.are_ours.load(Ordering::Relaxed);
        let settings = match Settings::new(&canary, flags.provider) {
            Ok(settings) => Arc::new(settings),
            Err(refusal) => {
                if are_ours {
                    self.refuse(&canary, &refusal).await?;
                }
                return Ok(Again::WhenItChanges);
            }
        };
        let record = self.record(&canary, &settings, &flags).await?;
        let seen = {
            // Nobody closes it; without a permit it would only read at the same time as others.
            let _permit = self.daemon.canaries.eyes.acquire().await.ok();
            see::see(&self.daemon, &canary, &settings, &flags, &record, &self.answers).await?
        };
        self.concern(&seen);
        let seen_at = Instant::now();
        let mut world = seen.world.clone();
        world.claimed_by = self.daemon.canaries.attending.lock().claimant(&self.key).map(SmolStr::new);
        if !are_ours {
            if world.claimed_by.is_none() {
                let looked = Looked { canary: &canary, seen: &seen, record: &record, actions: &[] };
                claim::note(&self.daemon, &self.key, &looked, blame::noted(&canary));
            }
            return Ok(Again::WhenItChanges);
        }
        let decision = loop {
            let decision = decide(&settings, &record, &world, now());
            debug!(canary = %self.key.name, ?decision, "Decided");
            let Some(question) = act::question(&decision) else { break decision };
            let asker = ask::Asker {
                daemon: &self.daemon,
                canary: &canary,
                settings: &settings,
                record: &record,
                revision: seen.revision.as_ref(),
                until: decision.wake,
                bell,
            };
            let is_answered = asker.answer(question, &mut self.answers).await?;
            if !is_answered || seen_at.elapsed() > FRESH {
                return Ok(Again::Now);
            }
            world.answers.clone_from(&self.answers);
        };
        let commit = match &seen.target {
            Some(target) if blame::begins(&record, &decision.record) => blame::brought_by(&self.daemon, &target.key),
            _ => blame::noted(&canary),
        };
        let changed = self.save(&canary, &record, &decision, commit).await?;
        self.answers = Answers::default();
        // Of a target that an older canary has only that one speaks.
        if world.claimed_by.is_none() {
            let Decision { record, actions, .. } = &decision;
            claim::note(&self.daemon, &self.key, &Looked { canary: &canary, seen: &seen, record, actions }, commit);
        }
        // Requests that fail meanwhile cannot be taken back, a word that comes later can wait.
        let acted = self.act(&canary, &seen, &flags, &decision).await;
        for event in &decision.events {
            self.teller.event(&self.daemon, &canary, &settings, &decision.record, event).await;
        }
        for alert in &decision.alerts {
            self.teller.alert(&self.daemon, &canary, &settings, alert);
        }
        tell::count(&self.daemon, &settings, &decision.record, &record);
        let subject = &settings.subject;
        self.daemon.metrics.canaries().looked(&subject.name, &subject.namespace, begun.elapsed());
        acted?;
        let handled = &mut self.taken_back;
        if let Err(rollback::TooEarly) =
            rollback::take_back(&self.daemon, &canary, &seen, &decision.record, handled).await
        {
            return Ok(Again::after(rollback::PAUSE));
        }
        Ok(match decision.wake {
            // What was written comes back as a change; what was only decided does not.
            _ if changed && decision.actions.is_empty() => Again::Now,
            Some(time) => Again::At(time),
            None => Again::WhenItChanges,
        })
    }

    /// Does what was decided, up to the first action that is refused.
    async fn act(
        &self,
        canary: &Canary,
        seen: &see::Seen,
        flags: &Flags,
        decision: &Decision,
    ) -> Result<(), client::Error> {
        for action in &decision.actions {
            act::act(&self.daemon, canary, seen, flags, &decision.record, action).await?;
        }
        Ok(())
    }

    /// The canary as the API server has it: the watch may lag behind what was written last.
    async fn canary(&self) -> Result<Option<Arc<Canary>>, client::Error> {
        let Some(body) = self.daemon.cluster.find(&self.key, VERSION).await? else { return Ok(None) };
        match crate::api::decode::<Canary>(&body) {
            Ok(canary) => Ok(Some(Arc::new(canary))),
            Err(error) => {
                warn!(canary = %self.key.name, %error, "Canary cannot be read");
                Ok(None)
            }
        }
    }

    /// What is remembered of it; of one that another controller has looked after, what its objects say.
    async fn record(&self, canary: &Canary, settings: &Settings, flags: &Flags) -> Result<Record, client::Error> {
        let status = canary.status.clone().unwrap_or_default();
        let annotations = canary.metadata.annotations.as_ref();
        if let Some(text) = annotations.and_then(|annotations| annotations.get(record::ANNOTATION)) {
            match Record::read(text, &status) {
                Ok(record) => return Ok(record),
                Err(error) => warn!(canary = %self.key.name, %error, "Looked at anew"),
            }
        }
        match see::adopted(&self.daemon, canary, settings, flags).await? {
            Some(record) => Ok(record),
            None => Ok(Record::new(now())),
        }
    }

    /// From now on these objects ring for it.
    fn concern(&self, seen: &see::Seen) {
        self.daemon.canaries.attending.lock().concern(&self.key, &seen.concerns);
        for kind in &seen.route_kinds {
            if self.daemon.canaries.routes.lock().insert(kind.clone()) {
                heed(&self.daemon, kind.clone());
            }
        }
    }

    async fn refuse(&self, canary: &Canary, refusal: &Refusal) -> Result<(), client::Error> {
        let before = canary.status.clone().unwrap_or_default();
        let status = status::refused(&before, refusal, now());
        if status != before {
            self.write_status(&before, &status).await?;
            tell::refusal(&self.daemon, canary, &refusal.to_string()).await;
        }
        Ok(())
    }

    /// Writes what has changed of record and status, and the commit whose version is tried; clears a wish that is granted.
    /// True when the record has changed.
    async fn save(
        &self,
        canary: &Canary,
        before: &Record,
        Decision { record, status, actions, .. }: &Decision,
        commit: Option<Oid>,
    ) -> Result<bool, client::Error> {
        let text = record.to_annotation();
        let annotations = canary.metadata.annotations.as_ref();
        let known = annotations.and_then(|annotations| annotations.get(record::ANNOTATION));
        let mut patch = json!({});
        if known != Some(&text) {
            patch["metadata"]["annotations"][record::ANNOTATION] = text.into();
        }
        if commit != blame::noted(canary) {
            patch["metadata"]["annotations"][blame::COMMIT] = commit.map(|commit| commit.to_string()).into();
        }
        if actions.contains(&Action::ClearWish) {
            for annotation in [see::ACTION, see::ACTOR] {
                patch["metadata"]["annotations"][annotation] = Value::Null;
            }
            // A wish that came meanwhile must not be lost: then all is decided anew.
            patch["metadata"]["resourceVersion"] = json!(canary.metadata.resource_version);
        }
        let finalizers = canary.metadata.finalizers.clone().unwrap_or_default();
        let is_held = finalizers.iter().any(|finalizer| finalizer == act::FINALIZER);
        if canary.spec.revert_on_deletion && !is_held && canary.metadata.deletion_timestamp.is_none() {
            patch["metadata"]["finalizers"] = finalizers.into_iter().chain([act::FINALIZER.to_owned()]).collect();
        }
        let changed = patch != json!({});
        if changed {
            self.daemon.cluster.merge_patch(&self.key, VERSION, Part::Whole, &patch).await?;
        }
        let known = canary.status.clone().unwrap_or_default();
        if known != *status {
            self.write_status(&known, status).await?;
        }
        Ok(changed && before != record)
    }

    async fn write_status(&self, before: &CanaryStatus, status: &CanaryStatus) -> Result<(), client::Error> {
        let as_value = |status: &CanaryStatus| serde_json::to_value(status).unwrap_or(Value::Null);
        let Some(change) = crate::sync::status::merge_patch(&as_value(before), &as_value(status)) else {
            return Ok(());
        };
        let patch = json!({"status": change});
        self.daemon.cluster.merge_patch(&self.key, VERSION, Part::Status, &patch).await.map(drop)
    }
}
