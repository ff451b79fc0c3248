//! The corpus: trees that are not ours, with what kustomize makes of them. `LEEBOARD_CORPUS` names its folder.

use std::path::{Path, PathBuf};

use leeboard::kustomize::{LoadRestrictor, Options, Reorder, build};
use leeboard::source::TreePath;

use super::trees::{Disk, difference, printed};

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
    for entry in std::fs::read_dir(corpus).unwrap().flatten() {
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
            options.reorder = Some(Reorder::None);
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
            let text = printed(&rendered);
            (text != *expected).then(|| difference(expected, &text))
        }
    }
}

#[test]
fn the_corpus_is_rendered_byte_for_byte() {
    let Some(corpus) = super::source::corpus("kustomize/cases") else { return };
    let only = std::env::var("LEEBOARD_CASE").ok();
    let cases = cases(&corpus);
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
