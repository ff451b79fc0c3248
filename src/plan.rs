//! From the objects that git wants and the live view to a plan: what would change, in which order, and why.
//!
//! **In:** [`Desired`], [`LiveView`], what is remembered of earlier applies, the [`Project`]'s rules and a
//! [`Policy`]: all in [`Inputs`]. **Out:** a [`Plan`]. **May not:** do I/O, read a clock, log, or depend on the
//! iteration order of a hash map.
//!
//! `diff` prints the plan, a preview comments it, `sync` executes it: the same value, so what was shown is what
//! happens. Phases, waves and hooks follow Argo CD 3.x (`sync-waves.md`, `resource_hooks.md`; SEMANTICS b).
//!
//! Read [`desired`] (what is stamped on the objects), [`compare`] (one verdict per object), [`hook`], [`prune`]
//! (which holds the safety rules), then [`order`]; [`project`] makes the permits without which no step exists.

mod assemble;
pub mod compare;
pub mod desired;
pub mod diff;
mod draft;
pub mod hash;
pub mod hook;
pub mod inventory;
pub mod order;
pub mod project;
pub mod prune;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::api::argo::{ManagedNamespaceMetadata, SelectedResource, SyncOptions, SyncStatus};
use crate::error::Diagnostic;
use crate::health::Health;
use crate::live::LiveView;
use crate::object::{GroupKind, Object, ObjectKey};

pub use compare::{Baseline, Comparison};
pub use desired::{Desired, Owner, Scope, desired};
pub use hash::{PlanHash, PlanKey, of_wanted};
pub use hook::{Hook, HookMark, Run};
pub use inventory::Inventory;
pub use project::{Denial, Permitted, Project};
pub use prune::{ShrinkGuard, Victim, Withheld};

/// Where in a sync a step belongs. Declared in the order in which phases run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Before anything of the application changes.
    PreSync,
    /// The application itself.
    Sync,
    /// After all of it is healthy.
    PostSync,
    /// Only when a phase before has failed.
    SyncFail,
}

impl Phase {
    /// The word of Argo CD's annotation and status fields.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::PreSync => "PreSync",
            Phase::Sync => "Sync",
            Phase::PostSync => "PostSync",
            Phase::SyncFail => "SyncFail",
        }
    }

    /// Reads [`Phase::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Phase::PreSync, Phase::Sync, Phase::PostSync, Phase::SyncFail].into_iter().find(|phase| phase.as_str() == word)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A sync wave: objects of one wave are applied together, the next wave waits until this one is healthy.
///
/// From the annotation `argocd.argoproj.io/sync-wave`; absent means 0, negative waves go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wave(pub i32);

impl fmt::Display for Wave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// All that a plan depends on.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Whose plan it is.
    pub owner: &'a Owner,
    /// What git wants, stamped.
    pub desired: &'a Desired,
    /// What the cluster holds of this application.
    pub live: &'a LiveView,
    /// What is remembered of the last apply of each object; absent after a restart.
    pub baselines: &'a BTreeMap<ObjectKey, Baseline>,
    /// What this application has applied.
    pub inventory: &'a Inventory,
    /// Objects that other applications want or hold.
    pub others: &'a BTreeMap<ObjectKey, Other>,
    /// Where this application may write what.
    pub project: &'a Project,
    /// How to sync.
    pub policy: &'a Policy,
    /// The sync for which it is made.
    pub run: &'a Run,
    /// The key of the plan's hash.
    pub key: &'a PlanKey,
}

/// What another application has to do with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its tracking name.
    pub application: SmolStr,
    /// Its manifest has the object.
    pub wants: bool,
    /// The live object's tracking names it.
    pub holds: bool,
}

/// How to sync: what the spec or an operation asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Delete what git no longer has.
    pub prune: bool,
    /// Delete also when that leaves nothing.
    pub allow_empty: bool,
    /// `syncOptions`.
    pub options: SyncOptions,
    /// Only these objects, when there are any; then no hooks run.
    pub selection: Vec<SelectedResource>,
    /// Run hooks.
    pub hooks: bool,
    /// Delete and recreate what cannot be changed in place (`syncStrategy.*.force`).
    pub force: bool,
    /// When deletions need a person's word; `None` when that word stands for this operation already.
    pub shrink: Option<ShrinkGuard>,
    /// The plan (or the set of prunes: [`Plan::prune_hash`]) that a person confirmed.
    pub confirmed: Option<PlanHash>,
    /// When a person approved what `Prune=confirm` guards, in seconds since 1970.
    pub deletion_approved: Option<i64>,
    /// Whether the destination namespace is there; matters with `CreateNamespace=true` only.
    pub namespace: NamespaceState,
    /// Labels and annotations of the namespace that `CreateNamespace=true` makes.
    pub namespace_metadata: Option<ManagedNamespaceMetadata>,
}

/// What is known of the destination namespace, which is not ours and thus in no live view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamespaceState {
    /// Not looked up: a plan that creates namespaces has the step.
    #[default]
    Unknown,
    /// It is not there.
    Missing,
    /// It is there.
    Exists,
}

/// What a sync would do, in which order and why: a value, not an activity.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// In the order of execution; never empty. Those of [`Phase::SyncFail`] run only after a failure.
    pub stages: BTreeMap<(Phase, Wave), Stage>,
    /// While one is here nothing is written.
    pub refusals: Vec<Refusal>,
    /// What would be pruned and is not, each with its reason.
    pub withheld: Vec<Withheld>,
    /// Objects that the last apply's record says nothing about: one dry run each tells, then plan again.
    /// Until then their steps are [`Action::Keep`].
    pub unproven: Vec<ObjectKey>,
    /// Every managed object, hooks excepted, by key: what `status.resources` lists.
    pub resources: Vec<Comparison>,
    /// Objects that another application wants too, with its name.
    pub shared: Vec<(ObjectKey, SmolStr)>,
    /// What a person should know although the sync can go on.
    pub warnings: Vec<Diagnostic>,
    /// What would change, in one keyed hash; equal for equal changes, whatever stays as it is.
    pub hash: PlanHash,
    /// The same of the prunes alone, guarded ones included: confirmed by it, they stay confirmed when all else is done.
    pub prune_hash: PlanHash,
}

impl Plan {
    /// All steps, in the order of execution, those after a failure last.
    pub fn steps(&self) -> impl Iterator<Item = (Phase, Wave, &Step)> {
        self.stages.iter().flat_map(|(&(phase, wave), stage)| stage.steps().map(move |step| (phase, wave, step)))
    }

    /// True when a sync would write nothing: hooks do not count, they run with a sync but are no reason for one.
    pub fn is_noop(&self) -> bool {
        self.steps().all(|(_, _, step)| step.action == Action::Keep || step.action.is_hook())
    }

    /// True when objects are gone, or are not as the last apply left them: of a commit that has been synced before,
    /// what self-heal repairs.
    pub fn has_drift(&self) -> bool {
        self.steps()
            .any(|(_, _, step)| matches!(step.why, Why::NotLive | Why::Drifted | Why::OwnershipLost | Why::Differs))
    }

    /// Does the cluster hold what git wants.
    pub fn sync_status(&self) -> SyncStatus {
        if self.resources.iter().any(|resource| resource.counts && resource.status == SyncStatus::OutOfSync) {
            SyncStatus::OutOfSync
        } else if self.resources.iter().any(|resource| resource.status == SyncStatus::Unknown) {
            SyncStatus::Unknown
        } else {
            SyncStatus::Synced
        }
    }

    /// Counts for a headline: to apply (hooks not counted), to prune, in sync.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (_, _, step) in self.steps() {
            match &step.action {
                Action::Keep => counts.kept += 1,
                Action::Prune(_) => counts.prune += 1,
                Action::Hook(_) | Action::ClearHook(_) => {}
                Action::Create(_) | Action::Apply(_) | Action::Replace(_) | Action::Recreate(_) => counts.apply += 1,
            }
        }
        counts
    }
}

/// How many objects a plan touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Created or changed.
    pub apply: usize,
    /// Deleted.
    pub prune: usize,
    /// In sync.
    pub kept: usize,
}

/// One wave of one phase, in the order in which its parts run: prunes, deletions of old hooks, then the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stage {
    /// Deleted all at once.
    pub prunes: Vec<Step>,
    /// Instances of hooks that an earlier sync has left; gone before anything is created.
    pub clears: Vec<Step>,
    /// Groups of consecutive equal kind: a group goes in parallel, groups one after another.
    pub groups: Vec<Vec<Step>>,
}

impl Stage {
    /// All its steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.prunes.iter().chain(&self.clears).chain(self.groups.iter().flatten())
    }

    /// True when a hook is run in it: then it is waited for even when it is the last.
    pub fn has_hooks(&self) -> bool {
        self.groups.iter().flatten().any(|step| step.action.is_hook())
    }
}

/// One object in a [`Plan`].
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Which object; a hook with `generateName` has its name already.
    pub key: ObjectKey,
    /// The version part of its API version.
    pub version: SmolStr,
    /// What is done to it.
    pub action: Action,
    /// The sentence that a person reads next to it.
    pub why: Why,
    /// The object's own options over the application's.
    pub options: SyncOptions,
    /// As the live view has it before the step; `None` where there is no health, or nothing live.
    pub health: Option<Health>,
}

/// What is done to one object. Whatever is written or deleted carries the project's permit.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Not in the live view: applied, which creates it or adopts what is there.
    Create(Permitted<Arc<Object>>),
    /// Applied by server-side apply.
    Apply(Permitted<Arc<Object>>),
    /// Put in place of what is there.
    Replace(Permitted<Arc<Object>>),
    /// Deleted and created.
    Recreate(Permitted<Arc<Object>>),
    /// Run, and waited for.
    Hook(Permitted<Hook>),
    /// The instance of a hook that an earlier sync has left is deleted; one that carries this mark is spared.
    ClearHook(Permitted<Hook>),
    /// Deleted, because git no longer has it.
    Prune(Permitted<Victim>),
    /// Nothing; listed because its health gates the next wave.
    Keep,
}

impl Action {
    /// True for what is run, not kept.
    pub fn is_hook(&self) -> bool {
        matches!(self, Action::Hook(_) | Action::ClearHook(_))
    }

    /// The object that is written, if one is.
    pub fn object(&self) -> Option<&Arc<Object>> {
        match self {
            Action::Create(object) | Action::Apply(object) | Action::Replace(object) | Action::Recreate(object) => {
                Some(object)
            }
            Action::Hook(hook) => Some(&hook.object),
            Action::ClearHook(_) | Action::Prune(_) | Action::Keep => None,
        }
    }
}

/// Why a step is in the plan; the one place for its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The live view has no such object.
    NotLive,
    /// The manifest is another than the one that was applied last.
    ManifestChanged,
    /// What we own has another value than our last apply left.
    Drifted,
    /// No field is ours any more.
    OwnershipLost,
    /// A dry run showed that an apply would change it; who changed what is not on record.
    Differs,
    /// No apply of it is on record: a dry run tells.
    Unproven,
    /// Another application holds it and no longer wants it.
    TransferredFrom(SmolStr),
    /// Another application holds it, and wants it too.
    Shared(SmolStr),
    /// It has gone from git.
    NotDesired,
    /// It runs with this sync.
    HookOf(Phase),
    /// An earlier sync has left it.
    OldHook,
    /// The destination namespace is made because `CreateNamespace=true` asks for it.
    NamespaceWanted,
    /// Nothing differs.
    InSync,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NotLive => f.write_str("not in the cluster"),
            Why::ManifestChanged => f.write_str("changed in git"),
            Why::Drifted => f.write_str("changed in the cluster"),
            Why::OwnershipLost => f.write_str("taken over by another manager"),
            Why::Differs => f.write_str("differs from git"),
            Why::Unproven => f.write_str("not compared yet"),
            Why::TransferredFrom(application) => write!(f, "taken over from application `{application}`"),
            Why::Shared(application) => write!(f, "also in application `{application}`"),
            Why::NotDesired => f.write_str("no longer in git"),
            Why::HookOf(phase) => write!(f, "runs as {phase} hook"),
            Why::OldHook => f.write_str("left by an earlier sync"),
            Why::NamespaceWanted => f.write_str("the destination namespace"),
            Why::InSync => f.write_str("in sync"),
        }
    }
}

/// Why nothing is written. A result, not an error: the application's last state stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The project does not permit it.
    Denied {
        /// Which object.
        key: ObjectKey,
        /// Argo CD's sentence.
        denial: Denial,
    },
    /// The cluster does not know the kind, and no CRD of the manifest defines it: wait and plan again.
    NoKind {
        /// The first object of it.
        key: ObjectKey,
        /// Which kind.
        kind: GroupKind,
        /// In which version.
        version: SmolStr,
    },
    /// A namespaced object with neither own nor destination namespace.
    NoNamespace {
        /// Which object.
        key: ObjectKey,
        /// In which version.
        version: SmolStr,
    },
    /// Two objects of the manifest are the same one.
    Duplicate {
        /// Which object.
        key: ObjectKey,
        /// Where, with the other place as a note.
        diagnostic: Box<Diagnostic>,
    },
    /// An item of a list is no object.
    Malformed {
        /// The list.
        key: ObjectKey,
        /// Where, and what is missing.
        diagnostic: Box<Diagnostic>,
    },
    /// It belongs to another application, and `FailOnSharedResource=true` is set.
    Shared {
        /// Which object.
        key: ObjectKey,
        /// This application.
        application: SmolStr,
        /// The other one.
        other: SmolStr,
    },
    /// Git has nothing left, and `allowEmpty` is not set.
    WouldEmpty,
}

impl Refusal {
    /// The object it is about.
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Refusal::Denied { key, .. }
            | Refusal::NoKind { key, .. }
            | Refusal::NoNamespace { key, .. }
            | Refusal::Duplicate { key, .. }
            | Refusal::Malformed { key, .. }
            | Refusal::Shared { key, .. } => Some(key),
            Refusal::WouldEmpty => None,
        }
    }

    /// True when planning again can help without a new commit.
    pub fn is_transient(&self) -> bool {
        matches!(self, Refusal::NoKind { .. })
    }
}

/// Argo CD's sentences, where it has one.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Denied { denial, .. } => denial.fmt(f),
            Refusal::NoKind { key, kind, version } => write!(
                f,
                "the cluster does not know the kind {}/{version}, Kind={} of {key}, and no CRD of the manifest defines it",
                kind.group, kind.kind
            ),
            Refusal::NoNamespace { key, version } => {
                write!(f, "Namespace for {} {}/{version}, Kind={} is missing.", key.name, key.group, key.kind)
            }
            Refusal::Duplicate { diagnostic, .. } | Refusal::Malformed { diagnostic, .. } => diagnostic.fmt(f),
            Refusal::Shared { key, application, other } => write!(
                f,
                "Shared resource found: {}/{} is part of applications {application} and {other}",
                key.kind, key.name
            ),
            Refusal::WouldEmpty => f.write_str("auto-sync will wipe out all resources"),
        }
    }
}

/// Compares what git wants with what the cluster holds. Equal inputs give equal plans.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    draft::Draft::of(inputs).into_plan(inputs)
}

#[cfg(test)]
mod tests;
