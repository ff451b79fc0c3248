//! `check`: renders every cluster directory and looks for mistakes, without a cluster.

mod environment;
mod names;
mod place;
pub(super) mod scope;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};

use self::environment::{Checked, check};
use super::cluster_directories::cluster_directories;
use super::report::{self, Problems};
use super::terminal::{Symbol, Terminal, bold, counted, dim};
use super::{Exit, Failure, Format, tree};
use crate::error::Diagnostic;
use crate::git::RepoUrl;
use crate::in_order;

/// Render every cluster directory and look for mistakes; needs no cluster
///
/// Looks at each directory below `clusters` and at all Applications that these lead to, as far as their files are in
/// this repository. Exits with 1 when there is a problem
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The repository, or one cluster directory of it
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// URL of this repository: Applications with another one are left alone [default: any that has their path]
    #[arg(long, value_name = "URL")]
    repo_url: Option<RepoUrl>,
    /// Write the result for programs
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

impl Check {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let begin = Instant::now();
        let opened = tree::open(&self.directory, tree::Reach::Directory)?;
        let problems = |found| Failure::Problems(Problems::in_tree(found, &opened.files, &opened.paths));
        let directories =
            cluster_directories(&opened.files, &opened.directory).map_err(|error| problems(vec![error]))?;
        let checked = in_order::map(in_order::workers(), &directories, |directory| {
            check(&opened.files, directory, self.repo_url.as_ref())
        });

        match self.output {
            Some(Format::Json) => terminal.print(&format!("{}\n", to_value(&checked)))?,
            Some(Format::Yaml) => terminal.print(&tree::to_yaml(&to_value(&checked))?)?,
            None => {
                let text = summary(&checked, begin.elapsed().as_secs_f64(), terminal);
                terminal.print(&text)?;
                for warning in checked.iter().flat_map(|checked| &checked.warnings) {
                    let text = report::warning(warning, &opened.paths, terminal);
                    terminal.say(&text);
                }
            }
        }
        let found: Vec<Diagnostic> = checked.into_iter().flat_map(|checked| checked.problems).collect();
        match (found.is_empty(), self.output) {
            (true, _) => Ok(Exit::Ok),
            (false, Some(_)) => Ok(Exit::Found),
            (false, None) => Err(problems(found)),
        }
    }
}

fn summary(checked: &[Checked], seconds: f64, terminal: &Terminal) -> String {
    let mut text = String::new();
    let width = checked.iter().map(|checked| checked.directory.to_string().len()).max().unwrap_or(0);
    for checked in checked {
        let name = format!("{:width$}", checked.directory.to_string());
        let objects = counted(checked.objects, "object");
        let applications = counted(checked.applications, "application");
        let elsewhere = match checked.elsewhere {
            0 => String::new(),
            count => dim(format!(", {} elsewhere not looked at", counted(count, "source"))),
        };
        let result = if checked.problems.is_empty() {
            format!("{} {objects} of {applications}{elsewhere}", terminal.symbol(Symbol::Good))
        } else {
            format!("{} {}", terminal.symbol(Symbol::Bad), counted(checked.problems.len(), "problem"))
        };
        text.push_str(&format!("{}  {result}\n", bold(name)));
    }
    text.push_str(&format!("{}\n", dim(format!("{seconds:.2} s"))));
    text
}

fn to_value(checked: &[Checked]) -> Value {
    let problem = |problem: &Diagnostic| {
        json!({
            "title": problem.title,
            "file": problem.origin.as_ref().map(|origin| &*origin.file),
            "line": problem.origin.as_ref().map(|origin| origin.line).filter(|line| *line > 0),
            "column": problem.origin.as_ref().map(|origin| origin.column).filter(|column| *column > 0),
            "hint": problem.hint,
            "notes": problem.notes,
        })
    };
    let directories = checked.iter().map(|checked| {
        json!({
            "path": checked.directory.to_string(),
            "objects": checked.objects,
            "applications": checked.applications,
            "elsewhere": checked.elsewhere,
            "problems": checked.problems.iter().map(problem).collect::<Vec<_>>(),
            "warnings": checked.warnings.iter().map(problem).collect::<Vec<_>>(),
        })
    });
    json!({ "directories": directories.collect::<Vec<_>>() })
}
