//! git over ssh: git's own programs on the far side, by russh, which needs no `ssh` binary and no C beside the TLS
//! stack's.
//!
//! A host key that the known hosts don't have is refused, unless the repository's Secret says otherwise.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use russh::client::{self, AuthResult, Config, Handle, Handler};
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg};
use tokio::sync::mpsc;

use super::credentials::Access;
use super::egress;
use super::error::Error;
use super::known_hosts::{HostKeys, Verdict};
use super::oid::Oid;
use super::protocol::{self, Fault, Greeting, MAX_REFS_BYTES, PackAnswer, Ref, SILENCE, Service};
use super::push::{self, Update};
use super::store::Piece;
use super::url::RepoUrl;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// What is kept of what the far side writes to its standard error.
const MAX_WORDS_BYTES: usize = 4096;

/// A conversation with `git-upload-pack` or `git-receive-pack`.
pub(super) struct Session {
    url: RepoUrl,
    /// Keeps the connection up.
    _connection: Handle<HostCheck>,
    channel: Channel<client::Msg>,
    /// What arrived and is not read yet.
    buffer: BytesMut,
    /// What the far side says to people.
    words: Vec<u8>,
    greeting: Greeting,
}

/// Connects, and asks for the refs that begin with one of `prefixes` (all, when there is none).
pub(super) async fn list(url: &RepoUrl, access: &Access, prefixes: &[String]) -> Result<(Vec<Ref>, Session), Error> {
    let mut session = Session::open(url, access, Service::UploadPack).await?;
    let refs = match &session.greeting {
        Greeting::V0(_, refs) => refs.clone(),
        Greeting::V2(capabilities) => {
            let ask = protocol::ls_refs(capabilities, prefixes);
            session.write(ask).await?;
            session.read(protocol::take_refs).await?
        }
    };
    Ok((refs, session))
}

/// Moves a branch to a commit that `pack` brings along.
pub(super) async fn push(url: &RepoUrl, access: &Access, update: &Update, pack: Vec<u8>) -> Result<(), Error> {
    let mut session = Session::open(url, access, Service::ReceivePack).await?;
    let greeting = session.greeting.clone();
    session.write([push::request(&greeting, update), pack].concat()).await?;
    let report = session.read(|buffer| push::take_report(&greeting, buffer)).await?;
    let _ = session.channel.eof().await;
    report.outcome(url, update)
}

/// The far side hands this to a shell.
fn command(service: Service, url: &RepoUrl) -> String {
    let path = url.path();
    // `ssh://host/~user/x` is how URLs write a home directory.
    let path = path.strip_prefix('/').filter(|path| path.starts_with('~')).unwrap_or(path);
    format!("{service} '{}'", path.replace('\'', r"'\''"))
}

async fn connect(url: &RepoUrl, access: &Access) -> Result<Handle<HostCheck>, Error> {
    let endpoint = url.endpoint();
    let known = HostKeys::find(&access.known_hosts, &endpoint.host, endpoint.port);
    let mut config = Config {
        inactivity_timeout: Some(SILENCE),
        nodelay: true,
        client_id: russh::SshId::Standard(concat!("SSH-2.0-leeboard_", env!("CARGO_PKG_VERSION")).into()),
        ..Config::default()
    };
    // A server has keys of several kinds; ask for one of those that can be checked.
    let kinds = kinds(known.trusted());
    if !kinds.is_empty() {
        config.preferred.key = kinds.into();
    }
    let check = HostCheck { known, accepts_all: access.skips_host_key_check };
    let host = endpoint.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let addresses = egress::lookup(&host, endpoint.port).await.map_err(|error| broken(url, &error.into()))?;
    let mut connection = match client::connect(Arc::new(config), &*addresses, check).await {
        Ok(connection) => connection,
        Err(Refusal::Key(Verdict::Changed, key)) => return Err(Error::HostKeyChanged { url: url.clone(), key }),
        Err(Refusal::Key(_, key)) => return Err(Error::UnknownHostKey { url: url.clone(), key }),
        Err(Refusal::Other(error)) => return Err(broken(url, &error)),
    };
    sign_in(url, access, &mut connection).await?;
    Ok(connection)
}

async fn sign_in(url: &RepoUrl, access: &Access, connection: &mut Handle<HostCheck>) -> Result<(), Error> {
    let user = url.user().or(access.user.as_deref()).unwrap_or("git");
    let failed = |error: russh::Error| broken(url, &error);
    let answer = if let Some(key) = &access.ssh_key {
        let bad = |reason: &str| Error::BadCredentials { url: url.clone(), reason: reason.into() };
        let pem = std::str::from_utf8(key.expose()).map_err(|_| bad("the ssh key is not text"))?;
        let key = russh::keys::decode_secret_key(pem, None).map_err(|error| match error {
            russh::keys::Error::KeyIsEncrypted => bad("the ssh key is protected by a passphrase"),
            _ => bad("the ssh key cannot be read"),
        })?;
        let hash = match key.algorithm() {
            Algorithm::Rsa { .. } => connection.best_supported_rsa_hash().await.map_err(failed)?.flatten(),
            _ => None,
        };
        connection
            .authenticate_publickey(user, PrivateKeyWithHashAlg::new(Arc::new(key), hash))
            .await
            .map_err(failed)?
    } else if let Some(password) = &access.password {
        let password = String::from_utf8_lossy(password.expose()).into_owned();
        connection.authenticate_password(user, password).await.map_err(failed)?
    } else {
        connection.authenticate_none(user).await.map_err(failed)?
    };
    match answer {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { .. } if access.ssh_key.is_none() && access.password.is_none() => {
            Err(Error::CredentialsMissing { url: url.clone() })
        }
        AuthResult::Failure { .. } => Err(Error::Unauthorized { url: url.clone() }),
    }
}

/// The algorithms by which these keys are shown; RSA keys sign with SHA-2 only.
fn kinds(keys: &[PublicKey]) -> Vec<Algorithm> {
    let mut kinds = Vec::new();
    for key in keys {
        match key.algorithm() {
            Algorithm::Rsa { .. } => {
                kinds.push(Algorithm::Rsa { hash: Some(HashAlg::Sha512) });
                kinds.push(Algorithm::Rsa { hash: Some(HashAlg::Sha256) });
            }
            kind => kinds.push(kind),
        }
    }
    let mut seen = Vec::new();
    kinds.retain(|kind| {
        !seen.contains(kind) && {
            seen.push(kind.clone());
            true
        }
    });
    kinds
}

impl Session {
    /// Connects, and reads what the far side says first.
    async fn open(url: &RepoUrl, access: &Access, service: Service) -> Result<Self, Error> {
        let late = || Error::Unreachable { url: url.clone(), reason: "no answer in time".into() };
        let connect = tokio::time::timeout(CONNECT_TIMEOUT, connect(url, access));
        let connection = connect.await.map_err(|_| late())??;
        let open = async {
            let channel = connection.channel_open_session().await?;
            if service == Service::UploadPack {
                // A server that doesn't take it answers in version 0, which will do.
                channel.set_env(false, "GIT_PROTOCOL", "version=2").await?;
            }
            channel.exec(true, command(service, url)).await?;
            Ok(channel)
        };
        let channel = open.await.map_err(|error: russh::Error| broken(url, &error))?;
        let mut session = Session {
            url: url.clone(),
            _connection: connection,
            channel,
            buffer: BytesMut::new(),
            words: Vec::new(),
            greeting: Greeting::V0(protocol::Capabilities::default(), vec![]),
        };
        session.greeting = session.read(protocol::take_greeting).await?;
        session.greeting.refuse_sha256(url)?;
        Ok(session)
    }

    /// Asks for a pack; its pieces go to `pack`, the last one only when everything came.
    pub(super) async fn fetch(mut self, wants: &[Oid], haves: &[Oid], pack: &mpsc::Sender<Piece>) -> Result<(), Error> {
        self.write(protocol::fetch(&self.greeting, wants, haves)).await?;
        let mut answer = PackAnswer::new();
        let mut chunk = self.buffer.split().freeze();
        loop {
            for piece in answer.feed(&chunk).map_err(|fault| fault.at(&self.url))? {
                if pack.send(Piece::Data(piece)).await.is_err() {
                    // The receiver has its own error to tell.
                    return Ok(());
                }
            }
            if answer.is_complete() {
                break;
            }
            chunk = self.receive().await?;
        }
        let _ = pack.send(Piece::End).await;
        self.hang_up().await;
        Ok(())
    }

    /// Ends the conversation when nothing more is wanted.
    pub(super) async fn hang_up(self) {
        // A flush where a request could stand is how the far side is told; it may be gone already.
        let _ = self.channel.data_bytes(&b"0000"[..]).await;
        let _ = self.channel.eof().await;
    }

    async fn write(&self, message: Vec<u8>) -> Result<(), Error> {
        self.channel.data_bytes(message).await.map_err(|error| broken(&self.url, &error))
    }

    /// Reads until `take` has a whole message.
    async fn read<T>(&mut self, take: impl Fn(&mut BytesMut) -> Result<Option<T>, Fault>) -> Result<T, Error> {
        loop {
            // A message ends in a flush, and the far side then waits for us: until there is one, reading is in vain.
            if self.buffer.ends_with(b"0000")
                && let Some(message) = take(&mut self.buffer).map_err(|fault| fault.at(&self.url))?
            {
                return Ok(message);
            }
            if self.buffer.len() > MAX_REFS_BYTES {
                return Err(Error::TooLarge { url: self.url.clone(), limit: MAX_REFS_BYTES as u64 });
            }
            match self.receive().await {
                Ok(chunk) => self.buffer.extend_from_slice(&chunk),
                // An error in git's own framing has no flush behind it.
                Err(ended) => return Err(take(&mut self.buffer).err().map_or(ended, |fault| fault.at(&self.url))),
            }
        }
    }

    /// The next bytes; an error when there are no more.
    async fn receive(&mut self) -> Result<bytes::Bytes, Error> {
        loop {
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) => return Ok(data),
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = MAX_WORDS_BYTES.saturating_sub(self.words.len());
                    self.words.extend_from_slice(&data[..room.min(data.len())]);
                }
                // What it says to people can come after its last bytes.
                None | Some(ChannelMsg::Close) => {
                    let words = protocol::clean(&String::from_utf8_lossy(&self.words));
                    let url = self.url.clone();
                    return Err(if words.is_empty() {
                        Error::Cut { url }
                    } else {
                        Error::Server { url, message: words }
                    });
                }
                Some(_) => {}
            }
        }
    }
}

/// Checks the key that a server shows.
struct HostCheck {
    known: HostKeys,
    accepts_all: bool,
}

#[derive(Debug)]
enum Refusal {
    /// The key is not to be trusted.
    Key(Verdict, String),
    Other(russh::Error),
}

impl From<russh::Error> for Refusal {
    fn from(error: russh::Error) -> Self {
        Refusal::Other(error)
    }
}

impl Handler for HostCheck {
    type Error = Refusal;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Refusal> {
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.clone(),
            PublicKeyOrCertificate::Certificate(certificate) => PublicKey::from(certificate.public_key().clone()),
        };
        match self.known.verdict(&key) {
            Verdict::Trusted => Ok(true),
            _ if self.accepts_all => Ok(true),
            verdict => {
                let fingerprint = key.fingerprint(HashAlg::Sha256);
                Err(Refusal::Key(verdict, format!("{} {fingerprint}", key.algorithm())))
            }
        }
    }
}

fn broken(url: &RepoUrl, error: &russh::Error) -> Error {
    let url = url.clone();
    match error {
        russh::Error::IO(error) if error.get_ref().is_some_and(|inner| inner.is::<egress::LinkLocal>()) => {
            Error::AddressRefused { url }
        }
        russh::Error::IO(error) => Error::Unreachable { url, reason: protocol::clean(&error.to_string()) },
        // Their keys were all refused before ours was: an algorithm of the known hosts that it does not have.
        russh::Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, theirs, .. } => {
            Error::HostKeyChanged { url, key: protocol::clean(&format!("it offers {}", theirs.join(", "))) }
        }
        error => Error::Unreachable { url, reason: protocol::clean(&error.to_string()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_on_the_far_side() {
        let cases = [
            ("git@h:team/a.git", "git-upload-pack 'team/a.git'"),
            ("ssh://h/srv/a.git", "git-upload-pack '/srv/a.git'"),
            ("ssh://h/~ada/a", "git-upload-pack '~ada/a'"),
            ("h:a';touch${IFS}x;'", r"git-upload-pack 'a'\'';touch${IFS}x;'\'''"),
        ];
        for (url, expected) in cases {
            assert_eq!(command(Service::UploadPack, &RepoUrl::parse(url).unwrap()), expected, "{url}");
        }
    }
}
