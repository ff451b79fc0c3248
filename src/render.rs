//! From files to a manifest: the objects that git wants.
//!
//! **In:** a tree and what an Application says of its source. **Out:** [`Manifest`], or every problem that was found.
//! **May not:** run a program, reach the network, or read past the given tree.
//!
//! Semantics: SEMANTICS a.2, from Argo CD 3.x. Read [`directory`] for plain manifests, [`cluster_directory`] for what a
//! cluster directory without a kustomization gives.

mod build_environment;
pub mod cluster_directory;
mod directory;
mod duplicate;
mod kustomization;
mod overrides;

use crate::api::argo::Source;
use crate::error::{Diagnostic, Origin};
use crate::kustomize::{self, Bases, Explained};
use crate::object::Object;
use crate::source::detect::{CHART_FILE, Detected, detect};
use crate::source::{Error as ReadError, Identified, ReadSet, Recording, TreePath};

pub use cluster_directory::ClusterDirectory;
pub use duplicate::concatenate;

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

/// What to render.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The application's name.
    pub application: &'a str,
    /// The namespace of its destination, when it has one.
    pub namespace: Option<&'a str>,
    /// The AppProject's name.
    pub project: &'a str,
    /// The source as the Application has it.
    pub source: &'a Source,
    /// The commit in hexadecimal; empty for a directory on disk.
    pub commit: &'a str,
    /// Set for an environment's root: then a plain directory gives one Application per sub-directory.
    pub cluster_directory: Option<&'a ClusterDirectory>,
    /// What one render may cost.
    pub limits: Limits,
}

/// What one render may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all manifests that are read.
    pub bytes: usize,
    /// Objects in the result.
    pub objects: usize,
}

impl Default for Limits {
    /// Far above what clusters hold, far below what hurts the daemon.
    fn default() -> Self {
        Limits { bytes: 64 << 20, objects: 50_000 }
    }
}

/// Renders an application's source in the tree of its repository, with the bases that renders before it have left.
///
/// # Errors
/// Every problem that was found, sorted by place.
pub fn manifest(tree: &dyn Identified, request: &Request<'_>, bases: &Bases) -> Result<Manifest, Vec<Diagnostic>> {
    let files = Recording::new(tree);
    let rendered = rendered(&files, request, bases);
    let (objects, warnings, source_type) = rendered.map_err(|mut problems| {
        problems.sort_by(|a, b| a.origin.cmp(&b.origin));
        problems
    })?;
    Ok(Manifest { objects, read_set: files.into_read_set(), warnings, source_type })
}

type Rendered = (Vec<Object>, Vec<Diagnostic>, SourceType);

fn rendered(files: &Recording<'_>, request: &Request<'_>, bases: &Bases) -> Result<Rendered, Vec<Diagnostic>> {
    let one = |problem| vec![problem];
    let written = request.source.path().unwrap_or(".");
    let path = TreePath::new(written).map_err(|error| one(unreadable(&error)))?;
    let source = overrides::apply(files, &path, request.application, request.source).map_err(one)?;
    let kind = kind(files, &path, &source).map_err(one)?;
    let (mut objects, warnings) = match kind {
        SourceType::Kustomize => {
            let section = source.kustomize.clone().unwrap_or_default();
            let variables = build_environment::variables(request);
            let options = kustomization::options(&section, &variables);
            if variables.named_commit() {
                files.note_commit();
            }
            let rendered = kustomize::build_recorded(files, &path, &options, bases)?;
            kustomization::refuse_nameless(&rendered.objects)?;
            (rendered.objects, rendered.warnings)
        }
        SourceType::Directory => {
            let options = source.directory.unwrap_or_default();
            (directory::objects(files, &path, &options, request.limits)?, Vec::new())
        }
    };
    if let Some(cluster_directory) = request.cluster_directory
        && kind == SourceType::Directory
        && !objects.iter().any(cluster_directory::is_application)
    {
        objects.extend(cluster_directory.applications(files, &path)?);
    }
    if objects.len() > request.limits.objects {
        let (count, limit) = (objects.len(), request.limits.objects);
        return Err(one(Diagnostic::new(format!("`{path}` gives {count} objects, more than the limit of {limit}"))));
    }
    duplicate::refuse(&objects, request.namespace)?;
    Ok((objects, warnings, kind))
}

/// Tells of each object of a kustomization how its fields came to be what they are; `None` for other sources, whose objects
/// are as they are written.
///
/// # Errors
/// As [`manifest`].
pub fn explained(tree: &dyn Identified, request: &Request<'_>) -> Result<Option<Vec<Explained>>, Vec<Diagnostic>> {
    let files = Recording::new(tree);
    let one = |problem| vec![problem];
    let path = TreePath::new(request.source.path().unwrap_or(".")).map_err(|error| one(unreadable(&error)))?;
    let source = overrides::apply(&files, &path, request.application, request.source).map_err(one)?;
    if kind(&files, &path, &source).map_err(one)? != SourceType::Kustomize {
        return Ok(None);
    }
    let options =
        kustomization::options(&source.kustomize.clone().unwrap_or_default(), &build_environment::variables(request));
    kustomize::explain(&files, &path, &options).map(Some)
}

/// What the source says it is, else what its files tell.
fn kind(files: &Recording<'_>, path: &TreePath, source: &Source) -> Result<SourceType, Diagnostic> {
    let sections = [
        ("Kustomize", source.kustomize.is_some()),
        ("Helm", source.helm.is_some()),
        ("Directory", source.directory.is_some()),
        ("Plugin", source.plugin.is_some()),
    ];
    let set: Vec<&str> = sections.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
    match (set.as_slice(), &source.chart) {
        ([_, _, ..], _) => Err(Diagnostic::new(format!("multiple application sources defined: {}", set.join(",")))),
        (["Kustomize"], None) => Ok(SourceType::Kustomize),
        (["Directory"], None) => Ok(SourceType::Directory),
        (["Plugin"], _) => Err(Diagnostic::new("the source names a config-management plugin, and none runs here")
            .with_hint("Commit what the plugin would print, or write it as a kustomization.")),
        (["Helm"], _) | (_, Some(_)) => Err(no_charts(source.path().unwrap_or("the source"))),
        _ => match detect(files, path).map_err(|error| unreadable(&error))? {
            Detected::Kustomization => Ok(SourceType::Kustomize),
            Detected::Plain => Ok(SourceType::Directory),
            Detected::Chart => {
                let chart = path.join(CHART_FILE).map_err(|error| unreadable(&error))?;
                Err(no_charts(&path.to_string()).at(Origin::file(chart.as_str())))
            }
        },
    }
}

fn no_charts(what: &str) -> Diagnostic {
    Diagnostic::new(format!("`{what}` is a Helm chart, which this version does not render"))
        .with_hint("Commit the output of `helm template`, and point the Application to it.")
}

/// A tree's error as a person reads it: at the file it is about.
fn unreadable(error: &ReadError) -> Diagnostic {
    let diagnostic = Diagnostic::new(error.to_string());
    match error {
        ReadError::LinkEscapes { link: path, .. }
        | ReadError::LinkLoop { link: path }
        | ReadError::TooLarge { path, .. }
        | ReadError::Unreadable { path, .. } => diagnostic.at(Origin::file(path.as_str())),
        ReadError::Escapes { .. }
        | ReadError::NotFound { .. }
        | ReadError::NotAFile { .. }
        | ReadError::NotADirectory { .. } => diagnostic,
    }
}

#[cfg(test)]
mod tests;
