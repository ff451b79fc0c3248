//! A daemon's life on a cluster of its own: it takes over what Flagger has left, is killed amid runs, and asks nothing
//! while nothing happens.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Cluster, established};
use crate::left;
use crate::manifests::{canary, deployment, in_one_step, split};
use crate::stage::{IMAGE, Scene, Stage, definitions};

/// How many canaries rest.
const IDLE: usize = 30;
const SILENCE: Duration = Duration::from_secs(20);

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
    // Two leases are read and renewed each 5 s, the daemon's and that of who acts on canaries.
    let sum: f64 = after.values().sum();
    assert!(sum <= 20.0, "{after:?}");
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

/// A canary that Flagger has looked after until now, with that weight.
async fn as_flagger_leaves_it(stage: &'static Stage, name: &str, phase: &str, image: &str, weight: i64) -> Scene {
    let scene = stage.scene(name).await;
    let analysis = if weight == 0 { in_one_step() } else { json!({"stepWeight": weight, "maxWeight": 2 * weight}) };
    scene.apply(&canary(&scene, "gatewayapi:v1", analysis, json!({}))).await;
    let owners = left::owners(&scene).await;
    let mut target = deployment(image);
    target["spec"]["replicas"] = json!(if weight == 0 { 0 } else { 2 });
    let primary = left::primary(deployment("web:1"), &owners);
    let backend =
        |name: &str, weight: i64| json!({"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight});
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "web", "annotations": left::notes(), "ownerReferences": owners},
        "spec": {
            "parentRefs": [{"name": "gateway", "namespace": "gateways"}],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [backend("web-primary", 100 - weight), backend("web-canary", weight)],
            }],
        },
    });
    for object in [target, primary, route].into_iter().chain(left::services(&owners)) {
        scene.apply(&object).await;
    }
    left::status(&scene, phase, weight).await;
    scene
}
