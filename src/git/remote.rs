//! The three ways to a repository behind one: list its refs, then maybe fetch a pack; or push one.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::credentials::Access;
use super::error::Error;
use super::http::{self, Clients};
use super::local;
use super::oid::Oid;
use super::protocol::Ref;
use super::push::Update;
use super::ssh;
use super::store::Piece;
use super::url::{RepoUrl, Scheme};

/// No conversation takes longer than this, whatever the server does.
const DEADLINE: Duration = Duration::from_secs(20 * 60);

/// A conversation with a server that has told its refs.
pub(super) enum Session {
    Http(http::Session),
    Ssh(ssh::Session),
    Local(local::Session),
}

/// Asks for the refs that begin with one of `prefixes` (all, when there is none). Ssh and version 0 of the protocol
/// tell all refs in any case.
pub(super) async fn list(
    url: &RepoUrl,
    access: &Access,
    clients: &Clients,
    known: Option<http::Known>,
    prefixes: &[String],
) -> Result<(Vec<Ref>, Session), Error> {
    match url.scheme() {
        Scheme::Https | Scheme::Http => {
            let (refs, session) = in_time(url, http::list(url, access, clients, known, prefixes)).await?;
            Ok((refs, Session::Http(session)))
        }
        Scheme::Ssh => {
            let (refs, session) = in_time(url, ssh::list(url, access, prefixes)).await?;
            Ok((refs, Session::Ssh(session)))
        }
        Scheme::File => {
            let (url, prefixes) = (url.clone(), prefixes.to_vec());
            blocking(&url.clone(), move || {
                let path = url.local_path().map(std::path::Path::to_owned).unwrap_or_default();
                let (refs, session) = local::list(&url, &path, &prefixes)?;
                Ok((refs, Session::Local(session)))
            })
            .await
        }
    }
}

/// Moves a branch to a commit that `pack` brings along.
pub(super) async fn push(
    url: &RepoUrl,
    access: &Access,
    clients: &Clients,
    update: Update,
    pack: Vec<u8>,
) -> Result<(), Error> {
    match url.scheme() {
        Scheme::Https | Scheme::Http => in_time(url, http::push(url, access, clients, &update, pack)).await,
        Scheme::Ssh => in_time(url, ssh::push(url, access, &update, pack)).await,
        Scheme::File => {
            let repository = url.clone();
            blocking(url, move || {
                let path = repository.local_path().map(std::path::Path::to_owned).unwrap_or_default();
                local::push(&repository, &path, &update, &pack)
            })
            .await
        }
    }
}

impl Session {
    /// What the next conversation can start from.
    pub(super) fn known(&self) -> Option<http::Known> {
        match self {
            Session::Http(session) => Some(session.known().clone()),
            Session::Ssh(_) | Session::Local(_) => None,
        }
    }

    /// Asks for a pack with all of `wants` that `haves` do not bring along, and sends it on. `folder` is the mirror's.
    pub(super) async fn fetch(
        self,
        url: &RepoUrl,
        wants: Vec<Oid>,
        haves: Vec<Oid>,
        folder: &Path,
        pack: mpsc::Sender<Piece>,
    ) -> Result<(), Error> {
        match self {
            Session::Http(session) => in_time(url, session.fetch(&wants, &haves, &pack)).await,
            Session::Ssh(session) => in_time(url, session.fetch(&wants, &haves, &pack)).await,
            Session::Local(session) => {
                let settings = folder.join("local.config");
                let fetch = move || session.fetch(&wants, &haves, &settings, |piece| pack.blocking_send(piece).is_ok());
                blocking(url, fetch).await
            }
        }
    }

    /// Ends the conversation when nothing more is wanted.
    pub(super) async fn hang_up(self) {
        match self {
            Session::Ssh(session) => session.hang_up().await,
            Session::Http(_) | Session::Local(_) => {}
        }
    }
}

async fn in_time<T>(url: &RepoUrl, talk: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || Error::Unreachable { url: url.clone(), reason: "no answer in time".into() };
    tokio::time::timeout(DEADLINE, talk).await.map_err(|_| late())?
}

/// Runs on the pool for work that blocks.
pub(super) async fn blocking<T: Send + 'static>(
    url: &RepoUrl,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work).await.map_err(|_| Error::Stopped { url: url.clone() })?
}
