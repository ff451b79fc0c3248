//! Daemons and forges that are away for a while: nothing is lost, and nothing is done twice.

use http::Method;
use leeboard::sandbox::Signal;
use serde_json::{Value, json};

use crate::harness::{Daemon, DaemonOptions, eventually};
use crate::stage::{A_WHILE, Pipeline};

impl Pipeline {
    /// How many commits of an environment's branch have the trailer of its promotion of a commit.
    fn times_written(&self, environment: &str, commit: &str) -> usize {
        self.fetch();
        let trailer = format!("--grep=Leeboard-Change: {commit}");
        let found = self.git(&["log", "--format=%H", &trailer, &format!("there/env/{environment}")]);
        found.lines().filter(|line| !line.is_empty()).count()
    }

    /// The forge is found at this address from now on; git stays where it is.
    async fn forge_at(&self, url: &str) {
        let patch = json!({"stringData": {"url": url}}).to_string();
        self.control.kubectl(["patch", "secret", "forge", "--type=merge", "--patch", &patch]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_has_lost_its_lease_writes_nothing() {
    let policy = json!({"from": [{"environment": "dev"}], "auto": true, "gates": [{"approval": {}}]});
    let mut pipeline = Pipeline::start(&[("dev", Value::Null), ("prod", policy)]).await;
    let other = Daemon::start(pipeline.cluster, pipeline.control.name(), DaemonOptions::default()).await;
    let first = pipeline.push("dev", "one");
    pipeline.until("prod", &first, "waits for people", |one| !one["status"]["plan"].is_null()).await;

    // The leader stands still between the gate and the push, and another one takes its place.
    pipeline.daemon.signal(Signal::Stop);
    let before = pipeline.promotions("prod").await[0]["status"]["plan"]["hash"].clone();
    pipeline
        .until("prod", &first, "is planned by the other one, which has a key of its own", |one| {
            one["status"]["plan"]["hash"] != before
        })
        .await;
    let (code, _, error) = pipeline.leeboard(&["approve", "prod"]).await;
    assert_eq!(code, Some(0), "{error}");
    pipeline.reaches("prod", &first, "Succeeded").await;
    assert!(other.log().contains("This daemon leads"), "{}", other.log());
    pipeline.daemon.signal(Signal::Cont);

    let second = pipeline.push("dev", "two");
    pipeline.until("prod", &second, "waits for people", |one| !one["status"]["plan"].is_null()).await;
    let (code, _, error) = pipeline.leeboard(&["approve", "prod"]).await;
    assert_eq!(code, Some(0), "{error}");
    pipeline.reaches("prod", &second, "Succeeded").await;
    for commit in [first, second] {
        assert_eq!(pipeline.times_written("prod", &commit), 1, "{commit}");
    }
    assert!(!pipeline.daemon.log().contains("\"phase\":\"Writing\""), "{}", pipeline.daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_does_not_answer_is_asked_again_in_each_state() {
    let policy = json!({"from": [{"environment": "dev"}], "auto": true, "write": {"mode": "pullRequest"}});
    let pipeline = Pipeline::on_forge("away", &[("dev", Value::Null), ("prod", policy)]).await;
    let shop = pipeline.shop();
    let pulls = async || {
        let all = shop.ask(&shop.world.jane, Method::GET, "pulls?state=all", Value::Null).await;
        all.as_array().unwrap().len()
    };

    // Before there is a pull request.
    pipeline.forge_at("http://127.0.0.1:9").await;
    let commit = pipeline.push("dev", "one");
    let away = pipeline.until("prod", &commit, "says that nobody answers", |one| {
        one["status"]["phase"] == "PullRequest"
            && one["status"]["message"].as_str().is_some_and(|text| text.contains("127.0.0.1:9"))
    });
    away.await;
    assert_eq!(pulls().await, 0);
    pipeline.forge_at(&shop.world.gitea.url()).await;
    let number = pipeline.asked(&commit).await;

    // While it is merged.
    pipeline.forge_at("http://127.0.0.1:9").await;
    let path = format!("{}/pulls/{number}/merge", shop.path());
    eventually("it is merged", A_WHILE, async || {
        shop.world.gitea.ask(&shop.world.jane, Method::POST, &path, Some(json!({"Do": "merge"}))).await
    })
    .await;
    pipeline.reaches("prod", &commit, "Succeeded").await;
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "one");
    pipeline.forge_at(&shop.world.gitea.url()).await;
    let second = pipeline.push("dev", "two");
    pipeline.asked(&second).await;
    assert_eq!(pulls().await, 2);
    assert_eq!(pipeline.times_written("prod", &commit), 1);
}
