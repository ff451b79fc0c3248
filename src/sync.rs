//! Executes a plan.

pub mod decide;
pub mod event;
pub mod repair;
pub mod status;
