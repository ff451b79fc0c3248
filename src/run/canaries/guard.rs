//! Whose word ends the sync that brings an object: the canary's of which it is the target, or that tracks it.
//!
//! **In:** what each canary tries, and the commit that brought it. **Out:** the canaries of an object. **May not:** know how
//! a canary stands: that is a judgement on the object.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use crate::git::Oid;
use crate::object::ObjectKey;

/// What one canary stands before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Guard {
    pub(super) target: ObjectKey,
    /// The ConfigMaps and Secrets whose changes are tried like the target's.
    pub(super) configs: Vec<ObjectKey>,
    /// The commit that brought the version which is tried, or was tried last.
    pub(super) brought_by: Option<Oid>,
    /// The pull request that asks to take that commit back.
    pub(super) pull: Option<SmolStr>,
}

impl Guard {
    fn objects(&self) -> impl Iterator<Item = &ObjectKey> {
        self.configs.iter().chain([&self.target])
    }
}

/// Of all canaries.
#[derive(Default)]
pub(super) struct Guards {
    by_canary: BTreeMap<ObjectKey, Guard>,
    by_object: BTreeMap<ObjectKey, Vec<ObjectKey>>,
}

impl Guards {
    /// Notes what a canary stands before now: the objects that it stood before until now.
    pub(super) fn set(&mut self, canary: &ObjectKey, guard: Guard) -> Vec<ObjectKey> {
        let before = self.remove(canary);
        let mut left: BTreeSet<ObjectKey> = before.iter().flat_map(Guard::objects).cloned().collect();
        for object in guard.objects() {
            left.remove(object);
            self.by_object.entry(object.clone()).or_insert_with(|| Vec::with_capacity(1)).push(canary.clone());
        }
        self.by_canary.insert(canary.clone(), guard);
        left.into_iter().collect()
    }

    /// Forgets a canary.
    pub(super) fn remove(&mut self, canary: &ObjectKey) -> Option<Guard> {
        let guard = self.by_canary.remove(canary)?;
        for object in guard.objects() {
            if let Some(canaries) = self.by_object.get_mut(object) {
                canaries.retain(|other| other != canary);
                if canaries.is_empty() {
                    self.by_object.remove(object);
                }
            }
        }
        Some(guard)
    }

    /// The canaries that stand before an object.
    pub(super) fn of(&self, object: &ObjectKey) -> BTreeSet<ObjectKey> {
        self.by_object.get(object).into_iter().flatten().cloned().collect()
    }

    /// The pull request that asks to take one of these commits back.
    pub(super) fn pull(&self, commits: &BTreeSet<Oid>) -> Option<SmolStr> {
        let concerned = |guard: &&Guard| guard.brought_by.is_some_and(|commit| commits.contains(&commit));
        self.by_canary.values().filter(concerned).find_map(|guard| guard.pull.clone())
    }

    /// The commits that brought what is tried of an object.
    pub(super) fn commits(&self, object: &ObjectKey) -> BTreeSet<Oid> {
        let canaries = self.by_object.get(object).into_iter().flatten();
        canaries.filter_map(|canary| self.by_canary.get(canary)?.brought_by).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, name: &str) -> ObjectKey {
        ObjectKey { group: "".into(), kind: kind.into(), namespace: Some("shop".into()), name: name.into() }
    }

    fn guard(target: &str, configs: &[&str], digit: Option<&str>) -> Guard {
        Guard {
            target: key("Deployment", target),
            configs: configs.iter().map(|name| key("ConfigMap", name)).collect(),
            brought_by: digit.map(|digit| digit.repeat(40).parse().unwrap()),
            pull: digit.map(|digit| format!("pull request of {digit}").into()),
        }
    }

    #[test]
    fn several_canaries_may_stand_before_a_config() {
        let mut guards = Guards::default();
        let (web, api) = (key("Canary", "web"), key("Canary", "api"));
        assert_eq!(guards.set(&web, guard("web", &["common", "own"], Some("a"))), []);
        assert_eq!(guards.set(&api, guard("api", &["common"], None)), []);
        let common = key("ConfigMap", "common");
        assert_eq!(guards.of(&common), [api.clone(), web.clone()].into());
        assert_eq!(guards.commits(&common), ["a".repeat(40).parse().unwrap()].into());

        let pull = |digit: &str| guards.pull(&[digit.repeat(40).parse().unwrap()].into());
        assert_eq!((pull("a").as_deref(), pull("b")), (Some("pull request of a"), None));

        assert_eq!(guards.set(&web, guard("web", &["common"], None)), [key("ConfigMap", "own")]);
        assert_eq!(guards.of(&key("ConfigMap", "own")), [].into());
        assert_eq!(guards.remove(&web), Some(guard("web", &["common"], None)));
        assert_eq!((guards.of(&common), guards.of(&key("Deployment", "web"))), ([api].into(), [].into()));
        assert_eq!(guards.remove(&web), None);
    }
}
