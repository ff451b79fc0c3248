//! What admission policies say to the changes of a pull request: those of the cluster, as they will be after the merge.
//!
//! **In:** an environment's changes, its renders, what was read of its cluster ([`Known`]). **Out:** verdicts at the
//! changes. A policy that the pull request brings or changes is in force too, and one that it deletes is not; but since a
//! stranger may have written it, it is told nothing that is not in the repository.
//!
//! The API server's own word comes first: what it refused to a dry run is refused, and what it took needs no guess about
//! policies that the pull request leaves alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use smol_str::SmolStr;

use super::{Change, ChangeKind, EnvironmentPreview, Live, Outcome};
use crate::object::secret::is_secret;
use crate::object::{GroupKind, Object, ObjectKey};
use crate::policy::admission::{BINDING, GROUP, POLICY};
use crate::policy::cel::Budget;
use crate::policy::judge::{operation, with_room};
use crate::policy::{Form, Policies, Request, Says, Surroundings, Trust, Verdict, kinds};

/// Steps of all policies over all changes of an environment: some seconds.
const STEPS: u64 = 30_000_000;

/// What was read of a cluster.
#[derive(Default)]
pub struct Known {
    /// Its policies and bindings.
    pub policies: Vec<Value>,
    /// Namespaces and parameters.
    pub around: Surroundings,
    /// What a dry run made of the changed objects that it took.
    pub foreseen: BTreeMap<ObjectKey, Value>,
    /// The names of kinds in URLs.
    pub plurals: BTreeMap<GroupKind, SmolStr>,
}

/// What git wants of an environment.
pub struct Renders<'a> {
    /// At the base.
    pub base: &'a [Arc<Object>],
    /// At the merge result.
    pub merged: &'a [Arc<Object>],
}

/// The policies that will be in force.
pub fn in_force(environment: &EnvironmentPreview, renders: &Renders<'_>, cluster: &[Value]) -> Policies {
    let mut policies = Policies::default();
    for body in cluster {
        if let Ok(object) = Object::from_value(body.clone(), None) {
            policies.put(&object.key, &object.body, Trust::Here);
        }
    }
    let before: BTreeMap<&ObjectKey, &Arc<Object>> = ours(renders.base).map(|object| (&object.key, object)).collect();
    for object in ours(renders.merged) {
        let is_as_before = before.get(&object.key).is_some_and(|before| before.body == object.body);
        policies.put(&object.key, &object.body, if is_as_before { Trust::Here } else { Trust::Stranger });
    }
    removed(environment).iter().for_each(|key| policies.remove(key));
    policies
}

fn ours(objects: &[Arc<Object>]) -> impl Iterator<Item = &Arc<Object>> {
    objects.iter().filter(|object| Policies::is_one(&object.key))
}

fn removed(environment: &EnvironmentPreview) -> BTreeSet<ObjectKey> {
    let changes = environment.applications.iter().flat_map(|application| application.outcome.changes());
    changes.filter(|change| change.kind == ChangeKind::Delete).map(|change| change.key.clone()).collect()
}

/// Asks the policies about each change that a sync would make.
pub fn judge(environment: &mut EnvironmentPreview, policies: &Policies, renders: &Renders<'_>, mut known: Known) {
    known.around.rendered = renders.merged.to_vec();
    known.around.removed = removed(environment);
    let touched = touched(environment);
    let mut changes: Vec<&mut Change> = environment
        .applications
        .iter_mut()
        .flat_map(|application| match &mut application.outcome {
            Outcome::Planned(planned) => planned.changes.iter_mut(),
            Outcome::Removed(removal) => removal.changes.iter_mut(),
            Outcome::Failed(_) | Outcome::Held(_) => Default::default(),
        })
        .filter(|change| change.is_step())
        .collect();
    let said = with_room(|| {
        let mut budget = Budget::of(STEPS);
        let ask = |change: &&mut Change| ask(change, policies, renders, &known, &mut budget);
        changes.iter().map(ask).collect::<Vec<_>>()
    });
    // A bug of ours is no yes either.
    let Some(said) = said else {
        environment.facts.unread_policies = Some("their evaluation has failed".to_owned());
        return;
    };
    for (change, verdicts) in changes.iter_mut().zip(said) {
        change.verdicts = settled(change, verdicts, known.foreseen.contains_key(&change.key), &touched);
    }
}

/// Policies and bindings that the pull request itself changes, by kind and name.
fn touched(environment: &EnvironmentPreview) -> BTreeSet<(SmolStr, SmolStr)> {
    let changes = environment.applications.iter().flat_map(|application| application.outcome.changes());
    let policies = changes.filter(|change| change.key.group == GROUP);
    policies.map(|change| (change.key.kind.clone(), change.key.name.clone())).collect()
}

fn ask(
    change: &Change,
    policies: &Policies,
    renders: &Renders<'_>,
    known: &Known,
    budget: &mut Budget,
) -> Vec<Verdict> {
    let kind = change.key.group_kind();
    let plural = match known.plurals.get(&kind) {
        Some(plural) => plural.to_string(),
        None => kinds::plural(&kind, renders.merged.iter().map(Arc::as_ref)),
    };
    let by = |trust: Trust, budget: &mut Budget| {
        let (foreseen, old) = match trust {
            Trust::Here => (known.foreseen.get(&change.key), live_or_before(change)),
            // What is there already is part of what a dry run makes: that is not for everybody to ask questions about.
            Trust::Stranger if !matches!(change.live, Live::Absent) || is_secret(&change.key) => {
                (None, change.before_body())
            }
            Trust::Stranger => (known.foreseen.get(&change.key), change.before_body()),
        };
        let object = foreseen.or(change.after_body()).filter(|_| change.kind != ChangeKind::Delete);
        let request = Request {
            operation: operation(old, object),
            key: &change.key,
            version: &change.version,
            plural: &plural,
            object,
            old,
            form: if foreseen.is_some() || is_kept_as_written(&kind) { Form::Complete } else { Form::Written },
        };
        policies.judge(trust, &request, &known.around, budget)
    };
    let (mut verdicts, others) = (by(Trust::Here, budget), by(Trust::Stranger, budget));
    verdicts.extend(others);
    verdicts
}

fn live_or_before(change: &Change) -> Option<&Value> {
    match &change.live {
        Live::Ours(body) => Some(body),
        Live::Absent => None,
        Live::Unknown | Live::Hidden(_) => change.before_body(),
    }
}

/// Kinds to which an API server adds nothing that a policy would ask for.
fn is_kept_as_written(kind: &GroupKind) -> bool {
    match kind.group.as_str() {
        "" => matches!(kind.kind.as_str(), "ConfigMap" | "ServiceAccount"),
        "rbac.authorization.k8s.io" => true,
        _ => false,
    }
}

/// The verdicts together with what the API server said itself.
fn settled(
    change: &Change,
    mut verdicts: Vec<Verdict>,
    is_taken: bool,
    touched: &BTreeSet<(SmolStr, SmolStr)>,
) -> Vec<Verdict> {
    let is_touched = |verdict: &Verdict| {
        touched.contains(&(POLICY.into(), verdict.policy.clone()))
            || touched.contains(&(BINDING.into(), verdict.binding.clone()))
    };
    if is_taken {
        verdicts
            .retain(|verdict| verdict.says != Says::Unknown || verdict.trust == Trust::Stranger || is_touched(verdict));
    }
    if let Some(refusal) = change.refused.as_deref().and_then(refusal) {
        let is_same = |verdict: &Verdict| verdict.policy == refusal.policy && verdict.binding == refusal.binding;
        let is_known = verdicts.iter().any(|verdict| is_same(verdict) && verdict.says == Says::Denies);
        verdicts.retain(|verdict| !is_same(verdict) || verdict.says != Says::Unknown);
        if !is_known {
            verdicts.insert(0, refusal);
        }
    }
    verdicts
}

/// What of an API server's answer is the word of a policy.
pub(super) fn refusal(answer: &str) -> Option<Verdict> {
    let (_, rest) = answer.split_once("ValidatingAdmissionPolicy '")?;
    let (policy, rest) = rest.split_once("' with binding '")?;
    let (binding, message) = rest.split_once("' denied request: ")?;
    Some(Verdict {
        policy: policy.into(),
        binding: binding.into(),
        trust: Trust::Here,
        says: Says::Denies,
        message: message.to_owned(),
        is_computed: true,
    })
}
