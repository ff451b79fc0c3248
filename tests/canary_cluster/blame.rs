//! Whose version failed: a later commit that only meets what an earlier one left behind is not blamed for it.

use serde_json::{Value, json};

use crate::application::Application;
use crate::harness::Repo;
use crate::manifests::{canary, deployment};
use crate::sink::Measured;
use crate::stage::Stage;

/// An application of two waves: the first has the canary, the second cannot begin while its version has failed.
pub async fn two_waves() {
    let stage = Stage::shared().await;
    let scene = stage.scene("two-waves").await;
    let repo = Repo::new();
    let canary = canary(&scene, "gatewayapi:v1", json!({"stepWeight": 50, "maxWeight": 50, "threshold": 1}), json!({}));
    let note = |value: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"value": value},
            "metadata": {"name": "note", "annotations": {"argocd.argoproj.io/sync-wave": "1"}},
        })
        .to_string()
    };
    repo.commit(
        "main",
        &[
            ("app/web.yaml", &deployment("web:1").to_string()),
            ("app/canary.yaml", &canary.to_string()),
            ("app/note.yaml", &note("1")),
        ],
    );
    let application = Application::of(&scene, &repo).await;
    scene.phase("Initialized").await;
    let is_there = || if scene.seen("ConfigMap", "note") == Value::Null { Err(String::new()) } else { Ok(()) };
    scene.until("the second wave is applied", is_there).await;

    stage.sink.measures(&scene.namespace, Measured::Percent(50.0));
    let bad = repo.commit("main", &[("app/web.yaml", &deployment("web:2").to_string())]);
    let message = application.failed(&bad).await;
    assert!(message.starts_with(&format!("sync of {} by ", &bad[..7])) && !message.contains("came with"), "{message}");
    let noted = scene.seen("Canary", "web")["metadata"]["annotations"]["canary.leeboard.dev/commit"].clone();
    assert_eq!(noted, bad.as_str());

    let later = repo.commit("main", &[("app/note.yaml", &note("2"))]);
    let message = application.failed(&later).await;
    assert!(message.starts_with(&format!("sync of {} by ", &later[..7])), "{message}");
    assert!(message.contains(&format!("; that version came with {} by ", &bad[..7])), "{message}");
    assert_eq!(scene.seen("ConfigMap", "note").pointer("/data/value"), Some(&Value::from("1")));
}
