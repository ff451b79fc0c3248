//! Pull requests, comments and statuses of GitHub, GitLab, Gitea, Forgejo and Bitbucket.
//!
//! **In:** a forge's address, a credential, a repository's address. **Out:** [`Pull`]s, [`Comment`]s, [`Check`]s,
//! [`Review`]s and [`Permission`]s as values, what was asked to be done, or an [`Error`] in one sentence.
//! **May not:** decide anything of them; follow a redirect with a write or to another host; conclude anything from a
//! list that is not whole; repeat what would then be there twice; show a credential.
//!
//! A [`Forge`] is one host as one credential reaches it ([`Access`]), and gives a [`Repository`] for each of its
//! repositories. What the forges call things is in one file for each of them, [`dialect`] says what they have in common:
//! it makes a [`call`], which holds a request and the function that reads its answer, so that no test of a forge's API
//! needs a forge. `http` sends them: as its [`budget`] allows, which hears of the [`limits`] in every answer.
//!
//! The facts of each API are the forges' own documentation, named in each file; a real Gitea is asked by `tests/forge`.

mod app;
mod bitbucket;
mod budget;
mod call;
mod client;
mod comment;
mod dialect;
mod error;
mod failure;
mod gitea;
mod github;
mod gitlab;
mod http;
mod issue_comment;
mod kind;
mod limits;
mod merge;
mod probe;
mod pull;
mod remembered;
mod repository;
mod review;
mod sign_in;
mod status;

pub use comment::{Comment, Done, Own, Reaction, own};
pub use error::Error;
pub use http::Forge;
pub use kind::{Kind, RepoName};
pub use merge::{Merged, Method};
pub use probe::probe;
pub use pull::{Account, Opening, Pull, PullState, Source};
pub use repository::{How, Put, Repository};
pub use review::{Permission, Review, Verdict};
pub use sign_in::{Access, AccessError, App, Credential};
pub use status::{Annotation, Check, Level, Report, State, Status};

#[cfg(test)]
pub(crate) mod played;
#[cfg(test)]
mod tests;
