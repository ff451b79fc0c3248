use serde_json::{Value, json};

use super::*;

fn canary(analysis: &Value, provider: &str) -> Canary {
    let object = json!({
        "kind": "Canary", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"provider": provider, "targetRef": {"kind": "Deployment", "name": "web"},
                 "service": {"port": 80}, "analysis": analysis}});
    crate::api::decode(&object).unwrap()
}

fn refusal(analysis: &Value, provider: &str) -> String {
    match Settings::new(&canary(analysis, provider), Provider::Istio) {
        Ok(settings) => format!("{:?}", settings.strategy),
        Err(refusal) => format!("{}: {refusal}", refusal.reason()),
    }
}

#[test]
fn what_cannot_work_is_refused() {
    let matching = json!([{"headers": {"x": {"exact": "y"}}}]);
    let cases = [
        // analysis, provider, refusal
        (
            json!({}),
            "istio",
            "InvalidSpec: `spec.analysis` has no `stepWeight`, `stepWeights`, `iterations` or `steps`: the canary would never get traffic",
        ),
        (
            json!({"stepWeight": 10, "iterations": 2}),
            "istio",
            "InvalidSpec: `spec.analysis` has both `iterations` and `stepWeight`",
        ),
        (
            json!({"stepWeight": 10, "maxWeight": 150}),
            "istio",
            "InvalidSpec: `spec.analysis.maxWeight` is 150: percent from 1 to 100 are needed",
        ),
        (
            json!({"stepWeight": -5}),
            "istio",
            "InvalidSpec: `spec.analysis.stepWeight` is -5: percent from 1 to 100 are needed",
        ),
        (
            json!({"stepWeights": [10, 5]}),
            "istio",
            "InvalidSpec: `spec.analysis.stepWeights` goes from 10 to 5: each weight must be more than the one before it",
        ),
        (json!({"stepWeight": 10}), "kubernetes", "InvalidSpec: provider kubernetes has no weights: use `iterations`"),
        (
            json!({"stepWeight": 10, "mirror": true}),
            "nginx",
            "MirrorUnsupported: provider nginx cannot mirror requests in this strategy",
        ),
        (
            json!({"stepWeight": 10, "mirror": true}),
            "gatewayapi:v1",
            "MirrorUnsupported: provider gatewayapi:v1 cannot mirror requests in this strategy",
        ),
        (
            json!({"iterations": 2, "match": matching}),
            "traefik",
            "InvalidSpec: provider traefik cannot send the requests of `spec.analysis.match` elsewhere",
        ),
        (
            json!({"stepWeight": 10, "sessionAffinity": {"cookieName": "a", "primaryCookieName": "a"}}),
            "istio",
            "InvalidSpec: `spec.analysis.sessionAffinity` has the same `cookieName` and `primaryCookieName`, `a`",
        ),
        (
            json!({"stepWeight": 10, "sessionAffinity": {"cookieName": "a"}}),
            "nginx",
            "InvalidSpec: provider nginx has no session affinity",
        ),
        (
            json!({"steps": [{"weight": 10}, {}]}),
            "istio",
            "InvalidSpec: `spec.analysis.steps[1]` needs one of `weight`, `pause`, `analysis`, `scale`, `job`, `mirror` and `header`",
        ),
        (
            json!({"steps": [{"pause": {"duration": "soon"}}]}),
            "istio",
            "InvalidSpec: `spec.analysis.steps[0].pause.duration` is `soon`: a duration as 30s, 5m or 1h is needed",
        ),
    ];
    for (analysis, provider, expected) in cases {
        assert_eq!(refusal(&analysis, provider), expected, "{analysis}");
    }
}

#[test]
fn a_port_and_a_known_kind_are_needed() {
    let mut canary = canary(&json!({"stepWeight": 10}), "istio");
    canary.spec.service.port = 0;
    assert_eq!(Settings::new(&canary, Provider::Istio), Err(Refusal::Port(0)));
    canary.spec.target_ref.kind = "StatefulSet".into();
    assert_eq!(Settings::new(&canary, Provider::Istio), Err(Refusal::TargetKind("StatefulSet".into())));
}

#[test]
fn what_is_no_http_has_no_requests_to_be_told_apart() {
    let cases = [
        // analysis, whether it is refused
        (json!({"iterations": 2, "match": [{"headers": {"x": {"exact": "y"}}}]}), true),
        (json!({"steps": [{"mirror": {"percentage": 10}}]}), true),
        (json!({"stepWeight": 10}), false),
        (json!({"iterations": 2}), false),
    ];
    for (analysis, is_refused) in cases {
        let mut canary = canary(&analysis, "istio");
        canary.spec.service.app_protocol = Some("TCP".into());
        let refused = Settings::new(&canary, Provider::Istio).err() == Some(Refusal::NotHttp);
        assert_eq!(refused, is_refused, "{analysis}");
    }
}

#[test]
fn weights_grow_until_the_promotion() {
    let weight = |percent| Weight::new(percent).unwrap();
    let cases: [(Value, &[i64]); 4] = [
        // analysis, weights one after the other
        (json!({"stepWeight": 20, "maxWeight": 60}), &[20, 40, 60]),
        (json!({"stepWeight": 30, "maxWeight": 50}), &[30, 60]),
        (json!({"stepWeights": [1, 5, 50]}), &[1, 5, 50]),
        (json!({"stepWeight": 40}), &[40, 80, 100]),
    ];
    for (analysis, expected) in cases {
        let settings = Settings::new(&canary(&analysis, "istio"), Provider::Istio).unwrap();
        let Strategy::Weights(weights) = settings.strategy else { panic!("{analysis}") };
        let mut found = vec![];
        let mut at = Weight::NONE;
        while at < weights.max {
            at = weights.after(at);
            found.push(at);
        }
        assert_eq!(found, expected.iter().map(|percent| weight(*percent)).collect::<Vec<_>>(), "{analysis}");
    }
}

#[test]
fn a_weight_that_was_never_a_step_is_followed_by_all() {
    let list = Weights {
        steps: WeightSteps::List(vec![Weight::new(10).unwrap(), Weight::new(80).unwrap()]),
        max: Weight::ALL,
        mirrors: false,
    };
    assert_eq!(list.after(Weight::new(33).unwrap()), Weight::ALL);
}

#[test]
fn nothing_said_means_flaggers_defaults() {
    let settings = Settings::new(&canary(&json!({}), "kubernetes"), Provider::Istio).unwrap();
    assert_eq!(settings.strategy, Strategy::BlueGreen { iterations: 10, mirrors: false });
    assert_eq!((settings.threshold, settings.interval.as_secs(), settings.deadline.as_secs()), (1, 60, 600));
}

#[test]
fn an_annotation_may_ask_for_a_shorter_interval() {
    let with = |text: &str| {
        let mut canary = canary(&json!({"interval": "5s", "iterations": 1}), "kubernetes");
        canary.metadata.annotations = Some([(INTERVAL.to_owned(), text.to_owned())].into());
        Settings::new(&canary, Provider::Istio).map(|settings| settings.interval).map_err(|error| error.to_string())
    };
    assert_eq!(with("2s"), Ok(Duration::from_secs(2)));
    assert_eq!(
        with("0s"),
        Err("annotation `canary.leeboard.dev/interval` is `0s`: a duration from 1s is needed".into())
    );
}

#[test]
fn a_threshold_is_the_least_rate_and_the_most_of_all_else() {
    let analysis = json!({"iterations": 1, "metrics": [
        {"name": "mine", "threshold": 5.0, "templateRef": {"name": "mine"}},
        {"name": "request-success-rate", "threshold": 99.0},
        {"name": "request-duration", "thresholdRange": {"max": 500.0}},
    ]});
    let settings = Settings::new(&canary(&analysis, "istio"), Provider::Istio).unwrap();
    let found: Vec<_> =
        settings.metrics.iter().map(|metric| (&*metric.name, metric.bounds.min, metric.bounds.max)).collect();
    assert_eq!(
        found,
        [
            ("request-success-rate", Some(99.0), None),
            ("request-duration", None, Some(500.0)),
            ("mine", None, Some(5.0))
        ]
    );
}
