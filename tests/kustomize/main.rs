//! The kustomize engine: what it makes of good trees is what `kustomize build` 5.8.2 makes of them, byte for byte; what
//! it says about bad ones tells where and why.
//!
//! `fixtures`, `corpus` and `differences` compare with kustomize, `bad_input` tries files that no person writes by intent, `mutations`
//! those that nobody writes; `incremental` that what is kept between two commits changes no answer, `threads` that how many
//! work on one does not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod corpus;
mod differences;
mod fixtures;
mod incremental;
mod mutations;
#[path = "../harness/corpus.rs"]
mod source;
mod threads;
mod trees;

use leeboard::kustomize::{Options, OverridePatch, OverrideTarget, Overrides};

use trees::outcome;

const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1\n";

#[test]
fn bad_input_is_refused_with_its_place() {
    type Files<'a> = &'a [(&'static str, &'static str)];
    let cases: &[(Files<'_>, &str)] = &[
        // files, what is said
        (
            &[("kustomization.yaml", "resource: [a.yaml]\nnamePrefx: a-\n")],
            "kustomization.yaml:1:1: unknown field `resource` in a Kustomization (Did you mean `resources`?)\n\
             kustomization.yaml:2:1: unknown field `namePrefx` in a Kustomization (Did you mean `namePrefix`?)",
        ),
        (
            &[("kustomization.yaml", "images:\n- name: web\n  newTag: 1.5\n")],
            "kustomization.yaml:3:11: `newTag` must be a string, found a number (Put the value into quotes.)",
        ),
        (
            &[("kustomization.yaml", "resources:\n- wob.yaml\n- gone.yaml\n"), ("web.yaml", WEB)],
            "kustomization.yaml:2:3: `wob.yaml` does not exist (Did you mean `web.yaml`?)\n\
             kustomization.yaml:3:3: `gone.yaml` does not exist",
        ),
        (
            &[("kustomization.yaml", "resources: [../../etc/passwd]\n")],
            "kustomization.yaml:1:13: `../../etc/passwd` lies outside the repository (seen from `.`)",
        ),
        (
            &[
                ("kustomization.yaml", "resources: [a]\n"),
                ("a/kustomization.yaml", "resources: [../web.yaml]\n"),
                ("web.yaml", WEB),
            ],
            "a/kustomization.yaml:1:13: `../web.yaml` lies outside of the directory of its kustomization \
             (Move the file, or make its directory a base and list that under `resources`.)",
        ),
        (
            &[
                ("kustomization.yaml", "resources: [a]\n"),
                ("a/kustomization.yaml", "resources: [../b]\n"),
                ("b/kustomization.yaml", "resources: [../a]\n"),
            ],
            "b/kustomization.yaml:1:13: `../a` leads back to a directory that is being built\n  it is reached by . → a → b → a",
        ),
        (
            &[("kustomization.yaml", "resources: [web.yaml, again.yaml]\n"), ("web.yaml", WEB), ("again.yaml", WEB)],
            "again.yaml:1:1: two objects are Deployment/web\n  the other one is at web.yaml:1:1",
        ),
        (
            &[
                ("kustomization.yaml", "resources: [web.yaml]\npatches:\n- path: patch.yaml\n"),
                ("web.yaml", WEB),
                ("patch.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: wob}\n"),
            ],
            "patch.yaml:1:1: no object is Deployment/wob, which this patch is for\n  there are Deployment/web",
        ),
        (
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\npatches:\n- target: {kind: Deployment}\n  patch: |\n    - op: replace\n      path: /spec/nope/x\n      value: 1\n",
                ),
                ("web.yaml", WEB),
            ],
            "kustomization.yaml:6:13: operation `replace` on `/spec/nope/x`: there is no `/spec/nope`",
        ),
        (
            &[("kustomization.yaml", "configMapGenerator:\n- name: c\n  literals: [a=1, a=2, b]\n")],
            "kustomization.yaml:3:19: the key `a` is given twice",
        ),
        (
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\nreplacements:\n- source: {kind: Secret, name: s}\n  targets:\n  - select: {kind: Deployment}\n",
                ),
                ("web.yaml", WEB),
            ],
            "kustomization.yaml:3:11: no object is selected by Secret `s`\n  there are Deployment/web",
        ),
        (
            &[("kustomization.yaml", "resources: ['https://github.com/a/b?ref=--upload-pack=x']\n")],
            "kustomization.yaml:1:13: `https://github.com/a/b?ref=--upload-pack=x` names no base in another repository: \
             `--upload-pack=x` is no branch, tag or commit: it begins with `-`",
        ),
        (
            &[
                ("kustomization.yaml", "generators: [g.yaml]\n"),
                (
                    "g.yaml",
                    "apiVersion: x/v1\nkind: G\nmetadata:\n  name: g\n  annotations:\n    config.kubernetes.io/function: 'exec: {path: ./run}'\n",
                ),
            ],
            "g.yaml:1:1: functions run a program and are refused",
        ),
        (
            &[
                ("kustomization.yaml", "resources: [web.yaml]\n"),
                (
                    "web.yaml",
                    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  annotations:\n    'on': a\n    '1': b\n",
                ),
            ],
            "web.yaml:7:5: kustomize writes the key `1` without its quotes, and then it is a number, not a string",
        ),
        (
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\nlabels:\n- pairs: {a: b}\n  fields:\n  - {path: spec/0/labels}\n",
                ),
                ("web.yaml", WEB),
            ],
            "web.yaml:6:3: the path `spec/0/labels` leads to an element of a list, and there is a mapping: write what the \
             field is called",
        ),
        (
            &[("kustomization.yaml", "helmCharts:\n- name: x\n")],
            "kustomization.yaml:2:3: Helm charts can't be rendered yet",
        ),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .map(|(files, expected)| (outcome(files, &Options::default()), expected))
        .filter(|(said, expected)| said != *expected)
        .map(|(said, expected)| format!("expected {expected}\nbut      {said}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn an_application_can_edit_the_root_kustomization() {
    let files = [("kustomization.yaml", "resources: [web.yaml]\nnamePrefix: a-\n"), ("web.yaml", WEB)];
    let options = Options {
        overrides: Overrides {
            name_prefix: Some("b-".into()),
            namespace: Some("shop".into()),
            replicas: vec![("web".into(), "3".into())],
            common_labels: vec![("team".into(), "x".into())],
            label_without_selector: true,
            components: vec!["missing".into()],
            ignore_missing_components: true,
            patches: vec![OverridePatch {
                patch: "[{\"op\": \"add\", \"path\": \"/metadata/annotations/n\", \"value\": \"1\"}]".into(),
                target: Some(OverrideTarget { kind: "Deployment".into(), ..OverrideTarget::default() }),
                ..OverridePatch::default()
            }],
            ..Overrides::default()
        },
        ..Options::default()
    };
    let expected = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  annotations:\n    \"n\": \"1\"\n  labels:\n    team: x\n  \
                    name: b-web\n  namespace: shop\nspec:\n  replicas: 3\n";
    assert_eq!(outcome(&files, &options), expected);
}
