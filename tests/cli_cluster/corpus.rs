//! `diff` of two files, case by case.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::harness::corpus::corpus;

#[test]
fn two_files_are_compared_as_the_corpus_says() {
    let Some(corpus) = corpus("diff/cases") else { return };
    /// Whose an object is that git does not have: the case's Application has another name than the object's, or none.
    const UNDECIDABLE: [&str; 2] = ["extra-live-ignore-extraneous", "extra-live-tracking-of-another-application"];
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    let mut cases: Vec<PathBuf> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    for path in cases {
        let case: Value = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let name = case["name"].as_str().unwrap();
        if case.get("needs").is_some() || UNDECIDABLE.contains(&name) {
            continue;
        }
        let file = |side: &str, value: &Value| {
            let path = folder.path().join(side);
            fs::write(&path, if value.is_null() { String::new() } else { value.to_string() }).unwrap();
            path
        };
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_leeboard"));
        command.arg("diff").arg("--live").arg(file("live", &case["live"]));
        command.arg("--desired").arg(file("desired", &case["desired"]));
        if case.get("options").is_some_and(|options| !options.is_null()) {
            let mut spec = json!({"project": "default", "source": {"repoURL": "https://git.example.com/a.git", "path": "."},
                "destination": {"name": "in-cluster", "namespace": "demo"}});
            for (field, value) in case["options"].as_object().unwrap() {
                spec[field] = value.clone();
            }
            let application = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                "metadata": {"name": "app", "namespace": "leeboard"}, "spec": spec});
            command.arg("--app").arg(file("app", &application));
        }
        let expected = match case["expected"].as_str().unwrap() {
            "in-sync" => 0,
            "out-of-sync" => 1,
            _ => 2,
        };
        let found = command.output().unwrap().status.code();
        if found != Some(expected) {
            wrong.push(format!("{name}: exit {found:?} instead of {expected}: {}", case["why"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
