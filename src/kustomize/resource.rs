//! One object on its way through the layers: its tree, and every name that it ever had.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;
use smol_str::SmolStr;

use super::error::{Error, Problem};
use super::origin::{BuildOrigin, ORIGIN};
use super::patch::strategic::wipes_above;
use super::place::bare;
use super::story::Story;
use crate::error::Origin;
use crate::object::{Object, ObjectKey, split_api_version};
use crate::yaml::{Borrowed, Content, Entry, Node, Resolve, ScalarStyle, emit, has_duplicate_keys};

/// Group, version and kind. In a rule an empty part stands for any.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Gvk {
    pub(super) group: SmolStr,
    pub(super) version: SmolStr,
    pub(super) kind: SmolStr,
}

impl Gvk {
    pub(super) fn new(group: &str, version: &str, kind: &str) -> Self {
        Gvk { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// What an object says of itself; absent fields are empty.
    pub(super) fn of(node: &Node) -> Self {
        let text = |field| node.get(field).and_then(Node::as_str).unwrap_or_default();
        let (group, version) = split_api_version(text("apiVersion"));
        Gvk::new(group, version, text("kind"))
    }

    /// True when the rule names this kind, or leaves open what it does not name.
    pub(super) fn is_selected_by(&self, rule: &Gvk) -> bool {
        (rule.group.is_empty() || rule.group == self.group)
            && (rule.version.is_empty() || rule.version == self.version)
            && (rule.kind.is_empty() || rule.kind == self.kind)
    }

    /// True for the built-in kinds that live outside of namespaces; kinds that are not known live in one.
    pub(super) fn is_cluster_scoped(&self) -> bool {
        let versions = match (self.group.as_str(), self.kind.as_str()) {
            ("", "ComponentStatus" | "Namespace" | "Node" | "NodeProxyOptions" | "PersistentVolume")
            | ("storage.k8s.io", "CSIDriver" | "CSINode" | "StorageClass" | "VolumeAttachment")
            | ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("apiregistration.k8s.io", "APIService")
            | ("certificates.k8s.io", "CertificateSigningRequest")
            | ("networking.k8s.io", "IngressClass")
            | ("node.k8s.io", "RuntimeClass")
            | ("rbac.authorization.k8s.io", "ClusterRole" | "ClusterRoleBinding")
            | ("scheduling.k8s.io", "PriorityClass") => ["v1", "v1beta1"].as_slice(),
            ("flowcontrol.apiserver.k8s.io", "FlowSchema" | "PriorityLevelConfiguration")
            | ("policy", "PodSecurityPolicy") => &["v1beta1"],
            ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy" | "ValidatingAdmissionPolicyBinding") => {
                &["v1"]
            }
            _ => return false,
        };
        if self.group.is_empty() { self.version == "v1" } else { versions.contains(&self.version.as_str()) }
    }

    /// As `apiVersion` says it.
    pub(super) fn api_version(&self) -> SmolStr {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            smol_str::format_smolstr!("{}/{}", self.group, self.version)
        }
    }
}

/// `Deployment.v1.apps`; what is open or empty is left out.
impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.kind, &self.version, &self.group];
        let mut given = parts.iter().filter(|part| !part.is_empty());
        match given.next() {
            None => f.write_str("any kind"),
            Some(first) => {
                f.write_str(first)?;
                given.try_for_each(|part| write!(f, ".{part}"))
            }
        }
    }
}

/// What tells one object of a build from another. No namespace and `default` are the same.
#[derive(Clone, Debug)]
pub(super) struct Id {
    pub(super) gvk: Gvk,
    pub(super) name: SmolStr,
    /// As written; empty when it is not.
    pub(super) namespace: SmolStr,
}

/// Stands for the namespace of what lives in none.
const NO_NAMESPACE: &str = "_non_namespaceable_";

impl Id {
    pub(super) fn is_cluster_scoped(&self) -> bool {
        self.gvk.is_cluster_scoped()
    }

    pub(super) fn effective_namespace(&self) -> SmolStr {
        if self.is_cluster_scoped() {
            SmolStr::new_static(NO_NAMESPACE)
        } else if self.namespace.is_empty() {
            SmolStr::new_static("default")
        } else {
            self.namespace.clone()
        }
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.gvk == other.gvk && self.effective_namespace() == other.effective_namespace()
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.gvk.hash(state);
        self.name.hash(state);
        self.effective_namespace().hash(state);
    }
}

/// `Deployment/web in namespace shop`.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.gvk.kind, self.name)?;
        match self.namespace.as_str() {
            "" | NO_NAMESPACE => Ok(()),
            namespace => write!(f, " in namespace {namespace}"),
        }
    }
}

/// What a generated object does with one of the same name that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Behavior {
    /// There may be none.
    #[default]
    Create,
    /// Its data gives way to the new data.
    Replace,
    /// Old and new data are united.
    Merge,
}

/// A name, namespace and kind that an object had in a lower layer or before a transformer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Former {
    pub(super) kind: SmolStr,
    pub(super) name: SmolStr,
    pub(super) namespace: SmolStr,
}

/// An object of a build.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    /// What it is now.
    pub(super) node: Node,
    /// What it was called, oldest first.
    pub(super) formers: Vec<Former>,
    /// Prefixes that its name was given, innermost first.
    pub(super) prefixes: Vec<SmolStr>,
    /// Suffixes that its name was given, innermost first.
    pub(super) suffixes: Vec<SmolStr>,
    /// How many values it held when it was read.
    pub(super) values: usize,
    /// True for generated objects whose name shall end in the hash of their content.
    pub(super) needs_hash: bool,
    /// Where it was written, or the generator that made it.
    pub(super) origin: Option<Origin>,
    /// Labels and annotations that one transformer made in several places, as paths. In kustomize these are one and the
    /// same value: what later changes one of them changes them all.
    pub(super) shared: Vec<Vec<Vec<SmolStr>>>,
    /// The variables whose values it holds.
    pub(super) variables: Vec<SmolStr>,
    /// What `buildMetadata` says about it.
    pub(super) build_origin: Option<Arc<BuildOrigin>>,
    /// What `buildMetadata` says about the transformers that saw it.
    pub(super) transformations: Vec<Arc<BuildOrigin>>,
    /// What became of its fields, in a build that is to be explained.
    pub(super) story: Option<Arc<Story>>,
}

impl Resource {
    /// A new object.
    pub(super) fn new(node: Node) -> Self {
        let origin = node.origin();
        Resource {
            values: count(&node),
            node,
            formers: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            needs_hash: false,
            origin,
            shared: Vec::new(),
            variables: Vec::new(),
            build_origin: None,
            transformations: Vec::new(),
            story: None,
        }
    }

    /// Its group, version and kind.
    pub(super) fn gvk(&self) -> Gvk {
        Gvk::of(&self.node)
    }

    pub(super) fn kind(&self) -> &str {
        self.node.get("kind").and_then(Node::as_str).unwrap_or_default()
    }

    pub(super) fn name(&self) -> SmolStr {
        self.metadata("name")
    }

    pub(super) fn namespace(&self) -> SmolStr {
        self.metadata("namespace")
    }

    fn metadata(&self, field: &str) -> SmolStr {
        match self.node.get("metadata").and_then(|metadata| metadata.get(field)) {
            Some(node) if !node.is_null() => node.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default(),
            _ => SmolStr::default(),
        }
    }

    /// The origin of what a plugin makes or changes that this object configures.
    pub(super) fn origin_of_made(&self) -> Option<Arc<BuildOrigin>> {
        let Some(BuildOrigin::File(file)) = self.build_origin.as_deref() else { return None };
        Some(Arc::new(BuildOrigin::Configured {
            file: file.clone(),
            api_version: self.gvk().api_version().into(),
            kind: self.kind().into(),
            name: self.name().into(),
            namespace: self.namespace().into(),
        }))
    }

    /// What it is called now.
    pub(super) fn id(&self) -> Id {
        Id { gvk: self.gvk(), name: self.name(), namespace: self.namespace() }
    }

    /// What it was called where it was written.
    pub(super) fn original_id(&self) -> Id {
        match self.formers.first() {
            Some(former) => self.former_id(former),
            None => self.id(),
        }
    }

    fn former_id(&self, former: &Former) -> Id {
        let Gvk { group, version, .. } = self.gvk();
        Id {
            gvk: Gvk { group, version, kind: former.kind.clone() },
            name: former.name.clone(),
            namespace: former.namespace.clone(),
        }
    }

    /// What it was called, oldest first.
    pub(super) fn former_ids(&self) -> impl Iterator<Item = Id> {
        self.formers.iter().map(|former| self.former_id(former))
    }

    /// Everything it is or was called.
    pub(super) fn ids(&self) -> impl Iterator<Item = Id> {
        self.former_ids().chain(std::iter::once(self.id()))
    }

    /// Remembers what it is called before a transformer changes that.
    pub(super) fn remember_id(&mut self) {
        let id = self.id();
        let former = Former { kind: id.gvk.kind.clone(), name: id.name.clone(), namespace: id.effective_namespace() };
        // There are few of them, and of every object.
        self.formers.reserve_exact(1);
        self.formers.push(former);
    }

    /// True when kustomize can tell what it was called. It notes names, namespaces and kinds in three texts with commas
    /// between them, and no name that is empty.
    pub(super) fn is_sure_of_formers(&self) -> bool {
        let noted = |of: fn(&Former) -> &SmolStr| -> usize {
            let texts = self.formers.iter().map(of).filter(|text| !text.is_empty());
            texts.map(|text| text.split(',').count()).sum()
        };
        let names = noted(|former| &former.name);
        names == 0 || (names == noted(|former| &former.namespace) && names == noted(|former| &former.kind))
    }

    /// Gives all places of a shared value what `change` has made of one of them; `said` is what a patch says there.
    pub(super) fn change_shared<E>(
        &mut self,
        said: Option<&Node>,
        change: impl FnOnce(&mut Resource) -> Result<bool, E>,
    ) -> Result<bool, E> {
        if self.shared.is_empty() {
            return change(self);
        }
        let before: Vec<Option<SmolStr>> =
            self.shared.iter().map(|places| places.iter().find_map(|path| text_at(&self.node, path))).collect();
        let result = change(self)?;
        let mut shared = std::mem::take(&mut self.shared);
        for (places, before) in shared.iter_mut().zip(before) {
            // What has been put in the place of a whole map is no longer the value that was shared.
            let is_replaced = |path: &[SmolStr]| said.is_some_and(|said| wipes_above(said, path));
            places.retain(|path| text_at(&self.node, path).is_some() && !is_replaced(path));
            // A patch goes through the fields by name: what it says last holds.
            let new = match said {
                // Its lists are not those of the object.
                Some(said) => places
                    .iter()
                    .rev()
                    .find(|path| path.iter().try_fold(said, |node, part| node.get(part)).is_some_and(Node::is_scalar)),
                None => places
                    .iter()
                    .find(|path| text_at(&self.node, path).is_some_and(|text| Some(&text) != before.as_ref())),
            };
            let Some(new) = new.and_then(|path| node_at(&self.node, path)).cloned() else { continue };
            for path in &*places {
                if let Some(node) = path.iter().try_fold(&mut self.node, below_mut) {
                    node.clone_from(&new);
                }
            }
        }
        shared.retain(|places| places.len() > 1);
        self.shared = shared;
        Ok(result)
    }

    /// Where kustomize has noted something among the annotations it has written all of them anew: none of these is one
    /// value with another one any more.
    pub(super) fn unshare_annotations(&mut self) {
        for places in &mut self.shared {
            places.retain(|path| !matches!(path.as_slice(), [metadata, field, ..] if metadata == "metadata" && field == "annotations"));
        }
        self.shared.retain(|places| places.len() > 1);
    }

    /// Loses what kustomize keeps in its annotations, as when a patch takes those away.
    pub(super) fn forget_notes(&mut self) {
        self.formers.clear();
        self.prefixes.clear();
        self.suffixes.clear();
        self.needs_hash = false;
        self.build_origin = None;
        self.transformations.clear();
    }

    /// Changes the object with the notes in sight that kustomize does not protect from operations: who takes the
    /// annotations away takes these with them.
    pub(super) fn with_open_notes<T>(&mut self, change: impl FnOnce(&mut Resource) -> T) -> T {
        let Some(origin) = &self.build_origin else { return change(self) };
        let text = origin.text();
        self.set_mark("annotations", ORIGIN, &text);
        let result = change(self);
        let annotations = self.node.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
        if annotations.and_then(|annotations| annotations.remove(ORIGIN)).is_none() {
            self.build_origin = None;
            self.transformations.clear();
        }
        result
    }

    /// Where a name has changed there are annotations in kustomize's eyes, and a comment behind their key hides nothing: it
    /// keeps its notes in them.
    pub(super) fn make_room_for_notes(&mut self) {
        if !self.has_notes() {
            return;
        }
        let Some(metadata) = self.metadata_mut() else { return };
        let is_empty =
            mapping_at(metadata, "annotations").and_then(|node| node.as_mapping()).is_some_and(<[_]>::is_empty);
        if is_empty && let Some(entries) = metadata.as_mapping_mut() {
            entries
                .iter_mut()
                .filter(|entry| entry.is_under("annotations"))
                .for_each(|entry| entry.key.forget_comments());
        }
    }

    /// True when kustomize would keep notes about it in its annotations.
    pub(super) fn has_notes(&self) -> bool {
        !self.formers.is_empty() || self.needs_hash || self.build_origin.is_some()
    }

    /// `metadata`, made when it is absent or null; `None` when it is no mapping.
    pub(super) fn metadata_mut(&mut self) -> Option<&mut Node> {
        mapping_at(&mut self.node, "metadata")
    }

    pub(super) fn set_name(&mut self, name: &str) {
        if let Some(metadata) = self.metadata_mut() {
            metadata.insert("name", bare(name));
        }
    }

    /// Sets the namespace; an empty one removes the field.
    pub(super) fn set_namespace(&mut self, namespace: &str) {
        if let Some(metadata) = self.metadata_mut() {
            if namespace.is_empty() {
                metadata.remove("namespace");
            } else {
                metadata.insert("namespace", bare(namespace));
            }
        }
    }

    /// Sets one entry of `metadata.annotations` or `metadata.labels`.
    pub(super) fn set_mark(&mut self, field: &str, name: &str, value: &str) {
        if let Some(marks) = self.metadata_mut().and_then(|metadata| mapping_at(metadata, field)) {
            marks.insert(name, Node::string(value));
        }
    }

    /// The entries of `metadata.annotations` or `metadata.labels` as text.
    pub(super) fn pairs(&self, field: &str) -> Vec<(SmolStr, SmolStr)> {
        let node = self.node.get("metadata").and_then(|metadata| metadata.get(field));
        let entries = node.and_then(Node::as_mapping).unwrap_or_default();
        entries.iter().filter_map(|entry| Some((entry.name()?.into(), written_text(&entry.value)))).collect()
    }

    /// The value of one entry of `metadata.annotations`.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.node.get("metadata")?.get("annotations")?.get(name)?.as_str()
    }

    /// # Errors
    /// When `metadata.annotations` or `metadata.labels` is there but can take no entry.
    pub(super) fn check_marks(&self, field: &str) -> Result<(), Error> {
        let marks = self.node.get("metadata").and_then(|metadata| metadata.get(field));
        match marks.filter(|marks| !marks.is_mapping() && !marks.is_null()) {
            None => Ok(()),
            Some(marks) => {
                let problem = Problem::FieldKind {
                    field: format!("metadata/{field}"),
                    of: self.gvk().to_string(),
                    found: marks.describe(),
                    expected: "a mapping",
                };
                Err(Error::at(marks, problem))
            }
        }
    }

    /// Makes strings of all annotations, and removes the field when there are none: what kustomize does to every
    /// object at the end of a build.
    ///
    /// # Errors
    /// When there is no room for any, or one of them has no name: kustomize panics.
    pub(super) fn settle_annotations(&mut self) -> Result<(), Error> {
        let has_notes = self.has_notes();
        // A list without a name may have none.
        let Some(metadata) = self.node.get_or_insert_with("metadata", Node::mapping) else { return Ok(()) };
        if metadata.is_null() && has_notes {
            *metadata = Node::mapping();
        } else if !metadata.is_mapping() && !metadata.is_null() {
            let (found, field) = (metadata.describe(), "metadata".into());
            let problem = Problem::FieldKind { field, of: "the object".into(), found, expected: "a mapping" };
            return Err(Error::at(metadata, problem));
        }
        let Some(annotations) = metadata.get_mut("annotations") else { return Ok(()) };
        let empty = match annotations.as_mapping_mut() {
            Some(entries) => {
                if let Some(nameless) = entries.iter().find(|entry| entry.is_nameless()) {
                    return Err(Error::at(&nameless.key, Problem::NamelessField));
                }
                settle_marks(entries);
                entries.is_empty()
            }
            None => annotations.as_sequence().is_none_or(|items| items.is_empty()),
        };
        if empty {
            metadata.remove("annotations");
        }
        Ok(())
    }

    /// Appends the finished object as it is printed.
    ///
    /// # Errors
    /// When a value has no form in JSON: an infinite number, a key that is no string, text in a number's place.
    pub(super) fn push_text(&self, text: &mut String) -> Result<(), Error> {
        let is_object = self.node.with_value(Resolve::V3, |value| {
            emit::push(text, value);
            matches!(value, Borrowed::Map(_))
        })?;
        if is_object { Ok(()) } else { Err(self.not_an_object()) }
    }

    fn not_an_object(&self) -> Error {
        Error::at(&self.node, Problem::NotAnObject { found: self.node.describe() })
    }

    /// The finished object.
    ///
    /// # Errors
    /// As [`Resource::push_text`].
    pub(super) fn to_object(&self) -> Result<Object, Error> {
        let body = self.node.to_value(Resolve::V3)?;
        let id = self.id();
        let namespace = Some(id.namespace.clone()).filter(|namespace| !namespace.is_empty());
        if !matches!(body, Value::Object(_)) {
            return Err(self.not_an_object());
        }
        let Gvk { group, version, kind } = id.gvk;
        Ok(Object {
            key: ObjectKey { group, kind, namespace, name: id.name },
            version,
            body,
            origin: self.origin.clone(),
        })
    }
}

/// Makes strings of labels or annotations, and names them anew, without quotes or a type: a name that reads as something
/// else than a string is refused at the end of the build, as kustomize does. Of one that is there twice the last one holds.
pub(super) fn settle_marks(marks: &mut Vec<Entry>) {
    if has_duplicate_keys(marks) {
        let mut seen = HashSet::new();
        let is_last: Vec<bool> = marks.iter().rev().map(|entry| seen.insert(entry.name())).collect();
        let mut is_last = is_last.into_iter().rev();
        marks.retain(|_| is_last.next().unwrap_or(true));
    }
    for entry in marks {
        if let Content::Scalar(key) = &mut entry.key.content {
            key.style = ScalarStyle::Plain;
        }
        entry.key.set_tag(None);
        entry.value = Node::string(written_text(&entry.value)).at_place_of(&entry.value);
    }
}

fn below_mut<'a>(node: &'a mut Node, part: &SmolStr) -> Option<&'a mut Node> {
    if node.is_sequence() {
        return node.as_sequence_mut()?.get_mut(part.parse::<usize>().ok()?);
    }
    node.get_mut(part)
}

/// The mapping under a key, made when it is absent or null; `None` when something else is there.
pub(super) fn mapping_at<'a>(node: &'a mut Node, field: &str) -> Option<&'a mut Node> {
    let found = node.get_or_insert_with(field, Node::mapping)?;
    if found.is_null() {
        *found = Node::mapping();
    }
    found.is_mapping().then_some(found)
}

/// The text of a scalar as its file has it: empty for a null that is not written. Empty for what is no scalar, too.
pub(super) fn written_text(node: &Node) -> SmolStr {
    match node.as_scalar() {
        Some(scalar) if !node.is_unwritten() => scalar.text.clone(),
        _ => SmolStr::default(),
    }
}

/// How many values a tree holds, itself included.
pub(super) fn count(node: &Node) -> usize {
    let below: usize = match (node.as_sequence(), node.as_mapping()) {
        (Some(items), _) => items.iter().map(count).sum(),
        (_, Some(entries)) => entries.iter().map(|entry| count(&entry.value)).sum(),
        _ => 0,
    };
    below + 1
}

/// How many bytes the texts of a tree have, keys included.
pub(super) fn text_length(node: &Node) -> usize {
    match (node.as_scalar(), node.as_sequence(), node.as_mapping()) {
        (Some(scalar), _, _) => scalar.text.len(),
        (_, Some(items), _) => items.iter().map(text_length).sum(),
        (_, _, Some(entries)) => entries.iter().map(|entry| text_length(&entry.key) + text_length(&entry.value)).sum(),
        _ => 0,
    }
}

/// How deep a tree is; 1 for a scalar.
pub(super) fn depth(node: &Node) -> usize {
    let below = match (node.as_sequence(), node.as_mapping()) {
        (Some(items), _) => items.iter().map(depth).max(),
        (_, Some(entries)) => entries.iter().map(|entry| depth(&entry.value)).max(),
        _ => None,
    };
    below.unwrap_or_default() + 1
}

/// What stands at the end of a path through mappings and lists.
fn node_at<'a>(node: &'a Node, path: &[SmolStr]) -> Option<&'a Node> {
    path.iter().try_fold(node, |node, part| match node.as_sequence() {
        Some(items) => items.get(part.parse::<usize>().ok()?),
        None => node.get(part),
    })
}

/// The text of the scalar that stands there.
fn text_at(node: &Node, path: &[SmolStr]) -> Option<SmolStr> {
    node_at(node, path)?.as_scalar().map(|scalar| scalar.text.clone())
}
