//! Push events of the forges: a hint that a branch has moved, and nothing more.
//!
//! **In:** headers and raw body of a request, the configured secrets. **Out:** [`PushHint`]s, or a [`Rejection`] in one
//! sentence. **May not:** do I/O, or make a path, a pattern or a URL to fetch of anything in a payload: a hint only
//! selects among the repositories that are configured ([`PushHint::concerns`]).
//!
//! The signature is verified on the raw body before a byte of it is parsed. One file per forge says which header names
//! the event, how it is signed and where its payload has the names; Gitea is looked for before Gogs and GitHub, whose
//! headers it sends too.

mod bitbucket;
mod github;
mod gitlab;
mod signature;

use std::collections::BTreeMap;
use std::fmt;

use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::git::RepoUrl;
pub use signature::Secret;

/// Who sends webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What the forges were given to sign with. Replace the whole value when its Secret changes.
///
/// As soon as one is set, events of a provider that has none are refused: otherwise a forger would pick that provider.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Key of the HMAC in `X-Hub-Signature-256`.
    pub github: Option<Secret>,
    /// The token in `X-Gitlab-Token`.
    pub gitlab: Option<Secret>,
    /// Key of the HMAC in `X-Gitea-Signature` and `X-Gogs-Signature`.
    pub gitea: Option<Secret>,
    /// The UUID in `X-Hook-UUID`.
    pub bitbucket_uuid: Option<Secret>,
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
            bitbucket_server: secret("webhook.bitbucketserver.secret"),
        }
    }

    fn of(&self, provider: Provider) -> Option<&Secret> {
        match provider {
            Provider::Gitea | Provider::Gogs => self.gitea.as_ref(),
            Provider::GitHub => self.github.as_ref(),
            Provider::GitLab => self.gitlab.as_ref(),
            Provider::BitbucketCloud => self.bitbucket_uuid.as_ref(),
            Provider::BitbucketServer => self.bitbucket_server.as_ref(),
        }
    }

    fn any(&self) -> bool {
        let all = [&self.github, &self.gitlab, &self.gitea, &self.bitbucket_uuid, &self.bitbucket_server];
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
        }
    }

    /// A word for metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Rejection::UnknownProvider | Rejection::Malformed { .. } => "malformed",
            Rejection::Unauthenticated { .. } | Rejection::NoSecret { .. } => "unauthenticated",
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

/// The hints of a request; none when it is an event that moves no branch or tag.
///
/// # Errors
/// When the sender is unknown or not authenticated, or the body is not what the header says.
pub fn receive(headers: &HeaderMap, body: &[u8], secrets: &Secrets) -> Result<Vec<PushHint>, Rejection> {
    let provider = provider(headers).ok_or(Rejection::UnknownProvider)?;
    match secrets.of(provider) {
        Some(secret) => authenticate(provider, headers, body, secret)?,
        None if secrets.any() => return Err(Rejection::NoSecret { provider }),
        None => {}
    }
    let event = |header: &str| headers.get(header).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let pushes = match provider {
        Provider::Gitea => match event("x-gitea-event") {
            "push" => github::pushes(body),
            "" if event("x-forgejo-event") == "push" => github::pushes(body),
            _ => Ok(Vec::new()),
        },
        Provider::Gogs if event("x-gogs-event") == "push" => github::pushes(body),
        Provider::GitHub if event("x-github-event") == "push" => github::pushes(body),
        Provider::GitLab => match event("x-gitlab-event") {
            "Push Hook" | "Tag Push Hook" => gitlab::pushes(body),
            "System Hook" => gitlab::system_pushes(body),
            _ => Ok(Vec::new()),
        },
        Provider::BitbucketCloud if event("x-event-key") == "repo:push" => bitbucket::cloud_pushes(body),
        Provider::BitbucketServer if event("x-event-key") == "repo:refs_changed" => bitbucket::server_pushes(body),
        _ => Ok(Vec::new()),
    }?;
    pushes.into_iter().take(MAX_HINTS).map(|push| push.hint(provider)).collect()
}

fn authenticate(provider: Provider, headers: &HeaderMap, body: &[u8], secret: &Secret) -> Result<(), Rejection> {
    let header = |name: &str| headers.get(name).map(|value| value.as_bytes()).unwrap_or_default();
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
        Provider::GitLab => ("token", secret.equals(header("x-gitlab-token"))),
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

impl Push {
    fn hint(self, provider: Provider) -> Result<PushHint, Rejection> {
        let malformed = |problem: &str| Rejection::Malformed { event: "push", problem: problem.into() };
        let plain = |text: &str| text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control);
        let named: Vec<String> = self.repositories.into_iter().flatten().filter(|url| !url.is_empty()).collect();
        if named.is_empty() {
            return Err(malformed("it names no repository"));
        }
        // One of its addresses may have a form that no repository is configured with here.
        let repositories: Vec<RepoUrl> = named.iter().filter_map(|url| RepoUrl::parse(url).ok()).collect();
        if repositories.is_empty() || !named.iter().all(|url| plain(url)) {
            return Err(malformed("the repository's URL is none"));
        }
        if !self.reference.starts_with("refs/") || !plain(&self.reference) {
            return Err(malformed("`ref` is not the full name of a branch or tag"));
        }
        let is_commit = |id: &String| {
            matches!(id.len(), 40 | 64)
                && id.bytes().all(|byte| byte.is_ascii_hexdigit())
                && id.bytes().any(|byte| byte != b'0')
        };
        Ok(PushHint { provider, repositories, reference: self.reference, after: self.after.filter(is_commit) })
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejection> {
    serde_json::from_slice(body).map_err(|error| Rejection::Malformed { event: "push", problem: error.to_string() })
}

#[cfg(test)]
mod tests;
