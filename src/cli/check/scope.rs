//! Whether the objects of a built-in kind live in namespaces: what discovery would say.

use crate::api::{ARGO_GROUP, LEEBOARD_GROUP};
use crate::object::GroupKind;
use crate::plan::Scope;

/// `None` for kinds of which only a cluster could tell.
pub(in crate::cli) fn scope(kind: &GroupKind) -> Option<Scope> {
    let is_builtin = match kind.group.as_str() {
        "" | "apps" | "batch" | "autoscaling" | "policy" => true,
        ARGO_GROUP | LEEBOARD_GROUP => return Some(Scope::Namespaced),
        group => BUILTIN_GROUPS.contains(&group),
    };
    let scope = if CLUSTER_SCOPED.contains(&(&*kind.group, &*kind.kind)) { Scope::Cluster } else { Scope::Namespaced };
    is_builtin.then_some(scope)
}

/// Groups of which all kinds are known here.
const BUILTIN_GROUPS: [&str; 10] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

const CLUSTER_SCOPED: [(&str, &str); 24] = [
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("networking.k8s.io", "IPAddress"),
    ("networking.k8s.io", "IngressClass"),
    ("networking.k8s.io", "ServiceCIDR"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "CSINode"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttachment"),
    ("storage.k8s.io", "VolumeAttributesClass"),
    ("policy", "PodSecurityPolicy"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_of_a_kind_is_known_or_left_open() {
        let cases = [
            (("", "Service"), Some(Scope::Namespaced)),
            (("", "Namespace"), Some(Scope::Cluster)),
            (("rbac.authorization.k8s.io", "ClusterRole"), Some(Scope::Cluster)),
            (("rbac.authorization.k8s.io", "Role"), Some(Scope::Namespaced)),
            (("argoproj.io", "Application"), Some(Scope::Namespaced)),
            (("cert-manager.io", "ClusterIssuer"), None),
        ];
        for ((group, kind), expected) in cases {
            assert_eq!(scope(&GroupKind::new(group, kind)), expected, "{group}/{kind}");
        }
    }
}
