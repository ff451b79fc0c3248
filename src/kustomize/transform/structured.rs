//! A replacement whose path goes on inside of a text that is JSON or YAML itself.

use smol_str::SmolStr;

use super::part;
use super::path::{self, Create, Lookup, Step};
use super::restyled;
use crate::kustomize::entry::FieldOptions;
use crate::kustomize::go_json;
use crate::yaml::{self, Node, Resolve, Span};

/// How much dearer it is to read a text and write it again than to copy it.
const COST: usize = 8;

/// Writes the value inside of a text; `false` when the path leads through no text that could hold it, `None` when
/// `budget` has too few bytes left for such texts: each is read and written again for each field in it.
pub(super) fn write(
    node: &mut Node,
    steps: &[SmolStr],
    value: &Node,
    options: &FieldOptions,
    budget: &mut usize,
) -> Option<bool> {
    let mut is_spent = false;
    let found = (1..steps.len()).find_map(|length| {
        let (outer, inner) = steps.split_at_checked(length)?;
        let text = path::look_up(node, outer)?.as_scalar()?.text.clone();
        match budget.checked_sub(text.len().saturating_mul(COST)) {
            Some(left) => *budget = left,
            None => {
                is_spent = true;
                return None;
            }
        }
        let document = yaml::parse(&"text".into(), text.as_bytes()).ok()?.into_iter().next()?;
        Some((outer.to_vec(), inner.to_vec(), text, document.root))
    });
    if is_spent {
        return None;
    }
    Some(found.is_some_and(|found| write_inside(node, found, value, options)))
}

/// The way to a text, the way inside of it, the text, and what it holds.
type Found = (Vec<SmolStr>, Vec<SmolStr>, SmolStr, Node);

fn write_inside(node: &mut Node, found: Found, value: &Node, options: &FieldOptions) -> bool {
    let (outer, inner, text, mut document) = found;
    let Some(steps) = inner.iter().map(|step| Step::new(step)).collect::<Option<Vec<Step>>>() else { return false };
    let create = if options.create { Create::Like(value) } else { Create::Nothing };
    let mut written = true;
    let at = value.clone();
    let mut changes = Vec::new();
    let mut change = |node: &mut Node| {
        let span = node.text().is_some().then(|| node.span());
        written &= part::write(node, value, options, &at).is_ok();
        changes.push((span, node.as_str().map(SmolStr::new)));
    };
    if path::visit(&mut document, &steps, create, &mut change) != Lookup::Found || !written {
        return false;
    }
    let Some(text) = serialise(&document, &text, &changes) else { return false };
    let Some(steps) = outer.iter().map(|step| Step::new(step)).collect::<Option<Vec<Step>>>() else { return false };
    path::visit(node, &steps, Create::Nothing, &mut |node| part::set_text(node, text.as_str().into())) == Lookup::Found
}

/// The text again in the form that it had: JSON stays JSON, indented if it was. In YAML only the fields change, so that
/// comments stay; the final line break goes.
fn serialise(document: &Node, original: &str, changes: &[(Option<Span>, Option<SmolStr>)]) -> Option<String> {
    if original.trim_start().starts_with(['{', '[']) {
        let value = document.to_value(Resolve::V3).ok()?;
        if original.contains('\n') && original.contains("  ") {
            return Some(go_json::indented(&value));
        }
        let mut text = String::new();
        go_json::push(&mut text, &value);
        return Some(text);
    }
    if let Some(text) = restyled::to_string(document, original) {
        return Some(text.trim().to_owned());
    }
    let mut text = original.to_owned();
    let mut spans = Vec::with_capacity(changes.len());
    for (span, new) in changes {
        match (span, new) {
            (Some(span), Some(new)) if span.end > span.start => {
                spans.push((span.start as usize, span.end as usize, new))
            }
            _ => return Some(yaml::emit::to_string(&document.to_value(Resolve::V3).ok()?).trim().to_owned()),
        }
    }
    spans.sort_by_key(|(start, ..)| std::cmp::Reverse(*start));
    for (start, end, new) in spans {
        let old = text.get(start..end)?.trim_end_matches('\n');
        let end = start + old.len();
        if new.contains('\n') {
            let (column, line_end) = place_of_value(&text, start, end)?;
            let block = restyled::block(new, column, text.get(end..line_end)?);
            text.replace_range(start..line_end, &block);
            continue;
        }
        let quote = old.chars().next().filter(|first| matches!(first, '"' | '\''));
        let new = quote.map_or_else(|| new.to_string(), |quote| format!("{quote}{new}{quote}"));
        text.replace_range(start..end, &new);
    }
    Some(text.trim().to_owned())
}

/// The column of the key or dash that a value stands behind, and where its last line ends; `None` in braces.
fn place_of_value(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let line = text.get(..start)?.rsplit('\n').next()?;
    let behind_dashes = line.trim_start_matches([' ', '-']);
    let front = line.len() - behind_dashes.len();
    let column = if behind_dashes.is_empty() { front.checked_sub("- ".len())? } else { front };
    let line_end = text.get(end..)?.find('\n').map_or(text.len(), |length| end + length);
    let behind = text.get(end..line_end)?.trim_start();
    let is_alone = behind.is_empty() || behind.starts_with('#');
    (is_alone && !line.contains(['[', '{', '|', '>']) && !text.get(start..end)?.contains('\n'))
        .then_some((column, line_end))
}
