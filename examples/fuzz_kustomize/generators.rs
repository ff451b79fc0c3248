//! ConfigMaps and Secrets that are made of literals, files and lines.

use serde_json::{Map, Value, json};

use super::layer::{Layer, Maker};
use super::objects::{Known, NAMESPACES};
use super::scalars::{text, word};

pub(crate) fn add(maker: &mut Maker, layer: &mut Layer) {
    for (field, kind) in [("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")] {
        if !maker.wants(15) {
            continue;
        }
        maker.feature(field);
        for _ in 0..maker.random.between(1, 2) {
            if let Some(entry) = entry(maker, layer, kind) {
                layer.push(field, entry.into());
            }
        }
    }
    if maker.wants(8) {
        maker.feature("generatorOptions");
        let options = options(maker);
        layer.fields.insert("generatorOptions".into(), options);
    }
}

/// One entry of a generator's list, by which the layer knows its object.
pub(crate) fn entry(maker: &mut Maker, layer: &mut Layer, kind: &str) -> Option<Map<String, Value>> {
    let mut entry = Map::new();
    let mut data = Map::new();
    sources(maker, layer, &mut entry, &mut data);
    if maker.random.chance(20) {
        let options = options(maker);
        entry.insert("options".into(), options);
    }
    if kind == "Secret" && maker.random.chance(30) {
        entry.insert("type".into(), maker.random.word(&["Opaque", "kubernetes.io/tls", "example.com/x"]).into());
    }
    let existing: Vec<Known> = layer.unique().into_iter().filter(|known| known.kind == kind).collect();
    if !existing.is_empty() && maker.random.chance(35) {
        maker.feature("behavior of a generator");
        let known = maker.random.pick(&existing);
        entry.insert("name".into(), known.name.clone().into());
        if let Some(namespace) = &known.namespace {
            entry.insert("namespace".into(), namespace.clone().into());
        }
        entry.insert("behavior".into(), maker.random.word(&["merge", "merge", "replace"]).into());
        return Some(entry);
    }
    let namespace = maker.random.chance(8).then(|| maker.random.word(&NAMESPACES));
    let name = maker.objects.fresh_generated(&mut maker.random, kind, &namespace);
    entry.insert("name".into(), name.clone().into());
    if let Some(namespace) = &namespace {
        entry.insert("namespace".into(), namespace.clone().into());
    }
    if maker.random.chance(10) {
        entry.insert("behavior".into(), "create".into());
    }
    let body = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data});
    layer.objects.push(Known { api_version: "v1".into(), kind: kind.into(), name, namespace, body });
    Some(entry)
}

fn sources(maker: &mut Maker, layer: &Layer, entry: &mut Map<String, Value>, data: &mut Map<String, Value>) {
    if maker.random.chance(60) {
        let mut literals = Vec::new();
        for at in 0..maker.random.between(1, 3) {
            let value = match maker.random.below(6) {
                0 => format!("\"{}\"", word(&mut maker.random)),
                1 => format!("'{}'", text(&mut maker.random)),
                2 => "a=b=c".into(),
                _ => text(&mut maker.random),
            };
            let key = format!("{}{at}", maker.random.word(&["key", "KEY_", "a.b-", "é", "with space "]));
            literals.push(Value::String(format!("{key}={value}")));
            data.insert(key, value.into());
        }
        entry.insert("literals".into(), literals.into());
    }
    if maker.random.chance(35) {
        maker.feature("files of a generator");
        let content: Vec<u8> = match maker.random.below(7) {
            0 => vec![0xff, 0xfe, 0, 1, 2, 3],
            1 => (0..200u8).chain(128..=255).collect(),
            2 => b"[section]\nkey=value\n  indented\n".to_vec(),
            3 => b"{\"a\": [1, 2, {\"b\": null}]}".to_vec(),
            4 => "trailing space \nümlaut\n\n".as_bytes().to_vec(),
            5 => b"crlf\r\nlines\r\n".to_vec(),
            _ => text(&mut maker.random).into_bytes(),
        };
        let file = maker.file(&layer.directory, "app.properties", content);
        let key = format!("file{}", maker.random.below(10));
        let source = if maker.random.chance(50) { format!("{key}={file}") } else { file };
        entry.insert("files".into(), json!([source]));
    }
    if maker.random.chance(30) {
        maker.feature("envs of a generator");
        const LINES: [&str; 11] = [
            "# remark",
            "",
            "  LEADING=x",
            "TRAILING=y ",
            "QUOTED=\"z\"",
            "EMPTY=",
            "BARE",
            "EQUALS=a=b",
            "export E=1",
            "UTF=é",
            "HASH=a # b",
        ];
        let mut lines: Vec<&str> = (0..LINES.len()).filter(|_| maker.random.chance(40)).map(|at| LINES[at]).collect();
        maker.random.shuffle(&mut lines);
        let end = if maker.random.chance(10) { "\r\n" } else { "\n" };
        let content = lines.join(end) + if maker.random.chance(80) { end } else { "" };
        let file = maker.file(&layer.directory, "lines.env", content);
        let (field, value) = if maker.random.chance(15) { ("env", json!(file)) } else { ("envs", json!([file])) };
        entry.insert(field.into(), value);
    }
}

fn options(maker: &mut Maker) -> Value {
    let mut options = Map::new();
    if maker.random.chance(50) {
        options.insert("disableNameSuffixHash".into(), maker.random.chance(80).into());
    }
    if maker.random.chance(30) {
        options.insert("immutable".into(), maker.random.chance(80).into());
    }
    if maker.random.chance(40) {
        options.insert("labels".into(), json!({"made": word(&mut maker.random)}));
    }
    if maker.random.chance(40) {
        options.insert("annotations".into(), json!({"note": text(&mut maker.random), "b": "2"}));
    }
    options.into()
}
