//! The scenarios of docs/canary.md as transcripts, `tests/cases/canary/*.txt`: each opens with the sentence that it
//! proves, then things that happen and, indented, what the machine answered. `LEEBOARD_BLESS=1` writes the answers anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/corpus.rs"]
mod corpus;
#[path = "harness/recordings.rs"]
mod recordings;

use std::path::{Path, PathBuf};

use leeboard::api::flagger::Provider;
use leeboard::canary::simulate;
use leeboard::canary::simulate::script::VERBS;
use serde_json::Value;

fn transcripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/canary");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_machine_answers_as_written() {
    let mut wrong = Vec::new();
    let files = transcripts();
    assert!(files.len() > 50, "{} transcripts", files.len());
    for file in files {
        let written = std::fs::read_to_string(&file).unwrap();
        let shown = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(written.starts_with("# "), "{shown} does not open with the sentence that it proves");
        match simulate::play(&simulate::example(), Provider::Istio, &written) {
            Ok(played) if played.transcript == written => {}
            Ok(played) if std::env::var_os("LEEBOARD_BLESS").is_some() => {
                std::fs::write(&file, played.transcript).unwrap();
            }
            Ok(played) => wrong.push(format!("{shown} is now:\n{}", played.transcript)),
            Err(mistakes) => {
                wrong.extend(mistakes.iter().map(|it| format!("{shown}:{}:{}: {}", it.line, it.column, it.what)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_documentation_lists_every_command_and_its_example_can_be_played() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/canary.md")).unwrap();
    for (_, usage, meaning) in VERBS {
        let row = format!("| `{}` | {meaning} |", usage.replace('|', "\\|"));
        assert!(text.contains(&row), "docs/canary.md does not have the line\n{row}");
    }
    let example = text.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let played = simulate::play(&simulate::example(), Provider::Istio, example).unwrap();
    assert!(played.transcript.contains("Failed"), "{}", played.transcript);
}

/// What a running Flagger was seen to do, in the folder `LEEBOARD_CORPUS`; the machine goes through the same statuses and
/// tells the same Events, but for what docs/canary.md lists.
#[test]
fn it_goes_the_way_that_flagger_was_seen_to_go() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    let folders = recordings::recordings();
    for folder in &folders {
        let case = folder.file_name().unwrap().to_string_lossy().into_owned();
        compared += 1;
        let mut recorded = recorded(folder);
        // Written before anything was looked at.
        recorded.0.retain(|(phase, ..)| !phase.is_empty());
        let mut played = played(folder, &case);
        if case == "istio-skip" {
            // Here the primary is waited for, which takes these.
            played.0.retain(|(phase, ..)| phase != "Promoting" && phase != "Finalising");
        }
        if played.0 != recorded.0 {
            wrong.push(format!("{case}: statuses\n  {:?}\nFlagger's\n  {:?}", played.0, recorded.0));
        }
        // Of more than ten alike, Kubernetes keeps a line that stands for all: those are compared as far as they go.
        if !recorded.1.iter().all(|event| played.1.contains(event)) {
            wrong.push(format!("{case}: Events\n  {:#?}\nFlagger's\n  {:#?}", played.1, recorded.1));
        }
    }
    assert!(compared > 20 || folders.is_empty(), "{compared} recordings");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Phase, weight, iterations, failed checks; and sentences.
type Way = (Vec<(String, i64, i64, i64)>, Vec<String>);

fn recorded(folder: &Path) -> Way {
    let text = std::fs::read_to_string(folder.join("timeline.yaml")).unwrap();
    let timeline: Vec<Value> = serde_yaml::from_str(&text).unwrap();
    let mut statuses = Vec::new();
    for status in
        timeline.iter().map(|step| &step["object"]).filter(|it| it["kind"] == "Canary").map(|it| &it["status"])
    {
        let number = |field: &str| status[field].as_i64().unwrap_or_default();
        let phase = status["phase"].as_str().unwrap_or_default().to_owned();
        statuses.push((phase, number("canaryWeight"), number("iterations"), number("failedChecks")));
    }
    let events = std::fs::read_to_string(folder.join("events.tsv")).unwrap();
    let events = events.lines().map(|line| line.split('\t').nth(3).unwrap().to_owned());
    (trimmed(statuses), events.filter(|event| !is_flaggers_own(event)).collect())
}

fn played(folder: &Path, case: &str) -> Way {
    let file = std::fs::read(folder.join("input.yaml")).unwrap();
    let objects = leeboard::yaml::objects(&"input.yaml".into(), &file, leeboard::yaml::Resolve::V2).unwrap();
    let object = objects.iter().find(|object| object.key.kind == "Canary").unwrap();
    let mut canary: leeboard::api::flagger::Canary = leeboard::api::decode(&object.body).unwrap();
    canary.metadata.namespace = Some(case.to_owned());
    let rate = if case.ends_with("-fail") { "metric request-success-rate 50\n" } else { "" };
    let back = if case == "istio-fail" { "hook rollback 200\n" } else { "" };
    let script = format!("{rate}{back}start\ncommit B\ntick 30\n");
    let played = simulate::play(&canary, Provider::Istio, &script).unwrap();
    let statuses = played.statuses.iter().map(|it| {
        let phase = it.phase.map_or("", leeboard::api::flagger::Phase::as_str).to_owned();
        (phase, it.canary_weight.into(), it.iterations.into(), it.failed_checks.into())
    });
    (trimmed(statuses.collect()), played.events)
}

/// Without repetitions.
fn trimmed(mut statuses: Vec<(String, i64, i64, i64)>) -> Vec<(String, i64, i64, i64)> {
    statuses.dedup();
    statuses
}

/// What Leeboard does not tell, or tells in the words of what it saw.
fn is_flaggers_own(event: &str) -> bool {
    event.starts_with("(combined") || event.contains("metrics providers are available") || event.contains("not ready")
}
