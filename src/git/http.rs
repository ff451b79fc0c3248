//! git over https and http, on the one TLS stack.
//!
//! An answer counts only with git's own content type: a login page is an error, never an empty repository. Redirects
//! are followed on the same scheme, host and port alone, so credentials can't be led away.

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode, Url};
use sha2::Digest as _;
use tokio::sync::mpsc;

use super::credentials::Access;
use super::egress;
use super::error::{Distrust, Error};
use super::oid::Oid;
use super::protocol::{self, Fault, Greeting, MAX_REFS_BYTES, PackAnswer, Ref, SILENCE, Service};
use super::push::{self, Update};
use super::store::Piece;
use super::url::RepoUrl;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const MAX_REDIRECTS: usize = 4;

/// HTTP clients, shared by all repositories that are reached in the same way.
#[derive(Default)]
pub(super) struct Clients {
    by_profile: Mutex<HashMap<[u8; 32], Client>>,
}

impl Clients {
    /// The client that trusts, shows and goes through what `access` says.
    fn client(&self, url: &RepoUrl, access: &Access) -> Result<Client, Error> {
        let profile = profile(access);
        if let Some(client) = self.by_profile.lock().get(&profile) {
            return Ok(client.clone());
        }
        // Whoever runs the binary has set it already; a library's test has not.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bad = |reason: &str| Error::BadCredentials { url: url.clone(), reason: reason.into() };
        let mut builder = Client::builder()
            .user_agent(concat!("git/2.0 (leeboard ", env!("CARGO_PKG_VERSION"), ")"))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE)
            .tcp_nodelay(true)
            .dns_resolver(egress::Resolver)
            .tls_danger_accept_invalid_certs(access.skips_tls_check);
        if !access.certificates.is_empty() {
            let certificates = reqwest::Certificate::from_pem_bundle(&access.certificates)
                .map_err(|_| bad("a trusted certificate is not PEM"))?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some((certificate, key)) = &access.client_certificate {
            let pem = [key.expose(), b"\n", certificate].concat();
            let identity =
                reqwest::Identity::from_pem(&pem).map_err(|_| bad("the client certificate or its key is not PEM"))?;
            builder = builder.identity(identity);
        }
        if let Some(proxy) = &access.proxy {
            let address = std::str::from_utf8(proxy.expose()).ok();
            let proxy = address.and_then(|address| reqwest::Proxy::all(address).ok());
            let proxy = proxy.ok_or_else(|| bad("the proxy is not a URL"))?;
            builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(&access.no_proxy)));
        }
        let client = builder.build().map_err(|error| bad(&plain(error)))?;
        self.by_profile.lock().insert(profile, client.clone());
        Ok(client)
    }
}

/// What makes two clients differ, without keeping it.
fn profile(access: &Access) -> [u8; 32] {
    let mut hash = sha2::Sha256::new();
    let (certificate, key) = match &access.client_certificate {
        Some((certificate, key)) => (certificate.as_slice(), key.expose()),
        None => (&[][..], &[][..]),
    };
    let proxy = access.proxy.as_ref().map_or(&[][..], |proxy| proxy.expose());
    let no_proxy = access.no_proxy.as_bytes();
    for part in [&access.certificates, certificate, key, proxy, no_proxy, &[u8::from(access.skips_tls_check)]] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What was learnt of a server on first contact, so that later polls are one request.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The repository's address after redirects.
    base: Url,
    greeting: Greeting,
}

/// A conversation with one server.
pub(super) struct Session {
    url: RepoUrl,
    client: Client,
    authorization: Option<HeaderValue>,
    service: Service,
    known: Known,
}

/// Asks for the refs that begin with one of `prefixes` (all, when there is none). `known` is what an earlier
/// conversation learnt.
pub(super) async fn list(
    url: &RepoUrl,
    access: &Access,
    clients: &Clients,
    known: Option<Known>,
    prefixes: &[String],
) -> Result<(Vec<Ref>, Session), Error> {
    let is_new = known.is_none();
    let mut session = Session::new(url, access, clients, Service::UploadPack, known)?;
    if is_new || matches!(session.known.greeting, Greeting::V0(..)) {
        session.greet().await?;
    }
    match session.refs(prefixes).await {
        // The server may have been replaced, moved or downgraded since we met.
        Err(
            Error::NotFound { .. }
            | Error::Status { .. }
            | Error::Redirected { .. }
            | Error::NotGit { .. }
            | Error::Protocol { .. }
            | Error::Server { .. },
        ) if !is_new => {
            session.greet().await?;
            Ok((session.refs(prefixes).await?, session))
        }
        refs => Ok((refs?, session)),
    }
}

/// Moves a branch to a commit that `pack` brings along.
pub(super) async fn push(
    url: &RepoUrl,
    access: &Access,
    clients: &Clients,
    update: &Update,
    pack: Vec<u8>,
) -> Result<(), Error> {
    let mut session = Session::new(url, access, clients, Service::ReceivePack, None)?;
    session.greet().await?;
    let greeting = &session.known.greeting;
    let response = session.post([push::request(greeting, update), pack].concat()).await?;
    let mut bytes = session.body(response).await?;
    let report = push::take_report(greeting, &mut bytes).map_err(|fault| session.fault(fault))?;
    report.ok_or_else(|| session.fault(Fault::Cut))?.outcome(url, update)
}

impl Session {
    fn new(
        url: &RepoUrl,
        access: &Access,
        clients: &Clients,
        service: Service,
        known: Option<Known>,
    ) -> Result<Self, Error> {
        let client = clients.client(url, access)?;
        let authorization = match access.authorization().map(HeaderValue::try_from) {
            None => None,
            Some(Ok(mut value)) => {
                value.set_sensitive(true);
                Some(value)
            }
            Some(Err(_)) => {
                return Err(Error::BadCredentials { url: url.clone(), reason: "they do not fit into a header".into() });
            }
        };
        let malformed = || Error::Protocol { url: url.clone(), reason: "the address is malformed".into() };
        let base = Url::parse(&url.http()).map_err(|_| malformed())?;
        let known = known.unwrap_or(Known { base, greeting: Greeting::V0(protocol::Capabilities::default(), vec![]) });
        Ok(Session { url: url.clone(), client, authorization, service, known })
    }

    /// What a later [`list`] can start from.
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// Asks for a pack; its pieces go to `pack`, the last one only when everything came.
    pub(super) async fn fetch(self, wants: &[Oid], haves: &[Oid], pack: &mpsc::Sender<Piece>) -> Result<(), Error> {
        let body = protocol::fetch(&self.known.greeting, wants, haves);
        let mut response = self.post(body).await?;
        let mut answer = PackAnswer::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            for piece in answer.feed(&chunk).map_err(|fault| self.fault(fault))? {
                if pack.send(Piece::Data(piece)).await.is_err() {
                    // The receiver has its own error to tell.
                    return Ok(());
                }
            }
        }
        if !answer.is_complete() {
            return Err(self.fault(Fault::Cut));
        }
        let _ = pack.send(Piece::End).await;
        Ok(())
    }

    async fn greet(&mut self) -> Result<(), Error> {
        let question = format!("info/refs?service={}", self.service);
        let (response, address) = self.send(Method::GET, below(&self.known.base, &question), None).await?;
        self.expect_type(&response, &self.service.content_type("advertisement"))?;
        let bytes = self.body(response).await?;
        let greeting = protocol::greeting(bytes).map_err(|fault| self.fault(fault))?;
        greeting.refuse_sha256(&self.url)?;
        let base = address.as_str().strip_suffix(&format!("/{question}")).map(Url::parse);
        if let Some(Ok(base)) = base {
            self.known.base = base;
        }
        self.known.greeting = greeting;
        Ok(())
    }

    async fn refs(&self, prefixes: &[String]) -> Result<Vec<Ref>, Error> {
        let capabilities = match &self.known.greeting {
            Greeting::V0(_, refs) => return Ok(refs.clone()),
            Greeting::V2(capabilities) => capabilities,
        };
        let response = self.post(protocol::ls_refs(capabilities, prefixes)).await?;
        let mut bytes = self.body(response).await?;
        let refs = protocol::take_refs(&mut bytes).map_err(|fault| self.fault(fault))?;
        refs.ok_or_else(|| self.fault(Fault::Cut))
    }

    async fn post(&self, body: Vec<u8>) -> Result<Response, Error> {
        let address = below(&self.known.base, self.service.name());
        let (response, _) = self.send(Method::POST, address, Some(body)).await?;
        self.expect_type(&response, &self.service.content_type("result"))?;
        Ok(response)
    }

    async fn send(&self, method: Method, address: Url, body: Option<Vec<u8>>) -> Result<(Response, Url), Error> {
        let mut address = address;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.request(method.clone(), address.clone());
            if let Some(authorization) = &self.authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            let speaks_v2 = !matches!((&self.known.greeting, &body), (Greeting::V0(..), Some(_)));
            if self.service == Service::UploadPack && speaks_v2 {
                request = request.header("git-protocol", "version=2");
            }
            if let Some(body) = &body {
                request = request
                    .header(CONTENT_TYPE, self.service.content_type("request"))
                    .header(ACCEPT, self.service.content_type("result"))
                    .body(body.clone());
            }
            let response = request.send().await.map_err(|error| self.broken(error))?;
            let status = response.status();
            if !status.is_redirection() {
                return self.refuse(status, response.headers()).map_or(Ok((response, address)), Err);
            }
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to =
                to.and_then(|to| address.join(to).ok()).ok_or_else(|| self.odd("a redirect without an address"))?;
            if to.origin() != address.origin() {
                let to = format!("{}://{}", to.scheme(), to.host_str().unwrap_or_default());
                return Err(Error::Redirected { url: self.url.clone(), to });
            }
            // A sign-in page on the same server is no repository, and neither is what it leads to.
            address = to;
        }
        Err(self.odd("too many redirects"))
    }

    fn refuse(&self, status: StatusCode, headers: &HeaderMap) -> Option<Error> {
        let url = self.url.clone();
        Some(match status.as_u16() {
            200 => return None,
            401 if self.authorization.is_none() => Error::CredentialsMissing { url },
            401 => Error::Unauthorized { url },
            403 => Error::Forbidden { url },
            404 | 410 => Error::NotFound { url },
            status @ (408 | 425 | 429 | 500..=599) => {
                let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
                Error::Busy { url, status, retry_after: seconds.map(Duration::from_secs) }
            }
            status => Error::Status { url, status },
        })
    }

    fn expect_type(&self, response: &Response, expected: &str) -> Result<(), Error> {
        let found = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
        let found = found.split(';').next().unwrap_or_default().trim();
        if found.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        Err(Error::NotGit { url: self.url.clone(), content_type: protocol::clean(found) })
    }

    async fn body(&self, mut response: Response) -> Result<BytesMut, Error> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + chunk.len() > MAX_REFS_BYTES {
                return Err(Error::TooLarge { url: self.url.clone(), limit: MAX_REFS_BYTES as u64 });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn odd(&self, reason: &str) -> Error {
        Error::Protocol { url: self.url.clone(), reason: reason.into() }
    }

    fn fault(&self, fault: Fault) -> Error {
        fault.at(&self.url)
    }

    /// What reqwest says, as one of ours.
    fn broken(&self, error: reqwest::Error) -> Error {
        let url = self.url.clone();
        if let Some(reason) = distrust(&error) {
            return Error::Untrusted { url, reason };
        }
        if causes(&error).any(|cause| cause.is::<egress::LinkLocal>()) {
            return Error::AddressRefused { url };
        }
        if (error.is_body() || error.is_decode()) && !error.is_timeout() {
            return Error::Cut { url };
        }
        Error::Unreachable { url, reason: plain(error) }
    }
}

fn below(base: &Url, name: &str) -> Url {
    let mut address = base.clone();
    let (path, query) = name.split_once('?').map_or((name, None), |(path, query)| (path, Some(query)));
    address.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    address.set_query(query);
    address
}

/// The innermost cause, in the system's words and without the address.
fn plain(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let error = error.without_url();
    let innermost = causes(&error).last().map(ToString::to_string);
    protocol::clean(&innermost.unwrap_or_default())
}

/// What is wrong with the server's certificate, if that is what failed.
fn distrust(error: &reqwest::Error) -> Option<Distrust> {
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };
    let found = causes(error).find_map(|cause| match cause.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(found)) => Some(found),
        _ => None,
    })?;
    Some(match found {
        UnknownIssuer | BadSignature => Distrust::UnknownAuthority,
        Expired | ExpiredContext { .. } => Distrust::Expired,
        NotValidForName | NotValidForNameContext { .. } => Distrust::OtherName,
        other => Distrust::Other(protocol::clean(&other.to_string())),
    })
}

type Cause = dyn std::error::Error + 'static;

/// The error and all that is inside it.
fn causes(error: &Cause) -> impl Iterator<Item = &Cause> {
    std::iter::successors(Some(error), |cause| {
        // The `source` of an io::Error skips the error that it wraps.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as &Cause).or_else(|| cause.source())
    })
}
