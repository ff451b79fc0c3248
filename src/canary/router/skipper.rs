//! Skipper: a copy of the user's Ingress that has both versions as backends, and wins over it.
//!
//! Writes `networking.k8s.io/v1` Ingress `<ingressRef>-canary` with annotations of
//! <https://opensource.zalando.com/skipper/kubernetes/ingress-usage/>. Cannot: A/B, mirror. Only the paths that lead to
//! the apex are copied: a copy of others would take their traffic too. Test data: tests/fixtures/canary/skipper.yaml.

use serde_json::{Value, json};

use super::{Abilities, Error, Kind, Restoration, Router, Split, Subject, of_weights};
use crate::canary::generated::{self, Metadata};
use crate::object::{Object, ObjectKey};

const INGRESS: Kind = Kind { group: "networking.k8s.io", version: "v1", kind: "Ingress" };
const WEIGHTS: &str = "zalando.org/backend-weights";
const PREDICATE: &str = "zalando.org/skipper-predicate";
/// Makes the copy win over the original.
const WINS: &str = "Weight(100)";
/// Takes the copy out of the way.
const OFF: &str = "False()";

/// See the module.
pub(super) struct Skipper;

impl Router for Skipper {
    fn needs(&self) -> &'static [Kind] {
        &[INGRESS]
    }

    fn abilities(&self) -> Abilities {
        Abilities::WEIGHTS_ONLY
    }

    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey> {
        let Ok(name) = reference(subject) else { return Vec::new() };
        vec![INGRESS.named(subject, name), INGRESS.named(subject, &format!("{name}-canary"))]
    }

    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error> {
        let name = reference(subject)?;
        let source = subject.demand(live, INGRESS, name)?;
        let copy_name = format!("{name}-canary");
        let copy = subject.find(live, INGRESS, &copy_name);
        let (apex, primary, canary) = (subject.apex(), subject.primary(), subject.canary());
        let mut spec = source.body["spec"].as_object().cloned().unwrap_or_default();
        spec.shift_remove("defaultBackend");
        let rules = spec.get_mut("rules").and_then(Value::as_array_mut);
        let mut is_found = false;
        for rule in rules.into_iter().flatten() {
            let Some(paths) = rule.pointer_mut("/http/paths").and_then(Value::as_array_mut) else { continue };
            let of_apex: Vec<Value> =
                std::mem::take(paths).into_iter().filter(|path| path["backend"]["service"]["name"] == apex).collect();
            for path in of_apex {
                is_found = true;
                for version in [&primary, &canary] {
                    let mut path = path.clone();
                    path["backend"]["service"]["name"] = version.as_str().into();
                    paths.push(path);
                }
            }
        }
        if !is_found {
            return Err(Error::NoBackend { service: apex, kind: "ingress", name: name.to_owned() });
        }
        if let Some(rules) = spec.get_mut("rules").and_then(Value::as_array_mut) {
            rules.retain(|rule| rule["http"]["paths"].as_array().is_some_and(|paths| !paths.is_empty()));
        }
        // Before its first run the copy is on, with all traffic at the primary; after a run it is off.
        let has_run = copy.is_some_and(|copy| {
            copy.annotation(PREDICATE).is_some_and(|text| text.starts_with(OFF))
                || self.split(subject, live).is_ok_and(|split| split.canary.percent() > 0)
        });
        let switch = if split.canary.percent() == 0 && has_run { OFF } else { WINS };
        let mut annotations = generated::copied(generated::texts(&source.body, "annotations"));
        let predicate = match annotations.get(PREDICATE).filter(|own| !own.is_empty()) {
            Some(own) => format!("{switch} && {own}"),
            None => switch.to_owned(),
        };
        annotations.insert(PREDICATE.to_owned(), predicate);
        annotations.insert(
            WEIGHTS.to_owned(),
            format!("{{\"{canary}\":{},\"{primary}\":{}}}", split.canary.percent(), split.primary().percent()),
        );
        let metadata = Metadata { labels: generated::copied(generated::texts(&source.body, "labels")), annotations };
        Ok(vec![subject.owned(INGRESS, &copy_name, metadata, spec)])
    }

    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error> {
        let name = format!("{}-canary", reference(subject)?);
        let no_route = || subject.no_route(INGRESS, &name);
        let ingress = subject.find(live, INGRESS, &name).ok_or_else(no_route)?;
        let weights: Value =
            ingress.annotation(WEIGHTS).and_then(|text| serde_json::from_str(text).ok()).unwrap_or(json!({}));
        let weight = |name: String| weights[name].as_u64().unwrap_or(0);
        of_weights(weight(subject.primary()), weight(subject.canary())).ok_or_else(no_route)
    }

    fn restored(&self, subject: &Subject<'_>, live: &[Object]) -> Vec<Restoration> {
        let Ok(name) = reference(subject) else { return Vec::new() };
        let copy = subject.find(live, INGRESS, &format!("{name}-canary"));
        copy.map(|copy| Restoration::Delete(copy.key.clone())).into_iter().collect()
    }
}

fn reference<'a>(subject: &Subject<'a>) -> Result<&'a str, Error> {
    let reference = subject.canary.spec.ingress_ref.as_ref().filter(|reference| !reference.name.is_empty());
    reference.map(|reference| reference.name.as_str()).ok_or(Error::NoIngressReference)
}
