//! Merging: in which way, and what came of it.

use crate::git::Oid;

/// In which way a pull request becomes part of its base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// A commit with two parents.
    #[default]
    Merge,
    /// One commit with all changes.
    Squash,
    /// Its commits again, on top.
    Rebase,
    /// The branch is moved, nothing is made.
    FastForward,
}

/// What came of an attempt to merge. A refusal is no error: it has a reason that a person can do something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It is merged, now or before.
    Done {
        /// What the base became by it, when the forge tells.
        commit: Option<Oid>,
    },
    /// Somebody has pushed since: this head is not to be merged.
    HeadMoved,
    /// The forge does not know yet whether it can.
    NotYet {
        /// In the forge's words.
        said: String,
    },
    /// The forge does not merge it: a rule, a conflict, a missing right.
    Refused {
        /// In the forge's words.
        said: String,
    },
    /// This forge does not know that way.
    NotOffered,
}
