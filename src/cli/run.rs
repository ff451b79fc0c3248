//! `leeboard run`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure};
use crate::git::LocalRepositories;
use crate::run;
use crate::server::pages::BaseUrl;
use crate::telemetry::{self, LogStyle};

/// Keep clusters as git has them, until stopped
///
/// Example: leeboard run --namespace leeboard --data-dir /var/lib/leeboard --listen 0.0.0.0:8080
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Where Applications, AppProjects, Environments and repository Secrets are
    #[arg(long, env = "LEEBOARD_NAMESPACE", default_value = "leeboard")]
    namespace: String,
    /// Directory for caches; deleting it costs a fetch
    #[arg(long, env = "LEEBOARD_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of webhooks, probes and metrics; port 0 takes a free one
    #[arg(long, env = "LEEBOARD_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where people reach that address from outside, for links in comments: https://leeboard.example
    #[arg(long, env = "LEEBOARD_URL", value_name = "URL")]
    url: Option<BaseUrl>,
    /// Kubeconfig file; without it as kubectl finds it, else the pod's service account
    #[arg(long, env = "LEEBOARD_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, env = "LEEBOARD_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// Act on canaries although a Flagger runs in the cluster: for the time until it is gone
    #[arg(long, env = "LEEBOARD_ADOPT")]
    adopt: bool,
    /// What is logged: a level, or levels by module as `info,leeboard::run=debug`
    #[arg(long, env = "LEEBOARD_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

impl Run {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        telemetry::init_logs(LogStyle::of_stderr(), &self.log)?;
        let options = run::Options {
            namespace: self.namespace.clone(),
            data_dir: self.data_dir.clone().unwrap_or_else(default_data_dir),
            listen: self.listen,
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            url: self.url.clone(),
            adopt: self.adopt,
            local_repositories: if in_pod() { LocalRepositories::Refused } else { LocalRepositories::Allowed },
        };
        // Two threads are enough for what waits on the network; renders and git have threads of their own.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let ended = runtime.block_on(run::run(options));
        // A fetch or a render that is under way keeps nobody waiting.
        runtime.shutdown_background();
        ended?;
        Ok(Exit::Ok)
    }
}

/// In a pod nobody's address may reach the file system.
fn in_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

fn default_data_dir() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state.or_else(home).map_or_else(|| "/var/lib/leeboard".into(), |state| state.join("leeboard"))
}
