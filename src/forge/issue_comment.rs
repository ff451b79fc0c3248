//! Comments as GitHub's API has them, and Gitea's after it: those of an issue, which a pull request is too.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::call::Call;
use super::comment::{Comment, Reaction};
use super::kind::RepoName;
use super::pull::Account;

/// A comment as it is answered; `U` is whoever wrote it, as the forge has that.
#[derive(Deserialize)]
pub(super) struct IssueComment<U> {
    id: u64,
    user: U,
    #[serde(default)]
    body: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    html_url: Option<String>,
}

impl<U: Into<Author>> IssueComment<U> {
    pub(super) fn on(self, pull: u64) -> Comment {
        let Author(author) = self.user.into();
        Comment {
            pull,
            id: self.id,
            author,
            body: self.body.unwrap_or_default(),
            created: self.created_at,
            edited: Some(self.updated_at).filter(|updated| *updated != self.created_at),
            page: self.html_url,
            version: None,
        }
    }
}

/// Whoever wrote a comment; on GitHub also somebody whose account is gone.
pub(super) struct Author(pub(super) Account);

/// A new comment.
pub(super) fn create<U>(repo: &RepoName, pull: u64, body: &str) -> Call<Comment>
where
    U: Into<Author> + DeserializeOwned + 'static,
{
    let path = ["repos", repo.owner(), repo.name(), "issues", &pull.to_string(), "comments"];
    Call::post(format!("comment on pull request {pull} of {repo}"), &path, json!({"body": body}))
        .gives(move |comment: IssueComment<U>| Ok(comment.on(pull)))
}

/// Another text for a comment.
pub(super) fn edit<U>(repo: &RepoName, comment: &Comment, body: &str) -> Call<Comment>
where
    U: Into<Author> + DeserializeOwned + 'static,
{
    let path = ["repos", repo.owner(), repo.name(), "issues", "comments", &comment.id.to_string()];
    let pull = comment.pull;
    Call::patch(format!("edit the comment on pull request {pull} of {repo}"), &path, json!({"body": body}))
        .gives(move |comment: IssueComment<U>| Ok(comment.on(pull)))
}

/// A comment less.
pub(super) fn delete(repo: &RepoName, comment: &Comment) -> Call<()> {
    let path = ["repos", repo.owner(), repo.name(), "issues", "comments", &comment.id.to_string()];
    Call::delete(format!("delete the comment on pull request {} of {repo}", comment.pull), &path)
}

/// A reaction to a comment. A second one is answered with the first.
pub(super) fn react(repo: &RepoName, comment: &Comment, reaction: Reaction) -> Call<()> {
    let content = match reaction {
        Reaction::Up => "+1",
        Reaction::Down => "-1",
    };
    let path = ["repos", repo.owner(), repo.name(), "issues", "comments", &comment.id.to_string(), "reactions"];
    let action = format!("react to a comment on pull request {} of {repo}", comment.pull);
    Call::post(action, &path, json!({"content": content})).repeatable()
}
