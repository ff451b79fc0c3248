//! A directory that a person names, as the tree that is rendered.

use std::env;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::report::Paths;
use crate::source::TreePath;
use crate::source::detect::KUSTOMIZATION_FILES;
use crate::source::files::MAX_FILE_BYTES;
use crate::source::local::LocalFiles;

/// A directory on disk inside the tree that it may read from.
pub(super) struct Opened {
    pub(super) files: LocalFiles,
    pub(super) directory: TreePath,
    pub(super) paths: Paths,
}

impl Opened {
    /// Has a kustomization stand in the directory that is read from somewhere else, instead of any that is there.
    ///
    /// # Errors
    /// When it can't be read, or is too large.
    pub(super) fn read_kustomization_from(&mut self, input: impl Read) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        input.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).context("cannot read stdin")?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            bail!("stdin holds more than {MAX_FILE_BYTES} bytes, the limit of a file");
        }
        for name in KUSTOMIZATION_FILES {
            self.files.hide(self.directory.join(name)?);
        }
        let [first, ..] = KUSTOMIZATION_FILES;
        self.files.give(self.directory.join(first)?, bytes.into());
        Ok(())
    }
}

/// How far a tree reaches that is in no work tree of git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The directory alone.
    Directory,
    /// All that the person may read: bases are wherever they are, as for `kustomize build`.
    FileSystem,
}

/// Opens the work tree of git around a directory; without one, what `reach` says.
pub(super) fn open(directory: &Path, reach: Reach) -> anyhow::Result<Opened> {
    let unreadable = || format!("cannot read the directory `{}`", directory.display());
    match LocalFiles::enclosing(directory).with_context(unreadable)? {
        Some((files, directory)) => opened(files, directory),
        None => open_alone(directory, reach),
    }
}

/// Opens a directory whether or not it is in a work tree of git.
pub(super) fn open_alone(directory: &Path, reach: Reach) -> anyhow::Result<Opened> {
    let unreadable = || format!("cannot read the directory `{}`", directory.display());
    let absolute = directory.canonicalize().with_context(unreadable)?;
    let root = match reach {
        Reach::Directory => absolute.clone(),
        Reach::FileSystem => absolute.ancestors().last().map_or_else(|| absolute.clone(), Path::to_owned),
    };
    let files = LocalFiles::new(&root).with_context(unreadable)?;
    let path = files.path_of(&absolute).with_context(|| format!("`{}` is no UTF-8", absolute.display()))?;
    opened(files, path)
}

fn opened(files: LocalFiles, directory: TreePath) -> anyhow::Result<Opened> {
    let here = working_directory()?;
    let paths = Paths::new(files.root(), &here);
    Ok(Opened { files, directory, paths })
}

fn working_directory() -> anyhow::Result<PathBuf> {
    env::current_dir().and_then(|here| here.canonicalize()).context("cannot find the working directory")
}

/// A value of our own types as YAML.
pub(super) fn to_yaml(value: &Value) -> anyhow::Result<String> {
    Ok(serde_yaml::to_string(value)?)
}
