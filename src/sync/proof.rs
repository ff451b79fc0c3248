//! Whether an apply would change anything, where none is on record: a dry run each.
//!
//! **In:** a plan whose objects are not all compared. **Out:** a [`Proof`] of each of these. **May not:** write, or be
//! asked at rest: it costs a request for each object.
//!
//! A dry run goes through defaulting, conversion and admission as an apply does, so what it answers needs no
//! normalisation. Admission webhooks with side effects refuse dry runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;

use super::apply;
use crate::live::LiveView;
use crate::live::client::{ApplyOptions, Cluster, Error};
use crate::object::Object;
use crate::plan::{Baseline, Desired, Plan};

/// Dry runs under way at once; the cluster's pace bounds them with all else.
const AT_ONCE: usize = 16;

/// What a dry run says of an object.
#[derive(Debug)]
pub struct Proof {
    /// As git wants it.
    pub object: Arc<Object>,
    /// What an apply would fail with.
    pub error: Option<Error>,
    /// What the object is compared with from now on; `None` when the API server did not answer.
    pub baseline: Option<Baseline>,
}

/// Proves what a plan could not compare.
pub async fn prove(cluster: &Cluster, desired: &Desired, live: &LiveView, plan: &Plan) -> Vec<Proof> {
    if plan.unproven.is_empty() {
        return Vec::new();
    }
    let wanted: BTreeMap<_, _> = desired.objects.iter().map(|wanted| (&wanted.object.key, wanted)).collect();
    let asked: Vec<_> = plan
        .unproven
        .iter()
        .filter_map(|key| Some((*wanted.get(key)?, live.records.get(key)?.projection)))
        .map(|(wanted, held)| proof(cluster, wanted.object.clone(), wanted.hash, held))
        .collect();
    futures::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await
}

async fn proof(cluster: &Cluster, object: Arc<Object>, desired: u64, held: Option<u64>) -> Proof {
    let options = ApplyOptions { dry_run: true, force: true, ..ApplyOptions::default() };
    let (baseline, error) = match (apply::apply(cluster, &object, &options).await, held) {
        (Ok(done), Some(held)) if done.applied.record.projection == Some(held) => {
            (Some(Baseline::Applied { desired, projection: held }), None)
        }
        (Ok(_), _) => (Some(Baseline::Differs { desired }), None),
        (Err(error), _) if error.is_outage() => (None, Some(error)),
        (Err(error), _) => (Some(Baseline::Differs { desired }), Some(error)),
    };
    Proof { object, error, baseline }
}
