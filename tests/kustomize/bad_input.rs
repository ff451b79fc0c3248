//! Files that are broken, hostile or far too large, through the real binary: each is refused, or built with a warning,
//! in good time and in words that say where and why.
//!
//! `fixtures/bad-kustomizations/CASE.txt` holds the exit code and all that is printed. `LEEBOARD_BLESS=1` writes these
//! anew; read the difference before you commit it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use leeboard::yaml::{Limits, Resolve, parse_within};

use super::trees::difference;

/// The slowest case takes a third of this in a debug build on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is printed beyond this many bytes is counted, not shown.
const SHOWN: usize = 4_000;

/// A directory with a kustomization: names of files and what they hold.
type Files = Vec<(&'static str, Vec<u8>)>;

const LONG: usize = 10_000_000;
const QUITE_LONG: usize = 1_000_000;
const DEEP: usize = 100_000;

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  color: green\n";

/// A kustomization of these lines, and a file.
fn with(kustomization: &str, file: &'static str, content: impl Into<Vec<u8>>) -> Files {
    vec![("kustomization.yaml", kustomization.into()), (file, content.into())]
}

/// A kustomization whose only resource is this text.
fn resource(text: impl Into<Vec<u8>>) -> Files {
    with("resources:\n- a.yaml\n", "a.yaml", text)
}

/// A ConfigMap with this text under `data`.
fn data(text: &str) -> Files {
    resource(format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n{text}"))
}

/// A kustomization with this text below the one resource that it has.
fn kustomization(text: &str) -> Files {
    with(&format!("resources:\n- config.yaml\n{text}"), "config.yaml", CONFIG)
}

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2], mark: bool) -> Vec<u8> {
    mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).flat_map(to_bytes).collect()
}

/// Ten times as much at every line, by aliases.
fn bomb(first: &str, width: usize, height: usize) -> String {
    let mut text = format!("x0: &x0 {first}\n");
    for at in 1..=height {
        let items = vec![format!("*x{}", at - 1); width].join(", ");
        text += &format!("x{at}: &x{at} [{items}]\n");
    }
    text
}

fn encodings() -> Vec<(&'static str, Files)> {
    vec![
        ("utf-16-little-endian", resource(utf16(CONFIG, u16::to_le_bytes, true))),
        ("utf-16-big-endian", resource(utf16(CONFIG, u16::to_be_bytes, true))),
        ("utf-16-without-mark", resource(utf16(CONFIG, u16::to_le_bytes, false))),
        (
            "utf-16-kustomization",
            vec![
                ("kustomization.yaml", utf16("resources: [a.yaml]\n", u16::to_le_bytes, true)),
                ("a.yaml", CONFIG.into()),
            ],
        ),
        ("utf-16-cut-off", resource([0xff, 0xfe, 0x61])),
        ("byte-order-mark", with("\u{feff}resources:\n- a.yaml\n", "a.yaml", format!("\u{feff}{CONFIG}"))),
        ("carriage-returns", with("resources:\r\n- a.yaml\r\n", "a.yaml", CONFIG.replace('\n', "\r\n"))),
        ("carriage-returns-alone", resource(CONFIG.replace('\n', "\r"))),
        ("nul", data("  color: gre\0en\n")),
        ("nul-in-the-kustomization", with("resources:\n- a.yaml\0\n", "a.yaml", CONFIG)),
        ("escape-character", data("  color: \u{1b}[31mred\n")),
        ("latin-1", resource([CONFIG.as_bytes(), b"  shape: caf\xe9\n"].concat())),
        ("latin-1-kustomization", with("", "kustomization.yaml", b"namePrefix: caf\xe9-\n".as_slice())),
    ]
}

fn sizes() -> Vec<(&'static str, Files)> {
    let long = "a".repeat(LONG);
    let quite_long = "a".repeat(QUITE_LONG);
    vec![
        ("line-of-10-mb", data(&format!("  color: {long}\n"))),
        ("line-of-10-mb-of-comment", data(&format!("  color: green # {long}\n"))),
        ("line-of-10-mb-in-the-kustomization", kustomization(&format!("hoopla: {long}\n"))),
        ("line-of-1-mb-in-quotes", data(&format!("  color: \"{}\"\n", "a b ".repeat(QUITE_LONG / 4)))),
        ("line-of-1-mb-that-ends-in-an-error", data(&format!("  color: {quite_long}: green\n"))),
        ("line-of-1-mb-of-quotes", data(&format!("  color: {}\n", "'".repeat(QUITE_LONG + 1)))),
        ("field-of-1-mb", kustomization(&format!("? {quite_long}\n: green\n"))),
        ("literal-of-1-mb", kustomization(&format!("configMapGenerator:\n- name: c\n  literals:\n  - {quite_long}\n"))),
        (
            "line-of-10-mb-in-an-env-file",
            with("configMapGenerator:\n- name: c\n  envs: [e]\n", "e", format!("A={long}")),
        ),
        ("file-beyond-the-limit", resource("a".repeat((16 << 20) + 1))),
        ("braces", resource("{".repeat(DEEP))),
        ("braces-in-the-kustomization", with(&"{".repeat(DEEP), "a", "")),
        ("braces-that-are-closed", data(&format!("  color: {}{}\n", "{a: ".repeat(DEEP), "}".repeat(DEEP)))),
        ("braces-in-json", resource(format!("{}{}", "{\"a\":".repeat(DEEP), "}".repeat(DEEP)))),
        ("brackets", data(&format!("  color: {}{}\n", "[".repeat(DEEP), "]".repeat(DEEP)))),
        ("dashes", resource("- ".repeat(DEEP))),
        ("question-marks", resource("? ".repeat(DEEP))),
        ("indentation", resource((0..3_000).map(|at| " ".repeat(at) + "a:\n").collect::<String>())),
        ("documents", resource("---\n".repeat(DEEP))),
        (
            "braces-in-a-patch",
            kustomization(&format!("patches:\n- target: {{kind: ConfigMap}}\n  patch: '{}'\n", "{".repeat(DEEP))),
        ),
        (
            "brackets-in-a-patch",
            kustomization(&format!("patches:\n- target: {{kind: ConfigMap}}\n  patch: '{}'\n", "[".repeat(DEEP))),
        ),
        (
            "pointer-of-many-parts",
            kustomization(&format!(
                "patches:\n- target: {{kind: ConfigMap}}\n  patch: '[{{\"op\": \"add\", \"path\": \"{}\", \"value\": 1}}]'\n",
                "/a".repeat(DEEP)
            )),
        ),
        (
            "path-of-many-parts",
            kustomization(&format!(
                "replacements:\n- sourceValue: a\n  targets:\n  - select: {{kind: ConfigMap}}\n    options: {{create: true}}\n    fieldPaths:\n    - data{}\n",
                ".a".repeat(DEEP)
            )),
        ),
        (
            "name-of-many-characters",
            with("", "kustomization.yaml", format!("configMapGenerator:\n- name: {}\n", "a".repeat(250))),
        ),
    ]
}

/// Texts of a megabyte that go to thousands of places.
fn copies() -> Vec<(&'static str, Files)> {
    let long = "a".repeat(QUITE_LONG);
    let variable = "vars:\n- name: A\n  objref: {apiVersion: v1, kind: ConfigMap, name: settings}\n  fieldref: {fieldPath: data.color}\n";
    let many: Vec<String> = (0..1_000).map(|at| format!("data.a{at}")).collect();
    let copies: Vec<String> =
        many.iter().map(|path| format!("{{op: copy, from: /data/color, path: /{}}}", path.replace('.', "/"))).collect();
    let config = CONFIG.replace("green", &long);
    let text = CONFIG.replace("green", &format!("'{{\"a\": \"1\", \"b\": \"{long}\"}}'"));
    let replacement = |delimiter: &str, paths: &[String]| {
        format!(
            "resources: [a.yaml]\nreplacements:\n- sourceValue: b\n  targets:\n  - select: {{kind: ConfigMap}}\n    options: {{create: true{delimiter}}}\n    fieldPaths: [{}]\n",
            paths.join(", ")
        )
    };
    vec![
        (
            "variables-that-multiply",
            with(
                &format!("resources: [a.yaml]\ncommonAnnotations: {{a: {}}}\n{variable}", "$(A)".repeat(10_000)),
                "a.yaml",
                config.clone(),
            ),
        ),
        (
            "operations-that-copy",
            with(
                &format!(
                    "resources: [a.yaml]\npatches:\n- target: {{kind: ConfigMap}}\n  patch: |\n    - {}\n",
                    copies.join("\n    - ")
                ),
                "a.yaml",
                config.clone(),
            ),
        ),
        (
            "parts-of-a-long-text",
            with(&replacement(", delimiter: x, index: 1", &vec!["data.color".into(); 1_000]), "a.yaml", config),
        ),
        ("fields-in-a-long-text", with(&replacement("", &vec!["data.color.a".into(); 1_000]), "a.yaml", text)),
        ("long-prefix", kustomization(&format!("namePrefix: {long}\n"))),
        ("long-tag", kustomization(&format!("images:\n- name: web\n  newTag: {long}\n"))),
    ]
}

fn yaml() -> Vec<(&'static str, Files)> {
    let chain = (1..300).map(|at| format!("x{at}: &x{at} [*x{}]\n", at - 1)).collect::<String>();
    vec![
        ("aliases-that-multiply", resource(bomb("[a, b]", 10, 8))),
        ("aliases-that-multiply-text", resource(bomb(&"a".repeat(1_000_000), 100, 1))),
        ("aliases-that-nest", resource(format!("x0: &x0 []\n{chain}"))),
        (
            "merge-keys-that-multiply",
            resource(format!(
                "x: &x {{{}}}\ny:\n{}",
                (0..1_000).map(|at| format!("a{at}: 1, ")).collect::<String>(),
                "- {<<: *x}\n".repeat(1_000)
            )),
        ),
        ("alias-inside-of-itself", data("  color: &a [*a]\n")),
        ("alias-without-anchor", data("  color: *green\n")),
        ("merge-key-over-text", data("  <<: green\n")),
        ("directive", resource(format!("%YAML 1.2\n---\n{CONFIG}"))),
        ("text-behind-a-separator", resource(format!("{CONFIG}--- green\n"))),
        ("tab", data("\tcolor: green\n")),
        ("quote-that-is-not-closed", data("  color: \"green\n  shape: round\n")),
        ("value-without-blank", data("  color:green\n  shape: round\n")),
        ("key-twice", data("  color: green\n  color: red\n")),
        ("key-that-is-a-number", data("  7: green\n")),
        ("infinite-number", data("  color: .inf\n")),
        ("text-tagged-as-a-number", data("  color: !!int green\n")),
    ]
}

fn kustomizations() -> Vec<(&'static str, Files)> {
    let web = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  volumes:\n  - name: login\n    secret:\n      secretName: login\n";
    vec![
        (
            "unknown-fields",
            kustomization("namePrefx: a-\nimages:\n- name: web\n  newtag: \"1\"\n  tagg: \"2\"\nhoopla: 1\n"),
        ),
        (
            "wrong-types",
            kustomization("namePrefix: 1\nimages: web\nreplicas:\n- name: web\n  count: many\nlabels: [a]\n"),
        ),
        (
            "deprecated-fields",
            vec![
                (
                    "kustomization.yaml",
                    b"bases: [base]\ncommonLabels: {a: b}\nimageTags:\n- name: web\n  newTag: \"1\"\npatchesStrategicMerge:\n- |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: settings}\n  data: {color: red}\npatchesJson6902:\n- target: {version: v1, kind: ConfigMap, name: settings}\n  patch: '[{\"op\": \"add\", \"path\": \"/data/a\", \"value\": \"b\"}]'\nvars:\n- name: A\n  objref: {apiVersion: v1, kind: ConfigMap, name: settings}\n".to_vec(),
                ),
                ("base/kustomization.yaml", b"resources: [config.yaml]\ncommonLabels: {base: b}\n".to_vec()),
                ("base/config.yaml", CONFIG.into()),
            ],
        ),
        ("empty-kustomization", vec![("kustomization.yaml", b"# nothing\n".to_vec())]),
        ("list-as-kustomization", vec![("kustomization.yaml", b"- resources\n".to_vec())]),
        (
            "patch-for-nothing",
            vec![
                ("kustomization.yaml", b"resources:\n- web.yaml\npatches:\n- path: patch.yaml\n".to_vec()),
                ("web.yaml", web.into()),
                ("patch.yaml", web.replace("web", "wbe").into()),
            ],
        ),
        (
            "patch-for-nothing-inline",
            kustomization(
                "patches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata:\n      name: setings\n",
            ),
        ),
        (
            "ambiguous-reference",
            vec![
                ("kustomization.yaml", b"resources:\n- a\n- b\n- pod.yaml\nnamePrefix: a-\n".to_vec()),
                ("pod.yaml", pod.into()),
                ("a/kustomization.yaml", b"resources: [secret.yaml]\nnamePrefix: a-\n".to_vec()),
                ("a/secret.yaml", secret.into()),
                ("b/kustomization.yaml", b"resources: [secret.yaml]\nnamePrefix: b-\n".to_vec()),
                ("b/secret.yaml", secret.into()),
            ],
        ),
        (
            "env-line-without-key",
            with("configMapGenerator:\n- name: c\n  envs:\n  - a.env\n", "a.env", "COLOR=green\n=round\n"),
        ),
        (
            "env-file-that-is-no-text",
            with("configMapGenerator:\n- name: c\n  envs:\n  - a.env\n", "a.env", b"A=\xff\n".as_slice()),
        ),
        (
            "replacement-without-its-source",
            kustomization(
                "replacements:\n- source:\n    kind: Secret\n    name: login\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.color]\n",
            ),
        ),
        (
            "index-of-many-digits",
            kustomization(
                "replacements:\n- sourceValue: a\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths:\n    - data.99999999999999999999999999\n",
            ),
        ),
        (
            "expression-that-explodes",
            kustomization(
                "patches:\n- target:\n    name: ((((a{1,1000}){1,1000}){1,1000}){1,1000})\n  patch: '[{\"op\": \"remove\", \"path\": \"/data\"}]'\n",
            ),
        ),
        (
            "expression-in-a-path-that-explodes",
            kustomization(
                "replacements:\n- sourceValue: a\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths:\n    - data.[a=((((a{1,1000}){1,1000}){1,1000}){1,1000})]\n",
            ),
        ),
        (
            "image-that-is-an-expression",
            kustomization("images:\n- name: ((((a{1,1000}){1,1000}){1,1000}){1,1000})\n  newTag: \"1\"\n"),
        ),
        ("kustomization-that-is-a-directory", vec![("kustomization.yaml/a.yaml", CONFIG.into())]),
        ("resource-that-is-a-directory", with("resources:\n- a\n", "a/b.yaml", CONFIG)),
        ("resource-without-a-name", with("resources:\n- ''\n", "a.yaml", CONFIG)),
        ("file-that-is-a-directory", with("configMapGenerator:\n- name: c\n  files:\n  - a\n", "a/b.yaml", CONFIG)),
        (
            "remote-base-with-an-option",
            with("resources:\n- https://git.example/a.git?ref=--upload-pack=touch\n", "a.yaml", CONFIG),
        ),
        ("schema-that-is-none", with("openapi:\n  path: s.json\nresources: []\n", "s.json", "[1, 2]")),
        ("crds-that-are-none", with("crds:\n- c.json\n", "c.json", "{\"a\": {\"Schema\": {\"properties\": [1]}}}")),
        ("configuration-that-is-none", with("configurations:\n- c.yaml\n", "c.yaml", "nameReference: 7\n")),
    ]
}

fn expectation(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bad-kustomizations").join(format!("{case}.txt"))
}

/// Exit code and output of a build of these files.
fn built(files: &Files) -> String {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("tree");
    for (name, content) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::create_dir(root.join(".git")).unwrap();
    let output = |name| File::create(directory.path().join(name)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_leeboard"))
        .args(["build", "."])
        .current_dir(&root)
        .env_clear()
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(output("stdout"))
        .stderr(output("stderr"))
        .spawn()
        .unwrap();
    let start = Instant::now();
    let exit = loop {
        if let Some(exit) = child.try_wait().unwrap() {
            break exit.code().map_or_else(|| "killed by a signal".to_owned(), |code| format!("exit {code}"));
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            break "still running".to_owned();
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = |name| {
        let bytes = fs::read(directory.path().join(name)).unwrap();
        if bytes.len() > SHOWN { format!("({} bytes)\n", bytes.len()) } else { String::from_utf8(bytes).unwrap() }
    };
    format!("{exit}\n--- stdout\n{}--- stderr\n{}", text("stdout"), text("stderr"))
}

#[test]
fn bad_files_are_refused_in_time_and_in_words() {
    let cases = [encodings(), sizes(), copies(), yaml(), kustomizations()].concat();
    let next = Mutex::new(cases.iter());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some((case, files)) = next.lock().unwrap().next() else { break };
                    let found = built(files);
                    if std::env::var_os("LEEBOARD_BLESS").is_some() {
                        fs::write(expectation(case), &found).unwrap();
                    }
                    let expected = fs::read_to_string(expectation(case)).unwrap_or_default();
                    if found != expected {
                        wrong.lock().unwrap().push(format!("== {case}\n{}", difference(&expected, &found)));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_limit_has_its_own_words() {
    let all = Limits::default();
    let cases = [
        // limits, text, what is said
        (Limits { bytes: 3, ..all }, "a: b", "a.yaml: the file has 4 bytes, more than the limit of 3"),
        (Limits { nodes: 3, ..all }, "[a, b, c]", "a.yaml:1:8: more than 3 values"),
        (
            Limits { expanded: 3, ..all },
            "- &a [b, c]\n- *a\n",
            "a.yaml:2:3: more than 3 values when its aliases are expanded",
        ),
        (Limits { depth: 2, ..all }, "[[[a]]]", "a.yaml:1:3: nested more than 2 levels deep"),
        (Limits { depth: 3, ..all }, "- &a [[b]]\n- [[*a]]\n", "a.yaml:2:5: nested more than 3 levels deep"),
    ];
    for (limits, text, expected) in cases {
        for mode in [Resolve::V2, Resolve::V3] {
            let found = parse_within(limits, &"a.yaml".into(), text.as_bytes(), mode).unwrap_err();
            assert_eq!(found.to_string(), expected, "{text}");
        }
    }
}
