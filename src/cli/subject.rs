//! What `diff` and `sync` are about: what git, or a directory, wants of a cluster, and what that holds of it.
//!
//! **In:** a directory or an Application's name. **Out:** a [`Subject`], then a [`View`] of the cluster with the plan
//! between the two. **May not:** write to the cluster; dry runs change nothing.
//!
//! [`directory`] and [`application`] make a subject, [`change`] asks what becomes of one object.

pub(super) mod application;
pub(super) mod change;
pub(super) mod directory;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use futures::StreamExt as _;
use rustls::crypto::ring;

use super::Failure;
use super::report::{Paths, Problems};
use crate::error::Diagnostic;
use crate::live::client::{self, Cluster, FIELD_MANAGER};
use crate::live::record::{KindVersion, Reader};
use crate::live::watch::LiveStore;
use crate::live::{LiveView, Record};
use crate::object::{GroupKind, Object, ObjectKey};
use crate::plan::{
    self, Baseline, Desired, Inputs, Inventory, NamespaceState, Other, Owner, Plan, PlanKey, Policy, Project, Run,
    Scope,
};
use crate::sync::{execute, proof, repair};

/// Requests under way at once.
const AT_ONCE: usize = 16;
/// How long a cluster may take to answer at all.
const REACHED: Duration = Duration::from_secs(8);
/// How long the first lists may take.
const LISTED: Duration = Duration::from_secs(30);

/// What is wanted of a cluster, by whom, and how.
pub(super) struct Subject {
    /// As the person calls it.
    pub(super) name: String,
    /// Where that is from: a directory, or a revision with its commit.
    pub(super) from: String,
    /// The commit in hexadecimal; empty for a directory.
    pub(super) revision: String,
    pub(super) owner: Owner,
    pub(super) project: Project,
    pub(super) policy: Policy,
    pub(super) desired: Desired,
    pub(super) inventory: Inventory,
    /// What other applications want, as their status says.
    pub(super) claims: BTreeMap<ObjectKey, String>,
    /// Kinds that were applied before; what git wants now comes to them.
    pub(super) kinds_before: BTreeSet<KindVersion>,
    pub(super) warnings: Vec<Diagnostic>,
    /// The files on this machine that it was rendered from.
    pub(super) files: BTreeSet<std::path::PathBuf>,
}

/// A subject in its cluster.
pub(super) struct View {
    pub(super) subject: Subject,
    pub(super) cluster: Cluster,
    pub(super) store: LiveStore,
    pub(super) kinds: BTreeSet<KindVersion>,
    /// Live objects that git wants and that the watches do not have: somebody else made them.
    unlabelled: BTreeMap<ObjectKey, Arc<Record>>,
    pub(super) baselines: BTreeMap<ObjectKey, Baseline>,
    /// Why the API server would refuse objects; no secret in it.
    pub(super) refused: BTreeMap<ObjectKey, String>,
    key: PlanKey,
}

impl Subject {
    /// Stamps rendered objects with whose they are.
    ///
    /// # Errors
    /// When the cluster can't be asked for their kinds.
    pub(super) async fn desired(cluster: &Cluster, objects: Vec<Object>, owner: &Owner) -> Result<Desired, Failure> {
        let objects: Vec<Object> = objects.into_iter().map(repair::acceptable).collect();
        let mut discovery = reached(cluster).await?;
        if let Some(object) = objects.iter().find(|object| discovery.is_namespaced(&object.key.group_kind()).is_none())
        {
            match cluster.resource(&object.key.group_kind(), &object.version).await {
                Ok(_) | Err(client::Error::NoKind { .. } | client::Error::KindUnknown { .. }) => {}
                Err(error) => return Err(unreachable(cluster, &error)),
            }
            discovery = cluster.discovery().await.map_err(|error| unreachable(cluster, &error))?;
        }
        let scope = |kind: &GroupKind| {
            discovery.is_namespaced(kind).map(|namespaced| if namespaced { Scope::Namespaced } else { Scope::Cluster })
        };
        Ok(plan::desired(objects, owner, &scope))
    }

    /// Looks at what the cluster holds of it.
    ///
    /// # Errors
    /// When the cluster does not answer, or does not let us look.
    pub(super) async fn look(mut self, cluster: Cluster) -> Result<View, Failure> {
        let mut kinds: BTreeMap<GroupKind, KindVersion> =
            self.kinds_before.iter().map(|kind| (kind.kind.clone(), kind.clone())).collect();
        for wanted in &self.desired.objects {
            kinds.insert(wanted.object.key.group_kind(), KindVersion::of(&wanted.object));
        }
        let kinds: BTreeSet<KindVersion> = kinds.into_values().collect();
        let store = LiveStore::new(cluster.clone());
        store.watch(&kinds);
        // What can't be listed is told by the plan: nothing is pruned then.
        store.settled(&kinds, LISTED).await;
        if self.policy.options.create_namespace
            && let Some(namespace) = self.owner.namespace()
        {
            let there = cluster.find(&namespace_key(namespace), "v1").await;
            self.policy.namespace = match there.map_err(|error| unreachable(&cluster, &error))? {
                Some(_) => NamespaceState::Exists,
                None => NamespaceState::Missing,
            };
        }
        let mut view = View {
            subject: self,
            cluster,
            store,
            kinds,
            unlabelled: BTreeMap::new(),
            baselines: BTreeMap::new(),
            refused: BTreeMap::new(),
            key: plan_key()?,
        };
        view.find_unlabelled().await?;
        Ok(view)
    }
}

impl View {
    /// What git wants and the cluster has without our label: it was made by somebody else.
    async fn find_unlabelled(&mut self) -> Result<(), Failure> {
        let unknown: Vec<Arc<Object>> =
            self.subject.desired.objects.iter().map(|wanted| wanted.object.clone()).collect();
        let unknown = unknown.into_iter().filter(|object| self.store.get(&object.key).is_none());
        let cluster = self.cluster.clone();
        let asked = unknown.map(|object| {
            let cluster = cluster.clone();
            async move { (object.key.clone(), cluster.find(&object.key, &object.version).await) }
        });
        let answers: Vec<_> = futures::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        let reader = Reader { manager: FIELD_MANAGER.into() };
        for (key, answer) in answers {
            match answer {
                Ok(Some(body)) => {
                    let record =
                        reader.read(&body.to_string()).map_err(|error| anyhow!("cannot read {key}: {error}"))?;
                    self.unlabelled.insert(key, Arc::new(record.record));
                }
                Ok(None) | Err(client::Error::NoKind { .. } | client::Error::KindUnknown { .. }) => {}
                Err(error) => {
                    return Err(anyhow!("cannot look up {}", execute::failure(&error, &key, None).message).into());
                }
            }
        }
        Ok(())
    }

    /// What the cluster holds now.
    pub(super) fn live(&self) -> LiveView {
        let wanted = self.subject.desired.objects.iter().map(|wanted| &wanted.object.key);
        let mut live = self.store.view(&self.subject.owner.part_of, wanted, &self.kinds);
        for (key, record) in &self.unlabelled {
            live.records.entry(key.clone()).or_insert_with(|| record.clone());
        }
        live
    }

    /// True when a live object is there that we have never applied.
    pub(super) fn is_foreign(&self, key: &ObjectKey) -> bool {
        let record = self.store.get(key).or_else(|| self.unlabelled.get(key).cloned());
        record.is_some_and(|record| record.tracking.is_none())
    }

    /// The plan from what is known now.
    pub(super) fn plan(&self, run: &Run) -> Plan {
        let live = self.live();
        plan::plan(&Inputs {
            owner: &self.subject.owner,
            desired: &self.subject.desired,
            live: &live,
            baselines: &self.baselines,
            inventory: &self.subject.inventory,
            others: &self.others(&live),
            project: &self.subject.project,
            policy: &self.subject.policy,
            run,
            key: &self.key,
        })
    }

    /// A plan in which every object is compared: a dry run each tells what no apply is on record for.
    ///
    /// # Errors
    /// When the API server goes away meanwhile.
    pub(super) async fn proved_plan(&mut self, run: &Run) -> Result<Plan, Failure> {
        let plan = self.plan(run);
        if plan.unproven.is_empty() {
            return Ok(plan);
        }
        for proof in proof::prove(&self.cluster, &self.subject.desired, &self.live(), &plan).await {
            let key = &proof.object.key;
            match (proof.baseline, &proof.error) {
                (None, Some(error)) => return Err(unreachable(&self.cluster, error)),
                (_, Some(error)) => {
                    let failure = execute::failure(error, key, Some(&proof.object));
                    self.refused.insert(key.clone(), failure.message);
                }
                _ => {}
            }
            self.baselines.extend(proof.baseline.map(|baseline| (key.clone(), baseline)));
        }
        Ok(self.plan(run))
    }

    /// What other applications have to do with these objects.
    fn others(&self, live: &LiveView) -> BTreeMap<ObjectKey, Other> {
        let mut others = BTreeMap::new();
        let ours = &self.subject.owner.application;
        let keys = self.subject.desired.objects.iter().map(|wanted| &wanted.object.key).chain(live.records.keys());
        for key in keys {
            let tracking = live.records.get(key).and_then(|record| record.tracking.as_ref());
            let holder = tracking.filter(|tracking| tracking.is_of(key) && tracking.application != *ours);
            let wanted_by = self.subject.claims.get(key).filter(|claim| *claim != ours.as_str());
            let Some(application) =
                wanted_by.map(Into::into).or_else(|| holder.map(|holder| holder.application.clone()))
            else {
                continue;
            };
            let holds = holder.is_some_and(|holder| holder.application == application);
            // Nobody knows what another directory says by now.
            let wants = wanted_by.is_some() || directory::is_directory(&application);
            others.insert(key.clone(), Other { application, wants, holds });
        }
        others
    }

    /// The object that git wants under a key.
    pub(super) fn wanted(&self, key: &ObjectKey) -> Option<&plan::desired::Wanted> {
        self.subject.desired.objects.iter().find(|wanted| wanted.object.key == *key)
    }
}

pub(super) fn namespace_key(namespace: &str) -> ObjectKey {
    ObjectKey { group: "".into(), kind: "Namespace".into(), namespace: None, name: namespace.into() }
}

/// Discovery of a cluster that answers within a time that a person waits gladly.
///
/// # Errors
/// With what to look at when it does not.
pub(super) async fn reached(cluster: &Cluster) -> Result<Arc<crate::live::discovery::Discovery>, Failure> {
    match tokio::time::timeout(REACHED, cluster.discovery()).await {
        Ok(Ok(discovery)) => Ok(discovery),
        Ok(Err(error)) => Err(unreachable(cluster, &error)),
        Err(_) => {
            let seconds = REACHED.as_secs();
            Err(told(no_answer(cluster).with_note(format!("no answer within {seconds} s"))))
        }
    }
}

fn no_answer(cluster: &Cluster) -> Diagnostic {
    Diagnostic::new(format!("cannot reach the cluster at {}", cluster.server()))
        .with_hint("Is it running, and is it the right one? `--context` and `--kubeconfig` choose another.")
}

/// The failure of a request that is about no object of the person's.
pub(super) fn unreachable(cluster: &Cluster, error: &client::Error) -> Failure {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    if error.is_outage() {
        return told(no_answer(cluster).with_note(cause.unwrap_or_else(|| error.to_string())));
    }
    let words = error.message().map(|message| format!("{error}: {message}")).unwrap_or_else(|| error.to_string());
    let mut diagnostic = Diagnostic::new(format!("the cluster at {} refuses: {words}", cluster.server()));
    diagnostic.notes.extend(cause);
    told(diagnostic)
}

/// A problem that is no place in a file, with what to do about it.
pub(super) fn told(diagnostic: Diagnostic) -> Failure {
    Failure::Problems(Problems { found: vec![diagnostic], paths: Paths::default() })
}

/// The key of this user's plan hashes: the same for `diff` and the `sync` after it.
fn plan_key() -> anyhow::Result<PlanKey> {
    let path = state_directory().join("plan.key");
    if let Ok(bytes) = std::fs::read(&path)
        && let Ok(key) = <[u8; 32]>::try_from(bytes)
    {
        return Ok(PlanKey::new(key));
    }
    let key = random()?;
    // Where nothing can be kept, the hash is of this run alone.
    let kept = std::fs::create_dir_all(state_directory()).and_then(|()| write_private(&path, &key));
    if let Err(error) = kept {
        tracing::debug!(%error, path = %path.display(), "Key of plan hashes not kept");
    }
    Ok(PlanKey::new(key))
}

fn write_private(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}

/// Bytes that nobody can guess.
pub(super) fn random() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let random = ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| anyhow!("the system gives no random bytes"))?;
    Ok(bytes)
}

/// Where this user's commands keep what they may lose: mirrors, the key of plan hashes.
pub(super) fn state_directory() -> std::path::PathBuf {
    let of =
        |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(std::path::PathBuf::from);
    let cache = of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("leeboard")
}
