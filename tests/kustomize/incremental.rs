//! G10: a cached answer equals a fresh one, and a commit renders what it touches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use leeboard::git::{LocalRepositories, Mirrors, RepoUrl};
use leeboard::kustomize::{Bases, Options, build, build_recorded};
use leeboard::source::snapshot::SnapshotFiles;
use leeboard::source::{Entry, Error, Files, Id, Identified, Located, ReadSet, Recording, TreePath};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use xxhash_rust::xxh3::Xxh3Default;

use super::trees::{Tree, printed, said};

#[path = "../harness/monorepo.rs"]
#[allow(unreachable_pub, dead_code, reason = "a bench uses it, too")]
mod monorepo;
#[path = "../harness/repo.rs"]
#[allow(unreachable_pub, dead_code, clippy::expect_used, reason = "other test binaries use it, too")]
mod repo;

use repo::Repo;

/// What a build says, and what it has read.
fn built(tree: &dyn Identified, root: &TreePath, bases: &Bases) -> (String, ReadSet) {
    let recording = Recording::new(tree);
    let text = match build_recorded(&recording, root, &Options::default(), bases) {
        Ok(rendered) => printed(&rendered),
        Err(problems) => said(&problems),
    };
    (text, recording.into_read_set())
}

/// The files of a repository's newest commit, read as the daemon reads them.
fn snapshot(repo: &Repo, data: &Path) -> SnapshotFiles {
    let mirror =
        Mirrors::new(data.to_owned(), LocalRepositories::Allowed).mirror(&RepoUrl::parse(&repo.url()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refreshed = runtime.block_on(mirror.refresh(&["main".to_owned()])).unwrap();
    let commit = refreshed.commit("main").unwrap().clone().unwrap();
    SnapshotFiles::new(mirror.snapshot(&commit).unwrap())
}

#[test]
fn a_commit_renders_what_it_touches_in_a_monorepo_of_a_thousand_applications() {
    const APPS: usize = 1_000;
    let repo = Repo::new();
    let data = tempfile::tempdir().unwrap();
    let files = monorepo::files(APPS);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    repo.commit("main", &files);

    let bases = Bases::default();
    let first = snapshot(&repo, data.path());
    let root = |app: usize| TreePath::new(&monorepo::overlay(app)).unwrap();
    let renders: Vec<(String, ReadSet)> = (0..APPS).map(|app| built(&first, &root(app), &bases)).collect();
    assert_eq!(renders[7].0.matches("\nkind: ").count(), 10, "{}", renders[7].0);
    assert_eq!(bases.len(), APPS / monorepo::SHARING, "the shared bases are kept, those with one overlay are not");

    // Each line: a file that is changed, and the applications that render again.
    let web = format!("{}/web.yaml", monorepo::base(123));
    let account = format!("{}/account.yaml", monorepo::shared(300));
    let new = format!("{}/kustomization.yml", monorepo::overlay(42));
    let beside = format!("{}/notes.txt", monorepo::base(5));
    let cases: [(&str, BTreeSet<usize>); 5] = [
        (&web, BTreeSet::from([123])),
        (&account, (300..400).collect()),
        // It was looked for and was not there.
        (&new, BTreeSet::from([42])),
        // Nobody has read or listed what is beside a base's files.
        (&beside, BTreeSet::new()),
        ("README.md", BTreeSet::new()),
    ];
    for (path, expected) in cases {
        let before = first.read(&TreePath::new(path).unwrap()).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let changed = before.clone().unwrap_or_default().replace("name: ", "name: x-") + "# changed\n";
        repo.commit("main", &[(path, &changed)]);
        let now = snapshot(&repo, data.path());
        let touched: BTreeSet<usize> = (0..APPS).filter(|app| !renders[*app].1.is_valid_for(&now)).collect();
        assert_eq!(touched, expected, "{path}");
        for app in touched.iter().take(3) {
            let (cached, fresh) = (built(&now, &root(*app), &bases).0, built(&now, &root(*app), &Bases::default()).0);
            assert_eq!(cached, fresh, "{path}, application {app}");
            assert_ne!(cached, renders[*app].0, "{path}, application {app}");
        }
        match before {
            Ok(before) => drop(repo.commit("main", &[(path, &before)])),
            Err(_) => drop(repo.remove("main", &[path])),
        }
    }
}

/// A tree that knows the identities of its parts, as a commit does.
struct Commit(Tree);

impl Commit {
    fn id(&self, path: &TreePath, entry: Option<Entry>) -> Option<Id> {
        let mut hash = Xxh3Default::new();
        match entry? {
            Entry::File => hash.update(&self.0.0[path]),
            Entry::Directory => {
                for (inside, bytes) in self.0.0.iter().filter(|(inside, _)| inside.is_within(path)) {
                    hash.update(inside.as_str().as_bytes());
                    hash.update(&(bytes.len() as u64).to_le_bytes());
                    hash.update(bytes);
                }
            }
        }
        let mut id = Id::default();
        id[..16].copy_from_slice(&hash.digest128().to_le_bytes());
        Some(id)
    }
}

impl Files for Commit {
    fn entry(&self, path: &TreePath) -> Result<Option<Entry>, Error> {
        self.0.entry(path)
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, Error> {
        self.0.read(path)
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(String, Entry)>, Error> {
        self.0.list(path)
    }
}

impl Identified for Commit {
    fn locate(&self, path: &TreePath) -> Result<Located, Error> {
        let entry = self.0.entry(path)?;
        Ok(Located { entry, id: self.id(path, entry), through_link: false })
    }

    fn is_link(&self, _: &TreePath) -> Result<bool, Error> {
        Ok(false)
    }

    fn holds_links(&self, _: &TreePath) -> bool {
        false
    }
}

/// Three overlays that share bases, a component and files, which themselves have a base.
const SEED: [(&str, &str); 16] = [
    ("one/kustomization.yaml", "resources: [../base, ../other]\nnamePrefix: one-\n"),
    ("two/kustomization.yaml", "resources: [../base]\nnamePrefix: two-\ncomponents: [../part]\n"),
    (
        "three/kustomization.yaml",
        "resources: [../middle, extra.yaml]\nnameSuffix: -three\npatches: [{path: patch.yaml}]\n",
    ),
    ("three/extra.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n"),
    ("three/patch.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {patched: x}\n"),
    ("middle/kustomization.yaml", "resources: [../base]\nlabels: [{pairs: {m: \"1\"}}]\n"),
    ("base/kustomization.yaml", "resources: [a.yaml, ../deep]\nconfigMapGenerator: [{name: g, files: [g.txt]}]\n"),
    ("base/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {text: a}\n"),
    ("base/g.txt", "generated\n"),
    ("deep/kustomization.yaml", "resources: [d.yaml]\ncommonLabels: {deep: \"1\"}\n"),
    (
        "deep/d.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: []}}}\n",
    ),
    ("other/kustomization.yaml", "resources: [o.yaml]\n"),
    ("other/o.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: o}\n"),
    ("part/kustomization.yaml", "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nresources: [p.yaml]\n"),
    ("part/p.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: p}\n"),
    ("unused/notes.txt", "nobody reads this\n"),
];

/// What happens to a file of the tree.
#[derive(Clone, Debug)]
enum Change {
    /// It has one more line.
    Longer(Index),
    /// It is gone.
    Gone(Index),
    /// It says what another file says.
    Like(Index, Index),
    /// A file of this name is there.
    New(&'static str),
    /// It is what it was at first.
    Back(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let names =
        ["base/kustomization.yml", "base/new.yaml", "one/Kustomization", "deep/x", "unused/more.txt", "base/a.yaml/x"];
    prop_oneof![
        3 => any::<Index>().prop_map(Change::Longer),
        1 => any::<Index>().prop_map(Change::Gone),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(at, other)| Change::Like(at, other)),
        1 => select(names.to_vec()).prop_map(Change::New),
        2 => any::<Index>().prop_map(Change::Back),
    ]
}

fn apply(files: &mut BTreeMap<TreePath, Arc<[u8]>>, change: &Change) {
    let (seed_path, seed_text) = match change {
        Change::Back(at) => SEED[at.index(SEED.len())],
        _ => ("", ""),
    };
    let at = |index: &Index| files.keys().nth(index.index(files.len())).cloned().unwrap();
    match change {
        Change::Longer(index) => {
            let path = at(index);
            let text = [&files[&path], b"# more\n".as_slice()].concat();
            files.insert(path, text.into());
        }
        Change::Gone(index) => drop(files.remove(&at(index))),
        Change::Like(index, other) => {
            let (path, text) = (at(index), files[&at(other)].clone());
            files.insert(path, text);
        }
        Change::New(name) => drop(files.insert(TreePath::new(name).unwrap(), b"a: 1\n".as_slice().into())),
        Change::Back(_) => drop(files.insert(TreePath::new(seed_path).unwrap(), seed_text.as_bytes().into())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Commit after commit, with what renders before it have left behind.
    #[test]
    fn a_cached_answer_equals_a_fresh_one(changes in proptest::collection::vec(change(), 1..12)) {
        let bases = Bases::default();
        let mut files = Tree::new(&SEED).0;
        let roots = ["one", "two", "three"].map(|root| TreePath::new(root).unwrap());
        let mut last: Vec<Option<(String, ReadSet)>> = vec![None; roots.len()];
        for step in 0..=changes.len() {
            if let Some(change) = step.checked_sub(1).and_then(|at| changes.get(at)) {
                apply(&mut files, change);
            }
            let commit = Commit(Tree(files.clone()));
            for (root, last) in roots.iter().zip(&mut last) {
                let fresh = match build(&commit.0, root, &Options::default()) {
                    Ok(rendered) => printed(&rendered),
                    Err(problems) => said(&problems),
                };
                if let Some((before, read_set)) = last
                    && read_set.is_valid_for(&commit)
                {
                    prop_assert_eq!(&*before, &fresh, "the read set of {} misses something", root);
                }
                let now = built(&commit, root, &bases);
                prop_assert_eq!(&now.0, &fresh, "a base that {} uses is not what it was", root);
                *last = Some(now);
            }
        }
        prop_assert!(files.is_empty() || last.iter().all(Option::is_some));
    }
}
