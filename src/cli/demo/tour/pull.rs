//! The tour of a pull request: opened, previewed, pushed to again, merged, and told what became of it.

use std::time::Instant;

use anyhow::ensure;

use super::super::forge::Opened;
use super::super::shop::branch;
use super::super::stage::{Stage, eventually};
use super::{Guide, Play, SOON, Shown, WEB, took_text};

/// Of the pull request.
const HEAD: &str = "raise-web";
/// More of a comment is not quoted.
const MOST_LINES: usize = 24;

/// Plays all of it after the first sync.
pub(super) async fn play(guide: &mut Guide<'_>, play: &mut Play<'_, '_>) -> anyhow::Result<()> {
    let mut opened = None;
    play.step("pull request opened", open(guide, &mut opened)).await?;
    let Some(pull) = opened else { anyhow::bail!("no pull request was opened") };
    play.step("a second commit", push_again(guide, pull)).await?;
    play.step("merged", merge(guide, pull)).await
}

async fn open(guide: &mut Guide<'_>, opened: &mut Option<Opened>) -> anyhow::Result<Shown> {
    let base = branch("dev");
    let forge = guide.stage.forge()?;
    forge.commit(&base, HEAD, "Raise web to 1.5.0", [WEB, "newTag: 1.4.1", "newTag: 1.5.0"]).await?;
    let pull = forge.open(HEAD, &base, "Raise web to 1.5.0").await?;
    let began = Instant::now();
    *opened = Some(pull);
    let comment = comment(guide.stage, pull, |text| text.contains(":1.5.0")).await?;
    let told = format!("told what it would change after {}", took_text(began.elapsed()));
    Ok(Shown::new(told).quoting(format!("{}\n{}", forge.page(pull.number), readable(&comment))))
}

async fn push_again(guide: &mut Guide<'_>, pull: Opened) -> anyhow::Result<Shown> {
    let forge = guide.stage.forge()?;
    let edit = [WEB, "newTag: 1.5.0", "newTag: 1.5.1"];
    forge.commit(HEAD, HEAD, "Rather 1.5.1", edit).await?;
    let began = Instant::now();
    comment(guide.stage, pull, |text| text.contains(":1.5.1") && !text.contains(":1.5.0")).await?;
    let took = took_text(began.elapsed());
    let verdict = eventually("the head is judged", SOON, async || match forge.verdict(HEAD).await {
        Ok(verdict) if verdict.starts_with("success: ") => Ok(verdict),
        Ok(other) => Err(other),
        Err(error) => Err(error.to_string()),
    })
    .await?;
    Ok(Shown::new(format!("the same comment says so after {took}; status: {verdict}")))
}

async fn merge(guide: &mut Guide<'_>, pull: Opened) -> anyhow::Result<Shown> {
    let forge = guide.stage.forge()?;
    eventually("it can be merged", SOON, async || forge.merge(pull).await.map_err(|error| error.to_string())).await?;
    let comment = comment(guide.stage, pull, |text| text.contains("as previewed")).await?;
    guide.image("dev", "web", ":1.5.1").await?;
    let headline = comment.lines().find_map(|line| line.strip_prefix("### ")).unwrap_or_default();
    Ok(Shown::new(headline.to_owned()))
}

/// Waits for the one comment to say something.
async fn comment(stage: &Stage, pull: Opened, says: impl Fn(&str) -> bool) -> anyhow::Result<String> {
    let forge = stage.forge()?;
    let comments = eventually("the pull request is told", SOON, async || match forge.comments(pull).await {
        Ok(comments) if comments.iter().any(|comment| says(comment)) => Ok(comments),
        Ok(comments) => Err(comments.join("\n")),
        Err(error) => Err(error.to_string()),
    })
    .await?;
    ensure!(comments.len() == 1, "there are {} comments instead of one", comments.len());
    Ok(comments.concat())
}

/// A comment without what only its Markdown needs.
fn readable(comment: &str) -> String {
    let is_markup = |line: &str| {
        line.is_empty()
            || ["<!--", "</details>", "~~~", "<sub>", "| ---", "[//]"].iter().any(|mark| line.starts_with(mark))
    };
    let lines = comment.lines().map(str::trim_end).filter(|line| !is_markup(line));
    let plain = lines.map(|line| line.replace("<details><summary>", "").replace("</summary>", "").replace("**", ""));
    plain.take(MOST_LINES).collect::<Vec<_>>().join("\n")
}
