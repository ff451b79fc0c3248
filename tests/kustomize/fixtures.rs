//! One folder for each field that a kustomization can have, in it small trees and what kustomize makes of them.
//!
//! `fixtures/kustomize/FIELD/CASE` holds the tree `in`; `arguments`, what is given to `kustomize build` there, unless
//! that is a dot; and what must come out. `expected.yaml` and `reference-warnings.txt` are kustomize's, which
//! `regenerate.sh` runs; `expected-error.txt` and `expected-warnings.txt` are our words, which `LEEBOARD_BLESS=1` writes.

use std::fs;
use std::path::{Path, PathBuf};

use leeboard::kustomize::{LoadRestrictor, Options, Reorder, build};
use leeboard::source::TreePath;

use super::trees::{Disk, difference, printed, said};

/// The fields of kustomize's type `Kustomization`, deprecated ones too. A Component has the same.
pub(crate) const FIELDS: [&str; 34] = [
    "apiVersion",
    "kind",
    "metadata",
    "openapi",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "patchesStrategicMerge",
    "patchesJson6902",
    "patches",
    "images",
    "imageTags",
    "replacements",
    "replicas",
    "vars",
    "sortOptions",
    "resources",
    "components",
    "crds",
    "bases",
    "configMapGenerator",
    "secretGenerator",
    "helmGlobals",
    "helmCharts",
    "helmChartInflationGenerator",
    "generatorOptions",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "buildMetadata",
];

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kustomize")
}

/// The directories in a directory, in the order of their names.
fn directories(of: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

/// The directories of all fixtures.
pub(crate) fn fixtures() -> Vec<PathBuf> {
    directories(&folder()).iter().flat_map(|field| directories(field)).collect()
}

/// What a fixture asks for: a directory and how it is to be built.
pub(crate) fn asked(fixture: &Path) -> (TreePath, Options) {
    let mut root = TreePath::root();
    let mut options = Options::default();
    let arguments = fs::read_to_string(fixture.join("arguments")).unwrap_or_default();
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "--load-restrictor" => {
                assert_eq!(words.next(), Some("LoadRestrictionsNone"));
                options.load_restrictor = LoadRestrictor::None;
            }
            "--reorder" => {
                assert_eq!(words.next(), Some("none"));
                options.reorder = Some(Reorder::None);
            }
            directory => root = TreePath::new(directory).unwrap(),
        }
    }
    (root, options)
}

/// What is in one of a fixture's files, which is absent when there is nothing.
fn expected(fixture: &Path, file: &str) -> Option<String> {
    fs::read_to_string(fixture.join(file)).ok()
}

/// The same, after it has been made what was found when that is asked for.
fn blessed(fixture: &Path, file: &str, found: &str) -> Option<String> {
    if std::env::var_os("LEEBOARD_BLESS").is_some() {
        if found.is_empty() {
            let _ = fs::remove_file(fixture.join(file));
        } else {
            fs::write(fixture.join(file), found).unwrap();
        }
    }
    expected(fixture, file)
}

/// What is wrong with what a fixture gives.
fn judge(fixture: &Path) -> Result<(), String> {
    let (root, options) = asked(fixture);
    let files = Disk(fixture.join("in"));
    let compare = |expected: &str, found: &str| {
        if expected == found { Ok(()) } else { Err(difference(expected, found)) }
    };
    let rendered = match build(&files, &root, &options) {
        Ok(rendered) => rendered,
        Err(problems) => {
            let found = said(&problems) + "\n";
            if expected(fixture, "expected.yaml").is_some() {
                return Err(format!("refused:\n{found}"));
            }
            return compare(&blessed(fixture, "expected-error.txt", &found).unwrap_or_default(), &found);
        }
    };
    let text = expected(fixture, "expected.yaml").ok_or("accepted, must be refused")?;
    compare(&text, &printed(&rendered))?;
    let warnings = rendered.warnings.iter().map(|warning| format!("{warning}\n")).collect::<String>();
    compare(&blessed(fixture, "expected-warnings.txt", &warnings).unwrap_or_default(), &warnings)?;
    let theirs = expected(fixture, "reference-warnings.txt").unwrap_or_default();
    match theirs.lines().find(|line| !has_counterpart(line, &warnings)) {
        Some(line) => Err(format!("kustomize warns, and we don't: {line}")),
        None => Ok(()),
    }
}

/// True when our warnings say what this one says.
fn has_counterpart(line: &str, ours: &str) -> bool {
    let deprecated = regex::Regex::new(r"^# Warning: '(\w+)' is deprecated\. Please use '(\w+)' instead\.").unwrap();
    if let Some(found) = deprecated.captures(line) {
        let end = format!("`{}` is deprecated (Use `{}` instead.)", &found[1], &found[2]);
        return ours.lines().any(|warning| warning.ends_with(&end));
    }
    if let Some(names) = line.strip_prefix("well-defined vars that were never replaced: ") {
        let end = |name| format!("the variable `{name}` stands nowhere");
        return names.split(',').all(|name| ours.lines().any(|warning| warning.ends_with(&end(name))));
    }
    if line.starts_with("Warning: Sorting order is set both") {
        return ours.contains("`sortOptions` holds, and not the order that was asked for");
    }
    // That a flag is deprecated is told by whoever has flags: `tests/cli.rs`.
    line.starts_with("Flag --reorder")
}

#[test]
fn every_fixture_gives_what_kustomize_gives() {
    let wrong: Vec<String> = fixtures()
        .iter()
        .filter_map(|fixture| {
            let name = fixture.strip_prefix(folder()).unwrap().display();
            judge(fixture).err().map(|why| format!("== {name}\n{why}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_field_has_a_fixture() {
    let missing: Vec<&str> = FIELDS
        .into_iter()
        .filter(|field| {
            let folder = folder().join(field);
            !folder.is_dir() || directories(&folder).is_empty()
        })
        .collect();
    assert_eq!(missing, [""; 0]);
}
