//! A patch: what it holds, and which objects it goes to.

pub(super) mod json;
pub(super) mod schema;
pub(super) mod strategic;

use smol_str::SmolStr;

use super::entry::Patch;
use super::error::{Error, Problem};
use super::field::Text;
use super::load::{Loader, objects};
use super::place::{untyped, write_text};
use super::resource::{Resource, settle_marks};
use super::selector::Matcher;
use super::set::Set;
use crate::source::TreePath;
use crate::yaml::{self, Entry, Node};
use json::{Language, Operation};
use schema::Schemas;

/// What the text of a patch turned out to be.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// Objects to be merged in.
    Merge(Vec<Resource>),
    /// Operations on paths.
    Operations(Vec<Operation>),
}

/// A patch that is ready to be applied.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    body: Body,
    target: Option<Matcher>,
    allow_name_change: bool,
    allow_kind_change: bool,
    /// Entries of `patches` make objects remember what they were called, others do not.
    remembers: bool,
    /// With a target, and in `patchesStrategicMerge`, kustomize writes the patch's labels and annotations anew.
    settles_marks: bool,
    /// Where its text stands, when places inside of it are none in any file.
    stands_at: Option<Node>,
    at: Node,
}

/// The text of a patch, and where it stands.
pub(super) enum Written<'a> {
    /// In a file of its own.
    File(TreePath, std::sync::Arc<[u8]>),
    /// Inside a kustomization file.
    Inline(&'a Text),
}

impl<'a> Written<'a> {
    /// The text that an entry gives by exactly one of its two fields.
    ///
    /// # Errors
    /// When it gives both or none, or the file can't be read.
    pub(super) fn of(
        loader: &Loader<'_>,
        directory: &TreePath,
        path: Option<&Text>,
        inline: Option<&'a Text>,
        at: &Node,
    ) -> Result<Self, Error> {
        match (path, inline.filter(|text| !text.value.trim().is_empty())) {
            (Some(_), Some(_)) => Err(Error::at(at, Problem::Exclusive { one: "path", other: "patch" })),
            (None, None) => Err(Error::at(at, Problem::OneOf { one: "path", other: "patch", of: "a patch" })),
            (Some(path), None) => loader.read(directory, path).map(|(path, bytes)| Written::File(path, bytes)),
            (None, Some(text)) => Ok(Written::Inline(text)),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Written::File(_, bytes) => bytes,
            Written::Inline(text) => text.value.as_bytes(),
        }
    }

    fn file(&self) -> std::sync::Arc<str> {
        match self {
            Written::File(path, _) => path.to_string().into(),
            Written::Inline(text) => text.node.file().cloned().unwrap_or_else(|| "inline patch".into()),
        }
    }

    /// A problem of inline text that does not say where it is, moved to the start of that text.
    fn place(&self, mut error: Error) -> Error {
        if let Some(node) = self.stands_at() {
            error.origin = node.origin();
            error.line = node.line_text().map(Into::into);
        }
        error
    }

    /// Where inline text stands, when places inside of it are none in its file.
    fn stands_at(&self) -> Option<Node> {
        match self {
            Written::Inline(text) if self.in_place().is_none() => Some(text.node.clone()),
            _ => None,
        }
    }

    /// A block literal as it stands in its file, so that places in it are places in that file; `None` for files and
    /// for texts in which lines and columns have been changed by quotes and folding.
    fn in_place(&self) -> Option<Vec<u8>> {
        /// Beyond, the empty lines that stand for those above would cost more than they are worth.
        const MAX_LINE: usize = 2_000;
        let Written::Inline(text) = self else { return None };
        let start = text.node.origin().filter(|_| text.is_literal)?;
        let above = usize::try_from(start.line).ok()?.checked_sub(1).filter(|line| *line <= MAX_LINE)?;
        let indent = usize::try_from(start.column).ok()?.saturating_sub(1);
        let indent = if text.value.contains("---") || text.value.starts_with([' ', '\n']) { 0 } else { indent };
        let mut bytes = vec![b'\n'; above];
        for line in text.value.split_inclusive('\n') {
            if line != "\n" {
                bytes.extend(std::iter::repeat_n(b' ', indent));
            }
            bytes.extend_from_slice(line.as_bytes());
        }
        Some(bytes)
    }

    /// What is parsed.
    fn source(&self) -> std::borrow::Cow<'_, [u8]> {
        self.in_place().map_or_else(|| self.bytes().into(), Into::into)
    }

    /// The objects in it.
    fn objects(&self) -> Result<Vec<Resource>, Vec<Error>> {
        let source = self.source();
        let documents = yaml::parse(&self.file(), &source).map_err(|error| vec![self.place(error.into())])?;
        objects(documents, &source).map_err(|errors| errors.into_iter().map(|error| self.place(error)).collect())
    }

    /// The operations in it; `None` when it is no list of operations. Text that looks like JSON must be JSON.
    fn operations(&self) -> Option<Vec<Operation>> {
        let bytes = self.bytes();
        let language = if bytes.first() == Some(&b'[') { Language::Json } else { Language::Yaml };
        if language == Language::Json && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_err() {
            return None;
        }
        let document = yaml::parse_first(&self.file(), &self.source(), yaml::Resolve::V2).ok()?;
        document.map_or_else(|| Some(Vec::new()), |document| json::operations(&document.root, language))
    }

    /// What it is, objects or operations.
    fn body(&self) -> Result<Body, Error> {
        match self.objects() {
            Ok(resources) => Ok(Body::Merge(resources)),
            Err(errors) => match self.operations() {
                // No operations are as little as no objects.
                Some(operations) if operations.is_empty() => Ok(Body::Merge(Vec::new())),
                Some(operations) => Ok(Body::Operations(operations)),
                None => {
                    let not_a_patch = || self.place(Error::of_file(&TreePath::root(), Problem::NotAPatch));
                    let first = errors.into_iter().next().unwrap_or_else(not_a_patch);
                    Err(match *first.problem {
                        Problem::NotAnObject { .. } => Error { problem: Box::new(Problem::NotAPatch), ..first },
                        _ => first,
                    })
                }
            },
        }
    }
}

impl Prepared {
    /// An entry of `patches`.
    ///
    /// # Errors
    /// When its text can't be read or is no patch.
    pub(super) fn new(loader: &Loader<'_>, directory: &TreePath, patch: &Patch) -> Result<Self, Error> {
        // kustomize trims the text of such an entry: a block at its end has no final line break.
        let inline = patch.patch.as_ref().map(|text| text.trimmed().handed_over());
        let written = Written::of(loader, directory, patch.path.as_ref(), inline.as_ref(), &patch.at)?;
        let body = written.body()?;
        // A patch that says nothing asks nobody.
        let is_empty = matches!(&body, Body::Merge(resources) if resources.is_empty());
        Ok(Prepared {
            body,
            target: patch.target.as_ref().filter(|_| !is_empty).map(Matcher::new).transpose()?,
            allow_name_change: patch.allow_name_change,
            allow_kind_change: patch.allow_kind_change,
            remembers: true,
            settles_marks: patch.target.is_some(),
            stands_at: written.stands_at(),
            at: patch.at.clone(),
        })
    }

    /// An entry of `patchesJson6902`.
    ///
    /// # Errors
    /// When its text can't be read or is no list of operations, or its target has no name.
    pub(super) fn operations(loader: &Loader<'_>, directory: &TreePath, patch: &Patch) -> Result<Self, Error> {
        let target = patch.target.as_ref().filter(|target| !target.name.is_empty());
        let Some(target) = target else {
            return Err(Error::at(
                &patch.at,
                Problem::MissingField { field: "target.name", of: "a patch of operations" },
            ));
        };
        let inline = patch.patch.as_ref().map(Text::handed_over);
        let written = Written::of(loader, directory, patch.path.as_ref(), inline.as_ref(), &patch.at)?;
        let operations = written.operations().ok_or_else(|| Error::at(&patch.at, Problem::NotAPatch))?;
        if operations.is_empty() {
            return Err(Error::at(&patch.at, Problem::EmptyPatch));
        }
        Ok(Prepared {
            body: Body::Operations(operations),
            target: Some(Matcher::new(target)?),
            allow_name_change: false,
            allow_kind_change: false,
            remembers: false,
            settles_marks: false,
            stands_at: written.stands_at(),
            at: patch.at.clone(),
        })
    }

    /// An entry of `patchesStrategicMerge`: objects, or the path of a file with objects.
    ///
    /// # Errors
    /// When it is neither.
    pub(super) fn strategic(loader: &Loader<'_>, directory: &TreePath, entry: &Text) -> Result<Self, Error> {
        let text = entry.handed_over();
        let inline = Written::Inline(&text).objects().ok();
        let stands_at = inline.is_some().then(|| Written::Inline(&text).stands_at()).flatten();
        let resources = match inline {
            Some(resources) => resources,
            None => {
                let (path, bytes) = loader.read(directory, entry)?;
                let first = |errors: Vec<Error>| {
                    errors.into_iter().next().unwrap_or_else(|| Error::at(&entry.node, Problem::NotAPatch))
                };
                Written::File(path, bytes).objects().map_err(first)?
            }
        };
        Ok(Prepared {
            body: Body::Merge(resources),
            target: None,
            allow_name_change: false,
            allow_kind_change: false,
            remembers: false,
            settles_marks: true,
            stands_at,
            at: entry.node.clone(),
        })
    }

    /// True when it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.body, Body::Merge(resources) if resources.is_empty())
    }

    /// True when it looks at the schema of some object.
    pub(super) fn asks_for_schema(&self, set: &Set) -> bool {
        let has_version = |resource: &Resource| !resource.gvk().api_version().is_empty();
        match (&self.body, &self.target) {
            (Body::Operations(_), _) => false,
            (Body::Merge(patches), None) => patches.iter().any(has_version),
            (Body::Merge(patches), Some(target)) => {
                !patches.is_empty()
                    && set.iter().any(|resource| has_version(resource) && target.selects(resource).unwrap_or(false))
            }
        }
    }

    /// Changes the objects that it is for.
    ///
    /// # Errors
    /// When it has no object to go to, or does not fit.
    pub(super) fn apply(&self, set: &mut Set, schemas: &Schemas) -> Result<(), Vec<Error>> {
        let selected = self.target.as_ref().map(|target| target.select(set)).transpose();
        let selected = selected.map_err(|error| vec![error])?;
        self.apply_body(set, schemas, selected).map_err(|mut errors| {
            if let Some(node) = &self.stands_at {
                for error in &mut errors {
                    error.origin = node.origin();
                    error.line = node.line_text().map(Into::into);
                }
            }
            errors
        })
    }

    /// `selected`: the objects that the target means, where there is one.
    fn apply_body(&self, set: &mut Set, schemas: &Schemas, selected: Option<Vec<usize>>) -> Result<(), Vec<Error>> {
        match (&self.body, selected) {
            (Body::Operations(_), None) => Err(vec![Error::at(&self.at, Problem::PatchWithoutTarget)]),
            (Body::Operations(operations), Some(selected)) => {
                let mut errors = Vec::new();
                if selected.is_empty() {
                    return Ok(());
                }
                let mut renamed = false;
                for at in selected {
                    let Some(resource) = set.body_mut(at) else { continue };
                    let id = resource.id();
                    if self.remembers {
                        resource.remember_id();
                    }
                    resource.make_room_for_notes();
                    // The object is written as JSON and read again: nothing is shared any more.
                    resource.shared.clear();
                    let applied = resource.with_open_notes(|resource| {
                        json::apply(&mut resource.node, operations)?;
                        if let Some(metadata) = resource.node.get_mut("metadata")
                            && metadata.get("annotations").is_some_and(can_not_be_set)
                        {
                            metadata.remove("annotations");
                        }
                        Ok(())
                    });
                    errors.extend(applied.err());
                    renamed |= resource.id() != id;
                }
                if renamed {
                    set.names_change();
                }
                if errors.is_empty() { Ok(()) } else { Err(errors) }
            }
            (Body::Merge(patches), Some(selected)) => match patches.as_slice() {
                [] => Ok(()),
                [patch] => self.merge(set, schemas, patch, &selected).map_err(|error| vec![error]),
                _ => Err(vec![Error::at(&self.at, Problem::ManyPatchesForTarget)]),
            },
            (Body::Merge(patches), None) => {
                let mut errors = Vec::new();
                for patch in patches {
                    let id = patch.original_id();
                    let found = set.with_any_id(&id);
                    let merged = match found.as_slice() {
                        [at] => self.merge(set, schemas, patch, &[*at]),
                        [] => {
                            let candidates = set.candidates(&id.gvk.kind);
                            let problem = Problem::NoPatchTarget { id: id.to_string(), candidates };
                            Err(Error::at(&patch.node, problem))
                        }
                        several => {
                            let names = several.iter().filter_map(|at| set.get(*at));
                            let candidates = names.map(|resource| resource.id().to_string()).collect();
                            let problem = Problem::ManyPatchTargets { id: id.to_string(), candidates };
                            Err(Error::at(&patch.node, problem))
                        }
                    };
                    errors.extend(merged.err());
                }
                if errors.is_empty() { Ok(()) } else { Err(errors) }
            }
        }
    }

    fn merge(&self, set: &mut Set, schemas: &Schemas, patch: &Resource, selected: &[usize]) -> Result<(), Error> {
        /// The values that one patch may bring into all objects together.
        const MAX_VALUES: usize = 10_000_000;
        if patch.values.saturating_mul(selected.len()) > MAX_VALUES {
            return Err(Error::at(&self.at, Problem::TooManyValues { limit: MAX_VALUES }));
        }
        let (mut deleted, mut forgets) = (Vec::new(), false);
        let renames = self.allow_name_change || self.allow_kind_change;
        for at in selected {
            let target = if renames { set.one_mut(*at) } else { set.body_mut(*at) };
            let Some(resource) = target else { continue };
            let formers = resource.formers.len();
            if !self.merge_one(resource, schemas, patch)? {
                deleted.push(*at);
            }
            forgets |= resource.formers.len() < formers;
        }
        if forgets {
            set.forget_places();
        }
        if !deleted.is_empty() {
            set.remove(&deleted);
        }
        // Here kustomize puts the objects together again one by one, however they have come to their names.
        if self.settles_marks { set.check() } else { Ok(()) }
    }

    /// `false` when nothing is left of the object.
    fn merge_one(&self, resource: &mut Resource, schemas: &Schemas, patch: &Resource) -> Result<bool, Error> {
        let (gvk, name, namespace) = (resource.gvk(), resource.name(), resource.namespace());
        if self.allow_name_change || self.allow_kind_change {
            resource.remember_id();
        }
        let mut node = patch.node.clone();
        if self.settles_marks {
            settle_all_marks(&mut node);
        }
        if self.target.is_some() {
            match resource.node.get("apiVersion") {
                Some(version) => drop(node.insert("apiVersion", version.clone())),
                None => drop(node.remove("apiVersion")),
            }
        }
        // A patch that replaces the whole object changes nothing of it.
        let wipes_all = strategic::wipes(&node);
        let metadata = node.get("metadata").filter(|_| !wipes_all);
        let annotations = metadata.and_then(|metadata| metadata.get("annotations"));
        let wipes_notes = metadata.into_iter().chain(annotations).any(strategic::wipes);
        let said = (!resource.shared.is_empty()).then(|| node.clone());
        let mut merge = |resource: &mut Resource| strategic::merge(&mut resource.node, &mut node, schemas.of(&gvk));
        let merged = match said {
            Some(said) if !wipes_all => resource.change_shared(Some(&said), merge)?,
            _ => merge(resource)?,
        };
        if !merged {
            return Ok(false);
        }
        if wipes_notes {
            resource.forget_notes();
        }
        if resource.node.as_mapping().is_none_or(|entries| entries.is_empty()) {
            return Ok(false);
        }
        if self.target.is_some() && resource.node.get("apiVersion").is_none() {
            // kustomize gives the patch the version of the object, if it is none.
            resource.node.insert("apiVersion", untyped(""));
        }
        if !self.allow_kind_change && resource.kind() != gvk.kind {
            resource.node.insert("kind", Node::string(gvk.kind));
        }
        // kustomize writes both again, and forgets that they are strings.
        let rewrite = |resource: &mut Resource, field: &str, text: &SmolStr| {
            let place = resource.node.get_mut("metadata").and_then(|metadata| metadata.get_mut(field));
            let place = place.filter(|place| place.is_scalar());
            place
                .map(|place| if text.is_empty() { *place = Node::string("") } else { write_text(place, text.clone()) })
                .is_some()
        };
        if !self.allow_name_change && !rewrite(resource, "name", &name) && !name.is_empty() {
            resource.set_name(&name);
        }
        if namespace.is_empty() {
            if !resource.namespace().is_empty() {
                resource.set_namespace("");
            }
        } else if !rewrite(resource, "namespace", &namespace) {
            resource.set_namespace(&namespace);
        }
        Ok(true)
    }
}

/// True for labels and annotations that kustomize takes for none when it sets them again: what is no mapping, and one that
/// has an entry without a name.
fn can_not_be_set(marks: &Node) -> bool {
    marks.as_mapping().is_none_or(|entries| entries.iter().any(Entry::is_nameless))
}

/// Makes strings of all labels and annotations; without any, the field goes, so that a null does not remove anything.
fn settle_all_marks(node: &mut Node) {
    let Some(metadata) = node.get_mut("metadata") else { return };
    for field in ["labels", "annotations"] {
        let Some(marks) = metadata.get_mut(field) else { continue };
        if let Some(entries) = marks.as_mapping_mut() {
            settle_marks(entries);
        }
        if can_not_be_set(marks) || marks.as_mapping().is_some_and(<[_]>::is_empty) {
            metadata.remove(field);
        }
    }
}
