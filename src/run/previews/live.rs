//! What the cluster holds of the objects that a pull request changes, and what it says to their change: one read and one dry
//! run each, and nothing of any other.
//!
//! **In:** a [`Look`] at the merge result, what differs. **Out:** bodies, and the facts that [`questions`] asks for. **May
//! not:** show what the application does not manage: a pull request could name any object of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use serde_json::Value;
use smol_str::SmolStr;

use super::super::look::Look;
use crate::live::client::{self, ApplyOptions, Cluster, ListOptions};
use crate::object::{GroupKind, Object, ObjectKey};
use crate::plan::hook::Role;
use crate::preview::attribute::Declared;
use crate::preview::question::{Question, questions};
use crate::preview::{Change, ChangeKind, Facts, Live, Manager};
use crate::sync::apply;
use crate::sync::repair::{self, FieldPath};

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

/// What dry runs have told of the changes that nothing speaks against.
#[derive(Default)]
pub(super) struct Foretold {
    /// The objects as the API server would make them.
    pub(super) foreseen: BTreeMap<ObjectKey, Value>,
    /// Fields that no schema has, and that the base does not have either.
    pub(super) undeclared: BTreeMap<ObjectKey, Vec<String>>,
}

/// Notes what the API server says to a dry run of each change: what it would refuse is seen before the merge. What it would
/// take is handed back as it would make it.
pub(super) async fn foretell(look: &Look, changes: &mut [Change]) -> Foretold {
    let asked: Vec<(usize, Arc<Object>)> = changes
        .iter()
        .enumerate()
        .filter(|(_, change)| fits_what_is_there(change))
        .filter_map(|(at, change)| Some((at, change.after.clone()?)))
        .collect();
    let options = ApplyOptions { dry_run: true, force: true, want_body: true, ..ApplyOptions::default() };
    let options = &options;
    let answers: Vec<(usize, Result<apply::Done, client::Error>)> = futures::stream::iter(asked)
        .map(|(at, object)| async move { (at, apply::apply(&look.cluster, &object, options).await) })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut foretold = Foretold::default();
    for (at, answer) in answers {
        let change = &mut changes[at];
        match answer {
            Ok(apply::Done { applied, dropped }) => {
                foretold.foreseen.extend(applied.body.map(|body| (change.key.clone(), body)));
                let is_new = |path: &&FieldPath| {
                    change.before.as_ref().is_none_or(|before| !repair::remove(&mut before.body.clone(), path))
                };
                let new: Vec<String> = dropped.iter().filter(is_new).map(ToString::to_string).collect();
                if !new.is_empty() {
                    foretold.undeclared.insert(change.key.clone(), new);
                }
            }
            Err(error) => change.refused = refusal(&error),
        }
    }
    foretold
}

/// What is put in its place has not to fit what is there, nor has a hook, whose last instance is gone by then; what is not
/// ours is not looked at so closely.
fn fits_what_is_there(change: &Change) -> bool {
    let is_applied = matches!(change.kind, ChangeKind::Create | ChangeKind::Change);
    let is_hook = change.after.as_ref().is_some_and(|object| Role::of(object) != Role::Kept);
    let is_made_anew = is_hook && !matches!(change.live, Live::Absent);
    is_applied && !is_made_anew && !matches!(change.live, Live::Hidden(_)) && !change.key.name.is_empty()
}

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

/// What else has to be known of the cluster to tell what a change may do. What nobody answers is not known.
pub(super) async fn facts(look: &Look, declared: &[Declared], bodies: &BTreeMap<ObjectKey, Live>) -> Facts {
    let mut facts = Facts::default();
    for question in questions(declared, bodies) {
        answer(look, question, &mut facts).await;
    }
    facts
}

async fn answer(look: &Look, question: Question, facts: &mut Facts) {
    let cluster = &look.cluster;
    let core = |kind: &str| GroupKind::new("", kind);
    match question {
        Question::Nodes => facts.nodes = cluster.number_of(&core("Node"), "v1").await.ok(),
        Question::Managed(namespace) => {
            let counts = look.store.number_in(&namespace);
            facts.managed.insert(namespace, counts);
        }
        Question::Instances { definition, kind, version } => {
            if let Ok(count) = cluster.number_of(&kind, &version).await {
                facts.instances.insert(definition, count);
            }
        }
        Question::Quotas(namespace) => {
            let options = ListOptions { namespace: Some(namespace.clone()), ..ListOptions::default() };
            let quotas = cluster.list(&core("ResourceQuota"), "v1", &options).await.unwrap_or_default();
            for quota in quotas {
                let name = quota["metadata"]["name"].as_str().unwrap_or_default().into();
                let GroupKind { group, kind } = core("ResourceQuota");
                facts.cluster.insert(ObjectKey { group, kind, namespace: Some(namespace.clone()), name }, quota);
            }
        }
        Question::Volume(name) => one_of_cluster(cluster, core("PersistentVolume"), name, facts).await,
        Question::Class(name) => {
            one_of_cluster(cluster, GroupKind::new("storage.k8s.io", "StorageClass"), name, facts).await;
        }
        Question::Served(kind, version) => {
            let served = facts.served.get_or_insert_default();
            // Only a group that answers can say that it has no such kind.
            if !matches!(cluster.resource(&kind, &version).await, Err(client::Error::NoKind { .. })) {
                served.kinds.insert((kind, version));
            }
        }
        Question::Minor => {
            let version = cluster.server_version().await.unwrap_or_default();
            let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok());
            let served = facts.served.get_or_insert_default();
            served.minor = served.minor.or(minor);
        }
    }
}

/// Reads an object that is in no namespace.
async fn one_of_cluster(cluster: &Cluster, kind: GroupKind, name: SmolStr, facts: &mut Facts) {
    let GroupKind { group, kind } = kind;
    let key = ObjectKey { group, kind, namespace: None, name };
    if let Ok(Some(body)) = cluster.find(&key, "v1").await {
        facts.cluster.insert(key, body);
    }
}
