//! What rules of a project find in a change.
//!
//! **In:** rules, as an AppProject of the cluster has them; a change. **Out:** [`Remark`]s at the change. **May not:** read
//! rules that the pull request brings; whoever calls sees to that. An expression that has no answer is told, not passed.

use std::collections::BTreeMap;

use serde_json::json;
use smol_str::SmolStr;

use super::risk::Severity;
use super::{ApplicationPreview, Change, ChangeKind, EnvironmentPreview, Live, Outcome};
use crate::api::argo::PreviewRule;
use crate::policy::cel::value::Key;
use crate::policy::cel::{Budget, Expression, Fault, Run, Value};
use crate::policy::judge::with_room;

/// Steps of one rule over one change.
const RULE: u64 = 1_000_000;
/// Steps of all rules over all changes of an application.
const STEPS: u64 = 20_000_000;

/// Longer lists of what one rule finds in one change are not read.
const MOST: usize = 10;

/// What a rule says of a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remark {
    /// It finds a risk.
    Found {
        /// Its name.
        rule: String,
        /// How bad it may be.
        severity: Severity,
        /// What goes on.
        message: String,
        /// Whether these words were made from what the change holds.
        is_computed: bool,
    },
    /// It has no answer.
    Unknown {
        /// Its name.
        rule: String,
        /// Why.
        why: String,
    },
}

/// Notes what the rules of each application find at its changes.
pub fn remark_all<'r>(environment: &mut EnvironmentPreview, rules_of: impl Fn(&SmolStr) -> Option<&'r [PreviewRule]>) {
    let place = Place { environment: &environment.name, cluster: &environment.cluster };
    for application in &mut environment.applications {
        if let Some(rules) = rules_of(&application.name).filter(|rules| !rules.is_empty()) {
            remark(application, place, rules);
        }
    }
}

/// Where a change is made.
#[derive(Clone, Copy)]
struct Place<'a> {
    environment: &'a str,
    cluster: &'a str,
}

fn remark(application: &mut ApplicationPreview, place: Place<'_>, rules: &[PreviewRule]) {
    let name = application.name.clone();
    let changes = match &mut application.outcome {
        Outcome::Planned(planned) => &mut planned.changes,
        Outcome::Removed(removal) => &mut removal.changes,
        Outcome::Failed(_) | Outcome::Held(_) => return,
    };
    let rules: Vec<(&PreviewRule, Result<Expression, _>)> =
        rules.iter().map(|rule| (rule, Expression::read(&rule.expression))).collect();
    let found = with_room(|| {
        let mut budget = Budget::of(STEPS);
        let of = |change: &Change| {
            let body = |body: Option<&serde_json::Value>| body.map_or(Value::Null, Value::from);
            let globals = BTreeMap::from([
                ("old", body(change.before_body())),
                ("new", body(change.after_body())),
                ("live", live(change)),
                ("plan", plan(change, &name, place)),
            ]);
            let mut remarks = Vec::new();
            for (rule, expression) in &rules {
                let answer = match expression {
                    Ok(expression) => {
                        let given = budget.at_most(RULE);
                        let mut rest = given;
                        let answer = Run::new(globals.clone(), &[]).evaluate(expression, &mut rest);
                        budget.settle(given, rest);
                        answer
                    }
                    Err(unreadable) => Err(Fault::Unknown(unreadable.to_string())),
                };
                answered(rule, answer, &mut remarks);
            }
            remarks
        };
        changes.iter().map(of).collect::<Vec<_>>()
    });
    match found {
        Some(found) => changes.iter_mut().zip(found).for_each(|(change, remarks)| change.remarks = remarks),
        // A bug of ours is no rule that finds nothing.
        None => {
            let unknown = |rule: &PreviewRule| Remark::Unknown {
                rule: rule.name.clone(),
                why: "its evaluation has failed".to_owned(),
            };
            let remarks = rules.iter().map(|(rule, _)| unknown(rule));
            changes.iter_mut().take(1).for_each(|change| change.remarks.extend(remarks.clone()));
        }
    }
}

fn live(change: &Change) -> Value {
    match &change.live {
        Live::Ours(body) => Value::from(body),
        Live::Absent => Value::Null,
        Live::Unknown => Value::Unknown("what is in the cluster is not known"),
        Live::Hidden(_) => Value::Unknown("what is in the cluster is not this application's"),
    }
}

/// `plan`
fn plan(change: &Change, application: &str, place: Place<'_>) -> Value {
    let action = match &change.kind {
        ChangeKind::Create => "create",
        ChangeKind::Change => "change",
        ChangeKind::Replace => "replace",
        ChangeKind::Delete => "delete",
        ChangeKind::Stays(_) => "stays",
        ChangeKind::AlreadySo => "alreadySo",
        ChangeKind::Transferred { .. } => "transfer",
    };
    let key = &change.key;
    Value::from(&json!({
        "action": action, "environment": place.environment, "cluster": place.cluster, "application": application,
        "group": key.group, "version": change.version, "kind": key.kind, "namespace": key.namespace, "name": key.name,
        "phase": change.phase.to_string(), "wave": change.wave.0, "refused": change.refused.is_some(),
    }))
}

fn answered(rule: &PreviewRule, answer: Result<Value, Fault>, remarks: &mut Vec<Remark>) {
    let mut unknown = |why: &str| remarks.push(Remark::Unknown { rule: rule.name.clone(), why: why.to_owned() });
    let severity = |written: Option<&str>| match written {
        None | Some("yellow") => Some(Severity::Yellow),
        Some("red") => Some(Severity::Red),
        Some("info") => Some(Severity::Info),
        Some(_) => None,
    };
    const ODD: &str = "a severity is `red`, `yellow` or `info`";
    match answer {
        Ok(Value::Null | Value::Bool(false) | Value::Optional(None)) => {}
        Ok(Value::Optional(Some(value))) => answered(rule, Ok(value.as_ref().clone()), remarks),
        Ok(Value::List(items)) => items.iter().take(MOST).for_each(|item| answered(rule, Ok(item.clone()), remarks)),
        Ok(Value::Bool(true)) => match severity(rule.severity.as_deref()) {
            Some(severity) => remarks.push(Remark::Found {
                rule: rule.name.clone(),
                severity,
                message: rule.message.clone().unwrap_or_else(|| rule.name.clone()),
                is_computed: false,
            }),
            None => unknown(ODD),
        },
        Ok(Value::Map(entries)) => {
            let text = |field: &str| match entries.get(&Key::String(field.into())) {
                Some(Value::String(text)) => Some(text.to_string()),
                _ => None,
            };
            match severity(text("severity").as_deref().or(rule.severity.as_deref())) {
                Some(severity) => remarks.push(Remark::Found {
                    rule: rule.name.clone(),
                    severity,
                    message: text("message").or_else(|| rule.message.clone()).unwrap_or_else(|| rule.name.clone()),
                    is_computed: true,
                }),
                None => unknown(ODD),
            }
        }
        Ok(other) => unknown(&format!("it gives a {}", other.type_name())),
        Err(Fault::Error(why) | Fault::Unknown(why)) => unknown(&why),
        Err(Fault::Exhausted) => unknown("it takes more steps than a preview may spend on it"),
    }
}
