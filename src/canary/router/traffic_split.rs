//! SMI's TrafficSplit, as Linkerd before 2.14, Open Service Mesh and others read it.
//!
//! Writes `split.smi-spec.io` TrafficSplit `S`: `v1alpha1` (weights as texts), `v1alpha2`, `v1alpha3`;
//! <https://github.com/servicemeshinterface/smi-spec>. Cannot: A/B, mirror. Newer Linkerd reads an HTTPRoute: provider
//! `gatewayapi:v1`. Test data: tests/fixtures/canary/linkerd.yaml.

use serde_json::{Map, Value, json};

use super::{Abilities, Error, Kind, Router, Split, Subject, merged, pin, weights};
use crate::canary::generated::Metadata;
use crate::object::{Object, ObjectKey};

const V1_ALPHA1: Kind = Kind { group: "split.smi-spec.io", version: "v1alpha1", kind: "TrafficSplit" };
const V1_ALPHA2: Kind = Kind { version: "v1alpha2", ..V1_ALPHA1 };
const V1_ALPHA3: Kind = Kind { version: "v1alpha3", ..V1_ALPHA1 };

/// Of the TrafficSplit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1Alpha1,
    V1Alpha2,
    V1Alpha3,
}

/// See the module.
pub(super) struct TrafficSplit {
    pub(super) version: Version,
}

impl Router for TrafficSplit {
    fn needs(&self) -> &'static [Kind] {
        match self.version {
            Version::V1Alpha1 => &[V1_ALPHA1],
            Version::V1Alpha2 => &[V1_ALPHA2],
            Version::V1Alpha3 => &[V1_ALPHA3],
        }
    }

    fn abilities(&self) -> Abilities {
        Abilities::WEIGHTS_ONLY
    }

    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey> {
        vec![V1_ALPHA1.named(subject, &subject.apex())]
    }

    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error> {
        let (kind, name) = (self.needs()[0], subject.apex());
        let live = subject.find(live, kind, &name);
        let backend = |service: String, weight: u8| match self.version {
            Version::V1Alpha1 => json!({"service": service, "weight": weight.to_string()}),
            Version::V1Alpha2 | Version::V1Alpha3 => json!({"service": service, "weight": weight}),
        };
        let ours = vec![
            backend(subject.canary(), split.canary.percent()),
            backend(subject.primary(), split.primary().percent()),
        ];
        let own = [subject.canary(), subject.primary(), name.clone()];
        let is_ours = |backend: &Value| own.iter().any(|name| backend["service"] == *name);
        let (backends, has_others) = merged(live.and_then(|live| live.body["spec"].get("backends")), ours, is_ours);
        let mut spec = Map::new();
        spec.insert("backends".into(), backends.into());
        let foreign = live.filter(|live| !subject.is_owned(live));
        let mut object = if foreign.is_some() {
            subject.within(kind, &name, spec)
        } else {
            let host = subject.canary.spec.service.hosts.first().unwrap_or(&name);
            spec.insert("service".into(), host.as_str().into());
            subject.owned(kind, &name, Metadata::default(), spec)
        };
        if has_others {
            pin(&mut object, live);
        }
        Ok(vec![object])
    }

    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error> {
        let (kind, name) = (self.needs()[0], subject.apex());
        let no_route = || subject.no_route(kind, &name);
        let live = subject.find(live, kind, &name).ok_or_else(no_route)?;
        let backends = &live.body["spec"]["backends"];
        let split = weights(backends, &subject.primary(), &subject.canary(), |backend| backend["service"].as_str());
        split.ok_or_else(no_route)
    }
}
