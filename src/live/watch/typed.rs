//! Small kinds that steer Leeboard, watched whole and read into types.
//!
//! They are held as text, and read when somebody asks: whoever asks keeps what he has read, so that nothing is held
//! twice as a tree of values, and of several events in a row only the last one is read.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use smol_str::SmolStr;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::follow::{Shown, Sink, Target, follow};
use crate::live::client::{Cluster, Error, api_version};
use crate::live::record::KindVersion;
use crate::object::ObjectKey;

/// One object of a collection.
#[derive(Clone, Debug)]
pub enum Item<T> {
    /// As it is now.
    Decoded(T),
    /// It does not fit the type. Others are not affected.
    Undecodable {
        /// What does not fit; without values where the kind holds secrets.
        error: Arc<str>,
    },
}

/// All objects of a kind, or those that were selected, kept up to date. For one reader of changes.
pub struct Collection<T> {
    shared: Arc<Shared>,
    read: PhantomData<fn() -> T>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Collection { shared: Arc::clone(&self.shared), read: PhantomData }
    }
}

struct Shared {
    kind: KindVersion,
    state: Mutex<State>,
    notify: Notify,
}

#[derive(Default)]
struct State {
    items: BTreeMap<ObjectKey, Held>,
    changed: BTreeSet<ObjectKey>,
    /// The first list has arrived.
    complete: bool,
    /// Completeness or trouble has changed.
    news: bool,
    trouble: Option<String>,
}

struct Held {
    version: SmolStr,
    text: Arc<str>,
}

/// Watches the target until it is cancelled; the future does the work and ends then.
pub fn typed<T: DeserializeOwned>(
    cluster: Cluster,
    target: Target,
    cancel: CancellationToken,
) -> (Collection<T>, impl Future<Output = ()> + Send + 'static) {
    collect(cluster, target, cancel, whole)
}

/// The same, but holds of each object only what the type has: for kinds of which there are many.
pub fn brief<T: Serialize + DeserializeOwned>(
    cluster: Cluster,
    target: Target,
    cancel: CancellationToken,
) -> (Collection<T>, impl Future<Output = ()> + Send + 'static) {
    collect(cluster, target, cancel, extract::<T>)
}

fn collect<T>(
    cluster: Cluster,
    target: Target,
    cancel: CancellationToken,
    hold: Hold,
) -> (Collection<T>, impl Future<Output = ()> + Send + 'static) {
    let shared = Shared { kind: target.kind.clone(), state: Mutex::default(), notify: Notify::new() };
    let shared = Arc::new(shared);
    let collection = Collection { shared: Arc::clone(&shared), read: PhantomData };
    let work = async move {
        let mut sink = Texts { shared, hold, listed: BTreeSet::new(), listing: false };
        follow(&cluster, &target, &mut sink, &cancel).await;
    };
    (collection, work)
}

impl<T: DeserializeOwned> Collection<T> {
    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<Item<T>> {
        let text = Arc::clone(&self.shared.state.lock().items.get(key)?.text);
        Some(self.read(&text))
    }

    /// The resource version of one object.
    pub fn version(&self, key: &ObjectKey) -> Option<SmolStr> {
        Some(self.shared.state.lock().items.get(key)?.version.clone())
    }

    /// All objects.
    pub fn all(&self) -> Vec<(ObjectKey, Item<T>)> {
        let state = self.shared.state.lock();
        state.items.iter().map(|(key, held)| (key.clone(), self.read(&held.text))).collect()
    }

    fn read(&self, text: &str) -> Item<T> {
        match serde_json::from_str(text) {
            Ok(object) => Item::Decoded(object),
            Err(_) if self.shared.kind.kind.kind == "Secret" => {
                Item::Undecodable { error: "does not have the fields that are needed".into() }
            }
            Err(error) => Item::Undecodable { error: error.to_string().into() },
        }
    }
}

impl<T> Collection<T> {
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

/// What is held of an object's text.
type Hold = fn(&str, &KindVersion) -> Result<String, serde_json::Error>;

/// Keeps the texts that a watch sees.
struct Texts {
    shared: Arc<Shared>,
    hold: Hold,
    listed: BTreeSet<ObjectKey>,
    listing: bool,
}

impl Texts {
    fn update(&self, update: impl FnOnce(&mut State)) {
        update(&mut self.shared.state.lock());
        self.shared.notify.notify_one();
    }
}

/// An object's text without `managedFields`, which is often the larger half, and with its kind, which items of a list
/// don't name.
fn whole(text: &str, kind: &KindVersion) -> Result<String, serde_json::Error> {
    let mut object: IndexMap<String, &RawValue> = serde_json::from_str(text)?;
    let kind_name = to_raw_value(kind.kind.kind.as_str())?;
    let api_version = to_raw_value(&api_version(&kind.kind.group, &kind.version))?;
    object.entry("kind".to_owned()).or_insert(&kind_name);
    object.entry("apiVersion".to_owned()).or_insert(&api_version);
    let metadata = object.get("metadata").map_or("{}", |metadata| metadata.get());
    let mut metadata: IndexMap<String, &RawValue> = serde_json::from_str(metadata)?;
    metadata.shift_remove("managedFields");
    let metadata = to_raw_value(&metadata)?;
    object.insert("metadata".to_owned(), &metadata);
    serde_json::to_string(&object)
}

/// What the type has of an object's text.
fn extract<T: Serialize + DeserializeOwned>(text: &str, _kind: &KindVersion) -> Result<String, serde_json::Error> {
    serde_json::to_string(&serde_json::from_str::<T>(text)?)
}

impl Sink for Texts {
    fn begin(&mut self) {
        self.listed.clear();
        self.listing = true;
    }

    fn seen(&mut self, object: &Shown<'_>) {
        let key = object.key(&self.shared.kind.kind);
        if self.listing {
            self.listed.insert(key.clone());
        }
        if self.shared.state.lock().items.get(&key).is_some_and(|held| held.version == object.version()) {
            return;
        }
        // What can't be taken apart is held as it came: whoever asks for it is told why.
        let text = (self.hold)(object.text, &self.shared.kind).map_or_else(|_| object.text.into(), Arc::from);
        let version = object.version().into();
        self.update(|state| {
            state.items.insert(key.clone(), Held { version, text });
            state.changed.insert(key);
        });
    }

    fn removed(&mut self, object: &Shown<'_>) {
        let key = object.key(&self.shared.kind.kind);
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
        let KindVersion { kind, version } = self.shared.kind.clone();
        self.failed(&Error::NoKind { kind, version });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::GroupKind;

    #[test]
    fn a_text_is_kept_without_what_the_api_server_keeps_for_itself() {
        let kind = KindVersion::new(GroupKind::new("argoproj.io", "Application"), "v1alpha1");
        // text, as it is kept
        let cases = [
            (
                r#"{"metadata": {"name": "x", "managedFields": [{"manager": "m"}], "uid": "u"}, "spec": {"a": 1.0, "b": null}}"#,
                r#"{"metadata":{"name":"x","uid":"u"},"spec":{"a": 1.0, "b": null},"kind":"Application","apiVersion":"argoproj.io/v1alpha1"}"#,
            ),
            (r#"{"apiVersion":"v2","kind":"X","metadata":{}}"#, r#"{"apiVersion":"v2","kind":"X","metadata":{}}"#),
        ];
        for (text, expected) in cases {
            assert_eq!(whole(text, &kind).unwrap(), expected);
        }
        assert!(whole("[]", &kind).is_err());
    }

    #[test]
    fn of_a_text_only_what_the_type_has_is_kept() {
        let kind = KindVersion::new(GroupKind::new("", "ConfigMap"), "v1");
        let text = r#"{"metadata": {"name": "x", "uid": "u"}}"#;
        let kept = extract::<BTreeMap<String, Name>>(text, &kind);
        assert_eq!(kept.unwrap(), r#"{"metadata":{"name":"x"}}"#);
        assert!(extract::<Vec<String>>(text, &kind).is_err());
    }

    #[derive(Serialize, serde::Deserialize)]
    struct Name {
        name: String,
    }
}
