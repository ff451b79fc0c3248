//! GitLab: `X-Gitlab-Event: Push Hook`, `Tag Push Hook`, `Merge Request Hook`, `Note Hook` or `System Hook`; the
//! secret itself in `X-Gitlab-Token`, or a signature in `webhook-signature`.
//!
//! <https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events>

use serde::Deserialize;

use super::{Push, Received, Rejection, Touch, parsed, parsed_as};

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
    object_kind: Option<String>,
}

impl Project {
    fn addresses(self) -> Vec<Option<String>> {
        vec![self.git_http_url, self.git_ssh_url, self.web_url]
    }
}

#[derive(Deserialize)]
struct MergeRequestPayload {
    object_attributes: MergeRequest,
    /// The one that it is for.
    project: Project,
}

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
}

#[derive(Deserialize)]
struct NotePayload {
    object_attributes: Note,
    /// Not of a note on a commit, an issue or a snippet.
    merge_request: Option<MergeRequest>,
    project: Project,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    /// Older ones send an event for new notes only, and do not say so.
    action: Option<String>,
    #[serde(default)]
    system: bool,
}

pub(super) fn pulls(body: &[u8]) -> Result<Vec<Touch>, Rejection> {
    let payload: MergeRequestPayload = parsed_as("merge request", body)?;
    let (repositories, number) = (payload.project.addresses(), payload.object_attributes.iid);
    Ok(vec![Touch { repositories, number, comment: None }])
}

pub(super) fn notes(body: &[u8]) -> Result<Vec<Touch>, Rejection> {
    let payload: NotePayload = parsed_as("note", body)?;
    let Some(merge_request) = payload.merge_request else { return Ok(Vec::new()) };
    let note = payload.object_attributes;
    let is_new = !note.system && note.action.is_none_or(|action| action == "create");
    let (repositories, number) = (payload.project.addresses(), merge_request.iid);
    Ok(vec![Touch { repositories, number, comment: is_new.then_some(note.id) }])
}

pub(super) fn pushes(body: &[u8]) -> Result<Vec<Push>, Rejection> {
    let payload: Payload = parsed(body)?;
    let repositories = payload.project.addresses();
    Ok(vec![Push { repositories, reference: payload.reference, after: payload.after }])
}

pub(super) fn system(body: &[u8]) -> Result<Received<Push, Touch>, Rejection> {
    let event: SystemEvent = parsed(body)?;
    match (event.event_name.as_deref(), event.object_kind.as_deref()) {
        (Some("push" | "tag_push"), _) => pushes(body).map(Received::pushes),
        (_, Some("merge_request")) => pulls(body).map(Received::pulls),
        (_, Some("note")) => notes(body).map(Received::pulls),
        _ => Ok(Received::default()),
    }
}
