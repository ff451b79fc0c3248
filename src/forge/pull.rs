//! [`Pull`]: a pull request as its forge tells it; and the [`Account`]s of people and bots.

use jiff::Timestamp;

use super::call::Unread;
use crate::git::{Oid, RepoUrl};

/// Somebody on a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What stays when the login changes, and is never given to another: this is compared.
    pub id: String,
    /// What people call it.
    pub login: String,
    /// The forge says that it is no person. `false` where it does not tell.
    pub is_bot: bool,
}

/// A pull request, or a merge request on GitLab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Its number in the repository that it is for.
    pub number: u64,
    /// The commit that is asked to be merged.
    pub head: Oid,
    /// The branch of that commit.
    pub source_branch: String,
    /// The repository of that branch, as the forge names it; `None` when it is gone.
    pub source_repository: Option<String>,
    /// The branch that it is to be merged into.
    pub base: String,
    /// Where that branch stood when the forge last looked: it lags, and some forges do not tell.
    pub base_commit: Option<Oid>,
    /// Who opened it.
    pub author: Account,
    /// It comes from another repository, so its author may be a stranger.
    pub is_fork: bool,
    /// It is not meant to be merged yet.
    pub is_draft: bool,
    /// The names of its labels; `None` on a forge whose pull requests have none.
    pub labels: Option<Vec<String>>,
    /// Open, closed, merged.
    pub state: PullState,
    /// Whether the forge would merge it; `None` while it looks, or where it does not say.
    pub mergeable: Option<bool>,
    /// Its page.
    pub page: Option<String>,
    /// When anything of it last changed.
    pub updated: Option<Timestamp>,
    /// What Bitbucket Data Center wants to hear with a change.
    pub(super) version: Option<u64>,
}

impl Pull {
    /// True while it can still be merged.
    pub fn is_open(&self) -> bool {
        self.state == PullState::Open
    }

    /// The commit that merged it.
    pub fn merged(&self) -> Option<Oid> {
        match self.state {
            PullState::Merged { commit } => commit,
            PullState::Open | PullState::Closed => None,
        }
    }
}

/// A pull request that is to be opened, from one branch of a repository to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The branch with the commits.
    pub head: String,
    /// The branch that they are for.
    pub base: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub description: String,
}

/// From where git can have the head of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The repository; `None`: the one that the pull request is for.
    pub repository: Option<RepoUrl>,
    /// The full name there.
    pub reference: String,
}

/// Where a pull request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullState {
    /// It waits.
    Open,
    /// It was closed without a merge.
    Closed,
    /// It was merged.
    Merged {
        /// What the branch became by it, when the forge tells.
        commit: Option<Oid>,
    },
}

/// A pull request as an answer has it: its names are not looked at yet, and its head may be cut short.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    pub(super) number: u64,
    pub(super) head: String,
    pub(super) source_branch: String,
    pub(super) source_repository: Option<String>,
    pub(super) base: String,
    pub(super) base_commit: Option<String>,
    pub(super) author: Account,
    pub(super) is_fork: bool,
    pub(super) is_draft: bool,
    pub(super) labels: Option<Vec<String>>,
    pub(super) state: SketchedState,
    pub(super) mergeable: Option<bool>,
    pub(super) page: Option<String>,
    pub(super) updated: Option<Timestamp>,
    pub(super) version: Option<u64>,
}

/// [`PullState`] with the commit as the answer has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SketchedState {
    Open,
    Closed,
    Merged { commit: Option<String> },
}

impl Sketch {
    /// The pull request, when its head is told in full.
    pub(super) fn pull(self) -> Result<Pull, Unread> {
        let head = self.head.parse().map_err(|_| Unread::malformed("its head is no commit"))?;
        self.with_head(head)
    }

    /// The pull request, with a head that was asked for.
    pub(super) fn with_head(self, head: Oid) -> Result<Pull, Unread> {
        let state = match self.state {
            SketchedState::Open => PullState::Open,
            SketchedState::Closed => PullState::Closed,
            // A commit that is cut short is as good as none: the branch tells it.
            SketchedState::Merged { commit } => PullState::Merged { commit: commit.and_then(|id| id.parse().ok()) },
        };
        if !is_branch(&self.base) || !is_branch(&self.source_branch) {
            return Err(Unread::malformed("it names a branch that cannot be one"));
        }
        Ok(Pull {
            number: self.number,
            head,
            source_branch: self.source_branch,
            source_repository: self.source_repository,
            base: self.base,
            base_commit: self.base_commit.and_then(|id| id.parse().ok()),
            author: self.author,
            is_fork: self.is_fork,
            is_draft: self.is_draft,
            labels: self.labels,
            state,
            mergeable: self.mergeable,
            page: self.page,
            updated: self.updated,
            version: self.version,
        })
    }
}

/// What no branch is called must not get to git, nor to a path.
fn is_branch(name: &str) -> bool {
    let odd = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    !name.is_empty() && name.len() <= 1024 && !name.starts_with('-') && !name.contains("..") && !name.contains(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_branch_is_called_is_refused() {
        for (name, good) in [
            ("main", true),
            ("refs/pull/7/head", true),
            ("feature/web-1.5", true),
            ("größe", true),
            ("", false),
            ("-D", false),
            ("a..b", false),
            ("a b", false),
            ("a\nb", false),
            ("a:b", false),
        ] {
            assert_eq!(is_branch(name), good, "{name:?}");
        }
    }
}
