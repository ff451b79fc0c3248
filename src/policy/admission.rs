//! ValidatingAdmissionPolicies and their bindings, read once.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, ParamKind, ParamRef, ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use smol_str::SmolStr;

use super::cel::{Expression, Unreadable, Variable};
use crate::object::{GroupKind, ObjectKey};

/// The group of both kinds.
pub const GROUP: &str = "admissionregistration.k8s.io";
/// The kind of a policy.
pub const POLICY: &str = "ValidatingAdmissionPolicy";
/// The kind of what puts one in force.
pub const BINDING: &str = "ValidatingAdmissionPolicyBinding";

/// Who wrote a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// It is in force, or was merged: people of this place have read it.
    Here,
    /// It comes with the pull request: it is a stranger's.
    Stranger,
}

impl Trust {
    /// Of two, the lesser.
    pub(super) fn least(self, other: Trust) -> Trust {
        self.max(other)
    }
}

/// All policies of a place, with what puts them in force.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    policies: BTreeMap<SmolStr, Policy>,
    bindings: BTreeMap<SmolStr, Binding>,
    /// Bytes of strangers' expressions that were read.
    strange: usize,
}

/// Bytes of strangers' expressions that are read: it takes time before any step is counted.
const MOST_OF_STRANGERS: usize = 256 << 10;

/// One policy.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) trust: Trust,
    /// What it says, or why nobody can read it.
    pub(super) rules: Result<Arc<Rules>, String>,
}

/// What a policy says.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) matches: MatchResources,
    pub(super) conditions: Vec<Result<Expression, Unreadable>>,
    pub(super) variables: Vec<Variable>,
    pub(super) validations: Vec<Validation>,
    /// True when an error counts as a refusal.
    pub(super) fails_closed: bool,
    pub(super) parameters: Option<ParamKind>,
}

#[derive(Debug)]
pub(super) struct Validation {
    pub(super) expression: Result<Expression, Unreadable>,
    pub(super) message: Option<String>,
    pub(super) computed: Option<Result<Expression, Unreadable>>,
}

/// What puts a policy in force.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) trust: Trust,
    pub(super) policy: SmolStr,
    pub(super) matches: Option<MatchResources>,
    pub(super) parameters: Option<ParamRef>,
    pub(super) actions: Vec<String>,
}

impl Policies {
    /// True for the kinds that it reads.
    pub fn is_one(key: &ObjectKey) -> bool {
        key.group == GROUP && (key.kind == POLICY || key.kind == BINDING)
    }

    /// Reads a policy or a binding, in the place of one of the same name. Other objects are none of its business.
    pub fn put(&mut self, key: &ObjectKey, body: &Value, trust: Trust) {
        let name = key.name.clone();
        if key.group == GROUP && key.kind == POLICY {
            let spec = spec::<ValidatingAdmissionPolicySpec>(body);
            if trust == Trust::Stranger {
                self.strange += spec.as_ref().map_or(0, length);
            }
            let rules = match self.strange > MOST_OF_STRANGERS && trust == Trust::Stranger {
                true => Err("there is more of policies than a preview reads".to_owned()),
                false => spec.and_then(Rules::of).map(Arc::new),
            };
            self.policies.insert(name, Policy { trust, rules });
        } else if key.group == GROUP
            && key.kind == BINDING
            && let Ok(spec) = spec::<ValidatingAdmissionPolicyBindingSpec>(body)
        {
            let binding = Binding {
                trust,
                policy: spec.policy_name.unwrap_or_default().into(),
                matches: spec.match_resources,
                parameters: spec.param_ref,
                actions: spec.validation_actions.unwrap_or_default(),
            };
            self.bindings.insert(name, binding);
        }
    }

    /// Forgets one that goes.
    pub fn remove(&mut self, key: &ObjectKey) {
        match key.kind.as_str() {
            POLICY if key.group == GROUP => drop(self.policies.remove(&key.name)),
            BINDING if key.group == GROUP => drop(self.bindings.remove(&key.name)),
            _ => {}
        }
    }

    /// True when nothing is in force.
    pub fn is_empty(&self) -> bool {
        self.in_force().next().is_none()
    }

    /// Bindings with the policies that they put in force, by name. A binding without a policy does nothing.
    pub(super) fn in_force(&self) -> impl Iterator<Item = (&SmolStr, &Binding, &Policy)> {
        self.bindings.iter().filter_map(|(name, binding)| Some((name, binding, self.policies.get(&binding.policy)?)))
    }
}

fn spec<T: DeserializeOwned>(body: &Value) -> Result<T, String> {
    let spec = body.get("spec").cloned().unwrap_or_default();
    serde_json::from_value(spec).map_err(|error| format!("it cannot be read: {error}"))
}

/// Bytes of all expressions.
fn length(spec: &ValidatingAdmissionPolicySpec) -> usize {
    let conditions = spec.match_conditions.iter().flatten().map(|condition| condition.expression.len());
    let variables = spec.variables.iter().flatten().map(|variable| variable.expression.len());
    let validations =
        spec.validations.iter().flatten().map(|validation| {
            validation.expression.len() + validation.message_expression.as_ref().map_or(0, String::len)
        });
    // Reading a short one costs something too.
    conditions.chain(variables).chain(validations).map(|length| length + 64).sum()
}

impl Rules {
    fn of(spec: ValidatingAdmissionPolicySpec) -> Result<Self, String> {
        let Some(matches) = spec.match_constraints else { return Err("it has no `matchConstraints`".into()) };
        let conditions = spec.match_conditions.unwrap_or_default();
        let validations = spec.validations.unwrap_or_default().into_iter().map(|validation| Validation {
            expression: Expression::read(&validation.expression),
            message: validation.message,
            computed: validation.message_expression.as_deref().map(Expression::read),
        });
        let variables = spec.variables.unwrap_or_default().into_iter();
        Ok(Rules {
            matches,
            conditions: conditions.iter().map(|condition| Expression::read(&condition.expression)).collect(),
            variables: variables
                .map(|variable| Variable { means: Expression::read(&variable.expression), name: variable.name })
                .collect(),
            validations: validations.collect(),
            fails_closed: spec.failure_policy.as_deref() != Some("Ignore"),
            parameters: spec.param_kind,
        })
    }
}

/// Group, kind and version of what a policy's parameters are.
pub(super) fn kind_of(parameters: &ParamKind) -> (GroupKind, SmolStr) {
    let api_version = parameters.api_version.as_deref().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    (GroupKind::new(group, parameters.kind.as_deref().unwrap_or_default()), version.into())
}
