//! The suffix of a generated object's name: a hash of its content.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::kustomize::error::{Error, Problem};
use crate::kustomize::go_json;
use crate::kustomize::resource::Resource;
use crate::kustomize::set::Set;
use crate::yaml::{Content, Node, Resolve};

/// Adds the suffix to the name of every object that is to have one.
///
/// # Errors
/// When a value has no form in JSON.
pub(in crate::kustomize) fn apply(set: &mut Set) -> Result<(), Vec<Error>> {
    let mut errors = Vec::new();
    set.names_change();
    for resource in set.bodies_mut(|resource| resource.needs_hash) {
        match suffix(resource) {
            Ok(hash) => {
                resource.remember_id();
                let name = format!("{}-{hash}", resource.name());
                resource.set_name(&name);
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The generated objects that no cluster takes for the length of their names.
pub(in crate::kustomize) fn too_long(set: &Set) -> impl Iterator<Item = Error> {
    const MAX_NAME: usize = 253;
    let hashed = set.iter().filter(|resource| resource.needs_hash);
    hashed.map(|resource| (resource, resource.name())).filter(|(_, name)| name.len() > MAX_NAME).map(
        |(resource, name)| {
            Error::from_origin(resource.origin.as_ref(), Problem::NameTooLong { name: name.to_string() })
        },
    )
}

/// The hash of an object, as kustomize shortens and spells it.
///
/// # Errors
/// When a value of it has no form in JSON.
pub(in crate::kustomize) fn suffix(resource: &Resource) -> Result<String, Error> {
    // Only mappings are what they should be; scalars are their text, and lists are nothing.
    let value = |field| {
        let value = |node: &Node| match &node.content {
            Content::Mapping(_) => node.to_value(Resolve::V3),
            Content::Scalar(scalar) => Ok(scalar.text.as_str().into()),
            Content::Sequence(_) => Ok(Value::Null),
        };
        resource.node.get(field).map(value).transpose()
    };
    let text_or_empty = |value: Option<Value>| value.unwrap_or_else(|| "".into());
    let mut encoded = String::from("{");
    let mut field = |name: &str, value: &Value| {
        if encoded.len() > 1 {
            encoded.push(',');
        }
        go_json::push_string(&mut encoded, name);
        encoded.push(':');
        go_json::push(&mut encoded, value);
    };
    match resource.kind() {
        "ConfigMap" => {
            if let Some(binary) = value("binaryData")?.filter(|value| !value.is_string()) {
                field("binaryData", &binary);
            }
            field("data", &text_or_empty(value("data")?));
            field("kind", &"ConfigMap".into());
            field("name", &"".into());
        }
        "Secret" => {
            field("data", &text_or_empty(value("data")?));
            field("kind", &"Secret".into());
            field("name", &"".into());
            if let Some(plain) = value("stringData")?.filter(|value| !value.is_string()) {
                field("stringData", &plain);
            }
            field("type", &text_or_empty(value("type")?));
        }
        _ => {
            let whole = resource.node.to_value(Resolve::V3)?;
            encoded.clear();
            go_json::push(&mut encoded, &whole);
            return Ok(spell(&encoded));
        }
    }
    encoded.push('}');
    Ok(spell(&encoded))
}

/// The first ten digits of the SHA-256, without the letters that could spell words.
fn spell(encoded: &str) -> String {
    let mut digits = String::with_capacity(12);
    for byte in Sha256::digest(encoded.as_bytes()).iter().take(5) {
        // Writing to a string can't fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
        .chars()
        .map(|digit| match digit {
            '0' => 'g',
            '1' => 'h',
            '3' => 'k',
            'a' => 'm',
            'e' => 't',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    #[test]
    fn content_gets_the_suffix_that_kustomize_gives_it() {
        let cases = [
            // object, suffix
            ("{kind: ConfigMap, metadata: {name: c}}", "6ct58987ht"),
            ("{kind: ConfigMap, metadata: {name: c}, data: {a: \"b<é>&\"}}", "b8ch645d2m"),
            ("{kind: Secret, metadata: {name: s}, type: x, data: {a: Yg==}}", "tg8mf2mm6h"),
            ("{kind: Secret, metadata: {name: s}, type: Opaque, data: {}}", "46f8b28mk5"),
        ];
        for (text, expected) in cases {
            let node = yaml::parse(&"test.yaml".into(), text.as_bytes()).unwrap().remove(0).root;
            assert_eq!(suffix(&Resource::new(node)).unwrap(), expected, "{text}");
        }
    }
}
