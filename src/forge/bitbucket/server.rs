//! Bitbucket Data Center, `/rest/api/1.0` and `/rest/build-status/1.0`
//! (<https://developer.atlassian.com/server/bitbucket/rest/>).
//!
//! Comments are among the activities of a pull request, and want their version with each change. What it cannot do:
//! labels, reactions.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::super::call::{Answer, Call, Next, Page, Unread};
use super::super::comment::{Comment, Reaction};
use super::super::dialect::Dialect;
use super::super::kind::{Kind, RepoName};
use super::super::merge::{Merged, Method};
use super::super::pull::{Account, Opening, Pull, Sketch, SketchedState};
use super::super::review::{Permission, Review, Verdict};
use super::super::status::{Check, Status};
use super::{build_state, state_of_build};
use crate::git::Oid;

const PAGE: &str = "100";

pub(in super::super) struct Server;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List<T> {
    values: Vec<T>,
    is_last_page: bool,
    next_page_start: Option<u64>,
}

impl<T> List<T> {
    fn page<U>(self, of: impl Fn(T) -> Option<U>) -> Page<U> {
        let next = self.next_page_start.filter(|_| !self.is_last_page);
        Page {
            items: self.values.into_iter().filter_map(of).collect(),
            next: Next::query(next.map(|start| vec![("start".into(), start.to_string())])),
        }
    }
}

/// Milliseconds, or text where an administrator wants it so.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Date {
    Milliseconds(i64),
    Text(Timestamp),
}

impl Date {
    fn timestamp(self) -> Option<Timestamp> {
        match self {
            Date::Milliseconds(milliseconds) => Timestamp::from_millisecond(milliseconds).ok(),
            Date::Text(timestamp) => Some(timestamp),
        }
    }
}

#[derive(Deserialize)]
struct User {
    id: u64,
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
}

impl From<User> for Account {
    fn from(user: User) -> Account {
        Account { id: user.id.to_string(), login: user.name, is_bot: user.kind == "SERVICE" }
    }
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    slug: String,
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequest {
    id: u64,
    version: u64,
    state: String,
    #[serde(default)]
    draft: bool,
    from_ref: Reference,
    to_ref: Reference,
    author: Participant,
    #[serde(default)]
    reviewers: Vec<Participant>,
    #[serde(default)]
    participants: Vec<Participant>,
    properties: Option<Properties>,
    #[serde(default)]
    links: Links,
    updated_date: Option<Date>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    display_id: String,
    latest_commit: String,
    repository: Repository,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    merge_commit: Option<Commit>,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
}

#[derive(Default, Deserialize)]
struct Links {
    #[serde(default, rename = "self")]
    own: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Participant {
    user: User,
    #[serde(default)]
    status: String,
    last_reviewed_commit: Option<String>,
}

impl Participant {
    fn review(self) -> Option<Review> {
        let verdict = match self.status.as_str() {
            "APPROVED" => Verdict::Approved,
            "NEEDS_WORK" => Verdict::ChangesRequested,
            _ => return None,
        };
        let commit = self.last_reviewed_commit.and_then(|id| id.parse().ok());
        Some(Review { author: self.user.into(), verdict, commit, is_stale: false, submitted: None })
    }
}

impl From<PullRequest> for Sketch {
    fn from(pull: PullRequest) -> Sketch {
        let state = match pull.state.as_str() {
            "OPEN" => SketchedState::Open,
            "MERGED" => {
                let commit = pull.properties.and_then(|properties| properties.merge_commit);
                SketchedState::Merged { commit: commit.map(|commit| commit.id) }
            }
            _ => SketchedState::Closed,
        };
        let source = &pull.from_ref.repository;
        Sketch {
            number: pull.id,
            is_fork: source.id != pull.to_ref.repository.id,
            source_repository: Some(format!("{}/{}", source.project.key, source.slug)),
            head: pull.from_ref.latest_commit,
            source_branch: pull.from_ref.display_id,
            base: pull.to_ref.display_id,
            base_commit: Some(pull.to_ref.latest_commit),
            author: pull.author.user.into(),
            is_draft: pull.draft,
            labels: None,
            state,
            mergeable: None,
            page: pull.links.own.into_iter().next().map(|link| link.href),
            updated: pull.updated_date.and_then(Date::timestamp),
            version: Some(pull.version),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullComment {
    id: u64,
    version: u64,
    text: String,
    author: User,
    created_date: Date,
    updated_date: Option<Date>,
    /// Answers to it.
    #[serde(default)]
    comments: Vec<PullComment>,
}

impl PullComment {
    fn on(self, pull: u64) -> Result<Comment, Unread> {
        let created = self.created_date.timestamp().ok_or_else(|| Unread::malformed("createdDate is no time"))?;
        Ok(Comment {
            pull,
            id: self.id,
            author: self.author.into(),
            body: self.text,
            created,
            edited: self.updated_date.and_then(Date::timestamp).filter(|updated| *updated != created),
            page: None,
            version: Some(self.version),
        })
    }

    /// Itself and all answers, however deep.
    fn flat(mut self, into: &mut Vec<PullComment>) {
        let answers = std::mem::take(&mut self.comments);
        into.push(self);
        answers.into_iter().for_each(|answer| answer.flat(into));
    }
}

#[derive(Deserialize)]
struct Activity {
    action: String,
    comment: Option<PullComment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BuildStatus {
    key: String,
    state: String,
    #[serde(default)]
    description: Option<String>,
    date_added: Option<Date>,
}

impl From<BuildStatus> for Check {
    fn from(status: BuildStatus) -> Check {
        let state = state_of_build(&status.state);
        Check {
            context: status.key,
            state,
            description: status.description.unwrap_or_default(),
            author: None,
            updated: status.date_added.and_then(Date::timestamp),
        }
    }
}

/// The class of the first error: what tells one conflict from another.
fn exception(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["errors"][0]["exceptionName"].as_str().unwrap_or_default().to_owned()
}

fn path<'a>(repo: &'a RepoName, rest: &[&'a str]) -> Vec<&'a str> {
    [&["api", "1.0", "projects", repo.owner(), "repos", repo.name()], rest].concat()
}

impl Dialect for Server {
    fn missing_right(&self, _answer: &Answer) -> Option<String> {
        None
    }

    /// It has no such request, and tells it with every answer.
    fn myself(&self) -> Call<Account> {
        Call::get("read the token's own account", &["api", "1.0", "application-properties"]).reads(|answer| {
            if !answer.status.is_success() {
                return Err(Unread::Refused);
            }
            let told = |name| answer.header(name).filter(|value| !value.is_empty()).map(str::to_owned);
            match (told("x-auserid"), told("x-ausername")) {
                (Some(id), Some(login)) => Ok(Account { id, login, is_bot: false }),
                // Everybody may ask this.
                _ => Err(Unread::malformed("the server takes us for nobody: the token is wrong or has expired")),
            }
        })
    }

    fn name(&self, repo: &RepoName) -> Call<RepoName> {
        Call::get(format!("read repository {repo}"), &path(repo, &[])).gives(|repo: Repository| {
            RepoName::parse(Kind::BitbucketServer, &format!("{}/{}", repo.project.key, repo.slug))
                .ok_or_else(|| Unread::malformed("it has no name"))
        })
    }

    fn open_pulls(&self, repo: &RepoName, base: Option<&str>) -> Call<Page<Sketch>> {
        let list = Call::get(format!("list the pull requests of {repo}"), &path(repo, &["pull-requests"]))
            .query("state", "OPEN");
        let list = base.into_iter().fold(list, |list, base| list.query("at", format!("refs/heads/{base}")));
        list.query("limit", PAGE).gives(|list: List<PullRequest>| Ok(list.page(|pull| Some(pull.into()))))
    }

    fn pull(&self, repo: &RepoName, number: u64) -> Call<Sketch> {
        let number_path = number.to_string();
        Call::get(format!("read pull request {number} of {repo}"), &path(repo, &["pull-requests", &number_path]))
            .gives(|pull: PullRequest| Ok(pull.into()))
    }

    fn open_pull(&self, repo: &RepoName, opening: &Opening) -> Call<Option<Sketch>> {
        let Opening { head, base, title, description } = opening;
        let branch = |name: &str| json!({"id": format!("refs/heads/{name}")});
        let body = json!({"fromRef": branch(head), "toRef": branch(base), "title": title, "description": description});
        Call::post(format!("open a pull request of {repo}"), &path(repo, &["pull-requests"]), body).reads(|answer| {
            match answer.status {
                StatusCode::CONFLICT if exception(answer).ends_with("DuplicatePullRequestException") => Ok(None),
                _ => Ok(Some(answer.json::<PullRequest>()?.into())),
            }
        })
    }

    fn close_pull(&self, repo: &RepoName, pull: &Pull) -> Call<()> {
        let number = pull.number.to_string();
        let action = format!("decline pull request {number} of {repo}");
        let call = Call::post(action, &path(repo, &["pull-requests", &number, "decline"]), json!({}));
        call.query("version", pull.version.unwrap_or_default().to_string()).gives(|_: IgnoredAny| Ok(()))
    }

    fn comments(&self, repo: &RepoName, pull: u64) -> Call<Page<Comment>> {
        Call::get(
            format!("list the comments on pull request {pull} of {repo}"),
            &path(repo, &["pull-requests", &pull.to_string(), "activities"]),
        )
        .query("limit", PAGE)
        .gives(move |list: List<Activity>| {
            let page = list.page(|activity| activity.comment.filter(|_| activity.action == "COMMENTED"));
            let mut comments = Vec::new();
            page.items.into_iter().for_each(|comment| comment.flat(&mut comments));
            let items = comments.into_iter().map(|comment| comment.on(pull)).collect::<Result<_, _>>()?;
            Ok(Page { items, next: page.next })
        })
    }

    fn comment(&self, repo: &RepoName, pull: u64, id: u64) -> Call<Option<Comment>> {
        Call::get(
            format!("read comment {id} on pull request {pull} of {repo}"),
            &path(repo, &["pull-requests", &pull.to_string(), "comments", &id.to_string()]),
        )
        .reads(move |answer| match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => Ok(Some(answer.json::<PullComment>()?.on(pull)?)),
        })
    }

    fn create_comment(&self, repo: &RepoName, pull: u64, body: &str) -> Call<Comment> {
        Call::post(
            format!("comment on pull request {pull} of {repo}"),
            &path(repo, &["pull-requests", &pull.to_string(), "comments"]),
            json!({"text": body}),
        )
        .gives(move |comment: PullComment| comment.on(pull))
    }

    fn edit_comment(&self, repo: &RepoName, comment: &Comment, body: &str) -> Call<Comment> {
        let pull = comment.pull;
        Call::put(
            format!("edit the comment on pull request {pull} of {repo}"),
            &path(repo, &["pull-requests", &pull.to_string(), "comments", &comment.id.to_string()]),
            json!({"text": body, "version": comment.version.unwrap_or_default()}),
        )
        .gives(move |comment: PullComment| comment.on(pull))
    }

    fn delete_comment(&self, repo: &RepoName, comment: &Comment) -> Call<()> {
        Call::delete(
            format!("delete the comment on pull request {} of {repo}", comment.pull),
            &path(repo, &["pull-requests", &comment.pull.to_string(), "comments", &comment.id.to_string()]),
        )
        .query("version", comment.version.unwrap_or_default().to_string())
    }

    fn react(&self, _repo: &RepoName, _comment: &Comment, _reaction: Reaction) -> Option<Call<()>> {
        None
    }

    fn put_status(&self, repo: &RepoName, status: &Status) -> Call<()> {
        let state = build_state(status.state);
        let body = json!({
            "key": status.key(),
            "name": status.context,
            "state": state,
            "description": status.line(),
            // It demands a page, and looks at it as little as people do when there is nothing to read.
            "url": status.page.as_deref().unwrap_or("https://leeboard.dev"),
        });
        let path = ["build-status", "1.0", "commits", &status.commit.to_string()];
        Call::post(format!("set the status of {} in {repo}", status.commit.short()), &path, body).repeatable()
    }

    fn checks(&self, repo: &RepoName, commit: Oid) -> Vec<Call<Page<Check>>> {
        let path = ["build-status", "1.0", "commits", &commit.to_string()];
        let call = Call::get(format!("read the statuses of {} in {repo}", commit.short()), &path)
            .query("limit", PAGE)
            .gives(|list: List<BuildStatus>| Ok(list.page(|status| Some(status.into()))));
        vec![call]
    }

    fn reviews(&self, repo: &RepoName, pull: u64) -> Call<Page<Review>> {
        Call::get(
            format!("read the reviews of pull request {pull} of {repo}"),
            &path(repo, &["pull-requests", &pull.to_string()]),
        )
        .gives(|pull: PullRequest| {
            let everybody = pull.reviewers.into_iter().chain(pull.participants);
            Ok(Page::whole(everybody.filter_map(Participant::review).collect()))
        })
    }

    fn permission(&self, repo: &RepoName, account: &Account) -> Vec<Call<Option<Permission>>> {
        // It tells who has a permission, whatever way it came by; from the highest down, the first that names the
        // account is the one.
        let levels =
            [("REPO_ADMIN", Permission::Admin), ("REPO_WRITE", Permission::Write), ("REPO_READ", Permission::Read)];
        let calls = levels.into_iter().map(|(word, permission)| {
            let id = account.id.clone();
            Call::get(format!("read what {} may do in {repo}", account.login), &["api", "1.0", "users"])
                .query("filter", account.login.as_str())
                .query("permission.1", word)
                .query("permission.1.projectKey", repo.owner())
                .query("permission.1.repositorySlug", repo.name())
                .query("limit", PAGE)
                .gives(move |list: List<User>| {
                    Ok(list.values.iter().any(|user| user.id.to_string() == id).then_some(permission))
                })
        });
        calls.collect()
    }

    fn merge(&self, repo: &RepoName, pull: &Pull, method: Method) -> Option<Call<Merged>> {
        let strategy = match method {
            Method::Merge => "no-ff",
            Method::Squash => "squash",
            Method::Rebase => "rebase-no-ff",
            Method::FastForward => "ff-only",
        };
        let call = Call::post(
            format!("merge pull request {} of {repo}", pull.number),
            &path(repo, &["pull-requests", &pull.number.to_string(), "merge"]),
            json!({"strategyId": strategy}),
        );
        Some(call.query("version", pull.version.unwrap_or_default().to_string()).reads(|answer| {
            match answer.status.as_u16() {
                200..=299 => match Sketch::from(answer.json::<PullRequest>()?).state {
                    SketchedState::Merged { commit } => {
                        Ok(Merged::Done { commit: commit.and_then(|id| id.parse().ok()) })
                    }
                    _ => Ok(Merged::NotYet { said: "the merge is under way".into() }),
                },
                // Anything of it may have changed; the caller looks at what is now.
                409 if exception(answer).ends_with("PullRequestOutOfDateException") => Ok(Merged::HeadMoved),
                400 | 409 => Ok(Merged::Refused { said: answer.said() }),
                _ => Err(Unread::Refused),
            }
        }))
    }
}
