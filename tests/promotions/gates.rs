//! Gates that ask others: an endpoint, an Alertmanager, a Prometheus, statuses of a real Gitea.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::response::IntoResponse as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use serde_json::{Value, json};

use crate::stage::Pipeline;

/// Plays all who are asked.
#[derive(Clone, Default)]
struct Outside {
    /// What the endpoint was sent: the body, and how it was signed.
    asked: Arc<Mutex<Vec<(String, String)>>>,
    fires: Arc<AtomicBool>,
    measured: Arc<AtomicUsize>,
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
        match parts.uri.path() {
            "/change" => {
                let header = parts.headers.get("x-leeboard-signature-256");
                let signature = header.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
                let mut asked = self.asked.lock().unwrap();
                asked.push((String::from_utf8_lossy(&body).into_owned(), signature));
                // It takes its time, and says how much.
                if asked.len() < 3 {
                    (http::StatusCode::ACCEPTED, [("retry-after", "1")], "").into_response()
                } else {
                    ().into_response()
                }
            }
            "/api/v2/alerts" => {
                let alert = json!({"labels": {"alertname": "Checkout"}, "annotations": {}, "endsAt": "2126-11-21T10:05:00.000Z",
                    "fingerprint": "1", "receivers": [], "startsAt": "2026-11-21T10:05:00.000Z", "updatedAt": "2026-11-21T10:05:00.000Z",
                    "status": {"state": "active", "silencedBy": [], "inhibitedBy": []}});
                axum::Json(if self.fires.load(Ordering::Relaxed) { json!([alert]) } else { json!([]) }).into_response()
            }
            "/api/v1/query" => {
                self.measured.fetch_add(1, Ordering::Relaxed);
                let vector = json!([{"metric": {}, "value": [1_700_000_000, "99.9"]}]);
                axum::Json(json!({"status": "success", "data": {"resultType": "vector", "result": vector}}))
                    .into_response()
            }
            path => panic!("asked for {path}"),
        }
    }
}

fn gate_of<'a>(promotion: &'a Value, name: &str) -> &'a Value {
    let gates = promotion["status"]["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["name"] == name).unwrap_or_else(|| panic!("no gate {name} in {promotion}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_asked_as_often_as_they_want_and_nothing_passes_before_all_have_said_yes() {
    let outside = Outside::default();
    outside.fires.store(true, Ordering::Relaxed);
    let address = outside.start().await;
    let pipeline = Pipeline::start(&[("dev", Value::Null), ("int", Value::Null)]).await;
    let template = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": {"name": "success"},
        "spec": {"provider": {"type": "prometheus", "address": address}, "query": "sum({{ target }}_{{ interval }})"},
    });
    pipeline.control.apply(&template.to_string()).await;
    let key =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "change"}, "stringData": {"key": "k1"}});
    pipeline.control.apply(&key.to_string()).await;
    let gates = json!([
        {"name": "change", "webhook": {"url": format!("{address}/change"), "secretName": "change"}},
        {"alarms": {"alertmanager": {"url": address, "matchers": "app=web"}, "for": "2s"}},
        {"metric": {"templateRef": {"name": "success"}, "thresholdRange": {"min": 99}, "interval": "1s", "count": 2}},
    ]);
    pipeline.environment("int", &json!({"from": [{"environment": "dev"}], "auto": true, "gates": gates})).await;
    let commit = pipeline.push("dev", "good day");
    let waits = pipeline.until("int", &commit, "waits for the alarm alone", |one| {
        one["status"]["message"] == "alarms: an alarm is on: Checkout"
    });
    let waits = waits.await;
    assert!(gate_of(&waits, "change")["message"].as_str().unwrap().ends_with("/change says yes"), "{waits}");
    assert_eq!(gate_of(&waits, "metric")["message"], "success is 99.9: 2 measurements within its bounds");
    assert_eq!(pipeline.greeting("int").await.unwrap(), "hello");

    outside.fires.store(false, Ordering::Relaxed);
    let done = pipeline.reaches("int", &commit, "Succeeded").await;
    assert!(gate_of(&done, "alarms")["message"].as_str().unwrap().starts_with("no alarm for "), "{done}");
    assert_eq!(outside.measured.load(Ordering::Relaxed), 2, "who has said yes is not asked again");
    let asked = outside.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "{asked:?}");
    let (body, signature) = &asked[0];
    let question: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&question["environment"], &question["commit"], &question["gate"]),
        (&json!("int"), &json!(commit), &json!("change"))
    );
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"k1").unwrap();
    mac.update(body.as_bytes());
    let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(*signature, format!("sha256={expected}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_of_the_forge_are_waited_for_and_one_that_is_missing_never_passes() {
    let gates = json!([{"checks": {"names": ["build", "scan"]}}]);
    let policy = json!({"from": [{"environment": "dev"}], "auto": true, "gates": gates});
    let pipeline = Pipeline::on_forge("checked", &[("dev", Value::Null), ("int", policy)]).await;
    let shop = pipeline.shop();
    let say = async |commit: &str, context: &str, state: &str| {
        let status = json!({"context": context, "state": state, "description": "by the robot"});
        shop.ask(&shop.world.jane, Method::POST, &format!("statuses/{commit}"), status).await;
    };
    let commit = pipeline.push("dev", "good day");
    say(&commit, "build", "success").await;
    pipeline
        .until("int", &commit, "waits for the other one", |one| {
            one["status"]["message"].as_str().is_some_and(|text| text.contains("`scan` is missing"))
        })
        .await;
    say(&commit, "scan", "failure").await;
    let failed = pipeline.reaches("int", &commit, "Failed").await;
    assert_eq!(failed["status"]["message"], "checks: `scan` is red: by the robot");
    assert_eq!(pipeline.greeting("int").await.unwrap(), "hello");
}
