//! Canaries with real traffic: real routers lead real HTTP requests to pods that answer, a real Prometheus measures them,
//! and every request is counted.
//!
//! One control plane, one daemon, one Skipper, one Traefik, one Prometheus; scenes play side by side in two halves, each in
//! a namespace of its own. Where pods get their answers from: `leeboard::sandbox::PodHost`.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::needless_pass_by_value, reason = "a scene says what it gives, and gives it once")]
#![allow(unreachable_pub, reason = "a test has no one to reach")]

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../canary_cluster/left.rs"]
mod left;
mod metrics;
#[path = "../canary_cluster/play.rs"]
mod play;
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

use play::play;

#[test]
fn every_scene_ends_as_it_should() {
    // Clients, routers and pods share the machine: 500 requests per second for one router at a time.
    play(&[
        ("traefik", || Box::pin(versions::traefik())),
        ("comes_and_goes", || Box::pin(takeover::comes_and_goes())),
        ("left_by_flagger", || Box::pin(takeover::left_by_flagger())),
        ("left_amid_a_run", || Box::pin(takeover::left_amid_a_run())),
    ]);
    play(&[
        ("skipper", || Box::pin(versions::skipper())),
        ("no_series", || Box::pin(metrics::no_series())),
        ("not_a_number", || Box::pin(metrics::not_a_number())),
        ("held_without_data", || Box::pin(metrics::held_without_data())),
        ("broken_query", || Box::pin(metrics::broken_query())),
        ("unreachable", || Box::pin(metrics::unreachable())),
    ]);
}
