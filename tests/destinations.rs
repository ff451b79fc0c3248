//! One daemon, several clusters: Argo CD's cluster Secrets say where they are, and who we are there.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use base64::Engine as _;
use harness::manifests::SETTINGS;
use harness::{A_WHILE, Cluster, Namespace, SOON, World, eventually};
use leeboard::sandbox::Options;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The other cluster of this test binary.
async fn second() -> &'static Cluster {
    static SECOND: OnceCell<Cluster> = OnceCell::const_new();
    SECOND.get_or_init(|| Cluster::start(Options::default())).await
}

/// A token for `cluster`, of a service account that may do all there.
async fn token(cluster: &Cluster) -> String {
    let _made_before = cluster.kubectl(["create", "serviceaccount", "leeboard", "--namespace=default"]).await;
    let binding = ["create", "clusterrolebinding", "leeboard", "--clusterrole=cluster-admin"];
    let subject = ["--serviceaccount=default:leeboard"];
    let _made_before = cluster.kubectl(binding.into_iter().chain(subject)).await;
    let token = cluster.kubectl(["create", "token", "leeboard", "--namespace=default"]).await.unwrap();
    token.trim().to_owned()
}

/// The authority of a cluster, as the Secret has it.
fn authority(cluster: &Cluster) -> String {
    let kubeconfig = kube::config::Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let entry = kubeconfig.clusters[0].cluster.clone().unwrap();
    entry.certificate_authority_data.unwrap_or_else(|| {
        let pem = std::fs::read(entry.certificate_authority.unwrap()).unwrap();
        base64::engine::general_purpose::STANDARD.encode(pem)
    })
}

/// Writes the Secret `cluster-second`, which calls that cluster `second`.
async fn describe(world: &World, cluster: &Cluster, config: &Value) {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "cluster-second", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
        "stringData": {
            "name": "second",
            "server": cluster.control_plane().server_url(),
            "config": config.to_string(),
        },
    });
    world.control.apply(&secret.to_string()).await;
}

fn access(cluster: &Cluster, token: &str) -> Value {
    json!({"bearerToken": token, "tlsClientConfig": {"caData": authority(cluster)}})
}

async fn greeting(there: &Namespace<'_>, expected: &str, world: &World) {
    eventually(&format!("the greeting is {expected}"), SOON, async || {
        let found = there.field("configmap/settings", "{.data.greeting}").await;
        if found.as_deref() == Ok(expected) { Ok(()) } else { Err(format!("{found:?}\n{}", world.tail())) }
    })
    .await;
}

#[tokio::test]
async fn an_application_goes_to_another_cluster_by_name() {
    let (world, second) = tokio::join!(World::new(), second());
    let there = second.namespace("there").await;
    let destination = |cluster: &str| json!({"destination": {"name": cluster, "namespace": there.name()}});
    let first = world.repo.commit("main", &[("app/config.yaml", SETTINGS)]);

    world.application("remote", "app", &destination("second")).await;
    world.complains("remote", "InvalidSpecError", "destination cluster `second` is not known").await;

    // The Secret is all that was missing.
    let token = token(second).await;
    describe(&world, second, &access(second, &token)).await;
    world.synced("remote", &first).await;
    greeting(&there, "hello", &world).await;

    // Drift there is seen by a watch there.
    there.kubectl(["delete", "configmap", "settings"]).await.unwrap();
    greeting(&there, "hello", &world).await;
    let patch = r#"{"data":{"greeting":"boo"}}"#;
    there.kubectl(["patch", "configmap", "settings", "--type=merge", "-p", patch]).await.unwrap();
    greeting(&there, "hello", &world).await;
    let pushed = world.repo.commit("main", &[("app/config.yaml", &SETTINGS.replace("hello", "good day"))]);
    greeting(&there, "good day", &world).await;
    world.synced("remote", &pushed).await;

    // Without the Secret nothing is done there any more, and nothing is taken away.
    world.control.kubectl(["delete", "secret", "cluster-second"]).await.unwrap();
    world.complains("remote", "InvalidSpecError", "destination cluster `second` is not known").await;
    world.repo.remove("main", &["app/config.yaml"]);
    tokio::time::sleep(A_WHILE).await;
    greeting(&there, "good day", &world).await;

    let log = world.daemon.log();
    assert!(!log.contains(&token), "credentials are nobody's business");
    let status = world.status("remote").await.unwrap().to_string();
    assert!(!status.contains(&token));
}

#[tokio::test]
async fn what_a_secret_cannot_mean_is_said() {
    let (world, second) = tokio::join!(World::new(), second());
    world.repo.commit("main", &[("app/config.yaml", SETTINGS)]);
    let server = second.control_plane().server_url();
    world.application("remote", "app", &json!({"destination": {"name": null, "server": server}})).await;
    describe(&world, second, &json!({"execProviderConfig": {"command": "/bin/true"}})).await;
    world.complains("remote", "InvalidSpecError", "`execProviderConfig` would run a program").await;
    describe(&world, second, &json!({"bearerToken": "hunter2"})).await;
    // Its authority is not known: a clear condition, and no token for a server that proves nothing.
    world.complains("remote", "ComparisonError", "the destination cluster: cannot reach the API server: ").await;
    world.complains("remote", "ComparisonError", "certificate").await;
    // Who goes elsewhere does not wait for it.
    let head = world.repo.head("main");
    world.application("local", "app", &json!({})).await;
    world.synced("local", &head).await;
    assert!(!world.daemon.log().contains("hunter2"));
}

#[tokio::test]
async fn the_same_object_on_two_clusters_is_two_objects() {
    let (world, second) = tokio::join!(World::new(), second());
    let there = second.existing_namespace(world.shop.name());
    second.kubectl(["create", "namespace", there.name()]).await.unwrap();
    describe(&world, second, &access(second, &token(second).await)).await;
    let head = world.repo.commit("main", &[("app/config.yaml", SETTINGS)]);
    world.application("here", "app", &json!({})).await;
    let destination = json!({"name": null, "server": second.control_plane().server_url()});
    world.application("there", "app", &json!({"destination": destination})).await;
    for application in ["here", "there"] {
        let status = world.synced(application, &head).await;
        assert_eq!(status["conditions"], Value::Null, "nobody shares anything");
    }
    greeting(&there, "hello", &world).await;
    greeting(&world.shop, "hello", &world).await;
}

#[tokio::test]
async fn a_project_may_call_a_cluster_by_either_name() {
    let (world, second) = tokio::join!(World::new(), second());
    let there = second.namespace("there").await;
    describe(&world, second, &access(second, &token(second).await)).await;
    let project = |name: &str, destination: Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": name},
            "spec": {"sourceRepos": ["*"], "destinations": [destination]},
        })
        .to_string()
    };
    let server = second.control_plane().server_url();
    world.control.apply(&project("by-server", json!({"server": server, "namespace": there.name()}))).await;
    world.control.apply(&project("elsewhere", json!({"name": "third", "namespace": "*"}))).await;
    let head = world.repo.commit("main", &[("app/config.yaml", SETTINGS)]);
    let spec =
        |project: &str| json!({"project": project, "destination": {"name": "second", "namespace": there.name()}});
    world.application("denied", "app", &spec("elsewhere")).await;
    world.complains("denied", "InvalidSpecError", "do not match any of the allowed destinations").await;
    world.application("allowed", "app", &spec("by-server")).await;
    world.synced("allowed", &head).await;
    greeting(&there, "hello", &world).await;
}

#[tokio::test]
async fn an_environment_leads_to_another_cluster() {
    let (world, second) = tokio::join!(World::new(), second());
    let there = second.namespace("there").await;
    describe(&world, second, &access(second, &token(second).await)).await;
    let head = world.repo.commit("env/far", &[("clusters/far/settings/config.yaml", SETTINGS)]);
    let environment = json!({
        "apiVersion": "leeboard.dev/v1alpha1",
        "kind": "Environment",
        "metadata": {"name": "far"},
        "spec": {
            "repoURL": world.repo.url(),
            "branch": "env/far",
            "path": "clusters/far",
            "destination": {"name": "second", "namespace": there.name()},
        },
    });
    world.control.apply(&environment.to_string()).await;
    // Its Applications are the control plane's, what they deploy is the other cluster's.
    world.synced("far", &head).await;
    world.synced("far-settings", &head).await;
    greeting(&there, "hello", &world).await;
}
