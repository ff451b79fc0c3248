//! What a render looked at: valid until something of it changes.

use std::collections::BTreeMap;

use super::TreePath;

/// Paths with what was seen there, absences included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSet {
    /// By path; the value is the object id of what was there, or `None` when nothing was.
    pub seen: BTreeMap<TreePath, Option<[u8; 20]>>,
}

/// A [`Files`](super::Files) that records what is asked of another.
pub struct Recording;
