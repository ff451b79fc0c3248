//! What a pull request would change in which cluster, and how its readers are told.
//!
//! **In:** the objects that the base and the merge result render to, the plan of each application, the bodies of what
//! is live, and what the cluster knows ([`Facts`]). **Out:** [`risk`]s, and texts for a forge: one comment, one status,
//! later the closing edit. **May not:** do I/O, read a clock, log, or say anything that depends on the order of a hash
//! map; show a secret's value, its length or a hash of it.
//!
//! A pull request is compared twice. *Declared* is what it does: the base's render against the merge result's. *Planned*
//! is what a sync would do now. Shown are the planned steps of what is declared; the rest is only counted.
//!
//! Read [`attribute`] (from renders and a plan to [`Change`]s), [`risk`] (what a reader has to know first), [`mask`]
//! (what no reader may see), [`shape`] (how one object's change becomes lines), then [`comment`]; [`full`] has all of it
//! for programs and pages.

pub mod annotation;
pub mod attribute;
pub mod carried;
pub mod closing;
pub mod command;
pub mod comment;
pub mod ephemeral;
mod escape;
pub mod explain;
pub mod full;
mod generated;
pub mod mask;
pub mod phrase;
pub mod policies;
pub mod question;
pub mod risk;
pub mod rules;
pub mod shape;
pub mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;

use crate::error::{Diagnostic, Origin};
use crate::object::{GroupKind, Object, ObjectKey};
use crate::plan::prune::Stays;
use crate::plan::{Phase, PlanHash, Refusal, Wave};
use crate::policy::Verdict;

/// What one pull request would change, everywhere.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The installation's name: each owns one comment.
    pub instance: SmolStr,
    /// The pull request.
    pub pull: Pull,
    /// One for each environment and cluster, in the order in which changes are promoted.
    pub environments: Vec<EnvironmentPreview>,
    /// Where it is deployed already, before it is merged.
    pub deployed: Vec<ephemeral::Deployed>,
    /// The environments that commits of the target branch are carried to next, step by step ([`carried`]), when the pull
    /// request changes something that is deployed there.
    pub carried: Vec<Vec<SmolStr>>,
}

/// A pull request at two commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Its number on the forge.
    pub number: u64,
    /// The commit that it proposes, in hexadecimal.
    pub head: SmolStr,
    /// The target branch's commit that it was merged with.
    pub base: SmolStr,
}

/// What would change in one environment's cluster.
#[derive(Clone, Debug)]
pub struct EnvironmentPreview {
    /// The environment.
    pub name: SmolStr,
    /// The cluster.
    pub cluster: SmolStr,
    /// Whether the cluster was asked.
    pub reach: Reach,
    /// Those that the pull request touches.
    pub applications: Vec<ApplicationPreview>,
    /// What the rules on risks may look at.
    pub facts: Facts,
}

/// Whether a cluster was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It was: plans and live facts hold.
    Compared,
    /// It did not answer, or not completely.
    Unreachable(SmolStr),
    /// On purpose: the pull request comes from a fork.
    NotAsked,
}

/// What would change of one application.
#[derive(Clone, Debug)]
pub struct ApplicationPreview {
    /// Its name.
    pub name: SmolStr,
    /// What became of the attempt.
    pub outcome: Outcome,
}

/// What a sync of an application would do.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was rendered and compared.
    Planned(Planned),
    /// It does not render; what is applied stays.
    Failed(Vec<Diagnostic>),
    /// Nothing would be done until a person confirms it.
    Held(Held),
    /// The pull request removes the application itself.
    Removed(Removal),
}

/// The changes of one application.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Of the pull request, in the order of execution.
    pub changes: Vec<Change>,
    /// What a sync would do besides, whatever becomes of the pull request.
    pub pending: Vec<Pending>,
    /// While one is here nothing would be written.
    pub refusals: Vec<Refusal>,
    /// So many prunes of so many objects would wait for a person's word.
    pub guarded: Option<Held>,
    /// Of the plan that a sync would execute; `None` while there is no plan.
    pub hash: Option<PlanHash>,
}

/// Deletions that wait for a person's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Why they wait.
    pub because: HeldBecause,
    /// Objects that would be deleted.
    pub prunes: usize,
    /// Objects that there are.
    pub of: usize,
}

/// Why deletions wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBecause {
    /// The cluster directory is gone.
    DirectoryGone,
    /// Nothing is left of the manifest.
    Empty,
    /// Too much of it goes at once.
    Shrunk,
}

/// An application that goes from this cluster.
#[derive(Clone, Debug)]
pub struct Removal {
    /// Its objects.
    pub changes: Vec<Change>,
    /// What becomes of them.
    pub objects: Leftovers,
    /// The cluster that it moves to.
    pub moves_to: Option<SmolStr>,
    /// Of the plan that a sync would execute; `None` while there is no plan.
    pub hash: Option<PlanHash>,
}

/// What becomes of a removed application's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// They are deleted with it.
    Go,
    /// They stay, and nobody manages them.
    Stay,
}

/// How one object changes by the pull request. Bodies hold secret values: they are shown by way of [`mask`] only.
#[derive(Clone)]
pub struct Change {
    /// Which object; the new one's where a generated name changes.
    pub key: ObjectKey,
    /// The version part of its API version.
    pub version: SmolStr,
    /// The phase in which a sync comes to it.
    pub phase: Phase,
    /// The wave in which a sync comes to it.
    pub wave: Wave,
    /// What is done to it.
    pub kind: ChangeKind,
    /// As the base renders it.
    pub before: Option<Arc<Object>>,
    /// As the merge result renders it.
    pub after: Option<Arc<Object>>,
    /// As the cluster has it.
    pub live: Live,
    /// What the API server said to a dry run of it: why it would be refused.
    pub refused: Option<String>,
    /// What admission policies say to it, the worst first.
    pub verdicts: Vec<Verdict>,
    /// What rules of the application's project find.
    pub remarks: Vec<rules::Remark>,
}

/// What is done to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is not in the cluster.
    Create,
    /// Its fields change.
    Change,
    /// It is replaced as a whole, or deleted and created.
    Replace,
    /// It goes.
    Delete,
    /// Git no longer has it, and it stays.
    Stays(Stays),
    /// The cluster has it so already.
    AlreadySo,
    /// Another application gives it up.
    Transferred {
        /// That application.
        from: SmolStr,
    },
}

/// What of a live object is known, and whether it may be shown.
#[derive(Clone, Default)]
pub enum Live {
    /// Nothing was asked.
    #[default]
    Unknown,
    /// It is not there.
    Absent,
    /// It is there, and this application manages it.
    Ours(Value),
    /// It is there, and its contents are no business of this pull request's readers.
    Hidden(Manager),
}

/// Who manages a live object that is not this application's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Nobody says so.
    Nobody,
    /// Another application of this installation.
    Application(SmolStr),
    /// Another tool, by its name.
    Tool(SmolStr),
}

/// A step that a sync would take besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Which object.
    pub key: ObjectKey,
    /// What is done to it.
    pub kind: ChangeKind,
    /// Why, in the words of the plan.
    pub why: String,
}

/// What the rules on risks may look at beside the change itself.
#[derive(Clone, Default)]
pub struct Facts {
    /// All that the environment's applications here render to at the base.
    pub base: Vec<Arc<Object>>,
    /// The same at the merge result.
    pub merged: Vec<Arc<Object>>,
    /// Live objects beside the changed ones: volumes, storage classes, quotas, definitions.
    pub cluster: BTreeMap<ObjectKey, Value>,
    /// What the API server serves, when it was asked.
    pub served: Option<Served>,
    /// Live instances of custom resources, by the name of their definition.
    pub instances: BTreeMap<SmolStr, u64>,
    /// Objects that this installation manages, by namespace and kind.
    pub managed: BTreeMap<SmolStr, BTreeMap<SmolStr, u64>>,
    /// How many nodes there are.
    pub nodes: Option<u64>,
    /// Fields that the pull request writes and no schema has, by object, as paths: a sync leaves them out.
    pub undeclared: BTreeMap<ObjectKey, Vec<String>>,
    /// Why the admission policies of the cluster are not known, when they should be.
    pub unread_policies: Option<String>,
}

/// What an API server serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Kinds in their versions.
    pub kinds: BTreeSet<(GroupKind, SmolStr)>,
    /// The server's minor version.
    pub minor: Option<u32>,
}

impl Facts {
    /// Takes in what was asked for another application of the same environment.
    pub fn add(&mut self, other: Facts) {
        let Facts { base, merged, cluster, served, instances, managed, nodes, undeclared, unread_policies } = other;
        self.base.extend(base);
        self.merged.extend(merged);
        self.cluster.extend(cluster);
        self.instances.extend(instances);
        self.managed.extend(managed);
        self.undeclared.extend(undeclared);
        self.nodes = self.nodes.or(nodes);
        self.unread_policies = self.unread_policies.take().or(unread_policies);
        if let Some(Served { kinds, minor }) = served {
            let known = self.served.get_or_insert_default();
            known.kinds.extend(kinds);
            known.minor = known.minor.or(minor);
        }
    }
}

impl Preview {
    /// The same of one environment alone.
    #[must_use]
    pub fn of_environment(&self, name: &str) -> Preview {
        let environments = self.environments.iter().filter(|environment| environment.name == name).cloned().collect();
        let Preview { instance, pull, deployed, carried, .. } = self;
        let (instance, pull, deployed, carried) = (instance.clone(), pull.clone(), deployed.clone(), carried.clone());
        Preview { instance, pull, environments, deployed, carried }
    }

    /// True when a pull request needs a comment: something that is deployed changes, or will when it is carried on.
    pub fn is_news(&self) -> bool {
        !self.is_empty() || !self.carried.is_empty()
    }

    /// True when it is known that nothing that is deployed from the target branch changes.
    pub fn is_empty(&self) -> bool {
        self.environments.iter().all(|environment| {
            let is_known = !matches!(environment.reach, Reach::Unreachable(_));
            is_known && environment.applications.iter().all(|one| one.outcome.is_quiet())
        })
    }
}

impl Outcome {
    /// True when there is nothing to say of it.
    pub fn is_quiet(&self) -> bool {
        matches!(self, Outcome::Planned(planned)
            if planned.changes.is_empty() && planned.refusals.is_empty() && planned.guarded.is_none())
    }

    /// What changes by the pull request.
    pub fn changes(&self) -> &[Change] {
        match self {
            Outcome::Planned(planned) => &planned.changes,
            Outcome::Removed(removal) => &removal.changes,
            Outcome::Failed(_) | Outcome::Held(_) => &[],
        }
    }

    /// Of the plan that a sync would execute.
    pub fn hash(&self) -> Option<PlanHash> {
        match self {
            Outcome::Planned(planned) => planned.hash,
            Outcome::Removed(removal) => removal.hash,
            Outcome::Failed(_) | Outcome::Held(_) => None,
        }
    }
}

impl Change {
    /// Where the object was written: in the merge result, else where it stood in the base.
    pub fn source(&self) -> Option<&Origin> {
        [&self.after, &self.before].into_iter().flatten().find_map(|object| object.origin.as_ref())
    }

    /// The body that the base renders.
    pub fn before_body(&self) -> Option<&Value> {
        self.before.as_ref().map(|object| &object.body)
    }

    /// The body that the merge result renders.
    pub fn after_body(&self) -> Option<&Value> {
        self.after.as_ref().map(|object| &object.body)
    }

    /// The live body, when it may be shown.
    pub fn live(&self) -> Option<&Value> {
        match &self.live {
            Live::Ours(body) => Some(body),
            Live::Unknown | Live::Absent | Live::Hidden(_) => None,
        }
    }

    /// The name without the hash that changes with the contents, when the change is one of contents.
    pub fn generated_name(&self) -> Option<&str> {
        let (before, after) = (self.before.as_ref()?, self.after.as_ref()?);
        let stem = generated::stem(&after.key)?;
        (before.key.name != after.key.name && generated::stem(&before.key) == Some(stem)).then_some(stem)
    }

    /// True when a sync would write it.
    pub fn is_step(&self) -> bool {
        !matches!(self.kind, ChangeKind::AlreadySo | ChangeKind::Stays(_))
    }
}

/// Without the bodies: they may hold secret values.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.key)
    }
}

/// Counts only: the bodies may hold secret values.
impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Facts({} at the base, {} merged)", self.base.len(), self.merged.len())
    }
}

/// Without the body.
impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Live::Unknown => "Unknown",
            Live::Absent => "Absent",
            Live::Ours(_) => "Ours(…)",
            Live::Hidden(_) => "Hidden",
        })
    }
}
