//! [`ControlPlane`]: the processes, how they are told of each other, and when they are ready.

mod layout;

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Node, PersistentVolume, ServiceAccount};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

use layout::Layout;

use super::binaries::Binaries;
use super::error::Error;
use super::process::{Process, Sweeper};

/// Generous, because a machine may be busy: a start takes some 4 s.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A server that does not end in this time is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// Where a control plane keeps its data, logs and kubeconfigs.
#[derive(Clone, Debug, Default)]
pub enum Directory {
    /// A new one among the temporary files, removed at the end.
    #[default]
    Temporary,
    /// This one, removed at the end. It must not exist, or be one that an earlier control plane left.
    Removed(PathBuf),
    /// This one, and it stays: the next start there finds the objects again.
    Kept(PathBuf),
}

/// Who plays the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pods {
    /// kwok, with so many nodes: pods become ready and Jobs complete at once, or as their annotations say; claims are
    /// bound to volumes, Ingresses get an address.
    Played {
        /// How many.
        nodes: u16,
    },
    /// Nobody: there are no nodes and pods stay pending.
    Pending,
}

/// Whether Kubernetes' own controllers run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Controllers {
    /// The controller manager and the scheduler.
    #[default]
    Running,
    /// Neither: nothing but us writes to the API. There are no service accounts either, so no pods can be made.
    Absent,
}

/// What a control plane should be like.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its files are.
    pub directory: Directory,
    /// Who plays the nodes.
    pub pods: Pods,
    /// Whether Kubernetes' own controllers run.
    pub controllers: Controllers,
    /// More flags for the API server; of a flag that is given twice the later one holds.
    pub api_server_flags: Vec<String>,
    /// More flags for etcd.
    pub etcd_flags: Vec<String>,
    /// More flags for the controller manager: as it is, it makes 20 requests a second, so that a thousand Deployments take
    /// minutes.
    pub controller_flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            directory: Directory::default(),
            pods: Pods::Played { nodes: 1 },
            controllers: Controllers::default(),
            api_server_flags: Vec::new(),
            etcd_flags: Vec::new(),
            controller_flags: Vec::new(),
        }
    }
}

/// A running control plane. Dropping it ends it; so does the end of our process, however it comes about.
#[derive(Debug)]
pub struct ControlPlane {
    // Declared in the order in which they are dropped: the clients of the API server, the API server, etcd, the files.
    clients: Vec<Process>,
    api_server: Option<Process>,
    etcd: Process,
    _sweeper: Option<Sweeper>,
    layout: Layout,
    binaries: Binaries,
    options: Options,
    version: String,
}

impl ControlPlane {
    /// Starts one and returns when it is ready to use: the API server answers, nodes are ready, the namespace `default`
    /// has its service account.
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::NotReady`] with the last lines of the server that is to blame.
    pub async fn start(binaries: &Binaries, options: Options) -> Result<ControlPlane, Error> {
        let (path, removed) = match &options.directory {
            Directory::Temporary => (temporary_directory()?, true),
            Directory::Removed(path) => (path.clone(), true),
            Directory::Kept(path) => (path.clone(), false),
        };
        let layout = Layout::new(&path)?;
        let sweeper = removed.then(|| Sweeper::of(&layout.directory)).transpose()?;
        let etcd = layout.start_etcd(binaries, &options)?;
        let mut control_plane = ControlPlane {
            clients: Vec::new(),
            api_server: None,
            etcd,
            _sweeper: sweeper,
            layout,
            binaries: binaries.clone(),
            options,
            version: String::new(),
        };
        control_plane.start_api_server().await?;
        control_plane.start_clients()?;
        control_plane.populate().await?;
        Ok(control_plane)
    }

    /// The kubeconfig of an administrator (group `system:masters`).
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.layout.directory.join("kubeconfig")
    }

    /// The kubeconfig of the user `plain` (group `testers`), who may do nothing until a role is bound to it.
    pub fn plain_kubeconfig(&self) -> PathBuf {
        self.layout.directory.join("kubeconfig-plain")
    }

    /// Writes a kubeconfig for the holder of a token, for example a service account's.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn kubeconfig_for(&self, name: &str, token: &str) -> Result<PathBuf, Error> {
        self.layout.write_kubeconfig(&format!("kubeconfig-{name}"), token)
    }

    /// The file with the administrator's token, for programs that take no kubeconfig.
    pub fn token_file(&self) -> PathBuf {
        self.layout.directory.join("token")
    }

    /// The certificate that signs the API server's.
    pub fn authority(&self) -> &Path {
        &self.layout.certificates.authority
    }

    /// `https://127.0.0.1:PORT`.
    pub fn server_url(&self) -> String {
        self.layout.server_url()
    }

    /// The port of the API server, the same over its restarts.
    pub fn port(&self) -> u16 {
        self.layout.api_server_port()
    }

    /// What the API server calls itself, such as `v1.36.3`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where data, logs and kubeconfigs are.
    pub fn directory(&self) -> &Path {
        &self.layout.directory
    }

    /// The programs it runs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The log of a server: `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler` or `kwok`, or of a
    /// program beside them.
    pub fn log(&self, server: &str) -> PathBuf {
        self.layout.log(server)
    }

    /// Starts the API server after [`ControlPlane::stop_api_server`], on the same port, and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::NotReady`] with its last lines.
    pub async fn start_api_server(&mut self) -> Result<(), Error> {
        if self.api_server.is_none() {
            self.api_server = Some(self.layout.start_api_server(&self.binaries, &self.options)?);
        }
        let client = self.client().await?;
        let mut servers: Vec<&mut Process> = self.api_server.iter_mut().chain([&mut self.etcd]).collect();
        let ready = eventually("the API server is ready", &mut servers, async || {
            // Refused connections, and checks that have not passed yet, are what is waited out.
            let request = http::Request::get("/readyz").body(Vec::new()).ok()?;
            client.request_text(request).await.ok()
        });
        ready.await?;
        self.version = client.apiserver_version().await.map_err(Error::api("ask for the version"))?.git_version;
        Ok(())
    }

    /// Ends the API server, as in an upgrade or an outage: watches break, connections are refused. etcd keeps running.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn stop_api_server(&mut self) -> Result<(), Error> {
        if let Some(mut api_server) = self.api_server.take() {
            // By force: its own way to end waits for requests, and watches are requests that never end.
            api_server.kill()?;
        }
        Ok(())
    }

    /// Ends the API server and starts it again.
    ///
    /// # Errors
    /// As [`ControlPlane::start_api_server`].
    pub async fn restart_api_server(&mut self) -> Result<(), Error> {
        self.stop_api_server()?;
        self.start_api_server().await
    }

    /// Ends all of it, in the reverse order of its start, so that a directory that is kept is whole.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn stop(mut self) -> Result<(), Error> {
        for mut client in std::mem::take(&mut self.clients) {
            client.kill()?;
        }
        self.stop_api_server()?;
        self.etcd.stop(ENDS_WITHIN).map(drop)
    }

    fn start_clients(&mut self) -> Result<(), Error> {
        if self.options.controllers == Controllers::Running {
            self.clients.push(self.layout.start_controller_manager(&self.binaries, &self.options)?);
            self.clients.push(self.layout.start_scheduler(&self.binaries)?);
        }
        if let Pods::Played { .. } = self.options.pods {
            self.clients.push(self.layout.start_kwok(&self.binaries)?);
        }
        Ok(())
    }

    /// Adds nodes and volumes, and waits for what others make of them and of the namespace.
    async fn populate(&mut self) -> Result<(), Error> {
        let client = self.client().await?;
        let mut servers: Vec<&mut Process> = self.clients.iter_mut().collect();
        if let Pods::Played { nodes } = self.options.pods {
            let api: Api<Node> = Api::all(client.clone());
            for number in 1..=nodes {
                let name = format!("node-{number}");
                self.layout.add_node(&api, &name).await.map_err(Error::api(format!("add the node `{name}`")))?;
            }
            add_volumes(&client).await.map_err(Error::api("add the volumes"))?;
            let last = format!("node-{nodes}");
            let ready =
                eventually("the nodes are ready", &mut servers, async || api.get(&last).await.ok().filter(is_ready));
            ready.await?;
        }
        if self.options.controllers == Controllers::Running {
            let api: Api<ServiceAccount> = Api::namespaced(client, "default");
            let there = eventually("the default service account is there", &mut servers, async || {
                api.get("default").await.ok()
            });
            there.await?;
        }
        Ok(())
    }

    pub(super) async fn client(&self) -> Result<Client, Error> {
        let path = self.admin_kubeconfig();
        let unusable = |source| Error::Kubeconfig { path: path.clone(), source: Box::new(source) };
        let kubeconfig = Kubeconfig::read_from(&path).map_err(unusable)?;
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unusable)?;
        // A proxy of the person's own is not for loopback.
        config.proxy_url = None;
        Client::try_from(config).map_err(Error::api("make a client"))
    }
}

/// Makes volumes that claims without a class of their own are bound to. No pod ever mounts one: it has no bytes.
async fn add_volumes(client: &Client) -> Result<(), kube::Error> {
    const VOLUMES: u16 = 16;
    let (apply, class) = (PatchParams::apply("leeboard-sandbox"), "sandbox");
    let default = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": { "name": class, "annotations": { "storageclass.kubernetes.io/is-default-class": "true" } },
        "provisioner": "kubernetes.io/no-provisioner",
    });
    Api::<StorageClass>::all(client.clone()).patch(class, &apply, &Patch::Apply(default)).await?;
    let volumes = Api::<PersistentVolume>::all(client.clone());
    for number in 1..=VOLUMES {
        let name = format!("sandbox-{number}");
        let volume = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": { "name": name },
            "spec": {
                "storageClassName": class,
                "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                "capacity": { "storage": "100Gi" },
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": { "path": format!("/sandbox/{number}") },
            },
        });
        volumes.patch(&name, &apply, &Patch::Apply(volume)).await?;
    }
    Ok(())
}

/// Polls until there is an answer, one of the servers has ended, or it takes too long. The first server is to blame
/// for being late.
pub(super) async fn eventually<T>(
    awaited: &str,
    servers: &mut [&mut Process],
    answer: impl AsyncFn() -> Option<T>,
) -> Result<T, Error> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if let Some(answer) = answer().await {
            return Ok(answer);
        }
        for server in servers.iter_mut() {
            if server.ended()?.is_some() {
                return Err(Error::Ended { server: server.name().into(), log: server.last_lines(5) });
            }
        }
        if Instant::now() >= deadline {
            let (server, log) =
                servers.first().map(|server| (server.name().into(), server.last_lines(5))).unwrap_or_default();
            return Err(Error::NotReady { awaited: awaited.into(), within: READY_WITHIN, server, log });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"))
}

pub(super) fn temporary_directory() -> Result<PathBuf, Error> {
    let path = std::env::temp_dir().join(format!("leeboard-{}", &random_token()?[..12]));
    fs::create_dir(&path).map_err(Error::io("create", &path))?;
    fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(Error::io("protect", &path))?;
    Ok(path)
}

/// 128 bits that nobody can guess, in hexadecimal.
pub(super) fn random_token() -> Result<String, Error> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).map_err(Error::io("read", source))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
