//! `sync`: makes the cluster hold what a directory, or an application's commit, says.
//!
//! A directory is applied by this process with the machinery of the daemon; an Application's sync is asked of the
//! daemon, and followed.

mod application;
mod changes;
mod directory;
mod drive;
mod progress;

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;

use super::cluster::Connection;
use super::diff::{What, runtime};
use super::subject::directory as local;
use super::terminal::{Symbol, Terminal};
use super::{Exit, Failure};
use crate::api::duration;

/// Make a cluster hold what a directory, or an application's commit, says
///
/// A directory is applied from here, wave by wave. For an application the daemon does it, and this command shows how it
/// gets on. A directory of that name wins. Exits with 1 when it fails. For example:
/// leeboard sync apps/web/overlays/dev -n shop --watch
#[derive(Debug, Args)]
pub(super) struct Sync {
    /// A directory, or an application's name
    #[arg(value_name = "DIR|APP")]
    what: String,
    #[command(flatten)]
    manner: local::Manner,
    /// Ask the API server what it would do, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before anything is deleted
    #[arg(short, long)]
    yes: bool,
    /// For a directory: apply it again whenever its files change
    #[arg(short, long, conflicts_with_all = ["dry_run", "plan"])]
    watch: bool,
    /// Give up after this time
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    timeout: Duration,
    /// For a directory: only if this is still the plan, as `leeboard diff` has shown it
    #[arg(long, value_name = "HASH")]
    plan: Option<String>,
    /// For an application: branch, tag or commit instead of its own
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Where a directory's objects go that name no namespace; or where the Application is
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).filter(|d| !d.is_zero()).ok_or_else(|| "a duration such as `90s`, `5m` or `1h`".to_owned())
}

impl Sync {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            let cluster = local::connect(&self.connection).await?;
            match What::of(&self.what) {
                What::Directory(path) if self.watch => self.watch_directory(cluster, &path, terminal).await,
                What::Directory(path) => {
                    let local = local::Local::open(&path, &self.manner)?;
                    let applied = self.apply_directory(cluster, &local, directory::Round::Only, terminal).await?;
                    Ok(applied.exit)
                }
                What::Application(_) if self.watch => Err(anyhow!("`--watch` is for directories").into()),
                What::Application(name) => self.sync_application(&cluster, &name, terminal).await,
            }
        });
        runtime.shutdown_background();
        done
    }

    /// Asks a person, when there is one, whether these shall be deleted; `Err` when the answer is no.
    fn confirm(&self, deleted: &[String], terminal: &mut Terminal) -> Result<(), Failure> {
        if self.yes || self.dry_run || deleted.is_empty() || !terminal.is_watched() || !std::io::stdin().is_terminal() {
            return Ok(());
        }
        let listed = deleted.iter().take(12).map(|name| format!("  {name}\n")).collect::<String>();
        let more = deleted.len().saturating_sub(12);
        let more = if more > 0 { format!("  and {more} more\n") } else { String::new() };
        let note = terminal.symbol(Symbol::Note);
        terminal.say(&format!("\n{note} y deletes for good:\n{listed}{more}Go on? [y/N] "));
        let _ = std::io::stderr().flush();
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(anyhow!("nothing was changed").into()),
        }
    }
}
