//! Where the API server has a kind and an object: paths and queries, by the API conventions.

use super::Part;
use crate::live::discovery::Resource;
use crate::object::ObjectKey;

pub(in crate::live) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// `/apis/apps/v1/namespaces/shop/deployments`.
pub(in crate::live) fn list_path(group: &str, version: &str, namespace: Option<&str>, resource: &Resource) -> String {
    let root = if group.is_empty() { "/api" } else { "/apis" };
    let mut path = format!("{root}/{}", api_version(group, version));
    if let Some(namespace) = namespace.filter(|_| resource.namespaced) {
        path.push_str("/namespaces/");
        path.push_str(&escaped(namespace));
    }
    path.push('/');
    path.push_str(&resource.plural);
    path
}

pub(super) fn object_path(key: &ObjectKey, version: &str, resource: &Resource, part: Part) -> String {
    // Where an object names no namespace the API server would take the path for another resource's.
    let namespace = key.namespace.as_deref().unwrap_or("default");
    let list = list_path(&key.group, version, Some(namespace), resource);
    let part = match part {
        Part::Whole => "",
        Part::Status => "/status",
    };
    format!("{list}/{}{part}", escaped(&key.name))
}

pub(in crate::live) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let mut uri = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        uri.push(if index == 0 { '?' } else { '&' });
        uri.push_str(name);
        uri.push('=');
        uri.push_str(&escaped(value));
    }
    uri
}

/// Percent-encoded: nothing that comes from a file reaches another path than the one that is meant.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    // As a whole segment these would be taken for steps up.
    if matches!(&*escaped, "." | "..") { escaped.replace('.', "%2E") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(group: &str, namespace: Option<&str>, name: &str) -> ObjectKey {
        ObjectKey { group: group.into(), kind: "X".into(), namespace: namespace.map(Into::into), name: name.into() }
    }

    #[test]
    fn paths_are_those_of_the_api_conventions() {
        let resource = |namespaced| Resource { plural: "xs".into(), namespaced, watchable: true, writable: true };
        let cases = [
            (key("", Some("n"), "a"), true, "/api/v1/namespaces/n/xs/a"),
            (key("apps", Some("n"), "a"), true, "/apis/apps/v1/namespaces/n/xs/a"),
            (key("apps", None, "a"), true, "/apis/apps/v1/namespaces/default/xs/a"),
            (key("apps", None, "a"), false, "/apis/apps/v1/xs/a"),
            (key("apps", Some("n"), "a"), false, "/apis/apps/v1/xs/a"),
            (key("", Some("n"), "system:a/b"), true, "/api/v1/namespaces/n/xs/system%3Aa%2Fb"),
            (key("", Some(".."), ".."), true, "/api/v1/namespaces/%2E%2E/xs/%2E%2E"),
            (key("", Some("n"), "a?x=y#z"), true, "/api/v1/namespaces/n/xs/a%3Fx%3Dy%23z"),
        ];
        for (key, namespaced, expected) in cases {
            assert_eq!(object_path(&key, "v1", &resource(namespaced), Part::Whole), expected);
        }
        assert!(object_path(&key("", None, "a"), "v1", &resource(false), Part::Status).ends_with("/xs/a/status"));
        assert_eq!(with_query("/x", &[("a", "b=c,d"), ("e", "f")]), "/x?a=b%3Dc%2Cd&e=f");
    }
}
