//! The fields of a kustomization that change what it has.

use serde_json::{Map, Value, json};

use super::layer::{Layer, Maker};
use super::objects::{IMAGES, Known, NAMESPACES};
use super::patches;
use super::plugins;
use super::random::Random;
use super::replacements;
use super::scalars::{text, word};
use super::style::{self, Taste};

/// Adds any of the transformers.
pub(crate) fn transform(maker: &mut Maker, layer: &mut Layer) {
    patch_fields(maker, layer);
    name_fields(maker, layer);
    mark_fields(maker, layer);
    image_fields(maker, layer);
    replica_field(maker, layer);
    replacement_field(maker, layer);
    plugins::add(maker, layer);
}

fn patch_fields(maker: &mut Maker, layer: &mut Layer) {
    let unique = layer.unique();
    if unique.is_empty() {
        return;
    }
    if maker.wants(40) {
        for _ in 0..maker.random.between(1, 3) {
            let Some(known) = maker.touch(&unique) else { continue };
            let entry = patch(maker, layer, &known);
            layer.push("patches", entry);
        }
    }
    if maker.wants(10) {
        let Some(known) = maker.touch(&unique) else { return };
        maker.feature("patchesStrategicMerge");
        let patch = patches::strategic(&mut maker.random, &known);
        let entry = match maker.random.chance(50) {
            true => style::document(&mut maker.random, &patch, Taste::Plain),
            false => maker.documents(&layer.directory, "patch.yaml", &[patch], Taste::Exact),
        };
        layer.push("patchesStrategicMerge", entry.into());
    }
    if maker.wants(10) {
        let Some(known) = maker.touch(&unique) else { return };
        maker.feature("patchesJson6902");
        let mut target = json!({"version": known.version(), "kind": known.kind, "name": known.name});
        if !known.group().is_empty() {
            target["group"] = known.group().into();
        }
        if let Some(namespace) = &known.namespace {
            target["namespace"] = namespace.clone().into();
        }
        let mut entry = json!({"target": target});
        operations(maker, layer, &known, &mut entry);
        layer.push("patchesJson6902", entry);
    }
}

/// JSON 6902 operations in the field `patch`, or in a file at `path`.
pub(crate) fn operations(maker: &mut Maker, layer: &Layer, known: &Known, entry: &mut Value) {
    let operations = patches::operations(&mut maker.random, known);
    let is_json = maker.random.chance(35) && style::is_json(&operations);
    let text = match (is_json, maker.random.chance(50)) {
        (true, true) => operations.to_string(),
        (true, false) => format!("{operations:#}\n"),
        (false, _) => style::document(&mut maker.random, &operations, Taste::Plain),
    };
    if maker.random.chance(40) {
        let name = if is_json { "operations.json" } else { "operations.yaml" };
        entry["path"] = maker.file(&layer.directory, name, text).into();
    } else {
        entry["patch"] = text.into();
    }
}

/// One entry of `patches`.
pub(crate) fn patch(maker: &mut Maker, layer: &Layer, known: &Known) -> Value {
    let mut entry = json!({});
    if maker.random.chance(35) {
        maker.feature("patches: JSON 6902");
        entry["target"] = patches::selector(&mut maker.random, known);
        if maker.random.chance(70) {
            entry["target"]["kind"] = known.kind.clone().into();
            entry["target"]["name"] = known.name.clone().into();
        }
        operations(maker, layer, known, &mut entry);
        return entry;
    }
    maker.feature("patches: strategic merge");
    let mut patch = patches::strategic(&mut maker.random, known);
    let has_target = maker.random.chance(40);
    if has_target {
        maker.feature("patches: target");
        entry["target"] = patches::selector(&mut maker.random, known);
        match maker.random.below(6) {
            0 => patch["metadata"]["name"] = "ignored".into(),
            1 => {
                entry["options"] = json!({"allowNameChange": true});
                patch["metadata"]["name"] = format!("renamed-{}", known.name).into();
                entry["target"] = json!({"kind": known.kind, "name": known.name});
                maker.feature("patches: allowNameChange");
            }
            2 if !["ConfigMap", "Secret"].contains(&known.kind.as_str()) => {
                entry["options"] = json!({"allowKindChange": maker.random.chance(80)});
                patch["kind"] = "Gadget".into();
                entry["target"] = json!({"kind": known.kind, "name": known.name});
                maker.feature("patches: allowKindChange");
            }
            _ => {}
        }
    }
    if maker.random.chance(50) {
        entry["patch"] = style::document(&mut maker.random, &patch, Taste::Plain).into();
    } else {
        let mut patches = vec![patch];
        if !has_target && maker.random.chance(10) {
            let unique = layer.unique();
            let other = maker.random.pick(&unique).clone();
            patches.push(patches::strategic(&mut maker.random, &other));
        }
        entry["path"] = maker.documents(&layer.directory, "change.yaml", &patches, Taste::Exact).into();
    }
    entry
}

fn name_fields(maker: &mut Maker, layer: &mut Layer) {
    if maker.wants(18) {
        maker.feature("namePrefix");
        layer.fields.insert("namePrefix".into(), maker.random.word(&["pre-", "a.", "x"]).into());
    }
    if maker.wants(12) {
        maker.feature("nameSuffix");
        layer.fields.insert("nameSuffix".into(), maker.random.word(&["-v1", "-2", "-suffix"]).into());
    }
    let spaces = layer.objects.iter().filter(|known| known.kind == "Namespace").count();
    if maker.wants(18) && spaces < 2 {
        maker.feature("namespace");
        layer.fields.insert("namespace".into(), maker.random.word(&NAMESPACES).into());
    }
}

fn mark_fields(maker: &mut Maker, layer: &mut Layer) {
    if maker.wants(18) {
        maker.feature("labels");
        for _ in 0..maker.random.between(1, 2) {
            let entry = labels(maker, layer);
            layer.push("labels", entry);
        }
    }
    if maker.wants(12) {
        maker.feature("commonLabels");
        let pairs = json!({"app": word(&mut maker.random), "common": text(&mut maker.random)});
        layer.fields.insert("commonLabels".into(), pairs);
    }
    if maker.wants(14) {
        maker.feature("commonAnnotations");
        let pairs = json!({"team": text(&mut maker.random), "a.b/c": word(&mut maker.random)});
        layer.fields.insert("commonAnnotations".into(), pairs);
    }
}

fn labels(maker: &mut Maker, layer: &Layer) -> Value {
    let mut entry = json!({"pairs": {"tier": word(&mut maker.random), "label/x": text(&mut maker.random)}});
    for flag in ["includeSelectors", "includeTemplates", "includeVolumeClaimTemplates"] {
        if maker.random.chance(25) {
            entry[flag] = maker.random.chance(85).into();
        }
    }
    if maker.random.chance(20) {
        maker.feature("labels: fields");
        let mut spec = json!({"path": maker.random.word(&["spec/marks", "spec/template/metadata/labels", "spec/deep/er/marks", "spec/jobTemplate/marks"]), "create": maker.random.chance(70)});
        if maker.random.chance(60) && !layer.objects.is_empty() {
            let known = maker.random.pick(&layer.objects);
            spec["kind"] = known.kind.clone().into();
            if maker.random.chance(30) {
                spec["version"] = known.version().into();
            }
        } else {
            spec["create"] = false.into();
        }
        entry["fields"] = json!([spec]);
    }
    entry
}

/// One entry of `images`.
pub(crate) fn image(random: &mut Random) -> Value {
    let written = random.word(&IMAGES);
    let name = written.split(['@']).next().unwrap_or_default();
    let name = match name.rfind(':') {
        Some(at) if !name[at..].contains('/') => &name[..at],
        _ => name,
    };
    let mut image = json!({"name": name});
    if random.chance(45) {
        image["newName"] = random.word(&["mirror.io/nginx", "my/app", "host:5000/x"]).into();
    }
    if random.chance(55) {
        image["newTag"] = random.word(&["1.26", "v2", "latest", "007"]).into();
    }
    if random.chance(20) {
        image["digest"] = random
            .word(&["sha256:bbbb", "sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3"])
            .into();
    }
    if random.chance(10) {
        image["tagSuffix"] = "-debian".into();
    }
    image
}

fn image_fields(maker: &mut Maker, layer: &mut Layer) {
    if maker.wants(15) {
        maker.feature("images");
        for _ in 0..maker.random.between(1, 2) {
            layer.push("images", image(&mut maker.random));
        }
    }
    if maker.wants(3) {
        maker.feature("imageTags");
        layer.push("imageTags", image(&mut maker.random));
    }
}

fn replica_field(maker: &mut Maker, layer: &mut Layer) {
    const KINDS: [&str; 4] = ["Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"];
    let counted: Vec<Known> =
        layer.objects.iter().filter(|known| KINDS.contains(&known.kind.as_str())).cloned().collect();
    if !counted.is_empty() && maker.wants(15) {
        maker.feature("replicas");
        let known = maker.random.pick(&counted);
        layer.push("replicas", json!({"name": known.name, "count": maker.random.below(9)}));
    }
}

fn replacement_field(maker: &mut Maker, layer: &mut Layer) {
    if !maker.wants(22) {
        return;
    }
    for _ in 0..maker.random.between(1, 2) {
        let unique = layer.unique();
        let (Some(source), Some(target)) = (maker.untouched(&unique), maker.untouched(&layer.objects)) else {
            continue;
        };
        let Some(entry) = replacements::replacement(&mut maker.random, &source, &target) else { continue };
        maker.feature("replacements");
        if maker.random.chance(15) {
            maker.feature("replacements: path");
            let document = if maker.random.chance(50) { json!([entry]) } else { entry };
            let path = maker.documents(&layer.directory, "replacement.yaml", &[document], Taste::Exact);
            layer.push("replacements", json!({"path": path}));
        } else {
            layer.push("replacements", entry);
        }
    }
}

/// Vars have names of their own in the whole tree.
pub(crate) fn vars(maker: &mut Maker, layer: &mut Layer) {
    if !maker.wants(8) {
        return;
    }
    let unique = layer.unique();
    let name = format!("V{}", maker.vars);
    let source = maker.untouched(&unique);
    if let Some(var) = source.and_then(|source| replacements::var(&mut maker.random, &name, &source)) {
        maker.vars += 1;
        maker.feature("vars");
        layer.push("vars", var);
    }
}

/// What says how the output looks.
pub(crate) fn presentation(maker: &mut Maker, layer: &mut Layer) {
    if maker.wants(6) {
        maker.feature("sortOptions");
        let options = match maker.random.below(3) {
            0 => json!({"order": "fifo"}),
            1 => json!({"order": "legacy"}),
            _ => {
                json!({"order": "legacy", "legacySortOptions": {"orderFirst": ["Secret", "Deployment", "Widget"], "orderLast": ["Service", "Namespace"]}})
            }
        };
        layer.fields.insert("sortOptions".into(), options);
    }
    if maker.wants(6) {
        let mut wanted = Vec::new();
        for (name, feature) in [
            ("originAnnotations", "buildMetadata: originAnnotations"),
            ("transformerAnnotations", "buildMetadata: transformerAnnotations"),
            ("managedByLabel", "buildMetadata: managedByLabel"),
        ] {
            if maker.random.chance(50) {
                maker.feature(feature);
                wanted.push(Value::from(name));
            }
        }
        layer.fields.insert("buildMetadata".into(), wanted.into());
    }
}

/// A map of one entry.
pub(crate) fn single(key: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(key.to_owned(), value)])
}
