//! What the risks of a change are judged by, beside the change itself: as a real API server tells it.

use std::time::Duration;

use serde_json::json;

use super::stage::{Stage, web};
use crate::harness::{Cluster, eventually};

/// A Deployment with a word that no schema has.
fn odd(replicas: u32) -> String {
    web("web:1", replicas).replace("      - name: web\n", "      - name: web\n        imagePullPolicies: Always\n")
}

fn claim(size: &str, class: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data}}\nspec:\n  accessModes: [ReadWriteOnce]\n  \
         storageClassName: {class}\n  resources: {{requests: {{storage: {size}}}}}\n"
    )
}

fn definition(group: &str) -> String {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("foos.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"plural": "foos", "singular": "foo", "kind": "Foo"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_may_do_is_judged_by_what_the_cluster_knows() {
    let cluster = Cluster::shared().await;
    let own = cluster.namespace("facts").await;
    let (class, space, group) =
        (format!("{}-kept", own.name()), format!("{}-space", own.name()), format!("{}.example", own.name()));
    let settings = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: {space}}}\n");
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {space}}}\n");
    let lasting = format!("{namespace}---\n{}\n---\n{}", definition(&group), claim("1Gi", &class));
    let storage = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": class},
        "provisioner": "example.com/none", "reclaimPolicy": "Retain",
    });
    cluster.apply(&storage.to_string(), [""; 0]).await;
    let files = [("web.yaml", web("web:1", 2)), ("lasting.yaml", lasting.clone()), ("settings.yaml", settings)];
    let stage = Stage::start_with("facts", ".", &files.map(|(path, text)| (path.to_owned(), text))).await;
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}},
    });
    stage.target.apply(&quota.to_string()).await;
    let instances: String =
        (0..12).map(|at| format!("---\napiVersion: {group}/v1\nkind: Foo\nmetadata: {{name: foo-{at}}}\n")).collect();
    eventually("the kind is served", Duration::from_secs(30), async || {
        let known = cluster.kubectl(["get", &format!("foos.{group}"), "--all-namespaces"]).await;
        known.map(drop)
    })
    .await;
    stage.target.apply(&instances).await;

    let larger = lasting.replace("1Gi", "2Gi");
    let unserved = "---\napiVersion: nowhere.example/v1\nkind: Bar\nmetadata: {name: bar}\n";
    stage.branch("much", &[("lasting.yaml", &larger), ("web.yaml", &format!("{}{unserved}", odd(5)))]);
    let pull = stage.open("much").await;
    let comment = stage.comment(pull, |body| body.contains("Read this first")).await;
    let (body, target) = (comment["body"].as_str().unwrap(), stage.target.name());
    let said = [
        // rule, what the comment says
        ("R17", format!("exceeds ResourceQuota `{target}/few`: `5` of `pods`, `3` allowed")),
        (
            "R19",
            format!(
                "PersistentVolumeClaim `{target}/data` from `1Gi` to `2Gi`, which the API server refuses: its class"
            ),
        ),
        ("R24", format!("Bar `{target}/bar`: the cluster does not serve `nowhere.example/v1` (`web.yaml:18:1`)")),
        ("R25", format!("Deployment `{target}/web` has fields that no schema has, and that have no effect: `.spec.")),
    ];
    for (rule, said) in said {
        assert!(body.contains(&said), "{rule}: {said}\n{body}");
    }
    stage.close(pull).await;

    let gone = stage.removal("gone", "lasting.yaml").await;
    let comment = stage.comment(gone, |body| body.contains("Read this first")).await;
    let body = comment["body"].as_str().unwrap();
    let said = [
        (
            "R1",
            format!(
                "deletes PersistentVolumeClaim `{target}/data` (`1Gi`, not bound; reclaim policy Retain: the volume stays)"
            ),
        ),
        (
            "R2",
            format!(
                "deletes Namespace `{space}` with everything in it: `1 × ConfigMap`, and whatever else lives there"
            ),
        ),
        ("R3", format!("deletes CustomResourceDefinition `foos.{group}`: its 12 instances go with it")),
    ];
    for (rule, said) in said {
        assert!(body.contains(&said), "{rule}: {said}\n{body}");
    }
    stage.close(gone).await;
    what_leads_elsewhere_or_in_a_circle_is_refused(&stage).await;
    // Namespaces and definitions are the cluster's: they do not go with the test's own.
    cluster.kubectl(["delete", "crd", &format!("foos.{group}"), "--wait=false"]).await.unwrap();
}

async fn what_leads_elsewhere_or_in_a_circle_is_refused(stage: &Stage) {
    let any = json!([{"server": "*", "namespace": "*"}]);
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "default", "namespace": stage.control.name()},
        "spec": {
            "sourceRepos": [stage.repository()], "destinations": any,
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    });
    stage.control.apply(&project.to_string()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}/acme/secret.git//base?ref=main", listener.local_addr().unwrap());
    let base = format!("resources: [web.yaml, '{elsewhere}']\n");
    let remote = stage.pull("remote", "kustomization.yaml", &base).await;
    stage.comment(remote, |body| body.contains("which is not among the `sourceRepos` of project `default`")).await;
    stage.status(remote, "failure").await;
    let connection = tokio::time::timeout(Duration::from_millis(10), listener.accept()).await;
    assert!(connection.is_err(), "nobody has asked there");

    stage.branch(
        "circle",
        &[("kustomization.yaml", "resources: [a]\n"), ("a/kustomization.yaml", "resources: [../]\n")],
    );
    let circle = stage.open("circle").await;
    let comment = stage.comment(circle, |body| body.contains("does not render")).await;
    assert!(comment["body"].as_str().unwrap().contains("leads back to a directory that is being built"), "{comment}");
    stage.status(circle, "failure").await;
}
