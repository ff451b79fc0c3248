//! Which applications want which objects: an object that two want is shared, one that moves is handed over.
//!
//! A push may move an object from one application to another, and who loses it may be looked at first. So it is noted
//! which applications a push concerns: until they have been looked at, nobody knows all claims, and nothing is pruned.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;
use smol_str::SmolStr;

use crate::object::ObjectKey;

/// By object, the tracking names of the applications whose last render has it.
#[derive(Clone, Default)]
pub struct Claims(Arc<RwLock<State>>);

#[derive(Default)]
struct State {
    by_object: HashMap<ObjectKey, BTreeSet<SmolStr>>,
    by_application: BTreeMap<SmolStr, BTreeSet<ObjectKey>>,
    /// Names of applications whose sources have moved since they were looked at, and when that was noticed.
    moved: BTreeMap<SmolStr, u64>,
    /// Counts what was noticed.
    time: u64,
}

impl Claims {
    /// Notes all that an application wants now.
    pub fn set(&self, application: &SmolStr, keys: impl Iterator<Item = ObjectKey>) {
        let wanted: BTreeSet<_> = keys.collect();
        let mut state = self.0.write();
        if state.by_application.get(application) == Some(&wanted) {
            return;
        }
        let before = state.by_application.insert(application.clone(), wanted.clone()).unwrap_or_default();
        for key in before.difference(&wanted) {
            if let Some(claims) = state.by_object.get_mut(key) {
                claims.remove(application);
                if claims.is_empty() {
                    state.by_object.remove(key);
                }
            }
        }
        for key in wanted {
            state.by_object.entry(key).or_default().insert(application.clone());
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

    /// True when every application but this one has been looked at since its sources moved.
    pub fn are_known(&self, application: &str) -> bool {
        self.0.read().moved.keys().all(|other| other == application)
    }

    /// Another application that wants an object.
    pub fn others(&self, key: &ObjectKey, application: &SmolStr) -> Option<SmolStr> {
        self.0.read().by_object.get(key)?.iter().find(|other| *other != application).cloned()
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

    #[test]
    fn a_claim_ends_with_the_render_that_drops_it() {
        let key =
            |name: &str| ObjectKey { group: "".into(), kind: "ConfigMap".into(), namespace: None, name: name.into() };
        let (a, b) = (SmolStr::new("a"), SmolStr::new("b"));
        let claims = Claims::default();
        claims.set(&a, [key("x"), key("y")].into_iter());
        claims.set(&b, [key("y")].into_iter());
        assert_eq!(claims.others(&key("y"), &a), Some(b.clone()));
        assert_eq!(claims.others(&key("x"), &a), None);
        claims.set(&b, std::iter::empty());
        assert_eq!(claims.others(&key("y"), &a), None);
    }
}
