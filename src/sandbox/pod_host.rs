//! [`PodHost`]: answers in the name of pods that kwok plays, so that a real router has real backends.
//!
//! kwok gives pods addresses that lead nowhere, and whoever runs a test may not change that. So routers are told, by
//! `HTTP_PROXY`, to go through a SOCKS proxy ([RFC 1928]), which is this: a connection to a pod's address is answered here,
//! as the pod would. To an address that no ready pod has it is refused, as in life; a router may hear of a pod before we do,
//! and addresses are given again, so the API server is asked first. Endpoints, routes and weights are the router's own
//! affair.
//!
//! A pod that is being deleted goes on for as long as its first container's `preStop` sleeps; then it ends the requests that
//! it has, and takes no more. Annotations of its template say what is wrong with it:
//!
//! - `leeboard.test/error-rate: "0.3"`: so many of its answers are 500;
//! - `leeboard.test/latency: 50ms`: it takes so long for each.
//!
//! [RFC 1928]: https://www.rfc-editor.org/rfc/rfc1928

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::control_plane::ControlPlane;
use super::error::Error;

/// Of the annotations.
const ERROR_RATE: &str = "leeboard.test/error-rate";
const LATENCY: &str = "leeboard.test/latency";
/// In an answer: the tag of the pod's image.
pub(super) const VERSION: &str = "x-version";

/// After a watch has broken.
const PAUSE: Duration = Duration::from_millis(200);

/// What pods of one version have answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All answers.
    pub answered: u64,
    /// Those that were 500.
    pub failed: u64,
}

/// See the module. It ends when it is dropped.
#[derive(Debug)]
pub struct PodHost {
    address: SocketAddr,
    pods: Arc<Pods>,
    _tasks: JoinSet<()>,
}

impl PodHost {
    /// Answers for all pods of a control plane.
    ///
    /// # Errors
    /// [`Error::Kubeconfig`], [`Error::Api`], or [`Error::Io`] when it cannot listen.
    pub async fn start(control_plane: &ControlPlane) -> Result<PodHost, Error> {
        let client = control_plane.client().await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(Error::io("listen on", Path::new("127.0.0.1")))?;
        let address = listener.local_addr().map_err(Error::io("listen on", Path::new("127.0.0.1")))?;
        let pods = Arc::new(Pods::of(Api::all(client)));
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(pods.clone()));
        tasks.spawn(serve(listener, pods.clone()));
        Ok(PodHost { address, pods, _tasks: tasks })
    }

    /// Leads a program's requests for pods here, and no others: the variables for its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let proxy = format!("socks5://{}", self.address);
        // In both cases: a program takes the first that is there, and the person may have some of their own.
        let variables = [
            ("HTTP_PROXY", proxy.as_str()),
            ("http_proxy", proxy.as_str()),
            ("NO_PROXY", "127.0.0.1"),
            ("no_proxy", "127.0.0.1"),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// What pods of a namespace have answered, by the tag of their image.
    pub fn tally(&self, namespace: &str) -> BTreeMap<String, Tally> {
        let tallies = self.pods.tallies.lock();
        let own = tallies.iter().filter(|((of, _), _)| of == namespace);
        own.map(|((_, version), tally)| (version.clone(), *tally)).collect()
    }

    /// Connections that were refused since then, a line each.
    pub fn refused(&self, since: Instant) -> Vec<String> {
        let refusals = self.pods.refusals.lock();
        let late = refusals.iter().filter(|refusal| refusal.at >= since);
        late.map(|refusal| format!("after {:.3?}: {}", refusal.at.duration_since(since), refusal.why)).collect()
    }
}

/// All that are there.
#[derive(Debug)]
struct Pods {
    api: Api<core::Pod>,
    by_address: Mutex<BTreeMap<IpAddr, Arc<Pod>>>,
    /// Who was the last to leave an address, and when.
    left: Mutex<BTreeMap<IpAddr, (String, Instant)>>,
    refusals: Mutex<Vec<Refusal>>,
    /// By namespace and version.
    tallies: Mutex<BTreeMap<(String, String), Tally>>,
}

/// A connection that led to no pod.
#[derive(Debug)]
struct Refusal {
    at: Instant,
    why: String,
}

/// A ready pod.
#[derive(Debug)]
struct Pod {
    uid: String,
    namespace: String,
    name: String,
    version: String,
    ports: BTreeSet<u16>,
    error_rate: f64,
    latency: Duration,
    linger: Duration,
    asked: AtomicU64,
    stage: watch::Sender<Stage>,
}

/// Of a pod's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// It is being deleted, and serves on for a while.
    Leaving,
    Gone,
}

impl Pod {
    /// One that answers, and where; `None` when it does not, or no more.
    fn of(pod: &core::Pod) -> Option<(IpAddr, Pod)> {
        let (status, spec) = (pod.status.as_ref()?, pod.spec.as_ref()?);
        let mut conditions = status.conditions.iter().flatten();
        let is_ready = conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True");
        if !is_ready || pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let container = spec.containers.first()?;
        let image = container.image.as_deref().unwrap_or_default();
        let annotation = |name: &str| pod.metadata.annotations.as_ref()?.get(name);
        let sleep = container.lifecycle.as_ref().and_then(|it| it.pre_stop.as_ref()?.sleep.as_ref());
        let ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
        let made = Pod {
            uid: pod.metadata.uid.clone()?,
            namespace: pod.metadata.namespace.clone()?,
            name: pod.metadata.name.clone()?,
            version: tag(image).to_owned(),
            ports: ports.filter_map(|port| u16::try_from(port.container_port).ok()).collect(),
            error_rate: annotation(ERROR_RATE).and_then(|text| text.parse().ok()).unwrap_or(0.0),
            latency: annotation(LATENCY).and_then(|text| milliseconds(text)).unwrap_or_default(),
            linger: Duration::from_secs(sleep.map_or(0, |sleep| sleep.seconds.try_into().unwrap_or(0))),
            asked: AtomicU64::new(0),
            stage: watch::Sender::new(Stage::Serving),
        };
        Some((status.pod_ip.as_deref()?.parse().ok()?, made))
    }

    /// Whether the next answer is a bad one: evenly among the good ones.
    fn fails(&self) -> bool {
        let before = self.asked.fetch_add(1, Ordering::Relaxed) as f64;
        ((before + 1.0) * self.error_rate).floor() > (before * self.error_rate).floor()
    }
}

/// The tag of an image, which may have a digest behind it.
fn tag(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    name.rsplit_once(':').map_or("latest", |(_, tag)| tag)
}

/// `50ms`, `1s`.
fn milliseconds(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(number) => number.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

impl Pods {
    fn of(api: Api<core::Pod>) -> Pods {
        Pods {
            api,
            by_address: Mutex::default(),
            left: Mutex::default(),
            refusals: Mutex::default(),
            tallies: Mutex::default(),
        }
    }

    fn is_now(self: &Arc<Self>, pod: &core::Pod) {
        match Pod::of(pod) {
            Some((address, made)) => {
                let mut pods = self.by_address.lock();
                if pods.get(&address).is_none_or(|known| known.uid != made.uid) {
                    // The last one that had the address is gone, whatever its `preStop` says.
                    if let Some(other) = pods.insert(address, Arc::new(made)) {
                        other.stage.send_replace(Stage::Gone);
                    }
                }
            }
            None => self.leaves(pod.metadata.uid.as_deref()),
        }
    }

    /// A pod has ended, or will.
    fn leaves(self: &Arc<Self>, uid: Option<&str>) {
        let found = {
            let pods = self.by_address.lock();
            pods.iter().find(|(_, pod)| Some(&*pod.uid) == uid).map(|(address, pod)| (*address, pod.clone()))
        };
        let Some((address, pod)) = found else { return };
        let was = pod.stage.send_replace(Stage::Leaving);
        if was == Stage::Serving {
            let pods = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(pod.linger).await;
                pods.by_address.lock().retain(|_, other| other.uid != pod.uid);
                pods.left.lock().insert(address, (format!("{}/{}", pod.namespace, pod.name), Instant::now()));
                pod.stage.send_replace(Stage::Gone);
            });
        }
    }

    /// These are all.
    fn are(self: &Arc<Self>, all: &[core::Pod]) {
        let known: Vec<String> = self.by_address.lock().values().map(|pod| pod.uid.clone()).collect();
        for uid in known {
            if !all.iter().any(|pod| pod.metadata.uid.as_ref() == Some(&uid)) {
                self.leaves(Some(&uid));
            }
        }
        all.iter().for_each(|pod| self.is_now(pod));
    }

    /// Who answers at an address.
    async fn at(&self, address: SocketAddr) -> Option<Arc<Pod>> {
        let known = self.known(address.ip());
        let found = match known {
            Some(pod) => Some(pod),
            None => self.asked(address.ip()).await,
        };
        let answers = found.as_ref().filter(|pod| pod.ports.contains(&address.port())).cloned();
        if answers.is_none() {
            let left = self.left.lock().get(&address.ip()).cloned();
            let left = left.map(|(name, at)| format!("{name} left {:.3?} ago", at.elapsed()));
            let why = match found {
                Some(pod) => format!("{}/{} has no port {}", pod.namespace, pod.name, address.port()),
                None => format!("{}: {}", address.ip(), left.unwrap_or_else(|| "no pod has it".to_owned())),
            };
            self.refusals.lock().push(Refusal { at: Instant::now(), why });
        }
        answers
    }

    fn known(&self, ip: IpAddr) -> Option<Arc<Pod>> {
        self.by_address.lock().get(&ip).cloned()
    }

    /// The watch may lag behind what the router has heard: the API server knows.
    async fn asked(&self, ip: IpAddr) -> Option<Arc<Pod>> {
        let list = self.api.list(&ListParams::default().fields(&format!("status.podIP={ip}"))).await.ok()?;
        // Who ends is among those that are known, or has left.
        let made = list.items.iter().find_map(Pod::of)?;
        let mut pods = self.by_address.lock();
        Some(pods.entry(ip).or_insert_with(|| Arc::new(made.1)).clone())
    }

    fn count(&self, pod: &Pod, fails: bool) {
        let mut tallies = self.tallies.lock();
        let tally = tallies.entry((pod.namespace.clone(), pod.version.clone())).or_default();
        tally.answered += 1;
        tally.failed += u64::from(fails);
    }
}

/// Lists, watches, and begins anew when the watch breaks.
async fn follow(pods: Arc<Pods>) {
    loop {
        // A broken watch shows in what does not come; there is nothing to do but to try again.
        let _broken = follow_once(&pods).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow_once(pods: &Arc<Pods>) -> Result<(), kube::Error> {
    let list = pods.api.list(&ListParams::default()).await?;
    let version = list.metadata.resource_version.unwrap_or_default();
    pods.are(&list.items);
    let mut events = std::pin::pin!(pods.api.watch(&WatchParams::default(), &version).await?);
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => pods.is_now(&pod),
            WatchEvent::Deleted(pod) => pods.leaves(pod.metadata.uid.as_deref()),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(_) => return Ok(()),
        }
    }
    Ok(())
}

async fn serve(listener: TcpListener, pods: Arc<Pods>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let pods = pods.clone();
        // Whoever hangs up knows it.
        connections.spawn(async move { drop(converse(stream, &pods).await) });
        while connections.try_join_next().is_some() {}
    }
}

/// One connection of a router to a pod.
async fn converse(mut stream: TcpStream, pods: &Arc<Pods>) -> std::io::Result<()> {
    const REFUSED: u8 = 5;
    stream.set_nodelay(true)?;
    let address = greet(&mut stream).await?;
    let pod = match address {
        Some(address) => pods.at(address).await,
        None => None,
    };
    // The address that we are bound to means nothing to anybody.
    let reply = |status| [5, status, 0, 1, 0, 0, 0, 0, 0, 0];
    let Some(pod) = pod else { return stream.write_all(&reply(REFUSED)).await };
    stream.write_all(&reply(0)).await?;
    let mut stage = pod.stage.subscribe();
    let handler = hyper::service::service_fn(|request| {
        let (pod, pods) = (pod.clone(), pods.clone());
        async move { Ok::<_, Infallible>(answer(&pod, &pods, request).await) }
    });
    let mut connection = std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), handler));
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(std::io::Error::other),
        _ = stage.wait_for(|stage| *stage == Stage::Gone) => connection.as_mut().graceful_shutdown(),
    }
    connection.await.map_err(std::io::Error::other)
}

/// What SOCKS says before a connection stands: where to. `None` for what only others than routers ask.
async fn greet(stream: &mut TcpStream) -> std::io::Result<Option<SocketAddr>> {
    const CONNECT: u8 = 1;
    let methods = {
        stream.read_u8().await?;
        stream.read_u8().await?
    };
    stream.read_exact(&mut vec![0; methods.into()]).await?;
    // No password.
    stream.write_all(&[5, 0]).await?;
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    let ip = match request[3] {
        1 => {
            let mut octets = [0; 4];
            stream.read_exact(&mut octets).await?;
            Some(IpAddr::from(Ipv4Addr::from(octets)))
        }
        3 => {
            let length = stream.read_u8().await?;
            let mut name = vec![0; length.into()];
            stream.read_exact(&mut name).await?;
            String::from_utf8_lossy(&name).parse().ok()
        }
        4 => {
            let mut octets = [0; 16];
            stream.read_exact(&mut octets).await?;
            Some(IpAddr::from(Ipv6Addr::from(octets)))
        }
        _ => return Ok(None),
    };
    let port = stream.read_u16().await?;
    Ok(ip.filter(|_| request[1] == CONNECT).map(|ip| SocketAddr::new(ip, port)))
}

async fn answer(pod: &Pod, pods: &Pods, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    // A router may not have sent all of it yet, and must not be interrupted.
    let _read = request.into_body().collect().await;
    if !pod.latency.is_zero() {
        tokio::time::sleep(pod.latency).await;
    }
    let fails = pod.fails();
    pods.count(pod, fails);
    let body = json!({"pod": pod.name, "version": pod.version, "path": path}).to_string();
    let mut response = Response::new(Full::from(body + "\n"));
    if fails {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    if let Ok(version) = pod.version.parse() {
        response.headers_mut().insert(VERSION, version);
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn pod(changes: &Value) -> core::Pod {
        let mut object = json!({
            "metadata": {"uid": "1", "name": "web-1", "namespace": "shop", "annotations": {}},
            "spec": {"containers": [{
                "name": "web", "image": "registry.example.com:5000/web:1.2", "ports": [{"containerPort": 8080}],
                "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
            }]},
            "status": {"podIP": "198.18.0.7", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        for (pointer, value) in changes.as_object().unwrap() {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            object.pointer_mut(parent).unwrap()[field.replace("~1", "/")] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_version_is_the_tag_of_the_image() {
        let cases = [
            ("registry.example.com:5000/web:1.2", "1.2"),
            ("web:1.2@sha256:3f9a", "1.2"),
            ("web@sha256:3f9a", "latest"),
            ("web", "latest"),
        ];
        for (image, expected) in cases {
            assert_eq!(tag(image), expected, "{image}");
        }
    }

    #[test]
    fn a_pod_answers_when_it_is_ready() {
        let cases = [
            // what is different                                                     answers
            (json!({}), true),
            (json!({"/status/conditions/0/status": "False"}), false),
            (json!({"/metadata/deletionTimestamp": "2026-01-01T00:00:00Z"}), false),
            (json!({"/status/podIP": null}), false),
        ];
        for (changes, expected) in cases {
            assert_eq!(Pod::of(&pod(&changes)).is_some(), expected, "{changes}");
        }
        let (address, made) = Pod::of(&pod(&json!({}))).unwrap();
        assert_eq!(address.to_string(), "198.18.0.7");
        assert_eq!((made.version.as_str(), made.linger.as_secs()), ("1.2", 3));
        assert!(made.ports.contains(&8080));
    }

    #[test]
    fn bad_answers_come_evenly() {
        for (rate, expected) in [("0", "......"), ("0.5", ".x.x.x"), ("0.34", "..x..x"), ("1", "xxxxxx")] {
            let (_, made) = Pod::of(&pod(&json!({"/metadata/annotations/leeboard.test~1error-rate": rate}))).unwrap();
            let found: String = (0..6).map(|_| if made.fails() { 'x' } else { '.' }).collect();
            assert_eq!(found, expected, "{rate}");
        }
    }

    /// Asks for a path of `address` as a router would: the answer, or `None` when the connection is refused.
    async fn ask(host: SocketAddr, address: [u8; 4], port: u16) -> Option<String> {
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(&[5, 1, 0]).await.unwrap();
        let mut method = [0; 2];
        stream.read_exact(&mut method).await.unwrap();
        let mut request = vec![5, 1, 0, 1];
        request.extend(address);
        request.extend(port.to_be_bytes());
        stream.write_all(&request).await.unwrap();
        let mut reply = [0; 10];
        stream.read_exact(&mut reply).await.unwrap();
        if reply[1] != 0 {
            return None;
        }
        stream.write_all(b"GET /x HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        Some(answer)
    }

    #[tokio::test]
    async fn a_connection_to_a_pods_address_is_answered_in_its_name_until_it_has_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = tower::service_fn(async |_: Request<kube::client::Body>| {
            let list = r#"{"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []}"#;
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(list)))
        });
        let api = Api::all(kube::Client::new(nobody, "default"));
        let (address, pods) = (listener.local_addr().unwrap(), Arc::new(Pods::of(api)));
        let server = tokio::spawn(serve(listener, pods.clone()));
        pods.is_now(&pod(&json!({"/spec/containers/0/lifecycle": null})));
        let answer = ask(address, [198, 18, 0, 7], 8080).await.unwrap();
        assert!(answer.contains("x-version: 1.2") && answer.contains(r#""path":"/x""#), "{answer}");
        assert_eq!(ask(address, [198, 18, 0, 7], 81).await, None);
        assert_eq!(ask(address, [198, 18, 0, 8], 8080).await, None);
        pods.are(&[]);
        tokio::time::timeout(Duration::from_secs(5), async {
            while ask(address, [198, 18, 0, 7], 8080).await.is_some() {}
        })
        .await
        .unwrap();
        let tallies = pods.tallies.lock().clone();
        assert!(tallies[&("shop".to_owned(), "1.2".to_owned())].answered >= 1, "{tallies:?}");
        server.abort();
    }
}
