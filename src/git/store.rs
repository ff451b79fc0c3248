//! One bare repository on disk: objects, refs, and nothing about networks.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};

use bytes::Bytes;
use git2::{ErrorClass, ErrorCode, ObjectType, Odb, Repository};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::error::Error;
use super::oid::{Commit, Oid};
use super::url::RepoUrl;

/// Refs that a server no longer has are kept below this, so that a person can be told where they stood.
const DELETED: &str = "refs/deleted/";

/// An object above this size is not read into memory.
const MAX_OBJECT_BYTES: u64 = 64 << 20;

/// How many commits are told to a server as being here already, beside the tips.
const MAX_HAVES: usize = 64;

/// So many packs make looking up objects slow; they are then put into one.
const MAX_PACKS: usize = 40;

/// A mirror's bare repository.
pub(super) struct Store {
    url: RepoUrl,
    path: PathBuf,
    refs: Mutex<Repository>,
    /// Idle handles on the objects. libgit2 takes one lock per handle, so each reader has its own.
    readers: Mutex<Vec<Odb<'static>>>,
    is_checked: AtomicBool,
    is_suspect: AtomicBool,
}

/// How many idle handles are kept.
const MAX_IDLE_READERS: usize = 8;

/// An object's type and content.
pub(super) type Object = (ObjectType, Arc<[u8]>);

/// A ref as it is to be.
pub(super) struct RefChange {
    pub(super) name: String,
    /// `None`: the server no longer has it.
    pub(super) id: Option<Oid>,
}

/// Where a ref of the mirror stands.
pub(super) enum Standing {
    At(Oid),
    DeletedFrom(Oid),
    Unknown,
}

/// How a pack that was being received ended.
pub(super) enum Piece {
    /// More of it.
    Data(Bytes),
    /// All of it has come.
    End,
}

impl Store {
    /// Opens the repository at `path`, or makes an empty one.
    pub(super) fn open(url: &RepoUrl, path: &Path) -> Result<Self, Error> {
        set_up_libgit2();
        let disk = |error: std::io::Error| Error::Disk { url: url.clone(), reason: error.to_string() };
        let exists = path.join("objects").is_dir();
        if exists {
            remove_leftovers(path);
        } else {
            fs::create_dir_all(path).map_err(disk)?;
        }
        let repository = if exists { Repository::open_bare(path) } else { Repository::init_bare(path) };
        let repository = repository.map_err(|error| fault(url, &error))?;
        Ok(Store {
            url: url.clone(),
            path: path.to_owned(),
            refs: Mutex::new(repository),
            readers: Mutex::new(Vec::new()),
            is_checked: AtomicBool::new(false),
            is_suspect: AtomicBool::new(false),
        })
    }

    /// Every ref stands on a commit whose objects are here, as far as was ever noticed. Looked at once after opening;
    /// later damage shows when something is read.
    pub(super) fn is_sound(&self) -> bool {
        if !self.is_checked.load(Ordering::Relaxed) {
            let is_damaged = |id: &Oid| matches!(self.commit_at(*id, ""), Err(Error::Corrupt { .. }));
            if self.tips().is_ok_and(|tips| !tips.iter().any(is_damaged)) {
                self.is_checked.store(true, Ordering::Relaxed);
            } else {
                self.is_suspect.store(true, Ordering::Relaxed);
            }
        }
        !self.is_suspect.load(Ordering::Relaxed)
    }

    /// A handle of its own on everything.
    pub(super) fn repository(&self) -> Result<Repository, Error> {
        Repository::open_bare(&self.path).map_err(|error| self.fault(&error))
    }

    pub(super) fn fault(&self, error: &git2::Error) -> Error {
        let error = fault(&self.url, error);
        if matches!(error, Error::Corrupt { .. }) {
            self.is_suspect.store(true, Ordering::Relaxed);
        }
        error
    }

    fn corrupt(&self, reason: String) -> Error {
        self.is_suspect.store(true, Ordering::Relaxed);
        Error::Corrupt { url: self.url.clone(), reason }
    }

    /// Content that has the hash it should have, so it is the repository and not the mirror that is at fault.
    pub(super) fn malformed(&self, id: Oid) -> Error {
        Error::Malformed { url: self.url.clone(), id }
    }

    /// Reads with an idle handle, or a new one.
    fn with_objects<T>(&self, read: impl FnOnce(&Odb<'static>) -> Result<T, git2::Error>) -> Result<T, git2::Error> {
        let idle = self.readers.lock().pop();
        let objects = match idle {
            Some(objects) => objects,
            None => {
                let objects = Odb::new()?;
                objects.add_disk_alternate(&self.path.join("objects").to_string_lossy())?;
                objects
            }
        };
        let result = read(&objects);
        let mut readers = self.readers.lock();
        if readers.len() < MAX_IDLE_READERS {
            readers.push(objects);
        }
        result
    }

    /// The object's type and content; `None` when it is not here.
    pub(super) fn object(&self, id: Oid) -> Result<Option<Object>, Error> {
        let Some((_, bytes)) = self.header(id)? else { return Ok(None) };
        if bytes > MAX_OBJECT_BYTES {
            return Err(Error::ObjectTooLarge { url: self.url.clone(), id, bytes, limit: MAX_OBJECT_BYTES });
        }
        self.with_objects(|objects| {
            let object = objects.read(id.libgit2())?;
            Ok(Some((object.kind(), Arc::from(object.data()))))
        })
        .map_err(|error| self.fault(&error))
    }

    /// The object's type and size; `None` when it is not here.
    pub(super) fn header(&self, id: Oid) -> Result<Option<(ObjectType, u64)>, Error> {
        match self.with_objects(|objects| objects.read_header(id.libgit2())) {
            Ok((bytes, kind)) => Ok(Some((kind, bytes as u64))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// An object that something here points to.
    pub(super) fn expected(&self, id: Oid) -> Result<Object, Error> {
        self.object(id)?.ok_or_else(|| self.corrupt(format!("the object {id} is missing")))
    }

    /// Those of `ids` that are not here.
    pub(super) fn missing(&self, ids: impl IntoIterator<Item = Oid>) -> Result<Vec<Oid>, Error> {
        let mut missing = Vec::new();
        let mut seen = HashSet::new();
        for id in ids {
            if seen.insert(id) && self.header(id)?.is_none() {
                missing.push(id);
            }
        }
        Ok(missing)
    }

    /// The commit that `id` is or, when it is a tag, points to. `revision` is how a person called it.
    pub(super) fn commit_at(&self, id: Oid, revision: &str) -> Result<Commit, Error> {
        Ok(self.commit_and_root(id, revision)?.0)
    }

    /// The commit and its root tree.
    pub(super) fn commit_and_root(&self, id: Oid, revision: &str) -> Result<(Commit, Oid), Error> {
        let mut id = id;
        // A tag may point to a tag; ten are nobody's intention.
        for _ in 0..10 {
            let (kind, content) = self.expected(id)?;
            match kind {
                ObjectType::Commit => return self.parse_commit(id, &content),
                ObjectType::Tag => id = header_id(&content, b"object ").ok_or_else(|| self.malformed(id))?,
                _ => break,
            }
        }
        Err(Error::NotACommit { url: self.url.clone(), revision: revision.into() })
    }

    fn parse_commit(&self, id: Oid, content: &[u8]) -> Result<(Commit, Oid), Error> {
        let root = header_id(content, b"tree ").ok_or_else(|| self.malformed(id))?;
        if self.header(root)?.is_none_or(|(kind, _)| kind != ObjectType::Tree) {
            return Err(self.corrupt(format!("the tree of commit {id} is missing")));
        }
        let text = String::from_utf8_lossy(content);
        let (head, message) = text.split_once("\n\n").unwrap_or((&text, ""));
        let line = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let author = line("author ").rsplit_once('>').map_or("", |(author, _)| author);
        let time = line("committer ").rsplit_once('>').and_then(|(_, time)| time.split_whitespace().next());
        let time = time.and_then(|seconds| Timestamp::from_second(seconds.parse().ok()?).ok());
        let author = if author.is_empty() { String::new() } else { format!("{author}>") };
        let commit = Commit {
            id,
            subject: message.trim_start().lines().next().unwrap_or_default().trim_end().into(),
            author: author.into(),
            time: time.unwrap_or(Timestamp::UNIX_EPOCH),
        };
        Ok((commit, root))
    }

    /// The commit whose id begins with `digits`.
    pub(super) fn commit_by_digits(&self, digits: &str) -> Result<Option<Oid>, Error> {
        let refs = self.refs.lock();
        match refs.find_commit_by_prefix(digits).map(|commit| commit.id()) {
            Ok(id) => Ok(Some(id.into())),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) if error.code() == ErrorCode::Ambiguous => {
                Err(Error::Ambiguous { url: self.url.clone(), revision: digits.into() })
            }
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// What the mirror knows of a ref.
    pub(super) fn standing(&self, name: &str) -> Result<Standing, Error> {
        let refs = self.refs.lock();
        let at = |name: &str| match refs.refname_to_id(name) {
            Ok(id) => Ok(Some(Oid::from(id))),
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => Ok(None),
            Err(error) => Err(self.fault(&error)),
        };
        if let Some(id) = at(name)? {
            return Ok(Standing::At(id));
        }
        let deleted = name.strip_prefix("refs/").map(|name| format!("{DELETED}{name}"));
        Ok(match deleted.map(|name| at(&name)).transpose()?.flatten() {
            Some(id) => Standing::DeletedFrom(id),
            None => Standing::Unknown,
        })
    }

    /// The default branch, as a full ref.
    pub(super) fn default_branch(&self) -> Result<Option<String>, Error> {
        let refs = self.refs.lock();
        let head = refs.find_reference("HEAD").map_err(|error| self.fault(&error))?;
        Ok(head.symbolic_target().ok().flatten().map(str::to_owned))
    }

    /// All refs below `prefix`, by what follows it.
    pub(super) fn below(&self, prefix: &str) -> Result<BTreeMap<String, Oid>, Error> {
        let refs = self.refs.lock();
        let found = refs.references_glob(&format!("{prefix}*")).map_err(|error| self.fault(&error))?;
        let mut below = BTreeMap::new();
        for reference in found {
            let reference = reference.map_err(|error| self.fault(&error))?;
            if let (Ok(name), Some(id)) = (reference.name(), reference.target()) {
                below.insert(name.strip_prefix(prefix).unwrap_or(name).to_owned(), id.into());
            }
        }
        Ok(below)
    }

    fn tips(&self) -> Result<Vec<Oid>, Error> {
        Ok(self.below("refs/")?.into_values().collect())
    }

    /// Commits to tell a server about: where refs stand, and what came before, the newest first.
    pub(super) fn haves(&self) -> Result<Vec<Oid>, Error> {
        let tips = self.tips()?;
        let refs = self.refs.lock();
        let walk = || -> Result<Vec<Oid>, git2::Error> {
            let mut walk = refs.revwalk()?;
            walk.set_sorting(git2::Sort::TIME)?;
            for tip in &tips {
                if let Ok(commit) = refs.find_object(tip.libgit2(), None).and_then(|o| o.peel_to_commit()) {
                    walk.push(commit.id())?;
                }
            }
            walk.take(MAX_HAVES).map(|id| id.map(Oid::from)).collect()
        };
        let before = walk().map_err(|error| self.fault(&error))?;
        let mut haves: Vec<Oid> = tips;
        haves.extend(before);
        let mut seen = HashSet::new();
        haves.retain(|id| seen.insert(*id));
        Ok(haves)
    }

    /// True when `new` has `old` in its history.
    pub(super) fn descends(&self, new: Oid, old: Oid) -> Result<bool, Error> {
        let refs = self.refs.lock();
        refs.graph_descendant_of(new.libgit2(), old.libgit2()).map_err(|error| self.fault(&error))
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a pack in, as it arrives; nothing of it is there before its end has come and its checksums hold.
    ///
    /// `next` waits for the next piece; `None` means that no more comes and what came is worthless.
    pub(super) fn receive(&self, limit: u64, mut next: impl FnMut() -> Option<Piece>) -> Result<u64, Error> {
        let repository = Repository::open_bare(&self.path).map_err(|error| self.fault(&error))?;
        let objects = repository.odb().map_err(|error| self.fault(&error))?;
        let mut pack = objects.packwriter().map_err(|error| self.fault(&error))?;
        let mut bytes = 0;
        let protocol = |error: &dyn std::fmt::Display| Error::Protocol {
            url: self.url.clone(),
            reason: format!("the pack cannot be read: {error}"),
        };
        loop {
            match next() {
                None => return Err(Error::Cut { url: self.url.clone() }),
                Some(Piece::End) => break,
                Some(Piece::Data(data)) => {
                    bytes += data.len() as u64;
                    if bytes > limit {
                        return Err(Error::TooLarge { url: self.url.clone(), limit });
                    }
                    pack.write_all(&data).map_err(|error| protocol(&error))?;
                }
            }
        }
        pack.commit().map_err(|error| match error.class() {
            ErrorClass::Os => fault(&self.url, &error),
            _ => {
                // The pack may build on an object that the mirror has lost without noticing.
                self.is_suspect.store(true, Ordering::Relaxed);
                protocol(&error.message())
            }
        })?;
        Ok(bytes)
    }

    /// Sets refs to where the server has them.
    pub(super) fn set_refs(&self, changes: &[RefChange], default_branch: Option<&str>) -> Result<(), Error> {
        let refs = self.refs.lock();
        let set = || -> Result<(), git2::Error> {
            if let Some(branch) = default_branch
                && refs.find_reference("HEAD")?.symbolic_target().ok().flatten() != Some(branch)
            {
                refs.reference_symbolic("HEAD", branch, true, "")?;
            }
            for change in changes {
                let deleted = format!("{DELETED}{}", change.name.strip_prefix("refs/").unwrap_or(&change.name));
                match change.id {
                    Some(id) => {
                        make_room(&refs, &change.name)?;
                        refs.reference(&change.name, id.libgit2(), true, "")?;
                        if let Ok(mut old) = refs.find_reference(&deleted) {
                            old.delete()?;
                        }
                    }
                    None => {
                        let mut old = refs.find_reference(&change.name)?;
                        if let Some(last) = old.target() {
                            make_room(&refs, &deleted)?;
                            refs.reference(&deleted, last, true, "")?;
                        }
                        old.delete()?;
                    }
                }
            }
            Ok(())
        };
        set().map_err(|error| self.fault(&error))
    }

    /// Puts many small packs into one. All objects are kept, also those that no ref reaches: a commit that was pushed
    /// away may still be what is applied.
    pub(super) fn consolidate(&self) -> Result<(), Error> {
        let disk = |error: std::io::Error| Error::Disk { url: self.url.clone(), reason: error.to_string() };
        let folder = self.path.join("objects/pack");
        let Ok(listed) = fs::read_dir(&folder) else { return Ok(()) };
        let packs: Vec<PathBuf> = listed
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "pack"))
            .collect();
        if packs.len() < MAX_PACKS {
            return Ok(());
        }
        let repository = Repository::open_bare(&self.path).map_err(|error| self.fault(&error))?;
        let name = || -> Result<Option<String>, git2::Error> {
            let mut builder = repository.packbuilder()?;
            let mut ids = Vec::new();
            repository.odb()?.foreach(|id| {
                ids.push(*id);
                true
            })?;
            for id in ids {
                builder.insert_object(id, None)?;
            }
            builder.write(&folder, 0)?;
            Ok(builder.name()?.map(str::to_owned))
        };
        let Some(name) = name().map_err(|error| self.fault(&error))? else { return Ok(()) };
        let kept = folder.join(format!("pack-{name}.pack"));
        if !kept.is_file() {
            return Ok(());
        }
        for pack in packs.iter().filter(|pack| **pack != kept) {
            // The index goes first: a pack without one is ignored, an index without its pack is an error.
            for extension in ["idx", "pack"] {
                fs::remove_file(pack.with_extension(extension)).map_err(disk)?;
            }
        }
        self.readers.lock().clear();
        Ok(())
    }
}

/// The id in the first header line of a commit or a tag.
fn header_id(content: &[u8], name: &[u8]) -> Option<Oid> {
    let digits = content.strip_prefix(name)?.get(..40)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// git keeps `a` and `a/b` as file and directory: a branch that became a folder of branches leaves the old one in the
/// way.
fn make_room(refs: &Repository, name: &str) -> Result<(), git2::Error> {
    let mut parents: Vec<&str> = name.match_indices('/').map(|(at, _)| &name[..at]).skip(1).collect();
    parents.retain(|parent| refs.find_reference(parent).is_ok());
    for parent in parents {
        refs.find_reference(parent)?.delete()?;
    }
    let below: Vec<String> =
        refs.references_glob(&format!("{name}/*"))?.names().filter_map(|name| name.ok().map(str::to_owned)).collect();
    for child in below {
        refs.find_reference(&child)?.delete()?;
    }
    Ok(())
}

/// What libgit2 says, as one of ours.
fn fault(url: &RepoUrl, error: &git2::Error) -> Error {
    match error.class() {
        ErrorClass::Os | ErrorClass::Filesystem | ErrorClass::NoMemory => {
            Error::Disk { url: url.clone(), reason: error.message().into() }
        }
        _ => Error::Corrupt { url: url.clone(), reason: error.message().into() },
    }
}

/// A killed process leaves locks and half-written packs behind. There is one daemon per data directory.
fn remove_leftovers(path: &Path) {
    let mut folders = vec![path.join("refs")];
    let is_leftover =
        |name: &str| name.ends_with(".lock") || name.starts_with("pack_git2_") || name.starts_with("tmp_");
    for top in [path.to_owned(), path.join("objects/pack")] {
        for entry in fs::read_dir(top).into_iter().flatten().flatten() {
            if is_leftover(&entry.file_name().to_string_lossy()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().ends_with(".lock") {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// libgit2 would keep up to 256 MB of parsed objects; what is worth keeping, snapshots keep themselves.
fn set_up_libgit2() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| git2::opts::enable_caching(false));
}
