//! Applications and environments: listed, compared, synced.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Person;
use crate::harness::manifests::{SETTINGS, application, job, settings};
use crate::harness::{Cluster, SOON, World, eventually, install_crds};

#[tokio::test]
async fn what_can_not_be_reached_or_is_not_there_is_explained() {
    let cluster = Cluster::shared().await;
    install_crds(cluster).await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    let application = application(shop.name(), "storefront", "file:///nowhere.git", ".", shop.name());
    shop.apply(&application.to_string()).await;
    for command in ["diff", "sync"] {
        let code = if command == "diff" { 2 } else { 1 };
        let said = person.runs(&[command, "storefrnt", "-n", shop.name()]).await;
        said.is(code, &["there is no application and no directory `storefrnt`", "Did you mean `storefront`?"]);
        person.runs(&[command, "./nowhere"]).await.is(code, &["cannot read the directory"]);
        let kubeconfig = unreachable(person.folder.path());
        let started = Instant::now();
        let said = person.runs(&[command, "storefront", "--kubeconfig", &kubeconfig]).await;
        said.is(code, &["cannot reach the cluster at", "--context"]);
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
    person.runs(&["diff", "storefront", "-n", shop.name()]).await.is(2, &["nowhere.git"]);
    person.runs(&["diff"]).await.is(2, &["Usage"]);
}

/// A kubeconfig of a port at which nobody listens.
fn unreachable(folder: &Path) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{{name: x, context: {{cluster: x, user: x}}}}]\nusers: [{{name: x, user: {{}}}}]\nclusters: [{{name: x, cluster: {{server: \"https://127.0.0.1:{port}\"}}}}]\n"
    );
    let path = folder.join("unreachable");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_application_is_compared_and_synced() {
    let world = World::new().await;
    let person = Person::of(world.cluster);
    world.repo.commit("main", &[("app/config.yaml", SETTINGS)]);
    world.application("web", "app", &json!({"syncPolicy": null})).await;
    world.until("web", "looked at", |status| status["sync"]["status"] == "OutOfSync").await;
    let control = world.control.name();

    let said = person.runs(&["diff", "web", "-n", control]).await;
    said.is(
        1,
        &["main ", "\"A change\"", "1 to apply", "+  greeting: hello", "app/config.yaml:1", "leeboard sync web -n"],
    );
    let said = person.runs(&["sync", "web", "-n", control, "--dry-run"]).await;
    said.is(0, &["nothing was changed"]);
    assert!(world.shop.object("configmap/settings").await.is_err());
    let said = person.runs(&["sync", &format!("{control}/web")]).await;
    said.is(0, &["ConfigMap/settings synced", "✓ web is at", "1 synced"]);
    person.runs(&["diff", "web", "-n", control]).await.is(0, &["1 in sync"]);
    let state = world.status("web").await.unwrap()["operationState"].clone();
    assert_eq!(state["operation"]["initiatedBy"]["username"], "tess");

    // Another revision, then one without an object.
    world.repo.commit(
        "next",
        &[("app/config.yaml", &SETTINGS.replace("hello", "good day")), ("app/more.yaml", &settings("more"))],
    );
    let said = person.runs(&["diff", "web", "-n", control, "--revision", "next"]).await;
    said.is(1, &["next ", "+  greeting: good day", "2 to apply"]);
    let said = person.runs(&["sync", "web", "-n", control, "--revision", "next"]).await;
    said.is(0, &["2 synced"]);
    world.field("configmap/settings", "{.data.greeting}", "good day").await;
    person.runs(&["diff", "web", "-n", control, "--revision", "nowhere"]).await.is(2, &["nowhere"]);
    person.runs(&["sync", "web", "-n", control]).await.is(0, &["stays: ignored (requires pruning)"]);
    person.runs(&["diff", "web", "-n", control, "--prune"]).await.is(1, &["1 to prune", "no longer in git"]);
    person.runs(&["sync", "web", "-n", control, "--prune"]).await.is(0, &["1 pruned"]);
    world.gone("configmap/more").await;

    // Refused by the API server.
    world.repo.commit("main", &[("app/config.yaml", &SETTINGS.replace("{greeting: hello}", "{greeting: 1}"))]);
    person.runs(&["diff", "web", "-n", control]).await.is(2, &["the API server would refuse it"]);
    let head = world.repo.head("main");
    let said = person.runs(&["sync", "web", "-n", control, "--revision", &head]).await;
    said.is(1, &["✗ web failed", "ConfigMap/settings", "leeboard get web --tree"]);

    // An object of an application is not a directory's.
    person.write("config.yaml", SETTINGS);
    let said = person.runs(&["sync", "./shop", "-n", world.shop.name()]).await;
    said.is(1, &["Shared resource found", "--take-over"]);
}

#[tokio::test]
async fn an_operation_under_way_is_not_disturbed() {
    let world = World::new().await;
    let person = Person::of(world.cluster);
    let hook = job("slow", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: stuck");
    world.repo.commit("main", &[("app/config.yaml", SETTINGS), ("app/slow.yaml", &hook)]);
    world.application("web", "app", &json!({"syncPolicy": null})).await;
    world.until("web", "looked at", |status| status["sync"]["status"] == "OutOfSync").await;
    let said = person.runs(&["sync", "web", "-n", world.control.name(), "--timeout", "2s"]).await;
    said.is(1, &["not ended after 2.0 s", "completion of hook"]);
    let said = person.runs(&["sync", "web", "-n", world.control.name()]).await;
    said.is(1, &["another operation is already in progress", "leeboard get web"]);
}

#[tokio::test]
async fn environments_and_applications_are_listed() {
    let world = World::new().await;
    let person = Person::of(world.cluster);
    let control = world.control.name();
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "web"},
        "spec": {"project": "default", "source": {"repoURL": world.repo.url(), "path": "apps/web", "targetRevision": "env/dev"},
                 "destination": {"name": "in-cluster", "namespace": world.shop.name()}, "syncPolicy": {"automated": {}}},
    });
    let head = world
        .repo
        .commit("env/dev", &[("clusters/dev/web.yaml", &application.to_string()), ("apps/web/config.yaml", SETTINGS)]);
    world.environment().await;
    world.synced("web", &head).await;
    let short = &head[..7];
    let get = async |more: &[&str]| person.runs(&[&["get", "-n", control], more].concat()).await;
    eventually("the environment is synced", SOON, async || {
        let said = get(&[]).await;
        if said.out.contains("healthy") && said.out.matches("synced").count() == 2 { Ok(()) } else { Err(said) }
    })
    .await;
    get(&[]).await.is(0, &["ENVIRONMENT", "WAITS FOR", "dev", short, "APPLICATION", "web"]);
    get(&["-o", "wide"]).await.is(0, &["SOURCE", &world.repo.url()]);
    get(&["dev", "--tree"]).await.is(0, &["✓ dev", "└─ ✓ web"]).says_nothing_of("ConfigMap/settings");
    get(&["web", "--tree", "--all"]).await.is(0, &["ConfigMap/settings"]);
    let value = get(&["-o", "json"]).await.json();
    assert_eq!(value["environments"][0]["commit"], head.as_str());
    get(&["-o", "yaml"]).await.is(0, &["environments:"]);
    get(&["wbe"]).await.is(1, &["there is no environment and no application `wbe`", "Did you mean `web`?"]);
    get(&["dve", "--tree"]).await.is(1, &["Did you mean `dev`?"]);
    let kubeconfig = world.cluster.kubeconfig();
    let reached = ["--kubeconfig", kubeconfig.to_str().unwrap(), "--context", "leeboard-sandbox"];
    get(&reached).await.is(0, &["web"]);
}
