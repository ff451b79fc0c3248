//! `replacements`: copies a value from a field of one object into fields of others.

use smol_str::SmolStr;

use crate::kustomize::entry::{Replacement, ReplacementSource, ReplacementTarget, Selector};
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::untyped;
use crate::kustomize::resource::{Gvk, Id, Resource, count, depth, text_length};
use crate::kustomize::selector::Matcher;
use crate::kustomize::set::Set;
use crate::kustomize::transform::path::{self, Lookup, Step};
use crate::kustomize::transform::{part, structured};
use crate::yaml::{Content, Node};

/// Where a value comes from, and where it goes when no field is given.
const DEFAULT_FIELD: &str = "metadata.name";

/// How large a copied value may be.
const MAX_VALUES: usize = 10_000;

/// How much text may be written by one list of replacements, and read and written again inside of texts.
const MAX_TEXT: usize = 256 << 20;

/// How deep an object may get by copying.
const MAX_DEPTH: usize = 500;

/// Copies all values, one replacement after the other.
///
/// # Errors
/// When a source is missing or ambiguous, or a target has no such field.
pub(in crate::kustomize) fn apply(set: &mut Set, replacements: &[Replacement]) -> Result<(), Error> {
    let mut budget = MAX_TEXT;
    for replacement in replacements {
        let mut value = value(set, replacement)?;
        // Each could double the object that it copies from and into.
        if count(&value.node) > MAX_VALUES {
            return Err(Error::at(&replacement.at, Problem::TooManyValues { limit: MAX_VALUES }));
        }
        for target in &replacement.targets {
            copy(set, &mut value, target, &mut budget)?;
        }
    }
    Ok(())
}

/// A value to be copied.
struct Copied {
    node: Node,
    /// The object and the field that it comes from, as a whole: kustomize copies what stands there when it does.
    lives_in: Option<(usize, Vec<SmolStr>)>,
}

fn value(set: &Set, replacement: &Replacement) -> Result<Copied, Error> {
    let at = &replacement.at;
    if replacement.targets.is_empty() {
        return Err(Error::at(at, Problem::MissingField { field: "targets", of: "a replacement" }));
    }
    match (&replacement.source, &replacement.source_value) {
        (Some(_), Some(_)) => Err(Error::at(at, Problem::Exclusive { one: "source", other: "sourceValue" })),
        (None, None) => Err(Error::at(at, Problem::OneOf { one: "source", other: "sourceValue", of: "a replacement" })),
        (None, Some(text)) => Ok(Copied { node: untyped(text.value.clone()), lives_in: None }),
        (Some(source), None) => from_source(set, source, at),
    }
}

fn from_source(set: &Set, source: &ReplacementSource, at: &Node) -> Result<Copied, Error> {
    let at = source.selector.at.as_ref().unwrap_or(at);
    check_formers(set, at)?;
    let selects = |id: &Id| {
        let wanted = &source.selector;
        id.gvk.is_selected_by(&wanted.gvk)
            && (wanted.name.is_empty() || wanted.name == id.name)
            && (wanted.namespace.is_empty() || wanted.namespace == id.effective_namespace())
    };
    let found: Vec<(usize, &Resource)> =
        set.iter().enumerate().filter(|(_, resource)| resource.ids().any(|id| selects(&id))).collect();
    let described = || described(&source.selector.gvk, &source.selector.name);
    let (number, resource) = match found.as_slice() {
        [found] => *found,
        [] => {
            let candidates = set.candidates(&source.selector.gvk.kind);
            return Err(Error::at(at, Problem::NoSource { selector: described(), candidates }));
        }
        several => {
            let candidates = several.iter().map(|(_, resource)| resource.id().to_string()).collect();
            return Err(Error::at(at, Problem::ManySources { selector: described(), candidates }));
        }
    };
    let text = if source.field_path.is_empty() { DEFAULT_FIELD } else { &source.field_path };
    let steps: Vec<SmolStr> = path::split_source(text).collect();
    let missing = || Error::at(at, Problem::NoField { path: text.to_owned(), of: resource.id().to_string() });
    let node = path::look_up(&resource.node, &steps).ok_or_else(missing)?;
    let empty = match &node.content {
        Content::Scalar(_) => node.is_null(),
        Content::Sequence(sequence) => sequence.items.is_empty(),
        Content::Mapping(mapping) => mapping.entries.is_empty(),
    };
    if empty {
        return Err(missing());
    }
    let lives_in = if source.options.delimiter.is_empty() { path::by_number(&resource.node, &steps) } else { None };
    let lives_in = lives_in.map(|steps| (number, steps));
    Ok(Copied { node: part::read(node, &source.options, at)?, lives_in })
}

/// kustomize asks each object what it was called.
fn check_formers(set: &Set, at: &Node) -> Result<(), Error> {
    match set.iter().find(|resource| !resource.is_sure_of_formers()) {
        Some(resource) => Err(Error::at(at, Problem::UnsureFormers { id: resource.id().to_string() })),
        None => Ok(()),
    }
}

fn described(gvk: &Gvk, name: &SmolStr) -> String {
    if name.is_empty() { gvk.to_string() } else { format!("{gvk} `{name}`") }
}

fn copy(set: &mut Set, value: &mut Copied, target: &ReplacementTarget, budget: &mut usize) -> Result<(), Error> {
    let Some(select) = &target.select else {
        return Err(Error::at(&target.at, Problem::MissingField { field: "select", of: "a target" }));
    };
    let select = Matcher::new(select)?;
    let rejects = target.reject.iter().map(Matcher::new).collect::<Result<Vec<Matcher>, Error>>()?;
    let default = [(SmolStr::new_static(DEFAULT_FIELD), &target.at)];
    let written: Vec<(SmolStr, &Node)> =
        target.field_paths.iter().map(|path| (path.value.clone(), &path.node)).collect();
    let paths = if written.is_empty() { default.to_vec() } else { written };
    let paths: Vec<(SmolStr, Vec<SmolStr>, &Node)> =
        paths.into_iter().map(|(text, at)| (text.clone(), path::split(&text), at)).collect();
    check_formers(set, &target.at)?;
    let mut selected = Vec::new();
    for (at, resource) in set.iter().enumerate() {
        let ids: Vec<Id> = resource.ids().collect();
        if select.selects_marks(resource)?
            && !is_rejected(resource, &ids, &target.reject, &rejects)?
            && ids.iter().any(|id| select.selects_id(id))
        {
            selected.push(at);
        }
    }
    for at in selected {
        let Some(resource) = set.one_mut(at) else { continue };
        let own_field = value.lives_in.as_ref().filter(|(source, _)| *source == at).map(|(_, steps)| steps.as_slice());
        resource.change_shared(None, |resource| {
            copy_into(resource, &mut value.node, own_field, target, &paths, budget).map(|()| true)
        })?;
    }
    Ok(())
}

fn is_rejected(resource: &Resource, ids: &[Id], rejects: &[Selector], matchers: &[Matcher]) -> Result<bool, Error> {
    for (reject, matcher) in rejects.iter().zip(matchers) {
        let by_marks = !(reject.labels.is_empty() && reject.annotations.is_empty());
        let by_id = !(reject.gvk == Gvk::default() && reject.name.is_empty() && reject.namespace.is_empty());
        if (by_marks && matcher.selects_marks(resource)?) || (by_id && ids.iter().any(|id| matcher.selects_id(id))) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Fields as they were written, in parts, and where they were written.
type Paths<'a> = [(SmolStr, Vec<SmolStr>, &'a Node)];

/// `own_field`: where the value comes from, when that is the same object.
fn copy_into(
    resource: &mut Resource,
    value: &mut Node,
    own_field: Option<&[SmolStr]>,
    target: &ReplacementTarget,
    paths: &Paths<'_>,
    budget: &mut usize,
) -> Result<(), Error> {
    resource.make_room_for_notes();
    let source = value;
    for (text, steps, written) in paths {
        let value = &*source;
        let too_much = || Error::at(written, Problem::TooMuchText { limit: MAX_TEXT });
        *budget = budget.checked_sub(text_length(value)).ok_or_else(too_much)?;
        if steps.len() + depth(value) > MAX_DEPTH {
            return Err(Error::at(written, Problem::TooNested { limit: MAX_DEPTH }));
        }
        if structured::write(&mut resource.node, steps, value, &target.options, budget).ok_or_else(too_much)? {
            refresh(source, resource, own_field);
            continue;
        }
        let missing = |resource: &Resource| {
            Error::at(written, Problem::NoField { path: text.to_string(), of: resource.id().to_string() })
        };
        let create = if target.options.create { path::Create::Like(value) } else { path::Create::Nothing };
        let steps: Option<Vec<Step>> = steps.iter().map(|step| Step::new(step)).collect();
        let Some(steps) = steps else {
            return Err(Error::at(written, Problem::FieldPath { path: text.to_string() }));
        };
        let mut failure = None;
        // What the path leads to may be where the value comes from: the next place gets what has become of it.
        let own = own_field.and_then(|steps| path::look_up(&resource.node, steps)).map(std::ptr::from_ref);
        let mut changed = None;
        let mut change = |node: &mut Node| {
            if failure.is_none() {
                let value = changed.as_ref().unwrap_or(value);
                failure = part::write(node, value, &target.options, written).err();
                if own.is_some_and(|own| std::ptr::eq(own, &*node)) {
                    changed = Some(node.clone());
                }
                // A part that is written makes a new text of the whole field.
                let length = if target.options.delimiter.is_empty() { 0 } else { text_length(node) };
                match budget.checked_sub(length) {
                    Some(left) => *budget = left,
                    None => failure = Some(too_much()),
                }
            }
        };
        let found = path::visit(&mut resource.node, &steps, create, &mut change);
        if let Some(error) = failure {
            return Err(error);
        }
        if found != Lookup::Found {
            return Err(missing(resource));
        }
        refresh(source, resource, own_field);
    }
    Ok(())
}

/// Takes the value anew: what is copied later is what the field of its source has become.
fn refresh(value: &mut Node, resource: &Resource, own_field: Option<&[SmolStr]>) {
    if let Some(now) = own_field.and_then(|steps| path::look_up(&resource.node, steps)) {
        value.clone_from(now);
    }
}
