//! `ValueAddTransformer`: puts one value into fields of many objects, or into the paths of files that they hold.

use smol_str::SmolStr;

use super::namespace::{Namespace, Subjects};
use crate::kustomize::entry::Selector;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{Step, split, untyped, write_text};
use crate::kustomize::selector::Matcher;
use crate::kustomize::set::Set;
use crate::yaml::{Entry, Node, push_entry};

/// A value and the fields that it goes to.
#[derive(Clone, Debug)]
pub(in crate::kustomize) struct ValueAdd {
    pub(in crate::kustomize) value: SmolStr,
    pub(in crate::kustomize) targets: Vec<Target>,
}

/// A field of some objects.
#[derive(Clone, Debug)]
pub(in crate::kustomize) struct Target {
    pub(in crate::kustomize) selector: Option<Selector>,
    pub(in crate::kustomize) field_path: SmolStr,
    /// Counted from 1: which part of the file's path the value becomes; 0 when it replaces all of it.
    pub(in crate::kustomize) file_path_position: i64,
}

impl ValueAdd {
    /// # Errors
    /// When a field is no scalar.
    pub(in crate::kustomize) fn apply(&self, set: &mut Set) -> Result<(), Error> {
        for target in &self.targets {
            let matcher = target.selector.as_ref().map(Matcher::new).transpose()?;
            let selected: Vec<usize> = match &matcher {
                Some(matcher) => matcher.select(set)?,
                None => (0..set.iter().len()).collect(),
            };
            let namespace = Namespace {
                namespace: self.value.clone(),
                specs: Vec::new(),
                subjects: Subjects::Default,
                unset_only: false,
            };
            // Blanks and nothing name no field.
            let path: Vec<SmolStr> =
                split(&target.field_path).into_iter().filter(|part| !part.trim().is_empty()).collect();
            for at in selected {
                let Some(resource) = set.one_mut(at) else { continue };
                if target.field_path == "metadata/namespace" {
                    namespace.apply_to(resource, &[])?;
                } else {
                    resource.make_room_for_notes();
                    self.write(&mut resource.node, &path, target)?;
                }
            }
        }
        Ok(())
    }

    fn write(&self, node: &mut Node, path: &[SmolStr], target: &Target) -> Result<(), Error> {
        let mut place = node;
        for (at, part) in path.iter().enumerate() {
            if place.is_null() {
                // kustomize makes the field, but nobody holds it.
                return Ok(());
            }
            let next = match Step::new(part) {
                Step::Stay | Step::Nameless => Some(place),
                Step::Element => element(place, part, target)?,
                Step::Field(name) => field(place, name, path.get(at + 1), target)?,
            };
            // There is no such element.
            let Some(next) = next else { return Ok(()) };
            place = next;
        }
        if !place.is_scalar() {
            return Err(wrong(place, target, "a scalar"));
        }
        let value = match usize::try_from(target.file_path_position) {
            Ok(position) if position > 0 => {
                inserted(place.as_str().filter(|_| !place.is_null()).unwrap_or_default(), position - 1, &self.value)
            }
            _ => self.value.to_string(),
        };
        write_text(place, value);
        Ok(())
    }
}

/// The field of a mapping, which is made for what follows in the path when it is missing.
fn field<'a>(
    place: &'a mut Node,
    name: &str,
    next: Option<&SmolStr>,
    target: &Target,
) -> Result<Option<&'a mut Node>, Error> {
    if !place.is_mapping() {
        return Err(wrong(place, target, "a mapping"));
    }
    let Some(entries) = place.as_mapping_mut() else { return Ok(None) };
    let at = entries.iter().position(|entry| entry.is_under(name)).unwrap_or_else(|| {
        push_entry(entries, Entry::plain(name, made_for(next)));
        entries.len() - 1
    });
    Ok(entries.get_mut(at).map(|entry| &mut entry.value))
}

/// What is made of a field that is missing, by what follows in the path.
fn made_for(next: Option<&SmolStr>) -> Node {
    match next.map(|part| part.trim()) {
        None => untyped(""),
        // Only what stands in a list by its number or by what it holds makes one of it.
        Some(part) if part.starts_with('[') || part.parse::<i64>().is_ok() => Node::sequence(Vec::new()),
        Some(_) => Node::mapping(),
    }
}

/// The element of a list that a part of the path means; `None` beyond the end.
fn element<'a>(place: &'a mut Node, part: &str, target: &Target) -> Result<Option<&'a mut Node>, Error> {
    match place.as_sequence_mut().and_then(|items| position(items, part.trim())) {
        None => Err(wrong(place, target, "a list with such an element")),
        Some(at) => Ok(place.as_sequence_mut().and_then(|items| items.get_mut(at))),
    }
}

/// The number of that element, which is made when it is to hold something and there is none that does.
fn position(items: &mut Vec<Node>, part: &str) -> Option<usize> {
    if let Ok(number) = part.parse::<i64>() {
        return usize::try_from(number).ok();
    }
    if part == "-" {
        return items.len().checked_sub(1);
    }
    let (field, value) = part.strip_prefix('[')?.strip_suffix(']')?.split_once('=')?;
    let holds = |item: &Node| {
        if field.is_empty() {
            item.as_str() == Some(value)
        } else {
            item.get(field).and_then(Node::as_str) == Some(value)
        }
    };
    let found = items.iter().position(holds);
    Some(found.unwrap_or_else(|| {
        items.push(if field.is_empty() {
            untyped(value)
        } else {
            Node::mapping_of(vec![Entry::plain(field, untyped(value))])
        });
        items.len() - 1
    }))
}

fn wrong(node: &Node, target: &Target, expected: &'static str) -> Error {
    let problem = Problem::FieldKind {
        field: target.field_path.to_string(),
        of: "the object".into(),
        found: node.describe(),
        expected,
    };
    Error::at(node, problem)
}

/// The path of a file with one more part; an absolute one stays absolute.
fn inserted(path: &str, position: usize, part: &str) -> String {
    let (root, path) = path.strip_prefix('/').map_or(("", path), |path| ("/", path));
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.insert(position.min(parts.len()), part);
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_put_into_a_path() {
        let cases = [
            // path, position, result
            ("", 0, "PEACH"),
            ("/", 0, "/PEACH"),
            ("pie", 0, "PEACH/pie"),
            ("/pie", 0, "/PEACH/pie"),
            ("/raw", 1, "/raw/PEACH"),
            ("a/nice/warm/pie", 3, "a/nice/warm/PEACH/pie"),
            ("a/b", 99, "a/b/PEACH"),
        ];
        for (path, position, expected) in cases {
            assert_eq!(inserted(path, position, "PEACH"), expected, "{path} {position}");
        }
    }
}
