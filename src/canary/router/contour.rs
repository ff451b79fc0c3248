//! Contour: an HTTPProxy with weighted Services, to be included by a root proxy of the user.
//!
//! Writes `projectcontour.io/v1` HTTPProxy `S`; <https://projectcontour.io/docs/main/config/api/>. A weight of 0 is left
//! out. Cannot: mirror, match a header by a regular expression. Differs from Flagger: without `retryOn` there is none
//! (Flagger writes an empty word, which Contour's own definition refuses). Test data: tests/fixtures/canary/contour.yaml.

use serde_json::{Map, Value, json};

use super::{Abilities, Error, Kind, Mirror, Router, Split, Subject, merged, pin, weights};
use crate::api::flagger::{HttpMatch, Provider, StringMatch};
use crate::object::{Object, ObjectKey};

const HTTP_PROXY: Kind = Kind { group: "projectcontour.io", version: "v1", kind: "HTTPProxy" };
/// How long an idle stream lives when a timeout is asked for.
const IDLE: &str = "5m";

/// See the module.
pub(super) struct Contour;

impl Router for Contour {
    fn needs(&self) -> &'static [Kind] {
        &[HTTP_PROXY]
    }

    fn abilities(&self) -> Abilities {
        Abilities { mirror: Mirror::Never, matches: true, headers: false, affinity: false }
    }

    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey> {
        vec![HTTP_PROXY.named(subject, &subject.apex())]
    }

    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error> {
        let name = subject.apex();
        let live = subject.find(live, HTTP_PROXY, &name);
        let prefix = json!({"prefix": path_prefix(subject)});
        let matches = &subject.canary.spec.analysis().matches;
        let mut ours = Vec::new();
        // Conditions of one route must all hold, matches are alternatives: each has a route of its own.
        for one in matches {
            ours.push(route(subject, &conditions(one, &prefix)?, split));
        }
        let others = if matches.is_empty() { split } else { Split::PRIMARY_ONLY };
        ours.push(route(subject, std::slice::from_ref(&prefix), others));
        let own = [subject.primary(), subject.canary(), name.clone()];
        let is_ours = |route: &Value| {
            let services = route["services"].as_array().into_iter().flatten();
            services.into_iter().any(|service| own.iter().any(|name| service["name"] == *name))
        };
        let (routes, has_others) = merged(live.and_then(|live| live.body["spec"].get("routes")), ours, is_ours);
        let mut spec = Map::new();
        spec.insert("routes".into(), routes.into());
        let mut object = if live.is_some_and(|live| !subject.is_owned(live)) {
            subject.within(HTTP_PROXY, &name, spec)
        } else {
            if !subject.flags.ingress_class.is_empty() {
                spec.insert("ingressClassName".into(), subject.flags.ingress_class.as_str().into());
            }
            subject.owned(HTTP_PROXY, &name, subject.metadata(), spec)
        };
        if has_others {
            pin(&mut object, live);
        }
        Ok(vec![object])
    }

    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error> {
        let name = subject.apex();
        let no_route = || subject.no_route(HTTP_PROXY, &name);
        let live = subject.find(live, HTTP_PROXY, &name).ok_or_else(no_route)?;
        let routes = live.body["spec"]["routes"].as_array().into_iter().flatten();
        let mut splits = routes.filter_map(|route| {
            weights(&route["services"], &subject.primary(), &subject.canary(), |service| service["name"].as_str())
        });
        splits.next().ok_or_else(no_route)
    }
}

fn path_prefix<'a>(subject: &Subject<'a>) -> &'a str {
    let first = subject.canary.spec.service.matches.first();
    first.and_then(|first| first.uri.as_ref()?.prefix.as_deref()).unwrap_or("/")
}

fn route(subject: &Subject<'_>, conditions: &[Value], split: Split) -> Value {
    let service = &subject.canary.spec.service;
    let entry = |(name, weight): (String, u8)| {
        let host = format!("{name}.{}.svc.cluster.local:{}", subject.namespace(), subject.port());
        let set = json!([{"name": "l5d-dst-override", "value": host}]);
        let mut entry = json!({"name": name, "port": subject.port(), "requestHeadersPolicy": {"set": set}});
        if weight > 0 {
            entry["weight"] = weight.into();
        }
        entry
    };
    let versions = [(subject.primary(), split.primary().percent()), (subject.canary(), split.canary.percent())];
    let mut route = json!({"conditions": conditions, "services": versions.map(entry)});
    if let Some(timeout) = service.timeout.as_deref().filter(|text| !text.is_empty()) {
        route["timeoutPolicy"] = json!({"response": timeout, "idle": IDLE});
    }
    if let Some(retries) = &service.retries {
        let mut policy = Map::new();
        if let Some(attempts) = retries.attempts {
            policy.insert("count".into(), attempts.into());
        }
        if let Some(timeout) = &retries.per_try_timeout {
            policy.insert("perTryTimeout".into(), timeout.as_str().into());
        }
        if let Some(on) = retries.retry_on.as_deref().filter(|text| !text.is_empty()) {
            policy.insert("retryOn".into(), on.split(',').map(str::trim).collect());
        }
        route["retryPolicy"] = policy.into();
    }
    route
}

/// The path goes with the first header: only one condition of a route may have one.
fn conditions(one: &HttpMatch, path: &Value) -> Result<Vec<Value>, Error> {
    let header = |(name, value): (&String, &StringMatch)| {
        let (how, text) = match value {
            StringMatch { exact: Some(exact), .. } => ("exact", exact),
            StringMatch { prefix: Some(part), .. } | StringMatch { suffix: Some(part), .. } => ("contains", part),
            _ => return Err(Error::Condition { field: format!("headers.{name}"), provider: Provider::Contour }),
        };
        Ok(json!({"header": {"name": name, how: text}}))
    };
    let mut conditions: Vec<Value> = one.headers.iter().map(header).collect::<Result<_, _>>()?;
    match conditions.first_mut() {
        Some(first) => first["prefix"] = path["prefix"].clone(),
        None => conditions.push(path.clone()),
    }
    Ok(conditions)
}
