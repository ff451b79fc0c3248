//! The way to one cluster: what is asked of its API server, how long that may take, what its answers mean.
//!
//! **In:** a kubeconfig or the pod's service account; objects. **Out:** [`Cluster`], a cheap handle; [`Error`] by what to
//! do about it. **May not:** decide what is applied, or show what the API server repeats of an object.
//!
//! Each call is one request, tried again by [`pace`](super::pace) where waiting can help; dropping the call's future
//! cancels it. Read [`stack`] for the HTTP under it.

mod error;
mod stack;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use smol_str::SmolStr;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, timeout};

pub use error::{Answer, Cause, Error};

use super::discovery::{self, Discovery, Known, Resource};
use super::pace::{Pace, Queue, Repeat};
use super::record::{Reader, Record};
use crate::object::{GroupKind, Object, ObjectKey};
use crate::telemetry::Metrics;

/// The name under which Leeboard owns fields.
pub const FIELD_MANAGER: &str = "leeboard";

/// How long one try may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long a request is tried again while the API server is away or busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Objects in one piece of a list.
const PAGE: usize = 500;
/// An unknown kind makes us look again, but not more often than this.
const DISCOVERY_PAUSE: Duration = Duration::from_secs(5);
/// A definition that has just changed is served soon, but not at once: for a while we look more often.
const DISCOVERY_PAUSE_AFTER_CHANGE: Duration = Duration::from_millis(250);
const AFTER_CHANGE: Duration = Duration::from_secs(15);

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

/// What a request asks for, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// One object, or discovery.
    Get,
    /// Many objects.
    List,
    /// Changes of many objects.
    Watch,
    /// Server-side apply.
    Apply,
    /// Server-side apply that changes nothing.
    DryRun,
    /// A new object.
    Create,
    /// A whole object in place of another.
    Update,
    /// A merge or JSON patch.
    Patch,
    /// One object's end.
    Delete,
}

impl Verb {
    /// All of them.
    pub const ALL: [Verb; 9] = [
        Verb::Get,
        Verb::List,
        Verb::Watch,
        Verb::Apply,
        Verb::DryRun,
        Verb::Create,
        Verb::Update,
        Verb::Patch,
        Verb::Delete,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Apply => "apply",
            Verb::DryRun => "dry_run",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
        }
    }
}

/// How many requests were made, by verb.
#[derive(Debug, Default)]
pub struct RequestCounts {
    made: [AtomicU64; Verb::ALL.len()],
    failed: [AtomicU64; Verb::ALL.len()],
}

impl RequestCounts {
    /// Requests that left, tries again included.
    pub fn made(&self, verb: Verb) -> u64 {
        self.made[verb as usize].load(Ordering::Relaxed)
    }

    /// Of those, the ones that did not succeed.
    pub fn failed(&self, verb: Verb) -> u64 {
        self.failed[verb as usize].load(Ordering::Relaxed)
    }
}

/// How an object is applied.
#[derive(Clone, Debug, Default)]
pub struct ApplyOptions {
    /// Ask what would be, change nothing.
    pub dry_run: bool,
    /// Take fields from other managers.
    pub force: bool,
    /// Under which name; `None`: [`FIELD_MANAGER`].
    pub manager: Option<SmolStr>,
    /// Hand back the whole object.
    pub want_body: bool,
}

/// What the API server made of a write.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The object as it is now.
    pub record: Record,
    /// All of it, when it was asked for.
    pub body: Option<Value>,
    /// What the API server warns of: deprecated versions, fields that do nothing. May repeat names, not values.
    pub warnings: Vec<String>,
}

/// Who deletes what an object owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// The object stays until all that it owns is gone.
    #[default]
    Foreground,
    /// The object goes at once, what it owns later.
    Background,
    /// What it owns stays.
    Orphan,
}

/// How an object is deleted.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Only if it is this very object; another one of that name answers [`Error::Conflict`].
    pub uid: Option<SmolStr>,
    /// What becomes of the objects it owns.
    pub propagation: Propagation,
    /// Ask whether it would be allowed, change nothing.
    pub dry_run: bool,
}

/// What a deletion came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The object is gone.
    Gone,
    /// It goes once its finalizers, or what it owns, are gone.
    Terminating,
}

/// Which objects are listed.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// `None`: of all namespaces.
    pub namespace: Option<SmolStr>,
    /// `app=web,tier`.
    pub labels: Option<String>,
    /// `metadata.name=web`.
    pub fields: Option<String>,
}

impl ListOptions {
    /// As parameters of a request.
    pub(super) fn selectors(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.labels.as_deref().map(|labels| ("labelSelector", labels));
        let fields = self.fields.as_deref().map(|fields| ("fieldSelector", fields));
        labels.into_iter().chain(fields)
    }
}

/// A part of an object that is written by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// The object.
    #[default]
    Whole,
    /// Its subresource `status`.
    Status,
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

    /// Server-side apply: one request, whose answer says what our fields are now.
    ///
    /// # Errors
    /// [`Error::SchemaRefused`], [`Error::Invalid`], [`Error::NamespaceMissing`] … by what to do about it.
    pub async fn apply(&self, object: &Object, options: &ApplyOptions) -> Result<Applied, Error> {
        let resource = self.resource(&object.key.group_kind(), &object.version).await?;
        let path = object_path(&object.key, &object.version, &resource, Part::Whole);
        let manager = options.manager.as_deref().unwrap_or(FIELD_MANAGER);
        let mut query = vec![("fieldManager", manager)];
        if options.force {
            query.push(("force", "true"));
        }
        if options.dry_run {
            query.push(("dryRun", "All"));
        }
        let verb = if options.dry_run { Verb::DryRun } else { Verb::Apply };
        let call = Call::new(verb, Method::PATCH, &resource.plural, with_query(&path, &query))
            .sending("application/apply-patch+yaml", encode(&object.body)?);
        match self.call(&call).await {
            Ok(answer) => self.applied(answer, options.want_body),
            Err(error) => Err(self.unserved(error, object).await),
        }
    }

    /// Makes an object that must not be there yet; its name may be left to the API server (`generateName`).
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] and all others.
    pub async fn create(&self, object: &Object) -> Result<Applied, Error> {
        let resource = self.resource(&object.key.group_kind(), &object.version).await?;
        let path = list_path(&object.key.group, &object.version, object.key.namespace.as_deref(), &resource);
        let call = Call::new(Verb::Create, Method::POST, &resource.plural, with_query(&path, &[MANAGER]))
            .sending(JSON, encode(&object.body)?);
        match self.call(&call).await {
            Ok(answer) => self.applied(answer, true),
            Err(error) => Err(self.unserved(error, object).await),
        }
    }

    /// Where an object would be made, only its kind can be missing: not served any more, or not yet.
    async fn unserved(&self, error: Error, object: &Object) -> Error {
        let Error::NotFound(_) = error else { return error };
        let kind = object.key.group_kind();
        match self.rediscover(DISCOVERY_PAUSE_AFTER_CHANGE).await {
            Ok(discovery) if discovery.kind(&kind, &object.version) == Known::NotServed => {
                Error::NoKind { kind, version: object.version.clone() }
            }
            Ok(_) => Error::KindUnknown { kind },
            Err(error) => error,
        }
    }

    /// Puts a whole object in place of the one that is there. With `metadata.resourceVersion` it must be that one.
    ///
    /// # Errors
    /// [`Error::Conflict`] and all others.
    pub async fn replace(&self, object: &Object, part: Part) -> Result<Applied, Error> {
        let resource = self.resource(&object.key.group_kind(), &object.version).await?;
        let path = object_path(&object.key, &object.version, &resource, part);
        let call = Call::new(Verb::Update, Method::PUT, &resource.plural, with_query(&path, &[MANAGER]))
            .sending(JSON, encode(&object.body)?);
        self.applied(self.call(&call).await?, true)
    }

    /// Merges fields into an object (RFC 7386). Never for Secrets: a refusal repeats the whole object.
    ///
    /// # Errors
    /// All of them.
    pub async fn merge_patch(
        &self,
        key: &ObjectKey,
        version: &str,
        part: Part,
        patch: &Value,
    ) -> Result<Applied, Error> {
        self.patch(key, version, part, "application/merge-patch+json", patch).await
    }

    /// Changes an object step by step (RFC 6902); a failed `test` answers [`Error::Invalid`].
    ///
    /// # Errors
    /// All of them.
    pub async fn json_patch(
        &self,
        key: &ObjectKey,
        version: &str,
        part: Part,
        patch: &Value,
    ) -> Result<Applied, Error> {
        self.patch(key, version, part, "application/json-patch+json", patch).await
    }

    async fn patch(
        &self,
        key: &ObjectKey,
        version: &str,
        part: Part,
        content_type: &'static str,
        patch: &Value,
    ) -> Result<Applied, Error> {
        let resource = self.resource(&key.group_kind(), version).await?;
        let path = object_path(key, version, &resource, part);
        let call = Call::new(Verb::Patch, Method::PATCH, &resource.plural, with_query(&path, &[MANAGER]))
            .sending(content_type, encode(patch)?);
        self.applied(self.call(&call).await?, true)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is gone already, [`Error::Conflict`] when it is another one.
    pub async fn delete(&self, key: &ObjectKey, version: &str, options: &DeleteOptions) -> Result<Deleted, Error> {
        let resource = self.resource(&key.group_kind(), version).await?;
        let path = object_path(key, version, &resource, Part::Whole);
        let propagation = match options.propagation {
            Propagation::Foreground => "Foreground",
            Propagation::Background => "Background",
            Propagation::Orphan => "Orphan",
        };
        let mut body = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation});
        if let Some(uid) = &options.uid {
            body["preconditions"] = json!({"uid": uid});
        }
        if options.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        let call = Call::new(Verb::Delete, Method::DELETE, &resource.plural, path).sending(JSON, encode(&body)?);
        let answer = self.call(&call).await?;
        let kind: KindOnly = decode(&answer.body)?;
        Ok(if kind.kind == "Status" { Deleted::Gone } else { Deleted::Terminating })
    }

    /// Reads one object.
    ///
    /// # Errors
    /// [`Error::NotFound`] and all others.
    pub async fn get(&self, key: &ObjectKey, version: &str) -> Result<Value, Error> {
        self.get_as(key, version).await
    }

    /// Reads one object into a type of ours.
    ///
    /// # Errors
    /// [`Error::Decode`] when it does not fit the type, and all others.
    pub async fn get_as<T: DeserializeOwned>(&self, key: &ObjectKey, version: &str) -> Result<T, Error> {
        let resource = self.resource(&key.group_kind(), version).await?;
        let path = object_path(key, version, &resource, Part::Whole);
        let answer = self.call(&Call::new(Verb::Get, Method::GET, &resource.plural, path)).await?;
        decode(&answer.body)
    }

    /// Reads one object; `None` when it is not there.
    ///
    /// # Errors
    /// All but [`Error::NotFound`].
    pub async fn find(&self, key: &ObjectKey, version: &str) -> Result<Option<Value>, Error> {
        match self.get(key, version).await {
            Ok(body) => Ok(Some(body)),
            Err(Error::NotFound(_) | Error::NamespaceMissing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads all objects of a kind, piece by piece. Complete, or an error.
    ///
    /// # Errors
    /// All of them.
    pub async fn list(&self, kind: &GroupKind, version: &str, options: &ListOptions) -> Result<Vec<Value>, Error> {
        let api_version = api_version(&kind.group, version);
        let mut items = Vec::new();
        let mut failure = None;
        self.list_pages(kind, version, options, |page| {
            for text in page {
                match serde_json::from_str::<Value>(text) {
                    Ok(mut item) => {
                        // Items of a list don't say what they are.
                        if let Value::Object(map) = &mut item {
                            map.entry("kind").or_insert_with(|| kind.kind.as_str().into());
                            map.entry("apiVersion").or_insert_with(|| api_version.as_str().into());
                        }
                        items.push(item);
                    }
                    Err(error) => failure = Some(error),
                }
            }
        })
        .await?;
        failure.map_or(Ok(items), |error| Err(Error::Decode(error)))
    }

    /// Hands the texts of all objects of a kind on, page by page; the answer is the version of the list.
    pub(super) async fn list_pages(
        &self,
        kind: &GroupKind,
        version: &str,
        options: &ListOptions,
        mut each: impl FnMut(&[&str]),
    ) -> Result<String, Error> {
        let resource = self.resource(kind, version).await?;
        let path = list_path(&kind.group, version, options.namespace.as_deref(), &resource);
        let page = PAGE.to_string();
        let mut next = String::new();
        loop {
            let mut query = vec![("limit", page.as_str())];
            query.extend(options.selectors());
            if !next.is_empty() {
                query.push(("continue", &next));
            }
            let call = Call::new(Verb::List, Method::GET, &resource.plural, with_query(&path, &query));
            let answer = self.call(&call).await?;
            let list: List<'_> = serde_json::from_slice(&answer.body).map_err(Error::Decode)?;
            let items: Vec<&str> = list.items.unwrap_or_default().into_iter().map(RawValue::get).collect();
            each(&items);
            match list.metadata.next {
                Some(token) if !token.is_empty() => next = token,
                _ => return Ok(list.metadata.resource_version),
            }
        }
    }

    /// The API server's version, as it says it: `v1.36.3`.
    ///
    /// # Errors
    /// When it can't be reached.
    pub async fn server_version(&self) -> Result<String, Error> {
        let answer = self.call(&Call::new(Verb::Get, Method::GET, "", "/version".into())).await?;
        decode::<Version>(&answer.body).map(|version| version.git_version)
    }

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
            let call = Call { accept: discovery::ACCEPT, ..Call::new(Verb::Get, Method::GET, "", path.into()) };
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
    pub(super) fn note_kinds_of(&self, key: &ObjectKey) {
        if matches!(key.kind.as_str(), "CustomResourceDefinition" | "APIService") {
            *self.shared.kinds_changed.write() = Some(Instant::now());
            self.shared.kinds_notify.notify_waiters();
        }
    }

    /// Ends when kinds may have come or gone.
    pub(super) fn kinds_changed(&self) -> impl Future<Output = ()> + '_ {
        self.shared.kinds_notify.notified()
    }

    /// True for a while after kinds may have come or gone.
    pub(super) fn kinds_changed_lately(&self) -> bool {
        self.shared.kinds_changed.read().is_some_and(|changed| changed.elapsed() < AFTER_CHANGE)
    }

    fn discovery_pause(&self) -> Duration {
        if self.kinds_changed_lately() { DISCOVERY_PAUSE_AFTER_CHANGE } else { DISCOVERY_PAUSE }
    }

    pub(super) fn streams_lists(&self) -> bool {
        self.shared.streams_lists.load(Ordering::Relaxed)
    }

    pub(super) fn note_no_streaming_lists(&self) {
        self.shared.streams_lists.store(false, Ordering::Relaxed);
    }

    /// Opens a watch. It has its share of a connection for as long as the permit lives.
    pub(super) async fn begin_watch(&self, call: &Call) -> Result<(http::Response<Body>, OwnedSemaphorePermit), Error> {
        let (client, share) = self.shared.watches.client()?;
        let request = self.request(call)?;
        let result = match client.send(request).await {
            Ok(response) if response.status().is_success() => Ok(response),
            Ok(response) => match read(response, &call.plural).await {
                Ok(_) => Err(Error::Transport("the answer to a watch is no stream".into())),
                Err(error) => Err(error),
            },
            Err(error) => Err(Error::Transport(error.into())),
        };
        self.count(call.verb, &result);
        result.map(|response| (response, share))
    }

    fn applied(&self, answer: RawAnswer, want_body: bool) -> Result<Applied, Error> {
        let text = std::str::from_utf8(&answer.body).map_err(|error| Error::Decode(serde::de::Error::custom(error)))?;
        let record = self.shared.reader.read(text).map_err(Error::Decode)?.record;
        self.note_kinds_of(&record.key);
        let body = if want_body { Some(decode(&answer.body)?) } else { None };
        Ok(Applied { record, body, warnings: answer.warnings })
    }

    async fn call(&self, call: &Call) -> Result<RawAnswer, Error> {
        let queue = match call.verb {
            Verb::Apply | Verb::DryRun | Verb::Delete => Queue::Bulk,
            _ => Queue::Single,
        };
        let repeat = if call.verb == Verb::Create { Repeat::Unsafe } else { Repeat::Safe };
        self.shared.pace.run(queue, repeat, self.patience, || self.attempt(call)).await
    }

    /// Lets no write leave, but to the lease itself, until it is told otherwise: who can't renew its lease must not
    /// write any more by the time another one may.
    pub(crate) fn hold_writes(&self, holds: bool) {
        self.shared.holds_writes.store(holds, Ordering::Relaxed);
    }

    async fn attempt(&self, call: &Call) -> Result<RawAnswer, Error> {
        let changes_something = call.method != Method::GET && call.plural != "leases";
        if changes_something && self.shared.holds_writes.load(Ordering::Relaxed) {
            return Err(Error::Transport("the lease is not renewed, another daemon may lead".into()));
        }
        let request = self.request(call)?;
        let result = match timeout(DEADLINE, exchange(&self.shared.requests, request, &call.plural)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout { after: DEADLINE }),
        };
        self.count(call.verb, &result);
        result
    }

    fn count<T>(&self, verb: Verb, result: &Result<T, Error>) {
        let code = match result {
            Ok(_) => 200,
            Err(error) => error.answer().map_or(0, |answer| answer.code),
        };
        let counts = &self.shared.counts;
        counts.made[verb as usize].fetch_add(1, Ordering::Relaxed);
        if code != 200 {
            counts.failed[verb as usize].fetch_add(1, Ordering::Relaxed);
        }
        if let Some(metrics) = self.shared.metrics.get() {
            metrics.requested(verb.as_str(), code);
        }
    }

    fn request(&self, call: &Call) -> Result<Request<Body>, Error> {
        let mut request = Request::builder().method(call.method.clone()).uri(&call.uri).header(ACCEPT, call.accept);
        if let Some((content_type, _)) = &call.body {
            request = request.header(CONTENT_TYPE, *content_type);
        }
        for (name, value) in &*self.impersonated {
            request = request.header(name, value);
        }
        let body = call.body.as_ref().map_or_else(Body::empty, |(_, body)| Body::from(body.clone()));
        request.body(body).map_err(|error| Error::Transport(error.into()))
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("server", &self.shared.server).finish_non_exhaustive()
    }
}

const JSON: &str = "application/json";
const MANAGER: (&str, &str) = ("fieldManager", FIELD_MANAGER);

/// A request that can be made again.
pub(super) struct Call {
    verb: Verb,
    method: Method,
    plural: SmolStr,
    uri: String,
    accept: &'static str,
    body: Option<(&'static str, Bytes)>,
}

impl Call {
    pub(super) fn new(verb: Verb, method: Method, plural: &str, uri: String) -> Self {
        Call { verb, method, plural: plural.into(), uri, accept: JSON, body: None }
    }

    fn sending(mut self, content_type: &'static str, body: Bytes) -> Self {
        self.body = Some((content_type, body));
        self
    }
}

struct RawAnswer {
    body: Bytes,
    warnings: Vec<String>,
}

async fn exchange(client: &kube::Client, request: Request<Body>, plural: &str) -> Result<RawAnswer, Error> {
    let response = client.send(request).await.map_err(|error| Error::Transport(error.into()))?;
    read(response, plural).await
}

async fn read(response: http::Response<Body>, plural: &str) -> Result<RawAnswer, Error> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| Error::Transport(error.into()))?.to_bytes();
    if !parts.status.is_success() {
        let retry_after = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        return Err(Error::from_answer(parts.status.as_u16(), &body, retry_after.map(Duration::from_secs), plural));
    }
    let warnings = parts.headers.get_all(http::header::WARNING).iter().filter_map(warning).collect();
    Ok(RawAnswer { body, warnings })
}

/// `299 - "text"`, as RFC 7234 writes it.
fn warning(value: &HeaderValue) -> Option<String> {
    let (_, text) = value.to_str().ok()?.split_once('"')?;
    Some(text.strip_suffix('"').unwrap_or(text).replace("\\\"", "\"").replace("\\\\", "\\"))
}

fn in_pod() -> bool {
    std::path::Path::new("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()
}

#[derive(serde::Deserialize)]
struct KindOnly {
    kind: SmolStr,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

#[derive(serde::Deserialize)]
struct List<'a> {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

fn encode(value: &Value) -> Result<Bytes, Error> {
    serde_json::to_vec(value).map(Bytes::from).map_err(Error::Decode)
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(Error::Decode)
}

pub(super) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// `/apis/apps/v1/namespaces/shop/deployments`.
pub(super) fn list_path(group: &str, version: &str, namespace: Option<&str>, resource: &Resource) -> String {
    let root = if group.is_empty() { "/api" } else { "/apis" };
    let mut path = format!("{root}/{}", api_version(group, version));
    if let Some(namespace) = namespace.filter(|_| resource.namespaced) {
        path.push_str("/namespaces/");
        path.push_str(&escaped(namespace));
    }
    path.push('/');
    path.push_str(&resource.plural);
    path
}

fn object_path(key: &ObjectKey, version: &str, resource: &Resource, part: Part) -> String {
    // Where an object names no namespace the API server would take the path for another resource's.
    let namespace = key.namespace.as_deref().unwrap_or("default");
    let list = list_path(&key.group, version, Some(namespace), resource);
    let part = match part {
        Part::Whole => "",
        Part::Status => "/status",
    };
    format!("{list}/{}{part}", escaped(&key.name))
}

pub(super) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let mut uri = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        uri.push(if index == 0 { '?' } else { '&' });
        uri.push_str(name);
        uri.push('=');
        uri.push_str(&escaped(value));
    }
    uri
}

/// Percent-encoded: nothing that comes from a file reaches another path than the one that is meant.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    // As a whole segment these would be taken for steps up.
    if matches!(&*escaped, "." | "..") { escaped.replace('.', "%2E") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(group: &str, namespace: Option<&str>, name: &str) -> ObjectKey {
        ObjectKey { group: group.into(), kind: "X".into(), namespace: namespace.map(Into::into), name: name.into() }
    }

    #[test]
    fn paths_are_those_of_the_api_conventions() {
        let resource = |namespaced| Resource { plural: "xs".into(), namespaced, watchable: true, writable: true };
        let cases = [
            (key("", Some("n"), "a"), true, "/api/v1/namespaces/n/xs/a"),
            (key("apps", Some("n"), "a"), true, "/apis/apps/v1/namespaces/n/xs/a"),
            (key("apps", None, "a"), true, "/apis/apps/v1/namespaces/default/xs/a"),
            (key("apps", None, "a"), false, "/apis/apps/v1/xs/a"),
            (key("apps", Some("n"), "a"), false, "/apis/apps/v1/xs/a"),
            (key("", Some("n"), "system:a/b"), true, "/api/v1/namespaces/n/xs/system%3Aa%2Fb"),
            (key("", Some(".."), ".."), true, "/api/v1/namespaces/%2E%2E/xs/%2E%2E"),
            (key("", Some("n"), "a?x=y#z"), true, "/api/v1/namespaces/n/xs/a%3Fx%3Dy%23z"),
        ];
        for (key, namespaced, expected) in cases {
            assert_eq!(object_path(&key, "v1", &resource(namespaced), Part::Whole), expected);
        }
        assert!(object_path(&key("", None, "a"), "v1", &resource(false), Part::Status).ends_with("/xs/a/status"));
        assert_eq!(with_query("/x", &[("a", "b=c,d"), ("e", "f")]), "/x?a=b%3Dc%2Cd&e=f");
    }

    #[test]
    fn warnings_are_read_from_their_header() {
        let value = HeaderValue::from_static(r#"299 - "hides previous definition of \"P\"""#);
        assert_eq!(warning(&value).unwrap(), r#"hides previous definition of "P""#);
    }
}
