//! [`Sink`]: a small server that plays Prometheus and every hook, for all namespaces: the first part of a path says for
//! which.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What Prometheus says of the success rate.
#[derive(Clone, Copy, Debug)]
pub enum Measured {
    /// So many percent.
    Percent(f64),
    /// No series.
    Nothing,
}

/// See the module.
pub struct Sink {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    rates: Mutex<BTreeMap<String, Measured>>,
    /// When Prometheus was asked last, by namespace.
    asked: Mutex<BTreeMap<String, Instant>>,
    /// By path; what is not here is approved.
    answers: Mutex<BTreeMap<String, u16>>,
    /// Path and payload of each call of a hook.
    calls: Mutex<Vec<(String, Value)>>,
}

impl Sink {
    /// Listens on a port of its own until the runtime ends.
    pub async fn start() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::new(Shared::default()));
        let sink = Sink { address: format!("http://{address}"), shared: shared.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                let handler = hyper::service::service_fn(move |request| {
                    let shared = shared.clone();
                    async move { Ok::<_, Infallible>(shared.answer(request).await) }
                });
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), handler);
                tokio::spawn(connection);
            }
        });
        sink
    }

    /// Where the metrics of a namespace are.
    pub fn url(&self, namespace: &str) -> String {
        format!("{}/{namespace}", self.address)
    }

    /// What Prometheus says from now on; a hundred percent otherwise.
    pub fn measures(&self, namespace: &str, rate: Measured) {
        self.shared.rates.lock().unwrap().insert(namespace.into(), rate);
    }

    /// When it was asked for them last: what the bench measures from.
    #[allow(dead_code, reason = "a bench asks")]
    pub fn asked(&self, namespace: &str) -> Option<Instant> {
        self.shared.asked.lock().unwrap().get(namespace).copied()
    }

    /// With which status a hook answers from now on; 200 otherwise.
    pub fn answers(&self, namespace: &str, hook: &str, status: u16) {
        self.shared.answers.lock().unwrap().insert(format!("/{namespace}/{hook}"), status);
    }

    /// The payloads that a hook was called with.
    pub fn calls(&self, namespace: &str, hook: &str) -> Vec<Value> {
        let path = format!("/{namespace}/{hook}");
        let calls = self.shared.calls.lock().unwrap();
        calls.iter().filter(|(to, _)| *to == path).map(|(_, payload)| payload.clone()).collect()
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let say = |status: u16, body: String| {
            let response = Response::builder().status(status).header("content-type", "application/json");
            response.body(Full::from(body)).unwrap()
        };
        if request.method() == Method::POST {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let payload = serde_json::from_slice(&body).unwrap_or(Value::Null);
            self.calls.lock().unwrap().push((path.clone(), payload));
            let status = self.answers.lock().unwrap().get(&path).copied().unwrap_or(200);
            return say(status, String::new());
        }
        let Some(namespace) = path.strip_suffix("/api/v1/query").map(|path| path.trim_start_matches('/')) else {
            return say(404, String::new());
        };
        self.asked.lock().unwrap().insert(namespace.into(), Instant::now());
        let query = request.uri().query().unwrap_or_default();
        let is_duration = query.contains("histogram_quantile") || query.contains("_sum");
        let rate = self.rates.lock().unwrap().get(namespace).copied().unwrap_or(Measured::Percent(100.0));
        let value = match rate {
            Measured::Percent(_) if is_duration => Some("0.05".to_owned()),
            Measured::Percent(rate) => Some(rate.to_string()),
            Measured::Nothing => None,
        };
        let result: Vec<Value> = value.into_iter().map(|value| json!({"metric": {}, "value": [0, value]})).collect();
        say(200, json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string())
    }
}
