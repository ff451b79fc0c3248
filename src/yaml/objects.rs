//! From a file of manifests to objects.

use std::sync::Arc;

use serde_json::Value;

use super::json;
use super::node::{Content, Entry, Node, Step};
use super::parse::parse_as;
use super::resolve::{Plain, Resolve};
use crate::error::{Diagnostic, Origin};
use crate::object::Object;

/// The objects of a file: every document, lists expanded, empty documents left out.
///
/// The reading is the caller's choice; a key that occurs twice in a mapping is refused in both. Items of a list inside
/// of a list come after all others, as kustomize has it.
///
/// # Errors
/// Every problem that was found, each with file, line and field.
pub fn objects(file: &Arc<str>, bytes: &[u8], mode: Resolve) -> Result<Vec<Object>, Vec<Diagnostic>> {
    if let Some(objects) = json::values(bytes).and_then(|values| json_objects(file, values)) {
        return Ok(objects);
    }
    let documents = parse_as(file, bytes, mode).map_err(|error| vec![error.diagnostic()])?;
    let mut objects = Vec::new();
    let mut problems = Vec::new();
    for node in expand(documents.into_iter().map(|document| document.root), node_items) {
        match object(&node, mode) {
            Ok(Some(object)) => objects.push(object),
            Ok(None) => {}
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(objects) } else { Err(problems) }
}

/// Objects that need no line but the first; `None` when something is wrong, for the other way to say what.
fn json_objects(file: &Arc<str>, values: Vec<Value>) -> Option<Vec<Object>> {
    let origin = Origin::new(Arc::clone(file), 1, 1);
    expand(values.into_iter(), value_items)
        .into_iter()
        .filter(|value| value.as_object().is_none_or(|map| !map.is_empty()))
        .map(|value| Some(value).filter(has_string_metadata))
        .map(|value| Object::from_value(value?, Some(origin.clone())).ok())
        .collect()
}

/// Replaces lists by their items; those of lists in lists go to the end.
fn expand<T>(roots: impl Iterator<Item = T>, items: impl Fn(T) -> Result<Vec<T>, T>) -> Vec<T> {
    let mut objects = Vec::new();
    let mut level: Vec<T> = roots.collect();
    let mut is_first = true;
    while !level.is_empty() {
        let mut deeper = Vec::new();
        for root in std::mem::take(&mut level) {
            match items(root) {
                Err(object) => objects.push(object),
                Ok(found) if is_first => {
                    for item in found {
                        match items(item) {
                            Err(object) => objects.push(object),
                            Ok(nested) => deeper.extend(nested),
                        }
                    }
                }
                Ok(found) => deeper.extend(found),
            }
        }
        level = deeper;
        is_first = false;
    }
    objects
}

/// The items of a `kind: …List`, or the node itself.
fn node_items(mut node: Node) -> Result<Vec<Node>, Node> {
    if !node.get("kind").and_then(Node::as_str).is_some_and(|kind| kind.ends_with("List")) {
        return Err(node);
    }
    match node.get_mut("items") {
        Some(Node { content: Content::Sequence(items), .. }) => Ok(std::mem::take(&mut items.items)),
        Some(items) if items.is_null() => Ok(Vec::new()),
        _ => Err(node),
    }
}

fn value_items(mut value: Value) -> Result<Vec<Value>, Value> {
    if !value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List")) {
        return Err(value);
    }
    match value.get_mut("items") {
        Some(Value::Array(items)) => Ok(std::mem::take(items)),
        Some(Value::Null) => Ok(Vec::new()),
        _ => Err(value),
    }
}

/// One object, or everything that keeps it from being one; `None` for `{}` and null.
fn object(node: &Node, mode: Resolve) -> Result<Option<Object>, Vec<Diagnostic>> {
    match node.as_mapping() {
        Some([]) => return Ok(None),
        None if node.is_null() => return Ok(None),
        Some(_) => {}
        None => {
            let title = format!("expected a Kubernetes object, found {}", node.describe());
            return Err(vec![place(Diagnostic::new(title), node)]);
        }
    }
    let mut problems: Vec<Diagnostic> = node.duplicate_keys().iter().map(|key| key.error().diagnostic()).collect();
    for field in [&["apiVersion"][..], &["kind"], &["metadata", "name"]] {
        problems.extend(missing(node, field, mode));
    }
    problems.extend(not_a_string(node, &["metadata", "namespace"], mode));
    for field in ["labels", "annotations"] {
        problems.extend(not_strings(node, field, mode));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let body = node.to_value(mode).map_err(|error| vec![error.diagnostic()])?;
    match Object::from_value(body, node.origin()) {
        Ok(object) => Ok(Some(object)),
        Err(error) => Err(vec![place(Diagnostic::new(error.to_string()), node)]),
    }
}

/// A field that identity needs.
fn missing(node: &Node, field: &[&str], mode: Resolve) -> Option<Diagnostic> {
    let path: Vec<Step<'_>> = field.iter().copied().map(Step::Key).collect();
    let name = field.join(".");
    match node.at(&path) {
        Some(found) if !found.is_null() => {
            if found.as_str() == Some("") {
                return Some(place(Diagnostic::new(format!("`{name}` is empty")), node.nearest(&path)));
            }
            not_a_string(node, field, mode)
        }
        // Hooks that run again and again are named by the API server.
        _ if name == "metadata.name" && node.at(&["metadata".into(), "generateName".into()]).is_some() => None,
        _ => {
            let kind = node.get("kind").and_then(Node::as_str).filter(|kind| !kind.is_empty());
            let of = kind.map_or_else(|| "an object".to_owned(), |kind| format!("this {kind}"));
            Some(place(Diagnostic::new(format!("`{name}` is missing in {of}")), node.nearest(&path)))
        }
    }
}

/// A field that has a value, but not of the type that all readers need.
fn not_a_string(node: &Node, field: &[&str], mode: Resolve) -> Option<Diagnostic> {
    let path: Vec<Step<'_>> = field.iter().copied().map(Step::Key).collect();
    node.at(&path).and_then(|value| must_be_string(value, &field.join("."), mode))
}

/// Labels and annotations: the API server's own words on these name no line.
fn not_strings(node: &Node, field: &str, mode: Resolve) -> Vec<Diagnostic> {
    let Some(map) = node.at(&["metadata".into(), field.into()]) else { return Vec::new() };
    let Some(entries) = map.as_mapping() else {
        let title = format!("`metadata.{field}` must be a mapping, found {}", map.describe());
        return if map.is_null() { Vec::new() } else { vec![place(Diagnostic::new(title), map)] };
    };
    let problem = |Entry { key, value }: &Entry| {
        must_be_string(value, &format!("metadata.{field}.{}", key.as_str().unwrap_or_default()), mode)
    };
    entries.iter().filter_map(problem).collect()
}

fn must_be_string(value: &Node, field: &str, mode: Resolve) -> Option<Diagnostic> {
    let found = match value.resolve(mode) {
        Ok(Some(Plain::Text | Plain::Decoded(_) | Plain::Time(_) | Plain::Null)) => return None,
        Ok(Some(meaning)) => meaning.describe(),
        Ok(None) => value.describe(),
        Err(error) => return Some(error.diagnostic()),
    };
    let problem = Diagnostic::new(format!("`{field}` must be a string, found {found}")).with_label(found);
    let problem = if value.is_scalar() { problem.with_hint("Put the value into quotes.") } else { problem };
    Some(place(problem, value))
}

fn has_string_metadata(value: &Value) -> bool {
    let metadata = value.get("metadata");
    let is_text = |value: &Value| value.is_string() || value.is_null();
    let of = |field: &str| metadata.and_then(|metadata| metadata.get(field));
    of("namespace").is_none_or(is_text)
        && ["labels", "annotations"].into_iter().filter_map(of).all(|map| match map {
            Value::Object(map) => map.values().all(is_text),
            other => other.is_null(),
        })
}

fn place(mut problem: Diagnostic, node: &Node) -> Diagnostic {
    problem.origin = node.origin();
    problem.line = node.line_text().map(str::to_owned);
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let read = objects(&"a.yaml".into(), text.as_bytes(), Resolve::V2).unwrap();
        read.iter().map(|object| format!("{} {}", object.origin.as_ref().unwrap().line, object.key)).collect()
    }

    fn refuse(text: &str) -> Vec<String> {
        let problems = objects(&"a.yaml".into(), text.as_bytes(), Resolve::V2).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn documents_and_lists_become_objects_that_know_their_line() {
        let text = "# head\n---\n# nothing\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n{}\n---\n\
            apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: RoleList\n  items:\n  - {apiVersion: v1, kind: R, metadata: {name: z}}\n\
            - apiVersion: v1\n  kind: Pod\n  metadata: {name: b, namespace: shop}\n---\n\
            {apiVersion: v1, kind: List, items: null}\n---\napiVersion: x/v1\nkind: AllowList\nmetadata: {generateName: c-}\n";
        assert_eq!(read(text), ["5 Service/a", "18 shop/Pod/b", "24 AllowList/", "17 R/z"]);
    }

    #[test]
    fn json_files_are_read_as_well() {
        let text =
            r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}]}"#;
        assert_eq!(read(text), ["1 Pod/a"]);
        assert_eq!(
            refuse("{\"apiVersion\":\"v1\",\n\"kind\":\"Pod\",\n\"metadata\":{}}"),
            ["a.yaml:3:1: `metadata.name` is missing in this Pod"]
        );
        assert_eq!(
            refuse("{\"kind\":\"a\",\n\"kind\":\"b\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}"),
            ["a.yaml:2:1: the key `kind` is already defined at line 1 (Remove one of the two.)"]
        );
    }

    #[test]
    fn all_problems_are_told_with_their_lines() {
        let text = "kind: Pod\nmetadata:\n  labels: {a: yes, b: 1}\n---\nfoo\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: 12\n  name: b\n";
        assert_eq!(
            refuse(text),
            [
                "a.yaml:1:1: `apiVersion` is missing in this Pod",
                "a.yaml:2:1: `metadata.name` is missing in this Pod",
                "a.yaml:3:15: `metadata.labels.a` must be a string, found a boolean (Put the value into quotes.)",
                "a.yaml:3:23: `metadata.labels.b` must be a string, found a number (Put the value into quotes.)",
                "a.yaml:5:1: expected a Kubernetes object, found a scalar",
                "a.yaml:11:3: the key `name` is already defined at line 10 (Remove one of the two.)",
                "a.yaml:10:9: `metadata.name` must be a string, found a number (Put the value into quotes.)",
            ]
        );
    }
}
