//! Each rule of the drift decision, one case to a line.

#![allow(clippy::needless_pass_by_value, reason = "cases are written as `json!(…)`")]

use super::*;
use serde_json::{Map, json};

const US: &str = "leeboard";

fn entry(manager: &str, operation: &str, set: Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": "2026-11-21T07:16:29Z",
           "fieldsType": "FieldsV1", "fieldsV1": set})
}

/// An object with this content, of which we own `set`.
fn object(content: Value, set: Value) -> Value {
    shared_object(content, vec![entry(US, "Apply", set)])
}

fn shared_object(content: Value, managed: Vec<Value>) -> Value {
    let mut body = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "managedFields": managed}});
    for (name, value) in content.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The projection, read from the value and from text with other order and spacing: they must agree.
fn projected(body: &Value) -> Option<u64> {
    let of_value = projection(body, US);
    let text = serde_json::to_string_pretty(&reversed(body)).unwrap();
    assert_eq!(of_value, of_text(&text), "{body}");
    of_value
}

fn of_text(text: &str) -> Option<u64> {
    let body: Value = serde_json::from_str(text).unwrap();
    let managed = body["metadata"]["managedFields"].to_string();
    let entries: Vec<ManagedFields<'_>> = serde_json::from_str(&managed).unwrap();
    Some(Ownership::of(&entries, US)?.project(&mut serde_json::Deserializer::from_str(text)).unwrap())
}

fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().rev().map(|(k, v)| (k.clone(), reversed(v))).collect::<Map<_, _>>().into(),
        Value::Array(items) => items.iter().map(reversed).collect::<Vec<_>>().into(),
        scalar => scalar.clone(),
    }
}

#[test]
fn only_what_we_own_counts() {
    let set = json!({"f:spec": {
        "f:size": {},
        "f:selector": {},
        "f:labels": {".": {}, "f:app": {}},
        "f:parts": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:qty": {}},
                    "k:{\"name\":\"b\"}": {".": {}, "f:name": {}}},
        "f:ports": {"k:{\"port\":53,\"protocol\":\"UDP\"}": {".": {}, "f:port": {}, "f:protocol": {}}},
        "f:hosts": {"v:\"x\"": {}, "v:\"y\"": {}, "v:3": {}},
        "f:rows": {"i:1": {"f:n": {}}},
    }});
    let spec = json!({
        "size": 3,
        "selector": {"app": "web", "tier": null},
        "labels": {"app": "web"},
        "parts": [{"name": "a", "qty": 1}, {"name": "b", "qty": 1}],
        "ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP", "node": 7}],
        "hosts": ["x", "y", 3],
        "rows": [{"n": 0}, {"n": 1}],
    });
    let before = projected(&object(json!({"spec": spec}), set.clone()));
    assert!(before.is_some());
    // pointer          new value                             counts
    let cases = [
        ("/size", json!(4), true),
        ("/size", json!("3"), true),
        ("/size", json!(3.0), true),
        ("/size", json!(null), true),
        ("/other", json!(1), false),
        ("/selector", json!({"tier": null, "app": "web"}), false),
        ("/selector/app", json!("api"), true),
        ("/selector/more", json!("x"), true),
        ("/labels/app", json!("api"), true),
        ("/labels/other", json!("x"), false),
        ("/labels", json!({}), true),
        ("/parts/0/qty", json!(2), true),
        ("/parts/1/qty", json!(2), false),
        ("/parts", json!([{"name": "b"}, {"name": "a", "qty": 1}]), true),
        ("/parts", json!([{"name": "c"}, {"qty": 1, "name": "a"}, {"name": "d"}, {"name": "b"}]), false),
        ("/parts", json!([{"name": "a", "qty": 1}]), true),
        ("/parts", json!({}), true),
        ("/parts", json!(null), true),
        ("/ports/0/port", json!(54), false),
        ("/ports/1/node", json!(8), false),
        ("/ports", json!([{"port": 53, "protocol": "UDP"}]), false),
        ("/ports/1/protocol", json!("SCTP"), true),
        ("/hosts", json!(["y", 3, "z", "x"]), false),
        ("/hosts", json!(["x", "y"]), true),
        ("/rows/1/n", json!(2), true),
        ("/rows/0/n", json!(2), false),
    ];
    for (pointer, value, counts) in cases {
        let mut changed = spec.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match changed.pointer_mut(pointer) {
            Some(place) => *place = value.clone(),
            None => changed.pointer_mut(parent).unwrap()[name] = value.clone(),
        }
        let after = projected(&object(json!({"spec": changed}), set.clone()));
        assert_eq!(after != before, counts, "{pointer} = {value}");
    }
    let with_status = projected(&object(json!({"spec": spec, "status": {"ready": 1}}), set));
    assert_eq!(with_status, before, "status is not ours");
}

#[test]
fn a_lost_field_counts_even_if_its_value_stays() {
    let content = json!({"data": {"a": "1"}});
    let all = projected(&object(content.clone(), json!({"f:data": {".": {}, "f:a": {}, "f:gone": {}}})));
    for less in [
        json!({"f:data": {".": {}, "f:a": {}}}),
        json!({"f:data": {"f:a": {}, "f:gone": {}}}),
        json!({"f:data": {".": {}, "f:gone": {}}}),
    ] {
        assert_ne!(projected(&object(content.clone(), less.clone())), all, "{less}");
    }
}

#[test]
fn we_own_nothing_without_an_entry_of_our_own_apply() {
    let set = json!({"f:data": {"f:a": {}}});
    let mut of_status = entry(US, "Apply", set.clone());
    of_status["subresource"] = json!("status");
    let cases = [
        vec![],
        vec![entry("kubectl-edit", "Apply", set.clone())],
        vec![entry(US, "Update", set.clone())],
        vec![of_status],
        vec![entry(US, "Apply", json!({}))],
        vec![json!({"manager": US, "operation": "Apply"})],
        vec![entry(US, "Apply", json!({"x:unknown": {}}))],
    ];
    for managed in cases {
        let body = shared_object(json!({"data": {"a": "1"}}), managed.clone());
        assert_eq!(projected(&body), None, "{managed:?}");
    }
    assert_eq!(projection(&json!({"apiVersion": "v1"}), US), None);
}

#[test]
fn what_others_put_into_a_mapping_that_we_applied_empty_is_theirs() {
    let ours = entry(US, "Apply", json!({"f:spec": {"f:resources": {}}}));
    let before = shared_object(json!({"spec": {"resources": {}}}), vec![ours.clone()]);
    let theirs = entry("vpa", "Update", json!({"f:spec": {"f:resources": {"f:limits": {"f:cpu": {}}}}}));
    let content = json!({"spec": {"resources": {"limits": {"cpu": "1"}}}});
    assert_eq!(projected(&shared_object(content.clone(), vec![ours.clone(), theirs])), projected(&before));

    // An atomic mapping has no owners below it: all of its content is ours.
    assert_ne!(projected(&shared_object(content, vec![ours])), projected(&before));
}

#[test]
fn big_and_odd_scalars_keep_their_difference() {
    let set = json!({"f:a": {}});
    let cases = [
        json!(9_007_199_254_740_993_u64),
        json!(9_007_199_254_740_992_u64),
        json!(-1),
        json!(u64::MAX),
        json!(1),
        json!(1.0),
        json!("1"),
        json!(true),
        json!("true"),
        json!(null),
        json!(""),
        json!([]),
        json!({}),
        json!([null]),
        json!([[]]),
    ];
    let hashes: std::collections::BTreeSet<_> =
        cases.iter().map(|value| projected(&object(json!({"a": value}), set.clone()))).collect();
    assert_eq!(hashes.len(), cases.len());
}

#[test]
fn the_owner_of_a_field_is_named() {
    let live = shared_object(
        json!({"spec": {"replicas": 3, "resources": {"limits": {"cpu": "1"}}, "c": [{"name": "a", "image": "x"}]}}),
        vec![
            entry(
                US,
                "Apply",
                json!({"f:spec": {"f:resources": {}, "f:c": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}}}}}),
            ),
            entry(
                "kubectl-edit",
                "Update",
                json!({"f:spec": {"f:replicas": {}, "f:c": {"k:{\"name\":\"a\"}": {"f:image": {}}}}}),
            ),
            entry("vpa", "Update", json!({"f:spec": {"f:resources": {"f:limits": {"f:cpu": {}}}}})),
        ],
    );
    use Step::{Field, Index};
    let cases: [(&[Step<'_>], &[&str]); 7] = [
        (&[Field("spec"), Field("replicas")], &["kubectl-edit"]),
        (&[Field("spec"), Field("resources")], &[US, "vpa"]),
        (&[Field("spec"), Field("resources"), Field("limits"), Field("cpu")], &["vpa"]),
        (&[Field("spec"), Field("c"), Index(0), Field("image")], &["kubectl-edit"]),
        (&[Field("spec"), Field("c"), Index(0), Field("name")], &[US]),
        (&[Field("spec"), Field("c"), Index(1)], &[]),
        (&[Field("data")], &[]),
    ];
    for (path, expected) in cases {
        let names: Vec<_> = owners(&live, path).into_iter().map(|owner| owner.manager).collect();
        assert_eq!(names, expected, "{path:?}");
    }
    let owner = owners(&live, &[Field("spec"), Field("replicas")]).remove(0);
    assert_eq!((owner.applies, owner.time), (false, Some("2026-11-21T07:16:29Z".parse().unwrap())));
}

#[test]
fn the_owned_part_is_what_an_apply_would_write() {
    let mut live = object(
        json!({"spec": {"replicas": 3, "c": [{"name": "a", "image": "x", "ports": []}, {"name": "b"}]}, "status": {}}),
        json!({"f:metadata": {"f:labels": {"f:app": {}}},
               "f:spec": {"f:c": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:image": {}}}}}),
    );
    live["metadata"]["labels"] = json!({"app": "web", "other": "x"});
    live["metadata"]["namespace"] = json!("shop");
    assert_eq!(
        owned_part(&live, US).unwrap(),
        json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "namespace": "shop", "labels": {"app": "web"}},
               "spec": {"c": [{"name": "a", "image": "x"}]}})
    );
}

#[test]
fn an_earlier_tools_fields_become_ours() {
    let theirs =
        json!({"f:spec": {"f:replicas": {}, "f:c": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}, "f:name": {}}}}});
    let ours = json!({"f:spec": {"f:c": {"k:{\"name\":\"a\"}": {"f:name": {}, "f:tty": {}}}}});
    let status = json!({"manager": "kubectl-client-side-apply", "operation": "Update", "subresource": "status",
                        "fieldsV1": {"f:status": {}}});
    let live = shared_object(
        json!({}),
        vec![entry("kubectl-client-side-apply", "Update", theirs), entry(US, "Apply", ours), status.clone()],
    );
    let adopted = adopt(&live, &["kubectl-client-side-apply", "argocd-controller"], US, "v1").unwrap();
    assert_eq!(
        adopted,
        json!([
            entry(
                US,
                "Apply",
                json!({"f:spec": {"f:c": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}, "f:name": {}, "f:tty": {}}},
                                                 "f:replicas": {}}})
            ),
            status,
        ])
    );
    assert_eq!(adopt(&live, &["argocd-controller"], US, "v1"), None);
}
