//! [`Cluster`] and [`Namespace`]: the control plane as tests see it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures::StreamExt as _;
use leeboard::live::client::{ApplyOptions, Cluster as Client};
use leeboard::object::Object;
use leeboard::sandbox::{Binaries, ControlPlane, Options, Progress};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::{SOON, eventually, random_suffix, run};

/// A control plane.
#[derive(Debug)]
pub struct Cluster {
    control_plane: ControlPlane,
}

impl Cluster {
    /// The one of this test binary. It ends with the binary.
    pub async fn shared() -> &'static Cluster {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_init(|| Cluster::start(Options::default())).await
    }

    /// One of the test's own: for tests that stop the API server, count its requests or change what all share.
    pub async fn start(options: Options) -> Cluster {
        let binaries = tokio::task::spawn_blocking(|| Binaries::find_or_build(report));
        let binaries = binaries.await.expect("no panic").unwrap_or_else(|error| panic!("{error}"));
        let control_plane = ControlPlane::start(&binaries, options).await.unwrap_or_else(|error| panic!("{error}"));
        Cluster { control_plane }
    }

    /// The control plane itself.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The same, to restart the API server.
    pub fn control_plane_mut(&mut self) -> &mut ControlPlane {
        &mut self.control_plane
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.control_plane.admin_kubeconfig()
    }

    /// A client with the administrator's rights, for this test's runtime.
    pub async fn client(&self) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// Runs kubectl with the administrator's rights: its standard output, or its standard error.
    pub async fn kubectl<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String, String> {
        self.kubectl_as(&self.kubeconfig(), arguments).await
    }

    /// Runs kubectl with somebody else's kubeconfig.
    pub async fn kubectl_as<A: AsRef<OsStr>>(
        &self,
        kubeconfig: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String, String> {
        run(self.kubectl_command(kubeconfig, arguments)).await
    }

    /// Applies manifests as a person would, server-side; panics when they are refused.
    pub async fn apply<A: AsRef<OsStr>>(&self, manifests: &str, arguments: impl IntoIterator<Item = A>) -> String {
        let mut command = self.kubectl_command(&self.kubeconfig(), ["apply", "--server-side", "-f", "-"]);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("kubectl starts");
        let mut input = child.stdin.take().expect("it is piped");
        input.write_all(manifests.as_bytes()).await.expect("kubectl reads");
        drop(input);
        let output = child.wait_with_output().await.expect("kubectl ends");
        assert!(output.status.success(), "{}\n{manifests}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes a namespace that no other test has, named after `prefix`, in which pods can be made at once.
    pub async fn namespace(&self, prefix: &str) -> Namespace<'_> {
        let name = format!("{prefix}-{}", random_suffix());
        self.kubectl(["create", "namespace", &name]).await.unwrap();
        let namespace = Namespace { cluster: self, name };
        eventually("the service account is there", SOON, async || {
            namespace.kubectl(["get", "serviceaccount", "default", "-o", "name"]).await
        })
        .await;
        namespace
    }

    /// A namespace that something else has made, or will make.
    pub fn existing_namespace(&self, name: &str) -> Namespace<'_> {
        Namespace { cluster: self, name: name.into() }
    }

    fn kubectl_command<A: AsRef<OsStr>>(&self, kubeconfig: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.control_plane.binaries().kubectl);
        command.arg("--kubeconfig").arg(kubeconfig).args(arguments);
        // Neither the person's settings nor a cache that other clusters on the same port have filled.
        command.env_remove("KUBECONFIG").env("KUBECACHEDIR", self.control_plane.directory().join("kubectl-cache"));
        command
    }
}

/// Says how far a first build is, past the capture of a test's output: it takes minutes.
pub fn report(progress: Progress) {
    let worth_a_line = match progress {
        Progress::Waiting { .. } => true,
        Progress::Downloading { modules, .. } => modules % 50 == 1,
        Progress::Compiling { done, total, .. } => done % 100 == 0 || done == total,
    };
    if worth_a_line {
        let _closed = writeln!(std::io::stderr(), "{progress}");
    }
}

/// A namespace of one test.
#[derive(Debug)]
pub struct Namespace<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl Namespace<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its cluster.
    pub fn cluster(&self) -> &Cluster {
        self.cluster
    }

    /// Runs kubectl in it.
    pub async fn kubectl<const N: usize>(&self, arguments: [&str; N]) -> Result<String, String> {
        self.cluster.kubectl(["--namespace", &self.name].into_iter().chain(arguments)).await
    }

    /// Applies manifests in it.
    pub async fn apply(&self, manifests: &str) -> String {
        self.cluster.apply(manifests, ["--namespace", &self.name]).await
    }

    /// The value at a JSONPath of an object such as `deployment/web`; empty when the object has no such field.
    pub async fn field(&self, object: &str, path: &str) -> Result<String, String> {
        self.kubectl(["get", object, "-o", &format!("jsonpath={path}")]).await
    }

    /// An object as a value.
    pub async fn object(&self, object: &str) -> Result<serde_json::Value, String> {
        let text = self.kubectl(["get", object, "-o", "json"]).await?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }
}

/// Applies objects by a bare client, so many at once.
pub async fn apply_all(client: &Client, objects: &[Object], at_once: usize, manager: &str) {
    let options = ApplyOptions { force: true, manager: Some(manager.into()), ..ApplyOptions::default() };
    futures::stream::iter(objects)
        .map(|object| client.apply(object, &options))
        .buffer_unordered(at_once)
        .for_each(async |answer| drop(answer.unwrap()))
        .await;
}
