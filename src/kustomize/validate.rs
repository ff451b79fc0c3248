//! `validators`: transformers that may refuse objects but not change them.

use super::error::{Error, Problem};
use super::patch::schema::Schemas;
use super::resource::Resource;
use super::set::Set;
use super::transform::Transformer;
use crate::yaml::Resolve;

/// By this label a validator may say that it has seen an object.
const SEEN: &str = "validated-by";

/// Runs a validator on a copy of the objects.
///
/// # Errors
/// Its own, and when it changes an object.
pub(super) fn run(validator: &Transformer, set: &Set, schemas: &Schemas) -> Result<(), Vec<Error>> {
    let mut checked = set.clone();
    validator.apply(&mut checked, schemas, 1)?;
    for resource in checked.bodies_mut(|_| true) {
        let labels = resource.node.get_mut("metadata").and_then(|metadata| metadata.get_mut("labels"));
        if let Some(labels) = labels {
            labels.remove(SEEN);
        }
    }
    let changed = set.iter().zip(checked.iter()).find(|(before, after)| !is_same(before, after));
    let at = match changed {
        Some((before, _)) => Some(before),
        None if set.iter().len() != checked.iter().len() => set.iter().next(),
        None => None,
    };
    match at {
        Some(at) => Err(vec![Error::at(&at.node, Problem::ValidatorChanges { id: at.id().to_string() })]),
        None => Ok(()),
    }
}

/// A patch makes objects remember what they were called: for kustomize that is a change too.
fn is_same(before: &Resource, after: &Resource) -> bool {
    before.formers == after.formers
        && before.prefixes == after.prefixes
        && before.suffixes == after.suffixes
        && before.node.to_value(Resolve::V3) == after.node.to_value(Resolve::V3)
}
