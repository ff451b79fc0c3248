//! What a real Prometheus answers when there is nothing good to say, and what becomes of the canary.

use serde_json::{Value, json};

use crate::stage::Scene;
use crate::traffic::Traffic;

/// A metric that nobody counts.
const NOBODY: &str = "sum(rate(nobody_counts_this_total[1m]))";

/// No series is no success.
pub async fn no_series() {
    let scene = canary("no-series", NOBODY, None, "fail").await;
    scene.phase("Failed").await;
    scene.told("Halt advancement no values found for custom metric: checked").await;
    scene.told("Rolling back web").await;
}

/// Zero by zero is no success either.
pub async fn not_a_number() {
    let scene = canary("not-a-number", "vector(0) / vector(0)", None, "fail").await;
    scene.phase("Failed").await;
    scene.told("Halt advancement no values found for custom metric: checked").await;
}

/// Where the user says so, a canary without data waits, and goes on once there is some.
pub async fn held_without_data() {
    let scene = canary("held", NOBODY, None, "hold").await;
    scene.told("Halt advancement no values found for custom metric: checked").await;
    // Two more checks, which count neither way.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let status = scene.seen("Canary", "web")["status"].clone();
    assert_eq!(
        (&status["phase"], status["failedChecks"].as_u64().unwrap_or(0)),
        (&json!("Progressing"), 0),
        "{status}"
    );
    let template = json!({"spec": {"query": "vector(100)"}});
    scene.merge("flagger.app/v1beta1", "MetricTemplate", "checked", &template).await;
    scene.phase("Succeeded").await;
}

/// A query that Prometheus cannot read: its own words are told.
pub async fn broken_query() {
    let scene = canary("broken", "sum(", None, "fail").await;
    scene.phase("Failed").await;
    scene.told("Metric query failed for checked: ").await;
    scene.told("unclosed left parenthesis").await;
}

/// Nobody is there.
pub async fn unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let scene = canary("unreachable", "vector(100)", Some(address.clone()), "fail").await;
    scene.phase("Failed").await;
    scene.told("Metric query failed for checked: ").await;
    scene.told(&address).await;
}

/// A blue/green run that one metric decides, with version 2 on its way. One failed check ends it.
async fn canary(name: &str, query: &str, address: Option<String>, no_data: &str) -> Scene {
    let traffic = Traffic::shared().await;
    let scene = traffic.stage.scene(name).await;
    let address = address.unwrap_or_else(|| traffic.prometheus.url());
    let template = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": {"name": "checked"},
        "spec": {"provider": {"type": "prometheus", "address": address}, "query": query},
    });
    let canary = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {"name": "web", "annotations": {
            "canary.leeboard.dev/interval": "2s", "canary.leeboard.dev/no-data": no_data,
        }},
        "spec": {
            "provider": "kubernetes",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "service": {"port": 80, "targetPort": 8080},
            "analysis": {
                "interval": "10s", "threshold": 1, "iterations": 2,
                "metrics": [{"name": "checked", "templateRef": {"name": "checked"}, "thresholdRange": {"min": 99}}],
            },
        },
    });
    for object in [template, deployment(), canary] {
        scene.apply(&object).await;
    }
    scene.phase("Initialized").await;
    scene.image("Deployment", "registry.example.com/web:2").await;
    scene
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{
                    "name": "web", "image": "registry.example.com/web:1", "ports": [{"containerPort": 8080}],
                }]},
            },
        },
    })
}
