//! What git wants, as it is applied.

use serde_json::{Value, json};

use super::*;

#[test]
fn objects_say_whose_they_are() {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "r", "namespace": "shop"}});
    let desired = World::new().wants(config_map("a")).wants(role).desired();
    let body = |index: usize| &desired.objects[index].object.body["metadata"];
    assert_eq!(body(0)["namespace"], "shop");
    assert_eq!(body(0)["annotations"]["argocd.argoproj.io/tracking-id"], "web:/ConfigMap:shop/a");
    assert_eq!(body(0)["labels"]["applyset.kubernetes.io/part-of"], owner().part_of.as_str());
    assert_eq!(body(1)["namespace"], Value::Null, "cluster-scoped");
    let tracking = &body(1)["annotations"]["argocd.argoproj.io/tracking-id"];
    assert_eq!(tracking, "web:rbac.authorization.k8s.io/ClusterRole:shop/r");
}

#[test]
fn lists_are_expanded() {
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"name": "l"},
        "items": [config_map("a"), config_map("b"), {"kind": "ConfigMap"}]});
    let plan = World::new().wants(list).plan();
    assert_eq!(plan.steps().count(), 2);
    assert_eq!(
        refusals(&plan),
        ["web.yaml:3:1: an item of List/l is no object: `apiVersion` is missing or not a string"]
    );
}

#[test]
fn what_is_wrong_in_git_is_said_with_its_place() {
    let waved = |wave: &str| {
        let mut body = config_map("a");
        body["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-wave": wave});
        body
    };
    let plan = World::new().wants(waved("first")).plan();
    let warning = "web.yaml:3:1: the sync wave `first` of shop/ConfigMap/a is no number: it counts as 0 \
                   (Write an integer in quotes, for example \"5\".)";
    assert_eq!(plan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [warning]);
    assert!(World::new().wants(waved("-3")).plan().warnings.is_empty());

    let mut explicit = config_map("a");
    explicit["metadata"]["namespace"] = "shop".into();
    let plan = World::new().wants(config_map("a")).wants(explicit).plan();
    assert_eq!(refusals(&plan), ["web.yaml:3:1: two objects with the identity shop/ConfigMap/a"]);

    let nowhere = Owner::new("web", "leeboard", "web", in_cluster());
    let object = Object::from_value(config_map("a"), None).unwrap();
    let desired = desired(vec![object], &nowhere, &|_| Some(Scope::Namespaced));
    assert_eq!(desired.refusals[0].to_string(), "Namespace for a /v1, Kind=ConfigMap is missing.");

    let plan = World::new().options(&["Prune = false"]).plan();
    assert_eq!(plan.warnings[0].title, "`Prune = false` in `syncOptions` is no sync option: it has no effect");
}
