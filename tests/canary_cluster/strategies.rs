//! Each way to try a version, and what else a canary looks after.

use serde_json::{Value, json};

use crate::manifests::{canary, daemon_set, deployment, hook, in_one_step, split, splits};
use crate::stage::{IMAGE, Scene, Stage};

fn images(scene: &Scene, name: &str) -> Vec<Value> {
    scene.history("Deployment", name, |body| body.pointer(IMAGE).cloned())
}

async fn initialized(scene: &Scene, canary: &Value) {
    scene.apply(&deployment("web:1")).await;
    scene.apply(canary).await;
    scene.phase("Initialized").await;
}

/// Step by step, with every hook; a config that it tracks, a scaler that it copies.
pub async fn weights() {
    let scene = Stage::shared().await.scene("weights").await;
    let moments = [
        "confirm-rollout",
        "pre-rollout",
        "rollout",
        "confirm-traffic-increase",
        "confirm-promotion",
        "post-rollout",
        "event",
    ];
    let hooks: Vec<Value> = moments.iter().map(|moment| hook(&scene, moment)).collect();
    let analysis = json!({"stepWeight": 50, "maxWeight": 50, "webhooks": hooks});
    let mut target = deployment("web:1");
    target["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([{"configMapRef": {"name": "settings"}}]);
    let settings = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"greeting": value}});
    let scaler = |most: u32| {
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
            "spec": {
                "minReplicas": 2, "maxReplicas": most,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
            },
        })
    };
    let reference = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"});
    for object in [settings("hello"), scaler(4), target] {
        scene.apply(&object).await;
    }
    scene.apply(&canary(&scene, "gatewayapi:v1", analysis, json!({"autoscalerRef": reference}))).await;
    scene.phase("Initialized").await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    assert_eq!(scene.seen("Deployment", "web-primary").pointer(IMAGE), Some(&json!("web:1")));
    assert_eq!(scene.seen("Service", "web")["spec"]["selector"]["app"], "web-primary");
    assert_eq!(scene.seen("Service", "web-canary")["spec"]["selector"]["app"], "web");
    assert_eq!(scene.seen("ConfigMap", "settings-primary")["data"]["greeting"], "hello");
    scene.field("HorizontalPodAutoscaler", "web-primary", "/spec/maxReplicas", &json!(4)).await;
    assert_eq!(scene.seen("HorizontalPodAutoscaler", "web-primary")["spec"]["scaleTargetRef"]["name"], "web-primary");
    scene.apply(&scaler(6)).await;
    scene.field("HorizontalPodAutoscaler", "web-primary", "/spec/maxReplicas", &json!(6)).await;

    // Nothing but the config changes.
    scene.apply(&settings("good day")).await;
    scene.phase("Progressing").await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(2)).await;
    assert_eq!(scene.seen("ConfigMap", "settings-primary")["data"]["greeting"], "hello");
    scene.phase("Succeeded").await;
    assert_eq!(scene.seen("ConfigMap", "settings-primary")["data"]["greeting"], "good day");
    assert_eq!(splits(&scene), [(100, 0), (50, 50), (100, 0)]);
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    let phases = ["Initializing", "Initialized", "Progressing", "Promoting", "Finalising", "Succeeded"];
    assert_eq!(scene.phases(), phases);
    let status = scene.seen("Canary", "web")["status"].clone();
    assert_eq!(status["lastPromotedSpec"], status["lastAppliedSpec"]);
    assert!(status["trackedConfigs"]["configmap/settings"].is_string(), "{status}");

    scene.told("Promotion completed! Scaling down web").await;
    let events = scene.events("web");
    for text in [
        "New revision detected! Scaling up web",
        "Starting canary analysis for web",
        "Advance web",
        "Copying web",
        "Routing all traffic to primary",
    ] {
        assert!(events.iter().any(|event| event.contains(text)), "{text} is missing in {events:#?}");
    }
    for moment in moments {
        let calls = scene.stage.sink.calls(&scene.namespace, moment);
        let phases: Vec<&Value> = calls.iter().map(|call| &call["phase"]).collect();
        let expected: &[&str] = match moment {
            "confirm-rollout" => &["Initialized"],
            "post-rollout" => &["Succeeded"],
            "confirm-traffic-increase" => &["Progressing", "Progressing"],
            "event" => {
                assert!(calls.iter().all(|call| call["metadata"]["eventMessage"].is_string()), "{calls:?}");
                continue;
            }
            _ => &["Progressing"],
        };
        assert_eq!(phases, expected, "{moment}");
    }
}

/// Requests with a header reach the canary; then all have the new version.
pub async fn ab() {
    let scene = Stage::shared().await.scene("ab").await;
    let analysis = json!({"iterations": 1, "match": [{"headers": {"x-canary": {"exact": "insider"}}}]});
    initialized(&scene, &canary(&scene, "gatewayapi:v1", analysis, json!({}))).await;
    scene.image("Deployment", "web:2").await;
    scene.phase("Succeeded").await;
    let shapes = scene.history("HTTPRoute", "web", |body| {
        let rules = body["spec"]["rules"].as_array()?;
        let headers =
            rules.iter().map(|rule| rule["matches"][0]["headers"][0]["value"].as_str().unwrap_or("").to_owned());
        Some((headers.collect::<Vec<_>>(), split(body)?))
    });
    let both = || vec!["insider".to_owned(), String::new()];
    assert_eq!(shapes, [(both(), (100, 0)), (both(), (0, 100)), (both(), (100, 0))]);
    assert_eq!(images(&scene, "web-primary"), ["web:1", "web:2"]);
}

/// Nothing is measured: the new version is the primary's as soon as it is ready.
pub async fn skip_analysis() {
    let scene = Stage::shared().await.scene("skip").await;
    initialized(&scene, &canary(&scene, "gatewayapi:v1", in_one_step(), json!({"skipAnalysis": true}))).await;
    scene.image("Deployment", "web:2").await;
    scene.phase("Succeeded").await;
    assert_eq!(splits(&scene), [(100, 0)]);
    assert_eq!(images(&scene, "web-primary"), ["web:1", "web:2"]);
    scene.told("Promotion completed! Canary analysis was skipped for web").await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
}

/// One pod on each node, blue/green.
pub async fn daemon_sets() {
    let scene = Stage::shared().await.scene("daemons").await;
    scene.apply(&daemon_set("web:1")).await;
    let target = json!({"targetRef": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "web"}});
    scene.apply(&canary(&scene, "kubernetes", json!({"iterations": 1}), target)).await;
    scene.phase("Initialized").await;
    let nowhere = "/spec/template/spec/nodeSelector/flagger.app~1scale-to-zero";
    scene.field("DaemonSet", "web", nowhere, &json!("true")).await;
    scene.image("DaemonSet", "web:2").await;
    scene.phase("Progressing").await;
    scene.field("DaemonSet", "web", nowhere, &Value::Null).await;
    scene.phase("Succeeded").await;
    scene.field("DaemonSet", "web-primary", IMAGE, &json!("web:2")).await;
    assert_eq!(scene.seen("DaemonSet", "web-primary").pointer(nowhere), None);
    scene.field("DaemonSet", "web", nowhere, &json!("true")).await;
}

/// A scene in which version 2 waits, in that phase, since a hook refuses.
async fn refused(name: &str, moment: &str, phase: &str) -> Scene {
    let scene = Stage::shared().await.scene(name).await;
    scene.stage.sink.answers(&scene.namespace, moment, 403);
    let analysis = json!({"iterations": 1, "webhooks": [hook(&scene, moment)]});
    initialized(&scene, &canary(&scene, "kubernetes", analysis, json!({}))).await;
    scene.image("Deployment", "web:2").await;
    scene.phase(phase).await;
    scene
}

/// A gate before a run: what is approved is the newest version.
pub async fn approval() {
    let scene = refused("approval", "confirm-rollout", "Waiting").await;
    scene.image("Deployment", "web:3").await;
    scene.stage.sink.answers(&scene.namespace, "confirm-rollout", 200);
    scene.phase("Succeeded").await;
    assert_eq!(images(&scene, "web-primary"), ["web:1", "web:3"]);
    let halts = scene.events("web").iter().filter(|event| event.contains("waiting for approval")).count();
    assert_eq!(halts, 1);
}

/// A primary that somebody deletes amid a run takes its history with it: it is made again of what the target was before.
pub async fn deleted_primary() {
    futures::join!(deleted("Deployment", deployment("web:1")), deleted("DaemonSet", daemon_set("web:1")));
}

async fn deleted(kind: &str, target: Value) {
    let scene = Stage::shared().await.scene(&format!("deleted-{}", kind.to_lowercase())).await;
    scene.stage.sink.answers(&scene.namespace, "confirm-promotion", 403);
    let analysis = json!({"stepWeight": 50, "maxWeight": 50, "webhooks": [hook(&scene, "confirm-promotion")]});
    let mut canary = canary(&scene, "gatewayapi:v1", analysis, json!({}));
    canary["spec"]["targetRef"]["kind"] = kind.into();
    scene.apply(&target).await;
    scene.apply(&canary).await;
    scene.phase("Initialized").await;
    scene.image(kind, "web:2").await;
    scene.phase("WaitingPromotion").await;
    let id = || scene.seen(kind, "web-primary")["metadata"]["uid"].clone();
    let deleted = id();
    scene.delete("apps/v1", kind, "web-primary").await;
    scene
        .until("another primary of the old version", || {
            let primary = scene.seen(kind, "web-primary");
            let is_so = id() != deleted && primary.pointer(IMAGE) == Some(&json!("web:1"));
            if is_so { Ok(()) } else { Err(primary["metadata"].to_string()) }
        })
        .await;
    assert_eq!(splits(&scene).last(), Some(&(50, 50)), "the trial goes on");
    scene.stage.sink.answers(&scene.namespace, "confirm-promotion", 200);
    scene.phase("Succeeded").await;
    scene.field(kind, "web-primary", IMAGE, &json!("web:2")).await;
}

/// A sleeping canary keeps its weight, and takes a whole interval again when it wakes.
pub async fn suspension() {
    let scene = Stage::shared().await.scene("suspension").await;
    initialized(&scene, &canary(&scene, "gatewayapi:v1", in_one_step(), json!({}))).await;
    scene.image("Deployment", "web:2").await;
    scene.until("the middle", || if splits(&scene).contains(&(50, 50)) { Ok(()) } else { Err(String::new()) }).await;
    scene.merge_canary(&json!({"spec": {"suspend": true}})).await;
    scene.told("skipping canary run as object is suspended").await;
    tokio::time::sleep(std::time::Duration::from_secs(12)).await;
    assert_eq!(splits(&scene), [(100, 0), (50, 50)]);
    assert_eq!(scene.seen("Canary", "web")["status"]["phase"], "Progressing");
    let woken = std::time::Instant::now();
    scene.merge_canary(&json!({"spec": {"suspend": false}})).await;
    scene.phase("Succeeded").await;
    assert!(woken.elapsed().as_secs_f64() > 9.5, "{:?}", woken.elapsed());
    assert_eq!(splits(&scene), [(100, 0), (50, 50), (100, 0)]);
}

/// The Canary goes, and everything is as it was before it.
pub async fn deletion() {
    let scene = Stage::shared().await.scene("deletion").await;
    // A Service of the user's own, which is not the canary's.
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    });
    scene.apply(&service).await;
    initialized(&scene, &canary(&scene, "gatewayapi:v1", in_one_step(), json!({"revertOnDeletion": true}))).await;
    scene.field("Service", "web", "/spec/selector/app", &json!("web-primary")).await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    assert_eq!(scene.seen("Service", "web")["metadata"]["ownerReferences"], Value::Null);
    scene.delete("flagger.app/v1beta1", "Canary", "web").await;
    scene.field("Canary", "web", "", &Value::Null).await;
    scene.field("Service", "web", "/spec/selector/app", &json!("web")).await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(2)).await;
    // The garbage collector takes what was generated.
    scene.field("Deployment", "web-primary", "", &Value::Null).await;
    scene.field("Service", "web-primary", "", &Value::Null).await;
    let led_back = scene.states("Service", "web").last().unwrap().at;
    let serves = scene.first("Deployment", "web", |body| {
        body["status"]["observedGeneration"].as_i64() > Some(1)
            && body["spec"]["replicas"] == 2
            && body["status"]["availableReplicas"] == 2
            && body["metadata"]["generation"] == body["status"]["observedGeneration"]
    });
    assert!(serves.unwrap() < led_back, "traffic was led to pods that were not there");
}
