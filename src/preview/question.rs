//! What the rules on risks have to know of a cluster beside the changed objects: asked only where a rule needs it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use smol_str::SmolStr;

use super::Live;
use super::attribute::Declared;
use super::risk;
use crate::object::{GroupKind, ObjectKey};

/// Something to ask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// How many nodes there are.
    Nodes,
    /// Which minor version the API server has.
    Minor,
    /// Whether a kind is served in a version.
    Served(GroupKind, SmolStr),
    /// How many instances a definition has.
    Instances {
        /// The definition's name.
        definition: SmolStr,
        /// The kind that it defines.
        kind: GroupKind,
        /// A version of it.
        version: SmolStr,
    },
    /// What this installation manages in a namespace.
    Managed(SmolStr),
    /// The quotas of a namespace.
    Quotas(SmolStr),
    /// A volume.
    Volume(SmolStr),
    /// A class of volumes.
    Class(SmolStr),
}

/// All that has to be asked about these changes. `live` holds their bodies, where they may be known.
pub fn questions(declared: &[Declared], live: &BTreeMap<ObjectKey, Live>) -> BTreeSet<Question> {
    let mut all = BTreeSet::new();
    for one in declared {
        let before = one.before.as_ref().map(|object| &object.body);
        let after = one.after.as_ref().map(|object| &object.body);
        if let Some(object) = &one.after {
            all.insert(Question::Served(one.key.group_kind(), object.version.clone()));
            if risk::goes(&one.key.group_kind(), &object.version) {
                all.insert(Question::Minor);
            }
        }
        match (&*one.key.group, &*one.key.kind) {
            ("apps", "DaemonSet") => drop(all.insert(Question::Nodes)),
            ("", "Namespace") if after.is_none() => drop(all.insert(Question::Managed(one.key.name.clone()))),
            ("", "PersistentVolumeClaim") => {
                let live = match live.get(&one.key) {
                    Some(Live::Ours(body)) => Some(body),
                    _ => None,
                };
                all.extend(of_claim(live.or(before), after));
            }
            ("apiextensions.k8s.io", "CustomResourceDefinition") if after.is_none() => {
                all.extend(before.and_then(|body| instances(&one.key.name, body)));
            }
            _ => {}
        }
        if let Some(namespace) = one.key.namespace.as_ref().filter(|_| risk::may_take_more(before, after)) {
            all.insert(Question::Quotas(namespace.clone()));
        }
    }
    all
}

/// One that goes: what becomes of its data. One that changes: whether its class lets it grow.
fn of_claim(was: Option<&Value>, after: Option<&Value>) -> Option<Question> {
    const SIZE: &str = "/spec/resources/requests/storage";
    let was = was?;
    let text = |pointer: &str| was.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let class = || text("/spec/storageClassName").map(|name| Question::Class(name.into()));
    match after {
        None => text("/spec/volumeName").map(|name| Question::Volume(name.into())).or_else(class),
        Some(after) if after.pointer(SIZE) != was.pointer(SIZE) => class(),
        Some(_) => None,
    }
}

fn instances(definition: &SmolStr, body: &Value) -> Option<Question> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut versions = body["spec"]["versions"].as_array().into_iter().flatten();
    let served = versions.find(|version| version["served"] == true)?;
    Some(Question::Instances {
        definition: definition.clone(),
        kind: GroupKind::new(text("/spec/group"), text("/spec/names/kind")),
        version: served["name"].as_str()?.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::object::Object;

    fn workload(kind: &str, replicas: u64, cpu: &str, image: &str) -> Value {
        let container = json!({"name": "a", "image": image, "resources": {"requests": {"cpu": cpu}}});
        json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "a", "namespace": "shop"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}}})
    }

    fn claim(size: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a", "namespace": "db"},
            "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": size}}}})
    }

    #[test]
    fn only_what_a_rule_needs_is_asked() {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "foos.x.example"}, "spec": {"group": "x.example", "names": {"kind": "Foo"},
            "versions": [{"name": "v1alpha1", "served": false}, {"name": "v1", "served": true}]}});
        let old = json!({"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "a", "namespace": "shop"}});
        let mut bound = claim("1Gi");
        bound["spec"]["volumeName"] = json!("pv-1");
        let none = Value::Null;
        let deployment = |replicas, cpu, image| workload("Deployment", replicas, cpu, image);
        let cases = [
            // what changes; before, after, live; questions
            ("another image", deployment(2, "1", "a:1"), deployment(2, "1", "a:2"), none.clone(), "Deployment"),
            (
                "more pods",
                deployment(2, "1", "a:1"),
                deployment(3, "1", "a:1"),
                none.clone(),
                "Deployment, quotas shop",
            ),
            ("fewer pods", deployment(2, "1", "a:1"), deployment(1, "1", "a:1"), none.clone(), "Deployment"),
            (
                "larger ones",
                deployment(2, "1", "a:1"),
                deployment(2, "2", "a:1"),
                none.clone(),
                "Deployment, quotas shop",
            ),
            ("a new workload", none.clone(), deployment(1, "1", "a:1"), none.clone(), "Deployment, quotas shop"),
            (
                "on all nodes",
                workload("DaemonSet", 1, "1", "a:1"),
                workload("DaemonSet", 1, "1", "a:2"),
                none.clone(),
                "nodes, DaemonSet",
            ),
            ("a namespace goes", namespace.clone(), none.clone(), none.clone(), "managed shop"),
            ("a namespace comes", none.clone(), namespace, none.clone(), "Namespace"),
            ("a definition goes", definition, none.clone(), none.clone(), "instances Foo v1"),
            ("a claim goes", claim("1Gi"), none.clone(), bound, "volume pv-1"),
            ("a claim goes that nothing is bound to", claim("1Gi"), none.clone(), none.clone(), "class fast"),
            ("a claim grows", claim("1Gi"), claim("2Gi"), none.clone(), "PersistentVolumeClaim, class fast"),
            ("an old version", none.clone(), old, none, "minor, PodDisruptionBudget"),
        ];
        for (what, before, after, live, expected) in cases {
            let object =
                |body: &Value| (!body.is_null()).then(|| Arc::new(Object::from_value(body.clone(), None).unwrap()));
            let (before, after) = (object(&before), object(&after));
            let key = after.as_ref().or(before.as_ref()).unwrap().key.clone();
            let live = (!live.is_null()).then(|| (key.clone(), Live::Ours(live))).into_iter().collect();
            let found = questions(&[Declared { key, before, after }], &live);
            let said: Vec<String> = found
                .iter()
                .map(|question| match question {
                    Question::Nodes => "nodes".into(),
                    Question::Minor => "minor".into(),
                    Question::Served(kind, _) => kind.kind.to_string(),
                    Question::Instances { kind, version, .. } => format!("instances {} {version}", kind.kind),
                    Question::Managed(name) => format!("managed {name}"),
                    Question::Quotas(name) => format!("quotas {name}"),
                    Question::Volume(name) => format!("volume {name}"),
                    Question::Class(name) => format!("class {name}"),
                })
                .collect();
            assert_eq!(said.join(", "), expected, "{what}");
        }
    }
}
