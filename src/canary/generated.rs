//! The objects that a canary has besides its target: the primary, its configs, the Services, the scalers.
//!
//! **In:** a [`Canary`], its target and what is live. **Out:** the objects to apply, the patches that scale the target,
//! identities and readiness. **May not:** do I/O, read a clock, make a random number.
//!
//! Semantics: Flagger 1.44's, object by object as it was recorded. What differs on purpose: metadata by which tools know
//! their own objects is never copied (a copy would be taken for theirs, and pruned); Secrets that somebody keeps up to
//! date are shared, not copied; nothing rolls when nothing has changed.
//!
//! Read [`target`] first, then [`primary`] and [`configs`]; [`services`], [`scaler`], [`disruption`] and [`scale`] stand alone;
//! [`rollout`] says how far a workload is.

pub mod configs;
pub mod disruption;
pub mod history;
pub mod primary;
pub mod rollout;
pub mod scale;
pub mod scaler;
pub mod services;
pub mod target;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::flagger::{Canary, Provider};
use crate::canary::settings::TargetKind;
use crate::object::{Object, ObjectKey, split_api_version};

pub use self::target::{Port, Target};

/// What holds for all canaries of one daemon: Flagger's flags, with its defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// `-selector-labels`: the keys of `matchLabels` that may tell the pods of primary and canary apart, in order.
    pub selector_labels: Vec<String>,
    /// `-include-label-prefix`: which of the target's labels its copies get; `*` for all.
    pub include_label_prefixes: Vec<String>,
    /// `-enable-config-tracking`: whether the primary has its own ConfigMaps and Secrets.
    pub tracks_configs: bool,
    /// `-ingress-annotations-prefix`: of nginx's annotations.
    pub ingress_annotations_prefix: String,
    /// `-ingress-class`: of Contour's proxies; empty for none.
    pub ingress_class: String,
    /// `-mesh-provider`: who routes where the Canary says nothing.
    pub provider: Provider,
}

impl Default for Flags {
    fn default() -> Self {
        Flags {
            selector_labels: ["app", "name", "app.kubernetes.io/name"].map(String::from).into(),
            include_label_prefixes: Vec::new(),
            tracks_configs: true,
            ingress_annotations_prefix: "nginx.ingress.kubernetes.io".into(),
            ingress_class: String::new(),
            provider: Provider::Istio,
        }
    }
}

/// Why no object can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An object that is needed is not there, or could not be read.
    #[error("{kind} {name}.{namespace} get query error: {cause}")]
    Unreadable {
        /// In lower case.
        kind: String,
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// What the cluster said.
        cause: String,
    },
    /// The selector has no label that tells the pods of primary and canary apart.
    #[error("{kind} {name}.{namespace} spec.selector.matchLabels must contain one of [{}]", .labels.join(" "))]
    NoSelectorLabel {
        /// In lower case.
        kind: &'static str,
        /// The target's name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// What it could be.
        labels: Vec<String>,
    },
    /// A DaemonSet whose pods are not replaced when its template changes cannot be scaled by its template.
    #[error("daemonset {name}.{namespace} must have RollingUpdate strategy but have {found}")]
    UpdateStrategy {
        /// The target's name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Its strategy.
        found: String,
    },
    /// `targetRef.kind` is none that a canary can have.
    #[error("a {kind} cannot be the target of a canary: only Deployment, DaemonSet and Service can")]
    TargetKind {
        /// What it is.
        kind: String,
    },
    /// `autoscalerRef.kind` is none that a canary can have.
    #[error("a {kind} cannot be the autoscaler of a canary: only HorizontalPodAutoscaler and ScaledObject can")]
    ScalerKind {
        /// What it is.
        kind: String,
    },
    /// `service.port` is absent.
    #[error("`spec.service.port` is missing")]
    NoPort,
}

/// A change of some fields of an object that is not ours: a JSON merge patch.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// Of which object.
    pub key: ObjectKey,
    /// Its version.
    pub api_version: String,
    /// `null` removes.
    pub body: Value,
}

impl Patch {
    fn of(object: &Object, body: Value) -> Self {
        Patch { key: object.key.clone(), api_version: object.api_version().into(), body }
    }
}

const PRIMARY_SUFFIX: &str = "-primary";
const CANARY_SUFFIX: &str = "-canary";

/// Annotations that keep Flux from correcting what a canary moves.
pub(super) const HANDS_OFF: [(&str, &str); 2] =
    [("kustomize.toolkit.fluxcd.io/reconcile", "disabled"), ("helm.toolkit.fluxcd.io/driftDetection", "disabled")];

/// The Canary's name.
pub(super) fn name_of(canary: &Canary) -> &str {
    canary.metadata.name.as_deref().unwrap_or_default()
}

/// The namespace of a Canary and of all that is made for it.
pub(super) fn namespace_of(canary: &Canary) -> &str {
    canary.metadata.namespace.as_deref().unwrap_or_default()
}

/// What an object has of labels and annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// The object belongs to the Canary: it goes when the Canary goes.
pub(super) fn owned(canary: &Canary, mut object: Object) -> Object {
    object.metadata_mut().insert("ownerReferences".into(), json!([owner_reference(canary)]));
    object
}

/// An object in the canary's namespace.
pub(super) fn new_object(
    canary: &Canary,
    api_version: &str,
    kind: &str,
    name: &str,
    own: Metadata,
    content: Map<String, Value>,
) -> Object {
    let namespace = namespace_of(canary);
    let mut metadata = Map::new();
    metadata.insert("name".into(), name.into());
    if !namespace.is_empty() {
        metadata.insert("namespace".into(), namespace.into());
    }
    for (field, texts) in [("labels", own.labels), ("annotations", own.annotations)] {
        if !texts.is_empty() {
            let map: Map<String, Value> = texts.into_iter().map(|(key, text)| (key, text.into())).collect();
            metadata.insert(field.into(), map.into());
        }
    }
    let mut body = Map::new();
    body.insert("apiVersion".into(), api_version.into());
    body.insert("kind".into(), kind.into());
    body.insert("metadata".into(), metadata.into());
    body.extend(content);
    let (group, version) = split_api_version(api_version);
    let namespace = Some(namespace).filter(|namespace| !namespace.is_empty()).map(Into::into);
    Object {
        key: ObjectKey { group: group.into(), kind: kind.into(), namespace, name: name.into() },
        version: version.into(),
        body: body.into(),
        origin: None,
    }
}

fn owner_reference(canary: &Canary) -> Value {
    let mut reference = json!({
        "apiVersion": canary.api_version, "kind": canary.kind, "name": name_of(canary),
        "controller": true, "blockOwnerDeletion": true,
    });
    if let Some(uid) = &canary.metadata.uid {
        reference["uid"] = uid.as_str().into();
    }
    reference
}

/// Whether an object was made for a Canary: its controller is one.
pub fn is_owned(object: &Object, canary: &Canary) -> bool {
    let references = object.body["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
    references.iter().any(|reference| {
        reference["kind"] == "Canary"
            && reference["name"] == name_of(canary)
            && (canary.metadata.uid.is_none()
                || reference.get("uid").is_none()
                || reference["uid"].as_str() == canary.metadata.uid.as_deref())
    })
}

/// The annotations or labels of an object.
pub(super) fn texts(object: &Value, field: &str) -> BTreeMap<String, String> {
    let map = object["metadata"][field].as_object();
    let pairs = map.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    pairs.collect()
}

/// What of an object's labels or annotations a copy of it may have: nothing by which a tool knows its own objects.
pub(super) fn copied(mut map: BTreeMap<String, String>) -> BTreeMap<String, String> {
    const OF_TOOLS: [&str; 8] = [
        "argocd.argoproj.io/",
        "applyset.kubernetes.io/",
        "leeboard.dev/",
        "canary.leeboard.dev/",
        "kubectl.kubernetes.io/last-applied-configuration",
        "meta.helm.sh/",
        "deployment.kubernetes.io/revision",
        "deprecated.daemonset.template.generation",
    ];
    map.retain(|key, _| !key.contains("toolkit.fluxcd.io") && !OF_TOOLS.iter().any(|prefix| key.starts_with(prefix)));
    map
}

/// Those of [`copied`] that the flags include.
pub(super) fn included(map: BTreeMap<String, String>, flags: &Flags) -> BTreeMap<String, String> {
    let mut map = copied(map);
    let prefixes = &flags.include_label_prefixes;
    map.retain(|key, _| prefixes.iter().any(|prefix| prefix == "*" || key.starts_with(prefix.as_str())));
    map
}

#[cfg(test)]
mod tests;
