//! `promote image`: other versions of images are written into an environment, on disk or on its branch.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use jiff::Timestamp;
use similar::TextDiff;

use super::super::cluster::Target as Namespace;
use super::super::diff::{What, runtime};
use super::super::report::{Paths, Problems};
use super::super::subject::{application, state_directory, told};
use super::super::terminal::{Symbol, Terminal, bold};
use super::super::tree::{self, Opened, Reach};
use super::super::{Exit, Failure};
use crate::error::Diagnostic;
use crate::git::{self, Author, Changed, CredentialStore, Credentials, LocalRepositories, Mirrors, RepoUrl};
use crate::promote::edit::{FieldPath, Image};
use crate::promote::image::message;
use crate::promote::image::propose::{self, Taking, Wish};
use crate::promote::image::target::{Edited, Target};
use crate::promote::window::{self, Gateway};
use crate::source::Files;

/// Write new versions of images into an environment
///
/// Of a directory the file is edited, and nothing is committed. For an Environment of the cluster, or with --repo, a commit is
/// pushed to its branch. No other byte of the file changes. For example: leeboard promote image dev web=1.4.2
#[derive(Debug, Args)]
pub(super) struct ImageArgs {
    /// A directory, or an Environment of the cluster; with --repo, what messages call it
    #[arg(value_name = "ENV")]
    environment: String,
    /// What manifests call an image, and its version; also NAME@DIGEST and NAME=OTHER-NAME:TAG
    #[arg(value_name = "NAME=TAG", required = true)]
    images: Vec<Image>,
    /// The repository, where no Environment says it
    #[arg(long, value_name = "URL", requires = "branch")]
    repo: Option<String>,
    /// The branch that gets the commit
    #[arg(long, value_name = "BRANCH", requires = "repo")]
    branch: Option<String>,
    /// The directory in the repository
    #[arg(long, value_name = "DIR", requires = "repo")]
    path: Option<String>,
    /// The file, seen from the directory [default: its kustomization]
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// The field of the file that holds the version, such as image.tag [default: the images of a kustomization]
    #[arg(long, value_name = "FIELD", requires = "file")]
    field: Option<FieldPath>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Overwrite a version that a person has set since the last promotion
    #[arg(long)]
    force_take: bool,
    /// Why: the commit says it
    #[arg(short = 'm', long = "message", value_name = "REASON", default_value = "")]
    reason: String,
    /// Who makes the commit, as in Ada <ada@example.com> [default: as git says it]
    #[arg(long, value_name = "AUTHOR", value_parser = parse_author)]
    author: Option<Author>,
    /// Private key for a repository that is reached over ssh
    #[arg(long, value_name = "FILE", requires = "repo")]
    ssh_key: Option<PathBuf>,
    /// Keys of ssh servers that are trusted
    #[arg(long, value_name = "FILE", requires = "repo")]
    known_hosts: Option<PathBuf>,
    /// User for a repository that is reached over https
    #[arg(long, value_name = "USER", env = "LEEBOARD_GIT_USER", requires = "repo")]
    git_user: Option<String>,
    /// Where the password or token is, for a repository that is reached over https
    #[arg(long, value_name = "FILE", requires = "repo")]
    git_password_file: Option<PathBuf>,
    #[command(flatten)]
    target: Namespace,
}

fn parse_author(text: &str) -> Result<Author, String> {
    let parts = text.trim().strip_suffix('>').and_then(|text| text.split_once('<'));
    match parts.map(|(name, email)| (name.trim(), email.trim())) {
        Some((name, email)) if !name.is_empty() && !email.is_empty() && !text.contains(['\n', '\0']) => {
            Ok(Author { name: name.to_owned(), email: email.to_owned() })
        }
        _ => Err("a name and an address such as `Ada <ada@example.com>`".into()),
    }
}

/// A branch that gets the commit.
struct Branch {
    url: RepoUrl,
    name: String,
    path: String,
    credentials: CredentialStore,
}

impl ImageArgs {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        if self.repo.is_none()
            && let What::Directory(directory) = What::of(&self.environment)
        {
            return self.on_disk(&directory, terminal);
        }
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            let branch = self.branch().await?;
            self.on_branch(branch, terminal).await
        });
        runtime.shutdown_background();
        done
    }

    /// The file that says the versions.
    fn file(&self, directory: &str) -> Result<Target, Failure> {
        let target = Target::kustomization(directory)?;
        Ok(match &self.file {
            Some(file) => target.in_file(file, self.field.clone())?,
            None => target,
        })
    }

    fn on_disk(&self, directory: &Path, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let Opened { files, directory, paths } = tree::open(directory, Reach::Directory)?;
        let edited = self.file(directory.as_str())?.edited(&files, &self.images);
        let edited = edited.map_err(|error| in_tree(Diagnostic::from(&error), &files, &paths))?;
        let path = paths.show(edited.path.as_str());
        if self.dry_run {
            return dry(&edited, &path, terminal);
        }
        let is_new = edited.after != *edited.before;
        if is_new {
            let absolute = files.root().join(edited.path.as_str());
            fs::write(&absolute, &edited.after).with_context(|| format!("cannot write {path}"))?;
        }
        self.tell(&edited, &path, terminal)?;
        if is_new {
            terminal.print("  next: git commit\n")?;
        }
        Ok(Exit::Ok)
    }

    /// Where the commit goes, and with which credentials.
    async fn branch(&self) -> Result<Branch, Failure> {
        if let (Some(url), Some(branch)) = (&self.repo, &self.branch) {
            let url = RepoUrl::parse(url).map_err(|error| anyhow!("{error}"))?;
            let path = self.path.clone().unwrap_or_else(|| ".".into());
            let credentials = self.credentials(&url)?;
            return Ok(Branch { url, name: branch.clone(), path, credentials });
        }
        let cluster = self.target.connect().await?;
        let found = super::environment(&cluster, &self.target, &self.environment).await?;
        let Some(name) = found.spec.branch.clone().filter(|branch| !branch.is_empty() && branch != "HEAD") else {
            let problem = Diagnostic::new(format!("the Environment `{}` names no branch", self.environment));
            return Err(told(problem.with_hint("Set `spec.branch`, or name the branch with `--repo` and `--branch`.")));
        };
        if let Gateway::Closed { why, .. } = window::of(&found, true, Timestamp::now()) {
            let hint = format!("`leeboard unlock {}` takes a lock away, time opens a window.", found.name());
            return Err(told(Diagnostic::new(why).with_hint(hint)));
        }
        let url = RepoUrl::parse(&found.spec.repo_url).map_err(|error| anyhow!("{error}"))?;
        let control = found.metadata.namespace.clone().unwrap_or_default();
        let credentials = application::credentials(&cluster, &control).await;
        Ok(Branch { url, name, path: found.spec.path().to_owned(), credentials })
    }

    /// What the flags say, as a repository's Secret would.
    fn credentials(&self, url: &RepoUrl) -> Result<CredentialStore, Failure> {
        let read = |path: &PathBuf| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let mut data = BTreeMap::new();
        if let Some(user) = &self.git_user {
            data.insert("username".to_owned(), user.clone().into_bytes());
        }
        if let Some(path) = &self.git_password_file {
            data.insert("password".to_owned(), read(path)?);
        }
        if let Some(path) = &self.ssh_key {
            data.insert("sshPrivateKey".to_owned(), read(path)?);
        }
        let mut store = CredentialStore::new();
        if let Some(path) = &self.known_hosts {
            store.add_known_hosts(&String::from_utf8_lossy(&read(path)?));
        }
        if !data.is_empty() {
            store.add_repository(url.clone(), Credentials::from_secret(&data)?);
        }
        Ok(store)
    }

    async fn on_branch(&self, branch: Branch, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let wish = Wish {
            environment: self.environment.clone(),
            target: self.file(&branch.path)?,
            images: self.images.clone(),
            why: self.reason.clone(),
            taking: if self.force_take { Taking::ByForce } else { Taking::Unless },
            author: self
                .author
                .clone()
                .or_else(author_of_environment)
                .or_else(Author::of_this_machine)
                .unwrap_or_default(),
            at: Timestamp::now(),
        };
        let mirrors = Mirrors::new(state_directory(), LocalRepositories::Allowed);
        mirrors.set_credentials(branch.credentials);
        let mirror = mirrors.mirror(&branch.url);
        terminal.paint(&[format!("asking {} …", branch.url)]);
        let revisions = [branch.name.clone()];
        let refreshed = mirror.refresh(&revisions).await.map_err(|error| told(Diagnostic::from(&error)))?;
        let head = refreshed.commit(&branch.name).cloned().context("the branch was not looked for")?;
        let snapshot = head.and_then(|head| mirror.snapshot(&head)).map_err(|error| told(Diagnostic::from(&error)))?;
        let before = propose::edited(&wish, &snapshot).map_err(|error| self.refused(&error))?;
        let place = format!("{} of {}", before.path, branch.name);
        if self.dry_run {
            return dry(&before, before.path.as_str(), terminal);
        }
        let changed = mirror.change(&branch.name, move |snapshot| propose::propose(&wish, snapshot)).await;
        let changed = changed.map_err(|error| self.refused(&error))?;
        self.tell(&before, &place, terminal)?;
        if let Changed::By(commit) = changed {
            terminal.print(&format!("  commit {} is on {} of {}\n", commit.short(), branch.name, branch.url))?;
        }
        Ok(Exit::Ok)
    }

    fn refused(&self, error: &propose::Error) -> Failure {
        let diagnostic = match error {
            propose::Error::Git(error @ git::Error::PushRefused { .. }) => {
                Diagnostic::new(error.to_string()).with_hint("May these credentials push to this branch?")
            }
            propose::Error::ByHand(by_hand) => Diagnostic::new(format!("{}: {by_hand}", self.environment))
                .with_hint("Promote it where it belongs, or overwrite it with `--force-take`."),
            error => Diagnostic::from(error),
        };
        told(diagnostic)
    }

    /// One line for each image.
    fn tell(&self, edited: &Edited, place: &str, terminal: &mut Terminal) -> Result<(), Failure> {
        for (image, said) in self.images.iter().zip(&edited.said) {
            let good = terminal.symbol(Symbol::Good);
            let (name, now) = (bold(image.name()), message::short(image));
            let line = match said {
                Some(found) if found.is(image) => format!("{good} {name} is {now} already in {place}\n"),
                said => format!("{good} {name} {} → {now} in {place}\n", message::said(said.as_ref())),
            };
            terminal.print(&line)?;
        }
        Ok(())
    }
}

/// What CI systems set for git.
fn author_of_environment() -> Option<Author> {
    let of = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    Some(Author { name: of("GIT_AUTHOR_NAME")?, email: of("GIT_AUTHOR_EMAIL")? })
}

fn in_tree(problem: Diagnostic, files: &dyn Files, paths: &Paths) -> Failure {
    Failure::Problems(Problems::in_tree(vec![problem], files, paths))
}

/// The difference, as `diff -u` writes it.
fn dry(edited: &Edited, path: &str, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let (before, after) = (String::from_utf8_lossy(&edited.before), String::from_utf8_lossy(&edited.after));
    let diff = TextDiff::from_lines(&before, &after);
    let text = diff.unified_diff().header(&format!("a/{path}"), &format!("b/{path}")).to_string();
    terminal.print(&text)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_a_name_and_an_address() {
        let ada = Author { name: "Ada L.".into(), email: "ada@example.com".into() };
        assert_eq!(parse_author("Ada L. <ada@example.com>"), Ok(ada));
        for wrong in ["", "Ada", "<ada@example.com>", "Ada <>", "Ada ada@example.com"] {
            assert!(parse_author(wrong).is_err(), "{wrong}");
        }
    }
}
