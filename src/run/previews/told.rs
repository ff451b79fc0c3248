//! What a pull request was told: one comment, one status; written only when they change.
//!
//! **In:** a finished text, a status. **Out:** requests to the forge. **May not:** write a second comment; or tell again
//! what was told.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::kept::Said;
use crate::forge::{self, Annotation, Done, Level, Report, State, Status as CommitStatus};
use crate::git::Oid;
use crate::plan::PlanHash;
use crate::preview::annotation::annotations;
use crate::preview::comment::{Comment, Data, Flavour};
use crate::preview::mask::Masks;
use crate::preview::risk::{Risk, Severity};
use crate::preview::status::{self, Status};
use crate::preview::{Outcome, Preview, Pull, Removal};

/// What was told last, as far as this daemon remembers.
#[derive(Default)]
pub(super) struct Told {
    comment: Option<u64>,
    /// The text, without what changes with every look.
    essence: Option<String>,
    /// As it was written.
    pub(super) body: Option<String>,
    /// By what branch protection knows each by.
    statuses: BTreeMap<String, (Oid, Verdict)>,
    /// The tree that was previewed, and at which head.
    pub(super) previewed: Option<Previewed>,
}

/// What was previewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Previewed {
    pub(super) pull: Pull,
    /// The root of the merge result.
    pub(super) tree: Oid,
    pub(super) reaches: Vec<Reached>,
    /// All plans together, as the comment has them.
    #[serde(default)]
    pub(super) plan: Option<String>,
    /// Since when they are these.
    #[serde(default)]
    pub(super) since: Option<Timestamp>,
    /// The plans whose risks somebody takes.
    #[serde(default)]
    pub(super) accepted: Option<String>,
}

/// An application that a pull request reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reached {
    pub(super) environment: SmolStr,
    pub(super) application: SmolStr,
    /// The merge takes the application itself away.
    pub(super) goes: bool,
    /// The plan that was shown; `None` when the cluster was not asked.
    pub(super) plan: Option<PlanHash>,
}

impl Previewed {
    /// Of a preview, after what was previewed `before`.
    pub(super) fn of(preview: &Preview, tree: Oid, before: Option<&Previewed>) -> Self {
        let mut reaches = Vec::new();
        for environment in &preview.environments {
            // One that moves arrives where it goes to.
            let moves = |outcome: &Outcome| matches!(outcome, Outcome::Removed(Removal { moves_to: Some(_), .. }));
            let stay = environment.applications.iter().filter(|one| !moves(&one.outcome));
            reaches.extend(stay.map(|one| Reached {
                environment: environment.name.clone(),
                application: one.name.clone(),
                goes: matches!(one.outcome, Outcome::Removed(_)),
                plan: one.outcome.hash(),
            }));
        }
        let plan = Data::of(preview).plan;
        let same = before.filter(|before| before.plan == plan);
        let since = same.map_or_else(|| Some(Timestamp::now()), |before| before.since);
        let accepted = before.and_then(|before| before.accepted.clone());
        Previewed { pull: preview.pull.clone(), tree, reaches, plan, since, accepted }
    }

    /// These plans were there before.
    pub(super) fn was_told(&self, before: Timestamp) -> bool {
        // Forges tell times in whole seconds.
        self.since.is_some_and(|since| since.duration_since(before) <= SignedDuration::from_secs(1))
    }
}

/// Verdicts, each by what branch protection knows it by.
pub(super) type Verdicts = BTreeMap<String, Verdict>;

/// What is said of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// In one line.
    pub(super) status: Status,
    /// At length; only GitHub has a place for it.
    pub(super) words: Option<Words>,
}

/// A verdict at length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    summary: String,
    changes: String,
    annotations: Vec<Annotation>,
}

impl Words {
    /// Of a preview and its comment.
    pub(super) fn of(comment: &Comment, preview: &Preview, risks: &[Risk], masks: &Masks) -> Self {
        let (summary, changes) = comment.parts();
        let annotations = annotations(preview, risks, masks).into_iter().map(|one| Annotation {
            path: one.file,
            line: one.line,
            level: match one.severity {
                Severity::Red => Level::Failure,
                Severity::Yellow => Level::Warning,
                Severity::Info => Level::Notice,
            },
            message: one.says,
        });
        Words { summary: summary.to_owned(), changes: changes.to_owned(), annotations: annotations.collect() }
    }
}

impl From<Status> for Verdict {
    fn from(status: Status) -> Self {
        Verdict { status, words: None }
    }
}

/// What has become of an attempt to tell something: done; or, in a sentence, why the forge does not take it, so that to ask
/// again does not help.
///
/// # Errors
/// What may be over by the next time.
pub(super) fn taken(attempt: Result<(), forge::Error>) -> Result<Option<String>, String> {
    use forge::Error;
    match attempt {
        Ok(()) => Ok(None),
        Err(error @ (Error::Forbidden { .. } | Error::NotFound { .. } | Error::Refused { .. })) => {
            Ok(Some(error.to_string()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A comment to be there.
pub(super) struct Text {
    /// What it says.
    pub(super) body: String,
    /// The same without commits and times: it is written again only when this changes.
    pub(super) essence: String,
    /// Without it there need not be a comment.
    pub(super) is_news: bool,
}

impl Text {
    /// Of a comment on a head.
    pub(super) fn of(comment: Comment, pull: &Pull, is_news: bool) -> Self {
        Text { essence: format!("{}\n{}", pull.head, comment.said), body: comment.body, is_news }
    }
}

impl Told {
    /// In an earlier life.
    pub(super) fn before(Said { previewed, body }: Said) -> Self {
        Told { previewed: Some(previewed), body, ..Told::default() }
    }

    /// Tells it again, whatever was told: a person asks for it.
    pub(super) fn forget(&mut self) {
        self.essence = None;
        self.statuses.clear();
    }

    /// Sees to it that the comment says this.
    pub(super) async fn say(&mut self, forge: &forge::Repository, pull: u64, text: Text) -> Result<(), forge::Error> {
        if self.essence.as_ref() == Some(&text.essence) {
            return Ok(());
        }
        let marker = text.body.lines().next().unwrap_or_default().to_owned();
        if !text.is_news && self.comment.is_none() {
            // One of an earlier life may be there; none is made to say that there is nothing to say.
            let own = forge.own_comments(pull, &marker).await?;
            match own.comment {
                Some(comment) => self.comment = Some(comment.id),
                None => {
                    self.essence = Some(text.essence);
                    return Ok(());
                }
            }
        }
        let put = forge.put_comment(pull, self.comment, &marker, &text.body).await?;
        self.comment = Some(put.comment.id);
        self.essence = Some(text.essence);
        self.body = Some(text.body);
        Ok(())
    }

    /// Sees to it that the head has these statuses, each by what branch protection knows it by.
    pub(super) async fn judge(
        &mut self,
        forge: &forge::Repository,
        head: Oid,
        verdicts: Verdicts,
        page: Option<&String>,
    ) -> Result<(), forge::Error> {
        for (context, verdict) in verdicts {
            let new = (head, verdict);
            if self.statuses.get(&context) == Some(&new) {
                continue;
            }
            let (head, verdict) = &new;
            let (state, description) = (state(verdict.status.state), verdict.status.description.clone());
            let (context, page) = (context, page.cloned());
            let put = CommitStatus { commit: *head, branch: None, context: context.clone(), state, description, page };
            deliver(forge, put, verdict.words.as_ref()).await?;
            self.statuses.insert(context, new);
        }
        Ok(())
    }
}

/// Says it at length where there is a place for that, else in a line.
async fn deliver(forge: &forge::Repository, status: CommitStatus, words: Option<&Words>) -> Result<(), forge::Error> {
    if !forge.forge().is_app() {
        return forge.put_status(&status).await;
    }
    let Words { summary, changes, annotations } = words.cloned().unwrap_or_else(|| Words {
        summary: status.description.clone(),
        changes: String::new(),
        annotations: Vec::new(),
    });
    let report = Report { status, summary, text: changes, annotations };
    match forge.put_report(&report).await {
        Ok(Done::Yes) => Ok(()),
        // An App may have been given the right to statuses and not the one to checks.
        Ok(Done::NotOffered) | Err(forge::Error::Forbidden { .. }) => forge.put_status(&report.status).await,
        Err(error) => Err(error),
    }
}

fn state(state: status::State) -> State {
    match state {
        status::State::Pending => State::Pending,
        status::State::Success => State::Success,
        status::State::Failure => State::Failure,
        status::State::Error => State::Error,
        status::State::Neutral => State::Neutral,
    }
}

/// Whose Markdown a forge reads.
pub(super) fn flavour(kind: forge::Kind) -> Flavour {
    match kind {
        forge::Kind::GitHub => Flavour::GitHub,
        forge::Kind::GitLab => Flavour::GitLab,
        forge::Kind::Gitea => Flavour::Gitea,
        forge::Kind::BitbucketCloud => Flavour::BitbucketCloud,
        forge::Kind::BitbucketServer => Flavour::BitbucketServer,
    }
}

#[cfg(test)]
mod tests;
