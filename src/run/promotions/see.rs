//! What an environment holds, and what its sources offer.
//!
//! **In:** Applications, the tracks of other environments, the mirror. **Out:** values of [`crate::promote`]. **May not:** ask
//! a server for what others keep fresh.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;

use super::super::Daemon;
use super::{Subject, plan, track_of};
use crate::api::argo::{Application, OperationPhase, SyncStatus};
use crate::api::duration;
use crate::api::leeboard::promotion::{Promotion, PromotionKind, PromotionPhase, PromotionTrack, Tenure};
use crate::git::{Holding, Mirror, Oid, RepoUrl};
use crate::promote::candidate::Offer;
use crate::promote::track::{Held, Sight};
use crate::promote::{graph, message, track};

/// What an environment's source has.
pub(super) struct Source {
    /// Environment, or `branch NAME`.
    pub(super) name: String,
    /// What an environment is known to have had.
    pub(super) track: Option<PromotionTrack>,
    /// The newest first.
    pub(super) offers: Vec<Offer>,
}

/// The applications of an environment, itself first.
pub(super) fn applications(daemon: &Daemon, environment: &str) -> Vec<Arc<Application>> {
    let all = daemon.written.applications();
    let is_below =
        |one: &Arc<Application>| daemon.environment_above(one).is_some_and(|above| above.name() == environment);
    all.into_iter().filter(is_below).collect()
}

/// What an environment holds now.
pub(super) async fn environment(subject: &Subject<'_>, before: &PromotionTrack) -> Result<Sight, String> {
    let daemon = subject.daemon;
    let name = subject.environment.name();
    let applications = applications(daemon, name);
    let commit = held(subject, &applications);
    let held = match commit {
        None => None,
        Some(commit) => match before.current.as_ref().filter(|current| current.commit == commit) {
            Some(Tenure { commit, subject, origin, .. }) => {
                Some(Held { commit: commit.clone(), subject: subject.clone(), origin: origin.clone() })
            }
            None => Some(described(subject, commit).await?),
        },
    };
    let is_verified = match &held {
        None => false,
        Some(held) if subject.policy.after.is_empty() => !is_under_way(daemon, name, &held.commit),
        Some(held) => daemon
            .promotions
            .of(name)
            .iter()
            .any(|one| one.phase() == PromotionPhase::Succeeded && has_brought(one, &held.commit)),
    };
    Ok(Sight { commit: held, unhealthy: unhealthy(&applications), is_verified, tolerance: tolerance(daemon, name) })
}

/// A promotion that wrote this commit has still to prove it.
fn is_under_way(daemon: &Daemon, environment: &str, commit: &str) -> bool {
    daemon.promotions.of(environment).iter().any(|one| {
        matches!(one.phase(), PromotionPhase::Deploying | PromotionPhase::Verifying) && has_brought(one, commit)
    })
}

/// The environment has this commit by this promotion; not where there was nothing to do.
pub(super) fn has_brought(promotion: &Promotion, commit: &str) -> bool {
    let written = promotion.status.as_ref().and_then(|status| status.write.as_ref()?.commit.as_deref());
    written == Some(commit) || (promotion.spec.kind == PromotionKind::Push && promotion.spec.commit == commit)
}

/// The commit's subject, and where it comes from.
async fn described(subject: &Subject<'_>, commit: String) -> Result<Held, String> {
    let mirror: &Mirror = &subject.daemon.repositories.mirrors().mirror(&subject.url);
    let Ok(id) = commit.parse::<Oid>() else { return Err(format!("`{commit}` is no commit")) };
    let text = mirror.message(id).await.map_err(|error| error.to_string())?;
    let told = message::find(&text, message::ORIGIN).map(str::to_owned);
    // What a forge has squashed does not tell: its promotion does.
    let all = subject.daemon.promotions.of(subject.environment.name());
    let by = all.iter().find(|one| one.spec.kind != PromotionKind::Push && has_brought(one, &commit));
    let carried = by.map(|one| {
        let source = one.spec.from.as_deref().map(|from| track_of(subject.daemon, from)).unwrap_or_default();
        let tenure = track::tenure(&source, &one.spec.commit, &one.spec.commit);
        tenure.map_or_else(|| one.spec.commit.clone(), |tenure| tenure.origin.clone())
    });
    let origin = told.or(carried).unwrap_or_else(|| commit.clone());
    let subject = text.lines().next().unwrap_or_default().to_owned();
    Ok(Held { commit, subject, origin })
}

/// The commit of the branch that every application of an environment is synced to.
fn held(subject: &Subject<'_>, applications: &[Arc<Application>]) -> Option<String> {
    let root = applications.iter().find(|one| one.name() == subject.environment.name())?;
    let commit = root.status.as_ref().map(|status| status.sync.revision.clone()).filter(|commit| !commit.is_empty())?;
    let is_there = |one: &Arc<Application>| {
        let Some(status) = &one.status else { return false };
        let is_running = status.operation_state.as_ref().is_some_and(|state| state.phase == OperationPhase::Running);
        status.sync.status == SyncStatus::Synced
            && !is_running
            && (!follows(subject, one) || status.sync.revision == commit)
    };
    applications.iter().all(is_there).then_some(commit)
}

/// It is rendered from the environment's branch alone.
fn follows(subject: &Subject<'_>, application: &Application) -> bool {
    let sources = application.spec.sources();
    let [source] = sources.as_slice() else { return false };
    let is_here = RepoUrl::parse(&source.repo_url).is_ok_and(|url| url.is_same_repository(&subject.url));
    is_here && source.revision().strip_prefix("refs/heads/").unwrap_or(source.revision()) == subject.branch
}

/// The first application that is not healthy, and why.
pub(super) fn unhealthy(applications: &[Arc<Application>]) -> Option<String> {
    applications.iter().find_map(|one| {
        let health = one.status.as_ref().map(|status| &status.health)?;
        let word = health.status.as_deref().unwrap_or("Unknown");
        (word != "Healthy").then(|| sentence(one, word))
    })
}

/// The first application that is degraded, and why.
pub(super) fn degraded(applications: &[Arc<Application>]) -> Option<String> {
    let is_degraded = |one: &&Arc<Application>| {
        one.status.as_ref().and_then(|status| status.health.status.as_deref()) == Some("Degraded")
    };
    applications.iter().find(is_degraded).map(|one| sentence(one, "Degraded"))
}

fn sentence(application: &Application, word: &str) -> String {
    let status = application.status.as_ref();
    let resource = status.and_then(|status| {
        status.resources.iter().find_map(|resource| {
            let own = resource.health.as_ref().filter(|own| own.status.as_deref() == Some(word))?;
            let message = if own.message.is_empty() { String::new() } else { format!(": {}", own.message) };
            Some(format!(": {}/{}{message}", resource.kind, resource.name))
        })
    });
    format!("{} is {word}{}", application.name(), resource.unwrap_or_default())
}

/// The sync of a commit that has failed.
pub(super) fn failed(applications: &[Arc<Application>], commit: &str) -> Option<String> {
    applications.iter().find_map(|one| {
        let state = one.status.as_ref()?.operation_state.as_ref()?;
        let is_of_it = state.sync_result.as_ref().is_some_and(|result| result.revision == commit);
        let has_failed = matches!(state.phase, OperationPhase::Failed | OperationPhase::Error);
        (is_of_it && has_failed).then(|| format!("sync of {} failed: {}", one.name(), state.message))
    })
}

/// What an application of an environment is not yet.
pub(super) fn unfinished(subject: &Subject<'_>, applications: &[Arc<Application>]) -> String {
    let open = applications.iter().find(|one| {
        let status = one.status.as_ref();
        status.is_none_or(|status| status.sync.status != SyncStatus::Synced)
    });
    match open {
        Some(one) => {
            let status = one.status.as_ref();
            let running = status.and_then(|status| status.operation_state.as_ref());
            match running.filter(|state| state.phase == OperationPhase::Running) {
                Some(state) => format!("{} is being synced: {}", one.name(), state.message),
                None => format!("{} is not synced yet", one.name()),
            }
        }
        None => format!("{} is not at it yet", subject.environment.name()),
    }
}

/// The shortest tolerance of those that wait for this environment to have been healthy for a time.
fn tolerance(daemon: &Daemon, environment: &str) -> SignedDuration {
    let others = daemon.written.environments();
    let gates = others.iter().filter(|other| super::takes_from(other, environment));
    let gates = gates.flat_map(|other| other.spec.promotion.iter().flat_map(|policy| &policy.gates));
    let soaks = gates.filter_map(|gate| gate.soak.as_ref());
    let tolerances = soaks.map(|soak| {
        let text = soak.tolerance.as_deref().and_then(duration::parse);
        text.and_then(|tolerance| SignedDuration::try_from(tolerance).ok()).unwrap_or_default()
    });
    tolerances.min().unwrap_or_default()
}

/// What keeps an environment from taking anything: environments that lead in a circle, or somewhere else.
pub(super) fn trouble(subject: &Subject<'_>) -> Option<String> {
    let environments = subject.daemon.written.environments();
    let mut from: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for environment in &environments {
        let sources = environment.spec.promotion.iter().flat_map(|policy| &policy.from);
        from.insert(environment.name(), sources.filter_map(|source| source.environment.as_deref()).collect());
    }
    if let Some(way) = graph::cycle(&from, subject.environment.name()) {
        return Some(format!("promotion.from forms a cycle: {way}"));
    }
    subject.policy.from.iter().find_map(|source| match (&source.environment, &source.branch) {
        (Some(name), _) => match subject.daemon.written.environment(name) {
            None => Some(format!("there is no Environment `{name}` to take commits from")),
            Some(other) => {
                let is_same =
                    RepoUrl::parse(&other.spec.repo_url).is_ok_and(|url| url.is_same_repository(&subject.url));
                let is_itself = is_same && other.spec.branch() == subject.branch;
                match (is_same, is_itself) {
                    (false, _) => {
                        Some(format!("`{name}` is of another repository: a commit cannot be carried from it"))
                    }
                    (true, true) => Some(format!("`{name}` has the same branch: there is nothing to carry")),
                    (true, false) => None,
                }
            }
        },
        (None, Some(branch)) if *branch == subject.branch => {
            Some(format!("`{branch}` is the environment's own branch: there is nothing to carry"))
        }
        _ => None,
    })
}

/// What the sources of an environment offer.
pub(super) async fn sources(subject: &Subject<'_>, own: &PromotionTrack) -> Result<Vec<Source>, String> {
    let daemon = subject.daemon;
    let mirror = daemon.repositories.mirrors().mirror(&subject.url);
    let head = match daemon.repositories.known_commit(&subject.url, &subject.branch) {
        // What was taken back is not there, whatever history says.
        Some(commit) => mirror.effective(commit.id).await.unwrap_or(commit.id),
        // Its root application asks for it, and is heard of then.
        None => return Ok(Vec::new()),
    };
    let held = plan::held(subject);
    let mut sources = Vec::new();
    for from in &subject.policy.from {
        let (name, track, tenures) = match (&from.environment, &from.branch) {
            (Some(environment), _) => {
                let track = track_of(daemon, environment);
                let tenures = track.current.iter().chain(&track.previous).cloned().collect::<Vec<_>>();
                (environment.clone(), Some(track), tenures)
            }
            (None, Some(branch)) => {
                let head = daemon.repositories.known_commit(&subject.url, branch);
                let tenures = head.map(|commit| {
                    let now = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(subject.now));
                    let id = commit.id.to_string();
                    Tenure { commit: id.clone(), origin: id, verified_at: now, ..Tenure::default() }
                });
                (format!("branch {branch}"), None, tenures.into_iter().collect())
            }
            (None, None) => continue,
        };
        let mut offers = Vec::new();
        for tenure in tenures {
            let is_there = tenure.commit.parse::<Oid>().is_ok_and(|id| {
                let is_held = |known: &Holding| {
                    mirror.holds(head, known.by).unwrap_or(false) && mirror.holds(known.commit, id).unwrap_or(false)
                };
                mirror.holds(head, id).unwrap_or(false) || held.iter().any(is_held)
            });
            offers.push(Offer {
                unverified: unverified(daemon, from.environment.as_deref(), &tenure),
                rejected: rejected(subject, own, from.environment.as_deref(), &tenure),
                source: name.clone(),
                is_there,
                commit: tenure.commit,
                origin: tenure.origin,
            });
            if is_there {
                // What is older is there too.
                break;
            }
        }
        sources.push(Source { name, track, offers });
    }
    Ok(sources)
}

fn unverified(daemon: &Daemon, environment: Option<&str>, tenure: &Tenure) -> Option<String> {
    if tenure.verified_at.is_some() {
        return None;
    }
    let environment = environment?;
    if tenure.until.is_some() {
        return Some("it was replaced before it was".into());
    }
    let open = daemon.promotions.of(environment).into_iter().find(|one| !one.phase().is_final());
    let waits = open.and_then(|one| Some(format!("{} waits: {}", one.name(), one.status.as_ref()?.message)));
    Some(unhealthy(&applications(daemon, environment)).or(waits).unwrap_or_else(|| "it is looked at".into()))
}

/// Why a commit must not enter: the environment says so, or one on its way does.
pub(super) fn rejected(
    subject: &Subject<'_>,
    own: &PromotionTrack,
    source: Option<&str>,
    tenure: &Tenure,
) -> Option<String> {
    let is_it = |commit: &str| commit == tenure.commit || commit == tenure.origin;
    if let Some((_, why)) = own.rejected.iter().find(|(commit, _)| is_it(commit)) {
        return Some(why.clone());
    }
    let mut names = vec![subject.environment.name().to_owned()];
    let mut waiting: Vec<String> = source.map(str::to_owned).into_iter().collect();
    // Whatever is above it; a circle is walked once.
    while let Some(name) = waiting.pop() {
        if names.contains(&name) {
            continue;
        }
        if let Some(environment) = subject.daemon.written.environment(&name) {
            let from = environment.spec.promotion.iter().flat_map(|policy| &policy.from);
            waiting.extend(from.filter_map(|from| from.environment.clone()));
        }
        names.push(name);
    }
    names.iter().find_map(|name| {
        let environment = subject.daemon.written.environment(name)?;
        let rejected = environment.spec.promotion.as_ref()?.rejected.iter().find(|one| is_it(&one.commit))?;
        let by = if rejected.by.is_empty() { String::new() } else { format!(" (by {})", rejected.by) };
        Some(format!("{}{by}", rejected.reason))
    })
}

/// True when what is held has this commit in it.
pub(super) fn contains(subject: &Subject<'_>, held: &str, commit: &str) -> bool {
    let mirror = subject.daemon.repositories.mirrors().mirror(&subject.url);
    match (held.parse::<Oid>(), commit.parse::<Oid>()) {
        (Ok(held), Ok(commit)) => mirror.holds(held, commit).unwrap_or(false),
        _ => false,
    }
}
