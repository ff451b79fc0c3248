//! What Flagger leaves of the Canary `web` when it stops, beside its route: objects and status are its, the hashes too.

use serde_json::{Value, json};

use crate::stage::Scene;

/// The owner that its objects name; waits until the Canary is there.
pub async fn owners(scene: &Scene) -> Value {
    let uid = scene
        .until("the Canary is there", || {
            let uid = scene.seen("Canary", "web")["metadata"]["uid"].clone();
            if uid.is_string() { Ok(uid) } else { Err(uid.to_string()) }
        })
        .await;
    json!([{
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "web", "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    }])
}

/// What it asks of others.
pub fn notes() -> Value {
    json!({"kustomize.toolkit.fluxcd.io/reconcile": "disabled", "helm.toolkit.fluxcd.io/driftDetection": "disabled"})
}

/// The primary that it has made of a Deployment.
pub fn primary(mut deployment: Value, owners: &Value) -> Value {
    deployment["metadata"] =
        json!({"name": "web-primary", "labels": {"app": "web-primary"}, "ownerReferences": owners});
    deployment["spec"]["selector"]["matchLabels"]["app"] = "web-primary".into();
    let metadata = &mut deployment["spec"]["template"]["metadata"];
    metadata["labels"]["app"] = "web-primary".into();
    metadata["annotations"]["flagger-id"] = "1f0e8ee2-6d6b-4f0b-8f6f-6d0f3f9a2a11".into();
    deployment
}

/// Its three Services.
pub fn services(owners: &Value) -> [Value; 3] {
    [("web", "web-primary"), ("web-primary", "web-primary"), ("web-canary", "web")].map(|(name, leads_to)| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "labels": {"app": name}, "annotations": notes(), "ownerReferences": owners},
            "spec": {
                "type": "ClusterIP", "selector": {"app": leads_to},
                "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
            },
        })
    })
}

/// Writes the status: at rest with weight 0, else amid a run.
pub async fn status(scene: &Scene, phase: &str, weight: i64) {
    let is_at_rest = weight == 0;
    let status = json!({
        "phase": phase, "canaryWeight": weight, "failedChecks": 0, "iterations": 0, "trackedConfigs": {},
        "lastAppliedSpec": "5d9c7b8f64", "lastPromotedSpec": if is_at_rest { "5d9c7b8f64" } else { "7c8d9b5f46" },
        "lastTransitionTime": "2026-11-21T10:00:00Z",
        "conditions": [{
            "type": "Promoted", "status": if is_at_rest { "True" } else { "Unknown" }, "reason": phase,
            "message": "Canary analysis completed successfully, promotion finished.",
            "lastTransitionTime": "2026-11-21T10:00:00Z", "lastUpdateTime": "2026-11-21T10:00:00Z",
        }],
    });
    scene.merge_status("flagger.app/v1beta1", "Canary", "web", &status).await;
}
