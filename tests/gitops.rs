//! From a git push to a changed cluster: the main job, through the real binary and a real API server.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use harness::manifests::{SETTINGS, deployment, job, settings};
use harness::{A_WHILE, Repo, SOON, World, eventually};
use serde_json::json;

#[tokio::test]
async fn a_push_changes_the_cluster() {
    let world = World::new().await;
    let first =
        world.repo.commit("main", &[("app/config.yaml", SETTINGS), ("app/web.yaml", &deployment("web", "", ""))]);
    world.application("web", "app", &json!({})).await;
    let status = world.synced("web", &first).await;
    assert_eq!(status["sourceType"], "Directory");
    assert_eq!(status["summary"]["images"], json!(["registry.example/web:1"]));
    assert_eq!(status["history"][0]["revision"], first.as_str());
    let resources = status["resources"].as_array().unwrap();
    assert_eq!(resources.len(), 2, "{resources:?}");
    assert!(resources.iter().all(|resource| resource["status"] == "Synced"), "{resources:?}");

    let second = world.repo.commit("main", &[("app/config.yaml", &SETTINGS.replace("hello", "good day"))]);
    world.field("configmap/settings", "{.data.greeting}", "good day").await;
    let status = world.synced("web", &second).await;
    assert_eq!(status["history"][1]["revision"], second.as_str());
    assert_eq!(world.daemon.metric("leeboard_push_duration_seconds_count").await, Some(1.0), "the first was no push");
}

#[tokio::test]
async fn an_environment_becomes_an_application_of_applications() {
    let world = World::new().await;
    let overlay =
        "resources: [../../base]\nnamePrefix: dev-\nconfigMapGenerator:\n- name: settings\n  literals: [colour=blue]\n";
    let base = "resources: [web.yaml]\n";
    let head = world.repo.commit(
        "env/dev",
        &[
            ("apps/web/base/kustomization.yaml", base),
            ("apps/web/base/web.yaml", &deployment("web", "", "")),
            ("apps/web/overlays/dev/kustomization.yaml", overlay),
            ("clusters/dev/web/kustomization.yaml", "resources: [../../../apps/web/overlays/dev]\n"),
            ("clusters/dev/plain/config.yaml", SETTINGS),
        ],
    );
    world.environment().await;
    world.synced("dev", &head).await;
    let web = world.synced("dev-web", &head).await;
    assert_eq!(web["sourceType"], "Kustomize");
    world.synced("dev-plain", &head).await;
    world.there("deployment/dev-web").await;
    eventually("the environment says that it is ready", SOON, async || {
        let ready = world.control.field("environment/dev", "{.status.conditions[0].status} {.status.commit}").await?;
        if ready == format!("True {head}") { Ok(()) } else { Err(ready) }
    })
    .await;
}

#[tokio::test]
async fn a_suspended_environment_is_left_as_it_is_down_to_its_applications() {
    let world = World::new().await;
    let text = |greeting: &str| SETTINGS.replace("hello", greeting);
    world.repo.commit("env/dev", &[("clusters/dev/plain/config.yaml", SETTINGS)]);
    world.environment().await;
    world.field("configmap/settings", "{.data.greeting}", "hello").await;
    let suspend = async |suspend: bool| {
        let patch = json!({"spec": {"suspend": suspend}}).to_string();
        world.control.kubectl(["patch", "environment", "dev", "--type=merge", "-p", &patch]).await.unwrap();
    };
    suspend(true).await;
    eventually("the environment says so", SOON, async || {
        let reason = world.control.field("environment/dev", "{.status.conditions[0].reason}").await?;
        if reason == "Suspended" { Ok(()) } else { Err(reason) }
    })
    .await;
    world.repo.commit("env/dev", &[("clusters/dev/plain/config.yaml", &text("good day"))]);
    eventually("the push is seen", SOON, async || {
        let sync = world.control.field("application/dev-plain", "{.status.sync.status}").await?;
        if sync == "OutOfSync" { Ok(()) } else { Err(sync) }
    })
    .await;
    tokio::time::sleep(A_WHILE).await;
    world.field("configmap/settings", "{.data.greeting}", "hello").await;
    suspend(false).await;
    world.field("configmap/settings", "{.data.greeting}", "good day").await;
}

#[tokio::test]
async fn hooks_and_waves_go_in_order() {
    let world = World::new().await;
    let wave = |n: i32| format!("argocd.argoproj.io/sync-wave: \"{n}\"");
    let slow = "leeboard.test/delay: 700ms";
    let head = world.repo.commit(
        "main",
        &[
            ("app/migrate.yaml", &job("migrate", "argocd.argoproj.io/hook: PreSync", slow)),
            ("app/first.yaml", &deployment("first", &wave(-1), slow)),
            ("app/second.yaml", &deployment("second", &wave(0), "")),
            ("app/check.yaml", &job("check", "argocd.argoproj.io/hook: PostSync", "")),
        ],
    );
    world.application("ordered", "app", &json!({})).await;
    let status = world.synced("ordered", &head).await;
    let results = status["operationState"]["syncResult"]["resources"].as_array().unwrap().clone();
    let order: Vec<_> = results
        .iter()
        .map(|r| format!("{} {}", r["syncPhase"].as_str().unwrap(), r["name"].as_str().unwrap()))
        .collect();
    assert_eq!(order, ["PreSync migrate", "Sync first", "Sync second", "PostSync check"]);
    let created = async |object: &str| world.shop.field(object, "{.metadata.creationTimestamp}").await.unwrap();
    let done = world.shop.field("job/migrate", "{.status.completionTime}").await.unwrap();
    assert!(created("deployment/first").await >= done, "the first wave waits for the PreSync hook");
    assert_eq!(results[0]["hookPhase"], "Succeeded");
}

#[tokio::test]
async fn what_git_drops_is_pruned_and_nothing_else() {
    let world = World::new().await;
    let other = settings("extra");
    world.shop.apply(&settings("not-ours")).await;
    let first = world.repo.commit("main", &[("app/config.yaml", SETTINGS), ("app/extra.yaml", &other)]);
    world.application("pruned", "app", &json!({})).await;
    world.synced("pruned", &first).await;
    let second = world.repo.remove("main", &["app/extra.yaml"]);
    world.gone("configmap/extra").await;
    world.synced("pruned", &second).await;
    world.there("configmap/settings").await;
    world.there("configmap/not-ours").await;
}

#[tokio::test]
async fn drift_is_repaired() {
    let world = World::new().await;
    let head =
        world.repo.commit("main", &[("app/config.yaml", SETTINGS), ("app/web.yaml", &deployment("web", "", ""))]);
    world.application("healed", "app", &json!({})).await;
    world.synced("healed", &head).await;

    let before = world.shop.field("deployment/web", "{.metadata.uid}").await.unwrap();
    world.shop.kubectl(["delete", "deployment", "web"]).await.unwrap();
    eventually("the Deployment is back", SOON, async || {
        match world.shop.field("deployment/web", "{.metadata.uid}").await {
            Ok(uid) if uid != before => Ok(()),
            other => Err(format!("{other:?}\n{}", world.tail())),
        }
    })
    .await;
    let patch = r#"{"data":{"greeting":"boo"}}"#;
    world.shop.kubectl(["patch", "configmap", "settings", "--type=merge", "-p", patch]).await.unwrap();
    world.field("configmap/settings", "{.data.greeting}", "hello").await;
    world.until("healed", "in sync again", |status| status["sync"]["status"] == "Synced").await;
    // What nobody asked for stays: a field that git does not have.
    let patch = r#"{"data":{"mine":"yes"}}"#;
    world.shop.kubectl(["patch", "configmap", "settings", "--type=merge", "-p", patch]).await.unwrap();
    tokio::time::sleep(A_WHILE).await;
    world.field("configmap/settings", "{.data.mine}", "yes").await;
}

#[tokio::test]
async fn without_automation_drift_is_reported_and_a_person_syncs() {
    let world = World::new().await;
    let head = world.repo.commit("main", &[("app/config.yaml", SETTINGS)]);
    world.application("manual", "app", &json!({"syncPolicy": null})).await;
    world
        .until("manual", "out of sync", |status| {
            status["sync"]["status"] == "OutOfSync" && status["health"]["status"] == "Missing"
        })
        .await;
    world.operate("manual", &json!({"revision": head})).await;
    let status = world.synced("manual", &head).await;
    assert_eq!(status["operationState"]["operation"]["initiatedBy"]["username"], "alice");
    let operation = world.control.field("application.argoproj.io/manual", "{.operation}").await.unwrap();
    assert_eq!(operation, "", "it is removed when it is done");
}

#[tokio::test]
async fn a_broken_push_leaves_the_last_good_state() {
    let world = World::new().await;
    let good = world.repo.commit("main", &[("app/config.yaml", SETTINGS), ("app/other.yaml", &settings("other"))]);
    world.application("broken", "app", &json!({})).await;
    world.synced("broken", &good).await;

    world.repo.commit("main", &[("app/config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings\n")]);
    let status = world.complains("broken", "ComparisonError", "app/config.yaml:").await;
    assert_eq!(status["sync"]["status"], "Unknown");
    world.there("configmap/settings").await;
    world.there("configmap/other").await;

    let repaired = world.repo.commit("main", &[("app/config.yaml", &SETTINGS.replace("hello", "again"))]);
    let status = world.synced("broken", &repaired).await;
    assert_eq!(status["conditions"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_newer_commit_gets_in_while_a_sync_waits() {
    let world = World::new().await;
    let stuck = job("migrate", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: stuck");
    world.repo.commit("main", &[("app/config.yaml", SETTINGS), ("app/migrate.yaml", &stuck)]);
    world.application("superseded", "app", &json!({})).await;
    world
        .until("superseded", "waiting for its hook", |status| {
            status["operationState"]["message"].as_str().is_some_and(|m| m.contains("waiting for completion of hook"))
        })
        .await;
    let repaired =
        world.repo.commit("main", &[("app/migrate.yaml", &job("migrate", "argocd.argoproj.io/hook: PreSync", ""))]);
    world.synced("superseded", &repaired).await;
}

#[tokio::test]
async fn a_sync_that_was_killed_goes_on_where_it_was() {
    let mut world = World::new().await;
    let slow = "leeboard.test/delay: 3s";
    let second = deployment("second", "argocd.argoproj.io/sync-wave: \"1\"", "");
    let head = world.repo.commit(
        "main",
        &[
            ("app/migrate.yaml", &job("migrate", "argocd.argoproj.io/hook: PreSync", "")),
            ("app/first.yaml", &deployment("first", "", slow)),
            ("app/second.yaml", &second),
        ],
    );
    world.application("killed", "app", &json!({})).await;
    world.there("deployment/first").await;
    let hook = world.shop.field("job/migrate", "{.metadata.uid}").await.unwrap();
    world.daemon.kill();
    world.daemon.restart().await;
    world.synced("killed", &head).await;
    world.there("deployment/second").await;
    let hook_now = world.shop.field("job/migrate", "{.metadata.uid}").await.unwrap();
    assert_eq!(hook, hook_now, "the hook ran once");
}

#[tokio::test]
async fn a_project_keeps_its_teams_within_bounds() {
    let world = World::new().await;
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "payments", "namespace": world.control.name()},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "https://kubernetes.default.svc", "namespace": world.shop.name()}],
            "namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}],
        },
    });
    world.cluster.apply(&project.to_string(), [""; 0]).await;
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: reach}\nrules: []\n";
    world.repo.commit("main", &[("app/config.yaml", SETTINGS), ("app/role.yaml", role)]);
    world.application("bounded", "app", &json!({"project": "payments"})).await;
    let refused = |text: &'static str| {
        move |status: &serde_json::Value| {
            status["operationState"]["phase"] == "Failed"
                && status["operationState"]["message"].as_str().is_some_and(|message| message.contains(text))
        }
    };
    world.until("bounded", "refused", refused("ClusterRole is not permitted in project payments")).await;
    assert!(world.shop.object("configmap/settings").await.is_err(), "nothing is applied");

    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n";
    world.repo.commit("main", &[("app/role.yaml", secret)]);
    world.until("bounded", "refused", refused("Secret is not permitted in project payments")).await;

    let far = format!("{}\n", SETTINGS.replace("name: settings", "name: settings, namespace: kube-system"));
    world.repo.commit("main", &[("app/role.yaml", &far)]);
    world.until("bounded", "refused", refused("namespace kube-system is not permitted in project 'payments'")).await;

    let good = world.repo.remove("main", &["app/role.yaml"]);
    world.synced("bounded", &good).await;
}

#[tokio::test]
async fn what_an_application_deployed_goes_with_it_when_it_says_so() {
    let world = World::new().await;
    let head = world.repo.commit("main", &[("app/config.yaml", SETTINGS)]);
    world.application("kept", "app", &json!({})).await;
    world.synced("kept", &head).await;
    world.control.kubectl(["delete", "application.argoproj.io", "kept"]).await.unwrap();
    tokio::time::sleep(A_WHILE).await;
    world.there("configmap/settings").await;

    world.application("cascading", "app", &json!({})).await;
    let finalizer = r#"{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io"]}}"#;
    world
        .control
        .kubectl(["patch", "application.argoproj.io", "cascading", "--type=merge", "-p", finalizer])
        .await
        .unwrap();
    world.synced("cascading", &head).await;
    world.control.kubectl(["delete", "application.argoproj.io", "cascading"]).await.unwrap();
    world.gone("configmap/settings").await;
}

#[tokio::test]
async fn a_base_in_another_repository_is_followed_where_the_project_permits_it() {
    let world = World::new().await;
    let bases = Repo::new();
    let base = |greeting: &str| SETTINGS.replace("hello", greeting);
    bases.commit("main", &[("base/kustomization.yaml", "resources: [a.yaml]\n"), ("base/a.yaml", &base("one"))]);
    let overlay = format!("resources: ['{}//base?ref=main']\nnamePrefix: far-\n", bases.url());
    world.repo.commit("main", &[("app/kustomization.yaml", &overlay)]);
    world.application("web", "app", &json!({})).await;
    world.field("configmap/far-settings", "{.data.greeting}", "one").await;

    // A push to the other repository is a reason to render, though the application's own has not moved.
    bases.commit("main", &[("base/a.yaml", &base("two"))]);
    world.field("configmap/far-settings", "{.data.greeting}", "two").await;

    // A commit that does without the other repository gets in, also when that is gone; and needs it no more.
    std::fs::remove_dir_all(bases.bare()).unwrap();
    let own = world
        .repo
        .commit("main", &[("app/kustomization.yaml", "resources: [own.yaml]\n"), ("app/own.yaml", &settings("own"))]);
    world.synced("web", &own).await;
    let quiet = world.repo.commit("main", &[("app/own.yaml", &settings("own").replace("hello", "again"))]);
    world.synced("web", &quiet).await;

    world.repo.commit("main", &[("app/kustomization.yaml", &overlay)]);
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "near", "namespace": world.control.name()},
        "spec": {"sourceRepos": [world.repo.url()], "destinations": [{"server": "*", "namespace": "*"}]},
    });
    world.cluster.apply(&project.to_string(), [""; 0]).await;
    world.application("fenced", "app", &json!({"project": "near"})).await;
    world.complains("fenced", "ComparisonError", "which is not among the `sourceRepos` of project `near`").await;
}
