//! The names of kinds in URLs, where no API server is there to ask.

use crate::object::{GroupKind, Object};

/// The name of a kind in URLs: as a definition says it, else as nearly all are made.
pub fn plural<'a>(kind: &GroupKind, objects: impl IntoIterator<Item = &'a Object>) -> String {
    let defined = objects.into_iter().find_map(|object| {
        let spec = (object.key.kind == "CustomResourceDefinition").then(|| object.body.get("spec"))??;
        let is_it = spec["group"] == kind.group.as_str() && spec["names"]["kind"] == kind.kind.as_str();
        spec["names"]["plural"].as_str().filter(|_| is_it).map(str::to_owned)
    });
    defined.unwrap_or_else(|| usual(&kind.kind))
}

fn usual(kind: &str) -> String {
    let name = kind.to_ascii_lowercase();
    let before_last = name.chars().rev().nth(1);
    match name.chars().last() {
        _ if name.ends_with("endpoints") => name,
        Some('s' | 'x') => format!("{name}es"),
        Some('y') if !before_last.is_some_and(|c| "aeiou".contains(c)) => {
            format!("{}ies", &name[..name.len() - 1])
        }
        _ => format!("{name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_names_of_kinds_are_made_as_kubernetes_makes_them() {
        let cases = [
            ("Deployment", "deployments"),
            ("Ingress", "ingresses"),
            ("StorageClass", "storageclasses"),
            ("NetworkPolicy", "networkpolicies"),
            ("Gateway", "gateways"),
            ("Endpoints", "endpoints"),
            ("ConfigMap", "configmaps"),
        ];
        for (kind, expected) in cases {
            assert_eq!(plural(&GroupKind::new("", kind), []), expected, "{kind}");
        }
        let definition = Object::from_value(
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"},
                "spec": {"group": "sea.example", "names": {"kind": "Octopus", "plural": "octopodes"}}}),
            None,
        )
        .unwrap();
        assert_eq!(plural(&GroupKind::new("sea.example", "Octopus"), [&definition]), "octopodes");
    }
}
