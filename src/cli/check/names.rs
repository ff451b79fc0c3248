//! Names that an API server would refuse.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>

use crate::object::ObjectKey;

/// What is wrong with the name and the namespace of an object, by the field of `metadata`; empty when nothing is.
pub(super) fn mistakes(key: &ObjectKey) -> Vec<(&'static str, String)> {
    // A name that is missing here is generated.
    let name = Some(key.name.as_str()).filter(|name| !name.is_empty()).map(|name| ("name", name, rule_of(key)));
    let namespace = key.namespace.as_deref().map(|namespace| ("namespace", namespace, Rule::Label));
    name.into_iter()
        .chain(namespace)
        .filter_map(|(field, text, rule)| {
            let expected = rule.broken_by(text)?;
            Some((field, format!("the {field} `{text}` is no valid one: {expected}")))
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// RFC 1123 subdomain: most kinds.
    Subdomain,
    /// RFC 1123 label: namespaces.
    Label,
    /// RFC 1035 label: services.
    ServiceLabel,
    /// Anything that can stand in a path: roles and their bindings.
    PathSegment,
}

fn rule_of(key: &ObjectKey) -> Rule {
    match (key.group.as_str(), key.kind.as_str()) {
        ("", "Namespace") => Rule::Label,
        ("", "Service") => Rule::ServiceLabel,
        ("rbac.authorization.k8s.io", _) => Rule::PathSegment,
        _ => Rule::Subdomain,
    }
}

impl Rule {
    /// What the rule expects, when a name breaks it.
    fn broken_by(self, name: &str) -> Option<String> {
        let lower = |byte: u8| byte.is_ascii_lowercase();
        let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let dashed = |part: &str| part.bytes().all(|byte| alphanumeric(byte) || byte == b'-');
        let begins = |part: &str, good: &dyn Fn(u8) -> bool| part.bytes().next().is_some_and(good);
        let ends = |part: &str| part.bytes().next_back().is_some_and(alphanumeric);
        let label = |part: &str| dashed(part) && begins(part, &alphanumeric) && ends(part);
        let (good, longest, expected) = match self {
            Rule::Subdomain => (
                name.split('.').all(label),
                253,
                "lower-case letters, digits, `-` and `.`, a letter or digit at each end",
            ),
            Rule::Label => (label(name), 63, "lower-case letters, digits and `-`, a letter or digit at each end"),
            Rule::ServiceLabel => (
                dashed(name) && begins(name, &lower) && ends(name),
                63,
                "lower-case letters, digits and `-`, a letter first and no `-` at the end",
            ),
            Rule::PathSegment => {
                (!matches!(name, "." | "..") && !name.contains(['/', '%']), usize::MAX, "no `/` and no `%`")
            }
        };
        if name.len() > longest {
            return Some(format!("it has {} characters, more than {longest}", name.len()));
        }
        (!good).then(|| format!("expected {expected}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_an_api_server_refuses_are_found() {
        let long = "x".repeat(64);
        let cases = [
            // group, kind, namespace, name                                       a word of each mistake
            (("apps", "Deployment", Some("shop"), "web"), vec![]),
            (("apps", "Deployment", Some("shop"), "web.v2-1"), vec![]),
            (("apps", "Deployment", Some("shop"), "Web"), vec!["the name `Web`"]),
            (("apps", "Deployment", Some("shop"), "web_1"), vec!["the name `web_1`"]),
            (("apps", "Deployment", Some("shop"), "-web"), vec!["each end"]),
            (("apps", "Deployment", Some("shop"), "a..b"), vec!["each end"]),
            (("apps", "Deployment", Some("shop"), ""), vec![]),
            (("apps", "Deployment", Some("Shop.x"), "W"), vec!["name `W`", "namespace `Shop.x`"]),
            (("", "Service", None, "1web"), vec!["a letter first"]),
            (("", "Service", None, "web.v2"), vec!["a letter first"]),
            (("", "Namespace", None, &*long), vec!["64 characters"]),
            (("", "ConfigMap", None, &*long), vec![]),
            (("rbac.authorization.k8s.io", "ClusterRole", None, "system:node:X"), vec![]),
            (("rbac.authorization.k8s.io", "ClusterRole", None, "a/b"), vec!["no `/`"]),
        ];
        for ((group, kind, namespace, name), expected) in cases {
            let key = ObjectKey {
                group: group.into(),
                kind: kind.into(),
                namespace: namespace.map(Into::into),
                name: name.into(),
            };
            let found = mistakes(&key);
            assert_eq!(found.len(), expected.len(), "{key}: {found:?}");
            for ((_, mistake), word) in found.iter().zip(expected) {
                assert!(mistake.contains(word), "{key}: {mistake}");
            }
        }
    }
}
