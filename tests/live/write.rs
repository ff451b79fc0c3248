//! Applies, deletions and dry runs.

use leeboard::live::client::{ApplyOptions, DeleteOptions, Deleted, Error, ListOptions, Part};
use leeboard::object::GroupKind;
use serde_json::json;

use super::{Fixture, deployment, eventually, key, object};

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
    let dry = ApplyOptions { dry_run: true, force: true, want_body: true, ..ApplyOptions::default() };
    let same = fixture.cluster.apply(&desired, &dry).await.unwrap();
    assert!(baseline.projection.is_some());
    assert_eq!(same.record.projection, baseline.projection);
    let live = fixture.cluster.find(&desired.key, &desired.version).await.unwrap().unwrap();
    let same = same.body.unwrap();
    assert_eq!((&live["spec"], &live["metadata"]["labels"]), (&same["spec"], &same["metadata"]["labels"]));

    body["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:2");
    body["metadata"]["labels"].as_object_mut().unwrap().clear();
    let changed = object(body.clone());
    let other = fixture.cluster.apply(&changed, &dry).await.unwrap();
    assert_ne!(other.record.projection, fixture.now(&baseline).await.projection);
    let live = fixture.cluster.find(&desired.key, &desired.version).await.unwrap().unwrap();
    let predicted = other.body.unwrap();
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:1.27");
    assert_eq!(predicted["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:2");
    assert_eq!((live["metadata"]["labels"]["app"].as_str(), predicted["metadata"].get("labels")), (Some("web"), None));

    body["metadata"]["name"] = json!("new");
    let new = object(body);
    fixture.cluster.apply(&new, &dry).await.unwrap();
    assert_eq!(fixture.cluster.find(&new.key, &new.version).await.unwrap(), None);
    assert_eq!(fixture.now(&baseline).await.projection, baseline.projection, "nothing was written");
    fixture.end().await;
}
