//! From files to a manifest: the objects that git wants.
//!
//! **In:** [`Files`](crate::source::Files) and what an Application says of its source. **Out:** [`Manifest`], or
//! every problem that was found. **May not:** run a program, reach the network, or read past the given tree.

use crate::error::Diagnostic;
use crate::object::Object;
use crate::source::ReadSet;

/// What an application's source is made of; reported as `status.sourceType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceType {
    /// A kustomization file is there, or the source has a `kustomize` section.
    Kustomize,
    /// Plain manifests.
    Directory,
}

impl SourceType {
    /// The word of Argo CD's status field.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceType::Kustomize => "Kustomize",
            SourceType::Directory => "Directory",
        }
    }
}

/// The rendered objects of one application at one commit.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// In the order in which the renderer gave them; no two share a key.
    pub objects: Vec<Object>,
    /// What was looked at to make them: the render is valid until something of it changes.
    pub read_set: ReadSet,
    /// What a person should know although it rendered.
    pub warnings: Vec<Diagnostic>,
    /// What kind of source it was.
    pub source_type: SourceType,
}
