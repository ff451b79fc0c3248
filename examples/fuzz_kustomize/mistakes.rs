//! What goes wrong in kustomizations: a small share of the trees has one mistake.

use super::random::Random;
use super::tree::Tree;

pub(crate) fn maybe(random: &mut Random, tree: &mut Tree) {
    if !random.chance(5) {
        return;
    }
    let paths: Vec<String> = tree.files.keys().cloned().collect();
    let path = random.pick(&paths).clone();
    let kustomizations: Vec<&String> =
        paths.iter().filter(|path| path.to_ascii_lowercase().contains("kustomization")).collect();
    let kustomization = (*random.pick(&kustomizations)).clone();
    // What a wrong line makes of an object or of a plugin is valid too often, and something that nobody writes.
    let configures =
        ["configuration", "crds", "schema", "replacement", "plugin"].iter().any(|name| path.contains(name));
    let path = if random.chance(15) && !configures { path } else { kustomization.clone() };
    match random.below(9) {
        0 => {
            tree.features.insert("mistake: a file is missing");
            tree.files.remove(&path);
        }
        1 => {
            tree.features.insert("mistake: a word is another");
            const WORDS: [(&str, &str); 9] = [
                ("resources:", "resource:"),
                ("name:", "nam:"),
                ("kind:", "knd:"),
                ("path: /", "path: "),
                ("op: ", "op: x"),
                ("target:", "targets:"),
                ("value", "valu"),
                ("literals", "literal"),
                ("metadata", "metadatas"),
            ];
            let (word, wrong) = random.pick(&WORDS);
            replace(tree, &path, |text| text.replacen(word, wrong, 1));
        }
        2 => {
            tree.features.insert("mistake: an unknown field");
            let wrong = random.word(&[
                "unknown: 1\n",
                "resources: text\n",
                "patches:\n- {}\n",
                "namePrefix: [a]\n",
                "images:\n- newTag: 1\n",
            ]);
            replace(tree, &kustomization, |text| text + &wrong);
        }
        3 => {
            tree.features.insert("mistake: a wrong entry");
            let wrong = random.word(&[
                "patches:\n- patch: '[{\"op\": \"replace\"}]'\n",
                "patches:\n- target: {name: '('}\n  patch: '[]'\n",
                "patchesJson6902:\n- target: {kind: Pod}\n  patch: '[]'\n",
                "replacements:\n- source: {kind: Nope}\n  targets: [{select: {kind: Pod}, fieldPaths: [a]}]\n",
                "vars:\n- name: X\n  objref: {kind: Nope, name: n, apiVersion: v1}\n",
                "configMapGenerator:\n- literals: [a]\n",
                "sortOptions: {order: random}\n",
                "openapi: {version: v1.0.0}\n",
                "apiVersion: v2\n",
                "transformers:\n- nowhere\n",
                "components: [../nowhere]\n",
                "crds: [nowhere.yaml]\n",
                "replicas: [{name: nobody, count: 1}]\n",
                "images: [{name: '('}]\n",
                "labels: [{pairs: {a: 1}}]\n",
                "commonLabels: {a: true}\n",
                "generators: ['{apiVersion: x/v1, kind: Y, metadata: {name: n}}']\n",
            ]);
            replace(tree, &kustomization, |text| text + &wrong);
        }
        4 | 5 => {
            tree.features.insert("mistake: a line is gone");
            replace(tree, &path, |text| {
                let mut lines: Vec<&str> = text.split('\n').collect();
                lines.remove(random.below(lines.len()));
                lines.join("\n")
            });
        }
        6 => {
            tree.features.insert("mistake: a line is there twice");
            replace(tree, &path, |text| {
                let mut lines: Vec<&str> = text.split('\n').collect();
                let at = random.below(lines.len());
                lines.insert(at, lines[at]);
                lines.join("\n")
            });
        }
        7 => {
            tree.features.insert("mistake: a character is another");
            replace(tree, &path, |text| {
                let mut chars: Vec<char> = text.chars().collect();
                if !chars.is_empty() {
                    let at = random.below(chars.len());
                    chars[at] =
                        *random.pick(&[' ', ':', '-', '"', '\'', '{', ']', '\t', '\n', '#', 'x', '&', '*', '\0', '!']);
                }
                chars.into_iter().collect()
            });
        }
        _ => {
            tree.features.insert("mistake: a line is moved in");
            replace(tree, &path, |text| {
                let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
                let at = random.below(lines.len());
                lines[at].insert(0, ' ');
                lines.join("\n")
            });
        }
    }
}

/// Changes the text of a file; one that is no text stays.
fn replace(tree: &mut Tree, path: &str, change: impl FnOnce(String) -> String) {
    if let Some(bytes) = tree.files.get_mut(path)
        && let Ok(text) = String::from_utf8(bytes.clone())
    {
        *bytes = change(text).into_bytes();
    }
}
