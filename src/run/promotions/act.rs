//! One step of one promotion: what is seen becomes facts, the machine decides, and what it wants is done.
//!
//! **In:** a promotion, what was seen of its environment. **Out:** its status, a commit, a pull request. **May not:** write to
//! the branch before the status says that it will; or write what the branch's owner has locked meanwhile.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::ask::{PROMOTION_VERSION, key};
use super::facts::{AGAIN, Seen, after, look, mode};
use super::plan::{Planned, diverged, held};
use super::{Subject, tell};
use crate::api::leeboard::Environment;
use crate::api::leeboard::promotion::{
    AfterFailure, MergeMethod, Place, Promotion, PromotionKind, PromotionPhase, PromotionStatus, PromotionTrack,
    WriteMode, Written,
};
use crate::forge::{self, Method, Opening};
use crate::git::{Author, Brought, Carried, Carry, Error, Mirror, Oid, Reverted, Way};
use crate::object::ObjectKey;
use crate::promote::machine::{self, Action, Decision, Outcome, Verdict};
use crate::promote::message;
use crate::promote::window::{self, Gateway};

/// What branch protection knows the status by.
const STATUS: &str = "leeboard/promotion";

/// Takes a promotion one step further. When to look again.
pub(super) async fn step(
    seen: &Seen<'_>,
    promotion: &Promotion,
    track: &mut PromotionTrack,
) -> Result<Option<Timestamp>, String> {
    let subject = seen.subject;
    let mut look = look(seen, promotion, track).await?;
    let mut decision = machine::decide(promotion, &subject.policy, &look.facts);
    let before = promotion.status.clone().unwrap_or_default();
    let mut status = machine::noted(&before, &decision, &look.facts);
    if let Some(planned) = &look.planned {
        status.base = Some(Place { branch: subject.branch.clone(), commit: planned.base.to_string() });
    }
    if let Some(commit) = &look.facts.written {
        let write = status.write.get_or_insert_with(|| Written { mode: mode(subject), ..Written::default() });
        write.commit = Some(commit.clone());
    }
    let mut promotion = tell::status(subject, promotion, &status).await?;
    while decision.action != Action::None {
        let outcome = act(seen, &promotion, &decision, look.planned.as_ref(), &mut status, track).await;
        let next = match &outcome {
            Some(outcome) => machine::after(&decision, &subject.policy, outcome),
            None => Decision { action: Action::None, ..decision.clone() },
        };
        if matches!(outcome, Some(Outcome::Again(_) | Outcome::Moved)) {
            look.wakes.push(after(subject.now, AGAIN));
        }
        look.facts.now = Timestamp::now();
        status = machine::noted(&status, &next, &look.facts);
        promotion = tell::status(subject, &promotion, &status).await?;
        if outcome == Some(Outcome::Moved) {
            // Where the branch stands now is to be known before it is planned again.
            subject.daemon.repositories.refresh_now(&subject.url, std::slice::from_ref(&subject.branch)).await;
            look.wakes.push(subject.now);
        }
        decision = next;
    }
    if decision.phase == PromotionPhase::PullRequest {
        let ours = || status.write.as_ref()?.commit.as_ref()?.parse::<Oid>().ok();
        let verdict = machine::verdict(&promotion, &subject.policy, &look.facts);
        if let Some(head) = look.foreign.or_else(ours)
            && let Err(why) = judge(subject, &promotion, head, verdict).await
        {
            tracing::warn!(promotion = promotion.name(), why, "Status of the pull request not set");
            look.wakes.push(after(subject.now, AGAIN));
        }
    }
    if decision.phase.is_final() && before.phase != decision.phase {
        // Others may have their turn.
        subject.daemon.promotions_of(subject.environment.name());
    }
    Ok(if decision.phase.is_final() { None } else { look.wakes.into_iter().min() })
}

/// Does what the machine wants; `None` when there is nothing more to say.
async fn act(
    seen: &Seen<'_>,
    promotion: &Promotion,
    decision: &Decision,
    planned: Option<&Planned>,
    status: &mut PromotionStatus,
    track: &mut PromotionTrack,
) -> Option<Outcome> {
    let subject = seen.subject;
    // Where it stands then is told by its status.
    tracing::debug!(promotion = promotion.name(), action = ?decision.action, "{}", decision.message);
    match decision.action {
        Action::None => None,
        Action::Write => {
            let planned = planned?;
            if let Err(why) = still_wanted(subject, promotion).await {
                return Some(Outcome::Again(why));
            }
            let outcome = write(seen, promotion, planned, None).await;
            if let Outcome::Written(commit) = &outcome {
                if promotion.spec.kind == PromotionKind::Rollback {
                    rolled_back(promotion, track);
                }
                status.write =
                    Some(Written { mode: mode(subject), commit: Some(commit.clone()), ..Written::default() });
                subject.daemon.repositories.hint(|url| url.is_same_repository(&subject.url));
            }
            Some(outcome)
        }
        Action::Propose => Some(propose(seen, promotion, planned?, status).await),
        Action::Merge => Some(merge(subject, status).await),
        Action::Close => {
            if let Some(number) = status.write.as_ref().and_then(|write| write.pull_request) {
                close(subject, number, &decision.message).await;
            }
            None
        }
        Action::TakeBack => Some(take_back(subject, promotion, decision, status, track).await),
    }
}

/// What a rollback takes away does not come back by itself.
fn rolled_back(promotion: &Promotion, track: &mut PromotionTrack) {
    let tenures = || track.current.iter().chain(&track.previous);
    let gone = tenures().take_while(|tenure| tenure.commit != promotion.spec.commit);
    let gone: Vec<String> = gone.map(|tenure| tenure.origin.clone()).collect();
    let why = match &promotion.spec.reason {
        Some(reason) => format!("rolled back by {}: {reason}", promotion.name()),
        None => format!("rolled back by {}", promotion.name()),
    };
    track.rejected.extend(gone.into_iter().map(|origin| (origin, why.clone())));
}

/// Reads once more, right before the write, what could forbid it.
async fn still_wanted(subject: &Subject<'_>, promotion: &Promotion) -> Result<(), String> {
    let cluster = &subject.daemon.cluster;
    let environment =
        ObjectKey { kind: "Environment".into(), name: subject.environment.name().into(), ..key(promotion) };
    let environment: Environment =
        cluster.get_as(&environment, PROMOTION_VERSION).await.map_err(|error| error.to_string())?;
    let by_person = promotion.spec.requested_by.is_some();
    if let Gateway::Closed { why, .. } = window::of(&environment, by_person, Timestamp::now()) {
        return Err(why);
    }
    let now: Promotion = cluster.get_as(&key(promotion), PROMOTION_VERSION).await.map_err(|error| error.to_string())?;
    match now.spec.abort {
        Some(_) => Err("it is to be aborted".into()),
        None => Ok(()),
    }
}

/// What of a promotion's commit comes from others.
fn carried(seen: &Seen<'_>, promotion: &Promotion, brought: &Brought) -> message::Carried {
    let offers = || seen.sources.iter().flat_map(|source| &source.offers);
    let origin = offers().find(|offer| offer.commit == promotion.spec.commit).map(|offer| offer.origin.clone());
    let own = super::track_of(seen.subject.daemon, seen.subject.environment.name());
    let had = own.current.iter().chain(&own.previous).find(|tenure| tenure.commit == promotion.spec.commit);
    let origin = origin.or_else(|| had.map(|tenure| tenure.origin.clone()));
    message::Carried {
        origin: origin.unwrap_or_else(|| promotion.spec.commit.clone()),
        subjects: brought.subjects.clone(),
        authors: brought.authors.clone(),
    }
}

async fn write(seen: &Seen<'_>, promotion: &Promotion, planned: &Planned, aside: Option<String>) -> Outcome {
    let subject = seen.subject;
    let policy = subject.policy.write.clone().unwrap_or_default();
    let carried = carried(seen, promotion, &planned.brought);
    let status = promotion.status.clone().unwrap_or_default();
    let plan = status.plan.as_ref().map(|plan| plan.hash.clone()).unwrap_or_default();
    let written_by =
        |author: crate::api::leeboard::promotion::Author| Author { name: author.name, email: author.email };
    let author = policy.author.map(written_by).unwrap_or_default();
    let way = match (promotion.spec.kind, policy.mode) {
        (PromotionKind::Rollback, _) => Way::Restore,
        (_, WriteMode::FastForward) => Way::FastForward,
        (_, WriteMode::Merge | WriteMode::PullRequest) => Way::Merge,
    };
    let carry = Carry {
        branch: subject.branch.clone(),
        base: planned.base,
        commit: planned.commit,
        way,
        message: message::commit(promotion, policy.message.as_deref(), &carried, &plan),
        author,
        at: status.started_at.map_or(subject.now, |Time(at)| at),
        aside,
        held: held(subject),
    };
    let mirror = subject.daemon.repositories.mirrors().mirror(&subject.url);
    match mirror.carry(carry).await {
        Ok(Carried::By(commit)) => Outcome::Written(commit.to_string()),
        Ok(Carried::Moved | Carried::Conflict(_)) => Outcome::Moved,
        Ok(Carried::Diverged(own)) => Outcome::Refused(diverged(&subject.branch, &own)),
        // Also where asking again may help in general: nothing but a person changes what a branch takes.
        Err(error @ Error::PushRefused { .. }) => Outcome::Refused(told(&error, error.hint())),
        Err(error) if error.is_transient() => Outcome::Again(error.to_string()),
        Err(error) => Outcome::Refused(told(&error, error.hint())),
    }
}

/// The branch that pull requests into an environment come from.
fn aside(environment: &str) -> String {
    format!("leeboard/promote/{environment}")
}

async fn propose(seen: &Seen<'_>, promotion: &Promotion, planned: &Planned, status: &mut PromotionStatus) -> Outcome {
    let subject = seen.subject;
    let forge = match subject.forge().await {
        Ok(forge) => forge,
        Err(why) => return Outcome::Refused(why),
    };
    let branch = aside(subject.environment.name());
    let commit = match write(seen, promotion, planned, Some(branch.clone())).await {
        Outcome::Written(commit) => commit,
        other => return other,
    };
    let carried = carried(seen, promotion, &planned.brought);
    let opening = Opening {
        head: branch,
        base: subject.branch.clone(),
        title: message::subject(promotion, subject.policy.write.as_ref().and_then(|write| write.message.as_deref())),
        description: message::pull_request(promotion, &carried),
    };
    match forge.open_pull(&opening).await {
        Ok(pull) => {
            let write = Written {
                mode: WriteMode::PullRequest,
                commit: Some(commit),
                pull_request: Some(pull.number),
                url: pull.page.clone(),
                taken_back: None,
            };
            status.write = Some(write);
            Outcome::Proposed(pull.number)
        }
        Err(error) if error.is_transient() => Outcome::Again(error.to_string()),
        Err(error) => Outcome::Refused(told(&error, error.hint())),
    }
}

/// An error with what to do about it.
fn told(error: &impl std::fmt::Display, hint: Option<impl std::fmt::Display>) -> String {
    hint.map_or_else(|| error.to_string(), |hint| format!("{error}. {hint}"))
}

async fn merge(subject: &Subject<'_>, status: &PromotionStatus) -> Outcome {
    let write = status.write.clone().unwrap_or_default();
    let (Some(number), Some(Ok(head))) =
        (write.pull_request, write.commit.as_ref().map(|commit| commit.parse::<Oid>()))
    else {
        return Outcome::Again("its pull request is not known".into());
    };
    let policy = subject.policy.write.clone().unwrap_or_default();
    let method = match policy.merge_method {
        MergeMethod::Merge => Method::Merge,
        MergeMethod::Squash => Method::Squash,
        MergeMethod::Rebase => Method::Rebase,
    };
    let forge = match subject.forge().await {
        Ok(forge) => forge,
        Err(why) => return Outcome::Again(why),
    };
    match forge.merge(number, head, method).await {
        Ok(forge::Merged::Done { .. }) => Outcome::Again(format!("pull request #{number} is merged")),
        Ok(forge::Merged::HeadMoved) => Outcome::Again("others have pushed to its branch".into()),
        Ok(forge::Merged::NotYet { said }) => Outcome::Again(said),
        Ok(forge::Merged::Refused { said }) => Outcome::Refused(said),
        Ok(forge::Merged::NotOffered) => Outcome::Refused("it does not know that way to merge".into()),
        Err(error) if error.is_transient() => Outcome::Again(error.to_string()),
        Err(error) => Outcome::Refused(told(&error, error.hint())),
    }
}

/// Sees to it that the head of a pull request has a status that says whether it may be merged: branch protection can ask
/// for it.
async fn judge(subject: &Subject<'_>, promotion: &Promotion, head: Oid, verdict: Verdict) -> Result<(), String> {
    let told = (head, verdict);
    if subject.daemon.promotions.told.lock().get(promotion.name()) == Some(&told) {
        return Ok(());
    }
    let (state, description) = match &told.1 {
        Verdict::Passes => (forge::State::Success, "all gates have passed"),
        Verdict::Waits(why) => (forge::State::Pending, why.as_str()),
        Verdict::Fails(why) => (forge::State::Failure, why.as_str()),
    };
    let status = forge::Status {
        commit: head,
        branch: Some(aside(subject.environment.name())),
        context: STATUS.to_owned(),
        state,
        description: description.to_owned(),
        page: promotion.status.as_ref().and_then(|status| status.write.as_ref()?.url.clone()),
    };
    let forge = subject.forge().await?;
    forge.put_status(&status).await.map_err(|error| self::told(&error, error.hint()))?;
    subject.daemon.promotions.told.lock().insert(promotion.name().into(), told);
    Ok(())
}

/// Closes a pull request with a word why; what cannot be closed is told in the log.
async fn close(subject: &Subject<'_>, number: u64, why: &str) {
    let closed = async {
        let forge = subject.forge().await?;
        let body = format!("Leeboard closes this: {why}.");
        let marker = "<!-- leeboard:promotion -->";
        forge.put_comment(number, None, marker, &body).await.map_err(|error| told(&error, error.hint()))?;
        forge.close(number).await.map_err(|error| told(&error, error.hint()))
    };
    if let Err(error) = closed.await {
        tracing::warn!(environment = subject.environment.name(), number, error, "Pull request not closed");
    }
}

/// Takes back what a promotion has written.
async fn take_back(
    subject: &Subject<'_>,
    promotion: &Promotion,
    decision: &Decision,
    status: &mut PromotionStatus,
    track: &mut PromotionTrack,
) -> Outcome {
    let why = &decision.message;
    let written = status.write.as_ref().and_then(|write| write.commit.as_ref()).and_then(|commit| commit.parse().ok());
    let Some(written): Option<Oid> = written else { return Outcome::Refused("what it wrote is not known".into()) };
    track.rejected.insert(promotion.spec.commit.clone(), why.clone());
    let mirror = subject.daemon.repositories.mirrors().mirror(&subject.url);
    let reason = format!("Promotion {} failed: {why}\nEnvironment: {}", promotion.name(), subject.environment.name());
    let asks = subject.policy.rollback == AfterFailure::PullRequest;
    let branch = &subject.branch;
    let reverted =
        if asks { Err(None) } else { mirror.revert(branch, written, &reason, subject.now).await.map_err(Some) };
    let (words, taken_back) = match reverted {
        Ok(Reverted::By(by)) => {
            subject.daemon.repositories.hint(|url| url.is_same_repository(&subject.url));
            (format!("taken back by {}", by.short()), Some(by.to_string()))
        }
        Ok(Reverted::Already) => ("it was taken back already".to_owned(), None),
        Ok(Reverted::Gone) => ("the branch does not hold it any more".to_owned(), None),
        Err(Some(error)) if error.is_transient() => {
            return Outcome::Again(format!("{why}; not taken back yet: {error}"));
        }
        Err(Some(error)) => return Outcome::Refused(error.to_string()),
        Err(None) => match asked(subject, promotion, &mirror, written, &reason).await {
            Ok(number) => (format!("pull request #{number} asks to take it back"), Some(format!("#{number}"))),
            Err(outcome) => return outcome,
        },
    };
    if let Some(write) = status.write.as_mut() {
        write.taken_back = taken_back;
    }
    Outcome::TakenBack(words)
}

/// Opens a pull request that takes back what was written.
async fn asked(
    subject: &Subject<'_>,
    promotion: &Promotion,
    mirror: &Mirror,
    written: Oid,
    reason: &str,
) -> Result<u64, Outcome> {
    let aside = format!("leeboard/revert-{}", written.short());
    match mirror.propose_revert(&subject.branch, &aside, written, reason, subject.now).await {
        Ok(Reverted::By(_)) => {}
        Ok(Reverted::Already | Reverted::Gone) => {
            return Err(Outcome::TakenBack("it is off the branch already".into()));
        }
        Err(error) if error.is_transient() => return Err(Outcome::Again(error.to_string())),
        Err(error) => return Err(Outcome::Refused(error.to_string())),
    }
    let forge = subject.forge().await.map_err(Outcome::Refused)?;
    let opening = Opening {
        head: aside,
        base: subject.branch.clone(),
        title: format!("Take back {}: {} failed", written.short(), promotion.name()),
        description: format!("{reason}\n"),
    };
    match forge.open_pull(&opening).await {
        Ok(pull) => Ok(pull.number),
        Err(error) if error.is_transient() => Err(Outcome::Again(error.to_string())),
        Err(error) => Err(Outcome::Refused(told(&error, error.hint()))),
    }
}
