//! What an apply would make of an object, asked of the API server without changing anything.
//!
//! **In:** a rendered object. **Out:** a [`Proof`] that live is as an apply would leave it, which is a baseline; or a
//! [`Comparison`] to show. **May not:** write, or be asked at rest: it costs a request for each object.
//!
//! A dry run goes through defaulting, conversion and admission as an apply does, so what it answers needs no
//! normalisation. Admission webhooks with side effects refuse dry runs.

use futures::StreamExt as _;
use futures::stream::{self, Stream};
use serde_json::{Map, Value};

use super::client::{ApplyOptions, Cluster, Error};
use super::record::Record;
use crate::object::{Object, ObjectKey};

/// Whether an apply would change the fields that we own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It would not: this projection is the baseline.
    InSync {
        /// What a record's projection is compared with from now on.
        baseline: u64,
    },
    /// It would: live differs from git, or other fields would be ours.
    Differs,
}

/// Proves that a live object is as an apply of this manifest would leave it.
///
/// # Errors
/// As [`Cluster::apply`]: what an apply would fail with.
pub async fn prove(cluster: &Cluster, object: &Object, live: &Record) -> Result<Proof, Error> {
    let options = ApplyOptions { dry_run: true, force: true, ..ApplyOptions::default() };
    let predicted = cluster.apply(object, &options).await?.record;
    Ok(match (predicted.projection, live.projection) {
        (Some(predicted), Some(held)) if predicted == held => Proof::InSync { baseline: held },
        _ => Proof::Differs,
    })
}

/// Proves many, as many at a time as the cluster's pace allows; answers come as they are ready.
pub fn prove_all<'a>(
    cluster: &'a Cluster,
    objects: impl IntoIterator<Item = (&'a Object, &'a Record)> + 'a,
) -> impl Stream<Item = (&'a ObjectKey, Result<Proof, Error>)> + 'a {
    // The pace decides how many are in flight; a few more wait in its queue.
    const ASKED: usize = 64;
    stream::iter(objects)
        .map(move |(object, live)| async move { (&object.key, prove(cluster, object, live).await) })
        .buffer_unordered(ASKED)
}

/// A live object, and what an apply would make of it. Without what the API server keeps for itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// `None`: it would be created.
    pub live: Option<Value>,
    /// As it would be.
    pub predicted: Value,
    /// What the API server warns of.
    pub warnings: Vec<String>,
}

/// How often a live object is read again because it changed between the two requests.
const TRIES: usize = 3;

/// Reads the live object and asks what an apply would make of it: two requests.
///
/// # Errors
/// As [`Cluster::apply`]: what an apply would fail with.
pub async fn compare(cluster: &Cluster, object: &Object) -> Result<Comparison, Error> {
    let options = ApplyOptions { dry_run: true, force: true, want_body: true, ..ApplyOptions::default() };
    let mut tries = 0;
    loop {
        let live = cluster.find(&object.key, &object.version).await?;
        let applied = cluster.apply(object, &options).await?;
        tries += 1;
        // A dry run answers with the version of the object that it started from.
        let version = live.as_ref().and_then(|live| live.pointer("/metadata/resourceVersion")?.as_str());
        if version.is_some_and(|version| version != applied.record.resource_version) && tries < TRIES {
            continue;
        }
        return Ok(Comparison {
            live: live.map(without_server_fields),
            predicted: without_server_fields(applied.body.unwrap_or_default()),
            warnings: applied.warnings,
        });
    }
}

/// The object without what no manifest has: bookkeeping in its metadata, and its status.
pub fn without_server_fields(mut body: Value) -> Value {
    let Value::Object(map) = &mut body else { return body };
    map.shift_remove("status");
    if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
        for field in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"] {
            metadata.shift_remove(field);
        }
        metadata.retain(|_, value| *value != Value::Object(Map::new()));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_manifest_can_say_is_left() {
        let live = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 2,
                         "creationTimestamp": "2026-11-21T07:16:29Z", "labels": {"app": "web"}, "annotations": {},
                         "managedFields": [{}]},
            "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1"}, "status": {"loadBalancer": {}},
        });
        assert_eq!(
            without_server_fields(live),
            json!({"apiVersion": "v1", "kind": "Service",
                   "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
                   "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1"}})
        );
    }
}
