//! `namePrefix` and `nameSuffix`.

use smol_str::{SmolStr, format_smolstr};

use crate::kustomize::entry::FieldSpec;
use crate::kustomize::error::Error;
use crate::kustomize::place::{Make, Place, check_scalar, write_text};
use crate::kustomize::resource::{Gvk, Resource};
use crate::kustomize::set::Set;

/// Where the text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kustomize) enum Affix {
    Prefix,
    Suffix,
}

/// Kinds whose names other systems or clusters give.
fn keeps_its_name(gvk: &Gvk) -> bool {
    match gvk.kind.as_str() {
        "CustomResourceDefinition" | "Namespace" => true,
        "APIService" => gvk.group == "apiregistration.k8s.io",
        _ => false,
    }
}

/// Adds the text to the name of each object.
///
/// # Errors
/// When a field spec leads into something that can't hold text.
pub(in crate::kustomize) fn apply(
    set: &mut Set,
    affix: Affix,
    text: &SmolStr,
    specs: &[FieldSpec],
) -> Result<(), Error> {
    let places = Place::all(specs);
    for resource in set.all_mut() {
        let id = resource.original_id();
        if keeps_its_name(&id.gvk) {
            continue;
        }
        for place in places.iter().filter(|place| id.gvk.is_selected_by(&place.spec.gvk)) {
            if place.spec.path == "metadata/name" {
                note(resource, affix, text);
            }
            // A patch may have made another kind of it.
            if !resource.gvk().is_selected_by(&place.spec.gvk) {
                continue;
            }
            place.visit(&mut resource.node, Make::Scalar, &mut |node| {
                check_scalar(node, &place.spec.path, &id.gvk)?;
                let old = node.as_str().unwrap_or_default();
                let new = match affix {
                    Affix::Prefix => format_smolstr!("{text}{old}"),
                    Affix::Suffix => format_smolstr!("{old}{text}"),
                };
                write_text(node, new);
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn note(resource: &mut Resource, affix: Affix, text: &SmolStr) {
    if text.is_empty() {
        return;
    }
    match affix {
        Affix::Prefix => resource.prefixes.push(text.clone()),
        Affix::Suffix => resource.suffixes.push(text.clone()),
    }
    resource.remember_id();
}
