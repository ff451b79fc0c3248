//! Trees that nobody writes: fixtures with lines lost, doubled and swapped, kustomizations of random words, random
//! patches on random objects. Whatever comes out, it comes soon, is not larger than it may be, and nothing panics.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::mpsc;
use std::time::Duration;

use leeboard::kustomize::{Options, build};
use leeboard::source::TreePath;
use leeboard::yaml::emit;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::fixtures::{FIELDS, asked, fixtures};
use super::trees::{Tree, printed, said};

/// No build of so few lines takes a hundredth of this on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a build says, from a thread of its own: one that hangs fails the test.
fn outcome(tree: Tree, root: TreePath, options: Options) -> Result<String, TestCaseError> {
    let (sender, receiver) = mpsc::channel();
    let shown = tree.clone();
    let building = std::thread::spawn(move || {
        let text = match build(&tree, &root, &options) {
            Ok(rendered) => printed(&rendered),
            Err(problems) => said(&problems),
        };
        // Nobody waits any longer once the time is over.
        let _ = sender.send(text);
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(text) => Ok(text),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(TestCaseError::fail(format!("hangs: {shown:?}"))),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let panic = building.join().unwrap_err();
            let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(TestCaseError::fail(format!("panics: {}", words.unwrap_or("?"))))
        }
    }
}

fn read(directory: &Path, below: &TreePath, tree: &mut Tree) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name().to_str().unwrap()).unwrap();
        if entry.path().is_dir() {
            read(&entry.path(), &path, tree);
        } else {
            tree.0.insert(path, fs::read(entry.path()).unwrap().into());
        }
    }
}

/// All fixtures that there are.
static SEEDS: LazyLock<Vec<(Tree, TreePath, Options)>> = LazyLock::new(|| {
    let seed = |fixture: &std::path::PathBuf| {
        let mut tree = Tree::new(&[]);
        read(&fixture.join("in"), &TreePath::root(), &mut tree);
        let (root, options) = asked(fixture);
        (tree, root, options)
    };
    fixtures().iter().map(seed).collect()
});

/// What may happen to a file.
#[derive(Clone, Debug)]
enum Mutation {
    /// A line is lost.
    Delete(Index),
    /// A line stands twice.
    Double(Index),
    /// Two lines change places.
    Swap(Index, Index),
    /// A line gets deeper or less deep.
    Indent(Index, bool),
    /// Some bytes come in.
    Insert(Index, String),
    /// The rest is lost.
    Cut(Index),
    /// The file is replaced by another one of the tree.
    Replace(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    let odd = select(vec![
        "$",
        "\0",
        "\t",
        "- ",
        ": ",
        "? ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "<<: ",
        "!!int ",
        "|",
        ">",
        "'",
        "\"",
        "#",
        "~",
        "---\n",
        "...",
        "%",
        "\u{feff}",
        "é",
        "\u{85}",
        "$patch: delete\n",
        "../",
        "/",
        "..",
        "9999999999999999999",
        "-1",
        ".inf",
        "yes",
        "\\",
        "(",
        "*",
        "=",
        "null",
        "\r",
        "\r\n",
        "",
    ]);
    prop_oneof![
        4 => index().prop_map(Mutation::Delete),
        3 => index().prop_map(Mutation::Double),
        3 => (index(), index()).prop_map(|(one, other)| Mutation::Swap(one, other)),
        2 => (index(), any::<bool>()).prop_map(|(at, deeper)| Mutation::Indent(at, deeper)),
        6 => (index(), odd).prop_map(|(at, text)| Mutation::Insert(at, text.to_owned())),
        1 => index().prop_map(Mutation::Cut),
        1 => index().prop_map(Mutation::Replace),
    ]
}

impl Mutation {
    fn apply(&self, content: &[u8], tree: &Tree) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = content.split_inclusive(|byte| *byte == b'\n').map(Into::into).collect();
        if lines.is_empty() {
            return b"- a\n".to_vec();
        }
        let count = lines.len();
        match self {
            Mutation::Delete(at) => drop(lines.remove(at.index(count))),
            Mutation::Double(at) => lines.insert(at.index(count), lines[at.index(count)].clone()),
            Mutation::Swap(one, other) => lines.swap(one.index(count), other.index(count)),
            Mutation::Indent(at, true) => drop(lines[at.index(count)].splice(0..0, *b"  ")),
            Mutation::Indent(at, false) => {
                let line = &mut lines[at.index(count)];
                let blanks = line.iter().take(2).filter(|byte| **byte == b' ').count();
                line.drain(..blanks);
            }
            Mutation::Insert(at, text) => {
                let at = at.index(content.len());
                return [&content[..at], text.as_bytes(), &content[at..]].concat();
            }
            Mutation::Cut(at) => return content[..at.index(content.len())].to_vec(),
            Mutation::Replace(at) => return at.get(&tree.0.values().collect::<Vec<_>>()).to_vec(),
        }
        lines.concat()
    }
}

/// Words that mean something somewhere.
fn word() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        "a",
        "b",
        "web",
        "name",
        "a.yaml",
        "b.yaml",
        "../a.yaml",
        ".",
        "..",
        "/",
        "a=b",
        "=",
        "A=1",
        "v1",
        "ConfigMap",
        "Deployment",
        "apps",
        "merge",
        "replace",
        "create",
        "data.a",
        "data.[a=b].*",
        "spec.template.spec.containers.*",
        "metadata.name",
        "[a=(]",
        "0",
        "-1",
        "99999999999999999999",
        "data/a",
        "spec/containers[]/image",
        "a\\/b",
        "a in (b)",
        "!a,b=c",
        "(((",
        "a{999}{999}",
        "$(A)",
        "nginx:1@sha256:x",
        ":",
        "@",
        "\n",
        "- op: remove\n  path: /a",
        "[]",
        "{}",
        "kind: ConfigMap",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: c}",
        "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: p}\nprefix: x-\nfieldSpecs: [{path: data/a}]",
        "git::x",
        "https://a.b/c.git?ref=--d",
        "originAnnotations",
        "managedByLabel",
        "transformerAnnotations",
        "fifo",
        "legacy",
        "v1.21.2",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "[ -~]{0,12}", 1 => "\\PC{0,4}"]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => word().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => prop_oneof![-2..9_i64, any::<i64>()].prop_map(Value::from),
        1 => any::<f64>().prop_filter_map("finite", |number| Some(json!(number)).filter(|value| !value.is_null())),
    ]
}

/// A tree whose keys are some of these.
fn tree_of(keys: Vec<&'static str>, size: u32) -> impl Strategy<Value = Value> {
    let key = prop_oneof![12 => select(keys).prop_map(str::to_owned), 1 => word()];
    scalar().prop_recursive(6, size, 5, move |inner| {
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            3 => prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A kustomization in which any field holds anything.
fn any_kustomization() -> impl Strategy<Value = Value> {
    let keys = vec![
        "name",
        "namespace",
        "kind",
        "group",
        "version",
        "path",
        "patch",
        "target",
        "options",
        "pairs",
        "fields",
        "create",
        "includeSelectors",
        "includeTemplates",
        "literals",
        "files",
        "envs",
        "env",
        "behavior",
        "labels",
        "annotations",
        "immutable",
        "disableNameSuffixHash",
        "newTag",
        "newName",
        "digest",
        "tagSuffix",
        "count",
        "source",
        "sourceValue",
        "targets",
        "select",
        "reject",
        "fieldPaths",
        "fieldPath",
        "delimiter",
        "index",
        "objref",
        "fieldref",
        "order",
        "legacySortOptions",
        "orderFirst",
        "orderLast",
        "labelSelector",
        "annotationSelector",
        "type",
    ];
    let field = prop_oneof![12 => select(FIELDS.to_vec()).prop_map(str::to_owned), 1 => word()];
    prop::collection::vec((field, tree_of(keys, 24)), 0..6).prop_map(|fields| {
        let mut kustomization = Map::from_iter([("resources".to_owned(), json!(["a.yaml"]))]);
        kustomization.extend(fields);
        // These would have the rest refused unread.
        ["apiVersion", "kind"].into_iter().for_each(|field| drop(kustomization.remove(field)));
        Value::Object(kustomization)
    })
}

/// The fields of objects, and what means something in a patch.
const OBJECT_KEYS: [&str; 28] = [
    "spec",
    "template",
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "containers",
    "initContainers",
    "env",
    "ports",
    "containerPort",
    "port",
    "protocol",
    "volumes",
    "image",
    "value",
    "data",
    "finalizers",
    "tolerations",
    "key",
    "items",
    "topologySpreadConstraints",
    "$patch",
    "$retainKeys",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
    "apiVersion",
];

fn any_object() -> impl Strategy<Value = Value> {
    let kind = select(vec![
        ("apps/v1", "Deployment"),
        ("v1", "Pod"),
        ("v1", "Service"),
        ("v1", "ConfigMap"),
        ("x/v1", "Oven"),
    ]);
    (kind, tree_of(OBJECT_KEYS.to_vec(), 40), tree_of(OBJECT_KEYS.to_vec(), 12)).prop_map(|((version, kind), spec, data)| {
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, "spec": spec, "data": data})
    })
}

fn any_operation() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        6 => select(OBJECT_KEYS.to_vec()).prop_map(|key| key.replace('/', "~1")),
        3 => select(vec!["-", "0", "1", "-1", "+1", "01", "99999999999999999999", "~0", "~2", "", "~"]).prop_map(str::to_owned),
    ];
    let pointer = prop::collection::vec(part, 0..5)
        .prop_map(|parts| parts.iter().map(|part| format!("/{part}")).collect::<String>());
    let pointer = prop_oneof![9 => pointer, 1 => word()];
    let operation = select(vec!["add", "remove", "replace", "move", "copy", "copy", "copy", "test", "none", ""]);
    (operation, pointer.clone(), pointer, tree_of(OBJECT_KEYS.to_vec(), 8))
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
}

fn patched(object: &Value, patch: &str) -> Result<String, TestCaseError> {
    let kustomization = json!({
        "resources": ["a.yaml"],
        "patches": [{"target": {"name": "web"}, "path": "p.yaml"}],
    });
    let files = [
        ("kustomization.yaml", emit::to_string(&kustomization)),
        ("a.yaml", emit::to_string(object)),
        ("p.yaml", patch.to_owned()),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    outcome(Tree::new(&files), TreePath::root(), Options::default())
}

proptest! {
    #[test]
    fn a_mutated_tree_is_built_or_refused(
        seed in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), mutation()), 1..5),
    ) {
        let (tree, root, options) = seed.get(&SEEDS);
        let mut tree = tree.clone();
        for (file, mutation) in changes {
            let path = file.get(&tree.0.keys().cloned().collect::<Vec<_>>()).clone();
            let content = mutation.apply(&tree.0[&path], &tree);
            tree.0.insert(path, content.into());
        }
        let input: usize = tree.0.values().map(|content| content.len()).sum();
        let text = outcome(tree, root.clone(), options.clone())?;
        prop_assert!(text.len() <= 100_000 + 100 * input, "{} bytes out of {input}", text.len());
    }

    #[test]
    fn a_kustomization_of_anything_is_built_or_refused(
        kustomization in any_kustomization(),
        object in any_object(),
        other in prop_oneof![any_kustomization(), any_object()],
    ) {
        let files = [
            ("kustomization.yaml", emit::to_string(&kustomization)),
            ("a.yaml", emit::to_string(&object)),
            ("b.yaml", emit::to_string(&other)),
        ];
        let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
        let text = outcome(Tree::new(&files), TreePath::root(), Options::default())?;
        prop_assert!(text.len() <= 1_000_000, "{} bytes", text.len());
    }

    #[test]
    fn what_is_merged_is_no_larger_than_both(object in any_object(), mut patch in any_object()) {
        patch["kind"] = object["kind"].clone();
        patch["apiVersion"] = object["apiVersion"].clone();
        let patch = emit::to_string(&patch);
        let text = patched(&object, &patch)?;
        let both = emit::to_string(&object).len() + patch.len();
        // Lines move, and with them their indentation; a problem quotes a line and says a sentence.
        prop_assert!(text.len() <= 2 * both + 2_000, "{} bytes out of {both}:\n{text}", text.len());
    }

    #[test]
    fn operations_are_done_or_refused(object in any_object(), operations in prop::collection::vec(any_operation(), 1..40)) {
        let text = patched(&object, &serde_json::to_string(&operations).unwrap())?;
        prop_assert!(text.len() <= 100_000_000, "{} bytes", text.len());
    }
}
