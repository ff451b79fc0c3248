//! Pull requests that are deployed before they are merged, each into a namespace of its own.
//!
//! **In:** Environments with `previews.deploy`, the open pull requests of their branch. **Out:** AppProjects, namespaces
//! and Applications; how it stands with each pull request. **May not:** take an incomplete list for all there are, or touch
//! a namespace, an AppProject or an Application that it has not made: [`decide`] says what is done, this does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use smol_str::SmolStr;
use tracing::{info, warn};

use super::super::Daemon;
use super::super::destinations::Target;
use super::followed::Followed;
use crate::api::argo::{AppProject, Destination, ProjectDestination};
use crate::api::leeboard::{Environment, EphemeralPolicy};
use crate::api::{self, ARGO_GROUP};
use crate::forge::{self, Pull, Source};
use crate::git::Oid;
use crate::live::client::{ApplyOptions, DeleteOptions, Error, Propagation};
use crate::object::{Object, ObjectKey, annotation};
use crate::preview::ephemeral::objects::{self, Deployment, recorded};
use crate::preview::ephemeral::{Deployed, Proposed, Record, Step, decide};
use crate::source::detect::{Detected, detect};
use crate::source::files::TreePath;
use crate::source::snapshot::SnapshotFiles;

/// What the pull requests of a branch are deployed to, by number.
pub(super) type Standings = BTreeMap<u64, Vec<Deployed>>;

/// Deploys what is to be deployed of the open pull requests of a branch, and takes away what is not; how it stands then.
///
/// # Errors
/// The first thing that kept one from being so, in one sentence; the others are done all the same.
pub(super) async fn settle(
    daemon: &Arc<Daemon>,
    followed: &Followed,
    forge: &forge::Repository,
    open: &[Pull],
) -> (Standings, Result<(), String>) {
    let mut proposed = Vec::new();
    let mut references = BTreeMap::new();
    for pull in open {
        if pull.is_fork || (pull.is_draft && followed.policy.skip_drafts) {
            continue;
        }
        // Of no repository but the one that is followed.
        let Some(Source { repository: None, reference }) = forge.source(pull) else { continue };
        references.insert(pull.number, reference);
        let labels = pull.labels.clone().unwrap_or_default();
        proposed.push(Proposed { number: pull.number, head: pull.head.to_string().into(), labels });
    }
    let mut standings = Standings::new();
    let mut done = Ok(());
    for environment in followed.environments(daemon).into_iter().filter(|environment| wants(environment)) {
        let policy = policy(&environment);
        let (steps, standing) = decide(&policy, &proposed, &records(daemon, environment.name()), Timestamp::now());
        let ephemeral =
            Ephemeral { daemon, followed, references: &references, environment: &environment, policy: &policy };
        for step in steps {
            if let Err(why) = ephemeral.carry_out(&step).await {
                done = done.and(Err(format!("{}: {why}", environment.name())));
            }
        }
        for (number, standing) in standing {
            if let Ok(namespace) = objects::name(&policy, number, environment.name()) {
                let deployed =
                    Deployed { environment: environment.name().into(), namespace: namespace.into(), standing };
                standings.entry(number).or_default().push(deployed);
            }
        }
    }
    (standings, done)
}

/// Takes away what belongs to Environments that are gone, or want nothing deployed any more.
///
/// # Errors
/// The first thing that could not be taken away, in one sentence; the others are all the same.
pub(super) async fn sweep(daemon: &Daemon) -> Result<(), String> {
    let mut done = Ok(());
    for project in daemon.written.projects() {
        let Some(own) = Own::of(&project) else { continue };
        let stays = match daemon.written.environment(own.environment) {
            Some(environment) => wants(&environment),
            // What can't be read now will be read again.
            None => daemon.written.has_environment(own.environment),
        };
        if !stays {
            done = done.and(own.remove(daemon).await);
        }
    }
    done
}

fn wants(environment: &Environment) -> bool {
    environment.spec.previews.as_ref().is_some_and(|previews| previews.deploy && previews.enabled != Some(false))
}

fn policy(environment: &Environment) -> EphemeralPolicy {
    environment.spec.previews.as_ref().and_then(|previews| previews.ephemeral.clone()).unwrap_or_default()
}

fn records(daemon: &Daemon, environment: &str) -> Vec<Record> {
    let projects = daemon.written.projects();
    projects
        .iter()
        .filter_map(|project| recorded(project))
        .filter(|(of, _)| *of == environment)
        .map(|(_, it)| it)
        .collect()
}

/// One environment whose pull requests are deployed.
struct Ephemeral<'a> {
    daemon: &'a Arc<Daemon>,
    followed: &'a Followed,
    /// From where git can have a pull request's head.
    references: &'a BTreeMap<u64, String>,
    environment: &'a Environment,
    policy: &'a EphemeralPolicy,
}

impl Ephemeral<'_> {
    async fn carry_out(&self, step: &Step) -> Result<(), String> {
        let (Step::Remove(number) | Step::Expire(Record { number, .. }) | Step::Deploy(Record { number, .. })) = step;
        let name = || objects::name(self.policy, *number, self.environment.name());
        match step {
            Step::Remove(number) => {
                // Under another prefix it was called otherwise.
                let projects = self.daemon.written.projects();
                let own = projects.iter().filter_map(|project| Own::of(project));
                for own in own.filter(|own| own.environment == self.environment.name() && own.number == *number) {
                    own.remove(self.daemon).await?;
                }
                Ok(())
            }
            Step::Expire(record) => {
                let name = name()?;
                if let Some(Ok(project)) = self.daemon.written.project(&name)
                    && let Some(own) = Own::of(&project)
                {
                    own.take_away(self.daemon).await?;
                }
                info!(environment = self.environment.name(), pull = number, "Its time is over: not deployed any more");
                self.record(&name, record).await
            }
            Step::Deploy(record) => self.deploy(&name()?, record).await,
        }
    }

    async fn deploy(&self, name: &str, record: &Record) -> Result<(), String> {
        let deployment = Deployment { environment: self.environment, policy: self.policy, record };
        let is_kustomization = self.is_kustomization(&deployment).await?;
        self.refuse_others(name)?;
        if let Some(Ok(known)) = self.daemon.written.project(name)
            && let Some(own) = Own::of(&known)
            && own.destination != deployment.destination(name)
        {
            own.take_away(self.daemon).await?;
        }
        self.record(name, record).await?;
        self.make_namespace(&deployment, name).await?;
        let wanted = deployment.application(name, is_kustomization);
        let known = self.daemon.written.application(name);
        if known.is_none_or(|known| known.spec != wanted.spec || known.is_deleting()) {
            info!(environment = self.environment.name(), pull = record.number, head = %record.head, "Pull request deployed");
            apply(self.daemon, &to_value(&wanted)).await?;
        }
        Ok(())
    }

    async fn is_kustomization(&self, deployment: &Deployment<'_>) -> Result<bool, String> {
        let Record { head, number, .. } = deployment.record;
        let commit: Oid = head.parse().map_err(|_| format!("`{head}` is no commit"))?;
        let mirror = self.daemon.repositories.mirrors().mirror(&self.followed.url);
        if mirror.snapshot_at(commit).is_err()
            && let Some(reference) = self.references.get(number)
        {
            mirror.refresh(std::slice::from_ref(reference)).await.map_err(|error| error.to_string())?;
        }
        let tree = SnapshotFiles::new(mirror.snapshot_at(commit).map_err(|error| error.to_string())?);
        let path = TreePath::new(deployment.path()).map_err(|error| error.to_string())?;
        let found = detect(&tree, &path).map_err(|error| error.to_string())?;
        Ok(found == Detected::Kustomization)
    }

    /// Whoever called something of theirs like this keeps it.
    fn refuse_others(&self, name: &str) -> Result<(), String> {
        let is_own = |annotation: Option<&str>| annotation == Some(self.environment.name());
        if let Some(application) = self.daemon.written.application(name)
            && !is_own(application.annotation(annotation::EPHEMERAL))
        {
            return Err(format!("an Application `{name}` is there already, and belongs to no pull request"));
        }
        match self.daemon.written.project(name) {
            Some(Ok(project)) if !is_own(recorded(&project).map(|(of, _)| of)) => {
                Err(format!("an AppProject `{name}` is there already, and belongs to no pull request"))
            }
            _ => Ok(()),
        }
    }

    async fn record(&self, name: &str, record: &Record) -> Result<(), String> {
        let own = match self.daemon.written.project(self.environment.spec.project()) {
            Some(Ok(project)) => project.spec.clone(),
            Some(Err(why)) => return Err(why),
            None if self.environment.spec.project() == "default" => {
                AppProject::permissive(self.environment.namespace()).spec
            }
            None => return Err(format!("AppProject `{}` does not exist", self.environment.spec.project())),
        };
        let wanted = Deployment { environment: self.environment, policy: self.policy, record }.project(name, &own);
        let known = self.daemon.written.project(name).and_then(Result::ok);
        let is_so = known.is_some_and(|known| {
            known.spec == wanted.spec && recorded(&known).is_some_and(|(_, recorded)| recorded == *record)
        });
        if !is_so {
            apply(self.daemon, &to_value(&wanted)).await?;
        }
        Ok(())
    }

    async fn make_namespace(&self, deployment: &Deployment<'_>, name: &str) -> Result<(), String> {
        let target = target(self.daemon, self.environment)?;
        let key = namespace_key(name);
        let number = deployment.record.number;
        match target.cluster.find(&key, "v1").await.map_err(|error| error.to_string())? {
            Some(found) if !is_own(&found, self.environment.name(), number) => {
                return Err(format!("a namespace `{name}` is there already, and belongs to no pull request"));
            }
            Some(found) if found["metadata"]["deletionTimestamp"].is_string() => {
                return Err(format!("namespace `{name}` of an earlier deployment is not gone yet"));
            }
            Some(_) => {}
            None => apply_to(&target, deployment.namespace(name)).await?,
        }
        let quota = deployment.quota(name);
        let found = target.cluster.find(&quota_key(name), "v1").await.map_err(|error| error.to_string())?;
        if found.is_none_or(|found| found["spec"]["hard"] != quota["spec"]["hard"]) {
            apply_to(&target, quota).await?;
        }
        Ok(())
    }
}

/// What was made for a pull request, as its AppProject says.
struct Own<'a> {
    name: &'a str,
    environment: &'a str,
    number: u64,
    destination: Destination,
}

impl<'a> Own<'a> {
    fn of(project: &'a AppProject) -> Option<Self> {
        let (environment, record) = recorded(project)?;
        let ProjectDestination { server, name, namespace } = project.spec.destinations.first()?.clone();
        let destination = Destination { server, name, namespace };
        Some(Own { name: project.metadata.name.as_deref()?, environment, number: record.number, destination })
    }

    /// Nothing of it stays; its record goes last.
    async fn remove(&self, daemon: &Daemon) -> Result<(), String> {
        self.take_away(daemon).await?;
        delete(daemon, "AppProject", self.name).await?;
        info!(environment = self.environment, pull = self.number, "Pull request not deployed any more");
        Ok(())
    }

    /// First what deploys, so that it does not fight with what is going; then all that it deployed.
    async fn take_away(&self, daemon: &Daemon) -> Result<(), String> {
        if let Some(application) = daemon.written.application(self.name)
            && application.annotation(annotation::EPHEMERAL) == Some(self.environment)
        {
            delete(daemon, "Application", self.name).await?;
        }
        let target = daemon.destinations.target(&self.destination).map_err(|error| error.to_string())?;
        delete_namespace(&target, self.name, self.environment, self.number).await
    }
}

async fn delete_namespace(target: &Target, name: &str, environment: &str, number: u64) -> Result<(), String> {
    let key = namespace_key(name);
    let Some(found) = target.cluster.find(&key, "v1").await.map_err(|error| error.to_string())? else { return Ok(()) };
    if !is_own(&found, environment, number) {
        warn!(namespace = name, "Namespace left alone: it belongs to no pull request");
        return Ok(());
    }
    let uid = found["metadata"]["uid"].as_str().map(SmolStr::from);
    let options = DeleteOptions { uid, propagation: Propagation::Background, dry_run: false };
    match target.cluster.delete(&key, "v1", &options).await {
        Ok(_) | Err(Error::NotFound(_) | Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

async fn delete(daemon: &Daemon, kind: &str, name: &str) -> Result<(), String> {
    let key = ObjectKey {
        group: ARGO_GROUP.into(),
        kind: kind.into(),
        namespace: Some(daemon.options.namespace.as_str().into()),
        name: name.into(),
    };
    let options = DeleteOptions { propagation: Propagation::Background, ..DeleteOptions::default() };
    match daemon.cluster.delete(&key, api::VERSION, &options).await {
        Ok(_) | Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn namespace_key(name: &str) -> ObjectKey {
    ObjectKey { group: "".into(), kind: "Namespace".into(), namespace: None, name: name.into() }
}

fn quota_key(namespace: &str) -> ObjectKey {
    let (kind, name) = ("ResourceQuota".into(), objects::QUOTA.into());
    ObjectKey { group: "".into(), kind, namespace: Some(namespace.into()), name }
}

fn is_own(namespace: &Value, environment: &str, number: u64) -> bool {
    objects::is_of(&namespace["metadata"]["labels"], environment, number)
}

fn target(daemon: &Daemon, environment: &Environment) -> Result<Target, String> {
    daemon.destinations.target(&environment.spec.destination()).map_err(|error| error.to_string())
}

fn to_value(object: &impl serde::Serialize) -> Value {
    serde_json::to_value(object).unwrap_or(Value::Null)
}

async fn apply(daemon: &Daemon, body: &Value) -> Result<(), String> {
    let own = daemon.destinations.own();
    apply_to(own, body.clone()).await
}

async fn apply_to(target: &Target, body: Value) -> Result<(), String> {
    let object = Object::from_value(body, None).map_err(|error| error.to_string())?;
    let options = ApplyOptions { force: true, ..ApplyOptions::default() };
    target.cluster.apply(&object, &options).await.map(drop).map_err(|error| error.to_string())
}
