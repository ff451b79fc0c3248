//! Small kinds that steer Leeboard, watched whole and read into types.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use smol_str::SmolStr;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::follow::{Sink, Target, follow};
use crate::live::client::{Cluster, Error, api_version};
use crate::live::record::KindVersion;
use crate::object::ObjectKey;

/// One object of a collection.
#[derive(Debug)]
pub enum Item<T> {
    /// As it is now.
    Decoded(Arc<T>),
    /// It does not fit the type. Others are not affected.
    Undecodable {
        /// What does not fit; without values where the kind holds secrets.
        error: Arc<str>,
    },
}

impl<T> Clone for Item<T> {
    fn clone(&self) -> Self {
        match self {
            Item::Decoded(object) => Item::Decoded(Arc::clone(object)),
            Item::Undecodable { error } => Item::Undecodable { error: Arc::clone(error) },
        }
    }
}

/// All objects of a kind, or those that were selected, kept up to date. For one reader of changes.
pub struct Collection<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Collection { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<T> {
    state: Mutex<State<T>>,
    notify: Notify,
}

struct State<T> {
    items: BTreeMap<ObjectKey, Held<T>>,
    changed: BTreeSet<ObjectKey>,
    /// The first list has arrived.
    complete: bool,
    /// Completeness or trouble has changed.
    news: bool,
    trouble: Option<String>,
}

struct Held<T> {
    version: SmolStr,
    item: Item<T>,
}

/// Watches the target until it is cancelled; the future does the work and ends then.
pub fn typed<T: DeserializeOwned + Send + Sync + 'static>(
    cluster: Cluster,
    target: Target,
    cancel: CancellationToken,
) -> (Collection<T>, impl Future<Output = ()> + Send + 'static) {
    let state = State { items: BTreeMap::new(), changed: BTreeSet::new(), complete: false, news: false, trouble: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), notify: Notify::new() });
    let collection = Collection { shared: Arc::clone(&shared) };
    let work = async move {
        let kind = target.kind.clone();
        let mut sink = Typed { shared, kind, listed: BTreeSet::new(), listing: false };
        follow(&cluster, &target, &mut sink, &cancel).await;
    };
    (collection, work)
}

impl<T> Collection<T> {
    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<Item<T>> {
        self.shared.state.lock().items.get(key).map(|held| held.item.clone())
    }

    /// All objects.
    pub fn all(&self) -> Vec<(ObjectKey, Item<T>)> {
        let state = self.shared.state.lock();
        state.items.iter().map(|(key, held)| (key.clone(), held.item.clone())).collect()
    }

    /// True once the first list has arrived: then what is not here does not exist.
    pub fn is_complete(&self) -> bool {
        self.shared.state.lock().complete
    }

    /// Why the watch does not get on.
    pub fn trouble(&self) -> Option<String> {
        self.shared.state.lock().trouble.clone()
    }

    /// Waits until something has changed; the keys add up while nobody asks. Empty when only completeness has.
    /// Cancelling loses nothing.
    pub async fn changed(&self) -> BTreeSet<ObjectKey> {
        loop {
            {
                let mut state = self.shared.state.lock();
                if state.news || !state.changed.is_empty() {
                    state.news = false;
                    return std::mem::take(&mut state.changed);
                }
            }
            self.shared.notify.notified().await;
        }
    }

    /// Waits for the first list.
    ///
    /// # Errors
    /// With the reason when it takes longer than this.
    pub async fn complete(&self, within: Duration) -> Result<(), String> {
        let begun = tokio::time::Instant::now();
        // Polled, since the notices belong to the one who reads changes.
        while !self.is_complete() {
            if begun.elapsed() > within {
                return Err(self.trouble().unwrap_or_else(|| "no list yet".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

struct Typed<T> {
    shared: Arc<Shared<T>>,
    kind: KindVersion,
    listed: BTreeSet<ObjectKey>,
    listing: bool,
}

#[derive(Deserialize)]
struct Identity {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: SmolStr,
    #[serde(default)]
    namespace: Option<SmolStr>,
    #[serde(default)]
    resource_version: SmolStr,
}

impl<T> Typed<T> {
    fn identity(&self, text: &str) -> Option<(ObjectKey, SmolStr)> {
        let Identity { metadata } = serde_json::from_str(text).ok()?;
        let key = ObjectKey {
            group: self.kind.kind.group.clone(),
            kind: self.kind.kind.kind.clone(),
            namespace: metadata.namespace,
            name: metadata.name,
        };
        Some((key, metadata.resource_version))
    }

    fn update(&self, update: impl FnOnce(&mut State<T>)) {
        update(&mut self.shared.state.lock());
        self.shared.notify.notify_one();
    }
}

impl<T: DeserializeOwned> Typed<T> {
    fn decode(&self, text: &str) -> Item<T> {
        let api_version = api_version(&self.kind.kind.group, &self.kind.version);
        let decoded = serde_json::from_str::<Value>(text).and_then(|mut value| {
            // Items of a list don't say what they are.
            if let Value::Object(map) = &mut value {
                map.entry("kind").or_insert_with(|| self.kind.kind.kind.as_str().into());
                map.entry("apiVersion").or_insert_with(|| api_version.into());
                if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
                    metadata.remove("managedFields");
                }
            }
            serde_json::from_value(value)
        });
        match decoded {
            Ok(object) => Item::Decoded(Arc::new(object)),
            Err(_) if self.kind.kind.kind == "Secret" => {
                Item::Undecodable { error: "does not have the fields that are needed".into() }
            }
            Err(error) => Item::Undecodable { error: error.to_string().into() },
        }
    }
}

impl<T: DeserializeOwned + Send + Sync> Sink for Typed<T> {
    fn begin(&mut self) {
        self.listed.clear();
        self.listing = true;
    }

    fn seen(&mut self, text: &str) {
        let Some((key, version)) = self.identity(text) else { return };
        if self.listing {
            self.listed.insert(key.clone());
        }
        if self.shared.state.lock().items.get(&key).is_some_and(|held| held.version == version) {
            return;
        }
        let item = self.decode(text);
        self.update(|state| {
            state.items.insert(key.clone(), Held { version, item });
            state.changed.insert(key);
        });
    }

    fn removed(&mut self, text: &str) {
        let Some((key, _)) = self.identity(text) else { return };
        self.listed.remove(&key);
        self.update(|state| {
            state.items.remove(&key);
            state.changed.insert(key);
        });
    }

    fn listed(&mut self, _version: &str) {
        self.listing = false;
        let listed = std::mem::take(&mut self.listed);
        self.update(|state| {
            let gone: Vec<ObjectKey> = state.items.keys().filter(|key| !listed.contains(*key)).cloned().collect();
            for key in gone {
                state.items.remove(&key);
                state.changed.insert(key);
            }
            state.news |= !state.complete || state.trouble.is_some();
            state.complete = true;
            state.trouble = None;
        });
    }

    fn passed(&mut self, _version: &str) {
        self.update(|state| state.news |= state.trouble.take().is_some());
    }

    fn failed(&mut self, error: &Error) {
        self.listing = false;
        let trouble = Some(error.to_string());
        self.update(|state| {
            state.news |= state.trouble != trouble;
            state.trouble = trouble;
        });
    }

    fn unserved(&mut self) {
        self.listed.clear();
        self.listed("");
        self.failed(&Error::NoKind { kind: self.kind.kind.clone(), version: self.kind.version.clone() });
    }
}
