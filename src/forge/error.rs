//! What can go wrong with a forge, by what a person or the daemon does about it. No error holds a credential, nor a body.

use jiff::Timestamp;

use crate::error::Diagnostic;

/// Why a forge did not do what it was asked for.
///
/// `action` is what was asked, `forge` the address at which people find it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection, or a name that does not resolve: nothing was done.
    #[error("cannot {action} at {forge}: {reason}")]
    Unreachable {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
        /// What the network said.
        reason: String,
    },
    /// The server is in trouble; nothing was done, or nothing that matters when it is done twice.
    #[error("cannot {action} at {forge}: it answers {status}")]
    Unavailable {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
        /// The answer's status.
        status: u16,
        /// When it is asked again at the earliest.
        until: Timestamp,
    },
    /// The forge was in trouble just now, and is left in peace for a while.
    #[error("cannot {action} at {forge}: it was in trouble, it is asked again at {until:.0}")]
    Resting {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
        /// When it is asked again at the earliest.
        until: Timestamp,
    },
    /// No answer came back: whether it was done is not known.
    #[error("cannot tell whether it worked to {action} at {forge}: {reason}")]
    Lost {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
        /// What was seen instead of an answer.
        reason: String,
    },
    /// All requests that the credential has are used, or the rest is kept for what is urgent.
    #[error("cannot {action} at {forge}: its limit of requests is reached until {until:.0}")]
    RateLimited {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
        /// When there are some again.
        until: Timestamp,
    },
    /// The forge does not accept who asks.
    #[error("cannot {action} at {forge}: it refuses the configured credential")]
    Unauthorized {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
    },
    /// The forge knows who asks and says no.
    #[error("cannot {action} at {forge}: the credential may not{}", told(.said))]
    Forbidden {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
        /// The right that is missing, in the forge's name for it, when it tells.
        right: Option<String>,
        /// In the forge's words.
        said: String,
    },
    /// There is none, or the credential may not see it: forges do not tell the one from the other.
    #[error("cannot {action} at {forge}: there is no such thing, or the credential may not see it")]
    NotFound {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
    },
    /// The forge does not do it.
    #[error("cannot {action} at {forge}: it answers {status}{}", told(.said))]
    Refused {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
        /// The answer's status.
        status: u16,
        /// In the forge's words.
        said: String,
    },
    /// The answer is none of that forge's.
    #[error("cannot {action} at {forge}: the answer is not what its API gives: {problem}")]
    NotTheApi {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
        /// What is odd.
        problem: String,
    },
    /// The forge sends us elsewhere, and a credential is not taken there.
    #[error("cannot {action} at {forge}: it sends us to {to}")]
    Redirected {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
        /// Scheme and host.
        to: String,
    },
    /// More than any answer has.
    #[error("cannot {action} at {forge}: the answer is larger than {} MiB", limit >> 20)]
    TooLarge {
        /// What was asked.
        action: String,
        /// The forge.
        forge: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// What was given to sign in with cannot be used.
    #[error("cannot sign in at {forge}: {problem}")]
    Credential {
        /// The forge.
        forge: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The repository is elsewhere.
    #[error("{url} is no repository of {forge}")]
    Elsewhere {
        /// The forge.
        forge: String,
        /// The repository's address.
        url: String,
    },
}

impl Error {
    /// True when trying again can help without a change of the configuration or of the pull request.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Error::Unreachable { .. }
                | Error::Unavailable { .. }
                | Error::Resting { .. }
                | Error::Lost { .. }
                | Error::RateLimited { .. }
                // Most often a proxy, or a page that says that the forge is being updated.
                | Error::NotTheApi { .. }
        )
    }

    /// When trying again can help at the earliest, if that is known.
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Error::RateLimited { until, .. } | Error::Resting { until, .. } | Error::Unavailable { until, .. } => {
                Some(*until)
            }
            _ => None,
        }
    }

    /// One imperative sentence, when there is something sure to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Unauthorized { .. } => Some("Replace the token: it is wrong or has expired.".into()),
            Error::Forbidden { right: Some(right), .. } => Some(format!("Give the token the right `{right}`.")),
            Error::Forbidden { right: None, .. } => Some("Give the token's account more rights.".into()),
            Error::NotFound { .. } => Some("Check that the token's account is a member of the repository.".into()),
            Error::Redirected { .. } => Some("Check the forge's address: a credential is not taken elsewhere.".into()),
            Error::NotTheApi { .. } => Some("Check which forge it is, and its address.".into()),
            _ => None,
        }
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

fn told(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}
