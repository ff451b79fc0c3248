//! The YAML reader and writer on what nobody writes: any bytes, and files of people with some of their bytes changed.
//! Everything is read or refused, soon; what is read means the same when it is written and read again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use leeboard::yaml::{Limits, Node, Resolve, emit, objects, parse_as, parse_within};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

/// No file of so few bytes takes a hundredth of this on an idle machine.
const PATIENCE: Duration = Duration::from_secs(10);

fn file() -> Arc<str> {
    "a.yaml".into()
}

/// YAML files of all kinds: those of the fixtures.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    fn files(directory: &Path, found: &mut Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "json") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kustomize"), &mut found);
    found.iter().map(|path| fs::read(path).unwrap()).collect()
});

/// A file with some bytes taken out and others put in.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let odd = select(vec![
        "\n",
        "\n\n",
        " ",
        "  ",
        "\t",
        "\r",
        "\r\n",
        "\0",
        "- ",
        "-",
        ": ",
        ":",
        "? ",
        "?",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&a ",
        "*a",
        "<<: *a\n",
        "!!str ",
        "!!int ",
        "!!binary ",
        "!",
        "|",
        "|-\n",
        ">",
        ">+2\n",
        "'",
        "\"",
        "\\",
        "#",
        " # a\n",
        "~",
        "null",
        "yes",
        "---\n",
        "--- a\n",
        "...\n",
        "%YAML 1.1\n",
        "\u{feff}",
        "é",
        "\u{85}",
        "\u{2028}",
        "\u{1f600}",
        "0x1F",
        "1e400",
        ".inf",
        "1_0",
        "010",
        "2020-01-01",
        "1:30",
        "\u{7f}",
    ]);
    let change = (any::<Index>(), 0..6_usize, odd.prop_map(str::as_bytes).prop_map(<[u8]>::to_vec));
    let byte = (any::<Index>(), 0..3_usize, any::<u8>().prop_map(|byte| vec![byte]));
    let changes = prop::collection::vec(prop_oneof![9 => change, 1 => byte], 1..8);
    (any::<Index>(), changes).prop_map(|(seed, changes)| {
        let mut bytes = seed.get(&SEEDS).clone();
        for (at, lost, new) in changes {
            let at = at.index(bytes.len() + 1);
            let end = bytes.len().min(at + lost);
            bytes.splice(at..end, new);
        }
        bytes
    })
}

/// How many values a tree holds.
fn count(node: &Node) -> usize {
    let items = node.as_sequence().unwrap_or_default().iter();
    let entries = node.as_mapping().unwrap_or_default().iter().flat_map(|entry| [&entry.key, &entry.value]);
    1 + items.chain(entries).map(count).sum::<usize>()
}

/// kustomize itself does not keep these line breaks, and a key `<<` that is written plain merges.
fn is_kept(value: &Value) -> bool {
    let text_is_kept = |text: &str| !text.contains(['\u{85}', '\u{2028}', '\u{2029}']);
    match value {
        Value::String(text) => text_is_kept(text),
        Value::Array(items) => items.iter().all(is_kept),
        Value::Object(map) => map.iter().all(|(key, value)| key != "<<" && text_is_kept(key) && is_kept(value)),
        _ => true,
    }
}

/// Reads bytes in every way that there is.
fn read(bytes: &[u8]) -> Result<(), TestCaseError> {
    let start = Instant::now();
    let limits = Limits { nodes: 5_000, expanded: 1_000, depth: 60, ..Limits::default() };
    for mode in [Resolve::V2, Resolve::V3] {
        let _ = objects(&file(), bytes, mode);
        if let Ok(documents) = parse_within(limits, &file(), bytes, mode) {
            let values: usize = documents.iter().map(|document| count(&document.root)).sum();
            prop_assert!(values <= limits.nodes + documents.len() * limits.expanded, "{values} values");
        }
        for document in parse_as(&file(), bytes, mode).unwrap_or_default() {
            let _ = document.root.duplicate_keys();
            let Ok(value) = document.root.to_value(mode) else { continue };
            let text = emit::to_string(&value);
            // Nested blocks are indented level by level; nothing else grows.
            prop_assert!(text.len() <= 1_000 + 100 * bytes.len(), "{} bytes out of {}", text.len(), bytes.len());
            if !is_kept(&value) {
                continue;
            }
            let again = parse_as(&file(), text.as_bytes(), mode)
                .map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            let back = again.first().map_or(Ok(Value::Null), |document| document.root.to_value(mode));
            prop_assert_eq!(back.ok(), Some(value), "{}", text);
        }
    }
    prop_assert!(start.elapsed() < PATIENCE, "took {:?}", start.elapsed());
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        read(&bytes)?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,400}") {
        read(text.as_bytes())?;
    }

    #[test]
    fn a_mutated_file_is_read_or_refused(bytes in mutated()) {
        read(&bytes)?;
    }

    #[test]
    fn a_mutated_file_in_utf_16_means_the_same(bytes in mutated()) {
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
        let text = text.trim_start_matches('\u{feff}');
        let wide: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let values = |bytes: &[u8]| {
            let documents = parse_as(&file(), bytes, Resolve::V3).map_err(|error| error.to_string())?;
            Ok::<_, String>(documents.iter().map(|document| document.root.to_value(Resolve::V3).ok()).collect::<Vec<_>>())
        };
        prop_assert_eq!(values(&wide), values(text.as_bytes()));
    }
}
