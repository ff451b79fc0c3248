//! What the differential fuzzer (`examples/fuzz_kustomize`) has found: each tree once differed from `kustomize build`
//! 5.8.2, which prints what stands here.

use leeboard::kustomize::{Options, build};
use leeboard::source::TreePath;

use super::trees::{Tree, printed};

/// What a build of the tree's root prints; `refused` when it does not.
fn outcome(files: &[(&str, &str)]) -> String {
    build(&Tree::new(files), &TreePath::root(), &Options::default())
        .map_or_else(|_| "refused".into(), |rendered| printed(&rendered))
}

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";

#[test]
fn what_once_differed_is_printed_alike() {
    type Files<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(&str, Files<'_>, &str)] = &[
        // what it is about, files, what is printed
        (
            "a label that one entry has made in several places is one value for the next entry",
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\nlabels:\n- pairs: {a: one}\n  includeTemplates: true\n- pairs: {a: two}\n",
                ),
                ("web.yaml", DEPLOYMENT),
            ],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels:\n    a: two\n  name: web\nspec:\n  template:\n    \
             metadata:\n      labels:\n        a: two\n",
        ),
        (
            "the same inside of lists",
            &[
                (
                    "kustomization.yaml",
                    "resources: [policy.yaml]\nlabels:\n- pairs: {a: one}\n  includeSelectors: true\n- pairs: {a: two}\n",
                ),
                (
                    "policy.yaml",
                    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  ingress:\n  \
                     - from:\n    - podSelector: {matchLabels: {app: x}}\n",
                ),
            ],
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  labels:\n    a: two\n  name: p\nspec:\n  \
             ingress:\n  - from:\n    - podSelector:\n        matchLabels:\n          a: two\n          app: x\n",
        ),
        (
            "a patch that replaces the whole object does nothing",
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\npatches:\n- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    \
                     metadata: {name: web}\n    $patch: replace\n    spec: {replicas: 2}\n",
                ),
                ("web.yaml", DEPLOYMENT),
            ],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n",
        ),
        (
            "a patch that takes the annotations away takes the hash and the former names with them",
            &[(
                "kustomization.yaml",
                "configMapGenerator:\n- name: c\n  literals: [a=b]\npatches:\n- patch: |\n    apiVersion: v1\n    \
                     kind: ConfigMap\n    metadata: {name: c, annotations: null}\n",
            )],
            "apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "the text of an entry of patches is trimmed",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    \
                     metadata: {name: c}\n    data:\n      k: |\n        v\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "apiVersion: v1\ndata:\n  k: v\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a generator object has no field env",
            &[
                ("kustomization.yaml", "generators: [g.yaml]\n"),
                ("g.yaml", "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: c}\nenv: a.env\n"),
                ("a.env", "A=1\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c-6ct58987ht\n",
        ),
        (
            "a replacement that gives two objects one name",
            &[
                (
                    "kustomization.yaml",
                    "resources: [two.yaml]\nreplacements:\n- sourceValue: same\n  targets:\n  - select: {kind: Pod}\n",
                ),
                (
                    "two.yaml",
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: b}\n",
                ),
            ],
            "refused",
        ),
        (
            "folded blocks with indented lines, and with empty lines at the end",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: >\n    x\n      y\n    z\n  b: >+\n    x\n\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: |\n    x\n\n      y\n    z\n  b: |+\n    x\n\n\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a time in an item of a typed list is a time, in braces too",
            &[
                ("kustomization.yaml", "resources: [list.yaml]\n"),
                (
                    "list.yaml",
                    "apiVersion: v1\nkind: WList\nitems: [{apiVersion: e/v1, kind: W, metadata: {name: w}, \
                     t: 2001-12-14t21:59:43.10-05:00}]\n",
                ),
            ],
            "apiVersion: e/v1\nkind: W\nmetadata:\n  name: w\nt: \"2001-12-14T21:59:43.1-05:00\"\n",
        ),
        (
            "annotations with nothing in them take a value once the name has changed",
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\nnamePrefix: p-\nreplacements:\n- sourceValue: v\n  targets:\n  \
                     - select: {kind: Pod}\n    fieldPaths: [metadata.annotations.a]\n    options: {create: true}\n",
                ),
                ("web.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  annotations:\n"),
            ],
            "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    a: v\n  name: p-web\n",
        ),
        (
            "data that is no mapping is hashed as its text",
            &[(
                "kustomization.yaml",
                "secretGenerator: [{name: x, literals: [a=b]}]\npatches:\n- target: {name: x}\n  \
                 patch: '[{\"op\": \"replace\", \"path\": \"/data\", \"value\": 430}]'\n",
            )],
            "apiVersion: v1\ndata: 430\nkind: Secret\nmetadata:\n  name: x-728tdfh999\ntype: Opaque\n",
        ),
        (
            "a Secret without data that another one without data is merged into has no data at all",
            &[("kustomization.yaml", "secretGenerator: [{name: x}, {name: x, behavior: merge}]\n")],
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x-8226t8dd99\ntype: Opaque\n",
        ),
        (
            "operations that take the annotations away take the origin with them",
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\nbuildMetadata: [originAnnotations]\npatches:\n- target: {kind: Pod}\n  patch: \
                     '[{\"op\": \"add\", \"path\": \"/metadata/annotations\", \"value\": null}]'\n",
                ),
                ("web.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web, annotations: {a: b}}\n"),
            ],
            "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    config.kubernetes.io/origin: |\n      configuredIn: \
             kustomization.yaml\n      configuredBy:\n        apiVersion: builtin\n        kind: PatchTransformer\n  name: \
             web\n",
        ),
        (
            "origins are shown as entries lead to them",
            &[
                ("kustomization.yaml", "resources: [below]\nbuildMetadata: [originAnnotations]\n"),
                ("below/kustomization.yaml", "resources: [../below2/]\n"),
                ("below2/kustomization.yaml", "resources: [./web.yaml]\n"),
                ("below2/web.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"),
            ],
            "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    config.kubernetes.io/origin: |\n      path: \
             below2/web.yaml\n  name: web\n",
        ),
        (
            "nothing in braces is an empty text",
            &[
                ("kustomization.yaml", "resources: [web.yaml]\n"),
                ("web.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: web}\na: {b: , c: null}\nd:\n"),
            ],
            "a:\n  b: \"\"\n  c: null\napiVersion: e/v1\nd: null\nkind: W\nmetadata:\n  name: web\n",
        ),
        (
            "what a patch adds to an item of a typed list stands in braces",
            &[
                (
                    "kustomization.yaml",
                    "resources: [list.yaml]\npatches:\n- patch: |\n    apiVersion: e/v1\n    kind: W\n    \
                     metadata: {name: w}\n    rules:\n    - groups:\n",
                ),
                (
                    "list.yaml",
                    "apiVersion: v1\nkind: WList\nitems:\n- apiVersion: e/v1\n  kind: W\n  metadata: {name: w}\n",
                ),
            ],
            "apiVersion: e/v1\nkind: W\nmetadata:\n  name: w\nrules:\n- groups: \"\"\n",
        ),
        (
            "a webhook whose service has no name",
            &[
                ("kustomization.yaml", "resources: [hook.yaml]\n"),
                (
                    "hook.yaml",
                    "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\n\
                     metadata: {name: h}\nwebhooks:\n- clientConfig: {service: {namespace: x}}\n",
                ),
            ],
            "refused",
        ),
        (
            "a replacement that makes a field below a null",
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\nreplacements:\n- sourceValue: v\n  targets:\n  - select: {kind: Pod}\n    \
                     fieldPaths: [metadata.labels.a]\n    options: {create: true}\n",
                ),
                ("web.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: null}\n"),
            ],
            "apiVersion: v1\nkind: Pod\nmetadata:\n  labels: null\n  name: web\n",
        ),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .map(|(about, files, expected)| (about, outcome(files), expected))
        .filter(|(_, printed, expected)| printed != *expected)
        .map(|(about, printed, expected)| format!("{about}\nexpected {expected}\nbut      {printed}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
