//! Where the paths of field specs and of transformers lead, and what is made there.

use super::{Case, check};

#[test]
fn paths_once_differed() {
    let cases: &[Case<'_>] = &[
        // what it is about, files, what is printed
        (
            "a field that is called like the number of an element",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {k: v}\n  fields:\n  - {path: spec/1, create: false}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
            ],
            "refused",
        ),
        (
            "such a field that is not there, of an item of a list",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {k: v}\n  fields:\n  - {path: spec/l/+07, create: false}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
            ],
            "refused",
        ),
        (
            "a path through all elements",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {k: v}\n  fields:\n  - {path: 'spec/*', create: false}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
            ],
            "refused",
        ),
        (
            "a path through the last element",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {k: v}\n  fields:\n  - {path: spec/a/-, create: true}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
            ],
            "refused",
        ),
        (
            "a path through elements that hold something",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {k: v}\n  fields:\n  - {path: 'spec/l/[d=e]', create: false}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
            ],
            "refused",
        ),
        (
            "a number that Go can't hold is a name, and no string without quotes",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {k: v}\n  fields:\n  - {path: spec/99999999999999999999/a, create: true}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
            ],
            "refused",
        ),
        (
            "the same where nothing is made",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {k: v}\n  fields:\n  - {path: spec/99999999999999999999/a, create: false}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  labels:\n    k: v\n  name: c\nspec:\n  \"1\":\n    f: g\n  a:\n    b: c\n  l:\n  - d: e\n",
        ),
        (
            "blanks around names, and alone",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {k: v}\n  fields:\n  - {path: ' spec / /new ', create: true}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  labels:\n    k: v\n  name: c\nspec:\n  \"1\":\n    f: g\n  a:\n    b: c\n  l:\n  - d: e\n  new:\n    k: v\n",
        ),
        (
            "a field that is made has a name without quotes",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {k: v}\n  fields:\n  - {path: spec/true, create: true}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
            ],
            "refused",
        ),
        (
            "one that looks like a list, and one in a list",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nlabels:\n- pairs: {k: v}\n  fields:\n  - {path: 'spec/l[]/1.0.0', create: true}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  labels:\n    k: v\n  name: c\nspec:\n  \"1\":\n    f: g\n  a:\n    b: c\n  l:\n  - 1.0.0:\n      k: v\n    d: e\n",
        ),
        (
            "a reference that stands under a number",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nconfigurations: [x.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
                ("x.yaml", "nameReference:\n- {kind: C, fieldSpecs: [{path: spec/1, kind: C}]}\n"),
            ],
            "refused",
        ),
        (
            "a reference behind blanks, and another name",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nconfigurations: [x.yaml]\nnamePrefix: p-\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c, d: e}, l: [{d: e}], '1': {f: g}}\n",
                ),
                ("x.yaml", "nameReference:\n- {kind: C, fieldSpecs: [{path: spec/ /a/ b, kind: C}]}\n"),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  name: p-c\nspec:\n  \"1\":\n    f: g\n  a:\n    b: p-c\n    d: e\n  l:\n  - d: e\n",
        ),
        (
            "prefixes and suffixes in fields that are made for them",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nconfigurations: [x.yaml]\nnamePrefix: p-\nnameSuffix: -s\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
                (
                    "x.yaml",
                    "namePrefix:\n- {path: spec/a/new, create: true}\nnameSuffix:\n- {path: spec/new/new, create: true}\n- {path: spec/other/new}\n",
                ),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  name: p-c-s\nspec:\n  \"1\":\n    f: g\n  a:\n    b: c\n    new: p-\n  l:\n  - d: e\n  new:\n    new: -s\n",
        ),
        (
            "a value for elements",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ntransformers: [v.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [d, {e: f}, [g]], '1': {f: g}}\n",
                ),
                (
                    "v.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: v}\nvalue: v\ntargets:\n- {fieldPath: 'spec/l/0'}\n- {fieldPath: 'spec/l/1/e'}\n- {fieldPath: 'spec/l/2/-'}\n- {fieldPath: 'spec/l/[e=v]/h'}\n",
                ),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  name: c\nspec:\n  \"1\":\n    f: g\n  a:\n    b: c\n  l:\n  - v\n  - e: v\n    h: v\n  - - v\n",
        ),
        (
            "a value for elements beyond the end",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ntransformers: [v.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {l: []}\n"),
                (
                    "v.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: v}\nvalue: v\ntargets:\n- {fieldPath: 'spec/l/3'}\n- {fieldPath: 'spec/m/0/n'}\n",
                ),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  name: c\nspec:\n  l: []\n  m: []\n",
        ),
        (
            "a value for an element before the first",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ntransformers: [v.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [d, {e: f}, [g]], '1': {f: g}}\n",
                ),
                (
                    "v.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: v}\nvalue: v\ntargets:\n- {fieldPath: 'spec/l/-1'}\n",
                ),
            ],
            "refused",
        ),
        (
            "a value for elements that are made",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ntransformers: [v.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {l: []}\n"),
                (
                    "v.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: v}\nvalue: v\ntargets:\n- {fieldPath: 'spec/l/[a=b]/c'}\n- {fieldPath: 'spec/m/[a=1]/c'}\n- {fieldPath: 'spec/n/[=v]'}\n",
                ),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  name: c\nspec:\n  l:\n  - a: b\n    c: v\n  m:\n  - a: 1\n    c: v\n  \"n\":\n  - v\n",
        ),
        (
            "a value for the last one of none",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ntransformers: [v.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {l: []}\n"),
                (
                    "v.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: v}\nvalue: v\ntargets:\n- {fieldPath: 'spec/l/-'}\n",
                ),
            ],
            "refused",
        ),
        (
            "a value for the last one of a list that is to be made",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ntransformers: [v.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [d, {e: f}, [g]], '1': {f: g}}\n",
                ),
                (
                    "v.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: v}\nvalue: v\ntargets:\n- {fieldPath: 'spec/m/-'}\n",
                ),
            ],
            "refused",
        ),
        (
            "a value for all elements",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ntransformers: [v.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [d, {e: f}, [g]], '1': {f: g}}\n",
                ),
                (
                    "v.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: v}\nvalue: v\ntargets:\n- {fieldPath: 'spec/l/*'}\n",
                ),
            ],
            "refused",
        ),
        (
            "a value behind blanks and slashes",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ntransformers: [v.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [d, {e: f}, [g]], '1': {f: g}}\n",
                ),
                (
                    "v.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: v}\nvalue: v\ntargets:\n- {fieldPath: 'spec// a /b/ '}\n",
                ),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  name: c\nspec:\n  \"1\":\n    f: g\n  a:\n    b: v\n  l:\n  - d\n  - e: f\n  - - g\n",
        ),
        (
            "a value for a field that is called like a number",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ntransformers: [v.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [d, {e: f}, [g]], '1': {f: g}}\n",
                ),
                (
                    "v.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: v}\nvalue: v\ntargets:\n- {fieldPath: 'spec/1/f'}\n",
                ),
            ],
            "refused",
        ),
        (
            "a value for a new field that reads as a bool",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\ntransformers: [v.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [d, {e: f}, [g]], '1': {f: g}}\n",
                ),
                (
                    "v.yaml",
                    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: v}\nvalue: v\ntargets:\n- {fieldPath: 'spec/true'}\n",
                ),
            ],
            "refused",
        ),
        (
            "an element that a replacement makes for a name that reads as a number",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\nreplacements:\n- sourceValue: v\n  targets:\n  - {select: {kind: C}, options: {create: true}, fieldPaths: ['spec.l.[1=a].b']}\n",
                ),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec: {a: {b: c}, l: [{d: e}], '1': {f: g}}\n",
                ),
            ],
            "refused",
        ),
    ];
    check(cases);
}
