//! Tells people what [`crate::alert`] finds to be told of applications, and notes on each what was told.
//!
//! **In:** `argocd-notifications-cm` and `argocd-notifications-secret`, every state in which an Application is seen.
//! **Out:** messages; the annotation that says what was told. **May not:** hold up a sync, or skip a state that lay
//! between two others.
//!
//! Each message is noted as soon as it was taken, before the next one is sent: a daemon that dies in between sends that one
//! again, and no other. What is not taken is tried again for a day, also after a restart ([`kept`]).

mod attend;
mod kept;
mod send;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use smol_str::SmolStr;
use tokio::sync::{Notify, Semaphore};
use tracing::{info, warn};

use self::attend::Attending;
use super::Daemon;
use super::look::now;
use super::watching::{self, SecretData};
use super::written::Written;
use crate::alert::config::{CONFIG_MAP, Configuration, Mistake, SECRET};
use crate::api::argo::Application;
use crate::live::watch::{Collection, Item};
use crate::object::GroupKind;
use crate::object::event::{About, Event, Severity};
use crate::object::secret::Masked;

/// How many messages are under way at once.
const AT_ONCE: usize = 8;
/// How often conditions that ask for the time are looked at.
const TICK: Duration = Duration::from_secs(30);
/// States of one application that wait to be looked at; of more the oldest are skipped.
const BACKLOG: usize = 64;

/// Who is told of applications, and what they were told.
pub struct Alerts {
    state: Mutex<State>,
    news: Notify,
    slots: Semaphore,
}

#[derive(Default)]
struct State {
    /// Absent until both lists are there: nobody knows yet who wants to hear what.
    config: Option<Arc<Configuration>>,
    config_map: Option<Metadata>,
    applications: BTreeMap<SmolStr, Known>,
    /// What was told of the configuration itself: once is enough.
    told: BTreeSet<Mistake>,
}

#[derive(Default)]
struct Known {
    states: VecDeque<Arc<Application>>,
    last_seen: Option<Arc<Application>>,
    attending: Option<Attending>,
    is_attended: bool,
    /// Wakes who attends to it.
    news: Arc<Notify>,
}

impl Default for Alerts {
    fn default() -> Self {
        Alerts { state: Mutex::default(), news: Notify::new(), slots: Semaphore::new(AT_ONCE) }
    }
}

/// The ConfigMap, as far as it concerns us.
#[derive(Deserialize)]
struct ConfigMap {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    data: BTreeMap<String, String>,
}

#[derive(Clone, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    uid: String,
}

impl Alerts {
    /// An Application has come to be what it is now.
    pub(super) fn see(&self, written: &Written, name: &str) {
        self.take_in(written, name, Again::No);
    }

    /// Something else has changed that decides who is told.
    pub(super) fn look_again(&self, written: &Written, name: &str) {
        self.take_in(written, name, Again::Yes);
    }

    fn take_in(&self, written: &Written, name: &str, again: Again) {
        let mut state = self.state.lock();
        // Without a service nobody is told anything; what is true then is found when there is one.
        let has_services = state.config.as_ref().is_some_and(|config| config.has_services());
        if !has_services && !state.applications.contains_key(name) {
            return;
        }
        let Some(application) = written.application(name) else { return };
        let known = state.applications.entry(name.into()).or_default();
        let is_known = known.last_seen.as_ref().is_some_and(|last| Arc::ptr_eq(last, &application));
        if is_known && again == Again::No {
            return;
        }
        known.last_seen = Some(application.clone());
        known.states.push_back(application);
        if known.states.len() > BACKLOG {
            known.states.pop_front();
        }
        known.news.notify_one();
        drop(state);
        self.news.notify_one();
    }

    /// An Application is gone: what is to be told of it still is.
    pub(super) fn forget(&self, name: &str) {
        let mut state = self.state.lock();
        if state.applications.get(name).is_some_and(|known| !known.is_attended && known.states.is_empty()) {
            state.applications.remove(name);
        }
    }

    fn config(&self) -> Option<Arc<Configuration>> {
        self.state.lock().config.clone()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Again {
    Yes,
    No,
}

/// Follows the configuration and hands out applications, until it is dropped.
pub(super) async fn work(daemon: Arc<Daemon>) {
    let kind = GroupKind::new("", "ConfigMap");
    let configs: Collection<ConfigMap> = watching::watch(&daemon, kind, "v1", None, Some(CONFIG_MAP));
    let secrets: Collection<SecretData> = watching::watch(&daemon, watching::secret(), "v1", None, Some(SECRET));
    while let Err(reason) = configs.complete(Duration::from_secs(60)).await {
        warn!(reason, "Waiting for the configuration of notifications");
    }
    while let Err(reason) = secrets.complete(Duration::from_secs(60)).await {
        warn!(reason, "Waiting for the secrets of notifications");
    }
    kept::tidy(&daemon.options.data_dir, |name| daemon.written.application(name).is_some());
    configure(&daemon, &configs, &secrets).await;
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = configs.changed() => configure(&daemon, &configs, &secrets).await,
            _ = secrets.changed() => configure(&daemon, &configs, &secrets).await,
            () = daemon.alerts.news.notified() => attend::start(&daemon),
            _ = tick.tick() => {
                if daemon.alerts.config().is_some_and(|config| config.has_services() && config.asks_for_time()) {
                    look_at_all(&daemon);
                }
            }
        }
    }
}

/// Takes in the configuration as it is now; everything is looked at with it.
async fn configure(daemon: &Arc<Daemon>, configs: &Collection<ConfigMap>, secrets: &Collection<SecretData>) {
    let mut data = BTreeMap::new();
    let mut metadata = None;
    for (key, item) in configs.all() {
        match item {
            Item::Decoded(map) => {
                data = map.data.clone();
                metadata = Some(map.metadata.clone());
            }
            Item::Undecodable { error } => warn!(config_map = %key, %error, "Configuration of notifications not read"),
        }
    }
    let mut hidden = BTreeMap::new();
    for (key, item) in secrets.all() {
        match item {
            Item::Decoded(secret) => {
                let values = secret.decoded().into_iter().map(|(name, value)| (name, Masked::new(value)));
                hidden.extend(values);
            }
            Item::Undecodable { .. } => warn!(secret = %key, "Secret of notifications not read"),
        }
    }
    let (config, mistakes) = Configuration::read(&data, &hidden);
    let has_services = config.has_services();
    {
        let mut state = daemon.alerts.state.lock();
        state.config = Some(Arc::new(config));
        state.config_map = metadata;
        // What is repaired and broken again is told again.
        state.told.retain(|mistake| mistakes.contains(mistake));
    }
    for mistake in mistakes {
        tell(daemon, mistake).await;
    }
    if has_services {
        info!("Notifications configured");
    }
    look_at_all(daemon);
}

fn look_at_all(daemon: &Daemon) {
    for application in daemon.written.applications() {
        daemon.alerts.look_again(&daemon.written, application.name());
    }
}

/// Tells once that a key of the configuration makes no sense: in the log, and as an Event on the ConfigMap.
async fn tell(daemon: &Daemon, mistake: Mistake) {
    let uid = {
        let mut state = daemon.alerts.state.lock();
        if !state.told.insert(mistake.clone()) {
            return;
        }
        state.config_map.as_ref().map(|metadata| metadata.uid.clone())
    };
    warn!(key = mistake.key, why = mistake.message, "Notifications are not as they were meant");
    let Some(uid) = uid else { return };
    let namespace = &daemon.options.namespace;
    let about = About { api_version: "v1", kind: "ConfigMap", name: CONFIG_MAP, namespace, uid: &uid };
    let message = mistake.to_string();
    let event =
        Event { about, reason: "InvalidNotifications", action: None, severity: Severity::Warning, message: &message };
    if let Err(error) = daemon.cluster.create(&event.at(now())).await {
        warn!(%error, "Event not written");
    }
}
