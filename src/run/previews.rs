//! Previews: every pull request against an environment's branch is told what it would change in which cluster.
//!
//! **In:** Environments, the Secrets of forges, hints of webhooks. **Out:** one comment and one status for each pull
//! request, and with `previews.deploy` a namespace of its own. **May not:** write anything else to a cluster or a
//! repository, or decide what is said: `preview` does.
//!
//! Read [`followed`] (which pull requests are looked at, when), [`one`] (a look), [`affected`], [`collect`] and [`carried`] (what it
//! compares), [`live`], [`policies`] and [`watched`] (what of the cluster), [`told`] and [`closing`] (what is written), [`kept`] (what a restart leaves of it), [`ephemeral`] (what is deployed beforehand),
//! [`command`] and [`explain`] (what people ask for) and [`heard`] (how that is found without webhooks).

mod affected;
mod carried;
mod closing;
mod collect;
mod command;
mod ephemeral;
mod explain;
mod followed;
mod forges;
mod heard;
mod kept;
mod live;
mod one;
pub(crate) mod policies;
mod told;
mod watched;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(super) use self::affected::Merge;
pub(super) use self::collect::{TooLarge, preview as compared};
use self::followed::Followed;
pub use self::forges::{Forges, LABEL};
use self::kept::Kept;
use self::watched::Watches;
use super::Daemon;
use crate::api::leeboard::{Environment, PreviewPolicy};
use crate::git::RepoUrl;
use crate::object::ObjectKey;
use crate::plan::PlanHash;

/// All branches whose pull requests are previewed.
#[derive(Default)]
pub struct Previews {
    /// Where pull requests are.
    pub forges: Forges,
    branches: Mutex<BTreeMap<Branch, Running>>,
    /// What comparisons ask of clusters again and again.
    watches: Watches,
    /// By application: what its last commit has done to the cluster.
    executed: Mutex<BTreeMap<SmolStr, Executed>>,
    /// Rung when Environments or Secrets have changed.
    changed: Notify,
}

/// A plan that was executed to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Executed {
    /// The commit of each source.
    revisions: Vec<String>,
    plan: PlanHash,
}

/// A branch of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Branch {
    /// The repository's address in its normal form.
    repository: String,
    name: String,
}

struct Running {
    followed: Arc<Followed>,
    cancel: CancellationToken,
}

impl Previews {
    /// Environments or the Secrets of forges have changed.
    pub fn look_again(&self) {
        self.changed.notify_one();
    }

    /// There is something new about a pull request of a repository that this is true of, perhaps a comment. False when
    /// nobody previews it.
    pub fn hint(&self, concerns: impl Fn(&RepoUrl) -> bool, number: u64, comment: Option<u64>) -> bool {
        let branches = self.branches.lock();
        let mut is_known = false;
        for running in branches.values().filter(|running| concerns(&running.followed.url)) {
            running.followed.hint(number, comment);
            is_known = true;
        }
        is_known
    }

    /// An application was synced to these commits by this plan. What repairs it later at the same commits is no pull request's.
    pub fn note_executed(&self, application: &str, revisions: Vec<String>, plan: PlanHash) {
        let mut executed = self.executed.lock();
        if executed.get(application).is_none_or(|known| known.revisions != revisions) {
            executed.insert(application.into(), Executed { revisions, plan });
        }
    }

    /// An application is gone.
    pub fn forget(&self, application: &str) {
        self.executed.lock().remove(application);
    }

    /// The pull requests against a branch are previewed.
    fn follows(&self, url: &RepoUrl, branch: &str) -> bool {
        self.branches.lock().contains_key(&Branch { repository: url.normal().into(), name: branch.into() })
    }

    fn executed(&self, application: &str) -> Option<Executed> {
        self.executed.lock().get(application).cloned()
    }

    /// Why the pull requests of an environment are not told what they should be.
    pub fn trouble(&self, environment: &Environment) -> Option<String> {
        let (_, own) = Branch::of(environment)?;
        let sources: Vec<Branch> =
            carried::branches(environment).map(|name| Branch { name: name.into(), ..own.clone() }).collect();
        let branches = self.branches.lock();
        std::iter::once(own).chain(sources).find_map(|branch| branches.get(&branch)?.followed.trouble())
    }
}

impl Branch {
    fn of(environment: &Environment) -> Option<(RepoUrl, Branch)> {
        let url = RepoUrl::parse(&environment.spec.repo_url).ok()?;
        let name = environment.spec.branch();
        let name = name.strip_prefix("refs/heads/").unwrap_or(name);
        // Pull requests are against a branch that has a name.
        (name != "HEAD").then(|| (url.clone(), Branch { repository: url.normal().into(), name: name.into() }))
    }
}

/// Before what could not be taken away is tried again.
const SWEEP_AGAIN: Duration = Duration::from_secs(30);

/// Follows the pull requests of all environments until it is dropped.
pub(super) async fn work(daemon: Arc<Daemon>) {
    let instance = instance(&daemon).await;
    loop {
        follow(&daemon, &instance);
        match ephemeral::sweep(&daemon).await {
            Ok(()) => daemon.previews.changed.notified().await,
            Err(why) => {
                warn!(why, "What a pull request was deployed to is not taken away yet");
                let _ = timeout(SWEEP_AGAIN, daemon.previews.changed.notified()).await;
            }
        }
    }
}

/// Begins and ends to follow branches as the Environments want it now.
fn follow(daemon: &Arc<Daemon>, instance: &SmolStr) {
    let wanted = wanted(daemon);
    let mut branches = daemon.previews.branches.lock();
    branches.retain(|branch, running| {
        let stays = wanted.get(branch).is_some_and(|(_, policy)| *policy == running.followed.policy);
        if !stays {
            running.cancel.cancel();
        } else if running.followed.is_lost() {
            running.followed.wake();
        }
        stays
    });
    for (branch, (url, policy)) in wanted {
        branches.entry(branch).or_insert_with_key(|branch| begin(daemon, url, branch, policy, instance));
    }
}

fn begin(daemon: &Arc<Daemon>, url: RepoUrl, branch: &Branch, policy: PreviewPolicy, instance: &SmolStr) -> Running {
    info!(repository = %url, branch = branch.name, "Pull requests are previewed");
    let kept = Kept::of(&daemon.options.data_dir, url.normal(), &branch.name);
    let followed = Arc::new(Followed::new(url, branch.name.clone(), policy, instance.clone(), kept));
    let cancel = daemon.shutdown.child_token();
    let (work, end) = (followed.clone().work(daemon.clone()), cancel.clone());
    daemon.tasks.spawn(async move {
        tokio::select! {
            () = end.cancelled() => {}
            () = work => {}
        }
    });
    Running { followed, cancel }
}

/// The branches to follow: those of environments, and those that promotions take commits from. Of several environments on
/// one branch the first by name says how its pull requests are told.
fn wanted(daemon: &Daemon) -> BTreeMap<Branch, (RepoUrl, PreviewPolicy)> {
    let (mut wanted, mut sources) = (BTreeMap::new(), BTreeMap::new());
    for environment in daemon.written.environments() {
        let policy = environment.spec.previews.clone().unwrap_or_default();
        let Some((url, branch)) = Branch::of(&environment) else { continue };
        let is_wanted = policy.enabled.unwrap_or_else(|| daemon.previews.forges.has(&url, policy.forge.as_ref()));
        if !is_wanted {
            continue;
        }
        for name in carried::branches(&environment) {
            let source = Branch { name: name.into(), ..branch.clone() };
            sources.entry(source).or_insert_with(|| (url.clone(), policy.clone()));
        }
        wanted.entry(branch).or_insert((url, policy));
    }
    for (branch, how) in sources {
        wanted.entry(branch).or_insert(how);
    }
    wanted
}

/// The name under which this installation owns its comments: the same after a restart, another one in another cluster.
async fn instance(daemon: &Daemon) -> SmolStr {
    let name = daemon.options.namespace.as_str();
    let key = ObjectKey { group: "".into(), kind: "Namespace".into(), namespace: None, name: name.into() };
    let uid = match daemon.cluster.find(&key, "v1").await {
        Ok(Some(body)) => body["metadata"]["uid"].as_str().unwrap_or_default().to_owned(),
        Ok(None) | Err(_) => String::new(),
    };
    match uid.get(..8) {
        Some(short) => format!("{name}-{short}").into(),
        None => name.into(),
    }
}
