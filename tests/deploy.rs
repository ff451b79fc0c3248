//! The installation in `deploy/` is rendered by Leeboard itself, accepted by a real API server, runs under the strictest
//! pod security, and has the rights that it says: enough for all that the daemon does, and no others.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::{Path, PathBuf};

use serde_json::json;

mod harness;

use harness::{Cluster, Daemon, DaemonOptions, Repo, SOON, World, eventually, leeboard};

#[tokio::test]
async fn leeboard_renders_this_repository_as_kustomize_does() {
    let cluster = Cluster::shared().await;
    let mut directories =
        ["deploy", "tests/fixtures/deploy-restricted", "tests/fixtures/deploy-grafana"].map(str::to_owned).to_vec();
    for parent in ["clusters", "apps/api/overlays", "apps/database/overlays", "apps/monitoring/overlays"]
        .into_iter()
        .chain(["apps/payments/overlays", "apps/platform/overlays", "apps/web/overlays", "apps/worker/overlays"])
    {
        directories.extend(["dev", "int", "prod"].map(|environment| format!("{parent}/{environment}")));
    }
    for path in directories {
        let directory = root().join(&path).display().to_string();
        let expected = cluster.kubectl(["kustomize", &directory]).await.unwrap();
        // kubectl brings kustomize 5.8.1, whose `includeTemplates` labels volume claims too. They can't be changed later,
        // so 5.8.2, which is what Leeboard prints, has an option of its own for them.
        let claims = "  volumeClaimTemplates:\n  - metadata:\n";
        let labels = "      labels:\n        app.kubernetes.io/part-of: shop\n";
        let expected = expected.replace(&format!("{claims}{labels}"), claims);
        // Nor does it know that these are not namespaced.
        let expected = ["", "-restricted"].iter().fold(expected, |text, suffix| {
            let policy = format!("  name: leeboard-promotions{suffix}\n");
            text.replace(&format!("{policy}  namespace: leeboard{suffix}\n"), &policy)
        });
        let rendered = build(&path).await;
        assert_eq!(rendered, expected, "{path}");
    }
}

#[tokio::test]
async fn its_rights_are_enough_for_an_environment_of_the_shop() {
    let world = installed("leeboard", "deploy", "shop-dev").await;
    let url = world.repo.url();
    let cluster_directory = |name: &str| {
        let text = std::fs::read_to_string(root().join("clusters/dev").join(name)).unwrap();
        text.replace("https://git.example.com/shop.git", &url)
    };
    let files = ["kustomization.yaml", "projects.yaml", "applications.yaml"];
    let texts = files.map(|name| (format!("clusters/dev/{name}"), cluster_directory(name)));
    let files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    world.repo.commit_tree("env/dev", &root().join("apps"), "apps");
    let first = world.repo.commit("env/dev", &files);
    world.environment().await;
    let applications = ["platform", "database", "api", "worker", "payments", "web", "monitoring"];
    for application in applications {
        world.synced(&format!("dev-{application}"), &first).await;
    }
    ready(&world, &first).await;
    let migrated = world.status("dev-api").await.unwrap()["operationState"]["syncResult"]["resources"].to_string();
    assert!(migrated.contains("PreSync"), "a hook has run: {migrated}");

    // A push that drops an object and an Application: prune deletes both.
    let kustomization = std::fs::read_to_string(root().join("apps/web/base/kustomization.yaml")).unwrap();
    let fewer_objects = kustomization.replace("- disruption.yaml\n", "");
    assert_ne!(kustomization, fewer_objects);
    let (fewer_applications, _) = texts[2].1.rsplit_once("---\n").unwrap();
    let dropped = [("apps/web/base/kustomization.yaml", &*fewer_objects), (files[2].0, fewer_applications)];
    let second = world.repo.commit("env/dev", &dropped);
    world.gone("poddisruptionbudget/web").await;
    world.synced("dev-web", &second).await;
    // Kubernetes' garbage collector learns of new kinds every 30 s only, and deletes in the foreground no sooner.
    eventually("the Application is pruned", 2 * SOON, async || match world.status("dev-monitoring").await {
        Ok(_) => Err("still there".to_owned()),
        Err(error) if error.contains("NotFound") => Ok(()),
        Err(error) => Err(error),
    })
    .await;

    // Drift is seen and repaired.
    world.shop.kubectl(["delete", "service", "web"]).await.unwrap();
    world.there("service/web").await;

    // An Application that takes its objects with it.
    let finalizer = r#"{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io"]}}"#;
    let application = "application.argoproj.io/dev-worker";
    world.control.kubectl(["patch", application, "--type=merge", "-p", finalizer]).await.unwrap();
    let is_kept = |text: &&str| !text.contains("name: dev-worker\n");
    let rest: Vec<&str> = fewer_applications.split("---\n").filter(is_kept).collect();
    world.repo.commit("env/dev", &[(files[2].0, &rest.join("---\n"))]);
    world.gone("deployment/worker").await;

    eventually("the lease is held", SOON, async || {
        let holder = world.control.field("lease/leeboard", "{.spec.holderIdentity}").await?;
        if holder.is_empty() { Err("nobody holds it") } else { Ok(()) }.map_err(str::to_owned)
    })
    .await;
    eventually("Events tell of it", SOON, async || {
        let events = world.control.kubectl(["get", "events", "-o", "jsonpath={.items[*].involvedObject.kind}"]).await?;
        if events.contains("Application") { Ok(()) } else { Err(events) }
    })
    .await;
    nothing_was_forbidden(&world).await;
}

#[tokio::test]
async fn narrower_rights_are_enough_for_workloads_and_nothing_else() {
    let world = installed("leeboard-restricted", "tests/fixtures/deploy-restricted", "workloads").await;
    let first = world.repo.commit("main", &[("app/all.yaml", WORKLOADS), ("app/extra.yaml", EXTRA)]);
    world.application("workloads", "app", &json!({"syncPolicy": {"syncOptions": ["CreateNamespace=true"]}})).await;
    world.synced("workloads", &first).await;
    let second = world.repo.remove("main", &["app/extra.yaml"]);
    world.gone("configmap/extra").await;
    world.synced("workloads", &second).await;
    world.shop.kubectl(["delete", "deployment", "web"]).await.unwrap();
    world.there("deployment/web").await;
    nothing_was_forbidden(&world).await;

    world.repo.commit("main", &[("app/role.yaml", ROLE), ("app/extra.yaml", EXTRA)]);
    world
        .until("workloads", "refused in the API server's words", |status| {
            let operation = status["operationState"].to_string();
            operation.contains("roles.rbac.authorization.k8s.io") && operation.contains("forbidden")
        })
        .await;
    // What is allowed is applied all the same, and nothing is taken away.
    world.there("configmap/extra").await;
    world.there("deployment/web").await;
}

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
        ("patch", "applications.argoproj.io", "OWN", "yes", "yes"),
        ("delete", "applications.argoproj.io", "OWN", "yes", "yes"),
        ("patch", "environments.leeboard.dev/status", "OWN", "yes", "yes"),
        ("create", "promotions.leeboard.dev", "OWN", "yes", "yes"),
        ("speak-for", "promotions.leeboard.dev", "OWN", "yes", "yes"),
        ("patch", "promotions.leeboard.dev/status", "OWN", "yes", "yes"),
        ("list", "secrets", "OWN", "yes", "yes"),
        ("watch", "configmaps", "OWN", "yes", "yes"),
        ("create", "leases.coordination.k8s.io", "OWN", "yes", "yes"),
        ("update", "leases.coordination.k8s.io/leeboard", "OWN", "yes", "yes"),
        ("update", "leases.coordination.k8s.io/another", "OWN", "yes", "no"),
        ("delete", "leases.coordination.k8s.io/leeboard", "OWN", "yes", "no"),
        ("create", "events", "OWN", "yes", "yes"),
        ("create", "events", "shop", "yes", "yes"),
        ("patch", "canaries.flagger.app/status", "shop", "yes", "yes"),
        ("patch", "applications.argoproj.io", "shop", "yes", "no"),
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
        ("impersonate", "users", "", "no", "no"),
        ("impersonate", "groups", "", "no", "no"),
        ("impersonate", "serviceaccounts", "shop", "no", "no"),
        ("deletecollection", "deployments.apps", "shop", "no", "no"),
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

const WORKLOADS: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {argocd.argoproj.io/hook: PreSync}}
spec:
  backoffLimit: 0
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: registry.example/migrate}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {user: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {serviceAccountName: web, containers: [{name: main, image: registry.example/web}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: 0 3 * * *
  jobTemplate:
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: main, image: registry.example/nightly}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {}, policyTypes: [Ingress]}
";

const EXTRA: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n";

const ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]
";

/// The installation of a directory, its daemon under its own service account, and an empty repository.
async fn installed(namespace: &'static str, path: &str, destination: &'static str) -> World {
    let cluster = Cluster::shared().await;
    install(cluster, path).await;
    // Nothing else than this: the rights are the service account's, decided by the API server's RBAC authoriser.
    let token = cluster.kubectl(["create", "token", namespace, "--namespace", namespace]).await.unwrap();
    let kubeconfig = cluster.control_plane().kubeconfig_for(namespace, token.trim()).unwrap();
    let options = DaemonOptions { kubeconfig: Some(kubeconfig), ..DaemonOptions::default() };
    let daemon = Daemon::start(cluster, namespace, options).await;
    daemon.ready().await;
    let (control, shop) = (cluster.existing_namespace(namespace), cluster.existing_namespace(destination));
    World { cluster, control, shop, repo: Repo::new(), daemon }
}

async fn ready(world: &World, commit: &str) {
    eventually("the environment says that it is ready", SOON, async || {
        let ready = world.control.field("environment/dev", "{.status.conditions[0].status} {.status.commit}").await?;
        if ready == format!("True {commit}") { Ok(()) } else { Err(ready) }
    })
    .await;
}

async fn nothing_was_forbidden(world: &World) {
    let log = world.daemon.log();
    let refused: Vec<&str> = log.lines().filter(|line| line.to_ascii_lowercase().contains("forbidden")).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    let (_, metrics) = world.daemon.get("/metrics").await.unwrap();
    let refused: Vec<&str> = metrics.lines().filter(|line| line.contains("code=\"403\"")).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(metrics.contains("code=\"200\""), "requests are counted: {metrics}");
}

/// Applies what Leeboard itself renders of a directory of this repository.
async fn install(cluster: &Cluster, path: &str) {
    cluster.apply(&build(path).await, [""; 0]).await;
    let wait = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=20s"];
    cluster.kubectl(wait).await.unwrap();
}

async fn build(path: &str) -> String {
    let (code, rendered, error) = leeboard(&["build", &root().join(path).display().to_string()], &[]).await;
    assert_eq!(code, Some(0), "{path}: {error}");
    rendered
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
