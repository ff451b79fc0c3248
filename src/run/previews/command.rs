//! Commands in comments: read from the forge again, acted on for people with rights, acknowledged.
//!
//! **In:** the id of a comment that a webhook hints at. **Out:** a reaction, an answer, and whether to look again. **May
//! not:** believe the webhook about author or text; act on a comment that was edited; or answer strangers.

use std::sync::Arc;

use super::super::Daemon;
use super::explain::explain;
use super::followed::Followed;
use crate::forge::{self, Comment, Permission, Reaction};
use crate::preview::command::{Command, help};

/// Heeds a comment. True when the pull request is to be compared again.
///
/// # Errors
/// When the forge, or the repository, does not answer: in one sentence.
pub(super) async fn heed(
    daemon: &Arc<Daemon>,
    followed: &Followed,
    forge: &forge::Repository,
    pull: u64,
    id: u64,
) -> Result<bool, String> {
    let said = |error: forge::Error| error.to_string();
    let forge = forge.urgent();
    let Some(comment) = forge.comment(pull, id).await.map_err(said)? else { return Ok(false) };
    let me = forge.forge().myself().await.map_err(said)?;
    let is_a_persons = comment.author.id != me.id && !comment.author.is_bot && comment.edited.is_none();
    let Some(asked) = Command::parse(&comment.body, &me.login).filter(|_| is_a_persons) else { return Ok(false) };
    let permission = forge.permission(&comment.author).await.map_err(said)?;
    let (reaction, answered) = match asked {
        Ok(Command::Preview) if permission >= Permission::Write => (Reaction::Up, None),
        Ok(Command::Help) if permission >= Permission::Read => (Reaction::Up, Some(help(None))),
        Ok(Command::Explain(wanted)) if permission >= Permission::Write => {
            let pull = forge.pull(pull).await.map_err(said)?;
            let Some(text) = explain(daemon, followed, &forge, &pull, &wanted).await? else { return Ok(false) };
            (Reaction::Up, Some(text))
        }
        Err(unknown) if permission >= Permission::Write => (Reaction::Down, Some(help(Some(&unknown)))),
        // Everybody may read a public repository: what they may not ask for is no way to have us write.
        Ok(_) | Err(_) => return Ok(false),
    };
    forge.react(&comment, reaction).await.map_err(said)?;
    match answered {
        Some(text) => answer(followed, &forge, &comment, &text).await.map(|()| false).map_err(said),
        None => Ok(true),
    }
}

/// Answers once: an answer carries the number of the comment that it is for.
async fn answer(
    followed: &Followed,
    forge: &forge::Repository,
    comment: &Comment,
    text: &str,
) -> Result<(), forge::Error> {
    let marker = format!("<!-- leeboard:answer v1 instance={} to={} -->", followed.instance, comment.id);
    forge.put_comment(comment.pull, None, &marker, &format!("{marker}\n\n{text}")).await.map(drop)
}
