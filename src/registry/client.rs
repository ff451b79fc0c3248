//! [`Registries`]: asks registries. The only place of this room that knows the network.
//!
//! A request leaves when its registry wants one, and is repeated while that can help. Credentials go to the registry that they
//! are for and to the server that it names for tokens; where a blob is led elsewhere they stay behind. All that is read has
//! a limit.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::{Client, Url};
use tokio::sync::Semaphore;
use tracing::trace;

use super::challenge::Challenge;
use super::error::Error;
use super::keychain::{Credential, Keychain};
use super::reference::{Digest, Repository};
use super::sign_in::{self, SignIn};
use crate::git::egress;

/// Requests to one registry at a time.
const AT_ONCE: usize = 8;
const MOST_REDIRECTS: usize = 4;
/// How long a registry may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// Of what a registry says in an error, so much is told.
const MOST_WORDS: usize = 200;

/// How registries are reached.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Certificates of authorities that are trusted beside the system's, in PEM.
    pub certificates: Vec<u8>,
    /// Hosts, with their ports, that are asked without TLS; loopback always is.
    pub without_tls: Vec<String>,
}

/// How long things take; tests are in more of a hurry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// How long one question may wait for its turn, and for a registry in trouble, in all.
    pub(super) patience: Duration,
    /// The first pause; each further one is twice as long.
    pub(super) pause: Duration,
    pub(super) request: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Timing { patience: seconds(45), pause: seconds(1), request: seconds(30) }
    }
}

/// All registries. Share it: limits are kept and tokens are reused, and an image's time is asked for once.
pub struct Registries {
    client: Client,
    settings: Settings,
    timing: Timing,
    servers: Mutex<HashMap<String, Arc<Server>>>,
    signed_in: Mutex<HashMap<Who, SignIn>>,
    pub(super) times: Mutex<HashMap<Digest, Option<Timestamp>>>,
}

/// A repository, and who asks for it.
type Who = (Repository, Option<Credential>);

/// What is known of one registry.
struct Server {
    turns: Semaphore,
    closed_until: Mutex<Option<Timestamp>>,
}

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) repository: &'a Repository,
    pub(super) keychain: &'a Keychain,
    pub(super) method: Method,
    /// Below `/v2/NAME/`, with its query.
    pub(super) path: String,
    pub(super) accept: &'static str,
    /// Whether the answer may come from another server.
    pub(super) may_lead_elsewhere: bool,
    /// Bytes of the answer.
    pub(super) limit: usize,
    /// For messages: `tag 1.4.2`.
    pub(super) what: String,
}

/// An answer that means something: a success, or that there is no such thing.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
enum Broken {
    Network(String),
    TooLarge,
    Elsewhere(String),
}

impl Registries {
    /// Asks registries in this way.
    ///
    /// # Errors
    /// When the certificates are none.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Registries::with_timing(settings, Timing::default())
    }

    pub(super) fn with_timing(settings: Settings, timing: Timing) -> Result<Self, Error> {
        // Whoever runs the binary has set it already; a library's test has not.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("leeboard/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(timing.request)
            .pool_idle_timeout(Duration::from_secs(90))
            .dns_resolver(egress::Resolver);
        if !settings.certificates.is_empty() {
            let certificates = reqwest::Certificate::from_pem_bundle(&settings.certificates).unwrap_or_default();
            if certificates.is_empty() {
                return Err(Error::Unusable { reason: "the trusted certificates are not PEM" });
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let unusable = |_| Error::Unusable { reason: "the trusted certificates cannot be used" };
        Ok(Registries {
            client: builder.build().map_err(unusable)?,
            settings,
            timing,
            servers: Mutex::default(),
            signed_in: Mutex::default(),
            times: Mutex::default(),
        })
    }

    /// Asks until there is an answer that means something.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Answer, Error> {
        let repository = question.repository;
        let url = self.url(repository, &question.path)?;
        let server = Arc::clone(self.servers.lock().entry(repository.server().to_owned()).or_insert_with(Server::new));
        let credential = question.keychain.credential(repository);
        let who = (repository.clone(), credential.cloned());
        let deadline = Timestamp::now() + self.timing.patience;
        let mut pause = self.timing.pause;
        let mut was_challenged = false;
        // A semaphore that nobody closes gives a permit.
        let _turn = server.turns.acquire().await;
        loop {
            self.wait_for(&server, repository, deadline).await?;
            let authorization = self.authorization(&who);
            let trouble = match self.exchange(question, url.clone(), authorization).await {
                Ok(answer) => {
                    let status = answer.status;
                    if status.is_success() || status == StatusCode::NOT_FOUND {
                        return Ok(answer);
                    }
                    match status.as_u16() {
                        401 if !was_challenged => {
                            was_challenged = true;
                            self.sign_in(&who, &answer, &url).await?;
                            continue;
                        }
                        401 if who.1.is_some() => {
                            self.signed_in.lock().remove(&who);
                            return Err(Error::Unauthorized { repository: repository.clone() });
                        }
                        401 => return Err(Error::CredentialsMissing { repository: repository.clone() }),
                        403 => return Err(Error::Forbidden { repository: repository.clone() }),
                        429 => {
                            let until = retry_after(&answer.headers).unwrap_or_else(|| soon(pause));
                            *server.closed_until.lock() = Some(until);
                            pause *= 2;
                            continue;
                        }
                        408 | 500.. => {
                            Error::Unavailable { registry: repository.host().into(), status: status.as_u16() }
                        }
                        status => {
                            let said = words(&answer.body);
                            return Err(Error::Status { registry: repository.host().into(), status, said });
                        }
                    }
                }
                Err(Broken::TooLarge) => {
                    let (what, limit) = (question.what.clone(), question.limit);
                    return Err(Error::TooLarge { repository: repository.clone(), what, limit });
                }
                Err(Broken::Elsewhere(to)) => return Err(Error::Redirected { registry: repository.host().into(), to }),
                Err(Broken::Network(reason)) => Error::Unreachable { registry: repository.host().into(), reason },
            };
            let until = soon(pause);
            if until >= deadline {
                return Err(trouble);
            }
            tokio::time::sleep(remaining(until)).await;
            pause *= 2;
        }
    }

    /// Waits until a registry wants to be asked, if that is soon.
    async fn wait_for(&self, server: &Server, repository: &Repository, deadline: Timestamp) -> Result<(), Error> {
        loop {
            let closed_until = *server.closed_until.lock();
            let Some(until) = closed_until.filter(|until| *until > Timestamp::now()) else { return Ok(()) };
            if until >= deadline {
                return Err(Error::Limited { registry: repository.host().into(), until });
            }
            tokio::time::sleep(remaining(until) + Duration::from_millis(1)).await;
        }
    }

    /// The address of a part of a repository.
    fn url(&self, repository: &Repository, path: &str) -> Result<Url, Error> {
        let server = repository.server();
        let is_plain = is_loopback(server) || self.settings.without_tls.iter().any(|host| host == repository.host());
        let scheme = if is_plain { "http" } else { "https" };
        let odd = |why: &str| Error::Odd { registry: repository.host().into(), why: why.into() };
        let text = format!("{scheme}://{server}/v2/{}/{path}", repository.path());
        let url = Url::parse(&text).map_err(|_| odd("its address is no URL"))?;
        if is_link_local(&url) {
            return Err(Error::AddressRefused { registry: repository.host().into() });
        }
        Ok(url)
    }

    fn authorization(&self, who: &Who) -> Option<HeaderValue> {
        self.signed_in.lock().get(who).filter(|sign_in| sign_in.is_good(Timestamp::now())).map(SignIn::header)
    }

    /// Does what the registry asks for before it answers.
    async fn sign_in(&self, who: &Who, answer: &Answer, url: &Url) -> Result<(), Error> {
        let (repository, credential) = who;
        let missing = || match credential {
            Some(_) => Error::Unauthorized { repository: repository.clone() },
            None => Error::CredentialsMissing { repository: repository.clone() },
        };
        let signed_in = match Challenge::of(&answer.headers).ok_or_else(missing)? {
            Challenge::Basic => SignIn::basic(credential.as_ref()).ok_or_else(missing)?,
            Challenge::Bearer { realm, service, scope } => {
                let own = format!("repository:{}:pull", repository.path());
                let request = sign_in::Request {
                    realm: &realm,
                    service: service.as_deref(),
                    scope: scope.as_deref().unwrap_or(&own),
                    credential: credential.as_ref(),
                    // A registry behind TLS has no reason to have passwords sent without it.
                    needs_tls: url.scheme() == "https",
                };
                sign_in::token(&self.client, repository, &request).await?
            }
        };
        self.signed_in.lock().insert(who.clone(), signed_in);
        Ok(())
    }

    /// One request and its answer, also from where it is led.
    async fn exchange(
        &self,
        question: &Question<'_>,
        mut url: Url,
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, Broken> {
        let first = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            trace!(method = %question.method, host = url.host_str(), path = url.path(), "Request to a registry");
            let mut request = self.client.request(question.method.clone(), url.clone()).header(ACCEPT, question.accept);
            if let Some(authorization) = authorization.clone().filter(|_| url.origin() == first.origin()) {
                request = request.header(AUTHORIZATION, authorization);
            }
            let mut response = request.send().await.map_err(|error| Broken::Network(cause(&error)))?;
            let (status, headers) = (response.status(), response.headers().clone());
            if status.is_redirection() {
                let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| url.join(to).ok());
                let to = to.ok_or_else(|| Broken::Elsewhere(String::new()))?;
                let is_here = to.origin() == first.origin();
                let is_safe = (to.scheme() == "https" || first.scheme() == "http") && !is_link_local(&to);
                if !(is_here || (question.may_lead_elsewhere && is_safe)) {
                    return Err(Broken::Elsewhere(to.origin().ascii_serialization()));
                }
                url = to;
                continue;
            }
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|error| Broken::Network(cause(&error)))? {
                if body.len() + piece.len() > question.limit {
                    return Err(Broken::TooLarge);
                }
                body.extend_from_slice(&piece);
            }
            return Ok(Answer { status, headers, body });
        }
        Err(Broken::Elsewhere("too many places".into()))
    }
}

impl std::fmt::Debug for Registries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registries").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Server {
    fn new() -> Arc<Self> {
        Arc::new(Server { turns: Semaphore::new(AT_ONCE), closed_until: Mutex::default() })
    }
}

/// Docker too asks these without TLS.
fn is_loopback(server: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, port)| if port.ends_with(']') { server } else { host });
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A host that is written as a link-local address; names are looked at when they are looked up.
pub(super) fn is_link_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    address.is_ok_and(egress::is_link_local)
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Timestamp> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let now = Timestamp::now();
    if let Ok(seconds) = value.parse() {
        return Some(now + Duration::from_secs(seconds).min(LONGEST_PAUSE));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(date.clamp(now, now + LONGEST_PAUSE))
}

/// After a pause, not all at once.
fn soon(pause: Duration) -> Timestamp {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    let dice = bits as f64 / (1_u64 << 53) as f64;
    Timestamp::now() + pause.min(LONGEST_PAUSE).mul_f64(0.5 + dice / 2.0)
}

fn remaining(until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default()
}

/// The innermost reason, which is the one that helps, and has no URL in it.
pub(super) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    clean(&cause.to_string())
}

/// The first error of a registry's answer, or its text.
pub(super) fn words(body: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let told = ["/errors/0/message", "/errors/0/code", "/details", "/message"];
    let message = told.iter().find_map(|path| json.pointer(path)?.as_str());
    clean(&message.map_or_else(|| String::from_utf8_lossy(body), Into::into))
}

/// One line, not too long, of what strangers say.
fn clean(text: &str) -> String {
    let one_line = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    one_line.collect::<Vec<_>>().join(" ").chars().take(MOST_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_what_is_named_is_asked_without_tls() {
        let settings = Settings { without_tls: vec!["registry.shop.svc:5000".into()], ..Settings::default() };
        let registries = Registries::new(settings).unwrap();
        let cases = [
            ("web", Ok("https://registry-1.docker.io/v2/library/web/tags/list")),
            ("localhost:5000/web", Ok("http://localhost:5000/v2/web/tags/list")),
            ("127.1.2.3/a/web", Ok("http://127.1.2.3/v2/a/web/tags/list")),
            ("[::1]:5000/web", Ok("http://[::1]:5000/v2/web/tags/list")),
            ("localhost.evil.example/web", Ok("https://localhost.evil.example/v2/web/tags/list")),
            ("registry.shop.svc:5000/web", Ok("http://registry.shop.svc:5000/v2/web/tags/list")),
            ("registry.shop.svc/web", Ok("https://registry.shop.svc/v2/web/tags/list")),
            ("169.254.169.254/web", Err("169.254.169.254 has a link-local address, which is not asked")),
            ("[fe80::1]/web", Err("[fe80::1] has a link-local address, which is not asked")),
        ];
        for (name, expected) in cases {
            let url = registries.url(&Repository::parse(name).unwrap(), "tags/list");
            let found = url.map(|url| url.to_string()).map_err(|error| error.to_string());
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{name}");
        }
    }

    #[test]
    fn what_a_registry_says_is_one_line() {
        let cases = [
            (r#"{"errors": [{"code": "DENIED", "message": "not\nyours"}]}"#.to_owned(), "not yours".to_owned()),
            (r#"{"errors": [{"code": "DENIED"}]}"#.into(), "DENIED".into()),
            ("<html>\u{1b}[31mno</html>".into(), "<html> [31mno</html>".into()),
            ("x".repeat(1000), "x".repeat(MOST_WORDS)),
        ];
        for (body, expected) in cases {
            assert_eq!(words(body.as_bytes()), expected);
        }
    }
}
