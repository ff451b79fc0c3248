//! What a cluster directory gives that has neither a kustomization nor Application objects: one Application per
//! sub-directory.

use super::unreadable;
use crate::api::argo::{Application, ApplicationSpec, Destination, Directory, Source, SyncPolicy};
use crate::api::leeboard::Environment;
use crate::api::{ARGO_GROUP, argo};
use crate::error::{Diagnostic, Origin};
use crate::object::{Object, annotation};
use crate::source::detect::{Detected, detect};
use crate::source::{Entry, Files, TreePath};

/// What the Applications of a cluster directory share.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterDirectory {
    /// The environment's name: the first part of each Application's.
    pub environment: String,
    /// The namespace of the Applications themselves.
    pub namespace: String,
    /// The repository, as the environment names it.
    pub repo_url: String,
    /// The environment branch.
    pub revision: String,
    /// Where their objects go.
    pub destination: Destination,
    /// The AppProject whose rules hold.
    pub project: String,
    /// When and how they sync.
    pub sync_policy: SyncPolicy,
}

impl ClusterDirectory {
    /// As the Environment says.
    pub fn of(environment: &Environment) -> Self {
        let spec = &environment.spec;
        ClusterDirectory {
            environment: environment.name().to_owned(),
            namespace: environment.namespace().to_owned(),
            repo_url: spec.repo_url.clone(),
            revision: spec.branch().to_owned(),
            destination: spec.destination(),
            project: spec.project().to_owned(),
            sync_policy: spec.policy_of_children(),
        }
    }

    /// One Application for each sub-directory of `path` whose name does not begin with `.` or `_`.
    pub(super) fn applications(&self, files: &dyn Files, path: &TreePath) -> Result<Vec<Object>, Vec<Diagnostic>> {
        let one = |error: &crate::source::Error| vec![unreadable(error)];
        let names = files.list(path).map_err(|error| one(&error))?;
        let hidden = |name: &str| name.starts_with(['.', '_']);
        let directories = names.into_iter().filter(|(name, entry)| *entry == Entry::Directory && !hidden(name));
        let mut objects = Vec::new();
        for (name, _) in directories {
            let directory = path.join(&name).map_err(|error| one(&error))?;
            // The sub-directory is the unit: what lies deeper in a plain one belongs to it.
            let plain = detect(files, &directory).map_err(|error| one(&error))? == Detected::Plain;
            let options = plain.then(|| Directory { recurse: true, ..Directory::default() });
            objects.push(self.application(&name, &directory, options)?);
        }
        Ok(objects)
    }

    fn application(
        &self,
        directory_name: &str,
        path: &TreePath,
        directory: Option<Directory>,
    ) -> Result<Object, Vec<Diagnostic>> {
        let name = format!("{}-{}", self.environment, dns_name(directory_name));
        let spec = ApplicationSpec {
            source: Some(Source {
                repo_url: self.repo_url.clone(),
                path: Some(path.as_str().to_owned()),
                target_revision: Some(self.revision.clone()),
                directory,
                ..Source::default()
            }),
            destination: self.destination.clone(),
            project: self.project.clone(),
            sync_policy: Some(self.sync_policy.clone()),
            ..ApplicationSpec::default()
        };
        let mut application = Application::new(&name, &self.namespace, spec);
        // Without it a sub-directory that is removed would leave its objects behind.
        application.metadata.finalizers = Some(vec![annotation::RESOURCES_FINALIZER.to_owned()]);
        let problem = |reason: &dyn std::fmt::Display| {
            vec![Diagnostic::new(format!("no Application can be made for `{path}`: {reason}"))]
        };
        let body = serde_json::to_value(application).map_err(|error| problem(&error))?;
        Object::from_value(body, Some(Origin::file(path.as_str()))).map_err(|error| problem(&error))
    }
}

/// True for Argo CD's Application.
pub(super) fn is_application(object: &Object) -> bool {
    object.key.group == ARGO_GROUP && object.key.kind == "Application"
}

/// Reads an Application that a manifest holds; `None` for other kinds.
///
/// # Errors
/// When a field has a value of another type.
pub fn application_of(object: &Object) -> Option<Result<argo::Application, Diagnostic>> {
    is_application(object).then(|| {
        crate::api::decode(&object.body).map_err(|error| {
            let problem = error.diagnostic();
            match &object.origin {
                Some(origin) => problem.at(origin.clone()),
                None => problem,
            }
        })
    })
}

/// A directory's name as part of an object's: lower case, everything else a dash.
fn dns_name(directory: &str) -> String {
    let allowed = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
    directory.to_lowercase().chars().map(allowed).collect::<String>().trim_matches('-').to_owned()
}
