//! Mirrors of repositories, and snapshots of their commits.
//!
//! **In:** a repository's address, revisions, credentials. **Out:** [`Commit`]s and [`Snapshot`]s, a commit taken back
//! ([`Reverted`]) or carried to another branch ([`Carried`]), files changed ([`Changed`]), or an [`Error`] in one sentence.
//! **May not:** check anything out, spawn a process, run a hook, follow a link or a redirect to another server, or lose what it
//! had because of an answer that is odd, partial or missing.
//!
//! [`Mirrors`] holds one [`Mirror`] per repository. `Mirror::refresh` asks the server where revisions stand
//! (`remote`, over `http` or `local`, speaking `protocol`), fetches one pack with what moved into the bare repository
//! (`store`), and moves its refs last (`follow`). Objects are kept and read by libgit2; the network is ours, because libgit2
//! speaks neither version 2 of git's protocol nor our TLS stack. [`Watch`] notices pushes to repositories on this machine.

mod carry;
mod change;
mod credentials;
pub(crate) mod egress;
mod error;
mod follow;
mod http;
mod known_hosts;
mod local;
mod merge;
mod mirror;
mod mirrors;
mod oid;
mod packet;
mod protocol;
mod push;
mod remote;
mod revert;
mod revision;
mod secret;
mod settings;
mod snapshot;
mod ssh;
mod store;
mod url;
mod watch;

pub use carry::{Brought, Carried, Carry, Holding, RESTORES, Way};
pub use change::{Author, Changed, Proposal, Touch};
pub use credentials::{CredentialStore, Credentials, CredentialsError};
pub use error::{Distrust, Error};
pub use follow::{Change, Followed};
pub use merge::Merged;
pub use mirror::{Mirror, Refreshed};
pub use mirrors::Mirrors;
pub use oid::{Commit, NotAnOid, Oid};
pub use revert::Reverted;
pub use revision::check_revision;
pub use secret::Secret;
pub use settings::LocalRepositories;
pub use snapshot::{Kind, Snapshot, TreeEntry};
pub use url::{Endpoint, RepoUrl, Scheme, UrlError};
pub use watch::{Watch, WatchError};
