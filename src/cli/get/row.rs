//! One line of a table: where an environment or an application stands.

use jiff::Timestamp;
use owo_colors::{OwoColorize as _, Style};
use serde_json::{Value, json};

use super::super::terminal::{age, counted};
use crate::api::argo::{Application, ApplicationStatus, OperationPhase, ResourceStatus, SyncStatus};
use crate::api::leeboard::Environment;

/// Where something stands, in a person's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// All digits; empty when none was seen.
    pub(super) commit: String,
    /// The first line of its message.
    pub(super) subject: String,
    pub(super) sync: &'static str,
    /// Lower case.
    pub(super) health: String,
    /// Seconds since it came to be as it is.
    pub(super) age: Option<i64>,
    /// Empty when it waits for nothing.
    pub(super) waits_for: String,
}

impl Row {
    /// As the Application's status says.
    pub(super) fn of_application(application: &Application, now: Timestamp) -> Row {
        let Some(status) = &application.status else {
            return Row {
                sync: "unknown",
                health: "unknown".into(),
                waits_for: "not looked at yet".into(),
                ..Row::default()
            };
        };
        let operation = status.operation_state.as_ref();
        let since = operation.and_then(|state| state.finished_at.as_ref().or(state.started_at.as_ref()));
        let since = since.or(status.health.last_transition_time.as_ref());
        Row {
            commit: status.sync.revision.clone(),
            subject: String::new(),
            sync: sync_word(status.sync.status),
            health: status.health.status.as_deref().unwrap_or("Unknown").to_lowercase(),
            age: since.map(|since| now.duration_since(since.0).as_secs().max(0)),
            waits_for: waits_for(status),
        }
    }

    /// As the Environment's status and its Application's say.
    pub(super) fn of_environment(environment: &Environment, applications: &[Application], now: Timestamp) -> Row {
        let status = environment.status.clone().unwrap_or_default();
        let name = status.application.as_deref().unwrap_or(environment.name());
        let root = applications.iter().find(|a| a.name() == name && a.namespace() == environment.namespace());
        let mut row = root.map(|root| Row::of_application(root, now)).unwrap_or_else(|| Row {
            sync: "unknown",
            health: "unknown".into(),
            waits_for: "its Application".into(),
            ..Row::default()
        });
        row.commit = status.commit.unwrap_or(row.commit);
        row.subject = status.subject.unwrap_or_default();
        // The environment sums up its Application and that one's children.
        row.sync = status.sync.map_or(row.sync, sync_word);
        row.health = status.health.and_then(|health| health.status).map_or(row.health, |word| word.to_lowercase());
        let problem =
            status.conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status != "True");
        if let Some(problem) = problem
            && !problem.message.is_empty()
        {
            row.waits_for.clone_from(&problem.message);
        }
        let promotion = status.promotion.unwrap_or_default();
        if row.waits_for.is_empty()
            && let Some(next) = promotion.next
        {
            row.waits_for = next;
        }
        if environment.spec.suspend {
            row.waits_for = "a person: it is suspended".into();
        }
        row
    }

    pub(super) fn cells(&self, name: String) -> [String; 6] {
        let commit = format!("{} {}", self.short_commit(), shortened(&self.subject));
        [
            name,
            commit.trim().to_owned(),
            self.sync.style(style(self.sync)).to_string(),
            self.health.style(style(&self.health)).to_string(),
            self.age.map(age).unwrap_or_default(),
            one_line(&self.waits_for),
        ]
    }

    pub(super) fn short_commit(&self) -> &str {
        self.commit.get(..7).unwrap_or(&self.commit)
    }

    pub(super) fn to_value(&self, namespace: &str, name: &str) -> Value {
        json!({
            "namespace": namespace,
            "name": name,
            "commit": self.commit,
            "subject": self.subject,
            "sync": self.sync,
            "health": self.health,
            "ageSeconds": self.age,
            "waitsFor": self.waits_for,
        })
    }
}

/// Where an application's files are.
pub(super) fn source(application: &Application) -> String {
    let sources = application.spec.sources();
    let text = |source: &crate::api::argo::Source| {
        format!("{}//{}@{}", source.repo_url, source.path().unwrap_or_default(), source.revision())
    };
    sources.into_iter().map(text).collect::<Vec<_>>().join(" ")
}

fn sync_word(status: SyncStatus) -> &'static str {
    match status {
        SyncStatus::Synced => "synced",
        SyncStatus::OutOfSync => "out of sync",
        SyncStatus::Unknown => "unknown",
    }
}

fn style(word: &str) -> Style {
    match word {
        "synced" | "healthy" => Style::new().green(),
        "degraded" | "missing" => Style::new().red(),
        "unknown" => Style::new().dimmed(),
        _ => Style::new().yellow(),
    }
}

/// What keeps the application from its final state: the first of what a person would ask about.
fn waits_for(status: &ApplicationStatus) -> String {
    if let Some(error) = status.conditions.iter().find(|condition| condition.is_error()) {
        return error.message.clone();
    }
    if let Some(state) = &status.operation_state
        && state.phase != OperationPhase::Succeeded
        && !state.message.is_empty()
    {
        return state.message.clone();
    }
    if let Some(resource) = status.resources.iter().find(|resource| is_unhealthy(resource)) {
        return reason(resource);
    }
    let out = status.resources.iter().filter(|r| r.status == Some(SyncStatus::OutOfSync)).count();
    if status.sync.status == SyncStatus::OutOfSync && out > 0 {
        return format!("{} to be synced", counted(out, "object"));
    }
    status.health.message.clone()
}

pub(in crate::cli) fn is_unhealthy(resource: &ResourceStatus) -> bool {
    let health = resource.health.as_ref().and_then(|health| health.status.as_deref());
    health.is_some_and(|health| health != "Healthy")
}

/// `Deployment/web: 1 of 2 pods ready`.
pub(in crate::cli) fn reason(resource: &ResourceStatus) -> String {
    let health = resource.health.clone().unwrap_or_default();
    let why = match health.message.as_str() {
        "" => health.status.unwrap_or_default().to_lowercase(),
        message => message.to_owned(),
    };
    format!("{}/{}: {why}", resource.kind, resource.name)
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// A subject that leaves room for the other columns.
fn shortened(subject: &str) -> String {
    const LONGEST: usize = 40;
    match subject.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", subject[..end].trim_end()),
        None => subject.to_owned(),
    }
}
