//! Pods that may do more to their node: R12.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::phrase::{listed, say};
use super::body::{at, containers, is_set, items, labels, name, template, text, texts};
use super::{Case, Finding};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// R12: the security of pods is loosened.
pub(super) fn loosened(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(new) = case.new.and_then(template) {
        let had = case.old.and_then(template).map(loose).unwrap_or_default();
        let gained: Vec<String> = loose(new).difference(&had).cloned().collect();
        if !gained.is_empty() {
            let says = say(&format!("{} {{}} loosens pod security: ", case.kind()), &[&case.place()]);
            found.push(Finding::red(12, says.then(listed(&gained, 5))));
        }
        if let Some(old) = case.old.and_then(template) {
            let kept = strict(new);
            let lost: Vec<String> = strict(old).difference(&kept).cloned().collect();
            if !lost.is_empty() {
                let says = say(&format!("{} {{}} no longer has ", case.kind()), &[&case.place()]);
                found.push(Finding::red(12, says.then(listed(&lost, 5))));
            }
        }
    }
    if case.is("", "Namespace")
        && let (Some(old), Some(new)) = (case.old, case.new)
    {
        let level = |body| match labels(body).get(ENFORCE).copied() {
            Some("restricted") => 2,
            Some("baseline") => 1,
            _ => 0,
        };
        if level(new) < level(old) {
            let words = ["privileged", "baseline", "restricted"];
            let template = format!("Namespace {{}} enforces {} instead of {}", words[level(new)], words[level(old)]);
            found.push(Finding::red(12, say(&template, &[&case.key.name])));
        }
    }
    found
}

/// What a pod may do that most may not.
fn loose(template: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if is_set(template, &format!("/spec/{field}")) {
            found.insert(field.to_owned());
        }
    }
    for volume in items(template, "/spec/volumes") {
        if let Some(path) = text(volume, "/hostPath/path") {
            found.insert(format!("hostPath {path}"));
        }
    }
    if text(template, "/spec/securityContext/seccompProfile/type") == Some("Unconfined") {
        found.insert("seccompProfile Unconfined".to_owned());
    }
    for container in containers(template) {
        let name = name(container);
        for field in ["privileged", "allowPrivilegeEscalation"] {
            if is_set(container, &format!("/securityContext/{field}")) {
                found.insert(format!("{field} ({name})"));
            }
        }
        for capability in texts(container, "/securityContext/capabilities/add") {
            found.insert(format!("capability {capability} ({name})"));
        }
        if text(container, "/securityContext/seccompProfile/type") == Some("Unconfined") {
            found.insert(format!("seccompProfile Unconfined ({name})"));
        }
    }
    found
}

/// What holds a pod back.
fn strict(template: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let contexts = std::iter::once((template, "/spec/securityContext", "pod".to_owned()))
        .chain(containers(template).map(|one| (one, "/securityContext", name(one).to_owned())));
    for (body, context, whose) in contexts {
        for field in ["runAsNonRoot", "readOnlyRootFilesystem"] {
            if is_set(body, &format!("{context}/{field}")) {
                found.insert(format!("{field} ({whose})"));
            }
        }
        if at(body, &format!("{context}/allowPrivilegeEscalation")) == Some(&Value::Bool(false)) {
            found.insert(format!("allowPrivilegeEscalation: false ({whose})"));
        }
        if texts(body, &format!("{context}/capabilities/drop")).any(|dropped| dropped == "ALL") {
            found.insert(format!("drop ALL ({whose})"));
        }
    }
    found
}
