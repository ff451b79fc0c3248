//! Pods and what makes them: R7, R8, R29, R30, R32.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::phrase::{counted, say};
use super::super::{Change, ChangeKind};
use super::body::{at, containers, items, labels, name, number, replicas, selects, template, text};
use super::{Case, Digests, Finding};
use crate::object::image;

/// What a changed pod template leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// So many pods, as far as that is known.
    pub pods: Option<u64>,
}

/// The pods that a change restarts.
pub fn restart(change: &Change) -> Option<Restart> {
    let (old, new) = (change.before_body()?, change.after_body()?);
    let is_rolled = change.key.group == "apps"
        && matches!(&*change.key.kind, "Deployment" | "StatefulSet" | "DaemonSet")
        && matches!(change.kind, ChangeKind::Change | ChangeKind::Replace);
    let templates = (template(old)?, template(new)?);
    if !is_rolled || (templates.0 == templates.1 && change.kind != ChangeKind::Replace) {
        return None;
    }
    if change.key.kind == "DaemonSet" {
        let scheduled = change.live().and_then(|live| number(live, "/status/desiredNumberScheduled"));
        return Some(Restart { pods: scheduled.and_then(|count| u64::try_from(count).ok()) });
    }
    // An autoscaler sets what git leaves open.
    let live = change.live().filter(|_| at(new, "/spec/replicas").is_none());
    match replicas(live.unwrap_or(new)).min(replicas(change.live().unwrap_or(old))) {
        0 => None,
        pods => Some(Restart { pods: Some(pods) }),
    }
}

/// True when at least half goes.
fn is_halved(from: u64, to: u64) -> bool {
    to < from && to * 2 <= from
}

/// R7: fewer pods.
pub(super) fn replicas_of(case: &Case<'_>) -> Vec<Finding> {
    let (Some(old), Some(new)) = (case.old, case.new) else { return vec![] };
    let is_scaled = case.key.group == "apps" && matches!(&*case.key.kind, "Deployment" | "StatefulSet" | "ReplicaSet");
    if is_scaled {
        if at(new, "/spec/replicas").is_none() {
            return vec![];
        }
        let from = case.live.filter(|_| at(old, "/spec/replicas").is_none()).map_or_else(|| replicas(old), replicas);
        let to = replicas(new);
        let live = match case.live.map(replicas) {
            Some(live) if live != from => format!(" ({live} in the cluster)"),
            _ => String::new(),
        };
        let told = format!("scales {} {{}} from {from}{live} to {}", case.kind(), counted(to, "pod"));
        return match to {
            0 if from > 0 => vec![Finding::red(7, say(&told, &[&case.place()]))],
            _ if is_halved(from, to) => vec![Finding::yellow(7, say(&told, &[&case.place()]))],
            _ => vec![],
        };
    }
    if !case.is("autoscaling", "HorizontalPodAutoscaler") {
        return vec![];
    }
    let Some(live) = case.live.and_then(|live| number(live, "/status/currentReplicas")) else { return vec![] };
    let lowered = |field: &str| {
        let pointer = format!("/spec/{field}");
        let (from, to) = (number(old, &pointer)?, number(new, &pointer)?);
        let is_below = to < from && to < live && (field == "maxReplicas" || from <= live);
        let told = format!("lowers {field} of HorizontalPodAutoscaler {{}} from {from} to {to}; {live} pods run");
        is_below.then(|| Finding::yellow(7, say(&told, &[&case.place()])))
    };
    ["maxReplicas", "minReplicas"].into_iter().filter_map(lowered).collect()
}

/// R8: pods that are made anew.
pub(super) fn restarts(case: &Case<'_>) -> Vec<Finding> {
    let (Some(restart), Some(new)) = (restart(case.change), case.new) else { return vec![] };
    let strategy = text(new, "/spec/strategy/type").or_else(|| text(new, "/spec/updateStrategy/type"));
    if strategy == Some("OnDelete") {
        return vec![];
    }
    let is_at_once = strategy == Some("Recreate") || case.change.kind == ChangeKind::Replace;
    let pods = restart.pods;
    let is_single = pods == Some(1) && case.key.kind != "DaemonSet" && !surges(case, new);
    let why = match () {
        () if is_at_once => ", all at once",
        () if is_single => ", its only one",
        () if is_held_by_budget(case, new, pods) => ", each of which a PodDisruptionBudget wants available",
        () => "",
    };
    let count = pods.map_or("all pods".to_owned(), |pods| counted(pods, "pod"));
    let says = say(&format!("restarts {count} of {} {{}}{why}", case.kind()), &[&case.place()]);
    let is_many = pods.is_some_and(|pods| pods >= case.scene.standards.pods);
    if is_many || !why.is_empty() { vec![Finding::yellow(8, says)] } else { vec![Finding::info(8, says)] }
}

/// True when a Deployment starts the new pod before the old one ends: then a single one is no gap.
fn surges(case: &Case<'_>, new: &Value) -> bool {
    let surge = at(new, "/spec/strategy/rollingUpdate/maxSurge");
    let is_zero = surge.is_some_and(|surge| matches!(surge.as_str(), Some("0" | "0%")) || surge.as_i64() == Some(0));
    case.key.kind == "Deployment" && surge.is_some() && !is_zero
}

fn is_held_by_budget(case: &Case<'_>, new: &Value, pods: Option<u64>) -> bool {
    let (Some(pods), Some(template)) = (pods, template(new)) else { return false };
    let labels = labels(template);
    case.scene.merged.of_kind("policy", "PodDisruptionBudget").any(|budget| {
        let is_ours = budget.key.namespace == case.key.namespace
            && at(&budget.body, "/spec/selector").is_some_and(|selector| selects(selector, &labels));
        let least = at(&budget.body, "/spec/minAvailable");
        let is_all = least.is_some_and(|least| least.as_u64() == Some(pods) || least.as_str() == Some("100%"));
        is_ours && is_all
    })
}

/// R29: images.
pub(super) fn images_of(case: &Case<'_>) -> Vec<Finding> {
    let Some(new) = case.new.and_then(template) else { return vec![] };
    let old: BTreeMap<&str, &str> =
        case.old.and_then(template).into_iter().flat_map(containers).map(|one| (name(one), image(one))).collect();
    let changed = containers(new).filter(|container| old.get(name(container)) != Some(&image(container)));
    changed.flat_map(|container| of_image(case, old.get(name(container)).copied(), image(container))).collect()
}

/// The images of the pods that an object makes.
pub(in super::super) fn images(body: &Value) -> impl Iterator<Item = &str> {
    template(body).into_iter().flat_map(containers).map(image)
}

fn image(container: &Value) -> &str {
    text(container, "/image").unwrap_or_default()
}

fn of_image(case: &Case<'_>, old: Option<&str>, new: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let place = case.place();
    let kind = case.kind();
    let (name, tag, digest) = image::split(new);
    let standards = case.scene.standards;
    if digest.is_none() && matches!(tag, None | Some("latest")) {
        let says = say(&format!("{kind} {{}} runs {{}}, whose tag says nothing"), &[&place, &new]);
        found.push(Finding::info(29, says));
    }
    if digest.is_none() && standards.digests == Digests::Required {
        found.push(Finding::yellow(29, say(&format!("{kind} {{}} runs {{}} without a digest"), &[&place, &new])));
    }
    let is_allowed = |prefix: &String| new.starts_with(prefix.as_str());
    if !standards.registries.is_empty() && !standards.registries.iter().any(is_allowed) {
        let says = say(&format!("{kind} {{}} runs {{}} from a registry that is not allowed"), &[&place, &new]);
        found.push(Finding::yellow(29, says));
    }
    if let Some((old_name, old_tag, _)) = old.map(image::split)
        && old_name == name
        && let (Some(from), Some(to)) = (old_tag.and_then(version), tag.and_then(version))
    {
        let (from_tag, to_tag) = (old_tag.unwrap_or_default(), tag.unwrap_or_default());
        let what = match () {
            () if to < from => "goes back",
            () if to.0 > from.0 => "jumps a major version,",
            () => return found,
        };
        let template = format!("{kind} {{}}: {{}} {what} from {{}} to {{}}");
        found.push(Finding::yellow(29, say(&template, &[&place, &name, &from_tag, &to_tag])));
    }
    found
}

/// Major, minor, patch of a tag that is a version.
fn version(tag: &str) -> Option<(u64, u64, u64)> {
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    let numbers = tag.split(['-', '+']).next()?;
    let mut parts = numbers.split('.').map(|part| part.parse::<u64>().ok());
    let version = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    // A date is no version.
    (version.0 < 1_000).then_some(version)
}

/// R30: what keeps pods safe goes.
pub(super) fn safeguards(case: &Case<'_>) -> Vec<Finding> {
    const KEPT: [(&str, &str); 5] = [
        ("/livenessProbe", "its livenessProbe"),
        ("/readinessProbe", "its readinessProbe"),
        ("/startupProbe", "its startupProbe"),
        ("/resources/limits", "its limits"),
        ("/resources/requests", "its requests"),
    ];
    if case.is("policy", "PodDisruptionBudget") && case.is_deleted() {
        return vec![Finding::yellow(30, say("deletes PodDisruptionBudget {}", &[&case.place()]))];
    }
    let (Some(old), Some(new)) = (case.old.and_then(template), case.new.and_then(template)) else { return vec![] };
    let mut found = Vec::new();
    for before in containers(old) {
        let Some(after) = containers(new).find(|after| name(after) == name(before)) else { continue };
        for (_, what) in KEPT.iter().filter(|(at_, _)| at(before, at_).is_some() && at(after, at_).is_none()) {
            let template = format!("container {{}} of {} {{}} loses {what}", case.kind());
            found.push(Finding::yellow(30, say(&template, &[&name(before), &case.place()])));
        }
    }
    found
}

/// R32: on every node.
pub(super) fn nodes(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let (old, new) = (case.old.and_then(template), case.new.and_then(template));
    if case.is("apps", "DaemonSet") && case.new.is_some() && old != new {
        let count = restart(case.change).and_then(|restart| restart.pods).or(case.scene.facts().nodes);
        let nodes = count.map_or("every node".to_owned(), |count| counted(count, "node"));
        let does = if old.is_some() { "changes" } else { "starts" };
        found.push(Finding::yellow(32, say(&format!("{does} DaemonSet {{}} on {nodes}"), &[&case.place()])));
    }
    let everywhere = |template: Option<&Value>| {
        let tolerations = template.map(|template| items(template, "/spec/tolerations")).unwrap_or_default();
        tolerations.iter().any(|one| text(one, "/operator") == Some("Exists") && at(one, "/key").is_none())
    };
    if everywhere(new) && !everywhere(old) {
        let says = say(&format!("{} {{}} tolerates every taint", case.kind()), &[&case.place()]);
        found.push(Finding::yellow(32, says));
    }
    found
}

/// `web:1.4` → `web:1.5`, each once: what a reader looks for first.
pub(in super::super) fn image_changes(change: &Change) -> BTreeSet<(String, String)> {
    let (Some(old), Some(new)) = (change.before_body().and_then(template), change.after_body().and_then(template))
    else {
        return BTreeSet::new();
    };
    let after: BTreeMap<&str, &str> = containers(new).map(|one| (name(one), image(one))).collect();
    let changed = containers(old).filter_map(|one| {
        let new = after.get(name(one)).copied()?;
        (new != image(one)).then(|| (image(one).to_owned(), new.to_owned()))
    });
    changed.collect()
}
