//! What an application's commits say, as it is applied: rendered, made acceptable, stamped; kept until it changes.
//!
//! **In:** the sources, their commits, the kinds that the destination knows. **Out:** [`Content`], shared by all looks
//! until one of these is another. **May not:** know anything of what is live.
//!
//! A watch event costs a comparison of hashes, not a render: most looks find everything here.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::look::Trouble;
use super::memory::Memory;
use super::remotes::Remotes;
use super::rendered::{Render, Unrendered};
use super::{Daemon, Target};
use crate::api::argo::{Application, Condition, Destination, Source};
use crate::error::Diagnostic;
use crate::git::{Commit, RepoUrl};
use crate::live::client;
use crate::live::discovery::Discovery;
use crate::object::{GroupKind, Object, ObjectKey, annotation};
use crate::plan::{self, Desired, Owner, Project, Scope};
use crate::render::{self, ClusterDirectory, Limits, Request};
use crate::sync::{repair, status};

/// What was stamped last, and from what.
pub struct Stamped {
    basis: Basis,
    commits: Vec<Commit>,
    remotes: Remotes,
    owner: Owner,
    discovery: Arc<Discovery>,
    content: Arc<Content>,
}

/// The objects of an application as they are applied, and what is known with them.
#[derive(Clone)]
pub struct Content {
    /// The rendered objects, stamped.
    pub desired: Desired,
    /// `Kustomize`, `Directory`; one for each source.
    pub source_types: Vec<String>,
    /// What a person should know although it rendered.
    pub warnings: Vec<Condition>,
    /// Images of the objects, sorted.
    pub images: Vec<String>,
}

impl Content {
    /// The Applications among the objects.
    pub fn applications(&self) -> impl Iterator<Item = &ObjectKey> {
        let keys = self.desired.objects.iter().map(|wanted| &wanted.object.key);
        keys.filter(|key| key.kind == "Application" && key.group == crate::api::ARGO_GROUP)
    }

    /// Applications are among the objects.
    pub fn is_app_of_apps(&self) -> bool {
        self.applications().next().is_some()
    }

    fn groups(&self) -> impl Iterator<Item = &str> {
        self.desired.objects.iter().map(|wanted| &*wanted.object.key.group)
    }
}

/// What a render depends on beside the content of the commits.
#[derive(PartialEq)]
struct Basis {
    sources: Vec<Source>,
    destination: Destination,
    project: String,
    cluster_directory: Option<ClusterDirectory>,
}

/// Where the objects of an application go, and under whose name.
pub struct Place {
    /// The cluster.
    pub target: Target,
    /// Whose objects they are.
    pub owner: Owner,
    discovery: Arc<Discovery>,
}

/// What the commits say and where it goes: as it was known, where nothing of it has changed.
///
/// # Errors
/// What does not render, or a destination that is not known or does not answer.
pub async fn stamped(
    daemon: &Daemon,
    application: &Arc<Application>,
    memory: &mut Memory,
    sources: &[Source],
    commits: &[Commit],
    project: &Project,
) -> Result<(Arc<Content>, Place), Trouble> {
    memory.remotes = memory.remotes.now(daemon).await;
    let environment = application.annotation(annotation::ENVIRONMENT).and_then(|name| daemon.written.environment(name));
    let basis = Basis {
        sources: sources.to_vec(),
        destination: application.spec.destination.clone(),
        project: application.spec.project().to_owned(),
        cluster_directory: environment.as_deref().map(ClusterDirectory::of),
    };
    let mut known = None;
    if let Some(stamped) = memory.stamped.take_if(|stamped| stamped.basis == basis) {
        let content = stamped.content.clone();
        let unknown = content.desired.objects.iter().find(|wanted| wanted.scope.is_none());
        let place = place(daemon, application, content.groups(), unknown.map(|wanted| &*wanted.object)).await?;
        if place.owner == stamped.owner && Arc::ptr_eq(&place.discovery, &stamped.discovery) {
            known = Some((stamped, place));
        }
    }
    let Some((stamped, place)) = known else {
        memory.stamped = None;
        memory.forget_renders();
        let objects = rendered(daemon, application, memory, &basis, commits, project).await?;
        return stamp(daemon, application, memory, basis, commits, objects.unwrap_or_default()).await;
    };
    if stamped.commits != commits || stamped.remotes != memory.remotes {
        let objects = match rendered(daemon, application, memory, &basis, commits, project).await {
            Ok(objects) => objects,
            // The last good state stays known for the commit that repairs this one.
            Err(trouble) => {
                memory.stamped = Some(stamped);
                return Err(trouble);
            }
        };
        if let Some(objects) = objects {
            return stamp(daemon, application, memory, basis, commits, objects).await;
        }
    }
    let content = stamped.content.clone();
    memory.stamped = Some(Stamped { commits: commits.to_vec(), remotes: memory.remotes.clone(), ..stamped });
    Ok((content, place))
}

/// The cluster that objects of these groups go to, asked again while `unknown` is of a kind that it does not know.
async fn place<'a>(
    daemon: &Daemon,
    application: &Application,
    groups: impl Iterator<Item = &'a str>,
    unknown: Option<&Object>,
) -> Result<Place, Trouble> {
    let target = daemon.target(application, groups).map_err(|error| Trouble::spec(error.to_string()))?;
    let owner = Owner::new(
        application.name(),
        application.namespace(),
        &application.tracking_name(&daemon.options.namespace),
        target.destination(&application.spec.destination),
    );
    target.answers().await.map_err(|why| Trouble::passing(format!("the destination cluster: {why}")))?;
    let unreachable = |error: client::Error| Trouble::passing(format!("the destination cluster: {error}"));
    if let Some(object) = unknown {
        match target.cluster.resource(&object.key.group_kind(), &object.version).await {
            Ok(_) | Err(client::Error::NoKind { .. } | client::Error::KindUnknown { .. }) => {}
            Err(error) => return Err(unreachable(error)),
        }
    }
    let discovery = target.cluster.discovery().await.map_err(unreachable)?;
    Ok(Place { target, owner, discovery })
}

#[derive(Default)]
struct Objects {
    objects: Vec<Object>,
    source_types: Vec<String>,
    warnings: Vec<Condition>,
}

async fn stamp(
    daemon: &Daemon,
    application: &Application,
    memory: &mut Memory,
    basis: Basis,
    commits: &[Commit],
    rendered: Objects,
) -> Result<(Arc<Content>, Place), Trouble> {
    // What the API server would refuse and client-side apply took is made acceptable before anything compares it.
    let objects: Vec<Object> = rendered.objects.into_iter().map(repair::acceptable).collect();
    let groups = || objects.iter().map(|object| &*object.key.group);
    let mut place = self::place(daemon, application, groups(), None).await?;
    let is_unknown = |object: &&Object| place.discovery.is_namespaced(&object.key.group_kind()).is_none();
    if let Some(object) = objects.iter().find(is_unknown) {
        place = self::place(daemon, application, groups(), Some(object)).await?;
    }
    let scope = |kind: &GroupKind| {
        let is_namespaced = place.discovery.is_namespaced(kind)?;
        Some(if is_namespaced { Scope::Namespaced } else { Scope::Cluster })
    };
    let desired = plan::desired(objects, &place.owner, &scope);
    let mut warnings = rendered.warnings;
    warnings.extend(desired.warnings.iter().map(|warning| condition("RenderWarning", warning)));
    let mut images = BTreeSet::new();
    desired.objects.iter().for_each(|wanted| status::images(&wanted.object.body, &mut images));
    if memory.trial.is_none() {
        let wanted = desired.objects.iter().map(|wanted| wanted.object.key.clone());
        daemon.claims.set(&place.owner.application, place.target.cluster.server(), wanted);
    }
    let content = Arc::new(Content {
        desired,
        source_types: rendered.source_types,
        warnings,
        images: images.into_iter().collect(),
    });
    memory.stamped = Some(Stamped {
        basis,
        commits: commits.to_vec(),
        remotes: memory.remotes.clone(),
        owner: place.owner.clone(),
        discovery: place.discovery.clone(),
        content: content.clone(),
    });
    Ok((content, place))
}

/// The objects of all sources; `None` when nothing of them has changed.
async fn rendered(
    daemon: &Daemon,
    application: &Arc<Application>,
    memory: &mut Memory,
    basis: &Basis,
    commits: &[Commit],
    project: &Project,
) -> Result<Option<Objects>, Trouble> {
    let mut renders = Vec::new();
    for (index, commit) in commits.iter().enumerate() {
        if !basis.sources[index].is_reference_only() {
            renders.push(render_one(daemon, application, memory, basis, index, commit, project).await?);
        }
    }
    if renders.iter().all(|render| matches!(render, Render::Same)) {
        return Ok(None);
    }
    // Of several sources some may be the same: their objects are not kept apart, so they are rendered again.
    let mut manifests = Vec::new();
    let mut renders = renders.into_iter();
    for (index, commit) in commits.iter().enumerate() {
        if basis.sources[index].is_reference_only() {
            continue;
        }
        match renders.next() {
            Some(Render::New(manifest)) => manifests.push(manifest),
            _ => {
                memory.forget_render(index);
                let render = render_one(daemon, application, memory, basis, index, commit, project).await?;
                if let Render::New(manifest) = render {
                    manifests.push(manifest);
                }
            }
        }
    }
    memory.forget_unused_remotes();
    let warned = manifests.iter().flat_map(|manifest| &manifest.warnings);
    let mut warnings: Vec<Condition> = warned.map(|warning| condition("RenderWarning", warning)).collect();
    let source_types = manifests.iter().map(|manifest| manifest.source_type.as_str().to_owned()).collect();
    let (objects, repeated) = match <[_; 1]>::try_from(manifests) {
        Ok([manifest]) => (manifest.objects, Vec::new()),
        Err(manifests) => {
            let all = manifests.into_iter().map(|manifest| manifest.objects);
            render::concatenate(all, application.destination_namespace())
        }
    };
    warnings.extend(repeated.iter().map(|warning| condition(Condition::REPEATED_RESOURCE, warning)));
    let is_root = basis.cluster_directory.is_some();
    let objects = objects.into_iter().map(|object| at_home(object, daemon, is_root)).collect();
    Ok(Some(Objects { objects, source_types, warnings }))
}

async fn render_one(
    daemon: &Daemon,
    application: &Arc<Application>,
    memory: &mut Memory,
    basis: &Basis,
    index: usize,
    commit: &Commit,
    project: &Project,
) -> Result<Render, Trouble> {
    let source = basis.sources[index].clone();
    let url = RepoUrl::parse(&source.repo_url).map_err(|error| Trouble::spec(error.to_string()))?;
    let snapshot = daemon.repositories.mirrors().mirror(&url).snapshot(commit);
    let snapshot = snapshot.map_err(|error| Trouble::passing(error.to_string()))?;
    // A render tells which other repositories its bases are in; what they lead to it tells only when they are there.
    loop {
        let remotes = memory.remotes.snapshots(daemon)?;
        let (snapshot, source, url) = (snapshot.clone(), source.clone(), url.clone());
        let (rendered, metrics, bases) = (application.clone(), daemon.metrics.clone(), daemon.bases.clone());
        let cluster_directory = basis.cluster_directory.clone();
        let id = commit.id.to_string();
        let mut render = memory.take_render(index);
        let work = move || {
            let request = Request {
                application: rendered.name(),
                namespace: rendered.destination_namespace(),
                project: rendered.spec.project(),
                source: &source,
                commit: &id,
                cluster_directory: cluster_directory.as_ref(),
                limits: Limits::default(),
            };
            let result = render.at(&snapshot, &remotes, &request, &bases, &metrics);
            (render, result)
        };
        let (render, result) = daemon.renders.run(work).await;
        memory.put_render(index, render);
        match result {
            Ok(render) => return Ok(render),
            Err(Unrendered { problems, missed }) if missed.is_empty() => {
                return Err(problems_of(&problems, &url, commit));
            }
            Err(Unrendered { missed, .. }) => {
                memory.remotes.add(daemon, application, project, missed, memory.trial).await?
            }
        }
    }
}

/// Applications and projects of a cluster directory belong to the control plane's namespace when they name none.
fn at_home(mut object: Object, daemon: &Daemon, is_cluster_directory: bool) -> Object {
    let is_ours = object.key.group == "argoproj.io" || object.key.group == "leeboard.dev";
    if is_cluster_directory && is_ours && object.key.namespace.is_none() {
        object.set_namespace(&daemon.options.namespace);
    }
    object
}

/// All problems of a render in one condition: repository and commit first, then each with its place.
fn problems_of(problems: &[Diagnostic], repository: &RepoUrl, commit: &Commit) -> Trouble {
    const SHOWN: usize = 20;
    let told = |problem: &Diagnostic| {
        let notes = problem.notes.iter().map(|note| format!(", {note}"));
        std::iter::once(problem.to_string()).chain(notes).collect::<String>()
    };
    let listed: Vec<_> = problems.iter().take(SHOWN).map(told).collect();
    let more = problems.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let message = format!("{repository} at {}: {}{more}", commit.short(), listed.join("; "));
    Trouble { problems: problems.to_vec(), ..Trouble::comparison(message) }
}

fn condition(kind: &str, warning: &Diagnostic) -> Condition {
    Condition { kind: kind.into(), message: warning.to_string(), last_transition_time: None }
}
