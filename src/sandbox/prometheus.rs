//! [`Prometheus`]: the real one, which scrapes routers twice a second.

use std::fs;
use std::path::Path;

use super::control_plane::{ControlPlane, eventually};
use super::error::Error;
use super::ports::Ports;
use super::probe;
use super::process::Process;
use super::workshop::cache_directory;

/// A running Prometheus on loopback. It is killed when this value is dropped and when our own process ends.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    ports: Ports<1>,
}

impl Prometheus {
    /// Starts one with its files in the control plane's directory, and waits until it answers queries. `targets` are
    /// addresses whose `/metrics` it scrapes.
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::NotReady`] with its last lines.
    pub async fn start(program: &Path, control_plane: &ControlPlane, targets: &[String]) -> Result<Prometheus, Error> {
        let ports = Ports::reserve(&cache_directory()?.join("ports"))?;
        let directory = control_plane.directory().join("prometheus");
        fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        let file = directory.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 450ms}}
scrape_configs: [{{job_name: routers, static_configs: [{{targets: ['{}']}}]}}]
",
            targets.join("', '")
        );
        fs::write(&file, text).map_err(Error::io("write", &file))?;
        let flags = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", directory.join("data").display()),
            "--storage.tsdb.retention.time=1h".into(),
            format!("--web.listen-address=127.0.0.1:{}", ports.numbers[0]),
            "--log.level=warn".into(),
        ];
        // Neither what it scrapes nor who asks it is behind a proxy.
        let environment = ["NO_PROXY", "no_proxy"].map(|name| (name.to_owned(), "127.0.0.1".to_owned()));
        let process = Process::start("prometheus", program, flags, &environment, &control_plane.log("prometheus"))?;
        let mut prometheus = Prometheus { process, ports };
        let port = prometheus.ports.numbers[0];
        let servers = &mut [&mut prometheus.process];
        eventually("Prometheus is ready", servers, async || probe::get(port, "/-/ready").await).await?;
        Ok(prometheus)
    }

    /// What a Canary writes as its `metricsServer`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.numbers[0])
    }
}
