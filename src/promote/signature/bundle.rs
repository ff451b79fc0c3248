//! The newer form: a bundle of sigstore (version 0.3) that refers to the image, with a DSSE envelope around an in-toto statement.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::vulnerability::Digest;
use super::document::{Flaw, decoded, malformed};

/// What the bundle is called in registries, and calls itself.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The annotation of an artifact that says what its statement is about.
pub const PREDICATE: &str = "dev.sigstore.bundle.predicateType";
/// The statement that is a signature: attestations, of parts or of how something was built, are others.
pub const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";
/// What the envelope holds.
const STATEMENT: &str = "application/vnd.in-toto+json";
/// The versions of statements.
const STATEMENTS: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

/// A bundle, of which nothing is to be believed yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

/// What a bundle has signed.
pub(super) struct Signed {
    /// What the signatures are of.
    pub(super) bytes: Vec<u8>,
    pub(super) signatures: Vec<Vec<u8>>,
    statement: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: BTreeMap<String, String>,
}

/// # Errors
/// When it is no bundle.
pub(super) fn read(bytes: &[u8]) -> Result<Bundle, Flaw> {
    let bundle: Bundle = serde_json::from_slice(bytes).map_err(|_| malformed("it is no bundle of sigstore"))?;
    if bundle.media_type != MEDIA_TYPE {
        return Err(malformed("it is a bundle of another version than 0.3"));
    }
    Ok(bundle)
}

impl Bundle {
    /// True when it was signed with a certificate of a moment, not with a key that somebody keeps.
    pub(super) fn is_keyless(&self) -> bool {
        self.verification_material.certificate.is_some() || self.verification_material.x509_certificate_chain.is_some()
    }

    /// What has been signed, by whomever.
    ///
    /// # Errors
    /// When it holds no statement.
    pub(super) fn signed(&self) -> Result<Signed, Flaw> {
        let envelope = self.dsse_envelope.as_ref().ok_or_else(|| malformed("the bundle holds no statement"))?;
        if envelope.payload_type != STATEMENT {
            return Err(malformed("the bundle holds another thing than a statement"));
        }
        let statement = decoded("the statement", &envelope.payload)?;
        let signatures = envelope.signatures.iter().map(|signature| decoded("the signature", &signature.sig));
        Ok(Signed {
            bytes: encoded(STATEMENT, &statement),
            signatures: signatures.collect::<Result<_, _>>()?,
            statement,
        })
    }
}

impl Signed {
    /// # Errors
    /// When the statement is no signature, or that of another image.
    pub(super) fn is_of(&self, image: &Digest) -> Result<(), Flaw> {
        let statement: Statement = serde_json::from_slice(&self.statement)
            .map_err(|_| malformed("the statement does not name what it is about"))?;
        if !STATEMENTS.contains(&statement.kind.as_str()) {
            return Err(malformed("the statement is of an unknown version"));
        }
        if statement.predicate_type != SIGNED {
            return Err(Flaw::OtherPurpose(statement.predicate_type));
        }
        let (algorithm, digits) = image.as_str().split_once(':').unwrap_or_default();
        let is_it = |subject: &Subject| subject.digest.get(algorithm).is_some_and(|named| named == digits);
        if statement.subject.iter().any(is_it) {
            return Ok(());
        }
        let named = statement.subject.iter().flat_map(|subject| &subject.digest).next();
        Err(named.map_or_else(
            || malformed("the statement is about nothing"),
            |(algorithm, digits)| Flaw::OtherImage(format!("{algorithm}:{digits}")),
        ))
    }
}

/// The bytes that are signed in place of the statement, so that no other kind of document can stand for it (DSSE 1.0, PAE).
fn encoded(kind: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
