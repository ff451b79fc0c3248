//! What the policies of a place say to a request.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::ParamRef;
use serde_json::{Value as Json, json};

use super::admission::{Binding, Policies, Rules, Trust, Validation, kind_of};
use super::cel::{Budget, Expression, Fault, Run, Unreadable, Value};
use super::matching::{Meant, is_exempt, meant};
use super::{Form, Operation, Request, Says, Surroundings, Verdict, Wanted};

/// Steps of one expression.
const EXPRESSION: u64 = 1_000_000;
/// Steps of all that one policy says to one request.
const POLICY: u64 = 3_000_000;
/// Longer messages are no messages for the API server either.
const LONGEST_MESSAGE: usize = 5 << 10;

/// Steps of finding out whether one policy is meant.
const MATCHING: u64 = 20;

const TOO_MANY_STEPS: &str = "it takes more steps than a preview may spend on it";
const AUTHORIZER: &str = "what an authorizer would say is not known before the merge";
const ASKER: &str = "who will sync it is not known before the merge";
const NO_PARAMETERS: &str =
    "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction";

/// Evaluates where there is enough of a stack; `None` when that fails.
///
/// Expressions may be as deep as their parser lets them be, which is more than the stack of a server's thread bears.
pub fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    const STACK: usize = 64 << 20;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        thread.ok()?.join().ok()
    })
}

impl Policies {
    /// What those of one kind of authors say, the worst first: what the request holds may not be for all of them to see. Of
    /// what they have nothing against they say nothing.
    ///
    /// Called [`with_room`].
    pub fn judge(
        &self,
        written_by: Trust,
        request: &Request<'_>,
        around: &Surroundings,
        budget: &mut Budget,
    ) -> Vec<Verdict> {
        if is_exempt(request) {
            return vec![];
        }
        let mut verdicts = Vec::new();
        let mut bodies: Option<Bodies> = None;
        for (name, binding, policy) in self.in_force() {
            let trust = binding.trust.least(policy.trust);
            if trust != written_by {
                continue;
            }
            let verdict = |(says, message, is_computed)| Verdict {
                policy: binding.policy.clone(),
                binding: name.clone(),
                trust,
                says,
                message,
                is_computed,
            };
            if budget.spend(MATCHING).is_err() {
                verdicts.push(verdict((Says::Unknown, TOO_MANY_STEPS.to_owned(), false)));
                break;
            }
            let rules = match &policy.rules {
                Ok(rules) => rules,
                Err(why) => {
                    verdicts.push(verdict((Says::Unknown, why.clone(), false)));
                    continue;
                }
            };
            let both = [Some(&rules.matches), binding.matches.as_ref()];
            let both = both.into_iter().flatten().map(|constraints| meant(constraints, request, around, trust));
            let both = both.fold(Meant::Yes, |worst, next| match (worst, next) {
                (Meant::No, _) | (_, Meant::No) => Meant::No,
                (Meant::Yes, other) | (other, _) => other,
            });
            match both {
                Meant::No => continue,
                Meant::Unknown(why) => {
                    verdicts.push(verdict((Says::Unknown, why.to_owned(), false)));
                    continue;
                }
                Meant::Yes => {}
            }
            let bodies = bodies.get_or_insert_with(|| Bodies::of(request));
            let case = Case { rules, binding, trust, request, around, bodies };
            verdicts.extend(case.judge(budget).into_iter().map(verdict));
        }
        verdicts.sort_by(|a, b| (a.says, &a.policy, &a.binding).cmp(&(b.says, &b.policy, &b.binding)));
        verdicts.dedup();
        verdicts
    }
}

/// A request's bodies, as expressions see them.
struct Bodies {
    object: Value,
    old: Value,
    request: Value,
}

impl Bodies {
    fn of(request: &Request<'_>) -> Self {
        let body = |body: Option<&Json>| body.map_or(Value::Null, Value::from);
        Bodies { object: body(request.object), old: body(request.old), request: described(request) }
    }
}

/// `request`
fn described(request: &Request<'_>) -> Value {
    let key = request.key;
    let kind = json!({"group": key.group, "version": request.version, "kind": key.kind});
    let resource = json!({"group": key.group, "version": request.version, "resource": request.plural});
    let (kind, resource) = (Value::from(&kind), Value::from(&resource));
    let mut entries = vec![
        ("kind", kind.clone()),
        ("resource", resource.clone()),
        ("requestKind", kind),
        ("requestResource", resource),
        ("name", Value::text(&key.name)),
        ("operation", Value::text(request.operation.name())),
        ("dryRun", Value::Bool(false)),
        ("userInfo", Value::Unknown(ASKER)),
        ("options", Value::Unknown("how it will be synced is not known before the merge")),
        ("uid", Value::Unknown("a request has its number only once it is made")),
    ];
    entries.extend(key.namespace.as_ref().map(|namespace| ("namespace", Value::text(namespace))));
    Value::map(entries)
}

/// What follows, why, and whether the words were made of what the request holds.
type Finding = (Says, String, bool);

/// One policy, as one binding puts it in force, over one request.
struct Case<'a> {
    rules: &'a Rules,
    binding: &'a Binding,
    trust: Trust,
    request: &'a Request<'a>,
    around: &'a Surroundings,
    bodies: &'a Bodies,
}

impl Case<'_> {
    fn judge(&self, budget: &mut Budget) -> Vec<Finding> {
        let parameters = match (&self.rules.parameters, &self.binding.parameters) {
            (Some(_), Some(reference)) => match self.parameters(reference) {
                Ok(parameters) => parameters,
                Err(finding) => return finding.into_iter().collect(),
            },
            _ => vec![Value::Null],
        };
        let given = budget.at_most(POLICY);
        let mut rest = given;
        let found = parameters.into_iter().flat_map(|parameters| self.with(parameters, &mut rest)).collect();
        budget.settle(given, rest);
        found
    }

    /// The parameters, or what follows from there being none.
    fn parameters(&self, reference: &ParamRef) -> Result<Vec<Value>, Option<Finding>> {
        let Some(kind) = &self.rules.parameters else { return Ok(vec![Value::Null]) };
        let (kind, version) = kind_of(kind);
        let namespace = match &reference.namespace {
            _ if self.around.unspaced.contains(&kind) => None,
            Some(namespace) => Some(namespace.into()),
            None => self.request.key.namespace.clone(),
        };
        let name = reference.name.as_deref().map(Into::into);
        let wanted = Wanted { kind, version, namespace, name };
        match self.around.parameters(&wanted, reference.selector.as_ref(), self.trust) {
            None => {
                let why = match self.trust {
                    Trust::Here => "its parameters are not known".to_owned(),
                    Trust::Stranger => "its parameters are not in the repository".to_owned(),
                };
                Err(Some((Says::Unknown, why, false)))
            }
            Some(none) if none.is_empty() => {
                let is_allowed = reference.parameter_not_found_action.as_deref() == Some("Allow");
                Err(if is_allowed { None } else { self.error(NO_PARAMETERS.into()) })
            }
            Some(found) => Ok(found.iter().map(Value::from).collect()),
        }
    }

    fn with(&self, parameters: Value, budget: &mut Budget) -> Vec<Finding> {
        let mut run = Run::new(self.globals(parameters), &self.rules.variables);
        if self.request.form == Form::Written {
            run = run.partial("object");
        }
        match self.is_left_out(&mut run, budget) {
            Some(None) => return vec![],
            Some(Some(finding)) => return vec![finding],
            None => {}
        }
        self.rules.validations.iter().filter_map(|validation| self.validate(validation, &mut run, budget)).collect()
    }

    fn globals(&self, parameters: Value) -> BTreeMap<&'static str, Value> {
        let namespace = match &self.request.key.namespace {
            None => Value::Null,
            Some(name) => match self.around.namespace(name, self.trust) {
                Some(body) => Value::from(&body),
                None => Value::Unknown("the namespace is not known here"),
            },
        };
        [
            ("object", self.bodies.object.clone()),
            ("oldObject", self.bodies.old.clone()),
            ("request", self.bodies.request.clone()),
            ("params", parameters),
            ("namespaceObject", namespace),
            ("authorizer", Value::Unknown(AUTHORIZER)),
        ]
        .into()
    }

    /// Whether a condition leaves the request out, and what follows when that has no answer. What says no counts, wherever
    /// it stands.
    fn is_left_out<'a>(&'a self, run: &mut Run<'a>, budget: &mut Budget) -> Option<Option<Finding>> {
        let mut trouble = None;
        for condition in &self.rules.conditions {
            match evaluated(condition, run, budget) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => return Some(None),
                Ok(_) => return Some(Some(no_answer())),
                Err(fault) => drop(trouble.get_or_insert_with(|| self.fault(condition, &fault))),
            }
        }
        trouble
    }

    fn validate<'a>(&'a self, validation: &'a Validation, run: &mut Run<'a>, budget: &mut Budget) -> Option<Finding> {
        match evaluated(&validation.expression, run, budget) {
            Ok(Value::Bool(true)) => None,
            Ok(Value::Bool(false)) => {
                let (message, is_computed) = self.message(validation, run, budget);
                self.refusal(message, is_computed)
            }
            Ok(_) => Some(no_answer()),
            Err(fault) => self.fault(&validation.expression, &fault),
        }
    }

    fn message<'a>(&'a self, validation: &'a Validation, run: &mut Run<'a>, budget: &mut Budget) -> (String, bool) {
        let computed = validation.computed.as_ref().and_then(|computed| evaluated(computed, run, budget).ok());
        if let Some(Value::String(text)) = computed {
            let text = text.trim();
            if !text.is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains('\n') {
                return (text.to_owned(), true);
            }
        }
        let written = validation.message.as_deref().map(str::trim).filter(|message| !message.is_empty());
        let expression = validation.expression.as_ref().map(|expression| expression.text.trim()).unwrap_or_default();
        (written.map_or_else(|| format!("failed expression: {expression}"), str::to_owned), false)
    }

    /// What follows from an expression without a value.
    fn fault(&self, expression: &Result<Expression, Unreadable>, fault: &Fault) -> Option<Finding> {
        let text = expression.as_ref().map(|expression| expression.text.trim()).unwrap_or_default();
        match fault {
            Fault::Error(error) => self.error(format!("expression '{text}' resulted in error: {error}")),
            // It names what it has not found, which may be what it has found elsewhere.
            Fault::Unknown(why) => Some((Says::Unknown, why.clone(), true)),
            Fault::Exhausted => Some((Says::Unknown, TOO_MANY_STEPS.to_owned(), false)),
        }
    }

    fn error(&self, message: String) -> Option<Finding> {
        if self.rules.fails_closed { self.refusal(message, true) } else { None }
    }

    /// What follows from a no: the worst of what the binding asks for.
    fn refusal(&self, message: String, is_computed: bool) -> Option<Finding> {
        let has = |action: &str| self.binding.actions.iter().any(|one| one == action);
        let says = match () {
            () if has("Deny") => Says::Denies,
            () if has("Warn") => Says::Warns,
            () if has("Audit") => Says::Audits,
            () => return None,
        };
        Some((says, message, is_computed))
    }
}

/// The API server does not take a policy that may say something else; nor do we guess what it would mean.
fn no_answer() -> Finding {
    (Says::Unknown, "an expression says neither true nor false".to_owned(), false)
}

fn evaluated<'a>(
    expression: &'a Result<Expression, Unreadable>,
    run: &mut Run<'a>,
    budget: &mut Budget,
) -> Result<Value, Fault> {
    let expression = expression.as_ref().map_err(|unreadable| Fault::Unknown(unreadable.to_string()))?;
    let given = budget.at_most(EXPRESSION);
    let mut rest = given;
    let found = run.evaluate(expression, &mut rest);
    budget.settle(given, rest);
    found
}

/// What is done to an object that is there or not, as it will be there or not.
pub fn operation(old: Option<&Json>, object: Option<&Json>) -> Operation {
    match (old, object) {
        (_, None) => Operation::Delete,
        (None, _) => Operation::Create,
        _ => Operation::Update,
    }
}
