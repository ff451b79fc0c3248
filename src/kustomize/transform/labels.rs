//! `labels`, `commonLabels` and `commonAnnotations`: pairs that are set wherever the field specs say.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::in_order;
use crate::kustomize::entry::FieldSpec;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{Make, Place, Written, write_mark};
use crate::kustomize::resource::Resource;
use crate::kustomize::set::Set;
use crate::yaml::Node;

/// Sets the pairs, on so many threads.
///
/// # Errors
/// When a field spec leads to something that is no mapping.
pub(in crate::kustomize) fn apply(
    set: &mut Set,
    pairs: &[(SmolStr, SmolStr)],
    specs: &[FieldSpec],
    workers: usize,
) -> Result<(), Error> {
    if pairs.is_empty() {
        return Ok(());
    }
    let places = Place::all(specs);
    let marked = in_order::map_mut(workers, set.shared_mut(), |resource| {
        Arc::make_mut(resource).change_shared(None, |resource| mark(resource, pairs, &places).map(|()| true))
    });
    marked.into_iter().try_for_each(|marked| marked.map(drop))
}

fn mark(resource: &mut Resource, pairs: &[(SmolStr, SmolStr)], places: &[Place]) -> Result<(), Error> {
    let gvk = resource.gvk();
    if places.iter().any(|place| place.parts().starts_with(&["metadata".into(), "annotations".into()])) {
        resource.make_room_for_notes();
    }
    let mut made: Vec<Vec<Vec<SmolStr>>> = vec![Vec::new(); pairs.len()];
    for place in places.iter().filter(|place| gvk.is_selected_by(&place.spec.gvk)) {
        let mut written: Vec<Vec<Written>> = Vec::new();
        // In a null everything gets lost but annotations: kustomize looks for its notes there, and finds them.
        let may_be_null = place.parts() == ["metadata", "annotations"];
        place.visit(&mut resource.node, Make::Mapping, &mut |node| {
            if node.is_null() && !may_be_null {
                return Ok(());
            }
            if node.is_null() {
                *node = Node::mapping();
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
            written.push(pairs.iter().map(|(key, value)| write_mark(node, key, value)).collect());
            Ok(())
        })?;
        let mut paths = Vec::with_capacity(written.len());
        mappings_at(&resource.node, place.parts(), &mut Vec::new(), &mut paths);
        for (path, written) in paths.iter().zip(written) {
            for (((key, _), made), written) in pairs.iter().zip(&mut made).zip(written) {
                if written == Written::Made {
                    made.push(path.iter().chain([key]).cloned().collect());
                }
            }
        }
    }
    for mut places in made {
        places.sort();
        places.dedup();
        if places.len() > 1 {
            resource.shared.push(places);
        }
    }
    Ok(())
}

/// The paths of the mappings to which a field spec leads, places in lists included, in the order of its visits.
fn mappings_at(node: &Node, parts: &[SmolStr], path: &mut Vec<SmolStr>, found: &mut Vec<Vec<SmolStr>>) {
    let Some((part, rest)) = parts.split_first() else {
        if node.is_mapping() {
            found.push(path.clone());
        }
        return;
    };
    if let Some(items) = node.as_sequence() {
        for (at, item) in items.iter().enumerate() {
            path.push(at.to_string().into());
            mappings_at(item, parts, path, found);
            path.pop();
        }
    } else if let Some(below) = node.get(part.strip_suffix("[]").unwrap_or(part)) {
        path.push(part.strip_suffix("[]").unwrap_or(part).into());
        mappings_at(below, rest, path, found);
        path.pop();
    }
}
