//! What a person may ask of a sync, and what they see of it.

use serde_json::{Value, json};

use super::{annotate, ended, no_retry, patch, says};
use crate::harness::manifests::{annotated_config_map, config_map, deployment, job};
use crate::harness::{A_WHILE, SOON, World, eventually};

#[tokio::test]
async fn what_kubectl_has_applied_is_adopted() {
    let world = World::new().await;
    let mut old = deployment("web", "", "");
    old = old.replace("metadata: {name: web, annotations: {}}", "metadata: {name: web, labels: {old: \"yes\"}}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yaml");
    std::fs::write(&file, old).unwrap();
    world.shop.kubectl(["apply", "-f", file.to_str().unwrap()]).await.unwrap();
    let before = world.there("deployment/web").await["metadata"]["uid"].clone();
    let head = world.repo.commit("main", &[("app/web.yaml", &deployment("web", "", ""))]);
    world.application("adopted", "app", &json!({})).await;
    world.synced("adopted", &head).await;
    let after = world.there("deployment/web").await;
    assert_eq!(after["metadata"]["uid"], before);
    assert_eq!(after["metadata"]["labels"]["old"], Value::Null, "what git does not have is gone");
}

#[tokio::test]
async fn replace_leaves_nothing_that_git_does_not_have() {
    let world = World::new().await;
    let replace = "argocd.argoproj.io/sync-options: Replace=true";
    let head = world.repo.commit("main", &[("app/a.yaml", &annotated_config_map("a", "1", replace))]);
    world.application("replaced", "app", &json!({})).await;
    world.synced("replaced", &head).await;
    let mine = r#"{"data":{"mine":"yes"}}"#;
    world.shop.kubectl(["patch", "configmap", "a", "--type=merge", "-p", mine]).await.unwrap();
    let head = world.repo.commit("main", &[("app/a.yaml", &annotated_config_map("a", "2", replace))]);
    world.synced("replaced", &head).await;
    world.field("configmap/a", "{.data}", r#"{"value":"2"}"#).await;
}

#[tokio::test]
async fn a_person_syncs_as_they_like() {
    let world = World::new().await;
    world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1")), ("app/b.yaml", &config_map("b", "1"))]);
    world.application("manual", "app", &json!({"syncPolicy": null})).await;
    world.until("manual", "out of sync", |status| status["sync"]["status"] == "OutOfSync").await;

    world.operate("manual", &json!({"dryRun": true})).await;
    let status = ended(&world, "manual", "Succeeded", &[]).await;
    assert_eq!(status["operationState"]["operation"]["sync"]["dryRun"], true);
    assert!(world.shop.object("configmap/a").await.is_err(), "a dry run changes nothing");
    assert_eq!(status["history"], Value::Null);

    world.operate("manual", &json!({"resources": [{"kind": "ConfigMap", "name": "b"}]})).await;
    world.there("configmap/b").await;
    world
        .until("manual", "done", |status| {
            status["operationState"]["operation"]["sync"]["resources"][0]["name"] == "b"
                && status["operationState"]["phase"] == "Succeeded"
        })
        .await;
    assert!(world.shop.object("configmap/a").await.is_err(), "only what was selected");

    annotate(&world, "manual", "argocd.argoproj.io/refresh=hard").await;
    eventually("the refresh is done", SOON, async || {
        let object = world.control.object("application.argoproj.io/manual").await?;
        match &object["metadata"]["annotations"]["argocd.argoproj.io/refresh"] {
            Value::Null => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_sync_is_ended_by_a_person() {
    let world = World::new().await;
    let stuck = job("stuck", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: stuck");
    world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1")), ("app/hook.yaml", &stuck)]);
    world.application("endless", "app", &json!({})).await;
    says(&world, "endless", &["waiting for completion of hook", "stuck"]).await;
    patch(&world, "endless", &json!({"status": {"operationState": {"phase": "Terminating"}}})).await;
    ended(&world, "endless", "Failed", &["Operation terminated"]).await;
    world.gone("job/stuck").await;
    assert!(world.shop.object("configmap/a").await.is_err(), "what came after was not begun");
}

#[tokio::test]
async fn after_a_failed_hook_those_for_failures_run() {
    let world = World::new().await;
    let failing = job("failing", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: fail");
    let cleanup = job("cleanup", "argocd.argoproj.io/hook: SyncFail", "");
    world.repo.commit(
        "main",
        &[("app/a.yaml", &config_map("a", "1")), ("app/failing.yaml", &failing), ("app/cleanup.yaml", &cleanup)],
    );
    world.application("failing", "app", &no_retry()).await;
    ended(&world, "failing", "Failed", &["one or more synchronization tasks completed unsuccessfully"]).await;
    world.field("job/cleanup", "{.status.succeeded}", "1").await;
    assert!(world.shop.object("configmap/a").await.is_err(), "what came after was not begun");
    let head = world.repo.commit("main", &[("app/failing.yaml", &failing.replace("outcome: fail", "outcome: fine"))]);
    world.synced("failing", &head).await;
}

#[tokio::test]
async fn hands_off_means_hands_off() {
    let world = World::new().await;
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1"))]);
    world.application("skipped", "app", &json!({})).await;
    world.synced("skipped", &head).await;
    annotate(&world, "skipped", "argocd.argoproj.io/skip-reconcile=true").await;
    let before = world.control.object("application.argoproj.io/skipped").await.unwrap();
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "2"))]);
    world.shop.kubectl(["delete", "configmap", "a"]).await.unwrap();
    tokio::time::sleep(A_WHILE).await;
    assert!(world.shop.object("configmap/a").await.is_err());
    let after = world.control.object("application.argoproj.io/skipped").await.unwrap();
    assert_eq!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"], "not even its status");
    annotate(&world, "skipped", "argocd.argoproj.io/skip-reconcile-").await;
    world.synced("skipped", &head).await;
}

#[tokio::test]
async fn metrics_show_how_it_is() {
    let world = World::new().await;
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1"))]);
    world.application("measured", "app", &json!({})).await;
    world.synced("measured", &head).await;
    let (_, text) = world.daemon.get("/metrics").await.unwrap();
    for expected in [
        r#"leeboard_applications{sync="Synced",health="Healthy"} 1"#,
        r#"leeboard_queue_depth{priority="person"} 0"#,
        r#"leeboard_api_requests_total{verb="apply",code="200"}"#,
        r#"leeboard_syncs_total{phase="Succeeded"} 1"#,
        r#"leeboard_apply_duration_seconds_count{result="ok"} 1"#,
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
}
