//! A git server for tests: `git http-backend` behind HTTP, which can be told to misbehave.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// What the server does instead of its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    LoginPage,
    EmptyAnswer,
    EmptyAdvertisement,
    CutPack,
    CutRefs,
    Status(u16, Option<u32>),
    RedirectTo(String),
    /// Repositories below `/old/` are now at the root.
    Moved,
    /// Forgets that it speaks version 2.
    Version0,
}

#[derive(Default)]
struct Shared {
    root: PathBuf,
    fault: Mutex<Option<Fault>>,
    authorization: Mutex<Option<String>>,
    seen: Mutex<Vec<Seen>>,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) command: Option<String>,
    pub(crate) authorization: Option<String>,
}

pub(crate) struct GitServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

pub(crate) struct Tls {
    pub(crate) port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl GitServer {
    pub(crate) async fn start(root: &Path) -> Self {
        let shared = Arc::new(Shared { root: root.to_owned(), ..Shared::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        GitServer { address, shared, task }
    }

    pub(crate) fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        *self.shared.fault.lock().unwrap() = fault;
    }

    pub(crate) fn require(&self, authorization: &str) {
        *self.shared.authorization.lock().unwrap() = Some(authorization.into());
    }

    /// The same behind TLS with this certificate; which clients it wants to see is for `config` to say.
    pub(crate) async fn behind_tls(&self, config: rustls::ServerConfig) -> Tls {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let plain = self.address;
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let mut inside = tokio::net::TcpStream::connect(plain).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Tls { port, task }
    }

    /// All requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let text = String::from_utf8_lossy(&body);
    let command = text.split("command=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let command = command.or((parts.method == Method::POST).then_some("version-0-fetch")).map(str::to_owned);
    let is_fetch = matches!(command.as_deref(), Some("fetch" | "version-0-fetch"));
    let authorization = header("authorization");
    shared.seen.lock().unwrap().push(Seen {
        path: parts.uri.path().into(),
        command: command.clone(),
        authorization: authorization.clone(),
    });
    let page = |status: u16, kind: &str, body: &'static str| {
        Response::builder().status(status).header("content-type", kind).body(Body::from(body)).unwrap()
    };
    let required = shared.authorization.lock().unwrap().clone();
    if required.is_some() && required != authorization {
        return page(401, "text/plain", "who are you?");
    }
    let fault = shared.fault.lock().unwrap().clone();
    match &fault {
        Some(Fault::LoginPage) => return page(200, "text/html; charset=utf-8", "<html>Please sign in</html>"),
        Some(Fault::EmptyAnswer) => return page(200, content_type(&parts.method), ""),
        Some(Fault::EmptyAdvertisement) => {
            let body = "001e# service=git-upload-pack\n00000000";
            return page(200, content_type(&parts.method), if parts.method == Method::GET { body } else { "0000" });
        }
        Some(Fault::Status(status, retry_after)) => {
            let mut response = page(*status, "text/plain", "no");
            if let Some(seconds) = retry_after {
                response.headers_mut().insert("retry-after", (*seconds).into());
            }
            return response;
        }
        Some(Fault::RedirectTo(base)) => {
            let to = format!("{base}{}", parts.uri.path_and_query().unwrap());
            return Response::builder().status(302).header("location", to).body(Body::empty()).unwrap();
        }
        Some(Fault::Moved) if parts.uri.path().starts_with("/old/") => {
            let to = parts.uri.path_and_query().unwrap().as_str().trim_start_matches("/old").to_owned();
            return Response::builder().status(301).header("location", to).body(Body::empty()).unwrap();
        }
        _ => {}
    }
    let protocol = header("git-protocol").filter(|_| fault != Some(Fault::Version0));
    let (status, headers, mut content) = cgi(&shared.root, &parts, protocol, body).await;
    let cuts = match fault {
        Some(Fault::CutPack) => is_fetch,
        Some(Fault::CutRefs) => command.as_deref() == Some("ls-refs"),
        _ => false,
    };
    if cuts {
        content.truncate(content.len() * 2 / 3);
    }
    let mut response = Response::new(Body::from(content));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().remove("content-length");
    response
}

fn content_type(method: &Method) -> &'static str {
    match *method {
        Method::GET => "application/x-git-upload-pack-advertisement",
        _ => "application/x-git-upload-pack-result",
    }
}

async fn cgi(
    root: &Path,
    parts: &axum::http::request::Parts,
    protocol: Option<String>,
    body: Bytes,
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", parts.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Some(protocol) = protocol {
        command.env("GIT_PROTOCOL", protocol);
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let write = async move { drop(stdin.write_all(&body).await) };
    let (output, ()) = tokio::join!(child.wait_with_output(), write);
    let output = output.unwrap().stdout;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(0);
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        match name {
            "Status" => status = value.split(' ').next().unwrap().parse().unwrap(),
            name => drop(headers.insert(axum::http::HeaderName::try_from(name).unwrap(), value.parse().unwrap())),
        }
    }
    (status, headers, output[(end + 4).min(output.len())..].to_vec())
}
