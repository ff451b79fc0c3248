//! One Kubernetes object: its key, the text it came from, and whose it is.
//!
//! **In:** plain JSON values, whether rendered or read from a cluster. **Out:** [`Object`], [`ObjectKey`].
//! **May not:** do I/O, or know what a kind means beyond its identity.
//!
//! Read [`tracking`] for whose an object is, [`fields`] for which of its fields are ours: the drift decision.

pub mod annotation;
pub mod event;
pub mod fields;
pub mod image;
pub mod quantity;
pub mod secret;
pub mod tracking;

use std::fmt;
use std::hash::Hasher;

use serde_json::Value;
use smol_str::SmolStr;
use xxhash_rust::xxh3::Xxh3Default;

use crate::error::Origin;

/// An API kind without its version: what identity is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    /// Empty for the core group.
    pub group: SmolStr,
    /// In CamelCase, as manifests write it.
    pub kind: SmolStr,
}

impl GroupKind {
    /// The group and kind with these names.
    pub fn new(group: impl Into<SmolStr>, kind: impl Into<SmolStr>) -> Self {
        GroupKind { group: group.into(), kind: kind.into() }
    }
}

/// `apps/Deployment`; `/Service` in the core group: as Argo CD's messages write it.
impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.kind)
    }
}

/// What makes two objects the same one: group, kind, namespace and name; not the version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Empty for the core group.
    pub group: SmolStr,
    /// In CamelCase.
    pub kind: SmolStr,
    /// `None` for cluster-scoped objects, and for namespaced ones whose destination is not known yet.
    pub namespace: Option<SmolStr>,
    /// `metadata.name`.
    pub name: SmolStr,
}

impl ObjectKey {
    /// Group and kind of the object.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }
}

/// `shop/Deployment/web`; `Namespace/shop` where there is no namespace.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// One Kubernetes object, as git wants it or as a cluster returned it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its identity; kept equal to what [`Object::body`] says.
    pub key: ObjectKey,
    /// The version part of `apiVersion`: `v1`, `v1beta1`.
    pub version: SmolStr,
    /// The whole object, `apiVersion` and `kind` included.
    pub body: Value,
    /// Where it was written, when it came from a file.
    pub origin: Option<Origin>,
}

/// Why a value is not a Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnObject {
    /// It is a list, a string, a number …
    #[error("expected a Kubernetes object, found {found}")]
    NotAMapping {
        /// What it is.
        found: &'static str,
    },
    /// A field that identity needs is absent, empty, or no string.
    #[error("`{field}` is missing or not a string")]
    Missing {
        /// Dotted path of the field.
        field: &'static str,
    },
}

impl Object {
    /// Reads the identity of a value; `generateName` stands in for a missing name (hooks use it).
    ///
    /// # Errors
    /// When `apiVersion`, `kind` or the name is missing or no string.
    pub fn from_value(body: Value, origin: Option<Origin>) -> Result<Self, NotAnObject> {
        let Value::Object(map) = &body else {
            return Err(NotAnObject::NotAMapping { found: json_type(&body) });
        };
        let text = |value: Option<&Value>, field| match value.and_then(Value::as_str) {
            Some(text) if !text.is_empty() => Ok(SmolStr::new(text)),
            _ => Err(NotAnObject::Missing { field }),
        };
        let api_version = text(map.get("apiVersion"), "apiVersion")?;
        let kind = text(map.get("kind"), "kind")?;
        let metadata = map.get("metadata");
        let field = |name: &str| metadata.and_then(|m| m.get(name));
        let name = text(field("name"), "metadata.name").or_else(|error| match field("generateName") {
            Some(Value::String(_)) => Ok(SmolStr::default()),
            _ => Err(error),
        })?;
        let namespace = field("namespace").and_then(Value::as_str).filter(|n| !n.is_empty()).map(SmolStr::new);
        let (group, version) = split_api_version(&api_version);
        Ok(Object {
            key: ObjectKey { group: group.into(), kind, namespace, name },
            version: version.into(),
            body,
            origin,
        })
    }

    /// `apps/v1`, `v1`.
    pub fn api_version(&self) -> SmolStr {
        if self.key.group.is_empty() {
            self.version.clone()
        } else {
            smol_str::format_smolstr!("{}/{}", self.key.group, self.version)
        }
    }

    /// The value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.body.get("metadata")?.get("annotations")?.get(name)?.as_str()
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.body.get("metadata")?.get("labels")?.get(name)?.as_str()
    }

    /// `metadata`, created when it is absent.
    pub fn metadata_mut(&mut self) -> &mut serde_json::Map<String, Value> {
        let entry = &mut self.body["metadata"];
        if !entry.is_object() {
            *entry = Value::Object(serde_json::Map::new());
        }
        match entry {
            Value::Object(map) => map,
            _ => unreachable!("set to a mapping above"),
        }
    }

    /// Sets an annotation; replaces `annotations` when it is no mapping.
    pub fn set_annotation(&mut self, name: &str, value: &str) {
        set_in(self.metadata_mut(), "annotations", name, value);
    }

    /// Sets a label; replaces `labels` when it is no mapping.
    pub fn set_label(&mut self, name: &str, value: &str) {
        set_in(self.metadata_mut(), "labels", name, value);
    }

    /// Puts the object into a namespace; the key follows.
    pub fn set_namespace(&mut self, namespace: &str) {
        self.metadata_mut().insert("namespace".into(), namespace.into());
        self.key.namespace = Some(namespace.into());
    }

    /// A hash of the whole content that does not depend on the order of keys. In memory only: never stored.
    pub fn content_hash(&self) -> u64 {
        content_hash(&self.body)
    }
}

fn set_in(metadata: &mut serde_json::Map<String, Value>, field: &str, name: &str, value: &str) {
    // Most objects have nothing but this one entry, and are kept: a map that grows by itself takes room for three.
    let one = || Value::Object(serde_json::Map::with_capacity(1));
    let entry = metadata.entry(field).or_insert_with(one);
    if !entry.is_object() {
        *entry = one();
    }
    entry[name] = value.into();
}

/// `apps/v1` → (`apps`, `v1`); `v1` → (``, `v1`).
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// What a JSON value is, in a word with its article.
pub fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// Hashes a value; mappings with equal entries in another order hash the same.
pub fn content_hash(value: &Value) -> u64 {
    match value {
        Value::Object(map) => {
            // Addition commutes: no sorting, no allocation.
            let sum = map.iter().fold(0u64, |sum, (key, value)| {
                let mut entry = Xxh3Default::new();
                entry.update(key.as_bytes());
                entry.write_u64(content_hash(value));
                sum.wrapping_add(entry.digest())
            });
            tagged(b'{', &sum.to_le_bytes())
        }
        Value::Array(items) => {
            let mut hasher = Xxh3Default::new();
            hasher.update(b"[");
            for item in items {
                hasher.write_u64(content_hash(item));
            }
            hasher.digest()
        }
        Value::String(text) => tagged(b's', text.as_bytes()),
        Value::Number(number) => tagged(b'n', number.to_string().as_bytes()),
        Value::Bool(value) => tagged(b'b', &[u8::from(*value)]),
        Value::Null => tagged(b'0', &[]),
    }
}

fn tagged(tag: u8, bytes: &[u8]) -> u64 {
    let mut hasher = Xxh3Default::new();
    hasher.update(&[tag]);
    hasher.update(bytes);
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn identity_is_read_from_the_body() {
        let body =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}});
        let object = Object::from_value(body, None).unwrap();
        assert_eq!(object.key.to_string(), "shop/Deployment/web");
        assert_eq!(object.key.group_kind().to_string(), "apps/Deployment");
        assert_eq!(object.api_version(), "apps/v1");
    }

    #[test]
    fn a_missing_name_is_named() {
        let error = Object::from_value(json!({"apiVersion": "v1", "kind": "Service"}), None).unwrap_err();
        assert_eq!(error.to_string(), "`metadata.name` is missing or not a string");
    }

    #[test]
    fn the_content_hash_ignores_the_order_of_keys_only() {
        let hash = |value: Value| content_hash(&value);
        assert_eq!(hash(json!({"a": 1, "b": [1, 2]})), hash(json!({"b": [1, 2], "a": 1})));
        for other in [
            json!({"a": 1, "b": [2, 1]}),
            json!({"a": "1", "b": [1, 2]}),
            json!({"a": 1}),
            json!({"b": 1, "a": [1, 2]}),
        ] {
            assert_ne!(hash(json!({"a": 1, "b": [1, 2]})), hash(other.clone()), "{other}");
        }
    }
}
