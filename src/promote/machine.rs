//! One promotion, from its beginning to its end: what is to be done now.
//!
//! **In:** the promotion as it stands, what was seen of git, forge and cluster ([`Facts`]). **Out:** where it stands then, in
//! one sentence, and at most one thing to do ([`Action`]). **May not:** write before every gate has passed; write twice; or
//! take anything that it did itself for done: git, the forge and the cluster say what was done.
//!
//! Every step can be taken again: after a `kill -9` the same facts lead to the same action, and what it wrote is found by the
//! trailer of its commit.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::candidate::short;
use super::gate::minute;
use super::window::Gateway;
use crate::api::leeboard::promotion::{
    AfterFailure, Fallback, GateState, GateStatus, PlanSummary, Promotion, PromotionKind, PromotionPhase,
    PromotionPolicy, PromotionStatus, Step, WriteMode,
};

/// What was seen.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The time.
    pub now: Timestamp,
    /// Whose turn it is, when it is not this one's: a sentence.
    pub behind: Option<String>,
    /// The newer one that takes its place.
    pub superseded_by: Option<String>,
    /// Why the commit must not enter.
    pub rejected: Option<String>,
    /// What it would be to write it.
    pub proposal: Proposal,
    /// What the gates before the write say.
    pub gates: Vec<GateStatus>,
    /// Some of the gates that wait, wait for people: their time does not count.
    pub waits_for_people: bool,
    /// Whether the branch takes promotions.
    pub gateway: Gateway,
    /// The commit on the branch that this promotion has made.
    pub written: Option<String>,
    /// Its pull request.
    pub pull: Pull,
    /// What the cluster holds of it.
    pub deployed: Deployed,
    /// What the gates after the deployment say.
    pub after: Vec<GateStatus>,
    /// The environment is not healthy, and has to be for a write.
    pub unhealthy: Option<String>,
}

/// What it would be to write a promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// That is not known yet, for this reason.
    Unknown(String),
    /// The branch has it already.
    Needless(String),
    /// It and the branch have changed the same lines.
    Conflict(String),
    /// What would come of it cannot be.
    Broken(String),
    /// This plan.
    Ready(PlanSummary),
}

/// Where a pull request stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pull {
    /// There is none.
    #[default]
    None,
    /// It waits; `is_current` when its branch holds what was planned now.
    Open {
        /// Its number.
        number: u64,
        /// Its branch stands on what would be written now.
        is_current: bool,
        /// Others have pushed to its branch: it is theirs now.
        is_foreign: bool,
    },
    /// It was merged: the branch became this by it.
    Merged(Option<String>),
    /// It was closed.
    Closed,
}

/// What the cluster holds of a written promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployed {
    /// Not yet, for this reason.
    Not(String),
    /// It could not be applied.
    Failed(String),
    /// It is applied; why it is not healthy yet, if so.
    Held(Option<String>),
    /// It is applied and has failed there.
    Degraded(String),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing but to remember where it stands.
    None,
    /// Write it to the branch.
    Write,
    /// Write its own branch, and open a pull request or bring that up to date.
    Propose,
    /// Merge its pull request.
    Merge,
    /// Close its pull request.
    Close,
    /// Take back what it wrote.
    TakeBack,
}

/// Where it stands, and what is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Where.
    pub phase: PromotionPhase,
    /// In one sentence.
    pub message: String,
    /// What.
    pub action: Action,
}

impl Decision {
    fn stay(phase: PromotionPhase, message: impl Into<String>) -> Self {
        Decision { phase, message: message.into(), action: Action::None }
    }

    fn act(phase: PromotionPhase, message: impl Into<String>, action: Action) -> Self {
        Decision { phase, message: message.into(), action }
    }
}

/// Who wants it.
fn is_automatic(promotion: &Promotion) -> bool {
    promotion.spec.requested_by.is_none() && promotion.spec.kind == PromotionKind::Promote
}

/// What is to be done about a promotion now.
pub fn decide(promotion: &Promotion, policy: &PromotionPolicy, facts: &Facts) -> Decision {
    use PromotionPhase as P;
    let phase = promotion.phase();
    if phase.is_final() {
        let message = promotion.status.as_ref().map(|status| status.message.clone()).unwrap_or_default();
        return Decision::stay(phase, message);
    }
    // Before it is known where it stands, git is asked whether it was written.
    let phase = match (&facts.written, phase) {
        (Some(_), P::Pending | P::Gated | P::Writing | P::PullRequest) => P::Deploying,
        (None, _) if promotion.spec.kind == PromotionKind::Push && phase == P::Pending => P::Deploying,
        (_, phase) => phase,
    };
    if let Some(abort) = &promotion.spec.abort {
        return aborted(phase, &abort.by, &abort.reason, facts);
    }
    match phase {
        P::Pending | P::Gated | P::Writing => before(promotion, policy, facts, phase),
        P::PullRequest => proposed(promotion, policy, facts),
        P::Deploying => deploying(promotion, policy, facts),
        P::Verifying => verifying(promotion, policy, facts),
        P::Succeeded | P::Failed | P::Aborted | P::Superseded | P::RolledBack => Decision::stay(phase, ""),
    }
}

fn aborted(phase: PromotionPhase, by: &str, reason: &str, facts: &Facts) -> Decision {
    let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let message = format!("aborted{by}{reason}");
    match (phase, &facts.pull) {
        (PromotionPhase::Deploying | PromotionPhase::Verifying, _) => {
            let kept = format!("{message}; what is deployed stays, `leeboard rollback` takes it back");
            Decision::stay(PromotionPhase::Aborted, kept)
        }
        (_, Pull::Open { .. }) => Decision::act(PromotionPhase::Aborted, message, Action::Close),
        _ => Decision::stay(PromotionPhase::Aborted, message),
    }
}

/// What keeps it from being written.
enum Hold {
    /// It ends.
    End(PromotionPhase, String),
    /// It waits.
    Wait(String),
}

/// Before it is written.
fn before(promotion: &Promotion, policy: &PromotionPolicy, facts: &Facts, phase: PromotionPhase) -> Decision {
    use PromotionPhase as P;
    if let Some(newer) = facts.superseded_by.as_ref().filter(|_| is_automatic(promotion)) {
        return Decision::stay(P::Superseded, format!("{newer} has taken its place"));
    }
    if let Some(behind) = &facts.behind {
        return Decision::stay(P::Pending, behind.clone());
    }
    let mode = policy.write.as_ref().map(|write| write.mode).unwrap_or_default();
    // Reviews of a pull request are approvals too: it is opened for them.
    let is_proposal = mode == WriteMode::PullRequest && promotion.spec.kind != PromotionKind::Rollback;
    match hold(promotion, policy, facts, is_proposal) {
        Some(Hold::End(phase, message)) => Decision::stay(phase, message),
        Some(Hold::Wait(message)) => Decision::stay(P::Gated, message),
        None if is_proposal => Decision::act(P::PullRequest, "a pull request is opened", Action::Propose),
        None if phase == P::Writing => Decision::act(P::Writing, "being written", Action::Write),
        // First it is remembered that it will be written.
        None => Decision::act(P::Writing, "all gates have passed", Action::Write),
    }
}

fn hold(promotion: &Promotion, policy: &PromotionPolicy, facts: &Facts, is_proposal: bool) -> Option<Hold> {
    use PromotionPhase as P;
    if let Some(why) = facts.rejected.as_ref().filter(|_| promotion.spec.kind != PromotionKind::Rollback) {
        return Some(Hold::End(P::Failed, format!("{} is rejected: {why}", short(&promotion.spec.commit))));
    }
    match &facts.proposal {
        Proposal::Needless(why) => return Some(Hold::End(P::Succeeded, format!("nothing to do: {why}"))),
        Proposal::Broken(why) => return Some(Hold::End(P::Failed, why.clone())),
        _ => {}
    }
    if let Some(red) = red(facts) {
        return Some(Hold::End(P::Failed, red));
    }
    let mut waits = Vec::new();
    match &facts.proposal {
        Proposal::Unknown(why) => waits.push(why.clone()),
        Proposal::Conflict(why) => waits.push(format!("conflict: {why}")),
        _ => {}
    }
    let open = facts.gates.iter().filter(|gate| matches!(gate.state, GateState::Wait | GateState::Error));
    waits.extend(
        open.filter(|gate| !(is_proposal && gate.kind == "approval"))
            .map(|gate| format!("{}: {}", gate.name, gate.message)),
    );
    if let Gateway::Closed { why, opens } = &facts.gateway {
        let opens = opens.map(|at| format!(", opens at {}", minute(at))).unwrap_or_default();
        waits.push(format!("{why}{opens}"));
    }
    waits.extend(facts.unhealthy.iter().map(|why| format!("{} is not healthy: {why}", promotion.spec.environment)));
    if waits.is_empty() {
        return None;
    }
    let message = waits.join("; ");
    match is_late(promotion, policy, facts) {
        Some(limit) => Some(Hold::End(P::Failed, format!("not within {limit}: {message}"))),
        None => Some(Hold::Wait(message)),
    }
}

/// The limit that it has passed.
fn is_late(promotion: &Promotion, policy: &PromotionPolicy, facts: &Facts) -> Option<String> {
    let limit = SignedDuration::try_from(policy.timeout()?).ok()?;
    let started = promotion.status.as_ref()?.started_at.as_ref()?.0;
    let is_counted = !facts.waits_for_people && facts.gateway == Gateway::Open;
    (is_counted && facts.now.duration_since(started) > limit).then(|| super::gate::text(limit))
}

fn proposed(promotion: &Promotion, policy: &PromotionPolicy, facts: &Facts) -> Decision {
    use PromotionPhase as P;
    let write = policy.write.clone().unwrap_or_default();
    match &facts.pull {
        Pull::Merged(_) => Decision::stay(P::PullRequest, "merged; the branch is asked for it"),
        Pull::Closed => Decision::stay(P::Aborted, "its pull request was closed"),
        Pull::None => match hold(promotion, policy, facts, true) {
            Some(Hold::End(phase, message)) => Decision::stay(phase, message),
            Some(Hold::Wait(message)) => Decision::stay(P::PullRequest, message),
            None => Decision::act(P::PullRequest, "a pull request is opened", Action::Propose),
        },
        // What is asked again may say another thing then: the status of the pull request tells meanwhile.
        Pull::Open { number, .. } if is_red_for_now(facts) => {
            Decision::stay(P::PullRequest, format!("pull request #{number}: {}", red(facts).unwrap_or_default()))
        }
        Pull::Open { number, is_current, is_foreign } => match hold(promotion, policy, facts, false) {
            Some(Hold::End(P::Succeeded, message)) => Decision::act(P::Succeeded, message, Action::Close),
            Some(Hold::End(phase, message)) => Decision::act(phase, message, Action::Close),
            Some(Hold::Wait(message)) if *is_current || *is_foreign => {
                Decision::stay(P::PullRequest, format!("pull request #{number}: {message}"))
            }
            _ if !*is_current && !*is_foreign => {
                Decision::act(P::PullRequest, format!("pull request #{number} is brought up to date"), Action::Propose)
            }
            Some(Hold::Wait(message)) => Decision::stay(P::PullRequest, format!("pull request #{number}: {message}")),
            None if write.auto_merge => {
                Decision::act(P::PullRequest, format!("pull request #{number} is merged"), Action::Merge)
            }
            None => Decision::stay(
                P::PullRequest,
                format!("all gates have passed: pull request #{number} waits for a merge"),
            ),
        },
    }
}

/// What the first red gate says.
fn red(facts: &Facts) -> Option<String> {
    let red = facts.gates.iter().find(|gate| gate.state == GateState::Fail)?;
    Some(format!("{}: {}", red.name, red.message))
}

/// Gates are red, and all of those will be asked again.
fn is_red_for_now(facts: &Facts) -> bool {
    let mut red = facts.gates.iter().filter(|gate| gate.state == GateState::Fail).peekable();
    red.peek().is_some() && red.all(|gate| gate.next_check.is_some())
}

/// What the head of its pull request is told by a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be merged.
    Passes,
    /// Not yet: why.
    Waits(String),
    /// It may not: why.
    Fails(String),
}

/// What the head of a promotion's pull request is told.
pub fn verdict(promotion: &Promotion, policy: &PromotionPolicy, facts: &Facts) -> Verdict {
    match hold(promotion, policy, facts, false) {
        None | Some(Hold::End(PromotionPhase::Succeeded, _)) => Verdict::Passes,
        Some(Hold::Wait(why)) => Verdict::Waits(why),
        Some(Hold::End(_, why)) => Verdict::Fails(why),
    }
}

fn deploying(promotion: &Promotion, policy: &PromotionPolicy, facts: &Facts) -> Decision {
    use PromotionPhase as P;
    match &facts.deployed {
        Deployed::Not(why) => Decision::stay(P::Deploying, why.clone()),
        Deployed::Failed(why) | Deployed::Degraded(why) => failed(promotion, policy, P::Deploying, why),
        Deployed::Held(_) => verifying(promotion, policy, facts),
    }
}

fn verifying(promotion: &Promotion, policy: &PromotionPolicy, facts: &Facts) -> Decision {
    use PromotionPhase as P;
    match &facts.deployed {
        Deployed::Failed(why) | Deployed::Degraded(why) => return failed(promotion, policy, P::Verifying, why),
        Deployed::Not(why) => return Decision::stay(P::Verifying, why.clone()),
        Deployed::Held(_) => {}
    }
    if let Some(red) = facts.after.iter().find(|gate| gate.state == GateState::Fail) {
        return failed(promotion, policy, P::Verifying, &format!("{}: {}", red.name, red.message));
    }
    let mut waits = Vec::new();
    if let Deployed::Held(Some(why)) = &facts.deployed {
        waits.push(why.clone());
    }
    let open = facts.after.iter().filter(|gate| matches!(gate.state, GateState::Wait | GateState::Error));
    waits.extend(open.map(|gate| format!("{}: {}", gate.name, gate.message)));
    if waits.is_empty() {
        return Decision::stay(P::Succeeded, format!("verified in {}", promotion.spec.environment));
    }
    let message = waits.join("; ");
    match is_late(promotion, policy, facts) {
        Some(limit) => failed(promotion, policy, P::Verifying, &format!("not within {limit}: {message}")),
        None => Decision::stay(P::Verifying, message),
    }
}

/// It did not prove itself where it was written.
fn failed(promotion: &Promotion, policy: &PromotionPolicy, phase: PromotionPhase, why: &str) -> Decision {
    let is_ours = promotion.spec.kind == PromotionKind::Promote || promotion.spec.kind == PromotionKind::Hotfix;
    match policy.rollback {
        AfterFailure::Revert | AfterFailure::PullRequest if is_ours => {
            Decision::act(phase, why.to_owned(), Action::TakeBack)
        }
        _ => Decision::stay(PromotionPhase::Failed, why.to_owned()),
    }
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The branch stands on this commit.
    Written(String),
    /// There is this pull request.
    Proposed(u64),
    /// The branch has moved meanwhile: all is asked anew.
    Moved,
    /// The server does not take it, in its words.
    Refused(String),
    /// It was taken back: a sentence.
    TakenBack(String),
    /// It has to be tried again, for this reason.
    Again(String),
}

/// Where it stands after an action.
pub fn after(decision: &Decision, policy: &PromotionPolicy, outcome: &Outcome) -> Decision {
    use PromotionPhase as P;
    let write = policy.write.clone().unwrap_or_default();
    match (outcome, &decision.action) {
        (Outcome::Written(commit), _) => {
            Decision::stay(P::Deploying, format!("written as {}, not applied yet", short(commit)))
        }
        (Outcome::Proposed(number), _) => Decision::stay(P::PullRequest, format!("pull request #{number} asks for it")),
        (Outcome::Moved, Action::Write) => Decision::stay(P::Gated, "the branch has moved: its gates are asked again"),
        (Outcome::Moved, _) => Decision::stay(decision.phase, decision.message.clone()),
        (Outcome::Refused(words), Action::Write) if write.fallback == Fallback::PullRequest => {
            Decision::act(P::PullRequest, format!("the branch may not be pushed to: {words}"), Action::Propose)
        }
        (Outcome::Refused(words), Action::Merge) => {
            Decision::stay(P::PullRequest, format!("the forge does not merge it: {words}"))
        }
        (Outcome::Refused(words), Action::TakeBack) => {
            Decision::stay(P::Failed, format!("{}; not taken back: {words}", decision.message))
        }
        (Outcome::Refused(words), _) => Decision::stay(P::Failed, words.clone()),
        (Outcome::TakenBack(words), _) => Decision::stay(P::RolledBack, format!("{}; {words}", decision.message)),
        (Outcome::Again(why), _) => Decision::stay(decision.phase, why.clone()),
    }
}

/// The longest record of steps.
const STEPS: usize = 200;

/// The status once a decision was made: what happened is added to what has happened.
#[must_use]
pub fn noted(before: &PromotionStatus, decision: &Decision, facts: &Facts) -> PromotionStatus {
    use PromotionPhase as P;
    let mut status = before.clone();
    let now = Time(facts.now);
    if status.started_at.is_none() {
        status.started_at = Some(now.clone());
    }
    if let Proposal::Ready(plan) = &facts.proposal
        && !decision.phase.is_final()
        && matches!(decision.phase, P::Pending | P::Gated | P::Writing | P::PullRequest)
    {
        let same = before.plan.as_ref().filter(|known| known.hash == plan.hash);
        let since = same.and_then(|known| known.since.clone()).unwrap_or_else(|| now.clone());
        status.plan = Some(PlanSummary { since: Some(since), ..plan.clone() });
    }
    if !facts.gates.is_empty() || !facts.after.is_empty() {
        let kept = |after: bool, fresh: &[GateStatus]| -> Vec<GateStatus> {
            if fresh.is_empty() {
                before.gates.iter().filter(|gate| gate.after == after).cloned().collect()
            } else {
                fresh.to_vec()
            }
        };
        status.gates = kept(false, &facts.gates);
        status.gates.extend(kept(true, &facts.after));
    }
    if before.phase != decision.phase {
        status.steps.push(Step {
            at: Some(now.clone()),
            from: before.phase,
            to: decision.phase,
            why: decision.message.clone(),
        });
        let excess = status.steps.len().saturating_sub(STEPS);
        status.steps.drain(..excess);
    }
    // What was written may have come to its end before anybody looked.
    if matches!(decision.phase, P::Deploying | P::Verifying) || facts.written.is_some() {
        status.written_at.get_or_insert_with(|| now.clone());
    }
    let is_held = matches!(facts.deployed, Deployed::Held(_));
    if is_held && matches!(decision.phase, P::Verifying | P::Succeeded) && status.written_at.is_some() {
        status.deployed_at.get_or_insert_with(|| now.clone());
    }
    if decision.phase == P::Succeeded {
        status.verified_at.get_or_insert_with(|| now.clone());
    }
    if decision.phase.is_final() {
        status.finished_at.get_or_insert(now);
    }
    status.phase = decision.phase;
    status.message.clone_from(&decision.message);
    status
}
