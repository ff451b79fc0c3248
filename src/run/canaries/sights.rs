//! What was read lately of the objects that canaries are made of: a look reads again only what has changed since.
//!
//! **In:** reads, and word of every change. **Out:** objects, from here or from the API server. **May not:** answer from
//! here what is not watched, or what anyone may have changed since it was read.
//!
//! Objects are held as text, without `managedFields`: a tree of values takes five times as much. What is not asked for
//! again soon is forgotten, also while nobody asks: a thousand canaries at rest are not held.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::Mutex;
use serde_json::Value;
use smol_str::SmolStr;
use tokio::time::Instant;

use super::attending::services;
use super::mark::{Mark, Marks};
use crate::live::client::{Cluster, Error, ListOptions};
use crate::live::record::KindVersion;
use crate::object::{GroupKind, ObjectKey};

/// A watch that is dead without knowing deceives nobody for longer.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
/// Bytes that are held at most: of some hundred canaries that are under way at once.
const MOST: usize = 2 * 1024 * 1024;
/// Of so many changes it is known what they were about; a read that takes longer than these is not kept.
const REMEMBERED_CHANGES: usize = 4096;

const SLICE: &str = "EndpointSlice";

#[derive(Default)]
pub(super) struct Sights {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Kinds whose changes we hear of, in this version.
    watched: BTreeMap<GroupKind, SmolStr>,
    /// The oldest first.
    held: IndexMap<ObjectKey, Held>,
    /// Bytes of all that is held.
    size: usize,
    /// How many changes there have been.
    changes: u64,
    /// What the last of them were about. Two objects with one mark cost a read.
    changed: VecDeque<Mark>,
    marks: Marks,
}

struct Held {
    read: Instant,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Object(Arc<str>),
    Absent,
    /// Of a Service, under the key of its EndpointSlices.
    Endpoints(u32),
}

impl What {
    fn size(&self) -> usize {
        match self {
            What::Object(text) => text.len(),
            What::Absent | What::Endpoints(_) => 0,
        }
    }
}

impl Sights {
    /// One object; `None` when it is not there.
    ///
    /// # Errors
    /// All but that it is not there.
    pub(super) async fn find(&self, cluster: &Cluster, key: &ObjectKey, version: &str) -> Result<Option<Value>, Error> {
        let begun = match self.state.lock().look(key, Instant::now()) {
            Ok(What::Object(text)) => return serde_json::from_str(&text).map(Some).map_err(Error::Decode),
            Ok(_) => return Ok(None),
            Err(begun) => begun,
        };
        let mut found = cluster.find(key, version).await?;
        if let Some(metadata) = found.as_mut().and_then(|body| body["metadata"].as_object_mut()) {
            metadata.shift_remove("managedFields");
        }
        let mut state = self.state.lock();
        if state.is_watched(&key.group_kind(), version) {
            let what = found.as_ref().map_or(What::Absent, |body| What::Object(body.to_string().into()));
            state.hold(key.clone(), what, begun, Instant::now());
        }
        Ok(found)
    }

    /// How many ready endpoints a Service has.
    ///
    /// # Errors
    /// When the API server does not say.
    pub(super) async fn endpoints(&self, cluster: &Cluster, namespace: &str, service: &str) -> Result<u32, Error> {
        let kind = GroupKind::new("discovery.k8s.io", SLICE);
        let key = ObjectKey {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            namespace: Some(namespace.into()),
            name: service.into(),
        };
        let begun = match self.state.lock().look(&key, Instant::now()) {
            Ok(What::Endpoints(count)) => return Ok(count),
            Ok(_) => return Ok(0),
            Err(begun) => begun,
        };
        let options = ListOptions {
            namespace: key.namespace.clone(),
            labels: Some(format!("kubernetes.io/service-name={service}")),
            fields: None,
        };
        let slices = cluster.list(&kind, "v1", &options).await?;
        let endpoints = slices.iter().flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
        // A condition that is absent is to be taken as ready.
        let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] != false).count();
        let ready = u32::try_from(ready).unwrap_or(u32::MAX);
        let mut state = self.state.lock();
        if state.is_watched(&kind, "v1") {
            state.hold(key, What::Endpoints(ready), begun, Instant::now());
        }
        Ok(ready)
    }

    /// Writes an object: what was read of it before does not count any more, whether the write succeeds or not.
    pub(super) async fn write<T>(&self, key: &ObjectKey, write: impl Future<Output = T>) -> T {
        let written = write.await;
        self.changed(key);
        written
    }

    /// An object has changed, or may have.
    pub(super) fn changed(&self, key: &ObjectKey) {
        let mut state = self.state.lock();
        if key.kind == SLICE {
            for service in services(key) {
                state.changed(&ObjectKey { name: service.name, ..key.clone() });
            }
        }
        state.changed(key);
    }

    /// Forgets what is too old to be answered.
    pub(super) fn forget_old(&self) {
        self.state.lock().forget_old(Instant::now());
    }

    /// All objects of a kind are told from now on when they change. What was missed before is not known.
    pub(super) fn listed(&self, kind: &KindVersion) {
        let mut state = self.state.lock();
        let of_kind: Vec<ObjectKey> = state.held.keys().filter(|key| key.group_kind() == kind.kind).cloned().collect();
        of_kind.iter().for_each(|key| state.forget(key));
        // Reads under way may be older than the list.
        state.changes += REMEMBERED_CHANGES as u64;
        state.changed.clear();
        state.watched.insert(kind.kind.clone(), kind.version.clone());
    }
}

impl State {
    fn is_watched(&self, kind: &GroupKind, version: &str) -> bool {
        self.watched.get(kind).is_some_and(|watched| watched == version)
    }

    /// What is held of an object; else when a read of it begins.
    fn look(&mut self, key: &ObjectKey, now: Instant) -> Result<What, u64> {
        self.forget_old(now);
        self.held.get(key).map(|held| held.what.clone()).ok_or(self.changes)
    }

    /// Holds what was read, unless the object has changed since the read began.
    fn hold(&mut self, key: ObjectKey, what: What, begun: u64, now: Instant) {
        let missed = usize::try_from(self.changes - begun).unwrap_or(usize::MAX);
        let Some(known) = self.changed.len().checked_sub(missed) else { return };
        let mark = self.marks.of(&key);
        if self.changed.range(known..).any(|changed| *changed == mark) {
            return;
        }
        self.forget(&key);
        self.size += what.size();
        self.held.insert(key, Held { read: now, what });
        let mut excess = self.size.saturating_sub(MOST);
        self.forget_first(|held| {
            let is_too_much = excess > 0;
            excess = excess.saturating_sub(held.what.size());
            is_too_much
        });
    }

    fn changed(&mut self, key: &ObjectKey) {
        self.forget(key);
        self.changes += 1;
        if self.changed.len() == REMEMBERED_CHANGES {
            self.changed.pop_front();
        }
        self.changed.push_back(self.marks.of(key));
    }

    fn forget(&mut self, key: &ObjectKey) {
        if let Some(held) = self.held.shift_remove(key) {
            self.size -= held.what.size();
        }
    }

    fn forget_old(&mut self, now: Instant) {
        self.forget_first(|held| now.duration_since(held.read) > LONGEST);
        if self.held.is_empty() {
            self.held = IndexMap::new();
        }
    }

    /// Forgets from the oldest on, up to the first that may stay.
    fn forget_first(&mut self, mut may_go: impl FnMut(&Held) -> bool) {
        let end = self.held.values().position(|held| !may_go(held)).unwrap_or(self.held.len());
        for (_, held) in self.held.drain(..end) {
            self.size -= held.what.size();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, name: &str) -> ObjectKey {
        ObjectKey { group: "".into(), kind: kind.into(), namespace: Some("shop".into()), name: name.into() }
    }

    /// What was read of an object, when `meanwhile` has happened since the read began.
    fn held(read: &ObjectKey, meanwhile: impl FnOnce(&Sights)) -> Option<What> {
        let (sights, now) = (Sights::default(), Instant::now());
        sights.listed(&KindVersion::new(read.group_kind(), "v1"));
        let begun = sights.state.lock().look(read, now).unwrap_err();
        meanwhile(&sights);
        let mut state = sights.state.lock();
        state.hold(read.clone(), What::Absent, begun, now);
        state.look(read, now).ok()
    }

    #[test]
    fn what_has_changed_while_it_was_read_is_read_again() {
        let (web, slices) = (key("Service", "web"), key(SLICE, "web-canary"));
        let other_changes = |count: usize| {
            move |sights: &Sights| (0..count).for_each(|n| sights.changed(&key("Service", &n.to_string())))
        };
        assert_eq!(held(&web, |_| {}), Some(What::Absent));
        assert_eq!(held(&web, other_changes(REMEMBERED_CHANGES)), Some(What::Absent));
        assert_eq!(held(&web, other_changes(REMEMBERED_CHANGES + 1)), None, "nobody knows what the first was about");
        assert_eq!(held(&web, |sights| sights.changed(&web)), None);
        assert_eq!(held(&web, |sights| sights.listed(&KindVersion::new(web.group_kind(), "v1"))), None);
        assert_eq!(held(&slices, |sights| sights.changed(&key(SLICE, "web-canary-x7k2p"))), None);
    }

    #[test]
    fn what_is_old_or_too_much_is_forgotten() {
        let (mut state, now) = (State::default(), Instant::now());
        let large = || What::Object("x".repeat(MOST / 2).into());
        for (name, second) in [("a", 0), ("b", 1), ("a", 2), ("c", 3)] {
            state.hold(key("ConfigMap", name), large(), 0, now + Duration::from_secs(second));
        }
        let names = |state: &State| state.held.keys().map(|key| key.name.to_string()).collect::<Vec<_>>();
        assert_eq!((names(&state), state.size), (vec!["a".to_owned(), "c".to_owned()], MOST / 2 * 2));
        assert!(state.look(&key("ConfigMap", "c"), now + LONGEST + Duration::from_millis(2500)).is_ok());
        assert_eq!((names(&state), state.size), (vec!["c".to_owned()], MOST / 2));
    }
}
