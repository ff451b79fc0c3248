//! `.argocd-source.yaml` and `.argocd-source-<application>.yaml`: what the directory itself says of its source.
//!
//! Each is merged into the Application's source (RFC 7396) in that order. Neither may say where the files are.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::unreadable;
use crate::api::{self, argo::Source};
use crate::error::{Diagnostic, Origin};
use crate::source::{Entry, Files, TreePath};
use crate::yaml::{self, Resolve};

/// Where the files are is the Application's to say.
const PROTECTED: [&str; 4] = ["repoURL", "path", "chart", "targetRevision"];

/// The source with what the directory says merged in.
pub(super) fn apply(
    files: &dyn Files,
    path: &TreePath,
    application: &str,
    source: &Source,
) -> Result<Source, Diagnostic> {
    let mut source = source.clone();
    for name in [".argocd-source.yaml".to_owned(), format!(".argocd-source-{application}.yaml")] {
        let file = path.join(&name).map_err(|error| unreadable(&error))?;
        if files.entry(&file).map_err(|error| unreadable(&error))? != Some(Entry::File) {
            continue;
        }
        let Some(mut patch) = patch(files, &file)? else { continue };
        patch.retain(|field, _| !PROTECTED.contains(&field.as_str()));
        let mut merged = serde_json::to_value(&source).unwrap_or_default();
        merge(&mut merged, Value::Object(patch));
        source = api::decode(&merged).map_err(|error| {
            Diagnostic::new(format!("`{}` cannot be read as part of a source", error.field))
                .at(Origin::file(file.as_str()))
                .with_note(error.source.to_string())
        })?;
    }
    Ok(source)
}

fn patch(files: &dyn Files, file: &TreePath) -> Result<Option<Map<String, Value>>, Diagnostic> {
    let bytes = files.read(file).map_err(|error| unreadable(&error))?;
    let name: Arc<str> = file.as_str().into();
    let documents = yaml::parse_as(&name, &bytes, Resolve::V2).map_err(|error| error.diagnostic())?;
    let Some(document) = documents.first() else { return Ok(None) };
    match document.root.to_value(Resolve::V2).map_err(|error| error.diagnostic())? {
        Value::Object(patch) => Ok(Some(patch)),
        Value::Null => Ok(None),
        _ => Err(Diagnostic::new("expected fields of an Application's source").at(Origin::new(name, 1, 1))),
    }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (field, value) in patch {
        if value.is_null() {
            target.shift_remove(&field);
        } else {
            merge(target.entry(field).or_insert(Value::Null), value);
        }
    }
}
