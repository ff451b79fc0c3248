//! What people, and those who pretend to be, do around a pull request: pushes, comments, renamed repositories.

use std::time::Duration;

use leeboard::preview::comment::find;
use serde_json::json;

use super::stage::{Stage, Who, web};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: planted-hunter2}\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_several_pushes_is_told_once_and_shows_no_secret() {
    let stage = Stage::start("hurry").await;
    // Somebody has made one of the same name by hand: what is in it is no business of this pull request.
    let by_hand = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": {"there": "planted-by-hand"},
    });
    stage.target.apply(&by_hand.to_string()).await;
    let pull = stage.pull("update", "web.yaml", &web("web:2", 2)).await;
    let shared = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata: {here: '1'}\n";
    for image in ["web:3", "web:4", "web:5"] {
        let text = format!("{}---\n{SECRET}---\n{shared}", web(image, 2));
        stage.push("update", "web.yaml", &text);
    }
    let comment = stage.comment(pull, |body| body.contains("web:5")).await;
    stage.status(pull, "success").await;
    let comments = stage.comments(pull).await;
    assert_eq!(comments.len(), 1, "{}", json!(comments));
    let body = comment["body"].as_str().unwrap();
    assert_eq!(find(body).unwrap().data.unwrap().head, stage.head(pull).await);
    assert!(body.contains("password: ••• 1"), "{body}");
    assert!(body.contains("managed by nobody: contents not shown"), "{body}");
    for shown in [body, &stage.log()] {
        assert!(!shown.contains("planted"), "{shown}");
    }

    // Its token is taken away: that is said, and over as soon as there is one again.
    stage.credential(Some("wrong")).await;
    stage.push("update", "web.yaml", &web("web:6", 2));
    stage.is_blocked(Some("refuses the configured credential")).await;
    stage.credential(None).await;
    stage.comment(pull, |body| body.contains("web:6")).await;
    stage.is_blocked(None).await;

    // The forge leads on from a name that a repository had.
    stage.rename("hurry-renamed").await;
    stage.is_blocked(Some("the repository is called acme/hurry-renamed now")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_new_comment_of_who_may_is_heard_and_only_a_new_head_brings_a_deleted_one_back() {
    let mut stage = Stage::start("pretend").await;
    let pull = stage.pull("update", "web.yaml", &web("web:2", 2)).await;
    let comment = stage.comment(pull, |body| body.contains("web:2")).await;
    stage.status(pull, "success").await;
    stage.delete_comment(&comment).await;

    let stranger = stage.say(pull, Who::Stranger, "/leeboard preview").await;
    stage.pretend(pull, &stranger, Who::Writer).await;
    let edited = stage.say(pull, Who::Writer, "looks good").await;
    // Gitea tells the time in seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    stage.edit_comment(&edited, "/leeboard preview").await;
    stage.pretend(pull, &edited, Who::Writer).await;
    stage.say(pull, Who::Writer, "> /leeboard preview").await;
    stage.say(pull, Who::Bot, "/leeboard preview").await;
    stage.push("main", "README.md", "the branch moves\n");
    stage.say(pull, Who::Writer, "/leeboard help").await;
    stage.comment(pull, |body| body.contains("| `/leeboard help` |")).await;
    let ours = stage.comments(pull).await;
    let previews = ours.iter().filter(|one| one["body"].as_str().unwrap().contains("### Leeboard")).count();
    assert_eq!(previews, 0, "{}", json!(ours));

    stage.push("update", "web.yaml", &web("web:3", 2));
    let again = stage.comment(pull, |body| body.contains("### Leeboard") && body.contains("web:3")).await;
    assert_ne!(again["id"], comment["id"]);

    // What is merged while nobody looks, after the branch has moved, is not what was shown.
    stage.status(pull, "success").await;
    stage.kill();
    stage.push("main", "web.yaml", &web("web:1", 2).replace("app: web}", "app: web, tier: front}"));
    stage.merge(pull).await;
    stage.revive().await;
    let last = stage.comment(pull, |body| body.contains("differs from what was previewed")).await;
    assert_eq!(last["id"], again["id"]);
    let told = last["body"].as_str().unwrap();
    assert!(told.contains("These files are others:\n\n- `web.yaml`\n"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_promotions_take_commits_from_says_where_they_go() {
    let stage = Stage::start("carried").await;
    let source = |from: &str, name: &str| json!({"promotion": {"from": [{from: name}]}});
    stage.environment("int", "env/int", &source("branch", "next")).await;
    stage.environment("prod", "env/prod", &source("environment", "int")).await;
    stage.branch("next", &[("README.md", "next\n")]);
    stage.publish("next");
    stage.branch("env/int", &[("README.md", "int\n")]);
    stage.publish("env/int");
    stage.has("environment.leeboard.dev/int", "{.status.sync}", "Synced").await;

    stage.branch("update", &[("web.yaml", &web("web:2", 2))]);
    let pull = stage.open_against("update", "next").await;
    let comment = stage.comment(pull, |body| body.contains("Then carried to")).await;
    let body = comment["body"].as_str().unwrap();
    assert!(body.contains("### Leeboard: nothing is deployed from this branch itself"), "{body}");
    assert!(body.contains("\nThen carried to: int → prod\n"), "{body}");
    let status = stage.status(pull, "success").await;
    assert_eq!(status["description"], "no changes here; then carried to int, prod");
}
