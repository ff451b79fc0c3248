//! Gateway API: one HTTPRoute with weighted backends.
//!
//! Writes `gateway.networking.k8s.io/v1` (or `v1beta1`) HTTPRoute `S`;
//! <https://gateway-api.sigs.k8s.io/reference/spec/#httproute>. Cannot: mirror while weights move by themselves (as
//! Flagger, which writes its filter in runs with iterations only); before version 1.3 of its definitions, mirror less than all
//! requests; match by authority, scheme or source. Test data: tests/fixtures/canary/gateway_api.yaml.

use serde_json::{Map, Value, json};

use super::{
    Abilities, Copies, Error, Kind, Mirror, Router, Split, Subject, Weight, affinity, changed_within, merged, pin,
    versions_within, weights,
};
use crate::api::flagger::{HeaderOperations, HttpMatch, Provider, RewriteType, StringMatch};
use crate::object::{Object, ObjectKey};

const V1: Kind = Kind { group: "gateway.networking.k8s.io", version: "v1", kind: "HTTPRoute" };
const V1_BETA1: Kind = Kind { version: "v1beta1", ..V1 };

/// Of the HTTPRoute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V1Beta1,
}

/// See the module.
pub(super) struct GatewayApi {
    pub(super) version: Version,
}

impl Router for GatewayApi {
    fn needs(&self) -> &'static [Kind] {
        match self.version {
            Version::V1 => &[V1],
            Version::V1Beta1 => &[V1_BETA1],
        }
    }

    fn abilities(&self) -> Abilities {
        Abilities { mirror: Mirror::ButNotByWeights, matches: true, headers: true, affinity: true }
    }

    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey> {
        vec![V1.named(subject, &subject.apex())]
    }

    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error> {
        let service = &subject.canary.spec.service;
        let (kind, name) = (self.needs()[0], subject.apex());
        let live = subject.find(live, kind, &name);
        let foreign = live.filter(|live| !subject.is_owned(live));
        if service.gateway_refs.is_empty() && foreign.is_none() {
            return Err(Error::NoGatewayReferences);
        }
        let rules = Rules { subject, split, version: self.version };
        let is_ours = |rule: &Value| leads_to(rule, &[&subject.primary(), &subject.canary(), &name]);
        let found = live.and_then(|live| live.body["spec"].get("rules"));
        let kept = foreign.filter(|_| rules.is_weighted());
        let (rules, has_others) = match kept.and_then(|_| changed_within(found, is_ours, |rule| rules.within(rule))) {
            Some(rules) => (rules, true),
            None => merged(found, rules.all()?, is_ours),
        };
        let mut spec = Map::new();
        spec.insert("rules".into(), rules.into());
        let mut route = if let Some(foreign) = foreign {
            subject.within(kind, &foreign.key.name, spec)
        } else {
            let parents = service.gateway_refs.iter().map(|parent| {
                let mut parent = json!(parent);
                for (field, default) in [("group", V1.group), ("kind", "Gateway")] {
                    if parent[field].is_null() {
                        parent[field] = default.into();
                    }
                }
                parent
            });
            spec.insert("parentRefs".into(), parents.collect());
            if !service.hosts.is_empty() {
                spec.insert("hostnames".into(), json!(service.hosts));
            }
            subject.owned(kind, &name, subject.metadata(), spec)
        };
        if has_others {
            pin(&mut route, live);
        }
        Ok(vec![route])
    }

    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error> {
        let (kind, name) = (self.needs()[0], subject.apex());
        let no_route = || subject.no_route(kind, &name);
        let route = subject.find(live, kind, &name).ok_or_else(no_route)?;
        accepted(route, kind, subject)?;
        let (primary, canary) = (subject.primary(), subject.canary());
        let rules = route.body["spec"]["rules"].as_array().ok_or_else(no_route)?;
        // With session affinity the rules of the cookies come before the weighted one.
        let rule = rules.iter().rfind(|rule| leads_to(rule, &[&canary]) && leads_to(rule, &[&primary]));
        let rule = rule.or_else(|| rules.iter().rfind(|rule| leads_to(rule, &[&canary, &primary])));
        let rule = rule.ok_or_else(no_route)?;
        let split = weights(&rule["backendRefs"], &primary, &canary, |backend| backend["name"].as_str());
        let mirror = rule["filters"].as_array().into_iter().flatten();
        let mirror = mirror.into_iter().find(|filter| filter["requestMirror"]["backendRef"]["name"] == canary);
        let mirrored =
            mirror.map_or(Copies::None, |filter| subject.copies(filter["requestMirror"]["percent"].as_f64()));
        let header = Rules { subject, split: Split::PRIMARY_ONLY, version: self.version }.header_of(rules);
        split.map(|split| Split { mirrored, header, ..split }).ok_or_else(no_route)
    }
}

/// Whether one of the backends is one of these.
fn leads_to(rule: &Value, names: &[&str]) -> bool {
    let backends = rule["backendRefs"].as_array();
    backends.into_iter().flatten().any(|backend| backend["name"].as_str().is_some_and(|name| names.contains(&name)))
}

/// Weights mean nothing while a parent refuses the route, or has not seen its newest version.
fn accepted(route: &Object, kind: Kind, subject: &Subject<'_>) -> Result<(), Error> {
    let generation = route.body["metadata"]["generation"].as_i64().unwrap_or(0);
    for parent in route.body["status"]["parents"].as_array().into_iter().flatten() {
        let condition = parent["conditions"].as_array().into_iter().flatten().find(|it| it["type"] == "Accepted");
        let Some(condition) = condition else { continue };
        let is_old = condition["observedGeneration"].as_i64().unwrap_or(0) < generation;
        if condition["status"] == "True" && !is_old {
            continue;
        }
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        let reason = match (is_old, text("message")) {
            (true, _) => "its newest version has not been seen yet".to_owned(),
            (false, message) if message.is_empty() => text("reason"),
            (false, message) => message,
        };
        return Err(Error::NotAccepted {
            kind: kind.kind,
            name: route.key.name.to_string(),
            namespace: subject.namespace().to_owned(),
            parent: parent["parentRef"]["name"].as_str().unwrap_or_default().to_owned(),
            reason,
        });
    }
    Ok(())
}

/// Makes the rules of one route.
struct Rules<'a> {
    subject: &'a Subject<'a>,
    split: Split,
    version: Version,
}

impl Rules<'_> {
    fn all(&self) -> Result<Vec<Value>, Error> {
        let led = self.subject.header(self.split.header).map(|header| self.led(&header)).transpose()?;
        Ok(led.into_iter().chain(self.by_weight()?).collect())
    }

    /// The requests that a step leads to the canary, and no others.
    fn led(&self, header: &[HttpMatch]) -> Result<Value, Error> {
        let mut rule = self.tried(header, Split::CANARY_ONLY)?;
        rule["backendRefs"] = json!([self.backend(&self.subject.canary(), 100)]);
        Ok(rule)
    }

    /// Which step leads requests, as live rules say it.
    fn header_of(&self, rules: &[Value]) -> Option<usize> {
        let (primary, canary) = (self.subject.primary(), self.subject.canary());
        let leads = |rule: &&Value| leads_to(rule, &[&canary]) && !leads_to(rule, &[&primary]);
        let mut led = rules.iter().filter(leads);
        let steps: Vec<(usize, Value)> = self
            .subject
            .headers()
            .into_iter()
            .filter_map(|(at, header)| Some((at, self.led(&header).ok()?["matches"].clone())))
            .collect();
        led.find_map(|rule| steps.iter().find(|(_, matches)| *matches == rule["matches"]).map(|(at, _)| *at))
    }

    /// A rule for what is tried: of the canary's own requests those that match.
    fn tried(&self, run: &[HttpMatch], split: Split) -> Result<Value, Error> {
        let mut run = run.to_vec();
        run.iter_mut().for_each(|run| run.source_labels.clear());
        self.rule(&affinity::crossed(&run, &self.own_matches()), split, Give::Nothing)
    }

    fn by_weight(&self) -> Result<Vec<Value>, Error> {
        let (subject, split) = (self.subject, self.split);
        let service = &subject.canary.spec.service;
        let analysis = subject.canary.spec.analysis();
        if !analysis.matches.is_empty() {
            // A/B: the requests that match reach the canary, all others the primary.
            let tried = self.tried(&analysis.matches, split)?;
            let mut others = self.rule(&service.matches, Split::PRIMARY_ONLY, Give::Nothing)?;
            others["backendRefs"] = json!([self.backend(&subject.primary(), 100)]);
            return Ok(vec![tried, others]);
        }
        let weighted = |give| self.rule(&service.matches, split, give);
        if analysis.session_affinity.is_none() {
            return Ok(vec![weighted(Give::Nothing)?]);
        }
        let bound = |cookie: &str| affinity::matching(cookie, &self.own_matches());
        if split.canary.percent() == 0 {
            let Some(cookie) = affinity::Given::of(subject.cookies).over else {
                return Ok(vec![weighted(Give::Nothing)?]);
            };
            let mut cleaning = self.rule(&bound(cookie), split, Give::Nothing)?;
            let filter = response_header(&affinity::delete_cookie(cookie));
            match cleaning.get_mut("filters").and_then(Value::as_array_mut) {
                Some(filters) => filters.push(filter),
                None => cleaning["filters"] = json!([filter]),
            }
            return Ok(vec![cleaning, weighted(Give::Nothing)?]);
        }
        let mut rules = Vec::new();
        if let Some(cookie) = affinity::Given::of(subject.cookies).canary {
            rules.push(self.rule(&bound(cookie), Split::CANARY_ONLY, Give::Nothing)?);
        }
        if let Some(cookie) = affinity::Given::of(subject.cookies).primary {
            rules.push(self.rule(&bound(cookie), Split::PRIMARY_ONLY, Give::Nothing)?);
        }
        rules.push(weighted(Give::Cookies)?);
        Ok(rules)
    }

    /// Whether one rule does it all, and so any rule can be made it.
    fn is_weighted(&self) -> bool {
        let analysis = self.subject.canary.spec.analysis();
        analysis.matches.is_empty() && analysis.session_affinity.is_none() && self.subject.headers().is_empty()
    }

    /// A rule of the user's: where it leads is the canary's, whom it is for and what it does stays.
    fn within(&self, rule: &Value) -> Value {
        let (subject, split) = (self.subject, self.split);
        let (apex, primary, canary) = (subject.apex(), subject.primary(), subject.canary());
        let mut rule = rule.clone();
        let is_ours = |backend: &Value| [&apex, &primary, &canary].iter().any(|name| backend["name"] == name.as_str());
        versions_within(rule.get_mut("backendRefs"), is_ours, |found| {
            [(&primary, split.primary().percent()), (&canary, split.canary.percent())].map(|(name, weight)| {
                let mut backend = found.clone();
                backend["name"] = name.as_str().into();
                backend["weight"] = weight.into();
                backend
            })
        });
        if let Some(map) = rule.as_object_mut() {
            let filters = map.entry("filters").or_insert_with(|| json!([]));
            if let Some(filters) = filters.as_array_mut() {
                filters.retain(|filter| filter["requestMirror"]["backendRef"]["name"] != canary);
                filters.extend(self.mirror(split));
            }
            if map["filters"].as_array().is_some_and(Vec::is_empty) {
                map.shift_remove("filters");
            }
        }
        rule
    }

    fn mirror(&self, split: Split) -> Option<Value> {
        let (name, port) = (self.subject.canary(), self.subject.port());
        let backend = json!({"group": "", "kind": "Service", "name": name, "port": port});
        let mut mirror = json!({"backendRef": backend});
        match split.mirrored {
            Copies::None => return None,
            Copies::Share(share) if share < Weight::ALL => mirror["percent"] = share.percent().into(),
            Copies::Share(_) | Copies::Configured => {}
        }
        Some(json!({"type": "RequestMirror", "requestMirror": mirror}))
    }

    /// A cookie alone would be matched on every path, a run's condition too: what holds without one is said.
    fn own_matches(&self) -> Vec<HttpMatch> {
        let own = &self.subject.canary.spec.service.matches;
        if own.is_empty() { vec![every_path()] } else { own.clone() }
    }

    fn rule(&self, matches: &[HttpMatch], split: Split, give: Give) -> Result<Value, Error> {
        let subject = self.subject;
        let service = &subject.canary.spec.service;
        let mut rule = Map::new();
        let matches = if matches.is_empty() { &[every_path()] } else { matches };
        let matches: Vec<Value> = matches.iter().map(|one| self.condition(one)).collect::<Result<_, _>>()?;
        rule.insert("matches".into(), matches.into());
        let filters = self.filters(split);
        if !filters.is_empty() {
            rule.insert("filters".into(), filters.into());
        }
        let mut primary = self.backend(&subject.primary(), split.primary().percent());
        let mut canary = self.backend(&subject.canary(), split.canary.percent());
        if give == Give::Cookies
            && let Some(settings) = &subject.canary.spec.analysis().session_affinity
        {
            if let Some(cookie) = affinity::Given::of(subject.cookies).canary {
                let text = affinity::set_cookie(cookie, settings.max_age().into(), settings);
                canary["filters"] = json!([response_header(&text)]);
            }
            if let Some(cookie) = affinity::Given::of(subject.cookies).primary {
                let interval = subject.canary.spec.analysis().interval().as_secs();
                let text = affinity::set_cookie(cookie, i64::try_from(interval).unwrap_or(i64::MAX), settings);
                primary["filters"] = json!([response_header(&text)]);
            }
        }
        rule.insert("backendRefs".into(), json!([primary, canary]));
        let mut timeouts = Map::new();
        if let Some(timeout) = &service.timeout {
            timeouts.insert("request".into(), timeout.as_str().into());
        }
        if let (Some(timeout), Version::V1) = (&service.backend_timeout, self.version) {
            timeouts.insert("backendRequest".into(), timeout.as_str().into());
        }
        if !timeouts.is_empty() {
            rule.insert("timeouts".into(), timeouts.into());
        }
        Ok(rule.into())
    }

    fn backend(&self, name: &str, weight: u8) -> Value {
        json!({"group": "", "kind": "Service", "name": name, "port": self.subject.port(), "weight": weight})
    }

    fn filters(&self, split: Split) -> Vec<Value> {
        let subject = self.subject;
        let service = &subject.canary.spec.service;
        let mut filters = Vec::new();
        if let Some(headers) = &service.headers {
            let both = [
                ("RequestHeaderModifier", "requestHeaderModifier", &headers.request),
                ("ResponseHeaderModifier", "responseHeaderModifier", &headers.response),
            ];
            for (what, field, operations) in both {
                if let Some(operations) = operations {
                    filters.push(json!({"type": what, field: header_modifier(operations)}));
                }
            }
        }
        if let Some(rewrite) = &service.rewrite {
            let mut url = Map::new();
            if let Some(host) = rewrite.authority.as_deref().filter(|text| !text.is_empty()) {
                url.insert("hostname".into(), host.into());
            }
            if let Some(path) = rewrite.uri.as_deref().filter(|text| !text.is_empty()) {
                let path = match rewrite.what.unwrap_or_default() {
                    RewriteType::ReplaceFullPath => json!({"type": "ReplaceFullPath", "replaceFullPath": path}),
                    RewriteType::ReplacePrefixMatch => {
                        json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": path})
                    }
                };
                url.insert("path".into(), path);
            }
            filters.push(json!({"type": "URLRewrite", "urlRewrite": url}));
        }
        if let (Some(cors), Version::V1) = (&service.cors_policy, self.version) {
            let mut policy = Map::new();
            let lists = [
                ("allowOrigins", &cors.allow_origin),
                ("allowMethods", &cors.allow_methods),
                ("allowHeaders", &cors.allow_headers),
                ("exposeHeaders", &cors.expose_headers),
            ];
            for (field, list) in lists {
                if !list.is_empty() {
                    policy.insert(field.into(), json!(list));
                }
            }
            if let Some(credentials) = cors.allow_credentials {
                policy.insert("allowCredentials".into(), credentials.into());
            }
            if let Some(age) = cors.max_age.as_deref().and_then(crate::api::duration::parse) {
                policy.insert("maxAge".into(), age.as_secs().into());
            }
            filters.push(json!({"type": "CORS", "cors": policy}));
        }
        filters.extend(service.mirror.iter().map(|mirror| json!({"type": "RequestMirror", "requestMirror": mirror})));
        filters.extend(self.mirror(split));
        filters
    }

    fn condition(&self, one: &HttpMatch) -> Result<Value, Error> {
        let provider = match self.version {
            Version::V1 => Provider::GatewayApiV1,
            Version::V1Beta1 => Provider::GatewayApiV1Beta1,
        };
        let unknown = |field: &str| Error::Condition { field: field.to_owned(), provider };
        let mut condition = Map::new();
        if let Some(uri) = &one.uri {
            let path = match uri {
                StringMatch { regex: Some(regex), .. } => json!({"type": "RegularExpression", "value": regex}),
                StringMatch { exact: Some(exact), .. } => json!({"type": "Exact", "value": exact}),
                StringMatch { prefix: Some(prefix), .. } => json!({"type": "PathPrefix", "value": prefix}),
                _ => return Err(unknown("uri")),
            };
            condition.insert("path".into(), path);
        }
        if let Some(method) = &one.method {
            let exact = method.exact.as_deref().ok_or_else(|| unknown("method"))?;
            condition.insert("method".into(), exact.into());
        }
        for (field, map) in [("headers", &one.headers), ("queryParams", &one.query_params)] {
            let list = map.iter().map(|(name, value)| match value {
                StringMatch { exact: Some(exact), .. } => Ok(json!({"type": "Exact", "name": name, "value": exact})),
                StringMatch { regex: Some(regex), .. } => {
                    Ok(json!({"type": "RegularExpression", "name": name, "value": regex}))
                }
                _ => Err(unknown(&format!("{field}.{name}"))),
            });
            let list: Vec<Value> = list.collect::<Result<_, _>>()?;
            if !list.is_empty() {
                condition.insert(field.into(), list.into());
            }
        }
        let others = [
            ("scheme", one.scheme.is_some()),
            ("authority", one.authority.is_some()),
            ("withoutHeaders", !one.without_headers.is_empty()),
            ("sourceLabels", !one.source_labels.is_empty()),
        ];
        match others.into_iter().find(|(_, is_there)| *is_there) {
            Some((field, _)) => Err(unknown(field)),
            None => Ok(condition.into()),
        }
    }
}

/// Whether the answers of a rule hand out the run's cookies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Give {
    Nothing,
    Cookies,
}

fn every_path() -> HttpMatch {
    HttpMatch { uri: Some(StringMatch { prefix: Some("/".into()), ..StringMatch::default() }), ..HttpMatch::default() }
}

fn response_header(cookie: &str) -> Value {
    let add = json!([{"name": "Set-Cookie", "value": cookie}]);
    json!({"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": add}})
}

fn header_modifier(operations: &HeaderOperations) -> Value {
    let mut modifier = Map::new();
    for (field, pairs) in [("add", &operations.add), ("set", &operations.set)] {
        let list: Vec<Value> = pairs.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        if !list.is_empty() {
            modifier.insert(field.into(), list.into());
        }
    }
    if !operations.remove.is_empty() {
        modifier.insert("remove".into(), json!(operations.remove));
    }
    modifier.into()
}
