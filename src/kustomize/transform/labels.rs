//! `labels`, `commonLabels` and `commonAnnotations`: pairs that are set wherever the field specs say.

use smol_str::SmolStr;

use crate::kustomize::entry::FieldSpec;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{Make, Place, Written, write_mark};
use crate::kustomize::resource::Resource;
use crate::kustomize::set::Set;

/// Sets the pairs.
///
/// # Errors
/// When a field spec leads to something that is no mapping.
pub(in crate::kustomize) fn apply(
    set: &mut Set,
    pairs: &[(SmolStr, SmolStr)],
    specs: &[FieldSpec],
) -> Result<(), Error> {
    if pairs.is_empty() {
        return Ok(());
    }
    let places = Place::all(specs);
    for resource in set.bodies_mut() {
        resource.change_shared(None, |resource| mark(resource, pairs, &places).map(|()| true))?;
    }
    Ok(())
}

fn mark(resource: &mut Resource, pairs: &[(SmolStr, SmolStr)], places: &[Place]) -> Result<(), Error> {
    let gvk = resource.gvk();
    let mut made: Vec<Vec<Vec<SmolStr>>> = vec![Vec::new(); pairs.len()];
    for place in places.iter().filter(|place| gvk.is_selected_by(&place.spec.gvk)) {
        place.visit(&mut resource.node, Make::Mapping, &mut |node| {
            if node.is_null() {
                return Ok(());
            }
            if !node.is_mapping() {
                let problem = Problem::FieldKind {
                    field: place.spec.path.to_string(),
                    of: gvk.to_string(),
                    found: node.describe(),
                    expected: "a mapping",
                };
                return Err(Error::at(node, problem));
            }
            for ((key, value), made) in pairs.iter().zip(&mut made) {
                if write_mark(node, key, value) == Written::Made {
                    made.push(place.parts().iter().chain([key]).cloned().collect());
                }
            }
            Ok(())
        })?;
    }
    for mut places in made {
        // Places inside of lists have no such path.
        places.retain(|path| path.iter().try_fold(&resource.node, |node, part| node.get(part)).is_some());
        places.sort();
        places.dedup();
        if places.len() > 1 {
            resource.shared.push(places);
        }
    }
    Ok(())
}
