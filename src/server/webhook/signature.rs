//! What a sender has to know: compared in constant time, never printed.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A webhook's secret. Its value can't be printed or read back.
pub struct Secret(Box<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The secret with these bytes; a line break that an editor left at the end is not part of it.
    pub fn new(value: &[u8]) -> Self {
        Secret(value.trim_ascii_end().into())
    }

    /// True when `signature` is the hexadecimal HMAC-SHA256 of the body.
    pub(super) fn signed(&self, body: &[u8], signature: &[u8]) -> bool {
        let (Some(signature), Ok(mut mac)) = (from_hex(signature), Hmac::<Sha256>::new_from_slice(&self.0)) else {
            return false;
        };
        mac.update(body);
        mac.verify_slice(&signature).is_ok()
    }

    /// The same for `sha256=<hex>`.
    pub(super) fn signed_with_prefix(&self, body: &[u8], signature: &[u8]) -> bool {
        signature.strip_prefix(b"sha256=").is_some_and(|signature| self.signed(body, signature))
    }

    /// True when `token` is the secret itself. Hashes are compared, so that not even its length shows in the time.
    pub(super) fn equals(&self, token: &[u8]) -> bool {
        Sha256::digest(token).ct_eq(&Sha256::digest(&self.0)).into()
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}
