//! What is remembered of a canary between two decisions: enough to go on at the same step after a crash.
//!
//! Kept in the annotation [`ANNOTATION`], since Flagger's schema drops fields of a status that it does not know; what
//! Flagger's clients read of it is made by [`status`](super::status).

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Revision, Split};
use crate::api::flagger::CanaryStatus;

/// The annotation that holds the record.
pub const ANNOTATION: &str = "canary.leeboard.dev/run";

/// Longest text that a record keeps of what others said: it must fit into an annotation, several times.
const LONGEST_TEXT: usize = 300;

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Where it stands.
    pub state: State,
    /// When its phase last changed.
    pub changed: Timestamp,
    /// Where requests are to go.
    pub route: WantedRoute,
    /// Of the run under way, or of the last one.
    #[serde(default, skip_serializing_if = "Cookies::is_unset")]
    pub cookies: Cookies,
    /// What the primary had before what it has now, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Revision>,
    /// The wait that was told last: it is not told again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub told: String,
    /// It was suspended when it was last looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_suspended: bool,
    /// Checksums of the configs of the version tried last; kept in the status.
    #[serde(skip)]
    pub configs: BTreeMap<String, String>,
}

/// Where requests are to go, and whether the route was seen to say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedRoute {
    /// Where.
    pub split: Split,
    /// The route has said so since: if it says otherwise now, someone else wrote it.
    pub is_confirmed: bool,
}

/// `name=value` of the cookies by which clients keep to a version; empty when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cookies {
    /// Leads to the canary.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub canary: String,
    /// Leads to the primary.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub primary: String,
    /// Of the last run; clients that still have it lose it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub previous: String,
}

impl Cookies {
    fn is_unset(&self) -> bool {
        *self == Cookies::default()
    }
}

/// Where a canary stands. Each variant carries what exists only there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// The primary is being made; the target still serves.
    Initializing {
        /// Since when the primary is not ready.
        unready: Option<Timestamp>,
    },
    /// The primary could not be made; the target still serves.
    Stillborn {
        /// Of which version.
        revision: Revision,
        /// Why.
        why: String,
    },
    /// Nothing is being tried.
    Resting(Rest),
    /// A new version waits for approval.
    Waiting(Candidate),
    /// A new version is being tried.
    Analysing(Run),
    /// Traffic goes back to the primary.
    RollingBack(RollBack),
    /// The primary becomes the new version.
    Promoting(Promotion),
    /// Traffic is on the primary, the target is scaled down.
    Finalising(Promotion),
    /// What was promoted is measured on, of the primary.
    Verifying(Run),
    /// It is being deleted, and traffic goes back to the target.
    Terminating,
}

/// The two versions that are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// Tried last.
    pub applied: Revision,
    /// The primary's.
    pub promoted: Revision,
}

/// Nothing is being tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rest {
    /// Tried last, and the primary's.
    pub versions: Versions,
    /// How it came to this.
    pub outcome: Outcome,
    /// What is still to be told about the end of the run.
    #[serde(default)]
    pub farewell: Farewell,
    /// Since when a new version waits for the primary to be ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unready: Option<Timestamp>,
}

/// How it came to rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Nothing was ever tried.
    Initialized,
    /// The last version was promoted.
    Succeeded,
    /// Git went back to a version that the primary had before, and the primary has it again.
    RolledBack,
    /// The last version was rolled back.
    Failed(Why),
    /// The last version was good, and the primary did not come up with it: the canary keeps serving.
    Stranded(String),
}

/// Why a version was rolled back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// Too many checks have failed; the last one.
    Checks(String),
    /// Unready for too long; what was missing.
    Deadline(String),
    /// A hook wanted it.
    Hook(SmolStr),
    /// A person wanted it; empty when it is not known who.
    Aborted(SmolStr),
    /// Git went back to the promoted version: no failure.
    WentBack,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Checks(last) => f.write_str(last),
            Why::Deadline(missing) => write!(f, "not ready in time: {missing}"),
            Why::Hook(name) => write!(f, "the hook {name} asked for it back"),
            Why::Aborted(by) if by.is_empty() => f.write_str("aborted"),
            Why::Aborted(by) => write!(f, "aborted by {by}"),
            Why::WentBack => f.write_str("git went back to the promoted version"),
        }
    }
}

/// What is still to be told about the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Farewell {
    /// The hooks of type post-rollout.
    Owed {
        /// The analysis was skipped.
        skipped: bool,
    },
    /// Nothing.
    #[default]
    Told,
}

/// A new version that waits for approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Which.
    pub revision: Revision,
    /// Tried before it, and the primary's.
    pub versions: Versions,
    /// When approval was asked for last.
    pub since: Timestamp,
    /// How often it was asked for.
    pub check: u32,
}

/// An analysis under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The one that is tried, and the primary's.
    pub versions: Versions,
    /// When it began.
    pub started: Timestamp,
    /// When the last check ended: the next is an interval later.
    pub since: Timestamp,
    /// How many checks have ended.
    pub check: u32,
    /// How many of them failed.
    pub failed_checks: u32,
    /// Passed checks of an A/B or blue/green run.
    pub iterations: u32,
    /// Leeboard's steps that are done.
    #[serde(default)]
    pub step: u32,
    /// What it waits for beyond its checks.
    #[serde(default)]
    pub hold: Hold,
    /// Since when the canary is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unready: Option<Timestamp>,
    /// Since when a metric that must not be missing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<Timestamp>,
    /// A metric's query failed, and nothing was measured since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unanswered: bool,
    /// How many checks in a row were inconclusive.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub inconclusive: u32,
    /// Checks that have passed at a step that counts them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub passed: u32,
    /// How many pods a step wants the canary to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// What is remembered of metrics, by their id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<SmolStr, Measured>,
}

impl Run {
    /// One that begins.
    pub fn new(versions: Versions, now: Timestamp) -> Self {
        Run {
            versions,
            started: now,
            since: now,
            check: 0,
            failed_checks: 0,
            iterations: 0,
            step: 0,
            hold: Hold::Free,
            unready: None,
            silent: None,
            unanswered: false,
            inconclusive: 0,
            passed: 0,
            replicas: None,
            metrics: BTreeMap::new(),
        }
    }
}

/// What is remembered of a metric between two measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Measured {
    /// When it was measured last in the background, or could have been first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Errors of its provider in a row that no check has failed for yet.
    #[serde(skip_serializing_if = "is_zero")]
    pub errors: u32,
    /// What its last measurement in the background left open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

/// Why the weight is held although nothing has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Doubt {
    /// There was no value.
    Silent,
    /// The value was between the bounds.
    Inconclusive,
}

/// What a run waits for beyond its checks, which go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hold {
    /// Nothing.
    #[default]
    Free,
    /// Approval of the promotion.
    Promotion,
    /// A person.
    Paused,
    /// The pause of a step, that began then.
    Step(Timestamp),
}

/// Traffic goes back to the primary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollBack {
    /// The one that was tried, and the primary's.
    pub versions: Versions,
    /// Why.
    pub why: Why,
    /// Of the run.
    pub failed_checks: u32,
    /// Of the run.
    pub iterations: u32,
    /// The primary was changed already: it gets traffic when all of it is what it was.
    pub restores: bool,
    /// Requests on their way to the target.
    #[serde(default)]
    pub drain: Drain,
}

/// What is known of requests on their way to the target once its route is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Drain {
    /// The route is still to be changed.
    #[default]
    Due,
    /// Since then no new ones come.
    Since(Timestamp),
    /// There never were any.
    Needless,
}

/// The primary becomes the new version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// The new one, and the one that the primary had.
    pub versions: Versions,
    /// The last step.
    pub since: Timestamp,
    /// Passed checks of an A/B or blue/green run.
    pub iterations: u32,
    /// The analysis was skipped.
    pub skipped: bool,
    /// The new one is one that the primary had before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub returns: bool,
    /// Requests on their way to the target.
    #[serde(default)]
    pub drain: Drain,
    /// Since when the primary is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unready: Option<Timestamp>,
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the annotation `{ANNOTATION}` cannot be read")]
pub struct Unreadable(#[source] serde_json::Error);

impl Record {
    /// Of a canary that nobody has looked at.
    pub fn new(now: Timestamp) -> Self {
        Record {
            state: State::Initializing { unready: None },
            changed: now,
            route: WantedRoute::default(),
            cookies: Cookies::default(),
            earlier: Vec::new(),
            told: String::new(),
            was_suspended: false,
            configs: BTreeMap::new(),
        }
    }

    /// From the annotation and the status that were written together.
    ///
    /// # Errors
    /// When the annotation is not one of ours.
    pub fn read(annotation: &str, status: &CanaryStatus) -> Result<Self, Unreadable> {
        let mut record: Record = serde_json::from_str(annotation).map_err(Unreadable)?;
        record.configs = status.tracked_configs.clone().unwrap_or_default();
        Ok(record)
    }

    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        // A value of our own types with text keys always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The analysis under way, of either version.
    pub fn run(&self) -> Option<&Run> {
        match &self.state {
            State::Analysing(run) | State::Verifying(run) => Some(run),
            _ => None,
        }
    }

    /// Which versions are known; none before the primary serves.
    pub fn versions(&self) -> Option<&Versions> {
        match &self.state {
            State::Initializing { .. } | State::Stillborn { .. } | State::Terminating => None,
            State::Resting(rest) => Some(&rest.versions),
            State::Waiting(candidate) => Some(&candidate.versions),
            State::Analysing(run) | State::Verifying(run) => Some(&run.versions),
            State::RollingBack(back) => Some(&back.versions),
            State::Promoting(promotion) | State::Finalising(promotion) => Some(&promotion.versions),
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Cuts what others said to what a record can keep.
pub(super) fn short(text: &str) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    let end = (0..=LONGEST_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(short("short"), "short");
        let cut = short(&"é".repeat(LONGEST_TEXT));
        assert!(cut.len() <= LONGEST_TEXT + "…".len() && cut.ends_with("é…"));
    }

    #[test]
    fn the_longest_record_fits_into_an_annotation() {
        let revision = |of: &str| Revision::of(&of.into(), &[("configmap/web".to_owned(), of.to_owned())].into());
        let text = "\"".repeat(LONGEST_TEXT);
        let record = Record {
            state: State::RollingBack(RollBack {
                versions: Versions { applied: revision("B"), promoted: revision("A") },
                why: Why::Checks(short(&text)),
                failed_checks: u32::MAX,
                iterations: u32::MAX,
                restores: true,
                drain: Drain::Since(Timestamp::MAX),
            }),
            told: short(&text),
            cookies: Cookies { canary: "c".repeat(100), primary: "p".repeat(100), previous: "q".repeat(100) },
            ..Record::new(Timestamp::MAX)
        };
        let metric = |number: u32| {
            let measured = Measured { at: Some(Timestamp::MAX), errors: u32::MAX, doubt: Some(Doubt::Inconclusive) };
            (format!("{number:08}").into(), measured)
        };
        let versions = Versions { applied: revision("B"), promoted: revision("A") };
        let earlier = vec![revision("C"); 10];
        let run = Run {
            unready: Some(Timestamp::MAX),
            silent: Some(Timestamp::MAX),
            metrics: (0..20).map(metric).collect(),
            ..Run::new(versions, Timestamp::MAX)
        };
        for record in [Record { state: State::Analysing(run), earlier, ..record.clone() }, record] {
            let annotation = record.to_annotation();
            assert!(annotation.len() < 4096, "{} bytes", annotation.len());
            assert_eq!(Record::read(&annotation, &CanaryStatus::default()).unwrap(), record);
        }
    }

    #[test]
    fn what_an_earlier_leeboard_wrote_is_read() {
        let written = r#"{"state":{"analysing":{"versions":{"applied":{"template":"lb1:b"},"promoted":{"template":"lb1:a"}},
            "started":"2026-11-21T10:00:00Z","since":"2026-11-21T10:01:00Z","check":1,"failedChecks":0,
            "iterations":0,"step":0,"hold":"paused"}},"changed":"2026-11-21T10:00:00Z",
            "route":{"split":{"canary":20,"mirrored":false},"is_confirmed":true}}"#;
        let record = Record::read(written, &CanaryStatus::default()).unwrap();
        let State::Analysing(run) = record.state else { panic!("{record:?}") };
        assert_eq!((run.hold, run.check, run.metrics.len()), (Hold::Paused, 1, 0));
    }

    #[test]
    fn what_another_wrote_is_no_record() {
        let error = Record::read("{\"state\":1}", &CanaryStatus::default()).unwrap_err();
        assert_eq!(error.to_string(), "the annotation `canary.leeboard.dev/run` cannot be read");
    }
}
