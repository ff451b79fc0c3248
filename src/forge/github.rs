//! GitHub, `/` of api.github.com, and GitHub Enterprise, `/api/v3` (<https://docs.github.com/rest>, version 2022-11-28).
//!
//! Checks are in two places, commit statuses and check runs; both are read. Statuses are set by everybody, check runs by
//! Apps only. What it cannot do: merge by moving a branch.

mod check_run;

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
use super::status::{Check, Report, State, Status};
use crate::git::Oid;

const PAGE: &str = "100";

pub(super) struct GitHub;

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) login: String,
    #[serde(default, rename = "type")]
    kind: String,
}

impl From<User> for Account {
    fn from(user: User) -> Account {
        Account { id: user.id.to_string(), is_bot: user.kind == "Bot", login: user.login }
    }
}

/// Whose account is gone: what GitHub itself shows instead.
fn ghost() -> Account {
    Account { id: "10137".into(), login: "ghost".into(), is_bot: false }
}

fn account(user: Option<User>) -> Account {
    user.map_or_else(ghost, Account::from)
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
}

#[derive(Deserialize)]
struct PullRequest {
    number: u64,
    user: Option<User>,
    state: String,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    labels: Vec<Label>,
    head: Branch,
    base: Branch,
    /// Not in lists.
    mergeable: Option<bool>,
    merged_at: Option<Timestamp>,
    /// Before the merge: a trial merge of GitHub's own.
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
    /// `null` when a fork is gone.
    repo: Option<Repository>,
}

impl From<PullRequest> for Sketch {
    fn from(pull: PullRequest) -> Sketch {
        let state = match (pull.merged_at, pull.state.as_str()) {
            (Some(_), _) => SketchedState::Merged { commit: pull.merge_commit_sha },
            (None, "open") => SketchedState::Open,
            (None, _) => SketchedState::Closed,
        };
        let is_same = match (&pull.head.repo, &pull.base.repo) {
            (Some(head), Some(base)) => head.id == base.id,
            _ => false,
        };
        Sketch {
            number: pull.number,
            head: pull.head.sha,
            source_branch: pull.head.name,
            source_repository: pull.head.repo.map(|repo| repo.full_name),
            base: pull.base.name,
            base_commit: Some(pull.base.sha),
            author: account(pull.user),
            is_fork: !is_same,
            is_draft: pull.draft,
            labels: Some(pull.labels.into_iter().map(|label| label.name).collect()),
            state,
            mergeable: pull.mergeable,
            page: pull.html_url,
            updated: pull.updated_at,
            version: None,
        }
    }
}

impl From<Option<User>> for Author {
    fn from(user: Option<User>) -> Author {
        Author(account(user))
    }
}

#[derive(Deserialize)]
struct CombinedStatus {
    statuses: Vec<CommitStatus>,
}

#[derive(Deserialize)]
struct CommitStatus {
    context: String,
    state: String,
    #[serde(default)]
    description: Option<String>,
    updated_at: Option<Timestamp>,
}

impl From<CommitStatus> for Check {
    fn from(status: CommitStatus) -> Check {
        let state = match status.state.as_str() {
            "success" => State::Success,
            "pending" => State::Pending,
            "failure" => State::Failure,
            _ => State::Error,
        };
        let (context, description) = (status.context, status.description.unwrap_or_default());
        Check { context, state, description, author: None, updated: status.updated_at }
    }
}

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

#[derive(Deserialize)]
struct CheckRun {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    completed_at: Option<Timestamp>,
    app: Option<App>,
    output: Option<Output>,
}

#[derive(Deserialize)]
struct App {
    id: u64,
    #[serde(default)]
    slug: Option<String>,
}

#[derive(Deserialize)]
struct Output {
    title: Option<String>,
}

impl From<CheckRun> for Check {
    fn from(run: CheckRun) -> Check {
        let state = match (run.status.as_str(), run.conclusion.as_deref()) {
            ("completed", Some("success")) => State::Success,
            ("completed", Some("neutral" | "skipped")) => State::Neutral,
            ("completed", Some("failure" | "action_required")) => State::Failure,
            ("completed", _) => State::Error,
            _ => State::Pending,
        };
        let by =
            |app: App| Account { id: format!("app/{}", app.id), login: app.slug.unwrap_or_default(), is_bot: true };
        Check {
            context: run.name,
            state,
            description: run.output.and_then(|output| output.title).unwrap_or_default(),
            author: run.app.map(by),
            updated: run.completed_at,
        }
    }
}

#[derive(Deserialize)]
struct PullReview {
    user: Option<User>,
    state: String,
    commit_id: Option<String>,
    submitted_at: Option<Timestamp>,
}

impl PullReview {
    fn review(self) -> Option<Review> {
        let (verdict, is_stale) = match self.state.as_str() {
            "APPROVED" => (Verdict::Approved, false),
            "CHANGES_REQUESTED" => (Verdict::ChangesRequested, false),
            "COMMENTED" => (Verdict::Commented, false),
            // It does not say any more what it was.
            "DISMISSED" => (Verdict::Commented, true),
            // Not given yet.
            _ => return None,
        };
        let commit = self.commit_id.and_then(|id| id.parse().ok());
        Some(Review { author: account(self.user), verdict, commit, is_stale, submitted: self.submitted_at })
    }
}

#[derive(Deserialize)]
struct AccessLevel {
    permission: String,
    user: Option<User>,
}

#[derive(Deserialize)]
struct MergeResult {
    sha: Option<String>,
}

fn page_of<A, T>(answer: &Answer, items: Vec<A>, of: impl Fn(A) -> Option<T>) -> Page<T> {
    Page { items: items.into_iter().filter_map(of).collect(), next: Next::query(answer.linked()) }
}

impl Dialect for GitHub {
    fn missing_right(&self, answer: &Answer) -> Option<String> {
        // Of an App or a fine-grained token: `issues=write; pull_requests=write`, any of which would do.
        let fine = answer.header("x-accepted-github-permissions").filter(|rights| !rights.is_empty());
        // Of a classic token: `repo, public_repo`.
        let classic = answer.header("x-accepted-oauth-scopes").filter(|scopes| !scopes.is_empty());
        fine.or(classic).map(|rights| super::call::plain(rights, 100))
    }

    fn myself(&self) -> Call<Account> {
        Call::get("read the token's own account", &["user"]).gives(|user: User| Ok(user.into()))
    }

    fn name(&self, repo: &RepoName) -> Call<RepoName> {
        Call::get(format!("read repository {repo}"), &["repos", repo.owner(), repo.name()]).gives(|repo: Repository| {
            RepoName::parse(Kind::GitHub, &repo.full_name).ok_or_else(|| Unread::malformed("it has no name"))
        })
    }

    fn open_pulls(&self, repo: &RepoName, base: Option<&str>) -> Call<Page<Sketch>> {
        let list =
            Call::get(format!("list the pull requests of {repo}"), &["repos", repo.owner(), repo.name(), "pulls"])
                .query("state", "open");
        let list = base.into_iter().fold(list, |list, base| list.query("base", base));
        list.query("per_page", PAGE)
            .reads(|answer| Ok(page_of(answer, answer.json::<Vec<PullRequest>>()?, |pull| Some(pull.into()))))
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
            // Among other reasons; whoever asked looks for one, and says so if there is none.
            StatusCode::UNPROCESSABLE_ENTITY if answer.said().contains("already exists") => Ok(None),
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
        Call::get(format!("list the comments on pull request {pull} of {repo}"), &path).query("per_page", PAGE).reads(
            move |answer| {
                Ok(page_of(answer, answer.json::<Vec<IssueComment<Option<User>>>>()?, |comment| Some(comment.on(pull))))
            },
        )
    }

    fn comment(&self, repo: &RepoName, pull: u64, id: u64) -> Call<Option<Comment>> {
        let path = ["repos", repo.owner(), repo.name(), "issues", "comments", &id.to_string()];
        Call::get(format!("read comment {id} on pull request {pull} of {repo}"), &path).reads(
            move |answer| match answer.status {
                StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
                _ => Ok(Some(answer.json::<IssueComment<Option<User>>>()?.on(pull))),
            },
        )
    }

    fn create_comment(&self, repo: &RepoName, pull: u64, body: &str) -> Call<Comment> {
        issue_comment::create::<Option<User>>(repo, pull, body)
    }

    fn edit_comment(&self, repo: &RepoName, comment: &Comment, body: &str) -> Call<Comment> {
        issue_comment::edit::<Option<User>>(repo, comment, body)
    }

    fn delete_comment(&self, repo: &RepoName, comment: &Comment) -> Call<()> {
        issue_comment::delete(repo, comment)
    }

    fn react(&self, repo: &RepoName, comment: &Comment, reaction: Reaction) -> Option<Call<()>> {
        Some(issue_comment::react(repo, comment, reaction))
    }

    fn put_status(&self, repo: &RepoName, status: &Status) -> Call<()> {
        let state = match status.state {
            // It has no word for what nobody has looked at.
            State::Success | State::Neutral => "success",
            State::Pending => "pending",
            State::Failure => "failure",
            State::Error => "error",
        };
        let mut body = json!({"context": status.context, "state": state, "description": status.line()});
        if let Some(page) = &status.page {
            body["target_url"] = json!(page);
        }
        let path = ["repos", repo.owner(), repo.name(), "statuses", &status.commit.to_string()];
        Call::post(format!("set the status of {} in {repo}", status.commit.short()), &path, body).repeatable()
    }

    fn report(&self, repo: &RepoName, commit: Oid, context: &str, me: &Account) -> Option<Call<Option<u64>>> {
        let (name, login) = (context.to_owned(), me.login.clone());
        let path = ["repos", repo.owner(), repo.name(), "commits", &commit.to_string(), "check-runs"];
        let call = Call::get(format!("read the check runs of {} in {repo}", commit.short()), &path);
        Some(call.query("check_name", context).query("per_page", PAGE).gives(move |runs: CheckRuns| {
            let is_ours = |run: &CheckRun| {
                let slug = run.app.as_ref().and_then(|app| app.slug.as_deref()).unwrap_or_default();
                run.name == name && format!("{slug}[bot]") == login
            };
            Ok(runs.check_runs.iter().filter(|run| is_ours(run)).map(|run| run.id).max())
        }))
    }

    fn put_report(&self, repo: &RepoName, report: &Report, id: Option<u64>) -> Option<Call<()>> {
        let (status, body) = (&report.status, check_run::body(report));
        let action = format!("report on {} in {repo}", status.commit.short());
        let path = ["repos", repo.owner(), repo.name(), "check-runs"];
        Some(match id {
            Some(id) => Call::patch(action, &[&path[..], &[&id.to_string()]].concat(), body),
            None => Call::post(action, &path, body),
        })
    }

    fn checks(&self, repo: &RepoName, commit: Oid) -> Vec<Call<Page<Check>>> {
        let commit_path = ["repos", repo.owner(), repo.name(), "commits", &commit.to_string()];
        let list = |what: &str, last: &str| {
            let action = format!("read the {what} of {} in {repo}", commit.short());
            Call::get(action, &[&commit_path[..], &[last]].concat()).query("per_page", PAGE)
        };
        let statuses = list("statuses", "status").reads(|answer| {
            Ok(page_of(answer, answer.json::<CombinedStatus>()?.statuses, |status| Some(status.into())))
        });
        let runs = list("check runs", "check-runs")
            .reads(|answer| Ok(page_of(answer, answer.json::<CheckRuns>()?.check_runs, |run| Some(run.into()))));
        vec![statuses, runs]
    }

    fn reviews(&self, repo: &RepoName, pull: u64) -> Call<Page<Review>> {
        let path = ["repos", repo.owner(), repo.name(), "pulls", &pull.to_string(), "reviews"];
        Call::get(format!("list the reviews of pull request {pull} of {repo}"), &path)
            .query("per_page", PAGE)
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
                "admin" => Permission::Admin,
                "write" | "maintain" => Permission::Write,
                "read" | "triage" => Permission::Read,
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
            Method::FastForward => return None,
        };
        let path = ["repos", repo.owner(), repo.name(), "pulls", &pull.number.to_string(), "merge"];
        let body = json!({"merge_method": way, "sha": pull.head.to_string()});
        let call = Call::put(format!("merge pull request {} of {repo}", pull.number), &path, body).once();
        Some(call.reads(|answer| {
            match answer.status.as_u16() {
                200..=299 => {
                    let commit = answer.json::<MergeResult>()?.sha.and_then(|id| id.parse().ok());
                    Ok(Merged::Done { commit })
                }
                // The only conflict that this request has: `sha` is not the head any more.
                409 => Ok(Merged::HeadMoved),
                405 | 422 => Ok(Merged::Refused { said: answer.said() }),
                _ => Err(Unread::Refused),
            }
        }))
    }
}
