//! PodDisruptionBudgets: one for the target's pods protects nothing once users reach the primary, so the primary has a
//! copy. Flagger makes none.

use serde_json::{Map, Value, json};

use super::{Flags, Metadata, PRIMARY_SUFFIX, Target, included, is_owned, new_object, owned, texts};
use crate::api::flagger::Canary;
use crate::object::Object;

/// Copies of the budgets whose selector is the target's own.
pub fn copies<'a>(
    canary: &Canary,
    target: &Target<'_>,
    budgets: impl IntoIterator<Item = &'a Object>,
    flags: &Flags,
) -> Vec<Object> {
    let selector = |object: &Object| object.body["spec"]["selector"].clone();
    let wanted = selector(target.object);
    let of_target = budgets.into_iter().filter(|budget| selector(budget) == wanted && !is_owned(budget, canary));
    let copy = |budget: &Object| {
        let mut spec = Map::new();
        for field in ["minAvailable", "maxUnavailable", "unhealthyPodEvictionPolicy"] {
            if let Some(value) = budget.body["spec"].get(field).filter(|value| !value.is_null()) {
                spec.insert(field.to_owned(), value.clone());
            }
        }
        spec.insert("selector".into(), json!({"matchLabels": {&target.label: target.primary_value()}}));
        let content = [("spec".to_owned(), Value::Object(spec))].into_iter().collect();
        let own = Metadata { labels: included(texts(&budget.body, "labels"), flags), ..Metadata::default() };
        let name = format!("{}{PRIMARY_SUFFIX}", budget.key.name);
        owned(canary, new_object(canary, "policy/v1", "PodDisruptionBudget", &name, own, content))
    };
    of_target.map(copy).collect()
}
