//! Repositories for tests, made with the real `git`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A bare repository, as a server has it, and a work tree to push from.
pub(crate) struct Repository {
    pub(crate) folder: tempfile::TempDir,
}

impl Repository {
    /// With one commit on `main`.
    pub(crate) fn new() -> Self {
        let repository = Repository::empty();
        repository.commit("README.md", "hello\n");
        repository.push("main");
        repository
    }

    pub(crate) fn empty() -> Self {
        let repository = Repository { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(repository.work()).unwrap();
        let bare = repository.bare();
        run(repository.folder.path(), &["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()]);
        run(&bare, &["config", "receive.denyDeleteCurrent", "ignore"]);
        repository.git(&["init", "-q", "-b", "main"]);
        repository.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
        repository
    }

    /// The directory that a server serves: the repository in it is `shop.git`.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn bare(&self) -> PathBuf {
        self.folder.path().join("shop.git")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run(&self.work(), arguments)
    }

    /// Asks the bare repository.
    pub(crate) fn in_bare(&self, arguments: &[&str]) -> String {
        run(&self.bare(), arguments)
    }

    /// Sets one of the bare repository's settings.
    pub(crate) fn configure(&self, name: &str, value: &str) {
        self.in_bare(&["config", name, value]);
    }

    /// Gives the bare repository a hook.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        let path = self.bare().join("hooks").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, executable).unwrap();
    }

    /// Commits a file; gives the commit's id.
    pub(crate) fn commit(&self, path: &str, content: &str) -> String {
        let file = self.work().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", &format!("Change {path}")]);
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn push(&self, branch: &str) {
        self.git(&["push", "-q", "-f", "origin", &format!("HEAD:refs/heads/{branch}")]);
    }
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?} in {folder:?}: {shown}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
