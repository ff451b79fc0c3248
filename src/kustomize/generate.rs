//! ConfigMaps and Secrets out of literals, files and env files.

pub(super) mod data;
pub(super) mod hash;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smol_str::SmolStr;

use super::entry::GeneratorArgs;
use super::error::{Error, Problem};
use super::load::Loader;
use super::place::{typed, write_mark};
use super::resource::{Behavior, Resource, mapping_at, written_text};
use super::set::Set;
use crate::error::Diagnostic;
use crate::source::TreePath;
use crate::yaml::{Entry, Node, ScalarStyle};

/// Which of the two is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generates {
    ConfigMap,
    Secret,
}

/// Generates the object that an entry asks for.
///
/// # Errors
/// When a source can't be read, or says something that is no pair of key and value.
pub(super) fn generate(
    what: Generates,
    args: &GeneratorArgs,
    loader: &Loader<'_>,
    directory: &TreePath,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Resource, Error> {
    if args.name.is_empty() {
        return Err(Error::at(&args.at, Problem::MissingField { field: "name", of: "a generator" }));
    }
    let mut pairs = data::pairs(args, loader, directory, warnings)?;
    pairs.sort_by(|one, other| one.key.cmp(&other.key));

    let mut node = Node::mapping();
    node.insert("apiVersion", Node::string("v1"));
    node.insert("kind", Node::string(if what == Generates::Secret { "Secret" } else { "ConfigMap" }));
    let mut metadata = Node::mapping();
    metadata.insert("name", Node::string(args.name.clone()));
    if !args.namespace.is_empty() {
        metadata.insert("namespace", Node::string(args.namespace.clone()));
    }
    for (field, marks) in [("labels", &args.options.labels), ("annotations", &args.options.annotations)] {
        if !marks.is_empty() {
            let mut mapping = Node::mapping();
            for (key, value) in marks {
                write_mark(&mut mapping, key, &value.value);
            }
            metadata.insert(field, mapping);
        }
    }
    node.insert("metadata", metadata);
    match what {
        Generates::Secret => {
            let secret_type = if args.secret_type.is_empty() { "Opaque".into() } else { args.secret_type.clone() };
            node.insert("type", Node::string(secret_type));
            let encoded = pairs.into_iter().map(|pair| datum(pair.key, Node::string(encode(&pair.value))));
            node.insert("data", Node::mapping_of(encoded.collect()));
        }
        Generates::ConfigMap => {
            let (mut text, mut binary) = (Vec::new(), Vec::new());
            for pair in pairs {
                match String::from_utf8(pair.value) {
                    Ok(value) => text.push(datum(pair.key, written(value))),
                    Err(bytes) => binary.push(datum(pair.key, Node::string(encode(bytes.as_bytes())))),
                }
            }
            for (field, entries) in [("data", text), ("binaryData", binary)] {
                if !entries.is_empty() {
                    node.insert(field, Node::mapping_of(entries));
                }
            }
        }
    }
    if args.options.immutable {
        node.insert("immutable", typed("true", "!!bool"));
    }
    let mut resource = Resource::new(node);
    resource.origin = args.at.origin();
    resource.needs_hash = !args.options.disable_name_suffix_hash;
    Ok(resource)
}

/// Text of several lines stands on lines of its own.
fn written(text: String) -> Node {
    let style = if text.contains('\n') { ScalarStyle::Literal } else { ScalarStyle::DoubleQuoted };
    Node::scalar(text, style)
}

/// An entry of data, labels or annotations. Its key is written without quotes: one that reads as something else than a string is refused at the
/// end of the build, as kustomize does.
fn datum(key: impl Into<SmolStr>, value: Node) -> Entry {
    Entry::plain(key, value)
}

/// Base64; what is longer than a line of 70 characters is broken into such lines, each with a line break.
fn encode(bytes: &[u8]) -> String {
    const LINE: usize = 70;
    let encoded = STANDARD.encode(bytes);
    if encoded.len() <= LINE {
        return encoded;
    }
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / LINE + 1);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(LINE.min(rest.len()));
        lines.push_str(line);
        lines.push('\n');
        rest = more;
    }
    lines
}

/// Adds what a generator made: a new object, or data for one that is there.
///
/// # Errors
/// When its behavior needs an object that is not there, or forbids one that is.
pub(super) fn absorb(set: &mut Set, mut new: Resource, behavior: Behavior) -> Result<(), Error> {
    let id = new.id();
    let at = match (set.with_any_id(&id).as_slice(), behavior) {
        ([], Behavior::Create) => return set.append(new),
        ([], _) => {
            let problem = Problem::NothingToMerge { id: id.to_string() };
            return Err(Error::from_origin(new.origin.as_ref(), problem));
        }
        ([at], Behavior::Create) => {
            let first = set.get(*at).and_then(|old| old.origin.clone());
            let problem = Problem::GeneratedExists { id: id.to_string(), first };
            return Err(Error::from_origin(new.origin.as_ref(), problem));
        }
        ([at], _) => *at,
        _ => {
            let problem = Problem::ManyToMerge { id: id.to_string() };
            return Err(Error::from_origin(new.origin.as_ref(), problem));
        }
    };
    // The new one takes over what the old one is and was called.
    if let Some(old) = set.body_mut(at) {
        unite(&mut new, old, behavior)?;
        *old = new;
    }
    Ok(())
}

/// Gives a generated object what it takes over from the one that it merges with or replaces.
fn unite(new: &mut Resource, old: &Resource, behavior: Behavior) -> Result<(), Error> {
    for field in ["labels", "annotations"] {
        let mut pairs = old.pairs(field);
        for (key, value) in new.pairs(field) {
            pairs.retain(|(known, _)| *known != key);
            pairs.push((key, value));
        }
        if let Some(metadata) = new.metadata_mut() {
            metadata.remove(field);
            if !pairs.is_empty() {
                let entries = pairs.into_iter().map(|(key, value)| datum(key, Node::string(value)));
                metadata.insert(field, Node::mapping_of(entries.collect()));
            }
        }
    }
    if behavior == Behavior::Merge {
        if new.kind() == "Secret" {
            check_plain(old)?;
            let plain = texts(&old.node, "stringData").into_iter();
            unite_data(new, "data", plain.map(|(key, value)| (key, encode(value.as_bytes()).into())).collect());
        }
        unite_data(new, "data", texts(&old.node, "data"));
        if new.node.get("data").and_then(Node::as_mapping).is_some_and(|entries| entries.is_empty()) {
            new.node.remove("data");
        }
        unite_data(new, "binaryData", texts(&old.node, "binaryData"));
    }
    new.set_name(&old.name());
    new.set_namespace(&old.namespace());
    new.needs_hash &= old.needs_hash;
    new.formers.clone_from(&old.formers);
    new.prefixes.clone_from(&old.prefixes);
    new.suffixes.clone_from(&old.suffixes);
    new.variables.clone_from(&old.variables);
    new.transformations.clone_from(&old.transformations);
    if behavior == Behavior::Merge && old.build_origin.is_some() {
        new.build_origin.clone_from(&old.build_origin);
    }
    Ok(())
}

/// The plain texts of a Secret become data when another one is merged with it: each must be a text.
fn check_plain(secret: &Resource) -> Result<(), Error> {
    let Some(plain) = secret.node.get("stringData").filter(|plain| !plain.is_null()) else { return Ok(()) };
    let refused =
        |at: &Node, found: String| Err(Error::at(at, Problem::PlainData { id: secret.id().to_string(), found }));
    let Some(entries) = plain.as_mapping() else { return refused(plain, format!("found {}", plain.describe())) };
    if let Some(entry) = entries.iter().find(|entry| !entry.value.is_scalar() || entry.is_under("")) {
        let key = entry.name().unwrap_or_default();
        return refused(&entry.value, format!("found {} under `{key}`", entry.value.describe()));
    }
    match secret.node.get("data").filter(|data| !data.is_mapping() && !data.is_null()) {
        Some(data) if !entries.is_empty() => refused(data, format!("`data` is {}", data.describe())),
        _ => Ok(()),
    }
}

fn texts(node: &Node, field: &str) -> Vec<(SmolStr, SmolStr)> {
    let entries = node.get(field).and_then(Node::as_mapping).unwrap_or_default();
    let text = |value: &Node| if value.is_null() { SmolStr::default() } else { written_text(value) };
    entries.iter().filter_map(|entry| Some((entry.name()?.into(), text(&entry.value)))).collect()
}

/// Adds data that the new object does not have itself.
fn unite_data(new: &mut Resource, field: &str, old: Vec<(SmolStr, SmolStr)>) {
    if old.is_empty() {
        return;
    }
    let Some(data) = mapping_at(&mut new.node, field).and_then(Node::as_mapping_mut) else { return };
    let known: std::collections::HashSet<SmolStr> =
        data.iter().filter_map(|entry| entry.name().map(Into::into)).collect();
    let added = old.into_iter().filter(|(key, _)| !known.contains(key));
    data.extend(added.map(|(key, value)| datum(key, Node::string(value))));
}
