//! Leeboard's own steps, one after the other.

use serde_json::{Value, json};

use crate::manifests::{canary, deployment, quick};
use crate::stage::Stage;

/// Each kind of step: pods, copies of requests, checks, requests with a header, a Job, weights, a pause.
pub async fn steps() {
    let scene = Stage::shared().await.scene("steps").await;
    let tester = json!([{"headers": {"x-tester": {"exact": "yes"}}}]);
    let smoke = json!({"spec": {"containers": [{"name": "smoke", "image": "smoke:1"}]}});
    let analysis = json!({
        "steps": [
            {"scale": {"replicas": 1}}, {"mirror": {"percentage": 10}}, {"analysis": {"checks": 2}},
            {"header": {"match": tester}}, {"job": "smoke"}, {"weight": 20}, {"pause": {"duration": "1s"}},
            {"mirror": {"percentage": 0}}, {"header": {}}, {"weight": 60},
        ],
        "webhooks": [{"type": "job", "name": "smoke", "timeout": "60s", "template": smoke}],
    });
    scene.apply(&deployment("web:1")).await;
    scene.apply(&quick(canary(&scene, "gatewayapi:v1", analysis, json!({})))).await;
    scene.phase("Initialized").await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    scene.image("Deployment", "web:2").await;
    scene.phase("Succeeded").await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;

    let routes = scene.history("HTTPRoute", "web", shape);
    let expected = [
        // weight, percent of copies, whom the canary gets besides
        (0, None, None),
        (0, Some(10), None),
        (0, Some(10), Some("yes".to_owned())),
        (20, Some(10), Some("yes".to_owned())),
        (20, None, Some("yes".to_owned())),
        (20, None, None),
        (60, None, None),
        (0, None, None),
    ];
    assert_eq!(routes, expected);
    let replicas = scene.history("Deployment", "web", |body| body["spec"]["replicas"].as_i64());
    assert_eq!(replicas, [2, 0, 1, 2, 0]);
    for text in ["iteration 2/2", "check smoke passed", "paused at weight 20", "Routing requests by header"] {
        scene.told(text).await;
    }
}

/// What an HTTPRoute says of the canary.
fn shape(route: &Value) -> Option<(i64, Option<i64>, Option<String>)> {
    let rules = route["spec"]["rules"].as_array()?;
    let backends = |rule: &Value| rule["backendRefs"].as_array().cloned().unwrap_or_default();
    let by_weight = rules.iter().find(|rule| backends(rule).len() == 2)?;
    let canary = backends(by_weight).into_iter().find(|backend| backend["name"] == "web-canary")?;
    let filters = by_weight["filters"].as_array().cloned().unwrap_or_default();
    let mirror = filters.iter().find(|filter| filter["requestMirror"]["backendRef"]["name"] == "web-canary");
    let led = rules.iter().find(|rule| backends(rule).len() == 1);
    let header = led.and_then(|rule| rule["matches"][0]["headers"][0]["value"].as_str().map(str::to_owned));
    Some((canary["weight"].as_i64()?, mirror.map(|it| it["requestMirror"]["percent"].as_i64().unwrap_or(100)), header))
}
