//! What is stamped on the objects that git wants, so that the cluster says whose they are.
//!
//! **In:** the manifest's objects, whose they are, and the scope of each kind. **Out:** [`Desired`]: the objects as
//! they are applied, each with the hash of its content, and what stands against applying any of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use serde_json::Value;
use smol_str::SmolStr;

use crate::api::argo::Destination;
use crate::error::Diagnostic;
use crate::object::tracking::{self, Tracking};
use crate::object::{GroupKind, Object, ObjectKey, annotation};

use super::{Refusal, Wave, hook};

/// Whether the objects of a kind live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// They do not.
    Cluster,
    /// They do.
    Namespaced,
}

/// The application whose objects they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `<app>`, or `<app-namespace>_<app>` outside the control-plane namespace: what tracking says.
    pub application: SmolStr,
    /// The value of the label `applyset.kubernetes.io/part-of`.
    pub part_of: SmolStr,
    /// The cluster, by name and URL as far as both are known, and the namespace of objects that name none.
    pub destination: Destination,
}

impl Owner {
    /// The owner of an Application's objects.
    pub fn new(application: &str, namespace: &str, tracking_name: &str, destination: Destination) -> Self {
        let mut destination = destination;
        if destination.is_in_cluster() {
            destination.server.get_or_insert_with(|| Destination::IN_CLUSTER_SERVER.into());
            destination.name.get_or_insert_with(|| Destination::IN_CLUSTER_NAME.into());
        }
        Owner { application: tracking_name.into(), part_of: tracking::part_of(application, namespace), destination }
    }

    /// The namespace of objects that name none.
    pub fn namespace(&self) -> Option<&str> {
        self.destination.namespace.as_deref().filter(|namespace| !namespace.is_empty())
    }

    /// True when the live object says that it is this application's, and was not copied by somebody.
    pub fn owns(&self, tracking: Option<&Tracking>, key: &ObjectKey) -> bool {
        tracking.is_some_and(|tracking| tracking.application == self.application && tracking.is_of(key))
    }
}

/// One object that git wants, as it is applied.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// With namespace, tracking and label.
    pub object: Arc<Object>,
    /// [`Object::content_hash`] of it: what a [`super::Baseline`] remembers.
    pub hash: u64,
    /// As the cluster says, else as a CRD of the manifest says; `None`: nobody knows the kind.
    pub scope: Option<Scope>,
    /// In which wave.
    pub wave: Wave,
}

/// The whole of what git wants.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// In the manifest's order.
    pub objects: Vec<Wanted>,
    /// While one is here the set is not whole: nothing is written, and nothing pruned.
    pub refusals: Vec<Refusal>,
    /// What a person should know.
    pub warnings: Vec<Diagnostic>,
}

/// Stamps the objects of a manifest: namespace by scope, tracking annotation, part-of label.
///
/// `scope` says what the destination cluster's discovery knows of a kind.
pub fn desired(objects: Vec<Object>, owner: &Owner, scope: &dyn Fn(&GroupKind) -> Option<Scope>) -> Desired {
    let mut desired = Desired::default();
    let objects = expand(objects, &mut desired);
    let defined = defined_kinds(&objects);
    let mut first: HashMap<ObjectKey, Arc<Object>> = HashMap::with_capacity(objects.len());
    for mut object in objects {
        let kind = object.key.group_kind();
        let scope = scope(&kind).or_else(|| defined.get(&kind).copied());
        match scope {
            Some(Scope::Cluster) => {
                object.metadata_mut().shift_remove("namespace");
                object.key.namespace = None;
            }
            // A kind that nobody knows yet is taken for a namespaced one, as nearly all such kinds are; its permit
            // asks the rules of both scopes.
            Some(Scope::Namespaced) | None if object.key.namespace.is_none() => match owner.namespace() {
                Some(namespace) => object.set_namespace(namespace),
                None if scope.is_some() => desired
                    .refusals
                    .push(Refusal::NoNamespace { key: object.key.clone(), version: object.version.clone() }),
                None => {}
            },
            Some(Scope::Namespaced) | None => {}
        }
        desired.warnings.extend(hook::warnings(&object));
        let (wave, warning) = Wave::of(&object);
        desired.warnings.extend(warning);

        let namespace = object.key.namespace.clone().or_else(|| owner.namespace().map(SmolStr::new));
        let tracking =
            Tracking { application: owner.application.clone(), key: ObjectKey { namespace, ..object.key.clone() } };
        object.set_annotation(annotation::TRACKING_ID, &tracking.to_string());
        object.set_label(annotation::PART_OF, &owner.part_of);

        let object = Arc::new(object);
        // Hooks that are named when they run cannot collide here.
        if !object.key.name.is_empty() {
            match first.entry(object.key.clone()) {
                Entry::Occupied(other) => {
                    desired.refusals.push(duplicate(other.get(), &object));
                    continue;
                }
                Entry::Vacant(place) => drop(place.insert(object.clone())),
            }
        }
        desired.objects.push(Wanted { hash: object.content_hash(), object, scope, wave });
    }
    desired
}

/// Puts the items of a `List` in its place.
fn expand(objects: Vec<Object>, desired: &mut Desired) -> Vec<Object> {
    let is_list = |object: &Object| object.key.kind.ends_with("List") && object.body["items"].is_array();
    if !objects.iter().any(is_list) {
        return objects;
    }
    let mut expanded = Vec::with_capacity(objects.len());
    for mut object in objects {
        if !is_list(&object) {
            expanded.push(object);
            continue;
        }
        let Value::Array(items) = object.body["items"].take() else { continue };
        for item in items {
            match Object::from_value(item, object.origin.clone()) {
                Ok(item) => expanded.push(item),
                Err(error) => {
                    let mut diagnostic = Diagnostic::new(format!("an item of {} is no object: {error}", object.key));
                    diagnostic.origin.clone_from(&object.origin);
                    let key = object.key.clone();
                    desired.refusals.push(Refusal::Malformed { key, diagnostic: Box::new(diagnostic) });
                }
            }
        }
    }
    expanded
}

/// The kinds that the manifest's own CRDs define.
fn defined_kinds(objects: &[Object]) -> HashMap<GroupKind, Scope> {
    objects
        .iter()
        .filter_map(|object| {
            let kind = defines(object)?;
            let scope = match object.body.pointer("/spec/scope").and_then(Value::as_str) {
                Some("Cluster") => Scope::Cluster,
                _ => Scope::Namespaced,
            };
            Some((kind, scope))
        })
        .collect()
}

/// The kind that a CRD defines.
pub(crate) fn defines(object: &Object) -> Option<GroupKind> {
    if object.key.kind != "CustomResourceDefinition" || object.key.group != "apiextensions.k8s.io" {
        return None;
    }
    let text = |pointer| object.body.pointer(pointer).and_then(Value::as_str);
    Some(GroupKind::new(text("/spec/group")?, text("/spec/names/kind")?))
}

fn duplicate(first: &Object, second: &Object) -> Refusal {
    let mut diagnostic = Diagnostic::new(format!("two objects with the identity {}", second.key));
    diagnostic.origin.clone_from(&second.origin);
    if let Some(origin) = &first.origin {
        diagnostic = diagnostic.with_note(format!("also: {origin}"));
    }
    Refusal::Duplicate { key: second.key.clone(), diagnostic: Box::new(diagnostic) }
}

impl Wave {
    /// Reads the annotation `argocd.argoproj.io/sync-wave`, else Helm's hook weight, else 0; a text that is no number
    /// counts as absent, and the warning says so.
    pub fn of(object: &Object) -> (Wave, Option<Diagnostic>) {
        let number = |name| {
            let text = object.annotation(name)?;
            let clamp = |wave: i64| i32::try_from(wave).unwrap_or(if wave < 0 { i32::MIN } else { i32::MAX });
            Some(text.parse::<i64>().map(clamp).map_err(|_| text))
        };
        let weight = || number(annotation::HELM_HOOK_WEIGHT).and_then(Result::ok).map(Wave).unwrap_or_default();
        match number(annotation::SYNC_WAVE) {
            None => (weight(), None),
            Some(Ok(wave)) => (Wave(wave), None),
            Some(Err(text)) => {
                let wave = weight();
                let title = format!("the sync wave `{text}` of {} is no number: it counts as {wave}", object.key);
                let mut warning = Diagnostic::new(title).with_hint("Write an integer in quotes, for example \"5\".");
                warning.origin.clone_from(&object.origin);
                (wave, Some(warning))
            }
        }
    }
}
