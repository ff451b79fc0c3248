//! [`SignIn`]: the header that says who asks, and how a token for it is had (distribution specification, token
//! authentication; Docker's OAuth2 for identities).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use jiff::Timestamp;
use reqwest::Client;
use serde::Deserialize;

use super::challenge::token_url;
use super::client::{cause, is_link_local, words};
use super::error::Error;
use super::keychain::Credential;
use super::reference::Repository;

/// A token that does not say so lasts this long.
const LASTS: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);
/// So long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(10);
/// Bytes of the answer with a token.
const LARGEST: usize = 1 << 20;

/// The header that says who asks, while it is good.
#[derive(Clone, Debug)]
pub(super) struct SignIn {
    header: HeaderValue,
    until: Option<Timestamp>,
}

/// What a token is asked for with.
pub(super) struct Request<'a> {
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scope: &'a str,
    pub(super) credential: Option<&'a Credential>,
    pub(super) needs_tls: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    token: String,
    access_token: String,
    expires_in: Option<u64>,
}

impl SignIn {
    /// User and password with each request.
    pub(super) fn basic(credential: Option<&Credential>) -> Option<Self> {
        let Some(Credential::Basic { user, password }) = credential else { return None };
        let pair = [user.as_bytes(), b":", password.expose()].concat();
        SignIn::new(&format!("Basic {}", BASE64_STANDARD.encode(pair)), None)
    }

    fn new(text: &str, until: Option<Timestamp>) -> Option<Self> {
        let mut header = HeaderValue::from_str(text).ok()?;
        header.set_sensitive(true);
        Some(SignIn { header, until })
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Asks the server that a registry names for a token.
///
/// # Errors
/// When it is none that may be asked, or gives none.
pub(super) async fn token(client: &Client, repository: &Repository, asked: &Request<'_>) -> Result<SignIn, Error> {
    let registry = || repository.host().to_owned();
    let odd = |why: &str| Error::Odd { registry: registry(), why: why.into() };
    let url = token_url(asked.realm, asked.service, asked.scope).ok_or_else(|| odd("where tokens are is no URL"))?;
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && !asked.needs_tls);
    if !is_safe || is_link_local(&url) {
        return Err(Error::Redirected { registry: registry(), to: url.origin().ascii_serialization() });
    }
    let request = match asked.credential {
        None => client.get(url),
        Some(Credential::Basic { .. }) => {
            let header = SignIn::basic(asked.credential).ok_or_else(|| odd("its credentials fit into no header"))?;
            client.get(url).header(http::header::AUTHORIZATION, header.header())
        }
        Some(Credential::Identity(identity)) => {
            let mut bare = url;
            bare.set_query(None);
            let identity = String::from_utf8_lossy(identity.expose()).into_owned();
            let mut form = reqwest::Url::parse("form:").map_err(|_| odd("it takes no form"))?;
            form.query_pairs_mut()
                .append_pair("grant_type", "refresh_token")
                .append_pair("client_id", "leeboard")
                .append_pair("service", asked.service.unwrap_or_default())
                .append_pair("scope", asked.scope)
                .append_pair("refresh_token", &identity);
            let body = form.query().unwrap_or_default().to_owned();
            client.post(bare).header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
        }
    };
    let unreachable = |error: &reqwest::Error| Error::Unreachable { registry: registry(), reason: cause(error) };
    let mut response = request.send().await.map_err(|error| unreachable(&error))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + piece.len() > LARGEST {
            return Err(odd("its token is too large"));
        }
        body.extend_from_slice(&piece);
    }
    match status.as_u16() {
        200 => {}
        400 | 401 | 403 if asked.credential.is_some() => {
            return Err(Error::Unauthorized { repository: repository.clone() });
        }
        400 | 401 | 403 => return Err(Error::CredentialsMissing { repository: repository.clone() }),
        429 | 500.. => return Err(Error::Unavailable { registry: registry(), status: status.as_u16() }),
        status => return Err(Error::Status { registry: registry(), status, said: words(&body) }),
    }
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| odd("its token is no JSON"))?;
    let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
    if token.is_empty() {
        return Err(odd("it gives no token"));
    }
    let lasts = answer.expires_in.map_or(LASTS, Duration::from_secs).min(LONGEST);
    let until = Timestamp::now() + lasts.saturating_sub(MARGIN);
    SignIn::new(&format!("Bearer {token}"), Some(until)).ok_or_else(|| odd("its token fits into no header"))
}
