//! Objects that find others by label or name, and no longer do: R6.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::object::{Object, ObjectKey};

use super::super::phrase::say;
use super::body::{at, containers, entries, has_all, items, labels, selects, text};
use super::{Finding, Index, Scene, kind_word, place};

/// What an object looks for: `None` while it finds it.
type Lost = BTreeMap<(ObjectKey, &'static str), Option<String>>;

/// What found something at the base and finds nothing now.
pub(super) fn broken(scene: &Scene<'_>) -> Vec<(ObjectKey, Finding)> {
    let before = links(&scene.base);
    let after = links(&scene.merged);
    let mut found = Vec::new();
    for ((key, role), lost) in after {
        let Some(lost) = lost else { continue };
        if before.get(&(key.clone(), role)) != Some(&None) {
            continue;
        }
        let says = match role {
            "pods" => say(&format!("{} {{}} selects no pod any more", kind_word(&key)), &[&place(&key)]),
            "Services" => say(&format!("{} {{}} selects no Service any more", kind_word(&key)), &[&place(&key)]),
            role => say(&format!("{} {{}} has lost its {role} {{}}", kind_word(&key)), &[&place(&key), &lost]),
        };
        found.push((key, Finding::red(6, says)));
    }
    found
}

fn links(index: &Index<'_>) -> Lost {
    let mut lost = Lost::new();
    let pods: Vec<(&Object, BTreeMap<&str, &str>, &Value)> =
        index.workloads().map(|(object, template)| (object, labels(template), template)).collect();
    let in_namespace_of =
        |object: &Object| pods.iter().filter(|(pod, ..)| pod.key.namespace == object.key.namespace).collect::<Vec<_>>();

    for service in index.of_kind("", "Service") {
        let Some(selector) = entries(&service.body, "/spec/selector").filter(|selector| !selector.is_empty()) else {
            continue;
        };
        let selected: Vec<_> =
            in_namespace_of(service).into_iter().filter(|(_, labels, _)| has_all(selector, labels)).collect();
        lost.insert((service.key.clone(), "pods"), selected.is_empty().then(String::new));
        if selected.is_empty() {
            continue;
        }
        let is_named = |wanted: &str| {
            selected.iter().any(|(_, _, template)| {
                containers(template)
                    .flat_map(|one| items(one, "/ports"))
                    .any(|port| text(port, "/name") == Some(wanted))
            })
        };
        let targets = items(&service.body, "/spec/ports").iter().filter_map(|port| text(port, "/targetPort"));
        let missing = targets.filter(|target| target.parse::<u16>().is_err()).find(|target| !is_named(target));
        lost.insert((service.key.clone(), "container port"), missing.map(str::to_owned));
    }
    for (group, kind, field) in [
        ("policy", "PodDisruptionBudget", "/spec/selector"),
        ("networking.k8s.io", "NetworkPolicy", "/spec/podSelector"),
    ] {
        for object in index.of_kind(group, kind) {
            let Some(selector) = at(&object.body, field) else { continue };
            let selects_one = in_namespace_of(object).iter().any(|(_, labels, _)| selects(selector, labels));
            lost.insert((object.key.clone(), "pods"), (!selects_one).then(String::new));
        }
    }
    for scaler in index.of_kind("autoscaling", "HorizontalPodAutoscaler") {
        let target = |field: &str| text(&scaler.body, &format!("/spec/scaleTargetRef/{field}")).unwrap_or_default();
        let (kind, name) = (target("kind"), target("name"));
        let group = target("apiVersion").split_once('/').map_or("", |(group, _)| group);
        let is_there =
            index.of_kind(group, kind).any(|one| one.key.name == name && one.key.namespace == scaler.key.namespace);
        lost.insert((scaler.key.clone(), "target"), (!is_there).then(|| format!("{kind}/{name}")));
    }
    for ingress in index.of_kind("networking.k8s.io", "Ingress") {
        let paths = items(&ingress.body, "/spec/rules").iter().flat_map(|rule| items(rule, "/http/paths"));
        let backends = paths.filter_map(|path| text(path, "/backend/service/name"));
        let backends = backends.chain(text(&ingress.body, "/spec/defaultBackend/service/name"));
        let is_there = |name: &str| {
            index.of_kind("", "Service").any(|one| one.key.name == name && one.key.namespace == ingress.key.namespace)
        };
        let missing = backends.filter(|name| !is_there(name)).map(str::to_owned).next();
        lost.insert((ingress.key.clone(), "Service"), missing);
    }
    for monitor in index.of_kind("monitoring.coreos.com", "ServiceMonitor") {
        let Some(selector) = at(&monitor.body, "/spec/selector") else { continue };
        let is_here = |one: &Object| {
            one.key.namespace == monitor.key.namespace || at(&monitor.body, "/spec/namespaceSelector").is_some()
        };
        let selects_one = index.of_kind("", "Service").any(|one| is_here(one) && selects(selector, &labels(&one.body)));
        lost.insert((monitor.key.clone(), "Services"), (!selects_one).then(String::new));
    }
    lost
}
