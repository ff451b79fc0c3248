//! [`Review`]s of a pull request, and the [`Permission`] that an account has.

use jiff::Timestamp;

use super::pull::Account;
use crate::git::Oid;

/// What somebody has made of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Who.
    pub author: Account,
    /// What.
    pub verdict: Verdict,
    /// The head that was looked at, when the forge tells: an approval without one says nothing of later pushes.
    pub commit: Option<Oid>,
    /// The forge says that there was a push since, or that the review was taken back.
    pub is_stale: bool,
    /// When, if the forge tells.
    pub submitted: Option<Timestamp>,
}

/// The word of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be merged.
    Approved,
    /// It may not, as it is.
    ChangesRequested,
    /// Neither.
    Commented,
}

/// What an account may do with a repository, from nothing up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Nothing, or no more than everybody.
    None,
    /// Read it.
    Read,
    /// Push to it.
    Write,
    /// Change its settings.
    Admin,
}
