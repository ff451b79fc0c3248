//! HTTP: webhooks, probes, metrics, pages.
//!
//! **In:** requests of strangers. **Out:** [`PushHint`]s and [`PullHint`]s into bounded channels; what probes and scrapers
//! read; pages to who has their link.
//! **May not:** act on anything but a hint, or let one request cost more than its limits: 1 MiB of body, 10 s for the
//! header, 30 s in all, [`MAX_CONNECTIONS`] at once.
//!
//! Read [`webhook`] for what a hint is, [`pages`] for who may read what, [`ui`] for how it looks.

pub mod pages;
pub mod ui;
pub mod webhook;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::telemetry::{METRICS_CONTENT_TYPE, Metrics};
use pages::Pages;
use webhook::{Deliveries, Received};
pub use webhook::{PullHint, PushHint, Secrets};

/// Connections that are served at once; further ones wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 512;
const MAX_BODY_BYTES: usize = 1 << 20;
/// What open requests get at shutdown; the daemon has 5 s in all.
const GRACE: Duration = Duration::from_secs(2);

/// All that requests share.
#[derive(Clone)]
pub struct State {
    /// What `/metrics` serves.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` answers.
    pub readiness: Arc<Readiness>,
    /// Replaced when the Secret that holds them changes.
    pub secrets: Arc<RwLock<Secrets>>,
    /// Where hints go. When it is full the sender is told to come again; polling finds the push anyway.
    pub hints: mpsc::Sender<PushHint>,
    /// Where hints on pull requests go, if anybody waits for them.
    pub pulls: Option<mpsc::Sender<PullHint>>,
    /// What people can read.
    pub pages: Arc<Pages>,
}

/// Whether the process does its work already, and what it waits for if not.
#[derive(Debug)]
pub struct Readiness(Mutex<Option<String>>);

impl Default for Readiness {
    fn default() -> Self {
        Readiness(Mutex::new(Some("starting".into())))
    }
}

impl Readiness {
    /// It does its work.
    pub fn ready(&self) {
        *self.0.lock() = None;
    }

    /// It waits for something, told in a few words.
    pub fn waits_for(&self, reason: impl Into<String>) {
        *self.0.lock() = Some(reason.into());
    }

    /// What it waits for; `None` when it is ready.
    pub fn reason(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// How long a sender may take.
#[derive(Clone, Copy)]
struct Patience {
    /// For the header, counted from the end of the request before.
    header: Duration,
    /// For the body and our answer.
    request: Duration,
}

const PATIENCE: Patience = Patience { header: Duration::from_secs(10), request: Duration::from_secs(30) };

/// Serves until `shutdown`, then lets open requests end.
///
/// # Errors
/// When the listener has no address: it is broken.
pub async fn serve(listener: TcpListener, state: State, shutdown: CancellationToken) -> io::Result<()> {
    serve_with(PATIENCE, listener, state, shutdown).await
}

async fn serve_with(
    patience: Patience,
    listener: TcpListener,
    state: State,
    shutdown: CancellationToken,
) -> io::Result<()> {
    info!(address = %listener.local_addr()?, "Listening");
    let router = router(state, patience);
    let connections = TaskTracker::new();
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let (stream, slot) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &free) => accepted,
        };
        let (router, shutdown) = (router.clone(), shutdown.clone());
        connections.spawn(async move {
            serve_connection(patience, stream, router, shutdown).await;
            drop(slot);
        });
    }
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        warn!(open = connections.len(), "Requests still open at shutdown");
    }
    Ok(())
}

async fn accept(listener: &TcpListener, free: &Arc<Semaphore>) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    loop {
        // The semaphore is never closed.
        let Ok(slot) = free.clone().acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) => {
                // Most likely no file descriptor is left: at once it would fail again.
                warn!(%error, "Cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(patience: Patience, stream: TcpStream, router: Router, shutdown: CancellationToken) {
    let service = TowerToHyperService::new(router);
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(patience.header);
    let mut connection = std::pin::pin!(protocol.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "Connection ended");
    }
}

fn router(state: State, patience: Patience) -> Router {
    let deliveries = Arc::new(Mutex::new(Deliveries::default()));
    let receive = move |state: Shared<State>, headers: HeaderMap, body: Bytes| async move {
        receive_webhook(&state, &deliveries, &headers, &body)
    };
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/webhook", post(receive))
        .route("/preview/{name}", get(page))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(move |request, next| within(patience.request, request, next)))
        .with_state(state)
}

async fn within(patience: Duration, request: Request, next: Next) -> Response {
    let late = || (StatusCode::REQUEST_TIMEOUT, "the request took too long\n").into_response();
    tokio::time::timeout(patience, next.run(request)).await.unwrap_or_else(|_| late())
}

async fn readyz(Shared(state): Shared<State>) -> Response {
    match state.readiness.reason() {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn page(Shared(state): Shared<State>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    state.pages.answer(&name, &headers)
}

async fn metrics(Shared(state): Shared<State>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], state.metrics.to_text()).into_response()
}

fn receive_webhook(state: &State, deliveries: &Mutex<Deliveries>, headers: &HeaderMap, body: &[u8]) -> Response {
    let received = webhook::receive(headers, body, &state.secrets.read(), Timestamp::now());
    let provider = webhook::provider(headers);
    let delivery = provider.and_then(|provider| Some((provider, webhook::delivery(provider, headers)?)));
    let provider = provider.map_or("unknown", webhook::Provider::as_str);
    let (status, result, sentence) = match received {
        Ok(received) if received.is_empty() => (StatusCode::OK, "ignored", "nothing for us, ignored".to_owned()),
        // Remembered only now: what is not signed cannot keep what is from being taken.
        Ok(_) if !delivery.is_none_or(|(provider, id)| deliveries.lock().is_new(provider, id, Instant::now())) => {
            (StatusCode::ACCEPTED, "repeated", "accepted before".to_owned())
        }
        Ok(received) => match send(state, received) {
            Ok(sent) => (StatusCode::ACCEPTED, "accepted", format!("accepted, {sent} changed")),
            Err(Busy) => {
                if let Some((provider, id)) = delivery {
                    deliveries.lock().forget(provider, id);
                }
                (StatusCode::SERVICE_UNAVAILABLE, "busy", "too many events wait, send it again".to_owned())
            }
        },
        Err(rejection) => (rejection.status(), rejection.as_str(), rejection.to_string()),
    };
    state.metrics.webhook(provider, result);
    debug!(provider, result, status = status.as_u16(), "Webhook");
    (status, format!("{sentence}\n")).into_response()
}

struct Busy;

fn send(state: &State, received: Received) -> Result<usize, Busy> {
    let pushes = into(&state.hints, received.pushes)?;
    match &state.pulls {
        Some(channel) => into(channel, received.pulls).map(|pulls| pushes + pulls),
        None => Ok(pushes),
    }
}

fn into<T>(channel: &mpsc::Sender<T>, hints: Vec<T>) -> Result<usize, Busy> {
    let count = hints.len();
    // All or none: a sender that is told to come again sends all of them.
    let places = channel.try_reserve_many(count).map_err(|_| Busy)?;
    places.zip(hints).for_each(|(place, hint)| place.send(hint));
    Ok(count)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinHandle;

    use super::*;

    struct Running {
        address: std::net::SocketAddr,
        state: State,
        hints: mpsc::Receiver<PushHint>,
        shutdown: CancellationToken,
        served: JoinHandle<io::Result<()>>,
    }

    async fn start() -> Running {
        let (sender, hints) = mpsc::channel(2);
        let state = State {
            metrics: Arc::default(),
            readiness: Arc::default(),
            secrets: Arc::default(),
            hints: sender,
            pulls: None,
            pages: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let patience = Patience { header: Duration::from_millis(200), request: Duration::from_millis(200) };
        let served = tokio::spawn(serve_with(patience, listener, state.clone(), shutdown.clone()));
        Running { address, state, hints, shutdown, served }
    }

    impl Running {
        /// Sends bytes as they are and reads until the server closes.
        async fn send(&self, bytes: &[u8]) -> String {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            // A server that has enough of a body may close before it is all sent.
            let _ = stream.write_all(bytes).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        }

        async fn get(&self, path: &str) -> String {
            self.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await
        }

        async fn push(&self, body: &[u8]) -> String {
            let length = body.len();
            let head = format!(
                "POST /api/webhook HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-github-event: push\r\n\
                 content-length: {length}\r\n\r\n"
            );
            self.send(&[head.as_bytes(), body].concat()).await
        }
    }

    fn status(answer: &str) -> &str {
        answer.split(' ').nth(1).unwrap_or("none")
    }

    fn github_push() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/webhook/github-push.json")).unwrap()
    }

    #[tokio::test]
    async fn probes_and_metrics_answer() {
        let server = start().await;
        assert_eq!(status(&server.get("/healthz").await), "200");
        let waiting = server.get("/readyz").await;
        assert!(status(&waiting) == "503" && waiting.ends_with("starting\n"), "{waiting}");
        server.state.readiness.waits_for("the API server does not answer");
        assert!(server.get("/readyz").await.ends_with("the API server does not answer\n"));
        server.state.readiness.ready();
        assert_eq!(status(&server.get("/readyz").await), "200");
        server.state.metrics.render_reused();
        assert!(server.get("/metrics").await.contains("leeboard_renders_reused_total 1\n"));
        assert_eq!(status(&server.get("/api/webhook").await), "405");
        assert_eq!(status(&server.get("/other").await), "404");
    }

    #[tokio::test]
    async fn a_push_becomes_a_hint_until_the_channel_is_full() {
        let mut server = start().await;
        for expected in ["202", "202", "503"] {
            assert_eq!(status(&server.push(&github_push()).await), expected);
        }
        let hint = server.hints.recv().await.unwrap();
        assert!(hint.concerns(&"https://github.com/platform/shop".parse().unwrap()));
        let metrics = server.get("/metrics").await;
        let line = r#"leeboard_webhooks_total{provider="github",result="accepted"} 2"#;
        assert!(metrics.contains(line), "{metrics}");
    }

    #[tokio::test]
    async fn an_event_that_is_sent_twice_is_taken_once() {
        let mut server = start().await;
        let body = github_push();
        let again = async |delivery: &str| {
            let length = body.len();
            let head = format!(
                "POST /api/webhook HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-github-event: push\r\n\
                 x-github-delivery: {delivery}\r\ncontent-length: {length}\r\n\r\n"
            );
            let answer = server.send(&[head.as_bytes(), &body].concat()).await;
            (status(&answer).to_owned(), answer.contains("accepted before"))
        };
        let accepted = |before| ("202".to_owned(), before);
        assert_eq!(again("one").await, accepted(false));
        assert_eq!(again("one").await, accepted(true));
        assert_eq!(again("two").await, accepted(false));
        // The channel is full: it is not remembered, and taken when it comes again.
        assert_eq!(again("three").await, ("503".to_owned(), false));
        server.hints.try_recv().unwrap();
        server.hints.try_recv().unwrap();
        server.hints.try_recv().unwrap_err();
    }

    #[tokio::test]
    async fn an_event_that_could_not_be_taken_is_new_when_it_comes_again() {
        let server = start().await;
        let mut deliveries = Mutex::new(Deliveries::default());
        let headers = HeaderMap::from_iter([
            ("x-github-event".parse().unwrap(), "push".parse().unwrap()),
            ("x-github-delivery".parse().unwrap(), "one".parse().unwrap()),
        ]);
        let Running { state, mut hints, .. } = server;
        let full = [(); 2].map(|()| state.hints.clone().try_reserve_owned().unwrap());
        let status = |deliveries: &Mutex<Deliveries>| {
            receive_webhook(&state, deliveries, &headers, &github_push()).status().as_u16()
        };
        assert_eq!(status(&deliveries), 503);
        drop(full);
        assert_eq!(status(&deliveries), 202);
        assert!(!deliveries.get_mut().is_new(webhook::Provider::GitHub, "one", Instant::now()));
        hints.try_recv().unwrap();
    }

    #[tokio::test]
    async fn secrets_can_be_replaced_while_it_runs() {
        let server = start().await;
        *server.state.secrets.write() = Secrets { github: Some(webhook::Secret::new(b"x")), ..Secrets::default() };
        assert_eq!(status(&server.push(&github_push()).await), "401");
        *server.state.secrets.write() = Secrets::default();
        assert_eq!(status(&server.push(&github_push()).await), "202");
    }

    #[tokio::test]
    async fn bad_requests_cost_little() {
        let server = start().await;
        let not_json = server.push(b"<html>").await;
        assert!(status(&not_json) == "400" && not_json.contains("the body is no push event"), "{not_json}");
        assert_eq!(status(&server.push(&vec![b' '; MAX_BODY_BYTES + 1]).await), "413");
        let slow_body = b"POST /api/webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
        assert_eq!(status(&server.send(slow_body).await), "408");
        // The header never ends: the connection is closed without an answer to what was never asked.
        let slow_header = server.send(b"GET / HTTP/1.1\r\nhost: x\r\n").await;
        assert!(["none", "408"].contains(&status(&slow_header)), "{slow_header}");
    }

    #[tokio::test]
    async fn it_ends_when_told_also_with_a_connection_open() {
        let server = start().await;
        let _idle = TcpStream::connect(server.address).await.unwrap();
        server.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(5), server.served).await.unwrap().unwrap().unwrap();
    }
}
