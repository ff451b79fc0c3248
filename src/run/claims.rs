//! Which applications want which objects: an object that two want is shared, one that moves is handed over.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parking_lot::RwLock;
use smol_str::SmolStr;

use crate::object::ObjectKey;

/// By object, the tracking names of the applications whose last render has it.
#[derive(Default)]
pub struct Claims(RwLock<State>);

#[derive(Default)]
struct State {
    by_object: HashMap<ObjectKey, BTreeSet<SmolStr>>,
    by_application: BTreeMap<SmolStr, BTreeSet<ObjectKey>>,
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

    /// Another application that wants an object.
    pub fn others(&self, key: &ObjectKey, application: &SmolStr) -> Option<SmolStr> {
        self.0.read().by_object.get(key)?.iter().find(|other| *other != application).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
