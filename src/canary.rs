//! New versions tried on part of the traffic first: Flagger's canaries, understood together with git.
//!
//! **In:** a `Canary` with its templates, and what the cluster, the router, the metrics and the hooks say. **Out:** the
//! next state and the actions that lead to it. **May not:** read a clock or do I/O where it decides; what acts on a
//! cluster only executes.
//!
//! Semantics: Flagger 1.44's, with the deviations that docs/canary.md lists.
//!
//! Read [`settings`] (what a Canary asks for), [`world`] (what is seen), [`record`] (what is remembered), then
//! [`machine`], which decides; [`event`] has the words, [`status`] what Flagger's clients read, [`webhook`] and [`alert`]
//! what is posted, [`job`] what is run, [`alarm`] which alarms fail a check. [`adopt`] takes over what Flagger left behind,
//! [`wave`] says what a sync waits for. [`simulate`] plays a script without a cluster.

pub mod adopt;
pub mod alarm;
pub mod alert;
pub mod event;
pub mod generated;
pub mod job;
pub mod machine;
pub mod metric;
pub mod record;
pub mod revision;
pub mod router;
pub mod settings;
pub mod simulate;
pub mod status;
pub mod wave;
pub mod webhook;
pub mod weight;
pub mod world;

pub use event::Event;
pub use machine::{Action, Decision, decide};
pub use record::Record;
pub use revision::Revision;
pub use settings::{Refusal, Settings};
pub use weight::{Copies, Split, Weight};
pub use world::World;
