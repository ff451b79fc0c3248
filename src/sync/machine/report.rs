//! The words of a sync: what it waits for, why it failed, what became of each object. Argo CD's, to the letter.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use crate::api::argo::{OperationPhase, ResourceResult};
use crate::object::ObjectKey;
use crate::plan::{Action, Phase, Plan, Refusal, Step};

use super::{Failed, FailedBy};

/// What a sync waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What has to happen.
    pub waits_for: WaitsFor,
    /// To which objects; never empty.
    pub objects: BTreeSet<ObjectKey>,
}

/// What has to happen before a sync goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// The API server answers.
    Answer,
    /// Objects get healthy.
    Health,
    /// Hooks end.
    Hook,
    /// Objects are gone.
    Deletion,
    /// A person approves deletions.
    Confirmation,
}

impl Waiting {
    pub(super) fn new(waits_for: WaitsFor, objects: BTreeSet<ObjectKey>) -> Self {
        Waiting { waits_for, objects }
    }
}

/// `waiting for healthy state of apps/Deployment/web and 2 more resources`
impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.waits_for {
            WaitsFor::Answer => "the API server's answer on",
            WaitsFor::Health => "healthy state of",
            WaitsFor::Hook => "completion of hook",
            WaitsFor::Deletion => "deletion of",
            WaitsFor::Confirmation => "pruning confirmation of",
        };
        write!(f, "waiting for {what}")?;
        if let Some(first) = self.objects.first() {
            write!(f, " {}", name(first))?;
        }
        match (self.objects.len(), self.waits_for) {
            (0 | 1, _) => Ok(()),
            (count, WaitsFor::Hook) => write!(f, " and {} more hooks", count - 1),
            (count, _) => write!(f, " and {} more resources", count - 1),
        }
    }
}

/// `<group>/<Kind>/<name>`; the core group is empty: `/Service/web`.
pub(super) fn name(key: &ObjectKey) -> String {
    format!("{}/{}/{}", key.group, key.kind, key.name)
}

pub(super) fn running(steps: &[Step]) -> String {
    Waiting::new(WaitsFor::Answer, super::keys(steps)).to_string()
}

pub(super) fn refused(refusals: &[Refusal]) -> String {
    let reasons: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    format!("one or more synchronization tasks are not valid: {}", reasons.join("; "))
}

pub(super) fn failed(failed: &[Failed]) -> String {
    let reasons = |by: FailedBy| -> Option<String> {
        let reasons: Vec<_> =
            failed.iter().filter(|failed| failed.by == by).map(|failed| &*failed.failure.message).collect();
        (!reasons.is_empty()).then(|| reasons.join(","))
    };
    let sentence = if let Some(reasons) = reasons(FailedBy::Namespace) {
        format!("the namespace failed to apply, reason: {reasons}")
    } else if let Some(applies) = reasons(FailedBy::Apply) {
        let completions = reasons(FailedBy::Completion).map(|reasons| format!(",{reasons}")).unwrap_or_default();
        format!("one or more objects failed to apply, reason: {applies}{completions}")
    } else {
        let reasons = reasons(FailedBy::Completion).unwrap_or_default();
        format!("one or more synchronization tasks completed unsuccessfully, reason: {reasons}")
    };
    match reasons(FailedBy::SyncFail) {
        Some(reasons) => format!("{sentence}\none or more SyncFail hooks failed, reason: {reasons}"),
        None => sentence,
    }
}

/// `operationState.syncResult.resources`, in the order of first execution.
#[derive(Debug)]
pub(super) struct Results {
    results: Vec<ResourceResult>,
    index: HashMap<(ObjectKey, Phase), usize>,
}

impl Results {
    /// Begins with what is not done at all: prunes that are held back, refused objects.
    pub(super) fn new(plan: &Plan) -> Self {
        let mut results = Results { results: Vec::new(), index: HashMap::new() };
        for refusal in &plan.refusals {
            let Some(key) = refusal.key() else { continue };
            let result = results.entry(key, "", Phase::Sync);
            result.status = "SyncFailed".into();
            result.message = refusal.to_string();
        }
        for withheld in &plan.withheld {
            let result = results.entry(&withheld.key, &withheld.version, Phase::Sync);
            result.status = "PruneSkipped".into();
            result.message = withheld.reason.to_string();
            result.hook_phase = Some(OperationPhase::Succeeded);
        }
        results
    }

    pub(super) fn as_slice(&self) -> &[ResourceResult] {
        &self.results
    }

    pub(super) fn begun(&mut self, step: &Step, phase: Phase) {
        let result = self.entry(&step.key, &step.version, phase);
        result.hook_phase = Some(OperationPhase::Running);
        if let Action::Hook(hook) = &step.action {
            result.hook_type = hook.phase.as_str().into();
        }
    }

    /// It was done before a restart.
    pub(super) fn ran(&mut self, step: &Step, phase: Phase) {
        self.begun(step, phase);
        let result = self.entry(&step.key, &step.version, phase);
        result.status = "Synced".into();
        result.hook_phase = Some(OperationPhase::Succeeded);
    }

    pub(super) fn kept(&mut self, step: &Step, phase: Phase) {
        let result = self.entry(&step.key, &step.version, phase);
        result.status = "Synced".into();
        result.message = step.why.to_string();
        result.hook_phase = Some(OperationPhase::Running);
    }

    pub(super) fn applied(&mut self, step: &Step, phase: Phase, message: &str) {
        let result = self.entry(&step.key, &step.version, phase);
        result.status = "Synced".into();
        result.message = message.into();
    }

    pub(super) fn deleted(&mut self, step: &Step, phase: Phase) {
        if matches!(step.action, Action::ClearHook(_)) {
            return;
        }
        let result = self.entry(&step.key, &step.version, phase);
        result.status = "Pruned".into();
        result.message = "pruned".into();
        result.hook_phase = Some(OperationPhase::Succeeded);
    }

    pub(super) fn failed(&mut self, step: &Step, phase: Phase, message: &str) {
        let result = self.entry(&step.key, &step.version, phase);
        result.status = "SyncFailed".into();
        result.message = message.into();
        result.hook_phase = Some(OperationPhase::Failed);
    }

    /// It did not get healthy; returns the sentence.
    pub(super) fn degraded(&mut self, key: &ObjectKey, phase: Phase, message: &str) {
        let result = self.entry(key, "", phase);
        result.hook_phase = Some(OperationPhase::Failed);
        result.message = message.into();
    }

    pub(super) fn passed(&mut self, key: &ObjectKey, phase: Phase) {
        if let Some(at) = self.index.get(&(key.clone(), phase)) {
            let result = &mut self.results[*at];
            if result.hook_phase == Some(OperationPhase::Running) {
                result.hook_phase = Some(OperationPhase::Succeeded);
            }
        }
    }

    fn entry(&mut self, key: &ObjectKey, version: &str, phase: Phase) -> &mut ResourceResult {
        let at = *self.index.entry((key.clone(), phase)).or_insert_with(|| {
            self.results.push(ResourceResult {
                group: key.group.to_string(),
                version: version.to_owned(),
                kind: key.kind.to_string(),
                namespace: key.namespace.as_deref().unwrap_or_default().to_owned(),
                name: key.name.to_string(),
                sync_phase: phase.as_str().into(),
                ..ResourceResult::default()
            });
            self.results.len() - 1
        });
        &mut self.results[at]
    }
}
