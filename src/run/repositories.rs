//! Keeps what applications follow up to date: one conversation with a server per repository, whoever waits for it.
//!
//! **In:** which application follows which revisions; hints that something was pushed. **Out:** the commit of each
//! revision, and a push on the queue for every application whose commit moved. **May not:** render or decide.
//!
//! A repository is asked when somebody hints (webhook, notify), else every interval with jitter; after an error it is
//! asked again soon, then at ever longer intervals. An answer that is an error leaves the applications what they have:
//! it is told to them as an error.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::claims::Claims;
use super::queue::{Priority, Queue};
use crate::git::{Change, Commit, Error, Mirrors, RepoUrl, Watch};
use crate::telemetry::{Metrics, Outcome};

/// The first wait before a repository that could not be reached is asked again; each failure doubles it.
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
/// The longest such wait, unless the interval is longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

/// All repositories in use; clones share them.
#[derive(Clone)]
pub struct Repositories(Arc<Shared>);

struct Shared {
    mirrors: Mirrors,
    queue: Queue,
    claims: Claims,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    repositories: Mutex<HashMap<RepoUrl, Arc<Repository>>>,
    /// What each application follows.
    followers: Mutex<HashMap<SmolStr, BTreeSet<(RepoUrl, String)>>>,
    /// When a push was noticed that an application has not answered yet.
    noticed: Mutex<HashMap<SmolStr, Instant>>,
    /// Rung when a revision has become another commit.
    moved: Notify,
}

struct Repository {
    url: RepoUrl,
    /// Rung by a hint: ask now.
    hint: Notify,
    /// Rung when a refresh has failed, whoever asked for it: the next try is due sooner.
    failed: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By revision: who follows it, and the last answer.
    revisions: BTreeMap<String, Followed>,
    /// The shortest that any follower asks for.
    interval: Duration,
    /// Refreshes that failed in a row.
    failures: u32,
    /// How often an answer was another one than before.
    moves: u64,
}

#[derive(Default)]
struct Followed {
    applications: BTreeSet<SmolStr>,
    answer: Option<Result<Commit, Error>>,
}

impl Repositories {
    /// None yet; tasks are owned by `tasks` and end with `shutdown`.
    pub fn new(
        mirrors: Mirrors,
        queue: Queue,
        claims: Claims,
        metrics: Arc<Metrics>,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        Repositories(Arc::new(Shared {
            mirrors,
            queue,
            claims,
            metrics,
            tasks,
            shutdown,
            repositories: Mutex::default(),
            followers: Mutex::default(),
            noticed: Mutex::default(),
            moved: Notify::new(),
        }))
    }

    /// The mirrors behind it.
    pub fn mirrors(&self) -> &Mirrors {
        &self.0.mirrors
    }

    /// Notes what an application follows from now on, instead of what it followed before.
    pub fn follow(&self, application: &str, wanted: &[(RepoUrl, String)], interval: Duration) {
        let wanted: BTreeSet<_> = wanted.iter().cloned().collect();
        let mut followers = self.0.followers.lock();
        let before = followers.insert(application.into(), wanted.clone()).unwrap_or_default();
        drop(followers);
        for (url, revision) in before.difference(&wanted) {
            self.unfollow(application, url, revision);
        }
        for (url, revision) in &wanted {
            let repository = self.repository(url);
            let mut state = repository.state.lock();
            state.revisions.entry(revision.clone()).or_default().applications.insert(application.into());
            state.interval = if state.interval.is_zero() { interval } else { state.interval.min(interval) };
        }
    }

    /// Notes what an application follows beside that.
    pub fn follow_also(&self, application: &str, more: &[(RepoUrl, String)], interval: Duration) {
        let before = self.0.followers.lock().get(application).cloned().unwrap_or_default();
        let all: Vec<(RepoUrl, String)> = before.into_iter().chain(more.iter().cloned()).collect();
        self.follow(application, &all, interval);
    }

    /// When the push was noticed that this application answers by now; told once.
    pub fn answered(&self, application: &str) -> Option<Instant> {
        self.0.noticed.lock().remove(application)
    }

    /// Forgets an application.
    pub fn forget(&self, application: &str) {
        self.answered(application);
        let before = self.0.followers.lock().remove(application).unwrap_or_default();
        for (url, revision) in &before {
            self.unfollow(application, url, revision);
        }
    }

    /// The commit that a revision means, as far as the last refresh knows; asks the server when there was none yet.
    ///
    /// # Errors
    /// When the repository or the revision can't be had: the sentence is for the application's condition.
    pub async fn commit(&self, url: &RepoUrl, revision: &str) -> Result<Commit, Error> {
        let repository = self.repository(url);
        if let Some(answer) = repository.answer(revision) {
            return answer;
        }
        self.refresh(&repository, &[revision.to_owned()], Priority::Push).await;
        repository.answer(revision).unwrap_or_else(|| {
            // Nobody follows it: an operation that names a revision of its own.
            self.0.mirrors.mirror(url).resolve(revision)
        })
    }

    /// The commit that a revision means, as far as the last refresh knows; `None` when there was none yet.
    pub fn known_commit(&self, url: &RepoUrl, revision: &str) -> Option<Commit> {
        self.0.repositories.lock().get(url)?.answer(revision)?.ok()
    }

    /// Waits until a revision has become another commit; for one who waits.
    pub async fn moved(&self) {
        self.0.moved.notified().await;
    }

    /// How often revisions of all repositories but this one have been seen to become other commits: while that stays, what was
    /// read of them is what would be read.
    pub fn moves_elsewhere(&self, url: &RepoUrl) -> u64 {
        let repositories = self.0.repositories.lock();
        let others = repositories.values().filter(|repository| !repository.url.is_same_repository(url));
        others.map(|repository| repository.state.lock().moves).sum()
    }

    /// Asks the server now, whatever was known; for a person who wants a refresh.
    pub async fn refresh_now(&self, url: &RepoUrl, revisions: &[String]) {
        let repository = self.repository(url);
        self.refresh(&repository, revisions, Priority::Push).await;
    }

    /// Something was pushed to the repositories that this is true of. False when none of them is in use.
    pub fn hint(&self, concerns: impl Fn(&RepoUrl) -> bool) -> bool {
        let repositories = self.0.repositories.lock();
        let mut known = false;
        for repository in repositories.values().filter(|repository| concerns(&repository.url)) {
            repository.hint.notify_one();
            known = true;
        }
        known
    }

    fn unfollow(&self, application: &str, url: &RepoUrl, revision: &str) {
        let Some(repository) = self.0.repositories.lock().get(url).cloned() else { return };
        let mut state = repository.state.lock();
        if let Some(followed) = state.revisions.get_mut(revision) {
            followed.applications.remove(application);
            if followed.applications.is_empty() {
                state.revisions.remove(revision);
            }
        }
    }

    fn repository(&self, url: &RepoUrl) -> Arc<Repository> {
        let mut repositories = self.0.repositories.lock();
        if let Some(repository) = repositories.get(url) {
            return repository.clone();
        }
        let repository = Arc::new(Repository {
            url: url.clone(),
            hint: Notify::new(),
            failed: Notify::new(),
            state: Mutex::default(),
        });
        repositories.insert(url.clone(), repository.clone());
        let this = self.clone();
        let kept = repository.clone();
        self.0.tasks.spawn(async move { this.keep_fresh(&kept).await });
        repository
    }

    /// One repository's loop: wait for the timer or a hint, ask, tell who is concerned.
    async fn keep_fresh(&self, repository: &Repository) {
        let mut due = Instant::now() + self.wait(repository);
        let files = repository.url.local_path().and_then(|_| watch(&repository.url));
        loop {
            let hinted = tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                () = repository.hint.notified() => true,
                () = pushed(files.as_ref()) => true,
                () = repository.failed.notified() => {
                    due = Instant::now() + self.wait(repository);
                    continue;
                }
                () = sleep_until(due) => false,
            };
            let revisions: Vec<String> = repository.state.lock().revisions.keys().cloned().collect();
            if !revisions.is_empty() {
                let priority = if hinted { Priority::Push } else { Priority::Timer };
                self.refresh(repository, &revisions, priority).await;
            }
            due = Instant::now() + self.wait(repository);
        }
    }

    fn wait(&self, repository: &Repository) -> Duration {
        let state = repository.state.lock();
        let interval = if state.interval.is_zero() { Duration::from_secs(60) } else { state.interval };
        let wait = match state.failures {
            0 => interval,
            failures => FIRST_BACKOFF.saturating_mul(1 << (failures - 1).min(6)).min(LONGEST_BACKOFF.max(interval)),
        };
        // Up to a tenth longer, different for each repository, so that they don't all ask at once.
        let spread = xxhash_rust::xxh3::xxh3_64(repository.url.normal().as_bytes()) % 100;
        wait.mul_f64(1.0 + f64::from(u32::try_from(spread).unwrap_or(0)) / 1000.0)
    }

    /// Asks the server; the applications whose answer is another one than before are looked at.
    async fn refresh(&self, repository: &Repository, revisions: &[String], priority: Priority) {
        let started = Instant::now();
        let answer = self.0.mirrors.mirror(&repository.url).refresh(revisions).await;
        self.0.metrics.fetched(if answer.is_ok() { Outcome::Ok } else { Outcome::Error }, started.elapsed());
        let mut moved = BTreeSet::new();
        let mut state = repository.state.lock();
        match answer {
            Ok(refreshed) => {
                if state.failures > 0 {
                    info!(repository = %repository.url, "Repository reached again");
                }
                state.failures = 0;
                for (revision, found) in &refreshed.revisions {
                    if let (Ok(commit), Change::Forward { .. } | Change::Rewritten { .. }) =
                        (&found.commit, found.change)
                    {
                        let rewritten = matches!(found.change, Change::Rewritten { .. });
                        info!(repository = %repository.url, revision, commit = %commit.short(), rewritten, "Push seen");
                    }
                    state.set(revision, found.commit.clone(), &mut moved);
                }
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                repository.failed.notify_one();
                if state.failures == 1 {
                    warn!(repository = %repository.url, %error, "Repository not reached");
                } else {
                    debug!(repository = %repository.url, %error, failures = state.failures, "Repository not reached");
                }
                for revision in revisions {
                    state.set(revision, Err(error.clone()), &mut moved);
                }
            }
        }
        // Before anybody can act on the new answers.
        self.0.claims.moved(&moved);
        drop(state);
        if !moved.is_empty() {
            self.0.moved.notify_one();
        }
        for application in &moved {
            self.0.noticed.lock().insert(application.clone(), started);
            self.0.queue.push(application, priority);
        }
    }
}

/// The watch on the files of a repository on this machine; without it polling finds a push.
fn watch(url: &RepoUrl) -> Option<Watch> {
    let watch = Watch::new().and_then(|mut watch| watch.add(url).map(|()| watch));
    watch.inspect_err(|error| warn!(repository = %url, %error, "Files not watched")).ok()
}

async fn pushed(files: Option<&Watch>) {
    match files {
        Some(files) => drop(files.changed().await),
        None => std::future::pending().await,
    }
}

impl Repository {
    fn answer(&self, revision: &str) -> Option<Result<Commit, Error>> {
        self.state.lock().revisions.get(revision)?.answer.clone()
    }
}

impl State {
    fn set(&mut self, revision: &str, answer: Result<Commit, Error>, moved: &mut BTreeSet<SmolStr>) {
        // A revision that nobody follows any more is not remembered.
        let Some(followed) = self.revisions.get_mut(revision) else { return };
        let same = match (&followed.answer, &answer) {
            (Some(Ok(before)), Ok(now)) => before.id == now.id,
            (Some(Err(before)), Err(now)) => before.to_string() == now.to_string(),
            // Whoever follows it first asks for it, and is waiting for the answer.
            (None, _) => true,
            _ => false,
        };
        if !same {
            self.moves += 1;
            moved.extend(followed.applications.iter().cloned());
        }
        followed.answer = Some(answer);
    }
}
