//! The hash by which a plan is shown, approved and executed as the same one (G1).
//!
//! It is keyed: who sees a hash in a public comment cannot test guesses about a Secret's value against it.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use crate::object::ObjectKey;

/// The secret of an installation under which its plans are hashed.
#[derive(Clone)]
pub struct PlanKey([u8; 32]);

impl PlanKey {
    /// The key with these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        PlanKey(bytes)
    }
}

/// Says nothing of the key.
impl fmt::Debug for PlanKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlanKey(…)")
    }
}

/// What a plan would change, in 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanHash([u8; 16]);

impl PlanHash {
    /// The first 12 digits: for people.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(12);
        text
    }
}

/// 32 lower-case hexadecimal digits.
impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanHash({self})")
    }
}

impl From<PlanHash> for String {
    fn from(hash: PlanHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for PlanHash {
    type Error = NotAPlanHash;

    fn try_from(text: String) -> Result<Self, NotAPlanHash> {
        text.parse()
    }
}

/// A text is not a plan's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a plan's hash has 32 hexadecimal digits")]
pub struct NotAPlanHash;

impl FromStr for PlanHash {
    type Err = NotAPlanHash;

    fn from_str(text: &str) -> Result<Self, NotAPlanHash> {
        let digits: Vec<u8> = text.chars().map_while(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
        if digits.len() != 32 || text.len() != 32 {
            return Err(NotAPlanHash);
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(PlanHash(bytes))
    }
}

/// The hash of what git would want of objects: for each the application, its key, and what it will be; `None` where it goes.
///
/// What the cluster holds is not in it: what was repaired meanwhile makes no other plan.
pub fn of_wanted<'a>(
    key: &PlanKey,
    objects: impl IntoIterator<Item = (&'a str, &'a ObjectKey, Option<&'a Value>)>,
) -> PlanHash {
    let mut hasher = Hasher::new(key);
    for (application, object, body) in objects {
        hasher.text(application);
        hasher.text(&object.to_string());
        hasher.value(body.unwrap_or(&Value::Null));
    }
    hasher.finish()
}

/// Takes in the changes of a plan one after another. Every part is framed, so no two sequences run together.
pub(super) struct Hasher(Hmac<Sha256>);

impl Hasher {
    pub(super) fn new(key: &PlanKey) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mac = Hmac::new_from_slice(&key.0).expect("any length is a key");
        Hasher(mac)
    }

    pub(super) fn text(&mut self, text: &str) {
        self.frame(b't', text.len());
        self.0.update(text.as_bytes());
    }

    pub(super) fn number(&mut self, number: i32) {
        self.0.update(b"i");
        self.0.update(&number.to_le_bytes());
    }

    /// Mappings with equal entries in another order hash the same.
    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_unstable_by_key(|(name, _)| *name);
                self.frame(b'm', entries.len());
                for (name, value) in entries {
                    self.text(name);
                    self.value(value);
                }
            }
            Value::Array(items) => {
                self.frame(b'l', items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Value::String(text) => self.text(text),
            Value::Number(number) => {
                self.0.update(b"n");
                self.text(&number.to_string());
            }
            Value::Bool(true) => self.0.update(b"y"),
            Value::Bool(false) => self.0.update(b"f"),
            Value::Null => self.0.update(b"0"),
        }
    }

    pub(super) fn finish(self) -> PlanHash {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0.finalize().into_bytes()[..16]);
        PlanHash(bytes)
    }

    fn frame(&mut self, tag: u8, length: usize) {
        self.0.update(&[tag]);
        self.0.update(&(length as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hash(key: u8, value: &Value) -> PlanHash {
        let mut hasher = Hasher::new(&PlanKey::new([key; 32]));
        hasher.value(value);
        hasher.finish()
    }

    #[test]
    fn a_hash_reads_back_as_written() {
        let written = hash(1, &json!({"a": 1}));
        assert_eq!(written.to_string().parse(), Ok(written));
        for text in ["", "9a1b2c3d4e5f", &"g".repeat(32), &"é".repeat(16)] {
            assert_eq!(text.parse::<PlanHash>(), Err(NotAPlanHash), "{text}");
        }
    }

    #[test]
    fn only_the_order_of_keys_and_no_guess_without_the_key() {
        assert_eq!(hash(1, &json!({"a": 1, "b": 2})), hash(1, &json!({"b": 2, "a": 1})));
        assert_ne!(hash(1, &json!({"a": "s3cret"})), hash(2, &json!({"a": "s3cret"})));
        for other in [json!(["ab"]), json!(["a", "b"]), json!(["", "ab"]), json!([["a"], "b"]), json!(["a", ["b"]])] {
            let same = other == json!(["a", "b"]);
            assert_eq!(hash(1, &json!(["a", "b"])) == hash(1, &other), same, "{other}");
        }
    }
}
