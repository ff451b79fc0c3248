//! What a plain scalar means.

/// Whose reading of YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// go-yaml v3: kustomize reading resources.
    V3,
    /// sigs.k8s.io/yaml (go-yaml v2): kubectl and Argo CD reading manifests, kustomize reading its own files.
    V2,
}

/// What a scalar means.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    /// `~`
    Null,
    /// `true`
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer beyond `i64`.
    Uint(u64),
    /// Any other number; may be infinite or no number.
    Float(f64),
    /// A date or time, as RFC 3339 (v3 only).
    Time(String),
    /// Its text.
    Text,
}

/// What plain text means to this reader.
pub fn plain(text: &str, _mode: Resolve) -> Plain {
    if super::node::is_null_text(text) { Plain::Null } else { Plain::Text }
}
