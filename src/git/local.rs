//! Repositories on the same machine: read and written with libgit2, without a process and without `git`'s local
//! transport.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use git2::{ConfigLevel, ErrorCode, Repository, RepositoryOpenFlags};

use super::error::Error;
use super::oid::Oid;
use super::protocol::Ref;
use super::push::Update;
use super::store::Piece;
use super::url::RepoUrl;

/// How much of a pack is handed over at once.
const PIECE: usize = 64 * 1024;

/// A conversation with a repository on disk.
pub(super) struct Session {
    url: RepoUrl,
    path: PathBuf,
}

/// All refs that begin with one of `prefixes` (all, when there is none).
pub(super) fn list(url: &RepoUrl, path: &Path, prefixes: &[String]) -> Result<(Vec<Ref>, Session), Error> {
    let session = Session { url: url.clone(), path: path.to_owned() };
    let source = session.open()?;
    let refs = || -> Result<Vec<Ref>, git2::Error> {
        let mut refs = Vec::new();
        let head = source.find_reference("HEAD")?;
        let target = head.symbolic_target().ok().flatten().map(str::to_owned);
        if let Ok(head) = head.resolve()
            && let Some(id) = head.target()
        {
            refs.push(Ref { name: "HEAD".into(), id: id.into(), peeled: None, target });
        }
        let mut globs: Vec<&str> = prefixes.iter().map(String::as_str).filter(|prefix| *prefix != "HEAD").collect();
        if prefixes.is_empty() {
            globs.push("refs/");
        }
        for prefix in globs {
            // A whole name is looked up, the beginning of names is searched.
            if !prefix.ends_with('/') {
                match source.find_reference(prefix) {
                    Ok(found) => refs.extend(read(&found)?),
                    Err(error) if error.code() == ErrorCode::NotFound => {}
                    Err(error) => return Err(error),
                }
                continue;
            }
            for found in source.references_glob(&format!("{prefix}*"))? {
                refs.extend(read(&found?)?);
            }
        }
        Ok(refs)
    };
    let refs = refs().map_err(|error| session.fault(&error))?;
    Ok((refs, session))
}

/// The folder that holds the refs of the repository at `path`, which may have a work tree around it.
pub(super) fn folder(url: &RepoUrl, path: &Path) -> Result<PathBuf, Error> {
    let source = Session { url: url.clone(), path: path.to_owned() }.open()?;
    Ok(source.commondir().to_owned())
}

fn read(reference: &git2::Reference<'_>) -> Result<Option<Ref>, git2::Error> {
    let (Ok(name), Ok(resolved)) = (reference.name(), reference.resolve()) else { return Ok(None) };
    let Some(id) = resolved.target() else { return Ok(None) };
    let peeled = resolved.peel(git2::ObjectType::Any)?.id();
    let peeled = (peeled != id).then(|| peeled.into());
    Ok(Some(Ref { name: name.into(), id: id.into(), peeled, target: None }))
}

/// Moves a branch to a commit that `pack` brings along.
pub(super) fn push(url: &RepoUrl, path: &Path, update: &Update, pack: &[u8]) -> Result<(), Error> {
    let session = Session { url: url.clone(), path: path.to_owned() };
    let target = session.open()?;
    // As git does by default: files under somebody's hands would seem to undo the push.
    let checked_out = target.head().ok().and_then(|head| head.name().map(str::to_owned).ok());
    if !target.is_bare() && checked_out.as_ref() == Some(&update.name) {
        return Err(update.refused(url, "the branch is checked out there"));
    }
    let take = || -> Result<(), git2::Error> {
        let objects = target.odb()?;
        let mut writer = objects.packwriter()?;
        writer.write_all(pack).map_err(|error| git2::Error::from_str(&error.to_string()))?;
        writer.commit()?;
        let words = "push by leeboard";
        let (new, old) = (update.new.libgit2(), update.old.libgit2());
        target.reference_matching(&update.name, new, true, old, words).map(drop)
    };
    take().map_err(|error| match error.code() {
        ErrorCode::Modified | ErrorCode::NotFound => update.refused(url, "it has moved"),
        _ => session.fault(&error),
    })
}

impl Session {
    fn open(&self) -> Result<Repository, Error> {
        // Neither parent directories nor the environment decide what is opened.
        let flags = RepositoryOpenFlags::NO_SEARCH;
        Repository::open_ext(&self.path, flags, std::iter::empty::<&Path>()).map_err(|error| self.fault(&error))
    }

    /// Puts together a pack with all of `wants` that `haves` do not bring along. `settings` is a place for a file.
    pub(super) fn fetch(
        self,
        wants: &[Oid],
        haves: &[Oid],
        settings: &Path,
        mut send: impl FnMut(Piece) -> bool,
    ) -> Result<(), Error> {
        let source = self.open()?;
        let mut is_heard = true;
        let mut pack = || -> Result<(), git2::Error> {
            if is_short(&source, wants, haves)? {
                search_no_deltas(&source, settings)?;
            }
            let mut builder = source.packbuilder()?;
            // As many as there are cores.
            builder.set_threads(0);
            let mut walk = source.revwalk()?;
            for want in wants {
                let object = source.find_object(want.libgit2(), None)?;
                let commit = object.peel_to_commit();
                match commit {
                    Ok(commit) => walk.push(commit.id())?,
                    Err(_) => builder.insert_recursive(want.libgit2(), None)?,
                }
                // An annotated tag is an object of its own, and so is a tag of a tag.
                let mut object = object;
                while let Some(tag) = object.as_tag() {
                    builder.insert_object(tag.id(), None)?;
                    object = tag.target()?;
                }
            }
            hide(&source, &mut walk, haves)?;
            builder.insert_walk(&mut walk)?;
            // It comes in three parts for each object; the reader is another thread.
            let mut buffer = BytesMut::with_capacity(PIECE);
            builder.foreach(|part| {
                buffer.extend_from_slice(part);
                if buffer.len() >= PIECE {
                    is_heard = send(Piece::Data(buffer.split().freeze()));
                }
                is_heard
            })?;
            is_heard = is_heard && send(Piece::Data(buffer.freeze()));
            Ok(())
        };
        match pack() {
            // Whoever no longer listens has its own error to tell.
            Err(_) if !is_heard => Ok(()),
            Err(error) if error.code() == ErrorCode::NotFound => {
                let revision = wants.first().map(Oid::to_string).unwrap_or_default();
                Err(Error::NoCommit { url: self.url.clone(), revision })
            }
            Err(error) => Err(self.fault(&error)),
            Ok(()) => {
                if is_heard {
                    send(Piece::End);
                }
                Ok(())
            }
        }
    }

    fn fault(&self, error: &git2::Error) -> Error {
        let url = self.url.clone();
        match error.code() {
            ErrorCode::NotFound if !self.path.join("HEAD").exists() && !self.path.join(".git").exists() => {
                Error::NotFound { url }
            }
            ErrorCode::Owner => Error::Unsupported { url, reason: "it belongs to another user of this machine" },
            _ => Error::Unreachable { url, reason: super::protocol::clean(error.message()) },
        }
    }
}

/// Leaves out what is there already.
fn hide(source: &Repository, walk: &mut git2::Revwalk<'_>, haves: &[Oid]) -> Result<(), git2::Error> {
    for have in haves {
        if source.find_commit(have.libgit2()).is_ok() {
            walk.hide(have.libgit2())?;
        }
    }
    Ok(())
}

/// True when few commits are fetched: a push, not a history.
fn is_short(source: &Repository, wants: &[Oid], haves: &[Oid]) -> Result<bool, git2::Error> {
    const FEW: usize = 32;
    let mut walk = source.revwalk()?;
    for want in wants {
        if let Ok(commit) = source.find_object(want.libgit2(), None)?.peel_to_commit() {
            walk.push(commit.id())?;
        }
    }
    hide(source, &mut walk, haves)?;
    Ok(walk.take(FEW).count() < FEW)
}

/// Lets packs of this repository, as it is open here, be put together without a search for deltas: who takes them in
/// is on the same machine, and would only wait. What is larger than a big file is not searched, so every file is one;
/// libgit2 1.9 reads that size from the name of another setting.
fn search_no_deltas(source: &Repository, settings: &Path) -> Result<(), git2::Error> {
    if std::fs::write(settings, "[core]\n\tbigFileThreshold = 1\n[pack]\n\tdeltaCacheSize = 1\n").is_ok() {
        source.config()?.add_file(settings, ConfigLevel::App, true)?;
    }
    Ok(())
}
