//! [`Document`]: what a registry keeps beside an image that may be a signature of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::vulnerability::Digest;
use super::key::Key;
use super::{bundle, payload};

/// The largest document that is looked at: a signature names an image and little more.
pub const LARGEST: usize = 1 << 20;

/// What a registry keeps beside an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// A payload of the tag `sha256-….sig`, and the note that has the signature of its bytes.
    Payload {
        /// The layer.
        bytes: Vec<u8>,
        /// In base64.
        signature: String,
    },
    /// A bundle that refers to the image.
    Bundle(Vec<u8>),
    /// Something that could not be had, and why.
    Lost(String),
}

/// Why a document is no signature that counts. Declared in the order in which they are told: what is nearest to one comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// One of the keys has signed another image.
    OtherImage(String),
    /// One of the keys has signed that something is said of the image, not that it may run.
    OtherPurpose(String),
    /// It was signed with a certificate of a moment.
    Keyless,
    /// None of the keys has signed it.
    OtherKey,
    /// It is none, for this reason.
    Malformed(String),
}

impl Document {
    /// The key that has signed this image by this document.
    ///
    /// # Errors
    /// Why it is no signature that counts.
    pub fn signer<'a>(&self, image: &Digest, keys: &'a [Key]) -> Result<&'a Key, Flaw> {
        match self {
            Document::Payload { bytes, signature } => {
                let key = signer(bytes, &[decoded("the signature", signature)?], keys)?;
                payload::is_of(bytes, image)?;
                Ok(key)
            }
            Document::Bundle(bytes) => {
                let bundle = bundle::read(bytes)?;
                let signed = bundle.signed()?;
                let key = signer(&signed.bytes, &signed.signatures, keys)
                    .map_err(|flaw| if bundle.is_keyless() { Flaw::Keyless } else { flaw })?;
                signed.is_of(image)?;
                Ok(key)
            }
            Document::Lost(why) => Err(Flaw::Malformed(why.clone())),
        }
    }
}

/// The first key by which one of the signatures is.
fn signer<'a>(message: &[u8], signatures: &[Vec<u8>], keys: &'a [Key]) -> Result<&'a Key, Flaw> {
    let mut keys = keys.iter();
    keys.find(|key| signatures.iter().any(|signature| key.has_signed(message, signature))).ok_or(Flaw::OtherKey)
}

/// # Errors
/// When it is no base64.
pub(super) fn decoded(what: &str, text: &str) -> Result<Vec<u8>, Flaw> {
    STANDARD.decode(text).map_err(|_| malformed(&format!("{what} is no base64")))
}

pub(super) fn malformed(why: &str) -> Flaw {
    Flaw::Malformed(why.to_owned())
}
