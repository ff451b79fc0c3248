//! The corpus of live objects with the health that Argo CD gives them, in the folder `LEEBOARD_CORPUS`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/corpus.rs"]
mod corpus;

use leeboard::health;
use serde_json::Value;

struct Case {
    file: String,
    status: Option<String>,
    message: Option<String>,
    object: Value,
}

/// The cases, or a printed line and none when the corpus is not here.
fn cases() -> Vec<Case> {
    let Some(folder) = corpus::corpus("health/cases") else { return Vec::new() };
    let mut cases: Vec<Case> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let case: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let expected = |field: &str| case["expected"][field].as_str().map(str::to_owned);
            Case {
                file: path.file_name().unwrap().to_string_lossy().into_owned(),
                status: expected("status"),
                message: expected("message"),
                object: case["object"].clone(),
            }
        })
        .collect();
    cases.sort_by(|a, b| a.file.cmp(&b.file));
    cases
}

/// What is wrong with our verdict; nothing where Argo CD has none of its own.
fn disagreement(case: &Case) -> Option<String> {
    let wanted = case.status.as_deref()?;
    let verdict = health::verdict(&case.object);
    let (status, message) = verdict.as_ref().map_or(("none", ""), |v| (v.status.as_str(), &v.message));
    if status != wanted {
        return Some(format!("{}: {status} ({message}), expected {wanted}", case.file));
    }
    let wanted = case.message.as_deref().filter(|_| case.file.starts_with("builtin--"))?;
    (message != wanted).then(|| format!("{}: message {message:?}, expected {wanted:?}", case.file))
}

#[test]
fn built_in_kinds_get_the_status_and_the_words_of_argo_cd() {
    let builtin = ["builtin--", "apiextensions.k8s.io-", "batch-", "policy-"];
    let wrong: Vec<String> = cases()
        .iter()
        .filter(|case| builtin.iter().any(|prefix| case.file.starts_with(prefix)))
        .filter_map(disagreement)
        .collect();
    assert!(wrong.is_empty(), "{} disagree:\n{}", wrong.len(), wrong.join("\n"));
}

/// Kinds of other controllers go by the table in `health/kinds.txt`.
#[test]
fn custom_kinds_get_the_status_of_argo_cd() {
    let mut cases: Vec<Case> = cases().into_iter().filter(|case| !case.file.starts_with("builtin--")).collect();
    // What is being deleted is progressing, whatever its kind's rule says; the corpus asks the rule alone.
    for case in cases.iter_mut().filter(|case| case.status.as_deref() != Some("Progressing")) {
        if let Some(metadata) = case.object["metadata"].as_object_mut() {
            metadata.shift_remove("deletionTimestamp");
        }
    }
    let wrong: Vec<String> = cases.iter().filter_map(disagreement).collect();
    assert!(wrong.is_empty(), "{} of {} disagree:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
