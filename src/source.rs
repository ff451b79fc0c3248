//! From an application to the files it is rendered from.
//!
//! **In:** a snapshot (a commit in a mirror) or a local directory. **Out:** [`Files`], a confined view that records
//! what was read ([`ReadSet`]). **May not:** write, follow a link out of the tree, or reach the network.

pub mod files;
pub mod local;
pub mod readset;
pub mod snapshot;

pub use files::{Entry, Error, Files, TreePath};
pub use readset::{ReadSet, Recording};
