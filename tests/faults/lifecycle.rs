//! The life of a daemon: at rest, at its end, killed, and with another one beside it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use super::{AWAY, ended, no_retry, says, world_behind_a_proxy};
use crate::harness::manifests::{annotated_config_map, config_map, deployment, job};
use crate::harness::{A_WHILE, Daemon, DaemonOptions, SOON, Seen, World, eventually, random_suffix};

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
    let is_write =
        |seen: &Seen| seen.method != Method::GET && !seen.uri.contains("dryRun") && !seen.uri.contains("/leases");
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
