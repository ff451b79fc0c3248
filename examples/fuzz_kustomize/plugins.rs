//! Transformers, generators and validators that are given as objects.

use serde_json::{Map, Value, json};

use super::fields;
use super::generators;
use super::layer::{Layer, Maker};
use super::objects::{IMAGES, Known};
use super::patches;
use super::replacements;
use super::scalars::{text, word};
use super::style::{self, Taste};

/// Adds any of the three fields.
pub(crate) fn add(maker: &mut Maker, layer: &mut Layer) {
    if maker.wants(12) {
        for _ in 0..maker.random.between(1, 2) {
            let Some((feature, plugin)) = transformer(maker, layer) else { continue };
            maker.feature(feature);
            list(maker, layer, "transformers", plugin);
        }
    }
    if maker.wants(4) {
        let kind = maker.random.word(&["ConfigMap", "Secret"]);
        if let Some(mut fields) = generators::entry(maker, layer, &kind) {
            maker.feature("generators");
            let name = fields.remove("name").unwrap_or_else(|| "made".into());
            let mut metadata = json!({"name": name});
            if let Some(namespace) = fields.remove("namespace") {
                metadata["namespace"] = namespace;
            }
            let plugin = object(&format!("{kind}Generator"), metadata, fields);
            list(maker, layer, "generators", plugin);
        }
    }
    if maker.wants(3) {
        maker.feature("validators");
        let mut fields = Map::new();
        fields.insert("replica".into(), json!({"name": "nobody", "count": 3}));
        fields.insert("fieldSpecs".into(), json!([{"path": "spec/nowhere", "kind": "Nothing"}]));
        let labels = fields::single("labels", json!({}));
        let plugin = match maker.random.chance(50) {
            true => object("LabelTransformer", json!({"name": "check"}), labels),
            false => object("AnnotationsTransformer", json!({"name": "check"}), Map::new()),
        };
        list(maker, layer, "validators", plugin);
    }
}

fn object(kind: &str, metadata: Value, fields: Map<String, Value>) -> Value {
    let mut object = Map::new();
    object.insert("apiVersion".into(), "builtin".into());
    object.insert("kind".into(), kind.into());
    object.insert("metadata".into(), metadata);
    object.extend(fields);
    object.into()
}

/// Lists a plugin: in the kustomization itself, in a file, or in a directory.
fn list(maker: &mut Maker, layer: &mut Layer, field: &str, plugin: Value) {
    let entry = match maker.random.below(10) {
        0..=3 => style::document(&mut maker.random, &plugin, Taste::Plain),
        4 => {
            let directory = format!("plugins{}", maker.random.below(1000));
            let text = style::document(&mut maker.random, &plugin, Taste::Exact);
            let at = format!("{}/{directory}", layer.directory);
            maker.tree.files.insert(format!("{at}/plugin.yaml"), text.into_bytes());
            maker.tree.files.insert(format!("{at}/kustomization.yaml"), b"resources: [plugin.yaml]\n".to_vec());
            directory
        }
        _ => maker.documents(&layer.directory, "plugin.yaml", &[plugin], Taste::Exact),
    };
    layer.push(field, entry.into());
}

fn transformer(maker: &mut Maker, layer: &Layer) -> Option<(&'static str, Value)> {
    let unique = layer.unique();
    if unique.is_empty() {
        return None;
    }
    let known = maker.touch(&unique)?;
    let random = &mut maker.random;
    let marks = [
        json!({"path": "metadata/labels", "create": true}),
        json!({"path": "spec/template/metadata/labels", "create": false}),
        json!({"path": "spec/marks", "kind": known.kind, "create": true}),
    ];
    let some_marks: Vec<Value> = marks.into_iter().filter(|_| random.chance(60)).collect();
    let (feature, kind, fields) = match random.below(14) {
        0 => (
            "PrefixTransformer",
            "PrefixTransformer",
            json!({"prefix": "p-", "fieldSpecs": [{"path": "metadata/name"}]}),
        ),
        1 => (
            "SuffixTransformer",
            "SuffixTransformer",
            json!({"suffix": "-s", "fieldSpecs": [{"path": "metadata/name", "kind": known.kind}]}),
        ),
        2 => (
            "LabelTransformer",
            "LabelTransformer",
            json!({"labels": {"by": word(random), "t": text(random)}, "fieldSpecs": some_marks}),
        ),
        3 => (
            "AnnotationsTransformer",
            "AnnotationsTransformer",
            json!({"annotations": {"by": text(random)}, "fieldSpecs": [{"path": "metadata/annotations", "create": true}]}),
        ),
        4 => {
            let mut fields = json!({"metadata": {"name": "n", "namespace": "plugged"}, "fieldSpecs": [{"path": "metadata/namespace", "create": true}]});
            if random.chance(50) {
                fields["setRoleBindingSubjects"] = random.word(&["none", "defaultOnly", "allServiceAccounts"]).into();
            }
            if random.chance(40) {
                fields["unsetOnly"] = random.chance(80).into();
            }
            ("NamespaceTransformer", "NamespaceTransformer", fields)
        }
        5 => (
            "ImageTagTransformer",
            "ImageTagTransformer",
            json!({"imageTag": fields::image(random), "fieldSpecs": [{"path": "spec/image"}, {"path": "spec/template/spec/containers[]/image"}]}),
        ),
        6 => {
            let count = random.below(9);
            (
                "ReplicaCountTransformer",
                "ReplicaCountTransformer",
                json!({"replica": {"name": known.name, "count": count}, "fieldSpecs": [{"path": "spec/replicas", "create": true, "kind": known.kind}]}),
            )
        }
        7 => {
            let mut entry = fields::patch(maker, layer, &known);
            if maker.random.chance(30) && entry.get("patch").is_some() {
                entry["target"] = patches::selector(&mut maker.random, &known);
            }
            ("PatchTransformer", "PatchTransformer", entry)
        }
        8 => {
            let mut entry = json!({"target": {"kind": known.kind, "name": known.name, "version": known.version(), "group": known.group()}});
            if let Some(namespace) = &known.namespace {
                entry["target"]["namespace"] = namespace.clone().into();
            }
            fields::operations(maker, layer, &known, &mut entry);
            if let Some(text) = entry.as_object_mut().and_then(|entry| entry.remove("patch")) {
                entry["jsonOp"] = text;
            }
            ("PatchJson6902Transformer", "PatchJson6902Transformer", entry)
        }
        9 => {
            let patch = patches::strategic(random, &known);
            let fields = match random.chance(50) {
                true => json!({"patches": style::document(random, &patch, Taste::Plain)}),
                false => json!({"paths": [maker.documents(&layer.directory, "merge.yaml", &[patch], Taste::Exact)]}),
            };
            ("PatchStrategicMergeTransformer", "PatchStrategicMergeTransformer", fields)
        }
        10 => {
            let replacement = replacements::replacement(random, &known, &known)?;
            ("ReplacementTransformer", "ReplacementTransformer", json!({"replacements": [replacement]}))
        }
        11 => value_add(random, &known),
        12 => ("HashTransformer", "HashTransformer", json!({})),
        _ => (
            "PrefixTransformer",
            "PrefixTransformer",
            json!({"prefix": random.pick(&IMAGES[5..6]), "fieldSpecs": [{"path": "metadata/name", "kind": known.kind}, {"path": "spec/image", "kind": "Widget"}]}),
        ),
    };
    let Value::Object(mut fields) = fields else { return None };
    let metadata = fields
        .remove("metadata")
        .unwrap_or_else(|| json!({"name": format!("plugin{}", maker.random.below(1_000_000))}));
    Some((feature, object(kind, metadata, fields)))
}

fn value_add(random: &mut super::random::Random, known: &Known) -> (&'static str, &'static str, Value) {
    let path = random.word(&[
        "metadata/annotations/project",
        "spec/project",
        "spec/template/metadata/labels/project",
        "data/project",
    ]);
    let mut target = json!({"fieldPath": path});
    if random.chance(70) {
        target["selector"] = json!({"kind": known.kind});
    }
    if random.chance(30) {
        target["filePathPosition"] = [1, 2, 5][random.below(3)].into();
    }
    (
        "ValueAddTransformer",
        "ValueAddTransformer",
        json!({"value": random.pick(&["project-1", "5", "a/b"]), "targets": [target]}),
    )
}
