//! A good version comes, and a bad one, while clients send 500 requests per second.

use std::time::{Duration, Instant};

use leeboard::sandbox::{Load, Router, Sample, Wire, by_version};
use serde_json::{Value, json};

use crate::harness::{Repo, SOON, eventually, manifests as harness_manifests};
use crate::stage::{A_RUN, IMAGE, Scene};
use crate::traffic::{GATEWAYS, Traffic};

/// Requests per second.
const RATE: u32 = 500;
/// How far a measured share may be from its weight.
const TOLERANCE: f64 = 0.02;
/// The weights at which the canary is held until enough was counted.
const WEIGHTS: [u32; 2] = [10, 50];

/// A router, and how a canary is led through it.
struct Way {
    router: &'static Router,
    provider: &'static str,
    /// What git has beside the Deployment and the Canary.
    files: Vec<(&'static str, Value)>,
    /// Into the Canary's spec.
    spec: Value,
    metrics: Value,
    /// Which object has the weights.
    route: (&'static str, &'static str),
    weight: fn(&Value) -> Option<u32>,
    /// After a change of the object, until every request follows it.
    lag: Duration,
}

/// By an Ingress, with Flagger's own queries.
pub async fn skipper() {
    let traffic = Traffic::shared().await;
    let scene = traffic.stage.scene("skipper").await;
    let way = Way {
        router: &traffic.skipper,
        provider: "skipper",
        files: vec![("app/ingress.yaml", ingress(&scene))],
        spec: json!({"ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"}}),
        metrics: json!([
            {"name": "request-success-rate", "interval": "10s", "thresholdRange": {"min": 99}},
            {"name": "request-duration", "interval": "10s", "thresholdRange": {"max": 20000}},
        ]),
        route: ("Ingress", "web-canary"),
        weight: |body| {
            let annotations = &body["metadata"]["annotations"];
            let is_off = annotations["zalando.org/skipper-predicate"].as_str()?.starts_with("False()");
            let weights: Value = serde_json::from_str(annotations["zalando.org/backend-weights"].as_str()?).unwrap();
            let weight = u32::try_from(weights["web-canary"].as_u64()?).unwrap();
            Some(if is_off { 0 } else { weight })
        },
        lag: Duration::from_millis(1500),
    };
    both_versions(traffic, scene, way).await;
}

/// By an HTTPRoute, with a query of the user's: Flagger has none for Traefik's names of Gateway API services.
pub async fn traefik() {
    let traffic = Traffic::shared().await;
    let scene = traffic.stage.scene("traefik").await;
    let count = |code: &str| {
        let service = "{{ namespace }}-{{ service }}-canary-http-[0-9]+@kubernetesgateway";
        format!(r#"sum(rate(traefik_service_requests_total{{service=~"{service}"{code}}}[{{{{ interval }}}}]))"#)
    };
    let template = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": {"name": "success-rate"},
        "spec": {
            "provider": {"type": "prometheus", "address": traffic.prometheus.url()},
            "query": format!("{} / {} * 100", count(r#",code!~"5..""#), count("")),
        },
    });
    let way = Way {
        router: &traffic.traefik,
        provider: "gatewayapi:v1",
        files: vec![("app/metrics.yaml", template)],
        spec: json!({"service": {
            "port": 80, "targetPort": 8080, "hosts": [host(&scene)],
            "gatewayRefs": [{"name": "gateway", "namespace": GATEWAYS}],
        }}),
        metrics: json!([{
            "name": "success rate", "templateRef": {"name": "success-rate"}, "interval": "10s",
            "thresholdRange": {"min": 99},
        }]),
        route: ("HTTPRoute", "web"),
        weight: |body| {
            let backends = body["spec"]["rules"][0]["backendRefs"].as_array()?;
            let canary = backends.iter().find(|backend| backend["name"] == "web-canary");
            canary.map_or(Some(0), |canary| u32::try_from(canary["weight"].as_u64()?).ok())
        },
        lag: Duration::from_millis(1500),
    };
    both_versions(traffic, scene, way).await;
}

/// What clients ask for.
pub fn host(scene: &Scene) -> String {
    format!("{}.example.com", scene.namespace)
}

/// The user's own, for Skipper.
pub fn ingress(scene: &Scene) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "web", "annotations": {"kubernetes.io/ingress.class": "skipper"}},
        "spec": {"rules": [{"host": host(scene), "http": {"paths": [{
            "path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}},
        }]}}]},
    })
}

/// Two pods that go on after they were told to end, as pods behind a router should: for longer than a busy machine keeps
/// the router from hearing of it.
pub fn deployment(version: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}, "annotations": annotations},
                "spec": {"containers": [{
                    "name": "web", "image": format!("registry.example.com/web:{version}"),
                    "ports": [{"containerPort": 8080}],
                    "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                }]},
            },
        },
    })
}

/// Version 2 is good and is promoted, version 3 answers 30 % of its requests with 500 and is taken back.
async fn both_versions(traffic: &'static Traffic, scene: Scene, way: Way) {
    let pause = json!({"pause": {}});
    let steps = WEIGHTS.map(|weight| [json!({"weight": weight}), pause.clone()]).concat();
    let mut canary = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {
            "name": "web",
            "annotations": {"canary.leeboard.dev/interval": "3s", "canary.leeboard.dev/scale-down-delay": "3s"},
        },
        "spec": {
            "provider": way.provider,
            "metricsServer": traffic.prometheus.url(),
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "progressDeadlineSeconds": 60,
            "service": {"port": 80, "targetPort": 8080},
            "analysis": {
                "interval": "10s", "threshold": 3, "steps": steps, "metrics": way.metrics,
            },
        },
    });
    for (field, value) in way.spec.as_object().unwrap() {
        canary["spec"][field] = value.clone();
    }
    let repo = Repo::new();
    let good = json!({});
    let mut files = vec![("app/web.yaml", deployment("1", &good).to_string()), ("app/canary.yaml", canary.to_string())];
    files.extend(way.files.iter().map(|(path, object)| (*path, object.to_string())));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    repo.commit("main", &files);
    let application = format!("app-{}", scene.namespace);
    let control = &scene.stage.control;
    let manifest = harness_manifests::application(control.name(), &application, &repo.url(), "app", &scene.namespace);
    scene.stage.cluster.apply(&manifest.to_string(), [""; 0]).await;
    scene.phase("Initialized").await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    let wire = Wire::new(&way.router.url(), &host(&scene));
    eventually("version 1 answers", SOON, async || match wire.ask(Instant::now()).await {
        Sample { result: Ok(200), version: Some(version), .. } if version == "1" => Ok(()),
        other => Err(other.text()),
    })
    .await;

    let load = Load::start(wire.clone(), RATE);
    let weight_of = way.weight;
    let since = |weight: u32, after: Instant| {
        let states = scene.states(way.route.0, way.route.1);
        let now = states.last().and_then(|state| weight_of(state.body.as_ref()?));
        let first = states.iter().rev().take_while(|state| state.body.as_ref().and_then(weight_of) == Some(weight));
        (now == Some(weight)).then(|| first.last().map(|state| state.at)).flatten().filter(|at| *at >= after)
    };
    let pushed = Instant::now();
    let promoted_from = Instant::now();
    repo.commit("main", &[("app/web.yaml", &deployment("2", &good).to_string())]);
    for weight in WEIGHTS {
        let begun = scene
            .until(&format!("weight {weight}"), || since(weight, pushed).ok_or_else(|| "not yet".to_owned()))
            .await;
        let settled = begun + way.lag;
        tokio::time::sleep_until(settled.into()).await;
        load.fill(settled, needed(weight)).await;
        let counted = load.since(settled);
        let is_held = since(weight, pushed) == Some(begun);
        assert!(is_held, "{}: weight {weight} was not held: {:#?}", scene.namespace, scene.events("web"));
        judge(&scene, weight, &counted);
        // Who promotes before the run has come to its pause promotes nothing.
        scene.told(&format!("paused at weight {weight}")).await;
        scene.merge_canary(&json!({"metadata": {"annotations": {"canary.leeboard.dev/action": "promote"}}})).await;
    }
    scene.phase("Succeeded").await;
    scene.field("Deployment", "web-primary", IMAGE, &json!("registry.example.com/web:2")).await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let promotion = load.since(promoted_from);
    let failed = failures(&promotion);
    println!(
        "{}: promotion: {} requests in {:.0?}, {} failed, by version {:?}, slowest {:?}",
        scene.namespace,
        promotion.len(),
        promoted_from.elapsed(),
        failed.len(),
        by_version(&promotion),
        promotion.iter().map(|sample| sample.took).max().unwrap_or_default(),
    );
    assert!(failed.is_empty(), "{}: {} failed: {:#?}", scene.namespace, failed.len(), &failed[..failed.len().min(20)]);
    let newest = promotion.iter().rev().take(100).all(|sample| sample.version.as_deref() == Some("2"));
    assert!(newest, "{}: not all clients have version 2", scene.namespace);

    let bad_from = Instant::now();
    let bad = json!({"leeboard.test/error-rate": "0.3"});
    let commit = repo.commit("main", &[("app/web.yaml", &deployment("3", &bad).to_string())]);
    scene.phase("Failed").await;
    let operation = eventually("the sync of the bad commit fails", A_RUN, async || {
        let object = control.object(&format!("application.argoproj.io/{application}")).await?;
        let operation = &object["status"]["operationState"];
        let has_failed = operation["phase"] == "Failed" && operation["syncResult"]["revision"] == commit.as_str();
        if has_failed { Ok(operation.clone()) } else { Err(operation.to_string()) }
    })
    .await;
    let message = operation["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("sync of {} by Tess Tester ", &commit[..7])), "{message}");
    let cause = message.split("canary web failed: success rate ").nth(1).unwrap_or_else(|| panic!("{message}"));
    let measured: f64 = cause.split(['%', ' ']).next().unwrap().parse().unwrap();
    assert!((40.0..95.0).contains(&measured) && cause.ends_with("at weight 10"), "{message}");
    scene.told("Rolling back web").await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    scene.field("Deployment", "web-primary", IMAGE, &json!("registry.example.com/web:2")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let took = bad_from.elapsed();
    let all = load.stop().await;
    let rollback: Vec<Sample> = all.into_iter().filter(|sample| sample.sent >= bad_from).collect();
    let (own, lost): (Vec<Sample>, Vec<Sample>) = failures(&rollback)
        .into_iter()
        .partition(|sample| sample.result == Ok(500) && sample.version.as_deref() == Some("3"));
    println!(
        "{}: rollback: {} requests in {took:.0?}, {} answered 500 by the canary, {} lost, by version {:?}: {message}",
        scene.namespace,
        rollback.len(),
        own.len(),
        lost.len(),
        by_version(&rollback),
    );
    assert!(lost.is_empty(), "{}: {} were lost: {:#?}", scene.namespace, lost.len(), &lost[..lost.len().min(20)]);
    assert!(!own.is_empty(), "{}: nobody has met the bad version", scene.namespace);
    assert!(rollback.iter().rev().take(100).all(|sample| sample.version.as_deref() == Some("2")));
    let tally = traffic.pods.tally(&scene.namespace);
    assert_eq!(tally["3"].failed, own.len() as u64, "{tally:?}");
}

/// So many that a router which throws dice is further off than the tolerance in one of two million counts.
fn needed(weight: u32) -> usize {
    const DEVIATIONS: f64 = 5.0;
    let share = f64::from(weight) / 100.0;
    (share * (1.0 - share) * (DEVIATIONS / TOLERANCE).powi(2)).ceil() as usize
}

/// The measured share is the weight.
fn judge(scene: &Scene, weight: u32, counted: &[Sample]) {
    let canary = counted.iter().filter(|sample| sample.version.as_deref() == Some("2")).count();
    let share = canary as f64 / counted.len() as f64;
    println!("{}: weight {weight}: {:.2} % of {} requests", scene.namespace, share * 100.0, counted.len());
    let off = (share - f64::from(weight) / 100.0).abs();
    assert!(off <= TOLERANCE, "{}: weight {weight}, measured {share:.4}", scene.namespace);
}

/// Those that were not answered with 200.
pub fn failures(samples: &[Sample]) -> Vec<Sample> {
    samples.iter().filter(|sample| sample.result != Ok(200)).cloned().collect()
}
