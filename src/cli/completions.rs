//! `completions`: scripts by which shells complete our arguments.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::terminal::Terminal;
use super::{Exit, Failure};

/// Print a script by which a shell completes the arguments
///
/// For bash: leeboard completions bash > ~/.local/share/bash-completion/completions/leeboard
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

pub(super) fn run<C: CommandFactory>(arguments: &Completions, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut C::command(), "leeboard", &mut script);
    terminal.print_raw(&script)?;
    Ok(Exit::Ok)
}
