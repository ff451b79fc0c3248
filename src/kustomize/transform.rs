//! What changes objects: one file per transformer.

pub(super) mod images;
pub(super) mod labels;
pub(super) mod name;
pub(super) mod namespace;
mod part;
pub(super) mod path;
pub(super) mod references;
pub(super) mod replacements;
pub(super) mod replicas;
mod restyled;
mod shape;
pub(super) mod specs;
mod structured;
pub(super) mod value_add;
pub(super) mod variables;

use smol_str::SmolStr;

use super::entry::{FieldSpec, Image, Replacement, Replica};
use super::error::Error;
use super::patch::Prepared;
use super::patch::schema::Schemas;
use super::set::Set;
use name::Affix;
use namespace::Namespace;
use value_add::ValueAdd;

/// Anything that changes objects, with all that it needs to know.
#[derive(Clone, Debug)]
pub(super) enum Transformer {
    Patches(Vec<Prepared>),
    Namespace(Namespace),
    Affix(Affix, SmolStr, Vec<FieldSpec>),
    /// Labels or annotations.
    Marks(Vec<(SmolStr, SmolStr)>, Vec<FieldSpec>),
    Replicas(Replica, Vec<FieldSpec>),
    Image(Image, Vec<FieldSpec>),
    Replacements(Vec<Replacement>),
    ValueAdd(ValueAdd),
    Hash,
}

impl Transformer {
    /// True when it looks at the schema of some object.
    pub(super) fn asks_for_schema(&self, set: &Set) -> bool {
        match self {
            Transformer::Patches(patches) => patches.iter().any(|patch| patch.asks_for_schema(set)),
            _ => false,
        }
    }

    /// Changes the objects, on so many threads where there are many.
    ///
    /// # Errors
    /// All problems that it meets where it can go on, else the first one.
    pub(super) fn apply(&self, set: &mut Set, schemas: &Schemas, workers: usize) -> Result<(), Vec<Error>> {
        let one = |error| vec![error];
        match self {
            Transformer::Patches(patches) => {
                let applied = patches.iter().map(|patch| patch.apply(set, schemas));
                let errors: Vec<Error> = applied.filter_map(Result::err).flatten().collect();
                if errors.is_empty() { Ok(()) } else { Err(errors) }
            }
            Transformer::Namespace(namespace) => namespace.apply(set).map_err(one),
            Transformer::Affix(affix, text, specs) => name::apply(set, *affix, text, specs).map_err(one),
            Transformer::Marks(pairs, specs) => labels::apply(set, pairs, specs, workers).map_err(one),
            Transformer::Replicas(replica, specs) => replicas::apply(set, replica, specs).map_err(one),
            Transformer::Image(image, specs) => images::apply(set, image, specs).map_err(one),
            Transformer::Replacements(replacements) => replacements::apply(set, replacements).map_err(one),
            Transformer::ValueAdd(value_add) => value_add.apply(set).map_err(one),
            Transformer::Hash => super::generate::hash::apply(set),
        }
    }
}
