//! One cluster directory and the Applications that it leads to, all the way down.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::super::cluster_directories::{MAX_APPLICATIONS, Root, endless};
use super::super::remotes::with_remotes;
use super::{names, place, scope};
use crate::api::argo::{AppProject, Application, Destination, Source};
use crate::api::{self, ARGO_GROUP};
use crate::error::{Diagnostic, Origin};
use crate::git::RepoUrl;
use crate::kustomize::Bases;
use crate::object::{Object, ObjectKey, annotation};
use crate::plan::{Owner, Project, Refusal, Wave, desired};
use crate::render::{self, ClusterDirectory, Limits, Request};
use crate::source::local::LocalFiles;
use crate::source::{Entry, Files as _, TreePath};

/// What was found in one cluster directory.
pub(super) struct Checked {
    pub(super) directory: TreePath,
    /// Of all its Applications, these included.
    pub(super) objects: usize,
    /// Those that were rendered, the cluster directory's own included.
    pub(super) applications: usize,
    /// Sources whose files are in other repositories, and charts.
    pub(super) elsewhere: usize,
    pub(super) problems: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
}

/// Renders a cluster directory and all that it leads to.
pub(super) fn check(files: &LocalFiles, directory: &TreePath, repo_url: Option<&RepoUrl>) -> Checked {
    let checked = Checked {
        directory: directory.clone(),
        objects: 0,
        applications: 0,
        elsewhere: 0,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let mut walk = Walk {
        files,
        bases: Bases::default(),
        repo_url,
        checked,
        ours: BTreeSet::new(),
        projects: HashMap::new(),
        seen: HashMap::new(),
        queue: VecDeque::new(),
    };
    walk.run();
    walk.checked
}

struct Walk<'a> {
    files: &'a LocalFiles,
    /// Applications share their bases.
    bases: Bases,
    repo_url: Option<&'a RepoUrl>,
    checked: Checked,
    /// URLs that stand for this repository, as Applications write them.
    ours: BTreeSet<String>,
    /// The AppProjects that the cluster directory holds.
    projects: HashMap<String, Project>,
    /// Every object of the cluster, and whose it is.
    seen: HashMap<(Destination, ObjectKey), (String, Option<Origin>)>,
    queue: VecDeque<(Application, Option<Origin>)>,
}

impl Walk<'_> {
    fn run(&mut self) {
        let directory = self.checked.directory.clone();
        let Root { name, owner, source, directory: root } = Root::of(&directory, self.repo_url);
        if let Some(objects) = self.render(&name, &owner, "default", &[&source], Some(&root)) {
            self.take(&name, objects, &owner, None, false);
        }
        while let Some((application, origin)) = self.queue.pop_front() {
            if self.checked.applications >= MAX_APPLICATIONS {
                self.checked.problems.push(endless(&directory));
                return;
            }
            self.application(&application, origin.as_ref());
        }
    }

    fn application(&mut self, application: &Application, origin: Option<&Origin>) {
        let name = application.name().to_owned();
        let spec = &application.spec;
        let owner = Owner::new(&name, application.namespace(), &name, spec.destination.clone());
        let project = self.projects.get(spec.project()).cloned();
        if let Some(project) = &project {
            let urls = spec.sources().into_iter().map(|source| source.repo_url.as_str());
            let namespace = application.namespace();
            let denials = project.denials(&name, namespace, namespace, urls, &spec.destination);
            self.checked
                .problems
                .extend(denials.into_iter().map(|denial| at(Diagnostic::new(denial.to_string()), origin)));
        }
        let mut here = Vec::new();
        for source in spec.sources().into_iter().filter(|source| !source.is_reference_only()) {
            match self.stands_here(source) {
                Ok(true) => here.push(source),
                Ok(false) => self.checked.elsewhere += 1,
                Err(problem) => self.checked.problems.push(at(problem, origin)),
            }
        }
        if here.is_empty() {
            return;
        }
        if let Some(objects) = self.render(&name, &owner, spec.project(), &here, None) {
            // One that was made for a sub-directory is in no line of a file.
            let is_written = origin.is_some_and(|origin| origin.line > 0);
            self.take(&name, objects, &owner, project.as_ref(), is_written);
        }
    }

    /// Is the source in this repository.
    fn stands_here(&self, source: &Source) -> Result<bool, Diagnostic> {
        let Some(written) = source.path().filter(|_| source.chart.is_none()) else { return Ok(false) };
        let missing = || {
            Diagnostic::new(format!("`{written}` is no directory of this repository"))
                .with_hint("Correct `path` in the Application's source.")
        };
        let is_ours = match self.repo_url {
            Some(ours) => RepoUrl::parse(&source.repo_url).is_ok_and(|url| ours.is_same_repository(&url)),
            None => self.ours.contains(&source.repo_url),
        };
        match self.is_directory(written) {
            Some(true) => Ok(is_ours || self.repo_url.is_none()),
            Some(false) if is_ours => Err(missing()),
            None if is_ours || self.repo_url.is_none() => Err(missing()),
            _ => Ok(false),
        }
    }

    /// `None` when the path leads out of the tree.
    fn is_directory(&self, path: &str) -> Option<bool> {
        let path = TreePath::new(path).ok()?;
        self.files.entry(&path).ok().map(|entry| entry == Some(Entry::Directory))
    }

    fn render(
        &mut self,
        name: &str,
        owner: &Owner,
        project: &str,
        sources: &[&Source],
        cluster_directory: Option<&ClusterDirectory>,
    ) -> Option<Vec<Object>> {
        self.checked.applications += 1;
        let mut rendered = Vec::new();
        let mut failed = false;
        for source in sources {
            let request = Request {
                application: name,
                namespace: owner.namespace(),
                project,
                source,
                commit: "",
                cluster_directory,
                limits: Limits::default(),
            };
            match with_remotes(self.files, |tree| render::manifest(tree, &request, &self.bases)) {
                Ok(manifest) => {
                    self.checked.warnings.extend(manifest.warnings);
                    rendered.push(manifest.objects);
                }
                Err(problems) => {
                    failed = true;
                    let named = problems.into_iter().map(|problem| match cluster_directory {
                        Some(_) => problem,
                        None => problem.with_note(format!("in: application {name}")),
                    });
                    self.checked.problems.extend(named);
                }
            }
        }
        let (objects, warnings) = render::concatenate(rendered, owner.namespace());
        self.checked.warnings.extend(warnings);
        (!failed).then_some(objects)
    }

    /// Looks at the objects of an application, and queues the Applications among them.
    fn take(
        &mut self,
        application: &str,
        objects: Vec<Object>,
        owner: &Owner,
        project: Option<&Project>,
        is_written: bool,
    ) {
        self.checked.objects += objects.len();
        self.queue_applications(&objects);
        let places: HashMap<ObjectKey, Origin> =
            objects.iter().filter_map(|object| Some((object.key.clone(), object.origin.clone()?))).collect();
        let desired = desired(objects, owner, &scope::scope);
        // An Environment may name a namespace for all that its cluster directory holds; it is not at hand here.
        let is_told = |refusal: &&Refusal| is_written || !matches!(refusal, Refusal::NoNamespace { .. });
        let told = desired.refusals.iter().filter(is_told);
        self.checked.problems.extend(told.map(|told| refusal(told, &places)));
        let mut warnings = desired.warnings;
        for wanted in &desired.objects {
            let object = &wanted.object;
            let origin = object.origin.as_ref();
            for (field, mistake) in names::mistakes(&object.key) {
                let place = place::of_field(self.files, object, &["metadata", field]);
                self.checked.problems.push(at(Diagnostic::new(mistake), place.as_ref()));
            }
            if let (_, Some(warning)) = Wave::of(object)
                && let Some(found) = warnings.iter_mut().find(|found| **found == warning)
            {
                found.origin = place::of_field(self.files, object, &["metadata", "annotations", annotation::SYNC_WAVE]);
            }
            if let Some(Err(denial)) =
                project.map(|project| project.permit(object.clone(), wanted.scope, &owner.destination))
            {
                let problem = Diagnostic::new(denial.to_string()).with_note(format!("in: application {application}"));
                self.checked.problems.push(at(problem, origin));
            }
            if object.key.name.is_empty() {
                continue;
            }
            let cluster = Destination { namespace: None, ..owner.destination.clone() };
            let whose = (application.to_owned(), object.origin.clone());
            if let Some((other, first)) = self.seen.insert((cluster, object.key.clone()), whose) {
                let mut problem = Diagnostic::new(format!("two Applications have the object `{}`", object.key))
                    .with_note(format!("in: applications {other} and {application}"));
                if let Some(first) = first {
                    problem = problem.with_note(format!("also: {first}"));
                }
                self.checked.problems.push(at(problem, origin));
            }
        }
        self.checked.problems.extend(warnings);
    }

    fn queue_applications(&mut self, objects: &[Object]) {
        for object in objects.iter().filter(|object| object.key.group == ARGO_GROUP) {
            let origin = object.origin.as_ref();
            let malformed = |error: api::Malformed| at(error.diagnostic(), origin);
            match object.key.kind.as_str() {
                "Application" => match api::decode::<Application>(&object.body) {
                    Ok(application) => {
                        // Known before any of them is looked at: a wrong path of ours is then no path of others.
                        let sources = application.spec.sources();
                        let ours = sources.iter().filter(|s| s.path().and_then(|p| self.is_directory(p)) == Some(true));
                        let urls: Vec<String> = ours.map(|source| source.repo_url.clone()).collect();
                        self.ours.extend(urls);
                        self.queue.push_back((application, object.origin.clone()));
                    }
                    Err(error) => self.checked.problems.push(malformed(error)),
                },
                "AppProject" => match api::decode::<AppProject>(&object.body) {
                    Ok(project) => drop(self.projects.insert(project.name().to_owned(), Project::new(&project))),
                    Err(error) => self.checked.problems.push(malformed(error)),
                },
                _ => {}
            }
        }
    }
}

fn refusal(refusal: &Refusal, places: &HashMap<ObjectKey, Origin>) -> Diagnostic {
    let problem = match refusal {
        Refusal::Duplicate { diagnostic, .. } | Refusal::Malformed { diagnostic, .. } => return (**diagnostic).clone(),
        Refusal::NoNamespace { key, .. } => Diagnostic::new(format!("`{key}` has no namespace"))
            .with_hint("Give it one, or set `destination.namespace` in its Application."),
        other => Diagnostic::new(other.to_string()),
    };
    at(problem, refusal.key().and_then(|key| places.get(key)))
}

fn at(problem: Diagnostic, origin: Option<&Origin>) -> Diagnostic {
    match origin {
        Some(origin) => problem.at(origin.clone()),
        None => problem,
    }
}
