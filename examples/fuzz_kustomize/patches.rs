//! Patches for an object that is known: what they change is there, most often.

use serde_json::{Map, Value, json};

use super::objects::Known;
use super::places::{Place, Step, places};
use super::random::Random;
use super::scalars::{ordinary, text, word};
use super::style::is_plain;

/// A strategic merge patch that names its target.
pub(crate) fn strategic(random: &mut Random, known: &Known) -> Value {
    let mut patch = known.head();
    if random.chance(3) {
        patch.insert("$patch".into(), random.word(&["delete", "delete", "replace", "merge"]).into());
    }
    let Value::Object(body) = &known.body else { return patch.into() };
    if random.chance(40) || body.len() <= 3 {
        let field = random.word(&["labels", "annotations"]);
        patch["metadata"][field] = marks(random);
    }
    let fields: Vec<&String> =
        body.keys().filter(|key| !["apiVersion", "kind", "metadata"].contains(&key.as_str())).collect();
    if !fields.is_empty() && body.values().any(|value| value.is_object() || value.is_array()) {
        let field = (*random.pick(&fields)).clone();
        let change = altered(random, &body[&field], 0);
        patch.insert(field, change);
    }
    patch.into()
}

fn marks(random: &mut Random) -> Value {
    match random.below(8) {
        0 => json!({"app": null, "new": word(random)}),
        1 => json!({"$patch": "replace", "only": "this"}),
        2 => json!({"team": text(random)}),
        3 => json!({"$retainKeys": ["app"], "app": "kept"}),
        4 => Value::Null,
        _ => json!({"app": "patched", "x": word(random)}),
    }
}

/// What a patch says about a field that holds `value`.
fn altered(random: &mut Random, value: &Value, depth: usize) -> Value {
    match value {
        Value::Object(map) if !map.is_empty() => altered_map(random, map, depth),
        Value::Array(items) if items.iter().any(Value::is_object) => altered_list(random, items, depth),
        Value::Array(_) => match random.below(5) {
            0 => Value::Null,
            1 => json!([]),
            _ => json!(["x", word(random)]),
        },
        Value::String(_) => match random.below(12) {
            0 => Value::Null,
            1 => ordinary(random),
            2..=5 => text(random).into(),
            _ => word(random).into(),
        },
        Value::Number(_) => {
            if random.chance(80) {
                json!(random.below(100))
            } else {
                ordinary(random)
            }
        }
        Value::Object(_) => json!({"added": word(random)}),
        _ => ordinary(random),
    }
}

fn altered_map(random: &mut Random, map: &Map<String, Value>, depth: usize) -> Value {
    let mut patch = Map::new();
    let keys: Vec<&String> = map.keys().collect();
    for _ in 0..random.between(1, 2) {
        let key = *random.pick(&keys);
        let change = if random.chance(6) { Value::Null } else { altered(random, &map[key], depth + 1) };
        patch.insert(key.clone(), change);
    }
    match random.below(40) {
        0 => drop(patch.insert("$patch".into(), "replace".into())),
        1 => drop(patch.insert("$patch".into(), "delete".into())),
        2 => drop(patch.insert("$patch".into(), "merge".into())),
        3 => {
            let kept: Vec<Value> = patch.keys().map(|key| Value::String(key.clone())).collect();
            patch.insert("$retainKeys".into(), kept.into());
        }
        4 => drop(patch.insert("newField".into(), ordinary(random))),
        5 => drop(patch.insert("newMap".into(), json!({"a": {"b": null, "c": 1}, "d": null}))),
        _ => {}
    }
    // Directives of the list that stands beside them.
    let lists: Vec<(&String, &Vec<Value>)> =
        map.iter().filter_map(|(key, value)| Some((key, value.as_array()?))).collect();
    if let Some((key, items)) = lists.first().filter(|_| random.chance(8)) {
        let names: Vec<Value> =
            items.iter().rev().filter_map(|item| Some(json!({"name": item.get("name")?}))).collect();
        if names.is_empty() {
            patch.insert(format!("$deleteFromPrimitiveList/{key}"), items.iter().take(1).cloned().collect());
        } else {
            patch.insert(format!("$setElementOrder/{key}"), names.into());
        }
    }
    patch.into()
}

fn altered_list(random: &mut Random, items: &[Value], depth: usize) -> Value {
    const KEYS: [&str; 11] = [
        "name",
        "containerPort",
        "port",
        "protocol",
        "mountPath",
        "key",
        "ip",
        "topologyKey",
        "kind",
        "whenUnsatisfiable",
        "path",
    ];
    let mut patched = Vec::new();
    for _ in 0..random.between(1, 2) {
        let item = random.pick(items);
        let Value::Object(map) = item else {
            patched.push(item.clone());
            continue;
        };
        let identity: Map<String, Value> = map
            .iter()
            .filter(|(key, _)| KEYS.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let mut element = Map::new();
        match random.below(12) {
            0 => drop(element.insert("$patch".into(), "delete".into())),
            1 => drop(element.insert("$patch".into(), "replace".into())),
            2 => {
                patched.push(item.clone());
                continue;
            }
            3 => {
                let mut new = map.clone();
                new.insert("name".into(), random.word(&["new", "other"]).into());
                patched.push(new.into());
                continue;
            }
            _ => {}
        }
        if !element.contains_key("$patch") || element["$patch"] != "delete" {
            let rest: Map<String, Value> = map
                .iter()
                .filter(|(key, _)| !identity.contains_key(*key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            if !rest.is_empty()
                && let Value::Object(changes) = altered_map(random, &rest, depth + 1)
            {
                element.extend(changes);
            }
        }
        let mut whole = identity;
        if random.chance(4) {
            whole.clear();
        }
        whole.extend(element);
        patched.push(whole.into());
    }
    match random.below(30) {
        directive @ (0 | 1) => {
            patched.retain(|item| item.get("$patch").is_none());
            let at = if directive == 0 { patched.len() } else { 0 };
            patched.insert(at, json!({"$patch": "replace"}));
        }
        2 => patched.clear(),
        _ => {}
    }
    patched.into()
}

/// JSON 6902 operations.
pub(crate) fn operations(random: &mut Random, known: &Known) -> Value {
    let mut all: Vec<Place> = places(&known.body).into_iter().filter(|place| !place.is_identity()).collect();
    if !random.chance(25) {
        // What holds something is replaced now and then only, or later layers find nothing.
        all.retain(|place| place.is_scalar());
    }
    random.shuffle(&mut all);
    let mut operations = Vec::new();
    for _ in 0..random.between(1, 3) {
        // No place twice: the first operation may have taken it away.
        let place = all.pop();
        operations.push(operation(random, place.as_ref()));
    }
    operations.into()
}

fn operation(random: &mut Random, place: Option<&Place>) -> Value {
    let Some(place) = place else { return json!({"op": "add", "path": "/extra", "value": {"k": "v"}}) };
    let path = place.pointer();
    let is_item = matches!(place.steps.last(), Some(Step::Item(..)));
    // kustomize keeps notes among the annotations, which would be copied, too.
    let holds_notes = path == "/metadata/annotations";
    match random.below(14) {
        0 => json!({"op": "remove", "path": path}),
        1 if place.is_scalar() && place.value.as_str().is_none_or(|text| !is_plain(text)) => {
            json!({"op": "test", "path": path, "value": place.value})
        }
        2 if is_item => {
            let list = path.rsplit_once('/').map_or("", |(list, _)| list);
            json!({"op": "add", "path": format!("{list}/-"), "value": place.value})
        }
        3 if is_item => {
            let list = path.rsplit_once('/').map_or("", |(list, _)| list);
            let op = random.word(&["add", "replace", "remove"]);
            json!({"op": op, "path": format!("{list}/-1"), "value": ordinary(random)})
        }
        4 if !holds_notes => json!({"op": "copy", "from": path, "path": "/metadata/copied"}),
        5 if !holds_notes => json!({"op": "move", "from": path, "path": "/moved"}),
        6 => {
            json!({"op": "add", "path": "/metadata/annotations", "value": {"added": word(random), "a/b": text(random)}})
        }
        7 => {
            json!({"op": "add", "path": format!("/{}", random.word(&["extra", "a~1b", "x y", "0"])), "value": ordinary(random)})
        }
        8 | 9 => json!({"op": "add", "path": path, "value": ordinary(random)}),
        _ if place.is_scalar() => json!({"op": "replace", "path": path, "value": scalar_like(random, &place.value)}),
        _ => json!({"op": "replace", "path": path, "value": {"whole": [ordinary(random)]}}),
    }
}

fn scalar_like(random: &mut Random, value: &Value) -> Value {
    match value {
        Value::String(_) => {
            if random.chance(60) {
                word(random).into()
            } else {
                text(random).into()
            }
        }
        Value::Number(_) => json!(random.below(100)),
        _ => ordinary(random),
    }
}

/// A selector that finds the object, and more perhaps.
pub(crate) fn selector(random: &mut Random, known: &Known) -> Value {
    let mut target = Map::new();
    if random.chance(90) {
        target.insert(
            "kind".into(),
            if random.chance(10) { format!("{}.*", &known.kind[..2]).into() } else { known.kind.clone().into() },
        );
    }
    if random.chance(60) {
        let name = match random.below(6) {
            0 => format!("{}.*", &known.name[..1]),
            1 => format!("({}|nope)", known.name),
            2 => ".*".into(),
            _ => known.name.clone(),
        };
        target.insert("name".into(), name.into());
    }
    if random.chance(15) {
        target.insert("version".into(), known.version().into());
    }
    if random.chance(15) {
        target.insert("group".into(), known.group().into());
    }
    if let Some(namespace) = known.namespace.as_ref().filter(|_| random.chance(30)) {
        target.insert("namespace".into(), namespace.clone().into());
    }
    if random.chance(10) {
        let selector =
            ["app", "tier=front", "app in (web,api)", "tier!=back", "!nope", "tier notin (x),app", "app==web"];
        target.insert("labelSelector".into(), random.word(&selector).into());
    }
    if random.chance(5) {
        target.insert(
            "annotationSelector".into(),
            random.word(&["team", "team=alpha", "!team", "team in (alpha, beta)"]).into(),
        );
    }
    target.into()
}
