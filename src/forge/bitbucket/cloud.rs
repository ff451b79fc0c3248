//! Bitbucket Cloud, `/2.0` (<https://developer.atlassian.com/cloud/bitbucket/rest/>).
//!
//! It cuts commits to twelve digits, so a head is asked for again. What it cannot do: labels, reactions, a merge that
//! is refused when the head has moved, approvals that say of which commit.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::super::call::{Answer, Call, Next, Page, Unread, query_of};
use super::super::comment::{Comment, Reaction};
use super::super::dialect::Dialect;
use super::super::kind::{Kind, RepoName};
use super::super::merge::{Merged, Method};
use super::super::pull::{Account, Opening, Pull, Sketch, SketchedState};
use super::super::review::{Permission, Review, Verdict};
use super::super::status::{Check, Status};
use super::{build_state, state_of_build};
use crate::git::Oid;

const PAGE: &str = "50";

/// A comment that nobody has touched is "updated" some microseconds after it was made.
const MADE: Duration = Duration::from_secs(2);

pub(in super::super) struct Cloud;

#[derive(Deserialize)]
struct List<T> {
    values: Vec<T>,
    next: Option<String>,
}

impl<T> List<T> {
    fn page<U>(self, of: impl Fn(T) -> Option<U>) -> Page<U> {
        let next = Next::query(self.next.as_deref().and_then(query_of));
        Page { items: self.values.into_iter().filter_map(of).collect(), next }
    }
}

#[derive(Deserialize)]
struct User {
    uuid: String,
    nickname: Option<String>,
    display_name: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
}

impl From<User> for Account {
    fn from(user: User) -> Account {
        let login = user.nickname.or(user.display_name).unwrap_or_else(|| user.uuid.clone());
        Account { id: user.uuid, login, is_bot: user.kind == "app_user" }
    }
}

/// Whose account is gone.
fn account(user: Option<User>) -> Account {
    user.map_or_else(|| Account { id: String::new(), login: "gone".into(), is_bot: false }, Account::from)
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
    uuid: String,
}

#[derive(Deserialize)]
struct PullRequest {
    id: u64,
    author: Option<User>,
    state: String,
    #[serde(default)]
    draft: bool,
    source: End,
    destination: End,
    merge_commit: Option<Commit>,
    links: Links,
    updated_on: Option<Timestamp>,
    /// Not in lists.
    #[serde(default)]
    participants: Vec<Participant>,
}

#[derive(Deserialize)]
struct End {
    branch: Branch,
    /// `null` when the branch is gone.
    commit: Option<Commit>,
    /// `null` when a fork is gone.
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Branch {
    name: String,
}

#[derive(Deserialize)]
struct Commit {
    hash: String,
}

#[derive(Deserialize)]
struct Links {
    html: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

#[derive(Deserialize)]
struct Participant {
    user: Option<User>,
    #[serde(default)]
    approved: bool,
    state: Option<String>,
    participated_on: Option<Timestamp>,
}

impl Participant {
    fn review(self) -> Option<Review> {
        let verdict = match (self.approved, self.state.as_deref()) {
            (true, _) | (_, Some("approved")) => Verdict::Approved,
            (_, Some("changes_requested")) => Verdict::ChangesRequested,
            _ => return None,
        };
        let (author, submitted) = (account(self.user), self.participated_on);
        Some(Review { author, verdict, commit: None, is_stale: false, submitted })
    }
}

impl From<PullRequest> for Sketch {
    fn from(pull: PullRequest) -> Sketch {
        let state = match pull.state.as_str() {
            "OPEN" => SketchedState::Open,
            "MERGED" => SketchedState::Merged { commit: pull.merge_commit.map(|commit| commit.hash) },
            _ => SketchedState::Closed,
        };
        let is_same = match (&pull.source.repository, &pull.destination.repository) {
            (Some(source), Some(destination)) => source.uuid == destination.uuid,
            _ => false,
        };
        Sketch {
            number: pull.id,
            head: pull.source.commit.map(|commit| commit.hash).unwrap_or_default(),
            source_branch: pull.source.branch.name,
            source_repository: pull.source.repository.map(|repo| repo.full_name),
            base: pull.destination.branch.name,
            base_commit: pull.destination.commit.map(|commit| commit.hash),
            author: account(pull.author),
            is_fork: !is_same,
            is_draft: pull.draft,
            labels: None,
            state,
            mergeable: None,
            page: pull.links.html.map(|link| link.href),
            updated: pull.updated_on,
            version: None,
        }
    }
}

#[derive(Deserialize)]
struct PullComment {
    id: u64,
    user: Option<User>,
    content: Content,
    created_on: Timestamp,
    updated_on: Option<Timestamp>,
    #[serde(default)]
    deleted: bool,
    links: Links,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    raw: String,
}

impl PullComment {
    /// Nothing when it was deleted: its place is kept for its answers.
    fn on(self, pull: u64) -> Option<Comment> {
        let was_touched = |updated: &Timestamp| updated.duration_since(self.created_on).unsigned_abs() >= MADE;
        (!self.deleted).then(|| Comment {
            pull,
            id: self.id,
            author: account(self.user),
            body: self.content.raw,
            created: self.created_on,
            edited: self.updated_on.filter(was_touched),
            page: self.links.html.map(|link| link.href),
            version: None,
        })
    }
}

#[derive(Deserialize)]
struct CommitStatus {
    key: String,
    state: String,
    #[serde(default)]
    description: Option<String>,
    updated_on: Option<Timestamp>,
}

impl From<CommitStatus> for Check {
    fn from(status: CommitStatus) -> Check {
        let state = state_of_build(&status.state);
        let description = status.description.unwrap_or_default();
        Check { context: status.key, state, description, author: None, updated: status.updated_on }
    }
}

#[derive(Deserialize)]
struct RepositoryPermission {
    permission: String,
    user: Option<User>,
}

/// A text inside a query of Bitbucket's own language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#))
}

fn path<'a>(repo: &'a RepoName, number: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["repositories", repo.owner(), repo.name(), "pullrequests", number], rest].concat()
}

impl Dialect for Cloud {
    fn missing_right(&self, answer: &Answer) -> Option<String> {
        // `{"error": {"detail": {"required": ["pullrequest:write"], "granted": […]}}}`
        let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        let required = body["error"]["detail"]["required"].as_array()?;
        let rights: Vec<&str> = required.iter().filter_map(|right| right.as_str()).collect();
        (!rights.is_empty()).then(|| super::super::call::plain(&rights.join(", "), 100))
    }

    fn myself(&self) -> Call<Account> {
        Call::get("read the token's own account", &["user"]).gives(|user: User| Ok(user.into()))
    }

    fn name(&self, repo: &RepoName) -> Call<RepoName> {
        Call::get(format!("read repository {repo}"), &["repositories", repo.owner(), repo.name()]).gives(
            |repo: Repository| {
                RepoName::parse(Kind::BitbucketCloud, &repo.full_name)
                    .ok_or_else(|| Unread::malformed("it has no name"))
            },
        )
    }

    fn open_pulls(&self, repo: &RepoName, base: Option<&str>) -> Call<Page<Sketch>> {
        let wanted = base.map(str::to_owned);
        let of_base = base.map(|base| format!(" AND destination.branch.name={}", quoted(base))).unwrap_or_default();
        let path = ["repositories", repo.owner(), repo.name(), "pullrequests"];
        Call::get(format!("list the pull requests of {repo}"), &path)
            .query("q", format!("state=\"OPEN\"{of_base}"))
            .query("pagelen", PAGE)
            .gives(move |list: List<PullRequest>| {
                let name =
                    |pull: &PullRequest| wanted.as_ref().is_none_or(|base| pull.destination.branch.name == *base);
                Ok(list.page(|pull| name(&pull).then(|| pull.into())))
            })
    }

    fn pull(&self, repo: &RepoName, number: u64) -> Call<Sketch> {
        Call::get(format!("read pull request {number} of {repo}"), &path(repo, &number.to_string(), &[]))
            .gives(|pull: PullRequest| Ok(pull.into()))
    }

    fn whole_head(&self, repo: &RepoName, number: u64) -> Option<Call<Oid>> {
        let call = Call::get(
            format!("read the head of pull request {number} of {repo}"),
            &path(repo, &number.to_string(), &["commits"]),
        );
        // The newest comes first.
        Some(call.query("pagelen", "1").gives(|list: List<Commit>| {
            let newest = list.values.first().and_then(|commit| commit.hash.parse().ok());
            newest.ok_or_else(|| Unread::malformed("the pull request has no commits"))
        }))
    }

    fn open_pull(&self, repo: &RepoName, opening: &Opening) -> Call<Option<Sketch>> {
        let Opening { head, base, title, description } = opening;
        let branch = |name: &str| json!({"branch": {"name": name}});
        let body = json!({
            "source": branch(head), "destination": branch(base), "title": title, "description": description,
        });
        let path = ["repositories", repo.owner(), repo.name(), "pullrequests"];
        Call::post(format!("open a pull request of {repo}"), &path, body)
            .gives(|pull: PullRequest| Ok(Some(pull.into())))
    }

    fn close_pull(&self, repo: &RepoName, pull: &Pull) -> Call<()> {
        let number = pull.number.to_string();
        let action = format!("decline pull request {number} of {repo}");
        Call::post(action, &path(repo, &number, &["decline"]), json!({})).gives(|_: IgnoredAny| Ok(()))
    }

    fn comments(&self, repo: &RepoName, pull: u64) -> Call<Page<Comment>> {
        Call::get(
            format!("list the comments on pull request {pull} of {repo}"),
            &path(repo, &pull.to_string(), &["comments"]),
        )
        .query("pagelen", PAGE)
        .gives(move |list: List<PullComment>| Ok(list.page(|comment| comment.on(pull))))
    }

    fn comment(&self, repo: &RepoName, pull: u64, id: u64) -> Call<Option<Comment>> {
        Call::get(
            format!("read comment {id} on pull request {pull} of {repo}"),
            &path(repo, &pull.to_string(), &["comments", &id.to_string()]),
        )
        .reads(move |answer| match answer.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            _ => Ok(answer.json::<PullComment>()?.on(pull)),
        })
    }

    fn create_comment(&self, repo: &RepoName, pull: u64, body: &str) -> Call<Comment> {
        Call::post(
            format!("comment on pull request {pull} of {repo}"),
            &path(repo, &pull.to_string(), &["comments"]),
            json!({"content": {"raw": body}}),
        )
        .gives(move |comment: PullComment| comment.on(pull).ok_or_else(|| Unread::malformed("it is deleted")))
    }

    fn edit_comment(&self, repo: &RepoName, comment: &Comment, body: &str) -> Call<Comment> {
        let pull = comment.pull;
        Call::put(
            format!("edit the comment on pull request {pull} of {repo}"),
            &path(repo, &pull.to_string(), &["comments", &comment.id.to_string()]),
            json!({"content": {"raw": body}}),
        )
        .gives(move |comment: PullComment| comment.on(pull).ok_or_else(|| Unread::malformed("it is deleted")))
    }

    fn delete_comment(&self, repo: &RepoName, comment: &Comment) -> Call<()> {
        Call::delete(
            format!("delete the comment on pull request {} of {repo}", comment.pull),
            &path(repo, &comment.pull.to_string(), &["comments", &comment.id.to_string()]),
        )
    }

    fn react(&self, _repo: &RepoName, _comment: &Comment, _reaction: Reaction) -> Option<Call<()>> {
        None
    }

    fn put_status(&self, repo: &RepoName, status: &Status) -> Call<()> {
        let state = build_state(status.state);
        // It demands a page.
        let commits = || format!("https://bitbucket.org/{repo}/commits/{}", status.commit);
        let body = json!({
            "key": status.key(),
            "name": status.context,
            "state": state,
            "description": status.line(),
            "url": status.page.clone().unwrap_or_else(commits),
        });
        let commit = status.commit.to_string();
        let path = ["repositories", repo.owner(), repo.name(), "commit", &commit, "statuses", "build"];
        Call::post(format!("set the status of {} in {repo}", status.commit.short()), &path, body).repeatable()
    }

    fn checks(&self, repo: &RepoName, commit: Oid) -> Vec<Call<Page<Check>>> {
        let path = ["repositories", repo.owner(), repo.name(), "commit", &commit.to_string(), "statuses"];
        let call = Call::get(format!("read the statuses of {} in {repo}", commit.short()), &path)
            .query("pagelen", PAGE)
            .gives(|list: List<CommitStatus>| Ok(list.page(|status| Some(status.into()))));
        vec![call]
    }

    fn reviews(&self, repo: &RepoName, pull: u64) -> Call<Page<Review>> {
        Call::get(format!("read the reviews of pull request {pull} of {repo}"), &path(repo, &pull.to_string(), &[]))
            .gives(|pull: PullRequest| {
                Ok(Page::whole(pull.participants.into_iter().filter_map(Participant::review).collect()))
            })
    }

    fn permission(&self, repo: &RepoName, account: &Account) -> Vec<Call<Option<Permission>>> {
        let path = ["workspaces", repo.owner(), "permissions", "repositories", repo.name()];
        let id = account.id.clone();
        let call = Call::get(format!("read what {} may do in {repo}", account.login), &path)
            .query("q", format!("user.uuid={}", quoted(&id)))
            .gives(move |list: List<RepositoryPermission>| {
                let is_same = |found: &RepositoryPermission| found.user.as_ref().is_some_and(|user| user.uuid == id);
                Ok(list.values.into_iter().find(is_same).map(|found| match found.permission.as_str() {
                    "admin" => Permission::Admin,
                    "write" => Permission::Write,
                    "read" => Permission::Read,
                    _ => Permission::None,
                }))
            });
        vec![call]
    }

    fn merge(&self, repo: &RepoName, pull: &Pull, method: Method) -> Option<Call<Merged>> {
        let strategy = match method {
            Method::Merge => "merge_commit",
            Method::Squash => "squash",
            Method::FastForward => "fast_forward",
            Method::Rebase => return None,
        };
        let call = Call::post(
            format!("merge pull request {} of {repo}", pull.number),
            &path(repo, &pull.number.to_string(), &["merge"]),
            json!({"type": "pullrequest", "merge_strategy": strategy}),
        );
        Some(call.reads(|answer| match answer.status.as_u16() {
            202 => Ok(Merged::NotYet { said: "the merge is under way".into() }),
            200..=299 => {
                let commit = answer.json::<PullRequest>()?.merge_commit.and_then(|commit| commit.hash.parse().ok());
                Ok(Merged::Done { commit })
            }
            400 | 409 => Ok(Merged::Refused { said: answer.said() }),
            _ => Err(Unread::Refused),
        }))
    }
}
