//! What admission refuses: policies, and webhooks that say no or are not there.

use serde_json::json;

use super::says;
use crate::harness::manifests::config_map;
use crate::harness::{SOON, World, eventually, random_suffix};

#[tokio::test]
async fn what_an_admission_policy_refuses_is_named_and_heals_when_it_is_allowed() {
    let world = World::new().await;
    let policy = format!("no-such-value-{}", random_suffix());
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": policy},
         "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]},
            "validations": [{"expression": "!('value' in object.data) || object.data.value != 'bad'", "message": "bad is not good"}],
         }},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": policy},
         "spec": {"policyName": policy, "validationActions": ["Deny"], "matchResources": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.shop.name()}}}}},
    ]});
    world.cluster.apply(&objects.to_string(), [""; 0]).await;
    eventually("the policy holds", SOON, async || {
        let arguments = ["create", "configmap", "probe", "--from-literal=value=bad", "--dry-run=server"];
        match world.shop.kubectl(arguments).await {
            Ok(_) => Err("it was accepted"),
            Err(_) => Ok(()),
        }
    })
    .await;
    let head =
        world.repo.commit("main", &[("app/a.yaml", &config_map("a", "bad")), ("app/b.yaml", &config_map("b", "fine"))]);
    world.application("admitted", "app", &json!({})).await;
    says(&world, "admitted", &["ConfigMap/a", &policy, "bad is not good", "app/a.yaml:1"]).await;
    world.there("configmap/b").await;
    world.cluster.kubectl(["delete", "validatingadmissionpolicybinding", &policy]).await.unwrap();
    world.synced("admitted", &head).await;
}
