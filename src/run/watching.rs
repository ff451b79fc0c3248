//! What fills the queue: watches on what users wrote, on what we manage, and hints of pushes.
//!
//! **In:** the control plane's watches, the live view's notices, webhooks. **Out:** [`super::written`], credentials,
//! pushes on the queue. **May not:** look at an application itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use parking_lot::RwLock;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::destinations::Connected;
use super::destinations::secret::ClusterSecret;
use super::look::now;
use super::queue::Priority;
use super::written::Change;
use super::{Daemon, alerts, canaries, environment, images, previews, promotions};
use crate::api::argo::{AppProject, Application, Condition, Destination};
use crate::api::leeboard::Environment;
use crate::api::leeboard::promotion::Promotion;
use crate::api::{ARGO_GROUP, LEEBOARD_GROUP, VERSION};
use crate::git::CredentialStore;
use crate::live::client::{ListOptions, Part};
use crate::live::record::KindVersion;
use crate::live::watch::{Changes, Collection, Item, LiveStore, Target, typed};
use crate::object::{GroupKind, ObjectKey};
use crate::server::{PullHint, PushHint, Readiness, Secrets};

/// How long the first lists may take before the daemon says what it waits for.
const FIRST_LISTS: Duration = Duration::from_secs(5);

/// What webhooks hint at.
pub struct Hinted {
    /// Branches that have moved.
    pub pushes: mpsc::Receiver<PushHint>,
    /// Pull requests with something new.
    pub pulls: mpsc::Receiver<PullHint>,
}

/// Starts all watches; returns when the first lists are there, or at shutdown.
pub(super) async fn start(
    daemon: &Arc<Daemon>,
    readiness: &Readiness,
    secrets: Arc<RwLock<Secrets>>,
    hints: Hinted,
    connected: mpsc::UnboundedReceiver<Connected>,
    lost: mpsc::Sender<String>,
) {
    let projects: Collection<Value> = watch(daemon, GroupKind::new(ARGO_GROUP, "AppProject"), VERSION, None, None);
    let environments: Collection<Value> =
        watch(daemon, GroupKind::new(LEEBOARD_GROUP, "Environment"), VERSION, None, None);
    let applications: Collection<Value> = watch(daemon, GroupKind::new(ARGO_GROUP, "Application"), VERSION, None, None);
    let carried: Collection<Value> = watch(daemon, GroupKind::new(LEEBOARD_GROUP, "Promotion"), VERSION, None, None);
    let repositories = "argocd.argoproj.io/secret-type in (repository,repo-creds)";
    let repositories: Collection<SecretData> = watch(daemon, secret(), "v1", Some(repositories), None);
    let clusters = "argocd.argoproj.io/secret-type=cluster";
    let clusters: Collection<SecretData> = watch(daemon, secret(), "v1", Some(clusters), None);
    let forges = format!("{}=forge", previews::LABEL);
    let forges: Collection<SecretData> = watch(daemon, secret(), "v1", Some(&forges), None);
    let registries = format!("{}=registry", previews::LABEL);
    let registries: Collection<SecretData> = watch(daemon, secret(), "v1", Some(&registries), None);
    let webhooks: Collection<SecretData> = watch(daemon, secret(), "v1", None, Some("argocd-secret"));
    let config_map = || GroupKind::new("", "ConfigMap");
    let known_hosts: Collection<ConfigData> =
        watch(daemon, config_map(), "v1", None, Some("argocd-ssh-known-hosts-cm"));
    let certificates: Collection<ConfigData> = watch(daemon, config_map(), "v1", None, Some("argocd-tls-certs-cm"));

    // Credentials and projects come first: an application that is looked at without them would say so in vain.
    first_list(daemon, readiness, &repositories).await;
    first_list(daemon, readiness, &known_hosts).await;
    first_list(daemon, readiness, &certificates).await;
    first_list(daemon, readiness, &webhooks).await;
    first_list(daemon, readiness, &clusters).await;
    first_list(daemon, readiness, &forges).await;
    first_list(daemon, readiness, &registries).await;
    first_list(daemon, readiness, &projects).await;
    first_list(daemon, readiness, &environments).await;
    first_list(daemon, readiness, &applications).await;
    first_list(daemon, readiness, &carried).await;

    *secrets.write() = webhook_secrets(&webhooks);
    let credentials = Credentials { repositories, known_hosts, certificates };
    credentials.take_in(daemon);
    see_clusters(daemon, &clusters, clusters.changed().await);
    see_forges(daemon, &forges);
    see_registries(daemon, &registries);
    see_projects(daemon, &projects, projects.changed().await);
    see_environments(daemon, &environments, environments.changed().await);
    if !carried.all().is_empty() {
        see_promotions(daemon, &carried, carried.changed().await);
    }
    see_applications(daemon, &applications, applications.changed().await);
    watch_managed_kinds(daemon).await;

    let this = daemon.clone();
    spawn(daemon, async move {
        loop {
            see_clusters(&this, &clusters, clusters.changed().await);
        }
    });
    let this = daemon.clone();
    spawn(daemon, async move {
        loop {
            see_projects(&this, &projects, projects.changed().await);
        }
    });
    let this = daemon.clone();
    spawn(daemon, async move {
        loop {
            see_environments(&this, &environments, environments.changed().await);
        }
    });
    let this = daemon.clone();
    spawn(daemon, async move {
        loop {
            see_promotions(&this, &carried, carried.changed().await);
        }
    });
    let this = daemon.clone();
    spawn(daemon, async move {
        loop {
            see_applications(&this, &applications, applications.changed().await);
        }
    });
    let this = daemon.clone();
    spawn(daemon, async move {
        loop {
            tokio::select! {
                _ = credentials.repositories.changed() => {}
                _ = credentials.known_hosts.changed() => {}
                _ = credentials.certificates.changed() => {}
            }
            credentials.take_in(&this);
        }
    });
    let this = daemon.clone();
    spawn(daemon, async move {
        loop {
            forges.changed().await;
            see_forges(&this, &forges);
        }
    });
    let this = daemon.clone();
    spawn(daemon, async move {
        loop {
            registries.changed().await;
            see_registries(&this, &registries);
        }
    });
    spawn(daemon, async move {
        loop {
            webhooks.changed().await;
            *secrets.write() = webhook_secrets(&webhooks);
        }
    });
    spawn(daemon, heed_destinations(daemon.clone(), connected));
    spawn(daemon, heed_pushes(daemon.clone(), hints.pushes));
    spawn(daemon, heed_pulls(daemon.clone(), hints.pulls));
    spawn(daemon, environment::work(daemon.clone()));
    spawn(daemon, canaries::work(daemon.clone(), lost));
    spawn(daemon, previews::work(daemon.clone()));
    spawn(daemon, images::work(daemon.clone()));
    spawn(daemon, promotions::work(daemon.clone()));
    spawn(daemon, alerts::work(daemon.clone()));
}

/// Owns a loop until shutdown.
fn spawn(daemon: &Daemon, work: impl Future<Output = ()> + Send + 'static) {
    let shutdown = daemon.shutdown.clone();
    daemon.tasks.spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    });
}

pub(super) fn secret() -> GroupKind {
    GroupKind::new("", "Secret")
}

pub(super) fn watch<T: DeserializeOwned + Send + Sync + 'static>(
    daemon: &Daemon,
    kind: GroupKind,
    version: &str,
    labels: Option<&str>,
    name: Option<&str>,
) -> Collection<T> {
    let options = ListOptions {
        namespace: Some(daemon.options.namespace.as_str().into()),
        labels: labels.map(str::to_owned),
        fields: name.map(|name| format!("metadata.name={name}")),
    };
    let target = Target { kind: KindVersion::new(kind, version), options };
    let (collection, work) = typed(daemon.cluster.clone(), target, daemon.shutdown.clone());
    daemon.tasks.spawn(work);
    collection
}

/// Waits for a first list, however long it takes, and says meanwhile what is missing.
async fn first_list<T: DeserializeOwned + Send + Sync + 'static>(
    daemon: &Daemon,
    readiness: &Readiness,
    collection: &Collection<T>,
) {
    loop {
        let answer = tokio::select! {
            () = daemon.shutdown.cancelled() => return,
            answer = collection.complete(FIRST_LISTS) => answer,
        };
        match answer {
            Ok(()) => return,
            Err(reason) => {
                warn!(reason, "Waiting for the first list");
                readiness.waits_for(reason);
            }
        }
    }
}

/// Watches the kinds that Applications report, so that a daemon that just started knows what they have.
async fn watch_managed_kinds(daemon: &Daemon) {
    let mut destinations: BTreeMap<String, (LiveStore, BTreeSet<KindVersion>)> = BTreeMap::new();
    for application in daemon.written.applications() {
        let resources = || application.status.iter().flat_map(|status| &status.resources);
        let Ok(target) = daemon.target(&application, resources().map(|resource| &*resource.group)) else { continue };
        let server = target.cluster.server().to_owned();
        let (_, kinds) = destinations.entry(server).or_insert_with(|| (target.store, BTreeSet::new()));
        let known = resources().filter(|resource| !resource.kind.is_empty() && !resource.version.is_empty());
        kinds.extend(
            known.map(|resource| {
                KindVersion::new(GroupKind::new(&*resource.group, &*resource.kind), &*resource.version)
            }),
        );
    }
    let lists = destinations.values().map(|(store, kinds)| async move {
        store.watch(kinds);
        store.settled(kinds, FIRST_LISTS).await;
    });
    futures::future::join_all(lists).await;
}

fn see_applications(daemon: &Daemon, applications: &Collection<Value>, changed: BTreeSet<ObjectKey>) {
    for key in changed {
        let is_environment = daemon.written.environment(&key.name).is_some();
        // The echo of our own patch is not worth reading.
        let is_echo = applications.version(&key).is_some_and(|version| daemon.written.has(&key.name, &version));
        let priority = match applications.get(&key) {
            _ if is_echo => Priority::Drift,
            Some(Item::Decoded(body)) => {
                match crate::api::decode::<Application>(&body) {
                    Ok(application) => {
                        if daemon.written.application(&key.name).is_none() {
                            // Nobody knows what it wants.
                            daemon.claims.moved([&key.name]);
                        }
                        if daemon.written.see_application(application) == Change::Asked {
                            daemon.queue.push(&key.name, Priority::Person);
                        }
                        daemon.alerts.see(&daemon.written, &key.name);
                    }
                    Err(error) => malformed(daemon, &key, Some(&body), &sentence(&error)),
                }
                Priority::Drift
            }
            Some(Item::Undecodable { error }) => {
                malformed(daemon, &key, None, &error);
                Priority::Drift
            }
            None => {
                daemon.written.forget_application(&key.name);
                daemon.queue.push(&key.name, Priority::Person);
                Priority::Person
            }
        };
        if is_environment {
            daemon.environments.push(&key.name, priority);
        }
        let application = daemon.written.application(&key.name);
        if let Some(above) = application.and_then(|application| daemon.environment_above(&application)) {
            daemon.promotions.look_at(above.name());
        }
    }
}

/// An Application that can't be read disturbs no other; its condition says why.
fn malformed(daemon: &Daemon, key: &ObjectKey, body: Option<&Value>, why: &str) {
    warn!(application = %key.name, why, "Application cannot be read");
    daemon.written.malformed_application(&key.name, why.to_owned());
    let conditions = body.and_then(|body| body.pointer("/status/conditions")?.as_array());
    let is_told = conditions.is_some_and(|conditions| conditions.iter().any(|condition| condition["message"] == why));
    if is_told {
        return;
    }
    let condition = Condition {
        kind: Condition::INVALID_SPEC.into(),
        message: why.into(),
        last_transition_time: Some(Time(now())),
    };
    let (cluster, key) = (daemon.cluster.clone(), key.clone());
    daemon.tasks.spawn(async move {
        let patch = json!({"status": {"conditions": [condition]}});
        if let Err(error) = cluster.merge_patch(&key, VERSION, Part::Whole, &patch).await {
            warn!(application = %key.name, %error, "Status not written");
        }
    });
}

fn sentence(error: &crate::api::Malformed) -> String {
    format!("{error}: {}", error.source)
}

fn see_projects(daemon: &Daemon, projects: &Collection<Value>, changed: BTreeSet<ObjectKey>) {
    for key in changed {
        match projects.get(&key) {
            Some(Item::Decoded(body)) => {
                let read = crate::api::decode::<AppProject>(&body).map(Arc::new).map_err(|error| sentence(&error));
                daemon.written.see_project(&key.name, read);
            }
            Some(Item::Undecodable { error }) => daemon.written.see_project(&key.name, Err(error.to_string())),
            None => daemon.written.forget_project(&key.name),
        }
        daemon.images.look_again();
        // Rules have changed: whoever is bound by them is looked at again.
        for application in daemon.written.applications() {
            if application.spec.project() == key.name {
                daemon.queue.push(application.name(), Priority::Person);
                daemon.alerts.look_again(&daemon.written, application.name());
            }
        }
    }
}

fn see_environments(daemon: &Daemon, environments: &Collection<Value>, changed: BTreeSet<ObjectKey>) {
    for key in changed {
        match environments.get(&key) {
            Some(Item::Decoded(body)) => {
                let read = crate::api::decode::<Environment>(&body).map(Arc::new).map_err(|error| sentence(&error));
                if let Err(why) = &read {
                    warn!(environment = %key.name, why, "Environment cannot be read");
                }
                let is_suspended = |environment: Arc<Environment>| environment.spec.suspend;
                let before = daemon.written.environment(&key.name).map(is_suspended);
                let followed = daemon.promoted_from(&key.name);
                daemon.written.see_environment(&key.name, read);
                if followed != daemon.promoted_from(&key.name) {
                    daemon.queue.push(&key.name, Priority::Person);
                }
                // All that comes from its cluster directory begins, or ends, to be left alone.
                if before != daemon.written.environment(&key.name).map(is_suspended) {
                    let concerned = daemon.written.applications().into_iter().filter(|application| {
                        daemon.environment_above(application).is_some_and(|above| above.name() == key.name)
                    });
                    concerned.for_each(|application| daemon.queue.push(application.name(), Priority::Person));
                }
            }
            Some(Item::Undecodable { error }) => daemon.written.see_environment(&key.name, Err(error.to_string())),
            None => daemon.written.forget_environment(&key.name),
        }
        daemon.environments.push(&key.name, Priority::Person);
        daemon.previews.look_again();
        daemon.images.look_again();
        daemon.promotions_of(&key.name);
    }
}

fn see_promotions(daemon: &Daemon, promotions: &Collection<Value>, changed: BTreeSet<ObjectKey>) {
    for key in changed {
        match promotions.get(&key) {
            Some(Item::Decoded(body)) => match crate::api::decode::<Promotion>(&body) {
                Ok(promotion) => {
                    let environment = promotion.spec.environment.clone();
                    if daemon.promotions.see(promotion) {
                        daemon.promotions.look_at(&environment);
                    }
                }
                Err(error) => warn!(promotion = %key.name, why = sentence(&error), "Promotion cannot be read"),
            },
            Some(Item::Undecodable { error }) => warn!(promotion = %key.name, %error, "Promotion cannot be read"),
            None => {
                if let Some(environment) = daemon.promotions.forget(&key.name) {
                    daemon.promotions.look_at(&environment);
                }
            }
        }
    }
}

fn see_forges(daemon: &Daemon, forges: &Collection<SecretData>) {
    let mut secrets = BTreeMap::new();
    for (key, item) in forges.all() {
        match item {
            Item::Decoded(secret) => drop(secrets.insert(key.name.to_string(), secret.decoded())),
            Item::Undecodable { .. } => warn!(secret = %key, "Secret of a forge cannot be read"),
        }
    }
    daemon.previews.forges.take_in(secrets);
    daemon.previews.look_again();
}

fn see_registries(daemon: &Daemon, registries: &Collection<SecretData>) {
    let mut secrets = BTreeMap::new();
    for (key, item) in registries.all() {
        match item {
            Item::Decoded(secret) => drop(secrets.insert(key.name.to_string(), secret.decoded())),
            Item::Undecodable { .. } => warn!(secret = %key, "Secret of a registry cannot be read"),
        }
    }
    daemon.images.take_in(&secrets);
}

fn see_clusters(daemon: &Daemon, clusters: &Collection<SecretData>, changed: BTreeSet<ObjectKey>) {
    let mut news = false;
    for key in changed {
        news |= match clusters.get(&key) {
            Some(Item::Decoded(secret)) => {
                let read = ClusterSecret::read(&secret.decoded(), &secret.metadata.annotations);
                daemon.destinations.see(&key.name, read)
            }
            Some(Item::Undecodable { .. }) => {
                warn!(secret = %key, "Cluster Secret cannot be read");
                false
            }
            None => daemon.destinations.forget(&key.name),
        };
    }
    if !news {
        return;
    }
    // Who goes elsewhere may go somewhere else now, or nowhere.
    for application in daemon.written.applications() {
        if application.spec.destination.name.as_deref() != Some(Destination::IN_CLUSTER_NAME) {
            daemon.queue.push(application.name(), Priority::Person);
        }
    }
}

/// Each destination, for as long as it is known.
async fn heed_destinations(daemon: Arc<Daemon>, mut connected: mpsc::UnboundedReceiver<Connected>) {
    while let Some(Connected { changes, ended }) = connected.recv().await {
        let this = daemon.clone();
        spawn(&daemon, async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = heed_drift(&this, &changes) => {}
            }
        });
    }
}

/// What changed of what we manage: its applications are looked at.
async fn heed_drift(daemon: &Daemon, changes: &Changes) {
    loop {
        let change = changes.next().await;
        for part_of in &change.applications {
            if let Some(application) = daemon.application_of(part_of) {
                daemon.queue.push(&application, Priority::Drift);
            }
        }
    }
}

/// Pushes that webhooks announce.
async fn heed_pushes(daemon: Arc<Daemon>, mut hints: mpsc::Receiver<PushHint>) {
    while let Some(hint) = hints.recv().await {
        if !daemon.repositories.hint(|url| hint.concerns(url)) {
            info!(provider = ?hint.provider, reference = hint.reference, "Push to a repository that nobody uses");
        }
    }
}

async fn heed_pulls(daemon: Arc<Daemon>, mut hints: mpsc::Receiver<PullHint>) {
    while let Some(hint) = hints.recv().await {
        let is_promoted = daemon.promotions_by_pull(|url| hint.concerns(url), hint.number);
        if !daemon.previews.hint(|url| hint.concerns(url), hint.number, hint.comment) && !is_promoted {
            info!(provider = ?hint.provider, pull = hint.number, "Pull request of a repository that nobody previews");
        }
    }
}

/// The `data` of a Secret. Its values have no way into a log: `Debug` is not derived.
#[derive(Deserialize)]
pub(super) struct SecretData {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    data: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ConfigData {
    #[serde(default)]
    data: BTreeMap<String, String>,
}

impl SecretData {
    pub(super) fn decoded(&self) -> BTreeMap<String, Vec<u8>> {
        let decode = |text: &String| base64::engine::general_purpose::STANDARD.decode(text).ok();
        self.data.iter().filter_map(|(key, text)| Some((key.clone(), decode(text)?))).collect()
    }
}

fn webhook_secrets(webhooks: &Collection<SecretData>) -> Secrets {
    let secrets = webhooks.all().into_iter().find_map(|(_, item)| match item {
        Item::Decoded(secret) => Some(Secrets::from_data(&secret.decoded())),
        Item::Undecodable { .. } => None,
    });
    secrets.unwrap_or_default()
}

/// All that opens repositories, as Argo CD keeps it.
struct Credentials {
    repositories: Collection<SecretData>,
    known_hosts: Collection<ConfigData>,
    certificates: Collection<ConfigData>,
}

impl Credentials {
    fn take_in(&self, daemon: &Daemon) {
        let mut store = CredentialStore::new();
        for (key, item) in self.repositories.all() {
            let Item::Decoded(secret) = item else {
                warn!(secret = %key, "Repository Secret cannot be read");
                continue;
            };
            let kind = secret.metadata.labels.get("argocd.argoproj.io/secret-type").map(String::as_str);
            let data = secret.decoded();
            let added = match kind {
                Some("repo-creds") => store.add_template_secret(&data),
                _ => store.add_repository_secret(&data).map(drop),
            };
            if let Err(error) = added {
                warn!(secret = %key, %error, "Repository Secret not used");
            }
        }
        for (_, item) in self.known_hosts.all() {
            if let Item::Decoded(map) = item
                && let Some(text) = map.data.get("ssh_known_hosts")
            {
                store.add_known_hosts(text);
            }
        }
        for (_, item) in self.certificates.all() {
            if let Item::Decoded(map) = item {
                map.data.iter().for_each(|(host, pem)| store.add_certificates(host, pem.as_bytes()));
            }
        }
        daemon.repositories.mirrors().set_credentials(store);
        // Who failed for want of them is asked again.
        daemon.repositories.hint(|_| true);
    }
}
