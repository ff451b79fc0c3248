//! GitLab, `/api/v4` (<https://docs.gitlab.com/api/merge_requests/>, `/api/notes/`, `/api/commits/`, `/api/members/`).
//!
//! A merge request's approvals have no commit: they count for a head only if the project resets them on a push. What it
//! cannot do: rebase or move a branch by the same request that merges; the project's setting says how it merges.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::call::{Answer, Call, Next, Page, Unread};
use super::comment::{Comment, Reaction};
use super::dialect::Dialect;
use super::kind::{Kind, RepoName};
use super::merge::{Merged, Method};
use super::pull::{Account, Opening, Pull, Sketch, SketchedState};
use super::review::{Permission, Review, Verdict};
use super::status::{Check, State, Status};
use crate::git::Oid;

const PAGE: &str = "100";

pub(super) struct GitLab;

#[derive(Deserialize)]
struct User {
    id: u64,
    username: String,
}

impl From<User> for Account {
    fn from(user: User) -> Account {
        // The accounts of a project's and a group's access tokens: `project_7_bot_3f9a…`.
        let numbered = user.username.strip_prefix("project_").or_else(|| user.username.strip_prefix("group_"));
        let rest = numbered.map(|name| name.trim_start_matches(|c: char| c.is_ascii_digit()));
        let is_bot = rest.is_some_and(|name| name.starts_with("_bot"));
        Account { id: user.id.to_string(), login: user.username, is_bot }
    }
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: String,
}

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
    author: User,
    state: String,
    draft: Option<bool>,
    /// What older ones call a draft; newer ones tell both.
    work_in_progress: Option<bool>,
    #[serde(default)]
    labels: Vec<String>,
    /// `null` while a merge request is being prepared.
    sha: Option<String>,
    source_branch: String,
    target_branch: String,
    /// `null` when a fork is gone.
    source_project_id: Option<u64>,
    target_project_id: u64,
    merge_commit_sha: Option<String>,
    squash_commit_sha: Option<String>,
    /// Not in lists. `start_sha` is where the target branch stood.
    diff_refs: Option<DiffRefs>,
    detailed_merge_status: Option<String>,
    web_url: Option<String>,
    updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct DiffRefs {
    start_sha: Option<String>,
}

impl MergeRequest {
    fn sketch(self) -> Result<Sketch, Unread> {
        let head = self.sha.ok_or_else(|| Unread::malformed("the merge request has no head yet"))?;
        let state = match self.state.as_str() {
            "opened" | "locked" => SketchedState::Open,
            // Neither: the branch was moved to the head.
            "merged" => SketchedState::Merged {
                commit: self.merge_commit_sha.or(self.squash_commit_sha).or_else(|| Some(head.clone())),
            },
            _ => SketchedState::Closed,
        };
        let mergeable = match self.detailed_merge_status.as_deref() {
            Some("mergeable") => Some(true),
            None | Some("unchecked" | "checking" | "preparing" | "approvals_syncing") => None,
            Some(_) => Some(false),
        };
        Ok(Sketch {
            number: self.iid,
            head,
            source_branch: self.source_branch,
            source_repository: self.source_project_id.map(|id| id.to_string()),
            base: self.target_branch,
            base_commit: self.diff_refs.and_then(|refs| refs.start_sha),
            author: self.author.into(),
            is_fork: self.source_project_id != Some(self.target_project_id),
            is_draft: self.draft.or(self.work_in_progress).unwrap_or(false),
            labels: Some(self.labels),
            state,
            mergeable,
            page: self.web_url,
            updated: self.updated_at,
            version: None,
        })
    }
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    author: User,
    #[serde(default)]
    body: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// GitLab's own words: `changed the description`.
    #[serde(default)]
    system: bool,
}

impl Note {
    fn on(self, pull: u64) -> Comment {
        Comment {
            pull,
            id: self.id,
            author: self.author.into(),
            body: self.body,
            created: self.created_at,
            edited: Some(self.updated_at).filter(|updated| *updated != self.created_at),
            page: None,
            version: None,
        }
    }
}

#[derive(Deserialize)]
struct CommitStatus {
    name: String,
    status: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    allow_failure: bool,
    author: Option<User>,
    finished_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
}

impl From<CommitStatus> for Check {
    fn from(status: CommitStatus) -> Check {
        let state = match status.status.as_str() {
            "success" => State::Success,
            "skipped" | "manual" => State::Neutral,
            "failed" | "canceled" if status.allow_failure => State::Neutral,
            "failed" => State::Failure,
            "canceled" => State::Error,
            // created, waiting_for_resource, preparing, pending, running, canceling, scheduled
            _ => State::Pending,
        };
        Check {
            context: status.name,
            state,
            description: status.description.unwrap_or_default(),
            author: status.author.map(Account::from),
            updated: status.finished_at.or(status.created_at),
        }
    }
}

#[derive(Deserialize)]
struct Approvals {
    #[serde(default)]
    approved_by: Vec<Approval>,
}

#[derive(Deserialize)]
struct Approval {
    user: User,
    approved_at: Option<Timestamp>,
}

impl From<Approval> for Review {
    fn from(approval: Approval) -> Review {
        Review {
            author: approval.user.into(),
            verdict: Verdict::Approved,
            commit: None,
            is_stale: false,
            submitted: approval.approved_at,
        }
    }
}

#[derive(Deserialize)]
struct Member {
    id: u64,
    access_level: u64,
    #[serde(default)]
    state: Option<String>,
}

/// Where a merge request is; its project is one segment.
fn path<'a>(project: &'a str, number: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["projects", project, "merge_requests", number], rest].concat()
}

impl Dialect for GitLab {
    fn missing_right(&self, answer: &Answer) -> Option<String> {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        (body["error"] == "insufficient_scope").then(|| body["scope"].as_str().map(str::to_owned))?
    }

    fn myself(&self) -> Call<Account> {
        Call::get("read the token's own account", &["user"]).gives(|user: User| Ok(user.into()))
    }

    fn name(&self, repo: &RepoName) -> Call<RepoName> {
        Call::get(format!("read project {repo}"), &["projects", &repo.to_string()]).gives(|project: Project| {
            RepoName::parse(Kind::GitLab, &project.path_with_namespace)
                .ok_or_else(|| Unread::malformed("it has no name"))
        })
    }

    fn open_pulls(&self, repo: &RepoName, base: Option<&str>) -> Call<Page<Sketch>> {
        let path = ["projects", &repo.to_string(), "merge_requests"];
        let list = Call::get(format!("list the merge requests of {repo}"), &path).query("state", "opened");
        let list = base.into_iter().fold(list, |list, base| list.query("target_branch", base));
        list.query("per_page", PAGE).reads(|answer| {
            // One that is being prepared has no head; it is there at the next look.
            let prepared = answer.json::<Vec<MergeRequest>>()?.into_iter().filter(|request| request.sha.is_some());
            let items = prepared.map(MergeRequest::sketch).collect::<Result<_, _>>()?;
            Ok(Page { items, next: Next::query(answer.linked()) })
        })
    }

    fn pull(&self, repo: &RepoName, number: u64) -> Call<Sketch> {
        Call::get(format!("read merge request {number} of {repo}"), &path(&repo.to_string(), &number.to_string(), &[]))
            .gives(MergeRequest::sketch)
    }

    fn open_pull(&self, repo: &RepoName, opening: &Opening) -> Call<Option<Sketch>> {
        let Opening { head, base, title, description } = opening;
        let path = ["projects", &repo.to_string(), "merge_requests"];
        let body = json!({"source_branch": head, "target_branch": base, "title": title, "description": description});
        Call::post(format!("open a merge request of {repo}"), &path, body).reads(|answer| match answer.status {
            StatusCode::CONFLICT => Ok(None),
            // Its head is told a little later.
            _ => Ok(answer.json::<MergeRequest>()?.sketch().ok()),
        })
    }

    fn close_pull(&self, repo: &RepoName, pull: &Pull) -> Call<()> {
        let (project, number) = (repo.to_string(), pull.number.to_string());
        let action = format!("close merge request {number} of {repo}");
        Call::put(action, &path(&project, &number, &[]), json!({"state_event": "close"})).gives(|_: IgnoredAny| Ok(()))
    }

    fn comments(&self, repo: &RepoName, pull: u64) -> Call<Page<Comment>> {
        Call::get(
            format!("list the notes on merge request {pull} of {repo}"),
            &path(&repo.to_string(), &pull.to_string(), &["notes"]),
        )
        .query("per_page", PAGE)
        .reads(move |answer| {
            let written = answer.json::<Vec<Note>>()?.into_iter().filter(|note| !note.system);
            Ok(Page { items: written.map(|note| note.on(pull)).collect(), next: Next::query(answer.linked()) })
        })
    }

    fn comment(&self, repo: &RepoName, pull: u64, id: u64) -> Call<Option<Comment>> {
        Call::get(
            format!("read note {id} on merge request {pull} of {repo}"),
            &path(&repo.to_string(), &pull.to_string(), &["notes", &id.to_string()]),
        )
        .reads(move |answer| match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => Ok(Some(answer.json::<Note>()?.on(pull))),
        })
    }

    fn create_comment(&self, repo: &RepoName, pull: u64, body: &str) -> Call<Comment> {
        Call::post(
            format!("comment on merge request {pull} of {repo}"),
            &path(&repo.to_string(), &pull.to_string(), &["notes"]),
            json!({"body": body}),
        )
        .gives(move |note: Note| Ok(note.on(pull)))
    }

    fn edit_comment(&self, repo: &RepoName, comment: &Comment, body: &str) -> Call<Comment> {
        let pull = comment.pull;
        Call::put(
            format!("edit the note on merge request {pull} of {repo}"),
            &path(&repo.to_string(), &pull.to_string(), &["notes", &comment.id.to_string()]),
            json!({"body": body}),
        )
        .gives(move |note: Note| Ok(note.on(pull)))
    }

    fn delete_comment(&self, repo: &RepoName, comment: &Comment) -> Call<()> {
        Call::delete(
            format!("delete the note on merge request {} of {repo}", comment.pull),
            &path(&repo.to_string(), &comment.pull.to_string(), &["notes", &comment.id.to_string()]),
        )
    }

    fn react(&self, repo: &RepoName, comment: &Comment, reaction: Reaction) -> Option<Call<()>> {
        let name = match reaction {
            Reaction::Up => "thumbsup",
            Reaction::Down => "thumbsdown",
        };
        let call = Call::post(
            format!("react to a note on merge request {} of {repo}", comment.pull),
            &path(&repo.to_string(), &comment.pull.to_string(), &["notes", &comment.id.to_string(), "award_emoji"]),
            json!({"name": name}),
        );
        Some(call.repeatable().reads(|answer| match answer.status.is_success() {
            true => Ok(()),
            // There is one already, which it tells in words, with the status of what is missing.
            false if answer.said().contains("already been taken") => Ok(()),
            false => Err(Unread::Refused),
        }))
    }

    fn put_status(&self, repo: &RepoName, status: &Status) -> Call<()> {
        let state = match status.state {
            State::Success | State::Neutral => "success",
            State::Pending => "pending",
            State::Failure | State::Error => "failed",
        };
        let mut body = json!({"name": status.context, "state": state, "description": status.line()});
        if let Some(branch) = &status.branch {
            body["ref"] = json!(branch);
        }
        if let Some(page) = &status.page {
            body["target_url"] = json!(page);
        }
        let path = ["projects", &repo.to_string(), "statuses", &status.commit.to_string()];
        let call = Call::post(format!("set the status of {} in {repo}", status.commit.short()), &path, body);
        call.repeatable().reads(|answer| match answer.status.as_u16() {
            200..=299 => Ok(()),
            // It is said already; the description changes with the state alone.
            400 if answer.said().contains("Cannot transition status") => Ok(()),
            _ => Err(Unread::Refused),
        })
    }

    fn checks(&self, repo: &RepoName, commit: Oid) -> Vec<Call<Page<Check>>> {
        let path = ["projects", &repo.to_string(), "repository", "commits", &commit.to_string(), "statuses"];
        let call = Call::get(format!("read the statuses of {} in {repo}", commit.short()), &path)
            .query("per_page", PAGE)
            .reads(|answer| {
                let items = answer.json::<Vec<CommitStatus>>()?.into_iter().map(Check::from).collect();
                Ok(Page { items, next: Next::query(answer.linked()) })
            });
        vec![call]
    }

    fn reviews(&self, repo: &RepoName, pull: u64) -> Call<Page<Review>> {
        Call::get(
            format!("read the approvals of merge request {pull} of {repo}"),
            &path(&repo.to_string(), &pull.to_string(), &["approvals"]),
        )
        .gives(|approvals: Approvals| Ok(Page::whole(approvals.approved_by.into_iter().map(Review::from).collect())))
    }

    fn permission(&self, repo: &RepoName, account: &Account) -> Vec<Call<Option<Permission>>> {
        // With those whom groups bring along.
        let path = ["projects", &repo.to_string(), "members", "all", &account.id];
        let id = account.id.clone();
        let call = Call::get(format!("read what {} may do in {repo}", account.login), &path).reads(move |answer| {
            if answer.status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let member: Member = answer.json()?;
            let is_active = member.state.is_none_or(|state| state == "active");
            Ok((is_active && member.id.to_string() == id).then_some(match member.access_level {
                40.. => Permission::Admin,
                30.. => Permission::Write,
                10.. => Permission::Read,
                _ => Permission::None,
            }))
        });
        vec![call]
    }

    fn merge(&self, repo: &RepoName, pull: &Pull, method: Method) -> Option<Call<Merged>> {
        let squash = match method {
            Method::Merge => false,
            Method::Squash => true,
            Method::Rebase | Method::FastForward => return None,
        };
        let call = Call::put(
            format!("merge merge request {} of {repo}", pull.number),
            &path(&repo.to_string(), &pull.number.to_string(), &["merge"]),
            json!({"sha": pull.head.to_string(), "squash": squash}),
        );
        Some(call.once().reads(|answer| {
            let said = answer.said();
            match answer.status.as_u16() {
                200..=299 => match answer.json::<MergeRequest>()?.sketch()?.state {
                    SketchedState::Merged { commit } => {
                        Ok(Merged::Done { commit: commit.and_then(|id| id.parse().ok()) })
                    }
                    // Accepted; it is merged in the background.
                    _ => Ok(Merged::NotYet { said: "the merge is under way".into() }),
                },
                409 => Ok(Merged::HeadMoved),
                // 401: this account may not merge. The credential was good a moment ago.
                401 | 403 | 405 | 406 | 422 => Ok(Merged::Refused { said }),
                _ => Err(Unread::Refused),
            }
        }))
    }
}
