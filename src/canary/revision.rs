//! Which version of a target is meant: a hash of what git says of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

/// Before each hash: how it was made. A hash with another prefix, or none, is someone else's.
pub const PREFIX: &str = "lb1:";

/// A version of a target: its template (a Service's spec) and the ConfigMaps and Secrets that it reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision {
    /// What `lastAppliedSpec` says: `lb1:` and 16 digits of a SHA-256 over canonical JSON.
    pub template: SmolStr,
    /// One hash over all checksums of configs; empty when there are none.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub configs: SmolStr,
}

impl Revision {
    /// The version that consists of this template and configs with these checksums.
    pub fn of(template: &Value, configs: &BTreeMap<String, String>) -> Self {
        let mut hash = Sha256::new();
        feed(&mut hash, template);
        let template = format!("{PREFIX}{}", first_digits(hash));
        if configs.is_empty() {
            return Revision { template: template.into(), configs: SmolStr::default() };
        }
        let mut hash = Sha256::new();
        for (name, checksum) in configs {
            hash.update(format!("{name}={checksum}\n"));
        }
        Revision { template: template.into(), configs: first_digits(hash).into() }
    }

    /// What hooks get as `checksum`: ten characters that stand for template and configs.
    pub fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{}\n{}", self.template, self.configs));
        first_digits(hash)[..10].to_owned()
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.template)
    }
}

fn first_digits(hash: Sha256) -> String {
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Canonical JSON: keys sorted, no space. Written piece by piece: a template may be long.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            hash.update("{");
            for (key, value) in sorted {
                hash.update(Value::from(key.as_str()).to_string());
                hash.update(":");
                feed(hash, value);
                hash.update(",");
            }
            hash.update("}");
        }
        Value::Array(items) => {
            hash.update("[");
            for item in items {
                feed(hash, item);
                hash.update(",");
            }
            hash.update("]");
        }
        scalar => hash.update(scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn revision(template: &Value, configs: &[(&str, &str)]) -> Revision {
        let configs = configs.iter().map(|(name, checksum)| ((*name).to_owned(), (*checksum).to_owned())).collect();
        Revision::of(template, &configs)
    }

    #[test]
    fn only_content_makes_another_revision() {
        let base = revision(&json!({"a": 1, "b": [1, 2]}), &[("configmap/web", "00")]);
        assert_eq!(base, revision(&json!({"b": [1, 2], "a": 1}), &[("configmap/web", "00")]), "order of keys");
        let others = [
            revision(&json!({"a": 1, "b": [2, 1]}), &[("configmap/web", "00")]),
            revision(&json!({"a": "1", "b": [1, 2]}), &[("configmap/web", "00")]),
            revision(&json!({"a": 1, "b": [1, 2]}), &[("configmap/web", "01")]),
            revision(&json!({"a": 1, "b": [1, 2]}), &[]),
        ];
        for other in others {
            assert_ne!(base, other);
            assert_ne!(base.checksum(), other.checksum());
        }
        assert!(base.template.starts_with(PREFIX) && base.template.len() == PREFIX.len() + 16, "{base}");
    }

    #[test]
    fn the_hash_is_the_same_for_ever() {
        // Another value here would start a run of everything at an update of Leeboard.
        let revision = revision(&json!({"spec": {"containers": [{"image": "web:1"}]}}), &[]);
        assert_eq!(revision.template, "lb1:654ed0b5c348be3f");
    }
}
