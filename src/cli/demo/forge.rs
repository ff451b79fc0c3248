//! A real forge for the demo: a Gitea with the shop's repository, one developer, and an account of the daemon's.
//!
//! Read [`Forge`]; [`super::tour::pull`] plays a pull request on it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use super::shop::{self, ENVIRONMENTS};
use crate::sandbox::{Error, Gitea, Member};

/// Who pushes and merges.
const DEVELOPER: &str = "robin";
/// Who the daemon is.
const BOT: &str = "leeboard";
const REPOSITORY: &str = "shop";

/// See the module. Dropping it ends it and removes its files.
#[derive(Debug)]
pub(super) struct Forge {
    gitea: Gitea,
    developer: Member,
    bot: Member,
    hook_secret: String,
    /// The developer's, for the forge's own pages.
    password: String,
}

/// A pull request, as far as the demo looks at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub(super) number: u64,
}

impl Forge {
    /// Starts it, with the shop's files on a branch for each environment.
    ///
    /// # Errors
    /// When Gitea does not start, or refuses something.
    pub(super) async fn start(program: &Path, hook_secret: String) -> Result<Forge, Error> {
        let gitea = Gitea::start(program, "").await?;
        let scopes = ["write:issue", "write:repository", "write:user"];
        let developer = gitea.add_member(DEVELOPER, &scopes).await?;
        let bot = gitea.add_member(BOT, &scopes).await?;
        let password: String = developer.token.chars().take(12).collect();
        gitea.set_password(&developer, &password).await?;
        let forge = Forge { gitea, developer, bot, hook_secret, password };
        let first = shop::branch(ENVIRONMENTS[0]);
        let wanted = json!({"name": REPOSITORY, "default_branch": first, "auto_init": true});
        forge.gitea.ask(&forge.developer, Method::POST, "user/repos", Some(wanted)).await?;
        // Only administrators of a repository are told who may write to it.
        let permission = json!({"permission": "admin"});
        forge.ask(Method::PUT, &format!("collaborators/{BOT}"), permission).await?;
        forge.fill(&first).await?;
        for environment in &ENVIRONMENTS[1..] {
            let wanted = json!({"new_branch_name": shop::branch(environment), "old_branch_name": first});
            forge.ask(Method::POST, "branches", wanted).await?;
        }
        Ok(forge)
    }

    async fn fill(&self, branch: &str) -> Result<(), Error> {
        let files: Vec<Value> = shop::contents(&self.clone_url())
            .into_iter()
            .map(|(path, bytes)| json!({"operation": "create", "path": path, "content": STANDARD.encode(bytes)}))
            .collect();
        let commit = json!({"branch": branch, "message": "Open the shop", "files": files});
        self.ask(Method::POST, "contents", commit).await.map(drop)
    }

    /// Its port, to see later whether it is gone.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.gitea.url().strip_prefix("http://").and_then(|address| address.parse().ok())
    }

    /// Where git reads the shop, as everybody may.
    pub(super) fn clone_url(&self) -> String {
        format!("{}/{DEVELOPER}/{REPOSITORY}.git", self.gitea.url())
    }

    /// Where the developer pushes to.
    pub(super) fn push_url(&self) -> String {
        self.gitea.clone_url(&self.developer, &format!("{DEVELOPER}/{REPOSITORY}"))
    }

    /// Where people find a pull request.
    pub(super) fn page(&self, number: u64) -> String {
        format!("{}/{DEVELOPER}/{REPOSITORY}/pulls/{number}", self.gitea.url())
    }

    /// Whom people sign in as on its pages, and the password.
    pub(super) fn sign_in(&self) -> [&str; 2] {
        [DEVELOPER, &self.password]
    }

    /// The bare repository on disk: its branches show what is pushed.
    pub(super) fn repository(&self) -> PathBuf {
        self.gitea.repository(DEVELOPER, REPOSITORY)
    }

    /// What the daemon has to know: who it is on the forge, and what signs the forge's calls.
    pub(super) fn secrets(&self, namespace: &str) -> [Value; 2] {
        let secret = |name: &str, labels: Value, data: Value| {
            let metadata = json!({"name": name, "namespace": namespace, "labels": labels});
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        };
        let access = json!({"url": self.gitea.url(), "type": "gitea", "token": self.bot.token});
        [
            secret("forge", json!({"leeboard.dev/secret-type": "forge"}), access),
            secret(
                "argocd-secret",
                json!({}),
                json!({"webhook.gitea.secret": self.hook_secret, "webhook.gogs.secret": self.hook_secret}),
            ),
        ]
    }

    /// Has the forge call a daemon that listens here.
    pub(super) async fn call(&self, daemon: SocketAddr) -> Result<(), Error> {
        let hook = json!({
            "type": "gitea", "active": true,
            "events": ["push", "pull_request", "pull_request_sync", "pull_request_comment"],
            "config": {
                "url": format!("http://{daemon}/api/webhook"), "content_type": "json", "secret": self.hook_secret,
            },
        });
        self.ask(Method::POST, "hooks", hook).await.map(drop)
    }

    /// Writes other words into a file and commits it, on a branch that is made from `base` when it is new.
    pub(super) async fn commit(&self, base: &str, branch: &str, subject: &str, edit: [&str; 3]) -> Result<(), Error> {
        let [path, from, to] = edit;
        let from_branch = match self.ask(Method::GET, &format!("branches/{branch}"), Value::Null).await {
            Ok(_) => branch,
            Err(_) => base,
        };
        let file = self.ask(Method::GET, &format!("contents/{path}?ref={from_branch}"), Value::Null).await?;
        let unreadable = || Error::Forge { action: format!("read {path}"), said: format!("it has no `{from}`") };
        let lines: String = file["content"].as_str().unwrap_or_default().split_whitespace().collect();
        let text =
            STANDARD.decode(lines).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unreadable)?;
        if !text.contains(from) {
            return Err(unreadable());
        }
        let content = STANDARD.encode(text.replacen(from, to, 1));
        let mut wanted = json!({"branch": from_branch, "message": subject, "sha": file["sha"], "content": content});
        if from_branch != branch {
            wanted["new_branch"] = branch.into();
        }
        self.ask(Method::PUT, &format!("contents/{path}"), wanted).await.map(drop)
    }

    /// Opens a pull request.
    pub(super) async fn open(&self, branch: &str, base: &str, title: &str) -> Result<Opened, Error> {
        let pull = self.ask(Method::POST, "pulls", json!({"title": title, "head": branch, "base": base})).await?;
        Ok(Opened { number: pull["number"].as_u64().unwrap_or_default() })
    }

    /// Merges it. Gitea refuses while it still looks whether that can be done.
    pub(super) async fn merge(&self, pull: Opened) -> Result<(), Error> {
        self.ask(Method::POST, &format!("pulls/{}/merge", pull.number), json!({"Do": "merge"})).await.map(drop)
    }

    /// What the daemon has written below it.
    pub(super) async fn comments(&self, pull: Opened) -> Result<Vec<String>, Error> {
        let all = self.ask(Method::GET, &format!("issues/{}/comments", pull.number), Value::Null).await?;
        let ours = all.as_array().into_iter().flatten().filter(|comment| comment["user"]["login"] == BOT);
        Ok(ours.filter_map(|comment| Some(comment["body"].as_str()?.to_owned())).collect())
    }

    /// The daemon's verdict on its head: state and words.
    pub(super) async fn verdict(&self, branch: &str) -> Result<String, Error> {
        let statuses = self.ask(Method::GET, &format!("commits/{branch}/status"), Value::Null).await?;
        let ours = statuses["statuses"].as_array().into_iter().flatten().find(|one| one["creator"]["login"] == BOT);
        let text = |name: &str| ours.and_then(|one| one[name].as_str()).unwrap_or_default().to_owned();
        Ok(format!("{}: {}", text("status"), text("description")))
    }

    /// Asks about the shop's repository, as its developer.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Result<Value, Error> {
        let body = Some(body).filter(|body| !body.is_null());
        self.gitea.ask(&self.developer, method, &format!("repos/{DEVELOPER}/{REPOSITORY}/{path}"), body).await
    }
}
