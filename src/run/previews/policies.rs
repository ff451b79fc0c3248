//! What has to be read of a cluster to say what its admission policies will say.
//!
//! **In:** an environment, compared; its cluster, if it may be asked. **Out:** verdicts at the changes. **May not:** read
//! for a policy that comes with the pull request: it could ask for anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use smol_str::SmolStr;

use super::watched::Watched;
use crate::api::argo::PreviewRule;
use crate::live::client::{Cluster, Error, ListOptions};
use crate::object::{GroupKind, ObjectKey};
use crate::policy::admission::{BINDING, GROUP, POLICY};
use crate::policy::{Policies, Wanted};
use crate::preview::policies::{Known, Renders, in_force, judge as judge_all};
use crate::preview::{Change, EnvironmentPreview, Reach};

/// The versions in which policies are served, the newest first.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// What a comparison has asked a cluster already.
#[derive(Default)]
pub(crate) struct Asked {
    /// The cluster; nothing where it may not be asked.
    pub(crate) cluster: Option<Cluster>,
    /// What is watched of it; nothing where it is asked once only.
    pub(crate) watched: Option<Arc<Watched>>,
    /// What dry runs made of the changed objects.
    pub(crate) foreseen: BTreeMap<ObjectKey, Value>,
    /// The rules of each application's project.
    pub(crate) rules: BTreeMap<SmolStr, Vec<PreviewRule>>,
}

/// Notes at each change what the policies of the environment say to it.
pub(crate) async fn judge(environment: &mut EnvironmentPreview, asked: Asked) {
    let (base, merged) = (environment.facts.base.clone(), environment.facts.merged.clone());
    judge_with(environment, &Renders { base: &base, merged: &merged }, asked).await;
}

/// The same, where more is rendered than what changes.
pub(crate) async fn judge_with(environment: &mut EnvironmentPreview, renders: &Renders<'_>, asked: Asked) {
    let mut changes = environment.applications.iter().flat_map(|application| application.outcome.changes());
    if !changes.any(Change::is_step) {
        return;
    }
    let mut known = Known { foreseen: asked.foreseen, ..Known::default() };
    // Of one that does not answer the comment says so already.
    let cluster = asked.cluster.as_ref().filter(|_| environment.reach == Reach::Compared);
    if let Some(cluster) = cluster {
        match policies(cluster, asked.watched.as_deref()).await {
            Ok(policies) => known.policies = policies,
            Err(error) => environment.facts.unread_policies = Some(error.to_string()),
        }
    }
    let policies = in_force(environment, renders, &known.policies);
    if policies.is_empty() {
        return;
    }
    if let Some(cluster) = cluster {
        surroundings(cluster, asked.watched.as_deref(), environment, &policies, &mut known).await;
    }
    tokio::task::block_in_place(|| judge_all(environment, &policies, renders, known));
}

/// The policies and bindings of a cluster; none where it is too old to have any.
async fn policies(cluster: &Cluster, watched: Option<&Watched>) -> Result<Vec<Value>, Error> {
    if let Some(watched) = watched
        && let Some(policies) = watched.policies().await
    {
        return Ok(policies);
    }
    let mut all = Vec::new();
    for kind in [POLICY, BINDING] {
        for version in VERSIONS {
            match cluster.list(&GroupKind::new(GROUP, kind), version, &ListOptions::default()).await {
                Ok(found) => {
                    all.extend(found);
                    break;
                }
                Err(Error::NoKind { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(all)
}

/// Reads namespaces, parameters, and the names of kinds. What cannot be read is not known.
async fn surroundings(
    cluster: &Cluster,
    watched: Option<&Watched>,
    environment: &EnvironmentPreview,
    policies: &Policies,
    known: &mut Known,
) {
    let changes = environment.applications.iter().flat_map(|application| application.outcome.changes());
    let changes: Vec<&Change> = changes.filter(|change| change.is_step()).collect();
    let namespaces: BTreeSet<SmolStr> = changes.iter().filter_map(|change| change.key.namespace.clone()).collect();
    for name in &namespaces {
        if let Some(body) = namespace(cluster, watched, name).await {
            known.around.namespaces.insert(name.clone(), body);
        }
    }
    let Ok(discovery) = cluster.discovery().await else { return };
    for (kind, _) in policies.kinds_wanted() {
        if discovery.is_namespaced(&kind) == Some(false) {
            known.around.unspaced.insert(kind);
        }
    }
    for change in changes {
        if let Ok(resource) = cluster.resource(&change.key.group_kind(), &change.version).await {
            known.plurals.insert(change.key.group_kind(), resource.plural);
        }
    }
    for wanted in policies.wanted(&namespaces, &known.around.unspaced) {
        if let Ok(found) = parameters(cluster, &wanted).await {
            known.around.found.insert(wanted, found);
        }
    }
}

async fn namespace(cluster: &Cluster, watched: Option<&Watched>, name: &SmolStr) -> Option<Value> {
    if let Some(watched) = watched
        && let Some(found) = watched.namespace(name).await
    {
        return found;
    }
    let key = ObjectKey { group: "".into(), kind: "Namespace".into(), namespace: None, name: name.clone() };
    cluster.find(&key, "v1").await.ok().flatten()
}

async fn parameters(cluster: &Cluster, wanted: &Wanted) -> Result<Vec<Value>, Error> {
    let Wanted { kind, version, namespace, name } = wanted;
    match name {
        Some(name) => {
            let GroupKind { group, kind } = kind.clone();
            let key = ObjectKey { group, kind, namespace: namespace.clone(), name: name.clone() };
            Ok(cluster.find(&key, version).await?.into_iter().collect())
        }
        None => {
            let options = ListOptions { namespace: namespace.clone(), ..ListOptions::default() };
            cluster.list(kind, version, &options).await
        }
    }
}
