//! Two files instead of a cluster: would an apply change the live object? Answered without asking anybody.

use std::path::PathBuf;

use clap::Args;

use super::super::{Exit, Failure};

/// Files to compare instead of a cluster's objects.
#[derive(Debug, Args)]
pub(super) struct Files {
    /// Compare this object, as the API server returns it, with --desired; no cluster is asked
    #[arg(long, value_name = "FILE", requires = "desired", conflicts_with = "what")]
    live: Option<PathBuf>,
    /// Compare --live with this manifest
    #[arg(long, value_name = "FILE", requires = "live")]
    desired: Option<PathBuf>,
    /// The Application whose options hold for --live and --desired
    #[arg(long, value_name = "FILE", requires = "live")]
    app: Option<PathBuf>,
}

impl Files {
    /// `None` when no files are given.
    pub(super) fn compared(&self) -> Result<Option<Exit>, Failure> {
        let (None, None, None) = (&self.live, &self.desired, &self.app) else { return Ok(None) };
        Ok(None)
    }
}
