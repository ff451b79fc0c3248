//! The `approval` gate: people have looked at this plan, and said yes.
//!
//! **In:** what people said, and who asked. **Out:** an [`Answer`]. **May not:** count a person twice, a word to another plan,
//! or whoever may not decide about their own work.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Answer;
use crate::api::leeboard::promotion::{Approval, Word, WordVerdict};

/// How far ahead another clock may be.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// Who is behind a promotion: those who may not approve it where that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// Who asked for it.
    pub requested_by: Option<String>,
    /// Who made the commits: names and addresses.
    pub authors: Vec<String>,
}

impl Asker {
    /// It is theirs: by their name in the cluster, or by that on the forge.
    pub fn is(&self, user: &str, account: Option<&str>) -> bool {
        [Some(user), account].into_iter().flatten().any(|name| self.is_name(name))
    }

    fn is_name(&self, user: &str) -> bool {
        let is_author = |author: &String| {
            let (name, address) = author.split_once('<').map_or((author.as_str(), ""), |(name, rest)| (name, rest));
            let address = address.trim_end_matches('>');
            let login = address.split_once('@').map_or("", |(login, _)| login);
            [name.trim(), address, login].into_iter().any(|known| !known.is_empty() && known.eq_ignore_ascii_case(user))
        };
        self.requested_by.as_deref() == Some(user) || self.authors.iter().any(is_author)
    }
}

/// Whether enough people have approved this plan. `changes` is false when no object changes by it.
pub fn approval(gate: &Approval, words: &[Word], plan: &str, changes: bool, asker: &Asker, now: Timestamp) -> Answer {
    let expires = SignedDuration::try_from(gate.expires()).unwrap_or(SignedDuration::MAX);
    let may = |word: &Word| {
        let is_listed = gate.users.is_empty() && gate.groups.is_empty()
            || gate.users.contains(&word.user)
            || word.groups.iter().any(|group| gate.groups.contains(group));
        is_listed.then_some(()).ok_or_else(|| format!("{} is not one of those who decide", word.user))
    };
    let mut remarks = Vec::new();
    let mut said: BTreeMap<&str, &Word> = BTreeMap::new();
    for word in words {
        // The last word of each counts.
        said.insert(&word.user, word);
    }
    let mut approved = Vec::new();
    let mut again: Option<Timestamp> = None;
    for (user, word) in said {
        if let Err(why) = may(word) {
            remarks.push(why);
            continue;
        }
        if word.verdict == WordVerdict::Reject {
            let comment = word.comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
            return Answer::fail(format!("rejected by {user}{comment}"));
        }
        if gate.not_author() && asker.is(user, word.account.as_deref()) {
            remarks.push(format!("{user} does not count: it is their own"));
            continue;
        }
        if word.plan_hash != plan {
            remarks.push(format!("{user} approved another plan"));
            continue;
        }
        // A word from the future would count longer than it may.
        if word.at.as_ref().is_some_and(|Time(at)| at.duration_since(now) > AHEAD) {
            remarks.push(format!("the approval by {user} is of a time to come"));
            continue;
        }
        let ends = word.at.as_ref().and_then(|Time(at)| at.checked_add(expires).ok()).unwrap_or(Timestamp::MIN);
        if now >= ends {
            remarks.push(format!("the approval by {user} has expired"));
            continue;
        }
        again = Some(again.map_or(ends, |known| known.min(ends)));
        approved.push(user);
    }
    let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) };
    let wanted = gate.min();
    if approved.len() >= wanted {
        let answer = Answer::pass(format!("approved by {}{remarks}", approved.join(", "))).with("plan", plan);
        return match again {
            Some(at) => answer.again(at),
            None => answer,
        };
    }
    if !changes {
        return Answer::pass("nothing to approve: no object changes");
    }
    let people = if wanted == 1 { "1 approval".to_owned() } else { format!("{wanted} approvals") };
    let so_far = if approved.is_empty() { String::new() } else { format!(", so far by {}", approved.join(", ")) };
    let who: Vec<&str> = gate.users.iter().chain(&gate.groups).map(String::as_str).collect();
    let of = if who.is_empty() { String::new() } else { format!(" of {}", who.join(", ")) };
    Answer::wait(format!("waits for {people}{of}{so_far}{remarks}"))
}
