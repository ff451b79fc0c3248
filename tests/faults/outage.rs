//! An API server that is busy, full or gone.

use std::time::{Duration, Instant};

use http::Method;
use leeboard::sandbox::{Controllers, Options, Pods};
use serde_json::{Value, json};

use super::{AWAY, BUSY, FULL, world_behind_a_proxy};
use crate::harness::manifests::{application, config_map};
use crate::harness::{A_WHILE, Cluster, Daemon, DaemonOptions, Repo, SOON, established, eventually};

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

#[tokio::test]
async fn a_long_outage_of_the_api_server_is_neither_a_storm_nor_a_loss() {
    let (world, proxy) = world_behind_a_proxy().await;
    let files = ["a", "b", "c"].map(|name| (format!("app/{name}.yaml"), config_map(name, "1")));
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let head = world.repo.commit("main", &files);
    world.application("outlived", "app", &json!({})).await;
    world.synced("outlived", &head).await;
    let uid = async |name: &str| world.there(&format!("configmap/{name}")).await["metadata"]["uid"].clone();
    let before = (uid("a").await, uid("c").await);

    let lines = world.daemon.log().lines().count();
    proxy.set_gone(true);
    world.shop.kubectl(["delete", "configmap", "b"]).await.unwrap();
    let head = world.repo.commit("main", &[("app/a.yaml", &config_map("a", "2"))]);
    tokio::time::sleep(LONG).await;
    let (tries, log) = (proxy.turned_away(), world.daemon.log());
    let said: Vec<_> = log.lines().skip(lines).collect();
    // A dozen watches, the lease and the sync each come back every ten seconds at the least.
    assert!((1..300).contains(&tries), "{tries} tries in {LONG:?}");
    assert!(said.len() < 15, "{} lines in {LONG:?}:\n{}", said.len(), said.join("\n"));

    proxy.set_gone(false);
    let back = Instant::now();
    world.synced("outlived", &head).await;
    world.field("configmap/a", "{.data.value}", "2").await;
    world.there("configmap/b").await;
    assert!(back.elapsed() < Duration::from_secs(15), "{:?}\n{}", back.elapsed(), world.daemon.log());
    assert_eq!((uid("a").await, uid("c").await), before, "nothing was pruned");
    assert_eq!(world.daemon.get("/readyz").await.unwrap().0, 200);
}

/// Longer than all back-offs, than a lease is valid, and than a request is tried.
const LONG: Duration = Duration::from_secs(65);

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
        established(&cluster).await;
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
