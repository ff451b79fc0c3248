//! [`Played`]: a forge that is a script on loopback, for tests.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::budget::Backoff;
use super::http::Timing;
use super::{Access, App, Credential, Forge, Kind, Repository};
use crate::git::RepoUrl;

/// A forge that answers as it is told, and remembers what it was asked.
pub(crate) struct Played {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Played {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Played {
    pub(crate) async fn start(script: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Played {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, script): (Arc<Mutex<Vec<String>>>, Arc<Script>) = (Arc::default(), Arc::new(script));
        let heard = seen.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, script.clone(), heard.clone()));
            }
        });
        Played { url, seen, task }
    }

    pub(crate) fn repository(&self, kind: Kind, access: &Access) -> Repository {
        let forge = Arc::new(Forge::with_timing(kind, &self.url, access, HURRY).unwrap());
        let scm = if kind == Kind::BitbucketServer { "scm/PLAT" } else { "platform" };
        forge.repository(&RepoUrl::parse(&format!("{}/{scm}/shop.git", self.url)).unwrap()).unwrap()
    }

    /// The first lines of all requests.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }
}

/// What the script answers to a request: its first line, and its body.
type Script = dyn Fn(&str, &str) -> Reply + Send + Sync;

pub(crate) enum Reply {
    /// Status, headers, body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// The request was heard, and the connection ends.
    HangUp,
}

pub(crate) fn say(status: u16, body: &str) -> Reply {
    Reply::Say(status, vec![], body.into())
}

pub(crate) fn with(status: u16, headers: &[(&'static str, &str)], body: &str) -> Reply {
    Reply::Say(status, headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), body.into())
}

/// A test does not wait as a forge has to be waited for.
pub(super) const HURRY: Timing = Timing {
    patience: Duration::from_millis(2500),
    backoff: Backoff { first: Duration::from_millis(5), longest: Duration::from_millis(40) },
    request: Duration::from_secs(10),
    between_writes: Duration::from_millis(50),
    merge: Duration::from_secs(3),
    merge_poll: Duration::from_millis(5),
};

async fn converse(mut stream: TcpStream, script: Arc<Script>, seen: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
                seen.lock().push(line.clone());
                // The header that says who asks is part of what a script may look at.
                let signed = head.lines().filter(|line| !line.starts_with("user-agent")).collect::<Vec<_>>().join("\n");
                match script(&line, &format!("{signed}\n\n{body}")) {
                    Reply::HangUp => return,
                    Reply::Say(status, headers, body) => {
                        let mut answer = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
                        let kind = if body.starts_with('<') { "text/html" } else { "application/json" };
                        answer += &format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len());
                        for (name, value) in headers {
                            answer += &format!("{name}: {value}\r\n");
                        }
                        let _ = stream.write_all(format!("{answer}\r\n{body}").as_bytes()).await;
                        let _ = stream.shutdown().await;
                        return;
                    }
                }
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
}

/// Answers one after the other, the last again and again.
pub(super) fn in_turn(replies: Vec<fn() -> Reply>) -> impl Fn(&str, &str) -> Reply + Send + Sync {
    let next = Mutex::new(0);
    move |_, _| {
        let mut next = next.lock();
        let reply = replies[(*next).min(replies.len() - 1)];
        *next += 1;
        reply()
    }
}

/// Who is a GitHub App. The key is that of a fixture, and nobody's.
pub(crate) fn app() -> Access {
    let account: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/fixtures/google/service-account.json")).unwrap();
    let app = App::new("7", None, account["private_key"].as_str().unwrap().as_bytes()).unwrap();
    Access { credential: Some(Credential::App(app)), ..Access::default() }
}

/// What GitHub answers to an App that signs in with its key; `token` is what it gets for it. `None`: something else is
/// asked, or without the key.
pub(crate) fn signs_in(line: &str, request: &str, token: &str) -> Option<Reply> {
    let header = request.lines().find(|line| line.starts_with("authorization: ")).unwrap_or_default();
    let is_signed = header.matches('.').count() == 2;
    match line.split_once("/api/v3/").filter(|_| is_signed)?.1 {
        "app/installations" => Some(say(200, r#"[{"id": 42}]"#)),
        "app/installations/42/access_tokens" => {
            let ends = Timestamp::now() + Duration::from_secs(3600);
            Some(say(201, &format!(r#"{{"token": "{token}", "expires_at": "{ends}"}}"#)))
        }
        "app" => Some(say(200, r#"{"slug": "leeboard"}"#)),
        _ => None,
    }
}

/// What GitHub says of the account of that App.
pub(crate) const BOT: &str = r#"{"id": 99, "login": "leeboard[bot]", "type": "Bot"}"#;
