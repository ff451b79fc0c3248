//! Kinds of Kubernetes itself, and Argo CD's Application and Workflow: its rules and its words.
//!
//! The quirks are kept, since users know them: a claim that waits for its first consumer is progressing, a Job's
//! condition counts by its presence, an Ingress without an address never becomes healthy.

use serde_json::Value;

use super::fields::{Condition, Fields};
use super::{Health, Verdict};
use crate::object::annotation;

/// `None`: the kind is not built in. `Some(None)`: it is, and has no health.
pub(super) fn verdict(object: Fields) -> Option<Option<Verdict>> {
    let verdict = match (object.group(), object.kind()) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("", "Pod") => pod(object),
        ("batch", "Job") => job(object),
        ("batch", "CronJob") => cron_job(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        ("policy", "PodDisruptionBudget") => disruption_budget(object),
        ("", "Service") => service(object),
        ("networking.k8s.io" | "extensions", "Ingress") => ingress(object),
        ("", "PersistentVolumeClaim") => volume_claim(object),
        ("apiregistration.k8s.io", "APIService") => api_service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("argoproj.io", "Application") => child_application(object),
        ("argoproj.io", "Workflow") => workflow(object),
        ("argoproj.io", "AppProject") => return Some(None),
        (group, _) if is_builtin(group) => return Some(None),
        _ => return None,
    };
    Some(Some(verdict))
}

/// Groups that the API server serves itself.
fn is_builtin(group: &str) -> bool {
    matches!(
        group,
        "" | "admissionregistration.k8s.io"
            | "apiextensions.k8s.io"
            | "apiregistration.k8s.io"
            | "apps"
            | "authentication.k8s.io"
            | "authorization.k8s.io"
            | "autoscaling"
            | "batch"
            | "certificates.k8s.io"
            | "coordination.k8s.io"
            | "discovery.k8s.io"
            | "events.k8s.io"
            | "extensions"
            | "flowcontrol.apiserver.k8s.io"
            | "internal.apiserver.k8s.io"
            | "networking.k8s.io"
            | "node.k8s.io"
            | "policy"
            | "rbac.authorization.k8s.io"
            | "resource.k8s.io"
            | "scheduling.k8s.io"
            | "storage.k8s.io"
            | "storagemigration.k8s.io"
    )
}

fn healthy(message: impl Into<Box<str>>) -> Verdict {
    Verdict::new(Health::Healthy, message)
}

fn progressing(message: impl Into<Box<str>>) -> Verdict {
    Verdict::new(Health::Progressing, message)
}

fn degraded(message: impl Into<Box<str>>) -> Verdict {
    Verdict::new(Health::Degraded, message)
}

fn deployment(object: Fields) -> Verdict {
    if object.is_true("spec.paused") {
        return Verdict::new(Health::Suspended, "Deployment is paused");
    }
    if object.is_stale() {
        return progressing(
            "Waiting for rollout to finish: observed deployment generation less than desired generation",
        );
    }
    if object.condition("Progressing").is_some_and(|c| c.reason == "ProgressDeadlineExceeded") {
        return degraded(format!("Deployment \"{}\" exceeded its progress deadline", object.name()));
    }
    let updated = object.count("status.updatedReplicas");
    let available = object.count("status.availableReplicas");
    let old = object.count("status.replicas") - updated;
    let waiting = match object.integer("spec.replicas") {
        Some(wanted) if updated < wanted => format!("{updated} out of {wanted} new replicas have been updated"),
        _ if old > 0 => format!("{old} old replicas are pending termination"),
        _ if available < updated => format!("{available} of {updated} updated replicas are available"),
        _ => return healthy(""),
    };
    progressing(format!("Waiting for rollout to finish: {waiting}..."))
}

fn stateful_set(object: Fields) -> Verdict {
    if object.count("status.observedGeneration") == 0 || object.is_stale() {
        return progressing("Waiting for statefulset spec update to be observed...");
    }
    let ready = object.count("status.readyReplicas");
    let wanted = object.integer("spec.replicas");
    if let Some(wanted) = wanted.filter(|wanted| ready < *wanted) {
        return progressing(format!("Waiting for {} pods to be ready...", wanted - ready));
    }
    let updated = object.count("status.updatedReplicas");
    let strategy = object.text("spec.updateStrategy.type");
    if strategy == "RollingUpdate" && object.at("spec.updateStrategy.rollingUpdate").is_some() {
        let to_update =
            wanted.zip(object.integer("spec.updateStrategy.rollingUpdate.partition")).map(|(all, kept)| all - kept);
        return match to_update {
            Some(to_update) if updated < to_update => progressing(format!(
                "Waiting for partitioned roll out to finish: {updated} out of {to_update} new pods have been updated..."
            )),
            _ => healthy(format!("partitioned roll out complete: {updated} new pods have been updated...")),
        };
    }
    if strategy == "OnDelete" {
        return healthy(format!("statefulset has {ready} ready pods"));
    }
    let (current, update) = (object.text("status.currentRevision"), object.text("status.updateRevision"));
    if update != current {
        return progressing(format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision {update}..."
        ));
    }
    let pods = object.count("status.currentReplicas");
    healthy(format!("statefulset rolling update complete {pods} pods at revision {current}..."))
}

fn daemon_set(object: Fields) -> Verdict {
    if object.is_stale() {
        return progressing(
            "Waiting for rollout to finish: observed daemon set generation less than desired generation",
        );
    }
    let wanted = object.count("status.desiredNumberScheduled");
    let updated = object.count("status.updatedNumberScheduled");
    let available = object.count("status.numberAvailable");
    if object.text("spec.updateStrategy.type") == "OnDelete" {
        return healthy(format!("daemon set {updated} out of {wanted} new pods have been updated"));
    }
    let waiting = if updated < wanted {
        format!("{updated} out of {wanted} new pods have been updated")
    } else if available < wanted {
        format!("{available} of {wanted} updated pods are available")
    } else {
        return healthy("");
    };
    progressing(format!("Waiting for daemon set \"{}\" rollout to finish: {waiting}...", object.name()))
}

fn replica_set(object: Fields) -> Verdict {
    if object.is_stale() {
        return progressing(
            "Waiting for rollout to finish: observed replica set generation less than desired generation",
        );
    }
    if let Some(failure) = object.condition("ReplicaFailure").filter(Condition::is_true) {
        return degraded(failure.message);
    }
    let available = object.count("status.availableReplicas");
    match object.integer("spec.replicas") {
        Some(wanted) if available < wanted => progressing(format!(
            "Waiting for rollout to finish: {available} out of {wanted} new replicas are available..."
        )),
        _ => healthy(""),
    }
}

fn pod(object: Fields) -> Verdict {
    let is_hook = [annotation::HOOK, annotation::HELM_HOOK].iter().any(|name| object.annotation(name).is_some());
    let ignores_policy = object.annotation(annotation::IGNORE_RESTART_POLICY) == Some("true") && !is_hook;
    let policy = object.text("spec.restartPolicy");
    let runs_forever = policy == "Always" || ignores_policy;
    if runs_forever {
        // Not for pods that end: a hook whose image cannot be pulled yet has not failed.
        let stuck: Vec<&str> = object
            .list("status.containerStatuses")
            .filter(|container| is_stuck(container.text("state.waiting.reason")))
            .map(|container| container.text("state.waiting.message"))
            .collect();
        if !stuck.is_empty() {
            return degraded(stuck.join(", "));
        }
    }
    let message = object.text("status.message");
    match object.text("status.phase") {
        "Pending" => progressing(message),
        "Succeeded" => healthy(message),
        "Failed" if !message.is_empty() => degraded(message),
        "Failed" => {
            let containers = object.list("status.initContainerStatuses").chain(object.list("status.containerStatuses"));
            degraded(containers.map(why_ended).find(|why| !why.is_empty()).unwrap_or_default())
        }
        "Running" if runs_forever => {
            let has_ended = |container: Fields| container.at("lastState.terminated").is_some();
            if object.condition("Ready").is_some_and(|ready| ready.is_true()) {
                healthy(message)
            } else if object.list("status.containerStatuses").any(has_ended) {
                degraded(message)
            } else {
                progressing(message)
            }
        }
        "Running" if matches!(policy, "OnFailure" | "Never") => progressing(message),
        _ => Verdict::new(Health::Unknown, message),
    }
}

/// `ErrImagePull`, `CreateContainerError`, `CrashLoopBackOff` …
fn is_stuck(waiting_reason: &str) -> bool {
    waiting_reason.starts_with("Err") || waiting_reason.ends_with("Error") || waiting_reason.ends_with("BackOff")
}

fn why_ended(container: Fields) -> String {
    let (message, reason) = (container.text("state.terminated.message"), container.text("state.terminated.reason"));
    match container.count("state.terminated.exitCode") {
        _ if !message.is_empty() => message.to_owned(),
        _ if reason == "OOMKilled" => reason.to_owned(),
        0 => String::new(),
        code => format!("container \"{}\" failed with exit code {code}", container.text("name")),
    }
}

fn job(object: Fields) -> Verdict {
    if let Some(failed) = object.conditions().rfind(|c| c.kind == "Failed") {
        return degraded(failed.message);
    }
    let Some(last) = object.conditions().rfind(|c| matches!(c.kind, "Complete" | "Suspended")) else {
        return progressing("");
    };
    let is_suspended = object.conditions().any(|c| c.kind == "Suspended" && c.is_true());
    Verdict::new(if is_suspended { Health::Suspended } else { Health::Healthy }, last.message)
}

fn cron_job(object: Fields) -> Verdict {
    if object.is_true("spec.suspend") {
        return healthy("CronJob is Suspended");
    }
    if object.at("status").is_none() {
        return progressing("Waiting for the CronJob's status");
    }
    let (scheduled, succeeded) = (object.text("status.lastScheduleTime"), object.text("status.lastSuccessfulTime"));
    let is_running = object.list("status.active").next().is_some();
    // All times are UTC in seconds, so that texts compare as times do.
    match () {
        () if scheduled.is_empty() => healthy("CronJob has not been scheduled yet"),
        () if is_running => healthy("CronJob is running"),
        () if succeeded.is_empty() => healthy("CronJob has not completed an execution successfully yet"),
        () if succeeded >= scheduled => healthy("CronJob has completed its last execution successfully"),
        () => degraded("CronJob has not completed its last execution successfully"),
    }
}

fn autoscaler(object: Fields) -> Verdict {
    // Version 1 has them in an annotation.
    let from_annotation: Option<Value> = object
        .annotation("autoscaling.alpha.kubernetes.io/conditions")
        .and_then(|text| serde_json::from_str(text).ok())
        .map(|conditions: Value| serde_json::json!({"status": {"conditions": conditions}}));
    let holder = from_annotation.as_ref().map_or(object, Fields);
    let cannot = |c: &Condition| match c.kind {
        "AbleToScale" => matches!(c.reason, "FailedGetScale" | "FailedUpdateScale"),
        "ScalingActive" => matches!(
            c.reason,
            "FailedGetResourceMetric"
                | "FailedGetObjectMetric"
                | "FailedGetPodsMetric"
                | "FailedGetExternalMetric"
                | "FailedComputeMetricsReplicas"
                | "InvalidSelector"
        ),
        _ => false,
    };
    let can = |c: &Condition| matches!(c.kind, "AbleToScale" | "ScalingLimited") && c.is_true();
    if let Some(condition) = holder.conditions().find(cannot) {
        degraded(condition.message)
    } else if let Some(condition) = holder.conditions().find(can) {
        healthy(condition.message)
    } else {
        progressing("Waiting to Autoscale")
    }
}

fn disruption_budget(object: Fields) -> Verdict {
    match object.conditions().next() {
        None => progressing("Waiting for status"),
        Some(first) if first.is_true() || first.reason == "InsufficientPods" => healthy(first.message),
        Some(first) if first.is_false() => degraded(first.message),
        Some(first) => progressing(first.message),
    }
}

fn service(object: Fields) -> Verdict {
    if object.text("spec.type") == "LoadBalancer" { ingress(object) } else { healthy("") }
}

fn ingress(object: Fields) -> Verdict {
    if object.list("status.loadBalancer.ingress").next().is_some() { healthy("") } else { progressing("") }
}

fn volume_claim(object: Fields) -> Verdict {
    let status = match object.text("status.phase") {
        "Bound" => Health::Healthy,
        "Pending" => Health::Progressing,
        "Lost" => Health::Degraded,
        _ => Health::Unknown,
    };
    Verdict::new(status, "")
}

fn api_service(object: Fields) -> Verdict {
    let Some(available) = object.condition("Available") else { return progressing("Waiting to be processed") };
    let status = if available.is_true() { Health::Healthy } else { Health::Progressing };
    Verdict::new(status, format!("{}: {}", available.reason, available.message))
}

fn definition(object: Fields) -> Verdict {
    if object.conditions().next().is_none() {
        return progressing("Status conditions not found");
    }
    if let Some(terminating) = object.condition("Terminating").filter(Condition::is_true) {
        return progressing(format!("CRD is terminating: {}", terminating.message));
    }
    if let Some(names) = object.condition("NamesAccepted").filter(Condition::is_false) {
        return degraded(format!("CRD names have not been accepted: {}", names.message));
    }
    if let Some(schema) = object.condition("NonStructuralSchema").filter(Condition::is_true) {
        return degraded(format!("Schema violations found: {}", schema.message));
    }
    match object.condition("Established") {
        Some(established) if established.is_true() => healthy("CRD is healthy"),
        Some(established) if established.reason == "Installing" => progressing("CRD is being installed"),
        _ => degraded("CRD is not established"),
    }
}

/// Its own health, so that a wave waits for it. Healthy counts only when no sync of it is under way: the daemon
/// writes health and operation at different times.
fn child_application(object: Fields) -> Verdict {
    let message = object.text("status.health.message");
    let has_failed = matches!(object.text("status.operationState.phase"), "Failed" | "Error");
    match object.text("status.health.status").parse() {
        // What its last sync says names a cause; its health only names objects.
        Ok(Health::Degraded) if has_failed => {
            Verdict::new(Health::Degraded, object.text("status.operationState.message"))
        }
        Ok(Health::Healthy) if is_syncing(object) => progressing("Waiting for its sync to end"),
        Ok(health) => Verdict::new(health, message),
        Err(_) => progressing("Waiting for its first comparison"),
    }
}

fn is_syncing(object: Fields) -> bool {
    object.at("operation").is_some() || matches!(object.text("status.operationState.phase"), "Running" | "Terminating")
}

fn workflow(object: Fields) -> Verdict {
    let status = match object.text("status.phase") {
        "" | "Pending" | "Running" => Health::Progressing,
        "Succeeded" => Health::Healthy,
        "Failed" | "Error" => Health::Degraded,
        _ => Health::Unknown,
    };
    Verdict::new(status, object.text("status.message"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::verdict;
    use serde_json::json;

    /// The object of a kind with these spec and status, generation 2.
    fn object(api_version: &str, kind: &str, spec: &Value, status: &Value) -> Value {
        json!({
            "apiVersion": api_version, "kind": kind,
            "metadata": {"name": "web", "generation": 2}, "spec": spec, "status": status,
        })
    }

    #[test]
    fn workloads_say_what_they_wait_for() {
        use Health::*;
        let cases = [
            // kind, spec, status, health, message
            (
                "Deployment",
                json!({"replicas": 1}),
                json!({"observedGeneration": 1}),
                Progressing,
                "Waiting for rollout to finish: observed deployment generation less than desired generation",
            ),
            (
                "Deployment",
                json!({"replicas": 3}),
                json!({"observedGeneration": 2, "updatedReplicas": 1}),
                Progressing,
                "Waiting for rollout to finish: 1 out of 3 new replicas have been updated...",
            ),
            (
                "Deployment",
                json!({"replicas": 2}),
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}),
                Progressing,
                "Waiting for rollout to finish: 1 of 2 updated replicas are available...",
            ),
            ("Deployment", json!({"replicas": 0}), json!({"observedGeneration": 2}), Healthy, ""),
            (
                "StatefulSet",
                json!({"replicas": 3}),
                json!({"observedGeneration": 2, "readyReplicas": 1}),
                Progressing,
                "Waiting for 2 pods to be ready...",
            ),
            (
                "StatefulSet",
                json!({"replicas": 1}),
                json!({}),
                Progressing,
                "Waiting for statefulset spec update to be observed...",
            ),
            (
                "StatefulSet",
                json!({"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}),
                json!({"observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": 1}),
                Progressing,
                "Waiting for partitioned roll out to finish: 1 out of 2 new pods have been updated...",
            ),
            (
                "StatefulSet",
                json!({"replicas": 1}),
                json!({"observedGeneration": 2, "readyReplicas": 1, "updatedReplicas": 0, "currentRevision": "a", "updateRevision": "b"}),
                Progressing,
                "waiting for statefulset rolling update to complete 0 pods at revision b...",
            ),
            (
                "StatefulSet",
                json!({"replicas": 1}),
                json!({"observedGeneration": 2, "readyReplicas": 1, "currentReplicas": 1, "currentRevision": "a", "updateRevision": "a"}),
                Healthy,
                "statefulset rolling update complete 1 pods at revision a...",
            ),
            (
                "DaemonSet",
                json!({}),
                json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}),
                Progressing,
                "Waiting for daemon set \"web\" rollout to finish: 1 of 2 updated pods are available...",
            ),
            (
                "ReplicaSet",
                json!({"replicas": 2}),
                json!({"observedGeneration": 2, "availableReplicas": 1}),
                Progressing,
                "Waiting for rollout to finish: 1 out of 2 new replicas are available...",
            ),
            (
                "ReplicaSet",
                json!({"replicas": 2}),
                json!({"observedGeneration": 2, "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "quota"}]}),
                Degraded,
                "quota",
            ),
        ];
        for (kind, spec, status, health, message) in cases {
            let object = object("apps/v1", kind, &spec, &status);
            assert_eq!(verdict(&object), Some(Verdict::new(health, message)), "{object}");
        }
    }

    #[test]
    fn a_child_application_is_waited_for() {
        use Health::*;
        let cases = [
            // status, health, message
            (json!(null), Progressing, "Waiting for its first comparison"),
            (json!({"health": {"status": "Healthy"}}), Healthy, ""),
            (json!({"health": {"status": "Degraded", "message": "m"}}), Degraded, "m"),
            (
                json!({
                    "health": {"status": "Degraded", "message": "m"},
                    "operationState": {"phase": "Failed", "message": "sync of 1234567 by Robin failed"},
                }),
                Degraded,
                "sync of 1234567 by Robin failed",
            ),
            (
                json!({"health": {"status": "Healthy"}, "operationState": {"phase": "Running"}}),
                Progressing,
                "Waiting for its sync to end",
            ),
            (json!({"health": {"status": "Degraded"}, "operationState": {"phase": "Running"}}), Degraded, ""),
            (json!({"health": {"status": "Healthy"}, "operationState": {"phase": "Failed"}}), Healthy, ""),
        ];
        for (status, health, message) in cases {
            let object = object("argoproj.io/v1alpha1", "Application", &json!({}), &status);
            assert_eq!(verdict(&object), Some(Verdict::new(health, message)), "{object}");
        }
    }

    #[test]
    fn kinds_that_only_hold_data_have_no_health() {
        for (api_version, kind) in [
            ("v1", "ConfigMap"),
            ("v1", "Namespace"),
            ("rbac.authorization.k8s.io/v1", "Role"),
            ("networking.k8s.io/v1", "NetworkPolicy"),
            ("argoproj.io/v1alpha1", "AppProject"),
        ] {
            assert_eq!(verdict(&object(api_version, kind, &json!({}), &json!({}))), None, "{kind}");
        }
        let custom = object("example.com/v1", "Widget", &json!({}), &json!({}));
        assert_eq!(verdict(&custom), Some(healthy("")), "a custom kind that reports nothing");
    }
}
