//! Gloo Edge: an Upstream for each version, and a RouteTable that divides between them.
//!
//! Writes `gloo.solo.io/v1` Upstreams `<ns>-<S>-primaryupstream-<port>` and `…-canaryupstream-…`, and
//! `gateway.solo.io/v1` RouteTable `S`;
//! <https://docs.solo.io/gloo-edge/latest/reference/api/github.com/solo-io/gloo/projects/gateway/api/v1/route_table.proto.sk/>.
//! A weight of 0 is left out. Cannot: mirror. Test data: tests/fixtures/canary/gloo.yaml.

use serde_json::{Map, Value, json};

use super::{Abilities, Error, Kind, Mirror, Router, Split, Subject, merged, pin, weights};
use crate::api::flagger::{HttpMatch, Provider, StringMatch};
use crate::canary::generated::Metadata;
use crate::object::{Object, ObjectKey};

const ROUTE_TABLE: Kind = Kind { group: "gateway.solo.io", version: "v1", kind: "RouteTable" };
const UPSTREAM: Kind = Kind { group: "gloo.solo.io", version: "v1", kind: "Upstream" };
/// What the Upstream that `upstreamRef` names hands down.
const HANDED_DOWN: [&str; 8] = [
    "sslConfig",
    "circuitBreakers",
    "connectionConfig",
    "loadBalancerConfig",
    "useHttp2",
    "initialStreamWindowSize",
    "initialConnectionWindowSize",
    "httpProxyHostname",
];

/// See the module.
pub(super) struct Gloo;

impl Router for Gloo {
    fn needs(&self) -> &'static [Kind] {
        &[ROUTE_TABLE, UPSTREAM]
    }

    fn abilities(&self) -> Abilities {
        Abilities { mirror: Mirror::Never, matches: true, headers: false, affinity: false }
    }

    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey> {
        let mut keys = vec![ROUTE_TABLE.named(subject, &subject.apex())];
        keys.extend(
            [Version::Primary, Version::Canary].map(|version| UPSTREAM.named(subject, &version.upstream(subject))),
        );
        if let Some(reference) = &subject.canary.spec.upstream_ref {
            let mut key = UPSTREAM.named(subject, &reference.name);
            if let Some(namespace) = &reference.namespace {
                key.namespace = Some(namespace.into());
            }
            keys.push(key);
        }
        keys
    }

    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error> {
        let reference = subject.canary.spec.upstream_ref.as_ref();
        let source = match reference {
            None => None,
            Some(reference) => {
                let found = live.iter().find(|object| {
                    object.key.kind == UPSTREAM.kind
                        && object.key.name == reference.name.as_str()
                        && reference.namespace.as_deref().is_none_or(|ns| object.key.namespace.as_deref() == Some(ns))
                });
                Some(found.ok_or_else(|| Error::Missing {
                    kind: UPSTREAM.kind,
                    name: reference.name.clone(),
                    namespace: reference.namespace.clone().unwrap_or_else(|| subject.namespace().to_owned()),
                })?)
            }
        };
        let upstream = |version: Version| {
            let mut spec = Map::new();
            let mut labels = Default::default();
            if let Some(source) = source {
                labels = crate::canary::generated::copied(crate::canary::generated::texts(&source.body, "labels"));
                let handed = HANDED_DOWN.iter().filter_map(|field| Some((*field, source.body["spec"].get(*field)?)));
                spec.extend(handed.map(|(field, value)| (field.to_owned(), value.clone())));
            }
            let (service, value) = match version {
                Version::Primary => (subject.primary(), subject.target.primary_value()),
                Version::Canary => (subject.canary(), subject.target.value.clone()),
            };
            let kube = json!({
                "serviceName": service, "serviceNamespace": subject.namespace(), "servicePort": subject.port(),
                "selector": {&subject.target.label: value},
            });
            spec.insert("kube".into(), kube);
            subject.owned(UPSTREAM, &version.upstream(subject), Metadata { labels, ..Metadata::default() }, spec)
        };
        Ok(vec![upstream(Version::Primary), upstream(Version::Canary), route_table(subject, split, live)?])
    }

    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error> {
        let name = subject.apex();
        let no_route = || subject.no_route(ROUTE_TABLE, &name);
        let live = subject.find(live, ROUTE_TABLE, &name).ok_or_else(no_route)?;
        let (primary, canary) = (Version::Primary.upstream(subject), Version::Canary.upstream(subject));
        let routes = live.body["spec"]["routes"].as_array().into_iter().flatten();
        let mut splits = routes.filter_map(|route| {
            let destinations = &route["routeAction"]["multi"]["destinations"];
            weights(destinations, &primary, &canary, |one| one["destination"]["upstream"]["name"].as_str())
        });
        splits.next().ok_or_else(no_route)
    }
}

#[derive(Clone, Copy)]
enum Version {
    Primary,
    Canary,
}

impl Version {
    fn upstream(self, subject: &Subject<'_>) -> String {
        let word = match self {
            Version::Primary => "primary",
            Version::Canary => "canary",
        };
        format!("{}-{}-{word}upstream-{}", subject.namespace(), subject.apex(), subject.port())
    }
}

fn route_table(subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Object, Error> {
    let name = subject.apex();
    let live = subject.find(live, ROUTE_TABLE, &name);
    let matches = &subject.canary.spec.analysis().matches;
    let route = |split: Split| {
        let versions = [(Version::Primary, split.primary().percent()), (Version::Canary, split.canary.percent())];
        let destinations = versions.map(|(version, weight)| {
            let upstream = json!({"name": version.upstream(subject), "namespace": subject.namespace()});
            let mut destination = json!({"destination": {"upstream": upstream}});
            if weight > 0 {
                destination["weight"] = weight.into();
            }
            destination
        });
        json!({"inheritablePathMatchers": true, "routeAction": {"multi": {"destinations": destinations}}})
    };
    let mut ours = Vec::new();
    if matches.is_empty() {
        ours.push(route(split));
    } else {
        let mut tried = route(split);
        tried["matchers"] = matches.iter().map(matcher).collect::<Result<_, _>>()?;
        ours.extend([tried, route(Split::PRIMARY_ONLY)]);
    }
    let own = [Version::Primary.upstream(subject), Version::Canary.upstream(subject)];
    let is_ours = |route: &Value| {
        let destinations = route["routeAction"]["multi"]["destinations"].as_array().into_iter().flatten();
        destinations.into_iter().any(|one| own.iter().any(|name| one["destination"]["upstream"]["name"] == *name))
    };
    let (routes, has_others) = merged(live.and_then(|live| live.body["spec"].get("routes")), ours, is_ours);
    let mut spec = Map::new();
    spec.insert("routes".into(), routes.into());
    let mut object = match live.filter(|live| !subject.is_owned(live)) {
        Some(_) => subject.within(ROUTE_TABLE, &name, spec),
        None => subject.owned(ROUTE_TABLE, &name, subject.metadata(), spec),
    };
    if has_others {
        pin(&mut object, live);
    }
    Ok(object)
}

fn matcher(one: &HttpMatch) -> Result<Value, Error> {
    let mut matcher = Map::new();
    let header = |(name, value): (&String, &StringMatch)| match value {
        StringMatch { exact: Some(exact), .. } => Ok(json!({"name": name, "value": exact})),
        StringMatch { regex: Some(regex), .. } => Ok(json!({"name": name, "value": regex, "regex": true})),
        StringMatch { prefix: Some(prefix), .. } => {
            Ok(json!({"name": name, "value": format!("^{}.*$", regex::escape(prefix)), "regex": true}))
        }
        StringMatch { suffix: Some(suffix), .. } => {
            Ok(json!({"name": name, "value": format!("^.*{}$", regex::escape(suffix)), "regex": true}))
        }
        _ => Err(Error::Condition { field: format!("headers.{name}"), provider: Provider::Gloo }),
    };
    let headers: Vec<Value> = one.headers.iter().map(header).collect::<Result<_, _>>()?;
    if !headers.is_empty() {
        matcher.insert("headers".into(), headers.into());
    }
    if let Some(method) = &one.method {
        let exact = method.exact.as_deref();
        let exact = exact.ok_or_else(|| Error::Condition { field: "method".to_owned(), provider: Provider::Gloo })?;
        matcher.insert("methods".into(), json!([exact]));
    }
    Ok(matcher.into())
}
