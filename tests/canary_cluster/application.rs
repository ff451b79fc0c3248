//! The Application that syncs a scene from git, and what is told of its syncs.

use serde_json::Value;

use crate::harness::{Repo, eventually, manifests};
use crate::stage::{A_RUN, Scene};

/// An Application of the folder `app`.
pub struct Application<'a> {
    scene: &'a Scene,
    name: String,
}

impl<'a> Application<'a> {
    /// Syncs a scene from now on.
    pub async fn of(scene: &'a Scene, repo: &Repo) -> Application<'a> {
        let name = format!("app-{}", scene.namespace);
        let control = scene.stage.control.name();
        let manifest = manifests::application(control, &name, &repo.url(), "app", &scene.namespace);
        scene.stage.cluster.apply(&manifest.to_string(), [""; 0]).await;
        Application { scene, name }
    }

    /// Waits until its status is so.
    pub async fn status(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(what, A_RUN, async || {
            let control = &self.scene.stage.control;
            let status = control.object(&format!("application.argoproj.io/{}", self.name)).await?["status"].clone();
            if is_so(&status) { Ok(status) } else { Err(status.to_string()) }
        })
        .await
    }

    /// Waits until the sync of a commit has ended; what is told of it.
    pub async fn ended(&self, commit: &str) -> Value {
        let is_over = |operation: &Value| {
            let has_ended = ["Succeeded", "Failed"].iter().any(|phase| operation["phase"] == *phase);
            has_ended && operation["syncResult"]["revision"] == commit
        };
        let status = self.status("the sync has ended", |status| is_over(&status["operationState"])).await;
        status["operationState"].clone()
    }

    /// Waits until the sync of a commit has failed; in which words.
    pub async fn failed(&self, commit: &str) -> String {
        let is_so = |status: &Value| {
            let operation = &status["operationState"];
            operation["phase"] == "Failed" && operation["syncResult"]["revision"] == commit
        };
        let status = self.status("the sync fails", is_so).await;
        status["operationState"]["message"].as_str().unwrap().to_owned()
    }

    /// Waits until nothing differs from git, and all is well.
    pub async fn healthy(&self, what: &str) {
        let is_so = |status: &Value| status["sync"]["status"] == "Synced" && status["health"]["status"] == "Healthy";
        self.status(what, is_so).await;
    }
}
