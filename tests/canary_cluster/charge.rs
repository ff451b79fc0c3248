//! One daemon of a cluster acts on its canaries, and none beside a running Flagger; the others' syncs wait for them and
//! leave them their fields all the same.

use leeboard::sandbox::Options;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::harness::{Cluster, Daemon, DaemonOptions, Namespace, Repo, eventually, install_crds_anew, manifests};
use crate::manifests::deployment;
use crate::stage::A_RUN;

/// Of two daemons; the first has the application, and begins beside a Flagger.
pub async fn one_of_two() {
    let cluster = Cluster::start(Options::default()).await;
    install_crds_anew(&cluster).await;
    let (mine, other) = tokio::join!(cluster.namespace("mine"), cluster.namespace("other"));
    let (shop, foreign) = tokio::join!(cluster.namespace("shop"), cluster.namespace("flagger"));
    let mut flagger = deployment("flagger:1");
    flagger["metadata"] = json!({
        "name": "canary-operator", "namespace": foreign.name(), "labels": {"app.kubernetes.io/name": "flagger"},
    });
    cluster.apply(&flagger.to_string(), [""; 0]).await;
    until(&foreign, "deployment/canary-operator", "/status/readyReplicas", &json!(2)).await;

    let repo = Repo::new();
    repo.commit("main", &[("app/web.yaml", &deployment("web:1").to_string()), ("app/canary.yaml", &canary())]);
    let mut first = Daemon::start(&cluster, mine.name(), DaemonOptions::default()).await;
    first.ready().await;
    let application = manifests::application(mine.name(), "shop", &repo.url(), "app", shop.name());
    cluster.apply(&application.to_string(), [""; 0]).await;
    let whose = format!("Flagger acts on them: Deployment {}/canary-operator. Scale it to 0", foreign.name());
    says(&first, &whose).await;
    until(&shop, "deployment/web", "/status/readyReplicas", &json!(2)).await;
    sleep(Duration::from_secs(2)).await;
    let untouched = shop.object("canary.flagger.app/web").await.unwrap();
    assert_eq!(
        (untouched.get("status"), untouched["metadata"].get("annotations").is_some_and(acted_on)),
        (None, false)
    );

    let adopt = DaemonOptions { arguments: vec!["--adopt".into()], ..DaemonOptions::default() };
    let mut second = Daemon::start(&cluster, other.name(), adopt).await;
    says(&second, "This daemon acts on canaries").await;
    until(&shop, "canary.flagger.app/web", "/status/phase", &json!("Initialized")).await;
    until(&shop, "deployment/web", "/spec/replicas", &json!(0)).await;
    foreign.kubectl(["scale", "deployment/canary-operator", "--replicas=0"]).await.unwrap();
    says(&first, "Another daemon acts on canaries; waiting for its lease").await;

    let image = "/spec/template/spec/containers/0/image";
    let head = repo.commit("main", &[("app/web.yaml", &deployment("web:2").to_string())]);
    succeeded(&mine, &head).await;
    let primary = shop.object("deployment/web-primary").await.unwrap();
    assert_eq!(primary.pointer(image), Some(&json!("web:2")), "the sync did not wait for the canary");
    until(&shop, "deployment/web", "/spec/replicas", &json!(0)).await;

    assert_eq!(second.stop(Duration::from_secs(5)), Some(0));
    says(&first, "This daemon acts on canaries").await;
    let head = repo.commit("main", &[("app/web.yaml", &deployment("web:3").to_string())]);
    succeeded(&mine, &head).await;
    until(&shop, "deployment/web-primary", image, &json!("web:3")).await;

    // A Flagger that comes later has them again.
    foreign.kubectl(["scale", "deployment/canary-operator", "--replicas=1"]).await.unwrap();
    eventually("it is told on Flagger", A_RUN, async || {
        let events = foreign.kubectl(["get", "events", "--output=json"]).await?;
        if events.contains("Leeboard leaves canaries to it") { Ok(()) } else { Err(events) }
    })
    .await;
    repo.commit("main", &[("app/web.yaml", &deployment("web:4").to_string())]);
    until(&shop, "deployment/web", image, &json!("web:4")).await;
    sleep(Duration::from_secs(3)).await;
    let target = shop.object("deployment/web").await.unwrap();
    assert_eq!(target["spec"]["replicas"], 0, "it was scaled up beside a Flagger");
    foreign.kubectl(["scale", "deployment/canary-operator", "--replicas=0"]).await.unwrap();
    until(&shop, "deployment/web-primary", image, &json!("web:4")).await;
    first.stop(Duration::from_secs(5));
}

fn canary() -> String {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "web"},
        "spec": {
            "provider": "kubernetes", "skipAnalysis": true,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "service": {"port": 80, "targetPort": 8080},
            "analysis": {"interval": "10s", "threshold": 1, "iterations": 1},
        },
    })
    .to_string()
}

fn acted_on(annotations: &Value) -> bool {
    annotations.get("canary.leeboard.dev/run").is_some()
}

async fn says(daemon: &Daemon, text: &str) {
    eventually(text, A_RUN, async || {
        let log = daemon.log();
        if log.contains(text) { Ok(()) } else { Err(log) }
    })
    .await;
}

async fn until(namespace: &Namespace<'_>, object: &str, path: &str, expected: &Value) {
    eventually(&format!("{object} has {expected} at {path}"), A_RUN, async || {
        let body = namespace.object(object).await?;
        if body.pointer(path) == Some(expected) { Ok(()) } else { Err(body.to_string()) }
    })
    .await;
}

async fn succeeded(control: &Namespace<'_>, commit: &str) {
    eventually("the commit is synced", A_RUN, async || {
        let status = control.object("application.argoproj.io/shop").await?["status"].clone();
        let operation = &status["operationState"];
        let is_done = operation["phase"] == "Succeeded" && operation["syncResult"]["revision"] == commit;
        if is_done { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}
