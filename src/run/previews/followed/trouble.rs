//! Why pull requests are not told what they should be: said once, and in the conditions of the Environments.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::super::super::Daemon;
use super::super::super::queue::Priority;
use super::Followed;
use crate::forge::RepoName;
use crate::git::RepoUrl;

/// Before something is tried again that a forge has refused: perhaps somebody has given us the right meanwhile.
const REFUSED: Duration = Duration::from_secs(3600);

/// Something that a forge does not take, whoever asks again.
pub(super) struct Refused {
    why: String,
    since: Instant,
}

impl Followed {
    /// Why pull requests are not told what they should be, or not deployed.
    pub(in super::super) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock().clone().or_else(|| self.undeployed.lock().clone());
        let refused = || {
            let refused = self.refused.lock();
            refused.first_key_value().map(|(number, refused)| format!("pull request {number}: {}", refused.why))
        };
        let moved = || {
            let name = self.moved.lock();
            name.as_ref().map(|name| format!("the repository is called {name} now: change the Environment's repoURL"))
        };
        trouble.or_else(refused).or_else(moved)
    }

    /// Nothing is known of them.
    pub(in super::super) fn is_lost(&self) -> bool {
        self.trouble.lock().is_some()
    }

    /// Says once why something is not told.
    pub(super) fn is_troubled(&self, daemon: &Daemon, why: &str) {
        if self.trouble.lock().replace(why.to_owned()).as_deref() != Some(why) {
            warn!(repository = %self.url, branch = self.branch, why, "Pull requests not previewed");
            self.say(daemon);
        }
    }

    pub(super) fn is_well(&self, daemon: &Daemon) {
        if self.trouble.lock().take().is_some() {
            self.say(daemon);
        }
    }

    /// Says once what the forge does not take of what there is to tell a pull request; `None`: it takes all.
    pub(super) fn is_refused(&self, daemon: &Daemon, number: u64, why: Option<String>) {
        let before = {
            let mut refused = self.refused.lock();
            match why.clone() {
                Some(why) => refused.insert(number, Refused { why, since: Instant::now() }),
                None => refused.remove(&number),
            }
        };
        if before.map(|before| before.why) != why {
            if let Some(why) = why {
                warn!(repository = %self.url, pull = number, why, "Pull request not told all");
            }
            self.say(daemon);
        }
    }

    /// What a forge has refused is tried again, if that is long ago.
    pub(super) fn is_worth_a_try(&self, number: u64) -> bool {
        self.refused.lock().get(&number).is_some_and(|refused| refused.since.elapsed() > REFUSED)
    }

    /// Says once that the repository has another name: the forge leads there only until somebody takes the old one.
    pub(super) fn is_called(&self, daemon: &Daemon, name: Option<RepoName>) {
        let before = std::mem::replace(&mut *self.moved.lock(), name.clone());
        if before != name {
            if let Some(name) = name {
                warn!(repository = %self.url, %name, "The repository was renamed");
            }
            self.say(daemon);
        }
    }

    /// The Environments' conditions say it.
    pub(super) fn say(&self, daemon: &Daemon) {
        for environment in daemon.written.environments() {
            if RepoUrl::parse(&environment.spec.repo_url).is_ok_and(|url| url == self.url) {
                daemon.environments.push(environment.name(), Priority::Timer);
            }
        }
    }
}
