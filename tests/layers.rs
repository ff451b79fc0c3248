//! Data flows one way: a room imports only from the rooms that stand above it in `src/lib.rs`.

#![expect(clippy::unwrap_used, reason = "a test that can't read the sources fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The rooms in the order in which `src/lib.rs` declares them.
fn rooms() -> Vec<String> {
    let lib = fs::read_to_string(source_dir().join("lib.rs")).unwrap();
    let declaration = Regex::new(r"(?m)^pub mod (\w+);$").unwrap();
    declaration.captures_iter(&lib).map(|found| found[1].to_owned()).collect()
}

fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The room a file belongs to: `plan/wave.rs` and `plan.rs` are in `plan`.
fn room_of(file: &Path) -> String {
    let relative = file.strip_prefix(source_dir()).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The text without comments, strings and unit tests. A comment may point anywhere, and a test may bring in what it
/// needs to show that its room fits the next one.
fn code(text: &str) -> String {
    let production = match text.find("#[cfg(test)]\nmod ") {
        Some(tests) => &text[..tests],
        None => text,
    };
    let noise = Regex::new(r#"(?s)//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*""#).unwrap();
    noise
        .replace_all(production, |found: &regex::Captures<'_>| "\n".repeat(found[0].matches('\n').count()))
        .into_owned()
}

/// The rooms that a text names by `crate::room`, with their lines; also inside `use crate::{a, b::c}`.
fn imports(code: &str) -> Vec<(usize, String)> {
    let path = Regex::new(r"\bcrate::(?:(\w+)|\{((?:[^{}]|\{[^{}]*\})*)\})").unwrap();
    let nested = Regex::new(r"\{[^{}]*\}").unwrap();
    let mut found = Vec::new();
    for import in path.captures_iter(code) {
        let line = code[..import.get(0).unwrap().start()].matches('\n').count() + 1;
        if let Some(single) = import.get(1) {
            found.push((line, single.as_str().to_owned()));
        } else {
            let group = nested.replace_all(&import[2], "");
            let heads = group.split(',').map(|item| item.trim().split("::").next().unwrap_or_default().to_owned());
            found.extend(heads.filter(|room| !room.is_empty()).map(|room| (line, room)));
        }
    }
    found
}

#[test]
fn no_import_points_back() {
    let order: BTreeMap<String, usize> = rooms().into_iter().enumerate().map(|(at, room)| (room, at)).collect();
    assert!(order.len() > 10, "the list in src/lib.rs was not understood: {order:?}");
    let mut files = Vec::new();
    rust_files(&source_dir(), &mut files);
    files.sort();

    let mut wrong = Vec::new();
    for file in &files {
        let room = room_of(file);
        if room == "lib" {
            continue;
        }
        let text = fs::read_to_string(file).unwrap();
        for (line, target) in imports(&code(&text)) {
            let from = order.get(&room).copied().unwrap_or(usize::MAX);
            if let Some(to) = order.get(&target)
                && *to > from
            {
                let shown = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display();
                wrong.push(format!("{shown}:{line}: `{room}` may not import from `{target}`, which stands below it"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point back:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_is_declared_in_the_map() {
    let rooms = rooms();
    for entry in fs::read_dir(source_dir()).unwrap() {
        let path = entry.unwrap().path();
        let room = room_of(&path);
        let known = room == "lib" || room == "main" || rooms.contains(&room);
        assert!(known, "{} belongs to no room of src/lib.rs", path.display());
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let cases = [
        // text                                          rooms named
        ("use crate::plan::Plan;", vec!["plan"]),
        ("use crate::{object::{Object, ObjectKey}, plan};", vec!["object", "plan"]),
        ("fn f() -> crate::sync::Error {}", vec!["sync"]),
        ("/// See [`crate::plan`].\nuse crate::yaml;", vec!["yaml"]),
        ("let text = \"crate::plan\";", vec![]),
        ("use crate::yaml;\n#[cfg(test)]\nmod tests { use crate::plan; }", vec!["yaml"]),
    ];
    for (text, expected) in cases {
        let found: Vec<String> = imports(&code(text)).into_iter().map(|(_, room)| room).collect();
        assert_eq!(found, expected, "{text}");
    }
}
