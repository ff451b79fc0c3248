//! [`Load`]: clients. So many requests per second, whatever becomes of those before them; every answer is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::pod_host::VERSION;

/// A request without an answer for so long is lost. A busy machine may stand still for seconds, which loses none.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request, and what became of it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When.
    pub sent: Instant,
    /// From the moment in which it was due until its answer was read.
    pub took: Duration,
    /// The status, or why there is none.
    pub result: Result<u16, String>,
    /// Which version has answered, if it was a pod.
    pub version: Option<String>,
}

impl Sample {
    /// In a few words, for a list of failures.
    pub fn text(&self) -> String {
        format!("{:?} of version {:?} after {:?}", self.result, self.version, self.took)
    }
}

/// See the module. It stops when it is dropped.
#[derive(Debug)]
pub struct Load {
    wire: Wire,
    samples: Arc<Mutex<Vec<Sample>>>,
    stopped: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

/// How requests get to a host behind a router.
#[derive(Clone, Debug)]
pub struct Wire {
    client: Client<HttpConnector, Empty<Bytes>>,
    url: String,
    host: String,
}

impl Wire {
    /// Clients that keep their connections, as browsers do.
    pub fn new(url: &str, host: &str) -> Wire {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Wire { client, url: format!("{url}/"), host: host.into() }
    }

    /// Sends one request that was due then.
    pub async fn ask(&self, due: Instant) -> Sample {
        let sent = Instant::now();
        let mut version = None;
        let answer = async {
            let request = Request::get(&self.url).header("host", &self.host).body(Empty::new());
            let request = request.map_err(|error| error.to_string())?;
            // The source says more than the error.
            let answer = self.client.request(request).await.map_err(|error| format!("{error:?}"))?;
            version = answer.headers().get(VERSION).and_then(|value| Some(value.to_str().ok()?.to_owned()));
            let status = answer.status().as_u16();
            answer.into_body().collect().await.map_err(|error| error.to_string())?;
            Ok(status)
        };
        let result = tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err("no answer".into()));
        Sample { sent, took: due.elapsed(), result, version }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Load {
    /// Begins to send.
    pub fn start(wire: Wire, per_second: u32) -> Load {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(send(wire.clone(), per_second, samples.clone(), stopped.clone()));
        Load { wire, samples, stopped, task }
    }

    /// Lets the requests that are on their way end: all there were.
    pub async fn stop(mut self) -> Vec<Sample> {
        self.stopped.store(true, Ordering::Relaxed);
        // A panic in it shows in what is missing.
        let _ended = (&mut self.task).await;
        std::mem::take(&mut self.samples.lock())
    }

    /// All until now that were sent since then.
    pub fn since(&self, start: Instant) -> Vec<Sample> {
        self.samples.lock().iter().filter(|sample| sample.sent >= start).cloned().collect()
    }

    /// Sends more, one after the other on each of a few connections, until so many in all were sent since then.
    pub async fn fill(&self, start: Instant, count: usize) {
        const CONNECTIONS: usize = 6;
        let mut senders = JoinSet::new();
        let enough = Arc::new(AtomicBool::new(false));
        for _ in 0..CONNECTIONS {
            let (wire, samples, enough) = (self.wire.clone(), self.samples.clone(), enough.clone());
            senders.spawn(async move {
                while !enough.load(Ordering::Relaxed) {
                    let sample = wire.ask(Instant::now()).await;
                    samples.lock().push(sample);
                }
            });
        }
        while self.since(start).len() < count {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        enough.store(true, Ordering::Relaxed);
        while senders.join_next().await.is_some() {}
    }
}

async fn send(wire: Wire, per_second: u32, samples: Arc<Mutex<Vec<Sample>>>, stopped: Arc<AtomicBool>) {
    let start = tokio::time::Instant::now();
    let mut requests = JoinSet::new();
    for number in 0.. {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        let due = start + Duration::from_secs(1) * number / per_second;
        tokio::time::sleep_until(due).await;
        let (wire, samples) = (wire.clone(), samples.clone());
        requests.spawn(async move {
            let sample = wire.ask(due.into_std()).await;
            samples.lock().push(sample);
        });
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
}

/// How many answers came from each version.
pub fn by_version(samples: &[Sample]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for sample in samples {
        *counts.entry(sample.version.clone().unwrap_or_else(|| "none".into())).or_default() += 1;
    }
    counts
}
