//! `configurations` and `crds`: files that tell transformers about more fields.

use std::sync::Arc;

use super::entry::{FieldSpec, gvk};
use super::error::{Error, Problem};
use super::field::{Fields, Text, Unknown};
use super::load::Loader;
use super::resource::Gvk;
use super::transform::specs::{Conflict, References, SECTIONS, Specs};
use crate::source::TreePath;
use crate::yaml::{self, Document, Entry, Node};

/// How deep the definitions of `crds` may refer to each other.
const MAX_DEPTH: usize = 32;

/// How many properties of one definition are looked at; definitions that refer to each other multiply.
const MAX_PROPERTIES: usize = 20_000;

/// What is built in, with what the configuration files of a kustomization add.
///
/// # Errors
/// When a file can't be read, has an unknown section, or contradicts what is built in.
pub(super) fn configurations(
    loader: &Loader<'_>,
    directory: &TreePath,
    entries: &[Text],
) -> Result<Arc<Specs>, Vec<Error>> {
    if entries.is_empty() {
        return Ok(Specs::built_in());
    }
    let mut added = Specs::none();
    for entry in entries {
        let Some(document) = loader.document(directory, entry).map_err(|error| vec![error])? else { continue };
        let specs = Arc::new(read(&document.root)?);
        added = merge(&added, &specs, entry)?;
    }
    let last = entries.last().unwrap_or_else(|| unreachable!("an empty list has returned above"));
    merge(&Specs::built_in(), &added, last)
}

/// Both, or the contradiction as a problem of the entry that brings it.
///
/// # Errors
/// When the two contradict each other.
pub(super) fn merge(one: &Arc<Specs>, other: &Arc<Specs>, entry: &Text) -> Result<Arc<Specs>, Vec<Error>> {
    Specs::merge(one, other)
        .map_err(|Conflict(path)| vec![Error::at(&entry.node, Problem::FieldSpecConflict { path: path.to_string() })])
}

fn read(node: &Node) -> Result<Specs, Vec<Error>> {
    let mut known: Vec<&'static str> = SECTIONS.to_vec();
    known.push("nameReference");
    let mut errors = Vec::new();
    let mut fields = Fields::open(node, "a transformer configuration", &known, Unknown::Refused, &mut errors);
    let mut specs = Specs::default();
    for section in SECTIONS {
        let read = FieldSpec::list(&mut fields, section);
        if let Some(list) = specs.section(section) {
            *list = read;
        }
    }
    for item in fields.items("nameReference") {
        const REFERENCE: &[&str] = &["group", "version", "kind", "fieldSpecs"];
        let mut fields = fields.open_item(item, "a name reference", REFERENCE);
        let target = gvk(&mut fields);
        specs.references.push(References { target, from: FieldSpec::list(&mut fields, "fieldSpecs") });
    }
    specs.sort();
    if errors.is_empty() { Ok(specs) } else { Err(errors) }
}

/// What the OpenAPI definitions of custom resources say about their fields.
///
/// # Errors
/// When a file can't be read, or its definitions are none.
pub(super) fn crds(loader: &Loader<'_>, directory: &TreePath, entries: &[Text]) -> Result<Arc<Specs>, Vec<Error>> {
    let mut all = Specs::none();
    for entry in entries {
        let (path, bytes) = loader.read(directory, entry).map_err(|error| vec![error])?;
        if bytes.first() == Some(&b'{')
            && let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
        {
            // What begins like JSON must be JSON.
            return Err(vec![Error::of_file(&path, Problem::NotJson { reason: error.to_string() })]);
        }
        let document = yaml::parse_first(&path.to_string().into(), &bytes, yaml::Resolve::V3);
        let Some(Document { root: definitions }) = document.map_err(|error| vec![error.into()])? else { continue };
        check_definitions(&definitions).map_err(|error| vec![error])?;
        for definition in definitions.as_mapping().unwrap_or_default() {
            let Some(name) = definition.name() else { continue };
            let properties = |field: &str| definition.value.get("Schema")?.get("properties")?.get(field);
            if ["kind", "apiVersion", "metadata"].into_iter().any(|field| properties(field).is_none()) {
                continue;
            }
            let mut specs = Specs::default();
            let kind = Gvk::new("", "", name.rsplit('.').next().unwrap_or(name));
            let mut budget = MAX_PROPERTIES;
            walk(&mut specs, &kind, &definitions, name, &mut Vec::new(), &mut budget);
            specs.sort();
            all = merge(&all, &Arc::new(specs), entry)?;
        }
    }
    Ok(all)
}

/// # Errors
/// When a definition or a property is no mapping.
fn check_definitions(definitions: &Node) -> Result<(), Error> {
    for definition in mapping(definitions, "a file of definitions")? {
        mapping(&definition.value, "a definition")?;
        let Some(schema) = definition.value.get("Schema") else { continue };
        mapping(schema, "a schema")?;
        let Some(properties) = schema.get("properties") else { continue };
        for property in mapping(properties, "the list of properties")? {
            mapping(&property.value, "a property")?;
        }
    }
    Ok(())
}

/// # Errors
/// When the node is no mapping.
fn mapping<'a>(node: &'a Node, of: &'static str) -> Result<&'a [Entry], Error> {
    match node.as_mapping() {
        Some(entries) => Ok(entries),
        None if node.is_null() => Ok(&[]),
        None => Err(Error::at(node, Problem::NotAMapping { of, found: node.describe().into() })),
    }
}

fn walk<'a>(
    specs: &mut Specs,
    kind: &Gvk,
    definitions: &'a Node,
    name: &str,
    path: &mut Vec<&'a str>,
    budget: &mut usize,
) {
    if path.len() >= MAX_DEPTH {
        return;
    }
    let schema = definitions.get(name).and_then(|definition| definition.get("Schema"));
    let properties = schema.and_then(|schema| schema.get("properties")).and_then(Node::as_mapping);
    for property in properties.unwrap_or_default() {
        let Some(field) = property.name() else { continue };
        *budget = budget.saturating_sub(1);
        if *budget == 0 {
            return;
        }
        path.push(field);
        let spec = |path: String| FieldSpec { gvk: kind.clone(), path: path.into(), create: false };
        let extension = |name: &str| property.value.get(name).and_then(Node::as_str);
        if extension("x-kubernetes-annotation").is_some() {
            specs.common_annotations.push(spec(path.join("/")));
        }
        if extension("x-kubernetes-label-selector").is_some() {
            specs.common_labels.push(spec(path.join("/")));
        }
        if extension("x-kubernetes-identity").is_some() {
            specs.name_prefix.push(spec(path.join("/")));
        }
        let version = extension("x-kubernetes-object-ref-api-version");
        if let (Some(version), Some(target)) = (version, extension("x-kubernetes-object-ref-kind")) {
            let key = extension("x-kubernetes-object-ref-name-key").unwrap_or("name");
            let from = vec![spec(format!("{}/{key}", path.join("/")))];
            specs.references.push(References { target: Gvk::new("", version, target), from });
        }
        if let Some(reference) = extension("$ref") {
            walk(specs, kind, definitions, reference, path, budget);
        }
        path.pop();
    }
}
