//! The status of a pull request's head: one word and one line.

use super::comment::Data;
use super::mask::Masks;
use super::phrase::counted;
use super::risk::{Failing, Risk, Rule, Severity};
use super::{ChangeKind, Outcome, Preview, Reach, escape};

/// What forges take.
const LONGEST: usize = 140;

/// The word of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The preview is under way.
    Pending,
    /// There is a plan for everything, and no rule fails.
    Success,
    /// The pull request is at fault.
    Failure,
    /// Leeboard, the cluster or the forge is at fault.
    Error,
    /// Nothing was found out; where a forge has no such word, it is a success.
    Neutral,
}

/// What is posted on the head commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The word.
    pub state: State,
    /// At most 140 characters.
    pub description: String,
}

/// What becomes of a status whose cluster was not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unreachable {
    /// Nothing was found out.
    #[default]
    Neutral,
    /// A failure.
    Fail,
    /// What is declared is enough.
    Success,
}

/// What makes a status a failure.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// `previews.fail`.
    pub fail: Vec<Failing>,
    /// `previews.unreachable`.
    pub unreachable: Unreachable,
    /// The plan ([`Data::plan`]) whose risks a person has accepted; another plan asks again.
    pub accepted: Option<String>,
}

impl Status {
    /// A status of these words.
    pub fn new(state: State, description: &str) -> Self {
        let text = escape::visible(description).replace(['\n', '\t'], " ");
        let description = match text.char_indices().nth(LONGEST) {
            None => text,
            Some(_) => text.chars().take(LONGEST - 1).chain(std::iter::once('…')).collect(),
        };
        Status { state, description }
    }

    /// While the preview is made.
    pub fn pending() -> Self {
        Status::new(State::Pending, "comparing with the clusters")
    }

    /// Posted for every pull request, since a required check that never comes blocks the merge.
    pub fn no_changes() -> Self {
        Status::new(State::Success, "no changes")
    }

    /// It cannot be merged.
    pub fn conflict(files: usize) -> Self {
        Status::new(State::Error, &format!("cannot be merged: conflicts in {}", counted(files as u64, "file")))
    }

    /// It comes from a fork, and nobody has allowed a preview; with this label somebody would.
    pub fn fork(label: Option<&str>) -> Self {
        let way = match label {
            Some(label) => format!("a maintainer may label it {label}"),
            None => "`spec.previews.forks` of the Environment may allow it".to_owned(),
        };
        Status::new(State::Neutral, &format!("not previewed: from a fork; {way}"))
    }

    /// Its commits are in another repository only.
    pub fn elsewhere() -> Self {
        Status::new(State::Neutral, "not previewed: its commits are in the fork only, which is not fetched")
    }

    /// It costs more than a preview may.
    pub fn too_large(objects: usize) -> Self {
        Status::new(State::Error, &format!("too large to preview: {}", counted(objects as u64, "object")))
    }

    /// Of a finished preview.
    pub fn of(preview: &Preview, risks: &[Risk], masks: &Masks, judgement: &Judgement) -> Self {
        let applications = || preview.environments.iter().flat_map(|environment| &environment.applications);
        if preview.is_empty() && !preview.carried.is_empty() {
            let names: Vec<&str> = preview.carried.iter().flatten().map(|name| name.as_str()).collect();
            return Status::new(State::Success, &format!("no changes here; then carried to {}", names.join(", ")));
        }
        if preview.is_empty() {
            return Status::no_changes();
        }
        let problems = applications().filter_map(|application| match &application.outcome {
            Outcome::Failed(problems) => Some((application, problems)),
            _ => None,
        });
        if let Some((application, problem)) = problems.filter_map(|(one, found)| Some((one, found.first()?))).next() {
            let text = format!("{} does not render: {problem}", application.name);
            return Status::new(State::Failure, &masks.finish(&masks.text(&text)));
        }
        let is_refused =
            |outcome: &Outcome| matches!(outcome, Outcome::Planned(planned) if !planned.refusals.is_empty());
        let refused = applications().find(|application| is_refused(&application.outcome));
        let is_accepted = judgement.accepted.is_some() && judgement.accepted == Data::of(preview).plan;
        // What the schema or a policy forbids is refused, whoever accepts it.
        let is_invalid = |risk: &&Risk| match risk.rule {
            Rule::R(25) => true,
            Rule::R(33) => risk.severity == Severity::Red,
            _ => false,
        };
        let invalid = risks.iter().find(is_invalid);
        let failing = risks.iter().find(|risk| judgement.fail.iter().any(|failing| failing.includes(risk)));
        let failing = invalid.or(failing.filter(|_| !is_accepted));
        let summary = summary(preview, risks, masks);
        if let Some(application) = refused {
            return Status::new(State::Failure, &format!("{} would not be synced; {summary}", application.name));
        }
        if let Some(risk) = failing {
            let said = masks.finish(&masks.phrase(&risk.says).to_string()).replace('`', "");
            return Status::new(State::Failure, &format!("{}: {said}; {summary}", risk.rule));
        }
        if let Some(application) = applications().find(|one| matches!(one.outcome, Outcome::Held(_))) {
            let text = format!("{} would be held: needs confirmation; {summary}", application.name);
            return Status::new(State::Neutral, &text);
        }
        let gap = preview.environments.iter().find(|environment| environment.reach != Reach::Compared);
        match gap.map(|environment| (&environment.reach, &environment.cluster)) {
            None => Status::new(State::Success, &summary),
            Some((Reach::NotAsked, _)) => Status::new(State::Success, &format!("{summary}; base branch only")),
            Some((_, cluster)) => {
                let state = match judgement.unreachable {
                    Unreachable::Neutral => State::Neutral,
                    Unreachable::Fail => State::Failure,
                    Unreachable::Success => State::Success,
                };
                Status::new(state, &format!("cluster {cluster} not reachable; {summary}"))
            }
        }
    }
}

/// `3 apps, 2 envs: ~5 +1 -1; 1 risk (PVC data-db-0)`
fn summary(preview: &Preview, risks: &[Risk], masks: &Masks) -> String {
    let applications = || {
        let all = preview.environments.iter().flat_map(|one| one.applications.iter().map(move |app| (&one.name, app)));
        all.filter(|(_, application)| !application.outcome.is_quiet())
    };
    let mut names: Vec<(&str, &str)> = applications().map(|(e, one)| (e.as_str(), one.name.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    let mut environments: Vec<&str> = names.iter().map(|(environment, _)| *environment).collect();
    environments.dedup();
    let (mut changed, mut created, mut deleted) = (0, 0, 0);
    for change in applications().flat_map(|(_, application)| application.outcome.changes()) {
        match change.kind {
            ChangeKind::Create => created += 1,
            ChangeKind::Delete => deleted += 1,
            ChangeKind::Change | ChangeKind::Replace | ChangeKind::Transferred { .. } => changed += 1,
            ChangeKind::AlreadySo | ChangeKind::Stays(_) => {}
        }
    }
    let counts = [("~", changed), ("+", created), ("-", deleted)];
    let counts: Vec<String> =
        counts.iter().filter(|(_, count)| *count > 0).map(|(sign, count)| format!("{sign}{count}")).collect();
    let counts = if counts.is_empty() { "nothing to do".to_owned() } else { counts.join(" ") };
    let told: Vec<&Risk> = risks.iter().filter(|risk| risk.severity != Severity::Info).collect();
    let risk = match told.first() {
        None => String::new(),
        Some(risk) => {
            let about = risk.key.as_ref().map(|key| format!(" ({} {})", short_kind(&key.kind), masks.name(key)));
            format!("; {}{}", counted(told.len() as u64, "risk"), about.unwrap_or_default())
        }
    };
    let (apps, envs) = (counted(names.len() as u64, "app"), counted(environments.len() as u64, "env"));
    format!("{apps}, {envs}: {counts}{risk}")
}

/// As people call the kinds whose names are long.
fn short_kind(kind: &str) -> &str {
    match kind {
        "PersistentVolumeClaim" => "PVC",
        "PersistentVolume" => "PV",
        "CustomResourceDefinition" => "CRD",
        "HorizontalPodAutoscaler" => "HPA",
        "PodDisruptionBudget" => "PDB",
        kind => kind,
    }
}
