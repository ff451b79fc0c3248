//! The cluster directories of a tree, for commands that look at all of them without a cluster.
//!
//! **In:** the files of a repository. **Out:** each directory below `clusters`, with the application that its Environment
//! would be. **May not:** render.

use crate::api::argo::Source;
use crate::api::leeboard::{Environment, EnvironmentSpec};
use crate::error::Diagnostic;
use crate::git::RepoUrl;
use crate::plan::Owner;
use crate::render::ClusterDirectory;
use crate::source::{self, Entry, Files, TreePath};

/// The directory whose sub-directories are cluster directories.
const CLUSTERS: &str = "clusters";
/// The namespace of Applications that name none: where Leeboard is installed by `deploy`.
pub(super) const CONTROL_PLANE: &str = "leeboard";

/// All below `clusters`; the directory itself when it has none.
///
/// # Errors
/// When a directory can't be read, or `clusters` is empty.
pub(super) fn cluster_directories(files: &dyn Files, directory: &TreePath) -> Result<Vec<TreePath>, Diagnostic> {
    let unreadable = |error: source::Error| Diagnostic::new(error.to_string());
    let clusters = match directory.file_name() {
        CLUSTERS => directory.clone(),
        _ => directory.join(CLUSTERS).map_err(unreadable)?,
    };
    if files.entry(&clusters).map_err(unreadable)? != Some(Entry::Directory) {
        return Ok(vec![directory.clone()]);
    }
    let names = files.list(&clusters).map_err(unreadable)?;
    let directories = names.iter().filter(|(name, entry)| *entry == Entry::Directory && !name.starts_with('.'));
    let directories = directories.map(|(name, _)| clusters.join(name).map_err(unreadable));
    let directories = directories.collect::<Result<Vec<_>, _>>()?;
    if directories.is_empty() {
        return Err(Diagnostic::new(format!("`{clusters}` holds no cluster directory"))
            .with_hint("Make one directory for each cluster in it."));
    }
    Ok(directories)
}

/// An app of apps that goes on for longer than this never ends.
pub(super) const MAX_APPLICATIONS: usize = 10_000;

/// What is said of a cluster directory that leads to more.
pub(super) fn endless(directory: &TreePath) -> Diagnostic {
    Diagnostic::new(format!("`{directory}` leads to more than {MAX_APPLICATIONS} Applications"))
        .with_hint("Look for an Application that leads to itself.")
}

/// What a cluster directory is rendered as.
pub(super) struct Root {
    /// Of the Environment: the directory's name.
    pub(super) name: String,
    pub(super) owner: Owner,
    pub(super) source: Source,
    pub(super) directory: ClusterDirectory,
}

impl Root {
    /// The application of an Environment with this directory and no other settings.
    pub(super) fn of(directory: &TreePath, repo_url: Option<&RepoUrl>) -> Self {
        let name = match directory.file_name() {
            "" => "environment".to_owned(),
            name => name.to_lowercase(),
        };
        let path = Some(directory.as_str().to_owned());
        let repo_url = repo_url.map(ToString::to_string).unwrap_or_default();
        let spec = EnvironmentSpec { repo_url, path: path.clone(), ..EnvironmentSpec::default() };
        let environment = Environment::new(&name, CONTROL_PLANE, spec);
        Root {
            owner: Owner::new(&name, CONTROL_PLANE, &name, environment.spec.destination()),
            source: Source { path, ..Source::default() },
            directory: ClusterDirectory::of(&environment),
            name,
        }
    }
}
