//! Canaries that go, and analyses that look less closely: R21, R22.

use serde_json::Value;

use super::super::phrase::{listed, say};
use super::body::{at, is_set, items, name, text};
use super::{Case, Finding};

fn is_canary(case: &Case<'_>) -> bool {
    case.is("flagger.app", "Canary")
}

/// R21: its target stays at no pods, and all that serves goes with it.
pub(super) fn deleted(case: &Case<'_>) -> Vec<Finding> {
    let Some(body) = case.was().filter(|_| is_canary(case) && case.is_deleted()) else { return vec![] };
    if is_set(body, "/spec/revertOnDeletion") {
        return vec![];
    }
    let target = text(body, "/spec/targetRef/name").unwrap_or_default();
    let says =
        say("deletes Canary {}, which has no revertOnDeletion: nothing would serve {}", &[&case.place(), &target]);
    vec![Finding::red(21, says)]
}

/// R22: a version that was stopped before would pass now.
pub(super) fn weakened(case: &Case<'_>) -> Vec<Finding> {
    let (true, Some(old), Some(new)) = (is_canary(case), case.old, case.new) else { return vec![] };
    let mut what: Vec<String> = Vec::new();
    if is_set(new, "/spec/skipAnalysis") && !is_set(old, "/spec/skipAnalysis") {
        what.push("skipAnalysis: true".into());
    }
    let failures = |body| at(body, "/spec/analysis/threshold").and_then(Value::as_f64);
    if let (Some(before), Some(after)) = (failures(old), failures(new))
        && after > before
    {
        what.push(format!("threshold {before} → {after}"));
    }
    let metrics = |body| items(body, "/spec/analysis/metrics");
    for before in metrics(old) {
        let metric = name(before);
        match metrics(new).iter().find(|after| name(after) == metric) {
            None => what.push(format!("metric {metric} removed")),
            Some(after) => what.extend(loosened(metric, before, after)),
        }
    }
    if what.is_empty() {
        return vec![];
    }
    let says = say("weakens the analysis of Canary {}: ", &[&case.place()]).then(listed(&what, 4));
    vec![Finding::yellow(22, says)]
}

fn loosened(metric: &str, before: &Value, after: &Value) -> Vec<String> {
    let bound = |body: &Value, end: &str| at(body, &format!("/thresholdRange/{end}")).and_then(Value::as_f64);
    ["min", "max"]
        .into_iter()
        .filter_map(|end| {
            let before = bound(before, end)?;
            match bound(after, end) {
                None => Some(format!("{metric} {end} removed")),
                Some(after) if (end == "min" && after < before) || (end == "max" && after > before) => {
                    Some(format!("{metric} {end} {before} → {after}"))
                }
                Some(_) => None,
            }
        })
        .collect()
}
