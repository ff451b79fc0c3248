//! Commands in comments: read from the forge again, acted on for people with rights, acknowledged.
//!
//! **In:** the id of a comment that a webhook hints at. **Out:** a reaction, an answer, and whether to look again. **May
//! not:** believe the webhook about author or text; act on a comment that was edited; or answer strangers.

use super::followed::Followed;
use crate::forge::{self, Comment, Permission, Reaction};
use crate::preview::command::{Command, help};

/// Heeds a comment. True when the pull request is to be compared again.
///
/// # Errors
/// When the forge does not answer.
pub(super) async fn heed(
    followed: &Followed,
    forge: &forge::Repository,
    pull: u64,
    id: u64,
) -> Result<bool, forge::Error> {
    let forge = forge.urgent();
    let Some(comment) = forge.comment(pull, id).await? else { return Ok(false) };
    let me = forge.forge().myself().await?;
    let is_a_persons = comment.author.id != me.id && !comment.author.is_bot && comment.edited.is_none();
    let Some(asked) = Command::parse(&comment.body, &me.login).filter(|_| is_a_persons) else { return Ok(false) };
    let permission = forge.permission(&comment.author).await?;
    match asked {
        Ok(Command::Preview) if permission >= Permission::Write => {
            forge.react(&comment, Reaction::Up).await?;
            Ok(true)
        }
        Ok(Command::Help) if permission >= Permission::Read => {
            forge.react(&comment, Reaction::Up).await?;
            answer(followed, &forge, &comment, &help(None)).await
        }
        Err(unknown) if permission >= Permission::Write => {
            forge.react(&comment, Reaction::Down).await?;
            answer(followed, &forge, &comment, &help(Some(&unknown))).await
        }
        // Everybody may read a public repository: what they may not ask for is no way to have us write.
        Ok(_) | Err(_) => Ok(false),
    }
}

/// Answers once: an answer carries the number of the comment that it is for.
async fn answer(
    followed: &Followed,
    forge: &forge::Repository,
    comment: &Comment,
    text: &str,
) -> Result<bool, forge::Error> {
    let marker = format!("<!-- leeboard:answer v1 instance={} to={} -->", followed.instance, comment.id);
    forge.put_comment(comment.pull, None, &marker, &format!("{marker}\n\n{text}")).await?;
    Ok(false)
}
