//! The `checks` gate: what the forge's robots say of the commit.
//!
//! **In:** the statuses of a commit. **Out:** an [`Answer`]. **May not:** pass when nobody has said anything.

use super::Answer;
use crate::api::leeboard::promotion::Checks;
use crate::forge::{Check, State};

/// Our own word on a commit is no evidence for us.
const OURS: &str = "leeboard/";

/// Whether all statuses that are asked for are green.
pub fn checks(gate: &Checks, found: &[Check]) -> Answer {
    let counts = |check: &&Check| {
        let who = check.author.as_ref().map(|author| author.login.as_str());
        !check.context.starts_with(OURS)
            && (gate.from.is_empty() || who.is_some_and(|who| gate.from.iter().any(|from| from == who)))
    };
    let counted: Vec<&Check> = found.iter().filter(counts).collect();
    let named: Vec<(&str, Option<&Check>)> = if gate.names.is_empty() {
        counted.iter().map(|check| (check.context.as_str(), Some(*check))).collect()
    } else {
        let of = |name: &str| counted.iter().copied().find(|check| check.context == name);
        gate.names.iter().map(|name| (name.as_str(), of(name))).collect()
    };
    if named.is_empty() {
        return Answer::wait("the forge knows no status of this commit");
    }
    let words = |check: &Check| match check.description.trim() {
        "" => String::new(),
        said => format!(": {said}"),
    };
    let mut waits = Vec::new();
    for (name, check) in &named {
        match check.map(|check| (check, check.state)) {
            Some((check, State::Failure | State::Error)) => {
                return Answer::fail(format!("`{name}` is red{}", words(check)));
            }
            Some((_, State::Success)) => {}
            Some((_, State::Neutral)) if gate.allow_skipped => {}
            Some((_, State::Neutral)) => waits.push(format!("`{name}` was skipped")),
            Some((_, State::Pending)) => waits.push(format!("`{name}` runs")),
            None => waits.push(format!("`{name}` is missing")),
        }
    }
    if !waits.is_empty() {
        return Answer::wait(waits.join(", "));
    }
    let by = |check: &Check| check.author.as_ref().map(|author| format!(" by {}", author.login)).unwrap_or_default();
    let green: Vec<String> =
        named.iter().map(|(name, check)| format!("`{name}`{}", check.map(by).unwrap_or_default())).collect();
    Answer::pass(format!("green: {}", green.join(", ")))
}
