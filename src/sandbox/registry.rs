//! [`Registry`]: a real one (CNCF Distribution), with its images in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::control_plane::{eventually, temporary_directory};
use super::error::Error;
use super::ports::Ports;
use super::probe;
use super::process::{Process, Sweeper};
use super::workshop::cache_directory;

/// When it does not end in this time it is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A running registry on loopback. It is killed, and its files are removed, when this value is dropped and when our own
/// process ends.
#[derive(Debug)]
pub struct Registry {
    // Dropped before the files.
    process: Process,
    _sweeper: Sweeper,
    program: PathBuf,
    directory: PathBuf,
    ports: Ports<1>,
}

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Everybody may read and write.
    Everybody,
    /// Who knows [`Registry::USER`] and [`Registry::PASSWORD`].
    SignedIn,
}

impl Registry {
    /// Who is let in where not everybody is.
    pub const USER: &str = "sandbox";
    /// What this user knows.
    pub const PASSWORD: &str = "sandbox";

    /// Starts one with its files in a new directory, and waits until it listens.
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::NotReady`] with its last lines.
    pub async fn start(program: &Path, admission: Admission) -> Result<Registry, Error> {
        let directory = temporary_directory()?;
        let sweeper = Sweeper::of(&directory)?;
        let ports = Ports::reserve(&cache_directory()?.join("ports"))?;
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).map_err(Error::io("write", &path))
        };
        write("htpasswd", &format!("{}:{HASH}\n", Registry::USER))?;
        write("config.yml", &settings(&directory, ports.numbers[0], admission))?;
        let process = serve(program, &directory)?;
        let program = program.to_owned();
        let mut registry = Registry { process, _sweeper: sweeper, program, directory, ports };
        registry.listens().await?;
        Ok(registry)
    }

    /// Ends it, as in an outage: connections are refused. What it has stays.
    ///
    /// # Errors
    /// [`Error::Io`] when the system cannot say whether it has ended.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.process.stop(ENDS_WITHIN).map(drop)
    }

    /// Starts it again after [`Registry::stop`], at the same address, and waits until it listens.
    ///
    /// # Errors
    /// As [`Registry::start`].
    pub async fn start_again(&mut self) -> Result<(), Error> {
        self.process = serve(&self.program, &self.directory)?;
        self.listens().await
    }

    /// What stands in front of the names of its images: `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.ports.numbers[0])
    }

    async fn listens(&mut self) -> Result<(), Error> {
        let port = self.ports.numbers[0];
        let servers = &mut [&mut self.process];
        eventually("the registry listens", servers, async || probe::connect(port).await).await
    }
}

/// [`Registry::PASSWORD`], as bcrypt has it with the least work.
const HASH: &str = "$2a$04$LsuXQnfCRfv3Y7gzHIfXcOX6Ug7W2gB6r4aAa.gOgN8nugtgR9xF.";

fn serve(program: &Path, directory: &Path) -> Result<Process, Error> {
    let flags = ["serve".to_owned(), directory.join("config.yml").display().to_string()];
    // Settings of the person's own are not for this one, and neither is telemetry.
    let environment = [("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned())];
    Process::start("registry", program, flags, &environment, &directory.join("registry.log"))
}

fn settings(directory: &Path, port: u16, admission: Admission) -> String {
    let at = directory.display();
    let auth = match admission {
        Admission::Everybody => String::new(),
        Admission::SignedIn => format!("auth: {{htpasswd: {{realm: sandbox, path: {at}/htpasswd}}}}\n"),
    };
    format!(
        "version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {at}/images}}, delete: {{enabled: true}}}}
http: {{addr: '127.0.0.1:{port}', secret: sandbox}}
{auth}"
    )
}
