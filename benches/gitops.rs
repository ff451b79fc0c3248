//! The figures by which Leeboard is measured, through the real binary on a real API server; prints a table.
//!
//! `cargo bench --bench gitops` runs all; `-- latency` (or `first-sync`, `rest`, `restart`, `large`) runs one. The raw
//! rate of server-side applies is taken in the same run on the same server, so that the ratio means something on any
//! machine; absolute times belong to the machine.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench panics where it can't go on, and prints its result"
)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use leeboard::live::client::{ApplyOptions, Cluster as Client, ListOptions, Options as ClientOptions};
use leeboard::live::record::KindVersion;
use leeboard::live::watch::{Collection, Target, typed};
use leeboard::object::{GroupKind, Object, ObjectKey};
use leeboard::sandbox::{Controllers, Options, Pods};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[path = "../tests/harness/mod.rs"]
mod harness;

use harness::manifests::application;
use harness::{Cluster, Daemon, DaemonOptions, Repo, apply_all};

const APPS: usize = 100;
const OBJECTS: usize = 10;
const LARGE: usize = 500;
const PUSHES: usize = 30;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut bench = Bench::start().await;
        // Before and after: a server that has just started is slower, one that holds more is too.
        let before = bench.raw_rate("before").await;
        let requests = bench.requests().await;
        let rate = bench.first_sync().await;
        let requests = (bench.requests().await - requests) / f64::from(u32::try_from(APPS * OBJECTS).unwrap());
        let raw = f64::midpoint(before, bench.raw_rate("after").await);
        println!("raw server-side apply, 32 in flight         {raw:8.0} objects/s");
        println!(
            "first sync of {APPS} × {OBJECTS}                     {rate:8.0} objects/s   {:.0} % of raw",
            rate / raw * 100.0
        );
        println!("requests for each object                   {requests:8.2}");
        println!("memory after it                            {:8.1} MiB", bench.daemon.memory());
        if is_wanted("rest") {
            let requests = bench.requests_at_rest(Duration::from_secs(60)).await;
            println!(
                "requests at rest in 60 s                   {requests:8.0}             (watches and lease excepted)"
            );
        }
        if is_wanted("latency") {
            let times = bench.latency("app-0", "apps/app-0", OBJECTS).await;
            println!(
                "push by webhook → live, {OBJECTS} objects          p50 {:5.0} ms   p99 {:5.0} ms",
                percentile(&times, 50),
                percentile(&times, 99)
            );
        }
        if is_wanted("large") {
            bench.large().await;
            let times = bench.latency("large", "apps/large", LARGE).await;
            println!(
                "push by webhook → live, one of {LARGE}         p50 {:5.0} ms   p99 {:5.0} ms",
                percentile(&times, 50),
                percentile(&times, 99)
            );
        }
        if is_wanted("restart") {
            let (ready, writes) = bench.restart().await;
            println!(
                "restart with {} objects → ready          {:8.2} s     {writes:.0} writes",
                APPS * OBJECTS,
                ready.as_secs_f64()
            );
        }
        println!("memory at the end                          {:8.1} MiB", bench.daemon.memory());
    });
}

fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)].as_secs_f64() * 1000.0
}

struct Bench {
    cluster: Cluster,
    client: Client,
    repo: Repo,
    daemon: Daemon,
    pushes: usize,
}

const CONTROL: &str = "leeboard";
const TARGET: &str = "bench";

impl Bench {
    async fn start() -> Bench {
        let options = Options { pods: Pods::Pending, controllers: Controllers::Absent, ..Options::default() };
        let cluster = Cluster::start(options).await;
        for namespace in [CONTROL, TARGET, "raw"] {
            cluster.kubectl(["create", "namespace", namespace]).await.unwrap();
        }
        harness::install_crds(&cluster).await;
        let connection = ClientOptions { kubeconfig: Some(cluster.kubeconfig()), context: None };
        let client = Client::connect(connection).await.unwrap();
        let daemon = Daemon::start(&cluster, CONTROL, DaemonOptions::default()).await;
        daemon.ready().await;
        Bench { cluster, client, repo: Repo::new(), daemon, pushes: 0 }
    }

    /// What a bare client reaches with objects of the same kind.
    async fn raw_rate(&self, name: &str) -> f64 {
        let objects: Vec<Object> =
            (0..APPS * OBJECTS).map(|n| object(&config_map("raw", &format!("{name}-{n}"), "0"))).collect();
        let started = Instant::now();
        apply_all(&self.client, &objects, 32, "bare").await;
        rate(objects.len(), started)
    }

    /// From the end of the first `git push`, just before the webhook, until all objects are there. The Applications are
    /// there before, and wait for their branch.
    async fn first_sync(&self) -> f64 {
        let mut files = Vec::new();
        for app in 0..APPS {
            let mut kustomization = format!("namespace: {TARGET}\nresources:\n");
            for n in 0..OBJECTS {
                let name = format!("app-{app}-{n}");
                writeln!(kustomization, "- {name}.yaml").unwrap();
                files.push((format!("apps/app-{app}/{name}.yaml"), config_map(TARGET, &name, "0").to_string()));
            }
            files.push((format!("apps/app-{app}/kustomization.yaml"), kustomization));
        }
        let applications: Vec<Object> = (0..APPS).map(|app| self.application(&format!("app-{app}"))).collect();
        apply_all(&self.client, &applications, 32, "bench").await;
        self.rested().await;
        let target = self.watch_target();
        target.complete(Duration::from_secs(5)).await.unwrap();
        self.commit(&files);
        let started = Instant::now();
        self.tell_of_push().await;
        self.count(&target, APPS * OBJECTS).await;
        let rate = rate(APPS * OBJECTS, started);
        self.rested().await;
        rate
    }

    async fn large(&self) {
        let mut kustomization = format!("namespace: {TARGET}\nresources:\n");
        let mut files = Vec::new();
        for n in 0..LARGE {
            let name = format!("large-{n}");
            writeln!(kustomization, "- {name}.yaml").unwrap();
            files.push((format!("apps/large/{name}.yaml"), config_map(TARGET, &name, "0").to_string()));
        }
        files.push(("apps/large/kustomization.yaml".into(), kustomization));
        self.commit(&files);
        self.client
            .apply(&self.application("large"), &ApplyOptions { force: true, ..ApplyOptions::default() })
            .await
            .unwrap();
        self.count(&self.watch_target(), APPS * OBJECTS + LARGE).await;
        self.rested().await;
    }

    /// From the end of `git push`, just before the webhook, until a reader of the API server sees the change.
    async fn latency(&mut self, app: &str, path: &str, objects: usize) -> Vec<Duration> {
        let mut times = Vec::new();
        for _ in 0..PUSHES {
            self.pushes += 1;
            let name = format!("{app}-{}", self.pushes % objects);
            let value = self.pushes.to_string();
            self.commit(&[(format!("{path}/{name}.yaml"), config_map(TARGET, &name, &value).to_string())]);
            let key = ObjectKey {
                group: "".into(),
                kind: "ConfigMap".into(),
                namespace: Some(TARGET.into()),
                name: name.into(),
            };
            let started = Instant::now();
            self.tell_of_push().await;
            loop {
                let live = self.client.get(&key, "v1").await.unwrap();
                if live["data"]["value"] == value.as_str() {
                    break;
                }
                assert!(started.elapsed() < Duration::from_secs(20), "not live:\n{}", self.daemon.log());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            times.push(started.elapsed());
            self.rested().await;
        }
        times
    }

    /// The webhook of a push.
    async fn tell_of_push(&self) {
        let url = self.repo.url();
        let body = json!({
            "ref": "refs/heads/main", "after": self.repo.head("main"),
            "repository": {"clone_url": url, "html_url": url}, "commits": [],
        });
        let headers = [("X-GitHub-Event", "push"), ("Content-Type", "application/json")];
        self.daemon.post("/api/webhook", &headers, &body.to_string()).await.unwrap();
    }

    async fn requests_at_rest(&self, time: Duration) -> f64 {
        let before = self.requests().await;
        tokio::time::sleep(time).await;
        self.requests().await - before
    }

    async fn restart(&mut self) -> (Duration, f64) {
        self.daemon.kill();
        let before = self.writes().await;
        let started = Instant::now();
        self.daemon.restart().await;
        self.daemon.ready().await;
        let ready = started.elapsed();
        self.rested().await;
        (ready, self.writes().await - before)
    }

    fn application(&self, name: &str) -> Object {
        object(&application(CONTROL, name, &self.repo.url(), &format!("apps/{name}"), TARGET))
    }

    fn commit(&self, files: &[(String, String)]) {
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        self.repo.commit("main", &files);
    }

    /// Watches what is in the target namespace: a reader that lists it again and again would be the load.
    fn watch_target(&self) -> Collection<IgnoredAny> {
        let options = ListOptions { namespace: Some(TARGET.into()), ..ListOptions::default() };
        let target = Target { kind: KindVersion::new(GroupKind::new("", "ConfigMap"), "v1"), options };
        let (collection, work) = typed(self.client.clone(), target, CancellationToken::new());
        tokio::spawn(work);
        collection
    }

    /// Waits until so many objects are there.
    async fn count(&self, target: &Collection<IgnoredAny>, expected: usize) {
        let all_there = async {
            while target.all().len() < expected {
                target.changed().await;
            }
        };
        let answer = tokio::time::timeout(Duration::from_secs(180), all_there).await;
        let found = target.all().len();
        answer.unwrap_or_else(|_| panic!("{found} of {expected} objects\n{}", self.daemon.log()));
    }

    /// Waits until the daemon has sent nothing for half a second.
    async fn rested(&self) {
        let mut last = self.requests().await;
        let mut since = Instant::now();
        while since.elapsed() < Duration::from_millis(500) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = self.requests().await;
            if (now - last).abs() > 0.0 {
                (last, since) = (now, Instant::now());
            }
        }
    }

    /// Requests that the API server has answered: neither watches, nor the lease, nor what it asks itself.
    async fn requests(&self) -> f64 {
        self.sum(|line| !line.contains("verb=\"WATCH\"")).await
    }

    async fn writes(&self) -> f64 {
        self.sum(|line| {
            ["APPLY", "PATCH", "PUT", "POST", "DELETE"].iter().any(|verb| line.contains(&format!("verb=\"{verb}\"")))
                && line.contains("dry_run=\"\"")
        })
        .await
    }

    async fn sum(&self, counts: impl Fn(&str) -> bool) -> f64 {
        let metrics = self.cluster.kubectl(["get", "--raw", "/metrics"]).await.unwrap();
        let kinds = ["configmaps", "applications", "appprojects", "environments", "events", "secrets", "namespaces"];
        metrics
            .lines()
            .filter(|line| line.starts_with("apiserver_request_total{"))
            .filter(|line| kinds.iter().any(|kind| line.contains(&format!("resource=\"{kind}\""))) && counts(line))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

fn rate(objects: usize, started: Instant) -> f64 {
    f64::from(u32::try_from(objects).unwrap()) / started.elapsed().as_secs_f64()
}

fn object(body: &Value) -> Object {
    Object::from_value(body.clone(), None).unwrap()
}

fn config_map(namespace: &str, name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": name, "tier": "bench"}},
        "data": {"value": value, "settings": "colour = blue\nsize = large\nspeed = high\n"},
    })
}
