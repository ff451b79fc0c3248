//! One look at an application: what git wants, what the cluster holds, and the plan between the two.
//!
//! **In:** an Application, the commits of its sources, the live view of its destination. **Out:** a [`Look`], from
//! which plans are made, or the [`Trouble`] that stands in the way. **May not:** write anything to a cluster; the
//! dry runs that prove what no apply is on record for change nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use smol_str::SmolStr;

use super::memory::Memory;
use super::stamped::{self, Content};
use super::{Daemon, canaries};
use crate::api::argo::application::Refresh;
use crate::api::argo::{AppProject, Application, Condition, Destination, Source};
use crate::error::Diagnostic;
use crate::git::{Commit, RepoUrl};
use crate::live::LiveView;
use crate::live::client::Cluster;
use crate::live::record::KindVersion;
use crate::live::watch::LiveStore;
use crate::object::{GroupKind, ObjectKey, annotation};
use crate::plan::desired::Wanted;
use crate::plan::{self, Desired, Inputs, NamespaceState, Other, Owner, Plan, Policy, Project, Run};
use crate::sync::proof;

/// What stands in the way of a comparison: a condition, and when to look again although nothing was pushed.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// `InvalidSpecError` or `ComparisonError`.
    pub kind: &'static str,
    /// One sentence, places included.
    pub message: String,
    /// `None`: only a change of git or of the Application can help.
    pub again: Option<Duration>,
    /// Where files are to blame, each problem with its place: the message has them too.
    pub problems: Vec<Diagnostic>,
}

impl Trouble {
    /// The Application can't be right as it is.
    pub fn spec(message: impl Into<String>) -> Self {
        Trouble { kind: Condition::INVALID_SPEC, message: message.into(), again: None, problems: Vec::new() }
    }

    /// Git can't be read or rendered; a new answer of git ends it.
    pub fn comparison(message: impl Into<String>) -> Self {
        Trouble { kind: Condition::COMPARISON, message: message.into(), again: None, problems: Vec::new() }
    }

    /// The same, of a kind that can pass by itself.
    pub fn passing(message: impl Into<String>) -> Self {
        Trouble { kind: Condition::COMPARISON, message: message.into(), again: Some(SOON), problems: Vec::new() }
    }

    /// As the Application's condition.
    pub fn condition(&self) -> Condition {
        Condition { kind: self.kind.into(), message: self.message.clone(), last_transition_time: None }
    }
}

/// When a thing that can pass by itself is looked at again.
const SOON: Duration = Duration::from_secs(5);
/// How long a look waits for the first full list of a kind that was not watched before.
const FIRST_LIST: Duration = Duration::from_secs(10);

/// What git wants of one application and what the cluster holds of it.
pub struct Look {
    /// As it was read.
    pub application: Arc<Application>,
    /// The commit of each source.
    pub commits: Vec<Commit>,
    /// Whose objects they are.
    pub owner: Owner,
    /// Where it may write what.
    pub project: Project,
    /// The rendered objects as they are applied, and what is known with them.
    pub content: Arc<Content>,
    /// The destination's API server.
    pub cluster: Cluster,
    /// The destination's live view.
    pub store: LiveStore,
    /// The kinds that matter to it, in the versions in which they are watched.
    pub kinds: BTreeSet<KindVersion>,
    /// Whether the destination namespace is there; asked only when the application may have to make it.
    pub namespace: NamespaceState,
}

impl Look {
    /// The commits' ids, as statuses write them.
    pub fn revisions(&self) -> Vec<String> {
        self.commits.iter().map(|commit| commit.id.to_string()).collect()
    }

    /// What the cluster holds now.
    pub fn live(&self) -> LiveView {
        let wanted = self.content.desired.objects.iter().map(|wanted| &wanted.object.key);
        self.store.view(&self.owner.part_of, wanted, &self.kinds)
    }

    /// A plan under a policy, from what the cluster holds now.
    pub fn plan(&self, daemon: &Daemon, memory: &Memory, live: &LiveView, policy: &Policy, run: &Run) -> Plan {
        let others = self.others(daemon, live);
        let policy = Policy { namespace: self.namespace, ..policy.clone() };
        plan::plan(&Inputs {
            owner: &self.owner,
            desired: &self.content.desired,
            live,
            baselines: &memory.baselines,
            inventory: &memory.inventory,
            others: &others,
            project: &self.project,
            policy: &policy,
            run,
            key: &daemon.data_dir.plan_key,
        })
    }

    /// A plan in which every object is compared: what no apply is on record for is proved by a dry run each.
    pub async fn proved_plan(&self, daemon: &Daemon, memory: &mut Memory, policy: &Policy, run: &Run) -> Plan {
        let started = std::time::Instant::now();
        let mut live = self.live();
        let mut plan = self.plan(daemon, memory, &live, policy, run);
        if !plan.unproven.is_empty() {
            let proofs = proof::prove(&self.cluster, &self.content.desired, &live, &plan).await;
            let known = proofs.into_iter().filter_map(|proof| Some((proof.object.key.clone(), proof.baseline?)));
            memory.baselines.extend(known);
            live = self.live();
            plan = self.plan(daemon, memory, &live, policy, run);
        }
        daemon.metrics.planned(started.elapsed());
        plan
    }

    /// What other applications have to do with this one's objects.
    fn others(&self, daemon: &Daemon, live: &LiveView) -> BTreeMap<ObjectKey, Other> {
        let mut others = BTreeMap::new();
        let keys = self.content.desired.objects.iter().map(|wanted| &wanted.object.key).chain(live.records.keys());
        for key in keys {
            let held_by = live.records.get(key).and_then(|record| record.tracking.as_ref());
            let holder = held_by.filter(|t| t.is_of(key) && t.application != self.owner.application);
            let wanted_by = daemon.claims.others(self.cluster.server(), key, &self.owner.application);
            if let Some(application) = wanted_by.clone().or_else(|| holder.map(|t| t.application.clone())) {
                let holds = holder.is_some_and(|holder| holder.application == application);
                others.insert(key.clone(), Other { application, wants: wanted_by.is_some(), holds });
            }
        }
        others
    }
}

/// Looks at an application: resolves its sources, renders them, stamps the objects, and sees to it that their kinds
/// are watched. `operation` stands in for the spec's sources and revisions where a sync asks for others.
///
/// # Errors
/// What stands in the way, as a condition.
pub async fn look(
    daemon: &Daemon,
    application: &Arc<Application>,
    memory: &mut Memory,
    asked: &Asked,
) -> Result<Look, Trouble> {
    let began = daemon.claims.now();
    let look = look_at(daemon, application, memory, asked).await;
    let is_missing = |child: &ObjectKey| daemon.written.application(&child.name).is_none();
    if look.as_ref().is_ok_and(|look| look.content.applications().any(is_missing)) {
        daemon.claims.makes(application.name());
    }
    daemon.claims.looked(application.name(), began);
    look
}

async fn look_at(
    daemon: &Daemon,
    application: &Arc<Application>,
    memory: &mut Memory,
    asked: &Asked,
) -> Result<Look, Trouble> {
    let spec = &application.spec;
    let sources: Vec<Source> =
        if asked.sources.is_empty() { spec.sources().into_iter().cloned().collect() } else { asked.sources.clone() };
    let project = permitted(daemon, application, &sources)?;
    let commits = resolve(daemon, application, memory, &sources, asked).await?;
    if asked.refresh == Some(Refresh::Hard) {
        memory.stamped = None;
    }
    look_from(daemon, application, memory, sources, commits, project, asked.creates_namespace(spec)).await
}

/// Looks at what an application would be at other commits, one for each of its sources. Nothing follows from it, when the
/// memory is one for trials.
///
/// # Errors
/// What would stand in the way, as a condition.
pub async fn trial(
    daemon: &Daemon,
    application: &Arc<Application>,
    memory: &mut Memory,
    commits: Vec<Commit>,
) -> Result<Look, Trouble> {
    let sources: Vec<Source> = application.spec.sources().into_iter().cloned().collect();
    let project = permitted(daemon, application, &sources)?;
    let creates_namespace = application.spec.sync_options().create_namespace;
    look_from(daemon, application, memory, sources, commits, project, creates_namespace).await
}

/// The project's word on where it comes from and where it goes.
fn permitted(daemon: &Daemon, application: &Application, sources: &[Source]) -> Result<Project, Trouble> {
    if sources.is_empty() {
        return Err(Trouble::spec("spec.source.repoURL and either spec.source.path or spec.source.chart are required"));
    }
    let named = daemon.target(application, []).map_err(|error| Trouble::spec(error.to_string()))?;
    project(daemon, application, sources, &named.destination(&application.spec.destination))
}

async fn look_from(
    daemon: &Daemon,
    application: &Arc<Application>,
    memory: &mut Memory,
    sources: Vec<Source>,
    commits: Vec<Commit>,
    project: Project,
    creates_namespace: bool,
) -> Result<Look, Trouble> {
    let (content, place) = stamped::stamped(daemon, application, memory, &sources, &commits, &project).await?;
    let (target, owner) = (place.target, place.owner);
    let content = yielded_to_canaries(daemon, &target.cluster, content);
    let kinds = kinds(application, &content.desired);
    target.store.watch(&kinds);
    // Where it is not complete the view says so, and nothing is pruned; the watch tells when it is.
    target.store.settled(&kinds, FIRST_LIST).await;
    let namespace = namespace_state(&target.cluster, application, creates_namespace).await;
    Ok(Look {
        application: application.clone(),
        commits,
        owner,
        project,
        content,
        cluster: target.cluster,
        store: target.store,
        kinds,
        namespace,
    })
}

/// The content without the fields that canaries own; as it is where none does.
fn yielded_to_canaries(daemon: &Daemon, cluster: &Cluster, content: Arc<Content>) -> Arc<Content> {
    if cluster.server() != daemon.cluster.server() {
        return content;
    }
    let owned = |wanted: &Wanted| daemon.canaries.claim(&wanted.object.key).map(|claim| claim.owns);
    if !content.desired.objects.iter().any(|wanted| owned(wanted).is_some()) {
        return content;
    }
    let mut content = Content::clone(&content);
    for wanted in &mut content.desired.objects {
        if let Some(owns) = owned(wanted) {
            let object = canaries::yielded(&wanted.object, &owns);
            *wanted = Wanted { hash: object.content_hash(), object: Arc::new(object), ..wanted.clone() };
        }
    }
    Arc::new(content)
}

/// What an operation or a person wants looked at, where it is not what the spec says.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Instead of the spec's: a rollback.
    pub sources: Vec<Source>,
    /// Instead of the spec's revisions, one for each source.
    pub revisions: Vec<String>,
    /// Ask git anew.
    pub refresh: Option<Refresh>,
    /// The operation's sync options, when they are not the spec's.
    pub create_namespace: Option<bool>,
}

impl Asked {
    fn creates_namespace(&self, spec: &crate::api::argo::ApplicationSpec) -> bool {
        self.create_namespace.unwrap_or_else(|| spec.sync_options().create_namespace)
    }
}

fn project(
    daemon: &Daemon,
    application: &Application,
    sources: &[Source],
    destination: &Destination,
) -> Result<Project, Trouble> {
    let name = application.spec.project();
    let project = match daemon.written.project(name) {
        Some(Ok(project)) => Project::new(&project),
        Some(Err(why)) => return Err(Trouble::spec(format!("project `{name}` cannot be read: {why}"))),
        // Argo CD makes this one at its first start.
        None if name == "default" => Project::new(&AppProject::permissive(&daemon.options.namespace)),
        None => return Err(Trouble::spec(format!("Application referencing project {name} which does not exist"))),
    };
    let project = project.with_clusters(daemon.destinations.of_project(name));
    let repositories = sources.iter().map(|source| source.repo_url.as_str());
    let denials = project.denials(
        application.name(),
        application.namespace(),
        &daemon.options.namespace,
        repositories,
        destination,
    );
    match denials.as_slice() {
        [] => Ok(project),
        denials => Err(Trouble::spec(denials.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))),
    }
}

async fn resolve(
    daemon: &Daemon,
    application: &Application,
    memory: &Memory,
    sources: &[Source],
    asked: &Asked,
) -> Result<Vec<Commit>, Trouble> {
    let mut wanted = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        if source.path().is_none() && source.chart.is_none() && source.reference.is_none() {
            let message = "spec.source.repoURL and either spec.source.path or spec.source.chart are required";
            return Err(Trouble::spec(message));
        }
        if source.chart.is_some() {
            let message = format!("source `{}` is a Helm chart, which this version does not render", source.repo_url);
            return Err(Trouble::spec(message));
        }
        let url = RepoUrl::parse(&source.repo_url)
            .map_err(|error| Trouble::spec(format!("repository of application `{}`: {error}", application.name())))?;
        let revision = asked.revisions.get(index).filter(|revision| !revision.is_empty());
        wanted.push((url, revision.map_or(source.revision(), String::as_str).to_owned()));
    }
    if asked.sources.is_empty() && asked.revisions.is_empty() {
        // The root application of an environment follows what its environment takes commits from, too.
        let promoted = application.annotation(annotation::ENVIRONMENT).map(|name| daemon.promoted_from(name));
        let promoted = promoted.unwrap_or_default();
        let others = memory.remotes.followed().chain(promoted);
        let followed: Vec<(RepoUrl, String)> = wanted.iter().cloned().chain(others).collect();
        daemon.repositories.follow(application.name(), &followed, daemon.interval(application));
    }
    let mut commits = Vec::new();
    for (url, revision) in &wanted {
        if asked.refresh.is_some() {
            daemon.repositories.refresh_now(url, std::slice::from_ref(revision)).await;
        }
        let commit = daemon.repositories.commit(url, revision).await.map_err(|error| {
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            // The repository's own loop asks again and pushes the application when the answer changes.
            Trouble::comparison(format!("{error}{hint}"))
        })?;
        commits.push(commit);
    }
    Ok(commits)
}

/// What has to be watched: the kinds that git wants, and those that were applied before.
fn kinds(application: &Application, desired: &Desired) -> BTreeSet<KindVersion> {
    let mut kinds: BTreeMap<GroupKind, SmolStr> = BTreeMap::new();
    let before = application.status.iter().flat_map(|status| &status.resources);
    for resource in before.filter(|resource| !resource.kind.is_empty() && !resource.version.is_empty()) {
        kinds.insert(GroupKind::new(&*resource.group, &*resource.kind), SmolStr::new(&resource.version));
    }
    // What git says now wins: an apply answers in that version, and the projections have to be comparable.
    for wanted in &desired.objects {
        kinds.insert(wanted.object.key.group_kind(), wanted.object.version.clone());
    }
    kinds.into_iter().map(|(kind, version)| KindVersion::new(kind, version)).collect()
}

async fn namespace_state(cluster: &Cluster, application: &Application, is_wanted: bool) -> NamespaceState {
    let Some(namespace) = application.destination_namespace().filter(|_| is_wanted) else {
        return NamespaceState::Unknown;
    };
    let key =
        ObjectKey { group: SmolStr::default(), kind: "Namespace".into(), namespace: None, name: namespace.into() };
    match cluster.find(&key, "v1").await {
        Ok(Some(_)) => NamespaceState::Exists,
        Ok(None) => NamespaceState::Missing,
        Err(_) => NamespaceState::Unknown,
    }
}

/// The time, for statuses.
pub fn now() -> Timestamp {
    Timestamp::now()
}
