//! What 200 environments cost at rest, with and without promotion, with 20 promotions that wait for people; and how soon the
//! branch is written once the last gate is green. The real binary on a real API server. Prints a table.
//!
//! `cargo bench --bench promotions`; `ENVIRONMENTS` takes fewer on a small machine.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a bench panics where it can't go on, prints its result, and has no one to reach"
)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[path = "../tests/harness/mod.rs"]
mod harness;
#[path = "../tests/promotions/stage.rs"]
#[allow(dead_code, reason = "tests ask it more")]
mod stage;
#[path = "../tests/forge/world.rs"]
#[allow(dead_code, reason = "the forge's own tests ask it more")]
mod world;

use stage::Pipeline;

/// As many as the figures ask for.
const ENVIRONMENTS: usize = 200;
/// So many of them have a promotion that waits.
const OPEN: usize = 20;
/// How long it is looked on.
const REST: Duration = Duration::from_secs(60);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let many = std::env::var("ENVIRONMENTS").ok().map_or(ENVIRONMENTS, |many| many.parse().unwrap());
        let names: Vec<String> = (0..many).map(|at| format!("e{at}")).collect();
        let plain: Vec<(&str, Value)> = names.iter().map(|name| (name.as_str(), Value::Null)).collect();
        let pipeline = Pipeline::start(&plain).await;
        let without = rest(&pipeline, "without promotion").await;
        let source = names[0].as_str();
        for name in &names[1..] {
            let gates = json!([{"approval": {"notAuthor": false}}]);
            let is_open = names[1..=OPEN].contains(name);
            pipeline
                .environment(name, &json!({"from": [{"environment": source}], "auto": is_open, "gates": gates}))
                .await;
        }
        let commit = pipeline.push(source, "good day");
        for name in &names[1..=OPEN] {
            pipeline
                .until(name, &commit, "waits", |one| one["status"]["message"] == "approval: waits for 1 approval")
                .await;
        }
        let with = rest(&pipeline, &format!("{OPEN} promotions wait")).await;
        println!("{:30} {:6.1} MiB more", "", with - without);
        let mut took: Vec<f64> = Vec::new();
        for name in &names[1..=OPEN] {
            took.push(decided(&pipeline, name).await);
        }
        took.sort_by(f64::total_cmp);
        println!(
            "approved → written             p50 {:.0} ms, most {:.0} ms",
            took[took.len() / 2],
            took[took.len() - 1]
        );
    });
}

/// What the daemon does while nothing happens; its memory then.
async fn rest(pipeline: &Pipeline, what: &str) -> f64 {
    tokio::time::sleep(Duration::from_secs(15)).await;
    let daemon = &pipeline.daemon;
    let requests = daemon.metric("leeboard_api_requests_total").await.unwrap_or(0.0);
    let cpu = daemon.cpu();
    tokio::time::sleep(REST).await;
    let share = (daemon.cpu() - cpu) / REST.as_secs_f64() / 10.0;
    let requests = daemon.metric("leeboard_api_requests_total").await.unwrap_or(0.0) - requests;
    let memory = daemon.memory();
    println!("{what:30} {requests:4} requests, {share:.2} % of a core in {} s, {memory:.1} MiB", REST.as_secs());
    memory
}

/// From the API server's answer to who approves until the branch has moved, in milliseconds.
async fn decided(pipeline: &Pipeline, environment: &str) -> f64 {
    let before = pipeline.head(environment);
    let (code, _, error) = pipeline.leeboard(&["approve", environment]).await;
    assert_eq!(code, Some(0), "{error}");
    let begun = Instant::now();
    while pipeline.bare_head(environment) == before {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", pipeline.tail());
    }
    begun.elapsed().as_secs_f64() * 1000.0
}
