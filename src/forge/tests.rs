//! Every forge's requests and answers, without a forge.
//!
//! The answers in `tests/fixtures/forge` are written after the documentation of each, with the fields in the form in
//! which it gives them: <https://docs.github.com/rest> (pulls, issues, commits, checks, collaborators),
//! <https://docs.gitlab.com/api/> (merge_requests, notes, commits, merge_request_approvals, members),
//! <https://docs.gitea.com/api/1.26/>, <https://developer.atlassian.com/cloud/bitbucket/rest/> (pullrequests, commit
//! statuses, workspaces) and <https://developer.atlassian.com/server/bitbucket/rest/> (pull requests, build status,
//! system). Those of Gitea are what a real one says, `tests/forge` shows. Answers that others have recorded of the
//! real forges are read by [`recorded`] where they lie.

mod answers;
mod conversation;
mod recorded;
mod requests;

use std::path::PathBuf;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use super::call::{Answer, Call, Unread};
use super::comment::Comment;
use super::kind::{Kind, RepoName};
use super::pull::Account;

const HEAD: &str = "3f9a1c2b7d5e4f60718293a4b5c6d7e8f9012345";
const BASE: &str = "1c2d3e4f5061728394a5b6c7d8e9f00112233445";
const MERGE: &str = "9a1b2c3d4e5f60718293a4b5c6d7e8f901234567";

fn shop(kind: Kind) -> RepoName {
    let owner = if kind == Kind::BitbucketServer { "PLAT" } else { "platform" };
    RepoName::parse(kind, &format!("{owner}/shop")).unwrap()
}

fn jane(kind: Kind) -> Account {
    let id = if kind == Kind::BitbucketCloud { "{jane-uuid}" } else { "7" };
    Account { id: id.into(), login: "jane".into(), is_bot: false }
}

fn comment(kind: Kind) -> Comment {
    Comment {
        pull: 482,
        id: 5001,
        author: jane(kind),
        body: "hello".into(),
        created: Timestamp::UNIX_EPOCH,
        edited: None,
        page: None,
        version: (kind == Kind::BitbucketServer).then_some(2),
    }
}

fn fixture(kind: Kind, name: &str) -> Vec<u8> {
    let folder = match kind {
        Kind::BitbucketCloud => "bitbucket-cloud",
        Kind::BitbucketServer => "bitbucket-server",
        other => other.as_str(),
    };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/forge/{folder}/{name}.json"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let mut headers: HeaderMap = headers.collect();
    headers.entry("content-type").or_insert("application/json".parse().unwrap());
    Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_vec() }
}

/// What a call makes of an answer.
fn read<T>(call: &Call<T>, status: u16, body: &[u8]) -> Result<T, Unread> {
    (call.read)(&answer(status, &[], body))
}

/// What a call makes of a fixture.
fn given<T>(kind: Kind, call: &Call<T>, name: &str) -> T {
    read(call, 200, &fixture(kind, name)).unwrap_or_else(|unread| panic!("{kind} {name}: {unread:?}"))
}
