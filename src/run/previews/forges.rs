//! Which forge a repository is on, and who we are there.
//!
//! **In:** Secrets labelled `leeboard.dev/secret-type: forge` with `url`, `type` and credentials; what Environments say
//! about a forge. **Out:** a [`forge::Repository`]. **May not:** send a credential to another host than its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tracing::warn;

use crate::api::leeboard::ForgeReference;
use crate::forge::{self, Access, Forge, Kind};
use crate::git::RepoUrl;

/// The label that makes a Secret a forge's.
pub const LABEL: &str = "leeboard.dev/secret-type";

type Data = BTreeMap<String, Vec<u8>>;

/// All forges that there is a Secret for.
#[derive(Default)]
pub struct Forges {
    known: RwLock<BTreeMap<String, Arc<Known>>>,
}

/// A forge's Secret.
struct Known {
    data: Data,
    /// Made when it is first used: only then is asked what it is, if nobody says so.
    forge: tokio::sync::OnceCell<Arc<Forge>>,
}

/// Why there is no way to a repository's pull requests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No Secret is for that host.
    #[error("no Secret labelled `leeboard.dev/secret-type: forge` is for {host}")]
    NoSecret {
        /// The repository's host.
        host: String,
    },
    /// An Environment names a Secret that is not there.
    #[error("there is no Secret `{name}` with the label `leeboard.dev/secret-type: forge`")]
    Missing {
        /// Its name.
        name: String,
    },
    /// Nobody says which forge it is.
    #[error("{address} does not answer as any forge does: say in `type` which it is")]
    UnknownKind {
        /// Where it was looked for.
        address: String,
    },
    /// A word that names no forge.
    #[error("`{word}` is no forge: take github, gitlab, gitea, forgejo, bitbucket or bitbucketserver")]
    NoSuchKind {
        /// As it was written.
        word: String,
    },
    /// The Secret or the repository's address is no use.
    #[error("{0}")]
    Unusable(String),
}

impl Forges {
    /// Takes in the Secrets that there are now, by name.
    pub fn take_in(&self, secrets: BTreeMap<String, Data>) {
        let mut known = self.known.write();
        let mut before = std::mem::take(&mut *known);
        for (name, data) in secrets {
            let same = before.remove(&name).filter(|secret| secret.data == data);
            let secret = same.unwrap_or_else(|| Arc::new(Known { data, forge: tokio::sync::OnceCell::new() }));
            known.insert(name, secret);
        }
    }

    /// True when there is a Secret for this repository's host.
    pub fn has(&self, url: &RepoUrl, reference: Option<&ForgeReference>) -> bool {
        self.secret(url, reference).is_ok()
    }

    /// The repository on its forge.
    ///
    /// # Errors
    /// When nobody says which forge it is, or who we are there.
    pub async fn repository(
        &self,
        url: &RepoUrl,
        reference: Option<&ForgeReference>,
    ) -> Result<forge::Repository, Error> {
        let secret = self.secret(url, reference)?;
        let forge = secret.forge.get_or_try_init(|| made(url, reference, &secret.data)).await?;
        forge.repository(url).map_err(|error| Error::Unusable(error.to_string()))
    }

    fn secret(&self, url: &RepoUrl, reference: Option<&ForgeReference>) -> Result<Arc<Known>, Error> {
        let known = self.known.read();
        if let Some(name) = reference.and_then(|reference| reference.secret_name.as_deref()) {
            return known.get(name).cloned().ok_or_else(|| Error::Missing { name: name.into() });
        }
        let of_host = |secret: &&Arc<Known>| {
            let site = reqwest::Url::parse(text(&secret.data, "url")?).ok()?;
            (site.host_str() == Some(url.host())).then_some(())
        };
        let found = known.values().find(|secret| of_host(secret).is_some());
        found.cloned().ok_or_else(|| Error::NoSecret { host: url.host().into() })
    }
}

fn text<'a>(data: &'a Data, key: &str) -> Option<&'a str> {
    std::str::from_utf8(data.get(key)?).ok().map(str::trim).filter(|text| !text.is_empty())
}

async fn made(url: &RepoUrl, reference: Option<&ForgeReference>, data: &Data) -> Result<Arc<Forge>, Error> {
    let site = reference.and_then(|reference| reference.url.as_deref()).or_else(|| text(data, "url"));
    let site = site.map_or_else(|| format!("https://{}", url.host()), str::to_owned);
    let word = reference.and_then(|reference| reference.kind.as_deref()).or_else(|| text(data, "type"));
    let kind = match word {
        Some(word) => Kind::from_word(word).ok_or_else(|| Error::NoSuchKind { word: word.into() })?,
        None => match Kind::of_host(url.host()) {
            Some(kind) => kind,
            None => {
                let access = access(Kind::Gitea, data)?;
                let asked = forge::probe(&site, &access).await.map_err(|error| Error::Unusable(error.to_string()))?;
                asked.ok_or_else(|| Error::UnknownKind { address: site.clone() })?
            }
        },
    };
    let access = access(kind, data)?;
    if access.credential.is_none() {
        warn!(forge = %site, "The forge's Secret has no token: comments and statuses will be refused");
    }
    Forge::new(kind, &site, &access).map_err(|error| Error::Unusable(error.to_string()))
}

fn access(kind: Kind, data: &Data) -> Result<Access, Error> {
    Access::from_secret(kind, data).map_err(|error| Error::Unusable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(fields: &[(&str, &str)]) -> Data {
        fields.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[tokio::test]
    async fn a_credential_is_for_the_host_that_its_secret_names() {
        let forges = Forges::default();
        forges.take_in(BTreeMap::from([
            ("hub".to_owned(), secret(&[("url", "https://github.com"), ("token", "a")])),
            ("own".to_owned(), secret(&[("url", "https://git.example.com"), ("type", "forgejo"), ("token", "b")])),
            ("odd".to_owned(), secret(&[("url", "https://svn.example.com"), ("type", "svn")])),
        ]));
        let named = |name: &str| Some(ForgeReference { secret_name: Some(name.into()), ..ForgeReference::default() });
        let cases = [
            // repository, what the Environment says, the forge or why there is none
            ("https://github.com/a/b.git", None, "GitHub a/b"),
            ("git@git.example.com:a/b.git", None, "Gitea a/b"),
            ("https://gitlab.com/a/b", None, "no Secret labelled `leeboard.dev/secret-type: forge` is for gitlab.com"),
            ("https://git.example.com/a/b", named("none"), "there is no Secret `none` with the label"),
            ("https://svn.example.com/a/b", None, "`svn` is no forge"),
        ];
        for (url, reference, expected) in cases {
            let found = forges.repository(&RepoUrl::parse(url).unwrap(), reference.as_ref()).await;
            let said = match found {
                Ok(repository) => format!("{} {}", repository.forge().kind(), repository.name()),
                Err(error) => error.to_string(),
            };
            assert!(said.starts_with(expected), "{url}: {said}");
        }
    }
}
