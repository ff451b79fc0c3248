//! What holds whatever happens: the promises of the module's documentation, over random scripts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::simulate;
use crate::api::flagger::Provider;

/// Settings of every strategy; the first line of a script.
const SETTINGS: [&str; 11] = [
    "set analysis {interval: 10s, threshold: 2, stepWeight: 30, maxWeight: 60}",
    "set analysis {interval: 10s, threshold: 2, stepWeights: [1, 50], stepWeightPromotion: 40}",
    "set analysis {interval: 10s, threshold: 2, stepWeight: 50, mirror: true}",
    "set analysis {interval: 10s, threshold: 2, iterations: 2}",
    "set analysis {interval: 10s, threshold: 2, iterations: 2, match: [{headers: {x-canary: {exact: always}}}]}",
    "set analysis {interval: 10s, threshold: 2, steps: [{weight: 10}, {pause: {duration: 15s}}, {weight: 70}, {pause: {}}]}",
    "set analysis {interval: 10s, threshold: 2, stepWeight: 60, verifyAfter: 25s}",
    "set analysis {interval: 10s, threshold: 2, steps: [{scale: {percent: 30}}, {analysis: {checks: 2}}, {weight: 40}, {job: smoke}]}",
    "set analysis {interval: 10s, threshold: 2, steps: [{mirror: {percentage: 20}}, {header: {match: [{headers: {x: {exact: always}}}]}}, {weight: 30}, {header: {}}, {mirror: {percentage: 0}}, {weight: 60}]}",
    "set skipAnalysis true",
    "set analysis {interval: 10s, stepWeight: 50, sessionAffinity: {cookieName: a, primaryCookieName: b}}",
];

/// All that can happen, with what makes it worth happening.
const EVENTS: [&str; 52] = [
    "tick",
    "tick",
    "tick",
    "tick",
    "tick 3",
    "wait 3s",
    "wait 2m",
    "commit A",
    "commit B",
    "commit C",
    "commit D replicas 5",
    "replicas 1",
    "config configmap/web one",
    "config configmap/web gone",
    "canary ready",
    "canary not ready 0 of 3",
    "canary not ready 2 of 3",
    "primary ready",
    "primary not ready 0 of 3",
    "primary not ready 2 of 3",
    "primary deleted",
    "metric request-success-rate 100",
    "metric request-success-rate 50",
    "metric request-success-rate 97",
    "metric errors 7",
    "metric errors 20",
    "metric errors none",
    "metric slow error it is down",
    "metric request-success-rate none",
    "metric request-success-rate error it is down",
    "hook confirm-rollout 403",
    "hook confirm-rollout 200",
    "hook confirm-promotion 403",
    "hook confirm-promotion 200",
    "hook confirm-traffic-increase 403",
    "hook rollback 200",
    "hook smoke 500 exit code 1",
    "hook rollback 403",
    "annotate action=abort",
    "annotate action=promote",
    "annotate action=promote-full",
    "annotate action=retry",
    "annotate action=pause",
    "annotate action=resume",
    "suspend",
    "unsuspend",
    "kill -9 after set-route",
    "kill -9 after save",
    "kill -9 after ask",
    "clock back 10m",
    "route 77",
    "router missing virtualservices",
];

/// What ends every bad thing that can be: after it the machine must come to rest. A person is asked up to three times: by what
/// was undecided before all was well, by what was measured of that last, and by a step.
const ALL_IS_WELL: &str = "canary ready\nprimary ready\nmetric request-success-rate 100\nmetric errors 1\nmetric slow 1\nhook confirm-rollout 200\n\
    hook confirm-promotion 200\nhook confirm-traffic-increase 200\nhook rollback 403\nhook smoke 200\nunsuspend\nrouter back\n\
    target back\nclaim none\nannotate action=resume\nwait 10m\nannotate action=promote\nwait 10m\nannotate action=promote\nwait 10m\nstatus\n";

fn script(settings: &str, metric_policy: &str, events: &[&str]) -> String {
    format!(
        "{settings}\nannotate no-data={metric_policy}\nset provider istio\nset progressDeadlineSeconds 45\n\
         set analysis.metrics [{{name: request-success-rate, thresholdRange: {{min: 99}}, failureRange: {{min: 90}}}}, \
         {{name: errors, query: x, mode: background, interval: 12s, initialDelay: 15s, thresholdRange: {{max: 5}}, \
         failureRange: {{max: 9}}}}, {{name: slow, query: x, initialDelay: 20s, consecutiveErrorLimit: 2}}]\n\
         set analysis.webhooks [{{type: confirm-rollout, name: confirm-rollout, url: x}}, \
         {{type: confirm-promotion, name: confirm-promotion, url: x}}, \
         {{type: confirm-traffic-increase, name: confirm-traffic-increase, url: x}}, \
         {{type: rollback, name: rollback, url: x}}, {{type: post-rollout, name: post-rollout, url: x}}, \
         {{type: job, name: smoke, template: {{}}}}]\n\
         start\n{}\n{ALL_IS_WELL}",
        events.join("\n"),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: no promise is broken (`play` looks at each decision), nothing runs in circles,
    /// and when all is well again the canary comes to rest.
    #[test]
    fn whatever_happens_it_keeps_its_promises_and_comes_to_rest(
        settings in prop::sample::select(&SETTINGS[..]),
        policy in prop::sample::select(&["fail", "hold", "inconclusive"][..]),
        events in prop::collection::vec(prop::sample::select(&EVENTS[..]), 0..25),
    ) {
        let script = script(settings, policy, &events);
        let played = simulate::play(&simulate::example(), Provider::Istio, &script);
        let played = played.map_err(|wrong| TestCaseError::fail(format!("{wrong:?} in\n{script}")))?;
        let played = played.transcript;
        let end = played.lines().rev().find(|line| line.trim_start().starts_with("phase ")).unwrap_or_default();
        let rests = ["phase Initialized", "phase Succeeded", "phase Failed"];
        prop_assert!(rests.iter().any(|rest| end.contains(rest)), "{end} at the end of\n{played}");
    }

    /// Equal inputs give equal decisions, and a record survives its annotation: a script that is played twice, and one
    /// whose every line is followed by a crash, give the same.
    #[test]
    fn crashes_change_nothing(
        settings in prop::sample::select(&SETTINGS[..]),
        events in prop::collection::vec(prop::sample::select(&EVENTS[..46]), 0..20),
    ) {
        let calm = script(settings, "fail", &events);
        let crashing = script(settings, "fail", &events.iter().flat_map(|event| [*event, "kill -9"]).collect::<Vec<_>>());
        let play = |script: &str| {
            let played = simulate::play(&simulate::example(), Provider::Istio, script);
            let played = played.map_err(|wrong| TestCaseError::fail(format!("{wrong:?} in\n{script}")))?;
            let told = played.transcript.lines().filter(|line| line.starts_with("      ") && !line.starts_with("      x "));
            Ok::<_, TestCaseError>(told.map(str::to_owned).collect::<Vec<_>>())
        };
        let told = play(&calm)?;
        prop_assert_eq!(&told, &play(&calm)?);
        prop_assert_eq!(&told, &play(&crashing)?, "{}", crashing);
    }
}

/// Every state meets every event, in every strategy: the states are those that these beginnings lead to.
#[test]
fn every_state_meets_every_event() {
    let beginnings = [
        // how it comes to a state
        "",
        "commit B",
        "hook confirm-rollout 403\ncommit B",
        "commit B\ntick",
        "commit B\ntick 2",
        "commit B\ntick\nannotate action=pause",
        "hook confirm-promotion 403\ncommit B\ntick 12",
        "commit B\ntick\nprimary not ready 0 of 3\nannotate action=promote-full",
        "commit B\ntick\nannotate action=promote-full",
        "commit B\ntick\nannotate action=abort",
        "commit B\ntick\nannotate action=abort\ntick 3",
        "commit B\ntick\nprimary not ready 0 of 3\nannotate action=promote-full\nwait 3m",
        "commit B\ntick 30",
        "set revertOnDeletion true\ncommit B\ntick\ncanary not ready 0 of 3\ndelete",
    ];
    let endings = ["delete", "target missing", "claim other", "router refuses it"];
    // Those that stand there several times only happen more often by chance.
    let events: BTreeSet<&str> = EVENTS.into_iter().chain(endings).collect();
    let meet = |settings: &str| {
        for (beginning, event) in
            beginnings.iter().flat_map(|beginning| events.iter().map(move |event| (beginning, event)))
        {
            let script = script(settings, "fail", &[beginning, event, "tick"]);
            let script = script.split("canary ready\nprimary ready").next().unwrap_or(&script);
            if let Err(wrong) = simulate::play(&simulate::example(), Provider::Istio, script) {
                panic!("{wrong:?} in\n{script}");
            }
        }
    };
    std::thread::scope(|scope| {
        for settings in SETTINGS {
            scope.spawn(|| meet(settings));
        }
    });
}
