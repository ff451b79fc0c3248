//! What admission refuses: policies, and webhooks that say no or are not there.

use serde_json::{Value, json};

use super::says;
use crate::harness::manifests::{annotated_config_map, config_map};
use crate::harness::{SOON, Verdict, Webhook, World, eventually, random_suffix};

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

#[tokio::test]
async fn what_a_validating_webhook_refuses_or_does_not_answer_is_named_and_heals() {
    a_webhook_is_named_and_heals("ValidatingWebhookConfiguration").await;
}

#[tokio::test]
async fn what_a_mutating_webhook_refuses_or_does_not_answer_is_named_and_heals() {
    a_webhook_is_named_and_heals("MutatingWebhookConfiguration").await;
}

/// It is asked for the ConfigMap `guarded` alone: `free`, in the same wave, always goes in; `later` only after both.
async fn a_webhook_is_named_and_heals(kind: &str) {
    let world = World::new().await;
    let mut webhook = Webhook::start(&world.shop, kind).await;
    let later = |value: &str| annotated_config_map("later", value, "argocd.argoproj.io/sync-wave: \"1\"");
    let push = |value: &str| {
        let (guarded, free, later) = (config_map("guarded", value), config_map("free", value), later(value));
        let files = [("app/guarded.yaml", &*guarded), ("app/free.yaml", &*free), ("app/later.yaml", &*later)];
        world.repo.commit("main", &files)
    };
    let head = push("1");
    world.application("admitted", "app", &json!({})).await;
    world.synced("admitted", &head).await;
    let is_as_it_was = async |object: &str, before: &Value| {
        let now = world.there(object).await;
        assert_eq!(now["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"], "{object} is untouched");
    };

    // Nobody listens.
    let before = (world.there("configmap/guarded").await, world.there("configmap/later").await);
    webhook.go_away().await;
    let head = push("2");
    let name = webhook.name.clone();
    says(&world, "admitted", &["ConfigMap/guarded", &name, "does not answer", "app/guarded.yaml:1"]).await;
    world.field("configmap/free", "{.data.value}", "2").await;
    is_as_it_was("configmap/guarded", &before.0).await;
    is_as_it_was("configmap/later", &before.1).await;
    webhook.come_back();
    world.synced("admitted", &head).await;
    world.field("configmap/guarded", "{.data.value}", "2").await;

    // It says no.
    let before = (world.there("configmap/guarded").await, world.there("configmap/later").await);
    webhook.says(Verdict::Refuse("not on a Friday"));
    let head = push("3");
    let parts = ["ConfigMap/guarded", &name, "refuses it", "not on a Friday", "app/guarded.yaml:1"];
    says(&world, "admitted", &parts).await;
    world.field("configmap/free", "{.data.value}", "3").await;
    is_as_it_was("configmap/guarded", &before.0).await;
    is_as_it_was("configmap/later", &before.1).await;
    webhook.says(Verdict::Allow);
    world.synced("admitted", &head).await;
    world.field("configmap/later", "{.data.value}", "3").await;
    webhook.end().await;
}
