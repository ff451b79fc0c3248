//! A commit status on the forge that the application's repository is on. Who we are there is said by the forge's Secret,
//! as for previews: the options of Argo CD's `service.github` are not read. Of its template only `status` is.

use serde_json::Value as Json;

use super::alertmanager::names_json;
use super::{Content, Delivery};
use crate::forge::State;
use crate::template::Value;

pub(super) use crate::forge::Kind;

pub(in crate::alert) struct Forge {
    kind: Kind,
}

/// A word about a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStatus {
    /// The repository, as it was written.
    pub repository: String,
    /// The commit.
    pub commit: String,
    /// The word.
    pub state: State,
    /// Under which name.
    pub label: String,
    /// One line.
    pub description: String,
    /// Where more is said.
    pub page: Option<String>,
}

impl Forge {
    pub(super) fn new(kind: Kind) -> Self {
        Forge { kind }
    }

    pub(super) fn section(&self) -> &'static str {
        match self.kind {
            Kind::GitLab => "gitlab",
            Kind::Gitea => "gitea",
            _ => "github",
        }
    }

    pub(super) fn delivery(&self, content: &Content<'_>, names: &Value) -> Result<Delivery, String> {
        let status = &content.section["status"];
        let text = |name: &str| status[name].as_str().map(str::trim).filter(|text| !text.is_empty());
        let word = text("state").ok_or_else(|| format!("the template has no `{}.status.state`", self.section()))?;
        let state = match word {
            "success" => State::Success,
            "failure" | "failed" => State::Failure,
            "pending" | "running" => State::Pending,
            "error" => State::Error,
            other => return Err(format!("`{other}` is no state: success, failure, pending or error is")),
        };
        let app = names_json(names);
        let field = |place: &str| app.pointer(place).and_then(Json::as_str).map(str::to_owned);
        let repository = content.text("repoURLPath").map(str::to_owned).or_else(|| field("/spec/source/repoURL"));
        let revision = "/status/operationState/syncResult/revision";
        let commit = content.text("revisionPath").map(str::to_owned).or_else(|| field(revision));
        Ok(Delivery::Status(CommitStatus {
            repository: repository.ok_or("the application names no repository")?,
            commit: commit.ok_or("nothing was synced yet")?,
            state,
            label: text("label").unwrap_or("leeboard").to_owned(),
            description: content.message().to_owned(),
            page: text("targetURL").filter(|url| url.starts_with("http")).map(str::to_owned),
        }))
    }
}
