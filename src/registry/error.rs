//! Why a registry did not answer, by what a person or the daemon does about it.

use jiff::Timestamp;

use super::reference::Repository;
use crate::error::Diagnostic;

/// Why something could not be had of a registry. It can be cloned: who waited for the same answer gets it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection, no answer, or a name that does not resolve.
    #[error("cannot reach {registry}: {reason}")]
    Unreachable {
        /// Its host.
        registry: String,
        /// What the network said.
        reason: String,
    },
    /// The address is one behind which no registry is.
    #[error("{registry} has a link-local address, which is not asked")]
    AddressRefused {
        /// Its host.
        registry: String,
    },
    /// What is given to reach registries is no use.
    #[error("registries cannot be asked: {reason}")]
    Unusable {
        /// Why.
        reason: &'static str,
    },
    /// It wants to know who asks, and nothing is configured.
    #[error("{repository} wants credentials, none are configured for it")]
    CredentialsMissing {
        /// The repository.
        repository: Repository,
    },
    /// It does not accept who asks.
    #[error("{repository} refuses the configured credentials")]
    Unauthorized {
        /// The repository.
        repository: Repository,
    },
    /// It knows who asks and says no.
    #[error("{repository} denies access")]
    Forbidden {
        /// The repository.
        repository: Repository,
    },
    /// There is no such repository, tag or digest.
    #[error("there is no {what} in {repository}")]
    NotFound {
        /// The repository.
        repository: Repository,
        /// What was asked for: `tag 1.4.2`.
        what: String,
    },
    /// It wants to be left alone for a while.
    #[error("{registry} takes no more requests until {until}")]
    Limited {
        /// Its host.
        registry: String,
        /// Until when.
        until: Timestamp,
    },
    /// It is broken for the moment.
    #[error("{registry} answered {status}")]
    Unavailable {
        /// Its host.
        registry: String,
        /// The HTTP status.
        status: u16,
    },
    /// A status that registries don't give.
    #[error("{registry} answered {status}: {said}")]
    Status {
        /// Its host.
        registry: String,
        /// The HTTP status.
        status: u16,
        /// In its words.
        said: String,
    },
    /// Another server is named as the place to ask.
    #[error("{registry} leads elsewhere, to `{to}`, where it may not")]
    Redirected {
        /// Its host.
        registry: String,
        /// Scheme and host.
        to: String,
    },
    /// An answer that is none of a registry.
    #[error("{registry} does not answer as a registry: {why}")]
    Odd {
        /// Its host.
        registry: String,
        /// What is wrong.
        why: String,
    },
    /// More than is taken.
    #[error("{what} of {repository} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The repository.
        repository: Repository,
        /// What was asked for.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// More tags than are looked at.
    #[error("{repository} has more than {limit} tags to look at")]
    TooMany {
        /// The repository.
        repository: Repository,
        /// The limit.
        limit: usize,
    },
    /// Not the bytes that a digest stands for.
    #[error("{repository} sends other bytes than those of {digest}")]
    Mismatch {
        /// The repository.
        repository: Repository,
        /// What was asked for.
        digest: String,
    },
}

impl Error {
    /// True when trying again can help without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Limited { .. } | Error::Unavailable { .. } | Error::Odd { .. } => true,
            Error::AddressRefused { .. }
            | Error::Unusable { .. }
            | Error::CredentialsMissing { .. }
            | Error::Unauthorized { .. }
            | Error::Forbidden { .. }
            | Error::NotFound { .. }
            | Error::Status { .. }
            | Error::Redirected { .. }
            | Error::TooLarge { .. }
            | Error::TooMany { .. }
            | Error::Mismatch { .. } => false,
        }
    }

    /// When it wants to be asked again, if it said so.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Error::Limited { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// One imperative sentence, when there is something sure to say.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Error::CredentialsMissing { .. } => {
                "Label the Secret of type `kubernetes.io/dockerconfigjson` with `leeboard.dev/secret-type: registry`."
            }
            Error::TooMany { .. } => "Name the tags that count by `allowTags`.",
            _ => return None,
        })
    }
}

impl From<&Error> for Diagnostic {
    fn from(error: &Error) -> Self {
        let diagnostic = Diagnostic::new(error.to_string());
        match error.hint() {
            Some(hint) => diagnostic.with_hint(hint),
            None => diagnostic,
        }
    }
}
