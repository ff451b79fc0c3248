//! Promotions by pull requests on a real Gitea.

use http::Method;
use serde_json::{Value, json};

use crate::harness::eventually;
use crate::stage::{A_WHILE, Pipeline, shop};

impl Pipeline {
    async fn pull(&self, number: u64) -> Value {
        self.shop().ask(&self.shop().world.jane, Method::GET, &format!("pulls/{number}"), Value::Null).await
    }

    /// The pull request of a promotion that has one.
    pub async fn asked(&self, commit: &str) -> u64 {
        let one = self.until("prod", commit, "has a pull request", |one| {
            one["status"]["phase"] == "PullRequest" && one["status"]["write"]["pullRequest"].is_u64()
        });
        one.await["status"]["write"]["pullRequest"].as_u64().unwrap()
    }

    async fn merge(&self, number: u64, how: &str) {
        let shop = self.shop();
        eventually("it is merged", A_WHILE, async || {
            let path = format!("{}/pulls/{number}/merge", shop.path());
            shop.world.gitea.ask(&shop.world.jane, Method::POST, &path, Some(json!({"Do": how}))).await
        })
        .await;
    }

    /// CI says this of a commit.
    async fn check(&self, commit: &str, state: &str) {
        let (shop, body) = (self.shop(), json!({"context": "ci", "state": state}));
        shop.ask(&shop.world.jane, Method::POST, &format!("statuses/{commit}"), body).await;
    }

    /// Waits until the head of a pull request is told this.
    async fn told(&self, number: u64, state: &str, words: &str) {
        let shop = self.shop();
        eventually(&format!("it is told {state}"), A_WHILE, async || {
            let head = self.pull(number).await["head"]["sha"].as_str().unwrap().to_owned();
            let path = format!("commits/{head}/status");
            let all = shop.ask(&shop.world.jane, Method::GET, &path, Value::Null).await;
            let ours = all["statuses"].as_array().into_iter().flatten();
            let mut ours = ours.filter(|one| one["context"] == "leeboard/promotion");
            let is_so = |one: &Value| one["status"] == state && one["description"].as_str().unwrap().contains(words);
            if ours.any(is_so) { Ok(()) } else { Err(format!("{all}\n{}", self.tail())) }
        })
        .await;
    }

    async fn review(&self, number: u64, event: &str) {
        let (shop, head) = (self.shop(), self.pull(number).await["head"]["sha"].clone());
        let body = json!({"event": event, "body": "I have looked at it", "commit_id": head});
        shop.ask(&shop.world.jane, Method::POST, &format!("pulls/{number}/reviews"), body).await;
    }
}

fn policy(write: &Value, gates: &Value) -> Value {
    json!({"from": [{"environment": "dev"}], "auto": true, "write": write, "gates": gates})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_asks_and_whoever_merges_it_decides() {
    let write = json!({"mode": "pullRequest"});
    let pipeline = Pipeline::on_forge("asks", &[("dev", Value::Null), ("prod", policy(&write, &json!([])))]).await;
    let first = pipeline.push("dev", "one");
    let number = pipeline.asked(&first).await;
    let pull = pipeline.pull(number).await;
    assert_eq!(pull["title"], format!("Promote {} from dev to prod", &first[..7]).as_str());
    assert!(pull["body"].as_str().unwrap().contains("leeboard promotion show prod-"), "{pull}");
    assert_eq!(pull["head"]["ref"], "leeboard/promote/prod");
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "hello");

    // A squash has none of our commits: the forge says what became of it.
    pipeline.merge(number, "squash").await;
    let done = pipeline.reaches("prod", &first, "Succeeded").await;
    assert_eq!(done["status"]["write"]["commit"], pipeline.head("prod").as_str(), "{done}");
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "one");

    // Closing it ends it.
    let second = pipeline.push("dev", "two");
    let other = pipeline.asked(&second).await;
    let shop = pipeline.shop();
    shop.ask(&shop.world.jane, Method::PATCH, &format!("pulls/{other}"), json!({"state": "closed"})).await;
    let ended = pipeline.reaches("prod", &second, "Aborted").await;
    assert_eq!(ended["status"]["message"], "its pull request was closed");

    // And aborting closes it, with a word.
    let third = pipeline.push("dev", "three");
    let number = pipeline.asked(&third).await;
    let (code, _, error) = pipeline.leeboard(&["abort", "prod", "-m", "not today"]).await;
    assert_eq!(code, Some(0), "{error}");
    pipeline.reaches("prod", &third, "Aborted").await;
    eventually("the pull request is closed", A_WHILE, async || {
        let pull = pipeline.pull(number).await;
        if pull["state"] == "closed" { Ok(()) } else { Err(pull["state"].to_string()) }
    })
    .await;
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_an_approval_of_what_was_reviewed() {
    let write = json!({"mode": "pullRequest", "autoMerge": true});
    let gates = json!([{"approval": {"notAuthor": false}}]);
    let pipeline = Pipeline::on_forge("reviews", &[("dev", Value::Null), ("prod", policy(&write, &gates))]).await;
    let commit = pipeline.push("dev", "one");
    let number = pipeline.asked(&commit).await;
    pipeline
        .until("prod", &commit, "waits for a review", |one| {
            one["status"]["message"] == format!("pull request #{number}: approval: waits for 1 approval").as_str()
        })
        .await;

    // The branch moves meanwhile: the pull request is brought up to date.
    let before = pipeline.pull(number).await["head"]["sha"].clone();
    let own = pipeline.write("env/prod", "NOTES.md", "ours\n");
    eventually("its branch stands on the new head", A_WHILE, async || {
        let pull = pipeline.pull(number).await;
        if pull["head"]["sha"] == before { Err(pipeline.tail()) } else { Ok(()) }
    })
    .await;
    pipeline.review(number, "APPROVED").await;
    let done = pipeline.reaches("prod", &commit, "Succeeded").await;
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "one");
    let approval = &done["status"]["gates"].as_array().unwrap().iter().find(|gate| gate["name"] == "approval").unwrap();
    assert_eq!(approval["message"], "approved by jane", "{done}");
    pipeline.fetch();
    let history = pipeline.git(&["log", "--format=%H", "there/env/prod"]);
    assert!(history.contains(&own) && history.contains(&commit), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_branch_is_asked_by_a_pull_request_and_foreign_commits_stay() {
    let write = json!({"mode": "merge", "fallback": "pullRequest"});
    let pipeline = Pipeline::on_forge("guarded", &[("dev", Value::Null), ("prod", policy(&write, &json!([])))]).await;
    let shop = pipeline.shop();
    let rule = json!({"rule_name": "env/prod", "enable_push": false});
    shop.ask(&shop.world.bot, Method::POST, "branch_protections", rule).await;
    let commit = pipeline.push("dev", "one");
    let number = pipeline.asked(&commit).await;
    let one = pipeline.until("prod", &commit, "has its reason on record", |one| {
        let steps = one["status"]["steps"].as_array().cloned().unwrap_or_default();
        steps
            .iter()
            .any(|step| step["why"].as_str().is_some_and(|why| why.starts_with("the branch may not be pushed to: ")))
    });
    one.await;
    // Somebody mends something on its branch.
    let before = pipeline.promotions("prod").await[0]["status"]["plan"]["hash"].clone();
    let theirs = pipeline.write("leeboard/promote/prod", "apps/shop/shop.yaml", &shop_text());
    pipeline
        .until("prod", &commit, "is planned anew", |one| {
            one["status"]["plan"]["hash"] != before
                && one["status"]["message"].as_str().is_some_and(|text| text.contains("waits for a merge"))
        })
        .await;
    pipeline.merge(number, "merge").await;
    pipeline.reaches("prod", &commit, "Succeeded").await;
    pipeline.deployed("prod", "mended").await;
    pipeline.fetch();
    assert!(pipeline.git(&["log", "--format=%H", "there/env/prod"]).contains(&theirs));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_says_whether_a_pull_request_may_be_merged() {
    let write = json!({"mode": "pullRequest"});
    let gates = json!([{"checks": {"names": ["ci"]}}]);
    let pipeline = Pipeline::on_forge("judged", &[("dev", Value::Null), ("prod", policy(&write, &gates))]).await;
    let commit = pipeline.push("dev", "one");
    pipeline.check(&commit, "success").await;
    let number = pipeline.asked(&commit).await;
    pipeline.told(number, "success", "all gates have passed").await;

    // What turns red says so, and nothing is merged; what turns green again goes on.
    pipeline.check(&commit, "failure").await;
    pipeline.told(number, "failure", "checks: `ci` is red").await;
    pipeline
        .until("prod", &commit, "waits with its pull request open", |one| {
            one["status"]["phase"] == "PullRequest"
                && one["status"]["message"].as_str().unwrap().starts_with(&format!("pull request #{number}: checks: "))
        })
        .await;
    assert_eq!(pipeline.pull(number).await["state"], "open");
    pipeline.check(&commit, "success").await;
    pipeline.told(number, "success", "all gates have passed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_merged_as_another_plan_than_was_approved_is_not_applied_before_people_say_so() {
    let write = json!({"mode": "pullRequest"});
    let gates = json!([{"approval": {}}]);
    let mut pipeline = Pipeline::on_forge("unlike", &[("dev", Value::Null), ("prod", policy(&write, &gates))]).await;
    let commit = pipeline.push("dev", "one");
    let number = pipeline.asked(&commit).await;
    let (code, _, error) = pipeline.leeboard(&["approve", "prod"]).await;
    assert_eq!(code, Some(0), "{error}");
    pipeline.told(number, "success", "all gates have passed").await;

    // While nobody looks, somebody pushes something else to the branch, and somebody merges.
    pipeline.daemon.kill();
    let more = "resources: [../../apps/shop]\nnamePrefix: prod-\ncommonAnnotations: {colour: red}\n";
    pipeline.write("env/prod", "clusters/prod/kustomization.yaml", more);
    pipeline.merge(number, "merge").await;
    pipeline.daemon.restart().await;
    let held = pipeline
        .until("prod", &commit, "is held", |one| {
            one["status"]["message"].as_str().is_some_and(|text| text.starts_with("PlanChanged: "))
        })
        .await;
    assert_eq!(held["status"]["phase"], "Deploying", "{held}");
    assert_ne!(held["status"]["changed"]["hash"], held["status"]["plan"]["hash"], "{held}");
    eventually("the application says why it is not synced", A_WHILE, async || {
        let application = pipeline.control.object("application/prod").await?;
        let told = application["status"]["conditions"].to_string();
        if told.contains("PlanChanged") { Ok(()) } else { Err(told) }
    })
    .await;
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "hello");

    let (code, _, error) = pipeline.leeboard(&["approve", "prod", "-m", "red is fine"]).await;
    assert_eq!(code, Some(0), "{error}");
    let done = pipeline.reaches("prod", &commit, "Succeeded").await;
    assert!(done["status"]["changed"].is_null(), "{done}");
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "one");
}

fn shop_text() -> String {
    shop("mended")
}
