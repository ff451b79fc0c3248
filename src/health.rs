//! Is an object healthy: one verdict from what it says of itself.
//!
//! **In:** a live object as JSON. **Out:** a [`Verdict`], or nothing for kinds that have no health.
//! **May not:** do I/O, read a clock. Rules: Argo CD 3.x for built-in kinds, kstatus for all others (SEMANTICS d).

use std::fmt;

/// From best to worst; an application is as healthy as its worst object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Does what it should.
    Healthy,
    /// Paused by a person.
    Suspended,
    /// On its way.
    Progressing,
    /// Not in the cluster.
    Missing,
    /// Failed, and won't get better by waiting.
    Degraded,
    /// Could not be judged.
    Unknown,
}

impl Health {
    /// The word of Argo CD's status fields.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Healthy => "Healthy",
            Health::Suspended => "Suspended",
            Health::Progressing => "Progressing",
            Health::Missing => "Missing",
            Health::Degraded => "Degraded",
            Health::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an object is, and the sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The state.
    pub status: Health,
    /// Empty when there is nothing to add.
    pub message: Box<str>,
}
