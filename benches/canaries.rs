//! What a thousand canaries cost, and how fast one is; through the real binary on a real API server, with pods that are
//! played. Prints a table.
//!
//! `cargo bench --bench canaries` runs all; `-- idle` or `-- steps` runs one.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench panics where it can't go on, and prints its result"
)]

use std::time::{Duration, Instant};

use leeboard::live::client::{Cluster as Client, ListOptions, Options as ClientOptions};
use leeboard::live::record::KindVersion;
use leeboard::live::watch::{Collection, Item, Target, typed};
use leeboard::object::{GroupKind, Object};
use leeboard::sandbox::{Definitions, Options, Pods};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[path = "../tests/harness/mod.rs"]
mod harness;
#[path = "../tests/canary_cluster/sink.rs"]
#[allow(dead_code, unreachable_pub, reason = "tests ask it more")]
mod sink;

use harness::{Cluster, Daemon, DaemonOptions, apply_all, install_crds, report};
use sink::Sink;

/// As many as the figures ask for; `CANARIES` takes fewer on a small machine.
const IDLE: usize = 1000;
/// At once under way.
const STEPPING: usize = 5;
const REST: Duration = Duration::from_secs(60);
/// Until all are initialized: most of it is the API server's work.
const INITIALIZING: Duration = Duration::from_secs(900);
const CONTROL: &str = "leeboard";

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let bench = Bench::start().await;
        if is_wanted("idle") {
            let many = std::env::var("CANARIES").ok().map_or(IDLE, |many| many.parse().unwrap());
            let none = bench.rest().await;
            let took = bench.initialize(many).await;
            println!("{many} canaries initialized in                {:8.0} s", took.as_secs_f64());
            let all = bench.rest().await;
            println!("requests in {REST:?} at rest: none, {many}     {:8.0} {:8.0}", none.requests, all.requests);
            println!("CPU in {REST:?} at rest: none, {many}          {:8.0} {:8.0} ms", none.cpu, all.cpu);
            println!("memory: none, {many}                         {:8.1} {:8.1} MiB", none.memory, all.memory);
        }
        if is_wanted("steps") {
            let mut times = bench.steps().await;
            times.sort();
            let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
            println!(
                "metric answered → route changed, {} steps  p50 {:5.0} ms   p99 {:5.0} ms   most {:5.0} ms",
                times.len(),
                at(50),
                at(99),
                at(100)
            );
        }
    });
}

/// What a daemon takes while nothing happens.
struct Rest {
    requests: f64,
    /// Milliseconds.
    cpu: f64,
    /// MiB.
    memory: f64,
}

struct Bench {
    client: Client,
    daemon: Daemon,
    sink: Sink,
    /// Last: it goes when all else has gone.
    cluster: Cluster,
}

impl Bench {
    async fn start() -> Bench {
        let pods = Pods::Played { nodes: 40 };
        let controller_flags = ["--kube-api-qps=1000", "--kube-api-burst=1000"].map(str::to_owned).into();
        let cluster = Cluster::start(Options { pods, controller_flags, ..Options::default() }).await;
        cluster.kubectl(["create", "namespace", CONTROL]).await.unwrap();
        install_crds(&cluster).await;
        let definitions = tokio::task::spawn_blocking(|| Definitions::find_or_download(report)).await.unwrap().unwrap();
        for file in &definitions.files {
            let text = std::fs::read_to_string(file).unwrap();
            if text.contains("httproutes.gateway.networking.k8s.io") {
                cluster.apply(&text, [""; 0]).await;
            }
        }
        let connection = ClientOptions { kubeconfig: Some(cluster.kubeconfig()), context: None };
        let client = Client::connect(connection).await.unwrap();
        let daemon = Daemon::start(&cluster, CONTROL, DaemonOptions::default()).await;
        daemon.ready().await;
        Bench { client, daemon, sink: Sink::start().await, cluster }
    }

    /// Makes so many canaries, each in front of a Deployment of one pod, and waits until all are initialized.
    async fn initialize(&self, many: usize) -> Duration {
        let begun = Instant::now();
        let names: Vec<String> = (0..many).map(|n| format!("web-{n}")).collect();
        self.cluster.kubectl(["create", "namespace", "idle"]).await.unwrap();
        let canaries = self.watch("flagger.app", "v1beta1", "Canary");
        let objects = names.iter().flat_map(|name| [deployment("idle", name, "web:1"), self.canary("idle", name)]);
        self.apply(objects).await;
        let is_done = |canary: &Value| canary["status"]["phase"] == "Initialized";
        self.wait(&canaries, INITIALIZING, |all| all.iter().filter(|canary| is_done(canary)).count() == many).await;
        let took = begun.elapsed();
        // Pods of the targets still end, and endpoints go with them: that is no rest.
        let mut last = f64::NAN;
        loop {
            let now = self.requests().await;
            if (now - last).abs() < 0.5 {
                return took;
            }
            last = now;
            tokio::time::sleep(Duration::from_secs(15)).await;
        }
    }

    /// From the answer of the metric that a step asks for last until a reader sees the route that follows from it.
    async fn steps(&self) -> Vec<Duration> {
        let routes = self.watch("gateway.networking.k8s.io", "v1", "HTTPRoute");
        let canaries = self.watch("flagger.app", "v1beta1", "Canary");
        let names: Vec<String> = (0..STEPPING).map(|n| format!("steps-{n}")).collect();
        for name in &names {
            self.cluster.kubectl(["create", "namespace", name]).await.unwrap();
        }
        self.apply(names.iter().flat_map(|name| [deployment(name, "web", "web:1"), self.canary(name, "web")])).await;
        let all_are = |phase: &'static str| {
            move |all: &[Value]| all.len() == STEPPING && all.iter().all(|canary| canary["status"]["phase"] == phase)
        };
        self.wait(&canaries, INITIALIZING, all_are("Initialized")).await;
        self.apply(names.iter().map(|name| deployment(name, "web", "web:2"))).await;
        let mut weights = [0; STEPPING];
        let mut times = Vec::new();
        let is_succeeded = all_are("Succeeded");
        while !is_succeeded(&bodies(&canaries)) {
            tokio::select! {
                _ = canaries.changed() => continue,
                _ = routes.changed() => {}
            }
            let now = Instant::now();
            for route in bodies(&routes) {
                let namespace = route["metadata"]["namespace"].as_str().unwrap();
                let Some(index) = names.iter().position(|name| name == namespace) else { continue };
                let weight = route.pointer("/spec/rules/0/backendRefs/1/weight").and_then(Value::as_i64).unwrap_or(0);
                let before = std::mem::replace(&mut weights[index], weight);
                // The first step follows from pods that are ready, the way back from the primary: no metric is asked.
                if weight > before && before > 0 {
                    times.push(now - self.sink.asked(namespace).unwrap());
                }
            }
        }
        times
    }

    async fn rest(&self) -> Rest {
        let (requests, cpu) = (self.requests().await, self.daemon.cpu());
        tokio::time::sleep(REST).await;
        Rest { cpu: self.daemon.cpu() - cpu, requests: self.requests().await - requests, memory: self.daemon.memory() }
    }

    fn canary(&self, namespace: &str, name: &str) -> Value {
        json!({
            "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
            "metadata": {"name": name, "namespace": namespace, "annotations": {"canary.leeboard.dev/interval": "2s"}},
            "spec": {
                "provider": "gatewayapi:v1", "metricsServer": self.sink.url(namespace),
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "service": {"port": 80, "targetPort": 8080, "gatewayRefs": [{"name": "gate", "namespace": "default"}]},
                "analysis": {
                    "interval": "10s", "threshold": 2, "stepWeight": 2, "maxWeight": 50,
                    "metrics": [{"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}],
                },
            },
        })
    }

    async fn apply(&self, objects: impl Iterator<Item = Value>) {
        let objects: Vec<Object> = objects.map(|body| Object::from_value(body, None).unwrap()).collect();
        apply_all(&self.client, &objects, 16, "bench").await;
    }

    fn watch(&self, group: &str, version: &str, kind: &str) -> Collection<Value> {
        let target =
            Target { kind: KindVersion::new(GroupKind::new(group, kind), version), options: ListOptions::default() };
        let (collection, work) = typed(self.client.clone(), target, CancellationToken::new());
        tokio::spawn(work);
        collection
    }

    async fn wait(&self, all: &Collection<Value>, within: Duration, is_so: impl Fn(&[Value]) -> bool) {
        let waiting = async {
            while !is_so(&bodies(all)) {
                all.changed().await;
            }
        };
        let answer = tokio::time::timeout(within, waiting).await;
        answer.unwrap_or_else(|_| panic!("not in time\n{}", self.daemon.log()));
    }

    /// Requests that the API server has answered about what canaries are made of, watches excepted.
    async fn requests(&self) -> f64 {
        const KINDS: [&str; 8] = [
            "canaries",
            "configmaps",
            "deployments",
            "endpointslices",
            "horizontalpodautoscalers",
            "httproutes",
            "secrets",
            "services",
        ];
        let metrics = self.cluster.kubectl(["get", "--raw", "/metrics"]).await.unwrap();
        let counted = metrics.lines().filter(|line| line.starts_with("apiserver_request_total{"));
        let is_ours = |line: &&str| KINDS.iter().any(|kind| line.contains(&format!("resource=\"{kind}\"")));
        let asked = counted.filter(is_ours).filter(|line| !line.contains("verb=\"WATCH\""));
        asked.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

fn bodies(all: &Collection<Value>) -> Vec<Value> {
    let body = |item: Item<Value>| match item {
        Item::Decoded(body) => Some(body),
        Item::Undecodable { .. } => None,
    };
    all.all().into_iter().filter_map(|(_, item)| body(item)).collect()
}

fn deployment(namespace: &str, name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": image, "ports": [{"containerPort": 8080}]}]},
            },
        },
    })
}
