//! What stands in the way of every write: R13.

use serde_json::Value;

use super::super::phrase::say;
use super::body::{entries, items, text, texts};
use super::{Case, Finding, Severity};

const BLOCKS: &str = "can block every write in the cluster while its pod is down";

/// R13: admission that fails closed.
pub(super) fn blocking(case: &Case<'_>) -> Vec<Finding> {
    let Some(new) = case.new else { return vec![] };
    let place = case.place();
    let (severity, says) = match (&*case.key.group, &*case.key.kind) {
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") => {
            let closed = items(new, "/webhooks").iter().filter(|webhook| fails_closed(webhook));
            let Some(worst) = closed.map(|webhook| severity(case, webhook)).min() else { return vec![] };
            let what =
                if worst == Severity::Red { BLOCKS } else { "blocks the writes it covers while its pod is down" };
            (worst, say(&format!("{} {{}} {what}", case.kind()), &[&place]))
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            if text(new, "/spec/failurePolicy") == Some("Ignore") {
                return vec![];
            }
            let is_wide = items(new, "/spec/matchConstraints/resourceRules").iter().any(is_all);
            let severity = if is_wide { Severity::Red } else { Severity::Yellow };
            (severity, say("ValidatingAdmissionPolicy {} refuses writes when it cannot be evaluated", &[&place]))
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => {
            if !texts(new, "/spec/validationActions").any(|action| action == "Deny") {
                return vec![];
            }
            let policy = text(new, "/spec/policyName").unwrap_or_default();
            let says = say("ValidatingAdmissionPolicyBinding {} puts the policy {} in force", &[&place, &policy]);
            (Severity::Yellow, says)
        }
        ("apiregistration.k8s.io", "APIService") => {
            // Without a service the API server serves it itself.
            let Some(service) = service(new, "/spec/service") else { return vec![] };
            let severity = if is_in_plan(case, &service) { Severity::Red } else { Severity::Yellow };
            (severity, say("APIService {}: its API is gone while its pod is down", &[&place]))
        }
        _ => return vec![],
    };
    vec![Finding::new(13, severity, says)]
}

/// The default of `v1` is to fail.
fn fails_closed(webhook: &Value) -> bool {
    text(webhook, "/failurePolicy") != Some("Ignore")
}

fn severity(case: &Case<'_>, webhook: &Value) -> Severity {
    let is_empty = |field: &str| {
        entries(webhook, field).is_none_or(|selector| {
            selector.values().all(|part| {
                part.as_array().is_none_or(Vec::is_empty) && part.as_object().is_none_or(serde_json::Map::is_empty)
            })
        })
    };
    let is_wide =
        items(webhook, "/rules").iter().any(is_all) && is_empty("/namespaceSelector") && is_empty("/objectSelector");
    let in_plan = service(webhook, "/clientConfig/service").is_some_and(|service| is_in_plan(case, &service));
    if is_wide || in_plan { Severity::Red } else { Severity::Yellow }
}

fn is_all(rule: &Value) -> bool {
    let has = |field: &str, wanted: &[&str]| texts(rule, field).any(|value| wanted.contains(&value));
    has("/apiGroups", &["*"]) && has("/resources", &["*", "*/*"])
}

/// Namespace and name of the Service that answers.
fn service(body: &Value, pointer: &str) -> Option<(String, String)> {
    let field = |name: &str| text(body, &format!("{pointer}/{name}")).map(str::to_owned);
    Some((field("namespace")?, field("name")?))
}

fn is_in_plan(case: &Case<'_>, (namespace, name): &(String, String)) -> bool {
    let changes = case.scene.environment.applications.iter().flat_map(|application| application.outcome.changes());
    let mut services = changes.filter(|change| change.is_step() && change.key.kind == "Service");
    services.any(|change| change.key.namespace.as_deref() == Some(namespace) && change.key.name == *name)
}
