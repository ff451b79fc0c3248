//! The daemon.

pub mod environment;
pub mod lease;
pub mod queue;
pub mod rendered;
pub mod repositories;
pub mod written;
