//! The command line: what a person asks for, and what they see.
//!
//! **In:** arguments, the environment, the terminal. **Out:** results on stdout, everything else on stderr, an exit
//! code. **May not:** decide anything about manifests or clusters: commands call the rooms above and show what came.
//!
//! One file per command. The doc comment of its arguments is its help text. [`terminal`] is the only place that knows
//! a terminal, [`report`] draws problems.

mod build;
mod canary;
mod check;
mod cluster;
mod cluster_directories;
mod completions;
mod crds;
pub mod demo;
mod diff;
mod get;
mod health;
mod nearest;
mod preview;
mod promotion;
mod remotes;
pub mod report;
mod run;
mod subject;
mod sync;
pub mod terminal;
mod tree;
mod walk;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use self::report::Problems;
use self::terminal::{ColorChoice, Terminal};

/// Keep Kubernetes clusters from drifting from git
#[derive(Debug, Parser)]
#[command(name = "leeboard", version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value_t, value_enum)]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Build),
    Check(check::Check),
    Get(get::Get),
    Diff(diff::Diff),
    Preview(preview::Preview),
    Sync(sync::Sync),
    Crds(crds::Crds),
    Demo(demo::Demo),
    Health(health::HealthOf),
    Canary(canary::CanaryArgs),
    Promote(Box<promotion::PromoteArgs>),
    Approve(promotion::Approve),
    Reject(promotion::Reject),
    Abort(promotion::Abort),
    Lock(promotion::Lock),
    Unlock(promotion::Unlock),
    Hold(promotion::Hold),
    Resume(promotion::Resume),
    Rollback(promotion::Rollback),
    Promotion(promotion::PromotionArgs),
    Run(run::Run),
    Completions(completions::Completions),
}

/// How a result is written for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON value
    Json,
    /// YAML
    Yaml,
}

/// How a command ended, when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well, or all is the same.
    Ok,
    /// It was looked for differences, and there are some; or for problems, and there are some.
    Found,
    /// It could not be told, or not done; what is wrong was said.
    Trouble,
    /// As the command's own help says.
    Told(u8),
}

/// Why a command did not end as asked.
#[derive(Debug)]
pub enum Failure {
    /// What is wrong is in files that a person wrote.
    Problems(Problems),
    /// Anything else, with its causes.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Other(error.into())
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut terminal = Terminal::new(arguments.color);
    let done = match &arguments.command {
        Command::Build(command) => command.run(&mut terminal),
        Command::Check(command) => command.run(&mut terminal),
        Command::Get(command) => command.run(&mut terminal),
        Command::Diff(command) => command.run(&mut terminal),
        Command::Preview(command) => command.run(&mut terminal),
        Command::Sync(command) => command.run(&mut terminal),
        Command::Crds(command) => command.run(&mut terminal),
        Command::Demo(command) => command.run(&mut terminal),
        Command::Health(command) => command.run(&mut terminal),
        Command::Canary(command) => command.run(&mut terminal),
        Command::Promote(command) => command.run(&mut terminal),
        Command::Approve(command) => command.run(&mut terminal),
        Command::Reject(command) => command.run(&mut terminal),
        Command::Abort(command) => command.run(&mut terminal),
        Command::Lock(command) => command.run(&mut terminal),
        Command::Unlock(command) => command.run(&mut terminal),
        Command::Hold(command) => command.run(&mut terminal),
        Command::Resume(command) => command.run(&mut terminal),
        Command::Rollback(command) => command.run(&mut terminal),
        Command::Promotion(command) => command.run(&mut terminal),
        Command::Run(command) => command.run(),
        Command::Completions(command) => completions::run::<Arguments>(command, &mut terminal),
    };
    // As diff(1) has it, 1 is a difference.
    let trouble = ExitCode::from(if matches!(arguments.command, Command::Diff(_)) { 2 } else { 1 });
    match done {
        Ok(Exit::Ok) => ExitCode::SUCCESS,
        Ok(Exit::Found) => ExitCode::from(1),
        Ok(Exit::Trouble) => trouble,
        Ok(Exit::Told(code)) => ExitCode::from(code),
        Err(Failure::Problems(problems)) => {
            terminal.say(&problems.draw(&terminal));
            trouble
        }
        // Whoever reads our output has seen enough.
        Err(Failure::Other(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Other(error)) => {
            terminal.say(&report::failure(&error, &terminal));
            trouble
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_and_flag_has_a_help_text_without_a_full_stop() {
        fn check(command: &clap::Command, path: &str) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && !about.ends_with('.'), "{path}: {about:?}");
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty() && !help.ends_with('.'), "{path} {}: {help:?}", argument.get_id());
            }
            for command in command.get_subcommands() {
                check(command, &format!("{path} {}", command.get_name()));
            }
        }
        check(&Arguments::command(), "leeboard");
    }
}
