//! The installation in `deploy/` is accepted by a real API server, runs under the strictest pod security, and has the
//! rights that it says.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::PathBuf;

mod harness;

use harness::{Cluster, SOON, eventually};

#[tokio::test]
async fn it_is_accepted_and_runs_under_restricted_pod_security() {
    let cluster = Cluster::shared().await;
    install(cluster, "deploy").await;
    eventually("the deployment is available", SOON, async || {
        let status = ["get", "deployment", "leeboard", "-n", "leeboard", "-o", "jsonpath={.status.availableReplicas}"];
        match cluster.kubectl(status).await?.as_str() {
            "1" => Ok(()),
            replicas => Err(format!("{replicas:?} available")),
        }
    })
    .await;
}

#[tokio::test]
async fn its_rights_are_those_that_are_written_down() {
    let cluster = Cluster::shared().await;
    install(cluster, "deploy").await;
    install(cluster, "tests/fixtures/deploy-restricted").await;
    let cases = [
        // verb      resource                                        namespace    by default, restricted
        ("watch", "applications.argoproj.io", "OWN", "yes", "yes"),
        ("create", "applications.argoproj.io", "OWN", "yes", "yes"),
        ("patch", "applications.argoproj.io/status", "OWN", "yes", "yes"),
        ("patch", "environments.leeboard.dev/status", "OWN", "yes", "yes"),
        ("list", "secrets", "OWN", "yes", "yes"),
        ("create", "leases.coordination.k8s.io", "OWN", "yes", "yes"),
        ("update", "leases.coordination.k8s.io/leeboard", "OWN", "yes", "yes"),
        ("create", "events", "OWN", "yes", "yes"),
        ("watch", "deployments.apps", "shop", "yes", "yes"),
        ("patch", "deployments.apps", "shop", "yes", "yes"),
        ("delete", "deployments.apps", "shop", "yes", "yes"),
        ("create", "jobs.batch", "shop", "yes", "yes"),
        ("create", "namespaces", "", "yes", "yes"),
        ("delete", "namespaces", "", "yes", "no"),
        ("create", "pods/exec", "shop", "yes", "no"),
        ("patch", "clusterroles.rbac.authorization.k8s.io", "", "yes", "no"),
        ("escalate", "clusterroles.rbac.authorization.k8s.io", "", "yes", "no"),
        ("create", "rolebindings.rbac.authorization.k8s.io", "shop", "yes", "no"),
        ("create", "customresourcedefinitions.apiextensions.k8s.io", "", "yes", "no"),
        ("impersonate", "users", "", "yes", "no"),
    ];
    for (own, column) in [("leeboard", 0), ("leeboard-restricted", 1)] {
        let user = format!("system:serviceaccount:{own}:{own}");
        for (verb, resource, namespace, default, restricted) in cases {
            let namespace = if namespace == "OWN" { own } else { namespace };
            let mut question = vec!["auth", "can-i", "--as", &user, verb];
            // `leases/leeboard` is an object, `applications/status` a part of each.
            let (kind, part) = resource.split_once('/').unwrap_or((resource, ""));
            let subresource = format!("--subresource={part}");
            match part {
                "" => question.push(kind),
                "status" | "exec" => question.extend([kind, &subresource]),
                _ => question.push(resource),
            }
            if !namespace.is_empty() {
                question.extend(["-n", namespace]);
            }
            // "no" is an exit code of 1, with nothing said on standard error but warnings.
            let answer = if cluster.kubectl(question).await.is_ok() { "yes" } else { "no" };
            assert_eq!(answer, [default, restricted][column], "{own}: {verb} {resource} in {namespace:?}");
        }
    }
}

/// Applies a directory of this repository, as `kubectl apply -k` does.
async fn install(cluster: &Cluster, path: &str) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let applied = cluster.kubectl(["apply", "--server-side", "-k", &directory.to_string_lossy()]).await;
    applied.unwrap_or_else(|error| panic!("{path}: {error}"));
}
