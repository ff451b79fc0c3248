//! The daemon.

pub mod environment;
pub mod lease;
pub mod queue;
pub mod repositories;
