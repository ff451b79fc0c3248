//! A commit that changes nothing but a ConfigMap of the target: its sync waits for the run that follows, and fails with it.

use serde_json::{Value, json};

use crate::application::Application;
use crate::harness::{Repo, manifests};
use crate::manifests::{canary, deployment, in_one_step};
use crate::sink::Measured;
use crate::stage::Stage;

/// A good value, then a bad one.
pub async fn config_in_git() {
    let stage = Stage::shared().await;
    let scene = stage.scene("config-in-git").await;
    let repo = Repo::new();
    let mut web = deployment("web:1");
    web["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([{"configMapRef": {"name": "settings"}}]);
    repo.commit(
        "main",
        &[
            ("app/web.yaml", &web.to_string()),
            ("app/settings.yaml", &manifests::config_map("settings", "1")),
            ("app/canary.yaml", &canary(&scene, "gatewayapi:v1", in_one_step(), json!({"threshold": 1})).to_string()),
        ],
    );
    let application = Application::of(&scene, &repo).await;
    scene.phase("Initialized").await;
    let first = application.ended(&repo.head("main")).await;
    assert_eq!(first["phase"], "Succeeded", "{first}");

    let good = repo.commit("main", &[("app/settings.yaml", &manifests::config_map("settings", "2"))]);
    let operation = application.ended(&good).await;
    assert_eq!(operation["phase"], "Succeeded", "{operation}");
    let copied = stage.cluster.existing_namespace(&scene.namespace).object("configmap/settings-primary").await.unwrap();
    assert_eq!(copied["data"]["value"], "2", "the sync did not wait");
    scene.phase("Succeeded").await;

    stage.sink.measures(&scene.namespace, Measured::Percent(50.0));
    let bad = repo.commit("main", &[("app/settings.yaml", &manifests::config_map("settings", "3"))]);
    let operation = application.ended(&bad).await;
    let message = operation["message"].as_str().unwrap();
    assert_eq!(operation["phase"], "Failed", "{operation}");
    assert!(message.starts_with(&format!("sync of {} by ", &bad[..7])), "{message}");
    assert!(message.contains("canary web failed: success rate 50.00% < 99%"), "{message}");
    let values = scene.history("ConfigMap", "settings-primary", |body| body.pointer("/data/value").cloned());
    assert_eq!(values, [Value::from("1"), Value::from("2")]);
}
