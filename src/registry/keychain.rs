//! [`Keychain`]: who we are to registries, as `docker login` writes it and Kubernetes keeps it in Secrets.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::reference::Repository;
use crate::git::Secret;

/// Credentials by registry, and below that by repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keychain {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// `registry.example:5000`, `*.registry.example`
    host: String,
    /// The repositories below which it is for; empty for all.
    path: String,
    credential: Credential,
}

/// Who we are at one registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Credential {
    /// A user, with a password or a token in its place.
    Basic { user: String, password: Secret },
    /// What is exchanged for tokens; no password goes with it.
    Identity(Secret),
}

/// Why a Secret opens no registry. None of its values is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    /// Neither of the two keys.
    #[error("the Secret has no key `.dockerconfigjson`")]
    NoKey,
    /// Not the JSON that it is to be.
    #[error("`.dockerconfigjson` is no JSON of the form that `docker login` writes")]
    NotJson,
    /// Not the base64 of a user and a password.
    #[error("`auth` of `{registry}` is not the base64 of a user, a colon and a password")]
    Auth {
        /// As it is written.
        registry: String,
    },
}

/// The key of a Secret of the type `kubernetes.io/dockerconfigjson`.
const KEY: &str = ".dockerconfigjson";

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl Keychain {
    /// Reads a Secret of the type `kubernetes.io/dockerconfigjson`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, KeychainError> {
        Keychain::from_docker_config(data.get(KEY).ok_or(KeychainError::NoKey)?)
    }

    /// Reads the file that `docker login` writes.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_docker_config(bytes: &[u8]) -> Result<Self, KeychainError> {
        let file: File = serde_json::from_slice(bytes).map_err(|_| KeychainError::NotJson)?;
        let mut keychain = Keychain::default();
        for (registry, auth) in file.auths {
            // A file whose passwords are kept elsewhere has entries without one.
            if let Some(credential) = credential(&registry, auth)? {
                let (host, path) = place(&registry);
                keychain.entries.push(Entry { host, path, credential });
            }
        }
        Ok(keychain)
    }

    /// The same, and what another one has that this one has not.
    #[must_use]
    pub fn and(mut self, other: Keychain) -> Self {
        self.entries.extend(other.entries);
        self
    }

    /// What is for a repository: that with the longest path, on the host that is named exactly.
    pub(super) fn credential(&self, repository: &Repository) -> Option<&Credential> {
        let matching = self.entries.iter().rev().filter(|entry| entry.is_for(repository));
        let best = matching.max_by_key(|entry| (!entry.host.contains('*'), entry.path.len()));
        best.map(|entry| &entry.credential)
    }
}

impl Entry {
    fn is_for(&self, repository: &Repository) -> bool {
        let mut written = self.host.split('.');
        let mut asked = repository.host().split('.');
        let is_host = loop {
            match (written.next(), asked.next()) {
                (None, None) => break true,
                // A star is a part of a name, as Kubernetes reads it.
                (Some(written), Some(asked)) if written == "*" || written == asked => {}
                _ => break false,
            }
        };
        let below = repository.path().strip_prefix(self.path.as_str());
        is_host && below.is_some_and(|rest| self.path.is_empty() || rest.is_empty() || rest.starts_with('/'))
    }
}

fn credential(registry: &str, auth: Auth) -> Result<Option<Credential>, KeychainError> {
    let secret = |text: String| Secret::new(text.into_bytes());
    if !auth.identitytoken.is_empty() {
        return Ok(Some(Credential::Identity(secret(auth.identitytoken))));
    }
    if !auth.username.is_empty() {
        return Ok(Some(Credential::Basic { user: auth.username, password: secret(auth.password) }));
    }
    if auth.auth.is_empty() {
        return Ok(None);
    }
    let pair = BASE64_STANDARD.decode(auth.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match pair.as_deref().and_then(|pair| pair.split_once(':')) {
        // Docker writes so what is no user.
        Some(("<token>", token)) => Ok(Some(Credential::Identity(secret(token.to_owned())))),
        Some((user, password)) => Ok(Some(Credential::Basic {
            user: user.to_owned(),
            password: secret(password.trim_end_matches('\0').to_owned()),
        })),
        None => Err(KeychainError::Auth { registry: registry.to_owned() }),
    }
}

/// Host and path of a key: `https://index.docker.io/v1/`, `ghcr.io/org`, `host:5000`.
fn place(registry: &str) -> (String, String) {
    let bare = registry.trim_start_matches("https://").trim_start_matches("http://");
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let path = path.trim_end_matches('/');
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    let host = host.to_ascii_lowercase();
    let host =
        if matches!(host.as_str(), "index.docker.io" | "registry-1.docker.io") { "docker.io".into() } else { host };
    (host, path.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user_for(auths: &serde_json::Value, name: &str) -> Option<String> {
        let keychain = Keychain::from_docker_config(json!({"auths": auths}).to_string().as_bytes()).unwrap();
        match keychain.credential(&Repository::parse(name).unwrap())? {
            Credential::Basic { user, .. } => Some(user.clone()),
            Credential::Identity(_) => Some("an identity".into()),
        }
    }

    #[test]
    fn the_longest_path_on_the_exact_host_wins() {
        let auths = json!({
            "https://index.docker.io/v1/": {"username": "hub", "password": "p"},
            "ghcr.io": {"username": "host", "password": "p"},
            "ghcr.io/org": {"username": "org", "password": "p"},
            "https://ghcr.io/org/team/": {"username": "team", "password": "p"},
            "*.registry.example:5000": {"username": "star", "password": "p"},
            "a.registry.example:5000": {"username": "exact", "password": "p"},
            "azure.example": {"identitytoken": "t"},
            "kept.example": {},
        });
        let cases = [
            ("web", Some("hub")),
            ("docker.io/org/web", Some("hub")),
            ("ghcr.io/other/web", Some("host")),
            ("ghcr.io/org/web", Some("org")),
            ("ghcr.io/organisation/web", Some("host")),
            ("ghcr.io/org/team/web", Some("team")),
            ("a.registry.example:5000/web", Some("exact")),
            ("b.registry.example:5000/web", Some("star")),
            ("b.c.registry.example:5000/web", None),
            ("registry.example:5000/web", None),
            ("b.registry.example/web", None),
            ("azure.example/web", Some("an identity")),
            ("kept.example/web", None),
            ("evil.example/ghcr.io/org", None),
        ];
        for (name, expected) in cases {
            assert_eq!(user_for(&auths, name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_user_and_a_password_may_be_base64() {
        let encoded = |pair: &str| json!({"h.x": {"auth": BASE64_STANDARD.encode(pair)}});
        assert_eq!(user_for(&encoded("u:p:q"), "h.x/a").as_deref(), Some("u"));
        assert_eq!(user_for(&encoded("<token>:t"), "h.x/a").as_deref(), Some("an identity"));
        let wrong = [
            (json!({"auths": {"h.x": {"auth": "%"}}}), KeychainError::Auth { registry: "h.x".into() }),
            (
                json!({"auths": {"h.x": {"auth": BASE64_STANDARD.encode("u")}}}),
                KeychainError::Auth { registry: "h.x".into() },
            ),
            (json!({"auths": []}), KeychainError::NotJson),
        ];
        for (file, expected) in wrong {
            assert_eq!(Keychain::from_docker_config(file.to_string().as_bytes()), Err(expected));
        }
        assert_eq!(Keychain::from_secret(&BTreeMap::new()), Err(KeychainError::NoKey));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let auths =
            json!({"auths": {"h.x": {"username": "u", "password": "planted"}, "i.x": {"identitytoken": "planted"}}});
        let secret = BTreeMap::from([(KEY.to_owned(), auths.to_string().into_bytes())]);
        let shown = format!("{:?}", Keychain::from_secret(&secret).unwrap());
        assert!(!shown.contains("planted") && !shown.contains("112, 108"), "{shown}");
    }
}
