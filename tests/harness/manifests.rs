//! The manifests that tests commit, each named by what it makes. Annotations are what stands between YAML's braces.

use serde_json::{Value, json};

/// A ConfigMap that greets.
pub const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {greeting: hello}\n";

/// The same by another name.
pub fn settings(name: &str) -> String {
    SETTINGS.replace("settings", name)
}

/// A ConfigMap with one value.
pub fn config_map(name: &str, value: &str) -> String {
    annotated_config_map(name, value, "")
}

/// The same with annotations.
pub fn annotated_config_map(name: &str, value: &str, annotations: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\ndata: {{value: \"{value}\"}}\n"
    )
}

/// A Deployment of two pods, whose fate the annotations of the template say.
pub fn deployment(name: &str, annotations: &str, template_annotations: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  replicas: 2
  progressDeadlineSeconds: 600
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {{{template_annotations}}}}}
    spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: main, image: \"registry.example/{name}:1\"}}]}}
"
    )
}

/// A Job that tries once; its pod's fate is what the annotations of the template say.
pub fn job(name: &str, annotations: &str, template_annotations: &str) -> String {
    format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  backoffLimit: 0
  template:
    metadata: {{annotations: {{{template_annotations}}}}}
    spec: {{restartPolicy: Never, terminationGracePeriodSeconds: 0, containers: [{{name: main, image: \"registry.example/{name}:1\"}}]}}
"
    )
}

/// The definition of a kind `Widget` in this group.
pub fn widget_definition(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: widgets.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Widget, plural: widgets, singular: widget}}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}}}
"
    )
}

/// A Widget `first` of this group.
pub fn widget(group: &str) -> String {
    format!("apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: first}}\nspec: {{size: 3}}\n")
}

/// An Application of `path` on `main`, automated with prune and self-heal, that deploys to the namespace `into`.
pub fn application(namespace: &str, name: &str, repo_url: &str, path: &str, into: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "project": "default",
            "source": {"repoURL": repo_url, "path": path, "targetRevision": "main"},
            "destination": {"name": "in-cluster", "namespace": into},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    })
}
