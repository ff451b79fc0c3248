//! [`Oid`] and [`Commit`]: what the rest of Leeboard knows of git's objects.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The id of a git object: a SHA-1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Oid([u8; 20]);

impl Oid {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Oid(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The first seven digits, as people write commits.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(7);
        text
    }

    pub(super) fn libgit2(self) -> git2::Oid {
        // Twenty bytes are what `from_bytes` asks for; the zero id is what no object has.
        git2::Oid::from_bytes(&self.0).unwrap_or(git2::Oid::ZERO_SHA1)
    }
}

impl From<git2::Oid> for Oid {
    fn from(id: git2::Oid) -> Self {
        let mut bytes = [0; 20];
        bytes.copy_from_slice(id.as_bytes());
        Oid(bytes)
    }
}

impl From<Oid> for String {
    fn from(id: Oid) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for Oid {
    type Error = NotAnOid;

    fn try_from(text: String) -> Result<Self, NotAnOid> {
        text.parse()
    }
}

/// Forty lower- or upper-case hexadecimal digits, nothing else.
impl FromStr for Oid {
    type Err = NotAnOid;

    fn from_str(text: &str) -> Result<Self, NotAnOid> {
        let digits = text.as_bytes();
        if digits.len() != 40 {
            return Err(NotAnOid);
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
        }
        Ok(Oid(bytes))
    }
}

fn digit(character: u8) -> Result<u8, NotAnOid> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        b'A'..=b'F' => Ok(character - b'A' + 10),
        _ => Err(NotAnOid),
    }
}

/// The text is not forty hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an object id has forty hexadecimal digits")]
pub struct NotAnOid;

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A commit, with what people want to see of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: Oid,
    /// The first line of its message.
    pub subject: Arc<str>,
    /// The author's name and mail address: `Ada <ada@example.com>`.
    pub author: Arc<str>,
    /// When it was committed.
    pub time: Timestamp,
}

impl Commit {
    /// The first seven digits of its id.
    pub fn short(&self) -> String {
        self.id.short()
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_forty_digits() {
        let cases = [
            ("00000000000000000000000000000000000000ff", true),
            ("00000000000000000000000000000000000000FF", true),
            ("00000000000000000000000000000000000000f", false),
            ("00000000000000000000000000000000000000fg", false),
            ("", false),
        ];
        for (text, valid) in cases {
            let id = text.parse::<Oid>();
            assert_eq!(id.is_ok(), valid, "{text}");
            if let Ok(id) = id {
                assert_eq!(id.to_string(), text.to_lowercase());
            }
        }
    }
}
