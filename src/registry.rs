//! Images as registries have them.
//!
//! **In:** what people write of an image. **Out:** a [`Reference`], whose parts are safe to put into an address or a file.
//! **May not:** take for a name, a tag or a digest what no registry would.
//!
//! The rules are those of the OCI distribution specification 1.1 and of Docker's references: `web` is
//! `docker.io/library/web`, and what stands before the first slash is a host only when it looks like one.

mod reference;

pub use reference::{Digest, NotAReference, Reference, Repository, Tag, Tagged, Version};
