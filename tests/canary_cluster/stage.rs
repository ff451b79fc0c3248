//! [`Stage`]: a control plane with one daemon that looks after the canaries of all scenes; and [`Scene`]: a namespace of
//! its own on it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use leeboard::sandbox::Definitions;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, OnceCell};

use crate::harness::{
    Cluster, Daemon, DaemonOptions, Namespace, SOON, eventually, install_crds, random_suffix, report,
};
use crate::recorder::{Recorder, State, resource};
use crate::sink::Sink;

/// One for all tests of this binary: what they share must not end with one of them.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
});

/// Longer than any canary of these tests takes, on a busy machine.
pub const A_RUN: Duration = Duration::from_secs(120);

/// Where the image of a workload `web` stands.
pub const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// Group, version, kind of what canaries are made of in any cluster.
pub const KINDS: [(&str, &str, &str); 9] = [
    ("flagger.app", "v1beta1", "Canary"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "DaemonSet"),
    ("", "v1", "Service"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Secret"),
    ("", "v1", "Event"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("networking.k8s.io", "v1", "Ingress"),
];

/// Group, versions (the stored one first), kind, plural, scope.
type Route = (&'static str, &'static [&'static str], &'static str, &'static str, &'static str);

/// The kinds of routes, and KEDA's, with what a stub of each says.
pub const ROUTES: [Route; 11] = [
    ("networking.istio.io", &["v1beta1"], "VirtualService", "virtualservices", "Namespaced"),
    ("networking.istio.io", &["v1beta1"], "DestinationRule", "destinationrules", "Namespaced"),
    ("gateway.networking.k8s.io", &["v1", "v1beta1"], "HTTPRoute", "httproutes", "Namespaced"),
    ("traefik.io", &["v1alpha1"], "TraefikService", "traefikservices", "Namespaced"),
    ("projectcontour.io", &["v1"], "HTTPProxy", "httpproxies", "Namespaced"),
    ("apisix.apache.org", &["v2"], "ApisixRoute", "apisixroutes", "Namespaced"),
    ("gateway.solo.io", &["v1"], "RouteTable", "routetables", "Namespaced"),
    ("gloo.solo.io", &["v1"], "Upstream", "upstreams", "Namespaced"),
    ("kuma.io", &["v1alpha1"], "TrafficRoute", "trafficroutes", "Cluster"),
    ("keda.sh", &["v1alpha1"], "ScaledObject", "scaledobjects", "Namespaced"),
    ("split.smi-spec.io", &["v1alpha1", "v1alpha2", "v1alpha3"], "TrafficSplit", "trafficsplits", "Namespaced"),
];

/// Those whose projects' own definitions are taken.
pub const PUBLISHED: [&str; 5] = ["VirtualService", "DestinationRule", "HTTPRoute", "TraefikService", "HTTPProxy"];

/// See the module.
pub struct Stage {
    pub cluster: &'static Cluster,
    pub control: Namespace<'static>,
    pub daemon: Mutex<Option<Daemon>>,
    pub sink: Sink,
    pub recorder: Recorder,
    client: kube::Client,
}

impl Stage {
    /// The one of all scenes that need none of their own.
    pub async fn shared() -> &'static Stage {
        static OPEN: OnceCell<()> = OnceCell::const_new();
        let stage = Stage::before_the_daemon().await;
        OPEN.get_or_init(|| stage.open()).await;
        stage
    }

    /// The same, for who opens it when something is there that the daemon shall find.
    pub async fn before_the_daemon() -> &'static Stage {
        static SHARED: OnceCell<Stage> = OnceCell::const_new();
        SHARED
            .get_or_init(async || {
                let cluster = Cluster::shared().await;
                install_crds(cluster).await;
                install_routes(cluster).await;
                Stage::on(cluster).await
            })
            .await
    }

    /// A recorder on a cluster that has the definitions; the daemon comes with [`Stage::open`].
    pub async fn on(cluster: &'static Cluster) -> Stage {
        let (control, client) = tokio::join!(cluster.namespace("leeboard"), cluster.client());
        let recorder = Recorder::new(client.clone());
        for (group, version, kind) in KINDS {
            recorder.record(group, version, kind);
        }
        for (group, versions, kind, ..) in ROUTES {
            recorder.record(group, versions[versions.len() - 1], kind);
        }
        Stage { cluster, control, daemon: Mutex::default(), sink: Sink::start().await, recorder, client }
    }

    /// Starts the daemon.
    pub async fn open(&self) {
        let daemon = Daemon::start(self.cluster, self.control.name(), DaemonOptions::default()).await;
        daemon.ready().await;
        *self.daemon.lock().await = Some(daemon);
    }

    /// A scene in a new namespace.
    pub async fn scene(&'static self, name: &str) -> Scene {
        self.scene_in(&format!("{name}-{}", random_suffix())).await
    }

    /// The same in a namespace of exactly this name.
    pub async fn scene_in(&'static self, namespace: &str) -> Scene {
        let scene = Scene { stage: self, namespace: namespace.to_owned() };
        scene.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await;
        scene
    }
}

/// Installs the definitions of all routes.
async fn install_routes(cluster: &Cluster) {
    let definitions: Vec<String> = definitions().await.iter().map(Value::to_string).collect();
    cluster.apply(&definitions.join("\n---\n"), [""; 0]).await;
}

/// Of each of [`ROUTES`]: the project's own definition if it is in [`PUBLISHED`], else a stub.
pub async fn definitions() -> Vec<Value> {
    let found = tokio::task::spawn_blocking(|| Definitions::find_or_download(report));
    let mut published = Vec::new();
    for file in found.await.unwrap().unwrap().files {
        let path = file.to_str().unwrap().into();
        let text = std::fs::read(&file).unwrap();
        published.extend(leeboard::yaml::objects(&path, &text, leeboard::yaml::Resolve::V2).unwrap());
    }
    let definition = |route: Route| {
        if !PUBLISHED.contains(&route.2) {
            return stub(route);
        }
        let name = format!("{}.{}", route.3, route.0);
        let own = published.iter().find(|object| object.body["metadata"]["name"] == name.as_str());
        own.unwrap_or_else(|| panic!("nobody defines {name}")).body.clone()
    };
    ROUTES.map(definition).to_vec()
}

/// A definition that keeps all fields.
fn stub((group, versions, kind, plural, scope): Route) -> Value {
    let version = |(at, name): (usize, &&str)| {
        json!({
            "name": name, "served": true, "storage": at == 0,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            "annotations": {"api-approved.kubernetes.io": "unapproved, a stub for tests"},
        },
        "spec": {
            "group": group, "scope": scope, "names": {"kind": kind, "plural": plural},
            "versions": versions.iter().enumerate().map(version).collect::<Vec<_>>(),
        },
    })
}

/// A namespace in which one canary plays.
pub struct Scene {
    pub stage: &'static Stage,
    pub namespace: String,
}

impl Scene {
    fn api(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = resource(group, version, kind);
        let is_cluster_wide = ["Namespace", "CustomResourceDefinition", "TrafficRoute"].contains(&kind);
        let client = self.stage.client.clone();
        if is_cluster_wide {
            Api::all_with(client, &resource)
        } else {
            Api::namespaced_with(client, &self.namespace, &resource)
        }
    }

    fn api_of(&self, object: &Value) -> Api<DynamicObject> {
        let (api_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.api(group, version, kind)
    }

    /// Applies an object as a person would.
    pub async fn apply(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let parameters = PatchParams::apply("person").force();
        let api = self.api_of(object);
        // The service account of a new namespace may not be there yet.
        eventually(&format!("{name} is applied"), SOON, async || {
            api.patch(name, &parameters, &Patch::Apply(object)).await.map_err(|error| format!("{error}\n{object}"))
        })
        .await;
    }

    /// Why the API server would refuse an object, if it would. Fields that it does not know are refused too.
    pub async fn refusal(&self, object: &Value) -> Option<String> {
        let name = object["metadata"]["name"].as_str().unwrap();
        let parameters = PatchParams::apply("person").dry_run().validation_strict();
        let result = self.api_of(object).patch(name, &parameters, &Patch::Apply(object)).await;
        result.err().map(|error| error.to_string())
    }

    /// Merges into an object.
    pub async fn merge(&self, api_version: &str, kind: &str, name: &str, patch: &Value) {
        let api = self.api_of(&json!({"apiVersion": api_version, "kind": kind}));
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Merges into an object's status.
    pub async fn merge_status(&self, api_version: &str, kind: &str, name: &str, status: &Value) {
        let api = self.api_of(&json!({"apiVersion": api_version, "kind": kind}));
        let patch = json!({"status": status});
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// Merges into the Canary `web`.
    pub async fn merge_canary(&self, patch: &Value) {
        self.merge("flagger.app/v1beta1", "Canary", "web", patch).await;
    }

    /// Deletes an object.
    pub async fn delete(&self, api_version: &str, kind: &str, name: &str) {
        let api = self.api_of(&json!({"apiVersion": api_version, "kind": kind}));
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// The new image of the workload `web`.
    pub async fn image(&self, kind: &str, image: &str) {
        let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}});
        let api = self.api("apps", "v1", kind);
        api.patch("web", &PatchParams::default(), &Patch::Strategic(&patch)).await.unwrap();
    }

    /// An object as it was seen last; null when it is not there.
    pub fn seen(&self, kind: &str, name: &str) -> Value {
        self.states(kind, name).last().and_then(|state| state.body.clone()).unwrap_or(Value::Null)
    }

    /// All states of an object.
    pub fn states(&self, kind: &str, name: &str) -> Vec<State> {
        let namespace = if kind == "TrafficRoute" { "" } else { &self.namespace };
        self.stage.recorder.states(kind, namespace, name)
    }

    /// What a field was, each time that it changed.
    pub fn history<T: PartialEq>(&self, kind: &str, name: &str, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        let mut history: Vec<T> = Vec::new();
        for value in self.states(kind, name).iter().filter_map(|state| read(state.body.as_ref()?)) {
            if history.last() != Some(&value) {
                history.push(value);
            }
        }
        history
    }

    /// The phases that the Canary `web` went through.
    pub fn phases(&self) -> Vec<String> {
        self.history("Canary", "web", |body| Some(body["status"]["phase"].as_str()?.to_owned()))
    }

    /// Since when a state of an object was as it should be, first.
    pub fn first(&self, kind: &str, name: &str, is_so: impl Fn(&Value) -> bool) -> Option<Instant> {
        let states = self.states(kind, name);
        states.iter().find(|state| state.body.as_ref().is_some_and(&is_so)).map(|state| state.at)
    }

    /// The messages of the Events on a Canary, in the order in which they were made.
    pub fn events(&self, canary: &str) -> Vec<String> {
        let mut events = self.stage.recorder.all("Event", &self.namespace);
        events.retain(|event| event["involvedObject"]["kind"] == "Canary" && event["involvedObject"]["name"] == canary);
        events.sort_by_key(|event| event["metadata"]["name"].as_str().map(|name| (name.len(), name.to_owned())));
        events.iter().map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits for a change after which it is so; panics with what was seen last.
    pub async fn until<T>(&self, what: &str, is_so: impl Fn() -> Result<T, String>) -> T {
        let mut changes = self.stage.recorder.changes();
        let start = Instant::now();
        loop {
            changes.borrow_and_update();
            match is_so() {
                Ok(value) => return value,
                Err(last) if start.elapsed() > A_RUN => {
                    let (phases, events) = (self.phases(), self.events("web").join("\n  "));
                    panic!(
                        "{}: {what}: {last}\nphases {phases:?}\nEvents:\n  {events}\n{}",
                        self.namespace,
                        self.log()
                    );
                }
                Err(_) => drop(tokio::time::timeout(Duration::from_secs(1), changes.changed()).await),
            }
        }
    }

    /// Waits until the Canary `web` is in this phase.
    pub async fn phase(&self, expected: &str) {
        self.until(&format!("phase {expected}"), || {
            let phase = self.seen("Canary", "web")["status"]["phase"].clone();
            if phase == expected { Ok(()) } else { Err(phase.to_string()) }
        })
        .await;
    }

    /// Waits until a field has this value.
    pub async fn field(&self, kind: &str, name: &str, pointer: &str, expected: &Value) {
        self.until(&format!("{kind} {name} has {pointer} = {expected}"), || {
            let body = self.seen(kind, name);
            let found = body.pointer(pointer).unwrap_or(&Value::Null);
            if found == expected { Ok(()) } else { Err(found.to_string()) }
        })
        .await;
    }

    /// Waits until an Event on the Canary `web` holds this.
    pub async fn told(&self, text: &str) {
        self.until(&format!("Event {text:?}"), || {
            if self.events("web").iter().any(|event| event.contains(text)) { Ok(()) } else { Err("not told".into()) }
        })
        .await;
    }

    /// The lines of the daemon's log that name the scene, and what it warns of.
    fn log(&self) -> String {
        let daemon = self.stage.daemon.try_lock().ok();
        let log = daemon.as_deref().and_then(Option::as_ref).map(Daemon::log).unwrap_or_default();
        let mut lines: Vec<&str> =
            log.lines().filter(|line| line.contains(&self.namespace) || line.contains("WARN")).collect();
        lines.drain(..lines.len().saturating_sub(40));
        lines.join("\n")
    }
}
