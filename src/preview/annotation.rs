//! What is said at lines of files: why something does not render, and the risks of what is written there.

use std::collections::BTreeSet;

use super::mask::Masks;
use super::risk::{Risk, Severity};
use super::{Outcome, Preview};
use crate::error::Origin;

/// A sentence at a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The file, from the repository's root.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// How bad it may be.
    pub severity: Severity,
    /// Plain text, masked.
    pub says: String,
}

/// The sentences of a preview, the worst first. What is so in several environments is said once.
pub fn annotations(preview: &Preview, risks: &[Risk], masks: &Masks) -> Vec<Annotation> {
    let applications = preview.environments.iter().flat_map(|environment| &environment.applications);
    let broken = applications.filter_map(|application| match &application.outcome {
        Outcome::Failed(problems) => Some(problems),
        _ => None,
    });
    let broken = broken.flatten().filter_map(|problem| {
        let says = masks.finish(&masks.text(&problem.title));
        at(problem.origin.as_ref()?, Severity::Red, says)
    });
    let risky = risks.iter().filter(|risk| risk.severity.is_warning()).filter_map(|risk| {
        let environment = preview.environments.get(risk.environment)?;
        let application = environment.applications.iter().find(|one| one.name == risk.application)?;
        let key = risk.key.as_ref()?;
        let change = application.outcome.changes().iter().find(|change| change.key == *key)?;
        // What goes stands in no file any more.
        let origin = change.after.as_ref()?.origin.as_ref()?;
        at(origin, risk.severity, masks.finish(&masks.phrase(&risk.says).to_string()))
    });
    let mut known = BTreeSet::new();
    let is_new = |one: &Annotation| known.insert((one.file.clone(), one.line, one.says.clone()));
    broken.chain(risky).filter(is_new).collect()
}

fn at(origin: &Origin, severity: Severity, says: String) -> Option<Annotation> {
    (origin.line > 0).then(|| Annotation { file: origin.file.to_string(), line: origin.line, severity, says })
}
