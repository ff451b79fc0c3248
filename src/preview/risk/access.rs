//! Who may do more: R11.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::phrase::{Phrase, listed, say};
use super::body::{at, items, text, texts};
use super::{Case, Finding, Severity};

/// A verb on a resource of a group.
type Right = (String, String);

const RBAC: &str = "rbac.authorization.k8s.io";

/// R11: a role gains rights, or a binding subjects.
pub(super) fn rights(case: &Case<'_>) -> Vec<Finding> {
    if case.key.group != RBAC || case.is_deleted() {
        return vec![];
    }
    let Some(new) = case.new else { return vec![] };
    match &*case.key.kind {
        "ClusterRole" | "Role" => gained(case, new).into_iter().collect(),
        "ClusterRoleBinding" | "RoleBinding" => bound(case, new),
        _ => vec![],
    }
}

fn gained(case: &Case<'_>, new: &Value) -> Option<Finding> {
    let had = case.old.map(rights_of).unwrap_or_default();
    let has_all = had.contains(&("*".into(), "*".into()));
    let gained: Vec<Right> = rights_of(new).into_iter().filter(|right| !has_all && !had.contains(right)).collect();
    let worst = gained.iter().filter_map(danger).min()?;
    let named: Vec<String> = gained
        .iter()
        .filter(|right| danger(right).is_some())
        .map(|(verb, resource)| format!("{verb} {resource}"))
        .collect();
    let says = say(&format!("{} {{}} gains ", case.kind()), &[&case.place()]).then(listed(&named, 5));
    Some(Finding::new(11, worst, says))
}

fn rights_of(role: &Value) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for rule in items(role, "/rules") {
        let groups: Vec<&str> = texts(rule, "/apiGroups").collect();
        for verb in texts(rule, "/verbs") {
            for resource in texts(rule, "/resources") {
                // A group is told where it is not the core's or the resource says enough.
                let everywhere = groups.contains(&"*") && resource == "*";
                let shown = match groups.first() {
                    Some(group) if !everywhere && !group.is_empty() && *group != "*" => format!("{resource}.{group}"),
                    _ => resource.to_owned(),
                };
                rights.insert((verb.to_owned(), shown));
            }
            for url in texts(rule, "/nonResourceURLs") {
                rights.insert((verb.to_owned(), url.to_owned()));
            }
        }
    }
    rights
}

fn danger((verb, resource): &Right) -> Option<Severity> {
    let is_any = |list: &[&str], word: &str| list.contains(&word);
    if verb == "*" || resource == "*" || is_any(&["escalate", "bind", "impersonate"], verb) {
        return Some(Severity::Red);
    }
    let is_risky = match resource.as_str() {
        "secrets" => is_any(&["get", "list", "watch"], verb),
        "pods/exec" | "pods/attach" | "pods/portforward" | "pods/ephemeralcontainers" => {
            is_any(&["create", "get", "update", "patch"], verb)
        }
        "pods" | "deployments.apps" | "daemonsets.apps" | "statefulsets.apps" | "jobs.batch" | "cronjobs.batch" => {
            is_any(&["create", "update", "patch"], verb)
        }
        "nodes/proxy" | "serviceaccounts/token" => true,
        _ => false,
    };
    is_risky.then_some(Severity::Yellow)
}

fn bound(case: &Case<'_>, new: &Value) -> Vec<Finding> {
    let role = text(new, "/roleRef/name").unwrap_or_default();
    let is_admin = role == "cluster-admin";
    let severity = if is_admin { Severity::Red } else { Severity::Yellow };
    let kind = case.kind();
    let mut found = Vec::new();
    if case.old.is_some_and(|old| at(old, "/roleRef") != at(new, "/roleRef")) {
        let says = say(&format!("{kind} {{}} gives another role: {{}}"), &[&case.place(), &role]);
        found.push(Finding::new(11, severity, says));
    }
    let had = case.old.map(|old| items(old, "/subjects")).unwrap_or_default();
    let names: Vec<String> =
        items(new, "/subjects").iter().filter(|subject| !had.contains(subject)).map(subject).collect();
    if !names.is_empty() {
        let says: Phrase = say(&format!("{kind} {{}} gives the role {{}} to "), &[&case.place(), &role]);
        found.push(Finding::new(11, severity, says.then(listed(&names, 4))));
    }
    found
}

fn subject(subject: &Value) -> String {
    let kind = text(subject, "/kind").unwrap_or_default();
    let name = text(subject, "/name").unwrap_or_default();
    match text(subject, "/namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}
