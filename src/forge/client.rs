//! The HTTP client: what it trusts, through what it goes, how much of an answer it reads, and why there is none.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url, redirect};

use super::call::{Answer, plain};
use super::sign_in::Access;
use crate::git::egress;

/// No list of a hundred pull requests is larger, and no comment.
pub(super) const LARGEST: usize = 16 << 20;

/// Why there is no answer.
pub(super) enum Broken {
    /// The request has not reached the server.
    Unsent(String),
    /// It may have.
    Lost(String),
    TooLarge,
    Elsewhere(String),
}

/// A host that is written as a link-local address; names are looked at when they are looked up.
pub(super) fn is_link_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    address.is_ok_and(egress::is_link_local)
}

/// One that follows no redirect, and waits for no answer longer than `patience`.
pub(super) fn client(access: &Access, patience: Duration) -> Result<Client, &'static str> {
    // Whoever runs the binary has set it already; a library's test has not.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("leeboard/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(patience)
        .pool_idle_timeout(Duration::from_secs(90))
        .dns_resolver(egress::Resolver)
        .tls_danger_accept_invalid_certs(access.skips_tls_check);
    if !access.certificates.is_empty() {
        let certificates = reqwest::Certificate::from_pem_bundle(&access.certificates).unwrap_or_default();
        if certificates.is_empty() {
            return Err("the trusted certificates are not PEM");
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some(proxy) = &access.proxy {
        let address = std::str::from_utf8(proxy.expose()).ok();
        let proxy = address.and_then(|address| reqwest::Proxy::all(address).ok()).ok_or("the proxy is no URL")?;
        builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(&access.no_proxy)));
    }
    builder.build().map_err(|_| "the certificates cannot be used")
}

/// Sends a request and reads the whole answer.
pub(super) async fn receive(request: RequestBuilder) -> Result<Answer, Broken> {
    let broken = |error: &reqwest::Error| {
        if error.is_connect() { Broken::Unsent(cause(error)) } else { Broken::Lost(cause(error)) }
    };
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| Broken::Lost(cause(&error)))? {
        if body.len() + piece.len() > LARGEST {
            return Err(Broken::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answer { status, headers, body })
}

/// The innermost reason, which is the one that helps, and has no URL in it.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    plain(&cause.to_string(), 200)
}
