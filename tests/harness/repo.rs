//! [`Repo`]: a repository that git itself writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A bare repository, as a server would have it, and a person's clone of it. Both go with the value.
#[derive(Debug)]
pub struct Repo {
    folder: TempDir,
}

impl Repo {
    /// An empty repository.
    pub fn new() -> Repo {
        let repo = Repo { folder: tempfile::tempdir().unwrap() };
        repo.git_in(repo.folder.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"]);
        // Servers let the default branch be deleted too.
        repo.git_in(&repo.bare(), &["config", "receive.denyDeleteCurrent", "ignore"]);
        repo.git_in(repo.folder.path(), &["clone", "--quiet", "origin.git", "clone"]);
        repo
    }

    /// What an Application writes as its `repoURL`.
    pub fn url(&self) -> String {
        format!("file://{}", self.bare().display())
    }

    /// The bare repository.
    pub fn bare(&self) -> PathBuf {
        self.folder.path().join("origin.git")
    }

    /// The clone's directory.
    pub fn clone_path(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    /// Commits these files (path, text) on a branch and pushes it; the branch is made when it is new. Returns the commit.
    pub fn commit(&self, branch: &str, files: &[(&str, &str)]) -> String {
        self.switch(branch);
        for (path, text) in files {
            let path = self.clone_path().join(path);
            fs::create_dir_all(path.parent().expect("below the clone")).unwrap();
            fs::write(path, text).unwrap();
        }
        self.record_and_push(branch, &["push", "--quiet", "origin", branch])
    }

    /// Copies a directory tree to `into` in the repository, commits and pushes it.
    pub fn commit_tree(&self, branch: &str, from: &Path, into: &str) -> String {
        self.switch(branch);
        copy_tree(from, &self.clone_path().join(into));
        self.record_and_push(branch, &["push", "--quiet", "origin", branch])
    }

    /// Removes these paths, commits and pushes.
    pub fn remove(&self, branch: &str, paths: &[&str]) -> String {
        self.switch(branch);
        let mut arguments = vec!["rm", "--quiet", "-r", "--"];
        arguments.extend(paths);
        self.git(&arguments);
        self.record_and_push(branch, &["push", "--quiet", "origin", branch])
    }

    /// Puts these files in place of the branch's last commit and force-pushes.
    pub fn force_push(&self, branch: &str, files: &[(&str, &str)]) -> String {
        self.switch(branch);
        self.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
        for (path, text) in files {
            fs::write(self.clone_path().join(path), text).unwrap();
        }
        self.record_and_push(branch, &["push", "--quiet", "--force", "origin", branch])
    }

    /// Deletes the branch on the server.
    pub fn delete_branch(&self, branch: &str) {
        self.git(&["push", "--quiet", "origin", "--delete", branch]);
    }

    /// The commit that a branch of the server points to.
    pub fn head(&self, branch: &str) -> String {
        self.git_in(&self.bare(), &["rev-parse", &format!("refs/heads/{branch}")])
    }

    /// Runs git in the clone; panics when it fails.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_in(&self.clone_path(), arguments)
    }

    /// Runs git in the bare repository; panics when it fails.
    pub fn in_bare(&self, arguments: &[&str]) -> String {
        self.git_in(&self.bare(), arguments)
    }

    fn switch(&self, branch: &str) {
        let known = self.try_git(&self.clone_path(), &["rev-parse", "--verify", "--quiet", branch]).is_ok();
        if known {
            self.git(&["switch", "--quiet", branch]);
        } else {
            // From nothing, so that branches share no history that a test did not ask for.
            self.git(&["switch", "--quiet", "--orphan", branch]);
        }
    }

    fn record_and_push(&self, branch: &str, push: &[&str]) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "A change"]);
        self.git(push);
        self.head(branch)
    }

    fn git_in(&self, directory: &Path, arguments: &[&str]) -> String {
        self.try_git(directory, arguments).unwrap_or_else(|error| panic!("git {}: {error}", arguments.join(" ")))
    }

    fn try_git(&self, directory: &Path, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("git");
        command.current_dir(directory).args(arguments);
        // Nothing of the person's own: no signing, no hooks, no other default branch.
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Tess Tester").env(format!("GIT_{role}_EMAIL"), "tess@example.com");
        }
        for inherited in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(inherited);
        }
        let output = command.output().map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
