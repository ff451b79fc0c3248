//! What the API server would refuse of a promotion, before anything is written.

use serde_json::{Value, json};

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
