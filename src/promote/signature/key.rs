//! [`Key`]: a public key, and what it has signed.

use std::fmt;

use ed25519_dalek::{Signature, VerifyingKey};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, alg_id};
use sha2::{Digest as _, Sha256, Sha512};

/// How many digits of its hash a person sees of a key.
const SHOWN: usize = 12;
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// A public key of a kind that the TLS stack can verify with: ECDSA on P-256 or P-384, Ed25519, RSA of 2048 bits and more.
#[derive(Clone)]
pub struct Key {
    bits: Vec<u8>,
    /// One for each hash that signatures by such a key may be of: which one was used is said nowhere.
    algorithms: Vec<&'static dyn SignatureVerificationAlgorithm>,
    /// A key of Ed25519 once more, for signatures of the message's hash (Ed25519ph, RFC 8032): cosign 3 makes these, cosign 2 the others.
    prehashed: Option<VerifyingKey>,
    fingerprint: String,
}

/// Why a text is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// Nothing, or other things.
    #[error("it is no public key in PEM (`-----BEGIN PUBLIC KEY-----`)")]
    NotPem,
    /// Which one counts would be a guess.
    #[error("it holds several public keys: write each as a key of its own")]
    Several,
    /// PEM of something else.
    #[error("its bytes are no public key")]
    Malformed,
    /// A curve, or a kind, that nothing here verifies.
    #[error("it is of a kind that is not known: take ECDSA (P-256 or P-384), Ed25519 or RSA")]
    UnknownKind,
}

impl Key {
    /// The one public key of a text.
    ///
    /// # Errors
    /// When there is none, or more than one, or it cannot be used.
    pub fn parse(pem: &[u8]) -> Result<Self, NoKey> {
        let mut found = SubjectPublicKeyInfoDer::pem_slice_iter(pem);
        let Some(Ok(first)) = found.next() else { return Err(NoKey::NotPem) };
        if found.next().is_some() {
            return Err(NoKey::Several);
        }
        let (kind, bits) = parts(&first).ok_or(NoKey::Malformed)?;
        let known = default_provider().signature_verification_algorithms.all;
        let algorithms: Vec<_> =
            known.iter().copied().filter(|algorithm| algorithm.public_key_alg_id().as_ref() == kind).collect();
        if algorithms.is_empty() {
            return Err(NoKey::UnknownKind);
        }
        let prehashed = match kind == alg_id::ED25519.as_ref() {
            true => Some(VerifyingKey::try_from(bits).map_err(|_| NoKey::Malformed)?),
            false => None,
        };
        let hash: String = Sha256::digest(&first).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Key { bits: bits.to_vec(), algorithms, prehashed, fingerprint: format!("sha256:{hash}") })
    }

    /// True when a signature of these bytes was made with its other half.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let is_by = |algorithm: &&dyn SignatureVerificationAlgorithm| {
            algorithm.verify_signature(&self.bits, message, signature).is_ok()
        };
        self.algorithms.iter().any(is_by) || self.has_signed_hash(message, signature)
    }

    fn has_signed_hash(&self, message: &[u8], signature: &[u8]) -> bool {
        let (Some(key), Ok(signature)) = (&self.prehashed, Signature::from_slice(signature)) else { return false };
        key.verify_prehashed_strict(Sha512::new_with_prefix(message), None, &signature).is_ok()
    }
}

/// The beginning of the hash of its DER: `sha256:3f9a1c20b7e4`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.fingerprint.get(.."sha256:".len() + SHOWN).unwrap_or(&self.fingerprint))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.fingerprint)
    }
}

/// Of a `SubjectPublicKeyInfo` (RFC 5280, 4.1): what kind of key it is, and the key.
fn parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (info, []) = value(SEQUENCE, der)? else { return None };
    let (kind, rest) = value(SEQUENCE, info)?;
    let (bits, []) = value(BIT_STRING, rest)? else { return None };
    // Keys are whole bytes: none of the last one's bits is unused.
    let (0, bits) = bits.split_first()? else { return None };
    Some((kind, bits))
}

/// The content of a value with this tag, and what follows it. Lengths are written in one way alone (X.690, 10.1).
fn value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match *der {
        [found, length @ 0..=0x7f, ref rest @ ..] if found == tag => (usize::from(length), rest),
        [found, 0x81, length @ 0x80..=0xff, ref rest @ ..] if found == tag => (usize::from(length), rest),
        [found, 0x82, high @ 1..=0xff, low, ref rest @ ..] if found == tag => {
            (usize::from(u16::from_be_bytes([high, low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
