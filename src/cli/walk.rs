//! What every application of a tree renders to: each cluster directory, and the Applications that it leads to.
//!
//! **In:** the files of a commit. **Out:** objects by environment and application, or why they do not render. **May not:**
//! look at a source in another repository: nothing of it changes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::check::scope;
use super::cluster_directories::{CONTROL_PLANE, MAX_APPLICATIONS, Root, endless};
use super::remotes::with_remotes;
use crate::api::ARGO_GROUP;
use crate::api::argo::{Application, Destination, Source};
use crate::error::Diagnostic;
use crate::kustomize::Bases;
use crate::object::Object;
use crate::plan::{Owner, desired};
use crate::render::{self, ClusterDirectory, Limits, Request};
use crate::source::{Entry, Identified, TreePath};

/// Where an application belongs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The name of the cluster directory.
    pub(super) environment: String,
    /// Its name.
    pub(super) application: String,
}

/// The objects of an application as they would be applied, or what is wrong.
pub(super) type Rendered = Result<Vec<Arc<Object>>, Vec<Diagnostic>>;

pub(super) type Applications = BTreeMap<Place, Rendered>;

/// Renders all applications of a tree; `directories` are those of its cluster directories that it has.
///
/// # Errors
/// When the tree can't be read, or an app of apps never ends.
pub(super) fn walk(files: &dyn Identified, directories: &[TreePath]) -> Result<Applications, Diagnostic> {
    let mut applications = Applications::new();
    let bases = Bases::default();
    for directory in directories {
        let entry = files.entry(directory).map_err(|error| Diagnostic::new(error.to_string()))?;
        if entry == Some(Entry::Directory) {
            environment(files, directory, &bases, &mut applications)?;
        }
    }
    Ok(applications)
}

fn environment(
    files: &dyn Identified,
    directory: &TreePath,
    bases: &Bases,
    applications: &mut Applications,
) -> Result<(), Diagnostic> {
    let root = Root::of(directory, None);
    let name = root.name;
    let begin = Wanted {
        name: name.clone(),
        destination: root.owner.destination.clone(),
        project: "default".into(),
        sources: vec![root.source],
        cluster_directory: Some(root.directory),
    };
    let mut queue = VecDeque::from([begin]);
    let mut count = 0;
    while let Some(wanted) = queue.pop_front() {
        let place = Place { environment: name.clone(), application: wanted.name.clone() };
        if applications.contains_key(&place) {
            continue;
        }
        count += 1;
        if count > MAX_APPLICATIONS {
            return Err(endless(directory));
        }
        let rendered = wanted.render(files, bases);
        for object in rendered.iter().flatten() {
            queue.extend(application(files, object));
        }
        applications.insert(place, rendered);
    }
    Ok(())
}

/// What is rendered as one application.
struct Wanted {
    name: String,
    destination: Destination,
    project: String,
    sources: Vec<Source>,
    cluster_directory: Option<ClusterDirectory>,
}

impl Wanted {
    fn render(&self, files: &dyn Identified, bases: &Bases) -> Rendered {
        let owner = Owner::new(&self.name, CONTROL_PLANE, &self.name, self.destination.clone());
        let mut manifests = Vec::new();
        for source in &self.sources {
            let request = Request {
                application: &self.name,
                namespace: owner.namespace(),
                project: &self.project,
                source,
                commit: "",
                cluster_directory: self.cluster_directory.as_ref(),
                limits: Limits::default(),
            };
            manifests.push(with_remotes(files, |tree| render::manifest(tree, &request, bases))?.objects);
        }
        let (objects, _) = render::concatenate(manifests, owner.namespace());
        let desired = desired(objects, &owner, &scope::scope);
        Ok(desired.objects.into_iter().map(|wanted| wanted.object).collect())
    }
}

/// The Application that an object is, if any of its files are here.
fn application(files: &dyn Identified, object: &Object) -> Option<Wanted> {
    if object.key.group != ARGO_GROUP || object.key.kind != "Application" {
        return None;
    }
    let application = crate::api::decode::<Application>(&object.body).ok()?;
    let stands_here = |source: &&Source| {
        let path = source.path().filter(|_| source.chart.is_none()).and_then(|path| TreePath::new(path).ok());
        path.is_some_and(|path| files.entry(&path).is_ok_and(|entry| entry == Some(Entry::Directory)))
    };
    let spec = &application.spec;
    let sources: Vec<Source> = spec.sources().into_iter().filter(stands_here).cloned().collect();
    (!sources.is_empty()).then(|| Wanted {
        name: application.name().to_owned(),
        destination: spec.destination.clone(),
        project: spec.project().to_owned(),
        sources,
        cluster_directory: None,
    })
}
