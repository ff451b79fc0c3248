//! What a preview says: its risks, its comment, its status. No forge and no cluster: both sides are written down.
//!
//! Cases are files in `tests/fixtures/preview`. `LEEBOARD_BLESS=1` writes what is expected anew; read the difference
//! before you commit it.

#![expect(clippy::unwrap_used, reason = "a test that can't read its case fails")]

mod annotations;
mod answers;
mod attribution;
mod hostile;
mod immutable;
mod notices;
mod risks;
mod scenarios;
mod scene;

use std::fs;
use std::path::{Path, PathBuf};

/// A file or folder of this test's fixtures.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/preview").join(name)
}

/// A part of the corpora; nothing, with a printed line, where they are not.
fn corpus(part: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("LEEBOARD_CORPUS") else {
        println!("left out: {part}: LEEBOARD_CORPUS names no folder");
        return None;
    };
    Some(PathBuf::from(folder).join(part))
}

/// The text is what the file says; blessed, the file is what the text says.
fn expect(file: &Path, found: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("LEEBOARD_BLESS").is_some() {
        fs::write(file, found).unwrap();
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    if found != expected {
        let difference = similar::TextDiff::from_lines(expected.as_str(), found).unified_diff().to_string();
        wrong.push(format!("== {}\n{difference}", file.display()));
    }
}
