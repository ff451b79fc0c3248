//! The rule for kinds that have none of their own: what kstatus reads from generation and conditions.
//!
//! Source of the rule: sigs.k8s.io/cli-utils `pkg/kstatus`. A kind that reports nothing is healthy;
//! `Ready=False` alone is progress, since a controller says it from its first pass on.

use super::fields::Fields;
use super::{Health, Verdict};

pub(super) fn verdict(object: Fields) -> Verdict {
    if let Some(stalled) = object.condition("Stalled").filter(|c| c.is_true()) {
        return Verdict::new(Health::Degraded, stalled.message);
    }
    if let Some(reconciling) = object.condition("Reconciling").filter(|c| c.is_true()) {
        return Verdict::new(Health::Progressing, reconciling.message);
    }
    // A status that names no generation says nothing about how old it is.
    if object.at("status.observedGeneration").is_some() && object.is_stale() {
        let (generation, observed) = (object.count("metadata.generation"), object.count("status.observedGeneration"));
        let message = format!("generation {generation} is not observed yet, status is of {observed}");
        return Verdict::new(Health::Progressing, message);
    }
    match object.condition("Ready") {
        Some(ready) if ready.is_true() => Verdict::new(Health::Healthy, ready.message),
        Some(ready) => Verdict::new(Health::Progressing, ready.message),
        None => Verdict::new(Health::Healthy, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn conditions_decide_in_their_order() {
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "message": kind});
        let cases: &[(&str, Value, Health)] = &[
            // what, conditions, verdict
            ("nothing to look at", json!([]), Health::Healthy),
            ("ready", json!([condition("Ready", "True")]), Health::Healthy),
            ("not ready", json!([condition("Ready", "False")]), Health::Progressing),
            ("not known", json!([condition("Ready", "Unknown")]), Health::Progressing),
            ("reconciling", json!([condition("Ready", "True"), condition("Reconciling", "True")]), Health::Progressing),
            ("stalled", json!([condition("Reconciling", "True"), condition("Stalled", "True")]), Health::Degraded),
            ("not stalled", json!([condition("Stalled", "False"), condition("Ready", "True")]), Health::Healthy),
            ("other conditions", json!([condition("Synced", "False")]), Health::Healthy),
        ];
        for (what, conditions, expected) in cases {
            let object = json!({"status": {"conditions": conditions}});
            assert_eq!(verdict(Fields(&object)).status, *expected, "{what}");
        }
    }

    #[test]
    fn an_old_status_does_not_count() {
        let object = |generation: i64, observed: Value| {
            json!({
                "metadata": {"generation": generation},
                "status": {"observedGeneration": observed, "conditions": [{"type": "Ready", "status": "True"}]},
            })
        };
        for (generation, observed, expected) in
            [(2, json!(1), Health::Progressing), (2, json!(2), Health::Healthy), (2, Value::Null, Health::Healthy)]
        {
            assert_eq!(verdict(Fields(&object(generation, observed.clone()))).status, expected, "{observed}");
        }
    }
}
