//! [`Layout`]: the directory of a control plane, what is in it, and the command lines.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::{Options, is_ready, random_token};
use crate::sandbox::binaries::Binaries;
use crate::sandbox::certificates::Certificates;
use crate::sandbox::error::Error;
use crate::sandbox::ports::Ports;
use crate::sandbox::process::Process;
use crate::sandbox::workshop::cache_directory;

const STAGES: &str = include_str!("../../../tests/cluster/kwok-stages.yaml");

/// All that the processes have to know of each other.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) directory: PathBuf,
    pub(super) certificates: Certificates,
    ports: Ports<4>,
    /// Held while the directory is in use.
    _lock: File,
}

/// The command lines. Each flag that is not plain from its name has its reason.
impl Layout {
    /// Takes the directory, and makes in it what the processes are started with.
    pub(super) fn new(path: &Path) -> Result<Layout, Error> {
        const MARK: &str = "leeboard-sandbox";
        let ours = path.join(MARK);
        let empty = fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
        if !empty && !ours.exists() {
            return Err(Error::NotOurs { path: path.into() });
        }
        fs::create_dir_all(path).map_err(Error::io("create", path))?;
        let directory = path.canonicalize().map_err(Error::io("find", path))?;
        let lock = File::create(&ours).map_err(Error::io("write", &ours))?;
        lock.try_lock().map_err(|_| Error::InUse { path: path.into() })?;

        let certificates = Certificates::in_directory(&directory.join("pki"))?;
        let ports = Ports::reserve(&cache_directory()?.join("ports"))?;
        let layout = Layout { directory, certificates, ports, _lock: lock };
        let (admin, plain) = (random_token()?, random_token()?);
        let tokens = format!("{admin},admin,u-admin,\"system:masters\"\n{plain},plain,u-plain,\"testers\"\n");
        layout.write("tokens.csv", &tokens)?;
        layout.write("token", &admin)?;
        layout.write("kwok-stages.yaml", STAGES)?;
        layout.write_kubeconfig("kubeconfig", &admin)?;
        layout.write_kubeconfig("kubeconfig-plain", &plain)?;
        Ok(layout)
    }

    pub(super) fn start_etcd(&self, binaries: &Binaries, options: &Options) -> Result<Process, Error> {
        let (clients, peers) = (self.etcd_url(), format!("http://127.0.0.1:{}", self.ports.numbers[1]));
        let mut flags = vec![
            format!("--data-dir={}", self.directory.join("etcd").display()),
            // A sandbox need not survive a power cut.
            "--unsafe-no-fsync".into(),
            "--log-level=warn".into(),
            format!("--listen-client-urls={clients}"),
            format!("--advertise-client-urls={clients}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=default={peers}"),
        ];
        flags.extend(options.etcd_flags.iter().cloned());
        self.start("etcd", &binaries.etcd, &flags)
    }

    pub(super) fn start_api_server(&self, binaries: &Binaries, options: &Options) -> Result<Process, Error> {
        let certificates = &self.certificates;
        let mut flags = vec![
            format!("--etcd-servers={}", self.etcd_url()),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={}", self.api_server_port()),
            // It insists on an address of its own that is not loopback, and must not publish one.
            "--advertise-address=192.0.2.1".into(),
            "--endpoint-reconciler-type=none".into(),
            format!("--tls-cert-file={}", certificates.server.display()),
            format!("--tls-private-key-file={}", certificates.server_key.display()),
            format!("--token-auth-file={}", self.directory.join("tokens.csv").display()),
            "--authorization-mode=RBAC".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={}", certificates.token_public_key.display()),
            format!("--service-account-signing-key-file={}", certificates.token_key.display()),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
            "--kubelet-preferred-address-types=InternalIP".into(),
            "--allow-privileged".into(),
        ];
        flags.extend(options.api_server_flags.iter().cloned());
        self.start("kube-apiserver", &binaries.kube_apiserver, &flags)
    }

    pub(super) fn start_controller_manager(&self, binaries: &Binaries, options: &Options) -> Result<Process, Error> {
        let mut flags = vec![
            format!("--kubeconfig={}", self.directory.join("kubeconfig").display()),
            // No lease and no port: a sandbox at rest makes no requests.
            "--leader-elect=false".into(),
            "--secure-port=0".into(),
            // There are no metrics to scale by; kwok plays the autoscalers' status.
            "--controllers=*,-horizontal-pod-autoscaler-controller".into(),
            format!("--service-account-private-key-file={}", self.certificates.token_key.display()),
            // Makes the ConfigMap kube-root-ca.crt in every namespace, as real clusters have it.
            format!("--root-ca-file={}", self.certificates.authority.display()),
        ];
        flags.extend(options.controller_flags.iter().cloned());
        self.start("kube-controller-manager", &binaries.kube_controller_manager, &flags)
    }

    pub(super) fn start_scheduler(&self, binaries: &Binaries) -> Result<Process, Error> {
        let flags = [
            format!("--kubeconfig={}", self.directory.join("kubeconfig").display()),
            "--leader-elect=false".into(),
            "--secure-port=0".into(),
        ];
        self.start("kube-scheduler", &binaries.kube_scheduler, &flags)
    }

    pub(super) fn start_kwok(&self, binaries: &Binaries) -> Result<Process, Error> {
        let flags = [
            format!("--kubeconfig={}", self.directory.join("kubeconfig").display()),
            format!("--config={}", self.directory.join("kwok-stages.yaml").display()),
            "--manage-all-nodes=true".into(),
            "--node-lease-duration-seconds=40".into(),
            // The range for benchmarks (RFC 2544): pods must not have addresses that mean something here.
            "--cidr=198.18.0.0/16".into(),
            "--node-ip=127.0.0.1".into(),
            format!("--node-port={}", self.kubelet_port()),
            format!("--server-address=127.0.0.1:{}", self.kubelet_port()),
            format!("--tls-cert-file={}", self.certificates.server.display()),
            format!("--tls-private-key-file={}", self.certificates.server_key.display()),
        ];
        self.start("kwok", &binaries.kwok, &flags)
    }

    pub(super) fn start(&self, name: &str, program: &Path, flags: &[String]) -> Result<Process, Error> {
        Process::start(name, program, flags, &[], &self.log(name))
    }

    /// Makes a node, or takes over one that is there from an earlier start and names that start's kubelet port.
    pub(super) async fn add_node(&self, api: &Api<Node>, name: &str) -> Result<(), kube::Error> {
        let node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } },
        });
        let found = api.patch(name, &PatchParams::apply("leeboard-sandbox"), &Patch::Apply(node)).await?;
        if is_ready(&found) {
            let port =
                json!({ "status": { "daemonEndpoints": { "kubeletEndpoint": { "Port": self.kubelet_port() } } } });
            api.patch_status(name, &PatchParams::default(), &Patch::Merge(port)).await?;
        }
        Ok(())
    }

    pub(super) fn write_kubeconfig(&self, file: &str, token: &str) -> Result<PathBuf, Error> {
        let authority = &self.certificates.authority;
        let authority = fs::read(authority).map_err(Error::io("read", authority))?;
        let (server, authority) = (self.server_url(), BASE64_STANDARD.encode(authority));
        let text = format!(
            "apiVersion: v1
kind: Config
clusters:
- name: leeboard-sandbox
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: leeboard-sandbox
  user:
    token: {token}
contexts:
- name: leeboard-sandbox
  context:
    cluster: leeboard-sandbox
    user: leeboard-sandbox
current-context: leeboard-sandbox
"
        );
        self.write(file, &text)
    }

    /// Writes a file that only this user can read.
    pub(super) fn write(&self, file: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.directory.join(file);
        fs::write(&path, text).map_err(Error::io("write", &path))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(Error::io("protect", &path))?;
        Ok(path)
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.log"))
    }

    pub(super) fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.numbers[0])
    }

    pub(super) fn api_server_port(&self) -> u16 {
        self.ports.numbers[2]
    }

    pub(super) fn server_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_server_port())
    }

    pub(super) fn kubelet_port(&self) -> u16 {
        self.ports.numbers[3]
    }
}
