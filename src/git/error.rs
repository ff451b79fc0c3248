//! What can go wrong between a repository and a snapshot, by what a person or the daemon does about it.

use std::time::Duration;

use super::oid::Oid;
use super::url::RepoUrl;
use crate::error::Diagnostic;

/// Why a repository, a revision or a file in it could not be had. Whatever it is, the mirror keeps what it had.
///
/// It can be cloned, because callers who waited for the same fetch get the same answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection, no answer, or a name that does not resolve.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The repository.
        url: RepoUrl,
        /// What the network said.
        reason: String,
    },
    /// TLS says that this is not the server it claims to be.
    #[error("cannot trust the server of {url}: {reason}")]
    Untrusted {
        /// The repository.
        url: RepoUrl,
        /// What the check said.
        reason: Distrust,
    },
    /// The server does not move a branch.
    #[error("{url} refuses a push to {branch}: {reason}")]
    PushRefused {
        /// The repository.
        url: RepoUrl,
        /// The branch.
        branch: String,
        /// In the server's words.
        reason: String,
    },
    /// What came after a commit changes the same lines.
    #[error("commit {commit} of {url} cannot be taken back: {path} was changed since")]
    Conflicting {
        /// The repository.
        url: RepoUrl,
        /// The commit.
        commit: Oid,
        /// The first file in the way.
        path: String,
    },
    /// The ssh server shows a key that the known hosts do not have.
    #[error("the host key of {url} is not among the known hosts ({key})")]
    UnknownHostKey {
        /// The repository.
        url: RepoUrl,
        /// Algorithm and fingerprint of the key that the server showed.
        key: String,
    },
    /// The ssh server shows another key than the known hosts have for it.
    #[error("the host key of {url} has changed ({key}): someone may be listening in")]
    HostKeyChanged {
        /// The repository.
        url: RepoUrl,
        /// Algorithm and fingerprint of the key that the server showed.
        key: String,
    },
    /// The server wants to know who asks, and nothing is configured.
    #[error("{url} wants credentials, none are configured for it")]
    CredentialsMissing {
        /// The repository.
        url: RepoUrl,
    },
    /// The server does not accept who asks.
    #[error("{url} refuses the configured credentials")]
    Unauthorized {
        /// The repository.
        url: RepoUrl,
    },
    /// The server knows who asks and says no.
    #[error("{url} denies access")]
    Forbidden {
        /// The repository.
        url: RepoUrl,
    },
    /// A configured credential can't be used, a key that is no key for instance.
    #[error("the credentials for {url} cannot be used: {reason}")]
    BadCredentials {
        /// The repository.
        url: RepoUrl,
        /// Why, without any of its content.
        reason: String,
    },
    /// There is no such repository (or the server does not want to say that there is).
    #[error("there is no repository at {url}")]
    NotFound {
        /// The repository.
        url: RepoUrl,
    },
    /// The server has too much to do, or is broken for the moment.
    #[error("the server of {url} answered {status}")]
    Busy {
        /// The repository.
        url: RepoUrl,
        /// The HTTP status.
        status: u16,
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// An HTTP status that git servers don't give.
    #[error("the server of {url} answered {status}")]
    Status {
        /// The repository.
        url: RepoUrl,
        /// The HTTP status.
        status: u16,
    },
    /// Another server is named as the place to ask. It is not asked: it would be given our credentials.
    #[error("{url} redirects to another server, `{to}`")]
    Redirected {
        /// The repository.
        url: RepoUrl,
        /// Scheme and host of the other server.
        to: String,
    },
    /// An answer, but not git's: a login page for instance.
    #[error("{url} does not answer as a git server: the content is `{content_type}`")]
    NotGit {
        /// The repository.
        url: RepoUrl,
        /// The content type of the answer.
        content_type: String,
    },
    /// The answer ended before its end.
    #[error("the answer of {url} was cut off")]
    Cut {
        /// The repository.
        url: RepoUrl,
    },
    /// The answer does not follow the protocol.
    #[error("{url} does not follow git's protocol: {reason}")]
    Protocol {
        /// The repository.
        url: RepoUrl,
        /// What is wrong.
        reason: String,
    },
    /// The git server itself reports an error.
    #[error("the server of {url} says: {message}")]
    Server {
        /// The repository.
        url: RepoUrl,
        /// Its words.
        message: String,
    },
    /// More data than is taken.
    #[error("{url} sends more than the limit of {limit} bytes")]
    TooLarge {
        /// The repository.
        url: RepoUrl,
        /// The limit in force.
        limit: u64,
    },
    /// The repository has no branch and no tag.
    #[error("the repository {url} is empty")]
    Empty {
        /// The repository.
        url: RepoUrl,
    },
    /// What was written is no revision at all.
    #[error("`{revision}` is not a revision: {reason}")]
    BadRevision {
        /// As it was written.
        revision: String,
        /// Why.
        reason: &'static str,
    },
    /// Neither a branch nor a tag, and never seen as one.
    #[error("{url} has no branch or tag `{revision}`")]
    NoRevision {
        /// The repository.
        url: RepoUrl,
        /// As it was written.
        revision: String,
    },
    /// No commit with that id.
    #[error("{url} has no commit `{revision}`")]
    NoCommit {
        /// The repository.
        url: RepoUrl,
        /// As it was written.
        revision: String,
    },
    /// It was there, and is gone.
    #[error("`{revision}` was deleted from {url}, it last stood at {}", last.short())]
    Deleted {
        /// The repository.
        url: RepoUrl,
        /// The branch or tag.
        revision: String,
        /// Where it last stood.
        last: Oid,
    },
    /// No tag in the range.
    #[error("{url} has no tag in the range `{range}`")]
    NoTagInRange {
        /// The repository.
        url: RepoUrl,
        /// As it was written.
        range: String,
    },
    /// Several commits begin with these digits.
    #[error("`{revision}` is ambiguous in {url}, write more digits")]
    Ambiguous {
        /// The repository.
        url: RepoUrl,
        /// As it was written.
        revision: String,
    },
    /// The object is there but is no commit, a tag of a file for instance.
    #[error("`{revision}` of {url} does not name a commit")]
    NotACommit {
        /// The repository.
        url: RepoUrl,
        /// As it was written.
        revision: String,
    },
    /// Our copy is damaged. The next refresh makes a new one.
    #[error("the mirror of {url} is damaged and will be fetched anew: {reason}")]
    Corrupt {
        /// The repository.
        url: RepoUrl,
        /// What was found.
        reason: String,
    },
    /// A single object larger than what is read into memory.
    #[error("the object {id} of {url} has {bytes} bytes, more than the limit of {limit}")]
    ObjectTooLarge {
        /// The repository.
        url: RepoUrl,
        /// The object.
        id: Oid,
        /// Its size.
        bytes: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The disk under the mirrors refuses.
    #[error("cannot keep the mirror of {url}: {reason}")]
    Disk {
        /// The repository.
        url: RepoUrl,
        /// What the system said.
        reason: String,
    },
    /// Local repositories are switched off.
    #[error("local repositories are not allowed here: {url}")]
    LocalRefused {
        /// The repository.
        url: RepoUrl,
    },
    /// The address is one behind which no repository is.
    #[error("{url} has a link-local address, which is not asked")]
    AddressRefused {
        /// The repository.
        url: RepoUrl,
    },
    /// An object of the repository that git would not have made.
    #[error("the object {id} of {url} is malformed")]
    Malformed {
        /// The repository.
        url: RepoUrl,
        /// The object.
        id: Oid,
    },
    /// A repository of a kind that we don't read.
    #[error("{url} cannot be read: {reason}")]
    Unsupported {
        /// The repository.
        url: RepoUrl,
        /// What it needs.
        reason: &'static str,
    },
    /// The daemon is going down.
    #[error("stopped before {url} was fetched")]
    Stopped {
        /// The repository.
        url: RepoUrl,
    },
}

/// What is wrong with a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Nobody whom we trust signed it.
    #[error("its certificate is signed by no authority that is known here")]
    UnknownAuthority,
    /// It was valid once.
    #[error("its certificate has expired")]
    Expired,
    /// It belongs to another server.
    #[error("its certificate is for another name")]
    OtherName,
    /// Anything else, in the words of the check.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// True when trying again can help without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. }
            | Error::Busy { .. }
            | Error::Cut { .. }
            | Error::Server { .. }
            | Error::Corrupt { .. }
            | Error::Disk { .. }
            | Error::Stopped { .. }
            // A login page or odd bytes are most often a proxy or a server in maintenance.
            | Error::NotGit { .. }
            | Error::Protocol { .. } => true,
            Error::Untrusted { .. }
            | Error::UnknownHostKey { .. }
            | Error::HostKeyChanged { .. }
            | Error::CredentialsMissing { .. }
            | Error::Unauthorized { .. }
            | Error::Forbidden { .. }
            | Error::BadCredentials { .. }
            | Error::NotFound { .. }
            | Error::Status { .. }
            | Error::Redirected { .. }
            | Error::TooLarge { .. }
            | Error::Empty { .. }
            | Error::BadRevision { .. }
            | Error::NoRevision { .. }
            | Error::NoCommit { .. }
            | Error::Deleted { .. }
            | Error::NoTagInRange { .. }
            | Error::Ambiguous { .. }
            | Error::NotACommit { .. }
            | Error::ObjectTooLarge { .. }
            | Error::LocalRefused { .. }
            | Error::AddressRefused { .. }
            | Error::Malformed { .. }
            | Error::PushRefused { .. }
            | Error::Conflicting { .. }
            | Error::Unsupported { .. } => false,
        }
    }

    /// When the server wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// One imperative sentence, when there is something sure to say.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Error::CredentialsMissing { .. } => {
                "Add a Secret labelled `argocd.argoproj.io/secret-type: repository` with its url and credentials."
                    .into()
            }
            Error::Untrusted { reason: Distrust::UnknownAuthority, .. } => {
                "Add the certificate of its authority to the ConfigMap `argocd-tls-certs-cm`, under the host's name."
                    .into()
            }
            Error::UnknownHostKey { .. } => {
                "Check the key and add it to the ConfigMap `argocd-ssh-known-hosts-cm`.".into()
            }
            Error::Redirected { .. } => "Write the address that it redirects to as repoURL.".into(),
            Error::Empty { .. } => "Push a first commit.".into(),
            Error::PushRefused { .. } => "Let the credentials of the repository's Secret push to this branch.".into(),
            Error::Conflicting { .. } => "Revert it by hand, or fix it with another commit.".into(),
            Error::NotGit { .. } => "Check the address: this looks like a login page or a proxy.".into(),
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
