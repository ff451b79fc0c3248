//! `canary`: new versions tried on part of the traffic first.

mod simulate;

use clap::{Args, Subcommand};

use super::terminal::Terminal;
use super::{Exit, Failure};

/// Try out and watch canaries
///
/// For example: leeboard canary simulate -f canary.yaml --script failing.txt
#[derive(Debug, Args)]
pub(super) struct CanaryArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Simulate(simulate::Simulate),
}

impl CanaryArgs {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        match &self.command {
            Command::Simulate(command) => command.run(terminal),
        }
    }
}
