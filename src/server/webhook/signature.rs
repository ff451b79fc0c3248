//! What a sender has to know: compared in constant time, never printed.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A webhook's secret, or several, of which each will do: while a forge is given a new one, both are in use. The values
/// can't be printed or read back.
pub struct Secret(Vec<Box<[u8]>>);

/// The headers of a hook that is signed as the standard says.
pub(super) struct Standard<'a> {
    /// `webhook-id`
    pub(super) id: &'a [u8],
    /// `webhook-timestamp`, in seconds.
    pub(super) timestamp: &'a [u8],
    /// `webhook-signature`
    pub(super) signatures: &'a [u8],
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// One secret per line.
    pub fn new(value: &[u8]) -> Self {
        let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        Secret(lines.filter(|line| !line.is_empty()).map(Box::from).collect())
    }

    /// True when `signature` is the hexadecimal HMAC-SHA256 of the body.
    pub(super) fn signed(&self, body: &[u8], signature: &[u8]) -> bool {
        let Some(signature) = from_hex(signature) else { return false };
        self.0.iter().any(|secret| {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
            mac.update(body);
            mac.verify_slice(&signature).is_ok()
        })
    }

    /// The same for `sha256=<hex>`.
    pub(super) fn signed_with_prefix(&self, body: &[u8], signature: &[u8]) -> bool {
        signature.strip_prefix(b"sha256=").is_some_and(|signature| self.signed(body, signature))
    }

    /// The same as GitLab's newer hooks sign, after <https://www.standardwebhooks.com>: `v1,` and the base64 of the HMAC of
    /// id, time and body, several of them with spaces between; the key is the base64 after `whsec_`. What is older than
    /// five minutes may have been overheard.
    pub(super) fn signed_as_standard(&self, body: &[u8], sent: &Standard<'_>, now: Timestamp) -> bool {
        let Some(seconds) = std::str::from_utf8(sent.timestamp).ok().and_then(|seconds| seconds.parse().ok()) else {
            return false;
        };
        let Ok(signed) = Timestamp::from_second(seconds) else { return false };
        if now.duration_since(signed).abs() > SignedDuration::from_secs(300) {
            return false;
        }
        let keys = self.0.iter().filter_map(|secret| BASE64_STANDARD.decode(secret.strip_prefix(b"whsec_")?).ok());
        let signatures =
            sent.signatures.split(|byte| *byte == b' ').filter_map(|signature| signature.strip_prefix(b"v1,"));
        let signatures: Vec<Vec<u8>> = signatures.filter_map(|base64| BASE64_STANDARD.decode(base64).ok()).collect();
        keys.filter(|key| !key.is_empty()).any(|key| {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
            for part in [sent.id, b".", sent.timestamp, b".", body] {
                mac.update(part);
            }
            signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
        })
    }

    /// True when `token` is the secret itself. Hashes are compared, so that not even its length shows in the time.
    pub(super) fn equals(&self, token: &[u8]) -> bool {
        self.0.iter().any(|secret| Sha256::digest(token).ct_eq(&Sha256::digest(secret)).into())
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
