//! The daemon.

pub mod lease;
pub mod queue;
