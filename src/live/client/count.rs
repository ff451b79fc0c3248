//! How many requests were made, by what they ask for.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a request asks for, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// One object, or discovery.
    Get,
    /// Many objects.
    List,
    /// Changes of many objects.
    Watch,
    /// Server-side apply.
    Apply,
    /// Server-side apply that changes nothing.
    DryRun,
    /// A new object.
    Create,
    /// A whole object in place of another.
    Update,
    /// A merge or JSON patch.
    Patch,
    /// One object's end.
    Delete,
}

impl Verb {
    /// All of them.
    pub const ALL: [Verb; 9] = [
        Verb::Get,
        Verb::List,
        Verb::Watch,
        Verb::Apply,
        Verb::DryRun,
        Verb::Create,
        Verb::Update,
        Verb::Patch,
        Verb::Delete,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Apply => "apply",
            Verb::DryRun => "dry_run",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
        }
    }
}

/// How many requests were made, by verb.
#[derive(Debug, Default)]
pub struct RequestCounts {
    pub(super) made: [AtomicU64; Verb::ALL.len()],
    pub(super) failed: [AtomicU64; Verb::ALL.len()],
}

impl RequestCounts {
    /// Requests that left, tries again included.
    pub fn made(&self, verb: Verb) -> u64 {
        self.made[verb as usize].load(Ordering::Relaxed)
    }

    /// Of those, the ones that did not succeed.
    pub fn failed(&self, verb: Verb) -> u64 {
        self.failed[verb as usize].load(Ordering::Relaxed)
    }
}
