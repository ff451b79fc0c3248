//! Volumes and their classes: R1, R18, R19.

use super::super::phrase::{counted, say};
use super::body::{annotation, at, is_set, quantity, replicas, text};
use super::{Case, Finding};

const DEFAULT_CLASS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "snapshot.storage.kubernetes.io/is-default-class"];

/// R1: what holds data goes.
pub(super) fn volumes_deleted(case: &Case<'_>) -> Vec<Finding> {
    let retention = |when: &str| {
        let policy =
            case.was().and_then(|body| text(body, &format!("/spec/persistentVolumeClaimRetentionPolicy/{when}")));
        policy == Some("Delete")
    };
    let says = match (&*case.key.group, &*case.key.kind) {
        ("", "PersistentVolumeClaim") if case.is_deleted() => claim_deleted(case),
        ("", "PersistentVolume") if case.is_deleted() => {
            let policy = case.was().and_then(|body| text(body, "/spec/persistentVolumeReclaimPolicy"));
            say(&format!("deletes PersistentVolume {{}} ({})", fate(policy)), &[&case.place()])
        }
        ("apps", "StatefulSet") if case.is_deleted() && retention("whenDeleted") => say(
            "deletes StatefulSet {} and, as its persistentVolumeClaimRetentionPolicy says, the claims of its pods",
            &[&case.place()],
        ),
        ("apps", "StatefulSet") if retention("whenScaled") => {
            let (Some(old), Some(new)) = (case.old, case.new) else { return vec![] };
            let fewer = replicas(old).saturating_sub(replicas(new));
            if fewer == 0 {
                return vec![];
            }
            let pods = counted(fewer, "pod");
            say(
                &format!("scales StatefulSet {{}} down: the claims of {pods} are deleted (whenScaled is Delete)"),
                &[&case.place()],
            )
        }
        _ => return vec![],
    };
    vec![Finding::red(1, says)]
}

fn claim_deleted(case: &Case<'_>) -> super::Phrase {
    let Some(body) = case.was() else { return say("deletes PersistentVolumeClaim {}", &[&case.place()]) };
    let size = text(body, "/status/capacity/storage").or_else(|| text(body, "/spec/resources/requests/storage"));
    let bound = match case.live.and_then(|live| text(live, "/status/phase")) {
        Some("Bound") => ", bound",
        Some(_) => ", not bound",
        None => "",
    };
    let volume = text(body, "/spec/volumeName").and_then(|name| case.scene.find("", "PersistentVolume", name));
    let class = || {
        let name = text(body, "/spec/storageClassName")?;
        // The default of a class is Delete.
        Some(text(case.scene.find("storage.k8s.io", "StorageClass", name)?, "/reclaimPolicy").unwrap_or("Delete"))
    };
    let policy = volume.and_then(|volume| text(volume, "/spec/persistentVolumeReclaimPolicy")).or_else(class);
    let fate = fate(policy);
    match size {
        Some(size) => {
            say(&format!("deletes PersistentVolumeClaim {{}} ({{}}{bound}; {fate})"), &[&case.place(), &size])
        }
        None => say(&format!("deletes PersistentVolumeClaim {{}} ({fate})"), &[&case.place()]),
    }
}

fn fate(policy: Option<&str>) -> &'static str {
    match policy {
        Some("Delete") => "reclaim policy Delete: the data is lost",
        Some("Retain") => "reclaim policy Retain: the volume stays",
        Some(_) => "the volume is wiped",
        None => "the reclaim policy of its volume is not known",
    }
}

/// R18: another class is the default.
pub(super) fn classes(case: &Case<'_>) -> Vec<Finding> {
    if !matches!(&*case.key.kind, "StorageClass" | "VolumeSnapshotClass") {
        return vec![];
    }
    let is_default = |body: Option<&serde_json::Value>| {
        body.is_some_and(|body| DEFAULT_CLASS.iter().any(|name| annotation(body, name) == Some("true")))
    };
    let kind = case.kind();
    match (is_default(case.old), is_default(case.new)) {
        (false, true) => {
            vec![Finding::yellow(18, say(&format!("makes {kind} {{}} the default"), &[&case.place()]))]
        }
        (true, false) => {
            vec![Finding::yellow(18, say(&format!("{kind} {{}} is the default no longer"), &[&case.place()]))]
        }
        _ => vec![],
    }
}

/// R19: a claim shrinks, or grows where its class does not allow it. Both are refused.
pub(super) fn resized(case: &Case<'_>) -> Vec<Finding> {
    const SIZE: &str = "/spec/resources/requests/storage";
    let (true, Some(was), Some(new)) = (case.is("", "PersistentVolumeClaim"), case.was(), case.new) else {
        return vec![];
    };
    let (Some(from), Some(to)) = (quantity(was, SIZE), quantity(new, SIZE)) else { return vec![] };
    let sizes =
        || [at(was, SIZE), at(new, SIZE)].map(|size| size.and_then(|s| s.as_str()).unwrap_or_default().to_owned());
    let told = |why: &str| {
        let [from, to] = sizes();
        let template =
            format!("changes PersistentVolumeClaim {{}} from {{}} to {{}}, which the API server refuses: {why}");
        vec![Finding::red(19, say(&template, &[&case.place(), &from, &to]))]
    };
    if to.billionths() < from.billionths() {
        return told("a claim cannot shrink");
    }
    let class = text(was, "/spec/storageClassName");
    let class = class.and_then(|name| case.scene.find("storage.k8s.io", "StorageClass", name));
    match class {
        Some(class) if to.billionths() > from.billionths() && !is_set(class, "/allowVolumeExpansion") => {
            told("its class does not allow growth")
        }
        _ => vec![],
    }
}
