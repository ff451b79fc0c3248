//! What runs during the demo, all of it below one directory: the control plane, the repository, the daemon.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::subject::random;
use super::forge::Forge;
use super::shop::{self, ENVIRONMENTS};
use super::traffic::{Programs, Traffic};
use crate::api;
use crate::api::leeboard::Environment;
use crate::git::RepoUrl;
use crate::sandbox::{Binaries, ControlPlane, Directory, Options, Process};

/// The namespace of the daemon and its Applications.
pub(super) const NAMESPACE: &str = "leeboard";

/// The one in the control plane's kubeconfig.
const CONTEXT: &str = "leeboard-sandbox";
/// Who applies what the demo itself applies.
const MANAGER: &str = "leeboard-demo";
/// What the cluster or the daemon does at once takes no longer than this, on a busy machine.
const SOON: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Whether anything stays when the demo ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// Nothing does.
    Remove,
    /// The directory does, and the next demo goes on from there.
    Keep,
}

/// All that runs. Dropping it ends all of it.
pub(super) struct Stage {
    // In the order in which they are dropped: the daemon would complain of an API server that is gone.
    daemon: Option<Process>,
    traffic: Option<Traffic>,
    forge: Option<Forge>,
    control_plane: ControlPlane,
    client: Client,
    /// Where the daemon listens.
    address: Option<SocketAddr>,
    /// Bytes of the daemon's log that earlier lives have written.
    born: u64,
    afterwards: Afterwards,
}

impl Stage {
    /// Starts the control plane, and puts beside it what a person needs to reach it.
    pub(super) async fn set_up(binaries: &Binaries, directory: &Path, afterwards: Afterwards) -> anyhow::Result<Stage> {
        let options = Options {
            directory: match afterwards {
                Afterwards::Remove => Directory::Removed(directory.into()),
                Afterwards::Keep => Directory::Kept(directory.into()),
            },
            ..Options::default()
        };
        let control_plane = ControlPlane::start(binaries, options).await?;
        let client = client(&control_plane.admin_kubeconfig()).await?;
        let stage = Stage {
            daemon: None,
            traffic: None,
            forge: None,
            control_plane,
            client,
            address: None,
            born: 0,
            afterwards,
        };
        stage.write_kubectl()?;
        Ok(stage)
    }

    pub(super) fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// Starts what stands between customers and pods.
    pub(super) async fn start_traffic(&mut self, programs: Programs) -> anyhow::Result<()> {
        self.traffic = Some(Traffic::start(programs, &self.control_plane).await?);
        Ok(())
    }

    /// What stands between customers and pods.
    pub(super) fn traffic(&self) -> anyhow::Result<&Traffic> {
        self.traffic.as_ref().context("there are no customers")
    }

    /// Starts the forge that has the shop's repository then.
    pub(super) async fn start_forge(&mut self, program: &Path) -> anyhow::Result<()> {
        let secret = random()?.iter().map(|byte| format!("{byte:02x}")).collect();
        self.forge = Some(Forge::start(program, secret).await?);
        Ok(())
    }

    /// The forge of a demo that has one.
    pub(super) fn forge(&self) -> anyhow::Result<&Forge> {
        self.forge.as_ref().context("there is no forge")
    }

    /// An administrator's, as a person with the kubeconfig has it.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Absolute.
    pub(super) fn directory(&self) -> &Path {
        self.control_plane.directory()
    }

    /// The bare repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.forge.as_ref().map_or_else(|| self.directory().join("shop.git"), Forge::repository)
    }

    /// Where its directory is, for who watches it.
    pub(super) fn repository_url(&self) -> anyhow::Result<RepoUrl> {
        Ok(RepoUrl::parse(&shop::url_of(&self.repository()))?)
    }

    /// Where the daemon reads it.
    fn source(&self) -> String {
        self.forge.as_ref().map_or_else(|| shop::url_of(&self.repository()), Forge::clone_url)
    }

    /// Where the daemon listens, once it runs.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Makes the namespace and the kinds.
    pub(super) async fn install(&self) -> anyhow::Result<()> {
        let apply = PatchParams::apply(MANAGER).force();
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        namespaces.patch(NAMESPACE, &apply, &Patch::Apply(namespace)).await.context("cannot make the namespace")?;
        let kinds: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let definitions = api::crds();
        let names = definitions.iter().filter_map(|crd| crd.pointer("/metadata/name").and_then(Value::as_str));
        for (name, definition) in names.clone().zip(&definitions) {
            kinds
                .patch(name, &apply, &Patch::Apply(definition))
                .await
                .with_context(|| format!("cannot define {name}"))?;
        }
        for name in names {
            eventually(&format!("{name} is served"), SOON, async || {
                let crd = kinds.get(name).await.map_err(|error| error.to_string())?;
                let conditions = crd.status.and_then(|status| status.conditions).unwrap_or_default();
                let established = conditions.iter().any(|c| c.type_ == "Established" && c.status == "True");
                if established { Ok(()) } else { Err("it is not established".to_owned()) }
            })
            .await?;
        }
        Ok(())
    }

    /// Makes what the daemon has to know of the forge.
    pub(super) async fn introduce_forge(&self) -> anyhow::Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        for secret in self.forge()?.secrets(NAMESPACE) {
            let name = secret["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let apply = PatchParams::apply(MANAGER).force();
            let made = secrets.patch(&name, &apply, &Patch::Apply(secret)).await;
            made.with_context(|| format!("cannot make the Secret {name}"))?;
        }
        Ok(())
    }

    /// Makes the three Environments: from here on the daemon has something to do.
    pub(super) async fn make_environments(&self) -> anyhow::Result<()> {
        let environments: Api<Environment> = Api::namespaced(self.client.clone(), NAMESPACE);
        for environment in ENVIRONMENTS {
            let object = json!({
                "apiVersion": "leeboard.dev/v1alpha1",
                "kind": "Environment",
                "metadata": {"name": environment, "namespace": NAMESPACE},
                "spec": {
                    "repoURL": self.source(),
                    "branch": shop::branch(environment),
                    "path": format!("clusters/{environment}"),
                    "destination": {"name": "in-cluster"},
                    "previews": {"interval": "10s"},
                },
            });
            let apply = PatchParams::apply(MANAGER).force();
            let made = environments.patch(environment, &apply, &Patch::Apply(object)).await;
            made.with_context(|| format!("cannot make the Environment {environment}"))?;
        }
        Ok(())
    }

    /// Starts the daemon and waits until it is ready.
    pub(super) async fn start_daemon(&mut self) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let log = self.daemon_log();
        self.born = fs::metadata(&log).map_or(0, |file| file.len());
        let data = self.directory().join("data").display().to_string();
        let kubeconfig = self.control_plane.admin_kubeconfig().display().to_string();
        let program = program.display().to_string();
        // All that the environment could say otherwise is said here: the daemon must find this cluster and no other.
        // Inside a pod it would not read repositories of its own machine, which this one is meant to do.
        let arguments = [
            ["-u", "KUBERNETES_SERVICE_HOST"],
            [&program, "run"],
            ["--kubeconfig", &kubeconfig],
            ["--context", CONTEXT],
            ["--namespace", NAMESPACE],
            ["--data-dir", &data],
            ["--listen", "127.0.0.1:0"],
            ["--log", "info"],
        ];
        // A proxy of the person's own is not for loopback.
        let environment = ["NO_PROXY", "no_proxy"].map(|name| (name.to_owned(), "127.0.0.1".to_owned()));
        let arguments = arguments.as_flattened();
        self.daemon = Some(Process::start("daemon", Path::new("env"), arguments, &environment, &log)?);
        let address = self.until_daemon("the daemon listens", |stage| {
            address_in(&stage.log_of_this_life()).ok_or_else(|| "it has not said where".to_owned())
        });
        let address = address.await?;
        self.address = Some(address);
        eventually("the daemon is ready", SOON, async || match readiness(address).await {
            Ok(answer) if answer.starts_with("HTTP/1.0 200 ") || answer.starts_with("HTTP/1.1 200 ") => Ok(()),
            Ok(answer) => Err(answer),
            Err(error) => Err(error.to_string()),
        })
        .await?;
        // It listens elsewhere in each of its lives.
        match &self.forge {
            Some(forge) => Ok(forge.call(address).await?),
            None => Ok(()),
        }
    }

    /// `kill -9`.
    pub(super) fn kill_daemon(&mut self) -> anyhow::Result<()> {
        match self.daemon.take() {
            Some(mut daemon) => Ok(daemon.kill()?),
            None => bail!("the daemon does not run"),
        }
    }

    /// Starts the daemon again when somebody has killed it, as a Deployment would; true then.
    pub(super) async fn revive_daemon(&mut self) -> anyhow::Result<bool> {
        // The shell between says 128 and the signal.
        let by_signal = |status: ExitStatus| status.signal().is_some() || status.code().is_some_and(|code| code > 128);
        let Some(daemon) = &mut self.daemon else { return Ok(false) };
        if !daemon.ended()?.is_some_and(by_signal) {
            return Ok(false);
        }
        self.daemon = None;
        self.start_daemon().await?;
        Ok(true)
    }

    /// Fails with its last words when the daemon has ended by itself.
    pub(super) fn check_daemon(&mut self) -> anyhow::Result<()> {
        let Some(daemon) = &mut self.daemon else { bail!("the daemon does not run") };
        match daemon.ended()? {
            None => Ok(()),
            Some(status) => bail!("the daemon ended: {status}"),
        }
    }

    /// The end of the daemon's log.
    pub(super) fn last_words(&self) -> String {
        const COUNT: usize = 12;
        let log = self.log_of_this_life();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(COUNT)..].join("\n")
    }

    /// Ends all of it: how the daemon ended.
    pub(super) fn end(mut self) -> anyhow::Result<Option<ExitStatus>> {
        const ENDS_WITHIN: Duration = Duration::from_secs(5);
        let daemon = match self.daemon.take() {
            Some(mut daemon) => daemon.stop(ENDS_WITHIN)?,
            None => None,
        };
        drop((self.traffic.take(), self.forge.take()));
        self.control_plane.stop()?;
        Ok(daemon)
    }

    pub(super) fn afterwards(&self) -> Afterwards {
        self.afterwards
    }

    /// Where everything of the demo can be seen from outside, to look later whether it is gone.
    pub(super) fn traces(&self) -> anyhow::Result<Traces> {
        let binaries = self.control_plane.binaries();
        let current = std::env::current_exe()?;
        let mut programs = vec![
            &binaries.etcd,
            &binaries.kube_apiserver,
            &binaries.kube_controller_manager,
            &binaries.kube_scheduler,
            &binaries.kwok,
            &current,
        ];
        programs.extend(self.traffic.iter().flat_map(|traffic| traffic.programs.all()));
        let control_plane = SocketAddr::from(([127, 0, 0, 1], self.control_plane.port()));
        Ok(Traces {
            directory: self.directory().into(),
            programs: programs.iter().map(|program| program.display().to_string()).collect(),
            addresses: [self.address, self.forge.as_ref().and_then(Forge::address), Some(control_plane)]
                .into_iter()
                .flatten()
                .collect(),
        })
    }

    fn daemon_log(&self) -> PathBuf {
        self.directory().join("leeboard.log")
    }

    fn log_of_this_life(&self) -> String {
        let bytes = fs::read(self.daemon_log()).unwrap_or_default();
        let from = usize::try_from(self.born).unwrap_or(0).min(bytes.len());
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }

    async fn until_daemon<T>(&mut self, what: &str, answer: impl Fn(&Stage) -> Result<T, String>) -> anyhow::Result<T> {
        let start = Instant::now();
        loop {
            match answer(self) {
                Ok(answer) => return Ok(answer),
                Err(last) => {
                    self.check_daemon()?;
                    ensure!(start.elapsed() < SOON, "{what}: not within {} s: {last}", SOON.as_secs());
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A command that needs neither kubectl on the path nor a kubeconfig of the person's own.
    fn write_kubectl(&self) -> anyhow::Result<()> {
        let (directory, path) = (self.directory().display(), self.directory().join("kubectl"));
        let kubectl = self.control_plane.binaries().kubectl.display();
        let script = format!(
            "#!/bin/sh\n\
             KUBECACHEDIR='{directory}/kubectl-cache' exec '{kubectl}' --kubeconfig '{directory}/kubeconfig' \"$@\"\n"
        );
        fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {} a command", path.display()))
    }
}

/// Where a stage can be seen from outside.
pub(super) struct Traces {
    directory: PathBuf,
    programs: Vec<String>,
    addresses: Vec<SocketAddr>,
}

impl Traces {
    /// What is still there of it.
    pub(super) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        if self.directory.exists() {
            left.push(format!("the directory {}", self.directory.display()));
        }
        let listens = |address: &&SocketAddr| TcpStream::connect_timeout(address, Duration::from_millis(200)).is_ok();
        left.extend(self.addresses.iter().filter(listens).map(|address| format!("something listens on {address}")));
        left.extend(self.processes());
        left
    }

    /// Programs of ours that were given a path in the directory. Only Linux shows them as files; elsewhere the ports tell.
    fn processes(&self) -> Vec<String> {
        let inside = format!("{}/", self.directory.display());
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let found = entries.filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let line = String::from_utf8_lossy(&fs::read(entry.path().join("cmdline")).ok()?).replace('\0', " ");
            let is_ours = line.contains(&inside) && self.programs.iter().any(|program| line.contains(program));
            (is_ours && id != std::process::id()).then(|| format!("process {id}: {line}"))
        });
        found.collect()
    }
}

async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}

/// What the daemon answers to `/readyz`.
async fn readiness(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The address in the line that says on which one the daemon listens, whatever the form of the log.
fn address_in(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.to_ascii_lowercase().contains("listening"))?;
    let start = &line[line.find("127.0.0.1:")?..];
    let end = start.find(|character: char| !(character.is_ascii_digit() || ".:".contains(character)));
    start[..end.unwrap_or(start.len())].parse().ok()
}

/// Asks until the answer is good; the last bad one is the error when it takes too long.
pub(super) async fn eventually<T>(
    what: &str,
    within: Duration,
    mut answer: impl AsyncFnMut() -> Result<T, String>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        match answer().await {
            Ok(answer) => return Ok(answer),
            Err(last) if start.elapsed() >= within => bail!("{what}: not within {} s: {last}", within.as_secs()),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_any_form_of_log() {
        let cases = [
            // log                                                               address
            ("starting\nlistening on 127.0.0.1:4711\nready", Some("127.0.0.1:4711")),
            (r#"{"message":"Listening","address":"127.0.0.1:4711"}"#, Some("127.0.0.1:4711")),
            ("Listening address=127.0.0.1:4711 ", Some("127.0.0.1:4711")),
            ("starting on 127.0.0.1:4711", None),
            ("listening on a socket", None),
        ];
        for (log, expected) in cases {
            assert_eq!(address_in(log).map(|address| address.to_string()).as_deref(), expected, "{log}");
        }
    }
}
