//! Canaries with real traffic: real routers lead real HTTP requests to pods that answer, a real Prometheus measures them,
//! and every request is counted.
//!
//! One control plane, one daemon, one Skipper, one Traefik, one Prometheus; scenes play side by side, each in a namespace
//! of its own. Where pods get their answers from: `leeboard::sandbox::PodHost`.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::needless_pass_by_value, reason = "a scene says what it gives, and gives it once")]
#![allow(unreachable_pub, reason = "a test has no one to reach")]

#[path = "../harness/mod.rs"]
mod harness;
mod metrics;
#[allow(dead_code, reason = "shared with canary_cluster")]
#[path = "../canary_cluster/recorder.rs"]
mod recorder;
#[allow(dead_code, reason = "shared with canary_cluster")]
#[path = "../canary_cluster/sink.rs"]
mod sink;
#[allow(dead_code, reason = "shared with canary_cluster")]
#[path = "../canary_cluster/stage.rs"]
mod stage;
mod takeover;
mod traffic;
mod versions;

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use stage::RUNTIME;

/// Makes a scene, in the thread in which it plays.
type Play = fn() -> Pin<Box<dyn Future<Output = ()>>>;

#[test]
fn every_scene_ends_as_it_should() {
    let only = std::env::var("LEEBOARD_SCENE").unwrap_or_default();
    let mut playing = Vec::new();
    let mut play = |name: &'static str, scene: Play| {
        if !name.contains(&only) {
            return;
        }
        let thread = std::thread::Builder::new().name(name.to_owned());
        let scene = move || {
            let start = Instant::now();
            RUNTIME.block_on(scene());
            println!("{name}: {:.0?}", start.elapsed());
        };
        playing.push((name, thread.spawn(scene).unwrap()));
    };
    play("skipper", || Box::pin(versions::skipper()));
    play("traefik", || Box::pin(versions::traefik()));
    play("comes_and_goes", || Box::pin(takeover::comes_and_goes()));
    play("left_by_flagger", || Box::pin(takeover::left_by_flagger()));
    play("no_series", || Box::pin(metrics::no_series()));
    play("not_a_number", || Box::pin(metrics::not_a_number()));
    play("held_without_data", || Box::pin(metrics::held_without_data()));
    play("broken_query", || Box::pin(metrics::broken_query()));
    play("unreachable", || Box::pin(metrics::unreachable()));
    let failed: Vec<&str> =
        playing.into_iter().filter_map(|(name, thread)| thread.join().is_err().then_some(name)).collect();
    assert!(failed.is_empty(), "failed: {failed:?}");
}
