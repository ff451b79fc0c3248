//! What admission policies say: R33.

use super::super::phrase::{Phrase, say};
use super::{Case, EnvironmentPreview, Finding, Severity};
use crate::object::secret::is_secret;
use crate::policy::{Says, Trust, Verdict};

/// R33: a policy refuses it, warns of it, notes it.
pub(super) fn verdicts(case: &Case<'_>) -> Vec<Finding> {
    let told = case.change.verdicts.iter().filter(|verdict| verdict.says != Says::Unknown);
    told.map(|verdict| {
        let (severity, what) = match verdict.says {
            Says::Denies | Says::Unknown => (Severity::Red, "would be refused by policy"),
            Says::Warns => (Severity::Yellow, "gets a warning from policy"),
            Says::Audits => (Severity::Info, "would be put on record by policy"),
        };
        let template = format!("{} {{}} {what} ", case.kind());
        let says = say(&template, &[&case.place()]).then(named(verdict)).then(said(case, verdict));
        let says = match case.change.source() {
            Some(at) => says.then(say(" ({})", &[at])),
            None => says,
        };
        Finding::new(33, severity, says)
    })
    .collect()
}

/// R33: nobody can tell what it will say; once for all objects.
pub(super) fn untold(case: &Case<'_>) -> Vec<Finding> {
    let unknown = case.change.verdicts.iter().filter(|verdict| verdict.says == Says::Unknown);
    unknown
        .map(|verdict| {
            let says = say("policy ", &[]).then(named(verdict));
            Finding::yellow(33, says.then(say(" cannot be evaluated before the merge", &[])).then(said(case, verdict)))
        })
        .collect()
}

/// R33: the cluster's policies could not be read.
pub(super) fn unread(environment: &EnvironmentPreview) -> Option<Finding> {
    let why = environment.facts.unread_policies.as_ref()?;
    Some(Finding::info(33, say("the admission policies of the cluster were not looked at: {}", &[why])))
}

/// The words of a policy. What was made from a Secret may hold its values in any form.
fn said(case: &Case<'_>, verdict: &Verdict) -> Phrase {
    match verdict.is_computed && is_secret(case.key) {
        true => say("; what it says was made from the Secret", &[]),
        false => say(": {}", &[&verdict.message]),
    }
}

fn named(verdict: &Verdict) -> Phrase {
    let template = match verdict.trust {
        Trust::Here => "{} (binding {})",
        Trust::Stranger => "{} (binding {}) of this pull request",
    };
    say(template, &[&verdict.policy, &verdict.binding])
}
