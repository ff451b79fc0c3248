//! Who reaches what: R14, R15, R16.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::phrase::{counted, listed, say};
use super::body::{at, entries, items, labels, replicas, selects, text, texts};
use super::{Case, Finding};

/// R14: pods that were open are closed now.
pub(super) fn policies(case: &Case<'_>) -> Vec<Finding> {
    let (true, Some(new)) = (case.is("networking.k8s.io", "NetworkPolicy"), case.new) else { return vec![] };
    let mut found = Vec::new();
    let place = case.place();
    let Some(selector) = at(new, "/spec/podSelector") else { return vec![] };
    let is_here = |object: &crate::object::Object| object.key.namespace == case.key.namespace;
    let selected: Vec<_> = case
        .scene
        .merged
        .workloads()
        .filter(|(object, template)| is_here(object) && selects(selector, &labels(template)))
        .collect();
    let was_covered = |template: &Value| {
        case.scene.base.of_kind("networking.k8s.io", "NetworkPolicy").any(|policy| {
            is_here(policy) && at(&policy.body, "/spec/podSelector").is_some_and(|s| selects(s, &labels(template)))
        })
    };
    let first: u64 =
        selected.iter().filter(|(_, template)| !was_covered(template)).map(|(object, _)| replicas(&object.body)).sum();
    if first > 0 {
        let pods = counted(first, "pod");
        let template = format!("NetworkPolicy {{}} is the first to select {pods}: what it does not allow is denied");
        found.push(Finding::yellow(14, say(&template, &[&place])));
    }
    let denies = |body: &Value| {
        let is_open = |direction: &str| !items(body, &format!("/spec/{direction}")).is_empty();
        entries(body, "/spec/podSelector").is_none_or(serde_json::Map::is_empty)
            && !is_open("ingress")
            && !is_open("egress")
    };
    if denies(new) && !case.old.is_some_and(denies) {
        found.push(Finding::yellow(14, say("NetworkPolicy {} denies everything in its namespace", &[&place])));
    }
    let reaches_dns = |body: &Value| {
        let egress = items(body, "/spec/egress");
        let is_closed = texts(body, "/spec/policyTypes").any(|kind| kind == "Egress") || !egress.is_empty();
        let allows = |rule: &Value| {
            let ports = items(rule, "/ports");
            let is_dns =
                |port: &Value| at(port, "/port").is_none_or(|p| p.as_i64() == Some(53) || p.as_str() == Some("dns"));
            ports.is_empty() || ports.iter().any(is_dns)
        };
        !is_closed || egress.iter().any(allows)
    };
    if case.old.is_some_and(reaches_dns) && !reaches_dns(new) {
        found.push(Finding::yellow(14, say("NetworkPolicy {} no longer lets its pods ask DNS", &[&place])));
    }
    found
}

/// R15: addresses.
pub(super) fn services(case: &Case<'_>) -> Vec<Finding> {
    if !case.is("", "Service") {
        return vec![];
    }
    let kind = |body: &Value| text(body, "/spec/type").unwrap_or("ClusterIP").to_owned();
    let addresses: Vec<String> = case
        .live
        .map(|live| items(live, "/status/loadBalancer/ingress"))
        .unwrap_or_default()
        .iter()
        .filter_map(|one| text(one, "/ip").or_else(|| text(one, "/hostname")))
        .map(str::to_owned)
        .collect();
    let place = case.place();
    let lost = |how: &str| {
        let says = say(&format!("{how}: the external address "), &[&place]);
        Finding::red(15, says.then(listed(&addresses, 2)).then(say(" is lost", &[])))
    };
    let (Some(old), Some(new)) = (case.old, case.new) else {
        let goes = case.is_deleted() && !addresses.is_empty();
        return if goes { vec![lost("deletes Service {}")] } else { vec![] };
    };
    let mut found = Vec::new();
    let (from, to) = (kind(old), kind(new));
    if from != to && (from == "LoadBalancer" || to == "LoadBalancer") {
        let how = "changes the type of Service {}".to_owned();
        found.push(match from == "LoadBalancer" && !addresses.is_empty() {
            true => lost(&how),
            false => Finding::yellow(15, say(&format!("{how} from {{}} to {{}}"), &[&place, &from, &to])),
        });
    }
    if to == "LoadBalancer" && from == to {
        for field in ["loadBalancerClass", "loadBalancerIP", "externalTrafficPolicy"] {
            let pointer = format!("/spec/{field}");
            if at(old, &pointer) != at(new, &pointer) {
                found.push(Finding::yellow(15, say(&format!("changes {field} of Service {{}}"), &[&place])));
            }
        }
        let balancer = |body: &Value| -> Vec<(String, Value)> {
            let annotations = entries(body, "/metadata/annotations").into_iter().flatten();
            let is_clouds = |name: &str| {
                ["service.beta.kubernetes.io/", "service.kubernetes.io/", "cloud.google.com/", "networking.gke.io/"]
                    .iter()
                    .any(|prefix| name.starts_with(prefix))
            };
            annotations.filter(|(name, _)| is_clouds(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        if balancer(old) != balancer(new) {
            found.push(Finding::yellow(15, say("changes the load balancer's annotations of Service {}", &[&place])));
        }
    }
    found
}

/// R16: hosts and their certificates.
pub(super) fn hosts(case: &Case<'_>) -> Vec<Finding> {
    let is_route = case.is("networking.k8s.io", "Ingress") || case.is("gateway.networking.k8s.io", "HTTPRoute");
    if !is_route {
        return vec![];
    }
    let kind = case.kind();
    let place = case.place();
    let mut found = Vec::new();
    let had = case.old.map(hosts_of).unwrap_or_default();
    let has = case.new.map(hosts_of).unwrap_or_default();
    let served = |host: &String| {
        let routes = case.scene.merged.kinds.iter().filter(|((_, kind), _)| matches!(*kind, "Ingress" | "HTTPRoute"));
        routes.flat_map(|(_, objects)| objects).any(|object| hosts_of(&object.body).contains(host))
    };
    let lost: Vec<String> = had.difference(&has).filter(|host| !served(host)).cloned().collect();
    if !lost.is_empty() && case.change.is_step() {
        let says = say(&format!("{kind} {{}} no longer serves "), &[&place]);
        found.push(Finding::yellow(16, says.then(listed(&lost, 4))));
    }
    let secrets = |body: Option<&Value>| -> BTreeSet<String> {
        let tls = body.map(|body| items(body, "/spec/tls")).unwrap_or_default();
        tls.iter().filter_map(|one| text(one, "/secretName")).map(str::to_owned).collect()
    };
    if case.new.is_some() {
        let lost: Vec<String> = secrets(case.old).difference(&secrets(case.new)).cloned().collect();
        if !lost.is_empty() {
            let says = say(&format!("{kind} {{}} no longer uses the certificate "), &[&place]);
            found.push(Finding::yellow(16, says.then(listed(&lost, 4))));
        }
    }
    if let Some(new) = case.new {
        let gained: BTreeSet<(String, String)> =
            paths_of(new).difference(&case.old.map(paths_of).unwrap_or_default()).cloned().collect();
        let others = case.scene.merged.of_kind(&case.key.group, &case.key.kind);
        let others = others.filter(|other| !gained.is_empty() && other.key != *case.key);
        for other in others {
            if let Some((host, path)) = paths_of(&other.body).intersection(&gained).next() {
                let template = format!("{kind} {{}} serves {{}} as {{}} does");
                let at = format!("{host}{path}");
                found.push(Finding::yellow(16, say(&template, &[&place, &at, &super::place(&other.key)])));
            }
        }
    }
    found
}

fn hosts_of(body: &Value) -> BTreeSet<String> {
    let rules = items(body, "/spec/rules").iter().filter_map(|rule| text(rule, "/host"));
    rules.chain(texts(body, "/spec/hostnames")).map(str::to_owned).collect()
}

fn paths_of(body: &Value) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for rule in items(body, "/spec/rules") {
        let host = text(rule, "/host").unwrap_or("*");
        for path in items(rule, "/http/paths") {
            found.insert((host.to_owned(), text(path, "/path").unwrap_or("/").to_owned()));
        }
    }
    found
}
