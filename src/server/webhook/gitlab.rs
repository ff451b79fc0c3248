//! GitLab: `X-Gitlab-Event: Push Hook`, `Tag Push Hook` or `System Hook`; the secret itself in `X-Gitlab-Token`.
//!
//! <https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events>

use serde::Deserialize;

use super::{Push, Rejection, parsed};

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "ref")]
    reference: String,
    after: Option<String>,
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    git_http_url: Option<String>,
    git_ssh_url: Option<String>,
    web_url: Option<String>,
}

/// A system hook tells its event in the body.
#[derive(Deserialize)]
struct SystemEvent {
    event_name: Option<String>,
}

pub(super) fn pushes(body: &[u8]) -> Result<Vec<Push>, Rejection> {
    let payload: Payload = parsed(body)?;
    let Project { git_http_url, git_ssh_url, web_url } = payload.project;
    let repositories = vec![git_http_url, git_ssh_url, web_url];
    Ok(vec![Push { repositories, reference: payload.reference, after: payload.after }])
}

pub(super) fn system_pushes(body: &[u8]) -> Result<Vec<Push>, Rejection> {
    let event: SystemEvent = parsed(body)?;
    match event.event_name.as_deref() {
        Some("push" | "tag_push") => pushes(body),
        _ => Ok(Vec::new()),
    }
}
