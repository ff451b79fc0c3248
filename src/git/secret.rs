//! [`Secret`]: a value that is kept and sent, and never shown.

use std::fmt;
use std::sync::Arc;

/// Bytes that nobody may see: no `Display`, no `Serialize`, and a `Debug` that says nothing.
///
/// ```compile_fail
/// let secret = leeboard::git::Secret::new(b"hunter2".to_vec());
/// println!("{secret}");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Keeps these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Secret(bytes.into())
    }

    /// The bytes, for the one who sends them.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
