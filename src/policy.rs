//! What admission policies would say to an object.
//!
//! **In:** ValidatingAdmissionPolicies and their bindings, as a cluster has them or as git wants them; a [`Request`] that
//! a sync would make; what stands around it ([`Surroundings`]). **Out:** [`Verdict`]s, worded as the API server words
//! them. **May not:** do I/O, read a clock, work without end, or let anything pass of which it does not know what the API
//! server would say: that is a verdict too.
//!
//! A policy that a stranger has written is evaluated before anybody has read it. It gets so many steps and no more, and it
//! learns nothing of the cluster ([`Trust`]): its messages are shown to whoever reads the pull request.
//!
//! Semantics: Kubernetes' page "Validating Admission Policy", and the answers of a real API server (`tests/policies`).
//! Read [`admission`], [`matching`], [`judge`]; [`cel`] is the language.

pub mod admission;
pub mod cel;
pub mod judge;
pub mod kinds;
mod matching;
pub mod surroundings;

#[cfg(test)]
mod tests;

use serde_json::Value;
use smol_str::SmolStr;

use crate::object::ObjectKey;

pub use self::admission::{Policies, Trust};
pub use self::surroundings::{Surroundings, Wanted};

/// What a sync would ask the API server for.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What is done.
    pub operation: Operation,
    /// To which object.
    pub key: &'a ObjectKey,
    /// The version part of its API version.
    pub version: &'a str,
    /// The name of its kind in URLs.
    pub plural: &'a str,
    /// As it will be; nothing for a deletion.
    pub object: Option<&'a Value>,
    /// As it is; nothing for a creation.
    pub old: Option<&'a Value>,
    /// Whether the object is as the API server has made it, or as it was written.
    pub form: Form,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is not there yet.
    Create,
    /// It is there.
    Update,
    /// It goes.
    Delete,
}

impl Operation {
    /// As rules name it.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
        }
    }
}

/// How much of an object is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All: the API server has added what it adds.
    Complete,
    /// What was written: a field that is missing may be set by then.
    Written,
}

/// What a policy says to a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verdict {
    /// The policy.
    pub policy: SmolStr,
    /// What puts it in force.
    pub binding: SmolStr,
    /// Who wrote it.
    pub trust: Trust,
    /// What follows.
    pub says: Says,
    /// In words.
    pub message: String,
    /// Whether these words were made from what the request holds.
    pub is_computed: bool,
}

/// What follows from a policy, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Says {
    /// The API server refuses it.
    Denies,
    /// Nobody can tell before the merge.
    Unknown,
    /// The API server takes it, with a warning.
    Warns,
    /// It is written into the API server's audit log.
    Audits,
}
