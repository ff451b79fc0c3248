//! The way to one cluster: what is asked of its API server, how long that may take, what its answers mean.
//!
//! **In:** a kubeconfig or the pod's service account; objects. **Out:** [`Cluster`], a cheap handle; [`Error`] by what to
//! do about it. **May not:** decide what is applied, or show what the API server repeats of an object.
//!
//! Each call is one request, tried again by [`pace`](super::pace) where waiting can help; dropping the call's future
//! cancels it. Read [`request`] for what it goes through, [`stack`] for the HTTP under it.

mod count;
mod error;
mod kinds;
mod path;
mod read;
mod request;
mod stack;
mod write;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use kube::config::{KubeConfigOptions, Kubeconfig};
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::count::{RequestCounts, Verb};
pub use self::error::{Answer, Cause, Error};
pub(super) use self::path::{api_version, list_path, with_query};
pub use self::read::ListOptions;
pub(super) use self::read::Shape;
pub(super) use self::request::Call;
pub use self::write::{Applied, ApplyOptions, DeleteOptions, Deleted, Part, Propagation};

use super::discovery::Discovery;
use super::pace::Pace;
use super::record::Reader;
use crate::telemetry::Metrics;

/// The name under which Leeboard owns fields.
pub const FIELD_MANAGER: &str = "leeboard";

/// How long a request is tried again while the API server is away or busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the cluster is.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A kubeconfig file; `None`: as kubectl finds it, or else the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// One of its contexts; `None`: the current one.
    pub context: Option<String>,
}

/// One cluster. Clones share connections, discovery and pace.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
    impersonated: Arc<[(HeaderName, HeaderValue)]>,
    patience: Duration,
}

struct Shared {
    requests: kube::Client,
    watches: stack::Watches,
    pace: Pace,
    counts: RequestCounts,
    metrics: OnceLock<Arc<Metrics>>,
    reader: Reader,
    server: String,
    namespace: String,
    discovery: RwLock<Option<(Instant, Arc<Discovery>)>>,
    /// One refresh at a time; those who wait for it take its result.
    discovering: tokio::sync::Mutex<()>,
    /// When a definition of kinds has changed, as far as we know.
    kinds_changed: RwLock<Option<Instant>>,
    kinds_notify: Notify,
    /// False once the API server has refused a streaming list.
    streams_lists: AtomicBool,
    /// True while nobody knows whether another daemon leads.
    holds_writes: AtomicBool,
}

impl Cluster {
    /// Reads how to reach a cluster and makes ready for it. No request is made.
    ///
    /// # Errors
    /// When there is no kubeconfig, or it makes no sense.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let Options { kubeconfig, context } = options;
        let choice = KubeConfigOptions { context, ..KubeConfigOptions::default() };
        let mut config = match kubeconfig {
            Some(path) => {
                let kubeconfig = Kubeconfig::read_from(path).map_err(Error::Kubeconfig)?;
                kube::Config::from_custom_kubeconfig(kubeconfig, &choice).await.map_err(Error::Kubeconfig)?
            }
            None => match kube::Config::from_kubeconfig(&choice).await {
                Ok(config) => config,
                Err(_) if choice.context.is_none() && in_pod() => {
                    kube::Config::incluster().map_err(Error::InCluster)?
                }
                Err(error) => return Err(Error::Kubeconfig(error)),
            },
        };
        config.default_retry = false;
        Self::of(config)
    }

    /// The cluster that this configuration leads to.
    ///
    /// # Errors
    /// When its certificates or credentials make no sense.
    pub fn of(config: kube::Config) -> Result<Self, Error> {
        let shared = Shared {
            requests: stack::requests(&config)?,
            pace: Pace::default(),
            counts: RequestCounts::default(),
            metrics: OnceLock::new(),
            reader: Reader { manager: FIELD_MANAGER.into() },
            server: config.cluster_url.to_string().trim_end_matches('/').to_owned(),
            namespace: config.default_namespace.clone(),
            discovery: RwLock::new(None),
            discovering: tokio::sync::Mutex::new(()),
            kinds_changed: RwLock::new(None),
            kinds_notify: Notify::new(),
            streams_lists: AtomicBool::new(true),
            holds_writes: AtomicBool::new(false),
            watches: stack::Watches::new(config),
        };
        Ok(Cluster { shared: Arc::new(shared), impersonated: Arc::new([]), patience: PATIENCE })
    }

    /// The same cluster, asked in the name of another user: RBAC decides what that one may do.
    ///
    /// # Errors
    /// When a name can't stand in an HTTP header.
    pub fn impersonate(&self, user: &str, groups: &[String]) -> Result<Self, Error> {
        let value = |text: &str| HeaderValue::from_str(text).map_err(|error| Error::Transport(error.into()));
        let mut headers = vec![(HeaderName::from_static("impersonate-user"), value(user)?)];
        for group in groups {
            headers.push((HeaderName::from_static("impersonate-group"), value(group)?));
        }
        Ok(Cluster { impersonated: headers.into(), ..self.clone() })
    }

    /// The same cluster, for one who would rather hear soon that it is away.
    pub fn with_patience(&self, patience: Duration) -> Self {
        Cluster { patience, ..self.clone() }
    }

    /// The API server's address.
    pub fn server(&self) -> &str {
        &self.shared.server
    }

    /// The namespace that the kubeconfig's context names, or the pod's own.
    pub fn default_namespace(&self) -> &str {
        &self.shared.namespace
    }

    /// How the API server copes.
    pub fn pace(&self) -> &Pace {
        &self.shared.pace
    }

    /// Counts requests here too, from now on. The first call decides, for all clones.
    pub fn count_in(&self, metrics: Arc<Metrics>) {
        let _ = self.shared.metrics.set(metrics);
    }

    /// How many requests were made.
    pub fn counts(&self) -> &RequestCounts {
        &self.shared.counts
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.shared.reader
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("server", &self.shared.server).finish_non_exhaustive()
    }
}

fn in_pod() -> bool {
    std::path::Path::new("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()
}
