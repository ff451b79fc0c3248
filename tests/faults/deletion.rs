//! What is deleted, and what is not without a word.

use serde_json::{Value, json};

use super::{annotate, patch, says};
use crate::harness::manifests::{annotated_config_map, config_map, job};
use crate::harness::{A_WHILE, World};

#[tokio::test]
async fn much_at_once_is_not_pruned_without_a_word() {
    let world = World::new().await;
    let names: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
    let files: Vec<_> = names.iter().map(|name| (format!("app/{name}.yaml"), config_map(name, "1"))).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let head = world.repo.commit("main", &files);
    world.application("shrinking", "app", &json!({})).await;
    world.synced("shrinking", &head).await;
    let dropped: Vec<_> = names[..6].iter().map(|name| format!("app/{name}.yaml")).collect();
    world.repo.remove("main", &dropped.iter().map(String::as_str).collect::<Vec<_>>());
    let status = world.complains("shrinking", "SyncError", "6 of 8 objects would be pruned").await;
    tokio::time::sleep(A_WHILE).await;
    for name in &names {
        world.there(&format!("configmap/{name}")).await;
    }
    let message =
        status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "SyncError").unwrap()["message"]
            .as_str()
            .unwrap()
            .to_owned();
    let (_, wanted) = message.split_once("annotation ").unwrap();
    let (name, value) = wanted.split_once(": ").unwrap();
    annotate(&world, "shrinking", &format!("{name}={value}")).await;
    for name in &names[..6] {
        world.gone(&format!("configmap/{name}")).await;
    }
    world.there("configmap/c7").await;
    world.until("shrinking", "in sync", |s| s["sync"]["status"] == "Synced" && s["conditions"].is_null()).await;
}

#[tokio::test]
async fn an_application_is_not_emptied_without_a_word() {
    let world = World::new().await;
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1")), ("app/.keep", "")]);
    world.application("emptied", "app", &json!({})).await;
    world.synced("emptied", &head).await;
    world.repo.remove("main", &["app/a.yaml"]);
    world.complains("emptied", "SyncError", "auto-sync will wipe out all resources").await;
    tokio::time::sleep(A_WHILE).await;
    world.there("configmap/a").await;
    patch(&world, "emptied", &json!({"spec": {"syncPolicy": {"automated": {"allowEmpty": true}}}})).await;
    world.gone("configmap/a").await;
}

#[tokio::test]
async fn objects_have_a_say_in_their_deletion() {
    let world = World::new().await;
    let option = |option: &str| format!("argocd.argoproj.io/sync-options: {option}");
    let head = world.repo.commit(
        "main",
        &[
            ("app/a.yaml", &config_map("stays", "1")),
            ("app/never.yaml", &annotated_config_map("never", "1", &option("Prune=false"))),
            ("app/asked.yaml", &annotated_config_map("asked", "1", &option("Prune=confirm"))),
        ],
    );
    world.application("choosy", "app", &json!({})).await;
    world.synced("choosy", &head).await;
    world.repo.remove("main", &["app/never.yaml"]);
    world
        .until("choosy", "pruning is withheld", |status| {
            let results = status["operationState"]["syncResult"]["resources"].as_array().cloned().unwrap_or_default();
            results
                .iter()
                .any(|r| r["name"] == "never" && r["status"] == "PruneSkipped" && r["message"] == "ignored (no prune)")
        })
        .await;
    // Withheld is withheld: it is not tried over and over.
    let history = world.status("choosy").await.unwrap()["operationState"].clone();
    tokio::time::sleep(A_WHILE * 2).await;
    assert_eq!(world.status("choosy").await.unwrap()["operationState"], history);
    world.there("configmap/never").await;

    world.repo.remove("main", &["app/asked.yaml"]);
    says(&world, "choosy", &["waiting for pruning confirmation of", "asked"]).await;
    world.there("configmap/asked").await;
    let time = k8s_openapi::jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    annotate(&world, "choosy", &format!("argocd.argoproj.io/deletion-approved={time}")).await;
    world.gone("configmap/asked").await;
    world.there("configmap/stays").await;
}

#[tokio::test]
async fn what_is_to_be_pruned_last_goes_after_all_else() {
    let world = World::new().await;
    let last = annotated_config_map("last", "1", "argocd.argoproj.io/sync-options: PruneLast=true");
    let wave = "argocd.argoproj.io/sync-wave: \"3\"";
    let files = [
        ("app/first.yaml", &*config_map("first", "1")),
        ("app/last.yaml", &*last),
        ("app/late.yaml", &*annotated_config_map("late", "1", wave)),
    ];
    let head = world.repo.commit("main", &files);
    world.application("ordered", "app", &json!({})).await;
    world.synced("ordered", &head).await;
    std::fs::write(world.repo.clone_path().join("app/late.yaml"), annotated_config_map("late", "2", wave)).unwrap();
    let head = world.repo.remove("main", &["app/first.yaml", "app/last.yaml"]);
    let status = world.synced("ordered", &head).await;
    let results = status["operationState"]["syncResult"]["resources"].as_array().unwrap();
    let result = |r: &Value| format!("{} {}", r["status"].as_str().unwrap(), r["name"].as_str().unwrap());
    let order: Vec<_> = results.iter().map(result).collect();
    assert_eq!(order, ["Pruned first", "Synced late", "Pruned last"]);
    world.gone("configmap/last").await;
}

#[tokio::test]
async fn an_object_that_moves_to_another_application_is_never_deleted() {
    let world = World::new().await;
    let moved = config_map("moved", "1");
    let files =
        [("one/a.yaml", config_map("a", "1")), ("one/moved.yaml", moved.clone()), ("two/b.yaml", config_map("b", "1"))];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let head = world.repo.commit("main", &files);
    world.application("one", "one", &json!({})).await;
    world.application("two", "two", &json!({})).await;
    world.synced("one", &head).await;
    world.synced("two", &head).await;
    let before = world.there("configmap/moved").await["metadata"]["uid"].clone();
    world.repo.git(&["mv", "one/moved.yaml", "two/moved.yaml"]);
    let head = world.repo.commit("main", &[]);
    world.synced("two", &head).await;
    world
        .until("one", "in sync without it", |status| {
            status["sync"]["status"] == "Synced" && status["resources"].as_array().is_some_and(|all| all.len() == 1)
        })
        .await;
    let after = world.there("configmap/moved").await;
    assert_eq!(after["metadata"]["uid"], before, "it is the same object");
    let tracking = after["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].as_str().unwrap();
    assert!(tracking.starts_with("two:"), "{tracking}");
}

/// The new owner is made a while after the old one has seen the push: a hook goes before.
#[tokio::test]
async fn an_object_that_moves_to_an_application_of_the_same_push_is_never_deleted() {
    let world = World::new().await;
    let child = |name: &str| world.manifest(name, name, &json!({})).to_string();
    let files = [
        ("root/one.yaml", child("one")),
        ("root/prepare.yaml", job("prepare", "argocd.argoproj.io/hook: PreSync", "leeboard.test/delay: 1200ms")),
        ("one/a.yaml", config_map("a", "1")),
        ("one/moved.yaml", config_map("moved", "1")),
    ];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let head = world.repo.commit("main", &files);
    world.application("root", "root", &json!({})).await;
    world.synced("one", &head).await;
    world.synced("root", &head).await;
    let before = world.there("configmap/moved").await["metadata"]["uid"].clone();
    std::fs::create_dir(world.repo.clone_path().join("two")).unwrap();
    world.repo.git(&["mv", "one/moved.yaml", "two/moved.yaml"]);
    let head = world.repo.commit("main", &[("root/two.yaml", &child("two"))]);
    world.synced("two", &head).await;
    world
        .until("one", "in sync without it", |status| {
            status["sync"]["status"] == "Synced" && status["resources"].as_array().is_some_and(|all| all.len() == 1)
        })
        .await;
    assert_eq!(world.there("configmap/moved").await["metadata"]["uid"], before, "it is the same object");
}
