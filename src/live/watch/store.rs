//! The records of all that is watched, found by application. No I/O.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smol_str::SmolStr;

use crate::health::{Health, Verdict};
use crate::live::record::{KindVersion, LiveView, Reading, Record};
use crate::object::ObjectKey;

/// The records of one cluster.
///
/// Each record is held once; both indexes point to it, and find it by the key inside it.
#[derive(Debug, Default)]
pub(super) struct Store {
    records: HashSet<ByKey>,
    by_application: HashMap<SmolStr, HashSet<ByKey>>,
    kinds: BTreeMap<KindVersion, Progress>,
    names: HashSet<SmolStr>,
    judgements: HashMap<ObjectKey, Judged>,
}

/// An object that controllers of ours have a word about.
#[derive(Debug, Default)]
struct Judged {
    /// By whom. Hardly ever more than one.
    judgements: Vec<(ObjectKey, Judgement)>,
    /// The object's own health.
    own: Option<Verdict>,
}

/// What a controller of ours says of an object's health: it knows more than the object does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Its verdict; where that is healthy the object's own counts.
    pub verdict: Verdict,
    /// What it has seen of the object.
    pub seen: Seen,
    /// What is said of a later state.
    pub unseen: Verdict,
}

/// Until when a judgement holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// While the object has this `metadata.generation`.
    Generation(i64),
    /// While the object has this `metadata.resourceVersion`: its kind has no generation.
    ResourceVersion(SmolStr),
}

impl Judgement {
    /// What it says of the object as it is now, if it is not content.
    fn of(&self, generation: i64, resource_version: &str) -> Option<&Verdict> {
        let is_unseen = match &self.seen {
            Seen::Generation(seen) => generation > *seen,
            Seen::ResourceVersion(seen) => seen != resource_version,
        };
        match self.verdict.status {
            _ if is_unseen => Some(&self.unseen),
            Health::Healthy => None,
            _ => Some(&self.verdict),
        }
    }
}

impl Judged {
    /// What counts as the health of the object as it is now: it is healthy when all say so.
    fn health(&self, generation: i64, resource_version: &str) -> Option<Verdict> {
        let mut complaints = self.judgements.iter().filter_map(|(_, it)| it.of(generation, resource_version));
        complaints.next().cloned().or_else(|| self.own.clone())
    }
}

/// How far the watch of a kind has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The first full list has arrived.
    pub(super) complete: bool,
    /// Why it does not get on.
    pub(super) trouble: Option<String>,
    /// The last resource version seen; 0 before.
    passed: u64,
}

/// Found by its object's key.
#[derive(Debug, Clone)]
struct ByKey(Arc<Record>);

impl Borrow<ObjectKey> for ByKey {
    fn borrow(&self) -> &ObjectKey {
        &self.0.key
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

/// The applications of which something has changed.
pub(super) type Touched = BTreeSet<SmolStr>;

impl Store {
    pub(super) fn kinds(&self) -> impl Iterator<Item = &KindVersion> {
        self.kinds.keys()
    }

    pub(super) fn progress(&self, kind: &KindVersion) -> Option<&Progress> {
        self.kinds.get(kind)
    }

    pub(super) fn progress_mut(&mut self, kind: &KindVersion) -> &mut Progress {
        self.kinds.entry(kind.clone()).or_default()
    }

    /// Takes what a watch has seen.
    pub(super) fn seen(&mut self, kind: &KindVersion, reading: Reading) -> Touched {
        let Reading { record, owned_in } = reading;
        self.passed(kind, &record.resource_version);
        // Where the kind is also watched in the version that our fields are written down in, that watch has the word.
        if let Some(version) = owned_in
            && version != kind.version
            && self.kinds.contains_key(&KindVersion { kind: kind.kind.clone(), version })
        {
            return Touched::new();
        }
        match self.records.get(&record.key) {
            Some(ByKey(held)) if !record.is_newer_than(held) && record.version == held.version => Touched::new(),
            _ => self.insert(record),
        }
    }

    /// Takes what the API server answered to a write of ours, unless a watch knows better already.
    pub(super) fn written(&mut self, record: Record) -> Touched {
        let kind = KindVersion { kind: record.key.group_kind(), version: record.version.clone() };
        let passed = self.kinds.get(&kind).map_or(0, |progress| progress.passed);
        let outrun = number(&record.resource_version).is_some_and(|version| version <= passed);
        let stale = self.records.get(&record.key).is_some_and(|ByKey(held)| !record.is_newer_than(held));
        if outrun || stale || !self.kinds.contains_key(&kind) || record.part_of.is_none() {
            return Touched::new();
        }
        self.insert(record)
    }

    /// Takes a controller's word about an object, or forgets it.
    pub(super) fn judge(&mut self, key: &ObjectKey, by: &ObjectKey, judgement: Option<Judgement>) -> Touched {
        let held = self.records.get(key).map(|ByKey(held)| Arc::clone(held));
        // Of one that has not been seen yet, or is gone, its own health comes with it.
        let own = held.as_ref().and_then(|held| held.health.clone());
        let mut judged = self.judgements.remove(key).unwrap_or_else(|| Judged { own, ..Judged::default() });
        judged.judgements.retain(|(judge, _)| judge != by);
        if let Some(judgement) = judgement {
            judged.judgements.reserve_exact(1);
            judged.judgements.push((by.clone(), judgement));
            judged.judgements.sort_by(|a, b| a.0.cmp(&b.0));
        }
        let health = held.as_ref().and_then(|held| judged.health(held.generation, &held.resource_version));
        if !judged.judgements.is_empty() {
            self.judgements.insert(key.clone(), judged);
        }
        let Some(held) = held.filter(|held| held.health != health) else { return Touched::new() };
        let record = Arc::new(Record { health, ..Record::clone(&held) });
        self.records.replace(ByKey(Arc::clone(&record)));
        let touched = record.part_of.clone().into_iter().collect();
        self.index(record);
        touched
    }

    fn insert(&mut self, mut record: Record) -> Touched {
        self.intern(&mut record);
        if let Some(judged) = self.judgements.get_mut(&record.key) {
            judged.own = record.health.take();
            record.health = judged.health(record.generation, &record.resource_version);
        }
        let record = Arc::new(record);
        let mut touched = Touched::new();
        let before = self.records.replace(ByKey(Arc::clone(&record)));
        if let Some(ByKey(before)) = before {
            if before.part_of != record.part_of {
                self.forget_in_application(&before);
                touched.extend(before.part_of.clone());
            } else if is_same_but_for_its_version(&before, &record) {
                // A heartbeat in the status: held, so that later events compare with it, but nobody is told.
                self.index(record);
                return touched;
            }
        }
        touched.extend(record.part_of.clone());
        self.index(record);
        touched
    }

    fn index(&mut self, record: Arc<Record>) {
        if let Some(application) = &record.part_of {
            self.by_application.entry(application.clone()).or_default().replace(ByKey(record));
        }
    }

    /// An object is gone, or no longer ours; `version` is that of its end.
    pub(super) fn removed(&mut self, kind: &KindVersion, key: &ObjectKey, uid: &str, version: &str) -> Touched {
        self.passed(kind, version);
        match self.records.get(key) {
            Some(ByKey(held)) if held.uid == uid => self.remove(key),
            _ => Touched::new(),
        }
    }

    /// A deletion of ours was final.
    pub(super) fn deleted(&mut self, key: &ObjectKey, uid: &str) -> Touched {
        match self.records.get(key) {
            Some(ByKey(held)) if held.uid == uid => self.remove(key),
            _ => Touched::new(),
        }
    }

    /// A full list has arrived: what it did not hold, and was not written since, is gone.
    pub(super) fn listed(&mut self, kind: &KindVersion, listed: &HashSet<ObjectKey>, version: &str) -> Touched {
        let list = number(version);
        let gone: Vec<ObjectKey> = self
            .records
            .iter()
            .map(|ByKey(record)| record)
            .filter(|record| record.version == kind.version && is_of(record, kind) && !listed.contains(&record.key))
            .filter(|record| number(&record.resource_version).zip(list).is_none_or(|(held, list)| held <= list))
            .map(|record| record.key.clone())
            .collect();
        let touched = gone.iter().flat_map(|key| self.remove(key)).collect();
        let progress = self.progress_mut(kind);
        // A list has the last word, also over a storage that was restored and counts from an earlier version on.
        *progress = Progress { complete: true, trouble: None, passed: list.unwrap_or(0) };
        touched
    }

    /// The cluster has no such kind, so no such objects: that is complete.
    pub(super) fn unserved(&mut self, kind: &KindVersion) -> Touched {
        let touched = self.dropped(kind);
        *self.progress_mut(kind) = Progress { complete: true, trouble: None, passed: 0 };
        touched
    }

    /// The kind is not watched any more.
    pub(super) fn dropped(&mut self, kind: &KindVersion) -> Touched {
        self.kinds.remove(kind);
        let gone: Vec<ObjectKey> = self
            .records
            .iter()
            .filter(|ByKey(record)| record.version == kind.version && is_of(record, kind))
            .map(|ByKey(record)| record.key.clone())
            .collect();
        gone.iter().flat_map(|key| self.remove(key)).collect()
    }

    fn remove(&mut self, key: &ObjectKey) -> Touched {
        let Some(ByKey(record)) = self.records.take(key) else { return Touched::new() };
        self.forget_in_application(&record);
        record.part_of.iter().cloned().collect()
    }

    fn forget_in_application(&mut self, record: &Record) {
        let Some(application) = &record.part_of else { return };
        if let Some(records) = self.by_application.get_mut(application) {
            records.remove(&record.key);
            if records.is_empty() {
                self.by_application.remove(application);
            }
        }
    }

    pub(super) fn passed(&mut self, kind: &KindVersion, version: &str) {
        if let (Some(version), Some(progress)) = (number(version), self.kinds.get_mut(kind)) {
            progress.passed = progress.passed.max(version);
        }
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<Arc<Record>> {
        self.records.get(key).map(|ByKey(record)| Arc::clone(record))
    }

    pub(super) fn number_in(&self, namespace: &str) -> BTreeMap<SmolStr, u64> {
        let mut counts = BTreeMap::new();
        let is_there =
            |record: &&Record| record.key.namespace.as_deref() == Some(namespace) && record.part_of.is_some();
        for record in self.records.iter().map(|ByKey(record)| &**record).filter(is_there) {
            *counts.entry(record.key.kind.clone()).or_default() += 1;
        }
        counts
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn view<'k>(
        &self,
        application: &str,
        keys: impl IntoIterator<Item = &'k ObjectKey>,
        kinds: impl IntoIterator<Item = KindVersion>,
    ) -> LiveView {
        let own = self.by_application.get(application).into_iter().flatten();
        let others = keys.into_iter().filter_map(|key| self.records.get(key));
        LiveView {
            records: own.chain(others).map(|ByKey(record)| (record.key.clone(), Arc::clone(record))).collect(),
            incomplete: kinds.into_iter().filter_map(|kind| self.incomplete(&kind)).collect(),
        }
    }

    /// Why not all objects of a kind are known to be known.
    pub(super) fn incomplete(&self, kind: &KindVersion) -> Option<String> {
        match self.kinds.get(kind) {
            None => Some(format!("{kind} is not watched yet")),
            Some(Progress { trouble: Some(trouble), .. }) => Some(format!("{kind}: {trouble}")),
            Some(Progress { complete: false, .. }) => Some(format!("{kind} has not been listed yet")),
            Some(_) => None,
        }
    }

    /// Names that many records share are held once.
    fn intern(&mut self, record: &mut Record) {
        let Record { key, version, part_of, tracking, .. } = record;
        let tracking = tracking.iter_mut().map(|tracking| &mut tracking.application);
        for name in [&mut key.group, &mut key.kind, version]
            .into_iter()
            .chain(&mut key.namespace)
            .chain(part_of)
            .chain(tracking)
        {
            if !name.is_heap_allocated() {
                continue;
            }
            match self.names.get(name.as_str()) {
                Some(held) => *name = held.clone(),
                None => drop(self.names.insert(name.clone())),
            }
        }
    }
}

fn is_of(record: &Record, kind: &KindVersion) -> bool {
    record.key.kind == kind.kind.kind && record.key.group == kind.kind.group
}

fn is_same_but_for_its_version(before: &Record, after: &Record) -> bool {
    let mut before = before.clone();
    before.resource_version = after.resource_version.clone();
    before == *after
}

fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::record::Reader;
    use crate::object::GroupKind;
    use serde_json::json;

    fn kind() -> KindVersion {
        KindVersion::new(GroupKind::new("", "ConfigMap"), "v1")
    }

    fn reading(name: &str, uid: &str, version: u64, application: &str) -> Reading {
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n", "uid": uid,
            "resourceVersion": version.to_string(), "labels": {"applyset.kubernetes.io/part-of": application}}});
        Reader { manager: "leeboard".into() }.read(&body.to_string()).unwrap()
    }

    fn record(name: &str, uid: &str, version: u64, application: &str) -> Record {
        reading(name, uid, version, application).record
    }

    fn store() -> Store {
        let mut store = Store::default();
        store.progress_mut(&kind());
        store
    }

    /// The names and resource versions that the view of an application holds.
    fn held(store: &Store, application: &str) -> Vec<String> {
        let view = store.view(application, [], []);
        view.records.values().map(|record| format!("{}@{}", record.key.name, record.resource_version)).collect()
    }

    fn touched(touched: &Touched) -> Vec<&str> {
        touched.iter().map(SmolStr::as_str).collect()
    }

    #[test]
    fn an_event_shows_in_its_application_and_an_older_one_does_not() {
        let mut store = store();
        assert_eq!(touched(&store.seen(&kind(), reading("a", "1", 5, "shop"))), ["shop"]);
        assert_eq!(touched(&store.seen(&kind(), reading("b", "2", 6, "other"))), ["other"]);
        assert_eq!(held(&store, "shop"), ["a@5"]);
        assert!(store.seen(&kind(), reading("a", "1", 4, "shop")).is_empty());
        assert_eq!(held(&store, "shop"), ["a@5"]);
        assert!(store.seen(&kind(), reading("a", "1", 7, "shop")).is_empty(), "nothing but the version has changed");
        assert_eq!(held(&store, "shop"), ["a@7"]);
    }

    #[test]
    fn an_object_that_moves_touches_both_applications() {
        let mut store = store();
        store.seen(&kind(), reading("a", "1", 5, "shop"));
        assert_eq!(touched(&store.seen(&kind(), reading("a", "1", 6, "other"))), ["other", "shop"]);
        assert_eq!((held(&store, "shop").len(), held(&store, "other")), (0, vec!["a@6".to_owned()]));
        assert_eq!(store.len(), 1);
        let key = record("a", "1", 6, "other").key;
        let view = store.view("shop", [&key], []);
        assert_eq!(
            view.records[&key].part_of.as_deref(),
            Some("other"),
            "whoever asks for it by name sees whose it is"
        );
    }

    #[test]
    fn the_end_of_a_predecessor_is_not_the_end_of_its_successor() {
        let mut store = store();
        let a = record("a", "2", 9, "shop").key;
        store.seen(&kind(), reading("a", "2", 9, "shop"));
        assert!(store.removed(&kind(), &a, "1", "8").is_empty());
        assert_eq!(held(&store, "shop"), ["a@9"]);
        assert_eq!(touched(&store.removed(&kind(), &a, "2", "10")), ["shop"]);
        assert!(held(&store, "shop").is_empty());
    }

    #[test]
    fn an_answer_of_a_write_counts_until_the_watch_has_passed_it() {
        let mut store = store();
        assert_eq!(touched(&store.written(record("a", "1", 5, "shop"))), ["shop"]);
        assert!(store.seen(&kind(), reading("a", "1", 4, "shop")).is_empty(), "the watch lags behind");
        store.seen(&kind(), reading("a", "1", 5, "shop"));
        let a = record("a", "1", 5, "shop").key;
        store.removed(&kind(), &a, "1", "7");
        assert!(store.written(record("a", "1", 6, "shop")).is_empty(), "the answer was slower than the deletion");
        assert!(held(&store, "shop").is_empty());
    }

    #[test]
    fn a_list_removes_what_it_does_not_hold_but_what_was_written_since() {
        let mut store = store();
        for name in ["a", "b"] {
            store.seen(&kind(), reading(name, name, 5, "shop"));
        }
        store.written(record("c", "c", 30, "shop"));
        let listed = HashSet::from([record("a", "a", 5, "shop").key]);
        assert_eq!(touched(&store.listed(&kind(), &listed, "20")), ["shop"]);
        assert_eq!(held(&store, "shop"), ["a@5", "c@30"]);
        assert!(store.progress(&kind()).unwrap().complete);
    }

    #[test]
    fn a_view_says_what_it_may_lack() {
        let mut store = Store::default();
        let incomplete = |store: &Store| store.view("shop", [], [kind()]).incomplete;
        assert_eq!(incomplete(&store), ["ConfigMap (v1) is not watched yet"]);
        store.progress_mut(&kind());
        assert_eq!(incomplete(&store), ["ConfigMap (v1) has not been listed yet"]);
        store.listed(&kind(), &HashSet::new(), "1");
        assert!(incomplete(&store).is_empty());
        store.progress_mut(&kind()).trouble = Some("not allowed".into());
        assert_eq!(incomplete(&store), ["ConfigMap (v1): not allowed"]);
        store.dropped(&kind());
        assert_eq!(incomplete(&store), ["ConfigMap (v1) is not watched yet"]);
    }

    #[test]
    fn the_watch_in_the_version_of_our_fields_has_the_word() {
        let mut store = store();
        let newer = KindVersion::new(kind().kind, "v2");
        let mut in_v2 = reading("a", "1", 5, "shop");
        in_v2.record.version = "v2".into();
        in_v2.owned_in = Some("v1".into());
        store.progress_mut(&newer);
        assert!(store.seen(&newer, in_v2.clone()).is_empty());
        store.dropped(&kind());
        assert_eq!(touched(&store.seen(&newer, in_v2)), ["shop"], "nobody else watches it");
        store.progress_mut(&kind());
        store.seen(&kind(), reading("a", "1", 5, "shop"));
        assert_eq!(store.get(&record("a", "1", 5, "shop").key).unwrap().version, "v1");
    }

    #[test]
    fn records_are_small() {
        assert!(size_of::<Record>() <= 464, "{}", size_of::<Record>());
    }
}
