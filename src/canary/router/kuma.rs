//! Kuma: a TrafficRoute, which belongs to the whole cluster and so can have no owner.
//!
//! Writes `kuma.io/v1alpha1` TrafficRoute `S`; <https://kuma.io/docs/latest/policies/traffic-route/>. The name has no
//! namespace: two canaries of one Service name in two namespaces would collide, and the second is refused. Cannot: A/B, mirror.
//! Test data: tests/fixtures/canary/kuma.yaml.

use serde_json::{Value, json};

use super::{Abilities, Error, Kind, Restoration, Router, Split, Subject, weights};
use crate::object::{Object, ObjectKey};

const TRAFFIC_ROUTE: Kind = Kind { group: "kuma.io", version: "v1alpha1", kind: "TrafficRoute" };
const SERVICE: &str = "kuma.io/service";
const MESH: &str = "kuma.io/mesh";

/// See the module.
pub(super) struct Kuma;

impl Router for Kuma {
    fn needs(&self) -> &'static [Kind] {
        &[TRAFFIC_ROUTE]
    }

    fn abilities(&self) -> Abilities {
        Abilities::WEIGHTS_ONLY
    }

    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey> {
        vec![key(subject)]
    }

    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error> {
        let name = subject.apex();
        let apex = json!([{"match": {SERVICE: tag(subject, &name)}}]);
        let collides = find(subject, live).is_some_and(|live| live.body["spec"]["destinations"] != apex);
        if collides {
            return Err(subject.no_route(TRAFFIC_ROUTE, &name));
        }
        let versions = [(subject.primary(), split.primary().percent()), (subject.canary(), split.canary.percent())];
        let split =
            versions.map(|(name, weight)| json!({"destination": {SERVICE: tag(subject, &name)}, "weight": weight}));
        let spec = json!({"sources": [{"match": {SERVICE: "*"}}], "destinations": apex, "conf": {"split": split}});
        let metadata = subject.metadata();
        let mesh = metadata.annotations.get(MESH).cloned().unwrap_or_else(|| "default".to_owned());
        let mut object = subject.owned(TRAFFIC_ROUTE, &name, metadata, spec.as_object().cloned().unwrap_or_default());
        let own = object.metadata_mut();
        own.shift_remove("ownerReferences");
        own.shift_remove("namespace");
        object.body["mesh"] = mesh.into();
        object.key.namespace = None;
        Ok(vec![object])
    }

    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error> {
        let no_route = || subject.no_route(TRAFFIC_ROUTE, &subject.apex());
        let live = find(subject, live).ok_or_else(no_route)?;
        let [primary, canary] = [subject.primary(), subject.canary()].map(|name| tag(subject, &name));
        let found: &Value = &live.body["spec"]["conf"]["split"];
        weights(found, &primary, &canary, |one| one["destination"][SERVICE].as_str()).ok_or_else(no_route)
    }

    /// Nobody else would delete it.
    fn restored(&self, subject: &Subject<'_>, live: &[Object]) -> Vec<Restoration> {
        find(subject, live).map(|live| Restoration::Delete(live.key.clone())).into_iter().collect()
    }
}

fn key(subject: &Subject<'_>) -> ObjectKey {
    ObjectKey { namespace: None, ..TRAFFIC_ROUTE.named(subject, &subject.apex()) }
}

fn find<'o>(subject: &Subject<'_>, live: &'o [Object]) -> Option<&'o Object> {
    let key = key(subject);
    live.iter().find(|object| object.key.kind == key.kind && object.key.name == key.name)
}

fn tag(subject: &Subject<'_>, service: &str) -> String {
    format!("{service}_{}_svc_{}", subject.namespace(), subject.port())
}
