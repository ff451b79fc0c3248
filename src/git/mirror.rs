//! [`Mirror`]: one repository, brought up to date on demand, whoever asks and however often.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::credentials::Access;
use super::error::Error;
use super::follow::{Followed, Plan, resolve};
use super::http;
use super::oid::{Commit, Oid};
use super::protocol::Ref;
use super::remote::{self, Session, blocking};
use super::revision::Revision;
use super::settings::Settings;
use super::snapshot::Snapshot;
use super::store::Store;
use super::url::RepoUrl;

/// A repository's mirror. All that a failed refresh leaves behind is an error: what was there stays readable.
pub struct Mirror {
    url: RepoUrl,
    path: PathBuf,
    settings: Arc<Settings>,
    store: Mutex<Option<Arc<Store>>>,
    /// Held by whoever is talking to the server.
    line: tokio::sync::Mutex<Line>,
    /// What is to be asked next; callers join it until someone starts on it.
    queued: Mutex<Option<Arc<Batch>>>,
}

/// What is kept between two conversations.
#[derive(Default)]
struct Line {
    known: Option<http::Known>,
}

/// Revisions that are asked for together.
#[derive(Default)]
struct Batch {
    revisions: Mutex<BTreeSet<String>>,
    answer: OnceLock<Result<Arc<Refreshed>, Error>>,
}

/// What a refresh found.
#[derive(Clone, Debug, Default)]
pub struct Refreshed {
    /// By revision, as it was written.
    pub revisions: BTreeMap<String, Followed>,
    /// Bytes of packs that were fetched; 0 when nothing had moved.
    pub bytes: u64,
}

impl Refreshed {
    /// What was found for `revision`, one of those that were asked for.
    pub fn commit(&self, revision: &str) -> Option<&Result<Commit, Error>> {
        self.revisions.get(revision).map(|followed| &followed.commit)
    }
}

impl Mirror {
    pub(super) fn new(url: RepoUrl, settings: Arc<Settings>) -> Self {
        let path = settings.folder().join(url.directory());
        Mirror { url, path, settings, store: Mutex::default(), line: Default::default(), queued: Mutex::default() }
    }

    /// The repository.
    pub fn url(&self) -> &RepoUrl {
        &self.url
    }

    /// Asks the server where these revisions stand and fetches what moved.
    ///
    /// Callers at the same time share the work. Who calls while a refresh is under way gets the next one, which knows
    /// of every push before the call. What is wrong with one revision is told in its own entry.
    ///
    /// # Errors
    /// When the repository could not be asked or read at all.
    pub async fn refresh(&self, revisions: &[String]) -> Result<Arc<Refreshed>, Error> {
        let batch = {
            let mut queued = self.queued.lock();
            let batch = queued.get_or_insert_default().clone();
            batch.revisions.lock().extend(revisions.iter().cloned());
            batch
        };
        let mut line = self.line.lock().await;
        if let Some(answer) = batch.answer.get() {
            return answer.clone();
        }
        self.queued.lock().take_if(|queued| Arc::ptr_eq(queued, &batch));
        let revisions = batch.revisions.lock().clone();
        let answer = self.run(&mut line, &revisions).await.map(Arc::new);
        batch.answer.get_or_init(|| answer).clone()
    }

    /// The commit that `revision` means, as far as the last refresh knows.
    ///
    /// # Errors
    /// When it means none, or the mirror is damaged.
    pub fn resolve(&self, revision: &str) -> Result<Commit, Error> {
        let parsed = Revision::parse(revision)?;
        resolve(&self.url, &*self.store()?, &parsed, revision)
    }

    /// The files at a commit.
    ///
    /// # Errors
    /// When the commit is not here, or the mirror is damaged.
    pub fn snapshot(&self, commit: &Commit) -> Result<Snapshot, Error> {
        self.snapshot_at(commit.id)
    }

    /// The files at the commit with this id, which a refresh has brought here.
    ///
    /// # Errors
    /// When the commit is not here, or the mirror is damaged.
    pub fn snapshot_at(&self, id: Oid) -> Result<Snapshot, Error> {
        let store = self.store()?;
        if store.header(id)?.is_none() {
            return Err(Error::NoCommit { url: self.url.clone(), revision: id.to_string() });
        }
        let (commit, root) = store.commit_and_root(id, &id.to_string())?;
        Ok(Snapshot::new(store, self.url.clone(), commit, root))
    }

    /// How its server lets us in.
    pub(super) fn access(&self) -> Access {
        self.settings.access(&self.url)
    }

    pub(super) fn clients(&self) -> &http::Clients {
        &self.settings.clients
    }

    /// Its repository on disk.
    pub(super) fn store(&self) -> Result<Arc<Store>, Error> {
        let mut store = self.store.lock();
        if let Some(store) = &*store {
            return Ok(store.clone());
        }
        let opened = Arc::new(Store::open(&self.url, &self.path)?);
        Ok(store.insert(opened).clone())
    }

    async fn run(&self, line: &mut Line, revisions: &BTreeSet<String>) -> Result<Refreshed, Error> {
        self.settings.permit(&self.url)?;
        let access = self.settings.access(&self.url);
        let opened = self.store();
        let opened = blocking(&self.url, move || opened.map(|store| store.is_sound().then_some(store))).await;
        let store = match opened {
            Ok(Some(store)) => store,
            Ok(None) | Err(Error::Corrupt { .. }) => return self.rebuild(line, &access, revisions).await,
            Err(error) => return Err(error),
        };
        match self.follow(line, &access, &store, revisions).await {
            Err(Error::Corrupt { .. }) => self.rebuild(line, &access, revisions).await,
            answer => answer,
        }
    }

    /// Makes a new mirror beside the damaged one and puts it in its place once it is whole.
    async fn rebuild(
        &self,
        line: &mut Line,
        access: &Access,
        revisions: &BTreeSet<String>,
    ) -> Result<Refreshed, Error> {
        warn!(repository = %self.url, "Mirror damaged, fetching anew");
        let (fresh_path, old_path) = (self.path.with_extension("new"), self.path.with_extension("old"));
        let damaged = self.store.lock().clone();
        let (url, path) = (self.url.clone(), fresh_path.clone());
        let (fresh, others) = blocking(&self.url, move || {
            remove(&url, &path)?;
            // What others follow is brought along, as far as it is still known.
            let known = |prefix: &str| damaged.as_ref().and_then(|store| store.below(prefix).ok()).unwrap_or_default();
            let others: Vec<String> = ["refs/heads/", "refs/tags/"]
                .into_iter()
                .flat_map(|prefix| known(prefix).into_keys().map(move |name| format!("{prefix}{name}")))
                .collect();
            Ok((Arc::new(Store::open(&url, &path)?), others))
        })
        .await?;
        let all: BTreeSet<String> = revisions.iter().cloned().chain(others).collect();
        let mut refreshed = self.follow(line, access, &fresh, &all).await?;
        refreshed.revisions.retain(|revision, _| revisions.contains(revision));
        drop(fresh);
        let (url, path) = (self.url.clone(), self.path.clone());
        let store = blocking(&self.url, move || {
            let disk = |error: std::io::Error| Error::Disk { url: url.clone(), reason: error.to_string() };
            remove(&url, &old_path)?;
            if path.exists() {
                fs::rename(&path, &old_path).map_err(disk)?;
            }
            fs::rename(&fresh_path, &path).map_err(disk)?;
            remove(&url, &old_path)?;
            Store::open(&url, &path)
        })
        .await?;
        *self.store.lock() = Some(Arc::new(store));
        Ok(refreshed)
    }

    async fn list(&self, line: &mut Line, access: &Access, prefixes: &[String]) -> Result<(Vec<Ref>, Session), Error> {
        // An error forgets what was known, so that the next conversation starts at the beginning.
        let known = line.known.take();
        let (refs, session) = remote::list(&self.url, access, &self.settings.clients, known, prefixes).await?;
        line.known = session.known();
        Ok((refs, session))
    }

    async fn follow(
        &self,
        line: &mut Line,
        access: &Access,
        store: &Arc<Store>,
        revisions: &BTreeSet<String>,
    ) -> Result<Refreshed, Error> {
        let parsed: Vec<(String, Result<Revision, Error>)> =
            revisions.iter().map(|text| (text.clone(), Revision::parse(text))).collect();
        // HEAD is asked for in any case: with it, no ref at all is a rare answer.
        let mut prefixes: BTreeSet<String> = BTreeSet::from(["HEAD".into()]);
        prefixes.extend(parsed.iter().filter_map(|(_, revision)| revision.as_ref().ok()).flat_map(Revision::refs));
        let prefixes: Vec<String> = prefixes.into_iter().collect();
        let (mut refs, mut session) = self.list(line, access, &prefixes).await?;
        if refs.is_empty() {
            session.hang_up().await;
            // Nothing of what we look for; is there anything?
            (refs, session) = self.list(line, access, &[]).await?;
        }
        if refs.is_empty() {
            return Err(Error::Empty { url: self.url.clone() });
        }

        let (url, shared) = (self.url.clone(), store.clone());
        let plan = move || Plan::new(&url, &shared, parsed, &refs);
        let mut plan = blocking(&self.url, plan).await?;
        let mut bytes = self.fetch(store, session, plan.wants.clone()).await?;
        for id in plan.commits.clone() {
            let (_, session) = self.list(line, access, &["HEAD".into()]).await?;
            match self.fetch(store, session, vec![id]).await {
                Ok(more) => bytes += more,
                // It doesn't have the commit, or doesn't give away what no ref stands on; the commit may yet be below
                // one.
                Err(Error::Server { .. } | Error::NoCommit { .. }) => plan.needs_all = true,
                Err(error) => return Err(error),
            }
        }
        if plan.needs_all {
            let (refs, session) = self.list(line, access, &[]).await?;
            plan.take_all(store, refs)?;
            bytes += self.fetch(store, session, plan.wants.clone()).await?;
        }
        let (url, store) = (self.url.clone(), store.clone());
        let revisions = blocking(&self.url, move || plan.finish(&url, &store)).await?;
        if bytes > 0 {
            debug!(repository = %self.url, bytes, "Fetched");
        }
        Ok(Refreshed { revisions, bytes })
    }

    /// Fetches a pack: it arrives here and is taken in on the pool for work that blocks.
    async fn fetch(&self, store: &Arc<Store>, session: Session, wants: Vec<Oid>) -> Result<u64, Error> {
        if wants.is_empty() {
            session.hang_up().await;
            return Ok(0);
        }
        let _turn = self.settings.fetches.acquire().await;
        let limit = self.settings.max_fetch_bytes();
        let shared = store.clone();
        let haves = blocking(&self.url, move || shared.haves()).await?;
        // Sixteen pieces are at most one megabyte: enough to keep both sides busy.
        let (sender, mut receiver) = mpsc::channel(16);
        let shared = store.clone();
        let receive = blocking(&self.url, move || {
            let bytes = shared.receive(limit, || receiver.blocking_recv())?;
            shared.consolidate()?;
            Ok(bytes)
        });
        let (sent, received) = tokio::join!(session.fetch(&self.url, wants, haves, store.path(), sender), receive);
        // When the server failed, the receiver saw no more than an end.
        sent?;
        received
    }
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mirror({})", self.url)
    }
}

fn remove(url: &RepoUrl, path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Disk { url: url.clone(), reason: error.to_string() })
        }
        _ => Ok(()),
    }
}
