//! [`Proxy`]: a way to the API server that misbehaves when it is told to, and counts what goes through it.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use tempfile::TempDir;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use super::authority::Authority;
use super::{Cluster, SOON};

/// Speaks plain HTTP on loopback, and passes on to the API server in the name of the administrator.
pub struct Proxy {
    folder: TempDir,
    url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

/// What is answered in place of the API server.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub code: u16,
    /// Seconds, as the header `Retry-After`.
    pub retry_after: Option<u64>,
    /// Kubernetes' word for it.
    pub reason: &'static str,
    /// Its sentence.
    pub message: &'static str,
}

/// A request that came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub uri: String,
}

/// A request that waits at the proxy.
#[derive(Clone, Debug, Default)]
pub struct Held {
    arrived: Arc<Notify>,
    released: Arc<Notify>,
}

impl Held {
    /// Waits until the request is there.
    pub async fn arrived(&self) {
        let arrived = tokio::time::timeout(SOON, self.arrived.notified()).await;
        arrived.expect("the request that is to be held is made");
    }

    /// Lets it go on to the API server.
    pub fn release(self) {
        self.released.notify_one();
    }
}

struct Shared {
    client: kube::Client,
    gone: watch::Sender<bool>,
    turned_away: AtomicUsize,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
}

struct Rule {
    method: Method,
    path: String,
    times: usize,
    then: Then,
}

impl Rule {
    fn fits(&self, method: &Method, uri: &str) -> bool {
        let is_passed_over = matches!(self.then, Then::Hold(_)) && uri.contains("dryRun=");
        self.times > 0 && self.method == *method && uri.contains(&self.path) && !is_passed_over
    }
}

#[derive(Clone)]
enum Then {
    Answer(Answer),
    Hold(Held),
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Starts one in front of this cluster.
    pub async fn start(cluster: &Cluster) -> Proxy {
        let kubeconfig = kube::config::Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
        config.default_retry = false;
        let client = kube::Client::try_from(config).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "apiVersion: v1
kind: Config
clusters: [{{name: proxy, cluster: {{server: '{url}'}}}}]
users: [{{name: nobody, user: {{}}}}]
contexts: [{{name: proxy, context: {{cluster: proxy, user: nobody}}}}]
current-context: proxy
"
        );
        std::fs::write(folder.path().join("kubeconfig"), text).unwrap();
        let shared = Arc::new(Shared {
            client,
            gone: watch::Sender::new(false),
            turned_away: AtomicUsize::new(0),
            rules: Mutex::default(),
            seen: Mutex::default(),
        });
        let task = tokio::spawn(serve(listener, shared.clone()));
        Proxy { folder, url, shared, task }
    }

    /// The same behind TLS: where it listens, and who vouches for it, in PEM.
    pub async fn behind_tls(&self) -> (String, String) {
        let _done_before = rustls::crypto::ring::default_provider().install_default();
        let authority = Authority::new();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server("127.0.0.1", 2100)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let plain = self.url.strip_prefix("http://").unwrap().to_owned();
        // It ends with the test's runtime.
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, plain) = (acceptor.clone(), plain.clone());
                tokio::spawn(async move {
                    let Ok(mut outer) = acceptor.accept(stream).await else { return };
                    let Ok(mut inner) = tokio::net::TcpStream::connect(plain).await else { return };
                    let _ended = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
                });
            }
        });
        (url, authority.pem())
    }

    /// Leads through the proxy.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Breaks all connections and takes no new ones, until it is told otherwise.
    pub fn set_gone(&self, gone: bool) {
        self.shared.gone.send_replace(gone);
    }

    /// How often somebody has come while it was gone, since the last call.
    pub fn turned_away(&self) -> usize {
        self.shared.turned_away.swap(0, Ordering::Relaxed)
    }

    /// Answers the next requests with this method and this text in path or query.
    pub fn answer(&self, method: Method, path: &str, times: usize, answer: Answer) {
        self.on(method, path, times, Then::Answer(answer));
    }

    /// Holds the next request with this method and this text in path or query that is no dry run.
    pub fn hold(&self, method: Method, path: &str) -> Held {
        let held = Held::default();
        self.on(method, path, 1, Then::Hold(held.clone()));
        held
    }

    fn on(&self, method: Method, path: &str, times: usize, then: Then) {
        self.shared.rules.lock().unwrap().push(Rule { method, path: path.into(), times, then });
    }

    /// Lets everything through again; how many answers of rules are left over.
    pub fn forget_rules(&self) -> usize {
        std::mem::take(&mut *self.shared.rules.lock().unwrap()).iter().map(|rule| rule.times).sum()
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }
}

async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, mut gone) = (shared.clone(), shared.gone.subscribe());
        if *gone.borrow() {
            shared.turned_away.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        connections.spawn(async move {
            let handler = hyper::service::service_fn(|request| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(pass_on(&shared, request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), handler);
            tokio::select! {
                _ = connection => {}
                _ = gone.wait_for(|gone| *gone) => {}
            }
        });
    }
}

async fn pass_on(shared: &Shared, request: Request<Incoming>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let uri = parts.uri.to_string();
    shared.seen.lock().unwrap().push(Seen { method: parts.method.clone(), uri: uri.clone() });
    let then = {
        let mut rules = shared.rules.lock().unwrap();
        let rule = rules.iter_mut().find(|rule| rule.fits(&parts.method, &uri));
        rule.map(|rule| {
            rule.times -= 1;
            rule.then.clone()
        })
    };
    match then {
        Some(Then::Answer(answer)) => return status(&answer),
        Some(Then::Hold(held)) => {
            held.arrived.notify_one();
            held.released.notified().await;
        }
        None => {}
    }
    let Ok(body) = body.collect().await else { return Response::new(Body::empty()) };
    parts.headers.remove(http::header::HOST);
    let mut passed = Request::builder().method(parts.method).uri(&uri);
    if let Some(headers) = passed.headers_mut() {
        *headers = parts.headers;
    }
    let passed = passed.body(Body::from(body.to_bytes())).unwrap();
    match shared.client.send(passed).await {
        Ok(response) => response,
        Err(error) => status(&Answer {
            code: 503,
            retry_after: None,
            reason: "ServiceUnavailable",
            message: Box::leak(error.to_string().into_boxed_str()),
        }),
    }
}

fn status(answer: &Answer) -> Response<Body> {
    let Answer { code, retry_after, reason, message } = answer;
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message,
    });
    let mut response = Response::builder().status(StatusCode::from_u16(*code).unwrap());
    response = response.header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", *seconds);
    }
    response.body(Body::from(body.to_string().into_bytes())).unwrap()
}
