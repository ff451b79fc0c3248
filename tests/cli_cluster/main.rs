//! What a person sees of a cluster: `get`, `diff` and `sync` through the real binary and a real API server.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod application;
mod corpus;
mod directory;
#[path = "../harness/mod.rs"]
mod harness;
mod prune;
mod secret;

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::{Cluster, Namespace};

/// A person with a directory, a home of their own and a namespace to apply to.
struct Person {
    folder: TempDir,
    kubeconfig: PathBuf,
}

/// How a command ended, and what it said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Asserts the exit code and that all of this was said, somewhere.
    #[track_caller]
    fn is(&self, code: i32, said: &[&str]) -> &Said {
        assert_eq!(self.code, Some(code), "{self}");
        for words in said {
            assert!(self.out.contains(words) || self.err.contains(words), "`{words}` is not said\n{self}");
        }
        self
    }

    #[track_caller]
    fn says_nothing_of(&self, words: &str) {
        assert!(!self.out.contains(words) && !self.err.contains(words), "`{words}` is said\n{self}");
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {:?}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err)
    }
}

impl Person {
    fn of(cluster: &Cluster) -> Person {
        Person { folder: tempfile::tempdir().unwrap(), kubeconfig: cluster.kubeconfig() }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.directory().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.directory().join(path)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leeboard"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("LANG", "C.UTF-8").env("USER", "tess");
        command
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("PATH", std::env::var_os("PATH").unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn runs(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).output().await.unwrap())
    }

    /// `leeboard <command> shop -n <namespace> <more>`.
    async fn shop(&self, command: &str, namespace: &Namespace<'_>, more: &[&str]) -> Said {
        let mut arguments = vec![command, "shop", "-n", namespace.name()];
        arguments.extend(more);
        self.runs(&arguments).await
    }
}
