//! What of volumes and their claims cannot be changed.

use serde_json::Value;

use super::super::super::Facts;
use super::super::body::{at, is_set, quantity, text};
use super::{IMMUTABLE, Refused, differing, is_same, without};

const SIZE: &str = "spec.resources.requests.storage";
const SIZE_AT: &str = "/spec/resources/requests/storage";

pub(super) fn claim(was: &Value, will: &Value, facts: &Facts) -> Vec<Refused> {
    let is_bound = text(was, "/status/phase") == Some("Bound");
    let mode = |body| text(body, "/spec/volumeMode").unwrap_or("Filesystem").to_owned();
    let mut free = vec!["volumeMode", "resources"];
    if is_bound {
        free.push("volumeAttributesClassName");
    } else if at(was, "/spec/volumeName").is_none() {
        free.push("volumeName");
    }
    let mut found: Vec<Refused> = differing(&without(was, "/spec", &free), &without(will, "/spec", &free), "spec")
        .into_iter()
        .map(|field| Refused::new(field, IMMUTABLE))
        .collect();
    if mode(was) != mode(will) {
        found.push(Refused::new("spec.volumeMode", IMMUTABLE));
    }
    found.extend(size(was, will, is_bound, facts));
    found
}

fn size(was: &Value, will: &Value, is_bound: bool, facts: &Facts) -> Option<Refused> {
    let (from, to) = (quantity(was, SIZE_AT)?, quantity(will, SIZE_AT)?);
    if from == to {
        return None;
    }
    // Nothing is known of the phase of a claim that was only rendered.
    if !is_bound {
        return at(was, "/status/phase").is_some().then(|| Refused::new(SIZE, "cannot be changed before it is bound"));
    }
    let capacity = quantity(was, "/status/capacity/storage").unwrap_or(from);
    if to.billionths() < capacity.billionths() {
        return Some(Refused::new(SIZE, "cannot become less than the volume has"));
    }
    let class = text(was, "/spec/storageClassName")?;
    let class = facts.cluster.iter().find(|(key, _)| key.kind == "StorageClass" && key.name == class)?.1;
    let grows = to.billionths() > from.billionths();
    (grows && !is_set(class, "/allowVolumeExpansion")).then(|| Refused::new(SIZE, "cannot grow: its class forbids it"))
}

pub(super) fn volume(was: &Value, will: &Value) -> Vec<Refused> {
    const FREE: [&str; 9] = [
        "capacity",
        "accessModes",
        "claimRef",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "mountOptions",
        "volumeMode",
        "nodeAffinity",
        "volumeAttributesClassName",
    ];
    let source = |body| without(body, "/spec", &FREE);
    let mut found: Vec<Refused> = differing(&source(was), &source(will), "spec")
        .into_iter()
        .map(|field| Refused::new(field, IMMUTABLE))
        .collect();
    let mode = |body| at(body, "/spec/volumeMode").cloned().or_else(|| Some("Filesystem".into()));
    if !is_same(mode(was).as_ref(), mode(will).as_ref()) {
        found.push(Refused::new("spec.volumeMode", IMMUTABLE));
    }
    found
}
