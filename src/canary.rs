//! New versions tried on part of the traffic first: Flagger's canaries, understood together with git.
//!
//! **In:** a `Canary` with its templates, and what the cluster, the router, the metrics and the hooks say. **Out:** the
//! next state and the actions that lead to it. **May not:** read a clock or do I/O where it decides; what acts on a
//! cluster only executes.
//!
//! Semantics: Flagger 1.44's, with the deviations that docs/canary.md lists.

pub mod weight;

pub use weight::{Split, Weight};
