//! Patches of operations, and what JSON makes of an object on its way to them.

use super::{Case, check};

#[test]
fn operations_once_differed() {
    let cases: &[Case<'_>] = &[
        // what it is about, files, what is printed
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
            "the same with operations, which know no comments",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: '[{\"op\": \"remove\", \"path\": \"/data/a\"}]'\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: # why\n  a: b\n"),
            ],
            "apiVersion: v1\ndata: {}\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a test in JSON compares what is written",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: '[{\"op\": \"test\", \"path\": \"/data/a\", \"value\": 1.0}]'\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 1.0}\n"),
            ],
            "refused",
        ),
        (
            "a test in YAML compares values",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: '- {op: test, path: /data/a, value: 1.0}'\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 1.0}\n"),
            ],
            "apiVersion: v1\ndata:\n  a: 1\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "an operation without a path that finds nothing to work on",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: Pod}\n  patch: '[{\"op\": \"add\", \"value\": 1}]'\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "an operation without a path",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: '[{\"op\": \"add\", \"value\": 1}]'\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "refused",
        ),
        (
            "a label selector without sense that nothing is asked about",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: Pod, labelSelector: a in b}\n  patch: '[{\"op\": \"remove\", \"path\": \"/data\"}]'\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "numbers are written anew by operations",
            &[
                ("kustomization.yaml", "resources: [base]\nconfigMapGenerator: [{name: c, behavior: merge}]\n"),
                (
                    "base/kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: '- {op: add, path: /metadata/labels, value: {x: z}}'\n",
                ),
                (
                    "base/c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 1.0000005e6, b: 1000000, c: 12}\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: \"1.0000005e+06\"\n  b: \"1e+06\"\n  c: \"12\"\nkind: ConfigMap\nmetadata:\n  labels:\n    x: z\n  name: c\n",
        ),
        (
            "a count takes the place of a text that operations have put there",
            &[
                (
                    "kustomization.yaml",
                    "resources: [d.yaml]\npatches:\n- target: {kind: Deployment}\n  patch: '- {op: add, path: /spec/replicas, value: many}'\nreplicas: [{name: d, count: 3}]\n",
                ),
                ("d.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {}\n"),
            ],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  replicas: 3\n",
        ),
        (
            "what has been through JSON is in no braces any more",
            &[
                (
                    "kustomization.yaml",
                    "resources: [r.yaml]\npatches:\n- target: {kind: ClusterRole}\n  patch: '[{\"op\": \"add\", \"path\": \"/rules/0/b\", \"value\": 1}]'\n- target: {kind: ClusterRole}\n  path: change.yaml\n",
                ),
                ("change.yaml", "kind: ClusterRole\nmetadata: {name: ignored}\nrules:\n- verbs:\n"),
                ("r.yaml", "kind: ClusterRole\nmetadata: {name: c}\nrules: [{verbs: [get], a: }]\n"),
            ],
            "apiVersion: null\nkind: ClusterRole\nmetadata:\n  name: c\nrules:\n- verbs: null\n",
        ),
        (
            "nothing in braces becomes an empty string on its way through JSON",
            &[
                (
                    "kustomization.yaml",
                    "resources: [r.yaml]\npatches:\n- target: {kind: ClusterRole}\n  patch: '[{\"op\": \"add\", \"path\": \"/b\", \"value\": 1}]'\n",
                ),
                ("r.yaml", "kind: ClusterRole\nmetadata: {name: c}\nrules: [{verbs: [get], a: }]\nc:\n"),
            ],
            "b: 1\nc: null\nkind: ClusterRole\nmetadata:\n  name: c\nrules:\n- a: \"\"\n  verbs:\n  - get\n",
        ),
        (
            "a value of the wrong type is found by operations, though a later step replaces it",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\npatches:\n- target: {kind: Deployment}\n  patch: '[{\"op\": \"add\", \"path\": \"/b\", \"value\": 1}]'\nreplicas: [{name: web, count: 7}]\n",
                ),
                (
                    "base/kustomization.yaml",
                    "resources: [web.yaml]\nreplacements:\n- sourceValue: text\n  targets:\n  - select: {kind: Deployment}\n    fieldPaths: [spec.replicas]\n",
                ),
                (
                    "base/web.yaml",
                    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n",
                ),
            ],
            "refused",
        ),
        (
            "a time in braces is a string on its way through JSON",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: '[{\"op\": \"add\", \"path\": \"/b\", \"value\": 1}]'\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 2001-12-14t21:59:43.10-05:00}\nc: 2001-12-14t21:59:43.10-05:00\n",
                ),
            ],
            "apiVersion: v1\nb: 1\nc: \"2001-12-14T21:59:43.1-05:00\"\ndata:\n  a: \"2001-12-14t21:59:43.10-05:00\"\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a comment that hides what is behind it, though an operation takes both away",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\npatches:\n- target: {kind: W}\n  patch: '[{\"op\": \"remove\", \"path\": \"/spec\"}]'\n",
                ),
                (
                    "base/change.yaml",
                    "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec:\n  template: # why\n    spec: {a: b}\n",
                ),
                ("base/kustomization.yaml", "resources: [l.yaml]\npatches:\n- path: change.yaml\n"),
                (
                    "base/l.yaml",
                    "apiVersion: v1\nkind: WList\nitems: [{apiVersion: e/v1, kind: W, metadata: {name: w}}]\n",
                ),
            ],
            "refused",
        ),
        (
            "a comment behind the key of annotations hides nothing where notes stand in them",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\npatches:\n- target: {kind: ConfigMap}\n  patch: '[{\"op\": \"add\", \"path\": \"/a\", \"value\": 1}]'\n",
                ),
                (
                    "base/c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  annotations: # why\n    a: b\n",
                ),
                (
                    "base/kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata:\n      name: c\n      annotations: {a: null}\n",
                ),
            ],
            "a: 1\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a test for a text with the character U+0085, which a patch loses on its way",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: \"[{\\\"op\\\": \\\"test\\\", \\\"path\\\": \\\"/data/a\\\", \\\"value\\\": \\\"x\\u0085y\\\"}]\"\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: \"x\\u0085y\"}\n"),
            ],
            "refused",
        ),
        (
            "a test for a text with that character in an item of a list, which loses it when it is read",
            &[
                (
                    "kustomization.yaml",
                    "resources: [l.yaml]\npatches:\n- target: {kind: W}\n  patch: |\n    - {op: test, path: /a, value: \"x\\u0085y\"}\n",
                ),
                (
                    "l.yaml",
                    "apiVersion: v1\nkind: WList\nitems: [{apiVersion: e/v1, kind: W, metadata: {name: w}, a: \"x\\u0085y\"}]\n",
                ),
            ],
            "refused",
        ),
        (
            "nothing that is copied into braces is null, and out of braces an empty text",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: C}\n  patch: |\n    - {op: copy, from: /spec, path: /metadata/copied}\n    - {op: move, from: /b, path: /metadata/moved}\n    - {op: copy, from: /metadata/c, path: /d}\n",
                ),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c, c: }\nspec:\nb:\n"),
            ],
            "apiVersion: e/v1\nd: \"\"\nkind: C\nmetadata:\n  c: \"\"\n  copied: null\n  moved: null\n  name: c\nspec: null\n",
        ),
        (
            "text that nobody has given a type is a number behind operations, so that a patch behind them puts it into no quotes",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\npatches:\n- target: {kind: ConfigMap}\n  patch: '- {op: add, path: /metadata/annotations, value: {x: z}}'\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: c, labels: {d: e}}\n",
                ),
                (
                    "base/kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: ConfigMap, fieldPath: data.k, options: {delimiter: '-', index: 1}}\n  targets: [{select: {kind: ConfigMap}, fieldPaths: [metadata.labels.a], options: {create: true}}]\n- sourceValue: '310'\n  targets: [{select: {kind: ConfigMap}, fieldPaths: [metadata.labels.b], options: {create: true}}]\n",
                ),
                ("base/c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: gamma-2}\n"),
            ],
            "apiVersion: v1\ndata:\n  k: gamma-2\nkind: ConfigMap\nmetadata:\n  annotations:\n    x: z\n  labels:\n    a: 2\n    b: 310\n    d: e\n  name: c\n",
        ),
        (
            "nothing that nobody has given a type is an empty text behind operations where braces are around it, and else null",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\npatches:\n- target: {kind: C}\n  patch: '- {op: add, path: /d, value: z}'\n",
                ),
                (
                    "base/kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: C, fieldPath: a, options: {delimiter: '-', index: 0}}\n  targets: [{select: {kind: C}, fieldPaths: [b, s.t, metadata.annotations.c], options: {create: true}}]\n",
                ),
                ("base/c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na: --x\ns: {}\n"),
            ],
            "a: --x\napiVersion: e/v1\nb: null\nd: z\nkind: C\nmetadata:\n  annotations:\n    c: \"\"\n  name: c\ns:\n  t: \"\"\n",
        ),
    ];
    check(cases);
}
