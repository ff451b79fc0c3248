//! Pods that would not start because what they read goes: R28.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::object::{Object, ObjectKey};

use super::super::phrase::{listed, say};
use super::body::{at, containers, entries, items, template, text};
use super::{Case, Finding, place};

/// R28: a Secret or ConfigMap, or a key of one, that a rendered pod still needs.
pub(super) fn needed(case: &Case<'_>) -> Vec<Finding> {
    let is_config = case.key.group.is_empty() && matches!(&*case.key.kind, "Secret" | "ConfigMap");
    let Some(before) = case.change.before.as_ref().filter(|_| is_config && case.change.is_step()) else {
        return vec![];
    };
    let is_gone = case.new.is_none() || before.key.name != case.key.name;
    let lost_keys: BTreeSet<String> = match case.new {
        Some(new) if !is_gone => keys(&before.body).difference(&keys(new)).cloned().collect(),
        _ => BTreeSet::new(),
    };
    if !is_gone && lost_keys.is_empty() {
        return vec![];
    }
    let mut found = Vec::new();
    let consumers = |is_needed: &dyn Fn(&Needs) -> bool| -> Vec<String> {
        let workloads = case.scene.merged.workloads();
        let needy = workloads.filter(|(object, _)| object.key.namespace == before.key.namespace);
        needy.filter(|(object, _)| is_needed(&needs(object, &before.key))).map(|(o, _)| named(o)).collect()
    };
    let kind = case.kind();
    if is_gone {
        let who = consumers(&|needs| needs.whole || !needs.keys.is_empty());
        if !who.is_empty() {
            let says = say(&format!("{kind} {{}} goes, and is still needed by "), &[&place(&before.key)]);
            found.push(Finding::red(28, says.then(listed(&who, 4))));
        }
        return found;
    }
    let mut by_consumers: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for key in lost_keys {
        let who = consumers(&|needs| needs.keys.contains(&key));
        if !who.is_empty() {
            by_consumers.entry(who).or_default().push(key);
        }
    }
    for (who, keys) in by_consumers {
        let says = say(&format!("{kind} {{}} loses "), &[&place(&before.key)]).then(listed(&keys, 4));
        found.push(Finding::red(28, says.then(say(", still needed by ", &[])).then(listed(&who, 4))));
    }
    found
}

fn named(object: &Object) -> String {
    format!("{}/{}", object.key.kind, object.key.name)
}

fn keys(body: &Value) -> BTreeSet<String> {
    let maps = ["/data", "/stringData", "/binaryData"].into_iter().filter_map(|field| entries(body, field));
    maps.flat_map(|map| map.keys().cloned()).collect()
}

/// What a workload needs of one object.
#[derive(Default)]
struct Needs {
    whole: bool,
    keys: BTreeSet<String>,
}

fn needs(object: &Object, of: &ObjectKey) -> Needs {
    let mut needs = Needs::default();
    let Some(template) = template(&object.body) else { return needs };
    let (reference, key_reference, volume, volume_name) = match of.kind.as_str() {
        "Secret" => ("secretRef", "secretKeyRef", "secret", "secretName"),
        _ => ("configMapRef", "configMapKeyRef", "configMap", "name"),
    };
    let mut need = |source: &Value, name_field: &str| {
        let is_it = text(source, &format!("/{name_field}")) == Some(&of.name);
        let is_optional = at(source, "/optional") == Some(&true.into());
        if !is_it || is_optional {
            return;
        }
        let mut keys: BTreeSet<String> =
            items(source, "/items").iter().filter_map(|item| text(item, "/key")).map(str::to_owned).collect();
        keys.extend(text(source, "/key").map(str::to_owned));
        needs.whole |= keys.is_empty();
        needs.keys.extend(keys);
    };
    for container in containers(template) {
        for source in items(container, "/envFrom") {
            at(source, &format!("/{reference}")).into_iter().for_each(|source| need(source, "name"));
        }
        for variable in items(container, "/env") {
            let source = at(variable, &format!("/valueFrom/{key_reference}"));
            source.into_iter().for_each(|source| need(source, "name"));
        }
    }
    for one in items(template, "/spec/volumes") {
        at(one, &format!("/{volume}")).into_iter().for_each(|source| need(source, volume_name));
        for source in items(one, "/projected/sources") {
            at(source, &format!("/{volume}")).into_iter().for_each(|source| need(source, "name"));
        }
    }
    if of.kind == "Secret" {
        items(template, "/spec/imagePullSecrets").iter().for_each(|source| need(source, "name"));
    }
    needs
}
