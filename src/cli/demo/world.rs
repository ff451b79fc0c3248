//! What a viewer knows of the environments, and what each change means to a person.
//!
//! **In:** pushes, Environments and Applications as they come. **Out:** [`World`], with its [`News`]. Pure: [`follow`]
//! brings the changes in.
//!
//! [`follow`]: super::follow

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::shop::Head;
use crate::api::argo::{Application, ApplicationStatus, OperationPhase, OperationState, SyncStatus};
use crate::api::leeboard::Environment;

/// One look at a kind of objects.
#[derive(Clone, Debug)]
pub(super) enum Change<T> {
    /// These are all.
    All(Vec<T>),
    /// This one is new or different.
    Now(T),
    /// This one is gone.
    Gone(T),
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    /// The newest commit of each environment's branch, and when it was pushed.
    pub(super) heads: BTreeMap<String, (Head, Timestamp)>,
    pub(super) environments: BTreeMap<String, Environment>,
    pub(super) applications: BTreeMap<String, Application>,
    /// All that has happened, oldest first.
    pub(super) news: Vec<News>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct News {
    pub(super) at: Timestamp,
    /// An environment or an application.
    pub(super) about: String,
    pub(super) what: What,
    /// How long after the push that caused it.
    pub(super) after: Option<std::time::Duration>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// A branch has moved.
    Pushed { commit: String, subject: String },
    /// A sync began.
    Syncing { commit: String, heals: Vec<String> },
    /// A sync waits, and says for what.
    Waiting(String),
    /// A sync has done this.
    Synced { tally: Tally, heals: bool },
    /// A sync has failed, and says why.
    Failed(String),
    /// All that it has works.
    Healthy,
    /// It does not, and this is why.
    Unhealthy { health: String, message: String },
    /// Git or the cluster could not be read, or an object is refused; what was applied last stays.
    Complaint(String),
    /// The cause of all complaints is gone.
    Settled,
    /// Objects are no longer as git wants them.
    Drifted(Vec<String>),
}

/// Good news, bad news, or on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Bad,
    Going,
    Note,
}

impl What {
    pub(super) fn mood(&self) -> Mood {
        match self {
            What::Synced { .. } | What::Healthy | What::Settled => Mood::Good,
            What::Failed(_) | What::Complaint(_) => Mood::Bad,
            What::Unhealthy { health, .. } if health == "Degraded" => Mood::Bad,
            What::Syncing { .. } | What::Waiting(_) | What::Unhealthy { .. } => Mood::Going,
            What::Pushed { .. } | What::Drifted(_) => Mood::Note,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Pushed { commit, subject } => write!(f, "pushed {} {subject}", short(commit)),
            What::Syncing { commit, heals } if heals.is_empty() => write!(f, "syncing {}", short(commit)),
            What::Syncing { heals, .. } => write!(f, "putting back {}", listed(heals)),
            What::Waiting(message) => f.write_str(first_line(message)),
            What::Synced { tally, heals: true } => write!(f, "put back: {tally}"),
            What::Synced { tally, heals: false } => write!(f, "synced: {tally}"),
            What::Failed(message) => write!(f, "sync failed: {}", first_line(message)),
            What::Healthy => f.write_str("healthy"),
            What::Unhealthy { health, message } if message.is_empty() => f.write_str(&health.to_lowercase()),
            What::Unhealthy { health, message } => write!(f, "{}: {}", health.to_lowercase(), first_line(message)),
            What::Complaint(message) => f.write_str(first_line(message)),
            What::Settled => f.write_str("the error is gone"),
            What::Drifted(objects) => write!(f, "{} changed in the cluster", listed(objects)),
        }
    }
}

/// How many objects a sync has dealt with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    applied: usize,
    pruned: usize,
    hooks: usize,
}

impl Tally {
    fn of(operation: &OperationState) -> Tally {
        let mut tally = Tally::default();
        for object in operation.sync_result.iter().flat_map(|result| &result.resources) {
            match object.status.as_str() {
                _ if !object.hook_type.is_empty() => tally.hooks += 1,
                "Pruned" => tally.pruned += 1,
                "Synced" => tally.applied += 1,
                _ => {}
            }
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hooks = if self.hooks == 1 { "hook" } else { "hooks" };
        let parts = [(self.applied, "applied"), (self.pruned, "pruned"), (self.hooks, hooks)];
        let said: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        f.write_str(if said.is_empty() { "nothing to do" } else { "" })?;
        f.write_str(&said.join(", "))
    }
}

impl World {
    /// Takes note of where a branch points now.
    pub(super) fn pushed(&mut self, environment: &str, head: Head) {
        let at = Timestamp::try_from(head.pushed).unwrap_or(Timestamp::UNIX_EPOCH);
        let known = self.heads.insert(environment.into(), (head.clone(), at));
        if known.is_some_and(|(known, _)| known.commit != head.commit) {
            let what = What::Pushed { commit: head.commit, subject: head.subject };
            self.news.push(News { at, about: environment.into(), what, after: None });
        }
    }

    /// Takes note of Environments.
    pub(super) fn environment(&mut self, change: Change<Environment>) {
        match change {
            Change::All(all) => self.environments = all.into_iter().map(|one| (one.name().into(), one)).collect(),
            Change::Now(one) => drop(self.environments.insert(one.name().into(), one)),
            Change::Gone(one) => drop(self.environments.remove(one.name())),
        }
    }

    /// Takes note of Applications.
    pub(super) fn application(&mut self, change: Change<Application>, now: Timestamp) {
        match change {
            Change::All(all) => {
                let names: BTreeSet<String> = all.iter().map(|one| one.name().to_owned()).collect();
                self.applications.retain(|name, _| names.contains(name));
                for one in all {
                    self.application_is(one, now);
                }
            }
            Change::Now(one) => self.application_is(one, now),
            Change::Gone(one) => drop(self.applications.remove(one.name())),
        }
    }

    fn application_is(&mut self, application: Application, now: Timestamp) {
        let name = application.name().to_owned();
        let none = ApplicationStatus::default();
        let before = self.applications.get(&name).and_then(|known| known.status.as_ref()).unwrap_or(&none);
        let after = application.status.as_ref().unwrap_or(&none);
        for what in changes(before, after) {
            let after = self.since_push(&application, &what, now);
            self.news.push(News { at: now, about: name.clone(), what, after });
        }
        self.applications.insert(name, application);
    }

    /// How long after a push something happens to an application that is at the pushed commit. Much later things have
    /// other causes.
    fn since_push(&self, application: &Application, what: &What, now: Timestamp) -> Option<std::time::Duration> {
        const ITS_EFFECT: std::time::Duration = std::time::Duration::from_secs(60);
        if matches!(what, What::Drifted(_) | What::Synced { heals: true, .. } | What::Waiting(_)) {
            return None;
        }
        let status = application.status.as_ref()?;
        let (_, pushed) = self.heads.values().find(|(head, _)| head.commit == status.sync.revision)?;
        std::time::Duration::try_from(now.duration_since(*pushed)).ok().filter(|after| *after < ITS_EFFECT)
    }

    /// The Applications of an environment: its own, and those that this one holds.
    pub(super) fn of(&self, environment: &str) -> impl Iterator<Item = (&Application, &ApplicationStatus)> {
        let root = self.status(environment);
        let children = root.into_iter().flat_map(|status| &status.resources).filter(|r| r.kind == "Application");
        let names = std::iter::once(environment.to_owned()).chain(children.map(|child| child.name.clone()));
        names.filter_map(|name| {
            let application = self.applications.get(&name)?;
            Some((application, application.status.as_ref()?))
        })
    }

    /// The status of an Application, if it has one.
    pub(super) fn status(&self, application: &str) -> Option<&ApplicationStatus> {
        self.applications.get(application)?.status.as_ref()
    }

    /// What keeps an environment from being synced to `commit` and healthy; `None` when nothing does.
    pub(super) fn waits_for(&self, environment: &str, commit: &str) -> Option<String> {
        let Some(root) = self.status(environment) else { return Some(format!("{environment} has not been looked at")) };
        let wanted = root.resources.iter().filter(|resource| resource.kind == "Application");
        let missing = wanted.map(|resource| &resource.name).find(|name| self.status(name).is_none());
        if let Some(name) = missing {
            return Some(format!("{name} has not been looked at"));
        }
        self.of(environment)
            .find_map(|(application, status)| Some(format!("{} {}", application.name(), unsettled(status, commit)?)))
    }

    /// How many objects and waves of Applications an environment has.
    pub(super) fn size(&self, environment: &str) -> (usize, usize) {
        let objects = self.of(environment).map(|(_, status)| status.resources.len()).sum();
        let root = self.status(environment);
        let waves: BTreeSet<i64> =
            root.into_iter().flat_map(|status| &status.resources).map(|r| r.sync_wave.unwrap_or(0)).collect();
        (objects, waves.len())
    }
}

/// What keeps one application from being synced to `commit` and healthy.
pub(super) fn unsettled(status: &ApplicationStatus, commit: &str) -> Option<String> {
    if let Some(error) = status.conditions.iter().find(|condition| condition.is_error()) {
        return Some(format!("has an error: {}", error.message));
    }
    if status.sync.revision != commit {
        return Some(format!("is at {}", short(&status.sync.revision)));
    }
    match &status.operation_state {
        Some(operation) if !operation.phase.is_completed() => return Some(first_line(&operation.message).into()),
        // What failed for another commit, and is no longer wanted, is history.
        Some(operation) if operation.phase != OperationPhase::Succeeded && commit_of(operation) == commit => {
            return Some(format!("failed: {}", operation.message));
        }
        None if !status.resources.is_empty() => return Some("has not been synced".into()),
        _ => {}
    }
    if status.sync.status != SyncStatus::Synced {
        return Some(format!("is {}", status.sync.status.as_str()));
    }
    match status.health.status.as_deref() {
        Some("Healthy") => None,
        health => {
            Some(format!("is {}: {}", health.unwrap_or("of unknown health").to_lowercase(), status.health.message))
        }
    }
}

/// What the difference of two reports means to a person.
fn changes(before: &ApplicationStatus, after: &ApplicationStatus) -> Vec<What> {
    let mut found = Vec::new();
    let errors = |status: &ApplicationStatus| -> Vec<String> {
        status.conditions.iter().filter(|condition| condition.is_error()).map(|c| c.message.clone()).collect()
    };
    let (old, new) = (errors(before), errors(after));
    found.extend(new.iter().filter(|message| !old.contains(message)).cloned().map(What::Complaint));
    if new.is_empty() && !old.is_empty() {
        found.push(What::Settled);
    }
    let same_commit = before.sync.revision == after.sync.revision && !before.sync.revision.is_empty();
    let was_synced = before.sync.status == SyncStatus::Synced;
    if same_commit && was_synced && after.sync.status == SyncStatus::OutOfSync {
        found.push(What::Drifted(out_of_sync(after)));
    }
    if let Some(operation) = &after.operation_state {
        found.extend(progress(before, operation, after));
    }
    if before.health.status != after.health.status {
        found.extend(match after.health.status.as_deref() {
            Some("Healthy") => Some(What::Healthy),
            // What is not there yet is not news.
            None | Some("Missing" | "Unknown") => None,
            Some(health) => Some(What::Unhealthy { health: health.into(), message: after.health.message.clone() }),
        });
    }
    found
}

/// What became of an operation.
fn progress(before: &ApplicationStatus, operation: &OperationState, after: &ApplicationStatus) -> Vec<What> {
    let mut found = Vec::new();
    let known = before.operation_state.as_ref().filter(|known| known.started_at == operation.started_at);
    let heals = operation.operation.sync.as_ref().is_some_and(|sync| !sync.resources.is_empty());
    match known {
        None if !operation.phase.is_completed() => {
            let commit = after.sync.revision.clone();
            let heals = if heals { out_of_sync(after) } else { Vec::new() };
            found.push(What::Syncing { commit, heals });
        }
        Some(known)
            if !operation.phase.is_completed() && first_line(&known.message) != first_line(&operation.message) =>
        {
            found.push(What::Waiting(operation.message.clone()));
        }
        _ => {}
    }
    let was_completed = known.is_some_and(|known| known.phase.is_completed());
    if operation.phase.is_completed() && !was_completed {
        found.push(match operation.phase {
            OperationPhase::Succeeded => What::Synced { tally: Tally::of(operation), heals },
            _ => What::Failed(operation.message.clone()),
        });
    }
    found
}

fn commit_of(operation: &OperationState) -> &str {
    operation.sync_result.as_ref().map(|result| &*result.revision).unwrap_or_default()
}

fn out_of_sync(status: &ApplicationStatus) -> Vec<String> {
    let drifted = status.resources.iter().filter(|resource| resource.status == Some(SyncStatus::OutOfSync));
    drifted.map(|resource| format!("{}/{}", resource.kind, resource.name)).collect()
}

/// `Deployment/web`, `Deployment/web and 2 more`.
fn listed(objects: &[String]) -> String {
    match objects {
        [] => "objects".into(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// A commit as people read it.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
