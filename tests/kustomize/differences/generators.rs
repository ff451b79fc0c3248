//! Generators: given as a field or as an object, alone or merged.

use super::{Case, check};

#[test]
fn generators_once_differed() {
    let cases: &[Case<'_>] = &[
        // what it is about, files, what is printed
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
            "texts of a generator object are what is left of them once they are written and read again",
            &[
                ("kustomization.yaml", "generators: [g.yaml]\n"),
                (
                    "g.yaml",
                    "apiVersion: builtin\nkind: SecretGenerator\nmetadata: {name: s}\nliterals:\n- >\n  a=x\n    y\n  z\n- |+\n  b=x\n\n# end\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: eAoKICB5CnoK\n  b: eAoKCg==\nkind: Secret\nmetadata:\n  name: s-fb6cd84m8c\ntype: Opaque\n",
        ),
        (
            "a file that begins with a tab",
            &[("kustomization.yaml", "configMapGenerator: [{name: c, files: [a.txt]}]\n"), ("a.txt", "\tb\nc\n")],
            "refused",
        ),
        (
            "plain data that is no text can not be merged",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\nsecretGenerator: [{name: s, behavior: merge, literals: [q=1]}]\n",
                ),
                ("base/kustomization.yaml", "resources: [o.yaml]\n"),
                ("base/o.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: [x]}\n"),
            ],
            "refused",
        ),
        (
            "nor plain data where data is none",
            &[
                (
                    "kustomization.yaml",
                    "resources: [base]\nsecretGenerator: [{name: s, behavior: merge, literals: [q=1]}]\n",
                ),
                ("base/kustomization.yaml", "resources: [o.yaml]\n"),
                ("base/o.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: v1\nstringData: {a: x}\n"),
            ],
            "refused",
        ),
        (
            "a key of data that reads as a number",
            &[("kustomization.yaml", "configMapGenerator: [{name: c, literals: [1=x]}]\n")],
            "refused",
        ),
        (
            "the name and the namespace of what is merged are written anew, and nobody has said that they are text",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml, d.yaml]\ngeneratorOptions: {disableNameSuffixHash: true}\nconfigMapGenerator:\n- {name: c, namespace: ns, behavior: merge, literals: [k=v]}\n- {name: '2020-01-01', namespace: '7', behavior: replace, literals: [k=v]}\nreplacements:\n- sourceValue: '310'\n  targets: [{select: {name: c}, fieldPaths: [metadata.name, metadata.namespace]}]\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: ns}\n"),
                ("d.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '2020-01-01', namespace: '7'}\n"),
            ],
            "apiVersion: v1\ndata:\n  k: v\nkind: ConfigMap\nmetadata:\n  name: 310\n  namespace: 310\n---\napiVersion: v1\ndata:\n  k: v\nkind: ConfigMap\nmetadata:\n  name: \"2020-01-01T00:00:00Z\"\n  namespace: \"7\"\n",
        ),
    ];
    check(cases);
}
