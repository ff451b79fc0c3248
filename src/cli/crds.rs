//! `crds`: the custom resource definitions.

use clap::Args;

use super::terminal::Terminal;
use super::{Exit, Failure, tree};
use crate::api;

/// Print the custom resource definitions
///
/// Apply them with: leeboard crds | kubectl apply --server-side -f -
#[derive(Debug, Args)]
pub(super) struct Crds {}

impl Crds {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let documents = api::crds().iter().map(tree::to_yaml).collect::<Result<Vec<_>, _>>()?;
        terminal.print(&documents.join("---\n"))?;
        Ok(Exit::Ok)
    }
}
