//! [`Error`]: why there is no control plane.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a control plane could not be built, started or kept running.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something has to be built and there is no Go to build it with.
    #[error("there is no Go to build {what} with: `{program}` was not found")]
    NoGo {
        /// What has to be built.
        what: &'static str,
        /// The command that was tried.
        program: PathBuf,
    },
    /// Go is there and too old, and may not fetch a newer toolchain.
    #[error("building {what} takes Go {needed}, this is {found}")]
    GoTooOld {
        /// What has to be built.
        what: &'static str,
        /// What `go version` said.
        found: String,
        /// What go.mod asks for.
        needed: String,
    },
    /// `go build` failed.
    #[error("building {what} failed: {output}")]
    Build {
        /// What was built.
        what: &'static str,
        /// The last lines that Go printed.
        output: String,
    },
    /// There is no home directory, and no variable names a cache directory.
    #[error("there is no place for a cache: neither LEEBOARD_CACHE, XDG_CACHE_HOME nor HOME is set")]
    NoCache,
    /// All ports of the range are taken.
    #[error("no {count} free ports on 127.0.0.1 between 20000 and 30000")]
    NoPorts {
        /// How many were asked for.
        count: usize,
    },
    /// The directory holds something else; it is not touched.
    #[error("{} exists and is not a control plane's directory", path.display())]
    NotOurs {
        /// The directory that was asked for.
        path: PathBuf,
    },
    /// Another control plane runs there.
    #[error("another control plane runs in {}", path.display())]
    InUse {
        /// The directory that was asked for.
        path: PathBuf,
    },
    /// A certificate could not be made.
    #[error("cannot make the certificates of the control plane")]
    Certificate(#[from] rcgen::Error),
    /// One of the servers ended by itself.
    #[error("{server} ended: {log}")]
    Ended {
        /// Which one.
        server: String,
        /// The last lines of its log.
        log: String,
    },
    /// A server runs and does not get ready.
    #[error("{awaited} not within {} s; {server} said: {log}", within.as_secs())]
    NotReady {
        /// What was waited for.
        awaited: String,
        /// How long.
        within: Duration,
        /// The server that should have done it.
        server: String,
        /// The last lines of its log.
        log: String,
    },
    /// The control plane's own API refused what the sandbox asked of it.
    #[error("cannot {action}")]
    Api {
        /// What was tried.
        action: String,
        /// The client's error.
        #[source]
        source: Box<kube::Error>,
    },
    /// The forge refused what the sandbox asked of it.
    #[error("cannot {action}: {said}")]
    Forge {
        /// What was tried.
        action: String,
        /// In its own words.
        said: String,
    },
    /// The control plane's kubeconfig is not one that a client takes.
    #[error("the control plane's kubeconfig {} is not usable", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The client's error.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// A file, a directory or a program of the sandbox itself.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// One imperative sentence, when there is something sure to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NoGo { .. } | Error::GoTooOld { .. } => Some(
                "install Go from https://go.dev/dl, or name a directory with the servers in KUBEBUILDER_ASSETS".into(),
            ),
            Error::NoCache => Some("set LEEBOARD_CACHE to a directory".into()),
            Error::NotOurs { .. } => Some("move it away, or name another directory".into()),
            _ => None,
        }
    }

    /// Makes the error of an operation on a path.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { action, path: path.into(), source }
    }

    /// Makes the error of a request to the control plane.
    pub(super) fn api(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Error {
        move |source| Error::Api { action: action.into(), source: Box::new(source) }
    }
}
