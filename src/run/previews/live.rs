//! What the cluster holds of the objects that a pull request changes, and what it says to their change: one read and one dry
//! run each, and nothing of any other.
//!
//! **In:** a [`Look`] at the merge result, what differs. **Out:** bodies, and the few facts that risks depend on. **May
//! not:** show what the application does not manage: a pull request could name any object of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use serde_json::Value;

use super::super::look::Look;
use crate::live::client::{self, ApplyOptions, Cluster};
use crate::object::{GroupKind, Object, ObjectKey};
use crate::plan::hook::Role;
use crate::preview::attribute::Declared;
use crate::preview::{Change, ChangeKind, Facts, Live, Manager};
use crate::sync::apply;

/// Requests under way at once.
const AT_ONCE: usize = 8;

/// The live bodies of what differs.
pub(super) async fn bodies(look: &Look, declared: &[Declared]) -> BTreeMap<ObjectKey, Live> {
    let live = look.live();
    let asked: Vec<_> = declared
        .iter()
        .filter(|one| !one.key.name.is_empty())
        .map(|one| {
            let version = one.after.as_ref().or(one.before.as_ref()).map(|object| object.version.clone());
            let holder = live.records.get(&one.key).and_then(|record| record.tracking.as_ref());
            let holder =
                holder.filter(|tracking| tracking.is_of(&one.key)).map(|tracking| tracking.application.clone());
            (one.key.clone(), version.unwrap_or_default(), holder)
        })
        .collect();
    let own = &look.owner.application;
    futures::stream::iter(asked)
        .map(|(key, version, holder)| async move {
            let found = look.cluster.find(&key, &version).await;
            let live = match (found, holder) {
                (Err(_), _) => Live::Unknown,
                (Ok(None), _) => Live::Absent,
                (Ok(Some(body)), Some(holder)) if holder == *own => Live::Ours(body),
                (Ok(Some(_)), Some(holder)) => Live::Hidden(Manager::Application(holder)),
                (Ok(Some(body)), None) => Live::Hidden(tool(&body)),
            };
            (key, live)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// Notes what the API server says to a dry run of each change: what it would refuse is seen before the merge. What it would
/// take is handed back as it would make it.
pub(super) async fn foretell(look: &Look, changes: &mut [Change]) -> BTreeMap<ObjectKey, Value> {
    let asked: Vec<(usize, Arc<Object>)> = changes
        .iter()
        .enumerate()
        .filter(|(_, change)| fits_what_is_there(change))
        .filter_map(|(at, change)| Some((at, change.after.clone()?)))
        .collect();
    let options = ApplyOptions { dry_run: true, force: true, want_body: true, ..ApplyOptions::default() };
    let options = &options;
    let answers: Vec<(usize, Foretold)> = futures::stream::iter(asked)
        .map(|(at, object)| async move {
            let answer = apply::apply(&look.cluster, &object, options).await;
            (at, answer.map(|done| done.applied.body).map_err(|error| refusal(&error)))
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut foreseen = BTreeMap::new();
    for (at, answer) in answers {
        match answer {
            Ok(body) => foreseen.extend(body.map(|body| (changes[at].key.clone(), body))),
            Err(refused) => changes[at].refused = refused,
        }
    }
    foreseen
}

/// What is put in its place has not to fit what is there, nor has a hook, whose last instance is gone by then; what is not
/// ours is not looked at so closely.
fn fits_what_is_there(change: &Change) -> bool {
    let is_applied = matches!(change.kind, ChangeKind::Create | ChangeKind::Change);
    let is_hook = change.after.as_ref().is_some_and(|object| Role::of(object) != Role::Kept);
    let is_made_anew = is_hook && !matches!(change.live, Live::Absent);
    is_applied && !is_made_anew && !matches!(change.live, Live::Hidden(_)) && !change.key.name.is_empty()
}

/// What it would be, or what speaks against it.
type Foretold = Result<Option<Value>, Option<String>>;

/// What of an answer speaks against the object: neither an outage, nor what comes with the same sync, nor a webhook that no
/// dry run may ask.
fn refusal(error: &client::Error) -> Option<String> {
    use client::Error;
    match error {
        Error::AdmissionRefused { .. }
        | Error::Invalid { .. }
        | Error::SchemaRefused(_)
        | Error::QuotaExceeded(_)
        | Error::Forbidden(_)
        | Error::BadRequest(_) => {
            let message = error.message().unwrap_or_default();
            (!message.contains("does not support dry run")).then(|| message.to_owned())
        }
        _ => None,
    }
}

/// Who says that it manages an object, by the label that tools agree on.
fn tool(body: &Value) -> Manager {
    match body["metadata"]["labels"]["app.kubernetes.io/managed-by"].as_str() {
        Some(name) => Manager::Tool(name.into()),
        None => Manager::Nobody,
    }
}

/// What else has to be known of the cluster to tell what a change may do.
pub(super) async fn facts(look: &Look, declared: &[Declared]) -> Facts {
    let mut facts = Facts::default();
    let kinds: BTreeSet<&str> = declared.iter().map(|one| one.key.kind.as_str()).collect();
    let cluster = &look.cluster;
    if kinds.contains("DaemonSet") {
        facts.nodes = cluster.number_of(&GroupKind::new("", "Node"), "v1").await.ok();
    }
    for one in declared.iter().filter(|one| one.after.is_none()) {
        match one.key.kind.as_str() {
            "PersistentVolumeClaim" => volume_of(cluster, one, &mut facts).await,
            "CustomResourceDefinition" => instances_of(cluster, one, &mut facts).await,
            _ => {}
        }
    }
    facts
}

/// The volume that a claim is bound to: its policy says what becomes of the data.
async fn volume_of(cluster: &Cluster, claim: &Declared, facts: &mut Facts) {
    let Ok(Some(body)) = cluster.find(&claim.key, "v1").await else { return };
    if let Some(name) = body["spec"]["volumeName"].as_str() {
        let key = ObjectKey { group: "".into(), kind: "PersistentVolume".into(), namespace: None, name: name.into() };
        if let Ok(Some(volume)) = cluster.find(&key, "v1").await {
            facts.cluster.insert(key, volume);
        }
    }
    facts.cluster.insert(claim.key.clone(), body);
}

/// How many instances go with a definition.
async fn instances_of(cluster: &Cluster, definition: &Declared, facts: &mut Facts) {
    let Some(body) = definition.before.as_ref().map(|object| &object.body) else { return };
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = GroupKind::new(text("/spec/group"), text("/spec/names/kind"));
    let versions = body["spec"]["versions"].as_array().into_iter().flatten();
    let Some(version) =
        versions.filter(|version| version["served"] == true).find_map(|version| version["name"].as_str())
    else {
        return;
    };
    if let Ok(count) = cluster.number_of(&kind, version).await {
        facts.instances.insert(definition.key.name.clone(), count);
    }
}
