//! What a cluster can refuse, what can break under a daemon, and what a person may ask of a sync: each time a clear
//! sentence, nothing lost, and on it goes. Through the real binary and a real API server.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod admission;
mod deletion;
#[path = "../harness/mod.rs"]
mod harness;
mod lifecycle;
mod operation;
mod outage;
mod refusal;
mod vanishing;

use serde_json::{Value, json};

use crate::harness::{Answer, DaemonOptions, Proxy, World};

async fn annotate(world: &World, application: &str, annotation: &str) {
    world
        .control
        .kubectl(["annotate", "--overwrite", "application.argoproj.io", application, annotation])
        .await
        .unwrap();
}

async fn patch(world: &World, application: &str, patch: &Value) {
    let patch = patch.to_string();
    let arguments = ["patch", "application.argoproj.io", application, "--type=merge", "-p", &patch];
    world.control.kubectl(arguments).await.unwrap();
}

/// Waits until the last sync ended in this phase (or waits for its retry) with these parts in its message.
async fn ended(world: &World, application: &str, phase: &str, parts: &[&str]) -> Value {
    world
        .until(application, &format!("{phase}: {parts:?}"), |status| {
            let state = &status["operationState"];
            let message = state["message"].as_str().unwrap_or_default();
            state["phase"] == phase && parts.iter().all(|part| message.contains(part))
        })
        .await
}

/// The same of any phase: a retry may be under way.
async fn says(world: &World, application: &str, parts: &[&str]) -> Value {
    world
        .until(application, &format!("{parts:?}"), |status| {
            let message = status["operationState"]["message"].as_str().unwrap_or_default();
            parts.iter().all(|part| message.contains(part))
        })
        .await
}

fn no_retry() -> Value {
    json!({"syncPolicy": {"retry": {"limit": 0}}})
}

const BUSY: Answer = Answer { code: 429, retry_after: Some(1), reason: "TooManyRequests", message: "slow down" };
const AWAY: Answer = Answer { code: 503, retry_after: None, reason: "ServiceUnavailable", message: "not now" };
const FULL: Answer =
    Answer { code: 500, retry_after: None, reason: "", message: "etcdserver: mvcc: database space exceeded" };

async fn world_behind_a_proxy() -> (World, Proxy) {
    let proxy = Proxy::start(harness::Cluster::shared().await).await;
    let world = World::with(DaemonOptions { kubeconfig: Some(proxy.kubeconfig()), ..Default::default() }).await;
    (world, proxy)
}
