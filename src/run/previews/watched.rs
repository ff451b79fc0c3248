//! Admission policies and namespaces of clusters, watched while there are pull requests to compare: a comparison then asks
//! for what changes and for nothing else.
//!
//! **In:** a cluster that a comparison asks. **Out:** its policies, bindings and namespaces as they are now. **May not:** go on
//! watching where nothing is compared any more; or say what it does not know for certain.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::Daemon;
use crate::live::client::{Cluster, Error, ListOptions};
use crate::live::record::KindVersion;
use crate::live::watch::{Collection, Item, Target, typed};
use crate::object::{GroupKind, ObjectKey};
use crate::policy::admission::{BINDING, GROUP, POLICY};

/// A cluster that nothing was compared with for so long is watched no more.
const IDLE: Duration = Duration::from_secs(1800);
/// How long a comparison waits for the first lists; then it asks by itself.
const FIRST_LIST: Duration = Duration::from_secs(5);

/// The clusters that are watched, by their servers.
#[derive(Clone, Default)]
pub(super) struct Watches(Arc<Mutex<BTreeMap<String, Arc<Watched>>>>);

/// One cluster.
pub(crate) struct Watched {
    cluster: Cluster,
    policies: Vec<Collection<Value>>,
    /// Watched once a policy may ask for them.
    namespaces: OnceLock<Collection<Value>>,
    used: Mutex<Instant>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Watches {
    /// The watch of a cluster; it begins when there is none.
    ///
    /// # Errors
    /// When the cluster does not say what it serves.
    pub(super) async fn of(&self, daemon: &Daemon, cluster: &Cluster) -> Result<Arc<Watched>, Error> {
        let server = cluster.server();
        if let Some(watched) = self.0.lock().get(server) {
            return Ok(watched.used());
        }
        let discovery = cluster.discovery().await?;
        let kinds = [POLICY, BINDING].map(|kind| GroupKind::new(GROUP, kind));
        // A cluster that is too old has none.
        let kinds = kinds.into_iter().filter_map(|kind| {
            let version = discovery.preferred_version(&kind)?.clone();
            Some(KindVersion::new(kind, version))
        });
        let mut watches = self.0.lock();
        if let Some(watched) = watches.get(server) {
            return Ok(watched.used());
        }
        let cancel = daemon.shutdown.child_token();
        let (policies, work): (Vec<_>, Vec<_>) = kinds.map(|kind| watch(cluster, kind, &cancel)).unzip();
        let watched = Arc::new(Watched {
            cluster: cluster.clone(),
            policies,
            namespaces: OnceLock::new(),
            used: Mutex::new(Instant::now()),
            tasks: daemon.tasks.clone(),
            cancel,
        });
        watches.insert(server.to_owned(), watched.clone());
        daemon.tasks.spawn(join_all(work));
        daemon.tasks.spawn(self.clone().end(Arc::downgrade(&watched), watched.cancel.clone()));
        Ok(watched)
    }

    /// Ends a watch that nobody uses any more.
    async fn end(self, watched: Weak<Watched>, cancel: CancellationToken) {
        loop {
            let Some(until) = watched.upgrade().map(|watched| *watched.used.lock() + IDLE) else { return };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = sleep_until(until) => {}
            }
            let mut watches = self.0.lock();
            if let Some(watched) = watched.upgrade()
                && watched.used.lock().elapsed() >= IDLE
            {
                watches.retain(|_, one| !Arc::ptr_eq(one, &watched));
                cancel.cancel();
                return;
            }
        }
    }
}

fn watch(
    cluster: &Cluster,
    kind: KindVersion,
    cancel: &CancellationToken,
) -> (Collection<Value>, impl Future<Output = ()> + Send + 'static) {
    typed(cluster.clone(), Target { kind, options: ListOptions::default() }, cancel.clone())
}

impl Watched {
    fn used(self: &Arc<Self>) -> Arc<Self> {
        *self.used.lock() = Instant::now();
        self.clone()
    }

    /// All policies and bindings; `None` when that is not known for certain.
    pub(super) async fn policies(&self) -> Option<Vec<Value>> {
        let mut all = Vec::new();
        for collection in &self.policies {
            is_known(collection).await.then_some(())?;
            all.extend(collection.all().into_iter().filter_map(|(_, item)| decoded(item)));
        }
        Some(all)
    }

    /// A namespace, which may not be there; `None` when that is not known for certain.
    pub(super) async fn namespace(&self, name: &str) -> Option<Option<Value>> {
        let namespaces = self.namespaces.get_or_init(|| {
            let kind = KindVersion::new(GroupKind::new("", "Namespace"), "v1");
            let (namespaces, work) = watch(&self.cluster, kind, &self.cancel);
            self.tasks.spawn(work);
            namespaces
        });
        let key = ObjectKey { group: "".into(), kind: "Namespace".into(), namespace: None, name: name.into() };
        is_known(namespaces).await.then(|| namespaces.get(&key).and_then(decoded))
    }
}

fn decoded(item: Item<Value>) -> Option<Value> {
    match item {
        Item::Decoded(body) => Some(body),
        Item::Undecodable { .. } => None,
    }
}

/// True when all of a collection is known, now or in a moment.
async fn is_known(collection: &Collection<Value>) -> bool {
    let begun = Instant::now();
    loop {
        if collection.trouble().is_some() || begun.elapsed() > FIRST_LIST {
            return false;
        }
        if collection.is_complete() {
            return true;
        }
        sleep(Duration::from_millis(5)).await;
    }
}
