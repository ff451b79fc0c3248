//! The gate `signature`: whether the images of a promotion are signed by somebody whose public key users have named.
//!
//! **In:** images with their digests, what registries keep beside them ([`Document`]), public keys ([`Key`]). **Out:** for each image
//! the key that has signed it, or one sentence that says what is in the way. **May not:** do I/O; believe a word of a document that no
//! key has verified; take a signature of another image, or for another purpose; or panic, whatever a stranger has written.
//!
//! Both forms that cosign writes are read: the payload in a layer of the tag `sha256-….sig` ([`payload`]), and the bundle that refers
//! to the image ([`bundle`]). What a transparency log has to say is not asked: a key is believed because users have named it.
//!
//! Read [`key`], then [`document`], then [`judge()`].

pub mod bundle;
pub mod document;
pub mod judge;
pub mod key;
pub mod payload;

pub use self::document::{Document, Flaw};
pub use self::judge::{Objection, Scope, judge};
pub use self::key::{Key, NoKey};
