//! What of the rules no recording shows.

#![expect(clippy::needless_pass_by_value, reason = "tables of JSON read better without ampersands")]

use super::configs::{ConfigKey, ConfigKind, Lookup, Tracked};
use super::services::Role;
use super::*;

fn canary(spec: Value) -> Canary {
    let object = json!({"apiVersion": "flagger.app/v1beta1", "kind": "Canary",
                        "metadata": {"name": "web", "namespace": "shop", "uid": "1"}, "spec": spec});
    crate::api::decode(&object).unwrap()
}

fn object(body: Value) -> Object {
    Object::from_value(body, None).unwrap()
}

fn web(kind: &str, spec: Value) -> Object {
    object(json!({"apiVersion": "apps/v1", "kind": kind,
                  "metadata": {"name": "web", "namespace": "shop",
                               "labels": {"team": "a", "applyset.kubernetes.io/part-of": "x"},
                               "annotations": {"note": "x", "argocd.argoproj.io/tracking-id": "shop"}},
                  "spec": spec}))
}

fn simple() -> Value {
    json!({"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "service": {"port": 80}})
}

#[test]
fn what_no_canary_can_have_is_said_in_flaggers_words() {
    let labelled = json!({"selector": {"matchLabels": {"app": "web"}}});
    let of_kind = |kind: &str| json!({"targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": "web"}});
    let cases = [
        // canary, target, what is said
        (of_kind("Deployment"), None, "deployment web.shop get query error: deployments.apps \"web\" not found"),
        (
            of_kind("Deployment"),
            Some(web("Deployment", json!({"selector": {"matchLabels": {"tier": "x"}}}))),
            "deployment web.shop spec.selector.matchLabels must contain one of [app name app.kubernetes.io/name]",
        ),
        (
            of_kind("DaemonSet"),
            Some(web(
                "DaemonSet",
                json!({"selector": {"matchLabels": {"app": "web"}}, "updateStrategy": {"type": "OnDelete"}}),
            )),
            "daemonset web.shop must have RollingUpdate strategy but have OnDelete",
        ),
        (
            of_kind("StatefulSet"),
            Some(web("StatefulSet", labelled)),
            "a StatefulSet cannot be the target of a canary: only Deployment, DaemonSet and Service can",
        ),
    ];
    for (spec, target, expected) in cases {
        let error = Target::of(&canary(spec), target.as_ref(), &Flags::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_first_selector_label_that_is_there_is_taken() {
    let cases = [
        // matchLabels, label, value
        (json!({"app": "a", "name": "b"}), "app", "a"),
        (json!({"name": "b", "app.kubernetes.io/name": "c"}), "name", "b"),
        (json!({"app.kubernetes.io/name": "c", "tier": "x"}), "app.kubernetes.io/name", "c"),
    ];
    for (labels, label, value) in cases {
        let target = web("Deployment", json!({"selector": {"matchLabels": labels}}));
        let target = Target::of(&canary(simple()), Some(&target), &Flags::default()).unwrap();
        assert_eq!((target.label.as_str(), target.value.as_str()), (label, value));
    }
}

fn full_target() -> Object {
    let selector = |name: &str| json!({"matchLabels": {"app": name}, "matchExpressions": [{"key": "app", "operator": "In", "values": [name, "other"]}]});
    web(
        "Deployment",
        json!({
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web", "tier": "x"}},
                "spec": {
                    "volumes": [
                        {"name": "a", "configMap": {"name": "files"}},
                        {"name": "b", "secret": {"secretName": "tls"}},
                        {"name": "c", "projected": {"sources": [{"configMap": {"name": "files"}}, {"secret": {"name": "registry"}}]}},
                    ],
                    "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "maybe", "optional": true}}]}],
                    "containers": [{"name": "web", "env": [
                        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "shared", "key": "a"}}},
                        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "rotated", "key": "b"}}},
                    ]}],
                    "affinity": {
                        "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": selector("web")}]},
                        "podAntiAffinity": {
                            "requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": selector("web")}],
                            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {"labelSelector": selector("web")}}],
                        },
                    },
                    "topologySpreadConstraints": [{"labelSelector": {"matchLabels": {"app": "web", "tier": "web"}}}],
                },
            },
        }),
    )
}

fn look_up(key: &ConfigKey) -> Lookup {
    let body = |extra: Value| {
        let kind = if key.kind == ConfigKind::Secret { "Secret" } else { "ConfigMap" };
        let mut body = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": key.name}, "data": {"a": "1"}});
        for (field, value) in extra.as_object().unwrap() {
            body[field] = value.clone();
        }
        Lookup::Found(object(body))
    };
    match key.name.as_str() {
        "files" => body(json!({"binaryData": {"b": "AA=="}})),
        "tls" => body(json!({"type": "kubernetes.io/tls"})),
        "registry" => body(json!({"type": "kubernetes.io/dockerconfigjson"})),
        "shared" => {
            body(json!({"metadata": {"name": "shared", "annotations": {"flagger.app/config-tracking": "disabled"}}}))
        }
        "rotated" => body(json!({"type": "Opaque", "metadata": {"name": "rotated", "ownerReferences": [
            {"kind": "ExternalSecret", "name": "rotated", "controller": true}]}})),
        _ => Lookup::Absent,
    }
}

#[test]
fn the_primary_has_its_own_configs_and_keeps_away_from_itself_only() {
    let (canary, object, flags) = (canary(simple()), full_target(), Flags::default());
    let target = Target::of(&canary, Some(&object), &flags).unwrap();
    let tracked = Tracked::of(&canary, &object, &flags, look_up).unwrap();
    let keys: Vec<String> = tracked.keys().into_iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["configmap/files", "secret/tls"]);

    let primary = primary::created(&canary, &target, &tracked, &flags, "id-1");
    assert_eq!(primary.key.to_string(), "shop/Deployment/web-primary");
    assert_eq!(primary.body["metadata"]["labels"], json!({"app": "web-primary"}));
    assert_eq!(primary.body["metadata"]["annotations"], json!({"note": "x"}));
    assert_eq!(primary.body["spec"]["replicas"], 1);
    let template = &primary.body["spec"]["template"];
    assert_eq!(
        template["metadata"],
        json!({"labels": {"app": "web-primary", "tier": "x"}, "annotations": {"flagger-id": "id-1"}})
    );
    let spec = &template["spec"];
    assert_eq!(spec["volumes"][0]["configMap"]["name"], "files-primary");
    assert_eq!(spec["volumes"][1]["secret"]["secretName"], "tls-primary");
    assert_eq!(spec["volumes"][2]["projected"]["sources"][1]["secret"]["name"], "registry");
    assert_eq!(spec["initContainers"][0]["envFrom"][0]["configMapRef"]["name"], "maybe");
    assert_eq!(spec["containers"][0]["env"][0]["valueFrom"]["configMapKeyRef"]["name"], "shared");
    let affinity = &spec["affinity"];
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    assert_eq!(affinity["podAffinity"][required][0]["labelSelector"]["matchLabels"]["app"], "web");
    let anti = &affinity["podAntiAffinity"];
    assert_eq!(anti[required][0]["labelSelector"]["matchLabels"]["app"], "web-primary");
    assert_eq!(anti[required][0]["labelSelector"]["matchExpressions"][0]["values"], json!(["web-primary", "other"]));
    let preferred = &anti["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    assert_eq!(preferred["labelSelector"]["matchLabels"]["app"], "web-primary");
    let spread = &spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"];
    assert_eq!(*spread, json!({"app": "web-primary", "tier": "web"}));
}

#[test]
fn nothing_rolls_when_nothing_has_changed() {
    let (canary, object, flags) = (canary(simple()), full_target(), Flags::default());
    let target = Target::of(&canary, Some(&object), &flags).unwrap();
    let tracked = Tracked::of(&canary, &object, &flags, look_up).unwrap();
    let live = primary::created(&canary, &target, &tracked, &flags, "id-1");
    let id = |object: &Object| object.body["spec"]["template"]["metadata"]["annotations"]["flagger-id"].clone();
    assert_eq!(id(&primary::promoted(&canary, &target, &tracked, &flags, &live, "id-2")), "id-1");

    let mut newer = object.clone();
    newer.body["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2".into();
    let target = Target::of(&canary, Some(&newer), &flags).unwrap();
    let promoted = primary::promoted(&canary, &target, &tracked, &flags, &live, "id-2");
    assert_eq!(id(&promoted), "id-2");
    assert_eq!(promoted.body["spec"]["replicas"], 1, "a target at zero takes no pods from the primary");
}

#[test]
fn an_error_is_no_absence() {
    let (canary, object, flags) = (canary(simple()), full_target(), Flags::default());
    let of = |answer: fn(&ConfigKey) -> Lookup| Tracked::of(&canary, &object, &flags, answer).unwrap_err().to_string();
    let failing = |key: &ConfigKey| match key.name.as_str() {
        "maybe" => Lookup::Failed("the server is currently unable".into()),
        _ => look_up(key),
    };
    assert_eq!(of(failing), "configmap maybe.shop get query error: the server is currently unable");
    assert_eq!(of(|_| Lookup::Absent), "configmap files.shop get query error: configmaps \"files\" not found");
}

#[test]
fn an_apex_of_the_users_gets_selector_and_ports_only() {
    let (canary, object, flags) = (canary(simple()), full_target(), Flags::default());
    let target = Target::of(&canary, Some(&object), &flags).unwrap();
    let users = super::tests::object(json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"mine": "1"}}, "spec": {"selector": {"app": "web"}}}));
    let apex = services::service(&canary, &target, Role::Apex, Some(&users)).unwrap();
    assert_eq!(apex.body["metadata"], json!({"name": "web", "namespace": "shop"}));
    let port = json!({"name": "http", "protocol": "TCP", "port": 80, "targetPort": 80});
    assert_eq!(apex.body["spec"], json!({"selector": {"app": "web-primary"}, "ports": [port]}));
    // The next look finds the one it made itself.
    let own = services::service(&canary, &target, Role::Apex, None).unwrap();
    assert_eq!(services::service(&canary, &target, Role::Apex, Some(&own)).unwrap(), own);
}

#[test]
fn services_are_as_the_canary_asks() {
    let spec = json!({
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "service": {"name": "shop", "port": 80, "targetPort": "web", "portName": "grpc", "appProtocol": "grpc",
                    "portDiscovery": true, "headless": true, "trafficDistribution": "PreferClose",
                    "canary": {"labels": {"l": "c"}, "annotations": {"k": "v", "other": "x"}},
                    "unmanagedMetadata": {"annotations": ["other"], "labels": ["app"]}},
    });
    let containers = json!([
        {"name": "istio-proxy", "ports": [{"containerPort": 1}]},
        {"name": "web", "ports": [{"name": "web", "containerPort": 9898}, {"containerPort": 9797}]},
        {"name": "side", "ports": [{"name": "admin", "containerPort": 1234}]},
    ]);
    let object = web(
        "Deployment",
        json!({"selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": containers}}}),
    );
    let canary = canary(spec);
    let target = Target::of(&canary, Some(&object), &Flags::default()).unwrap();
    let service = services::service(&canary, &target, Role::Canary, None).unwrap();
    assert_eq!(service.key.name, "shop-canary");
    assert_eq!(service.body["metadata"]["labels"], json!({"l": "c"}));
    assert!(service.annotation("other").is_none() && service.annotation("k") == Some("v"));
    assert_eq!(
        service.body["spec"],
        json!({
            "selector": {"app": "web"},
            "ports": [
                {"name": "grpc", "protocol": "TCP", "port": 80, "targetPort": "web", "appProtocol": "grpc"},
                {"name": "tcp-web-1", "protocol": "TCP", "port": 9797, "targetPort": 9797},
                {"name": "admin", "protocol": "TCP", "port": 1234, "targetPort": 1234},
            ],
            "type": "ClusterIP", "clusterIP": "None", "trafficDistribution": "PreferClose",
        })
    );
}

#[test]
fn a_keda_scaler_is_copied_and_paused() {
    let mut spec = simple();
    spec["autoscalerRef"] = json!({"kind": "ScaledObject", "name": "so", "primaryScalerReplicas": {"minReplicas": 3}});
    let (canary, object, flags) = (canary(spec), full_target(), Flags::default());
    let target = Target::of(&canary, Some(&object), &flags).unwrap();
    let scaler = super::tests::object(json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "so", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"name": "web"}, "minReplicaCount": 1, "maxReplicaCount": 5,
                 "advanced": {"horizontalPodAutoscalerConfig": {"name": "hpa"}},
                 "triggers": [{"type": "prometheus", "metadata": {"query": "sum(x{app=\"web\"})"}}]},
    }));
    let primary = scaler::primary(&canary, &target, Some(&scaler), &flags).unwrap().unwrap();
    assert_eq!(
        primary.body["spec"],
        json!({"scaleTargetRef": {"name": "web-primary"}, "minReplicaCount": 3, "maxReplicaCount": 5,
               "advanced": {"horizontalPodAutoscalerConfig": {"name": "hpa-primary"}},
               "triggers": [{"type": "prometheus", "metadata": {"query": "sum(x{app=\"web-primary\"})"}}]})
    );
    let pause = scale::pause(&scaler).unwrap();
    assert_eq!(pause.body, json!({"metadata": {"annotations": {"autoscaling.keda.sh/paused-replicas": "0"}}}));
    assert_eq!(scale::resume(&scaler), None, "nothing to let go");
    let gone = scaler::primary(&canary, &target, None, &flags).unwrap_err();
    assert_eq!(gone.to_string(), "ScaledObject so.shop get query error: scaledobjects.keda.sh \"so\" not found");
}

#[test]
fn checksums_are_flaggers() {
    // Recorded: {"a": "1"} and {"p": "eA=="}.
    let of = |data: Value| {
        configs::checksum(&object(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}),
        ))
    };
    assert_eq!(of(json!({"a": "1"})), "9afeb0f2b203f254");
    assert_eq!(of(json!({"p": "eA=="})), "c80ef066fd12f906");
    assert_eq!(of(json!({"b": "<&>", "a": ""})), of(json!({"a": "", "b": "<&>"})));
}

#[test]
fn a_target_that_is_a_service_has_copies_without_what_the_cluster_gave_it() {
    let spec = json!({"targetRef": {"apiVersion": "v1", "kind": "Service", "name": "web"}, "service": {"port": 80}});
    let canary = canary(spec);
    let service = object(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"}},
        "spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "selector": {"app": "x"}, "ports": [{"port": 80, "nodePort": 30000}]}}),
    );
    let target = Target::of(&canary, Some(&service), &Flags::default()).unwrap();
    assert_eq!(scale::to_zero(&target), None);
    let copy = services::copy(&canary, &target, Role::Canary);
    assert_eq!(copy.key.name, "web-canary");
    assert_eq!(copy.body["spec"], json!({"type": "NodePort", "selector": {"app": "x"}, "ports": [{"port": 80}]}));
    assert!(is_owned(&copy, &canary));
}

#[test]
fn the_targets_disruption_budget_has_a_copy_for_the_primary() {
    let (canary, object, flags) = (canary(simple()), full_target(), Flags::default());
    let target = Target::of(&canary, Some(&object), &flags).unwrap();
    let budget = |name: &str, app: &str| {
        super::tests::object(json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": app}}},
        }))
    };
    let copies = disruption::copies(&canary, &target, &[budget("web", "web"), budget("other", "other")], &flags);
    let [copy] = copies.as_slice() else { panic!("{copies:?}") };
    assert_eq!(copy.key.name, "web-primary");
    assert_eq!(copy.body["spec"], json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "web-primary"}}}));
}

#[test]
fn the_users_apex_is_led_back() {
    let (canary, object, flags) = (canary(simple()), full_target(), Flags::default());
    let target = Target::of(&canary, Some(&object), &flags).unwrap();
    let apex = |annotations: Value| {
        super::tests::object(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
            "spec": {"selector": {"app": "web-primary"}},
        }))
    };
    let last = json!({"spec": {"selector": {"tier": "x"}}}).to_string();
    let cases = [
        // annotations, selector as it is merged
        (json!({}), json!({"app": "web"})),
        (json!({"kubectl.kubernetes.io/last-applied-configuration": last}), json!({"app": null, "tier": "x"})),
        (json!({"kubectl.kubernetes.io/last-applied-configuration": "?"}), json!({"app": "web"})),
    ];
    for (annotations, selector) in cases {
        let patch = services::lead_back(&canary, &target, &apex(annotations)).unwrap();
        assert_eq!(patch.body, json!({"spec": {"selector": selector}}));
    }
    let own = services::service(&canary, &target, Role::Apex, None).unwrap();
    assert_eq!(services::lead_back(&canary, &target, &own), None);
}

#[test]
fn what_a_primary_was_made_from_is_told_from_the_primary() {
    let (canary, mut object, flags) = (canary(simple()), full_target(), Flags::default());
    for annotations in [json!({"scrape": "true"}), Value::Null] {
        let metadata = object.body["spec"]["template"]["metadata"].as_object_mut().unwrap();
        match annotations {
            Value::Null => drop(metadata.shift_remove("annotations")),
            annotations => drop(metadata.insert("annotations".into(), annotations)),
        }
        let target = Target::of(&canary, Some(&object), &flags).unwrap();
        let tracked = Tracked::of(&canary, &object, &flags, look_up).unwrap();
        let live = primary::created(&canary, &target, &tracked, &flags, "id-1");
        let checksums = tracked.checksums();
        let origin = primary::origin(&live, &canary, &target, checksums.keys().map(String::as_str), &flags);
        assert_eq!(origin, target::version_subject(TargetKind::Deployment, &object.body));
    }
}
