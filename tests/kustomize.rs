//! The kustomize engine against its corpus: trees with what `kustomize build` 5.8.2 makes of them, byte for byte.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leeboard::kustomize::{LoadRestrictor, Options, OverridePatch, OverrideTarget, Overrides, Reorder, build};
use leeboard::source::{Entry, Error, Files, TreePath};
use leeboard::yaml::emit;

/// A directory of the disk.
struct Disk(PathBuf);

impl Disk {
    fn at(&self, path: &TreePath) -> PathBuf {
        self.0.join(path.as_str())
    }
}

impl Files for Disk {
    fn entry(&self, path: &TreePath) -> Result<Option<Entry>, Error> {
        Ok(match std::fs::metadata(self.at(path)) {
            Ok(found) if found.is_dir() => Some(Entry::Directory),
            Ok(_) => Some(Entry::File),
            Err(_) => None,
        })
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, Error> {
        std::fs::read(self.at(path)).map(Into::into).map_err(|_| Error::NotFound { path: path.clone() })
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(String, Entry)>, Error> {
        let entries = std::fs::read_dir(self.at(path)).map_err(|_| Error::NotFound { path: path.clone() })?;
        let mut names: Vec<(String, Entry)> = entries
            .flatten()
            .map(|entry| {
                let kind = if entry.path().is_dir() { Entry::Directory } else { Entry::File };
                (entry.file_name().to_string_lossy().into_owned(), kind)
            })
            .collect();
        names.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(names)
    }
}

/// A tree in memory.
struct Tree(BTreeMap<TreePath, &'static str>);

impl Tree {
    fn new(files: &[(&'static str, &'static str)]) -> Self {
        Tree(files.iter().map(|(path, text)| (TreePath::new(path).unwrap(), *text)).collect())
    }
}

impl Files for Tree {
    fn entry(&self, path: &TreePath) -> Result<Option<Entry>, Error> {
        let below = |known: &TreePath| known != path && known.is_within(path);
        Ok(match self.0.contains_key(path) {
            true => Some(Entry::File),
            false => self.0.keys().any(below).then_some(Entry::Directory),
        })
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, Error> {
        let text = self.0.get(path).ok_or_else(|| Error::NotFound { path: path.clone() })?;
        Ok(text.as_bytes().into())
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(String, Entry)>, Error> {
        let files = self.0.keys().filter(|known| known.parent().as_ref() == Some(path));
        Ok(files.map(|file| (file.file_name().to_owned(), Entry::File)).collect())
    }
}

const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1\n";

/// What a build of the tree's root says: its text, or its problems one a line, each followed by its notes.
fn outcome(files: &[(&'static str, &'static str)], options: &Options) -> String {
    match build(&Tree::new(files), &TreePath::root(), options) {
        Ok(rendered) => {
            let texts: Vec<String> = rendered.objects.iter().map(|object| emit::to_string(&object.body)).collect();
            texts.join("---\n")
        }
        Err(errors) => {
            let lines = errors.iter().flat_map(|error| {
                std::iter::once(error.to_string()).chain(error.notes.iter().map(|note| format!("  {note}")))
            });
            lines.collect::<Vec<String>>().join("\n")
        }
    }
}

#[test]
fn bad_input_is_refused_with_its_place() {
    type Files<'a> = &'a [(&'static str, &'static str)];
    let cases: &[(Files<'_>, &str)] = &[
        // files, what is said
        (
            &[("kustomization.yaml", "resource: [a.yaml]\nnamePrefx: a-\n")],
            "kustomization.yaml:1:1: unknown field `resource` in a Kustomization (Did you mean `resources`?)\n\
             kustomization.yaml:2:1: unknown field `namePrefx` in a Kustomization (Did you mean `namePrefix`?)",
        ),
        (
            &[("kustomization.yaml", "images:\n- name: web\n  newTag: 1.5\n")],
            "kustomization.yaml:3:11: `newTag` must be a string, found a number (Put the value into quotes.)",
        ),
        (
            &[("kustomization.yaml", "resources:\n- wob.yaml\n- gone.yaml\n"), ("web.yaml", WEB)],
            "kustomization.yaml:2:3: `wob.yaml` does not exist (Did you mean `web.yaml`?)\n\
             kustomization.yaml:3:3: `gone.yaml` does not exist",
        ),
        (
            &[("kustomization.yaml", "resources: [../../etc/passwd]\n")],
            "kustomization.yaml:1:13: `../../etc/passwd` lies outside the repository (seen from `.`)",
        ),
        (
            &[
                ("kustomization.yaml", "resources: [a]\n"),
                ("a/kustomization.yaml", "resources: [../web.yaml]\n"),
                ("web.yaml", WEB),
            ],
            "a/kustomization.yaml:1:13: `../web.yaml` lies outside of the directory of its kustomization \
             (Move the file, or make its directory a base and list that under `resources`.)",
        ),
        (
            &[
                ("kustomization.yaml", "resources: [a]\n"),
                ("a/kustomization.yaml", "resources: [../b]\n"),
                ("b/kustomization.yaml", "resources: [../a]\n"),
            ],
            "b/kustomization.yaml:1:13: `../a` leads back to a directory that is being built\n  it is reached by . → a → b → a",
        ),
        (
            &[("kustomization.yaml", "resources: [web.yaml, again.yaml]\n"), ("web.yaml", WEB), ("again.yaml", WEB)],
            "again.yaml:1:1: two objects are Deployment/web\n  the other one is at web.yaml:1:1",
        ),
        (
            &[
                ("kustomization.yaml", "resources: [web.yaml]\npatches:\n- path: patch.yaml\n"),
                ("web.yaml", WEB),
                ("patch.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: wob}\n"),
            ],
            "patch.yaml:1:1: no object is Deployment/wob, which this patch is for\n  there are Deployment/web",
        ),
        (
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\npatches:\n- target: {kind: Deployment}\n  patch: |\n    - op: replace\n      path: /spec/nope/x\n      value: 1\n",
                ),
                ("web.yaml", WEB),
            ],
            "kustomization.yaml:6:13: operation `replace` on `/spec/nope/x`: there is no `/spec/nope`",
        ),
        (
            &[("kustomization.yaml", "configMapGenerator:\n- name: c\n  literals: [a=1, a=2, b]\n")],
            "kustomization.yaml:3:19: the key `a` is given twice",
        ),
        (
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\nreplacements:\n- source: {kind: Secret, name: s}\n  targets:\n  - select: {kind: Deployment}\n",
                ),
                ("web.yaml", WEB),
            ],
            "kustomization.yaml:3:11: no object is selected by Secret `s`\n  there are Deployment/web",
        ),
        (
            &[("kustomization.yaml", "resources: ['https://github.com/a/b?ref=--upload-pack=x']\n")],
            "kustomization.yaml:1:13: `https://github.com/a/b?ref=--upload-pack=x` is a remote base, which this build does not fetch",
        ),
        (
            &[
                ("kustomization.yaml", "generators: [g.yaml]\n"),
                (
                    "g.yaml",
                    "apiVersion: x/v1\nkind: G\nmetadata:\n  name: g\n  annotations:\n    config.kubernetes.io/function: 'exec: {path: ./run}'\n",
                ),
            ],
            "g.yaml:1:1: functions run a program and are refused",
        ),
        (
            &[("kustomization.yaml", "helmCharts:\n- name: x\n")],
            "kustomization.yaml:2:3: Helm charts can't be rendered yet",
        ),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .map(|(files, expected)| (outcome(files, &Options::default()), expected))
        .filter(|(said, expected)| said != *expected)
        .map(|(said, expected)| format!("expected {expected}\nbut      {said}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn an_application_can_edit_the_root_kustomization() {
    let files = [("kustomization.yaml", "resources: [web.yaml]\nnamePrefix: a-\n"), ("web.yaml", WEB)];
    let options = Options {
        overrides: Overrides {
            name_prefix: Some("b-".into()),
            namespace: Some("shop".into()),
            replicas: vec![("web".into(), "3".into())],
            common_labels: vec![("team".into(), "x".into())],
            label_without_selector: true,
            components: vec!["missing".into()],
            ignore_missing_components: true,
            patches: vec![OverridePatch {
                patch: "[{\"op\": \"add\", \"path\": \"/metadata/annotations/n\", \"value\": \"1\"}]".into(),
                target: Some(OverrideTarget { kind: "Deployment".into(), ..OverrideTarget::default() }),
                ..OverridePatch::default()
            }],
            ..Overrides::default()
        },
        ..Options::default()
    };
    let expected = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  annotations:\n    \"n\": \"1\"\n  labels:\n    team: x\n  \
                    name: b-web\n  namespace: shop\nspec:\n  replicas: 3\n";
    assert_eq!(outcome(&files, &options), expected);
}

/// What a case of the corpus asks for.
struct Case {
    name: String,
    directory: PathBuf,
    root: String,
    options: Options,
    /// Absent when the tree must be refused.
    expected: Option<String>,
}

fn cases(corpus: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(corpus.join("kustomize/cases")).unwrap().flatten() {
        let directory = entry.path();
        let Ok(case) = std::fs::read_to_string(directory.join("case.yaml")) else { continue };
        let field = |name: &str| {
            let line = case.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().trim().trim_matches('"').to_owned()
        };
        let args = field("args");
        let restrictor = args.contains("LoadRestrictionsNone");
        let mut options = Options {
            load_restrictor: if restrictor { LoadRestrictor::None } else { LoadRestrictor::RootOnly },
            ..Options::default()
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        let expected = |file: &str| std::fs::read_to_string(directory.join(file)).ok();
        let case = |name: String, options: &Options, expected| Case {
            name,
            directory: directory.clone(),
            root: field("root"),
            options: options.clone(),
            expected,
        };
        if let Some(text) = expected("expected-default-order.yaml") {
            cases.push(case(format!("{name}#default-order"), &options, Some(text)));
        }
        if args.contains("none") {
            options.reorder = Reorder::None;
        }
        cases.push(case(name, &options, expected("expected.yaml")));
    }
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

/// `None` when the case passes, else what is wrong.
fn judge(case: &Case) -> Option<String> {
    let files = Disk(case.directory.join("in"));
    let root = TreePath::new(&case.root).unwrap();
    let rendered = std::panic::catch_unwind(|| build(&files, &root, &case.options));
    let rendered = match rendered {
        Ok(rendered) => rendered,
        Err(_) => return Some("panicked".into()),
    };
    match (rendered, &case.expected) {
        (Err(_), None) => None,
        (Ok(_), None) => Some("accepted, must be refused".into()),
        (Err(errors), Some(_)) => {
            Some(errors.iter().map(|error| format!("refused: {error}")).collect::<Vec<String>>().join("\n"))
        }
        (Ok(rendered), Some(expected)) => {
            let texts: Vec<String> = rendered.objects.iter().map(|object| emit::to_string(&object.body)).collect();
            let text = texts.join("---\n");
            (text != *expected).then(|| {
                similar::TextDiff::from_lines(expected, &text).unified_diff().header("expected", "actual").to_string()
            })
        }
    }
}

#[test]
fn the_corpus_is_rendered_byte_for_byte() {
    let Some(corpus) = std::env::var_os("LEEBOARD_CORPUS") else {
        println!("skipped: LEEBOARD_CORPUS names no folder");
        return;
    };
    let only = std::env::var("LEEBOARD_CASE").ok();
    let cases = cases(Path::new(&corpus));
    let mut failures = 0;
    for case in cases.iter().filter(|case| only.as_ref().is_none_or(|only| case.name.contains(only))) {
        if let Some(why) = judge(case) {
            failures += 1;
            println!("FAIL {}\n{why}", case.name);
        }
    }
    println!("{} checks, {failures} failed", cases.len());
    assert_eq!(failures, 0, "checks failed");
}
