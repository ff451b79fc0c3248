//! What the API server would refuse of a promotion, before anything is written.

use serde_json::{Value, json};

use crate::harness::Repo;
use crate::stage::{Pipeline, shop};

/// In git, and in no status, Event or log.
const PLANTED: &str = "correct-horse-battery";

/// The shop with a Job that has a secret value, which its Secret has, too.
fn with_job(image: &str, annotation: &str) -> String {
    format!(
        "{}---
apiVersion: v1
kind: Secret
metadata: {{name: database}}
stringData: {{password: {PLANTED}}}
---
apiVersion: batch/v1
kind: Job
metadata: {{name: migrate, annotations: {{{annotation}}}}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: migrate
        image: {image}
        env: [{{name: PASSWORD, value: {PLANTED}}}]
",
        shop(image)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_is_refused_without_a_value_and_a_hook_is_made_anew() {
    let policy = json!({"from": [{"environment": "dev"}], "auto": true});
    let pipeline = Pipeline::start(&[("dev", Value::Null), ("prod", policy)]).await;
    let hook = "argocd.argoproj.io/hook: PreSync";
    for image in ["migrate:1", "migrate:2"] {
        let commit = pipeline.write("env/dev", "apps/shop/shop.yaml", &with_job(image, hook));
        pipeline.reaches("prod", &commit, "Succeeded").await;
        assert_eq!(pipeline.greeting("prod").await.unwrap(), image);
    }

    // A Job that is no hook cannot become another one.
    let plain = pipeline.write("env/dev", "apps/shop/shop.yaml", &with_job("migrate:2", "team: shop"));
    pipeline.reaches("prod", &plain, "Succeeded").await;
    let changed = pipeline.write("env/dev", "apps/shop/shop.yaml", &with_job("migrate:3", "team: shop"));
    // dev cannot take it either: a person asks for it all the same.
    let asked = ["promote", "prod", "--commit", &changed, "--hotfix", "--skip", "source", "-m", "now", "--watch"];
    let (code, text, error) = pipeline.leeboard(&asked).await;
    assert_ne!(code, Some(0), "{text}{error}");
    let failed = pipeline.reaches("prod", &changed, "Failed").await;
    let message = failed["status"]["message"].as_str().unwrap();
    assert!(message.contains("would refuse") && message.contains("field is immutable"), "{message}");
    assert!(message.len() < 400, "{message}");
    for told in [failed.to_string(), text, error, pipeline.daemon.log()] {
        assert!(!told.contains(PLANTED), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_another_one_when_a_base_elsewhere_moves() {
    let policy = json!({"from": [{"environment": "dev"}], "auto": true, "gates": [{"approval": {"min": 2}}]});
    let pipeline = Pipeline::start(&[("dev", Value::Null), ("prod", policy)]).await;
    let bases = Repo::new();
    let base = |colour: &str| {
        let object = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: far}}\ndata: {{colour: {colour}}}\n");
        bases.commit("main", &[("base/kustomization.yaml", "resources: [far.yaml]\n"), ("base/far.yaml", &object)]);
    };
    base("red");
    let far = format!("resources: [shop.yaml, '{}//base?ref=main']\n", bases.url());
    let commit = pipeline.write("env/dev", "apps/shop/kustomization.yaml", &far);
    let one =
        pipeline.until("prod", &commit, "waits", |one| one["status"]["message"] == "approval: waits for 2 approvals");
    let hash = one.await["status"]["plan"]["hash"].clone();
    let (code, _, error) = pipeline.leeboard(&["approve", "prod"]).await;
    assert_eq!(code, Some(0), "{error}");

    // dev takes the base's new commit by itself; what waits for prod would be something else now.
    base("green");
    let other = pipeline.until("prod", &commit, "has another plan", |one| one["status"]["plan"]["hash"] != hash).await;
    let gates = other["status"]["gates"].as_array().unwrap();
    let approval = gates.iter().find(|gate| gate["name"] == "approval").unwrap();
    assert_eq!(approval["message"], "waits for 2 approvals (admin approved another plan)", "{other}");
}
