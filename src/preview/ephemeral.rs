//! Pull requests that are deployed before they are merged: which of them, for how long, and what that makes.
//!
//! **In:** what an Environment asks for, its open pull requests, the [`Record`]s of those that are deployed, the time.
//! **Out:** what is to be done ([`decide`]), and the objects that it takes ([`objects`]). **May not:** deploy what comes
//! from another repository, exceed the limit, or take anything away but what it has made.
//!
//! The record of a deployed pull request is its AppProject: it is made first and deleted last, so that whatever there is
//! of it has one, also after a crash.

pub mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use smol_str::SmolStr;

use super::escape;
use super::phrase::counted;
use crate::api::leeboard::EphemeralPolicy;

/// An open pull request of the repository itself that is ready to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Its number.
    pub number: u64,
    /// Its commit, in hexadecimal.
    pub head: SmolStr,
    /// The names of its labels.
    pub labels: Vec<String>,
}

/// A pull request that is deployed, or was until its time was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub number: u64,
    /// The commit that is deployed, in hexadecimal.
    pub head: SmolStr,
    /// When that commit was deployed first.
    pub since: Timestamp,
    /// It was taken away, and waits for another commit.
    pub is_over: bool,
}

/// What is done about one pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is no longer open, or no longer has the label: nothing of it stays.
    Remove(u64),
    /// Its time is over: only its record stays.
    Expire(Record),
    /// It is there, at this commit.
    Deploy(Record),
}

/// How it stands with a pull request, for its readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Deployed until then.
    Until(Timestamp),
    /// Taken away; its next push deploys it again.
    Over(Duration),
    /// There are as many as there may be.
    Full(usize),
}

/// What a pull request is deployed to, for its readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// For this environment.
    pub environment: SmolStr,
    /// Into this namespace.
    pub namespace: SmolStr,
    /// How it stands.
    pub standing: Standing,
}

impl Deployed {
    /// One sentence in Markdown.
    pub fn told(&self) -> String {
        let namespace = escape::code(&self.namespace);
        match &self.standing {
            Standing::Until(end) => {
                format!("Deployed to namespace {namespace} until {} UTC.", end.strftime("%Y-%m-%d %H:%M"))
            }
            Standing::Over(length) => {
                let hours = length.as_secs().div_ceil(3600);
                format!(
                    "Not deployed to {namespace} any more after {}: a push deploys it again.",
                    counted(hours, "hour")
                )
            }
            Standing::Full(max) => {
                format!("Not deployed to {namespace}: as many are deployed as there may be at once ({max}).")
            }
        }
    }
}

/// What is to be done, those that go first; and how it stands with each pull request that asks for it.
pub fn decide(
    policy: &EphemeralPolicy,
    proposed: &[Proposed],
    records: &[Record],
    now: Timestamp,
) -> (Vec<Step>, BTreeMap<u64, Standing>) {
    let asks = |pull: &&Proposed| policy.label.as_ref().is_none_or(|label| pull.labels.contains(label));
    let wanted: BTreeMap<u64, &Proposed> = proposed.iter().filter(asks).map(|pull| (pull.number, pull)).collect();
    let known: BTreeMap<u64, &Record> = records.iter().map(|record| (record.number, record)).collect();
    let ttl = policy.ttl();
    let end = |since: Timestamp| {
        let length = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
        since.checked_add(length).unwrap_or(Timestamp::MAX)
    };

    let mut steps: Vec<Step> =
        known.keys().filter(|number| !wanted.contains_key(number)).map(|n| Step::Remove(*n)).collect();
    let mut standing = BTreeMap::new();
    let mut deployed = Vec::new();
    let mut asking = BTreeSet::new();
    for (number, pull) in &wanted {
        match known.get(number) {
            Some(record) if record.head == pull.head && record.is_over => {
                standing.insert(*number, Standing::Over(ttl));
            }
            Some(record) if record.head == pull.head && now >= end(record.since) => {
                standing.insert(*number, Standing::Over(ttl));
                steps.push(Step::Expire(Record { is_over: true, ..(*record).clone() }));
            }
            Some(record) if record.head == pull.head => deployed.push((*record).clone()),
            Some(record) if !record.is_over => {
                deployed.push(Record { head: pull.head.clone(), since: now, ..(*record).clone() })
            }
            _ => {
                asking.insert(*number);
            }
        }
    }
    // Whoever is there stays there; of the others the older goes first.
    for number in asking {
        if deployed.len() < policy.max()
            && let Some(pull) = wanted.get(&number)
        {
            deployed.push(Record { number, head: pull.head.clone(), since: now, is_over: false });
        } else {
            standing.insert(number, Standing::Full(policy.max()));
        }
    }
    for record in deployed {
        standing.insert(record.number, Standing::Until(end(record.since)));
        steps.push(Step::Deploy(record));
    }
    (steps, standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).unwrap()
    }

    fn pull(number: u64, head: &str, labels: &[&str]) -> Proposed {
        Proposed { number, head: head.into(), labels: labels.iter().map(|label| (*label).into()).collect() }
    }

    fn record(number: u64, head: &str, since: i64) -> Record {
        Record { number, head: head.into(), since: at(since), is_over: false }
    }

    fn over(number: u64, head: &str, since: i64) -> Record {
        Record { is_over: true, ..record(number, head, since) }
    }

    #[test]
    fn each_pull_request_is_deployed_for_its_time_and_no_more_than_may_be() {
        use Standing::{Full, Over, Until};
        let hour = Duration::from_secs(3600);
        let policy = |label: Option<&str>, max: u32| EphemeralPolicy {
            label: label.map(Into::into),
            ttl: Some("1h".into()),
            max: Some(max),
            ..EphemeralPolicy::default()
        };
        type Row<'a> = (&'a str, EphemeralPolicy, Vec<Proposed>, Vec<Record>, Vec<Step>, Vec<(u64, Standing)>);
        let rows: Vec<Row<'_>> = vec![
            ("nothing asks for nothing", policy(None, 2), vec![], vec![], vec![], vec![]),
            (
                "a new one is deployed",
                policy(None, 2),
                vec![pull(7, "a", &[])],
                vec![],
                vec![Step::Deploy(record(7, "a", 100))],
                vec![(7, Until(at(160)))],
            ),
            (
                "one that is there stays as it is",
                policy(None, 2),
                vec![pull(7, "a", &[])],
                vec![record(7, "a", 90)],
                vec![Step::Deploy(record(7, "a", 90))],
                vec![(7, Until(at(150)))],
            ),
            (
                "a push begins its time anew",
                policy(None, 2),
                vec![pull(7, "b", &[])],
                vec![record(7, "a", 30)],
                vec![Step::Deploy(record(7, "b", 100))],
                vec![(7, Until(at(160)))],
            ),
            (
                "its time ends",
                policy(None, 2),
                vec![pull(7, "a", &[])],
                vec![record(7, "a", 40)],
                vec![Step::Expire(over(7, "a", 40))],
                vec![(7, Over(hour))],
            ),
            (
                "and does not begin again by itself",
                policy(None, 2),
                vec![pull(7, "a", &[])],
                vec![over(7, "a", 40)],
                vec![],
                vec![(7, Over(hour))],
            ),
            (
                "but by a push",
                policy(None, 2),
                vec![pull(7, "b", &[])],
                vec![over(7, "a", 40)],
                vec![Step::Deploy(record(7, "b", 100))],
                vec![(7, Until(at(160)))],
            ),
            (
                "a closed one goes, deployed or not",
                policy(None, 2),
                vec![],
                vec![record(7, "a", 90), over(8, "a", 10)],
                vec![Step::Remove(7), Step::Remove(8)],
                vec![],
            ),
            (
                "the limit holds, older ones first, and who is there stays",
                policy(None, 2),
                vec![pull(5, "a", &[]), pull(6, "a", &[]), pull(7, "a", &[])],
                vec![record(7, "a", 90)],
                vec![Step::Deploy(record(7, "a", 90)), Step::Deploy(record(5, "a", 100))],
                vec![(5, Until(at(160))), (6, Full(2)), (7, Until(at(150)))],
            ),
            (
                "who goes makes room at once",
                policy(None, 1),
                vec![pull(8, "a", &[])],
                vec![record(7, "a", 90)],
                vec![Step::Remove(7), Step::Deploy(record(8, "a", 100))],
                vec![(8, Until(at(160)))],
            ),
            (
                "whose time is over takes no room, and needs it again",
                policy(None, 1),
                vec![pull(7, "b", &[]), pull(8, "a", &[])],
                vec![over(7, "a", 10), record(8, "a", 90)],
                vec![Step::Deploy(record(8, "a", 90))],
                vec![(7, Full(1)), (8, Until(at(150)))],
            ),
            (
                "the label is what asks for it",
                policy(Some("preview"), 2),
                vec![pull(7, "a", &["preview"]), pull(8, "a", &["other"]), pull(9, "a", &[])],
                vec![record(9, "a", 90)],
                vec![Step::Remove(9), Step::Deploy(record(7, "a", 100))],
                vec![(7, Until(at(160)))],
            ),
            ("none at all may be", policy(None, 0), vec![pull(7, "a", &[])], vec![], vec![], vec![(7, Full(0))]),
        ];
        for (name, policy, proposed, records, steps, standing) in rows {
            let found = decide(&policy, &proposed, &records, at(100));
            assert_eq!(found, (steps, standing.into_iter().collect()), "{name}");
        }
    }
}
