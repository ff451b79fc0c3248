//! What scenes apply.

use serde_json::{Value, json};

use crate::stage::Scene;

/// A Deployment `web` of two pods, with what it takes its environment from.
pub fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template(image)},
    })
}

/// A DaemonSet `web`.
pub fn daemon_set(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template(image)},
    })
}

fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "web", "image": image, "ports": [{"containerPort": 8080}]}],
        },
    })
}

/// The Canary `web` of the Deployment `web`; `spec` is merged into its spec.
pub fn canary(scene: &Scene, provider: &str, analysis: Value, spec: Value) -> Value {
    let mut canary = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {
            "name": "web", "namespace": scene.namespace,
            "annotations": {"canary.leeboard.dev/scale-down-delay": "0s"},
        },
        "spec": {
            "provider": provider,
            "metricsServer": scene.stage.sink.url(&scene.namespace),
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "progressDeadlineSeconds": 60,
            "service": {"port": 80, "targetPort": 8080},
            "analysis": {
                "interval": "10s", "threshold": 2,
                "metrics": [{"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}],
            },
        },
    });
    for (field, value) in analysis.as_object().unwrap() {
        canary["spec"]["analysis"][field] = value.clone();
    }
    for (field, value) in spec.as_object().unwrap() {
        canary["spec"][field] = value.clone();
    }
    if provider.starts_with("gatewayapi") {
        canary["spec"]["service"]["gatewayRefs"] = json!([{"name": "gateway", "namespace": "gateways"}]);
    }
    canary
}

/// The same with a check each second.
pub fn quick(mut canary: Value) -> Value {
    canary["metadata"]["annotations"]["canary.leeboard.dev/interval"] = json!("1s");
    canary
}

/// One step to the middle, then all.
pub fn in_one_step() -> Value {
    json!({"stepWeight": 50, "maxWeight": 50})
}

/// A hook of this type, answered by the scene's own server at the path of its name.
pub fn hook(scene: &Scene, moment: &str) -> Value {
    let url = format!("{}/{moment}", scene.stage.sink.url(&scene.namespace));
    json!({"name": moment, "type": moment, "url": url, "timeout": "5s"})
}

/// Percent to primary and canary in an HTTPRoute's first rule.
pub fn split(route: &Value) -> Option<(i64, i64)> {
    let weight = |name: &str| {
        let references = route["spec"]["rules"][0]["backendRefs"].as_array()?;
        references.iter().find(|reference| reference["name"] == name)?["weight"].as_i64()
    };
    Some((weight("web-primary")?, weight("web-canary").unwrap_or(0)))
}

/// How the HTTPRoute `web` has split the traffic: each split, as it changed.
pub fn splits(scene: &Scene) -> Vec<(i64, i64)> {
    scene.history("HTTPRoute", "web", split)
}
