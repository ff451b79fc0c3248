//! The live view, as watches keep it.

use std::collections::BTreeSet;
use std::time::Duration;

use leeboard::health::Health;
use leeboard::live::client::{ApplyOptions, Cluster, DeleteOptions, Error, ListOptions, Options, Part};
use leeboard::live::watch::{Item, LiveStore, Target, typed};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Fixture, PART_OF, apply_soon, deployment, eventually, key, kind, names, object, widget_definition};
use crate::harness::{self, Proxy};

/// A ConfigMap of the application that has the test's namespace for its label.
fn config_map(fixture: &Fixture, name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": value},
           "metadata": {"name": name, "labels": {PART_OF: fixture.namespace}}})
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
    // Its objects go first: until it has gone itself the API server knows the kind, and forbids to create one.
    let error = eventually("the kind is gone", async || {
        let error = fixture.apply_as(gadget.clone(), "leeboard").await.unwrap_err();
        (!matches!(error, Error::Forbidden(_))).then_some(error)
    });
    let error = error.await;
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

#[tokio::test]
async fn a_watch_that_breaks_misses_nothing() {
    let fixture = Fixture::start("breaks").await;
    let proxy = Proxy::start(harness::Cluster::shared().await).await;
    let options = Options { kubeconfig: Some(proxy.kubeconfig()), ..Options::default() };
    let through = Cluster::connect(options).await.unwrap();

    let application = fixture.namespace.as_str();
    let kinds = BTreeSet::from([kind("", "ConfigMap", "v1")]);
    let gone = fixture.apply(config_map(&fixture, "gone", "1")).await;
    let store = LiveStore::new(through.clone());
    store.watch(&kinds);
    assert_eq!(store.settled(&kinds, Duration::from_secs(10)).await, [] as [String; 0]);

    proxy.set_gone(true);
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

    proxy.set_gone(false);
    apply.await.unwrap().expect("the apply got through");
    eventually("the view has caught up", async || {
        let view = store.view(application, [], &kinds);
        (view.incomplete.is_empty() && names(&store, application) == ["meanwhile", "patient"]).then_some(())
    })
    .await;
    store.shutdown().await;
    fixture.end().await;
}
