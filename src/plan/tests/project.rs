//! What a project permits.

use serde_json::{Value, json};

use super::*;
use crate::api::argo::{AppProject, AppProjectSpec, ClusterResource, ProjectDestination};

#[test]
fn nothing_passes_the_project() {
    let team = |spec| Project::new(&AppProject::new("team", "leeboard", spec));
    let shop_only = || AppProjectSpec {
        destinations: vec![ProjectDestination {
            name: Some("in-cluster".into()),
            namespace: Some("shop".into()),
            ..ProjectDestination::default()
        }],
        ..AppProjectSpec::default()
    };
    let elsewhere = |mut body: Value| {
        body["metadata"]["namespace"] = "kube-system".into();
        body
    };
    let cluster_role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "r", "namespace": "shop", "annotations": {"argocd.argoproj.io/hook": "PreSync"}}});
    let hook = |phase: &str| job("h", &json!({"argocd.argoproj.io/hook": phase}));
    let namespace_denied = "namespace kube-system is not permitted in project 'team'";
    let kind_denied = "resource rbac.authorization.k8s.io:ClusterRole is not permitted in project team";
    let cases = [
        // object, why not
        (config_map("a"), None),
        (elsewhere(config_map("a")), Some(namespace_denied)),
        (elsewhere(hook("PreSync")), Some(namespace_denied)),
        (elsewhere(hook("Sync")), Some(namespace_denied)),
        (elsewhere(hook("PostSync")), Some(namespace_denied)),
        (elsewhere(hook("SyncFail")), Some(namespace_denied)),
        // A namespace stamped on it does not make a cluster-scoped hook a namespaced one.
        (cluster_role, Some(kind_denied)),
    ];
    for (object, expected) in cases {
        let plan = World { project: team(shop_only()), ..World::new() }.wants(object.clone()).plan();
        assert_eq!(refusals(&plan).first().map(String::as_str), expected, "{object}");
        assert_eq!(plan.steps().count(), usize::from(expected.is_none()), "{object}");
    }

    let namespace = World { project: team(shop_only()), ..World::new() }.options(&["CreateNamespace=true"]).plan();
    assert_eq!(refusals(&namespace), ["resource :Namespace is not permitted in project team"]);

    let old = ObjectKey { namespace: Some("kube-system".into()), ..key("old") };
    let world = World { project: team(shop_only()), ..World::new() }.wants(config_map("a")).in_sync();
    let plan = world.holds(record(old)).plan();
    assert_eq!(stays(&plan), [format!("old: {namespace_denied}")]);
    assert_eq!(plan.counts().prune, 0);
}

#[test]
fn an_unknown_scope_has_to_pass_both_rules() {
    let rules = |kind: &str| AppProjectSpec {
        destinations: vec![ProjectDestination {
            name: Some("*".into()),
            namespace: Some("*".into()),
            ..ProjectDestination::default()
        }],
        cluster_resource_whitelist: vec![ClusterResource { group: "*".into(), kind: kind.into(), name: None }],
        ..AppProjectSpec::default()
    };
    let widget = json!({"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"}});
    for (kind, expected) in [("*", 0), ("Namespace", 1)] {
        let project = Project::new(&AppProject::new("team", "leeboard", rules(kind)));
        let world = World { project, ..World::new() }.wants(widget.clone());
        let plan = world.options(&["SkipDryRunOnMissingResource=true"]).plan();
        assert_eq!(plan.refusals.len(), expected, "whitelist {kind}: {:?}", plan.refusals);
    }
}
