//! The shop in `clusters/` and `apps/` is what kustomize renders and Kubernetes takes, before Leeboard has a say.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

mod harness;

use harness::{Cluster, SOON, eventually};

const ENVIRONMENTS: [&str; 3] = ["dev", "int", "prod"];

#[tokio::test]
async fn every_application_becomes_ready_in_every_environment() {
    let cluster = Cluster::shared().await;
    for environment in ENVIRONMENTS {
        for application in applications(cluster, environment).await {
            let path = application.pointer("/spec/source/path").and_then(Value::as_str).unwrap();
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
            let applied = cluster.kubectl(["apply", "--server-side", "-k", &directory.to_string_lossy()]).await;
            applied.unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        for namespace in [format!("shop-{environment}"), format!("payments-{environment}")] {
            eventually(&format!("all of {namespace} is ready"), SOON, async || {
                let all =
                    ["get", "deployments,statefulsets,jobs,ingresses,pods", "-o", "json", "--namespace", &namespace];
                let list: Value =
                    serde_json::from_str(&cluster.kubectl(all).await?).map_err(|error| error.to_string())?;
                let objects = list["items"].as_array().into_iter().flatten();
                let unready: Vec<String> = objects.filter(|object| !is_ready(object)).map(name).collect();
                if unready.is_empty() { Ok(()) } else { Err(unready.join(", ")) }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn every_application_has_a_project_that_allows_its_namespaces() {
    let cluster = Cluster::shared().await;
    for environment in ENVIRONMENTS {
        let objects = render(cluster, &format!("clusters/{environment}")).await;
        let applications = applications(cluster, environment).await;
        assert_eq!(applications.len(), 7, "{environment}");
        for application in applications {
            let named = |object: &&Value| {
                object["kind"] == "AppProject" && object["metadata"]["name"] == application["spec"]["project"]
            };
            let project = objects.iter().find(named).unwrap_or_else(|| panic!("no project for {}", name(&application)));
            assert_eq!(project["spec"]["sourceRepos"][0], application["spec"]["source"]["repoURL"]);
            let destinations = project["spec"]["destinations"].as_array().into_iter().flatten();
            let allowed: BTreeSet<&str> =
                destinations.filter_map(|destination| destination["namespace"].as_str()).collect();

            let path = application.pointer("/spec/source/path").and_then(Value::as_str).unwrap();
            for object in render(cluster, path).await {
                let namespace = match object["kind"].as_str() {
                    Some("Namespace") => &object["metadata"]["name"],
                    _ => &object["metadata"]["namespace"],
                };
                assert!(allowed.contains(namespace.as_str().unwrap()), "{path}: {} in {namespace}", name(&object));
            }
        }
    }
}

/// The Applications of a cluster directory, in the order of their waves.
async fn applications(cluster: &Cluster, environment: &str) -> Vec<Value> {
    let mut objects = render(cluster, &format!("clusters/{environment}")).await;
    objects.retain(|object| object["kind"] == "Application");
    objects.sort_by_key(|object| {
        let wave = object.pointer("/metadata/annotations/argocd.argoproj.io~1sync-wave").and_then(Value::as_str);
        wave.map_or(0, |wave| wave.parse::<i32>().unwrap())
    });
    objects
}

/// What kustomize makes of a directory of this repository.
async fn render(cluster: &Cluster, path: &str) -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = cluster.kubectl(["kustomize", &directory.to_string_lossy()]).await;
    let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_yaml::from_multiple(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn is_ready(object: &Value) -> bool {
    let status = &object["status"];
    match object["kind"].as_str() {
        Some("Job") => status["succeeded"] == 1,
        Some("Ingress") => status["loadBalancer"]["ingress"].is_array(),
        Some("Pod") => status["phase"] == "Running" || status["phase"] == "Succeeded",
        _ => status["readyReplicas"] == object["spec"]["replicas"],
    }
}

fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}
