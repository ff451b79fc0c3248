//! The shop in git: what is in its repository, and how commits come into it.
//!
//! The files are those of `clusters/` and `apps/`, embedded, so that the demo works away from the source tree. No `git`
//! command is needed: whoever has none can still watch the tour.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use git2::build::{RepoBuilder, TreeUpdateBuilder};
use git2::{FetchOptions, FileMode, Oid, Repository, RepositoryInitOptions, Signature, Tree};
use include_dir::{Dir, include_dir};

/// The environments, in the order in which a commit reaches them.
pub const ENVIRONMENTS: [&str; 3] = ["dev", "int", "prod"];

/// Where the manifests say that the shop's repository is.
const WRITTEN_URL: &str = "https://git.example.com/shop.git";

static FOLDERS: [(&str, Dir<'_>); 2] =
    [("apps", include_dir!("$CARGO_MANIFEST_DIR/apps")), ("clusters", include_dir!("$CARGO_MANIFEST_DIR/clusters"))];

/// The branch of an environment.
pub fn branch(environment: &str) -> String {
    format!("env/{environment}")
}

/// All files of the repository, when it is at `url`.
pub fn contents(url: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    fn add(folder: &str, directory: &Dir<'_>, url: &str, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for file in directory.files() {
            let bytes = match file.contents_utf8() {
                Some(text) => text.replace(WRITTEN_URL, url).into_bytes(),
                None => file.contents().to_vec(),
            };
            files.insert(Path::new(folder).join(file.path()), bytes);
        }
        for directory in directory.dirs() {
            add(folder, directory, url, files);
        }
    }
    let mut files = BTreeMap::new();
    for (folder, directory) in &FOLDERS {
        add(folder, directory, url, &mut files);
    }
    files
}

/// The address of a repository in this directory.
pub(super) fn url_of(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// Makes the bare repository that everybody pushes to, with a branch for each environment; one that is there stays as
/// it is.
pub(super) fn create(path: &Path) -> Result<(), git2::Error> {
    if path.exists() {
        return Repository::open_bare(path).map(drop);
    }
    let mut options = RepositoryInitOptions::new();
    // A template of the person's own may bring hooks.
    options.bare(true).external_template(false).initial_head(&branch(ENVIRONMENTS[0]));
    let repository = Repository::init_opts(path, &options)?;
    let mut tree = TreeUpdateBuilder::new();
    for (path, bytes) in contents(&url_of(path)) {
        tree.upsert(path, repository.blob(&bytes)?, FileMode::Blob);
    }
    let empty = repository.find_tree(repository.treebuilder(None)?.write()?)?;
    let tree = repository.find_tree(tree.create_updated(&repository, &empty)?)?;
    let author = author()?;
    let first = repository.commit(None, &author, &author, "Open the shop\n", &tree, &[])?;
    for environment in ENVIRONMENTS {
        repository.reference(&format!("refs/heads/{}", branch(environment)), first, false, "the first commit")?;
    }
    Ok(())
}

/// The newest commit of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) commit: String,
    /// The first line of its message.
    pub(super) subject: String,
    /// When the branch was moved to it.
    pub(super) pushed: SystemTime,
}

/// What the branch of an environment points to; `None` when there is none.
pub(super) fn head(repository: &Path, environment: &str) -> Option<Head> {
    let bare = Repository::open_bare(repository).ok()?;
    let name = format!("refs/heads/{}", branch(environment));
    let commit = bare.find_reference(&name).ok()?.peel_to_commit().ok()?;
    // The file is written by the push itself. Once git has packed it, nobody waits for it any more.
    let pushed = repository.join(name).metadata().and_then(|file| file.modified()).ok()?;
    let subject = commit.summary().ok().flatten().unwrap_or_default().to_owned();
    Some(Head { commit: commit.id().to_string(), subject, pushed })
}

/// What a commit changes.
#[derive(Clone, Debug)]
pub(super) enum Edit<'a> {
    /// A new file.
    Add { path: &'a str, text: &'a str },
    /// Other words in a file.
    Replace { path: &'a str, from: &'a str, to: &'a str },
    /// One file less.
    Remove { path: &'a str },
}

/// A developer's clone.
pub(super) struct Checkout {
    repository: Repository,
}

impl Checkout {
    pub(super) fn clone_of(bare: &Path, into: &Path) -> Result<Checkout, git2::Error> {
        // Nobody looks at its files, so none are written: commits are made of trees.
        let repository = RepoBuilder::new().bare(true).clone(&url_of(bare), into)?;
        Ok(Checkout { repository })
    }

    /// Commits on top of an environment's branch and pushes: the commit.
    pub(super) fn push(&self, environment: &str, subject: &str, edits: &[Edit<'_>]) -> Result<String, git2::Error> {
        let (repository, branch) = (&self.repository, branch(environment));
        let mut origin = repository.find_remote("origin")?;
        origin.fetch(&[&branch], Some(&mut FetchOptions::new()), None)?;
        let parent = repository.find_reference(&format!("refs/remotes/origin/{branch}"))?.peel_to_commit()?;
        let before = parent.tree()?;
        // A file may be edited in several places; `None`: it goes.
        let mut files: BTreeMap<&str, Option<String>> = BTreeMap::new();
        for edit in edits {
            match edit {
                Edit::Add { path, text } => drop(files.insert(path, Some((*text).to_owned()))),
                Edit::Remove { path } => drop(files.insert(path, None)),
                Edit::Replace { path, from, to } => {
                    let text = match files.remove(path).flatten() {
                        Some(text) => text,
                        None => self.text(&before, path)?,
                    };
                    if !text.contains(from) {
                        return Err(git2::Error::from_str(&format!("{path} has no `{from}`")));
                    }
                    files.insert(path, Some(text.replacen(from, to, 1)));
                }
            }
        }
        let mut changes = TreeUpdateBuilder::new();
        for (path, text) in files {
            match text {
                Some(text) => changes.upsert(path, repository.blob(text.as_bytes())?, FileMode::Blob),
                None => changes.remove(path),
            };
        }
        let after = repository.find_tree(changes.create_updated(repository, &before)?)?;
        let author = author()?;
        let commit = repository.commit(None, &author, &author, &format!("{subject}\n"), &after, &[&parent])?;
        self.send(&mut origin, commit, &branch)?;
        Ok(commit.to_string())
    }

    fn send(&self, origin: &mut git2::Remote<'_>, commit: Oid, branch: &str) -> Result<(), git2::Error> {
        let outgoing = format!("refs/heads/{branch}");
        self.repository.reference(&outgoing, commit, true, "commit")?;
        origin.push(&[format!("{outgoing}:{outgoing}")], None)
    }

    fn text(&self, tree: &Tree<'_>, path: &str) -> Result<String, git2::Error> {
        let blob = self.repository.find_blob(tree.get_path(Path::new(path))?.id())?;
        Ok(String::from_utf8_lossy(blob.content()).into_owned())
    }
}

fn author() -> Result<Signature<'static>, git2::Error> {
    Signature::now("Robin", "robin@shop.example.com")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn text(repository: &Path, environment: &str, path: &str) -> Option<String> {
        let bare = Repository::open_bare(repository).unwrap();
        let commit = bare.find_reference(&format!("refs/heads/env/{environment}")).unwrap().peel_to_commit().unwrap();
        let entry = commit.tree().unwrap().get_path(Path::new(path)).ok()?;
        Some(String::from_utf8(bare.find_blob(entry.id()).unwrap().content().to_vec()).unwrap())
    }

    #[test]
    fn what_is_embedded_is_what_is_in_the_source_tree() {
        fn compare(directory: &Path, contents: &mut BTreeMap<PathBuf, Vec<u8>>) {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            for entry in fs::read_dir(root.join(directory)).unwrap() {
                let path = directory.join(entry.unwrap().file_name());
                if root.join(&path).is_dir() {
                    compare(&path, contents);
                } else {
                    let embedded = contents.remove(&path).unwrap_or_else(|| panic!("{} is not", path.display()));
                    assert_eq!(embedded, fs::read(root.join(&path)).unwrap(), "{}", path.display());
                }
            }
        }
        let mut contents = contents(WRITTEN_URL);
        for (folder, _) in &FOLDERS {
            compare(Path::new(folder), &mut contents);
        }
        assert!(contents.is_empty(), "{:?} are no longer there", contents.keys());
    }

    #[test]
    fn every_environment_has_its_branch_and_commits_reach_only_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let bare = folder.path().join("shop.git");
        create(&bare).unwrap();
        let first = head(&bare, "dev").unwrap();
        assert_eq!(first.subject, "Open the shop");
        for environment in ENVIRONMENTS {
            assert_eq!(head(&bare, environment).unwrap().commit, first.commit, "{environment}");
        }

        let checkout = Checkout::clone_of(&bare, &folder.path().join("clone")).unwrap();
        let edits = [
            Edit::Add { path: "apps/web/base/new.yaml", text: "a: b\n" },
            Edit::Replace { path: "apps/web/base/service.yaml", from: "port: 80", to: "port: 81" },
            Edit::Replace { path: "apps/web/base/service.yaml", from: "name: http", to: "name: web" },
            Edit::Remove { path: "apps/web/base/ingress.yaml" },
        ];
        let second = checkout.push("dev", "Change this and that", &edits).unwrap();
        assert_eq!(head(&bare, "dev").unwrap().commit, second);
        assert_eq!(head(&bare, "dev").unwrap().subject, "Change this and that");
        assert_eq!(head(&bare, "int").unwrap().commit, first.commit);
        assert_eq!(text(&bare, "dev", "apps/web/base/new.yaml").as_deref(), Some("a: b\n"));
        let service = text(&bare, "dev", "apps/web/base/service.yaml").unwrap();
        assert!(service.contains("port: 81") && service.contains("name: web\n    port"), "{service}");
        assert_eq!(text(&bare, "dev", "apps/web/base/ingress.yaml"), None);
        assert!(text(&bare, "int", "apps/web/base/ingress.yaml").is_some());

        let missing = [Edit::Replace { path: "apps/web/base/service.yaml", from: "port: 99", to: "" }];
        let error = checkout.push("dev", "Change nothing", &missing).unwrap_err();
        assert_eq!(error.message(), "apps/web/base/service.yaml has no `port: 99`");

        create(&bare).unwrap();
        assert_eq!(head(&bare, "dev").unwrap().commit, second, "a repository that is there stays as it is");
    }
}
