//! [`World`]: what most tests of the daemon begin with.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Cluster, Daemon, DaemonOptions, Namespace, Repo, SOON, eventually, manifests};

/// A repository, a daemon with a control-plane namespace of its own, and a namespace for what it deploys.
pub struct World {
    pub cluster: &'static Cluster,
    pub control: Namespace<'static>,
    pub shop: Namespace<'static>,
    pub repo: Repo,
    pub daemon: Daemon,
}

impl World {
    /// A daemon without a single application.
    pub async fn new() -> World {
        World::with(DaemonOptions::default()).await
    }

    /// The same, started with these options.
    pub async fn with(options: DaemonOptions) -> World {
        let cluster = Cluster::shared().await;
        install_crds(cluster).await;
        let (control, shop) = tokio::join!(cluster.namespace("leeboard"), cluster.namespace("shop"));
        let daemon = Daemon::start(cluster, control.name(), options).await;
        daemon.ready().await;
        World { cluster, control, shop, repo: Repo::new(), daemon }
    }

    /// Makes an Application of `path` on `main`, automated with prune and self-heal; `spec` is merged into its spec,
    /// where null removes.
    pub async fn application(&self, name: &str, path: &str, spec: &Value) {
        self.cluster.apply(&self.manifest(name, path, spec).to_string(), [""; 0]).await;
    }

    /// The same, not made yet.
    pub fn manifest(&self, name: &str, path: &str, spec: &Value) -> Value {
        let url = self.repo.url();
        let mut application = manifests::application(self.control.name(), name, &url, path, self.shop.name());
        merge(&mut application["spec"], spec);
        application
    }

    /// Makes the Environment `dev` of `clusters/dev` on the branch `env/dev`.
    pub async fn environment(&self) {
        let environment = json!({
            "apiVersion": "leeboard.dev/v1alpha1",
            "kind": "Environment",
            "metadata": {"name": "dev", "namespace": self.control.name()},
            "spec": {
                "repoURL": self.repo.url(),
                "branch": "env/dev",
                "path": "clusters/dev",
                "destination": {"name": "in-cluster", "namespace": self.shop.name()},
            },
        });
        self.cluster.apply(&environment.to_string(), [""; 0]).await;
    }

    /// The Application's status, as it is now.
    pub async fn status(&self, application: &str) -> Result<Value, String> {
        let object = self.control.object(&format!("application.argoproj.io/{application}")).await?;
        Ok(object["status"].clone())
    }

    /// Waits until the Application is synced to this commit and healthy.
    pub async fn synced(&self, application: &str, commit: &str) -> Value {
        self.until(application, "synced and healthy", |status| {
            status["sync"]["status"] == "Synced"
                && status["sync"]["revision"] == commit
                && status["health"]["status"] == "Healthy"
                && status["operationState"]["phase"] == "Succeeded"
                && status["operationState"]["syncResult"]["revision"] == commit
        })
        .await
    }

    /// Waits until the Application's status is as it should be.
    pub async fn until(&self, application: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("application {application} is {what}"), SOON, async || {
            let status = self.status(application).await?;
            if is_so(&status) { Ok(status) } else { Err(format!("{}\n{}", summary(&status), self.tail())) }
        })
        .await
    }

    /// Waits until a condition of this type says something that holds `text`.
    pub async fn complains(&self, application: &str, kind: &str, text: &str) -> Value {
        self.until(application, &format!("{kind}: {text}"), |status| {
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|c| c["type"] == kind && c["message"].as_str().is_some_and(|m| m.contains(text)))
        })
        .await
    }

    /// Waits until an object of the shop's namespace is there.
    pub async fn there(&self, object: &str) -> Value {
        eventually(&format!("{object} is there"), SOON, async || {
            self.shop.object(object).await.map_err(|error| format!("{error}\n{}", self.tail()))
        })
        .await
    }

    /// Waits until an object of the shop's namespace is gone.
    pub async fn gone(&self, object: &str) {
        eventually(&format!("{object} is gone"), SOON, async || match self.shop.object(object).await {
            Ok(_) => Err(format!("still there\n{}", self.tail())),
            Err(error) if error.contains("NotFound") => Ok(()),
            Err(error) => Err(error),
        })
        .await;
    }

    /// Waits until a field of an object of the shop's namespace has this value.
    pub async fn field(&self, object: &str, path: &str, expected: &str) {
        eventually(&format!("{object} has {path} = {expected}"), SOON, async || {
            let found = self.shop.field(object, path).await?;
            if found == expected { Ok(()) } else { Err(format!("{found}\n{}", self.tail())) }
        })
        .await;
    }

    /// Writes the Application's `operation`, as Argo CD's clients do.
    pub async fn operate(&self, application: &str, sync: &Value) {
        let patch = json!({"operation": {"initiatedBy": {"username": "alice"}, "sync": sync}}).to_string();
        self.control
            .kubectl(["patch", "application.argoproj.io", application, "--type=merge", "-p", &patch])
            .await
            .unwrap();
    }

    /// The last lines of the daemon's log: what a person looks at when a test fails.
    pub fn tail(&self) -> String {
        let log = self.daemon.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

/// Installs the CRDs in the cluster that the tests of a binary share, once.
pub async fn install_crds(cluster: &Cluster) {
    static DONE: OnceCell<()> = OnceCell::const_new();
    DONE.get_or_init(async || install_crds_anew(cluster).await).await;
}

/// Installs the CRDs in a cluster of a test's own.
pub async fn install_crds_anew(cluster: &Cluster) {
    cluster.kubectl(["apply", "--server-side", "-f", "deploy/crds"]).await.unwrap();
    established(cluster).await;
}

/// Waits until the CRDs are served.
pub async fn established(cluster: &Cluster) {
    // kubectl gives up at once on a definition that has no conditions yet.
    eventually("the CRDs are established", SOON, async || {
        cluster.kubectl(["wait", "-f", "deploy/crds", "--for=condition=Established", "--timeout=20s"]).await
    })
    .await;
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn summary(status: &Value) -> String {
    json!({
        "sync": {"status": status["sync"]["status"], "revision": status["sync"]["revision"]},
        "health": status["health"],
        "conditions": status["conditions"],
        "operation": {"phase": status["operationState"]["phase"], "message": status["operationState"]["message"]},
        "resources": status["resources"].as_array().map(|all| all.iter().map(|r| format!("{}/{} {} {}", r["kind"], r["name"], r["status"], r["health"]["status"])).collect::<Vec<_>>()),
    })
    .to_string()
}

/// A namespace that a daemon's log is searched for. Long enough for what a test waits for not to happen.
pub const A_WHILE: Duration = Duration::from_secs(2);
