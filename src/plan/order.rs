//! In which order things happen: phase, then wave, then kind, then name; with two corrections.
//!
//! Semantics: Argo CD 3.x `sync-waves.md` (SEMANTICS b.3). A Namespace moves before the first object that lives in it,
//! a CRD before the first object of its kind; each takes over that object's phase and wave.

use std::collections::HashMap;
use std::hash::Hash;

use smol_str::SmolStr;

use crate::object::{GroupKind, ObjectKey};

use super::{Phase, Wave};

/// The kinds whose order is given; all others come after them. The group does not count.
const KINDS: [&str; 35] = [
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
];

/// The place of a kind among those of its wave.
pub fn rank(kind: &str) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len())
}

/// One thing to be put in order.
#[derive(Clone, Debug)]
pub(super) struct Task<T> {
    pub(super) phase: Phase,
    pub(super) wave: Wave,
    pub(super) key: ObjectKey,
    /// What others of the plan depend on; prunes give and need nothing.
    pub(super) provides: Option<Provision>,
    /// False for prunes.
    pub(super) needs: bool,
    pub(super) payload: T,
}

/// What has to be there before others can be applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Provision {
    Namespace(SmolStr),
    Kind(GroupKind),
}

pub(super) fn arrange<T>(mut tasks: Vec<Task<T>>) -> Vec<Task<T>> {
    tasks.sort_by_cached_key(|task| {
        let ObjectKey { group, kind, namespace, name } = &task.key;
        // Argo CD leaves the order of what is equal up to the name open; here it is fixed, so that plans are equal.
        (task.phase, task.wave, rank(kind), name.clone(), kind.clone(), group.clone(), namespace.clone())
    });
    let tasks = advance(
        tasks,
        |provision| matches!(provision, Provision::Namespace(_)),
        |key| key.namespace.clone().map(Provision::Namespace),
    );
    advance(tasks, |provision| matches!(provision, Provision::Kind(_)), |key| Some(Provision::Kind(key.group_kind())))
}

/// Moves each provider before the first task that needs it.
fn advance<T>(
    tasks: Vec<Task<T>>,
    is_moved: impl Fn(&Provision) -> bool,
    need: impl Fn(&ObjectKey) -> Option<Provision>,
) -> Vec<Task<T>> {
    let mut ordered: Vec<Task<T>> = Vec::with_capacity(tasks.len());
    let mut needed_at: HashMap<Provision, usize> = HashMap::new();
    for mut task in tasks {
        match task.provides.as_ref().filter(|provision| is_moved(provision)) {
            Some(provision) => match needed_at.get(provision).copied() {
                Some(first) => {
                    (task.phase, task.wave) = (ordered[first].phase, ordered[first].wave);
                    ordered.insert(first, task);
                    needed_at.values_mut().filter(|at| **at >= first).for_each(|at| *at += 1);
                }
                None => ordered.push(task),
            },
            None => {
                if let Some(provision) = need(&task.key).filter(|_| task.needs) {
                    needed_at.entry(provision).or_insert(ordered.len());
                }
                ordered.push(task);
            }
        }
    }
    ordered
}
