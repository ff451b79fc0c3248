//! [`Router`]: a real router in front of a control plane's pods.

use std::path::Path;

use super::control_plane::{ControlPlane, eventually};
use super::error::Error;
use super::pod_host::PodHost;
use super::ports::Ports;
use super::probe;
use super::process::Process;
use super::workshop::cache_directory;

/// A running router on loopback. It is killed when this value is dropped and when our own process ends.
#[derive(Debug)]
pub struct Router {
    process: Process,
    ports: Ports<2>,
}

impl Router {
    /// Starts Skipper, which splits by Ingresses, and waits until it has read them.
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::NotReady`] with its last lines.
    pub async fn skipper(program: &Path, control_plane: &ControlPlane, pods: &PodHost) -> Result<Router, Error> {
        let ports = reserve()?;
        let flags = [
            "-kubernetes".to_owned(),
            format!("-kubernetes-url={}", control_plane.server_url()),
            format!("-kubernetes-token-file={}", control_plane.token_file().display()),
            "-kubernetes-ingress-class=skipper".into(),
            "-enable-kubernetes-endpointslices".into(),
            "-kubernetes-https-redirect=false".into(),
            format!("-address=127.0.0.1:{}", ports.numbers[0]),
            format!("-support-listener=127.0.0.1:{}", ports.numbers[1]),
            // It asks in turns. A change waits for the next one, in milliseconds.
            "-source-poll-timeout=300".into(),
            "-wait-first-route-load".into(),
            "-access-log-disabled".into(),
            // What Flagger's own queries read.
            "-metrics-flavour=prometheus".into(),
            "-route-response-metrics".into(),
            "-serve-route-metrics".into(),
        ];
        let mut environment = pods.environment();
        environment.push(("SSL_CERT_FILE".into(), control_plane.authority().display().to_string()));
        let process = Process::start("skipper", program, flags, &environment, &control_plane.log("skipper"))?;
        Router { process, ports }.ready("Skipper has read its routes", "/metrics").await
    }

    /// Starts Traefik, which splits by the Gateway API's HTTPRoutes, and waits until it answers. A Gateway's listener must
    /// have its [`Router::port`].
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::NotReady`] with its last lines.
    pub async fn traefik(program: &Path, control_plane: &ControlPlane, pods: &PodHost) -> Result<Router, Error> {
        let ports = reserve()?;
        let provider = "--providers.kubernetesgateway";
        let flags = [
            format!("{provider}=true"),
            format!("{provider}.endpoint={}", control_plane.server_url()),
            format!("{provider}.token={}", control_plane.token_file().display()),
            format!("{provider}.certauthfilepath={}", control_plane.authority().display()),
            format!("{provider}.statusaddress.ip=127.0.0.1"),
            "--providers.providersthrottleduration=100ms".into(),
            format!("--entrypoints.web.address=127.0.0.1:{}", ports.numbers[0]),
            format!("--entrypoints.traefik.address=127.0.0.1:{}", ports.numbers[1]),
            "--ping=true".into(),
            "--global.checknewversion=false".into(),
            "--global.sendanonymoususage=false".into(),
            "--metrics.prometheus=true".into(),
            "--metrics.prometheus.addserviceslabels=true".into(),
        ];
        let environment = pods.environment();
        let process = Process::start("traefik", program, flags, &environment, &control_plane.log("traefik"))?;
        Router { process, ports }.ready("Traefik answers", "/ping").await
    }

    /// Where clients go: `http://127.0.0.1:PORT`. What is meant is said by the header `Host`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// The port for clients.
    pub fn port(&self) -> u16 {
        self.ports.numbers[0]
    }

    /// Where Prometheus finds its metrics.
    pub fn metrics(&self) -> String {
        format!("127.0.0.1:{}", self.ports.numbers[1])
    }

    /// Its output.
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    async fn ready(mut self, awaited: &str, path: &str) -> Result<Router, Error> {
        let (clients, support) = (self.ports.numbers[0], self.ports.numbers[1]);
        let servers = &mut [&mut self.process];
        eventually(awaited, servers, async || {
            probe::get(support, path).await?;
            probe::connect(clients).await
        })
        .await?;
        Ok(self)
    }
}

fn reserve() -> Result<Ports<2>, Error> {
    Ports::reserve(&cache_directory()?.join("ports"))
}
