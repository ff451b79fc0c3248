//! One step of one promotion: what is seen becomes facts, the machine decides, and what it wants is done.
//!
//! **In:** a promotion, what was seen of its environment. **Out:** its status, a commit, a pull request. **May not:** write to
//! the branch before the status says that it will; or write what the branch's owner has locked meanwhile.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::ask::{About, Answers, PROMOTION_VERSION, key};
use super::plan::{Planned, diverged, held, plan};
use super::see::{self, Source};
use super::{Subject, holder, log, tell};
use crate::api::leeboard::Environment;
use crate::api::leeboard::promotion::{
    AfterFailure, GateState, MergeMethod, Promotion, PromotionKind, PromotionPhase, PromotionTrack, Select, Tenure,
    WriteMode, Written,
};
use crate::forge::{self, Method, Opening, PullState};
use crate::git::{Brought, Carried, Carry, Error, Mirror, Oid, Reverted, Way};
use crate::object::ObjectKey;
use crate::promote::machine::{self, Action, Decision, Deployed, Facts, Outcome, Proposal, Pull};
use crate::promote::message;
use crate::promote::track::Sight;
use crate::promote::window::{self, Gateway};

/// How long what has just been deployed may be degraded before that counts.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// How long what has been deployed may take to become healthy.
const HEALTHY_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// Before what the server or the forge did not answer is tried again.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// What was seen of an environment.
pub(super) struct Seen<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) sources: &'a [Source],
    pub(super) sight: &'a Sight,
    /// The commit that comes next.
    pub(super) candidate: Option<&'a str>,
}

/// What a step found out on the way.
struct Look {
    facts: Facts,
    planned: Option<Planned>,
    /// Times at which something may be different.
    wakes: Vec<Timestamp>,
}

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
        status.base = Some(crate::api::leeboard::promotion::Place {
            branch: subject.branch.clone(),
            commit: planned.base.to_string(),
        });
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
    if decision.phase.is_final() && before.phase != decision.phase {
        // Others may have their turn.
        subject.daemon.promotions_of(subject.environment.name());
    }
    Ok(if decision.phase.is_final() { None } else { look.wakes.into_iter().min() })
}

fn after(now: Timestamp, later: SignedDuration) -> Timestamp {
    now.checked_add(later).unwrap_or(Timestamp::MAX)
}

fn mode(subject: &Subject<'_>) -> WriteMode {
    subject.policy.write.as_ref().map(|write| write.mode).unwrap_or_default()
}

async fn look(seen: &Seen<'_>, promotion: &Promotion, track: &PromotionTrack) -> Result<Look, String> {
    let subject = seen.subject;
    let (daemon, now, spec) = (subject.daemon, subject.now, &promotion.spec);
    let status = promotion.status.clone().unwrap_or_default();
    let mirror = daemon.repositories.mirrors().mirror(&subject.url);
    let mut wakes = Vec::new();
    let commit: Oid = spec.commit.parse().map_err(|_| format!("`{}` is no commit", spec.commit))?;
    let (pull, head) = pull(seen, promotion, &mut wakes).await;
    let written = written(seen, promotion, &mirror, commit, &pull).await?;
    let is_before = written.is_none() && !matches!(status.phase, PromotionPhase::Deploying | PromotionPhase::Verifying);
    let is_push = spec.kind == PromotionKind::Push;
    let mut planned = None;
    let mut proposal = Proposal::Unknown("not looked at yet".into());
    let mut gates = Answers { gates: Vec::new(), waits_for_people: false };
    let behind = behind(subject, promotion);
    if is_before && !is_push && behind.is_none() {
        // What others have pushed to its branch is theirs: it is planned as it is.
        let foreign = matches!(pull, Pull::Open { is_foreign: true, .. }).then_some(head).flatten();
        let found = plan(subject, promotion, foreign.unwrap_or(commit)).await?;
        proposal = found.proposal.clone();
        if matches!(proposal, Proposal::Unknown(_)) {
            wakes.push(after(now, AGAIN));
        }
        let open = match pull {
            Pull::Open { number, .. } => Some(number),
            _ => None,
        };
        let shown = head.map_or_else(|| spec.commit.clone(), |head| head.to_string());
        let about = About {
            subject,
            promotion,
            proposal: &proposal,
            sources: seen.sources,
            commit: &shown,
            pull: open,
            authors: &found.brought.authors,
            planned: Some(&found),
        };
        gates = about.before().await;
        planned = Some(found);
    }
    let pull = match (pull, &planned) {
        (Pull::Open { number, is_foreign, .. }, Some(planned)) => {
            let base = status.base.as_ref().map(|base| base.commit.clone());
            let is_current = is_foreign || base.is_some_and(|base| base == planned.base.to_string());
            Pull::Open { number, is_foreign, is_current }
        }
        (pull, _) => pull,
    };
    let deployed = match &written {
        Some(written) => deployed(seen, promotion, written, &mut wakes),
        None if is_push => deployed(seen, promotion, &spec.commit, &mut wakes),
        None => Deployed::Not("it is not on the branch".into()),
    };
    let mut afterwards = Vec::new();
    if deployed == Deployed::Held(None) && !subject.policy.after.is_empty() {
        let commit = written.clone().unwrap_or_else(|| spec.commit.clone());
        let unknown = Proposal::Unknown(String::new());
        let about = About {
            subject,
            promotion,
            proposal: &unknown,
            sources: seen.sources,
            commit: &commit,
            pull: None,
            authors: &[],
            planned: None,
        };
        afterwards = about.after().await.gates;
    }
    let gateway = gateway(subject, promotion);
    if let Gateway::Closed { opens: Some(at), .. } = &gateway {
        wakes.push(*at);
    }
    wakes.extend(
        gates
            .gates
            .iter()
            .chain(&afterwards)
            .filter(|gate| gate.state != GateState::Overridden)
            .filter_map(|gate| gate.next_check.as_ref().map(|Time(at)| *at)),
    );
    if let (Some(limit), Some(Time(started))) = (subject.policy.timeout(), &status.started_at)
        && let Ok(limit) = SignedDuration::try_from(limit)
    {
        let ends = after(*started, limit);
        // What waits for people beyond it is looked at when they have spoken.
        wakes.extend((ends > now).then_some(ends));
    }
    let unhealthy = seen.sight.unhealthy.clone().filter(|_| subject.policy.require_healthy_target);
    let facts = Facts {
        now,
        behind,
        superseded_by: superseded(seen, promotion),
        rejected: rejected(seen, promotion, track),
        proposal,
        gates: gates.gates,
        waits_for_people: gates.waits_for_people,
        gateway,
        written,
        pull,
        deployed,
        after: afterwards,
        unhealthy,
    };
    Ok(Look { facts, planned, wakes })
}

/// Whose turn it is, when it is not this one's.
fn behind(subject: &Subject<'_>, promotion: &Promotion) -> Option<String> {
    if promotion.phase().holds_environment() {
        return None;
    }
    let environment = subject.environment.name();
    if let Some(other) = holder(subject.daemon, environment, promotion.name()) {
        return Some(format!("waits for {}, which is {}", other.name(), other.phase().as_str()));
    }
    // What a person asked for comes first, then what came first.
    let rank = |one: &Promotion| (one.spec.requested_by.is_none(), one.created().cloned(), one.name().to_owned());
    let all = subject.daemon.promotions.of(environment);
    let waiting = all.iter().filter(|one| !one.phase().is_final());
    let first = waiting.min_by_key(|one| rank(one))?;
    (first.name() != promotion.name()).then(|| format!("waits for {}, which comes first", first.name()))
}

/// What takes the place of one that nobody has asked for: one of a person, or a newer one.
fn superseded(seen: &Seen<'_>, promotion: &Promotion) -> Option<String> {
    let all = seen.subject.daemon.promotions.of(seen.subject.environment.name());
    let is_by_person = |one: &&std::sync::Arc<Promotion>| {
        one.spec.commit == promotion.spec.commit && one.spec.requested_by.is_some() && !one.phase().is_final()
    };
    if let Some(other) = all.iter().find(is_by_person).filter(|other| other.name() != promotion.name()) {
        return Some(other.name().to_owned());
    }
    if seen.subject.policy.select == Select::Queue {
        return None;
    }
    let newer = seen.candidate.filter(|commit| *commit != promotion.spec.commit)?;
    Some(tell::name(seen.subject.environment.name(), newer, 1))
}

fn rejected(seen: &Seen<'_>, promotion: &Promotion, track: &PromotionTrack) -> Option<String> {
    let commit = promotion.spec.commit.clone();
    let offers = || seen.sources.iter().flat_map(|source| &source.offers);
    let origin = offers().find(|offer| offer.commit == commit).map_or_else(|| commit.clone(), |one| one.origin.clone());
    let tenure = Tenure { commit, origin, ..Tenure::default() };
    // What was taken back does not come again by itself; a person may try it again.
    let by_person = promotion.spec.requested_by.is_some().then(PromotionTrack::default);
    see::rejected(seen.subject, by_person.as_ref().unwrap_or(track), promotion.spec.from.as_deref(), &tenure)
}

/// Whether the branch takes it now.
fn gateway(subject: &Subject<'_>, promotion: &Promotion) -> Gateway {
    let by_person = promotion.spec.requested_by.is_some();
    window::of(subject.environment, by_person, subject.now)
}

/// The commit on the branch that this promotion has made, whatever the status says: it may have been written just before a
/// crash, or by a person who merged its pull request.
async fn written(
    seen: &Seen<'_>,
    promotion: &Promotion,
    mirror: &Mirror,
    commit: Oid,
    pull: &Pull,
) -> Result<Option<String>, String> {
    let subject = seen.subject;
    let status = promotion.status.clone().unwrap_or_default();
    let known = status.write.as_ref().and_then(|write| write.commit.clone());
    if status.written_at.is_some() {
        return Ok(known);
    }
    if let Pull::Merged(merged) = pull {
        // A squash or a rebase has none of our commits: the forge says what the branch became by it.
        let refreshed =
            mirror.refresh(std::slice::from_ref(&subject.branch)).await.map_err(|error| error.to_string())?;
        let head = refreshed.commit(&subject.branch).and_then(|found| found.clone().ok()).map(|commit| commit.id);
        subject.daemon.repositories.hint(|url| url.is_same_repository(&subject.url));
        return Ok(merged.clone().or_else(|| head.map(|head| head.to_string())));
    }
    let Some(head) = subject.daemon.repositories.known_commit(&subject.url, &subject.branch) else { return Ok(None) };
    if mode(subject) == WriteMode::FastForward && promotion.spec.kind != PromotionKind::Rollback {
        let is_writing = status.phase == PromotionPhase::Writing;
        return Ok((is_writing && mirror.holds(head.id, commit).unwrap_or(false)).then(|| commit.to_string()));
    }
    let found = mirror.with_line(head.id, &message::trailer(promotion)).await.map_err(|error| error.to_string())?;
    Ok(found.map(|found| found.to_string()))
}

/// Where its pull request stands, and the head of its branch.
async fn pull(seen: &Seen<'_>, promotion: &Promotion, wakes: &mut Vec<Timestamp>) -> (Pull, Option<Oid>) {
    let subject = seen.subject;
    let write = promotion.status.as_ref().and_then(|status| status.write.clone()).unwrap_or_default();
    let Some(number) = write.pull_request.filter(|_| promotion.phase() == PromotionPhase::PullRequest) else {
        return (Pull::None, None);
    };
    let previews = subject.environment.spec.previews.clone().unwrap_or_default();
    let interval = SignedDuration::try_from(previews.interval()).unwrap_or(AGAIN);
    wakes.push(after(subject.now, interval));
    let ours: Option<Oid> = write.commit.as_ref().and_then(|commit| commit.parse().ok());
    let asked = match subject.forge().await {
        Ok(forge) => forge.pull(number).await.map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    match asked {
        Ok(pull) => match pull.state {
            PullState::Merged { commit } => (Pull::Merged(commit.map(|commit| commit.to_string())), Some(pull.head)),
            PullState::Closed => (Pull::Closed, Some(pull.head)),
            PullState::Open => {
                let is_foreign = ours.is_some_and(|ours| ours != pull.head);
                (Pull::Open { number, is_current: true, is_foreign }, Some(pull.head))
            }
        },
        // As it was, until the forge answers.
        Err(why) => {
            tracing::warn!(promotion = promotion.name(), why, "Pull request not known");
            (Pull::Open { number, is_current: true, is_foreign: false }, ours)
        }
    }
}

/// What the cluster holds of what was written.
fn deployed(seen: &Seen<'_>, promotion: &Promotion, written: &str, wakes: &mut Vec<Timestamp>) -> Deployed {
    let subject = seen.subject;
    let applications = see::applications(subject.daemon, subject.environment.name());
    if let Some(why) = see::failed(&applications, written) {
        return Deployed::Failed(why);
    }
    let Some(held) = &seen.sight.commit else { return Deployed::Not(see::unfinished(subject, &applications)) };
    if held.commit != written && !see::contains(subject, &held.commit, written) {
        return Deployed::Not(see::unfinished(subject, &applications));
    }
    let Some(why) = see::unhealthy(&applications) else { return Deployed::Held(None) };
    let since = promotion.status.as_ref().and_then(|status| status.deployed_at.clone()).unwrap_or(Time(subject.now)).0;
    let late = |limit: SignedDuration, wakes: &mut Vec<Timestamp>| {
        let ends = after(since, limit);
        wakes.push(ends.max(subject.now));
        subject.now >= ends
    };
    if let Some(why) = see::degraded(&applications)
        && late(GRACE, wakes)
    {
        return Deployed::Degraded(why);
    }
    if late(HEALTHY_WITHIN, wakes) {
        return Deployed::Degraded(format!("not healthy within {}: {why}", crate::promote::gate::text(HEALTHY_WITHIN)));
    }
    Deployed::Held(Some(why))
}

/// Does what the machine wants; `None` when there is nothing more to say.
async fn act(
    seen: &Seen<'_>,
    promotion: &Promotion,
    decision: &Decision,
    planned: Option<&Planned>,
    status: &mut crate::api::leeboard::promotion::PromotionStatus,
    track: &mut PromotionTrack,
) -> Option<Outcome> {
    let subject = seen.subject;
    log(promotion, decision.phase, &decision.message);
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
async fn carried(seen: &Seen<'_>, promotion: &Promotion, brought: &Brought) -> message::Carried {
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
    let carried = carried(seen, promotion, &planned.brought).await;
    let status = promotion.status.clone().unwrap_or_default();
    let plan = status.plan.as_ref().map(|plan| plan.hash.clone()).unwrap_or_default();
    let author = policy
        .author
        .map_or_else(|| ("Leeboard".to_owned(), "leeboard@localhost".to_owned()), |author| (author.name, author.email));
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
        Err(error @ Error::PushRefused { .. }) => {
            let hint = error.hint().map(|hint| format!(". {hint}")).unwrap_or_default();
            Outcome::Refused(format!("{error}{hint}"))
        }
        Err(error) if error.is_transient() => Outcome::Again(error.to_string()),
        Err(error) => {
            let hint = error.hint().map(|hint| format!(". {hint}")).unwrap_or_default();
            Outcome::Refused(format!("{error}{hint}"))
        }
    }
}

/// The branch that pull requests into an environment come from.
fn aside(environment: &str) -> String {
    format!("leeboard/promote/{environment}")
}

async fn propose(
    seen: &Seen<'_>,
    promotion: &Promotion,
    planned: &Planned,
    status: &mut crate::api::leeboard::promotion::PromotionStatus,
) -> Outcome {
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
    let carried = carried(seen, promotion, &planned.brought).await;
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
        Err(error) => Outcome::Refused(told(&error)),
    }
}

fn told(error: &forge::Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}. {hint}"),
        None => error.to_string(),
    }
}

async fn merge(subject: &Subject<'_>, status: &crate::api::leeboard::promotion::PromotionStatus) -> Outcome {
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
        Err(error) => Outcome::Refused(told(&error)),
    }
}

/// Closes a pull request with a word why; what cannot be closed is told in the log.
async fn close(subject: &Subject<'_>, number: u64, why: &str) {
    let closed = async {
        let forge = subject.forge().await?;
        let body = format!("Leeboard closes this: {why}.");
        let marker = "<!-- leeboard:promotion -->";
        forge.put_comment(number, None, marker, &body).await.map_err(|error| told(&error))?;
        forge.close(number).await.map_err(|error| told(&error))
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
    status: &mut crate::api::leeboard::promotion::PromotionStatus,
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
        // Later commits have changed the same lines: a person has to look.
        Err(Some(error @ Error::Conflicting { .. })) => return Outcome::Refused(error.to_string()),
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
        Err(error) => Err(Outcome::Refused(told(&error))),
    }
}
