//! [`Daemon`]: the real binary as a child.

use std::path::{Path, PathBuf};
use std::time::Duration;

use leeboard::sandbox::{Process, Signal};
use tempfile::TempDir;

use super::{Cluster, SOON, eventually};

/// The program under test.
const LEEBOARD: &str = env!("CARGO_BIN_EXE_leeboard");

/// How a daemon is started.
#[derive(Clone, Debug, Default)]
pub struct DaemonOptions {
    /// Whose rights it has; the administrator's when absent.
    pub kubeconfig: Option<PathBuf>,
    /// More arguments after `leeboard run`.
    pub arguments: Vec<String>,
    /// More environment variables.
    pub environment: Vec<(String, String)>,
}

/// A running `leeboard run`. It is killed with the value, and with the test.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    folder: TempDir,
    namespace: String,
    kubeconfig: PathBuf,
    options: DaemonOptions,
    /// How many bytes of the log are of earlier lives.
    born: usize,
    address: String,
}

impl Daemon {
    /// Starts it for the Applications of `namespace` and waits until it says on which address it listens.
    pub async fn start(cluster: &Cluster, namespace: &str, options: DaemonOptions) -> Daemon {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = options.kubeconfig.clone().unwrap_or_else(|| cluster.kubeconfig());
        let process = spawn(folder.path(), namespace, &kubeconfig, &options);
        let namespace = namespace.into();
        let mut daemon = Daemon { process, folder, namespace, kubeconfig, options, born: 0, address: String::new() };
        daemon.listens().await;
        daemon
    }

    /// Starts it again after [`Daemon::kill`] or [`Daemon::stop`], with the same data directory.
    pub async fn restart(&mut self) {
        assert!(self.process.ended().unwrap().is_some(), "it still runs");
        self.born = self.whole_log().len();
        self.process = spawn(self.folder.path(), &self.namespace, &self.kubeconfig, &self.options);
        self.listens().await;
    }

    /// Resident memory, in MiB.
    pub fn memory(&self) -> f64 {
        let status = self.process_file("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// Milliseconds that it has worked.
    pub fn cpu(&self) -> f64 {
        let stat = self.process_file("stat");
        // Behind the name, which may hold anything: user and system time are the 12th and 13th, in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        [fields[11], fields[12]].iter().map(|ticks| ticks.parse::<f64>().unwrap() * 10.0).sum()
    }

    /// A file that the system has of the process.
    fn process_file(&self, file: &str) -> String {
        let data = self.data().display().to_string();
        let found = std::fs::read_dir("/proc").unwrap().flatten().find_map(|process| {
            let command = std::fs::read_to_string(process.path().join("cmdline")).ok()?;
            // The supervisor's command line holds the same words; it is no Leeboard.
            let is_ours = command.contains(&data) && command.split('\0').next()?.ends_with("leeboard");
            is_ours.then(|| std::fs::read_to_string(process.path().join(file)).ok())?
        });
        found.unwrap()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    /// Asks it to end, as Kubernetes does, and returns its exit code; panics when it has to be killed.
    pub fn stop(&mut self, within: Duration) -> Option<i32> {
        let status = self.process.stop(within).unwrap();
        status.unwrap_or_else(|| panic!("it did not end within {within:?}:\n{}", self.log())).code()
    }

    /// Sends it any other signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// What it has logged since its last start.
    pub fn log(&self) -> String {
        self.whole_log().split_off(self.born)
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where it listens: `http://127.0.0.1:PORT` and this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// GETs a path: status and body.
    pub async fn get(&self, path: &str) -> Result<(u16, String), String> {
        let response = client().get(self.url(path)).send().await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        Ok((status, response.text().await.map_err(|error| error.to_string())?))
    }

    /// POSTs a body with these headers: status and body.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Result<(u16, String), String> {
        let mut request = client().post(self.url(path)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        Ok((status, response.text().await.map_err(|error| error.to_string())?))
    }

    /// The value of a metric without labels, or the sum over its labels; `None` when there is no such metric.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").await.ok()?;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let ours = rest.starts_with(' ') || rest.starts_with('{');
            ours.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok()).flatten()
        });
        values.reduce(|sum, value| sum + value)
    }

    /// Waits until `/readyz` says so.
    pub async fn ready(&self) {
        eventually("the daemon is ready", SOON, async || match self.get("/readyz").await {
            Ok((200, _)) => Ok(()),
            Ok((status, body)) => Err(format!("{status} {body}")),
            Err(error) => Err(format!("{error}\n{}", self.log())),
        })
        .await;
    }

    async fn listens(&mut self) {
        let (log, born, process) = (self.process.log().to_owned(), self.born, &mut self.process);
        self.address = eventually("the daemon listens", SOON, async || {
            let text = read(&log).split_off(born);
            assert!(process.ended().unwrap().is_none(), "the daemon ended:\n{text}");
            address_in(&text).ok_or(text)
        })
        .await;
    }

    fn whole_log(&self) -> String {
        read(self.process.log())
    }
}

/// Runs any other command of the program: exit code, standard output, standard error.
pub async fn leeboard(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = tokio::process::Command::new(LEEBOARD);
    command.args(arguments).env_remove("KUBECONFIG").envs(environment.iter().copied()).kill_on_drop(true);
    let output = command.output().await.expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn spawn(folder: &Path, namespace: &str, kubeconfig: &Path, options: &DaemonOptions) -> Process {
    let data = folder.join("data").display().to_string();
    let mut arguments: Vec<String> =
        ["run", "--namespace", namespace, "--data-dir", &data, "--listen", "127.0.0.1:0"].map(String::from).to_vec();
    arguments.extend(options.arguments.iter().cloned());
    let mut environment = vec![("KUBECONFIG".into(), kubeconfig.display().to_string())];
    environment.extend(options.environment.iter().cloned());
    Process::start("daemon", Path::new(LEEBOARD), &arguments, &environment, &folder.join("log")).unwrap()
}

/// The address in the line that says on which one the daemon listens, whatever the form of the log.
fn address_in(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.to_ascii_lowercase().contains("listening"))?;
    let start = line.find("127.0.0.1:")?;
    let end = line[start..].find(|character: char| !(character.is_ascii_digit() || ".:".contains(character)));
    Some(line[start..end.map_or(line.len(), |end| start + end)].into())
}

fn read(log: &Path) -> String {
    std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn client() -> reqwest::Client {
    // Fails when another test of this binary has done it before.
    let _done_before = rustls::crypto::ring::default_provider().install_default();
    // The daemon is on loopback: a proxy of the person's own is not for it.
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().expect("a client")
}
