//! Where a build goes that is not printed: one file, or one for each object.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::kustomize;
use crate::object::Object;
use crate::yaml::emit;

/// The objects as one text.
pub(super) fn text(objects: &[Object]) -> String {
    let texts: Vec<String> = objects.iter().map(|object| emit::to_string(&object.body)).collect();
    texts.join("---\n")
}

/// Hands on documents one behind the other, many at a time.
pub(super) fn in_chunks(documents: &[String], mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    /// Bytes that are worth a write.
    const CHUNK: usize = 64 << 10;
    let mut chunk = Vec::with_capacity(CHUNK);
    for document in documents {
        if chunk.len() + document.len() > CHUNK && !chunk.is_empty() {
            write(&chunk)?;
            chunk.clear();
        }
        chunk.extend_from_slice(document.as_bytes());
    }
    if chunk.is_empty() { Ok(()) } else { write(&chunk) }
}

/// Writes documents one behind the other.
pub(super) fn write_file(path: &Path, documents: &[String]) -> anyhow::Result<()> {
    let write = |mut file: File| in_chunks(documents, |chunk| file.write_all(chunk));
    File::create(path).and_then(write).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Writes each object into a file of its own, named as kustomize names it: by namespace, where there are several, kind
/// and name.
pub(super) fn write_files(directory: &Path, objects: &[Object]) -> anyhow::Result<()> {
    let namespace = |object: &Object| {
        let named = object.key.namespace.as_deref().unwrap_or("default");
        (!kustomize::is_cluster_scoped(object)).then(|| named.to_owned())
    };
    let are_many = objects.iter().filter_map(namespace).collect::<BTreeSet<String>>().len() > 1;
    for object in objects {
        let namespace = namespace(object).filter(|_| are_many);
        let group = Some(object.key.group.as_str()).filter(|group| !group.is_empty());
        let parts =
            [namespace.as_deref(), group, Some(&object.version), Some(&object.key.kind), Some(&object.key.name)];
        let name = parts.into_iter().flatten().collect::<Vec<&str>>().join("_").to_lowercase();
        let path = directory.join(format!("{}.yaml", name.replace('/', "_")));
        let text = emit::to_string(&object.body);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}
