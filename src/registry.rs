//! Images, and the registries that have them.
//!
//! **In:** what people write of an image, credentials as `docker login` writes them. **Out:** a [`Reference`] whose parts are safe
//! to put into an address or a file; tags, digests, times, manifests and blobs of a registry, or an [`Error`] in one
//! sentence. **May not:** decide what is done with them; follow a redirect with credentials to another server, ask a link-local
//! address, or read without a limit.
//!
//! The rules are those of the OCI distribution specification 1.1 and of Docker's references: `web` is
//! `docker.io/library/web`, and what stands before the first slash is a host only when it looks like one.
//! Read `reference`, then `ask` (the questions), `client` (how one is asked), `challenge` and `sign_in` (who asks).

mod ask;
mod challenge;
mod client;
mod error;
mod keychain;
mod manifest;
mod reference;
mod sign_in;

pub use client::{Registries, Settings};
pub use error::Error;
pub use keychain::{Keychain, KeychainError};
pub use manifest::{Descriptor, Manifest, Platform};
pub use reference::{Digest, NotAReference, Reference, Repository, Tag, Tagged, Version};

#[cfg(test)]
mod tests;
