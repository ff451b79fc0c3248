//! Gitea and Forgejo, `/api/v1` (<https://docs.gitea.com/api/1.26/>). Tested against a real one by `tests/forge`.
//!
//! What it cannot do: tell why it does not merge other than in words; page the comments of a pull request, which come
//! all at once.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::call::{Answer, Call, Next, Page, Unread};
use super::comment::{Comment, Reaction};
use super::dialect::Dialect;
use super::issue_comment::{self, Author, IssueComment};
use super::kind::{Kind, RepoName};
use super::merge::{Merged, Method};
use super::pull::{Account, Opening, Pull, Sketch, SketchedState};
use super::review::{Permission, Review, Verdict};
use super::status::{Check, State, Status};
use crate::git::Oid;

/// What `GET /settings/api` says unless somebody has set less.
const PAGE: &str = "50";

pub(super) struct Gitea;

#[derive(Deserialize)]
pub(super) struct User {
    id: u64,
    login: String,
}

impl From<User> for Account {
    fn from(user: User) -> Account {
        // Actions and deleted users have ids below zero, which the API does not give.
        Account { id: user.id.to_string(), login: user.login, is_bot: false }
    }
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Deserialize)]
struct PullRequest {
    number: u64,
    user: User,
    state: String,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    labels: Option<Vec<Label>>,
    head: Branch,
    base: Branch,
    mergeable: Option<bool>,
    #[serde(default)]
    merged: bool,
    merge_commit_sha: Option<String>,
    html_url: Option<String>,
    updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    repo_id: Option<i64>,
    /// `null` when a fork is gone, or may not be seen.
    repo: Option<Repository>,
}

impl From<PullRequest> for Sketch {
    fn from(pull: PullRequest) -> Sketch {
        let state = match (pull.merged, pull.state.as_str()) {
            (true, _) => SketchedState::Merged { commit: pull.merge_commit_sha },
            (false, "open") => SketchedState::Open,
            (false, _) => SketchedState::Closed,
        };
        Sketch {
            number: pull.number,
            is_fork: pull.head.repo.is_none() || pull.head.repo_id != pull.base.repo_id,
            head: pull.head.sha,
            source_branch: pull.head.name,
            source_repository: pull.head.repo.map(|repo| repo.full_name),
            base: pull.base.name,
            base_commit: Some(pull.base.sha),
            author: pull.user.into(),
            is_draft: pull.draft,
            labels: Some(pull.labels.into_iter().flatten().map(|label| label.name).collect()),
            state,
            mergeable: pull.mergeable,
            page: pull.html_url,
            updated: pull.updated_at,
            version: None,
        }
    }
}

impl From<User> for Author {
    fn from(user: User) -> Author {
        Author(user.into())
    }
}

#[derive(Deserialize)]
struct CombinedStatus {
    /// `null` when there are none.
    statuses: Option<Vec<CommitStatus>>,
}

#[derive(Deserialize)]
struct CommitStatus {
    context: String,
    status: String,
    #[serde(default)]
    description: String,
    creator: Option<User>,
    updated_at: Option<Timestamp>,
}

impl From<CommitStatus> for Check {
    fn from(status: CommitStatus) -> Check {
        let state = match status.status.as_str() {
            "success" => State::Success,
            "skipped" | "warning" => State::Neutral,
            "pending" => State::Pending,
            "failure" => State::Failure,
            // It takes any word.
            _ => State::Error,
        };
        Check {
            context: status.context,
            state,
            description: status.description,
            author: status.creator.map(Account::from),
            updated: status.updated_at,
        }
    }
}

#[derive(Deserialize)]
struct PullReview {
    /// `null` for a team that was asked.
    user: Option<User>,
    state: String,
    commit_id: Option<String>,
    #[serde(default)]
    stale: bool,
    #[serde(default)]
    dismissed: bool,
    submitted_at: Option<Timestamp>,
}

impl PullReview {
    fn review(self) -> Option<Review> {
        let verdict = match self.state.as_str() {
            "APPROVED" => Verdict::Approved,
            "REQUEST_CHANGES" => Verdict::ChangesRequested,
            "COMMENT" => Verdict::Commented,
            // Not given yet: PENDING, REQUEST_REVIEW.
            _ => return None,
        };
        Some(Review {
            author: self.user?.into(),
            verdict,
            commit: self.commit_id.and_then(|id| id.parse().ok()),
            is_stale: self.stale || self.dismissed,
            submitted: self.submitted_at,
        })
    }
}

#[derive(Deserialize)]
struct AccessLevel {
    permission: String,
    user: Option<User>,
}

/// Some of its lists have no links, but all tell how many there are.
fn page_of<A, T>(answer: &Answer, items: Vec<A>, of: impl Fn(A) -> Option<T>) -> Page<T> {
    let here = items.len() as u64;
    let next = match answer.header("x-total-count").and_then(|total| total.parse().ok()) {
        Some(total) => Next::Counted { total, here },
        None => Next::query(answer.linked()),
    };
    Page { items: items.into_iter().filter_map(of).collect(), next }
}

impl Dialect for Gitea {
    fn missing_right(&self, answer: &Answer) -> Option<String> {
        // `token does not have at least one of required scope(s), required=[write:issue], token scope=read:issue`
        let said = answer.said();
        let right = said.split_once("required=[")?.1.split_once(']')?.0.trim();
        (!right.is_empty()).then(|| right.to_owned())
    }

    fn myself(&self) -> Call<Account> {
        Call::get("read the token's own account", &["user"]).gives(|user: User| Ok(user.into()))
    }

    fn name(&self, repo: &RepoName) -> Call<RepoName> {
        Call::get(format!("read repository {repo}"), &["repos", repo.owner(), repo.name()]).gives(|repo: Repository| {
            RepoName::parse(Kind::Gitea, &repo.full_name).ok_or_else(|| Unread::malformed("it has no name"))
        })
    }

    fn open_pulls(&self, repo: &RepoName, base: Option<&str>) -> Call<Page<Sketch>> {
        let wanted = base.map(str::to_owned);
        let list =
            Call::get(format!("list the pull requests of {repo}"), &["repos", repo.owner(), repo.name(), "pulls"])
                .query("state", "open");
        let list = base.into_iter().fold(list, |list, base| list.query("base_branch", base));
        list.query("limit", PAGE).query("page", "1").reads(move |answer| {
            let pulls: Vec<PullRequest> = answer.json()?;
            // Older ones do not know the filter.
            let is_wanted = |pull: &PullRequest| wanted.as_ref().is_none_or(|base| pull.base.name == *base);
            Ok(page_of(answer, pulls, |pull| is_wanted(&pull).then(|| pull.into())))
        })
    }

    fn pull(&self, repo: &RepoName, number: u64) -> Call<Sketch> {
        let path = ["repos", repo.owner(), repo.name(), "pulls", &number.to_string()];
        Call::get(format!("read pull request {number} of {repo}"), &path).gives(|pull: PullRequest| Ok(pull.into()))
    }

    fn open_pull(&self, repo: &RepoName, opening: &Opening) -> Call<Option<Sketch>> {
        let Opening { head, base, title, description } = opening;
        let path = ["repos", repo.owner(), repo.name(), "pulls"];
        let body = json!({"head": head, "base": base, "title": title, "body": description});
        Call::post(format!("open a pull request of {repo}"), &path, body).reads(|answer| match answer.status {
            // It learns of a push a little later than who has pushed.
            StatusCode::CONFLICT | StatusCode::NOT_FOUND => Ok(None),
            _ => Ok(Some(answer.json::<PullRequest>()?.into())),
        })
    }

    fn close_pull(&self, repo: &RepoName, pull: &Pull) -> Call<()> {
        let path = ["repos", repo.owner(), repo.name(), "pulls", &pull.number.to_string()];
        let action = format!("close pull request {} of {repo}", pull.number);
        Call::patch(action, &path, json!({"state": "closed"})).gives(|_: IgnoredAny| Ok(()))
    }

    fn comments(&self, repo: &RepoName, pull: u64) -> Call<Page<Comment>> {
        let path = ["repos", repo.owner(), repo.name(), "issues", &pull.to_string(), "comments"];
        Call::get(format!("list the comments on pull request {pull} of {repo}"), &path).gives(
            move |comments: Vec<IssueComment<User>>| {
                Ok(Page::whole(comments.into_iter().map(|comment| comment.on(pull)).collect()))
            },
        )
    }

    fn comment(&self, repo: &RepoName, pull: u64, id: u64) -> Call<Option<Comment>> {
        let path = ["repos", repo.owner(), repo.name(), "issues", "comments", &id.to_string()];
        Call::get(format!("read comment {id} on pull request {pull} of {repo}"), &path).reads(move |answer| {
            match answer.status {
                // No content: there is such an id, and it is no comment.
                StatusCode::NOT_FOUND | StatusCode::NO_CONTENT => Ok(None),
                _ => Ok(Some(answer.json::<IssueComment<User>>()?.on(pull))),
            }
        })
    }

    fn create_comment(&self, repo: &RepoName, pull: u64, body: &str) -> Call<Comment> {
        issue_comment::create::<User>(repo, pull, body)
    }

    fn edit_comment(&self, repo: &RepoName, comment: &Comment, body: &str) -> Call<Comment> {
        issue_comment::edit::<User>(repo, comment, body)
    }

    fn delete_comment(&self, repo: &RepoName, comment: &Comment) -> Call<()> {
        issue_comment::delete(repo, comment)
    }

    fn react(&self, repo: &RepoName, comment: &Comment, reaction: Reaction) -> Option<Call<()>> {
        Some(issue_comment::react(repo, comment, reaction))
    }

    fn put_status(&self, repo: &RepoName, status: &Status) -> Call<()> {
        let state = match status.state {
            State::Success => "success",
            State::Neutral => "skipped",
            State::Pending => "pending",
            State::Failure => "failure",
            State::Error => "error",
        };
        let body = json!({
            "context": status.context,
            "state": state,
            "description": status.line(),
            "target_url": status.page.as_deref().unwrap_or_default(),
        });
        let path = ["repos", repo.owner(), repo.name(), "statuses", &status.commit.to_string()];
        // A second one is one more row of which the last counts.
        Call::post(format!("set the status of {} in {repo}", status.commit.short()), &path, body).repeatable()
    }

    fn checks(&self, repo: &RepoName, commit: Oid) -> Vec<Call<Page<Check>>> {
        let path = ["repos", repo.owner(), repo.name(), "commits", &commit.to_string(), "status"];
        let call = Call::get(format!("read the statuses of {} in {repo}", commit.short()), &path)
            .query("limit", PAGE)
            .query("page", "1")
            .reads(|answer| {
                let combined: CombinedStatus = answer.json()?;
                Ok(page_of(answer, combined.statuses.unwrap_or_default(), |status| Some(status.into())))
            });
        vec![call]
    }

    fn reviews(&self, repo: &RepoName, pull: u64) -> Call<Page<Review>> {
        let path = ["repos", repo.owner(), repo.name(), "pulls", &pull.to_string(), "reviews"];
        Call::get(format!("list the reviews of pull request {pull} of {repo}"), &path)
            .query("limit", PAGE)
            .query("page", "1")
            .reads(|answer| Ok(page_of(answer, answer.json::<Vec<PullReview>>()?, PullReview::review)))
    }

    fn permission(&self, repo: &RepoName, account: &Account) -> Vec<Call<Option<Permission>>> {
        let path = ["repos", repo.owner(), repo.name(), "collaborators", &account.login, "permission"];
        let (id, login) = (account.id.clone(), account.login.clone());
        let call = Call::get(format!("read what {login} may do in {repo}"), &path).reads(move |answer| {
            if answer.status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let level: AccessLevel = answer.json()?;
            // A login can be given to another: the id cannot.
            let is_same = level.user.is_some_and(|user| user.id.to_string() == id);
            Ok(is_same.then_some(match level.permission.as_str() {
                "owner" | "admin" => Permission::Admin,
                "write" => Permission::Write,
                "read" => Permission::Read,
                _ => Permission::None,
            }))
        });
        vec![call]
    }

    fn merge(&self, repo: &RepoName, pull: &Pull, method: Method) -> Option<Call<Merged>> {
        let way = match method {
            Method::Merge => "merge",
            Method::Squash => "squash",
            Method::Rebase => "rebase",
            Method::FastForward => "fast-forward-only",
        };
        let path = ["repos", repo.owner(), repo.name(), "pulls", &pull.number.to_string(), "merge"];
        let body = json!({"Do": way, "head_commit_id": pull.head.to_string()});
        let call = Call::post(format!("merge pull request {} of {repo}", pull.number), &path, body);
        Some(call.reads(|answer| {
            let said = answer.said();
            match answer.status.as_u16() {
                200..=299 => Ok(Merged::Done { commit: None }),
                // Its words are all that tells one reason from another.
                409 if said.contains("head out of date") => Ok(Merged::HeadMoved),
                405 if said.starts_with("Please try again later") => Ok(Merged::NotYet { said }),
                405 | 409 | 422 => Ok(Merged::Refused { said }),
                _ => Err(Unread::Refused),
            }
        }))
    }
}
