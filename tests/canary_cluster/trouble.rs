//! What goes wrong, and what people do amid a run.

use serde_json::{Value, json};

use crate::application::Application;
use crate::harness::{Repo, manifests};
use crate::manifests::{canary, deployment, in_one_step, split, splits};
use crate::sink::Measured;
use crate::stage::{IMAGE, Scene, Stage};

/// A scene whose Deployment and Canary are in git; one failed check ends a run.
async fn from_git(name: &str, branch: &str) -> (Scene, Repo) {
    let scene = Stage::shared().await.scene(name).await;
    let repo = Repo::new();
    let once = json!({"stepWeight": 50, "maxWeight": 50, "threshold": 1});
    let canary = canary(&scene, "gatewayapi:v1", once, json!({}));
    let web = deployment("web:1");
    repo.commit(branch, &[("app/web.yaml", &web.to_string()), ("app/canary.yaml", &canary.to_string())]);
    (scene, repo)
}

/// A bad version from git: it is taken back, its commit is named, it is not tried again; the next commit is.
pub async fn failure() {
    let (scene, repo) = from_git("failure", "main").await;
    let stage = scene.stage;
    let application = Application::of(&scene, &repo).await;
    scene.phase("Initialized").await;
    assert_eq!(application.ended(&repo.head("main")).await["phase"], "Succeeded");
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    let pods = |scene: &Scene| scene.seen("Deployment", "web-primary")["metadata"]["generation"].clone();
    let primary = pods(&scene);

    stage.sink.measures(&scene.namespace, Measured::Percent(50.0));
    let bad = repo.commit("main", &[("app/web.yaml", &deployment("web:2").to_string())]);
    scene.phase("Failed").await;
    let splits = scene.history("HTTPRoute", "web", split);
    assert_eq!(splits, [(100, 0), (50, 50), (100, 0)]);
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    assert_eq!(pods(&scene), primary, "the primary was touched");
    let status = scene.seen("Canary", "web")["status"].clone();
    assert_eq!(status["conditions"][0]["status"], "False", "{status}");
    scene.told("Rolling back web").await;
    scene.told("Canary failed! Scaling down web").await;
    let message = application.failed(&bad).await;
    assert!(message.ends_with("canary web failed: success rate 50.00% < 99% at weight 50"), "{message}");

    // Another commit that leaves the workload as it is does not try it again.
    stage.sink.measures(&scene.namespace, Measured::Percent(100.0));
    repo.commit("main", &[("app/note.yaml", &manifests::config_map("note", "x"))]);
    scene
        .until("the note is applied", || {
            if scene.seen("ConfigMap", "note") == Value::Null { Err(String::new()) } else { Ok(()) }
        })
        .await;
    assert_eq!(scene.seen("Canary", "web")["status"]["phase"], "Failed");
    let good = repo.commit("main", &[("app/web.yaml", &deployment("web:3").to_string())]);
    scene.phase("Succeeded").await;
    scene.field("Deployment", "web-primary", IMAGE, &json!("web:3")).await;
    assert_eq!(application.ended(&good).await["phase"], "Succeeded");
    let images = scene.history("Deployment", "web-primary", |body| body.pointer(IMAGE).cloned());
    assert_eq!(images, ["web:1", "web:3"]);
}

/// Where the Environment asks for it, the commit of a version that failed is taken back in git: once, and what came
/// after it stays.
pub async fn taken_back() {
    let (scene, repo) = from_git("taken-back", "env/dev").await;
    let stage = scene.stage;
    let name = format!("env-{}", scene.namespace);
    let environment = json!({
        "apiVersion": "leeboard.dev/v1alpha1", "kind": "Environment",
        "metadata": {"name": name, "namespace": stage.control.name()},
        "spec": {
            "repoURL": repo.url(), "branch": "env/dev", "path": "app",
            "destination": {"name": "in-cluster", "namespace": scene.namespace},
            "canary": {"rollback": "revert"},
        },
    });
    stage.cluster.apply(&environment.to_string(), [""; 0]).await;
    scene.phase("Initialized").await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;

    stage.sink.measures(&scene.namespace, Measured::Percent(50.0));
    let bad = repo.commit("env/dev", &[("app/web.yaml", &deployment("web:2").to_string())]);
    scene.phase("Failed").await;
    scene.told(&format!("commit {} taken back on env/dev by ", &bad[..7])).await;
    let head = repo.head("env/dev");
    repo.git(&["fetch", "--quiet"]);
    let message = repo.git(&["log", "-1", "--format=%P%n%an%n%B", &head]);
    let mut lines = message.lines();
    assert_eq!((lines.next(), lines.next()), (Some(bad.as_str()), Some("Leeboard")), "{message}");
    let why = format!("Canary {}/web failed: success rate 50.00% < 99% at weight 50", scene.namespace);
    assert!(message.contains(&why) && message.contains(&format!("Environment: {name}")), "{message}");

    scene.field("Deployment", "web", IMAGE, &json!("web:1")).await;
    scene.phase("Succeeded").await;
    let images = scene.history("Deployment", "web-primary", |body| body.pointer(IMAGE).cloned());
    assert_eq!(images, ["web:1"], "the primary was touched");
    assert_eq!(repo.head("env/dev"), head, "one revert is enough");
}

/// A scene in which version 2 has half of the traffic.
async fn in_the_middle(name: &str) -> Scene {
    let scene = Stage::shared().await.scene(name).await;
    scene.apply(&deployment("web:1")).await;
    scene.apply(&canary(&scene, "gatewayapi:v1", in_one_step(), json!({}))).await;
    scene.phase("Initialized").await;
    scene.image("Deployment", "web:2").await;
    scene.until("the middle", || if splits(&scene).contains(&(50, 50)) { Ok(()) } else { Err(String::new()) }).await;
    scene
}

/// A version amid the analysis of another: traffic goes back first, and what was not tried to its end is never promoted.
pub async fn newer_version() {
    let scene = in_the_middle("newer").await;
    scene.image("Deployment", "web:3").await;
    scene.told("New revision detected! Restarting analysis for web").await;
    scene.phase("Succeeded").await;
    assert_eq!(splits(&scene), [(100, 0), (50, 50), (100, 0), (50, 50), (100, 0)]);
    let images = scene.history("Deployment", "web-primary", |body| body.pointer(IMAGE).cloned());
    assert_eq!(images, ["web:1", "web:3"]);
}

/// Somebody changes the weights by hand: they are the run's again at once, and it is told.
pub async fn edited_route() {
    let scene = in_the_middle("edited").await;
    let mut rules = scene.seen("HTTPRoute", "web")["spec"]["rules"].clone();
    for backend in rules[0]["backendRefs"].as_array_mut().unwrap() {
        backend["weight"] = json!(if backend["name"] == "web-primary" { 10 } else { 90 });
    }
    scene.merge("gateway.networking.k8s.io/v1", "HTTPRoute", "web", &json!({"spec": {"rules": rules}})).await;
    scene.phase("Succeeded").await;
    assert_eq!(splits(&scene), [(100, 0), (50, 50), (10, 90), (50, 50), (100, 0)]);
}

/// Of two canaries on one target the older one works.
pub async fn two_on_one_target() {
    let scene = Stage::shared().await.scene("two").await;
    scene.apply(&deployment("web:1")).await;
    let older = canary(&scene, "kubernetes", json!({"iterations": 1}), json!({}));
    scene.apply(&older).await;
    scene.phase("Initialized").await;
    let mut newer = older.clone();
    newer["metadata"]["name"] = json!("web-again");
    scene.apply(&newer).await;
    scene
        .until("the newer one says that the target is claimed", || {
            let conditions = scene.seen("Canary", "web-again")["status"]["conditions"].clone();
            let claimed = conditions.as_array().is_some_and(|all| {
                all.iter().any(|condition| condition["type"] == "TargetClaimed" && condition["status"] == "False")
            });
            if claimed { Ok(()) } else { Err(conditions.to_string()) }
        })
        .await;
    scene
        .until("it tells who has it", || {
            let events = scene.events("web-again");
            if events.iter().any(|event| event.contains("web")) { Ok(()) } else { Err(events.join(", ")) }
        })
        .await;
    assert_eq!(scene.seen("Canary", "web")["status"]["phase"], "Initialized");
    scene.image("Deployment", "web:2").await;
    scene.phase("Succeeded").await;
}

/// A target that comes later.
pub async fn missing_target() {
    let scene = Stage::shared().await.scene("missing").await;
    scene.apply(&canary(&scene, "kubernetes", json!({"iterations": 1}), json!({}))).await;
    scene.told(&format!("deployment web.{} get query error", scene.namespace)).await;
    assert_eq!(scene.seen("Canary", "web")["status"]["phase"], "Initializing");
    assert_eq!(scene.seen("Service", "web"), Value::Null);
    scene.apply(&deployment("web:1")).await;
    scene.phase("Initialized").await;
}

/// Pods of the new version never get ready: no weight, no check, only the deadline.
pub async fn crashing_pods() {
    let scene = Stage::shared().await.scene("crash").await;
    scene.apply(&deployment("web:1")).await;
    let short = json!({"progressDeadlineSeconds": 5});
    scene.apply(&canary(&scene, "gatewayapi:v1", in_one_step(), short)).await;
    scene.phase("Initialized").await;
    let mut crashing = deployment("web:2");
    crashing["spec"].as_object_mut().unwrap().shift_remove("replicas");
    crashing["spec"]["template"]["metadata"]["annotations"] = json!({"leeboard.test/outcome": "crash"});
    scene.merge("apps/v1", "Deployment", "web", &json!({"spec": crashing["spec"]})).await;
    scene.phase("Failed").await;
    assert_eq!(scene.history("HTTPRoute", "web", split), [(100, 0)]);
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    scene.field("Deployment", "web-primary", "/status/availableReplicas", &json!(2)).await;
}

/// No series is no success.
pub async fn no_data() {
    let scene = Stage::shared().await.scene("silent").await;
    scene.stage.sink.measures(&scene.namespace, Measured::Nothing);
    scene.apply(&deployment("web:1")).await;
    let once = json!({"stepWeight": 50, "maxWeight": 50, "threshold": 1});
    scene.apply(&canary(&scene, "gatewayapi:v1", once, json!({}))).await;
    scene.phase("Initialized").await;
    scene.image("Deployment", "web:2").await;
    scene.phase("Failed").await;
    assert_eq!(scene.history("HTTPRoute", "web", split), [(100, 0), (50, 50), (100, 0)]);
    scene.told("no values found for gatewayapi:v1 metric request-success-rate").await;
}

/// What git says of a Service and of replicas, and what their canary does with them: neither takes anything from the
/// other, and each gets everything back.
pub async fn in_git() {
    let stage = Stage::shared().await;
    let scene = stage.scene("git").await;
    let repo = Repo::new();
    let port = |name: &str, number: u32| json!({"name": name, "port": number, "targetPort": 8080});
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": {"team": "a"}},
        "spec": {"selector": {"app": "web"}, "ports": [port("http", 80), port("more", 81)]},
    });
    let canary = canary(&scene, "kubernetes", json!({"iterations": 1}), json!({}));
    let mut newer = canary.clone();
    newer["metadata"]["name"] = json!("web-again");
    repo.commit(
        "main",
        &[
            ("app/web.yaml", &deployment("web:1").to_string()),
            ("app/service.yaml", &service.to_string()),
            ("app/canary.yaml", &canary.to_string()),
        ],
    );
    let application = Application::of(&scene, &repo).await;
    scene.phase("Initialized").await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    application.healthy("what the canary owns is no drift").await;
    let leads = |scene: &Scene| {
        scene.history("Service", "web", |body| body["spec"]["selector"]["app"].as_str().map(str::to_owned))
    };
    assert_eq!(leads(&scene), ["web", "web-primary"]);

    // A second canary of the same target has no say.
    scene.apply(&newer).await;
    scene
        .until("the newer one says that the target is claimed", || {
            let conditions = scene.seen("Canary", "web-again")["status"]["conditions"].to_string();
            if conditions.contains("TargetClaimed") { Ok(()) } else { Err(conditions) }
        })
        .await;
    // What git owns is git's all the same.
    scene.merge("v1", "Service", "web", &json!({"metadata": {"labels": {"team": "b"}}})).await;
    scene.field("Service", "web", "/metadata/labels/team", &json!("b")).await;
    scene.field("Service", "web", "/metadata/labels/team", &json!("a")).await;
    repo.commit("main", &[("app/web.yaml", &deployment("web:2").to_string())]);
    scene.phase("Succeeded").await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(0)).await;
    application.healthy("after the promotion").await;
    scene.delete("flagger.app/v1beta1", "Canary", "web-again").await;
    let replicas = scene.history("Deployment", "web", |body| body["spec"]["replicas"].as_u64());
    assert_eq!(replicas, [2, 0, 2, 0]);
    assert_eq!(leads(&scene), ["web", "web-primary"]);
    let ports = scene.seen("Service", "web")["spec"]["ports"].as_array().map(Vec::len);
    assert_eq!(ports, Some(2), "git's other port is there");

    repo.remove("main", &["app/canary.yaml"]);
    scene.field("Canary", "web", "", &Value::Null).await;
    scene.field("Service", "web", "/spec/selector/app", &json!("web")).await;
    scene.field("Deployment", "web", "/spec/replicas", &json!(2)).await;
    application.healthy("without the canary").await;
}
