//! What comes after a promotion: it is measured on, and git goes back.

use serde_json::json;

use crate::manifests::{canary, deployment, hook, in_one_step, quick, splits};
use crate::sink::Measured;
use crate::stage::{IMAGE, Stage};

/// What fails after its promotion is taken back: the primary has again what it had.
pub async fn verified() {
    let scene = Stage::shared().await.scene("verified").await;
    let mut analysis = in_one_step();
    analysis["verifyAfter"] = json!("2m");
    analysis["threshold"] = json!(1);
    scene.apply(&deployment("web:1")).await;
    scene.apply(&quick(canary(&scene, "gatewayapi:v1", analysis, json!({})))).await;
    scene.phase("Initialized").await;
    scene.image("Deployment", "web:2").await;
    scene.told("verifying it for").await;
    assert_eq!(scene.seen("Canary", "web")["status"]["phase"], "Finalising");
    assert_eq!(scene.seen("Deployment", "web-primary").pointer(IMAGE), Some(&json!("web:2")));
    scene.stage.sink.measures(&scene.namespace, Measured::Percent(50.0));
    scene.phase("Failed").await;
    let images = scene.history("Deployment", "web-primary", |body| body.pointer(IMAGE).cloned());
    assert_eq!(images, ["web:1", "web:2", "web:1"]);
    scene.field("Deployment", "web-primary", "/status/availableReplicas", &json!(2)).await;
    assert_eq!(splits(&scene), [(100, 0), (50, 50), (100, 0)]);
    let run = scene.seen("Canary", "web")["metadata"]["annotations"]["canary.leeboard.dev/run"].to_string();
    assert!(run.contains("success rate 50.00% < 99% after the promotion"), "{run}");
}

/// Git going back to what the primary had is promoted without a question; what was left so is a new version.
pub async fn going_back() {
    let scene = Stage::shared().await.scene("back").await;
    let analysis = json!({"iterations": 1, "webhooks": [hook(&scene, "confirm-rollout")]});
    scene.apply(&deployment("web:1")).await;
    scene.apply(&quick(canary(&scene, "kubernetes", analysis, json!({})))).await;
    scene.phase("Initialized").await;
    let asked = || scene.stage.sink.calls(&scene.namespace, "confirm-rollout").len();
    scene.image("Deployment", "web:2").await;
    scene.phase("Succeeded").await;
    assert_eq!(asked(), 1);
    scene.image("Deployment", "web:1").await;
    scene.told("Rollback completed! web").await;
    scene.phase("Succeeded").await;
    assert_eq!(asked(), 1, "what was promoted before is asked about again");
    let conditions = scene.seen("Canary", "web")["status"]["conditions"].to_string();
    assert!(conditions.contains("Rolled back"), "{conditions}");
    scene.image("Deployment", "web:2").await;
    scene.phase("Progressing").await;
    scene.phase("Succeeded").await;
    assert_eq!(asked(), 2);
    let images = scene.history("Deployment", "web-primary", |body| body.pointer(IMAGE).cloned());
    assert_eq!(images, ["web:1", "web:2", "web:1", "web:2"]);
}
