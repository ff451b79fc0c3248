//! What an Application reports of itself: the words and shapes that Argo CD's clients read.
//!
//! **In:** the Application, what a comparison found. **Out:** its new status, and the smallest merge patch from the
//! old one. **May not:** do I/O or read a clock. Fields and words: SEMANTICS a.5.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};

use crate::api::argo::{
    Application, ApplicationStatus, ComparedTo, Condition, HealthStatus, HistoryEntry, OperationState, ResourceStatus,
    Summary, SyncState, SyncStatus,
};
use crate::health::{self, Verdict};
use crate::plan::{Comparison, Plan};

/// What a comparison found.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The commits that were compared to; empty when git could not be read.
    pub revisions: &'a [String],
    /// `None` when git or the cluster could not be read: then resources stay as they were reported last.
    pub plan: Option<&'a Plan>,
    /// What a person should know; times are filled in here.
    pub conditions: Vec<Condition>,
    /// `Kustomize`, `Directory`; one for each source.
    pub source_types: Vec<String>,
    /// Images of the rendered objects, sorted.
    pub images: Vec<String>,
    /// Applications are among the rendered objects.
    pub is_app_of_apps: bool,
    /// Git was resolved anew for this comparison.
    pub resolved: bool,
    /// The time.
    pub now: Timestamp,
}

/// The Application's status after a comparison; its operation and history stay.
pub fn compared(application: &Application, found: &Found<'_>) -> ApplicationStatus {
    let mut status = application.status.clone().unwrap_or_default();
    let spec = &application.spec;
    let several = spec.has_several_sources();
    status.sync = SyncState {
        status: found.plan.map_or(SyncStatus::Unknown, Plan::sync_status),
        compared_to: ComparedTo {
            source: if several { None } else { spec.source.clone() },
            sources: if several { spec.sources.clone() } else { Vec::new() },
            destination: spec.destination.clone(),
            ignore_differences: spec.ignore_differences.clone(),
        },
        revision: match found.revisions.first() {
            Some(revision) if !several => revision.clone(),
            Some(_) => String::new(),
            // Git could not be read: what was compared to last is still the best answer.
            None => status.sync.revision.clone(),
        },
        revisions: if several { found.revisions.to_vec() } else { Vec::new() },
    };
    if let Some(plan) = found.plan {
        status.resources = plan.resources.iter().map(resource).collect();
        let verdict = health::application(plan.resources.iter().map(part));
        status.health = health_status(&verdict, &status.health, found.now);
        status.summary = Summary {
            images: found.images.clone(),
            is_app_of_apps: found.is_app_of_apps,
            external_urls: status.summary.external_urls.clone(),
        };
        if several {
            status.source_types.clone_from(&found.source_types);
        } else {
            status.source_type = found.source_types.first().cloned();
        }
    } else if status.health.status.is_none() {
        status.health.status = Some("Unknown".into());
    }
    status.conditions = dated(found.conditions.clone(), &status.conditions, found.now);
    status.controller_namespace = application.metadata.namespace.clone();
    if found.resolved || status.reconciled_at.is_none() {
        status.reconciled_at = Some(Time(found.now));
    }
    status
}

fn part(resource: &Comparison) -> health::Part<'_> {
    health::Part {
        key: &resource.key,
        is_live: resource.is_live,
        is_ignored: !resource.health_counts,
        verdict: resource.health.as_ref(),
    }
}

fn resource(found: &Comparison) -> ResourceStatus {
    let health = match (&found.health, found.is_live) {
        (Some(verdict), true) => Some(HealthStatus {
            status: Some(verdict.status.as_str().into()),
            message: verdict.message.to_string(),
            last_transition_time: None,
        }),
        (None, true) => None,
        (_, false) => Some(HealthStatus { status: Some("Missing".into()), ..HealthStatus::default() }),
    };
    ResourceStatus {
        group: found.key.group.to_string(),
        version: found.version.to_string(),
        kind: found.key.kind.to_string(),
        namespace: found.key.namespace.as_deref().unwrap_or_default().to_owned(),
        name: found.key.name.to_string(),
        status: Some(found.status),
        health,
        hook: false,
        requires_pruning: found.requires_pruning,
        sync_wave: (found.wave.0 != 0).then(|| found.wave.0.into()),
        requires_deletion_confirmation: found.requires_confirmation,
    }
}

fn health_status(verdict: &Verdict, before: &HealthStatus, now: Timestamp) -> HealthStatus {
    let word = verdict.status.as_str();
    let same = before.status.as_deref() == Some(word);
    HealthStatus {
        status: Some(word.into()),
        message: verdict.message.to_string(),
        last_transition_time: before.last_transition_time.clone().filter(|_| same).or(Some(Time(now))),
    }
}

/// Conditions with the time since when they say what they say.
fn dated(conditions: Vec<Condition>, before: &[Condition], now: Timestamp) -> Vec<Condition> {
    conditions
        .into_iter()
        .map(|condition| {
            let known = before.iter().find(|known| known.kind == condition.kind && known.message == condition.message);
            let since = known.and_then(|known| known.last_transition_time.clone()).unwrap_or(Time(now));
            Condition { last_transition_time: Some(since), ..condition }
        })
        .collect()
}

/// Adds a full, successful sync to the history; the oldest entries go when it gets too long.
pub fn remember(status: &mut ApplicationStatus, application: &Application, state: &OperationState) {
    let limit = application.spec.history_limit();
    let Some(result) = &state.sync_result else { return };
    let id = status.history.last().map_or(0, |last| last.id + 1);
    status.history.push(HistoryEntry {
        revision: result.revision.clone(),
        revisions: result.revisions.clone(),
        deployed_at: state.finished_at.clone(),
        deploy_started_at: state.started_at.clone(),
        id,
        source: result.source.clone(),
        sources: result.sources.clone(),
        initiated_by: Some(state.operation.initiated_by.clone()),
    });
    let surplus = status.history.len().saturating_sub(limit);
    status.history.drain(..surplus);
}

/// The smallest JSON merge patch (RFC 7386) that makes `after` of `before`; `None` when they are equal.
pub fn merge_patch(before: &Value, after: &Value) -> Option<Value> {
    match (before, after) {
        (before, after) if before == after => None,
        (Value::Object(before), Value::Object(after)) => {
            let mut patch = Map::new();
            for (key, value) in after {
                match before.get(key) {
                    Some(known) => drop(merge_patch(known, value).map(|change| patch.insert(key.clone(), change))),
                    None => drop(patch.insert(key.clone(), value.clone())),
                }
            }
            for key in before.keys().filter(|key| !after.contains_key(*key)) {
                patch.insert(key.clone(), Value::Null);
            }
            Some(Value::Object(patch))
        }
        (_, after) => Some(after.clone()),
    }
}

/// The images of an object's containers and volumes, wherever its pod template stands.
pub fn images(body: &Value, found: &mut std::collections::BTreeSet<String>) {
    match body {
        Value::Object(map) => {
            for (key, value) in map {
                let pointer = match key.as_str() {
                    "containers" | "initContainers" | "ephemeralContainers" => Some("/image"),
                    "volumes" => Some("/image/reference"),
                    _ => None,
                };
                if let (Some(pointer), Value::Array(items)) = (pointer, value) {
                    let images = items.iter().filter_map(|item| item.pointer(pointer)?.as_str());
                    found.extend(images.map(str::to_owned));
                }
                images(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| images(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_names_only_what_changed() {
        let cases = [
            // before                     after                        patch
            (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 2}), None),
            (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}), Some(json!({"b": 3}))),
            (json!({"a": {"x": 1, "y": 2}}), json!({"a": {"x": 1}}), Some(json!({"a": {"y": null}}))),
            (json!({"a": [1, 2]}), json!({"a": [1]}), Some(json!({"a": [1]}))),
            (json!({"a": 1}), json!({}), Some(json!({"a": null}))),
            (json!({}), json!({"a": {"b": 1}}), Some(json!({"a": {"b": 1}}))),
        ];
        for (before, after, expected) in cases {
            assert_eq!(merge_patch(&before, &after), expected, "{before} → {after}");
        }
    }

    #[test]
    fn a_condition_keeps_the_time_since_when_it_is_so() {
        let condition = |message: &str, time: Option<i64>| Condition {
            kind: Condition::SYNC.into(),
            message: message.into(),
            last_transition_time: time.map(|second| Time(Timestamp::from_second(second).unwrap())),
        };
        let now = Timestamp::from_second(100).unwrap();
        let before = [condition("boom", Some(7))];
        assert_eq!(dated(vec![condition("boom", None)], &before, now), [condition("boom", Some(7))]);
        assert_eq!(dated(vec![condition("bang", None)], &before, now), [condition("bang", Some(100))]);
    }

    #[test]
    fn images_are_found_in_any_pod_template() {
        let body = json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {
            "initContainers": [{"name": "i", "image": "init:1"}], "containers": [{"name": "c", "image": "web:2"}, {"name": "d"}],
            "ephemeralContainers": [{"name": "e", "image": "shell:3"}],
            "volumes": [{"name": "v", "image": {"reference": "model:4"}}, {"name": "w", "emptyDir": {}}]}}}}}});
        let mut found = std::collections::BTreeSet::new();
        images(&body, &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["init:1", "model:4", "shell:3", "web:2"]);
    }
}
