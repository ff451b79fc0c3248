//! Hooks that are Jobs, and alarms, of canaries on a real API server; kwok plays the pods, as their templates say.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use harness::{SOON, World, eventually};
use serde_json::{Value, json};

/// A Deployment and its Canary, which is checked twice.
async fn canary(world: &World, name: &str, annotations: &Value, hooks: &Value) {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 8080}]}]},
            },
        },
    });
    let mut canary = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {"name": name, "annotations": {"canary.leeboard.dev/scale-down-delay": "0"}},
        "spec": {
            "provider": "kubernetes",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {"port": 80, "targetPort": 8080},
            "analysis": {"interval": "10s", "threshold": 1, "iterations": 1, "webhooks": hooks},
        },
    });
    for (key, value) in annotations.as_object().unwrap() {
        canary["metadata"]["annotations"][key] = value.clone();
    }
    world.shop.apply(&deployment.to_string()).await;
    world.shop.apply(&canary.to_string()).await;
}

/// A pod that ends as kwok is told.
fn pod(annotations: &Value) -> Value {
    json!({"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "test", "image": "test:1"}]}})
}

async fn phase(world: &World, name: &str, expected: &str) {
    eventually(&format!("{name} is {expected}"), 2 * SOON, async || {
        let phase = world.shop.field(&format!("canary/{name}"), "{.status.phase}").await?;
        if phase == expected { Ok(()) } else { Err(format!("{phase}\n{}", world.tail())) }
    })
    .await;
}

async fn push(world: &World, name: &str, image: &str) {
    phase(world, name, "Initialized").await;
    world.shop.kubectl(["set", "image", &format!("deployment/{name}"), &format!("web={image}")]).await.unwrap();
}

async fn jobs(world: &World, name: &str) -> Vec<Value> {
    let label = format!("canary.leeboard.dev/canary={name}");
    let text = world.shop.kubectl(["get", "jobs", "-l", &label, "-o", "json"]).await.unwrap();
    let mut list: Value = serde_json::from_str(&text).unwrap();
    list["items"].as_array_mut().map(std::mem::take).unwrap()
}

async fn told(world: &World, name: &str, text: &str) {
    eventually(&format!("an Event of {name} says: {text}"), SOON, async || {
        let selector = format!("involvedObject.name={name}");
        let events = world.shop.kubectl(["get", "events", "--field-selector", &selector, "-o", "json"]).await?;
        if events.contains(text) { Ok(()) } else { Err(events) }
    })
    .await;
}

#[tokio::test]
async fn jobs_are_asked() {
    let mut world = World::new().await;
    let none = json!({});
    let good = json!([
        {"type": "confirm-rollout", "name": "gate", "template": pod(&none)},
        {"type": "pre-rollout", "name": "smoke", "template": {"spec": {"template": pod(&none)}}},
        {"type": "job", "name": "load", "timeout": "90s", "template": pod(&json!({"leeboard.test/delay": "3s"}))},
        {"type": "post-rollout", "name": "report", "template": pod(&none)},
    ]);
    let bad =
        json!([{"type": "pre-rollout", "name": "smoke", "template": pod(&json!({"leeboard.test/outcome": "fail"}))}]);
    let stuck =
        json!([{"type": "pre-rollout", "name": "smoke", "template": pod(&json!({"leeboard.test/outcome": "stuck"}))}]);
    let late = json!([
        {"type": "pre-rollout", "name": "smoke", "timeout": "3s", "template": pod(&json!({"leeboard.test/outcome": "stuck"}))}
    ]);
    let empty = json!([{"type": "pre-rollout", "name": "smoke", "template": {"spec": {}}}]);
    for (name, hooks) in [("good", good), ("bad", bad), ("stuck", stuck), ("late", late), ("empty", empty)] {
        canary(&world, name, &none, &hooks).await;
    }
    for name in ["good", "bad", "stuck", "late", "empty"] {
        push(&world, name, "web:2").await;
    }

    // Killed while a Job runs, it goes on with the same Job.
    eventually("the load test runs", 2 * SOON, async || {
        let jobs = jobs(&world, "good").await;
        let load = jobs.iter().find(|job| job["metadata"]["annotations"]["canary.leeboard.dev/hook"] == "rollout load");
        load.map(drop).ok_or_else(|| format!("{} jobs\n{}", jobs.len(), world.tail()))
    })
    .await;
    world.daemon.kill();
    world.daemon.restart().await;
    phase(&world, "good", "Succeeded").await;
    told(&world, "good", "Post-rollout check report passed").await;
    let jobs = jobs(&world, "good").await;
    let hooks: Vec<&str> =
        jobs.iter().filter_map(|job| job["metadata"]["annotations"]["canary.leeboard.dev/hook"].as_str()).collect();
    for hook in ["confirm-rollout gate", "pre-rollout smoke", "rollout load", "post-rollout report"] {
        assert_eq!(hooks.iter().filter(|found| **found == hook).count(), 1, "{hook}: {hooks:?}");
    }
    let load = jobs.iter().find(|job| job["metadata"]["annotations"]["canary.leeboard.dev/hook"] == "rollout load");
    let load = load.unwrap();
    assert_eq!(load["metadata"]["ownerReferences"][0]["name"], "good", "{load}");
    let env = load["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let value = |name: &str| env.iter().find(|variable| variable["name"] == name).map(|variable| &variable["value"]);
    let url = format!("http://good-canary.{}:80", world.shop.name());
    assert_eq!(value("LEEBOARD_CANARY_URL"), Some(&json!(url)), "{env:?}");
    assert_eq!(value("LEEBOARD_PHASE"), Some(&json!("Progressing")), "{env:?}");

    phase(&world, "bad", "Failed").await;
    told(&world, "bad", "pre-rollout check smoke failed Job bad-smoke-").await;
    told(&world, "bad", "BackoffLimitExceeded").await;
    told(&world, "bad", "exit code 1").await;
    phase(&world, "late", "Failed").await;
    phase(&world, "empty", "Failed").await;
    told(&world, "empty", "has neither `spec.template.spec.containers`").await;

    // A person is heard while a Job runs.
    phase(&world, "stuck", "Progressing").await;
    let wish = ["annotate", "canary/stuck", "canary.leeboard.dev/action=abort", "canary.leeboard.dev/actor=alice"];
    world.shop.kubectl(wish).await.unwrap();
    phase(&world, "stuck", "Failed").await;
    told(&world, "stuck", "aborted by alice").await;
}
