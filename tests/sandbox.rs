//! The control plane that all tests against Kubernetes rest on.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use leeboard::sandbox::{Binaries, ControlPlane, Controllers, Directory, Options, Pods};

mod harness;

use harness::{Cluster, Repo, eventually};

#[tokio::test]
async fn a_deployment_becomes_ready_and_a_job_completes() {
    let cluster = Cluster::shared().await;
    let shop = cluster.namespace("shop").await;
    shop.apply(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.example/web:1}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: migrate, image: registry.example/migrate:1}]}
",
    )
    .await;
    eventually("three pods are ready and the job is complete", Duration::from_secs(20), async || {
        let ready = shop.field("deployment/web", "{.status.readyReplicas}").await?;
        let succeeded = shop.field("job/migrate", "{.status.succeeded}").await?;
        if (ready.as_str(), succeeded.as_str()) == ("3", "1") {
            Ok(())
        } else {
            Err(format!("{ready} ready, {succeeded} succeeded"))
        }
    })
    .await;
}

#[tokio::test]
async fn pods_have_the_fate_that_their_annotations_say() {
    let cluster = Cluster::shared().await;
    let shop = cluster.namespace("fates").await;
    let cases = [
        // outcome       reason of the container's wait, or its phase
        ("crash", "{.status.containerStatuses[0].state.waiting.reason}", "CrashLoopBackOff"),
        ("pull-error", "{.status.containerStatuses[0].state.waiting.reason}", "ImagePullBackOff"),
        ("stuck", "{.status.phase}", "Pending"),
        ("fail", "{.status.phase}", "Failed"),
    ];
    for (outcome, _, _) in cases {
        shop.apply(&format!(
            "
apiVersion: v1
kind: Pod
metadata: {{name: {outcome}, annotations: {{leeboard.test/outcome: {outcome}}}}}
spec: {{restartPolicy: Never, containers: [{{name: web, image: registry.example/web:1}}]}}
"
        ))
        .await;
    }
    for (outcome, path, expected) in cases {
        eventually(&format!("the pod `{outcome}` says {expected}"), Duration::from_secs(20), async || {
            let found = shop.field(&format!("pod/{outcome}"), path).await?;
            if found == expected { Ok(()) } else { Err(found) }
        })
        .await;
    }
}

#[tokio::test]
async fn what_the_sandbox_lacks_is_played() {
    let cluster = Cluster::shared().await;
    let shop = cluster.namespace("played").await;
    shop.apply(
        "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, ports: [{port: 80}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {minReplicas: 2, maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: web}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
",
    )
    .await;
    let cases = [
        // object    path                                                             what a controller would say
        ("ingress/web", "{.status.loadBalancer.ingress[0].ip}", "198.19.0.1"),
        ("service/web", "{.status.loadBalancer.ingress[0].ip}", "198.19.0.2"),
        (
            "horizontalpodautoscaler/web",
            "{.status.conditions[1].reason} {.status.desiredReplicas}",
            "ValidMetricFound 2",
        ),
        ("persistentvolumeclaim/web", "{.status.phase}", "Bound"),
    ];
    for (object, path, expected) in cases {
        eventually(&format!("{object} says {expected}"), Duration::from_secs(20), async || {
            let found = shop.field(object, path).await?;
            if found == expected { Ok(()) } else { Err(found) }
        })
        .await;
    }
}

#[tokio::test]
async fn rights_are_enforced() {
    let cluster = Cluster::shared().await;
    let shop = cluster.namespace("rights").await;
    let plain = cluster.control_plane().plain_kubeconfig();
    let list = ["get", "configmaps", "--namespace", shop.name()];
    let refused = cluster.kubectl_as(&plain, list).await.unwrap_err();
    assert!(refused.contains("User \"plain\" cannot list resource \"configmaps\""), "{refused}");

    let grant = ["create", "rolebinding", "view", "--clusterrole=view", "--user=plain", "--namespace", shop.name()];
    cluster.kubectl(grant).await.unwrap();
    eventually("the binding counts", Duration::from_secs(10), async || cluster.kubectl_as(&plain, list).await).await;

    shop.kubectl(["create", "serviceaccount", "robot"]).await.unwrap();
    let token = shop.kubectl(["create", "token", "robot"]).await.unwrap();
    let robot = cluster.control_plane().kubeconfig_for("robot", token.trim()).unwrap();
    let refused = cluster.kubectl_as(&robot, list).await.unwrap_err();
    let user = format!("system:serviceaccount:{}:robot", shop.name());
    assert!(refused.contains(&user), "{refused}");
}

#[tokio::test]
async fn several_run_side_by_side_each_with_what_it_was_asked_for() {
    let binaries = Binaries::find_or_build(|_| {}).unwrap();
    let bare = Options { pods: Pods::Pending, controllers: Controllers::Absent, ..Options::default() };
    let flagged = Options { api_server_flags: vec!["--max-requests-inflight=123".into()], ..bare.clone() };
    let (one, two) = tokio::join!(ControlPlane::start(&binaries, bare), ControlPlane::start(&binaries, flagged));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.server_url(), two.server_url());
    assert!(one.version().starts_with("v1."), "{}", one.version());
    for (control_plane, expected) in [(&one, false), (&two, true)] {
        let log = fs::read_to_string(control_plane.log("kube-apiserver")).unwrap();
        let command = format!("{log}{}", command_lines(control_plane.directory()).join("\n"));
        assert_eq!(command.contains("--max-requests-inflight=123"), expected);
    }
}

#[tokio::test]
async fn its_api_server_can_be_restarted_and_its_directory_be_kept() {
    let binaries = Binaries::find_or_build(|_| {}).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control-plane");
    let options = || Options { directory: Directory::Kept(path.clone()), ..Options::default() };

    let mut first = ControlPlane::start(&binaries, options()).await.unwrap();
    let kubectl = |arguments: &[&str]| {
        let output =
            Command::new(&binaries.kubectl).arg("--kubeconfig").arg(path.join("kubeconfig")).args(arguments).output();
        let output = output.unwrap();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    };
    kubectl(&["create", "configmap", "kept"]).unwrap();
    let url = first.server_url();
    first.stop_api_server().unwrap();
    assert!(kubectl(&["get", "configmap", "kept"]).is_err());
    first.start_api_server().await.unwrap();
    assert_eq!(first.server_url(), url);
    kubectl(&["get", "configmap", "kept"]).unwrap();
    let in_use = ControlPlane::start(&binaries, options()).await.unwrap_err();
    assert!(in_use.to_string().starts_with("another control plane runs in"), "{in_use}");
    first.stop().unwrap();
    assert_eq!(command_lines(&path), [""; 0]);

    let _second = ControlPlane::start(&binaries, options()).await.unwrap();
    kubectl(&["get", "configmap", "kept"]).unwrap();
    kubectl(&["wait", "node/node-1", "--for=condition=Ready", "--timeout=10s"]).unwrap();
}

#[tokio::test]
async fn a_server_that_ends_is_named_with_its_last_words() {
    let binaries = Binaries::find_or_build(|_| {}).unwrap();
    let options = Options { api_server_flags: vec!["--no-such-flag".into()], ..Options::default() };
    let error = ControlPlane::start(&binaries, options).await.unwrap_err().to_string();
    assert!(error.starts_with("kube-apiserver ended: ") && error.contains("--no-such-flag"), "{error}");
}

#[tokio::test]
async fn a_directory_with_something_else_is_not_touched() {
    let binaries = Binaries::find_or_build(|_| {}).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "Dear Sir").unwrap();
    let options = Options { directory: Directory::Removed(folder.path().into()), ..Options::default() };
    let error = ControlPlane::start(&binaries, options).await.unwrap_err().to_string();
    assert!(error.ends_with("exists and is not a control plane's directory"), "{error}");
    assert!(folder.path().join("letter.txt").exists());
}

/// Where [`victim`] starts its control plane.
const DIRECTORY_OF_VICTIM: &str = "LEEBOARD_TEST_VICTIM";

#[tokio::test]
#[ignore = "no test: the next one runs it in a process of its own, to have something to kill"]
async fn victim() {
    let path = std::env::var_os(DIRECTORY_OF_VICTIM).unwrap();
    let binaries = Binaries::find_or_build(|_| {}).unwrap();
    let options = Options { directory: Directory::Removed(path.into()), ..Options::default() };
    let control_plane = ControlPlane::start(&binaries, options).await.unwrap();
    fs::write(control_plane.directory().join("up"), "").unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn nothing_is_left_behind_by_a_process_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("victim");
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--ignored"])
        .env(DIRECTORY_OF_VICTIM, &path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the victim's control plane is up", Duration::from_secs(60), async || {
        if path.join("up").exists() { Ok(()) } else { Err("not yet") }
    })
    .await;
    // etcd, API server, controller manager, scheduler, kwok, each below a supervisor, and who removes the directory.
    let running = command_lines(&path);
    assert_eq!(running.iter().filter(|line| !line.starts_with("sh ")).count(), 5, "{running:#?}");

    victim.kill().unwrap();
    victim.wait().unwrap();

    let killed = Instant::now();
    eventually("nothing is left", Duration::from_secs(2), async || {
        let left = command_lines(&path);
        if left.is_empty() && !path.exists() { Ok(()) } else { Err(left.join("\n")) }
    })
    .await;
    println!("gone after {:?}", killed.elapsed());
}

#[test]
fn a_repository_changes_as_people_change_it() {
    let repo = Repo::new();
    let first = repo.commit("env/dev", &[("clusters/dev/kustomization.yaml", "resources: []\n"), ("old.yaml", "")]);
    let second = repo.commit("env/dev", &[("apps/web.yaml", "kind: Service\n")]);
    assert_eq!(repo.head("env/dev"), second);
    let history = || repo.git(&["log", "--format=%H", "origin/env/dev"]);
    assert_eq!(history(), format!("{second}\n{first}"));

    let third = repo.remove("env/dev", &["old.yaml"]);
    assert_eq!(repo.git(&["ls-tree", "-r", "--name-only", &third]), "apps/web.yaml\nclusters/dev/kustomization.yaml");

    let other = repo.commit("env/prod", &[("clusters/prod/kustomization.yaml", "resources: []\n")]);
    assert_eq!(repo.git(&["ls-tree", "-r", "--name-only", &other]), "clusters/prod/kustomization.yaml");

    let rewritten = repo.force_push("env/dev", &[("apps/web.yaml", "kind: Pod\n")]);
    assert_eq!(history(), format!("{rewritten}\n{second}\n{first}"));

    repo.delete_branch("env/prod");
    assert_eq!(repo.git(&["ls-remote", "--heads", "origin"]), format!("{rewritten}\trefs/heads/env/dev"));
}

/// The command lines of all processes that have to do with this directory.
fn command_lines(directory: &Path) -> Vec<String> {
    let directory = directory.to_string_lossy();
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let numbered = processes.filter(|path| is_process(path));
    let lines = numbered.flat_map(|path| fs::read(path.join("cmdline")));
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&*directory)).collect()
}

fn is_process(path: &Path) -> bool {
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    name.to_string_lossy().parse::<u32>().is_ok()
}
