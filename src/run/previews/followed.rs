//! The pull requests against one branch: looked at when somebody hints that one has changed, and every few minutes.
//!
//! **In:** hints, the forge's list, the branch's commit. **Out:** one preview at a time for each pull request, of its newest
//! head. **May not:** take a pull request for closed that only an incomplete list misses; or delay a sync.

mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::trouble::Refused;
use super::super::Daemon;
use super::ephemeral::{self, Standings};
use super::heard::Heard;
use super::kept::{Kept, Said};
use super::told::Told;
use super::{Branch, closing, command, one};
use crate::api::leeboard::{Environment, PreviewPolicy};
use crate::forge::{self, Pull, RepoName};
use crate::git::{Oid, RepoUrl};
use crate::preview::ephemeral::Deployed;

/// Pull requests that are compared at once.
const AT_ONCE: usize = 2;
/// A push brings several events; one look sees what all of them are about. What comes later ends that look for a new one.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Before a forge that did not answer is asked again; each failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What a maintainer labels a pull request from another repository with, to have it looked at.
pub(super) const LABEL: &str = "leeboard/preview";

/// A branch whose pull requests are previewed.
pub(super) struct Followed {
    pub(super) url: RepoUrl,
    pub(super) branch: String,
    pub(super) policy: PreviewPolicy,
    pub(super) instance: SmolStr,
    /// By pull request, the comments that nobody has read yet.
    hints: Mutex<BTreeMap<u64, BTreeSet<u64>>>,
    bell: Notify,
    pulls: Mutex<BTreeMap<u64, Attended>>,
    /// Those that are open, once all are known.
    open: Mutex<Option<BTreeMap<u64, Pull>>>,
    standings: Mutex<Standings>,
    slots: Semaphore,
    trouble: Mutex<Option<String>>,
    /// By pull request, what the forge does not take of what there is to tell.
    refused: Mutex<BTreeMap<u64, Refused>>,
    /// The name that the repository has by now.
    moved: Mutex<Option<RepoName>>,
    /// What keeps pull requests from being deployed.
    undeployed: Mutex<Option<String>>,
    kept: Kept,
    heard: Heard,
}

/// A pull request that is looked at.
struct Attended {
    /// What it was when it was looked at last; `None`: in an earlier life of the daemon, when it was open.
    seen: Option<Seen>,
    /// The head that somebody has let in by a label.
    let_in: Option<Oid>,
    /// Ends that look.
    cancel: CancellationToken,
    told: Arc<tokio::sync::Mutex<Told>>,
}

/// What makes another look necessary.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    head: Oid,
    base: Oid,
    labels: Option<Vec<String>>,
    is_draft: bool,
    is_open: bool,
    deployed: Vec<Deployed>,
}

impl Attended {
    fn is_open(&self) -> bool {
        self.seen.as_ref().is_none_or(|seen| seen.is_open)
    }

    /// The head that is let in, now that the pull request has these labels. A label lets in what was there before it, and
    /// nothing that is pushed later: whoever has set it cannot have seen that.
    fn let_in(known: Option<&Attended>, head: Oid, labels: Option<&[String]>) -> Option<Oid> {
        let has_label = |labels: Option<&[String]>| labels.is_some_and(|labels| labels.iter().any(|one| one == LABEL));
        let known = known.filter(|_| has_label(labels))?;
        let was_there = |seen: &Seen| seen.head == head && !has_label(seen.labels.as_deref());
        (known.seen.as_ref().is_some_and(was_there) || known.let_in == Some(head)).then_some(head)
    }

    /// As an earlier life left it.
    fn left(said: Said) -> Self {
        // It was compared, so that somebody had let it in where that is needed.
        let let_in = said.previewed.pull.head.parse().ok();
        let told = Arc::new(tokio::sync::Mutex::new(Told::before(said)));
        Attended { seen: None, let_in, cancel: CancellationToken::new(), told }
    }
}

impl Followed {
    pub(super) fn new(url: RepoUrl, branch: String, policy: PreviewPolicy, instance: SmolStr, kept: Kept) -> Self {
        let left = kept.told().into_iter().map(|(number, said)| (number, Attended::left(said))).collect();
        Followed {
            kept,
            heard: Heard::default(),
            url,
            branch,
            policy,
            instance,
            hints: Mutex::default(),
            bell: Notify::new(),
            pulls: Mutex::new(left),
            open: Mutex::default(),
            standings: Mutex::default(),
            slots: Semaphore::new(AT_ONCE),
            trouble: Mutex::default(),
            refused: Mutex::default(),
            moved: Mutex::default(),
            undeployed: Mutex::default(),
        }
    }

    /// There is something new about a pull request, perhaps a comment, somebody says.
    pub(super) fn hint(&self, number: u64, comment: Option<u64>) {
        self.hints.lock().entry(number).or_default().extend(comment);
        self.bell.notify_one();
    }

    /// Something has changed that may be what was missing.
    pub(super) fn wake(&self) {
        self.bell.notify_one();
    }

    /// The Environments of the branch.
    pub(super) fn environments(&self, daemon: &Daemon) -> Vec<Arc<Environment>> {
        let is_of_branch = |environment: &Environment| {
            Branch::of(environment).is_some_and(|(url, branch)| url == self.url && branch.name == self.branch)
        };
        daemon.written.environments().into_iter().filter(|environment| is_of_branch(environment)).collect()
    }

    /// It is open, and still against this branch.
    fn awaits(&self, pull: &Pull) -> bool {
        pull.is_open() && pull.base == self.branch
    }

    /// Looks at them until it is dropped.
    pub(super) async fn work(self: Arc<Self>, daemon: Arc<Daemon>) {
        let (mut next, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let is_hinted = tokio::select! {
                () = self.bell.notified() => true,
                () = sleep_until(next) => false,
            };
            if is_hinted {
                sleep(DEBOUNCE).await;
            }
            // While nothing is known of them a hint is a reason to ask about all.
            let are_all_due = !is_hinted || self.is_lost();
            let looked = match daemon.previews.forges.repository(&self.url, self.policy.forge.as_ref()).await {
                Ok(forge) => {
                    let looked = match are_all_due {
                        true => self.look_at_all(&daemon, &forge).await,
                        false => self.look_at_hinted(&daemon, &forge).await,
                    };
                    self.is_called(&daemon, forge.moved_to());
                    looked
                }
                Err(error) => Err(error.to_string()),
            };
            match looked {
                Ok(()) => {
                    self.is_well(&daemon);
                    if self.undeployed.lock().is_some() {
                        next = Instant::now() + pause;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                        continue;
                    }
                    pause = FIRST_PAUSE;
                    if are_all_due {
                        next = Instant::now() + self.policy.interval();
                    }
                }
                Err(why) => {
                    self.is_troubled(&daemon, &why);
                    next = Instant::now() + pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn look_at_hinted(self: &Arc<Self>, daemon: &Arc<Daemon>, forge: &forge::Repository) -> Result<(), String> {
        let mut hinted = std::mem::take(&mut *self.hints.lock());
        while let Some((number, comments)) = hinted.pop_first() {
            if let Err(error) = self.look_at_one(daemon, forge, number, &comments).await {
                // Nothing is lost: they are looked at with the next list.
                hinted.insert(number, comments);
                self.hints.lock().append(&mut hinted);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn look_at_one(
        self: &Arc<Self>,
        daemon: &Arc<Daemon>,
        forge: &forge::Repository,
        number: u64,
        comments: &BTreeSet<u64>,
    ) -> Result<(), String> {
        match forge.pull(number).await {
            Ok(pull) => {
                let again = self.heed(daemon, forge, &pull, comments).await?;
                self.settle_one(daemon, forge, &pull).await;
                self.consider(daemon, forge, pull, again).await?;
            }
            Err(forge::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
        comments.iter().for_each(|comment| self.heard.note(number, *comment));
        Ok(())
    }

    /// Does what comments ask for; true when that is another look.
    async fn heed(
        &self,
        daemon: &Arc<Daemon>,
        forge: &forge::Repository,
        pull: &Pull,
        comments: &BTreeSet<u64>,
    ) -> Result<bool, String> {
        let mut again = false;
        // Of the branches of a repository the one that it is against.
        for comment in comments.iter().filter(|_| pull.base == self.branch) {
            again |= command::heed(daemon, self, forge, pull, *comment).await?;
        }
        Ok(again)
    }

    async fn look_at_all(self: &Arc<Self>, daemon: &Arc<Daemon>, forge: &forge::Repository) -> Result<(), String> {
        let open = forge.open_pulls(&self.branch).await.map_err(|error| error.to_string())?;
        // Those that could not be looked at when they were hinted at.
        self.look_at_hinted(daemon, forge).await?;
        let listed: BTreeSet<u64> = open.iter().map(|pull| pull.number).collect();
        self.heard.keep(&listed);
        *self.open.lock() = Some(open.iter().map(|pull| (pull.number, pull.clone())).collect());
        self.settle(daemon, forge).await;
        for pull in open {
            let (comments, read) = self.heard.unread(forge, &pull).await.map_err(|error| error.to_string())?;
            let again = self.heed(daemon, forge, &pull, &comments).await?;
            let number = pull.number;
            let again = again || self.is_worth_a_try(number);
            self.consider(daemon, forge, pull, again).await?;
            self.heard.done(number, read);
        }
        let known: Vec<u64> = {
            let pulls = self.pulls.lock();
            pulls.iter().filter(|(number, one)| one.is_open() && !listed.contains(number)).map(|(n, _)| *n).collect()
        };
        for number in known {
            let pull = forge.pull(number).await.map_err(|error| error.to_string())?;
            self.consider(daemon, forge, pull, false).await?;
        }
        Ok(())
    }

    /// What is deployed follows one pull request that may have changed.
    async fn settle_one(&self, daemon: &Arc<Daemon>, forge: &forge::Repository, pull: &Pull) {
        if let Some(open) = &mut *self.open.lock() {
            match self.awaits(pull) {
                true => drop(open.insert(pull.number, pull.clone())),
                false => drop(open.remove(&pull.number)),
            }
        }
        self.settle(daemon, forge).await;
    }

    /// What is deployed follows what is open, as soon as that is known.
    async fn settle(&self, daemon: &Arc<Daemon>, forge: &forge::Repository) {
        let Some(open) = self.open.lock().as_ref().map(|open| open.values().cloned().collect::<Vec<_>>()) else {
            return;
        };
        let (standings, settled) = ephemeral::settle(daemon, self, forge, &open).await;
        *self.standings.lock() = standings;
        let why = settled.err().map(|why| format!("not deployed: {why}"));
        let before = std::mem::replace(&mut *self.undeployed.lock(), why.clone());
        if before != why {
            if let Some(why) = why {
                warn!(repository = %self.url, branch = self.branch, why, "Pull requests not deployed");
            }
            self.say(daemon);
        }
    }

    /// Somebody has let its head in by a label.
    pub(super) fn is_let_in(&self, pull: &Pull) -> bool {
        self.pulls.lock().get(&pull.number).is_some_and(|attended| attended.let_in == Some(pull.head))
    }

    /// The applications that a pull request reaches, as the last preview found them; waits for one that is under way.
    pub(super) async fn reached(&self, number: u64) -> Vec<SmolStr> {
        let told = self.pulls.lock().get(&number).map(|attended| attended.told.clone());
        let Some(told) = told else { return Vec::new() };
        let told = told.lock().await;
        let reaches = told.previewed.iter().flat_map(|previewed| &previewed.reaches);
        reaches.filter(|reached| !reached.goes).map(|reached| reached.application.clone()).collect()
    }

    /// The environments whose plans a pull request was told, and whether it was told those before this time.
    pub(super) async fn risked(
        &self,
        daemon: &Daemon,
        number: u64,
        before: Timestamp,
    ) -> Option<(Vec<Arc<Environment>>, bool)> {
        let told = self.pulls.lock().get(&number).map(|attended| attended.told.clone())?;
        let told = told.lock().await;
        let previewed = told.previewed.as_ref()?;
        let is_reached = |one: &Environment| previewed.reaches.iter().any(|reached| reached.environment == one.name());
        let reached = self.environments(daemon).into_iter().filter(|one| is_reached(one)).collect();
        Some((reached, previewed.was_told(before)))
    }

    /// The risks of what a pull request was told are taken.
    pub(super) async fn take_risks(&self, number: u64) {
        let told = self.pulls.lock().get(&number).map(|attended| attended.told.clone());
        let Some(told) = told else { return };
        if let Some(previewed) = &mut told.lock().await.previewed {
            previewed.accepted.clone_from(&previewed.plan);
        }
    }

    /// What a pull request is deployed to.
    pub(super) fn deployed(&self, number: u64) -> Vec<Deployed> {
        self.standings.lock().get(&number).cloned().unwrap_or_default()
    }

    /// Begins a look at a pull request that has changed, or that somebody wants to be compared `again`, in place of one that
    /// is under way.
    async fn consider(
        self: &Arc<Self>,
        daemon: &Arc<Daemon>,
        forge: &forge::Repository,
        pull: Pull,
        again: bool,
    ) -> Result<(), String> {
        let is_open = self.awaits(&pull);
        if !is_open && !self.pulls.lock().contains_key(&pull.number) {
            return Ok(());
        }
        let base = daemon.repositories.commit(&self.url, &self.branch).await.map_err(|error| error.to_string())?;
        let seen = Seen {
            head: pull.head,
            base: base.id,
            labels: pull.labels.clone(),
            is_draft: pull.is_draft,
            is_open,
            deployed: self.deployed(pull.number),
        };
        let (cancel, told) = {
            let mut pulls = self.pulls.lock();
            let known = pulls.get(&pull.number);
            // What follows from the end of a pull request does not change with the branch.
            let is_same =
                known.is_some_and(|known| known.seen.as_ref() == Some(&seen) || !(is_open || known.is_open()));
            if is_same && !again {
                return Ok(());
            }
            let told = known.map(|known| known.told.clone()).unwrap_or_default();
            let let_in = Attended::let_in(known, pull.head, pull.labels.as_deref());
            let cancel = daemon.shutdown.child_token();
            let attended = Attended { seen: Some(seen), let_in, cancel: cancel.clone(), told: told.clone() };
            if let Some(before) = pulls.insert(pull.number, attended) {
                before.cancel.cancel();
            }
            (cancel, told)
        };
        let (this, daemon, forge) = (self.clone(), daemon.clone(), forge.clone());
        daemon.tasks.clone().spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = this.attend(&daemon, &forge, pull, &told, again) => {}
            }
        });
        Ok(())
    }

    /// Keeps what a pull request was told for the daemon's next life, until it is told its end.
    pub(super) fn keep(&self, pull: &Pull, told: &Told) {
        let said = told.previewed.clone().filter(|_| self.awaits(pull));
        let said = said.map(|previewed| Said { previewed, body: told.body.clone() });
        if let Err(error) = self.kept.note(pull.number, said.as_ref()) {
            warn!(repository = %self.url, branch = self.branch, %error, "What pull requests were told is not kept");
        }
    }

    /// Looks at one pull request until it has been told what there is to tell.
    async fn attend(
        &self,
        daemon: &Arc<Daemon>,
        forge: &forge::Repository,
        pull: Pull,
        told: &tokio::sync::Mutex<Told>,
        again: bool,
    ) {
        if again {
            told.lock().await.forget();
        }
        let mut pause = FIRST_PAUSE;
        loop {
            let mut told = told.lock().await;
            let done = if self.awaits(&pull) {
                // Nobody closes it; without a permit it would only be compared beside others.
                let _slot = self.slots.acquire().await.ok();
                one::look(daemon, self, forge, &pull, &mut told).await
            } else {
                closing::look(daemon, self, forge, &pull, &mut told).await
            };
            drop(told);
            match done {
                Ok(refused) => {
                    self.is_well(daemon);
                    let ended = !self.awaits(&pull);
                    self.is_refused(daemon, pull.number, refused.filter(|_| !ended));
                    info!(repository = %self.url, pull = pull.number, head = %pull.head.short(), ended, "Pull request told");
                    return;
                }
                Err(why) => {
                    self.is_troubled(daemon, &format!("pull request {}: {why}", pull.number));
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_lets_in_what_was_there_before_it() {
        type Case<'a> = (&'a str, &'a [(&'a str, bool)], bool);
        let cases: [Case<'_>; 7] = [
            // what is told, each head with whether it had the label when it was seen, whether the last one is let in
            ("it is labelled", &[("a", false), ("a", true)], true),
            ("it stays so", &[("a", false), ("a", true), ("a", true)], true),
            ("nobody has labelled it", &[("a", false), ("a", false)], false),
            ("it had a label when it came", &[("a", true)], false),
            ("another push comes", &[("a", false), ("a", true), ("b", true)], false),
            ("a push slips in before the label is seen", &[("a", false), ("b", true)], false),
            ("the push is labelled anew", &[("a", false), ("a", true), ("b", true), ("b", false), ("b", true)], true),
        ];
        for (told, seen, expected) in cases {
            let mut known: Option<Attended> = None;
            for (head, has_label) in seen {
                let head: Oid = head.repeat(40).parse().unwrap();
                let labels: &[&str] = if *has_label { &["bug", LABEL] } else { &["bug"] };
                let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
                let let_in = Attended::let_in(known.as_ref(), head, Some(&labels));
                let seen = Seen {
                    head,
                    base: head,
                    labels: Some(labels),
                    is_draft: false,
                    is_open: true,
                    deployed: Vec::new(),
                };
                let (cancel, told) = (CancellationToken::new(), Arc::default());
                known = Some(Attended { seen: Some(seen), let_in, cancel, told });
            }
            assert_eq!(known.is_some_and(|known| known.let_in.is_some()), expected, "{told}");
        }
    }
}
