//! Which kinds the cluster serves, kept for as long as nothing says that it has changed.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use super::request::Call;
use super::{Cluster, Error, Verb};
use crate::live::discovery::{self, Discovery, Known, Resource};
use crate::object::{GroupKind, ObjectKey};

/// An unknown kind makes us look again, but not more often than this.
const DISCOVERY_PAUSE: Duration = Duration::from_secs(5);
/// A definition that has just changed is served soon, but not at once: for a while we look more often.
pub(super) const DISCOVERY_PAUSE_AFTER_CHANGE: Duration = Duration::from_millis(250);
const AFTER_CHANGE: Duration = Duration::from_secs(15);

impl Cluster {
    /// How a kind is reached. Looks again when it is unknown, now and then.
    ///
    /// # Errors
    /// [`Error::NoKind`] when it is surely not served, [`Error::KindUnknown`] when its group does not answer.
    pub async fn resource(&self, kind: &GroupKind, version: &str) -> Result<Resource, Error> {
        let mut discovery = self.discovery().await?;
        if !matches!(discovery.kind(kind, version), Known::Served(_)) {
            discovery = self.rediscover(self.discovery_pause()).await?;
        }
        match discovery.kind(kind, version) {
            Known::Served(resource) => Ok(resource.clone()),
            Known::NotServed => Err(Error::NoKind { kind: kind.clone(), version: version.into() }),
            Known::Unknown => Err(Error::KindUnknown { kind: kind.clone() }),
        }
    }

    /// The kinds of the cluster, as they were found last.
    ///
    /// # Errors
    /// When nothing is known yet and the API server can't be reached.
    pub async fn discovery(&self) -> Result<Arc<Discovery>, Error> {
        if let Some((_, discovery)) = &*self.shared.discovery.read() {
            return Ok(Arc::clone(discovery));
        }
        self.rediscover(Duration::ZERO).await
    }

    /// The kinds of the cluster, not older than this.
    ///
    /// # Errors
    /// When the API server can't be reached.
    pub async fn rediscover(&self, max_age: Duration) -> Result<Arc<Discovery>, Error> {
        let asked = Instant::now();
        let _one = self.shared.discovering.lock().await;
        if let Some((found, discovery)) = &*self.shared.discovery.read()
            && (*found >= asked || found.elapsed() < max_age)
        {
            return Ok(Arc::clone(discovery));
        }
        let mut answers = Vec::new();
        for path in discovery::PATHS {
            let call = Call::new(Verb::Get, Method::GET, "", path.into()).accepting(discovery::ACCEPT);
            answers.push(self.call(&call).await?.body);
        }
        let discovery = Arc::new(Discovery::read(&answers).map_err(Error::Decode)?);
        let before = self.shared.discovery.write().replace((Instant::now(), Arc::clone(&discovery)));
        if before.is_some_and(|(_, before)| before != discovery) {
            *self.shared.kinds_changed.write() = Some(Instant::now());
            self.shared.kinds_notify.notify_waiters();
        }
        Ok(discovery)
    }

    /// Takes note that kinds may have come or gone: a definition was written, or a watch has seen one change.
    pub(in crate::live) fn note_kinds_of(&self, key: &ObjectKey) {
        if matches!(key.kind.as_str(), "CustomResourceDefinition" | "APIService") {
            *self.shared.kinds_changed.write() = Some(Instant::now());
            self.shared.kinds_notify.notify_waiters();
        }
    }

    /// Ends when kinds may have come or gone.
    pub(in crate::live) fn kinds_changed(&self) -> impl Future<Output = ()> + '_ {
        self.shared.kinds_notify.notified()
    }

    /// True for a while after kinds may have come or gone.
    pub(in crate::live) fn kinds_changed_lately(&self) -> bool {
        self.shared.kinds_changed.read().is_some_and(|changed| changed.elapsed() < AFTER_CHANGE)
    }

    fn discovery_pause(&self) -> Duration {
        if self.kinds_changed_lately() { DISCOVERY_PAUSE_AFTER_CHANGE } else { DISCOVERY_PAUSE }
    }
}
