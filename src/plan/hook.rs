//! What is run with a sync, and not kept: hooks, as Argo CD and Helm write them.
//!
//! Semantics: Argo CD 3.x `resource_hooks.md` (SEMANTICS b.2). One deviation, on purpose (G5): an instance of another
//! sync never counts for this one. Each instance carries a [`HookMark`]; what has another one is deleted before.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smol_str::{SmolStr, format_smolstr};

use crate::error::Diagnostic;
use crate::live::Record;
use crate::object::{Object, annotation};

use super::{Phase, PlanHash};

/// The sync for which a plan is made: what names its hooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The commit.
    pub revision: SmolStr,
    /// When the operation began, in seconds since 1970.
    pub started: i64,
    /// 0 at first, one more with each retry: a retry runs its hooks again.
    pub attempt: u32,
    /// The hash that the plan had when this attempt began, when it goes on after a restart. By then much of it is
    /// done, so its hash is another one; the hooks are still the same.
    pub resumed: Option<PlanHash>,
}

/// Tells the instances of a hook apart: written to the annotation `leeboard.dev/plan`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HookMark(SmolStr);

impl HookMark {
    pub(super) fn new(hash: PlanHash, run: &Run, phase: Phase) -> Self {
        let hash = run.resumed.unwrap_or(hash);
        HookMark(format_smolstr!("{hash}-{}-{}-{}", run.started, run.attempt, lower(phase)))
    }

    /// As the annotation has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when the live instance was made for the same phase of the same attempt.
    pub fn is_on(&self, record: &Record) -> bool {
        record.plan.as_ref() == Some(&self.0)
    }
}

impl fmt::Display for HookMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When the instances of a hook are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletePolicy {
    /// `HookSucceeded`: when the whole sync has.
    pub on_success: bool,
    /// `HookFailed`: when the sync has failed.
    pub on_failure: bool,
    /// `BeforeHookCreation`: when the next instance is made; the default.
    pub before_creation: bool,
}

impl DeletePolicy {
    /// Reads both annotations; they add up.
    pub fn of(object: &Object) -> Self {
        let mut policy = DeletePolicy { on_success: false, on_failure: false, before_creation: false };
        for name in [annotation::HOOK_DELETE_POLICY, annotation::HELM_HOOK_DELETE_POLICY] {
            for word in words(object, name) {
                match word {
                    "HookSucceeded" | "hook-succeeded" => policy.on_success = true,
                    "HookFailed" | "hook-failed" => policy.on_failure = true,
                    "BeforeHookCreation" | "before-hook-creation" => policy.before_creation = true,
                    _ => {}
                }
            }
        }
        policy.before_creation |= !policy.on_success && !policy.on_failure;
        policy
    }
}

/// One run of a hook in one phase.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// As it is applied: with its name, its mark and the finalizer that keeps it until its result was seen.
    pub object: Arc<Object>,
    /// In which phase.
    pub phase: Phase,
    /// What becomes of it.
    pub delete: DeletePolicy,
    /// Which instance it is.
    pub mark: HookMark,
}

impl Hook {
    /// How long a hook may run. Argo CD waits for ever; here a hook that hangs ends its sync with a reason (G5). Jobs
    /// set a closer limit with `activeDeadlineSeconds`.
    pub const LIMIT: Duration = Duration::from_secs(6 * 60 * 60);

    pub(super) fn new(object: &Object, phase: Phase, mark: HookMark, run: &Run) -> Self {
        let mut stamped = object.clone();
        let name = name(object, phase, run);
        let metadata = stamped.metadata_mut();
        metadata.shift_remove("generateName");
        metadata.insert("name".into(), name.as_str().into());
        let finalizers = metadata.entry("finalizers").or_insert_with(|| serde_json::Value::Array(Vec::new()));
        if let Some(list) = finalizers.as_array_mut()
            && !list.iter().any(|finalizer| finalizer == annotation::HOOK_FINALIZER)
        {
            list.push(annotation::HOOK_FINALIZER.into());
        }
        stamped.key.name = name;
        stamped.set_annotation(annotation::PLAN, mark.as_str());
        Hook { object: Arc::new(stamped), phase, delete: DeletePolicy::of(object), mark }
    }

    /// True when a live instance has to go before this one is made.
    pub(super) fn displaces(&self, record: &Record) -> bool {
        !self.mark.is_on(record) && (self.delete.before_creation || runs_to_completion(&self.object))
    }
}

/// Kinds whose old instance would be seen as the result of the new one.
fn runs_to_completion(object: &Object) -> bool {
    matches!((&*object.key.group, &*object.key.kind), ("batch", "Job") | ("", "Pod") | ("argoproj.io", "Workflow"))
}

/// The name of an instance: stable over the waves of one sync, new for the next.
pub(super) fn name(object: &Object, phase: Phase, run: &Run) -> SmolStr {
    if !object.key.name.is_empty() {
        return object.key.name.clone();
    }
    let prefix = object.body.pointer("/metadata/generateName").and_then(|name| name.as_str()).unwrap_or_default();
    let revision = run.revision.get(..7).unwrap_or(&run.revision);
    format_smolstr!("{prefix}{revision}-{}-{}", lower(phase), run.started)
}

fn lower(phase: Phase) -> &'static str {
    match phase {
        Phase::PreSync => "presync",
        Phase::Sync => "sync",
        Phase::PostSync => "postsync",
        Phase::SyncFail => "syncfail",
    }
}

/// What an object is to a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is kept.
    Kept,
    /// It is run in these phases; never, when there are none.
    Run(Vec<Phase>),
    /// Neither applied nor compared.
    Skipped,
}

impl Role {
    /// Reads the annotations; Helm's count only when there is none of Argo CD's.
    pub fn of(object: &Object) -> Self {
        if object.annotation(annotation::HOOK).is_some() {
            let words: Vec<_> = words(object, annotation::HOOK).collect();
            if words == ["Skip"] {
                return Role::Skipped;
            }
            return Role::Run(phases(words.into_iter().filter_map(Phase::parse)));
        }
        match object.annotation(annotation::HELM_HOOK) {
            None => Role::Kept,
            Some(text) if text.trim() == "crd-install" => Role::Kept,
            Some(_) => Role::Run(phases(words(object, annotation::HELM_HOOK).filter_map(|word| match word {
                "pre-install" | "pre-upgrade" => Some(Phase::PreSync),
                "post-install" | "post-upgrade" => Some(Phase::PostSync),
                _ => None,
            }))),
        }
    }
}

/// Hook types that do not exist: such a hook never runs, and to Argo CD silently so.
pub(super) fn warnings(object: &Object) -> Vec<Diagnostic> {
    let known = |word: &str| Phase::parse(word).is_some() || matches!(word, "Skip" | "PreDelete" | "PostDelete");
    let unknown = words(object, annotation::HOOK).filter(|word| !known(word));
    unknown
        .map(|word| {
            let who = format!("{}/{}", object.key.kind, object.key.name);
            let mut warning = Diagnostic::new(format!("{who} has the hook type {word}, which does not exist"))
                .with_hint("Use PreSync, Sync, PostSync, SyncFail or Skip.");
            warning.origin.clone_from(&object.origin);
            warning
        })
        .collect()
}

fn phases(found: impl Iterator<Item = Phase>) -> Vec<Phase> {
    let mut phases: Vec<_> = found.collect();
    phases.sort_unstable();
    phases.dedup();
    phases
}

fn words<'a>(object: &'a Object, name: &str) -> impl Iterator<Item = &'a str> {
    object.annotation(name).unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty())
}
