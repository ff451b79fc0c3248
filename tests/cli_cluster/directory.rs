//! A directory is compared with the cluster and synced.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Person;
use crate::harness::manifests::{SETTINGS, deployment, job, settings};
use crate::harness::{Cluster, SOON, eventually};

#[tokio::test]
async fn a_directory_differs_is_synced_and_is_the_same() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    person.write("web.yaml", &deployment("web", "", ""));

    let said = person.shop("diff", &shop, &[]).await;
    said.is(1, &["2 to apply, 0 in sync", "ConfigMap/settings", "+ not in the cluster", "+  greeting: hello"]);
    said.is(1, &["shop/config.yaml:1", &format!("leeboard sync shop -n {}", shop.name())]);
    assert_eq!(said.err, "", "in a pipe nothing else is said");

    let said = person.shop("sync", &shop, &[]).await;
    said.is(0, &["applied ConfigMap/settings", "✓ shop is applied and healthy", "(2 applied)"]);
    assert_eq!(shop.field("deployment/web", "{.status.readyReplicas}").await.unwrap(), "2");
    person.shop("diff", &shop, &[]).await.is(0, &["2 in sync"]);
    person.shop("sync", &shop, &[]).await.is(0, &["✓ shop is in sync (2 objects)"]);

    shop.kubectl(["set", "image", "deployment/web", "main=registry.example/web:9"]).await.unwrap();
    person.write("config.yaml", &SETTINGS.replace("hello", "good day"));
    let said = person.shop("diff", &shop, &[]).await;
    said.is(1, &["Deployment/web", "~ changed in the cluster by kubectl-set", "will be put back", "rolls 2 pods"]);
    said.is(
        1,
        &[
            "~ changed in the directory",
            "-  greeting: hello",
            "+  greeting: good day",
            "-      - image: registry.example/web:9",
        ],
    );
    person.shop("sync", &shop, &[]).await.is(0, &["(2 applied)"]);
    assert_eq!(shop.field("configmap/settings", "{.data.greeting}").await.unwrap(), "good day");
}

#[tokio::test]
async fn results_are_for_programs_too() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    let kubeconfig = cluster.kubeconfig();
    let reached = ["--kubeconfig", kubeconfig.to_str().unwrap(), "--context", "leeboard-sandbox"];

    let said = person.shop("diff", &shop, &[&reached[..], &["-o", "json", "-U", "0"]].concat()).await;
    let value = said.is(1, &[]).json();
    assert_eq!((&value["differs"], &value["counts"]["apply"]), (&json!(true), &json!(1)));
    assert_eq!(value["steps"][0]["object"]["name"], "settings");
    assert_eq!(value["steps"][0]["action"], "create");
    let said = person.shop("diff", &shop, &["-o", "yaml"]).await;
    said.is(1, &["differs: true", "name: settings"]);
    person.shop("diff", &shop, &["--context", "nowhere"]).await.is(2, &["no cluster to ask", "--kubeconfig"]);

    person.shop("sync", &shop, &reached).await.is(0, &[]);
    person.write("config.yaml", &SETTINGS.replace("hello", "x"));
    let value = person.shop("diff", &shop, &["-o", "json", "--unified", "0"]).await.json();
    assert_eq!(value["steps"][0]["diff"], "@@ -3 +3 @@\n-  greeting: hello\n+  greeting: x\n");

    let coloured = person.shop("diff", &shop, &["--color", "always"]).await;
    coloured.is(1, &["\u{1b}[31m-  greeting"]);
    person.shop("diff", &shop, &[]).await.says_nothing_of("\u{1b}[");
}

#[tokio::test]
async fn waves_go_one_after_another() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    let wave = |number: i32| format!("argocd.argoproj.io/sync-wave: \"{number}\"");
    person.write("migrate.yaml", &job("migrate", "argocd.argoproj.io/hook: PreSync", ""));
    person.write("db.yaml", &deployment("db", &wave(1), "leeboard.test/delay: 1500ms"));
    person.write("web.yaml", &deployment("web", &wave(2), ""));
    let said = person.shop("diff", &shop, &[]).await;
    said.is(1, &["PreSync  Job/migrate", "runs before the roll-out", "wave  1", "wave  2"]);
    let said = person.shop("sync", &shop, &[]).await;
    said.is(0, &["waiting for Deployment/db", "applied and healthy"]);
    let at = |words: &str| said.err.find(words).unwrap_or_else(|| panic!("{words}\n{said}"));
    assert!(at("started Job/migrate") < at("applied Deployment/db"), "{said}");
    assert!(at("waiting for Deployment/db") < at("applied Deployment/web"), "{said}");
}

#[tokio::test]
async fn a_failure_names_its_cause_and_what_was_not_tried() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("migrate.yaml", &job("migrate", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: fail"));
    person.write("web.yaml", &deployment("web", "", ""));
    let said = person.shop("sync", &shop, &[]).await;
    said.is(1, &["✗ shop failed", "migrate", "not tried: Deployment/web"]);
    assert!(shop.object("deployment/web").await.is_err());

    person.remove("migrate.yaml");
    person.write("bad.yaml", &SETTINGS.replace("{greeting: hello}", "{greeting: 1}"));
    let said = person.shop("sync", &shop, &[]).await;
    said.is(1, &["✗ shop failed", "ConfigMap", "shop/bad.yaml:1"]);
    shop.object("deployment/web").await.expect("the others of the wave are tried");
    person.shop("diff", &shop, &[]).await.is(2, &["the API server would refuse it"]);
}

#[tokio::test]
async fn patience_ends() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("web.yaml", &deployment("web", "", "leeboard.test/outcome: stuck"));
    let started = Instant::now();
    let said = person.shop("sync", &shop, &["--timeout", "2s"]).await;
    said.is(1, &["✗ shop is applied, but not healthy", "Deployment/web"]);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    person.shop("sync", &shop, &["--timeout", "soon"]).await.is(2, &["a duration such as"]);

    // Between waves, too.
    person.write(
        "later.yaml",
        &SETTINGS.replace("name: settings", "name: settings, annotations: {argocd.argoproj.io/sync-wave: \"1\"}"),
    );
    let said = person.shop("sync", &shop, &["--timeout", "2s"]).await;
    said.is(1, &["out of time, waiting for Deployment/web", "not tried: ConfigMap/settings"]);
}

#[tokio::test]
async fn only_the_plan_that_was_shown_is_executed() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    let plan = person.shop("diff", &shop, &["-o", "json"]).await.json()["plan"].as_str().unwrap().to_owned();
    person.write("config.yaml", &SETTINGS.replace("hello", "good day"));
    let said = person.shop("sync", &shop, &["--plan", &plan[..12]]).await;
    said.is(1, &["no longer", "leeboard diff"]);
    assert!(shop.object("configmap/settings").await.is_err());
    person.write("config.yaml", SETTINGS);
    person.shop("sync", &shop, &["--plan", &plan[..12]]).await.is(0, &[]);
}

#[tokio::test]
async fn names_namespaces_and_subdirectories() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    person.write("below/more.yaml", &settings("more"));
    person.shop("diff", &shop, &[]).await.is(1, &["1 to apply"]);
    person.shop("diff", &shop, &["-R"]).await.is(1, &["2 to apply"]);
    person.shop("sync", &shop, &["--recursive", "--name", "front"]).await.is(0, &["front is applied"]);
    shop.object("configmap/leeboard-front").await.unwrap();
    // Under another name they are another's, and nothing of the first is touched.
    let said = person.shop("sync", &shop, &["--name", "back", "--prune"]).await;
    said.is(1, &["Shared resource found", "--take-over"]);
    person.shop("sync", &shop, &["--name", "back", "--prune", "--take-over"]).await.is(0, &[]);
    shop.object("configmap/more").await.unwrap();
    person.shop("sync", &shop, &["--name", "Not_A_Name"]).await.is(1, &["cannot name", "--name"]);

    let fresh = format!("{}-fresh", shop.name());
    let said = person.runs(&["sync", "shop", "-n", &fresh]).await;
    said.is(1, &["namespace", &fresh, "next: the same with `--create-namespace`"]);
    let said = person.runs(&["diff", "shop", "-n", &fresh, "--create-namespace"]).await;
    said.is(1, &["Namespace/", "the destination namespace"]);
    person.runs(&["sync", "shop", "-n", &fresh, "--create-namespace"]).await.is(0, &[]);
    person.runs(&["diff", "shop", "-n", &fresh, "--create-namespace"]).await.is(0, &["1 in sync"]);
    cluster.kubectl(["delete", "namespace", &fresh, "--wait=false"]).await.unwrap();
}

#[tokio::test]
async fn a_watched_directory_is_applied_at_each_change() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("kustomization.yaml", "resources: [../base]\n");
    fs::create_dir_all(person.folder.path().join("base")).unwrap();
    let base = person.folder.path().join("base");
    fs::write(base.join("kustomization.yaml"), "resources: [config.yaml]\n").unwrap();
    fs::write(base.join("config.yaml"), SETTINGS).unwrap();
    fs::create_dir_all(person.folder.path().join(".git")).unwrap();
    let mut command = person.command(&["sync", "shop", "-n", shop.name(), "--watch"]);
    let log = person.folder.path().join("log");
    command.stderr(fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let greets = async |expected: &str| {
        eventually(&format!("the greeting is {expected}"), SOON, async || {
            let found = shop.field("configmap/settings", "{.data.greeting}").await?;
            if found == expected { Ok(()) } else { Err(format!("{found}\n{}", fs::read_to_string(&log).unwrap())) }
        })
        .await;
    };
    greets("hello").await;
    let watches = async |times: usize| {
        eventually("it watches", SOON, async || {
            let said = fs::read_to_string(&log).unwrap();
            if said.matches("watching shop").count() >= times { Ok(()) } else { Err(said) }
        })
        .await;
    };
    watches(1).await;
    fs::write(base.join("config.yaml"), SETTINGS.replace("hello", "good day")).unwrap();
    greets("good day").await;
    watches(2).await;
    fs::write(base.join("config.yaml"), "{").unwrap();
    eventually("the mistake is told", SOON, async || {
        let said = fs::read_to_string(&log).unwrap();
        if said.contains("config.yaml") { Ok(()) } else { Err(said) }
    })
    .await;
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    fs::write(base.join("config.yaml"), SETTINGS.replace("hello", "good night")).unwrap();
    greets("good night").await;
    child.kill().await.unwrap();
    person.shop("sync", &shop, &["--watch", "--dry-run"]).await.is(2, &["--watch"]);
}

#[tokio::test]
async fn without_our_kinds_directories_still_work() {
    let cluster = Cluster::start(leeboard::sandbox::Options::default()).await;
    let (person, shop) = (Person::of(&cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    person.runs(&["diff", "storefront"]).await.is(2, &["does not know Applications", "leeboard crds"]);
    person.runs(&["sync", "storefront"]).await.is(1, &["does not know Applications", "leeboard crds"]);
    person.shop("sync", &shop, &[]).await.is(0, &["applied and healthy"]);
    // A definition and an object of it in one directory: nothing can be asked of the object before.
    person.write(
        "crd.yaml",
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
",
    );
    person.write("widget.yaml", "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: one}\nspec: {size: 3}\n");
    person.shop("diff", &shop, &[]).await.is(1, &["2 to apply", "Widget/one", "+  size: 3"]);
    person.shop("sync", &shop, &[]).await.is(0, &["2 applied"]);
    person.shop("diff", &shop, &[]).await.is(0, &["3 in sync"]);
}
