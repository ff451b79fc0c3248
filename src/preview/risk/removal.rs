//! What goes as a whole: namespaces, definitions, applications, environments. R2, R3, R9, R10.

use super::super::phrase::{counted, listed, say};
use super::super::{ApplicationPreview, Held, HeldBecause, Leftovers, Outcome, Removal};
use super::body::text;
use super::{Case, Finding};

/// R2: a namespace goes, and everything in it.
pub(super) fn namespace(case: &Case<'_>) -> Vec<Finding> {
    if !case.is("", "Namespace") || !case.is_deleted() {
        return vec![];
    }
    let managed = case.scene.facts().managed.get(&case.key.name);
    let counts: Vec<String> = managed.into_iter().flatten().map(|(kind, count)| format!("{count} × {kind}")).collect();
    let says = match counts.is_empty() {
        true => say("deletes Namespace {} with everything in it", &[&case.key.name]),
        false => say("deletes Namespace {} with everything in it: ", &[&case.key.name])
            .then(listed(&counts, 6))
            .then(say(", and whatever else lives there", &[])),
    };
    vec![Finding::red(2, says)]
}

/// R3: a definition goes, and all its instances.
pub(super) fn definition(case: &Case<'_>) -> Vec<Finding> {
    if !case.is("apiextensions.k8s.io", "CustomResourceDefinition") || !case.is_deleted() {
        return vec![];
    }
    let known = case.scene.facts().instances.get(&case.key.name).copied();
    let rendered = || {
        let body = case.old?;
        let (group, kind) = (text(body, "/spec/group")?, text(body, "/spec/names/kind")?);
        let count = case.scene.base.of_kind(group, kind).count() as u64;
        (count > 0).then_some(count)
    };
    let says = match known.or_else(rendered) {
        Some(0) => say("deletes CustomResourceDefinition {}, which has no instances", &[&case.key.name]),
        Some(count) => {
            let (instances, go) = (counted(count, "instance"), if count == 1 { "goes" } else { "go" });
            let template = format!("deletes CustomResourceDefinition {{}}: its {instances} {go} with it");
            say(&template, &[&case.key.name])
        }
        None => say("deletes CustomResourceDefinition {}: all its instances go with it", &[&case.key.name]),
    };
    vec![Finding::red(3, says)]
}

/// R9, R10, and R23 of a destination: what becomes of the application itself.
pub(super) fn of_application(application: &ApplicationPreview) -> Vec<Finding> {
    match &application.outcome {
        Outcome::Removed(removal) => vec![removed(removal)],
        Outcome::Held(held) => vec![self::held(held)],
        Outcome::Planned(planned) => planned.guarded.iter().map(held).collect(),
        Outcome::Failed(_) => vec![],
    }
}

fn removed(removal: &Removal) -> Finding {
    let count = removal.changes.len() as u64;
    let objects = counted(count, "object");
    let stay = if count == 1 { "stays" } else { "stay" };
    match (&removal.moves_to, removal.objects) {
        (Some(cluster), Leftovers::Go) => {
            Finding::red(23, say(&format!("moves to cluster {{}}: {objects} would be deleted here"), &[cluster]))
        }
        (Some(cluster), Leftovers::Stay) => Finding::red(
            23,
            say(&format!("moves to cluster {{}}: {objects} {stay} here, managed by nobody"), &[cluster]),
        ),
        (None, Leftovers::Go) => Finding::red(9, say(&format!("is removed, and its {objects} with it"), &[])),
        (None, Leftovers::Stay) => {
            Finding::red(9, say(&format!("is removed; its {objects} {stay}, managed by nobody"), &[]))
        }
    }
}

fn held(held: &Held) -> Finding {
    let why = match held.because {
        HeldBecause::DirectoryGone => "its cluster directory is gone",
        HeldBecause::Empty => "it renders to nothing",
        HeldBecause::Shrunk => "much goes at once",
    };
    let template = format!(
        "would be held: needs confirmation, for {why} ({} of {} would be deleted)",
        held.prunes,
        counted(held.of as u64, "object")
    );
    Finding::red(10, say(&template, &[]))
}
