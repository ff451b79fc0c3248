//! What the cluster holds of what we manage, from watches; and how requests reach it.
//!
//! **In:** a kubeconfig or the pod's service account; the kinds to watch. **Out:** [`LiveView`] of small [`Record`]s,
//! a stream of changes, and a paced client. **May not:** keep whole objects, watch what is not managed, or decide.

pub mod client;
pub mod discovery;
pub mod pace;
pub mod record;
pub mod watch;

pub use record::{KindVersion, LiveView, Record};
