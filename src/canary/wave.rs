//! What a canary means to the wave of a sync that applied its target.
//!
//! A wave is done when the applied version was promoted, and fails when it was rolled back; what waits for people keeps it
//! open. What became of another version says nothing: a newer commit supersedes.

use super::Revision;
use super::record::{Hold, Outcome, Record, State};

/// How far the applied version is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The primary has it.
    Done,
    /// It was tried, or could not be; why, in a sentence.
    Failed(String),
    /// It is on its way; what it waits for.
    Underway {
        /// In a sentence.
        waits_for: String,
        /// It waits for a person: no time-out of the wave counts this.
        for_a_person: bool,
    },
}

/// How far this version is.
pub fn progress(record: &Record, applied: &Revision) -> Progress {
    let underway = |waits_for: &str| Progress::Underway { waits_for: waits_for.to_owned(), for_a_person: false };
    let person = |waits_for: &str| Progress::Underway { waits_for: waits_for.to_owned(), for_a_person: true };
    match &record.state {
        State::Stillborn { revision, why } if revision == applied => {
            Progress::Failed(format!("the primary could not be made: {why}"))
        }
        State::Resting(rest) if rest.versions.applied == *applied => match &rest.outcome {
            Outcome::Initialized | Outcome::Succeeded | Outcome::RolledBack => Progress::Done,
            Outcome::Failed(why) => Progress::Failed(why.to_string()),
            Outcome::Stranded(why) => Progress::Failed(format!("the primary did not come up with it: {why}")),
        },
        State::Resting(rest) if rest.unready.is_some() => underway("the primary to be ready"),
        State::Waiting(_) => person("approval of the roll-out"),
        State::Analysing(run) if run.versions.applied == *applied => match run.hold {
            Hold::Promotion => person("approval of the promotion"),
            Hold::Paused => person("a person to resume it"),
            Hold::Free | Hold::Step(_) => underway(&format!("the analysis, at weight {}", record.route.split.canary)),
        },
        State::RollingBack(back) if back.versions.applied == *applied => {
            underway(&format!("traffic to be back on the primary: {}", back.why))
        }
        State::Promoting(promotion) | State::Finalising(promotion) if promotion.versions.applied == *applied => {
            underway("the promotion")
        }
        State::Verifying(run) if run.versions.applied == *applied => underway("the verification of what was promoted"),
        State::Initializing { .. } => underway("the primary to be made"),
        // From here on the target answers for itself.
        State::Terminating => Progress::Done,
        _ => underway("the canary to take up this version"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use smol_str::SmolStr;

    use super::super::record::{Farewell, Rest, Versions, Why};
    use super::*;

    fn revision(name: &str) -> Revision {
        Revision { template: name.into(), configs: SmolStr::default() }
    }

    fn resting(outcome: Outcome) -> Record {
        let versions = Versions { applied: revision("B"), promoted: revision("A") };
        let rest = Rest { versions, outcome, farewell: Farewell::Told, unready: None };
        Record { state: State::Resting(rest), ..Record::new(Timestamp::UNIX_EPOCH) }
    }

    #[test]
    fn only_the_applied_version_counts() {
        let waits = |waits_for: &str| Progress::Underway { waits_for: waits_for.into(), for_a_person: false };
        let breach = "success rate 98.00% < 99% at weight 20";
        let cases = [
            // record,                                                      applied, progress
            (Record::new(Timestamp::UNIX_EPOCH), "A", waits("the primary to be made")),
            (resting(Outcome::Succeeded), "B", Progress::Done),
            (resting(Outcome::Succeeded), "C", waits("the canary to take up this version")),
            (resting(Outcome::Failed(Why::Checks(breach.into()))), "B", Progress::Failed(breach.into())),
            (resting(Outcome::Failed(Why::Checks(breach.into()))), "C", waits("the canary to take up this version")),
            (resting(Outcome::Failed(Why::Aborted("alice".into()))), "B", Progress::Failed("aborted by alice".into())),
        ];
        for (record, applied, expected) in cases {
            assert_eq!(progress(&record, &revision(applied)), expected, "{applied}: {:?}", record.state);
        }
    }
}
