//! A second cluster, which is reached through a proxy: what is asked of it, what is said while it does not answer, and what
//! moves there.

use serde_json::json;

use super::stage::{Stage, web};
use crate::harness::{Cluster, Proxy};

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: moving}\ndata: {a: '1'}\n";

/// An Application of the repository, in git.
fn application(stage: &Stage, cluster: &str) -> String {
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "mover", "namespace": stage.control.name()},
        "spec": {
            "project": "default",
            "source": {"repoURL": stage.repository(), "targetRevision": "main", "path": "mover"},
            "destination": {"name": cluster, "namespace": stage.target.name()},
            "syncPolicy": {"automated": {}},
        },
    });
    format!("{application}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_is_asked_for_what_changes_and_for_nothing_else() {
    let file = "clusters/far/web.yaml";
    let files =
        [("clusters/dev/web.yaml", web("web:1", 2)), (file, web("far:1", 2)), ("mover/config.yaml", CONFIG.to_owned())];
    let stage = Stage::start_with("far", "clusters/dev", &files.map(|(path, text)| (path.to_owned(), text))).await;
    let proxy = Proxy::start(Cluster::shared().await).await;
    let there = stage.second("far", &proxy, "clusters/far").await;

    let pull = stage.pull("update", file, &web("far:2", 2)).await;
    stage.comment(pull, |body| body.contains("far:2")).await;
    stage.status(pull, "success").await;
    // The policies and namespaces of the cluster are known by now, and stay known.
    proxy.seen();
    stage.push("update", file, &web("far:3", 2));
    stage.comment(pull, |body| body.contains("far:3")).await;
    stage.status(pull, "success").await;
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/web", there.name());
    let asked = proxy.seen().into_iter().filter(|seen| !seen.uri.contains("watch=")).map(|seen| {
        let path = seen.uri.split('?').next().unwrap().to_owned();
        (seen.method.to_string(), path, seen.uri.contains("dryRun=All"))
    });
    let asked: Vec<(String, String, bool)> = asked.collect();
    // A look that another one has taken the place of has asked, too.
    assert!(!asked.is_empty());
    for look in asked.chunks(2) {
        assert_eq!(look, [("GET".to_owned(), path.clone(), false), ("PATCH".to_owned(), path.clone(), true)]);
    }

    // Nothing is claimed of a cluster that does not answer.
    proxy.set_gone(true);
    stage.push("update", file, &web("far:4", 0));
    let comment = stage.comment(pull, |body| body.contains("far:4")).await;
    let body = comment["body"].as_str().unwrap();
    assert!(body.contains("cluster far not reachable: comparison with the base branch only"), "{body}");
    assert!(body.contains("scales Deployment") && !body.contains("in the cluster)"), "{body}");
    let status = stage.status(pull, "skipped").await;
    assert!(status["description"].as_str().unwrap().starts_with("cluster far not reachable; "), "{status}");
    proxy.set_gone(false);
    stage.close(pull).await;

    // What moves there is in both rows, and stays behind where it was.
    stage.push("main", "clusters/dev/mover.yaml", &application(&stage, "in-cluster"));
    stage.has("application/mover", "{.status.sync.status}", "Synced").await;
    let moves = stage.pull("move", "clusters/dev/mover.yaml", &application(&stage, "far")).await;
    let comment = stage.comment(moves, |body| body.contains("moves to cluster")).await;
    let body = comment["body"].as_str().unwrap();
    assert!(
        body.contains("mover in in-cluster moves to cluster `far`: 1 object stays here, managed by nobody"),
        "{body}"
    );
    assert!(body.contains("| dev | in-cluster | **mover** (removed) |  |  |  |  |  |"), "{body}");
    // Behind both names is the same API server, which has the object already.
    assert!(body.contains("| dev | far | **mover** |") && body.contains("already so in the cluster"), "{body}");
}
