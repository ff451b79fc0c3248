//! Traefik: a weighted TraefikService, which an IngressRoute of the user names.
//!
//! Writes `traefik.io/v1alpha1` TraefikService `S`; <https://doc.traefik.io/traefik/routing/providers/kubernetes-crd/>.
//! Cannot: A/B, mirror. Test data: tests/fixtures/canary/traefik.yaml.

use serde_json::{Map, Value, json};

use super::{Abilities, Error, Kind, Router, Split, Subject, merged, pin, weights};
use crate::object::{Object, ObjectKey};

const TRAEFIK_SERVICE: Kind = Kind { group: "traefik.io", version: "v1alpha1", kind: "TraefikService" };

/// See the module.
pub(super) struct Traefik;

impl Router for Traefik {
    fn needs(&self) -> &'static [Kind] {
        &[TRAEFIK_SERVICE]
    }

    fn abilities(&self) -> Abilities {
        Abilities::WEIGHTS_ONLY
    }

    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey> {
        vec![TRAEFIK_SERVICE.named(subject, &subject.apex())]
    }

    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error> {
        let (name, primary, canary) = (subject.apex(), subject.primary(), subject.canary());
        let live = subject.find(live, TRAEFIK_SERVICE, &name);
        let entry = |service: &str, weight: u8| json!({"name": service, "namespace": subject.namespace(), "port": subject.port(), "weight": weight});
        let mut ours = vec![entry(&primary, split.primary().percent())];
        if split.canary.percent() > 0 {
            ours.push(entry(&canary, split.canary.percent()));
        }
        let is_ours = |entry: &Value| {
            entry["name"].as_str().is_some_and(|found| [&primary, &canary, &name].into_iter().any(|own| own == found))
        };
        let found = live.and_then(|live| live.body.pointer("/spec/weighted/services"));
        let (services, has_others) = merged(found, ours, is_ours);
        let mut spec = Map::new();
        spec.insert("weighted".into(), json!({"services": services}));
        let mut object = match live.filter(|live| !subject.is_owned(live)) {
            Some(_) => subject.within(TRAEFIK_SERVICE, &name, spec),
            None => subject.owned(TRAEFIK_SERVICE, &name, subject.metadata(), spec),
        };
        if has_others {
            pin(&mut object, live);
        }
        Ok(vec![object])
    }

    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error> {
        let name = subject.apex();
        let no_route = || subject.no_route(TRAEFIK_SERVICE, &name);
        let live = subject.find(live, TRAEFIK_SERVICE, &name).ok_or_else(no_route)?;
        let services = &live.body["spec"]["weighted"]["services"];
        let split = weights(services, &subject.primary(), &subject.canary(), |entry| entry["name"].as_str());
        split.ok_or_else(no_route)
    }
}
