//! Carries commits from environment to environment, as their Environments ask for it: the shell around [`crate::promote`].
//!
//! **In:** Environments, Promotions, what Applications report, branches that moved. **Out:** Promotions with their record,
//! commits and pull requests, what Environments say of promotion. **May not:** decide; or act on what it remembers, where git,
//! the forge and the cluster can be asked.
//!
//! An environment is looked at when something of it has changed, or when a time has come that a gate has named; never
//! otherwise. [`see`] sees, [`plan`] says what a write would change, [`ask`] asks the gates, [`facts`] brings that together, [`act`] writes, [`tell`] notes it.

mod act;
mod ask;
mod facts;
mod plan;
mod pulls;
mod scans;
mod see;
mod signatures;
mod tell;
pub(super) mod wish;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use smol_str::SmolStr;
use tokio::sync::Semaphore;
use tracing::{info, warn};

use self::plan::Planned;
use self::pulls::Pulls;
use super::Daemon;
use super::queue::{Priority, Queue};
use super::written::is_newer;
use crate::api::argo::Application;
use crate::api::leeboard::Environment;
use crate::api::leeboard::promotion::{Promotion, PromotionPhase, PromotionPolicy, PromotionTrack};
use crate::git::{Commit, Oid, RepoUrl};
use crate::promote::candidate::{self, Next};
use crate::promote::machine::Verdict;
use crate::promote::track;

/// Environments that are looked at at once.
const AT_ONCE: usize = 4;
/// Before what could not be looked at is looked at again.
const AGAIN: Duration = Duration::from_secs(5);

/// What is known of promotions.
#[derive(Default)]
pub struct Promotions {
    /// Environments to look at next.
    queue: Queue,
    /// All Promotions, by name.
    known: RwLock<BTreeMap<SmolStr, Arc<Promotion>>>,
    /// What the last look at a promotion would have changed: of the same commits it is the same.
    planned: Mutex<HashMap<SmolStr, Planned>>,
    /// What the pull request of each was told last.
    told: Mutex<HashMap<SmolStr, (Oid, Verdict)>>,
    pulls: Pulls,
}

impl Promotions {
    /// Takes in a Promotion as it is now. False when that is known.
    pub(super) fn see(&self, promotion: Promotion) -> bool {
        let mut known = self.known.write();
        let name = SmolStr::new(promotion.name());
        let is_old = known.get(&name).is_some_and(|before| !is_newer(&promotion.metadata, &before.metadata));
        if !is_old {
            known.insert(name, Arc::new(promotion));
        }
        !is_old
    }

    /// A Promotion is gone: the environment that it led to.
    pub(super) fn forget(&self, name: &str) -> Option<SmolStr> {
        self.planned.lock().remove(name);
        self.told.lock().remove(name);
        let gone = self.known.write().remove(name)?;
        Some(gone.spec.environment.as_str().into())
    }

    /// Those that lead to an environment, the oldest first.
    fn of(&self, environment: &str) -> Vec<Arc<Promotion>> {
        let known = self.known.read();
        let mut found: Vec<_> = known.values().filter(|one| one.spec.environment == environment).cloned().collect();
        found.sort_by(|a, b| (a.created(), a.name()).cmp(&(b.created(), b.name())));
        found
    }

    /// A repository has moved: what waits to be written may be another plan now.
    fn plan_again(&self) {
        let known = self.known.read();
        let waiting = known.values().filter(|one| {
            let is_written = one.status.as_ref().is_some_and(|status| status.written_at.is_some());
            !is_written && !one.phase().is_final()
        });
        waiting.for_each(|one| self.look_at(&one.spec.environment));
    }

    /// An environment is looked at soon.
    pub(super) fn look_at(&self, environment: &str) {
        self.queue.push(environment, Priority::Push);
    }
}

impl Daemon {
    /// Something of an environment has changed: it is looked at, and those that take its commits.
    pub(super) fn promotions_of(&self, environment: &str) {
        self.promotions.look_at(environment);
        for other in self.written.environments() {
            if takes_from(&other, environment) {
                self.promotions.look_at(other.name());
            }
        }
    }

    /// A pull request has changed: the environments that wait for it are looked at.
    pub(super) fn promotions_by_pull(&self, concerns: impl Fn(&RepoUrl) -> bool, number: u64) -> bool {
        let known = self.promotions.known.read();
        let mut found = false;
        for promotion in known.values().filter(|one| !one.phase().is_final()) {
            let write = promotion.status.as_ref().and_then(|status| status.write.as_ref());
            if write.and_then(|write| write.pull_request) != Some(number) {
                continue;
            }
            let environment = self.written.environment(&promotion.spec.environment);
            let url = environment.and_then(|environment| RepoUrl::parse(&environment.spec.repo_url).ok());
            if let Some(url) = url.filter(|url| concerns(url)) {
                self.promotions.pulls.hint(&url, number);
                self.promotions.look_at(&promotion.spec.environment);
                found = true;
            }
        }
        found
    }

    /// Why an application is not synced to commits that a promotion has brought: they are not what was approved, or it is not
    /// known yet whether they are.
    pub(super) fn not_as_approved(&self, application: &Application, commits: &[Commit]) -> Option<Unapproved> {
        let environment = self.environment_above(application)?;
        let all = self.promotions.of(environment.name());
        let is_here = |id: &str| commits.iter().any(|commit| commit.id.to_string() == id);
        for one in all.iter().rev() {
            let Some(status) = &one.status else { continue };
            let written = status.write.as_ref().and_then(|write| write.commit.as_deref());
            if status.changed.is_some() && written.is_some_and(is_here) {
                return Some(Unapproved::Changed(format!("{}: {}", one.name(), status.message)));
            }
            let (Some(plan), Some(base)) = (&status.plan, &status.base) else { continue };
            if one.phase() != PromotionPhase::PullRequest || is_here(&base.commit) {
                continue;
            }
            let url = RepoUrl::parse(&environment.spec.repo_url).ok()?;
            let head = self.repositories.known_commit(&url, &base.branch)?;
            let tree = self.repositories.mirrors().mirror(&url).snapshot_at(head.id).ok()?.root().to_string();
            if is_here(&head.id.to_string()) && plan.tree.as_ref() != Some(&tree) {
                // It is merged, perhaps: its look says so, or that others have pushed here.
                self.promotions.look_at(environment.name());
                return Some(Unapproved::NotKnown);
            }
        }
        None
    }

    /// The branches that an environment takes commits from, beside its own.
    pub(super) fn promoted_from(&self, environment: &str) -> Vec<(RepoUrl, String)> {
        let Some(environment) = self.written.environment(environment) else { return Vec::new() };
        let Ok(url) = RepoUrl::parse(&environment.spec.repo_url) else { return Vec::new() };
        let from = environment.spec.promotion.iter().flat_map(|policy| &policy.from);
        from.filter_map(|source| Some((url.clone(), source.branch.clone()?))).collect()
    }
}

/// What keeps a commit from being synced that came by a promotion.
pub(super) enum Unapproved {
    /// It is another plan than the one that was approved: a sentence.
    Changed(String),
    /// That is looked at.
    NotKnown,
}

fn takes_from(environment: &Environment, source: &str) -> bool {
    let from = environment.spec.promotion.iter().flat_map(|policy| &policy.from);
    from.into_iter().any(|from| from.environment.as_deref() == Some(source))
}

/// Looks at environments, a few at a time, until it is dropped.
pub(super) async fn work(daemon: Arc<Daemon>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let job = tokio::select! {
            job = daemon.promotions.queue.pop(&slots) => job,
            () = daemon.repositories.moved() => {
                daemon.promotions.plan_again();
                continue;
            }
        };
        let Some(environment) = daemon.written.environment(&job.key) else { continue };
        let this = daemon.clone();
        daemon.tasks.spawn(async move {
            let name = job.key.clone();
            let looked = tokio::select! {
                () = this.shutdown.cancelled() => return,
                looked = look(&this, &environment) => looked,
            };
            match looked {
                Ok(Some(at)) => {
                    let wait = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
                    this.promotions.queue.push_after(&name, Priority::Timer, wait);
                }
                Ok(None) => {}
                Err(why) => {
                    warn!(environment = %name, why, "Promotion not looked at");
                    this.promotions.queue.push_after(&name, Priority::Timer, AGAIN);
                }
            }
            drop(job);
        });
    }
}

/// An environment, and what of it does not change during a look.
struct Subject<'a> {
    daemon: &'a Arc<Daemon>,
    environment: &'a Environment,
    policy: PromotionPolicy,
    url: RepoUrl,
    branch: String,
    now: Timestamp,
}

/// Looks at an environment: what it has, what comes next, where its promotions stand. When to look again.
async fn look(daemon: &Arc<Daemon>, environment: &Environment) -> Result<Option<Timestamp>, String> {
    let name = environment.name();
    let is_source = daemon.written.environments().iter().any(|other| takes_from(other, name));
    let policy = environment.spec.promotion.clone();
    if policy.is_none() && !is_source && daemon.promotions.of(name).is_empty() {
        return Ok(None);
    }
    let url = RepoUrl::parse(&environment.spec.repo_url).map_err(|error| error.to_string())?;
    let branch = environment.spec.branch().to_owned();
    let subject =
        Subject { daemon, environment, policy: policy.unwrap_or_default(), url, branch, now: Timestamp::now() };
    let before = environment.status.as_ref().and_then(|status| status.promotion.clone()).unwrap_or_default();
    let sight = see::environment(&subject, &before).await?;
    let mut track = track::seen(&before, &sight, subject.now);
    let mut wakes: Vec<Timestamp> = Vec::new();
    tell::pushed(&subject, &sight, &track).await?;
    let sources = see::sources(&subject, &track).await?;
    let offers: Vec<_> = sources.iter().map(|source| source.offers.clone()).collect();
    let next = candidate::next(&offers, subject.policy.require, subject.policy.select);
    (track.candidate, track.next) = (None, None);
    match (&next, see::trouble(&subject)) {
        (_, Some(trouble)) => track.next = Some(trouble),
        (Next::Nothing, None) => {}
        (Next::Wait(why), None) => track.next = Some(why.clone()),
        (Next::Take(offer), None) => {
            track.candidate = Some(offer.commit.clone());
            track.next = tell::begun(&subject, offer).await?;
        }
    }
    let taken = match &next {
        Next::Take(offer) => Some(offer.commit.clone()),
        Next::Wait(_) | Next::Nothing => None,
    };
    for promotion in daemon.promotions.of(name).iter().filter(|one| !one.phase().is_final()) {
        let seen = facts::Seen { subject: &subject, sources: &sources, sight: &sight, candidate: taken.as_deref() };
        let step = act::step(&seen, promotion, &mut track).await?;
        wakes.extend(step);
    }
    if let Some(open) = daemon.promotions.of(name).iter().find(|one| !one.phase().is_final()) {
        let status = open.status.clone().unwrap_or_default();
        track.next = Some(format!("{}: {}: {}", open.name(), status.phase.as_str(), status.message));
    }
    tell::tracked(&subject, &before, &track).await?;
    tell::history(&subject).await?;
    Ok(wakes.into_iter().min())
}

/// Those promotions of an environment that hold it.
fn holder(daemon: &Daemon, environment: &str, but: &str) -> Option<Arc<Promotion>> {
    let all = daemon.promotions.of(environment);
    all.into_iter().find(|one| one.name() != but && one.phase().holds_environment())
}

/// Says once, in the log, what a person following along wants to know.
fn log(promotion: &Promotion, phase: PromotionPhase, message: &str) {
    info!(promotion = promotion.name(), phase = phase.as_str(), "{message}");
}

/// What an environment is known to have had.
fn track_of(daemon: &Daemon, environment: &str) -> PromotionTrack {
    let environment = daemon.written.environment(environment);
    environment.and_then(|environment| environment.status.as_ref()?.promotion.clone()).unwrap_or_default()
}
