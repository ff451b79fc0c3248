//! A failed version is taken back by a pull request on a real forge: one, also after a crash, and none where people have
//! closed it.

use http::Method;
use leeboard::sandbox::Options;
use serde_json::{Value, json};

use crate::harness::{Cluster, Daemon, DaemonOptions, Namespace, eventually, install_crds_anew};
use crate::manifests::deployment;
use crate::sink::{Measured, Sink};
use crate::stage::A_RUN;
use crate::world::{Shop, World};

/// A repository on the forge, the cluster that follows it, and who looks after both.
struct Asked {
    shop: Shop<'static>,
    control: Namespace<'static>,
    target: Namespace<'static>,
    daemon: Daemon,
    sink: Sink,
}

/// One failure of a version, with all that can go wrong on the way to its pull request.
pub async fn asked() {
    let mut asked = Asked::start().await;
    asked.phase("Initialized").await;
    asked.sink.measures(asked.target.name(), Measured::Percent(50.0));
    let bad = asked.shop.commit("app/web.yaml", &deployment("web:2").to_string());
    asked.shop.push(&asked.shop.world.jane, "acme/asked", "main").unwrap();
    let pull = asked.pull().await;
    let branch = format!("leeboard/revert-{}", &bad[..7]);
    assert_eq!((&pull["head"]["ref"], &pull["base"]["ref"]), (&json!(branch), &json!("main")));
    assert_eq!(pull["title"], format!("Take back {}: canary {}/web failed", &bad[..7], asked.target.name()));
    assert!(pull["body"].as_str().unwrap().contains("rate 50"), "{pull}");
    let name = format!("pull request #{} ({})", pull["number"], pull["html_url"].as_str().unwrap());
    asked.noted(&format!("{bad} {name}")).await;
    asked.told(&format!("{name} asks to take it back")).await;
    let events = asked.target.kubectl(["get", "events", "--output=json"]).await.unwrap();
    assert!(events.contains(&format!("{name} asks to take back commit {} on main", &bad[..7])), "{events}");

    // Killed before it was noted: it is found.
    asked.daemon.kill();
    let gone = json!({"metadata": {"annotations": {"canary.leeboard.dev/revert": null}}}).to_string();
    asked.target.kubectl(["patch", "canary", "web", "--type=merge", "--patch", &gone]).await.unwrap();
    asked.daemon.restart().await;
    asked.noted(&format!("{bad} {name}")).await;
    assert_eq!(asked.pulls("all").await.len(), 1);

    // Closed by people: that is their word on it, also after a restart.
    let path = format!("pulls/{}", pull["number"]);
    asked.shop.ask(&asked.shop.world.jane, Method::PATCH, &path, json!({"state": "closed"})).await;
    asked.daemon.kill();
    asked.daemon.restart().await;
    asked.daemon.ready().await;
    asked.told(&format!("{name} asks to take it back")).await;
    assert_eq!(asked.pulls("all").await.len(), 1);

    asked.shop.ask(&asked.shop.world.jane, Method::PATCH, &path, json!({"state": "open"})).await;
    eventually("it is merged", A_RUN, async || {
        let (world, path) = (asked.shop.world, format!("{}/{path}/merge", asked.shop.path()));
        world.gitea.ask(&world.jane, Method::POST, &path, Some(json!({"Do": "merge"}))).await
    })
    .await;
    asked.phase("Succeeded").await;
    let primary = asked.target.object("deployment/web-primary").await.unwrap();
    assert_eq!(primary.pointer("/spec/template/spec/containers/0/image"), Some(&json!("web:1")));
}

impl Asked {
    async fn start() -> Asked {
        // Of this test alone: its daemon is killed.
        let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(Options::default()).await));
        install_crds_anew(cluster).await;
        let (world, sink) = tokio::join!(World::shared(), Sink::start());
        let shop = world.shop("asked").await;
        let (control, target) = tokio::join!(cluster.namespace("control"), cluster.namespace("target"));
        shop.commit("app/web.yaml", &deployment("web:1").to_string());
        shop.commit("app/canary.yaml", &canary(&sink.url(target.name())).to_string());
        shop.push(&world.jane, "acme/asked", "main").unwrap();
        let secret = |name: &str, label: [&str; 2], data: Value| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "stringData": data,
                "metadata": {"name": name, "namespace": control.name(), "labels": {label[0]: label[1]}},
            })
        };
        let (bot, url) = (&world.bot, shop.url().to_string());
        let git = json!({"type": "git", "url": url, "username": bot.login, "password": bot.token});
        let forge = json!({"url": world.gitea.url(), "type": "gitea", "token": bot.token});
        let environment = json!({
            "apiVersion": "leeboard.dev/v1alpha1", "kind": "Environment",
            "metadata": {"name": "dev", "namespace": control.name()},
            "spec": {
                "repoURL": url, "branch": "main", "path": "app", "interval": "10s",
                "destination": {"name": "in-cluster", "namespace": target.name()},
                "canary": {"rollback": "pr"}, "previews": {"enabled": false},
            },
        });
        for object in [
            secret("repository", ["argocd.argoproj.io/secret-type", "repository"], git),
            secret("forge", ["leeboard.dev/secret-type", "forge"], forge),
            environment,
        ] {
            cluster.apply(&object.to_string(), [""; 0]).await;
        }
        let daemon = Daemon::start(cluster, control.name(), DaemonOptions::default()).await;
        Asked { shop, control, target, daemon, sink }
    }

    async fn canary(&self) -> Result<Value, String> {
        self.target.object("canary.flagger.app/web").await.map_err(|error| format!("{error}\n{}", self.daemon.log()))
    }

    async fn phase(&self, expected: &str) {
        eventually(&format!("phase {expected}"), A_RUN, async || {
            let phase = self.canary().await?["status"]["phase"].clone();
            if phase == expected { Ok(()) } else { Err(format!("{phase}\n{}", self.daemon.log())) }
        })
        .await;
    }

    /// Waits until the Canary has it written down.
    async fn noted(&self, expected: &str) {
        eventually("the pull request is noted", A_RUN, async || {
            let noted = self.canary().await?["metadata"]["annotations"]["canary.leeboard.dev/revert"].clone();
            if noted == expected { Ok(()) } else { Err(format!("{noted}\n{}", self.daemon.log())) }
        })
        .await;
    }

    /// Waits until the environment's condition says it.
    async fn told(&self, expected: &str) {
        eventually("the condition names it", A_RUN, async || {
            let status = self.control.object("environment.leeboard.dev/dev").await?["status"].clone();
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let says = |condition: &Value| condition["message"].as_str().is_some_and(|text| text.contains(expected));
            if conditions.iter().any(says) { Ok(()) } else { Err(format!("{status}\n{}", self.daemon.log())) }
        })
        .await;
    }

    async fn pulls(&self, state: &str) -> Vec<Value> {
        let path = format!("pulls?state={state}");
        let pulls = self.shop.ask(&self.shop.world.bot, Method::GET, &path, Value::Null).await;
        pulls.as_array().cloned().unwrap_or_default()
    }

    /// Waits until there is one.
    async fn pull(&self) -> Value {
        eventually("a pull request", A_RUN, async || {
            let pulls = self.pulls("open").await;
            pulls.into_iter().next().ok_or_else(|| self.daemon.log())
        })
        .await
    }
}

fn canary(metrics: &str) -> Value {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "web"},
        "spec": {
            "provider": "kubernetes", "metricsServer": metrics,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "service": {"port": 80, "targetPort": 8080},
            "analysis": {
                "interval": "10s", "threshold": 1, "iterations": 1,
                "metrics": [{"name": "rate", "interval": "1m", "thresholdRange": {"min": 99}, "query": "rate"}],
            },
        },
    })
}
