//! [`Gitea`]: a real forge, with an administrator and whoever else is asked for.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::control_plane::{eventually, random_token, temporary_directory};
use super::error::Error;
use super::ports::Ports;
use super::probe;
use super::process::{Process, Sweeper};
use super::workshop::cache_directory;

const ADMINISTRATOR: &str = "administrator";
/// When it does not end in this time it is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A running Gitea on loopback. It is killed, and its files are removed, when this value is dropped and when our own
/// process ends.
#[derive(Debug)]
pub struct Gitea {
    // Dropped before the files.
    process: Process,
    _sweeper: Sweeper,
    program: PathBuf,
    directory: PathBuf,
    ports: Ports<1>,
    client: reqwest::Client,
    administrator: Member,
}

/// An account on the forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its login.
    pub login: String,
    /// An access token of it.
    pub token: String,
}

impl Gitea {
    /// Starts one with its files in a new directory, and waits until it answers. `program` lies beside what it reads;
    /// `more_settings` are sections of its `app.ini` beside ours.
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::NotReady`] with its last lines.
    pub async fn start(program: &Path, more_settings: &str) -> Result<Gitea, Error> {
        let directory = temporary_directory()?;
        let sweeper = Sweeper::of(&directory)?;
        let ports = Ports::reserve(&cache_directory()?.join("ports"))?;
        let port = ports.numbers[0];
        let settings = settings_file(&directory);
        let beside = program.parent().unwrap_or(program);
        let text = settings_text(&directory, beside, port, &random_token()?);
        fs::write(&settings, format!("{text}{more_settings}")).map_err(Error::io("write", &settings))?;
        let process = serve(program, &directory)?;
        // Whoever runs the binary has set it already; a library's test has not.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // No proxy is between us and loopback; no connection is kept for a runtime that may be another's.
        let client = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| failed("make a client", &error))?;
        let nobody = Member { login: ADMINISTRATOR.into(), token: String::new() };
        let program = program.to_owned();
        let mut gitea = Gitea { process, _sweeper: sweeper, program, directory, ports, client, administrator: nobody };
        gitea.answers().await?;
        gitea.administrator.token = administrator(&gitea.program, &gitea.directory).await?;
        gitea.knows_its_administrator().await?;
        Ok(gitea)
    }

    /// Ends it, as in an outage: connections are refused. What it knows stays.
    ///
    /// # Errors
    /// [`Error::Io`] when the system cannot say whether it has ended.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.process.stop(ENDS_WITHIN).map(drop)
    }

    /// Starts it again after [`Gitea::stop`], at the same address, and waits until it answers.
    ///
    /// # Errors
    /// As [`Gitea::start`].
    pub async fn start_again(&mut self) -> Result<(), Error> {
        self.process = serve(&self.program, &self.directory)?;
        self.answers().await
    }

    /// What another process has written into its database it may not have seen yet.
    async fn knows_its_administrator(&mut self) -> Result<(), Error> {
        let (client, url) = (self.client.clone(), format!("{}/api/v1/user", self.url()));
        let token = format!("token {}", self.administrator.token);
        let servers = &mut [&mut self.process];
        let known = eventually("Gitea knows its administrator", servers, async || {
            let asked = client.get(&url).header("authorization", &token).send().await;
            asked.and_then(reqwest::Response::error_for_status).ok()
        });
        known.await.map(drop)
    }

    async fn answers(&mut self) -> Result<(), Error> {
        let port = self.ports.numbers[0];
        let servers = &mut [&mut self.process];
        eventually("Gitea answers", servers, async || probe::get(port, "/api/healthz").await).await.map(drop)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.numbers[0])
    }

    /// Who may do everything.
    pub fn administrator(&self) -> &Member {
        &self.administrator
    }

    /// Its output.
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// Where a repository lies on disk.
    pub fn repository(&self, owner: &str, name: &str) -> PathBuf {
        self.directory.join("data/gitea-repositories").join(owner).join(format!("{name}.git"))
    }

    /// Where git finds a repository, with an account's token in it.
    pub fn clone_url(&self, member: &Member, repository: &str) -> String {
        let (login, token, port) = (&member.login, &member.token, self.ports.numbers[0]);
        format!("http://{login}:{token}@127.0.0.1:{port}/{repository}.git")
    }

    /// Makes an account with a token that has these scopes: `write:issue`, `write:repository`, `read:user`.
    ///
    /// # Errors
    /// [`Error::Forge`], such as that there is one of that name.
    pub async fn add_member(&self, login: &str, scopes: &[&str]) -> Result<Member, Error> {
        let password = random_token()?;
        let user = json!({
            "username": login, "email": format!("{login}@example.com"), "password": password, "must_change_password": false,
        });
        self.ask(&self.administrator, Method::POST, "admin/users", Some(user)).await?;
        let wanted = json!({"name": "tests", "scopes": scopes});
        let url = format!("{}/api/v1/users/{login}/tokens", self.url());
        let request = self.client.post(url).basic_auth(login, Some(password)).json(&wanted);
        let token = answer("make a token", request).await?;
        let token = token["sha1"].as_str().unwrap_or_default().to_owned();
        Ok(Member { login: login.into(), token })
    }

    /// Gives an account a password for the forge's own pages.
    ///
    /// # Errors
    /// [`Error::Forge`], such as that it is too short.
    pub async fn set_password(&self, member: &Member, password: &str) -> Result<(), Error> {
        let wanted = json!({
            "login_name": member.login, "source_id": 0, "password": password, "must_change_password": false,
        });
        let path = format!("admin/users/{}", member.login);
        self.ask(&self.administrator, Method::PATCH, &path, Some(wanted)).await.map(drop)
    }

    /// Asks its API, as an account: path below `/api/v1/`, what is sent, what comes back.
    ///
    /// # Errors
    /// [`Error::Forge`] with what it says.
    pub async fn ask(&self, member: &Member, method: Method, path: &str, body: Option<Value>) -> Result<Value, Error> {
        let action = format!("{method} {path}");
        let url = format!("{}/api/v1/{path}", self.url());
        let mut request = self.client.request(method, url).header("authorization", format!("token {}", member.token));
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(&action, request).await
    }
}

/// Its settings, below its directory.
fn settings_file(directory: &Path) -> PathBuf {
    directory.join("app.ini")
}

fn config(directory: &Path) -> [String; 2] {
    ["--config".to_owned(), settings_file(directory).display().to_string()]
}

fn serve(program: &Path, directory: &Path) -> Result<Process, Error> {
    let flags = ["web".to_owned()].into_iter().chain(config(directory));
    Process::start("gitea", program, flags, &environment(directory), &directory.join("gitea.log"))
}

async fn answer(action: &str, request: reqwest::RequestBuilder) -> Result<Value, Error> {
    let response = request.send().await.map_err(|error| failed(action, &error))?;
    let status = response.status();
    let text = response.text().await.map_err(|error| failed(action, &error))?;
    if !status.is_success() {
        return Err(Error::Forge { action: action.into(), said: format!("{status}: {text}") });
    }
    // Many answers are empty.
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn failed(action: &str, error: &reqwest::Error) -> Error {
    Error::Forge { action: action.into(), said: error.to_string() }
}

/// The first account can only be made by the program itself. Returns its token.
async fn administrator(program: &Path, directory: &Path) -> Result<String, Error> {
    let email = format!("{ADMINISTRATOR}@example.com");
    let user = ["--username", ADMINISTRATOR];
    let create = ["create", "--admin", "--random-password", "--must-change-password=false", "--email", &email];
    let token = ["generate-access-token", "--token-name", "sandbox", "--scopes", "all", "--raw"];
    let mut said = String::new();
    for arguments in [&create[..], &token[..]] {
        let mut command = tokio::process::Command::new(program);
        command.args(config(directory)).args(["admin", "user"]).args(arguments).args(user);
        command.envs(environment(directory)).kill_on_drop(true);
        let output = command.output().await.map_err(Error::io("run", program))?;
        said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let _ = write!(said, "{}", String::from_utf8_lossy(&output.stderr));
            return Err(Error::Forge { action: format!("{} an administrator", arguments[0]), said });
        }
    }
    // It may print warnings around it.
    let is_token = |line: &&str| line.len() == 40 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    match said.lines().map(str::trim).find(is_token) {
        Some(token) => Ok(token.to_owned()),
        None => Err(Error::Forge { action: "make a token of the administrator".into(), said }),
    }
}

/// Neither files nor settings of the person's own are read.
fn environment(directory: &Path) -> Vec<(String, String)> {
    let home = directory.display().to_string();
    let mut environment: Vec<_> =
        ["HOME", "GITEA_WORK_DIR"].map(|name| (name.to_owned(), home.clone())).into_iter().collect();
    environment.extend(["NO_PROXY", "no_proxy"].map(|name| (name.to_owned(), "127.0.0.1".to_owned())));
    environment
}

/// What differs from the defaults: everything on loopback, in one directory, nothing asked from outside, and webhooks to
/// receivers on loopback. The secret of tokens is thirty-two bytes, as base64 for URLs has them.
fn settings_text(directory: &Path, beside: &Path, port: u16, secret: &str) -> String {
    let path = |name: &str| -> String { PathBuf::from(directory).join(name).display().to_string() };
    format!(
        "APP_NAME = sandbox
RUN_MODE = prod
WORK_PATH = {work}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
PROTOCOL = http
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
DOMAIN = 127.0.0.1
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {beside}
OFFLINE_MODE = true
LFS_START_SERVER = false
DISABLE_SSH = true
[database]
DB_TYPE = sqlite3
PATH = {database}
SQLITE_JOURNAL_MODE = WAL
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2_v1
SECRET_KEY = {secret}
[service]
DISABLE_REGISTRATION = true
[webhook]
ALLOWED_HOST_LIST = loopback,private
DELIVER_TIMEOUT = 5
[queue]
TYPE = level
DATADIR = {queues}
[actions]
ENABLED = false
[packages]
ENABLED = false
[indexer]
ISSUE_INDEXER_TYPE = db
[cron]
ENABLED = false
[update_checker]
ENABLED = false
[log]
MODE = console
LEVEL = Info
[oauth2]
ENABLED = false
JWT_SECRET = {secret:A<43}
",
        work = path(""),
        beside = beside.display(),
        database = path("gitea.db"),
        queues = path("queues"),
    )
}
