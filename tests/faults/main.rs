//! What a cluster can refuse, what can break under a daemon, and what a person may ask of a sync: each time a clear
//! sentence, nothing lost, and on it goes. Through the real binary and a real API server.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::manifests::{annotated_config_map, application, config_map, deployment, job, widget, widget_definition};
use harness::{A_WHILE, Answer, Cluster, Daemon, DaemonOptions, Proxy, Repo, SOON, World, eventually, random_suffix};
use http::Method;
use leeboard::sandbox::{Controllers, Options, Pods};
use serde_json::{Value, json};

async fn annotate(world: &World, application: &str, annotation: &str) {
    world
        .control
        .kubectl(["annotate", "--overwrite", "application.argoproj.io", application, annotation])
        .await
        .unwrap();
}

async fn patch(world: &World, application: &str, patch: &Value) {
    let patch = patch.to_string();
    let arguments = ["patch", "application.argoproj.io", application, "--type=merge", "-p", &patch];
    world.control.kubectl(arguments).await.unwrap();
}

/// Waits until the last sync ended in this phase (or waits for its retry) with these parts in its message.
async fn ended(world: &World, application: &str, phase: &str, parts: &[&str]) -> Value {
    world
        .until(application, &format!("{phase}: {parts:?}"), |status| {
            let state = &status["operationState"];
            let message = state["message"].as_str().unwrap_or_default();
            state["phase"] == phase && parts.iter().all(|part| message.contains(part))
        })
        .await
}

/// The same of any phase: a retry may be under way.
async fn says(world: &World, application: &str, parts: &[&str]) -> Value {
    world
        .until(application, &format!("{parts:?}"), |status| {
            let message = status["operationState"]["message"].as_str().unwrap_or_default();
            parts.iter().all(|part| message.contains(part))
        })
        .await
}

fn no_retry() -> Value {
    json!({"syncPolicy": {"retry": {"limit": 0}}})
}

// ---------------------------------------------------------------------------------------------------- what is refused

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
    let cluster = harness::Cluster::shared().await;
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
async fn what_an_admission_policy_refuses_is_named_and_heals_when_it_is_allowed() {
    let world = World::new().await;
    let policy = format!("no-such-value-{}", random_suffix());
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": policy},
         "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]},
            "validations": [{"expression": "!('value' in object.data) || object.data.value != 'bad'", "message": "bad is not good"}],
         }},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": policy},
         "spec": {"policyName": policy, "validationActions": ["Deny"], "matchResources": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.shop.name()}}}}},
    ]});
    world.cluster.apply(&objects.to_string(), [""; 0]).await;
    eventually("the policy holds", SOON, async || {
        let arguments = ["create", "configmap", "probe", "--from-literal=value=bad", "--dry-run=server"];
        match world.shop.kubectl(arguments).await {
            Ok(_) => Err("it was accepted"),
            Err(_) => Ok(()),
        }
    })
    .await;
    let head =
        world.repo.commit("main", &[("app/a.yaml", &config_map("a", "bad")), ("app/b.yaml", &config_map("b", "fine"))]);
    world.application("admitted", "app", &json!({})).await;
    says(&world, "admitted", &["ConfigMap/a", &policy, "bad is not good", "app/a.yaml:1"]).await;
    world.there("configmap/b").await;
    world.cluster.kubectl(["delete", "validatingadmissionpolicybinding", &policy]).await.unwrap();
    world.synced("admitted", &head).await;
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

// ---------------------------------------------------------------------------------------------------- what breaks

const BUSY: Answer = Answer { code: 429, retry_after: Some(1), reason: "TooManyRequests", message: "slow down" };
const AWAY: Answer = Answer { code: 503, retry_after: None, reason: "ServiceUnavailable", message: "not now" };
const FULL: Answer =
    Answer { code: 500, retry_after: None, reason: "", message: "etcdserver: mvcc: database space exceeded" };

async fn world_behind_a_proxy() -> (World, Proxy) {
    let proxy = Proxy::start(harness::Cluster::shared().await).await;
    let world = World::with(DaemonOptions { kubeconfig: Some(proxy.kubeconfig()), ..Default::default() }).await;
    (world, proxy)
}

#[tokio::test]
async fn an_api_server_that_is_busy_or_full_is_waited_for() {
    let (world, proxy) = world_behind_a_proxy().await;
    proxy.answer(Method::PATCH, "/configmaps/busy", 2, BUSY);
    proxy.answer(Method::PATCH, "/configmaps/away", 3, AWAY);
    proxy.answer(Method::PATCH, "/configmaps/full", 2, FULL);
    // Also what it says of itself may come late.
    proxy.answer(Method::PATCH, "/applications/patient", 2, AWAY);
    let files = ["busy", "away", "full"].map(|name| (format!("app/{name}.yaml"), config_map(name, "1")));
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let head = world.repo.commit("main", &files);
    world.application("patient", "app", &json!({})).await;
    world.synced("patient", &head).await;
    assert_eq!(proxy.forget_rules(), 0, "all of it was asked again");
}

#[tokio::test]
async fn an_outage_of_the_api_server_is_outlived() {
    let (world, proxy) = world_behind_a_proxy().await;
    let head =
        world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1")), ("app/b.yaml", &config_map("b", "1"))]);
    world.application("outlived", "app", &json!({})).await;
    world.synced("outlived", &head).await;
    proxy.set_gone(true);
    world.shop.kubectl(["delete", "configmap", "b"]).await.unwrap();
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "2"))]);
    tokio::time::sleep(A_WHILE).await;
    proxy.set_gone(false);
    world.synced("outlived", &head).await;
    world.field("configmap/a", "{.data.value}", "2").await;
    world.there("configmap/b").await;
    assert_eq!(world.daemon.get("/readyz").await.unwrap().0, 200);
}

/// A control plane, and a daemon, of the test's own.
struct OwnWorld {
    cluster: Cluster,
    daemon: Daemon,
    repo: Repo,
}

impl OwnWorld {
    /// With a synced Application `own` in the namespace `default`.
    async fn start(etcd_flags: Vec<String>) -> OwnWorld {
        let options =
            Options { pods: Pods::Pending, controllers: Controllers::Absent, etcd_flags, ..Options::default() };
        let cluster = Cluster::start(options).await;
        cluster.kubectl(["apply", "--server-side", "-f", "deploy/crds"]).await.unwrap();
        harness::established(&cluster).await;
        let daemon = Daemon::start(&cluster, "default", DaemonOptions::default()).await;
        daemon.ready().await;
        let world = OwnWorld { cluster, daemon, repo: Repo::new() };
        world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1"))]);
        let application = application("default", "own", &world.repo.url(), "app", "default");
        world.cluster.apply(&application.to_string(), [""; 0]).await;
        world.value("1").await;
        world
    }

    /// Waits until the cluster holds this value, and the Application says that all is well.
    async fn value(&self, expected: &str) {
        eventually("the value is there", SOON, async || {
            let value = self.cluster.kubectl(["get", "configmap", "a", "-o", "jsonpath={.data.value}"]).await?;
            let path = "jsonpath={.status.sync.status} {.status.operationState.phase}";
            let state = self.cluster.kubectl(["get", "application.argoproj.io", "own", "-o", path]).await?;
            match (value.as_str(), state.as_str()) {
                (value, "Synced Succeeded") if value == expected => Ok(()),
                _ => Err(format!("{value}: {state}\n{}", self.daemon.log())),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_api_server_that_restarts_is_outlived() {
    let mut world = OwnWorld::start(Vec::new()).await;
    world.cluster.control_plane_mut().stop_api_server().unwrap();
    world.repo.commit("main", &[("app/a.yaml", &config_map("a", "2"))]);
    tokio::time::sleep(A_WHILE).await;
    world.cluster.control_plane_mut().start_api_server().await.unwrap();
    world.value("2").await;
}

#[tokio::test]
async fn a_full_etcd_is_waited_for() {
    let world = OwnWorld::start(vec!["--quota-backend-bytes=16777216".into()]).await;
    let folder = tempfile::tempdir().unwrap();
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, "x".repeat(900_000)).unwrap();
    let from = format!("--from-file={}", ballast.display());
    let mut full = String::new();
    for n in 0..40 {
        if let Err(error) = world.cluster.kubectl(["create", "configmap", &format!("ballast-{n}"), &from]).await {
            full = error;
            break;
        }
    }
    assert!(full.contains("database space exceeded"), "{full}");
    world.repo.commit("main", &[("app/a.yaml", &config_map("a", "2"))]);
    eventually("the log says so", SOON, async || {
        let log = world.daemon.log();
        if log.contains("the storage of the API server fails") { Ok(()) } else { Err(log) }
    })
    .await;
    let ballast: Vec<String> = (0..40).map(|n| format!("ballast-{n}")).collect();
    let delete = ["delete", "configmap", "--ignore-not-found"].into_iter().map(str::to_owned);
    world.cluster.kubectl(delete.chain(ballast)).await.unwrap();
    make_room(&world.cluster).await;
    world.value("2").await;
}

/// Compacts and defragments etcd, and takes its alarm back, as an administrator does.
async fn make_room(cluster: &Cluster) {
    let directory = cluster.control_plane().directory().display().to_string();
    let commands = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let command = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command).replace('\0', " "))
    });
    let etcd =
        commands.into_iter().find(|command| command.contains(&directory) && command.contains("--listen-client-urls="));
    let etcd = etcd.unwrap();
    let url = etcd.split("--listen-client-urls=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |path: &str, body: Value| -> Value {
        let request = client.post(format!("{url}{path}")).body(body.to_string());
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
    };
    let now = ask("/v3/kv/range", json!({"key": "AA=="})).await["header"]["revision"].clone();
    ask("/v3/kv/compaction", json!({"revision": now, "physical": true})).await;
    ask("/v3/maintenance/defragment", json!({})).await;
    let alarm = ask("/v3/maintenance/alarm", json!({"action": "GET"})).await["alarms"][0].clone();
    assert_eq!(alarm["alarm"], "NOSPACE", "{alarm}");
    let disarm = json!({"action": "DEACTIVATE", "memberID": alarm["memberID"], "alarm": "NOSPACE"});
    ask("/v3/maintenance/alarm", disarm).await;
}

#[tokio::test]
async fn it_stops_in_time_whatever_hangs() {
    // In the middle of a wait.
    let mut world = World::new().await;
    let stuck = job("stuck", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: stuck");
    world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1")), ("app/hook.yaml", &stuck)]);
    world.application("waiting", "app", &json!({})).await;
    says(&world, "waiting", &["waiting for completion of hook"]).await;
    let begun = Instant::now();
    assert_eq!(world.daemon.stop(Duration::from_secs(5)), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());

    // Without an API server.
    let (mut world, proxy) = world_behind_a_proxy().await;
    world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1"))]);
    proxy.answer(Method::PATCH, "/configmaps/a", 1000, AWAY);
    world.application("hanging", "app", &json!({})).await;
    eventually("the apply hangs", SOON, async || {
        let tries = proxy.seen().iter().filter(|seen| seen.uri.contains("/configmaps/a")).count();
        if tries > 0 { Ok(()) } else { Err("not tried") }
    })
    .await;
    proxy.set_gone(true);
    world.daemon.stop(Duration::from_secs(5));
}

#[tokio::test]
async fn at_rest_nothing_is_asked_and_a_restart_writes_nothing() {
    let (mut world, proxy) = world_behind_a_proxy().await;
    let head = world
        .repo
        .commit("main", &[("app/a.yaml", &config_map("a", "1")), ("app/web.yaml", &deployment("web", "", ""))]);
    world.application("quiet", "app", &json!({})).await;
    world.synced("quiet", &head).await;
    tokio::time::sleep(A_WHILE).await;
    proxy.seen();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let asked: Vec<_> = proxy.seen().into_iter().filter(|seen| !seen.uri.contains("/leases")).collect();
    // A watch may end by itself and begin anew; nothing else may.
    let asked: Vec<_> = asked.into_iter().filter(|seen| !seen.uri.contains("watch=")).collect();
    assert_eq!(asked, [], "at rest");

    let before = world.control.object("application.argoproj.io/quiet").await.unwrap();
    world.daemon.stop(Duration::from_secs(5));
    proxy.seen();
    world.daemon.restart().await;
    world.daemon.ready().await;
    tokio::time::sleep(A_WHILE).await;
    let is_write = |seen: &harness::Seen| {
        seen.method != Method::GET && !seen.uri.contains("dryRun") && !seen.uri.contains("/leases")
    };
    let writes: Vec<_> = proxy.seen().into_iter().filter(is_write).collect();
    assert_eq!(writes, [], "after a restart");
    let after = world.control.object("application.argoproj.io/quiet").await.unwrap();
    assert_eq!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);

    // And it still sees what changes.
    world.shop.kubectl(["delete", "configmap", "a"]).await.unwrap();
    world.there("configmap/a").await;
}

#[tokio::test]
async fn one_daemon_leads_and_another_takes_over() {
    let mut world = World::new().await;
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1"))]);
    world.application("led", "app", &json!({})).await;
    world.synced("led", &head).await;
    let mut second = Daemon::start(world.cluster, world.control.name(), DaemonOptions::default()).await;
    eventually("the second one waits", SOON, async || {
        let log = second.log();
        if log.contains("Another daemon leads") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(second.get("/readyz").await.unwrap().0, 503, "it is not ready");

    // A clean end hands over at once.
    let begun = Instant::now();
    assert_eq!(world.daemon.stop(Duration::from_secs(5)), Some(0));
    second.ready().await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "2"))]);
    world.synced("led", &head).await;

    // A sudden end once the lease has expired.
    world.daemon.restart().await;
    second.kill();
    world.daemon.ready().await;
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "3"))]);
    world.synced("led", &head).await;
    world.field("configmap/a", "{.data.value}", "3").await;
}

#[tokio::test]
async fn who_is_cut_off_writes_nothing_once_another_leads() {
    let (mut world, proxy) = world_behind_a_proxy().await;
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1"))]);
    world.application("cut", "app", &json!({})).await;
    world.synced("cut", &head).await;
    let second = Daemon::start(world.cluster, world.control.name(), DaemonOptions::default()).await;
    eventually("the second one waits", SOON, async || {
        let log = second.log();
        if log.contains("Another daemon leads") { Ok(()) } else { Err(log) }
    })
    .await;
    proxy.set_gone(true);
    // What it would do once it is back.
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "2"))]);
    second.ready().await;
    world.synced("cut", &head).await;
    proxy.seen();
    proxy.set_gone(false);
    eventually("the first one has ended", SOON, async || {
        let log = world.daemon.log();
        if log.contains("lost the lease") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(world.daemon.stop(Duration::from_secs(5)), Some(1));
    let writes: Vec<_> = proxy.seen().into_iter().filter(|seen| seen.method != Method::GET).collect();
    assert_eq!(writes, [], "after another has taken over");
}

#[tokio::test]
async fn killed_at_any_moment_it_loses_nothing_and_runs_no_hook_twice() {
    let mut world = World::new().await;
    let hooks = |round: usize| {
        let policy = "argocd.argoproj.io/hook-delete-policy: HookSucceeded";
        let (before, after) = (format!("before-{round}"), format!("after-{round}"));
        [
            (
                format!("app/{before}.yaml"),
                job(&before, "argocd.argoproj.io/hook: PreSync", "leeboard.test/delay: 200ms"),
            ),
            (
                format!("app/{after}.yaml"),
                job(&after, &format!("argocd.argoproj.io/hook: PostSync, {policy}"), "leeboard.test/delay: 200ms"),
            ),
        ]
    };
    let wave = |n: i32| format!("argocd.argoproj.io/sync-wave: \"{n}\"");
    let mut pods = BTreeMap::new();
    let watch = watch_jobs(&world);
    let mut random = u64::from_str_radix(&random_suffix(), 16).unwrap();
    let rounds = 15;
    let mut head = String::new();
    for round in 0..rounds {
        let value = round.to_string();
        let mut files = vec![
            ("app/first.yaml".to_owned(), annotated_config_map("first", &value, &wave(-1))),
            ("app/second.yaml".to_owned(), annotated_config_map("second", &value, &wave(0))),
            ("app/third.yaml".to_owned(), annotated_config_map("third", &value, &wave(1))),
        ];
        files.extend(hooks(round));
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        if round > 0 {
            let old = hooks(round - 1).map(|(path, _)| path);
            world.repo.git(&["rm", "--quiet", &old[0], &old[1]]);
        }
        head = world.repo.commit("main", &files);
        if round == 0 {
            world.application("killed", "app", &json!({})).await;
        }
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        tokio::time::sleep(Duration::from_millis(50 + (random >> 33) % 1200)).await;
        world.daemon.kill();
        world.daemon.restart().await;
        if round % 3 == 2 {
            world.synced("killed", &head).await;
        }
    }
    world.synced("killed", &head).await;
    for object in ["configmap/first", "configmap/second", "configmap/third"] {
        world.field(object, "{.data.value}", &(rounds - 1).to_string()).await;
    }
    let last = rounds - 1;
    world.there(&format!("job/before-{last}")).await;
    world.gone(&format!("job/after-{last}")).await;
    for (name, uid) in watch.await.unwrap_or_default() {
        pods.entry(name).or_insert_with(std::collections::BTreeSet::new).insert(uid);
    }
    let twice: Vec<_> = pods.iter().filter(|(_, uids)| uids.len() > 1).collect();
    assert!(twice.is_empty(), "hooks that ran to success twice for one commit: {twice:?}\n{}", world.tail());
    assert!(pods.len() > 3, "hooks were seen: {pods:?}");
}

/// Names and uids of all Jobs that completed, from now on until the Job `after-14` has gone.
fn watch_jobs(world: &World) -> tokio::task::JoinHandle<Vec<(String, String)>> {
    use k8s_openapi::api::batch::v1::Job;
    let cluster = world.cluster;
    let namespace = world.shop.name().to_owned();
    tokio::spawn(async move {
        let jobs: kube::Api<Job> = kube::Api::namespaced(cluster.client().await, &namespace);
        let mut seen = Vec::new();
        let mut had_last = false;
        loop {
            let listed = jobs.list(&Default::default()).await.unwrap();
            for job in &listed.items {
                let name = job.metadata.name.clone().unwrap_or_default();
                had_last |= name == "after-14";
                if job.status.as_ref().is_some_and(|status| status.succeeded == Some(1)) {
                    seen.push((name, job.metadata.uid.clone().unwrap_or_default()));
                }
            }
            if had_last && !listed.items.iter().any(|job| job.metadata.name.as_deref() == Some("after-14")) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    })
}

// ---------------------------------------------------------------------------------------------------- what is deleted

#[tokio::test]
async fn much_at_once_is_not_pruned_without_a_word() {
    let world = World::new().await;
    let names: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
    let files: Vec<_> = names.iter().map(|name| (format!("app/{name}.yaml"), config_map(name, "1"))).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let head = world.repo.commit("main", &files);
    world.application("shrinking", "app", &json!({})).await;
    world.synced("shrinking", &head).await;
    let dropped: Vec<_> = names[..6].iter().map(|name| format!("app/{name}.yaml")).collect();
    world.repo.remove("main", &dropped.iter().map(String::as_str).collect::<Vec<_>>());
    let status = world.complains("shrinking", "SyncError", "6 of 8 objects would be pruned").await;
    tokio::time::sleep(A_WHILE).await;
    for name in &names {
        world.there(&format!("configmap/{name}")).await;
    }
    let message =
        status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "SyncError").unwrap()["message"]
            .as_str()
            .unwrap()
            .to_owned();
    let (_, wanted) = message.split_once("annotation ").unwrap();
    let (name, value) = wanted.split_once(": ").unwrap();
    annotate(&world, "shrinking", &format!("{name}={value}")).await;
    for name in &names[..6] {
        world.gone(&format!("configmap/{name}")).await;
    }
    world.there("configmap/c7").await;
    world.until("shrinking", "in sync", |s| s["sync"]["status"] == "Synced" && s["conditions"].is_null()).await;
}

#[tokio::test]
async fn an_application_is_not_emptied_without_a_word() {
    let world = World::new().await;
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1")), ("app/.keep", "")]);
    world.application("emptied", "app", &json!({})).await;
    world.synced("emptied", &head).await;
    world.repo.remove("main", &["app/a.yaml"]);
    world.complains("emptied", "SyncError", "auto-sync will wipe out all resources").await;
    tokio::time::sleep(A_WHILE).await;
    world.there("configmap/a").await;
    patch(&world, "emptied", &json!({"spec": {"syncPolicy": {"automated": {"allowEmpty": true}}}})).await;
    world.gone("configmap/a").await;
}

#[tokio::test]
async fn objects_have_a_say_in_their_deletion() {
    let world = World::new().await;
    let option = |option: &str| format!("argocd.argoproj.io/sync-options: {option}");
    let head = world.repo.commit(
        "main",
        &[
            ("app/a.yaml", &config_map("stays", "1")),
            ("app/never.yaml", &annotated_config_map("never", "1", &option("Prune=false"))),
            ("app/asked.yaml", &annotated_config_map("asked", "1", &option("Prune=confirm"))),
        ],
    );
    world.application("choosy", "app", &json!({})).await;
    world.synced("choosy", &head).await;
    world.repo.remove("main", &["app/never.yaml"]);
    world
        .until("choosy", "pruning is withheld", |status| {
            let results = status["operationState"]["syncResult"]["resources"].as_array().cloned().unwrap_or_default();
            results
                .iter()
                .any(|r| r["name"] == "never" && r["status"] == "PruneSkipped" && r["message"] == "ignored (no prune)")
        })
        .await;
    // Withheld is withheld: it is not tried over and over.
    let history = world.status("choosy").await.unwrap()["operationState"].clone();
    tokio::time::sleep(A_WHILE * 2).await;
    assert_eq!(world.status("choosy").await.unwrap()["operationState"], history);
    world.there("configmap/never").await;

    world.repo.remove("main", &["app/asked.yaml"]);
    says(&world, "choosy", &["waiting for pruning confirmation of", "asked"]).await;
    world.there("configmap/asked").await;
    let time = k8s_openapi::jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    annotate(&world, "choosy", &format!("argocd.argoproj.io/deletion-approved={time}")).await;
    world.gone("configmap/asked").await;
    world.there("configmap/stays").await;
}

#[tokio::test]
async fn what_is_to_be_pruned_last_goes_after_all_else() {
    let world = World::new().await;
    let last = annotated_config_map("last", "1", "argocd.argoproj.io/sync-options: PruneLast=true");
    let wave = "argocd.argoproj.io/sync-wave: \"3\"";
    let files = [
        ("app/first.yaml", &*config_map("first", "1")),
        ("app/last.yaml", &*last),
        ("app/late.yaml", &*annotated_config_map("late", "1", wave)),
    ];
    let head = world.repo.commit("main", &files);
    world.application("ordered", "app", &json!({})).await;
    world.synced("ordered", &head).await;
    std::fs::write(world.repo.clone_path().join("app/late.yaml"), annotated_config_map("late", "2", wave)).unwrap();
    let head = world.repo.remove("main", &["app/first.yaml", "app/last.yaml"]);
    let status = world.synced("ordered", &head).await;
    let results = status["operationState"]["syncResult"]["resources"].as_array().unwrap();
    let result = |r: &Value| format!("{} {}", r["status"].as_str().unwrap(), r["name"].as_str().unwrap());
    let order: Vec<_> = results.iter().map(result).collect();
    assert_eq!(order, ["Pruned first", "Synced late", "Pruned last"]);
    world.gone("configmap/last").await;
}

#[tokio::test]
async fn an_object_that_moves_to_another_application_is_never_deleted() {
    let world = World::new().await;
    let moved = config_map("moved", "1");
    let files =
        [("one/a.yaml", config_map("a", "1")), ("one/moved.yaml", moved.clone()), ("two/b.yaml", config_map("b", "1"))];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let head = world.repo.commit("main", &files);
    world.application("one", "one", &json!({})).await;
    world.application("two", "two", &json!({})).await;
    world.synced("one", &head).await;
    world.synced("two", &head).await;
    let before = world.there("configmap/moved").await["metadata"]["uid"].clone();
    world.repo.git(&["mv", "one/moved.yaml", "two/moved.yaml"]);
    let head = world.repo.commit("main", &[]);
    world.synced("two", &head).await;
    world
        .until("one", "in sync without it", |status| {
            status["sync"]["status"] == "Synced" && status["resources"].as_array().is_some_and(|all| all.len() == 1)
        })
        .await;
    let after = world.there("configmap/moved").await;
    assert_eq!(after["metadata"]["uid"], before, "it is the same object");
    let tracking = after["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].as_str().unwrap();
    assert!(tracking.starts_with("two:"), "{tracking}");
}

// ---------------------------------------------------------------------------------------------------- what is asked for

#[tokio::test]
async fn what_kubectl_has_applied_is_adopted() {
    let world = World::new().await;
    let mut old = deployment("web", "", "");
    old = old.replace("metadata: {name: web, annotations: {}}", "metadata: {name: web, labels: {old: \"yes\"}}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yaml");
    std::fs::write(&file, old).unwrap();
    world.shop.kubectl(["apply", "-f", file.to_str().unwrap()]).await.unwrap();
    let before = world.there("deployment/web").await["metadata"]["uid"].clone();
    let head = world.repo.commit("main", &[("app/web.yaml", &deployment("web", "", ""))]);
    world.application("adopted", "app", &json!({})).await;
    world.synced("adopted", &head).await;
    let after = world.there("deployment/web").await;
    assert_eq!(after["metadata"]["uid"], before);
    assert_eq!(after["metadata"]["labels"]["old"], Value::Null, "what git does not have is gone");
}

#[tokio::test]
async fn replace_leaves_nothing_that_git_does_not_have() {
    let world = World::new().await;
    let replace = "argocd.argoproj.io/sync-options: Replace=true";
    let head = world.repo.commit("main", &[("app/a.yaml", &annotated_config_map("a", "1", replace))]);
    world.application("replaced", "app", &json!({})).await;
    world.synced("replaced", &head).await;
    let mine = r#"{"data":{"mine":"yes"}}"#;
    world.shop.kubectl(["patch", "configmap", "a", "--type=merge", "-p", mine]).await.unwrap();
    let head = world.repo.commit("main", &[("app/a.yaml", &annotated_config_map("a", "2", replace))]);
    world.synced("replaced", &head).await;
    world.field("configmap/a", "{.data}", r#"{"value":"2"}"#).await;
}

#[tokio::test]
async fn a_person_syncs_as_they_like() {
    let world = World::new().await;
    world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1")), ("app/b.yaml", &config_map("b", "1"))]);
    world.application("manual", "app", &json!({"syncPolicy": null})).await;
    world.until("manual", "out of sync", |status| status["sync"]["status"] == "OutOfSync").await;

    world.operate("manual", &json!({"dryRun": true})).await;
    let status = ended(&world, "manual", "Succeeded", &[]).await;
    assert_eq!(status["operationState"]["operation"]["sync"]["dryRun"], true);
    assert!(world.shop.object("configmap/a").await.is_err(), "a dry run changes nothing");
    assert_eq!(status["history"], Value::Null);

    world.operate("manual", &json!({"resources": [{"kind": "ConfigMap", "name": "b"}]})).await;
    world.there("configmap/b").await;
    world
        .until("manual", "done", |status| {
            status["operationState"]["operation"]["sync"]["resources"][0]["name"] == "b"
                && status["operationState"]["phase"] == "Succeeded"
        })
        .await;
    assert!(world.shop.object("configmap/a").await.is_err(), "only what was selected");

    annotate(&world, "manual", "argocd.argoproj.io/refresh=hard").await;
    eventually("the refresh is done", SOON, async || {
        let object = world.control.object("application.argoproj.io/manual").await?;
        match &object["metadata"]["annotations"]["argocd.argoproj.io/refresh"] {
            Value::Null => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_sync_is_ended_by_a_person() {
    let world = World::new().await;
    let stuck = job("stuck", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: stuck");
    world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1")), ("app/hook.yaml", &stuck)]);
    world.application("endless", "app", &json!({})).await;
    says(&world, "endless", &["waiting for completion of hook", "stuck"]).await;
    patch(&world, "endless", &json!({"status": {"operationState": {"phase": "Terminating"}}})).await;
    ended(&world, "endless", "Failed", &["Operation terminated"]).await;
    world.gone("job/stuck").await;
    assert!(world.shop.object("configmap/a").await.is_err(), "what came after was not begun");
}

#[tokio::test]
async fn after_a_failed_hook_those_for_failures_run() {
    let world = World::new().await;
    let failing = job("failing", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: fail");
    let cleanup = job("cleanup", "argocd.argoproj.io/hook: SyncFail", "");
    world.repo.commit(
        "main",
        &[("app/a.yaml", &config_map("a", "1")), ("app/failing.yaml", &failing), ("app/cleanup.yaml", &cleanup)],
    );
    world.application("failing", "app", &no_retry()).await;
    ended(&world, "failing", "Failed", &["one or more synchronization tasks completed unsuccessfully"]).await;
    world.field("job/cleanup", "{.status.succeeded}", "1").await;
    assert!(world.shop.object("configmap/a").await.is_err(), "what came after was not begun");
    let head = world.repo.commit("main", &[("app/failing.yaml", &failing.replace("outcome: fail", "outcome: fine"))]);
    world.synced("failing", &head).await;
}

#[tokio::test]
async fn killed_after_a_failure_it_does_not_call_it_a_success() {
    let mut world = World::new().await;
    let failing = job("failing", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: fail");
    let cleanup = job("cleanup", "argocd.argoproj.io/hook: SyncFail", "leeboard.test/delay: 2500ms");
    let files =
        [("app/a.yaml", &*config_map("a", "1")), ("app/failing.yaml", &*failing), ("app/cleanup.yaml", &*cleanup)];
    world.repo.commit("main", &files);
    world.application("failed", "app", &no_retry()).await;
    let before = world.there("job/cleanup").await["metadata"]["uid"].clone();
    world.daemon.kill();
    world.daemon.restart().await;
    ended(&world, "failed", "Failed", &["one or more synchronization tasks completed unsuccessfully"]).await;
    let after = world.there("job/cleanup").await;
    assert_eq!((&after["metadata"]["uid"], &after["status"]["succeeded"]), (&before, &json!(1)), "it ran once");
    assert!(world.shop.object("configmap/a").await.is_err(), "what came after was not begun");
}

#[tokio::test]
async fn hands_off_means_hands_off() {
    let world = World::new().await;
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1"))]);
    world.application("skipped", "app", &json!({})).await;
    world.synced("skipped", &head).await;
    annotate(&world, "skipped", "argocd.argoproj.io/skip-reconcile=true").await;
    let before = world.control.object("application.argoproj.io/skipped").await.unwrap();
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "2"))]);
    world.shop.kubectl(["delete", "configmap", "a"]).await.unwrap();
    tokio::time::sleep(A_WHILE).await;
    assert!(world.shop.object("configmap/a").await.is_err());
    let after = world.control.object("application.argoproj.io/skipped").await.unwrap();
    assert_eq!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"], "not even its status");
    annotate(&world, "skipped", "argocd.argoproj.io/skip-reconcile-").await;
    world.synced("skipped", &head).await;
}

#[tokio::test]
async fn metrics_show_how_it_is() {
    let world = World::new().await;
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "1"))]);
    world.application("measured", "app", &json!({})).await;
    world.synced("measured", &head).await;
    let (_, text) = world.daemon.get("/metrics").await.unwrap();
    for expected in [
        r#"leeboard_applications{sync="Synced",health="Healthy"} 1"#,
        r#"leeboard_queue_depth{priority="person"} 0"#,
        r#"leeboard_api_requests_total{verb="apply",code="200"}"#,
        r#"leeboard_syncs_total{phase="Succeeded"} 1"#,
        r#"leeboard_apply_duration_seconds_count{result="ok"} 1"#,
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
}
