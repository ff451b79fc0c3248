//! The scenarios of docs/canary.md as transcripts, `tests/cases/canary/*.txt`: each opens with the sentence that it
//! proves, then things that happen and, indented, what the machine answered. `LEEBOARD_BLESS=1` writes the answers anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use leeboard::api::flagger::Provider;
use leeboard::canary::simulate;

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
            Ok(played) if played == written => {}
            Ok(played) if std::env::var_os("LEEBOARD_BLESS").is_some() => std::fs::write(&file, played).unwrap(),
            Ok(played) => wrong.push(format!("{shown} is now:\n{played}")),
            Err(mistakes) => {
                wrong.extend(mistakes.iter().map(|it| format!("{shown}:{}:{}: {}", it.line, it.column, it.what)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
