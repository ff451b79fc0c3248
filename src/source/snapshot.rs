//! A commit as [`Files`]: read straight from git's object store, never checked out.

use std::sync::Arc;

use super::files::MAX_FILE_BYTES;
use super::walk::{self, Node, Nodes, Resolved, Target};
use super::{Entry, Error, Files, Identified, Located, TreePath};
use crate::git::{self, Kind, Snapshot};

/// The files of a commit. Links are followed inside the tree only; a submodule is an empty directory.
#[derive(Clone, Debug)]
pub struct SnapshotFiles {
    snapshot: Snapshot,
}

impl SnapshotFiles {
    /// The files of this commit.
    pub fn new(snapshot: Snapshot) -> Self {
        SnapshotFiles { snapshot }
    }

    /// The commit.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn resolve(&self, path: &TreePath) -> Result<Resolved, Error> {
        let found = self.snapshot.entry(path.as_str()).map_err(|error| unreadable(path, &error))?;
        let entry = match found.map(|(kind, _)| kind) {
            Some(Kind::Blob) => Entry::File,
            Some(Kind::Tree | Kind::Submodule) => Entry::Directory,
            // There is a link at the end or on the way, or nothing: one step at a time tells.
            Some(Kind::Link) | None => return walk::resolve(self, path),
        };
        Ok(Resolved { path: path.clone(), entry: Some(entry), through_link: false })
    }

    /// The content of what stands directly at `found`, which was asked for as `path`.
    fn content(&self, found: &TreePath, path: &TreePath) -> Result<Option<Arc<[u8]>>, Error> {
        let unreadable = |error: git::Error| unreadable(path, &error);
        match self.snapshot.size(found.as_str()).map_err(unreadable)? {
            Some(bytes) if bytes > MAX_FILE_BYTES => {
                Err(Error::TooLarge { path: path.clone(), bytes, limit: MAX_FILE_BYTES })
            }
            _ => self.snapshot.read(found.as_str()).map_err(unreadable),
        }
    }
}

impl Nodes for SnapshotFiles {
    fn node(&self, path: &TreePath) -> Result<Option<Node>, Error> {
        let found = self.snapshot.entry(path.as_str()).map_err(|error| unreadable(path, &error))?;
        Ok(match found.map(|(kind, _)| kind) {
            None => None,
            Some(Kind::Blob) => Some(Node::File),
            Some(Kind::Tree | Kind::Submodule) => Some(Node::Directory),
            Some(Kind::Link) => self.content(path, path)?.map(|target| Node::Link(read_target(&target))),
        })
    }
}

/// A link's content. What is no UTF-8 names nothing that can be asked for.
fn read_target(target: &[u8]) -> Target {
    match std::str::from_utf8(target) {
        Ok(target) if !target.starts_with('/') => Target::Relative(target.to_owned()),
        _ => Target::Outside(String::from_utf8_lossy(target).into_owned()),
    }
}

impl Files for SnapshotFiles {
    fn entry(&self, path: &TreePath) -> Result<Option<Entry>, Error> {
        Ok(self.resolve(path)?.entry)
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, Error> {
        let found = self.resolve(path)?;
        match found.entry {
            None => Err(Error::NotFound { path: path.clone() }),
            Some(Entry::Directory) => Err(Error::NotAFile { path: path.clone() }),
            Some(Entry::File) => self.content(&found.path, path)?.ok_or_else(|| Error::NotFound { path: path.clone() }),
        }
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(String, Entry)>, Error> {
        let found = self.resolve(path)?;
        match found.entry {
            None => return Err(Error::NotFound { path: path.clone() }),
            Some(Entry::File) => return Err(Error::NotADirectory { path: path.clone() }),
            Some(Entry::Directory) => {}
        }
        let listed = self.snapshot.list(found.path.as_str()).map_err(|error| unreadable(path, &error))?;
        let mut names = Vec::new();
        // A submodule has no tree here.
        for child in listed.iter().flat_map(|tree| tree.iter()) {
            let entry = match child.kind {
                Kind::Blob => Some(Entry::File),
                Kind::Tree | Kind::Submodule => Some(Entry::Directory),
                Kind::Link => self.resolve(&found.path.join(&child.name)?)?.entry,
            };
            names.extend(entry.map(|entry| (child.name.to_string(), entry)));
        }
        Ok(names)
    }
}

impl Identified for SnapshotFiles {
    fn locate(&self, path: &TreePath) -> Result<Located, Error> {
        let found = self.resolve(path)?;
        let id = match found.entry {
            None => None,
            Some(_) => self.snapshot.id(found.path.as_str()).map_err(|error| unreadable(path, &error))?,
        };
        Ok(Located { entry: found.entry, id: id.map(|id| *id.as_bytes()), through_link: found.through_link })
    }

    fn is_link(&self, path: &TreePath) -> Result<bool, Error> {
        walk::is_link(self, path)
    }

    fn holds_links(&self, path: &TreePath) -> bool {
        let listed = self.resolve(path).map(|found| self.snapshot.list(found.path.as_str()));
        match listed {
            Ok(Ok(Some(tree))) => tree.iter().any(|child| child.kind == Kind::Link),
            Ok(Ok(None)) => false,
            _ => true,
        }
    }
}

fn unreadable(path: &TreePath, error: &git::Error) -> Error {
    Error::Unreadable { path: path.clone(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use git2::{ObjectType, Oid, Repository, Signature, Time};
    use proptest::prelude::*;

    use super::super::files::assert_reads;
    use super::super::{ReadSet, Recording};
    use super::*;
    use crate::git::{LocalRepositories, Mirror, Mirrors, RepoUrl};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Stands {
        Text(&'static str),
        Link(&'static str),
        Submodule,
    }
    use Stands::{Link, Submodule, Text};

    type Tree = BTreeMap<&'static str, Stands>;

    /// A repository in which trees become commits, and its mirror.
    struct Shop {
        repository: Repository,
        mirror: Arc<Mirror>,
        runtime: tokio::runtime::Runtime,
        _directory: tempfile::TempDir,
    }

    impl Shop {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let place = directory.path().join("shop.git");
            let repository = Repository::init_bare(&place).unwrap();
            repository.set_head("refs/heads/main").unwrap();
            let url = RepoUrl::parse(&format!("file://{}", place.display())).unwrap();
            let mirrors = Mirrors::new(directory.path().join("data"), LocalRepositories::Allowed);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            Shop { repository, mirror: mirrors.mirror(&url), runtime, _directory: directory }
        }

        fn commit(&self, tree: &Tree) -> SnapshotFiles {
            let entries: Vec<(&str, Stands)> = tree.iter().map(|(path, node)| (*path, *node)).collect();
            let tree = self.repository.find_tree(self.write(&entries)).unwrap();
            let author = Signature::new("a", "a@example.com", &Time::new(0, 0)).unwrap();
            let id = self.repository.commit(None, &author, &author, "x", &tree, &[]).unwrap();
            self.repository.reference("refs/heads/main", id, true, "").unwrap();
            let refreshed = self.runtime.block_on(self.mirror.refresh(&["main".to_owned()])).unwrap();
            let commit = refreshed.commit("main").unwrap().clone().unwrap();
            SnapshotFiles::new(self.mirror.snapshot(&commit).unwrap())
        }

        fn write(&self, entries: &[(&str, Stands)]) -> Oid {
            let mut builder = self.repository.treebuilder(None).unwrap();
            let mut below: BTreeMap<&str, Vec<(&str, Stands)>> = BTreeMap::new();
            for (path, node) in entries {
                match path.split_once('/') {
                    Some((directory, rest)) => below.entry(directory).or_default().push((rest, *node)),
                    None => {
                        let (text, mode) = match node {
                            Text(text) => (text, 0o100_644),
                            Link(target) => (target, 0o120_000),
                            Submodule => (&"", 0o160_000),
                        };
                        let id = match node {
                            Submodule => Oid::from_bytes(&[7; 20]).unwrap(),
                            _ => self.repository.odb().unwrap().write(ObjectType::Blob, text.as_bytes()).unwrap(),
                        };
                        builder.insert(path, id, mode).unwrap();
                    }
                }
            }
            for (directory, entries) in below {
                builder.insert(directory, self.write(&entries), 0o040_000).unwrap();
            }
            builder.write().unwrap()
        }
    }

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    fn shop_tree() -> Tree {
        Tree::from([
            ("apps/web/a.yaml", Text("a: 1")),
            ("apps/web/b.yaml", Text("b: 1")),
            ("apps/z.yaml", Text("z: 1")),
            ("clusters/dev/web.yaml", Link("../../apps/web/a.yaml")),
            ("clusters/dev/gone.yaml", Link("../nowhere")),
            ("current", Link("apps/web")),
            ("vendor", Submodule),
        ])
    }

    #[test]
    fn a_commit_is_read_without_leaving_its_tree() {
        let mut tree = shop_tree();
        tree.extend([
            ("hostile/up", Link("../../../../etc/passwd")),
            ("hostile/root", Link("/etc/passwd")),
            ("hostile/loop", Link("loop")),
        ]);
        let files = Shop::new().commit(&tree);
        let cases = [
            // path                     content, or a word of the error
            ("apps/web/a.yaml", Ok("a: 1")),
            ("clusters/dev/web.yaml", Ok("a: 1")),
            ("current/b.yaml", Ok("b: 1")),
            ("clusters/dev/gone.yaml", Err("does not exist")),
            ("vendor/x", Err("does not exist")),
            ("vendor", Err("is a directory")),
            ("hostile/up", Err("leads out of the repository")),
            ("hostile/root", Err("leads out of the repository")),
            ("hostile/loop", Err("leads in a circle")),
        ];
        assert_reads(&files, &cases);
        let names =
            |at: &str| -> Vec<String> { files.list(&path(at)).unwrap().into_iter().map(|(name, _)| name).collect() };
        assert_eq!(names(""), ["apps", "clusters", "current", "hostile", "vendor"]);
        assert_eq!(names("clusters/dev"), ["web.yaml"]);
        assert_eq!(names("current"), ["a.yaml", "b.yaml"]);
        assert_eq!(names("vendor"), [""; 0]);
        assert!(files.list(&path("hostile")).is_err());
        assert_eq!((files.is_link(&path("current")), files.is_link(&path("current/a.yaml"))), (Ok(true), Ok(false)));
    }

    #[test]
    fn a_commit_renders_again_only_what_it_touches() {
        let shop = Shop::new();
        let before = shop.commit(&shop_tree());
        let read = |asked: &dyn Fn(&Recording<'_>)| -> ReadSet {
            let recording = Recording::new(&before);
            asked(&recording);
            recording.into_read_set()
        };
        let web = read(&|files| {
            files.entry(&path("apps/web/kustomization.yaml")).unwrap();
            files.read(&path("apps/web/a.yaml")).unwrap();
        });
        let listing = read(&|files| drop(files.list(&path("apps/web")).unwrap()));
        let linked = read(&|files| drop(files.read(&path("clusters/dev/web.yaml")).unwrap()));
        let dangling = read(&|files| drop(files.list(&path("clusters/dev")).unwrap()));
        let cases: [(&str, Stands, [bool; 4]); 7] = [
            // the commit sets                        web    listing linked dangling: still valid
            ("README.md", Text("x"), [true; 4]),
            ("apps/z.yaml", Text("z: 2"), [true; 4]),
            ("apps/web/b.yaml", Text("b: 2"), [true; 4]),
            ("apps/web/a.yaml", Text("a: 2"), [false, true, false, true]),
            ("apps/web/kustomization.yaml", Text(""), [false, false, true, true]),
            ("apps/web/c.yaml", Text(""), [true, false, true, true]),
            ("clusters/nowhere", Text(""), [true, true, true, false]),
        ];
        for (changed, node, expected) in cases {
            let mut tree = shop_tree();
            tree.insert(changed, node);
            let after = shop.commit(&tree);
            let valid = [&web, &listing, &linked, &dangling].map(|read_set| read_set.is_valid_for(&after));
            assert_eq!(valid, expected, "{changed} is {node:?}");
        }
        assert!(!ReadSet::default().is_valid_for(&before));
    }

    /// Trees over a few paths, so that changes meet what was read; no path is a directory and a file at once.
    fn trees() -> impl Strategy<Value = Tree> {
        let node = prop_oneof![
            4 => prop::sample::select(vec![Text("1"), Text("2")]),
            2 => prop::sample::select(vec![
                Link("x"), Link("../b"), Link("../a/x"), Link("c/y"), Link("."), Link("../../out"), Link("nowhere"),
            ]),
        ];
        let places = ["a/x", "a/y", "a/c/x", "a/c/y", "b/x", "b/c", "l", "m"];
        prop::collection::btree_map(prop::sample::select(places.to_vec()), node, 0..8)
    }

    #[derive(Clone, Copy, Debug)]
    enum Question {
        Entry(&'static str),
        Read(&'static str),
        List(&'static str),
        IsLink(&'static str),
    }

    fn questions() -> impl Strategy<Value = Vec<Question>> {
        let places = ["", "a", "a/x", "a/y", "a/c", "a/c/x", "b", "b/x", "b/c", "b/c/x", "l", "l/x", "m", "m/c"];
        let place = || prop::sample::select(places.to_vec());
        prop::collection::vec(
            prop_oneof![
                place().prop_map(Question::Entry),
                place().prop_map(Question::Read),
                place().prop_map(Question::List),
                place().prop_map(Question::IsLink),
            ],
            1..6,
        )
    }

    fn answers(files: &Recording<'_>, questions: &[Question]) -> Vec<Option<String>> {
        let answer = |question: &Question| match *question {
            Question::Entry(at) => files.entry(&path(at)).ok().map(|entry| format!("{entry:?}")),
            Question::Read(at) => match files.read(&path(at)) {
                Ok(bytes) => Some(format!("{bytes:?}")),
                Err(Error::NotFound { .. } | Error::NotAFile { .. }) => Some("nothing".into()),
                Err(_) => None,
            },
            Question::List(at) => match files.list(&path(at)) {
                Ok(names) => Some(format!("{names:?}")),
                Err(Error::NotFound { .. } | Error::NotADirectory { .. }) => Some("nothing".into()),
                Err(_) => None,
            },
            // Asked of what a listing gave, as renderers do: a link that leads nowhere good was an error before.
            Question::IsLink(at) => {
                files.entry(&path(at)).and_then(|_| files.is_link(&path(at))).ok().map(|link| link.to_string())
            }
        };
        questions.iter().map(answer).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// G10: what was rendered before may be used again only where a fresh render would see the same; and where it
        /// would see the same, it is.
        #[test]
        fn a_read_set_is_valid_exactly_when_the_answers_are_the_same(
            (before, after) in (trees(), trees()),
            questions in questions(),
        ) {
            thread_local!(static SHOP: Shop = Shop::new());
            SHOP.with(|shop| -> Result<(), TestCaseError> {
                let before = shop.commit(&before);
                let recording = Recording::new(&before);
                let old = answers(&recording, &questions);
                let read_set = recording.into_read_set();
                let after = shop.commit(&after);
                let new = answers(&Recording::new(&after), &questions);
                let same = old == new && old.iter().all(Option::is_some);
                let valid = read_set.is_valid_for(&after);
                if valid {
                    prop_assert!(same, "taken as valid: {old:?}, {new:?}");
                }
                // A file read as a directory, or the other way round, tells the same by another entry: rendered anew.
                let exact = questions.iter().all(|question| matches!(question, Question::Entry(_)));
                if same && exact {
                    prop_assert!(valid, "taken as changed: {old:?}");
                }
                prop_assert!(old.iter().any(Option::is_none) || read_set.is_valid_for(&before));
                Ok(())
            })?;
        }
    }
}
