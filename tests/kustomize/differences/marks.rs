//! Labels, annotations, and what `buildMetadata` notes there.

use super::{Case, DEPLOYMENT, check};

#[test]
fn marks_once_differed() {
    let cases: &[Case<'_>] = &[
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
            "annotations that are written again for buildMetadata are one value no more",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\nbuildMetadata: [originAnnotations]\ntransformers: [t.yaml]\n",
                ),
                (
                    "t.yaml",
                    "apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata: {name: t}\nannotations: {a: new}\nfieldSpecs: [{path: metadata/annotations}]\n",
                ),
                (
                    "base/kustomization.yaml",
                    "resources: [d.yaml]\ncommonAnnotations: {a: old}\nbuildMetadata: [originAnnotations]\n",
                ),
                ("base/d.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n"),
            ],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  annotations:\n    a: new\n    config.kubernetes.io/origin: |\n      path: base/d.yaml\n  name: d\nspec:\n  template:\n    metadata:\n      annotations:\n        a: old\n",
        ),
        (
            "annotations that are one value",
            &[
                ("kustomization.yaml", "resources: [base]\ntransformers: [t.yaml]\n"),
                (
                    "t.yaml",
                    "apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata: {name: t}\nannotations: {a: new}\nfieldSpecs: [{path: metadata/annotations}]\n",
                ),
                ("base/kustomization.yaml", "resources: [d.yaml]\ncommonAnnotations: {a: old}\n"),
                ("base/d.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n"),
            ],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  annotations:\n    a: new\n  name: d\nspec:\n  template:\n    metadata:\n      annotations:\n        a: new\n",
        ),
        (
            "of an annotation that is there twice the last one holds",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {a: one, a: two}}\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  annotations:\n    a: two\n  name: c\n",
        ),
        (
            "a mark for who manages what has no labels",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nbuildMetadata: [managedByLabel]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, labels: a}\n"),
            ],
            "refused",
        ),
        (
            "annotations that are none",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: a}\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "the same where the origin is noted there",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nbuildMetadata: [originAnnotations]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: a}\n"),
            ],
            "refused",
        ),
        (
            "a null in the place of annotations takes a value once the name has changed",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nnameSuffix: -x\ntransformers:\n- |\n  apiVersion: builtin\n  kind: ValueAddTransformer\n  metadata: {name: v}\n  value: b\n  targets: [{fieldPath: metadata/annotations/a}]\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  annotations: null\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  annotations:\n    a: b\n  name: c-x\n",
        ),
        (
            "a transformer that makes no field fills annotations that are null",
            &[
                (
                    "kustomization.yaml",
                    "resources: [o.yaml]\ntransformers:\n- |-\n  apiVersion: builtin\n  kind: AnnotationsTransformer\n  metadata: {name: t}\n  annotations: {x: y}\n  fieldSpecs: [{path: metadata/annotations}, {path: spec/template/metadata/annotations}]\n",
                ),
                (
                    "o.yaml",
                    "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\n  annotations:\nspec: {template: {metadata: {annotations: null}}}\n",
                ),
            ],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  annotations:\n    x: \"y\"\n  name: d\nspec:\n  template:\n    metadata:\n      annotations: null\n",
        ),
        (
            "a number that a patch writes into a common label is one in the selector too",
            &[
                ("kustomization.yaml", "resources: [base]\npatches:\n- path: p.yaml\n"),
                ("base/kustomization.yaml", "resources: [o.yaml]\ncommonLabels: {k: v}\n"),
                ("base/o.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n"),
                ("p.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\n  labels: {k: 5}\n"),
            ],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels:\n    k: 5\n  name: d\nspec:\n  selector:\n    matchLabels:\n      k: 5\n  template:\n    metadata:\n      labels:\n        k: 5\n",
        ),
        (
            "an annotation without a name",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {\"\": x}}\n"),
            ],
            "refused",
        ),
        (
            "an annotation with nothing for a name",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                (
                    "change.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  annotations:\n    &pp: patched\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "refused",
        ),
        (
            "a label needs quotes or not where it is made, not where it is changed",
            &[
                (
                    "kustomization.yaml",
                    "resources: [upper]\npatches:\n- patch: |\n    apiVersion: e/v1\n    kind: C\n    metadata: {name: c, labels: {a: 5, b: true}}\n",
                ),
                ("upper/kustomization.yaml", "resources: [../lower]\ncommonLabels: {a: \"true\", b: w}\n"),
                ("lower/kustomization.yaml", "resources: [c.yaml]\ncommonLabels: {a: w, b: \"true\"}\n"),
                ("lower/c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\n"),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  labels:\n    a: 5\n    b: \"true\"\n  name: c\n",
        ),
        (
            "the same in front of what a generated text gets for a prefix",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: c}\n    data: {a: 5, b: 5}\n",
                ),
                (
                    "base/kustomization.yaml",
                    "namePrefix: p-\ngeneratorOptions: {disableNameSuffixHash: true}\nconfigMapGenerator: [{name: c, literals: [a=true, b=x]}]\nconfigurations: [names.yaml]\n",
                ),
                (
                    "base/names.yaml",
                    "namePrefix:\n- {path: data/a, kind: ConfigMap}\n- {path: data/b, kind: ConfigMap}\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: \"5\"\n  b: 5\nkind: ConfigMap\nmetadata:\n  name: p-c\n",
        ),
        (
            "a field spec without a path",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {a: b}\n  fields:\n  - {kind: C, create: true}\n",
                ),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\n"),
            ],
            "refused",
        ),
        (
            "a field spec of another kind without a path, and a slash in front of one",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {a: b}\n  fields:\n  - {kind: D}\n  - {path: /spec, create: true}\n",
                ),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\n"),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  labels:\n    a: b\n  name: c\nspec:\n  a: b\n",
        ),
        (
            "a path with a slash at its end",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nlabels:\n- pairs: {a: b}\n  fields:\n  - {path: spec/}\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: b}\n"),
            ],
            "refused",
        ),
        (
            "two slashes in a path that is not followed so far",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {a: b}\n  fields:\n  - {path: spec//a}\n",
                ),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\n"),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  labels:\n    a: b\n  name: c\n",
        ),
        (
            "the name of an annotation that is text only because of its quotes",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c, annotations: {\"1\": x}}\na: {b: c}\n"),
            ],
            "refused",
        ),
        (
            "one that YAML 1.1 takes for a bool, and labels",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c, annotations: {\"on\": x, \"=\": y}, labels: {\"1\": x, \"true\": y}}\na: {b: c}\n",
                ),
            ],
            "a:\n  b: c\napiVersion: e/v1\nkind: C\nmetadata:\n  annotations:\n    =: \"y\"\n    \"on\": x\n  labels:\n    \"1\": x\n    \"true\": \"y\"\n  name: c\n",
        ),
        (
            "one that an operation adds",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: p.yaml, target: {kind: C}}]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c, labels: {l: m}, annotations: {n: o}}\na: {b: c}\n",
                ),
                ("p.yaml", "- {op: add, path: /metadata/annotations/1e3, value: x}\n"),
            ],
            "refused",
        ),
        (
            "one that is taken away before the end",
            &[
                ("kustomization.yaml", "resources: [b]\npatches: [{path: p.yaml, target: {kind: C}}]\n"),
                ("p.yaml", "- {op: remove, path: /metadata/annotations}\n"),
                ("b/kustomization.yaml", "resources: [c.yaml]\nnamePrefix: p-\n"),
                ("b/c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c, annotations: {\"1\": x}}\na: {b: c}\n"),
            ],
            "a:\n  b: c\napiVersion: e/v1\nkind: C\nmetadata:\n  name: p-c\n",
        ),
        (
            "such a label of a patch with a target",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: p.yaml, target: {kind: C}}]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c, labels: {l: m}, annotations: {n: o}}\na: {b: c}\n",
                ),
                ("p.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c, labels: {\"true\": x}}\na: {b: c}\n"),
            ],
            "refused",
        ),
        (
            "the same of a patch without one",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: p.yaml}]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c, labels: {l: m}}\na: {b: c}\n"),
                ("p.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c, labels: {\"true\": x}}\na: {b: c}\n"),
            ],
            "a:\n  b: c\napiVersion: e/v1\nkind: C\nmetadata:\n  labels:\n    l: m\n    \"true\": x\n  name: c\n",
        ),
        (
            "one of a pod's annotations",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ncommonAnnotations: {q: r}\n"),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: c}\nspec: {template: {metadata: {annotations: {\"1\": x}}}}\n",
                ),
            ],
            "apiVersion: v1\nkind: ReplicationController\nmetadata:\n  annotations:\n    q: r\n  name: c\nspec:\n  template:\n    metadata:\n      annotations:\n        \"1\": x\n        q: r\n",
        ),
        (
            "labels and annotations of a patch with a target, of which some have no name",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: p.yaml, target: {kind: C}}]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c, labels: {l: m}, annotations: {n: o}}\na: {b: c}\n",
                ),
                (
                    "p.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c, labels: {\"\": x, y: z}, annotations: {p: q}}\na: {b: c}\n",
                ),
            ],
            "a:\n  b: c\napiVersion: e/v1\nkind: C\nmetadata:\n  annotations:\n    \"n\": o\n    p: q\n  labels:\n    l: m\n  name: c\n",
        ),
        (
            "annotations of which one has no name when operations have passed by",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nbuildMetadata: [originAnnotations]\npatches: [{path: p.yaml, target: {kind: C}}]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c, labels: {\"\": x}, annotations: {\"\": y, z: a}}\na: {b: c}\n",
                ),
                ("p.yaml", "- {op: add, path: /a/d, value: e}\n"),
            ],
            "a:\n  b: c\n  d: e\napiVersion: e/v1\nkind: C\nmetadata:\n  annotations:\n    config.kubernetes.io/origin: |\n      configuredIn: kustomization.yaml\n      configuredBy:\n        apiVersion: builtin\n        kind: PatchTransformer\n  labels:\n    \"\": x\n  name: c\n",
        ),
    ];
    check(cases);
}
