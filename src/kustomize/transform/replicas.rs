//! `replicas`: sets the number of replicas of what is called so.

use smol_str::SmolStr;

use crate::kustomize::entry::{FieldSpec, Replica};
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{Make, Place, check_scalar, is_quoted, write_text};
use crate::kustomize::resource::Resource;
use crate::kustomize::set::Set;

/// Sets the count in every object of the name, whatever its kind.
///
/// # Errors
/// When nothing is called so.
pub(in crate::kustomize) fn apply(set: &mut Set, replica: &Replica, specs: &[FieldSpec]) -> Result<(), Error> {
    let mut found = false;
    for place in &Place::all(specs) {
        let is_called = |resource: &Resource| {
            resource.ids().any(|id| id.name == replica.name && id.gvk.is_selected_by(&place.spec.gvk))
        };
        for resource in set.bodies_mut(is_called) {
            found = true;
            let gvk = resource.gvk();
            if gvk.is_selected_by(&place.spec.gvk) {
                place.visit(&mut resource.node, Make::Scalar, &mut |node| {
                    check_scalar(node, &place.spec.path, &gvk)?;
                    // What was in quotes stays in quotes, number or not.
                    write_text(node, smol_str::format_smolstr!("{}", replica.count));
                    node.set_tag((!is_quoted(node)).then_some(SmolStr::new_static("!!int")));
                    Ok(())
                })?;
            }
        }
    }
    if found {
        return Ok(());
    }
    let kinds = specs.iter().map(|spec| spec.gvk.to_string()).collect::<Vec<String>>().join(", ");
    Err(Error::at(&replica.at, Problem::NoReplicas { name: replica.name.clone(), kinds }))
}
