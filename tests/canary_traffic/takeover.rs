//! What serves already is taken over, and given back, while clients go on.

use std::time::{Duration, Instant};

use leeboard::sandbox::{Load, Sample, Wire, by_version};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::harness::{SOON, eventually};
use crate::left;
use crate::stage::{IMAGE, Scene, Stage};
use crate::traffic::Traffic;
use crate::versions::{deployment, failures, host, ingress};

/// Requests per second: fewer than where shares are measured, which go on at the same time.
const RATE: u32 = 100;

/// A Service with clients gets a Canary; amid its first run the Canary is deleted, and everything is as it was.
pub async fn comes_and_goes() {
    let traffic = Traffic::shared().await;
    let scene = traffic.stage.scene("comes").await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    });
    for object in [deployment("1", &json!({})), service, ingress(&scene)] {
        scene.apply(&object).await;
    }
    let load = clients(traffic, &scene).await;
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;

    let steps = json!([{"weight": 30}, {"pause": {}}]);
    let mut canary = canary(json!({"interval": "10s", "threshold": 3, "steps": steps}));
    canary["spec"]["revertOnDeletion"] = true.into();
    scene.apply(&canary).await;
    scene.phase("Initialized").await;
    scene.field("Service", "web", "/spec/selector/app", &json!("web-primary")).await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    assert_eq!(scene.seen("Service", "web")["metadata"]["ownerReferences"], Value::Null, "it is the user's");

    scene.image("Deployment", "registry.example.com/web:2").await;
    eventually("clients meet version 2", A_STEP, async || {
        let counts = by_version(&load.since(begun));
        if counts.get("2").is_some_and(|count| *count > 30) { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
    scene.delete("flagger.app/v1beta1", "Canary", "web").await;
    scene.field("Canary", "web", "", &Value::Null).await;
    scene.field("Service", "web", "/spec/selector/app", &json!("web")).await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(2)).await;
    scene.field("Deployment", "web-primary", "", &Value::Null).await;
    scene.field("Ingress", "web-canary", "", &Value::Null).await;
    all_answered(&scene, load, begun).await;
}

/// Canaries as Flagger leaves them, with clients, before the daemon starts.
pub struct LeftBehind {
    at_rest: Mutex<Option<Left>>,
    amid_a_run: Mutex<Option<Left>>,
}

/// One of them.
struct Left {
    scene: Scene,
    load: Load,
    begun: Instant,
}

/// Where Flagger has left the one that is under way: at its first step of two.
const LEFT_AT: u32 = 30;

/// Flagger has gone, its objects serve. Told once, by what starts the daemon.
pub async fn leave_behind(stage: &'static Stage, router: &str, metrics: &str) -> LeftBehind {
    let (at_rest, amid_a_run) = tokio::join!(leave(stage, router, metrics, 0), leave(stage, router, metrics, LEFT_AT));
    LeftBehind { at_rest: Mutex::new(Some(at_rest)), amid_a_run: Mutex::new(Some(amid_a_run)) }
}

/// At rest with weight 0, else amid a run.
async fn leave(stage: &'static Stage, router: &str, metrics: &str, weight: u32) -> Left {
    let (name, phase, steps) = match weight {
        0 => ("left", "Succeeded", (50, 50)),
        first => ("amid", "Progressing", (first, 2 * first)),
    };
    let scene = stage.scene(name).await;
    let mut canary = canary(json!({
        "interval": "10s", "threshold": 5, "stepWeight": steps.0, "maxWeight": steps.1,
        "metrics": [{"name": "request-success-rate", "interval": "10s", "thresholdRange": {"min": 99}}],
    }));
    canary["spec"]["metricsServer"] = metrics.into();
    scene.apply(&canary).await;
    for object in flaggers_objects(&scene, &left::owners(&scene).await, weight) {
        scene.apply(&object).await;
    }
    left::status(&scene, phase, weight.into()).await;
    let load = clients_of(router, &scene).await;
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    Left { scene, load, begun }
}

/// The daemon goes on with what Flagger has left: first nothing changes, then the next version is promoted.
pub async fn left_by_flagger() {
    let Left { scene, load, begun } = Traffic::shared().await.left_behind.at_rest.lock().await.take().unwrap();
    adopted(&scene).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.phases(), ["Succeeded"], "adopted without a run");
    for (kind, name) in [("Deployment", "web-primary"), ("Deployment", "web"), ("Ingress", "web-canary")] {
        assert_eq!(scene.seen(kind, name)["metadata"]["generation"], 1, "{name} was touched");
    }
    let counts = by_version(&load.since(begun));
    assert!(counts.len() == 1 && counts.contains_key("1"), "{counts:?}");

    scene.image("Deployment", "registry.example.com/web:2").await;
    scene.phase("Progressing").await;
    scene.phase("Succeeded").await;
    scene.field("Deployment", "web-primary", IMAGE, &json!("registry.example.com/web:2")).await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    all_answered(&scene, load, begun).await;
}

/// A run that Flagger has begun is brought to its end, from the weight at which it was left.
pub async fn left_amid_a_run() {
    let Left { scene, load, begun } = Traffic::shared().await.left_behind.amid_a_run.lock().await.take().unwrap();
    let before = by_version(&load.since(begun));
    assert!(before.contains_key("1") && before.contains_key("2"), "both have traffic: {before:?}");
    adopted(&scene).await;
    scene.phase("Succeeded").await;
    let weights = scene.history("Ingress", "web-canary", |body| {
        let annotations = &body["metadata"]["annotations"];
        let is_off = annotations["zalando.org/skipper-predicate"].as_str()?.starts_with("False()");
        let weights: Value = serde_json::from_str(annotations["zalando.org/backend-weights"].as_str()?).unwrap();
        Some(if is_off { 0 } else { weights["web-canary"].as_u64()? })
    });
    assert_eq!(weights, [u64::from(LEFT_AT), 2 * u64::from(LEFT_AT), 0], "from where it was left");
    assert_eq!(scene.phases()[0], "Progressing", "{:?}", scene.phases());
    scene.field("Deployment", "web-primary", IMAGE, &json!("registry.example.com/web:2")).await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    all_answered(&scene, load, begun).await;
}

async fn adopted(scene: &Scene) {
    let run = "/metadata/annotations/canary.leeboard.dev~1run";
    scene
        .until("the canary is adopted", || {
            let canary = scene.seen("Canary", "web");
            canary.pointer(run).map(drop).ok_or_else(|| canary["metadata"].to_string())
        })
        .await;
}

/// Longer than the first step of a run takes, on a busy machine.
const A_STEP: Duration = Duration::from_secs(90);

async fn clients(traffic: &Traffic, scene: &Scene) -> Load {
    clients_of(&traffic.skipper.url(), scene).await
}

/// Begins once version 1 answers.
async fn clients_of(router: &str, scene: &Scene) -> Load {
    let wire = Wire::new(router, &host(scene));
    eventually("version 1 answers", SOON, async || match wire.ask(Instant::now()).await {
        Sample { result: Ok(200), version: Some(version), .. } if version == "1" => Ok(()),
        other => Err(other.text()),
    })
    .await;
    Load::start(wire, RATE)
}

/// Until the last pods of what has gone have ended: no request has failed, and version 2 is left.
async fn all_answered(scene: &Scene, load: Load, begun: Instant) {
    tokio::time::sleep(Duration::from_secs(12)).await;
    let took = begun.elapsed();
    let all = load.stop().await;
    let failed = failures(&all);
    let counts = by_version(&all);
    println!(
        "{}: {} requests in {took:.0?}, {} failed, by version {counts:?}",
        scene.namespace,
        all.len(),
        failed.len()
    );
    if !failed.is_empty() {
        // Was it the router, or who stands for the pods?
        let refused = Traffic::shared().await.pods.refused(begun);
        let moments: Vec<String> =
            failed.iter().take(20).map(|sample| format!("{:.3?}: {}", sample.sent - begun, sample.text())).collect();
        panic!("{}: {} failed: {moments:#?}, refused: {refused:#?}", scene.namespace, failed.len());
    }
    assert!(all.iter().rev().take(100).all(|sample| sample.version.as_deref() == Some("2")), "{counts:?}");
}

/// By an Ingress, a check each 3 s.
fn canary(analysis: Value) -> Value {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {
            "name": "web",
            "annotations": {"canary.leeboard.dev/interval": "3s", "canary.leeboard.dev/scale-down-delay": "3s"},
        },
        "spec": {
            "provider": "skipper",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"},
            "progressDeadlineSeconds": 60,
            "service": {"port": 80, "targetPort": 8080},
            "analysis": analysis,
        },
    })
}

/// The target, which is at zero when nothing runs, the primary that serves, three Services, the user's Ingress and its copy,
/// which is off then.
fn flaggers_objects(scene: &Scene, owners: &Value, weight: u32) -> Vec<Value> {
    let mut target = deployment(if weight == 0 { "1" } else { "2" }, &json!({}));
    if weight == 0 {
        target["spec"]["replicas"] = 0.into();
    }
    let primary = left::primary(deployment("1", &json!({})), owners);
    let mut copy = ingress(scene);
    let path = |version: &str| {
        let service = json!({"name": version, "port": {"number": 80}});
        json!({"path": "/", "pathType": "Prefix", "backend": {"service": service}})
    };
    copy["spec"]["rules"][0]["http"]["paths"] = json!([path("web-primary"), path("web-canary")]);
    copy["metadata"]["name"] = "web-canary".into();
    copy["metadata"]["ownerReferences"] = owners.clone();
    let annotations = &mut copy["metadata"]["annotations"];
    annotations["zalando.org/skipper-predicate"] = if weight == 0 { "False()" } else { "Weight(100)" }.into();
    let weights = json!({"web-canary": weight, "web-primary": 100 - weight});
    annotations["zalando.org/backend-weights"] = weights.to_string().into();
    [target, primary, ingress(scene), copy].into_iter().chain(left::services(owners)).collect()
}
