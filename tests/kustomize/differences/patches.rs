//! Patches that look like objects: what is merged, what is swept away, and what type it is then.

use super::{Case, DEPLOYMENT, check};

#[test]
fn patches_once_differed() {
    let cases: &[Case<'_>] = &[
        // what it is about, files, what is printed
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
            "what a transformer has written without a type is a string after a patch",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: Service\n    metadata: {name: s}\n    spec: {z: 1}\n",
                ),
                ("base/kustomization.yaml", "resources: [s.yaml]\ntransformers: [add.yaml]\n"),
                (
                    "base/add.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: x}\nvalue: \"5\"\ntargets: [{fieldPath: spec/a}]\n",
                ),
                ("base/s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  a: \"5\"\n  z: 1\n",
        ),
        (
            "the same where a replacement has made the field",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: Service\n    metadata: {name: s}\n    spec: {z: 1}\n",
                ),
                (
                    "base/kustomization.yaml",
                    "resources: [s.yaml]\nreplacements:\n- sourceValue: \"5\"\n  targets:\n  - select: {kind: Service}\n    fieldPaths: [spec.a]\n    options: {create: true}\n",
                ),
                ("base/s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  a: \"5\"\n  z: 1\n",
        ),
        (
            "a comment behind a key whose value a patch has emptied",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: c}\n    data: {a: null}\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: # why\n  a: b\n"),
            ],
            "refused",
        ),
        (
            "the built-in schema stays known when a patch was applied before another one came",
            &[
                (
                    "kustomization.yaml",
                    "resources: [one, two]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: Service\n    metadata: {name: s}\n    spec:\n      ports: [{port: 81}]\n",
                ),
                (
                    "one/kustomization.yaml",
                    "resources: [s.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: Service\n    metadata: {name: s, labels: {a: b}}\n",
                ),
                ("one/s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports: [{port: 80}]\n"),
                ("two/kustomization.yaml", "openapi: {path: schema.json}\n"),
                ("two/schema.json", "{\"definitions\": {}}\n"),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  labels:\n    a: b\n  name: s\nspec:\n  ports:\n  - port: 81\n  - port: 80\n",
        ),
        (
            "two elements of a patch that come to the same keys",
            &[
                (
                    "kustomization.yaml",
                    "resources: [s.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: Service\n    metadata: {name: s}\n    spec:\n      ports: [{port: 80, $patch: delete}, {targetPort: 9}]\n",
                ),
                ("s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports: [{port: 80}]\n"),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  ports:\n  - port: 80\n",
        ),
        (
            "an expression without sense, for a patch that says nothing",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches:\n- target: {name: (}\n  patch: '[]'\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a patch for an object without a version",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\npatches:\n- target: {kind: W}\n  patch: |\n    kind: W\n    metadata: {name: x}\n    a: b\n",
                ),
                ("w.yaml", "kind: W\nmetadata: {name: w}\n"),
            ],
            "a: b\napiVersion: null\nkind: W\nmetadata:\n  name: w\n",
        ),
        (
            "a bool that takes the place of a generated text that would be none without quotes",
            &[(
                "kustomization.yaml",
                "generatorOptions: {disableNameSuffixHash: true}\nconfigMapGenerator: [{name: c, literals: [a=yes, b=maybe]}]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: c}\n    data: {a: true, b: true}\n",
            )],
            "apiVersion: v1\ndata:\n  a: \"true\"\n  b: true\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a name that a patch has written again is no string any more",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\npatches:\n- target: {kind: Service}\n  patch: |\n    apiVersion: v1\n    kind: Service\n    metadata: {name: x}\n    spec: {z: 1}\n",
                ),
                (
                    "base/kustomization.yaml",
                    "resources: [s.yaml]\nreplacements:\n- sourceValue: \"2\"\n  targets:\n  - select: {kind: Service}\n",
                ),
                ("base/s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: 2\nspec:\n  z: 1\n",
        ),
        (
            "a count takes the place of a text that a patch has put into that of a number",
            &[
                (
                    "kustomization.yaml",
                    "resources: [d.yaml]\npatches:\n- target: {kind: Deployment}\n  patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: d}\n    spec: {replicas: 'many'}\nreplicas: [{name: d, count: 3}]\n",
                ),
                ("d.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: 2}\n"),
            ],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  replicas: 3\n",
        ),
        (
            "a prefix for a kind that a patch has made another one",
            &[
                ("kustomization.yaml", "resources: [base]\ntransformers: [t.yaml]\n"),
                (
                    "t.yaml",
                    "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: t}\nprefix: a\nfieldSpecs: [{path: metadata/name, kind: Service}]\n",
                ),
                (
                    "base/kustomization.yaml",
                    "resources: [s.yaml]\npatches:\n- target: {kind: Service}\n  options: {allowKindChange: true}\n  patch: |\n    apiVersion: v1\n    kind: Other\n    metadata: {name: s}\n",
                ),
                ("base/s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"),
            ],
            "apiVersion: v1\nkind: Other\nmetadata:\n  name: s\n",
        ),
        (
            "a bool that takes the place of a generated text that would be a comment without quotes",
            &[(
                "kustomization.yaml",
                "generatorOptions: {disableNameSuffixHash: true}\nconfigMapGenerator: [{name: c, literals: ['a=#b', 'b=[c]', 'c=d: e', 'd=*e', 'e=%f']}]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: c}\n    data: {a: true, b: true, c: true, d: true, e: true}\n",
            )],
            "apiVersion: v1\ndata:\n  a: \"true\"\n  b: \"true\"\n  c: \"true\"\n  d: true\n  e: true\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "of two elements with the same keys the first one is read again as its directive has left it",
            &[
                ("kustomization.yaml", "resources: [s.yaml]\npatches:\n- path: change.yaml\n"),
                (
                    "change.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports:\n  - name: http\n    port: 80\n    $patch: replace\n    targetPort:\n  - targetPort: a\n",
                ),
                (
                    "s.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports:\n  - name: http\n    port: 80\n    targetPort: http\n",
                ),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  ports:\n  - name: http\n    port: 80\n    targetPort: http\n",
        ),
        (
            "a transformer that stands in the kustomization is looked for in the schema, which is known from then on",
            &[
                ("kustomization.yaml", "resources: [first, second, third]\n"),
                (
                    "first/kustomization.yaml",
                    "transformers:\n- |\n  apiVersion: builtin\n  kind: LabelTransformer\n  metadata: {name: l}\n",
                ),
                ("second/kustomization.yaml", "openapi: {path: schema.json}\n"),
                ("second/schema.json", "{\"definitions\": {}}"),
                ("third/kustomization.yaml", "resources: [web.yaml]\npatches:\n- path: change.yaml\n"),
                (
                    "third/change.yaml",
                    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: b}]}}}\n",
                ),
                (
                    "third/web.yaml",
                    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: a}]}}}\n",
                ),
            ],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n      containers:\n      - name: b\n      - name: a\n",
        ),
        (
            "a patch that takes the annotations away takes the former names with them, which the next one looks for",
            &[
                ("kustomization.yaml", "resources: [base]\npatches:\n- path: one.yaml\n- path: two.yaml\n"),
                (
                    "one.yaml",
                    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: p\n  annotations:\n",
                ),
                ("two.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: p\n"),
                ("base/kustomization.yaml", "resources: [p.yaml]\nnamePrefix: x-\n"),
                ("base/p.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: p\n"),
            ],
            "refused",
        ),
        (
            "an element whose merge key is empty takes the place of all others, once each",
            &[
                ("kustomization.yaml", "resources: [s.yaml]\npatches:\n- path: change.yaml\n"),
                ("change.yaml", "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\n"),
                (
                    "s.yaml",
                    "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {template: {spec: {containers: [{name: a, volumeMounts: [{name: a, mountPath: /a}, {name: b, mountPath: \"\"}, {name: c, mountPath: /c}]}]}}}\n",
                ),
            ],
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: db\nspec:\n  template:\n    spec:\n      containers:\n      - name: a\n        volumeMounts:\n        - mountPath: \"\"\n          name: b\n        - mountPath: \"\"\n          name: b\n        - mountPath: \"\"\n          name: b\n        - mountPath: /c\n          name: c\n",
        ),
        (
            "an element whose merge key is null sweeps away what comes before it",
            &[
                ("kustomization.yaml", "resources: [s.yaml]\npatches:\n- path: change.yaml\n"),
                ("change.yaml", "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\n"),
                (
                    "s.yaml",
                    "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  template:\n    spec:\n      containers:\n      - name: a\n        volumeMounts:\n        - name: a\n          mountPath: /a\n        - name: b\n          mountPath:\n        - name: c\n          mountPath: /c\n",
                ),
            ],
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: db\nspec:\n  template:\n    spec:\n      containers:\n      - name: a\n        volumeMounts:\n        - name: b\n        - mountPath: /c\n          name: c\n",
        ),
        (
            "a number that takes the place of a generated text that is no YAML",
            &[(
                "kustomization.yaml",
                "generatorOptions: {disableNameSuffixHash: true}\nconfigMapGenerator: [{name: c, literals: [a=..., 'b=:', 'c=: x']}]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: c}\n    data: {a: 1, b: 2, c: 3}\n",
            )],
            "apiVersion: v1\ndata:\n  a: 1\n  b: 2\n  c: 3\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "of a field that a patch has twice the first one is read",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata:\n      name: c\n      annotations:\n        a: one\n        a: two\n    data:\n      b: one\n      b: two\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {z: x}}\ndata: {z: x}\n"),
            ],
            "apiVersion: v1\ndata:\n  b: one\n  z: x\nkind: ConfigMap\nmetadata:\n  annotations:\n    a: one\n    z: x\n  name: c\n",
        ),
        (
            "of a label that a patch with a target has twice the last one holds",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata:\n      name: c\n      annotations:\n        a: one\n        a: two\n      labels:\n        b: one\n        b: two\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  annotations:\n    a: two\n  labels:\n    b: two\n  name: c\n",
        ),
        (
            "text that would be a bool is in quotes once another patch has passed by",
            &[
                (
                    "kustomization.yaml",
                    "resources: [web.yaml]\npatches:\n- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: web}\n    spec: {replicas: 'y'}\n- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: web}\nreplicas: [{name: web, count: 6}]\n",
                ),
                ("web.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}\n"),
            ],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: \"6\"\n",
        ),
        (
            "an element that lacks the first one of two merge keys is there once more for it",
            &[
                ("kustomization.yaml", "resources: [o.yaml]\npatches:\n- path: p.yaml\n"),
                (
                    "o.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports:\n  - {name: a, protocol: TCP}\n  - {port: 53, protocol: UDP}\n",
                ),
                ("p.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {type: ClusterIP}\n"),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  ports:\n  - name: a\n    protocol: TCP\n  - name: a\n    protocol: TCP\n  - name: a\n    protocol: TCP\n  - port: 53\n    protocol: UDP\n  type: ClusterIP\n",
        ),
        (
            "the same where a patch fills the gap, and is read again",
            &[
                ("kustomization.yaml", "resources: [o.yaml]\npatches:\n- path: p.yaml\n"),
                (
                    "o.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports:\n  - {name: a, protocol: TCP}\n  - {name: b, port: 53, protocol: TCP}\n",
                ),
                (
                    "p.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports:\n  - {name: b, port: 53, protocol: TCP}\n  - {name: b, port: 53, protocol: TCP, $patch: replace}\n",
                ),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  ports:\n  - name: a\n    protocol: TCP\n  - name: a\n    protocol: TCP\n  - name: b\n    port: 53\n    protocol: TCP\n",
        ),
        (
            "a directive that deletes an element which can not be found is taken away",
            &[
                ("kustomization.yaml", "resources: [o.yaml]\npatches:\n- path: p.yaml\n"),
                ("o.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {nodeName: n}\n"),
                (
                    "p.yaml",
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: c\n    ports:\n    - {containerPort: 80, $patch: delete}\n    - {containerPort: 443, protocol: TCP}\n",
                ),
            ],
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - name: c\n    ports:\n    - containerPort: 80\n    - containerPort: 443\n      protocol: TCP\n  nodeName: \"n\"\n",
        ),
        (
            "a patch that replaces the whole object leaves annotations alone that several places share",
            &[
                ("kustomization.yaml", "resources: [base]\npatches:\n- path: p.yaml\n"),
                ("base/kustomization.yaml", "resources: [o.yaml]\ncommonAnnotations: {team: x}\n"),
                ("base/o.yaml", "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d}\n"),
                (
                    "p.yaml",
                    "apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  name: d\n  annotations: {team: y}\n$patch: replace\n",
                ),
            ],
            "apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  annotations:\n    team: x\n  name: d\nspec:\n  template:\n    metadata:\n      annotations:\n        team: x\n",
        ),
        (
            "annotations that a patch replaces are no longer those of the template",
            &[
                ("kustomization.yaml", "resources: [base]\npatches:\n- path: p.yaml\n"),
                ("base/kustomization.yaml", "resources: [o.yaml]\ncommonAnnotations: {team: x}\n"),
                ("base/o.yaml", "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d}\n"),
                (
                    "p.yaml",
                    "apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  name: d\n  annotations: {team: y, $patch: replace}\n",
                ),
            ],
            "apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  annotations:\n    team: \"y\"\n  name: d\nspec:\n  template:\n    metadata:\n      annotations:\n        team: x\n",
        ),
        (
            "a list that is merged by key holds no text",
            &[
                ("kustomization.yaml", "resources: [o.yaml]\npatches:\n- path: p.yaml\n"),
                ("o.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports: [80, {port: 81}]\n"),
                ("p.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {type: ClusterIP}\n"),
            ],
            "refused",
        ),
        (
            "a text in a list of texts stays as the object has it, and no type is written to it",
            &[
                ("kustomization.yaml", "resources: [o.yaml]\npatches:\n- path: p.yaml\n"),
                ("o.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, finalizers: [null, \"5\", !!str 6]}\n"),
                ("p.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, finalizers: [a, 5]}\n"),
            ],
            "apiVersion: v1\nkind: Pod\nmetadata:\n  finalizers:\n  - a\n  - \"5\"\n  - 6\n  name: p\n",
        ),
        (
            "a number that a patch puts into quotes is a number to a variable",
            &[
                (
                    "kustomization.yaml",
                    "resources: [o.yaml]\npatches:\n- path: p.yaml\nvars:\n- name: V\n  objref: {apiVersion: v1, kind: Service, name: s}\n  fieldref: {fieldpath: spec.a}\n",
                ),
                (
                    "o.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {a: \"x\"}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, args: [$(V)]}]}\n",
                ),
                ("p.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {a: 5}\n"),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  a: \"5\"\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - args:\n    - 5\n    name: c\n",
        ),
        (
            "a text that had to be in quotes behind a JSON patch keeps them for the next patch",
            &[
                (
                    "kustomization.yaml",
                    "resources: [o.yaml]\npatches:\n- target: {kind: Widget}\n  patch: \"- {op: add, path: /spec/z, value: 1}\"\n- path: p.yaml\n",
                ),
                (
                    "o.yaml",
                    "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {a: \" x\", b: \"a: b\", c: \"x\", d: \"#\"}\n",
                ),
                (
                    "p.yaml",
                    "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {a: 1, b: 2, c: 3, d: true}\n",
                ),
            ],
            "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: w\nspec:\n  a: \"1\"\n  b: \"2\"\n  c: 3\n  d: \"true\"\n  z: 1\n",
        ),
        (
            "a null takes a text that is nothing out of a list of scalars",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                ("change.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  finalizers:\n  - \n  - d\n"),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  finalizers: [!!int '1', \"\", a, null]\n",
                ),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  finalizers:\n  - d\n  - \"1\"\n  - a\n  name: c\n",
        ),
        (
            "a collection stands in a list of scalars for a text that is nothing",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                (
                    "change.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  finalizers:\n  -\n  - a\n  - []\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  finalizers: [b]\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  finalizers:\n  - a\n  - b\n  name: c\n",
        ),
        (
            "a map beside scalars",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                ("change.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  finalizers: [1, {}]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  finalizers: [a, !!str ]\n"),
            ],
            "refused",
        ),
        (
            "a field without a name in a map that is patched",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                ("change.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {\"\": x}\n"),
            ],
            "refused",
        ),
        (
            "of a field that is there twice one is taken away",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: c, annotations: {app: null, app: null, new: x}}\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  annotations:\n    app: \"null\"\n    new: x\n  name: c\n",
        ),
        (
            "what is empty takes the style of the patch: nothing is a null in it, and a comment hides nothing",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                (
                    "change.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  a:\n    b: # why\n      c: [1]\n      d:\n  e:\n  - f: # why\n      g: x\n    h:\n",
                ),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {}, e: []}\n"),
            ],
            "refused",
        ),
        (
            "what is empty in a block takes the style of the patch",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                (
                    "change.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  a:\n    b: # why\n      c: [1]\n      d:\n  e:\n  - f: # why\n      g: x\n    h:\n",
                ),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  a: {}\n  e: []\n"),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  name: c\nspec:\n  a:\n    b:\n      c:\n      - 1\n  e:\n  - f:\n      g: x\n    h: null\n",
        ),
        (
            "a comment behind braces whose place stands on lines of its own waits for the next key",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                ("change.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  a: [z] # why\n  b: []\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  a:\n  - x\n  b:\n  - x\n"),
            ],
            "refused",
        ),
        (
            "the same behind a mapping, of which the patch says nothing new",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                (
                    "change.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  a: {x: z} # why\n  b: {s: null}\n",
                ),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  a:\n    x: z\n  b:\n    s: x\n"),
            ],
            "refused",
        ),
        (
            "a scalar behind it takes the comment that waits",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                ("change.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  a: [z] # why\n  c: []\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  a:\n  - x\n  b: s\n  c:\n  - x\n"),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  name: c\nspec:\n  a:\n  - z\n  b: s\n  c: []\n",
        ),
        (
            "a scalar with a comment of its own does not",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                (
                    "change.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  a: [z] # why\n  b: t # what\n  c: \"t\" # what\n  d: []\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  a:\n  - x\n  b: \"s\"\n  c: s\n  d:\n  - x\n",
                ),
            ],
            "refused",
        ),
        (
            "an item behind it has no place for its braces",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                (
                    "change.yaml",
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: a, image: x} # why\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: a\n  - {name: b}\n",
                ),
            ],
            "refused",
        ),
        (
            "an item on lines of its own has one for the comment",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                (
                    "change.yaml",
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: a, image: x} # why\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: a\n  - name: b\n    args: []\n",
                ),
            ],
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - image: x\n    name: a\n  - args: []\n    name: b\n",
        ),
        (
            "a comment that waits for a key lets items pass",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                ("change.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  hostname: h\n"),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: a\n    env: # why\n      []\n  - {name: b}\n",
                ),
            ],
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - env: []\n    name: a\n  - name: b\n  hostname: h\n",
        ),
        (
            "a word that YAML 1.1 takes for a bool is in quotes behind a patch, in which the next one puts its number, too",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\npatches:\n- patch: |\n    apiVersion: e/v1\n    kind: W\n    metadata: {name: w}\n    spec: {z: y, d: y, n: {o: off}}\n- patch: |\n    apiVersion: e/v1\n    kind: W\n    metadata: {name: w}\n    spec: {a: 5, b: 5, c: 5, d: 5, e: {f: 5}, z: 5, n: {o: 5}}\n",
                ),
                (
                    "w.yaml",
                    "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec:\n  a: y\n  b: NO\n  c: 1:30\n  d: x\n  e: {f: on}\n",
                ),
            ],
            "apiVersion: e/v1\nkind: W\nmetadata:\n  name: w\nspec:\n  a: \"5\"\n  b: \"5\"\n  c: 5\n  d: 5\n  e:\n    f: \"5\"\n  \"n\":\n    o: \"5\"\n  z: \"5\"\n",
        ),
        (
            "a text that a file says is one gets no quotes, nor what is put there",
            &[
                (
                    "kustomization.yaml",
                    "resources: [w.yaml]\npatches:\n- patch: |\n    apiVersion: e/v1\n    kind: W\n    metadata: {name: w}\n    spec: {z: !!str y, a: y, d: !!str y}\n- patch: |\n    apiVersion: e/v1\n    kind: W\n    metadata: {name: w}\n    spec: {}\n- patch: |\n    apiVersion: e/v1\n    kind: W\n    metadata: {name: w}\n    spec: {a: 5, b: 5, c: 5, d: 5, z: 5}\n",
                ),
                (
                    "w.yaml",
                    "apiVersion: e/v1\nkind: W\nmetadata: {name: w}\nspec:\n  a: !!str y\n  b: !!str true\n  c: !!str 12\n  d: x\n",
                ),
            ],
            "apiVersion: e/v1\nkind: W\nmetadata:\n  name: w\nspec:\n  a: 5\n  b: 5\n  c: 5\n  d: \"5\"\n  z: 5\n",
        ),
        (
            "a brace that repeats nothing is a brace",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap, name: 'C{n-\\d'}\n  patch: '- {op: add, path: /x, value: z}'\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'C{n-5'}\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: C{n-5\nx: z\n",
        ),
        (
            "two & in a class take nothing from it, and classes have names",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap, name: 'C[{&&n]+-[[:digit:]]'}\n  patch: '- {op: add, path: /x, value: z}'\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'C{n-5'}\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: C{n-5\nx: z\n",
        ),
        (
            "what is repeated is not repeated again",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap, name: 'C.**'}\n  patch: '- {op: add, path: /x, value: z}'\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'C{n-5'}\n"),
            ],
            "refused",
        ),
        (
            "a class without a name that Go knows",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap, name: '[[:foo:]]'}\n  patch: '- {op: add, path: /x, value: z}'\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'C{n-5'}\n"),
            ],
            "refused",
        ),
        (
            "a key that is new to a mapping loses its type",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: p.yaml}]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na: {b: c}\n"),
                ("p.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na: {!!str 2: d}\n"),
            ],
            "refused",
        ),
        (
            "one that is text without its type as well",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: p.yaml}]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na: {b: c}\n"),
                (
                    "p.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na: {!!binary YQ==: d, !!null x: {y: z}, '2': f}\n",
                ),
            ],
            "a:\n  \"2\": f\n  YQ==: d\n  b: c\n  x:\n    \"y\": z\napiVersion: e/v1\nkind: C\nmetadata:\n  name: c\n",
        ),
        (
            "keys of a mapping that is new keep theirs",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: p.yaml}]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na: {b: c}\n"),
                ("p.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nd: {!!str 2: d}\n"),
            ],
            "a:\n  b: c\napiVersion: e/v1\nd:\n  \"2\": d\nkind: C\nmetadata:\n  name: c\n",
        ),
    ];
    check(cases);
}
