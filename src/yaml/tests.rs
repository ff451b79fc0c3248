//! The reader as a whole: the corpus of readings, limits, and what holds for every input.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn file() -> Arc<str> {
    "a.yaml".into()
}

fn root(text: &str) -> Node {
    let mut documents = parse(&file(), text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0).root
}

fn value(text: &str, mode: Resolve) -> Value {
    let documents = parse_as(&file(), text.as_bytes(), mode).unwrap_or_else(|error| panic!("{error}\n{text}"));
    documents[0].root.to_value(mode).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn refusal(bytes: &[u8]) -> String {
    match parse(&file(), bytes) {
        Ok(documents) => {
            let errors = documents.iter().filter_map(|document| document.root.to_value(Resolve::V3).err());
            errors.map(|error| error.to_string()).next().unwrap_or_else(|| "accepted".to_owned())
        }
        Err(error) => error.to_string(),
    }
}

/// As Go's `%v` prints what go-yaml v3 decodes.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", go_text(value))).collect();
            entries.sort();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}

/// Type and value as the corpus has them, for a document with one key.
fn go_reading(text: &str) -> String {
    let documents = match parse(&file(), text.as_bytes()) {
        Ok(documents) => documents,
        Err(error) => return format!("ERR {error}"),
    };
    let Some([entry]) = documents.first().and_then(|document| document.root.as_mapping()) else {
        return documents.first().map_or("<nil> <nil>".to_owned(), |document| {
            match document.root.to_value(Resolve::V3) {
                Ok(value) => format!("map[string]interface {{}} {}", go_text(&value)),
                Err(error) => format!("DECODE-ERR {error}"),
            }
        });
    };
    match (entry.key.resolve(Resolve::V3), entry.value.resolve(Resolve::V3)) {
        (Err(error), _) | (_, Err(error)) => format!("DECODE-ERR {error}"),
        (Ok(None), _) => "DECODE-ERR key".to_owned(),
        (Ok(Some(key)), _) if key != Plain::Text => {
            let key = if key == Plain::Null { "<nil>" } else { entry.name().unwrap_or_default() };
            format!(
                "map[interface {{}}]interface {{}} map[{key}:{}]",
                go_text(&entry.value.to_value(Resolve::V3).unwrap())
            )
        }
        (_, Ok(Some(meaning))) => match meaning {
            Plain::Null => "<nil> <nil>".to_owned(),
            Plain::Bool(value) => format!("bool {value}"),
            Plain::Int(number) => format!("int {number}"),
            Plain::Uint(number) => format!("uint64 {number}"),
            Plain::Float(number) if number.is_nan() => "float64 NaN".to_owned(),
            Plain::Float(number) if number.is_infinite() => {
                format!("float64 {}Inf", if number > 0.0 { '+' } else { '-' })
            }
            Plain::Float(number) => {
                let mut text = String::new();
                // Go's `%v` of a float writes exponents from 21 on.
                match number.abs() {
                    1.0e6..1.0e21 => write!(text, "{number}").unwrap(),
                    _ => number::push_float(&mut text, number),
                }
                format!("float64 {text}")
            }
            Plain::Time(time) => format!("time.Time {time}"),
            Plain::Text => format!("string {}", entry.value.as_str().unwrap()),
            Plain::Decoded(text) => format!("string {text}"),
        },
        (_, Ok(None)) => match entry.value.to_value(Resolve::V3) {
            Ok(value @ Value::Array(_)) => format!("[]interface {{}} {}", go_text(&value)),
            Ok(value) => format!("map[string]interface {{}} {}", go_text(&value)),
            Err(error) => format!("DECODE-ERR {error}"),
        },
    }
}

fn v2_reading(text: &str) -> Result<Value, String> {
    let documents = parse_as(&file(), text.as_bytes(), Resolve::V2).map_err(|error| error.to_string())?;
    let Some(document) = documents.first() else { return Ok(Value::Null) };
    document.root.to_value(Resolve::V2).map_err(|error| error.to_string())
}

#[test]
fn the_corpus_is_read_as_go_yaml_reads_it() {
    let Some(corpus) = std::env::var_os("LEEBOARD_CORPUS") else {
        println!("skipped: LEEBOARD_CORPUS is not set");
        return;
    };
    let cases = std::fs::read_to_string(std::path::Path::new(&corpus).join("yaml/readings.jsonl")).unwrap();
    let mut wrong = String::new();
    for case in cases.lines() {
        let case: Value = serde_json::from_str(case).unwrap();
        let text = |field: &str| case[field].as_str().unwrap().to_owned();
        if case["yaml"].as_str().unwrap().starts_with("%YAML 1.1") {
            // kustomize and kubectl split the directive from its document and fail.
            continue;
        }
        let (yaml, v3, v2) = (text("yaml"), text("v3"), text("v2_json"));
        let found = go_reading(&yaml);
        let fits = match v3.split_once(' ') {
            // What go-yaml notices when it decodes, the tree may notice earlier.
            Some(("ERR", _)) => found.starts_with("ERR "),
            Some(("DECODE-ERR", _)) => found.contains("ERR "),
            // Go prints times in another layout; the table of `resolve` has them.
            Some(("time.Time", _)) => found.starts_with("time.Time "),
            // What is not written inside of braces is an empty text once kustomize has written the tree back.
            _ if yaml.starts_with("a: {") => found == v3.replace("<nil>", ""),
            _ => found == v3,
        };
        if !fits {
            writeln!(wrong, "{yaml:?}: v3 is {v3:?}, read as {found:?}").unwrap();
        }
        let found = v2_reading(&yaml);
        let fits = match (v2.strip_prefix("ERR "), &found) {
            (Some(_), found) => found.is_err(),
            (None, Ok(found)) => serde_json::from_str::<Value>(&v2).unwrap() == *found,
            (None, Err(_)) => false,
        };
        if !fits {
            writeln!(wrong, "{yaml:?}: v2 is {v2}, read as {found:?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_corpus_is_written_as_kustomize_writes_it() {
    let Some(corpus) = std::env::var_os("LEEBOARD_CORPUS") else {
        println!("skipped: LEEBOARD_CORPUS is not set");
        return;
    };
    let mut wrong = String::new();
    for case in std::fs::read_dir(std::path::Path::new(&corpus).join("kustomize/cases")).unwrap() {
        for name in ["expected.yaml", "expected-default-order.yaml"] {
            let path = case.as_ref().unwrap().path().join(name);
            let Ok(expected) = std::fs::read_to_string(&path) else { continue };
            if expected.contains('\u{2028}') {
                // Written by kustomize in a form that no reader, its own included, reads back.
                continue;
            }
            let documents = parse_as(&file(), expected.as_bytes(), Resolve::V2).unwrap();
            let texts = documents.iter().map(|document| emit::to_string(&document.root.to_value(Resolve::V2).unwrap()));
            let written = texts.collect::<Vec<_>>().join("---\n");
            let differs = written.lines().zip(expected.lines()).find(|(written, expected)| written != expected);
            if written != expected {
                writeln!(wrong, "{}: {differs:?}", path.display()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Everything that a tree is, in one line.
fn dump(node: &Node, out: &mut String) {
    let Span { start, end } = node.span();
    let comments = [node.head_comment(), node.line_comment(), node.foot_comment()];
    write!(out, "{start}-{end}{:?}{comments:?}", node.tag()).unwrap();
    match &node.content {
        Content::Scalar(scalar) => write!(out, "{:?}{:?}", scalar.style, scalar.text).unwrap(),
        Content::Sequence(sequence) => {
            write!(out, "{:?}[", sequence.style).unwrap();
            sequence.items.iter().for_each(|item| dump(item, out));
            out.push(']');
        }
        Content::Mapping(mapping) => {
            write!(out, "{:?}{{", mapping.style).unwrap();
            mapping
                .entries
                .iter()
                .for_each(|entry| [&entry.key, &entry.value].into_iter().for_each(|node| dump(node, out)));
            out.push('}');
        }
    }
}

/// Says where the two ways differ; false in the second place when the short one gave up.
fn compare_ways(text: &str) -> (Option<String>, bool) {
    let Some(short) = parse::ways::short(text) else { return (None, false) };
    let Some(long) = parse::ways::long(text) else { return (Some(format!("refused by the parser: {text}")), true) };
    let (mut one, mut other) = (String::new(), String::new());
    dump(&short, &mut one);
    dump(&long, &mut other);
    ((one != other).then(|| format!("{text}\n short {one}\n long  {other}")), true)
}

#[test]
fn the_short_way_gives_the_same_tree() {
    let text = "# head\na:\n- b: x # right\n  c: 'y'\n- - d\n# e\n-   e: |\n      f\n\n      g\n\nh:\n    - {}\ni: \"j\"\nk: [l, \"m\", {n: 'o p', q: [[], 1.5]}] # r\n# foot\n";
    assert_eq!(compare_ways(text), (None, true));
    let Some(corpus) = std::env::var_os("LEEBOARD_CORPUS") else {
        println!("skipped the rest: LEEBOARD_CORPUS is not set");
        return;
    };
    let mut folders = vec![std::path::Path::new(&corpus).join("kustomize/cases")];
    let mut short = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                for part in text.split("\n---") {
                    let (differs, is_short) = compare_ways(part);
                    assert_eq!(differs, None, "{}", path.display());
                    short += usize::from(is_short);
                }
            }
        }
    }
    println!("{short} documents took the short way");
    assert!(short > 1000);
}

#[test]
fn nodes_are_small() {
    assert_eq!(std::mem::size_of::<Node>(), 64);
}

#[test]
fn nodes_know_their_place_and_style() {
    let text = "# head\na: 'x' # right\nb:\n# of c\n- c: [1, \"é\"]\n  d: |\n    text\n\n# last\n";
    let root = root(text);
    let at = |path: &[Step<'_>]| root.origin_of(path).unwrap().to_string();
    assert_eq!(at(&["a".into()]), "a.yaml:2:1");
    assert_eq!(at(&["b".into(), 0.into(), "c".into(), 1.into()]), "a.yaml:5:10");
    assert_eq!(at(&["b".into(), 0.into(), "nope".into(), "deeper".into()]), "a.yaml:5:3");
    assert_eq!(at(&["b".into(), 7.into()]), "a.yaml:3:1");
    let node = |path: &[Step<'_>]| root.at(path).unwrap();
    assert_eq!(node(&["a".into()]).as_scalar().unwrap().style, ScalarStyle::SingleQuoted);
    assert_eq!(node(&["b".into(), 0.into(), "d".into()]).as_scalar().unwrap().style, ScalarStyle::Literal);
    let list = node(&["b".into(), 0.into(), "c".into()]);
    assert_eq!(list.text().unwrap().slice(list.span()), "[1, \"é\"]");
    assert_eq!(list.line_text(), Some("- c: [1, \"é\"]"));
    assert_eq!(root.entry("a").unwrap().key.head_comment(), Some("# head"));
    assert_eq!(node(&["a".into()]).line_comment(), Some("# right"));
    assert_eq!(node(&["b".into(), 0.into()]).head_comment(), Some("# of c"));
    assert_eq!(root.foot_comment(), Some("# last"));
}

#[test]
fn files_are_split_at_lines_of_three_dashes() {
    let cases: [(&str, &[&str]); 9] = [
        // text, the first key of each document
        ("a: 1\n---\nb: 2\n", &["a", "b"]),
        ("\u{feff}a: 1\r\n---\r\nb: |\r\n  x\r\n", &["a", "b"]),
        ("---\na: 1\n--- # comment\nb: 2", &["a", "b"]),
        ("# only\n---\n---\n\n---\nnull\n---\na: 1\n---", &["a"]),
        ("\n---\n---\na: 1\n", &["a"]),
        ("a: 1\n...\n---\nb: 2\n", &["a", "b"]),
        ("a: 1\n...\nb: 2\n", &["a"]),
        ("", &[]),
        ("--- {a: 1}\n", &["a"]),
    ];
    for (text, expected) in cases {
        let documents = parse(&file(), text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        let first = |document: &Document| document.root.as_mapping().unwrap()[0].name().unwrap().to_owned();
        assert_eq!(documents.iter().map(first).collect::<Vec<_>>(), expected, "{text:?}");
    }
    assert_eq!(value("a: |\r\n  x\r\n  y\r\nb: 'p\r\n\r\n  q'\r\n", Resolve::V3), json!({"a": "x\ny\n", "b": "p\nq"}));
    let utf16: Vec<u8> = "\u{feff}a: é\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(parse(&file(), &utf16).unwrap()[0].root.to_value(Resolve::V3).unwrap(), json!({"a": "é"}));
}

#[test]
fn a_block_scalar_ends_where_its_file_ends() {
    let cases = [
        ("a: |\n  x", "x"),
        ("a: |\n  x\n", "x\n"),
        ("a: |\n  x\n  ", "x\n"),
        ("a: |+\n  x\n\n  y", "x\n\ny"),
        ("a: >\n  x\n  y", "x y"),
        ("a: |-\n  x", "x"),
        ("a: |\n  x\n# c", "x\n"),
        ("a: |\n  x\n---\nb: |\n  y", "x\n"),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text, Resolve::V3), json!({"a": expected}), "{text:?}");
    }
}

#[test]
fn merge_keys_are_expanded_as_each_reader_does() {
    let cases = [
        // text, v3, v2
        ("{<<: {a: 1, b: 1}, a: 2}", json!({"a": 2, "b": 1}), json!({"a": 2, "b": 1})),
        ("{a: 2, <<: {a: 1}}", json!({"a": 2}), json!({"a": 1})),
        ("{<<: [{a: 1}, {a: 2, b: 3}]}", json!({"a": 1, "b": 3}), json!({"a": 1, "b": 3})),
        ("{\"<<\": {a: 1}}", json!({"<<": {"a": 1}}), json!({"<<": {"a": 1}})),
    ];
    for (text, v3, v2) in cases {
        assert_eq!(value(text, Resolve::V3), v3, "{text} in v3");
        assert_eq!(value(text, Resolve::V2), v2, "{text} in v2");
    }
    let text = "x: &x\n  deep: {a: 1}\ny:\n  <<: *x\n  b: 2\nz: [*x]\n";
    let root = root(text);
    assert_eq!(root.origin_of(&["y".into(), "deep".into(), "a".into()]).unwrap().line, 2);
    assert_eq!(root.to_value(Resolve::V3).unwrap()["z"], json!([{"deep": {"a": 1}}]));
}

#[test]
fn a_time_in_braces_is_a_string() {
    assert_eq!(
        value("a: {b: 2020-01-01 10:00:00, c: 2020-01-01}\nd: 2020-01-01 10:00:00\n", Resolve::V3),
        json!({"a": {"b": "2020-01-01 10:00:00", "c": "2020-01-01T00:00:00Z"}, "d": "2020-01-01T10:00:00Z"})
    );
}

#[test]
fn quoted_text_may_hang_as_old_go_yaml_wrote_it() {
    let text = "a:\n  b: 'x\n  y'\n  c: \"p\n\tq\"\nd: it's\n";
    assert_eq!(value(text, Resolve::V3), json!({"a": {"b": "x y", "c": "p q"}, "d": "it's"}));
    let root = root(text);
    assert_eq!(root.origin_of(&["a".into(), "c".into()]).unwrap().to_string(), "a.yaml:4:3");
    assert_eq!(root.at(&["d".into()]).unwrap().origin().unwrap().to_string(), "a.yaml:6:4");
    assert_eq!(
        refusal(b"a:\n  b: 'x\n  y'\n  c: d: e\n"),
        "a.yaml:4:7: invalid YAML: mapping values are not allowed in this context"
    );
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let cases: [(&[u8], &str); 14] = [
        (b"a: 1\nb: x: y\n", "a.yaml:2:5: invalid YAML: mapping values are not allowed in this context"),
        (b"a: 1\n--- foo\n", "a.yaml:2:1: a document separator can be followed by a comment only"),
        (b"a: 1\nb: \xff\n", "a.yaml:2: the file is not UTF-8 text"),
        (b"a: 1\nb: \0\n", "a.yaml:2:4: the control character U+0000 is not allowed"),
        (b"%YAML 1.1\n---\na: 1\n", "a.yaml:1:1: YAML directives are not supported"),
        (b"<<: {}\nb: 2\n<<: {}\n", "a.yaml:3:1: the key `<<` is already defined at line 1"),
        (b"a: 1\n---\nb: *x\n", "a.yaml:3:4: the anchor `x` is not defined above this alias"),
        (b"a: &x [*x]\n", "a.yaml:1:8: the anchor `x` contains itself"),
        (b"<<: 1\n", "a.yaml:1:5: `<<` needs a mapping or a list of mappings, found a scalar"),
        (b"a: 1\nb: 2\na: 3\n", "a.yaml:3:1: the key `a` is already defined at line 1"),
        (b"a:\n  1: 2\n", "a.yaml:2:3: the key `1` is a number, not a string"),
        (b"a: .inf\n", "a.yaml:1:4: `.inf` is no number that JSON can hold"),
        (b"a: !!int x\n", "a.yaml:1:10: `x` is not a valid `!!int`"),
        (b"a: \"\\x7f\"\n", "a.yaml:1:4: the control character U+007F is not allowed"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(refusal(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn duplicate_keys_are_listed_with_both_places() {
    let root = root("a:\n  b: 1\n  b: 2\nc: [{d: 1, d: 2}]\n");
    let found = root.duplicate_keys();
    let lines = |key: &DuplicateKey<'_>| (key.first.origin().unwrap().line, key.second.origin().unwrap().line);
    assert_eq!(found.iter().map(lines).collect::<Vec<_>>(), [(2, 3), (4, 4)]);
    assert_eq!(root.to_value(Resolve::V2).unwrap(), json!({"a": {"b": 2}, "c": [{"d": 2}]}));
}

/// Fails when reading takes so long that something must be quadratic.
fn in_time<T>(what: &str, read: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = read();
    println!("{what}: {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(20), "{what} took {:?}", start.elapsed());
    result
}

#[test]
fn limits_are_kept_in_time() {
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned()
        + &('b'..='i')
            .map(|name| {
                let before = char::from(u8::try_from(name).unwrap() - 1);
                format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 10].join(", "))
            })
            .collect::<String>();
    let deep_aliases = (1..400).fold("- &a0 x\n".to_owned(), |text, at| text + &format!("- &a{at} [*a{}]\n", at - 1));
    let cases = [
        ("alias bomb", bomb, "more than 200000 values when its aliases are expanded"),
        ("deep aliases", deep_aliases, "nested more than 250 levels deep"),
        ("nested anchors", "&a [".repeat(250) + &"x, ".repeat(100_000) + &"]".repeat(250), "more than 200000 values"),
        ("braces", "{".repeat(100_000), "nested more than 250 levels deep"),
        ("brackets", "[".repeat(100_000), "nested more than 250 levels deep"),
        ("dashes", "- ".repeat(100_000), "nested more than 250 levels deep"),
        ("question marks", "? ".repeat(100_000), "nested more than 250 levels deep"),
        ("mixed", "- ".repeat(200) + &"[".repeat(200) + &"]".repeat(200), "nested more than 250 levels deep"),
        ("size", "x".repeat((32 << 20) + 1), "the file has 33554433 bytes, more than the limit of 33554432"),
    ];
    for (what, text, expected) in cases {
        let refused = in_time(what, || refusal(text.as_bytes()));
        assert!(refused.contains(expected), "{what}: {refused}");
    }
    let few = Limits { nodes: 5, ..Limits::default() };
    let refused = parse_within(few, &file(), b"[1, 2]\n---\n[3, 4]\n", Resolve::V3).unwrap_err();
    assert_eq!(refused.to_string(), "a.yaml:3:5: more than 5 values");
}

#[test]
fn large_files_are_read_in_time() {
    let cases = [
        ("one line", format!("a: {}\n", "x y ".repeat(2_500_000))),
        ("one quoted line", format!("a: \"{}\"\n", "x\\ny ".repeat(2_000_000))),
        ("comments", "# licence\n".repeat(200_000) + "a: 1\n"),
        ("keys", (0..100_000).map(|at| format!("key{at}: value\n")).collect()),
        ("documents", "a: 1\n---\n".repeat(100_000)),
        ("colons", "a:".repeat(1_000_000)),
        ("spaces", " ".repeat(10_000_000)),
        ("line breaks", "\n".repeat(10_000_000)),
        ("quotes", "'".repeat(1_000_001)),
    ];
    for (what, text) in cases {
        in_time(what, || {
            if let Ok(documents) = parse(&file(), text.as_bytes()) {
                for document in documents {
                    let value = document.root.to_value(Resolve::V3).unwrap();
                    emit::to_string(&value);
                }
            }
        });
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~]{0,12}",
        "[a-z:#'\" \n-]{0,20}",
        "\\PC{0,12}",
        "(word ){10,40}",
        "[0-9:+._eExXob-]{1,8}",
        proptest::sample::select(vec![
            "yes",
            "null",
            "~",
            "",
            "2020-01-01",
            "<<",
            "1e3",
            "\n",
            " \n ",
            "\t",
            "\u{2028}a"
        ])
        .prop_map(str::to_owned),
    ]
    // The line breaks that kustomize itself does not keep.
    .prop_filter("kept by kustomize", |text| !text.contains(['\u{85}', '\u{2028}', '\u{2029}']));
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(|number| number_from_f64(number).unwrap()),
        text.clone().prop_map(Value::from),
    ];
    // Written plain, it is a merge key to every reader: kustomize's own oddity.
    let key = text.prop_filter("no merge key", |text| text != "<<");
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(key.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(value in any_value()) {
        let text = emit::to_string(&value);
        for mode in [Resolve::V2, Resolve::V3] {
            let documents = parse_as(&file(), text.as_bytes(), mode).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            let back = documents.first().map_or(Ok(Value::Null), |document| document.root.to_value(mode));
            prop_assert_eq!(back.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?, value.clone(), "{}", text);
        }
    }

    #[test]
    fn the_short_way_gives_the_same_tree_for_what_is_written(value in any_value()) {
        prop_assert_eq!(compare_ways(&emit::to_string(&value)).0, None);
    }

    #[test]
    fn the_short_way_gives_the_same_tree_for_yaml_like_text(
        text in "((  ){0,3}(- ){0,2}([ab]:( |\n)|)([ab]|'a'|\"b c\"|a b|\\{\\}|\\[\\]|\\||\\|-|# c|a # c|b: |-|)\n){0,8}"
    ) {
        prop_assert_eq!(compare_ways(&text).0, None);
    }

    #[test]
    fn the_short_way_gives_the_same_tree_for_brackets_and_braces(
        text in "(a: |- )[\\[{]([ab]|a: |, |,|'|'c d'|\"e\"|\"|#| |\\[|\\]|\\{|\\}|1.5|-|:|x/y|\\[a, \"b\"\\]|\\{c: d, e: \\[\\]\\}){0,9}[\\]}]( # f|)\n"
    ) {
        prop_assert_eq!(compare_ways(&text).0, None);
    }

    #[test]
    fn a_tree_made_of_values_means_the_same(value in any_value()) {
        for mode in [Resolve::V2, Resolve::V3] {
            prop_assert_eq!(Node::from_value(&value).to_value(mode).unwrap(), value.clone());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = objects(&file(), &bytes, Resolve::V2);
    }

    #[test]
    fn any_yaml_like_text_is_read_or_refused(text in "([-?:,\\[\\]{}&*!|>'\"%@`# \n\ta-c0-2]|<<: |&a |\\*a |---\n|- |: ){0,60}") {
        if let Ok(documents) = parse(&file(), text.as_bytes()) {
            for document in documents {
                let _ = document.root.to_value(Resolve::V3);
                let _ = document.root.duplicate_keys();
                let _ = document.root.origin_of(&["a".into(), 0.into()]);
            }
        }
        let _ = objects(&file(), text.as_bytes(), Resolve::V3);
    }

    #[test]
    fn the_order_of_keys_is_that_of_any_stable_sort_where_it_is_total(keys in proptest::collection::hash_set("[a-c]{0,3}", 0..40)) {
        let map: Map<String, Value> = keys.iter().map(|key| (key.clone(), Value::Null)).collect();
        let text = emit::to_string(&Value::Object(map));
        let mut expected: Vec<String> = keys.into_iter().collect();
        expected.sort();
        let written: Vec<String> = match text.as_str() {
            "{}\n" => Vec::new(),
            text => text.lines().map(|line| line.trim_end_matches(": null").trim_matches('"').to_owned()).collect(),
        };
        prop_assert_eq!(written, expected);
    }
}
