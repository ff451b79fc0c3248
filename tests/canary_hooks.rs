//! Hooks that are Jobs, and alarms, of canaries on a real API server; kwok plays the pods, as their templates say.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use std::future::IntoFuture as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::response::IntoResponse as _;
use base64::Engine as _;
use harness::{DaemonOptions, SOON, World, eventually, mailbox};
use serde_json::{Value, json};

/// A Deployment and its Canary, which is checked a few times; one failed check ends a run.
async fn canary(world: &World, name: &str, annotations: &Value, analysis: &Value) {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 8080}]}]},
            },
        },
    });
    let mut canary = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {"name": name, "annotations": {"canary.leeboard.dev/scale-down-delay": "0"}},
        "spec": {
            "provider": "kubernetes",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {"port": 80, "targetPort": 8080},
            "analysis": {"interval": "10s", "threshold": 1, "iterations": 1},
        },
    });
    for (key, value) in analysis.as_object().unwrap() {
        canary["spec"]["analysis"][key] = value.clone();
    }
    for (key, value) in annotations.as_object().unwrap() {
        canary["metadata"]["annotations"][key] = value.clone();
    }
    world.shop.apply(&deployment.to_string()).await;
    world.shop.apply(&canary.to_string()).await;
}

/// A pod that ends as kwok is told.
fn pod(annotations: &Value) -> Value {
    json!({"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "test", "image": "test:1"}]}})
}

async fn phase(world: &World, name: &str, expected: &str) {
    eventually(&format!("{name} is {expected}"), 2 * SOON, async || {
        let phase = world.shop.field(&format!("canary/{name}"), "{.status.phase}").await?;
        if phase == expected { Ok(()) } else { Err(format!("{phase}\n{}", world.tail())) }
    })
    .await;
}

async fn push(world: &World, name: &str, image: &str) {
    phase(world, name, "Initialized").await;
    world.shop.kubectl(["set", "image", &format!("deployment/{name}"), &format!("web={image}")]).await.unwrap();
}

async fn jobs_of(world: &World, name: &str) -> Vec<Value> {
    let label = format!("canary.leeboard.dev/canary={name}");
    let text = world.shop.kubectl(["get", "jobs", "-l", &label, "-o", "json"]).await.unwrap();
    let mut list: Value = serde_json::from_str(&text).unwrap();
    list["items"].as_array_mut().map(std::mem::take).unwrap()
}

async fn told(world: &World, name: &str, text: &str) {
    eventually(&format!("an Event of {name} says: {text}"), SOON, async || {
        let selector = format!("involvedObject.name={name}");
        let events = world.shop.kubectl(["get", "events", "--field-selector", &selector, "-o", "json"]).await?;
        if events.contains(text) { Ok(()) } else { Err(events) }
    })
    .await;
}

/// What was asked of a server that plays an Alertmanager and AWS.
#[derive(Clone, Default)]
struct Outside {
    /// Requests: path and query, `Authorization`, body.
    asked: Arc<Mutex<Vec<(String, String, String)>>>,
    fires: Arc<AtomicBool>,
}

impl Outside {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let this = self.clone();
        let answer = async move |request: axum::extract::Request| this.answer(request).await;
        tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
        address
    }

    async fn answer(&self, request: axum::extract::Request) -> axum::response::Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let header = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let seen = (parts.uri.to_string(), header.to_owned(), String::from_utf8_lossy(&body).into_owned());
        self.asked.lock().unwrap().push(seen);
        let text = String::from_utf8_lossy(&body);
        if parts.uri.path() == "/token" {
            assert_eq!(parts.headers["content-type"], "application/x-www-form-urlencoded");
            assert!(is_signed(text.rsplit_once("&assertion=").unwrap().1), "{text}");
            return axum::Json(json!({"access_token": "ya29.x", "expires_in": 3599})).into_response();
        }
        if parts.uri.path().ends_with("/timeSeries:query") {
            assert_eq!(header, "Bearer ya29.x");
            return axum::Json(json!({"timeSeriesData": [{"pointData": [{"values": [{"doubleValue": 9}]}]}]}))
                .into_response();
        }
        if parts.uri.path() == "/incidents" {
            // As its documentation has it.
            let incident = json!({
                "id": "PT4KHLK", "type": "incident", "incident_number": 1234, "title": "Cart is down",
                "created_at": "2026-11-21T10:00:00Z", "status": "triggered", "urgency": "high",
                "service": {"id": "PXPGF42", "type": "service_reference", "summary": "Shop"},
            });
            let incidents = if self.fires.load(Ordering::Relaxed) { json!([incident]) } else { json!([]) };
            return axum::Json(json!({"incidents": incidents, "limit": 25, "offset": 0, "more": false}))
                .into_response();
        }
        if !parts.uri.path().starts_with("/api/v2/alerts") {
            let points = json!({"MetricDataResults": [{"Id": "m", "StatusCode": "Complete", "Values": [7.0]}]});
            return axum::Json(points).into_response();
        }
        // As Alertmanager 0.28 writes it.
        let alert = json!({
            "annotations": {"summary": "5 % of requests fail"}, "endsAt": "2126-11-21T10:05:00.000Z",
            "fingerprint": "d83ad4d0f7d0e3a5", "receivers": [{"name": "on-call"}],
            "startsAt": "2026-11-21T10:00:00.000Z",
            "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"},
            "updatedAt": "2026-11-21T10:00:05.000Z", "generatorURL": "http://prometheus:9090/graph",
            "labels": {"alertname": "HighErrorRate", "app": "alarmed", "severity": "page"},
        });
        axum::Json(if self.fires.load(Ordering::Relaxed) { json!([alert]) } else { json!([]) }).into_response()
    }

    /// Waits until something was asked that has all of these in it.
    async fn was_asked(&self, words: &[&str]) {
        eventually(&format!("{words:?} is asked"), 2 * SOON, async || {
            let asked = self.asked.lock().unwrap().clone();
            let has_all = |it: &(String, String, String)| {
                let all = format!("{} {} {}", it.0, it.1, it.2);
                words.iter().all(|word| all.contains(word))
            };
            if asked.iter().any(has_all) { Ok(()) } else { Err(format!("{asked:#?}")) }
        })
        .await;
    }
}

/// Whether an assertion is signed with the key of the fixture.
fn is_signed(assertion: &str) -> bool {
    let (said, signature) = assertion.rsplit_once('.').unwrap();
    let public: String =
        include_str!("fixtures/google/public.pem").lines().filter(|line| !line.starts_with('-')).collect();
    let public = base64::engine::general_purpose::STANDARD.decode(public).unwrap();
    let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.mapping;
    let wanted = rustls::SignatureScheme::RSA_PKCS1_SHA256;
    let (_, algorithms) = algorithms.iter().find(|(scheme, _)| *scheme == wanted).unwrap();
    algorithms[0].verify_signature(&public, said.as_bytes(), &signature).is_ok()
}

#[tokio::test]
async fn jobs_alarms_and_clouds_are_asked() {
    let outside = Outside::default();
    let address = outside.start().await;
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL_SNS", address.as_str()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut world = World::with(DaemonOptions { environment, ..DaemonOptions::default() }).await;
    alarms_and_clouds(&world, &outside, &address).await;
    jobs(&mut world).await;
}

async fn alarms_and_clouds(world: &World, outside: &Outside, address: &str) {
    let topic = "arn:aws:sns:eu-west-1:123456789012:on-call";
    let provider = json!({"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider",
        "metadata": {"name": "on-call"}, "spec": {"type": "sns", "address": topic}});
    let template = |name: &str, provider: Value, query: &str| {
        json!({"apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate",
            "metadata": {"name": name}, "spec": {"provider": provider, "query": query}})
    };
    let cloud = json!({"type": "cloudwatch", "region": "eu-west-1", "address": address});
    let cloud = template("cloud", cloud, r#"[{"Id": "m", "Expression": "1"}]"#);
    let external = template("external", json!({"type": "externalmetrics"}), "{{ namespace }}/queue");
    let mut key: Value = serde_json::from_str(include_str!("fixtures/google/service-account.json")).unwrap();
    key["token_uri"] = format!("{address}/token").into();
    let account = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "google"},
        "stringData": {"project": "my-project", "serviceAccountKey": key.to_string()}});
    let google = json!({"type": "stackdriver", "address": address, "secretRef": {"name": "google"}});
    let google = template("google", google, "fetch k8s_container");
    let nobody = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nobody"},
        "stringData": {"project": "my-project"}});
    let elsewhere = json!({"type": "stackdriver", "address": address, "secretRef": {"name": "nobody"}});
    let elsewhere = template("elsewhere", elsewhere, "fetch k8s_container");
    let mails = Arc::new(Mutex::new(String::new()));
    let mail = json!({"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider", "metadata": {"name": "mail"}, "spec": {
        "type": "email", "address": format!("smtp://{}?tls=none", mailbox(mails.clone()).await),
        "username": "Leeboard <leeboard@example.com>", "channel": "ada@example.com, on-call@example.com",
    }});
    for object in [provider, mail, cloud, external, account, google, nobody, elsewhere] {
        world.shop.apply(&object.to_string()).await;
    }
    let metric = |name: &str| json!([{"name": name, "interval": "1m", "thresholdRange": {"max": 5}, "templateRef": {"name": name}}]);
    let proxied = json!({"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider", "metadata": {"name": "proxied"},
        "spec": {"type": "webhook", "address": "http://alerts.example.com/hook", "proxy": address}});
    world.shop.apply(&proxied.to_string()).await;
    world.shop.apply(&keptns_definition().to_string()).await;
    let slo = template("slo", json!({"type": "keptn"}), "analysis/{{ namespace }}/slo/5m/stage=dev");
    world.shop.apply(&slo.to_string()).await;
    let alerts = json!([
        {"name": "proxied", "severity": "error", "providerRef": {"name": "proxied"}},
        {"name": "on-call", "severity": "error", "providerRef": {"name": "on-call"}},
        {"name": "mail", "severity": "error", "providerRef": {"name": "mail"}},
    ]);
    let alarms = json!({
        "canary.leeboard.dev/alertmanager": address,
        "canary.leeboard.dev/alert-matchers": "app=alarmed,severity=page",
    });
    canary(world, "alarmed", &alarms, &json!({"iterations": 100, "alerts": alerts})).await;
    let key =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pager"}, "stringData": {"token": "y_Nb"}});
    world.shop.apply(&key.to_string()).await;
    let paged = json!({
        "canary.leeboard.dev/pagerduty-services": "PXPGF42", "canary.leeboard.dev/pagerduty-secret": "pager",
        "canary.leeboard.dev/pagerduty-address": address,
    });
    canary(world, "paged", &paged, &json!({"iterations": 100})).await;
    canary(world, "cloudy", &json!({}), &json!({"metrics": metric("cloud")})).await;
    canary(world, "outer", &json!({}), &json!({"metrics": metric("external")})).await;
    canary(world, "googled", &json!({}), &json!({"threshold": 2, "metrics": metric("google")})).await;
    canary(world, "stranger", &json!({}), &json!({"metrics": metric("elsewhere")})).await;
    for name in ["alarmed", "paged", "cloudy", "outer", "googled", "stranger"] {
        push(world, name, "web:2").await;
    }
    outside.was_asked(&["/api/v2/alerts?active=true", "filter=app%3D%22alarmed%22&filter=severity%3D%22page%22"]).await;
    outside.was_asked(&["/incidents?", "service_ids%5B%5D=PXPGF42", "Token token=y_Nb"]).await;
    phase(world, "alarmed", "Progressing").await;
    phase(world, "paged", "Progressing").await;
    outside.fires.store(true, Ordering::Relaxed);
    told(world, "alarmed", "advancement alert HighErrorRate (5 % of requests fail) fires").await;
    phase(world, "alarmed", "Failed").await;
    told(world, "paged", "advancement alert incident #1234 (Cart is down) fires").await;
    phase(world, "paged", "Failed").await;
    let signed = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/";
    outside.was_asked(&[signed, "/eu-west-1/sns/aws4_request", "Action=Publish", "on-call", "Rolling%20back"]).await;
    outside.was_asked(&["http://alerts.example.com/hook", "Rolling back alarmed"]).await;
    let words = [
        "MAIL FROM:<leeboard@example.com>",
        "RCPT TO:<ada@example.com>",
        "RCPT TO:<on-call@example.com>",
        &format!("Subject: alarmed.{}: error", world.shop.name()),
        "Rolling back alarmed",
    ];
    eventually("a mail is taken", SOON, async || {
        let mails = mails.lock().unwrap().clone();
        if words.iter().all(|word| mails.contains(word)) { Ok(()) } else { Err(mails) }
    })
    .await;
    outside.was_asked(&[signed, "/eu-west-1/monitoring/aws4_request", "MetricDataQueries"]).await;
    told(world, "cloudy", "advancement cloud 7.00").await;
    told(world, "googled", "advancement google 9.00").await;
    told(world, "stranger", "Google identity goes to `https://*.googleapis.com` only").await;
    phase(world, "googled", "Failed").await;
    let asked = outside.asked.lock().unwrap().clone();
    let count = |path: &str| asked.iter().filter(|(asked, ..)| asked.ends_with(path)).count();
    // A token is kept for as long as it holds.
    assert_eq!((count("/token"), count("/v3/projects/my-project/timeSeries:query")), (1, 2), "{asked:#?}");
    keptn(world, &metric("slo")).await;
    // There is no such API here: that it was asked is seen by the answer.
    told(world, "outer", "Metric query failed for external: /apis/external.metrics.k8s.io/v1beta1/namespaces/").await;
}

/// The definition of an Analysis, which keeps all fields.
fn keptns_definition() -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "analyses.metrics.keptn.sh"},
        "spec": {
            "group": "metrics.keptn.sh", "scope": "Namespaced", "names": {"kind": "Analysis", "plural": "analyses"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    })
}

/// A verdict of Keptn's is a number; what it was made for goes again.
async fn keptn(world: &World, metric: &Value) {
    let mut metric = metric.clone();
    metric[0]["thresholdRange"] = json!({"min": 1});
    canary(world, "keptn", &json!({}), &json!({"metrics": metric})).await;
    push(world, "keptn", "web:2").await;
    let name = eventually("an Analysis is made", 2 * SOON, async || {
        let text = world.shop.kubectl(["get", "analyses.metrics.keptn.sh", "-o", "json"]).await?;
        let list: Value = serde_json::from_str(&text).unwrap();
        let made = &list["items"][0];
        let is_so = made["spec"]["args"]["stage"] == "dev" && made["spec"]["timeframe"]["recent"] == "5m";
        if is_so { Ok(made["metadata"]["name"].as_str().unwrap().to_owned()) } else { Err(text) }
    })
    .await;
    let verdict = r#"{"status": {"state": "Completed"}}"#;
    let path = format!("analyses.metrics.keptn.sh/{name}");
    world.shop.kubectl(["patch", &path, "--type=merge", "-p", verdict]).await.unwrap();
    told(world, "keptn", "advancement slo 0.00 ").await;
    eventually("the Analysis is gone", SOON, async || {
        let left = world.shop.kubectl(["get", "analyses.metrics.keptn.sh", "-o", "name"]).await?;
        if left.trim().is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

async fn jobs(world: &mut World) {
    let none = json!({});
    let good = json!([
        {"type": "confirm-rollout", "name": "gate", "template": pod(&none)},
        {"type": "pre-rollout", "name": "smoke", "template": {"spec": {"template": pod(&none)}}},
        {"type": "job", "name": "load", "timeout": "90s", "template": pod(&json!({"leeboard.test/delay": "3s"}))},
        {"type": "post-rollout", "name": "report", "template": pod(&none)},
    ]);
    let bad =
        json!([{"type": "pre-rollout", "name": "smoke", "template": pod(&json!({"leeboard.test/outcome": "fail"}))}]);
    let stuck =
        json!([{"type": "pre-rollout", "name": "smoke", "template": pod(&json!({"leeboard.test/outcome": "stuck"}))}]);
    let late = json!([
        {"type": "pre-rollout", "name": "smoke", "timeout": "3s", "template": pod(&json!({"leeboard.test/outcome": "stuck"}))}
    ]);
    let empty = json!([{"type": "pre-rollout", "name": "smoke", "template": {"spec": {}}}]);
    for (name, hooks) in [("good", good), ("bad", bad), ("stuck", stuck), ("late", late), ("empty", empty)] {
        canary(world, name, &none, &json!({"webhooks": hooks})).await;
    }
    for name in ["good", "bad", "stuck", "late", "empty"] {
        push(world, name, "web:2").await;
    }

    // Killed while a Job runs, it goes on with the same Job.
    let running = eventually("the load test runs", 2 * SOON, async || {
        let jobs = jobs_of(world, "good").await;
        let load = jobs.iter().find(|job| job["metadata"]["annotations"]["canary.leeboard.dev/hook"] == "rollout load");
        load.cloned().ok_or_else(|| format!("{} jobs\n{}", jobs.len(), world.tail()))
    })
    .await;
    world.daemon.kill();
    world.daemon.restart().await;
    phase(world, "good", "Succeeded").await;
    told(world, "good", "Post-rollout check report passed").await;
    let jobs = jobs_of(world, "good").await;
    let hooks: Vec<&str> =
        jobs.iter().filter_map(|job| job["metadata"]["annotations"]["canary.leeboard.dev/hook"].as_str()).collect();
    // An iteration is one check, the one that promotes another.
    for (hook, count) in
        [("confirm-rollout gate", 1), ("pre-rollout smoke", 1), ("rollout load", 2), ("post-rollout report", 1)]
    {
        assert_eq!(hooks.iter().filter(|found| **found == hook).count(), count, "{hook}: {hooks:?}");
    }
    let load = jobs.iter().find(|job| job["metadata"]["uid"] == running["metadata"]["uid"]).unwrap();
    assert_eq!(load["metadata"]["ownerReferences"][0]["name"], "good", "{load}");
    let env = load["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let value = |name: &str| env.iter().find(|variable| variable["name"] == name).map(|variable| &variable["value"]);
    let url = format!("http://good-canary.{}:80", world.shop.name());
    assert_eq!(value("LEEBOARD_CANARY_URL"), Some(&json!(url)), "{env:?}");
    assert_eq!(value("LEEBOARD_PHASE"), Some(&json!("Progressing")), "{env:?}");

    phase(world, "bad", "Failed").await;
    told(world, "bad", "pre-rollout check smoke failed Job bad-smoke-").await;
    told(world, "bad", "BackoffLimitExceeded").await;
    told(world, "bad", "exit code 1").await;
    phase(world, "late", "Failed").await;
    phase(world, "empty", "Failed").await;
    told(world, "empty", "has neither `spec.template.spec.containers`").await;

    // A person is heard while a Job runs.
    phase(world, "stuck", "Progressing").await;
    let wish = ["annotate", "canary/stuck", "canary.leeboard.dev/action=abort", "canary.leeboard.dev/actor=alice"];
    world.shop.kubectl(wish).await.unwrap();
    phase(world, "stuck", "Failed").await;
    told(world, "stuck", "aborted by alice").await;
}
