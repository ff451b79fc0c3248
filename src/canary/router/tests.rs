//! What of the rules neither a recording nor a fixture shows.

use serde_json::json;

use super::*;

fn split(percent: i64) -> Split {
    Split::to_canary(Weight::new(percent).unwrap())
}

fn canary(provider: &str, analysis: &Value) -> Canary {
    let object = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"provider": provider, "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                 "service": {"port": 80}, "analysis": analysis},
    });
    crate::api::decode(&object).unwrap()
}

fn object(body: Value) -> Object {
    Object::from_value(body, None).unwrap()
}

/// The settings refuse a canary by provider, before any router is asked: both know the same.
#[test]
fn settings_refuse_what_a_router_cannot() {
    for provider in Provider::ALL {
        let Ok(router) = for_provider(provider) else { continue };
        let abilities = router.abilities();
        let cases = [
            // analysis, whether it works
            (json!({"iterations": 2, "mirror": true}), abilities.mirror != Mirror::Never),
            (json!({"stepWeight": 10, "mirror": true}), abilities.mirror == Mirror::Always),
            (json!({"iterations": 2, "match": [{"headers": {"x": {"exact": "y"}}}]}), abilities.matches),
            (json!({"steps": [{"mirror": {"percentage": 10}}, {"weight": 10}]}), abilities.mirror != Mirror::Never),
            (json!({"steps": [{"header": {"match": [{"headers": {"x": {"exact": "y"}}}]}}]}), abilities.headers),
            (json!({"iterations": 2, "sessionAffinity": {"cookieName": "c"}}), abilities.affinity),
        ];
        for (analysis, works) in cases {
            let canary = canary(provider.as_str(), &analysis);
            let settings = crate::canary::Settings::new(&canary, Provider::Istio);
            assert_eq!(settings.is_ok(), works, "{provider} {analysis}: {:?}", settings.err());
        }
    }
}

#[test]
fn every_provider_has_a_router_but_the_retired_one() {
    for provider in Provider::ALL {
        let retired = matches!(provider, Provider::AppMesh | Provider::AppMeshV1Beta2);
        match for_provider(provider) {
            Ok(router) => assert!(!retired && router.needs().iter().all(|kind| kind.kind != "AppMesh"), "{provider}"),
            Err(error) => assert!(retired, "{error}"),
        }
    }
}

#[test]
fn weights_are_shares() {
    let cases = [
        // primary, canary, percent to the canary
        (100, 0, Some(0)),
        (80, 20, Some(20)),
        (0, 100, Some(100)),
        (900, 100, Some(10)),
        (2, 1, Some(33)),
        (0, 0, None),
        (u64::MAX, 1, None),
    ];
    for (primary, canary, percent) in cases {
        let split = of_weights(primary, canary);
        assert_eq!(split.map(|split| split.canary.percent()), percent, "{primary} {canary}");
    }
}

#[test]
fn a_route_that_nobody_serves_has_no_weights() {
    let canary = canary("gatewayapi:v1", &json!({}));
    let deployment =
        object(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
                                   "spec": {"selector": {"matchLabels": {"app": "web"}}}}));
    let flags = Flags::default();
    let target = Target::of(&canary, Some(&deployment), &flags).unwrap();
    let subject = Subject { canary: &canary, target: &target, flags: &flags, cookies: &Cookies::default() };
    let said = |condition: Value| {
        let route = object(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "web", "namespace": "shop", "generation": 2},
            "spec": {"rules": [{"backendRefs": [{"name": "web-primary", "weight": 60}, {"name": "web-canary", "weight": 40}]}]},
            "status": {"parents": [{"parentRef": {"name": "gw"}, "conditions": [condition]}]},
        }));
        let router = for_provider(Provider::GatewayApiV1).unwrap();
        router.split(&subject, &[route]).map_or_else(|error| error.to_string(), |split| split.canary.to_string())
    };
    let cases = [
        // condition of the parent, weight or what is said
        (json!({"type": "Accepted", "status": "True", "observedGeneration": 2}), "40"),
        (json!({"type": "Other", "status": "False"}), "40"),
        (
            json!({"type": "Accepted", "status": "True", "observedGeneration": 1}),
            "HTTPRoute web.shop is not accepted by gw: its newest version has not been seen yet",
        ),
        (
            json!({"type": "Accepted", "status": "False", "observedGeneration": 2, "reason": "NotAllowedByListeners"}),
            "HTTPRoute web.shop is not accepted by gw: NotAllowedByListeners",
        ),
    ];
    for (condition, expected) in cases {
        assert_eq!(said(condition), expected);
    }
}

#[test]
fn skippers_copy_is_off_after_a_run_only() {
    let mut canary = canary("skipper", &json!({}));
    canary.spec.ingress_ref = serde_json::from_value(json!({"name": "web"})).unwrap();
    let deployment =
        object(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
                                   "spec": {"selector": {"matchLabels": {"app": "web"}}}}));
    let flags = Flags::default();
    let target = Target::of(&canary, Some(&deployment), &flags).unwrap();
    let subject = Subject { canary: &canary, target: &target, flags: &flags, cookies: &Cookies::default() };
    let paths = json!([{"path": "/", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]);
    let mut live = vec![object(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"rules": [{"http": {"paths": paths}}]},
    }))];
    let router = for_provider(Provider::Skipper).unwrap();
    for (percent, predicate) in [
        (0, "Weight(100)"),
        (0, "Weight(100)"),
        (20, "Weight(100)"),
        (0, "False()"),
        (0, "False()"),
        (5, "Weight(100)"),
    ] {
        let copy = router.objects(&subject, split(percent), &live).unwrap().remove(0);
        assert_eq!(copy.annotation("zalando.org/skipper-predicate"), Some(predicate), "{percent}");
        live.truncate(1);
        live.push(copy);
    }
    let deleted = router.restored(&subject, &live);
    assert!(matches!(deleted.as_slice(), [Restoration::Delete(key)] if key.name == "web-canary"));
}
