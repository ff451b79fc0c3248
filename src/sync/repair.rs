//! What server-side apply refuses that Argo CD's client-side apply took, and how the object is made acceptable.
//!
//! **In:** a rendered object; the API server's refusal. **Out:** the object as it can be applied, and what to tell a
//! person about the difference. **May not:** send anything, or repair what no peer accepts: those are errors.
//!
//! Facts: SEMANTICS b.7, each verified on kube-apiserver 1.36. A refusal of this family comes as status 500 without
//! a reason, says `failed to create typed patch object (<ns>/<name>; <gv>, Kind=<K>): `, then a path and a sentence.

use std::fmt;

use base64::Engine as _;
use serde_json::{Map, Value};

use crate::object::Object;

/// One element of the path that a refusal names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// `.spec`
    Field(String),
    /// `[3]`
    Index(usize),
    /// `[name="web"]`, `[containerPort=80,protocol="TCP"]`: an entry of a list that is keyed by these fields.
    Entry(Vec<(String, Value)>),
}

/// Where in an object a refusal is, in the API server's notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath(pub Vec<Part>);

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Field(name) => write!(f, ".{name}")?,
                Part::Index(index) => write!(f, "[{index}]")?,
                Part::Entry(fields) => {
                    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    write!(f, "[{}]", fields.join(","))?;
                }
            }
        }
        Ok(())
    }
}

/// What is wrong at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The schema has no such field; client-side apply would have let the server prune it.
    NotDeclared,
    /// Two entries of a keyed list have the same key.
    Duplicate {
        /// As the server writes it: `[name="A"]`.
        key: String,
    },
    /// A value of another type was expected. What was found is not kept: it may be a secret.
    WrongType {
        /// `string`, `list` …
        expected: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotDeclared => f.write_str("field not declared in schema"),
            Problem::Duplicate { key } => write!(f, "two entries have the key {key}"),
            Problem::WrongType { expected } => write!(f, "expected {expected}"),
        }
    }
}

/// Reads the paths out of a refusal; empty when the message is of another family.
pub fn refusals(message: &str) -> Vec<(FieldPath, Problem)> {
    let Some(at) = message.find("failed to create typed patch object (") else { return Vec::new() };
    let Some(body) = message[at..].split_once("): ").map(|(_, body)| body) else { return Vec::new() };
    body.lines().filter_map(|line| refusal(line.trim())).collect()
}

fn refusal(line: &str) -> Option<(FieldPath, Problem)> {
    let (path, rest) = field_path(line)?;
    let sentence = rest.strip_prefix(": ")?;
    let problem = if sentence.starts_with("field not declared in schema") {
        Problem::NotDeclared
    } else if let Some(key) = sentence.strip_prefix("duplicate entries for key ") {
        Problem::Duplicate { key: key.to_owned() }
    } else {
        let expected = sentence.strip_prefix("expected ")?.split(',').next()?;
        Problem::WrongType { expected: expected.to_owned() }
    };
    Some((path, problem))
}

/// Reads `.spec.containers[name="web"].image`; returns what follows it.
fn field_path(text: &str) -> Option<(FieldPath, &str)> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[', ':']).unwrap_or(after.len());
            parts.push(Part::Field(after[..end].to_owned()));
            rest = &after[end..];
        } else if let Some(after) = rest.strip_prefix('[') {
            let (part, after) = bracket(after)?;
            parts.push(part);
            rest = after;
        } else {
            break;
        }
    }
    (!parts.is_empty()).then_some((FieldPath(parts), rest))
}

fn bracket(text: &str) -> Option<(Part, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && text[digits..].starts_with(']') {
        return Some((Part::Index(text[..digits].parse().ok()?), &text[digits + 1..]));
    }
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=')?;
        // A value is JSON, so it may hold `]` and `,` inside quotes: the JSON reader knows where it ends.
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<Value>();
        let value = values.next()?.ok()?;
        let after = &after[values.byte_offset()..];
        fields.push((name.to_owned(), value));
        if let Some(after) = after.strip_prefix(']') {
            return Some((Part::Entry(fields), after));
        }
        rest = after.strip_prefix(',')?;
    }
}

/// Removes what stands at a path; false when nothing does.
pub fn remove(body: &mut Value, path: &FieldPath) -> bool {
    let Some((last, parents)) = path.0.split_last() else { return false };
    let mut at = body;
    for part in parents {
        let Some(next) = step(at, part) else { return false };
        at = next;
    }
    match (last, at) {
        (Part::Field(name), Value::Object(map)) => map.shift_remove(name).is_some(),
        (Part::Index(index), Value::Array(items)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

fn step<'a>(at: &'a mut Value, part: &Part) -> Option<&'a mut Value> {
    match part {
        Part::Field(name) => at.get_mut(name),
        Part::Index(index) => at.get_mut(index),
        Part::Entry(fields) => at.as_array_mut()?.iter_mut().find(|item| {
            // A key field that the manifest leaves out has the schema's default: it can't contradict.
            fields.iter().all(|(name, value)| item.get(name).is_none_or(|found| found == value))
        }),
    }
}

/// The object as it is sent: without what only a server writes, a Secret's `stringData` as `data`.
///
/// `stringData` is write-only: who applies it owns `f:stringData` and never `f:data`, so a key that is dropped in git
/// would stay in the cluster for ever.
pub fn acceptable(mut object: Object) -> Object {
    if let Value::Object(body) = &mut object.body {
        body.shift_remove("status");
        if let Some(Value::Object(metadata)) = body.get_mut("metadata") {
            for field in ["creationTimestamp", "managedFields", "resourceVersion", "uid", "generation", "selfLink"] {
                metadata.shift_remove(field);
            }
        }
        if object.key.kind == "Secret" && object.key.group.is_empty() {
            encode_string_data(body);
        }
    }
    object
}

fn encode_string_data(secret: &mut Map<String, Value>) {
    let Some(Value::Object(plain)) = secret.shift_remove("stringData") else { return };
    let data = secret.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if !data.is_object() {
        *data = Value::Object(Map::new());
    }
    for (key, value) in plain {
        let encoded = match value {
            Value::String(text) => Value::String(base64::engine::general_purpose::STANDARD.encode(text)),
            Value::Null => Value::String(String::new()),
            // Not a string: the API server says so, and where.
            other => other,
        };
        data[key] = encoded;
    }
}

/// True when a Deployment can't move to `Recreate` because the server once filled in `rollingUpdate` by itself.
///
/// Applying `rollingUpdate: null` does not help, for we do not own the field: a merge patch by the same manager does.
pub fn needs_recreate_patch(object: &Object, message: &str) -> bool {
    object.key.kind == "Deployment"
        && object.key.group == "apps"
        && message.contains("spec.strategy.rollingUpdate: Forbidden")
        && object.body.pointer("/spec/strategy/type").is_some_and(|kind| kind == "Recreate")
        && object.body.pointer("/spec/strategy/rollingUpdate").is_none_or(Value::is_null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PREFIX: &str = "failed to create typed patch object (echo/d; apps/v1, Kind=Deployment): ";

    #[test]
    fn a_refusal_names_its_paths() {
        let cases = [
            // message, without its head                                                        path and problem
            (".spec.colour: field not declared in schema", vec![".spec.colour: field not declared in schema"]),
            (
                r#".spec.template.spec.containers[name="c"].imagee: field not declared in schema"#,
                vec![r#".spec.template.spec.containers[name="c"].imagee: field not declared in schema"#],
            ),
            (
                r#".spec.ports[port=80,protocol="TCP"].x: expected string, got &value.valueUnstructured{Value:"s3cret"}"#,
                vec![r#".spec.ports[port=80,protocol="TCP"].x: expected string"#],
            ),
            (
                r#".spec.containers[name="a].b"].env: duplicate entries for key [name="P"]"#,
                vec![r#".spec.containers[name="a].b"].env: two entries have the key [name="P"]"#],
            ),
            (
                "errors:\n  .spec.a: field not declared in schema\n  .spec.b[0].c: field not declared in schema",
                vec![".spec.a: field not declared in schema", ".spec.b[0].c: field not declared in schema"],
            ),
        ];
        for (message, expected) in cases {
            let found: Vec<_> = refusals(&format!("{PREFIX}{message}"))
                .iter()
                .map(|(path, problem)| format!("{path}: {problem}"))
                .collect();
            assert_eq!(found, expected, "{message}");
        }
        assert!(refusals("deployments.apps \"d\" not found").is_empty());
    }

    #[test]
    fn an_undeclared_field_is_dropped_where_the_server_saw_it() {
        let mut body = json!({"spec": {"ports": [{"port": 80, "x": 1}, {"port": 81, "x": 2}]}});
        let (path, _) =
            refusals(&format!("{PREFIX}.spec.ports[port=81,protocol=\"TCP\"].x: field not declared in schema"))
                .remove(0);
        assert!(remove(&mut body, &path));
        assert_eq!(body, json!({"spec": {"ports": [{"port": 80, "x": 1}, {"port": 81}]}}));
        assert!(!remove(&mut body, &path), "nothing is left to drop");
    }

    #[test]
    fn string_data_becomes_data_and_wins_over_it() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "creationTimestamp": null},
            "data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new", "c": null}});
        let object = acceptable(Object::from_value(secret, None).unwrap());
        assert_eq!(
            object.body,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "bmV3", "b": "Yg==", "c": ""}})
        );
    }
}
