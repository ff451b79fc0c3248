//! Replacements and vars: values that go from one object to others.

use serde_json::{Map, Value, json};

use super::objects::Known;
use super::patches::selector;
use super::places::{Place, Step, places};
use super::random::Random;
use super::scalars::word;
use super::style::is_plain;

/// Scalars that are what they look like.
fn sources(known: &Known, is_wanted: impl Fn(&Value) -> bool) -> Vec<Place> {
    let ordinary = |place: &Place| place.value.as_str().is_none_or(|text| !is_plain(text));
    let reachable = |place: &Place| {
        place.steps.iter().all(|step| match step {
            Step::Field(field) => {
                let is_hard = field.contains(['[', ']', '=', ' ']) || field.contains('.') && field.contains('/');
                !is_hard && !is_plain(field)
            }
            Step::Item(_, name) => name.as_ref().is_none_or(|name| !name.contains(['.', ']', '='])),
        })
    };
    places(&known.body)
        .into_iter()
        .filter(|place| ordinary(place) && reachable(place) && is_wanted(&place.value))
        .collect()
}

/// One replacement; `None` when the source has nothing that could be copied.
pub(crate) fn replacement(random: &mut Random, source: &Known, known: &Known) -> Option<Value> {
    let mut replacement = Map::new();
    let is_number;
    if random.chance(15) {
        replacement.insert("sourceValue".into(), word(random).into());
        is_number = false;
    } else {
        let wants_numbers = random.chance(15);
        let wants_all = random.chance(5);
        let found =
            sources(source, |value| wants_all || if wants_numbers { value.is_u64() } else { value.is_string() });
        if found.is_empty() {
            return None;
        }
        let place = random.pick(&found).clone();
        is_number = !place.value.is_string();
        replacement.insert("source".into(), source_of(random, source, &place));
    }
    let mut targets = Vec::new();
    for _ in 0..random.between(1, 2) {
        targets.push(target(random, known, is_number)?);
    }
    replacement.insert("targets".into(), targets.into());
    Some(replacement.into())
}

fn source_of(random: &mut Random, source: &Known, place: &Place) -> Value {
    let mut selected = json!({"kind": source.kind, "name": source.name});
    if let Some(namespace) = &source.namespace {
        selected["namespace"] = namespace.clone().into();
    }
    if random.chance(20) {
        selected["version"] = source.version().into();
    }
    if random.chance(20) && !source.group().is_empty() {
        selected["group"] = source.group().into();
    }
    if random.chance(85) {
        selected["fieldPath"] = place.dotted(random).replace('*', "0").into();
    }
    let parts = place
        .value
        .as_str()
        .and_then(|text| Some((text, [":", "-", "/"].into_iter().find(|mark| text.contains(mark))?)));
    if let Some((text, mark)) = parts.filter(|_| random.chance(30)) {
        let count = text.split(mark).count();
        selected["options"] = json!({"delimiter": mark, "index": random.below(count)});
    }
    selected
}

fn target(random: &mut Random, known: &Known, is_number: bool) -> Option<Value> {
    let mut options = Map::new();
    let mut paths = Vec::new();
    let mut found = sources(known, |value| if is_number { value.is_u64() } else { value.is_string() });
    found.retain(|place| !place.is_identity() || place.steps.len() == 2 && place.value != json!(known.kind));
    found.retain(|place| place.steps.len() > 1);
    if !found.is_empty() && random.chance(70) {
        paths.push(random.pick(&found).dotted(random));
        if !is_number && random.chance(25) {
            options.insert("delimiter".into(), random.word(&[":", "-", "/", "."]).into());
            options.insert("index".into(), [json!(0), json!(1), json!(-1), json!(9)][random.below(4)].clone());
        }
        if random.chance(10) {
            options.insert("create".into(), true.into());
        }
    } else if is_number {
        return None;
    } else {
        const CREATED: [&str; 6] = [
            "metadata.annotations.new",
            "metadata.labels.[a.b/c]",
            "metadata.labels.made",
            "metadata.annotations.list",
            "metadata.annotations.example\\.com/x",
            "spec.template.metadata.annotations.sum",
        ];
        paths.push(random.word(&CREATED));
        if random.chance(95) {
            options.insert("create".into(), true.into());
        }
    }
    if known.kind == "ConfigMap" && random.chance(30) {
        let inner = [
            ("config.json", "host"),
            ("config.json", "list.0.name"),
            ("config.yaml", "host"),
            ("config.yaml", "list.0.v"),
        ];
        let (file, path) = random.pick(&inner);
        if known.body["data"].get(file).is_some() {
            paths = vec![format!("data.{}.{path}", file.replace('.', "\\."))];
            options.clear();
        }
    }
    let mut select = selector(random, known);
    if random.chance(80) {
        select["kind"] = known.kind.clone().into();
        select["name"] = known.name.clone().into();
    }
    let mut target = json!({"select": select, "fieldPaths": paths});
    if random.chance(12) {
        target["reject"] = json!([{"name": random.word(&["web", "nope", "db.*"])}]);
    }
    if !options.is_empty() {
        target["options"] = options.into();
    }
    if random.chance(3) {
        let target = target.as_object_mut()?;
        target.remove("fieldPaths");
        target.remove("options");
    }
    Some(target)
}

/// A var of this name that reads a scalar of one object.
pub(crate) fn var(random: &mut Random, name: &str, source: &Known) -> Option<Value> {
    if source.kind.starts_with("Cluster") {
        return None;
    }
    let mut var =
        json!({"name": name, "objref": {"apiVersion": source.api_version, "kind": source.kind, "name": source.name}});
    if let Some(namespace) = &source.namespace {
        var["objref"]["namespace"] = namespace.clone().into();
    }
    let mut found = sources(source, |value| value.is_string() || value.is_number());
    found.retain(|place| !place.steps.windows(2).any(|pair| matches!(pair, [Step::Item(..), Step::Item(..)])));
    if random.chance(60) && !found.is_empty() {
        let place = random.pick(&found);
        let mut path = String::new();
        for step in &place.steps {
            match step {
                Step::Field(field) if path.is_empty() => path.push_str(field),
                Step::Field(field) => path.push_str(&format!(".{}", field.replace('.', "\\."))),
                Step::Item(at, _) => path.push_str(&format!("[{at}]")),
            }
        }
        var["fieldref"] = json!({"fieldpath": path});
        if random.chance(30) {
            var["fieldref"] = json!({"fieldPath": path});
        }
    }
    Some(var)
}
