//! The objects that users write: Argo CD's `Application` and `AppProject`, and Leeboard's `Environment`.
//!
//! **In:** JSON as an API server or a file holds it. **Out:** typed values, with every default resolved by a method.
//! **May not:** do I/O, read a clock, or refuse a field that Argo CD knows.
//!
//! Objects are decoded one by one with [`decode`], so that one that cannot be read does not hide the others; a bad
//! value in a status drops that field only. Semantics: SEMANTICS a and e, from Argo CD 3.x.

pub mod argo;
mod crd;
pub mod duration;
pub mod leeboard;

pub use crd::{crds, file_name};

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;

/// The group of Argo CD's kinds.
pub const ARGO_GROUP: &str = "argoproj.io";
/// The group of Leeboard's own kinds.
pub const LEEBOARD_GROUP: &str = "leeboard.dev";
/// The one version of all kinds here.
pub const VERSION: &str = "v1alpha1";

/// Why an object could not be read as its kind.
#[derive(Debug, thiserror::Error)]
#[error("{kind} `{name}` cannot be read")]
pub struct Malformed {
    /// `kind` as the object says it.
    pub kind: String,
    /// `namespace/name`, or the name alone.
    pub name: String,
    /// Which field, and what was expected there.
    #[source]
    pub source: serde_json::Error,
}

/// Reads one object; fields of value `null` count as absent, as they do to Argo CD.
///
/// # Errors
/// When a field that steers Leeboard has a value of another type.
pub fn decode<T: DeserializeOwned>(object: &Value) -> Result<T, Malformed> {
    T::deserialize(without_nulls(object)).map_err(|source| {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let metadata = object.get("metadata");
        let name = text(metadata.and_then(|m| m.get("name"))).unwrap_or_default();
        let namespace = text(metadata.and_then(|m| m.get("namespace")));
        Malformed {
            kind: text(object.get("kind")).unwrap_or_else(|| "object".into()),
            name: namespace.map(|namespace| format!("{namespace}/{name}")).unwrap_or(name),
            source,
        }
    })
}

/// A copy without `null` fields. Values of a chart keep theirs: to Helm they mean “remove the default”.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| {
                    let value = if key == "valuesObject" { value.clone() } else { without_nulls(value) };
                    (key.clone(), value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// For fields of a status: what cannot be read counts as absent, since a status is only a report.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The kube traits of a kind whose type is written out by hand (it has more at its top level than spec and status).
macro_rules! impl_resource {
    ($type:ty, $group:expr, $kind:literal, $plural:literal) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = kube::core::NamespaceResourceScope;

            fn kind(_: &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }

            fn group(_: &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }

            fn version(_: &()) -> std::borrow::Cow<'_, str> {
                crate::api::VERSION.into()
            }

            fn plural(_: &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
use impl_resource;
