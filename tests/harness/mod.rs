//! What tests against real parts stand on: a control plane, repositories, what is in them, the daemon.
//!
//! One control plane per test binary, one fresh namespace (or more) per test, repositories that real git writes, and
//! the real binary as a child. Nothing sleeps for a fixed time: [`eventually`] polls, and says what it last saw. Nothing
//! is left behind, also by a test that panics or is killed.

// Each test binary compiles this module and uses its own part of it.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "shared by several test binaries")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]
#![allow(clippy::needless_pass_by_value, reason = "a callback takes what it is given")]

mod authority;
mod browser;
mod cluster;
pub mod corpus;
mod daemon;
mod images;
mod mailbox;
pub mod manifests;
mod proxy;
pub mod recordings;
mod repo;
mod webhook;
mod world;

use std::fmt::Display;
use std::io::Read;
use std::time::{Duration, Instant};

pub use browser::screenshot;
pub use cluster::{Cluster, Namespace, apply_all, report};
pub use daemon::{Daemon, DaemonOptions, leeboard};
pub use images::Images;
pub use mailbox::mailbox;
pub use proxy::{Answer, Held, Proxy, Seen};
pub use repo::Repo;
pub use webhook::{Verdict, Webhook};
pub use world::{A_WHILE, World, established, install_crds, install_crds_anew};

/// Long enough for a busy machine; a test that waits this long has failed.
pub const SOON: Duration = Duration::from_secs(30);

/// Polls until the condition holds and returns its value; panics with the last refusal when it takes too long.
pub async fn eventually<T, E: Display>(
    what: &str,
    within: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    let mut last;
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(error) => last = error,
        }
        if start.elapsed() >= within {
            panic!("{what}: not within {within:?}; last seen: {last}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A short suffix that no other run has.
pub fn random_suffix() -> String {
    let mut bytes = [0; 4];
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).expect("random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a program to its end: its standard output, or its standard error. Panics when it does not end.
pub async fn run(mut command: tokio::process::Command) -> Result<String, String> {
    let output = tokio::time::timeout(2 * SOON, command.kill_on_drop(true).output()).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} does not end"));
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
