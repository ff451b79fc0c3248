//! A route that is in git: git says whom its rules are for, the canary where those lead that lead to its Service, and
//! neither writes over the other.

use std::time::Duration;

use serde_json::{Value, json};

use crate::application::Application;
use crate::harness::{Repo, eventually};
use crate::manifests::{canary, deployment, split};
use crate::stage::{A_RUN, Stage};

fn route(docs: &str) -> String {
    let rule = |path: &str, service: &str| {
        json!({
            "matches": [{"path": {"type": "PathPrefix", "value": path}}],
            "backendRefs": [{"name": service, "port": 80}],
        })
    };
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "web"},
        "spec": {"parentRefs": [{"name": "gate"}], "rules": [rule("/", "web"), rule(docs, "docs")]},
    })
    .to_string()
}

/// Where the rule of others leads.
fn docs(route: &Value) -> Option<Value> {
    let rules = route["spec"]["rules"].as_array()?;
    let rule = rules.iter().find(|rule| rule["backendRefs"][0]["name"] == "docs")?;
    Some(rule["matches"][0]["path"]["value"].clone())
}

/// A whole run; amid it a commit changes the rule that is none of the canary's.
pub async fn route_in_git() {
    let stage = Stage::shared().await;
    let scene = stage.scene("route-in-git").await;
    let repo = Repo::new();
    let canary = canary(&scene, "gatewayapi:v1", json!({"stepWeight": 25, "maxWeight": 50}), json!({}));
    repo.commit(
        "main",
        &[
            ("app/web.yaml", &deployment("web:1").to_string()),
            ("app/canary.yaml", &canary.to_string()),
            ("app/route.yaml", &route("/docs")),
        ],
    );
    let application = Application::of(&scene, &repo).await;
    let synced = async |commit: &str| {
        // No gateway plays here, so the route's own health is nobody's.
        let is_so = |status: &Value| {
            status["sync"]["status"] == "Synced"
                && status["operationState"]["phase"] == "Succeeded"
                && status["operationState"]["syncResult"]["revision"] == commit
        };
        application.status("the commit is synced", is_so).await;
    };
    scene.phase("Initialized").await;
    synced(&repo.head("main")).await;
    let untouched = scene.seen("HTTPRoute", "web")["metadata"]["resourceVersion"].clone();

    repo.commit("main", &[("app/web.yaml", &deployment("web:2").to_string())]);
    let is_in_the_middle = || {
        let route = scene.seen("HTTPRoute", "web");
        if split(&route) == Some((75, 25)) { Ok(()) } else { Err(route["spec"].to_string()) }
    };
    scene.until("a quarter of the traffic", is_in_the_middle).await;
    let head = repo.commit("main", &[("app/route.yaml", &route("/manual"))]);
    scene.phase("Succeeded").await;
    synced(&head).await;

    let splits = scene.history("HTTPRoute", "web", split);
    assert_eq!(splits, [(100, 0), (75, 25), (50, 50), (100, 0)]);
    assert_eq!(scene.history("HTTPRoute", "web", docs), ["/docs", "/manual"]);
    let version = || scene.seen("HTTPRoute", "web")["metadata"]["resourceVersion"].clone();
    assert_ne!(version(), untouched);
    // They come to rest: who writes over the other would go on with it.
    eventually("nobody writes the route any more", A_RUN, async || {
        let before = version();
        tokio::time::sleep(Duration::from_secs(3)).await;
        if version() == before { Ok(()) } else { Err(format!("{before}, then {}", version())) }
    })
    .await;
}
