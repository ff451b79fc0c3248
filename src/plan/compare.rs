//! One verdict per object: is it in the cluster as git wants it.
//!
//! No request and no body is needed: the last apply is remembered as two hashes ([`Baseline`]), and the live view's
//! record has the hash of the fields that are ours as they are now. Where nothing is remembered, one dry run tells.

use crate::api::argo::SyncStatus;
use crate::health::Verdict;
use crate::live::Record;
use crate::object::ObjectKey;

use smol_str::SmolStr;

use super::{Other, Wave, Why};

/// What is remembered of an object's last apply or dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// An apply went through, or a dry run showed that it would change nothing.
    Applied {
        /// The content hash of what was applied.
        desired: u64,
        /// [`Record::projection`] of what the API server answered.
        projection: u64,
    },
    /// A dry run showed that an apply of this content would change the object, or was refused.
    Differs {
        /// The content hash of what was tried.
        desired: u64,
    },
}

/// One line of `status.resources`.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Which object.
    pub key: ObjectKey,
    /// The version part of its API version.
    pub version: SmolStr,
    /// `Unknown` until a dry run tells.
    pub status: SyncStatus,
    /// Why so.
    pub why: Why,
    /// It has gone from git, and is still there.
    pub requires_pruning: bool,
    /// It has gone from git, and a person has to approve its deletion.
    pub requires_confirmation: bool,
    /// In which wave.
    pub wave: Wave,
    /// As the live view has it; `None` where there is no health, or nothing live.
    pub health: Option<Verdict>,
    /// Whether anything of it is live.
    pub is_live: bool,
    /// False when its difference is not the application's (`IgnoreExtraneous`).
    pub counts: bool,
    /// False when its health is not the application's (`ignore-healthcheck`).
    pub health_counts: bool,
}

/// Compares one object that git wants with what is live.
pub(super) fn why(
    hash: u64,
    live: Option<&Record>,
    baseline: Option<&Baseline>,
    other: Option<&Other>,
    application: &SmolStr,
) -> Why {
    let tracked_by = live.and_then(|record| record.tracking.as_ref().filter(|tracking| tracking.is_of(&record.key)));
    let holder = match tracked_by {
        Some(tracking) if tracking.application == *application => None,
        Some(tracking) => Some(&tracking.application),
        None => other.filter(|other| other.holds).map(|other| &other.application),
    };
    if let Some(holder) = holder {
        let contested = other.is_some_and(|other| other.wants && other.application == *holder);
        return if contested { Why::Shared(holder.clone()) } else { Why::TransferredFrom(holder.clone()) };
    }
    let Some(live) = live else { return Why::NotLive };
    match (baseline, live.projection) {
        (Some(Baseline::Applied { desired, .. } | Baseline::Differs { desired }), _) if *desired != hash => {
            Why::ManifestChanged
        }
        (_, None) => Why::OwnershipLost,
        (None, Some(_)) => Why::Unproven,
        (Some(Baseline::Differs { .. }), Some(_)) => Why::Differs,
        (Some(Baseline::Applied { projection, .. }), Some(now)) if *projection != now => Why::Drifted,
        (Some(Baseline::Applied { .. }), Some(_)) => Why::InSync,
    }
}

impl Why {
    /// The word of `status.resources`.
    pub(super) fn status(&self) -> SyncStatus {
        match self {
            Why::InSync => SyncStatus::Synced,
            Why::Unproven => SyncStatus::Unknown,
            _ => SyncStatus::OutOfSync,
        }
    }
}
