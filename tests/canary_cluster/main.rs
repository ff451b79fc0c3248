//! Canaries on a real API server, by the real binary: pods are played by kwok, metrics and hooks by a small server of
//! the test's own, traffic by nobody.
//!
//! An interval is 10 s or more, so scenes play side by side, each in a namespace of its own, before one daemon. Every
//! state of their objects is recorded as the API server tells it; what is asserted is the sequence.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::needless_pass_by_value, reason = "a scene says what it gives, and gives it once")]
#![allow(unreachable_pub, reason = "a test has no one to reach")]

mod afterwards;
mod analysis;
mod application;
mod asked;
mod blame;
mod charge;
mod config_in_git;
#[path = "../harness/mod.rs"]
mod harness;
mod left;
mod lifetime;
mod manifests;
mod play;
mod recorder;
mod replay;
mod route_in_git;
mod sink;
mod stage;
mod steps;
mod strategies;
mod targets;
mod trouble;
#[path = "../forge/world.rs"]
#[allow(dead_code, reason = "the forge's own tests ask it more")]
mod world;

use play::play;
use stage::RUNTIME;

#[test]
fn every_scene_ends_as_it_should() {
    play(&[
        ("weights", || Box::pin(strategies::weights())),
        ("ab", || Box::pin(strategies::ab())),
        ("skip_analysis", || Box::pin(strategies::skip_analysis())),
        ("daemon_sets", || Box::pin(strategies::daemon_sets())),
        ("approval", || Box::pin(strategies::approval())),
        ("deleted_primary", || Box::pin(strategies::deleted_primary())),
        ("suspension", || Box::pin(strategies::suspension())),
        ("deletion", || Box::pin(strategies::deletion())),
        ("steps", || Box::pin(steps::steps())),
        ("keda", || Box::pin(targets::keda())),
        ("service_target", || Box::pin(targets::service_target())),
        ("verified", || Box::pin(afterwards::verified())),
        ("going_back", || Box::pin(afterwards::going_back())),
        ("lifetime", || Box::pin(lifetime::lifetime())),
        ("failure", || Box::pin(trouble::failure())),
        ("taken-back", || Box::pin(trouble::taken_back())),
        ("two-waves", || Box::pin(blame::two_waves())),
        ("in_git", || Box::pin(trouble::in_git())),
        ("config-in-git", || Box::pin(config_in_git::config_in_git())),
        ("route-in-git", || Box::pin(route_in_git::route_in_git())),
        ("newer_version", || Box::pin(trouble::newer_version())),
        ("edited_route", || Box::pin(trouble::edited_route())),
        ("two_on_one_target", || Box::pin(trouble::two_on_one_target())),
        ("missing_target", || Box::pin(trouble::missing_target())),
        ("crashing_pods", || Box::pin(trouble::crashing_pods())),
        ("inconclusive", || Box::pin(analysis::inconclusive())),
        ("background", || Box::pin(analysis::background())),
        ("no_data", || Box::pin(trouble::no_data())),
    ]);
}

#[test]
fn one_of_two_daemons_acts_and_none_beside_flagger() {
    play(&[("one-of-two", || Box::pin(charge::one_of_two()))]);
}

#[test]
fn a_pull_request_asks_to_take_a_failed_version_back() {
    play(&[("asked", || Box::pin(asked::asked()))]);
}

#[test]
fn what_flagger_did_is_done_again() {
    let only = std::env::var("LEEBOARD_SCENE").unwrap_or_default();
    let playing: Vec<_> = replay::cases()
        .into_iter()
        .filter(|case| case.name.contains(&only))
        .map(|case| std::thread::spawn(move || (RUNTIME.block_on(replay::replay(&case)), case.name)))
        .collect();
    let mut wrong = Vec::new();
    for thread in playing {
        match thread.join() {
            Ok((differences, name)) => {
                println!("{name}: {} differences", differences.len());
                wrong.extend(differences);
            }
            Err(_) => wrong.push("a case did not come to its end, see above".into()),
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn what_flagger_wrote_is_read_by_the_routers_own_definitions() {
    let mut surprises = Vec::new();
    for case in replay::cases() {
        surprises.extend(RUNTIME.block_on(replay::shown_to_routers(&case)));
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}
