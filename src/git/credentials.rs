//! Who we are to git servers: read from Secrets as Argo CD users write them, bound to scheme, host and port, and never
//! shown.

use std::collections::BTreeMap;

use super::secret::Secret;
use super::url::{Endpoint, RepoUrl, Scheme, UrlError};

/// What one Secret holds for reaching a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    user: Option<String>,
    password: Option<Secret>,
    bearer: Option<Secret>,
    ssh_key: Option<Secret>,
    known_hosts: Option<String>,
    certificates: Option<Vec<u8>>,
    client_certificate: Option<(Vec<u8>, Secret)>,
    proxy: Option<Secret>,
    no_proxy: Option<String>,
    skips_tls_check: bool,
    skips_host_key_check: bool,
}

/// Why a Secret is no use as credentials. None of its values is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// No `url`.
    #[error("the Secret has no key `url`")]
    NoUrl,
    /// The `url` is none.
    #[error("the Secret's `url` cannot be used: {0}")]
    Url(#[from] UrlError),
    /// Not text where text is wanted.
    #[error("the Secret's `{key}` is not UTF-8 text on one line")]
    NotText {
        /// The key in the Secret's data.
        key: &'static str,
    },
    /// A client certificate without its key, or a key without its certificate.
    #[error("the Secret has only one of `tlsClientCertData` and `tlsClientCertKey`")]
    HalfACertificate,
    /// A way to sign in that is not offered.
    #[error("signing in by `{key}` is not supported")]
    Unsupported {
        /// The key in the Secret's data.
        key: &'static str,
    },
}

type Data = BTreeMap<String, Vec<u8>>;

impl Credentials {
    /// Reads a Secret's data: Argo CD's keys, and Flux' `identity`, `known_hosts`, `caFile`/`ca.crt`.
    ///
    /// # Errors
    /// When a value is not what its key says, or the way to sign in is one that is not offered.
    pub fn from_secret(data: &Data) -> Result<Self, CredentialsError> {
        let unsupported =
            ["githubAppID", "githubAppPrivateKey", "gcpServiceAccountKey", "azureServicePrincipalClientId"];
        if let Some(key) = unsupported.into_iter().find(|key| data.get(*key).is_some_and(|value| !value.is_empty())) {
            return Err(CredentialsError::Unsupported { key });
        }
        if is_true(data, "useAzureWorkloadIdentity")? {
            return Err(CredentialsError::Unsupported { key: "useAzureWorkloadIdentity" });
        }
        let bytes =
            |keys: &[&str]| keys.iter().find_map(|key| data.get(*key).filter(|value| !value.is_empty())).cloned();
        // Files made by editors and by `echo` end in a line break that is not part of the secret.
        let line = |key: &'static str| match data.get(key).map(|value| value.trim_ascii()).filter(|v| !v.is_empty()) {
            Some(value) if value.iter().any(|byte| byte.is_ascii_control()) => Err(CredentialsError::NotText { key }),
            value => Ok(value.map(|value| Secret::new(value.to_vec()))),
        };
        let client_certificate = match (bytes(&["tlsClientCertData"]), bytes(&["tlsClientCertKey"])) {
            (Some(certificate), Some(key)) => Some((certificate, Secret::new(key))),
            (None, None) => None,
            _ => return Err(CredentialsError::HalfACertificate),
        };
        let known_hosts = bytes(&["known_hosts"]).map(|hosts| String::from_utf8_lossy(&hosts).into_owned());
        Ok(Credentials {
            user: text(data, "username")?,
            password: line("password")?,
            bearer: line("bearerToken")?,
            ssh_key: bytes(&["sshPrivateKey", "identity"]).map(Secret::new),
            known_hosts,
            certificates: bytes(&["caFile", "ca.crt"]),
            client_certificate,
            proxy: line("proxy")?,
            no_proxy: text(data, "noProxy")?,
            skips_tls_check: is_true(data, "insecure")?,
            skips_host_key_check: is_true(data, "insecureIgnoreHostKey")? || is_true(data, "insecure")?,
        })
    }

    /// User and password, for https.
    pub fn basic(user: &str, password: &str) -> Self {
        let password = Some(Secret::new(password.as_bytes().to_vec()));
        Credentials { user: Some(user.into()), password, ..Credentials::default() }
    }

    /// True when it says who we are; `repo-creds` fill in only when it does not.
    fn signs_in(&self) -> bool {
        self.password.is_some() || self.bearer.is_some() || self.ssh_key.is_some() || self.client_certificate.is_some()
    }
}

fn text(data: &Data, key: &'static str) -> Result<Option<String>, CredentialsError> {
    let Some(value) = data.get(key) else { return Ok(None) };
    let value = std::str::from_utf8(value).map_err(|_| CredentialsError::NotText { key })?.trim();
    if value.chars().any(char::is_control) {
        return Err(CredentialsError::NotText { key });
    }
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

fn is_true(data: &Data, key: &'static str) -> Result<bool, CredentialsError> {
    Ok(text(data, key)?.as_deref() == Some("true"))
}

/// All credentials that are configured. Built whole and swapped whole when a Secret changes.
#[derive(Clone, Debug, Default)]
pub struct CredentialStore {
    repositories: BTreeMap<RepoUrl, Credentials>,
    templates: Vec<Template>,
    known_hosts: String,
    /// By host name.
    certificates: BTreeMap<String, Vec<u8>>,
}

/// Credentials for every repository whose address begins alike (`repo-creds`).
#[derive(Clone, Debug)]
struct Template {
    endpoint: Endpoint,
    /// Normal form, in lower case as Argo CD compares.
    prefix: String,
    credentials: Credentials,
}

impl CredentialStore {
    /// Nothing configured.
    pub fn new() -> Self {
        CredentialStore::default()
    }

    /// Takes a Secret of type `repository`.
    ///
    /// # Errors
    /// When it has no usable `url` or its values are malformed.
    pub fn add_repository_secret(&mut self, data: &Data) -> Result<RepoUrl, CredentialsError> {
        let url = RepoUrl::parse(&text(data, "url")?.ok_or(CredentialsError::NoUrl)?)?;
        self.repositories.insert(url.clone(), Credentials::from_secret(data)?);
        Ok(url)
    }

    /// Takes a Secret of type `repo-creds`.
    ///
    /// # Errors
    /// When it has no usable `url` or its values are malformed.
    pub fn add_template_secret(&mut self, data: &Data) -> Result<(), CredentialsError> {
        let prefix = text(data, "url")?.ok_or(CredentialsError::NoUrl)?;
        self.add_template(&prefix, Credentials::from_secret(data)?)
    }

    /// Uses these for exactly this repository.
    pub fn add_repository(&mut self, url: RepoUrl, credentials: Credentials) {
        self.repositories.insert(url, credentials);
    }

    /// Uses these for every repository whose address begins with `prefix`, on the same scheme, host and port.
    ///
    /// # Errors
    /// When `prefix` is not the beginning of a repository's address.
    pub fn add_template(&mut self, prefix: &str, credentials: Credentials) -> Result<(), CredentialsError> {
        // A prefix may end after the host, which no repository's address does.
        let whole = RepoUrl::parse(&format!("{}/x", prefix.trim().trim_end_matches('/')))?;
        let stem = whole.normal().strip_suffix("/x").unwrap_or(whole.normal()).to_lowercase();
        let stem = stem.strip_suffix(".git").unwrap_or(&stem).to_owned();
        self.templates.push(Template { endpoint: whole.endpoint(), prefix: stem, credentials });
        Ok(())
    }

    /// Trusts these ssh host keys, in the form of OpenSSH's `known_hosts` (`argocd-ssh-known-hosts-cm`).
    pub fn add_known_hosts(&mut self, known_hosts: &str) {
        self.known_hosts.push_str(known_hosts);
        self.known_hosts.push('\n');
    }

    /// Trusts these certificates of authorities for one host, in PEM (`argocd-tls-certs-cm`).
    pub fn add_certificates(&mut self, host: &str, pem: &[u8]) {
        self.certificates.entry(host.to_ascii_lowercase()).or_default().extend_from_slice(pem);
    }

    /// What is to be used for `url`: its own Secret's, with who we are from the longest matching template if it
    /// does not say.
    pub(super) fn access(&self, url: &RepoUrl) -> Access {
        // The same address on another port or scheme is another server: equality of the normal form covers both.
        let own = self.repositories.get(url).cloned();
        let sign_in = match own.as_ref().filter(|own| own.signs_in()) {
            Some(own) => own.clone(),
            None => self.template(url).cloned().unwrap_or_default(),
        };
        let own = own.unwrap_or_default();
        let mut access = Access {
            user: sign_in.user,
            password: sign_in.password,
            bearer: sign_in.bearer,
            ssh_key: sign_in.ssh_key,
            known_hosts: self.known_hosts.clone(),
            certificates: self.certificates.get(url.host()).cloned().unwrap_or_default(),
            client_certificate: sign_in.client_certificate,
            proxy: own.proxy.or(sign_in.proxy),
            no_proxy: own.no_proxy.or(sign_in.no_proxy).unwrap_or_default(),
            skips_tls_check: own.skips_tls_check || sign_in.skips_tls_check,
            skips_host_key_check: own.skips_host_key_check || sign_in.skips_host_key_check,
        };
        for known_hosts in [own.known_hosts, sign_in.known_hosts].into_iter().flatten() {
            access.known_hosts.push_str(&known_hosts);
            access.known_hosts.push('\n');
        }
        for certificates in [own.certificates, sign_in.certificates].into_iter().flatten() {
            access.certificates.extend_from_slice(&certificates);
        }
        if access.password.is_none() && access.bearer.is_none() {
            access.password = url.password().cloned();
            if url.scheme() != Scheme::Ssh {
                access.user = access.user.or_else(|| url.user().map(str::to_owned));
            }
        }
        access
    }

    fn template(&self, url: &RepoUrl) -> Option<&Credentials> {
        let (endpoint, address) = (url.endpoint(), url.normal().to_lowercase());
        let matching = self.templates.iter().filter(|t| t.endpoint == endpoint && address.starts_with(&t.prefix));
        matching.max_by_key(|template| template.prefix.len()).map(|template| &template.credentials)
    }
}

/// All that is needed to reach one repository.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) bearer: Option<Secret>,
    pub(super) ssh_key: Option<Secret>,
    pub(super) known_hosts: String,
    pub(super) certificates: Vec<u8>,
    pub(super) client_certificate: Option<(Vec<u8>, Secret)>,
    pub(super) proxy: Option<Secret>,
    /// Hosts that are reached without it, separated by commas.
    pub(super) no_proxy: String,
    pub(super) skips_tls_check: bool,
    pub(super) skips_host_key_check: bool,
}

impl Access {
    /// The value of the header `Authorization`, if we can say who we are.
    pub(super) fn authorization(&self) -> Option<Vec<u8>> {
        use base64::Engine as _;
        if let Some(token) = &self.bearer {
            return Some([b"Bearer ".as_slice(), token.expose()].concat());
        }
        let password = self.password.as_ref()?;
        // A token alone is a password to every forge; the user then only must not be empty.
        let user = self.user.as_deref().unwrap_or("git");
        let pair = [user.as_bytes(), b":", password.expose()].concat();
        Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> Data {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn the_own_secret_wins_then_the_longest_prefix_on_the_same_server() {
        let mut store = CredentialStore::new();
        store.add_repository(RepoUrl::parse("https://h/org/own.git").unwrap(), Credentials::basic("own", "1"));
        let bare = data(&[("url", "https://h/org/team/bare"), ("insecure", "true")]);
        store.add_repository_secret(&bare).unwrap();
        store.add_template("https://h", Credentials::basic("host", "2")).unwrap();
        store.add_template("https://h/Org/team/", Credentials::basic("team", "3")).unwrap();
        store.add_template("git@h:org", Credentials::basic("ssh", "4")).unwrap();
        let cases = [
            ("https://h/org/own", Some("own")),
            ("https://h/org/other", Some("host")),
            ("https://h/org/team/x", Some("team")),
            ("https://h/org/team/bare", Some("team")),
            ("ssh://git@h/org/x", Some("ssh")),
            ("http://h/org/own", None),
            ("https://h:8443/org/own", None),
            ("https://h.evil.example/org/own", None),
            ("https://hh/org/own", None),
        ];
        for (url, user) in cases {
            assert_eq!(store.access(&RepoUrl::parse(url).unwrap()).user.as_deref(), user, "{url}");
        }
        assert!(store.access(&RepoUrl::parse("https://h/org/team/bare").unwrap()).skips_tls_check);
    }

    #[test]
    fn a_secret_is_read_by_its_keys() {
        let cases = [
            (data(&[("username", "u"), ("password", "p\n")]), Ok(Some("Basic dTpw"))),
            (data(&[("password", "p")]), Ok(Some("Basic Z2l0OnA="))),
            (data(&[("bearerToken", "t"), ("password", "p")]), Ok(Some("Bearer t"))),
            (data(&[("url", "https://h/a")]), Ok(None)),
            (data(&[("password", "a\r\nX-Evil: 1")]), Err(CredentialsError::NotText { key: "password" })),
            (data(&[("tlsClientCertData", "x")]), Err(CredentialsError::HalfACertificate)),
            (data(&[("githubAppID", "1")]), Err(CredentialsError::Unsupported { key: "githubAppID" })),
        ];
        let url = RepoUrl::parse("https://h/a").unwrap();
        for (data, expected) in cases {
            let sent = Credentials::from_secret(&data).map(|credentials| {
                let mut store = CredentialStore::new();
                store.add_repository(url.clone(), credentials);
                store.access(&url).authorization().map(|value| String::from_utf8(value).unwrap())
            });
            assert_eq!(sent, expected.map(|value| value.map(str::to_owned)), "{:?}", data.keys());
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let secret = data(&[("url", "https://u:planted@h/a"), ("password", "planted"), ("sshPrivateKey", "planted")]);
        let mut store = CredentialStore::new();
        let url = store.add_repository_secret(&secret).unwrap();
        let shown = format!("{store:?} {:?} {url:?} {url}", store.access(&url));
        assert!(!shown.contains("planted") && !shown.contains("112, 108"), "{shown}");
    }
}
