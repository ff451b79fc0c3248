//! [`Recorder`]: every state of every object that a canary is made of, as watches tell it. Nothing is missed between two
//! looks, and nobody has to look.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject, WatchEvent, WatchParams};
use kube::core::GroupVersionKind;
use serde_json::Value;
use tokio::sync::watch;

/// Kind, namespace, name.
pub type Key = (String, String, String);

/// One state of an object; `None` when it was deleted.
#[derive(Clone, Debug)]
pub struct State {
    pub at: Instant,
    pub body: Option<Value>,
}

/// See the module.
#[derive(Clone)]
pub struct Recorder {
    client: kube::Client,
    shared: Arc<Shared>,
}

struct Shared {
    states: Mutex<BTreeMap<Key, Vec<State>>>,
    changes: watch::Sender<u64>,
}

impl Recorder {
    /// Records nothing yet.
    pub fn new(client: kube::Client) -> Recorder {
        let shared = Shared { states: Mutex::default(), changes: watch::Sender::new(0) };
        Recorder { client, shared: Arc::new(shared) }
    }

    /// Records a kind in all namespaces until the runtime ends; its definition may come later.
    pub fn record(&self, group: &str, version: &str, kind: &str) {
        let resource = resource(group, version, kind);
        let this = self.clone();
        tokio::spawn(async move {
            let api: Api<DynamicObject> = Api::all_with(this.client.clone(), &resource);
            loop {
                // From the version 0 on, what is there already is told first.
                if let Ok(events) = api.watch(&WatchParams::default(), "0").await {
                    let mut events = events.boxed();
                    while let Some(Ok(event)) = events.next().await {
                        match event {
                            WatchEvent::Added(object) | WatchEvent::Modified(object) => this.note(&object, true),
                            WatchEvent::Deleted(object) => this.note(&object, false),
                            WatchEvent::Bookmark(_) => {}
                            WatchEvent::Error(_) => break,
                        }
                    }
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }

    fn note(&self, object: &DynamicObject, is_there: bool) {
        let body = serde_json::to_value(object).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (text(&body["kind"]), text(&body["metadata"]["namespace"]), text(&body["metadata"]["name"]));
        let mut states = self.shared.states.lock().unwrap();
        let states = states.entry(key).or_default();
        let version = |state: &State| state.body.as_ref().map(|body| body["metadata"]["resourceVersion"].clone());
        let is_known = is_there
            && states.iter().any(|state| version(state).as_ref() == Some(&body["metadata"]["resourceVersion"]));
        if !is_known {
            states.push(State { at: Instant::now(), body: is_there.then_some(body) });
            self.shared.changes.send_modify(|count| *count += 1);
        }
    }

    /// All states of an object, oldest first.
    pub fn states(&self, kind: &str, namespace: &str, name: &str) -> Vec<State> {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        self.shared.states.lock().unwrap().get(&key).cloned().unwrap_or_default()
    }

    /// The objects of a kind in a namespace, as they are.
    pub fn all(&self, kind: &str, namespace: &str) -> Vec<Value> {
        let states = self.shared.states.lock().unwrap();
        let these = states.iter().filter(|(key, _)| key.0 == kind && key.1 == namespace);
        these.filter_map(|(_, states)| states.last()?.body.clone()).collect()
    }

    /// Becomes ready with the next change of anything.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }
}

/// A kind as the client wants it.
pub fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}
