//! The commit that gives an environment other versions, proposed of its branch as it stands.
//!
//! It is asked again when the branch has moved: the edit is made anew, never merged as text.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::by_hand::{ByHand, Step, by_hand};
use super::message;
use super::target::{self, Edited, Target};
use crate::error::Diagnostic;
use crate::git::{self, Author, Kind, Proposal, Snapshot};
use crate::promote::edit::Image;
use crate::source::TreePath;
use crate::source::snapshot::SnapshotFiles;

/// How many commits of a branch are looked at for what people have set.
const FAR: usize = 200;

/// Versions that an environment is to have.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What messages call it.
    pub environment: String,
    /// Where it says its versions.
    pub target: Target,
    /// The versions.
    pub images: Vec<Image>,
    /// The reason.
    pub why: String,
    /// What becomes of versions that people have set.
    pub taking: Taking,
    /// Who makes the commit.
    pub author: Author,
    /// When.
    pub at: Timestamp,
}

/// What becomes of a version that a person has set since the last promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// It stays, and nothing is changed.
    Unless,
    /// It is overwritten, and the commit says so.
    ByForce,
}

/// Why nothing is proposed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A person has set it.
    #[error(transparent)]
    ByHand(#[from] ByHand),
    /// The file is a link.
    #[error("`{path}` is a symbolic link")]
    Link {
        /// The file.
        path: TreePath,
    },
    /// What is wrong with the file.
    #[error(transparent)]
    Target(#[from] target::Error),
    /// What is wrong with the repository.
    #[error(transparent)]
    Git(#[from] git::Error),
}

/// The file with the versions, at a commit.
///
/// # Errors
/// When there is no such file, it can't be edited, or a person has set one of them.
pub fn edited(wish: &Wish, snapshot: &Snapshot) -> Result<Edited, Error> {
    checked(wish, snapshot).map(|(edited, _)| edited)
}

/// The commit; `None` when the file says so already.
///
/// # Errors
/// As [`edited`].
pub fn propose(wish: &Wish, snapshot: &Snapshot) -> Result<Option<Proposal>, Error> {
    let (edited, overwritten) = checked(wish, snapshot)?;
    if edited.after == *edited.before {
        return Ok(None);
    }
    let mut why = wish.why.trim().to_owned();
    for by_hand in overwritten {
        why.push_str(if why.is_empty() { "" } else { "\n" });
        why.push_str(&format!("Overwrites what was set by hand: {by_hand}"));
    }
    Ok(Some(Proposal {
        files: vec![(edited.path.as_str().to_owned(), edited.after)],
        message: message::message(&wish.environment, &wish.images, &why),
        author: wish.author.clone(),
        at: wish.at,
    }))
}

/// The file, and what is overwritten of what people have set.
fn checked(wish: &Wish, snapshot: &Snapshot) -> Result<(Edited, Vec<ByHand>), Error> {
    let files = SnapshotFiles::new(snapshot.clone());
    let edited = wish.target.edited(&files, &wish.images)?;
    if snapshot.entry(edited.path.as_str())?.is_none_or(|(kind, _)| kind != Kind::Blob) {
        return Err(Error::Link { path: edited.path });
    }
    let said = wish.images.iter().zip(&edited.said);
    let changing = said.filter(|(image, said)| !said.as_ref().is_some_and(|found| found.is(image)));
    let names: BTreeSet<&str> = changing.map(|(image, _)| image.name()).collect();
    let overwritten = set_by_hand(wish, snapshot, edited.path.as_str(), &names)?;
    match overwritten.first() {
        Some(first) if wish.taking == Taking::Unless => Err(first.clone().into()),
        _ => Ok((edited, overwritten)),
    }
}

fn set_by_hand(
    wish: &Wish,
    snapshot: &Snapshot,
    path: &str,
    names: &BTreeSet<&str>,
) -> Result<Vec<ByHand>, git::Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut history = Vec::new();
    for touch in snapshot.touches(path, FAR)? {
        let text = snapshot.read_at(&touch.commit, path)?;
        history.push((touch, text));
    }
    let found = names.iter().filter_map(|name| {
        let steps = history.iter().map(|(touch, text)| Step {
            is_ours: message::is_ours(&touch.message, name),
            author: touch.commit.author.clone(),
            at: touch.commit.time,
            version: text.as_ref().and_then(|text| wish.target.find_in(text, name)).and_then(|found| found.version()),
        });
        by_hand(name, &steps.collect::<Vec<_>>())
    });
    Ok(found.collect())
}

impl From<&Error> for Diagnostic {
    fn from(error: &Error) -> Self {
        match error {
            Error::ByHand(_) => Diagnostic::new(error.to_string()),
            Error::Link { .. } => Diagnostic::new(error.to_string()).with_hint("Name the file that it leads to."),
            Error::Target(error) => error.into(),
            Error::Git(error) => error.into(),
        }
    }
}
