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
            "a generator that merges with data that is no text",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nconfigMapGenerator: [{name: c, behavior: merge}]\n"),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {a: [b]}}\ndata: {list: [a], nothing: null}\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  list: \"\"\n  nothing: \"\"\nkind: ConfigMap\nmetadata:\n  annotations:\n    a: \"\"\n  name: c\n",
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
            "an object for tools that is called like another one in the end",
            &[
                (
                    "kustomization.yaml",
                    "resources: [two.yaml]\nreplacements:\n- sourceValue: same\n  targets:\n  - select: {kind: ConfigMap}\n",
                ),
                (
                    "two.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: d, annotations: {config.kubernetes.io/local-config: 'true'}}\n",
                ),
            ],
            "refused",
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
            "a component that gives two objects one name",
            &[
                (
                    "kustomization.yaml",
                    "resources: [two.yaml]\ncomponents: [same]\nnamePrefix: a-\npatches:\n- target: {kind: ConfigMap}\n  patch: '- {op: remove, path: /metadata/labels}'\n",
                ),
                (
                    "two.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}\n",
                ),
                (
                    "same/kustomization.yaml",
                    "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nreplacements:\n- sourceValue: same\n  targets:\n  - select: {kind: ConfigMap}\n",
                ),
            ],
            "refused",
        ),
        (
            "a key that is there twice in the configuration of a transformer",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ntransformers: [t.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
                (
                    "t.yaml",
                    "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: x}\nprefix: a\nprefix: b\nfieldSpecs: []\n",
                ),
            ],
            "refused",
        ),
        (
            "an account of a role binding in a namespace that is no text",
            &[
                ("kustomization.yaml", "resources: [r.yaml]\n"),
                (
                    "r.yaml",
                    "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: r}\nsubjects: [{kind: ServiceAccount, name: a, namespace: false}]\n",
                ),
            ],
            "refused",
        ),
        (
            "a subject of a role binding that has no name",
            &[
                ("kustomization.yaml", "resources: [r.yaml]\n"),
                (
                    "r.yaml",
                    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: r}\nsubjects: [{kind: User}]\n",
                ),
            ],
            "refused",
        ),
        (
            "a scalar where a reference is looked for",
            &[
                ("kustomization.yaml", "resources: [d.yaml]\n"),
                ("d.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: none}\n"),
            ],
            "refused",
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
            "definitions in braces that are no JSON",
            &[
                ("kustomization.yaml", "resources: [s.yaml]\ncrds: [crds.yaml]\n"),
                ("crds.yaml", "{a.Widget: {Schema: {properties: {}}}}\n"),
                ("s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"),
            ],
            "refused",
        ),
        (
            "a subject of a role binding that is no mapping, in a layer with a namespace",
            &[
                ("kustomization.yaml", "resources: [r.yaml]\nnamespace: shop\n"),
                (
                    "r.yaml",
                    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: r}\nsubjects: [u]\n",
                ),
            ],
            "refused",
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
            "folded text where variables are looked for",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nconfigurations: [refs.yaml]\nvars: [{name: V, objref: {kind: ConfigMap, apiVersion: v1, name: c}}]\n",
                ),
                ("refs.yaml", "varReference: [{path: data}]\n"),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: >+\n\n     v\n\n  b: >+\n    x\n     y\n    z\n\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: |2+\n\n    v\n\n  b: |+\n    x\n     y\n    z\n\nkind: ConfigMap\nmetadata:\n  name: c\n",
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
            "a list beside an empty document is made JSON of, and its strings are in quotes then",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\npatchesStrategicMerge:\n- |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: c}\n  data: {b: 172}\n",
                ),
                (
                    "c.yaml",
                    "---\n---\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: c}\n  data: {b: beta}\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  b: \"172\"\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "the items of lists come after what is none, and those of lists in these at last; an empty list is no object",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nsortOptions: {order: fifo}\n"),
                (
                    "c.yaml",
                    "kind: ConfigMapList\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- kind: List\n  items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}]\n- []\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n---\nkind: List\nitems:\n- kind: ConfigMapList\n  items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: d}}]\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: e}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: f}}\n",
                ),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: f\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: e\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: d\n",
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
            "names that a replacement makes the same are found by the next patch that is merged",
            &[
                ("kustomization.yaml", "resources: [base]\n"),
                (
                    "base/kustomization.yaml",
                    "resources: [c.yaml, d.yaml, s.yaml]\nreplacements:\n- sourceValue: same\n  targets:\n  - select: {kind: ConfigMap}\ntransformers:\n- |\n  apiVersion: builtin\n  kind: PatchStrategicMergeTransformer\n  metadata: {name: t}\n  patches: |\n    apiVersion: v1\n    kind: Service\n    metadata: {name: s}\n    spec: {a: b}\n- |\n  apiVersion: builtin\n  kind: ReplacementTransformer\n  metadata: {name: u}\n  replacements:\n  - sourceValue: other\n    targets:\n    - select: {name: c}\n",
                ),
                ("base/c.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}"),
                ("base/d.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: d}}"),
                ("base/s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"),
            ],
            "refused",
        ),
        (
            "names that one patch makes the same may be told apart by the next one",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml, d.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: e}\n  target: {name: x}\n- patch: |\n    - {op: replace, path: /metadata/name, value: d}\n  target: {name: c}\n- patch: |\n    - {op: replace, path: /metadata/name, value: e}\n  target: {name: c}\n",
                ),
                ("c.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}"),
                ("d.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: d}}"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: d\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: e\n",
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
            "names that a replacement makes the same are found by a validator",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nconfigMapGenerator: [{name: d}]\nreplacements:\n- sourceValue: same\n  targets:\n  - select: {kind: ConfigMap}\nvalidators:\n- |\n  apiVersion: builtin\n  kind: LabelTransformer\n  metadata: {name: v}\ntransformers: []\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "refused",
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
            "a comment behind an anchor is that of the value",
            &[
                ("kustomization.yaml", "resources: [l.yaml]\npatches:\n- path: change.yaml\n"),
                ("change.yaml", "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec: {}\n"),
                ("l.yaml", "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec: &a # why\n"),
            ],
            "apiVersion: v1\nkind: LimitRange\nmetadata:\n  name: l\nspec: {}\n",
        ),
        (
            "a comment behind nothing is that of the key, and hides the braces that come behind it",
            &[
                ("kustomization.yaml", "resources: [l.yaml]\npatches:\n- path: change.yaml\n"),
                ("change.yaml", "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec: {}\n"),
                ("l.yaml", "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec: # why\n"),
            ],
            "refused",
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
            "subjects that are no list are refused where a namespace is set",
            &[
                ("kustomization.yaml", "resources: [r.yaml]\nnamespace: shop\n"),
                (
                    "r.yaml",
                    "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: r}\nsubjects: false\n",
                ),
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
            "what is for tools only stays when it shares the name of what is not",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- sourceValue: same\n  targets:\n  - select: {kind: ConfigMap}\nsortOptions: {order: fifo}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {config.kubernetes.io/local-config: \"true\"}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, annotations: {}}\n",
                ),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  annotations:\n    config.kubernetes.io/local-config: \"true\"\n  name: same\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: same\n",
        ),
        (
            "but can't be sorted then",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- sourceValue: same\n  targets:\n  - select: {kind: ConfigMap}\nsortOptions: {order: legacy}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {config.kubernetes.io/local-config: \"true\"}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, annotations: {}}\n",
                ),
            ],
            "refused",
        ),
        (
            "and is not found when it shares the name of another one for tools",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- sourceValue: same\n  targets:\n  - select: {kind: ConfigMap}\nsortOptions: {order: fifo}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {config.kubernetes.io/local-config: \"true\"}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, annotations: {config.kubernetes.io/local-config: \"true\"}}\n",
                ),
            ],
            "refused",
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
