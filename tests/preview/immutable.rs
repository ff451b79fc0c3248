//! What an API server refuses to change is foretold: each row of the corpus, which asked a real one.

use std::collections::BTreeMap;
use std::fs;

use leeboard::object::{Object, ObjectKey};
use leeboard::preview::Facts;
use leeboard::preview::risk::immutable::refused;
use serde_json::Value;

use super::{corpus, fixture, scene};

/// A merge patch, as the corpus sends it.
fn patched(body: &Value, patch: &Value) -> Value {
    let (Value::Object(patch), Value::Object(body)) = (patch, body) else { return patch.clone() };
    let mut body = body.clone();
    for (name, value) in patch {
        if value.is_null() {
            body.shift_remove(name);
        } else {
            let there = body.get(name).cloned().unwrap_or_default();
            let there = if value.is_object() && !there.is_object() { Value::Object(Default::default()) } else { there };
            body.insert(name.clone(), patched(&there, value));
        }
    }
    Value::Object(body)
}

#[test]
fn each_answer_of_a_real_server_is_foretold() {
    let mut cases: BTreeMap<(String, String, String), Vec<(Value, Value)>> = BTreeMap::new();
    let mut facts = Facts::default();
    for case in scene::documents(&fixture("immutable.yaml")) {
        let object = &case["object"];
        let kind = format!("{} {}", object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        for one in case["tries"].as_array().unwrap() {
            let text = |at: usize| one[at].as_str().unwrap().to_owned();
            cases.entry((kind.clone(), text(0), text(1))).or_default().push((object.clone(), one[2].clone()));
        }
        let object = Object::from_value(object.clone(), None).unwrap();
        facts.cluster.insert(object.key.clone(), object.body);
    }
    let Some(file) = corpus("immutable/IMMUTABLE.tsv") else { return };
    let table = fs::read_to_string(file).unwrap();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let (kind, field, tried, code) = (cells[0], cells[1], cells[2], cells[3]);
        let key = (kind.to_owned(), field.to_owned(), tried.to_owned());
        let Some(case) = cases.get_mut(&key).filter(|left| !left.is_empty()) else {
            wrong.push(format!("no fixture for {kind} {field}: {tried}"));
            continue;
        };
        let (was, patch) = case.remove(0);
        let will = patched(&was, &patch);
        let about: ObjectKey = Object::from_value(was.clone(), None).unwrap().key;
        let told = refused(&about, &was, &will, &facts);
        if told.is_empty() != (code == "200") {
            wrong.push(format!("{kind} {field} ({tried}): the server answers {code}, foretold is {told:?}"));
        }
        rows += 1;
    }
    assert!(wrong.is_empty(), "{} of {rows}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows > 140, "{rows} rows");
}
