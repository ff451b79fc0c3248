//! Against a real API server: is what we say of our fields what the API server means by them?

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]
#![allow(clippy::needless_pass_by_value, reason = "objects are written as `json!(…)`")]

#[path = "../harness/mod.rs"]
mod harness;
mod ownership;
mod scripted;
mod watch;
mod write;

use std::time::Duration;

use leeboard::live::client::{ApplyOptions, Cluster, DeleteOptions, Error, Options};
use leeboard::live::watch::LiveStore;
use leeboard::live::{KindVersion, Record};
use leeboard::object::fields::projection;
use leeboard::object::{GroupKind, Object, ObjectKey};
use serde_json::{Value, json};

/// The control plane, and a namespace of this test alone.
struct Fixture {
    cluster: Cluster,
    namespace: String,
}

impl Fixture {
    async fn start(test: &str) -> Self {
        let kubeconfig = harness::Cluster::shared().await.kubeconfig();
        let options = Options { kubeconfig: Some(kubeconfig), ..Options::default() };
        let cluster = Cluster::connect(options).await.unwrap();
        let namespace = format!("live-{test}-{}", std::process::id());
        let fixture = Fixture { cluster, namespace };
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": fixture.namespace}});
        fixture.cluster.apply(&object(body), &ApplyOptions::default()).await.unwrap();
        fixture
    }

    /// Applies as Leeboard does.
    async fn apply(&self, body: Value) -> Record {
        self.apply_as(body, "leeboard").await.unwrap()
    }

    async fn apply_as(&self, mut body: Value, manager: &str) -> Result<Record, Error> {
        self.place(&mut body);
        let options = ApplyOptions { force: true, manager: Some(manager.into()), ..ApplyOptions::default() };
        self.cluster.apply(&object(body), &options).await.map(|applied| applied.record)
    }

    fn place(&self, body: &mut Value) {
        let cluster_scoped = ["Namespace", "ClusterRole", "CustomResourceDefinition"];
        if !cluster_scoped.contains(&body["kind"].as_str().unwrap()) {
            body["metadata"]["namespace"] = self.namespace.as_str().into();
        }
    }

    /// What a watch or a read says of the object now.
    async fn now(&self, record: &Record) -> Record {
        let live = self.cluster.get(&record.key, &record.version).await.unwrap();
        let reader = leeboard::live::record::Reader { manager: "leeboard".into() };
        let read = reader.read(&live.to_string()).unwrap().record;
        assert_eq!(read.projection, projection(&live, "leeboard"), "text and value agree");
        read
    }

    async fn end(self) {
        let key = key("", "Namespace", None, &self.namespace);
        self.cluster.delete(&key, "v1", &DeleteOptions::default()).await.unwrap();
    }
}

fn object(body: Value) -> Object {
    Object::from_value(body, None).unwrap()
}

fn key(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectKey {
    ObjectKey { group: group.into(), kind: kind.into(), namespace: namespace.map(Into::into), name: name.into() }
}

/// Polls until the condition holds.
async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..200 {
        if let Some(value) = condition().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 10 s: {what}");
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"securityContext": {}, "containers": [{"name": "web", "image": "nginx:1.27", "resources": {"requests": {"cpu": "0.1"}},
                "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]}}}})
}

fn widget_definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.live.example.com"},
        "spec": {"group": "live.example.com", "names": {"plural": "widgets", "kind": "Widget"}, "scope": "Namespaced",
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "size": {"type": "integer"}, "color": {"type": "string", "default": "blue"},
                        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}})
}

/// Applies a custom object while its definition becomes known.
async fn apply_soon(fixture: &Fixture, body: &Value) -> Record {
    eventually("the kind is served", async || match fixture.apply_as(body.clone(), "leeboard").await {
        Ok(record) => Some(record),
        Err(Error::NoKind { .. } | Error::KindUnknown { .. }) => None,
        Err(error) => panic!("{error}: {:?}", error.message()),
    })
    .await
}

const NO_KINDS: [KindVersion; 0] = [];
const PART_OF: &str = "applyset.kubernetes.io/part-of";

fn kind(group: &str, kind: &str, version: &str) -> KindVersion {
    KindVersion::new(GroupKind::new(group, kind), version)
}

/// The names of the application's objects that the store knows.
fn names(store: &LiveStore, application: &str) -> Vec<String> {
    store.view(application, [], NO_KINDS).records.keys().map(|key| key.name.to_string()).collect()
}
