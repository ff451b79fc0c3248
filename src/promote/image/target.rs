//! [`Target`]: the file in which an environment says which versions its images have, and what a change makes of it.

use std::sync::Arc;

use crate::error::Diagnostic;
use crate::promote::edit::{self, FieldPath, Found, Image, Place};
use crate::source::detect::KUSTOMIZATION_FILES;
use crate::source::{self, Entry, Files, TreePath};

/// Where an environment says which versions its images have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    directory: TreePath,
    file: Option<TreePath>,
    place: Place,
}

/// A file with other versions in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The file, from the root of the repository.
    pub path: TreePath,
    /// What it held.
    pub before: Arc<[u8]>,
    /// What it is to hold; the same when it says so already.
    pub after: Vec<u8>,
    /// What it said of each image, in the order of the wishes.
    pub said: Vec<Option<Found>>,
}

/// Why a version can't be written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// No file to write into.
    #[error("there is no kustomization file in `{directory}`")]
    NoKustomization {
        /// The directory.
        directory: TreePath,
    },
    /// More than one.
    #[error("there is more than one kustomization file in `{directory}`")]
    ManyKustomizations {
        /// The directory.
        directory: TreePath,
    },
    /// The file is not there.
    #[error("there is no file `{path}`")]
    NoFile {
        /// The file.
        path: TreePath,
    },
    /// What can't be read of the tree.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// What is wrong with the file.
    #[error(transparent)]
    Edit(#[from] edit::Error),
}

impl Target {
    /// The `images` of the kustomization in a directory.
    ///
    /// # Errors
    /// When the path leads out of the tree.
    pub fn kustomization(directory: &str) -> Result<Self, source::Error> {
        Ok(Target { directory: TreePath::new(directory)?, file: None, place: Place::Kustomization })
    }

    /// The same of a file with another name, or a field of any file; the file is named from the directory.
    ///
    /// # Errors
    /// When the path leads out of the tree.
    pub fn in_file(self, file: &str, field: Option<FieldPath>) -> Result<Self, source::Error> {
        let file = Some(self.directory.join(file)?);
        Ok(Target { file, place: field.map_or(Place::Kustomization, Place::Field), ..self })
    }

    /// What the file says of an image; `None` when it does not name it.
    ///
    /// # Errors
    /// When there is no such file, or it can't be read.
    pub fn find(&self, files: &dyn Files, name: &str) -> Result<Option<Found>, Error> {
        let path = self.path(files)?;
        Ok(edit::find(&path.as_str().into(), &read(files, &path)?, &self.place, name)?)
    }

    /// What a text of the file says of an image: for older ones.
    pub fn find_in(&self, text: &[u8], name: &str) -> Option<Found> {
        edit::find(&"".into(), text, &self.place, name).ok().flatten()
    }

    /// The file with these versions in it.
    ///
    /// # Errors
    /// When there is no such file, or one of them can't be written.
    pub fn edited(&self, files: &dyn Files, images: &[Image]) -> Result<Edited, Error> {
        let path = self.path(files)?;
        let name: Arc<str> = path.as_str().into();
        let before = read(files, &path)?;
        let mut after = before.to_vec();
        let mut said = Vec::new();
        for image in images {
            said.push(edit::find(&name, &before, &self.place, image.name())?);
            after = edit::edit(&name, &after, &self.place, image)?;
        }
        Ok(Edited { path, before, after, said })
    }

    /// The file.
    ///
    /// # Errors
    /// When it is not there.
    pub fn path(&self, files: &dyn Files) -> Result<TreePath, Error> {
        if let Some(path) = &self.file {
            return match files.entry(path)? {
                Some(Entry::File) => Ok(path.clone()),
                _ => Err(Error::NoFile { path: path.clone() }),
            };
        }
        let directory = &self.directory;
        let mut found = None;
        for name in KUSTOMIZATION_FILES {
            let path = directory.join(name)?;
            if files.entry(&path)? != Some(Entry::File) {
                continue;
            }
            if found.replace(path).is_some() {
                return Err(Error::ManyKustomizations { directory: directory.clone() });
            }
        }
        found.ok_or_else(|| Error::NoKustomization { directory: directory.clone() })
    }
}

fn read(files: &dyn Files, path: &TreePath) -> Result<Arc<[u8]>, Error> {
    Ok(files.read(path)?)
}

impl From<&Error> for Diagnostic {
    fn from(error: &Error) -> Self {
        let diagnostic = match error {
            Error::Edit(error) => return error.diagnostic(),
            error => Diagnostic::new(error.to_string()),
        };
        match error {
            Error::NoKustomization { .. } => {
                diagnostic.with_hint("Name the directory of one, or a file and the field in it.")
            }
            Error::ManyKustomizations { .. } => diagnostic.with_hint("Leave one of them."),
            _ => diagnostic,
        }
    }
}
