//! Marks stand for objects where their names would be most of what is remembered.

use std::hash::{BuildHasher as _, RandomState};

use crate::object::ObjectKey;

/// Stands for an object, and perhaps for another one too.
pub(super) type Mark = u64;

/// Makes marks; those of two makers are not comparable.
#[derive(Default)]
pub(super) struct Marks(RandomState);

impl Marks {
    pub(super) fn of(&self, object: &ObjectKey) -> Mark {
        self.0.hash_one(object)
    }
}
