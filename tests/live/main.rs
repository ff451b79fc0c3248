//! Against a real API server: is what we say of our fields what the API server means by them?

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]
#![allow(clippy::needless_pass_by_value, reason = "objects are written as `json!(…)`")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use leeboard::health::Health;
use leeboard::live::client::{ApplyOptions, Cluster, DeleteOptions, Deleted, Error, ListOptions, Options, Part};
use leeboard::live::dry_run::{self, Proof};
use leeboard::live::watch::{Item, LiveStore, Target, typed};
use leeboard::live::{KindVersion, Record};
use leeboard::object::fields::{self, projection};
use leeboard::object::{GroupKind, Object, ObjectKey};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

mod harness;

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

/// One of each kind that the projection must be right about.
fn samples() -> Vec<Value> {
    let pod = json!({"metadata": {"labels": {"job": "x"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox:1.36"}]}});
    vec![
        deployment(),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http", "name": "http"}, {"port": 53, "protocol": "UDP", "name": "dns"}, {"port": 53, "name": "dns-tcp"}]}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "annotations": {"note": "\"x\""}}, "data": {"a": "1", "b.txt": "ß\n"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "MQ=="}}),
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 3,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
            "spec": {"rules": [{"host": "x.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}}),
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"backoffLimit": 2, "template": pod}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa"}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "r"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "sa", "namespace": "default"}]}),
        widget_definition(),
        json!({"apiVersion": "live.example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 3, "tags": ["a", "b"]}}),
    ]
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

#[tokio::test]
async fn the_answer_of_an_apply_and_what_is_read_later_have_one_projection() {
    let fixture = Fixture::start("baseline").await;
    let mut records = Vec::new();
    for body in samples() {
        records.push(apply_soon(&fixture, &body).await);
    }
    // By now controllers have written status, finalizers, generated fields.
    eventually("the deployment is available", async || {
        fixture.now(&records[0]).await.health.filter(|verdict| verdict.status == Health::Healthy)
    })
    .await;
    for record in &records {
        let now = fixture.now(record).await;
        if record.key.kind != "ServiceAccount" {
            assert!(record.projection.is_some(), "{}", record.key);
        }
        assert_eq!(now.projection, record.projection, "{}: after controllers", record.key);
        assert_eq!(now.uid, record.uid);
    }
    for (body, record) in samples().into_iter().zip(&records) {
        let again = fixture.apply(body.clone()).await;
        assert_eq!(again.projection, record.projection, "{}: applied again", record.key);
        let mut body = body;
        fixture.place(&mut body);
        let dry = ApplyOptions { dry_run: true, force: true, ..ApplyOptions::default() };
        let dry = fixture.cluster.apply(&object(body), &dry).await.unwrap().record;
        assert_eq!(dry.projection, record.projection, "{}: dry run", record.key);
    }
    fixture.end().await;
}

#[tokio::test]
async fn only_changes_of_what_we_own_change_the_projection() {
    let fixture = Fixture::start("drift").await;
    let container = |fields: Value| {
        let mut container = json!({"name": "web"});
        container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
               "spec": {"template": {"spec": {"containers": [container]}}}})
    };
    let with = |fields: Value| {
        let mut body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    // what another manager applies by force                                                   seen as drift
    let cases = [
        ("another image", container(json!({"image": "nginx:2"})), true),
        ("the same image, now co-owned", container(json!({"image": "nginx:1.27"})), false),
        ("an env variable of its own", container(json!({"env": [{"name": "C", "value": "3"}]})), false),
        ("the value of our env variable", container(json!({"env": [{"name": "A", "value": "9"}]})), true),
        ("limits beside our requests", container(json!({"resources": {"limits": {"cpu": "1"}}})), false),
        ("the same cpu, written otherwise", container(json!({"resources": {"requests": {"cpu": "100m"}}})), false),
        ("another number of replicas", with(json!({"spec": {"replicas": 2}})), true),
        ("a label of its own", with(json!({"metadata": {"name": "web", "labels": {"other": "x"}}})), false),
        ("our label", with(json!({"metadata": {"name": "web", "labels": {"app": "other"}}})), true),
        ("an annotation", with(json!({"metadata": {"name": "web", "annotations": {"a": "b"}}})), false),
        (
            "what we applied empty",
            with(json!({"spec": {"template": {"spec": {"securityContext": {"runAsUser": 1}}}}})),
            false,
        ),
    ];
    for (index, (what, body, drifts)) in cases.into_iter().enumerate() {
        let mut ours = deployment();
        let name = format!("web-{index}");
        ours["metadata"]["name"] = name.as_str().into();
        let baseline = fixture.apply(ours.clone()).await;
        let mut theirs = body;
        theirs["metadata"]["name"] = name.as_str().into();
        fixture.apply_as(theirs, "someone").await.unwrap_or_else(|error| panic!("{what}: {:?}", error.message()));
        let now = fixture.now(&baseline).await;
        assert_eq!(now.projection != baseline.projection, drifts, "{what}");
        let repaired = fixture.apply(ours).await;
        assert_eq!(repaired.projection, baseline.projection, "{what}: applied again");
    }
    fixture.end().await;
}

#[tokio::test]
async fn an_edit_by_hand_is_seen_and_its_author_named() {
    let fixture = Fixture::start("edit").await;
    let baseline = fixture.apply(deployment()).await;
    let mut live = fixture.cluster.get(&baseline.key, "v1").await.unwrap();
    live["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut().unwrap().reverse();
    // Without a version it is put in place of whatever the controllers have made of it meanwhile.
    live["metadata"].as_object_mut().unwrap().retain(|name, _| name != "managedFields" && name != "resourceVersion");
    fixture.cluster.replace(&object(live.clone()), Part::Whole).await.unwrap();
    assert_ne!(fixture.now(&baseline).await.projection, baseline.projection, "the order of env is ours");
    assert_eq!(fixture.apply(deployment()).await.projection, baseline.projection, "an apply restores the order");

    let patch = json!({"spec": {"replicas": 4}});
    fixture.cluster.merge_patch(&baseline.key, "v1", Part::Whole, &patch).await.unwrap();
    let live = fixture.cluster.get(&baseline.key, "v1").await.unwrap();
    assert_ne!(projection(&live, "leeboard"), baseline.projection);
    let owners = fields::owners(&live, &[fields::Step::Field("spec"), fields::Step::Field("replicas")]);
    assert_eq!(owners.len(), 1);
    assert!(!owners[0].applies && owners[0].time.is_some(), "{owners:?}");

    let patch = json!([{"op": "remove", "path": "/metadata/labels/app"}]);
    fixture.apply(deployment()).await;
    fixture.cluster.json_patch(&baseline.key, "v1", Part::Whole, &patch).await.unwrap();
    assert_ne!(fixture.now(&baseline).await.projection, baseline.projection, "a label of ours is gone");

    let patch = json!({"metadata": {"managedFields": [{}]}});
    fixture.apply(deployment()).await;
    fixture.cluster.merge_patch(&baseline.key, "v1", Part::Whole, &patch).await.unwrap();
    assert_eq!(fixture.now(&baseline).await.projection, None, "our ownership was wiped out");
    fixture.end().await;
}

#[tokio::test]
async fn fields_of_an_earlier_tool_are_removed_once_they_are_adopted() {
    let fixture = Fixture::start("adopt").await;
    let mut body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"kept": "1", "dropped": "2"}});
    let record = fixture.apply_as(body.clone(), "argocd-controller").await.unwrap();
    body["data"].as_object_mut().unwrap().remove("dropped");
    let live = fixture.cluster.get(&record.key, "v1").await.unwrap();
    let adopted = fields::adopt(&live, &["argocd-controller"], "leeboard", "v1").unwrap();
    let patch = json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": adopted},
    ]);
    fixture.cluster.json_patch(&record.key, "v1", Part::Whole, &patch).await.unwrap();
    fixture.apply(body).await;
    let live = fixture.cluster.get(&record.key, "v1").await.unwrap();
    assert_eq!(live["data"], json!({"kept": "1"}));
    fixture.end().await;
}

#[tokio::test]
async fn what_the_api_server_refuses_is_told_apart() {
    let fixture = Fixture::start("errors").await;
    let name = |error: &Error| format!("{error:?}").split(['(', ' ']).next().unwrap().to_owned();
    fixture.apply(deployment()).await;
    let mut typo = deployment();
    typo["spec"]["replica"] = json!(1);
    let mut selector = deployment();
    selector["spec"]["selector"]["matchLabels"]["b"] = json!("c");
    selector["spec"]["template"]["metadata"]["labels"]["b"] = json!("c");
    let mut wrong = deployment();
    wrong["metadata"]["name"] = json!("not_a_name");
    let kind = json!({"apiVersion": "nope.example.com/v1", "kind": "Nope", "metadata": {"name": "x"}});
    for (body, expected) in
        [(typo, "SchemaRefused"), (selector.clone(), "Invalid"), (wrong, "Invalid"), (kind, "NoKind")]
    {
        let error = fixture.apply_as(body, "leeboard").await.unwrap_err();
        assert_eq!(name(&error), expected, "{:?}", error.message());
        assert!(expected == "NoKind" || !error.is_transient(), "{expected}");
    }
    let error = fixture.apply_as(selector, "leeboard").await.unwrap_err();
    assert!(matches!(error, Error::Invalid { immutable: true, .. }));

    let lost = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "not-there"}});
    let error = fixture.cluster.apply(&object(lost), &ApplyOptions::default()).await.unwrap_err();
    assert!(matches!(&error, Error::NamespaceMissing { namespace, .. } if namespace == "not-there"), "{error:?}");

    let stranger = fixture.cluster.impersonate("nobody", &["none".to_owned()]).unwrap();
    let error = stranger.get(&key("", "ConfigMap", Some(&fixture.namespace), "x"), "v1").await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error:?}");

    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    fixture.apply_as(other.clone(), "someone").await.unwrap();
    let mut ours = other;
    ours["data"]["a"] = json!("2");
    fixture.place(&mut ours);
    let error = fixture.cluster.apply(&object(ours), &ApplyOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    assert_eq!(error.answer().unwrap().causes[0].reason, "FieldManagerConflict");
    fixture.end().await;
}

#[tokio::test]
async fn a_deletion_meets_only_the_object_that_was_meant() {
    let fixture = Fixture::start("delete").await;
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"x": "y"}}});
    let record = fixture.apply(body.clone()).await;
    let other = DeleteOptions { uid: Some("another".into()), ..DeleteOptions::default() };
    let error = fixture.cluster.delete(&record.key, "v1", &other).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");

    let selected =
        ListOptions { namespace: Some(fixture.namespace.as_str().into()), labels: Some("x=y".into()), fields: None };
    let listed = fixture.cluster.list(&GroupKind::new("", "ConfigMap"), "v1", &selected).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["kind"], "ConfigMap");

    let meant = DeleteOptions { uid: Some(record.uid.clone()), ..DeleteOptions::default() };
    fixture.cluster.delete(&record.key, "v1", &meant).await.unwrap();
    let error =
        eventually("the object is gone", async || fixture.cluster.delete(&record.key, "v1", &meant).await.err()).await;
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");

    let mut held = body;
    held["metadata"]["finalizers"] = json!(["example.com/held"]);
    let record = fixture.apply(held).await;
    let deleted = fixture.cluster.delete(&record.key, "v1", &DeleteOptions::default()).await.unwrap();
    assert_eq!(deleted, Deleted::Terminating);
    assert!(fixture.now(&record).await.deleting);
    let patch = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
    fixture.cluster.json_patch(&record.key, "v1", Part::Whole, &patch).await.unwrap();
    assert_eq!(fixture.cluster.find(&record.key, "v1").await.unwrap(), None);
    fixture.end().await;
}

#[tokio::test]
async fn a_dry_run_proves_a_baseline_and_shows_a_difference() {
    let fixture = Fixture::start("dryrun").await;
    let mut body = deployment();
    fixture.place(&mut body);
    let baseline = fixture.apply(body.clone()).await;
    let desired = object(body.clone());
    let proof = dry_run::prove(&fixture.cluster, &desired, &baseline).await.unwrap();
    assert_eq!(proof, Proof::InSync { baseline: baseline.projection.unwrap() });
    let same = dry_run::compare(&fixture.cluster, &desired).await.unwrap();
    assert_eq!(same.live.unwrap(), same.predicted);

    body["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:2");
    body["metadata"]["labels"].as_object_mut().unwrap().clear();
    let changed = object(body.clone());
    let live = fixture.now(&baseline).await;
    assert_eq!(dry_run::prove(&fixture.cluster, &changed, &live).await.unwrap(), Proof::Differs);
    let comparison = dry_run::compare(&fixture.cluster, &changed).await.unwrap();
    let (live, predicted) = (comparison.live.unwrap(), comparison.predicted);
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:1.27");
    assert_eq!(predicted["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:2");
    assert_eq!((live["metadata"]["labels"]["app"].as_str(), predicted["metadata"].get("labels")), (Some("web"), None));

    body["metadata"]["name"] = json!("new");
    assert_eq!(dry_run::compare(&fixture.cluster, &object(body)).await.unwrap().live, None);
    assert_eq!(fixture.now(&baseline).await.projection, baseline.projection, "nothing was written");
    fixture.end().await;
}

const NO_KINDS: [KindVersion; 0] = [];
const PART_OF: &str = "applyset.kubernetes.io/part-of";

fn kind(group: &str, kind: &str, version: &str) -> KindVersion {
    KindVersion::new(GroupKind::new(group, kind), version)
}

/// A ConfigMap of the application that has the test's namespace for its label.
fn config_map(fixture: &Fixture, name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": value},
           "metadata": {"name": name, "labels": {PART_OF: fixture.namespace}}})
}

/// The names of the application's objects that the store knows.
fn names(store: &LiveStore, application: &str) -> Vec<String> {
    store.view(application, [], NO_KINDS).records.keys().map(|key| key.name.to_string()).collect()
}

#[tokio::test]
async fn the_live_view_follows_what_is_managed() {
    let fixture = Fixture::start("view").await;
    let application = fixture.namespace.as_str();
    let before = fixture.apply(config_map(&fixture, "before", "1")).await;
    fixture.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "not-managed"}})).await;

    let store = LiveStore::new(fixture.cluster.clone());
    let kinds = BTreeSet::from([kind("", "ConfigMap", "v1"), kind("apps", "Deployment", "v1")]);
    assert_eq!(store.view(application, [], &kinds).incomplete.len(), 2);
    store.watch(&kinds);
    assert_eq!(store.settled(&kinds, Duration::from_secs(10)).await, [] as [String; 0]);
    assert_eq!(names(&store, application), ["before"]);
    assert_eq!(store.get(&before.key).unwrap().projection, before.projection, "as the apply answered");

    let changes = store.changes_of(application);
    fixture.apply(config_map(&fixture, "after", "1")).await;
    assert_eq!(changes.next().await.applications, BTreeSet::from([application.into()]));
    assert_eq!(names(&store, application), ["after", "before"]);

    let patch = json!({"data": {"a": "by hand"}});
    fixture.cluster.merge_patch(&before.key, "v1", Part::Whole, &patch).await.unwrap();
    eventually("the drift shows", async || (store.get(&before.key)?.projection != before.projection).then_some(()))
        .await;

    let written = fixture.apply(config_map(&fixture, "written", "1")).await;
    store.written(written.clone());
    assert_eq!(store.get(&written.key).unwrap().uid, written.uid, "at once");

    fixture.cluster.delete(&before.key, "v1", &DeleteOptions::default()).await.unwrap();
    eventually("the deletion shows", async || store.get(&before.key).is_none().then_some(())).await;
    let patch = json!([{"op": "remove", "path": "/metadata/labels"}]);
    fixture.cluster.json_patch(&written.key, "v1", Part::Whole, &patch).await.unwrap();
    eventually("what lost its label is no longer ours", async || store.get(&written.key).is_none().then_some(())).await;

    store.watch_only(&BTreeSet::new());
    assert!(store.is_empty());
    store.shutdown().await;
    fixture.end().await;
}

#[tokio::test]
async fn health_arrives_by_watch() {
    let fixture = Fixture::start("health").await;
    let store = LiveStore::new(fixture.cluster.clone());
    let kinds = BTreeSet::from([kind("apps", "Deployment", "v1")]);
    store.watch(&kinds);
    let changes = store.changes();
    let mut body = deployment();
    body["metadata"]["labels"][PART_OF] = fixture.namespace.as_str().into();
    let record = fixture.apply(body).await;
    tokio::time::timeout(Duration::from_secs(20), async {
        while store
            .get(&record.key)
            .is_none_or(|record| record.health.as_ref().is_none_or(|h| h.status != Health::Healthy))
        {
            changes.next().await;
        }
    })
    .await
    .expect("healthy within 20 s");
    store.shutdown().await;
    fixture.end().await;
}

#[tokio::test]
async fn a_kind_that_comes_later_is_complete_before_and_seen_after() {
    let fixture = Fixture::start("late").await;
    let mut definition = widget_definition();
    definition["metadata"]["name"] = json!("gadgets.late.example.com");
    definition["spec"]["group"] = json!("late.example.com");
    definition["spec"]["names"] = json!({"plural": "gadgets", "kind": "Gadget"});
    let definition_key = key("apiextensions.k8s.io", "CustomResourceDefinition", None, "gadgets.late.example.com");

    let store = LiveStore::new(fixture.cluster.clone());
    let kinds = BTreeSet::from([kind("late.example.com", "Gadget", "v1")]);
    store.watch(&kinds);
    let incomplete = store.settled(&kinds, Duration::from_secs(10)).await;
    assert!(incomplete.is_empty(), "no kind, so no objects: that is complete: {incomplete:?}");

    fixture.apply(definition).await;
    let mut gadget =
        json!({"apiVersion": "late.example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}, "spec": {"size": 1}});
    gadget["metadata"]["labels"][PART_OF] = fixture.namespace.as_str().into();
    let record = apply_soon(&fixture, &gadget).await;
    let seen = eventually("the watch has it", async || store.get(&record.key)).await;
    assert_eq!(seen.projection, record.projection);

    fixture.cluster.delete(&definition_key, "v1", &DeleteOptions::default()).await.unwrap();
    eventually("with the definition its objects go", async || store.get(&record.key).is_none().then_some(())).await;
    let error = fixture.apply_as(gadget, "leeboard").await.unwrap_err();
    assert!(matches!(error, Error::NoKind { .. } | Error::KindUnknown { .. }) && error.is_transient(), "{error:?}");
    store.shutdown().await;
    fixture.end().await;
}

#[tokio::test]
async fn more_watches_than_a_connection_has_streams_all_run() {
    let fixture = Fixture::start("streams").await;
    let cancel = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    let mut collections = Vec::new();
    for index in 0..130 {
        let options = ListOptions {
            namespace: Some(fixture.namespace.as_str().into()),
            labels: Some(format!("watch={index}")),
            fields: None,
        };
        let target = Target { kind: kind("", "ConfigMap", "v1"), options };
        let (collection, work) = typed::<Value>(fixture.cluster.clone(), target, cancel.clone());
        tasks.spawn(work);
        collections.push(collection);
    }
    for collection in &collections {
        collection.complete(Duration::from_secs(30)).await.unwrap();
    }
    for index in [0, 79, 80, 129] {
        fixture
            .apply(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("c{index}"), "labels": {"watch": index.to_string()}}}))
            .await;
        let changed = collections[index].changed();
        tokio::time::timeout(Duration::from_secs(10), changed).await.expect("the watch delivers");
        eventually("the object is there", async || collections[index].all().pop()).await;
    }
    cancel.cancel();
    while tasks.join_next().await.is_some() {}
    fixture.end().await;
}

#[tokio::test]
async fn an_object_that_does_not_fit_its_type_spoils_no_other() {
    let fixture = Fixture::start("typed").await;
    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only whether it decodes matters")]
    struct WithA {
        data: A,
    }
    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only whether it decodes matters")]
    struct A {
        a: String,
    }
    let cancel = CancellationToken::new();
    let options = ListOptions { namespace: Some(fixture.namespace.as_str().into()), ..ListOptions::default() };
    let target = Target { kind: kind("", "Secret", "v1"), options };
    let (collection, work) = typed::<WithA>(fixture.cluster.clone(), target, cancel.clone());
    let work = tokio::spawn(work);
    collection.complete(Duration::from_secs(10)).await.unwrap();
    for (name, field) in [("good", "a"), ("bad", "b")] {
        fixture.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {field: "UExBTlRFRA=="}})).await;
    }
    let secret = |name: &str| key("", "Secret", Some(&fixture.namespace), name);
    eventually("both are seen", async || collection.get(&secret("good")).and(collection.get(&secret("bad")))).await;
    assert!(matches!(collection.get(&secret("good")), Some(Item::Decoded(_))));
    let Some(Item::Undecodable { error }) = collection.get(&secret("bad")) else { panic!("decoded") };
    assert!(!error.contains("UExBTlRFRA"), "{error}");
    fixture.cluster.delete(&secret("good"), "v1", &DeleteOptions::default()).await.unwrap();
    eventually("the deletion is seen", async || collection.get(&secret("good")).is_none().then_some(())).await;
    cancel.cancel();
    work.await.unwrap();
    fixture.end().await;
}

/// Forwards connections, and breaks them when it is told.
struct Proxy {
    port: u16,
    breaks: Arc<tokio::sync::watch::Sender<bool>>,
}

impl Proxy {
    async fn start(to: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (breaks, broken) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (to, mut broken) = (to.clone(), broken.clone());
                tokio::spawn(async move {
                    if *broken.borrow() {
                        return;
                    }
                    let Ok(mut server) = tokio::net::TcpStream::connect(to).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = broken.wait_for(|broken| *broken) => {}
                    }
                });
            }
        });
        Proxy { port, breaks: Arc::new(breaks) }
    }

    fn set_broken(&self, broken: bool) {
        self.breaks.send_replace(broken);
    }
}

#[tokio::test]
async fn a_watch_that_breaks_misses_nothing() {
    let fixture = Fixture::start("breaks").await;
    let kubeconfig = kube::config::Kubeconfig::read_from(harness::Cluster::shared().await.kubeconfig()).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    let proxy = Proxy::start(config.cluster_url.authority().unwrap().to_string()).await;
    config.cluster_url = format!("https://127.0.0.1:{}", proxy.port).parse().unwrap();
    config.default_retry = false;
    let through = Cluster::of(config).unwrap();

    let application = fixture.namespace.as_str();
    let kinds = BTreeSet::from([kind("", "ConfigMap", "v1")]);
    let gone = fixture.apply(config_map(&fixture, "gone", "1")).await;
    let store = LiveStore::new(through.clone());
    store.watch(&kinds);
    assert_eq!(store.settled(&kinds, Duration::from_secs(10)).await, [] as [String; 0]);

    proxy.set_broken(true);
    fixture.apply(config_map(&fixture, "meanwhile", "1")).await;
    fixture.cluster.delete(&gone.key, "v1", &DeleteOptions::default()).await.unwrap();
    eventually("the trouble shows", async || {
        store.view(application, [], &kinds).incomplete.first().filter(|reason| reason.contains("cannot reach")).cloned()
    })
    .await;
    assert_eq!(names(&store, application), ["gone"], "what is known stays known");

    let apply = tokio::spawn({
        let (through, mut body) = (through.clone(), config_map(&fixture, "patient", "1"));
        fixture.place(&mut body);
        async move { through.apply(&object(body), &ApplyOptions::default()).await }
    });
    eventually("the apply waits", async || through.pace().waiting_since()).await;

    proxy.set_broken(false);
    apply.await.unwrap().expect("the apply got through");
    eventually("the view has caught up", async || {
        let view = store.view(application, [], &kinds);
        (view.incomplete.is_empty() && names(&store, application) == ["meanwhile", "patient"]).then_some(())
    })
    .await;
    store.shutdown().await;
    fixture.end().await;
}

/// An API server of few words: it answers requests for ConfigMaps with a script, in order.
mod scripted {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use axum::body::{Body, Bytes};
    use axum::extract::{Request, State};
    use axum::response::Response;
    use futures::stream::{self, StreamExt as _};
    use serde_json::{Value, json};

    /// One answer.
    pub(super) struct Answer {
        /// What the request's query must hold.
        pub(super) query: &'static str,
        pub(super) status: u16,
        pub(super) lines: Vec<Value>,
        pub(super) then: Then,
    }

    #[derive(Clone, Copy)]
    pub(super) enum Then {
        Close,
        Stay,
    }

    #[derive(Clone, Default)]
    pub(super) struct Script {
        pub(super) answers: Arc<Mutex<VecDeque<Answer>>>,
        pub(super) surprises: Arc<Mutex<Vec<String>>>,
    }

    pub(super) async fn serve(answers: Vec<Answer>) -> (Script, String) {
        let script = Script { answers: Arc::new(Mutex::new(answers.into())), surprises: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (script, url)
    }

    async fn answer(State(script): State<Script>, request: Request) -> Response {
        let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
        let verbs = ["list", "watch", "patch", "delete"];
        let resources = json!([{"resource": "configmaps", "responseKind": {"kind": "ConfigMap"}, "scope": "Namespaced", "verbs": verbs}]);
        let versions = json!([{"version": "v1", "freshness": "Current", "resources": resources}]);
        let discovery = |items: Value| {
            Response::new(Body::from(json!({"kind": "APIGroupDiscoveryList", "items": items}).to_string()))
        };
        match path.as_str() {
            "/api" => return discovery(json!([{"metadata": {}, "versions": versions}])),
            "/apis" => return discovery(json!([])),
            _ => {}
        }
        let next = script.answers.lock().unwrap().pop_front();
        let Some(Answer { query: expected, status, lines, then }) = next else {
            return Response::new(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()));
        };
        if !query.contains(expected) {
            script.surprises.lock().unwrap().push(format!("expected {expected}, was asked {path}?{query}"));
        }
        let lines: Vec<Result<Bytes, std::io::Error>> =
            lines.iter().map(|line| Ok(Bytes::from(format!("{line}\n")))).collect();
        let body = match then {
            Then::Close => Body::from_stream(stream::iter(lines)),
            Then::Stay => Body::from_stream(stream::iter(lines).chain(stream::pending())),
        };
        Response::builder().status(status).body(body).unwrap()
    }
}

#[tokio::test]
async fn a_watch_resumes_relists_and_falls_back_as_the_api_server_wants() {
    use scripted::{Answer, Then};
    let item = |name: &str, version: u64| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n", "uid": name,
               "resourceVersion": version.to_string(), "labels": {PART_OF: "app"}}})
    };
    let event = |what: &str, object: Value| json!({"type": what, "object": object});
    let bookmark = |version: &str, end: bool| {
        let annotations = if end { json!({"k8s.io/initial-events-end": "true"}) } else { json!({}) };
        event(
            "BOOKMARK",
            json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": version, "annotations": annotations}}),
        )
    };
    let status = |code: u16, reason: &str| json!({"kind": "Status", "code": code, "reason": reason, "message": "no"});
    let list = |items: Vec<Value>, next: &str| json!({"kind": "ConfigMapList", "metadata": {"resourceVersion": "40", "continue": next}, "items": items});
    let answer = |query, status, lines, then| Answer { query, status, lines, then };
    let script = vec![
        // The first list breaks off: it says nothing about what is missing.
        answer("sendInitialEvents=true", 200, vec![event("ADDED", item("a", 1))], Then::Close),
        answer(
            "sendInitialEvents=true",
            200,
            vec![
                event("ADDED", item("a", 1)),
                event("ADDED", item("b", 2)),
                bookmark("10", true),
                event("ADDED", json!({"metadata": {}, "broken": true})),
                bookmark("11", false),
            ],
            Then::Close,
        ),
        // It resumes where it was.
        answer("resourceVersion=11", 200, vec![event("MODIFIED", item("a", 12))], Then::Close),
        answer("resourceVersion=12", 200, vec![event("ERROR", status(410, "Expired"))], Then::Close),
        // An API server that lost the feature meanwhile: a list in pages, of which one fails.
        answer("sendInitialEvents=true", 422, vec![status(422, "Invalid")], Then::Close),
        answer("limit=500", 200, vec![list(vec![item("a", 30)], "next")], Then::Close),
        answer("continue=next", 410, vec![status(410, "Expired")], Then::Close),
        answer("limit=500", 200, vec![list(vec![item("a", 30)], "next")], Then::Close),
        answer("continue=next", 200, vec![list(vec![item("c", 31)], "")], Then::Close),
        answer("resourceVersion=40", 200, vec![event("ADDED", item("d", 41))], Then::Stay),
    ];
    let (script, url) = scripted::serve(script).await;
    let cluster = Cluster::of(kube::Config::new(url.parse().unwrap())).unwrap();
    let store = LiveStore::new(cluster);
    let kinds = BTreeSet::from([kind("", "ConfigMap", "v1")]);
    store.watch(&kinds);
    let mut complete = BTreeSet::new();
    eventually("the last event has arrived", async || {
        let view = store.view("app", [], &kinds);
        if view.incomplete.is_empty() {
            complete.insert(names(&store, "app"));
        }
        (names(&store, "app") == ["a", "c", "d"]).then_some(())
    })
    .await;
    assert!(!complete.contains(&vec!["a".to_owned()]), "a list that broke off was taken for complete");
    assert_eq!(script.surprises.lock().unwrap().as_slice(), [] as [String; 0]);
    assert!(script.answers.lock().unwrap().is_empty());
    store.shutdown().await;
}
