//! `canary`: new versions tried on part of the traffic first.

mod simulate;
mod status;
mod subject;
mod view;
mod wish;

use clap::{Args, Subcommand};

use super::terminal::Terminal;
use super::{Exit, Failure};
use crate::canary::world::WishKind;

/// Try out and watch canaries
///
/// For example: leeboard canary status shop/web --watch
#[derive(Debug, Args)]
pub(super) struct CanaryArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Status),
    /// Pass the pause or the gate that is waited for
    ///
    /// After a promotion that got stuck it lets the promotion go on. For example: leeboard canary promote shop/web
    Promote {
        /// Promote now, whatever is left to be checked
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        wish: wish::Wish,
    },
    /// End a run: traffic back to the primary, the primary back to what it was
    ///
    /// For example: leeboard canary abort shop/web -m "checkout is slow"
    Abort(wish::Wish),
    /// Try the failed version again
    ///
    /// For example: leeboard canary retry shop/web
    Retry(wish::Wish),
    /// Hold the weight; the checks go on
    ///
    /// For example: leeboard canary pause shop/web -m "wait for the report"
    Pause(wish::Wish),
    /// Let a paused run go on
    ///
    /// For example: leeboard canary resume shop/web
    Resume(wish::Wish),
    Simulate(simulate::Simulate),
}

impl CanaryArgs {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        match &self.command {
            Command::Status(command) => command.run(terminal),
            Command::Promote { full: false, wish } => wish.run(WishKind::Promote, terminal),
            Command::Promote { full: true, wish } => wish.run(WishKind::PromoteFully, terminal),
            Command::Abort(wish) => wish.run(WishKind::Abort, terminal),
            Command::Retry(wish) => wish.run(WishKind::Retry, terminal),
            Command::Pause(wish) => wish.run(WishKind::Pause, terminal),
            Command::Resume(wish) => wish.run(WishKind::Resume, terminal),
            Command::Simulate(command) => command.run(terminal),
        }
    }
}
