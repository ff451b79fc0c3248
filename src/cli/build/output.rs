//! Where a build goes that is not printed: one file, or one for each object.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
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

/// Writes pieces that follow each other.
pub(super) fn write_file(path: &Path, pieces: &[String]) -> anyhow::Result<()> {
    let write = |mut file: File| pieces.iter().try_for_each(|piece| file.write_all(piece.as_bytes()));
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
