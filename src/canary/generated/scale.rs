//! What brings the target to zero pods and back.

use serde_json::{Value, json};

use super::{Patch, Target, TargetKind};
use crate::object::Object;

/// No node has this label: a DaemonSet with it has no pods.
pub const ZERO_NODE_SELECTOR: &str = "flagger.app/scale-to-zero";
/// KEDA holds the target at this number.
pub const PAUSED_REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";

/// Takes all pods of the target away; nothing for a Service.
pub fn to_zero(target: &Target<'_>) -> Option<Patch> {
    let body = match target.kind {
        TargetKind::Deployment => json!({"spec": {"replicas": 0}}),
        TargetKind::DaemonSet => node_selector(&"true".into()),
        TargetKind::Service | TargetKind::KnativeService => return None,
    };
    Some(Patch::of(target.object, body))
}

/// Gives the target its pods back; nothing for a Service. The number means nothing to a DaemonSet.
pub fn up(target: &Target<'_>, replicas: i64) -> Option<Patch> {
    let body = match target.kind {
        TargetKind::Deployment => json!({"spec": {"replicas": replicas}}),
        TargetKind::DaemonSet => node_selector(&Value::Null),
        TargetKind::Service | TargetKind::KnativeService => return None,
    };
    Some(Patch::of(target.object, body))
}

fn node_selector(value: &Value) -> Value {
    json!({"spec": {"template": {"spec": {"nodeSelector": {ZERO_NODE_SELECTOR: value}}}}})
}

/// Whether the target has no pods by what [`to_zero`] wrote.
pub fn is_zero(target: &Target<'_>) -> bool {
    let spec = &target.object.body["spec"];
    match target.kind {
        TargetKind::Deployment => spec["replicas"] == 0,
        TargetKind::DaemonSet => spec["template"]["spec"]["nodeSelector"].get(ZERO_NODE_SELECTOR).is_some(),
        TargetKind::Service | TargetKind::KnativeService => false,
    }
}

/// Holds a KEDA scaler at zero; an HPA does nothing at zero pods by itself.
pub fn pause(scaler: &Object) -> Option<Patch> {
    paused(scaler, &"0".into())
}

/// Lets it go.
pub fn resume(scaler: &Object) -> Option<Patch> {
    scaler.annotation(PAUSED_REPLICAS)?;
    paused(scaler, &Value::Null)
}

fn paused(scaler: &Object, value: &Value) -> Option<Patch> {
    let body = json!({"metadata": {"annotations": {PAUSED_REPLICAS: value}}});
    (scaler.key.kind == "ScaledObject").then(|| Patch::of(scaler, body))
}

/// A pod template without what [`to_zero`] put into it: that is no other version.
pub(super) fn without_zero(template: &Value) -> Value {
    let mut template = template.clone();
    let selector = template.pointer_mut("/spec/nodeSelector").and_then(Value::as_object_mut);
    let is_empty = selector.is_some_and(|selector| {
        selector.shift_remove(ZERO_NODE_SELECTOR);
        selector.is_empty()
    });
    if is_empty && let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        spec.shift_remove("nodeSelector");
    }
    template
}
