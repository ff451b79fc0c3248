//! [`Access`]: how a forge is reached and who we are there; read from a Secret, and never shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use jiff::Timestamp;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::SigningKey;

use super::kind::Kind;
use crate::git::Secret;

/// How a forge is reached, and who we are there.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Who we are; without it only what everybody may read is read.
    pub credential: Option<Credential>,
    /// Certificates of authorities that are trusted beside the system's, in PEM.
    pub certificates: Vec<u8>,
    /// Through which proxy; none: as the environment says.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without it, separated by commas.
    pub no_proxy: String,
    /// Whether any certificate is taken.
    pub skips_tls_check: bool,
}

/// Who we are at a forge.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token, of a person, a project or a bot.
    Token(Secret),
    /// A user with a token for a password: an API token of Bitbucket Cloud.
    Basic {
        /// Its e-mail address.
        user: String,
        /// The token.
        password: Secret,
    },
    /// A GitHub App, which gets a token of an hour for each hour.
    App(App),
}

/// A GitHub App.
#[derive(Clone)]
pub struct App {
    /// Its number, or its client id.
    id: String,
    /// Which of its installations; the only one, if it is not told.
    installation: Option<u64>,
    key: Arc<dyn SigningKey>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("id", &self.id).field("installation", &self.installation).finish_non_exhaustive()
    }
}

/// Why a Secret is no use for signing in at a forge. None of its values is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Not text where text is wanted.
    #[error("the Secret's `{key}` is not UTF-8 text on one line")]
    NotText {
        /// The key in the Secret's data.
        key: &'static str,
    },
    /// Not a number where one is wanted.
    #[error("the Secret's `{key}` is no number")]
    NotANumber {
        /// The key in the Secret's data.
        key: &'static str,
    },
    /// The App's private key is none that signs as GitHub wants it.
    #[error("the Secret's `githubAppPrivateKey` is no RSA key in PEM of 2048 bits or more")]
    NotAKey,
    /// An App's number without its key, or the other way round.
    #[error("the Secret has only one of `githubAppID` and `githubAppPrivateKey`")]
    HalfAnApp,
}

type Data = BTreeMap<String, Vec<u8>>;

impl Access {
    /// With a token, and nothing else out of the ordinary.
    pub fn token(token: &str) -> Access {
        let credential = Some(Credential::Token(Secret::new(token.as_bytes().to_vec())));
        Access { credential, ..Access::default() }
    }

    /// Reads a Secret's data: `token`, or the keys that Argo CD's repository Secrets have (`password`, `bearerToken`,
    /// `githubAppID`, `githubAppInstallationID`, `githubAppPrivateKey`), with `proxy`, `noProxy`, `insecure` and
    /// `caFile` or `ca.crt`.
    ///
    /// # Errors
    /// When a value is not what its key says.
    pub fn from_secret(kind: Kind, data: &Data) -> Result<Access, AccessError> {
        let app = App::from_secret(data)?;
        let token = ["token", "bearerToken", "password"].into_iter();
        let token = token.map(|key| line(data, key)).find_map(Result::transpose).transpose()?;
        let user = line(data, "username")?.filter(|_| kind == Kind::BitbucketCloud && !data.contains_key("token"));
        let credential = match (app, token, user) {
            (Some(app), ..) => Some(Credential::App(app)),
            // The name that stands for "this is a token".
            (None, Some(token), Some(user)) if user != "x-token-auth" => {
                Some(Credential::Basic { user, password: Secret::new(token.into_bytes()) })
            }
            (None, Some(token), _) => Some(Credential::Token(Secret::new(token.into_bytes()))),
            (None, None, _) => None,
        };
        let bytes = |keys: [&str; 2]| keys.iter().find_map(|key| data.get(*key)).cloned().unwrap_or_default();
        Ok(Access {
            credential,
            certificates: bytes(["caFile", "ca.crt"]),
            proxy: line(data, "proxy")?.map(|proxy| Secret::new(proxy.into_bytes())),
            no_proxy: line(data, "noProxy")?.unwrap_or_default(),
            skips_tls_check: line(data, "insecure")?.as_deref() == Some("true"),
        })
    }
}

/// A value on one line. Files made by editors end in a line break that is not part of it.
fn line(data: &Data, key: &'static str) -> Result<Option<String>, AccessError> {
    let Some(value) = data.get(key) else { return Ok(None) };
    let value = std::str::from_utf8(value).map_err(|_| AccessError::NotText { key })?.trim();
    if value.chars().any(char::is_control) {
        return Err(AccessError::NotText { key });
    }
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

impl App {
    /// An App by its number and its private key in PEM.
    ///
    /// # Errors
    /// When the key is none that GitHub takes.
    pub fn new(id: &str, installation: Option<u64>, key: &[u8]) -> Result<App, AccessError> {
        let der = PrivateKeyDer::from_pem_slice(key).map_err(|_| AccessError::NotAKey)?;
        let key = rustls::crypto::ring::sign::any_supported_type(&der).map_err(|_| AccessError::NotAKey)?;
        let app = App { id: id.to_owned(), installation, key };
        // A key of another kind would be found out by GitHub only.
        app.jwt(Timestamp::UNIX_EPOCH).map(|_| app)
    }

    fn from_secret(data: &Data) -> Result<Option<App>, AccessError> {
        let id = line(data, "githubAppID")?;
        let installation = line(data, "githubAppInstallationID")?
            .map(|number| number.parse())
            .transpose()
            .map_err(|_| AccessError::NotANumber { key: "githubAppInstallationID" })?;
        match (id, data.get("githubAppPrivateKey").filter(|key| !key.is_empty())) {
            (Some(id), Some(key)) => App::new(&id, installation, key).map(Some),
            (None, None) => Ok(None),
            _ => Err(AccessError::HalfAnApp),
        }
    }

    pub(super) fn installation(&self) -> Option<u64> {
        self.installation
    }

    /// What proves for some minutes that we are the App
    /// (<https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app>).
    pub(super) fn jwt(&self, now: Timestamp) -> Result<Secret, AccessError> {
        // Their clock may be behind ours.
        let issued = now.as_second() - 60;
        let claims = serde_json::json!({"iat": issued, "exp": issued + 600, "iss": self.id});
        let parts = [r#"{"alg":"RS256","typ":"JWT"}"#.to_owned(), claims.to_string()];
        let signed = parts.map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or(AccessError::NotAKey)?;
        let signature = signer.sign(signed.as_bytes()).map_err(|_| AccessError::NotAKey)?;
        Ok(Secret::new(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into_bytes()))
    }
}

/// A token that ends.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) token: Secret,
    pub(super) ends: Timestamp,
}

impl Lease {
    /// Long enough before its end for every request that begins with it.
    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        self.ends.duration_since(now) > jiff::SignedDuration::try_from(Duration::from_secs(600)).unwrap_or_default()
    }
}

/// The header that carries a token.
pub(super) fn header(kind: Kind, token: &Secret) -> Option<(HeaderName, HeaderValue)> {
    let (name, before): (_, &[u8]) = match kind {
        Kind::GitLab => (HeaderName::from_static("private-token"), b""),
        Kind::Gitea => (AUTHORIZATION, b"token "),
        Kind::GitHub | Kind::BitbucketCloud | Kind::BitbucketServer => (AUTHORIZATION, b"Bearer "),
    };
    sensitive(name, &[before, token.expose()].concat())
}

/// The header that carries a user and a password.
pub(super) fn basic(user: &str, password: &Secret) -> Option<(HeaderName, HeaderValue)> {
    let pair = BASE64_STANDARD.encode([user.as_bytes(), b":", password.expose()].concat());
    sensitive(AUTHORIZATION, format!("Basic {pair}").as_bytes())
}

/// The header that proves an App, whatever the forge's own is.
pub(super) fn bearer(token: &Secret) -> Option<(HeaderName, HeaderValue)> {
    sensitive(AUTHORIZATION, &[b"Bearer ", token.expose()].concat())
}

fn sensitive(name: HeaderName, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = include_str!("../../tests/fixtures/google/public.pem");

    /// A key that was made for tests.
    fn key() -> String {
        let account: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/google/service-account.json")).unwrap();
        account["private_key"].as_str().unwrap().to_owned()
    }

    fn data(pairs: &[(&str, &str)]) -> Data {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
    }

    fn sent(kind: Kind, pairs: &[(&str, &str)]) -> Result<Option<String>, AccessError> {
        let access = Access::from_secret(kind, &data(pairs))?;
        let header = match access.credential {
            None => return Ok(None),
            Some(Credential::Token(token)) => header(kind, &token),
            Some(Credential::Basic { user, password }) => basic(&user, &password),
            Some(Credential::App(app)) => return Ok(Some(format!("app {} {:?}", app.id, app.installation))),
        };
        let (name, value) = header.unwrap();
        Ok(Some(format!("{name}: {}", value.to_str().unwrap())))
    }

    #[test]
    fn every_forge_has_its_own_header() {
        let text = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(sent(Kind::GitHub, &[("token", "t\n")]), text("authorization: Bearer t"));
        assert_eq!(sent(Kind::GitLab, &[("password", "t")]), text("private-token: t"));
        assert_eq!(sent(Kind::Gitea, &[("username", "u"), ("password", "t")]), text("authorization: token t"));
        assert_eq!(sent(Kind::BitbucketServer, &[("bearerToken", "t")]), text("authorization: Bearer t"));
        let cloud = [("username", "me@example.com"), ("password", "t")];
        assert_eq!(sent(Kind::BitbucketCloud, &cloud), text("authorization: Basic bWVAZXhhbXBsZS5jb206dA=="));
        let access_token = [("username", "x-token-auth"), ("password", "t")];
        assert_eq!(sent(Kind::BitbucketCloud, &access_token), text("authorization: Bearer t"));
        assert_eq!(sent(Kind::Gitea, &[("url", "https://h")]), Ok(None));
        let key = key();
        let app = [("githubAppID", "7"), ("githubAppInstallationID", "42"), ("githubAppPrivateKey", &key)];
        assert_eq!(sent(Kind::GitHub, &app), text("app 7 Some(42)"));
    }

    #[test]
    fn what_is_no_credential_is_told_without_its_value() {
        let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let key = key();
        let cases: [(&[(&str, &str)], AccessError); 5] = [
            (&[("token", "a\r\nX-Evil: 1")], AccessError::NotText { key: "token" }),
            (&[("githubAppID", "7")], AccessError::HalfAnApp),
            (&[("githubAppID", "7"), ("githubAppPrivateKey", "planted")], AccessError::NotAKey),
            (&[("githubAppID", "7"), ("githubAppPrivateKey", &elliptic)], AccessError::NotAKey),
            (
                &[("githubAppID", "7"), ("githubAppInstallationID", "x"), ("githubAppPrivateKey", &key)],
                AccessError::NotANumber { key: "githubAppInstallationID" },
            ),
        ];
        for (pairs, expected) in cases {
            assert_eq!(sent(Kind::GitHub, pairs), Err(expected), "{:?}", pairs[0]);
            assert!(!expected.to_string().contains("planted"));
        }
        let access = Access::from_secret(Kind::Gitea, &data(&[("token", "planted"), ("proxy", "http://u:planted@p")]));
        let app = App::new("7", None, key.as_bytes()).unwrap();
        let shown = format!("{access:?} {app:?} {:?}", header(Kind::GitLab, &Secret::new(b"planted".to_vec())));
        assert!(!shown.contains("planted") && !shown.contains("112, 108"), "{shown}");
    }

    #[test]
    fn an_app_proves_itself_as_github_wants_it() {
        let app = App::new("Iv23abc", None, key().as_bytes()).unwrap();
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let jwt = String::from_utf8(app.jwt(now).unwrap().expose().to_vec()).unwrap();
        let parts: Vec<&str> = jwt.split('.').collect();
        let decoded = |part: &str| String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(decoded(parts[0]), r#"{"alg":"RS256","typ":"JWT"}"#);
        assert_eq!(decoded(parts[1]), r#"{"iat":1794999940,"exp":1795000540,"iss":"Iv23abc"}"#);
        let lines: String = PUBLIC.lines().filter(|line| !line.starts_with('-')).collect();
        let public = BASE64_STANDARD.decode(lines).unwrap();
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.mapping;
        let (_, algorithms) =
            algorithms.iter().find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256).unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        let signed = format!("{}.{}", parts[0], parts[1]);
        algorithms[0].verify_signature(&public, signed.as_bytes(), &signature).unwrap();
    }

    #[test]
    fn a_lease_is_renewed_before_it_ends() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let lease = Lease { token: Secret::new(vec![]), ends: at(3600) };
        assert!(lease.is_good(at(0)) && lease.is_good(at(2999)) && !lease.is_good(at(3000)));
    }
}
