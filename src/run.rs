//! The daemon: from what users wrote to clusters that hold it, for as long as it runs.
//!
//! **In:** [`Options`]. **Out:** an end by a signal, or the reason why it can't go on. **May not:** decide about
//! manifests or objects: it wires the rooms above together and owns every task.
//!
//! Read [`queue`] (what is looked at next), [`reconcile`] (one application), [`look`] and [`operate`] (its two
//! halves), then [`watching`] and [`repositories`], which fill the queue.

pub mod alerts;
mod aws;
pub mod canaries;
pub mod claims;
pub mod data;
pub mod deletion;
pub mod destinations;
pub mod environment;
pub mod images;
pub mod lease;
pub mod look;
mod mail;
pub mod memory;
pub mod operate;
pub mod previews;
pub mod promotions;
pub mod queue;
pub mod reconcile;
pub mod remotes;
mod rendered;
pub mod repositories;
pub mod stamped;
pub mod watching;
pub mod web;
pub mod written;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use smol_str::SmolStr;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use self::alerts::Alerts;
use self::canaries::Canaries;
use self::claims::Claims;
use self::data::DataDir;
use self::destinations::{Connected, Destinations, Target};
use self::images::Images;
use self::lease::Seat;
use self::memory::{Memory, Reads, Trial};
use self::previews::Previews;
use self::promotions::Promotions;
use self::queue::{Priority, Queue};
use self::repositories::Repositories;
use self::watching::Hinted;
use self::web::Web;
use self::written::Written;
use crate::api::argo::{Application, SyncStatus};
use crate::api::leeboard::Environment;
use crate::git::{LocalRepositories, Mirrors};
use crate::health::Health;
use crate::kustomize::Bases;
use crate::live::client::{self, Cluster, Part};
use crate::object::event::{About, Event};
use crate::object::tracking::{self, Tracking};
use crate::object::{ObjectKey, annotation};
use crate::server::pages::{BaseUrl, Pages};
use crate::server::{self, Readiness};
use crate::sync::event::Reason;
use crate::telemetry::Metrics;

/// How the daemon is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where Applications, AppProjects, Environments and repository Secrets are.
    pub namespace: String,
    /// For caches: deleting it costs a fetch.
    pub data_dir: PathBuf,
    /// Where webhooks, probes and metrics are served.
    pub listen: SocketAddr,
    /// A kubeconfig file; `None`: as kubectl finds it, else the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// One of its contexts; `None`: the current one.
    pub context: Option<String>,
    /// Whether repositories on this machine's disk may be named.
    pub local_repositories: LocalRepositories,
    /// Where people reach this daemon; `None`: no links lead here.
    pub url: Option<BaseUrl>,
    /// Act on canaries although a Flagger runs: it is about to go.
    pub adopt: bool,
}

/// Why the daemon can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can't be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// As it was given.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The cluster can't be found.
    #[error("cannot connect to the cluster")]
    Connect(#[source] client::Error),
    /// The data directory can't be used.
    #[error("cannot use the data directory {}", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another daemon has taken a lease.
    #[error("lost the lease: {0} has it now")]
    LeaseLost(String),
}

/// Applications that are worked on at once; those that only wait do not count.
const SLOTS: usize = 24;
/// How long syncs under way may take to reach a safe point at shutdown: all of it has to fit into five seconds.
const GRACE: Duration = Duration::from_millis(2500);
/// How long giving the lease away may take: without an API server it just expires.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long all other tasks may take to end.
const TIDY_UP: Duration = Duration::from_secs(1);

/// All that the daemon's tasks share.
pub struct Daemon {
    /// How it was started.
    pub options: Options,
    /// The cluster that holds what users wrote; also the destination `in-cluster`.
    pub cluster: Cluster,
    /// Where Applications may go.
    pub destinations: Destinations,
    /// What users wrote.
    pub written: Written,
    /// The repositories in use.
    pub repositories: Repositories,
    /// What to look at next.
    pub queue: Queue,
    /// Environments to look at next.
    pub environments: Queue,
    /// All that is counted.
    pub metrics: Arc<Metrics>,
    /// Which application wants which object.
    pub claims: Claims,
    /// Renders run here.
    pub renders: RenderPool,
    /// What their bases gave, where several applications or commits use them.
    pub bases: Arc<Bases>,
    /// The key of plans' hashes, and under which name it leads.
    pub data_dir: DataDir,
    /// What is known of canaries.
    pub canaries: Canaries,
    /// Who is told of applications, and what they were told.
    pub alerts: Alerts,
    /// Which images follow their registries.
    pub images: Images,
    /// The pull requests that are looked at.
    pub previews: Previews,
    /// What is carried from environment to environment.
    pub promotions: Promotions,
    /// What people can read of them.
    pub pages: Arc<Pages>,
    /// Speaks to hooks, metric providers and whom alerts go to.
    pub web: Web,
    /// Cancelled at shutdown.
    pub shutdown: CancellationToken,
    tasks: TaskTracker,
    memories: Mutex<HashMap<SmolStr, Memory>>,
    /// The application behind each `part-of` label.
    parts: RwLock<HashMap<SmolStr, SmolStr>>,
}

/// How the work has come to its end.
enum Stopped {
    /// Nothing is being written any more.
    Wholly,
    /// Something may still be.
    InTheMiddle,
}

/// A bounded pool for renders: they are CPU work, and as many at once as there are cores is best.
pub struct RenderPool(Arc<Semaphore>);

impl RenderPool {
    fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        RenderPool(Arc::new(Semaphore::new(cores)))
    }

    /// Runs a piece of CPU work away from the reactor.
    ///
    /// # Panics
    /// When the work does.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let _permit = self.0.acquire().await;
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Runs until a signal ends it.
///
/// # Errors
/// When it can't start, or must not go on.
pub async fn run(options: Options) -> Result<(), Error> {
    let shutdown = CancellationToken::new();
    let tasks = TaskTracker::new();
    let metrics = Arc::new(Metrics::default());
    let readiness = Arc::new(Readiness::default());
    let data = |source| Error::Data { path: options.data_dir.clone(), source };
    let data_dir = DataDir::open(&options.data_dir).map_err(data)?;

    let listen = |source| Error::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(listen)?;
    // A hint is only a word that something moved: more than these at once say no more than these.
    let (hints, pushes) = mpsc::channel(256);
    let (pulls, pulled) = mpsc::channel(256);
    let secrets = Arc::new(RwLock::default());
    let pages = Arc::new(Pages::default());
    let state = server::State {
        metrics: metrics.clone(),
        readiness: readiness.clone(),
        secrets: secrets.clone(),
        hints,
        pulls: Some(pulls),
        pages: Arc::clone(&pages),
    };
    tasks.spawn(server::serve(listener, state, shutdown.clone()));
    tasks.spawn(signals(shutdown.clone()));

    let connection = client::Options { kubeconfig: options.kubeconfig.clone(), context: options.context.clone() };
    let cluster = Cluster::connect(connection).await.map_err(Error::Connect)?;
    cluster.count_in(Arc::clone(&metrics));
    let queue = Queue::default();
    let mirrors = Mirrors::new(options.data_dir.clone(), options.local_repositories);
    let claims = Claims::default();
    let repositories =
        Repositories::new(mirrors, queue.clone(), claims.clone(), metrics.clone(), tasks.clone(), shutdown.clone());
    let (destinations, connected) = Destinations::new(cluster.clone(), Arc::clone(&metrics));
    let daemon = Arc::new(Daemon {
        cluster,
        destinations,
        written: Written::default(),
        repositories,
        queue,
        environments: Queue::default(),
        metrics,
        claims,
        renders: RenderPool::new(),
        bases: Arc::default(),
        data_dir,
        canaries: Canaries::default(),
        alerts: Alerts::default(),
        images: Images::default(),
        previews: Previews::default(),
        promotions: Promotions::default(),
        pages,
        web: Web::default(),
        shutdown: shutdown.clone(),
        tasks: tasks.clone(),
        memories: Mutex::default(),
        parts: RwLock::default(),
        options,
    });
    let observed = Arc::downgrade(&daemon);
    daemon.metrics.observe_with(move |metrics| {
        if let Some(daemon) = observed.upgrade() {
            daemon.observe(metrics);
        }
    });
    let hinted = Hinted { pushes, pulls: pulled };
    let ended = daemon.lead(&readiness, secrets, hinted, connected).await;
    shutdown.cancel();
    // Another daemon leads: whatever is still under way here must not be waited for.
    ended?;
    tasks.close();
    let tidy_up = async { tokio::join!(tasks.wait(), daemon.destinations.shutdown()) };
    if tokio::time::timeout(TIDY_UP, tidy_up).await.is_err() {
        warn!("Some work did not end in time; it is found again at the next start");
    }
    info!("Stopped");
    Ok(())
}

impl Daemon {
    /// Waits for the lease, then works until shutdown or until the lease is lost.
    async fn lead(
        self: &Arc<Self>,
        readiness: &Arc<Readiness>,
        secrets: Arc<RwLock<server::Secrets>>,
        hints: Hinted,
        connected: mpsc::UnboundedReceiver<Connected>,
    ) -> Result<(), Error> {
        let (lost, mut is_lost) = mpsc::channel(1);
        readiness.waits_for("the lease");
        if !lease::acquire(self, Seat::Namespace, lost.clone()).await {
            return Ok(());
        }
        readiness.waits_for("the first lists of what users wrote");
        watching::start(self, readiness, secrets, hints, connected, lost).await;
        if !self.shutdown.is_cancelled() {
            readiness.ready();
            info!(applications = self.written.applications().len(), "Ready");
        }
        let stopped = tokio::select! {
            stopped = self.work() => stopped,
            Some(holder) = is_lost.recv() => return Err(Error::LeaseLost(holder)),
        };
        match stopped {
            Stopped::Wholly => {
                let release = async {
                    tokio::join!(lease::release(self, Seat::Namespace), lease::release(self, Seat::Canaries));
                };
                if tokio::time::timeout(FAREWELL, release).await.is_err() {
                    warn!("Leases not given away; they expire");
                }
            }
            // Who still writes must not let another begin.
            Stopped::InTheMiddle => warn!("A sync did not reach a safe point in time; it goes on at the next start"),
        }
        Ok(())
    }

    /// Hands out jobs until shutdown.
    async fn work(self: &Arc<Self>) -> Stopped {
        let slots = Arc::new(Semaphore::new(SLOTS));
        let running = TaskTracker::new();
        loop {
            let job = tokio::select! {
                () = self.shutdown.cancelled() => break,
                job = self.queue.pop(&slots) => job,
            };
            let daemon = self.clone();
            let task = running.spawn(async move {
                let key = job.key.clone();
                reconcile::reconcile(&daemon, &job).await;
                debug!(application = %key, "Looked at");
            });
            // A panic in one application's work must not end the others': the runtime has caught it, this tells it.
            self.tasks.spawn(async move {
                if let Err(error) = task.await
                    && error.is_panic()
                {
                    error!(%error, "Internal error in one application's work");
                }
            });
        }
        running.close();
        match tokio::time::timeout(GRACE, running.wait()).await {
            Ok(()) => Stopped::Wholly,
            Err(_) => Stopped::InTheMiddle,
        }
    }

    /// What a scrape asks for that is a state, or is counted elsewhere.
    fn observe(&self, metrics: &Metrics) {
        for (priority, depth) in self.queue.depths() {
            metrics.queued(priority.as_str(), depth);
        }
        let applications = self.written.applications();
        metrics.applications(applications.iter().map(|application| {
            let status = application.status.as_ref();
            let health = status.and_then(|status| status.health.status.as_deref()).and_then(Health::parse);
            let sync = status.map_or(SyncStatus::Unknown, |status| status.sync.status);
            (sync.as_str(), health.unwrap_or(Health::Unknown).as_str())
        }));
    }

    /// The cluster that an application's objects are on; `groups` are their API groups.
    ///
    /// Applications and projects of a cluster directory are the control plane's, whichever cluster they lead to.
    ///
    /// # Errors
    /// A sentence when there is no such cluster, or no one cluster.
    pub fn target<'a>(
        &self,
        application: &Application,
        groups: impl IntoIterator<Item = &'a str>,
    ) -> Result<Target, destinations::Error> {
        let target = self.destinations.target(&application.spec.destination)?;
        let is_elsewhere = target.cluster.server() != self.cluster.server();
        if application.annotation(annotation::ENVIRONMENT).is_none() || !is_elsewhere {
            return Ok(target);
        }
        let is_ours = |group: &&str| matches!(*group, crate::api::ARGO_GROUP | crate::api::LEEBOARD_GROUP);
        let (ours, others): (Vec<&str>, Vec<&str>) = groups.into_iter().partition(is_ours);
        match (ours.is_empty(), others.is_empty()) {
            (true, _) => Ok(target),
            (false, true) => Ok(self.destinations.own().clone()),
            (false, false) => Err(destinations::Error::Mixed),
        }
    }

    /// The Environment whose cluster directory an application comes from, through however many applications.
    fn environment_above(&self, application: &Application) -> Option<Arc<Environment>> {
        /// A chain that is longer leads in a circle.
        const DEPTH: usize = 16;
        let mut parent: Option<Arc<Application>> = None;
        for _ in 0..DEPTH {
            let application = parent.as_deref().unwrap_or(application);
            if let Some(name) = application.annotation(annotation::ENVIRONMENT) {
                return self.written.environment(name);
            }
            let tracking = Tracking::parse(application.annotation(annotation::TRACKING_ID)?)?;
            parent = Some(self.written.application(&tracking.application)?);
        }
        None
    }

    /// How often an application's repositories are asked when nobody notifies.
    pub fn interval(&self, application: &Application) -> Duration {
        application
            .annotation(annotation::ENVIRONMENT)
            .and_then(|name| self.written.environment(name))
            .map_or(Duration::from_secs(60), |environment| environment.spec.interval())
    }

    /// The commits that an application's sources mean now, as far as the last refresh knows.
    pub async fn revisions_now(&self, application: &Application) -> Option<Vec<String>> {
        let mut revisions = Vec::new();
        for source in application.spec.sources() {
            let url = crate::git::RepoUrl::parse(&source.repo_url).ok()?;
            let commit = self.repositories.commit(&url, source.revision()).await.ok()?;
            revisions.push(commit.id.to_string());
        }
        Some(revisions)
    }

    /// Lends what is remembered of an application to its one job.
    fn take_memory(&self, application: &Application) -> Memory {
        let part_of = tracking::part_of(application.name(), application.namespace());
        self.parts.write().insert(part_of, application.name().into());
        let known = self.memories.lock().remove(application.name());
        known.unwrap_or_else(|| Memory::of(application))
    }

    /// What is known of an application, for looks of which nothing follows.
    fn memory_of(&self, application: &Application, trial: Trial) -> Memory {
        match self.memories.lock().get(application.name()) {
            Some(memory) => memory.for_trial(trial),
            // It is being worked on, or was never looked at.
            None => Memory::of(application).for_trial(trial),
        }
    }

    /// What an application's renders have read, as far as that is known.
    fn reads_of(&self, application: &Application) -> Reads {
        self.memories.lock().get(application.name()).map(Memory::reads).unwrap_or_default()
    }

    fn put_memory(&self, name: &str, memory: Memory) {
        self.memories.lock().insert(name.into(), memory);
    }

    /// An application is gone.
    fn forget(&self, name: &str) {
        self.memories.lock().remove(name);
        self.repositories.forget(name);
        self.claims.forget(name);
        self.previews.forget(name);
        self.alerts.forget(name);
        self.parts.write().retain(|_, application| application != name);
    }

    /// The application whose `part-of` label this is.
    fn application_of(&self, part_of: &str) -> Option<SmolStr> {
        self.parts.read().get(part_of).cloned()
    }

    /// Writes a patch of ours to an Application and remembers the answer. False when it is not written: then the
    /// application is looked at again soon.
    async fn patch_application(&self, application: &Application, patch: &Value) -> bool {
        let key = application_key(application);
        match self.cluster.merge_patch(&key, crate::api::VERSION, Part::Whole, patch).await {
            Ok(applied) => {
                let newest = applied.body.as_ref().and_then(|body| crate::api::decode::<Application>(body).ok());
                if let Some(mut newest) = newest {
                    // They are most of an Application, and nobody reads them.
                    newest.metadata.managed_fields = None;
                    self.written.wrote_application(newest);
                    self.alerts.see(&self.written, application.name());
                }
                true
            }
            Err(client::Error::NotFound(_)) => false,
            Err(error) => {
                let words = error.message().unwrap_or_default();
                warn!(application = application.name(), %error, words, "Status not written");
                self.queue.push_after(application.name(), Priority::Timer, Duration::from_secs(5));
                false
            }
        }
    }

    /// Tells the users of an application something, as a Kubernetes Event; in the background.
    async fn event(&self, application: &Application, reason: Reason, message: &str) {
        let about = About {
            api_version: &application.api_version,
            kind: &application.kind,
            name: application.name(),
            namespace: application.namespace(),
            uid: application.metadata.uid.as_deref().unwrap_or_default(),
        };
        let event = Event { about, reason: reason.as_str(), action: None, severity: reason.severity(), message };
        let event = event.at(Timestamp::now());
        let cluster = self.cluster.clone();
        self.tasks.spawn(async move {
            if let Err(error) = cluster.create(&event).await {
                debug!(%error, "Event not written");
            }
        });
    }
}

/// The key of an Application object.
pub(crate) fn application_key(application: &Application) -> ObjectKey {
    ObjectKey {
        group: crate::api::ARGO_GROUP.into(),
        kind: "Application".into(),
        namespace: Some(application.namespace().into()),
        name: application.name().into(),
    }
}

/// Turns the first signal into a shutdown.
async fn signals(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return;
    };
    tokio::select! {
        _ = term.recv() => info!("Stopping"),
        _ = int.recv() => info!("Stopping"),
        () = shutdown.cancelled() => {}
    }
    shutdown.cancel();
}
