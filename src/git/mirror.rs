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
use super::http;
use super::mirrors::Settings;
use super::oid::{Commit, Oid};
use super::protocol::Ref;
use super::remote::{self, Session, blocking};
use super::revision::Revision;
use super::snapshot::Snapshot;
use super::store::{RefChange, Standing, Store};
use super::url::RepoUrl;

/// Where the default branch of a server stands that does not name it.
const UNNAMED_DEFAULT: &str = "refs/default";

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

/// One revision after a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The commit that it now means.
    pub commit: Result<Commit, Error>,
    /// How it came from where it stood before.
    pub change: Change,
}

/// How a revision moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Not at all, or nothing is known now.
    None,
    /// Seen for the first time.
    First,
    /// To a commit that has the old one in its history.
    Forward {
        /// The old one.
        from: Oid,
    },
    /// To a commit that does not have the old one in its history: a force-push.
    Rewritten {
        /// The old one.
        from: Oid,
    },
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

    fn store(&self) -> Result<Arc<Store>, Error> {
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
        let mut store = self.store.lock();
        remove(&self.url, &old_path)?;
        let disk = |error: std::io::Error| Error::Disk { url: self.url.clone(), reason: error.to_string() };
        if self.path.exists() {
            fs::rename(&self.path, &old_path).map_err(disk)?;
        }
        fs::rename(&fresh_path, &self.path).map_err(disk)?;
        *store = Some(Arc::new(Store::open(&self.url, &self.path)?));
        remove(&self.url, &old_path)?;
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
        let mut bytes = 0;
        if plan.needs_all {
            session.hang_up().await;
            let (refs, whole) = self.list(line, access, &[]).await?;
            session = whole;
            plan.take_all(store, refs)?;
        }
        if plan.wants.is_empty() {
            session.hang_up().await;
        } else {
            bytes += self.fetch(store, session, plan.wants.clone()).await?;
        }
        for id in plan.commits.clone() {
            match self.fetch_commit(line, access, store, id).await {
                Ok(more) => bytes += more,
                // The server has its own words for a commit that it doesn't have; `resolve` has ours.
                Err(Error::Server { .. } | Error::NoCommit { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let (url, store) = (self.url.clone(), store.clone());
        let revisions = blocking(&self.url, move || plan.finish(&url, &store)).await?;
        if bytes > 0 {
            debug!(repository = %self.url, bytes, "Fetched");
        }
        Ok(Refreshed { revisions, bytes })
    }

    async fn fetch_commit(&self, line: &mut Line, access: &Access, store: &Arc<Store>, id: Oid) -> Result<u64, Error> {
        let (_, session) = self.list(line, access, &["HEAD".into()]).await?;
        self.fetch(store, session, vec![id]).await
    }

    /// Fetches a pack: it arrives here and is taken in on the pool for work that blocks.
    async fn fetch(&self, store: &Arc<Store>, session: Session, wants: Vec<Oid>) -> Result<u64, Error> {
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
        let (sent, received) = tokio::join!(session.fetch(&self.url, wants, haves, sender), receive);
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

/// What a refresh is going to do, and what it compares with afterwards.
struct Plan {
    revisions: Vec<(String, Result<Revision, Error>)>,
    before: BTreeMap<String, Oid>,
    changes: Vec<RefChange>,
    default_branch: Option<String>,
    /// Objects that refs stand on and that are not here.
    wants: Vec<Oid>,
    /// Commits asked for by id that are not here.
    commits: Vec<Oid>,
    /// Some digits may be the beginning of a commit that only a whole fetch brings.
    needs_all: bool,
}

impl Plan {
    fn new(
        url: &RepoUrl,
        store: &Store,
        revisions: Vec<(String, Result<Revision, Error>)>,
        refs: &[Ref],
    ) -> Result<Plan, Error> {
        let listed: BTreeMap<&str, &Ref> = refs.iter().map(|found| (found.name.as_str(), found)).collect();
        let mut wanted: BTreeMap<String, Option<Oid>> = BTreeMap::new();
        let mut plan = Plan {
            revisions: vec![],
            before: BTreeMap::new(),
            changes: vec![],
            default_branch: None,
            wants: vec![],
            commits: vec![],
            needs_all: false,
        };
        for (text, revision) in &revisions {
            let Ok(revision) = revision else { continue };
            match resolve(url, store, revision, text) {
                Ok(commit) => drop(plan.before.insert(text.clone(), commit.id)),
                Err(error @ Error::Corrupt { .. }) => return Err(error),
                Err(_) => {}
            }
            match revision {
                Revision::Default => {
                    if let Some(head) = listed.get("HEAD") {
                        let branch = head.target.clone().unwrap_or_else(|| UNNAMED_DEFAULT.into());
                        wanted.insert(branch.clone(), Some(head.id));
                        plan.default_branch = Some(branch);
                    } else if let Some(branch) = store.default_branch()? {
                        // The server's default branch is gone, or it names one that never was.
                        match listed.contains_key(branch.as_str()) {
                            true => plan.default_branch = Some(UNNAMED_DEFAULT.into()),
                            false if matches!(store.standing(&branch)?, Standing::At(_)) => {
                                wanted.entry(branch).or_default();
                            }
                            false => {}
                        }
                    }
                    continue;
                }
                Revision::Commit(id) => {
                    plan.commits.push(*id);
                    continue;
                }
                Revision::Range(range) => {
                    let tags = refs.iter().filter_map(|found| Some((found.name.strip_prefix("refs/tags/")?, found.id)));
                    if let Some((tag, id)) = range.newest(tags) {
                        wanted.insert(format!("refs/tags/{tag}"), Some(id));
                    }
                    // Tags that are gone must not be the newest any longer.
                    for tag in store.below("refs/tags/")?.into_keys().map(|tag| format!("refs/tags/{tag}")) {
                        if !listed.contains_key(tag.as_str()) {
                            wanted.insert(tag, None);
                        }
                    }
                }
                Revision::Name(_) => {}
            }
            let mut is_ref = false;
            for name in revision.refs().into_iter().filter(|name| !name.ends_with('/')) {
                if let Some(found) = listed.get(name.as_str()) {
                    is_ref = true;
                    wanted.insert(name, Some(found.id));
                } else if matches!(store.standing(&name)?, Standing::At(_)) {
                    wanted.insert(name, None);
                }
            }
            if !is_ref && let Some(digits) = revision.digits() {
                plan.needs_all |= store.commit_by_digits(digits)?.is_none();
            }
        }
        for (name, id) in wanted {
            let is_valid = git2::Reference::is_valid_name(&name);
            let stands = match store.standing(&name)? {
                Standing::At(id) => Some(id),
                Standing::DeletedFrom(_) | Standing::Unknown => None,
            };
            if is_valid && stands != id {
                plan.changes.push(RefChange { name, id });
            }
        }
        plan.wants = store.missing(plan.changes.iter().filter_map(|change| change.id))?;
        plan.commits = store.missing(std::mem::take(&mut plan.commits))?;
        plan.revisions = revisions;
        Ok(plan)
    }

    /// Everything that the server has: the price of being asked for a commit by its first digits.
    fn take_all(&mut self, store: &Store, refs: Vec<Ref>) -> Result<(), Error> {
        for found in refs {
            let is_ours = found.name.starts_with("refs/heads/") || found.name.starts_with("refs/tags/");
            if is_ours && git2::Reference::is_valid_name(&found.name) {
                self.changes.retain(|change| change.name != found.name);
                self.changes.push(RefChange { name: found.name, id: Some(found.id) });
            }
        }
        self.wants = store.missing(self.changes.iter().filter_map(|change| change.id))?;
        Ok(())
    }

    /// Moves the refs, once their objects are here, and tells where each revision now stands.
    fn finish(self, url: &RepoUrl, store: &Store) -> Result<BTreeMap<String, Followed>, Error> {
        // A pack that lacked what was asked for moves nothing.
        if let Some(id) = store.missing(self.changes.iter().filter_map(|change| change.id))?.first() {
            return Err(Error::Protocol {
                url: url.clone(),
                reason: format!("the pack lacks {id}, which was asked for"),
            });
        }
        store.set_refs(&self.changes, self.default_branch.as_deref())?;
        let mut followed = BTreeMap::new();
        for (text, revision) in self.revisions {
            let commit = revision.and_then(|revision| resolve(url, store, &revision, &text));
            if let Err(error @ Error::Corrupt { .. }) = commit {
                return Err(error);
            }
            let change = match (&commit, self.before.get(&text)) {
                (Err(_), _) => Change::None,
                (Ok(_), None) => Change::First,
                (Ok(commit), Some(from)) if commit.id == *from => Change::None,
                (Ok(commit), Some(from)) if store.descends(commit.id, *from)? => Change::Forward { from: *from },
                (Ok(_), Some(from)) => Change::Rewritten { from: *from },
            };
            followed.insert(text, Followed { commit, change });
        }
        Ok(followed)
    }
}

/// The commit that a revision means in this mirror.
fn resolve(url: &RepoUrl, store: &Store, revision: &Revision, text: &str) -> Result<Commit, Error> {
    let text = if *revision == Revision::Default { "HEAD" } else { text };
    let unknown = || Error::NoRevision { url: url.clone(), revision: text.into() };
    let mut names = revision.refs();
    match revision {
        Revision::Default => names = store.default_branch()?.into_iter().collect(),
        Revision::Commit(id) => {
            return match store.header(*id)? {
                Some(_) => store.commit_at(*id, text),
                None => Err(Error::NoCommit { url: url.clone(), revision: text.into() }),
            };
        }
        Revision::Range(range) => {
            let tags = store.below("refs/tags/")?;
            if let Some((_, id)) = range.newest(tags.iter().map(|(tag, id)| (tag.as_str(), *id))) {
                return store.commit_at(id, text);
            }
            names.retain(|name| !name.ends_with('/'));
        }
        Revision::Name(_) => {}
    }
    let mut last = None;
    for name in names {
        match store.standing(&name)? {
            Standing::At(id) => return store.commit_at(id, text),
            Standing::DeletedFrom(id) => last = last.or(Some(id)),
            Standing::Unknown => {}
        }
    }
    if let Some(id) = revision.digits().map(|digits| store.commit_by_digits(digits)).transpose()?.flatten() {
        return store.commit_at(id, text);
    }
    Err(match (last, revision) {
        (Some(last), _) => Error::Deleted { url: url.clone(), revision: text.into(), last },
        (None, Revision::Range(range)) => Error::NoTagInRange { url: url.clone(), range: range.as_str().into() },
        (None, _) => unknown(),
    })
}

fn remove(url: &RepoUrl, path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Disk { url: url.clone(), reason: error.to_string() })
        }
        _ => Ok(()),
    }
}
