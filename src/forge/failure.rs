//! What it means that a call has no result: the [`Error`] of a missing answer, and of one that says no.

use http::StatusCode;
use jiff::Timestamp;

use super::call::{Answer, Call, Repeat, Unread};
use super::client::{Broken, LARGEST};
use super::error::Error;
use super::http::Forge;
use super::sign_in::Credential;

/// Why a call has no result.
#[derive(Debug)]
pub(super) enum Failure {
    Error(Error),
    /// The repository has another name now; a write is not sent there blindly.
    Moved {
        to: String,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

impl Forge {
    /// What a redirect of a write means; of a read, one that leads nowhere.
    pub(super) fn redirected<T>(&self, call: &Call<T>, answer: &Answer) -> Failure {
        let url = call.url(self.api());
        let to = answer.header("location").and_then(|to| url.join(to).ok());
        match to {
            Some(to) if to.origin() == url.origin() && call.is_write() => Failure::Moved { to: to.path().to_owned() },
            to => {
                let to = to.map_or_else(|| "nowhere".to_owned(), |to| to.origin().ascii_serialization());
                Error::Redirected { action: call.action.clone(), forge: self.address(), to }.into()
            }
        }
    }

    /// The error of a write that was redirected and is not repeated.
    pub(super) fn told(&self, failure: Failure, action: &str) -> Error {
        match failure {
            Failure::Error(error) => error,
            Failure::Moved { to } => Error::Redirected { action: action.to_owned(), forge: self.address(), to },
        }
    }

    pub(super) fn limited(&self, action: &str, until: Timestamp) -> Error {
        Error::RateLimited { action: action.to_owned(), forge: self.address(), until }
    }

    pub(super) fn broken<T>(&self, broken: Broken, call: &Call<T>) -> Error {
        let (action, forge) = (call.action.clone(), self.address());
        match (broken, call.repeat) {
            (Broken::Unsent(reason), _) | (Broken::Lost(reason), Repeat::Safe) => {
                Error::Unreachable { action, forge, reason }
            }
            (Broken::Lost(reason), Repeat::Unsafe) => Error::Lost { action, forge, reason },
            (Broken::TooLarge, _) => Error::TooLarge { action, forge, limit: LARGEST },
            (Broken::Elsewhere(to), _) => Error::Redirected { action, forge, to },
        }
    }

    /// The error of an answer that is not what was asked for.
    pub(super) fn unread(&self, action: &str, answer: &Answer, unread: Unread) -> Error {
        let (action, forge) = (action.to_owned(), self.address());
        let problem = match unread {
            Unread::Malformed(problem) => problem,
            Unread::Refused => {
                let (status, said) = (answer.status.as_u16(), self.without_secrets(answer.said()));
                return match answer.status {
                    StatusCode::UNAUTHORIZED => Error::Unauthorized { action, forge },
                    StatusCode::FORBIDDEN => {
                        let right = self.dialect().missing_right(answer).map(|right| self.without_secrets(right));
                        Error::Forbidden { action, forge, right, said }
                    }
                    StatusCode::NOT_FOUND | StatusCode::GONE => Error::NotFound { action, forge },
                    _ => Error::Refused { action, forge, status, said },
                };
            }
        };
        Error::NotTheApi { action, forge, problem: self.without_secrets(problem) }
    }

    /// A forge, or a proxy before it, may repeat what it was sent.
    fn without_secrets(&self, text: String) -> String {
        let secret = match self.credential() {
            Some(Credential::Token(secret) | Credential::Basic { password: secret, .. }) => secret,
            Some(Credential::App(_)) | None => return text,
        };
        match std::str::from_utf8(secret.expose()) {
            Ok(secret) if !secret.is_empty() && text.contains(secret) => text.replace(secret, "•••••"),
            _ => text,
        }
    }

    /// What is given to reach the forge is of no use.
    pub(super) fn unusable(&self, problem: &'static str) -> Error {
        Error::Credential { forge: self.address(), problem }
    }
}
