//! What a canary can be of, and what may scale it, beside a Deployment and a HorizontalPodAutoscaler.

use serde_json::{Value, json};

use crate::manifests::{canary, deployment, in_one_step, quick, splits};
use crate::stage::Stage;

/// KEDA's scaler: the primary's asks about the primary, the target's sleeps but for a run.
pub async fn keda() {
    let scene = Stage::shared().await.scene("keda").await;
    let scaler = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"name": "web"}, "minReplicaCount": 3, "maxReplicaCount": 10,
            "triggers": [{"type": "prometheus", "metadata": {
                "serverAddress": "http://prometheus:9090", "threshold": "10", "query": r#"sum(rate(requests{app="web"}[1m]))"#,
            }}],
        },
    });
    let reference = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web"});
    for object in [scaler, deployment("web:1")] {
        scene.apply(&object).await;
    }
    let canary = canary(&scene, "gatewayapi:v1", in_one_step(), json!({"autoscalerRef": reference}));
    scene.apply(&quick(canary)).await;
    scene.phase("Initialized").await;
    scene.field("ScaledObject", "web-primary", "/spec/scaleTargetRef/name", &json!("web-primary")).await;
    let spec = scene.seen("ScaledObject", "web-primary")["spec"].clone();
    assert_eq!(spec["triggers"][0]["metadata"]["query"], r#"sum(rate(requests{app="web-primary"}[1m]))"#);
    assert_eq!((&spec["minReplicaCount"], &spec["maxReplicaCount"]), (&json!(3), &json!(10)));
    let paused = "/metadata/annotations/autoscaling.keda.sh~1paused-replicas";
    scene.field("ScaledObject", "web", paused, &json!("0")).await;

    scene.image("Deployment", "web:2").await;
    scene.phase("Progressing").await;
    scene.phase("Succeeded").await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    scene.field("ScaledObject", "web", paused, &json!("0")).await;
    let sleeps = scene.history("ScaledObject", "web", |body| Some(body.pointer(paused).is_some()));
    assert_eq!(sleeps, [false, true, false, true]);
    // It starts with as many as its scaler asks for at least.
    let replicas = scene.history("Deployment", "web", |body| body["spec"]["replicas"].as_i64());
    assert_eq!(replicas, [2, 0, 3, 0]);
}

/// A Service whose pods are other people's: each version has a copy of it, and nothing is scaled.
pub async fn service_target() {
    let scene = Stage::shared().await.scene("service").await;
    let service = |port: u32| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": port}]},
        })
    };
    for object in [service(8080), deployment("web:1")] {
        scene.apply(&object).await;
    }
    let target = json!({"targetRef": {"apiVersion": "v1", "kind": "Service", "name": "web"}});
    scene.apply(&quick(canary(&scene, "gatewayapi:v1", in_one_step(), target))).await;
    scene.phase("Initialized").await;
    let port = "/spec/ports/0/targetPort";
    for name in ["web-primary", "web-canary"] {
        scene.field("Service", name, port, &json!(8080)).await;
    }

    scene.apply(&service(9090)).await;
    scene.phase("Progressing").await;
    scene.field("Service", "web-canary", port, &json!(9090)).await;
    assert_eq!(scene.seen("Service", "web-primary").pointer(port), Some(&json!(8080)), "before the promotion");
    scene.phase("Succeeded").await;
    scene.field("Service", "web-primary", port, &json!(9090)).await;
    assert_eq!(splits(&scene), [(100, 0), (50, 50), (100, 0)]);
    let ports = scene.history("Service", "web-primary", |body| body.pointer(port).cloned());
    assert_eq!(ports, [json!(8080), json!(9090)]);
    let service = scene.seen("Service", "web");
    assert_eq!(
        (&service["spec"]["selector"], &service["metadata"]["ownerReferences"]),
        (&json!({"app": "web"}), &Value::Null)
    );
    assert_eq!(scene.seen("Deployment", "web")["spec"]["replicas"], 2);
    assert_eq!(scene.seen("Deployment", "web-primary"), Value::Null);
}
