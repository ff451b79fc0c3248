//! A directory on disk as [`Files`]: what `build` and `check` read.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;

use super::files::MAX_FILE_BYTES;
use super::walk::{self, Node, Nodes, Resolved, Target};
use super::{Entry, Error, Files, Identified, Located, TreePath};

/// A directory on disk. Links are followed inside it only; `.git` is never read.
///
/// It remembers directories, links, and where nothing is, so that these are looked up once: make a new one to see changes.
#[derive(Debug)]
pub struct LocalFiles {
    root: PathBuf,
    /// What is known of paths; of files only those that are given.
    nodes: Mutex<HashMap<TreePath, Option<Node>>>,
    /// Directories to which no link leads.
    real_directories: Mutex<HashSet<TreePath>>,
    /// Files that are not read from the disk.
    given: HashMap<TreePath, Arc<[u8]>>,
}

impl LocalFiles {
    /// The tree below `root`.
    ///
    /// # Errors
    /// When `root` is no directory that can be read.
    pub fn new(root: &Path) -> io::Result<Self> {
        let root = fs::canonicalize(root)?;
        if !fs::metadata(&root)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(LocalFiles { root, nodes: Mutex::default(), real_directories: Mutex::default(), given: HashMap::new() })
    }

    /// Has a file stand at a path, whatever is there on the disk.
    pub fn give(&mut self, path: TreePath, bytes: Arc<[u8]>) {
        self.nodes.get_mut().insert(path.clone(), Some(Node::File));
        self.given.insert(path, bytes);
    }

    /// Has nothing stand at a path, whatever is there on the disk.
    pub fn hide(&mut self, path: TreePath) {
        self.nodes.get_mut().insert(path, None);
    }

    /// The work tree of git that encloses `directory`, and the path of `directory` in it; `None` when there is none.
    ///
    /// # Errors
    /// When `directory` is no directory that can be read.
    pub fn enclosing(directory: &Path) -> io::Result<Option<(Self, TreePath)>> {
        let directory = fs::canonicalize(directory)?;
        let Some(top) = directory.ancestors().find(|ancestor| ancestor.join(".git").exists()) else {
            return Ok(None);
        };
        let files = LocalFiles::new(top)?;
        let path = files.path_of(&directory).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Some((files, path)))
    }

    /// The absolute path of the tree's root, without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path in this tree of a path on disk; `None` when it lies outside or is no UTF-8.
    pub fn path_of(&self, path: &Path) -> Option<TreePath> {
        let inside = path.strip_prefix(&self.root).ok()?;
        TreePath::new(&slashed(inside)?).ok()
    }

    fn on_disk(&self, path: &TreePath) -> PathBuf {
        path.as_str().split('/').filter(|part| !part.is_empty()).fold(self.root.clone(), |at, part| at.join(part))
    }

    fn resolve(&self, path: &TreePath) -> Result<Resolved, Error> {
        // Below a directory that was reached without a link there is one step to go.
        let parent = path.parent().unwrap_or_default();
        if self.real_directories.lock().contains(&parent) {
            let entry = match self.node(path)? {
                Some(Node::Link(_)) => return walk::resolve(self, path),
                Some(Node::File) => Some(Entry::File),
                Some(Node::Directory) => Some(Entry::Directory),
                None => None,
            };
            return Ok(Resolved { path: path.clone(), entry, through_link: false });
        }
        let found = walk::resolve(self, path)?;
        if found.entry.is_some() && !found.through_link {
            self.real_directories.lock().insert(parent);
        }
        Ok(found)
    }

    fn target(&self, path: &TreePath) -> Result<Option<Target>, Error> {
        let target = match fs::read_link(self.on_disk(path)) {
            Ok(target) => target,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(unreadable(path, &error)),
        };
        let written = || target.to_string_lossy().into_owned();
        if !target.is_absolute() {
            return Ok(Some(slashed(&target).map_or_else(|| Target::Outside(written()), Target::Relative)));
        }
        let inside = target.strip_prefix(&self.root).ok().and_then(slashed);
        Ok(Some(inside.map_or_else(|| Target::Outside(written()), Target::FromRoot)))
    }
}

impl Nodes for LocalFiles {
    fn node(&self, path: &TreePath) -> Result<Option<Node>, Error> {
        if path.file_name().eq_ignore_ascii_case(".git") {
            return Ok(None);
        }
        if let Some(known) = self.nodes.lock().get(path) {
            return Ok(known.clone());
        }
        let node = match fs::symlink_metadata(self.on_disk(path)) {
            Ok(found) if found.is_file() => Some(Node::File),
            Ok(found) if found.is_dir() => Some(Node::Directory),
            Ok(found) if found.is_symlink() => self.target(path)?.map(Node::Link),
            // A pipe, a socket, a device: no part of a tree that git could hold, and reading one may never end.
            Ok(_) => None,
            Err(error) if is_absent(&error) => None,
            Err(error) => return Err(unreadable(path, &error)),
        };
        // A file ends a path: most are asked for once, and there are many.
        if node != Some(Node::File) {
            self.nodes.lock().insert(path.clone(), node.clone());
        }
        Ok(node)
    }
}

impl Files for LocalFiles {
    fn entry(&self, path: &TreePath) -> Result<Option<Entry>, Error> {
        Ok(self.resolve(path)?.entry)
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, Error> {
        let found = self.resolve(path)?;
        match found.entry {
            None => return Err(Error::NotFound { path: path.clone() }),
            Some(Entry::Directory) => return Err(Error::NotAFile { path: path.clone() }),
            Some(Entry::File) => {}
        }
        if let Some(given) = self.given.get(&found.path) {
            return Ok(Arc::clone(given));
        }
        let file = fs::File::open(self.on_disk(&found.path)).map_err(|error| unreadable(path, &error))?;
        let expected = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        let too_large = |bytes| Error::TooLarge { path: path.clone(), bytes, limit: MAX_FILE_BYTES };
        if expected > MAX_FILE_BYTES {
            return Err(too_large(expected));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
        // One byte more than allowed: a file that grows meanwhile is noticed.
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
        match bytes.len() as u64 {
            length if length > MAX_FILE_BYTES => Err(too_large(length)),
            _ => Ok(bytes.into()),
        }
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(String, Entry)>, Error> {
        let found = self.resolve(path)?;
        match found.entry {
            None => return Err(Error::NotFound { path: path.clone() }),
            Some(Entry::File) => return Err(Error::NotADirectory { path: path.clone() }),
            Some(Entry::Directory) => {}
        }
        let mut names = Vec::new();
        for child in fs::read_dir(self.on_disk(&found.path)).map_err(|error| unreadable(path, &error))? {
            // A name that is no UTF-8 keeps its place in the listing; whoever wants to read it is told that it can't be.
            let name = child.map_err(|error| unreadable(path, &error))?.file_name().to_string_lossy().into_owned();
            if let Some(entry) = self.resolve(&found.path.join(&name)?)?.entry {
                names.push((name, entry));
            }
        }
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }
}

impl Identified for LocalFiles {
    fn locate(&self, path: &TreePath) -> Result<Located, Error> {
        let found = self.resolve(path)?;
        Ok(Located { entry: found.entry, id: None, through_link: found.through_link })
    }

    fn is_link(&self, path: &TreePath) -> Result<bool, Error> {
        walk::is_link(self, path)
    }

    fn holds_links(&self, _: &TreePath) -> bool {
        // A directory on disk has no id that could make this matter.
        true
    }
}

/// A relative path with slashes; `None` when a part is no UTF-8 or names another volume.
fn slashed(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            Component::CurDir => Some("."),
            Component::ParentDir => Some(".."),
            Component::RootDir | Component::Prefix(_) => None,
        })
        .collect();
    Some(parts?.join("/"))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename)
}

fn unreadable(path: &TreePath, error: &io::Error) -> Error {
    Error::Unreadable { path: path.clone(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::files::assert_reads;
    use super::super::{ReadSet, Recording};
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    /// A directory with a tree in it and, beside the tree, a secret that nothing may reach.
    fn outside_and_tree() -> (tempfile::TempDir, LocalFiles) {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        for sub in ["apps/web", ".git", "apps/empty"] {
            fs::create_dir_all(tree.join(sub)).unwrap();
        }
        for (file, text) in [("apps/web/a.yaml", "a: 1\n"), (".git/config", "[core]\n"), ("apps/z.yaml", "z: 1\n")] {
            fs::write(tree.join(file), text).unwrap();
        }
        fs::write(directory.path().join("secret"), "s3cret").unwrap();
        for (link, target) in [
            ("apps/inside.yaml", "web/a.yaml"),
            ("apps/out.yaml", "../../secret"),
            ("apps/etc", "/etc"),
            ("gone", "nowhere"),
            ("to-git", ".git"),
        ] {
            symlink(target, tree.join(link)).unwrap();
        }
        let files = LocalFiles::new(&tree).unwrap();
        (directory, files)
    }

    #[test]
    fn files_are_read_inside_the_tree_only() {
        let (_directory, files) = outside_and_tree();
        let cases = [
            // path                 content, or a word of the error
            ("apps/web/a.yaml", Ok("a: 1\n")),
            ("apps/inside.yaml", Ok("a: 1\n")),
            ("apps/out.yaml", Err("leads out of the repository")),
            ("apps/etc/passwd", Err("leads out of the repository")),
            ("gone", Err("does not exist")),
            ("apps/none.yaml", Err("does not exist")),
            ("apps/web", Err("is a directory")),
            (".git/config", Err("does not exist")),
            ("to-git/config", Err("does not exist")),
        ];
        assert_reads(&files, &cases);
    }

    #[test]
    fn a_listing_is_sorted_and_leaves_out_git_and_dangling_links() {
        let (_directory, files) = outside_and_tree();
        fs::remove_file(files.root().join("apps/out.yaml")).unwrap();
        fs::remove_file(files.root().join("apps/etc")).unwrap();
        let names = |at: &str| files.list(&path(at)).unwrap();
        assert_eq!(names(""), [("apps".to_owned(), Entry::Directory)]);
        let apps: Vec<String> = names("apps").into_iter().map(|(name, _)| name).collect();
        assert_eq!(apps, ["empty", "inside.yaml", "web", "z.yaml"]);
    }

    #[test]
    fn a_listing_with_a_link_out_of_the_tree_is_refused() {
        let (_directory, files) = outside_and_tree();
        let error = files.list(&path("apps")).unwrap_err();
        assert!(matches!(error, Error::LinkEscapes { .. }), "{error}");
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::File::create(directory.path().join("big")).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        let error = LocalFiles::new(directory.path()).unwrap().read(&path("big")).unwrap_err();
        assert!(matches!(error, Error::TooLarge { bytes, .. } if bytes == MAX_FILE_BYTES + 1), "{error}");
    }

    #[test]
    fn the_enclosing_work_tree_is_found() {
        let (_directory, files) = outside_and_tree();
        let (found, at) = LocalFiles::enclosing(&files.root().join("apps/web")).unwrap().unwrap();
        assert_eq!((found.root(), at.as_str()), (files.root(), "apps/web"));
        let alone = tempfile::tempdir().unwrap();
        assert!(LocalFiles::enclosing(alone.path()).unwrap().is_none());
    }

    #[test]
    fn a_read_set_of_local_files_notices_what_was_read() {
        let read = |root: &Path| -> ReadSet {
            let files = LocalFiles::new(root).unwrap();
            let recording = Recording::new(&files);
            recording.read(&path("a.yaml")).unwrap();
            recording.entry(&path("kustomization.yaml")).unwrap();
            recording.list(&path("sub")).unwrap();
            recording.into_read_set()
        };
        type Change = fn(&Path);
        let cases: [(&str, Change, bool); 6] = [
            ("nothing", |_| {}, true),
            ("a file that was not read", |root| fs::write(root.join("b.yaml"), "2").unwrap(), true),
            ("content below a listing", |root| fs::write(root.join("sub/x"), "2").unwrap(), true),
            ("the content that was read", |root| fs::write(root.join("a.yaml"), "2").unwrap(), false),
            ("a path that was looked for", |root| fs::write(root.join("kustomization.yaml"), "").unwrap(), false),
            ("a name in a listing", |root| fs::write(root.join("sub/y"), "").unwrap(), false),
        ];
        for (what, change, valid) in cases {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir(directory.path().join("sub")).unwrap();
            for file in ["a.yaml", "b.yaml", "sub/x"] {
                fs::write(directory.path().join(file), "1").unwrap();
            }
            let read_set = read(directory.path());
            change(directory.path());
            assert_eq!(read_set.is_valid_for(&LocalFiles::new(directory.path()).unwrap()), valid, "changed: {what}");
        }
    }
}
