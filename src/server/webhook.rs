//! Events of the forges: a hint that a branch has moved, or that there is something new about a pull request, and nothing
//! more.
//!
//! **In:** headers and raw body of a request, the configured secrets. **Out:** [`PushHint`]s and [`PullHint`]s, or a
//! [`Rejection`] in one sentence. **May not:** do I/O, or make a path, a pattern or a URL to fetch of anything in a payload: a hint only
//! selects among the repositories that are configured ([`PushHint::concerns`]).
//!
//! The signature is verified on the raw body before a byte of it is parsed. One file per forge says which header names
//! the event, how it is signed and where its payload has the names; Gitea is looked for before Gogs and GitHub, whose
//! headers it sends too.

mod bitbucket;
mod delivery;
mod github;
mod gitlab;
mod signature;

use std::collections::BTreeMap;
use std::fmt;

use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::forge::Kind;
use crate::git::RepoUrl;
pub(super) use delivery::Deliveries;
pub use delivery::delivery;
pub use signature::Secret;
use signature::Standard;

/// Who sends webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Gitea and Forgejo.
    Gitea,
    /// Gogs.
    Gogs,
    /// GitHub and GitHub Enterprise.
    GitHub,
    /// GitLab.
    GitLab,
    /// bitbucket.org.
    BitbucketCloud,
    /// Bitbucket Server and Data Center.
    BitbucketServer,
}

impl Provider {
    /// The forge whose API is asked about what it says; none of Gogs.
    pub fn forge(self) -> Option<Kind> {
        match self {
            Provider::Gitea => Some(Kind::Gitea),
            Provider::Gogs => None,
            Provider::GitHub => Some(Kind::GitHub),
            Provider::GitLab => Some(Kind::GitLab),
            Provider::BitbucketCloud => Some(Kind::BitbucketCloud),
            Provider::BitbucketServer => Some(Kind::BitbucketServer),
        }
    }

    /// A word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::Gitea => "gitea",
            Provider::Gogs => "gogs",
            Provider::GitHub => "github",
            Provider::GitLab => "gitlab",
            Provider::BitbucketCloud => "bitbucket",
            Provider::BitbucketServer => "bitbucketserver",
        }
    }
}

/// A branch or tag of a repository has moved, a stranger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushHint {
    /// Who says so.
    pub provider: Provider,
    /// The addresses by which the repository may be known here: to be compared, never to be fetched.
    repositories: Vec<RepoUrl>,
    /// The full name: `refs/heads/main`.
    pub reference: String,
    /// The commit it points to now, in hexadecimal; `None` when it is gone or not told.
    pub after: Option<String>,
}

impl PushHint {
    /// True when this is about a repository that is configured, whatever way leads to it: a forge may send another form
    /// of the address than the one in use.
    pub fn concerns(&self, url: &RepoUrl) -> bool {
        self.repositories.iter().any(|candidate| candidate.is_same_repository(url))
    }
}

/// There is something new about a pull request, a stranger says: it is looked at again, and nothing else is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullHint {
    /// Who says so.
    pub provider: Provider,
    /// The addresses by which the repository that it is for may be known here: to be compared, never to be fetched.
    repositories: Vec<RepoUrl>,
    /// Its number.
    pub number: u64,
    /// A comment that was written: perhaps a command. To be read from the forge before anything is done.
    pub comment: Option<u64>,
}

impl PullHint {
    /// True when this is about a repository that is configured, as [`PushHint::concerns`].
    pub fn concerns(&self, url: &RepoUrl) -> bool {
        self.repositories.iter().any(|candidate| candidate.is_same_repository(url))
    }
}

/// What an event says; of most nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<P = PushHint, Q = PullHint> {
    /// Branches and tags that have moved.
    pub pushes: Vec<P>,
    /// Pull requests with something new.
    pub pulls: Vec<Q>,
}

impl<P, Q> Default for Received<P, Q> {
    fn default() -> Self {
        Received { pushes: Vec::new(), pulls: Vec::new() }
    }
}

impl<P, Q> Received<P, Q> {
    fn pushes(pushes: Vec<P>) -> Self {
        Received { pushes, pulls: Vec::new() }
    }

    fn pulls(pulls: Vec<Q>) -> Self {
        Received { pushes: Vec::new(), pulls }
    }

    /// True of an event that nobody here waits for.
    pub fn is_empty(&self) -> bool {
        self.pushes.is_empty() && self.pulls.is_empty()
    }
}

/// What the forges were given to sign with. Replace the whole value when its Secret changes.
///
/// As soon as one is set, events of a provider that has none are refused: otherwise a forger would pick that provider.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Key of the HMAC in `X-Hub-Signature-256`.
    pub github: Option<Secret>,
    /// The token in `X-Gitlab-Token`, or the signing token, `whsec_…`, of which the key in `webhook-signature` is made.
    pub gitlab: Option<Secret>,
    /// Key of the HMAC in `X-Gitea-Signature` and `X-Gogs-Signature`.
    pub gitea: Option<Secret>,
    /// The UUID in `X-Hook-UUID`.
    pub bitbucket_uuid: Option<Secret>,
    /// Key of the HMAC in `X-Hub-Signature` of bitbucket.org, which the UUID need not be: it is no secret to whoever sees
    /// the repository's settings.
    pub bitbucket: Option<Secret>,
    /// Key of the HMAC in `X-Hub-Signature` of Bitbucket Server.
    pub bitbucket_server: Option<Secret>,
}

impl Secrets {
    /// Reads the keys that Argo CD's users have in `argocd-secret`: `webhook.github.secret` and its like.
    pub fn from_data(data: &BTreeMap<String, Vec<u8>>) -> Self {
        let secret = |key: &str| data.get(key).filter(|value| !value.is_empty()).map(|value| Secret::new(value));
        Secrets {
            github: secret("webhook.github.secret"),
            gitlab: secret("webhook.gitlab.secret"),
            gitea: secret("webhook.gogs.secret"),
            bitbucket_uuid: secret("webhook.bitbucket.uuid"),
            bitbucket: secret("webhook.bitbucket.secret"),
            bitbucket_server: secret("webhook.bitbucketserver.secret"),
        }
    }

    fn of(&self, provider: Provider) -> Option<&Secret> {
        match provider {
            Provider::Gitea | Provider::Gogs => self.gitea.as_ref(),
            Provider::GitHub => self.github.as_ref(),
            Provider::GitLab => self.gitlab.as_ref(),
            Provider::BitbucketCloud => self.bitbucket.as_ref().or(self.bitbucket_uuid.as_ref()),
            Provider::BitbucketServer => self.bitbucket_server.as_ref(),
        }
    }

    fn any(&self) -> bool {
        let bitbucket = [&self.bitbucket_uuid, &self.bitbucket, &self.bitbucket_server];
        let all = [&self.github, &self.gitlab, &self.gitea].into_iter().chain(bitbucket).collect::<Vec<_>>();
        all.iter().any(|secret| secret.is_some())
    }
}

/// Why a request is no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No header names a known forge.
    #[error("no header tells the sender: expected the event header of GitHub, GitLab, Gitea, Gogs or Bitbucket")]
    UnknownProvider,
    /// The signature or token is missing or wrong.
    #[error("the {what} is missing or wrong")]
    Unauthenticated {
        /// What was looked at.
        what: &'static str,
    },
    /// Secrets are configured, but none for this provider.
    #[error("no secret is configured for {provider}, but for others: set one for it")]
    NoSecret {
        /// Who sent it.
        provider: Provider,
    },
    /// Anybody could send events of pull requests, and each costs more than a look at a branch.
    #[error("no secret is configured for {provider}: events of pull requests are taken with one only")]
    SecretWanted {
        /// Who sent it.
        provider: Provider,
    },
    /// The body is not what that event has.
    #[error("the body is no {event} event: {problem}")]
    Malformed {
        /// The event that the header names.
        event: &'static str,
        /// Where it ends to be one.
        problem: String,
    },
}

impl Rejection {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Rejection::UnknownProvider | Rejection::Malformed { .. } => StatusCode::BAD_REQUEST,
            Rejection::Unauthenticated { .. } | Rejection::NoSecret { .. } => StatusCode::UNAUTHORIZED,
            Rejection::SecretWanted { .. } => StatusCode::NOT_FOUND,
        }
    }

    /// A word for metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Rejection::UnknownProvider | Rejection::Malformed { .. } => "malformed",
            Rejection::Unauthenticated { .. } | Rejection::NoSecret { .. } | Rejection::SecretWanted { .. } => {
                "unauthenticated"
            }
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who sent a request, told by its headers.
pub fn provider(headers: &HeaderMap) -> Option<Provider> {
    let telling = [
        ("x-gitea-event", Provider::Gitea),
        ("x-forgejo-event", Provider::Gitea),
        ("x-gogs-event", Provider::Gogs),
        ("x-github-event", Provider::GitHub),
        ("x-gitlab-event", Provider::GitLab),
        ("x-hook-uuid", Provider::BitbucketCloud),
        ("x-event-key", Provider::BitbucketServer),
    ];
    telling.into_iter().find(|(header, _)| headers.contains_key(*header)).map(|(_, provider)| provider)
}

/// The hints of a request; none when it is an event that nobody here waits for.
///
/// # Errors
/// When the sender is unknown or not authenticated, or the body is not what the header says.
pub fn receive(headers: &HeaderMap, body: &[u8], secrets: &Secrets, now: Timestamp) -> Result<Received, Rejection> {
    let provider = provider(headers).ok_or(Rejection::UnknownProvider)?;
    match secrets.of(provider) {
        Some(_) => authenticate(provider, headers, body, secrets, now)?,
        None if secrets.any() => return Err(Rejection::NoSecret { provider }),
        None => {}
    }
    let Received { pushes, pulls } = said(provider, headers, body)?;
    if !pulls.is_empty() && secrets.of(provider).is_none() {
        return Err(Rejection::SecretWanted { provider });
    }
    let pushes = pushes.into_iter().take(MAX_HINTS).map(|push| push.hint(provider)).collect::<Result<_, _>>()?;
    let pulls = pulls.into_iter().take(MAX_HINTS).map(|touch| touch.hint(provider)).collect::<Result<_, _>>()?;
    Ok(Received { pushes, pulls })
}

/// What the body of an event says that the header names.
fn said(provider: Provider, headers: &HeaderMap, body: &[u8]) -> Result<Received<Push, Touch>, Rejection> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let event = match provider {
        Provider::Gitea if headers.contains_key("x-gitea-event") => header("x-gitea-event"),
        Provider::Gitea => header("x-forgejo-event"),
        Provider::Gogs => header("x-gogs-event"),
        Provider::GitHub => header("x-github-event"),
        Provider::GitLab => header("x-gitlab-event"),
        Provider::BitbucketCloud | Provider::BitbucketServer => header("x-event-key"),
    };
    match provider {
        Provider::Gitea | Provider::Gogs | Provider::GitHub if event == "push" => {
            github::pushes(body).map(Received::pushes)
        }
        Provider::Gitea | Provider::Gogs | Provider::GitHub if github::is_of_pulls(event) => {
            github::pulls(event, body).map(Received::pulls)
        }
        Provider::GitLab => match event {
            "Push Hook" | "Tag Push Hook" => gitlab::pushes(body).map(Received::pushes),
            "Merge Request Hook" => gitlab::pulls(body).map(Received::pulls),
            "Note Hook" => gitlab::notes(body).map(Received::pulls),
            "System Hook" => gitlab::system(body),
            _ => Ok(Received::default()),
        },
        Provider::BitbucketCloud if event == "repo:push" => bitbucket::cloud_pushes(body).map(Received::pushes),
        Provider::BitbucketCloud if event.starts_with("pullrequest:") => {
            bitbucket::cloud_pulls(event, body).map(Received::pulls)
        }
        Provider::BitbucketServer if event == "repo:refs_changed" => {
            bitbucket::server_pushes(body).map(Received::pushes)
        }
        Provider::BitbucketServer if event.starts_with("pr:") => {
            bitbucket::server_pulls(event, body).map(Received::pulls)
        }
        _ => Ok(Received::default()),
    }
}

fn authenticate(
    provider: Provider,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &Secrets,
    now: Timestamp,
) -> Result<(), Rejection> {
    let header = |name: &str| headers.get(name).map(|value| value.as_bytes()).unwrap_or_default();
    if let (Provider::BitbucketCloud, Some(uuid)) = (provider, &secrets.bitbucket_uuid)
        && !uuid.equals(header("x-hook-uuid"))
    {
        return Err(Rejection::Unauthenticated { what: "hook's UUID" });
    }
    let Some(secret) = secrets.of(provider) else { return Err(Rejection::NoSecret { provider }) };
    let (what, authentic) = match provider {
        Provider::Gitea if headers.contains_key("x-gitea-signature") => {
            ("signature", secret.signed(body, header("x-gitea-signature")))
        }
        Provider::Gitea if headers.contains_key("x-forgejo-signature") => {
            ("signature", secret.signed(body, header("x-forgejo-signature")))
        }
        Provider::Gitea | Provider::Gogs => ("signature", secret.signed(body, header("x-gogs-signature"))),
        Provider::GitHub => ("signature", secret.signed_with_prefix(body, header("x-hub-signature-256"))),
        Provider::BitbucketServer => ("signature", secret.signed_with_prefix(body, header("x-hub-signature"))),
        Provider::BitbucketCloud if secrets.bitbucket.is_some() => {
            ("signature", secret.signed_with_prefix(body, header("x-hub-signature")))
        }
        Provider::GitLab => {
            let sent = Standard {
                id: header("webhook-id"),
                timestamp: header("webhook-timestamp"),
                signatures: header("webhook-signature"),
            };
            let is_told = secret.equals(header("x-gitlab-token"));
            ("token or signature", is_told || secret.signed_as_standard(body, &sent, now))
        }
        Provider::BitbucketCloud => ("hook's UUID", secret.equals(header("x-hook-uuid"))),
    };
    if authentic { Ok(()) } else { Err(Rejection::Unauthenticated { what }) }
}

/// What a payload says, not yet looked at.
struct Push {
    repositories: Vec<Option<String>>,
    reference: String,
    after: Option<String>,
}

/// A push of more branches than this is as good a hint as one of them: its repository is fetched.
const MAX_HINTS: usize = 64;

/// Above what any forge sends; a payload is a stranger's.
const MAX_NAME_BYTES: usize = 1024;

/// What a payload says of a pull request, not yet looked at.
struct Touch {
    repositories: Vec<Option<String>>,
    number: u64,
    comment: Option<u64>,
}

impl Push {
    fn hint(self, provider: Provider) -> Result<PushHint, Rejection> {
        let repositories = addresses("push", self.repositories)?;
        if !self.reference.starts_with("refs/") || !is_plain(&self.reference) {
            let problem = "`ref` is not the full name of a branch or tag".into();
            return Err(Rejection::Malformed { event: "push", problem });
        }
        let is_commit = |id: &String| {
            matches!(id.len(), 40 | 64)
                && id.bytes().all(|byte| byte.is_ascii_hexdigit())
                && id.bytes().any(|byte| byte != b'0')
        };
        Ok(PushHint { provider, repositories, reference: self.reference, after: self.after.filter(is_commit) })
    }
}

impl Touch {
    fn hint(self, provider: Provider) -> Result<PullHint, Rejection> {
        let repositories = addresses("pull request", self.repositories)?;
        Ok(PullHint { provider, repositories, number: self.number, comment: self.comment })
    }
}

/// The addresses of a repository that an event names.
fn addresses(event: &'static str, named: Vec<Option<String>>) -> Result<Vec<RepoUrl>, Rejection> {
    let malformed = |problem: &str| Rejection::Malformed { event, problem: problem.into() };
    let named: Vec<String> = named.into_iter().flatten().filter(|url| !url.is_empty()).collect();
    if named.is_empty() {
        return Err(malformed("it names no repository"));
    }
    // One of its addresses may have a form that no repository is configured with here.
    let repositories: Vec<RepoUrl> = named.iter().filter_map(|url| RepoUrl::parse(url).ok()).collect();
    if repositories.is_empty() || !named.iter().all(|url| is_plain(url)) {
        return Err(malformed("the repository's URL is none"));
    }
    Ok(repositories)
}

fn is_plain(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control)
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejection> {
    parsed_as("push", body)
}

fn parsed_as<T: DeserializeOwned>(event: &'static str, body: &[u8]) -> Result<T, Rejection> {
    serde_json::from_slice(body).map_err(|error| Rejection::Malformed { event, problem: error.to_string() })
}

#[cfg(test)]
mod tests;
