//! APISIX: a copy of the user's ApisixRoute with both versions as backends, and a higher priority.
//!
//! Writes `apisix.apache.org/v2` ApisixRoute `<routeRef>-<S>-canary`;
//! <https://apisix.apache.org/docs/ingress-controller/references/apisix_route_v2/>. Cannot: A/B, mirror. Only the rules
//! that lead to the apex are copied. Test data: tests/fixtures/canary/apisix.yaml.

use serde_json::{Map, Value, json};

use super::{Abilities, Error, Kind, Router, Split, Subject, weights};
use crate::canary::generated::Metadata;
use crate::object::{Object, ObjectKey};

const APISIX_ROUTE: Kind = Kind { group: "apisix.apache.org", version: "v2", kind: "ApisixRoute" };
/// Above all that users write.
const PRIORITY: i32 = 10_000;

/// See the module.
pub(super) struct Apisix;

impl Router for Apisix {
    fn needs(&self) -> &'static [Kind] {
        &[APISIX_ROUTE]
    }

    fn abilities(&self) -> Abilities {
        Abilities::WEIGHTS_ONLY
    }

    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey> {
        let Ok(name) = reference(subject) else { return Vec::new() };
        vec![APISIX_ROUTE.named(subject, name), APISIX_ROUTE.named(subject, &copy_name(subject, name))]
    }

    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error> {
        let name = reference(subject)?;
        let source = subject.demand(live, APISIX_ROUTE, name)?;
        let apex = subject.apex();
        let versions = [(subject.primary(), split.primary().percent()), (subject.canary(), split.canary.percent())];
        let mut rules: Vec<Value> = Vec::new();
        for rule in source.body["spec"]["http"].as_array().into_iter().flatten() {
            let backends = rule["backends"].as_array().map(Vec::as_slice).unwrap_or_default();
            let Some(backend) = backends.iter().find(|backend| backend["serviceName"] == apex) else { continue };
            if backends.len() > 1 {
                let kind = APISIX_ROUTE.kind;
                return Err(Error::ManyBackends { service: apex, kind, name: name.to_owned() });
            }
            let mut rule = rule.clone();
            rule["backends"] = versions
                .iter()
                .map(|(name, weight)| {
                    let mut backend = backend.clone();
                    backend["serviceName"] = name.as_str().into();
                    backend["weight"] = (*weight).into();
                    backend
                })
                .collect();
            rule["priority"] = PRIORITY.into();
            if rule["websocket"].is_null() {
                rule["websocket"] = false.into();
            }
            rules.push(rule);
        }
        if rules.is_empty() {
            return Err(Error::NoBackend { service: apex, kind: "apisix route", name: name.to_owned() });
        }
        let mut spec = Map::new();
        if let Some(class) = source.body["spec"].get("ingressClassName") {
            spec.insert("ingressClassName".into(), class.clone());
        }
        spec.insert("http".into(), json!(rules));
        Ok(vec![subject.owned(APISIX_ROUTE, &copy_name(subject, name), Metadata::default(), spec)])
    }

    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error> {
        let name = copy_name(subject, reference(subject)?);
        let no_route = || subject.no_route(APISIX_ROUTE, &name);
        let live = subject.find(live, APISIX_ROUTE, &name).ok_or_else(no_route)?;
        let backends = &live.body["spec"]["http"][0]["backends"];
        let split = weights(backends, &subject.primary(), &subject.canary(), |backend| backend["serviceName"].as_str());
        split.ok_or_else(no_route)
    }
}

fn copy_name(subject: &Subject<'_>, name: &str) -> String {
    format!("{name}-{}", subject.canary())
}

fn reference<'a>(subject: &Subject<'a>) -> Result<&'a str, Error> {
    let reference = subject.canary.spec.route_ref.as_ref().filter(|reference| !reference.name.is_empty());
    reference.map(|reference| reference.name.as_str()).ok_or(Error::NoRouteReference)
}
