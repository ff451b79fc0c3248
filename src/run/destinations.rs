//! The clusters that Applications may go to: the one that Leeboard runs in, and those of Argo CD's cluster Secrets.
//!
//! **In:** [`ClusterSecret`]s as they come and go; what an Application writes as its destination. **Out:** a
//! [`Target`], connected when it is first asked for, or a sentence why there is none; drift notices of each.
//! **May not:** show a credential, or decide what is written to a cluster.
//!
//! Objects stay when a cluster's Secret goes: who is forgotten is not cleaned up.

pub mod secret;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use smol_str::SmolStr;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use self::secret::{ClusterSecret, Refusal};
use crate::api::argo::Destination;
use crate::live::client::{self, Cluster};
use crate::live::watch::{Changes, LiveStore};
use crate::telemetry::Metrics;

/// A destination: its API server and what is known of it.
#[derive(Clone)]
pub struct Target {
    /// How requests reach it.
    pub cluster: Cluster,
    /// What it holds of what we manage.
    pub store: LiveStore,
    /// Its server and its name, by both of which a project's rules may call it. Without a namespace.
    pub place: Destination,
    silence: Arc<Silence>,
}

/// What is known of a cluster that has not answered yet.
#[derive(Default)]
struct Silence {
    /// One asks at a time; the others have better things to do.
    asking: tokio::sync::Mutex<()>,
    last: Mutex<Option<(Instant, String)>>,
}

/// How long a cluster that has never answered is asked.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// Of that, how long it is asked again.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long its silence is taken for granted.
const SILENT: Duration = Duration::from_secs(10);

impl Target {
    fn new(cluster: Cluster, place: Destination) -> Self {
        Target { store: LiveStore::new(cluster.clone()), cluster, place, silence: Arc::default() }
    }

    /// Waits until the cluster has answered once, which is then for good. However many Applications go to a cluster
    /// that is away, one of them asks and the others are told: those of other clusters must not wait for it.
    ///
    /// # Errors
    /// With the reason why it does not answer.
    pub async fn answers(&self) -> Result<(), String> {
        let silent = |for_granted| {
            let last = self.silence.last.lock();
            last.as_ref().filter(|(when, _)| for_granted || when.elapsed() < SILENT).map(|(_, why)| why.clone())
        };
        let _one = match (self.silence.asking.try_lock(), silent(true)) {
            (Ok(one), _) => one,
            (Err(_), Some(why)) => return Err(why),
            (Err(_), None) => self.silence.asking.lock().await,
        };
        if let Some(why) = silent(false) {
            return Err(why);
        }
        let patient = self.cluster.with_patience(PATIENCE);
        let why = match tokio::time::timeout(FIRST_ANSWER, patient.discovery()).await {
            Ok(Ok(_)) => {
                *self.silence.last.lock() = None;
                return Ok(());
            }
            Ok(Err(error)) => reason(&error),
            Err(_) => format!("no answer from the API server within {} s", FIRST_ANSWER.as_secs()),
        };
        *self.silence.last.lock() = Some((Instant::now(), why.clone()));
        Err(why)
    }

    /// The same place with the namespace that an Application wants.
    pub fn destination(&self, wanted: &Destination) -> Destination {
        Destination { namespace: wanted.namespace.clone(), ..self.place.clone() }
    }
}

/// An error with its innermost cause, which alone says what to do about a connection that fails.
fn reason(error: &client::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let (outer, inner) = (error.to_string(), cause.to_string());
    if outer == inner { outer } else { format!("{outer}: {inner}") }
}

/// Why a destination leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Application names no cluster.
    #[error("spec.destination: write either `name` or `server`")]
    Missing,
    /// It names one in two ways, which might mean two.
    #[error("spec.destination: write either `name` or `server`, not both")]
    Both,
    /// What git has for it belongs to two clusters.
    #[error(
        "the cluster directory of another cluster holds Applications beside other objects; put those into a directory \
         with an Application of their own"
    )]
    Mixed,
    /// No Secret describes it.
    #[error("destination cluster `{0}` is not known")]
    Unknown(String),
    /// More than one does.
    #[error("destination cluster `{cluster}` is not one: the Secrets {secrets} all describe it")]
    Ambiguous {
        /// As the Application calls it.
        cluster: String,
        /// Names of Secrets.
        secrets: String,
    },
    /// Its Secret can't be used.
    #[error("destination cluster `{cluster}` cannot be used: Secret {secret}: {source}")]
    Refused {
        /// As the Application calls it.
        cluster: String,
        /// The Secret's name.
        secret: SmolStr,
        /// Why.
        source: Refusal,
    },
    /// Its certificates or credentials make no sense to the client.
    #[error("destination cluster `{cluster}` cannot be used: Secret {secret}: {source}")]
    Connect {
        /// As the Application calls it.
        cluster: String,
        /// The Secret's name.
        secret: SmolStr,
        /// Why.
        source: client::Error,
    },
}

/// A destination's notices of drift, for as long as it is known.
pub struct Connected {
    /// What has changed there.
    pub changes: Changes,
    /// Cancelled when its Secret goes.
    pub ended: CancellationToken,
}

/// All clusters that are known, by the names of their Secrets.
pub struct Destinations {
    own: Target,
    known: RwLock<BTreeMap<SmolStr, Known>>,
    connected: mpsc::UnboundedSender<Connected>,
    metrics: Arc<Metrics>,
}

struct Known {
    secret: ClusterSecret,
    connection: Option<Connection>,
}

struct Connection {
    target: Target,
    _ends_with_it: DropGuard,
}

impl Destinations {
    /// Knows the cluster that Leeboard runs in. Whoever reads the receiver hears of drift, there and in all others.
    pub fn new(own: Cluster, metrics: Arc<Metrics>) -> (Self, mpsc::UnboundedReceiver<Connected>) {
        let place = Destination {
            server: Some(Destination::IN_CLUSTER_SERVER.into()),
            name: Some(Destination::IN_CLUSTER_NAME.into()),
            namespace: None,
        };
        let own = Target::new(own, place);
        let (connected, receiver) = mpsc::unbounded_channel();
        // At a shutdown nobody listens any more.
        let _ = connected.send(Connected { changes: own.store.changes(), ended: CancellationToken::new() });
        (Destinations { own, known: RwLock::default(), connected, metrics }, receiver)
    }

    /// The cluster that Leeboard runs in.
    pub fn own(&self) -> &Target {
        &self.own
    }

    /// Takes in a Secret; true when it says anything new. What was connected by the old one is not used any more.
    pub fn see(&self, name: &str, secret: ClusterSecret) -> bool {
        let mut known = self.known.write();
        if known.get(name).is_some_and(|known| known.secret == secret) {
            return false;
        }
        match &secret.access {
            Ok(_) => info!(secret = name, cluster = secret.name, server = secret.server, "Cluster known"),
            Err(why) => warn!(secret = name, cluster = secret.name, %why, "Cluster Secret not used"),
        }
        known.insert(name.into(), Known { secret, connection: None });
        true
    }

    /// A Secret is gone; true when it was known. Watches of the cluster end when nobody uses them any more.
    pub fn forget(&self, name: &str) -> bool {
        let gone = self.known.write().remove(name);
        if let Some(gone) = &gone {
            info!(secret = name, cluster = gone.secret.name, "Cluster forgotten; its objects stay");
        }
        gone.is_some()
    }

    /// Where an Application goes.
    ///
    /// # Errors
    /// With a sentence about the destination, or the Secret of its cluster.
    pub fn target(&self, wanted: &Destination) -> Result<Target, Error> {
        let called = Called::by(wanted)?;
        let mut known = self.known.write();
        let mut found = known.iter_mut().filter(|(_, known)| called.means(&known.secret));
        let Some((name, one)) = found.next() else {
            return match called {
                Called::Server(server) if server == self.own.cluster.server() => Ok(self.own.clone()),
                Called::Server(Destination::IN_CLUSTER_SERVER) | Called::Own => Ok(self.own.clone()),
                Called::Server(cluster) | Called::Name(cluster) => Err(Error::Unknown(cluster.into())),
            };
        };
        if let Some((second, _)) = found.next() {
            let secrets: Vec<_> =
                [name, second].into_iter().chain(found.map(|(name, _)| name)).map(SmolStr::as_str).collect();
            return Err(Error::Ambiguous { cluster: called.to_string(), secrets: secrets.join(", ") });
        }
        let place = Destination {
            server: Some(one.secret.server.clone()),
            name: Some(one.secret.name.clone()),
            namespace: None,
        };
        if one.secret.is_own() {
            return Ok(Target { place, ..self.own.clone() });
        }
        if let Some(connection) = &one.connection {
            return Ok(connection.target.clone());
        }
        let refused = |source| Error::Refused { cluster: called.to_string(), secret: name.clone(), source };
        let access = one.secret.access.as_ref().map_err(|why| refused(why.clone()))?;
        let config = access.config(&one.secret.server).map_err(refused)?;
        let cluster = Cluster::of(config).map_err(|source| Error::Connect {
            cluster: called.to_string(),
            secret: name.clone(),
            source,
        })?;
        cluster.count_in(Arc::clone(&self.metrics));
        let target = Target::new(cluster, place);
        let ended = CancellationToken::new();
        // At a shutdown nobody listens any more.
        let _ = self.connected.send(Connected { changes: target.store.changes(), ended: ended.clone() });
        one.connection = Some(Connection { target: target.clone(), _ends_with_it: ended.drop_guard() });
        Ok(target)
    }

    /// True when somebody said hands off, of the whole cluster.
    pub fn is_paused(&self, wanted: &Destination) -> bool {
        let Ok(called) = Called::by(wanted) else { return false };
        self.known.read().values().any(|known| called.means(&known.secret) && known.secret.is_paused)
    }

    /// The clusters that belong to a project.
    pub fn of_project(&self, project: &str) -> Vec<Destination> {
        let known = self.known.read();
        let own = known.values().filter(|known| known.secret.project.as_deref() == Some(project));
        own.map(|known| Destination {
            server: Some(known.secret.server.clone()),
            name: Some(known.secret.name.clone()),
            namespace: None,
        })
        .collect()
    }

    /// Ends all watches, and waits until they have ended.
    pub async fn shutdown(&self) {
        let stores: Vec<LiveStore> = {
            let known = self.known.read();
            let others = known.values().filter_map(|known| known.connection.as_ref());
            others.map(|connection| &connection.target).chain([&self.own]).map(|target| target.store.clone()).collect()
        };
        futures::future::join_all(stores.iter().map(LiveStore::shutdown)).await;
    }
}

/// How an Application calls a cluster.
enum Called<'a> {
    /// The one that Leeboard runs in, by a name that nobody else's cluster can take.
    Own,
    Name(&'a str),
    /// Without a slash at the end.
    Server(&'a str),
}

impl<'a> Called<'a> {
    fn by(wanted: &'a Destination) -> Result<Self, Error> {
        let given = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
        match (given(&wanted.name), given(&wanted.server)) {
            (None, None) => Err(Error::Missing),
            (Some(_), Some(_)) => Err(Error::Both),
            (Some(Destination::IN_CLUSTER_NAME), None) => Ok(Called::Own),
            (Some(name), None) => Ok(Called::Name(name)),
            (None, Some(server)) => Ok(Called::Server(server.trim_end_matches('/'))),
        }
    }

    fn means(&self, secret: &ClusterSecret) -> bool {
        match self {
            Called::Own => false,
            Called::Name(name) => secret.name == *name,
            Called::Server(server) => secret.server == *server,
        }
    }
}

impl fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Called::Own => Destination::IN_CLUSTER_NAME,
            Called::Name(name) => name,
            Called::Server(server) => server,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_name(name: &str) -> Destination {
        Destination { name: Some(name.into()), ..Destination::default() }
    }

    fn by_server(server: &str) -> Destination {
        Destination { server: Some(server.into()), ..Destination::default() }
    }

    fn secret(entries: &[(&str, &str)]) -> ClusterSecret {
        let data = entries.iter().map(|(key, text)| ((*key).to_owned(), text.as_bytes().to_vec())).collect();
        ClusterSecret::read(&data, &BTreeMap::new())
    }

    fn destinations() -> (Destinations, mpsc::UnboundedReceiver<Connected>) {
        // Another test of this binary may have done it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let own = Cluster::of(kube::Config::new("https://127.0.0.1:6443".parse().unwrap())).unwrap();
        Destinations::new(own, Arc::new(Metrics::default()))
    }

    #[tokio::test]
    async fn a_cluster_is_found_by_name_and_by_server() {
        let (destinations, mut connected) = destinations();
        let insecure = r#"{"bearerToken": "x", "tlsClientConfig": {"insecure": true}}"#;
        let b = secret(&[("name", "b"), ("server", "https://b.example.com"), ("config", insecure)]);
        assert!(destinations.see("cluster-b", b.clone()));
        assert!(!destinations.see("cluster-b", b), "nothing new");
        destinations.see("cluster-c", secret(&[("name", "c"), ("server", "https://c.example.com"), ("config", "{")]));
        destinations.see("home", secret(&[("name", "home"), ("server", "https://kubernetes.default.svc")]));
        for n in 1..=3 {
            let server = format!("https://twin{n}.example.com");
            destinations
                .see(&format!("twin{n}"), secret(&[("name", "twin"), ("server", &server), ("config", insecure)]));
        }
        let cases = [
            (by_name("in-cluster"), "https://127.0.0.1:6443"),
            (by_server("https://kubernetes.default.svc/"), "https://127.0.0.1:6443"),
            (by_server("https://127.0.0.1:6443"), "https://127.0.0.1:6443"),
            (by_name("home"), "https://127.0.0.1:6443"),
            (by_name("b"), "https://b.example.com"),
            (by_server("https://b.example.com/"), "https://b.example.com"),
            (by_server("https://twin2.example.com"), "https://twin2.example.com"),
            (by_name("B"), "destination cluster `B` is not known"),
            (by_server("https://d.example.com"), "destination cluster `https://d.example.com` is not known"),
            (by_name("twin"), "destination cluster `twin` is not one: the Secrets twin1, twin2, twin3 all describe it"),
            (
                by_name("c"),
                "destination cluster `c` cannot be used: Secret cluster-c: `config` is not the JSON of a cluster: line \
                 1, column 1",
            ),
            (Destination::default(), "spec.destination: write either `name` or `server`"),
            (
                Destination { name: Some("b".into()), ..by_server("https://b.example.com") },
                "spec.destination: write either `name` or `server`, not both",
            ),
        ];
        for (wanted, expected) in cases {
            let found = match destinations.target(&wanted) {
                Ok(target) => target.cluster.server().to_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{wanted:?}");
        }
        let place = destinations.target(&by_name("b")).unwrap().place;
        assert_eq!(place.server.as_deref(), Some("https://b.example.com"), "a project's rule may name either");

        // Our own, b, and one twin; each was connected once.
        let mut ends = Vec::new();
        while let Ok(connected) = connected.try_recv() {
            ends.push(connected.ended);
        }
        assert_eq!(ends.len(), 3);
        assert!(destinations.forget("cluster-b"));
        assert!(ends[1].is_cancelled() && !ends[0].is_cancelled() && !ends[2].is_cancelled());
        assert!(matches!(destinations.target(&by_name("b")), Err(Error::Unknown(_))));
    }

    #[tokio::test]
    async fn nobody_takes_the_name_of_our_own_cluster() {
        let (destinations, _connected) = destinations();
        destinations.see("thief", secret(&[("name", "in-cluster"), ("server", "https://thief.example.com")]));
        let target = destinations.target(&by_name("in-cluster")).unwrap();
        assert_eq!(target.cluster.server(), "https://127.0.0.1:6443");
    }

    #[tokio::test]
    async fn a_project_has_clusters_of_its_own_and_a_cluster_can_be_paused() {
        let (destinations, _connected) = destinations();
        let data = [("name", "b"), ("server", "https://b.example.com"), ("project", "team")];
        destinations.see("b", ClusterSecret { is_paused: true, ..secret(&data) });
        let own = destinations.of_project("team");
        assert_eq!((own.len(), own[0].name.as_deref()), (1, Some("b")));
        assert!(destinations.of_project("other").is_empty());
        assert!(destinations.is_paused(&by_name("b")) && !destinations.is_paused(&by_name("in-cluster")));
    }
}
