//! How a command reaches a cluster: the flags that kubectl has too.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use tokio::time::timeout;

use super::terminal::Terminal;
use crate::live::client::{Cluster, Options};

/// Which cluster.
#[derive(Clone, Debug, Args)]
pub(super) struct Connection {
    /// File with the way to the cluster [default: as kubectl finds it]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl Connection {
    /// True when a person has said which cluster.
    pub(super) fn is_named(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }

    /// Makes ready to ask the cluster; no request is made yet.
    pub(super) async fn connect(&self) -> anyhow::Result<Cluster> {
        let options = Options { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() };
        Ok(Cluster::connect(options).await?)
    }
}

/// Which cluster, and where in it the Applications are.
#[derive(Clone, Debug, Args)]
pub(super) struct Target {
    #[command(flatten)]
    connection: Connection,
    /// Namespace of the Applications [default: all]
    #[arg(short, long)]
    pub(super) namespace: Option<String>,
}

impl Target {
    /// Makes ready to ask the cluster; no request is made yet.
    pub(super) async fn connect(&self) -> anyhow::Result<Cluster> {
        self.connection.connect().await
    }
}

/// After this a person is told what is waited for.
const UNTOLD: Duration = Duration::from_secs(1);
/// After this nobody answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs what has to wait for `whom`, and says so when it takes long.
pub(super) fn wait_for<T>(whom: &str, terminal: &mut Terminal, work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the part that waits for the network")?;
    runtime.block_on(async {
        let mut work = pin!(work);
        if let Ok(done) = timeout(UNTOLD, work.as_mut()).await {
            return Ok(done);
        }
        if terminal.is_watched() {
            terminal.say(&format!("waiting for {whom} …\n"));
        }
        timeout(PATIENCE, work).await.map_err(|_| anyhow!("{whom} does not answer since {} s", PATIENCE.as_secs()))
    })
}
