//! Tokens of Google: what makes a request of Cloud Monitoring one of a service account.
//!
//! With a key: an assertion that it signs is given to the key's `token_uri` for a token,
//! <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>. Without one: the machine's metadata
//! server has a token of the pod's own identity,
//! <https://cloud.google.com/compute/docs/access/authenticate-workloads#applications>; that one goes to Google only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;

use super::Encoded;
use crate::object::secret::Masked;

/// What a token may do.
const SCOPE: &str = "https://www.googleapis.com/auth/monitoring.read";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// How long an assertion holds: as long as Google allows, since the clocks of two machines differ.
const ASSERTED: SignedDuration = SignedDuration::from_hours(1);
/// A token that ends so soon may end on its way.
const TOO_SOON: SignedDuration = SignedDuration::from_mins(1);

/// Path and query on the metadata server; asked with the header [`METADATA_HEADER`].
pub const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
/// Without it the metadata server does not answer.
pub const METADATA_HEADER: (&str, &str) = ("Metadata-Flavor", "Google");

/// A key file, as far as it matters here.
#[derive(Deserialize)]
struct Key {
    #[serde(rename = "type", default)]
    what: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    private_key: String,
    #[serde(default)]
    private_key_id: Option<String>,
    #[serde(default)]
    token_uri: Option<String>,
}

/// Asks for a token.
#[derive(Debug)]
pub struct TokenRequest {
    /// Where: a POST.
    pub url: String,
    /// What, as `application/x-www-form-urlencoded`; whoever has it has the token.
    pub form: Masked,
}

/// Proves who asks.
#[derive(Clone, Debug)]
pub struct Token {
    /// What is sent as `Bearer`.
    pub text: Masked,
    /// Until when.
    pub ends: Timestamp,
}

impl Token {
    /// True while a request with it will be answered.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.ends.duration_since(now) > TOO_SOON
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not what Google gives out as a key.
    #[error("`serviceAccountKey` is no JSON key of a service account")]
    NoKey,
    /// A key file of another kind.
    #[error("`serviceAccountKey` is of type `{0}`: the key of a `service_account` is needed")]
    Kind(String),
    /// Nothing can be signed with it.
    #[error("`private_key` of `serviceAccountKey` is no RSA key in PEM")]
    PrivateKey,
    /// The answer is not a token's.
    #[error("the answer is no token")]
    NoToken,
}

/// Asks for a token for whoever has this key.
///
/// # Errors
/// When it is no such key.
pub fn request(key: &Masked, now: Timestamp) -> Result<TokenRequest, Error> {
    let key: Key = serde_json::from_slice(key.expose()).map_err(|_| Error::NoKey)?;
    if key.what != "service_account" {
        return Err(if key.what.is_empty() { Error::NoKey } else { Error::Kind(key.what) });
    }
    let url = key.token_uri.filter(|uri| !uri.is_empty()).unwrap_or_else(|| TOKEN_URI.to_owned());
    let private = PrivateKeyDer::from_pem_slice(key.private_key.as_bytes()).map_err(|_| Error::PrivateKey)?;
    let private = any_supported_type(&private).map_err(|_| Error::PrivateKey)?;
    let signer = private.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or(Error::PrivateKey)?;
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": key.private_key_id});
    let begins = now.as_second();
    let claims = json!({
        "iss": key.client_email, "scope": SCOPE, "aud": url, "iat": begins, "exp": begins + ASSERTED.as_secs(),
    });
    let encoded = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let said = format!("{}.{}", encoded(header), encoded(claims));
    let signature = signer.sign(said.as_bytes()).map_err(|_| Error::PrivateKey)?;
    let form = format!("grant_type={}&assertion={said}.{}", Encoded(GRANT), URL_SAFE_NO_PAD.encode(signature));
    Ok(TokenRequest { url, form: Masked::new(form) })
}

/// Reads a token, as both the key's `token_uri` and the metadata server give it.
///
/// # Errors
/// When it is none.
pub fn read(body: &[u8], now: Timestamp) -> Result<Token, Error> {
    #[derive(Deserialize)]
    struct Given {
        access_token: String,
        expires_in: i64,
    }
    let given: Given = serde_json::from_slice(body).map_err(|_| Error::NoToken)?;
    let ends = now.checked_add(SignedDuration::from_secs(given.expires_in)).map_err(|_| Error::NoToken)?;
    Ok(Token { text: Masked::new(given.access_token), ends })
}

/// Whether an address is Google's own. The pod's identity goes nowhere else: who writes a MetricTemplate says where the
/// question goes, and must not thereby learn who the daemon is.
pub fn is_googles(url: &str) -> bool {
    let host = url.strip_prefix("https://").and_then(|rest| rest.split(['/', '?', '#']).next());
    host.is_some_and(|host| host.ends_with(".googleapis.com") && !host.contains(['@', ':', '\\']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../../../tests/fixtures/google/service-account.json");
    const PUBLIC: &str = include_str!("../../../tests/fixtures/google/public.pem");

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn an_assertion_is_signed_with_the_key() {
        let asked = request(&Masked::new(KEY), at(1_800_000_000)).unwrap();
        assert_eq!(asked.url, "https://oauth2.googleapis.com/token");
        let form = asked.form.expose_text().unwrap();
        let assertion = form
            .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
            .unwrap_or_else(|| panic!("{form}"));
        let (said, signature) = assertion.rsplit_once('.').unwrap();
        let (header, claims) = said.split_once('.').unwrap();
        let json = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(json(header), json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
        let expected = json!({
            "iss": "leeboard@my-project.iam.gserviceaccount.com", "scope": SCOPE,
            "aud": "https://oauth2.googleapis.com/token", "iat": 1_800_000_000, "exp": 1_800_003_600,
        });
        assert_eq!(json(claims), expected);
        let lines: String = PUBLIC.lines().filter(|line| !line.starts_with('-')).collect();
        let public = base64::engine::general_purpose::STANDARD.decode(lines).unwrap();
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.mapping;
        let (_, algorithms) =
            algorithms.iter().find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        algorithms[0].verify_signature(&public, said.as_bytes(), &signature).unwrap();
        assert!(algorithms[0].verify_signature(&public, b"something else", &signature).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let cases = [
            // what stands there, what is said
            ("no JSON", "`serviceAccountKey` is no JSON key of a service account"),
            ("{}", "`serviceAccountKey` is no JSON key of a service account"),
            (
                r#"{"type": "external_account"}"#,
                "`serviceAccountKey` is of type `external_account`: the key of a `service_account` is needed",
            ),
            (
                r#"{"type": "service_account", "private_key": "secret"}"#,
                "`private_key` of `serviceAccountKey` is no RSA key in PEM",
            ),
        ];
        for (key, expected) in cases {
            assert_eq!(request(&Masked::new(key), at(0)).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_token_holds_until_shortly_before_its_end() {
        let token = read(br#"{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}"#, at(0)).unwrap();
        assert_eq!(token.text.expose_text(), Some("ya29.x"));
        assert!(token.holds(at(3500)) && !token.holds(at(3539)) && !token.holds(at(4000)));
        for body in
            ["", "{}", r#"{"error":"invalid_grant"}"#, r#"{"access_token":"x","expires_in":9223372036854775807}"#]
        {
            assert_eq!(read(body.as_bytes(), at(0)).unwrap_err(), Error::NoToken, "{body}");
        }
    }

    #[test]
    fn the_pods_identity_goes_to_google_only() {
        let cases = [
            // URL, whether it is Google's
            ("https://monitoring.googleapis.com/v3/projects/p/timeSeries:query", true),
            ("http://monitoring.googleapis.com/v3", false),
            ("https://monitoring.googleapis.com.example.com/v3", false),
            ("https://evilgoogleapis.com/", false),
            ("https://example.com/?.googleapis.com", false),
            ("https://example.com#.googleapis.com", false),
            ("https://a@example.com:1\\.googleapis.com/", false),
        ];
        for (url, expected) in cases {
            assert_eq!(is_googles(url), expected, "{url}");
        }
    }
}
