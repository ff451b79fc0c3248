//! GitHub, and Gitea, Forgejo and Gogs, whose body is the same: JSON, or a form with the JSON in `payload`.
//!
//! GitHub: `X-GitHub-Event: push`, HMAC in `X-Hub-Signature-256`
//! (<https://docs.github.com/en/webhooks/webhook-events-and-payloads#push>).
//! Pull requests: `pull_request`, `pull_request_review`, and `issue_comment`, which is of issues too.
//! Gitea: `X-Gitea-Event: push`, HMAC in `X-Gitea-Signature` (<https://docs.gitea.com/usage/webhooks>).

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Push, Rejection, Touch, parsed, parsed_as};

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "ref")]
    reference: String,
    after: Option<String>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    clone_url: Option<String>,
    ssh_url: Option<String>,
    html_url: Option<String>,
}

impl Repository {
    fn addresses(self) -> Vec<Option<String>> {
        vec![self.clone_url, self.ssh_url, self.html_url]
    }
}

/// An event of a pull request, or of an issue.
#[derive(Deserialize)]
struct PullPayload {
    action: Option<String>,
    pull_request: Option<Numbered>,
    issue: Option<Issue>,
    comment: Option<Identified>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    /// Of a pull request only.
    pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Identified {
    id: u64,
}

pub(super) fn pushes(body: &[u8]) -> Result<Vec<Push>, Rejection> {
    let payload: Payload = parsed(&json(body))?;
    let repositories = payload.repository.addresses();
    Ok(vec![Push { repositories, reference: payload.reference, after: payload.after }])
}

/// The pull request that an event is about; `event` is one of those that [`is_of_pulls`].
pub(super) fn pulls(event: &str, body: &[u8]) -> Result<Vec<Touch>, Rejection> {
    let payload: PullPayload = parsed_as("pull request", &json(body))?;
    let of_issue = payload.issue.filter(|issue| issue.pull_request.is_some()).map(|issue| issue.number);
    // Gitea tells both of a comment.
    let Some(number) = payload.pull_request.map(|pull| pull.number).or(of_issue) else { return Ok(Vec::new()) };
    // A comment of a review is about lines, and no place for commands; one that was edited may be another's words.
    let is_new = event == "issue_comment" && payload.action.as_deref() == Some("created");
    let comment = payload.comment.filter(|_| is_new).map(|comment| comment.id);
    Ok(vec![Touch { repositories: payload.repository.addresses(), number, comment }])
}

/// Whether an event may be about a pull request.
pub(super) fn is_of_pulls(event: &str) -> bool {
    // Gitea has one for each verdict: `pull_request_approved`.
    event == "issue_comment" || event == "pull_request" || event.starts_with("pull_request_")
}

/// The JSON of a body that may be a form.
fn json(body: &[u8]) -> Cow<'_, [u8]> {
    match body.strip_prefix(b"payload=") {
        Some(form) => Cow::Owned(form_value(form)),
        None => Cow::Borrowed(body),
    }
}

/// The first value of a form, decoded. What is no escape stays as it is: the JSON parser will tell.
fn form_value(form: &[u8]) -> Vec<u8> {
    let value = form.split(|byte| *byte == b'&').next().unwrap_or_default();
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value.iter().copied();
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                decoded.extend(u8::try_from(high << 4 | low));
                rest = ahead;
            }
            (b'+', ..) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    decoded
}
