//! Canaries on a real API server, by the real binary: pods are played by kwok, traffic by nobody, metrics and hooks by a
//! small server.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use harness::{SOON, World, eventually};
use serde_json::{Value, json};

/// A Deployment with one container of this image.
fn web(image: &str, replicas: u32) -> String {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image, "ports": [{"containerPort": 8080}]}]},
            },
        },
    })
    .to_string()
}

fn canary(analysis: &Value) -> String {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {"name": "web", "annotations": {"canary.leeboard.dev/scale-down-delay": "0"}},
        "spec": {
            "provider": "kubernetes",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "service": {"port": 80, "targetPort": 8080},
            "analysis": analysis,
        },
    })
    .to_string()
}

/// The phase that the Canary says.
async fn phase(world: &World, expected: &str) {
    eventually(&format!("the canary is {expected}"), 2 * SOON, async || {
        let canary = world.shop.object("canary/web").await?;
        let phase = canary["status"]["phase"].as_str().unwrap_or_default().to_owned();
        if phase == expected { Ok(()) } else { Err(format!("{phase}\n{}\n{}", canary, world.tail())) }
    })
    .await;
}

#[tokio::test]
async fn a_push_is_promoted_when_its_canary_has_succeeded() {
    let world = World::new().await;
    let analysis = json!({"interval": "10s", "threshold": 2, "iterations": 1});
    let first =
        world.repo.commit("main", &[("app/web.yaml", &web("web:1", 3)), ("app/canary.yaml", &canary(&analysis))]);
    world.application("web", "app", &json!({})).await;
    phase(&world, "Initialized").await;
    world.synced("web", &first).await;
    world
        .field("deployment/web-primary", "{.spec.replicas} {.spec.template.spec.containers[0].image}", "3 web:1")
        .await;
    world.field("deployment/web", "{.spec.replicas}", "0").await;
    world.field("service/web", "{.spec.selector.app}", "web-primary").await;
    world.field("service/web-canary", "{.spec.selector.app}", "web").await;

    let second = world.repo.commit("main", &[("app/web.yaml", &web("web:2", 3))]);
    phase(&world, "Progressing").await;
    world.field("deployment/web", "{.spec.replicas}", "3").await;
    world.field("deployment/web-primary", "{.spec.template.spec.containers[0].image}", "web:1").await;
    phase(&world, "Succeeded").await;
    world.field("deployment/web-primary", "{.spec.template.spec.containers[0].image}", "web:2").await;
    world.field("deployment/web", "{.spec.replicas}", "0").await;
    world.synced("web", &second).await;
}
