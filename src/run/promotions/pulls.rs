//! The pull requests that promotions wait for: one list for each repository and interval, however many there are.
//!
//! **In:** a promotion's pull request, hints. **Out:** that pull request as it is. **May not:** conclude anything from a list
//! that is older than what we have done ourselves, or than what a webhook has told of.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use super::Subject;
use super::facts::after;
use crate::forge::Pull;
use crate::git::{Oid, RepoUrl};

/// What is known of pull requests, by repository.
#[derive(Default)]
pub(super) struct Pulls {
    lists: Mutex<HashMap<RepoUrl, Arc<tokio::sync::Mutex<Option<List>>>>>,
    /// Those that the last list says too little of.
    hinted: Mutex<BTreeSet<(String, u64)>>,
}

/// All open ones.
struct List {
    at: Timestamp,
    open: Vec<Pull>,
}

impl Pulls {
    /// One has changed.
    pub(super) fn hint(&self, url: &RepoUrl, number: u64) {
        self.hinted.lock().insert((url.normal().into(), number));
    }

    /// One as it is, and when it is to be looked at again. `ours` is the head that it has when nobody else has pushed to it.
    ///
    /// # Errors
    /// When the forge does not answer, in one sentence.
    pub(super) async fn one(
        &self,
        subject: &Subject<'_>,
        number: u64,
        ours: Option<Oid>,
        interval: SignedDuration,
    ) -> Result<(Pull, Timestamp), String> {
        let forge = subject.forge().await?;
        let said = |error: crate::forge::Error| error.to_string();
        let is_hinted = self.hinted.lock().remove(&(subject.url.normal().into(), number));
        let list = self.lists.lock().entry(subject.url.clone()).or_default().clone();
        let mut list = list.lock().await;
        let known = match list.take().filter(|list| subject.now < after(list.at, interval)) {
            Some(known) => known,
            None => List { at: Timestamp::now(), open: forge.all_open_pulls().await.map_err(said)? },
        };
        let again = after(known.at, interval);
        let listed = known.open.iter().find(|pull| pull.number == number && Some(pull.head) == ours).cloned();
        *list = Some(known);
        drop(list);
        match listed.filter(|_| !is_hinted) {
            Some(pull) => Ok((pull, again)),
            None => Ok((forge.pull(number).await.map_err(said)?, again)),
        }
    }
}
