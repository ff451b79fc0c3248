//! Whether what git wants fits a namespace's quota: R17.

use serde_json::Value;

use crate::object::ObjectKey;
use crate::object::quantity::Quantity;

use super::super::phrase::say;
use super::body::{containers, entries, replicas, template};
use super::{Finding, Index, Scene};

/// Quotas that held what the base asks for and not what the merge result does.
pub(super) fn exceeded(scene: &Scene<'_>) -> Vec<(ObjectKey, Finding)> {
    let rendered = scene.merged.of_kind("", "ResourceQuota").map(|object| (&object.key, &object.body));
    let live = scene.facts().cluster.iter().filter(|(key, _)| key.kind == "ResourceQuota" && key.group.is_empty());
    let live = live.filter(|(key, _)| scene.merged.get(key).is_none());
    let mut found = Vec::new();
    for (key, quota) in rendered.chain(live) {
        for (resource, limit) in entries(quota, "/spec/hard").into_iter().flatten() {
            let Some(limit) = Quantity::from_value(limit) else { continue };
            let (before, after) = (asked(&scene.base, key, resource), asked(&scene.merged, key, resource));
            let (Some(before), Some(after)) = (before, after) else { continue };
            // Others live in the namespace too: what is used there already is known of a live quota.
            let used = entries(quota, "/status/used").and_then(|used| Quantity::from_value(used.get(resource)?));
            let after = after.max(used.map_or(after, |used| used.billionths().saturating_add(after - before)));
            if after <= limit.billionths() || after <= before {
                continue;
            }
            let says = say(
                "what git wants exceeds ResourceQuota {}: {} of {}, {} allowed",
                &[&super::place(key), &written(after, resource), resource, &shown(quota, resource)],
            );
            found.push((key.clone(), Finding::yellow(17, says)));
        }
    }
    found
}

/// True when an object asks for more than it did of what a quota limits.
pub(in super::super) fn may_take_more(before: Option<&Value>, after: Option<&Value>) -> bool {
    let Some(new) = after.filter(|body| template(body).is_some()) else { return false };
    let Some(old) = before else { return true };
    let resources = |body| -> Vec<&Value> {
        let containers = template(body).into_iter().flat_map(containers);
        containers.map(|container| &container["resources"]).collect()
    };
    replicas(new) > replicas(old) || resources(new) != resources(old)
}

/// What all workloads of a namespace ask for together, in billionths; `None` of what cannot be summed.
fn asked(index: &Index<'_>, quota: &ObjectKey, resource: &str) -> Option<i128> {
    let field = match resource {
        "pods" | "count/pods" => None,
        "cpu" | "requests.cpu" => Some("/resources/requests/cpu"),
        "memory" | "requests.memory" => Some("/resources/requests/memory"),
        "limits.cpu" => Some("/resources/limits/cpu"),
        "limits.memory" => Some("/resources/limits/memory"),
        _ => return None,
    };
    let workloads = index.workloads().filter(|(object, _)| {
        // How many pods these make depends on time or on the nodes.
        object.key.namespace == quota.namespace && !matches!(&*object.key.kind, "CronJob" | "DaemonSet")
    });
    let sum = workloads.map(|(object, template)| {
        let one: i128 = match field {
            None => 1_000_000_000,
            Some(field) => containers(template)
                .filter_map(|container| Quantity::from_value(container.pointer(field)?))
                .map(|quantity| quantity.billionths())
                .sum(),
        };
        one.saturating_mul(i128::from(replicas(&object.body)))
    });
    Some(sum.sum())
}

fn written(billionths: i128, resource: &str) -> String {
    const BILLION: i128 = 1_000_000_000;
    let whole = billionths / BILLION;
    if resource.ends_with("memory") {
        return format!("{}Mi", whole >> 20);
    }
    match billionths % BILLION {
        0 => whole.to_string(),
        _ => format!("{}m", billionths / 1_000_000),
    }
}

fn shown(quota: &Value, resource: &str) -> String {
    let limit = quota.pointer("/spec/hard").and_then(|hard| hard.get(resource));
    limit.map(|limit| limit.as_str().map_or_else(|| limit.to_string(), str::to_owned)).unwrap_or_default()
}
