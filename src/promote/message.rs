//! What git and people read of a promotion: the commit's message with its trailers, the text of its pull request.
//!
//! **In:** a promotion, its gates, what it carries. **Out:** texts, the same for the same promotion and base: a commit that is
//! made again is the same commit. **May not:** hold anything of a Secret.

use std::fmt::Write as _;

use super::candidate::short;
use crate::api::leeboard::promotion::{GateState, GateStatus, PlanSummary, Promotion, PromotionKind};
use crate::git::RESTORES;

/// The trailer that a promotion is found again by.
pub const TRAILER: &str = "Leeboard-Promotion";
/// The trailer that names the commit that was carried.
pub const COMMIT: &str = "Leeboard-Change";
/// The trailer that names the first environment's commit.
pub const ORIGIN: &str = "Leeboard-Origin";

/// At most so many subjects of carried commits are told.
const SUBJECTS: usize = 20;

/// What is carried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// The first environment's commit, in full.
    pub origin: String,
    /// The first lines of the commits that come with it, the newest first.
    pub subjects: Vec<String>,
    /// Who made them: `Name <address>`.
    pub authors: Vec<String>,
}

/// The name of an attempt: `prod-3f9a1c2d4e5f`, `prod-back-3f9a1c2d4e5f`, `prod-3f9a1c2d4e5f-2`.
pub fn name(environment: &str, kind: PromotionKind, commit: &str, attempt: usize) -> String {
    let commit = commit.get(..12).unwrap_or(commit);
    let back = if kind == PromotionKind::Rollback { "-back" } else { "" };
    let again = if attempt > 1 { format!("-{attempt}") } else { String::new() };
    format!("{environment}{back}-{commit}{again}")
}

/// The trailer's line of a promotion.
pub fn trailer(promotion: &Promotion) -> String {
    format!("{TRAILER}: {}/{}", promotion.namespace(), promotion.name())
}

/// The first line: what happens.
pub fn subject(promotion: &Promotion, wished: Option<&str>) -> String {
    if let Some(wished) = wished.and_then(|text| text.lines().next()).filter(|text| !text.trim().is_empty()) {
        return wished.trim().to_owned();
    }
    let spec = &promotion.spec;
    let commit = short(&spec.commit);
    match (spec.kind, &spec.from) {
        (PromotionKind::Rollback, _) => format!("Roll {} back to {commit}", spec.environment),
        (_, Some(from)) => format!("Promote {commit} from {from} to {}", spec.environment),
        (_, None) => format!("Promote {commit} to {}", spec.environment),
    }
}

/// The whole message of the commit.
pub fn commit(promotion: &Promotion, wished: Option<&str>, carried: &Carried, plan: &str) -> String {
    let mut text = format!("{}\n", subject(promotion, wished));
    if let Some(reason) = &promotion.spec.reason {
        let _ = write!(text, "\n{}\n", reason.trim());
    }
    if !carried.subjects.is_empty() {
        text.push('\n');
        for subject in carried.subjects.iter().take(SUBJECTS) {
            let _ = writeln!(text, "- {subject}");
        }
        if let Some(more) = carried.subjects.len().checked_sub(SUBJECTS).filter(|more| *more > 0) {
            let _ = writeln!(text, "- and {more} more");
        }
    }
    let gates = promotion.status.as_ref().map(|status| status.gates.as_slice()).unwrap_or_default();
    let passed: Vec<&GateStatus> = gates.iter().filter(|gate| gate.state != GateState::Wait && !gate.after).collect();
    if !passed.is_empty() {
        text.push('\n');
        for gate in passed {
            let _ = writeln!(text, "{}: {}", gate.name, gate.message);
        }
    }
    let what = if promotion.spec.kind == PromotionKind::Rollback { RESTORES } else { COMMIT };
    let _ = write!(text, "\n{}\n{what}: {}\n", trailer(promotion), promotion.spec.commit);
    if !carried.origin.is_empty() {
        let _ = writeln!(text, "{ORIGIN}: {}", carried.origin);
    }
    if let Some(from) = &promotion.spec.from {
        let _ = writeln!(text, "Leeboard-From: {from}@{}", promotion.spec.commit);
    }
    if !plan.is_empty() {
        let _ = writeln!(text, "Leeboard-Plan: {plan}");
    }
    for author in carried.authors.iter().take(10) {
        let _ = writeln!(text, "Co-authored-by: {author}");
    }
    text
}

/// What a plan changes: `+1 ~2 -3`, with what is made anew as `±1`.
pub fn counts(plan: &PlanSummary) -> String {
    let counts = [("+", plan.added), ("~", plan.changed), ("-", plan.removed), ("±", plan.replaced)];
    let counts = counts.iter().filter(|(_, count)| *count > 0).map(|(sign, count)| format!("{sign}{count}"));
    counts.collect::<Vec<String>>().join(" ")
}

/// The value of a trailer in a commit's message.
pub fn find<'a>(message: &'a str, trailer: &str) -> Option<&'a str> {
    message.lines().rev().find_map(|line| line.strip_prefix(trailer)?.strip_prefix(':').map(str::trim))
}

/// What people read on the pull request.
pub fn pull_request(promotion: &Promotion, carried: &Carried) -> String {
    let spec = &promotion.spec;
    let mut text = format!("Leeboard carries `{}`", short(&spec.commit));
    if let Some(from) = &spec.from {
        let _ = write!(text, " from `{from}`");
    }
    let _ = writeln!(text, " to `{}`.", spec.environment);
    if let Some(reason) = &spec.reason {
        let _ = write!(text, "\n> {}\n", reason.trim().replace('\n', "\n> "));
    }
    if !carried.subjects.is_empty() {
        text.push('\n');
        for subject in carried.subjects.iter().take(SUBJECTS) {
            let _ = writeln!(text, "- {}", subject.replace('@', "@\u{200b}"));
        }
    }
    let name = promotion.name();
    let _ = write!(
        text,
        "\n`leeboard promotion show {name}` tells what it waits for. Closing this aborts it; it goes on when this is merged, \
         in whatever way.\n"
    );
    text
}
