//! From an application to the files it is rendered from.
//!
//! **In:** a snapshot (a commit in a mirror) or a local directory. **Out:** [`Files`], a confined view of a tree;
//! [`Recording`], the same that notes what was read ([`ReadSet`]). **May not:** write, follow a link out of the tree,
//! or reach the network.
//!
//! Read [`files`] for what a renderer sees, [`readset`] for when a render has to be made again.

pub mod detect;
pub mod files;
pub mod local;
pub mod mounted;
pub mod readset;
pub mod remote;
pub mod snapshot;
mod walk;

pub use files::{Entry, Error, Files, TreePath};
pub use mounted::Mounted;
pub use readset::{Id, Identified, Located, ReadSet, Recording};
pub use remote::{Remote, RemoteBase};
