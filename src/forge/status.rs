//! [`Status`]: the word that we say of a commit; [`Check`]: the words of all.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::pull::Account;
use crate::git::Oid;

/// What is said of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is in its way.
    Success,
    /// It was not looked at, and that is no reason to hold it.
    Neutral,
    /// It is being looked at.
    Pending,
    /// Something is wrong with it.
    Failure,
    /// Something is wrong with whoever looks at it.
    Error,
}

/// A commit status that we set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The commit: the head of a pull request.
    pub commit: Oid,
    /// The branch of that commit. GitLab hangs a status on the pipeline of a branch.
    pub branch: Option<String>,
    /// What branch protection knows it by: `leeboard/preview`.
    pub context: String,
    /// What is said.
    pub state: State,
    /// One line; longer ones are cut.
    pub description: String,
    /// Where more is said. Bitbucket demands one.
    pub page: Option<String>,
}

/// A status with all that there is to say, which GitHub shows on a page of its own to an App.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The status itself.
    pub status: Status,
    /// Markdown: what is read first.
    pub summary: String,
    /// Markdown: the rest. Each is cut after 65,535 characters.
    pub text: String,
    /// What is said at lines of files, the most important first. GitHub takes 50 with a report; nobody reads more.
    pub annotations: Vec<Annotation>,
}

/// What is said at a line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The file, from the repository's root.
    pub path: String,
    /// Counted from 1.
    pub line: u32,
    /// How it is shown.
    pub level: Level,
    /// Plain text.
    pub message: String,
}

/// How an annotation is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Notice,
    /// Somebody should look.
    Warning,
    /// Something is wrong.
    Failure,
}

/// What GitHub takes; others take more, and nobody reads more.
const DESCRIPTION: usize = 140;

/// What Bitbucket takes as a key.
const KEY: usize = 40;

impl Status {
    /// The description, cut between characters.
    pub(super) fn line(&self) -> String {
        let line = self.description.replace(|c: char| c.is_control(), " ");
        if line.chars().count() <= DESCRIPTION {
            return line;
        }
        let mut cut: String = line.chars().take(DESCRIPTION - 1).collect();
        cut.push('…');
        cut
    }

    /// The context within Bitbucket's limit: a long one ends in its hash, so that two stay two.
    pub(super) fn key(&self) -> String {
        if self.context.len() <= KEY {
            return self.context.clone();
        }
        let hash = Sha256::digest(self.context.as_bytes());
        let mut key: String = self.context.chars().filter(char::is_ascii).take(KEY - 9).collect();
        key.push('-');
        for byte in hash.iter().take(4) {
            // Writing to a String cannot fail.
            let _ = write!(key, "{byte:02x}");
        }
        key
    }
}

/// What somebody says of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub context: String,
    /// What is said.
    pub state: State,
    /// In words; may be empty.
    pub description: String,
    /// Who says it, when the forge tells.
    pub author: Option<Account>,
    /// When it was said, when the forge tells.
    pub updated: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(context: &str, description: &str) -> Status {
        let commit = Oid::from_bytes([1; 20]);
        let (context, description) = (context.into(), description.into());
        Status { commit, branch: None, context, state: State::Success, description, page: None }
    }

    #[test]
    fn long_lines_and_names_are_cut_without_becoming_another() {
        assert_eq!(status("x", "3 apps\n1 risk").line(), "3 apps 1 risk");
        let long = status("x", &"é".repeat(200)).line();
        assert_eq!((long.chars().count(), long.chars().last()), (140, Some('…')));
        assert_eq!(status("leeboard/preview", "").key(), "leeboard/preview");
        let name = |end: &str| format!("leeboard/preview/an-environment-with-a-long-name-{end}");
        let (one, other) = (status(&name("1"), "").key(), status(&name("2"), "").key());
        assert!(one.len() <= 40 && other.len() <= 40 && one != other, "{one} {other}");
    }
}
