//! A daemon's life on a cluster of its own: it takes over what Flagger has left, is killed amid runs, and asks nothing
//! while nothing happens.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Cluster, established};
use crate::manifests::{canary, deployment, in_one_step, split};
use crate::stage::{Scene, Stage, definitions};

/// How many canaries rest.
const IDLE: usize = 30;
const SILENCE: Duration = Duration::from_secs(20);
const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// One life, from the first start to the silence.
pub async fn lifetime() {
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(leeboard::sandbox::Options::default()).await));
    cluster.kubectl(["apply", "--server-side", "-f", "deploy/crds"]).await.unwrap();
    established(cluster).await;
    let definitions = definitions().await;
    let definition = |kind: &str| {
        definitions.iter().find(|definition| definition["spec"]["names"]["kind"] == kind).unwrap().to_string()
    };
    cluster.apply(&definition("HTTPRoute"), [""; 0]).await;
    let stage: &'static Stage = Box::leak(Box::new(Stage::on(cluster).await));

    let at_rest = as_flagger_leaves_it(stage, "rest", "Succeeded", "web:1", 0).await;
    let amid = as_flagger_leaves_it(stage, "amid", "Progressing", "web:2", 30).await;
    let lost = stage.scene("lost").await;
    lost.apply(&deployment("web:1")).await;
    lost.apply(&canary(&lost, "contour", in_one_step(), json!({}))).await;
    let idle = stage.scene("idle").await;
    cluster.apply(&many(&idle), ["--namespace", &idle.namespace]).await;
    let generation = |scene: &Scene| scene.seen("Deployment", "web-primary")["metadata"]["generation"].clone();
    let primary = generation(&at_rest);

    stage.open().await;
    at_rest
        .until("the canary is adopted", || {
            let run = &at_rest.seen("Canary", "web")["metadata"]["annotations"]["canary.leeboard.dev/run"];
            if run.is_string() { Ok(()) } else { Err(run.to_string()) }
        })
        .await;
    assert_eq!(at_rest.phases(), ["Succeeded"], "adopted without a run");
    assert_eq!(generation(&at_rest), primary, "the primary was touched");

    // A kind that comes later.
    lost.until("the router is missing", || {
        let canary = lost.seen("Canary", "web");
        if canary["status"]["conditions"].to_string().contains("RouterMissing") {
            Ok(())
        } else {
            Err(canary["status"].to_string())
        }
    })
    .await;
    assert_eq!(lost.seen("Deployment", "web")["spec"]["replicas"], 2, "the target serves");
    cluster.apply(&definition("HTTPProxy"), [""; 0]).await;

    at_rest.image("Deployment", "web:2").await;
    let splits = |scene: &Scene| scene.history("HTTPRoute", "web", split);
    at_rest
        .until("the middle", || if splits(&at_rest).contains(&(50, 50)) { Ok(()) } else { Err(String::new()) })
        .await;
    let stepped = at_rest.first("HTTPRoute", "web", |body| split(body) == Some((50, 50))).unwrap();
    {
        let mut daemon = stage.daemon.lock().await;
        let daemon = daemon.as_mut().unwrap();
        daemon.kill();
        daemon.restart().await;
    }
    for scene in [&at_rest, &amid] {
        scene.phase("Succeeded").await;
        scene.field("Deployment", "web-primary", IMAGE, &json!("web:2")).await;
        scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    }
    assert_eq!(splits(&at_rest), [(100, 0), (50, 50), (100, 0)]);
    assert_eq!(splits(&amid), [(70, 30), (40, 60), (100, 0)]);
    let promoted =
        at_rest.first("Deployment", "web-primary", |body| body.pointer(IMAGE) == Some(&json!("web:2"))).unwrap();
    let waited = promoted.duration_since(stepped);
    assert!(waited > Duration::from_millis(9_500), "the restart has cut a wait of 10 s to {waited:?}");

    lost.phase("Initialized").await;
    idle.until("all rest", || {
        let canaries = stage.recorder.all("Canary", &idle.namespace);
        let resting = canaries.iter().filter(|canary| canary["status"]["phase"] == "Initialized").count();
        if resting == IDLE { Ok(()) } else { Err(format!("{resting} of {IDLE}")) }
    })
    .await;
    // Watches tell of the last writes.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = requests(stage).await;
    tokio::time::sleep(SILENCE).await;
    let mut after = requests(stage).await;
    for (labels, count) in before {
        *after.entry(labels).or_default() -= count;
    }
    after.retain(|labels, count| *count != 0.0 && !labels.contains("watch"));
    println!("requests in {SILENCE:?} of rest: {after:?}");
    // The lease is read and renewed each 5 s.
    let sum: f64 = after.values().sum();
    assert!(sum <= 10.0, "{after:?}");
}

/// Requests to the API server by their labels, as the daemon counts them.
async fn requests(stage: &Stage) -> BTreeMap<String, f64> {
    let daemon = stage.daemon.lock().await;
    let (_, text) = daemon.as_ref().unwrap().get("/metrics").await.unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("leeboard_api_requests_total")?.rsplit_once(' '));
    lines.map(|(labels, count)| (labels.to_owned(), count.parse().unwrap())).collect()
}

/// Canaries with nothing to do, each with a workload.
fn many(scene: &Scene) -> String {
    let pair = |at: usize| {
        let name = format!("web-{at}");
        let mut workload = deployment("web:1");
        workload["metadata"]["name"] = name.as_str().into();
        workload["spec"]["selector"]["matchLabels"]["app"] = name.as_str().into();
        workload["spec"]["template"]["metadata"]["labels"]["app"] = name.as_str().into();
        workload["spec"]["replicas"] = 1.into();
        let mut canary = canary(scene, "kubernetes", json!({"iterations": 1}), json!({}));
        canary["metadata"]["name"] = name.as_str().into();
        canary["spec"]["targetRef"]["name"] = name.as_str().into();
        format!("{workload}\n---\n{canary}")
    };
    (0..IDLE).map(pair).collect::<Vec<_>>().join("\n---\n")
}

/// What Flagger leaves when it stops: objects and status are its, the hashes too.
async fn as_flagger_leaves_it(stage: &'static Stage, name: &str, phase: &str, image: &str, weight: i64) -> Scene {
    let scene = stage.scene(name).await;
    let analysis = if weight == 0 { in_one_step() } else { json!({"stepWeight": weight, "maxWeight": 2 * weight}) };
    scene.apply(&canary(&scene, "gatewayapi:v1", analysis, json!({}))).await;
    scene
        .until("the Canary is there", || {
            if scene.seen("Canary", "web") == Value::Null { Err(String::new()) } else { Ok(()) }
        })
        .await;
    let uid = scene.seen("Canary", "web")["metadata"]["uid"].clone();
    let owner = json!([{
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "web", "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    }]);
    let notes = json!({
        "kustomize.toolkit.fluxcd.io/reconcile": "disabled", "helm.toolkit.fluxcd.io/driftDetection": "disabled",
    });
    let mut target = deployment(image);
    target["spec"]["replicas"] = json!(if weight == 0 { 0 } else { 2 });
    let mut primary = deployment("web:1");
    primary["metadata"] = json!({"name": "web-primary", "labels": {"app": "web-primary"}, "ownerReferences": owner});
    primary["spec"]["selector"]["matchLabels"]["app"] = "web-primary".into();
    primary["spec"]["template"]["metadata"] = json!({"labels": {"app": "web-primary"}, "annotations": {"flagger-id": "1f0e8ee2-6d6b-4f0b-8f6f-6d0f3f9a2a11"}});
    let service = |name: &str, leads_to: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "labels": {"app": name}, "annotations": notes, "ownerReferences": owner},
            "spec": {
                "type": "ClusterIP", "selector": {"app": leads_to},
                "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
            },
        })
    };
    let backend =
        |name: &str, weight: i64| json!({"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight});
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "web", "annotations": notes, "ownerReferences": owner},
        "spec": {
            "parentRefs": [{"name": "gateway", "namespace": "gateways"}],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [backend("web-primary", 100 - weight), backend("web-canary", weight)],
            }],
        },
    });
    let services = [("web", "web-primary"), ("web-primary", "web-primary"), ("web-canary", "web")];
    let services = services.map(|(name, leads_to)| service(name, leads_to));
    for object in [target, primary, route].into_iter().chain(services) {
        scene.apply(&object).await;
    }
    let status = json!({
        "phase": phase, "canaryWeight": weight, "failedChecks": 0, "iterations": 0,
        "lastAppliedSpec": "5d9c7b8f64", "lastPromotedSpec": if weight == 0 { "5d9c7b8f64" } else { "7c8d9b5f46" },
        "lastTransitionTime": "2026-11-21T10:00:00Z",
        "conditions": [{
            "type": "Promoted", "status": if weight == 0 { "True" } else { "Unknown" }, "reason": phase,
            "message": "Canary analysis completed successfully, promotion finished.",
            "lastTransitionTime": "2026-11-21T10:00:00Z", "lastUpdateTime": "2026-11-21T10:00:00Z",
        }],
    });
    scene.merge_status("flagger.app/v1beta1", "Canary", "web", &status).await;
    scene
}
