//! Objects that somebody deletes while a sync is at work: the sync ends, and what is missing comes back.

use http::Method;
use serde_json::{Value, json};

use super::{ended, no_retry, says, world_behind_a_proxy};
use crate::harness::World;
use crate::harness::manifests::{annotated_config_map, config_map, deployment, job};

/// The Deployments `kept` and `changed` in one wave, a ConfigMap in the next.
fn files(changed: &str) -> Vec<(&'static str, String)> {
    vec![
        ("app/kept.yaml", deployment("kept", "", "")),
        ("app/changed.yaml", deployment("changed", "", changed)),
        ("app/later.yaml", annotated_config_map("later", changed, "argocd.argoproj.io/sync-wave: \"1\"")),
    ]
}

fn push(world: &World, files: &[(&'static str, String)]) -> String {
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    world.repo.commit("main", &files)
}

#[tokio::test]
async fn what_is_deleted_before_the_first_step_is_not_waited_for_and_comes_back() {
    let (world, proxy) = world_behind_a_proxy().await;
    let head = push(&world, &files(""));
    world.application("vanishing", "app", &json!({})).await;
    world.synced("vanishing", &head).await;

    let step = proxy.hold(Method::PATCH, "/deployments/changed");
    let head = push(&world, &files("round: two"));
    step.arrived().await;
    world.shop.kubectl(["delete", "deployment", "kept", "changed"]).await.unwrap();
    step.release();
    world.synced("vanishing", &head).await;
    world.there("deployment/kept").await;
    world.field("deployment/changed", "{.spec.template.metadata.annotations.round}", "two").await;
    world.field("configmap/later", "{.data.value}", "round: two").await;
}

#[tokio::test]
async fn where_nobody_heals_the_sync_ends_and_says_what_is_missing() {
    let (world, proxy) = world_behind_a_proxy().await;
    let head = push(&world, &files(""));
    world.application("vanishing", "app", &json!({"syncPolicy": null})).await;
    world.until("vanishing", "out of sync", |status| status["sync"]["status"] == "OutOfSync").await;
    world.operate("vanishing", &json!({"revision": head})).await;
    world.synced("vanishing", &head).await;

    let step = proxy.hold(Method::PATCH, "/deployments/changed");
    let head = push(&world, &files("round: two"));
    world.operate("vanishing", &json!({"revision": head})).await;
    step.arrived().await;
    world.shop.kubectl(["delete", "deployment", "kept"]).await.unwrap();
    step.release();
    world
        .until("vanishing", "done, with an object missing", |status| {
            let state = &status["operationState"];
            let is_kept = |resource: &&Value| resource["name"] == "kept";
            let kept = status["resources"].as_array().and_then(|all| all.iter().find(is_kept));
            state["syncResult"]["revision"] == *head
                && state["phase"] == "Succeeded"
                && status["sync"]["status"] == "OutOfSync"
                && kept.is_some_and(|kept| kept["status"] == "OutOfSync" && kept["health"]["status"] == "Missing")
        })
        .await;
    world.field("configmap/later", "{.data.value}", "round: two").await;
}

#[tokio::test]
async fn what_is_deleted_while_a_wave_waits_for_it_comes_back() {
    let world = World::new().await;
    push(&world, &files("leeboard.test/outcome: stuck"));
    world.application("vanishing", "app", &json!({})).await;
    says(&world, "vanishing", &["waiting for healthy state", "changed"]).await;
    let before = world.there("deployment/changed").await["metadata"]["uid"].clone();
    world.shop.kubectl(["delete", "deployment", "changed"]).await.unwrap();
    ended(&world, "vanishing", "Running", &["changed", "missing"]).await;
    assert_ne!(world.there("deployment/changed").await["metadata"]["uid"], before, "the retry brings it back");
    let head = push(&world, &files(""));
    world.synced("vanishing", &head).await;
}

#[tokio::test]
async fn a_hook_that_is_deleted_while_it_runs_is_not_waited_for() {
    let world = World::new().await;
    let stuck = job("stuck", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: stuck");
    world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1")), ("app/hook.yaml", &stuck)]);
    world.application("hooked", "app", &no_retry()).await;
    says(&world, "hooked", &["waiting for completion of hook", "stuck"]).await;
    world.shop.kubectl(["delete", "job", "stuck", "--wait=false"]).await.unwrap();
    ended(&world, "hooked", "Failed", &["one or more synchronization tasks completed unsuccessfully"]).await;
    world.gone("job/stuck").await;
    assert!(world.shop.object("configmap/a").await.is_err(), "what came after was not begun");
}

#[tokio::test]
async fn what_is_to_be_pruned_and_is_gone_already_is_no_failure() {
    let (world, proxy) = world_behind_a_proxy().await;
    let files = [("app/a.yaml", &*config_map("a", "1")), ("app/old.yaml", &*config_map("old", "1"))];
    let head = world.repo.commit("main", &files);
    world.application("pruned", "app", &json!({})).await;
    world.synced("pruned", &head).await;
    let step = proxy.hold(Method::DELETE, "/configmaps/old");
    let head = world.repo.remove("main", &["app/old.yaml"]);
    step.arrived().await;
    world.shop.kubectl(["delete", "configmap", "old"]).await.unwrap();
    step.release();
    world.synced("pruned", &head).await;
    world.gone("configmap/old").await;
}
