//! Previews by the real daemon: a real Gitea with real pushes and pull requests, a real API server.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(unreachable_pub, reason = "a test has no one to reach")]

mod facts;
mod far;
#[path = "../harness/mod.rs"]
mod harness;
mod people;
#[allow(dead_code, reason = "the bench asks it more")]
mod stage;
#[path = "../forge/world.rs"]
#[allow(dead_code, reason = "the forge's own tests ask it more")]
mod world;

use std::time::Duration;

use serde_json::json;

use harness::{eventually, screenshot};
use stage::{Stage, Who, web};

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_told_what_it_would_change_and_how_it_ended() {
    let mut stage = Stage::start("life").await;
    let pull = stage.pull("update", "web.yaml", &web("web:2", 2)).await;
    let first = stage.comment(pull, |body| body.contains("web:2")).await;
    let body = first["body"].as_str().unwrap();
    assert!(body.contains("### Leeboard: 1 environment, 1 application"), "{body}");
    assert!(body.contains("| dev | in-cluster |"), "{body}");
    assert!(body.contains("-        image: web:1") || body.contains("web:1"), "{body}");
    let status = stage.status(pull, "success").await;
    assert!(status["description"].as_str().unwrap().starts_with("1 app, 1 env: ~1"), "{status}");

    // Another head, and another life of the daemon: the same comment says what is so now.
    stage.restart().await;
    stage.push("update", "web.yaml", &web("web:3", 2));
    let second = stage.comment(pull, |body| body.contains("web:3")).await;
    assert_eq!(second["id"], first["id"]);
    stage.status(pull, "success").await;
    assert_eq!(stage.comments(pull).await.len(), 1);

    // A person who may write asks for it: what somebody has deleted is there again. Nobody answers strangers.
    stage.delete_comment(&second).await;
    stage.say(pull, Who::Stranger, "/leeboard preview").await;
    stage.say(pull, Who::Writer, "/leeboard help").await;
    stage.comment(pull, |body| body.contains("| `/leeboard preview` | who may write |")).await;
    stage.say(pull, Who::Writer, "/leeboard preview").await;
    let second = stage.comment(pull, |body| body.contains("web:3")).await;
    assert_ne!(second["id"], first["id"]);
    let ours = stage.comments(pull).await;
    assert_eq!(ours.len(), 2, "the help and the preview: {}", json!(ours));

    stage.merge(pull).await;
    let last = stage.comment(pull, |body| body.contains("Deployed to dev")).await;
    assert!(last["body"].as_str().unwrap().contains(", as previewed"), "{last}");
    assert_eq!(last["id"], second["id"]);
    let image = "/spec/template/spec/containers/0/image";
    let live = stage.target.object("deployment/web").await.unwrap();
    assert_eq!(live.pointer(image), Some(&json!("web:3")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_say_is_heard_without_webhooks_and_answered_once() {
    let files =
        [("kustomization.yaml", "resources: [web.yaml]\nnamePrefix: my-\n".to_owned()), ("web.yaml", web("web:1", 2))];
    let mut stage = Stage::start_with("deaf", ".", &files.map(|(path, text)| (path.to_owned(), text))).await;
    stage.unhook().await;
    let pull = stage.pull("update", "web.yaml", &web("web:2", 2)).await;
    stage.comment(pull, |body| body.contains("web:2")).await;
    stage.say(pull, Who::Stranger, "/leeboard help me").await;
    stage.say(pull, Who::Writer, "/leeboard helm").await;
    let answer = stage.comment(pull, |body| body.contains("`helm` is none of these")).await;
    assert_eq!(stage.comments(pull).await.len(), 2);

    stage.say(pull, Who::Writer, "/leeboard explain Deployment/web.metadata.name").await;
    let explained = "metadata.name\n  web.yaml:4:9  written\n  kustomization.yaml:2:13  namePrefix\n";
    let comment = stage.comment(pull, |body| body.contains("`Deployment/my-web` in application `dev`:")).await;
    assert!(comment["body"].as_str().unwrap().contains(explained), "{comment}");

    // In another life all comments are read again; the next question shows that this is over.
    stage.kill();
    stage.say(pull, Who::Writer, "/leeboard helmet").await;
    stage.revive_unhooked().await;
    stage.comment(pull, |body| body.contains("`helmet` is none of these")).await;
    let ours = stage.comments(pull).await;
    assert_eq!(ours.len(), 4, "the preview and three answers: {}", json!(ours));
    assert!(ours.iter().any(|comment| comment["id"] == answer["id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_merged_while_nobody_looked_is_told_its_end_too() {
    let mut stage = Stage::start("absent").await;
    let pull = stage.pull("update", "web.yaml", &web("web:2", 2)).await;
    let comment = stage.comment(pull, |body| body.contains("web:2")).await;
    stage.status(pull, "success").await;
    let closed = stage.pull("given-up", "web.yaml", &web("web:9", 2)).await;
    stage.comment(closed, |body| body.contains("web:9")).await;
    stage.status(closed, "success").await;
    stage.kill();
    stage.merge(pull).await;
    stage.close(closed).await;
    stage.revive().await;
    let last = stage.comment(pull, |body| body.contains("Deployed to dev")).await;
    assert_eq!(last["id"], comment["id"]);
    assert!(last["body"].as_str().unwrap().contains(", as previewed"), "{last}");
    assert!(last["body"].as_str().unwrap().contains("web:2"), "what was shown stays: {last}");
    stage.comment(closed, |body| body.contains("Closed, nothing deployed.")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_is_told_by_its_status_alone() {
    let stage = Stage::start("nothing").await;
    let readme = stage.pull("readme", "README.md", "hello\n").await;
    let status = stage.status(readme, "success").await;
    assert_eq!(status["description"], "no changes");
    assert_eq!(stage.comments(readme).await.len(), 0);

    // What was told once is taken back in words.
    let reverted = stage.pull("reverted", "web.yaml", &web("web:2", 2)).await;
    stage.comment(reverted, |body| body.contains("web:2")).await;
    stage.push("reverted", "README.md", "hello again\n");
    stage.comment(reverted, |body| body.contains("No deployed manifest changes.")).await;
    stage.close(readme).await;
    stage.close(reverted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_merged_or_rendered_says_where() {
    let stage = Stage::start("wrong").await;
    let broken =
        stage.pull("broken", "web.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web\n").await;
    let comment = stage.comment(broken, |body| body.contains("web.yaml")).await;
    assert!(comment["body"].as_str().unwrap().contains("1 application does not render"), "{comment}");
    let status = stage.status(broken, "failure").await;
    assert!(status["description"].as_str().unwrap().contains("does not render"), "{status}");

    let refused = stage.pull("refused", "web.yaml", &web("web:1", 2).replace("replicas: 2", "replicas: -2")).await;
    let comment = stage.comment(refused, |body| body.contains("would be refused by the API server")).await;
    assert!(comment["body"].as_str().unwrap().contains("spec.replicas"), "{comment}");
    stage.status(refused, "failure").await;

    let conflict = stage.pull("conflict", "web.yaml", &web("web:2", 5)).await;
    stage.comment(conflict, |body| body.contains("web:2")).await;
    stage.push("main", "web.yaml", &web("web:4", 3));
    let comment = stage.comment(conflict, |body| body.contains("conflict")).await;
    assert!(comment["body"].as_str().unwrap().contains("web.yaml"), "{comment}");
    stage.status(conflict, "error").await;
}

/// A policy about Deployments, and what puts it in force.
fn policy(name: &str, validation: &str, matches: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    resourceRules:
    - {{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}}
  validations:
  - {validation}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec: {{policyName: {name}, validationActions: [Deny]{matches}}}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_of_the_cluster_would_refuse_is_seen_before_the_merge() {
    let stage = Stage::start("policy").await;
    let namespace = stage.target.name();
    let name = format!("replicas-{namespace}");
    let only_here = format!(
        ", matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}}}"
    );
    let limit = "{expression: 'object.spec.replicas <= 3', messageExpression: \"'%d are too many'.format([int(object.spec.replicas)])\"}";
    stage.target.cluster().apply(&policy(&name, limit, &only_here), [""; 0]).await;

    let many = stage.pull("many", "web.yaml", &web("web:1", 5)).await;
    let comment = stage.comment(many, |body| body.contains("would be refused by policy")).await;
    let body = comment["body"].as_str().unwrap();
    let refused = format!(
        "- 🔴 dev/dev Deployment `{namespace}/web` would be refused by policy `{name}` (binding `{name}`): `5 are too many` (`web.yaml:1:1`)"
    );
    assert!(body.contains(&refused), "{body}");
    assert_eq!(body.matches("🔴").count(), 1, "what the API server says itself is not told twice: {body}");
    let status = stage.status(many, "failure").await;
    assert!(status["description"].as_str().unwrap().contains("R33"), "{status}");

    // What it minds no more is told no more.
    stage.push("many", "web.yaml", &web("web:1", 3));
    stage.comment(many, |body| !body.contains("would be refused") && body.contains("replicas: 3")).await;
    stage.status(many, "success").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_comes_with_the_pull_request_is_evaluated_and_cannot_spend_without_end() {
    let stage = Stage::start("own-policy").await;
    let images =
        "{expression: \"object.spec.template.spec.containers.all(c, c.image.endsWith(':1'))\", message: 'only ones'}";
    let rules = policy("own-ones", images, "");
    let own = stage.pull("own", "web.yaml", &format!("{}---\n{rules}", web("web:2", 2))).await;
    let comment = stage.comment(own, |body| body.contains("would be refused by policy")).await;
    let body = comment["body"].as_str().unwrap();
    let said = "would be refused by policy `own-ones` (binding `own-ones`) of this pull request: `only ones`";
    assert!(body.contains(said), "{body}");
    stage.status(own, "failure").await;
    stage.close(own).await;

    let ten = "[1,2,3,4,5,6,7,8,9,0]";
    let bomb = (0..8).fold("object != null".to_owned(), |inner, at| format!("{ten}.all(x{at}, {inner})"));
    let bomb = policy("own-bomb", &format!("{{expression: '{bomb}'}}"), "");
    // What is live is nothing that a stranger's policy may ask about.
    let curious = policy("own-curious", "{expression: \"has(oldObject.status)\", message: 'it has none'}", "");
    let text = format!("{}---\n{bomb}---\n{curious}", web("web:2", 2));
    let pull = stage.pull("bomb", "web.yaml", &text).await;
    let comment = stage.comment(pull, |body| body.contains("own-bomb")).await;
    let body = comment["body"].as_str().unwrap();
    let said = "- 🟡 dev/dev policy `own-bomb` (binding `own-bomb`) of this pull request cannot be evaluated before the merge: \
                `it takes more steps than a preview may spend on it`";
    assert!(body.contains(said), "{body}");
    assert!(
        body.contains("by policy `own-curious` (binding `own-curious`) of this pull request: `it has none`"),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_the_project_are_those_of_the_cluster() {
    let stage = Stage::start("rules").await;
    let rule = json!({
        "name": "fewer", "severity": "red",
        "expression": "live != null && plan.action == 'change' && new.spec.replicas < live.spec.replicas ?
            {'message': plan.application + ' had ' + string(live.spec.replicas)} : null",
    });
    let any = json!([{"server": "*", "namespace": "*"}]);
    let project = |rules: serde_json::Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {"name": "default", "namespace": stage.control.name()},
            "spec": {
                "sourceRepos": ["*"], "destinations": any, "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
                "previews": {"rules": rules},
            },
        })
    };
    stage.control.apply(&project(json!([rule])).to_string()).await;

    // The pull request would have no rules.
    let text = format!("{}---\n{}\n", web("web:1", 1), project(json!([])));
    let pull = stage.pull("fewer", "web.yaml", &text).await;
    let comment = stage.comment(pull, |body| body.contains("(rule `fewer`)")).await;
    let body = comment["body"].as_str().unwrap();
    let said = format!("- 🔴 dev/dev Deployment `{}/web`: `dev had 2` (rule `fewer`)", stage.target.name());
    assert!(body.contains(&said), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_empty_an_environment_or_is_too_much_says_so() {
    let stage = Stage::start_in("gone", "clusters/dev").await;
    let gone = stage.removal("gone", "clusters/dev/web.yaml").await;
    let comment = stage.comment(gone, |body| body.contains("its cluster directory is gone")).await;
    assert!(comment["body"].as_str().unwrap().contains("1 of 1"), "{comment}");
    let status = stage.status(gone, "skipped").await;
    assert!(status["description"].as_str().unwrap().contains("would be held: needs confirmation"), "{status}");

    let many: String = (0..20_001)
        .map(|at| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: config-{at}}}\n"))
        .collect();
    let many = stage.pull("many", "clusters/dev/many.yaml", &many).await;
    stage.comment(many, |body| body.contains("Too large to preview: 20,002 objects.")).await;
    stage.status(many, "error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_that_come_and_go_with_it_are_compared_too() {
    let stage = Stage::start("apps").await;
    let pull =
        stage.pull("cart", "cart/cart.yaml", &web("cart:1", 1).replace("name: web\nspec", "name: cart\nspec")).await;
    let comment = stage.comment(pull, |body| body.contains("cart:1")).await;
    let body = comment["body"].as_str().unwrap();
    assert!(body.contains("2 applications") && body.contains("| dev | in-cluster | **dev-cart** | 1 |"), "{body}");
    stage.merge(pull).await;
    stage.comment(pull, |body| body.contains("Deployed to dev")).await;
    let cart = stage.target.object("deployment/cart").await;
    assert!(cart.is_ok(), "it is told when it is there, not before: {cart:?}");

    let gone = stage.removal("no-cart", "cart/cart.yaml").await;
    let comment = stage.comment(gone, |body| body.contains("dev-cart")).await;
    assert!(comment["body"].as_str().unwrap().contains("cart"), "{comment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_is_on_a_page_for_who_has_the_link() {
    let stage = Stage::start("page").await;
    let hostile = r#"</pre><script>alert(1)</script><img src="https://evil.example/x">"#;
    let annotated = web("web:2", 0)
        .replace("  name: web\nspec", &format!("  name: web\n  annotations: {{note: '{hostile}'}}\nspec"));
    let pull = stage.pull("page", "web.yaml", &annotated).await;
    let comment = stage.comment(pull, |body| body.contains("web:2")).await;
    let status = stage.status(pull, "success").await;
    let page = stage.page(&comment);
    assert!(page.ends_with(status["target_url"].as_str().unwrap().strip_prefix("https://leeboard.example").unwrap()));

    let answer = reqwest::get(&page).await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    assert_eq!(answer.headers()["cache-control"], "private, no-store");
    let html = answer.text().await.unwrap();
    assert!(html.contains(r#"<span class="add">+        image: web:2</span>"#), "{html}");
    assert!(html.contains(r#"<li class="red">"#), "scaled to nothing: {html}");
    assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    assert!(html.contains("&#60;script&#62;"), "{html}");

    let mut other = page.clone();
    other.replace_range(page.len() - 1.., if page.ends_with('0') { "1" } else { "0" });
    assert_eq!(reqwest::get(&other).await.unwrap().status(), 404);
    screenshot(&page, "preview-page", 900);

    let drawn = stage.drawn(&comment).await;
    assert!(drawn.contains("<details><summary>") && drawn.contains("<td"), "{drawn}");
    assert!(!drawn.contains("<script") && !drawn.contains("evil.example/x\""), "{drawn}");
    let (file, style) =
        (tempfile::tempdir().unwrap(), "body { font: 15px sans-serif; margin: 2em } td, th { padding: 4px }");
    let path = file.path().join("comment.html");
    std::fs::write(
        &path,
        format!("<meta charset=utf-8><style>{style}</style>{}", drawn.replace("<details>", "<details open>")),
    )
    .unwrap();
    screenshot(&format!("file://{}", path.display()), "preview-comment", 900);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_deployed_into_a_namespace_of_its_own_until_it_ends() {
    let kustomization = "resources: [web.yaml]\n";
    let files =
        [("clusters/dev/kustomization.yaml", kustomization.to_owned()), ("clusters/dev/web.yaml", web("web:1", 2))];
    let mut stage =
        Stage::start_with("tried", "clusters/dev", &files.map(|(path, text)| (path.to_owned(), text))).await;
    let target = stage.target.name().to_owned();
    stage.push("main", "clusters/dev/kustomization.yaml", &format!("{kustomization}namespace: {target}\n"));
    let prefix = format!("{target}-");
    let space = |pull: u64| format!("{prefix}{pull}-dev");
    stage
        .want(json!({"status": "perEnvironment", "deploy": true, "ephemeral": {"max": 1, "namespacePrefix": &prefix, "quota": {"pods": "7"}}}))
        .await;

    let first = stage.pull("first", "clusters/dev/web.yaml", &web("web:2", 1)).await;
    stage.runs(&space(first), "web:2").await;
    let told =
        stage.comment(first, |body| body.contains(&format!("Deployed to namespace `{}` until", space(first)))).await;
    assert!(told["body"].as_str().unwrap().contains("web:2"), "{told}");
    stage.status_by(first, "leeboard/preview/dev", "success").await;
    let own = stage.control().cluster().existing_namespace(&space(first));
    assert_eq!(own.field("resourcequota/leeboard", "{.spec.hard.pods}").await.unwrap(), "7");
    stage.runs(&target, "web:1").await;
    stage.push("first", "clusters/dev/web.yaml", &web("web:3", 1));
    stage.runs(&space(first), "web:3").await;

    // There may be one. Another waits, and takes its place when it is closed, whether or not somebody was there to see it.
    let second = stage.pull("second", "clusters/dev/web.yaml", &web("web:4", 1)).await;
    stage.comment(second, |body| body.contains("as many are deployed as there may be at once (1)")).await;
    stage.kill();
    stage.close(first).await;
    stage.revive().await;
    stage.is_gone(&space(first)).await;
    stage.runs(&space(second), "web:4").await;
    stage.comment(second, |body| body.contains(&format!("Deployed to namespace `{}` until", space(second)))).await;

    // Its day is over, then it is pushed to.
    let yesterday = "leeboard.dev/since=2001-01-01T00:00:00Z";
    let record = format!("appproject/{}", space(second));
    stage.control().kubectl(["annotate", "--overwrite", &record, yesterday]).await.unwrap();
    stage.comment(second, |body| body.contains("any more after 24 hours: a push deploys it again")).await;
    stage.push("second", "clusters/dev/web.yaml", &web("web:5", 1));
    stage.runs(&space(second), "web:5").await;

    // What it may not have is not deployed, and neither its quota nor the cluster are its own.
    let role = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: mine}\nrules: []\n";
    stage.push("second", "clusters/dev/web.yaml", &format!("{}{role}", web("web:6", 1)));
    let application = format!("application/{}", space(second));
    eventually("it is refused", Duration::from_secs(60), async || {
        let found = stage.control().field(&application, "{.status.conditions}").await?;
        if found.contains("ClusterRole") && found.contains("not permitted") { Ok(()) } else { Err(found) }
    })
    .await;

    // Who wants nothing deployed any more has nothing deployed; what the environment deploys is not touched.
    stage.want(json!({"deploy": false})).await;
    stage.is_gone(&space(second)).await;
    stage.runs(&target, "web:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_fork_is_not_looked_at() {
    let stage = Stage::start("fork").await;
    let pull = stage.fork_pull("web.yaml", &web("evil:1", 2)).await;
    let status = stage.status(pull, "skipped").await;
    assert!(status["description"].as_str().unwrap().starts_with("not previewed: from a fork"), "{status}");
    assert_eq!(stage.comments(pull).await.len(), 0);

    // Where labels let in, one lets in what was there before it, and nothing that is pushed later.
    stage.want(json!({"forks": "label"})).await;
    stage.status_saying(pull, "a maintainer may label it leeboard/preview").await;
    stage.label(pull, "leeboard/preview").await;
    let comment = stage.comment(pull, |body| body.contains("evil:1")).await;
    assert!(
        comment["body"].as_str().unwrap().contains("from a fork: comparison with the base branch only"),
        "{comment}"
    );
    stage.status(pull, "success").await;
    stage.fork_push("web.yaml", &web("evil:2", 2));
    stage.status_saying(pull, "a maintainer may label it leeboard/preview").await;
    let body = stage.comments(pull).await[0]["body"].as_str().unwrap().to_owned();
    assert!(!body.contains("evil:2"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_risks_of_a_plan_are_taken_by_who_may_and_of_no_other_plan() {
    let stage = Stage::start("risky").await;
    let people = json!([{"login": "jane", "user": "jane@example.com"}]);
    stage.want(json!({"fail": ["red"], "forge": {"userMap": people}})).await;
    let pull = stage.pull("none", "web.yaml", &web("web:1", 0)).await;
    let status = stage.status(pull, "failure").await;
    assert!(status["description"].as_str().unwrap().starts_with("R7: "), "{status}");

    stage.say(pull, Who::Stranger, "/leeboard accept-risk it is fine").await;
    stage.say(pull, Who::Writer, "/leeboard accept-risk it is night").await;
    let why = "user `jane@example.com` may not `approve` `promotions.leeboard.dev` of `dev`";
    stage.comment(pull, |body| body.contains(why)).await;
    let rules = json!([{"apiGroups": ["leeboard.dev"], "resources": ["promotions"], "verbs": ["approve"]}]);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "owner"}, "rules": rules,
    });
    stage.control.apply(&role.to_string()).await;
    let binding = ["create", "rolebinding", "owner", "--role=owner", "--user=jane@example.com"];
    stage.control.kubectl(binding).await.unwrap();
    stage.say(pull, Who::Writer, "/leeboard accept-risk it is night").await;
    stage.comment(pull, |body| body.contains("`jane@example.com` takes the risks of this plan")).await;
    stage.status(pull, "success").await;
    assert_eq!(stage.comments(pull).await.len(), 3, "the preview and two answers");

    // Another plan is another question.
    stage.push("none", "web.yaml", &web("web:2", 0));
    stage.comment(pull, |body| body.contains("web:2")).await;
    stage.status(pull, "failure").await;
}
