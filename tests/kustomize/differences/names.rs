//! Names and references to them: who is called the same, and what refers to nobody.

use super::{Case, check};

#[test]
fn names_once_differed() {
    let cases: &[Case<'_>] = &[
        // what it is about, files, what is printed
        (
            "the secret of an Ingress is looked for twice: the rule is there twice",
            &[
                (
                    "kustomization.yaml",
                    "resources: [all.yaml]\nnamePrefix: p-\nreplacements:\n- source: {kind: Secret, name: one}\n  targets:\n  - select: {name: two}\nsecretGenerator:\n- {name: two, literals: [a=b]}\n- {name: one, literals: [a=c], options: {disableNameSuffixHash: true}}\n",
                ),
                (
                    "all.yaml",
                    "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x}\nspec: {tls: [{secretName: one}]}\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: Yw==\nkind: Secret\nmetadata:\n  name: p-one\ntype: Opaque\n---\napiVersion: v1\ndata:\n  a: Yg==\nkind: Secret\nmetadata:\n  name: p-one-k695gkmbtk\ntype: Opaque\n---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: p-x\nspec:\n  tls:\n  - secretName: p-one-k695gkmbtk\n",
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
        (
            "a variable with a number that is written in hexadecimal digits",
            &[
                (
                    "kustomization.yaml",
                    "resources: [o.yaml]\nvars:\n- name: V\n  objref: {apiVersion: v1, kind: Service, name: s}\n  fieldref: {fieldpath: spec.a}\n",
                ),
                (
                    "o.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {a: 0x10}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, args: [$(V), x$(V)]}]}\n",
                ),
            ],
            "refused",
        ),
        (
            "a variable with a number that is written with a zero in front",
            &[
                (
                    "kustomization.yaml",
                    "resources: [o.yaml]\nvars:\n- name: V\n  objref: {apiVersion: v1, kind: Service, name: s}\n  fieldref: {fieldpath: spec.a}\n",
                ),
                (
                    "o.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {a: 010}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, args: [$(V), x$(V)]}]}\n",
                ),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  a: 8\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - args:\n    - 10\n    - x10\n    name: c\n",
        ),
        (
            "a variable with a very large number",
            &[
                (
                    "kustomization.yaml",
                    "resources: [o.yaml]\nvars:\n- name: V\n  objref: {apiVersion: v1, kind: Service, name: s}\n  fieldref: {fieldpath: spec.a}\n",
                ),
                (
                    "o.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {a: 1e21}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, args: [$(V), x$(V)]}]}\n",
                ),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  a: 1e+21\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - args:\n    - 1e+21\n    - x1e+21\n    name: c\n",
        ),
        (
            "a variable with bytes",
            &[
                (
                    "kustomization.yaml",
                    "resources: [o.yaml]\nvars:\n- name: V\n  objref: {apiVersion: v1, kind: Service, name: s}\n  fieldref: {fieldpath: spec.a}\n",
                ),
                (
                    "o.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {a: !!binary YQ==}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, args: [$(V), x$(V)]}]}\n",
                ),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  a: a\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - args:\n    - YQ==\n    - xYQ==\n    name: c\n",
        ),
        (
            "a variable with what a transformer has written",
            &[
                (
                    "kustomization.yaml",
                    "resources: [o.yaml]\nvars:\n- name: V\n  objref: {apiVersion: v1, kind: Service, name: s}\n  fieldref: {fieldpath: spec.a}\nreplacements:\n- sourceValue: \"5\"\n  targets:\n  - select: {kind: Service}\n    fieldPaths: [spec.a]\n",
                ),
                (
                    "o.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {a: 1}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, args: [$(V), x$(V)]}]}\n",
                ),
            ],
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  a: 5\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - args:\n    - 5\n    - x5\n    name: c\n",
        ),
        (
            "a name reference in a field without a name, though no name has changed",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nconfigurations: [names.yaml]\n"),
                ("names.yaml", "nameReference: [{kind: Service, fieldSpecs: [{kind: C, path: spec//name}]}]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: b}\n"),
            ],
            "refused",
        ),
    ];
    check(cases);
}
