//! What revisions mean: which refs a refresh has to move, and to which commit a revision leads afterwards.

use std::collections::BTreeMap;

use super::error::Error;
use super::oid::{Commit, Oid};
use super::protocol::Ref;
use super::revision::Revision;
use super::store::{RefChange, Standing, Store};
use super::url::RepoUrl;

/// Where the default branch of a server stands that does not name it.
const UNNAMED_DEFAULT: &str = "refs/default";

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

/// What a refresh is going to do, and what it compares with afterwards.
pub(super) struct Plan {
    revisions: Vec<(String, Result<Revision, Error>)>,
    before: BTreeMap<String, Oid>,
    changes: Vec<RefChange>,
    default_branch: Option<String>,
    /// Objects that refs stand on and that are not here.
    pub(super) wants: Vec<Oid>,
    /// Commits asked for by id that are not here.
    pub(super) commits: Vec<Oid>,
    /// A commit is asked for that may be below any ref.
    pub(super) needs_all: bool,
}

impl Plan {
    pub(super) fn new(
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

    /// Every branch and tag that the server has: the price of being asked for a commit by its first digits.
    pub(super) fn take_all(&mut self, store: &Store, refs: Vec<Ref>) -> Result<(), Error> {
        let is_ours = |name: &str| name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
        let listed: BTreeMap<String, Oid> = refs
            .into_iter()
            .filter(|found| is_ours(&found.name) && git2::Reference::is_valid_name(&found.name))
            .map(|found| (found.name, found.id))
            .collect();
        self.changes.retain(|change| !listed.contains_key(&change.name));
        self.changes.extend(listed.into_iter().map(|(name, id)| RefChange { name, id: Some(id) }));
        self.wants = store.missing(self.changes.iter().filter_map(|change| change.id))?;
        Ok(())
    }

    /// Moves the refs, once their objects are here, and tells where each revision now stands.
    pub(super) fn finish(self, url: &RepoUrl, store: &Store) -> Result<BTreeMap<String, Followed>, Error> {
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
pub(super) fn resolve(url: &RepoUrl, store: &Store, revision: &Revision, text: &str) -> Result<Commit, Error> {
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
