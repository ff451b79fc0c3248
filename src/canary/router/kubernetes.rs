//! Plain Kubernetes: Services only, for blue/green. No traffic reaches the canary before it is promoted.
//!
//! Writes nothing. Cannot: weights, A/B, mirror.

use super::{Abilities, Error, Kind, Router, Split, Subject};
use crate::object::{Object, ObjectKey};

/// See the module.
pub(super) struct Kubernetes;

impl Router for Kubernetes {
    fn needs(&self) -> &'static [Kind] {
        &[]
    }

    fn abilities(&self) -> Abilities {
        Abilities::WEIGHTS_ONLY
    }

    fn reads(&self, _: &Subject<'_>) -> Vec<ObjectKey> {
        Vec::new()
    }

    fn objects(&self, _: &Subject<'_>, _: Split, _: &[Object]) -> Result<Vec<Object>, Error> {
        Ok(Vec::new())
    }

    /// As Flagger counts it: a run with iterations is one whose canary has been tried.
    fn split(&self, subject: &Subject<'_>, _: &[Object]) -> Result<Split, Error> {
        let iterations = subject.canary.status.as_ref().map_or(0, |status| status.iterations);
        Ok(if iterations > 0 { Split::CANARY_ONLY } else { Split::PRIMARY_ONLY })
    }
}
