//! What rules over the delivery itself: R23, R26, R27, R31, and Secrets in plain text.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::object::{annotation, secret};
use crate::plan::Refusal;

use super::super::phrase::{counted, listed, say};
use super::super::{ApplicationPreview, ChangeKind, Live, Manager, Outcome};
use super::body::{annotation as annotation_of, at, entries, is_set, items, text, texts};
use super::{Case, Finding, Rule, Severity};

/// R23: who delivers what where, and how carefully.
pub(super) fn weakened(case: &Case<'_>) -> Vec<Finding> {
    let (Some(old), Some(new)) = (case.old, case.new) else { return vec![] };
    let kind = case.kind();
    let (spec, is_application) = match (&*case.key.group, &*case.key.kind) {
        ("argoproj.io", "Application") | ("leeboard.dev", "Environment") => ("/spec", true),
        ("argoproj.io", "ApplicationSet") => ("/spec/template/spec", true),
        ("argoproj.io", "AppProject") => ("/spec", false),
        ("leeboard.dev", _) => ("/spec", false),
        _ => return vec![],
    };
    let place = case.place();
    let mut found = Vec::new();
    if is_application {
        let destination = |body: &Value| {
            let field = |name: &str| text(body, &format!("{spec}/destination/{name}")).map(str::to_owned);
            (field("name").or_else(|| field("server")), field("namespace"))
        };
        let (from, to) = (destination(old), destination(new));
        if from != to {
            let shown = |(cluster, namespace): &(Option<String>, Option<String>)| {
                let parts: Vec<&str> = [cluster.as_deref(), namespace.as_deref()].into_iter().flatten().collect();
                if parts.is_empty() { "in-cluster".to_owned() } else { parts.join("/") }
            };
            let template = format!("{kind} {{}} moves from {{}} to {{}}");
            found.push(Finding::red(23, say(&template, &[&place, &shown(&from), &shown(&to)])));
        }
        let project = |body| text(body, &format!("{spec}/project")).unwrap_or("default").to_owned();
        if project(old) != project(new) {
            let template = format!("{kind} {{}} goes from project {{}} to {{}}");
            found.push(Finding::yellow(23, say(&template, &[&place, &project(old), &project(new)])));
        }
        let changes = switches(old, new, spec);
        if !changes.is_empty() {
            let says = say(&format!("{kind} {{}} syncs less carefully: "), &[&place]).then(listed(&changes, 5));
            found.push(Finding::yellow(23, says));
        }
    } else if at(old, "/spec") != at(new, "/spec") {
        let says = say(&format!("changes the rules of {kind} {{}}; this preview was judged by the base's"), &[&place]);
        found.push(Finding::yellow(23, says));
    }
    let gates = |body| -> BTreeSet<String> {
        let gates = items(body, "/spec/gates").iter().chain(items(body, "/spec/promotion/gates"));
        gates.map(|gate| text(gate, "/name").or_else(|| text(gate, "/type")).unwrap_or_default().to_owned()).collect()
    };
    let lost: Vec<String> = gates(old).difference(&gates(new)).cloned().collect();
    if !lost.is_empty() {
        let says = say(&format!("{kind} {{}} loses the gate "), &[&place]).then(listed(&lost, 4));
        found.push(Finding::yellow(23, says));
    }
    found
}

fn switches(old: &Value, new: &Value, spec: &str) -> Vec<String> {
    let automated = format!("{spec}/syncPolicy/automated");
    let is_on = |body: &Value| {
        at(body, &automated).is_some() && at(body, &format!("{automated}/enabled")) != Some(&false.into())
    };
    let mut changes = Vec::new();
    if is_on(old) != is_on(new) {
        changes.push(if is_on(new) { "automated on".to_owned() } else { "automated off".to_owned() });
    }
    for (field, dangerous) in [("prune", true), ("allowEmpty", true), ("selfHeal", false)] {
        let value = |body| is_set(body, &format!("{automated}/{field}"));
        if value(old) != value(new) && value(new) == dangerous {
            changes.push(format!("{field} {}", if dangerous { "on" } else { "off" }));
        }
    }
    changes
}

/// R24, R26, R27, R10: what stands against the whole sync.
pub(super) fn refusals(application: &ApplicationPreview) -> Vec<Finding> {
    let Outcome::Planned(planned) = &application.outcome else { return vec![] };
    let finding = |refusal: &Refusal| {
        let rule = match refusal {
            Refusal::Denied { .. } => 26,
            Refusal::NoKind { .. } => 24,
            Refusal::Shared { .. } => 27,
            Refusal::WouldEmpty => 10,
            Refusal::NoNamespace { .. } | Refusal::Duplicate { .. } | Refusal::Malformed { .. } => 25,
        };
        let says = match refusal {
            Refusal::WouldEmpty => say("would be held: needs confirmation, for it renders to nothing", &[]),
            Refusal::Denied { key, .. } => say("would not be synced: {}: {}", &[key, refusal]),
            refusal => say("would not be synced: {}", &[refusal]),
        };
        Finding::red(rule, says)
    };
    planned.refusals.iter().map(finding).collect()
}

/// R27: it is there already, and not this application's.
pub(super) fn foreign(case: &Case<'_>) -> Vec<Finding> {
    let Live::Hidden(manager) = &case.change.live else { return vec![] };
    if case.new.is_none() || matches!(case.change.kind, ChangeKind::Transferred { .. }) {
        return vec![];
    }
    let (kind, place) = (case.kind(), case.place());
    let (severity, says) = match manager {
        Manager::Application(name) => (
            Severity::Red,
            say(
                &format!("{kind} {{}} exists in the cluster, managed by application {{}}: contents not shown"),
                &[&place, name],
            ),
        ),
        Manager::Tool(name) => (
            Severity::Yellow,
            say(&format!("{kind} {{}} exists in the cluster, managed by {{}}: contents not shown"), &[&place, name]),
        ),
        Manager::Nobody => (
            Severity::Yellow,
            say(&format!("{kind} {{}} exists in the cluster, managed by nobody: contents not shown"), &[&place]),
        ),
    };
    vec![Finding::new(27, severity, says)]
}

/// R31: what holds deletions up or back.
pub(super) fn marks(case: &Case<'_>) -> Vec<Finding> {
    let (Some(old), Some(new)) = (case.old, case.new) else { return vec![] };
    let (kind, place) = (case.kind(), case.place());
    let mut found = Vec::new();
    let finalizers = |body| texts(body, "/metadata/finalizers").map(str::to_owned).collect::<BTreeSet<_>>();
    let (before, after) = (finalizers(old), finalizers(new));
    for (names, what) in [(after.difference(&before), "gets"), (before.difference(&after), "loses")] {
        let names: Vec<String> = names.cloned().collect();
        if !names.is_empty() {
            let says = say(&format!("{kind} {{}} {what} the finalizer "), &[&place]).then(listed(&names, 3));
            found.push(Finding::info(31, says));
        }
    }
    let options = |body| -> BTreeSet<String> {
        let options = annotation_of(body, annotation::SYNC_OPTIONS).unwrap_or_default().split(',').map(str::trim);
        options.filter(|option| matches!(*option, "Prune=false" | "Delete=false")).map(str::to_owned).collect()
    };
    let (before, after) = (options(old), options(new));
    for (names, what) in [(after.difference(&before), "gets"), (before.difference(&after), "loses")] {
        let names: Vec<String> = names.cloned().collect();
        if !names.is_empty() {
            found.push(Finding::info(31, say(&format!("{kind} {{}} {what} "), &[&place]).then(listed(&names, 2))));
        }
    }
    found
}

/// A Secret whose values stand in git as they are.
pub(super) fn plain_secret(case: &Case<'_>) -> Vec<Finding> {
    let Some(new) = case.new.filter(|_| secret::is_secret(case.key)) else { return vec![] };
    if at(new, "/sops").is_some() || case.old.is_some_and(|old| at(old, "/sops").is_some()) {
        return vec![];
    }
    let values = ["/data", "/stringData"].into_iter().filter_map(|field| entries(new, field));
    let is_plain = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty() && !text.starts_with("ENC["));
    let count = values.flat_map(serde_json::Map::values).filter(|value| is_plain(value)).count() as u64;
    if count == 0 {
        return vec![];
    }
    let says = say(&format!("plain Secret in git: {{}} with {}", counted(count, "value")), &[&case.place()]);
    vec![Finding { rule: Rule::PlainSecret, severity: Severity::Yellow, says }]
}
