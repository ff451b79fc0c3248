//! What the API server would not know or not take: R24, R25.

use crate::object::GroupKind;

use super::super::phrase::{listed, say};
use super::super::policies::refusal;
use super::body::{items, text};
use super::{Case, Finding};

/// Group, version, kind (all of the version, when empty), and the minor version of Kubernetes without it.
const GONE: &[(&str, &str, &str, u32)] = &[
    ("extensions", "v1beta1", "", 22),
    ("networking.k8s.io", "v1beta1", "Ingress", 22),
    ("rbac.authorization.k8s.io", "v1beta1", "", 22),
    ("admissionregistration.k8s.io", "v1beta1", "", 22),
    ("apiextensions.k8s.io", "v1beta1", "", 22),
    ("batch", "v1beta1", "CronJob", 25),
    ("policy", "v1beta1", "", 25),
    ("discovery.k8s.io", "v1beta1", "", 25),
    ("autoscaling", "v2beta1", "", 25),
    ("autoscaling", "v2beta2", "", 26),
    ("flowcontrol.apiserver.k8s.io", "v1beta1", "", 26),
    ("storage.k8s.io", "v1beta1", "CSIStorageCapacity", 27),
    ("flowcontrol.apiserver.k8s.io", "v1beta2", "", 29),
    ("flowcontrol.apiserver.k8s.io", "v1beta3", "", 32),
];

/// R24: the kind is not served in this version, or not for long.
pub(super) fn served(case: &Case<'_>) -> Vec<Finding> {
    let (Some(_), Some(served)) = (case.new, &case.scene.facts().served) else { return vec![] };
    let (kind, version) = (case.key.group_kind(), &case.change.version);
    let api_version = match kind.group.is_empty() {
        true => version.to_string(),
        false => format!("{}/{version}", kind.group),
    };
    let at = case.change.source().map(ToString::to_string);
    let there = |says: super::Phrase| match &at {
        Some(at) => says.then(say(" ({})", &[at])),
        None => says,
    };
    if !served.kinds.contains(&(kind.clone(), version.clone())) && !is_defined(case, &kind) {
        let template = format!("{} {{}}: the cluster does not serve {{}}", case.kind());
        return vec![Finding::red(24, there(say(&template, &[&case.place(), &api_version])))];
    }
    let next = served.minor.map(|minor| minor + 1);
    match (gone_in(&kind, version), next) {
        (Some(gone), Some(next)) if gone <= next => {
            let template = format!("{} {{}}: {{}} is gone in Kubernetes 1.{gone}", case.kind());
            vec![Finding::yellow(24, there(say(&template, &[&case.place(), &api_version])))]
        }
        _ => vec![],
    }
}

/// The minor version of Kubernetes that is the first without a kind in a version.
fn gone_in(kind: &GroupKind, version: &str) -> Option<u32> {
    let is_it = |(group, gone, of, _): &&(&str, &str, &str, u32)| {
        kind.group == *group && version == *gone && (of.is_empty() || kind.kind == *of)
    };
    GONE.iter().find(is_it).map(|(.., gone)| *gone)
}

/// True when the API server's own version says whether it still serves this.
pub(in super::super) fn goes(kind: &GroupKind, version: &str) -> bool {
    gone_in(kind, version).is_some()
}

/// The pull request may bring the definition with the object.
fn is_defined(case: &Case<'_>, kind: &GroupKind) -> bool {
    case.scene.merged.of_kind("apiextensions.k8s.io", "CustomResourceDefinition").any(|definition| {
        let body = &definition.body;
        let versions = items(body, "/spec/versions").iter().filter_map(|version| text(version, "/name"));
        text(body, "/spec/group") == Some(&kind.group)
            && text(body, "/spec/names/kind") == Some(&kind.kind)
            && versions.into_iter().any(|version| version == case.change.version)
    })
}

/// R25: what a dry run was told.
pub(super) fn refused(case: &Case<'_>) -> Vec<Finding> {
    let Some(answer) = &case.change.refused else { return vec![] };
    // R33 says it.
    if refusal(answer).is_some_and(|refusal| case.change.verdicts.iter().any(|one| one.policy == refusal.policy)) {
        return vec![];
    }
    let template = format!("{} {{}} would be refused by the API server: {{}}", case.kind());
    let says = say(&template, &[&case.place(), &Answer(case, answer)]);
    let says = match case.change.source() {
        Some(at) => says.then(say(" ({})", &[at])),
        None => says,
    };
    vec![Finding::red(25, says)]
}

/// R25: fields that no schema has. A sync leaves them out; whoever writes one expects something of it.
pub(super) fn undeclared(case: &Case<'_>) -> Vec<Finding> {
    let Some(paths) = case.scene.facts().undeclared.get(case.key) else { return vec![] };
    let template = format!("{} {{}} has fields that no schema has, and that have no effect: ", case.kind());
    let says = say(&template, &[&case.place()]).then(listed(paths, 6));
    let says = match case.change.source() {
        Some(at) => says.then(say(" ({})", &[at])),
        None => says,
    };
    vec![Finding::red(25, says)]
}

/// An answer repeats values: only what is left without them is said here.
struct Answer<'a>(&'a Case<'a>, &'a str);

impl std::fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::super::mask::without_values(self.0.key, self.1))
    }
}
