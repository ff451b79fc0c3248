//! What stands around a request: its namespace, and the parameters of policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;
use smol_str::SmolStr;

use super::admission::{Policies, Trust, kind_of};
use super::matching::{labels, selects};
use crate::object::{GroupKind, Object, ObjectKey};

/// What is known beside the request itself.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// Objects as they will be after the merge: they count before those of the cluster.
    pub rendered: Vec<Arc<Object>>,
    /// Objects that go with the merge.
    pub removed: BTreeSet<ObjectKey>,
    /// Namespaces of the cluster.
    pub namespaces: BTreeMap<SmolStr, Value>,
    /// What the cluster has of what was [`Wanted`]; not in here: nobody has asked, or nobody has answered.
    pub found: BTreeMap<Wanted, Vec<Value>>,
    /// Kinds of parameters that are in no namespace.
    pub unspaced: BTreeSet<GroupKind>,
}

/// Parameters that a policy asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Their kind.
    pub kind: GroupKind,
    /// The version part of their API version.
    pub version: SmolStr,
    /// Where they are.
    pub namespace: Option<SmolStr>,
    /// The only one, or all of them.
    pub name: Option<SmolStr>,
}

impl Surroundings {
    /// A namespace, as far as a policy may know it.
    pub(super) fn namespace(&self, name: &str, trust: Trust) -> Option<Value> {
        let rendered = self
            .rendered
            .iter()
            .find(|object| object.key.group.is_empty() && object.key.kind == "Namespace" && object.key.name == name);
        let live = self.namespaces.get(name).filter(|_| trust == Trust::Here);
        match (rendered, live) {
            (Some(rendered), Some(live)) => {
                // What git says nothing of stays as it is.
                let mut body = live.clone();
                let ours = rendered.body.pointer("/metadata/labels").and_then(Value::as_object);
                for (label, value) in ours.into_iter().flatten() {
                    body["metadata"]["labels"][label] = value.clone();
                }
                Some(body)
            }
            (Some(rendered), None) => Some(rendered.body.clone()),
            (None, live) => live.cloned(),
        }
    }

    /// The parameters, as far as a policy may know them; `None` when nobody knows whether there are any.
    pub(super) fn parameters(
        &self,
        wanted: &Wanted,
        selector: Option<&LabelSelector>,
        trust: Trust,
    ) -> Option<Vec<Value>> {
        let is_wanted = |key: &ObjectKey, body: &Value| {
            key.group_kind() == wanted.kind
                && key.namespace == wanted.namespace
                && wanted.name.as_ref().is_none_or(|name| *name == key.name)
                && selector.is_none_or(|selector| selects(selector, &labels(body)))
        };
        let rendered = self.rendered.iter().filter(|object| is_wanted(&object.key, &object.body));
        let mut all: Vec<Value> = rendered.map(|object| object.body.clone()).collect();
        if wanted.name.is_some() && !all.is_empty() {
            return Some(all);
        }
        let live = self.found.get(wanted).filter(|_| trust == Trust::Here)?;
        for body in live {
            let Ok(object) = Object::from_value(body.clone(), None) else { continue };
            let is_overridden = self.rendered.iter().any(|rendered| rendered.key == object.key);
            if is_wanted(&object.key, &object.body) && !is_overridden && !self.removed.contains(&object.key) {
                all.push(object.body);
            }
        }
        Some(all)
    }
}

impl Policies {
    /// Kinds of parameters that policies of this place ask for.
    pub fn kinds_wanted(&self) -> BTreeSet<(GroupKind, SmolStr)> {
        self.asking().map(|(kind, version, _)| (kind, version)).collect()
    }

    /// What of the cluster has to be known for requests in these namespaces. A stranger's policy is told nothing of it.
    pub fn wanted(&self, namespaces: &BTreeSet<SmolStr>, unspaced: &BTreeSet<GroupKind>) -> BTreeSet<Wanted> {
        let mut all = BTreeSet::new();
        for (kind, version, reference) in self.asking() {
            let name: Option<SmolStr> = reference.name.as_deref().map(Into::into);
            let places: Vec<Option<SmolStr>> = match &reference.namespace {
                _ if unspaced.contains(&kind) => vec![None],
                Some(namespace) => vec![Some(namespace.into())],
                None => namespaces.iter().cloned().map(Some).collect(),
            };
            all.extend(places.into_iter().map(|namespace| Wanted {
                kind: kind.clone(),
                version: version.clone(),
                namespace,
                name: name.clone(),
            }));
        }
        all
    }

    fn asking(
        &self,
    ) -> impl Iterator<Item = (GroupKind, SmolStr, &k8s_openapi::api::admissionregistration::v1::ParamRef)> {
        self.in_force().filter_map(|(_, binding, policy)| {
            let reference = binding.parameters.as_ref()?;
            let rules = policy.rules.as_ref().ok()?;
            let (kind, version) = kind_of(rules.parameters.as_ref()?);
            (binding.trust.least(policy.trust) == Trust::Here).then_some((kind, version, reference))
        })
    }
}
