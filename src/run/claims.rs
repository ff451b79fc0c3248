//! Which applications want which objects: an object that two want is shared, one that moves is handed over.
//!
//! A push may move an object from one application to another, and who loses it may be looked at first. So it is noted
//! which applications a push concerns: until they have been looked at, nobody knows all claims, and nothing is pruned.
//! The new owner may be an application that the same push makes: whose sync may make one is waited for a while.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::object::ObjectKey;

/// How long what a sync may make is waited for at most.
const WITHIN: Duration = Duration::from_secs(5);
/// How long what it has made is waited for.
const MOMENT: Duration = Duration::from_millis(300);

/// By cluster and object, the tracking names of the applications whose last render has it.
#[derive(Clone, Default)]
pub struct Claims(Arc<RwLock<State>>);

#[derive(Default)]
struct State {
    by_object: HashMap<SmolStr, HashMap<ObjectKey, Claimants>>,
    by_application: BTreeMap<SmolStr, (SmolStr, BTreeSet<ObjectKey>)>,
    /// Names of applications whose sources have moved since they were looked at, and when that was noticed.
    moved: BTreeMap<SmolStr, u64>,
    /// Applications whose sync makes others, and until when those are waited for.
    makers: BTreeMap<SmolStr, Instant>,
    /// Counts what was noticed.
    time: u64,
}

/// Who wants an object: one application, as a rule.
struct Claimants {
    first: SmolStr,
    others: Vec<SmolStr>,
}

impl Claims {
    /// Notes all that an application wants now, and on which cluster.
    pub fn set(&self, application: &SmolStr, cluster: &str, keys: impl Iterator<Item = ObjectKey>) {
        let wanted = (SmolStr::new(cluster), keys.collect::<BTreeSet<_>>());
        let mut state = self.0.write();
        if state.by_application.get(application) == Some(&wanted) {
            return;
        }
        state.unclaim(application);
        let claims = state.by_object.entry(wanted.0.clone()).or_default();
        for key in &wanted.1 {
            match claims.entry(key.clone()) {
                Entry::Occupied(mut claimants) => claimants.get_mut().others.push(application.clone()),
                Entry::Vacant(free) => drop(free.insert(Claimants { first: application.clone(), others: Vec::new() })),
            }
        }
        state.by_application.insert(application.clone(), wanted);
    }

    /// An application is gone.
    pub fn forget(&self, application: &str) {
        let mut state = self.0.write();
        state.unclaim(application);
        state.moved.remove(application);
        state.makers.remove(application);
    }

    /// A sync of this application is to make others, until it is over. It is not waited for much longer than a sync
    /// takes: one that waits for the health of its children would wait for who waits for it.
    pub fn makes(&self, application: &str) {
        self.0.write().makers.insert(application.into(), Instant::now() + WITHIN);
    }

    /// It has made them: they are seen a moment later.
    pub fn has_made(&self, application: &str) {
        if let Some(until) = self.0.write().makers.get_mut(application) {
            *until = (*until).min(Instant::now() + MOMENT);
        }
    }

    /// Sources of these applications have moved: what they want is not known any more.
    pub fn moved<'a>(&self, applications: impl IntoIterator<Item = &'a SmolStr>) {
        let mut state = self.0.write();
        state.time += 1;
        let time = state.time;
        state.moved.extend(applications.into_iter().map(|application| (application.clone(), time)));
    }

    /// The time for [`Claims::looked`]: taken before a look begins.
    pub fn now(&self) -> u64 {
        self.0.read().time
    }

    /// A look at an application that began at this time has ended, well or not.
    pub fn looked(&self, application: &str, began: u64) {
        let mut state = self.0.write();
        if state.moved.get(application).is_some_and(|moved| *moved <= began) {
            state.moved.remove(application);
        }
    }

    /// True when every application but this one has been looked at since its sources moved, and none is being made.
    pub fn are_known(&self, application: &str) -> bool {
        let state = self.0.read();
        let now = Instant::now();
        let is_made = |(maker, until): (&SmolStr, &Instant)| maker == application || *until <= now;
        state.moved.keys().all(|other| other == application) && state.makers.iter().all(is_made)
    }

    /// Another application that wants an object of a cluster.
    pub fn others(&self, cluster: &str, key: &ObjectKey, application: &SmolStr) -> Option<SmolStr> {
        let state = self.0.read();
        let claimants = state.by_object.get(cluster)?.get(key)?;
        let all = std::iter::once(&claimants.first).chain(&claimants.others);
        // Always the same one of several: it stands in statuses.
        all.filter(|other| *other != application).min().cloned()
    }
}

impl State {
    fn unclaim(&mut self, application: &str) {
        let Some((cluster, before)) = self.by_application.remove(application) else { return };
        let Some(claims) = self.by_object.get_mut(&cluster) else { return };
        for key in before {
            let Some(claimants) = claims.get_mut(&key) else { continue };
            claimants.others.retain(|other| other != application);
            if claimants.first == application {
                match claimants.others.pop() {
                    Some(other) => claimants.first = other,
                    None => drop(claims.remove(&key)),
                }
            }
        }
        if claims.is_empty() {
            self.by_object.remove(&cluster);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_known_once_all_that_moved_were_looked_at() {
        let (a, b) = (SmolStr::new("a"), SmolStr::new("b"));
        let claims = Claims::default();
        let before = claims.now();
        claims.moved([&a, &b]);
        assert!(!claims.are_known("a"), "b has not been looked at");
        claims.looked("b", before);
        assert!(!claims.are_known("a"), "that look began before the push");
        claims.looked("b", claims.now());
        assert!(claims.are_known("a"), "its own look is no matter");
        assert!(!claims.are_known("b"));
    }

    #[tokio::test]
    async fn what_a_sync_may_make_is_waited_for_a_moment_longer() {
        let claims = Claims::default();
        claims.makes("root");
        assert!(!claims.are_known("a") && claims.are_known("root"));
        claims.has_made("root");
        assert!(!claims.are_known("a"), "what was made has not been seen yet");
        tokio::time::sleep(MOMENT).await;
        assert!(claims.are_known("a"));
    }

    #[test]
    fn a_claim_ends_with_the_render_that_drops_it() {
        let key =
            |name: &str| ObjectKey { group: "".into(), kind: "ConfigMap".into(), namespace: None, name: name.into() };
        let (a, b) = (SmolStr::new("a"), SmolStr::new("b"));
        let claims = Claims::default();
        claims.set(&a, "here", [key("x"), key("y")].into_iter());
        claims.set(&b, "here", [key("y")].into_iter());
        assert_eq!(claims.others("here", &key("y"), &a), Some(b.clone()));
        assert_eq!(claims.others("here", &key("x"), &a), None);
        claims.set(&b, "here", std::iter::empty());
        assert_eq!(claims.others("here", &key("y"), &a), None);
        claims.forget("a");
        assert_eq!(claims.others("here", &key("x"), &b), None);
    }

    #[test]
    fn the_same_key_on_another_cluster_is_another_object() {
        let key = ObjectKey { group: "".into(), kind: "ConfigMap".into(), namespace: None, name: "x".into() };
        let (a, b) = (SmolStr::new("a"), SmolStr::new("b"));
        let claims = Claims::default();
        claims.set(&a, "here", [key.clone()].into_iter());
        claims.set(&b, "there", [key.clone()].into_iter());
        assert_eq!(claims.others("here", &key, &a), None);
        claims.set(&b, "here", [key.clone()].into_iter());
        assert_eq!(claims.others("here", &key, &a), Some(b.clone()), "it has moved");
        assert_eq!(claims.others("there", &key, &a), None);
    }
}
