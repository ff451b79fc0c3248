//! Field paths with dots, as replacements and variables write them: `spec.containers.[name=web].image`.

use regex::Regex;
use smol_str::SmolStr;

use crate::kustomize::place::untyped;
use crate::pattern::translated;
use crate::yaml::{Content, Entry, Node, Resolve, Sequence};

/// The parts of a path. Dots in a name are written `\.`, or the name in brackets.
pub(in crate::kustomize) fn split(text: &str) -> Vec<SmolStr> {
    let mut raw: Vec<String> = Vec::new();
    let mut pieces = text.split('.');
    raw.extend(pieces.next().map(Into::into));
    for piece in pieces {
        match raw.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push('.');
                last.push_str(piece);
            }
            _ => raw.push(piece.into()),
        }
    }
    if raw.len() > 1 && raw.first().is_some_and(String::is_empty) {
        raw.remove(0);
    }
    let mut parts = Vec::with_capacity(raw.len());
    let mut raw = raw.into_iter();
    while let Some(mut part) = raw.next() {
        if part.starts_with('[') && !part.ends_with(']') {
            for piece in raw.by_ref() {
                part.push('.');
                part.push_str(&piece);
                if piece.ends_with(']') {
                    break;
                }
            }
            if !part.contains('=') {
                part = part.trim_matches(['[', ']']).to_owned();
            }
        }
        parts.push(part.into());
    }
    parts
}

/// The parts of a path to where a value comes from: blanks around them are none of them, nor is nothing.
pub(in crate::kustomize) fn split_source(text: &str) -> impl Iterator<Item = SmolStr> {
    split(text).into_iter().map(|part| part.trim().into()).filter(|part: &SmolStr| !part.is_empty())
}

/// One part of a path.
#[derive(Clone, Debug)]
pub(in crate::kustomize) enum Step {
    Field(SmolStr),
    /// The element with this number.
    Index(usize),
    /// `*`: all elements.
    All,
    /// `[name=web]`: the elements in which the field matches; without a name, the scalars that do.
    Where {
        field: SmolStr,
        value: SmolStr,
        pattern: Box<Regex>,
    },
}

impl Step {
    /// `None` when a part in brackets holds no regular expression.
    pub(in crate::kustomize) fn new(text: &str) -> Option<Self> {
        if let Some(Ok(at)) = number(text).map(usize::try_from) {
            return Some(Step::Index(at));
        }
        if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            let (field, value) = inner.split_once('=')?;
            let pattern = Box::new(Regex::new(&translated(value).ok()?).ok()?);
            return Some(Step::Where { field: field.into(), value: value.into(), pattern });
        }
        Some(if text == "*" { Step::All } else { Step::Field(text.into()) })
    }
}

/// A part that is a number, as Go reads it: with a sign, and with zeros in front. What Go can't hold is none.
fn number(part: &str) -> Option<i64> {
    part.parse().ok()
}

/// What is made on the way.
#[derive(Clone, Copy)]
pub(in crate::kustomize) enum Create<'a> {
    Nothing,
    /// Everything; the last field is of the kind of this value.
    Like(&'a Node),
}

/// Whether a path leads anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kustomize) enum Lookup {
    Found,
    Missing,
    /// It can't: an index beyond the end, a name in a list …
    Wrong,
}

/// The node at the end of a path without wildcards.
pub(in crate::kustomize) fn look_up<'a>(node: &'a Node, path: &[SmolStr]) -> Option<&'a Node> {
    path.iter().try_fold(node, |node, part| step_down(node, part).map(|(below, _)| below))
}

/// The same path with the numbers of elements in the place of what they hold, which may change.
pub(in crate::kustomize) fn by_number(node: &Node, path: &[SmolStr]) -> Option<Vec<SmolStr>> {
    let mut node = node;
    let numbered = path.iter().map(|part| {
        let (below, at) = step_down(node, part)?;
        node = below;
        Some(at.map_or_else(|| part.clone(), |at| smol_str::format_smolstr!("{at}")))
    });
    numbered.collect()
}

/// What one part of a path leads to, and its number if it is an element.
fn step_down<'a>(node: &'a Node, part: &SmolStr) -> Option<(&'a Node, Option<usize>)> {
    let element = |at: usize| node.as_sequence()?.get(at).map(|element| (element, Some(at)));
    if let Some(at) = number(part) {
        return element(usize::try_from(at).ok()?);
    }
    match Step::new(part)? {
        Step::All => None,
        Step::Where { field, value, .. } => element(node.as_sequence()?.iter().position(|element| {
            let found = if field.is_empty() { Some(element) } else { element.get(&field) };
            found.and_then(Node::as_str) == Some(&value)
        })?),
        _ if part == "-" => element(node.as_sequence()?.len().checked_sub(1)?),
        _ => node.get(part).filter(|node| !node.is_null()).map(|below| (below, None)),
    }
}

/// Calls `change` on every node to which the path leads.
pub(in crate::kustomize) fn visit(
    node: &mut Node,
    steps: &[Step],
    create: Create<'_>,
    change: &mut dyn FnMut(&mut Node),
) -> Lookup {
    let Some((step, rest)) = steps.split_first() else {
        change(node);
        return Lookup::Found;
    };
    match step {
        Step::Field(name) => visit_field(node, name, rest, create, change),
        Step::Index(at) => {
            let Some(items) = node.as_sequence_mut() else { return Lookup::Wrong };
            if items.len() == *at
                && let Create::Like(value) = create
            {
                items.push(made_for(rest.first(), value));
            }
            match items.get_mut(*at) {
                Some(item) => visit(item, rest, create, change),
                None => Lookup::Wrong,
            }
        }
        Step::All => {
            let Some(items) = node.as_sequence_mut() else { return Lookup::Wrong };
            combine(items.iter_mut().map(|item| visit(item, rest, create, change)))
        }
        Step::Where { field, value, pattern } => {
            let Some(items) = node.as_sequence_mut() else { return Lookup::Wrong };
            let matching = |items: &mut Vec<Node>, change: &mut dyn FnMut(&mut Node)| {
                combine(items.iter_mut().filter(|item| is_match(item, field, pattern)).map(|item| {
                    if field.is_empty() {
                        change(item);
                        Lookup::Found
                    } else {
                        visit(item, rest, create, change)
                    }
                }))
            };
            match (matching(items, change), create) {
                (Lookup::Missing, Create::Like(_)) => {
                    let made = if field.is_empty() {
                        untyped(value.clone())
                    } else {
                        Node::mapping_of(vec![Entry::plain(field.clone(), untyped(value.clone()))])
                    };
                    if !is_match(&made, field, pattern) {
                        return Lookup::Wrong;
                    }
                    items.push(made);
                    matching(items, change)
                }
                (found, _) => found,
            }
        }
    }
}

fn visit_field(
    node: &mut Node,
    name: &SmolStr,
    rest: &[Step],
    create: Create<'_>,
    change: &mut dyn FnMut(&mut Node),
) -> Lookup {
    if node.is_null() {
        return Lookup::Missing;
    }
    if !node.is_mapping() {
        return Lookup::Wrong;
    }
    if node.get(name).is_none()
        && let Create::Like(value) = create
        && let Some(entries) = node.as_mapping_mut()
    {
        // The key gets no quotes, whatever it reads as.
        entries.push(Entry::plain(name.clone(), made_for(rest.first(), value)));
    }
    match node.get_mut(name) {
        // Who wants to make fields below a null that is written makes none, and is not told.
        Some(found) if found.is_null() && !rest.is_empty() => match create {
            Create::Like(_) if !found.is_unwritten() => Lookup::Found,
            _ => Lookup::Missing,
        },
        Some(found) => visit(found, rest, create, change),
        None => Lookup::Missing,
    }
}

/// An empty node of the kind that the next step needs.
fn made_for(next: Option<&Step>, value: &Node) -> Node {
    match next {
        // A list of all elements is made as a mapping, and then has none: kustomize refuses it, and so does who visits it.
        Some(Step::Field(_) | Step::All) => Node::mapping(),
        Some(_) => Node::new(Content::Sequence(Sequence::default())),
        None => match &value.content {
            Content::Scalar(_) => untyped(""),
            Content::Sequence(_) => Node::new(Content::Sequence(Sequence::default())),
            Content::Mapping(_) => Node::mapping(),
        },
    }
}

fn is_match(item: &Node, field: &str, pattern: &Regex) -> bool {
    let found = if field.is_empty() { Some(item) } else { item.get(field) };
    let text = found.and_then(|node| match node.as_str() {
        Some(text) => Some(text.trim().to_owned()),
        None => node.to_value(Resolve::V3).ok().map(|value| value.to_string()),
    });
    text.is_some_and(|text| pattern.is_match(&text))
}

fn combine(found: impl Iterator<Item = Lookup>) -> Lookup {
    let mut combined = Lookup::Missing;
    for one in found {
        match one {
            Lookup::Wrong => return Lookup::Wrong,
            Lookup::Found => combined = Lookup::Found,
            Lookup::Missing => {}
        }
    }
    combined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_dots_that_mean_it() {
        let cases = [
            // path, parts
            ("spec.template", vec!["spec", "template"]),
            ("metadata.annotations.a\\.b/c", vec!["metadata", "annotations", "a.b/c"]),
            ("metadata.labels.[a.b/c]", vec!["metadata", "labels", "a.b/c"]),
            ("spec.containers.[name=a.b].image", vec!["spec", "containers", "[name=a.b]", "image"]),
            ("spec.list.0", vec!["spec", "list", "0"]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
