//! [`Webhook`]: an admission webhook that is asked for objects of one name, and says what it is told to say.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::authority::Authority;
use super::{Namespace, SOON, eventually, random_suffix};

/// What a webhook answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has nothing against the object.
    Allow,
    /// It refuses the object, with this sentence.
    Refuse(&'static str),
}

/// An admission webhook behind TLS, known to the API server until [`Webhook::end`].
pub struct Webhook<'a> {
    /// How the API server calls it.
    pub name: String,
    configuration: String,
    namespace: &'a Namespace<'a>,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    verdict: Mutex<Verdict>,
    asked: Mutex<usize>,
}

impl Drop for Webhook<'_> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<'a> Webhook<'a> {
    /// Starts one that must be asked for the ConfigMaps `guarded` in this namespace, and waits until it is. `kind` is
    /// the kind of its configuration.
    pub async fn start(namespace: &'a Namespace<'a>, kind: &str) -> Webhook<'a> {
        // Fails when another test of this binary has done it before.
        let _done_before = rustls::crypto::ring::default_provider().install_default();
        let authority = Authority::new();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server("127.0.0.1", 2100)));
        let shared = Arc::new(Shared { verdict: Mutex::new(Verdict::Allow), asked: Mutex::default() });
        let (address, task) = serve(SocketAddr::from(([127, 0, 0, 1], 0)), acceptor.clone(), shared.clone());
        let configuration = format!("guard-{}", random_suffix());
        let name = format!("{configuration}.example.com");
        let manifest = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": configuration},
            "webhooks": [{
                "name": name, "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 2,
                "clientConfig": {
                    "url": format!("https://{address}/admit"),
                    "caBundle": base64::engine::general_purpose::STANDARD.encode(authority.pem()),
                },
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name()}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}],
                "matchConditions": [{"name": "guarded", "expression": "object.metadata.name == 'guarded'"}],
            }],
        });
        namespace.cluster().apply(&manifest.to_string(), [""; 0]).await;
        let webhook = Webhook {
            name,
            configuration: format!("{kind}/{configuration}"),
            namespace,
            address,
            acceptor,
            shared,
            task,
        };
        eventually("the webhook is asked", SOON, async || {
            let created = namespace.kubectl(["create", "configmap", "guarded", "--dry-run=server"]).await;
            let asked = *webhook.shared.asked.lock().unwrap();
            if asked > 0 { Ok(()) } else { Err(format!("{created:?}")) }
        })
        .await;
        webhook
    }

    /// What it says from now on.
    pub fn says(&self, verdict: Verdict) {
        *self.shared.verdict.lock().unwrap() = verdict;
    }

    /// Nobody listens at its address any more.
    pub async fn go_away(&mut self) {
        self.task.abort();
        let _aborted = (&mut self.task).await;
    }

    /// It is there again.
    pub fn come_back(&mut self) {
        (_, self.task) = serve(self.address, self.acceptor.clone(), self.shared.clone());
    }

    /// The API server forgets it.
    pub async fn end(self) {
        let deleted = self.namespace.cluster().kubectl(["delete", &self.configuration]).await;
        deleted.unwrap();
    }
}

fn serve(address: SocketAddr, acceptor: TlsAcceptor, shared: Arc<Shared>) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let socket = TcpSocket::new_v4().unwrap();
    // Connections of an earlier life may linger at this port.
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(16).unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        // They end with the task.
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(converse(stream, acceptor.clone(), shared.clone()));
        }
    });
    (address, task)
}

async fn converse(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let handler = hyper::service::service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    let _broken = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), handler).await;
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap();
    *shared.asked.lock().unwrap() += 1;
    let verdict = shared.verdict.lock().unwrap().clone();
    let mut response = json!({"uid": review["request"]["uid"], "allowed": verdict == Verdict::Allow});
    if let Verdict::Refuse(sentence) = verdict {
        response["status"] = json!({"message": sentence});
    }
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    Response::builder().header("content-type", "application/json").body(Full::from(review.to_string())).unwrap()
}
