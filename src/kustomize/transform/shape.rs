//! What stands where references may be, in a build in which no name has changed: nothing is to be rewritten there, but
//! an object through which the paths don't lead is refused all the same.

use hashbrown::HashMap;
use smol_str::SmolStr;

use super::specs::Specs;
use crate::in_order;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{Place, Step};
use crate::kustomize::resource::Gvk;
use crate::kustomize::set::Set;
use crate::yaml::Node;

/// Looks at objects that are still called what they were written as, on so many threads.
///
/// # Errors
/// Every object that has a scalar where a reference is looked for below it, a reference without a name, or a path
/// to a field without one.
pub(super) fn check(set: &Set, specs: &Specs, workers: usize) -> Result<(), Vec<Error>> {
    let mut shapes: HashMap<Gvk, Shape> = HashMap::new();
    for resource in set.iter() {
        shapes.entry(resource.gvk()).or_insert_with_key(|kind| Shape::of(kind, specs));
    }
    let checked = in_order::map_small(workers, set.shared(), |resource| match shapes.get(&resource.gvk()) {
        Some(shape) if !shape.below.is_empty() => shape.check(&resource.node, &mut Vec::new()).err(),
        _ => None,
    });
    let errors: Vec<Error> = checked.into_iter().flatten().collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// All paths of one kind at once, so that each field is looked at once.
#[derive(Default)]
struct Shape {
    is_reference: bool,
    below: Vec<(SmolStr, Shape)>,
}

impl Shape {
    fn of(kind: &Gvk, specs: &Specs) -> Self {
        let mut shape = Shape::default();
        let from = specs.references.iter().flat_map(|references| &references.from);
        for spec in from.filter(|spec| kind.is_selected_by(&spec.gvk)) {
            shape.add(Place::new(spec).parts());
        }
        shape
    }

    fn add(&mut self, parts: &[SmolStr]) {
        let Some((part, rest)) = parts.split_first() else {
            self.is_reference = true;
            return;
        };
        let part = part.strip_suffix("[]").unwrap_or(part);
        let part = match Step::new(part) {
            Step::Field(name) => name,
            Step::Stay => return self.add(rest),
            Step::Element | Step::Nameless => part,
        };
        let at = self.below.iter().position(|(known, _)| known == part).unwrap_or_else(|| {
            self.below.push((part.into(), Shape::default()));
            self.below.len() - 1
        });
        if let Some((_, shape)) = self.below.get_mut(at) {
            shape.add(rest);
        }
    }

    fn check<'a>(&'a self, node: &Node, way: &mut Vec<&'a str>) -> Result<(), Error> {
        let is_end = self.below.is_empty() && node.is_scalar();
        if is_end || node.is_null() {
            return Ok(());
        }
        if let Some(items) = node.as_sequence() {
            return items.iter().try_for_each(|item| self.check(item, way));
        }
        if self.is_reference && node.is_mapping() && node.get("name").is_none_or(|name| !name.is_scalar()) {
            return Err(Error::at(node, Problem::MissingField { field: "name", of: "a reference" }));
        }
        if node.is_scalar() {
            let (field, of) = (way.join("/"), "the object".into());
            let problem = Problem::FieldKind { field, of, found: "a scalar", expected: "a mapping or a list" };
            return Err(Error::at(node, problem));
        }
        for (name, shape) in &self.below {
            let path = || way.iter().copied().chain([name.as_str()]).collect::<Vec<&str>>().join("/");
            match Step::new(name) {
                Step::Nameless => return Err(Error::at(node, Problem::FieldName { path: path() })),
                Step::Element => return Err(Error::at(node, Problem::FieldElement { path: path() })),
                Step::Field(_) | Step::Stay => {}
            }
            if let Some(value) = node.get(name) {
                way.push(name);
                shape.check(value, way)?;
                way.pop();
            }
        }
        Ok(())
    }
}
