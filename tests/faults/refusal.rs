//! What the API server, or Leeboard itself, can refuse: it is named by its place, and the rest goes in.

use serde_json::{Value, json};

use super::{ended, patch, says};
use crate::harness::manifests::{annotated_config_map, config_map, deployment, widget, widget_definition};
use crate::harness::{A_WHILE, Cluster, DaemonOptions, SOON, World, eventually, random_suffix};

#[tokio::test]
async fn a_kind_that_is_not_there_yet_is_waited_for() {
    let world = World::new().await;
    let group = format!("g{}.example.com", random_suffix());
    let head =
        world.repo.commit("main", &[("app/config.yaml", &config_map("a", "1")), ("app/widget.yaml", &widget(&group))]);
    world.application("early", "app", &json!({})).await;
    world.complains("early", "SyncError", "the cluster does not know the kind").await;
    world.cluster.apply(&widget_definition(&group), [""; 0]).await;
    world.synced("early", &head).await;
    world.there(&format!("widgets.{group}/first")).await;
}

#[tokio::test]
async fn a_definition_and_its_objects_go_in_together() {
    let world = World::new().await;
    let group = format!("g{}.example.com", random_suffix());
    let head = world
        .repo
        .commit("main", &[("app/a-widget.yaml", &widget(&group)), ("app/crd.yaml", &widget_definition(&group))]);
    world.application("both", "app", &json!({})).await;
    world.synced("both", &head).await;
    world.there(&format!("widgets.{group}/first")).await;
}

#[tokio::test]
async fn all_refusals_of_a_wave_are_told_and_the_rest_goes_in() {
    let world = World::new().await;
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n";
    let quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: bad}\nspec: {hard: {pods: \"-3\"}}\n";
    world.repo.commit(
        "main",
        &[
            ("app/config.yaml", &config_map("good", "1")),
            ("app/service.yaml", service),
            ("app/quota.yaml", quota),
            ("app/later.yaml", &annotated_config_map("later", "1", "argocd.argoproj.io/sync-wave: \"1\"")),
        ],
    );
    world.application("refused", "app", &json!({})).await;
    let parts = ["Service/bad", "app/service.yaml:1", "spec.ports[0].port", "ResourceQuota/bad", "app/quota.yaml:1"];
    let status = ended(&world, "refused", "Failed", &parts).await;
    let results = status["operationState"]["syncResult"]["resources"].as_array().unwrap();
    let failed = results.iter().filter(|result| result["status"] == "SyncFailed").count();
    assert_eq!((results.len(), failed), (3, 2), "{results:?}");
    world.there("configmap/good").await;
    assert!(world.shop.object("configmap/later").await.is_err(), "a later wave is not begun");
    world.complains("refused", "SyncError", "Failed last sync attempt to").await;

    let head = world.repo.commit(
        "main",
        &[("app/service.yaml", &service.replace("99999", "80")), ("app/quota.yaml", &quota.replace("-3", "30"))],
    );
    world.synced("refused", &head).await;
    world.there("configmap/later").await;
}

#[tokio::test]
async fn what_cannot_be_changed_is_final_until_git_says_so() {
    let world = World::new().await;
    let head = world.repo.commit("main", &[("app/web.yaml", &deployment("web", "", ""))]);
    world.application("fixed", "app", &json!({})).await;
    world.synced("fixed", &head).await;
    let before = world.there("deployment/web").await["metadata"]["uid"].clone();
    world.repo.commit("main", &[("app/web.yaml", &relabelled(""))]);
    let parts = ["Deployment/web", "changes a field that cannot be changed", "field is immutable", "app/web.yaml:1"];
    ended(&world, "fixed", "Failed", &parts).await;
    // It is not tried again.
    world.complains("fixed", "SyncError", "Failed last sync attempt").await;
    let applies = applies(&world).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(self::applies(&world).await, applies, "it is not tried again");
    assert_eq!(world.there("deployment/web").await["metadata"]["uid"], before);

    let forced = relabelled("argocd.argoproj.io/sync-options: Force=true");
    let head = world.repo.commit("main", &[("app/web.yaml", &forced)]);
    world.synced("fixed", &head).await;
    world.field("deployment/web", "{.spec.selector.matchLabels.app}", "two").await;
    assert_ne!(world.there("deployment/web").await["metadata"]["uid"], before, "it was recreated");
}

/// The Deployment `web` with another selector, which can't be changed.
fn relabelled(annotations: &str) -> String {
    deployment("web", annotations, "").replace("app: web", "app: two")
}

/// Applies since the daemon's start.
async fn applies(world: &World) -> f64 {
    let (_, text) = world.daemon.get("/metrics").await.unwrap();
    let lines = text.lines().filter(|line| line.starts_with("leeboard_api_requests_total{verb=\"apply\""));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[tokio::test]
async fn a_mistake_that_server_side_apply_answers_with_500_is_final() {
    let world = World::new().await;
    let twice = "apiVersion: v1
kind: Service
metadata: {name: twice}
spec:
  ports:
  - {name: a, port: 80, protocol: TCP}
  - {name: b, port: 80, protocol: TCP}
";
    world.repo.commit("main", &[("app/twice.yaml", twice)]);
    world.application("mistaken", "app", &json!({})).await;
    ended(&world, "mistaken", "Failed", &["Service/twice", "duplicate entries for key", "app/twice.yaml:1"]).await;
    let applies = applies(&world).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(self::applies(&world).await, applies, "it is not tried again");
    let head =
        world.repo.commit("main", &[("app/twice.yaml", &twice.replace("name: b, port: 80", "name: b, port: 81"))]);
    world.synced("mistaken", &head).await;
}

#[tokio::test]
async fn no_secret_is_repeated() {
    let options = DaemonOptions { environment: vec![("LEEBOARD_LOG".into(), "debug".into())], ..Default::default() };
    let world = World::with(options).await;
    let secret = |name: &str, rest: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n{rest}\n");
    world.repo.commit(
        "main",
        &[
            ("app/a.yaml", &secret("a", "data: {token: \"PLANTED-no-base64!\"}")),
            ("app/b.yaml", &secret("b", "data: {token: {inner: PLANTED-in-a-map}}")),
            ("app/c.yaml", &secret("c", "stringData: {good: PLANTED-but-fine}")),
            (
                "app/d.yaml",
                &secret("d", "type: kubernetes.io/dockerconfigjson\nstringData: {\".dockerconfigjson\": \"PLANTED{\"}"),
            ),
        ],
    );
    world.application("secretive", "app", &json!({})).await;
    let status = ended(&world, "secretive", "Failed", &["Secret/a", "Secret/b", "Secret/d"]).await;
    world.there("secret/c").await;
    let application = world.control.object("application.argoproj.io/secretive").await.unwrap();
    let mut shown = application.to_string() + &status.to_string() + &world.daemon.log();
    shown += &world.control.kubectl(["get", "events", "-o", "yaml"]).await.unwrap();
    shown += &world.daemon.get("/metrics").await.unwrap().1;
    let encoded = ["PLANTED", "UExBTlRFRC"];
    for planted in encoded {
        let line = shown.lines().find(|line| line.contains(planted));
        assert_eq!(line, None, "{planted}");
    }
}

#[tokio::test]
async fn a_namespace_that_is_missing_or_going_is_named() {
    let world = World::new().await;
    let nowhere = format!("nowhere-{}", random_suffix());
    let head = world.repo.commit("main", &[("app/config.yaml", &config_map("a", "1"))]);
    let destination = json!({"destination": {"namespace": nowhere}});
    world.application("homeless", "app", &destination).await;
    says(&world, "homeless", &[&format!("namespace `{nowhere}` does not exist"), "app/config.yaml:1"]).await;
    let create = json!({"spec": {"syncPolicy": {
        "syncOptions": ["CreateNamespace=true"], "managedNamespaceMetadata": {"labels": {"team": "blue"}},
    }}});
    patch(&world, "homeless", &create).await;
    world.synced("homeless", &head).await;
    let label = world.cluster.kubectl(["get", "namespace", &nowhere, "-o", "jsonpath={.metadata.labels.team}"]).await;
    assert_eq!(label.unwrap(), "blue");

    // On its way out, held up by a finalizer.
    let held = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/hold]}\n";
    world.cluster.apply(held, ["--namespace", &nowhere]).await;
    world.cluster.kubectl(["delete", "namespace", &nowhere, "--wait=false"]).await.unwrap();
    world.repo.commit("main", &[("app/config.yaml", &config_map("b", "2"))]);
    says(&world, "homeless", &["is being deleted"]).await;
    let release = r#"{"metadata":{"finalizers":null}}"#;
    let arguments = ["--namespace", &nowhere, "patch", "configmap", "held", "--type=merge", "-p", release];
    world.cluster.kubectl(arguments).await.unwrap();
    eventually("the namespace is there again with its content", SOON, async || {
        let found = world.cluster.kubectl(["--namespace", &nowhere, "get", "configmap", "b"]).await;
        found.map_err(|error| format!("{error}\n{}", world.tail()))
    })
    .await;
}

#[tokio::test]
async fn what_rbac_denies_is_named_and_heals_when_it_is_granted() {
    let cluster = Cluster::shared().await;
    let user = format!("limited-{}", random_suffix());
    // It may see everything, and write what its own work needs.
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": user}, "rules": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["argoproj.io", "leeboard.dev", "coordination.k8s.io"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["events", "configmaps"], "verbs": ["create", "patch"]},
    ]});
    cluster.apply(&role.to_string(), [""; 0]).await;
    cluster.kubectl(["create", "serviceaccount", &user, "-n", "default"]).await.unwrap();
    let account = format!("--serviceaccount=default:{user}");
    cluster.kubectl(["create", "clusterrolebinding", &user, "--clusterrole", &user, &account]).await.unwrap();
    let token = cluster.kubectl(["create", "token", &user, "-n", "default"]).await.unwrap();
    let kubeconfig = cluster.control_plane().kubeconfig_for(&user, token.trim()).unwrap();
    let world = World::with(DaemonOptions { kubeconfig: Some(kubeconfig), ..Default::default() }).await;
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
    let head = world.repo.commit("main", &[("app/config.yaml", &config_map("a", "1")), ("app/service.yaml", service)]);
    world.application("limited", "app", &json!({})).await;
    says(
        &world,
        "limited",
        &["Service/web", "not allowed", "cannot patch resource \"services\"", "app/service.yaml:1"],
    )
    .await;
    world.there("configmap/a").await;
    let more = json!([{"op": "add", "path": "/rules/-", "value":
        {"apiGroups": [""], "resources": ["services"], "verbs": ["create", "patch"]}}]);
    cluster.kubectl(["patch", "clusterrole", &user, "--type=json", "-p", &more.to_string()]).await.unwrap();
    world.synced("limited", &head).await;
}

#[tokio::test]
async fn a_wave_that_is_no_number_is_named_by_its_place() {
    let world = World::new().await;
    let text = annotated_config_map("a", "1", "argocd.argoproj.io/sync-wave: first");
    let head = world.repo.commit("main", &[("app/a.yaml", &text)]);
    world.application("odd", "app", &json!({})).await;
    world.synced("odd", &head).await;
    let status = world.complains("odd", "RenderWarning", "app/a.yaml:").await;
    assert!(status["conditions"][0]["message"].as_str().unwrap().contains("first"), "{}", status["conditions"]);
}

#[tokio::test]
async fn a_malformed_application_disturbs_no_other() {
    let world = World::new().await;
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1"))]);
    for (name, spec) in [
        ("no-source", json!({"source": null})),
        ("both", json!({"destination": {"server": "https://elsewhere.example.com"}})),
        ("nobody", json!({"project": "nobody"})),
        ("far", json!({"destination": {"name": "elsewhere"}})),
    ] {
        // Those that the CRD itself refuses say so to whoever writes them.
        let refused = create(&world, &world.manifest(name, "app", &spec)).await;
        if refused.is_none() {
            world
                .until(name, "invalid", |status| {
                    status["conditions"]
                        .as_array()
                        .is_some_and(|all| all.iter().any(|c| c["type"] == "InvalidSpecError"))
                })
                .await;
        }
    }
    world.application("good", "app", &json!({})).await;
    world.synced("good", &head).await;
}

/// What the API server says against an object.
async fn create(world: &World, manifest: &Value) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("object.json");
    std::fs::write(&file, manifest.to_string()).unwrap();
    world.control.kubectl(["create", "-f", file.to_str().unwrap()]).await.err()
}

#[tokio::test]
async fn an_application_that_cannot_be_read_is_named_with_its_field_and_disturbs_no_other() {
    let world = World::new().await;
    let kustomization = "resources: [a.yaml]\n";
    let head = world.repo.commit(
        "main",
        &[
            ("app/a.yaml", &config_map("a", "1")),
            ("app/kustomization.yaml", kustomization),
            ("other/b.yaml", &config_map("b", "1")),
        ],
    );
    world.application("odd", "app", &json!({})).await;
    world.application("good", "other", &json!({})).await;
    world.synced("odd", &head).await;
    world.synced("good", &head).await;
    let before = world.there("configmap/a").await["metadata"]["resourceVersion"].clone();

    // To the API server it is an integer; to Kubernetes' own types it is none.
    let replicas = json!([{"name": "web", "count": 1u64 << 40}]);
    patch(&world, "odd", &json!({"spec": {"source": {"kustomize": {"replicas": replicas}}}})).await;
    let status = world.complains("odd", "InvalidSpecError", "spec.source.kustomize.replicas[0].count").await;
    let message = status["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains(&format!("Application `{}/odd`", world.control.name())), "{message}");

    let files = [("app/a.yaml", &*config_map("a", "2")), ("other/b.yaml", &*config_map("b", "2"))];
    let head = world.repo.commit("main", &files);
    world.synced("good", &head).await;
    assert_eq!(
        world.there("configmap/a").await["metadata"]["resourceVersion"],
        before,
        "what it deployed is untouched"
    );

    patch(&world, "odd", &json!({"spec": {"source": {"kustomize": null}}})).await;
    world.synced("odd", &head).await;
    world.until("odd", "without a complaint", |status| status["conditions"].is_null()).await;
    world.field("configmap/a", "{.data.value}", "2").await;
}
