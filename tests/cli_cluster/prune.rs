//! What has gone from a directory is deleted when a person says so.

use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;

use super::{Person, Said};
use crate::harness::Cluster;
use crate::harness::manifests::{SETTINGS, settings};

#[tokio::test]
async fn what_has_gone_is_pruned_when_asked() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    person.write("old.yaml", &settings("old"));
    person.write(
        "precious.yaml",
        &settings("precious")
            .replace("name: precious", "name: precious, annotations: {argocd.argoproj.io/sync-options: Prune=false}"),
    );
    person.shop("sync", &shop, &[]).await.is(0, &["(3 applied)"]);
    // Somebody copied it, with all that says whose it is.
    let mut copy = shop.object("configmap/old").await.unwrap();
    copy["metadata"] =
        json!({"name": "copy", "labels": copy["metadata"]["labels"], "annotations": copy["metadata"]["annotations"]});
    shop.apply(&copy.to_string()).await;

    person.remove("old.yaml");
    person.remove("precious.yaml");
    let said = person.shop("diff", &shop, &[]).await;
    said.is(1, &["stays", "ConfigMap/old", "stays without --prune"]).says_nothing_of("ConfigMap/copy");
    person.shop("sync", &shop, &[]).await.is(0, &["stays without --prune"]);
    shop.object("configmap/old").await.unwrap();

    let said = person.shop("diff", &shop, &["--prune"]).await;
    said.is(1, &["1 to prune", "- no longer in the directory", "-  greeting: hello", "ignored (no prune)"]);
    person.shop("sync", &shop, &["--prune", "--dry-run"]).await.is(0, &["nothing was changed"]);
    shop.object("configmap/old").await.unwrap();
    person.shop("sync", &shop, &["--prune"]).await.is(0, &["deleting ConfigMap/old", "1 pruned"]);
    assert!(shop.object("configmap/old").await.unwrap_err().contains("NotFound"));
    for kept in ["configmap/copy", "configmap/precious", "configmap/settings"] {
        shop.object(kept).await.unwrap();
    }
}

#[tokio::test]
async fn too_many_deletions_need_a_word() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    for number in 0..8 {
        person.write(&format!("{number}.yaml"), &settings(&format!("c{number}")));
    }
    person.shop("sync", &shop, &[]).await.is(0, &["(8 applied)"]);
    for number in 1..8 {
        person.remove(&format!("{number}.yaml"));
    }
    let said = person.shop("sync", &shop, &["--prune"]).await;
    said.is(0, &["7 of 8 objects would be pruned: confirm it with --yes"]);
    shop.object("configmap/c7").await.unwrap();
    person.shop("sync", &shop, &["--prune", "--yes"]).await.is(0, &["7 pruned"]);
    assert!(shop.object("configmap/c7").await.is_err());

    // Nothing left at all is taken for a mistake.
    person.remove("0.yaml");
    person.write("README.md", "moved");
    let said = person.shop("sync", &shop, &["--prune", "--yes"]).await;
    said.is(1, &["auto-sync will wipe out all resources", "is it the right directory?"]);
    shop.object("configmap/c0").await.unwrap();
}

#[tokio::test]
async fn a_person_at_a_terminal_is_asked_before_anything_is_deleted() {
    if std::process::Command::new("script").arg("--version").output().is_err() {
        println!("skipped: there is no `script` to play a terminal");
        return;
    }
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    person.write("old.yaml", &settings("old"));
    person.shop("sync", &shop, &[]).await.is(0, &[]);
    person.remove("old.yaml");
    let at_terminal = async |answer: &str, more: &str| {
        let line = format!("{} sync shop -n {} --prune {more}", env!("CARGO_BIN_EXE_leeboard"), shop.name());
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .current_dir(person.folder.path())
            .env("TERM", "xterm")
            .env("LANG", "C.UTF-8");
        script.env("HOME", person.folder.path()).env("KUBECONFIG", &person.kubeconfig).env("SHELL", "/bin/sh");
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = script.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut input, answer.as_bytes()).await.unwrap();
        let said = Said::of(&child.wait_with_output().await.unwrap());
        drop(input);
        said
    };
    at_terminal("n\n", "").await.is(1, &["y deletes for good", "ConfigMap/old", "nothing was changed"]);
    shop.object("configmap/old").await.unwrap();
    at_terminal("y\n", "").await.is(0, &["1 pruned"]);
    assert!(shop.object("configmap/old").await.is_err());
    person.write("old.yaml", &settings("old"));
    person.shop("sync", &shop, &[]).await.is(0, &[]);
    person.remove("old.yaml");
    at_terminal("", "--yes").await.is(0, &["1 pruned"]).says_nothing_of("Go on?");
}
