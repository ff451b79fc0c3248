//! HTTP to what users name: hooks, metric providers, receivers of alerts.
//!
//! **May not:** ask link-local addresses, behind which clouds keep the credentials of machines: whoever may write a
//! Canary would read them in its Events. Nor read more than [`LARGEST`] of an answer.
//!
//! Redirects are followed, as Flagger does; whoever names an address waits for it with a deadline of its own.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use http::Method;
use reqwest::{Client, ClientBuilder, Proxy, RequestBuilder, Url, redirect};

use crate::git::egress;

/// No answer that says anything is larger.
const LARGEST: usize = 4 << 20;

/// The clients; made when they are first used.
#[derive(Default)]
pub struct Web {
    checked: OnceLock<Client>,
    unchecked: OnceLock<Client>,
}

impl Web {
    /// A request to what a user has named.
    ///
    /// # Errors
    /// When it is no URL, or one that nobody may ask; in a sentence.
    pub fn request(&self, method: Method, url: &str, skips_tls_check: bool) -> Result<RequestBuilder, String> {
        Ok(self.client(skips_tls_check).request(method, asked(url)?))
    }

    /// The same on the way over a proxy, which a user has named too; rare enough for a client of its own.
    ///
    /// # Errors
    /// When one of the two is no URL, or one that nobody may ask; in a sentence.
    pub fn request_through(proxy: &str, method: Method, url: &str) -> Result<RequestBuilder, String> {
        let (proxy, url) = (asked(proxy)?, asked(url)?);
        let proxy = Proxy::all(proxy).map_err(|error| format!("no proxy: {}", cause(&error)))?;
        let client = builder(false).proxy(proxy).build().map_err(|error| cause(&error))?;
        Ok(client.request(method, url))
    }

    /// A request to where the daemon's own environment says.
    pub fn trusted(&self, method: Method, url: &str) -> RequestBuilder {
        self.client(false).request(method, url)
    }

    /// The client that looks at certificates, or the one that does not.
    fn client(&self, skips_tls_check: bool) -> &Client {
        let cell = if skips_tls_check { &self.unchecked } else { &self.checked };
        cell.get_or_init(|| {
            // Nothing of what is asked for depends on the outside but the system's certificates.
            builder(skips_tls_check).build().unwrap_or_default()
        })
    }
}

fn builder(skips_tls_check: bool) -> ClientBuilder {
    // Whoever runs the binary has set it already; a library's test has not.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let follow = redirect::Policy::custom(|attempt| match attempt.previous().len() {
        _ if is_link_local(attempt.url()) => attempt.error(egress::LinkLocal),
        0..=10 => attempt.follow(),
        _ => attempt.error("too many redirects"),
    });
    Client::builder()
        .user_agent(concat!("leeboard/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(90))
        .redirect(follow)
        .dns_resolver(egress::Resolver)
        .tls_danger_accept_invalid_certs(skips_tls_check)
}

/// A URL that may be asked.
fn asked(url: &str) -> Result<Url, String> {
    let parsed = Url::parse(url).map_err(|error| format!("no URL: {error}"))?;
    if is_link_local(&parsed) {
        return Err(format!("{}: link-local addresses are not asked", parsed.origin().ascii_serialization()));
    }
    Ok(parsed)
}

/// A host that is written as a link-local address; names are looked at when they are looked up.
fn is_link_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(egress::is_link_local)
}

/// Sends a request; status and body.
///
/// # Errors
/// What has gone wrong, in a sentence.
pub async fn answer(request: RequestBuilder) -> Result<(u16, Vec<u8>), String> {
    let mut answer = request.send().await.map_err(|error| cause(&error))?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| cause(&error))? {
        if body.len() + piece.len() > LARGEST {
            return Err(format!("the answer is larger than {} MiB", LARGEST >> 20));
        }
        body.extend_from_slice(&piece);
    }
    Ok((status, body))
}

/// The innermost reason, which is the one that helps: `Connection refused`, not `error sending request`.
pub fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let is_outermost = error.source().is_none();
    let url = error.url().map(|url| format!("{}: ", url.origin().ascii_serialization())).unwrap_or_default();
    if is_outermost { cause.to_string() } else { format!("{url}{cause}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_one_is_asked_who_keeps_a_machines_credentials() {
        let web = Web::default();
        let cases = [
            // URL, refused
            ("http://169.254.169.254/latest/meta-data", true),
            ("http://[fe80::1]/", true),
            ("http://[::ffff:169.254.169.254]/", true),
            ("not a URL", true),
            ("http://prometheus:9090", false),
            ("http://10.0.0.1/gate", false),
        ];
        for (url, refused) in cases {
            assert_eq!(web.request(Method::GET, url, false).is_err(), refused, "{url}");
            let through = Web::request_through(url, Method::GET, "http://hooks.example.com");
            assert_eq!(through.is_err(), refused, "through {url}");
        }
    }
}
