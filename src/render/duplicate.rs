//! Two objects of one identity: an error inside one source, the last one wins between several sources.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use smol_str::SmolStr;

use crate::error::Diagnostic;
use crate::object::{Object, ObjectKey};

/// The key that an object will have in a cluster; `None` while the API server has to choose its name.
///
/// Whether a kind has namespaces is not known here. It need not be: an object that has none can't be told from one in
/// the destination's namespace by any other name.
fn identity(object: &Object, namespace: Option<&str>) -> Option<ObjectKey> {
    if object.key.name.is_empty() {
        return None;
    }
    let mut key = object.key.clone();
    key.namespace = key.namespace.or_else(|| namespace.map(SmolStr::new));
    Some(key)
}

/// Finds objects of the same identity in one source.
///
/// # Errors
/// One problem for each object that is there again, naming both places.
pub(super) fn refuse(objects: &[Object], namespace: Option<&str>) -> Result<(), Vec<Diagnostic>> {
    let mut first: HashMap<ObjectKey, &Object> = HashMap::with_capacity(objects.len());
    let mut problems = Vec::new();
    for object in objects {
        let Some(key) = identity(object, namespace) else { continue };
        let Some(before) = first.get(&key) else {
            first.insert(key, object);
            continue;
        };
        let mut problem = Diagnostic::new(format!("two objects with the identity `{}`", object.key))
            .with_hint("Remove one, or give it another name.");
        if let Some(origin) = &object.origin {
            problem = problem.at(origin.clone());
        }
        if let Some(origin) = &before.origin {
            problem = problem.with_note(format!("also: {origin}"));
        }
        problems.push(problem);
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Puts the objects of several sources together, in the order of the sources.
///
/// Of objects with one identity the last wins, at the place of the first; the warnings are the words of Argo CD's
/// condition `RepeatedResourceWarning`.
pub fn concatenate(
    sources: impl IntoIterator<Item = Vec<Object>>,
    namespace: Option<&str>,
) -> (Vec<Object>, Vec<Diagnostic>) {
    let mut objects: Vec<Object> = Vec::new();
    let mut places: HashMap<ObjectKey, (usize, usize)> = HashMap::new();
    for object in sources.into_iter().flatten() {
        match identity(&object, namespace).map(|key| places.entry(key)) {
            Some(Slot::Occupied(mut before)) => {
                let (place, times) = before.get_mut();
                *times += 1;
                objects[*place] = object;
                continue;
            }
            Some(Slot::Vacant(slot)) => drop(slot.insert((objects.len(), 1))),
            None => {}
        }
        objects.push(object);
    }
    let mut repeated: Vec<_> = places.into_iter().filter(|(_, (_, times))| *times > 1).collect();
    repeated.sort_by_key(|(_, (place, _))| *place);
    let warning = |(key, (_, times)): (ObjectKey, (usize, usize))| {
        let ObjectKey { group, kind, namespace, name } = key;
        let namespace = namespace.unwrap_or_default();
        Diagnostic::new(format!(
            "Resource {group}/{kind}/{namespace}/{name} appeared {times} times among application resources."
        ))
    };
    (objects, repeated.into_iter().map(warning).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Origin;

    fn config_map(name: &str, namespace: Option<&str>, place: &str, data: i32) -> Object {
        let mut body =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": data}});
        if let Some(namespace) = namespace {
            body["metadata"]["namespace"] = namespace.into();
        }
        Object::from_value(body, Some(Origin::new(place, 1, 1))).unwrap()
    }

    #[test]
    fn the_same_identity_twice_names_both_places() {
        let objects = [
            config_map("a", None, "a.yaml", 1),
            config_map("b", None, "b.yaml", 1),
            config_map("a", Some("shop"), "c.yaml", 1),
            config_map("a", Some("other"), "d.yaml", 1),
        ];
        let problems = refuse(&objects, Some("shop")).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].title, "two objects with the identity `shop/ConfigMap/a`");
        assert_eq!(problems[0].origin, Some(Origin::new("c.yaml", 1, 1)));
        assert_eq!(problems[0].notes, ["also: a.yaml:1:1"]);
        assert!(refuse(&objects, None).is_ok());
    }

    #[test]
    fn objects_whose_name_the_api_server_chooses_are_never_the_same() {
        let hook = || {
            let body = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "migrate-"}});
            Object::from_value(body, None).unwrap()
        };
        assert!(refuse(&[hook(), hook()], None).is_ok());
        assert_eq!(concatenate([vec![hook(), hook()]], None).0.len(), 2);
    }

    #[test]
    fn the_last_source_wins() {
        let (objects, warnings) = concatenate(
            [
                vec![config_map("a", None, "a.yaml", 1), config_map("b", None, "b.yaml", 1)],
                vec![config_map("a", Some("shop"), "c.yaml", 2)],
            ],
            Some("shop"),
        );
        let data: Vec<_> = objects.iter().map(|object| object.body["data"]["n"].clone()).collect();
        assert_eq!(data, [2, 1]);
        let titles: Vec<&str> = warnings.iter().map(|warning| &*warning.title).collect();
        assert_eq!(titles, ["Resource /ConfigMap/shop/a appeared 2 times among application resources."]);
    }
}
