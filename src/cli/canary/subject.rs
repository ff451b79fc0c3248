//! Which canary a command is about: found by its name, read, and followed by a watch.

use std::collections::BTreeMap;

use anyhow::anyhow;
use futures::try_join;
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::Failure;
use super::super::nearest::nearest;
use super::super::subject::{reached, told, unreachable};
use super::view::{Happened, View};
use crate::api::flagger::{Canary, VERSION};
use crate::api::{self, FLAGGER_GROUP};
use crate::error::Diagnostic;
use crate::live::client::{Cluster, Error, ListOptions};
use crate::live::record::KindVersion;
use crate::live::watch::{Collection, Item, Target, typed};
use crate::object::{GroupKind, ObjectKey};

/// Every canary of a namespace, or of all.
///
/// # Errors
/// When the cluster does not answer, or does not know canaries.
pub(super) async fn list(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Canary>, Failure> {
    reached(cluster).await?;
    let options = ListOptions { namespace: namespace.map(Into::into), ..ListOptions::default() };
    match cluster.list(&kind(), VERSION, &options).await {
        // One that can't be read does not hide the others.
        Ok(all) => Ok(all.iter().filter_map(|body| api::decode(body).ok()).collect()),
        Err(Error::NoKind { .. }) => Err(told(
            Diagnostic::new(format!("the cluster at {} does not know Canaries", cluster.server()))
                .with_hint("Install the kinds with `leeboard crds | kubectl apply --server-side -f -`."),
        )),
        Err(error) => Err(unreachable(cluster, &error)),
    }
}

/// The canary that `NAMESPACE/NAME`, or a name alone, means.
///
/// # Errors
/// When there is none, or several; with the one that was meant, if one is near.
pub(super) async fn find(cluster: &Cluster, name: &str, namespace: Option<&str>) -> Result<Canary, Failure> {
    let (namespace, name) = name.split_once('/').map_or((namespace, name), |(namespace, name)| (Some(namespace), name));
    let all = list(cluster, namespace).await?;
    let places: Vec<String> = all.iter().map(place).collect();
    let mut found = all.into_iter().filter(|canary| canary.metadata.name.as_deref() == Some(name));
    let Some(canary) = found.next() else { return Err(told(there_is_none(cluster, name, namespace, &places).await)) };
    match found.next() {
        None => Ok(canary),
        Some(other) => {
            let problem = Diagnostic::new(format!("there are several canaries `{name}`"));
            Err(told(problem.with_hint(format!("Say which: `{}` or `{}`.", place(&canary), place(&other)))))
        }
    }
}

async fn there_is_none(cluster: &Cluster, name: &str, namespace: Option<&str>, places: &[String]) -> Diagnostic {
    let within = namespace.map(|namespace| format!(" in the namespace `{namespace}`")).unwrap_or_default();
    let mut problem = Diagnostic::new(format!("there is no canary `{name}`{within}"));
    let names = |places: &[String]| -> Vec<String> {
        places.iter().filter_map(|place| place.split_once('/')).map(|(_, name)| name.to_owned()).collect()
    };
    let known = names(places);
    if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
        let at = known.iter().position(|known| known == near).unwrap_or(0);
        return problem.with_hint(format!("Did you mean `{}`?", places[at]));
    }
    // Perhaps the namespace is the one that was mistyped; who may look elsewhere is told.
    let elsewhere = match namespace {
        Some(_) => list(cluster, None).await.map(|all| all.iter().map(place).collect()).unwrap_or_default(),
        None => Vec::new(),
    };
    let same: Option<&String> = elsewhere.iter().find(|place: &&String| place.ends_with(&format!("/{name}")));
    problem.hint = Some(match same {
        Some(place) => format!("Did you mean `{place}`?"),
        None if places.is_empty() && elsewhere.is_empty() => "There are none at all.".into(),
        None => "`leeboard canary status` lists them all.".into(),
    });
    problem
}

fn kind() -> GroupKind {
    GroupKind::new(FLAGGER_GROUP, "Canary")
}

/// `NAMESPACE/NAME`.
pub(super) fn place(canary: &Canary) -> String {
    let metadata = &canary.metadata;
    format!("{}/{}", metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

/// Its key.
pub(super) fn key(canary: &Canary) -> ObjectKey {
    ObjectKey {
        group: FLAGGER_GROUP.into(),
        kind: "Canary".into(),
        namespace: canary.metadata.namespace.as_deref().map(Into::into),
        name: canary.metadata.name.as_deref().unwrap_or_default().into(),
    }
}

/// Its Events, oldest first; none for who may not read them.
pub(super) async fn events(cluster: &Cluster, canary: &Canary) -> Vec<Happened> {
    let name = canary.metadata.name.as_deref().unwrap_or_default();
    let options = ListOptions {
        namespace: canary.metadata.namespace.as_deref().map(Into::into),
        labels: None,
        fields: Some(format!("involvedObject.kind=Canary,involvedObject.name={name}")),
    };
    let listed = cluster.list(&GroupKind::new("", "Event"), "v1", &options).await.unwrap_or_default();
    let mut events: Vec<Happened> = listed.iter().filter_map(Happened::of).collect();
    events.sort_by(|a, b| (a.time, &a.name).cmp(&(b.time, &b.name)));
    events
}

/// All that is shown of one canary.
pub(super) async fn view(cluster: &Cluster, canary: &Canary) -> View {
    let reference = &canary.spec.target_ref;
    let workload = |name: String| async move {
        let group =
            if matches!(reference.kind.as_str(), "Deployment" | "DaemonSet") { "apps" } else { return Ok(None) };
        let key = ObjectKey {
            group: group.into(),
            kind: reference.kind.as_str().into(),
            namespace: canary.metadata.namespace.as_deref().map(Into::into),
            name: name.into(),
        };
        cluster.find(&key, "v1").await
    };
    let pods = try_join!(workload(reference.name.clone()), workload(format!("{}-primary", reference.name)));
    // Who may not read the workloads sees the rest.
    let (target, primary) = pods.unwrap_or_default();
    let events = events(cluster, canary).await;
    View::new(canary, Timestamp::now())
        .with_images(&images(target.as_ref()), &images(primary.as_ref()))
        .with_events(events)
}

/// Images of a workload by the names of their containers.
fn images(workload: Option<&Value>) -> BTreeMap<String, String> {
    let containers = workload.and_then(|body| body["spec"]["template"]["spec"]["containers"].as_array());
    let pair = |container: &Value| Some((container["name"].as_str()?.into(), container["image"].as_str()?.into()));
    containers.into_iter().flatten().filter_map(pair).collect()
}

/// One canary, followed.
pub(super) struct Followed {
    collection: Collection<Value>,
    key: ObjectKey,
    /// Ends the watch with the value.
    _end: tokio_util::sync::DropGuard,
}

impl Followed {
    pub(super) fn new(cluster: &Cluster, key: ObjectKey) -> Self {
        let options = ListOptions {
            namespace: key.namespace.clone(),
            labels: None,
            fields: Some(format!("metadata.name={}", key.name)),
        };
        let end = CancellationToken::new();
        let target = Target { kind: KindVersion::new(kind(), VERSION), options };
        let (collection, watch) = typed::<Value>(cluster.clone(), target, end.clone());
        tokio::spawn(watch);
        Followed { collection, key, _end: end.drop_guard() }
    }

    /// As it is after its next change; at first, as it is.
    ///
    /// # Errors
    /// When it has gone, or cannot be read.
    pub(super) async fn next(&self) -> Result<Canary, Failure> {
        loop {
            let is_new = self.collection.changed().await.contains(&self.key);
            let has_gone = self.collection.is_complete() && self.collection.get(&self.key).is_none();
            if !is_new && !has_gone {
                continue;
            }
            return match self.collection.get(&self.key) {
                Some(Item::Decoded(body)) => Ok(api::decode(&body).map_err(|error| anyhow!(error))?),
                Some(Item::Undecodable { .. }) => Err(anyhow!("canary `{}` cannot be read", self.key.name).into()),
                None => Err(anyhow!("canary `{}` has gone meanwhile", self.key.name).into()),
            };
        }
    }
}
