//! What is measured, and what that means for a run.

use serde_json::{Value, json};

use crate::manifests::{canary, deployment, in_one_step, split, splits};
use crate::sink::Measured;
use crate::stage::{Scene, Stage};

async fn initialized(name: &str, analysis: Value) -> Scene {
    let scene = Stage::shared().await.scene(name).await;
    scene.apply(&deployment("web:1")).await;
    let canary = canary(&scene, "gatewayapi:v1", analysis, json!({}));
    scene.apply(&canary).await;
    scene.phase("Initialized").await;
    scene
}

/// A value between its bounds: nothing is counted, the weight stays, and after two of them a person decides.
pub async fn inconclusive() {
    let mut analysis = in_one_step();
    analysis["inconclusiveLimit"] = json!(2);
    analysis["metrics"] =
        json!([{"name": "request-success-rate", "thresholdRange": {"min": 99}, "failureRange": {"min": 90}}]);
    let scene = initialized("inconclusive", analysis).await;
    scene.stage.sink.measures(&scene.namespace, Measured::Percent(95.0));
    scene.image("Deployment", "web:2").await;
    scene.told("paused at weight 50: 2 checks in a row were inconclusive").await;
    let status = scene.seen("Canary", "web")["status"].clone();
    let conditions = status["conditions"].as_array().unwrap();
    let told = conditions.iter().find(|condition| condition["type"] == "Conclusive").unwrap();
    assert_eq!(told["reason"], "Inconclusive", "{status}");
    assert_eq!((&status["phase"], status["failedChecks"].as_i64().unwrap_or(0)), (&json!("Progressing"), 0));
    assert_eq!(splits(&scene), [(100, 0), (50, 50)]);
    scene.stage.sink.measures(&scene.namespace, Measured::Percent(100.0));
    scene.merge_canary(&json!({"metadata": {"annotations": {"canary.leeboard.dev/action": "resume"}}})).await;
    scene.phase("Succeeded").await;
    assert_eq!(splits(&scene), [(100, 0), (50, 50), (100, 0)]);
}

/// A metric of the background fails twice, and with it the run, before a second check would have been.
pub async fn background() {
    let mut analysis = in_one_step();
    analysis["interval"] = json!("30s");
    analysis["metrics"] = json!([{
        "name": "request-success-rate", "mode": "background", "interval": "10s", "thresholdRange": {"min": 99},
    }]);
    let scene = initialized("background", analysis).await;
    scene.stage.sink.measures(&scene.namespace, Measured::Percent(50.0));
    scene.image("Deployment", "web:2").await;
    scene.phase("Failed").await;
    let begun = scene.first("HTTPRoute", "web", |body| split(body) == Some((50, 50))).unwrap();
    let counted = |count: i64| {
        let is_so = |body: &Value| body["status"]["failedChecks"] == count;
        scene.first("Canary", "web", is_so).unwrap().duration_since(begun).as_secs()
    };
    let (first, second) = (counted(1), counted(2));
    // The record keeps whole seconds, and is there a moment before the route is.
    assert!((8..16).contains(&first) && (18..28).contains(&second), "failed after {first} s and {second} s");
    scene.told("Rolling back web").await;
    assert_eq!(splits(&scene), [(100, 0), (50, 50), (100, 0)]);
    let image = scene.seen("Deployment", "web-primary")["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(image, "web:1");
}
