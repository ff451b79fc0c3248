//! The definitions under `deploy/crds` are those that the types say; `LEEBOARD_BLESS=1` writes them anew.

use std::path::Path;

use leeboard::api;
use serde_json::Value;

#[test]
fn the_files_are_made_from_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/crds");
    for definition in api::crds() {
        let file = folder.join(api::file_name(&definition));
        let made = serde_yaml::to_string(&definition).unwrap();
        if std::env::var_os("LEEBOARD_BLESS").is_some() {
            std::fs::write(&file, &made).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == made, "{} is out of date; run LEEBOARD_BLESS=1 cargo test --test crds", file.display());
        let read: Value = serde_yaml::from_str(&written).unwrap();
        assert_eq!(read, definition, "{} reads back as another definition", file.display());
    }
}

/// What an API server refuses in a schema, found without one.
#[test]
fn every_schema_is_structural() {
    fn walk(path: &str, schema: &Value) {
        for word in ["$ref", "anyOf", "oneOf", "allOf", "not", "definitions", "$defs", "const", "default", "nullable"] {
            assert!(schema.get(word).is_none(), "{path}: `{word}`");
        }
        let is_open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
            || schema.get("x-kubernetes-int-or-string").is_some();
        assert!(schema.get("type").is_some_and(Value::is_string) || is_open, "{path}: no type");
        assert!(
            schema.get("properties").is_none() || schema.get("additionalProperties").is_none(),
            "{path}: both properties and additionalProperties"
        );
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), inner);
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(inner) {
                walk(&format!("{path}[]"), inner);
            }
        }
    }
    for definition in api::crds() {
        for version in definition["spec"]["versions"].as_array().unwrap() {
            walk(&api::file_name(&definition), &version["schema"]["openAPIV3Schema"]);
        }
    }
}
