//! What is made of the bytes of a file: lists of objects, blocks, comments, braces.

use super::{Case, check};

#[test]
fn reading_once_differed() {
    let cases: &[Case<'_>] = &[
        // what it is about, files, what is printed
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
            "nothing in braces is an empty text",
            &[
                ("kustomization.yaml", "resources: [web.yaml]\n"),
                ("web.yaml", "apiVersion: e/v1\nkind: W\nmetadata: {name: web}\na: {b: , c: null}\nd:\n"),
            ],
            "a:\n  b: \"\"\n  c: null\napiVersion: e/v1\nd: null\nkind: W\nmetadata:\n  name: web\n",
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
            "definitions in braces that are no JSON",
            &[
                ("kustomization.yaml", "resources: [s.yaml]\ncrds: [crds.yaml]\n"),
                ("crds.yaml", "{a.Widget: {Schema: {properties: {}}}}\n"),
                ("s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"),
            ],
            "refused",
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
            "a comment below a document adds a line to the block above it that keeps them",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |+\n    x\n\n  b: >+\n    y\n\n# end\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: |+\n    x\n\n  b: |+\n    y\n\n\n\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a comment below an empty line adds a line to what a patch sets",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                ("change.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: \"x\\n\\n\"}\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: x\n\n# foot\n"),
            ],
            "apiVersion: v1\ndata:\n  a: |+\n    x\n\n\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a comment directly below the last item is that item's, and adds none",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                ("change.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: \"x\\n\\n\"}\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: x\n# foot\n"),
            ],
            "apiVersion: v1\ndata:\n  a: |+\n    x\n\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a comment that is further in than the one below it is that of the last item",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                ("change.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: \"x\\n\\n\"}\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: x\n\n  # of a\n# foot\n"),
            ],
            "apiVersion: v1\ndata:\n  a: |+\n    x\n\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "an entry with nothing in it is no path",
            &[
                (
                    "kustomization.yaml",
                    "resources: [c.yaml]\ntransformers:\n- ''\n- '# none'\n- '{}'\ngenerators: ['']\nvalidators: ['---']\n",
                ),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "the end of a document that has not begun",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "...\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
            ],
            "refused",
        ),
        (
            "a colon behind a key that a question mark began",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  ? a\n  : b\n"),
            ],
            "apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a colon ends the name of an anchor, and nothing in front of it is an empty text",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: &a b\n  *a: c\n  list:\n  - &b:\n      d: e\n    f: g\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: b\n  b: c\n  list:\n  - \"\":\n      d: e\n    f: g\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "the name of an anchor with a dot in it",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: &a.b c\n"),
            ],
            "refused",
        ),
        (
            "a key that is nothing is an empty text",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  ? \n  : b\n"),
            ],
            "apiVersion: v1\ndata:\n  \"\": b\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a tab in front of the first line of a block",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n\n    \tb\n"),
            ],
            "refused",
        ),
        (
            "a tab in front of a further line of a block",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n    b\n    \tc\n"),
            ],
            "apiVersion: v1\ndata:\n  a: \"b\\n\\tc\\n\"\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a tab in front of the first line of a block that says how far it is indented, which is lost on the way",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |2\n    \tb\n"),
            ],
            "refused",
        ),
        (
            "a list of some kind with a key twice is read as a whole",
            &[
                ("kustomization.yaml", "resources: [o.yaml]\n"),
                (
                    "o.yaml",
                    "kind: WidgetList\nkind: WidgetList\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: s}}\n",
                ),
            ],
            "refused",
        ),
        (
            "a lone list of which the items are a text is empty",
            &[
                ("kustomization.yaml", "resources: [l.yaml, o.yaml]\n"),
                ("l.yaml", "apiVersion: v1\nkind: List\nitems: x\n"),
                ("o.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"),
            ],
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n",
        ),
        (
            "a tab on the line behind a block of text",
            &[
                ("kustomization.yaml", "resources: [o.yaml]\n"),
                ("o.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n    x\n	\n  b: c\n"),
            ],
            "refused",
        ),
        (
            "a tab behind a block of text that holds nothing",
            &[
                ("kustomization.yaml", "resources: [o.yaml]\n"),
                ("o.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n\n	\n  b: c\n"),
            ],
            "refused",
        ),
        (
            "an apostrophe in double quotes with a backslash in front",
            &[
                ("kustomization.yaml", "resources: [o.yaml]\n"),
                (
                    "o.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: \"don\\'t\"\n  b: '\\'\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: don't\n  b: \\\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "a comment behind an anchor is that of the first key behind it, and hides what stands there in braces",
            &[
                ("kustomization.yaml", "resources: [l.yaml]\npatches: [{path: change.yaml}]\n"),
                (
                    "l.yaml",
                    "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec:\n  limits: [{type: Container}]\n",
                ),
                (
                    "change.yaml",
                    "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec:\n  limits: &a # why\n  - default:\n      memory: x\n",
                ),
            ],
            "refused",
        ),
        (
            "the comment of a key with braces waits for the next value that is in none",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                ("change.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  v: {a: null}\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  b: # why\n    {x: 1}\n  c: d # what\n  v:\n    a: x\n",
                ),
            ],
            "refused",
        ),
        (
            "a scalar takes the comment that waits",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: change.yaml}]\n"),
                ("change.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  v: {a: null}\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\nspec:\n  b: # why\n    {x: 1}\n  c: d\n  v:\n    a: x\n",
                ),
            ],
            "apiVersion: e/v1\nkind: C\nmetadata:\n  name: c\nspec:\n  b:\n    x: 1\n  c: d\n  v: {}\n",
        ),
        (
            "a tab no further in than the key, below plain text",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata:\n  name: c\n\t\na: b\n"),
            ],
            "refused",
        ),
        (
            "a tab further in than the key, below plain text",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata:\n  name: c\n    \t\na:\n- - b\n   \t\n- c\n \td\n"),
            ],
            "a:\n- - b\n- c d\napiVersion: e/v1\nkind: C\nmetadata:\n  name: c\n",
        ),
        (
            "a tab where a key could begin",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata:\n  name: 'c'\n\t\n"),
            ],
            "refused",
        ),
        (
            "a tab behind a dash",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na:\n-\tb\n"),
            ],
            "refused",
        ),
        (
            "tabs that are part of texts, comments and braces",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion:\te/v1\nkind: C # a\tb\n#\tc\nmetadata: {name:\tc,\n\tx: 1}\na: \"b\n\tc\"\nd: |\n  \te\n",
                ),
            ],
            "refused",
        ),
        (
            "a carriage return alone in quoted text, and a line behind it that is not indented",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                (
                    "c.yaml",
                    "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na: {b: 'x\ry', c: \"x\r\rz\"}\nl:\n- 'x\r- y'\n",
                ),
            ],
            "a:\n  b: x y\n  c: |-\n    x\n    z\napiVersion: e/v1\nkind: C\nl:\n- x - y\nmetadata:\n  name: c\n",
        ),
        (
            "in quoted text behind a carriage return, what ends a document",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na: 'x\r--- y'\n"),
            ],
            "refused",
        ),
        (
            "in quoted text, what ends a document and is indented",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na:\n  b: 'x\n ... y'\n"),
            ],
            "a:\n  b: x ... y\napiVersion: e/v1\nkind: C\nmetadata:\n  name: c\n",
        ),
        (
            "in quoted text, what ends a document and is not indented",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na:\n  b: 'x\n... y'\n"),
            ],
            "refused",
        ),
        (
            "a key whose file gives it a type of its own",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na: {!b c: d}\n"),
            ],
            "refused",
        ),
        (
            "a key that is said to be binary",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na: {!!binary YQ==: d}\n"),
            ],
            "refused",
        ),
        (
            "a key that is said to be text",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: e/v1\nkind: C\nmetadata: {name: c}\na: {!!str 2: d, ! e: f}\n"),
            ],
            "a:\n  \"2\": d\n  e: f\napiVersion: e/v1\nkind: C\nmetadata:\n  name: c\n",
        ),
        (
            "an empty document in front of a kustomization",
            &[
                ("kustomization.yaml", "---\n---\nresources: [c.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"),
            ],
            "refused",
        ),
        (
            "comments in front of one, and a document that is no YAML behind it",
            &[
                ("kustomization.yaml", "# a\n\n--- # b\nresources: [c.yaml]\n---\n[\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"),
            ],
            "apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "an empty document in front of a configuration",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nnamePrefix: p-\nconfigurations: [x.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"),
                ("x.yaml", "null\n---\nnamePrefix: [{path: data/a, kind: ConfigMap}]\n"),
            ],
            "apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap\nmetadata:\n  name: p-c\n",
        ),
        (
            "one that is no YAML behind it",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nnamePrefix: p-\nconfigurations: [x.yaml]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"),
                ("x.yaml", "namePrefix: [{path: data/a, kind: ConfigMap}]\n--- a\n[\n"),
            ],
            "apiVersion: v1\ndata:\n  a: p-b\nkind: ConfigMap\nmetadata:\n  name: p-c\n",
        ),
        (
            "an empty document in front of replacements",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nreplacements: [{path: x.yaml}]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"),
                (
                    "x.yaml",
                    "---\n# a\n---\nsource: {kind: ConfigMap, fieldPath: data.a}\ntargets: [{select: {kind: ConfigMap}, fieldPaths: [data.z], options: {create: true}}]\n",
                ),
            ],
            "refused",
        ),
        (
            "one that is no YAML behind them",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\nreplacements: [{path: x.yaml}]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"),
                (
                    "x.yaml",
                    "source: {kind: ConfigMap, fieldPath: data.a}\ntargets: [{select: {kind: ConfigMap}, fieldPaths: [data.z], options: {create: true}}]\n---\n[\n",
                ),
            ],
            "apiVersion: v1\ndata:\n  a: b\n  z: b\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "an empty document in front of operations",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: x.yaml, target: {kind: ConfigMap}}]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"),
                ("x.yaml", "~\n---\n- {op: add, path: /data/q, value: r}\n"),
            ],
            "apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "one that is no YAML behind them, and the version of YAML in front",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: x.yaml, target: {kind: ConfigMap}}]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"),
                ("x.yaml", "%YAML 1.1\n---\n- {op: add, path: /data/q, value: r}\n---\n[\n"),
            ],
            "apiVersion: v1\ndata:\n  a: b\n  q: r\nkind: ConfigMap\nmetadata:\n  name: c\n",
        ),
        (
            "another version",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: x.yaml, target: {kind: ConfigMap}}]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"),
                ("x.yaml", "%YAML 1.2\n---\n- {op: add, path: /data/q, value: r}\n"),
            ],
            "refused",
        ),
        (
            "the version twice",
            &[
                ("kustomization.yaml", "resources: [c.yaml]\npatches: [{path: x.yaml, target: {kind: ConfigMap}}]\n"),
                ("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"),
                ("x.yaml", "%YAML 1.1\n%YAML 1.1\n---\n- {op: add, path: /data/q, value: r}\n"),
            ],
            "refused",
        ),
        (
            "a list without items, and without a name",
            &[("kustomization.yaml", "resources: [l.yaml]\n"), ("l.yaml", "apiVersion: e/v1\nkind: WList\n")],
            "apiVersion: e/v1\nkind: WList\nmetadata: {}\n",
        ),
        (
            "the same with empty metadata, and another object beside it",
            &[
                ("kustomization.yaml", "resources: [l.yaml]\n"),
                (
                    "l.yaml",
                    "apiVersion: e/v1\nkind: WList\nmetadata:\n---\napiVersion: e/v1\nkind: W\nmetadata: {name: w}\n",
                ),
            ],
            "apiVersion: e/v1\nkind: W\nmetadata:\n  name: w\n---\napiVersion: e/v1\nkind: WList\nmetadata: null\n",
        ),
        (
            "a namespace, labels and a prefix for one",
            &[
                (
                    "kustomization.yaml",
                    "resources: [l.yaml]\nnamespace: s\nnamePrefix: p-\nlabels: [{pairs: {a: b}}]\n",
                ),
                ("l.yaml", "apiVersion: e/v1\nkind: WList\nspec: {a: b}\n"),
            ],
            "apiVersion: e/v1\nkind: WList\nmetadata:\n  labels:\n    a: b\n  namespace: s\nspec:\n  a: b\n",
        ),
        (
            "a patch for one gives it no name",
            &[
                (
                    "kustomization.yaml",
                    "resources: [l.yaml]\npatches: [{target: {kind: WList}, patch: \"{apiVersion: e/v1, kind: WList, metadata: {name: z}, a: b}\"}]\n",
                ),
                ("l.yaml", "apiVersion: e/v1\nkind: WList\n"),
            ],
            "a: b\napiVersion: e/v1\nkind: WList\nmetadata:\n  name: \"\"\n",
        ),
        (
            "a prefix for one whose metadata is null",
            &[
                ("kustomization.yaml", "resources: [l.yaml]\nnamePrefix: p-\n"),
                ("l.yaml", "apiVersion: e/v1\nkind: WList\nmetadata: null\n"),
            ],
            "apiVersion: e/v1\nkind: WList\nmetadata: {}\n",
        ),
        (
            "one whose metadata is text",
            &[
                ("kustomization.yaml", "resources: [l.yaml]\n"),
                ("l.yaml", "apiVersion: e/v1\nkind: WList\nmetadata: a\n"),
            ],
            "refused",
        ),
        (
            "two of them",
            &[
                ("kustomization.yaml", "resources: [l.yaml]\n"),
                ("l.yaml", "apiVersion: e/v1\nkind: WList\n---\napiVersion: e/v1\nkind: WList\n"),
            ],
            "refused",
        ),
    ];
    check(cases);
}
