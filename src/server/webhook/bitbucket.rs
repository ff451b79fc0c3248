//! Bitbucket, both of them; one push may move many branches.
//!
//! Cloud: `X-Event-Key: repo:push` and `pullrequest:…`, told by `X-Hook-UUID`, HMAC in `X-Hub-Signature`
//! (<https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/>).
//! Server and Data Center: `X-Event-Key: repo:refs_changed` and `pr:…`, HMAC in `X-Hub-Signature`
//! (<https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html>).

use serde::Deserialize;

use super::{Push, Rejection, Touch, parsed, parsed_as};

#[derive(Deserialize)]
struct CloudPayload {
    push: CloudPush,
    repository: CloudRepository,
}

#[derive(Deserialize)]
struct CloudPush {
    changes: Vec<CloudChange>,
}

#[derive(Deserialize)]
struct CloudChange {
    /// `null` when the branch is gone.
    new: Option<CloudReference>,
    /// `null` when the branch is new.
    old: Option<CloudReference>,
}

#[derive(Deserialize)]
struct CloudReference {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    target: Option<CloudTarget>,
}

#[derive(Deserialize)]
struct CloudTarget {
    hash: String,
}

#[derive(Deserialize)]
struct CloudRepository {
    links: CloudLinks,
}

#[derive(Deserialize)]
struct CloudLinks {
    html: Link,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

pub(super) fn cloud_pushes(body: &[u8]) -> Result<Vec<Push>, Rejection> {
    let payload: CloudPayload = parsed(body)?;
    let url = payload.repository.links.html.href;
    let pushes = payload.push.changes.into_iter().filter_map(|change| {
        let is_gone = change.new.is_none();
        let reference = change.new.or(change.old)?;
        let folder = if reference.kind == "tag" { "tags" } else { "heads" };
        Some(Push {
            repositories: vec![Some(url.clone())],
            reference: format!("refs/{folder}/{}", reference.name),
            after: reference.target.filter(|_| !is_gone).map(|target| target.hash),
        })
    });
    Ok(pushes.collect())
}

#[derive(Deserialize)]
struct ServerPayload {
    changes: Vec<ServerChange>,
    repository: ServerRepository,
}

#[derive(Deserialize)]
struct ServerChange {
    #[serde(rename = "ref")]
    reference: ServerReference,
    #[serde(rename = "toHash")]
    to_hash: Option<String>,
}

#[derive(Deserialize)]
struct ServerReference {
    id: String,
}

#[derive(Deserialize)]
struct ServerRepository {
    links: ServerLinks,
}

#[derive(Deserialize)]
struct ServerLinks {
    clone: Vec<Link>,
}

pub(super) fn server_pushes(body: &[u8]) -> Result<Vec<Push>, Rejection> {
    let payload: ServerPayload = parsed(body)?;
    let repositories: Vec<Option<String>> =
        payload.repository.links.clone.into_iter().map(|link| Some(link.href)).collect();
    let push = |change: ServerChange| Push {
        repositories: repositories.clone(),
        reference: change.reference.id,
        after: change.to_hash,
    };
    Ok(payload.changes.into_iter().map(push).collect())
}

#[derive(Deserialize)]
struct CloudPullPayload {
    pullrequest: Identified,
    comment: Option<Identified>,
    /// The one that it is for.
    repository: CloudRepository,
}

#[derive(Deserialize)]
struct Identified {
    id: u64,
}

/// `key` is the event's: `pullrequest:comment_created`.
pub(super) fn cloud_pulls(key: &str, body: &[u8]) -> Result<Vec<Touch>, Rejection> {
    let payload: CloudPullPayload = parsed_as("pull request", body)?;
    let comment = payload.comment.filter(|_| key == "pullrequest:comment_created").map(|comment| comment.id);
    let repositories = vec![Some(payload.repository.links.html.href)];
    Ok(vec![Touch { repositories, number: payload.pullrequest.id, comment }])
}

#[derive(Deserialize)]
struct ServerPullPayload {
    #[serde(rename = "pullRequest")]
    pull_request: ServerPull,
    comment: Option<Identified>,
}

#[derive(Deserialize)]
struct ServerPull {
    id: u64,
    #[serde(rename = "toRef")]
    to_ref: ServerTarget,
}

#[derive(Deserialize)]
struct ServerTarget {
    repository: LinkedRepository,
}

#[derive(Deserialize)]
struct LinkedRepository {
    /// Before 7 there are none, and nothing else tells the server's own address.
    links: Option<ServerLinks>,
}

/// `key` is the event's: `pr:comment:added`.
pub(super) fn server_pulls(key: &str, body: &[u8]) -> Result<Vec<Touch>, Rejection> {
    let payload: ServerPullPayload = parsed_as("pull request", body)?;
    let links = payload.pull_request.to_ref.repository.links.map(|links| links.clone).unwrap_or_default();
    let comment = payload.comment.filter(|_| key == "pr:comment:added").map(|comment| comment.id);
    let repositories = links.into_iter().map(|link| Some(link.href)).collect();
    Ok(vec![Touch { repositories, number: payload.pull_request.id, comment }])
}
