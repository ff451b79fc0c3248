//! Comments that no webhook has told of: found with the next list of pull requests.
//!
//! **In:** a listed pull request. **Out:** the comments on it that ask for something and were not read yet. **May not:** ask
//! for the comments of a pull request that has not changed since.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::forge::{self, Pull};
use crate::preview::command::Command;

/// By pull request, what was read of its comments. In a new life all are read again: to heed a command twice changes nothing.
#[derive(Default)]
pub(super) struct Heard(Mutex<BTreeMap<u64, Read>>);

/// Of one pull request.
#[derive(Clone, Copy, Default)]
pub(super) struct Read {
    /// When it had last changed when its comments were listed.
    updated: Option<Timestamp>,
    /// The newest comment.
    newest: u64,
}

impl Heard {
    /// A comment was read at a webhook's word.
    pub(super) fn note(&self, pull: u64, comment: u64) {
        let mut read = self.0.lock();
        let read = read.entry(pull).or_default();
        read.newest = read.newest.max(comment);
    }

    /// These are all pull requests that there are.
    pub(super) fn keep(&self, pulls: &BTreeSet<u64>) {
        self.0.lock().retain(|pull, _| pulls.contains(pull));
    }

    /// All that was unread has been heeded.
    pub(super) fn done(&self, pull: u64, read: Read) {
        self.0.lock().insert(pull, read);
    }

    /// The comments that ask for something since it was looked at last, and what to note once they are heeded: before that
    /// the forge may fail, and then they must be found again.
    ///
    /// # Errors
    /// When the forge does not answer.
    pub(super) async fn unread(
        &self,
        forge: &forge::Repository,
        pull: &Pull,
    ) -> Result<(BTreeSet<u64>, Read), forge::Error> {
        let known = self.0.lock().get(&pull.number).copied().unwrap_or_default();
        if pull.updated.is_some() && known.updated == pull.updated {
            return Ok((BTreeSet::new(), known));
        }
        let me = forge.forge().myself().await?;
        let comments = forge.comments(pull.number).await?;
        let newest = comments.iter().map(|comment| comment.id).max().unwrap_or_default().max(known.newest);
        let new = comments.into_iter().filter(|comment| comment.id > known.newest && comment.author.id != me.id);
        let asking = new.filter(|one| Command::parse(&one.body, &me.login).is_some()).map(|comment| comment.id);
        Ok((asking.collect(), Read { updated: pull.updated, newest }))
    }
}
