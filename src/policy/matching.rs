//! Whether a policy is meant for a request.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::{MatchResources, NamedRuleWithOperations};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::admission::{GROUP, Trust};
use super::{Request, Surroundings};

/// Whether it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    Yes,
    No,
    /// It depends on this.
    Unknown(&'static str),
}

/// Policies are not asked about policies: one that denies all could not be taken back.
pub(super) fn is_exempt(request: &Request<'_>) -> bool {
    request.key.group == GROUP
        && matches!(
            request.plural,
            "validatingadmissionpolicies"
                | "validatingadmissionpolicybindings"
                | "mutatingadmissionpolicies"
                | "mutatingadmissionpolicybindings"
        )
}

/// Whether a request is one that these constraints are about.
pub(super) fn meant(constraints: &MatchResources, request: &Request<'_>, around: &Surroundings, trust: Trust) -> Meant {
    let is_exact = constraints.match_policy.as_deref() == Some("Exact");
    let fits = |rules: &Option<Vec<NamedRuleWithOperations>>| {
        let rules = rules.as_deref().unwrap_or_default();
        let found = rules.iter().map(|rule| fits(rule, request, is_exact));
        found.fold(Meant::No, |best, next| match (best, next) {
            (Meant::Yes, _) | (_, Meant::Yes) => Meant::Yes,
            (Meant::No, other) | (other, _) => other,
        })
    };
    let has_rules = constraints.resource_rules.as_ref().is_some_and(|rules| !rules.is_empty());
    let included = if has_rules { fits(&constraints.resource_rules) } else { Meant::Yes };
    let excluded = match fits(&constraints.exclude_resource_rules) {
        Meant::Yes => Meant::No,
        Meant::No => Meant::Yes,
        unknown => unknown,
    };
    let all = [included, excluded, objects(constraints, request), namespaces(constraints, request, around, trust)];
    all.into_iter().fold(Meant::Yes, |worst, next| match (worst, next) {
        (Meant::No, _) | (_, Meant::No) => Meant::No,
        (Meant::Yes, other) | (other, _) => other,
    })
}

fn fits(rule: &NamedRuleWithOperations, request: &Request<'_>, is_exact: bool) -> Meant {
    let any = |list: &Option<Vec<String>>, is_it: &dyn Fn(&str) -> bool| {
        list.as_deref().unwrap_or_default().iter().any(|one| one == "*" || is_it(one))
    };
    let resource = |one: &str| {
        let (name, part) = one.split_once('/').unwrap_or((one, ""));
        (name == "*" || name == request.plural) && (part.is_empty() || part == "*")
    };
    let scope = match rule.scope.as_deref() {
        Some("Namespaced") => request.key.namespace.is_some(),
        Some("Cluster") => request.key.namespace.is_none(),
        _ => true,
    };
    let names = rule.resource_names.as_deref().unwrap_or_default();
    let is_about = scope
        && any(&rule.operations, &|one| one == request.operation.name())
        && any(&rule.api_groups, &|one| one == request.key.group)
        && any(&rule.resources, &resource)
        && (names.is_empty() || names.iter().any(|name| *name == request.key.name));
    match is_about {
        true if any(&rule.api_versions, &|one| one == request.version) => Meant::Yes,
        // The API server would show it the object in its own version.
        true if !is_exact => Meant::Unknown("it is written for another version of this kind"),
        _ => Meant::No,
    }
}

fn objects(constraints: &MatchResources, request: &Request<'_>) -> Meant {
    let Some(selector) = &constraints.object_selector else { return Meant::Yes };
    let mut bodies = [request.object, request.old].into_iter().flatten();
    if bodies.any(|body| selects(selector, &labels(body))) { Meant::Yes } else { Meant::No }
}

fn namespaces(constraints: &MatchResources, request: &Request<'_>, around: &Surroundings, trust: Trust) -> Meant {
    let Some(selector) = &constraints.namespace_selector else { return Meant::Yes };
    let is_empty = selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty);
    if is_empty {
        return Meant::Yes;
    }
    let labels = match &request.key.namespace {
        Some(name) => {
            let Some(body) = around.namespace(name, trust) else {
                return Meant::Unknown("the labels of the namespace are not known");
            };
            let mut labels = labels(&body);
            labels.insert("kubernetes.io/metadata.name".into(), name.to_string());
            labels
        }
        None if request.key.group.is_empty() && request.key.kind == "Namespace" => {
            let mut labels = request.object.or(request.old).map(labels).unwrap_or_default();
            labels.insert("kubernetes.io/metadata.name".into(), request.key.name.to_string());
            labels
        }
        // What is in no namespace is not left out by what namespaces are called.
        None => return Meant::Yes,
    };
    if selects(selector, &labels) { Meant::Yes } else { Meant::No }
}

pub(super) fn labels(body: &Value) -> BTreeMap<String, String> {
    let labels = body.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// True when a selector selects these labels; an empty one selects all.
pub(super) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let wanted = selector.match_labels.iter().flatten();
    let mut expressions = selector.match_expressions.iter().flatten();
    wanted.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && expressions.all(|expression| {
            let found = labels.get(&expression.key);
            let values = expression.values.as_deref().unwrap_or_default();
            match expression.operator.as_str() {
                "In" => found.is_some_and(|value| values.contains(value)),
                "NotIn" => found.is_none_or(|value| !values.contains(value)),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}
