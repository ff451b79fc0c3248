//! Istio: a VirtualService with weighted destinations, and a DestinationRule for each version.
//!
//! Writes `networking.istio.io/v1beta1` VirtualService `S`, DestinationRules `P` and `C`;
//! <https://istio.io/latest/docs/reference/config/networking/virtual-service/>. Differs from Flagger: the rule of an A/B
//! run for all other requests has the weight 100 (Istio reads a single destination so, whatever it says).
//! Test data: tests/fixtures/canary/istio.yaml.

use serde_json::{Map, Value, json};

use super::{
    Abilities, Copies, Error, Kind, Mirror, Restoration, Router, Split, Subject, affinity, changed_within, merged,
    of_weights, pin, versions_within,
};
use crate::api::flagger::HttpMatch;
use crate::object::{Object, ObjectKey};

const VIRTUAL_SERVICE: Kind = Kind { group: "networking.istio.io", version: "v1beta1", kind: "VirtualService" };
const DESTINATION_RULE: Kind = Kind { kind: "DestinationRule", ..VIRTUAL_SERVICE };
const MESH: &str = "mesh";
/// Where the `spec` that a VirtualService had before is kept, so that it can be brought back.
const ORIGINAL: &str = "flagger.kubernetes.io/original-configuration";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// See the module.
pub(super) struct Istio;

impl Router for Istio {
    fn needs(&self) -> &'static [Kind] {
        &[VIRTUAL_SERVICE, DESTINATION_RULE]
    }

    fn abilities(&self) -> Abilities {
        Abilities { mirror: Mirror::Always, matches: true, headers: true, affinity: true }
    }

    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey> {
        vec![
            VIRTUAL_SERVICE.named(subject, &subject.apex()),
            DESTINATION_RULE.named(subject, &subject.primary()),
            DESTINATION_RULE.named(subject, &subject.canary()),
        ]
    }

    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error> {
        let rule = |name: String| {
            let mut spec = Map::new();
            spec.insert("host".into(), name.as_str().into());
            if let Some(policy) = &subject.canary.spec.service.traffic_policy {
                spec.insert("trafficPolicy".into(), policy.clone().into());
            }
            subject.owned(DESTINATION_RULE, &name, Default::default(), spec)
        };
        Ok(vec![rule(subject.primary()), rule(subject.canary()), virtual_service(subject, split, live)?])
    }

    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error> {
        let no_route = || subject.no_route(VIRTUAL_SERVICE, &subject.apex());
        let live = subject.find(live, VIRTUAL_SERVICE, &subject.apex()).ok_or_else(no_route)?;
        let (primary, canary) = (subject.primary(), subject.canary());
        let rules = live.body["spec"][protocol(subject)].as_array().ok_or_else(no_route)?;
        // With session affinity the rules of the cookies come before the weighted one.
        let names_both = |rule: &&Value| leads_to(rule, &[&canary]) && leads_to(rule, &[&primary]);
        let rule =
            rules.iter().rfind(names_both).or_else(|| rules.iter().rfind(|rule| leads_to(rule, &[&primary, &canary])));
        let rule = rule.ok_or_else(no_route)?;
        let weight = |name: &str| {
            let routes = rule["route"].as_array()?;
            let route = routes.iter().find(|route| is_host(&route["destination"]["host"], name))?;
            // A destination that is the only one gets everything, whatever it says.
            Some(if routes.len() == 1 { 100 } else { route["weight"].as_u64().unwrap_or(0) })
        };
        let split = of_weights(weight(&primary).unwrap_or(0), weight(&canary).unwrap_or(0));
        let mirrored = if is_host(&rule["mirror"]["host"], &canary) {
            subject.copies(rule["mirrorPercentage"]["value"].as_f64())
        } else {
            Copies::None
        };
        let header = Rules { subject, split: Split::PRIMARY_ONLY }.header_of(rules);
        split.map(|split| Split { mirrored, header, ..split }).ok_or_else(no_route)
    }

    fn restored(&self, subject: &Subject<'_>, live: &[Object]) -> Vec<Restoration> {
        let Some(live) = subject.find(live, VIRTUAL_SERVICE, &subject.apex()) else { return Vec::new() };
        let spec = |name: &str| serde_json::from_str::<Value>(live.annotation(name)?).ok();
        let original = spec(LAST_APPLIED).map(|object| object["spec"].clone()).or_else(|| spec(ORIGINAL));
        let Some(original) = original.filter(Value::is_object) else { return Vec::new() };
        let mut object = live.clone();
        object.body["spec"] = original;
        vec![Restoration::Replace(object)]
    }
}

fn protocol(subject: &Subject<'_>) -> &'static str {
    let protocol = subject.canary.spec.service.app_protocol.as_deref().unwrap_or_default();
    if protocol.eq_ignore_ascii_case("tcp") { "tcp" } else { "http" }
}

fn virtual_service(subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Object, Error> {
    let service = &subject.canary.spec.service;
    let name = subject.apex();
    let live = subject.find(live, VIRTUAL_SERVICE, &name);
    let field = protocol(subject);
    let is_ours = |rule: &Value| leads_to(rule, &[&subject.primary(), &subject.canary(), &name]);
    let found = live.and_then(|live| live.body["spec"].get(field));
    let is_foreign = live.is_some_and(|live| !subject.is_owned(live));
    // One rule does it all, and so any rule of the user's can be made it.
    let is_weighted = field == "tcp" || (is_by_weight(subject));
    let kept = (is_foreign && is_weighted).then(|| changed_within(found, is_ours, |rule| within(subject, rule, split)));
    let (rules, has_others) = match kept.flatten() {
        Some(rules) => (rules, true),
        None if field == "tcp" => merged(found, vec![tcp_rule(subject, split)], is_ours),
        None => merged(found, Rules { subject, split }.all(), is_ours),
    };
    let mut spec = Map::new();
    spec.insert(field.into(), rules.into());

    let mut object = if let Some(foreign) = live.filter(|live| !subject.is_owned(live)) {
        let mut object = subject.within(VIRTUAL_SERVICE, &name, spec);
        match (foreign.annotation(ORIGINAL), foreign.annotation(LAST_APPLIED)) {
            (None, None) => object.set_annotation(ORIGINAL, &foreign.body["spec"].to_string()),
            (Some(original), _) => object.set_annotation(ORIGINAL, original),
            (None, Some(_)) => {}
        }
        object
    } else {
        if service.delegation {
            if !service.hosts.is_empty() || !service.gateways.is_empty() {
                return Err(Error::Delegation { name, namespace: subject.namespace().to_owned() });
            }
        } else {
            let mut hosts = service.hosts.clone();
            if !hosts.iter().any(|host| *host == name || host == "*") {
                hosts.push(name.clone());
            }
            spec.insert("hosts".into(), json!(hosts));
            let gateways = if service.gateways.is_empty() { json!([MESH]) } else { json!(service.gateways) };
            spec.insert("gateways".into(), gateways);
        }
        subject.owned(VIRTUAL_SERVICE, &name, subject.metadata(), spec)
    };
    if has_others {
        pin(&mut object, live);
    }
    Ok(object)
}

/// Whether one rule does it all.
fn is_by_weight(subject: &Subject<'_>) -> bool {
    let analysis = subject.canary.spec.analysis();
    analysis.matches.is_empty() && analysis.session_affinity.is_none() && subject.headers().is_empty()
}

/// `web` is also written `web.shop` and `web.shop.svc.cluster.local`.
fn is_host(host: &Value, name: &str) -> bool {
    host.as_str().is_some_and(|host| host == name || host.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn leads_to(rule: &Value, names: &[&str]) -> bool {
    let routes = rule["route"].as_array();
    routes.into_iter().flatten().any(|route| names.iter().any(|name| is_host(&route["destination"]["host"], name)))
}

fn destination(subject: &Subject<'_>, name: &str) -> Value {
    let service = &subject.canary.spec.service;
    let is_behind_gateway = service.gateways.first().is_some_and(|gateway| gateway != MESH);
    // With several ports on the Service, who comes from outside the mesh must say which.
    if service.port_discovery && (is_behind_gateway || service.delegation) {
        json!({"host": name, "port": {"number": service.port}})
    } else {
        json!({"host": name})
    }
}

fn routes(subject: &Subject<'_>, split: Split) -> [Value; 2] {
    [(subject.primary(), split.primary().percent()), (subject.canary(), split.canary.percent())]
        .map(|(name, weight)| json!({"destination": destination(subject, &name), "weight": weight}))
}

/// A rule of the user's: where it leads is the canary's, whom it is for and what it does stays.
fn within(subject: &Subject<'_>, rule: &Value, split: Split) -> Value {
    let (apex, primary, canary) = (subject.apex(), subject.primary(), subject.canary());
    let mut rule = rule.clone();
    let names = [&primary, &canary, &apex];
    let host = |route: &Value| route["destination"]["host"].clone();
    let is_ours = |route: &Value| names.iter().any(|name| is_host(&host(route), name));
    versions_within(rule.get_mut("route"), is_ours, |found| {
        // A host that is written with its domain keeps it.
        let full = host(found);
        let full = full.as_str().unwrap_or_default();
        let domain =
            names.iter().find_map(|name| full.strip_prefix(name.as_str()).filter(|rest| !rest.starts_with('-')));
        let domain = domain.unwrap_or_default();
        [(&primary, split.primary().percent()), (&canary, split.canary.percent())].map(|(name, weight)| {
            let mut route = found.clone();
            route["destination"]["host"] = format!("{name}{domain}").into();
            route["weight"] = weight.into();
            route
        })
    });
    let is_mirrored = is_host(&rule["mirror"]["host"], &canary);
    if let Some(map) = rule.as_object_mut() {
        if is_mirrored {
            map.shift_remove("mirror");
            map.shift_remove("mirrorPercentage");
        }
        mirror(map, subject, split);
    }
    rule
}

/// Copies requests of a rule to the canary.
fn mirror(rule: &mut Map<String, Value>, subject: &Subject<'_>, split: Split) {
    let percent = match split.mirrored {
        Copies::None => return,
        Copies::Configured => subject.canary.spec.analysis().mirror_weight,
        Copies::Share(share) => share.percent().into(),
    };
    rule.insert("mirror".into(), destination(subject, &subject.canary()));
    if percent > 0 {
        rule.insert("mirrorPercentage".into(), json!({"value": percent}));
    }
}

fn tcp_rule(subject: &Subject<'_>, split: Split) -> Value {
    let mut rule = Map::new();
    let ports = subject.canary.spec.service.matches.iter().filter_map(|one| one.port);
    let matches: Vec<Value> = ports.map(|port| json!({"port": port})).collect();
    if !matches.is_empty() {
        rule.insert("match".into(), matches.into());
    }
    rule.insert("route".into(), json!(routes(subject, split)));
    rule.into()
}

/// Makes the HTTP rules of one VirtualService.
struct Rules<'a> {
    subject: &'a Subject<'a>,
    split: Split,
}

impl Rules<'_> {
    fn all(&self) -> Vec<Value> {
        let led = self.subject.header(self.split.header).map(|header| self.led(&header));
        led.into_iter().chain(self.by_weight()).collect()
    }

    /// The requests that a step leads to the canary, and no others.
    fn led(&self, header: &[HttpMatch]) -> Value {
        let [_, canary] = routes(self.subject, Split::CANARY_ONLY);
        self.rule(&affinity::crossed(header, &self.subject.canary.spec.service.matches), [canary]).into()
    }

    /// Which step leads requests, as live rules say it.
    fn header_of(&self, rules: &[Value]) -> Option<usize> {
        let (primary, canary) = (self.subject.primary(), self.subject.canary());
        let leads = |rule: &&Value| leads_to(rule, &[&canary]) && !leads_to(rule, &[&primary]);
        let mut led = rules.iter().filter(leads);
        let steps: Vec<(usize, Value)> =
            self.subject.headers().into_iter().map(|(at, header)| (at, self.led(&header)["match"].clone())).collect();
        led.find_map(|rule| steps.iter().find(|(_, matches)| *matches == rule["match"]).map(|(at, _)| *at))
    }

    fn by_weight(&self) -> Vec<Value> {
        let (subject, split) = (self.subject, self.split);
        let analysis = subject.canary.spec.analysis();
        let own = &subject.canary.spec.service.matches;
        let mut weighted = self.rule(own, routes(subject, split));
        mirror(&mut weighted, subject, split);
        if !analysis.matches.is_empty() {
            // A/B: the requests that match reach the canary, all others the primary.
            weighted.insert("match".into(), json!(affinity::crossed(&analysis.matches, own)));
            let [mut primary, _] = routes(subject, split);
            primary["weight"] = 100.into();
            return vec![weighted.into(), self.rule(own, [primary]).into()];
        }
        let Some(settings) = &analysis.session_affinity else { return vec![weighted.into()] };
        let bound = |cookie: &str| affinity::matching(cookie, own);
        if split.canary.percent() == 0 {
            let Some(cookie) = affinity::Given::of(subject.cookies).over else { return vec![weighted.into()] };
            let mut cleaning = Value::Object(self.rule(&bound(cookie), routes(subject, split)));
            cleaning["headers"]["response"]["add"]["Set-Cookie"] = affinity::delete_cookie(cookie).into();
            return vec![cleaning, weighted.into()];
        }
        let mut rules = Vec::new();
        let [mut primary, mut canary] = routes(subject, split);
        if let Some(cookie) = affinity::Given::of(subject.cookies).canary {
            rules.push(self.rule(&bound(cookie), routes(subject, Split::CANARY_ONLY)).into());
            let text = affinity::set_cookie(cookie, settings.max_age().into(), settings);
            canary["headers"] = json!({"response": {"add": {"Set-Cookie": text}}});
        }
        if let Some(cookie) = affinity::Given::of(subject.cookies).primary {
            rules.push(self.rule(&bound(cookie), routes(subject, Split::PRIMARY_ONLY)).into());
            let interval = i64::try_from(analysis.interval().as_secs()).unwrap_or(i64::MAX);
            let text = affinity::set_cookie(cookie, interval, settings);
            primary["headers"] = json!({"response": {"add": {"Set-Cookie": text}}});
        }
        weighted.insert("route".into(), json!([primary, canary]));
        rules.push(weighted.into());
        rules
    }

    fn rule(&self, matches: &[HttpMatch], routes: impl IntoIterator<Item = Value>) -> Map<String, Value> {
        let service = &self.subject.canary.spec.service;
        let mut rule = Map::new();
        if !matches.is_empty() {
            rule.insert("match".into(), json!(matches));
        }
        if let Some(rewrite) = &service.rewrite {
            let parts = [("uri", &rewrite.uri), ("authority", &rewrite.authority)];
            let parts: Map<String, Value> = parts
                .into_iter()
                .filter_map(|(field, text)| Some((field.to_owned(), text.as_deref()?.into())))
                .collect();
            rule.insert("rewrite".into(), parts.into());
        }
        if let Some(timeout) = &service.timeout {
            rule.insert("timeout".into(), timeout.as_str().into());
        }
        if let Some(retries) = &service.retries {
            rule.insert("retries".into(), json!(retries));
        }
        if let Some(cors) = &service.cors_policy {
            rule.insert("corsPolicy".into(), json!(cors));
        }
        if let Some(headers) = &service.headers {
            rule.insert("headers".into(), json!(headers));
        }
        rule.insert("route".into(), routes.into_iter().collect());
        rule
    }
}
