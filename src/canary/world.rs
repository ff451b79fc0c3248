//! What a decision is made of besides settings and record: what the cluster, the router, the metrics and the hooks say.
//!
//! The shell fills a [`World`] from its watches and keeps the [`Answers`] to what the machine asked; it judges nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use smol_str::SmolStr;

use super::settings::TargetKind;
use super::{Revision, Split, Weight};
use crate::api::flagger::HookType;

/// What was seen at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// The target.
    pub target: Sighting,
    /// `<target>-primary`, when it exists.
    pub primary: Option<Workload>,
    /// Generated objects that are there as they should be.
    pub standing: BTreeSet<Part>,
    /// What the router does.
    pub route: Route,
    /// What was answered to the questions of this record.
    pub answers: Answers,
    /// What a person wants.
    pub wish: Option<Wish>,
    /// The Canary is being deleted.
    pub is_deleted: bool,
    /// Another, older canary has this target.
    pub claimed_by: Option<SmolStr>,
    /// The least replicas of the target's scaler.
    pub scaler_minimum: Option<u32>,
}

/// What was seen of the target.
#[derive(Clone, Debug, PartialEq)]
pub enum Sighting {
    /// It, or a config that it needs, cannot be seen; the sentence is what is told.
    Unseen(String),
    /// As it is.
    Seen(Target),
}

/// The target as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The version that git wants.
    pub revision: Revision,
    /// Checksums of what it reads, by `configmap/NAME` and `secret/NAME`.
    pub configs: BTreeMap<String, String>,
    /// `spec.replicas` as git has it: the primary's when nothing scales it.
    pub wanted_replicas: u32,
    /// As the cluster has it.
    pub workload: Workload,
}

/// A workload as the cluster has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The version it was made from; `None` when it is not known.
    pub revision: Option<Revision>,
    /// `spec.replicas`; for a DaemonSet 0 or 1.
    pub replicas: u32,
    /// How far its roll-out is.
    pub rollout: Rollout,
    /// Ready endpoints of its Service.
    pub endpoints: u32,
}

/// How far a roll-out is, as the workload's status says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// The status is about the newest spec.
    pub is_observed: bool,
    /// Pods that should be.
    pub desired: u32,
    /// Pods of the newest template.
    pub updated: u32,
    /// All pods.
    pub total: u32,
    /// Pods that are available.
    pub available: u32,
    /// The workload's controller has given up.
    pub is_overdue: bool,
}

impl Rollout {
    /// That many pods, all of the newest template and available.
    pub fn complete(pods: u32) -> Self {
        Rollout { is_observed: true, desired: pods, updated: pods, total: pods, available: pods, is_overdue: false }
    }

    /// What is missing, in Flagger's words; nothing when it is ready.
    pub fn missing(&self, kind: TargetKind, threshold: Weight) -> Option<String> {
        if !kind.is_scaled() {
            return None;
        }
        let enough = |pods: u32| u64::from(pods) * u64::from(threshold.percent()) / 100;
        let (word, of) = match kind {
            TargetKind::DaemonSet => ("daemonset", self.desired),
            _ => ("deployment", self.updated),
        };
        let what = if !self.is_observed {
            format!("observed {word} generation less than desired generation")
        } else if self.updated < self.desired {
            format!("{} out of {} new replicas have been updated", self.updated, self.desired)
        } else if kind != TargetKind::DaemonSet && self.total > self.updated {
            format!("{} old replicas are pending termination", self.total - self.updated)
        } else if u64::from(self.available) < enough(of) {
            format!("{} of {of} (readyThreshold {threshold}%) updated replicas are available", self.available)
        } else {
            return None;
        };
        Some(format!("waiting for rollout to finish: {what}"))
    }
}

/// A generated object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The Services `-canary` and `-primary`.
    Services,
    /// The scaler of the primary.
    PrimaryScaler,
    /// The apex Service leads to the primary.
    Apex,
}

/// What the router does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// There is no route yet.
    Absent,
    /// It cannot be read or written.
    Unavailable(RouterProblem),
    /// As it stands.
    Set(Split),
}

/// Why a route cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouterProblem {
    /// Its kind is not installed.
    Missing(String),
    /// What it hangs on does not take it.
    NotAccepted(String),
    /// The API server refuses, or does not answer.
    Failing(String),
}

/// What a person wants, by the annotation `canary.leeboard.dev/action`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What.
    pub what: WishKind,
    /// Who; empty when it is not known.
    pub by: SmolStr,
}

/// What a person can want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WishKind {
    /// End the run, go back.
    Abort,
    /// Pass the pause or the gate that is waited for.
    Promote,
    /// Promote now, whatever is left to be checked.
    PromoteFully,
    /// Try the failed version again.
    Retry,
    /// Hold the weight; the checks go on.
    Pause,
    /// No longer.
    Resume,
}

impl WishKind {
    /// Every word of the annotation with its meaning.
    pub const ALL: [(&'static str, WishKind); 6] = [
        ("abort", WishKind::Abort),
        ("promote", WishKind::Promote),
        ("promote-full", WishKind::PromoteFully),
        ("retry", WishKind::Retry),
        ("pause", WishKind::Pause),
        ("resume", WishKind::Resume),
    ];

    /// Reads the annotation's value.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, wish)| *wish)
    }

    /// The annotation's value.
    pub fn as_str(self) -> &'static str {
        match self {
            WishKind::Abort => "abort",
            WishKind::Promote => "promote",
            WishKind::PromoteFully => "promote-full",
            WishKind::Retry => "retry",
            WishKind::Pause => "pause",
            WishKind::Resume => "resume",
        }
    }
}

/// What the machine wants to know from outside the cluster.
///
/// The number is that of the check: together with checksum and moment it makes a call that is repeated after a crash
/// the same call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// Call this hook.
    Hook {
        /// When.
        moment: HookType,
        /// Its name.
        name: SmolStr,
        /// Which check.
        check: u32,
    },
    /// Measure metrics.
    Metrics {
        /// Of which version.
        of: Side,
        /// Which check, or after how many checks.
        check: u32,
        /// Which of the settings' metrics, counted from 0; the readings come in this order.
        which: Vec<usize>,
    },
}

/// One of the two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The target.
    Canary,
    /// Its primary.
    Primary,
}

/// What was answered. The shell drops it as soon as a decision asks nothing more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Of hooks.
    pub hooks: BTreeMap<Question, HookAnswer>,
    /// Of metrics: as many as were asked for, in their order.
    pub metrics: BTreeMap<Question, Vec<Reading>>,
}

/// What a hook said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookAnswer {
    /// Any 2xx.
    Passed,
    /// Anything else, and no answer at all; the body, or what went wrong.
    Refused(String),
}

/// What a metric's provider said.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// A number.
    Value(f64),
    /// Nothing, or not a number.
    NoData(String),
    /// The query failed.
    Error(String),
    /// An alert fires; its name.
    Firing(String),
}

impl World {
    /// Nothing was seen yet.
    pub fn unseen(why: &str) -> Self {
        World {
            target: Sighting::Unseen(why.to_owned()),
            primary: None,
            standing: BTreeSet::new(),
            route: Route::Absent,
            answers: Answers::default(),
            wish: None,
            is_deleted: false,
            claimed_by: None,
            scaler_minimum: None,
        }
    }
}

/// A time after another; the later one of what time allows.
pub(super) fn after(time: Timestamp, wait: std::time::Duration) -> Timestamp {
    let wait = jiff::SignedDuration::try_from(wait).unwrap_or(jiff::SignedDuration::MAX);
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_flaggers_words() {
        let half = Weight::new(50).unwrap();
        let ready = Rollout::complete(4);
        let cases = [
            // kind, roll-out, threshold, what is missing
            (TargetKind::Deployment, ready.clone(), Weight::ALL, None),
            (
                TargetKind::Deployment,
                Rollout { is_observed: false, ..ready.clone() },
                Weight::ALL,
                Some("observed deployment generation less than desired generation"),
            ),
            (
                TargetKind::DaemonSet,
                Rollout { is_observed: false, ..ready.clone() },
                Weight::ALL,
                Some("observed daemonset generation less than desired generation"),
            ),
            (
                TargetKind::Deployment,
                Rollout { updated: 1, ..ready.clone() },
                Weight::ALL,
                Some("1 out of 4 new replicas have been updated"),
            ),
            (
                TargetKind::Deployment,
                Rollout { total: 6, ..ready.clone() },
                Weight::ALL,
                Some("2 old replicas are pending termination"),
            ),
            (
                TargetKind::Deployment,
                Rollout { available: 2, ..ready.clone() },
                Weight::ALL,
                Some("2 of 4 (readyThreshold 100%) updated replicas are available"),
            ),
            (TargetKind::Deployment, Rollout { available: 2, ..ready.clone() }, half, None),
            (
                TargetKind::Deployment,
                Rollout { available: 1, ..ready.clone() },
                half,
                Some("1 of 4 (readyThreshold 50%) updated replicas are available"),
            ),
            (TargetKind::DaemonSet, Rollout { total: 6, ..ready.clone() }, Weight::ALL, None),
            (TargetKind::Service, Rollout::default(), Weight::ALL, None),
        ];
        for (kind, rollout, threshold, expected) in cases {
            let expected = expected.map(|text| format!("waiting for rollout to finish: {text}"));
            assert_eq!(rollout.missing(kind, threshold), expected, "{kind:?} {rollout:?}");
        }
    }

    #[test]
    fn every_wish_is_written_as_it_is_read() {
        for (word, wish) in WishKind::ALL {
            assert_eq!((WishKind::parse(word), wish.as_str()), (Some(wish), word));
        }
    }
}
