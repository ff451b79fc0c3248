//! The end of a pull request: merged and deployed as previewed, or not; or closed.
//!
//! **In:** a pull request that is not open any more, what it was told, the syncs of the applications that it reached.
//! **Out:** the last edit of its comment. **May not:** say that something is deployed before its sync has succeeded.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::Daemon;
use super::followed::Followed;
use super::told::{Previewed, Reached, Text, Told, flavour, taken};
use crate::api::argo::{Application, OperationPhase, SyncResult, SyncStatus};
use crate::api::leeboard::CommentMode;
use crate::forge::{self, Pull, PullState};
use crate::git::{Mirror, Oid, RepoUrl};
use crate::plan::PlanHash;
use crate::preview::closing::{Arrival, Closing, close};

/// Between two looks at the syncs.
const PAUSE: Duration = Duration::from_secs(1);
/// A sync that takes longer is told by its own status.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Tells a pull request how it ended. What the forge does not take of that is handed back, in one sentence.
///
/// # Errors
/// What keeps it from being told, in one sentence.
pub(super) async fn look(
    daemon: &Arc<Daemon>,
    followed: &Followed,
    forge: &forge::Repository,
    pull: &Pull,
    told: &mut Told,
) -> Result<Option<String>, String> {
    let mut untold = None;
    if let Some(previewed) = told.previewed.clone()
        && !previewed.reaches.is_empty()
        && followed.policy.comment == CommentMode::Update
        && !is_others(daemon, followed, pull)
    {
        let closing = match pull.state {
            PullState::Open => Closing::Retargeted { branch: pull.base.clone() },
            PullState::Closed => Closing::Closed,
            PullState::Merged { commit } => merged(daemon, followed, &previewed, commit).await?,
        };
        let flavour = flavour(forge.forge().kind());
        let body = close(flavour, &followed.instance, &previewed.pull, told.body.as_deref(), &closing);
        let text = Text { essence: body.clone(), body, is_news: true };
        untold = taken(told.say(forge, pull.number, text).await)?;
    }
    // What was told nothing had nothing to hear.
    followed.keep(pull, told);
    Ok(untold)
}

/// It is against another branch now whose pull requests are previewed: the comment is theirs.
fn is_others(daemon: &Daemon, followed: &Followed, pull: &Pull) -> bool {
    pull.base != followed.branch && daemon.previews.follows(&followed.url, &pull.base)
}

async fn merged(
    daemon: &Arc<Daemon>,
    followed: &Followed,
    previewed: &Previewed,
    commit: Option<Oid>,
) -> Result<Closing, String> {
    let begun = Instant::now();
    let reference = format!("refs/heads/{}", followed.branch);
    let mirror = daemon.repositories.mirrors().mirror(&followed.url);
    mirror.refresh(std::slice::from_ref(&reference)).await.map_err(|error| error.to_string())?;
    let commit = match commit {
        Some(commit) => commit,
        None => mirror.resolve(&reference).map_err(|error| error.to_string())?.id,
    };
    let tree = mirror.snapshot_at(commit).map_err(|error| error.to_string())?.root();
    if tree != previewed.tree {
        // A preview of an earlier life may be gone.
        let files = mirror.differing(previewed.tree, tree).await.unwrap_or_default();
        return Ok(Closing::MergedDifferently { files });
    }
    let merge = Landed { daemon, followed, mirror, commit };
    let (mut arrivals, mut differences): (Vec<Arrival>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    for reached in &previewed.reaches {
        let Reached { environment, application, plan, .. } = reached;
        let deadline = begun + PATIENCE;
        let executed = loop {
            match merge.stand(reached)? {
                Stand::There(executed) => break executed,
                Stand::Failed(reason) => return Ok(Closing::Failed { environment: environment.clone(), reason }),
                Stand::Waits if Instant::now() > deadline => {
                    let reason = format!("application {application} has not been synced within {PATIENCE:?}");
                    return Ok(Closing::Failed { environment: environment.clone(), reason });
                }
                Stand::Waits => sleep(PAUSE).await,
            }
        };
        if let Some(what) = difference(*plan, executed) {
            differences.push((format!("{environment} · {application}"), what.to_owned()));
        }
        match arrivals.iter_mut().find(|arrival| arrival.environment == *environment) {
            Some(arrival) => arrival.after = begun.elapsed(),
            None => arrivals.push(Arrival { environment: environment.clone(), after: begun.elapsed() }),
        }
    }
    Ok(match differences.is_empty() {
        true => Closing::AsPreviewed(arrivals),
        false => Closing::Differently { arrivals, differences },
    })
}

/// What is to be told of an application that was synced by another plan than the one that was shown. Where nothing was
/// left to do, the cluster holds what was shown.
fn difference(shown: Option<PlanHash>, executed: Option<PlanHash>) -> Option<&'static str> {
    match (shown, executed) {
        (_, None) => None,
        (Some(shown), Some(executed)) if shown == executed => None,
        (Some(_), Some(_)) => Some("synced by another plan than the one above: the cluster or the branch had changed"),
        (None, Some(_)) => Some("the preview had not been compared with the cluster"),
    }
}

/// A merge on its way to the clusters.
struct Landed<'a> {
    daemon: &'a Daemon,
    followed: &'a Followed,
    mirror: Arc<Mirror>,
    commit: Oid,
}

/// What has become of an application's sync of the merge.
enum Stand {
    /// There is none yet, or it is under way.
    Waits,
    /// The cluster holds it, by this plan; without one nothing was left to do.
    There(Option<PlanHash>),
    /// It has failed, and nothing newer is under way.
    Failed(String),
}

impl Landed<'_> {
    fn stand(&self, reached: &Reached) -> Result<Stand, String> {
        let application = match self.daemon.written.application(&reached.application) {
            Some(application) if !reached.goes => application,
            None if reached.goes => return Ok(Stand::There(None)),
            // It is still to go, or to come.
            _ => return Ok(Stand::Waits),
        };
        let Some(status) = &application.status else { return Ok(Stand::Waits) };
        let operation = status.operation_state.as_ref();
        let result = operation.and_then(|operation| operation.sync_result.as_ref());
        let operated = match result {
            Some(result) => self.holds(&application, &result.revision, &result.revisions)?,
            None => false,
        };
        let is_synced = status.sync.status == SyncStatus::Synced
            && self.holds(&application, &status.sync.revision, &status.sync.revisions)?;
        Ok(match operation.map(|operation| (operation.phase, &operation.message)) {
            Some((OperationPhase::Succeeded, _)) if operated => Stand::There(self.executed(&application)?),
            Some((OperationPhase::Failed | OperationPhase::Error, message))
                if operated && !self.is_outdated(result) =>
            {
                Stand::Failed(message.clone())
            }
            Some((OperationPhase::Running | OperationPhase::Terminating, _)) => Stand::Waits,
            _ if is_synced => Stand::There(self.executed(&application)?),
            _ => Stand::Waits,
        })
    }

    /// The plan of the sync that brought the merge.
    fn executed(&self, application: &Application) -> Result<Option<PlanHash>, String> {
        let Some(executed) = self.daemon.previews.executed(application.name()) else { return Ok(None) };
        let first = executed.revisions.first().map(String::as_str).unwrap_or_default();
        Ok(self.holds(application, first, &executed.revisions)?.then_some(executed.plan))
    }

    /// True when these revisions of an application's sources hold the merge; `one` is told where there is one source.
    fn holds(&self, application: &Application, one: &str, several: &[String]) -> Result<bool, String> {
        for (at, source) in application.spec.sources().into_iter().enumerate() {
            let is_here = RepoUrl::parse(&source.repo_url).is_ok_and(|url| url.is_same_repository(&self.followed.url));
            let revision =
                if application.spec.has_several_sources() { several.get(at).map(String::as_str) } else { Some(one) };
            let revision = revision.and_then(|revision| revision.parse::<Oid>().ok()).filter(|_| is_here);
            if let Some(revision) = revision
                && self.mirror.holds(revision, self.commit).map_err(|error| error.to_string())?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True when the branch has moved on since: a sync that gave way to a newer commit has failed nobody.
    fn is_outdated(&self, result: Option<&SyncResult>) -> bool {
        let newest = self.daemon.repositories.known_commit(&self.followed.url, &self.followed.branch);
        let newest = newest.map(|commit| commit.id.to_string());
        result.is_some_and(|result| {
            let mut revisions = result.revisions.iter().chain([&result.revision]);
            newest.is_some_and(|newest| !revisions.any(|revision| *revision == newest))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_is_as_previewed_when_its_plan_is_the_one_that_was_shown() {
        let plan = |digit: &str| digit.repeat(32).parse::<PlanHash>().ok();
        let cases = [
            // shown, executed, as previewed
            (plan("a"), plan("a"), true),
            (plan("a"), plan("b"), false),
            (None, plan("a"), false),
            (plan("a"), None, true),
            (None, None, true),
        ];
        for (shown, executed, is_so) in cases {
            assert_eq!(difference(shown, executed).is_none(), is_so, "{shown:?} {executed:?}");
        }
    }
}
