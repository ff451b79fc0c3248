//! How a command reaches a cluster: the flags that kubectl has too.

use std::future::Future;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::live::client::{Cluster, Options};

/// Which cluster, and where in it the Applications are.
#[derive(Clone, Debug, Args)]
pub(super) struct Target {
    /// File with the way to the cluster [default: as kubectl finds it]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Namespace of the Applications [default: all]
    #[arg(short, long)]
    pub(super) namespace: Option<String>,
}

impl Target {
    /// Makes ready to ask the cluster; no request is made yet.
    pub(super) async fn connect(&self) -> anyhow::Result<Cluster> {
        let options = Options { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() };
        Ok(Cluster::connect(options).await?)
    }
}

/// Runs what has to wait for others.
pub(super) fn wait_for<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the part that waits for the network")?;
    Ok(runtime.block_on(work))
}
