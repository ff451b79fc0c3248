//! `promote`: a version's way into an environment.

mod environment;
mod image;

use clap::{Args, Subcommand};

use super::terminal::Terminal;
use super::{Exit, Failure};

/// Bring new versions into environments
///
/// For example: leeboard promote image clusters/dev web=1.4.2
#[derive(Debug, Args)]
pub(super) struct PromoteArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Image(image::ImageArgs),
}

impl PromoteArgs {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        match &self.command {
            Command::Image(command) => command.run(terminal),
        }
    }
}
