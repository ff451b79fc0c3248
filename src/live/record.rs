//! The small thing that is kept of a live object.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::health::Verdict;
use crate::object::ObjectKey;
use crate::object::tracking::Tracking;

/// What the live view keeps of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Group, kind, namespace, name.
    pub key: ObjectKey,
    /// The API version it was watched in: `v1`.
    pub version: SmolStr,
    /// `metadata.uid`: tells an object from its successor of the same name.
    pub uid: SmolStr,
    /// `metadata.resourceVersion`; compared for equality only.
    pub resource_version: SmolStr,
    /// `metadata.generation`; 0 when the kind has none.
    pub generation: i64,
    /// Whose it says it is (annotation `argocd.argoproj.io/tracking-id`).
    pub tracking: Option<Tracking>,
    /// Label `applyset.kubernetes.io/part-of`.
    pub part_of: Option<SmolStr>,
    /// Hash of the values at exactly the fields that our field manager owns by apply; `None`: we own nothing.
    pub projection: Option<u64>,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// By `health`; `None` where the kind has no health.
    pub health: Option<Verdict>,
    /// Annotation `argocd.argoproj.io/sync-wave`, else the Helm hook weight, else 0: prunes go in its mirrored wave.
    pub wave: i32,
    /// Annotation `argocd.argoproj.io/hook` or `helm.sh/hook` is there.
    pub is_hook: bool,
    /// Raw annotation `argocd.argoproj.io/sync-options`: `Prune=false` and `Delete=…` are read from the live object.
    pub sync_options: Option<Box<str>>,
    /// `helm.sh/resource-policy: keep`.
    pub keep: bool,
    /// Raw annotation `argocd.argoproj.io/compare-options`.
    pub compare_options: Option<Box<str>>,
    /// `argocd.argoproj.io/ignore-healthcheck: "true"`.
    pub ignore_health: bool,
    /// The hash of the plan that runs it (annotation `leeboard.dev/plan`), on hooks.
    pub plan: Option<SmolStr>,
}

/// What one cluster holds of one application, and whether that is known to be all.
#[derive(Clone, Debug, Default)]
pub struct LiveView {
    /// By key.
    pub records: BTreeMap<ObjectKey, Arc<Record>>,
    /// Kinds whose watch has not delivered its first full list, or whose discovery failed, each with the reason.
    /// While one is here nothing is pruned (G3).
    pub incomplete: Vec<String>,
}
