//! [`World`]: a real Gitea with people on it; [`Shop`]: one repository there, and a clone to push from.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use leeboard::forge::{Access, Forge, Kind, Repository};
use leeboard::git::RepoUrl;
use leeboard::sandbox::{Gitea, Member, Program};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Everybody may be asked for two at once only: every list has pages.
const SETTINGS: &str = "[api]\nDEFAULT_PAGING_NUM = 2\nMAX_RESPONSE_ITEMS = 2\n";

/// Long enough for a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A forge, and who is on it.
pub(crate) struct World {
    pub(crate) gitea: Gitea,
    /// Leeboard's own account.
    pub(crate) bot: Member,
    /// May push to every shop.
    pub(crate) jane: Member,
    /// May do nothing.
    pub(crate) mallory: Member,
}

/// A repository of the organisation `acme`.
pub(crate) struct Shop<'a> {
    pub(crate) world: &'a World,
    pub(crate) name: String,
    folder: TempDir,
}

impl World {
    /// The one of this test binary; it ends with the binary.
    pub(crate) async fn shared() -> &'static World {
        static SHARED: OnceCell<World> = OnceCell::const_new();
        SHARED.get_or_init(World::start).await
    }

    /// One of the test's own: for tests that end it.
    pub(crate) async fn start() -> World {
        let program = tokio::task::spawn_blocking(|| Program::Gitea.find_or_build(|progress| eprintln!("{progress}")));
        let program = program.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
        let gitea = Gitea::start(&program, SETTINGS).await.unwrap_or_else(|error| panic!("{error}"));
        let rights = ["write:issue", "write:repository", "read:user"];
        let bot = gitea.add_member("leeboard-bot", &rights).await.unwrap();
        let jane = gitea.add_member("jane", &rights).await.unwrap();
        let mallory = gitea.add_member("mallory", &rights).await.unwrap();
        let world = World { gitea, bot, jane, mallory };
        world.administer(Method::POST, "orgs", json!({"username": "acme"})).await;
        world
    }

    /// What only an administrator may do.
    pub(crate) async fn administer(&self, method: Method, path: &str, body: Value) -> Value {
        let administrator = self.gitea.administrator();
        self.gitea.ask(administrator, method, path, Some(body)).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The forge as an account reaches it.
    pub(crate) fn forge(&self, member: &Member) -> Arc<Forge> {
        Forge::new(Kind::Gitea, &self.gitea.url(), &Access::token(&member.token)).unwrap()
    }

    /// A private repository with one commit on `main`, where the bot may do everything and Jane may push.
    pub(crate) async fn shop(&self, name: &str) -> Shop<'_> {
        let body = json!({"name": name, "private": true, "default_branch": "main"});
        self.administer(Method::POST, "orgs/acme/repos", body).await;
        for (member, permission) in [(&self.bot, "admin"), (&self.jane, "write")] {
            let path = format!("repos/acme/{name}/collaborators/{}", member.login);
            self.administer(Method::PUT, &path, json!({"permission": permission})).await;
        }
        let shop = Shop { world: self, name: name.into(), folder: tempfile::tempdir().unwrap() };
        shop.git(&["init", "--quiet", "--initial-branch=main"]);
        shop.commit("web.yaml", "replicas: 1\n");
        shop.push(&self.jane, &format!("acme/{name}"), "main").unwrap();
        shop
    }
}

impl Shop<'_> {
    pub(crate) fn path(&self) -> String {
        format!("repos/acme/{}", self.name)
    }

    pub(crate) fn url(&self) -> RepoUrl {
        RepoUrl::parse(&format!("{}/acme/{}.git", self.world.gitea.url(), self.name)).unwrap()
    }

    /// It, as an account reaches it.
    pub(crate) fn as_member(&self, member: &Member) -> Repository {
        self.world.forge(member).repository(&self.url()).unwrap()
    }

    /// It, as Leeboard reaches it.
    pub(crate) fn as_bot(&self) -> Repository {
        self.as_member(&self.world.bot)
    }

    /// Asks Gitea's API about it, as an account.
    pub(crate) async fn ask(&self, member: &Member, method: Method, path: &str, body: Value) -> Value {
        let path = format!("{}/{path}", self.path());
        let path = path.trim_end_matches('/');
        let asked = self.world.gitea.ask(member, method, path, Some(body)).await;
        asked.unwrap_or_else(|error| panic!("{error}"))
    }

    /// A commit on a new branch, which starts at `main`.
    pub(crate) fn branch(&self, name: &str, file: &str, text: &str) -> String {
        self.git(&["switch", "--quiet", "--force-create", name, "main"]);
        self.commit(file, text)
    }

    /// Git in the clone; panics when it fails.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(self.folder.path(), arguments).unwrap_or_else(|error| panic!("git {}: {error}", arguments.join(" ")))
    }

    /// A commit on the branch that is checked out.
    pub(crate) fn commit(&self, file: &str, text: &str) -> String {
        self.commit_all(&[(file.to_owned(), text.to_owned())])
    }

    /// The same of several files.
    pub(crate) fn commit_all(&self, files: &[(String, String)]) -> String {
        for (file, text) in files {
            let path = self.folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.git(&["add", "--all"]);
        let first = files.first().map_or("nothing", |(file, _)| file.as_str());
        self.git(&["commit", "--quiet", "--message", &format!("Write {first}")]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Pushes as an account, to this repository or to a fork of it.
    pub(crate) fn push(&self, member: &Member, repository: &str, branch: &str) -> Result<(), String> {
        let url = self.world.gitea.clone_url(member, repository);
        git(self.folder.path(), &["push", "--quiet", "--force", &url, branch]).map(drop)
    }

    /// Pushes a branch as Jane and opens a pull request for `base`. Its number.
    pub(crate) async fn open(&self, branch: &str, base: &str, title: &str) -> u64 {
        self.push(&self.world.jane, &format!("acme/{}", self.name), branch).unwrap();
        self.open_from(branch, base, title).await
    }

    /// Opens a pull request as Jane. Gitea learns of a push a little later than who pushed.
    pub(crate) async fn open_from(&self, head: &str, base: &str, title: &str) -> u64 {
        let body = json!({"title": title, "head": head, "base": base});
        let path = format!("{}/pulls", self.path());
        let pull = eventually("the pull request is opened", async || {
            self.world.gitea.ask(&self.world.jane, Method::POST, &path, Some(body.clone())).await
        });
        pull.await["number"].as_u64().unwrap()
    }
}

/// The real git, with nothing of the person's own.
fn git(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    command.current_dir(directory).args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Jane").env(format!("GIT_{role}_EMAIL"), "jane@example.com");
    }
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Polls until it holds; panics with the last refusal when that takes too long.
pub(crate) async fn eventually<T, E: std::fmt::Display>(
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(last) if start.elapsed() > SOON => panic!("{what}: not within {SOON:?}; last seen: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
