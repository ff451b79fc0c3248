//! One application: what is to be told of it, one message after another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use smol_str::SmolStr;
use tokio::time::Instant;
use tracing::{info, warn};

use super::super::look::now;
use super::super::{Daemon, application_key};
use super::kept::{Kept, Waiting};
use super::{send, tell};
use crate::alert::config::Configuration;
use crate::alert::due::{self, Due};
use crate::alert::names::Scene;
use crate::alert::notified::{ANNOTATION, Notified};
use crate::alert::service::Delivery;
use crate::alert::subscription;
use crate::api::VERSION;
use crate::api::argo::Application;
use crate::git::{Commit, RepoUrl};
use crate::live::client::{Error, Part};

/// The first pause after a message was not taken; each later one is twice as long, up to [`LONGEST`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// How long it is tried.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);

/// What is known of one application, and lent to its one task.
#[derive(Default)]
pub(super) struct Attending {
    notified: Notified,
    /// The annotation as it was last seen or written, and in which version; `None` before the first look.
    noted: Option<(Option<String>, u64)>,
    /// Whether the annotation is not what it should be.
    is_owed: bool,
    pending: Vec<Pending>,
}

/// A message that was not taken yet.
struct Pending {
    due: Due,
    delivery: Delivery,
    /// What it was made by.
    config: Arc<Configuration>,
    /// The application and its project, as they stood.
    scene: Arc<Scene>,
    since: Timestamp,
    /// Whether its condition has ended: it is told all the same, but the next time is another one.
    is_over: bool,
    next: Instant,
    pause: Duration,
}

impl Pending {
    fn new(due: Due, delivery: Delivery, config: &Arc<Configuration>, scene: &Arc<Scene>, since: Timestamp) -> Self {
        let (config, scene) = (config.clone(), scene.clone());
        Pending { due, delivery, config, scene, since, is_over: false, next: Instant::now(), pause: PAUSE }
    }
}

/// Begins to attend to every application that has something new and nobody who attends to it.
pub(super) fn start(daemon: &Arc<Daemon>) {
    let mut state = daemon.alerts.state.lock();
    for (name, known) in &mut state.applications {
        if known.is_attended || known.states.is_empty() {
            continue;
        }
        known.is_attended = true;
        let attending = known.attending.take().unwrap_or_default();
        daemon.tasks.spawn(attend(daemon.clone(), name.clone(), attending));
    }
}

async fn attend(daemon: Arc<Daemon>, name: SmolStr, mut attending: Attending) {
    loop {
        let (state, news) = {
            let mut all = daemon.alerts.state.lock();
            let known = all.applications.entry(name.clone()).or_default();
            let state = known.states.pop_front();
            if state.is_none() && attending.pending.is_empty() && !attending.is_owed {
                known.attending = Some(attending);
                known.is_attended = false;
                if daemon.written.application(&name).is_none() {
                    all.applications.remove(&name);
                }
                return;
            }
            (state, known.news.clone())
        };
        if let Some(application) = state {
            if let Some(config) = daemon.alerts.config() {
                look(&daemon, &config, &application, &mut attending).await;
            }
        } else {
            // Nothing was sent and not noted here: to stop here is safe.
            let next = attending.pending.iter().map(|pending| pending.next).min();
            let next = next.unwrap_or_else(|| Instant::now() + PAUSE);
            tokio::select! {
                () = daemon.shutdown.cancelled() => return,
                () = news.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
        work_off(&daemon, &name, &mut attending).await;
        if daemon.shutdown.is_cancelled() {
            return;
        }
    }
}

/// Finds what is to be told of an application as it stood.
async fn look(daemon: &Daemon, config: &Arc<Configuration>, application: &Application, attending: &mut Attending) {
    let is_first = attending.noted.is_none();
    attending.heed(application);
    let kept = Kept::of(&daemon.options.data_dir, application.name());
    let project = match daemon.written.project(application.spec.project()) {
        Some(Ok(project)) => serde_json::to_value(&*project).unwrap_or_default(),
        _ => json!({}),
    };
    let of_project = project.pointer("/metadata/annotations").and_then(Json::as_object);
    let of_project = of_project.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
    let own = application.metadata.annotations.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
    let none = BTreeMap::new();
    let labels = application.metadata.labels.as_ref().unwrap_or(&none);
    let destinations = subscription::destinations(config, own.chain(of_project), labels);
    // Who no longer wants to hear it, or cannot be reached that way any more, is not told.
    attending.pending.retain(|Pending { due, .. }| {
        let is_wanted = destinations.get(&due.trigger).is_some_and(|all| all.contains(&due.destination));
        let stays = is_wanted && config.has_service(&due.destination.service);
        if !stays {
            complain(kept.drop(&due.key));
        }
        stays
    });
    if destinations.is_empty() {
        return;
    }
    let commits = if config.asks_for_commits() { commits(daemon, application).await } else { Vec::new() };
    let app = serde_json::to_value(application).unwrap_or_default();
    let scene = Arc::new(Scene { app, project: project.clone(), commits, now: now() });
    let (names, now) = (config.names(&scene), scene.now);
    let looked = due::look(config, &destinations, &names, &mut attending.notified, now);
    attending.is_owed |= looked.forgot;
    for mistake in looked.mistakes {
        tell(daemon, mistake).await;
    }
    for pending in &mut attending.pending {
        pending.is_over = looked.over.contains(&pending.due.key);
    }
    for due in looked.due {
        let pending = attending.pending.iter().position(|pending| pending.due.key == due.key);
        if pending.is_some_and(|index| Arc::ptr_eq(&attending.pending[index].config, config)) {
            continue;
        }
        match due::delivery(config, &due, &names, now) {
            // What kept it from being taken may be what was changed.
            Ok(delivery) => match pending {
                Some(index) => {
                    let since = attending.pending[index].since;
                    attending.pending[index] = Pending::new(due, delivery, config, &scene, since);
                }
                None => attending.pending.push(Pending::new(due, delivery, config, &scene, now)),
            },
            Err(mistake) => tell(daemon, mistake).await,
        }
    }
    if is_first {
        let is_wanted = |waiting: &Waiting| {
            destinations.get(&waiting.due.trigger).is_some_and(|all| all.contains(&waiting.due.destination))
        };
        for waiting in kept.waiting() {
            if is_wanted(&waiting) && !attending.notified.has(&waiting.due.key) {
                take_up(daemon, config, waiting, attending, &looked.over).await;
            } else {
                complain(kept.drop(&waiting.due.key));
            }
        }
    }
}

/// Goes on with a message of the daemon's last life.
async fn take_up(
    daemon: &Daemon,
    config: &Arc<Configuration>,
    waiting: Waiting,
    attending: &mut Attending,
    over: &BTreeSet<String>,
) {
    let Waiting { due, app, project, since } = waiting;
    let since = Timestamp::from_second(since).unwrap_or_else(|_| now());
    if let Some(pending) = attending.pending.iter_mut().find(|pending| pending.due.key == due.key) {
        pending.since = since;
        return;
    }
    let commits = match crate::api::decode::<Application>(&app) {
        Ok(application) if config.asks_for_commits() => commits(daemon, &application).await,
        _ => Vec::new(),
    };
    let scene = Arc::new(Scene { app, project, commits, now: now() });
    match due::delivery(config, &due, &config.names(&scene), scene.now) {
        Ok(delivery) => {
            let is_over = over.contains(&due.key);
            attending.pending.push(Pending { is_over, ..Pending::new(due, delivery, config, &scene, since) });
        }
        Err(mistake) => tell(daemon, mistake).await,
    }
}

/// What cannot be kept is tried all the same, as long as the daemon lives.
fn complain(kept: std::io::Result<()>) {
    if let Err(error) = kept {
        warn!(%error, "Message that waits not kept");
    }
}

/// The commits that an application was synced to, or would be.
async fn commits(daemon: &Daemon, application: &Application) -> Vec<Commit> {
    let mut commits = Vec::new();
    let status = application.status.as_ref();
    let synced = status.map(|status| status.sync.revision.clone());
    let result = status.and_then(|status| status.operation_state.as_ref()?.sync_result.as_ref());
    let revisions = [synced, result.map(|result| result.revision.clone())];
    for source in application.spec.sources() {
        let Ok(url) = RepoUrl::parse(&source.repo_url) else { continue };
        commits.extend(daemon.repositories.known_commit(&url, source.revision()));
        for revision in revisions.iter().flatten() {
            if commits.iter().any(|commit| commit.id.to_string() == *revision) {
                continue;
            }
            let (mirror, revision) = (daemon.repositories.mirrors().mirror(&url), revision.clone());
            let found = daemon.renders.run(move || mirror.snapshot_at(revision.parse().ok()?).ok()).await;
            commits.extend(found.map(|snapshot| snapshot.commit().clone()));
        }
    }
    commits
}

/// Sends what is to be sent by now, and notes each message as soon as it was taken.
async fn work_off(daemon: &Daemon, name: &str, attending: &mut Attending) {
    let kept = Kept::of(&daemon.options.data_dir, name);
    let mut index = 0;
    while index < attending.pending.len() {
        let pending = &mut attending.pending[index];
        if pending.next > Instant::now() {
            index += 1;
            continue;
        }
        let Due { trigger, destination, .. } = &pending.due;
        let answer = match daemon.alerts.slots.acquire().await {
            Ok(_slot) => send::send(daemon, &pending.delivery).await,
            Err(_) => Err("the daemon ends".to_owned()),
        };
        match answer {
            Ok(()) => {
                info!(application = name, trigger, service = destination.service, "Notification sent");
                let pending = attending.pending.remove(index);
                if !pending.is_over {
                    attending.notified.tell(&pending.due.key, now().as_second());
                    attending.is_owed = true;
                    note(daemon, name, attending).await;
                }
                complain(kept.drop(&pending.due.key));
            }
            Err(why) => {
                let why = daemon.alerts.config().map_or_else(String::new, |config| config.redact(&why));
                warn!(application = name, trigger, service = destination.service, why, "Notification not taken");
                pending.next = Instant::now() + pending.pause;
                pending.pause = (2 * pending.pause).min(LONGEST);
                if now().duration_since(pending.since) > PATIENCE {
                    warn!(application = name, trigger, service = destination.service, "Notification given up");
                    let pending = attending.pending.remove(index);
                    complain(kept.drop(&pending.due.key));
                    continue;
                }
                let Scene { app, project, .. } = &*pending.scene;
                let (due, since) = (pending.due.clone(), pending.since.as_second());
                complain(kept.keep(&Waiting { due, app: app.clone(), project: project.clone(), since }));
                index += 1;
            }
        }
    }
    if attending.is_owed {
        note(daemon, name, attending).await;
    }
}

/// Writes what was told to the Application. What cannot be written now is written later.
async fn note(daemon: &Daemon, name: &str, attending: &mut Attending) {
    let Some(application) = daemon.written.application(name) else {
        attending.is_owed = false;
        return;
    };
    let text = attending.notified.write();
    if attending.noted.as_ref().is_some_and(|(noted, _)| *noted == text) {
        attending.is_owed = false;
        return;
    }
    let patch = json!({"metadata": {"annotations": {ANNOTATION: text}}});
    match daemon.cluster.merge_patch(&application_key(&application), VERSION, Part::Whole, &patch).await {
        Ok(applied) => {
            let newest = applied.body.as_ref().and_then(|body| crate::api::decode::<Application>(body).ok());
            attending.noted = Some((text, newest.as_ref().map_or(0, version)));
            attending.is_owed = false;
            if let Some(mut newest) = newest {
                newest.metadata.managed_fields = None;
                daemon.written.wrote_application(newest);
            }
        }
        Err(Error::NotFound(_)) => attending.is_owed = false,
        Err(error) => warn!(application = name, %error, "What was told is not noted yet"),
    }
}

impl Attending {
    /// Takes over what somebody else has noted: Argo CD, or a person who wants to hear it again.
    fn heed(&mut self, application: &Application) {
        let found = application.annotation(ANNOTATION).map(str::to_owned);
        let version = version(application);
        let is_news = match &self.noted {
            None => true,
            Some((noted, written)) => version > *written && *noted != found && !self.is_owed,
        };
        if is_news {
            self.notified = Notified::read(found.as_deref());
            self.noted = Some((found, version));
        }
    }
}

fn version(application: &Application) -> u64 {
    application.metadata.resource_version.as_ref().and_then(|version| version.parse().ok()).unwrap_or(0)
}
