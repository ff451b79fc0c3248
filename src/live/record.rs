//! The small thing that is kept of a live object, and how it is read off the object's text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::health::{self, Verdict};
use crate::object::fields::{ManagedFields, Ownership};
use crate::object::tracking::Tracking;
use crate::object::{GroupKind, Object, ObjectKey, annotation, split_api_version};

/// What the live view keeps of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Group, kind, namespace, name.
    pub key: ObjectKey,
    /// The API version it was watched in: `v1`.
    pub version: SmolStr,
    /// `metadata.uid`: tells an object from its successor of the same name.
    pub uid: SmolStr,
    /// `metadata.resourceVersion`.
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

impl Record {
    /// True when this is what the API server had to say later than the other did.
    ///
    /// Kubernetes orders the versions of one object by number; versions that are no numbers are not compared.
    pub fn is_newer_than(&self, other: &Record) -> bool {
        let number = |record: &Record| record.resource_version.parse::<u64>().ok();
        self.uid != other.uid || number(self).zip(number(other)).is_none_or(|(this, that)| this > that)
    }

    /// True when the object had this `metadata.resourceVersion` only later.
    pub fn is_before(&self, resource_version: &str) -> bool {
        let number = |version: &str| version.parse::<u64>().ok();
        number(&self.resource_version).zip(number(resource_version)).is_some_and(|(this, that)| this < that)
    }
}

/// A kind in one of its versions: what is watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindVersion {
    /// Group and kind.
    pub kind: GroupKind,
    /// `v1`; that of the manifests, since a projection is one of a version.
    pub version: SmolStr,
}

impl KindVersion {
    /// This kind in this version.
    pub fn new(kind: GroupKind, version: impl Into<SmolStr>) -> Self {
        KindVersion { kind, version: version.into() }
    }

    /// The kind and version of an object.
    pub fn of(object: &Object) -> Self {
        KindVersion { kind: object.key.group_kind(), version: object.version.clone() }
    }
}

impl From<(GroupKind, SmolStr)> for KindVersion {
    fn from((kind, version): (GroupKind, SmolStr)) -> Self {
        KindVersion { kind, version }
    }
}

impl From<&(GroupKind, SmolStr)> for KindVersion {
    fn from((kind, version): &(GroupKind, SmolStr)) -> Self {
        KindVersion { kind: kind.clone(), version: version.clone() }
    }
}

impl From<&KindVersion> for KindVersion {
    fn from(kind: &KindVersion) -> Self {
        kind.clone()
    }
}

/// `Deployment (apps/v1)`.
impl fmt::Display for KindVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GroupKind { group, kind } = &self.kind;
        let slash = if group.is_empty() { "" } else { "/" };
        write!(f, "{kind} ({group}{slash}{})", self.version)
    }
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

/// Reads records off the text of objects.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Our field manager: whose fields the projection is of.
    pub manager: SmolStr,
}

/// A record, and in which API version our ownership is written down, when that is not the one it was read in.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What was read.
    pub record: Record,
    /// The projection can't be compared with one of that version.
    pub owned_in: Option<SmolStr>,
}

impl Reader {
    /// Reads a record off an object's JSON text. No value of the whole object is built, unless its health needs one.
    ///
    /// # Errors
    /// When the text is no Kubernetes object.
    pub fn read(&self, text: &str) -> Result<Reading, serde_json::Error> {
        let Named { api_version, kind } = serde_json::from_str(text)?;
        self.read_as(text, &api_version, &kind)
    }

    /// The same for an item of a list, which does not say what it is.
    ///
    /// # Errors
    /// When the text is no Kubernetes object.
    pub fn read_as(&self, text: &str, api_version: &str, kind: &str) -> Result<Reading, serde_json::Error> {
        let Envelope { metadata } = serde_json::from_str(text)?;
        let (group, version) = split_api_version(api_version);
        let key = ObjectKey {
            group: group.into(),
            kind: SmolStr::new(kind),
            namespace: metadata.namespace.filter(|namespace| !namespace.is_empty()).map(SmolStr::new),
            name: SmolStr::new(&metadata.name),
        };
        let ownership = Ownership::of(&metadata.managed_fields, &self.manager);
        let projection = match &ownership {
            Some(ownership) => Some(ownership.project(&mut serde_json::Deserializer::from_str(text))?),
            None => None,
        };
        let owned_in = ownership.map(|ownership| ownership.api_version).filter(|owned| owned != api_version);
        let owned_in = owned_in.map(|api_version| SmolStr::new(split_api_version(&api_version).1));
        let health = if holds_only_data(group, kind) {
            None
        } else {
            let Judged(mut value) = serde_json::from_str(text)?;
            if value.get("kind").is_none() {
                value["apiVersion"] = api_version.into();
                value["kind"] = kind.into();
            }
            health::verdict(&value)
        };
        let annotations = metadata.annotations;
        let record = Record {
            tracking: annotations.tracking.map(|tracking| share_names(tracking, &key)),
            key,
            version: version.into(),
            uid: SmolStr::new(&metadata.uid),
            resource_version: SmolStr::new(&metadata.resource_version),
            generation: metadata.generation,
            part_of: metadata.labels.part_of,
            projection,
            deleting: metadata.deletion_timestamp.is_some(),
            health,
            wave: annotations.wave.or(annotations.hook_weight).unwrap_or(0),
            is_hook: annotations.is_hook,
            sync_options: annotations.sync_options,
            keep: annotations.keep,
            compare_options: annotations.compare_options,
            ignore_health: annotations.ignore_health,
            plan: annotations.plan,
        };
        Ok(Reading { record, owned_in })
    }
}

/// Long names are held once: the annotation nearly always repeats the object's own key.
fn share_names(mut tracking: Tracking, key: &ObjectKey) -> Tracking {
    let own = &mut tracking.key;
    for (copy, name) in [(&mut own.group, &key.group), (&mut own.kind, &key.kind), (&mut own.name, &key.name)] {
        if copy == name {
            *copy = name.clone();
        }
    }
    if own.namespace == key.namespace {
        own.namespace = key.namespace.clone();
    }
    tracking
}

/// Kinds that have no state of their own, so that nothing of them is judged. They are often the largest objects.
fn holds_only_data(group: &str, kind: &str) -> bool {
    match group {
        "" => matches!(kind, "ConfigMap" | "Secret" | "ServiceAccount" | "LimitRange" | "Endpoints" | "PodTemplate"),
        "rbac.authorization.k8s.io" | "coordination.k8s.io" | "discovery.k8s.io" => true,
        "admissionregistration.k8s.io" => kind.ends_with("WebhookConfiguration"),
        "networking.k8s.io" => matches!(kind, "NetworkPolicy" | "IngressClass"),
        "scheduling.k8s.io" | "node.k8s.io" => true,
        "storage.k8s.io" => kind == "StorageClass",
        _ => false,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
    #[serde(default)]
    generation: i64,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    annotations: Annotations,
    #[serde(borrow, default)]
    managed_fields: Vec<ManagedFields<'a>>,
}

#[derive(Default)]
struct Labels {
    part_of: Option<SmolStr>,
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut part_of: Option<SmolStr> = None;
        deserializer.deserialize_any(Texts(&mut |name, value| {
            if name == annotation::PART_OF {
                part_of = Some(SmolStr::new(value));
            }
        }))?;
        Ok(Labels { part_of })
    }
}

#[derive(Default)]
struct Annotations {
    tracking: Option<Tracking>,
    wave: Option<i32>,
    hook_weight: Option<i32>,
    is_hook: bool,
    sync_options: Option<Box<str>>,
    keep: bool,
    compare_options: Option<Box<str>>,
    ignore_health: bool,
    plan: Option<SmolStr>,
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut found = Annotations::default();
        deserializer.deserialize_any(Texts(&mut |name, value| match name {
            annotation::TRACKING_ID => found.tracking = Tracking::parse(value),
            annotation::SYNC_WAVE => found.wave = value.trim().parse().ok(),
            annotation::HELM_HOOK_WEIGHT => found.hook_weight = value.trim().parse().ok(),
            annotation::HOOK | annotation::HELM_HOOK => found.is_hook = true,
            annotation::SYNC_OPTIONS => found.sync_options = Some(value.into()),
            annotation::HELM_RESOURCE_POLICY => found.keep = value.trim() == "keep",
            annotation::COMPARE_OPTIONS => found.compare_options = Some(value.into()),
            annotation::IGNORE_HEALTHCHECK => found.ignore_health = value == "true",
            annotation::PLAN => found.plan = Some(value.into()),
            _ => {}
        }))?;
        Ok(found)
    }
}

/// Hands each text of a mapping of texts on; `null` stands for an empty one.
struct Texts<'f>(&'f mut dyn FnMut(&str, &str));

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of texts")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
            (self.0)(&name.0, &value.0);
        }
        Ok(())
    }
}

/// A text that is borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A whole object but for `managedFields`, which is often the larger half.
struct Judged(Value);

impl<'de> Deserialize<'de> for Judged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// At the object's root, or in `metadata`.
        enum Level {
            Root,
            Metadata,
        }
        impl<'de> Visitor<'de> for Level {
            type Value = Map<String, Value>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a Kubernetes object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut kept = Map::new();
                while let Some(name) = map.next_key::<String>()? {
                    match (&self, name.as_str()) {
                        (Level::Root, "metadata") => {
                            let Kept(metadata) = map.next_value()?;
                            kept.insert(name, metadata.into());
                        }
                        (Level::Metadata, "managedFields") => drop(map.next_value::<IgnoredAny>()?),
                        _ => drop(kept.insert(name, map.next_value()?)),
                    }
                }
                Ok(kept)
            }
        }
        struct Kept(Map<String, Value>);
        impl<'de> Deserialize<'de> for Kept {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map(Level::Metadata).map(Kept)
            }
        }
        deserializer.deserialize_map(Level::Root).map(|object| Judged(object.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Health;
    use serde_json::json;

    fn read(body: &Value) -> Reading {
        let reader = Reader { manager: "leeboard".into() };
        reader.read(&body.to_string()).unwrap()
    }

    #[test]
    fn a_record_holds_what_a_plan_asks_of_a_live_object() {
        let Reading { record, owned_in } = read(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "17", "generation": 4,
                "creationTimestamp": "2026-11-21T07:16:29Z", "deletionTimestamp": "2026-11-21T07:16:29Z",
                "labels": {"app": "web", "applyset.kubernetes.io/part-of": "applyset-x-v1"},
                "annotations": {
                    "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web",
                    "argocd.argoproj.io/sync-wave": "-3", "helm.sh/hook-weight": "7",
                    "argocd.argoproj.io/sync-options": "Prune=false", "helm.sh/resource-policy": "keep",
                    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
                    "argocd.argoproj.io/ignore-healthcheck": "true",
                    "note": "\"quoted\"",
                },
                "managedFields": [{"manager": "leeboard", "operation": "Apply", "apiVersion": "apps/v1",
                                   "time": "2026-11-21T07:16:29Z", "fieldsType": "FieldsV1",
                                   "fieldsV1": {"f:spec": {"f:replicas": {}}}}],
            },
            "spec": {"replicas": 1}, "status": {"observedGeneration": 4},
        }));
        assert_eq!(owned_in, None);
        assert!(record.projection.is_some());
        assert_eq!(record.health.as_ref().map(|verdict| verdict.status), Some(Health::Progressing));
        let key = record.key.clone();
        assert_eq!(key.to_string(), "shop/Deployment/web");
        let expected = Record {
            tracking: Some(Tracking { application: "shop".into(), key: key.clone() }),
            key,
            version: "v1".into(),
            uid: "u".into(),
            resource_version: "17".into(),
            generation: 4,
            part_of: Some("applyset-x-v1".into()),
            projection: record.projection,
            deleting: true,
            health: record.health.clone(),
            wave: -3,
            is_hook: false,
            sync_options: Some("Prune=false".into()),
            keep: true,
            compare_options: Some("IgnoreExtraneous".into()),
            ignore_health: true,
            plan: None,
        };
        assert_eq!(record, expected);
    }

    #[test]
    fn a_bare_object_reads_as_one_that_is_nobodys() {
        let Reading { record, .. } = read(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "labels": null, "annotations": null},
        }));
        assert_eq!((record.projection, record.tracking, record.part_of), (None, None, None));
        assert_eq!((record.wave, record.is_hook, record.deleting, record.generation), (0, false, false, 0));
        assert_eq!(record.health, None);
    }

    #[test]
    fn the_hook_weight_stands_in_for_a_wave() {
        let Reading { record, .. } = read(&json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "x", "annotations": {"helm.sh/hook": "pre-install", "helm.sh/hook-weight": "5",
                                                      "leeboard.dev/plan": "abc"}},
        }));
        assert_eq!((record.wave, record.is_hook, record.plan.as_deref()), (5, true, Some("abc")));
    }

    #[test]
    fn ownership_in_another_version_is_told() {
        let Reading { owned_in, .. } = read(&json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "x", "managedFields": [{"manager": "leeboard", "operation": "Apply",
                "apiVersion": "autoscaling/v1", "fieldsV1": {"f:spec": {"f:maxReplicas": {}}}}]},
            "spec": {"maxReplicas": 3},
        }));
        assert_eq!(owned_in.as_deref(), Some("v1"));
    }

    #[test]
    fn the_later_version_of_an_object_is_newer() {
        let at = |uid: &str, version: &str| {
            let mut record = read(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})).record;
            (record.uid, record.resource_version) = (uid.into(), version.into());
            record
        };
        // this       that       newer
        let cases = [
            (("a", "10"), ("a", "9"), true),
            (("a", "9"), ("a", "10"), false),
            (("a", "9"), ("a", "9"), false),
            (("b", "9"), ("a", "10"), true),
            (("a", "x"), ("a", "10"), true),
        ];
        for ((uid, version), (other_uid, other), newer) in cases {
            assert_eq!(
                at(uid, version).is_newer_than(&at(other_uid, other)),
                newer,
                "{uid}/{version} {other_uid}/{other}"
            );
        }
    }

    #[test]
    fn text_that_is_no_object_is_an_error() {
        let reader = Reader { manager: "leeboard".into() };
        for text in
            ["", "{}", "[]", r#"{"apiVersion":"v1","kind":"X"}"#, r#"{"apiVersion":"v1","kind":"X","metadata":{}}"#]
        {
            assert!(reader.read(text).is_err(), "{text}");
        }
    }
}
