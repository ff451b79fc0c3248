//! What a viewer knows of the environments, and what each change means to a person.
//!
//! **In:** pushes, Environments and Applications as they come. **Out:** [`World`], with its [`News`]. Pure: [`follow`]
//! brings the changes in.
//!
//! [`follow`]: super::follow

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::super::get::row;
use super::shop::Head;
use crate::api::argo::{Application, ApplicationStatus, OperationPhase, OperationState, SelectedResource, SyncStatus};
use crate::api::leeboard::Environment;
use crate::plan::Why;

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
    /// The newest commit of each environment's branch.
    pub(super) heads: BTreeMap<String, Head>,
    pub(super) environments: BTreeMap<String, Environment>,
    pub(super) applications: BTreeMap<String, Application>,
    /// All that has happened, in the order in which it came to be known.
    pub(super) news: Vec<News>,
    /// When each commit was pushed that came while somebody looked.
    pushes: BTreeMap<String, Timestamp>,
    /// Environments and applications that have got to the end of a commit: what happens later has another cause.
    arrived: BTreeSet<(String, String)>,
    /// When each application's drift was seen that has not been put back yet.
    drifts: BTreeMap<String, Timestamp>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct News {
    pub(super) at: Timestamp,
    /// An environment or an application.
    pub(super) about: String,
    pub(super) what: What,
    /// How long after its cause.
    pub(super) after: Option<(Duration, Cause)>,
}

/// What something is an effect of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A push.
    Push,
    /// A change in the cluster that was seen.
    Drift,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// A branch has moved.
    Pushed { commit: String, subject: String },
    /// A sync began.
    Syncing { commit: String },
    /// A sync has done this.
    Synced(Tally),
    /// Objects are no longer as git wants them.
    Drifted(Vec<String>),
    /// They are again.
    PutBack(Vec<String>),
    /// A sync has failed, and says why.
    Failed(String),
    /// All that it has works.
    Healthy,
    /// It does not, and this is why.
    Unhealthy { health: String, reason: String },
    /// Git or the cluster could not be read, or an object is refused; what was applied last stays.
    Complaint(String),
    /// The cause of all complaints is gone.
    Settled,
    /// All of an environment is at a commit, and healthy.
    Arrived { commit: String },
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
            What::Synced(_) | What::PutBack(_) | What::Healthy | What::Settled | What::Arrived { .. } => Mood::Good,
            What::Failed(_) | What::Complaint(_) => Mood::Bad,
            What::Unhealthy { health, .. } if health == "Degraded" => Mood::Bad,
            What::Syncing { .. } | What::Unhealthy { .. } => Mood::Going,
            What::Pushed { .. } | What::Drifted(_) => Mood::Note,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Pushed { commit, subject } => write!(f, "pushed {} {subject}", short(commit)),
            What::Syncing { commit } => write!(f, "syncing {}", short(commit)),
            What::Synced(tally) => write!(f, "synced: {tally}"),
            What::Drifted(objects) => f.write_str(&listed(objects)),
            What::PutBack(objects) => write!(f, "put back {}", listed(objects)),
            What::Failed(message) => write!(f, "sync failed: {}", first_line(message)),
            What::Healthy => f.write_str("healthy"),
            What::Unhealthy { health, reason } => write!(f, "{}: {}", health.to_lowercase(), first_line(reason)),
            What::Complaint(message) => f.write_str(first_line(message)),
            What::Settled => f.write_str("the error is gone"),
            What::Arrived { commit } => write!(f, "all of it is at {} and healthy", short(commit)),
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
                "Synced" if object.message != Why::InSync.to_string() => tally.applied += 1,
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
        let known = self.heads.insert(environment.into(), head.clone());
        if known.is_some_and(|known| known.commit != head.commit) {
            self.pushes.insert(head.commit.clone(), at);
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
                    match self.applications.contains_key(one.name()) {
                        true => self.application_is(one, now),
                        // It has become what it is before anybody looked.
                        false => drop(self.applications.insert(one.name().into(), one)),
                    }
                }
            }
            Change::Now(one) => self.application_is(one, now),
            Change::Gone(one) => drop(self.applications.remove(one.name())),
        }
    }

    fn application_is(&mut self, application: Application, now: Timestamp) {
        let name = application.name().to_owned();
        let before = self.applications.insert(name.clone(), application);
        let before = before.and_then(|before| before.status).unwrap_or_default();
        let Some(after) = self.status(&name).cloned() else { return };
        for what in changes(&before, &after) {
            let cause = match &what {
                What::Drifted(_) => {
                    self.drifts.insert(name.clone(), now);
                    None
                }
                What::PutBack(_) => self.drifts.remove(&name).map(|seen| (seen, Cause::Drift)),
                _ => self.push_behind(&name, &after.sync.revision),
            };
            self.tell(&name, what, cause, now);
        }
        let commit = after.sync.revision.clone();
        if unsettled(&after, &commit).is_none() {
            self.arrived.insert((name, commit));
        }
        self.look_for_arrivals(now);
    }

    /// Takes note of environments that have got to the end of what was pushed.
    fn look_for_arrivals(&mut self, now: Timestamp) {
        let heads = self.heads.iter().filter(|(_, head)| self.pushes.contains_key(&head.commit));
        let place = |environment: &str| format!("environment {environment}");
        let arrived: Vec<(String, String)> = heads
            .map(|(environment, head)| (environment.clone(), head.commit.clone()))
            .filter(|(environment, commit)| !self.arrived.contains(&(place(environment), commit.clone())))
            .filter(|(environment, commit)| self.waits_for(environment, commit).is_none())
            .collect();
        for (environment, commit) in arrived {
            let cause = self.push_behind(&place(&environment), &commit);
            self.arrived.insert((place(&environment), commit.clone()));
            self.tell(&environment, What::Arrived { commit }, cause, now);
        }
    }

    fn tell(&mut self, about: &str, what: What, cause: Option<(Timestamp, Cause)>, now: Timestamp) {
        let after = cause.and_then(|(at, cause)| Some((Duration::try_from(now.duration_since(at)).ok()?, cause)));
        self.news.push(News { at: now, about: about.into(), what, after });
    }

    /// The push whose effects something still shows.
    fn push_behind(&self, name: &str, commit: &str) -> Option<(Timestamp, Cause)> {
        let over = self.arrived.contains(&(name.to_owned(), commit.to_owned()));
        self.pushes.get(commit).filter(|_| !over).map(|at| (*at, Cause::Push))
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
        // The root comes last: what it waits for is in its children.
        let mut all: Vec<_> = self.of(environment).collect();
        all.reverse();
        all.iter()
            .find_map(|(application, status)| Some(format!("{}: {}", application.name(), unsettled(status, commit)?)))
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
        return Some(first_line(&error.message).into());
    }
    if status.sync.revision != commit {
        return Some(format!("it is at {}", short(&status.sync.revision)));
    }
    match &status.operation_state {
        Some(operation) if !operation.phase.is_completed() => return Some(first_line(&operation.message).into()),
        // What failed for another commit, and is no longer wanted, is history.
        Some(operation) if operation.phase != OperationPhase::Succeeded && commit_of(operation) == commit => {
            return Some(first_line(&operation.message).into());
        }
        None if !status.resources.is_empty() => return Some("its first sync".into()),
        _ => {}
    }
    if status.sync.status != SyncStatus::Synced {
        return Some(listed(&out_of_sync(status)));
    }
    match status.health.status.as_deref() {
        Some("Healthy") => None,
        _ => Some(first_line(&why_unhealthy(status)).into()),
    }
}

/// The first object that is not healthy, and why.
fn why_unhealthy(status: &ApplicationStatus) -> String {
    let guilty = status.resources.iter().find(|resource| row::is_unhealthy(resource));
    guilty.map_or_else(|| status.health.message.clone(), row::reason)
}

/// What the difference of two reports means to a person.
fn changes(before: &ApplicationStatus, after: &ApplicationStatus) -> Vec<What> {
    let mut found = Vec::new();
    let errors = |status: &ApplicationStatus| -> Vec<String> {
        status.conditions.iter().filter(|condition| condition.is_error()).map(|c| c.message.clone()).collect()
    };
    let (old, new) = (errors(before), errors(after));
    let operation = after.operation_state.as_ref();
    // A failed sync says it first, and then stands as a condition.
    let said = |message: &String| {
        operation.is_some_and(|o| o.phase.is_completed() && !o.message.is_empty() && message.contains(&o.message))
    };
    found.extend(new.iter().filter(|message| !old.contains(message) && !said(message)).cloned().map(What::Complaint));
    if new.is_empty() && !old.is_empty() {
        found.push(What::Settled);
    }
    let same_commit = before.sync.revision == after.sync.revision && !before.sync.revision.is_empty();
    if same_commit && before.sync.status == SyncStatus::Synced && after.sync.status == SyncStatus::OutOfSync {
        found.push(What::Drifted(out_of_sync(after)));
    }
    found.extend(operation.and_then(|operation| progress(before, operation, after)));
    if before.health.status != after.health.status {
        found.extend(health(before, after));
    }
    found
}

/// What became of an operation.
fn progress(before: &ApplicationStatus, operation: &OperationState, after: &ApplicationStatus) -> Option<What> {
    let known = before.operation_state.as_ref().filter(|known| known.started_at == operation.started_at);
    let healed: Vec<String> = operation.operation.sync.iter().flat_map(|sync| &sync.resources).map(named).collect();
    let is_new = match operation.phase.is_completed() {
        true => known.is_none_or(|known| !known.phase.is_completed()),
        false => known.is_none(),
    };
    match operation.phase {
        _ if !is_new => None,
        OperationPhase::Succeeded if healed.is_empty() => Some(What::Synced(Tally::of(operation))),
        OperationPhase::Succeeded => Some(What::PutBack(healed)),
        phase if phase.is_completed() => Some(What::Failed(operation.message.clone())),
        // That drift is put back is told by its end, a moment later.
        _ => healed.is_empty().then(|| What::Syncing { commit: after.sync.revision.clone() }),
    }
}

/// What a new health is worth: progress that a sync or its children's syncs bring is no news.
fn health(before: &ApplicationStatus, after: &ApplicationStatus) -> Option<What> {
    let is_root = after.resources.iter().any(|resource| resource.kind == "Application");
    let is_syncing = [before, after]
        .iter()
        .filter_map(|status| status.operation_state.as_ref())
        .any(|operation| !operation.phase.is_completed());
    match after.health.status.as_deref()? {
        "Healthy" => (!is_root).then_some(What::Healthy),
        "Missing" | "Unknown" => None,
        "Progressing" if is_root || is_syncing || after.sync.status == SyncStatus::OutOfSync => None,
        health => Some(What::Unhealthy { health: health.into(), reason: why_unhealthy(after) }),
    }
}

fn named(object: &SelectedResource) -> String {
    format!("{}/{}", object.kind, object.name)
}

fn commit_of(operation: &OperationState) -> &str {
    operation.sync_result.as_ref().map(|result| &*result.revision).unwrap_or_default()
}

/// What is not as git wants it, and how that shows.
fn out_of_sync(status: &ApplicationStatus) -> Vec<String> {
    let drifted = status.resources.iter().filter(|resource| resource.status == Some(SyncStatus::OutOfSync));
    let told = drifted.map(|resource| {
        let is_missing = resource.health.as_ref().is_some_and(|health| health.status.as_deref() == Some("Missing"));
        let how = if is_missing { "is not in the cluster" } else { "differs from git" };
        format!("{}/{} {how}", resource.kind, resource.name)
    });
    told.collect()
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::{Value, json};

    use super::*;
    use crate::api;

    const OLD: &str = "1111111111";
    const NEW: &str = "2222222222";

    /// Milliseconds after the push.
    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    fn head(commit: &str) -> Head {
        Head { commit: commit.into(), subject: "A change".into(), pushed: SystemTime::UNIX_EPOCH }
    }

    fn application(name: &str, status: &Value) -> Change<Application> {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": name},
            "spec": {"destination": {}, "project": "default"}, "status": status,
        });
        Change::Now(api::decode(&object).unwrap())
    }

    fn status(commit: &str, sync: &str, health: &str, operation: &Value) -> Value {
        json!({
            "sync": {"status": sync, "revision": commit},
            "health": {"status": health},
            "operationState": operation,
            "resources": [{"kind": "Deployment", "name": "web", "status": sync, "health": {"status": health}}],
        })
    }

    fn operation(commit: &str, phase: &str, start: &str, selected: &Value) -> Value {
        json!({
            "phase": phase, "message": "the words", "startedAt": start,
            "operation": {"sync": {"revision": commit, "resources": selected}},
            "syncResult": {"revision": commit, "resources": [
                {"kind": "Deployment", "name": "web", "status": "Synced", "message": "serverside-applied"},
                {"kind": "Service", "name": "web", "status": "Synced", "message": "in sync"},
                {"kind": "Job", "name": "smoke-test", "status": "Synced", "hookType": "PostSync"},
                {"kind": "ConfigMap", "name": "old", "status": "Pruned"},
            ]},
        })
    }

    /// An environment `dev` whose one application `web` is at an old commit, where all is well.
    fn settled() -> World {
        let mut world = World::default();
        world.pushed("dev", head(OLD));
        let done = operation(OLD, "Succeeded", "2026-01-01T00:00:00Z", &json!([]));
        let mut root = status(OLD, "Synced", "Healthy", &done);
        root["resources"] = json!([{"kind": "Application", "name": "web", "status": "Synced"}]);
        world.application(application("dev", &root), at(0));
        world.application(application("web", &status(OLD, "Synced", "Healthy", &done)), at(0));
        assert_eq!(world.waits_for("dev", OLD), None);
        world.news.clear();
        world
    }

    fn told(world: &World) -> Vec<String> {
        let text = |news: &News| match news.after {
            Some((after, cause)) => format!("{}: {} ({} ms, {cause:?})", news.about, news.what, after.as_millis()),
            None => format!("{}: {}", news.about, news.what),
        };
        world.news.iter().map(text).collect()
    }

    #[test]
    fn a_push_is_followed_to_its_end() {
        let mut world = settled();
        let (running, done) = ("2026-01-01T00:01:00Z", json!([]));
        let steps = [
            (40, status(NEW, "OutOfSync", "Healthy", &operation(OLD, "Succeeded", "2026-01-01T00:00:00Z", &done))),
            (50, status(NEW, "OutOfSync", "Healthy", &operation(NEW, "Running", running, &done))),
            (90, status(NEW, "Synced", "Progressing", &operation(NEW, "Running", running, &done))),
            (400, status(NEW, "Synced", "Progressing", &operation(NEW, "Succeeded", running, &done))),
            (500, status(NEW, "Synced", "Healthy", &operation(NEW, "Succeeded", running, &done))),
        ];
        world.pushed("dev", head(NEW));
        let mut root = status(NEW, "Synced", "Healthy", &operation(OLD, "Succeeded", "2026-01-01T00:00:00Z", &done));
        root["resources"] = json!([{"kind": "Application", "name": "web", "status": "Synced"}]);
        world.application(application("dev", &root), at(30));
        for (milliseconds, status) in steps {
            world.application(application("web", &status), at(milliseconds));
        }
        assert_eq!(
            told(&world),
            [
                "dev: pushed 2222222 A change",
                "web: syncing 2222222 (50 ms, Push)",
                "web: synced: 1 applied, 1 pruned, 1 hook (400 ms, Push)",
                "web: healthy (500 ms, Push)",
                "dev: all of it is at 2222222 and healthy (500 ms, Push)",
            ]
        );
    }

    #[test]
    fn drift_is_followed_until_it_is_put_back() {
        let mut world = settled();
        let selected = json!([{"kind": "Deployment", "name": "web"}]);
        let start = "2026-01-01T00:02:00Z";
        let before = operation(OLD, "Succeeded", "2026-01-01T00:00:00Z", &json!([]));
        world.application(application("web", &status(OLD, "OutOfSync", "Missing", &before)), at(100));
        let heals = status(OLD, "OutOfSync", "Missing", &operation(OLD, "Running", start, &selected));
        world.application(application("web", &heals), at(110));
        let healed = status(OLD, "Synced", "Healthy", &operation(OLD, "Succeeded", start, &selected));
        world.application(application("web", &healed), at(160));
        let expected = [
            "web: Deployment/web is not in the cluster",
            "web: put back Deployment/web (60 ms, Drift)",
            "web: healthy",
        ];
        assert_eq!(told(&world), expected);
    }

    #[test]
    fn an_error_is_told_once_and_so_is_its_end() {
        let mut world = settled();
        let failed = operation(OLD, "Failed", "2026-01-01T00:03:00Z", &json!([]));
        let mut bad = status(OLD, "OutOfSync", "Healthy", &failed);
        world.application(application("web", &bad), at(10));
        bad["conditions"] = json!([{"type": "SyncError", "message": "Failed last sync attempt to [x]: the words"}]);
        world.application(application("web", &bad), at(20));
        bad["conditions"] = json!([{"type": "ComparisonError", "message": "no such file\nand more"}]);
        world.application(application("web", &bad), at(30));
        world.application(application("web", &bad), at(40));
        bad["conditions"] = json!([]);
        world.application(application("web", &bad), at(50));
        let expected = [
            "web: Deployment/web differs from git",
            "web: sync failed: the words",
            "web: no such file",
            "web: the error is gone",
        ];
        assert_eq!(told(&world), expected);
    }

    #[test]
    fn what_an_application_waits_for_is_one_sentence() {
        let none = json!([]);
        let (done, now) = ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z");
        let cases = [
            // status                                                                            sentence
            (status(NEW, "Synced", "Healthy", &operation(NEW, "Succeeded", done, &none)), None),
            (status(NEW, "Synced", "Healthy", &operation(OLD, "Failed", done, &none)), None),
            (status(NEW, "Synced", "Healthy", &operation(NEW, "Failed", done, &none)), Some("the words")),
            (status(NEW, "Synced", "Healthy", &operation(NEW, "Running", now, &none)), Some("the words")),
            (status(OLD, "Synced", "Healthy", &operation(OLD, "Succeeded", done, &none)), Some("it is at 1111111")),
            (status(NEW, "Synced", "Healthy", &Value::Null), Some("its first sync")),
            (
                status(NEW, "OutOfSync", "Healthy", &operation(NEW, "Succeeded", done, &none)),
                Some("Deployment/web differs from git"),
            ),
            (
                status(NEW, "Synced", "Degraded", &operation(NEW, "Succeeded", done, &none)),
                Some("Deployment/web: degraded"),
            ),
        ];
        for (status, expected) in cases {
            let Change::Now(application) = application("web", &status) else { unreachable!() };
            let found = unsettled(&application.status.unwrap(), NEW);
            assert_eq!(found.as_deref(), expected, "{status}");
        }
    }
}
