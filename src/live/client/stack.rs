//! The HTTP under the client: one TLS configuration, HTTP/1.1 for requests, HTTP/2 for watches.
//!
//! A watch on HTTP/2 is a stream, not a connection with its own TLS state. But kube-apiserver allows 100 streams for
//! each connection, and the connection pool opens one HTTP/2 connection for each host: stream 101 would wait without
//! an end. Hence [`Watches`] hands out streams in counted shares, and opens one more connection when all are taken.
//! Requests that are short stay on HTTP/1.1, which is faster for writes.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceBuilder;

use super::Error;

/// Watches on one connection; the API server's limit is 100, and a relist needs a stream for a moment.
const WATCHES_PER_CONNECTION: usize = 80;
/// Idle connections are closed soon: each holds buffers, and at rest there are no requests.
const IDLE: Duration = Duration::from_secs(20);
/// Tells a dead connection from a silent one.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// A watch delivers small events; the first list comes in pieces of this size.
const STREAM_WINDOW: u32 = 256 * 1024;

/// Which HTTP a client speaks.
#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

/// A client for short requests.
pub(super) fn requests(config: &Config) -> Result<Client, Error> {
    client(config, Protocol::Http1)
}

fn client(config: &Config, protocol: Protocol) -> Result<Client, Error> {
    if config.proxy_url.is_some() {
        // kube's own stack knows all kinds of proxies. It speaks HTTP/1.1 only, which any number of watches can use.
        return ClientBuilder::try_from(config.clone()).map(ClientBuilder::build).map_err(Error::Config);
    }
    let tls = config.rustls_client_config().map_err(Error::Config)?;
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(config.connect_timeout);
    let mut connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name =
            rustls::pki_types::ServerName::try_from(name.clone()).map_err(|error| Error::Transport(error.into()))?;
        connector = connector.with_server_name_resolver(hyper_rustls::FixedServerNameResolver::new(name));
    }
    let mut hyper = HyperClient::builder(TokioExecutor::new());
    hyper.pool_timer(TokioTimer::new()).timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    let connector = match protocol {
        Protocol::Http1 => connector.enable_http1().wrap_connector(http),
        Protocol::Http2 => {
            hyper
                .http2_keep_alive_interval(KEEP_ALIVE)
                .http2_keep_alive_timeout(KEEP_ALIVE)
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(4 * STREAM_WINDOW);
            connector.enable_http1().enable_http2().wrap_connector(http)
        }
    };
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(Error::Config)?)
        .layer(config.extra_headers_layer().map_err(Error::Config)?)
        .map_err(tower::BoxError::from)
        .service(hyper.build::<_, Body>(connector));
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// Clients for watches, each with a counted share of them.
pub(super) struct Watches {
    config: Config,
    clients: Mutex<Vec<(Client, Arc<Semaphore>)>>,
}

impl Watches {
    pub(super) fn new(config: Config) -> Self {
        Watches { config, clients: Mutex::new(Vec::new()) }
    }

    /// A client, and the right to have one watch on it for as long as the permit lives.
    pub(super) fn client(&self) -> Result<(Client, OwnedSemaphorePermit), Error> {
        let mut clients = self.clients.lock();
        for (client, shares) in clients.iter() {
            if let Ok(permit) = Arc::clone(shares).try_acquire_owned() {
                return Ok((client.clone(), permit));
            }
        }
        let client = client(&self.config, Protocol::Http2)?;
        let shares = Arc::new(Semaphore::new(WATCHES_PER_CONNECTION));
        let permit = Arc::clone(&shares).try_acquire_owned().map_err(|error| Error::Transport(error.into()))?;
        clients.push((client.clone(), shares));
        Ok((client, permit))
    }
}
