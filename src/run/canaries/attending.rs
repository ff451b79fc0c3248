//! Which canaries are attended to, and whom a change concerns.
//!
//! **In:** the canaries, the objects that each is made of. **Out:** bells that ring, and who is first at a target. **May
//! not:** look at a canary, or walk over all of them for one change: others change all the time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::mark::{Mark, Marks};
use crate::api::flagger::ObjectReference;
use crate::object::ObjectKey;

/// What must be known of every Canary at any time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Brief {
    metadata: Birth,
    spec: Aim,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Birth {
    creation_timestamp: Option<Time>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Aim {
    target_ref: ObjectReference,
}

/// All canaries that have a task.
#[derive(Default)]
pub(super) struct Attending {
    canaries: BTreeMap<ObjectKey, Attended>,
    /// Of each object the canaries that are made of it: of a dozen objects for each canary the names would be most of what
    /// is remembered. Two objects with one mark ring for each other, which costs a look.
    concerned: HashMap<Mark, Vec<Arc<ObjectKey>>>,
    marks: Marks,
}

/// A canary with a task.
struct Attended {
    bell: Arc<Notify>,
    gone: CancellationToken,
    brief: Brief,
    /// The objects that it is made of; sorted.
    concerns: Box<[Mark]>,
    /// It has been looked at once.
    is_known: bool,
}

/// What the task of a canary waits for.
pub(super) struct Signals {
    /// Rings when something of it has changed.
    pub(super) bell: Arc<Notify>,
    /// Cancelled when the canary is gone.
    pub(super) gone: CancellationToken,
}

impl Attending {
    /// Notes that a canary is there, or has changed. Signals for its task when it has none yet.
    pub(super) fn saw(&mut self, key: &ObjectKey, brief: Brief, end: &CancellationToken) -> Option<Signals> {
        if let Some(known) = self.canaries.get_mut(key) {
            known.brief = brief;
            known.bell.notify_one();
            return None;
        }
        let (bell, gone) = (Arc::new(Notify::new()), end.child_token());
        let signals = Signals { bell: bell.clone(), gone: gone.clone() };
        let attended = Attended { bell, gone, brief, concerns: Box::default(), is_known: false };
        self.canaries.insert(key.clone(), attended);
        Some(signals)
    }

    /// Ends a canary's task, and rings for those that have waited for its target.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        let Some(forgotten) = self.canaries.remove(key) else { return };
        forgotten.gone.cancel();
        self.leave(key, &forgotten.concerns);
        for (_, rival) in self.rivals(key, &forgotten.brief.spec.target_ref) {
            rival.bell.notify_one();
        }
    }

    /// From now on these objects ring for it.
    pub(super) fn concern(&mut self, key: &ObjectKey, concerns: &BTreeSet<ObjectKey>) {
        let Some(attended) = self.canaries.get_mut(key) else { return };
        let mut marks: Box<[Mark]> = concerns.iter().map(|concern| self.marks.of(concern)).collect();
        marks.sort_unstable();
        if attended.concerns == marks {
            return;
        }
        let before = std::mem::replace(&mut attended.concerns, marks.clone());
        self.leave(key, &before);
        let key = Arc::new(key.clone());
        for mark in marks {
            self.concerned.entry(mark).or_insert_with(|| Vec::with_capacity(1)).push(key.clone());
        }
    }

    fn leave(&mut self, key: &ObjectKey, concerns: &[Mark]) {
        for mark in concerns {
            if let Some(canaries) = self.concerned.get_mut(mark) {
                canaries.retain(|canary| **canary != *key);
                if canaries.is_empty() {
                    self.concerned.remove(mark);
                }
            }
        }
    }

    /// Rings for every canary that an object concerns.
    pub(super) fn ring(&self, changed: &ObjectKey) {
        if changed.kind == "EndpointSlice" {
            for service in services(changed) {
                self.ring_for(&service);
            }
        }
        self.ring_for(changed);
    }

    /// Rings for every canary.
    pub(super) fn ring_all(&self) {
        for attended in self.canaries.values() {
            attended.bell.notify_one();
        }
    }

    fn ring_for(&self, changed: &ObjectKey) {
        for canary in self.concerned.get(&self.marks.of(changed)).into_iter().flatten() {
            if let Some(attended) = self.canaries.get(&**canary) {
                attended.bell.notify_one();
            }
        }
    }

    /// Of several canaries on one target the oldest has it; by name when they are of one second. Its name, if it is another.
    pub(super) fn claimant(&self, key: &ObjectKey) -> Option<&str> {
        let target = &self.canaries.get(key)?.brief.spec.target_ref;
        let (first, _) = self.rivals(key, target).min_by_key(|(rival, attended)| {
            let created = attended.brief.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (created.is_none(), created, &rival.name)
        })?;
        (first != key).then_some(first.name.as_str())
    }

    /// The canaries on a target, in the namespace of one of them.
    fn rivals<'a>(
        &'a self,
        key: &ObjectKey,
        target: &'a ObjectReference,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a Attended)> {
        let begin = ObjectKey { name: "".into(), ..key.clone() };
        let namespace = key.namespace.clone();
        self.canaries
            .range(begin..)
            .take_while(move |(other, _)| other.namespace == namespace)
            .filter(move |(_, attended)| attended.brief.spec.target_ref == *target)
    }

    /// Notes that a canary has been looked at.
    pub(super) fn know(&mut self, key: &ObjectKey) {
        if let Some(attended) = self.canaries.get_mut(key) {
            attended.is_known = true;
        }
    }

    /// Whether all have been looked at.
    pub(super) fn knows_all(&self) -> bool {
        self.canaries.values().all(|attended| attended.is_known)
    }
}

/// The Services that an EndpointSlice may belong to: its name is the Service's and something after a hyphen.
pub(super) fn services(slice: &ObjectKey) -> impl Iterator<Item = ObjectKey> {
    slice.name.match_indices('-').map(|(end, _)| ObjectKey {
        group: "".into(),
        kind: "Service".into(),
        namespace: slice.namespace.clone(),
        name: slice.name[..end].into(),
    })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::json;

    use super::*;

    fn key(kind: &str, namespace: &str, name: &str) -> ObjectKey {
        ObjectKey { group: "".into(), kind: kind.into(), namespace: Some(namespace.into()), name: name.into() }
    }

    fn brief(target: &str, second: u32) -> Brief {
        let created = format!("2026-01-01T00:00:{second:02}Z");
        let brief = json!({
            "metadata": {"name": "x", "creationTimestamp": created},
            "spec": {"targetRef": {"kind": "Deployment", "name": target}},
        });
        serde_json::from_value(brief).unwrap()
    }

    fn has_rung(signals: &Signals) -> bool {
        signals.bell.notified().now_or_never().is_some()
    }

    #[test]
    fn a_change_rings_for_those_it_concerns() {
        let (mut attending, end) = (Attending::default(), CancellationToken::new());
        let (web, api) = (key("Canary", "shop", "web"), key("Canary", "shop", "api"));
        let for_web = attending.saw(&web, brief("web", 0), &end).unwrap();
        let for_api = attending.saw(&api, brief("api", 0), &end).unwrap();
        assert!(attending.saw(&web, brief("web", 0), &end).is_none() && has_rung(&for_web));
        let config = key("ConfigMap", "shop", "common");
        attending.concern(&web, &[key("Service", "shop", "web-canary"), config.clone()].into());
        attending.concern(&api, &[config.clone()].into());
        let cases = [
            // the object that changed, who hears of it
            (key("Service", "shop", "web-canary"), (true, false)),
            (key("Service", "other", "web-canary"), (false, false)),
            (key("EndpointSlice", "shop", "web-canary-x7k2p"), (true, false)),
            (key("EndpointSlice", "shop", "web-x7k2p"), (false, false)),
            (config.clone(), (true, true)),
        ];
        for (changed, expected) in cases {
            attending.ring(&changed);
            assert_eq!((has_rung(&for_web), has_rung(&for_api)), expected, "{changed:?}");
        }
        attending.concern(&api, &BTreeSet::new());
        attending.forget(&web);
        attending.ring(&config);
        assert_eq!((has_rung(&for_web), has_rung(&for_api)), (false, false));
        assert!(for_web.gone.is_cancelled() && attending.concerned.is_empty());
    }

    #[test]
    fn the_oldest_of_a_namespace_has_the_target() {
        let (mut attending, end) = (Attending::default(), CancellationToken::new());
        let (old, new) = (key("Canary", "shop", "old"), key("Canary", "shop", "new"));
        let far = key("Canary", "other", "far");
        attending.saw(&far, brief("web", 0), &end).unwrap();
        attending.saw(&old, brief("web", 1), &end).unwrap();
        attending.saw(&key("Canary", "shop", "same-second"), brief("web", 1), &end).unwrap();
        let waits = attending.saw(&new, brief("web", 2), &end).unwrap();
        let other = attending.saw(&key("Canary", "shop", "other"), brief("api", 3), &end).unwrap();
        assert_eq!(attending.claimant(&new), Some("old"));
        assert_eq!((attending.claimant(&old), attending.claimant(&far)), (None, None));
        attending.forget(&old);
        assert!(has_rung(&waits) && !has_rung(&other));
        assert_eq!(attending.claimant(&new), Some("same-second"));
    }
}
