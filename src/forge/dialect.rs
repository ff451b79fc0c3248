//! [`Dialect`]: what a forge calls the things that all of them have. Pure: it makes requests and reads answers.

use super::bitbucket::{Cloud, Server};
use super::call::{Answer, Call, Page};
use super::comment::{Comment, Reaction};
use super::gitea::Gitea;
use super::github::GitHub;
use super::gitlab::GitLab;
use super::kind::{Kind, RepoName};
use super::merge::{Merged, Method};
use super::pull::{Account, Opening, Pull, Sketch};
use super::review::{Permission, Review};
use super::status::{Check, Report, Status};
use crate::git::Oid;

/// One forge's API. One file per forge; no file knows another, none knows the network. What two of them have word for word is
/// in a file of its own: [`super::issue_comment`], `bitbucket`.
///
/// What a forge does not offer is `None`, never an error.
pub(super) trait Dialect: Send + Sync {
    /// The right that is missing, in the forge's name for it, told by an answer that says no.
    fn missing_right(&self, answer: &Answer) -> Option<String>;

    /// Who we are.
    fn myself(&self) -> Call<Account>;

    /// The name that a repository has now.
    fn name(&self, repo: &RepoName) -> Call<RepoName>;

    /// The open pull requests that are for this branch, or for any.
    fn open_pulls(&self, repo: &RepoName, base: Option<&str>) -> Call<Page<Sketch>>;

    /// One pull request.
    fn pull(&self, repo: &RepoName, number: u64) -> Call<Sketch>;

    /// The head in full, on a forge that cuts it short.
    fn whole_head(&self, _repo: &RepoName, _number: u64) -> Option<Call<Oid>> {
        None
    }

    /// A new pull request; `None` when there is one of these branches already, or the head is not known yet.
    fn open_pull(&self, repo: &RepoName, opening: &Opening) -> Call<Option<Sketch>>;

    /// A pull request that is not to be merged.
    fn close_pull(&self, repo: &RepoName, pull: &Pull) -> Call<()>;

    /// All comments on a pull request, in no order.
    fn comments(&self, repo: &RepoName, pull: u64) -> Call<Page<Comment>>;

    /// One comment; `None` when it is gone.
    fn comment(&self, repo: &RepoName, pull: u64, id: u64) -> Call<Option<Comment>>;

    /// A new comment.
    fn create_comment(&self, repo: &RepoName, pull: u64, body: &str) -> Call<Comment>;

    /// Another text for a comment.
    fn edit_comment(&self, repo: &RepoName, comment: &Comment, body: &str) -> Call<Comment>;

    /// A comment less.
    fn delete_comment(&self, repo: &RepoName, comment: &Comment) -> Call<()>;

    /// A reaction to a comment.
    fn react(&self, repo: &RepoName, comment: &Comment, reaction: Reaction) -> Option<Call<()>>;

    /// Our word on a commit.
    fn put_status(&self, repo: &RepoName, status: &Status) -> Call<()>;

    /// The report that we have given on a commit under this name, if there is one.
    fn report(&self, _repo: &RepoName, _commit: Oid, _context: &str, _me: &Account) -> Option<Call<Option<u64>>> {
        None
    }

    /// Our word on a commit at length; in place of the one with this id.
    fn put_report(&self, _repo: &RepoName, _report: &Report, _id: Option<u64>) -> Option<Call<()>> {
        None
    }

    /// Everybody's words on a commit; the lists are put together.
    fn checks(&self, repo: &RepoName, commit: Oid) -> Vec<Call<Page<Check>>>;

    /// The reviews of a pull request, in no order.
    fn reviews(&self, repo: &RepoName, pull: u64) -> Call<Page<Review>>;

    /// What an account may do; asked one after the other until one tells. All silent: nothing.
    fn permission(&self, repo: &RepoName, account: &Account) -> Vec<Call<Option<Permission>>>;

    /// A merge, which the forge refuses when the head is another by now if it can.
    fn merge(&self, repo: &RepoName, pull: &Pull, method: Method) -> Option<Call<Merged>>;
}

/// The only place that tells one forge from another by its kind.
pub(super) fn of(kind: Kind) -> &'static dyn Dialect {
    match kind {
        Kind::GitHub => &GitHub,
        Kind::GitLab => &GitLab,
        Kind::Gitea => &Gitea,
        Kind::BitbucketCloud => &Cloud,
        Kind::BitbucketServer => &Server,
    }
}
