//! Which version a target has: `lb1:` and a hash of what makes it one.
//!
//! Subject: the pod template of a Deployment or DaemonSet, the `spec` of a Service, the newest revision of a Knative
//! Service. The number of pods, and how a DaemonSet is kept at none, make no version.
//!
//! The hash is over the object it is given. Give it the object as it was rendered and not as it is live, where both are
//! known: an API server that learns a new default must not start a run.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{TargetKind, scale};

/// What a hash of ours begins with; Flagger's own cannot be computed outside of Go.
pub const PREFIX: &str = "lb1:";

/// The version of a target.
pub fn of(kind: TargetKind, object: &Value) -> String {
    let subject = match kind {
        TargetKind::Deployment | TargetKind::DaemonSet => scale::without_zero(&object["spec"]["template"]),
        TargetKind::Service => object["spec"].clone(),
        TargetKind::Knative => object["status"]["latestCreatedRevisionName"].clone(),
    };
    let hash = Sha256::digest(canonical(&subject).to_string().as_bytes());
    let hex: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{hex}")
}

/// Whether a hash in a status is one of ours.
pub fn is_ours(hash: &str) -> bool {
    hash.starts_with(PREFIX)
}

/// The same value with sorted keys, and without what says nothing: `null`, and empty mappings and lists in mappings.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, Value)> = map.iter().map(|(key, value)| (key, canonical(value))).collect();
            entries.retain(|(_, value)| match value {
                Value::Null => false,
                Value::Object(map) => !map.is_empty(),
                Value::Array(items) => !items.is_empty(),
                _ => true,
            });
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), value)).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "tables of JSON read better without ampersands")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_template_makes_a_version() {
        let of = |spec: Value| of(TargetKind::Deployment, &json!({"spec": spec}));
        let web = of(json!({"replicas": 3, "template": {"spec": {"containers": [{"name": "a", "image": "web:1"}]}}}));
        assert_eq!(web.len(), "lb1:".len() + 16);
        assert!(is_ours(&web) && !is_ours("84577c58c4"));
        let cases = [
            // spec, the same version?
            (json!({"template": {"spec": {"containers": [{"image": "web:1", "name": "a"}]}}}), true),
            (
                json!({"template": {"metadata": {}, "spec": {"volumes": null, "containers": [{"image": "web:1", "name": "a"}]}}}),
                true,
            ),
            (
                json!({"template": {"spec": {"nodeSelector": {scale::ZERO_NODE_SELECTOR: "true"}, "containers": [{"image": "web:1", "name": "a"}]}}}),
                true,
            ),
            (
                json!({"template": {"spec": {"nodeSelector": {"disk": "ssd"}, "containers": [{"image": "web:1", "name": "a"}]}}}),
                false,
            ),
            (json!({"template": {"spec": {"containers": [{"image": "web:2", "name": "a"}]}}}), false),
        ];
        for (spec, same) in cases {
            assert_eq!(of(spec.clone()) == web, same, "{spec}");
        }
    }
}
