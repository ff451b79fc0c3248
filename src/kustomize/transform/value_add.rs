//! `ValueAddTransformer`: puts one value into fields of many objects, or into the paths of files that they hold.

use smol_str::SmolStr;

use super::namespace::{Namespace, Subjects};
use crate::kustomize::entry::Selector;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{split, untyped, write_text};
use crate::kustomize::selector::Matcher;
use crate::kustomize::set::Set;
use crate::yaml::Node;

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
            let path = split(&target.field_path);
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
            let last = at + 1 == path.len();
            if place.is_null() {
                // kustomize makes the field, but nobody holds it.
                return Ok(());
            }
            if !place.is_mapping() {
                return Err(wrong(place, target, "a mapping"));
            }
            let made = || if last { untyped("") } else { Node::mapping() };
            let Some(next) = place.get_or_insert_with(part.clone(), made) else { return Ok(()) };
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
