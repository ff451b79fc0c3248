//! What is seen of one promotion: git, its pull request, its gates and the cluster, as the facts that the machine decides by.
//!
//! **In:** a promotion, what was seen of its environment. **Out:** [`Facts`], and when they may be others. **May not:** write
//! anything, but for the Jobs that are gates; or take what the status says for what git and the forge say.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::ask::{About, Answers};
use super::plan::{Planned, plan};
use super::see::{self, Source};
use super::{Subject, holder};
use crate::api::leeboard::promotion::{
    GateState, Promotion, PromotionKind, PromotionPhase, PromotionTrack, Select, Tenure, WriteMode,
};
use crate::forge::PullState;
use crate::git::{Mirror, Oid};
use crate::promote::machine::{Deployed, Facts, Proposal, Pull};
use crate::promote::message;
use crate::promote::track::Sight;
use crate::promote::window::{self, Gateway};

/// How long what has just been deployed may be degraded before that counts.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// How long what has been deployed may take to become healthy.
const HEALTHY_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// Before what the server or the forge did not answer is tried again.
pub(super) const AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// What was seen of an environment.
pub(super) struct Seen<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) sources: &'a [Source],
    pub(super) sight: &'a Sight,
    /// The commit that comes next.
    pub(super) candidate: Option<&'a str>,
}

/// What a step found out on the way.
pub(super) struct Look {
    pub(super) facts: Facts,
    pub(super) planned: Option<Planned>,
    /// The head of its pull request, where others have pushed there.
    pub(super) foreign: Option<Oid>,
    /// Times at which something may be different.
    pub(super) wakes: Vec<Timestamp>,
}

pub(super) fn after(now: Timestamp, later: SignedDuration) -> Timestamp {
    now.checked_add(later).unwrap_or(Timestamp::MAX)
}

pub(super) fn mode(subject: &Subject<'_>) -> WriteMode {
    subject.policy.write.as_ref().map(|write| write.mode).unwrap_or_default()
}

pub(super) async fn look(seen: &Seen<'_>, promotion: &Promotion, track: &PromotionTrack) -> Result<Look, String> {
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
    // What others have pushed to its branch is theirs: it is planned as it is.
    let foreign = matches!(pull, Pull::Open { is_foreign: true, .. }).then_some(head).flatten();
    if is_before && !is_push && behind.is_none() {
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
    Ok(Look { facts, planned, foreign, wakes })
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
    Some(message::name(seen.subject.environment.name(), PromotionKind::Promote, newer, 1))
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
