//! Watches: of all that Leeboard manages, as small records; and of the few kinds that steer it, as types.
//!
//! **In:** a [`Cluster`] and the kinds that manifests and inventories name. **Out:** [`LiveStore`], which gives a
//! [`LiveView`] of one application and says when it has changed; [`typed`] collections. **May not:** keep whole objects,
//! watch what is not managed, or call a list complete that is not.
//!
//! One task follows each kind ([`follow`]); [`LiveStore`] owns the tasks. Notices are sets of names: however slow a
//! reader is, they don't grow beyond the number of applications.

mod follow;
mod pulse;
mod store;
mod typed;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub use follow::Target;
pub use pulse::{Beat, Pulse, pulse};
pub use store::{Judgement, Seen};
pub use typed::{Collection, Item, brief, typed};

use self::follow::{Shown, Sink, follow};
use self::store::{Store, Touched};
use super::client::{Cluster, Error, ListOptions, api_version};
use super::record::{KindVersion, LiveView, Record};
use crate::object::{ObjectKey, annotation};

/// What one cluster holds of what we manage.
#[derive(Clone)]
pub struct LiveStore {
    shared: Arc<Shared>,
}

struct Shared {
    cluster: Cluster,
    store: Mutex<Store>,
    listeners: Mutex<Vec<Weak<Listener>>>,
    tasks: Mutex<Tasks>,
}

struct Tasks {
    cancel: CancellationToken,
    running: JoinSet<()>,
    /// Ends one kind's task.
    kinds: BTreeMap<KindVersion, CancellationToken>,
}

impl LiveStore {
    /// Watches nothing yet. Needs a tokio runtime.
    pub fn new(cluster: Cluster) -> Self {
        let tasks = Tasks { cancel: CancellationToken::new(), running: JoinSet::new(), kinds: BTreeMap::new() };
        let shared = Shared { cluster, store: Mutex::default(), listeners: Mutex::default(), tasks: Mutex::new(tasks) };
        LiveStore { shared: Arc::new(shared) }
    }

    /// The cluster that is watched.
    pub fn cluster(&self) -> &Cluster {
        &self.shared.cluster
    }

    /// Watches these kinds too.
    pub fn watch<K: Into<KindVersion>>(&self, kinds: impl IntoIterator<Item = K>) {
        let mut tasks = self.shared.tasks.lock();
        while tasks.running.try_join_next().is_some() {}
        for kind in kinds.into_iter().map(Into::into) {
            if tasks.kinds.contains_key(&kind) || tasks.cancel.is_cancelled() {
                continue;
            }
            let cancel = tasks.cancel.child_token();
            tasks.kinds.insert(kind.clone(), cancel.clone());
            self.shared.store.lock().progress_mut(&kind);
            let task = follow_kind(Arc::downgrade(&self.shared), self.shared.cluster.clone(), kind, cancel);
            tasks.running.spawn(task);
        }
    }

    /// Ends the watches of all other kinds and forgets what they held.
    pub fn watch_only(&self, kinds: &BTreeSet<KindVersion>) {
        self.watch(kinds);
        let mut tasks = self.shared.tasks.lock();
        let others: Vec<KindVersion> = tasks.kinds.keys().filter(|kind| !kinds.contains(*kind)).cloned().collect();
        for kind in others {
            if let Some(cancel) = tasks.kinds.remove(&kind) {
                cancel.cancel();
            }
            let touched = self.shared.store.lock().dropped(&kind);
            self.shared.tell(&touched, Completeness::Same);
        }
    }

    /// The kinds that are watched.
    pub fn kinds(&self) -> BTreeSet<KindVersion> {
        self.shared.store.lock().kinds().cloned().collect()
    }

    /// What is known of one application, and of these keys whosever they are. `kinds` are those it may have objects of,
    /// by manifest and inventory.
    pub fn view<'k, K: Into<KindVersion>>(
        &self,
        part_of: &str,
        keys: impl IntoIterator<Item = &'k ObjectKey>,
        kinds: impl IntoIterator<Item = K>,
    ) -> LiveView {
        self.shared.store.lock().view(part_of, keys, kinds.into_iter().map(Into::into))
    }

    /// One object, if it is ours and known.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Record>> {
        self.shared.store.lock().get(key)
    }

    /// How many objects of which kind are ours in a namespace.
    pub fn number_in(&self, namespace: &str) -> BTreeMap<SmolStr, u64> {
        self.shared.store.lock().number_in(namespace)
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.shared.store.lock().len()
    }

    /// True when no object is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until each of these kinds is known completely, or is known not to get on, but not for longer than this.
    /// The answer is why kinds are not complete; empty when all are.
    pub async fn settled<K: Into<KindVersion>>(
        &self,
        kinds: impl IntoIterator<Item = K>,
        within: Duration,
    ) -> Vec<String> {
        let kinds: Vec<KindVersion> = kinds.into_iter().map(Into::into).collect();
        let changes = self.changes();
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let (incomplete, settled) = self.incomplete(&kinds);
            if settled || tokio::time::timeout_at(deadline, changes.next()).await.is_err() {
                return incomplete;
            }
        }
    }

    fn incomplete(&self, kinds: &[KindVersion]) -> (Vec<String>, bool) {
        let store = self.shared.store.lock();
        let incomplete = kinds.iter().filter_map(|kind| store.incomplete(kind)).collect();
        let settled = kinds
            .iter()
            .all(|kind| store.progress(kind).is_some_and(|progress| progress.complete || progress.trouble.is_some()));
        (incomplete, settled)
    }

    /// Takes what the API server answered to a write: it is known at once, and not only when the watch brings it.
    pub fn written(&self, record: Record) {
        self.shared.cluster.note_kinds_of(&record.key);
        let touched = self.shared.store.lock().written(record);
        self.shared.tell(&touched, Completeness::Same);
    }

    /// Takes a controller's word about the health of an object, or forgets it. Several may have one: `by` says which.
    pub fn judge(&self, key: &ObjectKey, by: &ObjectKey, judgement: Option<Judgement>) {
        let touched = self.shared.store.lock().judge(key, by, judgement);
        self.shared.tell(&touched, Completeness::Same);
    }

    /// Takes note that a deletion of ours was final.
    pub fn deleted(&self, key: &ObjectKey, uid: &str) {
        let touched = self.shared.store.lock().deleted(key, uid);
        self.shared.tell(&touched, Completeness::Same);
    }

    /// Notices about all applications from now on.
    pub fn changes(&self) -> Changes {
        self.listen(None)
    }

    /// Notices about one application from now on.
    pub fn changes_of(&self, part_of: &str) -> Changes {
        self.listen(Some(part_of.into()))
    }

    fn listen(&self, only: Option<SmolStr>) -> Changes {
        let listener = Arc::new(Listener { only, pending: Mutex::default(), notify: Notify::new() });
        self.shared.listeners.lock().push(Arc::downgrade(&listener));
        Changes { listener }
    }

    /// Ends all watches, and waits until they have ended.
    pub async fn shutdown(&self) {
        let mut running = {
            let mut tasks = self.shared.tasks.lock();
            tasks.cancel.cancel();
            std::mem::take(&mut tasks.running)
        };
        while running.join_next().await.is_some() {}
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.get_mut().cancel.cancel();
    }
}

/// Whether it may have changed of which kinds all is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Completeness {
    Same,
    Changed,
}

impl Shared {
    fn tell(&self, touched: &Touched, completeness: Completeness) {
        if touched.is_empty() && completeness == Completeness::Same {
            return;
        }
        self.listeners.lock().retain(|listener| {
            let Some(listener) = listener.upgrade() else { return false };
            listener.tell(touched, completeness);
            true
        });
    }
}

struct Listener {
    only: Option<SmolStr>,
    pending: Mutex<Change>,
    notify: Notify,
}

impl Listener {
    fn tell(&self, touched: &Touched, completeness: Completeness) {
        let mut pending = self.pending.lock();
        let mine = touched.iter().filter(|application| self.only.as_ref().is_none_or(|only| only == *application));
        pending.applications.extend(mine.cloned());
        pending.completeness |= completeness == Completeness::Changed;
        if !pending.is_empty() {
            self.notify.notify_one();
        }
    }
}

/// What has changed since it was asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The labels `part-of` of the applications.
    pub applications: BTreeSet<SmolStr>,
    /// A kind has become known completely, or is no longer.
    pub completeness: bool,
}

impl Change {
    fn is_empty(&self) -> bool {
        self.applications.is_empty() && !self.completeness
    }
}

/// Notices of changes, for one reader. They add up while nobody asks.
pub struct Changes {
    listener: Arc<Listener>,
}

impl Changes {
    /// Waits for a change; all that has added up comes at once. Cancelling loses nothing.
    pub async fn next(&self) -> Change {
        loop {
            let change = std::mem::take(&mut *self.listener.pending.lock());
            if !change.is_empty() {
                return change;
            }
            self.listener.notify.notified().await;
        }
    }
}

async fn follow_kind(shared: Weak<Shared>, cluster: Cluster, kind: KindVersion, cancel: CancellationToken) {
    let options = ListOptions { labels: Some(annotation::PART_OF.to_owned()), ..ListOptions::default() };
    let target = Target { kind: kind.clone(), options };
    let api_version = api_version(&kind.kind.group, &kind.version);
    let mut sink =
        Records { shared, cluster: cluster.clone(), kind, api_version, listed: HashSet::new(), listing: false };
    follow(&cluster, &target, &mut sink, &cancel).await;
}

/// Puts what a watch sees into the store.
struct Records {
    /// Weak, so that a store that nobody uses any more ends.
    shared: Weak<Shared>,
    cluster: Cluster,
    kind: KindVersion,
    api_version: String,
    /// What the list under way has held.
    listed: HashSet<ObjectKey>,
    listing: bool,
}

impl Records {
    fn update(&self, completeness: Completeness, update: impl FnOnce(&mut Store) -> Touched) {
        let Some(shared) = self.shared.upgrade() else { return };
        let touched = {
            let mut store = shared.store.lock();
            // What comes after the kind was dropped is nobody's.
            if store.progress(&self.kind).is_none() {
                return;
            }
            update(&mut store)
        };
        shared.tell(&touched, completeness);
    }

    /// True for what is known already, as the echo of our own apply: then nothing more of it is read.
    fn is_held(&self, key: &ObjectKey, object: &Shown<'_>) -> bool {
        let held = self.shared.upgrade().and_then(|shared| shared.store.lock().get(key));
        held.is_some_and(|held| {
            held.resource_version == object.version() && held.uid == object.uid() && held.version == self.kind.version
        })
    }

    fn trouble(&self, trouble: Option<String>) {
        let Some(shared) = self.shared.upgrade() else { return };
        let changed = {
            let mut store = shared.store.lock();
            if store.progress(&self.kind).is_none() {
                return;
            }
            let progress = store.progress_mut(&self.kind);
            let changed = progress.trouble != trouble;
            progress.trouble = trouble;
            changed
        };
        if changed {
            shared.tell(&Touched::new(), Completeness::Changed);
        }
    }
}

impl Sink for Records {
    fn begin(&mut self) {
        self.listed.clear();
        self.listing = true;
    }

    fn seen(&mut self, object: &Shown<'_>) {
        let key = object.key(&self.kind.kind);
        self.cluster.note_kinds_of(&key);
        if self.listing {
            self.listed.insert(key.clone());
        }
        if self.is_held(&key, object) {
            self.update(Completeness::Same, |store| {
                store.passed(&self.kind, object.version());
                Touched::new()
            });
            return;
        }
        match self.cluster.reader().read_as(object.text, &self.api_version, &self.kind.kind.kind) {
            Ok(reading) => self.update(Completeness::Same, |store| store.seen(&self.kind, reading)),
            Err(error) => warn!(kind = %self.kind, %error, "Object cannot be read"),
        }
    }

    fn removed(&mut self, object: &Shown<'_>) {
        let key = object.key(&self.kind.kind);
        self.cluster.note_kinds_of(&key);
        self.listed.remove(&key);
        self.update(Completeness::Same, |store| store.removed(&self.kind, &key, object.uid(), object.version()));
    }

    fn listed(&mut self, version: &str) {
        self.listing = false;
        let listed = std::mem::take(&mut self.listed);
        debug!(kind = %self.kind, objects = listed.len(), "Kind listed");
        self.update(Completeness::Changed, |store| store.listed(&self.kind, &listed, version));
    }

    fn passed(&mut self, version: &str) {
        self.trouble(None);
        self.update(Completeness::Same, |store| {
            store.passed(&self.kind, version);
            Touched::new()
        });
    }

    fn failed(&mut self, error: &Error) {
        self.listing = false;
        self.listed.clear();
        self.trouble(Some(error.to_string()));
    }

    fn unserved(&mut self) {
        self.listing = false;
        let Some(shared) = self.shared.upgrade() else { return };
        let known = shared.store.lock().incomplete(&self.kind).is_none();
        drop(shared);
        let completeness = if known { Completeness::Same } else { Completeness::Changed };
        self.update(completeness, |store| store.unserved(&self.kind));
    }
}
