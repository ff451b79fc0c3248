//! Templates of the past, as Kubernetes keeps them: a Deployment's in ReplicaSets, a DaemonSet's in ControllerRevisions.

use serde_json::Value;

use super::{TargetKind, scale};
use crate::canary::Revision;

/// The kind whose objects keep the templates of such a workload.
pub fn kind(of: TargetKind) -> Option<&'static str> {
    match of {
        TargetKind::Deployment => Some("ReplicaSet"),
        TargetKind::DaemonSet => Some("ControllerRevision"),
        TargetKind::Service | TargetKind::KnativeService => None,
    }
}

/// The pod template that an object of the history keeps, as it was applied.
pub fn template(kept: &Value) -> Option<Value> {
    const MARKS: [&str; 2] = ["pod-template-hash", "controller-revision-hash"];
    let spec = if kept["kind"] == "ControllerRevision" { &kept["data"]["spec"] } else { &kept["spec"] };
    let mut template = scale::without_zero(spec.get("template")?);
    template.as_object_mut()?.shift_remove("$patch");
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.retain(|label, _| !MARKS.contains(&label.as_str()));
    }
    Some(template)
}

/// True when a target of this version had this template.
pub fn is_of(template: &Value, revision: &Revision) -> bool {
    Revision::of(template, &std::collections::BTreeMap::new()).template == revision.template
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_kept_is_the_version_that_it_was() {
        let pods = |labels: Value| json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web"}]}});
        let applied = pods(json!({"app": "web"}));
        let revision = Revision::of(&applied, &BTreeMap::from([("configmap/x".to_owned(), "1".to_owned())]));
        let of_set = pods(json!({"app": "web", "pod-template-hash": "5d4"}));
        let mut of_revision = pods(json!({"app": "web"}));
        of_revision["$patch"] = "replace".into();
        let kept = [
            json!({"kind": "ReplicaSet", "spec": {"replicas": 0, "template": of_set}}),
            json!({"kind": "ControllerRevision", "data": {"spec": {"template": of_revision}}}),
        ];
        for kept in kept {
            let template = template(&kept).unwrap();
            assert_eq!(template, applied, "{kept}");
            assert!(is_of(&template, &revision) && !is_of(&pods(json!({})), &revision));
        }
        assert_eq!(template(&json!({"kind": "ReplicaSet", "spec": {}})), None);
    }
}
