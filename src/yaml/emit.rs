//! From plain values to the text that kustomize prints (go-yaml v2).

use serde_json::Value;

/// One document, with its final line break.
pub fn to_string(value: &Value) -> String {
    format!("{value}\n")
}
