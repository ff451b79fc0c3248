//! Replacements: what is copied, and what becomes of the field that it goes to.

use super::{Case, check};

#[test]
fn replacements_once_differed() {
    let cases: &[Case<'_>] = &[
        // what it is about, files, what is printed
        (
            "a list that is not there has no elements to make",
            &[
                (
                    "kustomization.yaml",
                    "resources: [p.yaml]\nreplacements:\n- sourceValue: v\n  targets:\n  - select: {kind: Pod}\n    fieldPaths: ['spec.containers.*.env.*.name']\n    options: {create: true}\n",
                ),
                (
                    "p.yaml",
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: a\n    env: [{name: x}]\n  - name: b\n",
                ),
            ],
            "refused",
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
        (
            "what is written where a value comes from is what is copied next",
            &[
                (
                    "kustomization.yaml",
                    "resources: [two.yaml]\nreplacements:\n- source: {kind: Service}\n  targets:\n  - select: {kind: Service|ConfigMap}\n    options: {delimiter: '-', index: 1}\n",
                ),
                (
                    "two.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
                ),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c-s-s\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: s-s\n",
        ),
        (
            "a value that is added below a null",
            &[
                ("kustomization.yaml", "resources: [s.yaml]\ntransformers: [add.yaml]\n"),
                (
                    "add.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: x}\nvalue: \"5\"\ntargets: [{fieldPath: spec/a}]\n",
                ),
                ("s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n"),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec: null\n",
        ),
        (
            "a bool in the place of one whose type is written",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\npatches:\n- patch: |\n    apiVersion: e/v1\n    kind: W\n    metadata: {name: w}\n    a: true\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\na: !!bool \"false\"\n"),
            ],
            "a: true\napiVersion: e/v1\nkind: W\nmetadata:\n  name: w\n",
        ),
        (
            "an empty text that a replacement makes is a string in braces",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\nreplacements:\n- source:\n    kind: ReplicationController\n    fieldPath: spec.args.0\n    options: {delimiter: '-'}\n  targets:\n  - select: {kind: ReplicationController}\n    fieldPaths: [metadata.labels.made, spec.made]\n    options: {create: true}\n",
                ),
                (
                    "w.yaml",
                    "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: w, labels: {a: b}}\nspec: {args: [\"-v\"]}\n",
                ),
            ],
            "apiVersion: v1\nkind: ReplicationController\nmetadata:\n  labels:\n    a: b\n    made: \"\"\n  name: w\nspec:\n  args:\n  - -v\n  made: \"\"\n",
        ),
        (
            "several lines in the place of a word inside of a text",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: ConfigMap, fieldPath: data.x}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.a.host, data.a.list.0, data.b.f.a]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  x: |\n    one: 1\n\n    two\n  a: |\n    # why\n    host: web\n    list:\n    - a\n    - b\n  b: |\n    f: {a: b, c: d}\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: |-\n    # why\n    host: |\n      one: 1\n\n      two\n    list:\n    - |\n      one: 1\n\n      two\n    - b\n  b: 'f: {a: \"one: 1\\n\\ntwo\\n\", c: d}'\n  x: |\n    one: 1\n\n    two\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "the same where the lines begin or end with nothing",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: ConfigMap, fieldPath: data.x}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.a.host]\n- source: {kind: ConfigMap, fieldPath: data.y}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.a.port]\n- source: {kind: ConfigMap, fieldPath: data.z}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.a.list.0]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  x: \"a\\n\\n\"\n  y: \" a\\nb\\n\"\n  z: \"a \\nb\"\n  a: |\n    host: web\n    port: http\n    list:\n    - a\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: |-\n    host: |+\n      a\n\n    port: |2\n       a\n      b\n    list:\n    - \"a \\nb\"\n  x: |+\n    a\n\n  \"y\": |2\n     a\n    b\n  z: \"a \\nb\"\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "what is in no namespace is not in the default one for a replacement's target",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: ConfigMap, namespace: default}\n  targets:\n  - select: {kind: ConfigMap, namespace: default}\n    fieldPaths: [data.a]\n    options: {create: true}\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a value that is copied is the element's that once had the name, also when it has another one now",
            &[
                (
                    "kustomization.yaml",
                    "resources: [s.yaml]\nreplacements:\n- source: {kind: ServiceAccount, fieldPath: 'secrets.[name=web].name'}\n  targets:\n  - select: {kind: ServiceAccount}\n    fieldPaths: ['secrets.[name=web].name']\n    options: {delimiter: '-', index: -1}\n  - select: {name: default}\n",
                ),
                ("s.yaml", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default}\nsecrets: [{name: web}]\n"),
            ],
            "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: web-web\nsecrets:\n- name: web-web\n",
        ),
        (
            "text in the place of a bool that a generator has written",
            &[(
                "kustomization.yaml",
                "generatorOptions: {disableNameSuffixHash: true, immutable: true}\nconfigMapGenerator: [{name: c}]\nreplacements:\n- sourceValue: x\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [immutable]\n",
            )],
            "refused",
        ),
        (
            "text in the place of a count",
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\nreplicas: [{name: web, count: 4}]\nreplacements:\n- sourceValue: x\n  targets:\n  - select: {kind: Deployment}\n    fieldPaths: [spec.replicas]\n",
                ),
                ("web.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"),
            ],
            "refused",
        ),
        (
            "text in the place of a null that operations have put there",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: '[{\"op\": \"add\", \"path\": \"/data\", \"value\": {\"a\": null}}]'\nreplacements:\n- sourceValue: x\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.a]\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "refused",
        ),
        (
            "a number in the place of a text that operations have put there",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: '[{\"op\": \"add\", \"path\": \"/data\", \"value\": {\"a\": \"b\"}}]'\nreplacements:\n- sourceValue: \"7\"\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.a]\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "apiVersion: v1\ndata:\n  a: \"7\"\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "text in the place of a null in an item of a list",
            &[
                (
                    "kustomization.yaml",
                    "resources: [l.yaml]\nreplacements:\n- sourceValue: x\n  targets:\n  - select: {kind: W}\n    fieldPaths: [a]\n",
                ),
                (
                    "l.yaml",
                    "apiVersion: v1\nkind: WList\nitems: [{apiVersion: e/v1, kind: W, metadata: {name: w}, a: null}]\n",
                ),
            ],
            "refused",
        ),
        (
            "several lines in single quotes inside of a text",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: ConfigMap, fieldPath: data.v}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.t.a, data.t.b.c]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  v: \"it's\\nb\\n\"\n  t: |\n    # why\n    a: 'x'\n    b: {c: 'x'}\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  t: |-\n    # why\n    a: 'it''s\n\n      b\n\n    '\n    b: {c: 'it''s\n\n        b\n\n    '}\n  v: |\n    it's\n    b\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "the same where such quotes can't hold them",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: ConfigMap, fieldPath: data.v}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.t.a]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  v: \"a\\n  b\"\n  t: |\n    # why\n    a: 'x'\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  t: |-\n    # why\n    a: \"a\\n  b\"\n  v: |-\n    a\n      b\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a comment behind a word that becomes several lines, which look like a comment themselves",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: ConfigMap, fieldPath: data.v}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.t.a, data.t.a]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  v: \"# a\\nb\"\n  t: |\n    # why\n    a: x # line\n    b: y\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  t: |-\n    # why\n    a: |- # line\n      # a\n      b\n    b: y\n  v: |-\n    # a\n    b\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "text that would be something else without quotes inside of a text",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: ConfigMap, fieldPath: data.v}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.t.a, data.t.b.0]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  v: \"- a\"\n  t: |\n    # why\n    a: x\n    b: [x]\n    c: 12:30\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  t: |-\n    # why\n    a: '- a'\n    b: ['- a']\n    c: 12:30\n  v: '- a'\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a tab inside of a text inside of a text",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: ConfigMap, fieldPath: data.v}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.t.a, data.t.b]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  v: \"a\\tb\"\n  t: |\n    # why\n    a: x\n    b: |\n      x\n      y\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  t: \"# why\\na: \\\"a\\\\tb\\\"\\nb: |-\\n  a\\tb\"\n  v: \"a\\tb\"\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a merge that is none is read as one",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: ConfigMap, fieldPath: data.v}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.t.a, data.t.a]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  v: \"<<\"\n  t: |\n    # why\n    a: x\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  t: |-\n    # why\n    a: !!merge <<\n  v: <<\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a variable of which the value is a null",
            &[
                (
                    "kustomization.yaml",
                    "resources: [two.yaml]\nvars: [{name: V, objref: {kind: ConfigMap, apiVersion: v1, name: c}, fieldref: {fieldpath: data.a}}]\n",
                ),
                (
                    "two.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: ~}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, args: [$(V)]}]}\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: null\nkind: ConfigMap\nmetadata:\n  name: c\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - args:\n    - \"~\"\n    name: a\n",
        ),
        (
            "a name that has become empty is none that a replacement in the next layer can tell",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\nnamePrefix: a-\nreplacements:\n- source: {kind: Pod, name: p}\n  targets:\n  - select: {kind: Pod}\n    fieldPaths: [metadata.name]\n",
                ),
                (
                    "base/kustomization.yaml",
                    "resources: [o.yaml]\nnamespace: shop\nreplacements:\n- source: {kind: Role, fieldPath: rules.0.apiGroups.0}\n  targets:\n  - select: {kind: Service}\n",
                ),
                (
                    "base/o.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules: [{apiGroups: [\"\"]}]\n",
                ),
            ],
            "refused",
        ),
        (
            "generated text of which a part is replaced is in no quotes for a patch",
            &[
                ("kustomization.yaml", "resources: [base]\npatches:\n- path: p.yaml\n"),
                (
                    "base/kustomization.yaml",
                    "generatorOptions: {disableNameSuffixHash: true}\nconfigMapGenerator:\n- name: c\n  literals: [a= b]\nreplacements:\n- sourceValue: x\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.a]\n    options: {delimiter: \":\", index: -1}\n",
                ),
                ("p.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 5}\n"),
            ],
            "apiVersion: v1\ndata:\n  a: 5\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a replacement that puts text into quotes in which there was a number",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\nreplacements:\n- sourceValue: \"7\"\n  targets:\n  - select: {kind: Service}\n    fieldPaths: [spec.a]\n    options: {delimiter: \"/\", index: 1}\n",
                ),
                ("base/kustomization.yaml", "resources: [o.yaml]\npatches:\n- path: p.yaml\n"),
                ("base/o.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {a: \"x\"}\n"),
                ("base/p.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {a: 5}\n"),
            ],
            "refused",
        ),
        (
            "the same where it fits the type, and takes the quotes away",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\nreplacements:\n- sourceValue: \"7\"\n  targets:\n  - select: {kind: Service}\n    fieldPaths: [spec.a]\n",
                ),
                ("base/kustomization.yaml", "resources: [o.yaml]\npatches:\n- path: p.yaml\n"),
                ("base/o.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {a: \"x\"}\n"),
                ("base/p.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {a: 1.5}\n"),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  a: 7\n",
        ),
        (
            "a value that changes while its replacement goes through a list",
            &[
                (
                    "kustomization.yaml",
                    "resources: [o.yaml]\nreplacements:\n- source: {kind: Service, fieldPath: spec.ports.0.name}\n  targets:\n  - select: {kind: Service}\n    fieldPaths: [\"spec.ports.*.name\"]\n    options: {delimiter: \":\", index: 9}\n",
                ),
                (
                    "o.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports:\n  - {name: a, port: 1}\n  - {name: b, port: 2}\n",
                ),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  ports:\n  - name: a:a\n    port: 1\n  - name: b:a:a\n    port: 2\n",
        ),
        (
            "comments of YAML in a text into which lines are written",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- sourceValue: \"x\\ny\\n\"\n  targets: [{select: {kind: ConfigMap}, fieldPaths: [data.f.a.0, data.f.a.1, data.f.b, data.f.g]}]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  f: |\n    a:\n    # one\n    - b # two\n    # three\n    - d # four\n    - f # five\n    b: # six\n      x\n    g: 'h' # seven\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  f: |-\n    a:\n    # one\n    - | # two\n      x\n      y\n    # three\n    - | # four\n      x\n      y\n    - f # five\n    b: | # six\n      x\n      y\n    g: 'x\n\n      y\n\n    ' # seven\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "comments below what lines are written into",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- sourceValue: \"x\\ny\\n\"\n  targets: [{select: {kind: ConfigMap}, fieldPaths: [data.f.a]}]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  f: |\n    a: b\n    # one\n\n    c: d\n    # two\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  f: |-\n    a: |\n      x\n      y\n    # one\n\n    c: d\n    # two\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a separator of lines in YAML in a text, read again",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- sourceValue: \"x\\Ly\"\n  targets: [{select: {kind: ConfigMap}, fieldPaths: [data.f.a, data.f.c, data.f.e.g, data.f.h.0]}]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  f: |\n    a: 'b'\n    c: \"d\"\n    e:\n      g: 'h'\n    h: [i]\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  f: |-\n    a: 'x\u{2028}      y'\n    c: \"x\\Ly\"\n    e:\n      g: 'x\u{2028}        y'\n    h: ['x\u{2028}        y']\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "bools and numbers of a list beside another object are copied as JSON writes them",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: A, fieldPath: spec.a}\n  targets: [{select: {kind: Service}, fieldPaths: [metadata.labels.a]}]\n- source: {kind: A, fieldPath: spec.b}\n  targets: [{select: {kind: Service}, fieldPaths: [metadata.labels.b]}]\n- source: {kind: A, fieldPath: spec.c}\n  targets: [{select: {kind: Service}, fieldPaths: [metadata.labels.c]}]\n- source: {kind: A, fieldPath: spec.d}\n  targets: [{select: {kind: Service}, fieldPaths: [metadata.labels.d]}]\n",
                ),
                (
                    "c.yaml",
                    "kind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: c, labels: {a: x, b: x, c: x, d: x}}\n- {apiVersion: e/v1, kind: A, metadata: {name: c}, spec: {a: True, b: 0x1F, c: 1.50, d: 1234567890.5}}\n---\n{apiVersion: e/v1, kind: B, metadata: {name: c}}\n",
                ),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  labels:\n    a: \"true\"\n    b: \"31\"\n    c: \"1.5\"\n    d: \"1234567890.5\"\n  name: c\n---\napiVersion: e/v1\nkind: A\nmetadata:\n  name: c\nspec:\n  a: true\n  b: 31\n  c: 1.5\n  d: 1.2345678905e+09\n---\napiVersion: e/v1\nkind: B\nmetadata:\n  name: c\n",
        ),
        (
            "folded text in a text into which a value is written",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- source: {kind: ConfigMap, fieldPath: metadata.name}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.t.k]\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  t: |\n    a: >\n      one\n      two\n        three\n      four\n    b: # why\n    - c: >- # it is short\n        one\n        two\n      d: >+\n        one\n\n    k: old # here\n    e: >\n      one\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  t: |-\n    a: >\n      one two\n\n        three\n      four\n\n    b: # why\n    - c: >- # it is short\n        one two\n      d: >+\n        one\n\n\n    k: c # here\n    e: >\n      one\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a generated text that needed quotes keeps them when it is replaced by one that needs none",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: c}\n    data: {a: 310, b: true, c: 310}\n",
                ),
                (
                    "base/kustomization.yaml",
                    "resources: [s.yaml]\ngeneratorOptions: {disableNameSuffixHash: true}\nconfigMapGenerator: [{name: c, literals: ['a=# x', c=x], files: [b=lines]}]\nreplacements:\n- source: {kind: Service}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.a, data.b, data.c]\n",
                ),
                ("base/lines", "one\ntwo\n"),
                ("base/s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"),
            ],
            "apiVersion: v1\ndata:\n  a: \"310\"\n  b: \"true\"\n  c: 310\nkind: ConfigMap\nmetadata:\n  name: c\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: s\n",
        ),
        (
            "a number in the path of a source is no key",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\nreplacements:\n- source: {kind: W, fieldPath: spec.12}\n  targets: [{select: {kind: W}, fieldPaths: [spec.a], options: {create: true}}]\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec: {\"12\": x}\n"),
            ],
            "refused",
        ),
        (
            "a number has a sign and zeros in front",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\nreplacements:\n- source: {kind: W, fieldPath: spec.l.+01}\n  targets: [{select: {kind: W}, fieldPaths: [spec.l.-0], options: {create: true}}]\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec: {l: [x, z]}\n"),
            ],
            "apiVersion: e/v1\nkind: W\nmetadata:\n  name: w\nspec:\n  l:\n  - z\n  - z\n",
        ),
        (
            "one that Go can't hold is a key, which is none of text",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\nreplacements:\n- sourceValue: x\n  targets: [{select: {kind: W}, fieldPaths: [spec.99999999999999999999], options: {create: true}}]\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec: {}\n"),
            ],
            "refused",
        ),
        (
            "the same that is there",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\nreplacements:\n- sourceValue: x\n  targets: [{select: {kind: W}, fieldPaths: [spec.99999999999999999999], options: {create: true}}]\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec: {\"99999999999999999999\": z}\n"),
            ],
            "apiVersion: e/v1\nkind: W\nmetadata:\n  name: w\nspec:\n  \"99999999999999999999\": x\n",
        ),
        (
            "a key that is made and no text",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\nreplacements:\n- sourceValue: x\n  targets: [{select: {kind: W}, fieldPaths: [spec.true], options: {create: true}}]\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec: {}\n"),
            ],
            "refused",
        ),
        (
            "blanks and nothing in the path of a source",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\nreplacements:\n- source: {kind: W, fieldPath: \" spec.. a.\"}\n  targets: [{select: {kind: W}, fieldPaths: [spec.b], options: {create: true}}]\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec: {a: x}\n"),
            ],
            "apiVersion: e/v1\nkind: W\nmetadata:\n  name: w\nspec:\n  a: x\n  b: x\n",
        ),
        (
            "a blank in the path of a target is one of the key",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\nreplacements:\n- sourceValue: x\n  targets: [{select: {kind: W}, fieldPaths: [\"spec. a\"], options: {create: true}}]\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec: {a: x}\n"),
            ],
            "apiVersion: e/v1\nkind: W\nmetadata:\n  name: w\nspec:\n  ' a': x\n  a: x\n",
        ),
        (
            "an element by its field, for a variable",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml, v.yaml]\nvars: [{name: V, objref: {apiVersion: e/v1, kind: W, name: w}, fieldref: {fieldpath: 'spec.l.[a=x].a'}}]\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec: {l: [{a: x}], '5': z}\n"),
                ("v.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {a: $(V)}}\n"),
            ],
            "apiVersion: e/v1\nkind: W\nmetadata:\n  name: w\nspec:\n  \"5\": z\n  l:\n  - a: x\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    a: x\n  name: p\n",
        ),
        (
            "the number of an element for a variable",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml, v.yaml]\nvars: [{name: V, objref: {apiVersion: e/v1, kind: W, name: w}, fieldref: {fieldpath: ' spec.l[0].a.'}}]\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec: {l: [{a: x}], '5': z}\n"),
                ("v.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {a: $(V)}}\n"),
            ],
            "apiVersion: e/v1\nkind: W\nmetadata:\n  name: w\nspec:\n  \"5\": z\n  l:\n  - a: x\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    a: x\n  name: p\n",
        ),
        (
            "a key in brackets, for a variable",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml, v.yaml]\nvars: [{name: V, objref: {apiVersion: e/v1, kind: W, name: w}, fieldref: {fieldpath: 'spec.l[0][a]'}}]\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec: {l: [{a: x}], '5': z}\n"),
                ("v.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {a: $(V)}}\n"),
            ],
            "refused",
        ),
        (
            "a number that is a key, for a variable",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml, v.yaml]\nvars: [{name: V, objref: {apiVersion: e/v1, kind: W, name: w}, fieldref: {fieldpath: 'spec.5'}}]\n",
                ),
                ("w.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec: {l: [{a: x}], '5': z}\n"),
                ("v.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {a: $(V)}}\n"),
            ],
            "refused",
        ),
    ];
    check(cases);
}
