//! How soon a pull request is told what it would change, and what that costs: a repository of a thousand applications on a
//! real forge, the real binary on a real API server. Prints a table.
//!
//! `cargo bench --bench previews`; `APPLICATIONS` takes fewer on a small machine.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a bench panics where it can't go on, prints its result, and has no one to reach"
)]

use std::time::{Duration, Instant};

#[path = "../tests/harness/mod.rs"]
mod harness;
#[path = "../tests/previews/stage.rs"]
#[allow(dead_code, reason = "tests ask it more")]
mod stage;
#[path = "../tests/forge/world.rs"]
#[allow(dead_code, reason = "the forge's own tests ask it more")]
mod world;

use stage::Stage;

/// As many as the figures ask for.
const APPLICATIONS: usize = 1000;
/// So many of them use the same base.
const SHARING: usize = 100;
/// Objects of that base, besides one of its own file.
const WIDE: usize = 30;
const DIRECTORY: &str = "clusters/dev";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let many = std::env::var("APPLICATIONS").ok().map_or(APPLICATIONS, |many| many.parse().unwrap());
        let begun = Instant::now();
        let stage = Stage::start_with("many", DIRECTORY, &repository(many)).await;
        println!("{many} applications synced in {:.0} s", begun.elapsed().as_secs_f64());
        rest(&stage).await;
        let one = format!("{DIRECTORY}/app-{}/config.yaml", many - 1);
        let changes = [
            // what, file, its text, changed objects
            ("one application", one.as_str(), config("config", 2), 1),
            ("a base of 100 applications", "base/one.yaml", config("one", 2), SHARING),
            ("3,000 objects of 100 applications", "base/wide.yaml", wide(2), SHARING * WIDE),
        ];
        for (round, (what, file, text, objects)) in changes.into_iter().cycle().take(6).enumerate() {
            let told = tell(&stage, &format!("{round}"), file, &text).await;
            println!(
                "{what:35} {:6.0} ms to the comment   {:6.2} requests for each of {objects}   {:6.1} MiB more   {:6} bytes",
                told.took.as_secs_f64() * 1000.0,
                told.requests / objects as f64,
                told.memory,
                told.bytes,
            );
        }
    });
}

/// Waits until what the first sync left to report is reported.
async fn rest(stage: &Stage) {
    /// The lease, and whatever asks once in a while.
    const QUIET: f64 = 10.0;
    let mut last = stage.requests().await;
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let now = stage.requests().await;
        if now - last < QUIET {
            return;
        }
        last = now;
    }
}

/// What it took to tell a pull request.
struct Told {
    /// From the forge's answer to who opened it, hence its webhook included.
    took: Duration,
    /// To the API server.
    requests: f64,
    /// The most that was taken at once, in MiB over what was taken before.
    memory: f64,
    bytes: usize,
}

async fn tell(stage: &Stage, branch: &str, file: &str, text: &str) -> Told {
    let (requests, memory) = (stage.requests().await, stage.memory());
    let pull = stage.pull(branch, file, text).await;
    let begun = Instant::now();
    let mut most = memory;
    let comment = loop {
        most = most.max(stage.memory());
        if let Some(comment) = stage.comments(pull).await.into_iter().next() {
            break comment;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "no comment");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let took = begun.elapsed();
    let told = Told {
        took,
        requests: stage.requests().await - requests,
        memory: most - memory,
        bytes: comment["body"].as_str().unwrap().len(),
    };
    stage.close(pull).await;
    told
}

fn config(name: &str, value: u32) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: \"{value}\"\n  other: \"1\"\n")
}

fn wide(value: u32) -> String {
    (0..WIDE).map(|at| format!("---\n{}", config(&format!("wide-{at}"), value))).collect()
}

/// The first hundred applications share a base; each has a namespace's worth of names of its own.
fn repository(many: usize) -> Vec<(String, String)> {
    let base = "resources: [one.yaml, wide.yaml]\n".to_owned();
    let mut files = vec![
        ("base/kustomization.yaml".to_owned(), base),
        ("base/one.yaml".to_owned(), config("one", 1)),
        ("base/wide.yaml".to_owned(), wide(1)),
    ];
    for at in 0..many {
        let shared = if at < SHARING { ", ../../../base" } else { "" };
        let text = format!("namePrefix: app-{at}-\nresources: [config.yaml{shared}]\n");
        files.push((format!("{DIRECTORY}/app-{at}/kustomization.yaml"), text));
        files.push((format!("{DIRECTORY}/app-{at}/config.yaml"), config("config", 1)));
    }
    files
}
