//! What rules of a project find: R34.

use super::super::phrase::say;
use super::super::rules::Remark;
use super::{Case, Finding};
use crate::object::secret::is_secret;

/// R34: a risk that only people of this place know.
pub(super) fn remarks(case: &Case<'_>) -> Vec<Finding> {
    let found = case.change.remarks.iter().filter_map(|remark| match remark {
        Remark::Found { rule, severity, message, is_computed } => Some((rule, *severity, message, *is_computed)),
        Remark::Unknown { .. } => None,
    });
    found
        .map(|(rule, severity, message, is_computed)| {
            let says = say(&format!("{} {{}}: ", case.kind()), &[&case.place()]);
            // What was made from a Secret may hold its values in any form.
            let says = match is_computed && is_secret(case.key) {
                true => says.then(say("rule {} finds something that was made from the Secret", &[rule])),
                false => says.then(say("{} (rule {})", &[message, rule])),
            };
            Finding::new(34, severity, says)
        })
        .collect()
}

/// R34: a rule has no answer; once for all objects.
pub(super) fn untold(case: &Case<'_>) -> Vec<Finding> {
    let unknown = case.change.remarks.iter().filter_map(|remark| match remark {
        Remark::Unknown { rule, why } => Some((rule, why)),
        Remark::Found { .. } => None,
    });
    unknown
        .map(|(rule, why)| {
            let says = match is_secret(case.key) {
                true => say("rule {} has no answer about a Secret", &[rule]),
                false => say("rule {} has no answer: {}", &[rule, why]),
            };
            Finding::yellow(34, says)
        })
        .collect()
}
