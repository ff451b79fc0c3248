//! Commands in comments: read from the forge again, acted on for people with rights, acknowledged.
//!
//! **In:** the id of a comment that a webhook hints at. **Out:** a reaction, an answer, and whether to look again. **May
//! not:** believe the webhook about author or text; act on a comment that was edited; do twice what may be done once; or
//! answer strangers.

use std::sync::Arc;

use super::super::Daemon;
use super::super::promotions::wish::{self, Asked, Heard};
use super::explain::explain;
use super::followed::Followed;
use crate::forge::{self, Comment, Permission, Pull, Reaction};
use crate::preview::command::{self, Command, Wish, help};
use crate::preview::phrase::say;

/// Heeds a comment on a pull request. True when that is to be compared again.
///
/// # Errors
/// When the forge, the repository or the cluster does not answer: in one sentence.
pub(super) async fn heed(
    daemon: &Arc<Daemon>,
    followed: &Followed,
    forge: &forge::Repository,
    pull: &Pull,
    id: u64,
) -> Result<bool, String> {
    let forge = forge.urgent();
    let Some(comment) = forge.comment(pull.number, id).await.map_err(said)? else { return Ok(false) };
    let me = forge.forge().myself().await.map_err(said)?;
    let is_a_persons = comment.author.id != me.id && !comment.author.is_bot && comment.edited.is_none();
    let Some(asked) = Command::parse(&comment.body, &me.login).filter(|_| is_a_persons) else { return Ok(false) };
    let heard = Comments { daemon, followed, forge: &forge, pull, comment: &comment };
    let asked = match asked {
        Ok(Command::Promotion(wish)) => return heard.wish(&wish).await.map(|()| false),
        Ok(Command::AcceptRisk(_)) => return heard.accept_risk().await,
        asked => asked,
    };
    let permission = forge.permission(&comment.author).await.map_err(said)?;
    let (reaction, answered) = match asked {
        Ok(Command::Preview) if permission >= Permission::Write => (Reaction::Up, None),
        Ok(Command::Help) if permission >= Permission::Read => (Reaction::Up, Some(help(None))),
        Ok(Command::Explain(wanted)) if permission >= Permission::Write => {
            let Some(text) = explain(daemon, followed, &forge, pull, &wanted).await? else { return Ok(false) };
            (Reaction::Up, Some(text))
        }
        Err(unknown) if permission >= Permission::Write => (Reaction::Down, Some(help(Some(&unknown)))),
        // Everybody may read a public repository: what they may not ask for is no way to have us write.
        Ok(_) | Err(_) => return Ok(false),
    };
    match answered {
        Some(text) => heard.answer(reaction, &text).await.map(|()| false),
        None => forge.react(&comment, reaction).await.map(|_| true).map_err(said),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn said(error: forge::Error) -> String {
    error.to_string()
}

/// A comment, and where it stands.
struct Comments<'a> {
    daemon: &'a Arc<Daemon>,
    followed: &'a Followed,
    forge: &'a forge::Repository,
    pull: &'a Pull,
    comment: &'a Comment,
}

impl Comments<'_> {
    /// What only the cluster can say who may have it.
    async fn wish(&self, wish: &Wish) -> Result<(), String> {
        if self.is_answered().await? {
            return Ok(());
        }
        let (comment, pull) = (self.comment, self.pull.number);
        let via = comment.page.clone().unwrap_or_else(|| format!("comment {} on pull request {pull}", comment.id));
        let asked = Asked { wish, account: &comment.author, at: comment.created, via, pull, url: &self.followed.url };
        match wish::heed(self.daemon, &asked).await? {
            Heard::Done(what) => self.answer(Reaction::Up, &command::answer(&what)).await,
            Heard::Refused(why) => self.answer(Reaction::Down, &command::answer(&why)).await,
            Heard::OfStranger => Ok(()),
        }
    }

    /// The risks of the plan that the comment shows are taken; true when the status is to say so.
    async fn accept_risk(&self) -> Result<bool, String> {
        if self.is_answered().await? {
            return Ok(false);
        }
        let told = self.followed.risked(self.daemon, self.pull.number, self.comment.created).await;
        let Some((environments, is_of_plan)) = told else { return Ok(false) };
        match wish::may_take_risks(self.daemon, &environments, &self.comment.author).await? {
            Heard::Done(_) if !is_of_plan => {
                let why = say("there is another plan since then: look at it, and say it again", &[]);
                self.answer(Reaction::Down, &command::answer(&why)).await.map(|()| false)
            }
            Heard::Done(what) => {
                self.followed.take_risks(self.pull.number).await;
                self.answer(Reaction::Up, &command::answer(&what)).await.map(|()| true)
            }
            Heard::Refused(why) => self.answer(Reaction::Down, &command::answer(&why)).await.map(|()| false),
            Heard::OfStranger => Ok(false),
        }
    }

    /// An answer carries the number of the comment that it is for.
    fn marker(&self) -> String {
        format!("<!-- leeboard:answer v1 instance={} to={} -->", self.followed.instance, self.comment.id)
    }

    /// It was heeded in an earlier life.
    async fn is_answered(&self) -> Result<bool, String> {
        let own = self.forge.own_comments(self.pull.number, &self.marker()).await.map_err(said)?;
        Ok(own.comment.is_some())
    }

    /// Answers once.
    async fn answer(&self, reaction: Reaction, text: &str) -> Result<(), String> {
        self.forge.react(self.comment, reaction).await.map_err(said)?;
        let marker = self.marker();
        let body = format!("{marker}\n\n{text}");
        self.forge.put_comment(self.pull.number, None, &marker, &body).await.map(drop).map_err(said)
    }
}
