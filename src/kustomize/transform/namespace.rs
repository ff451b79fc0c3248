//! `namespace`: puts all objects of a layer into one.

use hashbrown::HashMap;
use smol_str::SmolStr;

use crate::error::Origin;
use crate::kustomize::entry::FieldSpec;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{Make, Place, check_scalar, write_string};
use crate::kustomize::resource::{Gvk, Id, Resource};
use crate::kustomize::set::Set;
use crate::yaml::Node;

/// Which subjects of role bindings are moved too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::kustomize) enum Subjects {
    /// Those called `default`, of whatever kind.
    #[default]
    Default,
    /// All service accounts.
    ServiceAccounts,
    /// None.
    None,
}

/// Sets the namespace.
#[derive(Clone, Debug)]
pub(in crate::kustomize) struct Namespace {
    pub(in crate::kustomize) namespace: SmolStr,
    pub(in crate::kustomize) specs: Vec<FieldSpec>,
    pub(in crate::kustomize) subjects: Subjects,
    /// True when objects that have a namespace keep it.
    pub(in crate::kustomize) unset_only: bool,
}

impl Namespace {
    /// # Errors
    /// When two objects are called the same afterwards, or a field spec leads to something that is no scalar.
    pub(in crate::kustomize) fn apply(&self, set: &mut Set) -> Result<(), Error> {
        if self.namespace.is_empty() {
            return Ok(());
        }
        let places = Place::all(&self.specs);
        let before = set.iter().map(Resource::id).collect::<Vec<Id>>();
        let mut called: HashMap<Id, usize> = HashMap::with_capacity(before.len());
        for id in &before {
            *called.entry(id.clone()).or_default() += 1;
        }
        let mut origins: HashMap<Id, Option<Origin>> = HashMap::new();
        for (resource, before) in set.all_mut().zip(before) {
            if resource.annotation("HelmGenerated") == Some("true") {
                continue;
            }
            resource.remember_id();
            self.apply_to(resource, &places)?;
            let id = resource.id();
            if id != before {
                if let Some(count) = called.get_mut(&before) {
                    *count = count.saturating_sub(1);
                }
                *called.entry(id.clone()).or_default() += 1;
            }
            if called.get(&id).is_some_and(|count| *count > 1) {
                let first = origins.get(&id).cloned().flatten();
                return Err(Error::at(&resource.node, Problem::NamespaceClash { id: id.to_string(), first }));
            }
            origins.insert(id, resource.origin.clone());
        }
        Ok(())
    }

    /// Sets the namespace of one object.
    pub(super) fn apply_to(&self, resource: &mut Resource, places: &[Place]) -> Result<(), Error> {
        let gvk = resource.gvk();
        if !gvk.is_cluster_scoped()
            && let Some(metadata) = resource.metadata_mut()
        {
            self.write_under(metadata);
        }
        let binds = matches!(gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding");
        if binds {
            self.apply_to_subjects(&mut resource.node)?;
        }
        for place in places {
            let path = place.spec.path.as_str();
            let skipped = path == "metadata/namespace"
                || (path == "metadata/name" && gvk.api_version() != "v1")
                || (binds && path == "subjects/namespace" && is_binding(&place.spec.gvk));
            if skipped || !gvk.is_selected_by(&place.spec.gvk) {
                continue;
            }
            place.visit(&mut resource.node, Make::Scalar, &mut |node| {
                check_scalar(node, path, &gvk)?;
                if !(self.unset_only && holds_text(node)) {
                    write_string(node, self.namespace.clone());
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn write_under(&self, mapping: &mut Node) {
        if !(self.unset_only && mapping.get("namespace").is_some_and(holds_text)) {
            mapping.insert("namespace", Node::string(self.namespace.clone()));
        }
    }

    fn apply_to_subjects(&self, node: &mut Node) -> Result<(), Error> {
        let subjects = match node.get_mut("subjects") {
            Some(subjects) if self.subjects != Subjects::None && !subjects.is_null() => subjects,
            _ => return Ok(()),
        };
        let wrong = |node: &Node, expected| {
            let (field, found) = ("subjects".into(), node.describe());
            Error::at(node, Problem::FieldKind { field, of: "the object".into(), found, expected })
        };
        if !subjects.is_sequence() {
            return Err(wrong(subjects, "a list"));
        }
        for subject in subjects.as_sequence_mut().into_iter().flatten() {
            if !(subject.is_mapping() || subject.is_null()) {
                return Err(wrong(subject, "mappings"));
            }
            let text = |field| subject.get(field).and_then(Node::as_str);
            let moved = match self.subjects {
                Subjects::Default => text("name") == Some("default"),
                Subjects::ServiceAccounts => text("kind") == Some("ServiceAccount"),
                Subjects::None => false,
            };
            if moved {
                self.write_under(subject);
            }
        }
        Ok(())
    }
}

fn is_binding(gvk: &Gvk) -> bool {
    matches!(gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding")
}

fn holds_text(node: &Node) -> bool {
    !node.is_null() && node.as_str().is_some_and(|text| !text.is_empty())
}
