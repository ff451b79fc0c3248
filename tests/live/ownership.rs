//! Which fields are ours, by the API server's word.

use leeboard::health::Health;
use leeboard::live::client::{ApplyOptions, Part};
use leeboard::object::fields::{self, projection};
use serde_json::{Value, json};

use super::{Fixture, apply_soon, deployment, eventually, object, widget_definition};

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
